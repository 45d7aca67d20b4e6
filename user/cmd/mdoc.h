/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The texts of the tables of verbs and options as the source of a manual page, mdoc(7).
 * Each begins at the start of a line and ends one.
 */
#ifndef SHUNT_USER_MDOC_H
#define SHUNT_USER_MDOC_H

#include <stdbool.h>

#include "cmd/command.h"

/* Paragraphs, an empty line between two; a sentence a line. Options in them become such. */
void mdoc_prose(struct invocation *inv, const char *text);
/* The same of a table's text, which is no sentence: with a capital and a full stop. */
void mdoc_sentence(struct invocation *inv, const char *text);
/* Like "-f FILE|DIR|-" and "[NAME...]": what goes on a macro line. Begins and ends no line. */
void mdoc_syntax(struct invocation *inv, const char *text);
/* Lines as they are, without the two blanks that --help puts before each. */
void mdoc_literal(struct invocation *inv, const char *text);

#endif
