/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel holds of Services, gathered from the pinned maps and put in
 * order: the hash maps tell frontends and backends in any order, one by one.
 */
#ifndef SHUNT_USER_INVENTORY_H
#define SHUNT_USER_INVENTORY_H

/* Out of memory is an error like any other, not the end of the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "dataplane/dataplane.h"
#include "util/arena.h"

struct inv_frontend {
	enum frontend_kind kind;
	struct sh_addr addr;
	__be16 port;
};

struct inv_backend {
	uint32_t id;
	struct sh_addr addr;
	__be16 port;
	uint16_t flags; /* enum sh_backend_flags */
	uint16_t weight;
	uint32_t live;
	uint64_t connections, packets, bytes;
	const char *pod, *node; /* "" where unknown */
};

/* One (Service, port, protocol, family). */
struct inv_port {
	uint32_t id;
	struct sh_meta_service meta;
	struct inv_frontend *frontends;
	size_t n_frontends, cap_frontends;
	struct inv_backend *backends; /* by address and port */
	size_t n_backends, cap_backends;
	uint8_t algorithm;		/* enum sh_algorithm; of its frontends, as these: */
	struct sh_table cluster, local; /* where it selects */
	UT_hash_handle hh;
};

struct inv_name {
	const char *ns, *name;
};

/* Which Services; NULL and 0: all. */
struct inv_filter {
	const char *ns;
	const char *const *names;
	size_t n_names;
	/* By their labels. */
	bool chosen_only;
	const struct inv_name *chosen; /* sorted */
	size_t n_chosen;
};
int inv_name_cmp(const void *a, const void *b);
bool inv_filter_takes(const struct inv_filter *filter, const struct sh_meta_service *service);

struct inventory {
	const struct inv_filter *filter;
	struct arena *arena;
	struct inv_port *by_id;	 /* uthash */
	struct inv_port **ports; /* by namespace, name, port, protocol, family */
	size_t n_ports;
};

/* @return 0 (inventory_done() it) or a negative errno */
int inventory_load(struct inventory *inv, struct dataplane *dp, const struct inv_filter *filter,
		   struct err *err);
/* The same; backends' packets and bytes are those of flows that have ended. */
int inventory_load_brief(struct inventory *inv, struct dataplane *dp,
			 const struct inv_filter *filter, struct err *err);
void inventory_done(struct inventory *inv);

/* Ports [@from, the result) are those of one Service. */
size_t inventory_service_end(const struct inventory *inv, size_t from);

/* Does the backend take new connections? */
bool inv_backend_serves(const struct inv_backend *backend);
/* As backend_state_name(). */
const char *inv_backend_state(const struct inv_backend *backend);

#endif
