/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Takes an instance out of the kernel, however much of it there is. Links go
 * first, so that no packet meets half an instance.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/bpffs.h"
#include "dataplane/clsact.h"
#include "dataplane/dataplane.h"
#include "dataplane/link.h"
#include "dataplane/sysctl.h"

/*
 * The kernel frees what was unpinned a little later. These are waited for, so
 * that nothing is left when the command ends; a reader that still holds
 * something keeps it, and is not waited for longer than this.
 */
#define WAIT_IDS_MAX 256
#define WAIT_MS	     2000
#define WAIT_STEP_MS 5

struct ids {
	uint32_t prog[WAIT_IDS_MAX], map[WAIT_IDS_MAX];
	size_t n_prog, n_map;
};

struct reset {
	const char *dir;
	struct ids ids;
	char unknown[PATH_MAX]; /* the first path that isn't ours */
	size_t n_unknown;
};

static void note_prog(struct ids *ids, int fd)
{
	__u32 maps[64] = { 0 };
	struct bpf_prog_info info = { .nr_map_ids = 64, .map_ids = (__u64)(uintptr_t)maps };
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) || ids->n_prog == WAIT_IDS_MAX)
		return;
	ids->prog[ids->n_prog++] = info.id;
	for (__u32 i = 0; i < info.nr_map_ids && i < 64 && ids->n_map < WAIT_IDS_MAX; i++)
		ids->map[ids->n_map++] = maps[i];
}

static void note_map(struct ids *ids, int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	if (!bpf_obj_get_info_by_fd(fd, &info, &len) && ids->n_map < WAIT_IDS_MAX)
		ids->map[ids->n_map++] = info.id;
}

static bool any_left(const struct ids *ids)
{
	int fd = -1;

	for (size_t i = 0; i < ids->n_prog && fd < 0; i++)
		fd = bpf_prog_get_fd_by_id(ids->prog[i]);
	for (size_t i = 0; i < ids->n_map && fd < 0; i++)
		fd = bpf_map_get_fd_by_id(ids->map[i]);
	if (fd < 0)
		return false;
	(void)close(fd);
	return true;
}

static void wait_freed(const struct ids *ids)
{
	const struct timespec step = { .tv_nsec = WAIT_STEP_MS * 1000000L };

	for (int ms = 0; ms < WAIT_MS && any_left(ids); ms += WAIT_STEP_MS)
		(void)nanosleep(&step, NULL);
}

/* ---- directories ------------------------------------------------------------ */

enum place { PLACE_TOP, PLACE_LINKS, PLACE_PROGS };

static const char *const place_dirs[] = { "", "/links", "/progs" };

static bool is_ours(enum place place, const char *name)
{
	unsigned int ifindex;

	if (!strncmp(name, "shunt_", 6))
		return true;
	return place == PLACE_LINKS &&
	       (sscanf(name, "ingress_%u", &ifindex) == 1 ||
		sscanf(name, "egress_%u", &ifindex) == 1 || sscanf(name, "xdp_%u", &ifindex) == 1);
}

static int remove_pin(struct reset *reset, enum place place, const char *path)
{
	int fd;

	if (place == PLACE_LINKS)
		return link_drop(path);
	fd = bpf_obj_get(path);
	if (fd >= 0) {
		if (place == PLACE_PROGS)
			note_prog(&reset->ids, fd);
		else
			note_map(&reset->ids, fd);
		(void)close(fd);
	}
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

static bool is_subdir(enum place place, const char *name)
{
	return place == PLACE_TOP && (!strcmp(name, "links") || !strcmp(name, "progs"));
}

static int remove_entry(struct reset *reset, enum place place, const char *name, struct err *err)
{
	char path[PATH_MAX];
	int ret;

	(void)snprintf(path, sizeof(path), "%s%s/%s", reset->dir, place_dirs[place], name);
	if (!is_ours(place, name)) {
		if (!reset->n_unknown++)
			(void)snprintf(reset->unknown, sizeof(reset->unknown), "%s", path);
		return 0;
	}
	ret = remove_pin(reset, place, path);
	return ret ? err_system(err, ret, "cannot remove %s", path) : 0;
}

static int empty_place(struct reset *reset, enum place place, struct err *err)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s%s", reset->dir, place_dirs[place]);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : err_system(err, -errno, "cannot read %s", path);
	while (!ret && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !is_subdir(place, entry->d_name))
			ret = remove_entry(reset, place, entry->d_name, err);
	(void)closedir(dir);
	return ret;
}

static int remove_dirs(struct reset *reset, struct err *err)
{
	static const enum place order[] = { PLACE_LINKS, PLACE_PROGS, PLACE_TOP };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", reset->dir, place_dirs[order[i]]);
		if (rmdir(path) && errno != ENOENT && !(errno == ENOTEMPTY && reset->n_unknown))
			return err_system(err, -errno, "cannot remove %s", path);
	}
	if (reset->n_unknown)
		return err_system(err, -ENOTEMPTY,
				  "%s is not shunt's, and %zu more like it: left alone, as is %s",
				  reset->unknown, reset->n_unknown - 1, reset->dir);
	return 0;
}

/* ---- the rest --------------------------------------------------------------- */

static int remove_filters(struct err *err)
{
	uint32_t *ifindexes = NULL;
	size_t n = 0;
	int ret;

	ret = clsact_list(&ifindexes, &n);
	if (ret)
		return err_system(err, ret, "cannot list qdiscs");
	for (size_t i = 0; i < n && !ret; i++) {
		ret = clsact_detach(ifindexes[i]);
		if (ret == -ENODEV)
			ret = 0;
		else if (ret)
			(void)err_system(err, ret, "cannot remove the filters of device %u",
					 ifindexes[i]);
	}
	free(ifindexes);
	return ret;
}

static int remove_instance(struct reset *reset, struct err *err)
{
	int ret;

	ret = empty_place(reset, PLACE_LINKS, err);
	if (!ret)
		ret = remove_filters(err);
	if (!ret)
		ret = empty_place(reset, PLACE_PROGS, err);
	if (!ret)
		ret = empty_place(reset, PLACE_TOP, err);
	if (!ret)
		ret = remove_dirs(reset, err);
	return ret;
}

int dataplane_reset(const struct settings *settings, struct err *err)
{
	struct reset reset = { .dir = settings->bpffs };
	int fd = -1, ret, restored;
	struct err later;

	ret = bpffs_open(settings->bpffs, false, &fd, err);
	/* Somebody removed the directory by hand: filters and the sysctl may still be there. */
	if (ret == -ENOENT)
		ret = remove_filters(err);
	else if (!ret)
		ret = bpffs_lock(fd, settings->bpffs, err);
	if (ret)
		goto out;
	if (fd >= 0)
		ret = remove_instance(&reset, err);
	/* A pin that can't be removed is no reason to keep ports reserved; its error comes first. */
	restored = sysctl_restore_ports(settings, ret ? &later : err);
	if (!ret)
		ret = restored;
	if (!ret)
		wait_freed(&reset.ids);
out:
	if (fd >= 0)
		(void)close(fd);
	return ret;
}
