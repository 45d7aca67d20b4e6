/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libyaml's events drive a stack of frames, one for each map or list that is
 * open. Finished nodes wait in one pending vector; closing a container takes
 * its children from the vector's end into the document's arena.
 *
 *   frames    [ document ][ map, first 1 ][ list, first 4 ]
 *   pending   root          key val key     item item ...
 */
#include "source/tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "shunt/limits.h"
#include "source/path.h"
#include "util/arena.h"

/* Below that many keys comparing each with each is cheaper than sorting. */
#define FEW_KEYS	16
/* No manifest needs more; they bound what a hostile one can make of its bytes. */
#define MERGED_KEYS_MAX 1024u
#define ANCHORS_MAX	65536u
#define ANCHOR_BUCKETS	1024

struct anchor {
	struct anchor *next;
	const char *name;
	struct tree_node *node; /* NULL: its container is still open */
	uint64_t weight;	/* values in it, aliases expanded */
	unsigned int height;	/* containers in it, one in the other */
};

struct frame {
	struct tree_node *node;
	struct anchor *anchor; /* NULL: none */
	size_t first;	       /* of its children, in pending */
	uint64_t weight_before;
	unsigned int height; /* of its highest child */
};

struct tree_reader {
	const char *file, *text;
	size_t len;
	struct diags *diags;
	yaml_parser_t parser;
	bool parser_ready, failed;
	/* of the document being read */
	struct arena *arena;
	struct anchor *anchors[ANCHOR_BUCKETS]; /* by their names' hash, the newest first */
	size_t n_anchors;
	uint64_t weight;
	struct frame frames[SH_MANIFEST_DEPTH_MAX];
	size_t depth;
	struct tree_stack pending;
};

struct tree_reader *tree_reader_new(const char *file, const char *text, size_t len,
				    struct diags *diags)
{
	struct tree_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	*r = (struct tree_reader){ .file = file, .text = text, .len = len, .diags = diags };
	if (!yaml_parser_initialize(&r->parser)) {
		tree_reader_free(r);
		return NULL;
	}
	r->parser_ready = true;
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
	return r;
}

void tree_reader_free(struct tree_reader *r)
{
	if (!r)
		return;
	if (r->parser_ready)
		yaml_parser_delete(&r->parser);
	arena_free(r->arena);
	free(r->pending.v);
	free(r);
}

const struct tree_node *tree_get(const struct tree_node *map, const char *key)
{
	size_t i;

	for (i = 0; map->type == TREE_MAP && i < map->n; i++) {
		if (!strcmp(map->items[2 * i]->text, key))
			return map->items[2 * i + 1];
	}
	return NULL;
}

/* ---- what is wrong ------------------------------------------------------ */

static struct origin origin_of(const struct tree_reader *r, yaml_mark_t mark)
{
	return (struct origin){ .file = r->file,
				.line = (unsigned int)mark.line + 1,
				.column = (unsigned int)mark.column + 1 };
}

static struct origin node_origin(const struct tree_reader *r, const struct tree_node *node)
{
	return (struct origin){ .file = r->file, .line = node->line, .column = node->column };
}

/* The path of the node being read; with @last, of the one of that key in it. */
static const char *here(const struct tree_reader *r, const struct tree_node *last,
			char buf[static PATH_LEN])
{
	struct path_step steps[SH_MANIFEST_DEPTH_MAX + 1];
	size_t i, n = 0;

	for (i = 0; i < r->depth; i++) {
		const struct frame *frame = &r->frames[i];
		const size_t end = i + 1 < r->depth ? r->frames[i + 1].first : r->pending.n;
		const size_t children = end - frame->first;

		if (frame->node->type == TREE_LIST)
			steps[n++] = (struct path_step){ .index = children };
		else if (children % 2)
			steps[n++] = (struct path_step){ .key = r->pending.v[end - 1]->text };
	}
	if (last)
		steps[n++] = (struct path_step){ .key = last->text };
	return path_format(steps, n, buf);
}

__attribute__((format(printf, 3, 4))) static int fault(struct tree_reader *r, yaml_mark_t mark,
						       const char *fmt, ...)
{
	const struct origin at = origin_of(r, mark);
	char path[PATH_LEN], text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	diag_error(r->diags, &at, here(r, NULL, path), "%s", text);
	return -EINVAL;
}

/* A byte that libyaml's reader refuses has an offset only. */
static yaml_mark_t mark_of_offset(const struct tree_reader *r, size_t offset)
{
	yaml_mark_t mark = { .index = offset };
	size_t i;

	for (i = 0; i < offset && i < r->len; i++) {
		mark.column++;
		if (r->text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if (((unsigned char)r->text[i] & 0xc0) == 0x80) {
			mark.column--;
		}
	}
	return mark;
}

static int reader_fault(struct tree_reader *r)
{
	const struct origin at = origin_of(r, mark_of_offset(r, r->parser.problem_offset));

	if (!strcmp(r->parser.problem, "control characters are not allowed"))
		diag_error(r->diags, &at, "", "a control character (0x%02x): this is not a text",
			   (unsigned int)r->parser.problem_value);
	else
		diag_error(r->diags, &at, "", "invalid UTF-8 (%s): manifests are UTF-8 text",
			   r->parser.problem);
	return -EINVAL;
}

/* The byte where @mark is, 0 at the end. */
static char byte_at(const struct tree_reader *r, yaml_mark_t mark)
{
	const char *at = r->text, *const end = r->text + r->len;
	size_t line, column;

	for (line = 0; line < mark.line && at; line++) {
		at = memchr(at, '\n', (size_t)(end - at));
		at = at ? at + 1 : NULL;
	}
	for (column = 0; at && at < end; at++) {
		if (((unsigned char)*at & 0xc0) == 0x80)
			continue;
		if (column++ == mark.column)
			return *at;
	}
	return 0;
}

/* libyaml's words for the commonest slips name a token, not the mistake. */
static const char *clear_words(const struct tree_reader *r)
{
	static const struct {
		const char *theirs, *ours;
	} words[] = {
		{ "did not find expected key", "expected a key here: is the indentation that of "
					       "the keys above, or a quote open?" },
		{ "did not find expected '-' indicator",
		  "expected \"- \" here: is the indentation that of the list's other entries?" },
		{ "mapping values are not allowed in this context",
		  "a \": \" is not allowed here: is the indentation right, or a quote missing?" },
		{ "could not find expected ':'", "this key has no \":\" after it" },
		{ "did not find expected ',' or '}'", "expected \",\" or \"}\"" },
		{ "did not find expected ',' or ']'", "expected \",\" or \"]\"" },
		{ "found unexpected end of stream", "the text ends inside a quoted string" },
		{ "found character that cannot start any token",
		  "no value can begin with this character: put the value in quotes" },
		{ "did not find expected node content", "expected a value here" },
	};
	const char *problem = r->parser.problem ? r->parser.problem : "not YAML";
	size_t i;

	if (byte_at(r, r->parser.problem_mark) == '\t')
		return "a tab: YAML is indented with spaces only";
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(problem, words[i].theirs))
			return words[i].ours;
	}
	return problem;
}

/* Nothing but blanks from @mark on: the document was cut off. */
static bool at_end(const struct tree_reader *r, yaml_mark_t mark)
{
	const char *last = r->text + r->len;
	size_t lines = 0;

	while (last > r->text && strchr(" \t\r\n", last[-1]))
		last--;
	for (; last > r->text; last--)
		lines += last[-1] == '\n';
	return mark.line > lines;
}

static int syntax_fault(struct tree_reader *r)
{
	const yaml_parser_t *parser = &r->parser;
	const struct origin at = origin_of(r, parser->problem_mark);
	const char *cut = at_end(r, parser->problem_mark) ? "; the document is cut off" : "";

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR)
		return reader_fault(r);
	if (parser->context && parser->context_mark.line != parser->problem_mark.line)
		diag_error(r->diags, &at, "", "%s (%s that begins at line %zu)%s", clear_words(r),
			   parser->context, parser->context_mark.line + 1, cut);
	else
		diag_error(r->diags, &at, "", "%s%s", clear_words(r), cut);
	return -EINVAL;
}

/* ---- building ----------------------------------------------------------- */

/* Count @weight more values, an alias's at once: this is what stops a YAML bomb. */
static int count(struct tree_reader *r, uint64_t weight, yaml_mark_t mark)
{
	r->weight += weight;
	if (r->weight <= SH_MANIFEST_NODES_MAX)
		return 0;
	return fault(r, mark,
		     "too many values in one document, aliases expanded: at most "
		     "SH_MANIFEST_NODES_MAX (%u)",
		     SH_MANIFEST_NODES_MAX);
}

static int check_depth(struct tree_reader *r, unsigned int height, yaml_mark_t mark)
{
	if (r->depth + height <= SH_MANIFEST_DEPTH_MAX)
		return 0;
	return fault(r, mark, "nested too deep: at most SH_MANIFEST_DEPTH_MAX (%u) levels",
		     (unsigned int)SH_MANIFEST_DEPTH_MAX);
}

int tree_push(struct tree_stack *stack, struct tree_node *node)
{
	if (stack->n == stack->cap) {
		const size_t cap = stack->cap ? 2 * stack->cap : 256;
		struct tree_node **longer = reallocarray(stack->v, cap, sizeof(*longer));

		if (!longer)
			return -ENOMEM;
		stack->v = longer;
		stack->cap = cap;
	}
	stack->v[stack->n++] = node;
	return 0;
}

/* Is the next node of the innermost map a key? */
static bool wants_key(const struct tree_reader *r)
{
	const struct frame *top = r->depth ? &r->frames[r->depth - 1] : NULL;

	return top && top->node->type == TREE_MAP && !((r->pending.n - top->first) % 2);
}

static struct tree_node *node_new(struct tree_reader *r, enum tree_type type, yaml_mark_t mark,
				  size_t extra)
{
	struct tree_node *node = arena_alloc(r->arena, sizeof(*node) + extra);

	if (!node)
		return NULL;
	node->type = (uint8_t)type;
	node->line = (uint32_t)mark.line + 1;
	node->column = (uint32_t)mark.column + 1;
	return node;
}

static struct anchor **anchor_bucket(struct tree_reader *r, const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return &r->anchors[hash % ANCHOR_BUCKETS];
}

/* Remember @name, if there is one. *out is NULL without a name. */
static int anchor_add(struct tree_reader *r, const char *name, yaml_mark_t mark,
		      struct anchor **out)
{
	struct anchor *anchor, **bucket;

	*out = NULL;
	if (!name)
		return 0;
	if (++r->n_anchors > ANCHORS_MAX)
		return fault(r, mark, "too many anchors (&) in one document: at most %u",
			     ANCHORS_MAX);
	anchor = arena_alloc(r->arena, sizeof(*anchor));
	if (!anchor)
		return -ENOMEM;
	anchor->name = arena_strdup(r->arena, name);
	if (!anchor->name)
		return -ENOMEM;
	bucket = anchor_bucket(r, name);
	anchor->next = *bucket;
	*bucket = anchor;
	*out = anchor;
	return 0;
}

/* Whether the tag leaves a plain scalar's meaning to its look; !!str and "!" don't. */
static int scalar_tag(struct tree_reader *r, const yaml_event_t *event, bool *plain_out)
{
	static const char core[] = "tag:yaml.org,2002:";
	static const char *const others[] = { "int", "bool", "float", "null", "timestamp" };
	const char *tag = (const char *)event->data.scalar.tag;
	size_t i;

	*plain_out = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (!tag)
		return 0;
	if (!strcmp(tag, "!") || !strcmp(tag, YAML_STR_TAG)) {
		*plain_out = false;
		return 0;
	}
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (!strncmp(tag, core, strlen(core)) && !strcmp(tag + strlen(core), others[i])) {
			*plain_out = true;
			return 0;
		}
	}
	return fault(r, event->start_mark, "a tag that no Kubernetes manifest may have");
}

static int on_scalar(struct tree_reader *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const size_t len = event->data.scalar.length;
	struct anchor *anchor;
	struct tree_node *node;
	bool plain;
	int ret;

	if (len > SH_SCALAR_BYTES_MAX)
		return fault(r, event->start_mark,
			     "the value is too long: at most SH_SCALAR_BYTES_MAX (%u) bytes",
			     SH_SCALAR_BYTES_MAX);
	if (memchr(text, '\0', len))
		return fault(r, event->start_mark, "the value holds a NUL character");
	ret = scalar_tag(r, event, &plain);
	if (ret)
		return ret;
	ret = count(r, 1, event->start_mark);
	if (ret)
		return ret;
	node = node_new(r, TREE_SCALAR, event->start_mark, len + 1);
	if (!node)
		return -ENOMEM;
	node->text = memcpy(node + 1, text, len);
	node->n = (uint32_t)len;
	node->plain = plain;
	ret = anchor_add(r, (const char *)event->data.scalar.anchor, event->start_mark, &anchor);
	if (ret)
		return ret;
	if (anchor) {
		anchor->node = node;
		anchor->weight = 1;
	}
	return tree_push(&r->pending, node);
}

static int on_alias(struct tree_reader *r, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	const struct anchor *anchor;
	struct frame *top;
	int ret;

	for (anchor = *anchor_bucket(r, name); anchor; anchor = anchor->next) {
		if (!strcmp(anchor->name, name))
			break;
	}
	if (!anchor)
		return fault(r, event->start_mark,
			     "an alias (*) of an anchor (&) that isn't there");
	if (!anchor->node)
		return fault(r, event->start_mark, "an alias inside of its own anchor");
	if (wants_key(r) && anchor->node->type != TREE_SCALAR)
		return fault(r, event->start_mark, "a key must be a plain word or a string");
	ret = count(r, anchor->weight, event->start_mark);
	if (ret)
		return ret;
	ret = check_depth(r, anchor->height, event->start_mark);
	if (ret)
		return ret;
	top = r->depth ? &r->frames[r->depth - 1] : NULL;
	if (top && top->height < anchor->height)
		top->height = anchor->height;
	return tree_push(&r->pending, anchor->node);
}

static int on_start(struct tree_reader *r, const yaml_event_t *event)
{
	const bool map = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *name =
		map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	struct frame *frame = &r->frames[r->depth];
	int ret;

	if (wants_key(r))
		return fault(r, event->start_mark, "a key must be a plain word or a string");
	ret = check_depth(r, 1, event->start_mark);
	if (ret)
		return ret;
	*frame = (struct frame){ .first = r->pending.n, .weight_before = r->weight };
	ret = count(r, 1, event->start_mark);
	if (ret)
		return ret;
	frame->node = node_new(r, map ? TREE_MAP : TREE_LIST, event->start_mark, 0);
	if (!frame->node)
		return -ENOMEM;
	ret = anchor_add(r, (const char *)name, event->start_mark, &frame->anchor);
	if (ret)
		return ret;
	r->depth++;
	return 0;
}

/* ---- closing a map: duplicate keys, merge keys --------------------------- */

static bool is_merge(const struct tree_node *key)
{
	return key->plain && !strcmp(key->text, "<<");
}

static void report_duplicate(struct tree_reader *r, const struct tree_node *first,
			     const struct tree_node *second)
{
	const struct origin at = node_origin(r, second);
	char path[PATH_LEN];

	diag_error(r->diags, &at, here(r, second, path), "duplicate key, first at line %u",
		   first->line);
}

static int key_order(const void *a, const void *b)
{
	const struct tree_node *x = **(struct tree_node * *const *)a;
	const struct tree_node *y = **(struct tree_node * *const *)b;
	const int order = strcmp(x->text, y->text);

	/* Of equal keys the one that stands first comes first. */
	if (order)
		return order;
	return *(struct tree_node * *const *)a < *(struct tree_node * *const *)b ? -1 : 1;
}

static int check_many_keys(struct tree_reader *r, struct tree_node **pairs, size_t n)
{
	struct tree_node ***sorted = reallocarray(NULL, n, sizeof(*sorted));
	size_t i;

	if (!sorted)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		sorted[i] = &pairs[2 * i];
	qsort(sorted, n, sizeof(*sorted), key_order);
	for (i = 1; i < n; i++) {
		if (!strcmp((*sorted[i - 1])->text, (*sorted[i])->text))
			report_duplicate(r, *sorted[i - 1], *sorted[i]);
	}
	free(sorted);
	return 0;
}

/* With the map's frame already gone, so that here() is the map's own path. */
static int check_keys(struct tree_reader *r, struct tree_node **pairs, size_t n)
{
	size_t i, j;

	if (n > FEW_KEYS)
		return check_many_keys(r, pairs, n);
	for (i = 1; i < n; i++) {
		for (j = 0; j < i; j++) {
			const struct tree_node *a = pairs[2 * j], *b = pairs[2 * i];

			if (a->n == b->n && !memcmp(a->text, b->text, a->n)) {
				report_duplicate(r, a, b);
				break;
			}
		}
	}
	return 0;
}

/* Append the pairs of @from to @map, but those whose key is there. */
static void merge_map(struct tree_node *map, const struct tree_node *from)
{
	const uint32_t n = from->n;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (tree_get(map, from->items[2 * i]->text))
			continue;
		map->items[2 * map->n] = from->items[2 * i];
		map->items[2 * map->n + 1] = from->items[2 * i + 1];
		map->n++;
	}
}

/* Pairs that a merge key's value can bring, or a fault. */
static int merge_size(struct tree_reader *r, const struct tree_node *value, size_t *size_out)
{
	const yaml_mark_t mark = { .line = value->line - 1, .column = value->column - 1 };
	size_t i, size = 0;

	if (value->type == TREE_MAP)
		size = value->n;
	else if (value->type != TREE_LIST)
		return fault(r, mark, "the value of << must be a map or a list of maps");
	for (i = 0; value->type == TREE_LIST && i < value->n; i++) {
		if (value->items[i]->type != TREE_MAP)
			return fault(r, mark, "the value of << must be a map or a list of maps");
		size += value->items[i]->n;
	}
	*size_out = size;
	return 0;
}

/* Replace the pair "<<: value" of @map by the pairs that it stands for. */
static int merge_keys(struct tree_reader *r, struct tree_node *map, size_t at)
{
	struct tree_node *value = map->items[2 * at + 1], **items;
	const yaml_mark_t mark = { .line = value->line - 1, .column = value->column - 1 };
	size_t extra = 0, i;
	int ret;

	ret = merge_size(r, value, &extra);
	if (ret)
		return ret;
	if (map->n + extra > MERGED_KEYS_MAX)
		return fault(r, mark, "too many keys to merge by <<: at most %u", MERGED_KEYS_MAX);
	items = arena_array(r->arena, 2 * (map->n + extra), sizeof(struct tree_node *));
	if (!items)
		return -ENOMEM;
	memcpy(items, map->items, 2 * at * sizeof(struct tree_node *));
	memcpy(items + 2 * at, map->items + 2 * (at + 1),
	       2 * (map->n - at - 1) * sizeof(struct tree_node *));
	map->items = items;
	map->n--;
	if (value->type == TREE_MAP)
		merge_map(map, value);
	for (i = 0; value->type == TREE_LIST && i < value->n; i++)
		merge_map(map, value->items[i]);
	return 0;
}

static int close_map(struct tree_reader *r, struct tree_node *map)
{
	size_t i;
	int ret;

	map->n /= 2;
	ret = check_keys(r, map->items, map->n);
	if (ret)
		return ret;
	for (i = 0; i < map->n; i++) {
		if (is_merge(map->items[2 * i]))
			return merge_keys(r, map, i);
	}
	return 0;
}

static int on_end(struct tree_reader *r)
{
	const struct frame frame = r->frames[--r->depth];
	struct frame *above = r->depth ? &r->frames[r->depth - 1] : NULL;
	const size_t n = r->pending.n - frame.first;
	struct tree_node *node = frame.node;
	int ret = 0;

	node->items = arena_array(r->arena, n, sizeof(struct tree_node *));
	if (!node->items)
		return -ENOMEM;
	if (n)
		memcpy(node->items, &r->pending.v[frame.first], n * sizeof(struct tree_node *));
	node->n = (uint32_t)n;
	r->pending.n = frame.first;
	if (node->type == TREE_MAP)
		ret = close_map(r, node);
	if (ret)
		return ret;
	if (above && above->height < frame.height + 1)
		above->height = frame.height + 1;
	if (frame.anchor) {
		frame.anchor->node = node;
		frame.anchor->weight = r->weight - frame.weight_before;
		frame.anchor->height = frame.height + 1;
	}
	return tree_push(&r->pending, node);
}

/* ---- documents ----------------------------------------------------------- */

static int document_start(struct tree_reader *r)
{
	arena_free(r->arena);
	r->arena = arena_new();
	memset(r->anchors, 0, sizeof(r->anchors));
	r->n_anchors = 0;
	r->weight = 0;
	r->pending.n = 0;
	r->depth = 0;
	return r->arena ? 0 : -ENOMEM;
}

static int on_event(struct tree_reader *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return document_start(r);
	case YAML_SCALAR_EVENT:
		return on_scalar(r, event);
	case YAML_ALIAS_EVENT:
		return on_alias(r, event);
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return on_start(r, event);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return on_end(r);
	default:
		return 0;
	}
}

int tree_next(struct tree_reader *r, const struct tree_node **root_out)
{
	yaml_event_type_t type;
	yaml_event_t event;
	int ret;

	if (r->failed)
		return 0;
	do {
		if (!yaml_parser_parse(&r->parser, &event)) {
			r->failed = true;
			return syntax_fault(r);
		}
		type = event.type;
		ret = on_event(r, &event);
		yaml_event_delete(&event);
		if (ret) {
			r->failed = true;
			return ret;
		}
	} while (type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT);
	if (type == YAML_STREAM_END_EVENT) {
		r->failed = true; /* libyaml must not be asked again */
		return 0;
	}
	*root_out = r->pending.v[0];
	return 1;
}
