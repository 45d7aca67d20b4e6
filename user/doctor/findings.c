// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What was found: kept, put in order, shown. */
#include "doctor/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "shunt/limits.h"

static bool same(const struct finding *a, const struct tell *b, const char *check)
{
	return !strcmp(a->check, check) && !strcmp(a->object, b->object) &&
	       !strcmp(a->what, b->what) && !strcmp(a->evidence, b->evidence);
}

static bool grow(struct findings *findings)
{
	size_t cap = findings->cap ? findings->cap * 2 : 32;
	struct finding *v;

	if (!findings->arena)
		findings->arena = arena_new();
	if (!findings->arena)
		return false;
	if (findings->n < findings->cap)
		return true;
	v = reallocarray(findings->v, cap, sizeof(*v));
	if (!v)
		return false;
	findings->v = v;
	findings->cap = cap;
	return true;
}

void doctor_tell(struct doctor *doctor, const struct tell *tell)
{
	struct findings *findings = &doctor->findings;
	const char *check = tell->check ? tell->check : doctor->check;
	struct finding found = { .level = tell->level, .check = check };
	size_t i;

	for (i = 0; i < findings->n; i++) {
		if (same(&findings->v[i], tell, check))
			return;
	}
	if (findings->n == SH_FINDINGS_MAX) {
		findings->n_more++;
		return;
	}
	if (!grow(findings)) {
		findings->no_memory = true;
		return;
	}
	found.object = arena_strdup(findings->arena, tell->object);
	found.what = arena_strdup(findings->arena, tell->what);
	found.evidence = arena_strdup(findings->arena, tell->evidence);
	found.fix = arena_strdup(findings->arena, tell->fix);
	if (found.object && found.what && found.evidence && found.fix)
		findings->v[findings->n++] = found;
	else
		findings->no_memory = true;
}

const char *doctor_text(struct doctor *doctor, const char *fmt, ...)
{
	struct findings *findings = &doctor->findings;
	const char *kept = NULL;
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len >= 0 && grow(findings))
		kept = arena_strdup(findings->arena, text);
	if (len >= 0)
		free(text);
	findings->no_memory |= !kept;
	return kept ? kept : "";
}

const char *finding_level_name(enum finding_level level)
{
	switch (level) {
	case FINDING_ERROR:
		return "error";
	case FINDING_WARNING:
		return "warning";
	case FINDING_NOTE:
		return "note";
	}
	return "unknown";
}

bool findings_are_bad(const struct findings *findings)
{
	size_t i;

	for (i = 0; i < findings->n; i++) {
		if (findings->v[i].level != FINDING_NOTE)
			return true;
	}
	return findings->n_more > 0;
}

static int finding_cmp(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int cmp = (int)x->level - (int)y->level;

	if (!cmp)
		cmp = strcmp(x->object, y->object);
	return cmp ? cmp : strcmp(x->check, y->check);
}

void findings_sort(struct findings *findings)
{
	if (findings->n)
		qsort(findings->v, findings->n, sizeof(*findings->v), finding_cmp);
}

void findings_done(struct findings *findings)
{
	arena_free(findings->arena);
	free(findings->v);
	*findings = (struct findings){ 0 };
}

/* ---- showing ------------------------------------------------------------------------ */

#define WORDS_COLUMNS 96

/* "  word: text", wrapped below its own beginning. */
static void print_wrapped(FILE *to, const char *head, const char *text)
{
	int column = fprintf(to, "  %-9s", head), len;
	const int indent = column;

	while (*text) {
		len = (int)strcspn(text, " ");
		if (column > indent && column + 1 + len > WORDS_COLUMNS) {
			(void)fprintf(to, "\n%*s", indent, "");
			column = indent;
		}
		column += fprintf(to, "%s%.*s", column > indent ? " " : "", len, text);
		text += len;
		text += strspn(text, " ");
	}
	(void)fputc('\n', to);
}

static void print_words(const struct findings *findings, FILE *to)
{
	size_t i;

	for (i = 0; i < findings->n; i++) {
		const struct finding *f = &findings->v[i];

		(void)fprintf(to, "%s%s  %s  (%s)\n", i ? "\n" : "", finding_level_name(f->level),
			      f->object, f->check);
		print_wrapped(to, "what", f->what);
		print_wrapped(to, "evidence", f->evidence);
		print_wrapped(to, "fix", f->fix);
	}
	if (!findings->n)
		(void)fprintf(to, "nothing found\n");
	if (findings->n_more)
		(void)fprintf(to,
			      "\n%zu more findings (limit SH_FINDINGS_MAX, %d): name a Service\n",
			      findings->n_more, SH_FINDINGS_MAX);
}

static json_t *findings_tree(const struct findings *findings)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; list && i < findings->n; i++) {
		const struct finding *f = &findings->v[i];
		json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "check", f->check,
					 "level", finding_level_name(f->level), "object", f->object,
					 "what", f->what, "evidence", f->evidence, "fix", f->fix);

		if (json_array_append_new(list, item)) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:o, s:I}", "findings", list, "more", (json_int_t)findings->n_more);
}

int findings_print(const struct findings *findings, enum output_format format, FILE *to)
{
	json_t *tree;
	int ret;

	if (format == OUTPUT_TABLE) {
		print_words(findings, to);
		return ferror(to) ? -EIO : 0;
	}
	tree = findings_tree(findings);
	ret = tree ? output_document(to, format, tree) : -ENOMEM;
	json_decref(tree);
	return ret;
}

/* ---- lists --------------------------------------------------------------------------- */

void listed_add(struct listed *listed, const char *word)
{
	size_t len = strlen(listed->text);

	if (listed->n++ < LISTED_MOST)
		(void)snprintf(listed->text + len, sizeof(listed->text) - 24 - len, "%s%s",
			       len ? ", " : "", word);
}

const char *listed_text(struct listed *listed)
{
	size_t len = strlen(listed->text);

	if (listed->n > LISTED_MOST && !listed->ended)
		(void)snprintf(listed->text + len, sizeof(listed->text) - len, " and %zu more",
			       listed->n - LISTED_MOST);
	listed->ended = true;
	return listed->text;
}
