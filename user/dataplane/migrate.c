// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dataplane/migrate.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/load.h"
#include "dataplane/publisher.h"

/* ---- the plan ------------------------------------------------------------------ */

/* Where a map's layout stands in shunt_control: by SH_LAYOUTS, which DP_MAPS need not follow. */
static const enum sh_layout_place places[DP_MAP_COUNT] = {
#define X(id, name) [DP_MAP_##id] = SH_LAYOUT_##id,
	DP_MAPS(X)
#undef X
};

/*
 * What has no line moves alone, and only by a converter.
 *
 * The wanted state and the flows that hang on it move together: a backend's line can't count for
 * flows in two tables, nor a table name backends of other lines.
 */
static const struct {
	bool together;
	enum map_way without; /* a converter; 0: there has to be one */
} rules[DP_MAP_COUNT] = {
	[DP_MAP_FILTER] = { true, MAP_REFILL },
	[DP_MAP_FRONTENDS] = { true, MAP_REFILL },
	[DP_MAP_SLOTS] = { true, MAP_REFILL },
	[DP_MAP_BACKENDS] = { .together = true },
	[DP_MAP_TAGS4] = { .together = true },
	[DP_MAP_TAGS6] = { .together = true },
	[DP_MAP_FLOWS4] = { .together = true },
	[DP_MAP_FLOWS6] = { .together = true },
	[DP_MAP_NODEADDRS] = { true, MAP_REFILL },
	[DP_MAP_SRCRANGES] = { true, MAP_REFILL },
	[DP_MAP_META] = { .together = true },
	[DP_MAP_DEVICES] = { false, MAP_REFILL },
	/* Nobody can read a socket's storage for all sockets: they don't count any more. */
	[DP_MAP_COUNTED] = { false, MAP_FORGET },
	[DP_MAP_FRAGS] = { false, MAP_FORGET },
	[DP_MAP_DROPS] = { false, MAP_FORGET },
	/* Who listens to the old programs hears no more, and has to begin anew. */
	[DP_MAP_LISTENERS] = { false, MAP_FORGET },
	[DP_MAP_EVENTS] = { false, MAP_FORGET },
	[DP_MAP_HEARD] = { false, MAP_FORGET },
};

uint16_t migrate_layout(int map)
{
	static const uint16_t layouts[SH_LAYOUT_COUNT] = {
#define X(id, layout) [SH_LAYOUT_##id] = (layout),
		SH_LAYOUTS(X)
#undef X
	};

	return layouts[places[map]];
}

uint16_t migrate_layout_of(const struct sh_control *control, int map)
{
	return control->layout[places[map]];
}

static bool differs(const struct map_shape *now, const struct map_shape *wanted)
{
	return now->layout != wanted->layout ||
	       (wanted->entries && now->entries != wanted->entries);
}

static bool can_copy(const struct map_shape *now, const struct map_shape *wanted, int map)
{
	if (!now->layout)
		return false;
	return now->layout == wanted->layout || converter_find((enum dp_map)map, now->layout);
}

static int way_of(const struct map_shape *now, const struct map_shape *wanted, int map,
		  enum map_way *way_out, struct err *err)
{
	const bool readable = can_copy(now, wanted, map);
	const enum map_way without = rules[map].without;

	*way_out = readable || !without ? MAP_COPY : without;
	/* A copy would be as much work as making it afresh, or there is no room for it. */
	if (map == DP_MAP_FILTER || (map == DP_MAP_SLOTS && now->entries > wanted->entries))
		*way_out = MAP_REFILL;
	/* Worth no copy. */
	if (without == MAP_FORGET)
		*way_out = MAP_FORGET;
	if (*way_out == MAP_COPY && !readable)
		return err_system(err, -EPROTO,
				  "%s has layout %u, which this shunt (layout %u) can't take over: "
				  "go on with the shunt that made it, or remove it with `shunt "
				  "reset`, which ends its connections",
				  dp_map_names[map], now->layout, wanted->layout);
	return 0;
}

int migrate_plan(const struct map_shape now[static DP_MAP_COUNT],
		 const struct map_shape wanted[static DP_MAP_COUNT],
		 enum map_way way_out[static DP_MAP_COUNT], struct err *err)
{
	bool together = false, any = false;
	int i, ret = 0;

	for (i = 0; i < DP_MAP_COUNT; i++) {
		way_out[i] = MAP_KEEP;
		any = any || differs(&now[i], &wanted[i]);
		together = together || (rules[i].together && differs(&now[i], &wanted[i]));
	}
	for (i = 0; i < DP_MAP_COUNT && !ret; i++) {
		if (i != DP_MAP_CONTROL &&
		    (rules[i].together ? together : differs(&now[i], &wanted[i])))
			ret = way_of(&now[i], &wanted[i], i, &way_out[i], err);
	}
	/* Each set of programs reads its own standing there. */
	if (any)
		way_out[DP_MAP_CONTROL] = MAP_COPY;
	/* Frontends name slots. */
	if (way_out[DP_MAP_FRONTENDS] == MAP_REFILL || way_out[DP_MAP_SLOTS] == MAP_REFILL)
		way_out[DP_MAP_FRONTENDS] = way_out[DP_MAP_SLOTS] = MAP_REFILL;
	return ret;
}

bool migrate_moves(const enum map_way way[static DP_MAP_COUNT])
{
	return way[DP_MAP_CONTROL] != MAP_KEEP;
}

bool dataplane_needs_publish(const struct dataplane *dp)
{
	return dp->needs_publish;
}

/* ---- control --------------------------------------------------------------------- */

/* What an older one's page has behind its end is zero. */
_Static_assert(sizeof(struct sh_control) <= 4096, "of whatever version, it is one page");

static struct sh_control *control_of(const struct dataplane *dp)
{
	return dp->mem[DP_MAP_CONTROL];
}

static void stand(const struct dataplane *dp, enum sh_standing standing)
{
	__atomic_store_n(&control_of(dp)->standing, (uint32_t)standing, __ATOMIC_RELEASE);
}

/* ---- beginning ------------------------------------------------------------------- */

/* What @dp holds goes to another, whose maps are the old ones. */
static int take_apart(struct dataplane *dp, struct err *err)
{
	struct migration *migration = calloc(1, sizeof(*migration));
	struct dataplane *from = dataplane_new(DATAPLANE_WRITE, dp->dir);
	int i;

	if (!migration || !from) {
		free(migration);
		dataplane_close(from);
		return err_system(err, -ENOMEM, "take over %s", dp->dir);
	}
	for (i = 0; i < DP_MAP_COUNT; i++) {
		from->map_fd[i] = dp->map_fd[i];
		from->map_max[i] = dp->map_max[i];
		from->map_size[i] = dp->map_size[i];
		from->mem[i] = dp->mem[i];
		from->mem_len[i] = dp->mem_len[i];
		migration->layout[i] = migrate_layout_of(control_of(from), i);
		dp->map_fd[i] = -1;
		dp->mem[i] = NULL;
	}
	migration->from = from;
	dp->migration = migration;
	return 0;
}

static int share(struct dataplane *dp, int map)
{
	if (dp->migration->from->map_fd[map] < 0)
		return 0;
	dp->map_fd[map] = dup(dp->migration->from->map_fd[map]);
	return dp->map_fd[map] < 0 ? -errno : 0;
}

int migrate_begin(struct dataplane *dp, const struct settings *settings,
		  const struct sh_config *config, const enum map_way way[static DP_MAP_COUNT],
		  struct err *err)
{
	int i, ret;

	ret = take_apart(dp, err);
	if (ret)
		return ret;
	memcpy(dp->migration->way, way, sizeof(dp->migration->way));
	for (i = 0; i < DP_MAP_COUNT && !ret; i++)
		ret = way[i] == MAP_KEEP ? share(dp, i) : 0;
	if (ret)
		return err_system(err, ret, "take over %s", dp->dir);
	ret = scratch_make(dp, settings, config, err);
	if (ret)
		return ret;
	stand(dp, SH_STAND_BEHIND);
	control_of(dp)->next_service = control_of(dp->migration->from)->next_service;
	dp->needs_publish = way[DP_MAP_FRONTENDS] == MAP_REFILL ||
			    way[DP_MAP_NODEADDRS] == MAP_REFILL ||
			    way[DP_MAP_SRCRANGES] == MAP_REFILL;
	return copy_for_publisher(dp, err);
}

static int check_next(const struct dataplane *dp, const struct sh_control *control, struct err *err)
{
	int i;

	for (i = 0; i < DP_MAP_COUNT; i++) {
		if (migrate_layout_of(control, i) != migrate_layout(i))
			return err_system(err, -EPROTO,
					  "%s was being taken over by another shunt (build %.*s) "
					  "when that ended: start it again, to finish",
					  dp->dir, (int)sizeof(control->build), control->build);
	}
	return 0;
}

int migrate_resume(struct dataplane *dp, const struct settings *settings,
		   const struct sh_config *config, struct err *err)
{
	struct sh_config resumed = *config;
	const struct sh_control *control;
	int i, ret;

	ret = take_apart(dp, err);
	for (i = 0; i < DP_MAP_COUNT && !ret; i++) {
		dp->map_fd[i] = pin_open_next(dp->dir, i);
		if (dp->map_fd[i] >= 0)
			dp->migration->way[i] = MAP_COPY;
		else if (errno != ENOENT || share(dp, i))
			ret = err_system(err, -errno, "open new map %s", dp_map_names[i]);
	}
	if (ret)
		return ret;
	dp->migration->way[DP_MAP_FILTER] = MAP_REFILL;
	ret = maps_mmap(dp, err);
	if (ret)
		return ret;
	control = control_of(dp);
	ret = check_next(dp, control, err);
	if (ret)
		return ret;
	config_keep(&resumed, &control->config);
	ret = programs_load(dp, settings, &resumed, err);
	if (ret)
		return ret;
	control_write(dp, &resumed);
	dp->fresh_programs = true;
	return 0;
}

/* ---- handing over ------------------------------------------------------------------ */

bool migrate_has_left(const struct dataplane *dp)
{
	return control_of(dp->migration->from)->standing == SH_STAND_LEFT;
}

/* Not for one that is resumed: it is prepared. */
static bool is_prepared(const struct dataplane *dp)
{
	return control_of(dp->migration->from)->standing >= SH_STAND_BEFORE;
}

/* What old lines have counted so far; the new ones have not been used yet. */
static void take_counters(struct dataplane *dp)
{
	struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS];
	struct sh_backend old;
	uint32_t i;

	for (i = 0; i < dp->map_max[DP_MAP_BACKENDS]; i++) {
		if (!lines[i].id || !old_backend(dp->migration, i, &old) || old.id != lines[i].id)
			continue;
		lines[i].connections = old.connections;
		lines[i].packets = old.packets;
		lines[i].bytes = old.bytes;
	}
}

int migrate_prepare(struct dataplane *dp, struct err *err)
{
	size_t n_left_out = 0;
	int ret;

	if (is_prepared(dp))
		return 0;
	ret = copy_for_programs(dp, false, err);
	if (!ret)
		ret = flows_copy(dp, &n_left_out, err);
	if (!ret && n_left_out)
		ret = err_system(err, -ENOSPC,
				 "%zu live flows find no place in tables of %u and %u entries "
				 "(--max-flows4, --max-flows6): raise them",
				 n_left_out, dp->map_max[DP_MAP_FLOWS4],
				 dp->map_max[DP_MAP_FLOWS6]);
	if (ret)
		return ret;
	if (dp->migration->way[DP_MAP_BACKENDS] == MAP_COPY)
		take_counters(dp);
	return pin_next_maps(dp, dp->migration->way, err);
}

/*
 * Sockets count, too, where least-conn chose: what old lines count beside their flows. They were
 * read before the flows were: of what ends meanwhile, some counts on.
 */
static void take_sockets_counts(struct dataplane *dp, const uint32_t *old_live)
{
	struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS];
	uint32_t i, flows;

	for (i = 0; i < dp->map_max[DP_MAP_BACKENDS]; i++) {
		flows = flows_copied(dp->migration, i);
		if (old_live[i] > flows && lines[i].id)
			__atomic_fetch_add(&lines[i].live, old_live[i] - flows, __ATOMIC_RELAXED);
	}
}

static uint32_t *read_live(const struct dataplane *dp)
{
	uint32_t *live = calloc((size_t)dp->map_max[DP_MAP_BACKENDS] + 1, sizeof(*live)), i;
	const struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS];
	struct sh_backend old;

	for (i = 0; live && i < dp->map_max[DP_MAP_BACKENDS]; i++) {
		if (lines[i].id && old_backend(dp->migration, i, &old) && old.id == lines[i].id)
			live[i] = old.live;
	}
	return live;
}

/* Once the old tables get no more flows. One that finds no place now is made anew, if it can be. */
static int copy_the_rest(struct dataplane *dp, struct err *err)
{
	const enum map_way *way = dp->migration->way;
	const bool counts = way[DP_MAP_BACKENDS] == MAP_COPY && way[DP_MAP_COUNTED] == MAP_KEEP &&
			    !control_of(dp)->counted;
	uint32_t *live = NULL;
	size_t n_left_out;
	int ret;

	if (counts) {
		live = read_live(dp);
		if (!live)
			return err_system(err, -ENOMEM, "read what backends count");
	}
	ret = flows_copy(dp, &n_left_out, err);
	if (!ret && counts) {
		take_sockets_counts(dp, live);
		control_of(dp)->counted = 1;
	}
	free(live);
	return ret ? ret : copy_for_programs(dp, true, err);
}

int migrate_hand_over(struct dataplane *dp, struct err *err)
{
	int ret;

	stand(dp->migration->from, SH_STAND_BEFORE);
	/* Next hops may have changed since the first flows were copied. */
	dataplane_route_changed(dp);
	ret = grace_wait(dp->publisher, err);
	return ret ? ret : copy_the_rest(dp, err);
}

int migrate_leave(struct dataplane *dp, struct err *err)
{
	size_t n_left_out;
	int ret = 0;

	if (!migrate_has_left(dp)) {
		ret = grace_wait(dp->publisher, err);
		/* States that the old programs saw change while they went. */
		if (!ret)
			ret = flows_copy(dp, &n_left_out, err);
	}
	if (!ret)
		stand(dp->migration->from, SH_STAND_LEFT);
	return ret;
}

int migrate_finish(struct dataplane *dp, struct err *err)
{
	int ret;

	stand(dp, SH_STAND_ALONE);
	ret = pin_programs(dp, err);
	if (!ret)
		ret = pins_replace(dp, err);
	if (ret)
		return ret;
	if (dp->migration->mapped_flows)
		flows_munmap(dp);
	migration_free(dp->migration);
	dp->migration = NULL;
	return 0;
}

void migration_free(struct migration *migration)
{
	if (!migration)
		return;
	flow_copy_free(migration->flows);
	dataplane_close(migration->from);
	free(migration);
}
