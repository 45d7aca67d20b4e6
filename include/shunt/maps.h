/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map's key and value: the contract between the BPF programs and the C
 * program. All maps are pinned; names are those of the pins.
 *
 *   map               kind            written by             read by
 *   shunt_control     array, mmap     user                   user; programs: the route epoch
 *   shunt_filter      array, mmap     user                   programs, first of all
 *   shunt_frontends   hash            user                   programs, once per new flow
 *   shunt_slots       array, mmap     user                   programs, once per new flow
 *   shunt_backends    array, mmap     user; programs: counters  programs, once per new flow
 *   shunt_tags4/6     array, mmap     programs; user: sweep  programs, user
 *   shunt_flows4/6    array, mmap     programs               programs, user
 *   shunt_nodeaddrs   hash            user                   programs, once per new flow
 *   shunt_devices     hash            user                   programs, once per new flow
 *   shunt_affinity    LRU hash        programs               programs, once per new flow
 *   shunt_srcranges   LPM trie        user                   programs, once per new flow
 *   shunt_frags       LRU hash        programs               programs, by fragment
 *   shunt_sockets     LRU hash        programs               programs: recvmsg, getpeername; user
 *   shunt_counted     socket storage  programs               programs: connect, close
 *   shunt_drops       per-CPU hash    programs               user
 *   shunt_meta        hash            user                   user: names, for `get`
 *   shunt_listeners   array, mmap     user; programs: the dead ones  programs, off the hot path
 *   shunt_events      array of maps   user: ring buffers     programs, where somebody listens
 *   shunt_heard       per-CPU array   programs               user: lost events
 */
#ifndef SHUNT_MAPS_H
#define SHUNT_MAPS_H

#include "shunt/events.h"
#include "shunt/limits.h"
#include "shunt/types.h"

/*
 * How an instance tells what it is, and how one is handed over to programs with other maps: the
 * head of struct sh_control, and enum sh_standing. Raised, no version takes over what another made.
 */
#define SH_ABI 4u

/*
 * The layout of each map: raised whenever its key, its value or what these mean changes. The next
 * version reads the old one by a row in user/dataplane/released.h, or has it filled anew:
 * user/dataplane/migrate.c. Places in shunt_control go by this order: a map that is new stands at
 * the end, one that is gone leaves its line.
 */
#define SH_LAYOUTS(X)   \
	X(CONTROL, 1)   \
	X(FILTER, 1)    \
	X(FRONTENDS, 1) \
	X(SLOTS, 1)     \
	X(BACKENDS, 1)  \
	X(TAGS4, 1)     \
	X(TAGS6, 1)     \
	X(FLOWS4, 1)    \
	X(FLOWS6, 1)    \
	X(NODEADDRS, 1) \
	X(DEVICES, 1)   \
	X(SOCKETS, 1)   \
	X(COUNTED, 1)   \
	X(AFFINITY, 1)  \
	X(SRCRANGES, 1) \
	X(FRAGS, 1)     \
	X(DROPS, 1)     \
	X(META, 1)      \
	X(LISTENERS, 1) \
	X(EVENTS, 1)    \
	X(HEARD, 1)

enum sh_layout_place {
#define X(id, layout) SH_LAYOUT_##id,
	SH_LAYOUTS(X)
#undef X
		SH_LAYOUT_COUNT
};
#define SH_LAYOUTS_MAX 64
_Static_assert(SH_LAYOUT_COUNT <= SH_LAYOUTS_MAX, "each has a place in struct sh_control");

/* ---- reasons ------------------------------------------------------------ */

enum sh_reason {
	SH_REASON_NONE = 0,
#define SH_REASON(name, word, text) SH_REASON_##name,
#include "shunt/drops.def"
#undef SH_REASON
	SH_REASON_COUNT
};
_Static_assert(SH_REASON_COUNT <= 64, "listeners choose them by a mask");

/* ---- shunt_frontends ---------------------------------------------------- */

/*
 * A NodePort frontend stands once per family under the all-zero address
 * (IPv4: ::ffff:0.0.0.0); the address on the wire is looked for in
 * shunt_nodeaddrs. Port 0 with protocol 0 is the address as such: pings of it
 * are answered, and if it is a ClusterIP any port that isn't found is rejected.
 */
struct sh_frontend_key {
	struct sh_addr addr;
	__be16 port;
	__u8 proto; /* IPPROTO_* */
	__u8 pad;
};
_Static_assert(sizeof(struct sh_frontend_key) == 20, "hash keys carry no padding");

enum sh_algorithm { SH_MAGLEV = 0, SH_RANDOM, SH_LEAST_CONN };

enum sh_frontend_flags {
	SH_FE_CLUSTER_IP = 0x0,	   /* the first of enum frontend_kind */
	SH_FE_KIND_MASK = 0x3,	   /* enum frontend_kind */
	SH_FE_LOCAL_ONLY = 0x4,	   /* its traffic policy is Local */
	SH_FE_SOURCE_RANGES = 0x8, /* consult shunt_srcranges */
	SH_FE_ANY_USABLE = 0x10,   /* endpoints exist somewhere: an empty set drops, not rejects */
	SH_FE_PING = 0x40,	   /* of an address: some endpoint is there, pings are answered */
	SH_FE_ADDRESS_ONLY = 0x20, /* the port-0 entry of an address */
};

/* A range of shunt_slots: one selection table. size 0: nobody there. */
struct sh_table {
	__u32 base;
	__u32 size; /* a prime, for Maglev */
};

/* A new value replaces the old one in one step: a reader sees either. */
struct sh_frontend {
	__u32 service; /* id, from 1 */
	__u16 flags;   /* enum sh_frontend_flags */
	__u8 algorithm;
	__u8 pad;
	__u32 affinity_seconds; /* 0: none */
	struct sh_table cluster;
	struct sh_table local;
};
_Static_assert(sizeof(struct sh_frontend) == 28, "no padding");

/* ---- shunt_slots, shunt_backends ---------------------------------------- */

#define SH_SLOTS_PER_LINE 16
struct sh_slot_line {
	__u32 backend[SH_SLOTS_PER_LINE]; /* ids; slot i is line i / 16, place i % 16 */
};

/*
 * A backend id: index into shunt_backends and the generation that the index
 * is in. A stale id (in a flow, in a table that is being retired) never
 * matches the id that stands in the backend's line. 0 is no backend.
 */
#define SH_BACKEND_INDEX_BITS	  24
#define SH_BACKEND_INDEX(id)	  ((id) & ((1u << SH_BACKEND_INDEX_BITS) - 1))
#define SH_BACKEND_GENERATION(id) ((id) >> SH_BACKEND_INDEX_BITS)

enum sh_backend_flags {
	SH_BE_LOCAL = 0x1,	 /* on this node */
	SH_BE_TERMINATING = 0x2, /* for display */
	SH_BE_IN_CLUSTER = 0x4,	 /* stands in the cluster table; for display */
	SH_BE_IN_LOCAL = 0x8,	 /* stands in the local table; for display */
};

/* One endpoint of one Service port: one cache line. Index 0 is never used. */
struct sh_backend {
	struct sh_addr addr;
	__u32 id; /* 0: free. Written last when it is made, first when it goes */
	__u32 service;
	__be16 port;
	__u16 flags;  /* enum sh_backend_flags */
	__u16 weight; /* as the user gave it */
	__u16 node;   /* shunt_meta id of its node's name, 0: unknown */
	/* Counters, by the programs. Packets and bytes: of flows that have ended. */
	__u32 live;	  /* flows now; sockets too where least-conn chose */
	__u32 generation; /* user's: the one that this index is used with next */
	__u64 connections;
	__u64 packets;
	__u64 bytes;
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct sh_backend) == 64, "one cache line");

/* ---- the flow table ------------------------------------------------------ */

/*
 * A set-associative cache: a bucket is one line of 16 words in shunt_tags4 or
 * shunt_tags6; word w of bucket b belongs to entry 16 * b + w of shunt_flows4
 * or shunt_flows6. Everything that insertion, eviction and sweeping decide on
 * stands in the word:
 *
 *   31........17 16..14 13       12...........0
 *   tag          state  overflow stamp
 *
 * tag: of the key's hash; the bucket that a full one overflows into is
 * computed from it. overflow: kept in word 0 for the whole bucket: some flow
 * of this bucket stands in its second one. stamp: time of the last packet, in
 * units of about 16 s, modulo 2^13 (36 h).
 */
#define SH_WAYS		    16
#define SH_WORD_TAG_SHIFT   17
#define SH_WORD_STATE_SHIFT 14
#define SH_WORD_STATE_MASK  (7u << SH_WORD_STATE_SHIFT)
#define SH_WORD_OVERFLOW    (1u << 13)
#define SH_WORD_STAMP_MASK  0x1fffu

enum sh_flow_state {
	SH_FREE = 0,
	SH_BUSY,	/* claimed, its entry is being written */
	SH_NEW,		/* not answered yet: at most a quarter of a bucket */
	SH_LIVE,	/* answered; TCP, SCTP */
	SH_LIVE_UDP,	/* answered; forgotten sooner */
	SH_HALF_CLOSED, /* TCP: this direction has sent its FIN */
	SH_CLOSED,	/* TCP: both FINs or an RST */
	SH_GONE,	/* its backend was removed */
	SH_STATES
};

struct sh_bucket {
	__u32 word[SH_WAYS];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct sh_bucket) == 64, "one cache line");

enum sh_direction {
	SH_INGRESS = 0, /* entering the node at an edge */
	SH_EGRESS = 1,	/* leaving it at an edge */
};

enum sh_flow_flags {
	SH_FLOW_REPLY = 0x1,   /* backend to client: the reverse entry */
	SH_FLOW_FORWARD = 0x2, /* leaves by next hop, not through the stack */
	SH_FLOW_SNAT = 0x4,    /* the client's address is replaced */
};

/*
 * One direction of a flow, IPv4: one cache line. The key is what the packet
 * carries where the hook sees it; to_* is what it carries afterwards.
 */
struct sh_flow {
	/* key */
	__be32 saddr, daddr;
	__be16 sport, dport;
	__u8 proto;
	__u8 direction; /* enum sh_direction */
	__u8 flags;	/* enum sh_flow_flags; from here on not part of the key */
	__u8 epoch;	/* of the next hop, below */
	/* rewrite */
	__be32 to_saddr, to_daddr;
	__be16 to_sport, to_dport;
	/* One's complement differences: of the addresses, and of addresses and ports. */
	__u16 addr_delta, l4_delta;
	__u32 backend; /* id */
	/* of this direction; not atomic: a direction's packets come on one CPU */
	__u32 packets;
	__u64 bytes;
	/* next hop, valid while epoch is the route epoch's lowest byte and ifindex is not 0 */
	__u16 mtu;     /* of the route that it was taken from */
	__u16 ifindex; /* 0 also where the device's number does not fit */
	__u8 dmac[6], smac[6];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct sh_flow) == 64, "one cache line");

/* IPv6: the same line, its IPv4 addresses unused, and one more for the addresses. */
struct sh_flow6 {
	struct sh_flow f;
	struct sh_addr saddr, daddr, to_saddr, to_daddr;
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct sh_flow6) == 128, "two cache lines");

/* ---- shunt_filter -------------------------------------------------------- */

/*
 * The prefilter's bitmaps. A clear bit is certain, a set one a maybe.
 * Multiply-shift hashing, see bpf/filter.h and user/dataplane/filter.c.
 */
#define SH_FILTER_ADDR_BITS    16
#define SH_FILTER_BACKEND_BITS 19
struct sh_filter {
	__u8 virtual_or_node[1 << (SH_FILTER_ADDR_BITS - 3)]; /* by destination, on ingress */
	__u8 node[1 << (SH_FILTER_ADDR_BITS - 3)];	      /* a node's own address */
	__u8 node_port[1 << (16 - 3)];			      /* by port number, host order */
	__u8 backend[1 << (SH_FILTER_BACKEND_BITS - 3)];      /* by address and port */
};

#define SH_FILTER_K1 0x9e3779b97f4a7c15ull
#define SH_FILTER_K2 0xd6e8feb86659fd93ull

/* Word of an address: the same for the mapped form and for the wire's IPv4. */
static inline __u64 sh_filter_mix4(__be32 v4)
{
	return (__u64)v4 * SH_FILTER_K1;
}

static inline __u64 sh_filter_mix6(__u64 high, __u64 low)
{
	return (low ^ (high * SH_FILTER_K2)) * SH_FILTER_K1;
}

static inline __u32 sh_filter_addr_bit(__u64 mix)
{
	return (__u32)((mix ^ (mix >> 29)) >> (64 - SH_FILTER_ADDR_BITS - 8)) &
	       ((1u << SH_FILTER_ADDR_BITS) - 1);
}

static inline __u32 sh_filter_backend_bit(__u64 mix, __be16 port)
{
	__u64 h = ((mix ^ (mix >> 32)) + port) * SH_FILTER_K2;

	return (__u32)(h >> (64 - SH_FILTER_BACKEND_BITS));
}

/* ---- node -------------------------------------------------------------- */

/* shunt_nodeaddrs: key struct sh_addr: the node's own addresses */
enum sh_nodeaddr_flags {
	SH_NODEADDR_NODE_PORTS = 0x1, /* nodePorts are served there */
};
struct sh_nodeaddr {
	__u32 flags;
};

enum sh_role {
	SH_ROLE_NONE = 0, /* no edge: stands here for its addresses */
	SH_ROLE_UPLINK,
	SH_ROLE_WORKLOAD,
	SH_ROLE_OVERLAY,
};

/* shunt_devices: key __u32 ifindex; key 0 has the node's primary addresses, role 0 */
struct sh_device {
	struct sh_addr addr4, addr6; /* what masquerading takes; all-zero: none */
	__u8 role;		     /* enum sh_role */
	__u8 mac[6];
	__u8 pad;
};
_Static_assert(sizeof(struct sh_device) == 40, "no padding");

/* ---- shunt_frags --------------------------------------------------------- */

/* Which ports the first fragment of a packet had. Addresses as in a flow's key. */
struct sh_fragment_key {
	__u64 src[2], dst[2];
	__u32 id; /* as it stands in the packet; IPv4: its 16 bits */
	__u8 proto;
	__u8 direction; /* enum sh_direction */
	__u16 pad;
};

struct sh_fragment {
	__be16 sport, dport;
};

/* ---- shunt_sockets ------------------------------------------------------- */

/* Which virtual address a socket means by a backend's. */
struct sh_socket_key {
	__u64 cookie; /* of the socket */
	struct sh_addr backend;
	__be16 port;
	__u8 proto;
	__u8 pad[5];
};
_Static_assert(sizeof(struct sh_socket_key) == 32, "hash keys carry no padding");

enum sh_socket_flags {
	SH_SOCKET_CONNECTED = 0x1, /* by connect(); else it has sent a datagram there */
};

struct sh_socket {
	struct sh_addr virt;
	__be16 port;
	__u16 flags;   /* enum sh_socket_flags */
	__u32 backend; /* id */
	__u32 service;
	__u32 netns; /* the low half of its network namespace's cookie */
};
_Static_assert(sizeof(struct sh_socket) == 32, "no padding");

/* ---- shunt_counted ------------------------------------------------------- */

/* Of a socket: the backend that counts it as live. Only least-conn counts sockets. */
struct sh_counted {
	__u32 backend; /* id; 0: none does */
	__u32 pad;
};

/* ---- shunt_affinity ------------------------------------------------------ */

/* Session affinity ClientIP: by Service port, whichever of its frontends is used. */
struct sh_affinity_key {
	struct sh_addr client; /* its address; of a socket: its network namespace's cookie */
	__u32 service;
	__u32 socket; /* 1: client is a cookie */
};

struct sh_affinity {
	__u64 jiffies; /* of the last new connection */
	__u32 backend; /* id */
	__u32 pad;
};

/* ---- shunt_srcranges ------------------------------------------------------- */

/* loadBalancerSourceRanges: a client that is found is let in. */
struct sh_srcrange_key {
	__u32 prefix; /* bits that count: 32 for the service, and the network's */
	__u32 service;
	struct sh_addr addr;
};
_Static_assert(sizeof(struct sh_srcrange_key) == 24, "trie keys carry no padding");

/* ---- shunt_drops --------------------------------------------------------- */

struct sh_drop_key {
	__u32 service; /* 0: none was found yet */
	__u32 reason;  /* enum sh_reason */
};

struct sh_drop {
	__u64 packets;
	__u64 jiffies; /* of the last one */
};

/* ---- shunt_meta ---------------------------------------------------------- */

enum sh_meta_kind { SH_META_SERVICE = 1, SH_META_BACKEND, SH_META_NODE };

struct sh_meta_key {
	__u32 kind; /* enum sh_meta_kind */
	__u32 id;   /* service id, backend id, node id */
};

struct sh_meta_service {
	char ns[SH_NAME_MAX + 1], name[SH_NAME_MAX + 1], port_name[SH_NAME_MAX + 1];
	__u16 port; /* host order */
	__u8 proto;
	__u8 family; /* 4 or 6 */
	__u8 type;   /* enum service_type */
	__u8 algorithm;
	__u8 internal_local, external_local;
	__u32 affinity_seconds;
};

struct sh_meta {
	union {
		struct sh_meta_service service;
		char name[SH_SUBDOMAIN_MAX + 3]; /* of the Pod, of the node */
	};
};
_Static_assert(sizeof(struct sh_meta) == 256, "four lines");

/* ---- shunt_control and the programs' settings ----------------------------- */

/* Networks of one family, as their words stand in struct sh_key. */
struct sh_net4 {
	__be32 net, mask;
};
struct sh_net6 {
	__u64 net[2], mask[2];
};
struct sh_nets {
	__u32 n4, n6;
	struct sh_net4 v4[SH_CIDRS_MAX];
	struct sh_net6 v6[SH_CIDRS_MAX];
};

#define SH_EXPIRE_NEVER 0x7fff

/* Read-only data of every program: fixed before load, branches on it vanish. */
struct sh_config {
	__u64 seed[5];			  /* of the flow hash: odd, random, kept over restarts */
	__u32 bucket_mask4, bucket_mask6; /* buckets - 1 */
	__u32 stamp_shift;		  /* jiffies >> shift is the flow stamp, of about 16 s */
	__u32 stamp_ms;			  /* one unit of it */
	__u32 hz;			  /* jiffies in a second */
	__u32 pad0;
	/*
	 * By enum sh_flow_state: a flow that has been idle for more stamps may go.
	 * -1: at any time; SH_EXPIRE_NEVER: a state that has no age.
	 */
	__s16 expire[SH_STATES];
	__u32 n_slots, n_backends; /* sizes of these maps */
	__u16 snat_min, snat_max;  /* host order, inclusive */
	__u16 host_min, host_max;  /* ip_local_port_range */
	__u16 socket_lb;	   /* enum sh_socket_lb */
	__u16 masquerade_all;
	__u16 csum_ipv6;  /* bpf_l4_csum_replace() knows BPF_F_IPV6 (Linux 6.16) */
	__u16 set_retval; /* bpf_set_retval() is there (Linux 5.18) */
	__u16 ping_vips;  /* answer pings of virtual addresses */
	__u16 trace;	  /* write steps down: never in programs that are attached for good */
	__u16 pad[2];
	__u64 netns_cookie; /* of the network namespace that is the host's */
	struct sh_nets service_cidrs;
	struct sh_nets cluster_cidrs;
};

enum sh_socket_lb { SH_SOCKET_LB_OFF = 0, SH_SOCKET_LB_HOST, SH_SOCKET_LB_ON };

/*
 * Whose turn it is while an instance is handed over to programs with other maps, which stand
 * behind the older ones on every hook then.
 */
enum sh_standing {
	SH_STAND_ALONE = 0, /* no other programs are there */
	SH_STAND_BEHIND,    /* others come first; what they translated is not to be undone */
	SH_STAND_BEFORE,    /* others come after: what is not known here is theirs */
	SH_STAND_LEFT,	    /* nothing runs over these maps any more; their pins are given up */
};

/*
 * Programs and shunts of any age read this: the head stays as it is. New fields are added at the
 * end, those of struct sh_config too; what an older one has not written is 0.
 */
struct sh_control {
	/* head */
	__u32 abi;		      /* SH_ABI */
	__u32 size;		      /* of this struct, as its writer has it */
	__u16 layout[SH_LAYOUTS_MAX]; /* by enum sh_layout_place; 0: no such map */
	char build[64]; /* version and source hash of the programs that are attached */
	__u32 standing; /* enum sh_standing */
	/* ... */
	__u32 route_epoch;	 /* advanced when a route, a neighbour or a link changes */
	__u32 next_service;	 /* id: none is used twice, so that no count is inherited */
	__u32 counted;		 /* sockets that count were taken over from the maps before */
	struct sh_config config; /* as the attached programs have it; the last one */
};

#endif
