// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A row is kept as bytes, for there may be a million:
 *
 *	cells of COLUMN_ID | other cells | cells of COLUMN_AGE
 *	└── tells rows apart              └── changes with the clock
 *	└── tells what has changed ──────┘
 *
 * A text is a byte (is it there?) and, if it is, the text with its NUL; a
 * tree its text, then its JSON the same way; anything else is 8 bytes.
 */
#include "util/output_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Out of memory is an error like any other, not the end of the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "shunt/limits.h"

struct place {
	size_t at;		    /* of its bytes */
	uint32_t id_len, state_len; /* the first two parts, the first of both */
	union {			    /* what it is sorted by */
		uint64_t number;
		const char *text;
	};
};

struct rows {
	const struct listing *listing;
	size_t columns[OUTPUT_COLUMNS_MAX]; /* in the order of their bytes */
	size_t n_id, n_state;		    /* of these, as above */
	char *bytes;
	size_t len, cap;
	struct place *places;
	size_t n, cap_places;
};

static bool is_id(const struct column *column)
{
	return column->flags & COLUMN_ID;
}

struct rows *rows_new(const struct listing *listing)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	size_t i, n = 0;

	if (!rows)
		return NULL;
	rows->listing = listing;
	for (i = 0; i < listing->n_columns; i++) {
		if (is_id(&listing->columns[i]))
			rows->columns[n++] = i;
	}
	rows->n_id = n;
	for (i = 0; i < listing->n_columns; i++) {
		if (!is_id(&listing->columns[i]) && listing->columns[i].type != COLUMN_AGE)
			rows->columns[n++] = i;
	}
	rows->n_state = n;
	for (i = 0; i < listing->n_columns; i++) {
		if (!is_id(&listing->columns[i]) && listing->columns[i].type == COLUMN_AGE)
			rows->columns[n++] = i;
	}
	return rows;
}

void rows_free(struct rows *rows)
{
	if (!rows)
		return;
	free(rows->bytes);
	free(rows->places);
	free(rows);
}

size_t rows_count(const struct rows *rows)
{
	return rows->n;
}

/* ---- bytes ----------------------------------------------------------------------- */

static int add_bytes(struct rows *rows, const void *bytes, size_t len)
{
	size_t cap = rows->cap ? rows->cap : 4096;
	char *larger;

	while (cap < rows->len + len)
		cap *= 2;
	if (cap > rows->cap) {
		larger = realloc(rows->bytes, cap);
		if (!larger)
			return -ENOMEM;
		rows->bytes = larger;
		rows->cap = cap;
	}
	memcpy(rows->bytes + rows->len, bytes, len);
	rows->len += len;
	return 0;
}

static int add_text(struct rows *rows, const char *text)
{
	const char there = text != NULL;
	int ret = add_bytes(rows, &there, 1);

	return ret || !text ? ret : add_bytes(rows, text, strlen(text) + 1);
}

static int add_tree(struct rows *rows, const struct cell *cell)
{
	char *json = NULL;
	int ret;

	if (cell->tree) {
		json = json_dumps(cell->tree, JSON_ENCODE_ANY | JSON_COMPACT);
		if (!json)
			return -ENOMEM;
	}
	ret = add_text(rows, cell->text);
	if (!ret)
		ret = add_text(rows, json);
	free(json);
	return ret;
}

static int add_cell(struct rows *rows, const struct column *column, const struct cell *cell)
{
	switch (column->type) {
	case COLUMN_TEXT:
		return add_text(rows, cell->text);
	case COLUMN_TREE:
		return add_tree(rows, cell);
	case COLUMN_NUMBER:
	case COLUMN_BOOL:
	case COLUMN_AGE:
		break;
	}
	return add_bytes(rows, &cell->number, sizeof(cell->number));
}

static int add_cells(struct rows *rows, struct place *place, const struct cell *cells)
{
	size_t i, column;
	int ret = 0;

	place->at = rows->len;
	for (i = 0; !ret && i < rows->listing->n_columns; i++) {
		column = rows->columns[i];
		ret = add_cell(rows, &rows->listing->columns[column], &cells[column]);
		if (i + 1 == rows->n_id)
			place->id_len = (uint32_t)(rows->len - place->at);
		if (i + 1 == rows->n_state)
			place->state_len = (uint32_t)(rows->len - place->at);
	}
	return ret;
}

static int add_place(struct rows *rows)
{
	size_t cap = rows->cap_places ? rows->cap_places * 2 : 64;
	struct place *larger;

	if (rows->n == SH_ROWS_MAX)
		return -E2BIG;
	if (rows->n < rows->cap_places)
		return 0;
	larger = reallocarray(rows->places, cap, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	rows->places = larger;
	rows->cap_places = cap;
	return 0;
}

int rows_add(struct rows *rows, const struct cell *cells)
{
	struct place place = { 0 };
	size_t i;
	int ret;

	ret = add_place(rows);
	if (!ret)
		ret = add_cells(rows, &place, cells);
	if (!ret)
		rows->places[rows->n++] = place;
	for (i = 0; i < rows->listing->n_columns; i++)
		json_decref(cells[i].tree);
	return ret;
}

/* Takes the text at *@at, and moves it on. */
static const char *take_text(const char **at)
{
	const char *text = *at + 1;

	if (!**at) {
		*at = text;
		return NULL;
	}
	*at = text + strlen(text) + 1;
	return text;
}

/* @json_out: of a tree, else NULL */
static struct cell take_cell(const struct column *column, const char **at, const char **json_out)
{
	struct cell cell = { 0 };

	*json_out = NULL;
	switch (column->type) {
	case COLUMN_TEXT:
		cell.text = take_text(at);
		break;
	case COLUMN_TREE:
		cell.text = take_text(at);
		*json_out = take_text(at);
		break;
	case COLUMN_NUMBER:
	case COLUMN_BOOL:
	case COLUMN_AGE:
		memcpy(&cell.number, *at, sizeof(cell.number));
		*at += sizeof(cell.number);
		break;
	}
	return cell;
}

/* ---- sorting ------------------------------------------------------------------------ */

static void set_sort_key(const struct rows *rows, struct place *place, size_t column)
{
	const char *at = rows->bytes + place->at, *json;
	struct cell cell = { 0 };
	size_t i;

	for (i = 0; i < rows->listing->n_columns; i++) {
		cell = take_cell(&rows->listing->columns[rows->columns[i]], &at, &json);
		if (rows->columns[i] == column)
			break;
	}
	switch (rows->listing->columns[column].type) {
	case COLUMN_TEXT:
	case COLUMN_TREE:
		place->text = cell.text ? cell.text : "";
		break;
	default:
		place->number = cell.number;
	}
}

/* Negative: @x before @y; rows that came first stand first. */
static int place_order(const struct place *x, const struct place *y, int cmp, bool descending)
{
	if (cmp)
		return descending ? -cmp : cmp;
	return x->at < y->at ? -1 : x->at > y->at;
}

static int text_cmp(const void *a, const void *b, void *descending)
{
	const struct place *x = a, *y = b;

	return place_order(x, y, strverscmp(x->text, y->text), *(bool *)descending);
}

static int number_cmp(const void *a, const void *b, void *descending)
{
	const struct place *x = a, *y = b;
	int cmp = x->number < y->number ? -1 : x->number > y->number;

	return place_order(x, y, cmp, *(bool *)descending);
}

void rows_sort(struct rows *rows, const struct rows_order *order)
{
	const enum column_type type = rows->listing->columns[order->column].type;
	const bool text = type == COLUMN_TEXT || type == COLUMN_TREE;
	bool descending = order->descending;
	size_t i;

	for (i = 0; i < rows->n; i++)
		set_sort_key(rows, &rows->places[i], order->column);
	if (rows->n)
		qsort_r(rows->places, rows->n, sizeof(*rows->places), text ? text_cmp : number_cmp,
			&descending);
}

/* ---- writing ------------------------------------------------------------------------ */

static int write_place(const struct rows *rows, const struct place *place, struct output *output,
		       int (*to)(struct output *, const struct cell *))
{
	const bool trees = output_wants_trees(output);
	const char *at = rows->bytes + place->at, *json;
	struct cell cells[OUTPUT_COLUMNS_MAX] = { 0 };
	bool failed = false;
	size_t i, column;

	for (i = 0; i < rows->listing->n_columns; i++) {
		column = rows->columns[i];
		cells[column] = take_cell(&rows->listing->columns[column], &at, &json);
		if (trees && json) {
			cells[column].tree = json_loads(json, JSON_DECODE_ANY, NULL);
			failed |= !cells[column].tree;
		}
	}
	if (!failed)
		return to(output, cells);
	for (i = 0; i < rows->listing->n_columns; i++)
		json_decref(cells[i].tree);
	return -ENOMEM;
}

int rows_write(const struct rows *rows, struct output *output)
{
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < rows->n; i++)
		ret = write_place(rows, &rows->places[i], output, output_row);
	return ret;
}

/* ---- changes ------------------------------------------------------------------------ */

/* A row of before. */
struct known {
	const struct place *place;
	bool seen; /* is there still */
	UT_hash_handle hh;
};

static int know(const struct rows *before, struct known *room, struct known **table)
{
	struct known *other, *known = room;
	size_t i;

	for (i = 0; i < before->n; i++) {
		const struct place *place = &before->places[i];
		const char *id = before->bytes + place->at;

		HASH_FIND(hh, *table, id, place->id_len, other);
		if (other) /* moved while it was listed: once is enough */
			continue;
		known->place = place;
		HASH_ADD_KEYPTR(hh, *table, id, place->id_len, known);
		if (!known->hh.tbl)
			return -ENOMEM;
		known++;
	}
	return 0;
}

/* Is @place in the table, and just as it was? */
static bool is_known(const struct rows *rows, const struct place *place, const struct rows *before,
		     struct known *table)
{
	const char *bytes = rows->bytes + place->at;
	struct known *known;

	HASH_FIND(hh, table, bytes, place->id_len, known);
	if (!known)
		return false;
	known->seen = true;
	return known->place->state_len == place->state_len &&
	       !memcmp(bytes, before->bytes + known->place->at, place->state_len);
}

static int write_differences(const struct rows *rows, const struct rows *before,
			     struct known *table, struct output *output)
{
	const struct known *known;
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < rows->n; i++) {
		if (!is_known(rows, &rows->places[i], before, table))
			ret = write_place(rows, &rows->places[i], output, output_row);
	}
	for (known = table; !ret && known; known = known->hh.next) {
		if (!known->seen)
			ret = write_place(before, known->place, output, output_gone);
	}
	return ret;
}

int rows_write_changes(const struct rows *rows, const struct rows *before, struct output *output)
{
	struct known *room, *table = NULL;
	int ret;

	if (!before || !before->n)
		return rows_write(rows, output);
	room = calloc(before->n, sizeof(*room));
	if (!room)
		return -ENOMEM;
	ret = know(before, room, &table);
	if (!ret)
		ret = write_differences(rows, before, table, output);
	HASH_CLEAR(hh, table);
	free(room);
	return ret;
}
