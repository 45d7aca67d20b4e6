/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "util/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every folder that leads to @path; cuts @path at its slashes for a moment each. */
static int make_folders(char *path, struct err *err)
{
	char *slash, *next;
	int ret = 0;

	for (slash = strchr(path + 1, '/'); slash && !ret; slash = next) {
		next = strchr(slash + 1, '/');
		*slash = '\0';
		if (mkdir(path, next ? 0755 : 0700) && errno != EEXIST)
			ret = err_system(err, -errno, "cannot make the folder %s", path);
		*slash = '/';
	}
	return ret;
}

/* A rename is on disk only when its folder is. */
static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd, ret;

	if (!folder)
		return -ENOMEM;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	(void)close(fd);
	return ret;
}

int atomic_file_begin(struct atomic_file *file, const char *path, struct err *err)
{
	int fd, ret;

	*file = (struct atomic_file){ .path = strdup(path) };
	/* A fixed name: what a crash leaves behind is overwritten the next time. */
	if (!file->path || asprintf(&file->tmp, "%s.tmp", path) < 0) {
		file->tmp = NULL;
		ret = err_system(err, -ENOMEM, "write %s", path);
		goto fail;
	}
	ret = make_folders(file->path, err);
	if (ret)
		goto fail;
	fd = open(file->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	file->stream = fd < 0 ? NULL : fdopen(fd, "w");
	if (file->stream)
		return 0;
	ret = err_system(err, -errno, "cannot write %s", file->tmp);
	if (fd >= 0)
		(void)close(fd);
fail:
	atomic_file_abort(file);
	return ret;
}

static int finish(struct atomic_file *file)
{
	FILE *stream = file->stream;
	int ret = 0;

	if (fflush(stream) || fsync(fileno(stream)))
		ret = -errno;
	else if (ferror(stream))
		ret = -EIO;
	file->stream = NULL;
	if (fclose(stream) && !ret)
		ret = -errno;
	return ret;
}

int atomic_file_commit(struct atomic_file *file, struct err *err)
{
	int ret = finish(file);

	if (!ret && rename(file->tmp, file->path))
		ret = -errno;
	if (ret) {
		(void)err_system(err, ret, "cannot write %s; the old one stays in force",
				 file->path);
		goto out;
	}
	free(file->tmp); /* it is the file now: nothing to remove */
	file->tmp = NULL;
	/* The new file is in force whatever this says; only a power cut could bring the old back. */
	(void)sync_folder(file->path);
out:
	atomic_file_abort(file);
	return ret;
}

void atomic_file_abort(struct atomic_file *file)
{
	if (file->stream)
		(void)fclose(file->stream);
	if (file->tmp)
		(void)unlink(file->tmp);
	free(file->tmp);
	free(file->path);
	*file = (struct atomic_file){ 0 };
}
