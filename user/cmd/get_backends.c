// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `get backends` and `get endpoints`: the same inventory, one line an endpoint or a Service. */
#include "cmd/get.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* ---- backends --------------------------------------------------------------- */

enum {
	NAMESPACE,
	SERVICE,
	PORT,
	PORT_NAME,
	PORT_NUMBER,
	PROTOCOL,
	ENDPOINT,
	ADDRESS,
	TARGET_PORT,
	HERE,
	STATE,
	WEIGHT,
	FLOWS,
	CONNECTIONS,
	PACKETS,
	BYTES,
	POD,
	NODE,
	N_COLUMNS
};

static const struct column columns[N_COLUMNS] = {
	[NAMESPACE] = { "NAMESPACE", "namespace", COLUMN_TEXT, COLUMN_NAMESPACE | COLUMN_ID, "" },
	[SERVICE] = { "SERVICE", "service", COLUMN_TEXT, COLUMN_ID, "the Service's name" },
	[PORT] = { "PORT", NULL, COLUMN_TEXT, COLUMN_ID, NULL },
	[PORT_NAME] = { NULL, "portName", COLUMN_TEXT, COLUMN_ID,
			"of the Service's port, \"\" without" },
	[PORT_NUMBER] = { NULL, "port", COLUMN_NUMBER, 0, "the Service's port" },
	[PROTOCOL] = { NULL, "protocol", COLUMN_TEXT, 0, "TCP, UDP or SCTP" },
	[ENDPOINT] = { "ADDRESS", NULL, COLUMN_TEXT, COLUMN_NAME | COLUMN_ID, NULL },
	[ADDRESS] = { NULL, "address", COLUMN_TEXT, 0, "of the endpoint" },
	[TARGET_PORT] = { NULL, "targetPort", COLUMN_NUMBER, 0, "of the endpoint" },
	[HERE] = { "HERE", "here", COLUMN_BOOL, 0, "is on this node" },
	[STATE] = { "STATE", "state", COLUMN_TEXT, 0,
		    "ready, terminating (serves for want of ready ones), draining (old flows "
		    "only), not-ready" },
	[WEIGHT] = { "WEIGHT", "weight", COLUMN_NUMBER, 0, "" },
	[FLOWS] = { "FLOWS", "flows", COLUMN_NUMBER, 0, "now" },
	[CONNECTIONS] = { "CONNECTIONS", "connections", COLUMN_NUMBER, 0, "since it was added" },
	[PACKETS] = { "PACKETS", "packets", COLUMN_NUMBER, COLUMN_WIDE, "" },
	[BYTES] = { "BYTES", "bytes", COLUMN_NUMBER, COLUMN_WIDE, "" },
	[POD] = { "POD", "pod", COLUMN_TEXT, 0, "\"\" where unknown" },
	[NODE] = { "NODE", "node", COLUMN_TEXT, 0, "\"\" where unknown" },
};

const struct listing backends_listing = { "Backend", "backend", columns, N_COLUMNS };

static int backend_row(struct get *get, const struct sh_meta_service *meta,
		       const struct inv_backend *backend)
{
	char port[32], address[ADDR_STRLEN], endpoint[ADDR_PORT_STRLEN];
	struct cell cells[N_COLUMNS] = {
		[NAMESPACE] = cell_text(meta->ns),
		[SERVICE] = cell_text(meta->name),
		[PORT] = cell_text(port),
		[PORT_NAME] = cell_text(meta->port_name),
		[PORT_NUMBER] = cell_number(meta->port),
		[PROTOCOL] = cell_text(proto_name(meta->proto)),
		[ENDPOINT] = cell_text(addr_port_format(&backend->addr, backend->port, endpoint)),
		[ADDRESS] = cell_text(addr_format(&backend->addr, address)),
		[TARGET_PORT] = cell_number(ntohs(backend->port)),
		[HERE] = cell_number(backend->flags & SH_BE_LOCAL),
		[STATE] = cell_text(inv_backend_state(backend)),
		[WEIGHT] = cell_number(backend->weight),
		[FLOWS] = cell_number(backend->live),
		[CONNECTIONS] = cell_number(backend->connections),
		[PACKETS] = cell_number(backend->packets),
		[BYTES] = cell_number(backend->bytes),
		[POD] = cell_text(backend->pod),
		[NODE] = cell_text(backend->node),
	};

	(void)snprintf(port, sizeof(port), "%u/%s", meta->port, proto_name(meta->proto));
	return get_row(get, cells);
}

static int port_rows(struct get *get, const struct inv_port *port)
{
	size_t i;
	int ret = 0;

	get_saw_service(get, port->meta.name);
	for (i = 0; !ret && i < port->n_backends; i++)
		ret = backend_row(get, &port->meta, &port->backends[i]);
	return ret;
}

int get_backends(struct get *get, struct err *err)
{
	struct inventory inv;
	size_t i;
	int ret;

	ret = inventory_load(&inv, get->dp, &get->filter, err);
	if (ret)
		return ret;
	for (i = 0; !ret && i < inv.n_ports; i++)
		ret = port_rows(get, inv.ports[i]);
	inventory_done(&inv);
	return ret ? get_row_failed(get, ret, err) : 0;
}

/* ---- endpoints -------------------------------------------------------------- */

enum { EP_NAMESPACE, EP_NAME, EP_SHORT, EP_ALL, EP_OTHERS, N_EP_COLUMNS };

static const struct column endpoints_columns[N_EP_COLUMNS] = {
	[EP_NAMESPACE] = { "NAMESPACE", "namespace", COLUMN_TEXT, COLUMN_NAMESPACE | COLUMN_ID,
			   "" },
	[EP_NAME] = { "NAME", "name", COLUMN_TEXT, COLUMN_NAME | COLUMN_ID, "the Service's" },
	[EP_SHORT] = { "ENDPOINTS", NULL, COLUMN_TEXT, COLUMN_NARROW, NULL },
	[EP_ALL] = { "ENDPOINTS", "endpoints", COLUMN_TREE, COLUMN_WIDE,
		     "of {address, targetPort, port, protocol, here, state, pod, node}" },
	[EP_OTHERS] = { "NOT-SERVING", "notServing", COLUMN_TREE, COLUMN_WIDE,
			"of the same: those that get no new connections" },
};

const struct listing endpoints_listing = { "Endpoints", "endpoints", endpoints_columns,
					   N_EP_COLUMNS };

/* As many as kubectl shows before it counts the rest. */
#define ENDPOINTS_SHOWN 3

struct endpoints_row {
	struct joined all, others;
	char few[ENDPOINTS_SHOWN * (ADDR_PORT_STRLEN + 1) + 32];
	size_t n, few_len;
	bool trees;
};

static json_t *endpoint_tree(const struct sh_meta_service *meta, const struct inv_backend *backend)
{
	char address[ADDR_STRLEN];

	return json_pack("{s:s, s:i, s:i, s:s, s:b, s:s, s:s, s:s}", "address",
			 addr_format(&backend->addr, address), "targetPort", ntohs(backend->port),
			 "port", meta->port, "protocol", proto_name(meta->proto), "here",
			 (backend->flags & SH_BE_LOCAL) != 0, "state", inv_backend_state(backend),
			 "pod", backend->pod, "node", backend->node);
}

/* "10.244.1.11:8080", and its condition where that is not what everybody expects */
static void add_text(struct joined *joined, const char *endpoint, const struct inv_backend *backend)
{
	const char *state = inv_backend_state(backend);
	char text[ADDR_PORT_STRLEN + 32];

	if (!strcmp(state, "ready"))
		(void)snprintf(text, sizeof(text), "%s", endpoint);
	else
		(void)snprintf(text, sizeof(text), "%s(%s)", endpoint, state);
	joined_text(joined, text);
}

static void add_endpoint(struct endpoints_row *row, const struct sh_meta_service *meta,
			 const struct inv_backend *backend)
{
	const bool serves = inv_backend_serves(backend);
	struct joined *joined = serves ? &row->all : &row->others;
	char text[ADDR_PORT_STRLEN];

	addr_port_format(&backend->addr, backend->port, text);
	add_text(joined, text, backend);
	if (row->trees)
		joined_tree(joined, endpoint_tree(meta, backend));
	if (serves && row->n++ < ENDPOINTS_SHOWN)
		row->few_len +=
			(size_t)snprintf(row->few + row->few_len, sizeof(row->few) - row->few_len,
					 "%s%s", row->few_len ? "," : "", text);
}

static int endpoints_row(struct get *get, struct inv_port *const *ports, size_t n_ports)
{
	struct endpoints_row row = { .trees = get_wants_trees(get) };
	struct cell cells[N_EP_COLUMNS];
	size_t i, j;
	int ret;

	joined_init(&row.all, row.trees);
	joined_init(&row.others, row.trees);
	for (i = 0; i < n_ports; i++) {
		for (j = 0; j < ports[i]->n_backends; j++)
			add_endpoint(&row, &ports[i]->meta, &ports[i]->backends[j]);
	}
	if (row.n > ENDPOINTS_SHOWN)
		(void)snprintf(row.few + row.few_len, sizeof(row.few) - row.few_len,
			       " + %zu more...", row.n - ENDPOINTS_SHOWN);
	if (row.all.failed || row.others.failed) {
		ret = -ENOMEM;
		goto out;
	}
	cells[EP_NAMESPACE] = cell_text(ports[0]->meta.ns);
	cells[EP_NAME] = cell_text(ports[0]->meta.name);
	cells[EP_SHORT] = cell_text(row.few);
	cells[EP_ALL] = joined_cell(&row.all);
	cells[EP_OTHERS] = joined_cell(&row.others);
	ret = get_row(get, cells);
out:
	joined_done(&row.all);
	joined_done(&row.others);
	return ret;
}

int get_endpoints(struct get *get, struct err *err)
{
	return get_by_service(get, endpoints_row, err);
}
