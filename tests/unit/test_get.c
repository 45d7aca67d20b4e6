// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What narrows and orders the lists of `get`, and the rows that are held for it. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/get_select.h"
#include "shunt/limits.h"

/* ---- labels -------------------------------------------------------------------- */

static struct label web_labels[] = {
	{ "app", "web" },
	{ "shunt.io/tier", "front" },
	{ "inside", "" },
};
static const struct labels web = { web_labels, 3 };

static const struct {
	const char *what, *selector;
	bool takes;
} selectors[] = {
	{ "a value", "app=web", true },
	{ "another value", "app=db", false },
	{ "twice the sign", "app==web", true },
	{ "not another value", "app!=db", true },
	{ "not its own value", "app!=web", false },
	{ "not a value of a label that it lacks", "zone!=a", true },
	{ "a label that is there", "app", true },
	{ "a label that it lacks", "zone", false },
	{ "a label that has to be absent", "!zone", true },
	{ "a label that has to be absent and isn't", "! app", false },
	{ "a prefix", "shunt.io/tier=front", true },
	{ "an empty value", "inside=", true },
	{ "a name that begins like an operator", "inside", true },
	{ "one of a set", "app in (db, web)", true },
	{ "none of a set", "app in (db,cache)", false },
	{ "the label has to be there for a set", "zone in (a)", false },
	{ "an empty value of a set", "inside in (,a)", true },
	{ "not of a set", "app notin (db)", true },
	{ "of a set that it may not be of", "app notin(db,web)", false },
	{ "not of a set, without the label", "zone notin (a)", true },
	{ "all of them", "app=web,shunt.io/tier in (front),!zone", true },
	{ "all but one of them", "app=web,shunt.io/tier in (back),!zone", false },
	{ "blanks are no matter", " app = web , inside ", true },
};

static void selectors_take_what_kubectls_do(void **state)
{
	struct arena *arena = arena_new();
	struct err err = { 0 };
	size_t i;

	assert_non_null(arena);
	for (i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
		struct selector selector;

		if (selector_parse(selectors[i].selector, arena, &selector, &err))
			fail_msg("%s: %s", selectors[i].what, err.msg);
		if (selector_takes(&selector, &web) != selectors[i].takes)
			fail_msg("%s: %s", selectors[i].what, selectors[i].selector);
	}
	arena_free(arena);
}

static const struct {
	const char *selector, *why;
} bad_selectors[] = {
	{ "", "a label's name is missing" },
	{ "=web", "a label's name is missing" },
	{ "app=web,", "a label's name is missing" },
	{ "app=a b", "it is not understood" },
	{ "app=a;b", "it is not understood" },
	{ "app in a", "\"in\" and \"notin\" take values in parentheses" },
	{ "app in (a,b", "a closing parenthesis is missing" },
	{ "!app=web", "it is not understood" },
	{ "/app", "a label's name is NAME or PREFIX/NAME of at most 63 letters" },
	{ "a/b/c", "a label's name is NAME or PREFIX/NAME of at most 63 letters" },
	{ "a/", "a label's name is NAME or PREFIX/NAME of at most 63 letters" },
	{ "a2345678901234567890123456789012345678901234567890123456789012345",
	  "a label's name is NAME or PREFIX/NAME of at most 63 letters" },
	{ "a=a2345678901234567890123456789012345678901234567890123456789012345",
	  "a label's value has at most 63 letters" },
};

static void what_is_no_selector_is_refused(void **state)
{
	struct arena *arena = arena_new();
	struct err err = { 0 };
	struct selector selector;
	char expected[256];
	size_t i;

	assert_non_null(arena);
	for (i = 0; i < sizeof(bad_selectors) / sizeof(bad_selectors[0]); i++) {
		assert_int_equal(selector_parse(bad_selectors[i].selector, arena, &selector, &err),
				 -EINVAL);
		(void)snprintf(expected, sizeof(expected),
			       "--selector: \"%.100s\": %s (like app=web,tier!=db,env in "
			       "(a,b),!old)",
			       bad_selectors[i].selector, bad_selectors[i].why);
		assert_string_equal(err.msg, expected);
		assert_int_equal(err.exit, EXIT_USAGE);
	}
	arena_free(arena);
}

/* "a,a,…": @n of them in @fmt's place */
static void repeat(char *buf, size_t size, const char *item, size_t n)
{
	size_t len = strlen(buf), i;

	for (i = 0; i < n; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? "," : "", item);
}

static void selectors_have_limits(void **state)
{
	struct arena *arena = arena_new();
	struct err err = { 0 };
	struct selector selector;
	char text[4096] = "";

	assert_non_null(arena);
	repeat(text, sizeof(text), "a", SH_SELECTOR_MAX);
	assert_int_equal(selector_parse(text, arena, &selector, &err), 0);
	assert_int_equal(selector.n, SH_SELECTOR_MAX);
	(void)strcat(text, ",a");
	assert_int_equal(selector_parse(text, arena, &selector, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "limit SH_SELECTOR_MAX"));
	(void)strcpy(text, "a in (");
	repeat(text, sizeof(text), "b", SH_SELECTOR_TERMS);
	assert_int_equal(selector_parse(strcat(text, ")"), arena, &selector, &err), 0);
	assert_int_equal(selector.v[0].n_values, SH_SELECTOR_TERMS);
	text[strlen(text) - 1] = '\0';
	assert_int_equal(selector_parse(strcat(text, ",b)"), arena, &selector, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "limit SH_SELECTOR_TERMS"));
	arena_free(arena);
}

/* ---- ends ---------------------------------------------------------------------- */

static const struct {
	const char *end, *addr;
	uint16_t port;
	bool takes;
} ends[] = {
	{ "10.0.0.1", "10.0.0.1", 80, true },	  { "10.0.0.1", "10.0.0.2", 80, false },
	{ "10.0.0.1:80", "10.0.0.1", 80, true },  { "10.0.0.1:80", "10.0.0.1", 81, false },
	{ "10.0.0.1:80", "10.0.0.2", 80, false }, { "10.0.0.0/24", "10.0.0.255", 1, true },
	{ "10.0.0.0/24", "10.0.1.0", 1, false },  { "0.0.0.0/0", "fd00::1", 1, false },
	{ "fd00::1", "fd00::1", 1, true },	  { "fd00::/64", "fd00::2:1", 1, true },
	{ "fd00::/64", "fd01::1", 1, false },	  { "[fd00::1]:443", "fd00::1", 443, true },
	{ "[fd00::1]:443", "fd00::1", 0, false },
};

static void ends_are_addresses_networks_and_ports(void **state)
{
	struct err err = { 0 };
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct get_end end = { 0 };
		struct sh_addr addr;

		assert_int_equal(addr_parse(ends[i].addr, &addr), 0);
		assert_true(get_end_takes(&end, &addr, htons(ends[i].port)));
		assert_int_equal(get_end_parse("src", ends[i].end, &end, &err), 0);
		if (get_end_takes(&end, &addr, htons(ends[i].port)) != ends[i].takes)
			fail_msg("%s and %s:%u", ends[i].end, ends[i].addr, ends[i].port);
	}
}

static void what_is_no_end_is_refused(void **state)
{
	static const char *const bad[] = { "",		"web",	       "10.0.0.1/24",
					   "10.0.0.1:", "10.0.0.1:0",  "10.0.0.0/33",
					   ":80",	"fd00::1]:80", "10.0.0.1:70000" };
	struct err err = { 0 };
	struct get_end end;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(get_end_parse("dst", bad[i], &end, &err), -EINVAL);
		assert_int_equal(err.exit, EXIT_USAGE);
		assert_ptr_equal(strstr(err.msg, "--dst: \""), err.msg);
	}
}

/* ---- order and rows ------------------------------------------------------------ */

enum { NAME, PORTS, COUNT, AGE, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[NAME] = { "NAME", "name", COLUMN_TEXT, COLUMN_NAME | COLUMN_ID, "" },
	[PORTS] = { "PORT(S)", "ports", COLUMN_TREE, 0, "" },
	[COUNT] = { "PACKETS", "count", COLUMN_NUMBER, 0, "" },
	[AGE] = { "AGE", "age", COLUMN_AGE, 0, "" },
};

static const struct listing listing = { "Thing", "thing", columns, N_COLUMNS };

static const struct {
	const char *text;
	size_t column;
	bool descending;
} orders[] = {
	{ "name", NAME, false },     { "-NAME", NAME, true },  { "+name", NAME, false },
	{ "packets", COUNT, true },  { "Count", COUNT, true }, { "+packets", COUNT, false },
	{ "-packets", COUNT, true }, { "age", AGE, true },     { "port(s)", PORTS, false },
	{ "ports", PORTS, false },
};

static void orders_are_columns(void **state)
{
	struct rows_order order;
	struct err err = { 0 };
	size_t i;

	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		assert_int_equal(get_order_parse(&listing, orders[i].text, &order, &err), 0);
		assert_int_equal(order.column, orders[i].column);
		assert_int_equal(order.descending, orders[i].descending);
	}
	assert_int_equal(get_order_parse(&listing, "packet", &order, &err), -EINVAL);
	assert_string_equal(err.msg, "--sort-by: thing lists have no column \"packet\" (did you "
				     "mean \"packets\"?)");
	assert_int_equal(get_order_parse(&listing, "-", &order, &err), -EINVAL);
	assert_int_equal(get_order_parse(&listing, "qqqqqqqq", &order, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "the headers of -o wide"));
}

struct thing {
	const char *name;
	uint64_t count, age;
};

static struct rows *things(const struct thing *v, size_t n)
{
	struct rows *rows = rows_new(&listing);
	size_t i;

	assert_non_null(rows);
	for (i = 0; i < n; i++) {
		const struct cell cells[N_COLUMNS] = {
			[NAME] = { .text = v[i].name },
			[PORTS] = { .text = v[i].count ? "80" : NULL,
				    .tree = v[i].count ? json_pack("[i]", 80) : NULL },
			[COUNT] = { .number = v[i].count },
			[AGE] = { .number = v[i].age },
		};

		assert_int_equal(rows_add(rows, cells), 0);
	}
	assert_int_equal(rows_count(rows), n);
	return rows;
}

/* What @rows are, or have become since @before; free() it. */
static char *written(const struct rows *rows, const struct rows *before, enum output_format format)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	struct output *output;

	assert_non_null(to);
	output = output_new(&listing, format, false, to);
	assert_non_null(output);
	if (before)
		output_changes(output);
	assert_int_equal(
		before ? rows_write_changes(rows, before, output) : rows_write(rows, output), 0);
	assert_int_equal(output_finish(output), 0);
	output_free(output);
	assert_int_equal(fclose(to), 0);
	return text;
}

static void expect_written(const struct rows *rows, const struct rows *before,
			   enum output_format format, const char *expected)
{
	char *text = written(rows, before, format);

	assert_string_equal(text, expected);
	free(text);
}

static const struct thing some[] = {
	{ "10.0.0.11", 5, 1 },
	{ "10.0.0.9", 7, 2 },
	{ "web", 5, 3 },
	{ NULL, 0, 4 },
};

static void rows_are_sorted(void **state)
{
	struct rows *rows = things(some, 4);

	rows_sort(rows, &(struct rows_order){ COUNT, true });
	expect_written(rows, NULL, OUTPUT_NAME,
		       "thing/10.0.0.9\nthing/10.0.0.11\nthing/web\nthing/\n");
	rows_sort(rows, &(struct rows_order){ COUNT, false });
	expect_written(rows, NULL, OUTPUT_NAME,
		       "thing/\nthing/10.0.0.11\nthing/web\nthing/10.0.0.9\n");
	rows_sort(rows, &(struct rows_order){ NAME, false });
	expect_written(rows, NULL, OUTPUT_NAME,
		       "thing/\nthing/10.0.0.9\nthing/10.0.0.11\nthing/web\n");
	rows_sort(rows, &(struct rows_order){ NAME, true });
	expect_written(rows, NULL, OUTPUT_NAME,
		       "thing/web\nthing/10.0.0.11\nthing/10.0.0.9\nthing/\n");
	rows_sort(rows, &(struct rows_order){ AGE, true });
	expect_written(rows, NULL, OUTPUT_JSON,
		       "{\"kind\": \"ThingList\", \"items\": [\n"
		       "{\"name\": null, \"ports\": null, \"count\": 0, \"age\": 4},\n"
		       "{\"name\": \"web\", \"ports\": [80], \"count\": 5, \"age\": 3},\n"
		       "{\"name\": \"10.0.0.9\", \"ports\": [80], \"count\": 7, \"age\": 2},\n"
		       "{\"name\": \"10.0.0.11\", \"ports\": [80], \"count\": 5, \"age\": 1}\n"
		       "]}\n");
	rows_free(rows);
}

static void changes_are_what_differs(void **state)
{
	static const struct thing later[] = {
		{ "10.0.0.9", 8, 2 },
		{ "new", 1, 1 },
		{ "web", 5, 99 },
		{ NULL, 0, 5 },
	};
	struct rows *before = things(some, 4), *now = things(later, 4), *none = things(NULL, 0);

	expect_written(now, before, OUTPUT_NAME,
		       "thing/10.0.0.9\nthing/new\nthing/10.0.0.11 deleted\n");
	expect_written(now, before, OUTPUT_JSON,
		       "{\"name\": \"10.0.0.9\", \"ports\": [80], \"count\": 8, \"age\": 2}\n"
		       "{\"name\": \"new\", \"ports\": [80], \"count\": 1, \"age\": 1}\n"
		       "{\"name\": \"10.0.0.11\", \"ports\": [80], \"count\": 5, \"age\": 1, "
		       "\"deleted\": true}\n");
	expect_written(before, before, OUTPUT_TABLE, "");
	expect_written(none, before, OUTPUT_YAML,
		       "---\nname: 10.0.0.11\nports:\n- 80\ncount: 5\nage: 1\ndeleted: true\n"
		       "---\nname: 10.0.0.9\nports:\n- 80\ncount: 7\nage: 2\ndeleted: true\n"
		       "---\nname: web\nports:\n- 80\ncount: 5\nage: 3\ndeleted: true\n"
		       "---\nname: null\nports: null\ncount: 0\nage: 4\ndeleted: true\n");
	expect_written(before, none, OUTPUT_TABLE,
		       "NAME        PORT(S)   PACKETS   AGE\n"
		       "10.0.0.11   80        5         1s\n"
		       "10.0.0.9    80        7         2s\n"
		       "web         80        5         3s\n"
		       "<none>      <none>    0         4s\n");
	rows_free(before);
	rows_free(now);
	rows_free(none);
}

/* As a live table goes: rows, then one that is gone, under the same header. */
static void a_table_of_changes_says_what_is_gone(void **state)
{
	struct rows *before = things(some, 2), *now = things(some, 1), *none = things(NULL, 0);
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	struct output *output = output_new(&listing, OUTPUT_TABLE, false, to);

	assert_non_null(output);
	output_changes(output);
	assert_int_equal(rows_write_changes(before, none, output), 0);
	assert_int_equal(output_flush(output), 0);
	assert_int_equal(rows_write_changes(now, before, output), 0);
	assert_int_equal(output_flush(output), 0);
	output_free(output);
	fclose(to);
	assert_string_equal(text, "NAME        PORT(S)   PACKETS   AGE\n"
				  "10.0.0.11   80        5         1s\n"
				  "10.0.0.9    80        7         2s\n"
				  "10.0.0.9    80        7         2s   (deleted)\n");
	free(text);
	rows_free(before);
	rows_free(now);
	rows_free(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selectors_take_what_kubectls_do),
		cmocka_unit_test(what_is_no_selector_is_refused),
		cmocka_unit_test(selectors_have_limits),
		cmocka_unit_test(ends_are_addresses_networks_and_ports),
		cmocka_unit_test(what_is_no_end_is_refused),
		cmocka_unit_test(orders_are_columns),
		cmocka_unit_test(rows_are_sorted),
		cmocka_unit_test(changes_are_what_differs),
		cmocka_unit_test(a_table_of_changes_says_what_is_gone),
	};

	return cmocka_run_group_tests_name("get", tests, NULL, NULL);
}
