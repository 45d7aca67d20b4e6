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
#include <time.h>
#include <unistd.h>

#include "dataplane/bpffs.h"

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

void flows_munmap(struct dataplane *dp)
{
	static const int maps[] = { DP_MAP_FLOWS4, DP_MAP_FLOWS6 };

	for (size_t i = 0; i < 2; i++) {
		if (dp->mem[maps[i]])
			(void)munmap(dp->mem[maps[i]], dp->mem_len[maps[i]]);
		dp->mem[maps[i]] = NULL;
	}
}

int maps_mmap(struct dataplane *dp, struct err *err)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct bpf_map_info info;
	uint32_t len;
	int i, ret = 0;

	for (i = 0; i < DP_MAP_COUNT && !ret; i++) {
		if (dp->map_fd[i] < 0) /* of another version's maps */
			continue;
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		if (bpf_obj_get_info_by_fd(dp->map_fd[i], &info, &len))
			return err_system(err, -errno, "ask about map %s", dp_map_names[i]);
		dp->map_max[i] = info.max_entries;
		if (!map_is_mmapable(&info))
			continue;
		dp->map_size[i] = (info.value_size + 7u) & ~7u;
		dp->mem_len[i] = (size_t)info.max_entries * dp->map_size[i];
		dp->mem_len[i] = (dp->mem_len[i] + page - 1) / page * page;
		if (!map_is_left_out(dp, i))
			ret = map_mmap(dp, i, err);
	}
	return ret ? ret : trace_mmap(dp, err);
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

void control_write(struct dataplane *dp, const struct sh_config *config)
{
	static const uint16_t layouts[] = {
#define X(id, layout) (layout),
		SH_LAYOUTS(X)
#undef X
	};
	struct sh_control *control = control_of(dp);

	control->abi = SH_ABI;
	control->size = sizeof(*control);
	memcpy(control->layout, layouts, sizeof(layouts));
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

/* As the settings would have them. */
static void config_sizes(struct sh_config *config, const struct settings *settings)
{
	config->bucket_mask4 = bucket_mask(settings->max_flows4);
	config->bucket_mask6 = bucket_mask(settings->max_flows6);
	config->n_slots = (settings->max_slots + SH_SLOTS_PER_LINE - 1) / SH_SLOTS_PER_LINE *
			  SH_SLOTS_PER_LINE;
	config->n_backends = settings->max_backends + 1; /* index 0 is nobody's */
}

static int instance_make(struct dataplane *dp, const struct settings *settings, struct err *err)
{
	struct sh_config config;
	int ret;

	ret = config_make(settings, &config, err);
	if (ret)
		return ret;
	config_sizes(&config, settings);
	config.trace = dp->mode == DATAPLANE_TRACE;
	ret = scratch_make(dp, settings, &config, err);
	if (ret || dp->mode != DATAPLANE_WRITE)
		return ret;
	ret = pin_programs(dp, err);
	if (!ret)
		ret = pin_maps(dp, err);
	return ret;
}

/* Can anything be told of it? */
static int check_abi(struct dataplane *dp, struct err *err)
{
	const struct sh_control *control = control_of(dp);

	if (control && control->abi == SH_ABI)
		return 0;
	return err_system(err, -EPROTO,
			  "%s was made by a shunt that this one can't take over from (%u, this one "
			  "has %u); `shunt reset` removes it",
			  dp->dir, control ? control->abi : 0, SH_ABI);
}

void config_keep(struct sh_config *config, const struct sh_config *now)
{
	memcpy(config->seed, now->seed, sizeof(config->seed));
	config->bucket_mask4 = now->bucket_mask4;
	config->bucket_mask6 = now->bucket_mask6;
	config->n_slots = now->n_slots;
	config->n_backends = now->n_backends;
}

/* The settings as programs over these maps would have them. */
static int adopt_config(const struct dataplane *dp, const struct sh_control *control,
			const struct settings *settings, struct sh_config *out, struct err *err)
{
	int ret;

	ret = config_make(settings, out, err);
	if (ret)
		return ret;
	if (control->config.netns_cookie != out->netns_cookie)
		return err_input(err, -EXDEV,
				 "%s belongs to another network namespace: run there, or give "
				 "this one its own --bpffs and --state",
				 dp->dir);
	config_keep(out, &control->config);
	return 0;
}

/* Over the same maps; programs that are not what they should be are loaded anew. */
static int adopt_programs(struct dataplane *dp, const struct settings *settings,
			  const struct sh_config *config, struct err *err)
{
	const struct sh_control *control = control_of(dp);
	char build[sizeof(control->build)] = "";
	int ret;

	programs_build_id(build, sizeof(build));
	if (!strcmp(build, control->build) && !memcmp(config, &control->config, sizeof(*config)) &&
	    !pins_open_programs(dp))
		return 0;
	close_programs(dp);
	ret = programs_load(dp, settings, config, err);
	if (!ret)
		ret = pin_programs(dp, err);
	if (ret)
		return ret;
	control_write(dp, config);
	dp->fresh_programs = true;
	return 0;
}

static int plan_maps(const struct dataplane *dp, const struct settings *settings,
		     const struct sh_config *config, enum map_way way_out[static DP_MAP_COUNT],
		     struct err *err)
{
	struct map_shape now[DP_MAP_COUNT], wanted[DP_MAP_COUNT];
	const struct sh_control *control = dp->mem[DP_MAP_CONTROL];
	int i;

	for (i = 0; i < DP_MAP_COUNT; i++) {
		now[i].layout = dp->map_fd[i] >= 0 ? migrate_layout_of(control, i) : 0;
		now[i].entries = dp->map_max[i];
		wanted[i].layout = migrate_layout(i);
		wanted[i].entries = programs_map_entries((enum dp_map)i, settings, config);
	}
	return migrate_plan(now, wanted, way_out, err);
}

/* Take over what is pinned. */
static int instance_adopt(struct dataplane *dp, const struct settings *settings, struct err *err)
{
	enum map_way way[DP_MAP_COUNT];
	struct sh_control *control;
	struct sh_config config;
	int ret;

	ret = maps_mmap(dp, err);
	if (!ret)
		ret = check_abi(dp, err);
	if (ret)
		return ret;
	control = control_of(dp);
	ret = adopt_config(dp, control, settings, &config, err);
	if (ret)
		return ret;
	if (control->standing >= SH_STAND_BEFORE)
		return migrate_resume(dp, settings, &config, err);
	ret = pins_drop_next(dp->dir, err);
	if (ret)
		return ret;
	config_sizes(&config, settings);
	ret = plan_maps(dp, settings, &config, way, err);
	if (ret)
		return ret;
	return migrate_moves(way) ? migrate_begin(dp, settings, &config, way, err)
				  : adopt_programs(dp, settings, &config, err);
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
	/* Over maps that are not pinned yet, they wait for these. */
	if (!ret && !dp->migration)
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

static void close_maps(struct dataplane *dp)
{
	int i;

	for (i = 0; i < DP_MAP_COUNT; i++) {
		if (dp->mem[i])
			munmap(dp->mem[i], dp->mem_len[i]);
		if (dp->map_fd[i] >= 0)
			close(dp->map_fd[i]);
		dp->mem[i] = NULL;
		dp->map_fd[i] = -1;
	}
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
	ret = pins_open_maps(dp, &nothing);
	if (!ret)
		return instance_adopt(dp, settings, err);
	if (ret == -ENOENT)
		return instance_make(dp, settings, err);
	*err = nothing;
	return ret;
}

static int check_layouts(struct dataplane *dp, struct err *err)
{
	const struct sh_control *control = control_of(dp);
	int i;

	for (i = 0; i < DP_MAP_COUNT; i++) {
		if (migrate_layout_of(control, i) != migrate_layout(i) || dp->map_fd[i] < 0)
			return err_system(err, -EPROTO,
					  "%s was made by a shunt of another map layout (%s: %u, "
					  "this one has %u): run that one, its build is %.*s",
					  dp->dir, dp_map_names[i], migrate_layout_of(control, i),
					  migrate_layout(i), (int)sizeof(control->build),
					  control->build);
	}
	return 0;
}

static int read_pins(struct dataplane *dp, struct err *err)
{
	int ret;

	ret = pins_open_maps(dp, err);
	if (!ret)
		ret = maps_mmap(dp, err);
	return ret ? ret : check_abi(dp, err);
}

/* While pins are being replaced, for some 10 us, not all are of one instance. */
#define REPLACE_STEP_NS	 5000000
#define REPLACE_STEP_MAX 200

static int open_reader(struct dataplane *dp, struct err *err)
{
	const struct timespec step = { .tv_nsec = REPLACE_STEP_NS };
	int ret, i;

	ret = bpffs_open(dp->dir, false, &dp->dir_fd, err);
	if (!ret)
		ret = read_pins(dp, err);
	for (i = 0; !ret && control_of(dp)->standing == SH_STAND_LEFT; i++) {
		if (i == REPLACE_STEP_MAX)
			return err_system(err, -EAGAIN,
					  "the takeover of %s was cut short: start shunt again, to "
					  "finish it",
					  dp->dir);
		close_maps(dp);
		(void)nanosleep(&step, NULL);
		ret = read_pins(dp, err);
	}
	return ret ? ret : check_layouts(dp, err);
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

bool dataplane_is_there(const struct settings *settings)
{
	char path[512];
	int len = snprintf(path, sizeof(path), "%s/%s", settings->bpffs,
			   dp_map_names[DP_MAP_CONTROL]);

	return len < (int)sizeof(path) && !access(path, F_OK);
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
	if (!dp)
		return;
	migration_free(dp->migration);
	publisher_free(dp->publisher);
	close_maps(dp);
	close_programs(dp);
	if (dp->trace)
		munmap(dp->trace, sizeof(*dp->trace));
	if (dp->trace_fd >= 0)
		close(dp->trace_fd);
	if (dp->dir_fd >= 0)
		close(dp->dir_fd);
	free(dp);
}
