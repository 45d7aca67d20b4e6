// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `top` without a kernel and without a terminal: rates, rows, columns, bars, keys. */
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

#include "top/top.h"
#include "top/ui.h"

#define SECOND 1000000000ull

/* ---- a little world ------------------------------------------------------------------- */

static void name(struct top *top, uint32_t service, const char *called, uint32_t backend)
{
	struct sh_meta_service meta = { .port = 80, .proto = IPPROTO_TCP, .family = 4 };
	const struct sh_backend line = { .addr = addr_from_v4(htonl(0x0a000000 + backend)),
					 .id = backend,
					 .service = service,
					 .port = htons(8080),
					 .weight = 1,
					 .flags = SH_BE_IN_CLUSTER };
	const struct top_backend_name named = { &line, &meta, "pod", "node" };
	const char *slash = strchr(called, '/');

	(void)snprintf(meta.ns, sizeof(meta.ns), "%.*s", (int)(slash - called), called);
	(void)snprintf(meta.name, sizeof(meta.name), "%s", slash + 1);
	assert_int_equal(top_name_service(top, service, &meta), 0);
	if (backend)
		assert_int_equal(top_name_backend(top, &named), 0);
}

/* shop/web: backends 1 and 2; shop/db: 3; ops/idle: none */
static void name_all(struct top *top)
{
	top_names_begin(top);
	name(top, 10, "shop/web", 1);
	name(top, 10, "shop/web", 2);
	name(top, 11, "shop/db", 3);
	name(top, 12, "ops/idle", 0);
	top_names_end(top);
}

static void count(struct top *top, uint32_t id, uint64_t connections, uint64_t bytes)
{
	const struct top_count one = { .id = id,
				       .flags = SH_BE_IN_CLUSTER,
				       .weight = 1,
				       .live = id,
				       .connections = connections,
				       .packets = bytes / 100,
				       .bytes = bytes };

	top_count_backend(top, &one);
}

static void sample(struct top *top, uint64_t at, const uint64_t connections[3],
		   const uint64_t bytes[3])
{
	uint32_t i;

	top_sample_begin(top, at);
	for (i = 0; i < 3; i++)
		count(top, i + 1, connections[i], bytes[i]);
	top_sample_end(top);
}

static const uint64_t none[3], first[3] = { 1000, 2000, 3000 };

static void busy(struct top *top)
{
	top_init(top);
	name_all(top);
	sample(top, SECOND, first, first);
	sample(top, 3 * SECOND, (const uint64_t[]){ 1300, 2100, 3020 },
	       (const uint64_t[]){ 1000, 4000, 9000000 });
}

static void near(double is, double wanted)
{
	if (is < wanted - 0.001 || is > wanted + 0.001)
		fail_msg("%f, not %f", is, wanted);
}

/* ---- rates ------------------------------------------------------------------------------ */

static void rates_are_differences_over_time(void **state)
{
	const struct top_service *web;
	struct top top;

	busy(&top);
	web = top_find(&top, "shop", "web");
	assert_non_null(web);
	near(top.seconds, 2);
	near(web->rates.connections, 200);
	near(web->rates.bytes, 1000);
	near(web->rates.packets, 10);
	near(top.total.connections, 210);
	assert_int_equal(web->live, 3);
	assert_int_equal(web->n_serving, 2);
	assert_int_equal(web->n_backends, 2);
	assert_int_equal(top.live, 6);
	assert_null(top_find(&top, "ops", "web"));
	top_done(&top);
}

static void the_first_sample_has_no_rates(void **state)
{
	struct top top;

	top_init(&top);
	name_all(&top);
	sample(&top, SECOND, first, first);
	near(top.seconds, 0);
	near(top.total.connections, 0);
	near(top.total.bytes, 0);
	top_done(&top);
}

static void less_than_before_is_no_rate(void **state)
{
	struct top top;

	busy(&top);
	sample(&top, 4 * SECOND, none, none); /* made anew */
	near(top.total.connections, 0);
	near(top.total.bytes, 0);
	sample(&top, 5 * SECOND, (const uint64_t[]){ 7, 0, 0 }, none);
	near(top.total.connections, 7);
	top_done(&top);
}

static void what_is_new_has_no_rate_yet(void **state)
{
	struct top top;

	busy(&top);
	top_sample_begin(&top, 4 * SECOND);
	count(&top, 4, 1000000, 1000000);
	top_sample_end(&top);
	assert_true(top.stale); /* nobody has named it */
	top_names_begin(&top);
	name(&top, 10, "shop/web", 4);
	top_names_end(&top);
	assert_false(top.stale);
	top_sample_begin(&top, 5 * SECOND);
	count(&top, 4, 1000000, 1000000);
	top_sample_end(&top);
	near(top.total.connections, 0);
	top_sample_begin(&top, 6 * SECOND);
	count(&top, 4, 1000050, 1000000);
	top_sample_end(&top);
	near(top.total.connections, 50);
	assert_null(top_find(&top, "shop", "db"));
	top_done(&top);
}

static void a_gap_is_no_interval(void **state)
{
	struct top top;

	busy(&top);
	sample(&top, 4 * SECOND, first, first);
	top_sample_begin(&top, 5 * SECOND); /* backend 1 is away */
	count(&top, 2, 2000, 2000);
	top_sample_end(&top);
	near(top_find(&top, "shop", "web")->rates.connections, 0);
	sample(&top, 6 * SECOND, (const uint64_t[]){ 900000, 2001, 3000 }, first);
	near(top.total.connections, 1);
	top_forget(&top);
	sample(&top, 7 * SECOND, (const uint64_t[]){ 990000, 3001, 4000 }, first);
	near(top.total.connections, 0);
	top_done(&top);
}

static void another_instance_with_the_same_ids(void **state)
{
	const struct top_service *db;
	struct top top;

	busy(&top);
	top_names_begin(&top);
	name(&top, 10, "shop/db", 1);
	top_names_end(&top);
	db = top_find(&top, "shop", "db");
	assert_non_null(db);
	assert_int_equal(db->n_backends, 1);
	assert_null(db->backends->next);
	assert_int_equal(db->backends->id, 1);
	assert_null(top_find(&top, "shop", "web"));
	top_done(&top);
}

static void drops_belong_to_services_and_to_reasons(void **state)
{
	struct top top;
	uint64_t at;

	busy(&top);
	for (at = 4; at < 6; at++) {
		top_sample_begin(&top, at * SECOND);
		top_count_drop(&top, 12, SH_REASON_NO_BACKEND, at * 10);
		top_count_drop(&top, 0, SH_REASON_UNALLOCATED, at * 3);
		top_count_drop(&top, 99, SH_REASON_UNALLOCATED, at);
		top_sample_end(&top);
	}
	near(top_find(&top, "ops", "idle")->rates.drops, 10);
	near(top.reason_rates[SH_REASON_UNALLOCATED], 4);
	near(top.total.drops, 14);
	top_done(&top);
}

/* ---- texts ------------------------------------------------------------------------------- */

static void rates_have_five_letters_at_most(void **state)
{
	static const struct {
		double rate;
		const char *text;
	} rows[] = {
		{ 0, "0" },	   { -1, "0" },	      { 0.0 / 0.0, "0" }, { 0.01, "0.1" },
		{ 0.44, "0.4" },   { 1, "1" },	      { 1.25, "1.2" },	  { 9.94, "9.9" },
		{ 9.96, "10" },	   { 12, "12" },      { 999.4, "999" },	  { 999.6, "1k" },
		{ 1234, "1.2k" },  { 99999, "100k" }, { 999499, "999k" }, { 999500, "1M" },
		{ 2.5e9, "2.5G" }, { 1.2e13, "12T" }, { 5e18, "5E" },	  { 1e30, "999E" },
	};
	char buf[TOP_RATE_SIZE];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_string_equal(top_rate_format(rows[i].rate, buf), rows[i].text);
		assert_true(strlen(buf) <= 5);
	}
}

static void bars_are_as_long_as_shares(void **state)
{
	static const struct {
		double share;
		int width;
		bool utf8;
		const char *bar;
	} rows[] = {
		{ 0, 4, false, "...." },    { 1, 4, false, "####" }, { 0.5, 4, false, "##.." },
		{ 7, 4, false, "####" },    { -1, 2, false, ".." },  { 0.0 / 0.0, 2, false, ".." },
		{ 0.5, 0, false, "" },	    { 0.5, -3, false, "" },  { 0, 3, true, "   " },
		{ 1, 3, true, "███" },	    { 0.5, 3, true, "█▌ " }, { 0.0417, 3, true, "▏  " },
		{ 0.6667, 3, true, "██ " },
	};
	char buf[TOP_CELL_SIZE];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(top_bar_format(rows[i].share, rows[i].width, rows[i].utf8, buf),
				    rows[i].bar);
	(void)top_bar_format(1, 100000, true, buf);
	assert_true(strlen(buf) < TOP_CELL_SIZE);
}

/* ---- columns ------------------------------------------------------------------------------- */

static bool has_column(const struct top_layout *layout, enum top_column column)
{
	size_t i;

	for (i = 0; i < layout->n; i++) {
		if (layout->fields[i]->column == column)
			return true;
	}
	return false;
}

static void any_width_has_its_columns(void **state)
{
	struct top_layout layout;
	int width, view, sum;
	size_t i;

	for (view = 0; view < TOP_VIEWS; view++) {
		for (width = 1; width < 300; width++) {
			top_layout((enum top_view)view, width, &layout);
			assert_true(layout.n >= 1);
			assert_int_equal(layout.fields[0]->column, TOP_NAME);
			for (i = 0, sum = (int)layout.n - 1; i < layout.n; i++)
				sum += layout.width[i];
			if (sum > width)
				fail_msg("view %d: %d columns on %d", view, sum, width);
		}
	}
	top_layout(TOP_SERVICES, 80, &layout);
	assert_int_equal(layout.n, 7);
	top_layout(TOP_SERVICES, 24, &layout);
	assert_int_equal(layout.n, 2);
	assert_true(has_column(&layout, TOP_CONNECTIONS));
	top_layout(TOP_BACKENDS, 80, &layout);
	assert_true(has_column(&layout, TOP_CONNECTIONS_BAR) && has_column(&layout, TOP_FLOWS_BAR));
	assert_false(has_column(&layout, TOP_NODE));
	assert_null(top_field(TOP_SERVICES, TOP_POD));
	assert_string_equal(top_field(TOP_BACKENDS, TOP_POD)->header, "POD");
}

/* "shop/web shop/db ops/idle" of rows, in their order */
static const char *rows_text(const struct top_rows *rows, char buf[static 256])
{
	const struct top_style style = { 0 };
	char cell[TOP_CELL_SIZE];
	enum top_view view = rows->n && rows->v[0].backend ? TOP_BACKENDS : TOP_SERVICES;
	size_t i;

	buf[0] = '\0';
	for (i = 0; i < rows->n; i++)
		(void)snprintf(buf + strlen(buf), 256 - strlen(buf), "%s%s", i ? " " : "",
			       top_cell(&rows->v[i], top_field(view, TOP_NAME), 20, &style, cell));
	return buf;
}

static void rows_are_chosen_and_sorted(void **state)
{
	static const struct {
		struct top_choice choice;
		struct top_order order;
		const char *rows;
	} cases[] = {
		{ { 0 }, { TOP_CONNECTIONS, false }, "shop/web shop/db ops/idle" },
		{ { 0 }, { TOP_CONNECTIONS, true }, "ops/idle shop/db shop/web" },
		{ { 0 }, { TOP_BYTES, false }, "shop/db shop/web ops/idle" },
		{ { 0 }, { TOP_FLOWS, false }, "shop/db shop/web ops/idle" },
		{ { 0 }, { TOP_SERVING, false }, "shop/web shop/db ops/idle" },
		{ { 0 }, { TOP_DROPS, false }, "ops/idle shop/db shop/web" },
		{ { 0 }, { TOP_NAME, true }, "shop/web shop/db ops/idle" },
		{ { .ns = "shop" }, { TOP_NAME, false }, "shop/db shop/web" },
		{ { .ns = "" }, { TOP_NAME, false }, "ops/idle shop/db shop/web" },
		{ { .ns = "sho" }, { TOP_NAME, false }, "" },
		{ { .service = "db" }, { TOP_NAME, false }, "shop/db" },
		{ { .text = "P/W" }, { TOP_NAME, false }, "shop/web" },
		{ { .text = "d" }, { TOP_NAME, false }, "ops/idle shop/db" },
	};
	struct top_rows rows = { 0 };
	struct top top;
	char text[256];
	size_t i;

	busy(&top);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(top_rows_fill(&rows, &top, &cases[i].choice, &cases[i].order), 0);
		assert_string_equal(rows_text(&rows, text), cases[i].rows);
	}
	top_rows_done(&rows);
	top_done(&top);
}

static void cells_say_what_is_there(void **state)
{
	static const struct {
		enum top_column column;
		const char *text;
	} cells[] = {
		{ TOP_NAME, "10.0.0.1:8080" },
		{ TOP_PORT, "80/TCP" },
		{ TOP_STATE, "ready" },
		{ TOP_WEIGHT, "1" },
		{ TOP_FLOWS, "1" },
		{ TOP_CONNECTIONS, "150" },
		{ TOP_CONNECTIONS_BAR, "#####.  75%" },
		{ TOP_FLOWS_BAR, "##....  33%" },
		{ TOP_BYTES, "0" },
		{ TOP_POD, "pod" },
		{ TOP_NODE, "node" },
	};
	const struct top_style style = { .utf8 = false };
	struct top_choice choice = { 0 };
	struct top_rows rows = { 0 };
	char cell[TOP_CELL_SIZE];
	struct top top;
	size_t i;

	busy(&top);
	choice.backends = top_find(&top, "shop", "web");
	assert_int_equal(
		top_rows_fill(&rows, &top, &choice, &(struct top_order){ TOP_CONNECTIONS, false }),
		0);
	assert_int_equal(rows.n, 2);
	for (i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
		assert_string_equal(top_cell(&rows.v[0], top_field(TOP_BACKENDS, cells[i].column),
					     11, &style, cell),
				    cells[i].text);
	top_rows_done(&rows);
	top_done(&top);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void press(struct ui *ui, const struct top *top, const char *keys)
{
	for (; *keys; keys++) {
		ui_press(ui, *keys == '\n' ? UI_ENTER : *keys == '\033' ? UI_ESCAPE : *keys);
		assert_int_equal(ui_fill(ui, top), 0);
	}
}

static void keys_do_what_help_says(void **state)
{
	struct top top;
	struct ui ui;
	char text[256];

	busy(&top);
	ui_init(&ui, 2000);
	ui_resize(&ui, 2);
	assert_int_equal(ui_fill(&ui, &top), 0);
	press(&ui, &top, "B"); /* by bytes */
	assert_string_equal(rows_text(&ui.rows, text), "shop/db shop/web ops/idle");
	press(&ui, &top, "r");
	assert_string_equal(rows_text(&ui.rows, text), "ops/idle shop/web shop/db");
	press(&ui, &top, ">");
	assert_int_equal(ui.order[TOP_SERVICES].column, TOP_FLOWS);
	press(&ui, &top, "<<<<<");
	assert_int_equal(ui.order[TOP_SERVICES].column, TOP_DROPS); /* BACKENDS sorts nothing */
	press(&ui, &top, "jj");
	assert_int_equal(ui.cursor, 2);
	assert_int_equal(ui.first, 1);
	press(&ui, &top, "c"); /* the cursor stays on its Service, wherever that goes */
	assert_string_equal(ui.rows.v[ui.cursor].service->name, "web");
	press(&ui, &top, "\n");
	assert_int_equal(ui.view, TOP_BACKENDS);
	assert_string_equal(rows_text(&ui.rows, text), "10.0.0.1:8080 10.0.0.2:8080");
	press(&ui, &top, "q");
	assert_int_equal(ui.view, TOP_SERVICES);
	assert_string_equal(ui.rows.v[ui.cursor].service->name, "web");
	assert_false(ui.quit);
	press(&ui, &top, " ");
	assert_true(ui.paused);
	press(&ui, &top, "hq"); /* any key leaves the help */
	assert_false(ui.quit || ui.help);
	press(&ui, &top, "q");
	assert_true(ui.quit);
	ui_done(&ui);
	top_done(&top);
}

static void what_is_typed_narrows(void **state)
{
	struct top top;
	struct ui ui;
	char text[256];

	busy(&top);
	ui_init(&ui, 2000);
	press(&ui, &top, "/web");
	assert_string_equal(rows_text(&ui.rows, text), "shop/web");
	ui_press(&ui, UI_BACKSPACE);
	press(&ui, &top, "\n");
	assert_string_equal(ui.filter, "we");
	assert_false(ui.quit);
	press(&ui, &top, "\033");
	assert_int_equal(ui.rows.n, 3);
	press(&ui, &top, "nops\n");
	assert_string_equal(rows_text(&ui.rows, text), "ops/idle");
	press(&ui, &top, "d0.25\n");
	assert_int_equal(ui.delay_ms, 250);
	press(&ui, &top, "dx\n");
	assert_int_equal(ui.delay_ms, 250);
	assert_true(*ui.message);
	ui_done(&ui);
	top_done(&top);
}

static void a_service_that_goes_leaves_an_empty_list(void **state)
{
	struct top top;
	struct ui ui;

	busy(&top);
	ui_init(&ui, 2000);
	assert_int_equal(ui_fill(&ui, &top), 0);
	press(&ui, &top, "\n");
	assert_int_equal(ui.rows.n, 2);
	top_names_begin(&top);
	name(&top, 11, "shop/db", 3);
	top_names_end(&top);
	assert_int_equal(ui_fill(&ui, &top), 0);
	assert_true(ui.gone);
	assert_int_equal(ui.rows.n, 0);
	press(&ui, &top, "jk\n\033");
	assert_int_equal(ui.rows.n, 1);
	ui_done(&ui);
	top_done(&top);
}

static void delays_are_seconds(void **state)
{
	static const struct {
		const char *text;
		uint32_t ms; /* 0: refused */
	} rows[] = {
		{ "2", 2000 },	    { "0.5", 500 },	 { ".1", 100 }, { "1.", 1000 },
		{ "1.2345", 1234 }, { "3600", 3600000 }, { "0.05", 0 }, { "0", 0 },
		{ "3601", 0 },	    { "", 0 },		 { ".", 0 },	{ "1.2.3", 0 },
		{ "-1", 0 },	    { "1s", 0 },	 { "1e3", 0 },	{ "99999999999", 0 },
	};
	uint32_t ms;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ms = 0;
		if (ui_delay_parse(rows[i].text, &ms) != (rows[i].ms != 0) || ms != rows[i].ms)
			fail_msg("\"%s\" is %u ms", rows[i].text, ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_differences_over_time),
		cmocka_unit_test(the_first_sample_has_no_rates),
		cmocka_unit_test(less_than_before_is_no_rate),
		cmocka_unit_test(what_is_new_has_no_rate_yet),
		cmocka_unit_test(a_gap_is_no_interval),
		cmocka_unit_test(another_instance_with_the_same_ids),
		cmocka_unit_test(drops_belong_to_services_and_to_reasons),
		cmocka_unit_test(rates_have_five_letters_at_most),
		cmocka_unit_test(bars_are_as_long_as_shares),
		cmocka_unit_test(any_width_has_its_columns),
		cmocka_unit_test(rows_are_chosen_and_sorted),
		cmocka_unit_test(cells_say_what_is_there),
		cmocka_unit_test(keys_do_what_help_says),
		cmocka_unit_test(what_is_typed_narrows),
		cmocka_unit_test(a_service_that_goes_leaves_an_empty_list),
		cmocka_unit_test(delays_are_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
