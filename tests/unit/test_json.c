/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the Kubernetes API sends: a real server's answers, what is legal there, what hostile ones do. */
#include "source/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shunt/limits.h"
#include "source/manifest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DATA	     "tests/fixtures/api/"

static int decode(const char *text, size_t len, enum kind kind, struct object **out,
		  struct err *err)
{
	return object_from_json(&(struct json_text){ "api", text, len }, kind, out, err);
}

/* The object as one line of JSON; free() it. */
static char *encoded(const struct object *object)
{
	json_t *json;
	char *text;

	assert_int_equal(object_encode(object, &json), 0);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	assert_non_null(text);
	return text;
}

/* ---- a real server's answers --------------------------------------------- */

static const char *text_at(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text ? text : "";
}

static enum maybe maybe_at(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	return json_is_boolean(value) ? json_is_true(value) ? MAYBE_TRUE : MAYBE_FALSE
				      : MAYBE_ABSENT;
}

static void same_addr(const struct sh_addr *addr, const char *text)
{
	char buf[ADDR_STRLEN];

	assert_string_equal(addr_format(addr, buf), text);
}

static void same_labels(const struct labels *labels, const json_t *json)
{
	const char *key;
	json_t *value;

	assert_int_equal(labels->n, json_object_size(json));
	json_object_foreach((json_t *)json, key, value)
		assert_string_equal(labels_get(labels, key), json_string_value(value));
}

static void same_hints(const struct strings *names, const json_t *json)
{
	size_t i;

	assert_int_equal(names->n, json_array_size(json));
	for (i = 0; i < names->n; i++)
		assert_string_equal(names->v[i], text_at(json_array_get(json, i), "name"));
}

static void same_ports(const struct endpoint_port *ports, size_t n, const json_t *json)
{
	size_t i;

	assert_int_equal(n, json_array_size(json));
	for (i = 0; i < n; i++) {
		const json_t *port = json_array_get(json, i);

		assert_string_equal(ports[i].name, text_at(port, "name"));
		assert_string_equal(proto_name(ports[i].proto), text_at(port, "protocol"));
		assert_int_equal(ports[i].port, json_integer_value(json_object_get(port, "port")));
	}
}

static void same_slice(const struct endpoint_slice *slice, const json_t *json)
{
	const json_t *list = json_object_get(json, "endpoints");
	size_t i;

	same_ports(slice->ports, slice->n_ports, json_object_get(json, "ports"));
	if (!strcmp(text_at(json, "addressType"), "FQDN")) {
		assert_int_equal(slice->family, FAMILY_NONE);
		assert_int_equal(slice->n_endpoints, 0);
		return;
	}
	assert_string_equal(family_name(slice->family), text_at(json, "addressType"));
	assert_int_equal(slice->n_endpoints, json_array_size(list));
	for (i = 0; i < slice->n_endpoints; i++) {
		const struct endpoint *endpoint = &slice->endpoints[i];
		const json_t *item = json_array_get(list, i);
		const json_t *conditions = json_object_get(item, "conditions");
		const json_t *hints = json_object_get(item, "hints");

		same_addr(&endpoint->addr,
			  json_string_value(json_array_get(json_object_get(item, "addresses"), 0)));
		assert_int_equal(endpoint->ready, maybe_at(conditions, "ready"));
		assert_int_equal(endpoint->serving, maybe_at(conditions, "serving"));
		assert_int_equal(endpoint->terminating, maybe_at(conditions, "terminating"));
		assert_string_equal(endpoint->node_name, text_at(item, "nodeName"));
		assert_string_equal(endpoint->zone, text_at(item, "zone"));
		assert_string_equal(endpoint->hostname, text_at(item, "hostname"));
		assert_string_equal(endpoint->target_pod,
				    text_at(json_object_get(item, "targetRef"), "name"));
		same_hints(&endpoint->zone_hints, json_object_get(hints, "forZones"));
		same_hints(&endpoint->node_hints, json_object_get(hints, "forNodes"));
	}
}

static void same_service_ports(const struct service *service, const json_t *list)
{
	size_t i;

	assert_int_equal(service->n_ports, json_array_size(list));
	for (i = 0; i < service->n_ports; i++) {
		const struct service_port *port = &service->ports[i];
		const json_t *item = json_array_get(list, i);
		const json_t *target = json_object_get(item, "targetPort");

		assert_string_equal(port->name, text_at(item, "name"));
		assert_string_equal(proto_name(port->proto), text_at(item, "protocol"));
		assert_int_equal(port->port, json_integer_value(json_object_get(item, "port")));
		assert_int_equal(port->node_port,
				 json_integer_value(json_object_get(item, "nodePort")));
		assert_int_equal(port->target_port.num, json_integer_value(target));
		if (json_is_string(target))
			assert_string_equal(port->target_port.str, json_string_value(target));
	}
}

static void same_service(const struct service *service, const json_t *json)
{
	const json_t *spec = json_object_get(json, "spec");
	const json_t *ips = json_object_get(spec, "clusterIPs");
	size_t i;

	assert_string_equal(service_type_name(service->type), text_at(spec, "type"));
	same_service_ports(service, json_object_get(spec, "ports"));
	same_labels(&service->selector, json_object_get(spec, "selector"));
	assert_int_equal(service->headless, !strcmp(text_at(spec, "clusterIP"), "None"));
	assert_int_equal(service->n_cluster_ips, service->headless ? 0 : json_array_size(ips));
	for (i = 0; i < service->n_cluster_ips; i++)
		same_addr(&service->cluster_ips[i], json_string_value(json_array_get(ips, i)));
	assert_int_equal(service->n_external_ips,
			 json_array_size(json_object_get(spec, "externalIPs")));
	assert_int_equal(service->n_source_ranges,
			 json_array_size(json_object_get(spec, "loadBalancerSourceRanges")));
	assert_int_equal(service->internal_policy,
			 strcmp(text_at(spec, "internalTrafficPolicy"), "Local") ? POLICY_CLUSTER
										 : POLICY_LOCAL);
	assert_int_equal(service->external_policy,
			 strcmp(text_at(spec, "externalTrafficPolicy"), "Local") ? POLICY_CLUSTER
										 : POLICY_LOCAL);
	assert_int_equal(service->affinity_client_ip,
			 !strcmp(text_at(spec, "sessionAffinity"), "ClientIP"));
	assert_int_equal(service->health_check_node_port,
			 json_integer_value(json_object_get(spec, "healthCheckNodePort")));
	assert_string_equal(service->external_name, text_at(spec, "externalName"));
}

static void same_endpoints(const struct endpoints *endpoints, const json_t *json)
{
	const json_t *list = json_object_get(json, "subsets");
	size_t i;

	assert_int_equal(endpoints->n_subsets, json_array_size(list));
	for (i = 0; i < endpoints->n_subsets; i++) {
		const json_t *item = json_array_get(list, i);
		const struct endpoints_subset *subset = &endpoints->subsets[i];

		assert_int_equal(
			subset->n_endpoints,
			json_array_size(json_object_get(item, "addresses")) +
				json_array_size(json_object_get(item, "notReadyAddresses")));
		same_ports(subset->ports, subset->n_ports, json_object_get(item, "ports"));
	}
}

static void same_object(const struct object *object, const json_t *json)
{
	const json_t *meta = json_object_get(json, "metadata");

	assert_string_equal(object->meta.name, text_at(meta, "name"));
	assert_string_equal(object->meta.ns, text_at(meta, "namespace"));
	assert_int_equal(object->meta.deleting, *text_at(meta, "deletionTimestamp") != '\0');
	same_labels(&object->meta.labels, json_object_get(meta, "labels"));
	if (object->kind == KIND_SERVICE)
		same_service(&object->service, json);
	else if (object->kind == KIND_ENDPOINT_SLICE)
		same_slice(&object->slice, json);
	else if (object->kind == KIND_ENDPOINTS)
		same_endpoints(&object->endpoints, json);
	else if (object->kind == KIND_NODE)
		assert_int_equal(object->node.n_pod_cidrs,
				 json_array_size(json_object_get(json_object_get(json, "spec"),
								 "podCIDRs")));
}

/* The same text read as a manifest. *@encoded_out is NULL where the strict decoder refuses it. */
static void by_manifest(const char *text, char **encoded_out)
{
	struct object_set set = { 0 };
	struct diags diags = { 0 };
	struct err err;

	*encoded_out = NULL;
	if (!manifest_load_buffer(&(struct manifest_text){ "f", text, strlen(text) }, &set, &diags,
				  &err)) {
		assert_int_equal(set.n, 1);
		*encoded_out = encoded(set.v[0]);
	}
	object_set_done(&set);
	diags_done(&diags);
}

struct tally {
	size_t objects, strict, refused;
	char why[1024]; /* of the last one refused */
};

/* @item as it came; @kind says what it is, for the manifest's sake its text says so too. */
static void check_item(json_t *item, enum kind kind, const char *version, struct tally *tally)
{
	char *text = json_dumps(item, JSON_COMPACT), *whole, *one, *other;
	struct object *object = NULL;
	struct err err;

	assert_non_null(text);
	if (decode(text, strlen(text), kind, &object, &err)) {
		tally->refused++;
		(void)snprintf(tally->why, sizeof(tally->why), "%s", err.msg);
		free(text);
		return;
	}
	same_object(object, item);
	tally->objects++;
	json_object_set_new(item, "kind", json_string(kind_name(object->kind)));
	json_object_set_new(item, "apiVersion", json_string(version));
	whole = json_dumps(item, JSON_COMPACT);
	by_manifest(whole, &other);
	one = encoded(object);
	if (other)
		assert_string_equal(one, other);
	tally->strict += other != NULL;
	free(other);
	free(one);
	free(whole);
	free(text);
	object_free(object);
}

static json_t *recording(const char *name)
{
	char path[200];
	json_error_t error;
	json_t *json;

	(void)snprintf(path, sizeof(path), DATA "%s.json", name);
	json = json_load_file(path, 0, &error);
	if (!json)
		fail_msg("%s: %s", path, error.text);
	return json;
}

static void lists_of_a_real_server(void **state)
{
	static const struct {
		const char *file;
		enum kind kind;
		const char *version;
		size_t objects, strict;
	} rows[] = {
		/* sctp, port 132 to 9132, is refused in a manifest only. */
		{ "list-services", KIND_SERVICE, "v1", 24, 23 },
		{ "list-endpointslices", KIND_ENDPOINT_SLICE, "discovery.k8s.io/v1", 49, 49 },
		{ "list-endpoints", KIND_ENDPOINTS, "v1", 21, 21 },
		{ "list-nodes", KIND_NODE, "v1", 3, 3 },
		{ "list-pods", KIND_POD, "v1", 6, 6 },
	};
	size_t i, j;

	for (i = 0; i < COUNT(rows); i++) {
		json_t *json = recording(rows[i].file), *item;
		struct tally tally = { 0 };

		json_array_foreach(
			json_object_get(json_object_get(json_object_get(json, "response"), "body"),
					"items"),
			j, item) check_item(item, rows[i].kind, rows[i].version, &tally);
		json_decref(json);
		if (tally.objects != rows[i].objects || tally.strict != rows[i].strict)
			fail_msg("%s: %zu objects, %zu of them by manifest too, %s", rows[i].file,
				 tally.objects, tally.strict, tally.why);
	}
}

static void watches_of_a_real_server(void **state)
{
	static const struct {
		const char *file, *version;
		size_t objects, refused;
		const char *why; /* of the last one refused */
	} rows[] = {
		/* Bookmarks are skeletons, and no objects. */
		{ "watch-services-create-modify-delete", "v1", 36, 1,
		  "api: metadata.name: required, but missing (and 1 more error)" },
		{ "watchlist-services", "v1", 24, 1,
		  "api: metadata.name: required, but missing (and 1 more error)" },
		{ "watch-endpointslices-create-modify-delete", "discovery.k8s.io/v1", 138, 1,
		  "api: addressType: \"\" is not one of IPv4, IPv6 or FQDN" },
		{ "watch-nodes-rv0-synthetic-added", "v1", 3, 1,
		  "api: metadata.name: required, but missing" },
		{ "watch-410-gone", "v1", 0, 1,
		  "api: kind: \"Status\" is not a kind that shunt reads" },
	};
	size_t i, j;

	for (i = 0; i < COUNT(rows); i++) {
		json_t *json = recording(rows[i].file), *event;
		struct tally tally = { 0 };

		json_array_foreach(json_object_get(json_object_get(json, "response"), "events"), j,
				   event)
			check_item(json_object_get(json_object_get(event, "event"), "object"),
				   KIND_NONE, rows[i].version, &tally);
		json_decref(json);
		if (tally.objects != rows[i].objects || tally.refused != rows[i].refused ||
		    strcmp(tally.why, rows[i].why) != 0)
			fail_msg("%s: %zu objects, %zu refused, %s", rows[i].file, tally.objects,
				 tally.refused, tally.why);
	}
}

static void single_objects_of_a_real_server(void **state)
{
	static const char *const files[] = { "get-service-dual", "get-endpointslice-manual-1" };
	static const char *const versions[] = { "v1", "discovery.k8s.io/v1" };
	size_t i;

	for (i = 0; i < COUNT(files); i++) {
		json_t *json = recording(files[i]);
		struct tally tally = { 0 };

		check_item(json_object_get(json_object_get(json, "response"), "body"), KIND_NONE,
			   versions[i], &tally);
		assert_int_equal(tally.strict, 1);
		json_decref(json);
	}
}

/* ---- what is legal there ------------------------------------------------- */

#define META	     "\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"}"
#define SLICE	     "{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\"," META
#define SLICE_IS     "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\"," META
#define SERVICE	     "{\"kind\":\"Service\",\"apiVersion\":\"v1\"," META
#define SERVICE_IS   "{\"apiVersion\":\"v1\",\"kind\":\"Service\"," META
#define PORT80	     "\"ports\":[{\"port\":80}]"
#define PORT80_IS    "\"ports\":[{\"protocol\":\"TCP\",\"port\":80}]"
#define LABEL_HEAD   "{\"kind\":\"Node\",\"metadata\":{\"name\":\"a\",\"labels\":{\"k\":"
/* A Node with a label k, and what becomes of it. */
#define LABEL(value) LABEL_HEAD value "}}}"
#define LABEL_IS(value)                                                          \
	"{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"," \
	"\"labels\":{\"k\":" value "}}}"

static const struct {
	const char *what, *text;
	enum kind kind;
	const char *json; /* what is kept */
} legal[] = {
	{ "an item of a list has no kind",
	  "{" META ",\"addressType\":\"IPv6\",\"endpoints\":[{\"addresses\":[\"fd00::1\"]}]}",
	  KIND_ENDPOINT_SLICE,
	  SLICE_IS ",\"addressType\":\"IPv6\",\"endpoints\":[{\"addresses\":[\"fd00::1\"]}]}" },
	{ "null lists", SLICE ",\"addressType\":\"IPv4\",\"endpoints\":null,\"ports\":null}",
	  KIND_NONE, SLICE_IS ",\"addressType\":\"IPv4\"}" },
	{ "a port without port, empty conditions, fields of a later version",
	  SLICE ",\"addressType\":\"IPv4\",\"later\":{\"a\":[1,{}]},\"endpoints\":[{\"addresses\":["
		"\"10.0.0.1\"],\"conditions\":{},\"later\":\"x\"}],\"ports\":[{\"name\":\"\","
		"\"protocol\":\"TCP\"}]}",
	  KIND_NONE,
	  SLICE_IS ",\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"10.0.0.1\"]}],"
		   "\"ports\":[{\"protocol\":\"TCP\"}]}" },
	{ "addressType FQDN",
	  SLICE ",\"addressType\":\"FQDN\",\"endpoints\":[{\"addresses\":[\"a.example_\"]}]}",
	  KIND_NONE, SLICE_IS ",\"addressType\":\"FQDN\"}" },
	{ "a Service's name that begins with a digit, a distribution of a later version, "
	  "an annotation of a later shunt, labels of any look",
	  "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"1a\",\"namespace\":"
	  "\"n\",\"annotations\":{\"shunt.io/later\":\"1\"},\"labels\":{\"-\":\"-\"}},\"spec\":{"
	  "\"trafficDistribution\":\"PreferMoon\"," PORT80 "}}",
	  KIND_NONE,
	  "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"1a\","
	  "\"namespace\":\"n\",\"labels\":{\"-\":\"-\"},\"annotations\":{\"shunt.io/later\":\"1\"}"
	  "},\"spec\":{\"type\":\"ClusterIP\"," PORT80_IS "}}" },
	{ "kubectl's copy of the object is not kept",
	  "{\"kind\":\"Service\",\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"annotations\":{"
	  "\"kubectl.kubernetes.io/last-applied-configuration\":\"{}\",\"b\":\"c\"}},\"spec\":"
	  "{" PORT80 "}}",
	  KIND_SERVICE,
	  "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\",\"namespace\":"
	  "\"n\",\"annotations\":{\"b\":\"c\"}},\"spec\":{\"type\":\"ClusterIP\"," PORT80_IS "}}" },
	{ "twice the same port name of an Endpoints object",
	  "{" META ",\"subsets\":[{\"addresses\":[{\"ip\":\"10.0.0.1\"}],\"ports\":[{\"name\":"
	  "\"d\",\"port\":1},{\"name\":\"d\",\"port\":2,\"protocol\":\"UDP\"}]}]}",
	  KIND_ENDPOINTS,
	  "{\"apiVersion\":\"v1\",\"kind\":\"Endpoints\"," META
	  ",\"subsets\":[{\"addresses\":[{\"ip\":\"10.0.0.1\"}],\"ports\":[{\"name\":\"d\","
	  "\"protocol\":\"TCP\",\"port\":1},{\"name\":\"d\",\"protocol\":\"UDP\",\"port\":2}]}]}" },
	{ "a Node's address of a type unheard of",
	  "{\"metadata\":{\"name\":\"a\"},\"status\":{\"addresses\":[{\"type\":\"Moon\","
	  "\"address\":\"x\"},{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"}]}}",
	  KIND_NODE,
	  "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"},\"status\":{"
	  "\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"}]}}" },
	{ "the same twice in what nobody looks into",
	  "{\"kind\":\"Node\",\"a\":1,\"a\":2,\"metadata\":{\"name\":\"a\",\"uid\":\"1\",\"uid\":"
	  "\"2\",\"managedFields\":[{\"a\":1,\"a\":2}]}}",
	  KIND_NONE, "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"}}" },
	{ "blanks everywhere",
	  " \t\r\n{ \"kind\" :\n\"Node\" , \"metadata\":{ \"name\" : \"a\" } } ", KIND_NONE,
	  "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"}}" },
	{ "an escaped key is the same key",
	  "{\"\\u006bind\":\"Node\",\"metadata\":{\"n\\u0061me\":\"a\"}}", KIND_NONE,
	  "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"}}" },
	{ "every number that JSON has, passed over",
	  "{\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"},\"x\":[0,-0,1.5,-1.25e+10,1E5,0e-1,"
	  "123456789012345678901234567890,true,false,null,[],{},\"\"]}",
	  KIND_NONE, "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"}}" },
	{ "escapes", LABEL("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u003c\\u00e9\\u20ac\\ud83d\\ude00\""),
	  KIND_NONE,
	  LABEL_IS("\"\\\"\\\\/\\b\\f\\n\\r\\t<\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"") },
	{ "UTF-8 of every length",
	  LABEL("\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80"
		"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
	  KIND_NONE,
	  LABEL_IS("\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80"
		   "\xf4\x8f\xbf\xbf\"") },
	{ "words in quotes are strings", LABEL("\"true\""), KIND_NONE, LABEL_IS("\"true\"") },
	{ "a label that is null is empty", LABEL("null"), KIND_NONE, LABEL_IS("\"\"") },
};

static void what_the_api_may_say(void **state)
{
	size_t i, failed = 0;

	for (i = 0; i < COUNT(legal); i++) {
		struct object *object = NULL;
		struct err err;
		char *got;

		if (decode(legal[i].text, strlen(legal[i].text), legal[i].kind, &object, &err)) {
			print_error("%s: %s\n", legal[i].what, err.msg);
			failed++;
			continue;
		}
		got = encoded(object);
		if (strcmp(got, legal[i].json) != 0) {
			print_error("%s:\nexpected %s\n     got %s\n", legal[i].what, legal[i].json,
				    got);
			failed++;
		}
		free(got);
		object_free(object);
	}
	assert_int_equal(failed, 0);
}

/* ---- what is refused ----------------------------------------------------- */

#define NO(text) "api: not JSON: " text
#define ESCAPE(at) \
	NO("byte " at ": an escape that is none, or a NUL character, in the string before")
#define UTF8(at) NO("byte " at ": invalid UTF-8 in the string before")

static const struct {
	const char *text;
	enum kind kind;
	const char *message;
} refused[] = {
	/* values that can't be used */
	{ SERVICE ",\"spec\":{\"ports\":[{\"port\":70000}]}}", KIND_NONE,
	  "api: spec.ports[0].port: 70000 is not in 1-65535" },
	{ SERVICE ",\"spec\":{\"ports\":[{\"port\":99999999999999999999999}]}}", KIND_NONE,
	  "api: spec.ports[0].port: 99999999999999999999999 is not in 1-65535" },
	{ SERVICE ",\"spec\":{\"ports\":[{\"port\":1.5}]}}", KIND_NONE,
	  "api: spec.ports[0].port: expected an integer, found the number 1.5" },
	{ SERVICE ",\"spec\":{\"ports\":[{\"port\":\"80\"}]}}", KIND_NONE,
	  "api: spec.ports[0].port: expected an integer, found the string \"80\"" },
	{ SERVICE ",\"spec\":{\"clusterIP\":\"10.0.0.300\"," PORT80 "}}", KIND_NONE,
	  "api: spec.clusterIP: \"10.0.0.300\" is neither an IP address nor None" },
	{ SERVICE ",\"spec\":{\"ports\":{}}}", KIND_NONE,
	  "api: spec.ports: expected a list, found a map" },
	{ SERVICE ",\"spec\":[]}", KIND_NONE, "api: spec: expected a map, found a list" },
	{ SERVICE ",\"spec\":{\"type\":{\"a\":[1]}," PORT80 "}}", KIND_NONE,
	  "api: spec.type: expected a string, found a map" },
	{ SERVICE ",\"spec\":{\"ports\":[{\"port\":80,\"protocol\":\"MOON\"}]}}", KIND_NONE,
	  "api: spec.ports[0].protocol: \"MOON\" is not one of TCP, UDP or SCTP" },
	{ SLICE ",\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"10.0.0.1\"]},"
		"{\"addresses\":[\"fd00::1\"]},{\"addresses\":[\"127.0.0.1\"]}]}",
	  KIND_NONE,
	  "api: endpoints[1].addresses[0]: fd00::1 is no IPv4 address, as addressType says (and 1 "
	  "more error)" },
	{ SLICE ",\"addressType\":\"Moon\"}", KIND_NONE,
	  "api: addressType: \"Moon\" is not one of IPv4, IPv6 or FQDN" },
	{ SLICE ",\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":null}]}", KIND_NONE,
	  "api: endpoints[0].addresses: required, but missing" },
	{ "{\"kind\":\"Node\",\"metadata\":{\"name\":\"a\\nb\"}}", KIND_NONE,
	  "api: metadata.name: \"a\\x0ab\" is no DNS name: lower case letters, digits, '-' and "
	  "'.', a letter or digit at both ends of each part" },
	{ LABEL("5"), KIND_NONE,
	  "api: metadata.labels.k: expected a string, found the integer 5 (put it in quotes)" },
	/* what it is */
	{ "{}", KIND_NONE, "api: no Kubernetes object: it has no kind" },
	{ "{\"kind\":null}", KIND_NONE, "api: no Kubernetes object: it has no kind" },
	{ "[]", KIND_NONE, "api: no Kubernetes object: it has no kind" },
	{ "[]", KIND_NODE, "api: expected a map, found a list" },
	{ "5", KIND_NODE, "api: expected a map, found the integer 5" },
	{ "null", KIND_NODE, "api: expected a map, found null" },
	{ "{}", KIND_NODE, "api: metadata: required, but missing" },
	{ SERVICE "}", KIND_NODE, "api: kind: expected Node, found \"Service\"" },
	{ "{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1beta1\"," META "}",
	  KIND_NONE,
	  "api: apiVersion: expected discovery.k8s.io/v1, found \"discovery.k8s.io/v1beta1\"" },
	/* syntax */
	{ "", KIND_NODE, NO("byte 0: the text ends where a value should be") },
	{ "{", KIND_NODE, NO("byte 1: the text ends where a key, in double quotes should be") },
	{ "{\"a\"", KIND_NODE, NO("byte 4: the text ends where ':' should be") },
	{ "{\"a\":", KIND_NODE, NO("byte 5: the text ends where a value should be") },
	{ "{\"a\":1", KIND_NODE, NO("byte 6: the text ends where ',' or '}' should be") },
	{ "{\"a\":1,}", KIND_NODE, NO("byte 7: expected a key, in double quotes, found '}'") },
	{ "{\"a\" 1}", KIND_NODE, NO("byte 5: expected ':', found '1'") },
	{ "{a:1}", KIND_NODE, NO("byte 1: expected a key, in double quotes, found 'a'") },
	{ "{'a':1}", KIND_NODE, NO("byte 1: expected a key, in double quotes, found '''") },
	{ "{\"a\":[1,]}", KIND_NODE, NO("byte 8: expected a value, found ']'") },
	{ "{\"a\":[1 2]}", KIND_NODE, NO("byte 8: expected ',' or ']', found '2'") },
	{ "{\"a\":[1}", KIND_NODE, NO("byte 7: expected ',' or ']', found '}'") },
	{ "{} {}", KIND_NODE, NO("byte 3: expected the end, found '{'") },
	{ "{\"a\":nul}", KIND_NODE, NO("byte 5: expected a value, found 'n'") },
	{ "{\"a\":NaN}", KIND_NODE, NO("byte 5: expected a value, found 'N'") },
	{ "{\"a\":truely}", KIND_NODE, NO("byte 9: expected ',' or '}', found 'l'") },
	{ "{\"a\":01}", KIND_NODE, NO("byte 5: a number that is none") },
	{ "{\"a\":-}", KIND_NODE, NO("byte 5: a number that is none") },
	{ "{\"a\":1.}", KIND_NODE, NO("byte 5: a number that is none") },
	{ "{\"a\":1e}", KIND_NODE, NO("byte 5: a number that is none") },
	{ "{\"a\":+1}", KIND_NODE, NO("byte 5: expected a value, found '+'") },
	{ "{\"a\":\x01}", KIND_NODE, NO("byte 5: expected a value, found the byte 0x01") },
	{ "{\"a\":\xff}", KIND_NODE, NO("byte 5: expected a value, found the byte 0xff") },
	{ "{\"a\":\"b", KIND_NODE, NO("byte 7: the text ends inside a string") },
	{ "{\"a\":\"b\\", KIND_NODE, NO("byte 8: the text ends inside a string") },
	{ "{\"a\":\"b\\\"", KIND_NODE, NO("byte 9: the text ends inside a string") },
	{ "{\"a\":\"b\nc\"}", KIND_NODE, NO("byte 7: a control character (0x0a) in a string") },
	/* strings */
	{ LABEL("\"\\u00\""), KIND_NODE, ESCAPE("58") },
	{ LABEL("\"\\x\""), KIND_NODE, ESCAPE("56") },
	{ LABEL("\"\\u0000\""), KIND_NODE, ESCAPE("60") },
	{ LABEL("\"\\u 12\""), KIND_NODE, ESCAPE("59") },
	{ LABEL("\"\\u+123\""), KIND_NODE, ESCAPE("60") },
	{ LABEL("\"\\ud83d\""), KIND_NODE, ESCAPE("60") },
	{ LABEL("\"\\ude00\""), KIND_NODE, ESCAPE("60") },
	{ LABEL("\"\\ud83d\\u0041\""), KIND_NODE, ESCAPE("66") },
	{ LABEL("\"\x80\""), KIND_NODE, UTF8("55") },
	{ LABEL("\"\xc3\""), KIND_NODE, UTF8("55") },
	{ LABEL("\"\xc0\x80\""), KIND_NODE, UTF8("56") },
	{ LABEL("\"\xe0\x9f\x80\""), KIND_NODE, UTF8("57") },
	{ LABEL("\"\xed\xa0\x80\""), KIND_NODE, UTF8("57") },
	{ LABEL("\"\xf0\x8f\x80\x80\""), KIND_NODE, UTF8("58") },
	{ LABEL("\"\xf4\x90\x80\x80\""), KIND_NODE, UTF8("58") },
	/* the same key twice */
	{ "{\"kind\":\"Node\",\"kind\":\"Node\"}", KIND_NODE,
	  NO("byte 22: the key \"kind\" stands there twice") },
	{ "{\"kind\":\"Node\",\"k\\u0069nd\":\"Node\"}", KIND_NODE,
	  NO("byte 27: the key \"kind\" stands there twice") },
	{ LABEL("\"a\",\"k\":\"b\""), KIND_NODE, NO("byte 64: the key \"k\" stands there twice") },
};

static void what_is_refused(void **state)
{
	size_t i, failed = 0;

	for (i = 0; i < COUNT(refused); i++) {
		struct object *object = NULL;
		struct err err = { .msg = "no error" };
		const int ret = decode(refused[i].text, strlen(refused[i].text), refused[i].kind,
				       &object, &err);

		if (ret == -EINVAL && !object && !strcmp(err.msg, refused[i].message))
			continue;
		failed++;
		print_error("%s\nexpected: %s\n     got: %s\n", refused[i].text, refused[i].message,
			    err.msg);
		object_free(object);
	}
	assert_int_equal(failed, 0);
}

/* ---- size ---------------------------------------------------------------- */

static void refused_with(const char *text, size_t len, const char *message)
{
	struct object *object = NULL;
	struct err err;

	assert_int_equal(decode(text, len, KIND_NODE, &object, &err), -EINVAL);
	assert_string_equal(err.msg, message);
}

/* @head, @n times @piece, @tail; free() it. */
static char *repeated(const char *head, const char *piece, size_t n, const char *tail)
{
	const size_t size = strlen(head) + n * strlen(piece) + strlen(tail) + 1;
	char *text = malloc(size), *at = text;

	assert_non_null(text);
	at = stpcpy(at, head);
	while (n--)
		at = stpcpy(at, piece);
	(void)stpcpy(at, tail);
	return text;
}

static void too_deep(void **state)
{
	char *text = repeated("{\"a\":", "[", SH_MANIFEST_DEPTH_MAX, "");

	refused_with(text, strlen(text),
		     "api: not JSON: byte 132: nested too deep: at most SH_MANIFEST_DEPTH_MAX "
		     "(128) levels");
	free(text);
	/* No matter how deep it goes on. */
	text = repeated("{\"a\":", "{\"a\":[", 1000000, "");
	refused_with(text, strlen(text),
		     "api: not JSON: byte 388: nested too deep: at most SH_MANIFEST_DEPTH_MAX "
		     "(128) levels");
	free(text);
}

static void too_large(void **state)
{
	char *text = repeated("{\"kind\":\"", "x", SH_SCALAR_BYTES_MAX + 1, "\"}");

	refused_with(text, strlen(text),
		     "api: not JSON: byte 1048587: the string before is too long: at most "
		     "SH_SCALAR_BYTES_MAX (1048576) bytes");
	free(text);
	text = repeated("", " ", SH_API_OBJECT_BYTES_MAX, "{}");
	refused_with(text, strlen(text),
		     "api: the object is too large: at most SH_API_OBJECT_BYTES_MAX (8388608) "
		     "bytes");
	free(text);
}

static void nul_bytes(void **state)
{
	refused_with("{}\0", 3, "api: not JSON: byte 2: expected the end, found the byte 0x00");
	refused_with(
		"{\0}", 3,
		"api: not JSON: byte 1: expected a key, in double quotes, found the byte 0x00");
	refused_with("{\"kind\":\"a\0b\"}", 14,
		     "api: not JSON: byte 10: a control character (0x00) in a string");
}

/* Labels are compared each with each no longer where there are many. */
static void many_labels(void **state)
{
	static const char head[] = "{\"metadata\":{\"name\":\"a\",\"labels\":{";
	const size_t n = 100000, size = sizeof(head) + n * 20 + 20;
	char *text = malloc(size), *at;
	struct object *object = NULL;
	struct err err;
	size_t i;

	assert_non_null(text);
	at = stpcpy(text, head);
	for (i = 0; i < n; i++)
		at += sprintf(at, "\"k%zu\":\"v\",", i);
	(void)strcpy(at - 1, "}}}");
	assert_int_equal(decode(text, strlen(text), KIND_NODE, &object, &err), 0);
	assert_int_equal(object->meta.labels.n, n);
	object_free(object);
	(void)strcpy(at - 1, ",\"k7\":\"v\"}}}");
	assert_int_equal(decode(text, strlen(text), KIND_NODE, &object, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "the key \"k7\" stands there twice"));
	free(text);
}

/* A list of a million slips is as bad as one: what comes after the first isn't looked at. */
static void many_errors(void **state)
{
	char *text = repeated("{" META ",\"subsets\":[0", ",0", 1000000, "]}");
	struct object *object = NULL;
	struct err err;

	assert_int_equal(decode(text, strlen(text), KIND_ENDPOINTS, &object, &err), -EINVAL);
	assert_string_equal(err.msg, "api: subsets[0]: expected a map, found the integer 0");
	free(text);
}

/* ---- memory -------------------------------------------------------------- */

static void what_comes_again_is_kept_once(void **state)
{
	static const char text[] =
		"{" META ",\"addressType\":\"IPv4\",\"endpoints\":["
		"{\"addresses\":[\"10.0.0.1\"],\"nodeName\":\"node-1\",\"zone\":\"z\"},"
		"{\"addresses\":[\"10.0.0.2\"],\"nodeName\":\"node-1\",\"zone\":\"z\"}]}";
	struct object *object = NULL;
	struct err err;

	assert_int_equal(decode(text, strlen(text), KIND_ENDPOINT_SLICE, &object, &err), 0);
	assert_string_equal(object->slice.endpoints[0].node_name, "node-1");
	assert_ptr_equal(object->slice.endpoints[0].node_name,
			 object->slice.endpoints[1].node_name);
	assert_ptr_equal(object->slice.endpoints[0].zone, object->slice.endpoints[1].zone);
	object_free(object);
}

static void try_decode(const char *text, size_t len)
{
	/* An allocation of exactly that size, so that reading on is found out. */
	char *copy = malloc(len ? len : 1);
	struct object *object = NULL;
	struct err err;
	int ret;

	assert_non_null(copy);
	memcpy(copy, text, len);
	ret = decode(copy, len, KIND_NONE, &object, &err);
	if (!ret)
		free(encoded(object));
	else
		assert_int_equal(ret, -EINVAL);
	object_free(object);
	free(copy);
}

static void damaged_objects_do_no_harm(void **state)
{
	static const char bytes[] = "\"\\{}[],:0e-ntu\x80\xff";
	static const char *const files[] = { "get-service-dual", "get-endpointslice-manual-1" };
	size_t i, at, b;

	for (i = 0; i < COUNT(files); i++) {
		json_t *json = recording(files[i]);
		char *text = json_dumps(json_object_get(json_object_get(json, "response"), "body"),
					JSON_COMPACT);
		const size_t len = strlen(text);

		for (at = 0; at < len; at++) {
			const char was = text[at];

			try_decode(text, at);
			/* with the NUL at the end */
			for (b = 0; b < sizeof(bytes); b++) {
				text[at] = bytes[b];
				try_decode(text, len);
			}
			text[at] = was;
		}
		free(text);
		json_decref(json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_a_real_server),
		cmocka_unit_test(watches_of_a_real_server),
		cmocka_unit_test(single_objects_of_a_real_server),
		cmocka_unit_test(what_the_api_may_say),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(too_deep),
		cmocka_unit_test(too_large),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(many_labels),
		cmocka_unit_test(many_errors),
		cmocka_unit_test(what_comes_again_is_kept_once),
		cmocka_unit_test(damaged_objects_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
