/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A verb is a row of the table in commands.c and a function in a file of its
 * name. Commands return 0, or a negative errno with the line to report and the
 * exit code in *err; main() alone prints that line.
 */
#ifndef SHUNT_USER_COMMAND_H
#define SHUNT_USER_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cmd/options.h"
#include "model/settings.h"
#include "util/arena.h"
#include "util/err.h"

/* One run of the program. */
struct invocation {
	const struct command *command;
	struct settings settings; /* the defaults, then what the command line says */
	struct request request;
	struct option_input input; /* over these two */
	struct arena *arena;	   /* strings of the command line; lives as long as the run */
	FILE *out;		   /* where say() says it: standard output */
	bool mdoc;		   /* help is wanted as a manual page's source */
	int write_errno;	   /* of the first say() that failed */
};

enum command_needs { NEEDS_NOTHING = 0, NEEDS_READ, NEEDS_WRITE };

struct command {
	const char *name;
	const char *args;    /* what follows the verb in its usage line, "" for nothing */
	const char *summary; /* one line */
	const char *text;    /* paragraphs for its help; lines of at most 80 columns */
	const char *examples;
	unsigned int options; /* enum option_group; OPTIONS_HELP goes without saying */
	unsigned int outputs; /* 1u << enum output_format, of those it knows; with OPTIONS_OUTPUT */
	bool hidden;	      /* for programs: in no help, and suggested to nobody */
	bool files_optional;  /* with OPTIONS_FILES: -f may be left out */
	enum command_needs needs;
	size_t words_max; /* operands it takes */
	int (*run)(struct invocation *inv, struct err *err);
	void (*help)(struct invocation *inv); /* adds to its help; or NULL */
};

extern const struct command commands[];
size_t commands_count(void);
/* @return NULL: there is none, and *err names the nearest */
const struct command *command_find(const char *name, struct err *err);

#define OUTPUTS_LIST                                                                              \
	((1u << OUTPUT_TABLE) | (1u << OUTPUT_WIDE) | (1u << OUTPUT_JSON) | (1u << OUTPUT_YAML) | \
	 (1u << OUTPUT_NAME))
#define OUTPUTS_TEST	 ((1u << OUTPUT_TAP) | (1u << OUTPUT_JUNIT) | (1u << OUTPUT_JSON))
#define OUTPUTS_BENCH	 ((1u << OUTPUT_TABLE) | (1u << OUTPUT_JSON))
#define OUTPUTS_DOCUMENT ((1u << OUTPUT_TABLE) | (1u << OUTPUT_JSON) | (1u << OUTPUT_YAML))

/* ---- for the commands ------------------------------------------------------- */

/* printf() to inv->out; a failure is kept and reported at the end. */
__attribute__((format(printf, 2, 3))) void say(struct invocation *inv, const char *fmt, ...);
/* The command has said on standard error what is wrong: end with @code and no more words. */
int err_said(struct err *err, enum exit_code code);
/* A write to standard output failed. */
int err_output(struct err *err, int ret);
/*
 * Does this process have the capabilities that @command needs? Commands ask
 * once the usage is seen to be right. @return 0 or -EPERM
 */
int privilege_check(const struct command *command, struct err *err);

/* The verbs, each in its file. */
int apply_run(struct invocation *inv, struct err *err);
int delete_run(struct invocation *inv, struct err *err);
int reset_run(struct invocation *inv, struct err *err);
int check_run(struct invocation *inv, struct err *err);
int get_run(struct invocation *inv, struct err *err);
void get_help(struct invocation *inv);
int test_run(struct invocation *inv, struct err *err);
int agent_run(struct invocation *inv, struct err *err);
int trace_run(struct invocation *inv, struct err *err);
int bench_cmd_run(struct invocation *inv, struct err *err);
int completion_run(struct invocation *inv, struct err *err);
int complete_run(struct invocation *inv, struct err *err);
int man_run(struct invocation *inv, struct err *err);
int status_run(struct invocation *inv, struct err *err);
int doctor_cmd_run(struct invocation *inv, struct err *err);
void doctor_help(struct invocation *inv);
int monitor_run(struct invocation *inv, struct err *err);
int top_run(struct invocation *inv, struct err *err);
int version_run(struct invocation *inv, struct err *err);
int help_run(struct invocation *inv, struct err *err);

/* help.c: @command's help, or that of all (NULL). */
void help_print(struct invocation *inv, const struct command *command);
/* What a verb adds to its help: a list under a heading, item by item. */
struct help_item {
	const char *name;
	const char *type; /* of a field; NULL: has none */
	const char *text;
};

void help_list(struct invocation *inv, const char *heading);
void help_item(struct invocation *inv, const struct help_item *item);
void help_list_end(struct invocation *inv);

#endif
