/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of dataplane/ share; nobody else includes this. */
#ifndef SHUNT_USER_DATAPLANE_INTERNAL_H
#define SHUNT_USER_DATAPLANE_INTERNAL_H

#include "dataplane/dataplane.h"

/* Every map: its name in the kernel and in bpffs, in pinning order. */
#define DP_MAPS(X)                      \
	X(CONTROL, "shunt_control")     \
	X(FILTER, "shunt_filter")       \
	X(FRONTENDS, "shunt_frontends") \
	X(SLOTS, "shunt_slots")         \
	X(BACKENDS, "shunt_backends")   \
	X(TAGS4, "shunt_tags4")         \
	X(TAGS6, "shunt_tags6")         \
	X(FLOWS4, "shunt_flows4")       \
	X(FLOWS6, "shunt_flows6")       \
	X(NODEADDRS, "shunt_nodeaddrs") \
	X(DEVICES, "shunt_devices")     \
	X(SOCKETS, "shunt_sockets")     \
	X(COUNTED, "shunt_counted")     \
	X(AFFINITY, "shunt_affinity")   \
	X(SRCRANGES, "shunt_srcranges") \
	X(FRAGS, "shunt_frags")         \
	X(DROPS, "shunt_drops")         \
	X(META, "shunt_meta")           \
	X(LISTENERS, "shunt_listeners") \
	X(EVENTS, "shunt_events")       \
	X(HEARD, "shunt_heard")

/* Every program: its name, its object, and the attach type of its link. */
#define DP_PROGS(X)                                                 \
	X(XDP, "shunt_xdp", BPF_XDP)                                \
	X(INGRESS, "shunt_ingress", 0)                              \
	X(EGRESS, "shunt_egress", 0)                                \
	X(CONNECT4, "shunt_connect4", BPF_CGROUP_INET4_CONNECT)     \
	X(CONNECT6, "shunt_connect6", BPF_CGROUP_INET6_CONNECT)     \
	X(SENDMSG4, "shunt_sendmsg4", BPF_CGROUP_UDP4_SENDMSG)      \
	X(SENDMSG6, "shunt_sendmsg6", BPF_CGROUP_UDP6_SENDMSG)      \
	X(RECVMSG4, "shunt_recvmsg4", BPF_CGROUP_UDP4_RECVMSG)      \
	X(RECVMSG6, "shunt_recvmsg6", BPF_CGROUP_UDP6_RECVMSG)      \
	X(GETPEER4, "shunt_getpeer4", BPF_CGROUP_INET4_GETPEERNAME) \
	X(GETPEER6, "shunt_getpeer6", BPF_CGROUP_INET6_GETPEERNAME) \
	X(RELEASE, "shunt_release", BPF_CGROUP_INET_SOCK_RELEASE)   \
	X(BIND4, "shunt_bind4", BPF_CGROUP_INET4_POST_BIND)         \
	X(BIND6, "shunt_bind6", BPF_CGROUP_INET6_POST_BIND)

enum dp_map {
#define X(id, name) DP_MAP_##id,
	DP_MAPS(X)
#undef X
		DP_MAP_COUNT
};

enum dp_prog {
#define X(id, name, type) DP_PROG_##id,
	DP_PROGS(X)
#undef X
		DP_PROG_COUNT
};

extern const char *const dp_map_names[DP_MAP_COUNT];
extern const char *const dp_prog_names[DP_PROG_COUNT];

struct publisher; /* publish.c */
struct migration; /* migrate.c */

struct dataplane {
	enum dataplane_mode mode;
	char dir[256]; /* the instance's pins; "" for scratch */
	int dir_fd;    /* holds the lock in DATAPLANE_WRITE; -1 for scratch */
	int map_fd[DP_MAP_COUNT];
	int prog_fd[DP_PROG_COUNT];	 /* -1 in DATAPLANE_READ */
	uint32_t map_max[DP_MAP_COUNT];	 /* max_entries */
	uint32_t map_size[DP_MAP_COUNT]; /* bytes from one value to the next, in memory */
	void *mem[DP_MAP_COUNT]; /* the mmapable ones; read-only mappings in DATAPLANE_READ */
	size_t mem_len[DP_MAP_COUNT];
	int trace_fd; /* the map of SH_TRACE_SECTION; -1 but in DATAPLANE_TRACE */
	struct sh_trace *trace;
	bool fresh_programs; /* loaded by this process: attach.c has to replace what is attached */
	/* This network namespace is the node; a scratch instance has none, unless told so. */
	bool on_node;
	struct publisher *publisher;
	struct migration *migration; /* to these maps from older ones; NULL: none is under way */
	bool needs_publish;	     /* some of these maps wait to be filled */
};

/* The pin of a program is DIR/progs/NAME, of a map DIR/NAME, of a link DIR/links/NAME. */

/* One family's flow table as it lies in memory: flows.c. */
struct flow_table {
	struct sh_bucket *buckets;
	char *entries; /* NULL: not mapped as a whole */
	size_t entry_size;
	uint32_t n_buckets;
	enum family family;
};
struct flow_table flow_table(const struct dataplane *dp, enum family family);
/* load.c: all flows in memory, for a look at them; a writer has them not, as a rule. */
int flows_mmap(struct dataplane *dp, struct err *err);

static inline enum sh_flow_state word_state(uint32_t word)
{
	return (enum sh_flow_state)((word & SH_WORD_STATE_MASK) >> SH_WORD_STATE_SHIFT);
}

#endif
