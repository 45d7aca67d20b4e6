// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Elements as older versions laid them out -> this one's. */
#include "dataplane/migrate.h"

#include <stddef.h>

#include "dataplane/released.h"

/* The row of layout 0, which none has, is the end. */
static const struct converter converters[] = { RELEASED_LAYOUTS{ .from = 0 } };

const struct converter *converter_find(enum dp_map map, uint16_t from)
{
	const struct converter *row;

	for (row = converters; row->from; row++) {
		if (row->map == map && row->from == from)
			return row;
	}
	return NULL;
}
