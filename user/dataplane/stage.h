/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A publish in the making. Staging takes what the new state needs (backend
 * lines, slots) and writes it where no program looks yet; nothing that is in
 * force is touched. For dataplane/ alone.
 */
#ifndef SHUNT_USER_STAGE_H
#define SHUNT_USER_STAGE_H

#include "dataplane/publisher.h"

/* One Service port as it will be. */
struct staged {
	const struct want_service *want;
	struct service_group *group;
	struct service_entry *entry; /* what is in force; a new one has no backends */
	bool is_new;		     /* entry is ours to free on a failure */
	struct sh_meta_service meta;
	struct backend_entry *backends;
	size_t n_backends, n_added, n_changed;
	struct sh_table cluster, local;
	uint64_t cluster_members, local_members;
	bool cluster_is_new, local_is_new;
};

struct stage {
	struct dataplane *dp;
	struct publisher *publisher;
	struct staged *v;
	size_t n;
	size_t n_taken;		      /* Service ports left out: others have all their frontends */
	struct service_group **scope; /* whatever is not wanted of theirs goes */
	size_t n_scope, cap_scope;
	bool all; /* the scope is everything, strays too */
};

/* @return 0, or a negative errno: stage_cancel() it then */
int stage_make(struct stage *stage, struct dataplane *dp, const struct publish_order *order,
	       struct err *err);
/* One more group whose things go unless they are wanted. @return 0 or -ENOMEM */
int stage_scope(struct stage *stage, struct service_group *group);
/* Give back all that was taken. */
void stage_cancel(struct stage *stage);
/* After it has been taken over: only the memory. */
void stage_done(struct stage *stage);

/* A Service outside of this publish has it, and keeps it. */
bool frontend_is_taken(const struct publisher *publisher, const struct want_service *want,
		       const struct want_frontend *frontend);

/* Free the line of a backend that no program can reach any more. */
void backend_release(struct dataplane *dp, uint32_t id);

#endif
