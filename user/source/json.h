/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Objects as the Kubernetes API sends them. The same tables as for manifests
 * decode them, but what the API has accepted is not judged again: fields, and
 * values of fields that may learn more, that shunt doesn't know are passed
 * over, names and labels may look as they like. A value that it can't use (a
 * port of 70000, an address that is none) refuses that object alone.
 */
#ifndef SHUNT_USER_JSON_H
#define SHUNT_USER_JSON_H

#include <stddef.h>

#include "model/objects.h"
#include "util/err.h"

/*
 * One object's JSON text. @kind: what it is, where it doesn't say so itself (items of a
 * list don't); KIND_NONE: it has to. @name: stands for a file's in @err and in the
 * object's origin (which has no line); must outlive it. The text needn't.
 * @return 0 and *@out, -EINVAL with one line in @err, or -ENOMEM
 */
struct json_text {
	const char *name;
	const char *text;
	size_t len;
};
int object_from_json(const struct json_text *json, enum kind kind, struct object **out,
		     struct err *err);

#endif
