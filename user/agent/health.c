// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* No memory for a table: the element is not added, which its adder sees by hh.tbl. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "shunt/limits.h"

#define STALE_S_DEFAULT 120
/* Until ports that somebody else has are tried again. */
#define RETRY_MS	2000

#define STATUS_OK	   200
#define STATUS_UNAVAILABLE 503

/* The time of a proxy that has never been in step, as Go says it. */
#define NEVER	    "0001-01-01 00:00:00 +0000 UTC"
#define TIME_STRLEN 64

struct key {
	char ns[SH_NAME_MAX + 1], name[SH_NAME_MAX + 1]; /* all bytes count */
};

/* A Service with a healthCheckNodePort. */
struct port_entry {
	struct key key;
	struct health *health;
	uint16_t port;
	uint32_t local4, local6;
	struct http_server *server; /* NULL: the port can't be had */
	UT_hash_handle hh;
};

struct health {
	uv_loop_t *loop;
	struct http_server *healthz;
	uv_timer_t retry;
	uint64_t stale_ns;
	uint64_t queued_at;	/* uv_hrtime() of the first change that waits; 0: none does */
	struct timespec synced; /* by the calendar; 0: never */
	bool deleting;
	struct port_entry *ports; /* by namespace and name */
	struct health_counts counts;
};

static bool is_healthy(const struct health *health)
{
	return !health->queued_at || uv_hrtime() - health->queued_at < health->stale_ns;
}

/* ---- /healthz, /livez ------------------------------------------------------------- */

/* As Go prints a time. @return @buf */
static const char *time_format(const struct timespec *at, char buf[static TIME_STRLEN])
{
	char text[32];
	struct tm tm;

	if (!at->tv_sec || !gmtime_r(&at->tv_sec, &tm) ||
	    !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		return NEVER;
	(void)snprintf(buf, TIME_STRLEN, "%s.%09ld +0000 UTC", text, at->tv_nsec);
	return buf;
}

static void answer_json(struct http_answer *answer, bool ok, int len)
{
	if (len < 0)
		answer->body = NULL;
	answer->len = len < 0 ? 0 : (size_t)len;
	answer->status = ok ? STATUS_OK : STATUS_UNAVAILABLE;
	answer->content_type = "application/json";
	answer->headers[answer->n_headers++] =
		(struct http_header){ "X-Content-Type-Options", "nosniff" };
}

static void answer_state(const struct health *health, struct http_answer *answer, bool ok,
			 const char *more)
{
	char current[TIME_STRLEN], last[TIME_STRLEN];
	struct timespec now;
	int len;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	/* A healthy proxy was updated just now, whenever there was last something to do. */
	len = asprintf(&answer->body, "{\"lastUpdated\": \"%s\",\"currentTime\": \"%s\"%s}",
		       time_format(ok ? &now : &health->synced, last), time_format(&now, current),
		       more);
	answer_json(answer, ok, len);
}

static bool on_healthz(void *arg, const struct http_request *request, struct http_answer *answer)
{
	struct health *health = arg;
	bool ok = is_healthy(health);

	if (strcmp(request->path, "/livez") == 0) {
		health->counts.livez_ok += ok;
		health->counts.livez_failed += !ok;
		answer_state(health, answer, ok, "");
		return true;
	}
	if (strcmp(request->path, "/healthz") != 0)
		return false;
	ok = ok && !health->deleting;
	health->counts.healthz_ok += ok;
	health->counts.healthz_failed += !ok;
	answer_state(health, answer, ok,
		     health->deleting ? ", \"nodeEligible\": false" : ", \"nodeEligible\": true");
	return true;
}

/* ---- healthCheckNodePorts ---------------------------------------------------------- */

/* Any path will do, as at kube-proxy. */
static bool on_service(void *arg, const struct http_request *request, struct http_answer *answer)
{
	const struct port_entry *entry = arg;
	uint32_t n = request->client == FAMILY_IPV6 ? entry->local6 : entry->local4;
	bool healthy = is_healthy(entry->health);
	int len;

	len = asprintf(&answer->body,
		       "{\n"
		       "\t\"service\": {\n"
		       "\t\t\"namespace\": \"%s\",\n"
		       "\t\t\"name\": \"%s\"\n"
		       "\t},\n"
		       "\t\"localEndpoints\": %u,\n"
		       "\t\"serviceProxyHealthy\": %s\n"
		       "}",
		       entry->key.ns, entry->key.name, n, healthy ? "true" : "false");
	answer_json(answer, n && healthy, len);
	(void)snprintf(answer->header_text, sizeof(answer->header_text), "%u", n);
	answer->headers[answer->n_headers++] =
		(struct http_header){ "X-Load-Balancing-Endpoint-Weight", answer->header_text };
	return true;
}

static int entry_listen(struct port_entry *entry, struct err *err)
{
	const struct http_listen at = { .port = entry->port }; /* :: */
	const struct http_service service = { .handler = on_service, .arg = entry };
	struct health *health = entry->health;
	int ret;

	ret = http_serve(&entry->server, health->loop, &at, &service, err);
	health->counts.refused += ret != 0;
	health->counts.listening += ret == 0;
	if (ret)
		err_prefix(err, "healthCheckNodePort %u of Service %s/%s", entry->port,
			   entry->key.ns, entry->key.name);
	return ret;
}

static void entry_silence(struct port_entry *entry)
{
	if (entry->server)
		entry->health->counts.listening--;
	else
		entry->health->counts.refused--;
	http_stop(entry->server);
	entry->server = NULL;
}

static void entry_free(struct port_entry *entry)
{
	HASH_DEL(entry->health->ports, entry);
	free(entry);
}

static void on_retry(uv_timer_t *timer);

/* Whoever didn't get a port: it may be free by now. */
static void retry(struct health *health)
{
	struct port_entry *entry;

	for (entry = health->ports; entry && health->counts.refused; entry = entry->hh.next) {
		if (entry->server)
			continue;
		entry_silence(entry);
		(void)entry_listen(entry, NULL);
	}
	if (health->counts.refused)
		(void)uv_timer_start(&health->retry, on_retry, RETRY_MS, 0);
	else
		(void)uv_timer_stop(&health->retry);
}

static void on_retry(uv_timer_t *timer)
{
	retry(timer->data);
}

static struct port_entry *entry_find(const struct health *health, const struct key *key)
{
	struct port_entry *entry;

	HASH_FIND(hh, health->ports, key, sizeof(*key), entry);
	return entry;
}

static struct port_entry *entry_add(struct health *health, const struct key *key)
{
	struct port_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->key = *key;
	entry->health = health;
	HASH_ADD(hh, health->ports, key, sizeof(entry->key), entry);
	if (entry->hh.tbl)
		return entry;
	free(entry);
	return NULL;
}

static int service_gone(struct health *health, struct port_entry *entry)
{
	if (!entry)
		return 0;
	entry_silence(entry);
	entry_free(entry);
	if (health->counts.refused)
		retry(health);
	return 0;
}

static int service_moves(struct port_entry *entry, uint16_t port, struct err *err)
{
	struct health *health = entry->health;
	int ret;

	if (entry->port)
		entry_silence(entry);
	entry->port = port;
	ret = entry_listen(entry, err);
	if (health->counts.refused)
		retry(health);
	/* The port that was given up here may be what another one holding this port waited for. */
	return entry->server ? 0 : ret;
}

int health_service(struct health *health, const char *ns, const char *name,
		   const struct want_health *want, struct err *err)
{
	struct port_entry *entry;
	struct key key;

	memset(&key, 0, sizeof(key));
	(void)strncpy(key.ns, ns, sizeof(key.ns) - 1);
	(void)strncpy(key.name, name, sizeof(key.name) - 1);
	entry = entry_find(health, &key);
	if (!want || !want->port)
		return service_gone(health, entry);
	if (!entry)
		entry = entry_add(health, &key);
	if (!entry)
		return err_system(err, -ENOMEM, "healthCheckNodePort %u of Service %s/%s",
				  want->port, ns, name);
	entry->local4 = want->local4;
	entry->local6 = want->local6;
	if (entry->port == want->port && entry->server)
		return 0;
	return service_moves(entry, want->port, err);
}

/* ---- what the agent says ------------------------------------------------------------ */

void health_queued(struct health *health)
{
	if (!health->queued_at)
		health->queued_at = uv_hrtime();
}

void health_synced(struct health *health)
{
	health->queued_at = 0;
	(void)clock_gettime(CLOCK_REALTIME, &health->synced);
}

void health_node_deleting(struct health *health, bool deleting)
{
	health->deleting = deleting;
}

void health_counts(const struct health *health, struct health_counts *out)
{
	*out = health->counts;
}

/* ---- start and stop ------------------------------------------------------------------- */

int health_start(struct health **out, uv_loop_t *loop, const struct health_opts *opts,
		 struct err *err)
{
	struct health *health = calloc(1, sizeof(*health));
	const struct http_service service = { .handler = on_healthz, .arg = health };
	int ret = 0;

	if (!health)
		return err_system(err, -ENOMEM, "start the health server");
	health->loop = loop;
	health->stale_ns =
		(uint64_t)(opts->stale_s ? opts->stale_s : STALE_S_DEFAULT) * 1000000000u;
	if (opts->healthz.port)
		ret = http_serve(&health->healthz, loop, &opts->healthz, &service, err);
	if (ret) {
		err_prefix(err, "/healthz");
		free(health);
		return ret;
	}
	(void)uv_timer_init(loop, &health->retry);
	health->retry.data = health;
	*out = health;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void health_stop(struct health *health)
{
	struct port_entry *entry, *next;

	if (!health)
		return;
	HASH_ITER(hh, health->ports, entry, next) {
		entry_silence(entry);
		entry_free(entry);
	}
	http_stop(health->healthz);
	uv_close((uv_handle_t *)&health->retry, on_closed);
}
