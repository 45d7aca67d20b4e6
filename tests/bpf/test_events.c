/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What packets tell to who listens: each kind of event, its contents, and when none is told. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/world.h"
#include "dataplane/listen.h"

#define EVENTS_MAX 64

struct heard {
	struct sh_event v[EVENTS_MAX];
	size_t n;
	struct sh_published publishes[8];
	size_t n_publishes;
};

static const char services[] =
	"apiVersion: v1\n"
	"kind: Service\n"
	"metadata: {name: shop, namespace: default}\n"
	"spec:\n"
	"  type: NodePort\n"
	"  ipFamilyPolicy: RequireDualStack\n"
	"  clusterIP: 10.96.0.10\n"
	"  clusterIPs: [10.96.0.10, 'fd00:10:96::10']\n"
	"  ports: [{port: 80, nodePort: 30080, targetPort: 8080}]\n"
	"---\n"
	"apiVersion: discovery.k8s.io/v1\n"
	"kind: EndpointSlice\n"
	"metadata: {name: shop-4, labels: {kubernetes.io/service-name: shop}}\n"
	"addressType: IPv4\n"
	"ports: [{port: 8080}]\n"
	"endpoints: [{addresses: [10.244.1.20], nodeName: node-1}]\n"
	"---\n"
	"apiVersion: discovery.k8s.io/v1\n"
	"kind: EndpointSlice\n"
	"metadata: {name: shop-6, labels: {kubernetes.io/service-name: shop}}\n"
	"addressType: IPv6\n"
	"ports: [{port: 8080}]\n"
	"endpoints: [{addresses: ['fd00:1::20'], nodeName: node-1}]\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: Service\n"
	"metadata: {name: empty}\n"
	"spec:\n"
	"  ipFamilyPolicy: RequireDualStack\n"
	"  clusterIP: 10.96.0.11\n"
	"  clusterIPs: [10.96.0.11, 'fd00:10:96::11']\n"
	"  ports: [{port: 80}]\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: Service\n"
	"metadata: {name: away}\n"
	"spec:\n"
	"  type: NodePort\n"
	"  externalTrafficPolicy: Local\n"
	"  sessionAffinity: ClientIP\n"
	"  clusterIP: 10.96.0.12\n"
	"  ports: [{port: 80, nodePort: 30081, targetPort: 8080}]\n"
	"---\n"
	"apiVersion: discovery.k8s.io/v1\n"
	"kind: EndpointSlice\n"
	"metadata: {name: away-4, labels: {kubernetes.io/service-name: away}}\n"
	"addressType: IPv4\n"
	"ports: [{port: 8080}]\n"
	"endpoints: [{addresses: [10.244.2.20], nodeName: node-2}]\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: Service\n"
	"metadata: {name: fenced}\n"
	"spec:\n"
	"  type: LoadBalancer\n"
	"  clusterIP: 10.96.0.13\n"
	"  externalIPs: [198.51.100.80]\n"
	"  loadBalancerSourceRanges: [192.0.2.0/24]\n"
	"  ports: [{port: 80, nodePort: 30083, targetPort: 8080}]\n"
	"status: {loadBalancer: {ingress: [{ip: 198.51.100.81}]}}\n"
	"---\n"
	"apiVersion: discovery.k8s.io/v1\n"
	"kind: EndpointSlice\n"
	"metadata: {name: fenced-4, labels: {kubernetes.io/service-name: fenced}}\n"
	"addressType: IPv4\n"
	"ports: [{port: 8080}]\n"
	"endpoints: [{addresses: [10.244.2.21], nodeName: node-2}]\n";

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world_scene(world, services);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

static int on_event(const struct sh_event *event, void *arg)
{
	struct heard *heard = arg;

	if (heard->n < EVENTS_MAX)
		heard->v[heard->n] = *event;
	heard->n++;
	return 0;
}

static int on_published(const struct sh_published *publish, void *arg)
{
	struct heard *heard = arg;

	if (heard->n_publishes < 8)
		heard->publishes[heard->n_publishes] = *publish;
	heard->n_publishes++;
	return 0;
}

static struct listener *listen_as(struct world *world, struct heard *heard,
				  const struct listen_options *options)
{
	const struct listen_sink sink = { on_event, on_published, heard };
	struct err err = { .msg = "" };
	struct listener *listener;

	memset(heard, 0, sizeof(*heard));
	if (listener_new(&listener, world->dp, options, &sink, &err))
		fail_msg("%s", err.msg);
	return listener;
}

static struct listener *listen_to(struct world *world, struct heard *heard, uint32_t kinds)
{
	const struct listen_options options = { .kinds = kinds, .reasons = ~0ull, .rate = 10000 };

	return listen_as(world, heard, &options);
}

static uint32_t any(const struct world *world)
{
	return ((const struct sh_listeners *)world->dp->mem[DP_MAP_LISTENERS])->any & 0xff;
}

/* @return the one event that is there */
static const struct sh_event *the_one(struct listener *listener, struct heard *heard)
{
	heard->n = 0;
	assert_int_equal(listener_poll(listener, 0), 0);
	if (heard->n != 1)
		fail_msg("%zu events instead of one; the first is a %s", heard->n,
			 heard->n ? event_word((enum sh_event_kind)heard->v[0].kind) : "?");
	return &heard->v[0];
}

/* ---- packets ----------------------------------------------------------------- */

struct from {
	enum hook hook;
	const char *src, *dst;
	uint16_t sport, dport;
	uint8_t flags, proto;
	uint8_t ttl;
};

static int send_from(const struct world *world, const struct from *from)
{
	bool pod = from->hook != HOOK_XDP && !strncmp(from->src, "10.244.1.", 9);
	struct packet in, out;

	packet_build(&in, &(struct spec){ .src = addr_of(from->src),
					  .dst = addr_of(from->dst),
					  .sport = from->sport,
					  .dport = from->dport,
					  .proto = from->proto ? from->proto : IPPROTO_TCP,
					  .tcp_flags = from->flags,
					  .ttl = from->ttl,
					  .dmac = pod ? MAC_POD1 : MAC_ETH0,
					  .smac = MAC_GATEWAY });
	return hook_run(world, from->hook, pod ? world->pod1 : world->eth0, &in, &out);
}

static void end_is(const struct sh_addr *addr, __be16 port, const char *text, uint16_t want)
{
	struct sh_addr wanted = addr_of(text);
	char got[ADDR_PORT_STRLEN];

	if (!addr_eq(addr, &wanted) || ntohs(port) != want)
		fail_msg("%s instead of %s:%u", addr_port_format(addr, port, got), text, want);
}

static void service_is(const struct world *world, uint32_t id, const char *name)
{
	struct sh_meta meta;

	if (!name) {
		assert_int_equal(id, 0);
		return;
	}
	assert_true(dataplane_meta(world->dp, SH_META_SERVICE, id, &meta));
	assert_string_equal(meta.service.name, name);
}

/* ---- flows ---------------------------------------------------------------------- */

struct flow_case {
	const char *name;
	enum hook hook;
	enum sh_hook as;
	const char *src, *virt, *backend;
};

static const struct flow_case flow_cases[] = {
	{ "IPv4 on TC", HOOK_INGRESS, SH_HOOK_INGRESS, "198.51.100.7", "10.96.0.10",
	  "10.244.1.20" },
	{ "IPv6 on TC", HOOK_INGRESS, SH_HOOK_INGRESS, "2001:db8:9::7", "fd00:10:96::10",
	  "fd00:1::20" },
	{ "IPv4 on XDP", HOOK_XDP, SH_HOOK_XDP, "198.51.100.8", "10.96.0.10", "10.244.1.20" },
	{ "IPv6 on XDP", HOOK_XDP, SH_HOOK_XDP, "2001:db8:9::8", "fd00:10:96::10", "fd00:1::20" },
};

static void run_flow(struct world *world, const struct flow_case *c)
{
	struct from from = { c->hook, c->src, c->virt, 40000, 80, TCP_SYN, 0, 0 };
	const struct sh_event *event;
	struct heard heard;
	struct listener *listener = listen_to(world, &heard, SH_EVENT_KINDS);

	(void)send_from(world, &from);
	event = the_one(listener, &heard);
	assert_int_equal(event->kind, SH_EVENT_NEW);
	assert_int_equal(event->hook, c->as);
	assert_int_equal(event->ifindex, world->eth0);
	assert_int_equal(event->proto, IPPROTO_TCP);
	assert_int_equal(event->flags, SH_EVENT_TRANSLATED);
	assert_int_equal(event->reason, 0);
	assert_string_equal(event_file((enum sh_file)event->file), "bind.h");
	assert_true(event->line > 0 && event->ns > 0);
	end_is(&event->src, event->sport, c->src, 40000);
	end_is(&event->dst, event->dport, c->virt, 80);
	end_is(&event->to_dst, event->to_dport, c->backend, 8080);
	service_is(world, event->service, "shop");
	assert_int_not_equal(event->backend, 0);
	/* The same packet again makes no flow. */
	(void)send_from(world, &from);
	heard.n = 0;
	assert_int_equal(listener_poll(listener, 0), 0);
	assert_int_equal(heard.n, 0);
	/* An RST ends it. */
	from.flags = TCP_RST;
	(void)send_from(world, &from);
	event = the_one(listener, &heard);
	assert_int_equal(event->kind, SH_EVENT_CLOSED);
	end_is(&event->src, event->sport, c->src, 40000);
	service_is(world, event->service, "shop");
	listener_free(listener);
}

static void test_flows(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(flow_cases) / sizeof(flow_cases[0]); i++) {
		print_message("%s\n", flow_cases[i].name);
		run_flow(*state, &flow_cases[i]);
	}
}

/* The answer's FIN and the client's: told when the last of them comes, by its direction. */
static void test_closed_by_reply(void **state)
{
	struct from from = {
		HOOK_INGRESS, "198.51.100.9", "192.0.2.1", 40000, 30080, TCP_SYN, 0, 0
	};
	struct from reply = {
		HOOK_EGRESS, "10.244.1.20", "198.51.100.9", 8080, 40000, TCP_SYN | TCP_ACK, 0, 0
	};
	const struct sh_event *event;
	struct world *world = *state;
	struct listener *listener;
	struct heard heard;

	listener = listen_to(world, &heard, 1u << SH_EVENT_CLOSED);
	(void)send_from(world, &from);
	(void)send_from(world, &reply);
	from.flags = TCP_FIN | TCP_ACK;
	(void)send_from(world, &from);
	assert_int_equal(listener_poll(listener, 0), 0);
	assert_int_equal(heard.n, 0);
	reply.flags = TCP_FIN | TCP_ACK;
	(void)send_from(world, &reply);
	event = the_one(listener, &heard);
	assert_int_equal(event->hook, SH_HOOK_EGRESS);
	assert_int_equal(event->flags, SH_EVENT_TRANSLATED | SH_EVENT_REPLY);
	end_is(&event->src, event->sport, "10.244.1.20", 8080);
	end_is(&event->to_src, event->to_sport, "192.0.2.1", 30080);
	end_is(&event->to_dst, event->to_dport, "198.51.100.9", 40000);
	service_is(world, event->service, "shop");
	listener_free(listener);
}

/* ---- drops ---------------------------------------------------------------------- */

struct drop_case {
	const char *name;
	struct from from;
	enum sh_event_kind kind;
	enum sh_reason reason;
	const char *service, *file;
};

static const struct drop_case drop_cases[] = {
	{ "nobody there, IPv4",
	  { HOOK_INGRESS, "198.51.100.7", "10.96.0.11", 40000, 80, TCP_SYN, 0, 0 },
	  SH_EVENT_REJECT,
	  SH_REASON_NO_BACKEND,
	  "empty",
	  "frontend.h" },
	{ "nobody there, IPv6",
	  { HOOK_INGRESS, "2001:db8:9::7", "fd00:10:96::11", 40000, 80, TCP_SYN, 0, 0 },
	  SH_EVENT_REJECT,
	  SH_REASON_NO_BACKEND,
	  "empty",
	  "frontend.h" },
	{ "a port that the Service has not",
	  { HOOK_INGRESS, "198.51.100.7", "10.96.0.10", 40000, 81, 0, IPPROTO_UDP, 0 },
	  SH_EVENT_REJECT,
	  SH_REASON_UNKNOWN_PORT,
	  "shop",
	  "frontend.h" },
	{ "an address of the Service CIDR that nobody has",
	  { HOOK_INGRESS, "198.51.100.7", "10.96.200.1", 40000, 80, TCP_SYN, 0, 0 },
	  SH_EVENT_DROP,
	  SH_REASON_UNALLOCATED,
	  NULL,
	  "frontend.h" },
	{ "policy Local and nobody here",
	  { HOOK_INGRESS, "198.51.100.7", "192.0.2.1", 40000, 30081, TCP_SYN, 0, 0 },
	  SH_EVENT_DROP,
	  SH_REASON_NO_LOCAL,
	  "away",
	  "frontend.h" },
	{ "the same on XDP",
	  { HOOK_XDP, "198.51.100.7", "192.0.2.1", 40000, 30081, TCP_SYN, 0, 0 },
	  SH_EVENT_DROP,
	  SH_REASON_NO_LOCAL,
	  "away",
	  "frontend.h" },
	{ "a client that is not let in",
	  { HOOK_INGRESS, "198.51.100.7", "198.51.100.81", 40000, 80, TCP_SYN, 0, 0 },
	  SH_EVENT_DROP,
	  SH_REASON_SOURCE_RANGE,
	  "fenced",
	  "frontend.h" },
};

static void run_drop(struct world *world, const struct drop_case *c)
{
	uint64_t before = drops_of(world, c->reason);
	const struct sh_event *event;
	struct heard heard;
	struct listener *listener = listen_to(world, &heard, SH_EVENT_KINDS);

	(void)send_from(world, &c->from);
	assert_int_equal(drops_of(world, c->reason), before + 1);
	event = the_one(listener, &heard);
	assert_int_equal(event->kind, c->kind);
	assert_int_equal(event->reason, c->reason);
	assert_int_equal(event->hook, c->from.hook == HOOK_XDP ? SH_HOOK_XDP : SH_HOOK_INGRESS);
	assert_int_equal(event->ifindex, world->eth0);
	assert_string_equal(event_file((enum sh_file)event->file), c->file);
	assert_true(event->line > 0);
	assert_int_equal(event->flags & SH_EVENT_TRANSLATED, 0);
	end_is(&event->src, event->sport, c->from.src, c->from.sport);
	end_is(&event->dst, event->dport, c->from.dst, c->from.dport);
	service_is(world, event->service, c->service);
	listener_free(listener);
}

static void test_drops(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(drop_cases) / sizeof(drop_cases[0]); i++) {
		print_message("%s\n", drop_cases[i].name);
		run_drop(*state, &drop_cases[i]);
	}
}

/* Of a flow that is known: both what it was and what it would have become. */
static void test_drop_of_flow(void **state)
{
	struct from from = { HOOK_INGRESS, "198.51.100.7", "10.96.0.12", 40000, 80, TCP_SYN, 0, 1 };
	const struct sh_event *event;
	struct world *world = *state;
	struct listener *listener;
	struct heard heard;

	listener = listen_to(world, &heard, 1u << SH_EVENT_DROP);
	(void)send_from(world, &from);
	event = the_one(listener, &heard);
	assert_int_equal(event->reason, SH_REASON_TTL);
	assert_string_equal(event_file((enum sh_file)event->file), "datapath.h");
	assert_int_equal(event->flags, SH_EVENT_TRANSLATED);
	end_is(&event->dst, event->dport, "10.96.0.12", 80);
	end_is(&event->to_src, event->to_sport, "192.0.2.1", ntohs(event->to_sport));
	end_is(&event->to_dst, event->to_dport, "10.244.2.20", 8080);
	service_is(world, event->service, "away");
	listener_free(listener);
}

static void test_affinity(void **state)
{
	struct from from = {
		HOOK_INGRESS, "198.51.100.20", "10.96.0.12", 40000, 80, TCP_SYN, 0, 0
	};
	const struct sh_event *event;
	struct world *world = *state;
	struct listener *listener;
	struct heard heard;
	struct sh_addr addr;
	__be16 port;

	listener = listen_to(world, &heard, 1u << SH_EVENT_AFFINITY);
	(void)send_from(world, &from);
	event = the_one(listener, &heard);
	assert_int_equal(event->kind, SH_EVENT_AFFINITY);
	assert_int_equal(event->flags, 0);
	service_is(world, event->service, "away");
	assert_true(dataplane_backend_addr(world->dp, event->backend, &addr, &port));
	end_is(&addr, port, "10.244.2.20", 8080);
	from.sport++;
	(void)send_from(world, &from);
	event = the_one(listener, &heard);
	assert_int_equal(event->flags, SH_EVENT_KEPT);
	end_is(&event->src, event->sport, "198.51.100.20", 40001);
	listener_free(listener);
}

/* ---- who listens --------------------------------------------------------------------- */

static const struct from unallocated = {
	HOOK_INGRESS, "198.51.100.7", "10.96.200.1", 40000, 80, TCP_SYN, 0, 0
};
static const struct from rejected = {
	HOOK_INGRESS, "198.51.100.7", "10.96.0.11", 40000, 80, TCP_SYN, 0, 0
};

static void test_nobody(void **state)
{
	struct world *world = *state;
	struct heard heard, other;
	struct listener *listener;

	assert_int_equal(any(world), 0);
	(void)send_from(world, &unallocated);
	listener = listen_to(world, &heard, 1u << SH_EVENT_NEW);
	assert_int_equal(any(world), 1u << SH_EVENT_NEW);
	(void)send_from(world, &unallocated);
	(void)send_from(world, &rejected);
	assert_int_equal(listener_poll(listener, 0), 0);
	assert_int_equal(heard.n, 0);
	listener_free(listener);
	assert_int_equal(any(world), 0);
	/* What was before, and what another asks for, is not for this one. */
	listener = listen_as(world, &heard,
			     &(struct listen_options){ .kinds = SH_EVENT_KINDS,
						       .reasons = 1ull << SH_REASON_NO_BACKEND,
						       .rate = 1000 });
	struct listener *second = listen_to(world, &other, 1u << SH_EVENT_DROP);

	(void)send_from(world, &unallocated);
	(void)send_from(world, &rejected);
	assert_int_equal(the_one(listener, &heard)->reason, SH_REASON_NO_BACKEND);
	assert_int_equal(the_one(second, &other)->reason, SH_REASON_UNALLOCATED);
	listener_free(listener);
	assert_int_equal(any(world), 1u << SH_EVENT_DROP);
	listener_free(second);
	assert_int_equal(any(world), 0);
}

static void test_rate(void **state)
{
	struct world *world = *state;
	struct listen_lost lost;
	struct listener *listener;
	struct heard heard;
	int i;

	listener = listen_as(
		world, &heard,
		&(struct listen_options){ .kinds = SH_EVENT_KINDS, .reasons = ~0ull, .rate = 7 });
	for (i = 0; i < 40; i++)
		(void)send_from(world, &unallocated);
	assert_int_equal(listener_poll(listener, 0), 0);
	assert_int_equal(listener_lost(listener, &lost, NULL), 0);
	/* Of each CPU, and another one where the second goes on meanwhile. */
	assert_in_range(heard.n, 7, 7 * 4);
	assert_int_equal(lost.limited + heard.n, 40);
	assert_int_equal(lost.overflow, 0);
	listener_free(listener);
	/* The next one begins with nothing lost. */
	listener = listen_to(world, &heard, SH_EVENT_KINDS);
	assert_int_equal(listener_lost(listener, &lost, NULL), 0);
	assert_int_equal(lost.limited, 0);
	listener_free(listener);
}

static void test_overflow(void **state)
{
	const size_t sent = SH_EVENT_BUFFER_BYTES / (sizeof(struct sh_event) + 8) + 100;
	struct world *world = *state;
	struct listen_lost lost;
	struct listener *listener;
	struct heard heard;
	size_t i;

	listener = listen_as(world, &heard,
			     &(struct listen_options){
				     .kinds = SH_EVENT_KINDS, .reasons = ~0ull, .rate = 1000000 });
	for (i = 0; i < sent; i++)
		(void)send_from(world, &unallocated);
	assert_int_equal(listener_poll(listener, 0), 0);
	assert_int_equal(listener_lost(listener, &lost, NULL), 0);
	assert_true(lost.overflow >= 100 && lost.overflow < 200);
	assert_int_equal(lost.overflow + heard.n, sent);
	listener_free(listener);
}

static void test_places(void **state)
{
	struct listener *listener[SH_LISTENERS_MAX], *one_more = NULL;
	const struct listen_options options = { .kinds = 2, .reasons = ~0ull, .rate = 1 };
	struct heard heard[SH_LISTENERS_MAX];
	struct err err = { .msg = "" };
	struct world *world = *state;
	size_t i;

	for (i = 0; i < SH_LISTENERS_MAX; i++)
		listener[i] = listen_as(world, &heard[i], &options);
	assert_int_equal(listener_new(&one_more, world->dp, &options,
				      &(struct listen_sink){ on_event, on_published, &heard[0] },
				      &err),
			 -EUSERS);
	assert_non_null(strstr(err.msg, "SH_LISTENERS_MAX"));
	assert_null(one_more);
	for (i = 0; i < SH_LISTENERS_MAX; i++)
		listener_free(listener[i]);
	assert_int_equal(any(world), 0);
}

/* Killed: what he left is there, and his last sign of life is long ago. */
static void test_killed(void **state)
{
	struct world *world = *state;
	struct sh_listeners *all = world->dp->mem[DP_MAP_LISTENERS];
	const struct sh_control *control = world->dp->mem[DP_MAP_CONTROL];
	struct listener *listener;
	struct heard heard;

	listener = listen_to(world, &heard, SH_EVENT_KINDS);
	all->v[0].beat -= (SH_LISTENER_EXPIRES_S + 1) * control->config.hz;
	(void)send_from(world, &unallocated);
	assert_int_equal(any(world), 0);
	assert_int_equal(all->v[0].kinds, 0);
	/* He was only slow: his next sign of life puts him back. */
	assert_int_equal(listener_poll(listener, 0), 0);
	assert_int_equal(heard.n, 0);
	(void)send_from(world, &unallocated);
	assert_int_equal(the_one(listener, &heard)->reason, SH_REASON_UNALLOCATED);
	/* Another has the place by now: he may not touch it. */
	all->v[0].owner++;
	assert_int_equal(listener_poll(listener, 0), -ESTALE);
	listener_free(listener);
	assert_int_not_equal(all->v[0].owner, 0);
	assert_int_not_equal(any(world), 0);
}

static void test_publishes(void **state)
{
	struct world *world = *state;
	struct publish_result result = { .services_added = 1 };
	struct listen_lost lost;
	struct listener *listener;
	struct heard heard;
	int i;

	listener = listen_to(world, &heard, 1u << SH_EVENT_PUBLISH);
	assert_int_equal(listener_poll(listener, 0), 0);
	assert_int_equal(heard.n_publishes, 0); /* that of setup was before */
	publish_yaml(world, services);
	assert_int_equal(listener_poll(listener, 0), 0);
	assert_int_equal(heard.n_publishes, 0); /* nothing has changed */
	publish_yaml(world, "");
	assert_int_equal(listener_poll(listener, 0), 0);
	assert_int_equal(heard.n_publishes, 1);
	assert_int_equal(heard.publishes[0].services_removed, 6);
	assert_int_equal(heard.publishes[0].backends_removed, 4);
	for (i = 0; i < SH_PUBLISHED_MAX + 9; i++) {
		result.services_added = (size_t)i;
		listen_published(world->dp, &result);
	}
	heard.n_publishes = 0;
	assert_int_equal(listener_poll(listener, 0), 0);
	assert_int_equal(listener_lost(listener, &lost, NULL), 0);
	/* The first of them was no change. */
	assert_int_equal(lost.published + heard.n_publishes, SH_PUBLISHED_MAX + 8);
	assert_int_equal(heard.n_publishes, SH_PUBLISHED_MAX - 1);
	listener_free(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_by_reply, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop_of_flow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_affinity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overflow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_publishes, setup, teardown),
	};

	return world_run_tests("events", tests, sizeof(tests) / sizeof(tests[0]));
}
