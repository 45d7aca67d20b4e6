// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The Kubernetes source against tests/tools/apiserver.py: TLS over real sockets. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "kube/kube.h"

#define SERVER	   "tests/tools/apiserver.py"
#define MAKE_CERTS "tests/tools/make_certs.sh"
#define DEADLINE_S 10

struct world {
	char dir[64], control[96], kubeconfig[128], token_file[128];
	pid_t server;
	char url[64]; /* of the server */
	struct arena *arena;
	struct kube_config config;
	struct kube_opts opts;
	uv_loop_t loop;
	struct kube_source *source;
	struct err err;
	/* What the sink was told, a line each, and what it has been left with. */
	char **lines;
	size_t n_lines;
	struct object_set objects;
	bool told_without_time;
};

/* ---- the sink --------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void add_line(struct world *w, const char *fmt, ...)
{
	va_list args;

	w->lines = realloc(w->lines, (w->n_lines + 1) * sizeof(*w->lines));
	assert_non_null(w->lines);
	va_start(args, fmt);
	assert_true(vasprintf(&w->lines[w->n_lines++], fmt, args) >= 0);
	va_end(args);
}

static void sink_put(void *arg, struct object *object)
{
	struct world *w = arg;

	if (!kube_source_read_at(w->source))
		w->told_without_time = true;
	add_line(w, "put %s %s/%s", kind_name(object->kind), object->meta.ns, object->meta.name);
	assert_int_equal(object_set_put(&w->objects, object), 0);
}

static void sink_gone(void *arg, enum kind kind, const char *ns, const char *name)
{
	struct world *w = arg;

	add_line(w, "gone %s %s/%s", kind_name(kind), ns, name);
	if (!kube_source_read_at(w->source))
		w->told_without_time = true;
	/* Nobody is told that something is gone which he was never told of. */
	assert_int_equal(object_set_remove(&w->objects, kind, ns, name), 0);
}

static void sink_synced(void *arg)
{
	add_line(arg, "synced");
}

static void sink_refused(void *arg, const char *what, const char *why)
{
	add_line(arg, "refused %s: %s", what, why);
}

static void sink_notice(void *arg, const char *text)
{
	add_line(arg, "notice %s", text);
}

/* How many lines have @text in them. */
static size_t count(const struct world *w, const char *text)
{
	size_t i, n = 0;

	for (i = 0; i < w->n_lines; i++)
		n += strstr(w->lines[i], text) != NULL;
	return n;
}

static void forget(struct world *w)
{
	while (w->n_lines)
		free(w->lines[--w->n_lines]);
}

__attribute__((format(printf, 2, 3), noreturn)) static void fail_with(const struct world *w,
								      const char *fmt, ...)
{
	char text[512];
	va_list args;
	size_t i;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (i = 0; i < w->n_lines && i < 100; i++)
		print_message("# %s\n", w->lines[i]);
	fail_msg("%s", text);
	abort();
}

/* ---- the server ---------------------------------------------------------------------- */

static char *base64(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const size_t len = strlen(text);
	char *out = malloc(len / 3 * 4 + 5), *to = out;
	size_t i;

	assert_non_null(out);
	for (i = 0; i < len; i += 3) {
		const uint32_t bits =
			(uint32_t)(unsigned char)text[i] << 16 |
			(i + 1 < len ? (uint32_t)(unsigned char)text[i + 1] << 8 : 0) |
			(i + 2 < len ? (unsigned char)text[i + 2] : 0);

		*to++ = digits[bits >> 18];
		*to++ = digits[bits >> 12 & 63];
		*to++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
		*to++ = i + 2 < len ? digits[bits & 63] : '=';
	}
	*to = '\0';
	return out;
}

static int connect_control(const struct world *w)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", w->control);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static json_t *message(char *words, const char *data)
{
	json_t *arguments = json_array(), *json;
	char *rest = NULL, *word, *encoded = data ? base64(data) : NULL;

	json = json_pack("{s:s,s:o}", "command", strtok_r(words, " ", &rest), "arguments",
			 arguments);
	while ((word = strtok_r(NULL, " ", &rest)))
		assert_int_equal(json_array_append_new(arguments, json_string(word)), 0);
	if (encoded)
		assert_int_equal(json_object_set_new(json, "data", json_string(encoded)), 0);
	free(encoded);
	return json;
}

/* A command of the server's, see its head. Its answer is the caller's. */
static char *tell(const struct world *w, const char *command, const char *data)
{
	char *words = strdup(command), *text, *out;
	json_t *json = message(words, data);
	int fd = connect_control(w);
	FILE *stream;

	assert_true(fd >= 0);
	stream = fdopen(fd, "r+");
	assert_non_null(stream);
	text = json_dumps(json, JSON_COMPACT);
	assert_true(fprintf(stream, "%s\n", text) > 0 && fflush(stream) == 0);
	json_decref(json);
	json = json_loadf(stream, JSON_DISABLE_EOF_CHECK, NULL);
	if (json_object_get(json, "error"))
		fail_msg("%s: %s", command, json_string_value(json_object_get(json, "error")));
	out = strdup(json_is_string(json_object_get(json, "out"))
			     ? json_string_value(json_object_get(json, "out"))
			     : "");
	json_decref(json);
	(void)fclose(stream);
	free(text);
	free(words);
	return out;
}

static void ctl(const struct world *w, const char *command)
{
	free(tell(w, command, NULL));
}

static void put(const struct world *w, const char *object)
{
	free(tell(w, "put", object));
}

static size_t stat_of(const struct world *w, const char *name)
{
	char *text = tell(w, "stats", NULL);
	json_t *json = json_loads(text, 0, NULL);
	const json_t *value = json_object_get(json, name);
	const size_t n = (size_t)json_integer_value(value);

	assert_true(json_is_integer(value));
	json_decref(json);
	free(text);
	return n;
}

/* How many of the requests so far have both texts in their lines. */
static size_t requests(const struct world *w, const char *a, const char *b)
{
	char *text = tell(w, "requests", NULL), *rest = NULL, *line;
	size_t n = 0;

	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		n += strstr(line, a) && strstr(line, b);
	free(text);
	return n;
}

static void put_service(const struct world *w, const char *name, unsigned int n)
{
	char *text;

	assert_true(
		asprintf(
			&text,
			"{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
			"\"namespace\":\"shop\"},\"spec\":{\"clusterIP\":\"10.96.0.%u\","
			"\"clusterIPs\":[\"10.96.0.%u\"],\"ports\":[{\"protocol\":\"TCP\","
			"\"port\":80,\"targetPort\":8080}],\"selector\":{\"app\":\"%s\"},"
			"\"type\":\"ClusterIP\"},\"status\":{\"loadBalancer\":{}}}",
			name, n, n, name) >= 0);
	put(w, text);
	free(text);
}

static void put_services(const struct world *w, unsigned int n)
{
	char name[32];
	unsigned int i;

	for (i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "web-%u", i);
		put_service(w, name, 1 + i);
	}
}

static void put_slice(const struct world *w, const char *name, const char *more_labels)
{
	char *text;

	assert_true(
		asprintf(&text,
			 "{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\","
			 "\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\",\"labels\":{"
			 "\"kubernetes.io/service-name\":\"web-0\"%s}},\"addressType\":\"IPv4\","
			 "\"endpoints\":null,\"ports\":null}",
			 name, more_labels) >= 0);
	put(w, text);
	free(text);
}

static void put_endpoints(const struct world *w, const char *name, const char *labels)
{
	char *text;

	assert_true(asprintf(&text,
			     "{\"kind\":\"Endpoints\",\"apiVersion\":\"v1\",\"metadata\":{"
			     "\"name\":\"%s\",\"namespace\":\"shop\",\"labels\":{%s}},"
			     "\"subsets\":[{\"addresses\":[{\"ip\":\"10.1.0.1\"}],"
			     "\"ports\":[{\"port\":8080,\"protocol\":\"TCP\"}]}]}",
			     name, labels) >= 0);
	put(w, text);
	free(text);
}

static void put_node(const struct world *w, const char *name)
{
	char *text;

	assert_true(
		asprintf(&text,
			 "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\"},"
			 "\"spec\":{},\"status\":{\"addresses\":[{\"type\":\"InternalIP\","
			 "\"address\":\"192.168.0.1\"}]}}",
			 name) >= 0);
	put(w, text);
	free(text);
}

/* ---- the world -------------------------------------------------------------------------- */

struct group {
	char certs[64];
};

static void start_server(struct world *w, const struct group *group, const char *arg,
			 const char *value)
{
	const pid_t pid = fork();
	char log[96];
	int fd;

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* What it says isn't part of the report on the tests. */
		(void)snprintf(log, sizeof(log), "%s/server.log", w->dir);
		fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(126);
		(void)execlp("python3", "python3", SERVER, "--certs", group->certs, "--control",
			     w->control, "--kubeconfig", w->kubeconfig, arg, value, NULL);
		_exit(127);
	}
	w->server = pid;
}

static void nap(void)
{
	const struct timespec ms = { .tv_nsec = 5000000 };

	(void)nanosleep(&ms, NULL);
}

static void await_server(struct world *w)
{
	const time_t end = time(NULL) + DEADLINE_S;

	while (access(w->control, R_OK) || access(w->kubeconfig, R_OK)) {
		if (time(NULL) > end || waitpid(w->server, NULL, WNOHANG))
			fail_msg("%s doesn't start; is python3 there?", SERVER);
		nap();
	}
}

static struct world *world_new(const struct group *group, const char *arg, const char *value)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	(void)strcpy(w->dir, "/tmp/shunt-test-kube-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->control, sizeof(w->control), "%s/control", w->dir);
	(void)snprintf(w->kubeconfig, sizeof(w->kubeconfig), "%s/kubeconfig", w->dir);
	(void)snprintf(w->token_file, sizeof(w->token_file), "%s/token", w->dir);
	start_server(w, group, arg, value);
	await_server(w);
	w->arena = arena_new();
	if (kube_config_file(w->kubeconfig, NULL, w->arena, &w->config, &w->err))
		fail_msg("%s", w->err.msg);
	(void)snprintf(w->url, sizeof(w->url), "%s", w->config.server);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	w->opts = (struct kube_opts){
		.config = &w->config, .node_name = "node-1", .backoff_ms = 20, .backoff_max_ms = 200
	};
	return w;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static void stop(struct world *w)
{
	kube_source_stop(w->source);
	w->source = NULL;
	(void)uv_run(&w->loop, UV_RUN_DEFAULT);
}

static void world_free(struct world *w)
{
	stop(w);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	assert_false(w->told_without_time);
	(void)kill(w->server, SIGKILL);
	(void)waitpid(w->server, NULL, 0);
	(void)nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	object_set_done(&w->objects);
	forget(w);
	free(w->lines);
	arena_free(w->arena);
	free(w);
}

static void start(struct world *w)
{
	const struct source_sink sink = { sink_put,	sink_gone,   sink_synced,
					  sink_refused, sink_notice, w };

	if (kube_source_start(&w->source, &w->loop, &w->opts, &sink, &w->err))
		fail_msg("%s", w->err.msg);
}

static void wake(uv_timer_t *timer)
{
}

/* Runs the loop until @n lines have @text in them. */
static void await(struct world *w, const char *text, size_t n)
{
	const time_t end = time(NULL) + DEADLINE_S;
	uv_timer_t timer;

	(void)uv_timer_init(&w->loop, &timer);
	(void)uv_timer_start(&timer, wake, 20, 20);
	while (count(w, text) < n && time(NULL) <= end)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&w->loop, UV_RUN_NOWAIT);
	if (count(w, text) < n)
		fail_with(w, "\"%s\" was told %zu times, not %zu", text, count(w, text), n);
}

/* For what is not to happen. */
static void run_ms(struct world *w, uint64_t ms)
{
	uv_timer_t timer;
	uint64_t end;

	uv_update_time(&w->loop);
	end = uv_now(&w->loop) + ms;
	(void)uv_timer_init(&w->loop, &timer);
	(void)uv_timer_start(&timer, wake, 10, 10);
	while (uv_now(&w->loop) < end)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&w->loop, UV_RUN_NOWAIT);
}

static bool all_watch(struct world *w)
{
	struct kube_status status;
	size_t i;

	kube_source_status(w->source, &status);
	for (i = 0; i < status.n; i++)
		if (status.kinds[i].state != KUBE_WATCHING)
			return false;
	return true;
}

/* Every kind is being watched, as the server sees it too. */
static void await_watches(struct world *w)
{
	const time_t end = time(NULL) + DEADLINE_S;

	do {
		run_ms(w, 20);
		if (time(NULL) > end)
			fail_with(w, "there is no watch of every kind");
	} while (!all_watch(w) || !requests(w, "watch=1", "/nodes") ||
		 !requests(w, "watch=1", "/endpoints"));
}

static struct kube_kind_status status_of(const struct world *w, const char *resource)
{
	struct kube_status status;
	size_t i;

	kube_source_status(w->source, &status);
	for (i = 0; i < status.n; i++)
		if (strcmp(status.kinds[i].resource, resource) == 0)
			return status.kinds[i];
	fail_msg("no %s", resource);
	return status.kinds[0];
}

/* After `down`. The server's address is free once its listener is really gone. */
static void come_up(struct world *w)
{
	run_ms(w, 150);
	ctl(w, "up");
}

/* ---- lists and watches ---------------------------------------------------------------------- */

static void test_lists_in_pages_then_watches(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 8);
	put_slice(w, "mine", "");
	put_slice(w, "headless", ",\"service.kubernetes.io/headless\":\"\"");
	put_slice(w, "theirs", ",\"service.kubernetes.io/service-proxy-name\":\"x\"");
	put_node(w, "node-1");
	put_node(w, "node-2");
	w->opts.page = 3;
	start(w);
	assert_int_equal(w->n_lines, 0);
	await(w, "synced", 1);
	assert_int_equal(count(w, "put Service"), 8);
	assert_int_equal(count(w, "put EndpointSlice shop/mine"), 1);
	assert_int_equal(count(w, "put Node /node-1"), 1);
	assert_int_equal(w->n_lines, 11);
	assert_int_equal(requests(w, "/services", "limit=3"), 3);
	await_watches(w);

	forget(w);
	put_service(w, "new", 100);
	await(w, "put Service shop/new", 1);
	put_service(w, "web-1", 101);
	await(w, "put Service shop/web-1", 1);
	ctl(w, "delete services shop/web-2");
	await(w, "gone Service shop/web-2", 1);
	assert_int_equal(w->n_lines, 3);
	assert_int_equal(status_of(w, "services").objects, 8);
	assert_int_equal(status_of(w, "services").events, 3);
	assert_int_equal(status_of(w, "services").relists, 1);
	world_free(w);
}

static void test_resumes_without_telling_twice(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 3);
	start(w);
	await(w, "synced", 1);
	await_watches(w);
	put_service(w, "before", 50);
	await(w, "put Service shop/before", 1);
	forget(w);
	/* What happens meanwhile comes when the watch is taken up again. */
	ctl(w, "down");
	put_service(w, "meanwhile", 51);
	ctl(w, "delete services shop/web-0");
	come_up(w);
	await(w, "put Service shop/meanwhile", 1);
	await(w, "gone Service shop/web-0", 1);
	run_ms(w, 100);
	assert_int_equal(count(w, "put"), 1);
	assert_int_equal(count(w, "gone"), 1);
	assert_int_equal(status_of(w, "services").relists, 1);
	world_free(w);
}

static void test_events_split_and_joined(void **state)
{
	static const char event[] =
		"{\"type\":\"ADDED\",\"object\":{\"kind\":\"Service\",\"apiVersion\":\"v1\","
		"\"metadata\":{\"name\":\"split\",\"namespace\":\"shop\",\"resourceVersion\":"
		"\"900\"},\"spec\":{\"clusterIP\":\"10.96.0.9\",\"ports\":[{\"port\":80}]}}}\n";
	struct world *w = world_new(*state, "--token", "secret");
	char part[512];
	size_t i;

	start(w);
	await(w, "synced", 1);
	await_watches(w);
	for (i = 0; i < strlen(event); i += 60) {
		(void)snprintf(part, sizeof(part), "%.60s", event + i);
		assert_int_equal(count(w, "put"), 0);
		free(tell(w, "inject services", part));
		run_ms(w, 20);
	}
	await(w, "put Service shop/split", 1);
	/* The same version again tells nothing. */
	(void)snprintf(part, sizeof(part), "%s", event);
	free(tell(w, "inject services", part));
	put_service(w, "last", 7);
	await(w, "put Service shop/last", 1);
	assert_int_equal(count(w, "put"), 2);
	world_free(w);
}

static void test_expired_watch_lists_again(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 4);
	start(w);
	await(w, "synced", 1);
	await_watches(w);
	forget(w);
	ctl(w, "down");
	ctl(w, "delete services shop/web-1");
	put_service(w, "web-2", 99);
	put_service(w, "late", 100);
	ctl(w, "compact");
	come_up(w);
	await(w, "gone Service shop/web-1", 1);
	await_watches(w);
	/* Told only what is other than it was. */
	assert_int_equal(count(w, "put Service shop/web-2"), 1);
	assert_int_equal(count(w, "put Service shop/late"), 1);
	assert_int_equal(count(w, "put"), 2);
	assert_int_equal(count(w, "gone"), 1);
	assert_int_equal(count(w, "synced"), 0);
	assert_int_equal(status_of(w, "services").relists, 2);
	put_service(w, "after", 101);
	await(w, "put Service shop/after", 1);
	world_free(w);
}

static void test_expired_continue_starts_over(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");
	size_t i;
	char line[64];

	put_services(w, 7);
	w->opts.page = 2;
	ctl(w, "expire-continue 1");
	start(w);
	await(w, "synced", 1);
	for (i = 0; i < 7; i++) {
		(void)snprintf(line, sizeof(line), "put Service shop/web-%zu", i);
		assert_int_equal(count(w, line), 1);
	}
	assert_int_equal(count(w, "notice"), 0);
	world_free(w);
}

/* Pages that expire each time are given up for one answer. */
static void test_continue_expires_again_and_again(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 7);
	w->opts.page = 2;
	ctl(w, "expire-continue 1000");
	start(w);
	await(w, "synced", 1);
	assert_int_equal(count(w, "put Service"), 7);
	assert_int_equal(requests(w, "/services", "limit=0"), 1);
	await(w, "answers again", 1);
	world_free(w);
}

/* While a list is going on, what it hasn't had yet isn't taken for gone. */
static void test_nothing_withdrawn_by_half_a_list(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 6);
	w->opts.page = 2;
	start(w);
	await(w, "synced", 1);
	await_watches(w);
	forget(w);
	ctl(w, "fault services list truncate times=3");
	ctl(w, "fault services list broken-json times=3");
	ctl(w, "compact");
	ctl(w, "close");
	await(w, "answers again", 1);
	await_watches(w);
	assert_int_equal(count(w, "gone"), 0);
	assert_int_equal(count(w, "put"), 0);
	assert_int_equal(w->objects.n, 6);
	world_free(w);
}

/* ---- who we are, and who they are --------------------------------------------------------------- */

static void write_token(const struct world *w, const char *token)
{
	FILE *f = fopen(w->token_file, "we");

	assert_non_null(f);
	assert_true(fprintf(f, "%s\n", token) > 0);
	assert_int_equal(fclose(f), 0);
}

static void test_token_rotates(void **state)
{
	struct world *w = world_new(*state, "--token", "first");

	put_services(w, 2);
	write_token(w, "first");
	w->config.token_file = w->token_file;
	start(w);
	await(w, "synced", 1);
	await_watches(w);
	/* The file has the new one before it is needed: nobody notices. */
	write_token(w, "second");
	ctl(w, "token second");
	ctl(w, "close");
	put_service(w, "web-7", 7);
	await(w, "put Service shop/web-7", 1);
	assert_int_equal(count(w, "notice"), 0);
	/* It comes late: that is told, with what to do, and then all is well. */
	ctl(w, "token third");
	ctl(w, "close");
	await(w, "401", 1);
	assert_true(count(w, "check the token") >= 1);
	write_token(w, "third");
	put_service(w, "web-8", 8);
	await(w, "put Service shop/web-8", 1);
	await(w, "answers again", 1);
	assert_int_equal(status_of(w, "services").relists, 1);
	world_free(w);
}

/* Replaced by the same number of bytes within one tick of the file system's clock. */
static void test_token_read_again_at_401(void **state)
{
	struct world *w = world_new(*state, "--token", "b");
	struct timespec times[2];
	struct stat st;

	put_services(w, 1);
	write_token(w, "a");
	assert_int_equal(stat(w->token_file, &st), 0);
	times[0] = times[1] = st.st_mtim;
	w->config.token_file = w->token_file;
	start(w);
	await(w, "401", 1);
	write_token(w, "b");
	assert_int_equal(utimensat(AT_FDCWD, w->token_file, times, 0), 0);
	await(w, "synced", 1);
	world_free(w);
}

static void test_token_file_is_refused(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");
	FILE *f;

	w->config.token_file = w->token_file;
	start(w);
	await(w, "open the token file", 1);
	f = fopen(w->token_file, "we");
	assert_non_null(f);
	assert_true(fprintf(f, "secret\nX-Header: smuggled") > 0);
	assert_int_equal(fclose(f), 0);
	run_ms(w, 300);
	assert_int_equal(stat_of(w, "requests"), 0);
	world_free(w);
}

static void test_other_ca_is_refused(void **state)
{
	const struct group *group = *state;
	struct world *w = world_new(group, "--token", "secret");
	char path[128];

	put_services(w, 1);
	(void)snprintf(path, sizeof(path), "%s/other-ca.crt", group->certs);
	w->config.ca_data = NULL;
	w->config.ca_file = path;
	start(w);
	await(w, "notice", 1);
	run_ms(w, 300);
	assert_int_equal(count(w, "certificate"), 1);
	assert_int_equal(w->n_lines, 1);
	assert_int_equal(stat_of(w, "requests"), 0);
	assert_true(status_of(w, "services").errors > 1);
	world_free(w);
}

/* The certificate is for 127.0.0.1 and localhost; what counts is the name asked for. */
static void test_server_name_is_verified(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 1);
	w->config.tls_server_name = "kubernetes.example";
	start(w);
	await(w, "certificate has to name the host", 1);
	assert_int_equal(stat_of(w, "requests"), 0);
	stop(w);
	forget(w);
	w->config.tls_server_name = "localhost";
	start(w);
	await(w, "synced", 1);
	world_free(w);
}

static void test_client_certificate(void **state)
{
	const struct group *group = *state;
	struct world *w = world_new(group, "--client-certs", NULL);
	char cert[128], key[128];

	put_services(w, 1);
	(void)snprintf(cert, sizeof(cert), "%s/client.crt", group->certs);
	(void)snprintf(key, sizeof(key), "%s/client.key", group->certs);
	start(w);
	await(w, "synced", 1);
	stop(w);
	forget(w);
	w->config.cert_data = w->config.key_data = NULL;
	w->config.cert_file = cert;
	w->config.key_file = key;
	start(w);
	await(w, "synced", 1);
	stop(w);
	forget(w);
	w->config.cert_file = w->config.key_file = NULL;
	start(w);
	await(w, "401", 1);
	world_free(w);
}

static void test_plain_http_is_refused(void **state)
{
	static const char *const servers[] = { "http://127.0.0.1:8080", "127.0.0.1:6443",
					       "ftp://127.0.0.1", "https://", "" };
	const struct source_sink sink = { 0 };
	struct kube_config config = { .context = "test" };
	const struct kube_opts opts = { .config = &config, .node_name = "node-1" };
	struct kube_source *source = NULL;
	uv_loop_t loop;
	size_t i;

	assert_int_equal(uv_loop_init(&loop), 0);
	for (i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		struct err err = { 0 };

		config.server = servers[i];
		assert_int_equal(kube_source_start(&source, &loop, &opts, &sink, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "it has to be https://HOST[:PORT][/PATH]"));
	}
	config.server = "https://127.0.0.1";
	config.token = "two lines\n";
	assert_int_equal(kube_source_start(&source, &loop, &opts, &sink, NULL), -EINVAL);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* ---- what a server may do ------------------------------------------------------------------------ */

static void test_gzip(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	ctl(w, "gen 400 10");
	ctl(w, "reset-stats");
	start(w);
	await(w, "synced", 1);
	assert_int_equal(count(w, "put Service"), 400);
	assert_int_equal(count(w, "put EndpointSlice"), 400);
	/* A tenth of what it is plain. */
	assert_in_range(stat_of(w, "sent_bytes"), 10000, 200000);
	world_free(w);
}

static void test_slow_server(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 5);
	w->opts.silence_s = 3;
	ctl(w, "fault services list slow 1500");
	start(w);
	await(w, "synced", 1);
	assert_int_equal(count(w, "put Service"), 5);
	assert_int_equal(count(w, "notice"), 0);
	world_free(w);
}

struct fault_row {
	const char *fault, *says;
};

static void test_garbage_in_lists(void **state)
{
	static const struct fault_row rows[] = {
		{ "garbage", "cannot list services: the answer is no list of objects" },
		{ "garbage-http", "Kubernetes API" },
		{ "broken-json", "the answer is no list of objects: it ends too early" },
		{ "truncate", "Kubernetes API" },
		{ "endless-string", "larger than the limit of 1000000 bytes" },
		{ "status 500", "cannot list services: HTTP status 500" },
		{ "status 403", "grant get, list and watch of it" },
		{ "status 404", "cannot list services: HTTP status 404" },
		{ "status 302", "which isn't followed" },
	};
	struct world *w = world_new(*state, "--token", "secret");
	char command[64];
	size_t i;

	put_services(w, 2);
	w->opts.page_bytes_max = 1000000;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(command, sizeof(command), "fault services list %s", rows[i].fault);
		ctl(w, command);
		start(w);
		await(w, rows[i].says, 1);
		assert_int_equal(count(w, "and it is tried again"), 1);
		assert_int_equal(count(w, "nothing is known yet"), 1);
		run_ms(w, 60);
		assert_int_equal(count(w, "synced"), 0);
		ctl(w, "clear-faults");
		await(w, "synced", 1);
		await(w, "answers again", 1);
		assert_int_equal(count(w, "notice"), 2);
		stop(w);
		object_set_done(&w->objects);
		forget(w);
	}
	world_free(w);
}

/* Rubbish in a watch is gone round by a list, and what came before it isn't told again. */
static void test_garbage_in_watches(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 2);
	start(w);
	await(w, "synced", 1);
	await_watches(w);
	forget(w);
	free(tell(w, "inject services", "{\"type\":\"ADDED\",\"object\":\n"));
	await(w, "cannot watch services: a watch sent a line that is no event", 1);
	await(w, "answers again", 1);
	put_service(w, "after", 9);
	await(w, "put Service shop/after", 1);
	assert_int_equal(status_of(w, "services").relists, 1);
	ctl(w, "fault services watch garbage times=3");
	ctl(w, "close");
	put_service(w, "later", 10);
	await(w, "put Service shop/later", 1);
	assert_int_equal(count(w, "put"), 2);
	assert_int_equal(count(w, "gone"), 0);
	assert_int_equal(status_of(w, "services").relists, 2);
	world_free(w);
}

static void test_garbage_before_tls(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 2);
	ctl(w, "noise 3");
	start(w);
	await(w, "notice", 1);
	await(w, "synced", 1);
	world_free(w);
}

/* A million objects in one page: refused as soon as there is one more than asked for. */
static void test_page_of_too_many(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 3);
	w->opts.page = 4;
	ctl(w, "fault services list endless 1000000 times=1");
	start(w);
	await(w, "cannot list services: a page of the list has more objects than its limit of 4",
	      1);
	await(w, "synced", 1);
	assert_int_equal(w->objects.n, 3);
	world_free(w);
}

/* A page that is large in bytes: refused, without having been kept. */
static void test_page_over_its_limit(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 3);
	w->opts.page = 1000;
	w->opts.page_bytes_max = 100000;
	ctl(w, "fault services list endless 1000000 times=1");
	start(w);
	await(w,
	      "cannot list services: a page of the list is larger than the limit of 100000 bytes",
	      1);
	await(w, "synced", 1);
	/* The next one is asked to be smaller. */
	assert_int_equal(requests(w, "/services", "limit=1000"), 1);
	assert_int_equal(requests(w, "/services", "limit=500"), 1);
	/* What the refused page had is gone again; what there really is, is known. */
	assert_int_equal(w->objects.n, 3);
	world_free(w);
}

static void test_too_many_requests(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");
	const time_t began = time(NULL);

	put_services(w, 1);
	ctl(w, "fault services list status 429 retry-after=1 times=1");
	ctl(w, "fault endpointslices list status 503 times=2");
	start(w);
	await(w, "synced", 1);
	assert_true(time(NULL) > began);
	assert_int_equal(requests(w, "/services", "limit"), 2);
	world_free(w);
}

static void test_endpoints_are_optional(void **state)
{
	static const char *const faults[] = { "fault endpoints * status 403",
					      "fault endpoints * status 404" };
	struct world *w = world_new(*state, "--token", "secret");
	size_t i;

	put_services(w, 1);
	for (i = 0; i < 2; i++) {
		ctl(w, faults[i]);
		start(w);
		await(w, "synced", 1);
		await(w, "cannot list endpoints", 1);
		run_ms(w, 300);
		assert_int_equal(count(w, "notice"), 1);
		assert_int_equal(count(w, "going on without them"), 1);
		stop(w);
		forget(w);
	}
	world_free(w);
}

/* ---- objects ----------------------------------------------------------------------------------------- */

static void test_wrong_objects_are_refused_alone(void **state)
{
	static const char wrong[] =
		"{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"web-1\","
		"\"namespace\":\"shop\"},\"spec\":{\"clusterIP\":\"10.96.0.300\",\"ports\":["
		"{\"port\":80}]}}";
	struct world *w = world_new(*state, "--token", "secret");
	const struct object *object;

	put_service(w, "web-0", 1);
	put(w, wrong);
	put_service(w, "web-2", 3);
	start(w);
	await(w, "synced", 1);
	assert_int_equal(count(w, "refused Service shop/web-1: "), 1);
	assert_int_equal(count(w, "put Service"), 2);
	await_watches(w);
	/* Mended, it is known; wrong again, it stays as it was; a list tells nothing anew. */
	put_service(w, "web-1", 2);
	await(w, "put Service shop/web-1", 1);
	put(w, wrong);
	await(w, "refused Service shop/web-1: ", 2);
	object = object_set_find(&w->objects, KIND_SERVICE, "shop", "web-1");
	assert_non_null(object);
	assert_int_equal(object->service.n_cluster_ips, 1);
	ctl(w, "down");
	ctl(w, "compact");
	come_up(w);
	put_service(w, "last", 9);
	await(w, "put Service shop/last", 1);
	assert_int_equal(count(w, "refused"), 2);
	assert_int_equal(status_of(w, "services").refused, 2);
	ctl(w, "delete services shop/web-1");
	await(w, "gone Service shop/web-1", 1);
	world_free(w);
}

static void put_manual_service(const struct world *w, const char *name)
{
	char *text;

	assert_true(
		asprintf(
			&text,
			"{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
			"\"namespace\":\"shop\"},\"spec\":{\"clusterIP\":\"10.96.1.1\",\"ports\":["
			"{\"port\":80}]}}",
			name) >= 0);
	put(w, text);
	free(text);
}

/* Only those are told that no controller has made slices of. */
static void test_endpoints_where_they_count(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_service(w, "web-0", 1);
	put_manual_service(w, "manual");
	put_endpoints(w, "web-0", "");
	put_endpoints(w, "manual", "");
	put_endpoints(w, "managed",
		      "\"endpoints.kubernetes.io/managed-by\":\"endpoint-controller\"");
	start(w);
	await(w, "synced", 1);
	assert_int_equal(count(w, "put Endpoints"), 1);
	assert_int_equal(count(w, "put Endpoints shop/manual"), 1);
	await_watches(w);
	/* A Service that loses its selector needs them. */
	put_manual_service(w, "web-0");
	await(w, "put Endpoints shop/web-0", 1);
	await_watches(w);
	ctl(w, "delete endpoints shop/web-0");
	await(w, "gone Endpoints shop/web-0", 1);
	assert_int_equal(count(w, "put Endpoints"), 2);
	world_free(w);
}

/* ---- a server that has gone without a word ---------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The kernel goes on acknowledging what we send; it is the process that is no more. */
static void test_stopped_server_is_noticed(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");
	uint64_t began;

	put_services(w, 1);
	w->opts.silence_s = 1;
	start(w);
	await(w, "synced", 1);
	await_watches(w);
	began = now_ms();
	assert_int_equal(kill(w->server, SIGSTOP), 0);
	await(w, "what is known stays in force", 1);
	assert_in_range(now_ms() - began, 500, 6500);
	assert_int_equal(count(w, "gone"), 0);
	assert_int_equal(kill(w->server, SIGCONT), 0);
	put_service(w, "after", 7);
	await(w, "put Service shop/after", 1);
	await(w, "answers again", 1);
	world_free(w);
}

/* Only the connections that were there are dead: another one is answered. */
static void test_frozen_connections_are_noticed(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");
	const uint64_t began = now_ms();

	put_services(w, 1);
	w->opts.silence_s = 1;
	start(w);
	await(w, "synced", 1);
	await_watches(w);
	ctl(w, "freeze");
	put_service(w, "after", 7);
	await(w, "put Service shop/after", 1);
	assert_in_range(now_ms() - began, 0, 6500);
	world_free(w);
}

static void test_silence_of_a_healthy_server(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");
	size_t connections;

	put_services(w, 1);
	w->opts.silence_s = 3;
	start(w);
	await(w, "synced", 1);
	await_watches(w);
	connections = stat_of(w, "connections");
	run_ms(w, 2600);
	assert_int_equal(count(w, "notice"), 0);
	assert_int_equal(status_of(w, "services").relists, 1);
	/* The probe's alone. */
	assert_in_range(stat_of(w, "connections"), connections, connections + 1);
	world_free(w);
}

static void test_refused_connections(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");

	put_services(w, 1);
	ctl(w, "down");
	start(w);
	await(w, "notice", 1);
	run_ms(w, 400);
	/* Four kinds, many attempts, one line. */
	assert_int_equal(w->n_lines, 1);
	assert_int_equal(count(w, w->url), 1);
	assert_true(status_of(w, "services").errors >= 2);
	come_up(w);
	await(w, "synced", 1);
	await(w, "answers again", 1);
	world_free(w);
}

/* ---- HTTP/2 ---- */

#define PROXY_PORT "18443"

/* nghttpx speaks HTTP/2 to us and HTTP/1.1 to the server. @return its process */
static pid_t start_proxy(struct world *w, const struct group *group, char url[static 64])
{
	char backend[96], key[96], cert[96], log[128];
	pid_t pid;

	(void)snprintf(backend, sizeof(backend), "-b127.0.0.1,%s;;tls;proto=http/1.1",
		       strrchr(w->config.server, ':') + 1);
	(void)snprintf(key, sizeof(key), "%s/server.key", group->certs);
	(void)snprintf(cert, sizeof(cert), "%s/server.crt", group->certs);
	(void)snprintf(log, sizeof(log), "--accesslog-file=%s/access.log", w->dir);
	(void)snprintf(url, 64, "https://127.0.0.1:" PROXY_PORT);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)execlp("nghttpx", "nghttpx", "-f127.0.0.1," PROXY_PORT, backend, "-k",
			     "--no-ocsp", "--workers=1", "--errorlog-file=/dev/null",
			     "--single-process", log, key, cert, NULL);
		_exit(127);
	}
	return pid;
}

static bool has_proxy(void)
{
	return system("command -v nghttpx >/dev/null 2>&1") == 0;
}

/* All over one connection; when it hangs, that is noticed by the probe, which hangs as well. */
static void test_http2(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");
	char url[64];
	uint64_t began;
	pid_t proxy;

	ctl(w, "gen 300 10");
	proxy = start_proxy(w, *state, url);
	w->config.server = url;
	w->opts.silence_s = 3;
	start(w);
	await(w, "synced", 1);
	assert_int_equal(count(w, "put"), 600);
	await_watches(w);
	put_service(w, "new", 100);
	await(w, "put Service shop/new", 1);
	/* Longer than the watches are where each has a connection of its own. */
	run_ms(w, 4000);
	assert_int_equal(status_of(w, "services").watches, 1);
	assert_true(requests(w, "/version", "GET") >= 1);
	began = now_ms();
	assert_int_equal(kill(proxy, SIGSTOP), 0);
	await(w, "the server has been silent for 3 s", 1);
	assert_in_range(now_ms() - began, 0, 4500);
	assert_int_equal(kill(proxy, SIGCONT), 0);
	put_service(w, "newer", 101);
	await(w, "put Service shop/newer", 1);
	assert_int_equal(count(w, "gone"), 0);
	stop(w);
	(void)kill(proxy, SIGKILL);
	(void)waitpid(proxy, NULL, 0);
	world_free(w);
}

/* ---- ends ------------------------------------------------------------------------------------------------- */

/* At whatever moment it is stopped, its handles close and nothing is told any more. */
static void test_stops_at_any_time(void **state)
{
	struct world *w = world_new(*state, "--token", "secret");
	size_t n, lines;

	put_services(w, 20);
	w->opts.page = 2;
	for (n = 0; n < 40; n++) {
		start(w);
		run_ms(w, n);
		lines = w->n_lines;
		stop(w);
		assert_int_equal(w->n_lines, lines);
		object_set_done(&w->objects);
	}
	world_free(w);
}

static int make_certs(void **state)
{
	struct group *group = calloc(1, sizeof(*group));
	int status = 0;
	pid_t pid;

	if (!group)
		return -1;
	(void)strcpy(group->certs, "/tmp/shunt-test-certs-XXXXXX");
	if (!mkdtemp(group->certs))
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)execlp("bash", "bash", MAKE_CERTS, group->certs, NULL);
		_exit(127);
	}
	*state = group;
	return pid < 0 || waitpid(pid, &status, 0) != pid || status ? -1 : 0;
}

static int remove_certs(void **state)
{
	struct group *group = *state;

	(void)nftw(group->certs, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(group);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_in_pages_then_watches),
		cmocka_unit_test(test_resumes_without_telling_twice),
		cmocka_unit_test(test_events_split_and_joined),
		cmocka_unit_test(test_expired_watch_lists_again),
		cmocka_unit_test(test_expired_continue_starts_over),
		cmocka_unit_test(test_continue_expires_again_and_again),
		cmocka_unit_test(test_nothing_withdrawn_by_half_a_list),
		cmocka_unit_test(test_token_rotates),
		cmocka_unit_test(test_token_read_again_at_401),
		cmocka_unit_test(test_token_file_is_refused),
		cmocka_unit_test(test_other_ca_is_refused),
		cmocka_unit_test(test_server_name_is_verified),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_plain_http_is_refused),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_slow_server),
		cmocka_unit_test(test_garbage_in_lists),
		cmocka_unit_test(test_garbage_in_watches),
		cmocka_unit_test(test_garbage_before_tls),
		cmocka_unit_test(test_page_of_too_many),
		cmocka_unit_test(test_page_over_its_limit),
		cmocka_unit_test(test_too_many_requests),
		cmocka_unit_test(test_endpoints_are_optional),
		cmocka_unit_test(test_wrong_objects_are_refused_alone),
		cmocka_unit_test(test_endpoints_where_they_count),
		cmocka_unit_test(test_stopped_server_is_noticed),
		cmocka_unit_test(test_frozen_connections_are_noticed),
		cmocka_unit_test(test_silence_of_a_healthy_server),
		cmocka_unit_test(test_refused_connections),
		cmocka_unit_test(test_stops_at_any_time),
		cmocka_unit_test(test_http2),
	};
	const size_t n = sizeof(tests) / sizeof(tests[0]);

	/* No package is asked for just for that: Debian's nghttp2-proxy starts a service. */
	if (!has_proxy())
		print_message("# there is no nghttpx: not tested over HTTP/2\n");
	return _cmocka_run_group_tests("kube_source", tests, has_proxy() ? n : n - 1, make_certs,
				       remove_certs);
}
