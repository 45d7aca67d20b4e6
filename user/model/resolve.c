/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/endpoints.h"
#include "model/local_addrs.h"
#include "model/maglev.h"
#include "shunt/limits.h"
#include "util/intern.h"

#define SCTP_REASON "SCTP ports can't be translated (their checksum covers the whole packet)"

/* Who serves (address, port, protocol): no two frontends may have the same. */
struct claim {
	struct sh_addr addr;
	__be16 port;
	proto_t proto;
	const struct object *holder;   /* NULL: a free place */
	const struct service_port *by; /* of the holder's */
};

struct claims {
	struct claim *v;
	size_t size; /* a power of two, at least twice what will be claimed */
};

struct resolver {
	const struct object_set *objects;
	const struct resolve_opts *opts;
	struct wanted *wanted;
	struct intern names;
	struct endpoint_sources sources;
	struct candidates found;  /* scratch */
	struct local_addrs local; /* scratch: of the Service at hand, for its health check */
	struct claims claims;
	struct err *err;
};

static int no_memory(struct resolver *r)
{
	return err_system(r->err, -ENOMEM, "resolve %zu objects", r->objects->n);
}

/* ---- what can't be served ---------------------------------------------------- */

static int note(struct resolver *r, const char *text)
{
	struct wanted *wanted = r->wanted;

	if (!wanted->notes)
		wanted->notes = arena_array(wanted->arena, SH_ERRORS_MAX, sizeof(char *));
	if (!wanted->notes)
		return no_memory(r);
	if (wanted->n_notes == SH_ERRORS_MAX) {
		wanted->n_notes_more++;
		return 0;
	}
	wanted->notes[wanted->n_notes] = arena_strdup(wanted->arena, text);
	if (!wanted->notes[wanted->n_notes])
		return no_memory(r);
	wanted->n_notes++;
	return 0;
}

/*
 * A word of the user's that makes no sense. What we load ourselves is refused;
 * what a cluster has accepted already is served without it, and noted.
 */
__attribute__((format(printf, 2, 3))) static int complain(struct resolver *r, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (r->opts->own_control_plane)
		return err_input(r->err, -EINVAL, "%s", text);
	return note(r, text);
}

/* @return whether @name is one; *out is untouched if not */
static bool algorithm_parse(const char *name, enum sh_algorithm *out)
{
	static const char *const names[] = {
		[SH_MAGLEV] = "maglev",
		[SH_RANDOM] = "random",
		[SH_LEAST_CONN] = "least-conn",
	};
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(name, names[i])) {
			*out = (enum sh_algorithm)i;
			return true;
		}
	}
	return false;
}

static int check_annotations(struct resolver *r, const struct object *object)
{
	const char *algorithm = NULL;
	enum sh_algorithm ignored;
	int ret = 0;

	if (weight_of(&object->meta) == -EINVAL)
		ret = complain(r,
			       "%s %s/%s: annotation " ANNOTATION_WEIGHT
			       ": \"%s\" is not a whole number from 0 to %d (SH_WEIGHT_MAX)",
			       kind_name(object->kind), object->meta.ns, object->meta.name,
			       labels_get(&object->meta.annotations, ANNOTATION_WEIGHT),
			       SH_WEIGHT_MAX);
	if (object->kind == KIND_SERVICE)
		algorithm = labels_get(&object->meta.annotations, ANNOTATION_ALGORITHM);
	if (!ret && algorithm && !algorithm_parse(algorithm, &ignored))
		ret = complain(r,
			       "Service %s/%s: annotation " ANNOTATION_ALGORITHM
			       ": \"%s\" is none of maglev, random, least-conn",
			       object->meta.ns, object->meta.name, algorithm);
	return ret;
}

static int check_objects(struct resolver *r)
{
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < r->objects->n; i++)
		if (r->objects->v[i]->kind != KIND_NODE && r->objects->v[i]->meta.annotations.n)
			ret = check_annotations(r, r->objects->v[i]);
	return ret;
}

/* ---- frontends ----------------------------------------------------------------- */

/* Whether the Service is one that we serve at all (SEMANTICS 3). */
static bool has_frontends(const struct object *service)
{
	return !service->service.headless && service->service.type != SERVICE_EXTERNAL_NAME &&
	       !labelled_for_others(&service->meta);
}

static struct claim *claim_place(struct claims *claims, const struct claim *key)
{
	uint64_t h = maglev_hash(&key->addr, sizeof(key->addr), key->port | key->proto << 16);
	struct claim *at;

	for (;; h++) {
		at = &claims->v[h & (claims->size - 1)];
		if (!at->holder || (at->port == key->port && at->proto == key->proto &&
				    addr_eq(&at->addr, &key->addr)))
			return at;
	}
}

static size_t claims_of(const struct service *service)
{
	const size_t addrs =
		2 * service->n_cluster_ips + service->n_external_ips + service->n_lb_ingress;

	return service->n_ports * addrs + 2; /* one for each family's healthCheckNodePort */
}

static int claims_init(struct resolver *r)
{
	const struct object_set *objects = r->objects;
	size_t i, n = 0, size = 16;

	for (i = object_set_first(objects, KIND_SERVICE);
	     i < objects->n && objects->v[i]->kind == KIND_SERVICE; i++)
		n += claims_of(&objects->v[i]->service);
	while (size < n * 2)
		size *= 2;
	r->claims.v = calloc(size, sizeof(*r->claims.v));
	r->claims.size = size;
	return r->claims.v ? 0 : no_memory(r);
}

/*
 * ClusterIPs are claimed first of all: nobody's externalIP takes the traffic
 * of somebody else's ClusterIP (CVE-2020-8554).
 */
static void claim_cluster_ips(struct resolver *r, const struct object *object)
{
	const struct service *service = &object->service;
	struct claim key, *place;
	size_t i, j;

	for (i = 0; i < service->n_cluster_ips; i++) {
		for (j = 0; j < service->n_ports; j++) {
			key = (struct claim){ service->cluster_ips[i],
					      htons(service->ports[j].port),
					      service->ports[j].proto, object, &service->ports[j] };
			place = claim_place(&r->claims, &key);
			if (!place->holder)
				*place = key;
		}
	}
}

/* What a frontend is made for. */
struct draft {
	const struct object *object;
	const struct service_port *port;
	struct want_service *want;
};

static int add_frontend(struct resolver *r, const struct draft *draft,
			const struct want_frontend *frontend)
{
	struct want_service *want = draft->want;
	struct claim key = { frontend->addr, frontend->port, want->proto, draft->object,
			     draft->port };
	struct claim *place = claim_place(&r->claims, &key);
	char addr[ADDR_PORT_STRLEN], text[512];

	/* Listed twice, as an external IP and a load balancer's, say. */
	if (place->holder == draft->object &&
	    (frontend->kind != FRONTEND_CLUSTER_IP || place->by != draft->port))
		return 0;
	if (place->holder && place->holder != draft->object) {
		r->wanted->n_conflicts++;
		(void)snprintf(text, sizeof(text),
			       "Service %s/%s: %s %s/%s is served by Service %s/%s already; left "
			       "out",
			       want->ns, want->name, frontend_kind_name(frontend->kind),
			       addr_port_format(&frontend->addr, frontend->port, addr),
			       proto_name(want->proto), place->holder->meta.ns,
			       place->holder->meta.name);
		return note(r, text);
	}
	*place = key;
	want->frontends[want->n_frontends++] = *frontend;
	return 0;
}

static int add_load_balancer(struct resolver *r, const struct draft *draft)
{
	const struct service *service = &draft->object->service;
	struct want_frontend frontend = {
		.kind = FRONTEND_LOAD_BALANCER,
		.port = htons(draft->port->port),
		.local_only = service->external_policy == POLICY_LOCAL,
		.source_ranges = draft->want->n_source_ranges > 0,
	};
	const struct lb_ingress *ingress;
	size_t i;
	int ret = 0;

	if (service->type != SERVICE_LOAD_BALANCER)
		return 0;
	for (i = 0; !ret && i < service->n_lb_ingress; i++) {
		ingress = &service->lb_ingress[i];
		if (!ingress->has_ip || ingress->proxy ||
		    addr_family(&ingress->ip) != draft->want->family)
			continue;
		frontend.addr = ingress->ip;
		ret = add_frontend(r, draft, &frontend);
	}
	return ret;
}

static int add_external_ips(struct resolver *r, const struct draft *draft)
{
	const struct service *service = &draft->object->service;
	struct want_frontend frontend = {
		.kind = FRONTEND_EXTERNAL_IP,
		.port = htons(draft->port->port),
		.local_only = service->external_policy == POLICY_LOCAL,
	};
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < service->n_external_ips; i++) {
		if (addr_family(&service->external_ips[i]) != draft->want->family)
			continue;
		frontend.addr = service->external_ips[i];
		ret = add_frontend(r, draft, &frontend);
	}
	return ret;
}

/* SEMANTICS 25: what is reached under another number would have to be translated. */
static int note_sctp_node_port(struct resolver *r, const struct draft *draft)
{
	const struct service_port *port = draft->port;
	char text[512];

	if (draft->want->family != addr_family(&draft->object->service.cluster_ips[0]))
		return 0; /* said already */
	(void)snprintf(text, sizeof(text),
		       "Service %s/%s: nodePort %u/SCTP is not port %u, and " SCTP_REASON
		       "; left out, give both one number of the nodePorts' range",
		       draft->want->ns, draft->want->name, port->node_port, port->port);
	return note(r, text);
}

static int add_node_port(struct resolver *r, const struct draft *draft)
{
	const struct service *service = &draft->object->service;
	struct want_frontend frontend = {
		.kind = FRONTEND_NODE_PORT,
		.port = htons(draft->port->node_port),
		.local_only = service->external_policy == POLICY_LOCAL,
	};

	if (!draft->port->node_port ||
	    (service->type != SERVICE_NODE_PORT && service->type != SERVICE_LOAD_BALANCER))
		return 0;
	if (draft->port->proto == IPPROTO_SCTP && draft->port->node_port != draft->port->port)
		return note_sctp_node_port(r, draft);
	if (draft->want->family == FAMILY_IPV4)
		frontend.addr = addr_from_v4(0);
	return add_frontend(r, draft, &frontend);
}

static int add_cluster_ips(struct resolver *r, const struct draft *draft)
{
	const struct service *service = &draft->object->service;
	struct want_frontend frontend = {
		.kind = FRONTEND_CLUSTER_IP,
		.port = htons(draft->port->port),
		.local_only = service->internal_policy == POLICY_LOCAL,
	};
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < service->n_cluster_ips; i++) {
		if (addr_family(&service->cluster_ips[i]) != draft->want->family)
			continue;
		frontend.addr = service->cluster_ips[i];
		ret = add_frontend(r, draft, &frontend);
	}
	return ret;
}

/*
 * SEMANTICS 1. A load balancer's address comes before an external IP: where one
 * address is both, its source ranges guard it.
 */
static int add_frontends(struct resolver *r, const struct draft *draft)
{
	const struct service *service = &draft->object->service;
	const size_t most =
		service->n_cluster_ips + service->n_external_ips + service->n_lb_ingress + 1;
	int ret;

	draft->want->frontends =
		arena_array(r->wanted->arena, most, sizeof(*draft->want->frontends));
	if (!draft->want->frontends)
		return no_memory(r);
	ret = add_cluster_ips(r, draft);
	if (!ret)
		ret = add_node_port(r, draft);
	if (!ret)
		ret = add_load_balancer(r, draft);
	if (!ret)
		ret = add_external_ips(r, draft);
	return ret;
}

/* ---- which endpoints serve ------------------------------------------------------- */

/* What is true of a set of endpoints as a whole. */
struct census {
	bool ready, fallback;		  /* somewhere */
	bool local_ready, local_fallback; /* on this node */
	enum { TOPOLOGY_NONE, TOPOLOGY_ZONE, TOPOLOGY_NODE } topology;
};

static bool is_fallback(const struct candidate *c)
{
	return c->serving && c->terminating && c->weight;
}

static struct census take_census(const struct candidates *found)
{
	bool all_nodes = true, all_zones = true, my_node = false, my_zone = false;
	struct census census = { 0 };
	const struct candidate *c;
	size_t i;

	for (i = 0; i < found->n; i++) {
		c = &found->v[i];
		census.fallback |= is_fallback(c);
		census.local_fallback |= is_fallback(c) && c->local;
		if (!candidate_is_ready(c))
			continue;
		census.ready = true;
		census.local_ready |= c->local;
		all_nodes &= c->node_hints;
		all_zones &= c->zone_hints;
		my_node |= c->node_match;
		my_zone |= c->zone_match;
	}
	if (all_nodes && my_node)
		census.topology = TOPOLOGY_NODE;
	else if (all_zones && my_zone)
		census.topology = TOPOLOGY_ZONE;
	return census;
}

/* SEMANTICS 10 and 16: hints act on ready endpoints only. */
static bool serves_cluster(const struct candidate *c, const struct census *census)
{
	if (!census->ready)
		return is_fallback(c);
	if (!candidate_is_ready(c))
		return false;
	if (census->topology == TOPOLOGY_NODE)
		return c->node_match;
	if (census->topology == TOPOLOGY_ZONE)
		return c->zone_match;
	return true;
}

static bool serves_local(const struct candidate *c, const struct census *census)
{
	return c->local && (census->local_ready ? candidate_is_ready(c) : is_fallback(c));
}

/*
 * Every endpoint that exists is listed, also one that takes no new connections:
 * those it has go on as long as it is there (SEMANTICS 23).
 */
static int add_backends(struct resolver *r, struct want_service *want)
{
	const struct census census = take_census(&r->found);
	const struct candidate *c;
	struct want_backend *b;
	size_t i;

	want->any_usable = census.ready || census.fallback;
	want->backends = arena_array(r->wanted->arena, r->found.n, sizeof(*want->backends));
	if (!want->backends)
		return no_memory(r);
	for (i = 0; i < r->found.n; i++) {
		c = &r->found.v[i];
		b = &want->backends[i];
		*b = (struct want_backend){ .addr = c->addr, .port = c->port, .weight = c->weight };
		b->local = c->local;
		b->terminating = c->terminating;
		b->in_cluster = serves_cluster(c, &census);
		b->in_local = serves_local(c, &census);
		b->pod = intern(&r->names, c->pod);
		b->node = intern(&r->names, c->node);
		b->zone = intern(&r->names, c->zone);
		if (!b->pod || !b->node || !b->zone)
			return no_memory(r);
	}
	want->n_backends = r->found.n;
	return 0;
}

/*
 * SEMANTICS 25. The decoder refuses a targetPort of another number; what a name
 * or a slice stands for is known only here.
 */
static int leave_sctp_strangers(struct resolver *r, const struct draft *draft)
{
	const struct service_port *port = draft->port;
	const struct origin *at = &port->at;
	struct candidate stranger = { 0 };
	struct candidates *found = &r->found;
	char addr[ADDR_PORT_STRLEN];
	size_t i, kept = 0;
	int ret;

	for (i = 0; i < found->n; i++) {
		if (found->v[i].port == htons(port->port))
			found->v[kept++] = found->v[i];
		else
			stranger = found->v[i];
	}
	if (kept == found->n)
		return 0;
	found->n = kept;
	ret = complain(r,
		       "Service %s/%s: endpoint %s has another port than %u/SCTP, and " SCTP_REASON
		       "; make both equal",
		       draft->want->ns, draft->want->name,
		       addr_port_format(&stranger.addr, stranger.port, addr), port->port);
	if (ret == -EINVAL && at->file && at->line)
		err_prefix(r->err, "%s:%u:%u", at->file, at->line, at->column);
	return ret;
}

static int find_backends(struct resolver *r, const struct draft *draft)
{
	const struct endpoint_query query = { draft->object, draft->port, draft->want->family };
	int ret;

	if (endpoints_collect(&r->sources, &query, &r->found))
		return no_memory(r);
	ret = draft->port->proto == IPPROTO_SCTP ? leave_sctp_strangers(r, draft) : 0;
	if (ret)
		return ret;
	if (r->found.n > SH_SERVICE_BACKENDS_MAX)
		return err_input(r->err, -E2BIG,
				 "Service %s/%s port %u/%s: %zu endpoints are more than %d "
				 "(SH_SERVICE_BACKENDS_MAX); split it into several Services",
				 draft->want->ns, draft->want->name, draft->port->port,
				 proto_name(draft->port->proto), r->found.n,
				 SH_SERVICE_BACKENDS_MAX);
	if (service_takes_health_port(&draft->object->service) &&
	    local_addrs_add(&r->local, &r->found))
		return no_memory(r);
	return add_backends(r, draft->want);
}

/* ---- Services -------------------------------------------------------------------- */

/* Those of the family; a list without any of it leaves the family open (SEMANTICS 17). */
static int add_source_ranges(struct resolver *r, const struct service *service,
			     struct want_service *want)
{
	size_t i;

	if (service->type != SERVICE_LOAD_BALANCER || !service->n_source_ranges)
		return 0;
	want->source_ranges = arena_array(r->wanted->arena, service->n_source_ranges,
					  sizeof(*want->source_ranges));
	if (!want->source_ranges)
		return no_memory(r);
	for (i = 0; i < service->n_source_ranges; i++)
		if (addr_family(&service->source_ranges[i].addr) == want->family)
			want->source_ranges[want->n_source_ranges++] = service->source_ranges[i];
	return 0;
}

static int describe(struct resolver *r, const struct draft *draft)
{
	const struct object *object = draft->object;
	const struct service *service = &object->service;
	const char *algorithm = labels_get(&object->meta.annotations, ANNOTATION_ALGORITHM);
	struct want_service *want = draft->want;

	want->ns = intern(&r->names, object->meta.ns);
	want->name = intern(&r->names, object->meta.name);
	want->port_name = intern(&r->names, draft->port->name);
	if (!want->ns || !want->name || !want->port_name)
		return no_memory(r);
	want->port = draft->port->port;
	want->proto = draft->port->proto;
	want->type = service->type;
	if (algorithm)
		(void)algorithm_parse(algorithm, &want->algorithm); /* check_objects() said it */
	want->affinity_seconds = service->affinity_client_ip ? service->affinity_seconds : 0;
	want->internal_local = service->internal_policy == POLICY_LOCAL;
	want->external_local = service->external_policy == POLICY_LOCAL;
	return 0;
}

/* One (Service, port, family): each family is judged alone (SEMANTICS 2). */
static int resolve_port(struct resolver *r, const struct object *object,
			const struct service_port *port, enum family family)
{
	struct want_service *want = &r->wanted->services[r->wanted->n_services];
	const struct draft draft = { .object = object, .port = port, .want = want };
	int ret;

	want->family = family;
	ret = describe(r, &draft);
	if (!ret)
		ret = add_source_ranges(r, &object->service, want);
	if (!ret)
		ret = add_frontends(r, &draft);
	if (!ret && !want->n_frontends) {
		*want = (struct want_service){ 0 };
		return 0;
	}
	if (!ret)
		ret = find_backends(r, &draft);
	if (!ret)
		r->wanted->n_services++;
	return ret;
}

static bool has_family(const struct service *service, enum family family)
{
	size_t i;

	for (i = 0; i < service->n_cluster_ips; i++)
		if (addr_family(&service->cluster_ips[i]) == family)
			return true;
	return false;
}

static int compare_services(const void *a, const void *b)
{
	return want_service_cmp(a, b);
}

static bool wants_health(const struct object *object)
{
	return has_frontends(object) && service_takes_health_port(&object->service) &&
	       object->service.health_check_node_port;
}

/* The count is of all its ports and families: those have been resolved just now. */
static int add_health(struct resolver *r, const struct object *object)
{
	struct want_health health = { .port = object->service.health_check_node_port };

	local_addrs_count(&r->local, &health);
	if (!wants_health(object))
		return 0;
	health.ns = intern(&r->names, object->meta.ns);
	health.name = intern(&r->names, object->meta.name);
	if (!health.ns || !health.name)
		return no_memory(r);
	r->wanted->health[r->wanted->n_health++] = health;
	return 0;
}

static int resolve_service(struct resolver *r, const struct object *object)
{
	static const enum family families[] = { FAMILY_IPV4, FAMILY_IPV6 };
	const struct service *service = &object->service;
	const size_t first = r->wanted->n_services;
	size_t i, j;
	int ret;

	for (i = 0; i < 2; i++) {
		if (!has_family(service, families[i]))
			continue;
		for (j = 0; j < service->n_ports; j++) {
			ret = resolve_port(r, object, &service->ports[j], families[i]);
			if (ret)
				return ret;
		}
	}
	/* Services come in order, their ports don't. */
	if (r->wanted->n_services > first)
		qsort(r->wanted->services + first, r->wanted->n_services - first,
		      sizeof(*r->wanted->services), compare_services);
	return add_health(r, object);
}

/* Another proxy's Service has an address all the same: nobody is to drop its packets. */
static int keep_other(struct resolver *r, const struct object *object)
{
	struct want_other other = { .ns = intern(&r->names, object->meta.ns),
				    .name = intern(&r->names, object->meta.name) };
	size_t i;

	if (!other.ns || !other.name)
		return no_memory(r);
	for (i = 0; i < object->service.n_cluster_ips; i++) {
		other.addr = object->service.cluster_ips[i];
		r->wanted->others[r->wanted->n_others++] = other;
	}
	return 0;
}

static int note_health_taken(struct resolver *r, const struct want_health *health,
			     const struct claim *taken)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "Service %s/%s: healthCheckNodePort %u is the %s of Service %s/%s already; "
		       "not answered",
		       health->ns, health->name, health->port,
		       taken->by ? "nodePort" : "healthCheckNodePort", taken->holder->meta.ns,
		       taken->holder->meta.name);
	return note(r, text);
}

/* The place of a nodePort, or of a healthCheckNodePort, of one family. */
static struct claim *health_place(struct resolver *r, struct claim *key, enum family family)
{
	key->addr = family == FAMILY_IPV4 ? addr_from_v4(0) : (struct sh_addr){ 0 };
	return claim_place(&r->claims, key);
}

/* @return who has the port in either family, this Service from now on if nobody had: NULL */
static const struct claim *claim_health_port(struct resolver *r, const struct want_health *health)
{
	struct claim key = { .port = htons(health->port), .proto = IPPROTO_TCP };
	struct claim *taken = health_place(r, &key, FAMILY_IPV4);

	if (!taken->holder)
		taken = health_place(r, &key, FAMILY_IPV6);
	if (taken->holder)
		return taken;
	key.holder = object_set_find(r->objects, KIND_SERVICE, health->ns, health->name);
	taken = health_place(r, &key, FAMILY_IPV4);
	*taken = key;
	taken = health_place(r, &key, FAMILY_IPV6);
	*taken = key;
	return NULL;
}

/*
 * A port answers for one Service, the first by name, and only where it is no
 * nodePort. Two want one port only where a cluster has given it from one to the
 * other, and we hear of the second first.
 */
static int keep_health(struct resolver *r)
{
	struct wanted *w = r->wanted;
	const struct claim *taken;
	size_t i, kept = 0;
	int ret = 0;

	for (i = 0; !ret && i < w->n_health; i++) {
		taken = claim_health_port(r, &w->health[i]);
		if (taken)
			ret = note_health_taken(r, &w->health[i], taken);
		else
			w->health[kept++] = w->health[i];
	}
	w->n_health = kept;
	return ret;
}

static int resolve_services(struct resolver *r)
{
	const struct object_set *objects = r->objects;
	const size_t first = object_set_first(objects, KIND_SERVICE);
	size_t i, end, n = 0, n_others = 0, n_health = 0;
	int ret = 0;

	for (end = first; end < objects->n && objects->v[end]->kind == KIND_SERVICE; end++) {
		n += objects->v[end]->service.n_ports * objects->v[end]->service.n_cluster_ips;
		if (!has_frontends(objects->v[end]))
			n_others += objects->v[end]->service.n_cluster_ips;
		n_health += wants_health(objects->v[end]);
	}
	r->wanted->services = arena_array(r->wanted->arena, n, sizeof(*r->wanted->services));
	r->wanted->others = arena_array(r->wanted->arena, n_others, sizeof(*r->wanted->others));
	r->wanted->health = arena_array(r->wanted->arena, n_health, sizeof(*r->wanted->health));
	if (!r->wanted->services || !r->wanted->others || !r->wanted->health)
		return no_memory(r);
	for (i = first; !ret && i < end; i++) {
		if (has_frontends(objects->v[i]))
			claim_cluster_ips(r, objects->v[i]);
		else
			ret = keep_other(r, objects->v[i]);
	}
	for (i = first; !ret && i < end; i++)
		if (has_frontends(objects->v[i]))
			ret = resolve_service(r, objects->v[i]);
	return ret ? ret : keep_health(r);
}

/* ---- the whole ------------------------------------------------------------------- */

static int copy(struct arena *arena, void **out, const void *from, size_t size)
{
	*out = arena_alloc(arena, size);
	if (!*out)
		return -ENOMEM;
	if (size)
		memcpy(*out, from, size);
	return 0;
}

static int copy_opts(struct resolver *r)
{
	const struct resolve_opts *opts = r->opts;
	struct wanted *w = r->wanted;

	if (opts->n_nodeaddrs > SH_NODEADDRS_MAX)
		return err_input(r->err, -E2BIG,
				 "%zu node addresses are more than %d (SH_NODEADDRS_MAX); narrow "
				 "--nodeport-addresses",
				 opts->n_nodeaddrs, SH_NODEADDRS_MAX);
	if (opts->n_service_cidrs > SH_CIDRS_MAX || opts->n_cluster_cidrs > SH_CIDRS_MAX)
		return err_input(
			r->err, -E2BIG,
			"more than %d (SH_CIDRS_MAX) networks in --service-cidr or --cluster-cidr",
			SH_CIDRS_MAX);
	w->n_nodeaddrs = opts->n_nodeaddrs;
	w->n_service_cidrs = opts->n_service_cidrs;
	w->n_cluster_cidrs = opts->n_cluster_cidrs;
	if (copy(w->arena, (void **)&w->nodeaddrs, opts->nodeaddrs,
		 opts->n_nodeaddrs * sizeof(*w->nodeaddrs)) ||
	    copy(w->arena, (void **)&w->service_cidrs, opts->service_cidrs,
		 opts->n_service_cidrs * sizeof(*w->service_cidrs)) ||
	    copy(w->arena, (void **)&w->cluster_cidrs, opts->cluster_cidrs,
		 opts->n_cluster_cidrs * sizeof(*w->cluster_cidrs)))
		return no_memory(r);
	return 0;
}

static int resolver_init(struct resolver *r)
{
	r->wanted = calloc(1, sizeof(*r->wanted));
	if (!r->wanted)
		return no_memory(r);
	r->wanted->arena = arena_new();
	if (!r->wanted->arena || endpoint_sources_init(&r->sources, r->objects, r->opts))
		return no_memory(r);
	intern_init(&r->names, r->wanted->arena);
	return claims_init(r);
}

int resolve(const struct object_set *objects, const struct resolve_opts *opts, struct wanted **out,
	    struct err *err)
{
	struct resolver r = { .objects = objects, .opts = opts, .err = err };
	int ret;

	ret = resolver_init(&r);
	if (!ret)
		ret = copy_opts(&r);
	if (!ret)
		ret = check_objects(&r);
	if (!ret)
		ret = resolve_services(&r);
	if (!ret) {
		*out = r.wanted;
		r.wanted = NULL;
	}
	wanted_free(r.wanted);
	free(r.claims.v);
	free(r.found.v);
	local_addrs_done(&r.local);
	intern_done(&r.names);
	endpoint_sources_done(&r.sources);
	return ret;
}
