/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From the world to the maps: what changed is published and nothing else, what
 * can't be is left as it was, and however a state was come to, the maps hold
 * what a full publish of that state gives. Needs root.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/sync.h"
#include "dataplane/probe.h"
#include "dataplane/publisher.h"
#include "source/manifest.h"

#define TEXT_MAX 16384

/* A data path, and what publishes to it. */
struct rig {
	struct settings settings;
	struct dataplane *dp;
	struct sync sync;
	struct agent_stats stats;
	char said[TEXT_MAX]; /* what was logged since rig_quiet() */
	uint64_t now;
};

static void on_log(void *arg, const char *text)
{
	struct rig *rig = arg;
	size_t len = strlen(rig->said);

	(void)snprintf(rig->said + len, sizeof(rig->said) - len, "%s\n", text);
}

static void rig_quiet(struct rig *rig)
{
	rig->said[0] = '\0';
}

static void rig_begin(struct rig *rig, bool own_control_plane)
{
	rig->sync = (struct sync){ .dp = rig->dp,
				   .settings = &rig->settings,
				   .stats = &rig->stats,
				   .log = on_log,
				   .log_arg = rig };
	agent_stats_init(&rig->stats);
	world_init(&rig->sync.world, own_control_plane);
	rig_quiet(rig);
}

static void rig_settings(struct rig *rig)
{
	settings_init(&rig->settings);
	rig->settings.node_name = "node-1";
	rig->settings.max_frontends = 1024;
	rig->settings.max_backends = 1024;
	rig->settings.max_slots = 65536;
	rig->settings.max_flows4 = 1024;
	rig->settings.max_flows6 = 1024;
	rig->settings.max_sockets = 64;
}

static void rig_open(struct rig *rig)
{
	struct err err = { .msg = "" };

	if (dataplane_open(&rig->dp, DATAPLANE_SCRATCH, &rig->settings, &err))
		fail_msg("dataplane_open: %s", err.msg);
}

static struct rig *rig_new(bool own_control_plane)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_int_equal(unshare(CLONE_NEWNET), 0); /* this machine's devices are no matter */
	rig_settings(rig);
	rig_open(rig);
	rig_begin(rig, own_control_plane);
	return rig;
}

static void rig_free(struct rig *rig)
{
	sync_done(&rig->sync);
	dataplane_close(rig->dp);
	free(rig);
}

/* ---- telling ------------------------------------------------------------------- */

static void load(const char *yaml, struct object_set *out)
{
	const struct manifest_text text = { .name = "test", .text = yaml, .len = strlen(yaml) };
	struct diags diags = { 0 };
	struct err err = { .msg = "" };

	if (manifest_load_buffer(&text, out, &diags, &err))
		fail_msg("%s in\n%s", err.msg, yaml);
	diags_done(&diags);
}

static void tell(struct rig *rig, const char *yaml)
{
	struct object_set set = { 0 };
	size_t i;

	load(yaml, &set);
	for (i = 0; i < set.n; i++)
		assert_int_equal(world_put(&rig->sync.world, object_ref(set.v[i]), ++rig->now), 0);
	object_set_done(&set);
}

static void tell_gone(struct rig *rig, enum kind kind, const char *ns, const char *name)
{
	assert_int_equal(world_gone(&rig->sync.world, kind, ns, name, ++rig->now), 0);
}

/* What was withdrawn is free at once: no program runs that could be using it. */
static void retire(struct rig *rig)
{
	struct sweep_result result;

	if (!dataplane_retire_begin(rig->dp))
		return;
	if (!dataplane_retire_slots(rig->dp))
		return;
	while (dataplane_sweep(rig->dp, 1000000000, &result))
		;
}

static const struct publish_result *settle(struct rig *rig)
{
	struct err err = { .msg = "" };

	if (sync_run(&rig->sync, &err))
		fail_msg("sync_run: %s", err.msg);
	assert_false(sync_waits(&rig->sync));
	retire(rig);
	return &rig->sync.last;
}

/* ---- what the maps hold, as text --------------------------------------------------- */

struct dump {
	char **v;
	size_t n, cap;
	const struct rig *rig;
};

__attribute__((format(printf, 2, 3))) static void line(struct dump *dump, const char *fmt, ...)
{
	va_list args;

	if (dump->n == dump->cap) {
		dump->cap = dump->cap ? dump->cap * 2 : 256;
		dump->v = realloc(dump->v, dump->cap * sizeof(*dump->v));
		assert_non_null(dump->v);
	}
	va_start(args, fmt);
	assert_true(vasprintf(&dump->v[dump->n++], fmt, args) >= 0);
	va_end(args);
}

static void dump_free(struct dump *dump)
{
	size_t i;

	for (i = 0; i < dump->n; i++)
		free(dump->v[i]);
	free(dump->v);
}

#define NAME_STRLEN 256

/* Services by name: their ids are where they came to be. */
static const char *service_text(const struct rig *rig, uint32_t id, char out[static NAME_STRLEN])
{
	struct sh_meta meta;

	if (!dataplane_meta(rig->dp, SH_META_SERVICE, id, &meta))
		return "nobody";
	(void)snprintf(out, NAME_STRLEN, "%s/%s:%u/%u/%u %s t%u %u%u", meta.service.ns,
		       meta.service.name, meta.service.port, meta.service.proto,
		       meta.service.family, meta.service.port_name, meta.service.type,
		       meta.service.internal_local, meta.service.external_local);
	return out;
}

/* Every slot by its backend's address and port. */
static void table_text(const struct rig *rig, const struct sh_table *table, char *out, size_t size)
{
	const struct sh_slot_line *lines = rig->dp->mem[DP_MAP_SLOTS];
	char addr[ADDR_PORT_STRLEN];
	const struct sh_backend *backend;
	size_t len = 0;
	uint32_t i, at, id;

	out[0] = '\0';
	for (i = 0; i < table->size && len < size; i++) {
		at = table->base + i;
		id = lines[at / SH_SLOTS_PER_LINE].backend[at % SH_SLOTS_PER_LINE];
		backend = backend_line(rig->dp, id);
		if (backend->id != id)
			fail_msg("slot %u leads to id %#x, there is %#x", at, id, backend->id);
		len += (size_t)snprintf(out + len, size - len, " %s",
					addr_port_format(&backend->addr, backend->port, addr));
	}
}

static void dump_frontends(struct dump *dump)
{
	char addr[ADDR_PORT_STRLEN], name[NAME_STRLEN];
	static char cluster[1 << 16], local[1 << 16];
	const int fd = dump->rig->dp->map_fd[DP_MAP_FRONTENDS];
	struct sh_frontend_key key, *from = NULL;
	struct sh_frontend value;

	for (; !bpf_map_get_next_key(fd, from, &key); from = &key) {
		assert_int_equal(bpf_map_lookup_elem(fd, &key, &value), 0);
		(void)addr_port_format(&key.addr, key.port, addr);
		/* One that several share is by whichever came first. */
		if (value.flags & SH_FE_ADDRESS_ONLY) {
			(void)service_text(dump->rig, value.service, name);
			line(dump, "address %s flags %#x %s", addr, value.flags,
			     value.service ? "ours" : "another proxy's");
			assert_false(
				value.service &&
				!strcmp(service_text(dump->rig, value.service, name), "nobody"));
			continue;
		}
		table_text(dump->rig, &value.cluster, cluster, sizeof(cluster));
		table_text(dump->rig, &value.local, local, sizeof(local));
		line(dump, "frontend %s/%u flags %#x algorithm %u affinity %u of %s:%s;%s", addr,
		     key.proto, value.flags, value.algorithm, value.affinity_seconds,
		     service_text(dump->rig, value.service, name), cluster, local);
	}
}

static void dump_backends(struct dump *dump)
{
	const struct sh_backend *lines = dump->rig->dp->mem[DP_MAP_BACKENDS], *b;
	char addr[ADDR_PORT_STRLEN], name[NAME_STRLEN];
	struct sh_meta node, pod;
	uint32_t i;

	for (i = 1; i < dump->rig->dp->map_max[DP_MAP_BACKENDS]; i++) {
		b = &lines[i];
		if (!b->id)
			continue;
		assert_int_equal(SH_BACKEND_INDEX(b->id), i);
		if (!b->node || !dataplane_meta(dump->rig->dp, SH_META_NODE, b->node, &node))
			node = (struct sh_meta){ 0 };
		if (!dataplane_meta(dump->rig->dp, SH_META_BACKEND, b->id, &pod))
			pod = (struct sh_meta){ 0 };
		line(dump, "backend %s flags %#x weight %u node %s pod %s of %s",
		     addr_port_format(&b->addr, b->port, addr), b->flags, b->weight, node.name,
		     pod.name, service_text(dump->rig, b->service, name));
	}
}

static void dump_rest(struct dump *dump)
{
	const struct dataplane *dp = dump->rig->dp;
	struct sh_srcrange_key range, *from_range = NULL;
	struct sh_addr addr, *from_addr = NULL;
	struct sh_meta_key meta, *from_meta = NULL;
	char text[ADDR_STRLEN], name[NAME_STRLEN];
	struct sh_nodeaddr nodeaddr;
	size_t metas[4] = { 0 };

	for (; !bpf_map_get_next_key(dp->map_fd[DP_MAP_SRCRANGES], from_range, &range);
	     from_range = &range)
		line(dump, "range %s/%u of %s", addr_format(&range.addr, text), range.prefix,
		     service_text(dump->rig, range.service, name));
	for (; !bpf_map_get_next_key(dp->map_fd[DP_MAP_NODEADDRS], from_addr, &addr);
	     from_addr = &addr) {
		assert_int_equal(
			bpf_map_lookup_elem(dp->map_fd[DP_MAP_NODEADDRS], &addr, &nodeaddr), 0);
		line(dump, "node address %s %#x", addr_format(&addr, text), nodeaddr.flags);
	}
	for (; !bpf_map_get_next_key(dp->map_fd[DP_MAP_META], from_meta, &meta); from_meta = &meta)
		metas[meta.kind & 3]++;
	line(dump, "names of %zu Services, %zu backends", metas[SH_META_SERVICE],
	     metas[SH_META_BACKEND]);
}

/* What is free, and the prefilter: neither may leak. */
static void dump_books(struct dump *dump)
{
	const struct dataplane *dp = dump->rig->dp;
	const struct publisher *publisher = dp->publisher;
	const unsigned char *filter = dp->mem[DP_MAP_FILTER];
	size_t i, slots = 0, bits = 0;
	uint64_t hash = 0;

	for (i = 0; i < publisher->slots.n; i++)
		slots += publisher->slots.free[i].size;
	for (i = 0; i < sizeof(struct sh_filter); i++) {
		hash = (hash ^ filter[i]) * 0x100000001b3ull;
		bits += (size_t)__builtin_popcount(filter[i]);
	}
	line(dump, "free: %zu slots, %zu backends", slots, publisher->n_free_backends);
	line(dump, "prefilter: %zu bits, %016llx", bits, (unsigned long long)hash);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct dump dump_make(const struct rig *rig)
{
	struct dump dump = { .rig = rig };

	dump_frontends(&dump);
	dump_backends(&dump);
	dump_rest(&dump);
	dump_books(&dump);
	qsort(dump.v, dump.n, sizeof(*dump.v), by_text);
	return dump;
}

/* @return whether they are equal; what is only in one of them is printed */
static bool dumps_equal(const struct dump *a, const struct dump *b)
{
	size_t i = 0, j = 0;
	bool equal = true;
	int order;

	while (i < a->n || j < b->n) {
		order = i == a->n ? 1 : j == b->n ? -1 : strcmp(a->v[i], b->v[j]);
		if (order)
			print_error("%s %.400s\n", order < 0 ? "step by step:" : "all at once: ",
				    order < 0 ? a->v[i] : b->v[j]);
		equal = equal && !order;
		i += order <= 0;
		j += order >= 0;
	}
	return equal;
}

/* ---- however a state was come to ------------------------------------------------------ */

#define N_SERVICES 8
#define N_SHARING  6 /* the first ones; the others may be another proxy's */
#define N_SLICES   10
#define STEPS	   60

/* What a cluster has: a manifest of each, or NULL. */
struct cluster {
	char *services[N_SERVICES], *endpoints[N_SERVICES], *slices[N_SLICES];
	char *node;
	uint64_t random;
	char text[TEXT_MAX]; /* of the manifest that is being written */
	size_t len;
};

/* splitmix64: the same on every machine. */
static unsigned int below(struct cluster *c, unsigned int n)
{
	uint64_t z = (c->random += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (unsigned int)((z ^ (z >> 31)) % n);
}

static bool one_in(struct cluster *c, unsigned int n)
{
	return !below(c, n);
}

__attribute__((format(printf, 2, 3))) static void put(struct cluster *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	c->len += (size_t)vsnprintf(c->text + c->len, sizeof(c->text) - c->len, fmt, args);
	va_end(args);
	assert_true(c->len < sizeof(c->text));
}

static void take(struct cluster *c, char **place)
{
	free(*place);
	*place = strdup(c->text);
	assert_non_null(*place);
	c->len = 0;
}

static const char *namespace_of(unsigned int i)
{
	return i % 2 ? "odd" : "even";
}

struct choice {
	const char *name, *proto;
	unsigned int port, target;
};

static const struct choice port_choices[] = {
	{ "http", "TCP", 80, 8080 },
	{ "https", "TCP", 443, 8443 },
	{ "dns", "UDP", 53, 5353 },
	{ "dns-tcp", "TCP", 53, 5353 },
};

static void put_ports(struct cluster *c, bool node_ports)
{
	unsigned int i, any = 1 + below(c, 15), node_port = 30000 + below(c, 4);

	put(c, ", ports: [");
	for (i = 0; i < 4; i++) {
		if (!(any >> i & 1))
			continue;
		put(c, "{name: %s, protocol: %s, port: %u, targetPort: %u", port_choices[i].name,
		    port_choices[i].proto, port_choices[i].port, port_choices[i].target);
		if (node_ports)
			put(c, ", nodePort: %u", node_port + i);
		put(c, "},");
	}
	put(c, "]");
}

/* Addresses that several may want; a ClusterIP of somebody among them. */
static void put_outside_address(struct cluster *c)
{
	static const char *const addrs[] = { "203.0.113.1", "203.0.113.2", "'2001:db8:9::1'" };
	unsigned int i = below(c, 5);

	if (i < 3)
		put(c, "%s", addrs[i]);
	else
		put(c, i == 3 ? "10.96.0.%u" : "'fd00:10:96::%u'", 10 + below(c, N_SHARING));
}

static void put_outside(struct cluster *c, bool load_balancer)
{
	unsigned int i, n = below(c, 3);

	if (n)
		put(c, ", externalIPs: [");
	for (i = 0; i < n; i++) {
		put_outside_address(c);
		put(c, ",");
	}
	put(c, n ? "]" : "");
	if (load_balancer && one_in(c, 3))
		put(c, ", loadBalancerSourceRanges: [%s]",
		    one_in(c, 2) ? "192.0.2.0/24, '2001:db8::/64'" : "10.0.0.0/8");
	put(c, "}");
	if (!load_balancer)
		return;
	put(c, ", status: {loadBalancer: {ingress: [");
	for (i = 0, n = below(c, 3); i < n; i++) {
		put(c, "{ip: ");
		put_outside_address(c);
		put(c, "},");
	}
	put(c, "]}}");
}

static void make_service(struct cluster *c, unsigned int i)
{
	static const char *const types[] = { "ClusterIP", "NodePort", "LoadBalancer" };
	static const char *const algorithms[] = { "maglev", "random", "least-conn" };
	/* A cluster gives an address to another Service when its holder has gone. */
	const unsigned int last = 10 + (i < N_SHARING && one_in(c, 6) ? below(c, N_SHARING) : i);
	const unsigned int type = below(c, 3);

	put(c, "{apiVersion: v1, kind: Service, metadata: {name: s%u, namespace: %s", i,
	    namespace_of(i));
	if (i >= N_SHARING && one_in(c, 3))
		put(c, ", labels: {service.kubernetes.io/service-proxy-name: other}");
	if (one_in(c, 3))
		put(c, ", annotations: {shunt.io/algorithm: %s}", algorithms[below(c, 3)]);
	put(c, "}, spec: {type: %s", types[type]);
	if (one_in(c, 2))
		put(c,
		    ", ipFamilyPolicy: RequireDualStack, clusterIP: 10.96.0.%u, "
		    "clusterIPs: [10.96.0.%u, 'fd00:10:96::%u']",
		    last, last, last);
	else
		put(c, ", clusterIP: 10.96.0.%u", last);
	put(c, ", internalTrafficPolicy: %s", one_in(c, 3) ? "Local" : "Cluster");
	if (type)
		put(c, ", externalTrafficPolicy: %s", one_in(c, 3) ? "Local" : "Cluster");
	if (one_in(c, 4))
		put(c, ", sessionAffinity: ClientIP");
	put_ports(c, type);
	put_outside(c, type == 2);
	put(c, "}");
	take(c, &c->services[i]);
}

static void put_slice_ports(struct cluster *c)
{
	unsigned int i;

	put(c, "ports: [");
	for (i = 0; i < 4; i++)
		if (!one_in(c, 8))
			put(c, "{name: %s, protocol: %s, port: %u},", port_choices[i].name,
			    port_choices[i].proto, port_choices[i].target);
	put(c, "]");
}

static void make_slice(struct cluster *c, unsigned int i)
{
	unsigned int service = below(c, N_SERVICES / 2) * 2 + i % 2, n = below(c, 5), j, node;
	bool v6 = one_in(c, 3);

	put(c,
	    "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: slice%u, "
	    "namespace: %s",
	    i, namespace_of(i));
	if (!one_in(c, 10))
		put(c, ", labels: {kubernetes.io/service-name: s%u}", service);
	if (one_in(c, 6))
		put(c, ", annotations: {shunt.io/weight: '%u'}", below(c, 4));
	put(c, "}, addressType: %s, endpoints: [", v6 ? "IPv6" : "IPv4");
	for (j = 0; j < n; j++) {
		node = 1 + below(c, 2);
		put(c, v6 ? "{addresses: ['fd00:%u::%u']" : "{addresses: [10.244.%u.%u]", node,
		    1 + below(c, 6));
		put(c,
		    ", nodeName: node-%u, conditions: {ready: %s, serving: %s, terminating: %s}},",
		    node, one_in(c, 4) ? "false" : "true", one_in(c, 4) ? "false" : "true",
		    one_in(c, 4) ? "true" : "false");
	}
	put(c, "], ");
	put_slice_ports(c);
	put(c, "}");
	take(c, &c->slices[i]);
}

static void make_endpoints(struct cluster *c, unsigned int i)
{
	put(c,
	    "{apiVersion: v1, kind: Endpoints, metadata: {name: s%u, namespace: %s}, subsets: "
	    "[{addresses: [{ip: 10.244.2.%u}], ",
	    i, namespace_of(i), 10 + below(c, 4));
	put_slice_ports(c);
	put(c, "}]}");
	take(c, &c->endpoints[i]);
}

static void make_node(struct cluster *c)
{
	put(c,
	    "{apiVersion: v1, kind: Node, metadata: {name: node-1, labels: "
	    "{topology.kubernetes.io/zone: zone-%u}}, status: {addresses: [{type: InternalIP, "
	    "address: 192.0.2.%u}, {type: InternalIP, address: '2001:db8::1'}]}}",
	    below(c, 2), 1 + below(c, 2));
	take(c, &c->node);
}

static void cluster_free(struct cluster *c)
{
	unsigned int i;

	for (i = 0; i < N_SERVICES; i++) {
		free(c->services[i]);
		free(c->endpoints[i]);
	}
	for (i = 0; i < N_SLICES; i++)
		free(c->slices[i]);
	free(c->node);
}

static void drop(struct rig *rig, char **place, enum kind kind, unsigned int i)
{
	char name[16];

	(void)snprintf(name, sizeof(name), kind == KIND_ENDPOINT_SLICE ? "slice%u" : "s%u", i);
	free(*place);
	*place = NULL;
	tell_gone(rig, kind, namespace_of(i), name);
}

/* Something happens in the cluster, and is told. */
static void change(struct cluster *c, struct rig *rig)
{
	unsigned int what = below(c, 20), service = below(c, N_SERVICES),
		     slice = below(c, N_SLICES);

	if (what < 8) {
		make_service(c, service);
		tell(rig, c->services[service]);
	} else if (what < 11) {
		drop(rig, &c->services[service], KIND_SERVICE, service);
	} else if (what < 16) {
		make_slice(c, slice);
		tell(rig, c->slices[slice]);
	} else if (what < 17) {
		drop(rig, &c->slices[slice], KIND_ENDPOINT_SLICE, slice);
	} else if (what < 18) {
		make_endpoints(c, service);
		tell(rig, c->endpoints[service]);
	} else if (what < 19) {
		drop(rig, &c->endpoints[service], KIND_ENDPOINTS, service);
	} else {
		make_node(c);
		tell(rig, c->node);
	}
}

static void tell_all(struct rig *rig, const struct cluster *c)
{
	unsigned int i;

	for (i = 0; i < N_SERVICES; i++) {
		if (c->services[i])
			tell(rig, c->services[i]);
		if (c->endpoints[i])
			tell(rig, c->endpoints[i]);
	}
	for (i = 0; i < N_SLICES; i++)
		if (c->slices[i])
			tell(rig, c->slices[i]);
	tell(rig, c->node);
}

static void empty(struct rig *rig)
{
	struct wanted nothing = { 0 };
	struct publish_order order = { .wanted = &nothing, .all = true };
	struct publish_result result;
	struct err err = { .msg = "" };

	assert_int_equal(dataplane_change(rig->dp, &order, &result, &err), 0);
	retire(rig);
}

static void all_at_once(struct rig *fresh, const struct cluster *c)
{
	empty(fresh);
	rig_begin(fresh, false);
	tell_all(fresh, c);
	(void)settle(fresh);
	sync_done(&fresh->sync);
}

static void compare(const struct rig *rig, struct rig *fresh, const struct cluster *c,
		    const char *what)
{
	struct dump a, b;
	unsigned int i;

	all_at_once(fresh, c);
	a = dump_make(rig);
	b = dump_make(fresh);
	if (!dumps_equal(&a, &b)) {
		for (i = 0; i < N_SERVICES; i++)
			print_error("%s\n", c->services[i] ? c->services[i] : "-");
		fail_msg("%s", what);
	}
	dump_free(&a);
	dump_free(&b);
}

static void sequence(struct rig *rig, struct rig *fresh, uint64_t seed)
{
	struct cluster *c = calloc(1, sizeof(*c));
	unsigned int i, n;
	char what[64];

	assert_non_null(c);
	c->random = seed;
	empty(rig);
	rig_begin(rig, false);
	make_node(c);
	tell(rig, c->node);
	for (i = 0; i < STEPS; i++) {
		for (n = below(c, 4) ? 1 : below(c, 4) + 1; n; n--)
			change(c, rig);
		if (sync_waits(&rig->sync))
			(void)settle(rig);
		(void)snprintf(what, sizeof(what), "sequence %llu, step %u",
			       (unsigned long long)seed, i);
		compare(rig, fresh, c, what);
	}
	sync_done(&rig->sync);
	cluster_free(c);
	free(c);
}

/* SEED=N runs that one alone. */
static void test_any_way_leads_to_the_same(void **state)
{
	const char *seed = getenv("SEED"), *count = getenv("SEQUENCES");
	unsigned long long n = count ? strtoull(count, NULL, 0) : 40, i;
	struct rig *rig = rig_new(false), *fresh = rig_new(false);

	sync_done(&rig->sync);
	sync_done(&fresh->sync);
	for (i = 1; i <= n; i++)
		sequence(rig, fresh, seed ? strtoull(seed, NULL, 0) : i);
	rig_begin(rig, false);
	rig_begin(fresh, false);
	rig_free(rig);
	rig_free(fresh);
}

/* ---- single changes -------------------------------------------------------------------- */

#define SERVICE(name, last, rest)                                                        \
	"{apiVersion: v1, kind: Service, metadata: {name: " name "}, spec: {clusterIP: " \
	"10.96.0." last ", ports: [{port: 80, targetPort: 8080}]" rest "}}\n---\n"
/* @endpoints: a list of addresses */
#define SLICE(name, service, endpoints)                                                 \
	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: " name \
	", labels: {kubernetes.io/service-name: " service "}}, addressType: IPv4, "     \
	"endpoints: [" endpoints "], ports: [{port: 8080}]}\n---\n"
#define AT(addr) "{addresses: [" addr "], nodeName: node-1},"
#define NODE                                                                          \
	"{apiVersion: v1, kind: Node, metadata: {name: node-1}, status: {addresses: " \
	"[{type: InternalIP, address: 192.0.2.1}]}}\n---\n"

/* "NS/NAME" of who answers at a frontend; "" nobody. */
static const char *holder(const struct rig *rig, const char *addr, uint16_t port)
{
	struct sh_frontend_key key = { .port = htons(port), .proto = IPPROTO_TCP };
	static char text[2 * SH_NAME_MAX + 4];
	struct sh_frontend value;
	struct sh_meta meta;

	assert_int_equal(addr_parse(addr, &key.addr), 0);
	if (bpf_map_lookup_elem(rig->dp->map_fd[DP_MAP_FRONTENDS], &key, &value))
		return "";
	assert_true(dataplane_meta(rig->dp, SH_META_SERVICE, value.service, &meta));
	(void)snprintf(text, sizeof(text), "%s/%s", meta.service.ns, meta.service.name);
	return text;
}

static void assert_said(const struct rig *rig, const char *what)
{
	if (!strstr(rig->said, what))
		fail_msg("nobody said '%s' but: %s", what, rig->said);
}

static const struct sh_backend *backend_find(const struct rig *rig, const char *text,
					     unsigned int *n_out)
{
	const struct sh_backend *lines = rig->dp->mem[DP_MAP_BACKENDS], *found = NULL;
	struct sh_addr addr;
	uint32_t i;

	*n_out = 0;
	assert_int_equal(addr_parse(text, &addr), 0);
	for (i = 1; i < rig->dp->map_max[DP_MAP_BACKENDS]; i++) {
		if (!lines[i].id || !addr_eq(&lines[i].addr, &addr))
			continue;
		found = &lines[i];
		++*n_out;
	}
	return found;
}

static unsigned int backends_at(const struct rig *rig, const char *addr)
{
	unsigned int n;

	(void)backend_find(rig, addr, &n);
	return n;
}

static unsigned int backend_flags_at(const struct rig *rig, const char *addr)
{
	unsigned int n;
	const struct sh_backend *backend = backend_find(rig, addr, &n);

	assert_int_equal(n, 1);
	return backend->flags;
}

static void test_a_change_is_published_alone(void **state)
{
	struct rig *rig = rig_new(false);
	const struct publish_result *last;

	tell(rig, NODE SERVICE("a", "1", "") SERVICE("b", "2", "") SERVICE("c", "3", "")
			  SLICE("a-1", "a", AT("10.244.1.1") AT("10.244.1.2"))
				  SLICE("b-1", "b", AT("10.244.1.3")));
	last = settle(rig);
	assert_int_equal(last->services_added, 3);
	assert_int_equal(last->backends_added, 3);
	assert_int_equal(rig->stats.full_syncs, 1);

	tell(rig, SLICE("b-1", "b", AT("10.244.1.3") AT("10.244.1.4")));
	last = settle(rig);
	assert_int_equal(last->services_added + last->services_removed, 0);
	assert_int_equal(last->services_changed, 1);
	assert_int_equal(last->backends_added, 1);
	assert_int_equal(last->backends_removed + last->backends_changed, 0);

	/* What is withdrawn takes no new client, not even one that it has had: at once. */
	tell(rig, SLICE("b-1", "b", AT("10.244.1.3")));
	assert_int_equal(sync_run(&rig->sync, NULL), 0);
	assert_int_equal(backend_flags_at(rig, "10.244.1.4"), SH_BE_LOCAL);
	retire(rig);
	assert_int_equal(backends_at(rig, "10.244.1.4"), 0);
	tell(rig, SLICE("b-1", "b", AT("10.244.1.3") AT("10.244.1.4")));
	(void)settle(rig);

	/* The same again is no change at all. */
	tell(rig, SLICE("b-1", "b", AT("10.244.1.3") AT("10.244.1.4")));
	last = settle(rig);
	assert_int_equal(last->services_changed, 0);

	/* What comes together goes together. */
	tell(rig, SERVICE("d", "4", "") SLICE("a-1", "a", AT("10.244.1.2")));
	tell_gone(rig, KIND_SERVICE, "default", "c");
	last = settle(rig);
	assert_int_equal(last->services_added, 1);
	assert_int_equal(last->services_changed, 1);
	assert_int_equal(last->services_removed, 1);
	assert_int_equal(last->backends_removed, 1);

	/* A Node that tells of itself once more: nobody is looked at. */
	tell(rig, NODE);
	assert_false(sync_waits(&rig->sync));
	assert_int_equal(rig->stats.full_syncs, 1);
	assert_int_equal(rig->stats.syncs, 6);
	rig_free(rig);
}

/* A backend that nobody has used costs no look at the flows, and none of them its life. */
static void test_flows_go_on(void **state)
{
	struct rig *rig = rig_new(false);
	const struct sh_control *control = rig->dp->mem[DP_MAP_CONTROL];
	struct sh_bucket *bucket = rig->dp->mem[DP_MAP_TAGS4];
	struct sweep_result swept;
	uint32_t live;

	live = (probe_jiffies() >> control->config.stamp_shift & SH_WORD_STAMP_MASK) |
	       (uint32_t)SH_LIVE << SH_WORD_STATE_SHIFT | 1u << SH_WORD_TAG_SHIFT;
	bucket->word[0] = live;
	tell(rig, NODE SERVICE("a", "1", "") SLICE("a-1", "a", AT("10.244.1.1")));
	(void)settle(rig);
	tell(rig, SLICE("a-1", "a", AT("10.244.1.2")));
	assert_int_equal(sync_run(&rig->sync, NULL), 0);
	assert_true(dataplane_retire_begin(rig->dp));
	assert_false(dataplane_retire_slots(rig->dp));
	assert_int_equal(backends_at(rig, "10.244.1.1"), 0);
	/* A walk that nobody has begun knows no time. */
	assert_false(dataplane_sweep(rig->dp, 1000000000, &swept));
	assert_int_equal(swept.expired, 0);
	assert_int_equal(bucket->word[0], live);

	dataplane_sweep_begin(rig->dp);
	while (dataplane_sweep(rig->dp, 1000000000, &swept))
		;
	assert_int_equal(swept.expired, 0);
	assert_int_equal(bucket->word[0], live);
	rig_free(rig);
}

static void test_who_goes_makes_room_for_who_waits(void **state)
{
	struct rig *rig = rig_new(false);

	tell(rig, NODE SERVICE("other", "9", ""));
	(void)settle(rig);
	/* Both in one publish that looks at nobody else: the first by name has it. */
	tell(rig, SERVICE("b", "2", ", externalIPs: [203.0.113.1]")
			  SERVICE("a", "1", ", externalIPs: [203.0.113.1]"));
	(void)settle(rig);
	assert_string_equal(holder(rig, "203.0.113.1", 80), "default/a");
	assert_said(rig, "Service default/b: ExternalIP 203.0.113.1:80/TCP is served by Service "
			 "default/a already");
	tell_gone(rig, KIND_SERVICE, "default", "a");
	(void)settle(rig);
	assert_string_equal(holder(rig, "203.0.113.1", 80), "default/b");

	/* A ClusterIP goes before all else. */
	tell(rig, SERVICE("z", "7", ", externalIPs: [10.96.0.8]"));
	(void)settle(rig);
	assert_string_equal(holder(rig, "10.96.0.8", 80), "default/z");
	tell(rig, SERVICE("zz", "8", ""));
	(void)settle(rig);
	assert_string_equal(holder(rig, "10.96.0.8", 80), "default/zz");
	tell(rig, SERVICE("zz", "8", ", externalIPs: [203.0.113.5]"));
	(void)settle(rig);
	assert_string_equal(holder(rig, "10.96.0.8", 80), "default/zz");
	rig_free(rig);
}

/* ---- without a cluster --------------------------------------------------------------------- */

#define NODE_PORT(name, port)                                                                 \
	"{apiVersion: v1, kind: Service, metadata: {name: " name "}, spec: {type: NodePort, " \
	"ports: [{port: 80, nodePort: " port "}]}}\n---\n"
#define ANY4 "0.0.0.0"

static void test_two_want_one_node_port(void **state)
{
	struct rig *rig = rig_new(true);

	tell(rig, NODE NODE_PORT("first", "30001") NODE_PORT("second", "30001")
			  NODE_PORT("third", "30003"));
	(void)settle(rig);
	assert_string_equal(holder(rig, ANY4, 30001), "default/first");
	assert_string_equal(holder(rig, ANY4, 30003), "default/third");
	assert_said(rig, "Service default/second left out: ");
	assert_int_equal(rig->stats.objects_refused, 1);
	assert_true(rig->sync.unsaved);

	/* What was there stays as it was. */
	rig_quiet(rig);
	tell(rig, NODE_PORT("third", "30001"));
	(void)settle(rig);
	assert_string_equal(holder(rig, ANY4, 30003), "default/third");
	assert_said(rig, "Service default/third left as it was: ");

	/* Somebody gives way: the one that has waited longest gets it, without being told again. */
	rig_quiet(rig);
	tell(rig, NODE_PORT("first", "30004"));
	(void)settle(rig);
	assert_string_equal(holder(rig, ANY4, 30004), "default/first");
	assert_string_equal(holder(rig, ANY4, 30001), "default/second");
	assert_string_equal(holder(rig, ANY4, 30003), "default/third");
	assert_said(rig, "Service default/second: what was left out is in force now");
	tell_gone(rig, KIND_SERVICE, "default", "second");
	(void)settle(rig);
	assert_string_equal(holder(rig, ANY4, 30001), "default/third");
	assert_string_equal(holder(rig, ANY4, 30003), "");
	assert_int_equal(rig->sync.world.n_not_given, 0);
	rig_free(rig);
}

static void test_two_change_places(void **state)
{
	struct rig *rig = rig_new(true);

	tell(rig, NODE NODE_PORT("a", "30001") NODE_PORT("b", "30002") NODE_PORT("c", "30003"));
	(void)settle(rig);
	tell(rig, NODE_PORT("b", "30001") NODE_PORT("a", "30002"));
	(void)settle(rig);
	assert_string_equal(holder(rig, ANY4, 30001), "default/b");
	assert_string_equal(holder(rig, ANY4, 30002), "default/a");
	assert_string_equal(rig->said, "");
	/* One in the way of three, who go one after the other as soon as it has gone. */
	tell(rig, NODE_PORT("a", "30003") NODE_PORT("b", "30002") NODE_PORT("d", "30001"));
	(void)settle(rig);
	assert_string_equal(holder(rig, ANY4, 30002), "default/a");
	tell_gone(rig, KIND_SERVICE, "default", "c");
	(void)settle(rig);
	assert_string_equal(holder(rig, ANY4, 30003), "default/a");
	assert_string_equal(holder(rig, ANY4, 30002), "default/b");
	assert_string_equal(holder(rig, ANY4, 30001), "default/d");
	rig_free(rig);
}

static struct sh_addr cluster_ip(const struct rig *rig, const char *name)
{
	const struct world_service *service = world_find(&rig->sync.world, "default", name);

	assert_non_null(service);
	assert_non_null(service->service);
	assert_int_equal(service->service->service.n_cluster_ips, 1);
	return service->service->service.cluster_ips[0];
}

#define PLAIN(name)                                                          \
	"{apiVersion: v1, kind: Service, metadata: {name: " name "}, spec: " \
	"{ports: [{port: 80}]}}\n---\n"

static void test_what_was_given_stays(void **state)
{
	struct rig *rig = rig_new(true);
	struct object_set kept = { 0 };
	struct sh_addr before, after;
	char text[ADDR_STRLEN];

	/* As an earlier run left it: not what the hash of its name would choose. */
	load(SERVICE("web", "200", "") SERVICE("old", "201", ""), &kept);
	for (size_t i = 0; i < kept.n; i++)
		assert_int_equal(world_put_stored(&rig->sync.world, object_ref(kept.v[i])), 0);
	object_set_done(&kept);
	tell(rig, NODE PLAIN("web") PLAIN("new"));
	world_forget_stored(&rig->sync.world, ++rig->now);
	(void)settle(rig);
	before = cluster_ip(rig, "web");
	assert_string_equal(addr_format(&before, text), "10.96.0.200");
	assert_string_equal(holder(rig, "10.96.0.200", 80), "default/web");
	assert_string_equal(holder(rig, "10.96.0.201", 80), "");
	assert_null(world_find(&rig->sync.world, "default", "old"));

	before = cluster_ip(rig, "new");
	tell(rig, PLAIN("new"));
	(void)settle(rig);
	after = cluster_ip(rig, "new");
	assert_true(addr_eq(&before, &after));
	rig_free(rig);
}

/* ---- what can't be published ------------------------------------------------------------------ */

/* SEMANTICS 25: an SCTP endpoint of another port number. */
#define SCTP(last)                                                                                \
	"{apiVersion: v1, kind: Service, metadata: {name: sctp}, spec: {clusterIP: 10.96.0." last \
	", ports: [{name: s, port: 80, protocol: SCTP, targetPort: s}]}}\n---\n"
#define SCTP_SLICE(port)                                                                   \
	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: sctp-1, " \
	"labels: {kubernetes.io/service-name: sctp}}, addressType: IPv4, endpoints: "      \
	"[{addresses: [10.244.1.9]}], ports: [{name: s, protocol: SCTP, port: " port "}]}" \
	"\n---\n"

static void test_what_makes_no_sense_stays_as_it_was(void **state)
{
	struct rig *rig = rig_new(true);

	tell(rig, NODE SERVICE("a", "1", "") SCTP("5") SCTP_SLICE("80"));
	(void)settle(rig);
	assert_int_equal(backends_at(rig, "10.244.1.9"), 1);

	/* Beside a change that makes sense, */
	tell(rig, SCTP_SLICE("81") SLICE("a-1", "a", AT("10.244.1.1")));
	(void)settle(rig);
	assert_said(rig, "Service default/sctp left as it was: ");
	assert_int_equal(backends_at(rig, "10.244.1.9"), 1);
	assert_int_equal(backends_at(rig, "10.244.1.1"), 1);

	/* by itself, without another word, when all is published, */
	rig_quiet(rig);
	rig->sync.world.all_dirty = true;
	(void)settle(rig);
	assert_int_equal(backends_at(rig, "10.244.1.9"), 1);
	assert_string_equal(rig->said, "");
	/* and from the first time on. */
	sync_done(&rig->sync);
	rig_begin(rig, true);
	tell(rig, NODE SERVICE("a", "1", "") SCTP("5") SCTP_SLICE("81"));
	(void)settle(rig);
	assert_int_equal(backends_at(rig, "10.244.1.9"), 1);
	assert_said(rig, "Service default/sctp left as it was: ");

	tell(rig, SCTP_SLICE("80"));
	tell_gone(rig, KIND_SERVICE, "default", "a");
	(void)settle(rig);
	assert_int_equal(backends_at(rig, "10.244.1.9"), 1);
	assert_int_equal(backends_at(rig, "10.244.1.1"), 0);
	rig_free(rig);
}

static struct rig *rig_small(uint32_t backends)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	rig_settings(rig);
	rig->settings.max_backends = backends;
	rig_open(rig);
	rig_begin(rig, false);
	return rig;
}

static void test_one_too_many_keeps_nobody_else_out(void **state)
{
	struct rig *rig = rig_small(4);

	/* From the first publish on, */
	tell(rig,
	     NODE SERVICE("a", "1", "") SLICE("a-1", "a", AT("10.244.1.1")) SERVICE("b", "2", "")
		     SLICE("b-1", "b",
			   AT("10.244.1.2") AT("10.244.1.3") AT("10.244.1.4") AT("10.244.1.5"))
			     SERVICE("c", "3", "") SLICE("c-1", "c", AT("10.244.1.6")));
	(void)settle(rig);
	assert_string_equal(holder(rig, "10.96.0.1", 80), "default/a");
	assert_string_equal(holder(rig, "10.96.0.2", 80), "");
	assert_string_equal(holder(rig, "10.96.0.3", 80), "default/c");
	assert_said(rig, "--max-backends");
	assert_int_equal(rig->sync.world.n_failed, 1);

	/* tried again without a word, */
	rig_quiet(rig);
	world_retry(&rig->sync.world);
	assert_true(sync_waits(&rig->sync));
	(void)settle(rig);
	assert_int_equal(rig->sync.world.n_failed, 1);
	assert_string_equal(rig->said, "");

	/* while others go on: the second backend of a. */
	tell(rig, SLICE("a-1", "a", AT("10.244.1.1") AT("10.244.1.7")));
	(void)settle(rig);
	assert_int_equal(backends_at(rig, "10.244.1.7"), 1);
	assert_int_equal(rig->sync.world.n_failed, 1);

	/* There is room again. */
	tell_gone(rig, KIND_SERVICE, "default", "a");
	tell(rig, SLICE("b-1", "b", AT("10.244.1.2") AT("10.244.1.3")));
	(void)settle(rig);
	world_retry(&rig->sync.world);
	(void)settle(rig);
	assert_string_equal(holder(rig, "10.96.0.2", 80), "default/b");
	assert_int_equal(rig->sync.world.n_failed, 0);
	rig_free(rig);
}

static void test_one_that_failed_is_gone(void **state)
{
	struct rig *rig = rig_small(2);

	tell(rig, NODE SERVICE("a", "1", "") SLICE("a-1", "a", AT("10.244.1.1")));
	(void)settle(rig);
	tell(rig, SLICE("a-1", "a", AT("10.244.1.2") AT("10.244.1.3") AT("10.244.1.4")));
	(void)settle(rig);
	assert_int_equal(rig->sync.world.n_failed, 1);
	assert_int_equal(backends_at(rig, "10.244.1.1"), 1);
	tell_gone(rig, KIND_SERVICE, "default", "a");
	tell_gone(rig, KIND_ENDPOINT_SLICE, "default", "a-1");
	(void)settle(rig);
	assert_int_equal(rig->sync.world.n_failed, 0);
	assert_int_equal(backends_at(rig, "10.244.1.1"), 0);
	assert_string_equal(holder(rig, "10.96.0.1", 80), "");
	assert_null(world_find(&rig->sync.world, "default", "a"));
	rig_free(rig);
}

/* What a run that is over has left behind goes, although not all that is to come finds room. */
static void test_strays_go_before_all_else(void **state)
{
	struct rig *rig = rig_small(3);

	tell(rig, NODE SERVICE("old", "1", "") SLICE(
			  "old-1", "old", AT("10.244.1.1") AT("10.244.1.2") AT("10.244.1.3")));
	(void)settle(rig);
	sync_done(&rig->sync);
	rig_begin(rig, false);
	tell(rig, NODE SERVICE("new", "2", "") SLICE("new-1", "new", AT("10.244.1.4")));
	(void)settle(rig);
	assert_string_equal(holder(rig, "10.96.0.1", 80), "");
	world_retry(&rig->sync.world);
	(void)settle(rig);
	assert_string_equal(holder(rig, "10.96.0.2", 80), "default/new");
	assert_int_equal(rig->sync.world.n_failed, 0);
	rig_free(rig);
}

static void test_needs_root(void **state)
{
	print_message("loading BPF programs needs root\n");
	skip();
}

int main(void)
{
	const struct CMUnitTest none[] = { cmocka_unit_test(test_needs_root) };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_change_is_published_alone),
		cmocka_unit_test(test_flows_go_on),
		cmocka_unit_test(test_who_goes_makes_room_for_who_waits),
		cmocka_unit_test(test_two_want_one_node_port),
		cmocka_unit_test(test_two_change_places),
		cmocka_unit_test(test_what_was_given_stays),
		cmocka_unit_test(test_what_makes_no_sense_stays_as_it_was),
		cmocka_unit_test(test_one_too_many_keeps_nobody_else_out),
		cmocka_unit_test(test_one_that_failed_is_gone),
		cmocka_unit_test(test_strays_go_before_all_else),
		cmocka_unit_test(test_any_way_leads_to_the_same),
	};

	if (geteuid())
		return cmocka_run_group_tests_name("sync", none, NULL, NULL);
	return cmocka_run_group_tests_name("sync", tests, NULL, NULL);
}
