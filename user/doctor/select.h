/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which Pods a Service's selector means, and which it very likely was to mean. Pure. */
#ifndef SHUNT_USER_DOCTOR_SELECT_H
#define SHUNT_USER_DOCTOR_SELECT_H

#include "model/objects.h"

/* All of @selector's labels stand on @pod; its namespace isn't looked at. */
bool select_matches(const struct labels *selector, const struct object *pod);

/* How a selector misses a Pod. */
enum select_miss {
	SELECT_NONE = 0,  /* there is no Pod that is anything like it */
	SELECT_NAMESPACE, /* the labels match; it lives in another namespace */
	SELECT_VALUE,	  /* the label has another value there */
	SELECT_KEY,	  /* a label of about that key has the value */
	SELECT_ABSENT,	  /* the label isn't there */
};

struct select_near {
	enum select_miss miss;
	const struct object *pod;   /* one of those */
	const struct label *wanted; /* of the selector; NULL for SELECT_NAMESPACE */
	const struct label *there;  /* on the Pod; NULL for SELECT_ABSENT */
	size_t matched, n_pods;	    /* labels that do match; Pods that are missed like that */
};

/*
 * The nearest Pods to @service's selector, which selects none: one label differs, all
 * the others match. A label that differs little counts as near even where it is the only one.
 */
void select_nearest(const struct object_set *objects, const struct object *service,
		    struct select_near *out);

#endif
