/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The -f of every verb that takes it: manifests read, what is wrong with them told. */
#ifndef SHUNT_USER_MANIFESTS_H
#define SHUNT_USER_MANIFESTS_H

#include "cmd/command.h"
#include "model/objects.h"
#include "model/wanted.h"
#include "source/diag.h"

/*
 * Read the manifests that the command line names; notes and, on a failure,
 * every error go to standard error. @return 0 and *@out (empty before;
 * object_set_done() it), or a negative errno and nothing.
 */
int manifests_load(struct invocation *inv, struct object_set *out, struct err *err);

/* Every error, on standard error. */
void manifests_print_errors(const struct diags *diags);
/* What of the objects was left out and why, there too. */
void manifests_print_left_out(const struct wanted *wanted);

/* Length of FILE in "FILE:LINE:COL: ...", 0 where @text does not begin with a place. */
size_t place_file_len(const char *text);

/* "service/kubia": how kubectl names an object. @return @buf */
#define OBJECT_NAME_STRLEN (SH_SUBDOMAIN_MAX + 48)
const char *object_name_format(const struct object *object, char buf[static OBJECT_NAME_STRLEN]);

#endif
