/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What publishes have withdrawn is freed: a grace period is waited for on
 * another thread, the flow tables are walked in slices between other work.
 * The same walk, now and then, frees flows whose time is over.
 */
#ifndef SHUNT_USER_RECLAIM_H
#define SHUNT_USER_RECLAIM_H

#include <uv.h>

#include "agent/metrics.h"
#include "dataplane/dataplane.h"

struct reclaim {
	struct dataplane *dp;
	struct agent_stats *stats;
	uv_timer_t timer; /* of passes for what has expired */
	uv_timer_t pause; /* until what is withdrawn is taken in hand again */
	uint64_t due_ms;  /* the end of it, uv_now() */
	uv_idle_t slices; /* while a pass is on its way */
	uv_work_t grace;
	bool waiting; /* for a grace period */
	bool stopping;
	/* Of the other thread: */
	int grace_ret, sockets_ret;
	struct sockets_ended sockets;
	struct err sockets_err;
	int sockets_said; /* the last failure that was logged */
	void (*log)(void *arg, const char *text);
	void *log_arg;
};

/* dp, stats and log are set by the caller, the rest is zero. */
int reclaim_start(struct reclaim *reclaim, uv_loop_t *loop);
/* Something was published. */
void reclaim_kick(struct reclaim *reclaim);
/* Its handles are closing afterwards; a grace period is waited for by the loop's end. */
void reclaim_stop(struct reclaim *reclaim);

#endif
