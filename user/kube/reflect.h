/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One kind of object, as the API has it:
 *
 *      ┌──────────── another page ───────────┐
 *      ▼                                     │
 *   LISTING ── whole ──► WATCHING ── ended ──► WATCHING again, from where it was
 *      ▲  │                 │  │
 *      │  └── failed ──┐    │  └── 410 ──► LISTING
 *      │               ▼    ▼
 *      └──────────── WAITING: longer each time, until a watch has proved good
 *
 * Objects are told as they come. What a list hasn't got is told to be gone when
 * the list is whole, never before.
 */
#ifndef SHUNT_KUBE_REFLECT_H
#define SHUNT_KUBE_REFLECT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "kube/client.h"
#include "kube/known.h"
#include "kube/kube.h"
#include "kube/stream.h"
#include "source/sink.h"

struct reflector;

/* What goes wrong, told apart by @key: the same one isn't worth another line. */
struct trouble {
	uint32_t key;
	const char *text;
};

/* What its owner is told. All have @owner_arg first. */
struct reflector_owner {
	void (*listed)(void *arg, struct reflector *reflector); /* whole, for the first time */
	void (*failed)(void *arg, struct reflector *reflector, const struct trouble *trouble);
	/* An optional resource isn't to be had: gone on without. */
	void (*lacks)(void *arg, struct reflector *reflector, const struct trouble *trouble);
	void (*good)(void *arg, struct reflector *reflector); /* after trouble, or the first time */
	/* May it be passed over, undecoded? @entry: what is known of it */
	bool (*skip)(void *arg, struct reflector *reflector, struct known_entry *entry);
	void (*took)(void *arg, struct reflector *reflector, struct known_entry *entry,
		     const struct object *object);
	void (*closed)(void *arg); /* its handle is */
	void *arg;
};

struct reflector_opts {
	uv_loop_t *loop;
	struct kube_client *client;
	const struct source_sink *sink;
	const struct reflector_owner *owner;
	enum kind kind;
	const char *resource; /* "services" */
	const char *path;     /* "/api/v1/services" */
	const char *selector; /* "labelSelector=...", as it stands in a URL; must outlive it */
	const char *only;     /* the one name that matters; NULL: all */
	/* A server that hasn't got the resource, or doesn't let us read it, is lived with. */
	bool optional;
	uint32_t page, backoff_ms, backoff_max_ms, silence_s;
	size_t page_bytes_max;
};

struct reflector {
	struct reflector_opts opts;
	uv_timer_t timer;
	struct kube_request *request;
	struct known known;
	enum kube_state state;
	bool need_list;	   /* the next thing to do, instead of a watch */
	bool relist_asked; /* by the owner, for when the loop comes round */
	bool listed, failing, proved;
	bool put_off;	/* the server said for how long */
	uint32_t list;	/* number of the list at hand */
	uint32_t items; /* of the page at hand */
	uint32_t page;	/* objects asked for at a time; 0: all in one */
	uint32_t attempts, watch_failures, expiries;
	char *version, *continue_key; /* NULL: none */
	struct list_stream list_stream;
	struct watch_stream watch_stream;
	struct err problem; /* why the body was given up */
	bool expired;	    /* the watch said so */
	bool too_large;	    /* the page was */
	uint32_t heard;	    /* events of the watch at hand */
	uint64_t read_at;   /* uv_hrtime() of the bytes being told; 0: none are */
	struct kube_kind_status status;
};

int reflector_init(struct reflector *reflector, const struct reflector_opts *opts);
void reflector_start(struct reflector *reflector);
/* List again, soon; for owners, from within any call. */
void reflector_relist(struct reflector *reflector);
/* The server is well again, as another kind saw: no need to wait for long. */
void reflector_hurry(struct reflector *reflector);
/* The client was closed before. @reflector lives until owner->closed(). */
void reflector_close(struct reflector *reflector);

#endif
