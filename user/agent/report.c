// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/report.h"

#include <unistd.h>

#include "source/agent_file.h"

#define REPORT_MS 1000

static const char *state_word(enum kube_state state)
{
	switch (state) {
	case KUBE_WAITING:
		return "waiting";
	case KUBE_LISTING:
		return "listing";
	case KUBE_WATCHING:
		return "watching";
	}
	return "unknown";
}

/* By kind; empty where a folder is the source. @return NULL: no memory */
static json_t *api_tree(const struct kube_source *kube)
{
	struct kube_status status = { 0 };
	json_t *list = json_array();
	size_t i;

	if (kube)
		kube_source_status(kube, &status);
	for (i = 0; list && i < status.n; i++) {
		const struct kube_kind_status *kind = &status.kinds[i];

		if (json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I, s:I, s:s}",
							  "resource", kind->resource, "state",
							  state_word(kind->state), "objects",
							  (json_int_t)kind->objects, "relists",
							  (json_int_t)kind->relists, "errors",
							  (json_int_t)kind->errors, "lastError",
							  kind->last_error))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *tree(const struct report *report)
{
	const struct agent_stats *stats = report->stats;
	const struct settings *settings = report->opts->settings;
	const struct kube_config *kube = report->opts->kube;
	json_t *options =
		report->opts->options ? report->opts->options(report->opts->arg) : json_object();

	return json_pack("{s:i, s:s?, s:s, s:s?, s:b, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "pid",
			 (int)getpid(), "node", settings->node_name, "source",
			 kube ? "cluster" : "folder", "from",
			 kube ? kube->server : settings->manifests, "ready", (int)*report->ready,
			 "startedMs", (json_int_t)stats->started_unix_ms, "lastSyncMs",
			 (json_int_t)stats->last_sync_unix_ms, "lastQueuedMs",
			 (json_int_t)stats->last_queued_unix_ms, "syncFailures",
			 (json_int_t)stats->sync_failures, "objectsRefused",
			 (json_int_t)stats->objects_refused, "api", api_tree(*report->kube),
			 "options", options);
}

/* ---- labels ---------------------------------------------------------------------------- */

static json_t *labels_of(const struct object *service)
{
	const struct labels *labels = &service->meta.labels;
	json_t *tree = json_object();
	size_t i;

	for (i = 0; tree && i < labels->n; i++) {
		if (json_object_set_new(tree, labels->v[i].key, json_string(labels->v[i].value))) {
			json_decref(tree);
			return NULL;
		}
	}
	return tree;
}

/* Of all Services, also of those without any. @return NULL: no memory */
static json_t *labels_tree(const struct world *world)
{
	char path[2 * SH_NAME_MAX + 2];
	struct world_service *service;
	json_t *tree = json_object();

	for (service = world->services; tree && service; service = service->hh.next) {
		if (!service->service)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", service->ns, service->name);
		if (json_object_set_new(tree, path, labels_of(service->service))) {
			json_decref(tree);
			return NULL;
		}
	}
	return tree;
}

/* ---- the files ------------------------------------------------------------------------- */

/* Replace @name by @now, which is taken over, unless it is @last. @return could it be done? */
static bool renew(struct report *report, const char *name, json_t *now, json_t **last)
{
	struct err err = { 0 };

	if (!now || json_equal(now, *last)) {
		json_decref(now);
		return true;
	}
	if (agent_file_write(report->opts->settings->state, name, now, &err)) {
		if (!report->failing)
			report->log(NULL, err.msg);
		report->failing = true;
		json_decref(now);
		return false;
	}
	json_decref(*last);
	*last = now;
	return true;
}

/* A folder's Services are in objects.json with their labels. */
static bool renew_labels(struct report *report)
{
	const uint64_t changes = report->stats->service_changes;

	if (!*report->kube || !*report->ready || changes == report->last_changes)
		return true;
	if (!renew(report, LABELS_FILE, labels_tree(report->world), &report->last_labels))
		return false;
	report->last_changes = changes;
	return true;
}

static void on_timer(uv_timer_t *timer)
{
	struct report *report = timer->data;

	if (renew(report, AGENT_FILE, tree(report), &report->last) && renew_labels(report))
		report->failing = false;
}

void report_start(struct report *report, uv_loop_t *loop)
{
	struct err ignored;

	/* An agent of a cluster may have been here before. */
	if (!report->opts->kube)
		(void)agent_file_remove(report->opts->settings->state, LABELS_FILE, &ignored);
	report->timer.data = report;
	(void)uv_timer_init(loop, &report->timer);
	(void)uv_timer_start(&report->timer, on_timer, 0, REPORT_MS);
}

void report_stop(struct report *report)
{
	struct err ignored;

	(void)agent_file_remove(report->opts->settings->state, AGENT_FILE, &ignored);
	json_decref(report->last);
	json_decref(report->last_labels);
	report->last = report->last_labels = NULL;
	uv_close((uv_handle_t *)&report->timer, NULL);
}
