/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The cgroup v2 that the socket programs are attached to. */
#ifndef SHUNT_USER_CGROUP_H
#define SHUNT_USER_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Open @path, or, where it is NULL, the root of the first cgroup v2 in the
 * mount table (also beside v1 ones). The caller closes *@fd_out.
 * @return 0 or a negative errno.
 */
int cgroup_open(const char *path, int *fd_out, struct err *err);

/* The folder of the cgroup with that id. @return false: it is gone, or can't be found */
bool cgroup_path(uint64_t id, char *buf, size_t size);

/*
 * The mount point in @line of /proc/self/mountinfo if it is a cgroup v2's;
 * changes @line. @return it, within @line, or NULL.
 */
char *cgroup_mount_point(char *line);

#endif
