/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/sockets.h"
#include "shunt_iter.skel.h"

struct sockiter {
	struct shunt_iter *skel;
	int map_fd;
};

static int fill(const struct sockiter *iter, const struct endings *endings)
{
	const uint32_t not_yet = 0;
	size_t i;

	for (i = 0; i < endings->n; i++) {
		if (bpf_map_update_elem(iter->map_fd, &endings->v[i].key, &not_yet, BPF_ANY))
			return -errno;
	}
	return 0;
}

int sockiter_new(struct sockiter **out, const struct endings *endings)
{
	struct sockiter *iter = calloc(1, sizeof(*iter));
	int ret = -ENOMEM;

	if (!iter)
		return ret;
	iter->skel = shunt_iter__open();
	if (!iter->skel) {
		ret = -errno;
		goto out;
	}
	ret = bpf_map__set_max_entries(iter->skel->maps.shunt_ending, (uint32_t)endings->n);
	if (!ret)
		ret = shunt_iter__load(iter->skel);
	if (ret)
		goto out;
	iter->map_fd = bpf_map__fd(iter->skel->maps.shunt_ending);
	ret = fill(iter, endings);
out:
	if (ret)
		sockiter_free(iter);
	else
		*out = iter;
	return ret;
}

/* The program runs while its output is read; it has none. */
static int run(const struct bpf_program *prog)
{
	int link, fd, ret = 0;
	char nothing[64];

	link = bpf_link_create(bpf_program__fd(prog), 0, BPF_TRACE_ITER, NULL);
	if (link < 0)
		return -errno;
	fd = bpf_iter_create(link);
	if (fd < 0) {
		ret = -errno;
		goto out;
	}
	do {
		ret = read(fd, nothing, sizeof(nothing)) < 0 ? -errno : 0;
	} while (ret == -EINTR || ret == -EAGAIN);
	(void)close(fd);
out:
	(void)close(link);
	return ret;
}

int sockiter_run(const struct sockiter *iter, const struct endings *endings)
{
	int ret = 0;

	if (endings_have(endings, IPPROTO_TCP))
		ret = run(iter->skel->progs.shunt_end_tcp);
	if (!ret && endings_have(endings, IPPROTO_UDP))
		ret = run(iter->skel->progs.shunt_end_udp);
	return ret;
}

void sockiter_collect(const struct sockiter *iter, struct endings *endings)
{
	uint32_t done;
	size_t i;

	for (i = 0; i < endings->n; i++) {
		if (!bpf_map_lookup_elem(iter->map_fd, &endings->v[i].key, &done))
			endings->v[i].ended = done;
	}
}

void sockiter_free(struct sockiter *iter)
{
	if (!iter)
		return;
	shunt_iter__destroy(iter->skel);
	free(iter);
}
