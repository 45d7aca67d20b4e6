// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/metrics.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- histograms ------------------------------------------------------------------- */

/* kube-proxy's: 1 ms, doubled 14 times. */
static const double sync_bounds[] = {
	0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064,  0.128,
	0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384,
};

/* kube-proxy's: to 0.5 s by 0.25 s, to 1 min by 1 s, to 2 min by 5 s, to 5 min by 30 s. */
static const double programming_bounds[] = {
	0.25, 0.5, 1,  2,  3,  4,  5,  6,  7,  8,   9,	 10,  11,  12,	13,  14,  15,  16,  17,	 18,
	19,   20,  21, 22, 23, 24, 25, 26, 27, 28,  29,	 30,  31,  32,	33,  34,  35,  36,  37,	 38,
	39,   40,  41, 42, 43, 44, 45, 46, 47, 48,  49,	 50,  51,  52,	53,  54,  55,  56,  57,	 58,
	59,   60,  65, 70, 75, 80, 85, 90, 95, 100, 105, 110, 115, 120, 150, 180, 210, 240, 270, 300
};

static const double publish_bounds[] = {
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
	0.05,	0.1,	 0.25,	 0.5,	1,	2.5,   5,    10,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
_Static_assert(COUNT(sync_bounds) <= METRICS_BUCKETS &&
		       COUNT(programming_bounds) <= METRICS_BUCKETS &&
		       COUNT(publish_bounds) <= METRICS_BUCKETS,
	       "a histogram has room for its buckets");

void histogram_add(struct histogram *histogram, double seconds)
{
	size_t i = 0;

	while (i < histogram->n && seconds > histogram->bounds[i])
		i++;
	histogram->counts[i]++;
	histogram->total++;
	histogram->sum += seconds;
}

static struct histogram histogram_of(const double *bounds, size_t n)
{
	return (struct histogram){ .bounds = bounds, .n = n };
}

void agent_stats_init(struct agent_stats *stats)
{
	*stats = (struct agent_stats){
		.sync_duration = histogram_of(sync_bounds, COUNT(sync_bounds)),
		.full_sync_duration = histogram_of(sync_bounds, COUNT(sync_bounds)),
		.partial_sync_duration = histogram_of(sync_bounds, COUNT(sync_bounds)),
		.publish_latency = histogram_of(publish_bounds, COUNT(publish_bounds)),
		.programming_duration = histogram_of(programming_bounds, COUNT(programming_bounds)),
	};
}

/* ---- the text format ---------------------------------------------------------------- */

static void put_head(FILE *out, const char *name, const char *type, const char *help)
{
	(void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value is any text: three characters of it are escaped. */
static void put_label(FILE *out, const char *key, const char *value)
{
	(void)fprintf(out, "%s=\"", key);
	for (; *value; value++) {
		if (*value == '\n')
			(void)fputs("\\n", out);
		else if (*value == '\\' || *value == '"')
			(void)fprintf(out, "\\%c", *value);
		else
			(void)fputc(*value, out);
	}
	(void)fputc('"', out);
}

/* One number of several that @key tells apart. */
static void put_sample(FILE *out, const char *name, const char *key, const char *value,
		       uint64_t number)
{
	(void)fprintf(out, "%s{", name);
	put_label(out, key, value);
	(void)fprintf(out, "} %" PRIu64 "\n", number);
}

static void put_number(FILE *out, const char *name, const char *type, const char *help,
		       uint64_t value)
{
	put_head(out, name, type, help);
	(void)fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_seconds(FILE *out, const char *name, const char *type, const char *help,
			double value)
{
	put_head(out, name, type, help);
	(void)fprintf(out, "%s %.15g\n", name, value);
}

static void put_histogram(FILE *out, const char *name, const char *help,
			  const struct histogram *histogram)
{
	uint64_t sum = 0;
	size_t i;

	put_head(out, name, "histogram", help);
	for (i = 0; i < histogram->n; i++) {
		sum += histogram->counts[i];
		(void)fprintf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, histogram->bounds[i],
			      sum);
	}
	(void)fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, histogram->total);
	(void)fprintf(out, "%s_sum %.15g\n%s_count %" PRIu64 "\n", name, histogram->sum, name,
		      histogram->total);
}

/* ---- the process ---------------------------------------------------------------------- */

/* Of /proc/self/stat, as proc(5) numbers its fields; the name before them may hold anything. */
enum { STAT_UTIME = 14, STAT_STIME, STAT_VSIZE = 23, STAT_RSS };

static bool stat_read(uint64_t fields[static STAT_RSS + 1])
{
	char text[1024], *at, *end;
	FILE *file = fopen("/proc/self/stat", "re");
	size_t len;
	int i;

	if (!file)
		return false;
	len = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[len] = '\0';
	at = strrchr(text, ')');
	if (!at || at + 4 > text + len)
		return false;
	at += 4; /* ") S": the state is field 3 */
	for (i = 4; i <= STAT_RSS; i++) {
		fields[i] = (uint64_t)strtoll(at, &end, 10);
		if (end == at)
			return false;
		at = end;
	}
	return true;
}

static void put_open_fds(FILE *out)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	struct rlimit limit;
	uint64_t n = 0;

	if (dir) {
		while ((entry = readdir(dir)) != NULL)
			n += entry->d_name[0] != '.';
		(void)closedir(dir);
		/* The folder's own is not counted. */
		put_number(out, "process_open_fds", "gauge", "Number of open file descriptors.",
			   n - 1);
	}
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur != RLIM_INFINITY)
		put_number(out, "process_max_fds", "gauge",
			   "Maximum number of open file descriptors.", limit.rlim_cur);
}

static void put_process(FILE *out)
{
	const long hz = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
	uint64_t fields[STAT_RSS + 1];

	if (hz > 0 && page > 0 && stat_read(fields)) {
		put_seconds(out, "process_cpu_seconds_total", "counter",
			    "Total user and system CPU time spent in seconds.",
			    (double)(fields[STAT_UTIME] + fields[STAT_STIME]) / (double)hz);
		put_number(out, "process_resident_memory_bytes", "gauge",
			   "Resident memory size in bytes.", fields[STAT_RSS] * (uint64_t)page);
		put_number(out, "process_virtual_memory_bytes", "gauge",
			   "Virtual memory size in bytes.", fields[STAT_VSIZE]);
	}
	put_open_fds(out);
	put_head(out, "shunt_build_info", "gauge", "Constantly 1; its label is shunt's version.");
	put_sample(out, "shunt_build_info", "version", SHUNT_VERSION, 1);
}

/* ---- the agent's own counts --------------------------------------------------------- */

struct stat_number {
	const char *name, *type, *help;
	size_t offset; /* of a uint64_t in struct agent_stats */
};

#define STAT(field) offsetof(struct agent_stats, field)
static const struct stat_number stat_numbers[] = {
	{ "kubeproxy_sync_proxy_rules_endpoint_changes_pending", "gauge",
	  "Pending proxy rules Endpoint changes", STAT(endpoint_changes_pending) },
	{ "kubeproxy_sync_proxy_rules_endpoint_changes_total", "counter",
	  "Cumulative proxy rules Endpoint changes", STAT(endpoint_changes) },
	{ "kubeproxy_sync_proxy_rules_service_changes_pending", "gauge",
	  "Pending proxy rules Service changes", STAT(service_changes_pending) },
	{ "kubeproxy_sync_proxy_rules_service_changes_total", "counter",
	  "Cumulative proxy rules Service changes", STAT(service_changes) },
	{ "shunt_syncs_total", "counter", "Publishes of what had changed.", STAT(syncs) },
	{ "shunt_full_syncs_total", "counter", "Publishes of all there is.", STAT(full_syncs) },
	{ "shunt_sync_failures_total", "counter", "Publishes that failed, in part or as a whole.",
	  STAT(sync_failures) },
	{ "shunt_objects_refused_total", "counter",
	  "Objects that were left out because something in them is wrong.", STAT(objects_refused) },
	{ "shunt_flows_ended_total", "counter",
	  "Flow table entries that were ended because their backend is gone.", STAT(flows_ended) },
	{ "shunt_flows_expired_total", "counter",
	  "Flow table entries that were freed by the sweep after their idle time.",
	  STAT(flows_expired) },
	{ "shunt_sockets_ended_total", "counter",
	  "Local sockets that were ended because their backend is gone.", STAT(sockets_ended) },
	{ "shunt_sweeps_total", "counter", "Whole passes over the flow tables.", STAT(sweeps) },
	{ "shunt_route_epochs_total", "counter",
	  "Times that all cached next hops were made void by a change of routes.",
	  STAT(route_epochs) },
	{ "shunt_attachments_total", "counter",
	  "Times that the programs were attached anew to what devices there are.",
	  STAT(attachments) },
};

/* UNIX times; of what has not happened yet there is none. */
static const struct stat_number stat_times[] = {
	{ "process_start_time_seconds", "gauge",
	  "Start time of the process since unix epoch in seconds.", STAT(started_unix_ms) },
	{ "kubeproxy_sync_proxy_rules_last_timestamp_seconds", "gauge",
	  "The last time proxy rules were successfully synced", STAT(last_sync_unix_ms) },
	{ "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "gauge",
	  "The last time a sync of proxy rules was queued", STAT(last_queued_unix_ms) },
};
#undef STAT

static uint64_t stat_value(const struct agent_stats *stats, const struct stat_number *number)
{
	uint64_t value;

	memcpy(&value, (const char *)stats + number->offset, sizeof(value));
	return value;
}

static void put_stats_histograms(FILE *out, const struct agent_stats *stats)
{
	put_histogram(out, "kubeproxy_sync_proxy_rules_duration_seconds",
		      "SyncProxyRules latency in seconds", &stats->sync_duration);
	if (stats->full_sync_duration.total)
		put_histogram(out, "kubeproxy_sync_full_proxy_rules_duration_seconds",
			      "SyncProxyRules latency in seconds for full resyncs",
			      &stats->full_sync_duration);
	if (stats->partial_sync_duration.total)
		put_histogram(out, "kubeproxy_sync_partial_proxy_rules_duration_seconds",
			      "SyncProxyRules latency in seconds for partial resyncs",
			      &stats->partial_sync_duration);
	put_histogram(out, "kubeproxy_network_programming_duration_seconds",
		      "In Cluster Network Programming Latency in seconds",
		      &stats->programming_duration);
	put_histogram(out, "shunt_publish_latency_seconds",
		      "Time of a change from when it was read until it was in force, in seconds.",
		      &stats->publish_latency);
}

static void put_agent(FILE *out, const struct agent_stats *stats)
{
	const struct stat_number *at;

	for (at = stat_times; at < stat_times + COUNT(stat_times); at++)
		if (stat_value(stats, at))
			put_seconds(out, at->name, at->type, at->help,
				    (double)stat_value(stats, at) / 1000);
	for (at = stat_numbers; at < stat_numbers + COUNT(stat_numbers); at++)
		put_number(out, at->name, at->type, at->help, stat_value(stats, at));
	put_stats_histograms(out, stats);
}

/* ---- health ------------------------------------------------------------------------------ */

static void put_health(FILE *out, const struct health *health)
{
	struct health_counts counts;

	health_counts(health, &counts);
	put_head(out, "kubeproxy_proxy_healthz_total", "counter",
		 "Cumulative proxy healthz HTTP status");
	put_sample(out, "kubeproxy_proxy_healthz_total", "code", "200", counts.healthz_ok);
	put_sample(out, "kubeproxy_proxy_healthz_total", "code", "503", counts.healthz_failed);
	put_head(out, "kubeproxy_proxy_livez_total", "counter",
		 "Cumulative proxy livez HTTP status");
	put_sample(out, "kubeproxy_proxy_livez_total", "code", "200", counts.livez_ok);
	put_sample(out, "kubeproxy_proxy_livez_total", "code", "503", counts.livez_failed);
	put_head(out, "shunt_health_check_ports", "gauge",
		 "healthCheckNodePorts that are listened on, and those that could not be had.");
	put_sample(out, "shunt_health_check_ports", "state", "listening", counts.listening);
	put_sample(out, "shunt_health_check_ports", "state", "refused", counts.refused);
}

/* ---- the data path -------------------------------------------------------------------------- */

static void put_flow_sample(FILE *out, const char *family, const char *state, uint64_t value)
{
	(void)fputs("shunt_flows{", out);
	put_label(out, "family", family);
	(void)fputc(',', out);
	put_label(out, "state", state);
	(void)fprintf(out, "} %" PRIu64 "\n", value);
}

static void put_flow_samples(FILE *out, const char *family, const uint64_t counts[static SH_STATES])
{
	put_flow_sample(out, family, flow_state_name(SH_NEW), counts[SH_NEW]);
	/* Both have one name. */
	put_flow_sample(out, family, flow_state_name(SH_LIVE),
			counts[SH_LIVE] + counts[SH_LIVE_UDP]);
	put_flow_sample(out, family, flow_state_name(SH_HALF_CLOSED), counts[SH_HALF_CLOSED]);
	put_flow_sample(out, family, flow_state_name(SH_CLOSED), counts[SH_CLOSED]);
	put_flow_sample(out, family, flow_state_name(SH_GONE), counts[SH_GONE]);
}

/* What shunt_map_entries and shunt_map_capacity tell: all samples of a name stand together. */
struct fills {
	struct {
		const char *map;
		struct fill fill;
	} v[8];
	size_t n;
};

static void fills_add(struct fills *fills, const char *map, const struct fill *fill)
{
	fills->v[fills->n].map = map;
	fills->v[fills->n++].fill = *fill;
}

static struct fill flow_fill(const uint64_t counts[static SH_STATES], uint64_t max)
{
	struct fill fill = { .max = max };
	unsigned int state;

	for (state = SH_FREE + 1; state < SH_STATES; state++)
		fill.used += counts[state];
	return fill;
}

static void put_flows(FILE *out, struct dataplane *dp, struct fills *fills)
{
	struct flow_counts counts;
	struct fill fill;

	dataplane_flow_counts(dp, &counts);
	put_head(out, "shunt_flows", "gauge",
		 "Entries of the flow tables; a connection has two, one a direction.");
	put_flow_samples(out, family_name(FAMILY_IPV4), counts.v4);
	put_flow_samples(out, family_name(FAMILY_IPV6), counts.v6);
	fill = flow_fill(counts.v4, counts.max4);
	fills_add(fills, "shunt_flows4", &fill);
	fill = flow_fill(counts.v6, counts.max6);
	fills_add(fills, "shunt_flows6", &fill);
}

static void put_drops(FILE *out, const struct metrics_sources *sources, struct fills *fills)
{
	struct drop_counts now = { 0 }, *counts = sources->drops ? sources->drops : &now;
	unsigned int reason;
	struct fill fill;

	if (dataplane_drop_counts(sources->dp, counts, NULL))
		return;
	put_head(out, "shunt_drops_total", "counter",
		 "Packets and connections that were refused, by reason.");
	for (reason = SH_REASON_NONE + 1; reason < SH_REASON_COUNT; reason++)
		put_sample(out, "shunt_drops_total", "reason", reason_word((enum sh_reason)reason),
			   counts->packets[reason]);
	fill = (struct fill){ counts->entries, counts->max };
	fills_add(fills, "shunt_drops", &fill);
}

static void put_published(FILE *out, const struct dataplane_fill *fill)
{
	static const char no_local[] = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";

	put_number(out, "shunt_services", "gauge", "Services that are published.", fill->services);
	put_number(out, "shunt_service_ports", "gauge",
		   "Ports of the Services that are published, those of each family.",
		   fill->service_ports);
	put_number(out, "shunt_backends", "gauge",
		   "Endpoints of these ports: whoever serves two of them counts twice.",
		   fill->endpoints);
	put_head(out, no_local, "gauge",
		 "Number of services with a Local traffic policy and no endpoints");
	put_sample(out, no_local, "traffic_policy", "external", fill->no_local_external);
	put_sample(out, no_local, "traffic_policy", "internal", fill->no_local_internal);
}

static void put_fills(FILE *out, const struct fills *fills)
{
	size_t i;

	put_head(out, "shunt_map_entries", "gauge", "Entries of a map that are in use.");
	for (i = 0; i < fills->n; i++)
		put_sample(out, "shunt_map_entries", "map", fills->v[i].map, fills->v[i].fill.used);
	put_head(out, "shunt_map_capacity", "gauge", "Entries that a map has room for.");
	for (i = 0; i < fills->n; i++)
		put_sample(out, "shunt_map_capacity", "map", fills->v[i].map, fills->v[i].fill.max);
}

static void put_data_path(FILE *out, const struct metrics_sources *sources)
{
	struct dataplane_fill fill;
	struct fills fills = { 0 };

	put_flows(out, sources->dp, &fills);
	put_drops(out, sources, &fills);
	if (dataplane_fill(sources->dp, &fill)) {
		put_published(out, &fill);
		fills_add(&fills, "shunt_frontends", &fill.frontends);
		fills_add(&fills, "shunt_backends", &fill.backends);
		fills_add(&fills, "shunt_slots", &fill.slots);
		fills_add(&fills, "shunt_nodeaddrs", &fill.nodeaddrs);
	}
	put_fills(out, &fills);
}

/* ---- the Kubernetes API ------------------------------------------------------------------------ */

static const struct kind_number {
	const char *name, *type, *help;
	size_t offset; /* of a uint64_t in struct kube_kind_status */
} kind_numbers[] = {
	{ "shunt_api_objects", "gauge", "Objects that the API has told of.",
	  offsetof(struct kube_kind_status, objects) },
	{ "shunt_api_lists_total", "counter", "Lists that were begun.",
	  offsetof(struct kube_kind_status, relists) },
	{ "shunt_api_watches_total", "counter", "Watches that were begun.",
	  offsetof(struct kube_kind_status, watches) },
	{ "shunt_api_errors_total", "counter", "Lists and watches that failed.",
	  offsetof(struct kube_kind_status, errors) },
	{ "shunt_api_events_total", "counter", "Events that watches brought.",
	  offsetof(struct kube_kind_status, events) },
	{ "shunt_api_objects_refused_total", "counter",
	  "Objects of the API that were left out because something in them is wrong.",
	  offsetof(struct kube_kind_status, refused) },
};

static void put_api_states(FILE *out, const struct kube_status *status)
{
	static const char *const words[] = {
		[KUBE_WAITING] = "waiting",
		[KUBE_LISTING] = "listing",
		[KUBE_WATCHING] = "watching",
	};
	size_t i, state;

	put_head(out, "shunt_api_state", "gauge",
		 "1 for what is being done about a kind of object, 0 for the rest.");
	for (i = 0; i < status->n; i++)
		for (state = 0; state < COUNT(words); state++) {
			(void)fputs("shunt_api_state{", out);
			put_label(out, "resource", status->kinds[i].resource);
			(void)fputc(',', out);
			put_label(out, "state", words[state]);
			(void)fprintf(out, "} %d\n", (size_t)status->kinds[i].state == state);
		}
}

static void put_api_silence(FILE *out, const struct kube_status *status)
{
	const uint64_t now = uv_hrtime() / 1000000; /* uv_now() without its loop */
	const struct kube_kind_status *kind;
	uint64_t silent_ms;
	bool any = false;

	for (kind = status->kinds; kind < status->kinds + status->n; kind++) {
		if (!kind->last_heard_ms)
			continue;
		if (!any)
			put_head(out, "shunt_api_silence_seconds", "gauge",
				 "Time since the API server was heard of last, in seconds.");
		any = true;
		silent_ms = now > kind->last_heard_ms ? now - kind->last_heard_ms : 0;
		(void)fputs("shunt_api_silence_seconds{", out);
		put_label(out, "resource", kind->resource);
		(void)fprintf(out, "} %.3f\n", (double)silent_ms / 1000);
	}
}

static void put_api(FILE *out, const struct kube_source *kube)
{
	const struct kind_number *at;
	struct kube_status status;
	uint64_t value;
	size_t i;

	kube_source_status(kube, &status);
	put_number(out, "shunt_api_synced", "gauge", "1 once every kind of object was listed.",
		   status.synced);
	put_api_states(out, &status);
	for (at = kind_numbers; at < kind_numbers + COUNT(kind_numbers); at++) {
		put_head(out, at->name, at->type, at->help);
		for (i = 0; i < status.n; i++) {
			memcpy(&value, (const char *)&status.kinds[i] + at->offset, sizeof(value));
			put_sample(out, at->name, "resource", status.kinds[i].resource, value);
		}
	}
	put_api_silence(out, &status);
}

/* ---- the page --------------------------------------------------------------------------------- */

int metrics_render(const struct metrics_sources *sources, char **out, size_t *len_out)
{
	char *text = NULL;
	size_t len = 0;
	FILE *page = open_memstream(&text, &len);
	bool failed;

	if (!page)
		return -ENOMEM;
	put_process(page);
	if (sources->stats)
		put_agent(page, sources->stats);
	if (sources->health)
		put_health(page, sources->health);
	if (sources->dp)
		put_data_path(page, sources);
	if (sources->kube)
		put_api(page, sources->kube);
	failed = ferror(page);
	if (fclose(page) || failed) {
		free(text);
		return -ENOMEM;
	}
	*out = text;
	*len_out = len;
	return 0;
}
