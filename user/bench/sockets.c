// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the hooks add to a system call: a UDP socket's connect(), which sends
 * nothing, and getpeername(). Each run with the hooks comes right after one
 * without: they are attached to the sandbox's cgroup for it, and taken away.
 */
#include "bench/internal.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALLS	  50000
#define OF_HOOK	  "socket"
#define FAR_PORT  8080
#define ACCESS_NS 24.0 /* of the hash look-up that the goals were set beside */

struct name {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

struct call_def {
	const char *path;
	bool service;	/* to a ClusterIP; else to an address that is no Service's */
	bool peer;	/* getpeername() of a connected socket */
	bool empty;	/* instead of the shipped programs one that does nothing */
	double goal_ns; /* where that look-up takes ACCESS_NS */
};

static const struct call_def calls[] = {
	{ "connect-empty", .empty = true },
	{ "connect-service", .service = true, .goal_ns = 150 },
	{ "connect-plain", .goal_ns = 50 },
	{ "getpeername-empty", .peer = true, .empty = true },
	{ "getpeername-service", .service = true, .peer = true },
	{ "getpeername-plain", .peer = true },
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

static const uint32_t attach_types[DP_PROG_COUNT] = {
#define X(id, name, type) [DP_PROG_##id] = (type),
	DP_PROGS(X)
#undef X
};

struct hooks {
	int cgroup_fd;
	const struct lab *lab;
	const struct dataplane *dp;
	int link_fd[DP_PROG_COUNT];
};

static void hooks_detach(struct hooks *hooks)
{
	int i;

	for (i = 0; i < DP_PROG_COUNT; i++) {
		if (hooks->link_fd[i] >= 0)
			(void)close(hooks->link_fd[i]);
		hooks->link_fd[i] = -1;
	}
}

static int hooks_attach_empty(struct hooks *hooks, struct err *err)
{
	static const enum dp_prog places[][LAB_HOOKS] = {
		{ DP_PROG_CONNECT4, DP_PROG_GETPEER4 },
		{ DP_PROG_CONNECT6, DP_PROG_GETPEER6 },
	};
	int i;

	for (i = 0; i < LAB_HOOKS; i++) {
		enum dp_prog place = places[lab_v6(hooks->lab)][i];

		hooks->link_fd[place] =
			bpf_link_create(lab_hook_fd(hooks->lab, (enum lab_hook)i), hooks->cgroup_fd,
					(enum bpf_attach_type)attach_types[place], NULL);
		if (hooks->link_fd[place] < 0)
			return err_system(err, -errno,
					  "attach an empty program to the bench's cgroup");
	}
	return 0;
}

static int hooks_attach(struct hooks *hooks, struct err *err)
{
	int i;

	for (i = DP_PROG_CONNECT4; i <= DP_PROG_BIND6; i++) {
		hooks->link_fd[i] = bpf_link_create(hooks->dp->prog_fd[i], hooks->cgroup_fd,
						    (enum bpf_attach_type)attach_types[i], NULL);
		if (hooks->link_fd[i] < 0)
			return err_system(err, -errno, "attach %s to the bench's cgroup",
					  dp_prog_names[i]);
	}
	return 0;
}

static struct name name_of(const struct sh_addr *addr, uint16_t port)
{
	struct name name = { 0 };

	if (sh_addr_is_v4(addr)) {
		name.v4.sin_family = AF_INET;
		name.v4.sin_port = htons(port);
		name.v4.sin_addr.s_addr = addr->w[3];
		name.len = sizeof(name.v4);
	} else {
		name.v6.sin6_family = AF_INET6;
		name.v6.sin6_port = htons(port);
		memcpy(&name.v6.sin6_addr, addr, sizeof(*addr));
		name.len = sizeof(name.v6);
	}
	return name;
}

struct calling {
	const struct call_def *def;
	struct name to;
};

/* CALLS times. @return ns each, negative: a negative errno */
static double call_many(const struct calling *calling, int fd)
{
	struct name peer;
	double before;
	int i, ret = 0;

	before = bench_cpu_ns();
	for (i = 0; i < CALLS && !ret; i++) {
		if (!calling->def->peer) {
			ret = connect(fd, &calling->to.any, calling->to.len);
			continue;
		}
		peer.len = sizeof(peer.v6);
		ret = getpeername(fd, &peer.any, &peer.len);
	}
	return ret ? -errno : (bench_cpu_ns() - before) / CALLS;
}

/* A fresh socket, as no connect() is its first one but the one that isn't timed. */
static int call_once(const struct calling *calling, double *ns, struct err *err)
{
	int type = SOCK_DGRAM | SOCK_CLOEXEC, ret = 0;
	int fd = socket(calling->to.any.sa_family, type, 0);

	if (fd < 0)
		return err_system(err, -errno, "open a socket");
	if (connect(fd, &calling->to.any, calling->to.len))
		ret = -errno;
	*ns = ret ? ret : call_many(calling, fd);
	if (*ns < 0)
		ret = err_system(err, (int)*ns, "%s", calling->def->path);
	(void)close(fd);
	return ret;
}

static int call_pair(struct hooks *hooks, const struct calling *calling, double *gross,
		     double *baseline, struct err *err)
{
	int ret;

	ret = call_once(calling, baseline, err);
	if (!ret)
		ret = calling->def->empty ? hooks_attach_empty(hooks, err)
					  : hooks_attach(hooks, err);
	if (!ret)
		ret = call_once(calling, gross, err);
	hooks_detach(hooks);
	return ret;
}

static int call_row(struct hooks *hooks, const struct calling *calling, uint32_t runs,
		    struct bench_row *row, struct err *err)
{
	double *gross = calloc(3ull * runs, sizeof(*gross)), *baseline, *net;
	uint32_t i;
	int ret = 0;

	if (!gross)
		return err_system(err, -ENOMEM, "measure %s", row->name);
	baseline = gross + runs;
	net = baseline + runs;
	for (i = 0; !ret && i < runs; i++) {
		ret = call_pair(hooks, calling, &gross[i], &baseline[i], err);
		net[i] = gross[i] - baseline[i];
	}
	if (!ret) {
		row->gross = bench_range_of(gross, runs);
		row->baseline = bench_range_of(baseline, runs);
		row->net = bench_range_of(net, runs);
	}
	free(gross);
	return ret;
}

static struct sh_addr addr_of(struct lab *lab, bool service)
{
	struct sh_addr addr = { 0 };

	if (service)
		return bench_service_addr(lab_options(lab), SIDE_UDP, 0, lab_v6(lab));
	(void)addr_parse(lab_v6(lab) ? BENCH_PLAIN6 : BENCH_PLAIN4, &addr);
	return addr;
}

static void call_name(const struct call_def *def, bool v6, struct bench_row *row)
{
	row->hook = OF_HOOK;
	row->family = v6 ? "ipv6" : "ipv4";
	row->path = def->path;
	(void)snprintf(row->name, sizeof(row->name), "%s/%s/%s", row->hook, row->family, row->path);
}

bool bench_wants_sockets(const struct bench_report *report, bool v6)
{
	struct bench_row row;
	size_t i;

	for (i = 0; i < N_CALLS; i++) {
		call_name(&calls[i], v6, &row);
		if (bench_wants(report, row.name))
			return true;
	}
	return false;
}

static int call_report(struct lab *lab, struct hooks *hooks, const struct call_def *def,
		       struct bench_report *report, struct err *err)
{
	const struct sh_addr addr = addr_of(lab, def->service);
	struct calling calling = { .def = def };
	struct bench_row row = { 0 };
	int ret;

	call_name(def, lab_v6(lab), &row);
	if (!bench_wants(report, row.name))
		return 0;
	calling.to = name_of(&addr, def->service ? BENCH_SERVICE_PORT : FAR_PORT);
	ret = call_row(hooks, &calling, lab_options(lab)->runs, &row, err);
	if (ret)
		return ret;
	if (!def->empty)
		row.target = (struct bench_target){ YARDSTICK_HASH, def->goal_ns / ACCESS_NS };
	row.yardstick_ns = bench_report_yardstick(report, "xdp", row.family, YARDSTICK_HASH);
	if (bench_report_row(report, &row))
		return err_system(err, -ENOMEM, "report on %s", row.name);
	return 0;
}

int bench_sockets(struct lab *lab, int cgroup_fd, struct bench_report *report, struct err *err)
{
	struct hooks hooks = { .cgroup_fd = cgroup_fd,
			       .lab = lab,
			       .dp = rig_dataplane(lab_rig(lab)) };
	size_t call;
	int i, ret = 0;

	for (i = 0; i < DP_PROG_COUNT; i++)
		hooks.link_fd[i] = -1;
	for (call = 0; !ret && call < N_CALLS; call++)
		ret = call_report(lab, &hooks, &calls[call], report, err);
	return ret;
}
