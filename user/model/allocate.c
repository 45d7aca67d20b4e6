/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * In three rounds over all Services, each in the order of their names: what a
 * Service had and still wants stays its own; then what manifests ask for by
 * number; then what is left to choose. So nobody loses what it has to a
 * newcomer, and two Services of one manifest may swap their numbers.
 */
#include "model/allocate.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/maglev.h"
#include "model/pools.h"

struct allocator {
	const struct allocate_opts *opts;
	const struct object_set *prev;
	struct addr_pool pools[2]; /* IPv4, IPv6 */
	struct addr_held addrs;
	struct port_pool ports;
	struct err *err;
};

/* A Service that is being worked on, and what it was before (NULL: it is new). */
struct job {
	struct object *object;
	struct service *service;
	const struct service *before;
};

static const struct sh_addr no_addr;

static int no_memory(const struct allocator *a)
{
	return err_system(a->err, -ENOMEM, "allocate ClusterIPs and nodePorts");
}

__attribute__((format(printf, 4, 5))) static int refuse(const struct allocator *a,
							const struct job *job,
							const struct origin *at, const char *fmt,
							...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)err_input(a->err, -EINVAL, "Service %s/%s: %s", job->object->meta.ns,
			job->object->meta.name, text);
	if (at->file && at->line)
		err_prefix(a->err, "%s:%u:%u", at->file, at->line, at->column);
	return -EINVAL;
}

static struct addr_pool *pool_of(struct allocator *a, enum family family)
{
	return &a->pools[family == FAMILY_IPV4 ? 0 : 1];
}

static bool takes_cluster_ips(const struct service *service)
{
	return service->type != SERVICE_EXTERNAL_NAME && !service->headless;
}

static bool may_have_node_ports(const struct service *service)
{
	return service->type == SERVICE_NODE_PORT || service->type == SERVICE_LOAD_BALANCER;
}

static bool takes_node_ports(const struct service *service)
{
	return service->type == SERVICE_NODE_PORT ||
	       (service->type == SERVICE_LOAD_BALANCER && service->allocate_node_ports);
}

/* ---- families ---------------------------------------------------------------- */

/* What the manifest says, addresses before families; *n_out 0: nothing. */
static int families_given(const struct allocator *a, const struct job *job,
			  enum family families[static 2], size_t *n_out)
{
	const struct service *s = job->service;
	size_t i, n = s->n_cluster_ips > s->n_ip_families ? s->n_cluster_ips : s->n_ip_families;

	for (i = 0; i < n; i++) {
		families[i] =
			i < s->n_cluster_ips ? addr_family(&s->cluster_ips[i]) : s->ip_families[i];
		if (i < s->n_ip_families && s->ip_families[i] != families[i])
			return refuse(a, job, &job->object->origin,
				      "spec.clusterIPs[%zu] is %s, but spec.ipFamilies[%zu] is %s",
				      i, family_name(families[i]), i,
				      family_name(s->ip_families[i]));
	}
	if (n == 2 && families[0] == families[1])
		return refuse(
			a, job, &job->object->origin,
			"spec.clusterIPs and spec.ipFamilies: %s is given twice; there is one "
			"address of each family",
			family_name(families[0]));
	*n_out = n;
	return 0;
}

static int check_families(struct allocator *a, const struct job *job, const enum family *families,
			  size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (pool_of(a, families[i])->family == FAMILY_NONE)
			return refuse(
				a, job, &job->object->origin,
				"it asks for %s, but --service-cidr has no %s network; add one",
				family_name(families[i]), family_name(families[i]));
	if (job->before && job->before->n_cluster_ips &&
	    addr_family(&job->before->cluster_ips[0]) != families[0])
		return refuse(a, job, &job->object->origin,
			      "spec.ipFamilies[0]: field is immutable, it is %s; delete the "
			      "Service first",
			      family_name(addr_family(&job->before->cluster_ips[0])));
	return 0;
}

/* The policy that holds for @n given families; may add the second one. */
static int apply_family_policy(struct allocator *a, const struct job *job, enum family *families,
			       size_t *n)
{
	const enum family second = families[0] == FAMILY_IPV4 ? FAMILY_IPV6 : FAMILY_IPV4;
	const bool dual = pool_of(a, second)->family != FAMILY_NONE;
	struct service *s = job->service;

	if (s->ip_family_policy == FAMILY_POLICY_ABSENT)
		s->ip_family_policy = *n == 2 ? FAMILY_POLICY_REQUIRE_DUAL : FAMILY_POLICY_SINGLE;
	if (s->ip_family_policy == FAMILY_POLICY_SINGLE && *n == 2)
		return refuse(a, job, &job->object->origin,
			      "spec.ipFamilyPolicy: SingleStack, but two families are given; say "
			      "PreferDualStack or RequireDualStack");
	if (s->ip_family_policy == FAMILY_POLICY_REQUIRE_DUAL && !dual)
		return refuse(a, job, &job->object->origin,
			      "spec.ipFamilyPolicy: RequireDualStack, but --service-cidr has no %s "
			      "network; add one",
			      family_name(second));
	if (s->ip_family_policy != FAMILY_POLICY_SINGLE && *n == 1 && dual)
		families[(*n)++] = second;
	return 0;
}

/* Fill in ipFamilies and ipFamilyPolicy; addresses that are missing become all-zero. */
static int settle_families(struct allocator *a, const struct job *job)
{
	enum family families[2] = { FAMILY_NONE, FAMILY_NONE };
	struct service *s = job->service;
	size_t i, n = 0;
	int ret;

	ret = families_given(a, job, families, &n);
	if (ret)
		return ret;
	if (!n) {
		families[0] = job->before && job->before->n_cluster_ips
				      ? addr_family(&job->before->cluster_ips[0])
				      : addr_family(&a->opts->service_cidrs[0].addr);
		n = 1;
	}
	ret = apply_family_policy(a, job, families, &n);
	if (!ret)
		ret = check_families(a, job, families, n);
	if (ret)
		return ret;
	for (i = 0; i < n; i++) {
		s->ip_families[i] = families[i];
		if (i >= s->n_cluster_ips)
			s->cluster_ips[i] = no_addr;
	}
	s->n_ip_families = n;
	s->n_cluster_ips = n;
	return 0;
}

/* ---- ClusterIPs ---------------------------------------------------------------- */

/* @return the address of @family that the Service had, or NULL */
static const struct sh_addr *addr_before(const struct job *job, enum family family)
{
	size_t i;

	if (!job->before || !takes_cluster_ips(job->before))
		return NULL;
	for (i = 0; i < job->before->n_cluster_ips; i++)
		if (addr_family(&job->before->cluster_ips[i]) == family)
			return &job->before->cluster_ips[i];
	return NULL;
}

static int hold_addr(struct allocator *a, const struct job *job, size_t i)
{
	const struct sh_addr *addr = &job->service->cluster_ips[i];
	const struct object *holder = addr_hold(&a->addrs, addr, job->object);
	char text[ADDR_STRLEN];

	if (holder == job->object)
		return 0;
	return refuse(a, job, &job->object->origin,
		      "spec.clusterIPs[%zu]: %s is held by Service %s/%s; give another one, or "
		      "leave it out",
		      i, addr_format(addr, text), holder->meta.ns, holder->meta.name);
}

static int check_addr(struct allocator *a, const struct job *job, size_t i)
{
	const struct sh_addr *addr = &job->service->cluster_ips[i];
	const struct sh_addr *before = addr_before(job, job->service->ip_families[i]);
	const struct addr_pool *pool = pool_of(a, job->service->ip_families[i]);
	char text[ADDR_STRLEN], other[ADDR_STRLEN];

	if (before && !addr_eq(before, addr))
		return refuse(a, job, &job->object->origin,
			      "spec.clusterIPs[%zu]: field is immutable, it is %s, not %s; delete "
			      "the Service first",
			      i, addr_format(before, other), addr_format(addr, text));
	if (!addr_net_contains(&pool->net, addr))
		return refuse(a, job, &job->object->origin,
			      "spec.clusterIPs[%zu]: %s is not in --service-cidr %s/%u", i,
			      addr_format(addr, text), addr_format(&pool->net.addr, other),
			      pool->net.len);
	if (!addr_pool_may_give(pool, addr))
		return refuse(a, job, &job->object->origin,
			      "spec.clusterIPs[%zu]: %s is the first or the last address of "
			      "--service-cidr %s/%u, which no Service can have",
			      i, addr_format(addr, text), addr_format(&pool->net.addr, other),
			      pool->net.len);
	return 0;
}

static int keep_addrs(struct allocator *a, const struct job *job)
{
	struct service *s = job->service;
	const struct sh_addr *before;
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < s->n_cluster_ips; i++) {
		before = addr_before(job, s->ip_families[i]);
		/* One that a changed --service-cidr left outside is given anew. */
		if (!before || !addr_pool_may_give(pool_of(a, s->ip_families[i]), before))
			continue;
		if (addr_eq(&s->cluster_ips[i], &no_addr))
			s->cluster_ips[i] = *before;
		if (addr_eq(&s->cluster_ips[i], before))
			ret = hold_addr(a, job, i);
	}
	return ret;
}

static int hold_given_addrs(struct allocator *a, const struct job *job)
{
	struct service *s = job->service;
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < s->n_cluster_ips; i++) {
		if (addr_eq(&s->cluster_ips[i], &no_addr))
			continue;
		ret = check_addr(a, job, i);
		if (!ret)
			ret = hold_addr(a, job, i);
	}
	return ret;
}

static uint64_t hash_of(const struct job *job, uint64_t what)
{
	const struct meta *meta = &job->object->meta;

	return maglev_hash(meta->name, strlen(meta->name),
			   maglev_hash(meta->ns, strlen(meta->ns), what));
}

static int choose_addrs(struct allocator *a, const struct job *job)
{
	struct service *s = job->service;
	const struct addr_pool *pool;
	char text[ADDR_STRLEN];
	size_t i;

	for (i = 0; i < s->n_cluster_ips; i++) {
		if (!addr_eq(&s->cluster_ips[i], &no_addr))
			continue;
		pool = pool_of(a, s->ip_families[i]);
		if (addr_choose(&a->addrs, pool, hash_of(job, s->ip_families[i]), job->object,
				&s->cluster_ips[i]))
			return refuse(a, job, &job->object->origin,
				      "no %s address is left in --service-cidr %s/%u; delete "
				      "Services or start with a larger --service-cidr",
				      family_name(pool->family), addr_format(&pool->net.addr, text),
				      pool->net.len);
	}
	return 0;
}

/* ---- nodePorts ------------------------------------------------------------------- */

static bool in_range(const struct allocator *a, uint16_t port)
{
	return port >= a->opts->node_port_min && port <= a->opts->node_port_max;
}

/* What messages call a nodePort; @port NULL is the health check's. */
static const char *port_path(const struct job *job, const struct service_port *port,
			     char buf[static 48])
{
	if (!port)
		return "spec.healthCheckNodePort";
	(void)snprintf(buf, 48, "spec.ports[%zu].nodePort", (size_t)(port - job->service->ports));
	return buf;
}

static int hold_port(struct allocator *a, const struct job *job, const struct service_port *port)
{
	const uint16_t number = port ? port->node_port : job->service->health_check_node_port;
	const proto_t proto = port ? port->proto : IPPROTO_TCP;
	const struct port_holder self = { job->object, port };
	const struct origin *at = port ? &port->at : &job->object->origin;
	struct port_holder holder;
	char path[48];

	if (!in_range(a, number))
		return refuse(a, job, at, "%s: %u is not in %u-%u", port_path(job, port, path),
			      number, a->opts->node_port_min, a->opts->node_port_max);
	holder = port_hold(&a->ports, number, proto, self);
	if (holder.service == self.service && holder.port == self.port)
		return 0;
	return refuse(a, job, at,
		      "%s: %u/%s is held by Service %s/%s; give another one, or leave it out",
		      port_path(job, port, path), number, proto_name(proto),
		      holder.service->meta.ns, holder.service->meta.name);
}

static bool port_given(const struct service *service, uint16_t node_port, proto_t proto)
{
	size_t i;

	for (i = 0; i < service->n_ports; i++)
		if (service->ports[i].node_port == node_port && service->ports[i].proto == proto)
			return true;
	return service->health_check_node_port == node_port && proto == IPPROTO_TCP;
}

static bool has_port_named(const struct service *service, const char *name)
{
	size_t i;

	for (i = 0; i < service->n_ports; i++)
		if (!strcmp(service->ports[i].name, name))
			return true;
	return false;
}

/* The port that @port was: of the same name, else of the same number if it was renamed. */
static const struct service_port *port_before(const struct job *job,
					      const struct service_port *port)
{
	const struct service *before = job->before;
	const struct service_port *renamed = NULL, *was;
	size_t i;

	for (i = 0; before && i < before->n_ports; i++) {
		was = &before->ports[i];
		if (was->proto != port->proto || !was->node_port)
			continue;
		if (!strcmp(was->name, port->name))
			return was;
		if (was->port == port->port && !has_port_named(job->service, was->name))
			renamed = was;
	}
	return renamed;
}

static int keep_port(struct allocator *a, const struct job *job, struct service_port *port)
{
	const struct port_holder self = { job->object, port };
	const struct service_port *was;

	if (port->node_port) {
		if (job->before && may_have_node_ports(job->before) &&
		    in_range(a, port->node_port) &&
		    port_given(job->before, port->node_port, port->proto))
			return hold_port(a, job, port);
		return 0;
	}
	was = takes_node_ports(job->service) ? port_before(job, port) : NULL;
	if (!was || !in_range(a, was->node_port) ||
	    port_given(job->service, was->node_port, port->proto))
		return 0;
	if (port_hold(&a->ports, was->node_port, port->proto, self).port == port)
		port->node_port = was->node_port;
	return 0;
}

static int keep_ports(struct allocator *a, const struct job *job)
{
	struct service *s = job->service;
	uint16_t was;
	size_t i;
	int ret = 0;

	for (i = 0; !ret && may_have_node_ports(s) && i < s->n_ports; i++)
		ret = keep_port(a, job, &s->ports[i]);
	if (ret || !service_takes_health_port(s) || !job->before)
		return ret;
	was = job->before->health_check_node_port;
	if (!was || !in_range(a, was) ||
	    (s->health_check_node_port && s->health_check_node_port != was))
		return 0;
	if (!s->health_check_node_port && port_given(s, was, IPPROTO_TCP))
		return 0;
	s->health_check_node_port = was;
	return hold_port(a, job, NULL);
}

static int hold_given_ports(struct allocator *a, const struct job *job)
{
	struct service *s = job->service;
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < s->n_ports; i++)
		if (s->ports[i].node_port)
			ret = hold_port(a, job, &s->ports[i]);
	if (!ret && service_takes_health_port(s) && s->health_check_node_port)
		ret = hold_port(a, job, NULL);
	return ret;
}

/*
 * TCP and UDP of the same Service port get the same nodePort, as the API server
 * does. @return whether there was one to share
 */
static bool share_port(struct allocator *a, const struct job *job, struct service_port *port)
{
	const struct port_holder self = { job->object, port };
	const struct service_port *other;
	struct port_holder holder;
	size_t i;

	for (i = 0; i < job->service->n_ports; i++) {
		other = &job->service->ports[i];
		if (other->port != port->port || other->proto == port->proto || !other->node_port)
			continue;
		holder = port_hold(&a->ports, other->node_port, port->proto, self);
		if (holder.port != port)
			continue;
		port->node_port = other->node_port;
		return true;
	}
	return false;
}

static int choose_port(struct allocator *a, const struct job *job, struct service_port *port)
{
	const proto_t proto = port ? port->proto : IPPROTO_TCP;
	const uint64_t what = port ? (uint64_t)port->port << 8 | proto : 0;
	const struct port_holder self = { job->object, port };
	uint16_t chosen;
	char path[48];

	if (port && share_port(a, job, port))
		return 0;
	chosen = port_choose(&a->ports, hash_of(job, what), proto, self);
	if (!chosen)
		return refuse(a, job, port ? &port->at : &job->object->origin,
			      "%s: no port is left in %u-%u; delete Services of type NodePort or "
			      "LoadBalancer, or set allocateLoadBalancerNodePorts: false",
			      port_path(job, port, path), a->opts->node_port_min,
			      a->opts->node_port_max);
	if (port)
		port->node_port = chosen;
	else
		job->service->health_check_node_port = chosen;
	return 0;
}

static int choose_ports(struct allocator *a, const struct job *job)
{
	struct service *s = job->service;
	size_t i;
	int ret = 0;

	for (i = 0; !ret && takes_node_ports(s) && i < s->n_ports; i++)
		if (!s->ports[i].node_port)
			ret = choose_port(a, job, &s->ports[i]);
	if (!ret && service_takes_health_port(s) && !s->health_check_node_port)
		ret = choose_port(a, job, NULL);
	return ret;
}

/* ---- rounds ---------------------------------------------------------------------- */

/* What the Service's type does not have. */
static int check_type(const struct allocator *a, const struct job *job)
{
	struct service *s = job->service;
	size_t i;

	for (i = 0; i < s->n_ports; i++)
		if (s->ports[i].node_port && !may_have_node_ports(s))
			return refuse(a, job, &s->ports[i].at,
				      "spec.ports[%zu].nodePort: may not be used when type is %s",
				      i, service_type_name(s->type));
	if (s->headless && job->before && takes_cluster_ips(job->before) &&
	    job->before->n_cluster_ips)
		return refuse(
			a, job, &job->object->origin,
			"spec.clusterIP: field is immutable, it can't become None; delete the "
			"Service first");
	return 0;
}

static int round_keep(struct allocator *a, const struct job *job)
{
	int ret = check_type(a, job);

	if (!ret && takes_cluster_ips(job->service))
		ret = settle_families(a, job);
	if (!ret && takes_cluster_ips(job->service))
		ret = keep_addrs(a, job);
	if (!ret)
		ret = keep_ports(a, job);
	return ret;
}

static int round_given(struct allocator *a, const struct job *job)
{
	int ret = 0;

	if (takes_cluster_ips(job->service))
		ret = hold_given_addrs(a, job);
	if (!ret)
		ret = hold_given_ports(a, job);
	return ret;
}

static int round_choose(struct allocator *a, const struct job *job)
{
	int ret = 0;

	if (takes_cluster_ips(job->service))
		ret = choose_addrs(a, job);
	if (!ret)
		ret = choose_ports(a, job);
	return ret;
}

static int each_service(struct allocator *a, struct object_set *next,
			int (*round)(struct allocator *a, const struct job *job))
{
	const struct object *before;
	struct object *object;
	struct job job;
	size_t i;
	int ret = 0;

	for (i = object_set_first(next, KIND_SERVICE);
	     !ret && i < next->n && next->v[i]->kind == KIND_SERVICE; i++) {
		object = next->v[i];
		before = a->prev ? object_set_find(a->prev, KIND_SERVICE, object->meta.ns,
						   object->meta.name)
				 : NULL;
		job = (struct job){ object, &object->service, before ? &before->service : NULL };
		ret = round(a, &job);
	}
	return ret;
}

static int allocator_init(struct allocator *a, const struct object_set *next)
{
	struct addr_pool *pool;
	size_t i;

	if (!a->opts->n_service_cidrs)
		return err_input(a->err, -EINVAL,
				 "there is no --service-cidr to take ClusterIPs from; give one");
	if (!a->opts->node_port_min || a->opts->node_port_min > a->opts->node_port_max)
		return err_input(a->err, -EINVAL, "nodePorts %u-%u are not a range of ports",
				 a->opts->node_port_min, a->opts->node_port_max);
	for (i = 0; i < a->opts->n_service_cidrs; i++) {
		pool = pool_of(a, addr_family(&a->opts->service_cidrs[i].addr));
		if (pool->family == FAMILY_NONE)
			addr_pool_init(pool, &a->opts->service_cidrs[i]);
	}
	if (addr_held_init(&a->addrs, next->n * 2) ||
	    port_pool_init(&a->ports, a->opts->node_port_min, a->opts->node_port_max))
		return no_memory(a);
	return 0;
}

/* ---- all or nothing -------------------------------------------------------------- */

/* What allocate() may change, as it was: sets can share objects with the one in force. */
struct snapshot {
	struct service *services; /* of @next, in order; shallow */
	uint16_t *node_ports;	  /* of all their ports, in order */
	size_t n;
};

static size_t count_services(const struct object_set *next, size_t *n_ports_out)
{
	const size_t first = object_set_first(next, KIND_SERVICE);
	size_t i;

	*n_ports_out = 0;
	for (i = first; i < next->n && next->v[i]->kind == KIND_SERVICE; i++)
		*n_ports_out += next->v[i]->service.n_ports;
	return i - first;
}

static int snapshot_take(struct snapshot *snapshot, const struct object_set *next)
{
	const size_t first = object_set_first(next, KIND_SERVICE);
	size_t i, j, at = 0, n_ports;

	snapshot->n = count_services(next, &n_ports);
	snapshot->services = calloc(snapshot->n + 1, sizeof(*snapshot->services));
	snapshot->node_ports = calloc(n_ports + 1, sizeof(*snapshot->node_ports));
	if (!snapshot->services || !snapshot->node_ports)
		return -ENOMEM;
	for (i = 0; i < snapshot->n; i++) {
		snapshot->services[i] = next->v[first + i]->service;
		for (j = 0; j < snapshot->services[i].n_ports; j++)
			snapshot->node_ports[at++] = snapshot->services[i].ports[j].node_port;
	}
	return 0;
}

static void snapshot_restore(const struct snapshot *snapshot, struct object_set *next)
{
	const size_t first = object_set_first(next, KIND_SERVICE);
	size_t i, j, at = 0;

	for (i = 0; i < snapshot->n; i++) {
		next->v[first + i]->service = snapshot->services[i];
		for (j = 0; j < snapshot->services[i].n_ports; j++)
			snapshot->services[i].ports[j].node_port = snapshot->node_ports[at++];
	}
}

static void snapshot_done(struct snapshot *snapshot)
{
	free(snapshot->services);
	free(snapshot->node_ports);
}

int allocate(struct object_set *next, const struct object_set *prev,
	     const struct allocate_opts *opts, struct err *err)
{
	static int (*const rounds[])(
		struct allocator *, const struct job *) = { round_keep, round_given, round_choose };
	struct allocator a = { .opts = opts, .prev = prev, .err = err };
	struct snapshot snapshot = { 0 };
	size_t i;
	int ret;

	if (snapshot_take(&snapshot, next)) {
		ret = no_memory(&a);
		goto out;
	}
	ret = allocator_init(&a, next);
	for (i = 0; !ret && i < sizeof(rounds) / sizeof(rounds[0]); i++)
		ret = each_service(&a, next, rounds[i]);
	if (ret)
		snapshot_restore(&snapshot, next);
out:
	snapshot_done(&snapshot);
	addr_held_done(&a.addrs);
	port_pool_done(&a.ports);
	return ret;
}
