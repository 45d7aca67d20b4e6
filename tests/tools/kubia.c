// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * kubia: a small real server that answers with its own name, so that a test
 * can tell which backend it has reached.
 *
 *   kubia NAME [--http PORT]... [--tcp PORT]... [--udp PORT]... [--show-client]
 *
 *   HTTP  GET /          You've hit NAME
 *         GET /bytes/N   N bytes of the test pattern
 *         PUT            reads the body; 400 unless it is the test pattern
 *   TCP                  the name on a line, then everything echoed
 *   UDP                  the name on a line, then the datagram echoed
 *
 * --show-client adds " from ADDRESS" to the name: the client as the server
 * sees it. One thread, epoll; one socket for both address families.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/pattern.h"

enum {
	LISTENERS_MAX = 16,
	NAME_MAX_LEN = 253,
	IN_MAX = 4096, /* a request's headers */
	OUT_MAX = 16384,
	DATAGRAM_MAX = 65535,
	EVENTS_MAX = 64,
};

enum kind { HTTP_LISTENER, TCP_LISTENER, UDP_SOCKET, HTTP_CONN, ECHO_CONN };

/* What an epoll event points at: the first member of both structs below. */
struct source {
	enum kind kind;
	int fd;
};

struct conn {
	struct source source;
	char who[NAME_MAX_LEN + 6 + INET6_ADDRSTRLEN + 1]; /* "NAME[ from ADDRESS]" */
	char in[IN_MAX + 1];
	size_t in_len;
	char out[OUT_MAX];
	size_t out_off, out_len;
	uint64_t body_left, body_off; /* of the request being read */
	uint64_t send_left, send_off; /* pattern bytes still to be sent */
	bool body_wrong;
	bool in_body; /* headers are read, the answer waits for the body's end */
	bool close_after;
	uint64_t answer_bytes; /* GET /bytes/N; 0: answer with the name */
};

struct server {
	const char *name;
	bool show_client;
	int epoll;
	struct source listeners[LISTENERS_MAX];
	size_t n_listeners;
};

static const char *client_text(const struct sockaddr_in6 *addr, char *buf, size_t len)
{
	if (IN6_IS_ADDR_V4MAPPED(&addr->sin6_addr))
		return inet_ntop(AF_INET, &addr->sin6_addr.s6_addr[12], buf, (socklen_t)len);
	return inet_ntop(AF_INET6, &addr->sin6_addr, buf, (socklen_t)len);
}

/* "NAME" or "NAME from ADDRESS"; @return its length */
static size_t who_text(const struct server *server, const struct sockaddr_in6 *client, char *buf,
		       size_t len)
{
	char addr[INET6_ADDRSTRLEN];
	int n;

	if (server->show_client)
		n = snprintf(buf, len, "%s from %s", server->name,
			     client_text(client, addr, sizeof(addr)));
	else
		n = snprintf(buf, len, "%s", server->name);
	return (size_t)n;
}

static int watch(const struct server *server, struct source *source, uint32_t events, int op)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(server->epoll, op, source->fd, &event);
}

static void conn_free(struct conn *conn)
{
	close(conn->source.fd); /* leaves the epoll set too */
	free(conn);
}

/* ---- HTTP ------------------------------------------------------------------ */

/* The value of header @name in the NUL-terminated head, or NULL. */
static const char *header_value(const char *head, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
		line += 2;
		if (!strncasecmp(line, name, len) && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " ");
	}
	return NULL;
}

static void answer(struct conn *conn)
{
	char body[sizeof(conn->who) + 16];
	int body_len, head_len;

	body_len = snprintf(body, sizeof(body), "You've hit %s\n", conn->who);
	conn->send_left = conn->answer_bytes;
	conn->send_off = 0;
	head_len = snprintf(conn->out, sizeof(conn->out),
			    "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %llu\r\n"
			    "X-Kubia: %s\r\nConnection: %s\r\n\r\n",
			    conn->body_wrong ? "400 Bad Request" : "200 OK",
			    conn->answer_bytes ? "application/octet-stream" : "text/plain",
			    conn->answer_bytes ? (unsigned long long)conn->answer_bytes
					       : (unsigned long long)body_len,
			    conn->who, conn->close_after ? "close" : "keep-alive");
	conn->out_off = 0;
	conn->out_len = (size_t)head_len;
	if (!conn->answer_bytes) {
		memcpy(conn->out + head_len, body, (size_t)body_len);
		conn->out_len += (size_t)body_len;
	}
	conn->in_body = false;
}

/* Take what stands in the input as the request's body. */
static void take_body(struct conn *conn)
{
	size_t n = conn->in_len < conn->body_left ? conn->in_len : (size_t)conn->body_left;

	if (!pattern_check(conn->in, n, conn->body_off))
		conn->body_wrong = true;
	conn->body_off += n;
	conn->body_left -= n;
	conn->in_len -= n;
	memmove(conn->in, conn->in + n, conn->in_len);
	if (!conn->body_left)
		answer(conn);
}

/* @return 1: a request was begun, 0: more input is needed, negative: close */
static int take_head(struct conn *conn)
{
	const char *value;
	size_t head_len;
	char *end;

	conn->in[conn->in_len] = '\0';
	end = strstr(conn->in, "\r\n\r\n");
	if (!end)
		return conn->in_len < IN_MAX ? 0 : -E2BIG;
	*end = '\0';
	head_len = (size_t)(end - conn->in) + 4;
	value = header_value(conn->in, "Content-Length");
	conn->body_left = value ? strtoull(value, NULL, 10) : 0;
	conn->body_off = 0;
	conn->body_wrong = false;
	value = header_value(conn->in, "Connection");
	conn->close_after = value && !strncasecmp(value, "close", 5);
	conn->answer_bytes = 0;
	if (!strncmp(conn->in, "GET /bytes/", 11))
		conn->answer_bytes = strtoull(conn->in + 11, NULL, 10);
	conn->in_body = true;
	conn->in_len -= head_len;
	memmove(conn->in, conn->in + head_len, conn->in_len);
	return 1;
}

/* Work on the input until an answer is to be sent or more input is needed. */
static int http_input(struct conn *conn)
{
	int ret = 0;

	if (!conn->in_body) {
		ret = take_head(conn);
		if (ret <= 0)
			return ret;
	}
	take_body(conn);
	return 0;
}

/* ---- connections ------------------------------------------------------------ */

static bool has_output(const struct conn *conn)
{
	return conn->out_off < conn->out_len || conn->send_left;
}

/* @return 0: all is sent, -EAGAIN: the socket is full, other negative: close */
static int conn_send(struct conn *conn)
{
	ssize_t n;

	while (has_output(conn)) {
		if (conn->out_off == conn->out_len) {
			conn->out_len = conn->send_left < OUT_MAX ? conn->send_left : OUT_MAX;
			pattern_fill(conn->out, conn->out_len, conn->send_off);
			conn->out_off = 0;
			conn->send_off += conn->out_len;
			conn->send_left -= conn->out_len;
		}
		n = send(conn->source.fd, conn->out + conn->out_off, conn->out_len - conn->out_off,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return -errno;
		conn->out_off += (size_t)n;
	}
	return conn->close_after && !conn->in_body ? -ESHUTDOWN : 0;
}

/* @return bytes read, 0: the other end has closed, negative errno */
static ssize_t conn_read(struct conn *conn)
{
	ssize_t n;

	if (conn->source.kind == ECHO_CONN) {
		n = recv(conn->source.fd, conn->out, OUT_MAX, MSG_DONTWAIT);
		if (n > 0) {
			conn->out_off = 0;
			conn->out_len = (size_t)n;
		}
	} else {
		n = recv(conn->source.fd, conn->in + conn->in_len, IN_MAX - conn->in_len,
			 MSG_DONTWAIT);
		if (n > 0)
			conn->in_len += (size_t)n;
	}
	return n < 0 ? -errno : n;
}

/* Input is read only while no output waits: a slow client slows nobody else. */
static int conn_step(struct conn *conn)
{
	ssize_t n;
	int ret;

	for (;;) {
		ret = conn_send(conn);
		if (ret)
			return ret;
		if (conn->source.kind == HTTP_CONN && conn->in_len) {
			ret = http_input(conn);
			if (ret || has_output(conn))
				goto next;
		}
		n = conn_read(conn);
		if (n <= 0)
			return n ? (int)n : -ESHUTDOWN;
		if (conn->source.kind == HTTP_CONN)
			ret = http_input(conn);
next:
		if (ret)
			return ret;
	}
}

static void conn_event(const struct server *server, struct conn *conn)
{
	int ret = conn_step(conn);

	if (ret == -EAGAIN)
		ret = watch(server, &conn->source, has_output(conn) ? EPOLLOUT : EPOLLIN,
			    EPOLL_CTL_MOD);
	if (ret)
		conn_free(conn);
}

static void accept_event(const struct server *server, const struct source *listener)
{
	struct sockaddr_in6 client;
	socklen_t len = sizeof(client);
	struct conn *conn;
	int fd;

	fd = accept4(listener->fd, (struct sockaddr *)&client, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED)
			fprintf(stderr, "kubia: accept: %s\n", strerror(errno));
		return;
	}
	conn = calloc(1, sizeof(*conn));
	if (!conn) {
		close(fd);
		return;
	}
	conn->source.fd = fd;
	conn->source.kind = listener->kind == HTTP_LISTENER ? HTTP_CONN : ECHO_CONN;
	who_text(server, &client, conn->who, sizeof(conn->who));
	if (conn->source.kind == ECHO_CONN)
		conn->out_len = (size_t)snprintf(conn->out, OUT_MAX, "%s\n", conn->who);
	if (watch(server, &conn->source, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD))
		conn_free(conn);
}

static void udp_event(const struct server *server, const struct source *socket)
{
	char buf[NAME_MAX_LEN + 6 + INET6_ADDRSTRLEN + 1 + DATAGRAM_MAX];
	char payload[DATAGRAM_MAX];
	struct sockaddr_in6 client;
	socklen_t len = sizeof(client);
	size_t who_len;
	ssize_t n;

	n = recvfrom(socket->fd, payload, sizeof(payload), MSG_DONTWAIT, (struct sockaddr *)&client,
		     &len);
	if (n < 0)
		return; /* an ICMP error of an earlier answer: its client knows */
	who_len = who_text(server, &client, buf, sizeof(buf));
	buf[who_len++] = '\n';
	memcpy(buf + who_len, payload, (size_t)n);
	if (sendto(socket->fd, buf, who_len + (size_t)n, 0, (struct sockaddr *)&client, len) < 0)
		fprintf(stderr, "kubia: answer by UDP: %s\n", strerror(errno));
}

/* ---- start ------------------------------------------------------------------ */

static int open_socket(enum kind kind, uint16_t port)
{
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int type = kind == UDP_SOCKET ? SOCK_DGRAM : SOCK_STREAM;
	int fd, on = 1, off = 0;

	fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    (kind != UDP_SOCKET && listen(fd, SOMAXCONN))) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	return fd;
}

static int add_listener(struct server *server, enum kind kind, const char *port_text)
{
	struct source *listener = &server->listeners[server->n_listeners];
	unsigned long port;
	char *end;

	port = strtoul(port_text, &end, 10);
	if (*end || port < 1 || port > 65535) {
		fprintf(stderr, "kubia: port %s is not in 1-65535\n", port_text);
		return 2;
	}
	if (server->n_listeners == LISTENERS_MAX) {
		fprintf(stderr, "kubia: more than %d ports\n", LISTENERS_MAX);
		return 2;
	}
	listener->kind = kind;
	listener->fd = open_socket(kind, (uint16_t)port);
	if (listener->fd < 0 || watch(server, listener, EPOLLIN, EPOLL_CTL_ADD)) {
		fprintf(stderr, "kubia: listen on port %lu: %s\n", port,
			strerror(listener->fd < 0 ? -listener->fd : errno));
		return 1;
	}
	server->n_listeners++;
	return 0;
}

static void usage(FILE *to)
{
	fputs("usage: kubia NAME [--http PORT]... [--tcp PORT]... [--udp PORT]... "
	      "[--show-client]\n",
	      to);
}

static int parse(struct server *server, int argc, char **argv)
{
	static const struct option options[] = {
		{ "http", required_argument, NULL, HTTP_LISTENER },
		{ "tcp", required_argument, NULL, TCP_LISTENER },
		{ "udp", required_argument, NULL, UDP_SOCKET },
		{ "show-client", no_argument, NULL, 's' },
		{ 0 },
	};
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			server->show_client = true;
		else if (c == '?')
			ret = 2;
		else
			ret = add_listener(server, (enum kind)c, optarg);
	}
	if (!ret &&
	    (optind != argc - 1 || !server->n_listeners || strlen(argv[argc - 1]) > NAME_MAX_LEN))
		ret = 2;
	if (ret == 2)
		usage(stderr);
	if (!ret)
		server->name = argv[optind];
	return ret;
}

static void dispatch(const struct server *server, struct source *source)
{
	switch (source->kind) {
	case HTTP_LISTENER:
	case TCP_LISTENER:
		accept_event(server, source);
		break;
	case UDP_SOCKET:
		udp_event(server, source);
		break;
	case HTTP_CONN:
	case ECHO_CONN:
		conn_event(server, (struct conn *)source);
		break;
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	struct server server = { 0 };
	struct rlimit limit;
	int n, ret;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); /* fewer connections, then */
	}
	server.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server.epoll < 0) {
		fprintf(stderr, "kubia: epoll: %s\n", strerror(errno));
		return 1;
	}
	ret = parse(&server, argc, argv);
	while (!ret) {
		n = epoll_wait(server.epoll, events, EVENTS_MAX, -1);
		if (n < 0 && errno != EINTR)
			ret = 1;
		for (int i = 0; i < n; i++)
			dispatch(&server, events[i].data.ptr);
	}
	return ret;
}
