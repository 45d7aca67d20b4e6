/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A copy of an instance, to run packets in: the same settings, seeds and sizes,
 * so that all that lies in memory is copied as it lies there. Not copied is what
 * no new packet reads: counters of drops, sockets' names, fragments.
 */
#include "dataplane/load.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#define KEY_BYTES_MAX	64
#define VALUE_BYTES_MAX 512

/* What of the maps that can't be mapped into memory a packet's way hangs on. */
static const struct {
	enum dp_map map;
	size_t key_size, value_size;
} hashes[] = {
	{ DP_MAP_FRONTENDS, sizeof(struct sh_frontend_key), sizeof(struct sh_frontend) },
	{ DP_MAP_NODEADDRS, sizeof(struct sh_addr), sizeof(struct sh_nodeaddr) },
	{ DP_MAP_DEVICES, sizeof(uint32_t), sizeof(struct sh_device) },
	{ DP_MAP_AFFINITY, sizeof(struct sh_affinity_key), sizeof(struct sh_affinity) },
	{ DP_MAP_SRCRANGES, sizeof(struct sh_srcrange_key), sizeof(uint8_t) },
	{ DP_MAP_META, sizeof(struct sh_meta_key), sizeof(struct sh_meta) },
};

/* An element that goes while this walks is not copied; one that comes may not be. */
static int copy_hash(struct dataplane *dp, struct dataplane *live, size_t i, struct err *err)
{
	int from = live->map_fd[hashes[i].map], to = dp->map_fd[hashes[i].map];
	char key[KEY_BYTES_MAX], next[KEY_BYTES_MAX], value[VALUE_BYTES_MAX];
	const void *last = NULL;

	while (!bpf_map_get_next_key(from, last, next)) {
		memcpy(key, next, hashes[i].key_size);
		last = key;
		if (bpf_map_lookup_elem(from, key, value))
			continue;
		if (bpf_map_update_elem(to, key, value, BPF_ANY))
			return err_system(err, -errno, "copy %s", dp_map_names[hashes[i].map]);
	}
	return 0;
}

static int copy_all(struct dataplane *dp, struct dataplane *live, struct err *err)
{
	size_t i;
	int ret = 0, map;

	for (map = 0; map < DP_MAP_COUNT; map++) {
		if (map == DP_MAP_CONTROL || map == DP_MAP_LISTENERS || !dp->mem[map])
			continue; /* nobody listens to what happens in a copy */
		if (dp->mem_len[map] != live->mem_len[map])
			return err_system(err, -EPROTO, "copy %s: its size is not as it should be",
					  dp_map_names[map]);
		memcpy(dp->mem[map], live->mem[map], live->mem_len[map]);
	}
	((struct sh_control *)dp->mem[DP_MAP_CONTROL])->route_epoch =
		((const struct sh_control *)live->mem[DP_MAP_CONTROL])->route_epoch;
	for (i = 0; !ret && i < sizeof(hashes) / sizeof(hashes[0]); i++)
		ret = copy_hash(dp, live, i, err);
	return ret;
}

/* Devices are known by numbers that mean something in one network namespace only. */
static int check_here(const struct dataplane *live, const struct sh_config *config, struct err *err)
{
	struct settings settings;
	struct sh_config here;
	int ret;

	settings_init(&settings);
	ret = config_make(&settings, &here, err);
	if (ret || here.netns_cookie == config->netns_cookie)
		return ret;
	return err_input(err, -EXDEV, "%s belongs to another network namespace: run there",
			 live->dir);
}

int dataplane_replica(struct dataplane **out, struct dataplane *live, struct err *err)
{
	const struct sh_control *control = live->mem[DP_MAP_CONTROL];
	struct sh_config config = control->config;
	struct settings settings;
	struct dataplane *dp;
	int ret;

	ret = check_here(live, &config, err);
	if (ret)
		return ret;
	settings_init(&settings);
	settings.max_frontends = live->map_max[DP_MAP_FRONTENDS];
	settings.max_backends = config.n_backends;
	config.trace = 1;
	dp = dataplane_new(DATAPLANE_TRACE, "");
	if (!dp)
		return err_system(err, -ENOMEM, "copy %s", live->dir);
	ret = scratch_make(dp, &settings, &config, err);
	if (!ret)
		ret = copy_all(dp, live, err);
	if (ret)
		dataplane_close(dp);
	else
		*out = dp;
	return ret;
}

struct sh_trace *dataplane_trace(struct dataplane *dp)
{
	return dp->trace;
}
