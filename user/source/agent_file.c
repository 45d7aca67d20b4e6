// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "source/agent_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a folder whose name is longer nothing could be told. */
#define PATH_LEN 4096

static int path_of(const char *dir, const char *name, const char *end, char path[static PATH_LEN])
{
	int len = snprintf(path, PATH_LEN, "%s/%s%s", dir, name, end);

	return len < PATH_LEN ? 0 : -ENAMETOOLONG;
}

static int failed(const char *path, int ret, struct err *err)
{
	return err_system(err, ret, "write %s", path);
}

static int dump(const json_t *tree, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), ret = 0;

	if (fd < 0)
		return -errno;
	errno = 0;
	if (json_dumpfd(tree, fd, JSON_INDENT(2)))
		ret = errno ? -errno : -EIO;
	if (close(fd) && !ret)
		ret = -errno;
	return ret;
}

int agent_file_write(const char *dir, const char *name, const json_t *tree, struct err *err)
{
	char path[PATH_LEN], tmp[PATH_LEN];
	int ret = path_of(dir, name, "", path);

	if (!ret)
		ret = path_of(dir, name, ".tmp", tmp);
	if (ret)
		return failed(dir, ret, err);
	/* Of an agent that has a cluster nothing else may be in there yet. */
	if (mkdir(dir, 0700) && errno != EEXIST)
		return failed(path, -errno, err);
	ret = dump(tree, tmp);
	if (!ret && rename(tmp, path))
		ret = -errno;
	if (!ret)
		return 0;
	(void)unlink(tmp);
	return failed(path, ret, err);
}

int agent_file_remove(const char *dir, const char *name, struct err *err)
{
	static const char *const ends[] = { "", ".tmp" };
	char path[PATH_LEN];
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (!path_of(dir, name, ends[i], path) && unlink(path) && errno != ENOENT &&
		    errno != ENOTDIR)
			return err_system(err, -errno, "cannot remove %s", path);
	}
	return 0;
}

json_t *agent_file_read(const char *dir, const char *name)
{
	char path[PATH_LEN];
	json_t *tree;

	if (path_of(dir, name, "", path))
		return NULL;
	tree = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(tree))
		return tree;
	json_decref(tree);
	return NULL;
}
