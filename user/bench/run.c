// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bench/internal.h"

#include <errno.h>
#include <sched.h>

/* On one processor, so that caches and clocks are those of all runs. */
static int pin(struct err *err)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	if (cpu < 0)
		return err_system(err, -errno, "ask which processor this is");
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return err_system(err, -errno, "stay on processor %d", cpu);
	return 0;
}

/* What the lab is right for after one load; nothing is loaded for nothing. */
static int run_part(struct lab *lab, bool v6, int cgroup_fd, struct bench_report *report,
		    struct err *err)
{
	int ret = 0;

	if (bench_wants_rows(report, lab_options(lab), v6, false) ||
	    bench_wants_sockets(report, v6)) {
		ret = lab_load(lab, v6, false, err);
		if (!ret)
			ret = bench_rows(lab, false, report, err);
		if (!ret)
			ret = bench_sockets(lab, cgroup_fd, report, err);
	}
	if (!ret && bench_wants_rows(report, lab_options(lab), v6, true)) {
		ret = lab_load(lab, v6, true, err);
		if (!ret)
			ret = bench_rows(lab, true, report, err);
	}
	return ret;
}

static int run_figures(struct lab *lab, struct bench_report *report, struct err *err)
{
	int ret;

	if (!bench_wants(report, "programs") && !bench_wants(report, "memory"))
		return 0;
	ret = lab_load(lab, false, false, err);
	if (!ret)
		ret = bench_programs(lab, report, err);
	if (!ret)
		ret = bench_memory(lab, report, err);
	return ret;
}

int bench_run(const struct bench_options *options, int cgroup_fd, struct bench_report *report,
	      struct err *err)
{
	struct lab *lab = NULL;
	int ret;

	ret = pin(err);
	if (!ret)
		ret = lab_new(&lab, options, err);
	if (!ret)
		ret = run_part(lab, false, cgroup_fd, report, err);
	if (!ret)
		ret = run_part(lab, true, cgroup_fd, report, err);
	if (!ret)
		ret = run_figures(lab, report, err);
	lab_free(lab);
	return ret;
}
