/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A connection of packets, through the programs of every edge that it passes:
 *
 *	client's edge in   ->  [the stack -> backend's edge out]
 *	backend's edge in  ->  [the stack -> client's edge out]
 *
 * The stack is left out where a program sends the packet off by itself. At
 * each step the packet is compared, byte for byte, with one made anew of what
 * it should say.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/dataplane.h"
#include "ptest/run.h"

#define PORT_FIRST 1024u
#define PORTS	   (65536u - PORT_FIRST)
#define PORT_STEP  7919u /* a prime that does not divide PORTS: each port once, in no order */

enum fate {
	FATE_DROPPED,
	FATE_UP,  /* to the stack */
	FATE_OUT, /* sent off by the program */
};

struct wire {
	const struct ptest_try *try;
	const struct network_device *uplink, *workload;
	const struct network_device *client; /* the edge where the client is */
	struct packet_tuple sent, arrived;   /* before and after translation */
	struct ptest_reached reached;
	bool forwarded; /* sent off, not handed to the stack */
	struct packet packet;
};

/* ---- the edges --------------------------------------------------------------------- */

/* @return 0, or -EPROTO with a fault: no program of ours should answer that */
static int odd_action(struct wire *w, const char *hook, int action)
{
	ptest_seen_fault(w->try->seen, "%s returned the action %d", hook, action);
	return -EPROTO;
}

static int tc_fate(struct wire *w, int action, enum fate *out)
{
	switch (action) {
	case TC_ACT_UNSPEC:
	case TC_ACT_OK:
		*out = FATE_UP;
		return 0;
	case TC_ACT_SHOT:
		*out = FATE_DROPPED;
		return 0;
	case TC_ACT_REDIRECT:
		*out = FATE_OUT;
		return 0;
	default:
		return odd_action(w, "tc", action);
	}
}

/* Into the node by @device: XDP first, where that is what is tested. */
static int arrive(struct wire *w, const struct network_device *device, enum fate *out,
		  struct err *err)
{
	struct rig_run run = { .ifindex = device->ifindex, .packet = &w->packet };
	int ret;

	if (w->try->hook == PTEST_XDP && device == w->uplink) {
		ret = rig_xdp(w->try->rig, &run, err);
		if (ret)
			return ret;
		*out = run.action == XDP_DROP ? FATE_DROPPED : FATE_OUT;
		if (run.action == XDP_DROP || run.action == XDP_TX || run.action == XDP_REDIRECT)
			return 0;
		if (run.action != XDP_PASS)
			return odd_action(w, "xdp", run.action);
	}
	ret = rig_tc(w->try->rig, &run, err);
	return ret ? ret : tc_fate(w, run.action, out);
}

static int leave(struct wire *w, const struct network_device *device, enum fate *out,
		 struct err *err)
{
	struct rig_run run = { .ifindex = device->ifindex, .egress = true, .packet = &w->packet };
	int ret = rig_tc(w->try->rig, &run, err);

	return ret ? ret : tc_fate(w, run.action, out);
}

/* ---- what is wrong ------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static int fault(struct wire *w, const char *fmt, ...)
{
	char name[ADDR_PORT_STRLEN], text[320];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	ptest_seen_fault(w->try->seen, "connection from %s: %s",
			 addr_port_format(&w->sent.src, w->sent.sport, name), text);
	return -EPROTO;
}

static const char *fate_name(enum fate fate)
{
	static const char *const names[] = { "dropped", "handed to the stack", "sent off" };

	return names[fate];
}

/* Addresses and ports first: where these are wrong, no single byte explains it. */
static int check_tuple(struct wire *w, const char *what, const struct packet_tuple *wanted)
{
	char names[4][ADDR_PORT_STRLEN];
	struct packet_tuple got;

	if (!packet_tuple(&w->packet, &got))
		return fault(w, "%s can't be read any more", what);
	if (addr_eq(&got.src, &wanted->src) && addr_eq(&got.dst, &wanted->dst) &&
	    got.sport == wanted->sport && got.dport == wanted->dport)
		return 0;
	return fault(w, "%s says %s to %s, not %s to %s", what,
		     addr_port_format(&got.src, got.sport, names[0]),
		     addr_port_format(&got.dst, got.dport, names[1]),
		     addr_port_format(&wanted->src, wanted->sport, names[2]),
		     addr_port_format(&wanted->dst, wanted->dport, names[3]));
}

/* Has the packet come to @wanted, saying @spec? @what names it in messages. */
static int check(struct wire *w, const char *what, enum fate fate, enum fate wanted,
		 const struct packet_spec *spec)
{
	char why[PACKET_WHY_LEN];

	if (fate == FATE_DROPPED)
		return fault(w, "%s was dropped (%s)", what,
			     reason_word(rig_drop_reason(w->try->rig)));
	if (check_tuple(w, what, &spec->tuple))
		return -EPROTO;
	if (fate != wanted)
		return fault(w, "%s was %s, not %s", what, fate_name(fate), fate_name(wanted));
	if (!packet_is(&w->packet, spec, why))
		return fault(w, "%s: %s", what, why);
	return 0;
}

/* What a program sends off is on its way by @device: to the neighbour there. */
static int check_hop(struct wire *w, const char *what, const struct network_device *device)
{
	if (!memcmp(w->packet.b, device->peer_mac, 6) && !memcmp(w->packet.b + 6, device->mac, 6))
		return 0;
	return fault(w, "%s was sent off with other MAC addresses than those of its next hop",
		     what);
}

/* ---- the steps ----------------------------------------------------------------------- */

static struct packet_spec spec_in(const struct network_device *device,
				  const struct packet_tuple *tuple, enum packet_kind kind)
{
	struct packet_spec spec = { .tuple = *tuple, .kind = kind, .ttl = PACKET_TTL };

	memcpy(spec.dmac, device->mac, 6);
	memcpy(spec.smac, device->peer_mac, 6);
	return spec;
}

static bool to_node_itself(const struct wire *w)
{
	return network_owns(rig_network(w->try->rig), &w->reached.target.addr);
}

static const struct network_device *backend_edge(const struct wire *w)
{
	return w->reached.local && !to_node_itself(w) ? w->workload : w->uplink;
}

/* The packet, from the client's edge to the backend's; it is the client's @kind. */
static int check_there(struct wire *w, enum fate fate, enum packet_kind kind, struct err *err)
{
	struct packet_spec spec = spec_in(w->client, &w->arrived, kind);
	enum fate wanted = w->forwarded ? FATE_OUT : FATE_UP;
	int ret;

	spec.ttl = (uint8_t)(PACKET_TTL - w->forwarded);
	ret = check(w, "the packet to the backend", fate, wanted, &spec);
	if (!ret && w->forwarded)
		ret = check_hop(w, "the packet to the backend", backend_edge(w));
	if (ret || (!w->forwarded && to_node_itself(w)))
		return ret;
	ret = leave(w, backend_edge(w), &fate, err);
	return ret ? ret
		   : check(w, "the packet to the backend, on its way out", fate, FATE_UP, &spec);
}

/* From the backend's edge to the client's, where its reply is to come from the virtual address. */
static int check_back(struct wire *w, struct err *err)
{
	const struct packet_tuple there = packet_reverse(&w->arrived);
	const struct packet_tuple back = packet_reverse(&w->sent);
	struct packet_spec spec = spec_in(backend_edge(w), &there, PACKET_ANSWER);
	enum fate fate = FATE_UP;
	int ret = 0;

	packet_make(&spec, &w->packet);
	if (w->forwarded || !to_node_itself(w))
		ret = arrive(w, backend_edge(w), &fate, err);
	if (ret)
		return ret;
	if (w->forwarded) {
		spec.tuple = back;
		spec.ttl--;
		ret = check(w, "the reply", fate, FATE_OUT, &spec);
		return ret ? ret : check_hop(w, "the reply", w->client);
	}
	ret = check(w, "the reply, on its way in", fate, FATE_UP, &spec);
	if (!ret)
		ret = leave(w, w->client, &fate, err);
	if (ret)
		return ret;
	spec.tuple = back;
	return check(w, "the reply", fate, FATE_UP, &spec);
}

/* A packet of the connection, now that it is established: the same way. */
static int check_more(struct wire *w, struct err *err)
{
	const struct packet_spec spec = spec_in(w->client, &w->sent, PACKET_DATA);
	enum fate fate;
	int ret;

	packet_make(&spec, &w->packet);
	ret = arrive(w, w->client, &fate, err);
	return ret ? ret : check_there(w, fate, PACKET_DATA, err);
}

/* @return 0, or -EPROTO where the connection could never come about */
static int count_source(struct wire *w)
{
	struct ptest_seen *seen = w->try->seen;
	bool kept = addr_eq(&w->sent.src, &w->arrived.src);

	if (addr_eq(&w->sent.src, &w->arrived.dst)) {
		seen->hairpins++;
		if (kept)
			return fault(w, "the backend is the client itself, whose address was kept: "
					"its reply would never leave it");
	} else if (!kept) {
		seen->replaced++;
	} else if (w->reached.local || w->try->flow->from == PTEST_POD) {
		seen->kept_near++;
	} else {
		seen->kept_far++;
	}
	return 0;
}

static int follow(struct wire *w, enum fate fate, struct err *err)
{
	struct ptest_seen *seen = w->try->seen;
	int ret;

	w->forwarded = fate == FATE_OUT;
	w->reached.target = (struct ptest_target){ w->arrived.dst, w->arrived.dport };
	w->reached.local = ptest_is_local(w->try->rig, &w->reached.target);
	if (ptest_seen_add(seen, &w->reached))
		return err_system(err, -ENOMEM, "count the backends");
	ret = count_source(w);
	if (!ret)
		ret = check_there(w, fate, PACKET_OPEN, err);
	if (!ret)
		ret = check_back(w, err);
	if (!ret)
		ret = check_more(w, err);
	return ret;
}

/* The first packet has come through the client's edge: what has become of it? */
static int first(struct wire *w, const struct packet *question, enum fate fate, struct err *err)
{
	struct ptest_seen *seen = w->try->seen;
	char why[PACKET_WHY_LEN] = "";

	if (fate == FATE_DROPPED) {
		seen->verdict = PTEST_DROP;
	} else if (fate == FATE_UP && packet_eq(&w->packet, question)) {
		seen->verdict = PTEST_PASS;
	} else if (fate == FATE_OUT && packet_refuses(&w->packet, question, why)) {
		seen->verdict = PTEST_REJECT;
		if (why[0])
			return fault(w, "rejected, but %s", why);
	} else {
		seen->verdict = PTEST_FORWARD;
		if (!packet_tuple(&w->packet, &w->arrived) ||
		    (addr_eq(&w->arrived.dst, &w->sent.dst) && w->arrived.dport == w->sent.dport))
			return fault(w, "the packet was changed, but not translated");
		return follow(w, fate, err);
	}
	return 0;
}

int wire_try(const struct ptest_try *try, struct err *err)
{
	const struct network *network = rig_network(try->rig);
	const struct ptest_flow *flow = try->flow;
	struct wire w = {
		.try = try,
		.uplink = network_uplink(network),
		.workload = network_workload(network),
		.sent = { .src = flow->src,
			  .dst = flow->dst.addr,
			  .dport = flow->dst.port,
			  .proto = flow->proto },
	};
	struct packet_spec spec;
	struct packet question;
	enum fate fate;
	int ret;

	w.client = flow->from == PTEST_POD ? w.workload : w.uplink;
	w.sent.sport = htons((uint16_t)(PORT_FIRST + try->number * PORT_STEP % PORTS));
	spec = spec_in(w.client, &w.sent, PACKET_OPEN);
	packet_make(&spec, &question);
	w.packet = question;
	ret = arrive(&w, w.client, &fate, err);
	if (!ret)
		ret = first(&w, &question, fate, err);
	/* What is wrong with a packet is a finding, not a failure of the test. */
	return ret == -EPROTO && try->seen->fault[0] ? 0 : ret;
}
