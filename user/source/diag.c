/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shunt/limits.h"

#define QUOTED_BYTES_MAX 60

static void free_list(struct diag *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(list[i].text);
	free(list);
}

void diags_done(struct diags *diags)
{
	if (!diags)
		return;
	free_list(diags->errors, diags->n_errors);
	free_list(diags->notes, diags->n_notes);
	*diags = (struct diags){ 0 };
}

/* File names and keys come from outside: none of them may break the line or reach the terminal. */
static void one_line(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

static char *place_text(const struct origin *at)
{
	char *text = NULL;
	int ret;

	if (!at->line)
		ret = asprintf(&text, "%s", at->file);
	else if (!at->column)
		ret = asprintf(&text, "%s:%u", at->file, at->line);
	else
		ret = asprintf(&text, "%s:%u:%u", at->file, at->line, at->column);
	return ret < 0 ? NULL : text;
}

__attribute__((format(printf, 3, 0))) static char *
diag_text(const struct origin *at, const char *path, const char *fmt, va_list args)
{
	char *place = place_text(at), *message = NULL, *text = NULL;

	if (!place || vasprintf(&message, fmt, args) < 0) {
		message = NULL;
		goto out;
	}
	if (asprintf(&text, "%s: %s%s%s", place, path, *path ? ": " : "", message) < 0)
		text = NULL;
	else
		one_line(text);
out:
	free(message);
	free(place);
	return text;
}

/* Takes @text over. @return 0, or -1: the list is full, or there is no memory for more of it. */
static int append(struct diag **list, size_t *n, char *text, size_t file_len)
{
	struct diag *longer = NULL;

	if (text && *n < SH_ERRORS_MAX)
		longer = reallocarray(*list, *n + 1, sizeof(**list));
	if (!longer) {
		free(text);
		return -1;
	}
	*list = longer;
	longer[*n] = (struct diag){ .text = text, .file_len = file_len };
	++*n;
	return 0;
}

void diag_error(struct diags *diags, const struct origin *at, const char *path, const char *fmt,
		...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = diag_text(at, path, fmt, args);
	va_end(args);
	if (append(&diags->errors, &diags->n_errors, text, strlen(at->file)))
		diags->n_more_errors++;
}

void diag_note(struct diags *diags, const struct origin *at, const char *path, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = diag_text(at, path, fmt, args);
	va_end(args);
	if (append(&diags->notes, &diags->n_notes, text, strlen(at->file)))
		diags->n_more_notes++;
}

size_t diags_count(const struct diags *diags)
{
	return diags->n_errors + diags->n_more_errors;
}

int diags_refuse(const struct diags *diags, struct err *err)
{
	const size_t more = diags_count(diags) - 1;

	if (!diags->n_errors) /* there was no memory for its text */
		return -ENOMEM;
	if (!more)
		return err_input(err, -EINVAL, "%s", diags->errors[0].text);
	return err_input(err, -EINVAL, "%s (and %zu more error%s)", diags->errors[0].text, more,
			 more == 1 ? "" : "s");
}

static int same_file(const struct diag *a, const struct diag *b)
{
	return a->file_len == b->file_len && !memcmp(a->text, b->text, a->file_len);
}

size_t diags_files(const struct diags *diags)
{
	size_t i, j, n = 0;

	for (i = 0; i < diags->n_errors; i++) {
		for (j = 0; j < i; j++) {
			if (same_file(&diags->errors[i], &diags->errors[j]))
				break;
		}
		n += j == i;
	}
	return n;
}

const char *quote(const char *text, char buf[static QUOTE_LEN])
{
	size_t i, len = 0;

	buf[len++] = '"';
	for (i = 0; text[i]; i++) {
		const unsigned char c = (unsigned char)text[i];

		/* Never cut inside a UTF-8 sequence. */
		if (i >= QUOTED_BYTES_MAX && (c & 0xc0) != 0x80)
			break;
		if (c < ' ' || c == 0x7f)
			len += (size_t)snprintf(buf + len, 5, "\\x%02x", c);
		else
			buf[len++] = (char)c;
	}
	(void)snprintf(buf + len, QUOTE_LEN - len, "\"%s", text[i] ? "..." : "");
	return buf;
}
