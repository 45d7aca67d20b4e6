/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rows of a list, held: to be written in another order than they came in,
 * or compared with those of a moment before. What needs neither is streamed.
 */
#ifndef SHUNT_USER_OUTPUT_ROWS_H
#define SHUNT_USER_OUTPUT_ROWS_H

#include "util/output.h"

struct rows;

struct rows_order {
	size_t column;
	bool descending;
};

/* @return NULL: no memory */
struct rows *rows_new(const struct listing *listing);
void rows_free(struct rows *rows); /* NULL is fine */
size_t rows_count(const struct rows *rows);

/* As output_row(). @return 0, -ENOMEM, or -E2BIG: more than SH_ROWS_MAX */
int rows_add(struct rows *rows, const struct cell *cells);

/* By one column; rows that are equal there stay in their order. Digits in texts count as numbers. */
void rows_sort(struct rows *rows, const struct rows_order *order);

/* All of them. @return 0 or what output_row() did */
int rows_write(const struct rows *rows, struct output *output);
/*
 * Those that weren't in @before (NULL: none was) or are other than they were, but for their
 * ages; then those that are no longer there. By their COLUMN_ID.
 */
int rows_write_changes(const struct rows *rows, const struct rows *before, struct output *output);

#endif
