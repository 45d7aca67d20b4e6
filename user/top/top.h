/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `top`: live rates of a pinned instance, on a screen or as one snapshot.
 *
 *   model.c   what was counted, and the rates: no I/O
 *   rows.c    which rows, in which order, what they say: no I/O
 *   ui.c      what keys do: no I/O
 *   read.c    from the pinned maps into the model
 *   screen.c  ncurses; the loop
 *   list.c    the snapshot
 */
#ifndef SHUNT_USER_TOP_H
#define SHUNT_USER_TOP_H

#include <stdio.h>
#include <sys/stat.h>

#include "dataplane/dataplane.h"
#include "top/rows.h"
#include "util/output.h"

#define TOP_DELAY_MS_DEFAULT 2000
#define TOP_DELAY_MS_MIN     100
#define TOP_DELAY_MS_MAX     3600000

struct top_options {
	const struct settings *settings;
	const char *ns, *service; /* "": any */
	uint32_t delay_ms;
	enum output_format output; /* of the snapshot */
	/* Of the agent that runs, 0: none does. */
	long (*agent)(const struct settings *settings);
};

/* ---- read.c ---- */

struct top_reader {
	const struct top_options *options;
	struct dataplane *dp;
	struct stat pin; /* of the instance that @dp is of */
	struct top top;
	uint64_t published; /* publishes that there had been when names were read */
	bool named;
	struct flow_counts flows;
	long agent;
	uint64_t cost_ns; /* of CPU, by the last sample */
};

/* @return 0 (top_reader_done() it) or a negative errno */
int top_reader_open(struct top_reader *reader, const struct top_options *options, struct err *err);
void top_reader_done(struct top_reader *reader);
/*
 * One more sample. An instance that was replaced is opened anew. @return 0, or a negative errno;
 * what is known stays, and the next call may have more luck
 */
int top_read(struct top_reader *reader, struct err *err);
/* Is the Service there that was asked for? @return 0 or -ENOENT */
int top_check(const struct top_reader *reader, struct err *err);

/* The three lines above the list. @line: 0-2. @return @buf */
#define TOP_LINE_SIZE 512
const char *top_summary(const struct top_reader *reader, unsigned int line,
			char buf[static TOP_LINE_SIZE]);

/* ---- screen.c, list.c ---- */

/* Until q, SIGINT, SIGTERM or SIGHUP. @return 0 or a negative errno */
int top_screen(struct top_reader *reader, struct err *err);
/* Measure for one delay, and print it. @return the same; -EPIPE without a message: nobody reads */
int top_list(struct top_reader *reader, FILE *to, struct err *err);

#endif
