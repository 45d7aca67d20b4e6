/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * /metrics in Prometheus' text format 0.0.4: kube-proxy's names and buckets where
 * the meaning is the same, shunt_* for what only shunt has.
 */
#ifndef SHUNT_USER_METRICS_H
#define SHUNT_USER_METRICS_H

#include "agent/health.h"
#include "dataplane/dataplane.h"
#include "kube/kube.h"

#define METRICS_BUCKETS 80 /* of a histogram, +Inf not counted */

struct histogram {
	const double *bounds; /* ascending, seconds */
	size_t n;
	uint64_t counts[METRICS_BUCKETS + 1]; /* the last one is +Inf's; not cumulative */
	uint64_t total;
	double sum;
};
void histogram_add(struct histogram *histogram, double seconds);

/* Counted by the agent; read when somebody asks. */
struct agent_stats {
	uint64_t started_unix_ms, last_sync_unix_ms, last_queued_unix_ms;
	uint64_t syncs, sync_failures, full_syncs;
	uint64_t service_changes, service_changes_pending;
	uint64_t endpoint_changes, endpoint_changes_pending;
	uint64_t objects_refused; /* objects that were left out, ever */
	uint64_t flows_ended, flows_expired, sockets_ended, sweeps;
	uint64_t route_epochs, attachments;
	struct histogram sync_duration;		/* of publishing what was there to publish */
	struct histogram full_sync_duration;	/* of these, where it was all there is */
	struct histogram partial_sync_duration; /* and where it was a part */
	struct histogram publish_latency;	/* of a change: from read to published */
	struct histogram programming_duration;	/* the same from the cluster's trigger time on */
};
void agent_stats_init(struct agent_stats *stats);

/* All that /metrics tells. NULL where there is none. */
struct metrics_sources {
	const struct agent_stats *stats;
	struct dataplane *dp;
	const struct kube_source *kube;
	const struct health *health;
	struct drop_counts *drops; /* kept from one time to the next; NULL: what the map has now */
};

/* The whole page, malloc()ed. @return 0 or -ENOMEM; a part that can't be read is left out */
int metrics_render(const struct metrics_sources *sources, char **out, size_t *len_out);

#endif
