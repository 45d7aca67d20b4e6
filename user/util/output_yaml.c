// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/output_yaml.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <yaml.h>

/* Beyond any line: names and addresses are never folded. */
#define YAML_WIDTH 4096

struct yaml_writer {
	yaml_emitter_t emitter;
	FILE *to;
	char kind[64];
	bool started;
};

/* Takes @event over. */
static int emit(struct yaml_writer *writer, yaml_event_t *event, int made)
{
	if (!made)
		return -ENOMEM;
	if (yaml_emitter_emit(&writer->emitter, event))
		return 0;
	if (writer->emitter.error == YAML_WRITER_ERROR)
		return errno ? -errno : -EIO;
	return -ENOMEM;
}

/*
 * Would a YAML 1.1 reader take the plain text for something else than a
 * string? Errs on the side of quoting; addresses like 10.0.0.1 stay plain.
 */
static bool needs_quotes(const char *text)
{
	static const char *const words[] = { "true", "false", "yes", "no", "on",
					     "off",  "null",  "y",   "n",  NULL };
	size_t i, dots = 0;

	for (i = 0; words[i]; i++) {
		if (!strcasecmp(text, words[i]))
			return true;
	}
	if (isalpha((unsigned char)text[0]) || text[0] == '/')
		return false;
	for (i = 0; text[i]; i++) {
		dots += text[i] == '.';
		if (!isdigit((unsigned char)text[i]) && text[i] != '.')
			return true;
	}
	return dots != 3;
}

static int emit_scalar(struct yaml_writer *writer, const char *text, bool string)
{
	yaml_scalar_style_t style = string && needs_quotes(text) ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
								 : YAML_PLAIN_SCALAR_STYLE;
	yaml_event_t event;
	int made;

	made = yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
					    (int)strlen(text), 1, 1, style);
	return emit(writer, &event, made);
}

static int emit_mapping_start(struct yaml_writer *writer)
{
	yaml_event_t event;

	return emit(writer, &event,
		    yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
							YAML_BLOCK_MAPPING_STYLE));
}

static int emit_mapping_end(struct yaml_writer *writer)
{
	yaml_event_t event;

	return emit(writer, &event, yaml_mapping_end_event_initialize(&event));
}

static int emit_sequence_start(struct yaml_writer *writer)
{
	yaml_event_t event;

	return emit(writer, &event,
		    yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
							 YAML_BLOCK_SEQUENCE_STYLE));
}

static int emit_sequence_end(struct yaml_writer *writer)
{
	yaml_event_t event;

	return emit(writer, &event, yaml_sequence_end_event_initialize(&event));
}

static int emit_tree(struct yaml_writer *writer, const json_t *tree);

static int emit_object(struct yaml_writer *writer, const json_t *tree)
{
	void *i = json_object_iter((json_t *)tree);
	int ret = emit_mapping_start(writer);

	for (; !ret && i; i = json_object_iter_next((json_t *)tree, i)) {
		ret = emit_scalar(writer, json_object_iter_key(i), true);
		if (!ret)
			ret = emit_tree(writer, json_object_iter_value(i));
	}
	return ret ? ret : emit_mapping_end(writer);
}

static int emit_array(struct yaml_writer *writer, const json_t *tree)
{
	int ret = emit_sequence_start(writer);
	size_t i;

	for (i = 0; !ret && i < json_array_size(tree); i++)
		ret = emit_tree(writer, json_array_get(tree, i));
	return ret ? ret : emit_sequence_end(writer);
}

/* Depth is that of shunt's own output, a handful. */
static int emit_tree(struct yaml_writer *writer, const json_t *tree)
{
	char number[32];

	switch (json_typeof(tree)) {
	case JSON_OBJECT:
		return emit_object(writer, tree);
	case JSON_ARRAY:
		return emit_array(writer, tree);
	case JSON_STRING:
		return emit_scalar(writer, json_string_value(tree), true);
	case JSON_INTEGER:
		(void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			       json_integer_value(tree));
		return emit_scalar(writer, number, false);
	case JSON_REAL:
		(void)snprintf(number, sizeof(number), "%.17g", json_real_value(tree));
		return emit_scalar(writer, number, false);
	case JSON_TRUE:
		return emit_scalar(writer, "true", false);
	case JSON_FALSE:
		return emit_scalar(writer, "false", false);
	case JSON_NULL:
		break;
	}
	return emit_scalar(writer, "null", false);
}

static int emit_start(struct yaml_writer *writer)
{
	yaml_event_t event;
	int ret;

	ret = emit(writer, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	if (ret)
		return ret;
	return emit(writer, &event,
		    yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
}

static int emit_end(struct yaml_writer *writer)
{
	yaml_event_t event;
	int ret;

	ret = emit(writer, &event, yaml_document_end_event_initialize(&event, 1));
	if (!ret)
		ret = emit(writer, &event, yaml_stream_end_event_initialize(&event));
	if (!ret && !yaml_emitter_flush(&writer->emitter))
		ret = errno ? -errno : -EIO;
	return ret;
}

static int list_start(struct yaml_writer *writer)
{
	int ret;

	writer->started = true;
	ret = emit_start(writer);
	if (!ret)
		ret = emit_mapping_start(writer);
	if (!ret)
		ret = emit_scalar(writer, "kind", true);
	if (!ret)
		ret = emit_scalar(writer, writer->kind, true);
	if (!ret)
		ret = emit_scalar(writer, "items", true);
	return ret ? ret : emit_sequence_start(writer);
}

struct yaml_writer *yaml_writer_new(const char *kind, FILE *to)
{
	struct yaml_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return NULL;
	if (!yaml_emitter_initialize(&writer->emitter)) {
		free(writer);
		return NULL;
	}
	(void)snprintf(writer->kind, sizeof(writer->kind), "%sList", kind);
	writer->to = to;
	yaml_emitter_set_output_file(&writer->emitter, to);
	yaml_emitter_set_unicode(&writer->emitter, 1);
	yaml_emitter_set_width(&writer->emitter, YAML_WIDTH);
	return writer;
}

void yaml_writer_free(struct yaml_writer *writer)
{
	if (!writer)
		return;
	yaml_emitter_delete(&writer->emitter);
	free(writer);
}

int yaml_writer_item(struct yaml_writer *writer, const json_t *item)
{
	int ret = writer->started ? 0 : list_start(writer);

	return ret ? ret : emit_tree(writer, item);
}

int yaml_writer_end(struct yaml_writer *writer)
{
	int ret = writer->started ? 0 : list_start(writer);

	if (!ret)
		ret = emit_sequence_end(writer);
	if (!ret)
		ret = emit_mapping_end(writer);
	return ret ? ret : emit_end(writer);
}

int yaml_write_document(FILE *to, const json_t *tree)
{
	struct yaml_writer *writer = yaml_writer_new("", to);
	int ret;

	if (!writer)
		return -ENOMEM;
	ret = emit_start(writer);
	if (!ret)
		ret = emit_tree(writer, tree);
	if (!ret)
		ret = emit_end(writer);
	yaml_writer_free(writer);
	return ret;
}
