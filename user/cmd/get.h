/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `get`: a resource is a row of the table in get.c; its columns and its rows are in get_NAME.c. */
#ifndef SHUNT_USER_GET_H
#define SHUNT_USER_GET_H

#include "cmd/command.h"
#include "cmd/get_select.h"
#include "cmd/inventory.h"
#include "dataplane/dataplane.h"
#include "util/output.h"

/* One run of `get`. */
struct get {
	struct invocation *inv;
	const struct resource *resource;
	struct dataplane *dp;
	struct output *output;
	struct rows *rows; /* where rows go that are sorted or watched; NULL: they are streamed */
	struct inv_filter filter;
	struct selector selector; /* with --selector */
	struct arena *chosen;	  /* memory of what it has chosen */
	struct get_end src, dst;
	bool sorted;
	struct rows_order order;
	bool *name_seen; /* for each name of the command line */
};

struct resource {
	const char *name;	/* "services" */
	const char *singular;	/* "service" */
	const char *aliases[4]; /* kubectl's short ones; NULL-terminated */
	const char *summary;
	bool by_service;    /* names are those of Services; the default namespace is "default" */
	bool takes_service; /* --service, --selector and -n narrow it */
	bool takes_ends;    /* --src and --dst do */
	const char *order;  /* a column that it is sorted by unless another is given; or NULL */
	const struct listing *listing;
	int (*run)(struct get *get, struct err *err);
};

extern const struct resource get_resources[];
size_t get_resources_count(void);
/* Of that name or alias, of which @len bytes count; or NULL. */
const struct resource *get_resource_find(const char *word, size_t len);

/* ---- for the resources -------------------------------------------------------- */

/* As output_row(): write it, or hold it. */
int get_row(struct get *get, const struct cell *cells);
/* Explain what get_row() returned. @return @ret */
int get_row_failed(const struct get *get, int ret, struct err *err);
bool get_wants_trees(const struct get *get);
/* Is the cell of @column looked at? The others may be left empty. */
bool get_wants(const struct get *get, size_t column);
/* Does the filter take what belongs to @service (NULL: to none that is known)? */
bool get_takes(const struct get *get, const struct sh_meta_service *service);

/* ---- for get.c ------------------------------------------------------------------ */

/* Choose the Services that --selector takes, by the objects of the state folder. */
int get_choose(struct get *get, struct err *err);
/* List again and again, until SIGINT. */
int get_watch(struct get *get, struct err *err);
/* One round: open the instance, fill in get->rows or write. */
int get_round(struct get *get, struct err *err);

/* A Service of the filter was found: its name is no longer missing. */
void get_saw_service(struct get *get, const char *name);

/* One row per Service: @row gets its ports, and returns 0 or what output_row() did. */
int get_by_service(struct get *get,
		   int (*row)(struct get *get, struct inv_port *const *ports, size_t n_ports),
		   struct err *err);

extern const struct listing services_listing, endpoints_listing, backends_listing, flows_listing,
	drops_listing, nodes_listing, affinity_listing, maglev_listing;

int get_services(struct get *get, struct err *err);
int get_endpoints(struct get *get, struct err *err);
int get_backends(struct get *get, struct err *err);
int get_flows(struct get *get, struct err *err);
int get_drops(struct get *get, struct err *err);
int get_nodes(struct get *get, struct err *err);
int get_affinity(struct get *get, struct err *err);
int get_maglev(struct get *get, struct err *err);

/* ---- cells ------------------------------------------------------------------ */

/* Texts joined by commas, for tables, and the same as a JSON array. */
struct joined {
	char *text;    /* NULL while empty */
	json_t *array; /* of what joined_add() and joined_tree() put in; or NULL */
	size_t len, cap;
	bool failed; /* no memory */
};

void joined_init(struct joined *joined, bool tree);
void joined_done(struct joined *joined);
/* Both to the text and, as a string, to the array. */
void joined_add(struct joined *joined, const char *text);
void joined_text(struct joined *joined, const char *text);
void joined_tree(struct joined *joined, json_t *tree); /* takes @tree over */
/* The cell of both; the array goes with it. */
struct cell joined_cell(struct joined *joined);

struct cell cell_text(const char *text);
struct cell cell_number(uint64_t number);

const char *algorithm_word(uint8_t algorithm); /* "maglev" */

/* "shop/web:80", or "shop/web:http" where the port has a name. @return @buf */
#define SERVICE_PORT_STRLEN (3 * SH_NAME_MAX + 8)
const char *service_port_format(const struct sh_meta_service *service,
				char buf[static SERVICE_PORT_STRLEN]);

#endif
