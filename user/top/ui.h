/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the screen of `top` shows and what keys do to it; knows nothing of terminals. */
#ifndef SHUNT_USER_TOP_UI_H
#define SHUNT_USER_TOP_UI_H

#include "top/rows.h"

/* Keys that are no letters. */
enum ui_key {
	UI_ENTER = 0x110000, /* beyond Unicode */
	UI_ESCAPE,
	UI_BACKSPACE,
	UI_UP,
	UI_DOWN,
	UI_PAGE_UP,
	UI_PAGE_DOWN,
	UI_HOME,
	UI_END,
	UI_LEFT,
	UI_RIGHT,
	UI_F1,
	UI_F4,
	UI_F5,
	UI_F6,
	UI_F10,
};

/* What is being typed into the last line. */
enum ui_prompt { UI_NO_PROMPT = 0, UI_FILTER, UI_NAMESPACE, UI_DELAY };

#define UI_TEXT_MAX 127

struct ui_name {
	char ns[SH_NAME_MAX + 1], name[SH_NAME_MAX + 1];
};

struct ui {
	enum top_view view;
	struct top_order order[TOP_VIEWS];
	char ns[UI_TEXT_MAX + 1], service[SH_NAME_MAX + 1], filter[UI_TEXT_MAX + 1];
	struct ui_name open; /* whose backends are shown */
	bool gone;	     /* and it is no longer there */
	uint32_t delay_ms;
	bool help, paused, quit, refresh; /* refresh: a sample now */
	enum ui_prompt prompt;
	char input[UI_TEXT_MAX + 1];
	const char *message; /* "" or what was wrong with the last input */
	/* The list: @first is the first row on the screen, of @lines that there are for rows. */
	struct top_rows rows;
	size_t cursor, first, lines;
	/* The cursor stays with the Service it was put on, but on the first line of all. */
	struct ui_name at;
};

void ui_init(struct ui *ui, uint32_t delay_ms);
void ui_done(struct ui *ui);
/* Rows anew, after a sample or a key. @return 0 or -ENOMEM */
int ui_fill(struct ui *ui, const struct top *top);
/* So many lines for rows from now on. */
void ui_resize(struct ui *ui, size_t lines);
/* @key: a letter or enum ui_key. */
void ui_press(struct ui *ui, int key);
/* Show the backends of the row under the cursor. */
void ui_open(struct ui *ui);
/* "Filter: " and such, or "" */
const char *ui_prompt_text(enum ui_prompt prompt);
/* "0.5", "2". @return false: not seconds in the range */
bool ui_delay_parse(const char *text, uint32_t *ms_out);

#endif
