/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* kube-proxy's rules that are still there: found, told, and removed when asked. */
#ifndef SHUNT_USER_DOCTOR_LEFTOVERS_H
#define SHUNT_USER_DOCTOR_LEFTOVERS_H

#include <stdio.h>

#include "doctor/machine.h"
#include "util/arena.h"
#include "util/err.h"

#define LEFTOVER_WORDS 8

/* One step of removing them. Strings live in the arena. */
struct leftover {
	const char *what;		      /* "12 KUBE- chains, …" */
	const char *argv[LEFTOVER_WORDS + 1]; /* the program that removes it */
	const char *input;		      /* what it is to read; NULL: nothing */
	bool ipvs;			      /* of IPVS; else rules */
};

struct leftovers {
	struct arena *arena;
	struct leftover *v;
	size_t n, cap;
	size_t ipvs_others; /* virtual services of IPVS that are not on kube-proxy's device */
	const char *unseen; /* what could not be looked at; NULL: nothing */
};

/* @return 0 (leftovers_done() it) or a negative errno */
int leftovers_find(const struct machine *machine, struct leftovers *out, struct err *err);
void leftovers_done(struct leftovers *leftovers);

/* The commands, with what they read, as one could type them. */
void leftovers_print(const struct leftovers *leftovers, FILE *to);
/* Run them in their order; one that fails ends it. @return 0 or a negative errno */
int leftovers_remove(const struct leftovers *leftovers, struct err *err);

/* A line of /proc/net/ip_vs that is a virtual service. */
struct ipvs_service {
	char proto[5]; /* "TCP", "UDP", "SCTP" */
	struct sh_addr addr;
	uint16_t port; /* host order */
};
/* @return false: the line is something else. Pure. */
bool ipvs_parse(const char *line, struct ipvs_service *out);

#endif
