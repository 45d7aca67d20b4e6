// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/get.h"

#include <errno.h>
#include <string.h>

#include "util/nearest.h"

const struct resource get_resources[] = {
	{ .name = "services",
	  .singular = "service",
	  .aliases = { "service", "svc" },
	  .summary = "Services that have a virtual address, and how they are balanced",
	  .by_service = true,
	  .takes_service = true,
	  .listing = &services_listing,
	  .run = get_services },
	{ .name = "endpoints",
	  .singular = "endpoints",
	  .aliases = { "ep", "endpoint" },
	  .summary = "where each Service's new connections go",
	  .by_service = true,
	  .takes_service = true,
	  .listing = &endpoints_listing,
	  .run = get_endpoints },
	{ .name = "backends",
	  .singular = "backend",
	  .aliases = { "backend", "be" },
	  .summary = "every endpoint of every Service port, with its load",
	  .by_service = true,
	  .takes_service = true,
	  .listing = &backends_listing,
	  .run = get_backends },
	{ .name = "flows",
	  .singular = "flow",
	  .aliases = { "flow" },
	  .summary = "connections by packets; of all namespaces, unless -n is given",
	  .takes_service = true,
	  .takes_ends = true,
	  .listing = &flows_listing,
	  .run = get_flows },
	{ .name = "affinity",
	  .singular = "affinity",
	  .aliases = { "affinities", "aff" },
	  .summary = "clients that stay with their backend; of all namespaces, unless -n is given",
	  .takes_service = true,
	  .takes_ends = true,
	  .order = "client",
	  .listing = &affinity_listing,
	  .run = get_affinity },
	{ .name = "maglev",
	  .singular = "maglev",
	  .aliases = { "tables", "table" },
	  .summary = "the tables that backends are chosen from, and each one's share",
	  .by_service = true,
	  .takes_service = true,
	  .listing = &maglev_listing,
	  .run = get_maglev },
	{ .name = "nodes",
	  .singular = "node",
	  .aliases = { "node", "no" },
	  .summary = "this node: its edges and addresses",
	  .listing = &nodes_listing,
	  .run = get_nodes },
	{ .name = "drops",
	  .singular = "drop",
	  .aliases = { "drop" },
	  .summary =
		  "what was refused, by reason and Service; of all namespaces, unless -n is given",
	  .takes_service = true,
	  .listing = &drops_listing,
	  .run = get_drops },
};

size_t get_resources_count(void)
{
	return sizeof(get_resources) / sizeof(get_resources[0]);
}

static bool is_called(const struct resource *resource, const char *word, size_t len)
{
	size_t i;

	if (strlen(resource->name) == len && !strncmp(resource->name, word, len))
		return true;
	for (i = 0; resource->aliases[i]; i++) {
		if (strlen(resource->aliases[i]) == len &&
		    !strncmp(resource->aliases[i], word, len))
			return true;
	}
	return false;
}

const struct resource *get_resource_find(const char *word, size_t len)
{
	size_t i;

	for (i = 0; i < get_resources_count(); i++) {
		if (is_called(&get_resources[i], word, len))
			return &get_resources[i];
	}
	return NULL;
}

static int unknown_resource(const char *word, size_t len, struct err *err)
{
	struct nearest nearest;
	char typed[65], hint[96];
	size_t i;

	(void)snprintf(typed, sizeof(typed), "%.*s", (int)(len < 64 ? len : 64), word);
	nearest_init(&nearest, typed);
	for (i = 0; i < get_resources_count(); i++)
		nearest_offer(&nearest, get_resources[i].name);
	return err_usage(err, -EINVAL, "unknown resource \"%s\"%s%s", typed,
			 nearest_hint(&nearest, hint, sizeof(hint)),
			 nearest.best ? "" : "; \"shunt help get\" lists them");
}

/* The first word: RESOURCE, or RESOURCE/NAME, which leaves NAME in its place. */
static int take_resource(struct get *get, struct err *err)
{
	struct request *request = &get->inv->request;
	size_t len;

	if (!request->n_words)
		return err_usage(err, -EINVAL,
				 "get what? services, endpoints, backends, flows, affinity, "
				 "maglev, nodes or drops");
	len = strcspn(request->words[0], "/");
	get->resource = get_resource_find(request->words[0], len);
	if (!get->resource)
		return unknown_resource(request->words[0], len, err);
	if (request->words[0][len]) {
		request->words[0] += len + 1;
	} else {
		request->words++;
		request->n_words--;
	}
	return 0;
}

static int refuse_narrowing(const struct get *get, struct err *err)
{
	const struct request *request = &get->inv->request;
	const struct resource *resource = get->resource;

	if (request->n_words && !resource->by_service)
		return err_usage(err, -EINVAL, "get %s takes no names: unexpected \"%.64s\"",
				 resource->name, request->words[0]);
	if (request->n_words && request->service)
		return err_usage(err, -EINVAL, "get %s: give names or --service, not both",
				 resource->name);
	if (request->service && !resource->takes_service)
		return err_usage(err, -EINVAL, "get %s takes no --service", resource->name);
	if (request->selector && !resource->takes_service)
		return err_usage(err, -EINVAL, "get %s takes no --selector", resource->name);
	if ((request->src || request->dst) && !resource->takes_ends)
		return err_usage(err, -EINVAL, "get %s takes no --%s; flows and affinity do",
				 resource->name, request->src ? "src" : "dst");
	if (request->replies && resource->run != get_flows)
		return err_usage(err, -EINVAL, "get %s takes no --replies", resource->name);
	if (request->ns && request->all_namespaces)
		return err_usage(err, -EINVAL, "give --namespace or --all-namespaces, not both");
	return 0;
}

static int read_selection(struct get *get, struct err *err)
{
	const struct request *request = &get->inv->request;
	const char *order = request->sort_by ? request->sort_by : get->resource->order;
	int ret = 0;

	if (request->selector)
		ret = selector_parse(request->selector, get->inv->arena, &get->selector, err);
	if (!ret && request->src)
		ret = get_end_parse("src", request->src, &get->src, err);
	if (!ret && request->dst)
		ret = get_end_parse("dst", request->dst, &get->dst, err);
	if (!ret && order)
		ret = get_order_parse(get->resource->listing, order, &get->order, err);
	get->sorted = order != NULL;
	return ret;
}

static void set_filter(struct get *get)
{
	struct request *request = &get->inv->request;

	if (request->service) {
		request->words[0] = request->service;
		request->n_words = 1;
	}
	get->filter.names = request->words;
	get->filter.n_names = request->n_words;
	get->filter.ns = request->ns;
	if (!request->ns && !request->all_namespaces && get->resource->by_service)
		get->filter.ns = "default";
}

static int get_init(struct get *get, struct invocation *inv, struct err *err)
{
	struct request *request = &inv->request;
	int ret;

	*get = (struct get){ .inv = inv };
	ret = take_resource(get, err);
	if (!ret)
		ret = refuse_narrowing(get, err);
	if (!ret)
		ret = read_selection(get, err);
	if (ret)
		return ret;
	set_filter(get);
	get->name_seen = arena_array(inv->arena, request->n_words, sizeof(bool));
	get->output = output_new(get->resource->listing, request->output, !get->filter.ns, stdout);
	if (!get->name_seen || !get->output)
		return err_system(err, -ENOMEM, "get %s", get->resource->name);
	return 0;
}

/* ---- rows ------------------------------------------------------------------ */

int get_row(struct get *get, const struct cell *cells)
{
	return get->rows ? rows_add(get->rows, cells) : output_row(get->output, cells);
}

int get_row_failed(const struct get *get, int ret, struct err *err)
{
	if (get->rows && ret == -E2BIG)
		return err_system(err, ret,
				  "get %s: more than %u rows (limit SH_ROWS_MAX) can't be sorted "
				  "or watched; narrow the list, with --service for one",
				  get->resource->name, SH_ROWS_MAX);
	if (get->rows && ret == -ENOMEM)
		return err_system(err, ret, "get %s: hold %zu rows, to sort or watch them",
				  get->resource->name, rows_count(get->rows));
	return err_output(err, ret);
}

bool get_wants_trees(const struct get *get)
{
	return output_wants_trees(get->output);
}

bool get_wants(const struct get *get, size_t column)
{
	return output_wants(get->output, column) || (get->sorted && get->order.column == column);
}

bool get_takes(const struct get *get, const struct sh_meta_service *service)
{
	if (!service)
		return !get->filter.ns && !get->filter.n_names && !get->filter.chosen_only;
	return inv_filter_takes(&get->filter, service);
}

void get_saw_service(struct get *get, const char *name)
{
	size_t i;

	for (i = 0; i < get->filter.n_names; i++)
		get->name_seen[i] |= !strcmp(get->filter.names[i], name);
}

int get_by_service(struct get *get,
		   int (*row)(struct get *get, struct inv_port *const *ports, size_t n_ports),
		   struct err *err)
{
	struct inventory inv;
	size_t i, end;
	int ret;

	ret = inventory_load_brief(&inv, get->dp, &get->filter, err);
	if (ret)
		return ret;
	for (i = 0; !ret && i < inv.n_ports; i = end) {
		end = inventory_service_end(&inv, i);
		get_saw_service(get, inv.ports[i]->meta.name);
		ret = row(get, inv.ports + i, end - i);
	}
	inventory_done(&inv);
	return ret ? get_row_failed(get, ret, err) : 0;
}

/* "in namespace "x"", "in any namespace" */
static void where(const struct get *get, char *buf, size_t size)
{
	if (get->filter.ns)
		(void)snprintf(buf, size, "namespace \"%.253s\"", get->filter.ns);
	else
		(void)snprintf(buf, size, "any namespace");
}

/* Names the command line gave that no Service has: one line each. */
static int report_missing(const struct get *get, struct err *err)
{
	const char *last = NULL;
	char place[280];
	size_t i;

	if (!get->resource->by_service)
		return 0;
	where(get, place, sizeof(place));
	for (i = 0; i < get->filter.n_names; i++) {
		if (get->name_seen[i])
			continue;
		if (last)
			(void)fprintf(stderr, "shunt: service \"%.253s\" not found in %s\n", last,
				      place);
		last = get->filter.names[i];
	}
	if (!last)
		return 0;
	return err_input(err, -ENOENT, "service \"%.253s\" not found in %s", last, place);
}

/* A table without rows says so; scripts get their empty list instead. */
static void report_empty(const struct get *get)
{
	if (output_rows(get->output) || output_wants_trees(get->output) || get->filter.n_names)
		return;
	if (get->filter.ns)
		(void)fprintf(stderr, "No %s found in %s namespace.\n", get->resource->name,
			      get->filter.ns);
	else
		(void)fprintf(stderr, "No %s found.\n", get->resource->name);
}

int get_round(struct get *get, struct err *err)
{
	const struct request *request = &get->inv->request;
	int ret;

	ret = dataplane_open(&get->dp, DATAPLANE_READ, &get->inv->settings, err);
	if (!ret && request->selector)
		ret = get_choose(get, err);
	if (!ret)
		ret = get->resource->run(get, err);
	if (!ret && get->rows && get->sorted)
		rows_sort(get->rows, &get->order);
	arena_free(get->chosen);
	get->chosen = NULL;
	dataplane_close(get->dp);
	get->dp = NULL;
	return ret;
}

static int get_list(struct get *get, struct err *err)
{
	int ret;

	if (get->sorted) {
		get->rows = rows_new(get->resource->listing);
		if (!get->rows)
			return err_system(err, -ENOMEM, "get %s", get->resource->name);
	}
	ret = get_round(get, err);
	if (ret)
		return ret;
	if (get->rows)
		ret = rows_write(get->rows, get->output);
	if (!ret)
		ret = output_finish(get->output);
	if (ret)
		return err_output(err, ret);
	ret = report_missing(get, err);
	if (!ret)
		report_empty(get);
	return ret;
}

int get_run(struct invocation *inv, struct err *err)
{
	struct get get;
	int ret;

	ret = get_init(&get, inv, err);
	if (!ret)
		ret = privilege_check(inv->command, err);
	if (!ret)
		ret = inv->request.watch ? get_watch(&get, err) : get_list(&get, err);
	rows_free(get.rows);
	output_free(get.output);
	return ret;
}

/* ---- help ------------------------------------------------------------------ */

static const char *type_word(enum column_type type)
{
	switch (type) {
	case COLUMN_TEXT:
		return "string";
	case COLUMN_NUMBER:
		return "number";
	case COLUMN_BOOL:
		return "boolean";
	case COLUMN_AGE:
		return "seconds";
	case COLUMN_TREE:
		return "list";
	}
	return "";
}

static void help_fields(struct invocation *inv, const struct resource *resource)
{
	const struct listing *listing = resource->listing;
	char heading[128];
	size_t i;

	(void)snprintf(heading, sizeof(heading),
		       "Fields of %s in JSON and YAML (kind %sList, under items)", resource->name,
		       listing->kind);
	help_list(inv, heading);
	for (i = 0; i < listing->n_columns; i++) {
		const struct column *column = &listing->columns[i];

		if (column->key)
			help_item(inv, &(struct help_item){ .name = column->key,
							    .type = type_word(column->type),
							    .text = column->help });
	}
	help_list_end(inv);
}

void get_help(struct invocation *inv)
{
	size_t i, j;

	help_list(inv, "Resources");
	for (i = 0; i < get_resources_count(); i++) {
		char names[64];
		int len = snprintf(names, sizeof(names), "%s", get_resources[i].name);

		for (j = 0; get_resources[i].aliases[j]; j++)
			len += snprintf(names + len, sizeof(names) - (size_t)len, ", %s",
					get_resources[i].aliases[j]);
		help_item(inv,
			  &(struct help_item){ .name = names, .text = get_resources[i].summary });
	}
	help_list_end(inv);
	for (i = 0; i < get_resources_count(); i++)
		help_fields(inv, &get_resources[i]);
}
