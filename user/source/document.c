/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/scalar.h"

/* Kinds of the core API that are not shunt's business: any other is a slip. */
static const char *const core_kinds[] = {
	"Service",
	"Endpoints",
	"Pod",
	"Node",
	"List",
	"Binding",
	"ComponentStatus",
	"ConfigMap",
	"Event",
	"LimitRange",
	"Namespace",
	"PersistentVolumeClaim",
	"PodTemplate",
	"Secret",
	"PersistentVolume",
	"Status",
	"ReplicationController",
	"ResourceQuota",
	"ServiceAccount",
};

static const struct field list_fields[] = {
	ANY("apiVersion"),
	ANY("kind"),
	ANY("metadata"),
	ANY("items"),
};
static const struct schema schema_list = { "a List", list_fields, FIELD_COUNT(list_fields), 0 };

/* A document, or an item of a List, on its way to an object. */
struct item {
	const struct tree_node *node;
	const struct tree_node *list;	/* NULL: it is the document itself */
	size_t index;			/* in the List */
	const struct kind_def *def;	/* what the typed List says; NULL: the item does */
	const char *api_version, *kind; /* as the item says */
};

struct document {
	const char *file;
	struct diags *diags;
	struct found_objects *found;
};

void found_objects_done(struct found_objects *found)
{
	size_t i;

	for (i = 0; i < found->n; i++)
		object_free(found->v[i]);
	free(found->v);
	*found = (struct found_objects){ 0 };
}

/* Takes @object over. */
static int found_add(struct found_objects *found, struct object *object)
{
	if (found->n == found->cap) {
		const size_t cap = found->cap ? 2 * found->cap : 64;
		struct object **longer = reallocarray(found->v, cap, sizeof(*longer));

		if (!longer) {
			object_free(object);
			return -ENOMEM;
		}
		found->v = longer;
		found->cap = cap;
	}
	found->v[found->n++] = object;
	return 0;
}

static struct decode decode_of(const struct document *doc, const struct item *item)
{
	struct decode d = { .file = doc->file, .diags = doc->diags, .root = item->node };

	if (item->list) {
		d.path[d.depth++] = (struct path_step){ .key = "items" };
		d.path[d.depth++] = (struct path_step){ .index = item->index };
	}
	d.base = d.depth;
	return d;
}

/* ---- objects ------------------------------------------------------------- */

static int decode_object(struct decode *d, const struct kind_def *def, struct object *object)
{
	void *wire = arena_alloc(d->scratch, def->schema->size);

	if (!wire)
		return -ENOMEM;
	object->kind = def->kind;
	object->arena = d->arena;
	/* Of an API's thousands of objects all have the same, which the source keeps. */
	object->origin.file = d->lenient ? d->file : keep_string(d, d->file);
	object->origin.line = d->root->line;
	object->origin.column = d->root->column;
	decode_map(d, def->schema, d->root, wire);
	/* Rules about several fields make no sense of fields that are wrong themselves. */
	if (!d->errors && !d->no_memory) {
		meta_finish(d, def, &((const struct wire_head *)wire)->meta, &object->meta);
		def->finish(d, wire, object);
	}
	return d->no_memory ? -ENOMEM : 0;
}

int document_object(struct decode *d, const struct kind_def *def, struct object **out)
{
	struct object *object = NULL;
	int ret = -ENOMEM;

	d->arena = arena_new();
	if (d->arena)
		object = arena_alloc(d->arena, sizeof(*object));
	if (object)
		ret = decode_object(d, def, object);
	if (ret || d->errors) {
		arena_free(d->arena);
		object = NULL;
	}
	d->arena = NULL; /* the object's own, or gone */
	if (!ret)
		*out = object;
	return ret;
}

static int load_object(const struct document *doc, const struct item *item,
		       const struct kind_def *def)
{
	struct decode d = decode_of(doc, item);
	struct object *object = NULL;
	int ret = -ENOMEM;

	d.scratch = arena_new();
	if (d.scratch)
		ret = document_object(&d, def, &object);
	if (!ret && object)
		ret = found_add(doc->found, object);
	arena_free(d.scratch);
	return ret;
}

/* ---- which kind ---------------------------------------------------------- */

/* @return the text of a field that says what the item is, or NULL and an error */
static const char *identity(struct decode *d, const char *field)
{
	const struct tree_node *node = tree_get(d->root, field);
	char found[FOUND_LEN];

	if (!node || scalar_is_null(node)) {
		decode_fault(d, field, "required, but missing");
		return NULL;
	}
	if (node->type != TREE_SCALAR || scalar_type(node) != SCALAR_STRING) {
		decode_fault(d, field, "expected a string, found %s", scalar_found(node, found));
		return NULL;
	}
	return node->text;
}

static const struct kind_def *def_of(const char *kind)
{
	enum kind i;

	for (i = KIND_SERVICE; i < KIND_COUNT; i++) {
		if (!strcmp(kind, kind_name(i)))
			return kind_find(i);
	}
	return NULL;
}

/* The kind whose typed List @kind is, or NULL. */
static const struct kind_def *list_def_of(const char *kind)
{
	const size_t len = strlen(kind);
	enum kind i;

	for (i = KIND_SERVICE; i < KIND_COUNT; i++) {
		const char *name = kind_name(i);

		if (len == strlen(name) + 4 && !strncmp(kind, name, len - 4) &&
		    !strcmp(kind + len - 4, "List"))
			return kind_find(i);
	}
	return NULL;
}

/* Groups of Kubernetes itself: there shunt's kinds have one place each. */
static bool is_builtin_group(const char *api_version)
{
	const size_t len = strcspn(api_version, "/");
	static const char suffix[] = ".k8s.io";
	const size_t suffix_len = sizeof(suffix) - 1;

	if (!memchr(api_version, '.', len))
		return true;
	return len > suffix_len && !memcmp(api_version + len - suffix_len, suffix, suffix_len);
}

/* What no API server would know: a slip, that must not look like a foreign kind. */
static bool check_kind(struct decode *d, const struct item *item)
{
	const struct kind_def *def = def_of(item->kind), *list = list_def_of(item->kind);
	const size_t kind_len = strlen(item->kind);
	char quoted[QUOTE_LEN];
	const char *near;
	size_t i;

	def = def ? def : list;
	if (def && is_builtin_group(item->api_version)) {
		decode_fault(d, "apiVersion", "%s is of %s, not of %s", item->kind,
			     def->api_version, quote(item->api_version, quoted));
		return false;
	}
	if (strcmp(item->api_version, "v1") != 0)
		return true;
	for (i = 0; i < FIELD_COUNT(core_kinds); i++) {
		const size_t len = strlen(core_kinds[i]);

		if (!strncmp(item->kind, core_kinds[i], len) &&
		    (kind_len == len || !strcmp(item->kind + len, "List")))
			return true;
	}
	near = nearest_word(item->kind, core_kinds, FIELD_COUNT(core_kinds));
	decode_fault(d, "kind", "v1 has no kind %s%s%s%s", quote(item->kind, quoted),
		     near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
	return false;
}

static void note_skipped(const struct document *doc, const struct item *item)
{
	const struct origin at = { .file = doc->file, .line = item->node->line };
	const struct tree_node *meta = tree_get(item->node, "metadata");
	const struct tree_node *name = meta ? tree_get(meta, "name") : NULL;
	char kind[QUOTE_LEN], quoted[QUOTE_LEN] = "";

	if (name && name->type == TREE_SCALAR)
		(void)quote(name->text, quoted);
	(void)quote(item->kind, kind);
	/* The kind goes without its quotes. */
	diag_note(doc->diags, &at, "", "%.*s%s%s skipped: not a kind that shunt reads",
		  (int)strcspn(kind + 1, "\""), kind + 1, *quoted ? " " : "", quoted);
}

/* ---- documents and lists ------------------------------------------------- */

static int load_item(const struct document *doc, struct item *item);

static int load_list(const struct document *doc, const struct item *item,
		     const struct kind_def *def)
{
	const struct tree_node *items = tree_get(item->node, "items");
	struct decode d = decode_of(doc, item);
	char found[FOUND_LEN];
	size_t i;
	int ret = 0;

	if (item->list) {
		decode_fault(&d, "kind", "a List inside of a List");
		return 0;
	}
	decode_map(&d, &schema_list, item->node, NULL);
	if (!items || scalar_is_null(items))
		return 0;
	if (items->type != TREE_LIST) {
		decode_fault(&d, "items", "expected a list, found %s", scalar_found(items, found));
		return 0;
	}
	for (i = 0; !ret && i < items->n; i++) {
		struct item inner = {
			.node = items->items[i], .list = item->node, .index = i, .def = def
		};

		ret = load_item(doc, &inner);
	}
	return ret;
}

/* Items of a typed List say what they are only if they like, but never something else. */
static bool check_typed(struct decode *d, const struct item *item)
{
	static const char *const fields[] = { "apiVersion", "kind" };
	const char *const wanted[] = { item->def->api_version, kind_name(item->def->kind) };
	size_t i;

	for (i = 0; i < FIELD_COUNT(fields); i++) {
		const struct tree_node *node = tree_get(item->node, fields[i]);

		if (!node || scalar_is_null(node))
			continue;
		if (node->type != TREE_SCALAR || strcmp(node->text, wanted[i]) != 0)
			decode_fault(d, fields[i], "expected %s, as in every item of this list",
				     wanted[i]);
	}
	return !d->errors;
}

static int load_item(const struct document *doc, struct item *item)
{
	struct decode d = decode_of(doc, item);
	const struct kind_def *def, *list;
	char found[FOUND_LEN];

	if (item->node->type != TREE_MAP) {
		decode_fault(&d, "", "expected a Kubernetes object (a map), found %s",
			     scalar_found(item->node, found));
		return 0;
	}
	if (item->def)
		return check_typed(&d, item) ? load_object(doc, item, item->def) : 0;
	item->api_version = identity(&d, "apiVersion");
	item->kind = identity(&d, "kind");
	if (d.errors)
		return 0;
	def = def_of(item->kind);
	if (def && !strcmp(item->api_version, def->api_version))
		return load_object(doc, item, def);
	list = list_def_of(item->kind);
	if ((list && !strcmp(item->api_version, list->api_version)) ||
	    (!strcmp(item->kind, "List") && !strcmp(item->api_version, "v1")))
		return load_list(doc, item, list);
	if (check_kind(&d, item))
		note_skipped(doc, item);
	return 0;
}

int document_load(const char *file, const struct tree_node *root, struct diags *diags,
		  struct found_objects *found)
{
	const struct document doc = { file, diags, found };
	struct item item = { .node = root };

	/* Nothing between two "---", or comments only. */
	if (scalar_is_null(root))
		return 0;
	return load_item(&doc, &item);
}
