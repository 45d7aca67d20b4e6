/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was seen against what was expected. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/dataplane.h"
#include "ptest/run.h"

/* A growing text; what doesn't fit is cut off, the counts before it are not. */
struct text {
	char *buf;
	size_t len, size;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text->buf + text->len, text->size - text->len, fmt, args);
	va_end(args);
	if (n > 0)
		text->len += (size_t)n;
	if (text->len >= text->size)
		text->len = text->size - 1;
}

static bool contains(const struct ptest_target *targets, size_t n, const struct ptest_target *one)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (ptest_target_eq(&targets[i], one))
			return true;
	}
	return false;
}

static void judge_strangers(const struct ptest_flow *flow, const struct ptest_seen *seen,
			    struct text *why)
{
	char name[ADDR_PORT_STRLEN];
	size_t i, n = 0;

	for (i = 0; i < seen->n_reached; i++) {
		const struct ptest_reached *reached = &seen->reached[i];

		if (contains(flow->backends, flow->n_backends, &reached->target))
			continue;
		add(why, "%s%s (%zu of %zu connections)", n++ ? ", " : "reached ",
		    addr_port_format(&reached->target.addr, reached->target.port, name),
		    reached->count, seen->tried);
	}
	if (n)
		add(why, ", not among the expected backends");
}

static void judge_missing(const struct ptest_flow *flow, const struct ptest_seen *seen,
			  struct text *why)
{
	char name[ADDR_PORT_STRLEN];
	size_t i, j, n = 0;

	for (i = 0; i < flow->n_backends; i++) {
		for (j = 0; j < seen->n_reached; j++) {
			if (ptest_target_eq(&flow->backends[i], &seen->reached[j].target))
				break;
		}
		if (j < seen->n_reached)
			continue;
		add(why, "%s%s%s",
		    n	       ? ", "
		    : why->len ? "; "
			       : "",
		    n ? "" : "never reached ",
		    addr_port_format(&flow->backends[i].addr, flow->backends[i].port, name));
		n++;
	}
	if (n)
		add(why, " in %zu connections", seen->tried);
}

/* With affinity one client stays with one backend, whichever it is. */
static void judge_backends(const struct ptest_flow *flow, const struct ptest_seen *seen,
			   bool sticky, struct text *why)
{
	if (sticky && seen->n_reached > 1)
		add(why,
		    "one client reached %zu backends, although the Service has "
		    "sessionAffinity: ClientIP",
		    seen->n_reached);
	if (flow->any_backend)
		return;
	if (!why->len)
		judge_strangers(flow, seen, why);
	if (!sticky)
		judge_missing(flow, seen, why);
}

/* A hairpin is masqueraded whatever the Service says: that alone is no finding. */
static void judge_snat(const struct ptest_flow *flow, const struct ptest_seen *seen,
		       struct text *why)
{
	const char *before = why->len ? "; " : "";

	if (flow->snat == MAYBE_FALSE && ptest_seen_snat(seen))
		add(why,
		    "%ssnat: expected false, but the client's address was replaced in %zu of %zu "
		    "connections",
		    before, seen->replaced + seen->hairpins, seen->tried);
	if (flow->snat == MAYBE_TRUE && seen->kept_far)
		add(why,
		    "%ssnat: expected true, but the client's address was kept in %zu of %zu "
		    "connections whose replies would not pass this node",
		    before, seen->kept_far, seen->tried);
}

static void judge_verdict(const struct ptest_flow *flow, const struct ptest_seen *seen,
			  struct text *why)
{
	add(why, "expected %s, got %s", ptest_verdict_name(flow->expect),
	    ptest_verdict_name(seen->verdict));
	if (seen->reason)
		add(why, " (%s: %s)", reason_word(seen->reason), reason_text(seen->reason));
	if (seen->tried > 1)
		add(why, " at connection %zu", seen->tried);
}

bool ptest_judge(const struct ptest_flow *flow, const struct ptest_seen *seen, bool sticky,
		 char why[static PTEST_WHY_LEN])
{
	struct text text = { .buf = why, .size = PTEST_WHY_LEN };

	why[0] = '\0';
	if (seen->fault[0]) {
		add(&text, "%s", seen->fault);
	} else if (seen->verdict != flow->expect) {
		judge_verdict(flow, seen, &text);
	} else if (flow->expect == PTEST_FORWARD) {
		judge_backends(flow, seen, sticky, &text);
		judge_snat(flow, seen, &text);
	}
	return !text.len;
}
