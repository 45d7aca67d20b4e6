// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Old maps -> new ones, element by element; flows are in migrate_flows.c. */
#include "dataplane/migrate.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#define KEY_BYTES_MAX	64
#define VALUE_BYTES_MAX 512

static const struct converter *converter_of(const struct migration *migration, int map)
{
	if (migration->layout[map] == migrate_layout(map))
		return NULL;
	return converter_find((enum dp_map)map, migration->layout[map]);
}

void copy_value(const struct migration *migration, int map, const void *from, size_t from_size,
		void *to)
{
	const struct converter *converter = converter_of(migration, map);

	if (converter && converter->value)
		converter->value(from, to);
	else
		memcpy(to, from, from_size);
}

static int map_info(int fd, struct bpf_map_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

/* ---- hash maps --------------------------------------------------------------- */

struct element {
	_Alignas(8) char key[KEY_BYTES_MAX];
	_Alignas(8) char value[VALUE_BYTES_MAX];
};

static void convert(const struct migration *migration, int map, const struct element *from,
		    struct element *to)
{
	const struct converter *converter = converter_of(migration, map);

	memset(to, 0, sizeof(*to));
	if (converter && converter->key)
		converter->key(from->key, to->key);
	else
		memcpy(to->key, from->key, sizeof(to->key));
	copy_value(migration, map, from->value, sizeof(from->value), to->value);
}

static int copy_failed(const struct dataplane *dp, int map, int ret, struct err *err)
{
	if (ret == -E2BIG)
		return err_system(err, ret,
				  "%s has room for %u entries now, and more than that are in "
				  "force: give back the option that was lowered "
				  "(--max-frontends, --max-backends)",
				  dp_map_names[map], dp->map_max[map]);
	return err_system(err, ret, "copy %s", dp_map_names[map]);
}

/*
 * An element that goes while this walks begins the walk again: hence a bound.
 * @flags BPF_NOEXIST: what stands there already is newer
 */
static int copy_hash(struct dataplane *dp, int map, uint64_t flags, struct err *err)
{
	const struct migration *migration = dp->migration;
	int from_fd = migration->from->map_fd[map], to_fd = dp->map_fd[map];
	char next[KEY_BYTES_MAX];
	struct element from, to;
	struct bpf_map_info info;
	const void *last = NULL;
	uint64_t turns;

	if (map_info(from_fd, &info))
		return err_system(err, -errno, "ask about map %s", dp_map_names[map]);
	if (info.key_size > KEY_BYTES_MAX || info.value_size > VALUE_BYTES_MAX)
		return err_system(err, -EPROTO, "copy %s: its elements are too large",
				  dp_map_names[map]);
	for (turns = 0; turns < 4ull * info.max_entries; turns++) {
		if (bpf_map_get_next_key(from_fd, last, next))
			return 0;
		memcpy(from.key, next, info.key_size);
		last = from.key;
		if (bpf_map_lookup_elem(from_fd, from.key, from.value))
			continue;
		convert(migration, map, &from, &to);
		if (bpf_map_update_elem(to_fd, to.key, to.value, flags) && errno != EEXIST)
			return copy_failed(dp, map, -errno, err);
	}
	return 0;
}

/* ---- arrays -------------------------------------------------------------------- */

bool old_backend(const struct migration *migration, uint32_t index, struct sh_backend *out)
{
	const struct dataplane *from = migration->from;
	const char *lines = from->mem[DP_MAP_BACKENDS];

	if (index >= from->map_max[DP_MAP_BACKENDS])
		return false;
	memset(out, 0, sizeof(*out));
	copy_value(migration, DP_MAP_BACKENDS,
		   lines + (size_t)index * from->map_size[DP_MAP_BACKENDS], sizeof(*out), out);
	return true;
}

static int copy_backends(struct dataplane *dp, struct err *err)
{
	struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS], line;
	uint32_t i;

	for (i = 0; old_backend(dp->migration, i, &line); i++) {
		line.live = 0; /* counted as flows are copied */
		if (i < dp->map_max[DP_MAP_BACKENDS])
			lines[i] = line;
		else if (line.id)
			return err_system(err, -E2BIG,
					  "backend %u is in force, and there is room for %u now "
					  "(--max-backends): raise it, or start with fewer",
					  i, dp->map_max[DP_MAP_BACKENDS] - 1);
	}
	return 0;
}

static void copy_slots(struct dataplane *dp)
{
	const struct dataplane *from = dp->migration->from;

	/* Never fewer: migrate.c has a publish fill those. */
	memcpy(dp->mem[DP_MAP_SLOTS], from->mem[DP_MAP_SLOTS],
	       (size_t)from->map_max[DP_MAP_SLOTS] * sizeof(struct sh_slot_line));
}

/* ---- together -------------------------------------------------------------------- */

int copy_for_publisher(struct dataplane *dp, struct err *err)
{
	static const enum dp_map hashes[] = {
		DP_MAP_FRONTENDS, DP_MAP_NODEADDRS, DP_MAP_DEVICES, DP_MAP_SRCRANGES, DP_MAP_META,
	};
	const enum map_way *way = dp->migration->way;
	size_t i;
	int ret = 0;

	if (way[DP_MAP_BACKENDS] == MAP_COPY)
		ret = copy_backends(dp, err);
	if (way[DP_MAP_SLOTS] == MAP_COPY)
		copy_slots(dp);
	for (i = 0; i < sizeof(hashes) / sizeof(hashes[0]) && !ret; i++) {
		if (way[hashes[i]] == MAP_COPY)
			ret = copy_hash(dp, hashes[i], BPF_ANY, err);
	}
	return ret ? ret : copy_for_programs(dp, false, err);
}

int copy_for_programs(struct dataplane *dp, bool late, struct err *err)
{
	static const enum dp_map hashes[] = { DP_MAP_SOCKETS, DP_MAP_AFFINITY };
	size_t i;
	int ret = 0;

	for (i = 0; i < sizeof(hashes) / sizeof(hashes[0]) && !ret; i++) {
		if (dp->migration->way[hashes[i]] == MAP_COPY)
			ret = copy_hash(dp, hashes[i], late ? BPF_NOEXIST : BPF_ANY, err);
	}
	return ret;
}
