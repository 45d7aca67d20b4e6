/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The cgroup v2 that the socket programs are attached to. */
#ifndef SHUNT_USER_CGROUP_H
#define SHUNT_USER_CGROUP_H

#include "util/err.h"

/*
 * Open @path, or, where it is NULL, the root of the first cgroup v2 in the
 * mount table (also beside v1 ones). The caller closes *@fd_out.
 * @return 0 or a negative errno.
 */
int cgroup_open(const char *path, int *fd_out, struct err *err);

/*
 * The mount point in @line of /proc/self/mountinfo if it is a cgroup v2's;
 * changes @line. @return it, within @line, or NULL.
 */
char *cgroup_mount_point(char *line);

#endif
