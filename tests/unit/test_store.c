/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "make_objects.h"
#include "source/manifest.h"
#include "source/store.h"

struct world {
	char top[64];
	char dir[128], objects[160], tmp[160], settings[160];
	struct err err;
};

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	(void)strcpy(w->top, "/tmp/shunt-test-store-XXXXXX");
	assert_non_null(mkdtemp(w->top));
	(void)snprintf(w->dir, sizeof(w->dir), "%s/var/lib/shunt", w->top);
	(void)snprintf(w->objects, sizeof(w->objects), "%s/objects.json", w->dir);
	(void)snprintf(w->tmp, sizeof(w->tmp), "%s/objects.json.tmp", w->dir);
	(void)snprintf(w->settings, sizeof(w->settings), "%s/settings.json", w->dir);
	return w;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static void world_free(struct world *w)
{
	(void)nftw(w->top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(w);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void load_text(struct object_set *set, const char *text)
{
	struct diags diags = { 0 };
	struct err err = { 0 };

	if (manifest_load_buffer(&(struct manifest_text){ "test.yaml", text, strlen(text) }, set,
				 &diags, &err))
		fail_msg("%s", diags.n_errors ? diags.errors[0].text : err.msg);
	diags_done(&diags);
}

static void saved(struct world *w, const struct object_set *set)
{
	if (store_save(w->dir, set, &w->err))
		fail_msg("store_save: %s", w->err.msg);
}

static void loaded(struct world *w, struct object_set *set)
{
	if (store_load(w->dir, set, &w->err))
		fail_msg("store_load: %s", w->err.msg);
}

static void assert_same(const struct object_set *a, const struct object_set *b)
{
	size_t i;

	assert_int_equal(a->n, b->n);
	for (i = 0; i < a->n; i++) {
		json_t *x = NULL, *y = NULL;

		assert_int_equal(object_encode(a->v[i], &x), 0);
		assert_int_equal(object_encode(b->v[i], &y), 0);
		assert_true(json_equal(x, y));
		json_decref(x);
		json_decref(y);
	}
}

static const char every_kind[] =
	"apiVersion: v1\n"
	"kind: Service\n"
	"metadata:\n"
	"  name: web\n"
	"  namespace: shop\n"
	"  annotations: {shunt.io/weight: '3', note: \"a\\tb \\\"c\\\" \\x7f \\u0085 \\u2028 "
	"\\ufeff "
	"caf\\u00e9 \\U0001f600\"}\n"
	"spec:\n"
	"  type: LoadBalancer\n"
	"  clusterIP: 10.96.0.10\n"
	"  clusterIPs: [10.96.0.10, 'fd00:10:96::10']\n"
	"  ipFamilies: [IPv4, IPv6]\n"
	"  ipFamilyPolicy: RequireDualStack\n"
	"  selector: {app: web}\n"
	"  externalTrafficPolicy: Local\n"
	"  healthCheckNodePort: 30999\n"
	"  sessionAffinity: ClientIP\n"
	"  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}\n"
	"  loadBalancerSourceRanges: [203.0.113.0/24]\n"
	"  externalIPs: [192.0.2.1]\n"
	"  ports:\n"
	"  - {name: http, port: 80, targetPort: web, nodePort: 30080}\n"
	"  - {name: dns, port: 53, protocol: UDP, targetPort: 5353, nodePort: 30053}\n"
	"status:\n"
	"  loadBalancer: {ingress: [{ip: 198.51.100.1}]}\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: Endpoints\n"
	"metadata: {name: old}\n"
	"subsets:\n"
	"- addresses: [{ip: 10.0.0.1}]\n"
	"  notReadyAddresses: [{ip: 10.0.0.2}]\n"
	"  ports: [{port: 80}]\n"
	"---\n"
	"apiVersion: discovery.k8s.io/v1\n"
	"kind: EndpointSlice\n"
	"metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n"
	"addressType: IPv4\n"
	"endpoints:\n"
	"- addresses: [10.0.0.1]\n"
	"  conditions: {ready: false, serving: true, terminating: true}\n"
	"  nodeName: node-1\n"
	"  zone: a\n"
	"  hints: {forZones: [{name: a}]}\n"
	"ports: [{name: http, port: 8080}]\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: Pod\n"
	"metadata: {name: web-x, labels: {app: web}}\n"
	"spec:\n"
	"  nodeName: node-1\n"
	"  containers: [{name: c, image: i, ports: [{name: web, containerPort: 8080}]}]\n"
	"status:\n"
	"  podIP: 10.0.0.1\n"
	"  podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]\n"
	"  conditions: [{type: Ready, status: 'True'}]\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: Node\n"
	"metadata: {name: node-1, labels: {topology.kubernetes.io/zone: a}}\n"
	"status: {addresses: [{type: InternalIP, address: 192.0.2.10}]}\n";

static void nothing_there_is_an_empty_set(void **state)
{
	struct object_set set = { 0 };
	struct world *w = world_new();

	loaded(w, &set);
	assert_int_equal(set.n, 0);
	assert_int_equal(store_remove(w->dir, &w->err), 0);
	world_free(w);
}

static void what_is_saved_is_loaded(void **state)
{
	struct object_set set = { 0 }, again = { 0 };
	struct world *w = world_new();
	const struct object *web;
	struct stat st;

	load_text(&set, every_kind);
	saved(w, &set);
	loaded(w, &again);
	assert_int_equal(again.n, 5);
	assert_same(&set, &again);
	web = object_set_find(&again, KIND_SERVICE, "shop", "web");
	assert_non_null(web);
	assert_int_equal(web->service.n_cluster_ips, 2);
	assert_int_equal(web->service.ports[0].node_port, 30080);
	assert_int_equal(web->service.health_check_node_port, 30999);
	assert_string_equal(labels_get(&web->meta.annotations, "note"),
			    "a\tb \"c\" \x7f \xc2\x85 \xe2\x80\xa8 \xef\xbb\xbf caf\xc3\xa9 "
			    "\xf0\x9f\x98\x80");
	assert_int_equal(stat(w->dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(w->objects, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_not_equal(access(w->tmp, F_OK), 0);
	object_set_done(&set);
	object_set_done(&again);
	world_free(w);
}

static void an_empty_set_can_be_saved(void **state)
{
	struct object_set set = { 0 };
	struct world *w = world_new();

	saved(w, &set);
	loaded(w, &set);
	assert_int_equal(set.n, 0);
	world_free(w);
}

static void the_last_one_saved_counts(void **state)
{
	struct object_set a = { 0 }, b = { 0 }, got = { 0 };
	struct world *w = world_new();

	load_text(&a, every_kind);
	load_text(&b, "{apiVersion: v1, kind: Node, metadata: {name: node}}");
	saved(w, &a);
	saved(w, &b);
	loaded(w, &got);
	assert_same(&b, &got);
	object_set_done(&a);
	object_set_done(&b);
	object_set_done(&got);
	world_free(w);
}

static void a_damaged_file_is_an_error_that_says_what_to_do(void **state)
{
	static const char *const texts[] = {
		"\n", /* a file that lost its content is not an empty set */
		"{\"apiVersion\":\"v1\",\"kind\":\"Li", /* cut short */
		"{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{\"apiVersion\":\"v1\","
		"\"kind\":\"Service\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"poret\":1}}]}",
		"\x01\x02",
	};
	struct object_set set = { 0 };
	struct world *w = world_new();
	size_t i;

	saved(w, &set);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_file(w->objects, texts[i]);
		assert_true(store_load(w->dir, &set, &w->err) < 0);
		assert_int_equal(set.n, 0);
		assert_non_null(strstr(w->err.msg, w->objects));
		assert_non_null(strstr(w->err.msg, "the state is damaged: "));
		assert_non_null(strstr(w->err.msg, "put back a copy"));
		assert_int_equal(w->err.exit, EXIT_INPUT);
	}
	world_free(w);
}

static void a_path_that_is_no_file(void **state)
{
	struct object_set set = { 0 };
	struct world *w = world_new();
	char expect[256];

	saved(w, &set);
	assert_int_equal(unlink(w->objects), 0);
	assert_int_equal(mkdir(w->objects, 0700), 0);
	assert_int_equal(store_load(w->dir, &set, &w->err), -EINVAL);
	(void)snprintf(expect, sizeof(expect), "%s is not a file; move it away", w->objects);
	assert_string_equal(w->err.msg, expect);
	assert_int_equal(store_save(w->dir, &set, &w->err), -EISDIR);
	assert_int_not_equal(access(w->tmp, F_OK), 0);
	world_free(w);
}

/* RLIMIT_FSIZE stands for a full disk: a write that is refused half way. */
static void a_full_disk_leaves_the_old_file(void **state)
{
	struct object_set small = { 0 }, large = { 0 }, got = { 0 };
	struct rlimit before, low;
	struct world *w = world_new();
	char name[16];
	unsigned int i;

	load_text(&small, every_kind);
	for (i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "s%u", i);
		make_service(&large, name, "10.96.0.1");
	}
	saved(w, &small);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	low = (struct rlimit){ 8192, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_int_equal(store_save(w->dir, &large, &w->err), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_non_null(strstr(w->err.msg, "the old one stays in force: File too large"));
	assert_int_equal(w->err.exit, EXIT_SYSTEM);
	assert_int_not_equal(access(w->tmp, F_OK), 0);
	loaded(w, &got);
	assert_same(&small, &got);
	object_set_done(&small);
	object_set_done(&large);
	object_set_done(&got);
	world_free(w);
}

static void what_a_crash_left_behind_does_no_harm(void **state)
{
	struct object_set set = { 0 }, got = { 0 };
	struct world *w = world_new();

	load_text(&set, every_kind);
	saved(w, &set);
	write_file(w->tmp, "{\"apiVersion\":");
	loaded(w, &got);
	assert_same(&set, &got);
	saved(w, &set);
	assert_int_not_equal(access(w->tmp, F_OK), 0);
	object_set_done(&set);
	object_set_done(&got);
	world_free(w);
}

static void settings_are_kept_by_name(void **state)
{
	struct world *w = world_new();
	char *value = NULL;

	assert_int_equal(store_get(w->dir, "a", &value, &w->err), -ENOENT);
	assert_null(value);
	assert_int_equal(store_set(w->dir, "a", "1 2\t\"3\"", &w->err), 0);
	assert_int_equal(store_set(w->dir, "b", "", &w->err), 0);
	assert_int_equal(store_get(w->dir, "a", &value, &w->err), 0);
	assert_string_equal(value, "1 2\t\"3\"");
	free(value);
	assert_int_equal(store_set(w->dir, "a", NULL, &w->err), 0);
	assert_int_equal(store_set(w->dir, "a", NULL, &w->err), 0);
	assert_int_equal(store_get(w->dir, "a", &value, &w->err), -ENOENT);
	assert_int_equal(store_get(w->dir, "b", &value, &w->err), 0);
	assert_string_equal(value, "");
	free(value);
	world_free(w);
}

static void damaged_settings(void **state)
{
	static const char *const texts[] = { "", "[]", "{\"a\":", "{\"a\":\"1\",\"a\":\"2\"}" };
	struct world *w = world_new();
	char *value = NULL;
	size_t i;

	assert_int_equal(store_set(w->dir, "a", "1", &w->err), 0);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_file(w->settings, texts[i]);
		assert_int_equal(store_get(w->dir, "a", &value, &w->err), -EINVAL);
		assert_non_null(strstr(w->err.msg, w->settings));
		assert_int_equal(store_set(w->dir, "b", "1", &w->err), -EINVAL);
	}
	world_free(w);
}

static void removing_leaves_what_is_not_ours(void **state)
{
	struct object_set set = { 0 };
	struct world *w = world_new();
	char other[160];

	saved(w, &set);
	assert_int_equal(store_set(w->dir, "a", "1", &w->err), 0);
	(void)snprintf(other, sizeof(other), "%s/other", w->dir);
	write_file(other, "");
	assert_int_equal(store_remove(w->dir, &w->err), 0);
	assert_int_not_equal(access(w->objects, F_OK), 0);
	assert_int_not_equal(access(w->settings, F_OK), 0);
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(store_remove(w->dir, &w->err), 0);
	assert_int_not_equal(access(w->dir, F_OK), 0);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_there_is_an_empty_set),
		cmocka_unit_test(what_is_saved_is_loaded),
		cmocka_unit_test(an_empty_set_can_be_saved),
		cmocka_unit_test(the_last_one_saved_counts),
		cmocka_unit_test(a_damaged_file_is_an_error_that_says_what_to_do),
		cmocka_unit_test(a_path_that_is_no_file),
		cmocka_unit_test(a_full_disk_leaves_the_old_file),
		cmocka_unit_test(what_a_crash_left_behind_does_no_harm),
		cmocka_unit_test(settings_are_kept_by_name),
		cmocka_unit_test(damaged_settings),
		cmocka_unit_test(removing_leaves_what_is_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
