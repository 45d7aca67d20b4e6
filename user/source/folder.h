/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A folder of manifests, watched. Which files count: as for manifest_load() of
 * a folder. Written in place, renamed into place or saved by an editor, a file
 * is read once it is whole; while it is wrong, what it said before stays in
 * force and the sink hears what is wrong. The same object in two files: the
 * first file by name has it, that of the other is refused. While the folder
 * itself is away, or back but empty, what was read from it stays in force.
 */
#ifndef SHUNT_USER_FOLDER_H
#define SHUNT_USER_FOLDER_H

#include <uv.h>

#include "source/sink.h"
#include "util/err.h"

struct folder;

/*
 * Reads the folder and tells @sink before it returns, then goes on in @loop.
 * Files that are wrong at the start are refused, not fatal; a folder that isn't
 * there is. @sink is copied. @return 0 and *@out, or a negative errno
 */
int folder_watch(struct folder **out, uv_loop_t *loop, const char *dir,
		 const struct source_sink *sink, struct err *err);
/*
 * Its handles are closing afterwards: the loop has to run once more, also where
 * folder_watch() failed. Not from within a call of the sink. NULL is fine.
 */
void folder_stop(struct folder *folder);

struct folder_status {
	size_t files, files_refused; /* the latter among the former */
	size_t objects;		     /* in force */
};
void folder_status(const struct folder *folder, struct folder_status *out);

#endif
