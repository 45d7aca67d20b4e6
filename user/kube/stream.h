/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The API's bytes, as they come, to whole JSON texts: the items of a list, the
 * events of a watch. A page is never held as a whole, and never as a tree.
 */
#ifndef SHUNT_KUBE_STREAM_H
#define SHUNT_KUBE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shunt/limits.h"
#include "util/err.h"

/* Part of somebody else's text; not ended by a NUL. */
struct json_part {
	const char *text;
	size_t len;
};

/*
 * The value of @key in the object that @object begins with, as it stands there.
 * @return 0, -ENOENT, or -EINVAL: what comes before it is no JSON object
 */
int json_member(const struct json_part *object, const char *key, struct json_part *out);
/* The same, of a string without escapes (names, versions, tokens): without its quotes. */
int json_member_text(const struct json_part *object, const char *key, struct json_part *out);

/* Bytes of a value whose beginning came in an earlier piece of the stream. */
struct held {
	char *data;
	size_t len, cap;
};

/* ---- the body of a list ------------------------------------------------------- */

struct list_opts {
	/*
	 * An item's text; @item.text NULL: it was larger than SH_API_OBJECT_BYTES_MAX and is
	 * passed over. @return 0, or a negative errno with @err: ends the stream
	 */
	int (*item)(void *arg, const struct json_part *item, struct err *err);
	void *arg;
	size_t bytes_max; /* of the whole page */
};

/* What list_stream_feed() is in the midst of keeping. */
enum list_capture { LIST_NOTHING = 0, LIST_ITEM, LIST_METADATA };

struct list_stream {
	struct list_opts opts;
	size_t bytes;
	unsigned int depth;
	uint64_t arrays[(SH_MANIFEST_DEPTH_MAX + 63) / 64]; /* which levels are arrays */
	bool in_string, escaped, ended;
	/* At depth 1: the key that was read last, and whether a key is being read. */
	bool want_key, in_key;
	char key[16];
	size_t key_len; /* as long as it really is */
	bool in_items, have_items;
	enum list_capture capture;
	size_t from; /* where in the piece at hand the captured value goes on */
	bool too_large;
	struct held held, metadata;
};

/* Where the list stands. Parts of the stream's memory, until list_stream_done(). */
struct list_end {
	struct json_part version;      /* metadata.resourceVersion */
	struct json_part continue_key; /* metadata.continue; empty: this was the last page */
};

void list_stream_init(struct list_stream *stream, const struct list_opts *opts);
void list_stream_done(struct list_stream *stream);
/* @return 0; -EFBIG: larger than bytes_max; -EPROTO: no JSON list; what the item's call says */
int list_stream_feed(struct list_stream *stream, const char *data, size_t len, struct err *err);
/* The body has ended. @return 0, or -EPROTO where that was too early */
int list_stream_end(const struct list_stream *stream, struct list_end *out, struct err *err);

/* ---- the body of a watch ------------------------------------------------------- */

enum watch_type {
	WATCH_ADDED = 0,
	WATCH_MODIFIED,
	WATCH_DELETED,
	WATCH_BOOKMARK,
	WATCH_ERROR,
};

struct watch_opts {
	/* @return 0, or a negative errno with @err: ends the stream */
	int (*event)(void *arg, enum watch_type type, const struct json_part *object,
		     struct err *err);
	void *arg;
};

struct watch_stream {
	struct watch_opts opts;
	struct held held;
};

void watch_stream_init(struct watch_stream *stream, const struct watch_opts *opts);
void watch_stream_done(struct watch_stream *stream);
/* @return 0; -EFBIG: an event over SH_API_OBJECT_BYTES_MAX; -EPROTO: no event; the call's */
int watch_stream_feed(struct watch_stream *stream, const char *data, size_t len, struct err *err);

#endif
