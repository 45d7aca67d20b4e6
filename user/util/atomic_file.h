/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Replace a file as a whole: whoever reads it sees the old one or the new one, on disk. */
#ifndef SHUNT_USER_ATOMIC_FILE_H
#define SHUNT_USER_ATOMIC_FILE_H

#include <stdio.h>

#include "util/err.h"

struct atomic_file {
	FILE *stream; /* write here; errors may be left to the commit */
	char *path, *tmp;
};

/* Makes the folders that the path needs, the last one for root's eyes only. */
int atomic_file_begin(struct atomic_file *file, const char *path, struct err *err);
/* The new file is in force, or there is no trace of it. Ends what _begin() began. */
int atomic_file_commit(struct atomic_file *file, struct err *err);
/* Throw it away; after a commit it does nothing. */
void atomic_file_abort(struct atomic_file *file);

#endif
