/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every drop passes here: it has a reason, is counted by it and by Service, and
 * is told to whoever listens. So is what else is worth an event: all of it off
 * the hot path, and for one load where nobody listens.
 */
#ifndef SHUNT_BPF_REPORT_H
#define SHUNT_BPF_REPORT_H

#include "scratch.h"
#include "trace.h"

/* ---- events ---------------------------------------------------------------- */

/* The place in the source where this stands, for the event that is raised there. */
#define SH_FILE_IS(id, name) __builtin_strcmp(__FILE_NAME__, name) == 0 ? SH_FILE_##id:
#define SH_FILE_HERE	     (SH_FILES(SH_FILE_IS) SH_FILE_NONE)
#define SH_PLACE                                                                           \
	({                                                                                 \
		_Static_assert(SH_FILE_HERE != SH_FILE_NONE, "not in SH_FILES, events.h"); \
		(__u32)SH_FILE_HERE << 16 | __LINE__;                                      \
	})

/* Kind, flags and reason of an event, in one argument. */
#define SH_WHAT(kind, flags, reason) ((__u32)(kind) | (__u32)(flags) << 8 | (__u32)(reason) << 16)
#define SH_WHAT_KIND(what)	     ((what) & 0xff)
#define SH_WHAT_FLAGS(what)	     ((what) >> 8 & 0xff)
#define SH_WHAT_REASON(what)	     ((what) >> 16)

static __always_inline struct sh_listeners *sh_listeners(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&shunt_listeners, &zero);
}

/* Does anybody listen to events of this kind? */
static __always_inline bool sh_anybody(__u32 kind)
{
	const struct sh_listeners *all = sh_listeners();

	return all && *(const volatile __u32 *)&all->any >> (kind & 7) & 1;
}

/* A bucket of one second's tokens. @return false: it is empty */
static __always_inline bool sh_heard_token(struct sh_heard *heard, __u32 rate, __u64 now)
{
	__u64 elapsed = now - heard->jiffies, more;

	if (elapsed >= sh_config.hz) {
		heard->tokens = rate;
		heard->jiffies = now;
	} else {
		more = elapsed * rate / sh_config.hz;
		if (more) {
			more += heard->tokens;
			heard->tokens = more < rate ? (__u32)more : rate;
			heard->jiffies = now;
		}
	}
	if (!heard->tokens)
		return false;
	heard->tokens--;
	return true;
}

/*
 * @event to the listener of that number, if he wants it. One who has given no
 * sign of life was killed, and is taken off. If he lives after all he puts himself
 * back with his next one, as does one who takes his place in this very moment.
 * @return what he listens to
 */
__noinline int sh_tell_one(const struct sh_event *event, __u32 number)
{
	struct sh_listeners *all = sh_listeners();
	struct sh_listener *to;
	struct sh_heard *heard;
	__u32 kinds;
	void *ring;

	if (!event || !all || number >= SH_LISTENERS_MAX)
		return 0;
	to = &all->v[number];
	kinds = *(volatile __u32 *)&to->kinds;
	if (kinds && (__s32)((__u32)bpf_jiffies64() - to->beat) >
			     (__s32)(SH_LISTENER_EXPIRES_S * sh_config.hz))
		to->kinds = kinds = 0;
	if (!(kinds >> (event->kind & 7) & 1))
		return (int)kinds;
	if (event->reason && !(to->reasons >> (event->reason & 63) & 1))
		return (int)kinds;
	heard = bpf_map_lookup_elem(&shunt_heard, &number);
	ring = bpf_map_lookup_elem(&shunt_events, &number);
	if (!heard || !ring)
		return (int)kinds;
	if (!sh_heard_token(heard, to->rate, bpf_jiffies64()))
		heard->limited++;
	else if (bpf_ringbuf_output(ring, (void *)event, sizeof(*event), 0))
		heard->overflow++;
	return (int)kinds;
}

/* To all who want it. */
static __always_inline void sh_tell(const struct sh_event *event)
{
	struct sh_listeners *all = sh_listeners();
	__u32 any, alive = 0;

	if (!all)
		return;
	any = *(volatile __u32 *)&all->any;
	for (__u32 i = 0; i < SH_LISTENERS_MAX; i++)
		alive |= (__u32)sh_tell_one(event, i);
	if (!alive)
		__sync_val_compare_and_swap(&all->any, any, any & ~0xffu);
}

/*
 * The event to be filled in: there is one on each CPU, for the stack has no room.
 * Packets don't interrupt each other, but a task that connects may find another
 * one's half written. It says nothing then: that is an event lost, and not counted.
 */
static __always_inline struct sh_event *sh_event_begin(struct sh_scratch *scratch, __u32 what,
						       __u32 place)
{
	struct sh_event *event = &scratch->event;

	if (__sync_lock_test_and_set(&scratch->telling, 1))
		return NULL;
	__builtin_memset(event, 0, sizeof(*event));
	event->ns = bpf_ktime_get_ns();
	event->line = (__u16)place;
	event->file = (__u8)(place >> 16);
	event->kind = (__u8)SH_WHAT_KIND(what);
	event->flags = (__u8)SH_WHAT_FLAGS(what);
	event->reason = (__u8)SH_WHAT_REASON(what);
	return event;
}

static __always_inline int sh_event_end(struct sh_scratch *scratch)
{
	sh_tell(&scratch->event);
	__sync_lock_test_and_set(&scratch->telling, 0);
	return 0;
}

/*
 * Of a packet that has no flow, or of a socket: what was asked. Flags with
 * SH_EVENT_TRANSLATED: and what was answered.
 */
__noinline int sh_tell_choice(const struct sh_choice *c, __u32 what, __u32 service, __u32 backend,
			      __u32 place)
{
	struct sh_scratch *scratch;
	struct sh_event *event;

	if (!c || !sh_anybody(SH_WHAT_KIND(what)))
		return 0;
	scratch = sh_scratch();
	event = scratch ? sh_event_begin(scratch, what, place) : NULL;
	if (!event)
		return 0;
	event->dst = c->virt;
	event->sport = c->client_port;
	event->dport = c->port;
	event->proto = c->proto;
	event->service = service;
	event->backend = backend;
#ifdef SH_CTX_XDP
	event->src = c->client;
	event->hook = SH_CTX_XDP ? SH_HOOK_XDP : SH_HOOK_INGRESS; /* egress asks nothing */
	event->ifindex = scratch->ifindex;
#else
	event->src = c->source;
	event->hook = SH_HOOK_SOCKET;
	if (event->flags & SH_EVENT_TRANSLATED) {
		event->to_src = c->source;
		event->to_dst = c->backend_addr;
		event->to_dport = c->backend_port;
	}
#endif
	return sh_event_end(scratch);
}

/* ---- drops ----------------------------------------------------------------- */

__noinline int sh_count_drop(__u32 service, __u32 reason)
{
	struct sh_drop_key key = { .service = service, .reason = reason };
	struct sh_drop none = {};
	struct sh_drop *drop;

	if (sh_config.trace)
		sh_trace_args(SH_TRACE_DROP, service, reason, 0, 0);
	drop = bpf_map_lookup_elem(&shunt_drops, &key);
	if (!drop) {
		/* Two CPUs may both make it: the loser's -EEXIST is as good. */
		bpf_map_update_elem(&shunt_drops, &key, &none, BPF_NOEXIST);
		drop = bpf_map_lookup_elem(&shunt_drops, &key);
	}
	if (!drop) /* the map is full: count it under no Service */
		return service ? -ENOSPC : 0;
	drop->packets++;
	drop->jiffies = bpf_jiffies64();
	return 0;
}

static __always_inline void sh_count_any(__u32 service, __u32 reason)
{
	if (sh_count_drop(service, reason))
		sh_count_drop(0, reason);
}

/* @what: SH_EVENT_DROP or SH_EVENT_REJECT, and the reason. */
__noinline int sh_end_choice(const struct sh_choice *c, __u32 what, __u32 service, __u32 place)
{
	sh_count_any(service, SH_WHAT_REASON(what));
	sh_tell_choice(c, what, service, 0, place);
	return 0;
}

static __always_inline enum sh_verdict sh_drop_at(const struct sh_choice *c, __u32 service,
						  enum sh_reason reason, __u32 place)
{
	sh_end_choice(c, SH_WHAT(SH_EVENT_DROP, 0, reason), service, place);
	return SH_DROP;
}

/*
 * Refused, and the sender is to know: RST, ICMP port unreachable,
 * ECONNREFUSED. XDP leaves it to TC to count and to tell.
 */
static __always_inline enum sh_verdict sh_reject_at(const struct sh_choice *c, __u32 service,
						    enum sh_reason reason, __u32 place)
{
#ifdef SH_PUNTS
	return SH_PUNT;
#else
	sh_end_choice(c, SH_WHAT(SH_EVENT_REJECT, 0, reason), service, place);
	return SH_REJECT;
#endif
}

/* A packet, or a socket, that belongs to no flow ends here. @c has been asked. */
#define sh_drop(c, service, reason)   sh_drop_at(c, service, reason, SH_PLACE)
#define sh_reject(c, service, reason) sh_reject_at(c, service, reason, SH_PLACE)

/* ---- of a flow --------------------------------------------------------------- */

#ifdef SH_CTX_XDP

/* The device that a packet is met at, for events: asked where the hot path has been left. */
static __always_inline void sh_note_device(const sh_ctx *ctx)
{
	struct sh_scratch *scratch = sh_scratch();

	if (scratch)
		scratch->ifindex = sh_ctx_ifindex(ctx);
}

static __always_inline void sh_event_addrs(struct sh_event *event, const struct sh_flow *flow,
					   const bool v6)
{
	const struct sh_flow6 *flow6 = (const struct sh_flow6 *)flow;

	if (v6) {
		event->src = flow6->saddr;
		event->dst = flow6->daddr;
		event->to_src = flow6->to_saddr;
		event->to_dst = flow6->to_daddr;
		return;
	}
	event->src.w[2] = event->dst.w[2] = SH_MAPPED_PREFIX;
	event->to_src.w[2] = event->to_dst.w[2] = SH_MAPPED_PREFIX;
	event->src.w[3] = flow->saddr;
	event->dst.w[3] = flow->daddr;
	event->to_src.w[3] = flow->to_saddr;
	event->to_dst.w[3] = flow->to_daddr;
}

static __always_inline int sh_tell_of(const struct sh_flow *flow, __u32 what, __u32 service,
				      __u32 place, const bool v6)
{
	struct sh_scratch *scratch = sh_scratch();
	struct sh_event *event = scratch ? sh_event_begin(scratch, what, place) : NULL;

	if (!event)
		return 0;
	sh_event_addrs(event, flow, v6);
	event->sport = flow->sport;
	event->dport = flow->dport;
	event->to_sport = flow->to_sport;
	event->to_dport = flow->to_dport;
	event->proto = flow->proto;
	event->service = service;
	event->backend = flow->backend;
	event->flags |= SH_EVENT_TRANSLATED | (flow->flags & SH_FLOW_REPLY ? SH_EVENT_REPLY : 0);
	event->hook = SH_CTX_XDP		     ? SH_HOOK_XDP
		      : flow->direction == SH_EGRESS ? SH_HOOK_EGRESS
						     : SH_HOOK_INGRESS;
	event->ifindex = scratch->ifindex;
	return sh_event_end(scratch);
}

static __always_inline int sh_report_flow(const struct sh_flow *flow, __u32 what, __u32 place,
					  const bool v6)
{
	__u32 index = SH_BACKEND_INDEX(flow->backend);
	const struct sh_backend *backend = bpf_map_lookup_elem(&shunt_backends, &index);
	__u32 service = backend && backend->id == flow->backend ? backend->service : 0;

	if (SH_WHAT_REASON(what))
		sh_count_any(service, SH_WHAT_REASON(what));
	if (sh_anybody(SH_WHAT_KIND(what)))
		sh_tell_of(flow, what, service, place, v6);
	return 0;
}

/* Count it where there is a reason, tell of it; the flow's Service is that of its backend. */
__noinline int sh_report_flow4(const struct sh_flow *flow, __u32 what, __u32 place)
{
	return flow ? sh_report_flow(flow, what, place, false) : 0;
}

__noinline int sh_report_flow6(const struct sh_flow6 *flow, __u32 what, __u32 place)
{
	return flow ? sh_report_flow(&flow->f, what, place, true) : 0;
}

static __always_inline void sh_report_at(const struct sh_flow *flow, __u32 what, __u32 place,
					 const bool v6)
{
	if (v6)
		sh_report_flow6((const struct sh_flow6 *)flow, what, place);
	else
		sh_report_flow4(flow, what, place);
}

/* Something became of a flow. */
#define sh_report(flow, kind, v6) sh_report_at(flow, SH_WHAT(kind, 0, 0), SH_PLACE, v6)
/* A packet of one ends here. */
#define sh_drop_flow(flow, reason, v6)                                               \
	({                                                                           \
		sh_report_at(flow, SH_WHAT(SH_EVENT_DROP, 0, reason), SH_PLACE, v6); \
		SH_DROP;                                                             \
	})
#ifdef SH_PUNTS
#define sh_reject_flow(flow, reason, v6) SH_PUNT
#else
#define sh_reject_flow(flow, reason, v6)                                               \
	({                                                                             \
		sh_report_at(flow, SH_WHAT(SH_EVENT_REJECT, 0, reason), SH_PLACE, v6); \
		SH_REJECT;                                                             \
	})
#endif

#endif

#endif
