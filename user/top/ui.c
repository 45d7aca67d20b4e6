// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "top/ui.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "top/top.h"

void ui_init(struct ui *ui, uint32_t delay_ms)
{
	*ui = (struct ui){ .delay_ms = delay_ms, .lines = 1, .message = "" };
	ui->order[TOP_SERVICES].column = TOP_CONNECTIONS;
	ui->order[TOP_BACKENDS].column = TOP_CONNECTIONS;
}

void ui_done(struct ui *ui)
{
	top_rows_done(&ui->rows);
}

/* ---- the list --------------------------------------------------------------------------- */

static void scroll_to_cursor(struct ui *ui)
{
	if (ui->rows.n && ui->cursor >= ui->rows.n)
		ui->cursor = ui->rows.n - 1;
	if (!ui->rows.n)
		ui->cursor = 0;
	if (ui->first > ui->cursor)
		ui->first = ui->cursor;
	if (ui->cursor >= ui->first + ui->lines)
		ui->first = ui->cursor - ui->lines + 1;
	/* No empty lines below while rows are hidden above. */
	if (ui->first + ui->lines > ui->rows.n)
		ui->first = ui->rows.n > ui->lines ? ui->rows.n - ui->lines : 0;
}

static void follow(struct ui *ui)
{
	size_t i;

	if (ui->view != TOP_SERVICES || !ui->at.name[0])
		return;
	for (i = 0; i < ui->rows.n; i++) {
		const struct top_service *service = ui->rows.v[i].service;

		if (!strcmp(service->name, ui->at.name) && !strcmp(service->ns, ui->at.ns))
			ui->cursor = i;
	}
}

int ui_fill(struct ui *ui, const struct top *top)
{
	struct top_choice choice = { .ns = ui->ns, .service = ui->service, .text = ui->filter };
	int ret = 0;

	if (ui->view == TOP_BACKENDS) {
		choice.backends = top_find(top, ui->open.ns, ui->open.name);
		ui->gone = !choice.backends;
	}
	if (ui->view == TOP_BACKENDS && ui->gone)
		ui->rows.n = 0; /* they may point to what is freed */
	else
		ret = top_rows_fill(&ui->rows, top, &choice, &ui->order[ui->view]);
	if (ret)
		ui->rows.n = 0;
	follow(ui);
	scroll_to_cursor(ui);
	return ret;
}

void ui_resize(struct ui *ui, size_t lines)
{
	ui->lines = lines ? lines : 1;
	scroll_to_cursor(ui);
}

static void remember_row(struct ui *ui)
{
	if (ui->view != TOP_SERVICES)
		return;
	ui->at = (struct ui_name){ 0 };
	/* On the first line it is the most that is looked at, whosever that is. */
	if (!ui->cursor || ui->cursor >= ui->rows.n)
		return;
	memcpy(ui->at.ns, ui->rows.v[ui->cursor].service->ns, sizeof(ui->at.ns));
	memcpy(ui->at.name, ui->rows.v[ui->cursor].service->name, sizeof(ui->at.name));
}

static void move(struct ui *ui, size_t up, size_t down)
{
	ui->cursor = up > ui->cursor ? 0 : ui->cursor - up;
	ui->cursor = down > ui->rows.n ? ui->rows.n : ui->cursor + down;
	scroll_to_cursor(ui);
	remember_row(ui);
}

static bool press_move(struct ui *ui, int key)
{
	switch (key) {
	case UI_UP:
	case 'k':
		move(ui, 1, 0);
		return true;
	case UI_DOWN:
	case 'j':
		move(ui, 0, 1);
		return true;
	case UI_PAGE_UP:
		move(ui, ui->lines, 0);
		return true;
	case UI_PAGE_DOWN:
		move(ui, 0, ui->lines);
		return true;
	case UI_HOME:
	case 'g':
		move(ui, SIZE_MAX, 0);
		return true;
	case UI_END:
	case 'G':
		move(ui, 0, ui->rows.n);
		return true;
	default:
		return false;
	}
}

/* ---- views --------------------------------------------------------------------------------- */

void ui_open(struct ui *ui)
{
	const struct top_service *service;

	if (ui->view != TOP_SERVICES || ui->cursor >= ui->rows.n)
		return;
	service = ui->rows.v[ui->cursor].service;
	memcpy(ui->open.ns, service->ns, sizeof(ui->open.ns));
	memcpy(ui->open.name, service->name, sizeof(ui->open.name));
	ui->at = ui->open; /* where the cursor comes back to */
	ui->view = TOP_BACKENDS;
	ui->cursor = ui->first = 0;
	ui->gone = false;
}

static void close_view(struct ui *ui)
{
	ui->view = TOP_SERVICES;
	ui->cursor = ui->first = 0;
}

/* ---- order --------------------------------------------------------------------------------- */

static bool press_sort(struct ui *ui, int key)
{
	struct top_order *order = &ui->order[ui->view];
	const struct top_field *fields;
	size_t n, i;

	if (key > 0x7f)
		return false;
	fields = top_fields(ui->view, &n);
	for (i = 0; i < n; i++) {
		/* 'n' alone is the namespace's. */
		if (!fields[i].key || (key != fields[i].key &&
				       (fields[i].key == 'N' || tolower(key) != fields[i].key)))
			continue;
		order->column = fields[i].column;
		order->reversed = false;
		return true;
	}
	return false;
}

/* The next column that can be sorted by, @step is 1 or -1. */
static void sort_beside(struct ui *ui, int step)
{
	struct top_order *order = &ui->order[ui->view];
	const struct top_field *fields;
	size_t n, at = 0, i;

	fields = top_fields(ui->view, &n);
	for (i = 0; i < n; i++) {
		if (fields[i].column == order->column)
			at = i;
	}
	do {
		if (step > 0)
			at = at + 1 < n ? at + 1 : 0;
		else
			at = at ? at - 1 : n - 1;
	} while (!fields[at].key);
	order->column = fields[at].column;
	order->reversed = false;
}

/* ---- the last line ---------------------------------------------------------------------------- */

const char *ui_prompt_text(enum ui_prompt prompt)
{
	switch (prompt) {
	case UI_FILTER:
		return "Filter (part of NAMESPACE/NAME): ";
	case UI_NAMESPACE:
		return "Namespace (empty: all): ";
	case UI_DELAY:
		return "Seconds between samples: ";
	case UI_NO_PROMPT:
		break;
	}
	return "";
}

bool ui_delay_parse(const char *text, uint32_t *ms_out)
{
	uint64_t ms = 0, unit = 1000;
	size_t i, digits = 0;
	bool point = false;

	for (i = 0; text[i]; i++) {
		if (text[i] == '.' && !point) {
			point = true;
		} else if (text[i] >= '0' && text[i] <= '9' && digits < 9) {
			digits++;
			ms = point ? ms + (uint64_t)(text[i] - '0') * (unit /= 10)
				   : ms * 10 + (uint64_t)(text[i] - '0') * 1000;
		} else {
			return false;
		}
	}
	if (!digits || ms < TOP_DELAY_MS_MIN || ms > TOP_DELAY_MS_MAX)
		return false;
	*ms_out = (uint32_t)ms;
	return true;
}

static void prompt_begin(struct ui *ui, enum ui_prompt prompt)
{
	const char *text = prompt == UI_FILTER ? ui->filter : prompt == UI_NAMESPACE ? ui->ns : "";

	ui->prompt = prompt;
	(void)snprintf(ui->input, sizeof(ui->input), "%s", text);
}

static void prompt_end(struct ui *ui)
{
	if (ui->prompt == UI_FILTER)
		(void)snprintf(ui->filter, sizeof(ui->filter), "%s", ui->input);
	else if (ui->prompt == UI_NAMESPACE)
		(void)snprintf(ui->ns, sizeof(ui->ns), "%s", ui->input);
	else if (*ui->input && !ui_delay_parse(ui->input, &ui->delay_ms))
		ui->message = "not a number of seconds from 0.1 to 3600";
	ui->prompt = UI_NO_PROMPT;
}

/* A filter is in force while it is typed; Escape takes it away. */
static void press_prompt(struct ui *ui, int key)
{
	size_t len = strlen(ui->input);

	if (key == UI_ENTER) {
		prompt_end(ui);
	} else if (key == UI_ESCAPE) {
		if (ui->prompt == UI_FILTER)
			ui->filter[0] = '\0';
		ui->prompt = UI_NO_PROMPT;
	} else if (key == UI_BACKSPACE && len) {
		ui->input[len - 1] = '\0';
	} else if (key > ' ' && key < 0x7f && len < UI_TEXT_MAX) {
		ui->input[len] = (char)key;
		ui->input[len + 1] = '\0';
	}
	if (ui->prompt == UI_FILTER)
		(void)snprintf(ui->filter, sizeof(ui->filter), "%s", ui->input);
}

/* ---- keys ---------------------------------------------------------------------------------------- */

static void press_back(struct ui *ui, int key)
{
	if (ui->view == TOP_BACKENDS)
		close_view(ui);
	else if (key == 'q')
		ui->quit = true;
	else if (key == UI_ESCAPE)
		ui->filter[0] = '\0';
}

static void press_other(struct ui *ui, int key)
{
	switch (key) {
	case 'q':
	case UI_ESCAPE:
	case UI_BACKSPACE:
		press_back(ui, key);
		break;
	case UI_F10:
	case 'Q':
		ui->quit = true;
		break;
	case UI_ENTER:
		ui_open(ui);
		break;
	case 'h':
	case '?':
	case UI_F1:
		ui->help = true;
		break;
	case '<':
	case UI_LEFT:
		sort_beside(ui, -1);
		break;
	case '>':
	case UI_RIGHT:
	case UI_F6:
		sort_beside(ui, 1);
		break;
	case 'r':
		ui->order[ui->view].reversed = !ui->order[ui->view].reversed;
		break;
	case '/':
	case UI_F4:
		if (ui->view == TOP_SERVICES)
			prompt_begin(ui, UI_FILTER);
		break;
	case 'n':
		if (ui->view == TOP_SERVICES)
			prompt_begin(ui, UI_NAMESPACE);
		break;
	case 'd':
	case 's':
		prompt_begin(ui, UI_DELAY);
		break;
	case ' ':
		ui->paused = !ui->paused;
		break;
	case UI_F5:
		ui->refresh = true;
		break;
	}
}

void ui_press(struct ui *ui, int key)
{
	ui->message = "";
	if (ui->prompt)
		press_prompt(ui, key);
	else if (ui->help)
		ui->help = false;
	else if (!press_move(ui, key) && !press_sort(ui, key))
		press_other(ui, key);
}
