/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ptest/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"

/*
 * How many connections: with n equal backends the chance that one of them is
 * never met in 24 n tries is n * e^-24; one that should not be met can't hide
 * any better. Light ones among heavy ones are given as long as there are ports.
 */
#define TRIES_LEAST	   64
#define TRIES_PER_BACKEND  24
#define TRIES_MOST	   60000 /* source ports */
#define TRIES_MOST_SOCKETS 20000
#define TRIES_SAME	   8 /* where all are to end alike */
#define TRIES_REJECT	   2 /* answers are rationed, by the second */

#define RATION_WAIT_MS 100
#define RATION_WAITS   12

static const char *const hook_names[PTEST_HOOKS] = { "tc", "xdp", "connect" };

const char *ptest_hook_name(enum ptest_hook hook)
{
	return hook_names[hook];
}

/* ---- what was seen --------------------------------------------------------------- */

void ptest_seen_done(struct ptest_seen *seen)
{
	free(seen->reached);
	seen->reached = NULL;
	seen->n_reached = 0;
}

bool ptest_seen_snat(const struct ptest_seen *seen)
{
	return seen->replaced || (seen->hairpins && seen->hairpins == seen->tried);
}

int ptest_seen_add(struct ptest_seen *seen, const struct ptest_reached *one)
{
	struct ptest_reached *bigger;
	size_t i, cap;

	for (i = 0; i < seen->n_reached; i++) {
		if (ptest_target_eq(&seen->reached[i].target, &one->target)) {
			seen->reached[i].count++;
			return 0;
		}
	}
	if (seen->n_reached == seen->cap_reached) {
		cap = seen->cap_reached ? 2 * seen->cap_reached : 16;
		bigger = reallocarray(seen->reached, cap, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		seen->reached = bigger;
		seen->cap_reached = cap;
	}
	seen->reached[seen->n_reached] = *one;
	seen->reached[seen->n_reached++].count = 1;
	return 0;
}

void ptest_seen_fault(struct ptest_seen *seen, const char *fmt, ...)
{
	va_list args;

	if (seen->fault[0])
		return;
	va_start(args, fmt);
	(void)vsnprintf(seen->fault, sizeof(seen->fault), fmt, args);
	va_end(args);
}

/* ---- what is wanted ---------------------------------------------------------------- */

bool ptest_is_local(const struct rig *rig, const struct ptest_target *target)
{
	const struct wanted *wanted = rig_wanted(rig);
	size_t i, j;

	for (i = 0; i < wanted->n_services; i++) {
		const struct want_service *service = &wanted->services[i];

		for (j = 0; j < service->n_backends; j++) {
			if (service->backends[j].port == target->port &&
			    addr_eq(&service->backends[j].addr, &target->addr) &&
			    service->backends[j].local)
				return true;
		}
	}
	return false;
}

static bool has_frontend(const struct want_service *service, const struct ptest_flow *flow)
{
	size_t i;

	if (service->proto != flow->proto || service->family != addr_family(&flow->dst.addr))
		return false;
	for (i = 0; i < service->n_frontends; i++) {
		const struct want_frontend *frontend = &service->frontends[i];

		if (frontend->port == flow->dst.port && (frontend->kind == FRONTEND_NODE_PORT ||
							 addr_eq(&frontend->addr, &flow->dst.addr)))
			return true;
	}
	return false;
}

/* What the flow's Service says of how its backends are chosen. */
struct choice {
	bool sticky;   /* one client stays with one backend */
	bool weighted; /* some are chosen more seldom than others */
};

static struct choice choice_of(const struct rig *rig, const struct ptest_flow *flow)
{
	const struct wanted *wanted = rig_wanted(rig);
	struct choice choice = { 0 };
	size_t i, j;

	for (i = 0; i < wanted->n_services; i++) {
		const struct want_service *service = &wanted->services[i];

		if (!has_frontend(service, flow))
			continue;
		choice.sticky |= service->affinity_seconds != 0;
		for (j = 1; j < service->n_backends; j++)
			choice.weighted |=
				service->backends[j].weight != service->backends[0].weight;
	}
	return choice;
}

/* ---- trying ------------------------------------------------------------------------ */

static bool all_reached(const struct ptest_flow *flow, const struct ptest_seen *seen)
{
	size_t i, j;

	for (i = 0; i < flow->n_backends; i++) {
		for (j = 0; j < seen->n_reached; j++) {
			if (ptest_target_eq(&flow->backends[i], &seen->reached[j].target))
				break;
		}
		if (j == seen->n_reached)
			return false;
	}
	return true;
}

static bool enough(const struct ptest_try *try, const struct choice *choice)
{
	const struct ptest_flow *flow = try->flow;
	const struct ptest_seen *seen = try->seen;
	size_t most = try->hook == PTEST_CONNECT ? TRIES_MOST_SOCKETS : TRIES_MOST;

	if (seen->fault[0] || (seen->tried && seen->verdict != flow->expect))
		return true;
	if (flow->expect != PTEST_FORWARD)
		return seen->tried >= (flow->expect == PTEST_REJECT ? TRIES_REJECT : TRIES_SAME);
	if (choice->sticky)
		return seen->tried >= TRIES_LEAST;
	if (seen->tried < TRIES_LEAST + TRIES_PER_BACKEND * flow->n_backends)
		return false;
	return !choice->weighted || seen->tried >= most || all_reached(flow, seen);
}

static int try_once(const struct ptest_try *try, struct err *err)
{
	int ret = try->hook == PTEST_CONNECT ? socket_try(try, err) : wire_try(try, err);

	if (!ret && !try->seen->reason &&
	    (try->seen->verdict == PTEST_DROP || try->seen->verdict == PTEST_REJECT))
		try->seen->reason = rig_drop_reason(try->rig);
	return ret;
}

/*
 * So many answers a second are given, and then none: a drop that would have
 * been a reject is tried again until it must be one. A node that has to refuse
 * that many may do so; a test is not to depend on how many went before it.
 */
static bool may_be_rationed(const struct ptest_try *try)
{
	const struct ptest_seen *seen = try->seen;

	return try->flow->expect == PTEST_REJECT && seen->verdict == PTEST_DROP &&
	       (seen->reason == SH_REASON_NO_BACKEND || seen->reason == SH_REASON_UNKNOWN_PORT);
}

static int try_in_turn(const struct ptest_try *try, struct err *err)
{
	const struct timespec wait = { .tv_nsec = RATION_WAIT_MS * 1000000l };
	int ret = try_once(try, err), i;

	for (i = 0; !ret && i < RATION_WAITS && may_be_rationed(try); i++) {
		(void)nanosleep(&wait, NULL);
		try->seen->reason = SH_REASON_NONE;
		ret = try_once(try, err);
	}
	return ret;
}

static int run_hook(struct ptest_try *try, const struct choice *choice, struct err *err)
{
	int ret = 0;

	rig_forget(try->rig);
	while (!ret && !enough(try, choice)) {
		ret = try_in_turn(try, err);
		try->number++;
		try->seen->tried++;
	}
	return ret;
}

static bool applies(enum ptest_hook hook, enum ptest_from from)
{
	switch (hook) {
	case PTEST_TC:
		return from != PTEST_NODE;
	case PTEST_XDP:
		return from == PTEST_EXTERNAL;
	default:
		return from == PTEST_NODE;
	}
}

int ptest_run(struct rig *rig, const struct ptest_flow *flow, unsigned int hooks,
	      struct ptest_result *out, struct err *err)
{
	struct ptest_result result = { .ok = true, .skipped = true };
	const struct choice choice = choice_of(rig, flow);
	const uint64_t start = monotonic_ns();
	char why[PTEST_WHY_LEN];
	int hook, ret = 0;

	for (hook = 0; !ret && result.ok && hook < PTEST_HOOKS; hook++) {
		struct ptest_try try = { rig, flow, (enum ptest_hook)hook, 0, &result.seen };

		if (!(hooks & 1u << hook) || !applies(try.hook, flow->from))
			continue;
		ptest_seen_done(&result.seen);
		result.seen = (struct ptest_seen){ 0 };
		result.skipped = false;
		result.hook = try.hook;
		ret = run_hook(&try, &choice, err);
		if (ret)
			break;
		result.ok = ptest_judge(flow, &result.seen, choice.sticky, why);
		if (!result.ok)
			(void)snprintf(result.message, sizeof(result.message), "%s: %s",
				       ptest_hook_name(try.hook), why);
	}
	result.usec = (monotonic_ns() - start) / 1000;
	if (ret)
		ptest_seen_done(&result.seen);
	else
		*out = result;
	return ret;
}

void ptest_result_done(struct ptest_result *result)
{
	ptest_seen_done(&result->seen);
}
