/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Manifests to objects and back. Decoding is strict: what the Kubernetes API
 * would refuse is an error that names file, line, column and field, and
 * nothing of a set that has one is loaded.
 */
#ifndef SHUNT_SOURCE_MANIFEST_H
#define SHUNT_SOURCE_MANIFEST_H

#include <dirent.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "model/objects.h"
#include "source/diag.h"
#include "util/err.h"

/*
 * Read files, folders (their *.yaml, *.yml and *.json in the order of their
 * names, but no *.test.yaml; not what lies deeper) and "-", standard input.
 * v1 List and the typed lists unfold, kinds that shunt doesn't read are
 * skipped with a note. The objects are added to *out; there they replace those
 * of the same name, while the same object twice among @paths is an error.
 *
 * @diags (zeroed, diags_done() it) gets every error and note.
 * @return 0; -EINVAL with a one-line summary in @err where @diags has errors,
 *	*out untouched; -ENOMEM
 */
int manifest_load(const char *const *paths, size_t n, struct object_set *out, struct diags *diags,
		  struct err *err);
/* A manifest in memory. */
struct manifest_text {
	const char *name; /* stands for the file's, in messages and origins */
	const char *text;
	size_t len;
};
/* The same for that. */
int manifest_load_buffer(const struct manifest_text *text, struct object_set *out,
			 struct diags *diags, struct err *err);

/*
 * A folder's manifests one by one, for whoever follows them (folder.c): the same
 * names, in the same order, read in the same way.
 */
bool manifest_name(const char *name); /* without its folder */
/* @return how many, and *@out (free() each, then the list), or a negative errno */
int manifest_names(const char *dir, struct dirent ***out);
char *manifest_path(const char *dir, const char *name); /* free() it; NULL: no memory */
/*
 * *@out (zeroed) gets the bytes (free() .text; .name is @path itself), or stays as it is
 * and @diags has the reason. @return 1, or 0 where no file is there (nothing, or a
 * folder), or -ENOMEM
 */
int manifest_read(const char *path, struct manifest_text *out, struct diags *diags);

/*
 * One object as the API's JSON, of the fields that struct object keeps;
 * decoding it gives an equal object. *out is the caller's (json_decref()).
 * @return 0 or -ENOMEM
 */
int object_encode(const struct object *object, json_t **out);

#endif
