/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lists on standard output: a verb describes its columns once and emits rows;
 * the writer makes a table, a wide table, JSON, YAML or bare names of them.
 * Rows are streamed: a table holds back the first OUTPUT_ALIGN_ROWS to align
 * them, the other formats nothing.
 */
#ifndef SHUNT_USER_OUTPUT_H
#define SHUNT_USER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "util/err.h"

#define OUTPUT_ALIGN_ROWS  1000
#define OUTPUT_COLUMNS_MAX 24

enum output_format {
	OUTPUT_TABLE = 0,
	OUTPUT_WIDE,
	OUTPUT_JSON,
	OUTPUT_YAML,
	OUTPUT_NAME,
	/* Of packet tests, and not of this writer: see ptest/report.h. */
	OUTPUT_TAP,
	OUTPUT_JUNIT,
};

enum column_type {
	COLUMN_TEXT,   /* cell.text; NULL: <none> in tables, null in JSON */
	COLUMN_NUMBER, /* cell.number */
	COLUMN_BOOL,   /* cell.number; yes or no in tables */
	COLUMN_AGE,    /* cell.number in seconds; 5m3s in tables */
	COLUMN_TREE,   /* cell.text in tables, cell.tree in JSON */
};

enum column_flags {
	COLUMN_WIDE = 0x1,	/* in the wide table only */
	COLUMN_NARROW = 0x2,	/* in the narrow table only */
	COLUMN_NAMESPACE = 0x4, /* in tables over all namespaces only */
	COLUMN_NAME = 0x8,	/* what -o name prints; a COLUMN_TEXT */
	COLUMN_ID = 0x10,	/* together these tell one row from all others */
};

struct column {
	const char *header; /* NULL: in no table */
	const char *key;    /* NULL: in tables only. Never renamed: scripts rely on it */
	enum column_type type;
	unsigned int flags; /* enum column_flags */
	const char *help;   /* what the key means, for `shunt help` */
};

struct cell {
	const char *text;
	uint64_t number;
	json_t *tree; /* taken over by output_row(); needed where output_wants_trees() */
};

struct listing {
	const char *kind; /* "Service": the JSON's kind is "ServiceList" */
	const char *word; /* -o name prints WORD/NAME */
	const struct column *columns;
	size_t n_columns; /* at most OUTPUT_COLUMNS_MAX */
};

struct output;

/* @to stays the caller's; @namespaces: show the columns of COLUMN_NAMESPACE. @return NULL: no memory */
struct output *output_new(const struct listing *listing, enum output_format format, bool namespaces,
			  FILE *to);
void output_free(struct output *output); /* NULL is fine; what is held back is not written */
bool output_wants_trees(const struct output *output);
/* Does this format use the cells of @column? The others may be left empty. */
bool output_wants(const struct output *output, size_t column);
size_t output_rows(const struct output *output);

/*
 * @cells: one for each column, in their order; nothing in them is kept but the
 * trees. @return 0 or a negative errno (-EPIPE: nobody reads any more).
 */
int output_row(struct output *output, const struct cell *cells);
/* Writes the end. A list without rows is written too, but for tables: these stay empty. */
int output_finish(struct output *output);

/*
 * Instead of one list, changes one after the other: each row is a JSON object
 * on a line of its own, or a YAML document. Before the first row.
 */
void output_changes(struct output *output);
/* A row that is no longer there, after output_changes(); as output_row(). */
int output_gone(struct output *output, const struct cell *cells);
/* All rows so far to the reader, those held back too. @return 0 or a negative errno */
int output_flush(struct output *output);

/* One document: @tree as JSON or as YAML. @return 0 or a negative errno */
int output_document(FILE *to, enum output_format format, const json_t *tree);

/* "45s", "5m3s", "2h5m", "3d4h": as kubectl shows ages. @return @buf */
#define AGE_STRLEN 24
const char *age_format(uint64_t seconds, char buf[static AGE_STRLEN]);

#endif
