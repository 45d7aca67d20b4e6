// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/output_yaml.h"

#define COLUMN_GAP   3
#define OUTPUT_BYTES 65536 /* written at a time */

struct output {
	const struct listing *listing;
	enum output_format format;
	bool namespaces;
	FILE *to;
	size_t rows; /* given so far */
	struct yaml_writer *yaml;
	/* tables */
	char **held; /* rows held back, n_columns texts each */
	size_t n_held;
	size_t width[OUTPUT_COLUMNS_MAX];
	bool aligned; /* the header is out, widths are fixed */
	/* changes */
	bool changes; /* rows are written one by one, as no list */
	bool gone;    /* the row at hand is there no longer */
	/* What is written and not yet given to the stream: a call per cell is too slow. */
	size_t len;
	char buf[OUTPUT_BYTES];
};

/* What the stream says: stdio keeps no errno of its own, so ask at once. */
static int stream_result(FILE *to)
{
	if (!ferror(to))
		return 0;
	return errno ? -errno : -EIO;
}

/* ---- writing --------------------------------------------------------------- */

/* A failure stays with the stream, where stream_result() finds it. */
static void drain(struct output *output)
{
	if (output->len)
		(void)fwrite(output->buf, 1, output->len, output->to);
	output->len = 0;
}

static void put(struct output *output, const char *text, size_t len)
{
	size_t part;

	while (len) {
		if (output->len == OUTPUT_BYTES)
			drain(output);
		part = OUTPUT_BYTES - output->len < len ? OUTPUT_BYTES - output->len : len;
		memcpy(output->buf + output->len, text, part);
		output->len += part;
		text += part;
		len -= part;
	}
}

static void put_text(struct output *output, const char *text)
{
	put(output, text, strlen(text));
}

static void put_blanks(struct output *output, size_t n)
{
	static const char blanks[] = "                                ";
	const size_t most = sizeof(blanks) - 1;

	for (; n > most; n -= most)
		put(output, blanks, most);
	put(output, blanks, n);
}

/* @return where in @buf the number begins; it ends with the NUL at the end */
static const char *number_format(uint64_t number, char buf[static AGE_STRLEN])
{
	char *c = &buf[AGE_STRLEN - 1];

	*c = '\0';
	do {
		*--c = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	return c;
}

const char *age_format(uint64_t seconds, char buf[static AGE_STRLEN])
{
	uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

	if (!minutes)
		(void)snprintf(buf, AGE_STRLEN, "%" PRIu64 "s", seconds);
	else if (!hours)
		(void)snprintf(buf, AGE_STRLEN, "%" PRIu64 "m%" PRIu64 "s", minutes, seconds % 60);
	else if (!days)
		(void)snprintf(buf, AGE_STRLEN, "%" PRIu64 "h%" PRIu64 "m", hours, minutes % 60);
	else
		(void)snprintf(buf, AGE_STRLEN, "%" PRIu64 "d%" PRIu64 "h", days, hours % 24);
	return buf;
}

/* ---- tables -------------------------------------------------------------- */

static bool shown(const struct output *output, const struct column *column)
{
	if (!column->header)
		return false;
	if (column->flags & COLUMN_WIDE)
		return output->format == OUTPUT_WIDE;
	if (column->flags & COLUMN_NARROW)
		return output->format == OUTPUT_TABLE;
	if (column->flags & COLUMN_NAMESPACE)
		return output->namespaces;
	return true;
}

/* @return @buf or a text of the cell's own */
static const char *cell_text(const struct column *column, const struct cell *cell,
			     char buf[static AGE_STRLEN])
{
	switch (column->type) {
	case COLUMN_NUMBER:
		return number_format(cell->number, buf);
	case COLUMN_BOOL:
		return cell->number ? "yes" : "no";
	case COLUMN_AGE:
		return age_format(cell->number, buf);
	case COLUMN_TEXT:
	case COLUMN_TREE:
		break;
	}
	return cell->text && *cell->text ? cell->text : "<none>";
}

/* One column of a line; the gap before it says how much of the last one's width is left over. */
static void put_column(struct output *output, size_t column, const char *text, size_t *pad)
{
	size_t len = strlen(text);

	put_blanks(output, *pad);
	put(output, text, len);
	*pad = COLUMN_GAP + (len < output->width[column] ? output->width[column] - len : 0);
}

static void put_header(struct output *output)
{
	const struct listing *listing = output->listing;
	size_t i, pad = 0;

	for (i = 0; i < listing->n_columns; i++) {
		if (shown(output, &listing->columns[i]))
			put_column(output, i, listing->columns[i].header, &pad);
	}
	put(output, "\n", 1);
}

static void put_held_row(struct output *output, char *const *texts)
{
	const struct listing *listing = output->listing;
	size_t i, pad = 0;

	for (i = 0; i < listing->n_columns; i++) {
		if (texts[i]) /* a column that is shown */
			put_column(output, i, texts[i], &pad);
	}
	put(output, "\n", 1);
}

/* Header and the rows held back; from here on rows go straight out. */
static void table_align(struct output *output)
{
	const struct listing *listing = output->listing;
	size_t i, row, len;

	for (i = 0; i < listing->n_columns; i++) {
		output->width[i] =
			listing->columns[i].header ? strlen(listing->columns[i].header) : 0;
		for (row = 0; row < output->n_held; row++) {
			const char *text = output->held[row * listing->n_columns + i];

			len = text ? strlen(text) : 0;
			if (len > output->width[i])
				output->width[i] = len;
		}
	}
	put_header(output);
	for (row = 0; row < output->n_held; row++)
		put_held_row(output, output->held + row * listing->n_columns);
	output->aligned = true;
}

static void drop_held(struct output *output)
{
	size_t i;

	for (i = 0; i < output->n_held * output->listing->n_columns; i++)
		free(output->held[i]);
	output->n_held = 0;
}

static int table_hold(struct output *output, const struct cell *cells)
{
	const struct listing *listing = output->listing;
	char **texts = output->held + output->n_held * listing->n_columns;
	char buf[AGE_STRLEN];
	size_t i;

	/* Counted first, so that a half-filled row is freed with the others. */
	output->n_held++;
	for (i = 0; i < listing->n_columns; i++) {
		texts[i] = NULL;
		if (!shown(output, &listing->columns[i]))
			continue;
		texts[i] = strdup(cell_text(&listing->columns[i], &cells[i], buf));
		if (!texts[i]) {
			output->n_held--;
			while (i--)
				free(texts[i]);
			return -ENOMEM;
		}
	}
	if (output->n_held == OUTPUT_ALIGN_ROWS) {
		table_align(output);
		drop_held(output);
	}
	return 0;
}

static void table_stream(struct output *output, const struct cell *cells)
{
	const struct listing *listing = output->listing;
	char buf[AGE_STRLEN];
	size_t i, pad = 0;

	for (i = 0; i < listing->n_columns; i++) {
		if (shown(output, &listing->columns[i]))
			put_column(output, i, cell_text(&listing->columns[i], &cells[i], buf),
				   &pad);
	}
	put_text(output, output->gone ? "   (deleted)\n" : "\n");
}

/* ---- JSON, YAML, names --------------------------------------------------- */

/* Device names may be any bytes, JSON may not: what isn't UTF-8 is shown as "?". */
static json_t *mended_tree(const char *text)
{
	char *copy = strdup(text), *c;
	json_t *tree;

	if (!copy)
		return NULL;
	for (c = copy; *c; c++) {
		if (*c & 0x80)
			*c = '?';
	}
	tree = json_string(copy);
	free(copy);
	return tree;
}

static json_t *text_tree(const char *text)
{
	json_t *tree;

	if (!text)
		return json_null();
	tree = json_string(text);
	return tree ? tree : mended_tree(text);
}

static json_t *cell_tree(const struct column *column, const struct cell *cell)
{
	switch (column->type) {
	case COLUMN_TEXT:
		return text_tree(cell->text);
	case COLUMN_NUMBER:
	case COLUMN_AGE:
		return json_integer((json_int_t)cell->number);
	case COLUMN_BOOL:
		return json_boolean(cell->number != 0);
	case COLUMN_TREE:
		break;
	}
	return cell->tree ? json_incref(cell->tree) : json_null();
}

/* @return NULL: no memory */
static json_t *row_tree(const struct listing *listing, const struct cell *cells)
{
	json_t *row = json_object();
	size_t i;

	for (i = 0; row && i < listing->n_columns; i++) {
		const struct column *column = &listing->columns[i];

		if (!column->key)
			continue;
		if (json_object_set_new(row, column->key, cell_tree(column, &cells[i]))) {
			json_decref(row);
			return NULL;
		}
	}
	return row;
}

/* Most texts are plain; the others are left to those who know how. */
static int put_json_text(struct output *output, const char *text)
{
	char *dumped;
	const char *c;
	json_t *tree;

	for (c = text; *c >= ' ' && *c < 0x7f && *c != '"' && *c != '\\'; c++)
		;
	if (!*c) {
		put(output, "\"", 1);
		put(output, text, (size_t)(c - text));
		put(output, "\"", 1);
		return 0;
	}
	tree = text_tree(text);
	dumped = tree ? json_dumps(tree, JSON_ENCODE_ANY) : NULL;
	json_decref(tree);
	if (!dumped)
		return -ENOMEM;
	put_text(output, dumped);
	free(dumped);
	return 0;
}

static int put_json_piece(const char *text, size_t len, void *output)
{
	put(output, text, len);
	return 0;
}

static int put_json_cell(struct output *output, const struct column *column,
			 const struct cell *cell)
{
	char buf[AGE_STRLEN];

	switch (column->type) {
	case COLUMN_TEXT:
		if (cell->text)
			return put_json_text(output, cell->text);
		break;
	case COLUMN_NUMBER:
	case COLUMN_AGE:
		put_text(output, number_format(cell->number, buf));
		return 0;
	case COLUMN_BOOL:
		put_text(output, cell->number ? "true" : "false");
		return 0;
	case COLUMN_TREE:
		if (cell->tree)
			return json_dump_callback(cell->tree, put_json_piece, output,
						  JSON_ENCODE_ANY)
				       ? -ENOMEM
				       : 0;
		break;
	}
	put_text(output, "null");
	return 0;
}

static int put_json_object(struct output *output, const struct cell *cells)
{
	const struct listing *listing = output->listing;
	const char *before = "{\"";
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < listing->n_columns; i++) {
		if (!listing->columns[i].key)
			continue;
		put_text(output, before);
		put_text(output, listing->columns[i].key);
		put_text(output, "\": ");
		ret = put_json_cell(output, &listing->columns[i], &cells[i]);
		before = ", \"";
	}
	put_text(output, output->gone ? ", \"deleted\": true}" : "}");
	return ret;
}

static int json_row(struct output *output, const struct cell *cells)
{
	int ret;

	if (!output->changes && !output->rows) {
		put_text(output, "{\"kind\": \"");
		put_text(output, output->listing->kind);
		put_text(output, "List\", \"items\": [\n");
	} else if (!output->changes) {
		put_text(output, ",\n");
	}
	ret = put_json_object(output, cells);
	if (output->changes)
		put_text(output, "\n");
	return ret;
}

static int yaml_row(struct output *output, const struct cell *cells)
{
	json_t *row = row_tree(output->listing, cells);
	int ret = 0;

	if (!row || (output->gone && json_object_set_new(row, "deleted", json_true())))
		ret = -ENOMEM;
	else if (!output->changes)
		ret = yaml_writer_item(output->yaml, row);
	else if (fputs("---\n", output->to) >= 0)
		ret = yaml_write_document(output->to, row);
	json_decref(row);
	return ret;
}

static void name_row(struct output *output, const struct cell *cells)
{
	const struct listing *listing = output->listing;
	size_t i;

	for (i = 0; i < listing->n_columns; i++) {
		if (!(listing->columns[i].flags & COLUMN_NAME))
			continue;
		put_text(output, listing->word);
		put_text(output, "/");
		put_text(output, cells[i].text ? cells[i].text : "");
		put_text(output, output->gone ? " deleted\n" : "\n");
	}
}

static void json_end(struct output *output)
{
	if (output->rows) {
		put_text(output, "\n]}\n");
		return;
	}
	put_text(output, "{\"kind\": \"");
	put_text(output, output->listing->kind);
	put_text(output, "List\", \"items\": []}\n");
}

/* ---- the writer ---------------------------------------------------------- */

struct output *output_new(const struct listing *listing, enum output_format format, bool namespaces,
			  FILE *to)
{
	struct output *output = calloc(1, sizeof(*output));

	if (!output)
		return NULL;
	output->listing = listing;
	output->format = format;
	output->namespaces = namespaces;
	output->to = to;
	if (format == OUTPUT_TABLE || format == OUTPUT_WIDE)
		output->held = calloc(OUTPUT_ALIGN_ROWS * listing->n_columns, sizeof(char *));
	else if (format == OUTPUT_YAML)
		output->yaml = yaml_writer_new(listing->kind, to);
	else
		return output;
	if (!output->held && !output->yaml) {
		output_free(output);
		return NULL;
	}
	return output;
}

void output_free(struct output *output)
{
	if (!output)
		return;
	if (output->held)
		drop_held(output);
	free(output->held);
	yaml_writer_free(output->yaml);
	free(output);
}

bool output_wants_trees(const struct output *output)
{
	return output->format == OUTPUT_JSON || output->format == OUTPUT_YAML;
}

size_t output_rows(const struct output *output)
{
	return output->rows;
}

bool output_wants(const struct output *output, size_t column)
{
	const struct column *of = &output->listing->columns[column];

	if (output_wants_trees(output))
		return of->key != NULL;
	if (output->format == OUTPUT_NAME)
		return of->flags & COLUMN_NAME;
	return shown(output, of);
}

static int format_row(struct output *output, const struct cell *cells)
{
	if (output->format == OUTPUT_JSON)
		return json_row(output, cells);
	if (output->format == OUTPUT_YAML)
		return yaml_row(output, cells);
	if (output->format == OUTPUT_NAME)
		name_row(output, cells);
	else if (!output->aligned)
		return table_hold(output, cells);
	else
		table_stream(output, cells);
	return 0;
}

int output_row(struct output *output, const struct cell *cells)
{
	size_t i;
	int ret;

	errno = 0;
	ret = format_row(output, cells);
	if (!ret)
		ret = stream_result(output->to);
	output->rows++;
	for (i = 0; i < output->listing->n_columns; i++)
		json_decref(cells[i].tree);
	return ret;
}

void output_changes(struct output *output)
{
	output->changes = true;
}

int output_gone(struct output *output, const struct cell *cells)
{
	int ret;

	output->gone = true;
	ret = output_row(output, cells);
	output->gone = false;
	return ret;
}

int output_flush(struct output *output)
{
	errno = 0;
	if (output->held && output->n_held) {
		table_align(output);
		drop_held(output);
	}
	drain(output);
	(void)fflush(output->to);
	return stream_result(output->to);
}

int output_finish(struct output *output)
{
	int ret = 0;

	errno = 0;
	if (output->format == OUTPUT_JSON && !output->changes)
		json_end(output);
	else if (output->format == OUTPUT_YAML && !output->changes)
		ret = yaml_writer_end(output->yaml);
	return ret ? ret : output_flush(output);
}

int output_document(FILE *to, enum output_format format, const json_t *tree)
{
	int ret = 0;

	errno = 0;
	if (format == OUTPUT_YAML)
		ret = yaml_write_document(to, tree);
	else if (json_dumpf(tree, to, JSON_INDENT(2)))
		ret = ferror(to) ? stream_result(to) : -ENOMEM;
	else
		(void)fputc('\n', to);
	return ret ? ret : stream_result(to);
}
