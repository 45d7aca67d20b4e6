// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One list in every format, and what becomes of a list that can't be written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/output.h"

enum { NS, NAME, PORTS, COUNT, AGE, HERE, SECRET, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[NS] = { "NAMESPACE", "namespace", COLUMN_TEXT, COLUMN_NAMESPACE, "" },
	[NAME] = { "NAME", "name", COLUMN_TEXT, COLUMN_NAME, "" },
	[PORTS] = { "PORT(S)", "ports", COLUMN_TREE, 0, "" },
	[COUNT] = { "COUNT", "count", COLUMN_NUMBER, 0, "" },
	[AGE] = { "AGE", "age", COLUMN_AGE, COLUMN_WIDE, "" },
	[HERE] = { "HERE", "here", COLUMN_BOOL, 0, "" },
	[SECRET] = { "NARROW", NULL, COLUMN_TEXT, COLUMN_NARROW, "" },
};

static const struct listing listing = { "Thing", "thing", columns, N_COLUMNS };

static int thing(struct output *output, const char *name, uint64_t count)
{
	struct cell cells[N_COLUMNS] = {
		[NS] = { .text = "default" },
		[NAME] = { .text = name },
		[PORTS] = { .text = count ? "80/TCP" : NULL },
		[COUNT] = { .number = count },
		[AGE] = { .number = 303 },
		[HERE] = { .number = count & 1 },
		[SECRET] = { .text = "n" },
	};

	if (output_wants_trees(output))
		cells[PORTS].tree = count ? json_pack("[i]", 80) : json_array();
	return output_row(output, cells);
}

/* The text of @n things in @format; free() it. */
static char *written(enum output_format format, bool namespaces, size_t n)
{
	static const char *const names[] = { "a", "a-longer-one", "null" };
	char *text = NULL;
	size_t len, i;
	FILE *to = open_memstream(&text, &len);
	struct output *output;

	assert_non_null(to);
	output = output_new(&listing, format, namespaces, to);
	assert_non_null(output);
	for (i = 0; i < n; i++)
		assert_int_equal(thing(output, names[i % 3], i), 0);
	assert_int_equal(output_rows(output), n);
	assert_int_equal(output_finish(output), 0);
	output_free(output);
	fclose(to);
	return text;
}

static const struct {
	const char *what;
	enum output_format format;
	bool namespaces;
	size_t n;
	const char *text;
} cases[] = {
	{ "a table is aligned, without blanks at the end", OUTPUT_TABLE, false, 2,
	  "NAME           PORT(S)   COUNT   HERE   NARROW\n"
	  "a              <none>    0       no     n\n"
	  "a-longer-one   80/TCP    1       yes    n\n" },
	{ "over all namespaces it tells them apart", OUTPUT_TABLE, true, 1,
	  "NAMESPACE   NAME   PORT(S)   COUNT   HERE   NARROW\n"
	  "default     a      <none>    0       no     n\n" },
	{ "the wide one has more columns", OUTPUT_WIDE, false, 1,
	  "NAME   PORT(S)   COUNT   AGE    HERE\n"
	  "a      <none>    0       5m3s   no\n" },
	{ "an empty table is no table", OUTPUT_TABLE, false, 0, "" },
	{ "names are what other commands take", OUTPUT_NAME, false, 2,
	  "thing/a\nthing/a-longer-one\n" },
	{ "JSON is one item a line", OUTPUT_JSON, false, 2,
	  "{\"kind\": \"ThingList\", \"items\": [\n"
	  "{\"namespace\": \"default\", \"name\": \"a\", \"ports\": [], \"count\": 0, "
	  "\"age\": 303, \"here\": false},\n"
	  "{\"namespace\": \"default\", \"name\": \"a-longer-one\", \"ports\": [80], "
	  "\"count\": 1, \"age\": 303, \"here\": true}\n"
	  "]}\n" },
	{ "no items are an empty list", OUTPUT_JSON, false, 0,
	  "{\"kind\": \"ThingList\", \"items\": []}\n" },
	{ "YAML quotes what would be no string", OUTPUT_YAML, false, 3,
	  "kind: ThingList\n"
	  "items:\n"
	  "- namespace: default\n"
	  "  name: a\n"
	  "  ports: []\n"
	  "  count: 0\n"
	  "  age: 303\n"
	  "  here: false\n"
	  "- namespace: default\n"
	  "  name: a-longer-one\n"
	  "  ports:\n"
	  "  - 80\n"
	  "  count: 1\n"
	  "  age: 303\n"
	  "  here: true\n"
	  "- namespace: default\n"
	  "  name: \"null\"\n"
	  "  ports:\n"
	  "  - 80\n"
	  "  count: 2\n"
	  "  age: 303\n"
	  "  here: false\n" },
	{ "no items are an empty list in YAML too", OUTPUT_YAML, false, 0,
	  "kind: ThingList\nitems: []\n" },
};

static void every_format_from_the_same_rows(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = written(cases[i].format, cases[i].namespaces, cases[i].n);

		if (strcmp(text, cases[i].text) != 0)
			print_error("%s\n", cases[i].what);
		assert_string_equal(text, cases[i].text);
		free(text);
	}
}

/* More rows than are held back: all of them, in order, under one header. */
static void long_tables_stream(void **state)
{
	size_t n = OUTPUT_ALIGN_ROWS + 500, lines = 0;
	char *text = written(OUTPUT_TABLE, false, n), *c, *last = text;

	for (c = text; *c; c++) {
		lines += *c == '\n';
		if (*c == '\n' && c[1])
			last = c + 1;
	}
	assert_int_equal(lines, n + 1);
	assert_non_null(strstr(last, "1499"));
	assert_null(strstr(text + 4, "NAME"));
	free(text);
}

static void long_json_is_json(void **state)
{
	char *text = written(OUTPUT_JSON, false, 2500);
	json_t *tree = json_loads(text, 0, NULL);

	assert_non_null(tree);
	assert_int_equal(json_array_size(json_object_get(tree, "items")), 2500);
	json_decref(tree);
	free(text);
}

/* A device may be called by bytes that are no UTF-8; a list goes on for all that. */
static void text_that_is_no_utf8_is_shown_mended(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	struct output *output;

	assert_non_null(to);
	output = output_new(&listing, OUTPUT_JSON, false, to);
	assert_non_null(output);
	assert_int_equal(thing(output, "et\xffh", 1), 0);
	assert_int_equal(output_finish(output), 0);
	output_free(output);
	fclose(to);
	assert_non_null(strstr(text, "\"name\": \"et?h\""));
	free(text);
}

/* /dev/full takes nothing: each format says so, at the latest at its end. */
static void a_full_disk_is_reported(void **state)
{
	static const enum output_format formats[] = { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON,
						      OUTPUT_YAML, OUTPUT_NAME };
	size_t i, row;

	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		FILE *to = fopen("/dev/full", "w");
		struct output *output;
		int ret = 0;

		assert_non_null(to);
		output = output_new(&listing, formats[i], false, to);
		assert_non_null(output);
		for (row = 0; !ret && row < 3000; row++)
			ret = thing(output, "x", row);
		if (!ret)
			ret = output_finish(output);
		assert_int_equal(ret, -ENOSPC);
		output_free(output);
		fclose(to);
	}
}

static const struct {
	uint64_t seconds;
	const char *text;
} ages[] = {
	{ 0, "0s" },	    { 59, "59s" },	   { 60, "1m0s" },
	{ 3599, "59m59s" }, { 3600, "1h0m" },	   { 86399, "23h59m" },
	{ 86400, "1d0h" },  { 8640000, "100d0h" }, { UINT64_MAX, NULL },
};

static void ages_are_short(void **state)
{
	char buf[AGE_STRLEN];
	size_t i;

	for (i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
		age_format(ages[i].seconds, buf);
		assert_true(strlen(buf) < AGE_STRLEN);
		if (ages[i].text)
			assert_string_equal(buf, ages[i].text);
	}
}

static void a_document_in_yaml(void **state)
{
	json_t *tree = json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:n}", "a", "10.96.0.1", "b",
				 "1:20", "c", "on", "d", "", "e", 7, "f", 1, "g");
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	assert_int_equal(output_document(to, OUTPUT_YAML, tree), 0);
	fclose(to);
	assert_string_equal(text, "a: 10.96.0.1\nb: \"1:20\"\nc: \"on\"\nd: \"\"\ne: 7\nf: true\n"
				  "g: null\n");
	json_decref(tree);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_from_the_same_rows),
		cmocka_unit_test(long_tables_stream),
		cmocka_unit_test(long_json_is_json),
		cmocka_unit_test(text_that_is_no_utf8_is_shown_mended),
		cmocka_unit_test(a_full_disk_is_reported),
		cmocka_unit_test(ages_are_short),
		cmocka_unit_test(a_document_in_yaml),
	};

	return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
