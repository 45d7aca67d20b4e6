// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the verifier and the JIT made of the programs, and what the maps take. */
#include "bench/internal.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "shunt/trace.h"
#include "shunt_sock.skel.h"
#include "shunt_tc.skel.h"
#include "shunt_xdp.skel.h"

/* ---- loading them once more --------------------------------------------------------- */

struct bpf_source {
	struct bpf_object *(*open)(const struct sh_config *config, void **skel);
	void (*destroy)(void *skel);
};

#define OBJECT(name)                                                                       \
	static struct bpf_object *name##_open(const struct sh_config *config, void **skel) \
	{                                                                                  \
		struct name *opened = name##__open();                                      \
                                                                                           \
		*skel = opened;                                                            \
		if (!opened)                                                               \
			return NULL;                                                       \
		memcpy(&opened->rodata->sh_config, config, sizeof(*config));               \
		return opened->obj;                                                        \
	}                                                                                  \
	static void name##_close(void *skel)                                               \
	{                                                                                  \
		name##__destroy(skel);                                                     \
	}
OBJECT(shunt_xdp)
OBJECT(shunt_tc)
OBJECT(shunt_sock)

static const struct bpf_source objects[] = {
	{ shunt_xdp_open, shunt_xdp_close },
	{ shunt_tc_open, shunt_tc_close },
	{ shunt_sock_open, shunt_sock_close },
};
#define N_OBJECTS (sizeof(objects) / sizeof(objects[0]))

/* Over the maps that are there. */
static int share_maps(const struct dataplane *dp, struct bpf_object *object)
{
	struct bpf_map *map;
	int i, ret = 0;

	for (i = 0; i < DP_MAP_COUNT && !ret; i++) {
		map = bpf_object__find_map_by_name(object, dp_map_names[i]);
		if (map)
			ret = bpf_map__reuse_fd(map, dp->map_fd[i]);
	}
	map = bpf_object__find_map_by_name(object, SH_TRACE_SECTION);
	return !ret && map ? bpf_map__set_autocreate(map, false) : ret;
}

/* @only: that program alone, NULL: all of the object's. @return ms of this thread, or negative */
static double load_time(const struct dataplane *dp, const struct bpf_source *object,
			const char *only)
{
	const struct sh_control *control = dp->mem[DP_MAP_CONTROL];
	struct bpf_program *program;
	struct bpf_object *opened;
	double before, ms = -1;
	void *skel = NULL;

	opened = object->open(&control->config, &skel);
	if (opened && !share_maps(dp, opened)) {
		bpf_object__for_each_program(program, opened)
			(void)bpf_program__set_autoload(
				program, !only || !strcmp(only, bpf_program__name(program)));
		before = bench_cpu_ns();
		if (!bpf_object__load(opened))
			ms = (bench_cpu_ns() - before) / 1e6;
	}
	object->destroy(skel);
	return ms;
}

/* ---- programs ------------------------------------------------------------------------- */

static int one_program(const struct dataplane *dp, enum dp_prog prog,
		       const struct bpf_source *object, struct bench_report *report,
		       struct err *err)
{
	struct bench_program out = { .name = dp_prog_names[prog] };
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(dp->prog_fd[prog], &info, &len))
		return err_system(err, -errno, "ask about the program %s", out.name);
	out.verified = info.verified_insns;
	out.jited = info.jited_prog_len;
	out.load_ms = load_time(dp, object, out.name);
	if (out.load_ms < 0)
		return err_system(err, -EIO, "load %s by itself", out.name);
	if (bench_report_program(report, &out))
		return err_system(err, -ENOMEM, "report on %s", out.name);
	return 0;
}

static const struct bpf_source *object_of(enum dp_prog prog)
{
	if (prog == DP_PROG_XDP)
		return &objects[0];
	return prog == DP_PROG_INGRESS || prog == DP_PROG_EGRESS ? &objects[1] : &objects[2];
}

int bench_programs(struct lab *lab, struct bench_report *report, struct err *err)
{
	const struct dataplane *dp = rig_dataplane(lab_rig(lab));
	double ms, sum = 0;
	int prog, ret = 0;
	size_t i;

	if (!bench_wants(report, "programs"))
		return 0;
	for (prog = 0; !ret && prog < DP_PROG_COUNT; prog++)
		ret = one_program(dp, (enum dp_prog)prog, object_of((enum dp_prog)prog), report,
				  err);
	for (i = 0; !ret && i < N_OBJECTS; i++) {
		ms = load_time(dp, &objects[i], NULL);
		if (ms < 0)
			return err_system(err, -EIO, "load the programs once more");
		sum += ms;
	}
	if (!ret)
		bench_report_load(report, sum);
	return ret;
}

/* ---- memory ----------------------------------------------------------------------------- */

/* What the kernel has for an element of a hash map that is allocated one by one, as of 6.18. */
#define HASH_ELEMENT_BYTES 48

static double element_bytes(const struct dataplane *dp, enum dp_map map)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(dp->map_fd[map], &info, &len))
		return 0;
	if (info.type == BPF_MAP_TYPE_ARRAY)
		return (info.value_size + 7u) & ~7u;
	return HASH_ELEMENT_BYTES + ((info.key_size + 7u) & ~7u) + ((info.value_size + 7u) & ~7u);
}

/* The slots of all tables of all frontends, in bytes. */
static double table_bytes(const struct dataplane *dp, size_t *n_frontends)
{
	const int fd = dp->map_fd[DP_MAP_FRONTENDS];
	struct sh_frontend_key key, *from = NULL;
	struct sh_frontend value;
	uint64_t slots = 0;

	*n_frontends = 0;
	while (!bpf_map_get_next_key(fd, from, &key)) {
		from = &key;
		++*n_frontends;
		if (bpf_map_lookup_elem(fd, &key, &value) || value.flags & SH_FE_ADDRESS_ONLY)
			continue;
		/* A Service's frontends share its tables: one of them stands for it. */
		if ((value.flags & SH_FE_KIND_MASK) == SH_FE_CLUSTER_IP)
			slots += value.cluster.size + value.local.size;
	}
	return (double)slots * sizeof(uint32_t);
}

static int memory_add(struct bench_report *report, const char *name, double bytes, struct err *err)
{
	if (bench_report_memory(report, name, bytes))
		return err_system(err, -ENOMEM, "report on memory");
	return 0;
}

/* Of a flow both entries count; of a Service its frontends, its name and its tables. */
int bench_memory(struct lab *lab, struct bench_report *report, struct err *err)
{
	const struct dataplane *dp = rig_dataplane(lab_rig(lab));
	const double tag = sizeof(uint32_t), meta = element_bytes(dp, DP_MAP_META);
	const uint32_t services = lab_options(lab)->services + BENCH_SERVICES_MORE;
	size_t n_frontends;
	double bytes;
	int ret;

	if (!bench_wants(report, "memory"))
		return 0;
	bytes = table_bytes(dp, &n_frontends);
	bytes += (double)n_frontends * element_bytes(dp, DP_MAP_FRONTENDS);
	ret = memory_add(report, "flow-ipv4", 2 * (element_bytes(dp, DP_MAP_FLOWS4) + tag), err);
	if (!ret)
		ret = memory_add(report, "flow-ipv6", 2 * (element_bytes(dp, DP_MAP_FLOWS6) + tag),
				 err);
	if (!ret)
		ret = memory_add(report, "service", bytes / services + meta, err);
	if (!ret)
		ret = memory_add(report, "backend", element_bytes(dp, DP_MAP_BACKENDS) + meta, err);
	return ret;
}
