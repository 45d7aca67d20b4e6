/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An instance's directory on a BPF file system, and the lock that makes its holder the one writer. */
#ifndef SHUNT_USER_BPFFS_H
#define SHUNT_USER_BPFFS_H

#include <stdbool.h>

#include "util/err.h"

/*
 * Open @dir, whose parent must lie on a BPF file system; with @create it is
 * made (0700) where it is missing. @return 0, -ENODEV where there is no BPF
 * file system, -ENOENT where there is no such directory, or another negative
 * errno. The caller closes *@fd_out.
 */
int bpffs_open(const char *dir, bool create, int *fd_out, struct err *err);

/*
 * Make the holder of @fd, which is of @dir, the one writer until @fd is closed.
 * @return 0 or -EBUSY; the message names the holder.
 */
int bpffs_lock(int fd, const char *dir, struct err *err);

/* The pid of who holds the lock on @dir; 0: nobody, or it isn't told. */
long bpffs_holder(const char *dir);

#endif
