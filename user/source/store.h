/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the own control plane remembers, in the folder --state:
 *
 *   objects.json   all objects that were applied, with what was allocated to
 *                  them, as a v1 List: a manifest like any other
 *   settings.json  single values by name
 *
 * The caller is the one writer (it holds the data path's lock).
 */
#ifndef SHUNT_USER_STORE_H
#define SHUNT_USER_STORE_H

#include <stddef.h>

#include "model/objects.h"
#include "util/err.h"

/*
 * *@out (empty before) gets the objects; none where there is no file. A file
 * that can't be read or understood is an error, and *@out stays empty.
 */
int store_load(const char *dir, struct object_set *out, struct err *err);
/* All of @set, or what was there before stays in force. */
int store_save(const char *dir, const struct object_set *set, struct err *err);
/* Both files, and the folder if nothing else is in it. Nothing there: 0. */
int store_remove(const char *dir, struct err *err);

/*
 * *@value_out is the caller's to free(). @return 0, or -ENOENT where @key was
 * never set; @err then stays untouched.
 */
int store_get(const char *dir, const char *key, char **value_out, struct err *err);
/* @value NULL: forget the key. */
int store_set(const char *dir, const char *key, const char *value, struct err *err);

#endif
