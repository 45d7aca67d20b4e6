// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Addresses and networks that don't go together. */
#include "doctor/doctor.h"

#include <string.h>

#include "doctor/machine.h"
#include "util/nearest.h"

#define NET_STRLEN (ADDR_STRLEN + 4)

static const char *net_text(struct doctor *doctor, const struct addr_net *net)
{
	char text[ADDR_STRLEN];

	return doctor_text(doctor, "%s/%u", addr_format(&net->addr, text), net->len);
}

static const struct addr_net *net_of(const struct addr_net *nets, size_t n,
				     const struct sh_addr *addr)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (addr_net_contains(&nets[i], addr))
			return &nets[i];
	}
	return NULL;
}

/* ---- frontends ------------------------------------------------------------------------ */

/* "Service shop/web ...": is it about what is looked at? */
static bool is_about(const struct doctor *doctor, const char *note)
{
	char name[2 * SH_NAME_MAX + 8];

	if (!doctor->name)
		return true;
	(void)snprintf(name, sizeof(name), "%s/%s", doctor->ns ? doctor->ns : "", doctor->name);
	return strstr(note, doctor->ns ? name : doctor->name);
}

static void look_at_load_balancer(struct doctor *doctor, const struct object *object)
{
	const struct service *service = &object->service;

	if (service->type != SERVICE_LOAD_BALANCER || service->n_lb_ingress)
		return;
	doctor_tell(
		doctor,
		&(struct tell){
			.level = FINDING_WARNING,
			.object = service_object(doctor, object->meta.ns, object->meta.name),
			.what = "it is of type LoadBalancer and has no address of one",
			.evidence = "status.loadBalancer.ingress is empty",
			.fix = "see why nobody gave it one (a cloud's controller, MetalLB, …), "
			       "or write the address to its status; its ClusterIP and nodePorts "
			       "work meanwhile" });
}

int check_frontends(struct doctor *doctor, struct err *err)
{
	size_t i;

	for (i = 0; i < doctor->wanted->n_notes; i++) {
		if (is_about(doctor, doctor->wanted->notes[i]))
			doctor_tell(doctor,
				    &(struct tell){ .level = FINDING_WARNING,
						    .object = "manifests",
						    .what = "something was left out, and is not "
							    "served",
						    .evidence = doctor->wanted->notes[i],
						    .fix = "change what it names" });
	}
	doctor_services(doctor, look_at_load_balancer);
	return 0;
}

/* ---- ClusterIPs ---------------------------------------------------------------------------- */

static void look_at_cluster_ips(struct doctor *doctor, const struct object *object)
{
	const struct service *service = &object->service;
	const struct settings *settings = doctor->settings;
	struct listed cidrs = { .n = 0 };
	char text[ADDR_STRLEN];
	size_t i, j;

	for (i = 0; i < service->n_cluster_ips; i++) {
		if (net_of(settings->service_cidrs, settings->n_service_cidrs,
			   &service->cluster_ips[i]))
			continue;
		for (j = 0; j < settings->n_service_cidrs; j++)
			listed_add(&cidrs, net_text(doctor, &settings->service_cidrs[j]));
		doctor_tell(
			doctor,
			&(struct tell){
				.level = FINDING_WARNING,
				.object =
					service_object(doctor, object->meta.ns, object->meta.name),
				.what = doctor_text(doctor,
						    "its ClusterIP %s lies outside of "
						    "--service-cidr",
						    addr_format(&service->cluster_ips[i], text)),
				.evidence = doctor_text(doctor, "--service-cidr is %s",
							listed_text(&cidrs)),
				.fix = "say the cluster's own range as --service-cidr, or take "
				       "clusterIP out of the manifest to be given one" });
		cidrs = (struct listed){ .n = 0 };
	}
}

int check_service_cidr(struct doctor *doctor, struct err *err)
{
	doctor_services(doctor, look_at_cluster_ips);
	return 0;
}

/* ---- networks ------------------------------------------------------------------------------- */

static bool overlap(const struct addr_net *a, const struct addr_net *b)
{
	return addr_net_contains(a, &b->addr) || addr_net_contains(b, &a->addr);
}

static void tell_overlap(struct doctor *doctor, const char *object, const char *a, const char *b)
{
	doctor_tell(doctor,
		    &(struct tell){
			    .level = FINDING_ERROR,
			    .object = object,
			    .what = "two networks overlap that have to be apart",
			    .evidence = doctor_text(doctor, "%s and %s", a, b),
			    .fix = "give one of them another range; addresses of --service-cidr "
				   "that no Service has are dropped, whoever else has them" });
}

static void look_at_settings(struct doctor *doctor)
{
	const struct settings *s = doctor->settings;
	size_t i, j;

	for (i = 0; i < s->n_service_cidrs; i++) {
		for (j = 0; j < s->n_cluster_cidrs; j++) {
			if (overlap(&s->service_cidrs[i], &s->cluster_cidrs[j]))
				tell_overlap(doctor, "options",
					     doctor_text(doctor, "--service-cidr %s",
							 net_text(doctor, &s->service_cidrs[i])),
					     doctor_text(doctor, "--cluster-cidr %s",
							 net_text(doctor, &s->cluster_cidrs[j])));
		}
	}
}

/* @addr, @whose: must not be within --service-cidr. */
static void look_at_address(struct doctor *doctor, const char *object, const char *whose,
			    const struct sh_addr *addr)
{
	const struct settings *s = doctor->settings;
	const struct addr_net *net = net_of(s->service_cidrs, s->n_service_cidrs, addr);
	char text[ADDR_STRLEN];

	if (net)
		tell_overlap(doctor, object,
			     doctor_text(doctor, "%s %s", whose, addr_format(addr, text)),
			     doctor_text(doctor, "--service-cidr %s", net_text(doctor, net)));
}

static void look_at_node(struct doctor *doctor, const struct object *object)
{
	const char *name = doctor_text(doctor, "Node %s", object->meta.name);
	const struct settings *s = doctor->settings;
	const struct node *node = &object->node;
	size_t i, j;

	for (i = 0; i < node->n_internal_ips; i++)
		look_at_address(doctor, name, "its InternalIP", &node->internal_ips[i]);
	for (i = 0; i < node->n_pod_cidrs; i++) {
		for (j = 0; j < s->n_service_cidrs; j++) {
			if (overlap(&node->pod_cidrs[i], &s->service_cidrs[j]))
				tell_overlap(doctor, name,
					     doctor_text(doctor, "its podCIDR %s",
							 net_text(doctor, &node->pod_cidrs[i])),
					     doctor_text(doctor, "--service-cidr %s",
							 net_text(doctor, &s->service_cidrs[j])));
		}
	}
}

static void look_at_two_nodes(struct doctor *doctor, const struct object *a, const struct object *b)
{
	size_t i, j;

	for (i = 0; i < a->node.n_pod_cidrs; i++) {
		for (j = 0; j < b->node.n_pod_cidrs; j++) {
			if (overlap(&a->node.pod_cidrs[i], &b->node.pod_cidrs[j]))
				tell_overlap(doctor, doctor_text(doctor, "Node %s", a->meta.name),
					     doctor_text(doctor, "its podCIDR %s",
							 net_text(doctor, &a->node.pod_cidrs[i])),
					     doctor_text(doctor, "that of Node %s", b->meta.name));
		}
	}
}

static void look_at_objects(struct doctor *doctor)
{
	const struct object_set *objects = doctor->objects;
	const struct object *me;
	size_t i;

	me = object_set_find(objects, KIND_NODE, "", doctor->node_name);
	for (i = 0; i < objects->n; i++) {
		const struct object *object = objects->v[i];
		size_t j;

		if (object->kind == KIND_NODE) {
			look_at_node(doctor, object);
			if (me && object != me)
				look_at_two_nodes(doctor, me, object);
		}
		for (j = 0; object->kind == KIND_POD && j < object->pod.n_ips; j++)
			look_at_address(doctor,
					doctor_text(doctor, "Pod %s/%s", object->meta.ns,
						    object->meta.name),
					"its address", &object->pod.ips[j]);
	}
}

int check_networks(struct doctor *doctor, struct err *err)
{
	const struct machine *machine = doctor->machine;
	const struct netdev *dev;
	size_t i;

	look_at_settings(doctor);
	if (doctor->objects)
		look_at_objects(doctor);
	for (i = 0; machine && i < machine->list.n_addrs; i++) {
		dev = netdev_find(&machine->list, machine->list.addrs[i].ifindex);
		/* kube-proxy's dummy has the ClusterIPs themselves: check_ipvs() tells that. */
		if (dev && strcmp(dev->name, KUBE_IPVS_DEVICE) != 0)
			look_at_address(doctor, doctor_text(doctor, "device %s", dev->name),
					"its address", &machine->list.addrs[i].addr);
	}
	return 0;
}

/* ---- nodePorts and nodes --------------------------------------------------------------------- */

static bool served(const struct doctor *doctor, enum family family)
{
	const struct object *node =
		object_set_find(doctor->objects, KIND_NODE, "", doctor->node_name);
	const struct settings *s = doctor->settings;
	size_t i;

	for (i = 0; doctor->wanted && i < doctor->wanted->n_nodeaddrs; i++) {
		if (addr_family(&doctor->wanted->nodeaddrs[i]) == family)
			return true;
	}
	/* With no machine to look at, what the Node has within the networks is all there is. */
	for (i = 0; !doctor->machine && node && i < node->node.n_internal_ips; i++) {
		if (addr_family(&node->node.internal_ips[i]) == family &&
		    (s->nodeport_addresses == NODEPORT_PRIMARY ||
		     net_of(s->nodeport_nets, s->n_nodeport_nets, &node->node.internal_ips[i])))
			return true;
	}
	return false;
}

static const char *nodeport_text(struct doctor *doctor)
{
	const struct settings *s = doctor->settings;
	struct listed list = { .n = 0 };
	size_t i;

	if (s->nodeport_addresses == NODEPORT_PRIMARY)
		return "primary, and the node has no primary address of that family";
	for (i = 0; i < s->n_nodeport_nets; i++)
		listed_add(&list, net_text(doctor, &s->nodeport_nets[i]));
	return doctor_text(doctor, "%s, and no address of the node lies in there",
			   listed_text(&list));
}

static void look_at_node_ports(struct doctor *doctor, const struct object *object)
{
	const struct service *service = &object->service;
	enum family family = FAMILY_NONE;
	bool any = false;
	size_t i;

	for (i = 0; i < service->n_ports; i++)
		any |= service->ports[i].node_port;
	for (i = 0; any && i < service->n_cluster_ips; i++) {
		family = addr_family(&service->cluster_ips[i]);
		if (served(doctor, family))
			continue;
		doctor_tell(doctor,
			    &(struct tell){
				    .level = FINDING_WARNING,
				    .object = service_object(doctor, object->meta.ns,
							     object->meta.name),
				    .what = doctor_text(doctor,
							"its nodePorts are served at no %s address "
							"of this node",
							family_name(family)),
				    .evidence = doctor_text(doctor, "--nodeport-addresses is %s",
							    nodeport_text(doctor)),
				    .fix = "give --nodeport-addresses a network that an address of "
					   "this node lies in" });
	}
}

int check_nodeport(struct doctor *doctor, struct err *err)
{
	/* Of manifests without the Node nobody can tell which addresses it has. */
	if (doctor->machine || object_set_find(doctor->objects, KIND_NODE, "", doctor->node_name))
		doctor_services(doctor, look_at_node_ports);
	return 0;
}

int check_node(struct doctor *doctor, struct err *err)
{
	const struct object_set *objects = doctor->objects;
	size_t first = object_set_first(objects, KIND_NODE), i;
	struct listed names = { .n = 0 };
	struct nearest nearest;
	char hint[96];

	nearest_init(&nearest, doctor->node_name);
	for (i = first; i < objects->n && objects->v[i]->kind == KIND_NODE; i++) {
		if (!strcmp(objects->v[i]->meta.name, doctor->node_name))
			return 0;
		nearest_offer(&nearest, objects->v[i]->meta.name);
		listed_add(&names, objects->v[i]->meta.name);
	}
	if (!names.n)
		return 0;
	doctor_tell(
		doctor,
		&(struct tell){
			.level = FINDING_WARNING,
			.object = doctor_text(doctor, "Node %s", doctor->node_name),
			.what = "there is no Node of this name: its zone and its addresses are "
				"unknown, and no endpoint is taken for local",
			.evidence = doctor_text(doctor, "the Nodes are %s", listed_text(&names)),
			.fix = doctor_text(doctor, "say which one this is by --node-name%s",
					   nearest_hint(&nearest, hint, sizeof(hint))) });
	return 0;
}
