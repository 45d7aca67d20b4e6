// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `__man`: the source of a manual page, as make asks for it. The tables of verbs
 * and options give what --help says; what they have no room for is a fragment,
 * man/PAGE.mdoc: its head (.Dd), then under each heading what follows there. The
 * pages are made with the program, and kept nowhere, so that they can't be stale.
 */
#include "cmd/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/mdoc.h"

struct page {
	struct invocation *inv;
	const struct command *command; /* NULL: the page of all */
	const char *fragment;	       /* its text */
};

/* In the order that mdoc(7) has them in. */
struct section {
	const char *heading;
	void (*print)(const struct page *page); /* what comes before the fragment's; or NULL */
	unsigned int groups; /* enum option_group: not for verbs with none of them; 0: for all */
};

/* ---- what the tables say --------------------------------------------------------------- */

static void print_name(const struct page *page)
{
	if (page->command)
		say(page->inv, ".Nm shunt-%s\n.Nd %s\n", page->command->name,
		    page->command->summary);
	else
		say(page->inv, ".Nm shunt\n"
			       ".Nd Kubernetes Service load balancer in eBPF, with or without a "
			       "cluster\n");
}

static void print_usage(const struct page *page, const struct command *command)
{
	say(page->inv, ".Nm shunt Cm %s", command->name);
	mdoc_syntax(page->inv, command->args);
	say(page->inv, "%s\n", command->options ? " Op Ar options" : "");
}

static void print_synopsis(const struct page *page)
{
	size_t i;

	for (i = 0; i < commands_count(); i++) {
		if (!commands[i].hidden && (!page->command || page->command == &commands[i]))
			print_usage(page, &commands[i]);
	}
}

static void print_verbs(const struct page *page)
{
	size_t i;

	say(page->inv, ".Ss Verbs\n.Bl -tag -width \"shunt-completion(8)\"\n");
	for (i = 0; i < commands_count(); i++) {
		if (commands[i].hidden)
			continue;
		say(page->inv, ".It Xr shunt-%s 8\n", commands[i].name);
		mdoc_sentence(page->inv, commands[i].summary);
	}
	say(page->inv, ".El\n");
}

/* Those of the verb, where the help of all verbs lists all formats. */
static void print_formats(const struct page *page, const struct option *option)
{
	const char *separator = "One of\n";
	size_t i;

	for (i = 0; option->words[i].word; i++) {
		if (!(page->command->outputs & 1u << option->words[i].value))
			continue;
		say(page->inv, "%s.Cm %s", separator, option->words[i].word);
		separator = " ,\n";
	}
	say(page->inv, " .\n");
}

static void print_option(const struct page *page, const struct option *option)
{
	struct invocation *inv = page->inv;

	say(inv, ".It ");
	if (option->letter)
		say(inv, "Fl %c , ", option->letter);
	say(inv, "Fl -%s", option->name);
	mdoc_syntax(inv, option->arg ? option->arg : "");
	say(inv, "\n");
	if (option->group & OPTIONS_OUTPUT && option->words)
		print_formats(page, option);
	else
		mdoc_sentence(inv, option->help);
}

static void print_options(const struct page *page)
{
	const unsigned int groups = page->command->options | OPTIONS_HELP;
	size_t i;

	say(page->inv, ".Ss Options\n.Bl -tag -width Ds\n");
	for (i = 0; i < options_count(); i++) {
		if (options[i].group & groups)
			print_option(page, &options[i]);
	}
	say(page->inv, ".El\n");
}

/* Prose before lists: subsections only follow. */
static void print_description(const struct page *page)
{
	if (page->command)
		mdoc_prose(page->inv,
			   *page->command->text ? page->command->text : page->command->summary);
}

static const struct {
	unsigned int groups; /* enum option_group: pages of verbs that have one of them */
	const char *path, *text;
} files[] = {
	{ OPTIONS_INSTANCE, "/sys/fs/bpf/shunt",
	  "the pinned maps, programs and links, unless --bpffs says where" },
	{ OPTIONS_STATE, "/var/lib/shunt", "the state folder, unless --state says where" },
	{ OPTIONS_STATE, "/var/lib/shunt/objects.json",
	  "objects that were applied, and the addresses and ports given to them" },
	{ OPTIONS_STATE, "/var/lib/shunt/settings.json", "the options that shape the instance" },
	{ OPTIONS_LIST | OPTIONS_AGENT, "/var/lib/shunt/labels.json",
	  "the labels of Services that the agent had from a cluster" },
	{ OPTIONS_AGENT, "/var/lib/shunt/agent.json",
	  "what the agent tells of itself while it runs" },
	{ OPTIONS_DATAPATH, "/var/lib/shunt/sysctl",
	  "what net.ipv4.ip_local_reserved_ports was before --snat-ports were added to it" },
	{ OPTIONS_AGENT, "/etc/shunt/config.yaml",
	  "the agent's configuration, where systemd starts it" },
	{ OPTIONS_AGENT, "/etc/default/shunt", "the agent's environment there" },
};

static void print_files(const struct page *page)
{
	const unsigned int groups = page->command ? page->command->options : ~0u;
	size_t i;

	say(page->inv, ".Bl -tag -width Ds\n");
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (!(files[i].groups & groups))
			continue;
		say(page->inv, ".It Pa %s\n", files[i].path);
		mdoc_sentence(page->inv, files[i].text);
	}
	say(page->inv, ".El\n");
}

static void print_environment(const struct page *page)
{
	say(page->inv, ".Bl -tag -width Ds\n"
		       ".It Ev SHUNT_DEBUG\n"
		       "If set, what libbpf and the kernel's verifier say goes to standard error.\n"
		       ".El\n");
}

static void print_exit_status(const struct page *page)
{
	say(page->inv, ".Bl -tag -width Ds -compact\n"
		       ".It 0\n"
		       "Done.\n"
		       ".It 1\n"
		       "The answer is no, or the input is wrong.\n"
		       ".It 2\n"
		       "The command line is wrong.\n"
		       ".It 3\n"
		       "The system refused; the message says what to do about it.\n"
		       ".El\n");
}

static void print_examples(const struct page *page)
{
	if (page->command)
		mdoc_literal(page->inv, page->command->examples);
}

/* ---- the page ----------------------------------------------------------------------------- */

static const struct section sections[] = {
	{ "NAME", print_name, 0 },
	{ "SYNOPSIS", print_synopsis, 0 },
	{ "DESCRIPTION", print_description, 0 },
	{ "ANNOTATIONS", NULL, 0 },
	{ "ENVIRONMENT", print_environment, 0 },
	{ "FILES", print_files, OPTIONS_INSTANCE | OPTIONS_STATE },
	{ "EXIT STATUS", print_exit_status, 0 },
	{ "EXAMPLES", print_examples, 0 },
	{ "DIAGNOSTICS", NULL, 0 },
	{ "SEE ALSO", NULL, 0 },
};

#define N_SECTIONS (sizeof(sections) / sizeof(sections[0]))
#define HEADING	   "\n.Sh "

/* How much of @text is before the next heading. */
static size_t part_len(const char *text)
{
	const char *end = strstr(text, HEADING);

	return end ? (size_t)(end + 1 - text) : strlen(text);
}

/* @return what the fragment has under @heading, or NULL */
static const char *part_find(const char *fragment, const char *heading)
{
	const size_t len = strlen(heading);
	const char *at = fragment;

	while ((at = strstr(at, HEADING))) {
		at += strlen(HEADING);
		if (!strncmp(at, heading, len) && at[len] == '\n')
			return at + len;
	}
	return NULL;
}

static void print_section(const struct page *page, const struct section *section)
{
	const char *part = part_find(page->fragment, section->heading);

	if (!part && !section->print)
		return;
	if (page->command && section->groups && !(page->command->options & section->groups))
		return;
	say(page->inv, ".Sh %s\n", section->heading);
	if (section->print)
		section->print(page);
	if (part)
		say(page->inv, "%.*s", (int)part_len(part) - 1, part + 1);
	if (section->print != print_description)
		return;
	if (!page->command) {
		print_verbs(page);
		return;
	}
	if (page->command->help)
		page->command->help(page->inv);
	print_options(page);
}

/* A heading that is no section's would be lost without a word. */
static int check_headings(const struct page *page, const char *path, struct err *err)
{
	const char *at = page->fragment;
	size_t i, len;

	while ((at = strstr(at, HEADING))) {
		at += strlen(HEADING);
		len = strcspn(at, "\n");
		for (i = 0; i < N_SECTIONS; i++) {
			if (strlen(sections[i].heading) == len &&
			    !strncmp(at, sections[i].heading, len))
				break;
		}
		if (i == N_SECTIONS)
			return err_input(err, -EINVAL,
					 "%s: \"%.*s\" is no section of a page (man.c lists them)",
					 path, (int)len, at);
	}
	return 0;
}

static void print_page(const struct page *page)
{
	const char *c;
	size_t i;

	say(page->inv, "%.*s.Dt SHUNT%s", (int)part_len(page->fragment), page->fragment,
	    page->command ? "-" : "");
	for (c = page->command ? page->command->name : ""; *c; c++)
		say(page->inv, "%c", *c - 'a' + 'A');
	say(page->inv, " 8\n.Os\n");
	for (i = 0; i < N_SECTIONS; i++)
		print_section(page, &sections[i]);
}

/* ---- the verb ----------------------------------------------------------------------------- */

static void print_names(struct invocation *inv)
{
	size_t i;

	say(inv, "shunt\n");
	for (i = 0; i < commands_count(); i++) {
		if (!commands[i].hidden)
			say(inv, "shunt-%s\n", commands[i].name);
	}
}

static int find_page(const char *name, const struct command **command_out, struct err *err)
{
	if (!strcmp(name, "shunt"))
		return 0;
	if (strncmp(name, "shunt-", 6) != 0)
		return err_usage(err, -EINVAL, "no page \"%.64s\": they are shunt and shunt-VERB",
				 name);
	*command_out = command_find(name + 6, err);
	return *command_out ? 0 : -EINVAL;
}

/* @text_out is to be freed. */
static int read_fragment(const char *path, char **text_out, struct err *err)
{
	FILE *file;
	char *text = NULL;
	size_t size = 0;
	int ret = 0;

	errno = 0;
	file = fopen(path, "re");
	/* A text has no NUL: all of it. */
	if (!file || getdelim(&text, &size, '\0', file) < 0)
		ret = err_input(err, -EINVAL, "read the fragment %s: %s", path,
				errno ? strerror(errno) : "it is empty");
	if (file)
		(void)fclose(file);
	if (ret)
		free(text);
	else
		*text_out = text;
	return ret;
}

int man_run(struct invocation *inv, struct err *err)
{
	struct page page = { .inv = inv };
	char *fragment = NULL;
	int ret;

	if (!inv->request.n_words) {
		print_names(inv);
		return 0;
	}
	if (inv->request.n_words != 2)
		return err_usage(err, -EINVAL, "__man takes a page and the file of its fragment");
	ret = find_page(inv->request.words[0], &page.command, err);
	if (!ret)
		ret = read_fragment(inv->request.words[1], &fragment, err);
	page.fragment = fragment;
	if (!ret)
		ret = check_headings(&page, inv->request.words[1], err);
	if (!ret) {
		inv->mdoc = true;
		print_page(&page);
	}
	free(fragment);
	return ret;
}
