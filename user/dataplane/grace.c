/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Waiting for RCU. An update of a map in a map makes the kernel wait until no
 * program can see the old one (kernel/bpf/syscall.c, maybe_wait_bpf_programs());
 * the programs run under RCU, so none that began before sees anything else
 * that was withdrawn before, either.
 */
#include "dataplane/publisher.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

static int grace_init(struct publisher *publisher)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	publisher->grace_inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "shunt_grace", 4, 4, 1, NULL);
	if (publisher->grace_inner < 0)
		return -errno;
	opts.inner_map_fd = (uint32_t)publisher->grace_inner;
	publisher->grace_outer =
		bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "shunt_graces", 4, 4, 1, &opts);
	return publisher->grace_outer < 0 ? -errno : 0;
}

int grace_wait(struct publisher *publisher, struct err *err)
{
	uint32_t zero = 0;
	int ret = 0;

	if (publisher->grace_outer < 0)
		ret = grace_init(publisher);
	if (!ret && bpf_map_update_elem(publisher->grace_outer, &zero, &publisher->grace_inner, 0))
		ret = -errno;
	return ret ? err_system(err, ret, "wait for the programs that are running") : 0;
}

void grace_done(struct publisher *publisher)
{
	if (publisher->grace_outer >= 0)
		close(publisher->grace_outer);
	if (publisher->grace_inner >= 0)
		close(publisher->grace_inner);
}
