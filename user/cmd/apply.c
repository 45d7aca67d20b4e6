// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `apply` and `delete`: manifests into what an instance serves, and out of it. */
#include "cmd/command.h"

#include <errno.h>
#include <stdlib.h>

#include "cmd/manifests.h"
#include "cmd/session.h"
#include "source/manifest.h"
#include "source/merge.h"

/* The objects that the manifests name, kept beyond the set that they are merged into. */
struct named {
	struct object **v;
	size_t n;
};

static int named_init(struct named *named, const struct object_set *set)
{
	size_t i;

	*named = (struct named){ .v = calloc(set->n ? set->n : 1, sizeof(struct object *)) };
	if (!named->v)
		return -ENOMEM;
	for (i = 0; i < set->n; i++)
		named->v[i] = object_ref(set->v[i]);
	named->n = set->n;
	return 0;
}

static void named_done(struct named *named)
{
	size_t i;

	for (i = 0; i < named->n; i++)
		object_free(named->v[i]);
	free(named->v);
}

static struct object *find_same(const struct object_set *set, const struct object *object)
{
	return object_set_find(set, object->kind, object->meta.ns, object->meta.name);
}

/* ---- apply -------------------------------------------------------------------- */

/* With what was allocated filled in on both sides, equal JSON is an equal object. */
static bool same(const struct object *a, const struct object *b)
{
	json_t *x = NULL, *y = NULL;
	bool equal;

	equal = !object_encode(a, &x) && !object_encode(b, &y) && json_equal(x, y);
	json_decref(x);
	json_decref(y);
	return equal;
}

static void report_applied(struct invocation *inv, const struct session *session,
			   const struct named *named)
{
	char name[OBJECT_NAME_STRLEN];
	size_t i;

	for (i = 0; i < named->n; i++) {
		const struct object *before = find_same(&session->prev, named->v[i]);
		const char *what = "created";

		if (before)
			what = same(before, named->v[i]) ? "unchanged" : "configured";
		say(inv, "%s %s\n", object_name_format(named->v[i], name), what);
	}
}

static int apply_set(struct invocation *inv, struct object_set *given, const struct named *named,
		     struct err *err)
{
	struct session session;
	int ret;

	ret = session_open(&session, inv, err);
	if (ret)
		goto out;
	ret = objects_merged(&session.prev, given, &session.next);
	if (ret)
		ret = err_system(err, ret, "add the manifests' objects");
	else
		ret = session_commit(&session, err);
	if (!ret)
		report_applied(inv, &session, named);
out:
	session_close(&session, ret != 0);
	return ret;
}

int apply_run(struct invocation *inv, struct err *err)
{
	struct object_set given = { 0 };
	struct named named = { 0 };
	int ret;

	ret = privilege_check(inv->command, err);
	if (!ret)
		ret = manifests_load(inv, &given, err);
	if (ret)
		return ret;
	ret = named_init(&named, &given);
	if (ret)
		ret = err_system(err, ret, "read the manifests");
	else
		ret = apply_set(inv, &given, &named, err);
	named_done(&named);
	object_set_done(&given);
	return ret;
}

/* ---- delete ------------------------------------------------------------------- */

/* @return how many were not there; each is told */
static size_t report_deleted(struct invocation *inv, const struct session *session,
			     const struct object_set *names)
{
	char name[OBJECT_NAME_STRLEN];
	size_t missing = 0, i;

	for (i = 0; i < names->n; i++) {
		object_name_format(names->v[i], name);
		if (find_same(&session->prev, names->v[i])) {
			say(inv, "%s deleted\n", name);
			continue;
		}
		(void)fprintf(stderr, "%s not found\n", name);
		missing++;
	}
	return missing;
}

static bool any_is_there(const struct session *session, const struct object_set *names)
{
	size_t i;

	for (i = 0; i < names->n; i++) {
		if (find_same(&session->prev, names->v[i]))
			return true;
	}
	return false;
}

static int delete_set(struct invocation *inv, const struct object_set *names, struct err *err)
{
	struct session session;
	bool change = false;
	int ret;

	ret = session_open(&session, inv, err);
	if (ret)
		goto out;
	change = any_is_there(&session, names);
	if (change) {
		ret = objects_without(&session.prev, names, &session.next);
		if (ret)
			ret = err_system(err, ret, "take out the manifests' objects");
		else
			ret = session_commit(&session, err);
	}
	if (!ret && report_deleted(inv, &session, names))
		ret = err_said(err, EXIT_INPUT);
out:
	/* Nothing to change: an instance that was made only to look goes again. */
	session_close(&session, !change || (ret && err->msg[0]));
	return ret;
}

int delete_run(struct invocation *inv, struct err *err)
{
	struct object_set names = { 0 };
	int ret;

	ret = privilege_check(inv->command, err);
	if (!ret)
		ret = manifests_load(inv, &names, err);
	if (!ret)
		ret = delete_set(inv, &names, err);
	object_set_done(&names);
	return ret;
}
