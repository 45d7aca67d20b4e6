// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/get.h"

#include <stdlib.h>
#include <string.h>

void joined_init(struct joined *joined, bool tree)
{
	*joined = (struct joined){ .array = tree ? json_array() : NULL };
	joined->failed = tree && !joined->array;
}

void joined_done(struct joined *joined)
{
	free(joined->text);
	json_decref(joined->array);
	*joined = (struct joined){ 0 };
}

void joined_text(struct joined *joined, const char *text)
{
	size_t len = strlen(text), need = joined->len + 1 + len + 1;
	char *larger;

	if (need > joined->cap) {
		larger = realloc(joined->text, need * 2);
		if (!larger) {
			joined->failed = true;
			return;
		}
		joined->text = larger;
		joined->cap = need * 2;
	}
	if (joined->len)
		joined->text[joined->len++] = ',';
	memcpy(joined->text + joined->len, text, len + 1);
	joined->len += len;
}

void joined_tree(struct joined *joined, json_t *tree)
{
	if (!joined->array)
		json_decref(tree);
	else if (!tree || json_array_append_new(joined->array, tree))
		joined->failed = true;
}

void joined_add(struct joined *joined, const char *text)
{
	joined_text(joined, text);
	if (joined->array)
		joined_tree(joined, json_string(text));
}

struct cell joined_cell(struct joined *joined)
{
	struct cell cell = { .text = joined->text, .tree = joined->array };

	joined->array = NULL;
	return cell;
}

struct cell cell_text(const char *text)
{
	return (struct cell){ .text = text };
}

struct cell cell_number(uint64_t number)
{
	return (struct cell){ .number = number };
}

const char *algorithm_word(uint8_t algorithm)
{
	switch (algorithm) {
	case SH_RANDOM:
		return "random";
	case SH_LEAST_CONN:
		return "least-conn";
	default:
		return "maglev";
	}
}

/* By hand: a list of flows has a million of them. */
const char *service_port_format(const struct sh_meta_service *service,
				char buf[static SERVICE_PORT_STRLEN])
{
	char *end = stpcpy(stpcpy(stpcpy(buf, service->ns), "/"), service->name);

	if (service->port_name[0])
		(void)stpcpy(stpcpy(end, ":"), service->port_name);
	else if (service->port)
		(void)snprintf(end, SERVICE_PORT_STRLEN - (size_t)(end - buf), ":%u",
			       service->port);
	return buf;
}
