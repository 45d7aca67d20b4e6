/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/http.h"
#include "http_client.h"
#include "shunt/limits.h"

#define BIG (16u << 20)

struct world {
	uv_loop_t loop;
	struct http_server *server;
	uint16_t port;
	unsigned int asked;
	enum family client; /* of the last request */
};

static bool answer(void *arg, const struct http_request *request, struct http_answer *out)
{
	struct world *w = arg;

	w->asked++;
	w->client = request->client;
	if (strcmp(request->path, "/empty") == 0)
		return true;
	if (strcmp(request->path, "/big") == 0) {
		out->body = malloc(BIG);
		assert_non_null(out->body);
		memset(out->body, 'x', BIG);
		out->len = BIG;
		return true;
	}
	out->body = strdup("{\"sick\": true}");
	assert_non_null(out->body);
	out->len = strlen(out->body);
	if (strcmp(request->path, "/sick") != 0)
		return false; /* and the body isn't lost */
	out->status = 503;
	out->content_type = "application/json";
	(void)snprintf(out->header_text, sizeof(out->header_text), "%d", 42);
	out->headers[out->n_headers++] = (struct http_header){ "X-Weight", out->header_text };
	return true;
}

static int world_serve(struct world *w, const char *addr, uint32_t idle_s, struct err *err)
{
	struct http_listen at = { .port = w->port, .idle_s = idle_s };
	const struct http_service service = { .handler = answer, .arg = w };

	if (addr)
		assert_int_equal(addr_parse(addr, &at.addr), 0);
	return http_serve(&w->server, &w->loop, &at, &service, err);
}

static void world_init(struct world *w, const char *addr, uint32_t idle_s)
{
	struct err err = { 0 };

	memset(w, 0, sizeof(*w));
	assert_int_equal(uv_loop_init(&w->loop), 0);
	w->port = client_free_port();
	if (world_serve(w, addr, idle_s, &err))
		fail_msg("%s", err.msg);
}

static void world_done(struct world *w)
{
	http_stop(w->server);
	assert_true(client_loop_ends(&w->loop));
}

/* ---- answers ---------------------------------------------------------------------- */

static void test_requests(void **state)
{
	static const struct {
		const char *what, *request;
		int status;
		const char *body, *type, *header, *value;
	} rows[] = {
		{ "what the handler says: status, type, header, body",
		  "GET /sick HTTP/1.1\r\nHost: a\r\n\r\n", 503, "{\"sick\": true}",
		  "application/json", "X-Weight", "42" },
		{ "a query is not part of the path", "GET /sick?a=b HTTP/1.1\r\nHost: a\r\n\r\n",
		  503, "{\"sick\": true}", "application/json", "X-Weight", "42" },
		{ "HEAD: the same without the body", "HEAD /sick HTTP/1.1\r\nHost: a\r\n\r\n", 503,
		  "", "application/json", "Content-Length", "14" },
		{ "HTTP/1.0", "GET /sick HTTP/1.0\r\n\r\n", 503, "{\"sick\": true}",
		  "application/json", "X-Weight", "42" },
		{ "nothing said: 200, text, empty", "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n", 200,
		  "", "text/plain; charset=utf-8", "Content-Length", "0" },
		{ "no such path", "GET /other HTTP/1.1\r\nHost: a\r\n\r\n", 404,
		  "404 page not found\n", "text/plain; charset=utf-8", "X-Content-Type-Options",
		  "nosniff" },
		{ "HEAD of no such path", "HEAD /other HTTP/1.1\r\nHost: a\r\n\r\n", 404, "",
		  "text/plain; charset=utf-8", "Content-Length", "19" },
		{ "a body that nobody reads: POST is not allowed",
		  "POST /sick HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 405,
		  "Method Not Allowed\n", "text/plain; charset=utf-8", "Allow", "GET, HEAD" },
		{ "DELETE is not allowed", "DELETE /sick HTTP/1.1\r\nHost: a\r\n\r\n", 405,
		  "Method Not Allowed\n", "text/plain; charset=utf-8", "Allow", "GET, HEAD" },
		{ "a method that doesn't exist is not allowed",
		  "EXPLODE /sick HTTP/1.1\r\nHost: a\r\n\r\n", 405, "Method Not Allowed\n",
		  "text/plain; charset=utf-8", "Allow", "GET, HEAD" },
		{ "GET with a body: it is passed over",
		  "GET /sick HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 503,
		  "{\"sick\": true}", "application/json", "X-Weight", "42" },
	};
	struct reply reply;
	struct world w;
	size_t i;

	world_init(&w, "127.0.0.1", 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].what);
		assert_true(client_ask(&w.loop, AF_INET, w.port, rows[i].request, &reply));
		assert_int_equal(reply.status, rows[i].status);
		assert_string_equal(reply.body, rows[i].body);
		assert_true(reply_header_is(&reply, "Content-Type", rows[i].type));
		assert_true(reply_header_is(&reply, rows[i].header, rows[i].value));
		reply_done(&reply);
	}
	world_done(&w);
}

/* What is no request ends its own connection, not the server. */
static void test_garbage(void **state)
{
	static const char *const rows[] = {
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"GET\r\n\r\n",
		"GET / HTTP/1.1\r\nHost\r\n\r\n",
		"POST /sick HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
	};
	struct reply reply;
	struct world w;
	char byte[64];
	size_t i;
	int fd;

	world_init(&w, "127.0.0.1", 1);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fd = client_connect(AF_INET, w.port);
		assert_true(client_send(fd, rows[i]));
		while (client_recv(&w.loop, fd, byte, sizeof(byte)) > 0)
			;
		(void)close(fd);
	}
	assert_true(client_get(&w.loop, w.port, "/sick", &reply));
	assert_int_equal(w.asked, 1);
	reply_done(&reply);
	world_done(&w);
}

/* A body without an end: the connection ends, and not by its timeout. */
static void test_endless_body(void **state)
{
	static char chunk[4096];
	uint64_t begun = uv_hrtime();
	struct world w;
	ssize_t n = 0;
	size_t sent = 0;
	int fd;

	world_init(&w, "127.0.0.1", 60);
	fd = client_connect(AF_INET, w.port);
	assert_true(client_send(fd, "POST /sick HTTP/1.1\r\nHost: a\r\n"
				    "Content-Length: 1000000000\r\n\r\n"));
	while (sent < 64u << 20) {
		n = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 0;
		client_pump(&w.loop, -1);
	}
	assert_true(n < 0);
	assert_true(uv_hrtime() - begun < 30000000000ull);
	assert_int_equal(w.asked, 0);
	(void)close(fd);
	world_done(&w);
}

/* ---- connections -------------------------------------------------------------------- */

static void test_one_connection(void **state)
{
	struct reply reply;
	struct world w;
	int fd, i;

	world_init(&w, "127.0.0.1", 0);
	fd = client_connect(AF_INET, w.port);
	for (i = 0; i < 1000; i++) {
		assert_true(client_send(fd, "GET /sick HTTP/1.1\r\nHost: a\r\n\r\n"));
		assert_true(client_reply(&w.loop, fd, false, &reply));
		assert_int_equal(reply.status, 503);
		reply_done(&reply);
	}
	/* Not allowed, but no reason to lose the connection. */
	assert_true(client_send(fd, "PUT /sick HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"));
	assert_true(client_reply(&w.loop, fd, false, &reply));
	assert_int_equal(reply.status, 405);
	reply_done(&reply);
	/* Several at once: answered in their order. */
	assert_true(client_send(fd, "GET /sick HTTP/1.1\r\nHost: a\r\n\r\n"
				    "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n"
				    "GET /other HTTP/1.1\r\nHost: a\r\n\r\n"));
	for (i = 0; i < 3; i++) {
		assert_true(client_reply(&w.loop, fd, false, &reply));
		assert_int_equal(reply.status, ((const int[]){ 503, 200, 404 })[i]);
		reply_done(&reply);
	}
	assert_int_equal(w.asked, 1003);
	(void)close(fd);
	world_done(&w);
}

static void test_slow_clients(void **state)
{
	int slow[10];
	struct reply reply;
	struct world w;
	size_t i;

	world_init(&w, "127.0.0.1", 0);
	for (i = 0; i < 10; i++) {
		slow[i] = client_connect(AF_INET, w.port);
		assert_true(client_send(slow[i], "GET /sick HT"));
		client_pump(&w.loop, -1);
	}
	assert_true(client_get(&w.loop, w.port, "/sick", &reply));
	assert_int_equal(reply.status, 503);
	reply_done(&reply);
	/* They get theirs when they are done. */
	for (i = 0; i < 10; i++) {
		assert_true(client_send(slow[i], "TP/1.1\r\nHost: a\r\n\r\n"));
		assert_true(client_reply(&w.loop, slow[i], false, &reply));
		assert_int_equal(reply.status, 503);
		reply_done(&reply);
		(void)close(slow[i]);
	}
	world_done(&w);
}

static void test_slow_reader(void **state)
{
	struct reply reply;
	struct world w;
	int fd, i;

	world_init(&w, "127.0.0.1", 0);
	fd = client_connect(AF_INET, w.port);
	assert_true(client_send(fd, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
	while (!w.asked)
		client_pump(&w.loop, -1);
	for (i = 0; i < 20; i++) {
		assert_true(client_get(&w.loop, w.port, "/sick", &reply));
		reply_done(&reply);
	}
	assert_true(client_reply(&w.loop, fd, false, &reply));
	assert_int_equal(reply.len, BIG);
	assert_int_equal(strspn(reply.body, "x"), BIG);
	reply_done(&reply);
	(void)close(fd);
	world_done(&w);
}

/* Half of a request, again and again, and one that goes away in the midst of its answer. */
static void test_many_slow_clients(void **state)
{
	enum { MANY = 3 * SH_HTTP_CONNECTIONS_MAX };
	int slow[MANY];
	struct reply reply;
	struct world w;
	size_t i, ended = 0;
	char byte;

	world_init(&w, "127.0.0.1", 60);
	for (i = 0; i < MANY; i++) {
		slow[i] = client_connect(AF_INET, w.port);
		assert_true(client_send(slow[i], i % 16 ? "GET /sick HT"
							: "GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
		/* Some come one by one, some together. */
		if (i % 16 < 8)
			(void)uv_run(&w.loop, UV_RUN_NOWAIT);
	}
	assert_true(client_get(&w.loop, w.port, "/sick", &reply));
	assert_int_equal(reply.status, 503);
	reply_done(&reply);
	/* The oldest ones paid for it, and the youngest is still there. */
	for (i = 1; i < MANY - SH_HTTP_CONNECTIONS_MAX; i += 2)
		ended += client_recv(&w.loop, slow[i], &byte, 1) <= 0;
	assert_int_equal(ended, (MANY - SH_HTTP_CONNECTIONS_MAX) / 2);
	assert_true(client_send(slow[MANY - 1], "TP/1.1\r\nHost: a\r\n\r\n"));
	assert_true(client_reply(&w.loop, slow[MANY - 1], false, &reply));
	reply_done(&reply);
	for (i = 0; i < MANY; i++)
		(void)close(slow[i]);
	world_done(&w);
}

static void test_timeout(void **state)
{
	unsigned int turns = 0;
	uint64_t begun;
	struct world w;
	ssize_t n = -1;
	char byte;
	int fd;

	world_init(&w, "127.0.0.1", 1);
	fd = client_connect(AF_INET, w.port);
	begun = uv_hrtime();
	assert_true(client_send(fd, "GET /sick HT"));
	while (n < 0 && turns++ < 1000) {
		client_pump(&w.loop, fd);
		n = recv(fd, &byte, 1, MSG_DONTWAIT);
	}
	assert_int_equal(n, 0);
	assert_in_range((uv_hrtime() - begun) / 1000000, 500, 5000);
	/* Nor did the loop spin until then: client_pump() sleeps for 20 ms. */
	assert_in_range(turns, 1, 300);
	(void)close(fd);
	world_done(&w);
}

/* accept() fails for a while: the loop goes on, and doesn't spin. */
static void test_no_descriptors(void **state)
{
	enum { MANY = 256 };
	struct rlimit limit, few;
	int taken[MANY], n = 0, fd;
	unsigned int turns = 0;
	struct reply reply;
	uint64_t until;
	struct world w;

	world_init(&w, "127.0.0.1", 0);
	fd = client_connect(AF_INET, w.port);
	assert_true(client_send(fd, "GET /sick HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = (struct rlimit){ .rlim_cur = MANY, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < MANY && (taken[n] = dup(fd)) >= 0)
		n++;
	assert_int_equal(errno, EMFILE);
	until = uv_hrtime() + 350000000u;
	while (uv_hrtime() < until) {
		client_pump(&w.loop, -1);
		turns++;
	}
	assert_int_equal(w.asked, 0);
	assert_in_range(turns, 1, 100);
	while (n)
		(void)close(taken[--n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(client_reply(&w.loop, fd, false, &reply));
	assert_int_equal(reply.status, 503);
	reply_done(&reply);
	(void)close(fd);
	world_done(&w);
}

/* ---- listening -------------------------------------------------------------------------- */

static void test_stop(void **state)
{
	struct err err = { 0 };
	struct world w;
	char byte;
	int idle, half;

	world_init(&w, "127.0.0.1", 60);
	idle = client_connect(AF_INET, w.port);
	half = client_connect(AF_INET, w.port);
	assert_true(client_send(half, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
	while (!w.asked)
		client_pump(&w.loop, -1);
	http_stop(w.server);
	/* At once, and before the loop has run. */
	assert_int_equal(client_connect(AF_INET, w.port), -1);
	if (world_serve(&w, "127.0.0.1", 60, &err))
		fail_msg("%s", err.msg);
	assert_true(client_recv(&w.loop, idle, &byte, 1) <= 0);
	(void)close(idle);
	(void)close(half);
	world_done(&w);
	http_stop(NULL);
}

static void test_port_taken(void **state)
{
	struct http_server *other = NULL;
	const struct http_service service = { .handler = answer };
	struct http_listen at = { .addr = addr_from_v4(htonl(INADDR_LOOPBACK)) };
	struct err err = { 0 };
	char want[256];
	struct world w;

	world_init(&w, "127.0.0.1", 0);
	at.port = w.port;
	assert_int_equal(http_serve(&other, &w.loop, &at, &service, &err), -EADDRINUSE);
	assert_null(other);
	assert_int_equal(err.exit, EXIT_SYSTEM);
	(void)snprintf(want, sizeof(want),
		       "listen on 127.0.0.1:%u (who has it: ss -ltnp 'sport = :%u'): "
		       "Address already in use",
		       w.port, w.port);
	assert_string_equal(err.msg, want);
	at.port = 1234;
	assert_int_equal(addr_parse("192.0.2.1", &at.addr), 0);
	assert_int_equal(http_serve(&other, &w.loop, &at, &service, &err), -EADDRNOTAVAIL);
	assert_string_equal(err.msg, "listen on 192.0.2.1:1234 (it is to be an address of this "
				     "node): Cannot assign requested address");
	world_done(&w);
}

static void test_families(void **state)
{
	static const struct {
		const char *addr;
		bool v4, v6;
	} rows[] = {
		{ NULL, true, true }, /* :: */
		{ "0.0.0.0", true, false },
		{ "::1", false, true },
	};
	static const char get[] = "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n";
	struct reply reply;
	struct world w;
	size_t i;

	if (!client_has_ipv6()) {
		print_message("no ::1 on this machine\n");
		skip();
	}
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_init(&w, rows[i].addr, 0);
		assert_int_equal(client_ask(&w.loop, AF_INET, w.port, get, &reply), rows[i].v4);
		reply_done(&reply);
		assert_int_equal(w.client, rows[i].v4 ? FAMILY_IPV4 : FAMILY_NONE);
		w.client = FAMILY_NONE;
		assert_int_equal(client_ask(&w.loop, AF_INET6, w.port, get, &reply), rows[i].v6);
		reply_done(&reply);
		assert_int_equal(w.client, rows[i].v6 ? FAMILY_IPV6 : FAMILY_NONE);
		world_done(&w);
	}
}

/* A client of another hand: two requests, one connection. */
static void test_curl(void **state)
{
	char command[256], said[256] = "";
	struct world w;
	int out[2], status;
	ssize_t n;
	pid_t pid;

	if (access("/usr/bin/curl", X_OK)) {
		print_message("no curl on this machine\n");
		skip();
	}
	world_init(&w, "127.0.0.1", 0);
	(void)snprintf(command, sizeof(command),
		       "exec curl -s --noproxy '*' -w ' %%{http_code} %%{num_connects}\\n' "
		       "http://127.0.0.1:%u/sick http://127.0.0.1:%u/sick",
		       w.port, w.port);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
	pid = fork();
	if (!pid) {
		(void)dup2(out[1], STDOUT_FILENO);
		(void)execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	(void)close(out[1]);
	do {
		n = client_recv(&w.loop, out[0], said + strlen(said),
				sizeof(said) - 1 - strlen(said));
	} while (n > 0);
	(void)close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_string_equal(said, "{\"sick\": true} 503 1\n{\"sick\": true} 503 0\n");
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_endless_body),
		cmocka_unit_test(test_one_connection),
		cmocka_unit_test(test_slow_clients),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_many_slow_clients),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_port_taken),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_curl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
