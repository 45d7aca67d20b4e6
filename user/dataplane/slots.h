/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which ranges of shunt_slots are taken: first fit over the free ones. */
#ifndef SHUNT_USER_SLOTS_H
#define SHUNT_USER_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "shunt/maps.h"

struct slots {
	struct sh_table *free; /* sorted by base, never adjacent */
	size_t n, cap;
};

/* All @n_slots are free. @return 0 or -ENOMEM */
int slots_init(struct slots *slots, uint32_t n_slots);
void slots_done(struct slots *slots);
/* @return 0 and table->base for table->size slots, -ENOSPC, or -ENOMEM */
int slots_take(struct slots *slots, struct sh_table *table);
/* That very range. @return 0, -EEXIST where part of it is taken, or -ENOMEM */
int slots_take_at(struct slots *slots, const struct sh_table *table);
/* @return 0 or -ENOMEM (the range is lost until the next start) */
int slots_give(struct slots *slots, const struct sh_table *table);

#endif
