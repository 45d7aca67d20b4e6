/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Several files, each of which says what objects there are. Where two say the
 * same one, the first by name has it. A sink hears the differences, and only
 * those: an object that is said in other words, or by another file, is the same.
 */
#ifndef SHUNT_USER_CLAIMS_H
#define SHUNT_USER_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source/sink.h"

struct claim;
struct claimed; /* claims.c: an object by its name, and who claims it */

/* A file. Zeroed but for the path, it claims nothing. */
struct claimant {
	const char *path; /* its name and its order; the owner's */
	struct claim *v;
	size_t n;
	bool doubtful; /* it may be gone: whoever else has its objects comes first */
};

struct claims {
	struct source_sink sink;
	struct claimed *by_key; /* uthash */
	struct claimed *unsettled;
	size_t n_told; /* objects in force */
};

void claims_init(struct claims *claims, const struct source_sink *sink);
/* Tells nothing. All claimants have to be gone by claims_clear() before. */
void claims_done(struct claims *claims);

/*
 * @by claims the objects of @set, and nothing else any more. @set is empty
 * afterwards. @return 0, or -ENOMEM and nothing has changed.
 */
int claims_take(struct claims *claims, struct claimant *by, struct object_set *set);
void claims_clear(struct claims *claims, struct claimant *by);
void claims_doubt(struct claims *claims, struct claimant *by, bool doubtful);
/* Tell the sink what has come of the calls since the last one. */
void claims_settle(struct claims *claims);

#endif
