// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The option table: what a command line and a packet test may say, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/command.h"
#include "cmd/kept.h"
#include "source/store.h"
#include "util/nearest.h"

#define ARGS_MAX 16

struct parsed {
	struct settings settings;
	struct request request;
	struct option_input input;
	struct err err;
	char text[2048]; /* argv points in here */
	int ret;
};

/* Parse "shunt @line", split at single blanks; '' stands for an empty argument. */
static void parse(struct parsed *p, const char *line)
{
	char *argv[ARGS_MAX] = { "shunt" }, *word, *rest = p->text;
	int argc = 1;

	memset(p, 0, sizeof(*p));
	(void)snprintf(p->text, sizeof(p->text), "%s", line);
	while ((word = strsep(&rest, " ")) && *word) {
		assert_true(argc < ARGS_MAX);
		argv[argc++] = strcmp(word, "''") ? word : "";
	}
	settings_init(&p->settings);
	p->input.settings = &p->settings;
	p->input.request = &p->request;
	p->input.arena = arena_new();
	assert_non_null(p->input.arena);
	p->ret = options_parse(&p->input, argc, argv, &p->err);
}

static void done(struct parsed *p)
{
	arena_free(p->input.arena);
}

/* ---- accepted ------------------------------------------------------------------ */

static void words_and_options_mix(void **state)
{
	struct parsed p;

	parse(&p, "-n shop get -o=json svc --service web kubia");
	assert_int_equal(p.ret, 0);
	assert_int_equal(p.request.n_words, 3);
	assert_string_equal(p.request.words[0], "get");
	assert_string_equal(p.request.words[1], "svc");
	assert_string_equal(p.request.words[2], "kubia");
	assert_string_equal(p.request.ns, "shop");
	assert_string_equal(p.request.service, "web");
	assert_int_equal(p.request.output, OUTPUT_JSON);
	done(&p);
}

static void letters_join(void **state)
{
	struct parsed p;

	parse(&p, "get -Aowide -fa.yaml -f b.yaml -f - --filename=c");
	assert_int_equal(p.ret, 0);
	assert_true(p.request.all_namespaces);
	assert_int_equal(p.request.output, OUTPUT_WIDE);
	assert_int_equal(p.request.n_files, 4);
	assert_string_equal(p.request.files[0], "a.yaml");
	assert_string_equal(p.request.files[1], "b.yaml");
	assert_string_equal(p.request.files[2], "-");
	assert_string_equal(p.request.files[3], "c");
	done(&p);
}

static void two_dashes_end_options(void **state)
{
	struct parsed p;

	parse(&p, "get services -- -n -A");
	assert_int_equal(p.ret, 0);
	assert_int_equal(p.request.n_words, 4);
	assert_string_equal(p.request.words[2], "-n");
	assert_null(p.request.ns);
	done(&p);
}

static void flags_take_a_value_behind_an_equals_sign_only(void **state)
{
	struct parsed p;

	parse(&p, "apply --masquerade-all=true -A=false --masquerade-all=false x");
	assert_int_equal(p.ret, 0);
	assert_false(p.settings.masquerade_all);
	assert_false(p.request.all_namespaces);
	assert_int_equal(p.request.n_words, 2);
	done(&p);
}

static void a_list_replaces_its_default_once(void **state)
{
	struct parsed p;
	char text[ADDR_STRLEN];

	parse(&p, "apply --service-cidr 10.1.0.0/16 --service-cidr fd01::/112,10.2.0.0/16");
	assert_int_equal(p.ret, 0);
	assert_int_equal(p.settings.n_service_cidrs, 3);
	assert_string_equal(addr_format(&p.settings.service_cidrs[0].addr, text), "10.1.0.0");
	assert_string_equal(addr_format(&p.settings.service_cidrs[1].addr, text), "fd01::");
	assert_int_equal(p.settings.service_cidrs[1].len, 112);
	assert_string_equal(addr_format(&p.settings.service_cidrs[2].addr, text), "10.2.0.0");
	done(&p);
}

static void settings_land_in_their_fields(void **state)
{
	struct parsed p;

	parse(&p, "apply --xdp generic --socket-lb host --snat-ports 50000-60000 "
		  "--devices eth0,bond* --max-flows4 65536 --nodeport-addresses 10.0.0.0/8 "
		  "--bpffs /b");
	assert_int_equal(p.ret, 0);
	assert_int_equal(p.settings.xdp, XDP_GENERIC);
	assert_int_equal(p.settings.socket_lb, SH_SOCKET_LB_HOST);
	assert_int_equal(p.settings.snat_min, 50000);
	assert_int_equal(p.settings.snat_max, 60000);
	assert_int_equal(p.settings.n_devices, 2);
	assert_string_equal(p.settings.devices[1], "bond*");
	assert_int_equal(p.settings.max_flows4, 65536);
	assert_int_equal(p.settings.nodeport_addresses, NODEPORT_CIDRS);
	assert_int_equal(p.settings.n_nodeport_nets, 1);
	assert_string_equal(p.settings.bpffs, "/b");
	done(&p);
}

static const struct {
	const char *value, *addr;
	uint16_t port;
} listens[] = {
	{ "0.0.0.0:10256", "0.0.0.0", 10256 },
	{ "[::]:10256", "::", 10256 },
	{ "[fd00::1]:1", "fd00::1", 1 },
	/* as Go has it: every address of both families */
	{ ":10256", "::", 10256 },
	/* off */
	{ "''", "::", 0 },
	{ ":0", "::", 0 },
	{ "127.0.0.1:0", "127.0.0.1", 0 },
};

static void servers_listen_where_they_are_told(void **state)
{
	char line[64], text[ADDR_STRLEN];
	struct parsed p;
	size_t i;

	parse(&p, "agent");
	assert_string_equal(addr_format(&p.settings.healthz.addr, text), "0.0.0.0");
	assert_int_equal(p.settings.healthz.port, 10256);
	assert_string_equal(addr_format(&p.settings.metrics.addr, text), "127.0.0.1");
	assert_int_equal(p.settings.metrics.port, 10249);
	done(&p);
	for (i = 0; i < sizeof(listens) / sizeof(listens[0]); i++) {
		(void)snprintf(line, sizeof(line), "agent --metrics-bind-address %s",
			       listens[i].value);
		parse(&p, line);
		assert_int_equal(p.ret, 0);
		assert_string_equal(addr_format(&p.settings.metrics.addr, text), listens[i].addr);
		assert_int_equal(p.settings.metrics.port, listens[i].port);
		done(&p);
	}
}

static const struct {
	const char *value, *addr;
	uint16_t port;
} pages[] = {
	/* nobody else's business, unless an address says so */
	{ "8080", "127.0.0.1", 8080 },
	{ ":8080", "127.0.0.1", 8080 },
	{ "127.0.0.1:8080", "127.0.0.1", 8080 },
	{ "[::1]:8080", "::1", 8080 },
	{ "0.0.0.0:80", "0.0.0.0", 80 },
	{ "[::]:80", "::", 80 },
	/* off */
	{ "0", "127.0.0.1", 0 },
	{ "''", "127.0.0.1", 0 },
};

static void a_web_page_is_loopbacks_unless_told(void **state)
{
	char line[64], text[ADDR_STRLEN];
	struct parsed p;
	size_t i;

	parse(&p, "agent");
	assert_int_equal(p.settings.ui.port, 0);
	done(&p);
	for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		(void)snprintf(line, sizeof(line), "agent --ui %s", pages[i].value);
		parse(&p, line);
		assert_int_equal(p.ret, 0);
		assert_string_equal(addr_format(&p.settings.ui.addr, text), pages[i].addr);
		assert_int_equal(p.settings.ui.port, pages[i].port);
		done(&p);
	}
}

static void the_agent_has_options_of_its_own(void **state)
{
	struct parsed p;

	parse(&p, "agent --manifests /m --kubeconfig /k --kube-context c --config /f "
		  "--cleanup-on-exit --xdp off");
	assert_int_equal(p.ret, 0);
	assert_string_equal(p.settings.manifests, "/m");
	assert_string_equal(p.settings.kubeconfig, "/k");
	assert_string_equal(p.settings.kube_context, "c");
	assert_string_equal(p.settings.config, "/f");
	assert_true(p.settings.cleanup_on_exit);
	assert_null(options_refused(&p.input, OPTIONS_OF_AGENT));
	assert_string_equal(options_refused(&p.input, OPTIONS_CONTROL | OPTIONS_DATAPATH)->name,
			    "manifests");
	done(&p);
}

/* ---- refused ------------------------------------------------------------------- */

static const struct {
	const char *line, *message;
} refused[] = {
	/* a mistyped name has its neighbour suggested */
	{ "get --namspace x", "unknown option \"--namspace\" (did you mean \"--namespace\"?)" },
	{ "get --qqqqqqq", "unknown option \"--qqqqqqq\"" },
	{ "get -z", "unknown option \"-z\"" },
	/* no abbreviations: a script must not break when an option is added */
	{ "get --names x", "unknown option \"--names\"" },
	{ "get -n", "--namespace needs a value: --namespace NAME" },
	{ "get --output", "--output needs a value: --output FORMAT" },
	{ "get --namespace=", "--namespace: the value is empty" },
	{ "apply -f ''", "--filename: the name is empty" },
	{ "get -o jsn", "--output: \"jsn\" is not one of table, wide, json, yaml, name, tap, junit "
			"(did you mean \"json\"?)" },
	{ "get -A=maybe", "--all-namespaces: \"maybe\" is not true or false" },
	{ "apply --xdp fast", "--xdp: \"fast\" is not one of auto, native, generic, off" },
	{ "apply --service-cidr 10.0.0.1/8",
	  "--service-cidr: \"10.0.0.1/8\" is not a network like 10.0.0.0/8 or fd00::/112 "
	  "(address/bits, host bits zero)" },
	{ "apply --cluster-cidr 10.0.0.0/8,,", "--cluster-cidr: a value of the list is empty" },
	{ "apply --cluster-cidr 10.0.0.0/8 --cluster-cidr "
	  "1.0.0.0/8,2.0.0.0/8,3.0.0.0/8,4.0.0.0/8,5.0.0.0/8,6.0.0.0/8,7.0.0.0/8,8.0.0.0/8",
	  "--cluster-cidr: more than 8 networks (limit SH_CIDRS_MAX)" },
	{ "apply --devices a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
	  "--devices: more than 16 patterns (limit SETTINGS_PATTERNS_MAX)" },
	{ "apply --nodeport-addresses primary --nodeport-addresses 10.0.0.0/8",
	  "--nodeport-addresses: \"primary\" and networks exclude each other" },
	{ "apply --snat-ports 60000-50000",
	  "--snat-ports: \"60000-50000\" is not a range MIN-MAX of ports in 1024-65535" },
	{ "apply --snat-ports 80-90",
	  "--snat-ports: \"80-90\" is not a range MIN-MAX of ports in 1024-65535" },
	{ "apply --snat-ports 50000",
	  "--snat-ports: \"50000\" is not a range MIN-MAX of ports in 1024-65535" },
	{ "agent --manifests ''", "--manifests: the value is empty" },
	{ "agent --healthz-bind-address localhost:10256",
	  "--healthz-bind-address: \"localhost:10256\" is not ADDR:PORT, like 0.0.0.0:10256, "
	  "[::1]:10256 or :10256 (\"\" or port 0: off)" },
	{ "agent --healthz-bind-address 0.0.0.0",
	  "--healthz-bind-address: \"0.0.0.0\" is not ADDR:PORT, like 0.0.0.0:10256, "
	  "[::1]:10256 or :10256 (\"\" or port 0: off)" },
	/* an IPv6 address without brackets: where does it end? */
	{ "agent --metrics-bind-address ::1:80",
	  "--metrics-bind-address: \"::1:80\" is not ADDR:PORT, like 0.0.0.0:10256, "
	  "[::1]:10256 or :10256 (\"\" or port 0: off)" },
	{ "agent --metrics-bind-address [10.0.0.1]:80",
	  "--metrics-bind-address: \"[10.0.0.1]:80\" is not ADDR:PORT, like 0.0.0.0:10256, "
	  "[::1]:10256 or :10256 (\"\" or port 0: off)" },
	{ "agent --metrics-bind-address 127.0.0.1:65536",
	  "--metrics-bind-address: \"127.0.0.1:65536\" is not ADDR:PORT, like 0.0.0.0:10256, "
	  "[::1]:10256 or :10256 (\"\" or port 0: off)" },
	{ "agent --ui 80808",
	  "--ui: \"80808\" is not ADDRESS:PORT or PORT, like 8080 (of 127.0.0.1), [::1]:8080 or "
	  "0.0.0.0:8080 (\"\" or port 0: off)" },
	{ "agent --ui 10.0.0.1",
	  "--ui: \"10.0.0.1\" is not ADDRESS:PORT or PORT, like 8080 (of 127.0.0.1), [::1]:8080 or "
	  "0.0.0.0:8080 (\"\" or port 0: off)" },
	{ "agent --ui ::1:80",
	  "--ui: \"::1:80\" is not ADDRESS:PORT or PORT, like 8080 (of 127.0.0.1), [::1]:8080 or "
	  "0.0.0.0:8080 (\"\" or port 0: off)" },
	{ "agent --cleanup-on-exit=maybe", "--cleanup-on-exit: \"maybe\" is not true or false" },
	{ "apply --max-backends 4294967297",
	  "--max-backends: \"4294967297\" is not a number in 64-16777215" },
	{ "apply --max-sockets +64", "--max-sockets: \"+64\" is not a number in 64-16777216" },
	{ "apply --max-sockets 63", "--max-sockets: \"63\" is not a number in 64-16777216" },
};

static void refused_with_the_exact_message(void **state)
{
	struct parsed p;
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		parse(&p, refused[i].line);
		assert_string_equal(p.err.msg, refused[i].message);
		assert_int_equal(p.err.exit, EXIT_USAGE);
		assert_true(p.ret < 0);
		done(&p);
	}
}

/* ---- by name -------------------------------------------------------------------- */

static void settings_are_set_by_name(void **state)
{
	struct parsed p;
	char value[] = "10.180.0.0/16";

	parse(&p, "");
	assert_int_equal(settings_set(&p.input, "cluster-cidr", value, &p.err), 0);
	memset(value, 'x', sizeof(value) - 1); /* the value was copied */
	assert_int_equal(settings_set(&p.input, "cluster-cidr", "fd00::/64", &p.err), 0);
	assert_int_equal(settings_set(&p.input, "masquerade-all", "true", &p.err), 0);
	assert_int_equal(p.settings.n_cluster_cidrs, 2);
	assert_true(p.settings.masquerade_all);
	assert_true(settings_set(&p.input, "clustr-cidr", "x", &p.err) < 0);
	assert_string_equal(p.err.msg,
			    "unknown option \"clustr-cidr\" (did you mean \"cluster-cidr\"?)");
	/* what only a command line can mean is no setting */
	assert_true(settings_set(&p.input, "namespace", "x", &p.err) < 0);
	done(&p);
}

static void given_texts_read_back_the_same(void **state)
{
	struct parsed p, q;
	size_t i;

	parse(&p,
	      "apply --service-cidr 10.1.0.0/16 --service-cidr fd01::/112 --xdp off --xdp auto");
	parse(&q, "");
	for (i = 0; i < options_count(); i++) {
		if (p.input.given[i])
			assert_int_equal(
				settings_set(&q.input, options[i].name, p.input.given[i], &q.err),
				0);
	}
	assert_int_equal(q.settings.n_service_cidrs, 2);
	assert_memory_equal(q.settings.service_cidrs, p.settings.service_cidrs,
			    sizeof(q.settings.service_cidrs));
	assert_int_equal(q.settings.xdp, XDP_AUTO);
	done(&p);
	done(&q);
}

/* What sizes maps or says which instance it is can't change under a running agent. */
static void some_options_change_at_run_time(void **state)
{
	static const char *const lasting[] = { "bpffs",	     "state",	  "node-name",
					       "max-flows4", "manifests", "healthz-bind-address" };
	static const char *const changing[] = { "service-cidr", "cluster-cidr", "masquerade-all",
						"devices",	"socket-lb",	"cleanup-on-exit" };
	size_t i;

	for (i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
		assert_false(options_reloadable(options_find(lasting[i])));
	for (i = 0; i < sizeof(changing) / sizeof(changing[0]); i++)
		assert_true(options_reloadable(options_find(changing[i])));
	assert_null(options_find("no-such-option"));
}

static void an_option_of_another_verb_is_found(void **state)
{
	struct parsed p;

	parse(&p, "get --xdp off -n x");
	assert_int_equal(p.ret, 0);
	assert_string_equal(options_refused(&p.input, OPTIONS_SCOPE)->name, "xdp");
	assert_null(options_refused(&p.input, OPTIONS_SCOPE | OPTIONS_DATAPATH));
	done(&p);
}

/* Names, letters and help of the table itself. */
static void the_table_is_sound(void **state)
{
	size_t i, j;

	for (i = 0; i < options_count(); i++) {
		assert_non_null(options[i].set);
		assert_true(strlen(options[i].help) > 0);
		/* one that is in no group would be no verb's */
		assert_true(options[i].group);
		for (j = 0; j < i; j++) {
			assert_string_not_equal(options[i].name, options[j].name);
			assert_true(!options[i].letter || options[i].letter != options[j].letter);
		}
	}
}

/* ---- kept with an instance --------------------------------------------------------- */

static void kept_options_come_back(void **state)
{
	char dir[] = "/tmp/shunt-test-XXXXXX";
	struct kept_options none = { 0 }, kept, read;
	struct settings settings;
	struct parsed first, second;

	assert_non_null(mkdtemp(dir));
	parse(&first, "apply --node-name node-1 --xdp off --service-cidr 10.1.0.0/16 --bpffs /b");
	kept = kept_options_merged(&none, &first.input);
	assert_int_equal(kept_options_write(dir, &none, &kept, &first.err), 0);

	parse(&second, "apply --xdp generic");
	assert_int_equal(kept_options_read(dir, second.input.arena, &read, &second.err), 0);
	assert_int_equal(kept_options_set(&read, &second.input, &second.settings,
					  second.input.arena, &second.err),
			 0);
	assert_string_equal(second.settings.node_name, "node-1");
	/* a list takes the default's place, the command line that of what was kept */
	assert_int_equal(second.settings.n_service_cidrs, 1);
	assert_int_equal(second.settings.xdp, XDP_GENERIC);
	/* which instance it is was never kept */
	settings_init(&settings);
	assert_string_equal(second.settings.bpffs, settings.bpffs);

	assert_int_equal(store_remove(dir, &first.err), 0);
	done(&first);
	done(&second);
}

static void no_folder_keeps_nothing(void **state)
{
	struct kept_options kept;
	struct parsed p;
	size_t i;

	parse(&p, "apply");
	assert_int_equal(kept_options_read("/nonexistent/shunt", p.input.arena, &kept, &p.err), 0);
	for (i = 0; i < options_count(); i++)
		assert_null(kept.text[i]);
	done(&p);
}

static void a_kept_option_that_is_refused_is_named(void **state)
{
	struct kept_options kept = { 0 };
	struct parsed p;
	size_t i;

	parse(&p, "apply");
	for (i = 0; i < options_count(); i++) {
		if (!strcmp(options[i].name, "xdp"))
			kept.text[i] = "warp";
	}
	assert_true(kept_options_set(&kept, NULL, &p.settings, p.input.arena, &p.err) < 0);
	assert_string_equal(p.err.msg, "kept from an earlier apply, give it anew: --xdp: \"warp\" "
				       "is not one of auto, native, generic, off");
	done(&p);
}

/* ---- nearest names ---------------------------------------------------------------- */

static const struct {
	const char *word, *nearest;
} typed[] = {
	{ "aply", "apply" },   { "appyl", "apply" }, { "get", "get" },
	{ "gte", "get" },      { "Reset", "reset" }, { "versoin", "version" },
	{ "delet", "delete" }, { "x", NULL },	     { "frobnicate", NULL },
	{ "", NULL },
};

static void a_mistyped_verb_has_its_neighbour(void **state)
{
	struct nearest nearest;
	size_t i, j;

	for (i = 0; i < sizeof(typed) / sizeof(typed[0]); i++) {
		nearest_init(&nearest, typed[i].word);
		for (j = 0; j < commands_count(); j++)
			nearest_offer(&nearest, commands[j].name);
		if (typed[i].nearest)
			assert_string_equal(nearest.best, typed[i].nearest);
		else
			assert_null(nearest.best);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_options_mix),
		cmocka_unit_test(letters_join),
		cmocka_unit_test(two_dashes_end_options),
		cmocka_unit_test(flags_take_a_value_behind_an_equals_sign_only),
		cmocka_unit_test(a_list_replaces_its_default_once),
		cmocka_unit_test(settings_land_in_their_fields),
		cmocka_unit_test(servers_listen_where_they_are_told),
		cmocka_unit_test(a_web_page_is_loopbacks_unless_told),
		cmocka_unit_test(the_agent_has_options_of_its_own),
		cmocka_unit_test(refused_with_the_exact_message),
		cmocka_unit_test(settings_are_set_by_name),
		cmocka_unit_test(given_texts_read_back_the_same),
		cmocka_unit_test(some_options_change_at_run_time),
		cmocka_unit_test(an_option_of_another_verb_is_found),
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(kept_options_come_back),
		cmocka_unit_test(no_folder_keeps_nothing),
		cmocka_unit_test(a_kept_option_that_is_refused_is_named),
		cmocka_unit_test(a_mistyped_verb_has_its_neighbour),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
