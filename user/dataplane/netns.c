/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The network namespaces of this machine, as far as its processes show them:
 * one walk over /proc. Not found is one that no process is in any more, and one
 * that only a thread has entered; in a container without the host's process ids
 * that is everybody else's.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* No memory for a table: the element is not added, which its adder sees by hh.tbl. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "dataplane/sockets.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14; Debian 12's libc has it, others may not */
#endif

struct seen {
	ino_t inode; /* of nsfs, which numbers all namespaces */
	UT_hash_handle hh;
};

int netns_cookie(__u64 *cookie_out)
{
	socklen_t len = sizeof(*cookie_out);
	int fd, ret = 0;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie_out, &len))
		ret = -errno;
	(void)close(fd);
	return ret;
}

/* @return 1: a new one, 0: known, or a negative errno */
static int see(struct seen **table, ino_t inode)
{
	struct seen *seen;

	HASH_FIND(hh, *table, &inode, sizeof(inode), seen);
	if (seen)
		return 0;
	if (HASH_COUNT(*table) >= SH_NETNS_MAX)
		return -E2BIG;
	seen = calloc(1, sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	seen->inode = inode;
	HASH_ADD(hh, *table, inode, sizeof(seen->inode), seen);
	if (seen->hh.tbl)
		return 1;
	free(seen);
	return -ENOMEM;
}

static void forget(struct seen *table)
{
	struct seen *seen, *next;

	HASH_ITER(hh, table, seen, next) {
		HASH_DEL(table, seen);
		free(seen);
	}
}

/* A process may end meanwhile, or its namespace be closed to us: then it is passed over. */
static int visit(struct seen **table, const char *pid, int (*each)(void *), void *arg)
{
	char path[64];
	struct stat st;
	int fd, ret;

	(void)snprintf(path, sizeof(path), "/proc/%.32s/ns/net", pid);
	if (stat(path, &st))
		return 0;
	ret = see(table, st.st_ino);
	if (ret <= 0)
		return ret;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ret = setns(fd, CLONE_NEWNET);
	(void)close(fd);
	return ret ? 0 : each(arg);
}

int netns_each(int (*each)(void *arg), void *arg)
{
	struct seen *table = NULL;
	const struct dirent *entry;
	struct stat st;
	DIR *proc;
	int ret;

	proc = opendir("/proc");
	if (!proc)
		return -errno;
	ret = stat("/proc/thread-self/ns/net", &st) ? -errno : see(&table, st.st_ino);
	while (ret >= 0 && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		ret = visit(&table, entry->d_name, each, arg);
		if (ret > 0)
			break;
	}
	(void)closedir(proc);
	forget(table);
	return ret;
}
