/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What manifests may say, what becomes of it, and what hostile ones may cost. */
#include "source/manifest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "shunt/limits.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DATA	     "tests/unit/manifests/"

struct loaded {
	struct object_set set;
	struct diags diags;
	struct err err;
	int ret;
};

static struct loaded load(const char *text)
{
	struct loaded l = { 0 };

	l.ret = manifest_load_buffer(&(struct manifest_text){ "f", text, strlen(text) }, &l.set,
				     &l.diags, &l.err);
	return l;
}

static struct loaded load_good(const char *text)
{
	struct loaded l = load(text);

	if (l.ret)
		fail_msg("%s\n%s", text, l.diags.n_errors ? l.diags.errors[0].text : l.err.msg);
	return l;
}

static void unload(struct loaded *l)
{
	object_set_done(&l->set);
	diags_done(&l->diags);
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

/* ---- decoding and encoding ----------------------------------------------- */

#define NAME_A "apiVersion: v1\nmetadata: {name: a}\n"
#define HEAD_A(kind)                                                                 \
	"{\"apiVersion\":\"v1\",\"kind\":\"" kind "\",\"metadata\":{\"name\":\"a\"," \
	"\"namespace\":\"default\"}"

/* Manifest in; out: what is kept of it, written as an API object. */
static const struct {
	const char *what, *text, *json;
} kept[] = {
	{ "a Service with defaults", NAME_A "kind: Service\nspec: {ports: [{port: 80}]}",
	  HEAD_A("Service") ",\"spec\":{\"type\":\"ClusterIP\",\"ports\":[{\"protocol\":\"TCP\","
			    "\"port\":80}]}}" },
	{ "an octal, a hexadecimal and a grouped number, as YAML 1.1 reads them",
	  NAME_A "kind: Service\nspec: {ports: [{name: a, port: 0120}, {name: b, port: 0x51}, "
		 "{name: c, port: 8_080}]}",
	  HEAD_A("Service") ",\"spec\":{\"type\":\"ClusterIP\",\"ports\":[{\"name\":\"a\","
			    "\"protocol\":\"TCP\",\"port\":80},{\"name\":\"b\",\"protocol\":"
			    "\"TCP\","
			    "\"port\":81},{\"name\":\"c\",\"protocol\":\"TCP\",\"port\":8080}]}}" },
	{ "null is absent, an empty string is absent where the API says so",
	  NAME_A "kind: Service\nspec: {ports: [{port: 80, name: \"\", targetPort: null}], "
		 "selector: ~, clusterIP: \"\", type: \"\", externalIPs: }\nstatus: null",
	  HEAD_A("Service") ",\"spec\":{\"type\":\"ClusterIP\",\"ports\":[{\"protocol\":\"TCP\","
			    "\"port\":80}]}}" },
	{ "everything a LoadBalancer has",
	  NAME_A "kind: Service\n"
		 "spec:\n"
		 "  type: LoadBalancer\n"
		 "  clusterIP: 10.96.0.9\n"
		 "  clusterIPs: [10.96.0.9, 'fd00::9']\n"
		 "  ipFamilies: [IPv4, IPv6]\n"
		 "  ipFamilyPolicy: RequireDualStack\n"
		 "  externalIPs: [192.0.2.1]\n"
		 "  loadBalancerIP: 198.51.100.1\n"
		 "  loadBalancerSourceRanges: [' 10.1.2.3/8 ', 'fd00::1/64']\n"
		 "  loadBalancerClass: example.com/lb\n"
		 "  allocateLoadBalancerNodePorts: false\n"
		 "  sessionAffinity: ClientIP\n"
		 "  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}\n"
		 "  internalTrafficPolicy: Local\n"
		 "  externalTrafficPolicy: Local\n"
		 "  healthCheckNodePort: 31000\n"
		 "  trafficDistribution: PreferClose\n"
		 "  publishNotReadyAddresses: true\n"
		 "  selector: {app: a, tier: ''}\n"
		 "  ports: [{name: dns, protocol: UDP, port: 53, targetPort: dns-udp, nodePort: "
		 "30053, appProtocol: x}]\n"
		 "status: {loadBalancer: {ingress: [{ip: 198.51.100.1, ipMode: Proxy}, {hostname: "
		 "a.example}, {ip: '2001:db8::1', ipMode: VIP, ports: []}]}, conditions: []}",
	  HEAD_A("Service") ",\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"name\":\"dns\","
			    "\"protocol\":\"UDP\",\"port\":53,\"targetPort\":\"dns-udp\","
			    "\"nodePort\":30053}],\"selector\":{\"app\":\"a\",\"tier\":\"\"},"
			    "\"clusterIP\":\"10.96.0.9\",\"clusterIPs\":[\"10.96.0.9\",\"fd00::9\"]"
			    ","
			    "\"ipFamilies\":[\"IPv4\",\"IPv6\"],\"ipFamilyPolicy\":"
			    "\"RequireDualStack\",\"externalIPs\":[\"192.0.2.1\"],"
			    "\"loadBalancerSourceRanges\":[\"10.0.0.0/8\",\"fd00::/64\"],"
			    "\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":"
			    "{\"clientIP\":{\"timeoutSeconds\":60}},\"internalTrafficPolicy\":"
			    "\"Local\",\"externalTrafficPolicy\":\"Local\",\"trafficDistribution\":"
			    "\"PreferClose\",\"publishNotReadyAddresses\":true,"
			    "\"allocateLoadBalancerNodePorts\":false,\"healthCheckNodePort\":31000,"
			    "\"loadBalancerClass\":\"example.com/"
			    "lb\"},\"status\":{\"loadBalancer\":"
			    "{\"ingress\":[{\"ip\":\"198.51.100.1\",\"ipMode\":\"Proxy\"},{},{"
			    "\"ip\":"
			    "\"2001:db8::1\"}]}}}" },
	{ "a headless Service without ports", NAME_A "kind: Service\nspec: {clusterIP: None}",
	  HEAD_A("Service") ",\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":\"None\","
			    "\"clusterIPs\":[\"None\"]}}" },
	{ "an ExternalName, its dot at the end kept",
	  NAME_A "kind: Service\nspec: {type: ExternalName, externalName: db.example.com.}",
	  HEAD_A("Service") ",\"spec\":{\"type\":\"ExternalName\",\"externalName\":"
			    "\"db.example.com.\"}}" },
	{ "SCTP with equal ports, and headless with unequal ones",
	  NAME_A "kind: Service\nspec: {ports: [{port: 132, protocol: SCTP, targetPort: 132}]}",
	  HEAD_A("Service") ",\"spec\":{\"type\":\"ClusterIP\",\"ports\":[{\"protocol\":\"SCTP\","
			    "\"port\":132,\"targetPort\":132}]}}" },
	{ "Endpoints, ready and not",
	  NAME_A "kind: Endpoints\nsubsets:\n- addresses: [{ip: 1.2.3.4, nodeName: n1, hostname: "
		 "h, targetRef: {kind: Pod, name: p, namespace: x}}]\n  notReadyAddresses: [{ip: "
		 "'fd00::1', targetRef: {kind: Wombat, name: w}}]\n  ports: [{name: a, port: 80}]",
	  HEAD_A("Endpoints") ",\"subsets\":[{\"addresses\":[{\"ip\":\"1.2.3.4\",\"hostname\":"
			      "\"h\",\"nodeName\":\"n1\",\"targetRef\":{\"kind\":\"Pod\",\"name\":"
			      "\"p\"}}],\"notReadyAddresses\":[{\"ip\":\"fd00::1\"}],\"ports\":"
			      "[{\"name\":\"a\",\"protocol\":\"TCP\",\"port\":80}]}]}" },
	{ "a Pod: ports of all containers and of sidecars, not of other init containers",
	  NAME_A "kind: Pod\n"
		 "spec:\n"
		 "  nodeName: n1\n"
		 "  hostNetwork: true\n"
		 "  hostname: h\n"
		 "  subdomain: s\n"
		 "  volumes: [{name: v, emptyDir: {}}]\n"
		 "  containers:\n"
		 "  - {name: c, image: i, env: [{name: A, value: b}], ports: [{containerPort: 80, "
		 "name: http}]}\n"
		 "  initContainers:\n"
		 "  - {name: once, ports: [{containerPort: 81}]}\n"
		 "  - {name: side, restartPolicy: Always, ports: [{containerPort: 82, protocol: "
		 "UDP}]}\n"
		 "status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "
		 "'fd00::1'}], conditions: [{type: Ready, status: 'True'}]}",
	  HEAD_A("Pod") ",\"spec\":{\"containers\":[{\"ports\":[{\"name\":\"http\","
			"\"containerPort\":80,\"protocol\":\"TCP\"}]},{\"ports\":[{"
			"\"containerPort\":82,\"protocol\":\"UDP\"}]}],\"nodeName\":\"n1\","
			"\"hostname\":\"h\",\"subdomain\":\"s\",\"hostNetwork\":true},\"status\":{"
			"\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],\"podIP\":"
			"\"10.0.0.1\",\"podIPs\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"fd00::1\"}]}}" },
	{ "a Pod that is being deleted, is finished and has podIP only",
	  "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b, deletionTimestamp: "
	  "2024-01-01T00:00:00Z}\nstatus: {phase: Failed, podIP: 10.0.0.1}",
	  "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":"
	  "\"b\",\"deletionTimestamp\":\"1970-01-01T00:00:00Z\"},\"status\":{\"phase\":"
	  "\"Succeeded\",\"podIP\":\"10.0.0.1\",\"podIPs\":[{\"ip\":\"10.0.0.1\"}]}}" },
	{ "a Node: addresses by type, names left out",
	  "apiVersion: v1\nkind: Node\nmetadata: {name: a, labels: {topology.kubernetes.io/zone: "
	  "z}}\nspec: {podCIDR: 10.1.0.0/24}\nstatus: {addresses: [{type: ExternalIP, address: "
	  "192.0.2.1}, {type: Hostname, address: a}, {type: InternalIP, address: 10.0.0.1}]}",
	  "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"a\",\"labels\":{"
	  "\"topology.kubernetes.io/zone\":\"z\"}},\"spec\":{\"podCIDR\":\"10.1.0.0/24\","
	  "\"podCIDRs\":[\"10.1.0.0/24\"]},\"status\":{\"addresses\":[{\"type\":\"InternalIP\","
	  "\"address\":\"10.0.0.1\"},{\"type\":\"ExternalIP\",\"address\":\"192.0.2.1\"}]}}" },
	{ "an EndpointSlice with all there is, addresses but the first left out",
	  "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a.b, labels: "
	  "{kubernetes.io/service-name: a}, annotations: {shunt.io/weight: '5'}}\naddressType: "
	  "IPv6\nendpoints:\n- addresses: ['fd00::1', 'fd00::2']\n  conditions: {ready: false, "
	  "serving: true, terminating: true}\n  nodeName: n1\n  zone: z\n  hostname: h\n  "
	  "targetRef: {kind: Pod, name: p}\n  hints: {forZones: [{name: z}], forNodes: [{name: "
	  "n1}]}\n- {addresses: ['fd00::3'], conditions: {}}\nports: [{name: a, port: 80, "
	  "protocol: UDP}, {name: b}]",
	  "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{"
	  "\"name\":\"a.b\",\"namespace\":\"default\",\"labels\":{\"kubernetes.io/service-name\":"
	  "\"a\"},\"annotations\":{\"shunt.io/weight\":\"5\"}},\"addressType\":\"IPv6\","
	  "\"endpoints\":[{\"addresses\":[\"fd00::1\"],\"conditions\":{\"ready\":false,"
	  "\"serving\":true,\"terminating\":true},\"nodeName\":\"n1\",\"zone\":\"z\",\"targetRef\":"
	  "{\"kind\":\"Pod\",\"name\":\"p\"},\"hostname\":\"h\",\"hints\":{\"forZones\":[{\"name\":"
	  "\"z\"}],\"forNodes\":[{\"name\":\"n1\"}]}},{\"addresses\":[\"fd00::3\"]}],\"ports\":[{"
	  "\"name\":\"a\",\"protocol\":\"UDP\",\"port\":80},{\"name\":\"b\",\"protocol\":\"TCP\"}]"
	  "}" },
	{ "an EndpointSlice that takes no new connections: weight 0",
	  "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a, annotations: "
	  "{shunt.io/weight: '0'}}\naddressType: IPv4\nendpoints: []",
	  "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{"
	  "\"name\":\"a\",\"namespace\":\"default\",\"annotations\":{\"shunt.io/weight\":"
	  "\"0\"}},\"addressType\":\"IPv4\"}" },
	{ "an EndpointSlice of names, as the API writes it",
	  "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{"
	  "\"name\":\"a\"},\"addressType\":\"FQDN\",\"endpoints\":[{\"addresses\":[\"a.example\"],"
	  "\"conditions\":{}}],\"ports\":null}",
	  "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{"
	  "\"name\":\"a\",\"namespace\":\"default\"},\"addressType\":\"FQDN\"}" },
	{ "anchors and merge keys: what stands in the map itself wins",
	  NAME_A "kind: Service\nspec:\n  ports:\n  - &p {port: 80, name: x, protocol: UDP}\n  - "
		 "{<<: *p, name: w, port: 81}\n  - {name: z, <<: [{port: 82}, *p]}",
	  HEAD_A("Service") ",\"spec\":{\"type\":\"ClusterIP\",\"ports\":[{\"name\":\"x\","
			    "\"protocol\":\"UDP\",\"port\":80},{\"name\":\"w\",\"protocol\":"
			    "\"UDP\","
			    "\"port\":81},{\"name\":\"z\",\"protocol\":\"UDP\",\"port\":82}]}}" },
};

static void what_is_kept_survives_encoding(void **state)
{
	size_t i;

	for (i = 0; i < COUNT(kept); i++) {
		struct loaded first = load_good(kept[i].text), second;
		char *json, *again;

		assert_int_equal(first.set.n, 1);
		json = encoded(first.set.v[0]);
		if (strcmp(json, kept[i].json) != 0)
			fail_msg("%s:\nexpected: %s\n     got: %s", kept[i].what, kept[i].json,
				 json);
		second = load_good(json);
		again = encoded(second.set.v[0]);
		assert_string_equal(again, json);
		free(again);
		free(json);
		unload(&second);
		unload(&first);
	}
}

static void decoded_values_are_the_models(void **state)
{
	struct loaded l = load_good(
		"# a comment\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  type: "
		"NodePort\n  ports:\n  - {port: 80, nodePort: 30080}\n---\napiVersion: v1\nkind: "
		"Node\nmetadata: {name: n1}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
		"status: {conditions: [{type: Ready, status: 'False'}]}");
	const struct object *service = object_set_find(&l.set, KIND_SERVICE, "default", "a");
	const struct object *node = object_set_find(&l.set, KIND_NODE, "", "n1");
	const struct object *pod = object_set_find(&l.set, KIND_POD, "default", "p");

	assert_non_null(service);
	assert_string_equal(service->origin.file, "f");
	assert_int_equal(service->origin.line, 2);
	assert_int_equal(service->service.type, SERVICE_NODE_PORT);
	assert_int_equal(service->service.ports[0].at.line, 8);
	assert_int_equal(service->service.ports[0].at.column, 5);
	assert_string_equal(service->service.ports[0].name, "");
	assert_int_equal(service->service.ports[0].node_port, 30080);
	assert_int_equal(service->service.affinity_seconds, 10800);
	assert_true(service->service.allocate_node_ports);
	assert_string_equal(service->service.external_name, "");
	assert_non_null(node);
	assert_string_equal(node->meta.ns, "");
	assert_string_equal(node->node.zone, "");
	assert_non_null(pod);
	assert_false(pod->pod.ready);
	assert_string_equal(pod->pod.node_name, "");
	assert_int_equal(object_set_first(&l.set, KIND_POD), 1);
	unload(&l);
}

/* ---- documents, lists, notes ---------------------------------------------- */

static void lists_unfold(void **state)
{
	struct loaded l = load_good(
		"---\n# nothing\n---\napiVersion: v1\nkind: List\nmetadata: {resourceVersion: "
		"'1'}\n"
		"items:\n- {apiVersion: v1, kind: Node, metadata: {name: a}}\n- {apiVersion: "
		"apps/v1, "
		"kind: Deployment, metadata: {name: web}}\n- {apiVersion: v1, kind: Pod, metadata: "
		"{name: b}}\n---\napiVersion: v1\nkind: NodeList\nitems: [{metadata: {name: c}}, "
		"{apiVersion: v1, kind: Node, metadata: {name: d}}]\n---\n{\"apiVersion\": \"v1\", "
		"\"kind\": \"PodList\", \"items\": null}\n...\n");

	assert_int_equal(l.set.n, 4);
	assert_non_null(object_set_find(&l.set, KIND_NODE, "", "d"));
	assert_int_equal(l.diags.n_notes, 1);
	assert_string_equal(l.diags.notes[0].text,
			    "f:9: Deployment \"web\" skipped: not a kind that shunt reads");
	unload(&l);
}

static void other_kinds_are_skipped_with_a_note(void **state)
{
	static const struct {
		const char *text, *note;
	} rows[] = {
		{ "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: y}",
		  "f:1: ConfigMap \"a\" skipped: not a kind that shunt reads" },
		{ "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}",
		  "f:1: Service \"a\" skipped: not a kind that shunt reads" },
		{ "apiVersion: example.com/v1\nkind: X", "f:1: X skipped: not a kind that shunt "
							 "reads" },
		{ "apiVersion: v1\nkind: ConfigMapList\nitems: []",
		  "f:1: ConfigMapList skipped: not a kind that shunt reads" },
		{ NAME_A "kind: Service\nspec: {ports: [{port: 80}], externalTrafficPolicy: Local}",
		  "f:4:52: spec.externalTrafficPolicy: has no effect: this Service has no address "
		  "outside the cluster" },
	};
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		struct loaded l = load_good(rows[i].text);

		assert_int_equal(l.diags.n_notes, 1);
		assert_string_equal(l.diags.notes[0].text, rows[i].note);
		unload(&l);
	}
}

static void nothing_is_no_error(void **state)
{
	static const char *const rows[] = { "",
					    "\n",
					    "---\n",
					    "# a\n",
					    "---\n---\n",
					    "null",
					    "\xef\xbb\xbf# a byte order mark\n" };
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		struct loaded l = load_good(rows[i]);

		assert_int_equal(l.set.n, 0);
		unload(&l);
	}
}

static void all_errors_are_reported_and_nothing_is_loaded(void **state)
{
	struct loaded l = load("apiVersion: v1\nkind: Node\nmetadata: {name: good}\n---\n"
			       "apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {typ: "
			       "NodePort, ports: [{port: x}]}\n---\napiVersion: v1\nkind: Node\n"
			       "metadata: {name: C}\n");

	assert_int_equal(l.ret, -EINVAL);
	assert_int_equal(l.set.n, 0);
	assert_int_equal(diags_count(&l.diags), 3);
	assert_string_equal(l.diags.errors[0].text,
			    "f:8:8: spec.typ: unknown field (did you mean \"type\"?)");
	assert_string_equal(l.err.msg, "3 errors in 1 file; nothing was loaded");
	assert_int_equal(l.err.exit, EXIT_INPUT);
	unload(&l);
}

static void only_so_many_errors_are_kept(void **state)
{
	struct loaded l;
	char *text = calloc(1, 1 << 16), *at = text;
	size_t i;

	for (i = 0; i < SH_ERRORS_MAX + 20; i++)
		at += sprintf(at, "---\n{apiVersion: v1, kind: Nod}\n");
	l = load(text);
	assert_int_equal(l.diags.n_errors, SH_ERRORS_MAX);
	assert_int_equal(l.diags.n_more_errors, 20);
	assert_string_equal(l.err.msg, "120 errors in 1 file; nothing was loaded");
	unload(&l);
	free(text);
}

static void messages_stay_one_printable_line(void **state)
{
	struct loaded l = load("apiVersion: v1\nkind: Node\nmetadata: {name: \"a\\nb\\e[31m\"}\n"
			       "\"sp\\nec\": 1\n");

	assert_int_equal(diags_count(&l.diags), 1);
	assert_string_equal(l.diags.errors[0].text,
			    "f:4:1: [sp?ec]: unknown field (did you mean \"spec\"?)");
	unload(&l);
	l = load("apiVersion: v1\nkind: Node\nmetadata: {name: \"a\\nb\\e[31m\"}\n");
	assert_non_null(strstr(l.diags.errors[0].text, "\"a\\x0ab\\x1b[31m\" is no DNS name"));
	unload(&l);
}

static void the_same_object_twice_is_an_error(void **state)
{
	struct loaded l = load("{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n"
			       "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}}\n"
			       "---\n{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: "
			       "default}}\n");

	assert_int_equal(diags_count(&l.diags), 1);
	assert_string_equal(l.diags.errors[0].text,
			    "f:5:1: Pod default/a stands there twice, first at f:1");
	unload(&l);
}

static void what_was_in_the_set_is_replaced_or_left(void **state)
{
	static const char old[] = "{apiVersion: v1, kind: Pod, metadata: {name: a}}";
	static const char new[] =
		"{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {b: c}}}";
	static const char bad[] = "{apiVersion: v1, kind: Pod, metadata: {name: A}}";
	struct loaded l = load_good(old);

	assert_int_equal(manifest_load_buffer(&(struct manifest_text){ "f", bad, strlen(bad) },
					      &l.set, &l.diags, &l.err),
			 -EINVAL);
	assert_int_equal(l.set.n, 1);
	assert_int_equal(l.set.v[0]->meta.labels.n, 0);
	diags_done(&l.diags);
	assert_int_equal(manifest_load_buffer(&(struct manifest_text){ "f", new, strlen(new) },
					      &l.set, &l.diags, &l.err),
			 0);
	assert_int_equal(l.set.n, 1);
	assert_int_equal(l.set.v[0]->meta.labels.n, 1);
	unload(&l);
}

/* ---- files and folders ---------------------------------------------------- */

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static void remove_dir(const char *dir)
{
	char command[256];

	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

static struct loaded load_path(const char *path)
{
	struct loaded l = { 0 };

	l.ret = manifest_load(&path, 1, &l.set, &l.diags, &l.err);
	return l;
}

static void a_folder_is_its_manifests(void **state)
{
	char dir[] = "/tmp/shunt-test-XXXXXX", sub[64], line[256];
	struct loaded l;

	assert_non_null(mkdtemp(dir));
	(void)snprintf(sub, sizeof(sub), "%s/sub.yaml", dir);
	assert_int_equal(mkdir(sub, 0700), 0);
	write_file(dir, "b.yml", "{apiVersion: v1, kind: Pod, metadata: {name: b}}");
	write_file(dir, "a.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: a}}");
	write_file(dir, "c.json",
		   "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":"
		   "\"c\"}}");
	write_file(dir, "README.md", "not: [yaml");
	write_file(dir, "d.test.yaml", "flows: []");
	write_file(dir, ".hidden.yaml", "not: [yaml");
	l = load_path(dir);
	assert_int_equal(l.ret, 0);
	assert_int_equal(l.set.n, 3);
	unload(&l);
	write_file(dir, "d.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: a}}");
	l = load_path(dir);
	(void)snprintf(line, sizeof(line),
		       "%s/d.yaml:1:1: Pod default/a stands there twice, first at %s/a.yaml:1", dir,
		       dir);
	assert_string_equal(l.diags.errors[0].text, line);
	unload(&l);
	remove_dir(dir);
}

static void what_cannot_be_read_is_one_line(void **state)
{
	char dir[] = "/tmp/shunt-test-XXXXXX", path[64], line[256];
	struct loaded l;

	assert_non_null(mkdtemp(dir));
	l = load_path(dir);
	(void)snprintf(line, sizeof(line), "%s: holds no manifest (*.yaml, *.yml, *.json)", dir);
	assert_string_equal(l.diags.errors[0].text, line);
	assert_string_equal(l.err.msg, "1 error in 1 file; nothing was loaded");
	unload(&l);
	l = load_path("/nonexistent/a.yaml");
	assert_string_equal(l.diags.errors[0].text,
			    "/nonexistent/a.yaml: can't be opened: No such file or directory");
	unload(&l);
	write_file(dir, "large.yaml", "");
	(void)snprintf(path, sizeof(path), "%s/large.yaml", dir);
	assert_int_equal(truncate(path, SH_MANIFEST_BYTES_MAX + 1), 0);
	l = load_path(path);
	(void)snprintf(line, sizeof(line),
		       "%s: is too large: at most SH_MANIFEST_BYTES_MAX (67108864) bytes in one "
		       "file",
		       path);
	assert_int_equal(diags_count(&l.diags), 1);
	assert_string_equal(l.diags.errors[0].text, line);
	unload(&l);
	remove_dir(dir);
}

static void standard_input_is_a_dash(void **state)
{
	static const char text[] = "{apiVersion: v1, kind: Pod, metadata: {name: A}}";
	const int saved = dup(STDIN_FILENO);
	int fds[2];
	struct loaded l;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
	assert_int_equal(close(fds[1]), 0);
	assert_true(dup2(fds[0], STDIN_FILENO) >= 0);
	l = load_path("-");
	assert_true(dup2(saved, STDIN_FILENO) >= 0);
	(void)close(saved);
	(void)close(fds[0]);
	assert_memory_equal(l.diags.errors[0].text, "-:1:", 4);
	unload(&l);
}

/* ---- what real API servers write ------------------------------------------ */

static void objects_of_an_api_server_are_read(void **state)
{
	static const struct {
		const char *file;
		size_t n;
	} rows[] = {
		{ DATA "list-services-chunk0.json", 8 },
		{ DATA "list-services-chunk1.json", 8 },
		{ DATA "list-endpoints.json", 21 },
		{ DATA "list-endpointslices.json", 49 },
		{ DATA "list-pods.json", 6 },
		{ DATA "list-nodes.json", 3 },
		{ DATA "get-service-dual.json", 1 },
		{ DATA "get-endpointslice-manual-1.json", 1 },
		{ "examples/kubia", 14 },
	};
	size_t i, j;

	for (i = 0; i < COUNT(rows); i++) {
		struct loaded l = load_path(rows[i].file);

		if (l.ret)
			fail_msg("%s", l.diags.errors[0].text);
		assert_int_equal(l.set.n, rows[i].n);
		assert_int_equal(l.diags.n_notes, 0);
		for (j = 0; j < l.set.n; j++) {
			char *json = encoded(l.set.v[j]), *again;
			struct loaded copy = load_good(json);

			again = encoded(copy.set.v[0]);
			assert_string_equal(again, json);
			free(again);
			free(json);
			unload(&copy);
		}
		unload(&l);
	}
}

static void of_all_that_an_api_server_takes_only_sctp_is_refused(void **state)
{
	struct loaded l = load_path(DATA "list-services-chunk2.json");

	assert_int_equal(diags_count(&l.diags), 1);
	assert_non_null(strstr(l.diags.errors[0].text,
			       ": items[5].spec.ports[0].targetPort: 9132 is not port 132: SCTP"));
	unload(&l);
}

/* ---- limits and hostile input --------------------------------------------- */

static void expect_error(const char *text, const char *message)
{
	struct loaded l = load(text);

	assert_int_equal(l.ret, -EINVAL);
	assert_int_equal(diags_count(&l.diags), 1);
	if (strcmp(l.diags.errors[0].text, message) != 0)
		fail_msg("expected: %s\n     got: %s", message, l.diags.errors[0].text);
	unload(&l);
}

static void nesting_has_a_limit(void **state)
{
	char text[512];

	memset(text, '[', SH_MANIFEST_DEPTH_MAX + 1);
	text[SH_MANIFEST_DEPTH_MAX + 1] = '\0';
	expect_error(strcat(text, "\n"),
		     "f:1:129: [0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]"
		     "[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]"
		     "[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]"
		     "[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]"
		     "[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]"
		     "[0][0][0][0][0][0]: nested too deep: at most SH_MANIFEST_DEPTH_MAX (128) "
		     "levels");
	expect_error(
		"a: &a [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]"
		"]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n"
		"b: &b [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]]]]]]"
		"]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n"
		"c: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[*b]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
		"f:3:34: c[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]"
		"[0][0][0][0][0][0][0]: nested too deep: at most SH_MANIFEST_DEPTH_MAX (128) "
		"levels");
}

static void a_yaml_bomb_is_refused_at_once(void **state)
{
	char text[4096], *at = text;
	const time_t began = time(NULL);
	struct loaded l;
	int i, j;

	at += sprintf(at, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (i = 1; i < 12; i++) {
		at += sprintf(at, "a%d: &a%d [", i, i);
		for (j = 0; j < 10; j++)
			at += sprintf(at, "*a%d%s", i - 1, j < 9 ? "," : "]\n");
	}
	l = load(text);
	assert_int_equal(diags_count(&l.diags), 1);
	assert_non_null(strstr(l.diags.errors[0].text,
			       "too many values in one document, aliases expanded: at most "
			       "SH_MANIFEST_NODES_MAX (16777216)"));
	assert_true(time(NULL) - began < 10);
	unload(&l);
}

/* @n times @c within a manifest, as the value of an annotation. */
static char *with_long_value(size_t n, char c)
{
	static const char head[] = NAME_A "kind: Pod\nspec: {nodeName: ";
	char *text = malloc(sizeof(head) + n + 3);

	assert_non_null(text);
	memcpy(text, head, sizeof(head) - 1);
	memset(text + sizeof(head) - 1, c, n);
	strcpy(text + sizeof(head) - 1 + n, "}\n");
	return text;
}

static void long_values_have_limits(void **state)
{
	char *text = with_long_value(SH_SCALAR_BYTES_MAX + 1, 'x');

	expect_error(text, "f:4:18: spec.nodeName: the value is too long: at most "
			   "SH_SCALAR_BYTES_MAX (1048576) bytes");
	free(text);
	text = with_long_value(10000, 'x');
	expect_error(
		text,
		"f:4:18: spec.nodeName: "
		"\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"... is longer "
		"than SH_SUBDOMAIN_MAX (253) characters");
	free(text);
}

static void too_many_entries_are_refused(void **state)
{
	char *text = calloc(1, 1 << 16), *at = text;
	size_t i;

	at += sprintf(at, NAME_A "kind: Service\nspec:\n  ports:\n");
	for (i = 0; i <= SH_SERVICE_PORTS_MAX; i++)
		at += sprintf(at, "  - {name: p%zu, port: %zu}\n", i, i + 1);
	expect_error(text, "f:6:3: spec.ports: 101 entries: at most 100 (SH_SERVICE_PORTS_MAX)");
	free(text);
}

static void many_keys_are_compared_fast(void **state)
{
	const size_t n = 200000;
	char *text = malloc(n * 16 + 256), *at = text;
	struct loaded l;
	size_t i;

	assert_non_null(text);
	at += sprintf(at, "apiVersion: v1\nkind: ConfigMap\ndata:\n");
	for (i = 0; i < n; i++)
		at += sprintf(at, "  k%zu: v\n", i);
	(void)sprintf(at, "  k7: again\n");
	l = load(text);
	assert_int_equal(diags_count(&l.diags), 1);
	assert_string_equal(l.diags.errors[0].text,
			    "f:200004:3: data.k7: duplicate key, first at line 11");
	unload(&l);
	free(text);
}

/* Cut off at each byte, and with each byte turned over: an error or not, but never a crash. */
static void damaged_manifests_do_no_harm(void **state)
{
	size_t i, j, len;

	for (i = 0; i < COUNT(kept); i++) {
		char *copy = strdup(kept[i].text);

		len = strlen(copy);
		for (j = 0; j < len; j++) {
			struct loaded l = { 0 };
			const char byte = copy[j];
			/* A buffer of its very size: reading on is reading out of bounds. */
			char *cut = malloc(j ? j : 1);

			memcpy(cut, copy, j);
			(void)manifest_load_buffer(&(struct manifest_text){ "f", cut, j }, &l.set,
						   &l.diags, &l.err);
			unload(&l);
			free(cut);
			copy[j] = (char)(byte ^ (1 << j % 8));
			(void)manifest_load_buffer(&(struct manifest_text){ "f", copy, len },
						   &l.set, &l.diags, &l.err);
			unload(&l);
			copy[j] = byte;
		}
		free(copy);
	}
}

static void sets_stay_sorted_in_whatever_order_they_grow(void **state)
{
	struct object_set set = { 0 };
	struct diags diags = { 0 };
	struct err err;
	unsigned int i, name = 1;
	char text[128];

	for (i = 0; i < 1000; i++) {
		name = name * 7919 % 10007;
		(void)snprintf(text, sizeof(text),
			       "{apiVersion: v1, kind: %s, metadata: {name: n%u}}",
			       i % 2 ? "Pod" : "Node", name);
		assert_int_equal(
			manifest_load_buffer(&(struct manifest_text){ "f", text, strlen(text) },
					     &set, &diags, &err),
			0);
	}
	assert_int_equal(set.n, 1000);
	for (i = 1; i < set.n; i++)
		assert_true(set.v[i - 1]->kind < set.v[i]->kind ||
			    (set.v[i - 1]->kind == set.v[i]->kind &&
			     strcmp(set.v[i - 1]->meta.name, set.v[i]->meta.name) < 0));
	assert_int_equal(object_set_first(&set, KIND_SERVICE), 0);
	assert_int_equal(object_set_first(&set, KIND_NODE), 500);
	assert_int_equal(object_set_remove(&set, KIND_NODE, "", "none"), -ENOENT);
	while (set.n)
		assert_int_equal(object_set_remove(&set, set.v[set.n / 2]->kind,
						   set.v[set.n / 2]->meta.ns,
						   set.v[set.n / 2]->meta.name),
				 0);
	object_set_done(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_kept_survives_encoding),
		cmocka_unit_test(decoded_values_are_the_models),
		cmocka_unit_test(lists_unfold),
		cmocka_unit_test(other_kinds_are_skipped_with_a_note),
		cmocka_unit_test(nothing_is_no_error),
		cmocka_unit_test(all_errors_are_reported_and_nothing_is_loaded),
		cmocka_unit_test(only_so_many_errors_are_kept),
		cmocka_unit_test(messages_stay_one_printable_line),
		cmocka_unit_test(the_same_object_twice_is_an_error),
		cmocka_unit_test(what_was_in_the_set_is_replaced_or_left),
		cmocka_unit_test(a_folder_is_its_manifests),
		cmocka_unit_test(what_cannot_be_read_is_one_line),
		cmocka_unit_test(standard_input_is_a_dash),
		cmocka_unit_test(objects_of_an_api_server_are_read),
		cmocka_unit_test(of_all_that_an_api_server_takes_only_sctp_is_refused),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(a_yaml_bomb_is_refused_at_once),
		cmocka_unit_test(long_values_have_limits),
		cmocka_unit_test(too_many_entries_are_refused),
		cmocka_unit_test(many_keys_are_compared_fast),
		cmocka_unit_test(damaged_manifests_do_no_harm),
		cmocka_unit_test(sets_stay_sorted_in_whatever_order_they_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
