/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * GET requests to one API server: libcurl's multi interface in a libuv loop.
 * Requests share connections (HTTP/2) or have one each (HTTP/1.1). A server that
 * has gone without a word is noticed: when no request has heard a byte for two
 * thirds of silence_s it is asked for /version; without an answer within the
 * last third every connection is given up.
 */
#ifndef SHUNT_KUBE_CLIENT_H
#define SHUNT_KUBE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "kube/kube.h"
#include "util/err.h"

struct kube_client;
struct kube_request;

struct client_opts {
	uv_loop_t *loop;
	const struct kube_config *config;
	uint32_t silence_s;
	/* All handles are closed, the client is freed. */
	void (*closed)(void *arg);
	void *arg;
};

int kube_client_new(struct kube_client **out, const struct client_opts *opts, struct err *err);
/* Ends all requests without a further call; not from within one. NULL is fine. */
void kube_client_close(struct kube_client *client);

enum answer {
	ANSWER_WHOLE = 0, /* 200, and the body to its end */
	ANSWER_STATUS,	  /* another status */
	ANSWER_BROKEN,	  /* no answer, or one that broke off */
	ANSWER_STOPPED,	  /* the body's call ended it */
};

struct kube_answer {
	enum answer outcome;
	/* An HTTP status; a CURLcode, or 0 for silence, where it is ANSWER_BROKEN */
	long code;
	uint32_t retry_after_ms; /* 0: the server didn't say */
	/* 401, and there is another token now: worth another try at once. */
	bool new_token;
	const char
		*text; /* what happened; not for ANSWER_WHOLE and _STOPPED. Until the call ends */
	const char *body; /* of an ANSWER_STATUS, its beginning */
};

struct request_handler {
	void (*begun)(void *arg); /* status 200 is there; NULL is fine */
	/* @return 0, or negative: end the request */
	int (*body)(void *arg, const char *data, size_t len);
	/* The request is over, and freed when this returns. New ones may be made. */
	void (*done)(void *arg, const struct kube_answer *answer);
	void *arg;
};

struct request_opts {
	const char *path;  /* "/api/v1/services?limit=500": behind the server's URL */
	bool watch;	   /* may be silent once it has begun */
	uint32_t total_ms; /* 0: as long as it takes */
	struct request_handler handler;
};

/* @return 0 and *@out, valid until done() is called; or a negative errno, and done() is not */
int kube_client_get(struct kube_client *client, const struct request_opts *opts,
		    struct kube_request **out, struct err *err);
/*
 * Do all requests share a connection? Where each has its own, the probe of one
 * says nothing of the others.
 */
bool kube_client_shares(const struct kube_client *client);
/* Ends it without a further call. Not from within libcurl: from timers only. */
void kube_client_cancel(struct kube_request *request);

#endif
