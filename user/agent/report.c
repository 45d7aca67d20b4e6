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

static void on_timer(uv_timer_t *timer)
{
	struct report *report = timer->data;
	json_t *now = tree(report);
	struct err err = { 0 };

	if (!now || json_equal(now, report->last)) {
		json_decref(now);
		return;
	}
	if (agent_file_write(report->opts->settings->state, now, &err)) {
		if (!report->failing)
			report->log(NULL, err.msg);
		report->failing = true;
		json_decref(now);
		return;
	}
	report->failing = false;
	json_decref(report->last);
	report->last = now;
}

void report_start(struct report *report, uv_loop_t *loop)
{
	report->timer.data = report;
	(void)uv_timer_init(loop, &report->timer);
	(void)uv_timer_start(&report->timer, on_timer, 0, REPORT_MS);
}

void report_stop(struct report *report)
{
	struct err ignored;

	(void)agent_file_remove(report->opts->settings->state, &ignored);
	json_decref(report->last);
	report->last = NULL;
	uv_close((uv_handle_t *)&report->timer, NULL);
}
