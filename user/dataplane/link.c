/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/link.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

uint32_t link_prog_id(int prog_fd)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &len) ? 0 : info.id;
}

static int read_info(int fd, struct bpf_link_info *info)
{
	__u32 len = sizeof(*info);

	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

/* What it is attached to; 0 once that is gone. */
static uint64_t info_target(const struct bpf_link_info *info)
{
	/* An XDP link's ifindex and a TCX link's, which Linux 6.1's headers lack, share a place. */
	return info->type == BPF_LINK_TYPE_CGROUP ? info->cgroup.cgroup_id : info->xdp.ifindex;
}

bool link_is_on(const char *path, uint64_t target_id)
{
	struct bpf_link_info info = { 0 };
	int fd = bpf_obj_get(path);
	bool on;

	if (fd < 0)
		return false;
	on = !read_info(fd, &info) && info_target(&info) == target_id;
	(void)close(fd);
	return on;
}

int link_drop(const char *path)
{
	int fd = bpf_obj_get(path);

	if (fd >= 0) {
		/* Where it can't be (its device is gone), unpinning is all there is to do. */
		(void)bpf_link_detach(fd);
		(void)close(fd);
	}
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

static int create(const struct link_want *want)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = want->flags);
	int fd, ret = 0;

	fd = bpf_link_create(want->prog_fd, want->target, (enum bpf_attach_type)want->type, &opts);
	if (fd < 0)
		return -errno;
	if (bpf_obj_pin(fd, want->path))
		ret = -errno;
	(void)close(fd);
	return ret;
}

/* @return 0, -ENOLINK where the pinned link can't be kept, or another negative errno */
static int update(const struct link_want *want)
{
	struct bpf_link_info info = { 0 };
	int fd, ret;

	fd = bpf_obj_get(want->path);
	if (fd < 0)
		return errno == ENOENT ? -ENOLINK : -errno;
	ret = read_info(fd, &info);
	if (!ret && info_target(&info) != want->target_id)
		ret = -ENOLINK;
	/* By what is attached, not by what this process did: a crash may have come between. */
	if (!ret && info.prog_id != link_prog_id(want->prog_fd) &&
	    bpf_link_update(fd, want->prog_fd, NULL))
		ret = -errno;
	(void)close(fd);
	return ret;
}

int link_ensure(const struct link_want *want)
{
	int ret = update(want);

	if (ret != -ENOLINK)
		return ret;
	ret = link_drop(want->path);
	return ret ? ret : create(want);
}
