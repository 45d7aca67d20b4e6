/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel side seen from the C program: maps, programs, pins. Knows nothing
 * of YAML or of Kubernetes objects; struct wanted comes in, map writes go out.
 *
 *   load.c     opens, sizes, loads, pins; adopts what is pinned
 *   publish.c  wanted -> plan -> map writes
 *   retire.c   what was withdrawn is freed; flows that are over go
 *   sockets.c  ends the sockets of removed backends
 *   migrate.c  takes over an instance whose maps are others
 *   attach.c   programs to devices and cgroups
 *   inspect.c  reads what the kernel holds, for `get`
 *   counts.c   numbers about all of it, for /metrics
 *   about.c    which programs and maps these are, for `status` and `doctor`
 *   replica.c  a copy of what the kernel holds, for `trace`
 *   listen.c   events, for `monitor`: listen.h
 */
#ifndef SHUNT_USER_DATAPLANE_H
#define SHUNT_USER_DATAPLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/settings.h"
#include "model/wanted.h"
#include "shunt/maps.h"
#include "shunt/trace.h"
#include "util/err.h"

struct dataplane;

enum dataplane_mode {
	DATAPLANE_WRITE,   /* takes the lock; adopts what is pinned, else makes it */
	DATAPLANE_READ,	   /* what is pinned, read-only; -ENOENT where there is nothing */
	DATAPLANE_SCRATCH, /* nothing pinned, nothing attached: tests, `shunt test`, bench */
	DATAPLANE_TRACE,   /* the same, and its programs write down what they decide */
};

/* Is an instance pinned there? Needs no lock; for want of privilege: no. */
bool dataplane_is_there(const struct settings *settings);

/*
 * @return 0 and *@out (dataplane_close() it), -EBUSY where somebody else holds
 * the lock (the message says who), or another negative errno.
 */
int dataplane_open(struct dataplane **out, enum dataplane_mode mode,
		   const struct settings *settings, struct err *err);
void dataplane_close(struct dataplane *dp); /* pins stay; NULL is fine */
/*
 * A writer that found maps of another layout or size has made new ones, which dataplane_attach()
 * puts in force. Are all Services to be published before? Until then the old ones serve, and
 * dataplane_attach() does nothing.
 */
bool dataplane_needs_publish(const struct dataplane *dp);
/*
 * A writer's programs as other settings have them, over the same maps: dataplane_attach()
 * puts them in force. @return 0, or a negative errno: all is as it was
 */
int dataplane_reload(struct dataplane *dp, const struct settings *settings, struct err *err);

/* ---- publish.c: writer ---- */

/* Sockets that were told that their backend is gone: sockets.c. */
struct sockets_ended {
	size_t tcp, udp;
};

struct publish_result {
	size_t services_added, services_changed, services_removed;
	size_t backends_added, backends_changed, backends_removed;
	/* Frontends left out: a Service outside this publish has them. Only where names were given. */
	size_t conflicts;
	/* Of backends that were removed; by dataplane_publish() */
	size_t flows_ended;
	struct sockets_ended sockets;
	struct err sockets_err; /* why not all of these; its msg is empty: they were */
};

/*
 * Make the kernel hold @wanted, and no more. A failure leaves what was there in force. Flows of
 * backends that are gone have been ended when it returns.
 */
int dataplane_publish(struct dataplane *dp, const struct wanted *wanted,
		      struct publish_result *result, struct err *err);

struct publish_name {
	const char *ns, *name;
};

/*
 * @wanted is all that these Services are to have; what is in the kernel of others stays as it
 * is.
 */
struct publish_order {
	const struct wanted *wanted;
	const struct publish_name *names;
	size_t n_names;
	bool all; /* names are those that are left alone, instead */
};

/*
 * The same for a part, and without waiting: what is withdrawn stays taken until the steps of
 * retire.c are gone through.
 */
int dataplane_change(struct dataplane *dp, const struct publish_order *order,
		     struct publish_result *result, struct err *err);

/* The node's own addresses, as they are now; @nodeports: those at which nodePorts are served. */
int dataplane_nodeaddrs_write(struct dataplane *dp, const struct sh_addr *nodeports, size_t n,
			      struct err *err);

/* ---- retire.c: writer ---- */

struct sweep_result {
	size_t expired; /* flows whose time was over */
	size_t ended;	/* flows of backends that are gone */
};

struct retire_result {
	struct sweep_result swept;
	struct sockets_ended sockets;
	struct err sockets_err; /* why not all of them; its msg is empty: they were */
};

/* All of the steps below, and no return before they are done. */
int dataplane_retire(struct dataplane *dp, struct retire_result *out, struct err *err);

/* Take in hand what publishes have withdrawn. @return false: nothing, or something is in hand */
bool dataplane_retire_begin(struct dataplane *dp);
/*
 * Wait until no program uses what is in hand, some 10 ms. This call and the next may run on
 * another thread beside all others. @return 0, or a negative errno: to be tried again
 */
int dataplane_retire_grace(struct dataplane *dp, struct err *err);
/*
 * Then: end the sockets that shunt connected to the backends in hand. Nothing to do where there
 * are none, else from 10 ms on. @return as dataplane_end_sockets(); not to be tried again
 */
int dataplane_retire_sockets(struct dataplane *dp, struct sockets_ended *out, struct err *err);
/*
 * Then: tables and backends that nobody has used are free at once, other backends when the
 * pass over the flow tables that this call begins is over. @return whether it began one
 */
bool dataplane_retire_slots(struct dataplane *dp);

/* Begin a pass over the flow tables: expired flows go, those of backends in hand are ended. */
void dataplane_sweep_begin(struct dataplane *dp);
/* A slice of the pass, of about @budget_ns. @return whether there is more to do */
bool dataplane_sweep(struct dataplane *dp, uint64_t budget_ns, struct sweep_result *out);

/* ---- flows.c: writer ---- */

/* A route, a neighbour or a link is other than it was: next hops are looked up afresh. */
void dataplane_route_changed(struct dataplane *dp);

/* ---- sockets.c: writer ---- */

/*
 * End the sockets that shunt connected to these backends (ids) and that still
 * are, in every network namespace that a process is in. The backends have to be
 * out of all tables, and a grace period to have passed; their lines may be free.
 * @return 0, -EOPNOTSUPP where this kernel can't, -E2BIG (SH_NETNS_MAX) or
 * another negative errno; *@out is set in any case.
 */
int dataplane_end_sockets(struct dataplane *dp, const uint32_t *backend_ids, size_t n,
			  struct sockets_ended *out, struct err *err);

/* ---- attach.c: writer ---- */

/*
 * Attach the programs to this network namespace's edges and to the cgroup, as
 * the settings say, and write shunt_devices; what is attached already stays,
 * what is no longer wanted is detached.
 */
int dataplane_attach(struct dataplane *dp, const struct settings *settings, struct err *err);

/*
 * Remove every link, pin, map, qdisc and sysctl setting of the instance at
 * settings->bpffs. Works on a half-built or broken instance too. Nothing there: 0.
 */
int dataplane_reset(const struct settings *settings, struct err *err);

/* ---- inspect.c: reader ---- */

struct frontend_view {
	struct sh_addr addr;
	__be16 port;
	proto_t proto;
	enum frontend_kind kind;
	struct sh_frontend value;
	const struct sh_meta_service *service; /* never NULL */
};

struct backend_view {
	const struct sh_backend *backend;
	const struct sh_meta_service *service; /* never NULL */
	uint64_t connections, packets, bytes;  /* with those of the live flows */
	const char *pod, *node;		       /* "" where unknown */
};

/* The same without names, for who knows them already and asks often. */
struct backend_load {
	const struct sh_backend *backend;
	uint64_t connections, packets, bytes;
};

struct flow_view {
	enum family family;
	struct sh_addr saddr, daddr, to_saddr, to_daddr;
	__be16 sport, dport, to_sport, to_dport;
	proto_t proto;
	bool reply;    /* the reverse entry */
	uint8_t flags; /* enum sh_flow_flags */
	uint8_t direction;
	enum sh_flow_state state;
	uint32_t idle_s; /* about: the stamp's resolution is 16 s */
	uint32_t packets;
	uint64_t bytes;
	const struct sh_meta_service *service; /* NULL where its backend is gone */
};

/* A client that stays with its backend, and still will: what is over is not told. */
struct affinity_view {
	const struct sh_meta_service *service; /* never NULL */
	const struct sh_backend *backend;      /* never NULL */
	const char *pod;		       /* "" where unknown */
	bool socket;			       /* known by its network namespace, below */
	struct sh_addr client;
	uint64_t netns_cookie;
	bool own_netns; /* the host's */
	uint32_t age_s, remaining_s;
};

struct drop_view {
	const struct sh_meta_service *service; /* NULL: none was found yet */
	enum sh_reason reason;
	uint64_t packets;
	uint64_t age_ms; /* of the last one */
};

struct drop_load {
	uint32_t service; /* id; 0: none was found yet */
	enum sh_reason reason;
	uint64_t packets;
	uint64_t age_ms; /* of the last one */
};

struct nodeaddr_view {
	struct sh_addr addr;
	uint32_t flags; /* enum sh_nodeaddr_flags */
};

struct device_view {
	char name[16]; /* "" where it is gone */
	uint32_t ifindex;
	struct sh_device device;
	const char *tc;	 /* "tcx", "clsact" or "" */
	const char *xdp; /* "native", "generic" or "" */
};

/* Each calls @each until it returns non-zero, and returns that, or a negative errno. */
int dataplane_frontends(struct dataplane *dp, int (*each)(const struct frontend_view *, void *),
			void *arg, struct err *err);
int dataplane_backends(struct dataplane *dp, int (*each)(const struct backend_view *, void *),
		       void *arg, struct err *err);
/* The same without the traffic of live flows, which have to be read for that, every one. */
int dataplane_endpoints(struct dataplane *dp, int (*each)(const struct backend_view *, void *),
			void *arg, struct err *err);
int dataplane_loads(struct dataplane *dp, int (*each)(const struct backend_load *, void *),
		    void *arg, struct err *err);
int dataplane_flows(struct dataplane *dp, int (*each)(const struct flow_view *, void *), void *arg,
		    struct err *err);
int dataplane_drops(struct dataplane *dp, int (*each)(const struct drop_view *, void *), void *arg,
		    struct err *err);
int dataplane_drop_loads(struct dataplane *dp, int (*each)(const struct drop_load *, void *),
			 void *arg, struct err *err);
int dataplane_affinity(struct dataplane *dp, int (*each)(const struct affinity_view *, void *),
		       void *arg, struct err *err);
int dataplane_nodeaddrs(struct dataplane *dp, int (*each)(const struct nodeaddr_view *, void *),
			void *arg, struct err *err);
int dataplane_devices(struct dataplane *dp, int (*each)(const struct device_view *, void *),
		      void *arg, struct err *err);
/* The same into @out, which has room for SH_DEVICES_MAX, by role and name. */
int dataplane_devices_sorted(struct dataplane *dp, struct device_view *out, size_t *n_out,
			     struct err *err);

/* A selection table's backend ids, into @out, which has room for all. @return 0 or -ERANGE: no table */
int dataplane_slots(struct dataplane *dp, const struct sh_table *table, uint32_t *out);

/* What one service, backend or node id is called; false: nobody knows. */
bool dataplane_meta(struct dataplane *dp, enum sh_meta_kind kind, uint32_t id, struct sh_meta *out);

/* ---- counts.c ---- */

/* Entries of the flow tables by state; a connection has two. */
struct flow_counts {
	uint64_t v4[SH_STATES], v6[SH_STATES];
	uint64_t max4, max6;
};
void dataplane_flow_counts(struct dataplane *dp, struct flow_counts *out);

/* By reason. Zeroed by its owner at first, then kept: see there. */
struct drop_counts {
	uint64_t packets[SH_REASON_COUNT];  /* never less than before */
	uint64_t standing[SH_REASON_COUNT]; /* what the map said the last time */
	uint64_t entries, max;		    /* of the map */
};
/*
 * Add what was dropped since @counts was filled in last. What was counted for a Service
 * goes with it, hence the memory. @return 0, or a negative errno and nothing has changed
 */
int dataplane_drop_counts(struct dataplane *dp, struct drop_counts *counts, struct err *err);

struct fill {
	uint64_t used, max;
};
/* What is published, by the publisher's books. */
struct dataplane_fill {
	struct fill frontends, slots, nodeaddrs;
	struct fill backends; /* those too that are withdrawn and not free yet */
	uint64_t services, service_ports, endpoints; /* ports and endpoints: of each family */
	/* Service ports whose policy is Local, with endpoints, and none of them here. */
	uint64_t no_local_internal, no_local_external;
};
/* @return false: @dp is no writer, and keeps no books */
bool dataplane_fill(const struct dataplane *dp, struct dataplane_fill *out);

/* ---- about.c: needs no struct dataplane, or a reader ---- */

/* An instance as its control map describes it, also one of another map layout. */
struct dataplane_about {
	uint32_t abi;
	char build[64];		 /* of the programs in the kernel */
	char own_build[64];	 /* of those in this binary */
	bool this_netns;	 /* it belongs to this network namespace */
	struct sh_config config; /* only where abi is SH_ABI */
	long holder;		 /* pid of who writes now; 0: nobody that can be seen */
};
/* @return 0, -ENOENT where nothing is loaded, or another negative errno */
int dataplane_about(const struct settings *settings, struct dataplane_about *out, struct err *err);

#define DATAPLANE_MAPS_MAX 32
struct map_fill {
	const char *name;
	bool counted; /* else it is never fuller or emptier */
	struct fill fill;
	uint64_t bytes; /* of kernel memory */
};
/* Every pinned map, in the order of their pins. @return how many, or a negative errno */
int dataplane_map_fill(struct dataplane *dp, struct map_fill out[static DATAPLANE_MAPS_MAX],
		       struct err *err);

/* A program in a hook, in the order in which they run there. */
struct hook_program {
	uint32_t id;
	char name[16];
	bool ours; /* of this instance */
};
#define HOOK_PROGRAMS_MAX 64

/* What is in the way in (@egress: out) of a device by TCX. @return how many, or a negative errno */
int dataplane_tcx_programs(const struct dataplane *dp, uint32_t ifindex, bool egress,
			   struct hook_program out[static HOOK_PROGRAMS_MAX]);
int dataplane_clsact_programs(const struct dataplane *dp, uint32_t ifindex, bool egress,
			      struct hook_program out[static HOOK_PROGRAMS_MAX]);
/* The XDP program of a device: 1, 0 or a negative errno */
int dataplane_xdp_program(const struct dataplane *dp, uint32_t ifindex,
			  struct hook_program out[static HOOK_PROGRAMS_MAX]);

/* A cgroup program of shunt's: where it is attached. */
struct cgroup_hook {
	const char *program;
	uint64_t cgroup; /* its id; 0: it isn't attached */
	struct hook_program others[HOOK_PROGRAMS_MAX];
	size_t n_others; /* in the same hook of that cgroup */
};
#define CGROUP_HOOKS_MAX 16
/* @return how many, or a negative errno */
int dataplane_cgroup_hooks(const struct dataplane *dp,
			   struct cgroup_hook out[static CGROUP_HOOKS_MAX]);

/* ---- replica.c ---- */

/*
 * A data path of mode DATAPLANE_TRACE that holds what @live does: a packet that
 * runs there meets what it would meet here, and changes nothing here.
 * @return 0 and *@out; -EXDEV: @live belongs to another network namespace
 */
int dataplane_replica(struct dataplane **out, struct dataplane *live, struct err *err);

/* Of the last run; the caller zeroes it before the next. NULL: @dp keeps none. */
struct sh_trace *dataplane_trace(struct dataplane *dp);

const char *reason_word(enum sh_reason reason); /* "no-backend" */
const char *reason_text(enum sh_reason reason);
const char *flow_state_name(enum sh_flow_state state);
/* Does a backend with these flags and this weight take new connections? */
bool backend_serves(uint16_t flags, uint16_t weight);
/*
 * "ready"; "terminating": serves because no ready one is left; "draining": on its way out, or of
 * weight 0, old flows only; "not-ready"
 */
const char *backend_state_name(uint16_t flags, uint16_t weight);

#endif
