// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "doctor/select.h"

#include <string.h>

#include "util/nearest.h"

bool select_matches(const struct labels *selector, const struct object *pod)
{
	const char *value;
	size_t i;

	for (i = 0; i < selector->n; i++) {
		value = labels_get(&pod->meta.labels, selector->v[i].key);
		if (!value || strcmp(value, selector->v[i].value) != 0)
			return false;
	}
	return true;
}

static bool is_near(const char *a, const char *b)
{
	struct nearest nearest;

	nearest_init(&nearest, a);
	nearest_offer(&nearest, b);
	return nearest.best;
}

static const struct label *label_of(const struct labels *labels, const char *key)
{
	size_t i;

	for (i = 0; i < labels->n; i++) {
		if (!strcmp(labels->v[i].key, key))
			return &labels->v[i];
	}
	return NULL;
}

/* A label with @wanted's value, under another key: nearly the same, or with another prefix. */
static const struct label *value_elsewhere(const struct labels *labels, const struct label *wanted)
{
	const char *slash;
	size_t i;

	for (i = 0; i < labels->n; i++) {
		if (strcmp(labels->v[i].value, wanted->value) != 0)
			continue;
		slash = strrchr(labels->v[i].key, '/');
		if (is_near(wanted->key, labels->v[i].key) ||
		    (slash && !strcmp(slash + 1, wanted->key)) ||
		    !strcmp(labels->v[i].key, "app.kubernetes.io/name"))
			return &labels->v[i];
	}
	return NULL;
}

/* @pod, in the Service's namespace, as the selector misses it. @return false: by more than one label */
static bool miss_of(const struct labels *selector, const struct object *pod,
		    struct select_near *out)
{
	const struct labels *labels = &pod->meta.labels;
	const struct label *there;
	size_t i, missed = 0;

	*out = (struct select_near){ .pod = pod };
	for (i = 0; i < selector->n; i++) {
		there = label_of(labels, selector->v[i].key);
		if (there && !strcmp(there->value, selector->v[i].value)) {
			out->matched++;
			continue;
		}
		if (missed++)
			return false;
		out->wanted = &selector->v[i];
		out->there = there ? there : value_elsewhere(labels, &selector->v[i]);
		out->miss = there ? SELECT_VALUE : out->there ? SELECT_KEY : SELECT_ABSENT;
	}
	if (!missed || out->matched)
		return missed;
	/* With no other label to go by, it has to look like a slip. */
	return out->miss == SELECT_KEY ||
	       (out->miss == SELECT_VALUE && is_near(out->wanted->value, out->there->value));
}

static bool same_miss(const struct select_near *a, const struct select_near *b)
{
	if (a->miss != b->miss || a->wanted != b->wanted || !a->there != !b->there)
		return false;
	return !a->there ||
	       (!strcmp(a->there->key, b->there->key) && !strcmp(a->there->value, b->there->value));
}

/* Is @a nearer than @b? All labels in another namespace come before most of them in its own. */
static bool nearer(const struct select_near *a, const struct select_near *b)
{
	if (b->miss == SELECT_NONE)
		return true;
	if (a->miss == SELECT_NAMESPACE || b->miss == SELECT_NAMESPACE)
		return a->miss == SELECT_NAMESPACE && b->miss != SELECT_NAMESPACE;
	if (a->matched != b->matched)
		return a->matched > b->matched;
	return a->miss < b->miss;
}

void select_nearest(const struct object_set *objects, const struct object *service,
		    struct select_near *out)
{
	const struct labels *selector = &service->service.selector;
	struct select_near found;
	size_t i;

	*out = (struct select_near){ .miss = SELECT_NONE };
	for (i = object_set_first(objects, KIND_POD);
	     i < objects->n && objects->v[i]->kind == KIND_POD; i++) {
		const struct object *pod = objects->v[i];

		if (pod->pod.finished)
			continue;
		if (strcmp(pod->meta.ns, service->meta.ns) != 0) {
			if (!select_matches(selector, pod))
				continue;
			found = (struct select_near){ .miss = SELECT_NAMESPACE,
						      .pod = pod,
						      .matched = selector->n };
		} else if (!miss_of(selector, pod, &found)) {
			continue;
		}
		if (same_miss(out, &found) && out->miss != SELECT_NONE) {
			out->n_pods++;
		} else if (nearer(&found, out)) {
			*out = found;
			out->n_pods = 1;
		}
	}
}
