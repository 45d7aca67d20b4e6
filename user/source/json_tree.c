/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Recursive descent over the text; how deep is bounded. Each value comes with
 * the field that it is of: without one it is passed over. Finished nodes wait
 * in one pending vector, from whose end a closing map or list takes its own.
 */
#include "source/json_tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shunt/limits.h"
#include "source/diag.h"

/* Below that many keys comparing each with each is cheaper than sorting. */
#define FEW_KEYS 16
/* No field of any table has a name so long, escapes included. */
#define KEY_MAX	 128

struct reader {
	const struct json_text *json;
	const char *at, *end;
	struct arena *arena;
	struct err *err;
	struct tree_stack pending;
	size_t n_nodes;
	unsigned int depth;
};

/* A string of the text, its quotes left out. */
struct token {
	const char *text;
	size_t len;
	bool escaped; /* it holds a backslash */
	bool ascii;
};

static int read_value(struct reader *r, const struct field *field);

__attribute__((format(printf, 2, 3))) static int fault(struct reader *r, const char *fmt, ...)
{
	char text[2 * QUOTE_LEN];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return err_input(r->err, -EINVAL, "%s: not JSON: byte %zu: %s", r->json->name,
			 (size_t)(r->at - r->json->text), text);
}

/* The next byte after blanks, 0 at the end; it stays there. */
static char peek(struct reader *r)
{
	while (r->at < r->end &&
	       (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
		r->at++;
	return r->at < r->end ? *r->at : '\0';
}

static int unexpected(struct reader *r, const char *wanted)
{
	if (r->at >= r->end)
		return fault(r, "the text ends where %s should be", wanted);
	if ((unsigned char)*r->at <= ' ' || (unsigned char)*r->at >= 0x7f)
		return fault(r, "expected %s, found the byte 0x%02x", wanted,
			     (unsigned int)(unsigned char)*r->at);
	return fault(r, "expected %s, found '%c'", wanted, *r->at);
}

/* ---- strings ------------------------------------------------------------- */

/* Find the end of the string whose opening quote is next. */
static int scan_string(struct reader *r, struct token *out)
{
	const char *at = r->at + 1;
	unsigned char high = 0;

	*out = (struct token){ .text = at };
	for (; at < r->end && *at != '"'; at++) {
		const unsigned char c = (unsigned char)*at;

		high |= c;
		if (c == '\\') {
			out->escaped = true;
			at += r->end - at > 1; /* what it escapes may be a quote */
		} else if (c < ' ') {
			r->at = at;
			return fault(r, "a control character (0x%02x) in a string", c);
		}
	}
	if (at >= r->end) {
		r->at = r->end;
		return fault(r, "the text ends inside a string");
	}
	out->len = (size_t)(at - out->text);
	out->ascii = !(high & 0x80);
	r->at = at + 1;
	return 0;
}

/* @return the value of the four hexadecimal digits at @at, or -1 */
static long hex4(const char *at, const char *end)
{
	char digits[5] = { 0 }, *stop;
	long value;

	if (end - at < 4)
		return -1;
	memcpy(digits, at, 4);
	value = strtol(digits, &stop, 16);
	/* strtol() takes signs and blanks too. */
	return stop == digits + 4 && digits[strspn(digits, "0123456789abcdefABCDEF")] == '\0'
		       ? value
		       : -1;
}

static size_t put_utf8(char *to, unsigned long code)
{
	if (code < 0x80) {
		to[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		to[0] = (char)(0xc0 | code >> 6);
		to[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		to[0] = (char)(0xe0 | code >> 12);
		to[1] = (char)(0x80 | (code >> 6 & 0x3f));
		to[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | code >> 18);
	to[1] = (char)(0x80 | (code >> 12 & 0x3f));
	to[2] = (char)(0x80 | (code >> 6 & 0x3f));
	to[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* Read what follows "\u", a second one where the first asks for it. @return 0 or -1 */
static int read_code(const char **at, const char *end, unsigned long *out)
{
	const long high = hex4(*at, end);
	long low;

	*at += 4;
	if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff))
		return -1;
	*out = (unsigned long)high;
	if (high < 0xd800 || high > 0xdbff)
		return 0;
	if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return -1;
	low = hex4(*at + 2, end);
	*at += 6;
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	*out = 0x10000 + (((unsigned long)high - 0xd800) << 10) + ((unsigned long)low - 0xdc00);
	return 0;
}

/* Copy @token to @to, which has room for it, with its escapes undone. @return the length, or -1 */
static ssize_t unescape(const struct token *token, char *to)
{
	static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *at = token->text, *const end = at + token->len;
	unsigned long code;
	size_t len = 0;

	while (at < end) {
		const char *name;

		if (*at != '\\') {
			to[len++] = *at++;
			continue;
		}
		at++;
		name = *at ? strchr(names, *at) : NULL;
		if (!name && *at != 'u')
			return -1;
		at++;
		if (name) {
			to[len++] = meanings[name - names];
		} else {
			if (read_code(&at, end, &code))
				return -1;
			len += put_utf8(to + len, code);
		}
	}
	return (ssize_t)len;
}

/* @return how many bytes the UTF-8 sequence at @at has, 0 where it is none */
static size_t utf8_len(const unsigned char *at, size_t left)
{
	const size_t n = at[0] < 0x80	? 1
			 : at[0] < 0xc2 ? 0
			 : at[0] < 0xe0 ? 2
			 : at[0] < 0xf0 ? 3
					: 4;
	size_t i;

	if (!n || n > left || at[0] > 0xf4)
		return 0;
	for (i = 1; i < n; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, a surrogate, beyond Unicode. */
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return n;
}

static bool is_utf8(const char *text, size_t len)
{
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = utf8_len((const unsigned char *)text + i, len - i);
		if (!n)
			return false;
	}
	return true;
}

/* ---- nodes --------------------------------------------------------------- */

static struct tree_node *node_new(struct reader *r, enum tree_type type, size_t extra)
{
	struct tree_node *node = arena_alloc(r->arena, sizeof(*node) + extra);

	if (node)
		node->type = (uint8_t)type;
	return node;
}

static int push(struct reader *r, struct tree_node *node)
{
	if (!node)
		return -ENOMEM;
	if (++r->n_nodes > SH_MANIFEST_NODES_MAX)
		return fault(r, "too many values: at most SH_MANIFEST_NODES_MAX (%u)",
			     SH_MANIFEST_NODES_MAX);
	return tree_push(&r->pending, node);
}

/* A scalar with room for its text behind it; an escape is never shorter than what it means. */
static int push_string(struct reader *r, const struct token *token)
{
	struct tree_node *node;
	ssize_t len = (ssize_t)token->len;
	char *text;

	if (token->len > SH_SCALAR_BYTES_MAX)
		return fault(
			r, "the string before is too long: at most SH_SCALAR_BYTES_MAX (%u) bytes",
			SH_SCALAR_BYTES_MAX);
	if (!token->ascii && !is_utf8(token->text, token->len))
		return fault(r, "invalid UTF-8 in the string before");
	node = node_new(r, TREE_SCALAR, token->len + 1);
	if (!node)
		return -ENOMEM;
	text = (char *)(node + 1);
	if (token->escaped)
		len = unescape(token, text);
	else
		memcpy(text, token->text, token->len);
	if (len < 0)
		return fault(r, "an escape that is none, or a NUL character, in the string before");
	text[len] = '\0';
	node->text = text;
	node->n = (uint32_t)len;
	return push(r, node);
}

/* A number, true, false or null: its text says which, as in YAML. */
static int push_plain(struct reader *r, const char *text, size_t len)
{
	struct tree_node *node;

	if (len > SH_SCALAR_BYTES_MAX)
		return fault(
			r, "the number before is too long: at most SH_SCALAR_BYTES_MAX (%u) bytes",
			SH_SCALAR_BYTES_MAX);
	node = node_new(r, TREE_SCALAR, len + 1);
	if (!node)
		return -ENOMEM;
	node->text = memcpy(node + 1, text, len);
	node->n = (uint32_t)len;
	node->plain = true;
	return push(r, node);
}

/* The key of a field: the table's own text does. */
static int push_key(struct reader *r, const struct field *field)
{
	struct tree_node *node = node_new(r, TREE_SCALAR, 0);

	if (!node)
		return -ENOMEM;
	node->text = field->name;
	node->n = (uint32_t)strlen(field->name);
	return push(r, node);
}

/* What is pending from @first on becomes one node: a list's items, a map's pairs. */
static int close_node(struct reader *r, enum tree_type type, size_t first)
{
	const size_t n = r->pending.n - first;
	struct tree_node *node = node_new(r, type, 0);

	if (!node)
		return -ENOMEM;
	node->n = (uint32_t)(type == TREE_MAP ? n / 2 : n);
	node->items = arena_array(r->arena, n, sizeof(struct tree_node *));
	if (!node->items)
		return -ENOMEM;
	if (n)
		memcpy(node->items, &r->pending.v[first], n * sizeof(struct tree_node *));
	r->pending.n = first;
	return push(r, node);
}

/* ---- numbers and words --------------------------------------------------- */

static const char *digits(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?  @return its end, or NULL */
static const char *number_end(const char *at, const char *end)
{
	const char *first;

	at += at < end && *at == '-';
	first = at;
	at = digits(at, end);
	if (at == first || (*first == '0' && at > first + 1))
		return NULL;
	if (at < end && *at == '.') {
		first = ++at;
		at = digits(at, end);
		if (at == first)
			return NULL;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		at += at < end && (*at == '-' || *at == '+');
		first = at;
		at = digits(at, end);
		if (at == first)
			return NULL;
	}
	return at;
}

static const char *word_end(const char *at, const char *end)
{
	static const char *const words[] = { "true", "false", "null" };
	size_t i;

	for (i = 0; i < FIELD_COUNT(words); i++) {
		const size_t len = strlen(words[i]);

		if ((size_t)(end - at) >= len && !memcmp(at, words[i], len))
			return at + len;
	}
	return NULL;
}

static int read_plain(struct reader *r, const struct field *field)
{
	const char *first = r->at, *last;
	const bool number = first < r->end && (*first == '-' || (*first >= '0' && *first <= '9'));

	last = number ? number_end(first, r->end) : word_end(first, r->end);
	if (!last)
		return number ? fault(r, "a number that is none") : unexpected(r, "a value");
	r->at = last;
	return field ? push_plain(r, first, (size_t)(last - first)) : 0;
}

/* ---- lists and maps ------------------------------------------------------ */

/* Go past the opening bracket. *empty_out: the closing one was next, and is gone too. */
static int enter(struct reader *r, char close, bool *empty_out)
{
	if (r->depth == SH_MANIFEST_DEPTH_MAX)
		return fault(r, "nested too deep: at most SH_MANIFEST_DEPTH_MAX (%u) levels",
			     (unsigned int)SH_MANIFEST_DEPTH_MAX);
	r->depth++;
	r->at++;
	*empty_out = peek(r) == close;
	if (*empty_out) {
		r->at++;
		r->depth--;
	}
	return 0;
}

/* After a value. @return 1: another one follows; 0: that was the last; -EINVAL */
static int next(struct reader *r, char close)
{
	const char c = peek(r);

	if (c != ',' && c != close)
		return unexpected(r, close == ']' ? "',' or ']'" : "',' or '}'");
	r->at++;
	if (c == ',')
		return 1;
	r->depth--;
	return 0;
}

static int read_list(struct reader *r, const struct field *field)
{
	/* Where no list should be it is told by its type alone. */
	const struct field *item = field && field->type == FIELD_LIST ? field->item : NULL;
	const size_t first = r->pending.n;
	bool empty;
	int ret = enter(r, ']', &empty);

	if (ret)
		return ret;
	while (!empty) {
		ret = read_value(r, item);
		if (ret)
			return ret;
		ret = next(r, ']');
		if (ret < 0)
			return ret;
		empty = !ret;
	}
	return field ? close_node(r, TREE_LIST, first) : 0;
}

static int duplicate(struct reader *r, const char *key)
{
	char quoted[QUOTE_LEN];

	return fault(r, "the key %s stands there twice", quote(key, quoted));
}

static int read_key(struct reader *r, struct token *key)
{
	int ret;

	if (peek(r) != '"')
		return unexpected(r, "a key, in double quotes");
	ret = scan_string(r, key);
	if (ret)
		return ret;
	if (peek(r) != ':')
		return unexpected(r, "':'");
	r->at++;
	return 0;
}

/* @return the field of that name; one that isn't looked into is as good as none */
static const struct field *key_field(const struct schema *schema, const struct token *key)
{
	char name[KEY_MAX];
	const struct field *field;
	ssize_t len = (ssize_t)key->len;

	if (key->len >= KEY_MAX)
		return NULL;
	if (key->escaped)
		len = unescape(key, name);
	else
		memcpy(name, key->text, key->len);
	if (len < 0)
		return NULL;
	name[len] = '\0';
	field = schema_field(schema, name);
	return field && field->type != FIELD_ANY ? field : NULL;
}

/* A pair of a map of @schema, NULL: of one that is passed over. @seen: its fields so far */
static int read_pair(struct reader *r, const struct schema *schema, uint64_t *seen)
{
	const struct field *field = NULL;
	struct token key = { .text = "" };
	int ret = read_key(r, &key);

	if (ret)
		return ret;
	if (schema)
		field = key_field(schema, &key);
	if (!field)
		return read_value(r, NULL);
	if (*seen >> (field - schema->fields) & 1)
		return duplicate(r, field->name);
	*seen |= 1ull << (field - schema->fields);
	ret = push_key(r, field);
	return ret ? ret : read_value(r, field);
}

/* A pair of labels: any key, and a value of which the decoder says what it may be. */
static int read_label(struct reader *r)
{
	struct token key = { .text = "" };
	int ret = read_key(r, &key);

	if (!ret)
		ret = push_string(r, &key);
	return ret ? ret : read_value(r, &field_string_item);
}

static int key_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_many_keys(struct reader *r, struct tree_node **pairs, size_t n)
{
	const char **keys = reallocarray(NULL, n, sizeof(*keys));
	size_t i;
	int ret = 0;

	if (!keys)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		keys[i] = pairs[2 * i]->text;
	qsort(keys, n, sizeof(*keys), key_order);
	for (i = 1; !ret && i < n; i++) {
		if (!strcmp(keys[i - 1], keys[i]))
			ret = duplicate(r, keys[i]);
	}
	free(keys);
	return ret;
}

static int check_keys(struct reader *r, struct tree_node **pairs, size_t n)
{
	size_t i, j;

	if (n > FEW_KEYS)
		return check_many_keys(r, pairs, n);
	for (i = 1; i < n; i++) {
		for (j = 0; j < i; j++) {
			if (!strcmp(pairs[2 * j]->text, pairs[2 * i]->text))
				return duplicate(r, pairs[2 * i]->text);
		}
	}
	return 0;
}

static int read_map(struct reader *r, const struct field *field)
{
	const struct schema *schema = field && field->type == FIELD_MAP ? field->schema : NULL;
	const bool labels = field && field->type == FIELD_LABELS;
	const size_t first = r->pending.n;
	uint64_t seen = 0;
	bool empty;
	int ret = enter(r, '}', &empty);

	if (ret)
		return ret;
	while (!empty) {
		ret = labels ? read_label(r) : read_pair(r, schema, &seen);
		if (ret)
			return ret;
		ret = next(r, '}');
		if (ret < 0)
			return ret;
		empty = !ret;
	}
	if (labels)
		ret = check_keys(r, &r->pending.v[first], (r->pending.n - first) / 2);
	if (ret)
		return ret;
	return field ? close_node(r, TREE_MAP, first) : 0;
}

/* ---- values -------------------------------------------------------------- */

static int read_value(struct reader *r, const struct field *field)
{
	struct token token = { 0 };
	int ret;

	switch (peek(r)) {
	case '{':
		return read_map(r, field);
	case '[':
		return read_list(r, field);
	case '"':
		ret = scan_string(r, &token);
		if (ret || !field)
			return ret;
		return push_string(r, &token);
	default:
		return read_plain(r, field);
	}
}

int json_tree_read(const struct json_text *json, const struct schema *schema, struct arena *arena,
		   const struct tree_node **root_out, struct err *err)
{
	const struct field field = { .type = FIELD_MAP, .schema = schema };
	struct reader r = { .json = json,
			    .at = json->text,
			    .end = json->text + json->len,
			    .arena = arena,
			    .err = err };
	int ret = read_value(&r, &field);

	/* The next byte may be a NUL, which peek() takes for the end. */
	if (!ret && (peek(&r) || r.at < r.end))
		ret = unexpected(&r, "the end");
	if (!ret)
		*root_out = r.pending.v[0];
	free(r.pending.v);
	return ret;
}
