/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The three skeletons -> loaded programs over one set of maps. The first
 * object makes the maps (or gets those that are there), the others share them.
 */
#include "dataplane/load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "shunt_iter.skel.h"
#include "shunt_sock.skel.h"
#include "shunt_tc.skel.h"
#include "shunt_xdp.skel.h"

#define KERNEL_MAJOR_LEAST 5
#define KERNEL_MINOR_LEAST 15

const char *const dp_map_names[DP_MAP_COUNT] = {
#define X(id, name) [DP_MAP_##id] = (name),
	DP_MAPS(X)
#undef X
};

const char *const dp_prog_names[DP_PROG_COUNT] = {
#define X(id, name, type) [DP_PROG_##id] = (name),
	DP_PROGS(X)
#undef X
};

struct objects {
	struct shunt_tc *tc;
	struct shunt_xdp *xdp;
	struct shunt_sock *sock;
};

/* libbpf's own words, the verifier's above all, for whoever asks for them. */
static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	if (!getenv("SHUNT_DEBUG"))
		return 0;
	return vfprintf(stderr, format, args);
}

static int check_kernel(struct err *err)
{
	struct utsname name;
	int major = 0, minor = 0;

	if (uname(&name) || sscanf(name.release, "%d.%d", &major, &minor) != 2)
		return 0;
	if (major > KERNEL_MAJOR_LEAST ||
	    (major == KERNEL_MAJOR_LEAST && minor >= KERNEL_MINOR_LEAST))
		return 0;
	return err_system(err, -EOPNOTSUPP, "Linux %s is too old: shunt needs %d.%d or later",
			  name.release, KERNEL_MAJOR_LEAST, KERNEL_MINOR_LEAST);
}

uint32_t programs_map_entries(enum dp_map map, const struct settings *settings,
			      const struct sh_config *config)
{
	switch (map) {
	case DP_MAP_FRONTENDS:
		return settings->max_frontends;
	case DP_MAP_SLOTS:
		return config->n_slots / SH_SLOTS_PER_LINE;
	case DP_MAP_BACKENDS:
		return config->n_backends;
	case DP_MAP_TAGS4:
		return config->bucket_mask4 + 1;
	case DP_MAP_TAGS6:
		return config->bucket_mask6 + 1;
	case DP_MAP_FLOWS4:
		return (config->bucket_mask4 + 1) * SH_WAYS;
	case DP_MAP_FLOWS6:
		return (config->bucket_mask6 + 1) * SH_WAYS;
	case DP_MAP_SOCKETS:
		return settings->max_sockets;
	case DP_MAP_META: /* Services, backends, nodes */
		return settings->max_frontends + 2 * settings->max_backends;
	default:
		return 0; /* as the program declares it */
	}
}

/* libbpf would take the map's sizes for the program's: a layout whose number was not raised. */
static int reuse_map(struct bpf_map *map, int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	if (info.key_size != bpf_map__key_size(map) || info.value_size != bpf_map__value_size(map))
		return -EPROTO;
	return bpf_map__reuse_fd(map, fd);
}

/* Give @object the maps there are; say how large the others shall be. */
static int share_maps(struct dataplane *dp, struct bpf_object *object,
		      const struct settings *settings, const struct sh_config *config)
{
	struct bpf_map *map;
	uint32_t entries;
	int i, ret = 0;

	for (i = 0; i < DP_MAP_COUNT && !ret; i++) {
		map = bpf_object__find_map_by_name(object, dp_map_names[i]);
		if (!map)
			continue;
		entries = programs_map_entries((enum dp_map)i, settings, config);
		if (dp->map_fd[i] >= 0)
			ret = reuse_map(map, dp->map_fd[i]);
		else if (entries)
			ret = bpf_map__set_max_entries(map, entries);
	}
	return ret;
}

/* The trace's map is shared too; where nothing is traced it isn't made at all. */
static int share_trace(struct dataplane *dp, struct bpf_object *object,
		       const struct sh_config *config)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, SH_TRACE_SECTION);

	if (!map)
		return 0;
	if (!config->trace)
		return bpf_map__set_autocreate(map, false);
	return dp->trace_fd >= 0 ? bpf_map__reuse_fd(map, dp->trace_fd) : 0;
}

static int take_trace(struct dataplane *dp, struct bpf_object *object)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, SH_TRACE_SECTION);

	if (!map || !bpf_map__autocreate(map) || dp->trace_fd >= 0)
		return 0;
	dp->trace_fd = dup(bpf_map__fd(map));
	return dp->trace_fd < 0 ? -errno : 0;
}

/* Keep file descriptors of what @object has made, beyond its own life. */
static int take_fds(struct dataplane *dp, struct bpf_object *object)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	int i;

	for (i = 0; i < DP_MAP_COUNT; i++) {
		map = bpf_object__find_map_by_name(object, dp_map_names[i]);
		if (!map || dp->map_fd[i] >= 0)
			continue;
		dp->map_fd[i] = dup(bpf_map__fd(map));
		if (dp->map_fd[i] < 0)
			return -errno;
	}
	for (i = 0; i < DP_PROG_COUNT; i++) {
		prog = bpf_object__find_program_by_name(object, dp_prog_names[i]);
		if (!prog)
			continue;
		dp->prog_fd[i] = dup(bpf_program__fd(prog));
		if (dp->prog_fd[i] < 0)
			return -errno;
	}
	return take_trace(dp, object);
}

static int load_one(struct dataplane *dp, struct bpf_object *object,
		    const struct settings *settings, const struct sh_config *config)
{
	int ret;

	ret = share_maps(dp, object, settings, config);
	if (!ret)
		ret = share_trace(dp, object, config);
	if (!ret)
		ret = bpf_object__load(object);
	if (!ret)
		ret = take_fds(dp, object);
	return ret;
}

int programs_load(struct dataplane *dp, const struct settings *settings,
		  const struct sh_config *config, struct err *err)
{
	struct objects o = { 0 };
	int ret;

	ret = check_kernel(err);
	if (ret)
		return ret;
	libbpf_set_print(print_libbpf);
	o.tc = shunt_tc__open();
	o.xdp = shunt_xdp__open();
	o.sock = shunt_sock__open();
	if (!o.tc || !o.xdp || !o.sock) {
		ret = err_system(err, -errno, "open the BPF programs");
		goto out;
	}
	memcpy(&o.tc->rodata->sh_config, config, sizeof(*config));
	memcpy(&o.xdp->rodata->sh_config, config, sizeof(*config));
	memcpy(&o.sock->rodata->sh_config, config, sizeof(*config));
	ret = load_one(dp, o.tc->obj, settings, config);
	if (!ret)
		ret = load_one(dp, o.xdp->obj, settings, config);
	if (!ret)
		ret = load_one(dp, o.sock->obj, settings, config);
	if (ret)
		err_system(err, ret,
			   "load the BPF programs (SHUNT_DEBUG=1 shows what the kernel says)");
out:
	shunt_tc__destroy(o.tc);
	shunt_xdp__destroy(o.xdp);
	shunt_sock__destroy(o.sock);
	return ret;
}

void programs_build_id(char *buf, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */
	const unsigned char *bytes[4];
	size_t len[4], i, j;

	bytes[0] = shunt_tc__elf_bytes(&len[0]);
	bytes[1] = shunt_xdp__elf_bytes(&len[1]);
	bytes[2] = shunt_sock__elf_bytes(&len[2]);
	bytes[3] = shunt_iter__elf_bytes(&len[3]);
	for (i = 0; i < 4; i++) {
		for (j = 0; j < len[i]; j++)
			hash = (hash ^ bytes[i][j]) * 0x100000001b3ull;
	}
	(void)snprintf(buf, size, "%s-%016llx", SHUNT_VERSION, (unsigned long long)hash);
}
