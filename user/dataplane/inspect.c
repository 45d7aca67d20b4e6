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

/* ---- names ------------------------------------------------------------------- */

/* All of shunt_meta, by kind and id. */
struct names {
	struct named {
		struct sh_meta_key key;
		struct sh_meta meta;
	} *v; /* sorted by key */
	size_t n, cap;
};

static int named_cmp(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	if (x->key.kind != y->key.kind)
		return x->key.kind < y->key.kind ? -1 : 1;
	return x->key.id < y->key.id ? -1 : x->key.id > y->key.id;
}

static int names_add(struct names *names, const struct sh_meta_key *key, const struct sh_meta *meta)
{
	struct named *grown;
	size_t cap;

	if (names->n == names->cap) {
		cap = names->cap ? names->cap * 2 : 256;
		grown = realloc(names->v, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		names->v = grown;
		names->cap = cap;
	}
	names->v[names->n].key = *key;
	names->v[names->n++].meta = *meta;
	return 0;
}

static int names_load(struct names *names, struct dataplane *dp, struct err *err)
{
	int fd = dp->map_fd[DP_MAP_META], ret = 0;
	struct sh_meta_key key, *from = NULL;
	struct sh_meta meta;

	*names = (struct names){ 0 };
	while (!ret && !bpf_map_get_next_key(fd, from, &key)) {
		from = &key;
		if (!bpf_map_lookup_elem(fd, &key, &meta))
			ret = names_add(names, &key, &meta);
	}
	if (ret) {
		free(names->v);
		return err_system(err, ret, "read %s", dp_map_names[DP_MAP_META]);
	}
	if (names->n)
		qsort(names->v, names->n, sizeof(*names->v), named_cmp);
	return 0;
}

static void names_done(struct names *names)
{
	free(names->v);
}

static const struct sh_meta *names_find(const struct names *names, uint32_t kind, uint32_t id)
{
	const struct named wanted = { .key = { .kind = kind, .id = id } }, *found;

	if (!names->n)
		return NULL;
	found = bsearch(&wanted, names->v, names->n, sizeof(*names->v), named_cmp);
	return found ? &found->meta : NULL;
}

static const struct sh_meta_service *names_service(const struct names *names, uint32_t id)
{
	const struct sh_meta *meta = names_find(names, SH_META_SERVICE, id);

	return meta ? &meta->service : NULL;
}

static const char *names_text(const struct names *names, uint32_t kind, uint32_t id)
{
	const struct sh_meta *meta = id ? names_find(names, kind, id) : NULL;

	return meta ? meta->name : "";
}

bool dataplane_meta(struct dataplane *dp, enum sh_meta_kind kind, uint32_t id, struct sh_meta *out)
{
	const struct sh_meta_key key = { .kind = kind, .id = id };

	return id && !bpf_map_lookup_elem(dp->map_fd[DP_MAP_META], &key, out);
}

/* ---- frontends ----------------------------------------------------------------- */

int dataplane_frontends(struct dataplane *dp, int (*each)(const struct frontend_view *, void *),
			void *arg, struct err *err)
{
	int fd = dp->map_fd[DP_MAP_FRONTENDS], ret;
	struct sh_frontend_key key, *from = NULL;
	struct frontend_view view;
	struct names names;

	ret = names_load(&names, dp, err);
	if (ret)
		return ret;
	while (!ret && !bpf_map_get_next_key(fd, from, &key)) {
		from = &key;
		if (bpf_map_lookup_elem(fd, &key, &view.value))
			continue;
		view.addr = key.addr;
		view.port = key.port;
		view.proto = key.proto;
		view.kind = (enum frontend_kind)(view.value.flags & SH_FE_KIND_MASK);
		view.service = names_service(&names, view.value.service);
		if (view.service && !(view.value.flags & SH_FE_ADDRESS_ONLY))
			ret = each(&view, arg);
	}
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

static int table_flows(const struct dataplane *dp, const struct flow_table *table,
		       const struct names *names, int (*each)(const struct flow_view *, void *),
		       void *arg)
{
	const struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS];
	const struct sh_control *control = dp->mem[DP_MAP_CONTROL];
	uint32_t jiffies = probe_jiffies();
	const struct sh_backend *backend;
	struct flow_view view;
	struct sh_flow6 flow;
	uint32_t bucket, way, word;
	int ret = 0;

	for (bucket = 0; bucket < table->n_buckets && !ret; bucket++) {
		for (way = 0; way < SH_WAYS && !ret; way++) {
			if (!flow_copy(table, bucket, way, &flow, &word))
				continue;
			backend = &lines[SH_BACKEND_INDEX(flow.f.backend)];
			view = (struct flow_view){
				.family = table->family,
				.proto = flow.f.proto,
				.reply = flow.f.flags & SH_FLOW_REPLY,
				.flags = flow.f.flags,
				.direction = flow.f.direction,
				.state = word_state(word),
				.idle_s = flow_idle_s(&control->config, jiffies, word),
				.packets = flow.f.packets,
				.bytes = flow.f.bytes,
			};
			flow_addresses(&view, &flow);
			if (backend->id == flow.f.backend)
				view.service = names_service(names, backend->service);
			ret = each(&view, arg);
		}
	}
	return ret;
}

int dataplane_flows(struct dataplane *dp, int (*each)(const struct flow_view *, void *), void *arg,
		    struct err *err)
{
	struct flow_table v4, v6;
	struct names names;
	int ret;

	ret = flows_mmap(dp, err);
	if (!ret)
		ret = names_load(&names, dp, err);
	if (ret)
		return ret;
	v4 = flow_table(dp, FAMILY_IPV4);
	v6 = flow_table(dp, FAMILY_IPV6);
	ret = table_flows(dp, &v4, &names, each, arg);
	if (!ret)
		ret = table_flows(dp, &v6, &names, each, arg);
	names_done(&names);
	return ret;
}

/* ---- backends ------------------------------------------------------------------ */

struct traffic {
	uint64_t packets, bytes;
};

/* What the living flows have counted, by backend index. */
static void traffic_add(const struct dataplane *dp, enum family family, struct traffic *traffic)
{
	struct flow_table table = flow_table(dp, family);
	const struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS];
	uint32_t bucket, way, word, index;
	struct sh_flow6 flow;

	for (bucket = 0; bucket < table.n_buckets; bucket++) {
		for (way = 0; way < SH_WAYS; way++) {
			if (!flow_copy(&table, bucket, way, &flow, &word))
				continue;
			index = SH_BACKEND_INDEX(flow.f.backend);
			if (index >= dp->map_max[DP_MAP_BACKENDS] ||
			    lines[index].id != flow.f.backend)
				continue;
			traffic[index].packets += flow.f.packets;
			traffic[index].bytes += flow.f.bytes;
		}
	}
}

int dataplane_backends(struct dataplane *dp, int (*each)(const struct backend_view *, void *),
		       void *arg, struct err *err)
{
	const struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS], *line;
	uint32_t index, max = dp->map_max[DP_MAP_BACKENDS];
	struct backend_view view;
	struct traffic *traffic;
	struct names names;
	int ret;

	ret = flows_mmap(dp, err);
	if (!ret)
		ret = names_load(&names, dp, err);
	if (ret)
		return ret;
	traffic = calloc(max, sizeof(*traffic));
	if (!traffic) {
		names_done(&names);
		return err_system(err, -ENOMEM, "count the traffic of %u backends", max);
	}
	traffic_add(dp, FAMILY_IPV4, traffic);
	traffic_add(dp, FAMILY_IPV6, traffic);
	for (index = 1; index < max && !ret; index++) {
		line = &lines[index];
		if (!line->id)
			continue;
		view.backend = line;
		view.service = names_service(&names, line->service);
		view.connections = line->connections;
		view.packets = line->packets + traffic[index].packets;
		view.bytes = line->bytes + traffic[index].bytes;
		view.pod = names_text(&names, SH_META_BACKEND, line->id);
		view.node = names_text(&names, SH_META_NODE, line->node);
		if (view.service)
			ret = each(&view, arg);
	}
	free(traffic);
	names_done(&names);
	return ret;
}

/* ---- drops, node ------------------------------------------------------------------ */

/* All CPUs' counts; the time is that of the last packet on any. */
static void drop_sum(struct drop_view *view, const struct sh_drop *drops, int cpus,
		     const struct sh_config *config)
{
	uint32_t jiffies = probe_jiffies(), age, youngest = UINT32_MAX;
	int cpu;

	for (cpu = 0; cpu < cpus; cpu++) {
		if (!drops[cpu].packets)
			continue;
		view->packets += drops[cpu].packets;
		age = jiffies - (uint32_t)drops[cpu].jiffies;
		youngest = age < youngest ? age : youngest;
	}
	view->age_ms = (uint64_t)youngest * config->stamp_ms >> config->stamp_shift;
}

/*
 * Whose drop it is. A port that a Service doesn't have is counted by its
 * address's frontend, which has the id of one of its ports: not of that one.
 */
static const struct sh_meta_service *
drop_service(const struct names *names, const struct sh_drop_key *key, struct sh_meta_service *buf)
{
	const struct sh_meta_service *service = names_service(names, key->service);

	if (!service || key->reason != SH_REASON_UNKNOWN_PORT)
		return service;
	*buf = *service;
	buf->port = 0;
	buf->port_name[0] = '\0';
	return buf;
}

int dataplane_drops(struct dataplane *dp, int (*each)(const struct drop_view *, void *), void *arg,
		    struct err *err)
{
	const struct sh_control *control = dp->mem[DP_MAP_CONTROL];
	int fd = dp->map_fd[DP_MAP_DROPS], cpus = libbpf_num_possible_cpus(), ret;
	struct sh_drop_key key, *from = NULL;
	struct sh_meta_service service;
	struct drop_view view;
	struct sh_drop *drops;
	struct names names;

	ret = names_load(&names, dp, err);
	if (ret)
		return ret;
	drops = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*drops));
	if (!drops)
		ret = err_system(err, -ENOMEM, "read %s", dp_map_names[DP_MAP_DROPS]);
	while (!ret && !bpf_map_get_next_key(fd, from, &key)) {
		from = &key;
		if (bpf_map_lookup_elem(fd, &key, drops))
			continue;
		view = (struct drop_view){
			.service = drop_service(&names, &key, &service),
			.reason = (enum sh_reason)key.reason,
		};
		drop_sum(&view, drops, cpus, &control->config);
		if (view.packets)
			ret = each(&view, arg);
	}
	free(drops);
	names_done(&names);
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
