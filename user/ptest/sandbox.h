/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A process of its own for what must leave no trace: whatever it makes and
 * joins (a network namespace, maps, links) ends with it, however it ends. Its
 * cgroup, which doesn't, is removed by the process that waits.
 */
#ifndef SHUNT_USER_PTEST_SANDBOX_H
#define SHUNT_USER_PTEST_SANDBOX_H

#include <stdbool.h>

#include "util/err.h"

struct sandbox_job {
	/* @cgroup_fd: the process's own cgroup v2; -1 without .cgroup. Its result is the job's. */
	int (*run)(void *arg, int cgroup_fd, struct err *err);
	void *arg;
	bool cgroup;
	const char *cgroup_parent; /* a cgroup v2; NULL: the root of the first that is mounted */
};

/* The job flushes what it writes; what it does to memory is lost. @return what it returns */
int sandbox_run(const struct sandbox_job *job, struct err *err);

#endif
