// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/options.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ptest/run.h"
#include "top/ui.h"

/* One option being set: which, to what, where. */
struct option_call {
	const struct option *option;
	const char *value; /* the arena's or argv's */
	char *field;	   /* option->offset into settings or request */
	struct option_input *input;
	bool first; /* not given before: a list's default is to be replaced */
};

/* ---- setters, one for each type ------------------------------------------ */

static int refuse(const struct option_call *call, struct err *err, const char *expected)
{
	return err_usage(err, -EINVAL, "--%s: \"%.100s\" is not %s", call->option->name,
			 call->value, expected);
}

static int set_text(const struct option_call *call, struct err *err)
{
	if (!*call->value)
		return err_usage(err, -EINVAL, "--%s: the value is empty", call->option->name);
	*(const char **)call->field = call->value;
	return 0;
}

static int set_flag(const struct option_call *call, struct err *err)
{
	if (!strcmp(call->value, "true"))
		*(bool *)call->field = true;
	else if (!strcmp(call->value, "false"))
		*(bool *)call->field = false;
	else
		return refuse(call, err, "true or false");
	return 0;
}

/* Digits only: strtoul() alone would take blanks and signs. @return false: not in [min, max] */
static bool number_parse(const char *text, size_t len, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t n = 0;
	size_t i;

	if (!len || len > 10)
		return false;
	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text[i] - '0');
	}
	if (n < min || n > max)
		return false;
	*out = (uint32_t)n;
	return true;
}

static int set_number(const struct option_call *call, struct err *err)
{
	const struct option *option = call->option;
	char expected[64];

	if (number_parse(call->value, strlen(call->value), option->min, option->max,
			 (uint32_t *)call->field))
		return 0;
	(void)snprintf(expected, sizeof(expected), "a number in %" PRIu32 "-%" PRIu32, option->min,
		       option->max);
	return refuse(call, err, expected);
}

static int set_delay(const struct option_call *call, struct err *err)
{
	if (ui_delay_parse(call->value, (uint32_t *)call->field))
		return 0;
	return refuse(call, err, "a number of seconds from 0.1 to 3600");
}

static int set_word(const struct option_call *call, struct err *err)
{
	const struct option_word *words = call->option->words;
	char expected[128] = "one of", hint[96];
	struct nearest nearest;
	size_t i, len;

	nearest_init(&nearest, call->value);
	for (i = 0; words[i].word; i++) {
		if (!strcmp(words[i].word, call->value)) {
			*(unsigned int *)call->field = words[i].value;
			return 0;
		}
		nearest_offer(&nearest, words[i].word);
		len = strlen(expected);
		(void)snprintf(expected + len, sizeof(expected) - len, "%s %s", i ? "," : "",
			       words[i].word);
	}
	nearest_hint(&nearest, hint, sizeof(hint));
	len = strlen(expected);
	(void)snprintf(expected + len, sizeof(expected) - len, "%s", hint);
	return refuse(call, err, expected);
}

static int set_output(const struct option_call *call, struct err *err)
{
	call->input->request->output_given = true;
	return set_word(call, err);
}

static int set_from(const struct option_call *call, struct err *err)
{
	call->input->request->from_given = true;
	return set_word(call, err);
}

static int set_file(const struct option_call *call, struct err *err)
{
	struct request *request = call->input->request;

	if (!*call->value)
		return err_usage(err, -EINVAL, "--%s: the name is empty", call->option->name);
	request->files[request->n_files++] = call->value;
	return 0;
}

static int set_row(const struct option_call *call, struct err *err)
{
	struct request *request = call->input->request;

	if (!*call->value)
		return err_usage(err, -EINVAL, "--%s: the pattern is empty", call->option->name);
	request->rows[request->n_rows++] = call->value;
	return 0;
}

/*
 * Take the next value off a list with commas. @return its copy in the arena,
 * NULL at the end and where memory is out (*ret says which).
 */
static const char *next_item(const struct option_call *call, const char **rest, int *ret,
			     struct err *err)
{
	const char *start = *rest;
	const char *item;
	size_t len;

	*ret = 0;
	if (!start)
		return NULL;
	len = strcspn(start, ",");
	*rest = start[len] ? start + len + 1 : NULL;
	if (!len) {
		*ret = err_usage(err, -EINVAL, "--%s: a value of the list is empty",
				 call->option->name);
		return NULL;
	}
	item = arena_strndup(call->input->arena, start, len);
	if (!item)
		*ret = err_system(err, -ENOMEM, "read --%s", call->option->name);
	return item;
}

static int add_net(const struct option_call *call, const char *item, struct addr_net *nets,
		   size_t *n, struct err *err)
{
	if (*n == SH_CIDRS_MAX)
		return err_usage(err, -EINVAL, "--%s: more than %d networks (limit SH_CIDRS_MAX)",
				 call->option->name, SH_CIDRS_MAX);
	if (addr_net_parse(item, &nets[*n]))
		return err_usage(err, -EINVAL,
				 "--%s: \"%.100s\" is not a network like 10.0.0.0/8 or fd00::/112 "
				 "(address/bits, host bits zero)",
				 call->option->name, item);
	(*n)++;
	return 0;
}

static int set_nets(const struct option_call *call, struct addr_net *nets, size_t *n,
		    struct err *err)
{
	const char *rest = call->value, *item;
	int ret = 0;

	if (call->first)
		*n = 0;
	while (!ret && (item = next_item(call, &rest, &ret, err)))
		ret = add_net(call, item, nets, n, err);
	return ret;
}

static int set_service_cidr(const struct option_call *call, struct err *err)
{
	struct settings *settings = call->input->settings;

	return set_nets(call, settings->service_cidrs, &settings->n_service_cidrs, err);
}

static int set_cluster_cidr(const struct option_call *call, struct err *err)
{
	struct settings *settings = call->input->settings;

	return set_nets(call, settings->cluster_cidrs, &settings->n_cluster_cidrs, err);
}

static int set_nodeport_addresses(const struct option_call *call, struct err *err)
{
	struct settings *settings = call->input->settings;
	bool primary = !strcmp(call->value, "primary");

	if (!call->first && (primary || settings->nodeport_addresses == NODEPORT_PRIMARY))
		return err_usage(err, -EINVAL, "--%s: \"primary\" and networks exclude each other",
				 call->option->name);
	if (!primary) {
		settings->nodeport_addresses = NODEPORT_CIDRS;
		return set_nets(call, settings->nodeport_nets, &settings->n_nodeport_nets, err);
	}
	settings->nodeport_addresses = NODEPORT_PRIMARY;
	settings->n_nodeport_nets = 0;
	return 0;
}

static int set_patterns(const struct option_call *call, const char **patterns, size_t *n,
			struct err *err)
{
	const char *rest = call->value, *item;
	int ret = 0;

	if (call->first)
		*n = 0;
	while (!ret && (item = next_item(call, &rest, &ret, err))) {
		if (*n == SETTINGS_PATTERNS_MAX)
			return err_usage(
				err, -EINVAL,
				"--%s: more than %d patterns (limit SETTINGS_PATTERNS_MAX)",
				call->option->name, SETTINGS_PATTERNS_MAX);
		patterns[(*n)++] = item;
	}
	return ret;
}

static int set_devices(const struct option_call *call, struct err *err)
{
	struct settings *settings = call->input->settings;

	return set_patterns(call, settings->devices, &settings->n_devices, err);
}

static int set_workload_devices(const struct option_call *call, struct err *err)
{
	struct settings *settings = call->input->settings;

	return set_patterns(call, settings->workload_devices, &settings->n_workload_devices, err);
}

static int set_snat_ports(const struct option_call *call, struct err *err)
{
	size_t dash = strcspn(call->value, "-");
	uint32_t min, max;

	if (!call->value[dash] || !number_parse(call->value, dash, 1024, 65535, &min) ||
	    !number_parse(call->value + dash + 1, strlen(call->value + dash + 1), min, 65535, &max))
		return refuse(call, err, "a range MIN-MAX of ports in 1024-65535");
	call->input->settings->snat_min = (uint16_t)min;
	call->input->settings->snat_max = (uint16_t)max;
	return 0;
}

/*
 * "10.0.0.1:80", "[fd00::1]:80", ":80" (every address of both families).
 * Nothing, as kube-proxy has it, and port 0 are nowhere.
 */
static bool listen_parse(const char *text, struct settings_listen *out)
{
	const char *colon = strrchr(text, ':');
	struct settings_listen listen = { 0 };
	bool bracket = text[0] == '[';
	char addr[ADDR_STRLEN + 2];
	uint32_t port = 0;
	size_t len;

	if (*text) {
		len = colon ? (size_t)(colon - text) : sizeof(addr);
		if (len >= sizeof(addr) || (bracket && (len < 2 || text[len - 1] != ']')))
			return false;
		(void)snprintf(addr, sizeof(addr), "%.*s", (int)(len - (bracket ? 2 : 0)),
			       text + (bracket ? 1 : 0));
		if (len && (addr_parse(addr, &listen.addr) ||
			    bracket != (addr_family(&listen.addr) == FAMILY_IPV6)))
			return false;
		if (!number_parse(colon + 1, strlen(colon + 1), 0, UINT16_MAX, &port))
			return false;
	}
	listen.port = (uint16_t)port;
	*out = listen;
	return true;
}

static int set_listen(const struct option_call *call, struct err *err)
{
	if (listen_parse(call->value, (struct settings_listen *)call->field))
		return 0;
	return refuse(call, err,
		      "ADDR:PORT, like 0.0.0.0:10256, [::1]:10256 or :10256 (\"\" or port 0: off)");
}

/* The web page is nobody else's business unless an address says so: a port alone is loopback's. */
static int set_ui(const struct option_call *call, struct err *err)
{
	struct settings_listen *ui = (struct settings_listen *)call->field;
	bool port_alone = !strpbrk(call->value, ":.");
	char text[16];

	(void)snprintf(text, sizeof(text), ":%.14s", call->value);
	if (!listen_parse(port_alone && *call->value ? text : call->value, ui))
		return refuse(call, err,
			      "ADDRESS:PORT or PORT, like 8080 (of 127.0.0.1), [::1]:8080 or "
			      "0.0.0.0:8080 (\"\" or port 0: off)");
	if (port_alone || call->value[0] == ':')
		ui->addr = addr_from_v4(htonl(INADDR_LOOPBACK));
	return 0;
}

/* ---- the table ------------------------------------------------------------ */

static const struct option_word output_words[] = {
	{ "table", OUTPUT_TABLE }, { "wide", OUTPUT_WIDE },
	{ "json", OUTPUT_JSON },   { "yaml", OUTPUT_YAML },
	{ "name", OUTPUT_NAME },   { "tap", OUTPUT_TAP },
	{ "junit", OUTPUT_JUNIT }, { NULL, 0 },
};

static const struct option_word hook_words[] = {
	{ "tc", 1u << PTEST_TC },
	{ "xdp", 1u << PTEST_XDP },
	{ "connect", 1u << PTEST_CONNECT },
	{ NULL, 0 },
};

static const struct option_word from_words[] = {
	{ "pod", PTEST_POD },
	{ "node", PTEST_NODE },
	{ "external", PTEST_EXTERNAL },
	{ NULL, 0 },
};

static const struct option_word proto_words[] = {
	{ "tcp", IPPROTO_TCP },
	{ "udp", IPPROTO_UDP },
	{ NULL, 0 },
};

static const struct option_word socket_lb_words[] = {
	{ "on", SH_SOCKET_LB_ON },
	{ "host", SH_SOCKET_LB_HOST },
	{ "off", SH_SOCKET_LB_OFF },
	{ NULL, 0 },
};

static const struct option_word xdp_words[] = {
	{ "auto", XDP_AUTO },
	{ "native", XDP_NATIVE },
	{ "generic", XDP_GENERIC },
	{ "off", XDP_OFF },
	{ NULL, 0 },
};

#define REQUEST(field)	.in_request = true, .offset = offsetof(struct request, field)
#define SETTINGS(field) .offset = offsetof(struct settings, field)

/* What a map of 2^27 entries takes is beyond any node; less than 64 serves nobody. */
#define SIZE(field, most) .set = set_number, SETTINGS(field), .min = 64, .max = (most)

const struct option options[] = {
	{ "help", 'h', NULL, OPTIONS_HELP, .set = set_flag, REQUEST(help),
	  .help = "say what the verb does and which options it takes" },
	{ "filename", 'f', "FILE|DIR|-", OPTIONS_FILES, .set = set_file, REQUEST(files),
	  .help = "manifests: a file, the *.yaml, *.yml and *.json of a folder, or standard "
		  "input; may be repeated" },
	{ "namespace", 'n', "NAME", OPTIONS_SCOPE | OPTIONS_DOCTOR | OPTIONS_MONITOR | OPTIONS_TOP,
	  .set = set_text, REQUEST(ns), .help = "only what belongs to this namespace" },
	{ "all-namespaces", 'A', NULL, OPTIONS_SCOPE | OPTIONS_MONITOR | OPTIONS_TOP,
	  .set = set_flag, REQUEST(all_namespaces), .help = "what belongs to any namespace" },
	{ "service", 0, "NAME", OPTIONS_SCOPE | OPTIONS_MONITOR | OPTIONS_TOP, .set = set_text,
	  REQUEST(service), .help = "only what belongs to the Service of this name" },
	{ "selector", 'l', "LABELS", OPTIONS_LIST, .set = set_text, REQUEST(selector),
	  .help = "only Services with these labels: app=web,tier!=db,env in (a,b),!old" },
	{ "sort-by", 0, "COLUMN", OPTIONS_LIST, .set = set_text, REQUEST(sort_by),
	  .help = "by any column; numbers descend, unless it is +COLUMN, and texts ascend, unless "
		  "it is -COLUMN" },
	{ "watch", 'w', NULL, OPTIONS_LIST, .set = set_flag, REQUEST(watch),
	  .help = "again every second: on a terminal the whole list, else what has changed" },
	{ "replies", 0, NULL, OPTIONS_SCOPE, .set = set_flag, REQUEST(replies),
	  .help = "flows: the entries of the reply direction too" },
	{ "output", 'o', "FORMAT", OPTIONS_OUTPUT, .set = set_output, REQUEST(output),
	  .words = output_words,
	  .help = "table, wide, json, yaml or name; of a packet test: tap, junit or json" },
	{ "hook", 0, "tc|xdp|connect", OPTIONS_TEST, .set = set_word, REQUEST(hooks),
	  .words = hook_words, .help = "only in this hook (default in all where a flow applies)" },
	{ "from", 0, "pod|node|external", OPTIONS_TRACE, .set = set_from, REQUEST(from),
	  .words = from_words,
	  .help = "who connects: a pod of this node, a process of the node itself, or somebody "
		  "outside" },
	{ "src", 0, "IP[:PORT]", OPTIONS_ENDS | OPTIONS_DOCTOR, .set = set_text, REQUEST(src),
	  .help = "the client's address; may be left out with --from node; of a list: or its "
		  "network" },
	{ "dst", 0, "IP:PORT", OPTIONS_ENDS, .set = set_text, REQUEST(dst),
	  .help = "where it connects to; of a list: or its address, its network, or the "
		  "backend's" },
	{ "proto", 0, "tcp|udp", OPTIONS_TRACE, .set = set_word, REQUEST(proto),
	  .words = proto_words, .help = "by which protocol (default tcp)" },
	{ "services", 0, "N", OPTIONS_BENCH, .set = set_number, REQUEST(bench.services), .min = 1,
	  .max = SH_BENCH_SERVICES_MAX, .help = "how many Services are published (default 1000)" },
	{ "endpoints", 0, "N", OPTIONS_BENCH, .set = set_number, REQUEST(bench.endpoints), .min = 2,
	  .max = SH_BENCH_ENDPOINTS_MAX,
	  .help = "endpoints of each, half of them on this node (default 10)" },
	{ "flows", 0, "N", OPTIONS_BENCH, .set = set_number, REQUEST(bench.flows),
	  .min = SH_BENCH_FLOWS_MIN, .max = SH_BENCH_FLOWS_MAX,
	  .help = "random flows of the rows with the most; others have a sixteenth of it "
		  "(default 1048576)" },
	{ "runs", 0, "N", OPTIONS_BENCH, .set = set_number, REQUEST(bench.runs), .min = 7,
	  .max = SH_BENCH_RUNS_MAX, .help = "how often each row is measured (default 7)" },
	{ "row", 0, "PATTERN", OPTIONS_BENCH, .set = set_row, REQUEST(rows),
	  .help = "only rows of such a name, a shell pattern; also \"programs\" and \"memory\"; "
		  "may be repeated" },
	{ "event", 0, "EVENT,...", OPTIONS_MONITOR, .set = set_text, REQUEST(events),
	  .help = "only these: new, closed, drop, reject, affinity, publish" },
	{ "reason", 0, "REASON,...", OPTIONS_MONITOR, .set = set_text, REQUEST(reasons),
	  .help = "only drops and rejects for these reasons, in the words of \"get drops\"" },
	{ "pcap", 0, "FILE|-", OPTIONS_MONITOR, .set = set_text, REQUEST(pcap),
	  .help = "write the packets of Services, before and after translation, as pcapng; on "
		  "standard output (-) with no lines beside them" },
	{ "snaplen", 0, "BYTES", OPTIONS_MONITOR, .set = set_number, REQUEST(snaplen),
	  .min = SH_SNAPLEN_MIN, .max = SH_SNAPLEN_MAX,
	  .help = "of each packet, for --pcap (default 256)" },
	{ "rate", 0, "N", OPTIONS_MONITOR, .set = set_number, REQUEST(rate), .min = 1,
	  .max = SH_EVENT_RATE_MAX,
	  .help = "the most events a second that each CPU tells; the others are counted as lost "
		  "(default 10000)" },
	{ "count", 0, "N", OPTIONS_MONITOR, .set = set_number, REQUEST(count), .min = 1,
	  .max = UINT32_MAX, .help = "end after so many events, or with --pcap packets" },
	{ "duration", 0, "SECONDS", OPTIONS_MONITOR, .set = set_number, REQUEST(duration), .min = 1,
	  .max = 31536000, .help = "end after so long" },
	{ "delay", 'd', "SECONDS", OPTIONS_TOP, .set = set_delay, REQUEST(delay_ms),
	  .help = "between two samples, 0.1 to 3600 (default 2)" },
	{ "batch", 'b', NULL, OPTIONS_TOP, .set = set_flag, REQUEST(batch),
	  .help = "print one snapshot, as it is done where there is no terminal" },
	{ "remove-kube-proxy", 0, NULL, OPTIONS_DOCTOR, .set = set_flag, REQUEST(remove_kube_proxy),
	  .help = "print what removes the rules that kube-proxy left; with --yes remove them" },
	{ "yes", 0, NULL, OPTIONS_DOCTOR, .set = set_flag, REQUEST(yes),
	  .help = "do it, instead of printing what would be done" },
	{ "bpffs", 0, "DIR", OPTIONS_INSTANCE, .set = set_text, SETTINGS(bpffs),
	  .help = "where the instance is pinned, on a BPF file system (default "
		  "/sys/fs/bpf/shunt)" },
	{ "state", 0, "DIR", OPTIONS_STATE, .set = set_text, SETTINGS(state),
	  .help = "where objects and allocations are kept (default /var/lib/shunt)" },
	{ "node-name", 0, "NAME", OPTIONS_CONTROL, .set = set_text, SETTINGS(node_name),
	  .help = "which Node this is (default the host's name)" },
	{ "service-cidr", 0, "CIDR,...", OPTIONS_CONTROL, .set = set_service_cidr,
	  SETTINGS(service_cidrs), .reloadable = true,
	  .help = "where ClusterIPs come from (default 10.96.0.0/16,fd00:10:96::/112)" },
	{ "cluster-cidr", 0, "CIDR,...", OPTIONS_CONTROL, .set = set_cluster_cidr,
	  SETTINGS(cluster_cidrs), .reloadable = true,
	  .help = "where the cluster's pods have their addresses (default none)" },
	{ "nodeport-addresses", 0, "primary|CIDR,...", OPTIONS_CONTROL,
	  .set = set_nodeport_addresses, SETTINGS(nodeport_nets), .reloadable = true,
	  .help = "at which of the node's addresses nodePorts are served (default primary)" },
	{ "masquerade-all", 0, NULL, OPTIONS_CONTROL, .set = set_flag, SETTINGS(masquerade_all),
	  .reloadable = true,
	  .help = "replace the client's address wherever kube-proxy's --masquerade-all does" },
	{ "ping-vips", 0, NULL, OPTIONS_CONTROL, .set = set_flag, SETTINGS(ping_vips),
	  .reloadable = true,
	  .help = "answer pings of ClusterIPs and load-balancer addresses that have an endpoint "
		  "(default true)" },
	{ "devices", 0, "PATTERN,...", OPTIONS_DATAPATH | OPTIONS_DOCTOR, .set = set_devices,
	  SETTINGS(devices), .reloadable = true,
	  .help = "uplinks, as shell patterns (default those with a default route)" },
	{ "workload-devices", 0, "PATTERN,...", OPTIONS_DATAPATH | OPTIONS_DOCTOR,
	  .set = set_workload_devices, SETTINGS(workload_devices), .reloadable = true,
	  .help = "pods' devices, as shell patterns (default all veths)" },
	{ "cgroup", 0, "DIR", OPTIONS_DATAPATH, .set = set_text, SETTINGS(cgroup),
	  .help = "the cgroup v2 whose sockets are served (default the root)" },
	{ "socket-lb", 0, "on|host|off", OPTIONS_DATAPATH, .set = set_word, SETTINGS(socket_lb),
	  .words = socket_lb_words, .reloadable = true,
	  .help = "translate sockets' addresses at connect(): all, the host's own, none (default "
		  "on)" },
	{ "xdp", 0, "auto|native|generic|off", OPTIONS_DATAPATH, .set = set_word, SETTINGS(xdp),
	  .words = xdp_words, .reloadable = true,
	  .help = "how XDP is attached to uplinks (default auto)" },
	{ "snat-ports", 0, "MIN-MAX", OPTIONS_DATAPATH, .set = set_snat_ports, SETTINGS(snat_min),
	  .help = "source ports of masqueraded flows whose own is taken (default 49152-65535)" },
	{ "max-frontends", 0, "N", OPTIONS_DATAPATH, SIZE(max_frontends, 1u << 24),
	  .help = "room for addresses times ports (default 131072)" },
	{ "max-backends", 0, "N", OPTIONS_DATAPATH,
	  SIZE(max_backends, (1u << SH_BACKEND_INDEX_BITS) - 1),
	  .help = "room for endpoints times ports (default 131072)" },
	{ "max-slots", 0, "N", OPTIONS_DATAPATH, SIZE(max_slots, 1u << 28),
	  .help = "room for selection tables, in entries (default 4194304)" },
	{ "max-flows4", 0, "N", OPTIONS_DATAPATH, SIZE(max_flows4, 1u << 27),
	  .help = "room for IPv4 flow entries, two a connection (default 524288)" },
	{ "max-flows6", 0, "N", OPTIONS_DATAPATH, SIZE(max_flows6, 1u << 27),
	  .help = "room for IPv6 flow entries, two a connection (default 262144)" },
	{ "max-sockets", 0, "N", OPTIONS_DATAPATH, SIZE(max_sockets, 1u << 24),
	  .help = "room for sockets and their virtual addresses (default 65536)" },
	{ "manifests", 0, "DIR", OPTIONS_AGENT, .set = set_text, SETTINGS(manifests),
	  .help = "follow the manifests in this folder instead of a cluster" },
	{ "kubeconfig", 0, "FILE", OPTIONS_AGENT, .set = set_text, SETTINGS(kubeconfig),
	  .help = "follow the cluster that this file leads to (default that of the pod)" },
	{ "kube-context", 0, "NAME", OPTIONS_AGENT, .set = set_text, SETTINGS(kube_context),
	  .help = "which context of the kubeconfig (default its current one)" },
	{ "config", 0, "FILE", OPTIONS_AGENT, .set = set_text, SETTINGS(config),
	  .help = "more options: an AgentConfiguration, or a KubeProxyConfiguration" },
	{ "healthz-bind-address", 0, "ADDR:PORT", OPTIONS_AGENT, .set = set_listen,
	  SETTINGS(healthz),
	  .help = "where /healthz and /livez are served (default 0.0.0.0:10256; \"\" or port 0: "
		  "nowhere)" },
	{ "metrics-bind-address", 0, "ADDR:PORT", OPTIONS_AGENT, .set = set_listen,
	  SETTINGS(metrics),
	  .help = "where /metrics is served (default 127.0.0.1:10249; \"\" or port 0: nowhere)" },
	{ "ui", 0, "[ADDRESS:]PORT", OPTIONS_AGENT, .set = set_ui, SETTINGS(ui),
	  .help = "serve a read-only web page of what \"get\", \"status\" and \"trace\" tell; a "
		  "port alone is that of 127.0.0.1, since whoever reaches the page may read it "
		  "(default off)" },
	{ "cleanup-on-exit", 0, NULL, OPTIONS_AGENT, .set = set_flag, SETTINGS(cleanup_on_exit),
	  .reloadable = true,
	  .help = "on SIGTERM remove everything from the kernel instead of leaving it at work" },
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))
_Static_assert(N_OPTIONS <= OPTIONS_MAX, "struct option_input has a place for each");

size_t options_count(void)
{
	return N_OPTIONS;
}

/* ---- setting -------------------------------------------------------------- */

/* Remember the text, a list's texts joined: what an instance keeps of its options. */
static int remember(struct option_input *input, const struct option *option, const char *value)
{
	const char **given = &input->given[option - options];
	size_t before = *given ? strlen(*given) : 0, len = strlen(value);
	bool list = option->arg && strstr(option->arg, ",...");
	char *joined;

	if (!before || !list) {
		*given = value;
		return 0;
	}
	joined = arena_alloc(input->arena, before + 1 + len + 1);
	if (!joined)
		return -ENOMEM;
	memcpy(joined, *given, before);
	joined[before] = ',';
	memcpy(joined + before + 1, value, len);
	*given = joined;
	return 0;
}

static int option_set(struct option_input *input, const struct option *option, const char *value,
		      struct err *err)
{
	char *base = option->in_request ? (char *)input->request : (char *)input->settings;
	struct option_call call = {
		.option = option,
		.value = value,
		.field = base + option->offset,
		.input = input,
		.first = !input->given[option - options],
	};
	int ret;

	ret = option->set(&call, err);
	if (!ret && remember(input, option, value))
		ret = err_system(err, -ENOMEM, "read --%s", option->name);
	return ret;
}

static const struct option *find_name(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < N_OPTIONS; i++) {
		if (strlen(options[i].name) == len && !strncmp(options[i].name, name, len))
			return &options[i];
	}
	return NULL;
}

const struct option *options_find(const char *name)
{
	return find_name(name, strlen(name));
}

bool options_reloadable(const struct option *option)
{
	return option->reloadable;
}

void options_offer(struct nearest *nearest, unsigned int groups)
{
	size_t i;

	for (i = 0; i < N_OPTIONS; i++) {
		if (!options[i].in_request && options[i].group & groups)
			nearest_offer(nearest, options[i].name);
	}
}

static int unknown_option(const char *name, size_t len, bool settings_only, struct err *err)
{
	struct nearest nearest;
	char word[65], hint[96];
	size_t i;

	(void)snprintf(word, sizeof(word), "%.*s", (int)(len < 64 ? len : 64), name);
	nearest_init(&nearest, word);
	for (i = 0; i < N_OPTIONS; i++) {
		if (!settings_only || !options[i].in_request)
			nearest_offer(&nearest, options[i].name);
	}
	if (nearest.best)
		(void)snprintf(hint, sizeof(hint), " (did you mean \"%s%s\"?)",
			       settings_only ? "" : "--", nearest.best);
	else
		hint[0] = '\0';
	return err_usage(err, -EINVAL, "unknown option \"%s%s\"%s", settings_only ? "" : "--", word,
			 hint);
}

int settings_set(struct option_input *input, const char *name, const char *value, struct err *err)
{
	const struct option *option = find_name(name, strlen(name));
	const char *kept;

	if (!option || option->in_request)
		return unknown_option(name, strlen(name), true, err);
	kept = arena_strdup(input->arena, value);
	if (!kept)
		return err_system(err, -ENOMEM, "read --%s", name);
	return option_set(input, option, kept, err);
}

/* ---- the command line ------------------------------------------------------ */

/* Where the walk over argv stands. */
struct walk {
	int argc, next;
	char **argv;
};

/* @option's value: behind "=", else (unless it is a flag) the next argument. */
static int take_value(struct walk *walk, const struct option *option, const char *attached,
		      const char **out, struct err *err)
{
	if (attached)
		*out = attached;
	else if (!option->arg)
		*out = "true";
	else if (walk->next < walk->argc)
		*out = walk->argv[walk->next++];
	else
		return err_usage(err, -EINVAL, "--%s needs a value: --%s %s", option->name,
				 option->name, option->arg);
	return 0;
}

static int parse_long(struct option_input *input, struct walk *walk, const char *text,
		      struct err *err)
{
	size_t len = strcspn(text, "=");
	const struct option *option = find_name(text, len);
	const char *value;
	int ret;

	if (!option)
		return unknown_option(text, len, false, err);
	ret = take_value(walk, option, text[len] ? text + len + 1 : NULL, &value, err);
	return ret ? ret : option_set(input, option, value, err);
}

static const struct option *find_letter(char letter)
{
	size_t i;

	for (i = 0; i < N_OPTIONS; i++) {
		if (options[i].letter == letter)
			return &options[i];
	}
	return NULL;
}

/* "-Ao json", "-ojson", "-o=json", "-n x": @text is what follows the dash. */
static int parse_letters(struct option_input *input, struct walk *walk, const char *text,
			 struct err *err)
{
	const struct option *option;
	const char *attached, *value;
	int ret = 0;

	for (; !ret && *text; text++) {
		option = find_letter(*text);
		if (!option)
			return err_usage(err, -EINVAL, "unknown option \"-%c\"", *text);
		attached = text[1] == '=' ? text + 2 : option->arg && text[1] ? text + 1 : NULL;
		ret = take_value(walk, option, attached, &value, err);
		if (!ret)
			ret = option_set(input, option, value, err);
		if (attached)
			break;
	}
	return ret;
}

static int parse_arguments(struct option_input *input, struct walk *walk, struct err *err)
{
	struct request *request = input->request;
	bool words_only = false;
	const char *text;
	int ret = 0;

	while (!ret && walk->next < walk->argc) {
		text = walk->argv[walk->next++];
		if (words_only || text[0] != '-' || !text[1])
			request->words[request->n_words++] = text;
		else if (!strcmp(text, "--"))
			words_only = true;
		else if (text[1] == '-')
			ret = parse_long(input, walk, text + 2, err);
		else
			ret = parse_letters(input, walk, text + 1, err);
	}
	return ret;
}

int options_parse(struct option_input *input, int argc, char **argv, struct err *err)
{
	struct walk walk = { .argc = argc, .next = 1, .argv = argv };
	struct request *request = input->request;

	request->words = arena_array(input->arena, (size_t)argc, sizeof(char *));
	request->files = arena_array(input->arena, (size_t)argc, sizeof(char *));
	request->rows = arena_array(input->arena, (size_t)argc, sizeof(char *));
	if (!request->words || !request->files || !request->rows)
		return err_system(err, -ENOMEM, "read the command line");
	return parse_arguments(input, &walk, err);
}

const struct option *options_refused(const struct option_input *input, unsigned int groups)
{
	size_t i;

	for (i = 0; i < N_OPTIONS; i++) {
		if (input->given[i] && !(options[i].group & groups))
			return &options[i];
	}
	return NULL;
}
