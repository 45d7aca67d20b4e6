// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who is let in, where to, and who answers. */
#include "doctor/doctor.h"

#include <string.h>

/* ---- traffic policy ------------------------------------------------------------------ */

static bool is_outside(const struct want_service *want)
{
	size_t i;

	for (i = 0; i < want->n_frontends; i++) {
		if (want->frontends[i].kind != FRONTEND_CLUSTER_IP)
			return true;
	}
	return false;
}

/* The nodes where somebody takes new connections; *@here: this one is among them. */
static const char *nodes_of(struct doctor *doctor, const struct want_service *want, bool *here)
{
	struct listed nodes = { .n = 0 };
	const char *last = NULL;
	size_t i;

	*here = false;
	for (i = 0; i < want->n_backends; i++) {
		const struct want_backend *backend = &want->backends[i];

		*here |= backend->in_local;
		if (!backend->in_cluster || (last && !strcmp(last, backend->node)))
			continue;
		last = backend->node;
		listed_add(&nodes, *last ? last : "an unknown node");
	}
	return doctor_text(doctor, "%s", listed_text(&nodes));
}

static void tell_local(struct doctor *doctor, const struct want_service *want, bool external,
		       const char *nodes)
{
	const struct object *object =
		object_set_find(doctor->objects, KIND_SERVICE, want->ns, want->name);
	const bool checked = external && object && service_takes_health_port(&object->service);
	const char *policy = external ? "externalTrafficPolicy" : "internalTrafficPolicy";

	doctor_tell(
		doctor,
		&(struct tell){
			.level = checked    ? FINDING_NOTE
				 : external ? FINDING_WARNING
					    : FINDING_ERROR,
			.object = service_object(doctor, want->ns, want->name),
			.what = doctor_text(
				doctor,
				"%s is Local and no endpoint is on this node: connections %s are "
				"dropped silently",
				policy, external ? "from outside to this node" : "from this node"),
			.evidence = doctor_text(doctor, "this is node %s; its endpoints are on %s",
						doctor->node_name, nodes),
			.fix = checked ? "nothing, if the load balancer asks its "
					 "healthCheckNodePort "
					 "before it sends to this node"
				       : doctor_text(doctor,
						     "set %s: Cluster, or run a Pod on every node "
						     "that is to serve it (a DaemonSet)",
						     policy),
		});
}

int check_local_policy(struct doctor *doctor, struct err *err)
{
	const char *nodes;
	bool here;
	size_t i;

	/* Over manifests alone, "here" is a Node of theirs or nowhere. */
	if (!doctor->machine && !object_set_find(doctor->objects, KIND_NODE, "", doctor->node_name))
		return 0;
	for (i = 0; i < doctor->wanted->n_services; i++) {
		const struct want_service *want = &doctor->wanted->services[i];

		if (!doctor_looks_at(doctor, want->ns, want->name))
			continue;
		nodes = nodes_of(doctor, want, &here);
		if (here || !*nodes)
			continue;
		if (want->internal_local)
			tell_local(doctor, want, false, nodes);
		if (want->external_local && is_outside(want))
			tell_local(doctor, want, true, nodes);
	}
	return 0;
}

/* ---- source ranges --------------------------------------------------------------------- */

static const char *ranges_text(struct doctor *doctor, const struct service *service)
{
	struct listed list = { .n = 0 };
	char text[ADDR_STRLEN];
	size_t i;

	for (i = 0; i < service->n_source_ranges; i++)
		listed_add(&list, doctor_text(doctor, "%s/%u",
					      addr_format(&service->source_ranges[i].addr, text),
					      service->source_ranges[i].len));
	return doctor_text(doctor, "%s", listed_text(&list));
}

static bool has_range_of(const struct service *service, enum family family)
{
	size_t i;

	for (i = 0; i < service->n_source_ranges; i++) {
		if (addr_family(&service->source_ranges[i].addr) == family)
			return true;
	}
	return false;
}

static bool lets_in(const struct service *service, const struct sh_addr *src)
{
	size_t i;

	for (i = 0; i < service->n_source_ranges; i++) {
		if (addr_net_contains(&service->source_ranges[i], src))
			return true;
	}
	return false;
}

static void judge_ingress(struct doctor *doctor, const struct object *object,
			  const struct sh_addr *ip)
{
	const struct service *service = &object->service;
	const enum family family = addr_family(ip);
	const char *name = service_object(doctor, object->meta.ns, object->meta.name);
	char vip[ADDR_STRLEN], src[ADDR_STRLEN];

	if (!has_range_of(service, family)) {
		doctor_tell(doctor,
			    &(struct tell){
				    .level = FINDING_WARNING,
				    .object = name,
				    .what = doctor_text(doctor,
							"its load-balancer address %s is open to "
							"everybody",
							addr_format(ip, vip)),
				    .evidence = doctor_text(
					    doctor,
					    "loadBalancerSourceRanges (%s) has no %s range, and a "
					    "family without one is not guarded",
					    ranges_text(doctor, service), family_name(family)),
				    .fix = "add a range of that family" });
	} else if (doctor->src && addr_family(doctor->src) == family &&
		   !lets_in(service, doctor->src)) {
		doctor_tell(doctor,
			    &(struct tell){
				    .level = FINDING_ERROR,
				    .object = name,
				    .what = doctor_text(doctor,
							"packets from %s to its load-balancer "
							"address %s are dropped silently",
							addr_format(doctor->src, src),
							addr_format(ip, vip)),
				    .evidence = doctor_text(doctor,
							    "loadBalancerSourceRanges lets in %s "
							    "only",
							    ranges_text(doctor, service)),
				    .fix = "add a range that has this client to "
					   "spec.loadBalancerSourceRanges" });
	}
}

static void look_at_ranges(struct doctor *doctor, const struct object *object)
{
	const struct service *service = &object->service;
	size_t i;

	for (i = 0; service->n_source_ranges && i < service->n_lb_ingress; i++) {
		if (service->lb_ingress[i].has_ip && !service->lb_ingress[i].proxy)
			judge_ingress(doctor, object, &service->lb_ingress[i].ip);
	}
}

int check_source_ranges(struct doctor *doctor, struct err *err)
{
	doctor_services(doctor, look_at_ranges);
	return 0;
}

/* ---- pings ----------------------------------------------------------------------------- */

static void explain_ping(struct doctor *doctor, const struct object *object)
{
	const bool on = doctor->settings->ping_vips;

	doctor_tell(doctor,
		    &(struct tell){
			    .level = FINDING_NOTE,
			    .object = service_object(doctor, object->meta.ns, object->meta.name),
			    .what = on ? "a ping of its ClusterIP or load-balancer address is "
					 "answered by this node's shunt, not by a Pod, and only "
					 "while it has an endpoint"
				       : "a ping of its addresses is not answered",
			    .evidence = doctor_text(doctor,
						    "--ping-vips=%s; a nodePort's address "
						    "is the node's own, which answers for "
						    "itself",
						    on ? "true" : "false"),
			    .fix = "to see whether it works, connect to a port; an answered ping "
				   "says nothing about the Pods" });
}

/* Nobody wonders at all of them: where one Service is asked about. */
int check_ping(struct doctor *doctor, struct err *err)
{
	if (doctor->name)
		doctor_services(doctor, explain_ping);
	return 0;
}
