/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A walk over both flow tables in slices, by memory alone: frees what has
 * expired, ends the flows of backends that are gone. For dataplane/ alone.
 */
#ifndef SHUNT_USER_SWEEP_H
#define SHUNT_USER_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dataplane;

/* Where the walk stands: a bucket of the IPv4 table, then of the IPv6 one. */
struct sweep {
	bool going;	/* sweep_begin() was called, and the end is not reached */
	uint64_t next;	/* bucket, counted over both tables */
	uint32_t stamp; /* now, as the programs count it; taken as a pass begins */
	size_t expired, ended;
	bool incomplete; /* some entries could not be looked at */
	/* The part of a table's entries that is in memory, where not all of them are. */
	char *window;
	size_t window_at, window_len; /* bytes of the table */
	int window_fd;
};

/* The window's memory. */
void sweep_done(struct sweep *sweep);

void sweep_begin(struct dataplane *dp);
/* @return whether buckets are left; @n: at most that many of them */
bool sweep_some(struct dataplane *dp, uint64_t n);

#endif
