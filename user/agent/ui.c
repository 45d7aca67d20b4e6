// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/ui.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ui_ask.h"
#include "shunt/limits.h"

/* The same question within this time has the same answer, however many ask. */
#define FRESH_MS    1000
/* An answer that nobody has asked for since is forgotten. */
#define FORGET_MS   10000
/* Processes at a time; the thread pool has four threads, and reclaiming needs one. */
#define RUNNING_MAX 2

#define STATUS_NOT_MODIFIED 304
#define STATUS_BAD	    400
#define STATUS_FORBIDDEN    403
#define STATUS_UNAVAILABLE  503

static const char policy[] = "default-src 'self'; object-src 'none'; base-uri 'none'; "
			     "form-action 'self'; frame-ancestors 'none'";

/* ---- answers, kept ------------------------------------------------------------------ */

/* Shared by the entry that keeps it and by responses on their way. All in the loop's thread. */
struct kept {
	unsigned int users;
	struct ui_answer answer;
};

enum entry_state { ENTRY_FREE = 0, ENTRY_WAITS, ENTRY_RUNS, ENTRY_DONE };

struct entry {
	struct ui *ui;
	enum entry_state state;
	uint64_t turn;	  /* of those that wait: the least one is next */
	uint64_t done_ms; /* uv_now() */
	uint64_t used_ms;
	struct ui_question question;
	struct kept *kept; /* of ENTRY_DONE */
	uv_work_t work;
	struct ui_answer answer; /* the other thread's while ENTRY_RUNS */
};

struct ui {
	uv_loop_t *loop;
	struct http_server *server;
	struct ui_instance instance;
	bool loopback; /* nobody else is served */
	uv_timer_t forget;
	bool forget_closed;
	atomic_bool stop;
	uint64_t turns;
	unsigned int running;
	struct entry entries[SH_UI_ANSWERS_MAX];
};

static void kept_release(void *arg)
{
	struct kept *kept = arg;

	if (!kept || --kept->users)
		return;
	ui_answer_done(&kept->answer);
	free(kept);
}

static void entry_free(struct entry *entry)
{
	kept_release(entry->kept);
	*entry = (struct entry){ .ui = entry->ui };
}

static struct entry *entry_find(struct ui *ui, const struct ui_question *question)
{
	struct entry *entry;

	for (entry = ui->entries; entry < ui->entries + SH_UI_ANSWERS_MAX; entry++) {
		if (entry->state != ENTRY_FREE &&
		    !memcmp(&entry->question, question, sizeof(*question)))
			return entry;
	}
	return NULL;
}

/* A free one, or the one whose answer has been of no use for the longest. NULL: all are busy. */
static struct entry *entry_take(struct ui *ui)
{
	struct entry *entry, *oldest = NULL;

	for (entry = ui->entries; entry < ui->entries + SH_UI_ANSWERS_MAX; entry++) {
		if (entry->state == ENTRY_FREE)
			return entry;
		if (entry->state == ENTRY_DONE && (!oldest || entry->used_ms < oldest->used_ms))
			oldest = entry;
	}
	if (oldest)
		entry_free(oldest);
	return oldest;
}

static void on_forget(uv_timer_t *timer)
{
	struct ui *ui = timer->data;
	uint64_t now = uv_now(ui->loop);
	struct entry *entry;

	for (entry = ui->entries; entry < ui->entries + SH_UI_ANSWERS_MAX; entry++) {
		if (entry->state == ENTRY_DONE && now - entry->used_ms >= FORGET_MS)
			entry_free(entry);
	}
}

/* ---- asking ---------------------------------------------------------------------------- */

/* Closed, and no thread has anything of it. */
static void free_if_over(struct ui *ui)
{
	struct entry *entry;

	if (!ui->forget_closed || ui->running)
		return;
	for (entry = ui->entries; entry < ui->entries + SH_UI_ANSWERS_MAX; entry++)
		entry_free(entry);
	free(ui);
}

static void work(uv_work_t *request)
{
	struct entry *entry = request->data;

	ui_ask(&entry->question, &entry->ui->stop, &entry->answer);
}

static void run_next(struct ui *ui);

static void after_work(uv_work_t *request, int status)
{
	struct entry *entry = request->data;
	struct ui *ui = entry->ui;
	struct kept *kept = calloc(1, sizeof(*kept));

	ui->running--;
	if (kept && entry->answer.text)
		*kept = (struct kept){ .users = 1, .answer = entry->answer };
	else
		ui_answer_done(&entry->answer);
	entry->kept = kept && kept->users ? kept : NULL;
	if (!entry->kept)
		free(kept);
	entry->state = ENTRY_DONE;
	entry->done_ms = entry->used_ms = uv_now(ui->loop);
	if (atomic_load(&ui->stop)) {
		free_if_over(ui);
		return;
	}
	http_wake(ui->server);
	run_next(ui);
}

static void run_next(struct ui *ui)
{
	struct entry *entry, *next = NULL;

	for (entry = ui->entries; entry < ui->entries + SH_UI_ANSWERS_MAX; entry++) {
		if (entry->state == ENTRY_WAITS && (!next || entry->turn < next->turn))
			next = entry;
	}
	if (!next || ui->running == RUNNING_MAX)
		return;
	next->work.data = next;
	(void)uv_queue_work(ui->loop, &next->work, work, after_work);
	next->state = ENTRY_RUNS;
	ui->running++;
}

/* @return the entry, which has an answer if it is ENTRY_DONE; NULL: too much is asked at once */
static struct entry *ask(struct ui *ui, const struct ui_question *question)
{
	struct entry *entry = entry_find(ui, question);

	if (entry && entry->state == ENTRY_DONE && uv_now(ui->loop) - entry->done_ms >= FRESH_MS) {
		entry_free(entry);
		entry = NULL;
	}
	if (entry)
		return entry;
	entry = entry_take(ui);
	if (!entry)
		return NULL;
	entry->question = *question;
	entry->state = ENTRY_WAITS;
	entry->turn = ui->turns++;
	run_next(ui);
	return entry;
}

/* ---- answering -------------------------------------------------------------------------- */

static void add_header(struct http_answer *answer, const char *name, const char *value)
{
	answer->headers[answer->n_headers++] = (struct http_header){ name, value };
}

static bool answer_error(struct http_answer *answer, unsigned int status, const char *text)
{
	answer->status = status;
	answer->content_type = "application/json";
	answer->body = ui_error_body(text);
	answer->len = answer->body ? strlen(answer->body) : 0;
	if (status == STATUS_UNAVAILABLE)
		add_header(answer, "Retry-After", "1");
	return true;
}

static void answer_kept(const struct http_request *request, struct entry *entry,
			struct http_answer *answer)
{
	const char *known = http_request_header(request, "If-None-Match");
	struct kept *kept = entry->kept;

	entry->used_ms = uv_now(entry->ui->loop);
	answer->content_type = "application/json";
	answer->status = kept->answer.status;
	(void)snprintf(answer->header_text, sizeof(answer->header_text), "%" PRIu64,
		       kept->answer.taken_ms);
	add_header(answer, "Shunt-Taken-Ms", answer->header_text);
	add_header(answer, "ETag", kept->answer.tag);
	if (known && strstr(known, kept->answer.tag)) {
		answer->status = STATUS_NOT_MODIFIED;
		return;
	}
	kept->users++;
	answer->shared = kept->answer.text;
	answer->len = kept->answer.len;
	answer->release = kept_release;
	answer->release_arg = kept;
}

/* @return false: there is no such path */
static bool answer_api(struct ui *ui, const struct http_request *request,
		       struct http_answer *answer)
{
	struct http_argument arguments[HTTP_ARGUMENTS_MAX];
	int n = http_request_arguments(request, arguments), ret;
	const struct ui_request asked = { request->path, arguments, n > 0 ? (size_t)n : 0 };
	struct ui_question question;
	struct err err = { 0 };
	struct entry *entry;

	if (n < 0)
		return answer_error(answer, STATUS_BAD, "too many parameters, or a NUL in one");
	ret = ui_question(&ui->instance, &asked, &question, &err);
	if (ret == -ENOENT)
		return false;
	if (ret)
		return answer_error(answer, STATUS_BAD, err.msg);
	entry = ask(ui, &question);
	if (!entry)
		return answer_error(answer, STATUS_UNAVAILABLE,
				    "too many different questions at once (limit "
				    "SH_UI_ANSWERS_MAX): try again");
	if (entry->state != ENTRY_DONE)
		answer->later = true;
	else if (entry->kept)
		answer_kept(request, entry, answer);
	else
		return answer_error(answer, STATUS_UNAVAILABLE, "no memory for the answer");
	return true;
}

extern const char ui_page_html[], ui_page_html_end[], ui_page_css[], ui_page_css_end[],
	ui_page_js[], ui_page_js_end[], ui_page_picture[], ui_page_picture_end[], ui_page_icon[],
	ui_page_icon_end[];

static bool answer_page(const char *path, struct http_answer *answer)
{
	static const struct {
		const char *path, *type, *from, *to;
	} files[] = {
		{ "/", "text/html; charset=utf-8", ui_page_html, ui_page_html_end },
		{ "/style.css", "text/css; charset=utf-8", ui_page_css, ui_page_css_end },
		{ "/page.js", "text/javascript; charset=utf-8", ui_page_js, ui_page_js_end },
		{ "/picture.js", "text/javascript; charset=utf-8", ui_page_picture,
		  ui_page_picture_end },
		{ "/icon.svg", "image/svg+xml", ui_page_icon, ui_page_icon_end },
	};
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (strcmp(files[i].path, path) != 0)
			continue;
		answer->content_type = files[i].type;
		answer->shared = files[i].from;
		answer->len = (size_t)(files[i].to - files[i].from);
		return true;
	}
	return false;
}

/*
 * Another site's page can have a browser ask here, though not read the answer: unless its own
 * name is made to lead here, which the Host tells.
 */
static const char *refusal(const struct ui *ui, const struct http_request *request)
{
	const char *site = http_request_header(request, "Sec-Fetch-Site");

	if (ui->loopback && !ui_host_is_loopback(http_request_header(request, "Host")))
		return "this page is served to this machine only: open it as localhost or "
		       "127.0.0.1";
	if (!strncmp(request->path, "/api/", 5) && site && !strcmp(site, "cross-site"))
		return "another site's page has no business here";
	return NULL;
}

static bool on_request(void *arg, const struct http_request *request, struct http_answer *answer)
{
	const char *refused = refusal(arg, request);

	add_header(answer, "Content-Security-Policy", policy);
	add_header(answer, "X-Content-Type-Options", "nosniff");
	add_header(answer, "Referrer-Policy", "no-referrer");
	add_header(answer, "Cross-Origin-Resource-Policy", "same-origin");
	add_header(answer, "Cache-Control", "no-cache");
	if (refused)
		return answer_error(answer, STATUS_FORBIDDEN, refused);
	if (!strncmp(request->path, "/api/", 5))
		return answer_api(arg, request, answer);
	return answer_page(request->path, answer);
}

/* ---- start and stop ------------------------------------------------------------------------ */

static bool is_loopback(const struct sh_addr *addr)
{
	char text[ADDR_STRLEN + 2], host[ADDR_STRLEN + 4];

	(void)addr_format(addr, text);
	(void)snprintf(host, sizeof(host), strchr(text, ':') ? "[%s]" : "%s", text);
	return ui_host_is_loopback(host);
}

int ui_start(struct ui **out, uv_loop_t *loop, const struct ui_opts *opts, struct err *err)
{
	struct ui *ui = calloc(1, sizeof(*ui));
	const struct http_service service = { .handler = on_request, .arg = ui, .waits = true };
	size_t i;
	int ret;

	if (!ui)
		return err_system(err, -ENOMEM, "start the web page");
	ui->loop = loop;
	ui->instance = opts->instance;
	ui->loopback = is_loopback(&opts->listen.addr);
	for (i = 0; i < SH_UI_ANSWERS_MAX; i++)
		ui->entries[i].ui = ui;
	ret = http_serve(&ui->server, loop, &opts->listen, &service, err);
	if (ret) {
		err_prefix(err, "the web page (--ui)");
		free(ui);
		return ret;
	}
	(void)uv_timer_init(loop, &ui->forget);
	ui->forget.data = ui;
	(void)uv_timer_start(&ui->forget, on_forget, FORGET_MS, FORGET_MS);
	*out = ui;
	return 0;
}

bool ui_is_private(const struct ui *ui)
{
	return ui->loopback;
}

static void on_closed(uv_handle_t *handle)
{
	struct ui *ui = handle->data;

	ui->forget_closed = true;
	free_if_over(ui);
}

void ui_stop(struct ui *ui)
{
	if (!ui)
		return;
	atomic_store(&ui->stop, true);
	http_stop(ui->server);
	ui->server = NULL;
	uv_close((uv_handle_t *)&ui->forget, on_closed);
}
