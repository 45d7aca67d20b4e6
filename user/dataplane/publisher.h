/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The publisher's picture of what the kernel holds. It is read back from the
 * maps when an instance is adopted, so that nothing has to be remembered
 * anywhere else. For dataplane/ alone.
 */
#ifndef SHUNT_USER_PUBLISHER_H
#define SHUNT_USER_PUBLISHER_H

/* No memory for a table: the element is not added, which its adder sees by hh.tbl. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "dataplane/filter.h"
#include "dataplane/internal.h"
#include "dataplane/slots.h"

/* A Service port of one family, by which both sides know it. All bytes count. */
struct service_key {
	char ns[SH_NAME_MAX + 1], name[SH_NAME_MAX + 1];
	uint16_t port;
	uint8_t proto, family;
};

struct backend_entry {
	struct sh_addr addr;
	__be16 port;
	uint16_t weight, flags; /* enum sh_backend_flags */
	uint16_t node;		/* id */
	uint32_t id;
	bool keep; /* while a plan is made: it is wanted still */
};

struct service_entry {
	struct service_key key;
	uint32_t id;
	struct sh_meta_service meta;
	struct backend_entry *backends;
	size_t n_backends;
	struct sh_table cluster, local;
	uint64_t cluster_members, local_members; /* hash of who stands in the table */
	bool keep;
	UT_hash_handle hh;
};

struct frontend_entry {
	struct sh_frontend_key key;
	struct sh_frontend value;
	bool keep;
	UT_hash_handle hh;
};

struct nodeaddr_entry {
	struct sh_addr addr;
	uint32_t flags;
	bool keep;
	UT_hash_handle hh;
};

struct srcrange_entry {
	struct sh_srcrange_key key;
	bool keep;
	UT_hash_handle hh;
};

struct node_entry {
	char name[SH_SUBDOMAIN_MAX + 1];
	uint16_t id;
	UT_hash_handle hh;
};

struct publisher {
	struct service_entry *services;	  /* by key */
	struct frontend_entry *frontends; /* by key */
	struct nodeaddr_entry *nodeaddrs; /* by address */
	struct srcrange_entry *srcranges; /* by key */
	struct node_entry *nodes;	  /* by name */
	struct slots slots;
	struct filter *filter;
	uint32_t *free_backends; /* indices, a stack */
	size_t n_free_backends;
	uint32_t next_service, next_node; /* ids */
	int grace_outer, grace_inner;	  /* maps of grace.c, -1: not made */
};

/* All programs that began before this call have ended when it returns. */
int grace_wait(struct publisher *publisher, struct err *err);
void grace_done(struct publisher *publisher);

/* Hash of a table's members: equal where the table would be. */
uint64_t members_hash(const struct backend_entry *backends, size_t n, uint16_t in_flag);

void service_entry_free(struct service_entry *entry);

/* End the flows of the backends whose bit is set in @gone (by index). @return how many */
size_t flows_end(struct dataplane *dp, const uint8_t *gone);

static inline struct sh_backend *backend_line(struct dataplane *dp, uint32_t id)
{
	return (struct sh_backend *)dp->mem[DP_MAP_BACKENDS] + SH_BACKEND_INDEX(id);
}

#endif
