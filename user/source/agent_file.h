/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * agent.json in the state folder: what a running agent tells of itself, for
 * `status` and `doctor`, which ask nobody and need no port. It is a word of the
 * moment: it isn't forced to disk, and a dead agent's is told by its pid.
 */
#ifndef SHUNT_USER_AGENT_FILE_H
#define SHUNT_USER_AGENT_FILE_H

#include <jansson.h>

#include "util/err.h"

/* Replace it as a whole. @return 0 or a negative errno */
int agent_file_write(const char *dir, const json_t *tree, struct err *err);
/* None there: 0. */
int agent_file_remove(const char *dir, struct err *err);
/* @return the object, to be given up by json_decref(); NULL: there is none that can be read */
json_t *agent_file_read(const char *dir);

#endif
