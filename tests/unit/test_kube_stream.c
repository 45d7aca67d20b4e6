// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "kube/known.h"
#include "kube/stream.h"

#define FIXTURES "tests/fixtures/api/"
#define ROOMY	 (64u << 20)

/* What a stream gave, as JSON, so that it can be compared with the whole. */
struct taken {
	json_t *values; /* items; events as {"type", "object"} */
	size_t n_large;
};

static void add_json(json_t *to, const struct json_part *part)
{
	json_error_t error;
	json_t *value = json_loadb(part->text, part->len, 0, &error);

	if (!value)
		fail_msg("not JSON: %s: %.*s", error.text, (int)part->len, part->text);
	assert_int_equal(json_array_append_new(to, value), 0);
}

static int take_item(void *arg, const struct json_part *item, struct err *err)
{
	struct taken *taken = arg;

	if (item->text)
		add_json(taken->values, item);
	else
		taken->n_large++;
	return 0;
}

static const char *const types[] = { "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR" };

static int take_event(void *arg, enum watch_type type, const struct json_part *object,
		      struct err *err)
{
	struct taken *taken = arg;
	json_t *objects = json_array();

	add_json(objects, object);
	assert_int_equal(json_array_append_new(taken->values,
					       json_pack("{s:s,s:O}", "type", types[type], "object",
							 json_array_get(objects, 0))),
			 0);
	json_decref(objects);
	return 0;
}

/* How a text is cut: pieces of at most @most bytes, of random lengths if @seed isn't 0. */
struct cut {
	size_t most;
	uint32_t seed;
};

static size_t next_cut(struct cut *cut, size_t left)
{
	size_t len = cut->most;

	if (cut->seed) {
		cut->seed = cut->seed * 1664525 + 1013904223;
		len = 1 + (cut->seed >> 8) % cut->most;
	}
	return len < left ? len : left;
}

/* Each piece is handed over in memory of its own, so that reading beyond it is found. */
static int feed_piece(void *stream, bool list, const char *data, size_t len, struct err *err)
{
	char *copy = malloc(len ? len : 1);
	int ret;

	assert_non_null(copy);
	memcpy(copy, data, len);
	ret = list ? list_stream_feed(stream, copy, len, err)
		   : watch_stream_feed(stream, copy, len, err);
	free(copy);
	return ret;
}

static int feed(void *stream, bool list, const struct json_part *text, struct cut cut,
		struct err *err)
{
	size_t at, len;
	int ret;

	for (at = 0; at < text->len; at += len) {
		len = next_cut(&cut, text->len - at);
		ret = feed_piece(stream, list, text->text + at, len, err);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- recordings ----------------------------------------------------------------- */

static json_t *load(const char *name)
{
	char path[256];
	json_error_t error;
	json_t *json;

	(void)snprintf(path, sizeof(path), FIXTURES "%s", name);
	json = json_load_file(path, 0, &error);
	if (!json)
		fail_msg("%s: %s", path, error.text);
	return json;
}

static const struct cut cuts[] = {
	{ 1, 0 },   { 2, 0 },	 { 3, 0 },     { 7, 0 },	{ 64, 1 },
	{ 300, 2 }, { 4096, 3 }, { 16384, 4 }, { 1u << 30, 0 },
};
#define N_CUTS (sizeof(cuts) / sizeof(cuts[0]))

static void check_list(json_t *body, size_t flags, struct cut cut)
{
	struct taken taken = { .values = json_array() };
	const struct list_opts opts = { take_item, &taken, ROOMY };
	char *text = json_dumps(body, flags);
	const struct json_part whole = { text, strlen(text) };
	const json_t *metadata = json_object_get(body, "metadata");
	const char *key = json_string_value(json_object_get(metadata, "continue"));
	const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
	struct list_stream stream;
	struct list_end end;
	struct err err = { 0 };

	list_stream_init(&stream, &opts);
	if (feed(&stream, true, &whole, cut, &err) || list_stream_end(&stream, &end, &err))
		fail_msg("cut in %zu: %s", cut.most, err.msg);
	assert_true(json_equal(taken.values, json_object_get(body, "items")));
	assert_int_equal(end.version.len, strlen(version));
	assert_memory_equal(end.version.text, version, end.version.len);
	assert_int_equal(end.continue_key.len, key ? strlen(key) : 0);
	if (key)
		assert_memory_equal(end.continue_key.text, key, end.continue_key.len);
	list_stream_done(&stream);
	json_decref(taken.values);
	free(text);
}

/* Compact as the API sends it; indented; and with metadata behind the items. */
static void check_list_recording(const char *name)
{
	json_t *json = load(name);
	json_t *body = json_object_get(json_object_get(json, "response"), "body");
	json_t *metadata = json_object_get(body, "metadata");
	size_t i;

	assert_non_null(body);
	for (i = 0; i < N_CUTS; i++) {
		check_list(body, JSON_COMPACT, cuts[i]);
		check_list(body, JSON_INDENT(2), cuts[i]);
	}
	json_incref(metadata);
	json_object_del(body, "metadata");
	json_object_set_new(body, "metadata", metadata);
	for (i = 0; i < N_CUTS; i++)
		check_list(body, JSON_COMPACT, cuts[i]);
	json_decref(json);
}

static void test_lists_in_any_pieces(void **state)
{
	check_list_recording("list-services.json");
	check_list_recording("list-services-chunk0.json");
	check_list_recording("list-services-chunk2.json");
	check_list_recording("list-endpointslices.json");
	check_list_recording("list-endpoints.json");
	check_list_recording("list-nodes.json");
}

static char *events_text(const json_t *events)
{
	char *text = calloc(1, 1), *event, *longer;
	const json_t *value;
	size_t i;

	json_array_foreach(events, i, value)
	{
		event = json_dumps(json_object_get(value, "event"), JSON_COMPACT);
		assert_true(asprintf(&longer, "%s%s\n", text, event) >= 0);
		free(text);
		free(event);
		text = longer;
	}
	return text;
}

static void check_watch_recording(const char *name)
{
	json_t *json = load(name), *wanted = json_array();
	const json_t *events = json_object_get(json_object_get(json, "response"), "events");
	char *text = events_text(events);
	const struct json_part whole = { text, strlen(text) };
	const json_t *value;
	size_t i;

	json_array_foreach(events, i, value)
		assert_int_equal(json_array_append(wanted, json_object_get(value, "event")), 0);
	for (i = 0; i < N_CUTS; i++) {
		struct taken taken = { .values = json_array() };
		const struct watch_opts opts = { take_event, &taken };
		struct watch_stream stream;
		struct err err = { 0 };

		watch_stream_init(&stream, &opts);
		if (feed(&stream, false, &whole, cuts[i], &err))
			fail_msg("%s, cut in %zu: %s", name, cuts[i].most, err.msg);
		assert_true(json_equal(taken.values, wanted));
		watch_stream_done(&stream);
		json_decref(taken.values);
	}
	free(text);
	json_decref(wanted);
	json_decref(json);
}

static void test_watches_in_any_pieces(void **state)
{
	check_watch_recording("watch-services-create-modify-delete.json");
	check_watch_recording("watch-endpointslices-create-modify-delete.json");
	check_watch_recording("watch-410-gone.json");
	check_watch_recording("watch-ends-timeoutSeconds.json");
	check_watch_recording("watchlist-services.json");
}

/* ---- rubbish -------------------------------------------------------------------------- */

static int feed_list(const char *text, size_t len, struct cut cut, struct err *err)
{
	struct taken taken = { .values = json_array() };
	const struct list_opts opts = { take_item, &taken, ROOMY };
	const struct json_part whole = { text, len };
	struct list_stream stream;
	struct list_end end;
	int ret;

	list_stream_init(&stream, &opts);
	ret = feed(&stream, true, &whole, cut, err);
	if (!ret)
		ret = list_stream_end(&stream, &end, err);
	list_stream_done(&stream);
	json_decref(taken.values);
	return ret;
}

static const struct {
	const char *text, *message; /* NULL: it is a list */
} list_rows[] = {
	{ "{\"items\":null,\"metadata\":{\"resourceVersion\":\"1\"}}", NULL },
	{ "{\"items\":[],\"metadata\":{\"resourceVersion\":\"1\",\"continue\":\"\"}}", NULL },
	{ "\n{ \"items\" : [ { } , { } ] , \"metadata\" : { \"resourceVersion\" : \"1\" } }\n",
	  NULL },
	{ "{\"k\\\"e}y\":\"]\",\"items\":[],\"metadata\":{\"resourceVersion\":\"1\"}}", NULL },
	{ "{\"x\":{\"items\":[1],\"metadata\":2},\"items\":[],\"metadata\":{\"resourceVersion\":"
	  "\"1\"}}",
	  NULL },
	{ "", "it ends too early" },
	{ "{\"items\":[", "it ends too early" },
	{ "{\"items\":[{\"a\":\"b", "it ends too early" },
	{ "{}", "it has no items" },
	{ "{\"items\":[]}", "it has no resourceVersion" },
	{ "{\"items\":[],\"metadata\":null}", "it has no resourceVersion" },
	{ "{\"items\":[],\"metadata\":{}}", "it has no resourceVersion" },
	{ "{\"items\":[],\"metadata\":{\"resourceVersion\":\"\"}}", "it has no resourceVersion" },
	{ "{\"items\":[],\"metadata\":{\"resourceVersion\":17}}", "it has no resourceVersion" },
	{ "{\"items\":[],\"metadata\":{\"resourceVersion\":\"1\",\"continue\":7}}",
	  "its continue token is none" },
	{ "[]", "it isn't one JSON object" },
	{ "\"items\"", "it isn't one JSON object" },
	{ "<html>", "it isn't one JSON object" },
	{ "{\"items\":[]}{}", "it isn't one JSON object" },
	{ "{\"items\":[]}x", "it isn't one JSON object" },
	{ "{\"items\":{}}", "its items are no array" },
	{ "{\"items\":[],\"items\":[]}", "its items are no array" },
	{ "{\"items\":[1]}", "an item is no object" },
	{ "{\"items\":[\"x\"]}", "an item is no object" },
	{ "{\"items\":[[]]}", "an item is no object" },
	{ "{\"items\":[}", "brackets don't match" },
	{ "{\"items\":[{]", "brackets don't match" },
	{ "}", "brackets don't match" },
	{ "{{", "a key is missing" },
	{ "{\001", "it has control characters" },
};

static void test_what_is_no_list(void **state)
{
	char wanted[256];
	size_t i, j;

	for (i = 0; i < sizeof(list_rows) / sizeof(list_rows[0]); i++) {
		for (j = 0; j < N_CUTS; j++) {
			struct err err = { 0 };
			const int ret = feed_list(list_rows[i].text, strlen(list_rows[i].text),
						  cuts[j], &err);

			if (!list_rows[i].message && ret)
				fail_msg("%s: %s", list_rows[i].text, err.msg);
			if (!list_rows[i].message)
				continue;
			(void)snprintf(wanted, sizeof(wanted),
				       "the answer is no list of objects: %s",
				       list_rows[i].message);
			assert_string_equal(err.msg, wanted);
			assert_int_equal(ret, -EPROTO);
		}
	}
}

static int feed_watch(const char *text, struct cut cut, struct taken *taken, struct err *err)
{
	const struct watch_opts opts = { take_event, taken };
	const struct json_part whole = { text, strlen(text) };
	struct watch_stream stream;
	int ret;

	watch_stream_init(&stream, &opts);
	ret = feed(&stream, false, &whole, cut, err);
	watch_stream_done(&stream);
	return ret;
}

static const struct {
	const char *text;
	size_t n_events; /* before it fails, or in all */
	bool good;
} watch_rows[] = {
	{ "\n \n{\"type\":\"ADDED\",\"object\":{}}\n\n", 1, true },
	{ "{\"object\":{\"a\":[\"}\\\"\"]},\"type\":\"DELETED\"}\r\n", 1, true },
	{ "{\"type\":\"ADDED\",\"object\":{}}\n{\"type\":\"ADDED\"", 1, true }, /* not yet over */
	{ "{\"type\":\"ADDED\",\"object\":{}}\nrubbish\n", 1, false },
	{ "{}\n", 0, false },
	{ "[]\n", 0, false },
	{ "{\"type\":\"ADDED\"}\n", 0, false },
	{ "{\"type\":\"added\",\"object\":{}}\n", 0, false },
	{ "{\"type\":1,\"object\":{}}\n", 0, false },
	{ "{\"type\":\"ADDED\",\"object\":[]}\n", 0, false },
	{ "{\"type\":\"ADDED\",\"object\":\"\"}\n", 0, false },
	{ "{\"type\":\"ADDED\",\"object\":{\n", 0, false },
	{ "{\"type\":\"ADDED\" \"object\":{}}\n", 0, false },
	{ "{\"type\"\n", 0, false },
	{ "{\"type\":\n", 0, false },
	{ "{\"type\":\"AD\\\n", 0, false },
};

static void test_what_is_no_event(void **state)
{
	size_t i, j;

	for (i = 0; i < sizeof(watch_rows) / sizeof(watch_rows[0]); i++) {
		for (j = 0; j < N_CUTS; j++) {
			struct taken taken = { .values = json_array() };
			struct err err = { 0 };
			const int ret = feed_watch(watch_rows[i].text, cuts[j], &taken, &err);

			if (ret != (watch_rows[i].good ? 0 : -EPROTO))
				fail_msg("%s: %d", watch_rows[i].text, ret);
			assert_int_equal(json_array_size(taken.values), watch_rows[i].n_events);
			json_decref(taken.values);
		}
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static int ignore_item(void *arg, const struct json_part *item, struct err *err)
{
	return 0;
}

static int ignore_event(void *arg, enum watch_type type, const struct json_part *object,
			struct err *err)
{
	return 0;
}

/* A recording with bytes changed here and there: what comes of it doesn't matter, that it ends does. */
static void test_bytes_changed_at_random(void **state)
{
	const struct list_opts list_opts = { ignore_item, NULL, ROOMY };
	const struct watch_opts watch_opts = { ignore_event, NULL };
	static const char bytes[] = "{}[]\",:\\n\0\n x1";
	json_t *json = load("list-services.json");
	char *text = json_dumps(json_object_get(json_object_get(json, "response"), "body"),
				JSON_COMPACT);
	const struct json_part whole = { text, strlen(text) };
	uint32_t seed = 12345, i;

	for (i = 0; i < 3000; i++) {
		char *at = text + next_random(&seed) % whole.len, before = *at;
		struct list_stream list;
		struct watch_stream watch;
		struct list_end end;

		*at = bytes[next_random(&seed) % (sizeof(bytes) - 1)];
		list_stream_init(&list, &list_opts);
		if (feed(&list, true, &whole, (struct cut){ 2000, i + 1 }, NULL) == 0)
			(void)list_stream_end(&list, &end, NULL);
		list_stream_done(&list);
		watch_stream_init(&watch, &watch_opts);
		(void)feed(&watch, false, &whole, (struct cut){ 2000, i + 1 }, NULL);
		watch_stream_done(&watch);
		if (i % 8)
			*at = before;
	}
	free(text);
	json_decref(json);
}

/* ---- limits ------------------------------------------------------------------------------- */

static char *repeated(const char *before, char c, size_t n, const char *after)
{
	char *text = malloc(strlen(before) + n + strlen(after) + 1);

	assert_non_null(text);
	(void)strcpy(text, before);
	memset(text + strlen(before), c, n);
	(void)strcpy(text + strlen(before) + n, after);
	return text;
}

static void test_page_over_its_limit(void **state)
{
	static const char text[] = "{\"items\":[{},{}],\"metadata\":{\"resourceVersion\":\"1\"}}";
	const struct json_part whole = { text, sizeof(text) - 1 };
	size_t i;

	for (i = 0; i < N_CUTS; i++) {
		struct list_opts opts = { ignore_item, NULL, sizeof(text) - 1 };
		struct list_stream stream;
		struct err err = { 0 };

		list_stream_init(&stream, &opts);
		assert_int_equal(feed(&stream, true, &whole, cuts[i], &err), 0);
		list_stream_done(&stream);
		opts.bytes_max--;
		list_stream_init(&stream, &opts);
		assert_int_equal(feed(&stream, true, &whole, cuts[i], &err), -EFBIG);
		assert_string_equal(err.msg,
				    "a page of the list is larger than the limit of 51 bytes");
		list_stream_done(&stream);
	}
}

/* One object that is too large doesn't keep the others from coming. */
static void test_object_over_its_limit(void **state)
{
	static const char tail[] = "\"},{\"b\":1}],\"metadata\":{\"resourceVersion\":\"1\"}}";
	char *text =
		repeated("{\"items\":[{\"a\":1},{\"x\":\"", 'x', SH_API_OBJECT_BYTES_MAX, tail);
	const struct json_part whole = { text, strlen(text) };
	static const struct cut pieces[] = { { 16384, 0 }, { 1u << 30, 0 }, { 3u << 20, 0 } };
	size_t i;

	for (i = 0; i < 3; i++) {
		struct taken taken = { .values = json_array() };
		const struct list_opts opts = { take_item, &taken, ROOMY };
		struct list_stream stream;
		struct list_end end;

		list_stream_init(&stream, &opts);
		assert_int_equal(feed(&stream, true, &whole, pieces[i], NULL), 0);
		assert_int_equal(list_stream_end(&stream, &end, NULL), 0);
		assert_int_equal(json_array_size(taken.values), 2);
		assert_int_equal(taken.n_large, 1);
		assert_true(stream.held.cap <= 65536);
		list_stream_done(&stream);
		json_decref(taken.values);
	}
	free(text);
}

static void test_event_over_its_limit(void **state)
{
	char *text = repeated("{\"type\":\"ADDED\",\"object\":{\"x\":\"", 'x',
			      SH_API_OBJECT_BYTES_MAX, "");
	struct taken taken = { .values = json_array() };
	struct err err = { 0 };

	assert_int_equal(feed_watch(text, (struct cut){ 16384, 0 }, &taken, &err), -EFBIG);
	assert_string_equal(err.msg, "a watch sent an event that is larger than the limit of "
				     "8388608 bytes (SH_API_OBJECT_BYTES_MAX)");
	json_decref(taken.values);
	free(text);
}

static void test_nesting_over_its_limit(void **state)
{
	struct err err = { 0 };
	char *text = repeated("{\"x\":", '[', SH_MANIFEST_DEPTH_MAX - 1, "");

	assert_int_equal(feed_list(text, strlen(text), (struct cut){ 9, 0 }, &err), -EPROTO);
	assert_string_equal(err.msg, "the answer is no list of objects: it ends too early");
	free(text);
	text = repeated("{\"x\":", '[', SH_MANIFEST_DEPTH_MAX, "");
	assert_int_equal(feed_list(text, strlen(text), (struct cut){ 9, 0 }, &err), -EPROTO);
	assert_string_equal(err.msg, "the answer is nested deeper than the limit of 128 levels "
				     "(SH_MANIFEST_DEPTH_MAX)");
	free(text);
}

static void test_metadata_over_its_limit(void **state)
{
	char *text = repeated("{\"metadata\":{\"x\":\"", 'x', 70000, "\"}}");
	struct err err = { 0 };

	assert_int_equal(feed_list(text, strlen(text), (struct cut){ 1000, 0 }, &err), -EPROTO);
	assert_string_equal(err.msg, "the answer is no list of objects: its metadata is too large");
	free(text);
}

/* ---- what is known --------------------------------------------------------------------------- */

static struct known_name name_of(char buf[static 32], unsigned int i)
{
	(void)snprintf(buf, 32, "name-%u", i);
	return (struct known_name){ .ns = { "space", 5 }, .name = { buf, strlen(buf) } };
}

/* Every other one is removed while walking, as after a list; the rest is still found. */
static void test_known_objects(void **state)
{
	const unsigned int n = 5000;
	struct known known = { 0 };
	struct known_entry *entry;
	struct known_name name;
	char buf[32];
	unsigned int i;
	size_t at = 0;

	for (i = 0; i < n; i++) {
		name = name_of(buf, i);
		assert_null(known_find(&known, &name));
		entry = known_add(&known, &name);
		assert_non_null(entry);
		entry->list = i % 2;
		assert_ptr_equal(known_add(&known, &name), entry);
		assert_string_equal(known_ns(entry), "space");
		assert_string_equal(known_name(entry), buf);
	}
	while ((entry = known_next(&known, &at))) {
		if (entry->list)
			continue;
		known_remove(&known, entry);
		at--;
	}
	assert_int_equal(known.n, n / 2);
	for (i = 0; i < n; i++) {
		name = name_of(buf, i);
		assert_int_equal(known_find(&known, &name) != NULL, i % 2);
	}
	known_done(&known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_in_any_pieces),
		cmocka_unit_test(test_watches_in_any_pieces),
		cmocka_unit_test(test_what_is_no_list),
		cmocka_unit_test(test_what_is_no_event),
		cmocka_unit_test(test_bytes_changed_at_random),
		cmocka_unit_test(test_page_over_its_limit),
		cmocka_unit_test(test_object_over_its_limit),
		cmocka_unit_test(test_event_over_its_limit),
		cmocka_unit_test(test_nesting_over_its_limit),
		cmocka_unit_test(test_metadata_over_its_limit),
		cmocka_unit_test(test_known_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
