/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The web page (--ui): files of page/, and under /api/ what `get`, `status` and
 * `trace` print as JSON. Read-only.
 *
 *   ui.c        paths, headers, and answers that are kept for a moment
 *   ui_query.c  what is asked -> a command
 *   ui_ask.c    the command, run on another thread as a process of its own
 *   page.S      the files
 */
#ifndef SHUNT_USER_UI_H
#define SHUNT_USER_UI_H

#include <uv.h>

#include "agent/http.h"
#include "agent/ui_query.h"

struct ui;

struct ui_opts {
	struct http_listen listen;
	struct ui_instance instance; /* outlives the server */
};

/* @return 0 and *@out, or a negative errno: its handles may be closing then */
int ui_start(struct ui **out, uv_loop_t *loop, const struct ui_opts *opts, struct err *err);
/* Is it served to this machine alone? */
bool ui_is_private(const struct ui *ui);
/* What is asked at the moment is given up; the loop ends when that is over. NULL is fine. */
void ui_stop(struct ui *ui);

#endif
