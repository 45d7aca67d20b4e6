// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `get flows` and `get drops`: flows are streamed, for there may be a million. */
#include "cmd/get.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- flows -------------------------------------------------------------------- */

enum {
	FLOW_NAME,
	PROTOCOL,
	SOURCE,
	DESTINATION,
	BACKEND,
	NAMESPACE,
	SERVICE,
	SERVICE_PORT,
	PORT,
	STATE,
	IDLE,
	PACKETS,
	BYTES,
	DIRECTION,
	MASQUERADE,
	REPLY,
	N_COLUMNS
};

static const struct column columns[N_COLUMNS] = {
	[FLOW_NAME] = { NULL, NULL, COLUMN_TEXT, COLUMN_NAME, NULL },
	[PROTOCOL] = { "PROTO", "protocol", COLUMN_TEXT, COLUMN_ID, "TCP, UDP or SCTP" },
	[SOURCE] = { "SOURCE", "source", COLUMN_TEXT, COLUMN_ID,
		     "ADDRESS:PORT as it is on the wire" },
	[DESTINATION] = { "DESTINATION", "destination", COLUMN_TEXT, COLUMN_ID,
			  "ADDRESS:PORT as it is on the wire" },
	[BACKEND] = { "BACKEND", "backend", COLUMN_TEXT, 0,
		      "ADDRESS:PORT the destination becomes; of a reply: its source" },
	[NAMESPACE] = { NULL, "namespace", COLUMN_TEXT, 0, "null where the Service is gone" },
	[SERVICE] = { NULL, "service", COLUMN_TEXT, 0, "null where the Service is gone" },
	[SERVICE_PORT] = { "SERVICE", NULL, COLUMN_TEXT, 0, NULL },
	[PORT] = { NULL, "port", COLUMN_NUMBER, 0, "the Service's port, 0 where it is gone" },
	[STATE] = { "STATE", "state", COLUMN_TEXT, 0, "" },
	[IDLE] = { "IDLE", "idle", COLUMN_AGE, 0, "since its last packet, to some 16" },
	[PACKETS] = { "PACKETS", "packets", COLUMN_NUMBER, 0, "of this direction" },
	[BYTES] = { "BYTES", "bytes", COLUMN_NUMBER, 0, "of this direction" },
	[DIRECTION] = { "HOOK", "hook", COLUMN_TEXT, COLUMN_WIDE | COLUMN_ID,
			"ingress or egress of an edge" },
	[MASQUERADE] = { "MASQUERADED-AS", "masqueradedAs", COLUMN_TEXT, COLUMN_WIDE,
			 "ADDRESS:PORT the client's becomes, or null" },
	[REPLY] = { NULL, "reply", COLUMN_BOOL, 0, "true with --replies only" },
};

const struct listing flows_listing = { "Flow", "flow", columns, N_COLUMNS };

struct flow_texts {
	char source[ADDR_PORT_STRLEN], destination[ADDR_PORT_STRLEN], backend[ADDR_PORT_STRLEN];
	char masquerade[ADDR_PORT_STRLEN];
	char service[SERVICE_PORT_STRLEN];
	char name[16 + 2 * ADDR_PORT_STRLEN];
};

/* What no column wants is left out: a list has a million of them. */
static void fill_flow_texts(const struct get *get, struct flow_texts *texts,
			    const struct flow_view *flow)
{
	addr_port_format(&flow->saddr, flow->sport, texts->source);
	addr_port_format(&flow->daddr, flow->dport, texts->destination);
	/* A reply comes from the backend; only the forward direction is sent to it. */
	if (flow->reply)
		memcpy(texts->backend, texts->source, sizeof(texts->backend));
	else if (get_wants(get, BACKEND))
		addr_port_format(&flow->to_daddr, flow->to_dport, texts->backend);
	if (get_wants(get, MASQUERADE))
		addr_port_format(&flow->to_saddr, flow->to_sport, texts->masquerade);
	if (flow->service && get_wants(get, SERVICE_PORT))
		service_port_format(flow->service, texts->service);
	if (get_wants(get, FLOW_NAME))
		(void)snprintf(texts->name, sizeof(texts->name), "%s/%s/%s",
			       proto_name(flow->proto), texts->source, texts->destination);
}

/* --src: who has connected. --dst: where to, or the backend that answers. */
static bool ends_take(const struct get *get, const struct flow_view *flow)
{
	if (flow->reply)
		return get_end_takes(&get->src, &flow->to_daddr, flow->to_dport) &&
		       (get_end_takes(&get->dst, &flow->to_saddr, flow->to_sport) ||
			get_end_takes(&get->dst, &flow->saddr, flow->sport));
	return get_end_takes(&get->src, &flow->saddr, flow->sport) &&
	       (get_end_takes(&get->dst, &flow->daddr, flow->dport) ||
		get_end_takes(&get->dst, &flow->to_daddr, flow->to_dport));
}

static int flow_row(const struct flow_view *flow, void *arg)
{
	const struct sh_meta_service *service = flow->service;
	bool masqueraded = flow->flags & SH_FLOW_SNAT && !flow->reply;
	struct cell cells[N_COLUMNS] = { 0 };
	struct flow_texts texts;
	struct get *get = arg;

	if ((flow->reply && !get->inv->request.replies) || !get_takes(get, service) ||
	    !ends_take(get, flow))
		return 0;
	fill_flow_texts(get, &texts, flow);
	cells[FLOW_NAME] = cell_text(get_wants(get, FLOW_NAME) ? texts.name : NULL);
	cells[PROTOCOL] = cell_text(proto_name(flow->proto));
	cells[SOURCE] = cell_text(texts.source);
	cells[DESTINATION] = cell_text(texts.destination);
	cells[BACKEND] = cell_text(flow->reply || get_wants(get, BACKEND) ? texts.backend : NULL);
	cells[NAMESPACE] = cell_text(service ? service->ns : NULL);
	cells[SERVICE] = cell_text(service ? service->name : NULL);
	cells[SERVICE_PORT] =
		cell_text(service && get_wants(get, SERVICE_PORT) ? texts.service : NULL);
	cells[PORT] = cell_number(service ? service->port : 0);
	cells[STATE] = cell_text(flow_state_name(flow->state));
	cells[IDLE] = cell_number(flow->idle_s);
	cells[PACKETS] = cell_number(flow->packets);
	cells[BYTES] = cell_number(flow->bytes);
	cells[DIRECTION] = cell_text(flow->direction == SH_EGRESS ? "egress" : "ingress");
	cells[MASQUERADE] =
		cell_text(masqueraded && get_wants(get, MASQUERADE) ? texts.masquerade : NULL);
	cells[REPLY] = cell_number(flow->reply);
	return get_row(get, cells);
}

int get_flows(struct get *get, struct err *err)
{
	int ret = dataplane_flows(get->dp, flow_row, get, err);

	/* Where the walk itself has failed it has said so. */
	return ret && !err->msg[0] ? get_row_failed(get, ret, err) : ret;
}

/* ---- drops -------------------------------------------------------------------- */

enum {
	DROP_REASON,
	DROP_NAMESPACE,
	DROP_SERVICE,
	DROP_SERVICE_PORT,
	DROP_PORT,
	DROP_PACKETS,
	DROP_LAST,
	DROP_MEANING,
	N_DROP_COLUMNS
};

static const struct column drop_columns[N_DROP_COLUMNS] = {
	[DROP_REASON] = { "REASON", "reason", COLUMN_TEXT, COLUMN_NAME | COLUMN_ID,
			  "a word, as in events" },
	[DROP_NAMESPACE] = { NULL, "namespace", COLUMN_TEXT, COLUMN_ID,
			     "null where none was found yet" },
	[DROP_SERVICE] = { NULL, "service", COLUMN_TEXT, 0, "null where none was found yet" },
	[DROP_SERVICE_PORT] = { "SERVICE", NULL, COLUMN_TEXT, COLUMN_ID, NULL },
	[DROP_PORT] = { NULL, "port", COLUMN_NUMBER, 0,
			"the Service's port; 0: it has none such, or no Service was found" },
	[DROP_PACKETS] = { "PACKETS", "packets", COLUMN_NUMBER, 0, "or connect() calls" },
	[DROP_LAST] = { "LAST", "last", COLUMN_AGE, 0, "ago" },
	[DROP_MEANING] = { "MEANING", "meaning", COLUMN_TEXT, COLUMN_WIDE, "of the reason" },
};

const struct listing drops_listing = { "Drop", "drop", drop_columns, N_DROP_COLUMNS };

/* One counter; the list is short, and sorted so that it reads the same each time. */
struct drop {
	struct sh_meta_service service;
	struct drop_view view; /* its service: NULL or not is all that counts */
};

struct drops {
	struct get *get;
	struct drop *v;
	size_t n, cap;
};

static int drop_row(struct get *get, const struct drop *drop)
{
	const struct sh_meta_service *service = drop->view.service ? &drop->service : NULL;
	char port[SERVICE_PORT_STRLEN];
	struct cell cells[N_DROP_COLUMNS] = {
		[DROP_REASON] = cell_text(reason_word(drop->view.reason)),
		[DROP_NAMESPACE] = cell_text(service ? service->ns : NULL),
		[DROP_SERVICE] = cell_text(service ? service->name : NULL),
		[DROP_SERVICE_PORT] =
			cell_text(service ? service_port_format(service, port) : NULL),
		[DROP_PORT] = cell_number(service ? service->port : 0),
		[DROP_PACKETS] = cell_number(drop->view.packets),
		[DROP_LAST] = cell_number(drop->view.age_ms / 1000),
		[DROP_MEANING] = cell_text(reason_text(drop->view.reason)),
	};

	return get_row(get, cells);
}

static int take_drop(const struct drop_view *view, void *arg)
{
	struct drops *drops = arg;
	struct drop *drop;

	if (!get_takes(drops->get, view->service))
		return 0;
	if (drops->n == drops->cap) {
		size_t cap = drops->cap ? drops->cap * 2 : 32;
		struct drop *v = reallocarray(drops->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		drops->v = v;
		drops->cap = cap;
	}
	drop = &drops->v[drops->n++];
	*drop = (struct drop){ .view = *view };
	if (view->service)
		drop->service = *view->service;
	return 0;
}

/* Those of no Service first: their names are empty. */
static int drop_cmp(const void *a, const void *b)
{
	const struct drop *x = a, *y = b;
	int cmp = strcmp(x->service.ns, y->service.ns);

	if (!cmp)
		cmp = strcmp(x->service.name, y->service.name);
	if (!cmp)
		cmp = (int)x->service.port - (int)y->service.port;
	if (!cmp)
		cmp = strcmp(x->service.port_name, y->service.port_name);
	return cmp ? cmp : (int)x->view.reason - (int)y->view.reason;
}

/* One row for what reads the same: both families count apart. */
static void drops_merge(struct drops *drops)
{
	struct drop *last = drops->v;
	size_t i, n = drops->n;

	for (i = 1; i < n; i++) {
		const struct drop_view *view = &drops->v[i].view;

		if (drop_cmp(last, &drops->v[i]) != 0) {
			*++last = drops->v[i];
			continue;
		}
		drops->n--;
		last->view.packets += view->packets;
		if (view->age_ms < last->view.age_ms)
			last->view.age_ms = view->age_ms;
	}
}

int get_drops(struct get *get, struct err *err)
{
	struct drops drops = { .get = get };
	size_t i;
	int ret;

	ret = dataplane_drops(get->dp, take_drop, &drops, err);
	if (ret && !err->msg[0])
		ret = err_system(err, ret, "read the counters of drops");
	if (drops.n)
		qsort(drops.v, drops.n, sizeof(*drops.v), drop_cmp);
	drops_merge(&drops);
	for (i = 0; !ret && i < drops.n; i++) {
		ret = drop_row(get, &drops.v[i]);
		if (ret)
			ret = get_row_failed(get, ret, err);
	}
	free(drops.v);
	return ret;
}
