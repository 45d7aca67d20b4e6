// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `get maglev`: the tables of a Service port, and how much of them each backend holds. */
#include "cmd/get.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROW_NAME,
	NAMESPACE,
	SERVICE,
	PORT,
	PORT_NAME,
	PORT_NUMBER,
	PROTOCOL,
	FAMILY,
	ALGORITHM,
	TABLE,
	SIZE,
	BACKEND,
	HERE,
	WEIGHT,
	SLOTS,
	SHARE,
	SLOT_LIST,
	N_COLUMNS
};

static const struct column columns[N_COLUMNS] = {
	[ROW_NAME] = { NULL, NULL, COLUMN_TEXT, COLUMN_NAME, NULL },
	[NAMESPACE] = { "NAMESPACE", "namespace", COLUMN_TEXT, COLUMN_NAMESPACE | COLUMN_ID, "" },
	[SERVICE] = { "SERVICE", "service", COLUMN_TEXT, COLUMN_ID, "the Service's name" },
	[PORT] = { "PORT", NULL, COLUMN_TEXT, COLUMN_ID, NULL },
	[PORT_NAME] = { NULL, "portName", COLUMN_TEXT, COLUMN_ID, "\"\" without" },
	[PORT_NUMBER] = { NULL, "port", COLUMN_NUMBER, 0, "the Service's port" },
	[PROTOCOL] = { NULL, "protocol", COLUMN_TEXT, 0, "TCP, UDP or SCTP" },
	[FAMILY] = { "FAMILY", "family", COLUMN_TEXT, COLUMN_ID, "IPv4 or IPv6" },
	[ALGORITHM] = { "ALGORITHM", "algorithm", COLUMN_TEXT, COLUMN_WIDE,
			"maglev, random or least-conn" },
	[TABLE] = { "TABLE", "table", COLUMN_TEXT, COLUMN_ID,
		    "cluster, or local: where a traffic policy is Local" },
	[SIZE] = { "SIZE", "size", COLUMN_NUMBER, 0, "its slots; 0: no backend, and no table" },
	[BACKEND] = { "BACKEND", "backend", COLUMN_TEXT, COLUMN_ID, "ADDRESS:PORT, or null" },
	[HERE] = { "HERE", "here", COLUMN_BOOL, COLUMN_WIDE, "is on this node" },
	[WEIGHT] = { "WEIGHT", "weight", COLUMN_NUMBER, COLUMN_WIDE, "" },
	[SLOTS] = { "SLOTS", "slots", COLUMN_NUMBER, 0, "that are the backend's" },
	[SHARE] = { "SHARE", "share", COLUMN_TEXT, 0, "slots of size, as \"33.3%\"" },
	[SLOT_LIST] = { "SLOT-LIST", "slotList", COLUMN_TEXT, COLUMN_WIDE,
			"which, as \"0,3-5\", from 0 on" },
};

const struct listing maglev_listing = { "Maglev", "maglev", columns, N_COLUMNS };

/* What one backend holds of a table. */
struct share {
	const struct inv_backend *backend;
	uint32_t slots;
	uint32_t first, last; /* of the run that is not in the list yet */
	struct joined list;
};

/* One table of one Service port. */
struct table {
	const struct inv_port *port;
	bool local;
	uint32_t size;
	uint32_t *ids;	      /* by slot */
	struct share *shares; /* by backend id; n_backends of the port */
	bool lists;
};

static int share_cmp(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	return x->backend->id < y->backend->id ? -1 : x->backend->id > y->backend->id;
}

/* Back to the inventory's order, by address. */
static int share_addr_cmp(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	return x->backend < y->backend ? -1 : x->backend > y->backend;
}

static int id_cmp(const void *key, const void *element)
{
	const uint32_t id = *(const uint32_t *)key,
		       other = ((const struct share *)element)->backend->id;

	return id < other ? -1 : id > other;
}

static void list_run(struct share *share)
{
	char text[24];

	if (share->first == share->last)
		(void)snprintf(text, sizeof(text), "%" PRIu32, share->first);
	else
		(void)snprintf(text, sizeof(text), "%" PRIu32 "-%" PRIu32, share->first,
			       share->last);
	joined_text(&share->list, text);
}

static void count_slot(struct table *table, uint32_t slot)
{
	struct share *share;

	share = bsearch(&table->ids[slot], table->shares, table->port->n_backends,
			sizeof(*table->shares), id_cmp);
	if (!share) /* published this moment */
		return;
	if (table->lists && share->slots && slot != share->last + 1) {
		list_run(share);
		share->first = slot;
	} else if (!share->slots) {
		share->first = slot;
	}
	share->last = slot;
	share->slots++;
}

static int fill_shares(struct table *table)
{
	const struct inv_port *port = table->port;
	size_t i;

	for (i = 0; i < port->n_backends; i++)
		table->shares[i].backend = &port->backends[i];
	qsort(table->shares, port->n_backends, sizeof(*table->shares), share_cmp);
	for (i = 0; i < table->size; i++)
		count_slot(table, (uint32_t)i);
	for (i = 0; table->lists && i < port->n_backends; i++) {
		if (table->shares[i].slots)
			list_run(&table->shares[i]);
		if (table->shares[i].list.failed)
			return -ENOMEM;
	}
	qsort(table->shares, port->n_backends, sizeof(*table->shares), share_addr_cmp);
	return 0;
}

/* @share NULL: of a table without slots */
static int share_row(struct get *get, const struct table *table, const struct share *share)
{
	const struct sh_meta_service *meta = &table->port->meta;
	const struct inv_backend *backend = share ? share->backend : NULL;
	char service[SERVICE_PORT_STRLEN], port[32] = "", address[ADDR_PORT_STRLEN] = "none",
					   percent[16];
	char name[SERVICE_PORT_STRLEN + ADDR_PORT_STRLEN + 16] = "";
	const char *word = table->local ? "local" : "cluster";
	struct cell cells[N_COLUMNS] = {
		[ROW_NAME] = cell_text(name),
		[NAMESPACE] = cell_text(meta->ns),
		[SERVICE] = cell_text(meta->name),
		[PORT] = cell_text(port),
		[PORT_NAME] = cell_text(meta->port_name),
		[PORT_NUMBER] = cell_number(meta->port),
		[PROTOCOL] = cell_text(proto_name(meta->proto)),
		[FAMILY] = cell_text(family_name((enum family)meta->family)),
		[ALGORITHM] = cell_text(algorithm_word(table->port->algorithm)),
		[TABLE] = cell_text(word),
		[SIZE] = cell_number(table->size),
		[BACKEND] = cell_text(backend ? address : NULL),
		[HERE] = cell_number(backend && backend->flags & SH_BE_LOCAL),
		[WEIGHT] = cell_number(backend ? backend->weight : 0),
		[SLOTS] = cell_number(share ? share->slots : 0),
		[SHARE] = cell_text(share ? percent : NULL),
		[SLOT_LIST] = cell_text(share && table->lists ? share->list.text : NULL),
	};

	if (backend)
		addr_port_format(&backend->addr, backend->port, address);
	(void)snprintf(port, sizeof(port), "%u/%s", meta->port, proto_name(meta->proto));
	(void)snprintf(percent, sizeof(percent), "%.1f%%",
		       share ? 100.0 * share->slots / table->size : 0.0);
	(void)snprintf(name, sizeof(name), "%s/%s/%s", service_port_format(meta, service), word,
		       address);
	return get_row(get, cells);
}

static int table_rows(struct get *get, struct table *table)
{
	size_t i;
	int ret = 0;

	if (!table->size)
		return share_row(get, table, NULL);
	for (i = 0; !ret && i < table->port->n_backends; i++) {
		if (table->shares[i].slots)
			ret = share_row(get, table, &table->shares[i]);
	}
	return ret;
}

static int one_table(struct get *get, const struct inv_port *port, bool local)
{
	const struct sh_table *at = local ? &port->local : &port->cluster;
	struct table table = {
		.port = port,
		.local = local,
		.size = at->size,
		.lists = get_wants(get, SLOT_LIST),
	};
	int ret = -ENOMEM;
	size_t i;

	table.ids = calloc(at->size ? at->size : 1, sizeof(*table.ids));
	table.shares = calloc(port->n_backends ? port->n_backends : 1, sizeof(*table.shares));
	if (!table.ids || !table.shares)
		goto out;
	/* Replaced while it was being read, and gone: what is left is an empty one. */
	if (dataplane_slots(get->dp, at, table.ids))
		table.size = 0;
	ret = fill_shares(&table);
	if (!ret)
		ret = table_rows(get, &table);
out:
	for (i = 0; table.shares && i < port->n_backends; i++)
		joined_done(&table.shares[i].list);
	free(table.shares);
	free(table.ids);
	return ret;
}

/* The local table is consulted where a policy is Local; the other one may be, in any case. */
static int service_tables(struct get *get, struct inv_port *const *ports, size_t n_ports)
{
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < n_ports; i++) {
		const struct sh_meta_service *meta = &ports[i]->meta;

		if (!ports[i]->n_frontends)
			continue;
		ret = one_table(get, ports[i], false);
		if (!ret && (meta->internal_local || meta->external_local))
			ret = one_table(get, ports[i], true);
	}
	return ret;
}

int get_maglev(struct get *get, struct err *err)
{
	return get_by_service(get, service_tables, err);
}
