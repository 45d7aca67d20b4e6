/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/path.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES_MAX 80

/* Keys that hold dots or worse stand in brackets, so that the path stays readable. */
static bool is_word(const char *key)
{
	return *key && !key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"0123456789_-")];
}

static int step_format(const struct path_step *step, bool first, char *buf, size_t size)
{
	const char *cut;

	if (!step->key)
		return snprintf(buf, size, "[%zu]", step->index);
	cut = strlen(step->key) > KEY_BYTES_MAX ? "..." : "";
	if (is_word(step->key))
		return snprintf(buf, size, "%s%.*s%s", first ? "" : ".", KEY_BYTES_MAX, step->key,
				cut);
	return snprintf(buf, size, "[%.*s%s]", KEY_BYTES_MAX, step->key, cut);
}

const char *path_format(const struct path_step *steps, size_t n, char buf[static PATH_LEN])
{
	size_t i, len = 0;

	buf[0] = '\0';
	for (i = 0; i < n && len < PATH_LEN; i++)
		len += (size_t)step_format(&steps[i], !i, buf + len, PATH_LEN - len);
	return buf;
}

/* Take the next step of *path: its text, without brackets. @return its length, 0 at the end */
static size_t next_step(const char **path, const char **text_out)
{
	const char *at = *path;
	size_t len;

	if (*at == '.')
		at++;
	if (*at == '[') {
		len = strcspn(++at, "]");
		*path = at + len + (at[len] == ']');
	} else {
		len = strcspn(at, ".[");
		*path = at + len;
	}
	*text_out = at;
	return len;
}

static const struct tree_node *child(const struct tree_node *node, const char *text, size_t len)
{
	unsigned long index;
	size_t i;

	if (node->type == TREE_LIST) {
		index = strtoul(text, NULL, 10);
		return index < node->n ? node->items[index] : NULL;
	}
	for (i = 0; node->type == TREE_MAP && i < node->n; i++) {
		const struct tree_node *key = node->items[2 * i];

		if (key->n == len && !memcmp(key->text, text, len))
			return node->items[2 * i + 1];
	}
	return NULL;
}

const struct tree_node *path_find(const struct tree_node *root, const char *path)
{
	const struct tree_node *node = root, *below;
	const char *text;
	size_t len;

	while ((len = next_step(&path, &text))) {
		below = child(node, text, len);
		if (!below)
			break;
		node = below;
	}
	return node;
}
