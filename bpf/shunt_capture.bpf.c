/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets of Services, for `shunt monitor --pcap`: programs of its own, first and last on the
 * hooks where ours stand between them. They change nothing, are pinned nowhere, and are gone with
 * the process that attached them. Linux 6.6 and later (TCX).
 *
 * A packet is a Service's if a flow says so, or, before its first one is bound, a frontend:
 *
 *	ingress, before	the flow that is met here; else the frontend it is sent to
 *	ingress, after	what it has become goes up the stack: its answer is met on egress
 *	egress, before	the flow that is met here
 *	egress, after	it has become what its client knows, or was sent on past the stack: the
 *			answer to it is met on ingress
 */
#include "ctx_tc.h"

#include "filter.h"
#include "flow.h"
#include "frontend.h"
#include "parse.h"
#include "shunt/capture.h"

const volatile __u32 sh_snaplen SEC(".rodata.capture") = SH_SNAPLEN_DEFAULT;
__u64 sh_capture_lost; /* packets that found the buffer full */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SH_CAPTURE_BUFFER_BYTES);
} shunt_captured SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sh_capture_buffer);
} shunt_capbuf SEC(".maps");

/* What is to be written of a packet that was found to be a Service's. */
struct sh_mark {
	__u32 service, backend;
};

static __always_inline bool sh_mark_flow(const struct sh_key *key, struct sh_mark *mark,
					 const bool v6)
{
	const struct sh_backend *backend;
	struct sh_hit hit;
	int index;

	index = sh_search_any(key, v6);
	if (index < 0 || !sh_hit_at((__u32)index, &hit, v6))
		return false;
	mark->backend = hit.flow->backend;
	backend = sh_flow_backend(hit.flow);
	mark->service = backend ? backend->service : 0;
	return true;
}

static __always_inline bool sh_mark_frontend(struct sh_scratch *scratch, struct sh_mark *mark,
					     const bool v6)
{
	struct sh_choice *c = &scratch->choice;
	const struct sh_frontend *fe;

	sh_ask(c, &scratch->key, v6);
	c->loopback = 0;
	fe = sh_frontend_at(&c->virt, c->port, c->proto);
	if (!fe)
		fe = sh_node_port_at(c);
	if (!fe)
		fe = sh_frontend_at(&c->virt, 0, 0);
	if (fe)
		mark->service = fe->service;
	return fe;
}

/* The key of the answer, where that is met. */
static __always_inline void sh_turn(struct sh_key *key)
{
	struct sh_key was = *key;

	for (int i = 0; i < 2; i++) {
		key->src[i] = was.dst[i];
		key->dst[i] = was.src[i];
	}
	key->sport = was.dport;
	key->dport = was.sport;
	key->direction = was.direction == SH_INGRESS ? SH_EGRESS : SH_INGRESS;
}

static __always_inline void sh_write(struct __sk_buff *skb, const struct sh_key *key,
				     const struct sh_mark *mark, bool after, const bool v6)
{
	__u32 zero = 0, bytes = skb->len < sh_snaplen ? skb->len : sh_snaplen;
	struct sh_capture_buffer *buffer = bpf_map_lookup_elem(&shunt_capbuf, &zero);

	if (!buffer || !bytes)
		return;
	bytes--;
	asm volatile("" : "+r"(bytes)); /* so that the verifier sees what bounds it */
	bytes = (bytes & (SH_SNAPLEN_MAX - 1)) + 1;
	buffer->head = (struct sh_captured){
		.ns = bpf_ktime_get_ns(),
		.service = mark->service,
		.backend = mark->backend,
		.ifindex = skb->ifindex,
		.len = skb->len,
		.bytes = bytes,
		.direction = key->direction,
		.after = after,
	};
	sh_addr_from_word(&buffer->head.src, key->src, v6);
	sh_addr_from_word(&buffer->head.dst, key->dst, v6);
	if (bpf_skb_load_bytes(skb, 0, buffer->b, bytes))
		return;
	if (bpf_ringbuf_output(&shunt_captured, buffer, sizeof(buffer->head) + bytes, 0))
		__sync_fetch_and_add(&sh_capture_lost, 1);
}

static __always_inline void sh_capture_ip(struct __sk_buff *skb, const struct sh_pkt *pkt,
					  bool after, const bool v6)
{
	struct sh_scratch *scratch = sh_scratch();
	struct sh_mark mark = {};
	struct sh_key key = pkt->key;
	bool ours;

	if (!scratch || pkt->later_fragment)
		return;
	scratch->key = key;
	if (after) {
		sh_turn(&scratch->key);
		ours = sh_filter_maybe(&scratch->key, v6) && sh_mark_flow(&scratch->key, &mark, v6);
	} else {
		ours = sh_filter_maybe(&key, v6) &&
		       (sh_mark_flow(&scratch->key, &mark, v6) ||
			(key.direction == SH_INGRESS && sh_mark_frontend(scratch, &mark, v6)));
	}
	if (ours)
		sh_write(skb, &key, &mark, after, v6);
}

static __always_inline int sh_capture(struct __sk_buff *skb, enum sh_direction direction,
				      bool after)
{
	struct sh_pkt pkt = { .key = { .direction = direction } };
	struct sh_cursor cursor;

	sh_ctx_prepare(skb);
	cursor.pos = sh_ctx_data(skb);
	cursor.end = sh_ctx_end(skb);
	if (!sh_parse_eth(&cursor, &pkt))
		return TC_ACT_UNSPEC;
	if (pkt.proto == ETH_P_IP && sh_parse_ip(skb, &cursor, &pkt, false))
		sh_capture_ip(skb, &pkt, after, false);
	else if (pkt.proto == ETH_P_IPV6 && sh_parse_ip(skb, &cursor, &pkt, true))
		sh_capture_ip(skb, &pkt, after, true);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int shunt_cap_in(struct __sk_buff *skb)
{
	return sh_capture(skb, SH_INGRESS, false);
}

SEC("tc")
int shunt_cap_in2(struct __sk_buff *skb)
{
	return sh_capture(skb, SH_INGRESS, true);
}

SEC("tc")
int shunt_cap_out(struct __sk_buff *skb)
{
	return sh_capture(skb, SH_EGRESS, false);
}

SEC("tc")
int shunt_cap_out2(struct __sk_buff *skb)
{
	return sh_capture(skb, SH_EGRESS, true);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
