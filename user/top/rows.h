/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rows of `top`: which Services or backends, in which order, and what each
 * column says of one, as text. A screen of any width and the plain snapshot are
 * made of these.
 */
#ifndef SHUNT_USER_TOP_ROWS_H
#define SHUNT_USER_TOP_ROWS_H

#include "top/model.h"

enum top_view { TOP_SERVICES, TOP_BACKENDS, TOP_VIEWS };

enum top_column {
	TOP_NAME, /* of a Service; the address of a backend */
	TOP_PORT,
	TOP_STATE,
	TOP_WEIGHT,
	TOP_CONNECTIONS,
	TOP_CONNECTIONS_BAR,
	TOP_PACKETS,
	TOP_BYTES,
	TOP_FLOWS,
	TOP_FLOWS_BAR,
	TOP_DROPS,
	TOP_SERVING,
	TOP_POD,
	TOP_NODE,
	TOP_COLUMNS
};

struct top_field {
	enum top_column column;
	const char *header;
	int width;	   /* of the column that takes what is left: the least */
	unsigned int rank; /* on a narrow screen the highest goes first; 0: none of these goes */
	bool left;	   /* text; else numbers */
	char key;	   /* sorts by it; 0: none does */
};

/* In the order that they stand in. The first one takes what is left of the width. */
const struct top_field *top_fields(enum top_view view, size_t *n_out);
/* NULL: the view has no such column. */
const struct top_field *top_field(enum top_view view, enum top_column column);

/* Which of them fit into @width, and how wide each is. */
struct top_layout {
	const struct top_field *fields[TOP_COLUMNS];
	int width[TOP_COLUMNS];
	size_t n;
};
void top_layout(enum top_view view, int width, struct top_layout *out);

struct top_row {
	const struct top_service *service;
	const struct top_backend *backend; /* NULL: a row of Services */
};

struct top_rows {
	struct top_row *v;
	size_t n, cap;
};
void top_rows_done(struct top_rows *rows);

/* What is shown; NULL and "": all. */
struct top_choice {
	const char *ns, *service;	    /* exactly */
	const char *text;		    /* somewhere in NAMESPACE/NAME, in any case */
	const struct top_service *backends; /* those of this Service, instead of Services */
};

struct top_order {
	enum top_column column;
	bool reversed; /* the least first; of names: from z to a */
};

/* Anew. @return 0 or -ENOMEM: @rows stay as they were */
int top_rows_fill(struct top_rows *rows, const struct top *top, const struct top_choice *choice,
		  const struct top_order *order);

/* How cells look. */
struct top_style {
	bool utf8; /* else bars are of ASCII */
};

#define TOP_CELL_SIZE 512
/* What stands in a row's column, @width columns wide. @return @buf */
const char *top_cell(const struct top_row *row, const struct top_field *field, int width,
		     const struct top_style *style, char buf[static TOP_CELL_SIZE]);

/* "0", "0.4", "12", "3.4k", "120M": never more than 5 letters. @return @buf */
#define TOP_RATE_SIZE 16
const char *top_rate_format(double rate, char buf[static TOP_RATE_SIZE]);
/* A bar for a share of 1, @width columns wide. @return @buf */
const char *top_bar_format(double share, int width, bool utf8, char buf[static TOP_CELL_SIZE]);

#endif
