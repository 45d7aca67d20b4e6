/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What each path through the shipped programs costs on this machine: over maps
 * and Services of its own, in a network namespace and a cgroup of its own.
 *
 *   services.c  the Services that are published
 *   lab.c       programs, packets, flow tables: made, filled, run
 *   rows.c      what is measured, in which order, against what
 *   sockets.c   the same of system calls
 *   programs.c  what the verifier and the JIT made of the programs; memory
 *   report.c    the results, as a table or as JSON
 */
#ifndef SHUNT_USER_BENCH_H
#define SHUNT_USER_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "util/err.h"

#define BENCH_RUNS_MIN 7
#define BENCH_NAME_LEN 64

struct bench_options {
	uint32_t services, endpoints; /* of each Service: half of them on this node */
	uint32_t runs;
	uint32_t flows; /* of the rows with the most; the flow table has room for twice that */
	const char **patterns; /* of row names, fnmatch(); none: all rows */
	size_t n_patterns;
};

/* Of some runs, in ns for one iteration. */
struct bench_range {
	double min, median, max;
};

enum bench_yardstick { YARDSTICK_NONE = 0, YARDSTICK_HASH, YARDSTICK_LRU, YARDSTICK_COUNT };
const char *bench_yardstick_name(enum bench_yardstick yardstick);

/* What a path may take, as a share of its yardstick. */
struct bench_target {
	enum bench_yardstick yardstick;
	double ratio; /* 0: none is set */
};

struct bench_row {
	char name[BENCH_NAME_LEN]; /* HOOK/FAMILY/PATH[/FLOWS] */
	const char *hook, *family, *path;
	uint64_t flows; /* that packets are drawn from; 0: of no matter */
	struct bench_range gross, baseline, net;
	double refused; /* share of new flows that found no room */
	struct bench_target target;
	double yardstick_ns; /* median of its net, measured in the same run; 0: it wasn't */
};

struct bench_program {
	const char *name;
	uint32_t verified; /* instructions that the verifier went through */
	uint32_t jited;	   /* bytes of machine code */
	double load_ms;	   /* of this program alone */
};

struct bench_report;

/* @to: rows go there as they are measured; NULL: none are printed */
struct bench_report *bench_report_new(const struct bench_options *options, FILE *to);
void bench_report_free(struct bench_report *report); /* NULL is fine */
bool bench_wants(const struct bench_report *report, const char *name);
/* @return 0 or -ENOMEM. What is a yardstick has to come before what it measures. */
int bench_report_row(struct bench_report *report, const struct bench_row *row);
/* Net median of a yardstick, 0: not measured */
double bench_report_yardstick(const struct bench_report *report, const char *hook,
			      const char *family, enum bench_yardstick yardstick);
int bench_report_program(struct bench_report *report, const struct bench_program *program);
/* Load time of all objects, and of which kernel these are. */
void bench_report_load(struct bench_report *report, double load_ms);
int bench_report_memory(struct bench_report *report, const char *name, double bytes);
/* The whole as one document; the caller's. @return NULL: no memory */
json_t *bench_report_tree(const struct bench_report *report);
/* No row is of a name that was asked for. */
bool bench_report_is_empty(const struct bench_report *report);

/* Measure all that the options ask for. The process is to be a sandbox's. */
int bench_run(const struct bench_options *options, int cgroup_fd, struct bench_report *report,
	      struct err *err);

#endif
