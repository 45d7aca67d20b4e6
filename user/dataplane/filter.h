/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The writer of the prefilter's bitmaps: counts who wants each bit, so that one
 * is cleared when the last who wanted it goes. Set before what it stands for is
 * published, cleared after that is gone: a clear bit is certain at all times.
 */
#ifndef SHUNT_USER_FILTER_H
#define SHUNT_USER_FILTER_H

#include <stdbool.h>

#include "shunt/maps.h"

struct filter;

/* Writes @map, shunt_filter's memory. @return NULL: no memory */
struct filter *filter_new(struct sh_filter *map);
void filter_free(struct filter *filter);

/* Each is balanced: as often with false as with true. */
void filter_virtual(struct filter *filter, const struct sh_addr *addr, bool want);
void filter_node(struct filter *filter, const struct sh_addr *addr, bool want);
void filter_node_port(struct filter *filter, __be16 port, bool want);
void filter_backend(struct filter *filter, const struct sh_addr *addr, __be16 port, bool want);

/*
 * After an adoption: the bits that nobody has asked for by now are cleared.
 * Until then, bits that were set stay set.
 */
void filter_settle(struct filter *filter);

#endif
