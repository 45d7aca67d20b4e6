/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* metadata, and what several kinds have in common. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shunt/limits.h"
#include "source/schema.h"

#define ANNOTATION_BYTES_MAX (256u << 10) /* of one object together, as the API has it */
#define OWN_PREFIX	     "shunt.io/"

static const struct field meta_fields[] = {
	{ .name = "name", .type = FIELD_STRING, .offset = offsetof(struct wire_meta, name) },
	{ .name = "namespace",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  .offset = offsetof(struct wire_meta, ns),
	  .check = check_dns_label },
	{ .name = "labels",
	  .type = FIELD_LABELS,
	  .offset = offsetof(struct wire_meta, labels),
	  .check = check_label_value },
	{ .name = "annotations",
	  .type = FIELD_LABELS,
	  .offset = offsetof(struct wire_meta, annotations) },
	{ .name = "deletionTimestamp",
	  .type = FIELD_STRING,
	  .offset = offsetof(struct wire_meta, deletion_timestamp) },
	ANY("generateName"),
	ANY("selfLink"),
	ANY("uid"),
	ANY("resourceVersion"),
	ANY("generation"),
	ANY("creationTimestamp"),
	ANY("deletionGracePeriodSeconds"),
	ANY("ownerReferences"),
	ANY("finalizers"),
	ANY("managedFields"),
};
const struct schema schema_meta = { "metadata", meta_fields, FIELD_COUNT(meta_fields),
				    sizeof(struct wire_meta) };

static const struct field object_ref_fields[] = {
	{ .name = "kind", .type = FIELD_STRING, .offset = offsetof(struct wire_object_ref, kind) },
	{ .name = "name", .type = FIELD_STRING, .offset = offsetof(struct wire_object_ref, name) },
	ANY("namespace"),
	ANY("uid"),
	ANY("apiVersion"),
	ANY("resourceVersion"),
	ANY("fieldPath"),
};
const struct schema schema_object_ref = { "targetRef", object_ref_fields,
					  FIELD_COUNT(object_ref_fields),
					  sizeof(struct wire_object_ref) };

static const struct field endpoint_port_fields[] = {
	{ .name = "name",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT,
	  .offset = offsetof(struct wire_endpoint_port, name),
	  .check = check_dns_label },
	{ .name = "protocol",
	  .type = FIELD_ENUM,
	  .offset = offsetof(struct wire_endpoint_port, proto),
	  .words = proto_words },
	{ .name = "port",
	  .type = FIELD_INT,
	  .offset = offsetof(struct wire_endpoint_port, port),
	  .min = 1,
	  .max = 65535 },
	ANY("appProtocol"),
};
const struct schema schema_endpoint_port = { "a port", endpoint_port_fields,
					     FIELD_COUNT(endpoint_port_fields),
					     sizeof(struct wire_endpoint_port) };

void endpoint_ports_finish(struct decode *d, const struct wire_list *list,
			   struct endpoint_port **ports_out, size_t *n_out)
{
	const struct wire_endpoint_port *wire = list->v;
	struct endpoint_port *ports = keep_array(d, list->n, sizeof(*ports), n_out);
	size_t i;

	for (i = 0; i < *n_out; i++) {
		ports[i] = (struct endpoint_port){ .name = keep_string(d, wire[i].name),
						   .proto = proto_of_wire(wire[i].proto),
						   .port = (uint16_t)wire[i].port };
	}
	*ports_out = ports;
}

int endpoint_ports_to_wire(const struct endpoint_port *ports, size_t n, struct wire_list *list,
			   struct arena *scratch)
{
	struct wire_endpoint_port *wire = arena_array(scratch, n, sizeof(*wire));
	size_t i;

	if (!wire)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		wire[i] = (struct wire_endpoint_port){ .name = ports[i].name,
						       .proto = proto_to_wire(ports[i].proto),
						       .port = ports[i].port };
	}
	*list = (struct wire_list){ wire, n };
	return 0;
}

void endpoint_addr(struct decode *d, const char *path, const char *text, struct sh_addr *out)
{
	char quoted[QUOTE_LEN];
	const char *why;

	if (addr_parse(text, out)) {
		decode_fault(d, path, "%s is no IP address", quote(text, quoted));
		return;
	}
	why = check_special_addr(out);
	if (why)
		decode_fault(d, path, "%s %s: no endpoint may have it", text, why);
}

/* ---- shunt's own annotations --------------------------------------------- */

static const char *check_weight(const char *text)
{
	char *end;
	const unsigned long weight = strtoul(text, &end, 10);

	if (!*text || text[strspn(text, "0123456789")] || strlen(text) > 5 ||
	    weight > SH_WEIGHT_MAX)
		return "is no weight: a whole number from 0 to SH_WEIGHT_MAX (1000)";
	return NULL;
}
_Static_assert(SH_WEIGHT_MAX == 1000, "the message above says so");

static const char *check_algorithm(const char *text)
{
	if (!strcmp(text, "maglev") || !strcmp(text, "random") || !strcmp(text, "least-conn"))
		return NULL;
	return "is not one of maglev, random or least-conn";
}

static const char *check_on_off(const char *text)
{
	return !strcmp(text, "on") || !strcmp(text, "off") ? NULL : "is neither on nor off";
}

static void check_own_annotation(struct decode *d, const struct label *annotation)
{
	static const char *const names[] = { OWN_PREFIX "weight", OWN_PREFIX "algorithm",
					     OWN_PREFIX "socket-lb" };
	static check_fn *const checks[] = { check_weight, check_algorithm, check_on_off };
	const char *path = AT("metadata.annotations[%s]", annotation->key), *near, *why;
	char quoted[QUOTE_LEN];
	size_t i;

	for (i = 0; i < FIELD_COUNT(names); i++) {
		if (strcmp(annotation->key, names[i]) != 0)
			continue;
		why = checks[i](annotation->value);
		if (why)
			decode_fault(d, path, "%s %s", quote(annotation->value, quoted), why);
		return;
	}
	if (d->lenient)
		return;
	near = nearest_word(annotation->key, names, FIELD_COUNT(names));
	if (near)
		decode_fault(d, path, "unknown annotation (did you mean \"%s\"?)", near);
	else
		decode_fault(d, path, "unknown annotation: shunt has weight, algorithm, socket-lb");
}

static void check_annotations(struct decode *d, const struct labels *annotations)
{
	size_t i, bytes = 0;

	for (i = 0; i < annotations->n; i++) {
		const struct label *annotation = &annotations->v[i];

		bytes += strlen(annotation->key) + strlen(annotation->value);
		if (!strncmp(annotation->key, OWN_PREFIX, strlen(OWN_PREFIX)))
			check_own_annotation(d, annotation);
	}
	if (bytes > ANNOTATION_BYTES_MAX)
		decode_fault(d, "metadata.annotations", "hold %zu bytes together: at most %u",
			     bytes, ANNOTATION_BYTES_MAX);
}

/* ---- metadata ------------------------------------------------------------ */

static void check_name(struct decode *d, const struct kind_def *def, const struct wire_meta *wire)
{
	char quoted[QUOTE_LEN];
	check_fn *check = d->lenient && def->check_api_name ? def->check_api_name : def->check_name;
	const char *why;

	if (!wire->name || !*wire->name) {
		decode_fault(d, "metadata.name", "required, but missing%s",
			     decode_has(d, "metadata.generateName")
				     ? ": only a cluster makes names of generateName"
				     : "");
		return;
	}
	why = check(wire->name);
	if (why)
		decode_fault(d, "metadata.name", "%s %s", quote(wire->name, quoted), why);
}

void meta_finish(struct decode *d, const struct kind_def *def, const struct wire_meta *wire,
		 struct meta *meta)
{
	check_name(d, def, wire);
	if (def->cluster_scoped && wire->ns)
		decode_fault(d, "metadata.namespace", "a %s has no namespace",
			     kind_name(def->kind));
	check_annotations(d, &wire->annotations);
	meta->name = keep_string(d, wire->name);
	meta->ns = keep_string(d, wire->ns ? wire->ns : def->cluster_scoped ? "" : "default");
	meta->labels = keep_labels(d, &wire->labels);
	meta->annotations = keep_labels(d, &wire->annotations);
	meta->deleting = wire->deletion_timestamp && *wire->deletion_timestamp;
}

void meta_to_wire(const struct meta *meta, struct wire_meta *wire)
{
	*wire = (struct wire_meta){
		.name = meta->name,
		.ns = meta->ns,
		.labels = meta->labels,
		.annotations = meta->annotations,
		/* Only that it is set is known, and only that counts. */
		.deletion_timestamp = meta->deleting ? "1970-01-01T00:00:00Z" : NULL,
	};
}

const struct kind_def *kind_find(enum kind kind)
{
	static const struct kind_def *const defs[KIND_COUNT] = {
		[KIND_SERVICE] = &kind_service,
		[KIND_ENDPOINTS] = &kind_endpoints,
		[KIND_ENDPOINT_SLICE] = &kind_endpoint_slice,
		[KIND_POD] = &kind_pod,
		[KIND_NODE] = &kind_node,
	};

	return (unsigned int)kind < KIND_COUNT ? defs[kind] : NULL;
}
