/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The node agent: one event loop that keeps the kernel in step with a source of
 * objects and with this machine's devices.
 *
 *   agent.c    the loop: who is asked when, and how it ends
 *   world.c    what the sources have told
 *   sync.c     from there to the kernel
 *   reclaim.c  what was withdrawn is freed; flows that are over go
 *   edges.c    devices, addresses and routes as they change
 */
#ifndef SHUNT_USER_AGENT_H
#define SHUNT_USER_AGENT_H

#include <jansson.h>

#include "kube/kube.h"
#include "model/settings.h"
#include "util/err.h"

struct agent_opts {
	struct settings *settings;	/* reload() may change it */
	const struct kube_config *kube; /* NULL: settings->manifests is the source */
	/*
	 * SIGHUP: read the options again into settings. What they say of programs and
	 * devices is put in force then. @return 0, or a negative errno: all stays as it was
	 */
	int (*reload)(void *arg, struct err *err);
	json_t *(*options)(void *arg); /* those that were given, by name: an object; or NULL */
	void *arg;
};

/* Until a signal ends it. @return 0, or a negative errno */
int agent_serve(const struct agent_opts *opts, struct err *err);

#endif
