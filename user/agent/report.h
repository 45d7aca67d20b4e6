/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the agent tells of itself in the state folder, at most once a second, as it changes. */
#ifndef SHUNT_USER_REPORT_H
#define SHUNT_USER_REPORT_H

#include <uv.h>

#include "agent/agent.h"
#include "agent/metrics.h"
#include "agent/world.h"

struct report {
	const struct agent_opts *opts;
	const struct agent_stats *stats;
	struct kube_source *const *kube; /* NULL in there: a folder is the source */
	const struct world *world;
	const bool *ready;
	void (*log)(void *arg, const char *text);
	uv_timer_t timer;
	json_t *last, *last_labels; /* as they stand in the files */
	uint64_t last_changes;	    /* of Services, when their labels were looked at */
	bool failing;		    /* that was said */
};

/* What is behind log is not for the caller to set. */
void report_start(struct report *report, uv_loop_t *loop);
/* Its handle is closing afterwards. agent.json goes. */
void report_stop(struct report *report);

#endif
