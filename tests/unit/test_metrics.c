/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/metrics.h"
#include "dataplane/internal.h"

#define SAMPLES_MAX 4000

/* ---- a strict reader of the text format ---------------------------------------------- */

struct metric {
	char name[128], type[16];
	size_t samples;
};

/* Reads a page line by line; the first thing that is wrong stays in @fault. */
struct page {
	struct metric families[200];
	size_t n_families;
	char *series[SAMPLES_MAX]; /* name and labels, as they stand there */
	double values[SAMPLES_MAX];
	size_t n;
	bool helped; /* the last line was a HELP, its TYPE has to follow */
	char fault[512];
};

static bool wrong(struct page *page, const char *what, const char *line)
{
	(void)snprintf(page->fault, sizeof(page->fault), "%s: %.*s", what, (int)strcspn(line, "\n"),
		       line);
	return false;
}

static size_t name_len(const char *text, bool colon)
{
	size_t len = 0;

	while (isalpha((unsigned char)text[len]) || text[len] == '_' ||
	       (colon && text[len] == ':') || (len && isdigit((unsigned char)text[len])))
		len++;
	return len;
}

static bool read_help(struct page *page, const char *line)
{
	const char *name = line + strlen("# HELP ");
	size_t len = name_len(name, true), i;
	struct metric *family = &page->families[page->n_families];

	if (page->helped)
		return wrong(page, "HELP after HELP", line);
	if (!len || name[len] != ' ' || strcspn(name + len + 1, "\n") == 0)
		return wrong(page, "HELP without a name and a text", line);
	for (i = 0; i < page->n_families; i++)
		if (strlen(page->families[i].name) == len &&
		    strncmp(page->families[i].name, name, len) == 0)
			return wrong(page, "a family that was there before", line);
	if (page->n_families && !page->families[page->n_families - 1].samples)
		return wrong(page, "the family before has no samples", line);
	(void)snprintf(family->name, sizeof(family->name), "%.*s", (int)len, name);
	page->helped = true;
	return true;
}

static bool read_type(struct page *page, const char *line)
{
	struct metric *family = &page->families[page->n_families];
	char want[256];
	static const char *const types[] = { "counter", "gauge", "histogram" };
	size_t i;

	if (!page->helped)
		return wrong(page, "TYPE without HELP", line);
	page->helped = false;
	for (i = 0; i < 3; i++) {
		(void)snprintf(want, sizeof(want), "# TYPE %s %s\n", family->name, types[i]);
		if (strncmp(line, want, strlen(want)) != 0)
			continue;
		(void)strcpy(family->type, types[i]);
		page->n_families++;
		return true;
	}
	return wrong(page, "TYPE of another name, or none that is known", line);
}

/* {a="b",c="d"}; @return what follows, NULL: that is wrong */
static const char *skip_labels(const char *at)
{
	size_t len;

	if (*at != '{')
		return at;
	do {
		at++;
		len = name_len(at, false);
		if (!len || at[len] != '=' || at[len + 1] != '"')
			return NULL;
		for (at += len + 2; *at && *at != '"' && *at != '\n'; at++)
			if (*at == '\\' && !strchr("\\\"n", *++at))
				return NULL;
		if (*at++ != '"')
			return NULL;
	} while (*at == ',');
	return *at == '}' ? at + 1 : NULL;
}

static bool in_family(const struct metric *family, const char *name, size_t len)
{
	static const char *const ends[] = { "_bucket", "_sum", "_count" };
	size_t base = strlen(family->name), i;

	if (strcmp(family->type, "histogram") != 0)
		return len == base && strncmp(name, family->name, len) == 0;
	for (i = 0; i < 3; i++)
		if (len == base + strlen(ends[i]) && strncmp(name, family->name, base) == 0 &&
		    strncmp(name + base, ends[i], strlen(ends[i])) == 0)
			return true;
	return false;
}

static bool read_sample(struct page *page, const char *line)
{
	struct metric *family = page->n_families ? &page->families[page->n_families - 1] : NULL;
	size_t len = name_len(line, true), i;
	const char *at = skip_labels(line + len);
	char *end;

	if (page->helped || !family || !len || !in_family(family, line, len))
		return wrong(page, "a sample outside its family", line);
	if (!at || *at != ' ')
		return wrong(page, "labels", line);
	if (page->n == SAMPLES_MAX)
		return wrong(page, "too many samples", line);
	if (!isdigit((unsigned char)at[1]) && at[1] != '-')
		return wrong(page, "no number", line);
	page->values[page->n] = strtod(at + 1, &end);
	if (*end != '\n')
		return wrong(page, "no number", line);
	if (page->values[page->n] < 0)
		return wrong(page, "less than nothing", line);
	page->series[page->n] = strndup(line, (size_t)(at - line));
	assert_non_null(page->series[page->n]);
	page->n++;
	for (i = 0; i + 1 < page->n; i++)
		if (strcmp(page->series[i], page->series[page->n - 1]) == 0)
			return wrong(page, "the same series twice", line);
	family->samples++;
	return true;
}

/* NULL: it is not there */
static const double *value_of(const struct page *page, const char *series)
{
	size_t i;

	for (i = 0; i < page->n; i++)
		if (strcmp(page->series[i], series) == 0)
			return &page->values[i];
	return NULL;
}

static bool check_histogram(struct page *page, const struct metric *family)
{
	const double *count, *sum;
	double last_le = -1, last = 0, le = 0;
	char want[256];
	bool inf = false;
	size_t i;

	(void)snprintf(want, sizeof(want), "%s_bucket{le=\"", family->name);
	for (i = 0; i < page->n; i++) {
		if (strncmp(page->series[i], want, strlen(want)) != 0)
			continue;
		le = strtod(page->series[i] + strlen(want), NULL);
		if (inf || le <= last_le || page->values[i] < last)
			return wrong(page, "buckets that don't ascend", page->series[i]);
		last_le = le;
		last = page->values[i];
		inf = strcmp(page->series[i] + strlen(want), "+Inf\"}") == 0;
	}
	(void)snprintf(want, sizeof(want), "%s_count", family->name);
	count = value_of(page, want);
	(void)snprintf(want, sizeof(want), "%s_sum", family->name);
	sum = value_of(page, want);
	if (!inf || !count || !sum || *count != last)
		return wrong(page, "a histogram without +Inf, count or sum", family->name);
	return true;
}

static bool check_families(struct page *page)
{
	const struct metric *family;
	size_t i, len;

	for (i = 0; i < page->n_families; i++) {
		family = &page->families[i];
		len = strlen(family->name);
		if (!family->samples)
			return wrong(page, "no samples", family->name);
		if (strcmp(family->type, "histogram") == 0 && !check_histogram(page, family))
			return false;
		if (strcmp(family->type, "counter") == 0 &&
		    (len < 6 || strcmp(family->name + len - 6, "_total") != 0))
			return wrong(page, "a counter whose name isn't one's", family->name);
	}
	return true;
}

static bool page_read(struct page *page, const char *text)
{
	const char *line, *end;
	bool ok = true;

	memset(page, 0, sizeof(*page));
	for (line = text; *line && ok; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			return wrong(page, "no end of line", line);
		if (strncmp(line, "# HELP ", 7) == 0)
			ok = read_help(page, line);
		else if (strncmp(line, "# TYPE ", 7) == 0)
			ok = read_type(page, line);
		else
			ok = read_sample(page, line);
	}
	return ok && check_families(page);
}

static void page_done(struct page *page)
{
	while (page->n)
		free(page->series[--page->n]);
}

static void test_the_reader(void **state)
{
#define A "# HELP a x\n# TYPE a gauge\n"
#define H "# HELP h x\n# TYPE h histogram\n"
	static const struct {
		const char *text, *fault; /* NULL: none */
	} rows[] = {
		{ A "a 1\n", NULL },
		{ A "a{b=\"c\",d=\"\\\\ \\\" \\n\"} 1.5e-3\n", NULL },
		{ H "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n", NULL },
		{ "a 1\n", "a sample outside its family: a 1" },
		{ A, "no samples: a" },
		{ A "a 1", "no end of line: a 1" },
		{ A "a 1\n" A, "a family that was there before: # HELP a x" },
		{ A "a 1\na 1\n", "the same series twice: a 1" },
		{ A "a{b=\"c\"} 1\na{b=\"c\"} 2\n", "the same series twice: a{b=\"c\"} 2" },
		{ A "a x\n", "no number: a x" },
		{ A "a nan\n", "no number: a nan" },
		{ A "a -1\n", "less than nothing: a -1" },
		{ A "a 1 \n", "no number: a 1 " },
		{ A "a  1\n", "no number: a  1" },
		{ A "a{b=\"\\x\"} 1\n", "labels: a{b=\"\\x\"} 1" },
		{ A "a{b=\"c\"d\"} 1\n", "labels: a{b=\"c\"d\"} 1" },
		{ A "a{b=c} 1\n", "labels: a{b=c} 1" },
		{ A "ab 1\n", "a sample outside its family: ab 1" },
		{ "# HELP a\n", "HELP without a name and a text: # HELP a" },
		{ "# TYPE a gauge\n", "TYPE without HELP: # TYPE a gauge" },
		{ "# HELP a x\na 1\n", "a sample outside its family: a 1" },
		{ "# HELP a x\n# TYPE a thing\n",
		  "TYPE of another name, or none that is known: # TYPE a thing" },
		{ "# HELP a x\n# TYPE a counter\na 1\n", "a counter whose name isn't one's: a" },
		{ H "h_bucket{le=\"1\"} 1\nh_sum 3\nh_count 1\n",
		  "a histogram without +Inf, count or sum: h" },
		{ H "h_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n",
		  "buckets that don't ascend: h_bucket{le=\"+Inf\"}" },
		{ H "h_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 3\n",
		  "a histogram without +Inf, count or sum: h" },
	};
#undef A
#undef H
	struct page page;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(page_read(&page, rows[i].text), !rows[i].fault);
		assert_string_equal(page.fault, rows[i].fault ? rows[i].fault : "");
		page_done(&page);
	}
}

/* ---- pages ------------------------------------------------------------------------------ */

static char *render(const struct metrics_sources *sources, struct page *page)
{
	char *text = NULL;
	size_t len = 0;

	assert_int_equal(metrics_render(sources, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	if (!page_read(page, text))
		fail_msg("%s", page->fault);
	return text;
}

static void assert_value(const struct page *page, const char *series, double want)
{
	const double *value = value_of(page, series);

	if (!value)
		fail_msg("%s is not there", series);
	if (*value != want)
		fail_msg("%s is %.15g, not %.15g", series, *value, want);
}

static void assert_absent(const struct page *page, const char *series)
{
	size_t i;

	for (i = 0; i < page->n; i++)
		if (strncmp(page->series[i], series, strlen(series)) == 0)
			fail_msg("%s is there", page->series[i]);
}

static void assert_type(const struct page *page, const char *name, const char *type)
{
	size_t i;

	for (i = 0; i < page->n_families; i++) {
		if (strcmp(page->families[i].name, name) == 0) {
			assert_string_equal(page->families[i].type, type);
			return;
		}
	}
	fail_msg("%s is not there", name);
}

static void test_process_alone(void **state)
{
	const struct metrics_sources none = { 0 };
	struct page page;
	char *text = render(&none, &page);

	assert_value(&page, "shunt_build_info{version=\"" SHUNT_VERSION "\"}", 1);
	assert_true(*value_of(&page, "process_resident_memory_bytes") > 100000);
	assert_true(*value_of(&page, "process_virtual_memory_bytes") >
		    *value_of(&page, "process_resident_memory_bytes"));
	assert_in_range(*value_of(&page, "process_open_fds"), 3, 1000);
	assert_true(value_of(&page, "process_max_fds") != NULL);
	assert_in_range(*value_of(&page, "process_cpu_seconds_total"), 0, 60);
	assert_absent(&page, "kubeproxy_");
	assert_absent(&page, "process_start_time_seconds");
	assert_absent(&page, "shunt_flows");
	assert_absent(&page, "shunt_api");
	free(text);
	page_done(&page);
}

static void test_stats(void **state)
{
	struct agent_stats stats;
	const struct metrics_sources sources = { .stats = &stats };
	struct page page;
	char *text;

	agent_stats_init(&stats);
	text = render(&sources, &page);
	/* What has not happened has no time, and no full sync is not one of 0 seconds. */
	assert_absent(&page, "kubeproxy_sync_proxy_rules_last_timestamp_seconds");
	assert_absent(&page, "kubeproxy_sync_full_proxy_rules_duration_seconds");
	assert_value(&page, "kubeproxy_sync_proxy_rules_duration_seconds_count", 0);
	free(text);
	page_done(&page);

	stats.started_unix_ms = 1700000000123;
	stats.last_sync_unix_ms = 1700000001500;
	stats.last_queued_unix_ms = 1700000001499;
	stats.service_changes = 7;
	stats.service_changes_pending = 2;
	stats.endpoint_changes = UINT64_MAX;
	stats.endpoint_changes_pending = 3;
	stats.objects_refused = 11;
	stats.flows_ended = 12;
	stats.flows_expired = 13;
	stats.sockets_ended = 14;
	stats.sync_failures = 15;
	histogram_add(&stats.full_sync_duration, 0.5);
	histogram_add(&stats.partial_sync_duration, 0.0005);
	text = render(&sources, &page);
	assert_value(&page, "process_start_time_seconds", 1700000000.123);
	assert_value(&page, "kubeproxy_sync_proxy_rules_last_timestamp_seconds", 1700000001.5);
	assert_value(&page, "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
		     1700000001.499);
	assert_value(&page, "kubeproxy_sync_proxy_rules_service_changes_total", 7);
	assert_value(&page, "kubeproxy_sync_proxy_rules_service_changes_pending", 2);
	assert_non_null(strstr(text, "kubeproxy_sync_proxy_rules_endpoint_changes_total "
				     "18446744073709551615\n"));
	assert_value(&page, "kubeproxy_sync_proxy_rules_endpoint_changes_pending", 3);
	assert_type(&page, "kubeproxy_sync_proxy_rules_endpoint_changes_pending", "gauge");
	assert_value(&page, "shunt_objects_refused_total", 11);
	assert_value(&page, "shunt_flows_ended_total", 12);
	assert_value(&page, "shunt_flows_expired_total", 13);
	assert_value(&page, "shunt_sockets_ended_total", 14);
	assert_value(&page, "shunt_sync_failures_total", 15);
	assert_value(&page, "kubeproxy_sync_full_proxy_rules_duration_seconds_count", 1);
	assert_value(&page,
		     "kubeproxy_sync_partial_proxy_rules_duration_seconds_bucket{le=\"0.001\"}", 1);
	free(text);
	page_done(&page);
}

static size_t buckets(const struct page *page, const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < page->n; i++)
		n += strncmp(page->series[i], name, strlen(name)) == 0 &&
		     strncmp(page->series[i] + strlen(name), "_bucket{", 8) == 0;
	return n;
}

static void test_histograms(void **state)
{
#define SYNC	"kubeproxy_sync_proxy_rules_duration_seconds"
#define PROGRAM "kubeproxy_network_programming_duration_seconds"
#define PUBLISH "shunt_publish_latency_seconds"
	struct agent_stats stats;
	const struct metrics_sources sources = { .stats = &stats };
	struct page page;
	char *text;

	agent_stats_init(&stats);
	histogram_add(&stats.sync_duration, 0.001); /* a bound belongs to its bucket */
	histogram_add(&stats.sync_duration, 0.0011);
	histogram_add(&stats.sync_duration, 100);
	histogram_add(&stats.programming_duration, 59.5);
	histogram_add(&stats.publish_latency, 0.00005);
	text = render(&sources, &page);
	assert_value(&page, SYNC "_bucket{le=\"0.001\"}", 1);
	assert_value(&page, SYNC "_bucket{le=\"0.002\"}", 2);
	assert_value(&page, SYNC "_bucket{le=\"16.384\"}", 2);
	assert_value(&page, SYNC "_bucket{le=\"+Inf\"}", 3);
	assert_value(&page, SYNC "_sum", 100.0021);
	assert_int_equal(buckets(&page, SYNC), 16);
	/* kube-proxy's: a dashboard has quantiles of them. */
	assert_int_equal(buckets(&page, PROGRAM), 81);
	assert_value(&page, PROGRAM "_bucket{le=\"0.25\"}", 0);
	assert_value(&page, PROGRAM "_bucket{le=\"0.5\"}", 0);
	assert_value(&page, PROGRAM "_bucket{le=\"59\"}", 0);
	assert_value(&page, PROGRAM "_bucket{le=\"60\"}", 1);
	assert_value(&page, PROGRAM "_bucket{le=\"115\"}", 1);
	assert_value(&page, PROGRAM "_bucket{le=\"120\"}", 1);
	assert_value(&page, PROGRAM "_bucket{le=\"270\"}", 1);
	assert_value(&page, PROGRAM "_bucket{le=\"300\"}", 1);
	assert_value(&page, PUBLISH "_bucket{le=\"0.0001\"}", 1);
	assert_value(&page, PUBLISH "_bucket{le=\"10\"}", 1);
	free(text);
	page_done(&page);
}

/* ---- sources ------------------------------------------------------------------------------ */

static void run_out(uv_loop_t *loop)
{
	assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(loop), 0);
}

static void test_health(void **state)
{
	const struct health_opts opts = { 0 };
	struct metrics_sources sources = { 0 };
	struct health *health = NULL;
	struct page page;
	uv_loop_t loop;
	char *text;

	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(health_start(&health, &loop, &opts, NULL), 0);
	sources.health = health;
	text = render(&sources, &page);
	assert_value(&page, "kubeproxy_proxy_healthz_total{code=\"200\"}", 0);
	assert_value(&page, "kubeproxy_proxy_livez_total{code=\"503\"}", 0);
	assert_value(&page, "shunt_health_check_ports{state=\"listening\"}", 0);
	free(text);
	page_done(&page);
	health_stop(health);
	run_out(&loop);
}

static void put_word(struct sh_bucket *bucket, unsigned int way, enum sh_flow_state state)
{
	/* What else stands in a word is not to be taken for its state. */
	bucket->word[way] = ~SH_WORD_STATE_MASK | (uint32_t)state << SH_WORD_STATE_SHIFT;
}

/* Flow tables in memory, and nothing else of a data path: the rest is left out. */
static void test_flows(void **state)
{
	static struct sh_bucket v4[4], v6[2];
	static struct dataplane dp;
	const struct metrics_sources sources = { .dp = &dp };
	struct page page;
	unsigned int i;
	char *text;

	for (i = 0; i < DP_MAP_COUNT; i++)
		dp.map_fd[i] = -1;
	dp.mem[DP_MAP_TAGS4] = v4;
	dp.mem[DP_MAP_TAGS6] = v6;
	dp.map_max[DP_MAP_TAGS4] = 4;
	dp.map_max[DP_MAP_TAGS6] = 2;
	for (i = 0; i < 5; i++)
		put_word(&v4[1], i, SH_NEW);
	put_word(&v4[3], 15, SH_LIVE);
	put_word(&v4[3], 14, SH_LIVE_UDP);
	put_word(&v4[0], 0, SH_FREE);
	put_word(&v4[2], 7, SH_HALF_CLOSED);
	put_word(&v4[2], 8, SH_BUSY);
	put_word(&v6[1], 0, SH_CLOSED);
	put_word(&v6[1], 1, SH_GONE);
	text = render(&sources, &page);
	assert_value(&page, "shunt_flows{family=\"IPv4\",state=\"new\"}", 5);
	assert_value(&page, "shunt_flows{family=\"IPv4\",state=\"live\"}", 2);
	assert_value(&page, "shunt_flows{family=\"IPv4\",state=\"half-closed\"}", 1);
	assert_value(&page, "shunt_flows{family=\"IPv4\",state=\"gone\"}", 0);
	assert_value(&page, "shunt_flows{family=\"IPv6\",state=\"closed\"}", 1);
	assert_value(&page, "shunt_flows{family=\"IPv6\",state=\"gone\"}", 1);
	assert_value(&page, "shunt_map_entries{map=\"shunt_flows4\"}", 9);
	assert_value(&page, "shunt_map_capacity{map=\"shunt_flows4\"}", 64);
	assert_value(&page, "shunt_map_entries{map=\"shunt_flows6\"}", 2);
	assert_value(&page, "shunt_map_capacity{map=\"shunt_flows6\"}", 32);
	assert_absent(&page, "shunt_drops_total");
	assert_absent(&page, "shunt_services");
	free(text);
	page_done(&page);
}

static void test_api(void **state)
{
	static const struct kube_config config = { .server = "https://127.0.0.1:1" };
	const struct kube_opts opts = { .config = &config, .node_name = "node-1" };
	const struct source_sink sink = { 0 };
	struct metrics_sources sources = { 0 };
	struct kube_source *kube = NULL;
	struct err err = { 0 };
	struct page page;
	uv_loop_t loop;
	char *text;

	assert_int_equal(uv_loop_init(&loop), 0);
	if (kube_source_start(&kube, &loop, &opts, &sink, &err))
		fail_msg("%s", err.msg);
	sources.kube = kube;
	text = render(&sources, &page);
	assert_value(&page, "shunt_api_synced", 0);
	assert_value(&page, "shunt_api_objects{resource=\"services\"}", 0);
	assert_value(&page, "shunt_api_errors_total{resource=\"nodes\"}", 0);
	assert_value(&page, "shunt_api_state{resource=\"services\",state=\"watching\"}", 0);
	assert_absent(&page, "shunt_api_silence_seconds");
	free(text);
	page_done(&page);
	kube_source_stop(kube);
	run_out(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_reader), cmocka_unit_test(test_process_alone),
		cmocka_unit_test(test_stats),	   cmocka_unit_test(test_histograms),
		cmocka_unit_test(test_health),	   cmocka_unit_test(test_flows),
		cmocka_unit_test(test_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
