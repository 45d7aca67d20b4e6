// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Command line over environment over file, at the start and when asked to read the file again. */
#include "cmd/config_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/config_draft.h"

#define ENV_PREFIX     "SHUNT_"
#define ENV_PREFIX_LEN (sizeof(ENV_PREFIX) - 1)
#define NAME_MAX_LEN   64

/* ---- the environment --------------------------------------------------------- */

/* "SHUNT_SERVICE_CIDR=x" -> "service-cidr". @return false: not one of ours */
static bool option_name(const char *entry, char name[static NAME_MAX_LEN])
{
	const size_t len = strcspn(entry, "=");
	size_t i;

	if (strncmp(entry, ENV_PREFIX, ENV_PREFIX_LEN) != 0 || !entry[len] ||
	    len - ENV_PREFIX_LEN >= NAME_MAX_LEN)
		return false;
	for (i = ENV_PREFIX_LEN; i < len; i++) {
		if (islower((unsigned char)entry[i]))
			return false;
		name[i - ENV_PREFIX_LEN] =
			entry[i] == '_' ? '-' : (char)tolower((unsigned char)entry[i]);
	}
	name[len - ENV_PREFIX_LEN] = '\0';
	return true;
}

/* Kubernetes gives every pod of a namespace such variables, by the names of its Services. */
static bool is_of_service(const char *name)
{
	return !strncmp(name, "port", 4) || strstr(name, "-port") || strstr(name, "service-host");
}

/* So only what is nearly an option is worth a word. */
static int unknown_variable(struct option_input *input, const char *entry, const char *name,
			    struct config_warnings *warnings)
{
	const int len = (int)strcspn(entry, "=");
	struct nearest nearest;
	char meant[NAME_MAX_LEN];
	size_t i;

	nearest_init(&nearest, name);
	options_offer(&nearest, OPTIONS_OF_AGENT);
	if (!nearest.best || is_of_service(name) || !strcmp(name, "debug"))
		return 0;
	for (i = 0; nearest.best[i]; i++)
		meant[i] = nearest.best[i] == '-' ? '_'
						  : (char)toupper((unsigned char)nearest.best[i]);
	meant[i] = '\0';
	return config_warn(warnings, input->arena,
			   "environment: %.*s is no option, ignored (did you mean \"" ENV_PREFIX
			   "%s\"?)",
			   len, entry, meant);
}

static int variable_set(struct option_input *input, const char *entry, const char *name,
			struct err *err)
{
	const int len = (int)strcspn(entry, "=");
	const int ret = settings_set(input, name, entry + len + 1, err);

	if (ret)
		err_prefix(err, "environment: %.*s", len, entry);
	return ret;
}

int config_environment_apply(struct option_input *input, unsigned int groups, char *const *env,
			     struct config_warnings *warnings, struct err *err)
{
	const struct option *option;
	struct config_base line;
	char name[NAME_MAX_LEN];
	int ret = 0;

	memcpy(line.given, input->given, sizeof(line.given));
	for (; !ret && *env; env++) {
		if (!option_name(*env, name) || !(*env)[strcspn(*env, "=") + 1])
			continue;
		option = options_find(name);
		if (!option || option->in_request)
			ret = unknown_variable(input, *env, name, warnings);
		else if (option->group & groups && !line.given[option - options] &&
			 !config_outranked(option, line.given))
			ret = variable_set(input, *env, name, err);
	}
	return ret == -ENOMEM ? err_system(err, ret, "read the environment") : ret;
}

/* ---- all of it ------------------------------------------------------------------- */

int config_load(struct option_input *input, char *const *env, struct config_base *base_out,
		struct config_warnings *warnings, struct err *err)
{
	struct config_base base;
	int ret;

	ret = config_environment_apply(input, OPTIONS_OF_AGENT, env, warnings, err);
	if (ret)
		return ret;
	memcpy(base.given, input->given, sizeof(base.given));
	if (input->settings->config)
		ret = config_file_apply(input, input->settings->config, warnings, err);
	if (!ret)
		*base_out = base;
	return ret;
}

/* Defaults, and over them the @texts of settings. */
static int set_all(struct option_input *input, const char *const *texts, struct err *err)
{
	size_t i;
	int ret = 0;

	settings_init(input->settings);
	memset(input->given, 0, sizeof(input->given));
	for (i = 0; !ret && i < options_count(); i++) {
		if (texts[i] && !options[i].in_request)
			ret = settings_set(input, options[i].name, texts[i], err);
	}
	return ret;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* What lasts goes from @now into @texts; what somebody wanted otherwise is told. */
static int keep_lasting(const struct option_input *now, const char **texts, struct arena *arena,
			struct config_warnings *warnings)
{
	char names[512] = "";
	size_t i, len;

	for (i = 0; i < options_count(); i++) {
		if (options[i].in_request || options_reloadable(&options[i]) ||
		    same_text(now->given[i], texts[i]))
			continue;
		texts[i] = now->given[i];
		len = strlen(names);
		(void)snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "",
			       options[i].name);
	}
	if (!*names)
		return 0;
	return config_warn(warnings, arena, "changed, but in force only after a restart: %s",
			   names);
}

int config_reload(const struct config_base *base, const struct option_input *now,
		  struct option_input *next, struct config_warnings *warnings, struct err *err)
{
	const char *texts[OPTIONS_MAX];
	int ret;

	ret = set_all(next, base->given, err);
	if (!ret && next->settings->config)
		ret = config_file_apply(next, next->settings->config, warnings, err);
	if (ret)
		return ret;
	memcpy(texts, next->given, sizeof(texts));
	if (keep_lasting(now, texts, next->arena, warnings))
		return err_system(err, -ENOMEM, "read the configuration again");
	return set_all(next, texts, err);
}
