/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Real sockets under the socket programs, in a cgroup and a network namespace of
 * the test's own: who counts as live for least-conn, and whose socket ends with
 * its backend. Needs root.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/world.h"
#include "dataplane/cgroup.h"

#define VIP	 "10.96.0.10"
#define OTHER	 "10.96.0.11" /* a Service with the same backends */
#define NOBODY	 "10.96.0.12" /* one without */
#define BACKEND	 "10.244.1.10"
#define BACKENDS 4

struct test {
	struct world world;
	char cgroup[256], home[256]; /* directories; home: where this process was before */
	int link_fd[DP_PROG_COUNT];
};

static const uint32_t attach_types[DP_PROG_COUNT] = {
#define X(id, name, type) [DP_PROG_##id] = (type),
	DP_PROGS(X)
#undef X
};

/* ---- the cgroup ------------------------------------------------------------------ */

static void cgroup_join(const char *dir)
{
	char path[300];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fprintf(f, "%d\n", (int)getpid()) > 0);
	assert_int_equal(fclose(f), 0);
}

static void cgroup_make(struct test *t)
{
	char line[512], own[256] = "/", *point = NULL;
	FILE *f = fopen("/proc/self/cgroup", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "0::%255[^\n]", own) == 1)
			break;
	}
	(void)fclose(f);
	f = fopen("/proc/self/mountinfo", "re");
	assert_non_null(f);
	while (!point && fgets(line, sizeof(line), f))
		point = cgroup_mount_point(line);
	(void)fclose(f);
	assert_non_null(point);
	(void)snprintf(t->home, sizeof(t->home), "%.100s%.150s", point, own);
	(void)snprintf(t->cgroup, sizeof(t->cgroup), "%.100s/shunt-sockets-%d", point,
		       (int)getpid());
	assert_int_equal(mkdir(t->cgroup, 0755), 0);
	cgroup_join(t->cgroup);
}

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));
	int dir;

	assert_non_null(t);
	*state = t;
	world_network(&t->world);
	world_settings(&t->world);
	t->world.settings.max_sockets = 8192;
	world_open(&t->world, DATAPLANE_SCRATCH);
	cgroup_make(t);
	dir = open(t->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	for (int i = DP_PROG_CONNECT4; i < DP_PROG_COUNT; i++) {
		t->link_fd[i] = bpf_link_create(t->world.dp->prog_fd[i], dir,
						(enum bpf_attach_type)attach_types[i], NULL);
		assert_true(t->link_fd[i] >= 0);
	}
	(void)close(dir);
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	for (int i = DP_PROG_CONNECT4; i < DP_PROG_COUNT; i++)
		(void)close(t->link_fd[i]);
	cgroup_join(t->home);
	assert_int_equal(rmdir(t->cgroup), 0);
	world_close(&t->world);
	free(t);
	return 0;
}

/* ---- what is wanted ----------------------------------------------------------------- */

/* VIP and OTHER with @n and @n_other backends from BACKEND on, NOBODY with none; UDP and TCP. */
static struct publish_result serve(struct test *t, enum sh_algorithm algorithm, uint16_t n,
				   uint16_t n_other)
{
	static const char *const names[] = { "one-tcp", "one-udp", "two-tcp", "two-udp", "x-udp" };
	static const char *const vips[] = { VIP, VIP, OTHER, OTHER, NOBODY };
	struct wanted *wanted = wanted_new();
	struct publish_result result;
	struct want_service *service;

	for (int i = 0; i < 5; i++) {
		service = wanted_service(
			wanted, &(struct service_spec){ .name = names[i],
							.vip = vips[i],
							.port = 80,
							.proto = i % 2 || i == 4 ? IPPROTO_UDP
										 : IPPROTO_TCP });
		service->algorithm = algorithm;
		service->any_usable = false;
		if (i < 4)
			wanted_backends(wanted, service,
					&(struct backends_spec){ .addr = BACKEND,
								 .n = i < 2 ? n : n_other,
								 .port = 8080,
								 .local = true });
	}
	publish(&t->world, wanted, &result);
	wanted_free(wanted);
	return result;
}

static uint32_t live(const struct test *t)
{
	const struct sh_backend *lines = t->world.dp->mem[DP_MAP_BACKENDS];
	uint32_t sum = 0;

	for (uint32_t i = 1; i < t->world.dp->map_max[DP_MAP_BACKENDS]; i++)
		sum += lines[i].id ? lines[i].live : 0;
	return sum;
}

/* ---- sockets ------------------------------------------------------------------------ */

static int open_socket(int type)
{
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

static struct sockaddr_in name_of(const char *addr, uint16_t port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, addr, &name.sin_addr), 1);
	return name;
}

/* @return 0 or the errno; on its way is as good as done */
static int reach(int fd, const char *addr, uint16_t port)
{
	struct sockaddr_in name = name_of(addr, port);

	if (!connect(fd, (const struct sockaddr *)&name, sizeof(name)) || errno == EINPROGRESS)
		return 0;
	return errno;
}

static void let_go(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
}

static void datagram(int fd, const char *addr, uint16_t port)
{
	struct sockaddr_in name = name_of(addr, port);

	assert_int_equal(sendto(fd, "x", 1, 0, (const struct sockaddr *)&name, sizeof(name)), 1);
}

/* A TCP socket that was aborted says why once; a UDP socket too, and has no peer any more. */
static bool ended(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_true(!error || error == ECONNABORTED);
	return error;
}

/* ---- least-conn ---------------------------------------------------------------------- */

static void a_socket_counts_until_it_is_closed(void **state)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
	struct test *t = *state;
	int fd, again;

	(void)serve(t, SH_LEAST_CONN, BACKENDS, BACKENDS);
	for (int i = 0; i < 2; i++) {
		fd = open_socket(types[i]);
		assert_int_equal(live(t), 0);
		assert_int_equal(reach(fd, VIP, 80), 0);
		assert_int_equal(live(t), 1);
		again = dup(fd);
		(void)close(fd);
		assert_int_equal(live(t), 1);
		(void)close(again);
		assert_int_equal(live(t), 0);
	}
}

static void a_socket_counts_once(void **state)
{
	struct test *t = *state;
	int fd = open_socket(SOCK_DGRAM);

	(void)serve(t, SH_LEAST_CONN, BACKENDS, BACKENDS);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(reach(fd, i % 3 ? VIP : OTHER, 80), 0);
		assert_int_equal(live(t), 1);
		if (i % 7 == 0)
			let_go(fd);
	}
	/* A refused one leaves it where it was; a datagram is no connection. */
	assert_int_equal(reach(fd, NOBODY, 80), ECONNREFUSED);
	assert_int_equal(live(t), 1);
	datagram(fd, OTHER, 80);
	assert_int_equal(live(t), 1);
	/* To what is no Service's. */
	assert_int_equal(reach(fd, "192.0.2.2", 53), 0);
	assert_int_equal(live(t), 0);
	assert_int_equal(reach(fd, VIP, 80), 0);
	assert_int_equal(live(t), 1);
	let_go(fd);
	(void)close(fd);
	assert_int_equal(live(t), 0);
}

static void others_count_no_sockets(void **state)
{
	static const enum sh_algorithm algorithms[] = { SH_MAGLEV, SH_RANDOM };
	struct test *t = *state;
	int fd = open_socket(SOCK_DGRAM);

	for (int i = 0; i < 2; i++) {
		(void)serve(t, SH_LEAST_CONN, BACKENDS, BACKENDS);
		assert_int_equal(reach(fd, VIP, 80), 0);
		assert_int_equal(live(t), 1);
		(void)serve(t, algorithms[i], BACKENDS, BACKENDS);
		assert_int_equal(reach(fd, VIP, 80), 0);
		assert_int_equal(live(t), 0);
	}
	(void)close(fd);
	assert_int_equal(live(t), 0);
}

/* Lines are used again: what an old socket gives back is not its successor's. */
static void a_removed_backend_is_left_alone(void **state)
{
	struct test *t = *state;
	int old[8], fd;

	(void)serve(t, SH_LEAST_CONN, 1, 0);
	for (int i = 0; i < 8; i++) {
		old[i] = open_socket(i % 2 ? SOCK_DGRAM : SOCK_STREAM);
		assert_int_equal(reach(old[i], VIP, 80), 0);
	}
	assert_int_equal(live(t), 8);
	(void)serve(t, SH_LEAST_CONN, 0, 0);
	(void)serve(t, SH_LEAST_CONN, 1, 0);
	fd = open_socket(SOCK_DGRAM);
	assert_int_equal(reach(fd, VIP, 80), 0);
	assert_int_equal(live(t), 1);
	for (int i = 0; i < 8; i++)
		(void)close(old[i]);
	assert_int_equal(live(t), 1);
	(void)close(fd);
	assert_int_equal(live(t), 0);
}

static void sockets_spread_by_load(void **state)
{
	const struct sh_backend *lines;
	struct test *t = *state;
	uint32_t least = ~0u, most = 0;
	int fd[400];

	(void)serve(t, SH_LEAST_CONN, BACKENDS, 0);
	for (int i = 0; i < 400; i++) {
		fd[i] = open_socket(SOCK_DGRAM);
		assert_int_equal(reach(fd[i], VIP, 80), 0);
	}
	lines = t->world.dp->mem[DP_MAP_BACKENDS];
	for (uint32_t i = 1; i < t->world.dp->map_max[DP_MAP_BACKENDS]; i++) {
		if (!lines[i].id || !lines[i].live)
			continue;
		least = lines[i].live < least ? lines[i].live : least;
		most = lines[i].live > most ? lines[i].live : most;
	}
	/* Drawn at random they would differ by some twenty. */
	assert_in_range(most - least, 0, 10);
	for (int i = 0; i < 400; i++)
		(void)close(fd[i]);
	assert_int_equal(live(t), 0);
}

#define SHARED	16
#define THREADS 4
#define ROUNDS	4000

struct crowd {
	int fd[SHARED];
	pthread_barrier_t start;
};

static void *connect_all(void *arg)
{
	struct crowd *crowd = arg;
	struct sockaddr_in vip = name_of(VIP, 80), away = name_of("192.0.2.2", 53);

	(void)pthread_barrier_wait(&crowd->start);
	for (int i = 0; i < ROUNDS; i++) {
		const struct sockaddr_in *to = i % 5 ? &vip : &away;

		(void)connect(crowd->fd[i % SHARED], (const struct sockaddr *)to, sizeof(*to));
	}
	return NULL;
}

/* Threads that connect the same sockets at the same time: each socket counts once. */
static void counts_survive_a_race(void **state)
{
	struct test *t = *state;
	struct crowd crowd;
	pthread_t threads[THREADS];

	(void)serve(t, SH_LEAST_CONN, BACKENDS, 0);
	for (int i = 0; i < SHARED; i++)
		crowd.fd[i] = open_socket(SOCK_DGRAM);
	assert_int_equal(pthread_barrier_init(&crowd.start, NULL, THREADS), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, connect_all, &crowd), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < SHARED; i++)
		assert_int_equal(reach(crowd.fd[i], VIP, 80), 0);
	assert_int_equal(live(t), SHARED);
	for (int i = 0; i < SHARED; i++)
		(void)close(crowd.fd[i]);
	assert_int_equal(live(t), 0);
	(void)pthread_barrier_destroy(&crowd.start);
}

/* ---- the end of a backend --------------------------------------------------------------- */

static void sockets_end_with_their_backend(void **state)
{
	struct publish_result result;
	struct test *t = *state;
	int tcp = open_socket(SOCK_STREAM), udp = open_socket(SOCK_DGRAM);

	(void)serve(t, SH_MAGLEV, 1, 1);
	assert_int_equal(reach(tcp, VIP, 80), 0);
	assert_int_equal(reach(udp, VIP, 80), 0);
	result = serve(t, SH_RANDOM, 1, 1); /* a change that removes nobody */
	assert_int_equal(result.sockets.tcp + result.sockets.udp, 0);
	assert_false(ended(tcp) || ended(udp));
	result = serve(t, SH_MAGLEV, 0, 1);
	assert_string_equal(result.sockets_err.msg, "");
	assert_int_equal(result.sockets.tcp, 1);
	assert_int_equal(result.sockets.udp, 1);
	assert_true(ended(tcp) && ended(udp));
	assert_int_equal(send(udp, "x", 1, 0), -1);
	/* The same socket may start again. */
	assert_int_equal(reach(udp, OTHER, 80), 0);
	result = serve(t, SH_MAGLEV, 0, 0);
	assert_int_equal(result.sockets.udp, 1);
	assert_true(ended(udp));
	(void)close(tcp);
	(void)close(udp);
}

/* @return how many ended when VIP's only backend went */
static size_t ends(struct test *t)
{
	struct publish_result result = serve(t, SH_MAGLEV, 0, 1);

	assert_string_equal(result.sockets_err.msg, "");
	(void)serve(t, SH_MAGLEV, 1, 1);
	return result.sockets.tcp + result.sockets.udp;
}

static void others_at_that_address_stay(void **state)
{
	struct test *t = *state;
	int fd = open_socket(SOCK_DGRAM), tcp = open_socket(SOCK_STREAM);

	(void)serve(t, SH_MAGLEV, 1, 1);
	/* Somebody has to be looked for at all. */
	assert_int_equal(reach(tcp, VIP, 80), 0);

	/* Directly, by a socket that never knew another name. */
	assert_int_equal(reach(fd, BACKEND, 8080), 0);
	assert_int_equal(ends(t), 1);
	assert_false(ended(fd));
	/* Directly, after the Service: twice the same address. */
	assert_int_equal(reach(fd, VIP, 80), 0);
	assert_int_equal(reach(fd, BACKEND, 8080), 0);
	assert_int_equal(ends(t), 0);
	assert_false(ended(fd));
	/* The other way round it is the Service's. */
	assert_int_equal(reach(fd, BACKEND, 8080), 0);
	assert_int_equal(reach(fd, VIP, 80), 0);
	assert_int_equal(ends(t), 1);
	assert_true(ended(fd));
	/* By another Service, which has it still. */
	assert_int_equal(reach(fd, VIP, 80), 0);
	assert_int_equal(reach(fd, OTHER, 80), 0);
	assert_int_equal(ends(t), 0);
	assert_false(ended(fd));
	/* Away, or to nobody. */
	assert_int_equal(reach(fd, VIP, 80), 0);
	assert_int_equal(reach(fd, "192.0.2.2", 53), 0);
	assert_int_equal(ends(t), 0);
	assert_false(ended(fd));
	assert_int_equal(reach(fd, VIP, 80), 0);
	let_go(fd);
	assert_int_equal(ends(t), 0);
	assert_false(ended(fd));
	(void)close(fd);
	(void)close(tcp);
}

static void datagrams_make_no_connection(void **state)
{
	struct test *t = *state;
	int fd = open_socket(SOCK_DGRAM);

	(void)serve(t, SH_MAGLEV, 1, 1);
	datagram(fd, VIP, 80);
	assert_int_equal(ends(t), 0);
	/* Connected directly, and a datagram beside that. */
	assert_int_equal(reach(fd, BACKEND, 8080), 0);
	datagram(fd, VIP, 80);
	assert_int_equal(ends(t), 0);
	assert_false(ended(fd));
	/* Connected by the Service, and a datagram by another one to the same backend. */
	assert_int_equal(reach(fd, VIP, 80), 0);
	datagram(fd, OTHER, 80);
	assert_int_equal(ends(t), 1);
	assert_true(ended(fd));
	(void)close(fd);
}

static void all_of_many_end(void **state)
{
	enum { MANY = 900 };
	struct publish_result result;
	struct test *t = *state;
	static int fd[MANY];

	(void)serve(t, SH_RANDOM, BACKENDS, 1);
	for (int i = 0; i < MANY; i++) {
		fd[i] = open_socket(SOCK_DGRAM);
		assert_int_equal(reach(fd[i], VIP, 80), 0);
	}
	result = serve(t, SH_RANDOM, 0, 1);
	assert_int_equal(result.sockets.udp, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_true(ended(fd[i]));
		(void)close(fd[i]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_socket_counts_until_it_is_closed),
		TEST(a_socket_counts_once),
		TEST(others_count_no_sockets),
		TEST(a_removed_backend_is_left_alone),
		TEST(sockets_spread_by_load),
		TEST(counts_survive_a_race),
		TEST(sockets_end_with_their_backend),
		TEST(others_at_that_address_stay),
		TEST(datagrams_make_no_connection),
		TEST(all_of_many_end),
	};
#undef TEST

	return world_run_tests("sockets", tests, sizeof(tests) / sizeof(tests[0]));
}
