/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel holds, for `get`: read from the pins, changing nothing. */
#include "dataplane/internal.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/attach.h"
#include "dataplane/names.h"
#include "dataplane/probe.h"

const char *reason_word(enum sh_reason reason)
{
	static const char *const words[SH_REASON_COUNT] = {
#define SH_REASON(name, word, text) [SH_REASON_##name] = (word),
#include "shunt/drops.def"
#undef SH_REASON
	};

	return (unsigned int)reason < SH_REASON_COUNT && words[reason] ? words[reason] : "unknown";
}

const char *reason_text(enum sh_reason reason)
{
	static const char *const texts[SH_REASON_COUNT] = {
#define SH_REASON(name, word, text) [SH_REASON_##name] = (text),
#include "shunt/drops.def"
#undef SH_REASON
	};

	return (unsigned int)reason < SH_REASON_COUNT && texts[reason]
		       ? texts[reason]
		       : "a reason of another version";
}

const char *flow_state_name(enum sh_flow_state state)
{
	switch (state) {
	case SH_NEW:
		return "new";
	case SH_LIVE:
	case SH_LIVE_UDP:
		return "live";
	case SH_HALF_CLOSED:
		return "half-closed";
	case SH_CLOSED:
		return "closed";
	case SH_GONE:
		return "gone";
	default:
		return "free";
	}
}

bool backend_serves(uint16_t flags, uint16_t weight)
{
	return flags & (SH_BE_IN_CLUSTER | SH_BE_IN_LOCAL) && weight;
}

const char *backend_state_name(uint16_t flags, uint16_t weight)
{
	bool terminating = flags & SH_BE_TERMINATING;

	if (backend_serves(flags, weight))
		return terminating ? "terminating" : "ready";
	return terminating || !weight ? "draining" : "not-ready";
}

/* ---- names ------------------------------------------------------------------- */

bool dataplane_meta(struct dataplane *dp, enum sh_meta_kind kind, uint32_t id, struct sh_meta *out)
{
	const struct sh_meta_key key = { .kind = kind, .id = id };

	return id && !bpf_map_lookup_elem(dp->map_fd[DP_MAP_META], &key, out);
}

/* The line of backend @id as it is now; NULL: it is gone, or its line another's. */
static const struct sh_backend *backend_of(const struct dataplane *dp, uint32_t id)
{
	const struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS];
	const uint32_t index = SH_BACKEND_INDEX(id);

	if (!id || index >= dp->map_max[DP_MAP_BACKENDS] || lines[index].id != id)
		return NULL;
	return &lines[index];
}

/* ---- frontends ----------------------------------------------------------------- */

struct frontends_walk {
	const struct names *names;
	int (*each)(const struct frontend_view *, void *);
	void *arg;
};

static int give_frontend(const void *key_at, const void *value, void *arg)
{
	const struct sh_frontend_key *key = key_at;
	const struct frontends_walk *walk = arg;
	struct frontend_view view = {
		.addr = key->addr,
		.port = key->port,
		.proto = key->proto,
	};

	memcpy(&view.value, value, sizeof(view.value));
	view.kind = (enum frontend_kind)(view.value.flags & SH_FE_KIND_MASK);
	view.service = names_service(walk->names, view.value.service);
	if (!view.service || view.value.flags & SH_FE_ADDRESS_ONLY)
		return 0;
	return walk->each(&view, walk->arg);
}

int dataplane_frontends(struct dataplane *dp, int (*each)(const struct frontend_view *, void *),
			void *arg, struct err *err)
{
	struct names names;
	struct frontends_walk walk = { .names = &names, .each = each, .arg = arg };
	int ret;

	ret = names_load(&names, dp, NAMES_SERVICES, err);
	if (ret)
		return ret;
	ret = map_each(dp, DP_MAP_FRONTENDS, give_frontend, &walk, err);
	names_done(&names);
	return ret;
}

/* ---- selection tables ---------------------------------------------------------- */

int dataplane_slots(struct dataplane *dp, const struct sh_table *table, uint32_t *out)
{
	const uint64_t room = (uint64_t)dp->map_max[DP_MAP_SLOTS] * SH_SLOTS_PER_LINE;
	const struct sh_slot_line *lines = dp->mem[DP_MAP_SLOTS];
	uint64_t slot = table->base;
	uint32_t i;

	if (slot + table->size > room)
		return -ERANGE;
	for (i = 0; i < table->size; i++, slot++)
		out[i] = __atomic_load_n(
			&lines[slot / SH_SLOTS_PER_LINE].backend[slot % SH_SLOTS_PER_LINE],
			__ATOMIC_RELAXED);
	return 0;
}

/* ---- affinity ------------------------------------------------------------------ */

struct affinity_walk {
	struct dataplane *dp;
	const struct names *names;
	int (*each)(const struct affinity_view *, void *);
	void *arg;
	uint32_t jiffies; /* now */
};

/* What the programs would make of the entry: those that are over are not shown. */
static int give_affinity(const void *key_at, const void *value_at, void *arg)
{
	const struct affinity_walk *walk = arg;
	const struct sh_control *control = walk->dp->mem[DP_MAP_CONTROL];
	const struct sh_affinity_key *key = key_at;
	const struct sh_affinity *value = value_at;
	uint32_t age = walk->jiffies - (uint32_t)value->jiffies;
	struct affinity_view view = {
		.service = names_service(walk->names, key->service),
		.backend = backend_of(walk->dp, value->backend),
	};

	/* Written just now, after the time was asked for. */
	if ((int32_t)age < 0)
		age = 0;
	if (!view.service || !view.backend || view.backend->service != key->service ||
	    !control->config.hz)
		return 0;
	if (age > (uint64_t)view.service->affinity_seconds * control->config.hz)
		return 0;
	view.age_s = age / control->config.hz;
	view.remaining_s = view.service->affinity_seconds - view.age_s;
	view.pod = names_text(walk->names, SH_META_BACKEND, value->backend);
	if (key->socket) {
		view.socket = true;
		view.netns_cookie = (uint64_t)key->client.w[2] << 32 | key->client.w[3];
		view.own_netns = view.netns_cookie == control->config.netns_cookie;
	} else {
		view.client = key->client;
	}
	return walk->each(&view, walk->arg);
}

int dataplane_affinity(struct dataplane *dp, int (*each)(const struct affinity_view *, void *),
		       void *arg, struct err *err)
{
	struct names names;
	struct affinity_walk walk = {
		.dp = dp,
		.names = &names,
		.each = each,
		.arg = arg,
		.jiffies = probe_jiffies(),
	};
	int ret;

	ret = names_load(&names, dp, NAMES_SERVICES | NAMES_OF(SH_META_BACKEND), err);
	if (ret)
		return ret;
	ret = map_each(dp, DP_MAP_AFFINITY, give_affinity, &walk, err);
	names_done(&names);
	return ret;
}

/* ---- flows --------------------------------------------------------------------- */

/* A flow's copy; false: there is none, or it was replaced while it was being copied. */
static bool flow_copy(const struct flow_table *table, uint32_t bucket, uint32_t way,
		      struct sh_flow6 *out, uint32_t *word_out)
{
	const uint32_t *word_at = &table->buckets[bucket].word[way];
	uint32_t word = __atomic_load_n(word_at, __ATOMIC_ACQUIRE);

	if (word_state(word) < SH_NEW)
		return false;
	memcpy(out, table->entries + ((size_t)bucket * SH_WAYS + way) * table->entry_size,
	       table->entry_size);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	*word_out = word;
	return __atomic_load_n(word_at, __ATOMIC_RELAXED) == word;
}

static void flow_addresses(struct flow_view *view, const struct sh_flow6 *flow)
{
	if (view->family == FAMILY_IPV6) {
		view->saddr = flow->saddr;
		view->daddr = flow->daddr;
		view->to_saddr = flow->to_saddr;
		view->to_daddr = flow->to_daddr;
	} else {
		view->saddr = addr_from_v4(flow->f.saddr);
		view->daddr = addr_from_v4(flow->f.daddr);
		view->to_saddr = addr_from_v4(flow->f.to_saddr);
		view->to_daddr = addr_from_v4(flow->f.to_daddr);
	}
	view->sport = flow->f.sport;
	view->dport = flow->f.dport;
	view->to_sport = flow->f.to_sport;
	view->to_dport = flow->f.to_dport;
}

static uint32_t flow_idle_s(const struct sh_config *config, uint32_t jiffies, uint32_t word)
{
	uint32_t age = ((jiffies >> config->stamp_shift) - word) & SH_WORD_STAMP_MASK;

	return (uint32_t)((uint64_t)age * config->stamp_ms / 1000);
}

/* Most of a table is free, whole buckets of it: those cost no more than to be read. */
static bool bucket_is_empty(const struct sh_bucket *bucket)
{
	uint32_t way, any = 0;

	for (way = 0; way < SH_WAYS; way++)
		any |= bucket->word[way];
	return !(any & SH_WORD_STATE_MASK);
}

struct flows_walk {
	const struct dataplane *dp;
	const struct names *names;
	int (*each)(const struct flow_view *, void *);
	void *arg;
	uint32_t jiffies; /* now */
};

static int give_flow(const struct flows_walk *walk, const struct sh_flow6 *flow, uint32_t word,
		     enum family family)
{
	const struct sh_control *control = walk->dp->mem[DP_MAP_CONTROL];
	const struct sh_backend *backend = backend_of(walk->dp, flow->f.backend);
	struct flow_view view = {
		.family = family,
		.proto = flow->f.proto,
		.reply = flow->f.flags & SH_FLOW_REPLY,
		.flags = flow->f.flags,
		.direction = flow->f.direction,
		.state = word_state(word),
		.idle_s = flow_idle_s(&control->config, walk->jiffies, word),
		.packets = flow->f.packets,
		.bytes = flow->f.bytes,
	};

	flow_addresses(&view, flow);
	if (backend)
		view.service = names_service(walk->names, backend->service);
	return walk->each(&view, walk->arg);
}

static int table_flows(const struct flows_walk *walk, enum family family)
{
	const struct flow_table table = flow_table(walk->dp, family);
	struct sh_flow6 flow;
	uint32_t bucket, way, word;
	int ret = 0;

	for (bucket = 0; bucket < table.n_buckets && !ret; bucket++) {
		if (bucket_is_empty(&table.buckets[bucket]))
			continue;
		for (way = 0; way < SH_WAYS && !ret; way++) {
			if (flow_copy(&table, bucket, way, &flow, &word))
				ret = give_flow(walk, &flow, word, family);
		}
	}
	return ret;
}

int dataplane_flows(struct dataplane *dp, int (*each)(const struct flow_view *, void *), void *arg,
		    struct err *err)
{
	struct names names;
	struct flows_walk walk = {
		.dp = dp,
		.names = &names,
		.each = each,
		.arg = arg,
		.jiffies = probe_jiffies(),
	};
	int ret;

	ret = flows_mmap(dp, err);
	if (!ret)
		ret = names_load(&names, dp, NAMES_SERVICES, err);
	if (ret)
		return ret;
	ret = table_flows(&walk, FAMILY_IPV4);
	if (!ret)
		ret = table_flows(&walk, FAMILY_IPV6);
	names_done(&names);
	return ret;
}

/* ---- backends ------------------------------------------------------------------ */

struct traffic {
	uint64_t packets, bytes;
};

/* What a flow has counted; false: there is none, or it was replaced while it was being read. */
static bool flow_traffic(const struct flow_table *table, uint32_t bucket, uint32_t way,
			 uint32_t *backend_out, struct traffic *out)
{
	const uint32_t *word_at = &table->buckets[bucket].word[way];
	uint32_t word = __atomic_load_n(word_at, __ATOMIC_ACQUIRE);
	const struct sh_flow *flow;

	if (word_state(word) < SH_NEW)
		return false;
	flow = (const void *)(table->entries +
			      ((size_t)bucket * SH_WAYS + way) * table->entry_size);
	*backend_out = flow->backend;
	*out = (struct traffic){ flow->packets, flow->bytes };
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(word_at, __ATOMIC_RELAXED) == word;
}

/* What the living flows have counted, by backend index: one line of memory for each of them. */
static void traffic_add(const struct dataplane *dp, enum family family, struct traffic *traffic)
{
	const struct flow_table table = flow_table(dp, family);
	uint32_t bucket, way, backend;
	struct traffic one;

	for (bucket = 0; bucket < table.n_buckets; bucket++) {
		if (bucket_is_empty(&table.buckets[bucket]))
			continue;
		for (way = 0; way < SH_WAYS; way++) {
			if (!flow_traffic(&table, bucket, way, &backend, &one) ||
			    !backend_of(dp, backend))
				continue;
			traffic[SH_BACKEND_INDEX(backend)].packets += one.packets;
			traffic[SH_BACKEND_INDEX(backend)].bytes += one.bytes;
		}
	}
}

/* @traffic: of the living flows, by backend index; or NULL */
static int each_load(const struct dataplane *dp, const struct traffic *traffic,
		     int (*each)(const struct backend_load *, void *), void *arg)
{
	const struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS], *line;
	struct backend_load load;
	uint32_t index;
	int ret = 0;

	for (index = 1; index < dp->map_max[DP_MAP_BACKENDS] && !ret; index++) {
		line = &lines[index];
		if (!line->id)
			continue;
		load.backend = line;
		load.connections = line->connections;
		load.packets = line->packets + (traffic ? traffic[index].packets : 0);
		load.bytes = line->bytes + (traffic ? traffic[index].bytes : 0);
		ret = each(&load, arg);
	}
	return ret;
}

int dataplane_loads(struct dataplane *dp, int (*each)(const struct backend_load *, void *),
		    void *arg, struct err *err)
{
	const uint32_t max = dp->map_max[DP_MAP_BACKENDS];
	struct traffic *traffic;
	int ret;

	ret = flows_mmap(dp, err);
	if (ret)
		return ret;
	traffic = calloc(max, sizeof(*traffic));
	if (!traffic)
		return err_system(err, -ENOMEM, "count the traffic of %u backends", max);
	traffic_add(dp, FAMILY_IPV4, traffic);
	traffic_add(dp, FAMILY_IPV6, traffic);
	ret = each_load(dp, traffic, each, arg);
	free(traffic);
	return ret;
}

struct backends_walk {
	struct names names;
	int (*each)(const struct backend_view *, void *);
	void *arg;
};

static int give_backend(const struct backend_load *load, void *arg)
{
	const struct sh_backend *line = load->backend;
	const struct backends_walk *walk = arg;
	const struct backend_view view = {
		.backend = line,
		.service = names_service(&walk->names, line->service),
		.connections = load->connections,
		.packets = load->packets,
		.bytes = load->bytes,
		.pod = names_text(&walk->names, SH_META_BACKEND, line->id),
		.node = names_text(&walk->names, SH_META_NODE, line->node),
	};

	return view.service ? walk->each(&view, walk->arg) : 0;
}

int dataplane_backends(struct dataplane *dp, int (*each)(const struct backend_view *, void *),
		       void *arg, struct err *err)
{
	struct backends_walk walk = { .each = each, .arg = arg };
	int ret;

	ret = names_load(&walk.names, dp, NAMES_ALL, err);
	if (ret)
		return ret;
	ret = dataplane_loads(dp, give_backend, &walk, err);
	names_done(&walk.names);
	return ret;
}

int dataplane_endpoints(struct dataplane *dp, int (*each)(const struct backend_view *, void *),
			void *arg, struct err *err)
{
	struct backends_walk walk = { .each = each, .arg = arg };
	int ret;

	ret = names_load(&walk.names, dp, NAMES_ALL, err);
	if (ret)
		return ret;
	ret = each_load(dp, NULL, give_backend, &walk);
	names_done(&walk.names);
	return ret;
}

/* ---- drops, node ------------------------------------------------------------------ */

struct drop_loads_walk {
	const struct sh_config *config;
	int (*each)(const struct drop_load *, void *);
	void *arg;
	int cpus;
};

/* All CPUs' counts; the time is that of the last packet on any. */
static int give_drop_load(const void *key_at, const void *value, void *arg)
{
	uint32_t jiffies = probe_jiffies(), age, youngest = UINT32_MAX;
	const struct drop_loads_walk *walk = arg;
	const struct sh_drop_key *key = key_at;
	const struct sh_drop *drops = value;
	struct drop_load load = {
		.service = key->service,
		.reason = (enum sh_reason)key->reason,
	};
	int cpu;

	for (cpu = 0; cpu < walk->cpus; cpu++) {
		if (!drops[cpu].packets)
			continue;
		load.packets += drops[cpu].packets;
		age = jiffies - (uint32_t)drops[cpu].jiffies;
		youngest = age < youngest ? age : youngest;
	}
	load.age_ms = (uint64_t)youngest * walk->config->stamp_ms >> walk->config->stamp_shift;
	return load.packets ? walk->each(&load, walk->arg) : 0;
}

int dataplane_drop_loads(struct dataplane *dp, int (*each)(const struct drop_load *, void *),
			 void *arg, struct err *err)
{
	const struct sh_control *control = dp->mem[DP_MAP_CONTROL];
	struct drop_loads_walk walk = {
		.config = &control->config,
		.each = each,
		.arg = arg,
		.cpus = libbpf_num_possible_cpus(),
	};

	return map_each(dp, DP_MAP_DROPS, give_drop_load, &walk, err);
}

/*
 * Whose drop it is. A port that a Service doesn't have is counted by its
 * address's frontend, which has the id of one of its ports: not of that one.
 */
static const struct sh_meta_service *
drop_service(const struct names *names, const struct drop_load *load, struct sh_meta_service *buf)
{
	const struct sh_meta_service *service = names_service(names, load->service);

	if (!service || load->reason != SH_REASON_UNKNOWN_PORT)
		return service;
	*buf = *service;
	buf->port = 0;
	buf->port_name[0] = '\0';
	return buf;
}

struct drops_walk {
	struct names names;
	int (*each)(const struct drop_view *, void *);
	void *arg;
};

static int give_drop(const struct drop_load *load, void *arg)
{
	const struct drops_walk *walk = arg;
	struct sh_meta_service service;
	const struct drop_view view = {
		.service = drop_service(&walk->names, load, &service),
		.reason = load->reason,
		.packets = load->packets,
		.age_ms = load->age_ms,
	};

	return walk->each(&view, walk->arg);
}

int dataplane_drops(struct dataplane *dp, int (*each)(const struct drop_view *, void *), void *arg,
		    struct err *err)
{
	struct drops_walk walk = { .each = each, .arg = arg };
	int ret;

	ret = names_load(&walk.names, dp, NAMES_SERVICES, err);
	if (ret)
		return ret;
	ret = dataplane_drop_loads(dp, give_drop, &walk, err);
	names_done(&walk.names);
	return ret;
}

int dataplane_nodeaddrs(struct dataplane *dp, int (*each)(const struct nodeaddr_view *, void *),
			void *arg, struct err *err)
{
	int fd = dp->map_fd[DP_MAP_NODEADDRS], ret = 0;
	struct sh_nodeaddr value;
	struct nodeaddr_view view;
	struct sh_addr *from = NULL;

	while (!ret && !bpf_map_get_next_key(fd, from, &view.addr)) {
		from = &view.addr;
		if (bpf_map_lookup_elem(fd, &view.addr, &value))
			continue;
		view.flags = value.flags;
		ret = each(&view, arg);
	}
	return ret;
}

int dataplane_devices(struct dataplane *dp, int (*each)(const struct device_view *, void *),
		      void *arg, struct err *err)
{
	int fd = dp->map_fd[DP_MAP_DEVICES], ret = 0;
	struct device_view view;
	uint32_t *from = NULL;

	while (!ret && !bpf_map_get_next_key(fd, from, &view.ifindex)) {
		from = &view.ifindex;
		if (!view.ifindex || bpf_map_lookup_elem(fd, &view.ifindex, &view.device))
			continue;
		if (!view.device.role) /* no edge: there for its address */
			continue;
		if (!if_indextoname(view.ifindex, view.name))
			view.name[0] = '\0';
		ret = attach_describe(dp->dir, view.ifindex, &view.tc, &view.xdp);
		if (!ret)
			ret = each(&view, arg);
	}
	return ret;
}

struct device_list {
	struct device_view *v;
	size_t n;
};

static int take_device(const struct device_view *view, void *arg)
{
	struct device_list *list = arg;

	if (list->n == SH_DEVICES_MAX)
		return -E2BIG;
	list->v[list->n++] = *view;
	return 0;
}

static int device_cmp(const void *a, const void *b)
{
	const struct device_view *x = a, *y = b;
	int cmp = (int)x->device.role - (int)y->device.role;

	return cmp ? cmp : strcmp(x->name, y->name);
}

int dataplane_devices_sorted(struct dataplane *dp, struct device_view *out, size_t *n_out,
			     struct err *err)
{
	struct device_list list = { .v = out };
	int ret;

	ret = dataplane_devices(dp, take_device, &list, err);
	if (ret == -E2BIG)
		return err_system(err, ret, "more than %d devices (SH_DEVICES_MAX)",
				  SH_DEVICES_MAX);
	if (ret)
		return ret;
	qsort(out, list.n, sizeof(*out), device_cmp);
	*n_out = list.n;
	return 0;
}
