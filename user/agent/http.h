/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Small HTTP servers in the event loop (libmicrohttpd, its epoll descriptor
 * polled by libuv): GET and HEAD of a few paths. Slow clients cost nobody
 * anything: they time out, and beyond SH_HTTP_CONNECTIONS_MAX connections to a
 * server its oldest one is closed for a new one.
 */
#ifndef SHUNT_USER_HTTP_H
#define SHUNT_USER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "util/addr.h"
#include "util/err.h"

struct http_header {
	const char *name, *value; /* the server copies both */
};

struct http_request {
	const char *path; /* without a query */
	enum family client;
};

#define HTTP_ANSWER_HEADERS_MAX 4

/* Filled in by a handler. */
struct http_answer {
	unsigned int status;	  /* 200 by default */
	const char *content_type; /* text/plain; charset=utf-8 by default */
	char *body;		  /* malloc()ed, freed by the server; NULL: empty */
	size_t len;
	struct http_header headers[HTTP_ANSWER_HEADERS_MAX];
	size_t n_headers;
	char header_text[64]; /* room for a value that a handler makes */
};

/* Must not stop its server. @return false: no such path (404) */
typedef bool http_handler(void *arg, const struct http_request *request,
			  struct http_answer *answer);

/* Who answers. */
struct http_service {
	http_handler *handler;
	void *arg;
};

struct http_server;

struct http_listen {
	struct sh_addr addr; /* all-zero IPv6 (::): both families */
	uint16_t port;	     /* host order */
	uint32_t idle_s;     /* a client is silent for so long, and is sent away; 0: 10 */
};

/* @return 0 and *@out, or a negative errno: its handles may be closing then */
int http_serve(struct http_server **out, uv_loop_t *loop, const struct http_listen *at,
	       const struct http_service *service, struct err *err);
/* Nothing listens any more; its handles are closing afterwards. NULL is fine. */
void http_stop(struct http_server *server);

#endif
