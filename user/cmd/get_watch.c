// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `get --watch`: on a terminal the list is drawn anew every second; otherwise
 * all rows are written, then those that have changed, as kubectl does. Each
 * round opens the instance anew: it may have been replaced.
 */
#include "cmd/get.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* An instance that is being replaced has no pins for a moment: rounds that may fail in a row. */
#define MISSED_MAX 5

#define HOME	    "\033[H"
#define REST_OF_IT  "\033[J" /* of the screen: clear it */
#define END_OF_LINE "\033[K\n"
#define NO_WRAP	    "\033[?7l"
#define WRAP	    "\033[?7h"

struct watch {
	struct get *get;
	struct rows *before;
	bool terminal;
	unsigned int missed;
	sigset_t stop;
};

/* ---- a terminal --------------------------------------------------------------- */

static size_t screen_lines(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row < 4)
		return 24;
	return size.ws_row;
}

/* As much of @text as the screen has lines for. */
static void draw_text(const char *text, size_t lines)
{
	const char *end;

	while (*text) {
		end = strchrnul(text, '\n');
		if (lines == 1 && *end && end[1]) {
			(void)fputs("(more: make the terminal larger, or narrow the list)\033[K",
				    stdout);
			return;
		}
		(void)fwrite(text, 1, (size_t)(end - text), stdout);
		(void)fputs(lines == 1 ? "\033[K" : END_OF_LINE, stdout);
		text = *end ? end + 1 : end;
		lines--;
	}
}

static void draw(const struct watch *watch, const char *text)
{
	const struct get *get = watch->get;
	time_t now = time(NULL);
	char clock[16] = "";
	struct tm tm;

	if (localtime_r(&now, &tm))
		(void)strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	(void)fputs(HOME NO_WRAP, stdout);
	(void)printf("%s  %zu %s, every second; Ctrl-C ends" END_OF_LINE END_OF_LINE, clock,
		     rows_count(get->rows), get->resource->name);
	draw_text(text, screen_lines() - 2);
	(void)fputs(REST_OF_IT WRAP, stdout);
	(void)fflush(stdout);
}

static int redraw(const struct watch *watch)
{
	const struct get *get = watch->get;
	struct output *output = NULL;
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	int ret = -ENOMEM;

	if (!to)
		goto out;
	output = output_new(get->resource->listing, get->inv->request.output, !get->filter.ns, to);
	if (!output)
		goto out;
	ret = rows_write(get->rows, output);
	if (!ret)
		ret = output_finish(output);
out:
	output_free(output);
	if (to && fclose(to) && !ret)
		ret = -ENOMEM;
	errno = 0;
	if (!ret)
		draw(watch, text);
	free(text);
	if (!ret && ferror(stdout))
		ret = errno ? -errno : -EIO;
	return ret;
}

/* ---- rounds ---------------------------------------------------------------------- */

static int show(struct watch *watch, struct err *err)
{
	struct get *get = watch->get;
	int ret;

	if (watch->terminal) {
		ret = redraw(watch);
	} else {
		ret = rows_write_changes(get->rows, watch->before, get->output);
		if (!ret)
			ret = output_flush(get->output);
	}
	return ret ? err_output(err, ret) : 0;
}

/* A round that fails is tried again, but not the first one. */
static bool may_miss(struct watch *watch)
{
	return watch->before && watch->missed++ < MISSED_MAX;
}

static int watch_round(struct watch *watch, struct err *err)
{
	struct get *get = watch->get;
	int ret;

	get->rows = rows_new(get->resource->listing);
	if (!get->rows)
		return err_system(err, -ENOMEM, "get %s", get->resource->name);
	ret = get_round(get, err);
	if (ret && may_miss(watch)) {
		err->msg[0] = '\0';
		ret = 0;
		rows_free(get->rows);
	} else if (!ret) {
		watch->missed = 0;
		ret = show(watch, err);
		rows_free(watch->before);
		watch->before = get->rows;
	} else {
		rows_free(get->rows);
	}
	get->rows = NULL;
	return ret;
}

/* A second. @return true: SIGINT has come */
static bool wait_for_stop(const struct watch *watch)
{
	const struct timespec second = { .tv_sec = 1 };

	return sigtimedwait(&watch->stop, NULL, &second) == SIGINT;
}

int get_watch(struct get *get, struct err *err)
{
	const enum output_format format = get->inv->request.output;
	struct watch watch = {
		.get = get,
		.terminal =
			isatty(STDOUT_FILENO) && (format == OUTPUT_TABLE || format == OUTPUT_WIDE),
	};
	int ret;

	/* Blocked, it waits for wait_for_stop(), and no row is cut in two. */
	(void)sigemptyset(&watch.stop);
	(void)sigaddset(&watch.stop, SIGINT);
	if (sigprocmask(SIG_BLOCK, &watch.stop, NULL))
		return err_system(err, -errno, "block SIGINT");
	if (watch.terminal)
		(void)fputs("\033[2J", stdout);
	else
		output_changes(get->output);
	do {
		ret = watch_round(&watch, err);
	} while (!ret && !wait_for_stop(&watch));
	if (watch.terminal)
		(void)fputc('\n', stdout);
	rows_free(watch.before);
	return ret;
}
