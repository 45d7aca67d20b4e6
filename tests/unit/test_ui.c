/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/ui.h"
#include "http_client.h"
#include "shunt/limits.h"

static const struct ui_instance instance = { .bpffs = "/sys/fs/bpf/x", .state = "/var/lib/x" };

/* ---- what is asked ------------------------------------------------------------------ */

#define LONG_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct question_row {
	const char *what, *path;
	struct http_argument arguments[5];
	int ret;
	const char *result; /* the words, or the message */
};

static const struct question_row question_rows[] = {
	{ "a list",
	  "/api/services",
	  { { 0 } },
	  0,
	  "get services --all-namespaces --output=json --bpffs=/sys/fs/bpf/x --state=/var/lib/x" },
	{ "drops",
	  "/api/drops",
	  { { 0 } },
	  0,
	  "get drops --all-namespaces --output=json --bpffs=/sys/fs/bpf/x --state=/var/lib/x" },
	{ "status",
	  "/api/status",
	  { { 0 } },
	  0,
	  "status --output=json --bpffs=/sys/fs/bpf/x --state=/var/lib/x" },
	{ "parameters come in the command's order",
	  "/api/backends",
	  { { "service", "web" }, { "namespace", "shop-1.a" } },
	  0,
	  "get backends --namespace=shop-1.a --service=web --output=json --bpffs=/sys/fs/bpf/x "
	  "--state=/var/lib/x" },
	{ "what looks like an option is a value",
	  "/api/backends",
	  { { "service", "--state" }, { "namespace", "-A" } },
	  -EINVAL,
	  "namespace: \"-A\" is not a namespace, like default" },
	{ "a name of dashes stays a value",
	  "/api/backends",
	  { { "service", "--state" }, { "namespace", "-a" } },
	  0,
	  "get backends --namespace=-a --service=--state --output=json --bpffs=/sys/fs/bpf/x "
	  "--state=/var/lib/x" },
	{ "a trace; what is empty was not filled in",
	  "/api/trace",
	  { { "from", "node" }, { "src", "" }, { "dst", "[fd00::1]:80" }, { "proto", "udp" } },
	  0,
	  "trace --from=node --dst=[fd00::1]:80 --proto=udp --output=json --bpffs=/sys/fs/bpf/x" },
	{ "64 characters are enough",
	  "/api/backends",
	  { { "namespace", LONG_64 }, { "service", "a" } },
	  0,
	  "get backends --namespace=" LONG_64 " --service=a --output=json --bpffs=/sys/fs/bpf/x "
	  "--state=/var/lib/x" },
	{ "65 are not",
	  "/api/backends",
	  { { "namespace", LONG_64 "a" }, { "service", "a" } },
	  -EINVAL,
	  "namespace: longer than 64 characters (limit SH_UI_PARAMETER_MAX)" },
	{ "no such path", "/api/flows", { { 0 } }, -ENOENT, "" },
	{ "nothing below a path", "/api/services/", { { 0 } }, -ENOENT, "" },
	{ "a parameter that the path doesn't have",
	  "/api/services",
	  { { "output", "yaml" } },
	  -EINVAL,
	  "/api/services takes no parameter \"output\"" },
	{ "one that is given twice",
	  "/api/trace",
	  { { "from", "pod" }, { "from", "node" } },
	  -EINVAL,
	  "from is given twice" },
	{ "one that is needed",
	  "/api/trace",
	  { { "from", "pod" } },
	  -EINVAL,
	  "dst is missing: give IP:PORT, like 10.96.0.1:443" },
	{ "one of a few words",
	  "/api/trace",
	  { { "from", "Pod" }, { "dst", "10.0.0.1:80" } },
	  -EINVAL,
	  "from: \"Pod\" is not pod, node or external" },
	{ "no part of a word",
	  "/api/trace",
	  { { "from", "pod" }, { "dst", "10.0.0.1:80" }, { "proto", "tc" } },
	  -EINVAL,
	  "proto: \"tc\" is not tcp or udp" },
	{ "no blank, and so no second word",
	  "/api/trace",
	  { { "from", "pod" }, { "dst", "10.0.0.1:80 -f /etc" } },
	  -EINVAL,
	  "dst: \"10.0.0.1:80 -f /etc\" is not IP:PORT, like 10.96.0.1:443" },
	{ "no markup",
	  "/api/backends",
	  { { "namespace", "<b>" }, { "service", "a" } },
	  -EINVAL,
	  "namespace: \"<b>\" is not a namespace, like default" },
};

static void join(const struct ui_question *question, char *out, size_t size)
{
	size_t i, len = 0;

	out[0] = '\0';
	for (i = 0; i < UI_WORDS_MAX && question->words[i][0]; i++)
		len += (size_t)snprintf(out + len, size - len, "%s%s", i ? " " : "",
					question->words[i]);
}

static void test_questions(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(question_rows) / sizeof(question_rows[0]); i++) {
		const struct question_row *row = &question_rows[i];
		struct ui_request request = { row->path, row->arguments, 0 };
		struct ui_question question;
		struct err err = { 0 };
		char line[4096];

		print_message("%s\n", row->what);
		while (request.arguments[request.n].name)
			request.n++;
		assert_int_equal(ui_question(&instance, &request, &question, &err), row->ret);
		if (!row->ret)
			join(&question, line, sizeof(line));
		assert_string_equal(row->ret ? err.msg : line, row->result);
	}
}

static void test_paths_too_long(void **state)
{
	char path[UI_WORD_SIZE + 1];
	const struct ui_request request = { .path = "/api/services" };
	const struct ui_instance far = { .bpffs = path, .state = "/s" };
	struct ui_question question;
	struct err err = { 0 };

	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(ui_question(&far, &request, &question, &err), -ENAMETOOLONG);
	assert_string_equal(err.msg, "/api/services: --bpffs or --state: File name too long");
}

static void test_hosts(void **state)
{
	static const struct {
		const char *host;
		bool ours;
	} rows[] = {
		{ "127.0.0.1", true },
		{ "127.0.0.1:8080", true },
		{ "127.8.9.10:1", true },
		{ "localhost", true },
		{ "LocalHost:9000", true },
		{ "[::1]", true },
		{ "[::1]:8080", true },
		{ NULL, false },
		{ "", false },
		{ ":8080", false },
		{ "128.0.0.1", false },
		{ "0.0.0.0:8080", false },
		{ "evil.example", false },
		{ "localhost.evil.example", false },
		{ "127.0.0.1.evil", false },
		{ "::1", false },
		{ "[::2]", false },
		{ "[::1", false },
		{ "[127.0.0.1.]", false },
		{ "[::ffff:127.0.0.1]:80", false },
		{ "2130706433", false },
		{ "0x7f.1", false },
		{ LONG_64 LONG_64, false },
		{ "[" LONG_64 "]", false },
		{ "localhost evil", false },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].host ? rows[i].host : "(none)");
		assert_int_equal(ui_host_is_loopback(rows[i].host), rows[i].ours);
	}
}

static void test_error_bodies(void **state)
{
	static const struct {
		const char *text, *body;
	} rows[] = {
		{ "no", "{\"kind\":\"Error\",\"message\":\"no\"}" },
		{ "a \"b\" \\ \n<c>",
		  "{\"kind\":\"Error\",\"message\":\"a \\\"b\\\" \\\\ \\n<c>\"}" },
		{ "\xff\xfe", "{\"kind\":\"Error\",\"message\":\"the request is not UTF-8\"}" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *body = ui_error_body(rows[i].text);

		assert_non_null(body);
		assert_string_equal(body, rows[i].body);
		free(body);
	}
}

/* ---- the server: this program is what it runs ----------------------------------------- */

struct world {
	uv_loop_t loop;
	struct ui *ui;
	uint16_t port;
	char dir[32], calls[64]; /* a byte for each run */
};

static void world_init(struct world *w)
{
	struct ui_opts opts = { 0 };
	struct err err = { 0 };

	memset(w, 0, sizeof(*w));
	assert_int_equal(uv_loop_init(&w->loop), 0);
	strcpy(w->dir, "/tmp/shunt-ui-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->calls, sizeof(w->calls), "%s/calls", w->dir);
	w->port = client_free_port();
	opts.listen.addr = addr_from_v4(htonl(INADDR_LOOPBACK));
	opts.listen.port = w->port;
	opts.instance = (struct ui_instance){ .bpffs = w->dir, .state = w->dir };
	if (ui_start(&w->ui, &w->loop, &opts, &err))
		fail_msg("%s", err.msg);
	assert_true(ui_is_private(w->ui));
}

static void world_done(struct world *w)
{
	ui_stop(w->ui);
	assert_true(client_loop_ends(&w->loop));
	(void)unlink(w->calls);
	assert_int_equal(rmdir(w->dir), 0);
}

static long calls(const struct world *w)
{
	struct stat st;

	return stat(w->calls, &st) ? 0 : (long)st.st_size;
}

static void ask(struct world *w, const char *path, const char *headers, struct reply *reply)
{
	char request[1024];

	(void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
		       path, headers);
	assert_true(client_ask(&w->loop, AF_INET, w->port, request, reply));
}

static void test_answers(void **state)
{
	static const struct {
		const char *what, *path;
		int status;
		const char *body;
	} rows[] = {
		{ "what the command prints", "/api/services", 200, "{\"verb\": \"get\"}" },
		{ "status 1 without a word is an answer", "/api/trace?from=pod&dst=1.1.1.1:1", 200,
		  "{\"verb\": \"trace\"}" },
		{ "a list of nobody: its last complaint",
		  "/api/backends?namespace=n&service=nobody", 404,
		  "{\"kind\":\"Error\",\"message\":\"service \\\"nobody\\\" not found\"}" },
		{ "what the command finds wrong", "/api/trace?from=pod&dst=1.1.1.1:2", 400,
		  "{\"kind\":\"Error\",\"message\":\"wrong\"}" },
		{ "what the system refuses", "/api/trace?from=pod&dst=1.1.1.1:3", 503,
		  "{\"kind\":\"Error\",\"message\":\"nothing is loaded\"}" },
		{ "a crash", "/api/trace?from=pod&dst=1.1.1.1:4", 503,
		  "{\"kind\":\"Error\",\"message\":\"the question was cut short\"}" },
		{ "no end: the limit is named", "/api/trace?from=pod&dst=1.1.1.1:5", 503,
		  "{\"kind\":\"Error\",\"message\":\"the answer is longer than 33554432 bytes "
		  "(limit SH_UI_ANSWER_BYTES_MAX); ask the command line\"}" },
		{ "escapes are understood", "/api/%74race?f%72om=pod&dst=%31.1.1.1%3A1", 200,
		  "{\"verb\": \"trace\"}" },
		{ "a NUL is not", "/api/trace?from=pod%00&dst=1.1.1.1:1", 400,
		  "{\"kind\":\"Error\",\"message\":\"too many parameters, or a NUL in one\"}" },
		{ "no such path", "/api/passwd", 404, "404 page not found\n" },
		{ "no such file", "/page/index.html", 404, "404 page not found\n" },
	};
	struct reply reply;
	struct world w;
	size_t i;

	world_init(&w);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].what);
		ask(&w, rows[i].path, "", &reply);
		assert_int_equal(reply.status, rows[i].status);
		assert_string_equal(reply.body, rows[i].body);
		assert_true(reply_header_is(&reply, "X-Content-Type-Options", "nosniff"));
		reply_done(&reply);
	}
	world_done(&w);
}

/* One run for all who ask within a second; nothing is sent that is known. */
static void test_kept(void **state)
{
	char tag[256], header[300];
	struct reply reply;
	struct world w;
	size_t i;

	world_init(&w);
	for (i = 0; i < 5; i++) {
		ask(&w, "/api/services", "", &reply);
		assert_int_equal(reply.status, 200);
		assert_non_null(reply_header(&reply, "ETag", tag));
		reply_done(&reply);
	}
	assert_int_equal(calls(&w), 1);
	(void)snprintf(header, sizeof(header), "If-None-Match: %s\r\n", tag);
	ask(&w, "/api/services", header, &reply);
	assert_int_equal(reply.status, 304);
	assert_int_equal(reply.len, 0);
	reply_done(&reply);
	ask(&w, "/api/services", "If-None-Match: \"other\"\r\n", &reply);
	assert_int_equal(reply.status, 200);
	reply_done(&reply);
	for (i = 0; i < 2 * SH_UI_ANSWERS_MAX; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/api/trace?from=pod&dst=2.2.2.2:%zu", i);
		ask(&w, path, "", &reply);
		assert_int_equal(reply.status, 200);
		reply_done(&reply);
	}
	assert_int_equal(calls(&w), 1 + 2 * SH_UI_ANSWERS_MAX);
	world_done(&w);
}

static void test_refused(void **state)
{
	static const char *const rows[] = {
		"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"GET /api/services HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET /api/services HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: "
		"cross-site\r\n\r\n",
	};
	struct reply reply;
	struct world w;
	size_t i;

	world_init(&w);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(client_ask(&w.loop, AF_INET, w.port, rows[i], &reply));
		assert_int_equal(reply.status, 403);
		reply_done(&reply);
	}
	assert_int_equal(calls(&w), 0);
	world_done(&w);
}

/* A client that has gone, and questions in hand when all ends. */
static void test_stopped_in_between(void **state)
{
	static const char request[] =
		"GET /api/trace?from=pod&dst=1.1.1.1:6%zu HTTP/1.1\r\nHost: localhost\r\n\r\n";
	char text[256];
	struct world w;
	int fds[4];
	size_t i;

	world_init(&w);
	for (i = 0; i < 4; i++) {
		fds[i] = client_connect(AF_INET, w.port);
		assert_true(fds[i] >= 0);
		(void)snprintf(text, sizeof(text), request, i);
		assert_int_equal(write(fds[i], text, strlen(text)), strlen(text));
	}
	for (i = 0; i < 200 && calls(&w) < 2; i++) {
		(void)uv_run(&w.loop, UV_RUN_NOWAIT);
		(void)poll(NULL, 0, 10);
	}
	assert_int_equal(calls(&w), 2); /* two at a time; they would go on for a minute */
	(void)close(fds[0]);
	world_done(&w);
	for (i = 1; i < 4; i++)
		(void)close(fds[i]);
}

/* ---- the part of `shunt` ------------------------------------------------------------------ */

static int part_of_trace(const char *dst)
{
	static const char full[65536];

	if (strstr(dst, "1.1.1.1:6"))
		return poll(NULL, 0, 60000);
	if (strstr(dst, "1.1.1.1:2")) {
		(void)fputs("shunt: right\nshunt: wrong\n", stderr);
		return 2;
	}
	if (strstr(dst, "1.1.1.1:3")) {
		(void)fputs("shunt: nothing is loaded\n", stderr);
		return 3;
	}
	if (strstr(dst, "1.1.1.1:4"))
		return raise(SIGKILL);
	while (strstr(dst, "1.1.1.1:5") && fwrite(full, sizeof(full), 1, stdout))
		;
	(void)fputs("{\"verb\": \"trace\"}", stdout);
	return strstr(dst, "1.1.1.1:1") ? 1 : 0;
}

static int part_of_shunt(int argc, char **argv)
{
	const char *calls_in = NULL;
	char path[256];
	FILE *file;
	int i;

	for (i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "--bpffs=", 8))
			calls_in = argv[i] + 8;
	}
	(void)snprintf(path, sizeof(path), "%s/calls", calls_in);
	file = fopen(path, "a");
	if (!calls_in || !file)
		return 3;
	(void)fputc('x', file);
	(void)fclose(file);
	if (!strcmp(argv[1], "trace"))
		return part_of_trace(argv[3]);
	if (!strcmp(argv[2], "backends")) {
		(void)fputs("{\"items\": []}", stdout);
		(void)fputs("shunt: service \"nobody\" not found\n", stderr);
		return 1;
	}
	(void)printf("{\"verb\": \"%s\"}", argv[1]);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions), cmocka_unit_test(test_paths_too_long),
		cmocka_unit_test(test_hosts),	  cmocka_unit_test(test_error_bodies),
		cmocka_unit_test(test_answers),	  cmocka_unit_test(test_kept),
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_stopped_in_between),
	};

	if (argc > 1)
		return part_of_shunt(argc, argv);
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
