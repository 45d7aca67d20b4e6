/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs and maps of an instance, as they come to be. For dataplane/ alone. */
#ifndef SHUNT_USER_LOAD_H
#define SHUNT_USER_LOAD_H

#include "dataplane/migrate.h"

/* The settings as the programs get them. Seeds are drawn anew. */
/*
 * Does this last factor of the flow hash spread a client's ports over tables of
 * so many buckets? @load: for its use. A larger table has room in any case.
 */
#define SEED_BUCKETS_MIN 64u
#define SEED_BUCKETS_MAX 262144u
bool flow_seed_spreads(uint64_t factor, uint16_t load[static SEED_BUCKETS_MAX]);
int config_make(const struct settings *settings, struct sh_config *out, struct err *err);

/*
 * Load the programs with @config into dp->prog_fd, over the maps in
 * dp->map_fd where these are there already, else over new ones.
 */
int programs_load(struct dataplane *dp, const struct settings *settings,
		  const struct sh_config *config, struct err *err);

/* Version and hash of the programs in this binary. */
void programs_build_id(char *buf, size_t size);

/* An empty one. @return NULL: no memory */
struct dataplane *dataplane_new(enum dataplane_mode mode, const char *dir);

/* Scratch: programs and maps as @config and, for what that doesn't say, @settings ask. */
int scratch_make(struct dataplane *dp, const struct settings *settings,
		 const struct sh_config *config, struct err *err);

/* Map every mmapable array of dp->map_fd into dp->mem. */
int maps_mmap(struct dataplane *dp, struct err *err);
void flows_munmap(struct dataplane *dp); /* undoes flows_mmap() */

/* How large a map is to be; 0: as it is declared. programs.c */
uint32_t programs_map_entries(enum dp_map map, const struct settings *settings,
			      const struct sh_config *config);

/* What can't change while flows are there: @now's seed and the sizes that flows hash by. */
void config_keep(struct sh_config *config, const struct sh_config *now);
/* Say in shunt_control what is loaded. */
void control_write(struct dataplane *dp, const struct sh_config *config);

/* ---- pins.c ---- */

int pin_maps(struct dataplane *dp, struct err *err);
int pin_programs(struct dataplane *dp, struct err *err);
/* @return 0, or -ENOENT: not all are there */
int pins_open_programs(struct dataplane *dp);
/*
 * The pinned maps. One that this version has and the pins' maker had not stays -1.
 * @return -ENOENT where there is no shunt_control, that is: no instance
 */
int pins_open_maps(struct dataplane *dp, struct err *err);

/* New maps beside the old ones, under NEXT_PREFIX: those that go another way than MAP_KEEP. */
int pin_next_maps(struct dataplane *dp, const enum map_way way[static DP_MAP_COUNT],
		  struct err *err);
/* @return a file descriptor, or -1 and errno */
int pin_open_next(const char *dir, int map);
/* The new maps get the old ones' names. */
int pins_replace(struct dataplane *dp, struct err *err);
/* Remove new maps, and links of programs over them. */
int pins_drop_next(const char *dir, struct err *err);

/* ---- publish.c ---- */

/* The publisher's picture of what the kernel holds, read from the maps. */
int publisher_new(struct dataplane *dp, struct err *err);
void publisher_free(struct publisher *publisher); /* NULL is fine */

#endif
