/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Taking over an instance whose maps have another layout or size, without the
 * loss of a flow. For dataplane/ alone.
 *
 * New maps are made beside the old ones, and new programs over them. No set of
 * hooks changes its programs all at once, and a flow that one hook has made
 * must be known to the next. So for a moment both stand on each hook:
 *
 *	copy     what the old maps hold, so that the wanted state can be published
 *	behind   the new programs are attached behind the old ones; they see what
 *		 those leave as it is, that is nothing of ours
 *	before   one word in the old shunt_control: the old programs go on with the
 *		 flows they know, and leave all others to those behind them
 *	copy     their flows, which don't become more from here on
 *	alone    hook by hook, the old program goes
 *	pins     the new maps get the old ones' names
 *
 * New maps are pinned, as shunt_next_*, before anything is attached. Whoever
 * comes after a crash goes on: before the word was written, by beginning anew;
 * after it, with the new maps that are there.
 */
#ifndef SHUNT_USER_MIGRATE_H
#define SHUNT_USER_MIGRATE_H

#include "dataplane/internal.h"

/* Of new maps, and of links that put new programs behind old ones. */
#define NEXT_PREFIX "shunt_next_"

/* What becomes of a map. */
enum map_way {
	MAP_KEEP = 0, /* it goes on */
	MAP_COPY,     /* a new one gets what is in it, converted where the layout is another */
	MAP_REFILL,   /* a new one, which the next publish or attach fills */
	MAP_FORGET,   /* a new one; what was in the old one is not needed */
};

struct map_shape {
	uint16_t layout;  /* 0: there is no such map */
	uint32_t entries; /* 0: as it is */
};

/* ---- convert.c ---- */

/* How a map's elements, as an older version laid them out, become this one's. */
struct converter {
	enum dp_map map;
	uint16_t from; /* layout */
	/* NULL: it is the same. Of tags: one word, without its tag. The new one is zeroed before. */
	void (*key)(const void *from, void *to);
	void (*value)(const void *from, void *to);
};

/* @return NULL: there is none */
const struct converter *converter_find(enum dp_map map, uint16_t from);

/* ---- migrate.c ---- */

struct migration {
	struct dataplane *from; /* the maps of the programs that are attached */
	enum map_way way[DP_MAP_COUNT];
	uint16_t layout[DP_MAP_COUNT]; /* of @from's */
	struct flow_copy *flows;       /* migrate_flows.c */
	bool mapped_flows;	       /* into memory, for this alone */
};

/* What becomes of the maps @now where @wanted ones are to be. @return 0, or -EPROTO */
int migrate_plan(const struct map_shape now[static DP_MAP_COUNT],
		 const struct map_shape wanted[static DP_MAP_COUNT],
		 enum map_way way_out[static DP_MAP_COUNT], struct err *err);

/* Does any map go another way than MAP_KEEP? */
bool migrate_moves(const enum map_way way[static DP_MAP_COUNT]);

/* Layouts that are there, from shunt_control, and those of this version. */
uint16_t migrate_layout_of(const struct sh_control *control, int map);
uint16_t migrate_layout(int map);

/*
 * @dp has the maps that are pinned: new ones take their place in it, loaded over by new programs
 * and filled as far as a publisher needs it. @config gets their sizes.
 */
int migrate_begin(struct dataplane *dp, const struct settings *settings,
		  const struct sh_config *config, const enum map_way way[static DP_MAP_COUNT],
		  struct err *err);

/* The same for one that was cut short after the word was written. */
int migrate_resume(struct dataplane *dp, const struct settings *settings,
		   const struct sh_config *config, struct err *err);

/* For attach.c, in this order. */
bool migrate_has_left(const struct dataplane *dp);	    /* the old programs are gone already */
int migrate_prepare(struct dataplane *dp, struct err *err); /* before any new program is attached */
int migrate_hand_over(struct dataplane *dp, struct err *err); /* they are behind all old ones */
int migrate_leave(struct dataplane *dp, struct err *err);     /* they are in the old ones' place */
int migrate_finish(struct dataplane *dp, struct err *err);    /* and nowhere else */

void migration_free(struct migration *migration); /* NULL is fine */

/* ---- migrate_copy.c ---- */

/* Elements of every map that a publisher reads back, and of those that programs fill. */
int copy_for_publisher(struct dataplane *dp, struct err *err);
/* Those of programs again; with @late new programs write them, too, and know better. */
int copy_for_programs(struct dataplane *dp, bool late, struct err *err);
/* The old line of a backend, as it would be now. @return false: there were not so many */
bool old_backend(const struct migration *migration, uint32_t index, struct sh_backend *out);
/* One element's value; @from_size where it is the same. @to has room for either. */
void copy_value(const struct migration *migration, int map, const void *from, size_t from_size,
		void *to);

/* ---- migrate_flows.c ---- */

struct flow_copy;

/*
 * Bring the new flow tables up to what the old ones hold; what was brought before and has not
 * changed costs nothing. @n_left_out: flows that found no place. @return 0 or a negative errno
 */
int flows_copy(struct dataplane *dp, size_t *n_left_out, struct err *err);
/* How many live flows of a backend were copied. */
uint32_t flows_copied(const struct migration *migration, uint32_t index);
void flow_copy_free(struct flow_copy *copy); /* NULL is fine */

#endif
