/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* JSON values as YAML text, through libyaml's emitter; streams a list item by item. */
#ifndef SHUNT_USER_OUTPUT_YAML_H
#define SHUNT_USER_OUTPUT_YAML_H

#include <stdio.h>

#include <jansson.h>

struct yaml_writer;

/* A list of @kind ("Service": kind: ServiceList). @return NULL: no memory */
struct yaml_writer *yaml_writer_new(const char *kind, FILE *to);
void yaml_writer_free(struct yaml_writer *writer); /* NULL is fine */
/* All three: 0 or a negative errno. */
int yaml_writer_item(struct yaml_writer *writer, const json_t *item);
int yaml_writer_end(struct yaml_writer *writer);
int yaml_write_document(FILE *to, const json_t *tree);

#endif
