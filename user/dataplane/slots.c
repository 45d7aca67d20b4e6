/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int slots_init(struct slots *slots, uint32_t n_slots)
{
	memset(slots, 0, sizeof(*slots));
	return slots_give(slots, &(struct sh_table){ .base = 0, .size = n_slots });
}

void slots_done(struct slots *slots)
{
	free(slots->free);
	memset(slots, 0, sizeof(*slots));
}

/* The first free range that ends behind @base. */
static size_t slots_find(const struct slots *slots, uint32_t base)
{
	size_t low = 0, high = slots->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (slots->free[mid].base + slots->free[mid].size <= base)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int slots_insert(struct slots *slots, size_t at, struct sh_table range)
{
	struct sh_table *grown;
	size_t cap;

	if (slots->n == slots->cap || !slots->free) {
		cap = slots->cap ? slots->cap * 2 : 64;
		grown = realloc(slots->free, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		slots->free = grown;
		slots->cap = cap;
	}
	memmove(&slots->free[at + 1], &slots->free[at], (slots->n - at) * sizeof(range));
	slots->free[at] = range;
	slots->n++;
	return 0;
}

static void slots_remove(struct slots *slots, size_t at)
{
	slots->n--;
	memmove(&slots->free[at], &slots->free[at + 1], (slots->n - at) * sizeof(slots->free[0]));
}

int slots_take(struct slots *slots, struct sh_table *table)
{
	struct sh_table *range;
	size_t i;

	for (i = 0; i < slots->n; i++) {
		range = &slots->free[i];
		if (range->size < table->size)
			continue;
		table->base = range->base;
		range->base += table->size;
		range->size -= table->size;
		if (!range->size)
			slots_remove(slots, i);
		return 0;
	}
	return -ENOSPC;
}

int slots_take_at(struct slots *slots, const struct sh_table *table)
{
	uint32_t end = table->base + table->size;
	struct sh_table *range, after;
	size_t at = slots_find(slots, table->base);

	if (!table->size)
		return 0;
	if (at == slots->n)
		return -EEXIST;
	range = &slots->free[at];
	if (table->base < range->base || end > range->base + range->size)
		return -EEXIST;
	after = (struct sh_table){ .base = end, .size = range->base + range->size - end };
	range->size = table->base - range->base;
	if (!range->size)
		slots_remove(slots, at);
	else
		at++;
	return after.size ? slots_insert(slots, at, after) : 0;
}

int slots_give(struct slots *slots, const struct sh_table *table)
{
	size_t at = slots_find(slots, table->base);
	struct sh_table *range;

	if (!table->size)
		return 0;
	range = at < slots->n ? &slots->free[at] : NULL;
	if (at && slots->free[at - 1].base + slots->free[at - 1].size == table->base) {
		slots->free[at - 1].size += table->size;
		if (range && range->base == table->base + table->size) {
			slots->free[at - 1].size += range->size;
			slots_remove(slots, at);
		}
		return 0;
	}
	if (range && range->base == table->base + table->size) {
		range->base = table->base;
		range->size += table->size;
		return 0;
	}
	return slots_insert(slots, at, *table);
}
