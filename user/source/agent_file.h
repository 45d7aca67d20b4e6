/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an agent tells by way of the state folder, to verbs that ask nobody and
 * need no port. A word of the moment: it isn't forced to disk.
 *
 *   agent.json    the agent itself, while it runs, for `status` and `doctor`; a
 *                 dead agent's is told by its pid
 *   labels.json   labels of the cluster's Services, {"NAMESPACE/NAME": {KEY: VALUE}},
 *                 for `get --selector`; like what is in the kernel it outlives him
 */
#ifndef SHUNT_USER_AGENT_FILE_H
#define SHUNT_USER_AGENT_FILE_H

#include <jansson.h>

#include "util/err.h"

#define AGENT_FILE  "agent.json"
#define LABELS_FILE "labels.json"

/* Replace it as a whole. @return 0 or a negative errno */
int agent_file_write(const char *dir, const char *name, const json_t *tree, struct err *err);
/* None there: 0. */
int agent_file_remove(const char *dir, const char *name, struct err *err);
/* @return the object, to be given up by json_decref(); NULL: there is none that can be read */
json_t *agent_file_read(const char *dir, const char *name);

#endif
