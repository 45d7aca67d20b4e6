/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* v1 Endpoints. */
#include <errno.h>
#include <string.h>

#include "source/schema.h"

/* More than anybody needs; their names are compared each with each. */
#define PORTS_MAX 16384

struct wire_address {
	const char *ip, *hostname, *node_name;
	struct wire_object_ref target;
};

struct wire_subset {
	struct wire_list addresses, not_ready; /* struct wire_address */
	struct wire_list ports;		       /* struct wire_endpoint_port */
};

struct wire_endpoints {
	struct wire_head head;
	struct wire_list subsets; /* struct wire_subset */
};

static const struct field address_fields[] = {
	{ .name = "ip",
	  .type = FIELD_STRING,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_address, ip) },
	{ .name = "hostname",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  .offset = offsetof(struct wire_address, hostname),
	  .check = check_dns_label },
	{ .name = "nodeName",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  .offset = offsetof(struct wire_address, node_name),
	  .check = check_dns_subdomain },
	{ .name = "targetRef",
	  .type = FIELD_MAP,
	  .offset = offsetof(struct wire_address, target),
	  .schema = &schema_object_ref },
};
static const struct schema schema_address = { "an address", address_fields,
					      FIELD_COUNT(address_fields),
					      sizeof(struct wire_address) };
static const struct field address_item = { .type = FIELD_MAP, .schema = &schema_address };
static const struct field port_item = { .type = FIELD_MAP, .schema = &schema_endpoint_port };

static const struct field subset_fields[] = {
	{ .name = "addresses",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_subset, addresses),
	  .item = &address_item },
	{ .name = "notReadyAddresses",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_subset, not_ready),
	  .item = &address_item },
	{ .name = "ports",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_subset, ports),
	  .item = &port_item,
	  .n_max = PORTS_MAX },
};
static const struct schema schema_subset = { "a subset", subset_fields, FIELD_COUNT(subset_fields),
					     sizeof(struct wire_subset) };
static const struct field subset_item = { .type = FIELD_MAP, .schema = &schema_subset };

static const struct field endpoints_fields[] = {
	HEAD_FIELDS,
	{ .name = "subsets",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_endpoints, subsets),
	  .item = &subset_item },
};
static const struct schema schema_endpoints = { "an Endpoints object", endpoints_fields,
						FIELD_COUNT(endpoints_fields),
						sizeof(struct wire_endpoints) };

/* ---- decoding ------------------------------------------------------------ */

static void check_ports(struct decode *d, const struct wire_list *list, size_t subset)
{
	const struct wire_endpoint_port *ports = list->v;
	size_t i, j;

	for (i = 0; i < list->n; i++) {
		if (!ports[i].port)
			decode_fault(d, AT("subsets[%zu].ports[%zu].port", subset, i),
				     "required, but missing");
		if (list->n > 1 && !ports[i].name)
			decode_fault(d, AT("subsets[%zu].ports[%zu].name", subset, i),
				     "required where a subset has several ports");
		for (j = 0; j < i; j++) {
			if (ports[i].name && ports[j].name && !strcmp(ports[i].name, ports[j].name))
				decode_fault(d, AT("subsets[%zu].ports[%zu].name", subset, i),
					     "\"%s\" is also the name of subsets[%zu].ports[%zu]",
					     ports[i].name, subset, j);
		}
	}
}

/* @field is the list's name, for messages. */
static void finish_addresses(struct decode *d, const struct wire_list *list, const char *field,
			     struct endpoint *out)
{
	const struct wire_address *wire = list->v;
	size_t i;

	for (i = 0; i < list->n; i++) {
		endpoint_addr(d, AT("%s[%zu].ip", field, i), wire[i].ip, &out[i].addr);
		out[i].node_name = keep_string(d, wire[i].node_name);
		out[i].hostname = keep_string(d, wire[i].hostname);
		out[i].zone = "";
		out[i].target_pod = "";
		if (wire[i].target.kind && !strcmp(wire[i].target.kind, "Pod"))
			out[i].target_pod = keep_string(d, wire[i].target.name);
	}
}

static void finish_subset(struct decode *d, const struct wire_subset *wire, size_t index,
			  struct endpoints_subset *out)
{
	size_t i, n;

	if (!wire->addresses.n && !wire->not_ready.n)
		decode_fault(d, AT("subsets[%zu]", index), "needs addresses or notReadyAddresses");
	if (!d->lenient)
		check_ports(d, &wire->ports, index);
	endpoint_ports_finish(d, &wire->ports, &out->ports, &out->n_ports);
	out->endpoints =
		keep_array(d, wire->addresses.n + wire->not_ready.n, sizeof(*out->endpoints), &n);
	if (!n)
		return;
	out->n_endpoints = n;
	for (i = 0; i < n; i++)
		out->endpoints[i].ready = i < wire->addresses.n ? MAYBE_TRUE : MAYBE_FALSE;
	finish_addresses(d, &wire->addresses, AT("subsets[%zu].addresses", index), out->endpoints);
	finish_addresses(d, &wire->not_ready, AT("subsets[%zu].notReadyAddresses", index),
			 out->endpoints + wire->addresses.n);
}

static void endpoints_finish(struct decode *d, const void *wire, struct object *object)
{
	const struct wire_endpoints *w = wire;
	const struct wire_subset *subsets = w->subsets.v;
	struct endpoints *endpoints = &object->endpoints;
	size_t i;

	endpoints->subsets =
		keep_array(d, w->subsets.n, sizeof(*endpoints->subsets), &endpoints->n_subsets);
	for (i = 0; i < endpoints->n_subsets; i++)
		finish_subset(d, &subsets[i], i, &endpoints->subsets[i]);
}

/* ---- the other way ------------------------------------------------------- */

static int address_to_wire(const struct endpoint *endpoint, struct wire_address *wire,
			   struct arena *scratch)
{
	char text[ADDR_STRLEN];

	wire->ip = arena_strdup(scratch, addr_format(&endpoint->addr, text));
	wire->hostname = endpoint->hostname;
	wire->node_name = endpoint->node_name;
	if (*endpoint->target_pod)
		wire->target = (struct wire_object_ref){ "Pod", endpoint->target_pod };
	return wire->ip ? 0 : -ENOMEM;
}

static int subset_to_wire(const struct endpoints_subset *subset, struct wire_subset *wire,
			  struct arena *scratch)
{
	struct wire_address *ready = arena_array(scratch, subset->n_endpoints, sizeof(*ready));
	struct wire_address *others = arena_array(scratch, subset->n_endpoints, sizeof(*others));
	size_t i;
	int ret;

	if (!ready || !others)
		return -ENOMEM;
	wire->addresses.v = ready;
	wire->not_ready.v = others;
	for (i = 0; i < subset->n_endpoints; i++) {
		const struct endpoint *endpoint = &subset->endpoints[i];

		if (endpoint->ready == MAYBE_FALSE)
			ret = address_to_wire(endpoint, &others[wire->not_ready.n++], scratch);
		else
			ret = address_to_wire(endpoint, &ready[wire->addresses.n++], scratch);
		if (ret)
			return ret;
	}
	return endpoint_ports_to_wire(subset->ports, subset->n_ports, &wire->ports, scratch);
}

static int endpoints_to_wire(const struct object *object, void *wire, struct arena *scratch)
{
	const struct endpoints *endpoints = &object->endpoints;
	struct wire_subset *subsets = arena_array(scratch, endpoints->n_subsets, sizeof(*subsets));
	struct wire_endpoints *w = wire;
	size_t i;
	int ret = 0;

	if (!subsets)
		return -ENOMEM;
	for (i = 0; !ret && i < endpoints->n_subsets; i++)
		ret = subset_to_wire(&endpoints->subsets[i], &subsets[i], scratch);
	w->subsets = (struct wire_list){ subsets, endpoints->n_subsets };
	return ret;
}

const struct kind_def kind_endpoints = {
	.kind = KIND_ENDPOINTS,
	.api_version = "v1",
	.schema = &schema_endpoints,
	.check_name = check_dns_subdomain,
	.finish = endpoints_finish,
	.to_wire = endpoints_to_wire,
};
