// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `completion`: a shell's script, which asks `__complete` at every TAB. That
 * verb is in no help: it answers from the tables of verbs and options, and from
 * the kernel where names of Services are wanted.
 *
 * It gets the words behind "shunt", the last of which is being typed, and says
 * a candidate a line: WORD TAB DESCRIPTION. The line ":files" means file names.
 */
#include "cmd/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/get.h"

static const char bash_script[] =
	"# bash completion of shunt, as \"shunt completion bash\" prints it\n"
	"_shunt()\n"
	"{\n"
	"\tlocal line files cur=${COMP_WORDS[COMP_CWORD]}\n"
	"\n"
	"\t[[ $cur != = ]] || cur=\n"
	"\tCOMPREPLY=()\n"
	"\twhile IFS= read -r line; do\n"
	"\t\tif [[ $line == :files ]]; then\n"
	"\t\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\t\tmapfile -t files < <(compgen -f -- \"$cur\")\n"
	"\t\t\tCOMPREPLY+=(\"${files[@]}\")\n"
	"\t\telse\n"
	"\t\t\tCOMPREPLY+=(\"${line%%$'\\t'*}\")\n"
	"\t\tfi\n"
	"\tdone < <(\"${COMP_WORDS[0]}\" __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
	"2>/dev/null)\n"
	"}\n"
	"complete -F _shunt shunt\n";

static const char zsh_script[] =
	"#compdef shunt\n"
	"# zsh completion of shunt, as \"shunt completion zsh\" prints it\n"
	"_shunt()\n"
	"{\n"
	"\tlocal line\n"
	"\tlocal -a lines candidates shown\n"
	"\n"
	"\tlines=(\"${(@f)$(\"${words[1]}\" __complete -- \"${(@)words[2,CURRENT]}\" "
	"2>/dev/null)}\")\n"
	"\tfor line in $lines; do\n"
	"\t\tif [[ $line == :files ]]; then\n"
	"\t\t\t_files\n"
	"\t\telif [[ -n $line ]]; then\n"
	"\t\t\tcandidates+=(\"${line%%$'\\t'*}\")\n"
	"\t\t\tshown+=(\"${line/$'\\t'/  -- }\")\n"
	"\t\tfi\n"
	"\tdone\n"
	"\t(( $#candidates )) && compadd -l -d shown -a candidates\n"
	"}\n"
	"if [[ $funcstack[1] == _shunt ]]; then\n"
	"\t_shunt \"$@\"\n"
	"else\n"
	"\tcompdef _shunt shunt\n"
	"fi\n";

static const char fish_script[] =
	"# fish completion of shunt, as \"shunt completion fish\" prints it\n"
	"function __shunt_complete\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l current (commandline -ct)\n"
	"\tfor line in (command shunt __complete -- $words[2..-1] \"$current\" 2>/dev/null)\n"
	"\t\tif test \"$line\" = :files\n"
	"\t\t\t__fish_complete_path \"$current\"\n"
	"\t\telse\n"
	"\t\t\techo $line\n"
	"\t\tend\n"
	"\tend\n"
	"end\n"
	"complete -c shunt -f -a '(__shunt_complete)'\n";

static const struct {
	const char *shell, *script;
} scripts[] = {
	{ "bash", bash_script },
	{ "zsh", zsh_script },
	{ "fish", fish_script },
};

int completion_run(struct invocation *inv, struct err *err)
{
	const char *shell = inv->request.n_words ? inv->request.words[0] : "";
	size_t i;

	for (i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		if (!strcmp(scripts[i].shell, shell)) {
			say(inv, "%s", scripts[i].script);
			return 0;
		}
	}
	if (!*shell)
		return err_usage(err, -EINVAL, "completion for which shell? bash, zsh or fish");
	return err_usage(err, -EINVAL, "no completion for \"%.64s\": bash, zsh and fish have one",
			 shell);
}

/* ---- candidates ------------------------------------------------------------------ */

struct completing {
	struct invocation *inv;
	struct option_input input; /* the words before, read as a command line */
	struct settings settings;
	struct request request;
	const struct command *command; /* NULL: none yet */
	const char *word;	       /* what is typed of the word */
	const char *before;	       /* of the same word: "--output=", or "" */
};

/* @about may be NULL */
static void offer(const struct completing *c, const char *candidate, const char *about)
{
	if (strncmp(candidate, c->word, strlen(c->word)) != 0)
		return;
	say(c->inv, "%s%s%s%s\n", c->before, candidate, about ? "\t" : "", about ? about : "");
}

static void offer_verbs(const struct completing *c)
{
	size_t i;

	for (i = 0; i < commands_count(); i++) {
		if (!commands[i].hidden)
			offer(c, commands[i].name, commands[i].summary);
	}
}

static void offer_options(const struct completing *c)
{
	const unsigned int groups = c->command ? c->command->options : 0;
	char name[64];
	size_t i;

	for (i = 0; i < options_count(); i++) {
		if (!(options[i].group & (groups | OPTIONS_HELP)))
			continue;
		(void)snprintf(name, sizeof(name), "--%s", options[i].name);
		offer(c, name, options[i].help);
	}
}

/* "bash|zsh|fish", where these are words to be typed as they are. */
static void offer_choices(const struct completing *c, const char *choices)
{
	char word[64];
	size_t len;

	while (*choices) {
		len = strcspn(choices, "|");
		(void)snprintf(word, sizeof(word), "%.*s", (int)len, choices);
		offer(c, word, NULL);
		choices += len + (choices[len] == '|');
	}
}

/* ---- what the kernel holds --------------------------------------------------------- */

struct live_names {
	const char *ns; /* of this one; NULL: of all */
	bool namespaces;
	char (*v)[SH_NAME_MAX + 1];
	size_t n, cap;
};

static int take_name(const struct frontend_view *view, void *arg)
{
	struct live_names *names = arg;
	const char *name = names->namespaces ? view->service->ns : view->service->name;
	size_t cap = names->cap ? names->cap * 2 : 64;
	void *larger;

	if (names->ns && strcmp(names->ns, view->service->ns) != 0)
		return 0;
	/* Frontends of one Service are many. */
	if (names->n && !strcmp(names->v[names->n - 1], name))
		return 0;
	if (names->n == names->cap) {
		larger = reallocarray(names->v, cap, sizeof(*names->v));
		if (!larger)
			return -ENOMEM;
		names->v = larger;
		names->cap = cap;
	}
	(void)snprintf(names->v[names->n++], sizeof(*names->v), "%s", name);
	return 0;
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* What goes wrong is not for somebody who has pressed TAB: there are no names then. */
static void offer_live(const struct completing *c, const char *ns, bool namespaces)
{
	struct live_names names = { .ns = ns, .namespaces = namespaces };
	struct dataplane *dp = NULL;
	struct err err;
	size_t i;
	int ret;

	ret = dataplane_open(&dp, DATAPLANE_READ, &c->settings, &err);
	if (!ret)
		ret = dataplane_frontends(dp, take_name, &names, &err);
	dataplane_close(dp);
	if (!ret && names.n)
		qsort(names.v, names.n, sizeof(*names.v), name_cmp);
	for (i = 0; !ret && i < names.n; i++) {
		if (!i || strcmp(names.v[i], names.v[i - 1]) != 0)
			offer(c, names.v[i], NULL);
	}
	free(names.v);
}

static const struct resource *resource_of(const struct completing *c)
{
	if (!c->command || c->command->run != get_run || c->request.n_words < 2)
		return NULL;
	return get_resource_find(c->request.words[1], strlen(c->request.words[1]));
}

static void offer_services(const struct completing *c)
{
	const struct resource *resource = resource_of(c);
	const char *ns = c->request.ns;

	if (!ns && resource && resource->by_service && !c->request.all_namespaces)
		ns = "default";
	offer_live(c, ns, false);
}

/* ---- places ------------------------------------------------------------------------ */

static void offer_columns(const struct completing *c)
{
	const struct resource *resource = resource_of(c);
	char word[ORDER_WORD_LEN];
	size_t i;

	for (i = 0; resource && i < resource->listing->n_columns; i++) {
		if (get_order_word(&resource->listing->columns[i], word))
			offer(c, word, NULL);
	}
}

static void offer_words(const struct completing *c, const struct option *option)
{
	const bool output = option == options_find("output");
	size_t i;

	for (i = 0; option->words[i].word; i++) {
		if (!output || !c->command || c->command->outputs & 1u << option->words[i].value)
			offer(c, option->words[i].word, NULL);
	}
}

static void offer_values(const struct completing *c, const struct option *option)
{
	if (!option->arg)
		offer_choices(c, "true|false");
	else if (option->words)
		offer_words(c, option);
	else if (!strcmp(option->name, "namespace"))
		offer_live(c, NULL, true);
	else if (!strcmp(option->name, "service"))
		offer_services(c);
	else if (!strcmp(option->name, "sort-by"))
		offer_columns(c);
	else if (strstr(option->arg, "FILE") || strstr(option->arg, "DIR"))
		say(c->inv, ":files\n");
}

static void offer_resources(const struct completing *c)
{
	size_t i;

	for (i = 0; i < get_resources_count(); i++)
		offer(c, get_resources[i].name, get_resources[i].summary);
}

/* By what the verb's usage line says that it takes. */
static void offer_operands(const struct completing *c)
{
	const char *args = c->command->args;
	const struct resource *resource = resource_of(c);
	size_t n = c->request.n_words - 1;

	if (c->command->run == get_run && !n)
		offer_resources(c);
	else if (c->command->run == get_run && resource && resource->by_service)
		offer_services(c);
	else if (n < c->command->words_max && strstr(args, "SERVICE"))
		offer_services(c);
	else if (n < c->command->words_max && strstr(args, "VERB"))
		offer_verbs(c);
	else if (n < c->command->words_max && strstr(args, "PATH"))
		say(c->inv, ":files\n");
	else if (n < c->command->words_max && c->command->run == completion_run)
		offer_choices(c, args);
}

/* The option whose value comes next, if @word is one that has none yet; or NULL. */
static const struct option *awaits_value(const char *word)
{
	const struct option *option = NULL;
	size_t i, at;

	if (word[0] != '-' || !word[1])
		return NULL;
	if (word[1] == '-') {
		option = strchr(word, '=') ? NULL : options_find(word + 2);
		return option && option->arg ? option : NULL;
	}
	/* "-An": the first letter that takes a value takes the rest. */
	for (at = 1; word[at]; at++) {
		for (i = 0; i < options_count() && options[i].letter != word[at]; i++)
			;
		if (i == options_count())
			return NULL;
		if (options[i].arg)
			return word[at + 1] ? NULL : &options[i];
	}
	return NULL;
}

/* Has "--" been said, so that no more options come? */
static bool only_words(const char *const *words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!strcmp(words[i], "--"))
			return true;
	}
	return false;
}

/* The words before the one that is typed: the verb, its operands, where the instance is. */
static int read_before(struct completing *c, const char *const *words, size_t n)
{
	char **argv = arena_array(c->inv->arena, n + 2, sizeof(char *));
	struct err err;
	size_t i;

	if (!argv)
		return -ENOMEM;
	argv[0] = arena_strdup(c->inv->arena, "shunt");
	for (i = 0; i < n; i++)
		argv[i + 1] = arena_strdup(c->inv->arena, words[i]);
	settings_init(&c->settings);
	c->input.settings = &c->settings;
	c->input.request = &c->request;
	c->input.arena = c->inv->arena;
	/* What is wrong with them is told when the line is complete. */
	(void)options_parse(&c->input, (int)n + 1, argv, &err);
	if (c->request.n_words)
		c->command = command_find(c->request.words[0], &err);
	return 0;
}

/* bash cuts "--output=js" in three. @return the option, and *@n is less by what was cut off */
static const struct option *cut_value(const char *const *words, size_t *n)
{
	const struct option *option;
	size_t at = *n;

	if (at && !strcmp(words[at - 1], "="))
		at--;
	if (!at)
		return NULL;
	option = *n == at			    ? awaits_value(words[at - 1])
		 : !strncmp(words[at - 1], "--", 2) ? options_find(words[at - 1] + 2)
						    : NULL;
	if (option)
		*n = at - 1;
	return option;
}

/* "--output=js" in one word */
static const struct option *attached_value(struct completing *c)
{
	const struct option *option;
	const char *equals = strchr(c->word, '=');
	char name[64];

	if (strncmp(c->word, "--", 2) != 0 || !equals)
		return NULL;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(equals - c->word - 2), c->word + 2);
	option = options_find(name);
	if (!option)
		return NULL;
	c->before = arena_strndup(c->inv->arena, c->word, (size_t)(equals + 1 - c->word));
	c->word = equals + 1;
	return c->before ? option : NULL;
}

int complete_run(struct invocation *inv, struct err *err)
{
	const char *const *words = inv->request.words;
	size_t n = inv->request.n_words ? inv->request.n_words - 1 : 0;
	struct completing c = { .inv = inv, .word = "", .before = "" };
	const struct option *option = NULL;
	bool no_options = only_words(words, n);

	if (inv->request.n_words)
		c.word = words[n];
	if (!no_options && !strcmp(c.word, "=") && n && !strncmp(words[n - 1], "--", 2)) {
		option = options_find(words[--n] + 2);
		c.word = "";
	} else if (!no_options) {
		option = cut_value(words, &n);
	}
	if (!option && !no_options)
		option = attached_value(&c);
	if (read_before(&c, words, n))
		return err_system(err, -ENOMEM, "complete the command line");
	if (option)
		offer_values(&c, option);
	else if (c.word[0] == '-' && !no_options)
		offer_options(&c);
	else if (!c.request.n_words)
		offer_verbs(&c);
	else if (c.command)
		offer_operands(&c);
	return 0;
}
