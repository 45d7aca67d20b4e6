/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/schema.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "source/scalar.h"

const struct field field_string_item = { .type = FIELD_STRING };
const char *const proto_words[] = { "TCP", "UDP", "SCTP", NULL };

proto_t proto_of_wire(uint8_t wire)
{
	static const proto_t protos[] = { IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };

	return protos[wire];
}

uint8_t proto_to_wire(proto_t proto)
{
	return proto == IPPROTO_UDP ? 2 : proto == IPPROTO_SCTP ? 3 : 1;
}

/* ---- what is wrong ------------------------------------------------------- */

static void push(struct decode *d, const char *key, size_t index)
{
	d->path[d->depth++] = (struct path_step){ .key = key, .index = index };
}

static void pop(struct decode *d)
{
	d->depth--;
}

/* At @node, with the path that decoding has come to. */
__attribute__((format(printf, 3, 4))) static void
fault(struct decode *d, const struct tree_node *node, const char *fmt, ...)
{
	const struct origin at = { .file = d->file, .line = node->line, .column = node->column };
	char path[PATH_LEN], text[2 * QUOTE_LEN];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	d->errors++;
	diag_error(d->diags, &at, path_format(d->path, d->depth, path), "%s", text);
}

/* Put the steps that lead to the object before @path. */
static const char *whole_path(const struct decode *d, const char *path,
			      char buf[static 2 * PATH_LEN])
{
	char base[PATH_LEN];

	(void)path_format(d->path, d->base, base);
	(void)snprintf(buf, 2 * PATH_LEN, "%s%s%s", base, *base && *path && *path != '[' ? "." : "",
		       path);
	return buf;
}

struct origin decode_origin(const struct decode *d, const char *path)
{
	const struct tree_node *node = path_find(d->root, path);

	return (struct origin){ .file = d->file, .line = node->line, .column = node->column };
}

void decode_fault(struct decode *d, const char *path, const char *fmt, ...)
{
	const struct origin at = decode_origin(d, path);
	char whole[2 * PATH_LEN], text[2 * QUOTE_LEN];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	d->errors++;
	diag_error(d->diags, &at, whole_path(d, path, whole), "%s", text);
}

void decode_note(struct decode *d, const char *path, const char *fmt, ...)
{
	const struct origin at = decode_origin(d, path);
	char whole[2 * PATH_LEN], text[2 * QUOTE_LEN];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	diag_note(d->diags, &at, whole_path(d, path, whole), "%s", text);
}

const char *path_print(struct path_text *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(out->text, sizeof(out->text), fmt, args);
	va_end(args);
	return out->text;
}

bool decode_has(const struct decode *d, const char *path)
{
	const struct tree_node *parent, *node = path_find(d->root, path);
	const char *last = strrchr(path, '.');
	char above[PATH_LEN];

	/* path_find() stops at the deepest that exists: is it the path's own end? */
	(void)snprintf(above, sizeof(above), "%.*s", last ? (int)(last - path) : 0, path);
	parent = path_find(d->root, above);
	return node != parent && tree_get(parent, last ? last + 1 : path) == node &&
	       !scalar_is_null(node);
}

/* ---- values -------------------------------------------------------------- */

static void expected(struct decode *d, const struct tree_node *node, const char *what)
{
	char found[FOUND_LEN];

	fault(d, node, "expected %s, found %s", what, scalar_found(node, found));
}

/* @return the text, or NULL and an error */
static const char *string_of(struct decode *d, const struct tree_node *node)
{
	char found[FOUND_LEN];

	if (node->type == TREE_SCALAR && scalar_type(node) == SCALAR_STRING)
		return node->text;
	if (node->type == TREE_SCALAR && !scalar_is_null(node))
		fault(d, node, "expected a string, found %s (put it in quotes)",
		      scalar_found(node, found));
	else
		expected(d, node, "a string");
	return NULL;
}

static void refuse(struct decode *d, const struct tree_node *node, const char *why)
{
	char text[QUOTE_LEN];

	if (why)
		fault(d, node, "%s %s", quote(node->text, text), why);
}

/*
 * What the API server let pass may be named as it likes. What can't be read (addresses) and
 * what the data path has no room for (longer than a DNS label) is wrong all the same.
 */
static bool is_checked(const struct decode *d, check_fn *check)
{
	if (!check || !d->lenient)
		return check;
	return check != check_dns_subdomain && check != check_label_value &&
	       check != check_port_name && check != check_qualified_name;
}

static void decode_string(struct decode *d, const struct field *field, const struct tree_node *node,
			  void *out)
{
	const char *text;

	if ((field->flags & FIELD_SECRET) &&
	    (node->type != TREE_SCALAR || scalar_type(node) != SCALAR_STRING)) {
		fault(d, node, "expected a string (put it in quotes)");
		return;
	}
	text = string_of(d, node);
	if (!text || (!*text && (field->flags & FIELD_EMPTY_IS_ABSENT)))
		return;
	if (is_checked(d, field->check))
		refuse(d, node, field->check(text));
	*(const char **)out = text;
}

static void decode_bool(struct decode *d, const struct field *field, const struct tree_node *node,
			void *out)
{
	if (node->type != TREE_SCALAR || scalar_type(node) != SCALAR_BOOL)
		expected(d, node, "true or false");
	else
		*(enum maybe *)out = scalar_bool(node) ? MAYBE_TRUE : MAYBE_FALSE;
}

/* " (SH_...)", or nothing where the limit is the API's own. Returns @buf. */
#define LIMIT_LEN 40
static const char *limit_name(const struct field *field, char buf[static LIMIT_LEN])
{
	buf[0] = '\0';
	if (field->limit)
		(void)snprintf(buf, LIMIT_LEN, " (%s)", field->limit);
	return buf;
}

static int32_t number_of(struct decode *d, const struct field *field, const struct tree_node *node)
{
	const int64_t value = scalar_int(node);
	char limit[LIMIT_LEN];

	if (value >= field->min && value <= field->max)
		return (int32_t)value;
	fault(d, node, "%s is not in %d-%d%s", node->text, field->min, field->max,
	      limit_name(field, limit));
	return 0;
}

static void decode_int(struct decode *d, const struct field *field, const struct tree_node *node,
		       void *out)
{
	if (node->type != TREE_SCALAR || scalar_type(node) != SCALAR_INT)
		expected(d, node, "an integer");
	else
		*(int32_t *)out = number_of(d, field, node);
}

static void decode_int_or_string(struct decode *d, const struct field *field,
				 const struct tree_node *node, void *out)
{
	struct int_or_string *value = out;

	if (node->type == TREE_SCALAR && scalar_type(node) == SCALAR_INT) {
		value->num = number_of(d, field, node);
	} else if (node->type == TREE_SCALAR && scalar_type(node) == SCALAR_STRING) {
		if (is_checked(d, field->check))
			refuse(d, node, field->check(node->text));
		value->str = node->text;
	} else {
		expected(d, node, "an integer or a string");
	}
}

/* "A, B or C" */
static const char *list_words(const char *const *words, size_t n, char *buf, size_t size)
{
	size_t i, len = 0;

	for (i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s",
					!i	     ? ""
					: i == n - 1 ? " or "
						     : ", ",
					words[i]);
	return buf;
}

static void decode_enum(struct decode *d, const struct field *field, const struct tree_node *node,
			void *out)
{
	const char *text = string_of(d, node), *near;
	char list[160], quoted[QUOTE_LEN];
	size_t n;

	if (!text || (!*text && !(field->flags & FIELD_REQUIRED)))
		return;
	for (n = 0; field->words[n]; n++) {
		if (!strcmp(text, field->words[n])) {
			*(uint8_t *)out = (uint8_t)(n + 1);
			return;
		}
	}
	if (d->lenient && (field->flags & FIELD_OPEN))
		return;
	near = nearest_word(text, field->words, n);
	fault(d, node, "%s is not one of %s%s%s%s", quote(text, quoted),
	      list_words(field->words, n, list, sizeof(list)), near ? " (did you mean \"" : "",
	      near ? near : "", near ? "\"?)" : "");
}

/* kubectl's copy of the whole object in an annotation, which nobody reads here. */
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

static void decode_labels(struct decode *d, const struct field *field, const struct tree_node *node,
			  void *out)
{
	struct labels *labels = out;
	size_t i;

	if (node->type != TREE_MAP) {
		expected(d, node, "a map");
		return;
	}
	labels->v = arena_array(d->scratch, node->n, sizeof(*labels->v));
	if (!labels->v) {
		d->no_memory = true;
		return;
	}
	for (i = 0; i < node->n; i++) {
		const struct tree_node *key = node->items[2 * i], *value = node->items[2 * i + 1];
		const char *text;

		if (d->lenient && !strcmp(key->text, LAST_APPLIED))
			continue;
		push(d, key->text, 0);
		if (is_checked(d, check_qualified_name))
			refuse(d, key, check_qualified_name(key->text));
		text = scalar_is_null(value) ? "" : string_of(d, value);
		if (text && is_checked(d, field->check) && *text)
			refuse(d, value, field->check(text));
		labels->v[labels->n++] = (struct label){ key->text, text ? text : "" };
		pop(d);
	}
}

size_t field_size(const struct field *field)
{
	static const size_t sizes[] = {
		[FIELD_STRING] = sizeof(char *),
		[FIELD_BOOL] = sizeof(enum maybe),
		[FIELD_INT] = sizeof(int32_t),
		[FIELD_ENUM] = sizeof(uint8_t),
		[FIELD_INT_OR_STRING] = sizeof(struct int_or_string),
		[FIELD_LABELS] = sizeof(struct labels),
		[FIELD_LIST] = sizeof(struct wire_list),
	};

	return field->type == FIELD_MAP ? field->schema->size : sizes[field->type];
}

static void decode_value(struct decode *d, const struct field *field, const struct tree_node *node,
			 void *out);

static void decode_list(struct decode *d, const struct field *field, const struct tree_node *node,
			void *out)
{
	struct wire_list *list = out;
	const size_t size = field_size(field->item);
	char limit[LIMIT_LEN];
	size_t i;

	if (node->type != TREE_LIST) {
		expected(d, node, "a list");
		return;
	}
	if (field->n_max && node->n > field->n_max) {
		fault(d, node, "%u entries: at most %u%s", node->n, field->n_max,
		      limit_name(field, limit));
		return;
	}
	list->v = arena_array(d->scratch, node->n, size);
	if (!list->v) {
		d->no_memory = true;
		return;
	}
	list->n = node->n;
	for (i = 0; i < node->n && !(d->lenient && d->errors); i++) {
		push(d, NULL, i);
		decode_value(d, field->item, node->items[i], (char *)list->v + i * size);
		pop(d);
	}
}

static void decode_nested(struct decode *d, const struct field *field, const struct tree_node *node,
			  void *out)
{
	decode_map(d, field->schema, node, out);
}

static void decode_value(struct decode *d, const struct field *field, const struct tree_node *node,
			 void *out)
{
	static void (*const decoders[])(struct decode *, const struct field *,
					const struct tree_node *, void *) = {
		[FIELD_STRING] = decode_string,
		[FIELD_BOOL] = decode_bool,
		[FIELD_INT] = decode_int,
		[FIELD_ENUM] = decode_enum,
		[FIELD_INT_OR_STRING] = decode_int_or_string,
		[FIELD_LABELS] = decode_labels,
		[FIELD_MAP] = decode_nested,
		[FIELD_LIST] = decode_list,
	};

	if (field->type != FIELD_ANY)
		decoders[field->type](d, field, node, out);
}

/* ---- maps ---------------------------------------------------------------- */

/* @return the place of the field of that name in the table, or its end */
static size_t field_index(const struct schema *schema, const char *name)
{
	size_t i;

	for (i = 0; i < schema->n; i++) {
		const char *field = schema->fields[i].name;

		/* Most differ in their first letter: this is what decoding does most often. */
		if (field[0] == name[0] && !strcmp(field, name))
			break;
	}
	return i;
}

const struct field *schema_field(const struct schema *schema, const char *name)
{
	const size_t at = field_index(schema, name);

	return at < schema->n ? &schema->fields[at] : NULL;
}

/* @return the place of the field that was meant, or the table's end */
static size_t unknown_field(struct decode *d, const struct schema *schema,
			    const struct tree_node *key)
{
	const char *names[FIELDS_MAX], *near;
	size_t i;

	for (i = 0; i < schema->n; i++)
		names[i] = schema->fields[i].name;
	near = nearest_word(key->text, names, schema->n);
	push(d, key->text, 0);
	if (near)
		fault(d, key, "unknown field (did you mean \"%s\"?)", near);
	else
		fault(d, key, "unknown field: %s has none of that name", schema->name);
	pop(d);
	return near ? field_index(schema, near) : schema->n;
}

static void check_required(struct decode *d, const struct schema *schema,
			   const struct tree_node *node, uint64_t seen)
{
	size_t i;

	for (i = 0; i < schema->n; i++) {
		if (!(schema->fields[i].flags & FIELD_REQUIRED) || seen >> i & 1)
			continue;
		push(d, schema->fields[i].name, 0);
		fault(d, node, "required, but missing");
		pop(d);
	}
}

void decode_map(struct decode *d, const struct schema *schema, const struct tree_node *node,
		void *out)
{
	uint64_t seen = 0;
	size_t i, at;

	if (node->type != TREE_MAP) {
		expected(d, node, "a map");
		return;
	}
	for (i = 0; i < node->n; i++) {
		const struct tree_node *key = node->items[2 * i], *value = node->items[2 * i + 1];
		const struct field *field;

		at = field_index(schema, key->text);
		if (at == schema->n && d->lenient)
			continue;
		if (at == schema->n) {
			/* One slip, one error: what was meant isn't reported as missing too. */
			at = unknown_field(d, schema, key);
			if (at < schema->n)
				seen |= 1ull << at;
			continue;
		}
		/* null is what the API writes, and reads, for absent */
		if (scalar_is_null(value))
			continue;
		field = &schema->fields[at];
		seen |= 1ull << at;
		push(d, field->name, 0);
		decode_value(d, field, value, (char *)out + field->offset);
		pop(d);
	}
	check_required(d, schema, node, seen);
}

/* ---- keeping ------------------------------------------------------------- */

/* Where a copy of @text would be: nodes, zones and names are the same all over an object. */
static const char **kept_place(struct decode *d, const char *text)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return &d->kept[(hash ^ hash >> 16) % DECODE_KEPT];
}

const char *keep_string(struct decode *d, const char *text)
{
	const char **kept, *copy;

	if (!text || !*text)
		return "";
	kept = kept_place(d, text);
	if (*kept && !strcmp(*kept, text))
		return *kept;
	copy = arena_strdup(d->arena, text);
	if (!copy) {
		d->no_memory = true;
		return "";
	}
	*kept = copy;
	return copy;
}

void *keep_array(struct decode *d, size_t n, size_t size, size_t *n_out)
{
	void *v = n ? arena_array(d->arena, n, size) : NULL;

	if (n && !v)
		d->no_memory = true;
	*n_out = v ? n : 0;
	return v;
}

struct labels keep_labels(struct decode *d, const struct labels *labels)
{
	struct labels copy;
	size_t i;

	copy.v = keep_array(d, labels->n, sizeof(*copy.v), &copy.n);
	for (i = 0; i < copy.n; i++) {
		copy.v[i].key = keep_string(d, labels->v[i].key);
		copy.v[i].value = keep_string(d, labels->v[i].value);
	}
	return copy;
}

struct strings keep_strings(struct decode *d, const struct wire_list *list)
{
	const char *const *v = list->v;
	struct strings copy;
	size_t i;

	copy.v = keep_array(d, list->n, sizeof(*copy.v), &copy.n);
	for (i = 0; i < copy.n; i++)
		copy.v[i] = keep_string(d, v[i]);
	return copy;
}
