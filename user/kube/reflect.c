// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kube/reflect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <curl/curl.h>

#include "source/json.h"

/* A watch ends by itself after a time between one and two of these, as client-go's do. */
#define WATCH_S		   290u
/* How much later than it should have a watch may end. */
#define GRACE_MS	   30000u
/* What a server without an optional resource is given before it is asked again. */
#define OPTIONAL_MS	   300000u
/* So often in a row a watch may end in rubbish; then the rubbish is gone round by a list. */
#define WATCH_FAILURES_MAX 3u
/* A watch that has lived for so many of the shortest waits is no failure. */
#define PROOF_WAITS	   5u
#define QUIET_MAX	   2u
#define RELIST_MS	   100u

/* How troubles are told apart: by what kind they are, and of what resource. */
enum trouble_class {
	TROUBLE_STATUS = 1,
	TROUBLE_BODY,
	TROUBLE_ENDS,
	TROUBLE_SYSTEM,
	TROUBLE_NETWORK,
};

static void go(struct reflector *r);

static uint32_t trouble_key(const struct reflector *r, enum trouble_class class, long code)
{
	/* All kinds are in the same network. */
	const uint32_t kind = class == TROUBLE_NETWORK ? 0 : (uint32_t)r->opts.kind;

	return (uint32_t)class << 24 | kind << 16 | ((uint32_t)code & 0xffff);
}

/* ---- waiting ------------------------------------------------------------------------- */

static uint32_t random_below(uint32_t limit)
{
	uint32_t number = 0;

	/* Should there be no random number, the wait is only less well spread. */
	(void)!getrandom(&number, sizeof(number), GRND_NONBLOCK);
	return limit ? number % limit : 0;
}

static uint32_t backoff_ms(const struct reflector *r)
{
	uint32_t n = r->attempts > r->watch_failures ? r->attempts : r->watch_failures;
	uint64_t ms = r->opts.backoff_ms;

	for (; n > 1 && ms < r->opts.backoff_max_ms; n--)
		ms *= 2;
	if (ms > r->opts.backoff_max_ms)
		ms = r->opts.backoff_max_ms;
	return (uint32_t)(ms / 2) + random_below((uint32_t)(ms - ms / 2) + 1);
}

static void on_timer(uv_timer_t *timer);

static void wait_ms(struct reflector *r, uint64_t ms)
{
	r->state = KUBE_WAITING;
	uv_update_time(r->opts.loop);
	(void)uv_timer_start(&r->timer, on_timer, ms, 0);
}

static void count_error(struct reflector *r, const struct trouble *trouble)
{
	r->attempts++;
	r->status.errors++;
	(void)snprintf(r->status.last_error, sizeof(r->status.last_error), "%s", trouble->text);
}

/* Trouble: tell it, and try again later. */
static void fail(struct reflector *r, const struct trouble *trouble, uint32_t at_least_ms)
{
	uint32_t ms;

	count_error(r, trouble);
	r->failing = true;
	r->opts.owner->failed(r->opts.owner->arg, r, trouble);
	r->put_off = at_least_ms > 0;
	ms = backoff_ms(r);
	wait_ms(r, ms < at_least_ms ? at_least_ms + ms : ms);
}

/*
 * What happens to a good watch now and then: not worth a line unless it goes on.
 * The second time it may be another connection of the server that has just ended.
 */
static void fail_quietly(struct reflector *r, const struct trouble *trouble)
{
	if (r->attempts >= QUIET_MAX) {
		fail(r, trouble, 0);
		return;
	}
	count_error(r, trouble);
	wait_ms(r, backoff_ms(r));
}

static void prove(struct reflector *r)
{
	const bool news = r->attempts || !r->proved;

	r->proved = true;
	r->failing = false;
	r->attempts = 0;
	r->status.last_error[0] = '\0';
	if (news)
		r->opts.owner->good(r->opts.owner->arg, r);
}

/* ---- objects --------------------------------------------------------------------------- */

static int identify(const struct json_part *object, struct known_name *name,
		    struct json_part *version)
{
	struct json_part metadata;
	int ret;

	*name = (struct known_name){ .ns.text = "" };
	if (json_member(object, "metadata", &metadata) ||
	    json_member_text(&metadata, "name", &name->name) ||
	    json_member_text(&metadata, "resourceVersion", version))
		return -EINVAL;
	ret = json_member_text(&metadata, "namespace", &name->ns);
	if (ret && ret != -ENOENT)
		return -EINVAL;
	if (!name->name.len || name->name.len > SH_SUBDOMAIN_MAX || name->ns.len > SH_SUBDOMAIN_MAX)
		return -EINVAL;
	return 0;
}

static void refuse(struct reflector *r, const struct known_entry *entry, const char *why)
{
	char what[2 * SH_SUBDOMAIN_MAX + 64];

	r->status.refused++;
	if (entry)
		(void)snprintf(what, sizeof(what), "%s %s%s%s", kind_name(r->opts.kind),
			       known_ns(entry), *known_ns(entry) ? "/" : "", known_name(entry));
	else
		(void)snprintf(what, sizeof(what), "an object of %s", r->opts.resource);
	r->opts.sink->refused(r->opts.sink->arg, what, why);
}

static bool is_of(const struct object *object, const struct known_entry *entry, enum kind kind)
{
	return object->kind == kind && strcmp(object->meta.name, known_name(entry)) == 0 &&
	       (!*known_ns(entry) || strcmp(object->meta.ns, known_ns(entry)) == 0);
}

/* @return 0 also where the object is refused, or -ENOMEM */
static int decode(struct reflector *r, struct known_entry *entry, const struct json_part *text)
{
	const struct json_text json = { "API", text->text, text->len };
	struct object *object = NULL;
	struct err err = { 0 };
	int ret = object_from_json(&json, r->opts.kind, &object, &err);

	if (ret == -ENOMEM)
		return ret;
	if (ret) {
		refuse(r, entry, err.msg);
		return 0;
	}
	if (!is_of(object, entry, r->opts.kind)) {
		refuse(r, entry, "it says that it is another object");
		object_free(object);
		return 0;
	}
	r->opts.owner->took(r->opts.owner->arg, r, entry, object);
	entry->told = true;
	r->opts.sink->put(r->opts.sink->arg, object);
	return 0;
}

/* An object as it is now. */
static int take_object(struct reflector *r, const struct json_part *text,
		       const struct known_name *name, const struct json_part *version,
		       struct err *err)
{
	struct known_entry *entry = known_find(&r->known, name);

	if (!entry && r->known.n >= SH_API_OBJECTS_MAX)
		return err_input(err, -E2BIG,
				 "more objects than the limit of %u (SH_API_OBJECTS_MAX)",
				 SH_API_OBJECTS_MAX);
	if (!entry)
		entry = known_add(&r->known, name);
	if (!entry)
		return err_system(err, -ENOMEM, "remember an object");
	entry->list = r->list;
	if (entry->version == known_version(version))
		return 0;
	entry->version = known_version(version);
	if (r->opts.owner->skip(r->opts.owner->arg, r, entry))
		return 0;
	return decode(r, entry, text) ? err_system(err, -ENOMEM, "read an object") : 0;
}

static void lose_object(struct reflector *r, struct known_entry *entry)
{
	if (entry->told)
		r->opts.sink->gone(r->opts.sink->arg, r->opts.kind, known_ns(entry),
				   known_name(entry));
	known_remove(&r->known, entry);
}

/* What the list that has just ended hasn't got. */
static void sweep(struct reflector *r)
{
	struct known_entry *entry;
	size_t at = 0;

	while ((entry = known_next(&r->known, &at))) {
		if (entry->list == r->list)
			continue;
		lose_object(r, entry);
		/* What stood behind it may have moved into its place. */
		at--;
	}
}

static bool matters(const struct reflector *r, const struct json_part *name)
{
	const char *only = r->opts.only;

	return !only || (name->len == strlen(only) && memcmp(name->text, only, name->len) == 0);
}

/* ---- lists ------------------------------------------------------------------------------- */

static int on_item(void *arg, const struct json_part *item, struct err *err)
{
	struct reflector *r = arg;
	struct json_part version;
	struct known_name name;
	char why[128];

	/* Items are told as they come: without measure, no more than asked for may. */
	if (r->page && ++r->items > r->page)
		return err_input(err, -E2BIG,
				 "a page of the list has more objects than its limit of %u",
				 r->page);
	if (!item->text) {
		(void)snprintf(why, sizeof(why),
			       "it is larger than the limit of %u bytes (SH_API_OBJECT_BYTES_MAX)",
			       SH_API_OBJECT_BYTES_MAX);
		refuse(r, NULL, why);
		return 0;
	}
	if (identify(item, &name, &version)) {
		refuse(r, NULL, "its metadata has no name and resourceVersion");
		return 0;
	}
	return matters(r, &name.name) ? take_object(r, item, &name, &version, err) : 0;
}

static int on_list_body(void *arg, const char *data, size_t len)
{
	struct reflector *r = arg;
	int ret;

	r->status.last_heard_ms = uv_now(r->opts.loop);
	r->read_at = uv_hrtime();
	ret = list_stream_feed(&r->list_stream, data, len, &r->problem);
	r->too_large = ret == -EFBIG;
	r->read_at = 0;
	return ret;
}

static void on_list_done(void *arg, const struct kube_answer *answer);

/* Begins the request whose body the stream is ready for. */
static void request(struct reflector *r, const struct request_opts *opts)
{
	struct err err = { 0 };
	struct trouble trouble = { trouble_key(r, TROUBLE_SYSTEM, 0), err.msg };

	if (!opts->path)
		(void)err_system(&err, -ENOMEM, "ask for %s", r->opts.resource);
	else if (kube_client_get(r->opts.client, opts, &r->request, &err) == 0)
		return;
	r->request = NULL;
	fail(r, &trouble, 0);
}

static void list_page(struct reflector *r)
{
	struct request_opts opts = {
		.handler = { .body = on_list_body, .done = on_list_done, .arg = r },
	};
	char *key = NULL, *path = NULL;

	if (r->continue_key)
		key = curl_easy_escape(NULL, r->continue_key, 0);
	if (r->continue_key && !key)
		goto out;
	if (asprintf(&path, "%s?%s&limit=%u%s%s", r->opts.path, r->opts.selector, r->page,
		     key ? "&continue=" : "", key ? key : "") < 0)
		path = NULL;
	opts.path = path;
out:
	r->state = KUBE_LISTING;
	request(r, &opts);
	free(path);
	curl_free(key);
}

static void init_list_stream(struct reflector *r)
{
	const struct list_opts opts = { .item = on_item,
					.arg = r,
					.bytes_max = r->opts.page_bytes_max };

	list_stream_done(&r->list_stream);
	list_stream_init(&r->list_stream, &opts);
	r->problem = (struct err){ 0 };
	r->items = 0;
}

static void begin_list(struct reflector *r)
{
	r->relist_asked = false;
	r->list++;
	r->status.relists++;
	free(r->continue_key);
	r->continue_key = NULL;
	init_list_stream(r);
	list_page(r);
}

/* What libcurl was handed may hold on to it no longer than to the end of a call. */
static int replace(char **text, const struct json_part *by)
{
	char *copy = strndup(by->text, by->len);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

static void begin_watch(struct reflector *r);

static void first_list_over(struct reflector *r)
{
	if (r->listed)
		return;
	r->listed = true;
	r->opts.owner->listed(r->opts.owner->arg, r);
}

static void list_whole(struct reflector *r)
{
	r->read_at = uv_hrtime();
	sweep(r);
	r->read_at = 0;
	r->need_list = false;
	r->expiries = 0;
	if (!r->page)
		r->page = r->opts.page;
	list_stream_done(&r->list_stream);
	first_list_over(r);
	begin_watch(r);
}

static void body_failed(struct reflector *r, const char *verb)
{
	char text[1400];
	const struct trouble trouble = { trouble_key(r, TROUBLE_BODY, 0), text };

	(void)snprintf(text, sizeof(text), "cannot %s %s: %s", verb, r->opts.resource,
		       r->problem.msg);
	fail(r, &trouble, 0);
}

static void page_whole(struct reflector *r)
{
	struct list_end end;
	int ret = list_stream_end(&r->list_stream, &end, &r->problem);

	if (!ret && (replace(&r->version, &end.version) ||
		     (end.continue_key.len && replace(&r->continue_key, &end.continue_key))))
		ret = err_system(&r->problem, -ENOMEM, "read the list");
	if (ret) {
		body_failed(r, "list");
	} else if (end.continue_key.len) {
		init_list_stream(r);
		list_page(r);
	} else {
		list_whole(r);
	}
}

/* Smaller pages may do. */
static void list_stopped(struct reflector *r)
{
	if (r->too_large)
		r->page = r->page > 1 ? r->page / 2 : r->page ? 1 : r->opts.page;
	body_failed(r, "list");
}

static const char *status_advice(long status)
{
	switch (status) {
	case 401:
		return "; check the token or the client certificate";
	case 403:
		return "; grant get, list and watch of it (RBAC: a ClusterRole, bound to this "
		       "user)";
	case 404:
		return "; check the server's address";
	default:
		return status / 100 == 3 ? "; it redirects, which isn't followed: give the address "
					   "that it redirects to"
					 : "";
	}
}

/* The server hasn't got it, or doesn't let us read it: it may do so one day. */
static void go_without(struct reflector *r, const struct trouble *trouble)
{
	count_error(r, trouble);
	r->failing = false;
	r->need_list = true;
	r->opts.owner->lacks(r->opts.owner->arg, r, trouble);
	wait_ms(r, OPTIONAL_MS + backoff_ms(r));
	first_list_over(r);
}

static void status_failed(struct reflector *r, const char *verb, const struct kube_answer *answer)
{
	char text[1400];
	const struct trouble trouble = { trouble_key(r, TROUBLE_STATUS, answer->code), text };
	const bool missing = answer->code == 403 || answer->code == 404;

	(void)snprintf(text, sizeof(text), "cannot %s %s: %s%s", verb, r->opts.resource,
		       answer->text, status_advice(answer->code));
	if (r->opts.optional && missing)
		go_without(r, &trouble);
	else
		fail(r, &trouble, answer->retry_after_ms);
}

static void broken(struct reflector *r, const struct kube_answer *answer, bool quietly)
{
	const struct trouble trouble = { trouble_key(r, TROUBLE_NETWORK, answer->code),
					 answer->text };

	if (quietly)
		fail_quietly(r, &trouble);
	else
		fail(r, &trouble, 0);
}

/* The list is too old to be gone on with. Too slow for pages twice: then in one piece. */
static void list_expired(struct reflector *r, const struct kube_answer *answer)
{
	if (r->expiries++ == 0) {
		begin_list(r);
		return;
	}
	r->page = 0;
	status_failed(r, "list", answer);
}

static void on_list_done(void *arg, const struct kube_answer *answer)
{
	struct reflector *r = arg;

	r->request = NULL;
	if (answer->outcome == ANSWER_WHOLE)
		page_whole(r);
	else if (answer->outcome == ANSWER_STOPPED)
		list_stopped(r);
	else if (answer->outcome == ANSWER_BROKEN)
		broken(r, answer, false);
	else if (answer->new_token)
		begin_list(r);
	else if (answer->code == 410)
		list_expired(r, answer);
	else
		status_failed(r, "list", answer);
}

/* ---- watches ------------------------------------------------------------------------------ */

/* A Status takes the object's place. */
static int on_error_event(struct reflector *r, const struct json_part *status, struct err *err)
{
	struct json_part code = { 0 }, message = { "", 0 };

	(void)json_member(status, "code", &code);
	(void)json_member(status, "message", &message);
	r->expired = code.len == 3 && memcmp(code.text, "410", 3) == 0;
	return err_input(err, -EPROTO, "the server ended the watch: code %.*s, %.*s",
			 (int)(code.len < 8 ? code.len : 8), code.len ? code.text : "",
			 (int)(message.len < 400 ? message.len : 400), message.text);
}

static int on_object_event(struct reflector *r, enum watch_type type, const struct json_part *text,
			   struct err *err)
{
	struct json_part version;
	struct known_entry *entry;
	struct known_name name;
	int ret = 0;

	if (identify(text, &name, &version))
		return err_input(err, -EPROTO,
				 "a watch sent an object without a name and resourceVersion");
	r->status.events++;
	entry = known_find(&r->known, &name);
	if (type != WATCH_DELETED && matters(r, &name.name))
		ret = take_object(r, text, &name, &version, err);
	else if (type == WATCH_DELETED && entry)
		lose_object(r, entry);
	if (!ret && replace(&r->version, &version))
		ret = err_system(err, -ENOMEM, "read a watch");
	return ret;
}

static int on_bookmark(struct reflector *r, const struct json_part *object, struct err *err)
{
	struct json_part metadata, version;

	if (json_member(object, "metadata", &metadata) ||
	    json_member_text(&metadata, "resourceVersion", &version))
		return err_input(err, -EPROTO, "a watch sent a bookmark without a resourceVersion");
	return replace(&r->version, &version) ? err_system(err, -ENOMEM, "read a watch") : 0;
}

static int on_event(void *arg, enum watch_type type, const struct json_part *object,
		    struct err *err)
{
	struct reflector *r = arg;
	int ret;

	if (type == WATCH_ERROR)
		return on_error_event(r, object, err);
	ret = type == WATCH_BOOKMARK ? on_bookmark(r, object, err)
				     : on_object_event(r, type, object, err);
	if (!ret && r->heard++ == 0)
		prove(r);
	return ret;
}

static int on_watch_body(void *arg, const char *data, size_t len)
{
	struct reflector *r = arg;
	int ret;

	r->status.last_heard_ms = uv_now(r->opts.loop);
	r->read_at = uv_hrtime();
	ret = watch_stream_feed(&r->watch_stream, data, len, &r->problem);
	r->read_at = 0;
	return ret;
}

static void on_watch_begun(void *arg)
{
	struct reflector *r = arg;

	r->status.last_heard_ms = uv_now(r->opts.loop);
	uv_update_time(r->opts.loop);
	(void)uv_timer_start(
		&r->timer, on_timer,
		r->relist_asked ? RELIST_MS : (uint64_t)PROOF_WAITS * r->opts.backoff_ms, 0);
}

/* It ended as it should: after its time, or because the server ends. */
static void watch_whole(struct reflector *r, bool lived)
{
	const struct trouble trouble = { trouble_key(r, TROUBLE_ENDS, 0), "watches end at once" };

	r->watch_failures = 0;
	if (lived && !r->relist_asked)
		begin_watch(r);
	else if (lived || r->heard)
		wait_ms(r, backoff_ms(r));
	else
		fail_quietly(r, &trouble);
}

static void watch_stopped(struct reflector *r)
{
	const struct trouble trouble = { trouble_key(r, TROUBLE_BODY, 410), r->problem.msg };

	if (r->expired) {
		r->need_list = true;
		fail_quietly(r, &trouble);
		return;
	}
	if (++r->watch_failures % WATCH_FAILURES_MAX == 0)
		r->need_list = true;
	body_failed(r, "watch");
}

static void watch_refused(struct reflector *r, const struct kube_answer *answer)
{
	/* 400: a version that the server can't read. */
	if (answer->code == 410 || answer->code == 400)
		r->need_list = true;
	if (answer->new_token)
		begin_watch(r);
	else
		status_failed(r, "watch", answer);
}

static void on_watch_done(void *arg, const struct kube_answer *answer)
{
	struct reflector *r = arg;
	const bool lived = !uv_is_active((uv_handle_t *)&r->timer);

	r->request = NULL;
	(void)uv_timer_stop(&r->timer);
	if (answer->outcome == ANSWER_WHOLE)
		watch_whole(r, lived);
	else if (answer->outcome == ANSWER_STOPPED)
		watch_stopped(r);
	else if (answer->outcome == ANSWER_BROKEN)
		broken(r, answer, answer->code != 0); /* silence is no accident */
	else
		watch_refused(r, answer);
}

/*
 * Where requests share a connection the probe tells whether it is alive. Where
 * they don't, a watch's end, which comes soon, has to tell it.
 */
static uint32_t watch_seconds(const struct reflector *r, uint32_t *total_ms_out)
{
	uint32_t seconds = WATCH_S + random_below(WATCH_S);

	*total_ms_out = seconds * 1000 + GRACE_MS;
	if (!kube_client_shares(r->opts.client)) {
		seconds = r->opts.silence_s;
		*total_ms_out = seconds * 1000 + seconds * 1000 / 6;
	}
	return seconds;
}

static void init_watch_stream(struct reflector *r)
{
	const struct watch_opts opts = { .event = on_event, .arg = r };

	watch_stream_done(&r->watch_stream);
	watch_stream_init(&r->watch_stream, &opts);
	r->problem = (struct err){ 0 };
	r->expired = false;
	r->heard = 0;
}

static void begin_watch(struct reflector *r)
{
	struct request_opts opts = {
		.watch = true,
		.handler = { .begun = on_watch_begun,
			     .body = on_watch_body,
			     .done = on_watch_done,
			     .arg = r },
	};
	char *version = curl_easy_escape(NULL, r->version, 0), *path = NULL;
	const uint32_t seconds = watch_seconds(r, &opts.total_ms);

	init_watch_stream(r);
	r->status.watches++;
	r->state = KUBE_WATCHING;
	if (version &&
	    asprintf(&path,
		     "%s?%s&watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=%s",
		     r->opts.path, r->opts.selector, seconds, version) < 0)
		path = NULL;
	opts.path = path;
	request(r, &opts);
	free(path);
	curl_free(version);
}

/* ---- together ------------------------------------------------------------------------------- */

static void go(struct reflector *r)
{
	if (r->need_list || r->relist_asked)
		begin_list(r);
	else
		begin_watch(r);
}

static void on_timer(uv_timer_t *timer)
{
	struct reflector *r = timer->data;

	if (r->state == KUBE_WAITING) {
		go(r);
	} else if (r->state == KUBE_WATCHING && r->relist_asked) {
		if (r->request)
			kube_client_cancel(r->request);
		r->request = NULL;
		begin_list(r);
	} else if (r->state == KUBE_WATCHING) {
		prove(r);
	}
}

int reflector_init(struct reflector *reflector, const struct reflector_opts *opts)
{
	int ret = uv_timer_init(opts->loop, &reflector->timer);

	if (ret)
		return ret;
	reflector->opts = *opts;
	reflector->timer.data = reflector;
	reflector->page = opts->page;
	reflector->need_list = true;
	reflector->status.resource = opts->resource;
	return 0;
}

void reflector_start(struct reflector *reflector)
{
	wait_ms(reflector, 0);
}

void reflector_relist(struct reflector *reflector)
{
	reflector->relist_asked = true;
	/* Within a call of libcurl's no request may be ended. */
	if (reflector->state == KUBE_WATCHING)
		(void)uv_timer_start(&reflector->timer, on_timer, RELIST_MS, 0);
}

void reflector_hurry(struct reflector *reflector)
{
	const uint32_t soon = reflector->opts.backoff_ms;

	if (reflector->state != KUBE_WAITING || !reflector->failing || reflector->put_off)
		return;
	if (uv_timer_get_due_in(&reflector->timer) > 2 * (uint64_t)soon)
		wait_ms(reflector, soon + random_below(soon));
}

static void on_closed(uv_handle_t *handle)
{
	struct reflector *r = handle->data;

	r->opts.owner->closed(r->opts.owner->arg);
}

void reflector_close(struct reflector *reflector)
{
	list_stream_done(&reflector->list_stream);
	watch_stream_done(&reflector->watch_stream);
	known_done(&reflector->known);
	free(reflector->version);
	free(reflector->continue_key);
	reflector->version = reflector->continue_key = NULL;
	uv_close((uv_handle_t *)&reflector->timer, on_closed);
}
