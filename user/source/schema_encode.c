/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/schema.h"

#include <errno.h>
#include <stdio.h>

#include "source/manifest.h"

static bool is_absent(const struct field *field, const void *at)
{
	const struct int_or_string *value = at;

	switch (field->type) {
	case FIELD_STRING:
		return !*(const char *const *)at || !**(const char *const *)at;
	case FIELD_BOOL:
		return *(const enum maybe *)at == MAYBE_ABSENT;
	case FIELD_INT:
		return !*(const int32_t *)at;
	case FIELD_ENUM:
		return !*(const uint8_t *)at;
	case FIELD_INT_OR_STRING:
		return !value->str && !value->num;
	case FIELD_LABELS:
		return !((const struct labels *)at)->n;
	case FIELD_LIST:
		return !((const struct wire_list *)at)->n;
	case FIELD_MAP:
		return false; /* known once it is encoded: it may turn out empty */
	default:
		return true;
	}
}

static json_t *encode_labels(const struct labels *labels)
{
	json_t *json = json_object();
	size_t i;

	for (i = 0; json && i < labels->n; i++) {
		if (json_object_set_new(json, labels->v[i].key, json_string(labels->v[i].value))) {
			json_decref(json);
			json = NULL;
		}
	}
	return json;
}

static json_t *encode_value(const struct field *field, const void *at);

static json_t *encode_list(const struct field *item, const struct wire_list *list)
{
	const size_t size = field_size(item);
	json_t *json = json_array();
	size_t i;

	for (i = 0; json && i < list->n; i++) {
		if (json_array_append_new(json,
					  encode_value(item, (const char *)list->v + i * size))) {
			json_decref(json);
			json = NULL;
		}
	}
	return json;
}

static json_t *encode_value(const struct field *field, const void *at)
{
	const struct int_or_string *value = at;

	switch (field->type) {
	case FIELD_STRING:
		return json_string(*(const char *const *)at);
	case FIELD_BOOL:
		return json_boolean(*(const enum maybe *)at == MAYBE_TRUE);
	case FIELD_INT:
		return json_integer(*(const int32_t *)at);
	case FIELD_ENUM:
		return json_string(field->words[*(const uint8_t *)at - 1]);
	case FIELD_INT_OR_STRING:
		return value->str ? json_string(value->str) : json_integer(value->num);
	case FIELD_LABELS:
		return encode_labels(at);
	case FIELD_LIST:
		return encode_list(field->item, at);
	case FIELD_MAP:
		return encode_map(field->schema, at);
	default:
		return NULL;
	}
}

json_t *encode_map(const struct schema *schema, const void *wire)
{
	json_t *json = json_object(), *value;
	size_t i;

	for (i = 0; json && i < schema->n; i++) {
		const struct field *field = &schema->fields[i];
		const void *at = (const char *)wire + field->offset;

		if (is_absent(field, at))
			continue;
		value = encode_value(field, at);
		if (field->type == FIELD_MAP && value && !json_object_size(value)) {
			json_decref(value);
			continue;
		}
		if (json_object_set_new(json, field->name, value)) {
			json_decref(json);
			json = NULL;
		}
	}
	return json;
}

static int text_to_wire(const char *text, struct wire_list *list, struct arena *scratch)
{
	const char **v = list->v;

	v[list->n] = arena_strdup(scratch, text);
	return v[list->n++] ? 0 : -ENOMEM;
}

int addrs_to_wire(const struct sh_addr *addrs, size_t n, struct wire_list *list,
		  struct arena *scratch)
{
	char text[ADDR_STRLEN];
	size_t i;
	int ret = 0;

	*list = (struct wire_list){ .v = arena_array(scratch, n, sizeof(char *)) };
	if (!list->v)
		return -ENOMEM;
	for (i = 0; !ret && i < n; i++)
		ret = text_to_wire(addr_format(&addrs[i], text), list, scratch);
	return ret;
}

int nets_to_wire(const struct addr_net *nets, size_t n, struct wire_list *list,
		 struct arena *scratch)
{
	char addr[ADDR_STRLEN], text[ADDR_STRLEN + 4];
	size_t i;
	int ret = 0;

	*list = (struct wire_list){ .v = arena_array(scratch, n, sizeof(char *)) };
	if (!list->v)
		return -ENOMEM;
	for (i = 0; !ret && i < n; i++) {
		(void)snprintf(text, sizeof(text), "%s/%u", addr_format(&nets[i].addr, addr),
			       nets[i].len & 0xff);
		ret = text_to_wire(text, list, scratch);
	}
	return ret;
}

int object_encode(const struct object *object, json_t **out)
{
	const struct kind_def *def = kind_find(object->kind);
	struct arena *scratch = arena_new();
	struct wire_head *head = NULL;
	json_t *json = NULL;
	int ret = -ENOMEM;

	if (scratch)
		head = arena_alloc(scratch, def->schema->size);
	if (!head)
		goto out;
	head->api_version = def->api_version;
	head->kind = kind_name(object->kind);
	meta_to_wire(&object->meta, &head->meta);
	ret = def->to_wire(object, head, scratch);
	if (ret)
		goto out;
	json = encode_map(def->schema, head);
	if (json)
		*out = json;
	else
		ret = -ENOMEM;
out:
	arena_free(scratch);
	return ret;
}
