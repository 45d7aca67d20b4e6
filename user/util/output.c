// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/output_yaml.h"

#define COLUMN_GAP 3

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
};

/* What the stream says: stdio keeps no errno of its own, so ask at once. */
static int stream_result(FILE *to)
{
	if (!ferror(to))
		return 0;
	return errno ? -errno : -EIO;
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
		(void)snprintf(buf, AGE_STRLEN, "%" PRIu64, cell->number);
		return buf;
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
static void put_column(const struct output *output, size_t column, const char *text, size_t *pad)
{
	size_t len = strlen(text);

	(void)fprintf(output->to, "%*s%s", (int)*pad, "", text);
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
	(void)fputc('\n', output->to);
}

static void put_held_row(const struct output *output, char *const *texts)
{
	const struct listing *listing = output->listing;
	size_t i, pad = 0;

	for (i = 0; i < listing->n_columns; i++) {
		if (texts[i]) /* a column that is shown */
			put_column(output, i, texts[i], &pad);
	}
	(void)fputc('\n', output->to);
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
	(void)fputc('\n', output->to);
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

static int json_row(struct output *output, const json_t *row)
{
	const char *before = output->rows ? ",\n" : "";

	if (!output->rows)
		(void)fprintf(output->to, "{\"kind\": \"%sList\", \"items\": [\n",
			      output->listing->kind);
	(void)fputs(before, output->to);
	if (json_dumpf(row, output->to, 0))
		return ferror(output->to) ? stream_result(output->to) : -ENOMEM;
	return 0;
}

static int tree_row(struct output *output, const struct cell *cells)
{
	json_t *row = row_tree(output->listing, cells);
	int ret;

	if (!row)
		return -ENOMEM;
	if (output->format == OUTPUT_JSON)
		ret = json_row(output, row);
	else
		ret = yaml_writer_item(output->yaml, row);
	json_decref(row);
	return ret;
}

static void name_row(const struct output *output, const struct cell *cells)
{
	const struct listing *listing = output->listing;
	size_t i;

	for (i = 0; i < listing->n_columns; i++) {
		if (listing->columns[i].flags & COLUMN_NAME)
			(void)fprintf(output->to, "%s/%s\n", listing->word,
				      cells[i].text ? cells[i].text : "");
	}
}

static int json_end(const struct output *output)
{
	if (!output->rows)
		(void)fprintf(output->to, "{\"kind\": \"%sList\", \"items\": []}\n",
			      output->listing->kind);
	else
		(void)fputs("\n]}\n", output->to);
	return 0;
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

static int format_row(struct output *output, const struct cell *cells)
{
	if (output_wants_trees(output))
		return tree_row(output, cells);
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

int output_finish(struct output *output)
{
	int ret = 0;

	errno = 0;
	if (output->format == OUTPUT_JSON)
		ret = json_end(output);
	else if (output->format == OUTPUT_YAML)
		ret = yaml_writer_end(output->yaml);
	else if (output->held && output->rows && !output->aligned)
		table_align(output);
	if (!ret)
		(void)fflush(output->to);
	return ret ? ret : stream_result(output->to);
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
