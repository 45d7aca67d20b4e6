/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/link.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* BPF_F_AFTER and BPF_F_LINK, which Linux 6.1's headers lack. */
#define LINK_AFTER (1u << 4)
#define LINK_BY_FD (1u << 13)

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
	int fd, ret = 0, after = -1;

	/* One whose place was given up is no longer on the hook. */
	if (want->after && link_is_on(want->after, want->target_id))
		after = bpf_obj_get(want->after);

	if (after >= 0) {
		opts.flags |= LINK_AFTER | LINK_BY_FD;
		/* It shares its place with tcx.relative_fd, which libbpf has since 1.3 only. */
		opts.target_btf_id = (__u32)after;
	}
	fd = bpf_link_create(want->prog_fd, want->target, (enum bpf_attach_type)want->type, &opts);
	if (fd < 0)
		ret = -errno;
	else if (bpf_obj_pin(fd, want->path))
		ret = -errno;
	if (fd >= 0)
		(void)close(fd);
	if (after >= 0)
		(void)close(after);
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

int link_replace(const char *from, const char *to)
{
	int ret;

	if (access(from, F_OK))
		return -errno;
	ret = link_drop(to);
	if (!ret && rename(from, to))
		ret = -errno;
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
