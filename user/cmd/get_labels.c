// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `get --selector`: the kernel knows no labels. Those of what `apply` and the
 * agent's folder have brought in are in the state folder.
 */
#include "cmd/get.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/store.h"

static bool is_chosen(const struct get *get, const struct object *object)
{
	return (!get->filter.ns || !strcmp(get->filter.ns, object->meta.ns)) &&
	       selector_takes(&get->selector, &object->meta.labels);
}

/* An object set is sorted, and so is what is taken of it in turn. */
static int choose(struct get *get, const struct object_set *set)
{
	size_t first = object_set_first(set, KIND_SERVICE), i, n = 0;
	struct inv_name *names;

	get->chosen = arena_new();
	names = get->chosen ? arena_array(get->chosen, set->n, sizeof(*names)) : NULL;
	if (!names)
		return -ENOMEM;
	for (i = first; i < set->n && set->v[i]->kind == KIND_SERVICE; i++) {
		const struct meta *meta = &set->v[i]->meta;

		if (!is_chosen(get, set->v[i]))
			continue;
		names[n].ns = arena_strdup(get->chosen, meta->ns);
		names[n].name = arena_strdup(get->chosen, meta->name);
		if (!names[n].ns || !names[n].name)
			return -ENOMEM;
		n++;
	}
	get->filter.chosen_only = true;
	get->filter.chosen = names;
	get->filter.n_chosen = n;
	return 0;
}

/* The search for a Service in the kernel that the state folder has not. */
struct search {
	const struct get *get;
	const struct object_set *set;
	char unknown[2 * SH_NAME_MAX + 2];
};

static int look_up(const struct frontend_view *view, void *arg)
{
	const struct sh_meta_service *service = view->service;
	struct search *search = arg;

	if (search->get->filter.ns && strcmp(search->get->filter.ns, service->ns) != 0)
		return 0;
	if (object_set_find(search->set, KIND_SERVICE, service->ns, service->name))
		return 0;
	(void)snprintf(search->unknown, sizeof(search->unknown), "%s/%s", service->ns,
		       service->name);
	return 1;
}

int get_choose(struct get *get, struct err *err)
{
	const char *dir = get->inv->settings.state;
	struct object_set set = { 0 };
	struct search search = { .get = get, .set = &set };
	int ret;

	ret = store_load(dir, &set, err);
	if (ret)
		return ret;
	get->filter.chosen_only = false;
	ret = dataplane_frontends(get->dp, look_up, &search, err);
	if (ret > 0)
		ret = err_input(err, -ENOENT,
				"get %s --selector: the labels of service %s are not known: %s "
				"keeps those of manifests alone, and it has none of that name "
				"(--state); for a cluster's, ask \"kubectl get services -l\" and "
				"give the names",
				get->resource->name, search.unknown, dir);
	else if (!ret && choose(get, &set))
		ret = err_system(err, -ENOMEM, "get %s --selector", get->resource->name);
	object_set_done(&set);
	return ret;
}
