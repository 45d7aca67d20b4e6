// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * fill_flows BPFFS N: put N live IPv4 flows into the pinned flow table of an
 * instance, to the backends that it has, in turn. They stand wherever there is
 * room: good for whoever lists them, no packet would find one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shunt/maps.h"

struct map {
	void *mem;
	uint32_t n; /* elements */
};

static int fail(const char *what)
{
	fprintf(stderr, "fill_flows: %s: %s\n", what, strerror(errno));
	return -1;
}

static int map_fd(const char *dir, const char *name)
{
	char path[512];
	union bpf_attr attr = { 0 };

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	attr.pathname = (uint64_t)(uintptr_t)path;
	return (int)syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
}

static int map_open(const char *dir, const char *name, struct map *out)
{
	struct bpf_map_info info = { 0 };
	union bpf_attr attr = { 0 };
	int fd = map_fd(dir, name);

	if (fd < 0)
		return fail(name);
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)))
		return fail(name);
	out->n = info.max_entries;
	out->mem = mmap(NULL, (size_t)info.max_entries * info.value_size, PROT_READ | PROT_WRITE,
			MAP_SHARED, fd, 0);
	return out->mem == MAP_FAILED ? fail(name) : 0;
}

/* The next backend in use after @*at, going round. */
static const struct sh_backend *next_backend(const struct map *backends, uint32_t *at)
{
	const struct sh_backend *lines = backends->mem;
	uint32_t i;

	for (i = 0; i < backends->n; i++) {
		*at = (*at + 1) % backends->n;
		if (lines[*at].id && sh_addr_is_v4(&lines[*at].addr))
			return &lines[*at];
	}
	return NULL;
}

static struct sh_flow flow_to(const struct sh_backend *backend, uint32_t i)
{
	return (struct sh_flow){
		.saddr = htonl(0x0b000000u + i / 50000),
		.daddr = htonl(0x0a600001u),
		.sport = htons((uint16_t)(10000 + i % 50000)),
		.dport = htons(80),
		.proto = IPPROTO_TCP,
		.direction = SH_INGRESS,
		.to_saddr = htonl(0x0b000000u + i / 50000),
		.to_daddr = backend->addr.w[3],
		.to_sport = htons((uint16_t)(10000 + i % 50000)),
		.to_dport = backend->port,
		.backend = backend->id,
		.packets = i % 1000,
		.bytes = (uint64_t)(i % 1000) * 1400,
	};
}

static int fill(const char *dir, uint32_t n)
{
	struct map tags, flows, backends;
	const struct sh_backend *backend;
	uint32_t at = 0, i;

	if (map_open(dir, "shunt_tags4", &tags) || map_open(dir, "shunt_flows4", &flows) ||
	    map_open(dir, "shunt_backends", &backends))
		return -1;
	if (n > flows.n || flows.n != tags.n * SH_WAYS) {
		errno = ENOSPC;
		return fail("shunt_flows4");
	}
	for (i = 0; i < n; i++) {
		backend = next_backend(&backends, &at);
		if (!backend) {
			errno = ENOENT;
			return fail("a backend");
		}
		((struct sh_flow *)flows.mem)[i] = flow_to(backend, i);
		((struct sh_bucket *)tags.mem)[i / SH_WAYS].word[i % SH_WAYS] =
			(uint32_t)SH_LIVE << SH_WORD_STATE_SHIFT;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: fill_flows BPFFS N\n");
		return 2;
	}
	return fill(argv[1], (uint32_t)strtoul(argv[2], NULL, 10)) ? 1 : 0;
}
