// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dataplane/names.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading a map -------------------------------------------------------------- */

/* Elements read at a time; more where a bucket of the kernel's hash table holds more. */
#define BATCH 4096

struct batch {
	char *keys, *values;
	size_t key_size, value_size; /* of one element, as the kernel lays it out */
	uint32_t cap;
};

static int batch_sizes(struct batch *batch, int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int cpus;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	batch->key_size = info.key_size;
	batch->value_size = info.value_size;
	if (info.type == BPF_MAP_TYPE_PERCPU_HASH) {
		cpus = libbpf_num_possible_cpus();
		if (cpus < 0)
			return cpus;
		batch->value_size = ((info.value_size + 7u) & ~7u) * (size_t)cpus;
	}
	return 0;
}

static int batch_resize(struct batch *batch, uint32_t cap)
{
	char *keys = reallocarray(batch->keys, cap, batch->key_size);
	char *values;

	if (!keys)
		return -ENOMEM;
	batch->keys = keys;
	values = reallocarray(batch->values, cap, batch->value_size);
	if (!values)
		return -ENOMEM;
	batch->values = values;
	batch->cap = cap;
	return 0;
}

static int batch_give(const struct batch *batch, uint32_t n,
		      int (*each)(const void *key, const void *value, void *arg), void *arg)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = each(batch->keys + i * batch->key_size, batch->values + i * batch->value_size,
			   arg);
	return ret;
}

int map_each(const struct dataplane *dp, enum dp_map map,
	     int (*each)(const void *key, const void *value, void *arg), void *arg, struct err *err)
{
	uint32_t from, to, n, *from_at = NULL;
	struct batch batch = { 0 };
	int ret, given = 0;

	ret = batch_sizes(&batch, dp->map_fd[map]);
	if (!ret)
		ret = batch_resize(&batch, BATCH);
	while (!ret && !given) {
		n = batch.cap;
		ret = bpf_map_lookup_batch(dp->map_fd[map], from_at, &to, batch.keys, batch.values,
					   &n, NULL);
		if (ret == -ENOSPC) { /* not one bucket fits in */
			ret = batch.cap < dp->map_max[map] ? batch_resize(&batch, batch.cap * 2)
							   : -ENOSPC;
			continue;
		}
		/* -ENOENT: the end; what came before it counts. */
		if (!ret || ret == -ENOENT)
			given = batch_give(&batch, n, each, arg);
		from = to;
		from_at = &from;
	}
	free(batch.keys);
	free(batch.values);
	if (given || !ret || ret == -ENOENT)
		return given;
	return err_system(err, ret, "read %s", dp_map_names[map]);
}

/* ---- names ------------------------------------------------------------------------ */

struct names_place {
	struct sh_meta_key key;
	uint32_t at; /* in names->v */
};

static int place_cmp(const void *a, const void *b)
{
	const struct names_place *x = a, *y = b;

	if (x->key.kind != y->key.kind)
		return x->key.kind < y->key.kind ? -1 : 1;
	return x->key.id < y->key.id ? -1 : x->key.id > y->key.id;
}

static int names_grow(struct names *names)
{
	size_t cap = names->cap ? names->cap * 2 : 256;
	struct names_place *places;
	struct sh_meta *v;

	v = reallocarray(names->v, cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	names->v = v;
	places = reallocarray(names->places, cap, sizeof(*places));
	if (!places)
		return -ENOMEM;
	names->places = places;
	names->cap = cap;
	return 0;
}

static int names_add(const void *key_at, const void *meta, void *arg)
{
	const struct sh_meta_key *key = key_at;
	struct names *names = arg;

	if (key->kind > SH_META_NODE || !(names->kinds & NAMES_OF(key->kind)))
		return 0;
	if (names->n == names->cap && names_grow(names))
		return -ENOMEM;
	names->places[names->n].key = *key;
	names->places[names->n].at = (uint32_t)names->n;
	memcpy(&names->v[names->n++], meta, sizeof(*names->v));
	return 0;
}

int names_load(struct names *names, const struct dataplane *dp, unsigned int kinds, struct err *err)
{
	int ret;

	*names = (struct names){ .kinds = kinds };
	ret = map_each(dp, DP_MAP_META, names_add, names, err);
	if (ret == -ENOMEM)
		(void)err_system(err, ret, "read %s", dp_map_names[DP_MAP_META]);
	if (ret)
		names_done(names);
	else if (names->n)
		qsort(names->places, names->n, sizeof(*names->places), place_cmp);
	return ret;
}

void names_done(struct names *names)
{
	free(names->v);
	free(names->places);
	*names = (struct names){ 0 };
}

/* Called for each of a million flows: no call per comparison. */
static const struct sh_meta *names_find(const struct names *names, uint32_t kind, uint32_t id)
{
	const uint64_t wanted = (uint64_t)kind << 32 | id;
	size_t low = 0, high = names->n, mid;

	while (low < high) {
		const struct sh_meta_key *key;

		mid = low + (high - low) / 2;
		key = &names->places[mid].key;
		if (((uint64_t)key->kind << 32 | key->id) < wanted)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == names->n || names->places[low].key.kind != kind ||
	    names->places[low].key.id != id)
		return NULL;
	return &names->v[names->places[low].at];
}

const struct sh_meta_service *names_service(const struct names *names, uint32_t id)
{
	const struct sh_meta *meta = names_find(names, SH_META_SERVICE, id);

	return meta ? &meta->service : NULL;
}

const char *names_text(const struct names *names, enum sh_meta_kind kind, uint32_t id)
{
	const struct sh_meta *meta = id ? names_find(names, kind, id) : NULL;

	return meta ? meta->name : "";
}
