/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What happens to a packet, from top to bottom:
 *
 *	parse      bytes -> key                              parse.h
 *	prefilter  not ours? out as it came                  filter.h
 *	flow       known? its entry holds the whole rewrite   flow.h
 *	new flow   frontend -> backend -> source -> bind      frontend.h, bind.h
 *	next hop   of a masqueraded flow                      forward.h
 *	rewrite    addresses, ports, checksums                rewrite.h
 *
 * The including file chooses the hook: ctx_tc.h or ctx_xdp.h comes first.
 */
#ifndef SHUNT_BPF_DATAPATH_H
#define SHUNT_BPF_DATAPATH_H

#include "bind.h"
#include "filter.h"
#include "flow.h"
#include "forward.h"
#if !SH_CTX_XDP
#include "fragment.h"
#include "icmp.h"
#endif
#include "parse.h"
#include "rewrite.h"

/* ---- what a trace shows ---------------------------------------------------- */

static __always_inline void sh_trace_flow(const struct sh_hit *hit)
{
	sh_trace_args(SH_TRACE_FLOW, sh_state(hit->word), hit->flow->backend, hit->flow->flags, 0);
}

static __always_inline void sh_trace_rewrite(const struct sh_rewrite *rw, const bool v6)
{
	struct sh_trace_record *record = sh_trace_next(SH_TRACE_REWRITE);

	if (!record)
		return;
	sh_addr_from_word(&record->src, rw->src, v6);
	sh_addr_from_word(&record->dst, rw->dst, v6);
	record->sport = (__be16)((const __u16 *)&rw->ports)[0];
	record->dport = (__be16)((const __u16 *)&rw->ports)[1];
}

/* ---- the stages ------------------------------------------------------------ */

/* All that is taken from a flow's entry, at one go. */
struct sh_plan {
	struct sh_rewrite rw;
	struct sh_hop hop;
	bool forward;
	bool cut; /* into fragments, when all else is done */
};

/* @return false: the entry is another flow's by now */
static __always_inline bool sh_plan_load(struct sh_plan *plan, const struct sh_hit *hit,
					 enum sh_direction direction, const bool v6)
{
	const struct sh_flow *flow = hit->flow;

	sh_rewrite_from(&plan->rw, flow, v6);
	/* What leaves the node has been through the stack: its way is known. */
	plan->forward = direction == SH_INGRESS && flow->flags & SH_FLOW_FORWARD;
	plan->cut = false;
	plan->hop = (struct sh_hop){}; /* whole: Linux 6.1 can't tell which part is used */
	if (plan->forward && flow->ifindex && flow->epoch == sh_route_epoch()) {
		plan->hop.ifindex = flow->ifindex;
		plan->hop.mtu = flow->mtu;
		sh_hop_load(&plan->hop, flow->dmac, flow->smac);
	}
	return sh_hit_holds(hit, plan->rw.src[1] | plan->rw.dst[1] | plan->rw.ports |
					 plan->hop.ifindex | plan->hop.dmac_high);
}

/*
 * The only call on an established packet's way: what the packet says is taken
 * from its flow, so that nothing has to be kept for this.
 */
static __always_inline void sh_trace_plan(const struct sh_plan *plan, const struct sh_hit *hit,
					  const bool v6)
{
	struct sh_scratch *scratch = sh_scratch(); /* the stack has no room for a key */

	if (scratch && !sh_trace_at()->n) {
		sh_flow_key(&scratch->key, hit->flow, v6);
		sh_trace_packet(&scratch->key, true, v6);
		sh_trace_flow(hit);
	}
	sh_trace_rewrite(&plan->rw, v6);
	if (plan->forward && plan->hop.ifindex)
		sh_trace_args(SH_TRACE_NEXT_HOP, plan->hop.ifindex, plan->hop.resolved, 0, 0);
}

/* What no flow is known of, and no frontend was asked for, ends here. */
#define sh_drop_packet(ctx, key, reason, v6)                    \
	({                                                      \
		struct sh_scratch *at = sh_scratch();           \
                                                                \
		if (at) {                                       \
			at->ifindex = sh_ctx_ifindex(ctx);      \
			sh_ask(&at->choice, key, v6);           \
		}                                               \
		at ? sh_drop(&at->choice, 0, reason) : SH_DROP; \
	})

/* The flow's next hop, asked of the kernel and kept. */
static __always_inline enum sh_verdict sh_next_hop(sh_ctx *ctx, struct sh_plan *plan,
						   const struct sh_pkt *pkt,
						   const struct sh_hit *hit, const bool v6)
{
	struct sh_scratch *scratch = sh_scratch();
	struct sh_route *route;
	int ret;

	if (!scratch)
		return SH_PASS;
	route = &scratch->route;
	scratch->ifindex = sh_ctx_ifindex(ctx);
	for (int i = 0; i < 2; i++) {
		route->key.src[i] = plan->rw.src[i];
		route->key.dst[i] = plan->rw.dst[i];
	}
	route->key.proto = pkt->key.proto;
	route->ifindex = sh_ctx_ifindex(ctx);
	route->bytes = (__u16)sh_ctx_len_from(ctx, pkt->l3);
	ret = v6 ? sh_route6(ctx, route) : sh_route4(ctx, route);
	plan->hop.ifindex = route->ifindex;
	plan->hop.mtu = route->mtu;
	plan->hop.resolved = false;
	if (sh_config.trace)
		sh_trace_args(SH_TRACE_NEXT_HOP, route->ifindex, !ret, 0, 0);
	if (ret == BPF_FIB_LKUP_RET_NO_NEIGH)
		return SH_CTX_XDP ? SH_PUNT : SH_NEXT;
	if (ret != BPF_FIB_LKUP_RET_SUCCESS)
		return SH_CTX_XDP ? SH_PUNT : sh_drop_flow(hit->flow, SH_REASON_NO_ROUTE, v6);
	sh_hop_keep(hit->flow, route, sh_route_epoch());
	sh_hop_load(&plan->hop, route->dmac, route->smac);
	return SH_NEXT;
}

static __always_inline bool sh_ttl_spent(const struct sh_pkt *pkt, const bool v6)
{
	return v6 ? ((struct ipv6hdr *)pkt->l3)->hop_limit <= 1
		  : ((struct iphdr *)pkt->l3)->ttl <= 1;
}

/* @return SH_NEXT and @hit, or the packet's end */
static __always_inline enum sh_verdict sh_find_or_bind(sh_ctx *ctx, const struct sh_pkt *pkt,
						       struct sh_plan *plan, struct sh_hit *hit,
						       const bool v6)
{
	bool found = sh_flow_find(&pkt->key, hit, v6);
	enum sh_verdict verdict;
	__u32 index = 0;

	if (found && !sh_flow_steady(hit, &pkt->key, pkt->tcp_flags)) {
		struct sh_scratch *scratch = sh_scratch();
		int ret = SH_PASS;

		if (scratch) {
			scratch->ifindex = sh_ctx_ifindex(ctx);
			scratch->touch.key = pkt->key;
			scratch->touch.tcp_flags = pkt->tcp_flags;
			scratch->touch.rebuilt = false;
			ret = sh_flow_touch_any(&scratch->touch, v6);
		}
		if (scratch && ret == SH_TOUCH_REBUILD) {
			sh_insert_any(&scratch->peer, v6);
			scratch->touch.rebuilt = true;
			ret = sh_flow_touch_any(&scratch->touch, v6);
		}
		if (sh_config.trace && scratch && ret != SH_NEXT) {
			sh_trace_packet(&scratch->touch.key, true, v6);
			sh_trace_flow(hit);
		}
		if (ret == SH_DROP)
			return sh_reject_flow(hit->flow, SH_REASON_BACKEND_GONE, v6);
		hit->word = *(volatile __u32 *)hit->word_at;
		found = ret == SH_NEXT && sh_flow_is(hit->flow, &pkt->key, v6);
	}
	if (found && sh_plan_load(plan, hit, pkt->key.direction, v6))
		return SH_NEXT;
	if (pkt->key.direction == SH_EGRESS)
		return SH_PASS;
	if (sh_standing() >= SH_STAND_BEFORE)
		return SH_CTX_XDP ? SH_PUNT : SH_PASS;
	verdict = sh_new_flow(ctx, pkt, &index, v6);
	if (verdict)
		return verdict;
	if (!sh_hit_at(index, hit, v6) || !sh_plan_load(plan, hit, pkt->key.direction, v6))
		return sh_drop_packet(ctx, &pkt->key, SH_REASON_FLOW_TABLE_FULL, v6);
	return SH_NEXT;
}

#if SH_CTX_XDP

/* XDP leaves to TC what needs an answer or more than one packet, and what has no ports. */
static __always_inline enum sh_verdict sh_answer(sh_ctx *ctx, const struct sh_pkt *pkt,
						 enum sh_verdict verdict, const bool v6)
{
	return verdict;
}

static __always_inline enum sh_verdict sh_lost(sh_ctx *ctx, const struct sh_pkt *pkt,
					       const struct sh_hit *hit, enum sh_reason reason,
					       const bool v6)
{
	return SH_PUNT;
}

static __always_inline enum sh_verdict sh_large(sh_ctx *ctx, const struct sh_pkt *pkt,
						struct sh_plan *plan, const struct sh_hit *hit,
						const bool v6)
{
	return SH_PUNT;
}

static __always_inline enum sh_verdict sh_cut_up(sh_ctx *ctx, const struct sh_plan *plan,
						 const struct sh_hit *hit)
{
	return SH_PUNT;
}

static __always_inline enum sh_verdict sh_special(sh_ctx *ctx, struct sh_pkt *pkt, const bool v6)
{
	return sh_is_icmp(pkt, v6) || pkt->fragment ? SH_PUNT : SH_NEXT;
}

#else

static __always_inline struct sh_question *sh_question(sh_ctx *ctx, const struct sh_pkt *pkt,
						       const bool v6)
{
	struct sh_scratch *scratch = sh_scratch();
	struct sh_question *q;

	if (!scratch)
		return NULL;
	scratch->ifindex = sh_ctx_ifindex(ctx);
	q = &scratch->question;
	q->key = pkt->key;
	q->l3 = (__u32)(pkt->l3 - sh_ctx_data(ctx));
	q->l4 = q->l3 + pkt->l4;
	q->l3_bytes = v6 ? bpf_ntohs(((struct ipv6hdr *)pkt->l3)->payload_len) +
				      (__u32)sizeof(struct ipv6hdr)
			 : bpf_ntohs(((struct iphdr *)pkt->l3)->tot_len);
	return q;
}

/* A packet that is refused, or that dies here, is answered where it may be. */
static __always_inline enum sh_verdict sh_answer(sh_ctx *ctx, const struct sh_pkt *pkt,
						 enum sh_verdict verdict, const bool v6)
{
	struct sh_question *q;

	if (verdict != SH_REJECT)
		return verdict;
	q = sh_question(ctx, pkt, v6);
	if (!q || pkt->later_fragment)
		return SH_DROP;
	verdict = (enum sh_verdict)sh_answer_refused(ctx, q, v6);
	return verdict;
}

/* A packet of a known flow ends here, and its sender is told why. */
static __always_inline enum sh_verdict sh_lost(sh_ctx *ctx, const struct sh_pkt *pkt,
					       const struct sh_hit *hit, enum sh_reason reason,
					       const bool v6)
{
	struct sh_question *q = sh_question(ctx, pkt, v6);

	sh_drop_flow(hit->flow, reason, v6);
	if (!q || pkt->later_fragment)
		return SH_DROP;
	return (enum sh_verdict)sh_answer_lost(ctx, q, reason, v6);
}

/*
 * More than its way out takes: is not so where the kernel will segment it, and
 * can be helped where it may be cut. @return SH_NEXT, or its end
 */
static __always_inline enum sh_verdict sh_large(sh_ctx *ctx, const struct sh_pkt *pkt,
						struct sh_plan *plan, const struct sh_hit *hit,
						const bool v6)
{
	struct sh_question *q = sh_question(ctx, pkt, v6);

	if (!q)
		return SH_DROP;
	q->mtu = plan->hop.mtu;
	if (sh_segments_fit(ctx, q))
		return SH_NEXT;
	if (!v6 && !(((struct iphdr *)pkt->l3)->frag_off & bpf_htons(IP_DF))) {
		plan->cut = true;
		return SH_NEXT;
	}
	return sh_lost(ctx, pkt, hit, SH_REASON_TOO_BIG, v6);
}

/*
 * Into pieces that leave by the way out, the last by the caller. While the
 * neighbour is unknown the first one is all that the kernel can be given to
 * ask for it. @return SH_NEXT, or SH_DROP
 */
static __always_inline enum sh_verdict sh_cut_up(sh_ctx *ctx, const struct sh_plan *plan,
						 const struct sh_hit *hit)
{
	__u32 ifindex = plan->hop.resolved ? plan->hop.ifindex : 0;
	struct sh_scratch *scratch = sh_scratch();
	int done = SH_CUT_NOT;

	if (scratch)
		done = sh_cut(ctx, &scratch->question, ifindex);
	if (done != SH_CUT_WHOLE)
		sh_drop_flow(hit->flow, SH_REASON_TOO_BIG, false);
	return done == SH_CUT_NOT ? SH_DROP : SH_NEXT;
}

/* ICMP, and fragments. @return SH_NEXT: an ordinary packet, its key complete */
static __always_inline enum sh_verdict sh_special(sh_ctx *ctx, struct sh_pkt *pkt, const bool v6)
{
	struct sh_question *q;
	enum sh_verdict verdict;

	if (sh_is_icmp(pkt, v6)) {
		q = sh_question(ctx, pkt, v6);
		if (!q)
			return SH_PASS;
		verdict = (enum sh_verdict)(v6 ? sh_icmp6(ctx, q) : sh_icmp4(ctx, q));
		return verdict;
	}
	if (pkt->later_fragment && !sh_fragment_recall(pkt))
		return pkt->key.direction == SH_INGRESS && sh_filter_maybe(&pkt->key, v6)
			       ? sh_drop_packet(ctx, &pkt->key, SH_REASON_FRAGMENT, v6)
			       : SH_PASS;
	return SH_NEXT;
}

#endif

/* One packet of a protocol of ours. */
static __always_inline enum sh_verdict sh_translate(sh_ctx *ctx, struct sh_pkt *pkt, const bool v6)
{
	enum sh_verdict verdict;
	struct sh_plan plan;
	struct sh_hit hit;

	if (sh_unlearnt(pkt->fragment) || sh_is_icmp(pkt, v6)) {
		verdict = sh_special(ctx, pkt, v6);
		if (verdict)
			return verdict;
	}
	if (!sh_filter_maybe(&pkt->key, v6)) {
		if (sh_config.trace)
			sh_trace_packet(&pkt->key, false, v6);
		return SH_PASS;
	}
#if !SH_CTX_XDP
	if (pkt->fragment && !pkt->later_fragment)
		sh_fragment_remember(pkt);
#endif
	verdict = sh_find_or_bind(ctx, pkt, &plan, &hit, v6);
	if (verdict)
		return sh_answer(ctx, pkt, verdict, v6);
	if (sh_config.trace)
		sh_trace_plan(&plan, &hit, v6);
	if (plan.forward) {
		if (sh_ttl_spent(pkt, v6))
			return sh_lost(ctx, pkt, &hit, SH_REASON_TTL, v6);
		if (!plan.hop.ifindex) {
			verdict = sh_next_hop(ctx, &plan, pkt, &hit, v6);
			if (verdict)
				return verdict;
		}
		if (SH_CTX_XDP && plan.hop.ifindex != sh_ctx_ifindex(ctx))
			return SH_PUNT; /* that device may not take XDP's frames; TC can */
		if (sh_ctx_len_from(ctx, pkt->l3) > plan.hop.mtu) {
			verdict = sh_large(ctx, pkt, &plan, &hit, v6);
			if (verdict)
				return verdict;
		}
	}
	hit.flow->packets++;
	hit.flow->bytes += sh_ctx_len(ctx);
	if (plan.forward && plan.hop.resolved)
		sh_hop_store(ctx, &plan.hop);
	sh_rewrite_l3(ctx, pkt, &plan.rw, plan.forward, v6);
	if (!sh_rewrite_l4(ctx, pkt, &plan.rw, v6)) {
		sh_note_device(ctx);
		return sh_drop_flow(hit.flow, SH_REASON_REWRITE, v6);
	}
	if (!plan.forward)
		return SH_PASS;
	if (!v6 && plan.cut && sh_cut_up(ctx, &plan, &hit))
		return SH_DROP;
	sh_ctx_leave(ctx, plan.hop.ifindex, plan.hop.resolved);
	return SH_FORWARD;
}

/* The whole of it, for one hook. */
static __always_inline enum sh_verdict sh_datapath(sh_ctx *ctx, enum sh_direction direction)
{
	struct sh_pkt pkt = { .key = { .direction = direction } };
	struct sh_cursor cursor;

	sh_ctx_prepare(ctx);
	cursor.pos = sh_ctx_data(ctx);
	cursor.end = sh_ctx_end(ctx);
	if (!sh_parse_eth(&cursor, &pkt))
		return SH_PASS;
	if (pkt.proto == ETH_P_IP && sh_parse_ip(ctx, &cursor, &pkt, false))
		return sh_translate(ctx, &pkt, false);
	if (pkt.proto == ETH_P_IPV6 && sh_parse_ip(ctx, &cursor, &pkt, true))
		return sh_translate(ctx, &pkt, true);
	return SH_PASS;
}

#endif
