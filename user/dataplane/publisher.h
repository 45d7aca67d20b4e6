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
#include <utlist.h>

#include "dataplane/filter.h"
#include "dataplane/internal.h"
#include "dataplane/slots.h"
#include "dataplane/sweep.h"

struct backend_entry {
	struct sh_addr addr;
	__be16 port;
	uint16_t weight, flags; /* enum sh_backend_flags */
	uint16_t node;		/* id */
	uint32_t id;
	bool keep; /* while a plan is made: it is wanted still */
};

/* A Service port of one family: (port, proto, family) of its group. */
struct service_entry {
	uint32_t id;
	struct sh_meta_service meta;
	struct backend_entry *backends;
	size_t n_backends;
	struct sh_table cluster, local;
	uint64_t cluster_members, local_members; /* hash of who stands in the table */
	bool keep;
	struct service_entry *prev, *next; /* of the group's */
};

struct frontend_entry {
	struct sh_frontend_key key;
	struct sh_frontend value;
	/* NULL: an address as such, which several Services may share: see @users */
	struct service_group *group;
	uint32_t users;	      /* frontends at this address, */
	uint32_t usable;      /* those with an endpoint, */
	uint32_t cluster_ips; /* those whose ClusterIP it is */
	bool keep;
	struct frontend_entry *prev, *next; /* of the group's */
	UT_hash_handle hh;
};

struct srcrange_entry {
	struct sh_srcrange_key key;
	bool keep;
	struct srcrange_entry *prev, *next; /* of the group's */
};

struct group_key {
	char ns[SH_NAME_MAX + 1], name[SH_NAME_MAX + 1]; /* all bytes count */
};

/* All that stands in the maps for one Service. */
struct service_group {
	struct group_key key;
	struct service_entry *services;
	struct frontend_entry *frontends;
	struct srcrange_entry *srcranges;
	bool in_scope;	 /* of the publish that is going on */
	bool left_alone; /* by a publish of all others */
	UT_hash_handle hh;
};

struct nodeaddr_entry {
	struct sh_addr addr;
	uint32_t flags;
	bool keep;
	UT_hash_handle hh;
};

struct node_entry {
	char name[SH_SUBDOMAIN_MAX + 1];
	uint16_t id;
	UT_hash_handle hh;
};

/* What nothing names any more, to be freed when nobody can be using it. */
struct retired {
	struct sh_table *tables;
	size_t n_tables, cap_tables;
	uint32_t *backends; /* ids */
	size_t n_backends, cap_backends;
};

struct publisher {
	struct service_group *groups;	  /* by namespace and name */
	struct service_group strays;	  /* found at adoption, of no Service that is known */
	struct frontend_entry *frontends; /* by key, of all groups */
	struct nodeaddr_entry *nodeaddrs; /* by address */
	struct node_entry *nodes;	  /* by name */
	struct slots slots;
	struct filter *filter;
	uint32_t *free_backends; /* indices, a stack */
	size_t n_free_backends;
	uint32_t next_service, next_node; /* ids */
	int grace_outer, grace_inner;	  /* maps of grace.c, -1: not made */
	struct retired waiting, in_hand;
	uint8_t *gone; /* of in_hand: a bit for each backend index whose flows are to end */
	struct sweep sweep;
};

/* ---- groups.c ---- */

struct service_group *group_find(const struct publisher *publisher, const struct group_key *key);
/* The one of that name, made where there is none. NULL: no memory */
struct service_group *group_get(struct publisher *publisher, const struct group_key *key);
/* Gone if nothing is left in it. */
void group_settle(struct publisher *publisher, struct service_group *group);
struct group_key group_key(const char *ns, const char *name);
struct service_entry *service_find(const struct service_group *group,
				   const struct want_service *want);
void service_entry_free(struct service_entry *entry);
void groups_free(struct publisher *publisher);

/* ---- frontends.c ---- */

struct frontend_entry *frontend_find(const struct publisher *publisher,
				     const struct sh_frontend_key *key);
/*
 * Write @value, and into the picture. The entry is new, or one of @group's, or of a group
 * in scope that has let it go. The address's own entry follows. @return 0, or a negative
 * errno and nothing has changed
 */
int frontend_write(struct dataplane *dp, struct service_group *group,
		   const struct sh_frontend_key *key, const struct sh_frontend *value);
void frontend_remove(struct dataplane *dp, struct frontend_entry *entry);
/* Into the picture alone: it stands in the map. @return 0 or -ENOMEM */
int frontend_adopt(struct publisher *publisher, struct service_group *group,
		   const struct sh_frontend_key *key, const struct sh_frontend *value);
/* After all were adopted: count who uses each address, and mend what was left half done. */
int frontends_settle(struct dataplane *dp, struct publisher *publisher);

/* ---- grace.c ---- */

/* All programs that began before this call have ended when it returns. */
int grace_wait(struct publisher *publisher, struct err *err);
void grace_done(struct publisher *publisher);

/* ---- retire.c ---- */

/* Room for that many more: retire_table() and retire_backend() can't fail then. */
int retired_reserve(struct retired *retired, size_t tables, size_t backends);
void retire_table(struct retired *retired, const struct sh_table *table);
void retire_backend(struct retired *retired, uint32_t id);
void retired_done(struct retired *retired);

/* Hash of a table's members: equal where the table would be. */
uint64_t members_hash(const struct backend_entry *backends, size_t n, uint16_t in_flag);

static inline struct sh_backend *backend_line(struct dataplane *dp, uint32_t id)
{
	return (struct sh_backend *)dp->mem[DP_MAP_BACKENDS] + SH_BACKEND_INDEX(id);
}

#endif
