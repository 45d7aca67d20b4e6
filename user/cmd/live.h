/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The instance of this node as it stands, for the verbs that look at it. */
#ifndef SHUNT_USER_LIVE_H
#define SHUNT_USER_LIVE_H

#include "cmd/command.h"
#include "dataplane/dataplane.h"

#include <jansson.h>

struct live {
	bool loaded;
	struct dataplane_about about; /* where it is loaded */
	struct dataplane *dp;	      /* NULL: it can't be read, see dp_err */
	struct err dp_err;
	json_t *agent;	    /* what an agent told of itself; NULL: none did */
	bool agent_running; /* and it is the one that holds the lock */
};

/*
 * inv->settings become those that the instance goes by: kept ones, the agent's, those of the
 * programs; what the command line gives stays. That nothing is loaded is no failure.
 * @return 0 (live_done() it) or a negative errno
 */
int live_open(struct live *live, struct invocation *inv, struct err *err);
void live_done(struct live *live);
/* The pid of the agent that keeps the instance; 0: none runs. */
long live_agent(const struct settings *settings);

#endif
