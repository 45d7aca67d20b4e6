/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What `top` knows: Services, their backends, what each had counted at the last
 * sample, and the rates since the one before. No I/O, and no clock of its own.
 *
 * Names come seldom, when something was published; counts come with every
 * sample. What is seen for the first time, has counted less than before, or was
 * not there the last time has no rate yet, so that an instance which is made anew
 * gives no giant numbers.
 */
#ifndef SHUNT_USER_TOP_MODEL_H
#define SHUNT_USER_TOP_MODEL_H

/* Out of memory is an error like any other, not the end of the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "model/objects.h"
#include "shunt/maps.h"

/* A second. */
struct top_rates {
	double connections, packets, bytes, drops;
};

struct top_service;

/* One endpoint of one Service port. */
struct top_backend {
	uint32_t id;
	struct sh_addr addr;
	__be16 port;
	uint16_t flags, weight; /* as they were at the last sample */
	uint16_t service_port;
	proto_t proto;
	char *pod, *node; /* "" where unknown */
	uint32_t live;
	uint64_t connections, packets, bytes; /* counted at the last sample */
	struct top_rates rates;
	uint32_t named, counted; /* in which round; counted 0: never */
	struct top_service *service;
	struct top_backend *next; /* of the same Service */
	UT_hash_handle hh;
};

struct top_service {
	char ns[SH_NAME_MAX + 1], name[SH_NAME_MAX + 1];
	struct top_backend *backends;
	size_t n_backends, n_serving;
	uint64_t live;
	uint64_t drops, drops_before;
	struct top_rates rates;
	uint32_t named;
	bool counted; /* drops_before is known */
	UT_hash_handle hh;
};

struct top_port; /* a Service port's id, and whose it is */

struct top {
	struct top_service *services; /* uthash, by ns and name */
	struct top_port *ports;	      /* by id */
	struct top_backend *backends; /* by id */
	uint32_t naming, sample;      /* rounds */
	uint64_t at_ns;		      /* of the last sample */
	double seconds;		      /* since the one before; 0: there was none */
	bool stale;		      /* a backend was counted whose name is not known */
	struct top_rates total;	      /* of all Services, and of drops that are nobody's */
	uint64_t live;
	uint64_t reasons[SH_REASON_COUNT], reasons_before[SH_REASON_COUNT];
	double reason_rates[SH_REASON_COUNT];
};

void top_init(struct top *top);
void top_done(struct top *top);
/* What was counted before counts no more: the next sample has no rates. */
void top_forget(struct top *top);

/* ---- names: begin, all of them, end ---- */

struct top_backend_name {
	const struct sh_backend *line;
	const struct sh_meta_service *service;
	const char *pod, *node;
};

void top_names_begin(struct top *top);
/* Both: 0 or -ENOMEM. */
int top_name_service(struct top *top, uint32_t id, const struct sh_meta_service *meta);
int top_name_backend(struct top *top, const struct top_backend_name *name);
/* What was not named since the beginning is gone. */
void top_names_end(struct top *top);

/* ---- a sample: begin, all counts, end ---- */

struct top_count {
	uint32_t id;
	uint16_t flags, weight;
	uint32_t live;
	uint64_t connections, packets, bytes;
};

void top_sample_begin(struct top *top, uint64_t now_ns);
void top_count_backend(struct top *top, const struct top_count *count);
/* @service: an id; one that nobody knows counts for the node alone. */
void top_count_drop(struct top *top, uint32_t service, enum sh_reason reason, uint64_t packets);
void top_sample_end(struct top *top);

/* @return NULL: there is none */
const struct top_service *top_find(const struct top *top, const char *ns, const char *name);

#endif
