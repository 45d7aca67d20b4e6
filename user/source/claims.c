/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/claims.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No memory for a table: the element is not added, which its adder sees by hh.tbl. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "source/manifest.h"
#include "util/hash.h"

/* One object as one file has it. */
struct claim {
	struct object *object; /* one reference */
	struct claimant *by;
	struct claimed *of;
	struct claim *next; /* of the same object */
	uint64_t hash;	    /* of its JSON */
	bool refused;	    /* the sink knows that another file has it */
};

struct claimed {
	struct claim *claims;
	struct claimed *next_unsettled;
	bool unsettled;
	bool told;
	uint64_t told_hash;
	enum kind kind;
	UT_hash_handle hh;
	size_t ns_len;
	char key[]; /* kind, namespace, NUL, name, NUL */
};

static const char *claimed_ns(const struct claimed *claimed)
{
	return claimed->key + 1;
}

static const char *claimed_name(const struct claimed *claimed)
{
	return claimed->key + 1 + claimed->ns_len + 1;
}

void claims_init(struct claims *claims, const struct source_sink *sink)
{
	*claims = (struct claims){ .sink = *sink };
}

static void unsettle(struct claims *claims, struct claimed *claimed)
{
	if (claimed->unsettled)
		return;
	claimed->unsettled = true;
	claimed->next_unsettled = claims->unsettled;
	claims->unsettled = claimed;
}

/* ---- objects by name -------------------------------------------------------- */

static struct claimed *claimed_new(const struct object *object)
{
	const size_t ns_len = strlen(object->meta.ns), name_len = strlen(object->meta.name);
	struct claimed *claimed = calloc(1, sizeof(*claimed) + 1 + ns_len + 1 + name_len + 1);

	if (!claimed)
		return NULL;
	claimed->kind = object->kind;
	claimed->ns_len = ns_len;
	claimed->key[0] = (char)object->kind;
	memcpy(claimed->key + 1, object->meta.ns, ns_len);
	memcpy(claimed->key + 1 + ns_len + 1, object->meta.name, name_len);
	return claimed;
}

static size_t key_len(const struct claimed *claimed)
{
	return 1 + claimed->ns_len + 1 + strlen(claimed_name(claimed)) + 1;
}

/* The entry of @object's name, made where there is none. NULL: no memory */
static struct claimed *claimed_get(struct claims *claims, const struct object *object)
{
	struct claimed *made = claimed_new(object), *found = NULL;
	size_t len;

	if (!made)
		return NULL;
	len = key_len(made);
	HASH_FIND(hh, claims->by_key, made->key, len, found);
	if (!found) {
		HASH_ADD_KEYPTR(hh, claims->by_key, made->key, len, made);
		if (made->hh.tbl)
			return made;
	}
	free(made);
	return found;
}

static void claimed_forget(struct claims *claims, struct claimed *claimed)
{
	HASH_DEL(claims->by_key, claimed);
	free(claimed);
}

void claims_done(struct claims *claims)
{
	struct claimed *claimed, *next;

	claims->unsettled = NULL;
	HASH_ITER(hh, claims->by_key, claimed, next)
		claimed_forget(claims, claimed);
}

/* ---- claims ----------------------------------------------------------------- */

static int hash_part(const char *text, size_t size, void *arg)
{
	uint64_t *hash = arg;

	*hash = hash64(*hash, text, size);
	return 0;
}

static int object_hash(const struct object *object, uint64_t *out)
{
	uint64_t hash = HASH64_INIT;
	json_t *json = NULL;
	int ret;

	ret = object_encode(object, &json);
	if (!ret && json_dump_callback(json, hash_part, &hash, JSON_COMPACT))
		ret = -ENOMEM;
	json_decref(json);
	if (!ret)
		*out = hash;
	return ret;
}

static void unlink_claims(struct claims *claims, struct claimant *by)
{
	struct claim **at;

	for (size_t i = 0; i < by->n; i++) {
		for (at = &by->v[i].of->claims; *at != &by->v[i]; at = &(*at)->next)
			;
		*at = by->v[i].next;
		unsettle(claims, by->v[i].of);
		object_free(by->v[i].object);
	}
	free(by->v);
	by->v = NULL;
	by->n = 0;
}

static int prepare(struct claims *claims, struct claim *claim, struct object *object)
{
	int ret;

	ret = object_hash(object, &claim->hash);
	if (ret)
		return ret;
	claim->object = object;
	claim->of = claimed_get(claims, object);
	if (!claim->of)
		return -ENOMEM;
	/* One that was only just made is forgotten again by the next claims_settle(). */
	unsettle(claims, claim->of);
	return 0;
}

int claims_take(struct claims *claims, struct claimant *by, struct object_set *set)
{
	struct claim *v = calloc(set->n ? set->n : 1, sizeof(*v));
	int ret = v ? 0 : -ENOMEM;
	size_t i;

	for (i = 0; !ret && i < set->n; i++)
		ret = prepare(claims, &v[i], set->v[i]);
	if (ret) {
		free(v);
		return ret;
	}
	unlink_claims(claims, by);
	by->v = v;
	by->n = set->n;
	for (i = 0; i < set->n; i++) {
		v[i].by = by;
		v[i].next = v[i].of->claims;
		v[i].of->claims = &v[i];
	}
	set->n = 0; /* the objects are the claims' now */
	object_set_done(set);
	return 0;
}

void claims_clear(struct claims *claims, struct claimant *by)
{
	unlink_claims(claims, by);
}

void claims_doubt(struct claims *claims, struct claimant *by, bool doubtful)
{
	if (by->doubtful == doubtful)
		return;
	by->doubtful = doubtful;
	for (size_t i = 0; i < by->n; i++)
		unsettle(claims, by->v[i].of);
}

/* ---- the sink ---------------------------------------------------------------- */

static bool comes_first(const struct claim *a, const struct claim *b)
{
	if (a->by->doubtful != b->by->doubtful)
		return b->by->doubtful;
	return strcmp(a->by->path, b->by->path) < 0;
}

static struct claim *owner_of(const struct claimed *claimed)
{
	struct claim *owner = claimed->claims;

	for (struct claim *claim = owner; claim; claim = claim->next)
		if (comes_first(claim, owner))
			owner = claim;
	return owner;
}

static void refuse(const struct claims *claims, const struct claim *claim,
		   const struct claim *owner)
{
	const struct object *object = claim->object;
	const char *ns = object->meta.ns;
	char *what = NULL, *why = NULL;

	if (asprintf(&what, "%s %s%s%s in %s", kind_name(object->kind), ns, *ns ? "/" : "",
		     object->meta.name, claim->by->path) < 0)
		what = NULL;
	if (asprintf(&why,
		     "%s:%u: %s has it at line %u, and comes first by name; remove one of the two",
		     claim->by->path, object->origin.line, owner->by->path,
		     owner->object->origin.line) < 0)
		why = NULL;
	claims->sink.refused(claims->sink.arg, what ? what : claim->by->path,
			     why ? why : "an object of it is in another file, too");
	free(what);
	free(why);
}

static void tell(struct claims *claims, struct claimed *claimed, struct claim *owner)
{
	const struct source_sink *sink = &claims->sink;

	if (!claimed->told || claimed->told_hash != owner->hash) {
		claims->n_told += !claimed->told;
		claimed->told = true;
		claimed->told_hash = owner->hash;
		sink->put(sink->arg, object_ref(owner->object));
	}
	for (struct claim *claim = claimed->claims; claim; claim = claim->next) {
		if (claim != owner && !claim->refused && !claim->by->doubtful)
			refuse(claims, claim, owner);
		claim->refused = claim != owner && (claim->refused || !claim->by->doubtful);
	}
}

static void tell_gone(struct claims *claims, struct claimed *claimed)
{
	const struct source_sink *sink = &claims->sink;

	if (claimed->told) {
		claims->n_told--;
		sink->gone(sink->arg, claimed->kind, claimed_ns(claimed), claimed_name(claimed));
	}
	claimed_forget(claims, claimed);
}

void claims_settle(struct claims *claims)
{
	struct claimed *next, *claimed = NULL, *at = claims->unsettled;
	struct claim *owner;

	/* In the order in which they came. */
	for (; at; at = next) {
		next = at->next_unsettled;
		at->next_unsettled = claimed;
		claimed = at;
	}
	claims->unsettled = NULL;
	for (; claimed; claimed = next) {
		next = claimed->next_unsettled;
		claimed->unsettled = false;
		owner = owner_of(claimed);
		if (owner)
			tell(claims, claimed, owner);
		else
			tell_gone(claims, claimed);
	}
}
