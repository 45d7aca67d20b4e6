// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What EndpointSlices and Endpoints say of a Service port that leads nowhere. */
#include "doctor/empty.h"

#include <string.h>

#include "util/nearest.h"

#define LABEL_SERVICE_NAME "kubernetes.io/service-name"

/* What the slices or the Endpoints of a Service say about one port and family. */
struct lists {
	size_t n;	  /* of them */
	size_t family;	  /* of these, of the right family */
	size_t endpoints; /* in those of the right family and port */
	struct listed unready, leaving, ports;
};

static void read_endpoints(const struct empty *e, const struct endpoint *endpoints, size_t n,
			   struct lists *lists)
{
	char text[ADDR_STRLEN];
	size_t i;

	for (i = 0; i < n; i++) {
		if (addr_family(&endpoints[i].addr) != e->want->family)
			continue;
		lists->endpoints++;
		(void)addr_format(&endpoints[i].addr, text);
		if (endpoints[i].terminating == MAYBE_TRUE)
			listed_add(&lists->leaving, text);
		else if (endpoints[i].ready == MAYBE_FALSE)
			listed_add(&lists->unready, text);
	}
}

/* @return whether one of @ports is the Service's; all of them are remembered */
static bool read_ports(const struct empty *e, const struct endpoint_port *ports, size_t n,
		       struct lists *lists)
{
	bool found = false;
	size_t i;

	for (i = 0; i < n; i++) {
		found |= ports[i].port && ports[i].proto == e->want->proto &&
			 !strcmp(ports[i].name, e->want->port_name);
		listed_add(&lists->ports, doctor_text(e->doctor, "\"%s\" %u/%s", ports[i].name,
						      ports[i].port, proto_name(ports[i].proto)));
	}
	return found;
}

static void read_slices(const struct empty *e, struct lists *lists)
{
	const struct object_set *objects = e->doctor->objects;
	size_t i;

	for (i = object_set_first(objects, KIND_ENDPOINT_SLICE);
	     i < objects->n && objects->v[i]->kind == KIND_ENDPOINT_SLICE; i++) {
		const struct object *object = objects->v[i];
		const char *of = labels_get(&object->meta.labels, LABEL_SERVICE_NAME);

		if (!of || strcmp(of, e->service->meta.name) != 0 ||
		    strcmp(object->meta.ns, e->service->meta.ns) != 0)
			continue;
		lists->n++;
		if (object->slice.family != e->want->family)
			continue;
		lists->family++;
		if (read_ports(e, object->slice.ports, object->slice.n_ports, lists))
			read_endpoints(e, object->slice.endpoints, object->slice.n_endpoints,
				       lists);
	}
}

static void read_subsets(const struct empty *e, struct lists *lists)
{
	const struct object *object = object_set_find(e->doctor->objects, KIND_ENDPOINTS,
						      e->service->meta.ns, e->service->meta.name);
	size_t i;

	for (i = 0; object && i < object->endpoints.n_subsets; i++) {
		const struct endpoints_subset *subset = &object->endpoints.subsets[i];

		lists->n++;
		lists->family++;
		if (read_ports(e, subset->ports, subset->n_ports, lists))
			read_endpoints(e, subset->endpoints, subset->n_endpoints, lists);
	}
}

static void tell_other_ports(const struct empty *e, struct lists *lists)
{
	empty_tell(
		e, "endpoints",
		doctor_text(e->doctor, "%s: the endpoints are listed for other ports", e->port),
		doctor_text(
			e->doctor,
			"endpoints are matched by port name and protocol, here \"%s\" %s; listed "
			"are %s",
			e->want->port_name, proto_name(e->want->proto),
			lists->ports.n ? listed_text(&lists->ports) : "none"),
		"give the port of the slice (or Endpoints) the name and the protocol of the "
		"Service's");
}

static void explain_lists(const struct empty *e, struct lists *lists)
{
	const char *family = family_name(e->want->family);

	if (!lists->family)
		empty_tell(e, "family",
			   doctor_text(e->doctor,
				       "the Service has an %s address, and no endpoint has "
				       "one of that family",
				       family),
			   doctor_text(e->doctor,
				       "none of its %zu EndpointSlices is of addressType %s",
				       lists->n, family),
			   doctor_text(e->doctor,
				       "add a slice of addressType %s, or take %s out of "
				       "spec.ipFamilies",
				       family, family));
	else if (lists->unready.n)
		empty_tell(e, "not-ready",
			   doctor_text(e->doctor,
				       "%s: no endpoint is ready, so connections are refused",
				       e->port),
			   doctor_text(e->doctor, "ready is false for %s",
				       listed_text(&lists->unready)),
			   "see why their readiness probes fail (kubectl describe pod)");
	else if (lists->leaving.n)
		empty_tell(e, "terminating",
			   doctor_text(e->doctor,
				       "%s: all endpoints are terminating, and serve no more",
				       e->port),
			   doctor_text(e->doctor, "terminating is true, serving false for %s",
				       listed_text(&lists->leaving)),
			   "start new Pods; keep the old ones serving while they end (preStop), "
			   "and set "
			   "maxUnavailable to 0");
	else if (lists->endpoints)
		return; /* all of weight 0: told already */
	else
		tell_other_ports(e, lists);
}

void empty_by_nothing(const struct empty *e)
{
	const struct object_set *objects = e->doctor->objects;
	struct nearest nearest;
	size_t i;

	nearest_init(&nearest, e->service->meta.name);
	for (i = 0; i < objects->n; i++) {
		const struct object *object = objects->v[i];
		const char *of = object->kind == KIND_ENDPOINTS ? object->meta.name
				 : object->kind == KIND_ENDPOINT_SLICE
					 ? labels_get(&object->meta.labels, LABEL_SERVICE_NAME)
					 : NULL;

		if (of && !strcmp(object->meta.ns, e->service->meta.ns))
			nearest_offer(&nearest, of);
	}
	empty_tell(
		e, "endpoints", "nobody says what stands behind the Service",
		nearest.best
			? doctor_text(
				  e->doctor,
				  "it has no selector, and no Endpoints or EndpointSlice is its "
				  "own; there are some of \"%s\"",
				  nearest.best)
			: "it has no selector, and no Endpoints or EndpointSlice is its own",
		"give it a selector, an Endpoints object of its name, or an EndpointSlice labelled "
		"kubernetes.io/service-name with its name");
}

bool empty_by_lists(const struct empty *e)
{
	struct lists lists = { .n = 0 };

	read_slices(e, &lists);
	if (!lists.n)
		read_subsets(e, &lists);
	if (lists.n)
		explain_lists(e, &lists);
	return lists.n;
}
