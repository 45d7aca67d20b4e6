/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is wrong with a set of manifests: one line each, FILE:LINE:COL: path: message. */
#ifndef SHUNT_SOURCE_DIAG_H
#define SHUNT_SOURCE_DIAG_H

#include <stddef.h>

#include "model/objects.h"
#include "util/err.h"

struct diag {
	char *text;	 /* one line, no newline */
	size_t file_len; /* text begins with the file's name, of that length */
};

/* Zeroed is empty. Of each list the first SH_ERRORS_MAX are kept, the rest is counted. */
struct diags {
	struct diag *errors, *notes;
	size_t n_errors, n_more_errors;
	size_t n_notes, n_more_notes; /* kinds that were skipped, fields that have no effect */
};

void diags_done(struct diags *diags);

/* @path may be "". A line of 0 is left out, so is a column of 0. */
__attribute__((format(printf, 4, 5))) void diag_error(struct diags *diags, const struct origin *at,
						      const char *path, const char *fmt, ...);
__attribute__((format(printf, 4, 5))) void diag_note(struct diags *diags, const struct origin *at,
						     const char *path, const char *fmt, ...);

size_t diags_count(const struct diags *diags); /* all errors, kept or not */
/* The first error and how many more there are, in one line. @return -EINVAL; or -ENOMEM */
int diags_refuse(const struct diags *diags, struct err *err);
size_t diags_files(const struct diags *diags); /* distinct files among the errors kept */

/*
 * @text as it may stand in a message: in double quotes, control characters as
 * \xHH, cut with "..." after some 60 characters. Returns @buf.
 */
#define QUOTE_LEN 320
const char *quote(const char *text, char buf[static QUOTE_LEN]);

#endif
