/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of flows: how they begin, are answered, end, are evicted; how
 * source ports are found; what a race leaves behind. Each test has a node and
 * a flow table of its own. Needs root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/world.h"

/* A row says what differs from zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TC_PASS	   (-1)
#define TC_SHOT	   2
#define HTTP_PORT  30080 /* nodePorts */
#define FAR_PORT   30081
#define OTHER_PORT 30090

struct family_names {
	const char *node, *client, *here, *here2, *far, *vip_http, *vip_far, *vip_other;
};

static const struct family_names names[2] = {
	{ "192.0.2.1", "198.51.100.7", "10.244.1.10", "10.244.1.11", "10.244.2.20", "10.96.0.10",
	  "10.96.0.20", "10.96.0.30" },
	{ "2001:db8::1", "2001:db8:c::7", "fd00:1::10", "fd00:1::11", "fd00:2::20",
	  "fd00:10:96::10", "fd00:10:96::20", "fd00:10:96::30" },
};

struct test {
	struct world world;
	uint8_t proto;
	bool v6;
	const struct family_names *name;
};

/* ---- packets ------------------------------------------------------------------ */

/* Both ends of a connection as its client sees them. */
struct ends {
	struct sh_addr client, virt;
	uint16_t sport, dport;
};

static struct packet packet_of(const struct test *t, const struct spec *from)
{
	struct spec spec = *from;
	struct packet packet;

	spec.proto = t->proto;
	spec.payload = 16;
	packet_build(&packet, &spec);
	return packet;
}

static struct packet from_client(const struct test *t, const struct ends *ends, uint8_t flags)
{
	return packet_of(t, &(struct spec){ .src = ends->client,
					    .dst = ends->virt,
					    .sport = ends->sport,
					    .dport = ends->dport,
					    .tcp_flags = flags });
}

static struct packet to_client(const struct test *t, const struct ends *ends, uint8_t flags)
{
	return packet_of(t, &(struct spec){ .src = ends->virt,
					    .dst = ends->client,
					    .sport = ends->dport,
					    .dport = ends->sport,
					    .tcp_flags = flags });
}

/* What the backend answers to @seen. */
static struct packet answer_to(const struct test *t, const struct packet *seen, uint8_t flags)
{
	struct parsed parsed;

	assert_true(packet_parse(seen, &parsed));
	return packet_of(t, &(struct spec){ .src = packet_addr(seen, &parsed, true),
					    .dst = packet_addr(seen, &parsed, false),
					    .sport = packet_get16(seen, parsed.l4 + 2),
					    .dport = packet_get16(seen, parsed.l4),
					    .tcp_flags = flags });
}

static struct ends ends_of(const struct test *t, uint16_t sport, uint16_t node_port)
{
	return (struct ends){ .client = addr_of(t->name->client),
			      .virt = addr_of(t->name->node),
			      .sport = sport,
			      .dport = node_port };
}

/* In at the uplink. */
static int send_in(const struct test *t, const struct packet *in, struct packet *out)
{
	return hook_run(&t->world, HOOK_INGRESS, t->world.eth0, in, out);
}

static int send_out(const struct test *t, const struct packet *in, struct packet *out)
{
	return hook_run(&t->world, HOOK_EGRESS, t->world.eth0, in, out);
}

static uint16_t sport_of(const struct packet *packet)
{
	struct parsed parsed;

	assert_true(packet_parse(packet, &parsed));
	return packet_get16(packet, parsed.l4);
}

static struct sh_addr dst_of(const struct packet *packet)
{
	struct parsed parsed;

	assert_true(packet_parse(packet, &parsed));
	return packet_addr(packet, &parsed, true);
}

/* Equal but for Ethernet and the time to live, both checksums right. */
static bool same_but_hop(const struct packet *a, const struct packet *b)
{
	struct packet x = *a, y = *b;
	struct parsed parsed;

	if (a->len != b->len || !packet_csums_hold(a) || !packet_csums_hold(b) ||
	    !packet_parse(&x, &parsed))
		return false;
	memcpy(x.b, y.b, 12);
	x.b[parsed.l3 + (parsed.v6 ? 7 : 8)] = y.b[parsed.l3 + (parsed.v6 ? 7 : 8)];
	packet_fix_csums(&x, &parsed);
	return packet_eq(&x, &y);
}

/* The backend's answer to @seen is for the client what the virtual address would say. */
static void check_reply(const struct test *t, const struct ends *ends, const struct packet *seen,
			bool snat)
{
	struct packet reply = answer_to(t, seen, TCP_SYN | TCP_ACK), out;
	struct packet want = to_client(t, ends, TCP_SYN | TCP_ACK);

	assert_int_equal(snat ? send_in(t, &reply, &out) : send_out(t, &reply, &out),
			 snat ? TC_ACT_REDIRECT : TC_PASS);
	assert_true(same_but_hop(&out, &want));
}

/* ---- the node -------------------------------------------------------------------- */

static struct wanted *services(const struct test *t, uint16_t n_here, uint16_t n_far)
{
	struct wanted *wanted = wanted_new();
	struct want_service *service;

	service = wanted_service(wanted, &(struct service_spec){ .name = "far",
								 .vip = t->name->vip_far,
								 .port = 80,
								 .node_port = FAR_PORT,
								 .proto = t->proto });
	wanted_backends(wanted, service,
			&(struct backends_spec){ .addr = t->name->far, .n = n_far, .port = 8080 });
	service = wanted_service(wanted, &(struct service_spec){ .name = "http",
								 .vip = t->name->vip_http,
								 .port = 80,
								 .node_port = HTTP_PORT,
								 .proto = t->proto });
	wanted_backends(wanted, service,
			&(struct backends_spec){
				.addr = t->name->here, .n = n_here, .port = 8080, .local = true });
	service = wanted_service(wanted, &(struct service_spec){ .name = "other",
								 .vip = t->name->vip_other,
								 .port = 80,
								 .node_port = OTHER_PORT,
								 .proto = t->proto });
	wanted_backends(wanted, service,
			&(struct backends_spec){
				.addr = t->name->here, .n = n_here, .port = 8080, .local = true });
	return wanted;
}

static void publish_services(struct test *t, uint16_t n_here, uint16_t n_far)
{
	struct wanted *wanted = services(t, n_here, n_far);
	struct publish_result result;

	publish(&t->world, wanted, &result);
	wanted_free(wanted);
}

/* Which family and protocol, and how large a table. */
struct variant {
	bool v6;
	uint8_t proto;
	uint32_t flows;
	uint16_t snat_min, snat_max;
};

static const struct variant tcp4 = { .proto = IPPROTO_TCP, .flows = 4096 };
static const struct variant tcp6 = { .v6 = true, .proto = IPPROTO_TCP, .flows = 4096 };
static const struct variant udp4 = { .proto = IPPROTO_UDP, .flows = 4096 };
static const struct variant udp6 = { .v6 = true, .proto = IPPROTO_UDP, .flows = 4096 };
static const struct variant small4 = { .proto = IPPROTO_TCP, .flows = 256 };
static const struct variant small6 = { .v6 = true, .proto = IPPROTO_TCP, .flows = 256 };
static const struct variant large4 = { .proto = IPPROTO_TCP, .flows = 65536 };
static const struct variant large6 = { .v6 = true, .proto = IPPROTO_TCP, .flows = 65536 };
static const struct variant few4 = {
	.proto = IPPROTO_TCP, .flows = 4096, .snat_min = 50000, .snat_max = 50003
};

static int setup(void **state)
{
	const struct variant *variant = *state;
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->v6 = variant->v6;
	t->proto = variant->proto;
	t->name = &names[variant->v6];
	world_network(&t->world);
	world_settings(&t->world);
	t->world.settings.max_flows4 = t->world.settings.max_flows6 = variant->flows;
	if (variant->snat_min) {
		t->world.settings.snat_min = variant->snat_min;
		t->world.settings.snat_max = variant->snat_max;
	}
	world_open(&t->world, DATAPLANE_SCRATCH);
	publish_services(t, 1, 1);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	world_close(&t->world);
	free(t);
	return 0;
}

/* ---- states ------------------------------------------------------------------------ */

/* A connection to a backend here, and its two entries. */
struct life {
	struct ends ends;
	struct packet seen;  /* the client's first packet as the backend saw it */
	struct packet reply; /* the backend's */
};

static struct sh_flow *forward_flow(const struct test *t, const struct life *life)
{
	struct packet packet = from_client(t, &life->ends, 0);

	return flow_of(&t->world, &packet, SH_INGRESS);
}

static struct sh_flow *reply_flow(const struct test *t, const struct life *life)
{
	return flow_of(&t->world, &life->reply, SH_EGRESS);
}

static enum sh_flow_state forward_state(const struct test *t, const struct life *life)
{
	struct sh_flow *flow = forward_flow(t, life);

	return flow ? state_of(&t->world, flow) : SH_FREE;
}

static enum sh_flow_state reply_state(const struct test *t, const struct life *life)
{
	struct sh_flow *flow = reply_flow(t, life);

	return flow ? state_of(&t->world, flow) : SH_FREE;
}

static void client_sends(const struct test *t, const struct life *life, uint8_t flags)
{
	struct packet in = from_client(t, &life->ends, flags), out;

	assert_int_equal(send_in(t, &in, &out), TC_PASS);
	assert_false(packet_eq(&in, &out));
	assert_true(packet_csums_hold(&out));
}

static void backend_sends(const struct test *t, const struct life *life, uint8_t flags)
{
	struct packet in = answer_to(t, &life->seen, flags), out;
	struct packet want = to_client(t, &life->ends, flags);

	assert_int_equal(send_out(t, &in, &out), TC_PASS);
	assert_true(packet_eq(&out, &want));
}

static void life_begin(const struct test *t, struct life *life, uint16_t sport)
{
	struct packet in;

	life->ends = ends_of(t, sport, HTTP_PORT);
	in = from_client(t, &life->ends, TCP_SYN);
	assert_int_equal(send_in(t, &in, &life->seen), TC_PASS);
	life->reply = answer_to(t, &life->seen, TCP_SYN | TCP_ACK);
}

static void life_answer(const struct test *t, const struct life *life)
{
	backend_sends(t, life, TCP_SYN | TCP_ACK);
}

static void syn_then_answer(void **state)
{
	struct test *t = *state;
	enum sh_flow_state live = t->proto == IPPROTO_UDP ? SH_LIVE_UDP : SH_LIVE;
	struct life life;

	life_begin(t, &life, 40000);
	assert_int_equal(forward_state(t, &life), SH_NEW);
	assert_int_equal(reply_state(t, &life), SH_NEW);
	life_answer(t, &life);
	assert_int_equal(forward_state(t, &life), live);
	assert_int_equal(reply_state(t, &life), live);
	client_sends(t, &life, TCP_ACK);
	assert_int_equal(forward_state(t, &life), live);
	assert_int_equal(reply_state(t, &life), live);
	assert_int_equal(connections_to(&t->world, NULL), 1);
}

static void both_fins_close(void **state)
{
	struct test *t = *state;
	struct life life;

	life_begin(t, &life, 40000);
	life_answer(t, &life);
	client_sends(t, &life, TCP_FIN | TCP_ACK);
	assert_int_equal(forward_state(t, &life), SH_HALF_CLOSED);
	assert_int_equal(reply_state(t, &life), SH_LIVE);
	backend_sends(t, &life, TCP_ACK);
	assert_int_equal(reply_state(t, &life), SH_LIVE);
	backend_sends(t, &life, TCP_FIN | TCP_ACK);
	assert_int_equal(forward_state(t, &life), SH_CLOSED);
	assert_int_equal(reply_state(t, &life), SH_CLOSED);
	/* The last ACK, and a FIN that was lost and comes again. */
	client_sends(t, &life, TCP_ACK);
	backend_sends(t, &life, TCP_FIN | TCP_ACK);
	assert_int_equal(forward_state(t, &life), SH_CLOSED);
	assert_int_equal(reply_state(t, &life), SH_CLOSED);
}

static void the_backends_fin_first(void **state)
{
	struct test *t = *state;
	struct life life;

	life_begin(t, &life, 40000);
	life_answer(t, &life);
	backend_sends(t, &life, TCP_FIN | TCP_ACK);
	assert_int_equal(reply_state(t, &life), SH_HALF_CLOSED);
	assert_int_equal(forward_state(t, &life), SH_LIVE);
	client_sends(t, &life, TCP_FIN | TCP_ACK);
	assert_int_equal(forward_state(t, &life), SH_CLOSED);
	assert_int_equal(reply_state(t, &life), SH_CLOSED);
}

static void a_reset_closes(void **state)
{
	struct test *t = *state;
	struct life life;

	life_begin(t, &life, 40000);
	life_answer(t, &life);
	client_sends(t, &life, TCP_RST);
	assert_int_equal(forward_state(t, &life), SH_CLOSED);
	assert_int_equal(reply_state(t, &life), SH_CLOSED);
	life_begin(t, &life, 40001);
	backend_sends(t, &life, TCP_RST | TCP_ACK); /* nobody listens there */
	assert_int_equal(forward_state(t, &life), SH_CLOSED);
	assert_int_equal(reply_state(t, &life), SH_CLOSED);
}

static void a_new_syn_begins_anew(void **state)
{
	struct test *t = *state;
	struct life life;

	life_begin(t, &life, 40000);
	life_answer(t, &life);
	client_sends(t, &life, TCP_FIN | TCP_ACK);
	backend_sends(t, &life, TCP_FIN | TCP_ACK);
	assert_int_equal(connections_to(&t->world, NULL), 1);
	life_begin(t, &life, 40000);
	assert_int_equal(connections_to(&t->world, NULL), 2);
	assert_int_equal(forward_state(t, &life), SH_NEW);
	assert_int_equal(reply_state(t, &life), SH_NEW);
	life_answer(t, &life);
	assert_int_equal(forward_state(t, &life), SH_LIVE);
	assert_int_equal(forward_flow(t, &life)->packets, 1);
}

static void a_repeated_syn_stays(void **state)
{
	struct test *t = *state;
	struct packet first;
	struct life life;

	publish_services(t, 8, 1);
	life_begin(t, &life, 40000);
	first = life.seen;
	life_begin(t, &life, 40000);
	assert_true(packet_eq(&first, &life.seen));
	life_answer(t, &life);
	life_begin(t, &life, 40000);
	assert_true(packet_eq(&first, &life.seen));
	assert_int_equal(forward_state(t, &life), SH_LIVE);
	assert_int_equal(connections_to(&t->world, NULL), 1);
	assert_int_equal(forward_flow(t, &life)->packets, 3);
}

/* ---- stamps --------------------------------------------------------------------------- */

/* As if the flow's last packet had been @stamps units of time ago. */
static void age(uint32_t *word, uint32_t stamps)
{
	uint32_t stamp = (*word - stamps) & SH_WORD_STAMP_MASK;

	*word = (*word & ~SH_WORD_STAMP_MASK) | stamp;
}

static void the_reverse_is_made_again(void **state)
{
	struct test *t = *state;
	enum sh_flow_state live = t->proto == IPPROTO_UDP ? SH_LIVE_UDP : SH_LIVE;
	struct life life;

	life_begin(t, &life, 40000);
	life_answer(t, &life);
	*word_of(&t->world, reply_flow(t, &life)) = 0;
	assert_null(reply_flow(t, &life));
	client_sends(t, &life, TCP_ACK); /* at most once in an interval */
	assert_null(reply_flow(t, &life));
	age(word_of(&t->world, forward_flow(t, &life)), 1);
	client_sends(t, &life, TCP_ACK);
	assert_non_null(reply_flow(t, &life));
	backend_sends(t, &life, TCP_ACK);
	assert_int_equal(reply_state(t, &life), live);
	assert_int_equal(connections_to(&t->world, NULL), 1);
}

static void the_forward_is_made_again(void **state)
{
	struct test *t = *state;
	struct packet again;
	struct life life;

	publish_services(t, 8, 1);
	life_begin(t, &life, 40000);
	life_answer(t, &life);
	*word_of(&t->world, forward_flow(t, &life)) = 0;
	age(word_of(&t->world, reply_flow(t, &life)), 1);
	backend_sends(t, &life, TCP_ACK);
	assert_non_null(forward_flow(t, &life));
	again = life.seen;
	life_begin(t, &life, 40000);
	assert_true(packet_eq(&again, &life.seen));
	assert_int_equal(connections_to(&t->world, NULL), 1);
}

static void a_packet_refreshes_both(void **state)
{
	struct test *t = *state;
	uint32_t *forward, *reply, now;
	struct life life;

	life_begin(t, &life, 40000);
	life_answer(t, &life);
	forward = word_of(&t->world, forward_flow(t, &life));
	reply = word_of(&t->world, reply_flow(t, &life));
	age(forward, 10);
	age(reply, 10);
	client_sends(t, &life, TCP_ACK);
	now = *forward & SH_WORD_STAMP_MASK;
	assert_int_equal(*reply & SH_WORD_STAMP_MASK, now);
	age(forward, 10);
	age(reply, 10);
	backend_sends(t, &life, TCP_ACK);
	assert_int_equal(*forward & SH_WORD_STAMP_MASK, *reply & SH_WORD_STAMP_MASK);
	assert_in_range(*forward & SH_WORD_STAMP_MASK, now, now + 1);
}

/* ---- a full table ------------------------------------------------------------------------ */

#define FILL_MAX 512

/* Connections that were answered, as many as the table takes. */
struct filled {
	struct life lives[FILL_MAX];
	size_t n, refused;
};

static uint32_t *words(const struct test *t)
{
	return t->world.dp->mem[t->v6 ? DP_MAP_TAGS6 : DP_MAP_TAGS4];
}

static size_t n_words(const struct test *t)
{
	return (size_t)t->world.dp->map_max[t->v6 ? DP_MAP_TAGS6 : DP_MAP_TAGS4] * SH_WAYS;
}

static enum sh_flow_state state_at(const struct test *t, size_t i)
{
	return (enum sh_flow_state)((words(t)[i] & SH_WORD_STATE_MASK) >> SH_WORD_STATE_SHIFT);
}

/* @return false: refused, and counted as the table's being full */
static bool try_life(const struct test *t, struct life *life, uint16_t sport)
{
	uint64_t full = drops_of(&t->world, SH_REASON_FLOW_TABLE_FULL);
	struct packet in;
	int code;

	life->ends = ends_of(t, sport, HTTP_PORT);
	in = from_client(t, &life->ends, TCP_SYN);
	code = send_in(t, &in, &life->seen);
	if (code == TC_ACT_SHOT) {
		assert_int_equal(drops_of(&t->world, SH_REASON_FLOW_TABLE_FULL), full + 1);
		return false;
	}
	assert_int_equal(code, TC_PASS);
	assert_false(packet_eq(&in, &life->seen));
	life->reply = answer_to(t, &life->seen, TCP_SYN | TCP_ACK);
	return true;
}

/* A source port; none comes twice (a bijection, Knuth's). */
static uint16_t scattered(uint16_t i)
{
	uint32_t x = i;

	x = (x ^ x >> 7) * 40503u & 0xffff;
	x = (x ^ x >> 9) * 30029u & 0xffff;
	return (uint16_t)(x ^ x >> 5);
}

/* @tries: of them as many as the table takes */
static struct filled *fill(const struct test *t, uint16_t tries)
{
	struct filled *filled = calloc(1, sizeof(*filled));

	assert_non_null(filled);
	for (uint16_t i = 0; i < tries; i++) {
		if (try_life(t, &filled->lives[filled->n], scattered(i)))
			life_answer(t, &filled->lives[filled->n++]);
		else
			filled->refused++;
	}
	return filled;
}

static void still_alike(const struct test *t, const struct filled *filled)
{
	for (size_t i = 0; i < filled->n; i++) {
		const struct life *life = &filled->lives[i];
		struct packet in = from_client(t, &life->ends, TCP_SYN), out;

		assert_int_equal(send_in(t, &in, &out), TC_PASS);
		assert_true(packet_eq(&out, &life->seen));
		backend_sends(t, life, TCP_ACK);
	}
}

/* Nothing that may go is left in any bucket. */
static void check_crowded(const struct test *t)
{
	size_t overflowed = 0, free_slots = 0;

	for (size_t i = 0; i < n_words(t); i++) {
		overflowed += i % SH_WAYS == 0 && words(t)[i] & SH_WORD_OVERFLOW;
		free_slots += state_at(t, i) == SH_FREE;
	}
	assert_true(overflowed > 0);
	assert_true(free_slots < n_words(t) / 10);
}

static void check_share_of_new(const struct test *t)
{
	for (size_t bucket = 0; bucket < n_words(t) / SH_WAYS; bucket++) {
		size_t unanswered = 0;

		for (size_t way = 0; way < SH_WAYS; way++)
			unanswered += state_at(t, bucket * SH_WAYS + way) == SH_NEW;
		assert_in_range(unanswered, 0, SH_WAYS / 4);
	}
}

/* xorshift64: the same numbers in every run. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void flood(const struct test *t, uint16_t tries)
{
	uint64_t seed = 42, full, connections, random;
	struct filled *filled = fill(t, tries);
	size_t passed = 0, refused = 0;
	struct packet in, out;
	struct ends ends;
	int code;

	if (tries == FILL_MAX)
		check_crowded(t);
	connections = connections_to(&t->world, NULL);
	full = drops_of(&t->world, SH_REASON_FLOW_TABLE_FULL);
	assert_int_equal(full, filled->refused);
	for (int i = 0; i < 100000; i++) {
		random = next_random(&seed);
		ends = ends_of(t, (uint16_t)random, HTTP_PORT);
		ends.client = addr_add(&ends.client, random >> 16 & 0xffffff);
		in = from_client(t, &ends, TCP_SYN);
		code = send_in(t, &in, &out);
		passed += code == TC_PASS && !packet_eq(&in, &out);
		refused += code == TC_ACT_SHOT;
	}
	assert_int_equal(passed + refused, 100000);
	assert_int_equal(drops_of(&t->world, SH_REASON_FLOW_TABLE_FULL), full + refused);
	assert_int_equal(drops_all(&t->world), full + refused);
	assert_in_range(connections_to(&t->world, NULL) - connections, passed / 2, passed);
	check_share_of_new(t);
	still_alike(t, filled);
	free(filled);
}

static void a_flood_evicts_no_answered_flow(void **state)
{
	flood(*state, FILL_MAX);
}

static void a_flood_in_a_table_half_full(void **state)
{
	flood(*state, 40);
	assert_int_equal(drops_all(&((struct test *)*state)->world), 0);
}

/* With a table to itself, a flood holds a quarter of each bucket and no more. */
static void a_flood_holds_a_quarter(void **state)
{
	struct test *t = *state;
	struct packet in, out;
	struct ends ends;

	for (int i = 0; i < 5000; i++) {
		ends = ends_of(t, (uint16_t)(1024 + i), HTTP_PORT);
		in = from_client(t, &ends, TCP_SYN);
		assert_int_equal(send_in(t, &in, &out), TC_PASS);
		assert_false(packet_eq(&in, &out));
	}
	check_share_of_new(t);
	assert_int_equal(drops_all(&t->world), 0);
}

/* Where no bucket has room left, an unanswered flow gives way to the next one. */
static void unanswered_flows_give_way(void **state)
{
	struct test *t = *state;
	struct filled *filled = fill(t, FILL_MAX);
	size_t accepted = 0;
	struct life life;

	/* All are answered but three of each bucket: fewer than the share of those. */
	for (size_t i = 0; i < n_words(t); i++)
		words(t)[i] = (words(t)[i] & ~SH_WORD_STATE_MASK) |
			      (i % SH_WAYS < 3 ? SH_NEW : SH_LIVE) << SH_WORD_STATE_SHIFT;
	for (uint16_t i = 0; i < 64; i++)
		accepted += try_life(t, &life, scattered((uint16_t)(FILL_MAX + i)));
	assert_int_equal(accepted, 64);
	check_share_of_new(t);
	free(filled);
}

/* A table full of flows of @flow_state, idle since @idle_since: is there room for one more? */
static bool has_room(const struct test *t, enum sh_flow_state flow_state, uint32_t idle_since)
{
	struct life life;

	for (size_t i = 0; i < n_words(t); i++) {
		words(t)[i] = (words(t)[i] & ~(SH_WORD_STATE_MASK | SH_WORD_STAMP_MASK)) |
			      (uint32_t)flow_state << SH_WORD_STATE_SHIFT |
			      (idle_since & SH_WORD_STAMP_MASK);
	}
	/* A port that had no flow yet. */
	return try_life(t, &life,
			scattered((uint16_t)(FILL_MAX + connections_to(&t->world, NULL))));
}

static void idle_flows_may_go(void **state)
{
	static const enum sh_flow_state states[] = { SH_LIVE, SH_LIVE_UDP, SH_HALF_CLOSED };
	struct test *t = *state;
	const struct sh_control *control = t->world.dp->mem[DP_MAP_CONTROL];
	struct filled *filled = fill(t, FILL_MAX);
	uint32_t now = *word_of(&t->world, forward_flow(t, &filled->lives[0])), expire;

	/* A stamp may pass while the test runs: stay clear of the very limit. */
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		expire = (uint32_t)control->config.expire[states[i]];
		assert_false(has_room(t, states[i], now - (expire - 2)));
		assert_true(has_room(t, states[i], now - (expire + 1)));
	}
	assert_true(has_room(t, SH_CLOSED, now));
	assert_true(has_room(t, SH_GONE, now));
	free(filled);
}

/* ---- source ports --------------------------------------------------------------------------- */

#define CLIENTS 1000

static struct ends nth_client(const struct test *t, uint16_t n, uint16_t sport)
{
	struct ends ends = ends_of(t, sport, FAR_PORT);
	struct sh_addr first = ends.client;

	ends.client = addr_add(&first, n);
	return ends;
}

static void clients_of_one_port(const struct test *t, uint16_t sport, uint16_t ports[CLIENTS])
{
	struct packet in, out;
	struct ends ends;

	for (uint16_t i = 0; i < CLIENTS; i++) {
		ends = nth_client(t, i, sport);
		in = from_client(t, &ends, TCP_SYN);
		assert_int_equal(send_in(t, &in, &out), TC_ACT_REDIRECT);
		assert_true(packet_csums_hold(&out));
		ports[i] = sport_of(&out);
		for (uint16_t j = 0; j < i; j++)
			assert_int_not_equal(ports[i], ports[j]);
		check_reply(t, &ends, &out, true);
	}
}

static void every_client_has_its_port(void **state)
{
	struct test *t = *state;
	uint16_t ports[CLIENTS];

	clients_of_one_port(t, 20000, ports);
	assert_int_equal(ports[0], 20000); /* nobody else had it, no socket takes it */
	for (int i = 1; i < CLIENTS; i++)
		assert_in_range(ports[i], t->world.settings.snat_min, t->world.settings.snat_max);
	assert_int_equal(connections_to(&t->world, NULL), CLIENTS);
}

static void sockets_ports_are_not_kept(void **state)
{
	struct test *t = *state;
	uint16_t ports[CLIENTS];

	clients_of_one_port(t, 40000, ports); /* in ip_local_port_range */
	for (int i = 0; i < CLIENTS; i++)
		assert_in_range(ports[i], t->world.settings.snat_min, t->world.settings.snat_max);
}

static void a_privileged_port_is_not_kept(void **state)
{
	struct test *t = *state;
	struct ends ends = nth_client(t, 0, 53);
	struct packet in = from_client(t, &ends, TCP_SYN), out;

	assert_int_equal(send_in(t, &in, &out), TC_ACT_REDIRECT);
	assert_in_range(sport_of(&out), t->world.settings.snat_min, t->world.settings.snat_max);
	check_reply(t, &ends, &out, true);
}

/* Four ports; drawing one at random may miss a free one, which is tried again. */
static void ports_run_out(void **state)
{
	struct test *t = *state;
	uint64_t drops, full;
	struct packet in, out;
	struct ends ends;
	uint16_t n = 0;
	int tries = 0;

	while (n < 4) {
		ends = nth_client(t, n, 40000);
		in = from_client(t, &ends, TCP_SYN);
		n += send_in(t, &in, &out) == TC_ACT_REDIRECT;
		assert_in_range(++tries, 1, 100);
	}
	drops = drops_of(&t->world, SH_REASON_SNAT_EXHAUSTED);
	full = drops_all(&t->world) - drops;
	ends = nth_client(t, 4, 40000);
	in = from_client(t, &ends, TCP_SYN);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_in(t, &in, &out), TC_ACT_SHOT);
	assert_int_equal(drops_of(&t->world, SH_REASON_SNAT_EXHAUSTED), drops + 3);
	assert_int_equal(drops_all(&t->world), drops + 3 + full);
	assert_null(flow_of(&t->world, &in, SH_INGRESS));
	/* A port outside of ip_local_port_range needs none of the four. */
	ends = nth_client(t, 5, 20000);
	in = from_client(t, &ends, TCP_SYN);
	assert_int_equal(send_in(t, &in, &out), TC_ACT_REDIRECT);
	assert_int_equal(sport_of(&out), 20000);
}

static void two_services_of_one_backend(void **state)
{
	struct test *t = *state;
	struct ends one = ends_of(t, 20000, HTTP_PORT), two = ends_of(t, 20000, OTHER_PORT);
	struct packet in = from_client(t, &one, TCP_SYN), seen_one, seen_two;

	assert_int_equal(send_in(t, &in, &seen_one), TC_PASS);
	assert_int_equal(sport_of(&seen_one), 20000);
	in = from_client(t, &two, TCP_SYN);
	assert_int_equal(send_in(t, &in, &seen_two), TC_PASS);
	assert_in_range(sport_of(&seen_two), t->world.settings.snat_min,
			t->world.settings.snat_max);
	check_reply(t, &two, &seen_two, false);
	check_reply(t, &one, &seen_one, false);
	check_reply(t, &two, &seen_two, false);
}

/* Forget the entry that the answer to @seen would find. */
static void lose_reply(const struct test *t, const struct packet *seen)
{
	struct packet reply = answer_to(t, seen, TCP_ACK);
	struct sh_flow *flow = flow_of(&t->world, &reply, SH_INGRESS);

	assert_non_null(flow);
	*word_of(&t->world, flow) = 0;
}

/* A flow whose reverse was evicted must not go on under what is another flow's now. */
static void a_lost_source_port_is_not_used(void **state)
{
	struct test *t = *state;
	struct ends one = nth_client(t, 0, 20000), two = nth_client(t, 1, 20000);
	struct packet in_one = from_client(t, &one, TCP_SYN), seen_one, seen_two;
	struct packet in_two = from_client(t, &two, TCP_SYN), rst = from_client(t, &one, TCP_RST);

	assert_int_equal(send_in(t, &in_one, &seen_one), TC_ACT_REDIRECT);
	lose_reply(t, &seen_one);
	assert_int_equal(send_in(t, &in_two, &seen_two), TC_ACT_REDIRECT);
	assert_int_equal(sport_of(&seen_one), 20000);
	assert_int_equal(sport_of(&seen_two), 20000);
	check_reply(t, &two, &seen_two, true);
	/* It finds another one. */
	assert_int_equal(send_in(t, &in_one, &seen_one), TC_ACT_REDIRECT);
	assert_int_not_equal(sport_of(&seen_one), 20000);
	check_reply(t, &one, &seen_one, true);
	check_reply(t, &two, &seen_two, true);
	/* Its end is its own. */
	assert_int_equal(send_in(t, &rst, &seen_one), TC_ACT_REDIRECT);
	assert_int_equal(state_of(&t->world, flow_of(&t->world, &in_two, SH_INGRESS)), SH_LIVE);
	check_reply(t, &two, &seen_two, true);
}

/* What the old connection's backend still sends says nothing about the new connection. */
static void the_old_backends_reset_is_not_the_new_ones(void **state)
{
	struct test *t = *state;
	struct wanted *wanted = services(t, 8, 1);
	struct publish_result result;
	struct life old, new;

	for (size_t i = 0; i < wanted->n_services; i++)
		wanted->services[i].algorithm = SH_RANDOM;
	publish(&t->world, wanted, &result);
	wanted_free(wanted);
	life_begin(t, &old, 40000);
	life_answer(t, &old);
	for (int i = 0; i < 100; i++) {
		client_sends(t, &old, TCP_RST);
		life_begin(t, &new, 40000);
		if (!packet_eq(&old.seen, &new.seen))
			break;
	}
	assert_false(packet_eq(&old.seen, &new.seen));
	life_answer(t, &new);
	backend_sends(t, &old, TCP_RST | TCP_ACK);
	assert_int_equal(forward_state(t, &new), SH_LIVE);
	assert_int_equal(reply_state(t, &new), SH_LIVE);
}

/* ---- backends that go ------------------------------------------------------------------------ */

static bool reaches(const struct test *t, const struct packet *seen, const char *addr)
{
	struct sh_addr dst = dst_of(seen), want = addr_of(addr);

	return addr_eq(&dst, &want);
}

/* A client's port whose connection goes to @addr; its flow is answered. */
static uint16_t life_to(const struct test *t, struct life *life, const char *addr)
{
	uint16_t sport;

	for (sport = 40000; sport < 40200; sport++) {
		life_begin(t, life, sport);
		life_answer(t, life);
		if (reaches(t, &life->seen, addr))
			return sport;
	}
	fail_msg("200 connections, none to %s", addr);
	return 0;
}

/* Two backends, a flow to each; the second goes. */
static void lose_one(struct test *t, struct life *stays, struct life *goes)
{
	struct publish_result result;
	struct wanted *wanted;

	publish_services(t, 2, 1);
	life_to(t, stays, t->name->here);
	life_to(t, goes, t->name->here2);
	wanted = services(t, 1, 1);
	publish(&t->world, wanted, &result);
	assert_int_equal(result.backends_removed, 2); /* http's and other's */
	assert_true(result.flows_ended >= 2);
	wanted_free(wanted);
	assert_int_equal(forward_state(t, goes), SH_GONE);
	assert_int_equal(reply_state(t, goes), SH_GONE);
}

static void udp_moves_at_once(void **state)
{
	struct life stays, goes, moved;
	struct test *t = *state;

	lose_one(t, &stays, &goes);
	client_sends(t, &stays, 0);
	life_begin(t, &moved, goes.ends.sport);
	assert_true(reaches(t, &moved.seen, t->name->here));
	life_answer(t, &moved);
	assert_int_equal(drops_all(&t->world), 0);
}

static void tcp_ends(void **state)
{
	struct life stays, goes, moved;
	struct test *t = *state;
	struct packet in, out;
	struct parsed parsed;

	lose_one(t, &stays, &goes);
	client_sends(t, &stays, TCP_ACK);
	backend_sends(t, &stays, TCP_ACK);
	in = from_client(t, &goes.ends, TCP_ACK);
	/* The packet is made into an RST: the kernel gives up skb->csum to cut it short. */
	t->world.csum_complete = false;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send_in(t, &in, &out), TC_ACT_REDIRECT);
		assert_true(packet_parse(&out, &parsed));
		assert_int_equal(out.b[parsed.l4 + 13], TCP_RST);
	}
	assert_int_equal(drops_of(&t->world, SH_REASON_BACKEND_GONE), 3);
	assert_int_equal(drops_all(&t->world), 3);
	life_begin(t, &moved, goes.ends.sport);
	assert_true(reaches(t, &moved.seen, t->name->here));
	life_answer(t, &moved);
	client_sends(t, &moved, TCP_ACK);
}

/* ---- races ----------------------------------------------------------------------------------- */

#define RACE_KEYS   48
#define RACE_ROUNDS 400

/* Two threads send the same first packets at once; both note what became of them. */
struct race {
	struct test *t;
	pthread_barrier_t barrier;
	uint16_t node_port;
	int round;
	size_t wrong, doubled, orphans, refused;
	struct racer {
		struct race *race;
		int cpu;
		pthread_t thread;
		int code[RACE_KEYS];
		struct packet out[RACE_KEYS];
	} racers[2];
};

static struct packet race_packet(const struct race *race, int key)
{
	struct ends ends = nth_client(race->t, (uint16_t)(race->round * RACE_KEYS + key), 40000);

	ends.dport = race->node_port;
	return from_client(race->t, &ends, TCP_SYN);
}

static void *racer_run(void *arg)
{
	struct racer *racer = arg;
	struct race *race = racer->race;
	struct packet packets[RACE_KEYS];
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(racer->cpu, &set);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	for (int round = 0; round < RACE_ROUNDS; round++) {
		(void)pthread_barrier_wait(&race->barrier);
		for (int i = 0; i < RACE_KEYS; i++)
			packets[i] = race_packet(race, i);
		(void)pthread_barrier_wait(&race->barrier);
		for (int i = 0; i < RACE_KEYS; i++)
			racer->code[i] = hook_try(&race->t->world, HOOK_INGRESS,
						  race->t->world.eth0, &packets[i], &racer->out[i]);
		(void)pthread_barrier_wait(&race->barrier);
	}
	return NULL;
}

/* What is wrong with what the two made of one key? The entry that stands now tells. */
static void check_key(struct race *race, int key)
{
	struct packet in = race_packet(race, key), now, reply, back, want;
	int code = race->node_port == FAR_PORT ? TC_ACT_REDIRECT : TC_PASS, got;
	bool snat = race->node_port == FAR_PORT;
	struct ends ends = nth_client(race->t, (uint16_t)(race->round * RACE_KEYS + key), 40000);

	ends.dport = race->node_port;
	if (hook_try(&race->t->world, HOOK_INGRESS, race->t->world.eth0, &in, &now) != code) {
		race->wrong++;
		return;
	}
	for (int i = 0; i < 2; i++) {
		if (race->racers[i].code[key] == TC_ACT_SHOT)
			race->refused++;
		else
			race->wrong += race->racers[i].code[key] != code ||
				       !packet_eq(&race->racers[i].out[key], &now);
	}
	reply = answer_to(race->t, &now, TCP_SYN | TCP_ACK);
	want = to_client(race->t, &ends, TCP_SYN | TCP_ACK);
	got = hook_try(&race->t->world, snat ? HOOK_INGRESS : HOOK_EGRESS, race->t->world.eth0,
		       &reply, &back);
	race->wrong += got != code || !same_but_hop(&back, &want);
}

/* Number of the round's key that the entry belongs to, by the client's address. */
static uint32_t key_of(const struct race *race, const struct sh_flow6 *flow)
{
	struct sh_addr first = nth_client(race->t, (uint16_t)(race->round * RACE_KEYS), 0).client;

	return ntohl(race->t->v6 ? flow->saddr.w[3] : flow->f.saddr) - ntohl(first.w[3]);
}

/* Two entries of one key; and a reply entry without its flow, which would hold a source port. */
static void check_table(struct race *race)
{
	size_t forward = 0, reply = 0, of_key[RACE_KEYS] = { 0 };
	const struct test *t = race->t;
	const struct sh_flow6 *flow;
	uint32_t key;

	for (size_t i = 0; i < n_words(t); i++) {
		if (state_at(t, i) < SH_NEW)
			continue;
		flow = t->v6 ? &((const struct sh_flow6 *)t->world.dp->mem[DP_MAP_FLOWS6])[i]
			     : (const void *)&(
				       (const struct sh_flow *)t->world.dp->mem[DP_MAP_FLOWS4])[i];
		if (flow->f.flags & SH_FLOW_REPLY) {
			reply++;
			continue;
		}
		forward++;
		key = key_of(race, flow);
		race->doubled += key < RACE_KEYS && of_key[key]++;
	}
	race->orphans += reply > forward ? reply - forward : forward - reply;
}

static void race_run(struct test *t, uint16_t node_port)
{
	struct race *race = calloc(1, sizeof(*race));

	assert_non_null(race);
	race->t = t;
	race->node_port = node_port;
	assert_int_equal(pthread_barrier_init(&race->barrier, NULL, 3), 0);
	for (int i = 0; i < 2; i++) {
		race->racers[i].race = race;
		race->racers[i].cpu = i;
		assert_int_equal(
			pthread_create(&race->racers[i].thread, NULL, racer_run, &race->racers[i]),
			0);
	}
	/* Nothing may fail the test here: the others would wait for ever. */
	for (race->round = 0; race->round < RACE_ROUNDS; race->round++) {
		flows_forget(&t->world);
		(void)pthread_barrier_wait(&race->barrier);
		(void)pthread_barrier_wait(&race->barrier);
		(void)pthread_barrier_wait(&race->barrier);
		check_table(race);
		for (int key = 0; key < RACE_KEYS; key++)
			check_key(race, key);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(race->racers[i].thread, NULL), 0);
	(void)pthread_barrier_destroy(&race->barrier);
	/* One who holds a slot may be held up himself, longer than the other waits. */
	if (race->wrong || race->doubled || race->orphans > race->refused ||
	    race->refused > RACE_ROUNDS * RACE_KEYS / 1000)
		fail_msg("of %d keys: %zu wrong, %zu doubled, %zu orphans, %zu refused",
			 RACE_ROUNDS * RACE_KEYS, race->wrong, race->doubled, race->orphans,
			 race->refused);
	assert_int_equal(drops_all(&t->world), race->refused);
	free(race);
}

static void races_to_a_backend_here(void **state)
{
	struct test *t = *state;
	struct wanted *wanted = services(t, 8, 1);
	struct publish_result result;

	for (size_t i = 0; i < wanted->n_services; i++)
		wanted->services[i].algorithm = SH_RANDOM; /* so that the two disagree */
	publish(&t->world, wanted, &result);
	wanted_free(wanted);
	race_run(t, HTTP_PORT);
}

static void races_to_a_backend_elsewhere(void **state)
{
	race_run(*state, FAR_PORT); /* each draws a source port of its own */
}

#define MOTION_PACKETS 30000

/* One direction of an answered flow; each of its packets makes the words look older again. */
struct mover {
	const struct test *t;
	enum hook hook;
	int cpu;
	pthread_t thread;
	struct packet in, want;
	uint32_t *words[2];
	size_t missed;
};

static void age_at_once(uint32_t *word_at)
{
	uint32_t word = __atomic_load_n(word_at, __ATOMIC_RELAXED), older;

	do {
		older = word;
		age(&older, 1);
	} while (!__atomic_compare_exchange_n(word_at, &word, older, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
}

static void *mover_run(void *arg)
{
	struct mover *mover = arg;
	struct packet out;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(mover->cpu, &set);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	for (int i = 0; i < MOTION_PACKETS; i++) {
		age_at_once(mover->words[0]);
		age_at_once(mover->words[1]);
		mover->missed += hook_try(&mover->t->world, mover->hook, mover->t->world.eth0,
					  &mover->in, &out) != TC_PASS ||
				 !packet_eq(&out, &mover->want);
	}
	return NULL;
}

/* The other direction's packet changes the word while this one's is being translated. */
static void a_flow_in_motion_is_not_missed(void **state)
{
	struct mover movers[2] = { { .hook = HOOK_INGRESS }, { .hook = HOOK_EGRESS, .cpu = 1 } };
	struct test *t = *state;
	struct life life;

	life_begin(t, &life, 40000);
	life_answer(t, &life);
	for (int i = 0; i < 2; i++) {
		movers[i].t = t;
		movers[i].in =
			i ? answer_to(t, &life.seen, TCP_ACK) : from_client(t, &life.ends, TCP_ACK);
		movers[i].words[0] = word_of(&t->world, forward_flow(t, &life));
		movers[i].words[1] = word_of(&t->world, reply_flow(t, &life));
		(void)hook_run(&t->world, movers[i].hook, t->world.eth0, &movers[i].in,
			       &movers[i].want);
		assert_false(packet_eq(&movers[i].in, &movers[i].want));
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&movers[i].thread, NULL, mover_run, &movers[i]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(movers[i].thread, NULL), 0);
	assert_int_equal(movers[0].missed, 0);
	assert_int_equal(movers[1].missed, 0);
	assert_int_equal(drops_all(&t->world), 0);
	assert_int_equal(connections_to(&t->world, NULL), 1);
}

/*
 * An IPv4 address that stands mapped in an IPv6 packet must not pass for IPv4,
 * should the prefilter let it through.
 */
static void a_mapped_address_is_malformed(void **state)
{
	static const unsigned char mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	struct test *t = *state;
	struct ends ends = ends_of(t, 40000, HTTP_PORT);
	struct packet in = from_client(t, &ends, TCP_SYN), out;
	const size_t source = 14 + 8, destination = 14 + 24;

	memset(t->world.dp->mem[DP_MAP_FILTER], 0xff, sizeof(struct sh_filter));
	memcpy(in.b + destination, mapped, sizeof(mapped));
	assert_int_equal(send_in(t, &in, &out), TC_SHOT);
	in = from_client(t, &ends, TCP_SYN);
	memcpy(in.b + source, mapped, sizeof(mapped));
	assert_int_equal(send_in(t, &in, &out), TC_SHOT);
	assert_int_equal(drops_of(&t->world, SH_REASON_MALFORMED), 2);
}

/* ---- main -------------------------------------------------------------------------------------- */

#define TEST(function, variant) \
	{ #function " (" #variant ")", function, setup, teardown, (void *)(uintptr_t)&(variant) }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(syn_then_answer, tcp4),
		TEST(syn_then_answer, tcp6),
		TEST(syn_then_answer, udp4),
		TEST(syn_then_answer, udp6),
		TEST(both_fins_close, tcp4),
		TEST(both_fins_close, tcp6),
		TEST(the_backends_fin_first, tcp4),
		TEST(the_backends_fin_first, tcp6),
		TEST(a_reset_closes, tcp4),
		TEST(a_reset_closes, tcp6),
		TEST(a_new_syn_begins_anew, tcp4),
		TEST(a_new_syn_begins_anew, tcp6),
		TEST(a_repeated_syn_stays, tcp4),
		TEST(a_repeated_syn_stays, tcp6),
		TEST(the_reverse_is_made_again, tcp4),
		TEST(the_reverse_is_made_again, tcp6),
		TEST(the_reverse_is_made_again, udp4),
		TEST(the_forward_is_made_again, tcp4),
		TEST(the_forward_is_made_again, tcp6),
		TEST(a_packet_refreshes_both, tcp4),
		TEST(a_packet_refreshes_both, udp6),
		TEST(a_flood_evicts_no_answered_flow, small4),
		TEST(a_flood_evicts_no_answered_flow, small6),
		TEST(a_flood_in_a_table_half_full, small4),
		TEST(a_flood_in_a_table_half_full, small6),
		TEST(a_flood_holds_a_quarter, small4),
		TEST(a_flood_holds_a_quarter, small6),
		TEST(unanswered_flows_give_way, small4),
		TEST(unanswered_flows_give_way, small6),
		TEST(idle_flows_may_go, small4),
		TEST(idle_flows_may_go, small6),
		TEST(every_client_has_its_port, large4),
		TEST(every_client_has_its_port, large6),
		TEST(sockets_ports_are_not_kept, large4),
		TEST(sockets_ports_are_not_kept, large6),
		TEST(a_privileged_port_is_not_kept, tcp4),
		TEST(ports_run_out, few4),
		TEST(two_services_of_one_backend, tcp4),
		TEST(two_services_of_one_backend, tcp6),
		TEST(two_services_of_one_backend, udp4),
		TEST(a_lost_source_port_is_not_used, tcp4),
		TEST(a_lost_source_port_is_not_used, tcp6),
		TEST(the_old_backends_reset_is_not_the_new_ones, tcp4),
		TEST(the_old_backends_reset_is_not_the_new_ones, tcp6),
		TEST(udp_moves_at_once, udp4),
		TEST(udp_moves_at_once, udp6),
		TEST(tcp_ends, tcp4),
		TEST(tcp_ends, tcp6),
		TEST(a_flow_in_motion_is_not_missed, tcp4),
		TEST(a_flow_in_motion_is_not_missed, tcp6),
		TEST(a_flow_in_motion_is_not_missed, udp4),
		TEST(a_mapped_address_is_malformed, tcp6),
		TEST(races_to_a_backend_here, large4),
		TEST(races_to_a_backend_here, large6),
		TEST(races_to_a_backend_elsewhere, large4),
		TEST(races_to_a_backend_elsewhere, large6),
	};

	return world_run_tests("flow table", tests, sizeof(tests) / sizeof(tests[0]));
}
