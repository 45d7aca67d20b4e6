/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* The mount table writes blanks and backslashes as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && is_octal(from[1]) && is_octal(from[2]) &&
		    is_octal(from[3])) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* "31 23 0:28 / /sys/fs/cgroup rw shared:1 - cgroup2 cgroup2 rw": the fifth word. */
char *cgroup_mount_point(char *line)
{
	char *type = strstr(line, " - "), *save = NULL, *word;

	if (!type || strncmp(type, " - cgroup2 ", 11) != 0)
		return NULL;
	word = strtok_r(line, " ", &save);
	for (int i = 1; word && i < 5; i++)
		word = strtok_r(NULL, " ", &save);
	if (word)
		unescape(word);
	return word;
}

/* @return a file descriptor or a negative errno: -EMEDIUMTYPE where it is no cgroup v2 */
static int open_v2(const char *path)
{
	struct statfs fs;
	int fd, ret;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fstatfs(fd, &fs) ? -errno : 0;
	if (!ret && (unsigned int)fs.f_type != CGROUP2_SUPER_MAGIC)
		ret = -EMEDIUMTYPE;
	if (!ret)
		return fd;
	(void)close(fd);
	return ret;
}

static int open_named(const char *path, int *fd_out, struct err *err)
{
	int fd = open_v2(path);

	if (fd == -EMEDIUMTYPE)
		return err_system(err, -ENODEV, "--cgroup %s is not in a cgroup v2", path);
	if (fd < 0)
		return err_system(err, fd, "cannot open --cgroup %s", path);
	*fd_out = fd;
	return 0;
}

int cgroup_open(const char *path, int *fd_out, struct err *err)
{
	char *line = NULL;
	size_t len = 0;
	int fd = -1;
	FILE *f;

	if (path)
		return open_named(path, fd_out, err);
	f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return err_system(err, -errno, "cannot read /proc/self/mountinfo");
	/* A mount may be hidden under another one: the next may do. */
	while (fd < 0 && getline(&line, &len, f) > 0) {
		const char *point = cgroup_mount_point(line);

		if (point)
			fd = open_v2(point);
	}
	free(line);
	(void)fclose(f);
	if (fd < 0)
		return err_system(err, -ENODEV,
				  "no cgroup v2 is mounted: mount one with: mount -t cgroup2 none "
				  "DIR, and give it with --cgroup DIR, or use --socket-lb=off");
	*fd_out = fd;
	return 0;
}

/* Linux's file handle of a cgroup is its id. */
#define HANDLE_KERNFS 0xfe

bool cgroup_path(uint64_t id, char *buf, size_t size)
{
	struct {
		struct file_handle head;
		uint64_t id;
	} handle = { .head = { .handle_bytes = sizeof(id), .handle_type = HANDLE_KERNFS } };
	struct err ignored;
	char link[64];
	int mount = -1, fd;
	ssize_t n = -1;

	memcpy(handle.head.f_handle, &id, sizeof(id));
	if (cgroup_open(NULL, &mount, &ignored))
		return false;
	fd = open_by_handle_at(mount, &handle.head, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, buf, size - 1);
		(void)close(fd);
	}
	(void)close(mount);
	if (n > 0)
		buf[n] = '\0';
	return n > 0;
}
