// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/manifests.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "source/manifest.h"

static void print_notes(const struct diags *diags)
{
	size_t i;

	for (i = 0; i < diags->n_notes; i++)
		(void)fprintf(stderr, "%s\n", diags->notes[i].text);
	if (diags->n_more_notes)
		(void)fprintf(stderr, "shunt: %zu more notes\n", diags->n_more_notes);
}

void manifests_print_errors(const struct diags *diags)
{
	size_t i;

	for (i = 0; i < diags->n_errors; i++)
		(void)fprintf(stderr, "%s\n", diags->errors[i].text);
	if (diags->n_more_errors)
		(void)fprintf(stderr, "shunt: %zu more errors (limit SH_ERRORS_MAX, %d)\n",
			      diags->n_more_errors, SH_ERRORS_MAX);
}

int manifests_load(struct invocation *inv, struct object_set *out, struct err *err)
{
	const struct request *request = &inv->request;
	bool checking = inv->command->needs == NEEDS_NOTHING;
	struct diags diags = { 0 };
	int ret;

	ret = manifest_load(request->files, request->n_files, out, &diags, err);
	print_notes(&diags);
	manifests_print_errors(&diags);
	/* The summary is for who wanted something done; below a single line it is one too many. */
	if (ret && (diags.n_errors == 1 || (diags.n_errors && checking)))
		ret = err_said(err, err->exit);
	diags_done(&diags);
	return ret;
}

void manifests_print_left_out(const struct wanted *wanted)
{
	size_t i;

	for (i = 0; i < wanted->n_notes; i++)
		(void)fprintf(stderr, "shunt: note: %s\n", wanted->notes[i]);
	if (wanted->n_notes_more)
		(void)fprintf(stderr, "shunt: %zu more notes\n", wanted->n_notes_more);
}

/* @len of a text that ends in ":" and digits: without these, or 0 where it doesn't */
static size_t less_number(const char *text, size_t len)
{
	size_t end = len;

	while (end && isdigit((unsigned char)text[end - 1]))
		end--;
	return end < len && end && text[end - 1] == ':' ? end - 1 : 0;
}

size_t place_file_len(const char *text)
{
	const char *end = strstr(text, ": ");

	return end ? less_number(text, less_number(text, (size_t)(end - text))) : 0;
}

static const char *kind_word(enum kind kind)
{
	switch (kind) {
	case KIND_SERVICE:
		return "service";
	case KIND_ENDPOINTS:
		return "endpoints";
	case KIND_ENDPOINT_SLICE:
		return "endpointslice.discovery.k8s.io";
	case KIND_POD:
		return "pod";
	case KIND_NODE:
		return "node";
	case KIND_NONE:
	case KIND_COUNT:
		break;
	}
	return "object";
}

const char *object_name_format(const struct object *object, char buf[static OBJECT_NAME_STRLEN])
{
	(void)snprintf(buf, OBJECT_NAME_STRLEN, "%s/%s", kind_word(object->kind),
		       object->meta.name);
	return buf;
}
