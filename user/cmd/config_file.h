/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the agent is told beside its command line. An option's value is that of
 * the command line, else of the environment (--service-cidr: SHUNT_SERVICE_CIDR),
 * else of the --config file, else the default. The file is an AgentConfiguration,
 * whose keys are the long options' names, or a KubeProxyConfiguration.
 */
#ifndef SHUNT_USER_CONFIG_FILE_H
#define SHUNT_USER_CONFIG_FILE_H

#include "cmd/options.h"

#define CONFIG_WARNINGS_MAX 8

/* Lines for standard error, in the arena of the option_input. Zeroed is empty. */
struct config_warnings {
	const char *text[CONFIG_WARNINGS_MAX];
	size_t n;
};

/* What the command line and the environment said: the file never outranks it. */
struct config_base {
	const char *given[OPTIONS_MAX]; /* by place in the option table */
};

/*
 * Set what the environment (@env as environ, "NAME=VALUE") says of the options
 * in @groups and the command line didn't. An empty variable says nothing.
 */
int config_environment_apply(struct option_input *input, unsigned int groups, char *const *env,
			     struct config_warnings *warnings, struct err *err);

/*
 * Set what the file @path says of options that were not given. What of it has
 * no meaning here is named in one warning. @return 0, or a negative errno and
 * what is wrong first, with its place; @input is untouched then.
 */
int config_file_apply(struct option_input *input, const char *path,
		      struct config_warnings *warnings, struct err *err);

/*
 * Both of them over the command line that @input has already been given.
 * *base_out is what config_reload() needs; its strings are the arena's.
 */
int config_load(struct option_input *input, char *const *env, struct config_base *base_out,
		struct config_warnings *warnings, struct err *err);

/*
 * Read the file again: @next (with settings and an arena of its own, nothing
 * given) is filled in anew from defaults, @base and the file. An option that can't change
 * at run time stays what it is in @now, and a warning names it. @next must not
 * be used after a failure; @now holds on.
 */
int config_reload(const struct config_base *base, const struct option_input *now,
		  struct option_input *next, struct config_warnings *warnings, struct err *err);

#endif
