/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What changes in this network namespace, as rtnetlink tells it (libmnl, in the
 * event loop). Says that something changed, not what: whoever hears it looks.
 */
#ifndef SHUNT_USER_NETWATCH_H
#define SHUNT_USER_NETWATCH_H

#include <uv.h>

#include "util/err.h"

enum netwatch_change {
	/*
	 * A device came, went, or is other than it was (not its counters). The routes
	 * that go with it the kernel doesn't tell one by one.
	 */
	NETWATCH_LINKS = 0x1,
	NETWATCH_ADDRESSES = 0x2,
	NETWATCH_ROUTES = 0x4,	   /* a route or a rule: next hops that are cached are void */
	NETWATCH_NEIGHBOURS = 0x8, /* a neighbour's link-layer address, not its mere ageing */
};

struct netwatch;

/*
 * @changed gets a mask, once for all messages that were there to be read. Messages
 * that were lost (ENOBUFS) count as changes of every kind.
 * @return 0 and *@out, or a negative errno
 */
int netwatch_start(struct netwatch **out, uv_loop_t *loop,
		   void (*changed)(void *arg, unsigned int changes), void *arg, struct err *err);
/* Its handles are closing afterwards, also where netwatch_start() failed. NULL is fine. */
void netwatch_stop(struct netwatch *watch);

#endif
