/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* v1 Node. */
#include <errno.h>
#include <string.h>

#include "source/schema.h"

struct wire_node_address {
	const char *type, *address;
};

struct wire_node_spec {
	const char *pod_cidr;
	struct wire_list pod_cidrs; /* strings */
};
struct wire_node_status {
	struct wire_list addresses; /* struct wire_node_address */
};

struct wire_node {
	struct wire_head head;
	struct wire_node_spec spec;
	struct wire_node_status status;
};

static const struct field cidr_item = { .type = FIELD_STRING, .check = check_cidr };

static const struct field spec_fields[] = {
	{ .name = "podCIDR",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  .offset = offsetof(struct wire_node_spec, pod_cidr),
	  .check = check_cidr },
	{ .name = "podCIDRs",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_node_spec, pod_cidrs),
	  .item = &cidr_item,
	  .n_max = 2 },
	ANY("providerID"),
	ANY("unschedulable"),
	ANY("taints"),
	ANY("configSource"),
	ANY("externalID"),
};
static const struct schema schema_spec = { "a Node's spec", spec_fields, FIELD_COUNT(spec_fields),
					   sizeof(struct wire_node_spec) };

static const struct field address_fields[] = {
	{ .name = "type",
	  .type = FIELD_STRING,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_node_address, type) },
	{ .name = "address",
	  .type = FIELD_STRING,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_node_address, address) },
};
static const struct schema schema_address = { "a Node's address", address_fields,
					      FIELD_COUNT(address_fields),
					      sizeof(struct wire_node_address) };
static const struct field address_item = { .type = FIELD_MAP, .schema = &schema_address };

static const struct field status_fields[] = {
	{ .name = "addresses",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_node_status, addresses),
	  .item = &address_item },
	ANY("capacity"),
	ANY("allocatable"),
	ANY("phase"),
	ANY("conditions"),
	ANY("daemonEndpoints"),
	ANY("nodeInfo"),
	ANY("images"),
	ANY("volumesInUse"),
	ANY("volumesAttached"),
	ANY("config"),
	ANY("runtimeHandlers"),
	ANY("features"),
	ANY("declaredFeatures"),
};
static const struct schema schema_status = { "a Node's status", status_fields,
					     FIELD_COUNT(status_fields),
					     sizeof(struct wire_node_status) };

static const struct field node_fields[] = {
	HEAD_FIELDS,
	{ .name = "spec",
	  .type = FIELD_MAP,
	  .offset = offsetof(struct wire_node, spec),
	  .schema = &schema_spec },
	{ .name = "status",
	  .type = FIELD_MAP,
	  .offset = offsetof(struct wire_node, status),
	  .schema = &schema_status },
};
static const struct schema schema_node = { "a Node", node_fields, FIELD_COUNT(node_fields),
					   sizeof(struct wire_node) };

/* ---- decoding ------------------------------------------------------------ */

static void finish_cidrs(struct decode *d, const struct wire_node_spec *spec, struct node *node)
{
	const char *const *texts = spec->pod_cidrs.n ? spec->pod_cidrs.v : &spec->pod_cidr;
	const size_t n = spec->pod_cidrs.n ? spec->pod_cidrs.n : spec->pod_cidr ? 1 : 0;
	size_t i;

	if (n && spec->pod_cidr && strcmp(texts[0], spec->pod_cidr) != 0)
		decode_fault(d, "spec.podCIDRs[0]", "%s must be the same as spec.podCIDR, %s",
			     texts[0], spec->pod_cidr);
	node->pod_cidrs = keep_array(d, n, sizeof(*node->pod_cidrs), &node->n_pod_cidrs);
	for (i = 0; i < node->n_pod_cidrs; i++)
		(void)addr_net_parse(texts[i], &node->pod_cidrs[i]);
	if (node->n_pod_cidrs == 2 &&
	    addr_family(&node->pod_cidrs[0].addr) == addr_family(&node->pod_cidrs[1].addr))
		decode_fault(d, "spec.podCIDRs[1]", "a second %s network: one of each family",
			     family_name(addr_family(&node->pod_cidrs[1].addr)));
}

/* The addresses of @type; host names and what else there is are not kept. */
static struct sh_addr *finish_addresses(struct decode *d, const struct wire_list *list,
					const char *type, size_t *n_out)
{
	const struct wire_node_address *wire = list->v;
	struct sh_addr *addrs;
	char quoted[QUOTE_LEN];
	size_t i, n = 0, got;

	for (i = 0; i < list->n; i++)
		n += !strcmp(wire[i].type, type);
	addrs = keep_array(d, n, sizeof(*addrs), &got);
	*n_out = got;
	for (i = 0, n = 0; i < list->n && n < got; i++) {
		if (strcmp(wire[i].type, type) != 0)
			continue;
		if (addr_parse(wire[i].address, &addrs[n++]))
			decode_fault(d, AT("status.addresses[%zu].address", i),
				     "%s is no IP address", quote(wire[i].address, quoted));
	}
	return addrs;
}

static void check_types(struct decode *d, const struct wire_list *list)
{
	static const char *const types[] = { "InternalIP", "ExternalIP", "Hostname", "InternalDNS",
					     "ExternalDNS" };
	const struct wire_node_address *wire = list->v;
	char quoted[QUOTE_LEN];
	size_t i, j;

	for (i = 0; i < list->n; i++) {
		for (j = 0; j < FIELD_COUNT(types); j++) {
			if (!strcmp(wire[i].type, types[j]))
				break;
		}
		if (j == FIELD_COUNT(types))
			decode_fault(d, AT("status.addresses[%zu].type", i),
				     "%s is not one of InternalIP, ExternalIP, Hostname, "
				     "InternalDNS or ExternalDNS",
				     quote(wire[i].type, quoted));
	}
}

static void node_finish(struct decode *d, const void *wire, struct object *object)
{
	const struct wire_node *w = wire;
	const struct wire_list *addresses = &w->status.addresses;
	struct node *node = &object->node;
	const char *zone = labels_get(&object->meta.labels, "topology.kubernetes.io/zone");

	if (!d->lenient)
		check_types(d, addresses);
	node->zone = zone ? zone : "";
	node->internal_ips = finish_addresses(d, addresses, "InternalIP", &node->n_internal_ips);
	node->external_ips = finish_addresses(d, addresses, "ExternalIP", &node->n_external_ips);
	finish_cidrs(d, &w->spec, node);
}

/* ---- the other way ------------------------------------------------------- */

static int addresses_to_wire(const struct node *node, struct wire_list *list, struct arena *scratch)
{
	const size_t n = node->n_internal_ips + node->n_external_ips;
	struct wire_node_address *wire = arena_array(scratch, n, sizeof(*wire));
	char text[ADDR_STRLEN];
	size_t i;

	if (!wire)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		const bool internal = i < node->n_internal_ips;
		const struct sh_addr *addr =
			internal ? &node->internal_ips[i]
				 : &node->external_ips[i - node->n_internal_ips];

		wire[i].type = internal ? "InternalIP" : "ExternalIP";
		wire[i].address = arena_strdup(scratch, addr_format(addr, text));
		if (!wire[i].address)
			return -ENOMEM;
	}
	*list = (struct wire_list){ wire, n };
	return 0;
}

static int node_to_wire(const struct object *object, void *wire, struct arena *scratch)
{
	const struct node *node = &object->node;
	struct wire_node *w = wire;
	int ret;

	ret = nets_to_wire(node->pod_cidrs, node->n_pod_cidrs, &w->spec.pod_cidrs, scratch);
	if (ret)
		return ret;
	if (w->spec.pod_cidrs.n)
		w->spec.pod_cidr = *(const char *const *)w->spec.pod_cidrs.v;
	return addresses_to_wire(node, &w->status.addresses, scratch);
}

const struct kind_def kind_node = {
	.kind = KIND_NODE,
	.api_version = "v1",
	.schema = &schema_node,
	.check_name = check_dns_subdomain,
	.cluster_scoped = true,
	.finish = node_finish,
	.to_wire = node_to_wire,
};
