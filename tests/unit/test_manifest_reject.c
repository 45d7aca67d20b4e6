/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What manifests may not say: one row per rejection, with its whole message. */
#include "source/manifest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct row {
	const char *text;
	const char *message; /* of the first error */
};

/* @return whether @text is refused with that message */
static bool is_refused(const char *text, const char *message)
{
	struct object_set set = { 0 };
	struct diags diags = { 0 };
	struct err err;
	const int ret = manifest_load_buffer(&(struct manifest_text){ "f", text, strlen(text) },
					     &set, &diags, &err);
	const char *got = diags.n_errors ? diags.errors[0].text : "no error";
	const bool ok = ret == -EINVAL && !set.n && !strcmp(got, message);

	if (!ok)
		print_error("%s\nexpected: %s\n     got: %s\n", text, message, got);
	object_set_done(&set);
	diags_done(&diags);
	return ok;
}

static void expect_all(const struct row *rows, size_t n)
{
	size_t i, failed = 0;

	for (i = 0; i < n; i++)
		failed += !is_refused(rows[i].text, rows[i].message);
	assert_int_equal(failed, 0);
}

/* The texts begin with these four lines, so that what a row says begins at line 5. */
#define OBJECT(version, kind) "apiVersion: " version "\nkind: " kind "\nmetadata:\n  name: a\n"
#define SERVICE		      OBJECT("v1", "Service")
#define ENDPOINTS	      OBJECT("v1", "Endpoints")
#define SLICE		      OBJECT("discovery.k8s.io/v1", "EndpointSlice")
#define POD		      OBJECT("v1", "Pod")
#define NODE		      OBJECT("v1", "Node")
/* A Service with a port in line 6, its spec going on in line 7. */
#define PORT80		      SERVICE "spec:\n  ports: [{port: 80}]\n"

static void syntax(void **state)
{
	static const struct row rows[] = {
		{ "a: [1, 2", "f:2:1: expected \",\" or \"]\" (while parsing a flow sequence that "
			      "begins at line 1); the document is cut off" },
		{ "{\"a\": 1", "f:2:1: expected \",\" or \"}\" (while parsing a flow mapping that "
			       "begins at line 1); the document is cut off" },
		{ "a:\n\tb: 1", "f:2:1: a tab: YAML is indented with spaces only" },
		{ "a: b: c", "f:1:5: a \": \" is not allowed here: is the indentation right, or a "
			     "quote missing?" },
		{ "a: \"b", "f:1:6: the text ends inside a quoted string" },
		{ "- a\nb: c", "f:2:1: expected \"- \" here: is the indentation that of the list's "
			       "other entries? (while parsing a block collection that begins at "
			       "line 1)" },
		{ "a: @b", "f:1:4: no value can begin with this character: put the value in "
			   "quotes" },
		{ "a: \x01", "f:1:4: a control character (0x01): this is not a text" },
		{ "\xc3\xa4: \xff", "f:1:4: invalid UTF-8 (invalid leading UTF-8 octet): manifests "
				    "are UTF-8 text" },
		{ "a: \"\\0\"", "f:1:4: a: the value holds a NUL character" },
		{ "a: !!binary aGk=", "f:1:4: a: a tag that no Kubernetes manifest may have" },
		{ "a: *b", "f:1:4: a: an alias (*) of an anchor (&) that isn't there" },
		{ "a: &b [*b]", "f:1:8: a[0]: an alias inside of its own anchor" },
		{ "? [a]\n: b", "f:1:3: a key must be a plain word or a string" },
		{ "a: &b {c: d}\n? *b\n: e", "f:2:3: a key must be a plain word or a string" },
		{ "a: {<<: 1}", "f:1:9: a: the value of << must be a map or a list of maps" },
		{ "a: 1\nb: 2\na: 3", "f:3:1: a: duplicate key, first at line 1" },
		{ "a:\n- b:\n  - c: 1\n    c: 2",
		  "f:4:5: a[0].b[0].c: duplicate key, first at line 3" },
		{ "a: {x.y/z: 1, \"x.y/z\": 2}",
		  "f:1:15: a[x.y/z]: duplicate key, first at line 1" },
	};

	expect_all(rows, COUNT(rows));
}

static void which_object(void **state)
{
	static const struct row rows[] = {
		{ "just text", "f:1:1: expected a Kubernetes object (a map), found the string "
			       "\"just text\"" },
		{ "[a]", "f:1:1: expected a Kubernetes object (a map), found a list" },
		{ "kind: Service", "f:1:1: apiVersion: required, but missing" },
		{ "apiVersion: v1", "f:1:1: kind: required, but missing" },
		{ "apiVersion: 1\nkind: Service",
		  "f:1:13: apiVersion: expected a string, found the integer 1" },
		{ "apiVersion: v1\nkind: Servce",
		  "f:2:7: kind: v1 has no kind \"Servce\" (did you mean \"Service\"?)" },
		{ "apiVersion: v1\nkind: service",
		  "f:2:7: kind: v1 has no kind \"service\" (did you mean \"Service\"?)" },
		{ "apiVersion: v1\nkind: Wombat", "f:2:7: kind: v1 has no kind \"Wombat\"" },
		{ "apiVersion: apps/v1\nkind: Service",
		  "f:1:13: apiVersion: Service is of v1, not of \"apps/v1\"" },
		{ "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice",
		  "f:1:13: apiVersion: EndpointSlice is of discovery.k8s.io/v1, not of "
		  "\"discovery.k8s.io/v1beta1\"" },
		{ "apiVersion: v1\nkind: List\nitmes: []",
		  "f:3:1: itmes: unknown field (did you mean \"items\"?)" },
		{ "apiVersion: v1\nkind: List\nitems: {}",
		  "f:3:8: items: expected a list, found a map" },
		{ "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List}]",
		  "f:3:32: items[0].kind: a List inside of a List" },
		{ "apiVersion: v1\nkind: List\nitems: [{metadata: {name: a}}]",
		  "f:3:9: items[0].apiVersion: required, but missing" },
		{ "apiVersion: v1\nkind: ServiceList\nitems: [{kind: Pod}]",
		  "f:3:16: items[0].kind: expected Service, as in every item of this list" },
		{ "apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: a}, spec: {prts: "
		  "[]}}]",
		  "f:3:38: items[0].spec.prts: unknown field (did you mean \"ports\"?)" },
	};

	expect_all(rows, COUNT(rows));
}

static void metadata(void **state)
{
#define META(text) \
	"apiVersion: v1\nkind: Service\nspec: {ports: [{port: 80}]}\nmetadata: {" text "}"
	static const struct row rows[] = {
		{ META(""), "f:4:11: metadata.name: required, but missing" },
		{ META("generateName: a-"),
		  "f:4:11: metadata.name: required, but missing: only a cluster makes names of "
		  "generateName" },
		{ META("name: A"),
		  "f:4:18: metadata.name: \"A\" is no DNS label (RFC 1035): lower case letters, "
		  "digits and '-', a letter at the beginning, a letter or digit at the end" },
		{ META("name: a.b"),
		  "f:4:18: metadata.name: \"a.b\" is no DNS label (RFC 1035): lower case letters, "
		  "digits and '-', a letter at the beginning, a letter or digit at the end" },
		{ META("name: 1"), "f:4:18: metadata.name: expected a string, found the integer 1 "
				   "(put it in quotes)" },
		{ META("name: "
		       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
		  "f:4:18: metadata.name: "
		  "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"... is longer "
		  "than SH_NAME_MAX (63) characters" },
		{ META("name: a, namespace: -x"),
		  "f:4:32: metadata.namespace: \"-x\" is no DNS label: lower case letters, digits "
		  "and '-', a letter or digit at both ends" },
		{ META("name: a, labels: {v: 1.20}"),
		  "f:4:33: metadata.labels.v: expected a string, found the number 1.20 (put it in "
		  "quotes)" },
		{ META("name: a, labels: {v: yes}"),
		  "f:4:33: metadata.labels.v: expected a string, found the boolean yes (put it in "
		  "quotes)" },
		{ META("name: a, labels: {v: a b}"),
		  "f:4:33: metadata.labels.v: \"a b\" is no valid label: letters, digits, '-', '_' "
		  "and '.', a letter or digit at both ends" },
		{ META("name: a, labels: {a b: v}"),
		  "f:4:30: metadata.labels[a b]: \"a b\" is no valid key: [DNS name/]name; the "
		  "name: letters, digits, '-', '_' and '.', a letter or digit at both ends" },
		{ META("name: a, labels: [v]"),
		  "f:4:29: metadata.labels: expected a map, found a list" },
		{ META("name: a, label: {}"),
		  "f:4:21: metadata.label: unknown field (did you mean \"labels\"?)" },
		{ META("name: a, xyzzy: {}"),
		  "f:4:21: metadata.xyzzy: unknown field: metadata has none of that name" },
		{ META("name: a, annotations: {shunt.io/weight: \"-1\"}"),
		  "f:4:52: metadata.annotations[shunt.io/weight]: \"-1\" is no weight: a whole "
		  "number from 0 to SH_WEIGHT_MAX (1000)" },
		{ META("name: a, annotations: {shunt.io/weight: \"1001\"}"),
		  "f:4:52: metadata.annotations[shunt.io/weight]: \"1001\" is no weight: a whole "
		  "number from 0 to SH_WEIGHT_MAX (1000)" },
		{ META("name: a, annotations: {shunt.io/algorithm: rr}"),
		  "f:4:55: metadata.annotations[shunt.io/algorithm]: \"rr\" is not one of maglev, "
		  "random or least-conn" },
		{ META("name: a, annotations: {shunt.io/socket-lb: off}"),
		  "f:4:55: metadata.annotations[shunt.io/socket-lb]: expected a string, found the "
		  "boolean off (put it in quotes)" },
		{ META("name: a, annotations: {shunt.io/socket-lb: \"no\"}"),
		  "f:4:55: metadata.annotations[shunt.io/socket-lb]: \"no\" is neither on nor "
		  "off" },
		{ META("name: a, annotations: {shunt.io/wieght: \"1\"}"),
		  "f:4:52: metadata.annotations[shunt.io/wieght]: unknown annotation (did you mean "
		  "\"shunt.io/weight\"?)" },
		{ OBJECT("v1", "Node") "  namespace: b\n",
		  "f:5:14: metadata.namespace: a Node has no namespace" },
		{ "apiVersion: v1\nkind: Service\nspec: {ports: [{port: 80}]}\n",
		  "f:1:1: metadata: required, but missing" },
	};

	expect_all(rows, COUNT(rows));
}

static void service_ports(void **state)
{
#define PORTS(text) SERVICE "spec:\n  ports: [" text "]"
	static const struct row rows[] = {
		{ SERVICE, "f:1:1: spec: required, but missing" },
		{ SERVICE "spec: {}", "f:5:7: spec.ports: required: a Service needs a port" },
		{ SERVICE "spec: {ports: {}}", "f:5:15: spec.ports: expected a list, found a map" },
		{ PORTS("80"), "f:6:11: spec.ports[0]: expected a map, found the integer 80" },
		{ PORTS("null"), "f:6:11: spec.ports[0]: expected a map, found null" },
		{ PORTS("{}"), "f:6:11: spec.ports[0].port: required, but missing" },
		{ PORTS("{port: }"), "f:6:11: spec.ports[0].port: required, but missing" },
		{ PORTS("{port: \"80\"}"), "f:6:18: spec.ports[0].port: expected an integer, found "
					   "the string \"80\"" },
		{ PORTS("{port: 80.5}"),
		  "f:6:18: spec.ports[0].port: expected an integer, found the number 80.5" },
		{ PORTS("{port: true}"),
		  "f:6:18: spec.ports[0].port: expected an integer, found the boolean true" },
		{ PORTS("{port: 0}"), "f:6:18: spec.ports[0].port: 0 is not in 1-65535" },
		{ PORTS("{port: 65536}"), "f:6:18: spec.ports[0].port: 65536 is not in 1-65535" },
		{ PORTS("{port: -1}"), "f:6:18: spec.ports[0].port: -1 is not in 1-65535" },
		{ PORTS("{port: 99999999999999999999}"),
		  "f:6:18: spec.ports[0].port: 99999999999999999999 is not in 1-65535" },
		{ PORTS("{port: 80, nodePort: 30000}"),
		  "f:6:32: spec.ports[0].nodePort: only a Service of type NodePort or LoadBalancer "
		  "has one" },
		{ PORTS("{port: 80, protocol: tcp}"),
		  "f:6:32: spec.ports[0].protocol: \"tcp\" is not one of TCP, UDP or SCTP (did you "
		  "mean \"TCP\"?)" },
		{ PORTS("{port: 80, protocol: ICMP}"),
		  "f:6:32: spec.ports[0].protocol: \"ICMP\" is not one of TCP, UDP or SCTP" },
		{ PORTS("{port: 80, name: Http}"),
		  "f:6:28: spec.ports[0].name: \"Http\" is no DNS label: lower case letters, "
		  "digits and '-', a letter or digit at both ends" },
		{ PORTS("{port: 80, targetPort: 0}"),
		  "f:6:34: spec.ports[0].targetPort: 0 is not in 1-65535" },
		{ PORTS("{port: 80, targetPort: \"8080\"}"),
		  "f:6:34: spec.ports[0].targetPort: \"8080\" is no port name: it must hold a "
		  "letter" },
		{ PORTS("{port: 80, targetPort: a-name-too-long-}"),
		  "f:6:34: spec.ports[0].targetPort: \"a-name-too-long-\" is no port name: longer "
		  "than 15 characters" },
		{ PORTS("{port: 80, targetPort: a--b}"),
		  "f:6:34: spec.ports[0].targetPort: \"a--b\" is no port name: lower case letters, "
		  "digits and single '-', a letter or digit at both ends" },
		{ PORTS("{port: 80, targetPort: [1]}"),
		  "f:6:34: spec.ports[0].targetPort: expected an integer or a string, found a "
		  "list" },
		{ PORTS("{port: 80, name: a}, {port: 81}"),
		  "f:6:32: spec.ports[1].name: required where a Service has several ports" },
		{ PORTS("{port: 80, name: a}, {port: 81, name: a}"),
		  "f:6:49: spec.ports[1].name: \"a\" is also the name of spec.ports[0]" },
		{ PORTS("{port: 80, name: a}, {port: 80, name: b}"),
		  "f:6:39: spec.ports[1].port: 80/TCP is already spec.ports[0]" },
		{ PORTS("{port: 80, name: a, nodePort: 30001}, {port: 81, name: b, nodePort: "
			"30001}") "\n  type: NodePort",
		  "f:6:79: spec.ports[1].nodePort: 30001/TCP is already spec.ports[0]'s" },
		{ PORTS("{port: 132, protocol: SCTP, targetPort: 133}"),
		  "f:6:51: spec.ports[0].targetPort: 133 is not port 132: SCTP ports can't be "
		  "translated (their checksum covers the whole packet); make both equal" },
		{ PORTS("{poret: 80}"),
		  "f:6:12: spec.ports[0].poret: unknown field (did you mean \"port\"?)" },
		{ PORTS("{port: 80, targetport: 80}"), "f:6:22: spec.ports[0].targetport: unknown "
						       "field (did you mean \"targetPort\"?)" },
		{ PORTS("{port: 80, color: red}"),
		  "f:6:22: spec.ports[0].color: unknown field: a Service's port has none of that "
		  "name" },
	};

	expect_all(rows, COUNT(rows));
}

static void service_addresses(void **state)
{
	static const struct row rows[] = {
		{ PORT80 "  clusterIP: 10.0.0", "f:7:14: spec.clusterIP: \"10.0.0\" is neither an "
						"IP address nor None" },
		{ PORT80 "  clusterIP: none",
		  "f:7:14: spec.clusterIP: \"none\" is neither an IP address nor None" },
		{ PORT80 "  clusterIP: 10.0.0.1\n  clusterIPs: [10.0.0.2]",
		  "f:8:16: spec.clusterIPs[0]: 10.0.0.2 must be the same as spec.clusterIP, "
		  "10.0.0.1" },
		{ PORT80 "  clusterIPs: [10.0.0.2]", "f:7:15: spec.clusterIPs: spec.clusterIP must "
						     "be given too, the same as the first "
						     "of these" },
		{ PORT80 "  ipFamilyPolicy: PreferDualStack\n  clusterIP: 10.0.0.1\n  clusterIPs: "
			 "[10.0.0.1, 10.0.0.2]",
		  "f:9:26: spec.clusterIPs[1]: a second IPv4 address: one of each family" },
		{ PORT80 "  clusterIP: 10.0.0.1\n  clusterIPs: [10.0.0.1, \"fd00::1\"]",
		  "f:6:3: spec.ipFamilyPolicy: must be PreferDualStack or RequireDualStack for two "
		  "families" },
		{ PORT80 "  clusterIPs: [10.0.0.1, 10.0.0.2, 10.0.0.3]",
		  "f:7:15: spec.clusterIPs: 3 entries: at most 2" },
		{ PORT80 "  clusterIP: None\n  clusterIPs: [None, 10.0.0.1]",
		  "f:8:22: spec.clusterIPs[1]: None must be the only one" },
		{ PORT80 "  clusterIP: None\n  type: NodePort",
		  "f:7:14: spec.clusterIP: None is not possible for type NodePort" },
		{ PORT80 "  ipFamilies: [ipv4]",
		  "f:7:16: spec.ipFamilies[0]: \"ipv4\" is not one of IPv4 or IPv6 (did you mean "
		  "\"IPv4\"?)" },
		{ PORT80 "  ipFamilyPolicy: RequireDualStack\n  ipFamilies: [IPv4, IPv4]",
		  "f:8:22: spec.ipFamilies[1]: IPv4 stands there twice" },
		{ PORT80 "  ipFamilyPolicy: SingleStack\n  ipFamilies: [IPv4, IPv6]",
		  "f:7:19: spec.ipFamilyPolicy: must be PreferDualStack or RequireDualStack for "
		  "two "
		  "families" },
		{ PORT80 "  ipFamilies: [IPv6]\n  clusterIP: 10.0.0.1",
		  "f:7:16: spec.ipFamilies[0]: IPv6, but spec.clusterIPs[0] is IPv4" },
		{ PORT80 "  ipFamilyPolicy: Dual", "f:7:19: spec.ipFamilyPolicy: \"Dual\" is not "
						   "one of SingleStack, PreferDualStack "
						   "or RequireDualStack" },
		{ PORT80 "  externalIPs: [a.example]",
		  "f:7:17: spec.externalIPs[0]: \"a.example\" is no IP address" },
		{ PORT80 "  externalIPs: [127.0.0.1]",
		  "f:7:17: spec.externalIPs[0]: 127.0.0.1 is a "
		  "loopback address: no Service may have it" },
		{ PORT80 "  externalIPs: [1.2.3.4, 169.254.1.1]",
		  "f:7:26: spec.externalIPs[1]: 169.254.1.1 is a link-local address: no Service "
		  "may have it" },
		{ PORT80 "  externalIPs: [\"::\"]", "f:7:17: spec.externalIPs[0]: :: is the "
						    "unspecified address: no Service may have it" },
		{ PORT80 "status: {loadBalancer: {ingress: [{ip: x}]}}",
		  "f:7:40: status.loadBalancer.ingress[0].ip: \"x\" is no IP address" },
		{ PORT80 "status: {loadBalancer: {ingress: [{ipMode: VIP}]}}",
		  "f:7:44: status.loadBalancer.ingress[0].ipMode: only an ingress point with an ip "
		  "has it" },
	};

	expect_all(rows, COUNT(rows));
}

static void service_types_and_policies(void **state)
{
	static const struct row rows[] = {
		{ PORT80 "  type: Nodeport",
		  "f:7:9: spec.type: \"Nodeport\" is not one of "
		  "ClusterIP, NodePort, LoadBalancer or ExternalName (did "
		  "you mean \"NodePort\"?)" },
		{ PORT80 "  type: ExternalName",
		  "f:6:3: spec.externalName: required for type ExternalName" },
		{ PORT80 "  type: ExternalName\n  externalName: a_b",
		  "f:8:17: spec.externalName: \"a_b\" is no DNS name: lower case letters, digits, "
		  "'-' and '.', a letter or digit at both ends of each part" },
		{ PORT80 "  type: ExternalName\n  externalName: a.b\n  clusterIP: None",
		  "f:9:14: spec.clusterIP: a Service of type ExternalName must not have it" },
		{ PORT80 "  loadBalancerSourceRanges: [10.0.0.0/8]",
		  "f:7:29: spec.loadBalancerSourceRanges: only a Service of type LoadBalancer has "
		  "it" },
		{ PORT80 "  type: LoadBalancer\n  loadBalancerSourceRanges: [10.0.0.0]",
		  "f:8:30: spec.loadBalancerSourceRanges[0]: \"10.0.0.0\" is no network: "
		  "ADDRESS/LENGTH" },
		{ PORT80 "  type: LoadBalancer\n  loadBalancerSourceRanges: [10.0.0.0/33]",
		  "f:8:30: spec.loadBalancerSourceRanges[0]: \"10.0.0.0/33\" is no network: "
		  "ADDRESS/LENGTH" },
		{ PORT80 "  loadBalancerClass: a/b",
		  "f:7:22: spec.loadBalancerClass: only a Service of type LoadBalancer has it" },
		{ PORT80 "  allocateLoadBalancerNodePorts: false",
		  "f:7:34: spec.allocateLoadBalancerNodePorts: only a Service of type LoadBalancer "
		  "has it" },
		{ PORT80 "  sessionAffinity: clientIP",
		  "f:7:20: spec.sessionAffinity: \"clientIP\" is not one of None or ClientIP (did "
		  "you mean \"ClientIP\"?)" },
		{ PORT80 "  sessionAffinityConfig: {clientIP: {timeoutSeconds: 10}}",
		  "f:7:26: spec.sessionAffinityConfig: only with sessionAffinity: ClientIP" },
		{ PORT80 "  sessionAffinity: ClientIP\n  sessionAffinityConfig: {clientIP: "
			 "{timeoutSeconds: 86401}}",
		  "f:8:54: spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401 is not in "
		  "1-86400 (SH_AFFINITY_SECONDS_MAX)" },
		{ PORT80 "  internalTrafficPolicy: local",
		  "f:7:26: spec.internalTrafficPolicy: \"local\" is not one of Cluster or Local "
		  "(did you mean \"Local\"?)" },
		{ PORT80 "  healthCheckNodePort: 30000",
		  "f:7:24: spec.healthCheckNodePort: only a Service of type LoadBalancer with "
		  "externalTrafficPolicy: Local has it" },
		{ PORT80 "  trafficDistribution: Near",
		  "f:7:24: spec.trafficDistribution: \"Near\" is not one of PreferClose, "
		  "PreferSameZone or PreferSameNode" },
		{ PORT80 "  publishNotReadyAddresses: \"true\"",
		  "f:7:29: spec.publishNotReadyAddresses: expected true or false, found the string "
		  "\"true\"" },
		{ PORT80 "  selector: {app: 1}",
		  "f:7:19: spec.selector.app: expected a string, found the integer 1 (put it in "
		  "quotes)" },
		{ PORT80 "  topologyKeys: []",
		  "f:7:3: spec.topologyKeys: unknown field: a Service's spec has none of that "
		  "name" },
	};

	expect_all(rows, COUNT(rows));
}

static void endpoints(void **state)
{
#define SUBSET(text) ENDPOINTS "subsets:\n- {" text "}"
#define IP(text)     SUBSET("addresses: [{ip: " text "}]")
	static const struct row rows[] = {
		{ SUBSET("ports: [{port: 80}]"),
		  "f:6:3: subsets[0]: needs addresses or notReadyAddresses" },
		{ IP("1.2.3"), "f:6:21: subsets[0].addresses[0].ip: \"1.2.3\" is no IP address" },
		{ IP("127.0.0.1"), "f:6:21: subsets[0].addresses[0].ip: 127.0.0.1 is a loopback "
				   "address: no endpoint may have it" },
		{ IP("224.0.0.1"), "f:6:21: subsets[0].addresses[0].ip: 224.0.0.1 is a multicast "
				   "address: no endpoint may have it" },
		{ IP("\"fe80::1\""), "f:6:21: subsets[0].addresses[0].ip: fe80::1 is a link-local "
				     "address: no endpoint may have it" },
		{ SUBSET("notReadyAddresses: [{ip: 0.0.0.0}]"),
		  "f:6:29: subsets[0].notReadyAddresses[0].ip: 0.0.0.0 is the unspecified address: "
		  "no endpoint may have it" },
		{ SUBSET("addresses: [{hostname: a}]"),
		  "f:6:16: subsets[0].addresses[0].ip: required, but missing" },
		{ SUBSET("addresses: [{ip: 1.2.3.4}], ports: [{name: a}]"),
		  "f:6:40: subsets[0].ports[0].port: required, but missing" },
		{ SUBSET("addresses: [{ip: 1.2.3.4}], ports: [{port: 1}, {port: 2, name: b}]"),
		  "f:6:40: subsets[0].ports[0].name: required where a subset has several ports" },
		{ SUBSET("addresses: [{ip: 1.2.3.4}], ports: [{port: 1, name: b}, {port: 2, name: "
			 "b}]"),
		  "f:6:76: subsets[0].ports[1].name: \"b\" is also the name of "
		  "subsets[0].ports[0]" },
		{ SUBSET("addreses: [{ip: 1.2.3.4}]"),
		  "f:6:4: subsets[0].addreses: unknown field (did you mean \"addresses\"?)" },
	};

	expect_all(rows, COUNT(rows));
}

static void slices(void **state)
{
#define V4(text) SLICE "addressType: IPv4\n" text
	static const struct row rows[] = {
		{ SLICE "endpoints: []", "f:1:1: addressType: required, but missing" },
		{ SLICE "addressType: ipv4",
		  "f:5:14: addressType: \"ipv4\" is not one of IPv4, IPv6 or FQDN (did you mean "
		  "\"IPv4\"?)" },
		{ V4("endpoints: [{}]"), "f:6:13: endpoints[0].addresses: required, but missing" },
		{ V4("endpoints: [{addresses: []}]"),
		  "f:6:25: endpoints[0].addresses: an endpoint needs an address" },
		{ V4("endpoints: [{addresses: [\"fd00::1\"]}]"),
		  "f:6:26: endpoints[0].addresses[0]: fd00::1 is no IPv4 address, as addressType "
		  "says" },
		{ V4("endpoints: [{addresses: [1.2.3.4, 127.0.0.1]}]"),
		  "f:6:35: endpoints[0].addresses[1]: 127.0.0.1 is a loopback address: no endpoint "
		  "may have it" },
		{ V4("endpoints: [{addresses: [1.2.3.4], conditions: {redy: true}}]"),
		  "f:6:49: endpoints[0].conditions.redy: unknown field (did you mean \"ready\"?)" },
		{ V4("endpoints: [{addresses: [1.2.3.4], conditions: {ready: \"True\"}}]"),
		  "f:6:56: endpoints[0].conditions.ready: expected true or false, found the string "
		  "\"True\"" },
		{ V4("ports: [{port: 1}, {port: 2}]"),
		  "f:6:20: ports[1].name: \"\" is also the name of ports[0]" },
		{ SLICE "addressType: FQDN\nendpoints: [{addresses: [A_b]}]",
		  "f:6:26: endpoints[0].addresses[0]: \"A_b\" is no DNS name: lower case letters, "
		  "digits, '-' and '.', a letter or digit at both ends of each part" },
		{ V4("endpoints: [{addresses: [1.2.3.4], nodeName: X}]"),
		  "f:6:46: endpoints[0].nodeName: \"X\" is no DNS name: lower case letters, "
		  "digits, "
		  "'-' and '.', a letter or digit at both ends of each part" },
	};

	expect_all(rows, COUNT(rows));
}

static void pods_and_nodes(void **state)
{
	static const struct row rows[] = {
		{ POD "spec: {containers: [{ports: [{containerPort: 0}]}]}",
		  "f:5:46: spec.containers[0].ports[0].containerPort: 0 is not in 1-65535" },
		{ POD "spec: {containers: [{ports: [{name: a, containerPort: 1}, {name: a, "
		      "containerPort: 2}]}]}",
		  "f:5:66: spec.containers[0].ports[1].name: \"a\" is also the name of port 0" },
		{ POD "spec: {containers: [{prots: []}]}",
		  "f:5:22: spec.containers[0].prots: unknown field (did you mean \"ports\"?)" },
		{ POD "spec: {nodename: a}",
		  "f:5:8: spec.nodename: unknown field (did you mean \"nodeName\"?)" },
		{ POD "status: {podIP: 1.2.3.4, podIPs: [{ip: 1.2.3.5}]}",
		  "f:5:40: status.podIPs[0].ip: 1.2.3.5 must be the same as status.podIP, "
		  "1.2.3.4" },
		{ POD "status: {podIPs: [{ip: 1.2.3.4}, {ip: 1.2.3.5}]}",
		  "f:5:39: status.podIPs[1].ip: a second IPv4 address: one of each family" },
		{ POD "status: {phase: running}",
		  "f:5:17: status.phase: \"running\" is not one of Pending, Running, Succeeded, "
		  "Failed or Unknown (did you mean \"Running\"?)" },
		{ POD "status: {conditions: [{type: Ready, status: true}]}",
		  "f:5:45: status.conditions[0].status: expected a string, found the boolean true "
		  "(put it in quotes)" },
		{ NODE "status: {addresses: [{type: InternalIP, address: host}]}",
		  "f:5:50: status.addresses[0].address: \"host\" is no IP address" },
		{ NODE "status: {addresses: [{type: Internal, address: host}]}",
		  "f:5:29: status.addresses[0].type: \"Internal\" is not one of InternalIP, "
		  "ExternalIP, Hostname, InternalDNS or ExternalDNS" },
		{ NODE "spec: {podCIDR: 10.1.2.3/24}",
		  "f:5:17: spec.podCIDR: \"10.1.2.3/24\" is no network: ADDRESS/LENGTH, its host "
		  "bits zero" },
		{ NODE "spec: {podCIDR: 10.1.2.0/24, podCIDRs: [10.1.3.0/24]}",
		  "f:5:41: spec.podCIDRs[0]: 10.1.3.0/24 must be the same as spec.podCIDR, "
		  "10.1.2.0/24" },
	};

	expect_all(rows, COUNT(rows));
}

static void the_examples_of_bad_manifests(void **state)
{
	static const struct {
		const char *file, *message;
	} rows[] = {
		{ "examples/bad/typo.yaml",
		  ":15:7: spec.ports[1].poret: unknown field (did you mean \"port\"?)" },
		{ "examples/bad/quoted-port.yaml",
		  ":11:13: spec.ports[0].port: expected an integer, found the string \"80\"" },
		{ "examples/bad/duplicate-key.yaml",
		  ":14:3: spec.selector: duplicate key, first at line 8" },
		{ "examples/bad/unnamed-ports.yaml",
		  ":14:7: spec.ports[1].name: required where a Service has several ports" },
		{ "examples/bad/protocol-case.yaml",
		  ":12:17: spec.ports[0].protocol: \"udp\" is not one of TCP, UDP or SCTP (did you "
		  "mean \"UDP\"?)" },
		{ "examples/bad/tabs.yaml", ":6:1: a tab: YAML is indented with spaces only" },
		{ "examples/bad/label-number.yaml",
		  ":10:14: spec.selector.version: expected a string, found the integer 2 (put it "
		  "in quotes)" },
		{ "examples/bad/node-port.yaml",
		  ":13:17: spec.ports[0].nodePort: only a Service of type NodePort or LoadBalancer "
		  "has one" },
	};
	struct object_set set = { 0 };
	struct err err;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		struct diags diags = { 0 };
		char line[512];

		assert_int_equal(manifest_load(&rows[i].file, 1, &set, &diags, &err), -EINVAL);
		assert_int_equal(diags_count(&diags), 1);
		(void)snprintf(line, sizeof(line), "%s%s", rows[i].file, rows[i].message);
		assert_string_equal(diags.errors[0].text, line);
		assert_string_equal(err.msg, "1 error in 1 file; nothing was loaded");
		diags_done(&diags);
	}
	assert_int_equal(set.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syntax),
		cmocka_unit_test(which_object),
		cmocka_unit_test(metadata),
		cmocka_unit_test(service_ports),
		cmocka_unit_test(service_addresses),
		cmocka_unit_test(service_types_and_policies),
		cmocka_unit_test(endpoints),
		cmocka_unit_test(slices),
		cmocka_unit_test(pods_and_nodes),
		cmocka_unit_test(the_examples_of_bad_manifests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
