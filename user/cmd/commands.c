// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/command.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "util/nearest.h"

const struct command commands[] = {
	{
		.name = "agent",
		.args = "",
		.summary = "keep the kernel in step with a cluster or a folder",
		.text = "The node agent, in place of kube-proxy. Follows a cluster's API "
			"(--kubeconfig, or as\n"
			"a pod by its service account) or a folder of manifests (--manifests), and "
			"the\n"
			"devices, addresses and routes of this node, until SIGTERM or SIGINT. What "
			"it put\n"
			"into the kernel works on after it has ended, unless --cleanup-on-exit is "
			"given.\n"
			"\n"
			"An option may also stand in the environment (--service-cidr: "
			"SHUNT_SERVICE_CIDR)\n"
			"and in the file of --config, which SIGHUP has read again. The command "
			"line comes\n"
			"before the environment, that before the file.\n",
		.examples = "  shunt agent --kubeconfig /etc/kubernetes/shunt.conf\n"
			    "  shunt agent --manifests /etc/shunt/manifests --node-name node-1\n"
			    "  shunt agent --config /var/lib/kube-proxy/config.conf\n",
		.options = OPTIONS_OF_AGENT,
		.needs = NEEDS_WRITE,
		.run = agent_run,
	},
	{
		.name = "apply",
		.args = "-f FILE|DIR|-",
		.summary = "load manifests into the kernel",
		.text = "Reads every manifest strictly, gives Services that have none a ClusterIP "
			"and\n"
			"nodePorts, publishes the result to the kernel and keeps it in the state\n"
			"folder. Objects of earlier runs stay until they are deleted. If anything "
			"fails,\n"
			"what was in force before stays in force.\n"
			"\n"
			"Options below that shape the instance are kept with it: later runs of "
			"apply and\n"
			"delete use them again unless they are given anew, until reset.\n",
		.examples = "  shunt apply -f examples/kubia\n"
			    "  kubectl get services,endpointslices -A -o yaml | shunt apply -f -\n"
			    "  shunt apply -f shop.yaml --node-name node-1 --devices eth0\n",
		.options = OPTIONS_INSTANCE | OPTIONS_STATE | OPTIONS_FILES | OPTIONS_CONTROL |
			   OPTIONS_DATAPATH,
		.needs = NEEDS_WRITE,
		.run = apply_run,
	},
	{
		.name = "delete",
		.args = "-f FILE|DIR|-",
		.summary = "unload what manifests name",
		.text = "Removes the objects that the manifests name; only kind, namespace and "
			"name\n"
			"matter. Exit status 1 if one of them was not there; the others are "
			"deleted.\n",
		.examples = "  shunt delete -f examples/kubia\n",
		.options = OPTIONS_INSTANCE | OPTIONS_STATE | OPTIONS_FILES | OPTIONS_CONTROL |
			   OPTIONS_DATAPATH,
		.needs = NEEDS_WRITE,
		.run = delete_run,
	},
	{
		.name = "reset",
		.args = "",
		.summary = "remove everything shunt put into the kernel",
		.text = "Detaches and removes programs, maps, links, qdiscs and sysctl settings of "
			"the\n"
			"instance, then its state folder's contents. Connections by way of a "
			"Service\n"
			"end. Does nothing, successfully, where there is nothing.\n",
		.examples = "  shunt reset\n",
		.options = OPTIONS_INSTANCE | OPTIONS_STATE,
		.needs = NEEDS_WRITE,
		.run = reset_run,
	},
	{
		.name = "check",
		.args = "-f FILE|DIR|-",
		.summary = "validate manifests; needs no privilege",
		.text = "Says what apply would refuse: unknown fields, wrong types, values that "
			"the\n"
			"Kubernetes API refuses, addresses and nodePorts given twice. Changes "
			"nothing.\n"
			"Exit status 1 if there is an error. -o json and -o yaml list the "
			"errors.\n",
		.examples = "  shunt check -f examples/kubia\n"
			    "  shunt check -f - -o json <manifest.yaml\n",
		.options = OPTIONS_FILES | OPTIONS_OUTPUT | OPTIONS_CONTROL,
		.outputs = OUTPUTS_DOCUMENT,
		.needs = NEEDS_NOTHING,
		.run = check_run,
	},
	{
		.name = "get",
		.args = "RESOURCE [NAME...]",
		.summary = "show what the kernel holds",
		.text = "Reads the pinned maps, so that it tells what packets meet, also while no "
			"other\n"
			"shunt runs. Services without a virtual address (headless, ExternalName) "
			"are\n"
			"not in the kernel and so not shown.\n",
		.examples = "  shunt get services -A\n"
			    "  shunt get svc kubia -o wide\n"
			    "  shunt get backends --service kubia -o json\n"
			    "  shunt get backends -A -l app=web --sort-by connections\n"
			    "  shunt get flows -n shop --src 10.244.1.0/24 --dst 10.96.0.1:443\n"
			    "  shunt get drops -w\n",
		.options = OPTIONS_INSTANCE | OPTIONS_STATE | OPTIONS_OUTPUT | OPTIONS_SCOPE |
			   OPTIONS_LIST | OPTIONS_ENDS,
		.outputs = OUTPUTS_LIST,
		.needs = NEEDS_READ,
		.words_max = 1000,
		.run = get_run,
		.help = get_help,
	},
	{
		.name = "test",
		.args = "PATH...",
		.summary = "prove what manifests do to packets",
		.text = "Runs packet tests: files NAME.test.yaml, or all of those in and below "
			"folders.\n"
			"A test names manifests, the Node that it runs as, and flows: who connects "
			"to\n"
			"what, and what is to become of it. New connections go through the very "
			"programs\n"
			"that apply attaches, from as many source ports as it takes to meet every\n"
			"backend, and every byte that comes out is checked. Nothing of this "
			"machine "
			"is\n"
			"touched, no shunt has to run. Results are TAP; -o junit and -o json (one "
			"object\n"
			"a line) say the same. Exit status 1 if a flow failed or a file is "
			"wrong.\n",
		.examples = "  shunt test examples/kubia\n"
			    "  shunt test shop.test.yaml --hook xdp\n"
			    "  shunt test tests -o junit >results.xml\n",
		.options = OPTIONS_OUTPUT | OPTIONS_TEST,
		.outputs = OUTPUTS_TEST,
		.needs = NEEDS_WRITE,
		.words_max = SH_TEST_FILES_MAX,
		.run = test_run,
	},
	{
		.name = "trace",
		.args = "--from pod|node|external --src IP[:PORT] --dst IP:PORT",
		.summary = "show, step by step, what becomes of a connection",
		.text = "Sends the first packet of a connection (--from node: a socket's "
			"connect()) "
			"through\n"
			"the very programs that apply attaches, over a copy of what the kernel "
			"holds, and\n"
			"prints what they decide, in their order. Nothing is sent, and no flow, "
			"counter or\n"
			"affinity changes. With -f it is asked over manifests instead, on a node "
			"made for\n"
			"that, with no shunt running: --node-name says which (default the first). "
			"Exit\n"
			"status 1 if the connection would be refused or dropped.\n",
		.examples = "  shunt trace --from pod --src 10.244.1.11 --dst 10.96.0.1:443\n"
			    "  shunt trace --from node --dst 10.96.0.10:53 --proto udp -o json\n"
			    "  shunt trace -f shop.yaml --from external --src 203.0.113.9 --dst "
			    "192.0.2.1:30123\n",
		.options = OPTIONS_INSTANCE | OPTIONS_FILES | OPTIONS_CONTROL | OPTIONS_OUTPUT |
			   OPTIONS_TRACE | OPTIONS_ENDS,
		.files_optional = true,
		.outputs = OUTPUTS_DOCUMENT,
		.needs = NEEDS_WRITE,
		.run = trace_run,
	},
	{
		.name = "monitor",
		.args = "",
		.summary = "show what happens, as it happens",
		.text = "Prints a line for each new and closed flow, each packet or connect() that "
			"is\n"
			"dropped or rejected (why, and the line of the program that did it), each "
			"choice of\n"
			"a Service with session affinity, and each change of what the kernel "
			"holds. -o json\n"
			"prints one object a line. Runs beside an agent or without one, until "
			"SIGINT; up\n"
			"to 4 at a time. Where nobody listens events cost next to nothing, and "
			"established\n"
			"packets pay for none. What was lost is told once a second on standard "
			"error.\n"
			"\n"
			"--pcap takes the packets of Services (Linux 6.6 and later), each with its "
			"Service\n"
			"in a comment: where they come in and where they leave, before and after\n"
			"translation. --src and --dst are then addresses of either end. What "
			"sockets are\n"
			"given at connect() was never sent to a virtual address, and is not "
			"written.\n",
		.examples = "  shunt monitor\n"
			    "  shunt monitor --event drop,reject -o json\n"
			    "  shunt monitor --service shop/web --src 10.244.1.0/24\n"
			    "  shunt monitor --pcap - | tcpdump -nr -\n",
		.options = OPTIONS_INSTANCE | OPTIONS_OUTPUT | OPTIONS_ENDS | OPTIONS_MONITOR,
		.outputs = OUTPUTS_BENCH,
		.needs = NEEDS_WRITE,
		.run = monitor_run,
	},
	{
		.name = "top",
		.args = "",
		.summary = "show live rates of Services and their backends",
		.text = "Services by new connections, packets, bytes and drops a second and by "
			"live flows,\n"
			"and above them what the node does as a whole. Enter shows a Service's "
			"backends,\n"
			"their states, weights and shares; h lists the keys. --service shows one "
			"Service's\n"
			"backends at once. Reads the pins, with or without an agent.\n"
			"\n"
			"Without a terminal, with --batch or with -o it measures for --delay, "
			"prints one\n"
			"snapshot (with --service: of its backends), and ends. Packets and bytes "
			"are those\n"
			"that shunt translates: sockets that were given a backend at connect() "
			"count as\n"
			"connections alone.\n",
		.examples = "  shunt top\n"
			    "  shunt top -n shop -d 0.5\n"
			    "  shunt top --service shop/web\n"
			    "  shunt top -b | head\n"
			    "  shunt top -d 10 -o json | jq '.items[0]'\n",
		.options = OPTIONS_INSTANCE | OPTIONS_STATE | OPTIONS_OUTPUT | OPTIONS_TOP,
		.outputs = OUTPUTS_LIST,
		.needs = NEEDS_READ,
		.run = top_run,
	},
	{
		.name = "bench",
		.args = "",
		.summary = "measure what each path costs on this machine",
		.text = "Runs the very programs that apply attaches, by BPF_PROG_TEST_RUN, over "
			"Services,\n"
			"flow tables and a network namespace made for that; nothing of this "
			"machine is\n"
			"touched, nothing is sent, no shunt has to run. Each row is a path of a "
			"packet or\n"
			"a system call: net ns for one (over a baseline that is measured beside "
			"it), and\n"
			"as a share of a look-up in a kernel hash map, measured in the same run. "
			"Takes a\n"
			"few minutes and 1 GiB of memory, less with --row or --flows.\n",
		.examples = "  shunt bench\n"
			    "  shunt bench --row 'xdp/ipv4/*' --runs 15\n"
			    "  shunt bench --services 10000 -o json >bench.json\n",
		.options = OPTIONS_OUTPUT | OPTIONS_BENCH,
		.outputs = OUTPUTS_BENCH,
		.needs = NEEDS_WRITE,
		.run = bench_cmd_run,
	},
	{
		.name = "status",
		.args = "",
		.summary = "is all in place: what is attached where, how, and how full",
		.text = "Tells which instance is loaded, by which build, where its programs are "
			"attached and\n"
			"why not in a better mode, how full the maps are, whether an agent runs, "
			"and what\n"
			"it says of its last sync and of the API. Exit status 1 if nothing is "
			"loaded.\n",
		.examples = "  shunt status\n"
			    "  shunt status -o json | jq .devices\n",
		.options = OPTIONS_INSTANCE | OPTIONS_STATE | OPTIONS_OUTPUT,
		.outputs = OUTPUTS_DOCUMENT,
		.needs = NEEDS_READ,
		.run = status_run,
	},
	{
		.name = "doctor",
		.args = "[[NAMESPACE/]SERVICE]",
		.summary = "say what is wrong, how one can tell, and what to do",
		.text = "Looks at the Services and at this node as an expert would: at objects, at "
			"what is\n"
			"in the kernel, at devices, sysctls and other programs' rules. Each "
			"finding says\n"
			"what is wrong, the evidence, and what to do. With -f it looks at "
			"manifests alone\n"
			"and needs no privilege; --node-name says for which Node (default the "
			"first). The\n"
			"objects of a cluster are nobody's to read here: hand them over by "
			"kubectl. Exit\n"
			"status 1 if there is an error or a warning; a note is neither.\n"
			"\n"
			"--remove-kube-proxy prints what removes the rules that kube-proxy left "
			"in iptables,\n"
			"nftables and IPVS, and nothing else; with --yes it removes them.\n",
		.examples = "  shunt doctor\n"
			    "  shunt doctor shop/web --src 203.0.113.9\n"
			    "  shunt doctor -f examples/broken/selector.yaml\n"
			    "  kubectl get services,endpointslices,pods,nodes -A -o yaml | shunt "
			    "doctor -f -\n"
			    "  shunt doctor --remove-kube-proxy --yes\n",
		.options = OPTIONS_INSTANCE | OPTIONS_STATE | OPTIONS_FILES | OPTIONS_CONTROL |
			   OPTIONS_OUTPUT | OPTIONS_DOCTOR,
		.files_optional = true,
		.outputs = OUTPUTS_DOCUMENT,
		.needs = NEEDS_READ,
		.words_max = 1,
		.run = doctor_cmd_run,
		.help = doctor_help,
	},
	{
		.name = "completion",
		.args = "bash|zsh|fish",
		.summary = "print a shell's completion of shunt",
		.text = "Completes verbs, options and their values, and, where shunt may read the "
			"kernel,\n"
			"the names of Services and namespaces. Packages and \"make install\" put "
			"the scripts\n"
			"where shells look for them.\n",
		.examples = "  source <(shunt completion bash)\n"
			    "  shunt completion fish >~/.config/fish/completions/shunt.fish\n",
		.needs = NEEDS_NOTHING,
		.words_max = 1,
		.run = completion_run,
	},
	{
		.name = "__complete",
		.args = "-- WORD...",
		.summary = "the candidates for the last word, for completion scripts",
		.text = "",
		.examples = "  shunt __complete -- get serv\n",
		.hidden = true,
		.needs = NEEDS_NOTHING,
		.words_max = 1000,
		.run = complete_run,
	},
	{
		.name = "__man",
		.args = "[PAGE FRAGMENT]",
		.summary = "a manual page's source, or the names of all pages",
		.text = "",
		.examples = "  shunt __man shunt-get man/shunt-get.mdoc\n",
		.hidden = true,
		.needs = NEEDS_NOTHING,
		.words_max = 2,
		.run = man_run,
	},
	{
		.name = "version",
		.args = "",
		.summary = "say which shunt, kernel and libbpf these are",
		.text = "",
		.examples = "  shunt version -o json\n",
		.options = OPTIONS_OUTPUT,
		.outputs = OUTPUTS_DOCUMENT,
		.needs = NEEDS_NOTHING,
		.run = version_run,
	},
	{
		.name = "help",
		.args = "[VERB]",
		.summary = "explain a verb and its options",
		.text = "",
		.examples = "  shunt help get\n",
		.needs = NEEDS_NOTHING,
		.words_max = 1,
		.run = help_run,
	},
};

size_t commands_count(void)
{
	return sizeof(commands) / sizeof(commands[0]);
}

const struct command *command_find(const char *name, struct err *err)
{
	struct nearest nearest;
	char hint[96];
	size_t i;

	nearest_init(&nearest, name);
	for (i = 0; i < commands_count(); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
		if (!commands[i].hidden)
			nearest_offer(&nearest, commands[i].name);
	}
	(void)err_usage(err, -EINVAL, "unknown verb \"%.64s\"%s%s", name,
			nearest_hint(&nearest, hint, sizeof(hint)),
			nearest.best ? "" : "; \"shunt help\" lists them");
	return NULL;
}

void say(struct invocation *inv, const char *fmt, ...)
{
	va_list args;
	int ret;

	va_start(args, fmt);
	errno = 0;
	ret = vfprintf(inv->out, fmt, args);
	if (ret < 0 && !inv->write_errno)
		inv->write_errno = errno ? errno : EIO;
	va_end(args);
}

int err_said(struct err *err, enum exit_code code)
{
	err->exit = code;
	err->msg[0] = '\0';
	return code == EXIT_SYSTEM ? -EIO : -EINVAL;
}

int err_output(struct err *err, int ret)
{
	/* Whoever read has gone on purpose (`| head`): nobody needs to be told. */
	if (ret == -EPIPE)
		return err_said(err, EXIT_SYSTEM);
	return err_system(err, ret, "write to standard output");
}
