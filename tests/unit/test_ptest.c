/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packet tests: what a file may say, packets as bytes, judgements and their words. */
#include "ptest/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ptest/packet.h"
#include "ptest/report.h"
#include "ptest/run.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- files ------------------------------------------------------------------ */

static struct ptest_file *parse(const char *path, const char *text)
{
	struct ptest_file *file = NULL;
	struct diags diags = { 0 };

	if (ptest_file_parse(path, text, strlen(text), &diags, &file))
		fail_msg("%s", diags.n_errors ? diags.errors[0].text : "no memory");
	diags_done(&diags);
	return file;
}

static struct ptest_target target(const char *text)
{
	struct ptest_target out = { 0 };

	assert_int_equal(ptest_target_parse(text, &out), 0);
	return out;
}

static const char all[] = "node: node-1\n"
			  "manifests: [a.yaml, /b.yaml, ../c]\n"
			  "flows:\n"
			  "  - name: \"one: #1\"\n"
			  "    from: pod\n"
			  "    src: 10.180.0.1\n"
			  "    dst: 172.30.0.41:80\n"
			  "    proto: UDP\n"
			  "    expect: forward\n"
			  "    backends: [10.180.0.1:8080, 10.180.1.1:8080]\n"
			  "    snat: false\n"
			  "  - name: two\n"
			  "    from: node\n"
			  "    dst: \"[fd00::1]:443\"\n"
			  "    expect: reject\n"
			  "  - {name: three, from: external, src: 1.2.3.4, dst: '1.1.1.1:1',\n"
			  "     expect: forward, backends: null}\n"
			  "options:\n"
			  "  cluster-cidr: [10.180.0.0/16, fd00::/64]\n"
			  "  masquerade-all: yes\n"
			  "  socket-lb: off\n"
			  "  max-slots: 0x1000\n";

static void a_file_with_everything(void **state)
{
	struct ptest_file *file = parse("dir/x.test.yaml", all);
	const struct ptest_flow *flow = file->flows;
	struct ptest_target expected;

	assert_string_equal(file->node, "node-1");
	assert_int_equal(file->manifests.n, 3);
	assert_string_equal(file->manifests.v[0], "dir/a.yaml");
	assert_string_equal(file->manifests.v[1], "/b.yaml");
	assert_string_equal(file->manifests.v[2], "dir/../c");
	assert_int_equal(file->manifests_at[1].column, 21);
	assert_int_equal(file->n_flows, 3);
	assert_string_equal(flow->name, "one: #1");
	assert_int_equal(flow->at.line, 4);
	assert_int_equal(flow->from, PTEST_POD);
	assert_int_equal(flow->proto, IPPROTO_UDP);
	assert_int_equal(flow->expect, PTEST_FORWARD);
	assert_int_equal(flow->snat, MAYBE_FALSE);
	assert_false(flow->any_backend);
	assert_int_equal(flow->n_backends, 2);
	expected = target("10.180.1.1:8080");
	assert_true(ptest_target_eq(&flow->backends[1], &expected));
	assert_int_equal(flow[1].proto, IPPROTO_TCP);
	assert_int_equal(flow[1].from, PTEST_NODE);
	assert_false(flow[1].has_src);
	expected = target("[fd00::1]:443");
	assert_true(ptest_target_eq(&flow[1].dst, &expected));
	assert_int_equal(flow[1].snat, MAYBE_ABSENT);
	assert_true(flow[2].any_backend);
	ptest_file_free(file);
}

static void options_as_the_command_line_has_them(void **state)
{
	static const char *const wanted[][3] = {
		{ "cluster-cidr", "10.180.0.0/16", "options.cluster-cidr[0]" },
		{ "cluster-cidr", "fd00::/64", "options.cluster-cidr[1]" },
		{ "masquerade-all", "true", "options.masquerade-all" },
		{ "socket-lb", "off", "options.socket-lb" },
		{ "max-slots", "4096", "options.max-slots" },
	};
	struct ptest_file *file = parse("x.test.yaml", all);
	size_t i;

	assert_int_equal(file->n_options, COUNT(wanted));
	for (i = 0; i < COUNT(wanted); i++) {
		assert_string_equal(file->options[i].name, wanted[i][0]);
		assert_string_equal(file->options[i].value, wanted[i][1]);
		assert_string_equal(file->options[i].path, wanted[i][2]);
	}
	assert_int_equal(file->options[1].at.line, 19);
	assert_string_equal(file->options[1].at.file, "x.test.yaml");
	assert_string_equal(file->manifests.v[0], "a.yaml");
	ptest_file_free(file);
}

struct row {
	const char *text;
	const char *message; /* of the first error */
};

static bool is_refused(const char *text, const char *message)
{
	struct ptest_file *file = NULL;
	struct diags diags = { 0 };
	const int ret = ptest_file_parse("f", text, strlen(text), &diags, &file);
	const char *got = diags.n_errors ? diags.errors[0].text : "no error";
	const bool ok = ret == -EINVAL && !file && !strcmp(got, message);

	if (!ok)
		print_error("%s\nexpected: %s\n     got: %s\n", text, message, got);
	diags_done(&diags);
	return ok;
}

/* What a row adds begins at line 3, a flow's field at column 6 of line 4. */
#define HEAD "node: a\nmanifests: [a]\n"
#define FLOW HEAD "flows:\n  - {name: a, "
#define GOOD FLOW "from: node, dst: '1.1.1.1:1', expect: pass}\n"

static const struct row refused[] = {
	{ "", "f: is empty: a packet test has node, manifests and flows" },
	{ "# nothing\n", "f: is empty: a packet test has node, manifests and flows" },
	{ "[]", "f:1:1: expected a map, found a list" },
	{ GOOD "---\n" GOOD, "f:6:1: a second document: a packet test is one" },
	{ "node: a\nmanifests: [a]\n", "f:1:1: flows: required, but missing" },
	{ "manifests: [a]\nflows: []\n", "f:1:1: node: required, but missing" },
	{ "node: a\nflows: []\n", "f:1:1: manifests: required, but missing" },
	{ HEAD "flows: []\n", "f:3:8: flows: is empty: there is nothing to test" },
	{ "node: a\nmanifests: []\nflows: []\n",
	  "f:2:12: manifests: is empty: there is nothing to test" },
	{ "node: a\nmanifests: a.yaml\n",
	  "f:2:12: manifests: expected a list, found the string \"a.yaml\"" },
	{ "node: a\nmanifests: ['']\nflows: []\n", "f:2:13: manifests[0]: \"\" says nothing" },
	{ "node: A\n",
	  "f:1:7: node: \"A\" is no DNS name: lower case letters, digits, '-' and '.', a "
	  "letter or digit at both ends of each part" },
	{ GOOD "flow: []\n", "f:5:1: flow: unknown field (did you mean \"flows\"?)" },
	{ GOOD "node: a\n", "f:5:1: node: duplicate key, first at line 1" },
	{ FLOW "expct: drop}\n", "f:4:15: flows[0].expct: unknown field (did you mean "
				 "\"expect\"?)" },
	{ FLOW "times: 3}\n",
	  "f:4:15: flows[0].times: unknown field: a flow has none of that name" },
	{ FLOW "from: host, dst: '1.1.1.1:1', expect: pass}\n",
	  "f:4:21: flows[0].from: \"host\" is not one of pod, node or external" },
	{ FLOW "from: pods, dst: '1.1.1.1:1', expect: pass}\n",
	  "f:4:21: flows[0].from: \"pods\" is not one of pod, node or external (did you "
	  "mean \"pod\"?)" },
	{ FLOW "from: node, dst: '1.1.1.1:1', expect: accept}\n",
	  "f:4:53: flows[0].expect: \"accept\" is not one of forward, reject, drop or "
	  "pass" },
	{ FLOW "from: node, dst: '1.1.1.1:1', expect: pass, proto: tcp}\n",
	  "f:4:66: flows[0].proto: \"tcp\" is not one of TCP, UDP or SCTP (did you mean "
	  "\"TCP\"?)" },
	{ FLOW "from: node, dst: 1.1.1.1, expect: pass}\n",
	  "f:4:32: flows[0].dst: \"1.1.1.1\" is not an address and a port, like "
	  "10.0.0.1:80 or [fd00::1]:80" },
	{ FLOW "from: node, dst: 'fd00::1:80', expect: pass}\n",
	  "f:4:32: flows[0].dst: \"fd00::1:80\" is not an address and a port, like "
	  "10.0.0.1:80 or [fd00::1]:80" },
	{ FLOW "from: node, dst: '1.1.1.1:0', expect: pass}\n",
	  "f:4:32: flows[0].dst: \"1.1.1.1:0\" is not an address and a port, like "
	  "10.0.0.1:80 or [fd00::1]:80" },
	{ FLOW "from: node, dst: '1.1.1.1:65536', expect: pass}\n",
	  "f:4:32: flows[0].dst: \"1.1.1.1:65536\" is not an address and a port, like "
	  "10.0.0.1:80 or [fd00::1]:80" },
	{ FLOW "from: node, expect: pass}\n", "f:4:5: flows[0].dst: required, but missing" },
	{ FLOW "from: pod, dst: '1.1.1.1:1', expect: pass}\n",
	  "f:4:5: flows[0].src: required, but missing" },
	{ FLOW "from: pod, src: 1.1.1, dst: '1.1.1.1:1', expect: pass}\n",
	  "f:4:31: flows[0].src: \"1.1.1\" is no IP address" },
	{ FLOW "from: pod, src: 'fd00::1', dst: '1.1.1.1:1', expect: pass}\n",
	  "f:4:31: flows[0].src: fd00::1 is not of dst's family" },
	{ FLOW "from: node, dst: '1.1.1.1:1', expect: drop, snat: true}\n",
	  "f:4:65: flows[0].snat: goes with expect: forward only" },
	{ FLOW "from: node, dst: '1.1.1.1:1', expect: drop, backends: ['1.1.1.1:1']}\n",
	  "f:4:69: flows[0].backends: goes with expect: forward only" },
	{ FLOW "from: node, dst: '1.1.1.1:1', expect: forward, backends: []}\n",
	  "f:4:72: flows[0].backends: is empty: without it any backend will do" },
	{ FLOW "from: node, dst: '1.1.1.1:1', expect: forward, backends: ['1.1.1.1']}\n",
	  "f:4:73: flows[0].backends[0]: \"1.1.1.1\" is not an address and a port, like "
	  "10.0.0.1:80 or [fd00::1]:80" },
	{ FLOW "from: node, dst: '1.1.1.1:1', expect: forward, backends: "
	       "['[fd00::1]:1']}\n",
	  "f:4:73: flows[0].backends[0]: [fd00::1]:1 is not of dst's family" },
	{ FLOW "from: node, dst: '1.1.1.1:1', expect: forward, backends: "
	       "['1.1.1.1:1', '1.1.1.1:1']}\n",
	  "f:4:86: flows[0].backends[1]: 1.1.1.1:1 stands there twice" },
	{ FLOW "from: node, dst: '1.1.1.1:1', expect: forward, snat: 1}\n",
	  "f:4:68: flows[0].snat: expected true or false, found the integer 1" },
	{ HEAD "flows:\n  - {name: '', from: node, dst: '1.1.1.1:1', expect: pass}\n",
	  "f:4:12: flows[0].name: \"\" says nothing" },
	{ GOOD "options: [a]\n", "f:5:10: options: expected a map, found a list" },
	{ GOOD "options: {a: {b: c}}\n",
	  "f:5:14: options.a: expected a value or a list of values, found a map" },
	{ GOOD "options: {a: [b, null]}\n",
	  "f:5:18: options.a[1]: expected a value or a list of values, found null" },
};

static void what_a_file_may_not_say(void **state)
{
	size_t i, failed = 0;

	for (i = 0; i < COUNT(refused); i++)
		failed += !is_refused(refused[i].text, refused[i].message);
	assert_int_equal(failed, 0);
}

/* @n times @item, between @begin and @end */
static char *repeated(const char *begin, const char *item, size_t n, const char *end)
{
	size_t size = strlen(begin) + n * strlen(item) + strlen(end) + 1, i;
	char *text = malloc(size), *at;

	assert_non_null(text);
	at = stpcpy(text, begin);
	for (i = 0; i < n; i++)
		at = stpcpy(at, item);
	(void)stpcpy(at, end);
	return text;
}

static void limits_are_named(void **state)
{
	char *text;

	text = repeated(FLOW "from: node, dst: '1.1.1.1:1', expect: forward, backends: [",
			"'1.1.1.1:1',", SH_TEST_BACKENDS_MAX + 1, "]}\n");
	assert_true(is_refused(text, "f:4:72: flows[0].backends: 1001 entries: at most 1000 "
				     "(SH_TEST_BACKENDS_MAX)"));
	free(text);
	text = repeated(HEAD "flows:\n", "  - {}\n", SH_TEST_FLOWS_MAX + 1, "");
	assert_true(
		is_refused(text, "f:4:3: flows: 10001 entries: at most 10000 (SH_TEST_FLOWS_MAX)"));
	free(text);
}

static void what_cannot_be_read(void **state)
{
	struct ptest_file *file = NULL;
	struct diags diags = { 0 };

	assert_int_equal(ptest_file_load("/nowhere/a.test.yaml", &diags, &file), -EINVAL);
	assert_string_equal(diags.errors[0].text,
			    "/nowhere/a.test.yaml: can't be opened: No such file or directory");
	assert_int_equal(ptest_file_load("/", &diags, &file), -EINVAL);
	assert_string_equal(diags.errors[1].text, "/: can't be read: Is a directory");
	diags_done(&diags);
}

/* ---- packets ------------------------------------------------------------------ */

static struct packet_spec spec_of(const char *src, const char *dst, proto_t proto,
				  enum packet_kind kind)
{
	struct ptest_target from = target(src), to = target(dst);

	return (struct packet_spec){
		.tuple = { from.addr, to.addr, from.port, to.port, proto },
		.kind = kind,
		.ttl = 64,
	};
}

/* Bytes and sums worked out by hand, by another program than this one. */
static void a_packet_byte_by_byte(void **state)
{
	static const uint8_t wanted[] = {
		0,    0,    0,	  0,	0,    0,    0,	  0,	0,    0,    0,	  0,	0x08, 0x00,
		0x45, 0xb8, 0x00, 0x28, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0x13, 0xe2, 0x0a, 0x00,
		0x00, 0x01, 0x0a, 0x00, 0x00, 0x02, 0x9c, 0x40, 0x00, 0x50, 0x11, 0x22, 0x33, 0x44,
		0x00, 0x00, 0x00, 0x00, 0x50, 0x02, 0xfa, 0xf0, 0x00, 0x00, 0x00, 0x00,
	};
	struct packet_spec spec =
		spec_of("10.0.0.1:40000", "10.0.0.2:80", IPPROTO_TCP, PACKET_OPEN);
	struct packet packet;

	packet_make(&spec, &packet);
	assert_int_equal(packet.len, sizeof(wanted));
	assert_memory_equal(packet.b, wanted, 50);
}

static void packets_are_read_back(void **state)
{
	static const char *const names[][2] = { { "10.0.0.1:40000", "10.0.0.2:80" },
						{ "[fd00::1]:40000", "[fd00::2]:80" } };
	static const proto_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	char why[PACKET_WHY_LEN];
	struct packet_tuple tuple;
	struct packet packet;
	size_t i, j, kind;

	for (i = 0; i < COUNT(names); i++) {
		for (j = 0; j < COUNT(protos); j++) {
			for (kind = PACKET_OPEN; kind <= PACKET_DATA; kind++) {
				struct packet_spec spec =
					spec_of(names[i][0], names[i][1], protos[j],
						(enum packet_kind)kind);

				packet_make(&spec, &packet);
				assert_true(packet_tuple(&packet, &tuple));
				assert_true(addr_eq(&tuple.src, &spec.tuple.src));
				assert_true(addr_eq(&tuple.dst, &spec.tuple.dst));
				assert_int_equal(ntohs(tuple.sport), 40000);
				assert_int_equal(ntohs(tuple.dport), 80);
				assert_int_equal(tuple.proto, protos[j]);
				assert_true(packet_is(&packet, &spec, why));
			}
		}
	}
}

static void every_byte_counts(void **state)
{
	struct packet_spec spec =
		spec_of("10.0.0.1:40000", "10.0.0.2:80", IPPROTO_UDP, PACKET_OPEN);
	char why[PACKET_WHY_LEN];
	struct packet packet;
	uint32_t i;

	packet_make(&spec, &packet);
	for (i = 14; i < packet.len; i++) {
		packet.b[i] ^= 1;
		assert_false(packet_is(&packet, &spec, why));
		packet.b[i] ^= 1;
	}
	packet.b[24] ^= 0xff;
	assert_false(packet_is(&packet, &spec, why));
	assert_string_equal(why, "byte 24 (the IP checksum) is 0xec, where 0x13 would be right");
	packet.b[24] ^= 0xff;
	packet.b[22]--;
	assert_false(packet_is(&packet, &spec, why));
	assert_string_equal(why, "byte 22 (the TTL) is 0x3f, where 0x40 would be right");
	packet.b[22]++;
	packet.len--;
	assert_false(packet_is(&packet, &spec, why));
	assert_string_equal(why, "72 bytes long, not 73");
}

/* An answer of the far end is none of ours, nor is an RST of another connection. */
static void refusals_are_told_apart(void **state)
{
	struct packet_spec spec =
		spec_of("10.0.0.1:40000", "10.0.0.2:80", IPPROTO_TCP, PACKET_OPEN);
	struct packet_spec back =
		spec_of("10.0.0.2:80", "10.0.0.1:40000", IPPROTO_TCP, PACKET_ANSWER);
	char why[PACKET_WHY_LEN] = "";
	struct packet question, answer;

	packet_make(&spec, &question);
	packet_make(&back, &answer);
	assert_false(packet_refuses(&answer, &question, why));
	answer.b[14 + 20 + 13] = 0x14; /* RST, ACK */
	assert_true(packet_refuses(&answer, &question, why));
	assert_string_equal(why, "its checksum is wrong");
	answer.b[14 + 20 + 17] -= 2; /* 0x12 was SYN, ACK */
	assert_true(packet_refuses(&answer, &question, why));
	assert_string_equal(why, "");
	answer.b[14 + 20 + 11]++;
	assert_true(packet_refuses(&answer, &question, why));
	assert_string_equal(why, "the RST does not acknowledge the SYN: its receiver would ignore "
				 "it");
	answer.b[14 + 20 + 1]++;
	assert_true(packet_refuses(&answer, &question, why));
	assert_string_equal(why, "the RST is not of the connection that was tried");
	assert_false(packet_refuses(&question, &question, why));
}

/* ---- judgements ------------------------------------------------------------------ */

static struct ptest_reached reached(const char *name)
{
	return (struct ptest_reached){ .target = target(name) };
}

static const char *judge(const struct ptest_flow *flow, const struct ptest_seen *seen, bool sticky,
			 char why[static PTEST_WHY_LEN])
{
	return ptest_judge(flow, seen, sticky, why) ? "" : why;
}

static void backends_exactly(void **state)
{
	struct ptest_target two[] = { target("10.0.0.1:80"), target("10.0.0.2:80") };
	struct ptest_flow flow = { .expect = PTEST_FORWARD, .backends = two, .n_backends = 2 };
	struct ptest_reached one = reached("10.0.0.1:80"), other = reached("10.0.0.2:80");
	struct ptest_reached third = reached("10.0.0.3:80");
	struct ptest_seen seen = { .tried = 3 };
	char why[PTEST_WHY_LEN];

	assert_int_equal(ptest_seen_add(&seen, &one), 0);
	assert_string_equal(judge(&flow, &seen, true, why), "");
	assert_string_equal(judge(&flow, &seen, false, why),
			    "never reached 10.0.0.2:80 in 3 connections");
	assert_int_equal(ptest_seen_add(&seen, &other), 0);
	assert_string_equal(judge(&flow, &seen, false, why), "");
	assert_string_equal(judge(&flow, &seen, true, why),
			    "one client reached 2 backends, although the Service has "
			    "sessionAffinity: ClientIP");
	assert_int_equal(ptest_seen_add(&seen, &third), 0);
	assert_string_equal(judge(&flow, &seen, false, why),
			    "reached 10.0.0.3:80 (1 of 3 connections), not among the expected "
			    "backends");
	flow.any_backend = true;
	flow.n_backends = 0;
	assert_string_equal(judge(&flow, &seen, false, why), "");
	ptest_seen_done(&seen);
}

/* snat: true also holds where the reply passes this node anyway. */
static void snat_where_it_matters(void **state)
{
	struct ptest_flow flow = { .expect = PTEST_FORWARD, .any_backend = true };
	struct ptest_seen seen = { .tried = 4, .replaced = 2, .kept_near = 2 };
	char why[PTEST_WHY_LEN];

	flow.snat = MAYBE_TRUE;
	assert_string_equal(judge(&flow, &seen, false, why), "");
	seen.kept_far = 1;
	assert_string_equal(judge(&flow, &seen, false, why),
			    "snat: expected true, but the client's address was kept in 1 of 4 "
			    "connections whose replies would not pass this node");
	flow.snat = MAYBE_ABSENT;
	assert_string_equal(judge(&flow, &seen, false, why), "");
	flow.snat = MAYBE_FALSE;
	assert_string_equal(judge(&flow, &seen, false, why),
			    "snat: expected false, but the client's address was replaced in 2 of 4 "
			    "connections");
	seen.replaced = 0;
	assert_string_equal(judge(&flow, &seen, false, why), "");
	/* A pod that is one of several backends meets itself now and then. */
	seen.hairpins = 1;
	assert_string_equal(judge(&flow, &seen, false, why), "");
	seen.hairpins = 4;
	assert_string_equal(judge(&flow, &seen, false, why),
			    "snat: expected false, but the client's address was replaced in 4 of 4 "
			    "connections");
}

static void verdicts_and_faults(void **state)
{
	struct ptest_flow flow = { .expect = PTEST_REJECT };
	struct ptest_seen seen = { .tried = 2,
				   .verdict = PTEST_DROP,
				   .reason = SH_REASON_NO_LOCAL };
	char why[PTEST_WHY_LEN];

	assert_string_equal(judge(&flow, &seen, false, why),
			    "expected reject, got drop (no-local-backend: the traffic policy is "
			    "Local and no usable endpoint is on this node) at connection 2");
	seen.verdict = PTEST_REJECT;
	assert_string_equal(judge(&flow, &seen, false, why), "");
	ptest_seen_fault(&seen, "the %s packet", "first");
	ptest_seen_fault(&seen, "the %s packet", "second");
	assert_string_equal(judge(&flow, &seen, false, why), "the first packet");
}

/* ---- reports ---------------------------------------------------------------------- */

static void check_report(enum report_format format, const char *wanted)
{
	struct ptest_target backend = target("10.0.0.1:80");
	struct ptest_flow flows[] = {
		{ .name = "fine <&> #1", .expect = PTEST_FORWARD, .any_backend = true },
		{ .name = "not",
		  .at = { .line = 7 },
		  .expect = PTEST_FORWARD,
		  .backends = &backend,
		  .n_backends = 1,
		  .snat = MAYBE_TRUE },
		{ .name = "left out", .expect = PTEST_PASS },
	};
	struct ptest_file file = { .path = "a.test.yaml", .flows = flows, .n_flows = 3 };
	struct ptest_reached one = { .target = backend };
	struct ptest_result results[] = {
		{ .ok = true, .usec = 1500 },
		{ .hook = PTEST_XDP,
		  .seen = { .verdict = PTEST_DROP, .reason = SH_REASON_TTL },
		  .message = "xdp: \"no\"",
		  .usec = 2000000 },
		{ .ok = true, .skipped = true, .message = "why" },
	};
	struct report report = { .format = format, .total = 3 };
	char *text = NULL;
	size_t len;

	assert_int_equal(ptest_seen_add(&results[0].seen, &one), 0);
	report.to = open_memstream(&text, &len);
	assert_non_null(report.to);
	report_begin(&report);
	assert_int_equal(report_file(&report, &file, results), 0);
	report_end(&report);
	(void)fclose(report.to);
	assert_string_equal(text, wanted);
	assert_int_equal(report.failed, 1);
	free(text);
	ptest_result_done(&results[0]);
}

static void tap(void **state)
{
	check_report(REPORT_TAP,
		     "TAP version 13\n"
		     "1..3\n"
		     "ok 1 - a.test.yaml: fine <&> \\#1\n"
		     "not ok 2 - a.test.yaml: not\n"
		     "  ---\n"
		     "  message:  \"xdp: \\\"no\\\"\"\n"
		     "  hook:     xdp\n"
		     "  expected: {\"verdict\": \"forward\", \"backends\": [\"10.0.0.1:80\"], "
		     "\"snat\": true}\n"
		     "  got:      {\"verdict\": \"drop\", \"reason\": \"ttl-exceeded\"}\n"
		     "  at:       \"a.test.yaml:7\"\n"
		     "  ...\n"
		     "ok 3 - a.test.yaml: left out # SKIP why\n");
}

static void junit(void **state)
{
	check_report(
		REPORT_JUNIT,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites>\n"
		"  <testsuite name=\"a.test.yaml\" tests=\"3\" failures=\"1\" errors=\"0\" "
		"skipped=\"1\" time=\"2.001500\">\n"
		"    <testcase classname=\"a.test.yaml\" name=\"fine &lt;&amp;&gt; #1\" "
		"time=\"0.001500\"/>\n"
		"    <testcase classname=\"a.test.yaml\" name=\"not\" time=\"2.000000\">\n"
		"      <failure message=\"xdp: &quot;no&quot;\">expected: "
		"{&quot;verdict&quot;: &quot;forward&quot;, &quot;backends&quot;: "
		"[&quot;10.0.0.1:80&quot;], &quot;snat&quot;: true}\n"
		"got:      {&quot;verdict&quot;: &quot;drop&quot;, &quot;reason&quot;: "
		"&quot;ttl-exceeded&quot;}</failure>\n"
		"    </testcase>\n"
		"    <testcase classname=\"a.test.yaml\" name=\"left out\" time=\"0.000000\">\n"
		"      <skipped message=\"why\"/>\n"
		"    </testcase>\n"
		"  </testsuite>\n"
		"</testsuites>\n");
}

static void json_lines(void **state)
{
	check_report(REPORT_JSON,
		     "{\"file\": \"a.test.yaml\", \"flow\": \"fine <&> #1\", \"ok\": true, "
		     "\"verdict\": \"forward\", \"backends\": {\"10.0.0.1:80\": 1}, "
		     "\"snat\": false, \"message\": \"\"}\n"
		     "{\"file\": \"a.test.yaml\", \"flow\": \"not\", \"ok\": false, "
		     "\"verdict\": \"drop\", \"backends\": {}, \"snat\": null, "
		     "\"message\": \"xdp: \\\"no\\\"\"}\n"
		     "{\"file\": \"a.test.yaml\", \"flow\": \"left out\", \"ok\": true, "
		     "\"verdict\": null, \"backends\": {}, \"snat\": null, "
		     "\"message\": \"why\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_with_everything),
		cmocka_unit_test(options_as_the_command_line_has_them),
		cmocka_unit_test(what_a_file_may_not_say),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(what_cannot_be_read),
		cmocka_unit_test(a_packet_byte_by_byte),
		cmocka_unit_test(packets_are_read_back),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(refusals_are_told_apart),
		cmocka_unit_test(backends_exactly),
		cmocka_unit_test(snat_where_it_matters),
		cmocka_unit_test(verdicts_and_faults),
		cmocka_unit_test(tap),
		cmocka_unit_test(junit),
		cmocka_unit_test(json_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
