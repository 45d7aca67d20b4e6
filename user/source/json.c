/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/json.h"

#include <errno.h>
#include <string.h>

#include "shunt/limits.h"
#include "source/document.h"
#include "source/json_tree.h"

/* A tree takes about as much as its text: most of that is passed over. */
#define SCRATCH_LEAST 4096u

/* All that finding out an object's kind takes. */
static const struct field kind_fields[] = { { .name = "kind", .type = FIELD_STRING } };
static const struct schema schema_kind = { "an object", kind_fields, FIELD_COUNT(kind_fields),
					   sizeof(char *) };

/* The kind that the object says it is. */
static int read_kind(const struct json_text *json, struct arena *scratch, enum kind *out,
		     struct err *err)
{
	const struct tree_node *root, *node;
	char quoted[QUOTE_LEN];
	enum kind kind;
	int ret;

	ret = json_tree_read(json, &schema_kind, scratch, &root, err);
	if (ret)
		return ret;
	node = tree_get(root, "kind");
	if (!node || node->type != TREE_SCALAR || node->plain)
		return err_input(err, -EINVAL, "%s: no Kubernetes object: it has no kind",
				 json->name);
	for (kind = KIND_SERVICE; kind < KIND_COUNT; kind++) {
		if (!strcmp(node->text, kind_name(kind))) {
			*out = kind;
			return 0;
		}
	}
	return err_input(err, -EINVAL, "%s: kind: %s is not a kind that shunt reads", json->name,
			 quote(node->text, quoted));
}

/* What an object says of itself is left out in lists, but never another kind's. */
static void check_identity(struct decode *d, const struct kind_def *def)
{
	static const char *const fields[] = { "apiVersion", "kind" };
	const char *const wanted[] = { def->api_version, kind_name(def->kind) };
	char quoted[QUOTE_LEN];
	size_t i;

	for (i = 0; i < FIELD_COUNT(fields); i++) {
		const struct tree_node *node = tree_get(d->root, fields[i]);

		if (!node || node->type != TREE_SCALAR || node->plain ||
		    !strcmp(node->text, wanted[i]))
			continue;
		decode_fault(d, fields[i], "expected %s, found %s", wanted[i],
			     quote(node->text, quoted));
	}
}

static int decode_tree(struct decode *d, const struct kind_def *def, struct object **out,
		       struct err *err)
{
	struct object *object = NULL;
	int ret = 0;

	check_identity(d, def);
	if (!d->errors)
		ret = document_object(d, def, &object);
	if (ret)
		return ret;
	if (!object)
		return diags_refuse(d->diags, err);
	*out = object;
	return 0;
}

static int decode_text(const struct json_text *json, enum kind kind, struct arena *scratch,
		       struct object **out, struct err *err)
{
	struct diags diags = { 0 };
	struct decode d = {
		.file = json->name, .diags = &diags, .scratch = scratch, .lenient = true
	};
	int ret = 0;

	if (kind == KIND_NONE)
		ret = read_kind(json, scratch, &kind, err);
	if (!ret)
		ret = json_tree_read(json, kind_find(kind)->schema, scratch, &d.root, err);
	if (!ret)
		ret = decode_tree(&d, kind_find(kind), out, err);
	diags_done(&diags);
	return ret;
}

int object_from_json(const struct json_text *json, enum kind kind, struct object **out,
		     struct err *err)
{
	struct arena *scratch;
	int ret = -ENOMEM;

	if (json->len > SH_API_OBJECT_BYTES_MAX)
		return err_input(
			err, -EINVAL,
			"%s: the object is too large: at most SH_API_OBJECT_BYTES_MAX (%u) "
			"bytes",
			json->name, SH_API_OBJECT_BYTES_MAX);
	scratch = arena_new_sized(SCRATCH_LEAST + json->len);
	if (scratch)
		ret = decode_text(json, kind, scratch, out, err);
	arena_free(scratch);
	if (ret == -ENOMEM)
		(void)err_system(err, ret, "%s: decode an object", json->name);
	return ret;
}
