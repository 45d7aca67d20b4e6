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
	struct MHD_Connection *connection; /* of http_request_header() and _arguments() */
};

/* Of this name in any case; NULL: it has none. Lives as long as the handler runs. */
const char *http_request_header(const struct http_request *request, const char *name);

struct http_argument {
	const char *name, *value; /* decoded; as long as the handler runs */
};
#define HTTP_ARGUMENTS_MAX 16
/* The query's, in their order. @return how many, or -EINVAL: too many, or one with a NUL in it */
int http_request_arguments(const struct http_request *request,
			   struct http_argument out[static HTTP_ARGUMENTS_MAX]);

#define HTTP_ANSWER_HEADERS_MAX 12

/* Filled in by a handler. */
struct http_answer {
	unsigned int status;	  /* 200 by default */
	const char *content_type; /* text/plain; charset=utf-8 by default */
	char *body;		  /* malloc()ed, freed by the server; NULL: empty, or @shared */
	size_t len;
	const char
		*shared; /* a body that isn't the server's: lives until @release, if there is one */
	void (*release)(void *arg);
	void *release_arg;
	bool later; /* no answer yet: ask again after http_wake(). Of services that wait */
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
	bool waits; /* answers may be for later */
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
/* The handler is asked again for each request that it has put off. Not from a handler. */
void http_wake(struct http_server *server);
/* Nothing listens any more; its handles are closing afterwards. NULL is fine. */
void http_stop(struct http_server *server);

#endif
