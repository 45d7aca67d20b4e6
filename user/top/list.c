// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One snapshot, for scripts and pipes: Services, or the backends of the one that was asked for. */
#include "top/top.h"

#include <arpa/inet.h>
#include <errno.h>
#include <time.h>

enum {
	NAMESPACE,
	NAME,
	PORT,
	SERVICE_PORT,
	PROTOCOL,
	ENDPOINT,
	ADDRESS,
	TARGET_PORT,
	STATE,
	WEIGHT,
	CONNECTIONS,
	PACKETS,
	BYTES,
	FLOWS,
	DROPS,
	SERVING,
	BACKENDS,
	POD,
	NODE,
	N_COLUMNS
};

static const struct column service_columns[] = {
	{ "NAMESPACE", "namespace", COLUMN_TEXT, COLUMN_NAMESPACE | COLUMN_ID, "" },
	{ "NAME", "name", COLUMN_TEXT, COLUMN_NAME | COLUMN_ID, "the Service's" },
	{ "CONN/S", "connectionsPerSecond", COLUMN_TREE, 0, "new ones; sockets' too" },
	{ "PKT/S", "packetsPerSecond", COLUMN_TREE, 0, "both directions" },
	{ "BYTES/S", "bytesPerSecond", COLUMN_TREE, 0, "both directions" },
	{ "FLOWS", "flows", COLUMN_NUMBER, 0, "now" },
	{ "DROPS/S", "dropsPerSecond", COLUMN_TREE, 0, "and rejects" },
	{ "READY", "serving", COLUMN_NUMBER, 0, "backends that take new connections" },
	{ "BACKENDS", "backends", COLUMN_NUMBER, 0, "" },
};

static const unsigned char service_cells[] = { NAMESPACE, NAME,	 CONNECTIONS, PACKETS, BYTES,
					       FLOWS,	  DROPS, SERVING,     BACKENDS };

static const struct column backend_columns[] = {
	{ "NAMESPACE", "namespace", COLUMN_TEXT, COLUMN_NAMESPACE | COLUMN_ID, "" },
	{ "SERVICE", "service", COLUMN_TEXT, COLUMN_ID, "its name" },
	{ "PORT", NULL, COLUMN_TEXT, COLUMN_ID, NULL },
	{ NULL, "port", COLUMN_NUMBER, 0, "the Service's" },
	{ NULL, "protocol", COLUMN_TEXT, 0, "TCP, UDP or SCTP" },
	{ "ADDRESS", NULL, COLUMN_TEXT, COLUMN_NAME | COLUMN_ID, NULL },
	{ NULL, "address", COLUMN_TEXT, 0, "" },
	{ NULL, "targetPort", COLUMN_NUMBER, 0, "" },
	{ "STATE", "state", COLUMN_TEXT, 0, "as \"get backends\" has it" },
	{ "WEIGHT", "weight", COLUMN_NUMBER, 0, "" },
	{ "CONN/S", "connectionsPerSecond", COLUMN_TREE, 0, "" },
	{ "PKT/S", "packetsPerSecond", COLUMN_TREE, 0, "" },
	{ "BYTES/S", "bytesPerSecond", COLUMN_TREE, 0, "" },
	{ "FLOWS", "flows", COLUMN_NUMBER, 0, "now" },
	{ "POD", "pod", COLUMN_TEXT, 0, "" },
	{ "NODE", "node", COLUMN_TEXT, COLUMN_WIDE, "" },
};

static const unsigned char backend_cells[] = { NAMESPACE, NAME,	    PORT,	 SERVICE_PORT,
					       PROTOCOL,  ENDPOINT, ADDRESS,	 TARGET_PORT,
					       STATE,	  WEIGHT,   CONNECTIONS, PACKETS,
					       BYTES,	  FLOWS,    POD,	 NODE };

static const struct listing services = { "ServiceRate", "service", service_columns,
					 sizeof(service_columns) / sizeof(service_columns[0]) };
static const struct listing backends = { "BackendRate", "backend", backend_columns,
					 sizeof(backend_columns) / sizeof(backend_columns[0]) };

/* A row's texts, for as long as it is being written. */
struct texts {
	char rates[4][TOP_RATE_SIZE];
	char port[32], address[ADDR_STRLEN], endpoint[ADDR_PORT_STRLEN];
};

static struct cell rate_cell(double rate, bool tree, char buf[static TOP_RATE_SIZE])
{
	return (struct cell){ .text = top_rate_format(rate, buf),
			      .tree = tree ? json_real(rate) : NULL };
}

static void fill_rates(struct cell *all, const struct top_rates *rates, bool trees,
		       struct texts *texts)
{
	all[CONNECTIONS] = rate_cell(rates->connections, trees, texts->rates[0]);
	all[PACKETS] = rate_cell(rates->packets, trees, texts->rates[1]);
	all[BYTES] = rate_cell(rates->bytes, trees, texts->rates[2]);
}

static void fill_service(struct cell *all, const struct top_service *service, bool trees,
			 struct texts *texts)
{
	fill_rates(all, &service->rates, trees, texts);
	all[DROPS] = rate_cell(service->rates.drops, trees, texts->rates[3]);
	all[FLOWS].number = service->live;
	all[SERVING].number = service->n_serving;
	all[BACKENDS].number = service->n_backends;
}

static void fill_backend(struct cell *all, const struct top_backend *backend, bool trees,
			 struct texts *texts)
{
	fill_rates(all, &backend->rates, trees, texts);
	(void)snprintf(texts->port, sizeof(texts->port), "%u/%s", backend->service_port,
		       proto_name(backend->proto));
	all[PORT].text = texts->port;
	all[SERVICE_PORT].number = backend->service_port;
	all[PROTOCOL].text = proto_name(backend->proto);
	all[ENDPOINT].text = addr_port_format(&backend->addr, backend->port, texts->endpoint);
	all[ADDRESS].text = addr_format(&backend->addr, texts->address);
	all[TARGET_PORT].number = ntohs(backend->port);
	all[STATE].text = backend_state_name(backend->flags, backend->weight);
	all[WEIGHT].number = backend->weight;
	all[FLOWS].number = backend->live;
	all[POD].text = backend->pod;
	all[NODE].text = backend->node;
}

static int put_row(struct output *output, const struct top_row *row)
{
	const bool trees = output_wants_trees(output);
	struct cell all[N_COLUMNS] = { { 0 } }, cells[OUTPUT_COLUMNS_MAX] = { { 0 } };
	const unsigned char *order = row->backend ? backend_cells : service_cells;
	const size_t n = row->backend ? sizeof(backend_cells) : sizeof(service_cells);
	struct texts texts;
	size_t i;

	all[NAMESPACE].text = row->service->ns;
	all[NAME].text = row->service->name;
	if (row->backend)
		fill_backend(all, row->backend, trees, &texts);
	else
		fill_service(all, row->service, trees, &texts);
	for (i = 0; i < n; i++)
		cells[i] = all[order[i]];
	return output_row(output, cells);
}

static int put_backends(struct output *output, const struct top *top,
			const struct top_service *service, const struct top_order *order)
{
	const struct top_choice choice = { .backends = service };
	struct top_rows rows = { 0 };
	size_t i;
	int ret;

	ret = top_rows_fill(&rows, top, &choice, order);
	for (i = 0; !ret && i < rows.n; i++)
		ret = put_row(output, &rows.v[i]);
	top_rows_done(&rows);
	return ret;
}

static int put_rows(const struct top_reader *reader, struct output *output)
{
	const struct top_choice choice = { .ns = reader->options->ns,
					   .service = reader->options->service };
	const struct top_order order = { .column = TOP_CONNECTIONS };
	struct top_rows rows = { 0 };
	size_t i;
	int ret;

	ret = top_rows_fill(&rows, &reader->top, &choice, &order);
	for (i = 0; !ret && i < rows.n; i++)
		ret = *choice.service
			      ? put_backends(output, &reader->top, rows.v[i].service, &order)
			      : put_row(output, &rows.v[i]);
	if (!ret)
		ret = output_finish(output);
	top_rows_done(&rows);
	return ret;
}

static void put_summary(const struct top_reader *reader, FILE *to)
{
	char line[TOP_LINE_SIZE];
	unsigned int i;

	for (i = 0; i < 3; i++)
		(void)fprintf(to, "%s\n", top_summary(reader, i, line));
	(void)fputc('\n', to);
}

int top_list(struct top_reader *reader, FILE *to, struct err *err)
{
	const struct top_options *options = reader->options;
	const struct timespec delay = { .tv_sec = options->delay_ms / 1000,
					.tv_nsec = options->delay_ms % 1000 * 1000000L };
	struct output *output = NULL;
	int ret;

	ret = top_read(reader, err);
	if (ret)
		return ret;
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, NULL);
	ret = top_read(reader, err);
	if (!ret)
		ret = top_check(reader, err);
	if (ret)
		return ret;
	output = output_new(*options->service ? &backends : &services, options->output,
			    !*options->ns, to);
	if (!output)
		return err_system(err, -ENOMEM, "print the rates");
	if (options->output == OUTPUT_TABLE || options->output == OUTPUT_WIDE)
		put_summary(reader, to);
	ret = put_rows(reader, output);
	output_free(output);
	if (ret && ret != -EPIPE && !err->msg[0])
		return err_system(err, ret, "print the rates");
	return ret;
}
