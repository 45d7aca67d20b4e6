// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kube/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What stays allocated between two values that came in pieces. */
#define HELD_KEPT	   65536u
/* A list's metadata is a version and a token. */
#define METADATA_BYTES_MAX 65536u

/* ---- parts of a whole text ------------------------------------------------------ */

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t skip_blanks(const struct json_part *text, size_t at)
{
	while (at < text->len && is_blank(text->text[at]))
		at++;
	return at;
}

/* @at: the opening quote. @return behind the closing one, or 0: there is none */
static size_t skip_string(const struct json_part *text, size_t at)
{
	for (at++; at < text->len; at++) {
		if (text->text[at] == '"')
			return at + 1;
		if (text->text[at] == '\\')
			at++;
	}
	return 0;
}

/* @at: the opening bracket. @return behind the one that closes it, or 0 */
static size_t skip_nested(const struct json_part *text, size_t at)
{
	size_t depth = 0;

	while (at < text->len) {
		const char c = text->text[at];

		if (c == '"') {
			at = skip_string(text, at);
			if (!at)
				return 0;
			continue;
		}
		at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return at;
	}
	return 0;
}

static size_t skip_scalar(const struct json_part *text, size_t at)
{
	const size_t start = at;

	while (at < text->len && !is_blank(text->text[at]) && !strchr(",:]}[{\"", text->text[at]))
		at++;
	return at == start ? 0 : at;
}

static size_t skip_value(const struct json_part *text, size_t at)
{
	if (at >= text->len)
		return 0;
	switch (text->text[at]) {
	case '"':
		return skip_string(text, at);
	case '{':
	case '[':
		return skip_nested(text, at);
	default:
		return skip_scalar(text, at);
	}
}

/*
 * One member of an object, from its key at @*at on; @*at is then behind the
 * comma that follows, or at the closing brace.
 */
static int take_member(const struct json_part *text, size_t *at, struct json_part *key_out,
		       struct json_part *value_out)
{
	size_t start = *at, end;

	if (start >= text->len || text->text[start] != '"')
		return -EINVAL;
	end = skip_string(text, start);
	if (!end)
		return -EINVAL;
	*key_out = (struct json_part){ text->text + start + 1, end - start - 2 };
	start = skip_blanks(text, end);
	if (start >= text->len || text->text[start] != ':')
		return -EINVAL;
	start = skip_blanks(text, start + 1);
	end = skip_value(text, start);
	if (!end)
		return -EINVAL;
	*value_out = (struct json_part){ text->text + start, end - start };
	*at = skip_blanks(text, end);
	if (*at >= text->len || (text->text[*at] != ',' && text->text[*at] != '}'))
		return -EINVAL;
	if (text->text[*at] == ',')
		*at = skip_blanks(text, *at + 1);
	return 0;
}

static bool part_is(const struct json_part *part, const char *text)
{
	return part->len == strlen(text) && memcmp(part->text, text, part->len) == 0;
}

int json_member(const struct json_part *object, const char *key, struct json_part *out)
{
	struct json_part name, value;
	size_t at = skip_blanks(object, 0);

	if (at >= object->len || object->text[at] != '{')
		return -EINVAL;
	at = skip_blanks(object, at + 1);
	while (at < object->len && object->text[at] != '}') {
		if (take_member(object, &at, &name, &value))
			return -EINVAL;
		if (part_is(&name, key)) {
			*out = value;
			return 0;
		}
	}
	return at < object->len ? -ENOENT : -EINVAL;
}

int json_member_text(const struct json_part *object, const char *key, struct json_part *out)
{
	struct json_part value;
	int ret = json_member(object, key, &value);
	size_t i;

	if (ret)
		return ret;
	if (value.text[0] != '"')
		return -EINVAL;
	for (i = 1; i < value.len - 1; i++)
		if (value.text[i] == '\\' || (unsigned char)value.text[i] < ' ')
			return -EINVAL;
	*out = (struct json_part){ value.text + 1, value.len - 2 };
	return 0;
}

/* ---- values that come in pieces -------------------------------------------------- */

static int held_add(struct held *held, const char *data, size_t len)
{
	size_t cap = held->cap ? held->cap : 4096;
	char *grown;

	while (cap < held->len + len)
		cap *= 2;
	if (cap != held->cap) {
		grown = realloc(held->data, cap);
		if (!grown)
			return -ENOMEM;
		held->data = grown;
		held->cap = cap;
	}
	memcpy(held->data + held->len, data, len);
	held->len += len;
	return 0;
}

static void held_done(struct held *held)
{
	free(held->data);
	*held = (struct held){ 0 };
}

/* Empty again; one large value isn't kept for the hours that a watch lasts. */
static void held_clear(struct held *held)
{
	held->len = 0;
	if (held->cap > HELD_KEPT)
		held_done(held);
}

/* ---- lists -------------------------------------------------------------------------- */

void list_stream_init(struct list_stream *stream, const struct list_opts *opts)
{
	*stream = (struct list_stream){ .opts = *opts };
}

void list_stream_done(struct list_stream *stream)
{
	held_done(&stream->held);
	held_done(&stream->metadata);
}

static int no_list(struct err *err, const char *why)
{
	return err_input(err, -EPROTO, "the answer is no list of objects: %s", why);
}

static bool key_is(const struct list_stream *s, const char *key)
{
	return s->key_len == strlen(key) && memcmp(s->key, key, s->key_len) == 0;
}

static bool level_is_array(const struct list_stream *s, unsigned int level)
{
	return s->arrays[level / 64] & (UINT64_C(1) << (level % 64));
}

static void set_level(struct list_stream *s, unsigned int level, bool array)
{
	const uint64_t bit = UINT64_C(1) << (level % 64);

	if (array)
		s->arrays[level / 64] |= bit;
	else
		s->arrays[level / 64] &= ~bit;
}

static void capture(struct list_stream *s, enum list_capture what, size_t at)
{
	s->capture = what;
	s->from = at;
	s->too_large = false;
}

/* Keep, or give up keeping, what the piece at hand has of the captured value. */
static int hold(struct list_stream *s, const char *data, size_t to, struct err *err)
{
	const size_t len = to - s->from;

	if (s->too_large)
		return 0;
	if (s->capture == LIST_METADATA && s->held.len + len > METADATA_BYTES_MAX)
		return no_list(err, "its metadata is too large");
	if (s->held.len + len > SH_API_OBJECT_BYTES_MAX) {
		s->too_large = true;
		held_clear(&s->held);
		return 0;
	}
	if (held_add(&s->held, data + s->from, len))
		return err_system(err, -ENOMEM, "read a list");
	return 0;
}

static int give_item(struct list_stream *s, const char *data, size_t to, struct err *err)
{
	struct json_part item = { data + s->from, to - s->from };
	int ret;

	/* Most items lie within one piece: these are never copied. */
	if (s->held.len || s->too_large || item.len > SH_API_OBJECT_BYTES_MAX) {
		ret = hold(s, data, to, err);
		if (ret)
			return ret;
		item = (struct json_part){ s->too_large ? NULL : s->held.data, s->held.len };
	}
	ret = s->opts.item(s->opts.arg, &item, err);
	held_clear(&s->held);
	return ret;
}

static int end_capture(struct list_stream *s, const char *data, size_t to, struct err *err)
{
	const enum list_capture what = s->capture;
	int ret;

	if (what == LIST_ITEM) {
		ret = give_item(s, data, to, err);
	} else {
		ret = hold(s, data, to, err);
		held_done(&s->metadata);
		s->metadata = s->held;
		s->held = (struct held){ 0 };
	}
	s->capture = LIST_NOTHING;
	return ret;
}

/* The bracket @c at @at opens something. */
static int open_level(struct list_stream *s, char c, size_t at, struct err *err)
{
	if (s->ended || (s->depth == 0 && c != '{'))
		return no_list(err, "it isn't one JSON object");
	if (s->depth >= SH_MANIFEST_DEPTH_MAX)
		return err_input(err, -EPROTO,
				 "the answer is nested deeper than the limit of %d levels "
				 "(SH_MANIFEST_DEPTH_MAX)",
				 SH_MANIFEST_DEPTH_MAX);
	if (s->in_items && s->depth == 2) {
		if (c != '{')
			return no_list(err, "an item is no object");
		capture(s, LIST_ITEM, at);
	} else if (s->depth == 1 && s->want_key) {
		return no_list(err, "a key is missing");
	} else if (s->depth == 1 && key_is(s, "metadata") && c == '{') {
		capture(s, LIST_METADATA, at);
	} else if (s->depth == 1 && key_is(s, "items")) {
		if (c != '[' || s->have_items)
			return no_list(err, "its items are no array");
		s->in_items = s->have_items = true;
	}
	set_level(s, s->depth++, c == '[');
	s->want_key = s->depth == 1;
	return 0;
}

/* The bracket @c, the last byte before @to, closes something. */
static int close_level(struct list_stream *s, char c, const char *data, size_t to, struct err *err)
{
	if (s->depth == 0 || level_is_array(s, s->depth - 1) != (c == ']'))
		return no_list(err, "brackets don't match");
	s->depth--;
	if (s->depth == 0)
		s->ended = true;
	if (s->in_items && s->depth == 1)
		s->in_items = false;
	if ((s->capture == LIST_ITEM && s->depth == 2) ||
	    (s->capture == LIST_METADATA && s->depth == 1))
		return end_capture(s, data, to, err);
	return 0;
}

static int open_string(struct list_stream *s, struct err *err)
{
	if (s->depth == 0)
		return no_list(err, "it isn't one JSON object");
	if (s->in_items && s->depth == 2)
		return no_list(err, "an item is no object");
	s->in_string = true;
	if (s->depth == 1 && s->want_key) {
		s->in_key = true;
		s->key_len = 0;
	}
	return 0;
}

static int other_byte(struct list_stream *s, char c, struct err *err)
{
	if (is_blank(c))
		return 0;
	if ((unsigned char)c < ' ' || c == 0x7f)
		return no_list(err, "it has control characters");
	if (s->depth == 0)
		return no_list(err, "it isn't one JSON object");
	if (s->depth == 1 && c == ':')
		s->want_key = false;
	else if (s->depth == 1 && c == ',')
		s->want_key = true;
	else if (s->in_items && s->depth == 2 && c != ',')
		return no_list(err, "an item is no object");
	else if (s->depth == 1 && key_is(s, "items") && c == 'n')
		s->have_items = true; /* null: a list of none */
	return 0;
}

static int outside_string(struct list_stream *s, const char *data, size_t at, struct err *err)
{
	switch (data[at]) {
	case '"':
		return open_string(s, err);
	case '{':
	case '[':
		return open_level(s, data[at], at, err);
	case '}':
	case ']':
		return close_level(s, data[at], data, at + 1, err);
	default:
		return other_byte(s, data[at], err);
	}
}

static void key_byte(struct list_stream *s, char c)
{
	if (s->key_len < sizeof(s->key))
		s->key[s->key_len] = c;
	s->key_len++;
}

/* From @at on, within a string. @return behind what was read */
static size_t inside_string(struct list_stream *s, const char *data, size_t at, size_t len)
{
	for (; at < len; at++) {
		const char c = data[at];

		if (s->escaped) {
			s->escaped = false;
		} else if (c == '\\') {
			s->escaped = true;
		} else if (c == '"') {
			s->in_string = s->in_key = false;
			return at + 1;
		}
		if (s->in_key)
			key_byte(s, c);
	}
	return at;
}

int list_stream_feed(struct list_stream *stream, const char *data, size_t len, struct err *err)
{
	size_t at = 0;
	int ret;

	/* Before it is read: what a hostile page unpacks to costs nothing. */
	if (len > stream->opts.bytes_max - stream->bytes)
		return err_input(err, -EFBIG,
				 "a page of the list is larger than the limit of %zu bytes",
				 stream->opts.bytes_max);
	stream->bytes += len;
	stream->from = 0;
	while (at < len) {
		if (stream->in_string) {
			at = inside_string(stream, data, at, len);
			continue;
		}
		ret = outside_string(stream, data, at++, err);
		if (ret)
			return ret;
	}
	return stream->capture ? hold(stream, data, len, err) : 0;
}

int list_stream_end(const struct list_stream *stream, struct list_end *out, struct err *err)
{
	const struct json_part metadata = { stream->metadata.data, stream->metadata.len };
	struct list_end end = { 0 };
	int ret;

	if (!stream->ended)
		return no_list(err, "it ends too early");
	if (!stream->have_items)
		return no_list(err, "it has no items");
	if (!metadata.len || json_member_text(&metadata, "resourceVersion", &end.version) ||
	    !end.version.len)
		return no_list(err, "it has no resourceVersion");
	ret = json_member_text(&metadata, "continue", &end.continue_key);
	if (ret && ret != -ENOENT)
		return no_list(err, "its continue token is none");
	*out = end;
	return 0;
}

/* ---- watches ------------------------------------------------------------------------- */

void watch_stream_init(struct watch_stream *stream, const struct watch_opts *opts)
{
	*stream = (struct watch_stream){ .opts = *opts };
}

void watch_stream_done(struct watch_stream *stream)
{
	held_done(&stream->held);
}

static const char *const watch_types[] = {
	[WATCH_ADDED] = "ADDED",       [WATCH_MODIFIED] = "MODIFIED", [WATCH_DELETED] = "DELETED",
	[WATCH_BOOKMARK] = "BOOKMARK", [WATCH_ERROR] = "ERROR",
};

static int watch_type_of(const struct json_part *name, enum watch_type *out)
{
	size_t i;

	for (i = 0; i < sizeof(watch_types) / sizeof(watch_types[0]); i++) {
		if (part_is(name, watch_types[i])) {
			*out = (enum watch_type)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int give_event(struct watch_stream *s, const struct json_part *line, struct err *err)
{
	struct json_part name, object;
	enum watch_type type;

	if (skip_blanks(line, 0) == line->len)
		return 0;
	if (json_member_text(line, "type", &name) || watch_type_of(&name, &type) ||
	    json_member(line, "object", &object) || object.text[0] != '{')
		return err_input(err, -EPROTO, "a watch sent a line that is no event");
	return s->opts.event(s->opts.arg, type, &object, err);
}

static int too_large(struct err *err)
{
	return err_input(err, -EFBIG,
			 "a watch sent an event that is larger than the limit of %u bytes "
			 "(SH_API_OBJECT_BYTES_MAX)",
			 SH_API_OBJECT_BYTES_MAX);
}

/* @len bytes that end the line which may have begun in earlier pieces. */
static int end_line(struct watch_stream *s, const char *data, size_t len, struct err *err)
{
	struct json_part line = { data, len };
	int ret;

	if (s->held.len) {
		if (held_add(&s->held, data, len))
			return err_system(err, -ENOMEM, "read a watch");
		line = (struct json_part){ s->held.data, s->held.len };
	}
	ret = give_event(s, &line, err);
	held_clear(&s->held);
	return ret;
}

int watch_stream_feed(struct watch_stream *stream, const char *data, size_t len, struct err *err)
{
	const char *newline;
	size_t part;
	int ret;

	while (len) {
		newline = memchr(data, '\n', len);
		part = newline ? (size_t)(newline - data) : len;
		if (stream->held.len + part > SH_API_OBJECT_BYTES_MAX)
			return too_large(err);
		if (!newline)
			return held_add(&stream->held, data, len)
				       ? err_system(err, -ENOMEM, "read a watch")
				       : 0;
		ret = end_line(stream, data, part, err);
		if (ret)
			return ret;
		data += part + 1;
		len -= part + 1;
	}
	return 0;
}
