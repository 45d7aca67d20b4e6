// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which programs and maps these are, how full, and who else is in the same hooks. */
#include "dataplane/clsact.h"
#include "dataplane/load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/bpffs.h"
#include "dataplane/cgroup.h"
#include "dataplane/link.h"
#include "dataplane/sockets.h"

#define PATH_LEN 384

/* Since Linux 6.6; Linux 6.1's headers don't have them. */
#define ABOUT_TCX_INGRESS 46
#define ABOUT_TCX_EGRESS  47

_Static_assert(DP_MAP_COUNT <= DATAPLANE_MAPS_MAX, "room for every map");
_Static_assert(DP_PROG_COUNT <= CGROUP_HOOKS_MAX, "room for every program");

/* ---- the control map ------------------------------------------------------------------ */

static int read_control(int fd, struct sh_control *out, struct err *err)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info), key = 0;
	int ret = 0;
	void *value;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return err_system(err, -errno, "ask about map %s", dp_map_names[DP_MAP_CONTROL]);
	value = calloc(1, info.value_size + 8u);
	if (!value)
		return err_system(err, -ENOMEM, "read %s", dp_map_names[DP_MAP_CONTROL]);
	if (bpf_map_lookup_elem(fd, &key, value))
		ret = err_system(err, -errno, "read %s", dp_map_names[DP_MAP_CONTROL]);
	else
		memcpy(out, value, info.value_size < sizeof(*out) ? info.value_size : sizeof(*out));
	free(value);
	return ret;
}

int dataplane_about(const struct settings *settings, struct dataplane_about *out, struct err *err)
{
	struct sh_control control = { 0 };
	char path[PATH_LEN];
	__u64 cookie = 0;
	int fd = -1, ret;

	ret = bpffs_open(settings->bpffs, false, &fd, err);
	if (ret)
		return ret;
	(void)close(fd);
	(void)snprintf(path, sizeof(path), "%s/%s", settings->bpffs, dp_map_names[DP_MAP_CONTROL]);
	fd = bpf_obj_get(path);
	if (fd < 0 && errno == ENOENT)
		return err_input(err, -ENOENT, "nothing is loaded at %s", settings->bpffs);
	if (fd < 0)
		return err_system(err, -errno, "open pinned map %s", path);
	ret = read_control(fd, &control, err);
	(void)close(fd);
	if (ret)
		return ret;
	*out = (struct dataplane_about){ .abi = control.abi,
					 .holder = bpffs_holder(settings->bpffs) };
	memcpy(out->build, control.build, sizeof(out->build) - 1);
	programs_build_id(out->own_build, sizeof(out->own_build));
	if (control.abi == SH_ABI)
		out->config = control.config;
	out->this_netns = control.abi != SH_ABI || netns_cookie(&cookie) ||
			  cookie == control.config.netns_cookie;
	return 0;
}

/* ---- how full -------------------------------------------------------------------------- */

static uint64_t count_keys(int fd)
{
	/* The largest key is that of shunt_fragments. */
	char a[64] = { 0 }, b[64] = { 0 }, *from = NULL, *to = a;
	uint64_t n = 0;

	while (!bpf_map_get_next_key(fd, from, to)) {
		n++;
		from = to;
		to = from == a ? b : a;
	}
	return n;
}

static uint64_t count_backends(const struct dataplane *dp)
{
	const struct sh_backend *backends = dp->mem[DP_MAP_BACKENDS];
	uint64_t n = 0;
	uint32_t i;

	for (i = 1; backends && i < dp->map_max[DP_MAP_BACKENDS]; i++)
		n += backends[i].id != 0;
	return n;
}

static int table_cmp(const void *a, const void *b)
{
	const struct sh_table *x = a, *y = b;

	if (x->base != y->base)
		return x->base < y->base ? -1 : 1;
	return (x->size > y->size) - (x->size < y->size);
}

/* Slots of the tables that frontends lead to; those that are being retired are not told. */
static uint64_t count_slots(const struct dataplane *dp)
{
	const int fd = dp->map_fd[DP_MAP_FRONTENDS];
	const size_t cap = 2 * (size_t)dp->map_max[DP_MAP_FRONTENDS];
	struct sh_table *tables = reallocarray(NULL, cap, sizeof(*tables));
	struct sh_frontend_key key, *from = NULL;
	struct sh_frontend value;
	uint64_t sum = 0;
	size_t i, n = 0;

	while (tables && n + 2 <= cap && !bpf_map_get_next_key(fd, from, &key)) {
		from = &key;
		if (bpf_map_lookup_elem(fd, &key, &value))
			continue;
		tables[n++] = value.cluster;
		tables[n++] = value.local;
	}
	if (n)
		qsort(tables, n, sizeof(*tables), table_cmp);
	for (i = 0; i < n; i++) {
		if (!i || table_cmp(&tables[i], &tables[i - 1]) != 0)
			sum += tables[i].size;
	}
	free(tables);
	return sum;
}

static uint64_t count_flows(const uint64_t *states)
{
	uint64_t sum = 0;
	int i;

	for (i = SH_FREE + 1; i < SH_STATES; i++)
		sum += states[i];
	return sum;
}

/* @return what /proc knows of a map's memory; 0: nothing */
static uint64_t map_bytes(int fd)
{
	unsigned long long bytes = 0;
	char path[64], line[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	}
	if (file)
		(void)fclose(file);
	return bytes;
}

/* Can it be filled? Arrays of which all is always there can't, nor can sockets' storage. */
static bool is_counted(int map)
{
	return map != DP_MAP_CONTROL && map != DP_MAP_FILTER && map != DP_MAP_COUNTED &&
	       map != DP_MAP_LISTENERS && map != DP_MAP_EVENTS && map != DP_MAP_HEARD;
}

static struct fill map_fill(struct dataplane *dp, int map, const struct flow_counts *flows)
{
	struct fill fill = { .max = dp->map_max[map] };

	switch (map) {
	case DP_MAP_SLOTS:
		fill = (struct fill){ count_slots(dp), fill.max * SH_SLOTS_PER_LINE };
		break;
	case DP_MAP_BACKENDS:
		fill = (struct fill){ count_backends(dp), fill.max - 1 };
		break;
	case DP_MAP_TAGS4:
	case DP_MAP_FLOWS4:
		fill = (struct fill){ count_flows(flows->v4), flows->max4 };
		break;
	case DP_MAP_TAGS6:
	case DP_MAP_FLOWS6:
		fill = (struct fill){ count_flows(flows->v6), flows->max6 };
		break;
	default:
		fill.used = count_keys(dp->map_fd[map]);
		break;
	}
	return fill;
}

int dataplane_map_fill(struct dataplane *dp, struct map_fill out[static DATAPLANE_MAPS_MAX],
		       struct err *err)
{
	struct flow_counts flows;
	int map;

	dataplane_flow_counts(dp, &flows);
	for (map = 0; map < DP_MAP_COUNT; map++) {
		out[map] = (struct map_fill){ .name = dp_map_names[map],
					      .counted = is_counted(map),
					      .bytes = map_bytes(dp->map_fd[map]) };
		if (out[map].counted)
			out[map].fill = map_fill(dp, map, &flows);
	}
	return DP_MAP_COUNT;
}

/* ---- hooks -------------------------------------------------------------------------------- */

/* The program that stands at a pin below @dir. @return 0: none does */
static uint32_t pinned_prog(const struct dataplane *dp, int prog)
{
	char path[PATH_LEN];
	uint32_t id;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/progs/%s", dp->dir, dp_prog_names[prog]);
	fd = bpf_obj_get(path);
	id = fd < 0 ? 0 : link_prog_id(fd);
	if (fd >= 0)
		(void)close(fd);
	return id;
}

static struct hook_program describe(uint32_t id, uint32_t own)
{
	struct hook_program program = { .id = id, .ours = id == own };
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len))
		(void)snprintf(program.name, sizeof(program.name), "%s", info.name);
	if (fd >= 0)
		(void)close(fd);
	return program;
}

/* What @target has in the hook of @type; @own is left to be told by its id. */
static int query(int target, uint32_t type, uint32_t own,
		 struct hook_program out[static HOOK_PROGRAMS_MAX])
{
	__u32 ids[HOOK_PROGRAMS_MAX] = { 0 }, i;
	LIBBPF_OPTS(bpf_prog_query_opts, opts, .prog_ids = ids, .prog_cnt = HOOK_PROGRAMS_MAX);

	if (bpf_prog_query_opts(target, (enum bpf_attach_type)type, &opts))
		return -errno;
	for (i = 0; i < opts.prog_cnt && i < HOOK_PROGRAMS_MAX; i++)
		out[i] = describe(ids[i], own);
	return (int)i;
}

int dataplane_tcx_programs(const struct dataplane *dp, uint32_t ifindex, bool egress,
			   struct hook_program out[static HOOK_PROGRAMS_MAX])
{
	const int prog = egress ? DP_PROG_EGRESS : DP_PROG_INGRESS;

	return query((int)ifindex, egress ? ABOUT_TCX_EGRESS : ABOUT_TCX_INGRESS,
		     pinned_prog(dp, prog), out);
}

int dataplane_clsact_programs(const struct dataplane *dp, uint32_t ifindex, bool egress,
			      struct hook_program out[static HOOK_PROGRAMS_MAX])
{
	const uint32_t own = pinned_prog(dp, egress ? DP_PROG_EGRESS : DP_PROG_INGRESS);
	uint32_t ids[HOOK_PROGRAMS_MAX];
	int n = clsact_programs(ifindex, egress, ids, HOOK_PROGRAMS_MAX), i;

	for (i = 0; i < n; i++)
		out[i] = describe(ids[i], own);
	return n;
}

int dataplane_xdp_program(const struct dataplane *dp, uint32_t ifindex,
			  struct hook_program out[static HOOK_PROGRAMS_MAX])
{
	__u32 id = 0;

	if (bpf_xdp_query_id((int)ifindex, 0, &id))
		return -errno;
	if (!id)
		return 0;
	out[0] = describe(id, pinned_prog(dp, DP_PROG_XDP));
	return 1;
}

/* The cgroup of the link at a pin, and the type of its hook. */
static uint64_t pinned_cgroup(const struct dataplane *dp, int prog, uint32_t *type_out)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);
	char path[PATH_LEN];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/links/%s", dp->dir, dp_prog_names[prog]);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.type != BPF_LINK_TYPE_CGROUP)
		info.cgroup.cgroup_id = 0;
	*type_out = info.cgroup.attach_type;
	(void)close(fd);
	return info.cgroup.cgroup_id;
}

static void fill_others(const struct dataplane *dp, int prog, uint32_t type,
			struct cgroup_hook *hook)
{
	struct hook_program all[HOOK_PROGRAMS_MAX] = { 0 };
	const uint32_t own = pinned_prog(dp, prog);
	char path[PATH_LEN];
	int fd, n, i;

	if (!cgroup_path(hook->cgroup, path, sizeof(path)))
		return;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = query(fd, type, own, all);
	for (i = 0; i < n; i++) {
		if (!all[i].ours)
			hook->others[hook->n_others++] = all[i];
	}
	(void)close(fd);
}

int dataplane_cgroup_hooks(const struct dataplane *dp,
			   struct cgroup_hook out[static CGROUP_HOOKS_MAX])
{
	int prog, n = 0;
	uint32_t type;

	for (prog = 0; prog < DP_PROG_COUNT; prog++) {
		if (prog == DP_PROG_XDP || prog == DP_PROG_INGRESS || prog == DP_PROG_EGRESS)
			continue;
		out[n] = (struct cgroup_hook){ .program = dp_prog_names[prog] };
		out[n].cgroup = pinned_cgroup(dp, prog, &type);
		if (out[n].cgroup)
			fill_others(dp, prog, type, &out[n]);
		n++;
	}
	return n;
}
