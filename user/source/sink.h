/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a source of objects (a folder of manifests, the Kubernetes API) tells
 * whoever keeps them. All calls come from the event loop's thread. What is told
 * in one iteration of the loop is published together.
 */
#ifndef SHUNT_USER_SINK_H
#define SHUNT_USER_SINK_H

#include "model/objects.h"

struct source_sink {
	/* An object that is new, or other than it was. Takes @object over. */
	void (*put)(void *arg, struct object *object);
	/* It is no more. Strings are the caller's. */
	void (*gone)(void *arg, enum kind kind, const char *ns, const char *name);
	/*
	 * All that there is has been told, for the first time: until then nothing
	 * is withdrawn from the kernel for not having been told.
	 */
	void (*synced)(void *arg);
	/*
	 * @what (a file, "Service shop/web") was left out, and what was known of it
	 * before stays in force; @why is one line.
	 */
	void (*refused)(void *arg, const char *what, const char *why);
	/* Something a log should say, one line: a source that is away, or back again. */
	void (*notice)(void *arg, const char *text);
	void *arg;
};

#endif
