/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs and maps of an instance, as they come to be. For dataplane/ alone. */
#ifndef SHUNT_USER_LOAD_H
#define SHUNT_USER_LOAD_H

#include "dataplane/internal.h"

/* The settings as the programs get them. Seeds are drawn anew. */
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

/* ---- publish.c ---- */

/* The publisher's picture of what the kernel holds, read from the maps. */
int publisher_new(struct dataplane *dp, struct err *err);
void publisher_free(struct publisher *publisher); /* NULL is fine */

#endif
