// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A KubeProxyConfiguration, as kubeadm and others write it: every field there
 * is, most of them empty. Fields are found by their path; those that have a
 * meaning here become options, those that have none are named in one warning
 * where they say something, and so are unknown ones, as kube-proxy itself goes
 * on without what it doesn't know.
 */
#include "cmd/config_draft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "source/path.h"
#include "source/scalar.h"

#define PROXY_DEPTH 8 /* of maps; no field lies deeper */

/* Fields with a meaning. */
enum proxy_field {
	PROXY_BIND = 0,
	PROXY_MODE,
	PROXY_KUBECONFIG,
	PROXY_CLUSTER_CIDR,
	PROXY_HOSTNAME,
	PROXY_HEALTHZ,
	PROXY_METRICS,
	PROXY_NODEPORTS,
	PROXY_MASQUERADE_IPTABLES,
	PROXY_MASQUERADE_NFTABLES,
	PROXY_LOCAL_MODE,
	PROXY_LOCAL_PREFIX,
	PROXY_FIELDS
};

static const char *const field_paths[PROXY_FIELDS] = {
	[PROXY_BIND] = "bindAddress",
	[PROXY_MODE] = "mode",
	[PROXY_KUBECONFIG] = "clientConnection.kubeconfig",
	[PROXY_CLUSTER_CIDR] = "clusterCIDR",
	[PROXY_HOSTNAME] = "hostnameOverride",
	[PROXY_HEALTHZ] = "healthzBindAddress",
	[PROXY_METRICS] = "metricsBindAddress",
	[PROXY_NODEPORTS] = "nodePortAddresses",
	[PROXY_MASQUERADE_IPTABLES] = "iptables.masqueradeAll",
	[PROXY_MASQUERADE_NFTABLES] = "nftables.masqueradeAll",
	[PROXY_LOCAL_MODE] = "detectLocalMode",
	[PROXY_LOCAL_PREFIX] = "detectLocal.interfaceNamePrefix",
};

/* Fields without one, with kube-proxy's default. A path that ends in "." stands for all below. */
static const struct {
	const char *path, *value;
} idle_fields[] = {
	{ "bindAddressHardFail", "false" },
	{ "clientConnection.acceptContentTypes", "" },
	{ "clientConnection.burst", "10" },
	{ "clientConnection.contentType", "application/vnd.kubernetes.protobuf" },
	{ "clientConnection.qps", "5" },
	{ "configSyncPeriod", "15m0s" },
	{ "conntrack.max", "" },
	{ "conntrack.maxPerCore", "32768" },
	{ "conntrack.min", "131072" },
	{ "conntrack.tcpBeLiberal", "false" },
	{ "conntrack.tcpCloseWaitTimeout", "1h0m0s" },
	{ "conntrack.tcpEstablishedTimeout", "24h0m0s" },
	{ "conntrack.udpStreamTimeout", "" },
	{ "conntrack.udpTimeout", "" },
	{ "detectLocal.bridgeInterface", "" },
	{ "enableProfiling", "false" },
	{ "featureGates.", "" },
	{ "iptables.localhostNodePorts", "true" },
	{ "iptables.masqueradeBit", "14" },
	{ "iptables.minSyncPeriod", "1s" },
	{ "iptables.snatNodeInternalIP", "false" },
	{ "iptables.syncPeriod", "30s" },
	{ "ipvs.", "30s" },
	{ "logging.flushFrequency", "5s" },
	{ "logging.format", "text" },
	{ "logging.options.", "0" },
	{ "logging.verbosity", "" },
	{ "logging.vmodule", "" },
	{ "nftables.masqueradeBit", "14" },
	{ "nftables.minSyncPeriod", "1s" },
	{ "nftables.syncPeriod", "30s" },
	{ "oomScoreAdj", "-999" },
	{ "portRange", "" },
	{ "resourceContainer", "/kube-proxy" },
	{ "showHiddenMetricsForVersion", "" },
	{ "udpIdleTimeout", "250ms" },
	{ "windowsRunAsService", "false" },
	{ "winkernel.", "" },
};

/* Names for a warning, up to what fits in it; the rest is counted. */
struct name_list {
	char text[1024];
	size_t n_more;
};

struct proxy {
	struct config_draft *draft;
	const struct tree_node *nodes[PROXY_FIELDS]; /* NULL: not there, or says nothing */
	struct name_list idle, unknown;
};

static void name_add(struct name_list *list, const char *name)
{
	const size_t len = strlen(list->text);

	if (len + strlen(name) + 3 > sizeof(list->text))
		list->n_more++;
	else
		(void)snprintf(list->text + len, sizeof(list->text) - len, "%s%s", len ? ", " : "",
			       name);
}

/* ---- finding -------------------------------------------------------------------- */

/* As Go writes a value that nobody gave. */
static bool says_nothing(const struct tree_node *node)
{
	static const char *const zeros[] = { "", "0", "0s", "0.0", "false" };
	size_t i;

	if (node->type != TREE_SCALAR)
		return !node->n;
	for (i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++) {
		if (!strcmp(node->text, zeros[i]))
			return true;
	}
	return scalar_is_null(node);
}

static void unknown_add(struct proxy *proxy, const char *path)
{
	char name[PATH_LEN + 128], hint[128];
	struct nearest nearest;
	size_t i;

	nearest_init(&nearest, path);
	for (i = 0; i < PROXY_FIELDS; i++)
		nearest_offer(&nearest, field_paths[i]);
	for (i = 0; i < sizeof(idle_fields) / sizeof(idle_fields[0]); i++)
		nearest_offer(&nearest, idle_fields[i].path);
	(void)snprintf(name, sizeof(name), "%s%s", path,
		       nearest_hint(&nearest, hint, sizeof(hint)));
	name_add(&proxy->unknown, name);
}

static bool is_value(const struct tree_node *node, const char *value)
{
	return node->type == TREE_SCALAR && !strcmp(node->text, value);
}

/* Is it what kube-proxy does anyway? "false" may be said against a default. */
static bool is_default(const struct tree_node *node, const char *value)
{
	return is_value(node, value) || (says_nothing(node) && strcmp(value, "true") != 0);
}

/* @node, no map, stands at @path. */
static void sort_field(struct proxy *proxy, const char *path, const struct tree_node *node)
{
	const char *idle;
	size_t i, len;

	for (i = 0; i < PROXY_FIELDS; i++) {
		if (!strcmp(field_paths[i], path)) {
			proxy->nodes[i] = says_nothing(node) ? NULL : node;
			return;
		}
	}
	for (i = 0; i < sizeof(idle_fields) / sizeof(idle_fields[0]); i++) {
		idle = idle_fields[i].path;
		len = strlen(idle);
		if (idle[len - 1] == '.' ? strncmp(idle, path, len) : strcmp(idle, path))
			continue;
		if (!is_default(node, idle_fields[i].value))
			name_add(&proxy->idle, path);
		return;
	}
	if (!says_nothing(node))
		unknown_add(proxy, path);
}

static bool is_head(const char *key)
{
	return !strcmp(key, "apiVersion") || !strcmp(key, "kind") || !strcmp(key, "metadata");
}

/* A map that lies deeper than any field goes by its own name. */
static void walk(struct proxy *proxy, const struct tree_node *map, struct path_step *steps,
		 size_t depth)
{
	const struct tree_node *value;
	char path[PATH_LEN];
	size_t i;

	for (i = 0; i < map->n; i++) {
		steps[depth].key = map->items[2 * i]->text;
		value = map->items[2 * i + 1];
		if ((!depth && is_head(steps[0].key)) || scalar_is_null(value))
			continue;
		if (value->type == TREE_MAP && depth + 1 < PROXY_DEPTH)
			walk(proxy, value, steps, depth + 1);
		else
			sort_field(proxy, path_format(steps, depth + 1, path), value);
	}
}

/* ---- taking over ------------------------------------------------------------------ */

/* The text of a field, NULL where it is not given or (told) no single value. */
static const char *field_text(struct proxy *proxy, enum proxy_field field)
{
	const struct tree_node *node = proxy->nodes[field];
	char found[FOUND_LEN];

	if (!node)
		return NULL;
	if (node->type == TREE_SCALAR)
		return node->text;
	config_fault(proxy->draft, node, field_paths[field], "expected a string, found %s",
		     scalar_found(node, found));
	return NULL;
}

static void take(struct proxy *proxy, enum proxy_field field, const char *option)
{
	const char *text = field_text(proxy, field);

	if (text)
		config_set_text(proxy->draft, option, text, proxy->nodes[field],
				field_paths[field]);
}

/* Where a server listens: @port is its default one, @any6 its address if bindAddress is IPv6. */
struct server {
	const char *option, *any6;
	uint16_t port;
};

static void take_listen(struct proxy *proxy, enum proxy_field field, const struct server *server)
{
	const struct tree_node *node = proxy->nodes[field], *bind = proxy->nodes[PROXY_BIND];
	const char *text = field_text(proxy, field), *path = field_paths[field];
	char with_port[ADDR_PORT_STRLEN];
	struct sh_addr addr;

	if (!node && bind && bind->type == TREE_SCALAR && !addr_parse(bind->text, &addr) &&
	    addr_family(&addr) == FAMILY_IPV6) {
		node = bind;
		path = field_paths[PROXY_BIND];
		text = server->any6;
	}
	if (text && !addr_parse(text, &addr))
		text = addr_port_format(&addr, htons(server->port), with_port);
	if (text)
		config_set_text(proxy->draft, server->option, text, node, path);
}

/* Words beside networks; loopback is served by sockets alone, whatever stands here. */
static void take_nodeports(struct proxy *proxy)
{
	static const char option[] = "nodeport-addresses";
	const struct tree_node *list = proxy->nodes[PROXY_NODEPORTS], *item;
	char path[PATH_LEN], found[FOUND_LEN];
	size_t i;

	if (list && list->type != TREE_LIST) {
		config_fault(proxy->draft, list, field_paths[PROXY_NODEPORTS],
			     "expected a list, found %s", scalar_found(list, found));
		return;
	}
	for (i = 0; list && i < list->n; i++) {
		item = list->items[i];
		(void)snprintf(path, sizeof(path), "%s[%zu]", field_paths[PROXY_NODEPORTS], i);
		if (is_value(item, "localhost"))
			name_add(&proxy->idle, "nodePortAddresses: localhost");
		else if (is_value(item, "all"))
			config_set_text(proxy->draft, option, "0.0.0.0/0,::/0", item, path);
		else
			config_set_node(proxy->draft, option, item, path);
	}
}

/* Each mode of kube-proxy reads a flag of its own; ipvs reads that of iptables. */
static void take_masquerade(struct proxy *proxy)
{
	const struct tree_node *mode = proxy->nodes[PROXY_MODE];
	const bool nftables = mode && is_value(mode, "nftables");
	const enum proxy_field field =
		nftables ? PROXY_MASQUERADE_NFTABLES : PROXY_MASQUERADE_IPTABLES;
	const enum proxy_field other =
		nftables ? PROXY_MASQUERADE_IPTABLES : PROXY_MASQUERADE_NFTABLES;

	if (proxy->nodes[field])
		config_set_node(proxy->draft, "masquerade-all", proxy->nodes[field],
				field_paths[field]);
	if (proxy->nodes[other])
		name_add(&proxy->idle, field_paths[other]);
}

/* Which clients are pods: by their addresses (--cluster-cidr), or by their devices' names. */
static void take_local_mode(struct proxy *proxy)
{
	const struct tree_node *mode = proxy->nodes[PROXY_LOCAL_MODE];
	const struct tree_node *prefix = proxy->nodes[PROXY_LOCAL_PREFIX];
	const char *text = field_text(proxy, PROXY_LOCAL_PREFIX);
	char pattern[128], name[96];

	if (mode && is_value(mode, "InterfaceNamePrefix") && text) {
		(void)snprintf(pattern, sizeof(pattern), "%.100s*", text);
		config_set_text(proxy->draft, "workload-devices", pattern, prefix,
				field_paths[PROXY_LOCAL_PREFIX]);
	} else if (mode && !is_value(mode, "ClusterCIDR")) {
		(void)snprintf(name, sizeof(name), "detectLocalMode: %.64s",
			       mode->type == TREE_SCALAR ? mode->text : "");
		name_add(&proxy->idle, name);
	} else if (prefix) {
		name_add(&proxy->idle, field_paths[PROXY_LOCAL_PREFIX]);
	}
}

/* It stands for the node's address, which shunt takes from the devices. */
static void take_bind(struct proxy *proxy)
{
	const struct tree_node *bind = proxy->nodes[PROXY_BIND];

	if (bind && !is_value(bind, "0.0.0.0") && !is_value(bind, "::"))
		name_add(&proxy->idle, field_paths[PROXY_BIND]);
}

static void warn(struct proxy *proxy)
{
	const struct name_list *idle = &proxy->idle, *unknown = &proxy->unknown;
	char more[64] = "";
	int ret;

	if (!*idle->text && !*unknown->text)
		return;
	if (idle->n_more || unknown->n_more)
		(void)snprintf(more, sizeof(more), ", and %zu more",
			       idle->n_more + unknown->n_more);
	ret = config_warn(proxy->draft->warnings, proxy->draft->input->arena, "%s: %s%s%s%s%s%s",
			  proxy->draft->file, *idle->text ? "without a meaning for shunt: " : "",
			  idle->text, *idle->text && *unknown->text ? "; " : "",
			  *unknown->text ? "unknown fields: " : "", unknown->text, more);
	proxy->draft->no_memory |= ret == -ENOMEM;
}

void config_proxy_apply(struct config_draft *draft, const struct tree_node *root)
{
	static const struct server healthz = { "healthz-bind-address", "::", 10256 };
	static const struct server metrics = { "metrics-bind-address", "::1", 10249 };
	struct path_step steps[PROXY_DEPTH] = { 0 };
	struct proxy proxy = { .draft = draft };

	walk(&proxy, root, steps, 0);
	take(&proxy, PROXY_KUBECONFIG, "kubeconfig");
	take(&proxy, PROXY_CLUSTER_CIDR, "cluster-cidr");
	take(&proxy, PROXY_HOSTNAME, "node-name");
	take_listen(&proxy, PROXY_HEALTHZ, &healthz);
	take_listen(&proxy, PROXY_METRICS, &metrics);
	take_nodeports(&proxy);
	take_masquerade(&proxy);
	take_local_mode(&proxy);
	take_bind(&proxy);
	warn(&proxy);
}
