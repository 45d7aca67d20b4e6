/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/health.h"
#include "http_client.h"

struct world {
	uv_loop_t loop;
	struct health *health;
	uint16_t port;
	struct err err;
};

static void world_init(struct world *w, uint32_t stale_s)
{
	struct health_opts opts = { .stale_s = stale_s };

	memset(w, 0, sizeof(*w));
	assert_int_equal(uv_loop_init(&w->loop), 0);
	w->port = opts.healthz.port = client_free_port();
	opts.healthz.addr = addr_from_v4(htonl(INADDR_LOOPBACK));
	if (health_start(&w->health, &w->loop, &opts, &w->err))
		fail_msg("%s", w->err.msg);
}

static void world_done(struct world *w)
{
	health_stop(w->health);
	assert_true(client_loop_ends(&w->loop));
}

/* ---- /healthz, /livez -------------------------------------------------------------- */

static int status_of(struct world *w, const char *path)
{
	struct reply reply;
	int status = 0;

	if (client_get(&w->loop, w->port, path, &reply))
		status = reply.status;
	reply_done(&reply);
	return status;
}

/* Seconds since a time as kube-proxy says it, or -1. */
static long time_age(const char *text)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	int nanos = 0;

	if (!rest || sscanf(rest, ".%9d +0000 UTC%n", &(int){ 0 }, &nanos) != 1 || !nanos)
		return -1;
	return (long)(time(NULL) - timegm(&tm));
}

static void test_body(void **state)
{
	char last[64], current[64], eligible[8];
	struct reply reply;
	struct world w;
	int end = 0;

	world_init(&w, 0);
	assert_true(client_get(&w.loop, w.port, "/healthz", &reply));
	assert_int_equal(reply.status, 200);
	assert_true(reply_header_is(&reply, "Content-Type", "application/json"));
	assert_true(reply_header_is(&reply, "X-Content-Type-Options", "nosniff"));
	assert_int_equal(sscanf(reply.body,
				"{\"lastUpdated\": \"%63[^\"]\",\"currentTime\": \"%63[^\"]\", "
				"\"nodeEligible\": %7[a-z]}%n",
				last, current, eligible, &end),
			 3);
	assert_int_equal(end, reply.len);
	assert_string_equal(last, current);
	assert_in_range(time_age(current), 0, 5);
	assert_string_equal(eligible, "true");
	reply_done(&reply);
	assert_true(client_get(&w.loop, w.port, "/livez", &reply));
	assert_int_equal(reply.status, 200);
	end = 0;
	assert_int_equal(sscanf(reply.body,
				"{\"lastUpdated\": \"%63[^\"]\",\"currentTime\": \"%63[^\"]\"}%n",
				last, current, &end),
			 2);
	assert_int_equal(end, reply.len);
	reply_done(&reply);
	assert_int_equal(status_of(&w, "/"), 404);
	world_done(&w);
}

static void test_deleting(void **state)
{
	struct reply reply;
	struct world w;

	world_init(&w, 0);
	health_node_deleting(w.health, true);
	assert_int_equal(status_of(&w, "/livez"), 200);
	assert_true(client_get(&w.loop, w.port, "/healthz", &reply));
	assert_int_equal(reply.status, 503);
	/* Nothing was ever published. */
	assert_non_null(strstr(reply.body, "\"lastUpdated\": \"0001-01-01 00:00:00 +0000 UTC\""));
	assert_non_null(strstr(reply.body, "\"nodeEligible\": false}"));
	reply_done(&reply);
	health_node_deleting(w.health, false);
	assert_int_equal(status_of(&w, "/healthz"), 200);
	world_done(&w);
}

/* Waits until /livez says so. */
static bool turns(struct world *w, int status)
{
	const uint64_t deadline = uv_hrtime() + 10000000000u;

	while (uv_hrtime() < deadline) {
		if (status_of(w, "/livez") == status)
			return true;
		client_pump(&w->loop, -1);
	}
	return false;
}

static void test_stale(void **state)
{
	struct health_counts counts;
	uint64_t queued;
	struct reply reply;
	struct world w;

	world_init(&w, 1);
	health_synced(w.health);
	queued = uv_hrtime();
	health_queued(w.health);
	assert_int_equal(status_of(&w, "/healthz"), 200);
	assert_true(turns(&w, 503));
	assert_true(uv_hrtime() - queued >= 1000000000u);
	/* It is the first one that counts. */
	health_queued(w.health);
	assert_true(client_get(&w.loop, w.port, "/healthz", &reply));
	assert_int_equal(reply.status, 503);
	assert_in_range(time_age(reply.body + strlen("{\"lastUpdated\": \"")), 1, 15);
	reply_done(&reply);
	health_synced(w.health);
	assert_int_equal(status_of(&w, "/healthz"), 200);
	assert_int_equal(status_of(&w, "/livez"), 200);
	health_counts(w.health, &counts);
	assert_int_equal(counts.healthz_ok, 2);
	assert_int_equal(counts.healthz_failed, 1);
	assert_int_equal(counts.livez_failed, 1);
	assert_true(counts.livez_ok >= 1);
	world_done(&w);
}

static void test_no_healthz(void **state)
{
	const struct health_opts opts = { 0 };
	struct health *health = NULL;
	uv_loop_t loop;

	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(health_start(&health, &loop, &opts, NULL), 0);
	health_queued(health);
	health_synced(health);
	health_stop(health);
	health_stop(NULL);
	assert_true(client_loop_ends(&loop));
}

static void test_healthz_taken(void **state)
{
	struct health_opts opts = { 0 };
	struct health *health = NULL;
	struct world w;
	char want[128];

	world_init(&w, 0);
	opts.healthz.port = w.port;
	opts.healthz.addr = addr_from_v4(htonl(INADDR_LOOPBACK));
	assert_int_equal(health_start(&health, &w.loop, &opts, &w.err), -EADDRINUSE);
	(void)snprintf(want, sizeof(want), "/healthz: listen on 127.0.0.1:%u ", w.port);
	assert_ptr_equal(strstr(w.err.msg, want), w.err.msg);
	world_done(&w);
}

/* ---- healthCheckNodePorts --------------------------------------------------------------- */

static int serve(struct world *w, const char *name, uint16_t port, uint32_t local4)
{
	const struct want_health want = { .ns = "shop",
					  .name = name,
					  .port = port,
					  .local_endpoints = local4 + 1,
					  .local4 = local4,
					  .local6 = 1 };

	w->err.msg[0] = '\0';
	return health_service(w->health, "shop", name, &want, &w->err);
}

/* The name and the number that @port answers with: "web 3", or "" where nobody listens. */
static const char *who(struct world *w, uint16_t port, char buf[128])
{
	struct reply reply;
	char name[64], weight[256];
	int n;

	buf[0] = '\0';
	if (client_get(&w->loop, port, "/", &reply)) {
		assert_int_equal(
			sscanf(reply.body,
			       "{\n\t\"service\": {\n\t\t\"namespace\": \"shop\",\n"
			       "\t\t\"name\": \"%63[^\"]\"\n\t},\n\t\"localEndpoints\": %d",
			       name, &n),
			2);
		assert_int_equal(reply.status, n ? 200 : 503);
		assert_non_null(reply_header(&reply, "X-Load-Balancing-Endpoint-Weight", weight));
		assert_int_equal(atoi(weight), n);
		(void)snprintf(buf, 128, "%s %d", name, n);
	}
	reply_done(&reply);
	return buf;
}

static void test_service(void **state)
{
	uint16_t port = client_free_port();
	struct reply reply;
	struct world w;
	char buf[128];

	world_init(&w, 1);
	assert_int_equal(serve(&w, "web", port, 3), 0);
	assert_true(client_get(&w.loop, port, "/any/path", &reply));
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.body, "{\n"
					"\t\"service\": {\n"
					"\t\t\"namespace\": \"shop\",\n"
					"\t\t\"name\": \"web\"\n"
					"\t},\n"
					"\t\"localEndpoints\": 3,\n"
					"\t\"serviceProxyHealthy\": true\n"
					"}");
	assert_true(reply_header_is(&reply, "Content-Type", "application/json"));
	assert_true(reply_header_is(&reply, "X-Content-Type-Options", "nosniff"));
	assert_true(reply_header_is(&reply, "X-Load-Balancing-Endpoint-Weight", "3"));
	reply_done(&reply);
	/* The node is of no interest to who asks about the Service. */
	health_node_deleting(w.health, true);
	assert_string_equal(who(&w, port, buf), "web 3");
	health_queued(w.health);
	assert_true(turns(&w, 503));
	assert_true(client_get(&w.loop, port, "/", &reply));
	assert_int_equal(reply.status, 503);
	assert_non_null(strstr(reply.body, "\"localEndpoints\": 3,"));
	assert_non_null(strstr(reply.body, "\"serviceProxyHealthy\": false\n}"));
	reply_done(&reply);
	world_done(&w);
}

static void test_family(void **state)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	uint16_t port = client_free_port();
	struct reply reply;
	struct world w;
	char buf[128];

	if (!client_has_ipv6()) {
		print_message("no ::1 on this machine\n");
		skip();
	}
	world_init(&w, 0);
	assert_int_equal(serve(&w, "web", port, 0), 0);
	assert_string_equal(who(&w, port, buf), "web 0");
	assert_true(client_ask(&w.loop, AF_INET6, port, get, &reply));
	assert_int_equal(reply.status, 200);
	assert_true(reply_header_is(&reply, "X-Load-Balancing-Endpoint-Weight", "1"));
	reply_done(&reply);
	world_done(&w);
}

/* A count changes: the socket, and who is connected to it, stays. */
static void test_count(void **state)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	uint16_t port = client_free_port();
	struct reply reply;
	struct world w;
	uint32_t n;
	int fd;

	world_init(&w, 0);
	assert_int_equal(serve(&w, "web", port, 0), 0);
	fd = client_connect(AF_INET, port);
	for (n = 0; n < 5; n++) {
		assert_int_equal(serve(&w, "web", port, n), 0);
		assert_true(client_send(fd, get));
		assert_true(client_reply(&w.loop, fd, false, &reply));
		assert_int_equal(reply.status, n ? 200 : 503);
		reply_done(&reply);
	}
	(void)close(fd);
	world_done(&w);
}

static void test_port_moves(void **state)
{
	uint16_t a = client_free_port(), b = client_free_port();
	struct health_counts counts;
	struct world w;
	char buf[128];

	world_init(&w, 0);
	assert_int_equal(serve(&w, "web", a, 1), 0);
	assert_int_equal(serve(&w, "web", b, 1), 0);
	assert_string_equal(who(&w, a, buf), "");
	assert_string_equal(who(&w, b, buf), "web 1");
	assert_int_equal(health_service(w.health, "shop", "web", NULL, &w.err), 0);
	assert_string_equal(who(&w, b, buf), "");
	/* Once more, and by a port of 0. */
	assert_int_equal(serve(&w, "web", b, 1), 0);
	assert_int_equal(serve(&w, "web", 0, 1), 0);
	assert_string_equal(who(&w, b, buf), "");
	assert_int_equal(serve(&w, "web", 0, 1), 0);
	health_counts(w.health, &counts);
	assert_int_equal(counts.listening, 0);
	assert_int_equal(counts.refused, 0);
	world_done(&w);
}

/* Two Services change places, one call after the other. */
static void test_ports_swap(void **state)
{
	uint16_t a = client_free_port(), b = client_free_port();
	struct health_counts counts;
	struct world w;
	char buf[128], want[256];

	world_init(&w, 0);
	assert_int_equal(serve(&w, "web", a, 1), 0);
	assert_int_equal(serve(&w, "mail", b, 2), 0);
	assert_int_equal(serve(&w, "web", b, 1), -EADDRINUSE);
	(void)snprintf(want, sizeof(want),
		       "healthCheckNodePort %u of Service shop/web: listen on [::]:%u "
		       "(who has it: ss -ltnp 'sport = :%u'): Address already in use",
		       b, b, b);
	assert_string_equal(w.err.msg, want);
	health_counts(w.health, &counts);
	assert_int_equal(counts.listening, 1);
	assert_int_equal(counts.refused, 1);
	assert_int_equal(serve(&w, "mail", a, 2), 0);
	assert_string_equal(who(&w, a, buf), "mail 2");
	assert_string_equal(who(&w, b, buf), "web 1");
	/* One that waits for another's end. */
	assert_int_equal(serve(&w, "game", a, 3), -EADDRINUSE);
	assert_int_equal(health_service(w.health, "shop", "mail", NULL, &w.err), 0);
	assert_string_equal(who(&w, a, buf), "game 3");
	health_counts(w.health, &counts);
	assert_int_equal(counts.listening, 2);
	assert_int_equal(counts.refused, 0);
	world_done(&w);
}

/* Somebody else has the port, and gives it up: nobody has to call for us to have it. */
static void test_port_freed(void **state)
{
	const uint64_t deadline = uv_hrtime() + 20000000000u;
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct health_counts counts;
	struct world w;
	char buf[128];

	world_init(&w, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(serve(&w, "web", ntohs(addr.sin_port), 1), -EADDRINUSE);
	(void)close(fd);
	do {
		client_pump(&w.loop, -1);
		health_counts(w.health, &counts);
	} while (!counts.listening && uv_hrtime() < deadline);
	assert_string_equal(who(&w, ntohs(addr.sin_port), buf), "web 1");
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_body),	      cmocka_unit_test(test_deleting),
		cmocka_unit_test(test_stale),	      cmocka_unit_test(test_no_healthz),
		cmocka_unit_test(test_healthz_taken), cmocka_unit_test(test_service),
		cmocka_unit_test(test_family),	      cmocka_unit_test(test_count),
		cmocka_unit_test(test_port_moves),    cmocka_unit_test(test_ports_swap),
		cmocka_unit_test(test_port_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
