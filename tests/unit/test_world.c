/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the sources have told, by Service, and what of it is to be published. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/world.h"
#include "source/manifest.h"

/* ---- objects ------------------------------------------------------------------ */

/* The one object of @yaml; the caller's. */
static struct object *object_of(const char *yaml)
{
	const struct manifest_text text = { .name = "test", .text = yaml, .len = strlen(yaml) };
	struct object_set set = { 0 };
	struct diags diags = { 0 };
	struct err err = { .msg = "" };
	struct object *object;

	if (manifest_load_buffer(&text, &set, &diags, &err))
		fail_msg("%s: %s", err.msg, yaml);
	assert_int_equal(set.n, 1);
	object = object_ref(set.v[0]);
	object_set_done(&set);
	diags_done(&diags);
	return object;
}

__attribute__((format(printf, 3, 4))) static void put(struct world *world, uint64_t now,
						      const char *fmt, ...)
{
	char yaml[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(yaml, sizeof(yaml), fmt, args);
	va_end(args);
	assert_int_equal(world_put(world, object_of(yaml), now), 0);
}

static void put_service(struct world *world, uint64_t now, const char *ns, const char *name)
{
	put(world, now,
	    "{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: %s}, spec: "
	    "{selector: {app: a}, ports: [{port: 80}]}}",
	    name, ns);
}

#define SLICE_HEAD "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "

/* @service NULL: of nobody */
static void put_slice(struct world *world, uint64_t now, const char *name, const char *service)
{
	if (!service)
		put(world, now,
		    SLICE_HEAD "{name: %s, namespace: shop}, addressType: IPv4, endpoints: []}",
		    name);
	else
		put(world, now,
		    SLICE_HEAD "{name: %s, namespace: shop, labels: {kubernetes.io/service-name: "
			       "%s}}, addressType: IPv4, endpoints: []}",
		    name, service);
}

static void put_endpoints(struct world *world, uint64_t now, const char *name)
{
	put(world, now, "{apiVersion: v1, kind: Endpoints, metadata: {name: %s, namespace: shop}}",
	    name);
}

static void put_pod(struct world *world, uint64_t now, const char *ns, const char *name)
{
	put(world, now,
	    "{apiVersion: v1, kind: Pod, metadata: {name: %s, namespace: %s}, spec: {containers: "
	    "[{name: c, image: i}]}}",
	    name, ns);
}

static void put_node(struct world *world, const char *name, const char *addr, const char *more)
{
	put(world, 1,
	    "{apiVersion: v1, kind: Node, metadata: {name: %s, labels: {l: l%s}}, status: "
	    "{addresses: [{type: InternalIP, address: %s}]}}",
	    name, more, addr);
}

/* ---- what is dirty -------------------------------------------------------------- */

/* Their names in the order in which they came to be dirty. */
static void assert_dirty(const struct world *world, const char *names)
{
	const struct world_service *service;
	char text[256] = "";
	size_t n = 0;

	for (service = world->dirty; service; service = service->next) {
		assert_true(service->dirty);
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
			       n++ ? " " : "", service->name);
	}
	assert_string_equal(text, names);
	assert_int_equal(world->n_dirty, n);
}

/* All that is dirty has been published. */
static void settle(struct world *world)
{
	while (world->dirty)
		world_settle(world, world->dirty);
	world->all_dirty = false;
	assert_int_equal(world->n_dirty, 0);
}

static struct world_service *find(const struct world *world, const char *name)
{
	struct world_service *service = world_find(world, "shop", name);

	if (!service)
		fail_msg("nothing is known of %s", name);
	return service;
}

static void test_every_kind_comes_and_goes(void **state)
{
	struct world world;

	world_init(&world, false);
	put_service(&world, 1, "shop", "web");
	assert_dirty(&world, "web");
	assert_true(find(&world, "web")->service_changed);
	settle(&world);
	assert_false(find(&world, "web")->service_changed);

	put_slice(&world, 2, "web-1", "web");
	put_endpoints(&world, 3, "web");
	assert_dirty(&world, "web");
	assert_int_equal(find(&world, "web")->since, 2);
	assert_false(find(&world, "web")->service_changed);
	assert_int_equal(find(&world, "web")->n_slices, 1);
	assert_non_null(find(&world, "web")->endpoints);
	settle(&world);

	put_pod(&world, 4, "shop", "web-a");
	assert_dirty(&world, "web");
	settle(&world);
	put_node(&world, "node-1", "192.0.2.1", "");
	assert_true(world.all_dirty);
	assert_dirty(&world, "");
	settle(&world);

	assert_int_equal(world_gone(&world, KIND_POD, "shop", "web-a", 5), 0);
	assert_dirty(&world, "web");
	settle(&world);
	assert_int_equal(world_gone(&world, KIND_ENDPOINT_SLICE, "shop", "web-1", 6), 0);
	assert_dirty(&world, "web");
	settle(&world);
	assert_int_equal(world_gone(&world, KIND_ENDPOINTS, "shop", "web", 7), 0);
	assert_dirty(&world, "web");
	settle(&world);
	assert_int_equal(world_gone(&world, KIND_NODE, "", "node-1", 8), 0);
	assert_true(world.all_dirty);
	assert_int_equal(world_gone(&world, KIND_SERVICE, "shop", "web", 9), 0);
	assert_dirty(&world, "web");
	assert_true(find(&world, "web")->service_changed);
	settle(&world);
	assert_null(world_find(&world, "shop", "web"));
	assert_null(world.services);
	assert_null(world.slices);
	world_done(&world);
}

static void test_what_nobody_knows_changes_nothing(void **state)
{
	struct world world;
	enum kind kind;

	world_init(&world, false);
	for (kind = KIND_SERVICE; kind < KIND_COUNT; kind++)
		assert_int_equal(world_gone(&world, kind, "shop", "ghost", 1), 0);
	put_slice(&world, 2, "lonely", NULL);
	put_pod(&world, 3, "other", "pod");
	assert_dirty(&world, "");
	assert_false(world.all_dirty);
	put_service(&world, 4, "shop", "web");
	settle(&world);
	assert_int_equal(world_gone(&world, KIND_ENDPOINTS, "shop", "web", 5), 0);
	assert_int_equal(world_gone(&world, KIND_ENDPOINT_SLICE, "shop", "lonely", 6), 0);
	assert_dirty(&world, "");
	world_done(&world);
}

static void test_a_slice_comes_before_its_service(void **state)
{
	struct world world;

	world_init(&world, false);
	put_slice(&world, 1, "web-1", "web");
	assert_dirty(&world, "web");
	settle(&world); /* nothing to publish, nothing to forget */
	assert_int_equal(find(&world, "web")->n_slices, 1);
	put_service(&world, 2, "shop", "web");
	assert_dirty(&world, "web");
	assert_int_equal(find(&world, "web")->n_slices, 1);
	settle(&world);

	/* And stays behind it. */
	assert_int_equal(world_gone(&world, KIND_SERVICE, "shop", "web", 3), 0);
	settle(&world);
	assert_int_equal(find(&world, "web")->n_slices, 1);
	assert_int_equal(world_gone(&world, KIND_ENDPOINT_SLICE, "shop", "web-1", 4), 0);
	settle(&world);
	assert_null(world.services);
	world_done(&world);
}

static void test_a_slice_changes_its_service(void **state)
{
	struct world world;

	world_init(&world, false);
	put_service(&world, 1, "shop", "a");
	put_service(&world, 1, "shop", "b");
	put_slice(&world, 1, "s1", "a");
	put_slice(&world, 1, "s2", "a");
	put_slice(&world, 1, "s3", "a");
	settle(&world);

	put_slice(&world, 2, "s1", "b");
	assert_dirty(&world, "a b");
	assert_int_equal(find(&world, "a")->n_slices, 2);
	assert_int_equal(find(&world, "b")->n_slices, 1);
	settle(&world);

	/* To nobody, and back again. */
	put_slice(&world, 3, "s2", NULL);
	assert_dirty(&world, "a");
	assert_int_equal(find(&world, "a")->n_slices, 1);
	settle(&world);
	put_slice(&world, 4, "s2", "b");
	assert_dirty(&world, "b");
	assert_int_equal(find(&world, "b")->n_slices, 2);
	settle(&world);

	/* The same again is still one. */
	put_slice(&world, 5, "s2", "b");
	assert_int_equal(find(&world, "b")->n_slices, 2);
	assert_int_equal(world_gone(&world, KIND_ENDPOINT_SLICE, "shop", "s2", 6), 0);
	assert_int_equal(find(&world, "b")->n_slices, 1);
	assert_string_equal(find(&world, "b")->slices[0]->meta.name, "s1");
	/* Of a Service that was never there and has lost its only slice nothing is left. */
	put_slice(&world, 7, "s4", "c");
	put_slice(&world, 8, "s4", "a");
	settle(&world);
	assert_null(world_find(&world, "shop", "c"));
	world_done(&world);
}

static void test_a_node_that_says_the_same(void **state)
{
	struct world world;

	world_init(&world, false);
	put_node(&world, "node-1", "192.0.2.1", "");
	settle(&world);
	put_node(&world, "node-1", "192.0.2.1", "abel"); /* a label that nobody looks at */
	assert_false(world.all_dirty);
	put_node(&world, "node-1", "192.0.2.2", "");
	assert_true(world.all_dirty);
	settle(&world);
	put_node(&world, "node-2", "192.0.2.2", "");
	assert_true(world.all_dirty);
	settle(&world);
	put(&world, 1,
	    "{apiVersion: v1, kind: Node, metadata: {name: node-2, labels: "
	    "{topology.kubernetes.io/zone: z}}, status: {addresses: [{type: InternalIP, address: "
	    "192.0.2.2}]}}");
	assert_true(world.all_dirty);
	assert_int_equal(world.nodes.n, 2);
	world_done(&world);
}

static void test_pods_are_of_their_namespace(void **state)
{
	struct world world;

	world_init(&world, true);
	put_service(&world, 1, "shop", "a");
	put_service(&world, 1, "other", "x");
	put_service(&world, 1, "shop", "b");
	settle(&world);
	put_pod(&world, 2, "shop", "pod");
	assert_dirty(&world, "a b");
	settle(&world);
	put_pod(&world, 2, "other", "pod");
	assert_dirty(&world, "x");
	world_done(&world);
}

/* ---- what can't be published ----------------------------------------------------- */

static void test_refused_until_it_changes(void **state)
{
	struct object_set set = { 0 };
	struct world world;

	world_init(&world, false);
	put_service(&world, 1, "shop", "a");
	put_service(&world, 1, "shop", "b");
	find(&world, "a")->refused = true;
	settle(&world);
	assert_true(find(&world, "a")->refused);
	assert_int_equal(world_objects(&world, true, &set), 0);
	assert_int_equal(set.n, 1);
	assert_string_equal(set.v[0]->meta.name, "b");
	object_set_done(&set);
	assert_int_equal(world_objects(&world, false, &set), 0);
	assert_int_equal(set.n, 2);
	object_set_done(&set);

	put_slice(&world, 2, "a-1", "a");
	assert_false(find(&world, "a")->refused);
	assert_dirty(&world, "a");
	world_done(&world);
}

static void test_set_aside_until_it_is_tried_again(void **state)
{
	struct world world;

	world_init(&world, false);
	put_service(&world, 1, "shop", "a");
	put_service(&world, 2, "shop", "b");
	world_set_aside(&world, find(&world, "a"));
	world_set_aside(&world, find(&world, "a"));
	assert_dirty(&world, "b");
	assert_int_equal(world.n_failed, 1);
	settle(&world);
	world_settle(&world, find(&world, "a")); /* with all others: it is not forgotten */
	assert_int_equal(world.n_failed, 1);

	world_retry(&world);
	assert_dirty(&world, "a");
	assert_int_equal(world.n_failed, 0);
	assert_true(find(&world, "a")->service_changed);
	assert_int_equal(find(&world, "a")->since, 1);
	world_set_aside(&world, find(&world, "a"));

	/* It changes: no need to wait, and it has waited since its first change. */
	put_slice(&world, 9, "a-1", "a");
	assert_dirty(&world, "a");
	assert_int_equal(world.n_failed, 0);
	assert_int_equal(find(&world, "a")->since, 1);
	settle(&world);

	/* One that is to go stays known until it could be withdrawn. */
	assert_int_equal(world_gone(&world, KIND_SERVICE, "shop", "b", 10), 0);
	world_set_aside(&world, find(&world, "b"));
	world_settle(&world, find(&world, "b"));
	assert_non_null(world_find(&world, "shop", "b"));
	world_retry(&world);
	settle(&world);
	assert_null(world_find(&world, "shop", "b"));
	world_done(&world);
}

/* ---- the own control plane ---------------------------------------------------------- */

static void test_a_proposal_is_in_force_once_accepted(void **state)
{
	struct world_service *a;
	struct world world;

	world_init(&world, true);
	put_service(&world, 1, "shop", "a");
	a = find(&world, "a");
	assert_null(a->service);
	assert_non_null(a->proposed);
	world_accept(&world, a);
	assert_non_null(a->service);
	assert_null(a->proposed);
	settle(&world);

	put_service(&world, 2, "shop", "a");
	assert_dirty(&world, "a");
	world_turn_down(&world, a);
	world_turn_down(&world, a);
	assert_int_equal(world.n_not_given, 1);
	settle(&world);
	assert_non_null(a->service);
	assert_non_null(a->proposed); /* its turn may come */
	put_service(&world, 3, "shop", "a");
	assert_int_equal(world.n_not_given, 0); /* another proposal */
	world_turn_down(&world, a);
	world_accept(&world, a);
	assert_int_equal(world.n_not_given, 0);
	settle(&world);

	put_service(&world, 4, "shop", "a");
	world_turn_down(&world, a);
	assert_int_equal(world_gone(&world, KIND_SERVICE, "shop", "a", 5), 0);
	assert_int_equal(world.n_not_given, 0);
	settle(&world);
	assert_null(world.services);
	world_done(&world);
}

static void put_stored(struct world *world, const char *name)
{
	char yaml[256];

	(void)snprintf(yaml, sizeof(yaml),
		       "{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: shop}, "
		       "spec: {clusterIP: 10.96.0.7, ports: [{port: 80}]}}",
		       name);
	assert_int_equal(world_put_stored(world, object_of(yaml)), 0);
}

static void test_what_was_stored(void **state)
{
	struct world world;

	world_init(&world, true);
	put_stored(&world, "told");
	put_stored(&world, "untold");
	assert_dirty(&world, ""); /* the kernel has them already */
	put_service(&world, 1, "shop", "told");
	assert_dirty(&world, "told");
	assert_false(find(&world, "told")->stored);
	put_pod(&world, 2, "shop", "pod"); /* what it is behind, nobody has told yet */
	assert_dirty(&world, "told");

	assert_int_equal(world_keep_stored(&world), 1);
	assert_true(find(&world, "untold")->refused);
	settle(&world);
	assert_non_null(world_find(&world, "shop", "untold"));
	world_forget_stored(&world, 3);
	assert_dirty(&world, "untold");
	assert_false(find(&world, "untold")->refused);
	settle(&world);
	assert_null(world_find(&world, "shop", "untold"));
	assert_int_equal(world_keep_stored(&world), 0);
	world_done(&world);
}

/* ---- sets ----------------------------------------------------------------------------- */

static void assert_sorted(const struct object_set *set)
{
	size_t i;

	for (i = 1; i < set->n; i++)
		assert_true(object_cmp(set->v[i - 1], set->v[i]) < 0);
}

static void test_sets_have_all_and_are_sorted(void **state)
{
	struct world_service *services[2];
	struct object_set set = { 0 };
	struct world world;

	world_init(&world, false);
	put_node(&world, "node-1", "192.0.2.1", "");
	put_slice(&world, 1, "sz", "b");
	put_service(&world, 1, "shop", "b");
	put_slice(&world, 1, "sy", "b");
	put_service(&world, 1, "other", "c");
	put_service(&world, 1, "shop", "a");
	put_slice(&world, 1, "sx", "a");
	put_endpoints(&world, 1, "b");
	put_pod(&world, 1, "shop", "p");
	put_pod(&world, 1, "other", "p");

	assert_int_equal(world_objects(&world, true, &set), 0);
	assert_int_equal(set.n, 10);
	assert_sorted(&set);
	assert_non_null(object_set_find(&set, KIND_ENDPOINTS, "shop", "b"));
	object_set_done(&set);

	/* A part: what it is resolved by, and nothing of others'. */
	services[0] = find(&world, "b");
	assert_int_equal(world_objects_of(&world, services, 1, &set), 0);
	assert_int_equal(set.n, 6);
	assert_sorted(&set);
	assert_non_null(object_set_find(&set, KIND_ENDPOINT_SLICE, "shop", "sy"));
	assert_non_null(object_set_find(&set, KIND_ENDPOINT_SLICE, "shop", "sz"));
	assert_null(object_set_find(&set, KIND_ENDPOINT_SLICE, "shop", "sx"));
	assert_null(object_set_find(&set, KIND_POD, "other", "p"));
	assert_non_null(object_set_find(&set, KIND_NODE, "", "node-1"));
	object_set_done(&set);

	services[1] = find(&world, "a");
	assert_int_equal(world_objects_of(&world, services, 2, &set), 0);
	assert_int_equal(set.n, 8);
	assert_sorted(&set);
	/* Objects are shared: they outlive the world that they came from. */
	world_done(&world);
	assert_string_equal(set.v[0]->meta.name, "a");
	object_set_done(&set);
}

static void test_when_the_cluster_saw_it(void **state)
{
	struct world world;

	world_init(&world, false);
	put(&world, 1,
	    SLICE_HEAD "{name: s, namespace: shop, labels: {kubernetes.io/service-name: a}, "
		       "annotations: {endpoints.kubernetes.io/last-change-trigger-time: "
		       "'2026-11-23T18:00:00.250Z'}}, addressType: IPv4, endpoints: []}");
	assert_int_equal(find(&world, "a")->trigger_ms, 1795456800250);
	put(&world, 2,
	    SLICE_HEAD "{name: t, namespace: shop, labels: {kubernetes.io/service-name: a}, "
		       "annotations: {endpoints.kubernetes.io/last-change-trigger-time: "
		       "'2026-11-23T18:00:01Z'}}, addressType: IPv4, endpoints: []}");
	assert_int_equal(find(&world, "a")->trigger_ms, 1795456800250); /* the first one */
	settle(&world);
	assert_int_equal(find(&world, "a")->trigger_ms, 0);
	put(&world, 3,
	    SLICE_HEAD
	    "{name: s, namespace: shop, labels: {kubernetes.io/service-name: a}, "
	    "annotations: {endpoints.kubernetes.io/last-change-trigger-time: yesterday}}, "
	    "addressType: IPv4, endpoints: []}");
	assert_int_equal(find(&world, "a")->trigger_ms, 0);
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_comes_and_goes),
		cmocka_unit_test(test_what_nobody_knows_changes_nothing),
		cmocka_unit_test(test_a_slice_comes_before_its_service),
		cmocka_unit_test(test_a_slice_changes_its_service),
		cmocka_unit_test(test_a_node_that_says_the_same),
		cmocka_unit_test(test_pods_are_of_their_namespace),
		cmocka_unit_test(test_refused_until_it_changes),
		cmocka_unit_test(test_set_aside_until_it_is_tried_again),
		cmocka_unit_test(test_a_proposal_is_in_force_once_accepted),
		cmocka_unit_test(test_what_was_stored),
		cmocka_unit_test(test_sets_have_all_and_are_sorted),
		cmocka_unit_test(test_when_the_cluster_saw_it),
	};

	return cmocka_run_group_tests_name("world", tests, NULL, NULL);
}
