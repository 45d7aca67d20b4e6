// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kube/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <curl/curl.h>
#include <jansson.h>

#include "kube/creds.h"

/*
 * Silence is counted in ticks, not by the clock: a process that was stopped for
 * a while finds that a tick has passed, and the bytes that came meanwhile.
 */
#define SILENCE_TICKS	  30u
#define PROBE_TICKS	  20u
/* An answer that doesn't begin, or a list that stalls, while others go on. */
#define REQUEST_TICKS	  60u
/* Of an answer that is no 200, for its message. */
#define REFUSAL_BYTES	  16384u
/* Four watches, a list for each and the probe, where each needs its own. */
#define CONNECTIONS_MAX	  9L
/* No Retry-After keeps a node waiting for longer. */
#define RETRY_AFTER_S_MAX 120

struct kube_request {
	LIST_ENTRY(kube_request) link;
	struct kube_request *next_out; /* once it is on no list: see take_out() */
	struct kube_client *client;
	CURL *easy;
	struct curl_slist *headers;
	struct request_handler handler;
	bool watch, begun;
	unsigned int quiet; /* ticks since its last byte */
	char *refusal;
	size_t refusal_len;
	char problem[CURL_ERROR_SIZE];
};

LIST_HEAD(request_list, kube_request);

struct kube_client {
	struct client_opts opts;
	struct creds creds;
	CURLM *multi;
	uv_timer_t timer, tick;
	unsigned int handles; /* not yet closed */
	bool closing;
	bool shared; /* the last answer came by HTTP/2 */
	bool fresh;  /* after a 401: who we are was settled when the connection was made */
	struct request_list requests;
	struct kube_request *probe;
	unsigned int quiet; /* ticks since anybody's last byte */
};

struct client_socket {
	uv_poll_t poll;
	struct kube_client *client;
	curl_socket_t fd;
};

static void drain(struct kube_client *client);

/* ---- handles --------------------------------------------------------------------------- */

static void client_free(struct kube_client *client)
{
	void (*closed)(void *arg) = client->opts.closed;
	void *arg = client->opts.arg;

	creds_done(&client->creds);
	free(client);
	curl_global_cleanup();
	if (closed)
		closed(arg);
}

static void handle_gone(struct kube_client *client)
{
	if (--client->handles == 0 && client->closing)
		client_free(client);
}

static void on_timer_closed(uv_handle_t *handle)
{
	handle_gone(handle->data);
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct client_socket *sock = handle->data;
	struct kube_client *client = sock->client;

	free(sock);
	handle_gone(client);
}

/* ---- libcurl's sockets and timer in the loop ----------------------------------------------- */

static void act(struct kube_client *client, curl_socket_t fd, int mask)
{
	int running;

	(void)curl_multi_socket_action(client->multi, fd, mask, &running);
	drain(client);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct client_socket *sock = poll->data;
	int mask = status < 0 ? CURL_CSELECT_ERR : 0;

	if (events & UV_READABLE)
		mask |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		mask |= CURL_CSELECT_OUT;
	act(sock->client, sock->fd, mask);
}

static void on_timer(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static struct client_socket *socket_new(struct kube_client *client, curl_socket_t fd)
{
	struct client_socket *sock = calloc(1, sizeof(*sock));

	if (!sock)
		return NULL;
	*sock = (struct client_socket){ .client = client, .fd = fd };
	if (uv_poll_init_socket(client->opts.loop, &sock->poll, fd)) {
		free(sock);
		return NULL;
	}
	sock->poll.data = sock;
	client->handles++;
	return sock;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct kube_client *client = arg;
	struct client_socket *sock = socket_arg;
	int events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (sock) {
			(void)curl_multi_assign(client->multi, fd, NULL);
			(void)uv_poll_stop(&sock->poll);
			uv_close((uv_handle_t *)&sock->poll, on_poll_closed);
		}
		return 0;
	}
	if (!sock) {
		sock = socket_new(client, fd);
		if (!sock)
			return -1;
		(void)curl_multi_assign(client->multi, fd, sock);
	}
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&sock->poll, events, on_poll) ? -1 : 0;
}

static int on_timeout_wanted(CURLM *multi, long timeout_ms, void *arg)
{
	struct kube_client *client = arg;

	if (timeout_ms < 0 || client->closing)
		return uv_timer_stop(&client->timer) ? -1 : 0;
	return uv_timer_start(&client->timer, on_timer, (uint64_t)timeout_ms, 0) ? -1 : 0;
}

static int multi_new(struct kube_client *client)
{
	CURLM *multi = curl_multi_init();
	CURLMcode bad;

	if (!multi)
		return -ENOMEM;
	bad = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	bad |= curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client);
	bad |= curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
	bad |= curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client);
	bad |= curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	bad |= curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, CONNECTIONS_MAX);
	if (bad) {
		(void)curl_multi_cleanup(multi);
		return -ENOMEM;
	}
	client->multi = multi;
	return 0;
}

/* ---- what a request hears --------------------------------------------------------------------- */

static void heard(struct kube_request *request)
{
	request->quiet = 0;
	request->client->quiet = 0;
}

static long status_of(const struct kube_request *request)
{
	long status = 0;

	(void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static bool speaks_http2(const struct kube_request *request)
{
	long version = 0;

	(void)curl_easy_getinfo(request->easy, CURLINFO_HTTP_VERSION, &version);
	return version == CURL_HTTP_VERSION_2_0;
}

bool kube_client_shares(const struct kube_client *client)
{
	return client->shared;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct kube_request *request = arg;
	const size_t len = size * n;

	heard(request);
	/* An empty line ends the headers; trailers are none. */
	if (len > 2 || request->begun || status_of(request) != 200)
		return len;
	request->begun = true;
	request->client->fresh = false;
	request->client->shared = speaks_http2(request);
	if (request->handler.begun)
		request->handler.begun(request->handler.arg);
	return len;
}

/* Its beginning is enough: it is for a message. */
static int keep_refusal(struct kube_request *request, const char *data, size_t len)
{
	if (!request->refusal) {
		request->refusal = malloc(REFUSAL_BYTES + 1);
		if (!request->refusal)
			return -ENOMEM;
	}
	if (len > REFUSAL_BYTES - request->refusal_len)
		len = REFUSAL_BYTES - request->refusal_len;
	memcpy(request->refusal + request->refusal_len, data, len);
	request->refusal_len += len;
	request->refusal[request->refusal_len] = '\0';
	return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct kube_request *request = arg;
	const size_t len = size * n;
	int ret;

	heard(request);
	if (status_of(request) == 200)
		ret = request->handler.body(request->handler.arg, data, len);
	else
		ret = keep_refusal(request, data, len);
	return ret ? 0 : len;
}

/* ---- the end of a request ----------------------------------------------------------------------- */

static void request_free(struct kube_request *request)
{
	curl_easy_cleanup(request->easy);
	curl_slist_free_all(request->headers);
	free(request->refusal);
	free(request);
}

/* Text of the server's, as it may stand in a line of a log. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

/* "403 Forbidden: services is forbidden: ...", from a Status or from plain text. */
static void describe_status(const struct kube_request *request, long status, char *buf, size_t size)
{
	const char *body = request->refusal ? request->refusal : "", *reason, *message;
	json_t *json = json_loadb(body, request->refusal_len, 0, NULL);

	reason = json_string_value(json_object_get(json, "reason"));
	message = json_string_value(json_object_get(json, "message"));
	if (!json)
		message = body;
	if (reason && message && *message && strcmp(reason, message) != 0)
		(void)snprintf(buf, size, "HTTP status %ld, %s: %.400s", status, reason, message);
	else if (message && *message)
		(void)snprintf(buf, size, "HTTP status %ld: %.400s", status, message);
	else
		(void)snprintf(buf, size, "HTTP status %ld", status);
	json_decref(json);
	make_printable(buf);
}

static const char *advice(CURLcode code)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return "; the server's certificate has to name the host, and to be signed by "
		       "the certificate-authority";
	case CURLE_SSL_CACERT_BADFILE:
		return "; check the certificate-authority";
	case CURLE_SSL_CERTPROBLEM:
		return "; check the client certificate and its key";
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return "; check the server's address, and that it runs";
	case CURLE_COULDNT_RESOLVE_PROXY:
		return "; check the proxy-url";
	default:
		return "";
	}
}

static void describe_failure(const struct kube_request *request, CURLcode code, char *buf,
			     size_t size)
{
	const char *problem = request->problem[0] ? request->problem : curl_easy_strerror(code);

	(void)snprintf(buf, size, "%s%s", problem, advice(code));
	make_printable(buf);
}

static uint32_t retry_after_ms(const struct kube_request *request)
{
	curl_off_t seconds = 0;

	(void)curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &seconds);
	if (seconds < 0)
		seconds = 0;
	if (seconds > RETRY_AFTER_S_MAX)
		seconds = RETRY_AFTER_S_MAX;
	return (uint32_t)seconds * 1000;
}

/* Is there another token than the one that was refused? */
static bool token_rotated(const struct kube_request *request)
{
	struct kube_client *client = request->client;
	const struct curl_slist *header;

	client->fresh = true;
	(void)creds_refresh(&client->creds, uv_now(client->opts.loop), true, NULL);
	if (!client->creds.header)
		return false;
	for (header = request->headers; header; header = header->next)
		if (strcmp(header->data, client->creds.header) == 0)
			return false;
	return true;
}

/* Tells its handler, and frees it. It isn't in the multi handle any more. */
static void finish(struct kube_request *request, struct kube_answer *answer)
{
	if (request == request->client->probe)
		request->client->probe = NULL;
	request->handler.done(request->handler.arg, answer);
	request_free(request);
}

static void finish_by_curl(struct kube_request *request, CURLcode code)
{
	struct kube_answer answer = { .code = status_of(request), .body = request->refusal };
	char text[1024] = "";

	answer.text = text;
	if (answer.code == 401)
		answer.new_token = token_rotated(request);
	if (answer.code && answer.code != 200) {
		answer.outcome = ANSWER_STATUS;
		answer.retry_after_ms = retry_after_ms(request);
		describe_status(request, answer.code, text, sizeof(text));
	} else if (code == CURLE_WRITE_ERROR) {
		answer.outcome = ANSWER_STOPPED;
	} else if (code || !answer.code) {
		answer.outcome = ANSWER_BROKEN;
		answer.code = (long)code;
		describe_failure(request, code, text, sizeof(text));
	}
	finish(request, &answer);
}

static void finish_silent(struct kube_request *request, const char *text)
{
	struct kube_answer answer = { .outcome = ANSWER_BROKEN, .text = text };

	finish(request, &answer);
}

static void drain(struct kube_client *client)
{
	struct kube_request *request = NULL;
	CURLMsg *msg;
	CURLcode code;
	int left;

	while ((msg = curl_multi_info_read(client->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		/* @msg is libcurl's, and gone with the handle. */
		code = msg->data.result;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&request);
		(void)curl_multi_remove_handle(client->multi, request->easy);
		LIST_REMOVE(request, link);
		finish_by_curl(request, code);
	}
}

void kube_client_cancel(struct kube_request *request)
{
	if (request == request->client->probe)
		request->client->probe = NULL;
	(void)curl_multi_remove_handle(request->client->multi, request->easy);
	LIST_REMOVE(request, link);
	request_free(request);
}

/* ---- the beginning of a request ---------------------------------------------------------------- */

static void set_option(int fd, int level, int option, uint32_t value)
{
	const int number = (int)value;

	/* Without it a dead path is noticed later, by the probe. */
	(void)setsockopt(fd, level, option, &number, sizeof(number));
}

/* A path that has gone dead: probed after a third of the silence allowed, given up after two more. */
static int on_sockopt(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	const struct kube_client *client = arg;
	const uint32_t third = client->opts.silence_s / 3 ? client->opts.silence_s / 3 : 1;

	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, third);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, third / 2 ? third / 2 : 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, third * 2000);
	return CURL_SOCKOPT_OK;
}

static int add_header(struct kube_request *request, const char *header)
{
	struct curl_slist *more;

	if (!header)
		return 0;
	more = curl_slist_append(request->headers, header);
	if (!more)
		return -ENOMEM;
	request->headers = more;
	return 0;
}

static int set_callbacks(struct kube_request *request)
{
	CURL *easy = request->easy;
	CURLcode bad;

	bad = curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->problem);
	bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	bad |= curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_sockopt);
	bad |= curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, request->client);
	return bad ? -ENOMEM : 0;
}

static int set_transport(struct kube_request *request, uint32_t total_ms)
{
	const long connect_ms = (long)request->client->opts.silence_s * 1000 / 3;
	CURL *easy = request->easy;
	CURLcode bad;

	bad = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	/* The first connection tells whether others are needed: wait for it. */
	bad |= curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)total_ms);
	bad |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)request->client->fresh);
	bad |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "shunt/" SHUNT_VERSION);
	return bad ? -ENOMEM : 0;
}

static int set_target(struct kube_request *request, const char *path)
{
	const struct creds *creds = &request->client->creds;
	char *url;
	int ret;

	if (asprintf(&url, "%s%s", creds->base_url, path) < 0)
		return -ENOMEM;
	ret = curl_easy_setopt(request->easy, CURLOPT_URL, url) ? -ENOMEM : 0;
	free(url);
	if (ret || add_header(request, "Accept: application/json") ||
	    add_header(request, creds->header) || add_header(request, creds->host_header))
		return -ENOMEM;
	return curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers) ? -ENOMEM : 0;
}

static int prepare(struct kube_request *request, const struct request_opts *opts)
{
	int ret = set_callbacks(request);

	if (!ret)
		ret = set_transport(request, opts->total_ms);
	if (!ret)
		ret = creds_apply(&request->client->creds, request->easy);
	if (!ret)
		ret = set_target(request, opts->path);
	if (!ret && curl_multi_add_handle(request->client->multi, request->easy))
		ret = -ENOMEM;
	return ret;
}

int kube_client_get(struct kube_client *client, const struct request_opts *opts,
		    struct kube_request **out, struct err *err)
{
	struct kube_request *request;
	int ret;

	ret = creds_refresh(&client->creds, uv_now(client->opts.loop), false, err);
	/* An older token may still do, while its file is being replaced. */
	if (ret && !client->creds.header)
		return ret;
	request = calloc(1, sizeof(*request));
	if (!request)
		return err_system(err, -ENOMEM, "ask for %s", opts->path);
	request->client = client;
	request->handler = opts->handler;
	request->watch = opts->watch;
	request->easy = curl_easy_init();
	ret = request->easy ? prepare(request, opts) : -ENOMEM;
	if (ret) {
		request_free(request);
		return err_system(err, ret, "ask for %s", opts->path);
	}
	LIST_INSERT_HEAD(&client->requests, request, link);
	*out = request;
	return 0;
}

/* ---- silence -------------------------------------------------------------------------------------- */

static int probe_body(void *arg, const char *data, size_t len)
{
	return 0;
}

/* Moves a request out of libcurl, to be finished once none is in there. */
static void take_out(struct kube_request *request, struct kube_request **to)
{
	(void)curl_multi_remove_handle(request->client->multi, request->easy);
	LIST_REMOVE(request, link);
	request->next_out = *to;
	*to = request;
}

static struct kube_request *take_all(struct kube_client *client)
{
	struct kube_request *request, *next, *out = NULL;

	for (request = LIST_FIRST(&client->requests); request; request = next) {
		next = LIST_NEXT(request, link);
		take_out(request, &out);
	}
	return out;
}

static void finish_all(struct kube_request *out, const char *text)
{
	struct kube_request *next;

	for (; out; out = next) {
		next = out->next_out;
		finish_silent(out, text);
	}
}

/*
 * Nothing that is connected will answer: connections that libcurl would use
 * again go with its multi handle.
 */
static void give_up_connections(struct kube_client *client, const char *text)
{
	struct kube_request *out = take_all(client);
	CURLM *old = client->multi;

	client->quiet = 0;
	if (multi_new(client) == 0)
		(void)curl_multi_cleanup(old);
	finish_all(out, text);
	/* Once more: the probe was among them. */
	client->quiet = 0;
}

/* Any answer will do. No connection for it: the others hang on one that is no more. */
static void probe_done(void *arg, const struct kube_answer *answer)
{
	struct kube_client *client = arg;

	if (answer->outcome == ANSWER_BROKEN && !client->closing)
		client->quiet = SILENCE_TICKS;
}

static void begin_probe(struct kube_client *client)
{
	const struct request_opts opts = {
		.path = "/version",
		.handler = { .body = probe_body, .done = probe_done, .arg = client },
	};

	(void)kube_client_get(client, &opts, &client->probe, NULL);
}

static void end_stalled(struct kube_client *client)
{
	struct kube_request *request, *next, *out = NULL;
	char text[128];

	for (request = LIST_FIRST(&client->requests); request; request = next) {
		next = LIST_NEXT(request, link);
		if (++request->quiet >= REQUEST_TICKS && !(request->watch && request->begun))
			take_out(request, &out);
	}
	(void)snprintf(text, sizeof(text), "no answer for %u s",
		       client->opts.silence_s * (REQUEST_TICKS / SILENCE_TICKS));
	finish_all(out, text);
}

static void on_tick(uv_timer_t *timer)
{
	struct kube_client *client = timer->data;
	char text[128];

	if (LIST_EMPTY(&client->requests)) {
		client->quiet = 0;
		return;
	}
	client->quiet++;
	if (client->quiet >= SILENCE_TICKS) {
		(void)snprintf(text, sizeof(text), "the server has been silent for %u s",
			       client->opts.silence_s);
		give_up_connections(client, text);
		return;
	}
	end_stalled(client);
	if (client->quiet >= PROBE_TICKS && !client->probe)
		begin_probe(client);
}

/* ---- the client ------------------------------------------------------------------------------------- */

static void start_timers(struct kube_client *client)
{
	const uint64_t tick_ms = (uint64_t)client->opts.silence_s * 1000 / SILENCE_TICKS;

	(void)uv_timer_init(client->opts.loop, &client->timer);
	(void)uv_timer_init(client->opts.loop, &client->tick);
	client->timer.data = client->tick.data = client;
	client->handles = 2;
	(void)uv_timer_start(&client->tick, on_tick, tick_ms, tick_ms);
}

int kube_client_new(struct kube_client **out, const struct client_opts *opts, struct err *err)
{
	struct kube_client *client;
	int ret;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return err_system(err, -ENOMEM, "start libcurl");
	client = calloc(1, sizeof(*client));
	if (!client) {
		ret = err_system(err, -ENOMEM, "start the Kubernetes client");
		goto out;
	}
	client->opts = *opts;
	LIST_INIT(&client->requests);
	ret = creds_init(&client->creds, opts->config, err);
	if (ret)
		goto out;
	ret = multi_new(client);
	if (ret) {
		creds_done(&client->creds);
		(void)err_system(err, ret, "start libcurl");
		goto out;
	}
	start_timers(client);
	*out = client;
	return 0;
out:
	free(client);
	curl_global_cleanup();
	return ret;
}

void kube_client_close(struct kube_client *client)
{
	struct kube_request *out, *next;

	if (!client)
		return;
	client->closing = true;
	for (out = take_all(client); out; out = next) {
		next = out->next_out;
		request_free(out);
	}
	(void)curl_multi_cleanup(client->multi);
	uv_close((uv_handle_t *)&client->timer, on_timer_closed);
	uv_close((uv_handle_t *)&client->tick, on_timer_closed);
}
