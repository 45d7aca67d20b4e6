// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "source/store.h"

/* One value holds them all, so that they change together or not at all. */
#define KEPT_KEY "options"

/* --bpffs and --state say which instance; what is kept is the instance's own. */
static bool is_kept(const struct option *option)
{
	return option->group & (OPTIONS_CONTROL | OPTIONS_DATAPATH);
}

static int take_texts(const json_t *json, struct arena *arena, struct kept_options *out)
{
	const char *text;
	size_t i;

	for (i = 0; i < options_count(); i++) {
		text = json_string_value(json_object_get(json, options[i].name));
		if (!text || !is_kept(&options[i]))
			continue;
		out->text[i] = arena_strdup(arena, text);
		if (!out->text[i])
			return -ENOMEM;
	}
	return 0;
}

int kept_options_read(const char *dir, struct arena *arena, struct kept_options *out,
		      struct err *err)
{
	struct kept_options kept = { 0 };
	char *value = NULL;
	json_t *json;
	int ret;

	ret = store_get(dir, KEPT_KEY, &value, err);
	if (ret == -ENOENT) {
		*out = kept;
		return 0;
	}
	if (ret)
		return ret;
	json = json_loads(value, 0, NULL);
	free(value);
	if (!json_is_object(json))
		ret = err_input(err, -EINVAL,
				"the state is damaged: %s: \"" KEPT_KEY "\" is no list of options; "
				"put back a copy of it, or shunt reset",
				dir);
	else if (take_texts(json, arena, &kept))
		ret = err_system(err, -ENOMEM, "read the options kept in %s", dir);
	else
		*out = kept;
	json_decref(json);
	return ret;
}

static bool same_texts(const struct kept_options *a, const struct kept_options *b)
{
	size_t i;

	for (i = 0; i < options_count(); i++) {
		if (!a->text[i] != !b->text[i])
			return false;
		if (a->text[i] && strcmp(a->text[i], b->text[i]) != 0)
			return false;
	}
	return true;
}

/* @return NULL: no memory, or a text that is not UTF-8 */
static char *texts_json(const struct kept_options *kept)
{
	json_t *json = json_object();
	char *text = NULL;
	size_t i;

	for (i = 0; json && i < options_count(); i++) {
		if (!kept->text[i])
			continue;
		if (json_object_set_new(json, options[i].name, json_string(kept->text[i])))
			goto out;
	}
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
out:
	json_decref(json);
	return text;
}

int kept_options_write(const char *dir, const struct kept_options *now,
		       const struct kept_options *next, struct err *err)
{
	char *text;
	int ret;

	if (same_texts(now, next))
		return 0;
	text = texts_json(next);
	if (!text)
		return err_input(err, -EINVAL, "keep the options in %s: not UTF-8", dir);
	ret = store_set(dir, KEPT_KEY, text, err);
	free(text);
	return ret;
}

int kept_options_set(const struct kept_options *kept, const struct option_input *given,
		     struct settings *settings, struct arena *arena, struct err *err)
{
	/* An input of its own, so that a list begins anew instead of adding to the default. */
	struct option_input input = { .settings = settings, .arena = arena };
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < options_count(); i++) {
		if (!kept->text[i] || (given && given->given[i]))
			continue;
		ret = settings_set(&input, options[i].name, kept->text[i], err);
		if (ret)
			err_prefix(err, "kept from an earlier apply, give it anew");
	}
	return ret;
}

struct kept_options kept_options_merged(const struct kept_options *kept,
					const struct option_input *given)
{
	struct kept_options merged = *kept;
	size_t i;

	for (i = 0; i < options_count(); i++) {
		if (given->given[i] && is_kept(&options[i]))
			merged.text[i] = given->given[i];
	}
	return merged;
}
