// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A targetPort that no container has. */
#include "doctor/doctor.h"

#include <string.h>

#include "doctor/select.h"

struct target {
	size_t pods, declare; /* selected; of these, with any port of that protocol */
	size_t have;
	struct listed there;
};

static void look_at_pod(struct doctor *doctor, const struct service_port *port,
			const struct object *object, struct target *target)
{
	const struct int_or_string *want = &port->target_port;
	const uint16_t number = want->num ? (uint16_t)want->num : port->port;
	bool any = false;
	size_t i;

	target->pods++;
	for (i = 0; i < object->pod.n_ports; i++) {
		const struct container_port *at = &object->pod.ports[i];

		if (at->proto == port->proto &&
		    (want->str ? !strcmp(at->name, want->str) : at->port == number)) {
			target->have++;
			return;
		}
		any |= at->proto == port->proto;
		if (target->declare)
			continue;
		listed_add(&target->there, *at->name ? doctor_text(doctor, "%s (%u/%s)", at->name,
								   at->port, proto_name(at->proto))
						     : doctor_text(doctor, "%u/%s", at->port,
								   proto_name(at->proto)));
	}
	target->declare += any;
}

static void judge_target(struct doctor *doctor, const struct object *service,
			 const struct service_port *port, struct target *target)
{
	const struct int_or_string *want = &port->target_port;
	const bool named = want->str;

	/* A number need not be declared; where others are and this one isn't, it is a slip. */
	if (!target->pods || target->have || (!named && target->declare < target->pods))
		return;
	doctor_tell(
		doctor,
		&(struct tell){
			.level = named ? FINDING_ERROR : FINDING_WARNING,
			.object = service_object(doctor, service->meta.ns, service->meta.name),
			.what = named ? doctor_text(doctor,
						    "port %u/%s: no container has a port named "
						    "\"%s\" (targetPort)",
						    port->port, proto_name(port->proto), want->str)
				      : doctor_text(doctor,
						    "port %u/%s: no container declares port %d "
						    "(targetPort)",
						    port->port, proto_name(port->proto),
						    want->num ? want->num : port->port),
			.evidence = doctor_text(doctor, "%zu selected Pods have %s", target->pods,
						target->there.n ? listed_text(&target->there)
								: "no ports"),
			.fix = named ? "name the container's port so, or say another targetPort"
				     : "say the port that the container listens on as targetPort, "
				       "or declare this one",
		});
}

static void look_at_targets(struct doctor *doctor, const struct object *service)
{
	const struct object_set *objects = doctor->objects;
	size_t i, j;

	for (i = 0; service->service.selector.n && i < service->service.n_ports; i++) {
		struct target target = { .pods = 0 };

		for (j = object_set_first(objects, KIND_POD);
		     j < objects->n && objects->v[j]->kind == KIND_POD; j++) {
			if (!objects->v[j]->pod.finished &&
			    !strcmp(objects->v[j]->meta.ns, service->meta.ns) &&
			    select_matches(&service->service.selector, objects->v[j]))
				look_at_pod(doctor, &service->service.ports[i], objects->v[j],
					    &target);
		}
		judge_target(doctor, service, &service->service.ports[i], &target);
	}
}

int check_target_port(struct doctor *doctor, struct err *err)
{
	doctor_services(doctor, look_at_targets);
	return 0;
}
