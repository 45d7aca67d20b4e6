/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pinned BPF links: what is attached stays attached while its pin is there. */
#ifndef SHUNT_USER_LINK_H
#define SHUNT_USER_LINK_H

#include <stdbool.h>
#include <stdint.h>

/* One link that is to be there. */
struct link_want {
	const char *path; /* of its pin */
	int prog_fd;
	int target;	    /* an ifindex, or the file descriptor of a cgroup */
	uint64_t target_id; /* the ifindex, or the id of the cgroup */
	uint32_t type;	    /* enum bpf_attach_type, or one that the headers don't have yet */
	uint32_t flags;
	const char
		*after; /* a pinned TCX link that is to come right before it; NULL: the last one */
};

/*
 * Make @want's link be there: a pinned one of the same target gets the program
 * in place of its own, in one step; any other is removed first.
 * @return 0 or a negative errno, as the kernel gave it.
 */
int link_ensure(const struct link_want *want);

/*
 * The link pinned at @from takes the place of the one at @to, which goes. @return 0, -ENOENT
 * where there is none at @from, or another negative errno
 */
int link_replace(const char *from, const char *to);

/* Does the pin at @path hold a link that is attached to @target_id? */
bool link_is_on(const char *path, uint64_t target_id);

/* Detach (at once, whoever else holds it) and unpin. None there: 0. */
int link_drop(const char *path);

/* @return the id of a program, or 0 */
uint32_t link_prog_id(int prog_fd);

#endif
