/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One flow of a packet test: new connections through every hook where it
 * applies, until there can be no doubt what becomes of them.
 */
#ifndef SHUNT_USER_PTEST_RUN_H
#define SHUNT_USER_PTEST_RUN_H

#include "ptest/file.h"
#include "ptest/rig.h"

enum ptest_hook { PTEST_TC = 0, PTEST_XDP, PTEST_CONNECT, PTEST_HOOKS };
const char *ptest_hook_name(enum ptest_hook hook);
#define PTEST_ALL_HOOKS ((1u << PTEST_HOOKS) - 1)

struct ptest_reached {
	struct ptest_target target;
	size_t count;
	bool local; /* the backend is on this node */
};

/* What became of a number of new connections. */
struct ptest_seen {
	size_t tried;
	enum ptest_verdict verdict; /* of the last one */
	enum sh_reason reason;	    /* of its drop or reject */
	struct ptest_reached *reached;
	size_t n_reached, cap_reached;
	/*
	 * How often the client's address was replaced; replaced because it is the
	 * backend's own, which no reply could find its way back to; kept where the reply
	 * passes this node anyway; kept where it does not.
	 */
	size_t replaced, hairpins, kept_near, kept_far;
	char fault[512]; /* the first packet that was not as it should be; "" none */
};

void ptest_seen_done(struct ptest_seen *seen);
/* Was a client's address replaced for another reason than a hairpin, or were all of them that? */
bool ptest_seen_snat(const struct ptest_seen *seen);
/* Count a connection that has reached @target. @return 0 or -ENOMEM */
int ptest_seen_add(struct ptest_seen *seen, const struct ptest_reached *one);
__attribute__((format(printf, 2, 3))) void ptest_seen_fault(struct ptest_seen *seen,
							    const char *fmt, ...);

struct ptest_result {
	bool ok, skipped;	/* skipped: no hook that was asked for applies */
	enum ptest_hook hook;	/* the one that failed, or the last */
	struct ptest_seen seen; /* in that hook */
	char message[1024];	/* "" where there is nothing to say */
	uint64_t usec;
};

/*
 * Run @flow in the hooks of the mask @hooks. @return 0 and *@out
 * (ptest_result_done() it), or a negative errno where the system refuses.
 */
int ptest_run(struct rig *rig, const struct ptest_flow *flow, unsigned int hooks,
	      struct ptest_result *out, struct err *err);
void ptest_result_done(struct ptest_result *result);

/* ---- one connection: wire.c, socket.c ---------------------------------------------- */

struct ptest_try {
	struct rig *rig;
	const struct ptest_flow *flow;
	enum ptest_hook hook;
	unsigned int number; /* which one, from 0 */
	struct ptest_seen *seen;
};

/* All of it, there and back, goes to try->seen. @return 0, or a negative errno: no test */
int wire_try(const struct ptest_try *try, struct err *err);
int socket_try(const struct ptest_try *try, struct err *err);

/* Does a Service have that backend, on this node? */
bool ptest_is_local(const struct rig *rig, const struct ptest_target *target);

/* ---- judge.c ----------------------------------------------------------------------- */

/* @sticky: the Service has affinity. @return false, and why in @why */
#define PTEST_WHY_LEN 900
bool ptest_judge(const struct ptest_flow *flow, const struct ptest_seen *seen, bool sticky,
		 char why[static PTEST_WHY_LEN]);

#endif
