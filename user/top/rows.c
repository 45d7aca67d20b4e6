// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "top/rows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dataplane/dataplane.h"

/* The widest that names get: numbers stay beside what they belong to. */
#define NAME_WIDTH_MAX 48
#define PERCENT_WIDTH  5

/* ---- columns ---------------------------------------------------------------------------- */

static const struct top_field service_fields[] = {
	{ TOP_NAME, "SERVICE", 14, 0, true, 'N' },
	{ TOP_CONNECTIONS, "CONN/S", 7, 1, false, 'c' },
	{ TOP_PACKETS, "PKT/S", 7, 3, false, 'p' },
	{ TOP_BYTES, "BYTES/S", 7, 4, false, 'b' },
	{ TOP_FLOWS, "FLOWS", 8, 2, false, 'l' },
	{ TOP_DROPS, "DROPS/S", 7, 5, false, 'x' },
	{ TOP_SERVING, "BACKENDS", 9, 6, false, 0 },
};

static const struct top_field backend_fields[] = {
	{ TOP_NAME, "BACKEND", 18, 0, true, 'N' },
	{ TOP_PORT, "PORT", 9, 6, true, 0 },
	{ TOP_STATE, "STATE", 11, 4, true, 0 },
	{ TOP_WEIGHT, "WEIGHT", 6, 5, false, 'w' },
	{ TOP_CONNECTIONS, "CONN/S", 7, 2, false, 'c' },
	{ TOP_CONNECTIONS_BAR, "SHARE", 15, 1, true, 0 },
	{ TOP_FLOWS, "FLOWS", 7, 2, false, 'l' },
	{ TOP_FLOWS_BAR, "SHARE", 15, 3, true, 0 },
	{ TOP_PACKETS, "PKT/S", 7, 7, false, 'p' },
	{ TOP_BYTES, "BYTES/S", 7, 7, false, 'b' },
	{ TOP_POD, "POD", 20, 8, true, 0 },
	{ TOP_NODE, "NODE", 16, 9, true, 0 },
};

const struct top_field *top_fields(enum top_view view, size_t *n_out)
{
	if (view == TOP_BACKENDS) {
		*n_out = sizeof(backend_fields) / sizeof(backend_fields[0]);
		return backend_fields;
	}
	*n_out = sizeof(service_fields) / sizeof(service_fields[0]);
	return service_fields;
}

const struct top_field *top_field(enum top_view view, enum top_column column)
{
	const struct top_field *fields;
	size_t n, i;

	fields = top_fields(view, &n);
	for (i = 0; i < n; i++) {
		if (fields[i].column == column)
			return &fields[i];
	}
	return NULL;
}

/* Leave the field of the highest rank out, the last one of these. @return false: none may go */
static bool drop_field(struct top_layout *layout)
{
	size_t i, least = 0;

	for (i = 1; i < layout->n; i++) {
		if (layout->fields[i]->rank >= layout->fields[least]->rank)
			least = i;
	}
	if (!layout->n || !layout->fields[least]->rank)
		return false;
	layout->n--;
	for (i = least; i < layout->n; i++)
		layout->fields[i] = layout->fields[i + 1];
	return true;
}

static int fields_width(const struct top_layout *layout)
{
	int width = 0;
	size_t i;

	for (i = 0; i < layout->n; i++)
		width += layout->fields[i]->width + (i > 0);
	return width;
}

void top_layout(enum top_view view, int width, struct top_layout *out)
{
	const struct top_field *fields;
	size_t i;

	fields = top_fields(view, &out->n);
	for (i = 0; i < out->n; i++)
		out->fields[i] = &fields[i];
	while (fields_width(out) > width && drop_field(out))
		;
	for (i = 0; i < out->n; i++)
		out->width[i] = out->fields[i]->width;
	out->width[0] += width - fields_width(out);
	if (out->width[0] > NAME_WIDTH_MAX)
		out->width[0] = NAME_WIDTH_MAX;
	if (out->width[0] < 1)
		out->width[0] = 1;
}

/* ---- rows -------------------------------------------------------------------------------- */

void top_rows_done(struct top_rows *rows)
{
	free(rows->v);
	*rows = (struct top_rows){ 0 };
}

static int row_add(struct top_rows *rows, const struct top_row *row)
{
	size_t cap = rows->cap ? rows->cap * 2 : 64;
	struct top_row *v;

	if (rows->n == rows->cap) {
		v = reallocarray(rows->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		rows->v = v;
		rows->cap = cap;
	}
	rows->v[rows->n++] = *row;
	return 0;
}

static bool is_chosen(const struct top_choice *choice, const struct top_service *service)
{
	char name[sizeof(service->ns) + sizeof(service->name) + 1];

	if (choice->ns && *choice->ns && strcmp(choice->ns, service->ns) != 0)
		return false;
	if (choice->service && *choice->service && strcmp(choice->service, service->name) != 0)
		return false;
	if (!choice->text || !*choice->text)
		return true;
	(void)snprintf(name, sizeof(name), "%s/%s", service->ns, service->name);
	return strcasestr(name, choice->text) != NULL;
}

static double number_of(const struct top_row *row, enum top_column column)
{
	const struct top_rates *rates = row->backend ? &row->backend->rates : &row->service->rates;

	switch (column) {
	case TOP_CONNECTIONS:
	case TOP_CONNECTIONS_BAR:
		return rates->connections;
	case TOP_PACKETS:
		return rates->packets;
	case TOP_BYTES:
		return rates->bytes;
	case TOP_DROPS:
		return rates->drops;
	case TOP_FLOWS:
	case TOP_FLOWS_BAR:
		return row->backend ? row->backend->live : (double)row->service->live;
	case TOP_WEIGHT:
		return row->backend ? row->backend->weight : 0;
	case TOP_SERVING:
		return (double)row->service->n_serving;
	default:
		return 0;
	}
}

static int name_cmp(const struct top_row *x, const struct top_row *y)
{
	int cmp = strcmp(x->service->ns, y->service->ns);

	if (!cmp)
		cmp = strcmp(x->service->name, y->service->name);
	if (cmp || !x->backend || !y->backend)
		return cmp;
	cmp = addr_cmp(&x->backend->addr, &y->backend->addr);
	if (!cmp)
		cmp = (int)ntohs(x->backend->port) - (int)ntohs(y->backend->port);
	return cmp ? cmp : (int)x->backend->service_port - (int)y->backend->service_port;
}

/* The most first; what is equal, by name. */
static int row_cmp(const void *a, const void *b, void *arg)
{
	const struct top_order *order = arg;
	const struct top_row *x = a, *y = b;
	double of_x, of_y;

	if (order->column == TOP_NAME)
		return order->reversed ? -name_cmp(x, y) : name_cmp(x, y);
	of_x = number_of(x, order->column);
	of_y = number_of(y, order->column);
	if (of_x < of_y)
		return order->reversed ? -1 : 1;
	if (of_x > of_y)
		return order->reversed ? 1 : -1;
	return name_cmp(x, y);
}

static int add_backends(struct top_rows *rows, const struct top_service *service)
{
	struct top_row row = { .service = service };
	int ret = 0;

	for (row.backend = service->backends; row.backend && !ret; row.backend = row.backend->next)
		ret = row_add(rows, &row);
	return ret;
}

static int add_services(struct top_rows *rows, const struct top *top,
			const struct top_choice *choice)
{
	struct top_row row = { 0 };
	int ret = 0;

	for (row.service = top->services; row.service && !ret; row.service = row.service->hh.next) {
		if (is_chosen(choice, row.service))
			ret = row_add(rows, &row);
	}
	return ret;
}

int top_rows_fill(struct top_rows *rows, const struct top *top, const struct top_choice *choice,
		  const struct top_order *order)
{
	struct top_rows fresh = { 0 };
	struct top_order by = *order;
	int ret;

	if (choice->backends)
		ret = add_backends(&fresh, choice->backends);
	else
		ret = add_services(&fresh, top, choice);
	if (ret) {
		top_rows_done(&fresh);
		return ret;
	}
	if (fresh.n)
		qsort_r(fresh.v, fresh.n, sizeof(*fresh.v), row_cmp, &by);
	top_rows_done(rows);
	*rows = fresh;
	return 0;
}

/* ---- cells -------------------------------------------------------------------------------- */

const char *top_rate_format(double rate, char buf[static TOP_RATE_SIZE])
{
	static const char units[] = { ' ', 'k', 'M', 'G', 'T', 'P', 'E' };
	size_t unit = 0;

	if (!(rate > 0)) {
		(void)snprintf(buf, TOP_RATE_SIZE, "0");
		return buf;
	}
	if (rate < 0.1)
		rate = 0.1; /* little, yet not nothing */
	/* 999.5 would be printed as 1000. */
	while (rate >= 999.5 && unit + 1 < sizeof(units)) {
		rate /= 1000;
		unit++;
	}
	if (rate > 999)
		rate = 999;
	(void)snprintf(buf, TOP_RATE_SIZE, "%.*f", rate < 9.95 ? 1 : 0, rate);
	if (strlen(buf) > 2 && !strcmp(buf + strlen(buf) - 2, ".0"))
		buf[strlen(buf) - 2] = '\0';
	if (unit)
		(void)snprintf(buf + strlen(buf), TOP_RATE_SIZE - strlen(buf), "%c", units[unit]);
	return buf;
}

const char *top_bar_format(double share, int width, bool utf8, char buf[static TOP_CELL_SIZE])
{
	/* Eighths of a column, from the left. */
	static const char *const parts[] = { " ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█" };
	char *at = buf;
	int steps, i, part;

	if (width > NAME_WIDTH_MAX)
		width = NAME_WIDTH_MAX;
	if (!(share > 0))
		share = 0;
	if (share > 1)
		share = 1;
	steps = (int)(share * width * 8 + 0.5);
	*at = '\0';
	for (i = 0; i < width; i++) {
		part = steps - i * 8;
		part = part < 0 ? 0 : part > 8 ? 8 : part;
		at = stpcpy(at, utf8 ? parts[part] : part >= 4 ? "#" : ".");
	}
	return buf;
}

static void bar_cell(double part, double whole, int width, const struct top_style *style,
		     char buf[static TOP_CELL_SIZE])
{
	const double share = whole > 0 ? part / whole : 0;
	size_t len;

	top_bar_format(share, width - PERCENT_WIDTH, style->utf8, buf);
	len = strlen(buf);
	(void)snprintf(buf + len, TOP_CELL_SIZE - len, "%*.0f%%", PERCENT_WIDTH - 1, share * 100);
}

static void rate_cell(double rate, char buf[static TOP_CELL_SIZE])
{
	char text[TOP_RATE_SIZE];

	(void)snprintf(buf, TOP_CELL_SIZE, "%s", top_rate_format(rate, text));
}

/* In full, where that is not wider than a column of flows. */
static void count_cell(uint64_t count, char buf[static TOP_CELL_SIZE])
{
	if (count < 10000000)
		(void)snprintf(buf, TOP_CELL_SIZE, "%llu", (unsigned long long)count);
	else
		rate_cell((double)count, buf);
}

static void name_cell(const struct top_row *row, char buf[static TOP_CELL_SIZE])
{
	char text[ADDR_PORT_STRLEN];

	if (row->backend)
		(void)snprintf(buf, TOP_CELL_SIZE, "%s",
			       addr_port_format(&row->backend->addr, row->backend->port, text));
	else
		(void)snprintf(buf, TOP_CELL_SIZE, "%s/%s", row->service->ns, row->service->name);
}

static void service_cell(const struct top_row *row, enum top_column column,
			 char buf[static TOP_CELL_SIZE])
{
	const struct top_service *service = row->service;

	buf[0] = '\0';
	if (column == TOP_FLOWS)
		count_cell(service->live, buf);
	else if (column == TOP_SERVING)
		(void)snprintf(buf, TOP_CELL_SIZE, "%zu/%zu", service->n_serving,
			       service->n_backends);
}

static void backend_cell(const struct top_row *row, enum top_column column,
			 char buf[static TOP_CELL_SIZE])
{
	const struct top_backend *backend = row->backend;

	buf[0] = '\0';
	if (column == TOP_PORT)
		(void)snprintf(buf, TOP_CELL_SIZE, "%u/%s", backend->service_port,
			       proto_name(backend->proto));
	else if (column == TOP_STATE)
		(void)snprintf(buf, TOP_CELL_SIZE, "%s",
			       backend_state_name(backend->flags, backend->weight));
	else if (column == TOP_WEIGHT)
		(void)snprintf(buf, TOP_CELL_SIZE, "%u", backend->weight);
	else if (column == TOP_FLOWS)
		count_cell(backend->live, buf);
	else if (column == TOP_POD || column == TOP_NODE)
		(void)snprintf(buf, TOP_CELL_SIZE, "%s",
			       column == TOP_POD ? backend->pod : backend->node);
}

const char *top_cell(const struct top_row *row, const struct top_field *field, int width,
		     const struct top_style *style, char buf[static TOP_CELL_SIZE])
{
	switch (field->column) {
	case TOP_NAME:
		name_cell(row, buf);
		break;
	case TOP_CONNECTIONS:
	case TOP_PACKETS:
	case TOP_BYTES:
	case TOP_DROPS:
		rate_cell(number_of(row, field->column), buf);
		break;
	case TOP_CONNECTIONS_BAR:
		bar_cell(number_of(row, field->column), row->service->rates.connections, width,
			 style, buf);
		break;
	case TOP_FLOWS_BAR:
		bar_cell(number_of(row, field->column), (double)row->service->live, width, style,
			 buf);
		break;
	default:
		if (row->backend)
			backend_cell(row, field->column, buf);
		else
			service_cell(row, field->column, buf);
	}
	return buf;
}
