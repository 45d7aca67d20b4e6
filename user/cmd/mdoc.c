// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/mdoc.h"

#include <ctype.h>
#include <string.h>

/* ---- prose ----------------------------------------------------------------------- */

/* Lines of the source, which `mandoc -T lint` wants shorter than 80. */
#define MDOC_COLUMNS 76

/* What is read of a text, and the line that is being written. */
struct prose {
	struct invocation *inv;
	int column;   /* 0: at the start of a line */
	bool capital; /* the next word is to begin with one */
};

static void end_line(struct prose *prose)
{
	if (prose->column)
		say(prose->inv, "\n");
	prose->column = 0;
}

/* As roff prints it again: a backslash escaped, and what would be a request at a line's start. */
static void say_escaped(struct invocation *inv, const char *text, size_t len, bool at_start)
{
	size_t i;

	if (at_start && len && (text[0] == '.' || text[0] == '\''))
		say(inv, "\\&");
	for (i = 0; i < len; i++) {
		if (text[i] == '\\')
			say(inv, "\\e");
		else if (text[i] == '-' && (!i || strchr(" -", text[i - 1])))
			say(inv, "\\-"); /* of an option: not a hyphen, which can't be typed */
		else
			say(inv, "%c", text[i]);
	}
}

/* Does a table of options have it, as "--name" or "-n"? */
static bool is_option(const char *word, size_t len)
{
	size_t i;

	for (i = 0; i < options_count(); i++) {
		const struct option *option = &options[i];

		if (len > 2 && !strncmp(word, "--", 2) && strlen(option->name) == len - 2 &&
		    !strncmp(word + 2, option->name, len - 2))
			return true;
		if (len == 2 && word[0] == '-' && word[1] == option->letter)
			return true;
	}
	return false;
}

/* Does @word end in "()" and then punctuation? @return how long the name before it is, or 0 */
static size_t function_len(const char *word, size_t len)
{
	size_t name = 0;

	while (name < len && (isalnum((unsigned char)word[name]) || word[name] == '_'))
		name++;
	return len - name >= 2 && !strncmp(word + name, "()", 2) ? name : 0;
}

/* "(--kubeconfig," becomes ".Fl ( -kubeconfig ,". @return false: it is another word */
static bool say_macro(struct prose *prose, const char *word, size_t len)
{
	const size_t open = word[0] == '(', name = function_len(word, len);
	size_t end = len;

	while (end > open && strchr(".,;:)", word[end - 1]))
		end--;
	if (!name && !is_option(word + open, end - open))
		return false;
	end_line(prose);
	if (name)
		say(prose->inv, ".Fn %.*s", (int)name, word);
	else
		say(prose->inv, ".Fl %s%.*s", open ? "( " : "", (int)(end - open - 1),
		    word + open + 1);
	for (end = name ? name + 2 : end; end < len; end++)
		say(prose->inv, " %c", word[end]);
	say(prose->inv, "\n");
	prose->capital = false;
	return true;
}

static bool ends_sentence(const char *word, size_t len)
{
	while (len && strchr(")\"", word[len - 1]))
		len--;
	return len && strchr(".!?", word[len - 1]);
}

static void say_word(struct prose *prose, const char *word, size_t len)
{
	if (say_macro(prose, word, len))
		return;
	if (prose->column + 1 + (int)len > MDOC_COLUMNS)
		end_line(prose);
	if (prose->column)
		say(prose->inv, " ");
	prose->column += 1 + (int)len;
	if (prose->capital && islower((unsigned char)word[0])) {
		say(prose->inv, "%c", toupper((unsigned char)word[0]));
		word++;
		len--;
	}
	prose->capital = false;
	say_escaped(prose->inv, word, len, prose->column == 1 + (int)len);
	if (ends_sentence(word, len))
		end_line(prose);
}

static void say_prose(struct prose *prose, const char *text)
{
	size_t len, breaks;

	while (*text) {
		len = strcspn(text, " \n");
		if (len)
			say_word(prose, text, len);
		text += len;
		for (breaks = 0; *text == ' ' || *text == '\n'; text++)
			breaks += *text == '\n';
		if (breaks > 1 && *text) {
			end_line(prose);
			say(prose->inv, ".Pp\n");
		}
	}
}

void mdoc_prose(struct invocation *inv, const char *text)
{
	struct prose prose = { .inv = inv };

	say_prose(&prose, text);
	end_line(&prose);
}

void mdoc_sentence(struct invocation *inv, const char *text)
{
	struct prose prose = { .inv = inv, .capital = true };

	if (!*text)
		return;
	say_prose(&prose, text);
	if (prose.column)
		say(inv, ".");
	end_line(&prose);
}

/* ---- syntax ---------------------------------------------------------------------- */

struct syntax {
	struct invocation *inv;
	const char *at;
	bool joined; /* nothing stands between what was written last and what is next */
};

static void put(struct syntax *syntax, const char *text)
{
	say(syntax->inv, "%s%s", syntax->joined ? " Ns " : " ", text);
	syntax->joined = true;
}

/* "-f", "--from", or a dash alone, which is standard input */
static void take_dash(struct syntax *syntax)
{
	const size_t len = strcspn(syntax->at + 1, " |[]=:/");

	put(syntax, len ? "Fl " : "Cm \\-");
	say(syntax->inv, "%.*s", (int)len, syntax->at + 1);
	syntax->at += 1 + len;
}

/* NAME is to be replaced by something, name is to be typed as it is. */
static void take_syntax_word(struct syntax *syntax)
{
	size_t len = 0;

	put(syntax, isupper((unsigned char)*syntax->at) ? "Ar " : "Cm ");
	while (isalnum((unsigned char)syntax->at[len]) || syntax->at[len] == '_')
		say(syntax->inv, "%c", tolower((unsigned char)syntax->at[len++]));
	syntax->at += len;
	if (!strncmp(syntax->at, ",...", 4)) {
		say(syntax->inv, ",...");
		syntax->at += 4;
	} else if (!strncmp(syntax->at, "...", 3)) {
		say(syntax->inv, " ...");
		syntax->at += 3;
	}
}

/* "|", ":", "/" and whatever else stands between words */
static void take_mark(struct syntax *syntax)
{
	const char mark[2] = { *syntax->at++, '\0' };

	/* mdoc joins closing punctuation to what is before it by itself. */
	if (syntax->joined && strchr(".,:;", *mark))
		say(syntax->inv, " %s", mark);
	else
		put(syntax, mark);
	syntax->joined = true;
}

void mdoc_syntax(struct invocation *inv, const char *text)
{
	struct syntax syntax = { .inv = inv, .at = text };

	while (*syntax.at) {
		if (*syntax.at == ' ') {
			syntax.joined = false;
			syntax.at++;
		} else if (*syntax.at == '[') {
			put(&syntax, "Oo");
			syntax.joined = false; /* by itself, what comes first inside */
			syntax.at++;
		} else if (*syntax.at == ']') {
			say(inv, " Oc");
			syntax.joined = true;
			syntax.at++;
		} else if (*syntax.at == '-' &&
			   (syntax.at == text || strchr(" |[", syntax.at[-1]))) {
			take_dash(&syntax);
		} else if (isalnum((unsigned char)*syntax.at)) {
			take_syntax_word(&syntax);
		} else {
			take_mark(&syntax);
		}
	}
}

/* ---- examples -------------------------------------------------------------------- */

void mdoc_literal(struct invocation *inv, const char *text)
{
	size_t len;

	say(inv, ".Bd -literal\n");
	while (*text) {
		if (!strncmp(text, "  ", 2))
			text += 2;
		len = strcspn(text, "\n");
		say_escaped(inv, text, len, true);
		say(inv, "\n");
		text += len + (text[len] == '\n');
	}
	say(inv, ".Ed\n");
}
