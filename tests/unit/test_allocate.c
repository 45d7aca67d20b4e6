/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "make_objects.h"
#include "model/allocate.h"
#include "source/merge.h"

struct world {
	struct object_set prev, next;
	struct addr_net cidrs[4];
	struct allocate_opts opts;
	struct err err;
};

static struct world *world_new(const char *cidr, const char *second)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->cidrs[w->opts.n_service_cidrs++] = make_net(cidr);
	if (second)
		w->cidrs[w->opts.n_service_cidrs++] = make_net(second);
	w->opts.service_cidrs = w->cidrs;
	w->opts.node_port_min = 30000;
	w->opts.node_port_max = 32767;
	return w;
}

static void world_free(struct world *w)
{
	object_set_done(&w->prev);
	object_set_done(&w->next);
	free(w);
}

static void allocated(struct world *w)
{
	if (allocate(&w->next, &w->prev, &w->opts, &w->err))
		fail_msg("allocate: %s", w->err.msg);
}

static void refused(struct world *w, const char *message)
{
	assert_int_equal(allocate(&w->next, &w->prev, &w->opts, &w->err), -EINVAL);
	assert_string_equal(w->err.msg, message);
	assert_int_equal(w->err.exit, EXIT_INPUT);
}

/* What was allocated is in force; the next set starts empty. */
static void step(struct world *w)
{
	allocated(w);
	object_set_done(&w->prev);
	w->prev = w->next;
	w->next = (struct object_set){ 0 };
}

static struct service *add(struct world *w, const char *name, enum service_type type,
			   const char *ip)
{
	struct object *object = make_service(&w->next, name, ip);

	object->service.type = type;
	return &object->service;
}

static const struct service *held(struct world *w, const char *name)
{
	return &object_set_find(&w->prev, KIND_SERVICE, "default", name)->service;
}

static const char *ip_of(const struct service *service, size_t i)
{
	static char text[2][ADDR_STRLEN];

	assert_true(i < service->n_cluster_ips);
	return addr_format(&service->cluster_ips[i], text[i]);
}

/* ---- ClusterIPs ------------------------------------------------------------------- */

static void one_is_chosen_from_the_upper_band(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);
	struct sh_addr band = make_addr("10.96.1.0");
	char name[16];
	unsigned int i;

	for (i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "s%u", i);
		(void)add(w, name, SERVICE_CLUSTER_IP, NULL);
	}
	step(w);
	for (i = 0; i < 500; i++) {
		const struct service *s = &w->prev.v[i]->service;

		assert_int_equal(s->n_cluster_ips, 1);
		assert_true(addr_net_contains(&w->cidrs[0], &s->cluster_ips[0]));
		assert_true(addr_cmp(&s->cluster_ips[0], &band) > 0);
		assert_int_equal(s->ip_family_policy, FAMILY_POLICY_SINGLE);
		assert_int_equal(s->ip_families[0], FAMILY_IPV4);
		for (unsigned int j = 0; j < i; j++)
			assert_false(
				addr_eq(&s->cluster_ips[0], &w->prev.v[j]->service.cluster_ips[0]));
	}
	world_free(w);
}

/* Nodes that load the same manifests give the same addresses: these may not change. */
static void the_choice_is_the_same_everywhere(void **state)
{
	struct world *w = world_new("10.96.0.0/16", "fd00:10:96::/112");

	add(w, "kubia", SERVICE_NODE_PORT, NULL)->ip_family_policy = FAMILY_POLICY_PREFER_DUAL;
	step(w);
	assert_string_equal(ip_of(held(w, "kubia"), 0), "10.96.21.110");
	assert_string_equal(ip_of(held(w, "kubia"), 1), "fd00:10:96::ee8d");
	assert_int_equal(held(w, "kubia")->ports[0].node_port, 32387);
	world_free(w);
}

static void what_was_given_stays(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);
	char before[ADDR_STRLEN];
	uint16_t port;

	(void)add(w, "web", SERVICE_NODE_PORT, NULL);
	step(w);
	(void)strcpy(before, ip_of(held(w, "web"), 0));
	port = held(w, "web")->ports[0].node_port;
	assert_in_range(port, 30086, 32767);
	/* Newcomers that stand before it, and one of the same name elsewhere. */
	(void)add(w, "a", SERVICE_NODE_PORT, NULL);
	(void)make_object(&w->next, KIND_SERVICE, "aaa", "web");
	(void)add(w, "web", SERVICE_NODE_PORT, NULL);
	step(w);
	assert_string_equal(ip_of(held(w, "web"), 0), before);
	assert_int_equal(held(w, "web")->ports[0].node_port, port);
	assert_int_not_equal(held(w, "a")->ports[0].node_port, port);
	world_free(w);
}

static void a_given_one_is_honoured(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);

	(void)add(w, "web", SERVICE_CLUSTER_IP, "10.96.0.10");
	step(w);
	assert_string_equal(ip_of(held(w, "web"), 0), "10.96.0.10");
	(void)add(w, "web", SERVICE_CLUSTER_IP, "10.96.0.10"); /* once more the same */
	step(w);
	assert_string_equal(ip_of(held(w, "web"), 0), "10.96.0.10");
	world_free(w);
}

static void a_choice_never_hits_a_given_one(void **state)
{
	struct world *w = world_new("10.96.0.0/29", NULL); /* 6 addresses */
	static const char *const names[] = { "a", "b", "c", "d" };
	size_t i;

	for (i = 0; i < 4; i++)
		(void)add(w, names[i], SERVICE_CLUSTER_IP, NULL);
	(void)add(w, "y", SERVICE_CLUSTER_IP, "10.96.0.2");
	(void)add(w, "z", SERVICE_CLUSTER_IP, "10.96.0.5");
	step(w);
	for (i = 1; i < w->prev.n; i++)
		for (size_t j = 0; j < i; j++)
			assert_false(addr_eq(&w->prev.v[i]->service.cluster_ips[0],
					     &w->prev.v[j]->service.cluster_ips[0]));
	world_free(w);
}

static void a_full_network_is_an_error_that_names_the_option(void **state)
{
	struct world *w = world_new("10.96.0.0/30", NULL); /* 2 addresses */

	(void)add(w, "a", SERVICE_CLUSTER_IP, NULL);
	(void)add(w, "b", SERVICE_CLUSTER_IP, NULL);
	step(w);
	(void)add(w, "c", SERVICE_CLUSTER_IP, NULL);
	allocated(w); /* a and b are gone */
	(void)add(w, "a", SERVICE_CLUSTER_IP, NULL);
	(void)add(w, "b", SERVICE_CLUSTER_IP, NULL);
	object_set_done(&w->prev);
	refused(w, "Service default/b: no IPv4 address is left in --service-cidr 10.96.0.0/30; "
		   "delete Services or start with a larger --service-cidr");
	world_free(w);
}

static void the_lower_band_is_used_when_the_upper_is_full(void **state)
{
	struct world *w = world_new("10.96.0.0/24", NULL); /* 254: 16 below, 238 above */
	struct sh_addr band = make_addr("10.96.0.16");
	unsigned int i, low = 0;
	char name[16];

	for (i = 0; i < 254; i++) {
		(void)snprintf(name, sizeof(name), "s%u", i);
		(void)add(w, name, SERVICE_CLUSTER_IP, NULL);
		if (i == 237) {
			allocated(w);
			for (size_t j = 0; j < w->next.n; j++)
				assert_true(addr_cmp(&w->next.v[j]->service.cluster_ips[0], &band) >
					    0);
		}
	}
	step(w);
	for (i = 0; i < 254; i++)
		low += addr_cmp(&w->prev.v[i]->service.cluster_ips[0], &band) <= 0;
	assert_int_equal(low, 16);
	world_free(w);
}

static const struct {
	const char *sentence, *cidr, *second, *ip, *message;
} bad_ips[] = {
	{ "outside", "10.96.0.0/16", NULL, "10.97.0.1",
	  "Service default/web: spec.clusterIPs[0]: 10.97.0.1 is not in --service-cidr "
	  "10.96.0.0/16" },
	{ "the network's own", "10.96.0.0/16", NULL, "10.96.0.0",
	  "Service default/web: spec.clusterIPs[0]: 10.96.0.0 is the first or the last address "
	  "of --service-cidr 10.96.0.0/16, which no Service can have" },
	{ "broadcast", "10.96.0.0/16", NULL, "10.96.255.255",
	  "Service default/web: spec.clusterIPs[0]: 10.96.255.255 is the first or the last "
	  "address of --service-cidr 10.96.0.0/16, which no Service can have" },
	{ "IPv6: the network's own", "fd00:10:96::/112", NULL, "fd00:10:96::",
	  "Service default/web: spec.clusterIPs[0]: fd00:10:96:: is the first or the last address "
	  "of --service-cidr fd00:10:96::/112, which no Service can have" },
	{ "a family that isn't there", "10.96.0.0/16", NULL, "fd00::1",
	  "Service default/web: it asks for IPv6, but --service-cidr has no IPv6 network; add "
	  "one" },
};

static void bad_given_addresses(void **state)
{
	struct world *w;
	size_t i;

	for (i = 0; i < sizeof(bad_ips) / sizeof(bad_ips[0]); i++) {
		w = world_new(bad_ips[i].cidr, bad_ips[i].second);
		(void)add(w, "web", SERVICE_CLUSTER_IP, bad_ips[i].ip);
		refused(w, bad_ips[i].message);
		world_free(w);
	}
}

static void ipv6_has_no_broadcast_address(void **state)
{
	struct world *w = world_new("fd00:10:96::/112", NULL);

	(void)add(w, "web", SERVICE_CLUSTER_IP, "fd00:10:96::ffff");
	allocated(w);
	world_free(w);
}

static void a_large_ipv6_network(void **state)
{
	struct world *w = world_new("fd00:10:96::/64", NULL);
	const struct service *s;

	(void)add(w, "a", SERVICE_CLUSTER_IP, NULL);
	(void)add(w, "b", SERVICE_CLUSTER_IP, "fd00:10:96::ffff:0:0:1");
	step(w);
	s = held(w, "a");
	assert_true(addr_net_contains(&w->cidrs[0], &s->cluster_ips[0]));
	assert_int_equal(s->ip_families[0], FAMILY_IPV6);
	world_free(w);
}

static void a_conflict_names_the_holder(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);

	(void)add(w, "holder", SERVICE_CLUSTER_IP, "10.96.0.10");
	step(w);
	(void)add(w, "holder", SERVICE_CLUSTER_IP, NULL); /* left out: it still holds it */
	(void)add(w, "afirst", SERVICE_CLUSTER_IP, "10.96.0.10");
	w->next.v[0]->origin = (struct origin){ "web.yaml", 3, 1 };
	refused(w, "web.yaml:3:1: Service default/afirst: spec.clusterIPs[0]: 10.96.0.10 is held "
		   "by Service default/holder; give another one, or leave it out");
	world_free(w);
}

static void a_failure_leaves_everything_as_it_was(void **state)
{
	struct world *w = world_new("10.96.0.0/16", "fd00:10:96::/112");
	struct service *a = add(w, "a", SERVICE_LOAD_BALANCER, NULL);

	a->ip_family_policy = FAMILY_POLICY_PREFER_DUAL;
	a->external_policy = POLICY_LOCAL;
	(void)add(w, "b", SERVICE_CLUSTER_IP, "10.97.0.1");
	assert_int_equal(allocate(&w->next, NULL, &w->opts, &w->err), -EINVAL);
	assert_int_equal(a->n_cluster_ips, 0);
	assert_int_equal(a->n_ip_families, 0);
	assert_int_equal(a->ports[0].node_port, 0);
	assert_int_equal(a->health_check_node_port, 0);
	assert_int_equal(a->ip_family_policy, FAMILY_POLICY_PREFER_DUAL);
	world_free(w);
}

static void a_cluster_ip_is_immutable(void **state)
{
	struct world *w = world_new("10.96.0.0/16", "fd00:10:96::/112");
	struct service *s;

	(void)add(w, "web", SERVICE_CLUSTER_IP, "10.96.0.10");
	step(w);
	s = add(w, "web", SERVICE_CLUSTER_IP, "10.96.0.11");
	refused(w, "Service default/web: spec.clusterIPs[0]: field is immutable, it is "
		   "10.96.0.10, not 10.96.0.11; delete the Service first");
	s->cluster_ips[0] = make_addr("fd00:10:96::10");
	refused(w, "Service default/web: spec.ipFamilies[0]: field is immutable, it is IPv4; "
		   "delete the Service first");
	s->n_cluster_ips = 0;
	s->headless = true;
	refused(w, "Service default/web: spec.clusterIP: field is immutable, it can't become "
		   "None; delete the Service first");
	world_free(w);
}

static void types_without_cluster_ip_get_none_and_release_it(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);

	(void)add(w, "web", SERVICE_NODE_PORT, "10.96.0.10");
	add(w, "none", SERVICE_CLUSTER_IP, NULL)->headless = true;
	step(w);
	assert_int_equal(held(w, "none")->n_cluster_ips, 0);
	(void)add(w, "web", SERVICE_EXTERNAL_NAME, NULL);
	(void)add(w, "other", SERVICE_CLUSTER_IP, "10.96.0.10");
	step(w);
	assert_int_equal(held(w, "web")->n_cluster_ips, 0);
	assert_int_equal(held(w, "web")->ports[0].node_port, 0);
	/* And back again, with another address: the old one is somebody else's. */
	(void)add(w, "web", SERVICE_CLUSTER_IP, "10.96.0.12");
	(void)add(w, "other", SERVICE_CLUSTER_IP, NULL);
	step(w);
	assert_string_equal(ip_of(held(w, "web"), 0), "10.96.0.12");
	world_free(w);
}

static void a_changed_service_cidr(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);

	(void)add(w, "web", SERVICE_CLUSTER_IP, NULL);
	step(w);
	w->cidrs[0] = make_net("10.97.0.0/16");
	(void)add(w, "web", SERVICE_CLUSTER_IP, NULL);
	step(w);
	assert_true(addr_net_contains(&w->cidrs[0], &held(w, "web")->cluster_ips[0]));
	world_free(w);
}

/* ---- families ---------------------------------------------------------------------- */

static const struct {
	const char *sentence, *cidr, *second;
	enum ip_family_policy policy;
	enum family families[2];
	size_t n_families;
	enum family expect[2]; /* what it gets */
	enum ip_family_policy expect_policy;
	const char *message; /* or why not */
} family_rows[] = {
	{ "one family: that of the first network",
	  "10.96.0.0/16",
	  "fd00:10:96::/112",
	  0,
	  { 0 },
	  0,
	  { 4 },
	  FAMILY_POLICY_SINGLE,
	  NULL },
	{ "the first network is IPv6",
	  "fd00:10:96::/112",
	  "10.96.0.0/16",
	  0,
	  { 0 },
	  0,
	  { 6 },
	  FAMILY_POLICY_SINGLE,
	  NULL },
	{ "the other one on request",
	  "10.96.0.0/16",
	  "fd00:10:96::/112",
	  0,
	  { 6 },
	  1,
	  { 6 },
	  FAMILY_POLICY_SINGLE,
	  NULL },
	{ "PreferDualStack takes both",
	  "10.96.0.0/16",
	  "fd00:10:96::/112",
	  FAMILY_POLICY_PREFER_DUAL,
	  { 0 },
	  0,
	  { 4, 6 },
	  FAMILY_POLICY_PREFER_DUAL,
	  NULL },
	{ "PreferDualStack with one network takes one",
	  "10.96.0.0/16",
	  NULL,
	  FAMILY_POLICY_PREFER_DUAL,
	  { 0 },
	  0,
	  { 4 },
	  FAMILY_POLICY_PREFER_DUAL,
	  NULL },
	{ "the given family comes first",
	  "10.96.0.0/16",
	  "fd00:10:96::/112",
	  FAMILY_POLICY_REQUIRE_DUAL,
	  { 6 },
	  1,
	  { 6, 4 },
	  FAMILY_POLICY_REQUIRE_DUAL,
	  NULL },
	{ "two families say RequireDualStack",
	  "10.96.0.0/16",
	  "fd00:10:96::/112",
	  0,
	  { 6, 4 },
	  2,
	  { 6, 4 },
	  FAMILY_POLICY_REQUIRE_DUAL,
	  NULL },
	{ "RequireDualStack with one network",
	  "10.96.0.0/16",
	  NULL,
	  FAMILY_POLICY_REQUIRE_DUAL,
	  { 0 },
	  0,
	  { 0 },
	  0,
	  "Service default/web: spec.ipFamilyPolicy: RequireDualStack, but --service-cidr has no "
	  "IPv6 network; add one" },
	{ "SingleStack with two families",
	  "10.96.0.0/16",
	  "fd00:10:96::/112",
	  FAMILY_POLICY_SINGLE,
	  { 4, 6 },
	  2,
	  { 0 },
	  0,
	  "Service default/web: spec.ipFamilyPolicy: SingleStack, but two families are given; say "
	  "PreferDualStack or RequireDualStack" },
	{ "a family twice",
	  "10.96.0.0/16",
	  "fd00:10:96::/112",
	  0,
	  { 4, 4 },
	  2,
	  { 0 },
	  0,
	  "Service default/web: spec.clusterIPs and spec.ipFamilies: IPv4 is given twice; there "
	  "is one address of each family" },
	{ "a family without network",
	  "10.96.0.0/16",
	  NULL,
	  0,
	  { 6 },
	  1,
	  { 0 },
	  0,
	  "Service default/web: it asks for IPv6, but --service-cidr has no IPv6 network; add "
	  "one" },
};

static void family_row(size_t row)
{
	struct world *w = world_new(family_rows[row].cidr, family_rows[row].second);
	struct service *s = add(w, "web", SERVICE_CLUSTER_IP, NULL);
	const size_t n = family_rows[row].expect[1] ? 2 : 1;
	size_t i;

	s->ip_family_policy = family_rows[row].policy;
	s->n_ip_families = family_rows[row].n_families;
	memcpy(s->ip_families, family_rows[row].families, sizeof(s->ip_families));
	if (family_rows[row].message) {
		refused(w, family_rows[row].message);
		world_free(w);
		return;
	}
	allocated(w);
	assert_int_equal(s->ip_family_policy, family_rows[row].expect_policy);
	assert_int_equal(s->n_cluster_ips, n);
	assert_int_equal(s->n_ip_families, n);
	for (i = 0; i < n; i++) {
		assert_int_equal(s->ip_families[i], family_rows[row].expect[i]);
		assert_int_equal(addr_family(&s->cluster_ips[i]), family_rows[row].expect[i]);
	}
	world_free(w);
}

static void families_and_policies(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(family_rows) / sizeof(family_rows[0]); i++)
		family_row(i);
}

static void an_address_and_a_family_that_contradict(void **state)
{
	struct world *w = world_new("10.96.0.0/16", "fd00:10:96::/112");
	struct service *s = add(w, "web", SERVICE_CLUSTER_IP, "10.96.0.10");

	s->ip_families[0] = FAMILY_IPV6;
	s->n_ip_families = 1;
	refused(w, "Service default/web: spec.clusterIPs[0] is IPv4, but spec.ipFamilies[0] is "
		   "IPv6");
	world_free(w);
}

static void a_second_family_comes_and_goes(void **state)
{
	struct world *w = world_new("10.96.0.0/16", "fd00:10:96::/112");
	char first[ADDR_STRLEN];

	(void)add(w, "web", SERVICE_CLUSTER_IP, NULL);
	step(w);
	(void)strcpy(first, ip_of(held(w, "web"), 0));
	add(w, "web", SERVICE_CLUSTER_IP, NULL)->ip_family_policy = FAMILY_POLICY_REQUIRE_DUAL;
	step(w);
	assert_string_equal(ip_of(held(w, "web"), 0), first);
	assert_int_equal(held(w, "web")->n_cluster_ips, 2);
	(void)add(w, "web", SERVICE_CLUSTER_IP, NULL);
	step(w);
	assert_string_equal(ip_of(held(w, "web"), 0), first);
	assert_int_equal(held(w, "web")->n_cluster_ips, 1);
	world_free(w);
}

/* ---- nodePorts ----------------------------------------------------------------------- */

static void node_ports_follow_the_type(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);

	(void)add(w, "a", SERVICE_CLUSTER_IP, NULL);
	(void)add(w, "b", SERVICE_NODE_PORT, NULL);
	(void)add(w, "c", SERVICE_LOAD_BALANCER, NULL);
	add(w, "d", SERVICE_LOAD_BALANCER, NULL)->allocate_node_ports = false;
	(void)add(w, "e", SERVICE_EXTERNAL_NAME, NULL);
	step(w);
	assert_int_equal(held(w, "a")->ports[0].node_port, 0);
	assert_in_range(held(w, "b")->ports[0].node_port, 30086, 32767);
	assert_in_range(held(w, "c")->ports[0].node_port, 30086, 32767);
	assert_int_equal(held(w, "d")->ports[0].node_port, 0);
	assert_int_equal(held(w, "e")->ports[0].node_port, 0);
	(void)add(w, "b", SERVICE_CLUSTER_IP, NULL); /* released */
	add(w, "c", SERVICE_LOAD_BALANCER, NULL)->allocate_node_ports = false;
	step(w);
	assert_int_equal(held(w, "b")->ports[0].node_port, 0);
	assert_int_equal(held(w, "c")->ports[0].node_port, 0);
	world_free(w);
}

static void given_node_ports_are_honoured(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);

	add(w, "a", SERVICE_NODE_PORT, NULL)->ports[0].node_port = 30123;
	add(w, "b", SERVICE_LOAD_BALANCER, NULL)->allocate_node_ports = false;
	object_set_find(&w->next, KIND_SERVICE, "default", "b")->service.ports[0].node_port = 30000;
	step(w);
	assert_int_equal(held(w, "a")->ports[0].node_port, 30123);
	assert_int_equal(held(w, "b")->ports[0].node_port, 30000);
	world_free(w);
}

static void bad_node_ports(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);
	struct service *s = add(w, "web", SERVICE_NODE_PORT, NULL);

	s->ports[0].node_port = 29999;
	s->ports[0].at = (struct origin){ "web.yaml", 12, 7 };
	refused(w, "web.yaml:12:7: Service default/web: spec.ports[0].nodePort: 29999 is not in "
		   "30000-32767");
	s->ports[0].at = (struct origin){ 0 };
	s->ports[0].node_port = 32768;
	refused(w, "Service default/web: spec.ports[0].nodePort: 32768 is not in 30000-32767");
	s->ports[0].node_port = 30000;
	s->type = SERVICE_CLUSTER_IP;
	refused(w, "Service default/web: spec.ports[0].nodePort: may not be used when type is "
		   "ClusterIP");
	world_free(w);
}

static void a_node_port_conflict_names_the_holder(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);
	struct service *s;

	add(w, "holder", SERVICE_NODE_PORT, NULL)->ports[0].node_port = 30123;
	step(w);
	(void)add(w, "holder", SERVICE_NODE_PORT, NULL);
	s = add(w, "afirst", SERVICE_NODE_PORT, NULL);
	s->ports[0].node_port = 30123;
	refused(w, "Service default/afirst: spec.ports[0].nodePort: 30123/TCP is held by Service "
		   "default/holder; give another one, or leave it out");
	s->ports[0].proto = IPPROTO_UDP; /* another protocol is another port */
	step(w);
	world_free(w);
}

static void one_service_may_share_a_number_among_protocols(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);
	struct object *object = make_service(&w->next, "dns", NULL);

	object->service.type = SERVICE_NODE_PORT;
	object->service.ports[0].name = "tcp";
	object->service.ports[0].node_port = 30053;
	make_port(object, "udp", 53, IPPROTO_UDP)->node_port = 30053;
	make_port(object, "again", 54, IPPROTO_TCP)->node_port = 30053;
	refused(w, "Service default/dns: spec.ports[2].nodePort: 30053/TCP is held by Service "
		   "default/dns; give another one, or leave it out");
	object->service.n_ports = 2;
	allocated(w);
	/* The same Service port gets the same number for each protocol. */
	object = make_service(&w->next, "free", NULL);
	object->service.type = SERVICE_NODE_PORT;
	object->service.ports[0].name = "tcp";
	make_port(object, "udp", 80, IPPROTO_UDP);
	make_port(object, "other", 81, IPPROTO_UDP);
	allocated(w);
	assert_int_equal(object->service.ports[0].node_port, object->service.ports[1].node_port);
	assert_int_not_equal(object->service.ports[0].node_port,
			     object->service.ports[2].node_port);
	world_free(w);
}

static void node_ports_stay_with_their_names(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);
	struct object *object = make_service(&w->next, "web", NULL);
	uint16_t http, https;

	object->service.type = SERVICE_NODE_PORT;
	object->service.ports[0].name = "http";
	make_port(object, "https", 443, IPPROTO_TCP);
	step(w);
	http = held(w, "web")->ports[0].node_port;
	https = held(w, "web")->ports[1].node_port;
	/* In another order, one with another number, one with another name. */
	object = make_service(&w->next, "web", NULL);
	object->service.type = SERVICE_NODE_PORT;
	object->service.ports[0] = (struct service_port){ .name = "tls", .proto = IPPROTO_TCP };
	object->service.ports[0].port = 443;
	make_port(object, "http", 8080, IPPROTO_TCP);
	step(w);
	assert_int_equal(held(w, "web")->ports[0].node_port, https);
	assert_int_equal(held(w, "web")->ports[1].node_port, http);
	/* A name that moved takes its number along; the other port gets a new one. */
	object = make_service(&w->next, "web", NULL);
	object->service.type = SERVICE_NODE_PORT;
	object->service.ports[0].name = "other";
	object->service.ports[0].port = 8080;
	make_port(object, "http", 81, IPPROTO_TCP);
	step(w);
	assert_int_equal(held(w, "web")->ports[1].node_port, http);
	assert_int_not_equal(held(w, "web")->ports[0].node_port, http);
	world_free(w);
}

static void two_services_may_swap_node_ports(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);

	add(w, "a", SERVICE_NODE_PORT, NULL)->ports[0].node_port = 30001;
	add(w, "b", SERVICE_NODE_PORT, NULL)->ports[0].node_port = 30002;
	step(w);
	add(w, "a", SERVICE_NODE_PORT, NULL)->ports[0].node_port = 30002;
	add(w, "b", SERVICE_NODE_PORT, NULL)->ports[0].node_port = 30001;
	step(w);
	assert_int_equal(held(w, "a")->ports[0].node_port, 30002);
	world_free(w);
}

static void all_node_ports_taken(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);
	static const char *const names[] = { "a", "b", "c", "d" };
	size_t i, j;

	w->opts.node_port_max = 30002;
	for (i = 0; i < 3; i++)
		(void)add(w, names[i], SERVICE_NODE_PORT, NULL);
	allocated(w);
	for (i = 0; i < 3; i++)
		for (j = 0; j < i; j++)
			assert_int_not_equal(w->next.v[i]->service.ports[0].node_port,
					     w->next.v[j]->service.ports[0].node_port);
	(void)add(w, names[3], SERVICE_NODE_PORT, NULL);
	refused(w, "Service default/d: spec.ports[0].nodePort: no port is left in 30000-30002; "
		   "delete Services of type NodePort or LoadBalancer, or set "
		   "allocateLoadBalancerNodePorts: false");
	world_free(w);
}

static void a_health_check_port_for_local_load_balancers(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);
	char message[256];
	uint16_t port;

	add(w, "a", SERVICE_LOAD_BALANCER, NULL)->external_policy = POLICY_LOCAL;
	(void)add(w, "b", SERVICE_LOAD_BALANCER, NULL);
	step(w);
	port = held(w, "a")->health_check_node_port;
	assert_in_range(port, 30086, 32767);
	assert_int_not_equal(port, held(w, "a")->ports[0].node_port);
	assert_int_equal(held(w, "b")->health_check_node_port, 0);
	add(w, "a", SERVICE_LOAD_BALANCER, NULL)->external_policy = POLICY_LOCAL;
	add(w, "b", SERVICE_NODE_PORT, NULL)->ports[0].node_port = port;
	(void)snprintf(message, sizeof(message),
		       "Service default/b: spec.ports[0].nodePort: %u/TCP is held by Service "
		       "default/a; give another one, or leave it out",
		       port);
	refused(w, message);
	world_free(w);
}

static struct service *add_checked(struct world *w, const char *name, uint16_t port)
{
	struct service *s = add(w, name, SERVICE_LOAD_BALANCER, NULL);

	s->external_policy = POLICY_LOCAL;
	s->health_check_node_port = port;
	return s;
}

static void a_health_check_port_stays(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);
	uint16_t port;

	(void)add_checked(w, "b", 0);
	step(w);
	port = held(w, "b")->health_check_node_port;
	/* A newcomer of an earlier name that would like the same takes another. */
	w->opts.node_port_min = w->opts.node_port_max = port;
	add_checked(w, "b", 0)->allocate_node_ports = false;
	step(w);
	assert_int_equal(held(w, "b")->health_check_node_port, port);
	add_checked(w, "b", 0)->allocate_node_ports = false;
	add_checked(w, "a", 0)->allocate_node_ports = false;
	assert_int_equal(allocate(&w->next, &w->prev, &w->opts, &w->err), -EINVAL);
	assert_memory_equal(w->err.msg, "Service default/a: spec.healthCheckNodePort: no port ",
			    53);
	w->opts.node_port_min--;
	step(w);
	assert_int_equal(held(w, "b")->health_check_node_port, port);
	assert_int_equal(held(w, "a")->health_check_node_port, port - 1);
	/* What no longer wants one gives it back. */
	add_checked(w, "a", 0)->allocate_node_ports = false;
	add(w, "b", SERVICE_CLUSTER_IP, NULL);
	add(w, "c", SERVICE_NODE_PORT, NULL)->ports[0].node_port = port;
	step(w);
	assert_int_equal(held(w, "a")->health_check_node_port, port - 1);
	assert_int_equal(held(w, "b")->health_check_node_port, 0);
	world_free(w);
}

static void health_check_ports_that_are_taken(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);

	(void)add_checked(w, "a", 30999);
	(void)add_checked(w, "b", 30999);
	refused(w, "Service default/b: spec.healthCheckNodePort: 30999/TCP is held by Service "
		   "default/a; give another one, or leave it out");
	add_checked(w, "b", 31000)->ports[0].node_port = 31000;
	refused(w, "Service default/b: spec.healthCheckNodePort: 31000/TCP is held by Service "
		   "default/b; give another one, or leave it out");
	(void)add_checked(w, "b", 80);
	refused(w, "Service default/b: spec.healthCheckNodePort: 80 is not in 30000-32767");
	(void)add_checked(w, "b", 31000);
	step(w);
	assert_int_equal(held(w, "a")->health_check_node_port, 30999);
	assert_int_equal(held(w, "b")->health_check_node_port, 31000);
	world_free(w);
}

/* ---- with shared objects ------------------------------------------------------------- */

static void the_next_set_may_share_objects_with_the_last(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);
	struct object_set given = { 0 };
	char first[ADDR_STRLEN];

	(void)add(w, "web", SERVICE_NODE_PORT, NULL);
	step(w);
	(void)strcpy(first, ip_of(held(w, "web"), 0));
	make_service(&given, "new", NULL);
	assert_int_equal(objects_merged(&w->prev, &given, &w->next), 0);
	assert_int_equal(given.n, 0);
	step(w);
	assert_int_equal(w->prev.n, 2);
	assert_string_equal(ip_of(held(w, "web"), 0), first);
	assert_int_equal(held(w, "new")->n_cluster_ips, 1);
	world_free(w);
}

static void merging_replaces_and_deleting_removes(void **state)
{
	struct object_set prev = { 0 }, given = { 0 }, names = { 0 }, merged = { 0 }, left = { 0 };
	const struct object *b;

	make_service(&prev, "a", "10.96.0.1");
	make_service(&prev, "b", "10.96.0.2");
	make_node(&prev, "n", "");
	b = make_service(&given, "b", "10.96.0.3");
	make_pod(&given, "p", "x", "10.0.0.1");
	assert_int_equal(objects_merged(&prev, &given, &merged), 0);
	assert_int_equal(merged.n, 4);
	assert_ptr_equal(object_set_find(&merged, KIND_SERVICE, "default", "b"), b);
	object_set_done(&prev);
	make_service(&names, "a", NULL);
	make_service(&names, "zzz", NULL); /* isn't there */
	make_node(&names, "n", "");
	assert_int_equal(objects_without(&merged, &names, &left), 0);
	assert_int_equal(left.n, 2);
	assert_non_null(object_set_find(&left, KIND_SERVICE, "default", "b"));
	assert_non_null(object_set_find(&left, KIND_POD, "default", "p"));
	object_set_done(&merged);
	assert_string_equal(left.v[0]->meta.name, "b"); /* shared objects outlive either set */
	object_set_done(&left);
	object_set_done(&names);
}

/* ---- whatever comes ------------------------------------------------------------------- */

static unsigned int draw(uint64_t *seed, unsigned int n)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(*seed >> 33) % n;
}

static void draw_service(struct world *w, uint64_t *seed, unsigned int i)
{
	struct object *object;
	char name[16], ip[ADDR_STRLEN];
	struct service *s;

	(void)snprintf(name, sizeof(name), "s%u", i);
	(void)snprintf(ip, sizeof(ip), "10.96.0.%u", 1 + draw(seed, 30));
	object = make_service(&w->next, name, draw(seed, 8) ? NULL : ip);
	s = &object->service;
	s->type = draw(seed, 3);
	s->ip_family_policy = s->n_cluster_ips ? 0 : draw(seed, 3);
	s->external_policy = draw(seed, 2);
	make_port(object, "udp", 80, IPPROTO_UDP);
	s->ports[0].name = "tcp";
	if (s->type != SERVICE_CLUSTER_IP && !draw(seed, 4))
		s->ports[draw(seed, 2)].node_port = (uint16_t)(30000 + draw(seed, 60));
}

static void assert_no_two_hold_the_same(const struct service *a, const struct service *b)
{
	size_t i, j;

	for (i = 0; i < a->n_cluster_ips; i++)
		for (j = 0; j < b->n_cluster_ips; j++)
			assert_false(addr_eq(&a->cluster_ips[i], &b->cluster_ips[j]));
	for (i = 0; i < a->n_ports; i++)
		for (j = 0; j < b->n_ports; j++)
			assert_true(!a->ports[i].node_port ||
				    a->ports[i].node_port != b->ports[j].node_port ||
				    a->ports[i].proto != b->ports[j].proto);
	assert_true(!a->health_check_node_port ||
		    a->health_check_node_port != b->health_check_node_port);
}

/* What a Service had it still has, where its type has such a thing. */
static void assert_kept(struct world *w, const struct object *object)
{
	const struct object *was =
		object_set_find(&w->prev, KIND_SERVICE, "default", object->meta.name);
	const struct service *s = &object->service;
	size_t i;

	assert_in_range(s->n_cluster_ips, 1, 2);
	for (i = 0; i < s->n_ports; i++)
		assert_int_equal(s->ports[i].node_port != 0, s->type != SERVICE_CLUSTER_IP);
	if (!was)
		return;
	assert_true(addr_eq(&was->service.cluster_ips[0], &s->cluster_ips[0]));
}

static void nothing_is_ever_given_twice(void **state)
{
	struct world *w = world_new("10.96.0.0/26", "fd00:10:96::/120");
	uint64_t seed = 1;
	unsigned int round, i, done = 0;
	size_t a, b;

	w->opts.node_port_max = 30079;
	for (round = 0; round < 2000; round++) {
		for (i = 0; i < 20; i++)
			if (draw(&seed, 2))
				draw_service(w, &seed, i);
		if (allocate(&w->next, &w->prev, &w->opts, &w->err)) {
			object_set_done(&w->next); /* a conflict: as before */
			continue;
		}
		for (a = 0; a < w->next.n; a++) {
			assert_kept(w, w->next.v[a]);
			for (b = 0; b < a; b++)
				assert_no_two_hold_the_same(&w->next.v[a]->service,
							    &w->next.v[b]->service);
		}
		object_set_done(&w->prev);
		w->prev = w->next;
		w->next = (struct object_set){ 0 };
		done++;
	}
	assert_in_range(done, 100, 1900); /* both happen */
	world_free(w);
}

static void no_service_cidr_at_all(void **state)
{
	struct world *w = world_new("10.96.0.0/16", NULL);

	w->opts.n_service_cidrs = 0;
	refused(w, "there is no --service-cidr to take ClusterIPs from; give one");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_is_chosen_from_the_upper_band),
		cmocka_unit_test(the_choice_is_the_same_everywhere),
		cmocka_unit_test(what_was_given_stays),
		cmocka_unit_test(a_given_one_is_honoured),
		cmocka_unit_test(a_choice_never_hits_a_given_one),
		cmocka_unit_test(a_full_network_is_an_error_that_names_the_option),
		cmocka_unit_test(the_lower_band_is_used_when_the_upper_is_full),
		cmocka_unit_test(bad_given_addresses),
		cmocka_unit_test(ipv6_has_no_broadcast_address),
		cmocka_unit_test(a_large_ipv6_network),
		cmocka_unit_test(a_conflict_names_the_holder),
		cmocka_unit_test(a_failure_leaves_everything_as_it_was),
		cmocka_unit_test(a_cluster_ip_is_immutable),
		cmocka_unit_test(types_without_cluster_ip_get_none_and_release_it),
		cmocka_unit_test(a_changed_service_cidr),
		cmocka_unit_test(families_and_policies),
		cmocka_unit_test(an_address_and_a_family_that_contradict),
		cmocka_unit_test(a_second_family_comes_and_goes),
		cmocka_unit_test(node_ports_follow_the_type),
		cmocka_unit_test(given_node_ports_are_honoured),
		cmocka_unit_test(bad_node_ports),
		cmocka_unit_test(a_node_port_conflict_names_the_holder),
		cmocka_unit_test(one_service_may_share_a_number_among_protocols),
		cmocka_unit_test(node_ports_stay_with_their_names),
		cmocka_unit_test(two_services_may_swap_node_ports),
		cmocka_unit_test(all_node_ports_taken),
		cmocka_unit_test(a_health_check_port_for_local_load_balancers),
		cmocka_unit_test(a_health_check_port_stays),
		cmocka_unit_test(health_check_ports_that_are_taken),
		cmocka_unit_test(the_next_set_may_share_objects_with_the_last),
		cmocka_unit_test(merging_replaces_and_deleting_removes),
		cmocka_unit_test(nothing_is_ever_given_twice),
		cmocka_unit_test(no_service_cidr_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
