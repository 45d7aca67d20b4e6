/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The objects that the sources have told of, by Service, and which Services
 * have changed since they were published. No I/O.
 *
 * A Service of the own control plane is in force once it has what is allocated
 * to it; until then it is proposed, and its former version is in force.
 */
#ifndef SHUNT_USER_WORLD_H
#define SHUNT_USER_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No memory for a table: the element is not added, which its adder sees by hh.tbl. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "model/objects.h"
#include "shunt/limits.h"

/* A Service and what belongs to it. Any of it may be missing. */
struct world_service {
	struct object *service;	 /* in force */
	struct object *proposed; /* to be in force once allocated */
	bool not_given; /* @proposed can't be had as long as others hold what it asks for */
	struct object *endpoints;
	struct object **slices;
	size_t n_slices, cap_slices;
	bool dirty;
	bool service_changed; /* and not its endpoints alone */
	bool stored;	      /* @service is of an earlier run; the source hasn't told of it yet */
	bool refused;	      /* what it says now can't be published: the kernel has its past */
	bool failed;	      /* the same, for a reason that may pass: see world_retry() */
	bool told;	      /* why has been said */
	uint64_t since;	      /* of the first change that is not published: uv_hrtime() */
	uint64_t trigger_ms;  /* when the cluster saw that change, UNIX time; 0: it doesn't say */
	struct world_service *prev, *next; /* of the dirty ones */
	UT_hash_handle hh;
	char ns[SH_NAME_MAX + 1], name[SH_NAME_MAX + 1]; /* all bytes count: the key */
};

struct world {
	bool own_control_plane;
	struct world_service *services; /* by namespace and name */
	struct world_slice *slices;	/* by namespace and name, to find their Services */
	struct object_set pods, nodes;
	struct world_service *dirty;
	size_t n_dirty;
	size_t n_failed;
	size_t n_not_given;
	bool all_dirty; /* a Node: whatever there is may be resolved otherwise */
};

void world_init(struct world *world, bool own_control_plane);
void world_done(struct world *world);

/* Takes @object over. @now: uv_hrtime() of the change. @return 0, or -ENOMEM and it is lost */
int world_put(struct world *world, struct object *object, uint64_t now);
/* @return 0, also where nothing of that name is known, or -ENOMEM */
int world_gone(struct world *world, enum kind kind, const char *ns, const char *name, uint64_t now);

/* A Service as an earlier run left it, so that it keeps what it was given. */
int world_put_stored(struct world *world, struct object *object);
/* Those of which the source didn't tell stay as the kernel has them. @return how many */
size_t world_keep_stored(struct world *world);
/* They are gone. */
void world_forget_stored(struct world *world, uint64_t now);

struct world_service *world_find(const struct world *world, const char *ns, const char *name);
void world_mark(struct world *world, struct world_service *service, uint64_t now);
/* It is published as it is. One of which nothing is left is forgotten: @service may be freed. */
void world_settle(struct world *world, struct world_service *service);
/* It could not be published, for a reason that may pass: not dirty until it changes, or: */
void world_set_aside(struct world *world, struct world_service *service);
/* All that were set aside are dirty again. */
void world_retry(struct world *world);
/* What @service was proposed as is in force / can't be: it is kept until somebody gives way. */
void world_accept(struct world *world, struct world_service *service);
void world_turn_down(struct world *world, struct world_service *service);

/*
 * *@out (empty) shares what is known of @service, with what it is resolved by: Nodes, and
 * Pods of its namespace. @return 0 or -ENOMEM
 */
int world_objects_of(const struct world *world, struct world_service *const *services, size_t n,
		     struct object_set *out);
/* The same for all there is, but for Services that are refused, if @accepted. */
int world_objects(const struct world *world, bool accepted, struct object_set *out);

#endif
