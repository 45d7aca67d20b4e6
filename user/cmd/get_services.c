// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/get.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	NAMESPACE,
	NAME,
	TYPE,
	CLUSTER_IP,
	CLUSTER_IPS,
	EXTERNAL_IP,
	EXTERNAL_IPS,
	LB_IPS,
	PORTS,
	ENDPOINTS,
	ALGORITHM,
	AFFINITY,
	POLICY,
	AFFINITY_KIND,
	AFFINITY_SECONDS,
	INTERNAL_POLICY,
	EXTERNAL_POLICY,
	N_COLUMNS
};

static const struct column columns[N_COLUMNS] = {
	[NAMESPACE] = { "NAMESPACE", "namespace", COLUMN_TEXT, COLUMN_NAMESPACE | COLUMN_ID, "" },
	[NAME] = { "NAME", "name", COLUMN_TEXT, COLUMN_NAME | COLUMN_ID, "" },
	[TYPE] = { "TYPE", "type", COLUMN_TEXT, 0, "ClusterIP, NodePort or LoadBalancer" },
	[CLUSTER_IP] = { "CLUSTER-IP", NULL, COLUMN_TEXT, COLUMN_NARROW, NULL },
	[CLUSTER_IPS] = { "CLUSTER-IP", "clusterIPs", COLUMN_TREE, COLUMN_WIDE, "of strings" },
	[EXTERNAL_IP] = { "EXTERNAL-IP", NULL, COLUMN_TEXT, 0, NULL },
	[EXTERNAL_IPS] = { NULL, "externalIPs", COLUMN_TREE, 0, "of strings" },
	[LB_IPS] = { NULL, "loadBalancerIPs", COLUMN_TREE, 0, "of strings" },
	[PORTS] = { "PORT(S)", "ports", COLUMN_TREE, 0,
		    "of {name, port, protocol, family, nodePort, endpoints, localEndpoints}" },
	[ENDPOINTS] = { "ENDPOINTS", NULL, COLUMN_TEXT, 0, NULL },
	[ALGORITHM] = { "ALGORITHM", "algorithm", COLUMN_TEXT, COLUMN_WIDE,
			"maglev, random or least-conn" },
	[AFFINITY] = { "AFFINITY", NULL, COLUMN_TEXT, COLUMN_WIDE, NULL },
	[POLICY] = { "POLICY", NULL, COLUMN_TEXT, COLUMN_WIDE, NULL },
	[AFFINITY_KIND] = { NULL, "sessionAffinity", COLUMN_TEXT, 0, "None or ClientIP" },
	[AFFINITY_SECONDS] = { NULL, "affinityTimeout", COLUMN_AGE, 0, "0 without affinity" },
	[INTERNAL_POLICY] = { NULL, "internalTrafficPolicy", COLUMN_TEXT, 0, "Cluster or Local" },
	[EXTERNAL_POLICY] = { NULL, "externalTrafficPolicy", COLUMN_TEXT, 0, "Cluster or Local" },
};

const struct listing services_listing = { "Service", "service", columns, N_COLUMNS };

/* Texts of one Service's row. */
struct row {
	struct inv_port *const *ports; /* of all families */
	size_t n_ports;
	bool trees;
	struct joined cluster_ips, external, external_ips, lb_ips, ports_text;
	char first_ip[ADDR_STRLEN];
	char endpoints[32], affinity[32];
};

static const char *policy_word(bool local)
{
	return local ? "Local" : "Cluster";
}

static int addr_sort_cmp(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

/* The addresses of the Service's frontends of @kind, each once. @out: room for all frontends */
static size_t addresses_of(const struct row *row, enum frontend_kind kind, struct sh_addr *out)
{
	size_t n = 0, unique = 0, i, j;

	for (i = 0; i < row->n_ports; i++) {
		for (j = 0; j < row->ports[i]->n_frontends; j++) {
			if (row->ports[i]->frontends[j].kind == kind)
				out[n++] = row->ports[i]->frontends[j].addr;
		}
	}
	if (n)
		qsort(out, n, sizeof(*out), addr_sort_cmp);
	for (i = 0; i < n; i++) {
		if (!i || !addr_eq(&out[i], &out[unique - 1]))
			out[unique++] = out[i];
	}
	return unique;
}

static void add_addresses(struct row *row, enum frontend_kind kind, struct joined *joined,
			  struct sh_addr *room)
{
	size_t n = addresses_of(row, kind, room), i;
	char buf[ADDR_STRLEN];

	for (i = 0; i < n; i++) {
		joined_add(joined, addr_format(&room[i], buf));
		if (kind != FRONTEND_CLUSTER_IP)
			joined_text(&row->external, buf);
		else if (!i)
			memcpy(row->first_ip, buf, sizeof(buf));
	}
}

static int fill_addresses(struct row *row)
{
	struct sh_addr *room;
	size_t n = 0, i;

	for (i = 0; i < row->n_ports; i++)
		n += row->ports[i]->n_frontends;
	room = calloc(n ? n : 1, sizeof(*room));
	if (!room)
		return -ENOMEM;
	add_addresses(row, FRONTEND_CLUSTER_IP, &row->cluster_ips, room);
	add_addresses(row, FRONTEND_EXTERNAL_IP, &row->external_ips, room);
	add_addresses(row, FRONTEND_LOAD_BALANCER, &row->lb_ips, room);
	free(room);
	return 0;
}

static uint16_t node_port_of(const struct inv_port *port)
{
	size_t i;

	for (i = 0; i < port->n_frontends; i++) {
		if (port->frontends[i].kind == FRONTEND_NODE_PORT)
			return ntohs(port->frontends[i].port);
	}
	return 0;
}

static size_t count_serving(const struct inv_port *port, unsigned int flag)
{
	size_t n = 0, i;

	for (i = 0; i < port->n_backends; i++)
		n += inv_backend_serves(&port->backends[i]) && port->backends[i].flags & flag;
	return n;
}

static json_t *port_tree(const struct inv_port *port)
{
	return json_pack("{s:s, s:i, s:s, s:s, s:i, s:I, s:I}", "name", port->meta.port_name,
			 "port", port->meta.port, "protocol", proto_name(port->meta.proto),
			 "family", family_name((enum family)port->meta.family), "nodePort",
			 node_port_of(port), "endpoints",
			 (json_int_t)count_serving(port, SH_BE_IN_CLUSTER | SH_BE_IN_LOCAL),
			 "localEndpoints", (json_int_t)count_serving(port, SH_BE_LOCAL));
}

/* "80:30123/TCP": once for both families, which are neighbours. */
static void add_port(struct row *row, size_t i)
{
	const struct inv_port *port = row->ports[i], *before = i ? row->ports[i - 1] : NULL;
	uint16_t node_port = node_port_of(port);
	char buf[32];

	if (row->trees)
		joined_tree(&row->ports_text, port_tree(port));
	if (before && before->meta.port == port->meta.port &&
	    before->meta.proto == port->meta.proto && node_port_of(before) == node_port)
		return;
	if (node_port)
		(void)snprintf(buf, sizeof(buf), "%u:%u/%s", port->meta.port, node_port,
			       proto_name(port->meta.proto));
	else
		(void)snprintf(buf, sizeof(buf), "%u/%s", port->meta.port,
			       proto_name(port->meta.proto));
	joined_text(&row->ports_text, buf);
}

/* "3", or "0-3" where ports or families differ. */
static void fill_endpoints(struct row *row)
{
	size_t least = SIZE_MAX, most = 0, n, i;

	for (i = 0; i < row->n_ports; i++) {
		n = count_serving(row->ports[i], SH_BE_IN_CLUSTER | SH_BE_IN_LOCAL);
		least = n < least ? n : least;
		most = n > most ? n : most;
	}
	if (least == most)
		(void)snprintf(row->endpoints, sizeof(row->endpoints), "%zu", most);
	else
		(void)snprintf(row->endpoints, sizeof(row->endpoints), "%zu-%zu", least, most);
}

static void fill_affinity(struct row *row)
{
	uint32_t seconds = row->ports[0]->meta.affinity_seconds;

	if (seconds)
		(void)snprintf(row->affinity, sizeof(row->affinity), "ClientIP/%us", seconds);
	else
		(void)snprintf(row->affinity, sizeof(row->affinity), "None");
}

static int put_row(struct get *get, struct row *row)
{
	const struct sh_meta_service *meta = &row->ports[0]->meta;
	char policy[32];
	struct cell cells[N_COLUMNS] = {
		[NAMESPACE] = cell_text(meta->ns),
		[NAME] = cell_text(meta->name),
		[TYPE] = cell_text(service_type_name((enum service_type)meta->type)),
		[CLUSTER_IP] = cell_text(row->first_ip),
		[CLUSTER_IPS] = joined_cell(&row->cluster_ips),
		[EXTERNAL_IP] = cell_text(row->external.text),
		[EXTERNAL_IPS] = joined_cell(&row->external_ips),
		[LB_IPS] = joined_cell(&row->lb_ips),
		[PORTS] = joined_cell(&row->ports_text),
		[ENDPOINTS] = cell_text(row->endpoints),
		[ALGORITHM] = cell_text(algorithm_word(meta->algorithm)),
		[AFFINITY] = cell_text(row->affinity),
		[POLICY] = cell_text(policy),
		[AFFINITY_KIND] = cell_text(meta->affinity_seconds ? "ClientIP" : "None"),
		[AFFINITY_SECONDS] = cell_number(meta->affinity_seconds),
		[INTERNAL_POLICY] = cell_text(policy_word(meta->internal_local)),
		[EXTERNAL_POLICY] = cell_text(policy_word(meta->external_local)),
	};

	(void)snprintf(policy, sizeof(policy), "%s/%s", policy_word(meta->internal_local),
		       policy_word(meta->external_local));
	return get_row(get, cells);
}

static void row_done(struct row *row)
{
	joined_done(&row->cluster_ips);
	joined_done(&row->external);
	joined_done(&row->external_ips);
	joined_done(&row->lb_ips);
	joined_done(&row->ports_text);
}

static int service_row(struct get *get, struct inv_port *const *ports, size_t n_ports)
{
	struct row row = {
		.ports = ports,
		.n_ports = n_ports,
		.trees = get_wants_trees(get),
	};
	size_t i;
	int ret;

	joined_init(&row.cluster_ips, row.trees);
	joined_init(&row.external, false);
	joined_init(&row.external_ips, row.trees);
	joined_init(&row.lb_ips, row.trees);
	joined_init(&row.ports_text, row.trees);
	ret = fill_addresses(&row);
	for (i = 0; i < n_ports; i++)
		add_port(&row, i);
	fill_endpoints(&row);
	fill_affinity(&row);
	if (row.cluster_ips.failed || row.external.failed || row.external_ips.failed ||
	    row.lb_ips.failed || row.ports_text.failed)
		ret = -ENOMEM;
	if (!ret)
		ret = put_row(get, &row);
	row_done(&row);
	return ret;
}

int get_services(struct get *get, struct err *err)
{
	return get_by_service(get, service_row, err);
}
