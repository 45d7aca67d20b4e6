/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs stay on the devices that are edges, the maps know the node's addresses. */
#ifndef SHUNT_USER_EDGES_H
#define SHUNT_USER_EDGES_H

#include <uv.h>

#include "agent/netwatch.h"
#include "agent/sync.h"
#include "dataplane/netdev.h"

struct edges {
	struct sync *sync;
	struct netwatch *watch;
	uv_timer_t timer; /* of what has to be looked at again */
	unsigned int changes;
	struct netdev_list attached; /* the devices as they were when programs were attached last */
	bool hold;		     /* nothing is attached before there is something to serve */
	uint64_t last_ms;	     /* when it was looked at, uv_now() */
	unsigned int failures;	     /* in a row */
};

/* @hold: until edges_release(). @return 0 or a negative errno */
int edges_start(struct edges *edges, uv_loop_t *loop, struct sync *sync, bool hold,
		struct err *err);
/* Attach now. @return 0, or a negative errno: it is tried again in a while */
int edges_release(struct edges *edges, struct err *err);
void edges_stop(struct edges *edges);

#endif
