/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An HTTP client for tests, in the thread that runs the server's loop: it
 * waits by running that loop.
 */
#ifndef SHUNT_TESTS_HTTP_CLIENT_H
#define SHUNT_TESTS_HTTP_CLIENT_H

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define CLIENT_DEADLINE_MS 20000

struct reply {
	int status; /* 0: the connection ended before there was one */
	char head[2048];
	char *body; /* with a NUL */
	size_t len;
};

static inline void reply_done(struct reply *reply)
{
	free(reply->body);
	*reply = (struct reply){ 0 };
}

/* Value of a header, up to its end of line; NULL: there is none. */
static inline const char *reply_header(const struct reply *reply, const char *name, char buf[256])
{
	const char *line = reply->head;
	size_t len = strlen(name);

	while ((line = strstr(line, "\r\n")) != NULL) {
		line += 2;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			(void)snprintf(buf, 256, "%.*s", (int)strcspn(line + len + 2, "\r\n"),
				       line + len + 2);
			return buf;
		}
	}
	return NULL;
}

static inline bool reply_header_is(const struct reply *reply, const char *name, const char *value)
{
	char buf[256];
	const char *found = reply_header(reply, name, buf);

	return found && strcmp(found, value) == 0;
}

/* A port that nobody has, on any address. */
static inline uint16_t client_free_port(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(addr);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		abort();
	(void)close(fd);
	return ntohs(addr.sin_port);
}

/* To the loopback address. @return -1: refused */
static inline int client_connect(int family, uint16_t port)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && (family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
					  : connect(fd, (struct sockaddr *)&v6, sizeof(v6)))) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static inline bool client_send(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* Run the loop for a moment, at most until @fd (-1: none) has something. */
static inline void client_pump(uv_loop_t *loop, int fd)
{
	struct pollfd fds[] = { { .fd = uv_backend_fd(loop), .events = POLLIN },
				{ .fd = fd, .events = POLLIN } };
	int timeout;

	(void)uv_run(loop, UV_RUN_NOWAIT);
	timeout = uv_backend_timeout(loop);
	if (timeout)
		(void)poll(fds, 2, timeout < 0 || timeout > 20 ? 20 : timeout);
}

/* @return bytes, 0 at the end, -1 on a reset or when the deadline has passed */
static inline ssize_t client_recv(uv_loop_t *loop, int fd, char *buf, size_t len)
{
	const uint64_t deadline = uv_hrtime() + CLIENT_DEADLINE_MS * 1000000ull;
	ssize_t n;

	do {
		n = recv(fd, buf, len, MSG_DONTWAIT);
		if (n >= 0 || errno != EAGAIN)
			return n;
		client_pump(loop, fd);
	} while (uv_hrtime() < deadline);
	return -1;
}

static inline bool client_recv_head(uv_loop_t *loop, int fd, struct reply *reply)
{
	size_t len = 0;

	/* By bytes: what follows is the body's, or the next reply's. */
	while (len < sizeof(reply->head) - 1) {
		if (client_recv(loop, fd, reply->head + len, 1) != 1)
			return false;
		reply->head[++len] = '\0';
		if (len >= 4 && strcmp(reply->head + len - 4, "\r\n\r\n") == 0)
			return sscanf(reply->head, "HTTP/1.%*d %d", &reply->status) == 1;
	}
	return false;
}

/* @head: it is the reply to a HEAD. @return false: no whole reply came */
static inline bool client_reply(uv_loop_t *loop, int fd, bool head, struct reply *reply)
{
	char buf[256];
	size_t want;
	ssize_t n;

	*reply = (struct reply){ 0 };
	if (!client_recv_head(loop, fd, reply) || !reply_header(reply, "Content-Length", buf)) {
		reply->status = 0;
		return false;
	}
	want = head ? 0 : strtoul(buf, NULL, 10);
	reply->body = calloc(1, want + 1);
	while (reply->body && reply->len < want) {
		n = client_recv(loop, fd, reply->body + reply->len, want - reply->len);
		if (n <= 0)
			return false;
		reply->len += (size_t)n;
	}
	return reply->body != NULL;
}

/* One request on a connection of its own. */
static inline bool client_ask(uv_loop_t *loop, int family, uint16_t port, const char *request,
			      struct reply *reply)
{
	int fd = client_connect(family, port);
	bool ok;

	*reply = (struct reply){ 0 };
	if (fd < 0)
		return false;
	ok = client_send(fd, request) &&
	     client_reply(loop, fd, strncmp(request, "HEAD", 4) == 0, reply);
	(void)close(fd);
	return ok;
}

static inline bool client_get(uv_loop_t *loop, uint16_t port, const char *path, struct reply *reply)
{
	char request[256];

	(void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path);
	return client_ask(loop, AF_INET, port, request, reply);
}

static inline bool client_has_ipv6(void)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&v6, sizeof(v6)) == 0;

	if (fd >= 0)
		(void)close(fd);
	return has;
}

/* Runs it until no handle is left. @return false: one stays */
static inline bool client_loop_ends(uv_loop_t *loop)
{
	const uint64_t deadline = uv_hrtime() + CLIENT_DEADLINE_MS * 1000000ull;
	int more = 1;

	while (more && uv_hrtime() < deadline)
		more = uv_run(loop, UV_RUN_NOWAIT);
	return !more && uv_loop_close(loop) == 0;
}

#endif
