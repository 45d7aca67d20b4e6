/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From the world to the kernel: what has changed since it was published is
 * resolved and published, together where it came together. What can't be
 * published is left as it was, and said.
 */
#ifndef SHUNT_USER_SYNC_H
#define SHUNT_USER_SYNC_H

#include "agent/health.h"
#include "agent/metrics.h"
#include "agent/world.h"
#include "dataplane/dataplane.h"
#include "model/settings.h"

struct sync {
	struct dataplane *dp;
	const struct settings *settings;
	struct world world;
	struct health *health; /* NULL: nobody asks */
	struct agent_stats *stats;
	/* One line about what was left out, or what failed. */
	void (*log)(void *arg, const char *text);
	void *log_arg;
	bool in_force; /* all that there is has been published once */
	bool conflicts; /* two Services want one frontend: only all of them together tell who has it */
	bool unsaved; /* the own control plane gave something that is not in the state folder */
	struct publish_result last;
};

/* Anything to publish? */
bool sync_waits(const struct sync *sync);
/*
 * @return 0, also where Services were set aside (world.n_failed: world_retry() them in a
 * while), or a negative errno: nothing was published, all of it is to be tried again
 */
int sync_run(struct sync *sync, struct err *err);
/* What the own control plane gave, and the objects it gave it to, into the state folder. */
int sync_save(struct sync *sync, struct err *err);
void sync_done(struct sync *sync);

#endif
