// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A Service port without anybody behind it, and why. Whether there is anybody
 * is resolve()'s to say; what is looked for here is the reason alone.
 */
#include "doctor/empty.h"

#include <string.h>

#include "doctor/select.h"

void empty_tell(const struct empty *e, const char *check, const char *what, const char *evidence,
		const char *fix)
{
	doctor_tell(e->doctor, &(struct tell){ .level = FINDING_ERROR,
					       .check = check,
					       .object = e->object,
					       .what = what,
					       .evidence = evidence,
					       .fix = fix });
}

/* ---- what a selector misses -------------------------------------------------------- */

static const char *selector_text(struct doctor *doctor, const struct labels *selector)
{
	struct listed list = { .n = 0 };
	size_t i;

	for (i = 0; i < selector->n; i++)
		listed_add(&list,
			   doctor_text(doctor, "%s=%s", selector->v[i].key, selector->v[i].value));
	return doctor_text(doctor, "%s", listed_text(&list));
}

static void tell_nobody_like_it(const struct empty *e)
{
	const struct object_set *objects = e->doctor->objects;
	const struct object *service = e->service;
	size_t i, n = 0, all = 0;

	for (i = object_set_first(objects, KIND_POD);
	     i < objects->n && objects->v[i]->kind == KIND_POD; i++) {
		all++;
		n += !strcmp(objects->v[i]->meta.ns, service->meta.ns);
	}
	empty_tell(e, "selector",
		   doctor_text(e->doctor, "no Pod has the labels of the selector (%s)",
			       selector_text(e->doctor, &service->service.selector)),
		   doctor_text(e->doctor,
			       "of %zu Pods in namespace %s, and %zu in all, none comes near it", n,
			       service->meta.ns, all),
		   "start the Pods, or give the Service the labels that its Pods have");
}

static void tell_near(const struct empty *e, const struct select_near *near)
{
	const char *pods =
		doctor_text(e->doctor, "Pod %s/%s", near->pod->meta.ns, near->pod->meta.name);
	const char *more =
		near->n_pods > 1 ? doctor_text(e->doctor, " (and %zu more)", near->n_pods - 1) : "";
	const char *evidence, *fix;

	switch (near->miss) {
	case SELECT_NAMESPACE:
		evidence = doctor_text(e->doctor, "%s%s has all of its labels, but in namespace %s",
				       pods, more, near->pod->meta.ns);
		fix = doctor_text(e->doctor,
				  "a selector reaches its own namespace only: move the Service to "
				  "namespace %s",
				  near->pod->meta.ns);
		break;
	case SELECT_VALUE:
		evidence = doctor_text(e->doctor,
				       "%s%s nearly matches: its label %s is \"%s\", the selector "
				       "wants \"%s\"",
				       pods, more, near->there->key, near->there->value,
				       near->wanted->value);
		fix = doctor_text(e->doctor, "in spec.selector say %s: %s, or label the Pods so",
				  near->there->key, near->there->value);
		break;
	case SELECT_KEY:
		evidence = doctor_text(e->doctor,
				       "%s%s nearly matches: its label is called \"%s\", the "
				       "selector's \"%s\"",
				       pods, more, near->there->key, near->wanted->key);
		fix = doctor_text(e->doctor, "in spec.selector say %s: %s", near->there->key,
				  near->there->value);
		break;
	default:
		evidence = doctor_text(e->doctor,
				       "%s%s nearly matches: it has no label %s, all others are "
				       "right",
				       pods, more, near->wanted->key);
		fix = doctor_text(e->doctor,
				  "label the Pods %s=%s, or take that out of spec.selector",
				  near->wanted->key, near->wanted->value);
		break;
	}
	empty_tell(e, "selector",
		   doctor_text(e->doctor, "the selector (%s) matches no Pod",
			       selector_text(e->doctor, &e->service->service.selector)),
		   evidence, fix);
}

static void explain_selector(const struct empty *e)
{
	struct select_near near;

	select_nearest(e->doctor->objects, e->service, &near);
	if (near.miss == SELECT_NONE)
		tell_nobody_like_it(e);
	else
		tell_near(e, &near);
}

/* ---- Pods that are selected, and don't serve ------------------------------------------ */

/* Why each of them does not: listed by reason. */
struct pods {
	size_t n; /* that the selector matches */
	struct listed deleting, finished, unready, no_address, no_port;
};

static bool has_target(const struct pod *pod, const struct service_port *port)
{
	size_t i;

	if (!port->target_port.str)
		return true;
	for (i = 0; i < pod->n_ports; i++) {
		if (pod->ports[i].proto == port->proto &&
		    !strcmp(pod->ports[i].name, port->target_port.str))
			return true;
	}
	return false;
}

static bool has_family(const struct pod *pod, enum family family)
{
	size_t i;

	for (i = 0; i < pod->n_ips; i++) {
		if (addr_family(&pod->ips[i]) == family)
			return true;
	}
	return false;
}

static const struct service_port *port_of(const struct empty *e)
{
	const struct service *service = &e->service->service;
	size_t i;

	for (i = 0; i < service->n_ports; i++) {
		if (service->ports[i].port == e->want->port &&
		    service->ports[i].proto == e->want->proto)
			return &service->ports[i];
	}
	return &service->ports[0];
}

static void sort_pod(const struct empty *e, const struct object *object, struct pods *pods)
{
	const struct pod *pod = &object->pod;

	pods->n++;
	if (pod->finished)
		listed_add(&pods->finished, object->meta.name);
	else if (!has_family(pod, e->want->family))
		listed_add(&pods->no_address, object->meta.name);
	else if (!has_target(pod, port_of(e)))
		listed_add(&pods->no_port, object->meta.name);
	else if (object->meta.deleting)
		listed_add(&pods->deleting, object->meta.name);
	else if (!pod->ready)
		listed_add(&pods->unready, object->meta.name);
}

static void tell_unready(const struct empty *e, struct pods *pods)
{
	const size_t n = pods->unready.n, finished = pods->finished.n;

	empty_tell(
		e, "not-ready",
		doctor_text(e->doctor, "%s: no endpoint is ready, so connections are refused",
			    e->port),
		doctor_text(e->doctor, "%zu of %zu selected Pods are not ready: %s%s", n, pods->n,
			    listed_text(&pods->unready),
			    finished ? doctor_text(e->doctor, "; %zu have ended", finished) : ""),
		"see why their readiness probes fail (kubectl describe pod); "
		"publishNotReadyAddresses: true sends to them all the same");
}

static void tell_no_address(const struct empty *e, struct pods *pods)
{
	const char *family = family_name(e->want->family);

	empty_tell(
		e, "family",
		doctor_text(e->doctor,
			    "the Service has an %s address, and no endpoint has one of that family",
			    family),
		doctor_text(e->doctor, "%zu of %zu selected Pods have no %s address: %s",
			    pods->no_address.n, pods->n, family, listed_text(&pods->no_address)),
		doctor_text(e->doctor,
			    "give the Pods an %s address, or take %s out of spec.ipFamilies",
			    family, family));
}

/* The most frequent cause is told; no_port is check_target_port()'s. */
static void explain_pods(const struct empty *e, struct pods *pods)
{
	if (pods->no_port.n == pods->n)
		return;
	if (pods->unready.n)
		tell_unready(e, pods);
	else if (pods->deleting.n)
		empty_tell(e, "terminating",
			   doctor_text(e->doctor, "%s: all endpoints are being deleted", e->port),
			   doctor_text(e->doctor, "metadata.deletionTimestamp is set on %s",
				       listed_text(&pods->deleting)),
			   "start new Pods; with a rolling update, set maxUnavailable to 0");
	else if (pods->no_address.n)
		tell_no_address(e, pods);
	else if (pods->finished.n)
		empty_tell(e, "endpoints",
			   doctor_text(e->doctor, "%s: all selected Pods have ended", e->port),
			   doctor_text(e->doctor, "status.phase is Succeeded or Failed: %s",
				       listed_text(&pods->finished)),
			   "start new Pods");
}

static void explain_by_pods(const struct empty *e)
{
	const struct object_set *objects = e->doctor->objects;
	struct pods pods = { .n = 0 };
	size_t i;

	for (i = object_set_first(objects, KIND_POD);
	     i < objects->n && objects->v[i]->kind == KIND_POD; i++) {
		if (!strcmp(objects->v[i]->meta.ns, e->service->meta.ns) &&
		    select_matches(&e->service->service.selector, objects->v[i]))
			sort_pod(e, objects->v[i], &pods);
	}
	if (pods.n)
		explain_pods(e, &pods);
	else
		explain_selector(e);
}

/* ---- the check ----------------------------------------------------------------------------- */

static bool explain_weight(const struct empty *e)
{
	struct listed idle = { .n = 0 };
	char text[ADDR_PORT_STRLEN];
	size_t i;

	for (i = 0; i < e->want->n_backends; i++) {
		const struct want_backend *backend = &e->want->backends[i];

		if (!backend->weight)
			listed_add(&idle, addr_port_format(&backend->addr, backend->port, text));
	}
	if (!idle.n)
		return false;
	empty_tell(e, "weight", doctor_text(e->doctor, "%s: every endpoint has weight 0", e->port),
		   doctor_text(e->doctor, "shunt.io/weight keeps new connections off %s",
			       listed_text(&idle)),
		   "give at least one of them a weight of 1 or more, or take the annotation away");
	return true;
}

static void explain(const struct empty *e)
{
	if (explain_weight(e) || empty_by_lists(e))
		return;
	if (e->service->service.selector.n)
		explain_by_pods(e);
	else
		empty_by_nothing(e);
}

/* Whom new connections reach: 0 nobody, 1 those that are going only, 2 somebody. */
static int reached(const struct want_service *want)
{
	int best = 0, this;
	size_t i;

	for (i = 0; i < want->n_backends; i++) {
		if (!want->backends[i].in_cluster)
			continue;
		this = want->backends[i].terminating ? 1 : 2;
		best = this > best ? this : best;
	}
	return best;
}

static const char *port_text(struct doctor *doctor, const struct want_service *want)
{
	if (*want->port_name)
		return doctor_text(doctor, "port %s (%u/%s)", want->port_name, want->port,
				   proto_name(want->proto));
	return doctor_text(doctor, "port %u/%s", want->port, proto_name(want->proto));
}

int check_endpoints(struct doctor *doctor, struct err *err)
{
	struct empty e = { .doctor = doctor };
	size_t i;

	for (i = 0; i < doctor->wanted->n_services; i++) {
		e.want = &doctor->wanted->services[i];
		e.service =
			object_set_find(doctor->objects, KIND_SERVICE, e.want->ns, e.want->name);
		if (!e.service || !doctor_looks_at(doctor, e.want->ns, e.want->name) ||
		    reached(e.want) == 2)
			continue;
		e.object = service_object(doctor, e.want->ns, e.want->name);
		e.port = port_text(doctor, e.want);
		if (reached(e.want) == 0)
			explain(&e);
		else
			doctor_tell(doctor,
				    &(struct tell){
					    .level = FINDING_WARNING,
					    .check = "terminating",
					    .object = e.object,
					    .what = doctor_text(doctor,
								"%s: only endpoints that are "
								"terminating still serve",
								e.port),
					    .evidence = "no endpoint is ready; these are serving "
							"and terminating",
					    .fix = "start new Pods before these have ended" });
	}
	return 0;
}
