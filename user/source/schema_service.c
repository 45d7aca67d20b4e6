/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* v1 Service. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "shunt/limits.h"
#include "source/schema.h"

#define AFFINITY_SECONDS_DEFAULT 10800

struct wire_port {
	const char *name;
	uint8_t proto;
	int32_t port, node_port;
	struct int_or_string target;
};

struct wire_ingress {
	const char *ip;
	uint8_t ip_mode;
};

struct wire_client_ip {
	int32_t seconds;
};
struct wire_affinity_config {
	struct wire_client_ip client_ip;
};

struct wire_spec {
	uint8_t type;
	struct wire_list ports; /* struct wire_port */
	struct labels selector;
	const char *cluster_ip;
	struct wire_list cluster_ips; /* strings */
	struct wire_list ip_families; /* uint8_t */
	uint8_t ip_family_policy;
	struct wire_list external_ips, source_ranges; /* strings */
	uint8_t affinity, internal_policy, external_policy, distribution;
	struct wire_affinity_config affinity_config;
	enum maybe publish_not_ready, allocate_node_ports;
	int32_t health_check_node_port;
	const char *external_name, *lb_class;
};

struct wire_lb {
	struct wire_list ingress; /* struct wire_ingress */
};
struct wire_status {
	struct wire_lb lb;
};

struct wire_service {
	struct wire_head head;
	struct wire_spec spec;
	struct wire_status status;
};

/* Wire enums are 1 + place: absent is 0. */
static const char *const type_words[] = { "ClusterIP", "NodePort", "LoadBalancer", "ExternalName",
					  NULL };
static const char *const family_words[] = { "IPv4", "IPv6", NULL };
static const char *const family_policy_words[] = { "SingleStack", "PreferDualStack",
						   "RequireDualStack", NULL };
static const char *const affinity_words[] = { "None", "ClientIP", NULL };
static const char *const policy_words[] = { "Cluster", "Local", NULL };
static const char *const distribution_words[] = { "PreferClose", "PreferSameZone", "PreferSameNode",
						  NULL };
static const char *const ip_mode_words[] = { "VIP", "Proxy", NULL };
enum { WIRE_CLIENT_IP = 2, WIRE_LOCAL = 2, WIRE_PROXY = 2 };

static const struct field port_fields[] = {
	{ .name = "name",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  .offset = offsetof(struct wire_port, name),
	  .check = check_dns_label },
	{ .name = "protocol",
	  .type = FIELD_ENUM,
	  .offset = offsetof(struct wire_port, proto),
	  .words = proto_words },
	{ .name = "port",
	  .type = FIELD_INT,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_port, port),
	  .min = 1,
	  .max = 65535 },
	{ .name = "targetPort",
	  .type = FIELD_INT_OR_STRING,
	  .offset = offsetof(struct wire_port, target),
	  .min = 1,
	  .max = 65535,
	  .check = check_port_name },
	{ .name = "nodePort",
	  .type = FIELD_INT,
	  .offset = offsetof(struct wire_port, node_port),
	  .min = 0,
	  .max = 65535 },
	ANY("appProtocol"),
};
static const struct schema schema_port = { "a Service's port", port_fields,
					   FIELD_COUNT(port_fields), sizeof(struct wire_port) };
static const struct field port_item = { .type = FIELD_MAP, .schema = &schema_port };

static const struct field client_ip_fields[] = {
	{ .name = "timeoutSeconds",
	  .type = FIELD_INT,
	  .offset = offsetof(struct wire_client_ip, seconds),
	  .min = 1,
	  .max = SH_AFFINITY_SECONDS_MAX,
	  .limit = "SH_AFFINITY_SECONDS_MAX" },
};
static const struct schema schema_client_ip = { "clientIP", client_ip_fields,
						FIELD_COUNT(client_ip_fields),
						sizeof(struct wire_client_ip) };

static const struct field affinity_config_fields[] = {
	{ .name = "clientIP",
	  .type = FIELD_MAP,
	  .offset = offsetof(struct wire_affinity_config, client_ip),
	  .schema = &schema_client_ip },
};
static const struct schema schema_affinity_config = { "sessionAffinityConfig",
						      affinity_config_fields,
						      FIELD_COUNT(affinity_config_fields),
						      sizeof(struct wire_affinity_config) };

static const struct field family_item = { .type = FIELD_ENUM,
					  .flags = FIELD_REQUIRED,
					  .words = family_words };
static const struct field cluster_ip_item = { .type = FIELD_STRING, .check = check_ip_or_none };
static const struct field ip_item = { .type = FIELD_STRING, .check = check_ip };
static const struct field range_item = { .type = FIELD_STRING, .check = check_source_range };

#define AT_SPEC(member) .offset = offsetof(struct wire_spec, member)
static const struct field spec_fields[] = {
	{ .name = "type", .type = FIELD_ENUM, AT_SPEC(type), .words = type_words },
	{ .name = "ports",
	  .type = FIELD_LIST,
	  AT_SPEC(ports),
	  .item = &port_item,
	  .n_max = SH_SERVICE_PORTS_MAX,
	  .limit = "SH_SERVICE_PORTS_MAX" },
	{ .name = "selector", .type = FIELD_LABELS, AT_SPEC(selector), .check = check_label_value },
	{ .name = "clusterIP",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  AT_SPEC(cluster_ip),
	  .check = check_ip_or_none },
	{ .name = "clusterIPs",
	  .type = FIELD_LIST,
	  AT_SPEC(cluster_ips),
	  .item = &cluster_ip_item,
	  .n_max = 2 },
	{ .name = "ipFamilies",
	  .type = FIELD_LIST,
	  AT_SPEC(ip_families),
	  .item = &family_item,
	  .n_max = 2 },
	{ .name = "ipFamilyPolicy",
	  .type = FIELD_ENUM,
	  AT_SPEC(ip_family_policy),
	  .words = family_policy_words },
	{ .name = "externalIPs", .type = FIELD_LIST, AT_SPEC(external_ips), .item = &ip_item },
	{ .name = "loadBalancerSourceRanges",
	  .type = FIELD_LIST,
	  AT_SPEC(source_ranges),
	  .item = &range_item },
	{ .name = "sessionAffinity",
	  .type = FIELD_ENUM,
	  AT_SPEC(affinity),
	  .words = affinity_words },
	{ .name = "sessionAffinityConfig",
	  .type = FIELD_MAP,
	  AT_SPEC(affinity_config),
	  .schema = &schema_affinity_config },
	{ .name = "internalTrafficPolicy",
	  .type = FIELD_ENUM,
	  AT_SPEC(internal_policy),
	  .words = policy_words },
	{ .name = "externalTrafficPolicy",
	  .type = FIELD_ENUM,
	  AT_SPEC(external_policy),
	  .words = policy_words },
	{ .name = "trafficDistribution",
	  .type = FIELD_ENUM,
	  .flags = FIELD_OPEN,
	  AT_SPEC(distribution),
	  .words = distribution_words },
	{ .name = "publishNotReadyAddresses", .type = FIELD_BOOL, AT_SPEC(publish_not_ready) },
	{ .name = "allocateLoadBalancerNodePorts",
	  .type = FIELD_BOOL,
	  AT_SPEC(allocate_node_ports) },
	{ .name = "healthCheckNodePort",
	  .type = FIELD_INT,
	  AT_SPEC(health_check_node_port),
	  .min = 0,
	  .max = 65535 },
	{ .name = "externalName",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  AT_SPEC(external_name) },
	{ .name = "loadBalancerClass",
	  .type = FIELD_STRING,
	  AT_SPEC(lb_class),
	  .check = check_qualified_name },
	ANY("loadBalancerIP"), /* a wish, never an address of the Service */
};
static const struct schema schema_spec = { "a Service's spec", spec_fields,
					   FIELD_COUNT(spec_fields), sizeof(struct wire_spec) };

static const struct field ingress_fields[] = {
	{ .name = "ip",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  .offset = offsetof(struct wire_ingress, ip),
	  .check = check_ip },
	{ .name = "ipMode",
	  .type = FIELD_ENUM,
	  .offset = offsetof(struct wire_ingress, ip_mode),
	  .words = ip_mode_words },
	ANY("hostname"),
	ANY("ports"),
};
static const struct schema schema_ingress = { "an ingress point", ingress_fields,
					      FIELD_COUNT(ingress_fields),
					      sizeof(struct wire_ingress) };
static const struct field ingress_item = { .type = FIELD_MAP, .schema = &schema_ingress };

static const struct field lb_fields[] = {
	{ .name = "ingress",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_lb, ingress),
	  .item = &ingress_item },
};
static const struct schema schema_lb = { "loadBalancer", lb_fields, FIELD_COUNT(lb_fields),
					 sizeof(struct wire_lb) };

static const struct field status_fields[] = {
	{ .name = "loadBalancer",
	  .type = FIELD_MAP,
	  .offset = offsetof(struct wire_status, lb),
	  .schema = &schema_lb },
	ANY("conditions"),
};
static const struct schema schema_status = { "a Service's status", status_fields,
					     FIELD_COUNT(status_fields),
					     sizeof(struct wire_status) };

static const struct field service_fields[] = {
	HEAD_FIELDS,
	{ .name = "spec",
	  .type = FIELD_MAP,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_service, spec),
	  .schema = &schema_spec },
	{ .name = "status",
	  .type = FIELD_MAP,
	  .offset = offsetof(struct wire_service, status),
	  .schema = &schema_status },
};
static const struct schema schema_service = { "a Service", service_fields,
					      FIELD_COUNT(service_fields),
					      sizeof(struct wire_service) };

/* ---- ports --------------------------------------------------------------- */

/* What port @i may not have in common with those before it. */
static void check_port_twins(struct decode *d, const struct wire_port *ports, size_t i)
{
	size_t j;

	for (j = 0; j < i; j++) {
		const bool same_proto =
			proto_of_wire(ports[i].proto) == proto_of_wire(ports[j].proto);

		if (ports[i].name && ports[j].name && !strcmp(ports[i].name, ports[j].name))
			decode_fault(d, AT("spec.ports[%zu].name", i),
				     "\"%s\" is also the name of spec.ports[%zu]", ports[i].name,
				     j);
		if (same_proto && ports[i].port == ports[j].port)
			decode_fault(d, AT("spec.ports[%zu].port", i),
				     "%d/%s is already spec.ports[%zu]", ports[i].port,
				     proto_name(proto_of_wire(ports[i].proto)), j);
		if (same_proto && ports[i].node_port && ports[i].node_port == ports[j].node_port)
			decode_fault(d, AT("spec.ports[%zu].nodePort", i),
				     "%d/%s is already spec.ports[%zu]'s", ports[i].node_port,
				     proto_name(proto_of_wire(ports[i].proto)), j);
	}
}

static void check_port(struct decode *d, const struct wire_spec *spec, size_t i)
{
	const enum service_type type = spec->type ? spec->type - 1 : SERVICE_CLUSTER_IP;
	const struct wire_port *ports = spec->ports.v, *port = &ports[i];
	const bool headless = spec->cluster_ip && !strcmp(spec->cluster_ip, "None");

	if (spec->ports.n > 1 && !port->name)
		decode_fault(d, AT("spec.ports[%zu].name", i),
			     "required where a Service has several ports");
	if (port->node_port && type == SERVICE_CLUSTER_IP)
		decode_fault(d, AT("spec.ports[%zu].nodePort", i),
			     "only a Service of type NodePort or LoadBalancer has one");
	/* What a cluster has accepted is served without such endpoints: resolve() tells. */
	if (!d->lenient && proto_of_wire(port->proto) == IPPROTO_SCTP && port->target.num &&
	    port->target.num != port->port && !headless && type != SERVICE_EXTERNAL_NAME)
		decode_fault(d, AT("spec.ports[%zu].targetPort", i),
			     "%d is not port %d: SCTP ports can't be translated (their checksum "
			     "covers the whole packet); make both equal",
			     port->target.num, port->port);
	check_port_twins(d, ports, i);
}

static void finish_ports(struct decode *d, const struct wire_spec *spec, struct service *service)
{
	const struct wire_port *wire = spec->ports.v;
	size_t i;

	if (!spec->ports.n && !service->headless && service->type != SERVICE_EXTERNAL_NAME)
		decode_fault(d, "spec.ports", "required: a Service needs a port");
	service->ports = keep_array(d, spec->ports.n, sizeof(*service->ports), &service->n_ports);
	for (i = 0; i < service->n_ports; i++) {
		struct service_port *port = &service->ports[i];

		check_port(d, spec, i);
		port->name = keep_string(d, wire[i].name);
		port->proto = proto_of_wire(wire[i].proto);
		port->port = (uint16_t)wire[i].port;
		port->node_port = (uint16_t)wire[i].node_port;
		port->target_port.num = wire[i].target.num;
		if (wire[i].target.str)
			port->target_port.str = keep_string(d, wire[i].target.str);
		port->at = decode_origin(d, AT("spec.ports[%zu]", i));
	}
}

/* ---- addresses ----------------------------------------------------------- */

/* An ExternalName has no address, so nothing that is about one. */
static void check_external_name_fields(struct decode *d, const struct wire_spec *spec)
{
	static const char *const forbidden[] = { "spec.clusterIP", "spec.clusterIPs",
						 "spec.ipFamilies", "spec.ipFamilyPolicy" };
	const bool set[] = { spec->cluster_ip, spec->cluster_ips.n, spec->ip_families.n,
			     spec->ip_family_policy };
	char quoted[QUOTE_LEN];
	const char *why;
	size_t i;

	for (i = 0; i < FIELD_COUNT(forbidden); i++) {
		if (set[i])
			decode_fault(d, forbidden[i],
				     "a Service of type ExternalName must not have it");
	}
	if (!spec->external_name) {
		decode_fault(d, "spec.externalName", "required for type ExternalName");
		return;
	}
	why = check_external_name(spec->external_name);
	if (why)
		decode_fault(d, "spec.externalName", "%s %s", quote(spec->external_name, quoted),
			     why);
}

/* @return the text of the cluster IPs: those of clusterIPs, else the one of clusterIP */
static struct wire_list cluster_ip_texts(struct decode *d, const struct wire_spec *spec)
{
	const char *const *texts = spec->cluster_ips.v;

	if (!spec->cluster_ips.n)
		return (struct wire_list){ (void *)&spec->cluster_ip, spec->cluster_ip ? 1 : 0 };
	if (!spec->cluster_ip)
		decode_fault(d, "spec.clusterIPs",
			     "spec.clusterIP must be given too, the same as "
			     "the first of these");
	else if (strcmp(texts[0], spec->cluster_ip) != 0)
		decode_fault(d, "spec.clusterIPs[0]", "%s must be the same as spec.clusterIP, %s",
			     texts[0], spec->cluster_ip);
	return spec->cluster_ips;
}

static void check_headless(struct decode *d, const struct wire_spec *spec, enum service_type type)
{
	if (spec->cluster_ips.n > 1)
		decode_fault(d, "spec.clusterIPs[1]", "None must be the only one");
	if (type != SERVICE_CLUSTER_IP)
		decode_fault(d, "spec.clusterIP", "None is not possible for type %s",
			     service_type_name(type));
}

static void finish_cluster_ips(struct decode *d, const struct wire_spec *spec,
			       struct service *service)
{
	const struct wire_list list = cluster_ip_texts(d, spec);
	const char *const *texts = list.v;
	size_t i;

	if (list.n && !strcmp(texts[0], "None")) {
		service->headless = true;
		check_headless(d, spec, service->type);
		return;
	}
	for (i = 0; i < list.n; i++) {
		if (addr_parse(texts[i], &service->cluster_ips[i]))
			decode_fault(d, AT("spec.clusterIPs[%zu]", i), "None must be the only one");
	}
	service->n_cluster_ips = list.n;
	if (list.n == 2 &&
	    addr_family(&service->cluster_ips[0]) == addr_family(&service->cluster_ips[1]))
		decode_fault(d, "spec.clusterIPs[1]", "a second %s address: one of each family",
			     family_name(addr_family(&service->cluster_ips[1])));
}

static void finish_families(struct decode *d, const struct wire_spec *spec, struct service *service)
{
	const uint8_t *wire = spec->ip_families.v;
	size_t i;

	service->n_ip_families = spec->ip_families.n;
	service->ip_family_policy = spec->ip_family_policy; /* the words stand in its order */
	for (i = 0; i < spec->ip_families.n; i++) {
		const enum family family = wire[i] == 1 ? FAMILY_IPV4 : FAMILY_IPV6;

		service->ip_families[i] = family;
		if (i && family == service->ip_families[0])
			decode_fault(d, AT("spec.ipFamilies[%zu]", i), "%s stands there twice",
				     family_name(family));
		if (i < service->n_cluster_ips && family != addr_family(&service->cluster_ips[i]))
			decode_fault(d, AT("spec.ipFamilies[%zu]", i),
				     "%s, but spec.clusterIPs[%zu] is %s", family_name(family), i,
				     family_name(addr_family(&service->cluster_ips[i])));
	}
	if ((service->n_ip_families == 2 || service->n_cluster_ips == 2) && !service->headless &&
	    service->ip_family_policy != FAMILY_POLICY_PREFER_DUAL &&
	    service->ip_family_policy != FAMILY_POLICY_REQUIRE_DUAL)
		decode_fault(d, "spec.ipFamilyPolicy",
			     "must be PreferDualStack or RequireDualStack for two families");
}

static void finish_external_ips(struct decode *d, const struct wire_spec *spec,
				struct service *service)
{
	const char *const *texts = spec->external_ips.v;
	size_t i;

	service->external_ips = keep_array(d, spec->external_ips.n, sizeof(struct sh_addr),
					   &service->n_external_ips);
	for (i = 0; i < service->n_external_ips; i++) {
		const char *why;

		(void)addr_parse(texts[i], &service->external_ips[i]);
		why = check_special_addr(&service->external_ips[i]);
		if (why)
			decode_fault(d, AT("spec.externalIPs[%zu]", i),
				     "%s %s: no Service may have it", texts[i], why);
	}
}

/* ---- load balancer ------------------------------------------------------- */

static void finish_load_balancer(struct decode *d, const struct wire_spec *spec,
				 struct service *service)
{
	const char *const *ranges = spec->source_ranges.v;
	static const char only[] = "only a Service of type LoadBalancer has it";
	size_t i;

	if (service->type != SERVICE_LOAD_BALANCER) {
		if (spec->source_ranges.n)
			decode_fault(d, "spec.loadBalancerSourceRanges", only);
		if (spec->lb_class)
			decode_fault(d, "spec.loadBalancerClass", only);
		if (spec->allocate_node_ports)
			decode_fault(d, "spec.allocateLoadBalancerNodePorts", only);
	}
	service->allocate_node_ports = spec->allocate_node_ports != MAYBE_FALSE;
	service->lb_class = keep_string(d, spec->lb_class);
	service->source_ranges = keep_array(d, spec->source_ranges.n, sizeof(struct addr_net),
					    &service->n_source_ranges);
	for (i = 0; i < service->n_source_ranges; i++)
		service->source_ranges[i] = source_range_net(ranges[i]);
}

static void finish_ingress(struct decode *d, const struct wire_list *list, struct service *service)
{
	const struct wire_ingress *wire = list->v;
	size_t i;

	service->lb_ingress =
		keep_array(d, list->n, sizeof(*service->lb_ingress), &service->n_lb_ingress);
	for (i = 0; i < service->n_lb_ingress; i++) {
		struct lb_ingress *ingress = &service->lb_ingress[i];

		ingress->has_ip = wire[i].ip && !addr_parse(wire[i].ip, &ingress->ip);
		ingress->proxy = wire[i].ip_mode == WIRE_PROXY;
		if (wire[i].ip_mode && !wire[i].ip)
			decode_fault(d, AT("status.loadBalancer.ingress[%zu].ipMode", i),
				     "only an ingress point with an ip has it");
	}
}

/* ---- policies ------------------------------------------------------------ */

static void finish_affinity(struct decode *d, const struct wire_spec *spec, struct service *service)
{
	const int32_t seconds = spec->affinity_config.client_ip.seconds;

	service->affinity_client_ip = spec->affinity == WIRE_CLIENT_IP;
	service->affinity_seconds = seconds ? (uint32_t)seconds : AFFINITY_SECONDS_DEFAULT;
	if (!service->affinity_client_ip && decode_has(d, "spec.sessionAffinityConfig"))
		decode_fault(d, "spec.sessionAffinityConfig",
			     "only with sessionAffinity: ClientIP");
}

static void finish_policies(struct decode *d, const struct wire_spec *spec, struct service *service)
{
	const bool outside = service->type == SERVICE_NODE_PORT ||
			     service->type == SERVICE_LOAD_BALANCER ||
			     (service->type == SERVICE_CLUSTER_IP && spec->external_ips.n);

	service->internal_policy =
		spec->internal_policy == WIRE_LOCAL ? POLICY_LOCAL : POLICY_CLUSTER;
	service->external_policy =
		outside && spec->external_policy == WIRE_LOCAL ? POLICY_LOCAL : POLICY_CLUSTER;
	service->distribution = spec->distribution; /* the words stand in its order */
	service->publish_not_ready = spec->publish_not_ready == MAYBE_TRUE;
	service->health_check_node_port = (uint16_t)spec->health_check_node_port;
	/* The Service proxies' rule: ignored. Newer API servers refuse it. */
	if (spec->external_policy && !outside)
		decode_note(d, "spec.externalTrafficPolicy",
			    "has no effect: this Service has no address outside the cluster");
	if (service->health_check_node_port &&
	    (service->type != SERVICE_LOAD_BALANCER || service->external_policy != POLICY_LOCAL))
		decode_fault(d, "spec.healthCheckNodePort",
			     "only a Service of type LoadBalancer with externalTrafficPolicy: "
			     "Local has it");
	finish_affinity(d, spec, service);
}

static void service_finish(struct decode *d, const void *wire, struct object *object)
{
	const struct wire_service *w = wire;
	const struct wire_spec *spec = &w->spec;
	struct service *service = &object->service;

	service->type = spec->type ? spec->type - 1 : SERVICE_CLUSTER_IP;
	service->external_name = keep_string(d, spec->external_name);
	service->selector = keep_labels(d, &spec->selector);
	if (service->type == SERVICE_EXTERNAL_NAME) {
		check_external_name_fields(d, spec);
	} else {
		finish_cluster_ips(d, spec, service);
		finish_families(d, spec, service);
	}
	finish_ports(d, spec, service);
	finish_external_ips(d, spec, service);
	finish_load_balancer(d, spec, service);
	finish_ingress(d, &w->status.lb.ingress, service);
	finish_policies(d, spec, service);
}

/* ---- the other way ------------------------------------------------------- */

static int ports_to_wire(const struct service *service, struct wire_list *list,
			 struct arena *scratch)
{
	struct wire_port *wire = arena_array(scratch, service->n_ports, sizeof(*wire));
	size_t i;

	if (!wire)
		return -ENOMEM;
	for (i = 0; i < service->n_ports; i++) {
		const struct service_port *port = &service->ports[i];

		wire[i] = (struct wire_port){ .name = port->name,
					      .proto = proto_to_wire(port->proto),
					      .port = port->port,
					      .node_port = port->node_port,
					      .target = port->target_port };
	}
	*list = (struct wire_list){ wire, service->n_ports };
	return 0;
}

static int cluster_ips_to_wire(const struct service *service, struct wire_spec *spec,
			       struct arena *scratch)
{
	static const char *none[] = { "None" };
	uint8_t *families = arena_array(scratch, service->n_ip_families, sizeof(*families));
	size_t i;
	int ret;

	if (!families)
		return -ENOMEM;
	for (i = 0; i < service->n_ip_families; i++)
		families[i] = service->ip_families[i] == FAMILY_IPV4 ? 1 : 2;
	spec->ip_families = (struct wire_list){ families, service->n_ip_families };
	if (service->headless) {
		spec->cluster_ips = (struct wire_list){ none, 1 };
	} else {
		ret = addrs_to_wire(service->cluster_ips, service->n_cluster_ips,
				    &spec->cluster_ips, scratch);
		if (ret)
			return ret;
	}
	if (spec->cluster_ips.n)
		spec->cluster_ip = *(const char *const *)spec->cluster_ips.v;
	return 0;
}

static int ingress_to_wire(const struct service *service, struct wire_list *list,
			   struct arena *scratch)
{
	struct wire_ingress *wire = arena_array(scratch, service->n_lb_ingress, sizeof(*wire));
	char text[ADDR_STRLEN];
	size_t i;

	if (!wire)
		return -ENOMEM;
	for (i = 0; i < service->n_lb_ingress; i++) {
		const struct lb_ingress *ingress = &service->lb_ingress[i];

		if (!ingress->has_ip)
			continue;
		wire[i].ip = arena_strdup(scratch, addr_format(&ingress->ip, text));
		if (!wire[i].ip)
			return -ENOMEM;
		wire[i].ip_mode = ingress->proxy ? WIRE_PROXY : 0;
	}
	*list = (struct wire_list){ wire, service->n_lb_ingress };
	return 0;
}

/* Values that are the defaults are left out, but for the type. */
static void scalars_to_wire(const struct service *service, struct wire_spec *spec)
{
	spec->type = (uint8_t)(service->type + 1);
	spec->selector = service->selector;
	spec->ip_family_policy = (uint8_t)service->ip_family_policy;
	spec->internal_policy = service->internal_policy == POLICY_LOCAL ? WIRE_LOCAL : 0;
	spec->external_policy = service->external_policy == POLICY_LOCAL ? WIRE_LOCAL : 0;
	spec->distribution = (uint8_t)service->distribution;
	spec->publish_not_ready = service->publish_not_ready ? MAYBE_TRUE : MAYBE_ABSENT;
	spec->allocate_node_ports = service->allocate_node_ports ? MAYBE_ABSENT : MAYBE_FALSE;
	spec->health_check_node_port = service->health_check_node_port;
	spec->external_name = service->external_name;
	spec->lb_class = service->lb_class;
	if (service->affinity_client_ip) {
		spec->affinity = WIRE_CLIENT_IP;
		spec->affinity_config.client_ip.seconds = (int32_t)service->affinity_seconds;
	}
}

static int service_to_wire(const struct object *object, void *wire, struct arena *scratch)
{
	const struct service *service = &object->service;
	struct wire_service *w = wire;
	int ret;

	scalars_to_wire(service, &w->spec);
	ret = ports_to_wire(service, &w->spec.ports, scratch);
	if (ret)
		return ret;
	ret = cluster_ips_to_wire(service, &w->spec, scratch);
	if (ret)
		return ret;
	ret = addrs_to_wire(service->external_ips, service->n_external_ips, &w->spec.external_ips,
			    scratch);
	if (ret)
		return ret;
	ret = nets_to_wire(service->source_ranges, service->n_source_ranges, &w->spec.source_ranges,
			   scratch);
	if (ret)
		return ret;
	return ingress_to_wire(service, &w->status.lb.ingress, scratch);
}

const struct kind_def kind_service = {
	.kind = KIND_SERVICE,
	.api_version = "v1",
	.schema = &schema_service,
	.check_name = check_dns1035_label,
	.check_api_name = check_dns_label,
	.finish = service_finish,
	.to_wire = service_to_wire,
};
