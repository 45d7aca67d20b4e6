// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/edges.h"
#include "agent/notify.h"
#include "agent/reclaim.h"
#include "agent/sync.h"
#include "source/folder.h"
#include "source/store.h"

#define RETRY_MS     1000 /* of what the system refused; doubling */
#define RETRY_MAX_MS 30000

struct agent {
	const struct agent_opts *opts;
	uv_loop_t loop;
	struct dataplane *dp;
	struct sync sync;
	struct reclaim reclaim;
	struct edges edges;
	struct agent_stats stats;
	struct folder *folder; /* one of these two */
	struct kube_source *kube;
	struct health *health;
	struct http_server *metrics;
	struct drop_counts drops; /* what Services that are gone had counted, too */
	uv_prepare_t publish;	  /* what one turn of the loop has brought */
	uv_timer_t retry;
	uint64_t retry_ms;
	uv_signal_t term, interrupt, hangup;
	bool synced; /* the source has told all there is */
	bool ready;  /* and all of it is in force */
	bool stopping;
	int ret; /* of the whole run */
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

static uint64_t unix_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- what the source tells ------------------------------------------------------ */

static void no_memory(struct agent *agent)
{
	log_line(agent, "no memory for a change: all is read again");
	agent->sync.world.all_dirty = true;
}

static void count_change(struct agent *agent, enum kind kind)
{
	if (kind == KIND_SERVICE)
		agent->stats.service_changes++;
	else if (kind == KIND_ENDPOINT_SLICE || kind == KIND_ENDPOINTS)
		agent->stats.endpoint_changes++;
	agent->stats.last_queued_unix_ms = unix_ms();
	if (agent->health)
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
	if (world_put(&agent->sync.world, object, read_at(agent)))
		no_memory(agent);
}

static void on_gone(void *arg, enum kind kind, const char *ns, const char *name)
{
	struct agent *agent = arg;

	count_change(agent, kind);
	if (world_gone(&agent->sync.world, kind, ns, name, read_at(agent)))
		no_memory(agent);
}

static void on_synced(void *arg)
{
	struct agent *agent = arg;

	agent->synced = true;
	world_forget_stored(&agent->sync.world, uv_hrtime());
}

static void on_refused(void *arg, const char *what, const char *why)
{
	struct agent *agent = arg;

	agent->stats.objects_refused++;
	log_fmt("%s left out: %s", what, why);
}

/* ---- publishing ------------------------------------------------------------------- */

static void on_retry(uv_timer_t *timer)
{
	/* Being no longer active it lets the next turn publish. */
	(void)uv_timer_stop(timer);
}

static void retry_later(struct agent *agent, const struct err *err)
{
	log_fmt("not all is in force: %s; tried again in %" PRIu64 " s", err->msg,
		agent->retry_ms / 1000);
	(void)uv_timer_start(&agent->retry, on_retry, agent->retry_ms, 0);
	agent->retry_ms = agent->retry_ms * 2 < RETRY_MAX_MS ? agent->retry_ms * 2 : RETRY_MAX_MS;
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
}

/* Once before each wait: all that came since the last one goes out together. */
static void on_publish(uv_prepare_t *handle)
{
	struct agent *agent = handle->data;
	struct err err = { 0 };

	if (agent->stopping || !agent->synced || !sync_waits(&agent->sync) ||
	    uv_is_active((uv_handle_t *)&agent->retry))
		return;
	if (sync_run(&agent->sync, &err)) {
		retry_later(agent, &err);
	} else {
		agent->retry_ms = RETRY_MS;
		if (agent->health)
			health_synced(agent->health);
		if (!agent->ready)
			say_ready(agent);
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

	notify("RELOADING=1");
	ret = agent->opts->reload(agent->opts->arg, &err);
	if (!ret)
		ret = dataplane_reload(agent->dp, agent->opts->settings, &err);
	if (!ret)
		ret = edges_release(&agent->edges, &err);
	if (ret)
		log_fmt("options stay as they were: %s", err.msg);
	else
		log_line(agent, "options read again");
	agent->sync.world.all_dirty = true;
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

static bool instance_is_there(const struct settings *settings)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/shunt_control", settings->bpffs);
	return !access(path, F_OK);
}

static int start(struct agent *agent, struct err *err)
{
	const struct settings *settings = agent->opts->settings;
	const bool fresh = !instance_is_there(settings);
	int ret;

	ret = dataplane_open(&agent->dp, DATAPLANE_WRITE, settings, err);
	if (ret)
		return ret;
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
	ret = edges_start(&agent->edges, &agent->loop, &agent->sync, fresh, err);
	start_servers(agent);
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
	if (settings->cleanup_on_exit && agent->dp && !agent->ret)
		agent->ret = dataplane_reset(settings, err);
}

int agent_serve(const struct agent_opts *opts, struct err *err)
{
	struct agent agent = { .opts = opts, .retry_ms = RETRY_MS };
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
