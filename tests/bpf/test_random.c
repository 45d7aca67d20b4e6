/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What holds for every packet, whole, odd, damaged or cut short, at every
 * hook: untranslated it is untouched; translated it differs in addresses,
 * ports and checksums alone (and, forwarded, in its time to live and Ethernet
 * header), its checksums are as right as they were, and the answer to it is
 * translated back. TEST_SEED=N runs another sequence. Needs root.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/icmp_error.h"
#include "bpf/world.h"

/* A row says what differs from zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define PACKETS	     200000
#define DEFAULT_SEED 20240607
#define TC_PASS	     (-1)
#define LEN(a)	     (sizeof(a) / sizeof((a)[0]))

/* ---- chance ------------------------------------------------------------------- */

struct chance {
	uint64_t state;
};

/* splitmix64 */
static uint64_t draw(struct chance *chance)
{
	uint64_t x = chance->state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static size_t below(struct chance *chance, size_t n)
{
	return (size_t)(draw(chance) % n);
}

static bool one_in(struct chance *chance, size_t n)
{
	return below(chance, n) == 0;
}

/* ---- the scene ------------------------------------------------------------------ */

static const char *const addrs[2][18] = {
	{ "198.51.100.7", "198.51.100.8", "203.0.113.9", "192.0.2.1", "192.0.3.1", "10.244.1.99",
	  "10.96.0.10", "10.96.0.20", "10.96.0.30", "10.96.0.40", "10.96.77.77", "10.244.1.10",
	  "10.244.1.11", "10.244.1.12", "10.244.2.20", "10.244.2.21", "10.244.3.30",
	  "10.244.4.40" },
	{ "2001:db8:c::7", "2001:db8:c::8", "2001:db8:d::9", "2001:db8::1", "2001:db8:3::1",
	  "fd00:1::99", "fd00:10:96::10", "fd00:10:96::20", "fd00:10:96::30", "fd00:10:96::40",
	  "fd00:10:96::7777", "fd00:1::10", "fd00:1::11", "fd00:1::12", "fd00:2::20", "fd00:2::21",
	  "fd00:3::30", "fd00:4::40" },
};

static const uint16_t ports[] = { 80, 8080, 30080, 30081, 30082, 30083 };

static void add_service(struct wanted *wanted, bool v6, uint8_t proto, int nr)
{
	/* Where the backends are: three here, two at node-2, one at node-3, one unheard of. */
	static const uint16_t n_backends[] = { 3, 2, 1, 1 };
	static const int first[] = { 11, 14, 16, 17 };
	char name[16];
	struct want_service *service;

	(void)snprintf(name, sizeof(name), "s%d", nr);
	service =
		wanted_service(wanted, &(struct service_spec){ .name = name,
							       .vip = addrs[v6][6 + nr],
							       .port = 80,
							       .node_port = (uint16_t)(30080 + nr),
							       .proto = proto });
	wanted_backends(wanted, service,
			&(struct backends_spec){ .addr = addrs[v6][first[nr]],
						 .n = n_backends[nr],
						 .port = 8080,
						 .local = nr == 0 });
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct wanted *wanted = wanted_new();
	struct publish_result result;

	assert_non_null(world);
	world_network(world);
	world_settings(world);
	world->settings.max_flows4 = world->settings.max_flows6 = 65536;
	world_open(world, DATAPLANE_SCRATCH);
	/* Masquerading takes eth1's address, too: its replies have to be known. */
	wanted->nodeaddrs[wanted->n_nodeaddrs++] = addr_of("192.0.3.1");
	wanted->nodeaddrs[wanted->n_nodeaddrs++] = addr_of("2001:db8:3::1");
	/* In the order of struct wanted: name, protocol, family. */
	for (int nr = 0; nr < 4; nr++) {
		add_service(wanted, false, IPPROTO_TCP, nr);
		add_service(wanted, true, IPPROTO_TCP, nr);
		add_service(wanted, false, IPPROTO_UDP, nr);
		add_service(wanted, true, IPPROTO_UDP, nr);
	}
	publish(world, wanted, &result);
	wanted_free(wanted);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

/* ---- packets ----------------------------------------------------------------------- */

static struct sh_addr random_addr(struct chance *chance, bool v6)
{
	struct sh_addr addr = addr_of(addrs[v6][below(chance, LEN(addrs[0]))]);

	if (one_in(chance, 100))
		addr.b[15] = (uint8_t)draw(chance);
	return addr;
}

static uint16_t random_port(struct chance *chance)
{
	if (one_in(chance, 50))
		return (uint16_t)draw(chance);
	if (one_in(chance, 2))
		return ports[below(chance, LEN(ports))];
	return (uint16_t)((one_in(chance, 2) ? 20000 : 40000) + below(chance, 8));
}

static struct spec random_spec(struct chance *chance)
{
	static const uint8_t flags[] = { TCP_SYN, TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK };
	bool v6 = one_in(chance, 2);
	struct spec spec = {
		.src = random_addr(chance, v6),
		.dst = random_addr(chance, v6),
		.sport = random_port(chance),
		.dport = random_port(chance),
		.proto = one_in(chance, 2) ? IPPROTO_TCP : IPPROTO_UDP,
		.tcp_flags = flags[below(chance, LEN(flags))],
		.ttl = one_in(chance, 8) ? (uint8_t)below(chance, 3) : 0,
		.vlans = one_in(chance, 3) ? (uint8_t)below(chance, 3) : 0,
		.extras = one_in(chance, 3) ? (uint8_t)below(chance, 32) : 0,
		.dmac = (uint8_t)draw(chance),
		.smac = (uint8_t)draw(chance),
		.tail = (uint16_t)draw(chance),
		.payload = one_in(chance, 20) ? (uint16_t)below(chance, 500)
					      : (uint16_t)below(chance, 40),
		.no_csum = !v6 && one_in(chance, 8),
	};

	if (one_in(chance, 20))
		spec.tcp_flags = (uint8_t)draw(chance);
	if (one_in(chance, 30)) {
		spec.extras |= v6 ? EXTRA_FRAGMENT : 0;
		spec.more_fragments = true;
		spec.frag_offset = (uint16_t)(below(chance, 2) * 64);
	}
	return spec;
}

/* A client's packet to a Service. */
static void make_sensible(struct chance *chance, struct spec *spec)
{
	bool v6 = !sh_addr_is_v4(&spec->src), node_port = one_in(chance, 2);
	size_t nr = below(chance, 4);

	spec->src = addr_of(addrs[v6][one_in(chance, 4) ? 5 : below(chance, 3)]);
	spec->sport = (uint16_t)((one_in(chance, 2) ? 20000 : 40000) + below(chance, 32));
	spec->dst = addr_of(addrs[v6][node_port ? 3 : 6 + nr]);
	spec->dport = node_port ? (uint16_t)(30080 + nr) : 80;
}

/* An IPv4 Service's address as IPv6 would write it: nobody may take it for that. */
static void make_mapped(struct spec *spec)
{
	if (sh_addr_is_v4(&spec->src))
		return;
	spec->dst = addr_of("10.96.0.10");
	spec->dport = 80;
}

static void damage(struct chance *chance, struct packet *packet)
{
	size_t n = 1 + below(chance, 3), headers = packet->len < 80 ? packet->len : 80;

	while (n--)
		packet->b[12 + below(chance, headers - 12)] = (unsigned char)draw(chance);
}

static void random_packet(struct chance *chance, struct packet *packet)
{
	struct spec spec = random_spec(chance);

	if (one_in(chance, 2))
		make_sensible(chance, &spec);
	if (one_in(chance, 200))
		make_mapped(&spec);
	packet_build(packet, &spec);
	if (one_in(chance, 5))
		damage(chance, packet);
	if (one_in(chance, 10))
		packet->len = 15 + below(chance, packet->len - 15);
}

/* ---- what holds ------------------------------------------------------------------------ */

struct tally {
	size_t passed, translated, forwarded, dropped, answered, refused, replies, closed;
};

/* One packet, and what became of it. */
struct one {
	const struct world *world;
	enum hook hook;
	uint32_t ifindex;
	int code; /* of TC */
	struct packet in, out;
	struct tally *tally;
};

static int tc_code(enum hook hook, int code)
{
	if (hook != HOOK_XDP || code < 0)
		return code;
	return code == XDP_PASS ? TC_PASS : code == XDP_TX ? TC_ACT_REDIRECT : TC_ACT_SHOT;
}

/* From the address that was written to, back to the sender: an RST, an ICMP message. */
static bool is_answer(const struct packet *in, const struct packet *out)
{
	return out->len >= 14 && !memcmp(in->b, out->b + 6, 6) && !memcmp(in->b + 6, out->b, 6);
}

/*
 * To cut a packet short for an answer, the kernel gives up skb->csum, which its
 * check does not know: then once more without the check, and it is an answer.
 */
static void one_run(struct one *one)
{
	struct world unchecked = *one->world;
	int code = hook_try(one->world, one->hook, one->ifindex, &one->in, &one->out);

	if (code == HOOK_ERRNO(EBADMSG)) {
		unchecked.csum_complete = false;
		code = hook_try(&unchecked, one->hook, one->ifindex, &one->in, &one->out);
		if (code == TC_ACT_REDIRECT && !is_answer(&one->in, &one->out))
			fail_msg("skb->csum does not fit the packet any more");
	}
	one->code = tc_code(one->hook, code);
}

/* An ICMP error, if it is one, is what it says: here only its kind is taken from it. */
static void check_error(const struct one *one)
{
	struct icmp_error error;
	struct packet want;
	struct parsed in;
	size_t icmp;

	assert_true(packet_parse(&one->in, &in));
	icmp = in.l3 + (in.v6 ? 40 : 20);
	if (one->out.len < icmp + 8 ||
	    one->out.b[in.l3 + (in.v6 ? 6 : 9)] != (in.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return;
	error = (struct icmp_error){ .type = one->out.b[icmp],
				     .code = one->out.b[icmp + 1],
				     .mtu = packet_get16(&one->out, icmp + 6) };
	icmp_error_build(&want, &one->in, &error);
	if (!packet_eq(&one->out, &want)) {
		packet_print("in", &one->in);
		packet_print("want", &want);
		packet_print("got", &one->out);
		fail_msg("not the error about this packet");
	}
}

/* The output's addresses, ports and checksums put into the input: then they are equal. */
static void check_difference(const struct one *one, const struct parsed *parsed)
{
	struct packet mended = one->in;
	size_t l3 = parsed->l3, hop = l3 + (parsed->v6 ? 7 : 8);
	bool forwarded = one->code == TC_ACT_REDIRECT;

	assert_int_equal(one->out.len, one->in.len);
	memcpy(mended.b + l3 + (parsed->v6 ? 8 : 12), one->out.b + l3 + (parsed->v6 ? 8 : 12),
	       parsed->v6 ? 32 : 8);
	if (!parsed->v6)
		memcpy(mended.b + l3 + 10, one->out.b + l3 + 10, 2);
	if (!parsed->later_fragment) {
		memcpy(mended.b + parsed->l4, one->out.b + parsed->l4, 4);
		memcpy(mended.b + packet_l4_csum_at(parsed), one->out.b + packet_l4_csum_at(parsed),
		       2);
	}
	if (forwarded) {
		assert_int_equal(one->out.b[hop], one->in.b[hop] - 1);
		mended.b[hop]--;
		memcpy(mended.b, one->out.b, 12);
	}
	assert_true(packet_eq(&mended, &one->out));
}

/* Right sums stay right; and what was wrong about a sum is wrong by as much. */
static void check_sums(const struct one *one, const struct parsed *parsed)
{
	size_t at = packet_l4_csum_at(parsed), header = parsed->proto == IPPROTO_TCP ? 20 : 8;
	uint32_t was, is;

	if (packet_csums_hold(&one->in))
		assert_true(packet_csums_hold(&one->out));
	if (parsed->later_fragment || parsed->end > one->in.len ||
	    parsed->end < parsed->l4 + header)
		return;
	if (parsed->proto == IPPROTO_UDP && !packet_get16(&one->in, at)) {
		assert_int_equal(packet_get16(&one->out, at), 0);
		return;
	}
	was = packet_get16(&one->in, at) + 0xffffu - packet_l4_csum(&one->in, parsed);
	is = packet_get16(&one->out, at) + 0xffffu - packet_l4_csum(&one->out, parsed);
	assert_int_equal(was % 0xffff, is % 0xffff);
}

/* @packet the other way round: what its receiver would answer. */
static struct packet turned(const struct packet *packet, const struct parsed *parsed)
{
	struct packet turned;

	packet_build(&turned, &(struct spec){ .src = packet_addr(packet, parsed, true),
					      .dst = packet_addr(packet, parsed, false),
					      .sport = packet_get16(packet, parsed->l4 + 2),
					      .dport = packet_get16(packet, parsed->l4),
					      .proto = parsed->proto,
					      .tcp_flags = TCP_ACK,
					      .payload = 10 });
	return turned;
}

static bool is_closed(const struct one *one)
{
	const struct sh_flow *flow =
		flow_of(one->world, &one->in, one->hook == HOOK_EGRESS ? SH_EGRESS : SH_INGRESS);

	return flow && state_of(one->world, flow) >= SH_HALF_CLOSED;
}

/* A packet from outside that says it comes from ourselves: its answer has nowhere to go. */
static bool from_node(const struct one *one, const struct parsed *parsed)
{
	struct sh_addr src = packet_addr(&one->in, parsed, false);
	struct sh_addr eth0 = addr_of(addrs[parsed->v6][3]), eth1 = addr_of(addrs[parsed->v6][4]);

	return addr_eq(&src, &eth0) || addr_eq(&src, &eth1);
}

/* The answer to what came out is translated into the answer to what went in. */
static void check_reply(const struct one *one, const struct parsed *parsed)
{
	bool forwarded = one->code == TC_ACT_REDIRECT;
	struct packet reply = turned(&one->out, parsed), want = turned(&one->in, parsed), got;
	size_t hop;
	int code;

	code = hook_run(one->world,
			forwarded || one->hook == HOOK_EGRESS ? HOOK_INGRESS : HOOK_EGRESS,
			one->world->eth0, &reply, &got);
	if (forwarded) {
		hop = 14 + (parsed->v6 ? 7 : 8);
		want.b[hop] = 63;
		memcpy(want.b, got.b, 12);
		packet_fix_csums(&want, &(struct parsed){ .v6 = parsed->v6,
							  .proto = parsed->proto,
							  .l3 = 14,
							  .l4 = parsed->v6 ? 54 : 34,
							  .end = want.len });
	}
	if (code == one->code && packet_eq(&got, &want)) {
		one->tally->replies++;
		return;
	}
	/* Of a flow that is over, either entry may have made room for another. */
	if (is_closed(one)) {
		one->tally->closed++;
		return;
	}
	packet_print("reply", &reply);
	packet_print("want", &want);
	packet_print("got", &got);
	fail_msg("the answer was treated otherwise: code %d", code);
}

static void check_translated(const struct one *one)
{
	struct parsed parsed;
	struct sh_addr dst;

	assert_true(packet_parse(&one->in, &parsed));
	dst = packet_addr(&one->in, &parsed, true);
	assert_false(parsed.v6 && sh_addr_is_v4(&dst));
	check_difference(one, &parsed);
	check_sums(one, &parsed);
	if (packet_csums_hold(&one->in) && !parsed.later_fragment && !parsed.first_fragment &&
	    !from_node(one, &parsed))
		check_reply(one, &parsed);
}

static void check_one(struct one *one)
{
	struct tally *tally = one->tally;

	one_run(one);
	if (one->code ==
	    HOOK_ERRNO(EINVAL)) { /* shorter than its IP header: the kernel's own check */
		assert_in_range(one->in.len, 0, 14 + 39);
		tally->refused++;
	} else if (one->code == TC_ACT_SHOT) {
		tally->dropped++;
	} else if (one->code == TC_PASS && packet_eq(&one->in, &one->out)) {
		tally->passed++;
	} else if (one->code == TC_ACT_REDIRECT && one->hook != HOOK_XDP &&
		   is_answer(&one->in, &one->out)) {
		check_error(one);
		tally->answered++;
	} else {
		assert_true(one->code == TC_PASS || one->code == TC_ACT_REDIRECT);
		check_translated(one);
		tally->translated++;
		tally->forwarded += one->code == TC_ACT_REDIRECT;
	}
}

/* ---- the test ------------------------------------------------------------------------------ */

static void show(const char *sign, uint64_t seed, int nr, const struct one *one)
{
	static const char *const hooks[] = { "TC ingress", "TC egress", "XDP" };

	(void)fprintf(stderr, "%sTEST_SEED=%llu, packet %d, %s of device %u: code %d\n", sign,
		      (unsigned long long)seed, nr, hooks[one->hook], one->ifindex, one->code);
	packet_print("in", &one->in);
	packet_print("out", &one->out);
}

/* cmocka leaves a failed test with longjmp(): the packet is told of from the teardown. */
struct run {
	struct world *world;
	uint64_t seed;
	int nr;
	struct one one;
	struct tally tally;
};

static int run_setup(void **state)
{
	const char *text = getenv("TEST_SEED");
	struct run *r = calloc(1, sizeof(*r));
	void *world = NULL;

	assert_non_null(r);
	(void)setup(&world);
	r->world = world;
	r->seed = text ? strtoull(text, NULL, 0) : DEFAULT_SEED;
	*state = r;
	return 0;
}

static int run_teardown(void **state)
{
	struct run *r = *state;
	void *world = r->world;

	if (r->nr < PACKETS)
		show("", r->seed, r->nr, &r->one);
	(void)teardown(&world);
	free(r);
	return 0;
}

/* Every fate is met often, or the test would say little. */
static void check_tally(const struct run *r)
{
	const struct tally *tally = &r->tally;
	uint64_t drops = drops_all(r->world);

	print_message("passed %zu, translated %zu (%zu forwarded, %zu answered by the other end), "
		      "dropped %zu, answered %zu\n",
		      tally->passed, tally->translated, tally->forwarded, tally->replies,
		      tally->dropped, tally->answered);
	assert_true(tally->passed > PACKETS / 4);
	assert_true(tally->translated > PACKETS / 10);
	assert_true(tally->forwarded > PACKETS / 20);
	assert_true(tally->replies > PACKETS / 20);
	assert_true(tally->dropped > PACKETS / 100);
	assert_true(tally->closed < tally->replies / 10);
	/* No drop without a reason; a ping is answered without one. */
	assert_in_range(drops, tally->dropped, PACKETS);
}

static void every_packet_is_treated_well(void **state)
{
	struct run *r = *state;
	struct chance chance = { .state = r->seed };
	static const enum hook hooks[] = { HOOK_INGRESS, HOOK_INGRESS, HOOK_EGRESS, HOOK_XDP };

	for (r->nr = 0; r->nr < PACKETS; r->nr++) {
		r->one = (struct one){ .world = r->world, .tally = &r->tally };
		r->one.hook = hooks[below(&chance, LEN(hooks))];
		r->one.ifindex = r->one.hook != HOOK_XDP && one_in(&chance, 2) ? r->world->pod1
									       : r->world->eth0;
		random_packet(&chance, &r->one.in);
		check_one(&r->one);
	}
	check_tally(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_packet_is_treated_well, run_setup,
						run_teardown),
	};

	return world_run_tests("random packets", tests, sizeof(tests) / sizeof(tests[0]));
}
