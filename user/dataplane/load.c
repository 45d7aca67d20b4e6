/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An instance: made, or adopted from its pins. What is pinned outlives every
 * process; a new process takes it over as it stands.
 */
#include "dataplane/load.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/bpffs.h"

#define PATH_LEN 384

static void map_pin(char path[static PATH_LEN], const char *dir, int map)
{
	(void)snprintf(path, PATH_LEN, "%s/%s", dir, dp_map_names[map]);
}

static void prog_pin(char path[static PATH_LEN], const char *dir, int prog)
{
	(void)snprintf(path, PATH_LEN, "%s/progs/%s", dir, dp_prog_names[prog]);
}

/* ---- memory -------------------------------------------------------------- */

static bool map_is_mmapable(const struct bpf_map_info *info)
{
	return info->type == BPF_MAP_TYPE_ARRAY && info->map_flags & BPF_F_MMAPABLE;
}

static int trace_mmap(struct dataplane *dp, struct err *err)
{
	void *mem;

	if (dp->trace_fd < 0)
		return 0;
	mem = mmap(NULL, sizeof(*dp->trace), PROT_READ | PROT_WRITE, MAP_SHARED, dp->trace_fd, 0);
	if (mem == MAP_FAILED)
		return err_system(err, -errno, "map the trace into memory");
	dp->trace = mem;
	return 0;
}

static int map_mmap(struct dataplane *dp, int map, struct err *err)
{
	int prot = dp->mode == DATAPLANE_READ ? PROT_READ : PROT_READ | PROT_WRITE;
	void *mem = mmap(NULL, dp->mem_len[map], prot, MAP_SHARED, dp->map_fd[map], 0);

	if (mem == MAP_FAILED)
		return err_system(err, -errno, "map %s into memory", dp_map_names[map]);
	dp->mem[map] = mem;
	return 0;
}

/*
 * The kernel maps all pages of an array at once, and they all count as the
 * process's. A writer needs few of the flows' and maps these as it goes: flows.c.
 */
static bool map_is_left_out(const struct dataplane *dp, int map)
{
	return dp->mode == DATAPLANE_WRITE && (map == DP_MAP_FLOWS4 || map == DP_MAP_FLOWS6);
}

int flows_mmap(struct dataplane *dp, struct err *err)
{
	int ret = 0;

	if (!dp->mem[DP_MAP_FLOWS4])
		ret = map_mmap(dp, DP_MAP_FLOWS4, err);
	if (!ret && !dp->mem[DP_MAP_FLOWS6])
		ret = map_mmap(dp, DP_MAP_FLOWS6, err);
	return ret;
}

int maps_mmap(struct dataplane *dp, struct err *err)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct bpf_map_info info;
	uint32_t len;
	int i, ret = 0;

	for (i = 0; i < DP_MAP_COUNT && !ret; i++) {
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		if (bpf_obj_get_info_by_fd(dp->map_fd[i], &info, &len))
			return err_system(err, -errno, "ask about map %s", dp_map_names[i]);
		dp->map_max[i] = info.max_entries;
		if (!map_is_mmapable(&info))
			continue;
		dp->mem_len[i] = (size_t)info.max_entries * ((info.value_size + 7u) & ~7u);
		dp->mem_len[i] = (dp->mem_len[i] + page - 1) / page * page;
		if (!map_is_left_out(dp, i))
			ret = map_mmap(dp, i, err);
	}
	return ret ? ret : trace_mmap(dp, err);
}

/* ---- pins ---------------------------------------------------------------- */

static int pin_maps(struct dataplane *dp, struct err *err)
{
	char path[PATH_LEN];
	int i;

	/* The first one last: an instance with a control map is a whole one. */
	for (i = DP_MAP_COUNT - 1; i >= 0; i--) {
		map_pin(path, dp->dir, i);
		(void)unlink(path); /* of an instance that was never finished */
		if (bpf_obj_pin(dp->map_fd[i], path))
			return err_system(err, -errno, "pin map %s at %s", dp_map_names[i], path);
	}
	return 0;
}

static int pin_programs(struct dataplane *dp, struct err *err)
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

static int open_programs(struct dataplane *dp)
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

static void close_programs(struct dataplane *dp)
{
	int i;

	for (i = 0; i < DP_PROG_COUNT; i++) {
		if (dp->prog_fd[i] >= 0)
			close(dp->prog_fd[i]);
		dp->prog_fd[i] = -1;
	}
}

/*
 * A reader's file descriptors can write, too: a map that was opened read-only
 * can't be mapped into memory. Its mappings are read-only.
 * @return -ENOENT where the instance has no control map, that is: there is none
 */
static int open_maps(struct dataplane *dp, struct err *err)
{
	char path[PATH_LEN];
	int i;

	for (i = 0; i < DP_MAP_COUNT; i++) {
		map_pin(path, dp->dir, i);
		dp->map_fd[i] = bpf_obj_get(path);
		if (dp->map_fd[i] >= 0)
			continue;
		if (i == DP_MAP_CONTROL && errno == ENOENT)
			return err_input(err, -ENOENT, "nothing is loaded at %s", dp->dir);
		return err_system(err, -errno, "open pinned map %s (`shunt reset` starts afresh)",
				  path);
	}
	return 0;
}

/* ---- making and adopting --------------------------------------------------- */

static uint32_t bucket_mask(uint32_t flows)
{
	uint32_t buckets = 1;

	while (buckets * SH_WAYS < flows && buckets < 1u << 26)
		buckets *= 2;
	return buckets - 1;
}

static struct sh_control *control_of(struct dataplane *dp)
{
	return dp->mem[DP_MAP_CONTROL];
}

static void control_write(struct dataplane *dp, const struct sh_config *config)
{
	struct sh_control *control = control_of(dp);

	control->abi = SH_ABI;
	control->config = *config;
	programs_build_id(control->build, sizeof(control->build));
}

int scratch_make(struct dataplane *dp, const struct settings *settings,
		 const struct sh_config *config, struct err *err)
{
	int ret;

	ret = programs_load(dp, settings, config, err);
	if (!ret)
		ret = maps_mmap(dp, err);
	if (ret)
		return ret;
	control_write(dp, config);
	dp->fresh_programs = true;
	return 0;
}

static int instance_make(struct dataplane *dp, const struct settings *settings, struct err *err)
{
	struct sh_config config;
	int ret;

	ret = config_make(settings, &config, err);
	if (ret)
		return ret;
	config.bucket_mask4 = bucket_mask(settings->max_flows4);
	config.bucket_mask6 = bucket_mask(settings->max_flows6);
	config.n_slots = (settings->max_slots + SH_SLOTS_PER_LINE - 1) / SH_SLOTS_PER_LINE *
			 SH_SLOTS_PER_LINE;
	config.n_backends = settings->max_backends + 1; /* index 0 is nobody's */
	config.trace = dp->mode == DATAPLANE_TRACE;
	ret = scratch_make(dp, settings, &config, err);
	if (ret || dp->mode != DATAPLANE_WRITE)
		return ret;
	ret = pin_programs(dp, err);
	if (!ret)
		ret = pin_maps(dp, err);
	return ret;
}

static int check_abi(struct dataplane *dp, struct err *err)
{
	const struct sh_control *control = control_of(dp);

	if (dp->mem_len[DP_MAP_CONTROL] >= sizeof(*control) && control->abi == SH_ABI)
		return 0;
	return err_system(err, -EPROTO,
			  "%s was made by a shunt with another map layout (%u, this one has %u); "
			  "`shunt reset` removes it",
			  dp->dir, control->abi, SH_ABI);
}

/* The maps are as large as they are, and their flows hash as they do. */
static void config_keep(struct sh_config *config, const struct sh_config *now)
{
	memcpy(config->seed, now->seed, sizeof(config->seed));
	config->bucket_mask4 = now->bucket_mask4;
	config->bucket_mask6 = now->bucket_mask6;
	config->n_slots = now->n_slots;
	config->n_backends = now->n_backends;
}

/* Take over what is pinned; programs that are not what they should be are loaded anew. */
static int instance_adopt(struct dataplane *dp, const struct settings *settings, struct err *err)
{
	struct sh_control *control;
	char build[sizeof(control->build)] = "";
	struct sh_config config;
	int ret;

	ret = maps_mmap(dp, err);
	if (!ret)
		ret = check_abi(dp, err);
	if (!ret)
		ret = config_make(settings, &config, err);
	if (ret)
		return ret;
	control = control_of(dp);
	if (control->config.netns_cookie != config.netns_cookie)
		return err_input(err, -EXDEV,
				 "%s belongs to another network namespace: run there, or give "
				 "this one its own --bpffs and --state",
				 dp->dir);
	config_keep(&config, &control->config);
	programs_build_id(build, sizeof(build));
	if (!strcmp(build, control->build) && !memcmp(&config, &control->config, sizeof(config)) &&
	    !open_programs(dp))
		return 0;
	close_programs(dp);
	ret = programs_load(dp, settings, &config, err);
	if (!ret)
		ret = pin_programs(dp, err);
	if (ret)
		return ret;
	control_write(dp, &config);
	dp->fresh_programs = true;
	return 0;
}

int dataplane_reload(struct dataplane *dp, const struct settings *settings, struct err *err)
{
	struct sh_control *control = control_of(dp);
	int old[DP_PROG_COUNT], i, ret;
	struct sh_config config;

	ret = config_make(settings, &config, err);
	if (ret)
		return ret;
	config_keep(&config, &control->config);
	if (!memcmp(&config, &control->config, sizeof(config)))
		return 0;
	memcpy(old, dp->prog_fd, sizeof(old));
	ret = programs_load(dp, settings, &config, err);
	if (!ret)
		ret = pin_programs(dp, err);
	for (i = 0; i < DP_PROG_COUNT; i++) {
		if (ret && dp->prog_fd[i] != old[i] && dp->prog_fd[i] >= 0)
			close(dp->prog_fd[i]);
		if (ret)
			dp->prog_fd[i] = old[i];
		else if (old[i] >= 0)
			close(old[i]);
	}
	if (ret)
		return ret;
	control_write(dp, &config);
	dp->fresh_programs = true;
	return 0;
}

static int open_writer(struct dataplane *dp, const struct settings *settings, struct err *err)
{
	struct err nothing = { 0 };
	int ret;

	ret = bpffs_open(dp->dir, true, &dp->dir_fd, err);
	if (!ret)
		ret = bpffs_lock(dp->dir_fd, dp->dir, err);
	if (ret)
		return ret;
	ret = open_maps(dp, &nothing);
	if (!ret)
		return instance_adopt(dp, settings, err);
	if (ret == -ENOENT)
		return instance_make(dp, settings, err);
	*err = nothing;
	return ret;
}

static int open_reader(struct dataplane *dp, struct err *err)
{
	int ret;

	ret = bpffs_open(dp->dir, false, &dp->dir_fd, err);
	if (!ret)
		ret = open_maps(dp, err);
	if (!ret)
		ret = maps_mmap(dp, err);
	if (!ret)
		ret = check_abi(dp, err);
	return ret;
}

struct dataplane *dataplane_new(enum dataplane_mode mode, const char *dir)
{
	struct dataplane *dp = calloc(1, sizeof(*dp));
	int i;

	if (!dp)
		return NULL;
	dp->mode = mode;
	dp->on_node = mode != DATAPLANE_SCRATCH;
	dp->dir_fd = -1;
	dp->trace_fd = -1;
	(void)snprintf(dp->dir, sizeof(dp->dir), "%s", dir);
	for (i = 0; i < DP_MAP_COUNT; i++)
		dp->map_fd[i] = -1;
	for (i = 0; i < DP_PROG_COUNT; i++)
		dp->prog_fd[i] = -1;
	return dp;
}

int dataplane_open(struct dataplane **out, enum dataplane_mode mode,
		   const struct settings *settings, struct err *err)
{
	struct dataplane *dp;
	bool scratch;
	int ret;

	if (strlen(settings->bpffs) >= sizeof(dp->dir))
		return err_usage(err, -ENAMETOOLONG, "--bpffs: a path of at most %zu characters",
				 sizeof(dp->dir) - 1);
	scratch = mode == DATAPLANE_SCRATCH || mode == DATAPLANE_TRACE;
	dp = dataplane_new(mode, scratch ? "" : settings->bpffs);
	if (!dp)
		return err_system(err, -ENOMEM, "open the data path");
	if (scratch)
		ret = instance_make(dp, settings, err);
	else if (mode == DATAPLANE_WRITE)
		ret = open_writer(dp, settings, err);
	else
		ret = open_reader(dp, err);
	if (!ret && mode != DATAPLANE_READ)
		ret = publisher_new(dp, err);
	if (ret) {
		dataplane_close(dp);
		return ret;
	}
	*out = dp;
	return 0;
}

void dataplane_close(struct dataplane *dp)
{
	int i;

	if (!dp)
		return;
	publisher_free(dp->publisher);
	for (i = 0; i < DP_MAP_COUNT; i++) {
		if (dp->mem[i])
			munmap(dp->mem[i], dp->mem_len[i]);
		if (dp->map_fd[i] >= 0)
			close(dp->map_fd[i]);
	}
	close_programs(dp);
	if (dp->trace)
		munmap(dp->trace, sizeof(*dp->trace));
	if (dp->trace_fd >= 0)
		close(dp->trace_fd);
	if (dp->dir_fd >= 0)
		close(dp->dir_fd);
	free(dp);
}
