// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The Services that are measured with. Each has a ClusterIP, which leads to
 * the half of its endpoints that is on other nodes, and a load balancer's
 * address under policy Local, which leads to the half that is here: by one or
 * the other a client outside the cluster takes each path with every Service.
 */
#include "bench/internal.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "model/maglev.h"

#define AFFINITY_SECONDS 10800
#define BACKEND_PORT	 8080

/* Where addresses begin; one network is far enough from the next. */
struct plan {
	const char *v4, *v6;
};
static const struct plan cluster_ips = { "10.96.0.1", "fd00:10:96::1" };
static const struct plan outside_ips = { "198.18.0.1", "2001:db8:18::1" };
static const struct plan backends_here = { "172.16.0.1", "fd00:10:244:1::1" };
static const struct plan backends_away = { "10.200.0.1", "fd00:10:244:2::1" };

static struct sh_addr nth(const struct plan *plan, uint64_t n, bool v6)
{
	struct sh_addr first = { 0 };

	(void)addr_parse(v6 ? plan->v6 : plan->v4, &first);
	return addr_add(&first, n);
}

struct sh_addr bench_service_addr(const struct bench_options *options, enum bench_side side,
				  uint32_t service, bool v6)
{
	/* These two stand behind the others. */
	if (side == SIDE_AFFINE)
		service = options->services;
	if (side == SIDE_UDP)
		service = options->services + 1;
	return nth(side == SIDE_AWAY || side == SIDE_UDP ? &cluster_ips : &outside_ips, service,
		   v6);
}

void bench_services_room(const struct bench_options *options, struct settings *settings)
{
	const uint32_t services = options->services + BENCH_SERVICES_MORE;
	/* Two tables for each, in whole lines. */
	const uint64_t slots =
		2ull * services * (maglev_size(options->endpoints) + 2 * SH_SLOTS_PER_LINE);

	if (settings->max_frontends < 4 * services)
		settings->max_frontends = 4 * services;
	if (settings->max_backends < services * options->endpoints)
		settings->max_backends = services * options->endpoints;
	if (settings->max_slots < slots)
		settings->max_slots = (uint32_t)slots;
}

static void fill_backend(struct want_backend *out, uint64_t number, bool here, bool v6)
{
	*out = (struct want_backend){
		.addr = nth(here ? &backends_here : &backends_away, number, v6),
		.port = htons(BACKEND_PORT),
		.weight = 1,
		.local = here,
		.in_cluster = !here,
		.in_local = here,
		.pod = "",
		.node = here ? "here" : "elsewhere",
		.zone = "",
	};
}

/* Sorted by address, as wanted.h has it: in IPv4 those elsewhere are the lower ones. */
static int fill_backends(struct arena *arena, struct want_service *service, uint32_t number,
			 const struct bench_options *options)
{
	const uint32_t n = options->endpoints, here = n / 2, away = n - here;
	const bool v6 = service->family == FAMILY_IPV6;
	uint32_t i, first_here = v6 ? 0 : away, first_away = v6 ? here : 0;

	service->backends = arena_array(arena, n, sizeof(*service->backends));
	if (!service->backends)
		return -1;
	for (i = 0; i < here; i++)
		fill_backend(&service->backends[first_here + i], (uint64_t)number * here + i, true,
			     v6);
	for (i = 0; i < away; i++)
		fill_backend(&service->backends[first_away + i], (uint64_t)number * away + i, false,
			     v6);
	service->n_backends = n;
	return 0;
}

static int fill_service(struct arena *arena, struct want_service *service, uint32_t number,
			const struct bench_options *options)
{
	const bool v6 = service->family == FAMILY_IPV6, affine = number == options->services;
	char name[SH_NAME_MAX + 1];

	(void)snprintf(name, sizeof(name), "service-%08u", number);
	service->ns = "bench";
	service->name = arena_strdup(arena, name);
	service->port_name = "";
	service->port = BENCH_SERVICE_PORT;
	service->proto = number == options->services + 1 ? IPPROTO_UDP : IPPROTO_TCP;
	service->type = SERVICE_LOAD_BALANCER;
	service->affinity_seconds = affine ? AFFINITY_SECONDS : 0;
	service->external_local = true;
	service->any_usable = true;
	service->frontends = arena_array(arena, 2, sizeof(*service->frontends));
	if (!service->name || !service->frontends)
		return -1;
	service->n_frontends = 2;
	service->frontends[0] = (struct want_frontend){
		.kind = FRONTEND_CLUSTER_IP,
		.addr = bench_service_addr(options, SIDE_AWAY, number, v6),
		.port = htons(BENCH_SERVICE_PORT),
	};
	service->frontends[1] = (struct want_frontend){
		.kind = FRONTEND_LOAD_BALANCER,
		.addr = bench_service_addr(options, SIDE_HERE, number, v6),
		.port = htons(BENCH_SERVICE_PORT),
		.local_only = true,
	};
	return fill_backends(arena, service, number, options);
}

static struct wanted *wanted_alloc(uint32_t n_services)
{
	struct arena *arena = arena_new();
	struct wanted *wanted;

	wanted = arena ? calloc(1, sizeof(*wanted)) : NULL;
	if (!wanted) {
		arena_free(arena);
		return NULL;
	}
	wanted->arena = arena;
	wanted->n_services = n_services;
	wanted->services = arena_array(arena, n_services, sizeof(*wanted->services));
	if (wanted->services)
		return wanted;
	wanted_free(wanted);
	return NULL;
}

struct wanted *bench_services(const struct bench_options *options, bool v6)
{
	struct wanted *wanted = wanted_alloc(options->services + BENCH_SERVICES_MORE);
	uint32_t i;

	for (i = 0; wanted && i < options->services + BENCH_SERVICES_MORE; i++) {
		wanted->services[i].family = v6 ? FAMILY_IPV6 : FAMILY_IPV4;
		if (fill_service(wanted->arena, &wanted->services[i], i, options)) {
			wanted_free(wanted);
			return NULL;
		}
	}
	return wanted;
}
