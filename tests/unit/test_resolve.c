/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tests and rows bear the numbers of the lines in docs/semantics.md that they hold to. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "make_objects.h"
#include "model/resolve.h"

#define THIS_NODE "node-1"

struct world {
	struct object_set set;
	struct resolve_opts opts;
	struct wanted *wanted;
	struct err err;
	char text[16384];
};

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->opts.node_name = THIS_NODE;
	return w;
}

static void world_free(struct world *w)
{
	wanted_free(w->wanted);
	object_set_done(&w->set);
	free(w);
}

__attribute__((format(printf, 2, 3))) static void say(struct world *w, const char *fmt, ...)
{
	size_t len = strlen(w->text);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(w->text + len, sizeof(w->text) - len, fmt, args);
	va_end(args);
}

static void annotate(struct object *object, const char *key, const char *value)
{
	make_label(object, &object->meta.annotations, key, value);
}

static const struct wanted *resolved(struct world *w)
{
	int ret;

	wanted_free(w->wanted);
	w->wanted = NULL;
	ret = resolve(&w->set, &w->opts, &w->wanted, &w->err);
	if (ret)
		fail_msg("resolve: %s", w->err.msg);
	return w->wanted;
}

/* "ClusterIP 10.96.0.1:80; NodePort 0.0.0.0:30080 local" of all want_services, one a line */
static const char *frontends(struct world *w)
{
	const struct wanted *wanted = resolved(w);
	char addr[ADDR_PORT_STRLEN];
	size_t i, j;

	w->text[0] = '\0';
	for (i = 0; i < wanted->n_services; i++) {
		const struct want_service *s = &wanted->services[i];

		say(w, "%s%s/%s:", i ? "\n" : "", s->name, proto_name(s->proto));
		for (j = 0; j < s->n_frontends; j++) {
			const struct want_frontend *f = &s->frontends[j];

			say(w, " %s %s%s%s;", frontend_kind_name(f->kind),
			    addr_port_format(&f->addr, f->port, addr),
			    f->local_only ? " local" : "", f->source_ranges ? " guarded" : "");
		}
	}
	return w->text;
}

/*
 * "10.0.0.1:8080 hCL 10.0.0.2:8080 t | usable": h here (local), C in the
 * cluster's set, L in the local set, t terminating.
 */
static const char *backends_of(struct world *w, const struct want_service *s)
{
	char addr[ADDR_PORT_STRLEN];
	size_t i;

	w->text[0] = '\0';
	for (i = 0; i < s->n_backends; i++) {
		const struct want_backend *b = &s->backends[i];

		say(w, "%s %s%s%s%s", addr_port_format(&b->addr, b->port, addr),
		    b->local ? "h" : "", b->in_cluster ? "C" : "", b->in_local ? "L" : "",
		    b->terminating ? "t" : "");
		if (b->weight != 1)
			say(w, "*%u", b->weight);
		say(w, " ");
	}
	say(w, "| %s", s->any_usable ? "usable" : "none");
	return w->text;
}

static const char *backends(struct world *w)
{
	const struct wanted *wanted = resolved(w);

	assert_int_equal(wanted->n_services, 1);
	return backends_of(w, &wanted->services[0]);
}

/* ---- frontends ------------------------------------------------------------------ */

/* A Service with an address of every sort, in both families. */
static struct service *everything(struct world *w)
{
	struct object *object = make_service(&w->set, "web", "10.96.0.1");
	struct service *s = &object->service;

	s->cluster_ips[s->n_cluster_ips++] = make_addr("fd00:10:96::1");
	s->type = SERVICE_LOAD_BALANCER;
	s->ports[0].node_port = 30080;
	s->external_ips = make_addrs(object, "192.0.2.1", "2001:db8::1");
	s->n_external_ips = 2;
	s->lb_ingress = arena_array(object->arena, 4, sizeof(*s->lb_ingress));
	s->lb_ingress[0] = (struct lb_ingress){ true, make_addr("198.51.100.1"), false };
	s->lb_ingress[1] = (struct lb_ingress){ true, make_addr("2001:db8::2"), false };
	s->n_lb_ingress = 2;
	return s;
}

static void s01_every_address_is_a_frontend(void **state)
{
	struct world *w = world_new();

	everything(w);
	assert_string_equal(frontends(w),
			    "web/TCP: ClusterIP 10.96.0.1:80; NodePort 0.0.0.0:30080; "
			    "LoadBalancer 198.51.100.1:80; ExternalIP 192.0.2.1:80;\n"
			    "web/TCP: ClusterIP [fd00:10:96::1]:80; NodePort [::]:30080; "
			    "LoadBalancer [2001:db8::2]:80; ExternalIP [2001:db8::1]:80;");
	world_free(w);
}

static void s01_lb_ingress_that_is_no_frontend(void **state)
{
	struct world *w = world_new();
	struct service *s = everything(w);

	s->n_external_ips = 0;
	s->lb_ingress[0].proxy = true;	 /* ipMode: Proxy */
	s->lb_ingress[1].has_ip = false; /* a hostname */
	assert_string_equal(frontends(w),
			    "web/TCP: ClusterIP 10.96.0.1:80; NodePort 0.0.0.0:30080;\n"
			    "web/TCP: ClusterIP [fd00:10:96::1]:80; NodePort [::]:30080;");
	world_free(w);
}

static void s01_addresses_follow_the_type(void **state)
{
	struct world *w = world_new();
	struct service *s = everything(w);

	s->n_cluster_ips = 1;
	s->type = SERVICE_NODE_PORT;
	assert_string_equal(frontends(w), "web/TCP: ClusterIP 10.96.0.1:80; NodePort "
					  "0.0.0.0:30080; ExternalIP 192.0.2.1:80;");
	s->type = SERVICE_CLUSTER_IP;
	assert_string_equal(frontends(w),
			    "web/TCP: ClusterIP 10.96.0.1:80; ExternalIP 192.0.2.1:80;");
	world_free(w);
}

static void s01_an_address_that_is_two_things_is_the_guarded_one(void **state)
{
	struct world *w = world_new();
	struct service *s = everything(w);

	s->n_cluster_ips = 1;
	s->external_ips[0] = s->lb_ingress[0].ip;
	assert_string_equal(frontends(w), "web/TCP: ClusterIP 10.96.0.1:80; NodePort "
					  "0.0.0.0:30080; LoadBalancer 198.51.100.1:80;");
	assert_int_equal(w->wanted->n_notes, 0);
	world_free(w);
}

static void s01_nobody_takes_another_services_address(void **state)
{
	struct world *w = world_new();
	struct object *thief = make_service(&w->set, "athief", "10.96.0.9");

	everything(w)->n_cluster_ips = 1;
	thief->service.external_ips = make_addrs(thief, "10.96.0.1", "192.0.2.1");
	thief->service.n_external_ips = 2;
	assert_string_equal(frontends(w),
			    "athief/TCP: ClusterIP 10.96.0.9:80; ExternalIP 192.0.2.1:80;\n"
			    "web/TCP: ClusterIP 10.96.0.1:80; NodePort 0.0.0.0:30080; "
			    "LoadBalancer 198.51.100.1:80;");
	assert_int_equal(w->wanted->n_notes, 2);
	assert_string_equal(w->wanted->notes[0],
			    "Service default/athief: ExternalIP 10.96.0.1:80/TCP is served by "
			    "Service default/web already; left out");
	assert_string_equal(w->wanted->notes[1],
			    "Service default/web: ExternalIP 192.0.2.1:80/TCP is served by "
			    "Service default/athief already; left out");
	world_free(w);
}

static void s02_a_family_without_cluster_ip_has_nothing(void **state)
{
	struct world *w = world_new();
	struct service *s = everything(w);

	s->cluster_ips[0] = s->cluster_ips[1];
	s->n_cluster_ips = 1;
	assert_string_equal(frontends(w),
			    "web/TCP: ClusterIP [fd00:10:96::1]:80; NodePort [::]:30080; "
			    "LoadBalancer [2001:db8::2]:80; ExternalIP [2001:db8::1]:80;");
	world_free(w);
}

static void s02_families_have_their_own_endpoints(void **state)
{
	struct world *w = world_new();

	everything(w);
	make_endpoint(make_slice(&w->set, "web-4", "web", FAMILY_IPV4, 8080), "10.0.0.1");
	make_endpoint(make_slice(&w->set, "web-6", "web", FAMILY_IPV6, 8086), "fd00::1")->ready =
		MAYBE_FALSE;
	resolved(w);
	assert_int_equal(w->wanted->n_services, 2);
	assert_string_equal(backends_of(w, &w->wanted->services[0]), "10.0.0.1:8080 C | usable");
	assert_string_equal(backends_of(w, &w->wanted->services[1]), "[fd00::1]:8086  | none");
	world_free(w);
}

static void s03_services_without_frontends(void **state)
{
	struct world *w = world_new();
	struct object *object;
	struct sh_addr mesh;

	make_service(&w->set, "headless", NULL)->service.headless = true;
	object = make_service(&w->set, "external", NULL);
	object->service.type = SERVICE_EXTERNAL_NAME;
	object->service.external_ips = make_addrs(object, "192.0.2.1", NULL);
	object->service.n_external_ips = 1;
	object = make_service(&w->set, "mesh", "10.96.0.2");
	make_label(object, &object->meta.labels, "service.kubernetes.io/service-proxy-name", "");
	object = make_service(&w->set, "other", "10.96.0.3");
	make_label(object, &object->meta.labels, "service.kubernetes.io/headless", "");
	assert_string_equal(frontends(w), "");
	mesh = make_addr("10.96.0.2");
	/* Known all the same: their packets are not those of an unallocated address. */
	assert_int_equal(w->wanted->n_others, 2);
	assert_true(addr_eq(&w->wanted->others[0].addr, &mesh));
	assert_true(addr_eq(&w->wanted->others[1].addr, &object->service.cluster_ips[0]));
	world_free(w);
}

static void s03_slices_for_another_proxy(void **state)
{
	struct world *w = world_new();
	struct object *slice;

	make_service(&w->set, "web", "10.96.0.1");
	make_endpoint(make_slice(&w->set, "web-1", "web", FAMILY_IPV4, 8080), "10.0.0.1");
	slice = make_slice(&w->set, "web-2", "web", FAMILY_IPV4, 8080);
	make_label(slice, &slice->meta.labels, "service.kubernetes.io/service-proxy-name", "x");
	make_endpoint(slice, "10.0.0.2");
	slice = make_slice(&w->set, "web-3", "web", FAMILY_IPV4, 8080);
	make_label(slice, &slice->meta.labels, "service.kubernetes.io/headless", "");
	make_endpoint(slice, "10.0.0.3");
	assert_string_equal(backends(w), "10.0.0.1:8080 C | usable");
	world_free(w);
}

static void s05_one_number_serves_every_protocol(void **state)
{
	struct world *w = world_new();
	struct object *service = make_service(&w->set, "dns", "10.96.0.10");
	struct object *slice = make_slice(&w->set, "dns-1", "dns", FAMILY_IPV4, 8080);

	service->service.ports[0].name = "tcp";
	make_port(service, "udp", 80, IPPROTO_UDP);
	make_port(service, "sctp", 80, IPPROTO_SCTP);
	slice->slice.ports[0].name = "tcp";
	slice->slice.ports[1] = (struct endpoint_port){ "udp", IPPROTO_UDP, 5353 };
	slice->slice.n_ports = 2;
	make_endpoint(slice, "10.0.0.1");
	assert_string_equal(frontends(w), "dns/TCP: ClusterIP 10.96.0.10:80;\n"
					  "dns/UDP: ClusterIP 10.96.0.10:80;\n"
					  "dns/SCTP: ClusterIP 10.96.0.10:80;");
	assert_string_equal(backends_of(w, &w->wanted->services[0]), "10.0.0.1:8080 C | usable");
	assert_string_equal(backends_of(w, &w->wanted->services[1]), "10.0.0.1:5353 C | usable");
	assert_string_equal(backends_of(w, &w->wanted->services[2]), "| none");
	world_free(w);
}

static void s05_two_services_may_share_an_address(void **state)
{
	struct world *w = world_new();
	struct object *tcp = make_service(&w->set, "a", "10.96.0.1");
	struct object *udp = make_service(&w->set, "b", "10.96.0.2");

	tcp->service.external_ips = make_addrs(tcp, "192.0.2.1", NULL);
	tcp->service.n_external_ips = 1;
	udp->service.external_ips = make_addrs(udp, "192.0.2.1", NULL);
	udp->service.n_external_ips = 1;
	udp->service.ports[0].proto = IPPROTO_UDP;
	assert_string_equal(frontends(w),
			    "a/TCP: ClusterIP 10.96.0.1:80; ExternalIP 192.0.2.1:80;\n"
			    "b/UDP: ClusterIP 10.96.0.2:80; ExternalIP 192.0.2.1:80;");
	assert_int_equal(w->wanted->n_notes, 0);
	world_free(w);
}

/* ---- where endpoints come from ---------------------------------------------------- */

static struct object *make_endpoints(struct world *w, const char *name, const char *addr)
{
	struct object *object = make_object(&w->set, KIND_ENDPOINTS, "default", name);
	struct endpoints_subset *subset = arena_alloc(object->arena, sizeof(*subset));

	subset->endpoints = arena_array(object->arena, 4, sizeof(*subset->endpoints));
	subset->endpoints[0] = make_empty_endpoint(addr);
	subset->n_endpoints = 1;
	subset->ports = arena_array(object->arena, 4, sizeof(*subset->ports));
	subset->ports[0] = (struct endpoint_port){ "", IPPROTO_TCP, 9000 };
	subset->n_ports = 1;
	object->endpoints.subsets = subset;
	object->endpoints.n_subsets = 1;
	return object;
}

static void s07_slices_then_endpoints_then_pods(void **state)
{
	struct world *w = world_new();
	struct object *service = make_service(&w->set, "web", "10.96.0.1");

	w->opts.own_control_plane = true;
	make_label(service, &service->service.selector, "app", "web");
	make_pod(&w->set, "pod", "web", "10.0.0.3");
	assert_string_equal(backends(w), "10.0.0.3:8080 C | usable");
	make_endpoints(w, "web", "10.0.0.2");
	assert_string_equal(backends(w), "10.0.0.2:9000 C | usable");
	make_endpoint(make_slice(&w->set, "web-1", "web", FAMILY_IPV4, 7000), "10.0.0.1");
	assert_string_equal(backends(w), "10.0.0.1:7000 C | usable");
	world_free(w);
}

static void s07_a_cluster_matches_selectors_itself(void **state)
{
	struct world *w = world_new();
	struct object *service = make_service(&w->set, "web", "10.96.0.1");

	make_label(service, &service->service.selector, "app", "web");
	make_pod(&w->set, "pod", "web", "10.0.0.3");
	assert_string_equal(backends(w), "| none");
	world_free(w);
}

static void s07_a_slice_that_exists_counts_even_if_empty(void **state)
{
	struct world *w = world_new();

	make_service(&w->set, "web", "10.96.0.1");
	make_endpoints(w, "web", "10.0.0.2");
	make_slice(&w->set, "web-1", "web", FAMILY_IPV4, 7000);
	assert_string_equal(backends(w), "| none");
	world_free(w);
}

static void s07_slices_of_others_do_not_count(void **state)
{
	struct world *w = world_new();
	struct object *slice;

	make_service(&w->set, "web", "10.96.0.1");
	make_endpoint(make_slice(&w->set, "a", "webshop", FAMILY_IPV4, 8080), "10.0.0.1");
	make_endpoint(make_slice(&w->set, "b", "web", FAMILY_NONE, 8080), "10.0.0.2"); /* FQDN */
	make_endpoint(make_slice(&w->set, "c", "web", FAMILY_IPV6, 8080), "fd00::1");
	slice = make_object(&w->set, KIND_ENDPOINT_SLICE, "elsewhere", "d");
	make_label(slice, &slice->meta.labels, "kubernetes.io/service-name", "web");
	make_object(&w->set, KIND_ENDPOINT_SLICE, "default", "e"); /* without the label */
	assert_string_equal(backends(w), "| none");
	world_free(w);
}

static void s08_ports_match_by_name_and_protocol(void **state)
{
	struct world *w = world_new();
	struct object *service = make_service(&w->set, "web", "10.96.0.1");
	struct object *slice;

	service->service.ports[0].name = "http";
	service->service.ports[0].target_port.num = 1234; /* says nothing here */
	slice = make_slice(&w->set, "web-1", "web", FAMILY_IPV4, 8080);
	slice->slice.ports[0].name = "http";
	slice->slice.ports[1] = (struct endpoint_port){ "http", IPPROTO_UDP, 81 };
	slice->slice.ports[2] = (struct endpoint_port){ "", IPPROTO_TCP, 82 };
	slice->slice.ports[3] = (struct endpoint_port){ "http", IPPROTO_TCP, 0 }; /* null */
	slice->slice.n_ports = 4;
	make_endpoint(slice, "10.0.0.1");
	slice = make_slice(&w->set, "web-2", "web", FAMILY_IPV4, 9090); /* another number: both */
	slice->slice.ports[0].name = "http";
	make_endpoint(slice, "10.0.0.1");
	make_endpoint(slice, "10.0.0.2");
	assert_string_equal(backends(w),
			    "10.0.0.1:8080 C 10.0.0.1:9090 C 10.0.0.2:9090 C | usable");
	world_free(w);
}

static void s11_a_record_that_is_not_terminating_wins(void **state)
{
	static const char *const names[][2] = { { "a", "b" }, { "b", "a" } };
	struct endpoint *old;
	struct world *w;
	size_t i;

	for (i = 0; i < 2; i++) { /* in whatever order they come */
		w = world_new();
		make_service(&w->set, "web", "10.96.0.1");
		old = make_endpoint(make_slice(&w->set, names[i][0], "web", FAMILY_IPV4, 8080),
				    "10.0.0.1");
		old->ready = MAYBE_FALSE;
		old->serving = old->terminating = MAYBE_TRUE;
		make_endpoint(make_slice(&w->set, names[i][1], "web", FAMILY_IPV4, 8080),
			      "10.0.0.1");
		assert_string_equal(backends(w), "10.0.0.1:8080 C | usable");
		world_free(w);
	}
}

/* ---- endpoints and policy, by table -------------------------------------------------- */

/*
 * Endpoints: "LAST-OCTET[flags] ..." with n: on this node, m: on another one;
 * r: not ready, s: not serving, t: terminating; A, B: zone hint of this zone, of
 * another; N, M: node hint of this node, of another.
 */
static void parse_endpoints(struct world *w, const char *text)
{
	struct object *slice = make_slice(&w->set, "web-1", "web", FAMILY_IPV4, 80);
	struct endpoint *e = NULL;
	const char *hint;
	char addr[ADDR_STRLEN];

	for (; *text; text++) {
		if (*text >= '1' && *text <= '9') {
			(void)snprintf(addr, sizeof(addr), "10.0.0.%c", *text);
			e = make_endpoint(slice, addr);
			e->zone_hints.v = arena_array(slice->arena, 2, sizeof(char *));
			e->node_hints.v = arena_array(slice->arena, 2, sizeof(char *));
		} else if (*text == 'n' || *text == 'm') {
			e->node_name = *text == 'n' ? THIS_NODE : "node-2";
		} else if (*text == 'r') {
			e->ready = MAYBE_FALSE;
		} else if (*text == 's') {
			e->serving = MAYBE_FALSE;
		} else if (*text == 't') {
			e->terminating = MAYBE_TRUE;
		} else if (*text == 'A' || *text == 'B') {
			hint = *text == 'A' ? "zone-a" : "zone-b";
			e->zone_hints.v[e->zone_hints.n++] = hint;
		} else if (*text == 'N' || *text == 'M') {
			hint = *text == 'N' ? THIS_NODE : "node-2";
			e->node_hints.v[e->node_hints.n++] = hint;
		}
	}
}

/* "C:1,2 L:1 usable" */
static const char *sets(struct world *w)
{
	const struct want_service *s = &resolved(w)->services[0];
	size_t i;

	w->text[0] = '\0';
	say(w, "C:");
	for (i = 0; i < s->n_backends; i++)
		if (s->backends[i].in_cluster)
			say(w, "%u", s->backends[i].addr.b[15]);
	say(w, " L:");
	for (i = 0; i < s->n_backends; i++)
		if (s->backends[i].in_local)
			say(w, "%u", s->backends[i].addr.b[15]);
	say(w, " %s", s->any_usable ? "usable" : "none");
	return w->text;
}

static const struct {
	const char *sentence, *endpoints, *expect;
} policy_rows[] = {
	{ "09 ready absent means ready", "1n 2m", "C:12 L:1 usable" },
	{ "09 not ready does not serve", "1n 2mr", "C:1 L:1 usable" },
	{ "10 terminating ones wait while any is ready", "1n 2mrt", "C:1 L:1 usable" },
	{ "10 none ready: serving and terminating ones serve", "1nrt 2mrt", "C:12 L:1 usable" },
	{ "10 serving but not terminating does not serve", "1nr 2mr", "C: L: none" },
	{ "10 terminating but not serving does not serve", "1nrst 2mrt", "C:2 L: usable" },
	{ "10 each set decides by itself: local falls back", "1nrt 2m", "C:2 L:1 usable" },
	{ "10 each set decides by itself: local has a ready one", "1n 2nrt 3mrt",
	  "C:1 L:1 usable" },
	{ "12 no nodeName is not local", "1 2", "C:12 L: usable" },
	{ "15 nobody anywhere", "", "C: L: none" },
	{ "15 usable elsewhere only", "1m", "C:1 L: usable" },
	{ "15 one remote serving and terminating is enough", "1mrt", "C:1 L: usable" },
	{ "15 a not ready one is not", "1mr 2nrs", "C: L: none" },
	{ "16 zone hints: those of this zone", "1nA 2mB 3mA", "C:13 L:1 usable" },
	{ "16 one ready endpoint without a hint: all", "1nA 2mB 3m", "C:123 L:1 usable" },
	{ "16 one that is not ready needs no hint", "1nA 2mB 3mr", "C:1 L:1 usable" },
	{ "16 no hint names this zone: all", "1mB 2mB", "C:12 L: usable" },
	{ "16 one that is not ready can't name this zone", "1nrA 2mB", "C:2 L: usable" },
	{ "16 several hints: one is enough", "1mBA 2mB", "C:1 L: usable" },
	{ "16 node hints come before zone hints", "1nNA 2mMA", "C:1 L:1 usable" },
	{ "16 no node hint names this node: zone hints", "1mMA 2mMB", "C:1 L: usable" },
	{ "16 some without node hints: zone hints", "1nNA 2mA 3mB", "C:12 L:1 usable" },
	{ "16 hints never shrink the local set", "1nB 2mA", "C:2 L:1 usable" },
	{ "16 the fallback ignores hints", "1mrtA 2mrtB", "C:12 L: usable" },
};

static void s09_to_s16_sets(void **state)
{
	struct world *w;
	size_t i;

	for (i = 0; i < sizeof(policy_rows) / sizeof(policy_rows[0]); i++) {
		w = world_new();
		make_node(&w->set, THIS_NODE, "zone-a");
		make_service(&w->set, "web", "10.96.0.1");
		parse_endpoints(w, policy_rows[i].endpoints);
		if (strcmp(sets(w), policy_rows[i].expect) != 0)
			fail_msg("%s: %s instead of %s", policy_rows[i].sentence, w->text,
				 policy_rows[i].expect);
		world_free(w);
	}
}

static void s12_without_a_node_name_nothing_is_local(void **state)
{
	static const char *const names[] = { "", NULL };
	struct world *w = world_new();
	size_t i;

	make_service(&w->set, "web", "10.96.0.1");
	parse_endpoints(w, "1n 2");
	for (i = 0; i < 2; i++) {
		w->opts.node_name = names[i];
		assert_string_equal(sets(w), "C:12 L: usable");
	}
	world_free(w);
}

static void s16_a_node_without_zone_has_no_topology(void **state)
{
	struct world *w = world_new();

	make_service(&w->set, "web", "10.96.0.1");
	parse_endpoints(w, "1nA 2mB");
	assert_string_equal(sets(w), "C:12 L:1 usable");
	make_node(&w->set, THIS_NODE, "");
	assert_string_equal(sets(w), "C:12 L:1 usable");
	world_free(w);
}

static void s13_each_policy_has_its_own_frontends(void **state)
{
	static const struct {
		enum traffic_policy internal, external;
		const char *expect;
	} rows[] = {
		{ POLICY_LOCAL, POLICY_CLUSTER,
		  "web/TCP: ClusterIP 10.96.0.1:80 local; NodePort 0.0.0.0:30080; LoadBalancer "
		  "198.51.100.1:80; ExternalIP 192.0.2.1:80;" },
		{ POLICY_CLUSTER, POLICY_LOCAL,
		  "web/TCP: ClusterIP 10.96.0.1:80; NodePort 0.0.0.0:30080 local; LoadBalancer "
		  "198.51.100.1:80 local; ExternalIP 192.0.2.1:80 local;" },
	};
	struct service *s;
	struct world *w;
	size_t i;

	for (i = 0; i < 2; i++) {
		w = world_new();
		s = everything(w);
		s->n_cluster_ips = 1;
		s->internal_policy = rows[i].internal;
		s->external_policy = rows[i].external;
		assert_string_equal(frontends(w), rows[i].expect);
		assert_int_equal(w->wanted->services[0].internal_local, i == 0);
		assert_int_equal(w->wanted->services[0].external_local, i == 1);
		world_free(w);
	}
}

static void s13_external_policy_without_outside_frontend(void **state)
{
	struct world *w = world_new();

	make_service(&w->set, "web", "10.96.0.1")->service.external_policy = POLICY_LOCAL;
	assert_string_equal(frontends(w), "web/TCP: ClusterIP 10.96.0.1:80;");
	world_free(w);
}

/* Rule 14's short cut needs both sets, whatever the policy. */
static void s14_both_sets_are_there_under_local(void **state)
{
	struct world *w = world_new();
	struct service *s = everything(w);

	s->n_cluster_ips = 1;
	s->external_policy = POLICY_LOCAL;
	parse_endpoints(w, "1n 2m");
	assert_string_equal(sets(w), "C:12 L:1 usable");
	world_free(w);
}

static void s17_source_ranges_guard_load_balancers_by_family(void **state)
{
	struct world *w = world_new();
	struct service *s = everything(w);
	struct object *object = w->set.v[0];

	s->source_ranges = make_nets(object, "203.0.113.0/24", "10.0.0.0/8");
	s->n_source_ranges = 2;
	assert_string_equal(frontends(w),
			    "web/TCP: ClusterIP 10.96.0.1:80; NodePort 0.0.0.0:30080; "
			    "LoadBalancer 198.51.100.1:80 guarded; ExternalIP 192.0.2.1:80;\n"
			    "web/TCP: ClusterIP [fd00:10:96::1]:80; NodePort [::]:30080; "
			    "LoadBalancer [2001:db8::2]:80; ExternalIP [2001:db8::1]:80;");
	assert_int_equal(w->wanted->services[0].n_source_ranges, 2);
	assert_int_equal(w->wanted->services[0].source_ranges[1].len, 8);
	assert_int_equal(w->wanted->services[1].n_source_ranges, 0);
	world_free(w);
}

static void s18_affinity(void **state)
{
	struct world *w = world_new();
	struct service *s = &make_service(&w->set, "web", "10.96.0.1")->service;

	assert_int_equal(resolved(w)->services[0].affinity_seconds, 0);
	s->affinity_client_ip = true;
	s->affinity_seconds = 86400;
	assert_int_equal(resolved(w)->services[0].affinity_seconds, 86400);
	world_free(w);
}

/* SEMANTICS 23: the flows of these go on as long as they are there. */
static void s23_endpoints_that_take_nothing_new_are_listed(void **state)
{
	struct world *w = world_new();

	make_service(&w->set, "web", "10.96.0.1");
	parse_endpoints(w, "1n 2mrt 3nrst 4mr");
	assert_string_equal(backends(w), "10.0.0.1:80 hCL 10.0.0.2:80 t 10.0.0.3:80 ht 10.0.0.4:80 "
					 " | usable");
	world_free(w);
}

/* ---- Pods --------------------------------------------------------------------------- */

static struct object *world_with_selector(struct world *w)
{
	struct object *service = make_service(&w->set, "web", "10.96.0.1");

	w->opts.own_control_plane = true;
	make_label(service, &service->service.selector, "app", "web");
	return service;
}

static void s07_selectors_match_all_labels_in_the_namespace(void **state)
{
	struct world *w = world_new();
	struct object *service = world_with_selector(w), *pod;

	make_label(service, &service->service.selector, "tier", "front");
	pod = make_pod(&w->set, "both", "web", "10.0.0.1");
	make_label(pod, &pod->meta.labels, "tier", "front");
	make_pod(&w->set, "one", "web", "10.0.0.2");
	pod = make_pod(&w->set, "other", "shop", "10.0.0.5");
	make_label(pod, &pod->meta.labels, "tier", "front");
	pod = make_pod(&w->set, "wrong", "web", "10.0.0.3");
	make_label(pod, &pod->meta.labels, "tier", "back");
	pod = make_object(&w->set, KIND_POD, "elsewhere", "both");
	pod->pod.node_name = "";
	make_label(pod, &pod->meta.labels, "app", "web");
	make_label(pod, &pod->meta.labels, "tier", "front");
	pod = make_pod(&w->set, "done", "web", "10.0.0.4");
	make_label(pod, &pod->meta.labels, "tier", "front");
	pod->pod.finished = true;
	assert_string_equal(backends(w), "10.0.0.1:8080 C | usable");
	assert_string_equal(w->wanted->services[0].backends[0].pod, "both");
	world_free(w);
}

static void s07_no_selector_selects_nothing(void **state)
{
	struct world *w = world_new();

	w->opts.own_control_plane = true;
	make_service(&w->set, "web", "10.96.0.1");
	make_pod(&w->set, "pod", "web", "10.0.0.1");
	assert_string_equal(backends(w), "| none");
	world_free(w);
}

static void s08_target_ports_by_name_and_number(void **state)
{
	struct world *w = world_new();
	struct object *service = world_with_selector(w), *pod;
	struct int_or_string *target = &service->service.ports[0].target_port;

	pod = make_pod(&w->set, "a", "web", "10.0.0.1");
	pod->pod.ports[0] = (struct container_port){ "http", IPPROTO_UDP, 1000 };
	pod->pod.ports[1] = (struct container_port){ "admin", IPPROTO_TCP, 1002 };
	pod->pod.ports[2] = (struct container_port){ "http", IPPROTO_TCP, 1001 };
	pod->pod.n_ports = 3;
	pod = make_pod(&w->set, "b", "web", "10.0.0.2"); /* the same name, another number */
	pod->pod.ports[0] = (struct container_port){ "http", IPPROTO_TCP, 2001 };
	pod->pod.n_ports = 1;
	make_pod(&w->set, "c", "web", "10.0.0.3"); /* no such port */
	assert_string_equal(backends(w),
			    "10.0.0.1:8080 C 10.0.0.2:8080 C 10.0.0.3:8080 C | usable");
	target->str = "http";
	assert_string_equal(backends(w), "10.0.0.1:1001 C 10.0.0.2:2001 C | usable");
	*target = (struct int_or_string){ 0 }; /* absent: the Service's port */
	assert_string_equal(backends(w), "10.0.0.1:80 C 10.0.0.2:80 C 10.0.0.3:80 C | usable");
	world_free(w);
}

static void s09_s10_readiness_of_pods(void **state)
{
	struct world *w = world_new();
	struct object *service = world_with_selector(w), *pod;

	make_pod(&w->set, "a", "web", "10.0.0.1")->pod.ready = false;
	make_pod(&w->set, "b", "web", "10.0.0.2")->meta.deleting = true;
	assert_string_equal(backends(w), "10.0.0.1:8080  10.0.0.2:8080 Ct | usable");
	pod = make_pod(&w->set, "c", "web", "10.0.0.3");
	pod->pod.node_name = THIS_NODE;
	assert_string_equal(backends(w),
			    "10.0.0.1:8080  10.0.0.2:8080 t 10.0.0.3:8080 hCL | usable");
	service->service.publish_not_ready = true;
	assert_string_equal(backends(w),
			    "10.0.0.1:8080 C 10.0.0.2:8080 Ct 10.0.0.3:8080 hCL | usable");
	world_free(w);
}

static void s02_pods_serve_with_their_address_of_the_family(void **state)
{
	struct world *w = world_new();
	struct object *service = world_with_selector(w);
	struct object *pod = make_pod(&w->set, "a", "web", "10.0.0.1");

	service->service.cluster_ips[1] = make_addr("fd00:10:96::1");
	service->service.n_cluster_ips = 2;
	pod->pod.ips = make_addrs(pod, "10.0.0.1", "fd00::1");
	pod->pod.n_ips = 2;
	pod->pod.host_network = true;
	make_pod(&w->set, "b", "web", "10.0.0.2");
	resolved(w);
	assert_string_equal(backends_of(w, &w->wanted->services[0]),
			    "10.0.0.1:8080 C 10.0.0.2:8080 C | usable");
	assert_string_equal(backends_of(w, &w->wanted->services[1]), "[fd00::1]:8080 C | usable");
	world_free(w);
}

static void s16_hints_written_without_a_cluster(void **state)
{
	static const struct {
		enum traffic_distribution distribution;
		const char *expect;
	} rows[] = {
		{ DISTRIBUTION_NONE, "C:123 L:1 usable" },
		{ DISTRIBUTION_PREFER_CLOSE, "C:12 L:1 usable" },
		{ DISTRIBUTION_PREFER_SAME_ZONE, "C:12 L:1 usable" },
		{ DISTRIBUTION_PREFER_SAME_NODE, "C:1 L:1 usable" },
	};
	struct world *w = world_new();
	struct object *service = world_with_selector(w);
	size_t i;

	make_node(&w->set, THIS_NODE, "zone-a");
	make_node(&w->set, "node-2", "zone-a");
	make_node(&w->set, "node-3", "zone-b");
	make_pod(&w->set, "a", "web", "10.0.0.1")->pod.node_name = THIS_NODE;
	make_pod(&w->set, "b", "web", "10.0.0.2")->pod.node_name = "node-2";
	make_pod(&w->set, "c", "web", "10.0.0.3")->pod.node_name = "node-3";
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		service->service.distribution = rows[i].distribution;
		assert_string_equal(sets(w), rows[i].expect);
	}
	assert_string_equal(w->wanted->services[0].backends[2].zone, "zone-b");
	assert_string_equal(w->wanted->services[0].backends[2].node, "node-3");
	/* A node of no zone: its Pod gets no hint, and so nobody's hint counts. */
	make_pod(&w->set, "d", "web", "10.0.0.4");
	service->service.distribution = DISTRIBUTION_PREFER_CLOSE;
	assert_string_equal(sets(w), "C:1234 L:1 usable");
	world_free(w);
}

static void s16_distribution_acts_through_hints_only(void **state)
{
	struct world *w = world_new();

	w->opts.own_control_plane = true;
	make_node(&w->set, THIS_NODE, "zone-a");
	make_service(&w->set, "web", "10.96.0.1")->service.distribution =
		DISTRIBUTION_PREFER_SAME_NODE;
	parse_endpoints(w, "1n 2m"); /* a slice made by hand has the hints that it has */
	assert_string_equal(sets(w), "C:12 L:1 usable");
	world_free(w);
}

/* ---- SCTP ---------------------------------------------------------------------------- */

static void s25_sctp_endpoints_have_the_services_port(void **state)
{
	static const char message[] =
		"Service default/sig: endpoint 10.0.0.2:9132 has another port than 132/SCTP, and "
		"SCTP ports can't be translated (their checksum covers the whole packet); make "
		"both equal";
	struct world *w = world_new();
	struct object *service = make_service(&w->set, "sig", "10.96.0.1");
	struct wanted *wanted = NULL;
	struct object *pod;

	service->service.ports[0] =
		(struct service_port){ .name = "", .proto = IPPROTO_SCTP, .port = 132 };
	service->service.ports[0].target_port.str = "sig";
	service->service.ports[0].at = (struct origin){ "f.yaml", 7, 5 };
	make_label(service, &service->service.selector, "app", "sig");
	pod = make_pod(&w->set, "a", "sig", "10.0.0.1");
	pod->pod.ports[0] = (struct container_port){ "sig", IPPROTO_SCTP, 132 };
	pod->pod.n_ports = 1;
	w->opts.own_control_plane = true;
	assert_string_equal(backends(w), "10.0.0.1:132 C | usable");
	/* The name may be another number in another Pod. */
	pod = make_pod(&w->set, "b", "sig", "10.0.0.2");
	pod->pod.ports[0] = (struct container_port){ "sig", IPPROTO_SCTP, 9132 };
	pod->pod.n_ports = 1;
	assert_int_equal(resolve(&w->set, &w->opts, &wanted, &w->err), -EINVAL);
	assert_memory_equal(w->err.msg, "f.yaml:7:5: ", 12);
	assert_string_equal(w->err.msg + 12, message);
	assert_int_equal(w->err.exit, EXIT_INPUT);
	world_free(w);

	/* A cluster has accepted it: the others serve. */
	w = world_new();
	service = make_service(&w->set, "sig", "10.96.0.1");
	service->service.ports[0].proto = IPPROTO_SCTP;
	service->service.ports[0].port = 132;
	pod = make_slice(&w->set, "sig-1", "sig", FAMILY_IPV4, 132);
	pod->slice.ports[0].proto = IPPROTO_SCTP;
	make_endpoint(pod, "10.0.0.1");
	pod = make_slice(&w->set, "sig-2", "sig", FAMILY_IPV4, 9132);
	pod->slice.ports[0].proto = IPPROTO_SCTP;
	make_endpoint(pod, "10.0.0.2");
	assert_string_equal(backends(w), "10.0.0.1:132 C | usable");
	assert_int_equal(w->wanted->n_notes, 1);
	assert_string_equal(w->wanted->notes[0], message);
	world_free(w);
}

static void s25_sctp_node_ports(void **state)
{
	struct world *w = world_new();
	struct service *s = everything(w);

	s->ports[0].proto = IPPROTO_SCTP;
	s->n_external_ips = 0;
	s->n_lb_ingress = 0;
	assert_string_equal(frontends(w), "web/SCTP: ClusterIP 10.96.0.1:80;\n"
					  "web/SCTP: ClusterIP [fd00:10:96::1]:80;");
	assert_int_equal(w->wanted->n_notes, 1);
	assert_string_equal(w->wanted->notes[0],
			    "Service default/web: nodePort 30080/SCTP is not port 80, and SCTP "
			    "ports can't be translated (their checksum covers the whole packet); "
			    "left out, give both one number of the nodePorts' range");
	s->ports[0].port = 30080;
	assert_string_equal(frontends(w),
			    "web/SCTP: ClusterIP 10.96.0.1:30080; NodePort 0.0.0.0:30080;\n"
			    "web/SCTP: ClusterIP [fd00:10:96::1]:30080; NodePort [::]:30080;");
	assert_int_equal(w->wanted->n_notes, 0);
	world_free(w);
}

/* ---- health checks --------------------------------------------------------------------- */

/* "a:30999 3 (2+1) b:31000 0 (0+0) " of all: addresses here, of IPv4 and IPv6 */
static const char *healths(struct world *w)
{
	const struct wanted *wanted = resolved(w);
	size_t i;

	w->text[0] = '\0';
	for (i = 0; i < wanted->n_health; i++) {
		const struct want_health *h = &wanted->health[i];

		assert_string_equal(h->ns, "default");
		say(w, "%s:%u %u (%u+%u) ", h->name, h->port, h->local_endpoints, h->local4,
		    h->local6);
	}
	return w->text;
}

/* With two ports, "http" and "alt", and a health check. */
static struct object *make_balanced(struct world *w, const char *name, const char *ip,
				    uint16_t health_port)
{
	struct object *object = make_service(&w->set, name, ip);

	object->service.type = SERVICE_LOAD_BALANCER;
	object->service.external_policy = POLICY_LOCAL;
	object->service.health_check_node_port = health_port;
	object->service.ports[0].name = "http";
	make_port(object, "alt", 81, IPPROTO_TCP);
	return object;
}

/* A slice with a number for each of the ports; 0: none. */
static struct object *make_ports(struct world *w, const char *name, enum family family,
				 uint16_t http, uint16_t alt)
{
	struct object *slice = make_slice(&w->set, name, "web", family, http);

	slice->slice.ports[0].name = "http";
	slice->slice.ports[1] = (struct endpoint_port){ "alt", IPPROTO_TCP, alt };
	slice->slice.n_ports = 2;
	return slice;
}

static struct endpoint *make_here(struct object *slice, const char *addr)
{
	struct endpoint *endpoint = make_endpoint(slice, addr);

	endpoint->node_name = THIS_NODE;
	return endpoint;
}

static void s26_distinct_local_ready_addresses(void **state)
{
	struct world *w = world_new();
	struct object *service = make_balanced(w, "web", "10.96.0.1", 30999), *slice;
	struct endpoint *endpoint;

	assert_string_equal(healths(w), "web:30999 0 (0+0) ");
	slice = make_ports(w, "web-1", FAMILY_IPV4, 8080, 8081);
	make_here(slice, "10.0.0.1"); /* by two ports */
	assert_string_equal(healths(w), "web:30999 1 (1+0) ");
	make_here(make_ports(w, "web-2", FAMILY_IPV4, 0, 8082), "10.0.0.2"); /* by one of them */
	assert_string_equal(healths(w), "web:30999 2 (2+0) ");
	make_endpoint(slice, "10.0.0.3")->node_name = "node-2";
	make_endpoint(slice, "10.0.0.4");
	make_here(slice, "10.0.0.5")->ready = MAYBE_FALSE;
	assert_string_equal(healths(w), "web:30999 2 (2+0) ");
	/* Terminating ones count only where they are ready: publishNotReadyAddresses. */
	endpoint = make_here(slice, "10.0.0.6");
	endpoint->terminating = MAYBE_TRUE;
	assert_string_equal(healths(w), "web:30999 3 (3+0) ");
	endpoint->ready = MAYBE_FALSE;
	assert_string_equal(healths(w), "web:30999 2 (2+0) ");
	/* An IPv6 slice is nothing to a Service without an IPv6 clusterIP. */
	make_here(make_ports(w, "web-6", FAMILY_IPV6, 8080, 8081), "fd00::1");
	assert_string_equal(healths(w), "web:30999 2 (2+0) ");
	service->service.cluster_ips[service->service.n_cluster_ips++] = make_addr("fd00:10:96::1");
	assert_string_equal(healths(w), "web:30999 3 (2+1) ");
	world_free(w);
}

static void s26_those_that_take_nothing_new_do_not_count(void **state)
{
	struct world *w = world_new();
	struct endpoint *endpoint;
	struct object *slice;

	make_balanced(w, "web", "10.96.0.1", 30999);
	slice = make_ports(w, "web-1", FAMILY_IPV4, 8080, 8081);
	endpoint = make_here(slice, "10.0.0.1");
	endpoint->ready = MAYBE_FALSE;
	endpoint->terminating = MAYBE_TRUE;
	assert_string_equal(healths(w), "web:30999 0 (0+0) ");
	/* ... while it still serves (SEMANTICS 10) */
	assert_string_equal(backends_of(w, &w->wanted->services[0]), "10.0.0.1:8080 hCLt | usable");
	endpoint->ready = MAYBE_TRUE;
	endpoint->terminating = MAYBE_FALSE;
	assert_string_equal(healths(w), "web:30999 1 (1+0) ");
	annotate(slice, "shunt.io/weight", "0");
	assert_string_equal(healths(w), "web:30999 0 (0+0) ");
	world_free(w);
}

static void s26_services_without_a_health_check(void **state)
{
	struct world *w = world_new();
	struct object *object;

	make_balanced(w, "cluster", "10.96.0.1", 30991)->service.external_policy = POLICY_CLUSTER;
	make_balanced(w, "nodeport", "10.96.0.2", 30992)->service.type = SERVICE_NODE_PORT;
	make_balanced(w, "none", "10.96.0.3", 0);
	object = make_balanced(w, "others", "10.96.0.4", 30994);
	make_label(object, &object->meta.labels, "service.kubernetes.io/service-proxy-name", "x");
	make_balanced(w, "web", "10.96.0.5", 30995);
	/* What others have on this node is not the next one's. */
	make_here(make_slice(&w->set, "cluster-1", "cluster", FAMILY_IPV4, 80), "10.0.0.1");
	object = make_slice(&w->set, "none-1", "none", FAMILY_IPV4, 80);
	object->slice.ports[0].name = "http";
	make_here(object, "10.0.0.1");
	assert_string_equal(healths(w), "web:30995 0 (0+0) ");
	world_free(w);
}

static void s26_a_port_answers_for_one_service(void **state)
{
	struct world *w = world_new();

	make_balanced(w, "b", "10.96.0.2", 30999);
	make_balanced(w, "a", "10.96.0.1", 30999);
	make_balanced(w, "c", "10.96.0.3", 31000);
	make_balanced(w, "d", "10.96.0.4", 31001)->service.ports[1].node_port = 31000;
	assert_string_equal(healths(w), "a:30999 0 (0+0) d:31001 0 (0+0) ");
	assert_int_equal(w->wanted->n_notes, 2);
	assert_string_equal(w->wanted->notes[0],
			    "Service default/b: healthCheckNodePort 30999 is the "
			    "healthCheckNodePort of Service default/a already; not answered");
	assert_string_equal(w->wanted->notes[1],
			    "Service default/c: healthCheckNodePort 31000 is the nodePort of "
			    "Service default/d already; not answered");
	world_free(w);
}

/* ---- weights, algorithm ---------------------------------------------------------------- */

static void weights_the_most_specific_counts(void **state)
{
	struct world *w = world_new();
	struct object *service = make_service(&w->set, "web", "10.96.0.1");
	struct object *slice = make_slice(&w->set, "web-1", "web", FAMILY_IPV4, 80);

	make_endpoint(slice, "10.0.0.1")->target_pod = "a";
	make_endpoint(slice, "10.0.0.2")->target_pod = "b";
	annotate(make_pod(&w->set, "a", "web", "10.0.0.1"), "shunt.io/weight", "7");
	assert_string_equal(backends(w), "10.0.0.1:80 C*7 10.0.0.2:80 C | usable");
	annotate(service, "shunt.io/weight", "3");
	assert_string_equal(backends(w), "10.0.0.1:80 C*7 10.0.0.2:80 C*3 | usable");
	annotate(slice, "shunt.io/weight", "1000");
	assert_string_equal(backends(w), "10.0.0.1:80 C*7 10.0.0.2:80 C*1000 | usable");
	world_free(w);
}

static void weight_0_takes_no_new_connections(void **state)
{
	struct world *w = world_new();

	world_with_selector(w);
	annotate(make_pod(&w->set, "a", "web", "10.0.0.1"), "shunt.io/weight", "0");
	assert_string_equal(backends(w), "10.0.0.1:8080 *0 | none");
	make_pod(&w->set, "b", "web", "10.0.0.2");
	assert_string_equal(backends(w), "10.0.0.1:8080 *0 10.0.0.2:8080 C | usable");
	world_free(w);
}

static void algorithms(void **state)
{
	static const struct {
		const char *word;
		enum sh_algorithm algorithm;
	} rows[] = { { "maglev", SH_MAGLEV },
		     { "random", SH_RANDOM },
		     { "least-conn", SH_LEAST_CONN } };
	struct world *w;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		w = world_new();
		annotate(make_service(&w->set, "web", "10.96.0.1"), "shunt.io/algorithm",
			 rows[i].word);
		assert_int_equal(resolved(w)->services[0].algorithm, rows[i].algorithm);
		world_free(w);
	}
}

static void annotations_that_make_no_sense(void **state)
{
	static const struct {
		const char *key, *value, *message;
	} rows[] = {
		{ "shunt.io/weight", "heavy",
		  "Service default/web: annotation shunt.io/weight: \"heavy\" is not a whole "
		  "number from 0 to 1000 (SH_WEIGHT_MAX)" },
		{ "shunt.io/weight", "1001",
		  "Service default/web: annotation shunt.io/weight: \"1001\" is not a whole "
		  "number from 0 to 1000 (SH_WEIGHT_MAX)" },
		{ "shunt.io/weight", "99999999999999999999",
		  "Service default/web: annotation shunt.io/weight: \"99999999999999999999\" is "
		  "not a whole number from 0 to 1000 (SH_WEIGHT_MAX)" },
		{ "shunt.io/weight", "",
		  "Service default/web: annotation shunt.io/weight: \"\" is not a whole number "
		  "from 0 to 1000 (SH_WEIGHT_MAX)" },
		{ "shunt.io/algorithm", "roundrobin",
		  "Service default/web: annotation shunt.io/algorithm: \"roundrobin\" is none of "
		  "maglev, random, least-conn" },
	};
	struct wanted *wanted = NULL;
	struct world *w;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		w = world_new();
		annotate(make_service(&w->set, "web", "10.96.0.1"), rows[i].key, rows[i].value);
		/* A cluster has accepted it: served without it, and noted. */
		assert_string_equal(frontends(w), "web/TCP: ClusterIP 10.96.0.1:80;");
		assert_int_equal(w->wanted->n_notes, 1);
		assert_string_equal(w->wanted->notes[0], rows[i].message);
		/* We are the control plane: refused. */
		w->opts.own_control_plane = true;
		assert_int_equal(resolve(&w->set, &w->opts, &wanted, &w->err), -EINVAL);
		assert_null(wanted);
		assert_string_equal(w->err.msg, rows[i].message);
		assert_int_equal(w->err.exit, EXIT_INPUT);
		world_free(w);
	}
}

/* ---- the whole ------------------------------------------------------------------------- */

static void services_are_sorted_and_outlive_the_objects(void **state)
{
	struct world *w = world_new();
	struct object *b = make_service(&w->set, "b", "10.96.0.2");
	size_t i;

	b->service.cluster_ips[1] = make_addr("fd00:10:96::2");
	b->service.n_cluster_ips = 2;
	make_port(b, "x", 53, IPPROTO_UDP);
	make_port(b, "y", 53, IPPROTO_TCP);
	make_service(&w->set, "a", "10.96.0.1");
	make_endpoint(make_slice(&w->set, "b-1", "b", FAMILY_IPV4, 80), "10.0.0.1")->node_name =
		"node-2";
	resolved(w);
	object_set_done(&w->set);
	assert_int_equal(w->wanted->n_services, 7);
	for (i = 1; i < 7; i++)
		assert_true(want_service_cmp(&w->wanted->services[i - 1], &w->wanted->services[i]) <
			    0);
	assert_string_equal(w->wanted->services[0].name, "a");
	assert_string_equal(w->wanted->services[1].port_name, "y");
	assert_string_equal(w->wanted->services[5].backends[0].node, "node-2");
	world_free(w);
}

static void options_are_passed_on(void **state)
{
	struct sh_addr addrs[2] = { make_addr("192.0.2.1"), make_addr("2001:db8::1") };
	struct addr_net nets[2] = { make_net("10.96.0.0/16"), make_net("10.0.0.0/8") };
	struct world *w = world_new();

	w->opts.nodeaddrs = addrs;
	w->opts.n_nodeaddrs = 2;
	w->opts.service_cidrs = nets;
	w->opts.n_service_cidrs = 1;
	w->opts.cluster_cidrs = nets + 1;
	w->opts.n_cluster_cidrs = 1;
	resolved(w);
	assert_int_equal(w->wanted->n_nodeaddrs, 2);
	assert_true(addr_eq(&w->wanted->nodeaddrs[1], &addrs[1]));
	assert_int_equal(w->wanted->n_service_cidrs, 1);
	assert_int_equal(w->wanted->service_cidrs[0].len, 16);
	assert_int_equal(w->wanted->cluster_cidrs[0].len, 8);
	world_free(w);
}

static void limits_are_named(void **state)
{
	struct world *w = world_new();
	struct wanted *wanted = NULL;
	struct object *slice = NULL;
	char name[16], addr[ADDR_STRLEN];
	unsigned int i;

	make_service(&w->set, "web", "10.96.0.1");
	for (i = 0; i < SH_SERVICE_BACKENDS_MAX + 1; i++) {
		if (i % 1000 == 0) {
			(void)snprintf(name, sizeof(name), "web-%u", i);
			slice = make_slice(&w->set, name, "web", FAMILY_IPV4, 80);
		}
		(void)snprintf(addr, sizeof(addr), "10.%u.%u.1", i >> 8, i & 255);
		make_endpoint(slice, addr);
	}
	assert_int_equal(resolve(&w->set, &w->opts, &wanted, &w->err), -E2BIG);
	assert_string_equal(w->err.msg,
			    "Service default/web port 80/TCP: 16385 endpoints are more than 16384 "
			    "(SH_SERVICE_BACKENDS_MAX); split it into several Services");
	w->opts.n_nodeaddrs = SH_NODEADDRS_MAX + 1;
	assert_int_equal(resolve(&w->set, &w->opts, &wanted, &w->err), -E2BIG);
	assert_non_null(strstr(w->err.msg, "SH_NODEADDRS_MAX"));
	world_free(w);
}

/* 10,000 Services of 10 endpoints: an index that degrades to scans takes minutes. */
static void many_services_are_quick(void **state)
{
	struct world *w = world_new();
	struct timespec from, to;
	char name[32], addr[ADDR_STRLEN];
	struct object *object;
	unsigned int i, j;

	w->opts.own_control_plane = true;
	for (i = 0; i < 10000; i++) {
		(void)snprintf(name, sizeof(name), "s%05u", i);
		(void)snprintf(addr, sizeof(addr), "10.96.%u.%u", i >> 8, i & 255);
		object = make_service(&w->set, name, addr);
		if (i % 2) {
			object = make_slice(&w->set, name, name, FAMILY_IPV4, 80);
			for (j = 0; j < 10; j++) {
				(void)snprintf(addr, sizeof(addr), "10.%u.%u.%u", j, i >> 8,
					       i & 255);
				make_endpoint(object, addr)->node_name = THIS_NODE;
			}
			continue;
		}
		make_label(object, &object->service.selector, "app", name);
		for (j = 0; j < 10; j++) {
			(void)snprintf(name, sizeof(name), "s%05u-%u", i, j);
			(void)snprintf(addr, sizeof(addr), "10.%u.%u.%u", j, i >> 8, i & 255);
			make_pod(&w->set, name, object->meta.name, addr)->pod.node_name = THIS_NODE;
		}
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	resolved(w);
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	assert_int_equal(w->wanted->n_services, 10000);
	for (i = 0; i < 10000; i++)
		assert_int_equal(w->wanted->services[i].n_backends, 10);
	print_message("resolved in %.0f ms\n", (double)(to.tv_sec - from.tv_sec) * 1e3 +
						       (double)(to.tv_nsec - from.tv_nsec) / 1e6);
	assert_true(to.tv_sec - from.tv_sec < 10); /* with sanitizers, on a busy machine */
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s01_every_address_is_a_frontend),
		cmocka_unit_test(s01_lb_ingress_that_is_no_frontend),
		cmocka_unit_test(s01_addresses_follow_the_type),
		cmocka_unit_test(s01_an_address_that_is_two_things_is_the_guarded_one),
		cmocka_unit_test(s01_nobody_takes_another_services_address),
		cmocka_unit_test(s02_a_family_without_cluster_ip_has_nothing),
		cmocka_unit_test(s02_families_have_their_own_endpoints),
		cmocka_unit_test(s02_pods_serve_with_their_address_of_the_family),
		cmocka_unit_test(s03_services_without_frontends),
		cmocka_unit_test(s03_slices_for_another_proxy),
		cmocka_unit_test(s05_one_number_serves_every_protocol),
		cmocka_unit_test(s05_two_services_may_share_an_address),
		cmocka_unit_test(s07_slices_then_endpoints_then_pods),
		cmocka_unit_test(s07_a_cluster_matches_selectors_itself),
		cmocka_unit_test(s07_a_slice_that_exists_counts_even_if_empty),
		cmocka_unit_test(s07_slices_of_others_do_not_count),
		cmocka_unit_test(s07_selectors_match_all_labels_in_the_namespace),
		cmocka_unit_test(s07_no_selector_selects_nothing),
		cmocka_unit_test(s08_ports_match_by_name_and_protocol),
		cmocka_unit_test(s08_target_ports_by_name_and_number),
		cmocka_unit_test(s09_s10_readiness_of_pods),
		cmocka_unit_test(s09_to_s16_sets),
		cmocka_unit_test(s11_a_record_that_is_not_terminating_wins),
		cmocka_unit_test(s12_without_a_node_name_nothing_is_local),
		cmocka_unit_test(s13_each_policy_has_its_own_frontends),
		cmocka_unit_test(s13_external_policy_without_outside_frontend),
		cmocka_unit_test(s14_both_sets_are_there_under_local),
		cmocka_unit_test(s16_a_node_without_zone_has_no_topology),
		cmocka_unit_test(s16_hints_written_without_a_cluster),
		cmocka_unit_test(s16_distribution_acts_through_hints_only),
		cmocka_unit_test(s17_source_ranges_guard_load_balancers_by_family),
		cmocka_unit_test(s18_affinity),
		cmocka_unit_test(s23_endpoints_that_take_nothing_new_are_listed),
		cmocka_unit_test(s25_sctp_endpoints_have_the_services_port),
		cmocka_unit_test(s25_sctp_node_ports),
		cmocka_unit_test(s26_distinct_local_ready_addresses),
		cmocka_unit_test(s26_those_that_take_nothing_new_do_not_count),
		cmocka_unit_test(s26_services_without_a_health_check),
		cmocka_unit_test(s26_a_port_answers_for_one_service),
		cmocka_unit_test(weights_the_most_specific_counts),
		cmocka_unit_test(weight_0_takes_no_new_connections),
		cmocka_unit_test(algorithms),
		cmocka_unit_test(annotations_that_make_no_sense),
		cmocka_unit_test(services_are_sorted_and_outlive_the_objects),
		cmocka_unit_test(options_are_passed_on),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(many_services_are_quick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
