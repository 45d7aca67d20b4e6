// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `get --selector`: the kernel knows no labels. They are in the state folder:
 * in labels.json those that an agent had from a cluster, in objects.json those
 * of what `apply` and the agent's folder have brought in.
 */
#include "cmd/get.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/agent_file.h"
#include "source/store.h"

/* What the state folder has. */
struct known {
	json_t *labels; /* of the cluster's Services, by NAMESPACE/NAME; or NULL */
	struct object_set set;
};

#define SERVICE_PATH_LEN (2 * SH_NAME_MAX + 2)

static void say_path(const char *ns, const char *name, char path[static SERVICE_PATH_LEN])
{
	(void)snprintf(path, SERVICE_PATH_LEN, "%s/%s", ns, name);
}

/* ---- choosing ---------------------------------------------------------------------- */

static int add_name(struct get *get, struct inv_name *name, const char *ns, const char *text)
{
	name->ns = arena_strdup(get->chosen, ns);
	name->name = arena_strdup(get->chosen, text);
	return name->ns && name->name ? 0 : -ENOMEM;
}

static bool is_chosen(const struct get *get, const char *ns, const struct labels *labels)
{
	return (!get->filter.ns || !strcmp(get->filter.ns, ns)) &&
	       selector_takes(&get->selector, labels);
}

/* Of manifests. The cluster has the last word on a Service that both know. */
static int choose_stored(struct get *get, const struct known *known, struct inv_name *names,
			 size_t *n)
{
	const struct object_set *set = &known->set;
	char path[SERVICE_PATH_LEN];
	size_t i;

	for (i = object_set_first(set, KIND_SERVICE); i < set->n && set->v[i]->kind == KIND_SERVICE;
	     i++) {
		const struct meta *meta = &set->v[i]->meta;

		say_path(meta->ns, meta->name, path);
		if (json_object_get(known->labels, path) ||
		    !is_chosen(get, meta->ns, &meta->labels))
			continue;
		if (add_name(get, &names[(*n)++], meta->ns, meta->name))
			return -ENOMEM;
	}
	return 0;
}

/* Strings stay @tree's. @return 0 or -ENOMEM */
static int read_labels(struct arena *arena, json_t *tree, struct labels *out)
{
	const char *key;
	json_t *value;

	*out = (struct labels){ .v = arena_array(arena, json_object_size(tree), sizeof(*out->v)) };
	if (!out->v)
		return -ENOMEM;
	json_object_foreach(tree, key, value)
	{
		if (json_is_string(value))
			out->v[out->n++] =
				(struct label){ .key = key, .value = json_string_value(value) };
	}
	return 0;
}

static int choose_told(struct get *get, const struct known *known, struct inv_name *names,
		       size_t *n)
{
	struct labels labels;
	const char *path, *slash;
	json_t *tree;
	char ns[SH_NAME_MAX + 1];

	json_object_foreach(known->labels, path, tree)
	{
		slash = strchr(path, '/');
		if (!slash || slash - path > SH_NAME_MAX)
			continue;
		(void)snprintf(ns, sizeof(ns), "%.*s", (int)(slash - path), path);
		if (read_labels(get->chosen, tree, &labels))
			return -ENOMEM;
		if (is_chosen(get, ns, &labels) && add_name(get, &names[(*n)++], ns, slash + 1))
			return -ENOMEM;
	}
	return 0;
}

static int choose(struct get *get, const struct known *known)
{
	const size_t most = known->set.n + json_object_size(known->labels);
	struct inv_name *names;
	size_t n = 0;
	int ret;

	get->chosen = arena_new();
	names = get->chosen ? arena_array(get->chosen, most, sizeof(*names)) : NULL;
	if (!names)
		return -ENOMEM;
	ret = choose_stored(get, known, names, &n);
	if (!ret)
		ret = choose_told(get, known, names, &n);
	if (ret)
		return ret;
	qsort(names, n, sizeof(*names), inv_name_cmp);
	get->filter.chosen_only = true;
	get->filter.chosen = names;
	get->filter.n_chosen = n;
	return 0;
}

/* ---- what is not known ------------------------------------------------------------- */

/* The search for a Service in the kernel that the state folder has not. */
struct search {
	const struct get *get;
	const struct known *known;
	char unknown[SERVICE_PATH_LEN];
};

static int look_up(const struct frontend_view *view, void *arg)
{
	const struct sh_meta_service *service = view->service;
	struct search *search = arg;

	if (search->get->filter.ns && strcmp(search->get->filter.ns, service->ns) != 0)
		return 0;
	say_path(service->ns, service->name, search->unknown);
	return !json_object_get(search->known->labels, search->unknown) &&
	       !object_set_find(&search->known->set, KIND_SERVICE, service->ns, service->name);
}

int get_choose(struct get *get, struct err *err)
{
	const char *dir = get->inv->settings.state;
	struct known known = { 0 };
	struct search search = { .get = get, .known = &known };
	int ret;

	ret = store_load(dir, &known.set, err);
	if (ret)
		return ret;
	known.labels = agent_file_read(dir, LABELS_FILE);
	get->filter.chosen_only = false;
	ret = dataplane_frontends(get->dp, look_up, &search, err);
	if (ret > 0)
		ret = err_input(err, -ENOENT,
				"get %s --selector: the labels of service %s are not known: %s has "
				"those of manifests and of what an agent had from a cluster, and "
				"none of that name; is it the folder that apply or the agent was "
				"given (--state)?",
				get->resource->name, search.unknown, dir);
	else if (!ret && choose(get, &known))
		ret = err_system(err, -ENOMEM, "get %s --selector", get->resource->name);
	json_decref(known.labels);
	object_set_done(&known.set);
	return ret;
}
