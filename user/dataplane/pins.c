// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An instance's pins: what outlives every process. Links are link.c's and attach.c's. */
#include "dataplane/load.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/clsact.h"
#include "dataplane/link.h"

#define PATH_LEN    512
#define NAME_PREFIX "shunt_"

static void map_pin(char path[static PATH_LEN], const char *dir, int map)
{
	(void)snprintf(path, PATH_LEN, "%s/%s", dir, dp_map_names[map]);
}

static void next_pin(char path[static PATH_LEN], const char *dir, int map)
{
	(void)snprintf(path, PATH_LEN, "%s/" NEXT_PREFIX "%s", dir,
		       dp_map_names[map] + strlen(NAME_PREFIX));
}

static void prog_pin(char path[static PATH_LEN], const char *dir, int prog)
{
	(void)snprintf(path, PATH_LEN, "%s/progs/%s", dir, dp_prog_names[prog]);
}

/* ---- maps -------------------------------------------------------------------- */

static int pin_map(struct dataplane *dp, int map, const char *path, struct err *err)
{
	(void)unlink(path); /* of an instance that was never finished */
	if (bpf_obj_pin(dp->map_fd[map], path))
		return err_system(err, -errno, "pin map %s at %s", dp_map_names[map], path);
	return 0;
}

int pin_maps(struct dataplane *dp, struct err *err)
{
	char path[PATH_LEN];
	int i, ret = 0;

	/* The first one last: an instance with a control map is a whole one. */
	for (i = DP_MAP_COUNT - 1; i >= 0 && !ret; i--) {
		map_pin(path, dp->dir, i);
		ret = pin_map(dp, i, path, err);
	}
	return ret;
}

/*
 * A reader's file descriptors can write, too: a map that was opened read-only
 * can't be mapped into memory. Its mappings are read-only.
 */
int pins_open_maps(struct dataplane *dp, struct err *err)
{
	char path[PATH_LEN];
	int i;

	for (i = 0; i < DP_MAP_COUNT; i++) {
		map_pin(path, dp->dir, i);
		dp->map_fd[i] = bpf_obj_get(path);
		if (dp->map_fd[i] >= 0 || (i != DP_MAP_CONTROL && errno == ENOENT))
			continue;
		if (errno == ENOENT)
			return err_input(err, -ENOENT, "nothing is loaded at %s", dp->dir);
		return err_system(err, -errno, "open pinned map %s (`shunt reset` starts afresh)",
				  path);
	}
	return 0;
}

int pin_next_maps(struct dataplane *dp, const enum map_way way[static DP_MAP_COUNT],
		  struct err *err)
{
	char path[PATH_LEN];
	int i, ret = 0;

	/* Here, too: where there is a new control map all new maps are there. */
	for (i = DP_MAP_COUNT - 1; i >= 0 && !ret; i--) {
		if (way[i] == MAP_KEEP)
			continue;
		next_pin(path, dp->dir, i);
		ret = pin_map(dp, i, path, err);
	}
	return ret;
}

int pin_open_next(const char *dir, int map)
{
	char path[PATH_LEN];

	next_pin(path, dir, map);
	return bpf_obj_get(path);
}

int pins_replace(struct dataplane *dp, struct err *err)
{
	char from[PATH_LEN], to[PATH_LEN];
	int i;

	/* The control map last: until then it is known that there is something to replace. */
	for (i = DP_MAP_COUNT - 1; i >= 0; i--) {
		next_pin(from, dp->dir, i);
		map_pin(to, dp->dir, i);
		if (rename(from, to) && errno != ENOENT)
			return err_system(err, -errno, "rename %s to %s", from, to);
	}
	return 0;
}

/* ---- what was left half done ------------------------------------------------------ */

static int drop_in(const char *dir, int (*drop)(const char *path), struct err *err)
{
	char path[PATH_LEN];
	struct dirent *entry;
	DIR *stream = opendir(dir);
	int ret = 0;

	if (!stream)
		return errno == ENOENT ? 0 : err_system(err, -errno, "cannot read %s", dir);
	while (!ret && (entry = readdir(stream))) {
		if (strncmp(entry->d_name, NEXT_PREFIX, strlen(NEXT_PREFIX)) != 0)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) >= (int)sizeof(path))
			continue; /* no name of ours is that long */
		ret = drop(path);
		if (ret)
			(void)err_system(err, ret, "cannot remove %s", path);
	}
	(void)closedir(stream);
	return ret;
}

static int drop_pin(const char *path)
{
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

static int drop_filters(struct err *err)
{
	uint32_t *ifindexes = NULL;
	size_t n = 0, i;
	int ret;

	ret = clsact_list(&ifindexes, &n);
	for (i = 0; i < n && !ret; i++) {
		ret = clsact_detach_behind(ifindexes[i]);
		ret = ret == -ENODEV ? 0 : ret;
	}
	free(ifindexes);
	return ret ? err_system(err, ret, "remove what is attached behind the old programs") : 0;
}

int pins_drop_next(const char *dir, struct err *err)
{
	char path[PATH_LEN];
	int ret;

	/* Maps are pinned before anything is attached over them, and go after it. */
	next_pin(path, dir, DP_MAP_CONTROL);
	if (access(path, F_OK))
		return 0;
	ret = drop_filters(err);
	(void)snprintf(path, sizeof(path), "%s/links", dir);
	if (!ret)
		ret = drop_in(path, link_drop, err);
	return ret ? ret : drop_in(dir, drop_pin, err);
}

/* ---- programs ---------------------------------------------------------------------- */

int pin_programs(struct dataplane *dp, struct err *err)
{
	char path[PATH_LEN];
	int i;

	(void)snprintf(path, sizeof(path), "%s/progs", dp->dir);
	if (mkdir(path, 0700) && errno != EEXIST)
		return err_system(err, -errno, "make directory %s", path);
	for (i = 0; i < DP_PROG_COUNT; i++) {
		prog_pin(path, dp->dir, i);
		(void)unlink(path);
		if (bpf_obj_pin(dp->prog_fd[i], path))
			return err_system(err, -errno, "pin program %s at %s", dp_prog_names[i],
					  path);
	}
	return 0;
}

int pins_open_programs(struct dataplane *dp)
{
	char path[PATH_LEN];
	int i;

	for (i = 0; i < DP_PROG_COUNT; i++) {
		prog_pin(path, dp->dir, i);
		dp->prog_fd[i] = bpf_obj_get(path);
		if (dp->prog_fd[i] < 0)
			return -errno;
	}
	return 0;
}
