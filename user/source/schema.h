/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Field schemas as data. One table a kind of map lists every field that the
 * Kubernetes API has there; decoding (strict, or lenient with what an API server
 * accepted) and encoding walk the same tables. Tables describe wire structs, shaped as the API's JSON is; each
 * schema_KIND.c turns its wire struct into the object's own, and back.
 *
 * Wire strings belong to the tree that they were decoded from (or, when
 * encoding, to the object); wire arrays to the decoder's scratch arena.
 */
#ifndef SHUNT_SOURCE_SCHEMA_H
#define SHUNT_SOURCE_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/objects.h"
#include "source/check.h"
#include "source/diag.h"
#include "source/path.h"
#include "source/tree.h"
#include "util/arena.h"

enum field_type {
	FIELD_ANY = 0,	     /* known, not looked into, not kept */
	FIELD_STRING,	     /* const char *, NULL: absent */
	FIELD_BOOL,	     /* enum maybe */
	FIELD_INT,	     /* int32_t, 0: absent */
	FIELD_ENUM,	     /* uint8_t, 1 + place in .words, 0: absent */
	FIELD_INT_OR_STRING, /* struct int_or_string */
	FIELD_LABELS,	     /* struct labels */
	FIELD_MAP,	     /* a nested struct of .schema */
	FIELD_LIST,	     /* struct wire_list of .item */
};

enum field_flags {
	FIELD_REQUIRED = 0x1,
	FIELD_EMPTY_IS_ABSENT = 0x2, /* "" is what the API makes of an absent string */
	FIELD_OPEN = 0x4,   /* FIELD_ENUM: the API may learn more words; they mean absent */
	FIELD_SECRET = 0x8, /* FIELD_STRING: no message shows what stands there */
};

struct wire_list {
	void *v;
	size_t n;
};

struct schema;

struct field {
	const char *name;
	uint8_t type;  /* enum field_type */
	uint8_t flags; /* enum field_flags */
	uint16_t offset;
	int32_t min, max;	     /* FIELD_INT, numbers of a FIELD_INT_OR_STRING */
	uint32_t n_max;		     /* FIELD_LIST: items, 0: any number */
	const char *limit;	     /* the name of @n_max or @max in limits.h, where it has one */
	const char *const *words;    /* FIELD_ENUM: NULL-terminated */
	const struct schema *schema; /* FIELD_MAP */
	const struct field *item;    /* FIELD_LIST: its offset is 0 */
	check_fn *check;	     /* of a string, of a label's value */
};

struct schema {
	const char *name; /* for "unknown field" without a near one */
	const struct field *fields;
	size_t n;
	size_t size; /* of the wire struct */
};

#define FIELDS_MAX	    64 /* of one schema: the bits that tell which were seen */
#define FIELD_COUNT(fields) (sizeof(fields) / sizeof((fields)[0]))
#define ANY(field_name)	    { .name = (field_name) }

size_t field_size(const struct field *field); /* of its value in a wire struct */
extern const struct field field_string_item;  /* any string, as a list's item */
extern const char *const proto_words[];	      /* TCP, UDP, SCTP */
proto_t proto_of_wire(uint8_t wire);	      /* absent: TCP */
uint8_t proto_to_wire(proto_t proto);

/* ---- decoding ------------------------------------------------------------ */

#define DECODE_DEPTH_MAX 16 /* of the tables, with the items[] of a List before them */
#define DECODE_KEPT	 64 /* a power of two */

struct decode {
	const char *file;
	struct diags *diags;
	struct arena *scratch;	      /* gone with the object's wire struct */
	struct arena *arena;	      /* the object's own */
	const struct tree_node *root; /* of the object */
	size_t errors;
	bool no_memory;
	/*
	 * An API server has accepted it: unknown fields are passed over, names and
	 * labels not judged again, and the first error is enough.
	 */
	bool lenient;
	const char *kept[DECODE_KEPT]; /* strings in @arena, by hash: what comes again is shared */
	struct path_step path[DECODE_DEPTH_MAX];
	size_t depth, base; /* steps before @base lead to the object itself */
};

/* @return the field of that name, or NULL */
const struct field *schema_field(const struct schema *schema, const char *name);
/* Fill the zeroed wire struct @out. Errors are counted in @d. */
void decode_map(struct decode *d, const struct schema *schema, const struct tree_node *node,
		void *out);

/*
 * Report what is wrong at @path, below the object ("" is itself): its place is
 * that of the deepest part of the path that exists.
 */
__attribute__((format(printf, 3, 4))) void decode_fault(struct decode *d, const char *path,
							const char *fmt, ...);
__attribute__((format(printf, 3, 4))) void decode_note(struct decode *d, const char *path,
						       const char *fmt, ...);
/* Is there something other than null at @path? */
bool decode_has(const struct decode *d, const char *path);
struct origin decode_origin(const struct decode *d, const char *path);

struct path_text {
	char text[PATH_LEN];
};
/* A path for the above: AT("spec.ports[%zu].name", i) lives as long as the expression's block. */
__attribute__((format(printf, 2, 3))) const char *path_print(struct path_text *out, const char *fmt,
							     ...);
#define AT(...) path_print(&(struct path_text){ { 0 } }, __VA_ARGS__)

/* Into the object's arena; on no memory they note it in @d and return what can be used. */
const char *keep_string(struct decode *d, const char *text); /* NULL becomes "" */
struct labels keep_labels(struct decode *d, const struct labels *labels);
struct strings keep_strings(struct decode *d, const struct wire_list *list);
/* A zeroed array of the object's; n == 0 gives NULL. *n_out is @n, or 0 without memory. */
void *keep_array(struct decode *d, size_t n, size_t size, size_t *n_out);

/* ---- encoding ------------------------------------------------------------ */

/* The wire struct as JSON, absent fields left out; NULL: no memory. */
json_t *encode_map(const struct schema *schema, const void *wire);

/* ---- kinds --------------------------------------------------------------- */

struct kind_def {
	enum kind kind;
	const char *api_version;
	const struct schema *schema; /* its wire struct begins with struct wire_head */
	check_fn *check_name;
	check_fn *check_api_name; /* what newer APIs accept too; NULL: the same */
	bool cluster_scoped;	  /* has no namespace */
	/* Check what concerns several fields, and fill in @object. */
	void (*finish)(struct decode *d, const void *wire, struct object *object);
	/* The other way; arrays come from @scratch. @return 0 or -ENOMEM */
	int (*to_wire)(const struct object *object, void *wire, struct arena *scratch);
};

/* Text of addresses and networks, as a list of strings. @return 0 or -ENOMEM */
int addrs_to_wire(const struct sh_addr *addrs, size_t n, struct wire_list *list,
		  struct arena *scratch);
int nets_to_wire(const struct addr_net *nets, size_t n, struct wire_list *list,
		 struct arena *scratch);

/* What every kind's wire struct begins with. */
struct wire_meta {
	const char *name, *ns, *deletion_timestamp;
	struct labels labels, annotations;
};
struct wire_head {
	const char *api_version, *kind;
	struct wire_meta meta;
};
extern const struct schema schema_meta;

/* The first fields of every kind; struct wire_head is what its wire struct begins with. */
#define HEAD_FIELDS                                                                \
	{ .name = "apiVersion",                                                    \
	  .type = FIELD_STRING,                                                    \
	  .offset = offsetof(struct wire_head, api_version) },                     \
		{ .name = "kind",                                                  \
		  .type = FIELD_STRING,                                            \
		  .offset = offsetof(struct wire_head, kind) },                    \
	{                                                                          \
		.name = "metadata", .type = FIELD_MAP, .flags = FIELD_REQUIRED,    \
		.offset = offsetof(struct wire_head, meta), .schema = &schema_meta \
	}

void meta_finish(struct decode *d, const struct kind_def *def, const struct wire_meta *wire,
		 struct meta *meta);
void meta_to_wire(const struct meta *meta, struct wire_meta *wire);

/* Of Endpoints and EndpointSlices. */
struct wire_object_ref {
	const char *kind, *name;
};
extern const struct schema schema_object_ref;
extern const struct schema schema_endpoint_port;
struct wire_endpoint_port {
	const char *name;
	uint8_t proto;
	int32_t port;
};
void endpoint_ports_finish(struct decode *d, const struct wire_list *list,
			   struct endpoint_port **ports_out, size_t *n_out);
int endpoint_ports_to_wire(const struct endpoint_port *ports, size_t n, struct wire_list *list,
			   struct arena *scratch);
/* Parse the endpoint address @text that stands at @path, special ones refused. */
void endpoint_addr(struct decode *d, const char *path, const char *text, struct sh_addr *out);

extern const struct kind_def kind_service, kind_endpoints, kind_endpoint_slice, kind_pod, kind_node;

/* @return the definition, or NULL */
const struct kind_def *kind_find(enum kind kind);

#endif
