/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of bench/ share; nobody else includes this. */
#ifndef SHUNT_USER_BENCH_INTERNAL_H
#define SHUNT_USER_BENCH_INTERNAL_H

#include "bench/bench.h"
#include "dataplane/internal.h"
#include "ptest/rig.h"
#include "shunt/bench.h"

enum bench_hook { HOOK_XDP = 0, HOOK_TC };

/* ---- services.c ---- */

/* Which addresses a client uses. Every Service has both. */
enum bench_side {
	SIDE_HERE = 0, /* an outside address under policy Local: backends of this node */
	SIDE_AWAY,     /* its ClusterIP, from outside: backends elsewhere, masqueraded */
	SIDE_AFFINE,   /* the Service with session affinity, backends here */
	SIDE_UDP,      /* the Service for sockets: a UDP socket's connect() sends nothing */
};
#define BENCH_SERVICES_MORE 2 /* the last two */

/* @return NULL: no memory */
struct wanted *bench_services(const struct bench_options *options, bool v6);
struct sh_addr bench_service_addr(const struct bench_options *options, enum bench_side side,
				  uint32_t service, bool v6);
/* Room for them all. */
void bench_services_room(const struct bench_options *options, struct settings *settings);
#define BENCH_SERVICE_PORT 80
#define BENCH_PLAIN4	   "11.0.0.0"
#define BENCH_PLAIN6	   "2001:db8:f::"

/* ---- lab.c ---- */

struct lab;

int lab_new(struct lab **out, const struct bench_options *options, struct err *err);
void lab_free(struct lab *lab); /* NULL is fine */
/*
 * One family at a time. @large: the flow table is for twice as many flows as the options ask
 * for, else of the default size.
 */
int lab_load(struct lab *lab, bool v6, bool large, struct err *err);
struct rig *lab_rig(struct lab *lab);
bool lab_v6(const struct lab *lab);

/* ---- the packets, which are drawn in turn ---- */

/* @n packets of flows that never were. @return 0 */
void lab_draw_new(struct lab *lab, enum bench_side side, uint32_t n, bool syn);
/* The packets that open, or go on, with the flows of lab_fill(). */
void lab_draw_filled(struct lab *lab, uint32_t n);
/* Answers to @n flows of the table, in no order. @return how many there were */
uint32_t lab_draw_replies(struct lab *lab, uint32_t n);
void lab_draw_plain(struct lab *lab, uint32_t n);

/* ---- the flow table ---- */

void lab_clear(struct lab *lab);
/* Add @n answered flows. */
int lab_fill(struct lab *lab, enum bench_side side, uint32_t n, struct err *err);
/* New flows that can be opened at once without pushing each other out. */
uint32_t lab_batch(const struct lab *lab);
uint32_t lab_table_flows(const struct lab *lab); /* flows, of two entries, that it has room for */
/* Remember who has which slot, and put that back. */
int lab_save(struct lab *lab, struct err *err);
void lab_restore(struct lab *lab);
/* All drawn packets' tuples into the map of a yardstick. */
int lab_fill_map(struct lab *lab, enum bench_yardstick yardstick, uint32_t n, struct err *err);
/* Bound by the programs, since they were loaded. */
uint64_t lab_connections(const struct lab *lab);

/* ---- running ---- */

enum lab_target { LAB_EMPTY = 0, LAB_SHUNT, LAB_SHUNT_EGRESS, LAB_HASH, LAB_LRU };

struct lab_run {
	enum bench_hook hook;
	enum lab_target target;
	bool direct;	 /* call the target itself, with the first of the packets */
	uint32_t n;	 /* packets that are drawn from */
	uint32_t repeat; /* iterations */
	/* out */
	double ns; /* of the thread's time, for one iteration */
	int action;
	bool changed; /* the last packet isn't as it went in */
};
int lab_run(struct lab *lab, struct lab_run *run, struct err *err);

/* ---- rows.c, sockets.c, programs.c ---- */

/* Those that the lab is right for, as it was loaded. */
int bench_rows(struct lab *lab, bool large, struct bench_report *report, struct err *err);
bool bench_wants_rows(const struct bench_report *report, const struct bench_options *options,
		      bool v6, bool large);
struct bench_range bench_range_of(double *values, uint32_t n);
double bench_cpu_ns(void); /* this thread's time */
bool bench_wants_sockets(const struct bench_report *report, bool v6);
int bench_sockets(struct lab *lab, int cgroup_fd, struct bench_report *report, struct err *err);
int bench_programs(struct lab *lab, struct bench_report *report, struct err *err);
int bench_memory(struct lab *lab, struct bench_report *report, struct err *err);

/* Programs of a cgroup that do nothing. */
enum lab_hook { LAB_HOOK_CONNECT = 0, LAB_HOOK_GETPEER, LAB_HOOKS };
int lab_hook_fd(const struct lab *lab, enum lab_hook hook);

const struct bench_options *lab_options(const struct lab *lab);

#endif
