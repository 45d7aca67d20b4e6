/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For the static analyser alone, which sees one file at a time and loses the
 * thread in long macros.
 */
#include "util/err.h"

/* The err_*() return what they were given: a function that returns one has failed. */
#define err_input(err, ret, ...)  ((void)(err_input)(err, ret, __VA_ARGS__), (ret))
#define err_usage(err, ret, ...)  ((void)(err_usage)(err, ret, __VA_ARGS__), (ret))
#define err_system(err, ret, ...) ((void)(err_system)(err, ret, __VA_ARGS__), (ret))

/* What HASH_DEL() leaves is no element that was freed before. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

void *lint_hash_rest(void *head, void *removed);

#undef HASH_DEL
#define HASH_DEL(head, del) ((head) = lint_hash_rest(head, del))
