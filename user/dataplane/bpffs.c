/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/bpffs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* A process that ends is waited for. */
#define ENDING_MS    10
#define ENDING_TRIES 100

/* The folder that @dir lies in: "." and "/" too. malloc()ed, or NULL. */
static char *parent_of(const char *dir)
{
	size_t len = strlen(dir);

	while (len > 1 && dir[len - 1] == '/')
		len--;
	while (len && dir[len - 1] != '/')
		len--;
	if (!len)
		return strdup(".");
	while (len > 1 && dir[len - 1] == '/')
		len--;
	return strndup(dir, len);
}

static int check_parent(const char *dir, struct err *err)
{
	char *parent = parent_of(dir);
	struct statfs fs = { 0 };
	int ret = 0;

	if (!parent)
		return err_system(err, -ENOMEM, "open %s", dir);
	if (statfs(parent, &fs) && errno != ENOENT && errno != ENOTDIR)
		ret = err_system(err, -errno, "cannot look at %s (shunt needs root)", parent);
	else if (access(parent, F_OK) || (unsigned int)fs.f_type != BPF_FS_MAGIC)
		ret = err_system(err, -ENODEV,
				 "no BPF file system at %s (mount one: `mount -t bpf bpf %s`)",
				 parent, parent);
	free(parent);
	return ret;
}

int bpffs_open(const char *dir, bool create, int *fd_out, struct err *err)
{
	int fd, ret;

	ret = check_parent(dir, err);
	if (ret)
		return ret;
	if (create && mkdir(dir, 0700) && errno != EEXIST)
		return err_system(err, -errno, "cannot make %s (shunt needs root)", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_system(err, -ENOENT, "nothing of shunt is loaded at %s", dir);
	if (fd < 0)
		return err_system(err, -errno, "cannot open %s", dir);
	*fd_out = fd;
	return 0;
}

/* Who holds the lock on @st, from /proc/locks; 0 where it isn't told (another PID namespace). */
static long lock_holder(const struct stat *st)
{
	unsigned int dev_major, dev_minor;
	unsigned long long inode;
	char line[256];
	long pid = 0, holder = 0;
	FILE *f = fopen("/proc/locks", "re");

	if (!f)
		return 0;
	while (!holder && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s FLOCK %*s WRITE %ld %x:%x:%llu", &pid, &dev_major, &dev_minor,
			   &inode) != 4)
			continue;
		if (inode == st->st_ino && dev_major == major(st->st_dev) &&
		    dev_minor == minor(st->st_dev))
			holder = pid;
	}
	(void)fclose(f);
	return holder;
}

long bpffs_holder(const char *dir)
{
	struct stat st;

	return stat(dir, &st) ? 0 : lock_holder(&st);
}

static int lock_refused(const char *dir, const struct stat *st, struct err *err)
{
	long pid = lock_holder(st);

	if (pid > 0)
		return err_system(err, -EBUSY, "%s is held by another shunt (pid %ld)", dir, pid);
	return err_system(err, -EBUSY, "%s is held by another shunt", dir);
}

/* One that was killed has the lock until all of its threads are out of the kernel. */
static bool holder_is_ending(const struct stat *st)
{
	const long pid = lock_holder(st);
	char path[64], state = 'X';
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = pid > 0 ? fopen(path, "re") : NULL;
	if (!f)
		return true;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'X';
	(void)fclose(f);
	return state == 'Z' || state == 'X';
}

static int lock_take(int fd, const struct stat *st)
{
	const struct timespec pause = { .tv_nsec = ENDING_MS * 1000000 };
	int tries;

	for (tries = 0; flock(fd, LOCK_EX | LOCK_NB); tries++) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (tries == ENDING_TRIES || !holder_is_ending(st))
			return -EWOULDBLOCK;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int bpffs_lock(int fd, const char *dir, struct err *err)
{
	struct stat held, now;
	int ret;

	if (fstat(fd, &held))
		return err_system(err, -errno, "cannot look at %s", dir);
	ret = lock_take(fd, &held);
	if (ret == -EWOULDBLOCK)
		return lock_refused(dir, &held, err);
	if (ret)
		return err_system(err, ret, "cannot lock %s", dir);
	/* Between open() and flock() a reset may have removed the directory. */
	if (stat(dir, &now) || now.st_ino != held.st_ino || now.st_dev != held.st_dev)
		return err_system(err, -EBUSY, "%s was just reset by another shunt: try again",
				  dir);
	return 0;
}
