// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/http.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "shunt/limits.h"

#define IDLE_S_DEFAULT	 10
/* What one turn of the loop copies to a client at most, about: an answer may be megabytes. */
#define SEND_BYTES	 131072
#define BACKLOG		 128
/* Accepted before others have their turn. */
#define ACCEPTS_MAX	 16
/* What a request may carry although nobody reads it. */
#define REQUEST_BODY_MAX 65536u
/* No file descriptor, no memory: until accept() is tried again. */
#define BREATHER_MS	 100
/* At most so many are there at a time: those that were shut down go when the daemon has run. */
#define SLOTS		 (SH_HTTP_CONNECTIONS_MAX + ACCEPTS_MAX)

struct slot {
	int fd;				/* -1: free */
	struct MHD_Connection *put_off; /* its request waits for http_wake(); NULL: none does */
	uint64_t number;
	bool shut; /* it was the oldest one, and is being closed */
};

enum { HANDLE_TIMER = 0, HANDLE_LISTEN, HANDLE_EPOLL, HANDLES };

struct http_server {
	int listen_fd;
	struct MHD_Daemon *daemon;
	uv_timer_t timer;
	uv_poll_t listen, epoll;
	uv_handle_t *handles[HANDLES]; /* those that are open; NULL: not made */
	unsigned int n_handles;	       /* open or closing */
	bool breather;
	struct http_service service;
	uint64_t accepted;
	unsigned int n; /* connections that are not shut */
	struct slot slots[SLOTS];
};

/* ---- answers ------------------------------------------------------------------- */

static enum family client_family(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct sockaddr_in6 v6;

	if (!info || !info->client_addr)
		return FAMILY_NONE;
	if (info->client_addr->sa_family == AF_INET)
		return FAMILY_IPV4;
	memcpy(&v6, info->client_addr, sizeof(v6));
	return IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? FAMILY_IPV4 : FAMILY_IPV6;
}

static struct MHD_Response *response_of(struct http_answer *answer)
{
	if (answer->shared && answer->release)
		return MHD_create_response_from_buffer_with_free_callback_cls(
			answer->len, (void *)answer->shared, answer->release, answer->release_arg);
	if (answer->shared)
		return MHD_create_response_from_buffer(answer->len, (void *)answer->shared,
						       MHD_RESPMEM_PERSISTENT);
	return MHD_create_response_from_buffer(answer->body ? answer->len : 0, answer->body,
					       answer->body ? MHD_RESPMEM_MUST_FREE
							    : MHD_RESPMEM_PERSISTENT);
}

static void answer_done(struct http_answer *answer)
{
	free(answer->body);
	if (answer->release)
		answer->release(answer->release_arg);
}

/* Takes the body over. */
static enum MHD_Result respond(struct MHD_Connection *connection, struct http_answer *answer)
{
	struct MHD_Response *response;
	enum MHD_Result ret;
	size_t i;

	response = response_of(answer);
	if (!response) {
		answer_done(answer);
		return MHD_NO;
	}
	ret = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
	for (i = 0; i < answer->n_headers && ret == MHD_YES; i++)
		ret = MHD_add_response_header(response, answer->headers[i].name,
					      answer->headers[i].value);
	if (ret == MHD_YES)
		ret = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return ret;
}

static struct http_answer answer_init(void)
{
	return (struct http_answer){
		.status = MHD_HTTP_OK,
		.content_type = "text/plain; charset=utf-8",
	};
}

/* Says no more than the status; the same text in any case: @text */
static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned int status,
			      const char *text)
{
	struct http_answer answer = answer_init();

	answer.status = status;
	answer.body = strdup(text);
	if (!answer.body)
		return MHD_NO;
	answer.len = strlen(text);
	answer.headers[answer.n_headers++] =
		(struct http_header){ "X-Content-Type-Options", "nosniff" };
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		answer.headers[answer.n_headers++] = (struct http_header){ "Allow", "GET, HEAD" };
	return respond(connection, &answer);
}

/* Nothing is read from the connection, and no clock runs on it, until http_wake(). */
static enum MHD_Result put_off(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct slot *slot = info ? info->socket_context : NULL;

	if (!slot)
		return MHD_NO;
	slot->put_off = connection;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static enum MHD_Result answer_to(struct http_server *server, struct MHD_Connection *connection,
				 const char *path, const char *method)
{
	const struct http_request request = { .path = path,
					      .client = client_family(connection),
					      .connection = connection };
	struct http_answer answer = answer_init();

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed\n");
	if (!server->service.handler(server->service.arg, &request, &answer)) {
		answer_done(&answer);
		return refuse(connection, MHD_HTTP_NOT_FOUND, "404 page not found\n");
	}
	if (answer.later)
		return put_off(connection);
	return respond(connection, &answer);
}

/*
 * Comes once as the headers are there, for each piece of a body, and at the end:
 * an answer before that would cost the connection. *@state is 1 + the bytes so far.
 */
/* NOLINTNEXTLINE(parameters): the signature is libmicrohttpd's */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	uintptr_t seen = (uintptr_t)*state;

	if (seen && !*upload_len)
		return answer_to(arg, connection, url, method);
	seen = seen ? seen + *upload_len : 1;
	*upload_len = 0;
	*state = (void *)seen;
	return seen <= REQUEST_BODY_MAX ? MHD_YES : MHD_NO;
}

/* ---- requests --------------------------------------------------------------------- */

const char *http_request_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct arguments {
	struct http_argument *v;
	int n; /* -EINVAL: see http_request_arguments() */
};

/* NOLINTNEXTLINE(parameters): the signature is libmicrohttpd's */
static enum MHD_Result take_argument(void *arg, enum MHD_ValueKind kind, const char *name,
				     size_t name_len, const char *value, size_t value_len)
{
	struct arguments *arguments = arg;

	if (!value)
		value = "";
	if (arguments->n == HTTP_ARGUMENTS_MAX || strlen(name) != name_len ||
	    strlen(value) != value_len) {
		arguments->n = -EINVAL;
		return MHD_NO;
	}
	arguments->v[arguments->n++] = (struct http_argument){ name, value };
	return MHD_YES;
}

int http_request_arguments(const struct http_request *request,
			   struct http_argument out[static HTTP_ARGUMENTS_MAX])
{
	struct arguments arguments = { .v = out };

	(void)MHD_get_connection_values_n(request->connection, MHD_GET_ARGUMENT_KIND, take_argument,
					  &arguments);
	return arguments.n;
}

/* ---- connections ---------------------------------------------------------------- */

static void slot_take(struct http_server *server, struct MHD_Connection *connection,
		      void **slot_out)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	size_t i;

	for (i = 0; i < SLOTS && info; i++) {
		if (server->slots[i].fd >= 0)
			continue;
		server->slots[i] =
			(struct slot){ .fd = info->connect_fd, .number = server->accepted++ };
		server->n++;
		*slot_out = &server->slots[i];
		return;
	}
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct http_server *server = arg;
	struct slot *slot = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		slot_take(server, connection, context);
	} else if (slot) {
		server->n -= !slot->shut;
		slot->fd = -1;
		*context = NULL;
	}
}

/* The daemon finds it at its end when it runs next. */
static void shut_oldest(struct http_server *server)
{
	struct slot *oldest = NULL, *slot;

	for (slot = server->slots; slot < server->slots + SLOTS; slot++)
		if (slot->fd >= 0 && !slot->shut && (!oldest || slot->number < oldest->number))
			oldest = slot;
	if (!oldest)
		return;
	(void)shutdown(oldest->fd, SHUT_RDWR);
	oldest->shut = true;
	server->n--;
}

/* ---- the loop --------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

/*
 * What is there to be done, once, and a look at the clock for the next time. Where more is
 * there already it waits for a millisecond: others have their turn, and a timer of 0 would
 * run again before they have.
 */
static void run(struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;
	bool due;

	(void)MHD_run(server->daemon);
	due = MHD_get_timeout(server->daemon, &ms) == MHD_YES;
	if (server->breather && (!due || ms > BREATHER_MS))
		ms = BREATHER_MS;
	if (due || server->breather)
		(void)uv_timer_start(&server->timer, on_timer, ms ? ms : 1, 0);
	else
		(void)uv_timer_stop(&server->timer);
}

/* @return false: there is none, or none can be had */
static bool accept_one(struct http_server *server)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int fd;

	fd = accept4(server->listen_fd, (struct sockaddr *)&from, &len,
		     SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		if (server->n >= SH_HTTP_CONNECTIONS_MAX)
			shut_oldest(server);
		(void)MHD_add_connection(server->daemon, fd, (struct sockaddr *)&from, len);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		/* The socket would go on telling of the client that nobody can take. */
		(void)uv_poll_stop(&server->listen);
		server->breather = true;
		shut_oldest(server);
		return false;
	}
	return errno == ECONNABORTED || errno == EINTR;
}

static void resume_all(struct http_server *server)
{
	struct MHD_Connection *connection;
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		connection = server->slots[i].put_off;
		server->slots[i].put_off = NULL;
		if (connection)
			MHD_resume_connection(connection);
	}
}

void http_wake(struct http_server *server)
{
	resume_all(server);
	run(server);
}

static void on_listen(uv_poll_t *poll, int status, int events)
{
	struct http_server *server = poll->data;
	unsigned int i = 0;

	while (i < ACCEPTS_MAX && accept_one(server))
		i++;
	run(server);
}

static void on_epoll(uv_poll_t *poll, int status, int events)
{
	run(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
	struct http_server *server = timer->data;

	if (server->breather)
		server->breather = uv_poll_start(&server->listen, UV_READABLE, on_listen) != 0;
	run(server);
}

/* ---- start and stop ----------------------------------------------------------------- */

static bool is_any6(const struct sh_addr *addr)
{
	static const struct sh_addr any;

	return addr_eq(addr, &any);
}

/* @return a length, and with it *@out */
static socklen_t to_sockaddr(const struct http_listen *at, struct sockaddr_storage *out)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(at->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(at->port) };

	memset(out, 0, sizeof(*out));
	if (addr_family(&at->addr) == FAMILY_IPV4) {
		v4.sin_addr.s_addr = at->addr.w[3];
		memcpy(out, &v4, sizeof(v4));
		return sizeof(v4);
	}
	memcpy(&v6.sin6_addr, &at->addr, sizeof(v6.sin6_addr));
	memcpy(out, &v6, sizeof(v6));
	return sizeof(v6);
}

/* @return a file descriptor or a negative errno */
static int open_listener(const struct http_listen *at)
{
	const int on = 1, v6only = !is_any6(&at->addr), send = SEND_BYTES;
	struct sockaddr_storage addr;
	socklen_t len = to_sockaddr(at, &addr);
	int fd, ret = 0;

	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof(send)) ||
	    (addr.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only))) ||
	    bind(fd, (struct sockaddr *)&addr, len) || listen(fd, BACKLOG))
		ret = -errno;
	if (!ret)
		return fd;
	(void)close(fd);
	return ret;
}

static int listen_refused(const struct http_listen *at, int ret, struct err *err)
{
	char text[ADDR_PORT_STRLEN], hint[64] = "";

	(void)addr_port_format(&at->addr, htons(at->port), text);
	if (ret == -EADDRINUSE)
		(void)snprintf(hint, sizeof(hint), " (who has it: ss -ltnp 'sport = :%u')",
			       at->port);
	else if (ret == -EADDRNOTAVAIL)
		(void)snprintf(hint, sizeof(hint), " (it is to be an address of this node)");
	return err_system(err, ret, "listen on %s%s", text, hint);
}

static int start_listening(struct http_server *server, const struct http_listen *at,
			   struct err *err)
{
	struct http_listen v4 = *at;

	server->listen_fd = open_listener(at);
	/* A kernel without IPv6: what is left of both families. */
	if ((server->listen_fd == -EAFNOSUPPORT || server->listen_fd == -EADDRNOTAVAIL) &&
	    is_any6(&at->addr)) {
		v4.addr = addr_from_v4(htonl(INADDR_ANY));
		server->listen_fd = open_listener(&v4);
	}
	return server->listen_fd < 0 ? listen_refused(at, server->listen_fd, err) : 0;
}

static int start_daemon(struct http_server *server, const struct http_listen *at, struct err *err)
{
	errno = 0;
	server->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
			(server->service.waits ? MHD_ALLOW_SUSPEND_RESUME : 0),
		0, NULL, NULL, on_request, server, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)SLOTS,
		MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)(at->idle_s ? at->idle_s : IDLE_S_DEFAULT),
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
	if (server->daemon)
		return 0;
	return err_system(err, errno ? -errno : -ENOMEM, "start an HTTP server");
}

static void keep_handle(struct http_server *server, int which, uv_handle_t *handle)
{
	handle->data = server;
	server->handles[which] = handle;
	server->n_handles++;
}

static int start_handles(struct http_server *server, uv_loop_t *loop)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int ret;

	if (!info || info->epoll_fd < 0)
		return -ENOTSUP;
	ret = uv_timer_init(loop, &server->timer);
	if (ret)
		return ret;
	keep_handle(server, HANDLE_TIMER, (uv_handle_t *)&server->timer);
	ret = uv_poll_init(loop, &server->listen, server->listen_fd);
	if (ret)
		return ret;
	keep_handle(server, HANDLE_LISTEN, (uv_handle_t *)&server->listen);
	ret = uv_poll_init(loop, &server->epoll, info->epoll_fd);
	if (ret)
		return ret;
	keep_handle(server, HANDLE_EPOLL, (uv_handle_t *)&server->epoll);
	ret = uv_poll_start(&server->listen, UV_READABLE, on_listen);
	return ret ? ret : uv_poll_start(&server->epoll, UV_READABLE, on_epoll);
}

int http_serve(struct http_server **out, uv_loop_t *loop, const struct http_listen *at,
	       const struct http_service *service, struct err *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	size_t i;
	int ret;

	if (!server)
		return err_system(err, -ENOMEM, "start an HTTP server");
	for (i = 0; i < SLOTS; i++)
		server->slots[i].fd = -1;
	server->service = *service;
	ret = start_listening(server, at, err);
	if (!ret)
		ret = start_daemon(server, at, err);
	if (!ret) {
		ret = start_handles(server, loop);
		if (ret)
			(void)err_system(err, ret, "put an HTTP server into the event loop");
	}
	if (ret)
		http_stop(server);
	else
		*out = server;
	return ret;
}

static void on_closed(uv_handle_t *handle)
{
	struct http_server *server = handle->data;

	if (!--server->n_handles)
		free(server);
}

void http_stop(struct http_server *server)
{
	size_t i;

	if (!server)
		return;
	/* The loop lets go of the descriptors first, while they are still what it thinks. */
	for (i = 0; i < HANDLES; i++)
		if (server->handles[i])
			uv_close(server->handles[i], on_closed);
	resume_all(server); /* or it wouldn't end; nobody is asked any more */
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	if (server->listen_fd >= 0)
		(void)close(server->listen_fd);
	if (!server->n_handles)
		free(server);
}
