/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every option there is, in one table: the command line, the environment, a
 * configuration file, a packet test's `options:` and what an instance was
 * started with are read through it, and --help is printed from it.
 */
#ifndef SHUNT_USER_OPTIONS_H
#define SHUNT_USER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/settings.h"
#include "util/arena.h"
#include "util/err.h"
#include "util/nearest.h"
#include "util/output.h"

/* Which verbs take an option: a command's mask names its groups. */
enum option_group {
	OPTIONS_HELP = 0x1,	   /* --help: all verbs */
	OPTIONS_INSTANCE = 0x2,	   /* --bpffs */
	OPTIONS_STATE = 0x4,	   /* --state */
	OPTIONS_FILES = 0x8,	   /* -f */
	OPTIONS_OUTPUT = 0x10,	   /* -o */
	OPTIONS_SCOPE = 0x20,	   /* -n, -A, --service, --replies */
	OPTIONS_LIST = 0x10000,	   /* -l, --sort-by, -w */
	OPTIONS_ENDS = 0x20000,	   /* --src, --dst */
	OPTIONS_CONTROL = 0x40,	   /* node, CIDRs: what resolving depends on */
	OPTIONS_DATAPATH = 0x80,   /* devices, modes, sizes */
	OPTIONS_TEST = 0x100,	   /* --hook */
	OPTIONS_TRACE = 0x200,	   /* --from, --proto */
	OPTIONS_AGENT = 0x400,	   /* sources, configuration file, servers */
	OPTIONS_BENCH = 0x800,	   /* sizes, --runs, --row */
	OPTIONS_DOCTOR = 0x40000,  /* -n, --src, devices, --remove-kube-proxy, --yes */
	OPTIONS_MONITOR = 0x80000, /* -n, -A, --service, --event, --reason, --pcap, ... */
	OPTIONS_TOP = 0x100000,	   /* -n, -A, --service, -d, -b */
};

/* All that the agent takes, and so what its configuration file may say. */
#define OPTIONS_OF_AGENT \
	(OPTIONS_AGENT | OPTIONS_INSTANCE | OPTIONS_STATE | OPTIONS_CONTROL | OPTIONS_DATAPATH)

/* What a command line says besides settings. Arrays and strings: the arena's or argv's. */
struct request {
	bool help;
	const char *ns; /* NULL: not given */
	bool all_namespaces;
	bool output_given;
	enum output_format output;
	const char **files;
	size_t n_files;
	const char *service; /* NULL: not given */
	bool replies;
	const char *selector, *sort_by; /* NULL: not given */
	bool watch;
	bool remove_kube_proxy, yes;
	unsigned int hooks; /* a mask of 1u << enum ptest_hook; 0: not given */
	bool from_given;
	unsigned int from;     /* enum ptest_from */
	const char *src, *dst; /* NULL: not given */
	unsigned int proto;    /* IPPROTO_*; 0: not given */
	struct {	       /* of bench; 0: not given */
		uint32_t services, endpoints, flows, runs;
	} bench;
	const char *events, *reasons, *pcap;	 /* of monitor; NULL: not given */
	uint32_t snaplen, rate, count, duration; /* 0: not given */
	uint32_t delay_ms;			 /* of top; 0: not given */
	bool batch;
	const char **rows; /* patterns of row names */
	size_t n_rows;
	const char **words; /* verb, resource, names */
	size_t n_words;
};

/* The longest command line is no matter: only one text per option is kept. */
#define OPTIONS_MAX 96

struct option_input {
	struct settings *settings;
	struct request *request;	/* NULL: settings only */
	struct arena *arena;		/* owns the strings that settings point to */
	const char *given[OPTIONS_MAX]; /* by place in the table, lists joined by commas; or NULL */
};

struct option_call;

struct option_word {
	const char *word;
	unsigned int value;
};

struct option {
	const char *name;   /* without the dashes */
	char letter;	    /* 0: none */
	const char *arg;    /* as --help shows it; NULL: a flag, which takes =true or =false */
	unsigned int group; /* enum option_group */
	bool in_request;    /* fills in struct request, not struct settings */
	bool reloadable;    /* a running agent can take another value over */
	int (*set)(const struct option_call *call, struct err *err);
	size_t offset;			 /* of the field */
	uint32_t min, max;		 /* of a number */
	const struct option_word *words; /* of a choice; its last one is NULL */
	const char *help;
};

extern const struct option options[];
size_t options_count(void);
/* Of the long name @name, or NULL. */
const struct option *options_find(const char *name);
/* Can a running agent take another value over (SIGHUP)? The rest needs a restart. */
bool options_reloadable(const struct option *option);
/* Offer the names of the options that are settings of one of @groups. */
void options_offer(struct nearest *nearest, unsigned int groups);

/*
 * Set one option by its long name, as a packet test or a stored setting gives
 * it. A list's first value replaces the default, further ones (also after
 * commas) are added. @value is copied. @return 0, or -EINVAL with a usage
 * error that names the option.
 */
int settings_set(struct option_input *input, const char *name, const char *value, struct err *err);

/*
 * Read a command line into @input, options and words in any order; argv must
 * outlive it. On a failure the words before it are in the request already.
 */
int options_parse(struct option_input *input, int argc, char **argv, struct err *err);

/* The first option given that is in none of @groups, or NULL. */
const struct option *options_refused(const struct option_input *input, unsigned int groups);

#endif
