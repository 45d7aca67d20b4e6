// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/edges.h"
#include "agent/notify.h"
#include "agent/reclaim.h"
#include "agent/report.h"
#include "agent/sync.h"
#include "agent/ui.h"
#include "source/folder.h"
#include "source/store.h"
#include "util/clock.h"

#define RETRY_MS       1000 /* of what the system refused; doubling */
#define RETRY_MAX_MS   30000
#define STORED_LOOK_MS 1000 /* between two looks whether manifests can all be read by now */

struct agent {
	const struct agent_opts *opts;
	uv_loop_t loop;
	struct dataplane *dp;
	bool opened; /* it was this agent's to write: what is pinned is his to remove */
	struct sync sync;
	struct reclaim reclaim;
	struct edges edges;
	struct agent_stats stats;
	struct folder *folder; /* one of these two */
	struct kube_source *kube;
	struct health *health;
	struct http_server *metrics;
	struct ui *ui;
	struct report report;
	struct drop_counts drops; /* what Services that are gone had counted, too */
	uv_prepare_t publish;	  /* what one turn of the loop has brought */
	uv_timer_t retry;
	uint64_t retry_ms;
	bool blocked; /* until then nothing is published at all */
	bool stored;  /* something of an earlier run waits for its manifest: see settle_stored() */
	uint64_t stored_look_ms;
	uv_signal_t term, interrupt, hangup;
	bool synced; /* the source has told all there is */
	bool ready;  /* and all of it is in force */
	bool stopping;
	bool no_memory; /* a change was lost */
	int ret;	/* of the whole run */
	struct err *err;
};

/* ---- saying ------------------------------------------------------------------ */

static void log_line(void *arg, const char *text)
{
	(void)arg;
	(void)fprintf(stderr, "shunt: %s\n", text);
}

__attribute__((format(printf, 1, 2))) static void log_fmt(const char *fmt, ...)
{
	char text[1200];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_line(NULL, text);
}

/* ---- what the source tells ------------------------------------------------------ */

static void count_change(struct agent *agent, enum kind kind)
{
	struct agent_stats *stats = &agent->stats;

	if (kind == KIND_SERVICE) {
		stats->service_changes++;
		stats->service_changes_pending++;
	} else if (kind == KIND_ENDPOINT_SLICE || kind == KIND_ENDPOINTS) {
		stats->endpoint_changes++;
		stats->endpoint_changes_pending++;
	}
	stats->last_queued_unix_ms = unix_ms();
}

/* The world has been told, @ret is what it said. */
static void after_change(struct agent *agent, int ret)
{
	agent->no_memory |= ret == -ENOMEM;
	/* Not all that is told is there to be published. */
	if (agent->health && sync_waits(&agent->sync))
		health_queued(agent->health);
}

static uint64_t read_at(const struct agent *agent)
{
	uint64_t at = agent->kube ? kube_source_read_at(agent->kube) : 0;

	return at ? at : uv_hrtime();
}

static void on_put(void *arg, struct object *object)
{
	struct agent *agent = arg;
	const char *node = agent->opts->settings->node_name;

	count_change(agent, object->kind);
	if (object->kind == KIND_NODE && agent->health && node && !strcmp(object->meta.name, node))
		health_node_deleting(agent->health, object->meta.deleting);
	after_change(agent, world_put(&agent->sync.world, object, read_at(agent)));
}

static void on_gone(void *arg, enum kind kind, const char *ns, const char *name)
{
	struct agent *agent = arg;

	count_change(agent, kind);
	after_change(agent, world_gone(&agent->sync.world, kind, ns, name, read_at(agent)));
}

static void on_synced(void *arg)
{
	struct agent *agent = arg;

	agent->synced = true;
}

static void on_refused(void *arg, const char *what, const char *why)
{
	struct agent *agent = arg;

	agent->stats.objects_refused++;
	log_fmt("%s left out: %s", what, why);
}

/* ---- publishing ------------------------------------------------------------------- */

/* The next turn publishes. */
static void on_retry(uv_timer_t *timer)
{
	struct agent *agent = timer->data;

	agent->blocked = false;
	world_retry(&agent->sync.world);
}

static void retry_later(struct agent *agent)
{
	if (uv_is_active((uv_handle_t *)&agent->retry))
		return;
	(void)uv_timer_start(&agent->retry, on_retry, agent->retry_ms, 0);
	agent->retry_ms = agent->retry_ms * 2 < RETRY_MAX_MS ? agent->retry_ms * 2 : RETRY_MAX_MS;
}

/*
 * Services of an earlier run that no manifest has: they are gone, unless they may be in one
 * that can't be read; then the kernel goes on with what it has of them.
 */
static void settle_stored(struct agent *agent)
{
	struct folder_status status = { 0 };

	if (uv_now(&agent->loop) < agent->stored_look_ms)
		return;
	agent->stored_look_ms = uv_now(&agent->loop) + STORED_LOOK_MS;
	folder_status(agent->folder, &status);
	if (!status.files_refused) {
		world_forget_stored(&agent->sync.world, uv_hrtime());
		agent->stored = false;
	} else if (!agent->ready && world_keep_stored(&agent->sync.world)) {
		log_line(agent, "what an earlier run served stays as it was until all manifests "
				"can be read");
	}
}

static void say_ready(struct agent *agent)
{
	const struct publish_result *last = &agent->sync.last;
	struct err err = { 0 };

	agent->ready = true;
	if (agent->edges.hold && edges_release(&agent->edges, &err))
		log_line(agent, err.msg);
	log_fmt("in force: %zu Service ports added, %zu changed, %zu removed; backends %zu, %zu, "
		"%zu",
		last->services_added, last->services_changed, last->services_removed,
		last->backends_added, last->backends_changed, last->backends_removed);
	notify("READY=1\nSTATUS=in force");
	/* What reading everything has taken for a while. */
	(void)malloc_trim(0);
}

static void published(struct agent *agent)
{
	agent->stats.service_changes_pending = agent->stats.endpoint_changes_pending = 0;
	if (agent->health)
		health_synced(agent->health);
	if (!agent->ready)
		say_ready(agent);
	if (agent->sync.world.n_failed)
		retry_later(agent);
	else
		agent->retry_ms = RETRY_MS;
}

static void stop(struct agent *agent);

/* What is known is not what there is: the next start reads all of it, and nobody notices. */
static void give_up(struct agent *agent)
{
	agent->ret = err_system(agent->err, -ENOMEM,
				"a change is lost: start again; what is in force stays so");
	stop(agent);
}

/* Once before each wait: all that came since the last one goes out together. */
static void on_publish(uv_prepare_t *handle)
{
	struct agent *agent = handle->data;
	struct err err = { 0 };

	if (agent->no_memory && !agent->stopping)
		give_up(agent);
	if (agent->stopping || !agent->synced || agent->blocked)
		return;
	if (agent->stored)
		settle_stored(agent);
	if (!sync_waits(&agent->sync))
		return;
	if (sync_run(&agent->sync, &err)) {
		log_fmt("not all is in force: %s; tried again in %" PRIu64 " s", err.msg,
			agent->retry_ms / 1000);
		agent->blocked = true;
		retry_later(agent);
	} else {
		published(agent);
	}
	reclaim_kick(&agent->reclaim);
	if (agent->sync.unsaved && sync_save(&agent->sync, &err))
		log_line(agent, err.msg);
}

/* ---- the servers -------------------------------------------------------------------- */

static bool on_metrics(void *arg, const struct http_request *request, struct http_answer *answer)
{
	struct agent *agent = arg;
	const struct metrics_sources sources = {
		.stats = &agent->stats,
		.dp = agent->dp,
		.kube = agent->kube,
		.health = agent->health,
		.drops = &agent->drops,
	};

	if (strcmp(request->path, "/metrics") != 0)
		return false;
	answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
	if (metrics_render(&sources, &answer->body, &answer->len))
		answer->status = 503;
	return true;
}

static struct http_listen listen_of(const struct settings_listen *listen)
{
	return (struct http_listen){ .addr = listen->addr, .port = listen->port };
}

static void start_ui(struct agent *agent)
{
	const struct settings *settings = agent->opts->settings;
	const struct ui_opts opts = { .listen = listen_of(&settings->ui),
				      .instance = { settings->bpffs, settings->state } };
	char at[ADDR_PORT_STRLEN];
	struct err err = { 0 };

	if (!opts.listen.port)
		return;
	if (ui_start(&agent->ui, &agent->loop, &opts, &err))
		log_line(agent, err.msg);
	else
		log_fmt("the web page is at http://%s/%s",
			addr_port_format(&opts.listen.addr, htons(opts.listen.port), at),
			ui_is_private(agent->ui) ? "" : ", for whoever reaches that address");
}

/* A port that somebody has is no reason to leave Services unserved. */
static void start_servers(struct agent *agent)
{
	const struct settings *settings = agent->opts->settings;
	const struct health_opts health = { .healthz = listen_of(&settings->healthz) };
	const struct http_listen metrics = listen_of(&settings->metrics);
	const struct http_service service = { .handler = on_metrics, .arg = agent };
	struct err err = { 0 };

	if (health_start(&agent->health, &agent->loop, &health, &err))
		log_line(agent, err.msg);
	agent->sync.health = agent->health;
	if (metrics.port && http_serve(&agent->metrics, &agent->loop, &metrics, &service, &err))
		log_line(agent, err.msg);
	start_ui(agent);
}

static void start_report(struct agent *agent)
{
	agent->report = (struct report){ .opts = agent->opts,
					 .stats = &agent->stats,
					 .kube = &agent->kube,
					 .world = &agent->sync.world,
					 .ready = &agent->ready,
					 .log = log_line };
	report_start(&agent->report, &agent->loop);
}

/* ---- signals -------------------------------------------------------------------------- */

static void stop(struct agent *agent)
{
	if (agent->stopping)
		return;
	agent->stopping = true;
	notify("STOPPING=1");
	folder_stop(agent->folder);
	kube_source_stop(agent->kube);
	edges_stop(&agent->edges);
	reclaim_stop(&agent->reclaim);
	health_stop(agent->health);
	http_stop(agent->metrics);
	ui_stop(agent->ui);
	report_stop(&agent->report);
	uv_close((uv_handle_t *)&agent->publish, NULL);
	uv_close((uv_handle_t *)&agent->retry, NULL);
	uv_close((uv_handle_t *)&agent->term, NULL);
	uv_close((uv_handle_t *)&agent->interrupt, NULL);
	uv_close((uv_handle_t *)&agent->hangup, NULL);
}

static void on_stop(uv_signal_t *handle, int signum)
{
	stop(handle->data);
}

static void on_hangup(uv_signal_t *handle, int signum)
{
	struct agent *agent = handle->data;
	struct err err = { 0 };
	int ret;

	ret = agent->opts->reload(agent->opts->arg, &err);
	if (ret) {
		log_fmt("options stay as they were: %s", err.msg);
		return;
	}
	if (agent->ready)
		notify("RELOADING=1");
	agent->sync.world.all_dirty = true;
	ret = dataplane_reload(agent->dp, agent->opts->settings, &err);
	/* Before the first publish nothing is attached; then by these options. */
	if (!ret && !agent->edges.hold)
		ret = edges_release(&agent->edges, &err);
	if (ret)
		log_fmt("options read again, but not all are in force: %s", err.msg);
	else
		log_line(agent, "options read again");
	if (agent->ready)
		notify("READY=1");
}

static void start_signals(struct agent *agent)
{
	agent->term.data = agent->interrupt.data = agent->hangup.data = agent;
	(void)uv_signal_init(&agent->loop, &agent->term);
	(void)uv_signal_init(&agent->loop, &agent->interrupt);
	(void)uv_signal_init(&agent->loop, &agent->hangup);
	(void)uv_signal_start(&agent->term, on_stop, SIGTERM);
	(void)uv_signal_start(&agent->interrupt, on_stop, SIGINT);
	(void)uv_signal_start(&agent->hangup, on_hangup, SIGHUP);
}

/* ---- begin and end ---------------------------------------------------------------------- */

/* What was given to Services before stays theirs. */
static int load_stored(struct agent *agent, struct err *err)
{
	struct object_set stored = { 0 };
	size_t i;
	int ret;

	ret = store_load(agent->opts->settings->state, &stored, err);
	for (i = 0; i < stored.n && !ret; i++) {
		if (stored.v[i]->kind != KIND_SERVICE)
			continue;
		ret = world_put_stored(&agent->sync.world, object_ref(stored.v[i]));
		agent->stored = true;
		if (ret)
			err_system(err, ret, "read the state folder");
	}
	object_set_done(&stored);
	return ret;
}

static int start_source(struct agent *agent, struct err *err)
{
	const struct settings *settings = agent->opts->settings;
	const struct source_sink sink = {
		.put = on_put,
		.gone = on_gone,
		.synced = on_synced,
		.refused = on_refused,
		.notice = log_line,
		.arg = agent,
	};
	const struct kube_opts kube = { .config = agent->opts->kube,
					.node_name = settings->node_name };
	int ret;

	if (agent->opts->kube)
		return kube_source_start(&agent->kube, &agent->loop, &kube, &sink, err);
	ret = load_stored(agent, err);
	return ret ? ret
		   : folder_watch(&agent->folder, &agent->loop, settings->manifests, &sink, err);
}

static int start(struct agent *agent, struct err *err)
{
	const struct settings *settings = agent->opts->settings;
	const bool fresh = !dataplane_is_there(settings);
	int ret;

	ret = dataplane_open(&agent->dp, DATAPLANE_WRITE, settings, err);
	if (ret)
		return ret;
	agent->opened = true;
	agent->sync.dp = agent->dp;
	agent->publish.data = agent->retry.data = agent;
	(void)uv_prepare_init(&agent->loop, &agent->publish);
	(void)uv_timer_init(&agent->loop, &agent->retry);
	(void)uv_prepare_start(&agent->publish, on_publish);
	start_signals(agent);
	agent->reclaim =
		(struct reclaim){ .dp = agent->dp, .stats = &agent->stats, .log = log_line };
	(void)reclaim_start(&agent->reclaim, &agent->loop);
	/* One that is there serves already: new devices, and new programs, don't wait. */
	ret = edges_start(&agent->edges, &agent->loop, &agent->sync,
			  fresh || dataplane_needs_publish(agent->dp), err);
	start_servers(agent);
	start_report(agent);
	if (!ret)
		ret = start_source(agent, err);
	if (ret)
		stop(agent);
	return ret;
}

static void finish(struct agent *agent, struct err *err)
{
	const struct settings *settings = agent->opts->settings;

	(void)uv_run(&agent->loop, UV_RUN_DEFAULT); /* until every handle is closed */
	(void)uv_loop_close(&agent->loop);
	sync_done(&agent->sync);
	dataplane_close(agent->dp);
	if (settings->cleanup_on_exit && agent->opened && !agent->ret)
		agent->ret = dataplane_reset(settings, err);
}

int agent_serve(const struct agent_opts *opts, struct err *err)
{
	struct agent agent = { .opts = opts, .retry_ms = RETRY_MS, .err = err };
	int ret;

	ret = uv_loop_init(&agent.loop);
	if (ret)
		return err_system(err, ret, "make an event loop");
	agent_stats_init(&agent.stats);
	agent.stats.started_unix_ms = unix_ms();
	agent.sync.settings = opts->settings;
	agent.sync.stats = &agent.stats;
	agent.sync.log = log_line;
	world_init(&agent.sync.world, !opts->kube);
	agent.ret = start(&agent, err);
	if (!agent.ret)
		(void)uv_run(&agent.loop, UV_RUN_DEFAULT);
	finish(&agent, err);
	return agent.ret;
}
