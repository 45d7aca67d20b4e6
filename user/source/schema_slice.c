/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* discovery.k8s.io/v1 EndpointSlice. */
#include <errno.h>
#include <string.h>

#include "source/schema.h"

#define ENDPOINTS_MAX 1000
#define ADDRESSES_MAX 100 /* of one endpoint */
#define PORTS_MAX     100
#define HINTS_MAX     8

struct wire_conditions {
	enum maybe ready, serving, terminating;
};

struct wire_hint {
	const char *name;
};
struct wire_hints {
	struct wire_list zones, nodes; /* struct wire_hint */
};

struct wire_endpoint {
	struct wire_list addresses; /* strings */
	struct wire_conditions conditions;
	const char *hostname, *node_name, *zone;
	struct wire_object_ref target;
	struct wire_hints hints;
};

struct wire_slice {
	struct wire_head head;
	uint8_t address_type;
	struct wire_list endpoints; /* struct wire_endpoint */
	struct wire_list ports;	    /* struct wire_endpoint_port */
};

static const char *const address_type_words[] = { "IPv4", "IPv6", "FQDN", NULL };
enum { WIRE_IPV4 = 1, WIRE_IPV6, WIRE_FQDN };

#define AT_CONDITION(member) .type = FIELD_BOOL, .offset = offsetof(struct wire_conditions, member)
static const struct field condition_fields[] = {
	{ .name = "ready", AT_CONDITION(ready) },
	{ .name = "serving", AT_CONDITION(serving) },
	{ .name = "terminating", AT_CONDITION(terminating) },
};
static const struct schema schema_conditions = { "conditions", condition_fields,
						 FIELD_COUNT(condition_fields),
						 sizeof(struct wire_conditions) };

static const struct field hint_fields[] = {
	{ .name = "name",
	  .type = FIELD_STRING,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_hint, name) },
};
static const struct schema schema_hint = { "a hint", hint_fields, FIELD_COUNT(hint_fields),
					   sizeof(struct wire_hint) };
static const struct field hint_item = { .type = FIELD_MAP, .schema = &schema_hint };

static const struct field hints_fields[] = {
	{ .name = "forZones",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_hints, zones),
	  .item = &hint_item,
	  .n_max = HINTS_MAX },
	{ .name = "forNodes",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_hints, nodes),
	  .item = &hint_item,
	  .n_max = HINTS_MAX },
};
static const struct schema schema_hints = { "hints", hints_fields, FIELD_COUNT(hints_fields),
					    sizeof(struct wire_hints) };

#define AT_ENDPOINT(member) .offset = offsetof(struct wire_endpoint, member)
static const struct field endpoint_fields[] = {
	{ .name = "addresses",
	  .type = FIELD_LIST,
	  .flags = FIELD_REQUIRED,
	  AT_ENDPOINT(addresses),
	  .item = &field_string_item,
	  .n_max = ADDRESSES_MAX },
	{ .name = "conditions",
	  .type = FIELD_MAP,
	  AT_ENDPOINT(conditions),
	  .schema = &schema_conditions },
	{ .name = "nodeName",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  AT_ENDPOINT(node_name),
	  .check = check_dns_subdomain },
	{ .name = "zone", .type = FIELD_STRING, AT_ENDPOINT(zone), .check = check_label_value },
	{ .name = "targetRef",
	  .type = FIELD_MAP,
	  AT_ENDPOINT(target),
	  .schema = &schema_object_ref },
	{ .name = "hostname",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  AT_ENDPOINT(hostname),
	  .check = check_dns_label },
	{ .name = "hints", .type = FIELD_MAP, AT_ENDPOINT(hints), .schema = &schema_hints },
	ANY("deprecatedTopology"),
};
static const struct schema schema_endpoint = { "an endpoint", endpoint_fields,
					       FIELD_COUNT(endpoint_fields),
					       sizeof(struct wire_endpoint) };
static const struct field endpoint_item = { .type = FIELD_MAP, .schema = &schema_endpoint };
static const struct field port_item = { .type = FIELD_MAP, .schema = &schema_endpoint_port };

static const struct field slice_fields[] = {
	HEAD_FIELDS,
	{ .name = "addressType",
	  .type = FIELD_ENUM,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_slice, address_type),
	  .words = address_type_words },
	{ .name = "endpoints",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_slice, endpoints),
	  .item = &endpoint_item,
	  .n_max = ENDPOINTS_MAX },
	{ .name = "ports",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_slice, ports),
	  .item = &port_item,
	  .n_max = PORTS_MAX },
};
static const struct schema schema_slice = { "an EndpointSlice", slice_fields,
					    FIELD_COUNT(slice_fields), sizeof(struct wire_slice) };

/* ---- decoding ------------------------------------------------------------ */

static void check_ports(struct decode *d, const struct wire_list *list)
{
	const struct wire_endpoint_port *ports = list->v;
	size_t i, j;

	for (i = 0; i < list->n; i++) {
		const char *name = ports[i].name ? ports[i].name : "";

		for (j = 0; j < i; j++) {
			if (!strcmp(name, ports[j].name ? ports[j].name : ""))
				decode_fault(d, AT("ports[%zu].name", i),
					     "\"%s\" is also the name of ports[%zu]", name, j);
		}
	}
}

/* An address, of the slice's family. */
static void check_address(struct decode *d, enum family family, const char *path, const char *text,
			  struct sh_addr *out)
{
	char quoted[QUOTE_LEN];
	const size_t errors = d->errors;
	const char *why;

	if (family == FAMILY_NONE) {
		why = d->lenient ? NULL : check_dns_subdomain(text);
		if (why)
			decode_fault(d, path, "%s %s", quote(text, quoted), why);
		return;
	}
	endpoint_addr(d, path, text, out);
	if (d->errors == errors && addr_family(out) != family)
		decode_fault(d, path, "%s is no %s address, as addressType says", text,
			     family_name(family));
}

/* Nearly all are right: only for one that isn't its path is written out. */
static bool is_right(enum family family, const char *text, struct sh_addr *out)
{
	return family != FAMILY_NONE && !addr_parse(text, out) && addr_family(out) == family &&
	       !check_special_addr(out);
}

static void finish_addresses(struct decode *d, enum family family, const struct wire_endpoint *wire,
			     size_t index, struct endpoint *out)
{
	const char *const *texts = wire->addresses.v;
	struct sh_addr addr;
	size_t i;

	if (!wire->addresses.n)
		decode_fault(d, AT("endpoints[%zu].addresses", index),
			     "an endpoint needs an address");
	for (i = 0; i < wire->addresses.n; i++) {
		/* The first is the endpoint; the others have no meaning, but must be right. */
		struct sh_addr *to = i ? &addr : &out->addr;

		if (!is_right(family, texts[i], to))
			check_address(d, family, AT("endpoints[%zu].addresses[%zu]", index, i),
				      texts[i], to);
	}
}

static struct strings keep_hints(struct decode *d, const struct wire_list *list)
{
	const struct wire_hint *hints = list->v;
	struct strings names;
	size_t i;

	names.v = keep_array(d, list->n, sizeof(*names.v), &names.n);
	for (i = 0; i < names.n; i++)
		names.v[i] = keep_string(d, hints[i].name);
	return names;
}

static void finish_endpoint(struct decode *d, const struct wire_endpoint *wire,
			    struct endpoint *out)
{
	out->ready = wire->conditions.ready;
	out->serving = wire->conditions.serving;
	out->terminating = wire->conditions.terminating;
	out->node_name = keep_string(d, wire->node_name);
	out->zone = keep_string(d, wire->zone);
	out->hostname = keep_string(d, wire->hostname);
	out->target_pod = "";
	if (wire->target.kind && !strcmp(wire->target.kind, "Pod"))
		out->target_pod = keep_string(d, wire->target.name);
	out->zone_hints = keep_hints(d, &wire->hints.zones);
	out->node_hints = keep_hints(d, &wire->hints.nodes);
}

static void slice_finish(struct decode *d, const void *wire, struct object *object)
{
	static const enum family families[] = { FAMILY_NONE, FAMILY_IPV4, FAMILY_IPV6,
						FAMILY_NONE };
	const struct wire_slice *w = wire;
	const struct wire_endpoint *endpoints = w->endpoints.v;
	struct endpoint_slice *slice = &object->slice;
	size_t i;

	slice->family = families[w->address_type];
	if (!d->lenient)
		check_ports(d, &w->ports);
	endpoint_ports_finish(d, &w->ports, &slice->ports, &slice->n_ports);
	slice->endpoints =
		keep_array(d, w->endpoints.n, sizeof(*slice->endpoints), &slice->n_endpoints);
	for (i = 0; i < slice->n_endpoints; i++) {
		finish_addresses(d, slice->family, &endpoints[i], i, &slice->endpoints[i]);
		finish_endpoint(d, &endpoints[i], &slice->endpoints[i]);
	}
	/* Names are no addresses: nothing can be sent there, nothing is kept of them. */
	if (slice->family == FAMILY_NONE) {
		slice->endpoints = NULL;
		slice->n_endpoints = 0;
	}
}

/* ---- the other way ------------------------------------------------------- */

static int hints_to_wire(const struct strings *names, struct wire_list *list, struct arena *scratch)
{
	struct wire_hint *hints = arena_array(scratch, names->n, sizeof(*hints));
	size_t i;

	if (!hints)
		return -ENOMEM;
	for (i = 0; i < names->n; i++)
		hints[i].name = names->v[i];
	*list = (struct wire_list){ hints, names->n };
	return 0;
}

static int endpoint_to_wire(const struct endpoint *endpoint, struct wire_endpoint *wire,
			    struct arena *scratch)
{
	int ret;

	*wire = (struct wire_endpoint){
		.conditions = { endpoint->ready, endpoint->serving, endpoint->terminating },
		.hostname = endpoint->hostname,
		.node_name = endpoint->node_name,
		.zone = endpoint->zone,
	};
	if (*endpoint->target_pod)
		wire->target = (struct wire_object_ref){ "Pod", endpoint->target_pod };
	ret = addrs_to_wire(&endpoint->addr, 1, &wire->addresses, scratch);
	if (ret)
		return ret;
	ret = hints_to_wire(&endpoint->zone_hints, &wire->hints.zones, scratch);
	if (ret)
		return ret;
	return hints_to_wire(&endpoint->node_hints, &wire->hints.nodes, scratch);
}

static int slice_to_wire(const struct object *object, void *wire, struct arena *scratch)
{
	const struct endpoint_slice *slice = &object->slice;
	struct wire_endpoint *endpoints =
		arena_array(scratch, slice->n_endpoints, sizeof(*endpoints));
	struct wire_slice *w = wire;
	size_t i;
	int ret;

	if (!endpoints)
		return -ENOMEM;
	w->address_type = slice->family == FAMILY_IPV4	 ? WIRE_IPV4
			  : slice->family == FAMILY_IPV6 ? WIRE_IPV6
							 : WIRE_FQDN;
	for (i = 0; i < slice->n_endpoints; i++) {
		ret = endpoint_to_wire(&slice->endpoints[i], &endpoints[i], scratch);
		if (ret)
			return ret;
	}
	w->endpoints = (struct wire_list){ endpoints, slice->n_endpoints };
	return endpoint_ports_to_wire(slice->ports, slice->n_ports, &w->ports, scratch);
}

const struct kind_def kind_endpoint_slice = {
	.kind = KIND_ENDPOINT_SLICE,
	.api_version = "discovery.k8s.io/v1",
	.schema = &schema_slice,
	.check_name = check_dns_subdomain,
	.finish = slice_finish,
	.to_wire = slice_to_wire,
};
