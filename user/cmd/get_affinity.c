// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `get affinity`: whom session affinity keeps with which backend, and for how long. */
#include "cmd/get.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
	CLIENT,
	KIND,
	NAMESPACE,
	SERVICE,
	SERVICE_PORT,
	PORT,
	PROTOCOL,
	BACKEND,
	POD,
	AGE,
	REMAINING,
	N_COLUMNS
};

static const struct column columns[N_COLUMNS] = {
	[CLIENT] = { "CLIENT", "client", COLUMN_TEXT, COLUMN_NAME | COLUMN_ID,
		     "an address; of sockets: node, or netns-COOKIE of a network namespace" },
	[KIND] = { "KIND", "kind", COLUMN_TEXT, COLUMN_WIDE | COLUMN_ID, "address or sockets" },
	[NAMESPACE] = { NULL, "namespace", COLUMN_TEXT, COLUMN_ID, "" },
	[SERVICE] = { NULL, "service", COLUMN_TEXT, COLUMN_ID, "" },
	[SERVICE_PORT] = { "SERVICE", NULL, COLUMN_TEXT, COLUMN_ID, NULL },
	[PORT] = { NULL, "port", COLUMN_NUMBER, COLUMN_ID, "the Service's" },
	[PROTOCOL] = { "PROTO", "protocol", COLUMN_TEXT, COLUMN_ID, "TCP, UDP or SCTP" },
	[BACKEND] = { "BACKEND", "backend", COLUMN_TEXT, 0, "ADDRESS:PORT it stays with" },
	[POD] = { "POD", "pod", COLUMN_TEXT, COLUMN_WIDE, "\"\" where unknown" },
	[AGE] = { "AGE", "age", COLUMN_AGE, 0, "since its last new connection" },
	[REMAINING] = { "REMAINING", "remaining", COLUMN_AGE, 0, "unless it connects again" },
};

const struct listing affinity_listing = { "Affinity", "affinity", columns, N_COLUMNS };

static bool ends_take(const struct get *get, const struct affinity_view *view)
{
	if (get->src.given && (view->socket || !get_end_takes(&get->src, &view->client, 0)))
		return false;
	return get_end_takes(&get->dst, &view->backend->addr, view->backend->port);
}

static void format_client(const struct affinity_view *view, char buf[static ADDR_STRLEN])
{
	if (!view->socket)
		(void)addr_format(&view->client, buf);
	else if (view->own_netns)
		(void)snprintf(buf, ADDR_STRLEN, "node");
	else
		(void)snprintf(buf, ADDR_STRLEN, "netns-%" PRIu64, view->netns_cookie);
}

static int affinity_row(const struct affinity_view *view, void *arg)
{
	const struct sh_meta_service *service = view->service;
	char client[ADDR_STRLEN] = "", backend[ADDR_PORT_STRLEN] = "",
	     port[SERVICE_PORT_STRLEN] = "";
	struct get *get = arg;
	struct cell cells[N_COLUMNS] = {
		[CLIENT] = cell_text(client),
		[KIND] = cell_text(view->socket ? "sockets" : "address"),
		[NAMESPACE] = cell_text(service->ns),
		[SERVICE] = cell_text(service->name),
		[SERVICE_PORT] = cell_text(port),
		[PORT] = cell_number(service->port),
		[PROTOCOL] = cell_text(proto_name(service->proto)),
		[BACKEND] = cell_text(backend),
		[POD] = cell_text(view->pod),
		[AGE] = cell_number(view->age_s),
		[REMAINING] = cell_number(view->remaining_s),
	};

	if (!get_takes(get, service) || !ends_take(get, view))
		return 0;
	format_client(view, client);
	service_port_format(service, port);
	addr_port_format(&view->backend->addr, view->backend->port, backend);
	return get_row(get, cells);
}

int get_affinity(struct get *get, struct err *err)
{
	int ret = dataplane_affinity(get->dp, affinity_row, get, err);

	/* Where the walk itself has failed it has said so. */
	return ret && !err->msg[0] ? get_row_failed(get, ret, err) : ret;
}
