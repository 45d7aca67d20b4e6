/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * v1 Pod: every field's name is known, so that a slip is found; only what
 * selecting and reaching the Pod takes is looked into.
 */
#include <errno.h>
#include <string.h>

#include "source/schema.h"

/* More than anybody needs; their names are compared each with each. */
#define PORTS_MAX 16384

struct wire_container_port {
	const char *name;
	uint8_t proto;
	int32_t port, host_port;
};

struct wire_container {
	const char *name, *restart_policy;
	struct wire_list ports; /* struct wire_container_port */
};

struct wire_pod_spec {
	struct wire_list containers, init_containers; /* struct wire_container */
	const char *node_name, *hostname, *subdomain;
	enum maybe host_network;
};

struct wire_pod_ip {
	const char *ip;
};
struct wire_condition {
	const char *type;
	uint8_t status;
};
struct wire_pod_status {
	uint8_t phase;
	struct wire_list conditions; /* struct wire_condition */
	const char *pod_ip;
	struct wire_list pod_ips; /* struct wire_pod_ip */
};

struct wire_pod {
	struct wire_head head;
	struct wire_pod_spec spec;
	struct wire_pod_status status;
};

static const char *const phase_words[] = { "Pending", "Running", "Succeeded",
					   "Failed",  "Unknown", NULL };
enum { WIRE_SUCCEEDED = 3, WIRE_FAILED };
static const char *const condition_words[] = { "True", "False", "Unknown", NULL };
enum { WIRE_TRUE = 1 };

#define AT_PORT(member) .offset = offsetof(struct wire_container_port, member)
static const struct field port_fields[] = {
	{ .name = "name",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  AT_PORT(name),
	  .check = check_port_name },
	{ .name = "containerPort",
	  .type = FIELD_INT,
	  .flags = FIELD_REQUIRED,
	  AT_PORT(port),
	  .min = 1,
	  .max = 65535 },
	{ .name = "protocol", .type = FIELD_ENUM, AT_PORT(proto), .words = proto_words },
	{ .name = "hostPort", .type = FIELD_INT, AT_PORT(host_port), .min = 0, .max = 65535 },
	ANY("hostIP"),
};
static const struct schema schema_port = { "a container's port", port_fields,
					   FIELD_COUNT(port_fields),
					   sizeof(struct wire_container_port) };
static const struct field port_item = { .type = FIELD_MAP, .schema = &schema_port };

#define AT_CONTAINER(member) .offset = offsetof(struct wire_container, member)
static const struct field container_fields[] = {
	{ .name = "name", .type = FIELD_STRING, AT_CONTAINER(name), .check = check_dns_label },
	{ .name = "ports",
	  .type = FIELD_LIST,
	  AT_CONTAINER(ports),
	  .item = &port_item,
	  .n_max = PORTS_MAX },
	{ .name = "restartPolicy", .type = FIELD_STRING, AT_CONTAINER(restart_policy) },
	ANY("image"),
	ANY("command"),
	ANY("args"),
	ANY("workingDir"),
	ANY("envFrom"),
	ANY("env"),
	ANY("resources"),
	ANY("resizePolicy"),
	ANY("restartPolicyRules"),
	ANY("volumeMounts"),
	ANY("volumeDevices"),
	ANY("livenessProbe"),
	ANY("readinessProbe"),
	ANY("startupProbe"),
	ANY("lifecycle"),
	ANY("terminationMessagePath"),
	ANY("terminationMessagePolicy"),
	ANY("imagePullPolicy"),
	ANY("securityContext"),
	ANY("stdin"),
	ANY("stdinOnce"),
	ANY("tty"),
};
static const struct schema schema_container = { "a container", container_fields,
						FIELD_COUNT(container_fields),
						sizeof(struct wire_container) };
static const struct field container_item = { .type = FIELD_MAP, .schema = &schema_container };

#define AT_SPEC(member) .offset = offsetof(struct wire_pod_spec, member)
static const struct field spec_fields[] = {
	{ .name = "containers", .type = FIELD_LIST, AT_SPEC(containers), .item = &container_item },
	{ .name = "initContainers",
	  .type = FIELD_LIST,
	  AT_SPEC(init_containers),
	  .item = &container_item },
	{ .name = "nodeName",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  AT_SPEC(node_name),
	  .check = check_dns_subdomain },
	{ .name = "hostname",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  AT_SPEC(hostname),
	  .check = check_dns_label },
	{ .name = "subdomain",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  AT_SPEC(subdomain),
	  .check = check_dns_label },
	{ .name = "hostNetwork", .type = FIELD_BOOL, AT_SPEC(host_network) },
	ANY("volumes"),
	ANY("ephemeralContainers"),
	ANY("restartPolicy"),
	ANY("terminationGracePeriodSeconds"),
	ANY("activeDeadlineSeconds"),
	ANY("dnsPolicy"),
	ANY("nodeSelector"),
	ANY("serviceAccountName"),
	ANY("serviceAccount"),
	ANY("automountServiceAccountToken"),
	ANY("hostPID"),
	ANY("hostIPC"),
	ANY("shareProcessNamespace"),
	ANY("securityContext"),
	ANY("imagePullSecrets"),
	ANY("affinity"),
	ANY("schedulerName"),
	ANY("tolerations"),
	ANY("hostAliases"),
	ANY("priorityClassName"),
	ANY("priority"),
	ANY("dnsConfig"),
	ANY("readinessGates"),
	ANY("runtimeClassName"),
	ANY("enableServiceLinks"),
	ANY("preemptionPolicy"),
	ANY("overhead"),
	ANY("topologySpreadConstraints"),
	ANY("setHostnameAsFQDN"),
	ANY("os"),
	ANY("hostUsers"),
	ANY("schedulingGates"),
	ANY("resourceClaims"),
	ANY("resources"),
	ANY("hostnameOverride"),
	ANY("workloadRef"),
	ANY("schedulingGroup"),
};
_Static_assert(FIELD_COUNT(spec_fields) <= FIELDS_MAX, "no map has more fields than this one");
static const struct schema schema_spec = { "a Pod's spec", spec_fields, FIELD_COUNT(spec_fields),
					   sizeof(struct wire_pod_spec) };

static const struct field pod_ip_fields[] = {
	{ .name = "ip",
	  .type = FIELD_STRING,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_pod_ip, ip),
	  .check = check_ip },
};
static const struct schema schema_pod_ip = { "a Pod's address", pod_ip_fields,
					     FIELD_COUNT(pod_ip_fields),
					     sizeof(struct wire_pod_ip) };
static const struct field pod_ip_item = { .type = FIELD_MAP, .schema = &schema_pod_ip };

static const struct field condition_fields[] = {
	{ .name = "type",
	  .type = FIELD_STRING,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_condition, type) },
	{ .name = "status",
	  .type = FIELD_ENUM,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_condition, status),
	  .words = condition_words },
	ANY("observedGeneration"),
	ANY("lastProbeTime"),
	ANY("lastTransitionTime"),
	ANY("reason"),
	ANY("message"),
};
static const struct schema schema_condition = { "a condition", condition_fields,
						FIELD_COUNT(condition_fields),
						sizeof(struct wire_condition) };
static const struct field condition_item = { .type = FIELD_MAP, .schema = &schema_condition };

#define AT_STATUS(member) .offset = offsetof(struct wire_pod_status, member)
static const struct field status_fields[] = {
	{ .name = "phase", .type = FIELD_ENUM, AT_STATUS(phase), .words = phase_words },
	{ .name = "conditions",
	  .type = FIELD_LIST,
	  AT_STATUS(conditions),
	  .item = &condition_item },
	{ .name = "podIP",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  AT_STATUS(pod_ip),
	  .check = check_ip },
	{ .name = "podIPs",
	  .type = FIELD_LIST,
	  AT_STATUS(pod_ips),
	  .item = &pod_ip_item,
	  .n_max = 2 },
	ANY("observedGeneration"),
	ANY("message"),
	ANY("reason"),
	ANY("nominatedNodeName"),
	ANY("hostIP"),
	ANY("hostIPs"),
	ANY("startTime"),
	ANY("initContainerStatuses"),
	ANY("containerStatuses"),
	ANY("ephemeralContainerStatuses"),
	ANY("qosClass"),
	ANY("resize"),
	ANY("resourceClaimStatuses"),
	ANY("extendedResourceClaimStatus"),
	ANY("allocatedResources"),
	ANY("resources"),
	ANY("nodeAllocatableResourceClaimStatuses"),
};
static const struct schema schema_status = { "a Pod's status", status_fields,
					     FIELD_COUNT(status_fields),
					     sizeof(struct wire_pod_status) };

static const struct field pod_fields[] = {
	HEAD_FIELDS,
	{ .name = "spec",
	  .type = FIELD_MAP,
	  .offset = offsetof(struct wire_pod, spec),
	  .schema = &schema_spec },
	{ .name = "status",
	  .type = FIELD_MAP,
	  .offset = offsetof(struct wire_pod, status),
	  .schema = &schema_status },
};
static const struct schema schema_pod = { "a Pod", pod_fields, FIELD_COUNT(pod_fields),
					  sizeof(struct wire_pod) };

/* ---- decoding ------------------------------------------------------------ */

/* An init container that is never waited for runs beside the others: a sidecar. */
static bool is_sidecar(const struct wire_container *container)
{
	return container->restart_policy && !strcmp(container->restart_policy, "Always");
}

static void check_port_names(struct decode *d, const struct wire_list *list, const char *field,
			     size_t container)
{
	const struct wire_container_port *ports = list->v;
	size_t i, j;

	for (i = 0; i < list->n; i++) {
		for (j = 0; j < i; j++) {
			if (ports[i].name && ports[j].name && !strcmp(ports[i].name, ports[j].name))
				decode_fault(
					d, AT("spec.%s[%zu].ports[%zu].name", field, container, i),
					"\"%s\" is also the name of port %zu", ports[i].name, j);
		}
	}
}

static void append_ports(struct decode *d, const struct wire_list *list, struct pod *pod)
{
	const struct wire_container_port *wire = list->v;
	size_t i;

	for (i = 0; i < list->n; i++) {
		pod->ports[pod->n_ports++] =
			(struct container_port){ .name = keep_string(d, wire[i].name),
						 .proto = proto_of_wire(wire[i].proto),
						 .port = (uint16_t)wire[i].port };
	}
}

static void finish_ports(struct decode *d, const struct wire_pod_spec *spec, struct pod *pod)
{
	const struct wire_container *containers = spec->containers.v;
	const struct wire_container *inits = spec->init_containers.v;
	size_t i, n = 0, got;

	for (i = 0; i < spec->containers.n; i++) {
		check_port_names(d, &containers[i].ports, "containers", i);
		n += containers[i].ports.n;
	}
	for (i = 0; i < spec->init_containers.n; i++) {
		check_port_names(d, &inits[i].ports, "initContainers", i);
		n += inits[i].ports.n;
	}
	pod->ports = keep_array(d, n, sizeof(*pod->ports), &got);
	if (!got)
		return;
	for (i = 0; i < spec->containers.n; i++)
		append_ports(d, &containers[i].ports, pod);
	for (i = 0; i < spec->init_containers.n; i++) {
		if (is_sidecar(&inits[i]))
			append_ports(d, &inits[i].ports, pod);
	}
}

static void finish_ips(struct decode *d, const struct wire_pod_status *status, struct pod *pod)
{
	const struct wire_pod_ip *list = status->pod_ips.n ? status->pod_ips.v : NULL;
	const size_t n = list ? status->pod_ips.n : status->pod_ip ? 1 : 0;
	size_t i;

	if (list && status->pod_ip && strcmp(list[0].ip, status->pod_ip) != 0)
		decode_fault(d, "status.podIPs[0].ip", "%s must be the same as status.podIP, %s",
			     list[0].ip, status->pod_ip);
	pod->ips = keep_array(d, n, sizeof(*pod->ips), &pod->n_ips);
	if (!list && pod->n_ips)
		endpoint_addr(d, "status.podIP", status->pod_ip, &pod->ips[0]);
	for (i = 0; list && i < pod->n_ips; i++)
		endpoint_addr(d, AT("status.podIPs[%zu].ip", i), list[i].ip, &pod->ips[i]);
	if (pod->n_ips == 2 && addr_family(&pod->ips[0]) == addr_family(&pod->ips[1]))
		decode_fault(d, "status.podIPs[1].ip", "a second %s address: one of each family",
			     family_name(addr_family(&pod->ips[1])));
}

static void pod_finish(struct decode *d, const void *wire, struct object *object)
{
	const struct wire_pod *w = wire;
	const struct wire_condition *conditions = w->status.conditions.v;
	struct pod *pod = &object->pod;
	size_t i;

	pod->node_name = keep_string(d, w->spec.node_name);
	pod->hostname = keep_string(d, w->spec.hostname);
	pod->subdomain = keep_string(d, w->spec.subdomain);
	pod->host_network = w->spec.host_network == MAYBE_TRUE;
	pod->finished = w->status.phase == WIRE_SUCCEEDED || w->status.phase == WIRE_FAILED;
	for (i = 0; i < w->status.conditions.n; i++) {
		if (!strcmp(conditions[i].type, "Ready"))
			pod->ready = conditions[i].status == WIRE_TRUE;
	}
	finish_ports(d, &w->spec, pod);
	finish_ips(d, &w->status, pod);
}

/* ---- the other way ------------------------------------------------------- */

/* A container for each port: two containers may have ports of one name, one may not. */
static int containers_to_wire(const struct pod *pod, struct wire_list *list, struct arena *scratch)
{
	struct wire_container *containers = arena_array(scratch, pod->n_ports, sizeof(*containers));
	struct wire_container_port *ports = arena_array(scratch, pod->n_ports, sizeof(*ports));
	size_t i;

	if (!containers || !ports)
		return -ENOMEM;
	for (i = 0; i < pod->n_ports; i++) {
		ports[i] =
			(struct wire_container_port){ .name = pod->ports[i].name,
						      .proto = proto_to_wire(pod->ports[i].proto),
						      .port = pod->ports[i].port };
		containers[i].ports = (struct wire_list){ &ports[i], 1 };
	}
	*list = (struct wire_list){ containers, pod->n_ports };
	return 0;
}

static int ips_to_wire(const struct pod *pod, struct wire_pod_status *status, struct arena *scratch)
{
	struct wire_pod_ip *ips = arena_array(scratch, pod->n_ips, sizeof(*ips));
	char text[ADDR_STRLEN];
	size_t i;

	if (!ips)
		return -ENOMEM;
	for (i = 0; i < pod->n_ips; i++) {
		ips[i].ip = arena_strdup(scratch, addr_format(&pod->ips[i], text));
		if (!ips[i].ip)
			return -ENOMEM;
	}
	status->pod_ips = (struct wire_list){ ips, pod->n_ips };
	if (pod->n_ips)
		status->pod_ip = ips[0].ip;
	return 0;
}

static int pod_to_wire(const struct object *object, void *wire, struct arena *scratch)
{
	const struct pod *pod = &object->pod;
	struct wire_condition *ready = arena_alloc(scratch, sizeof(*ready));
	struct wire_pod *w = wire;
	int ret;

	if (!ready)
		return -ENOMEM;
	w->spec.node_name = pod->node_name;
	w->spec.hostname = pod->hostname;
	w->spec.subdomain = pod->subdomain;
	w->spec.host_network = pod->host_network ? MAYBE_TRUE : MAYBE_ABSENT;
	w->status.phase = pod->finished ? WIRE_SUCCEEDED : 0;
	*ready = (struct wire_condition){ "Ready", WIRE_TRUE };
	w->status.conditions = (struct wire_list){ ready, pod->ready ? 1 : 0 };
	ret = containers_to_wire(pod, &w->spec.containers, scratch);
	if (ret)
		return ret;
	return ips_to_wire(pod, &w->status, scratch);
}

const struct kind_def kind_pod = {
	.kind = KIND_POD,
	.api_version = "v1",
	.schema = &schema_pod,
	.check_name = check_dns_subdomain,
	.finish = pod_finish,
	.to_wire = pod_to_wire,
};
