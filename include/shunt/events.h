/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Events: what the programs tell those who listen, who that is, and what a
 * writer publishes. Each listener has a ring buffer of its own, which stands in
 * shunt_events by his number; an event goes to whoever asks for its kind.
 */
#ifndef SHUNT_EVENTS_H
#define SHUNT_EVENTS_H

#include "shunt/limits.h"
#include "shunt/types.h"

enum sh_event_kind {
	SH_EVENT_NONE = 0,
#define SH_EVENT(name, word, text) SH_EVENT_##name,
#include "shunt/events.def"
#undef SH_EVENT
	SH_EVENT_COUNT
};
#define SH_EVENT_KINDS ((1u << SH_EVENT_COUNT) - 2) /* all of them, as a mask */

/* Where in the programs' source an event is raised. */
#define SH_FILES(X)               \
	X(BIND, "bind.h")         \
	X(DATAPATH, "datapath.h") \
	X(FLOW, "flow.h")         \
	X(FRONTEND, "frontend.h") \
	X(ICMP, "icmp.h")         \
	X(SOCK, "shunt_sock.bpf.c")

enum sh_file {
	SH_FILE_NONE = 0,
#define X(id, name) SH_FILE_##id,
	SH_FILES(X)
#undef X
		SH_FILE_COUNT
};

enum sh_hook {
	SH_HOOK_INGRESS = 0, /* TC */
	SH_HOOK_EGRESS,
	SH_HOOK_XDP,
	SH_HOOK_SOCKET,
};

enum sh_event_flags {
	SH_EVENT_TRANSLATED = 0x1, /* to_* say what it becomes */
	SH_EVENT_REPLY = 0x2,	   /* of a flow's reply direction */
	SH_EVENT_KEPT = 0x4,	   /* affinity: the backend that the client had before */
};

struct sh_event {
	__u64 ns;		       /* CLOCK_MONOTONIC */
	struct sh_addr src, dst;       /* as the packet came; a socket's source may be all-zero */
	struct sh_addr to_src, to_dst; /* as it leaves */
	__be16 sport, dport, to_sport, to_dport;
	__u32 service; /* id; 0: none was found */
	__u32 backend; /* id; 0: none */
	__u32 ifindex; /* 0: a socket */
	__u16 line;    /* of the program's source, in... */
	__u8 file;     /* enum sh_file */
	__u8 kind;     /* enum sh_event_kind */
	__u8 reason;   /* enum sh_reason, of DROP and REJECT */
	__u8 hook;     /* enum sh_hook */
	__u8 proto;    /* IPPROTO_* */
	__u8 flags;    /* enum sh_event_flags */
};
_Static_assert(sizeof(struct sh_event) == 104, "no padding");

/* ---- shunt_listeners ------------------------------------------------------- */

/* One monitor. All-zero: nobody has this number. */
struct sh_listener {
	__u32 kinds;   /* a mask of 1 << enum sh_event_kind; written last when he begins */
	__u32 beat;    /* low half of the jiffies when he was last known to live */
	__u64 reasons; /* the same of enum sh_reason */
	__u32 rate;    /* events in a second that each CPU tells him */
	__u32 owner;   /* his process, as he knows it himself */
};

/* One publish; the last SH_PUBLISHED_MAX are kept. */
struct sh_published {
	__u64 ns; /* CLOCK_MONOTONIC */
	__u32 services_added, services_changed, services_removed;
	__u32 backends_added, backends_changed, backends_removed;
};

struct sh_listeners {
	/*
	 * What anybody listens to: all that is read where nobody does. Kinds in the low byte; above
	 * it a count of changes, so that a program which finds nobody alive clears no one else's.
	 */
	__u32 any;
	__u32 pad;
	struct sh_listener v[SH_LISTENERS_MAX];
	__u64 published; /* so many were there; number n is at n % SH_PUBLISHED_MAX */
	struct sh_published log[SH_PUBLISHED_MAX];
};
_Static_assert(SH_EVENT_COUNT <= 8, "kinds have the low byte of sh_listeners.any");

/* shunt_heard: of one listener, on one CPU. */
struct sh_heard {
	__u64 jiffies;	/* up to which tokens were given */
	__u64 limited;	/* events that his rate has held back */
	__u64 overflow; /* and that found his buffer full */
	__u32 tokens;	/* events that may still be told */
	__u32 pad;
};

#endif
