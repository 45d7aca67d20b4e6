/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One packet, or one socket's connect(), through programs that write down what
 * they decide; and what they wrote, in words.
 *
 *   run.c      the packet or the socket, through the programs
 *   place.c    where on a live node it would come in
 *   explain.c  what the programs wrote -> steps
 *   report.c   steps -> lines, or a tree for JSON and YAML
 */
#ifndef SHUNT_USER_TRACE_H
#define SHUNT_USER_TRACE_H

#include <jansson.h>
#include <stdio.h>

#include "ptest/rig.h"

struct trace_question {
	enum ptest_from from;
	bool has_src; /* may be missing for the node's own sockets */
	struct sh_addr src;
	__be16 sport; /* 0: any */
	struct ptest_target dst;
	proto_t proto;
};

/* The edge that a packet comes in by. Not for sockets. */
struct trace_place {
	char device[16];
	uint32_t ifindex;
	uint8_t mac[6];
	bool xdp; /* XDP has its turn first */
};

#define TRACE_TEXT_LEN 320
struct trace_step {
	const char *name;
	char text[TRACE_TEXT_LEN];
	json_t *fields; /* an object, never NULL */
};

/* Of two programs, each with a step for itself and one for what was lost, and the end. */
#define TRACE_STEPS_MAX (2 * (SH_TRACE_STEPS_MAX + 2) + 1)

struct trace_answer {
	struct trace_step steps[TRACE_STEPS_MAX];
	size_t n;
	enum ptest_verdict verdict;
	enum sh_reason reason; /* of a drop or a reject */
	uint32_t service;      /* id; 0: none */
	bool has_backend;
	struct ptest_target backend;
};
void trace_answer_done(struct trace_answer *answer);

/*
 * Which device of @live a packet of @question comes in by: the one of the right
 * role that leads to its source, else the first of that role.
 */
int trace_place_live(struct dataplane *live, const struct trace_question *question,
		     struct trace_place *out, struct err *err);

/*
 * Ask @rig, whose data path keeps a trace. @place: NULL for a socket's question.
 * @return 0 and *@answer (zeroed before; trace_answer_done() it in any case)
 */
int trace_ask(struct rig *rig, const struct trace_question *question,
	      const struct trace_place *place, struct trace_answer *answer, struct err *err);

/* ---- explain.c ---- */

/* A step; @fields is taken over. @return 0 or -ENOMEM */
__attribute__((format(printf, 4, 5))) int trace_add(struct trace_answer *answer, const char *name,
						    json_t *fields, const char *fmt, ...);
/* All that the last run has written. @return 0 or -ENOMEM */
int trace_explain(struct trace_answer *answer, struct dataplane *dp,
		  const struct sh_trace *written);

/* ---- report.c ---- */

/* @return 0 or a negative errno of @to */
int trace_print(const struct trace_answer *answer, FILE *to);
/* @return NULL: no memory */
json_t *trace_tree(const struct trace_answer *answer, struct dataplane *dp);

#endif
