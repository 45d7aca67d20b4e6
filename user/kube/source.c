// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kube/kube.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "kube/client.h"
#include "kube/reflect.h"

#define PAGE_DEFAULT	       500u
#define PAGE_BYTES_DEFAULT     (64u << 20)
#define SILENCE_S_DEFAULT      30u
#define BACKOFF_MS_DEFAULT     200u
#define BACKOFF_MAX_MS_DEFAULT 30000u

/* The same trouble is told again after a minute, if it comes and goes. */
#define TOLD_MAX 8u
#define TOLD_MS	 60000u

/* The order in which a loop starts them; the Endpoints wait for the Services. */
enum kube_kind { SERVICES = 0, SLICES, NODES, ENDPOINTS, KINDS };
_Static_assert(KINDS <= KUBE_KINDS_MAX, "a status holds all kinds");

#define NOT_HEADLESS	"%21service.kubernetes.io%2Fheadless"
#define NOT_OTHER_PROXY "%21service.kubernetes.io%2Fservice-proxy-name"
/* Endpoints that the cluster's own controller keeps for a selector: these have slices. */
#define NOT_MANAGED	"%21endpoints.kubernetes.io%2Fmanaged-by"

struct kind_row {
	enum kind kind;
	const char *resource, *path, *selector;
	bool optional;
};

/*
 * Another proxy's Services are asked for too: their ClusterIPs lie in the
 * Service CIDR and are to be left alone, not to be dropped for being unknown.
 */
static const struct kind_row kind_rows[KINDS] = {
	[SERVICES] = { KIND_SERVICE, "services", "/api/v1/services", "labelSelector=" NOT_HEADLESS,
		       false },
	[SLICES] = { KIND_ENDPOINT_SLICE, "endpointslices",
		     "/apis/discovery.k8s.io/v1/endpointslices",
		     "labelSelector=" NOT_OTHER_PROXY "%2C" NOT_HEADLESS, false },
	[NODES] = { KIND_NODE, "nodes", "/api/v1/nodes", NULL, false },
	[ENDPOINTS] = { KIND_ENDPOINTS, "endpoints", "/api/v1/endpoints",
			"labelSelector=" NOT_OTHER_PROXY "%2C" NOT_HEADLESS "%2C" NOT_MANAGED,
			true },
};

struct told {
	uint32_t key;
	uint64_t at_ms; /* 0: never */
};

struct kube_source {
	uv_loop_t *loop;
	struct source_sink sink;
	struct reflector_owner owner;
	struct kube_client *client;
	struct reflector kinds[KINDS];
	unsigned int open; /* the client and reflectors that are not yet closed */
	char *server, *node_name, *node_selector;
	bool synced;
	bool away_told;		/* the sink knows that the API is away */
	uint64_t away_since_ms; /* 0: no kind is in trouble */
	struct told told[TOLD_MAX];
	size_t next_told;
};

/* ---- what the sink is told ----------------------------------------------------------------- */

static void notice(const struct kube_source *source, const char *text)
{
	char line[1800], *c;

	(void)snprintf(line, sizeof(line), "Kubernetes API %s: %s", source->server, text);
	for (c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	source->sink.notice(source->sink.arg, line);
}

/* Is it time for a line on that? Then there is none for a minute. */
static bool worth_telling(struct kube_source *source, uint32_t key)
{
	const uint64_t now = uv_now(source->loop);
	struct told *told = NULL;
	size_t i;

	for (i = 0; i < TOLD_MAX && !told; i++)
		if (source->told[i].at_ms && source->told[i].key == key)
			told = &source->told[i];
	if (told && now - told->at_ms < TOLD_MS)
		return false;
	if (!told)
		told = &source->told[source->next_told++ % TOLD_MAX];
	*told = (struct told){ key, now ? now : 1 };
	return true;
}

static size_t n_failing(const struct kube_source *source)
{
	size_t i, n = 0;

	for (i = 0; i < KINDS; i++)
		n += source->kinds[i].failing;
	return n;
}

static void on_failed(void *arg, struct reflector *reflector, const struct trouble *trouble)
{
	struct kube_source *source = arg;
	char text[1600];

	if (!source->away_since_ms)
		source->away_since_ms = uv_now(source->loop);
	if (!worth_telling(source, trouble->key))
		return;
	(void)snprintf(text, sizeof(text), "%s; %s, and it is tried again", trouble->text,
		       source->synced ? "what is known stays in force" : "nothing is known yet");
	source->away_told = true;
	notice(source, text);
}

static void on_lacks(void *arg, struct reflector *reflector, const struct trouble *trouble)
{
	struct kube_source *source = arg;
	char text[1600];

	/* At every later try nothing has changed. */
	if (reflector->listed)
		return;
	(void)snprintf(text, sizeof(text), "%s; going on without them", trouble->text);
	notice(source, text);
}

static void on_good(void *arg, struct reflector *reflector)
{
	struct kube_source *source = arg;
	char text[64];
	size_t i;

	if (n_failing(source)) {
		for (i = 0; i < KINDS; i++)
			reflector_hurry(&source->kinds[i]);
		return;
	}
	if (source->away_told) {
		(void)snprintf(text, sizeof(text), "answers again, after %llu s",
			       (unsigned long long)(uv_now(source->loop) - source->away_since_ms) /
				       1000);
		notice(source, text);
	}
	source->away_told = false;
	source->away_since_ms = 0;
}

/* ---- Endpoints ---------------------------------------------------------------------------------- */

static struct known_entry *same_name(const struct reflector *in, const struct known_entry *entry)
{
	const struct known_name name = {
		.ns = { known_ns(entry), entry->ns_len },
		.name = { known_name(entry), entry->name_len },
	};

	return known_find(&in->known, &name);
}

/*
 * Where a Service has a selector the cluster makes slices, and its Endpoints
 * are passed over: older clusters don't label these as theirs. @entry->mark says
 * of a Service that it has a selector, of Endpoints that they were passed over.
 */
static bool on_skip(void *arg, struct reflector *reflector, struct known_entry *entry)
{
	const struct kube_source *source = arg;
	const struct known_entry *service;

	if (reflector != &source->kinds[ENDPOINTS])
		return false;
	service = same_name(&source->kinds[SERVICES], entry);
	entry->mark = service && service->mark;
	/* As if they had never come, for when the Service loses its selector. */
	if (entry->mark)
		entry->version = 0;
	return entry->mark;
}

static void on_took(void *arg, struct reflector *reflector, struct known_entry *entry,
		    const struct object *object)
{
	struct kube_source *source = arg;
	const struct known_entry *endpoints;

	if (reflector != &source->kinds[SERVICES])
		return;
	entry->mark = object->service.selector.n > 0;
	endpoints = same_name(&source->kinds[ENDPOINTS], entry);
	if (!entry->mark && endpoints && endpoints->mark)
		reflector_relist(&source->kinds[ENDPOINTS]);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void on_listed(void *arg, struct reflector *reflector)
{
	struct kube_source *source = arg;
	size_t i;

	if (reflector == &source->kinds[SERVICES])
		reflector_start(&source->kinds[ENDPOINTS]);
	for (i = 0; i < KINDS; i++)
		if (!source->kinds[i].listed)
			return;
	source->synced = true;
	source->sink.synced(source->sink.arg);
}

static void source_free(struct kube_source *source)
{
	free(source->server);
	free(source->node_name);
	free(source->node_selector);
	free(source);
}

static void on_closed(void *arg)
{
	struct kube_source *source = arg;

	if (--source->open == 0)
		source_free(source);
}

void kube_source_stop(struct kube_source *source)
{
	size_t i;

	if (!source)
		return;
	/* One more, so that nothing is freed in here. */
	source->open++;
	kube_client_close(source->client);
	for (i = 0; i < KINDS; i++)
		if (source->kinds[i].opts.loop)
			reflector_close(&source->kinds[i]);
	on_closed(source);
}

static int take_names(struct kube_source *source, const struct kube_opts *opts)
{
	char *escaped = curl_easy_escape(NULL, opts->node_name, 0);
	int ret = 0;

	source->server = strdup(opts->config->server);
	source->node_name = strdup(opts->node_name);
	if (!escaped ||
	    asprintf(&source->node_selector, "fieldSelector=metadata.name%%3D%s", escaped) < 0) {
		source->node_selector = NULL;
		ret = -ENOMEM;
	}
	curl_free(escaped);
	return source->server && source->node_name ? ret : -ENOMEM;
}

static uint32_t or_default(uint32_t given, uint32_t otherwise)
{
	return given ? given : otherwise;
}

static int open_client(struct kube_source *source, const struct kube_opts *opts, struct err *err)
{
	const struct client_opts client = {
		.loop = source->loop,
		.config = opts->config,
		.silence_s = or_default(opts->silence_s, SILENCE_S_DEFAULT),
		.closed = on_closed,
		.arg = source,
	};
	int ret = kube_client_new(&source->client, &client, err);

	if (!ret)
		source->open++;
	return ret;
}

static int open_kind(struct kube_source *source, enum kube_kind which, const struct kube_opts *opts)
{
	const struct kind_row *row = &kind_rows[which];
	const struct reflector_opts reflector = {
		.loop = source->loop,
		.client = source->client,
		.sink = &source->sink,
		.owner = &source->owner,
		.kind = row->kind,
		.resource = row->resource,
		.path = row->path,
		.selector = row->selector ? row->selector : source->node_selector,
		.only = row->selector ? NULL : source->node_name,
		.optional = row->optional,
		.page = or_default(opts->page, PAGE_DEFAULT),
		.backoff_ms = or_default(opts->backoff_ms, BACKOFF_MS_DEFAULT),
		.backoff_max_ms = or_default(opts->backoff_max_ms, BACKOFF_MAX_MS_DEFAULT),
		.silence_s = or_default(opts->silence_s, SILENCE_S_DEFAULT),
		.page_bytes_max = opts->page_bytes_max ? opts->page_bytes_max : PAGE_BYTES_DEFAULT,
	};
	int ret = reflector_init(&source->kinds[which], &reflector);

	if (!ret)
		source->open++;
	return ret;
}

static int open_all(struct kube_source *source, const struct kube_opts *opts, struct err *err)
{
	int ret = take_names(source, opts);
	size_t i;

	if (ret)
		return err_system(err, ret, "start the Kubernetes source");
	ret = open_client(source, opts, err);
	if (ret)
		return ret;
	for (i = 0; i < KINDS; i++) {
		ret = open_kind(source, (enum kube_kind)i, opts);
		if (ret)
			return err_system(err, ret, "start the Kubernetes source");
	}
	return 0;
}

int kube_source_start(struct kube_source **out, uv_loop_t *loop, const struct kube_opts *opts,
		      const struct source_sink *sink, struct err *err)
{
	struct kube_source *source;
	size_t i;
	int ret;

	if (!opts->node_name || !*opts->node_name)
		return err_input(err, -EINVAL,
				 "the Kubernetes source has to know which Node this is");
	source = calloc(1, sizeof(*source));
	if (!source)
		return err_system(err, -ENOMEM, "start the Kubernetes source");
	source->loop = loop;
	source->sink = *sink;
	source->owner = (struct reflector_owner){
		.listed = on_listed,
		.failed = on_failed,
		.lacks = on_lacks,
		.good = on_good,
		.skip = on_skip,
		.took = on_took,
		.closed = on_closed,
		.arg = source,
	};
	ret = open_all(source, opts, err);
	if (ret) {
		kube_source_stop(source);
		return ret;
	}
	for (i = 0; i < ENDPOINTS; i++)
		reflector_start(&source->kinds[i]);
	*out = source;
	return 0;
}

void kube_source_status(const struct kube_source *source, struct kube_status *out)
{
	size_t i;

	*out = (struct kube_status){ .synced = source->synced, .n = KINDS };
	for (i = 0; i < KINDS; i++) {
		out->kinds[i] = source->kinds[i].status;
		out->kinds[i].state = source->kinds[i].state;
		out->kinds[i].objects = source->kinds[i].known.n;
	}
}

uint64_t kube_source_read_at(const struct kube_source *source)
{
	size_t i;

	for (i = 0; i < KINDS; i++)
		if (source->kinds[i].read_at)
			return source->kinds[i].read_at;
	return 0;
}
