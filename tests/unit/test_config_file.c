// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the agent is told by files and the environment: precedence, both formats, refusals. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/config_file.h"
#include "shunt/limits.h"

#define DATA  "tests/unit/config/"
#define OWN   "apiVersion: shunt.io/v1alpha1\nkind: AgentConfiguration\n"
#define PROXY "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

/* Everything of one agent's start. */
struct given {
	struct settings settings;
	struct request request;
	struct option_input input;
	struct config_warnings warnings;
	struct err err;
	int ret;
};

static void given_init(struct given *g)
{
	memset(g, 0, sizeof(*g));
	settings_init(&g->settings);
	g->input.settings = &g->settings;
	g->input.request = &g->request;
	g->input.arena = arena_new();
	assert_non_null(g->input.arena);
}

static void given_done(struct given *g)
{
	arena_free(g->input.arena);
}

static void line(struct given *g, char *option, char *value)
{
	char *argv[] = { "shunt", "agent", option, value };

	assert_int_equal(options_parse(&g->input, 4, argv, &g->err), 0);
}

/* A file of its own for @text; its name is in @path, to be unlinked. */
static void write_file(char path[static 32], const char *text, size_t len)
{
	int fd;

	strcpy(path, "/tmp/shunt-config-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(close(fd), 0);
}

/* Apply @text as a file. Its name stands as FILE in the error. */
static void apply_text(struct given *g, const char *text)
{
	char path[32], rest[sizeof(g->err.msg)];

	write_file(path, text, strlen(text));
	g->ret = config_file_apply(&g->input, path, &g->warnings, &g->err);
	assert_int_equal(unlink(path), 0);
	if (strncmp(g->err.msg, path, strlen(path)) != 0)
		return;
	strcpy(rest, g->err.msg + strlen(path));
	(void)snprintf(g->err.msg, sizeof(g->err.msg), "FILE%.1000s", rest);
}

static void apply_data(struct given *g, const char *path)
{
	given_init(g);
	g->ret = config_file_apply(&g->input, path, &g->warnings, &g->err);
	if (g->ret)
		print_error("%s\n", g->err.msg);
	assert_int_equal(g->ret, 0);
}

static void assert_net(const struct addr_net *net, const char *addr, unsigned int len)
{
	char text[ADDR_STRLEN];

	assert_string_equal(addr_format(&net->addr, text), addr);
	assert_int_equal(net->len, len);
}

static void assert_listen(const struct settings_listen *listen, const char *addr, uint16_t port)
{
	char text[ADDR_STRLEN];

	assert_string_equal(addr_format(&listen->addr, text), addr);
	assert_int_equal(listen->port, port);
}

/* The one warning, behind the name of its file. */
static void assert_warning(const struct given *g, const char *text)
{
	const char *colon;

	assert_int_equal(g->warnings.n, 1);
	colon = strstr(g->warnings.text[0], ": ");
	assert_non_null(colon);
	assert_string_equal(colon + 2, text);
}

/* ---- AgentConfiguration -------------------------------------------------------- */

static void the_example_is_read(void **state)
{
	struct given g;

	apply_data(&g, "examples/config.yaml");
	assert_string_equal(g.settings.kubeconfig, "/etc/shunt/kubeconfig");
	assert_string_equal(g.settings.kube_context, "shunt");
	assert_int_equal(g.settings.n_service_cidrs, 2);
	assert_net(&g.settings.service_cidrs[1], "fd00:10:96::", 112);
	assert_int_equal(g.settings.n_cluster_cidrs, 2);
	assert_int_equal(g.settings.nodeport_addresses, NODEPORT_PRIMARY);
	assert_string_equal(g.settings.devices[0], "eth0");
	assert_string_equal(g.settings.workload_devices[1], "cali*");
	assert_int_equal(g.settings.socket_lb, SH_SOCKET_LB_ON);
	assert_listen(&g.settings.metrics, "127.0.0.1", 10249);
	assert_int_equal(g.warnings.n, 0);
	given_done(&g);
}

static void values_are_what_yaml_takes_them_for(void **state)
{
	struct given g;

	given_init(&g);
	apply_text(&g, OWN "max-flows4: 0x10000\nmasquerade-all: yes\nsocket-lb: off\n"
			   "cluster-cidr: 10.0.0.0/8,fd00::/64\nmetrics-bind-address: ''\n"
			   "node-name: \"1\"\nui: 8080\n");
	assert_string_equal(g.err.msg, "");
	assert_int_equal(g.ret, 0);
	assert_int_equal(g.settings.max_flows4, 65536);
	assert_true(g.settings.masquerade_all);
	assert_int_equal(g.settings.socket_lb, SH_SOCKET_LB_OFF);
	assert_int_equal(g.settings.n_cluster_cidrs, 2);
	assert_int_equal(g.settings.metrics.port, 0);
	assert_string_equal(g.settings.node_name, "1");
	assert_listen(&g.settings.ui, "127.0.0.1", 8080);
	given_done(&g);
}

static const struct {
	const char *text, *message;
} refused[] = {
	{ "", "FILE: is empty: a configuration file has apiVersion and kind" },
	{ "# nothing\n", "FILE: is empty: a configuration file has apiVersion and kind" },
	{ "[]\n", "FILE:1:1: expected a map of options, found a list" },
	{ "apiVersion: v1\nkind: ConfigMap\n",
	  "FILE:2:7: kind: expected apiVersion shunt.io/v1alpha1 and kind AgentConfiguration, or "
	  "kubeproxy.config.k8s.io/v1alpha1 and KubeProxyConfiguration" },
	{ "xdp: off\n", "FILE:1:1: expected apiVersion shunt.io/v1alpha1 and kind "
			"AgentConfiguration, or kubeproxy.config.k8s.io/v1alpha1 and "
			"KubeProxyConfiguration" },
	{ OWN "---\n" OWN, "FILE:4:1: a second document: a configuration file is one" },
	/* a mistyped name has its neighbour suggested */
	{ OWN "servce-cidr: [10.0.0.0/8]\n",
	  "FILE:3:1: servce-cidr: unknown option (did you mean \"service-cidr\"?)" },
	{ OWN "zzzzzz: 1\n", "FILE:3:1: zzzzzz: unknown option" },
	/* what only a command line can mean is no setting */
	{ OWN "filename: x\n", "FILE:3:1: filename: unknown option" },
	{ OWN "config: x\n", "FILE:3:1: config: one configuration file can't name another" },
	{ OWN "xdp: fast\n", "FILE:3:6: xdp: \"fast\" is not one of auto, native, generic, off" },
	{ OWN "xdp: {}\n", "FILE:3:6: xdp: expected a value or a list of values, found a map" },
	{ OWN "node-name:\n",
	  "FILE:3:11: node-name: expected a value or a list of values, found null" },
	{ OWN "service-cidr:\n  - 10.0.0.0/8\n  - 10.0.0.1/8\n",
	  "FILE:5:5: service-cidr[1]: \"10.0.0.1/8\" is not a network like 10.0.0.0/8 or "
	  "fd00::/112 (address/bits, host bits zero)" },
	{ OWN "cluster-cidr: [1.0.0.0/8,2.0.0.0/8,3.0.0.0/8,4.0.0.0/8,5.0.0.0/8,6.0.0.0/8,"
	      "7.0.0.0/8,8.0.0.0/8,9.0.0.0/8]\n",
	  "FILE:3:96: cluster-cidr[8]: more than 8 networks (limit SH_CIDRS_MAX)" },
	/* the first is told, the others are counted */
	{ OWN "xpd: off\nmax-flows4: 1\nmax-flows6: 1\n",
	  "FILE:3:1: xpd: unknown option (did you mean \"xdp\"?) (and 2 more errors)" },
	{ OWN "xdp: off\nxdp: auto\n", "FILE:4:1: xdp: duplicate key, first at line 3" },
	{ PROXY "clusterCIDR: [10.0.0.0/8]\n",
	  "FILE:3:14: clusterCIDR: expected a string, found a list" },
	{ PROXY "clusterCIDR: 10.0.0.0/8,x\n",
	  "FILE:3:14: clusterCIDR: \"x\" is not a network like 10.0.0.0/8 or fd00::/112 "
	  "(address/bits, host bits zero)" },
	{ PROXY "nodePortAddresses: primary\n",
	  "FILE:3:20: nodePortAddresses: expected a list, found the string \"primary\"" },
	{ PROXY "nodePortAddresses: [10.0.0.0/8, primary]\n",
	  "FILE:3:33: nodePortAddresses[1]: \"primary\" and networks exclude each other" },
	{ PROXY "iptables: {masqueradeAll: maybe}\n",
	  "FILE:3:27: iptables.masqueradeAll: \"maybe\" is not true or false" },
};

/* And then nothing of the file holds. */
static void refused_with_the_exact_message(void **state)
{
	struct settings defaults;
	struct given g;
	size_t i, j;

	settings_init(&defaults);
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		given_init(&g);
		apply_text(&g, refused[i].text);
		assert_string_equal(g.err.msg, refused[i].message);
		assert_int_equal(g.err.exit, EXIT_INPUT);
		assert_true(g.ret < 0);
		assert_memory_equal(&g.settings, &defaults, sizeof(defaults));
		for (j = 0; j < options_count(); j++)
			assert_null(g.input.given[j]);
		assert_int_equal(g.warnings.n, 0);
		given_done(&g);
	}
}

static void a_file_that_is_not_there_is_named(void **state)
{
	struct given g;

	given_init(&g);
	assert_true(config_file_apply(&g.input, "/nonexistent/x", &g.warnings, &g.err) < 0);
	assert_string_equal(g.err.msg, "--config: read /nonexistent/x: No such file or directory");
	assert_int_equal(g.err.exit, EXIT_SYSTEM);
	assert_true(config_file_apply(&g.input, "/tmp", &g.warnings, &g.err) < 0);
	assert_string_equal(g.err.msg, "--config: read /tmp: Is a directory");
	given_done(&g);
}

static void a_file_too_large_names_the_limit(void **state)
{
	char *text = malloc(SH_CONFIG_BYTES_MAX + 1), path[32], expected[128];
	struct given g;

	assert_non_null(text);
	memset(text, '#', SH_CONFIG_BYTES_MAX + 1);
	write_file(path, text, SH_CONFIG_BYTES_MAX + 1);
	given_init(&g);
	g.ret = config_file_apply(&g.input, path, &g.warnings, &g.err);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(g.ret, -EFBIG);
	(void)snprintf(expected, sizeof(expected),
		       "--config %s: has more than 1048576 bytes (limit SH_CONFIG_BYTES_MAX)",
		       path);
	assert_string_equal(g.err.msg, expected);
	free(text);
	given_done(&g);
}

/* ---- KubeProxyConfiguration ------------------------------------------------------- */

static void kubeadm_needs_no_warning(void **state)
{
	struct given g;

	apply_data(&g, DATA "kubeadm.yaml");
	assert_string_equal(g.settings.kubeconfig, "/var/lib/kube-proxy/kubeconfig.conf");
	assert_int_equal(g.settings.n_cluster_cidrs, 2);
	assert_net(&g.settings.cluster_cidrs[0], "10.244.0.0", 16);
	assert_net(&g.settings.cluster_cidrs[1], "fd00:10:244::", 56);
	assert_null(g.settings.node_name);
	assert_false(g.settings.masquerade_all);
	assert_int_equal(g.settings.nodeport_addresses, NODEPORT_PRIMARY);
	/* empty means kube-proxy's default there, and not off */
	assert_listen(&g.settings.healthz, "0.0.0.0", 10256);
	assert_listen(&g.settings.metrics, "127.0.0.1", 10249);
	assert_int_equal(g.warnings.n, 0);
	given_done(&g);
}

static void kind_is_understood(void **state)
{
	struct given g;

	apply_data(&g, DATA "kind.yaml");
	/* the servers follow the family of bindAddress */
	assert_listen(&g.settings.healthz, "::", 10256);
	assert_listen(&g.settings.metrics, "::1", 10249);
	assert_warning(&g, "without a meaning for shunt: featureGates.KubeletInUserNamespace, "
			   "conntrack.tcpBeLiberal");
	given_done(&g);
}

static void a_full_file_is_honoured(void **state)
{
	struct given g;

	given_init(&g);
	apply_text(&g, PROXY "mode: nftables\n"
			     "hostnameOverride: node-1\n"
			     "healthzBindAddress: 127.0.0.1\n"
			     "metricsBindAddress: '[::]:9000'\n"
			     "nodePortAddresses: [all, localhost]\n"
			     "nftables: {masqueradeAll: true}\n"
			     "detectLocalMode: InterfaceNamePrefix\n"
			     "detectLocal: {interfaceNamePrefix: cali}\n");
	assert_string_equal(g.err.msg, "");
	assert_string_equal(g.settings.node_name, "node-1");
	/* kube-proxy puts the port in */
	assert_listen(&g.settings.healthz, "127.0.0.1", 10256);
	assert_listen(&g.settings.metrics, "::", 9000);
	assert_int_equal(g.settings.nodeport_addresses, NODEPORT_CIDRS);
	assert_int_equal(g.settings.n_nodeport_nets, 2);
	assert_net(&g.settings.nodeport_nets[0], "0.0.0.0", 0);
	assert_true(g.settings.masquerade_all);
	assert_int_equal(g.settings.n_workload_devices, 1);
	assert_string_equal(g.settings.workload_devices[0], "cali*");
	assert_warning(&g, "without a meaning for shunt: nodePortAddresses: localhost");
	given_done(&g);
}

static const struct {
	const char *text, *warning;
} ignored[] = {
	/* each mode has its own flag */
	{ "iptables: {masqueradeAll: true}\nmode: nftables\n",
	  "without a meaning for shunt: iptables.masqueradeAll" },
	{ "bindAddress: 192.0.2.1\nportRange: 1000-2000\noomScoreAdj: -5\n",
	  "without a meaning for shunt: portRange, oomScoreAdj, bindAddress" },
	{ "conntrack: {maxPerCore: 524288, min: 131072}\nipvs: {scheduler: rr, syncPeriod: 30s}\n",
	  "without a meaning for shunt: conntrack.maxPerCore, ipvs.scheduler" },
	{ "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}\n",
	  "without a meaning for shunt: detectLocal.bridgeInterface, detectLocalMode: "
	  "BridgeInterface" },
	{ "detectLocal: {interfaceNamePrefix: cali}\n",
	  "without a meaning for shunt: detectLocal.interfaceNamePrefix" },
	/* said against a default */
	{ "iptables: {localhostNodePorts: false}\n",
	  "without a meaning for shunt: iptables.localhostNodePorts" },
	{ "clusterCidr: 10.0.0.0/8\niptables: {masqueradAll: true}\nudpIdleTimeout: 1s\n",
	  "without a meaning for shunt: udpIdleTimeout; unknown fields: clusterCidr (did you mean "
	  "\"clusterCIDR\"?), iptables.masqueradAll (did you mean \"iptables.masqueradeAll\"?)" },
	{ "zzzzzzzzz: {a: [1]}\n", "unknown fields: zzzzzzzzz.a" },
};

static void what_has_no_meaning_is_named_in_one_warning(void **state)
{
	struct given g;
	char text[512];
	size_t i;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		given_init(&g);
		(void)snprintf(text, sizeof(text), PROXY "%s", ignored[i].text);
		apply_text(&g, text);
		assert_string_equal(g.err.msg, "");
		assert_warning(&g, ignored[i].warning);
		assert_false(g.settings.masquerade_all);
		assert_int_equal(g.settings.n_workload_devices, 0);
		given_done(&g);
	}
}

static void a_long_warning_counts_the_rest(void **state)
{
	char *text = NULL;
	size_t size = 0, i;
	struct given g;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	(void)fprintf(out, PROXY "featureGates:\n");
	for (i = 0; i < 100; i++)
		(void)fprintf(out, "  AFeatureWithALongName%03zu: true\n", i);
	assert_int_equal(fclose(out), 0);
	given_init(&g);
	apply_text(&g, text);
	assert_int_equal(g.ret, 0);
	assert_int_equal(g.warnings.n, 1);
	/* 39 bytes each, of 1024 */
	assert_non_null(strstr(g.warnings.text[0], "LongName025, and 74 more"));
	free(text);
	given_done(&g);
}

/* ---- precedence --------------------------------------------------------------------- */

static void the_command_line_comes_first(void **state)
{
	char path[32], *env[] = { "SHUNT_XDP=generic", "SHUNT_NODE_NAME=of-env",
				  "SHUNT_CLUSTER_CIDR=10.2.0.0/16", NULL };
	static const char file[] = OWN "xdp: off\nnode-name: of-file\nping-vips: false\n"
				       "cluster-cidr: [10.3.0.0/16, 10.4.0.0/16]\n"
				       "devices: [eth1]\n";
	struct config_base base;
	struct given g;

	write_file(path, file, sizeof(file) - 1);
	given_init(&g);
	line(&g, "--xdp", "native");
	line(&g, "--config", path);
	assert_int_equal(config_load(&g.input, env, &base, &g.warnings, &g.err), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(g.settings.xdp, XDP_NATIVE);
	assert_string_equal(g.settings.node_name, "of-env");
	assert_int_equal(g.settings.n_cluster_cidrs, 1);
	assert_net(&g.settings.cluster_cidrs[0], "10.2.0.0", 16);
	assert_false(g.settings.ping_vips);
	assert_string_equal(g.settings.devices[0], "eth1");
	given_done(&g);
}

/* kube-proxy's file with a folder on the command line: the folder alone is meant. */
static void one_source_outranks_the_other(void **state)
{
	char *env[] = { "SHUNT_KUBECONFIG=/env", NULL };
	struct config_base base;
	struct given g;

	given_init(&g);
	line(&g, "--manifests", "/m");
	line(&g, "--config", DATA "kubeadm.yaml");
	assert_int_equal(config_load(&g.input, env, &base, &g.warnings, &g.err), 0);
	assert_string_equal(g.settings.manifests, "/m");
	assert_null(g.settings.kubeconfig);
	assert_int_equal(g.settings.n_cluster_cidrs, 2);
	given_done(&g);
}

static void the_environment_may_name_the_file(void **state)
{
	char *env[] = { "SHUNT_CONFIG=" DATA "kubeadm.yaml", NULL };
	struct config_base base;
	struct given g;

	given_init(&g);
	assert_int_equal(config_load(&g.input, env, &base, &g.warnings, &g.err), 0);
	assert_int_equal(g.settings.n_cluster_cidrs, 2);
	given_done(&g);
}

static void other_variables_are_left_alone(void **state)
{
	char *env[] = { /* what a Service by the name of shunt gives to a pod */
			"SHUNT_PORT=tcp://10.96.0.9:80", "SHUNT_SERVICE_HOST=10.96.0.9",
			"SHUNT_SERVICE_PORT=80", "SHUNT_SERVICE_PORT_METRICS=80",
			"SHUNT_PORT_80_TCP=tcp://10.96.0.9:80", "SHUNT_PORT_80_TCP_ADDR=10.96.0.9",
			"SHUNT_PORT_80_TCP_PORT=80", "SHUNT_PORT_80_TCP_PROTO=tcp",
			/* others' */
			"SHUNT_DEBUG=1", "SHUNTX=1", "SHUNT_", "XDP=off", "SHUNT_xdp=off", "",
			/* nothing */
			"SHUNT_XDP=", "SHUNT_OUTPUT=json", NULL
	};
	struct settings defaults;
	struct given g;

	given_init(&g);
	settings_init(&defaults);
	assert_int_equal(
		config_environment_apply(&g.input, OPTIONS_OF_AGENT, env, &g.warnings, &g.err), 0);
	if (g.warnings.n)
		print_error("%s\n", g.warnings.text[0]);
	assert_int_equal(g.warnings.n, 0);
	assert_memory_equal(&g.settings, &defaults, sizeof(defaults));
	given_done(&g);
}

static void a_verb_takes_its_own_variables_only(void **state)
{
	char *env[] = { "SHUNT_BPFFS=/b", "SHUNT_XDP=off", NULL };
	struct given g;

	given_init(&g);
	assert_int_equal(
		config_environment_apply(&g.input, OPTIONS_INSTANCE, env, &g.warnings, &g.err), 0);
	assert_string_equal(g.settings.bpffs, "/b");
	assert_int_equal(g.settings.xdp, XDP_AUTO);
	given_done(&g);
}

static void a_mistyped_variable_is_told(void **state)
{
	char *env[] = { "SHUNT_SERVCE_CIDR=10.0.0.0/8", NULL };
	struct given g;

	given_init(&g);
	assert_int_equal(
		config_environment_apply(&g.input, OPTIONS_OF_AGENT, env, &g.warnings, &g.err), 0);
	assert_warning(&g, "SHUNT_SERVCE_CIDR is no option, ignored (did you mean "
			   "\"SHUNT_SERVICE_CIDR\"?)");
	given_done(&g);
}

static void a_wrong_variable_is_named(void **state)
{
	char *env[] = { "SHUNT_XDP=fast", NULL };
	struct given g;

	given_init(&g);
	assert_true(config_environment_apply(&g.input, OPTIONS_OF_AGENT, env, &g.warnings, &g.err) <
		    0);
	assert_string_equal(g.err.msg, "environment: SHUNT_XDP: --xdp: \"fast\" is not one of "
				       "auto, native, generic, off");
	given_done(&g);
}

/* ---- reading it again ------------------------------------------------------------------ */

static void what_can_change_changes_on_reload(void **state)
{
	static const char before[] = OWN "xdp: off\nmax-flows4: 128\ncluster-cidr: [10.1.0.0/16]\n";
	static const char after[] = OWN "max-flows4: 256\nmasquerade-all: true\nstate: /s\n"
					"cluster-cidr: [10.2.0.0/16]\nnode-name: other\n";
	char path[32], *env[] = { "SHUNT_NODE_NAME=node-1", NULL };
	struct config_base base;
	struct given now, next;
	FILE *file;

	write_file(path, before, sizeof(before) - 1);
	given_init(&now);
	given_init(&next);
	line(&now, "--config", path);
	assert_int_equal(config_load(&now.input, env, &base, &now.warnings, &now.err), 0);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(after, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(config_reload(&base, &now.input, &next.input, &next.warnings, &next.err),
			 0);
	assert_int_equal(unlink(path), 0);
	/* back to the default, new, changed */
	assert_int_equal(next.settings.xdp, XDP_AUTO);
	assert_true(next.settings.masquerade_all);
	assert_int_equal(next.settings.n_cluster_cidrs, 1);
	assert_net(&next.settings.cluster_cidrs[0], "10.2.0.0", 16);
	/* what sizes maps or says which instance it is stays */
	assert_int_equal(next.settings.max_flows4, 128);
	assert_string_equal(next.settings.state, now.settings.state);
	assert_string_equal(next.settings.node_name, "node-1");
	assert_int_equal(next.warnings.n, 1);
	assert_string_equal(next.warnings.text[0],
			    "changed, but in force only after a restart: state, max-flows4");
	given_done(&now);
	/* nothing of it lives in the old arena */
	assert_string_equal(next.settings.node_name, "node-1");
	assert_string_equal(next.settings.config, path);
	given_done(&next);
}

static void a_wrong_file_is_refused_on_reload(void **state)
{
	char path[32];
	struct config_base base;
	struct given now, next;

	write_file(path, OWN, strlen(OWN));
	given_init(&now);
	given_init(&next);
	line(&now, "--config", path);
	assert_int_equal(
		config_load(&now.input, (char *[]){ NULL }, &base, &now.warnings, &now.err), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(config_reload(&base, &now.input, &next.input, &next.warnings, &next.err),
			 -ENOENT);
	given_done(&now);
	given_done(&next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_is_read),
		cmocka_unit_test(values_are_what_yaml_takes_them_for),
		cmocka_unit_test(refused_with_the_exact_message),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
		cmocka_unit_test(a_file_too_large_names_the_limit),
		cmocka_unit_test(kubeadm_needs_no_warning),
		cmocka_unit_test(kind_is_understood),
		cmocka_unit_test(a_full_file_is_honoured),
		cmocka_unit_test(what_has_no_meaning_is_named_in_one_warning),
		cmocka_unit_test(a_long_warning_counts_the_rest),
		cmocka_unit_test(the_command_line_comes_first),
		cmocka_unit_test(one_source_outranks_the_other),
		cmocka_unit_test(the_environment_may_name_the_file),
		cmocka_unit_test(other_variables_are_left_alone),
		cmocka_unit_test(a_verb_takes_its_own_variables_only),
		cmocka_unit_test(a_mistyped_variable_is_told),
		cmocka_unit_test(a_wrong_variable_is_named),
		cmocka_unit_test(what_can_change_changes_on_reload),
		cmocka_unit_test(a_wrong_file_is_refused_on_reload),
	};

	return cmocka_run_group_tests_name("config file", tests, NULL, NULL);
}
