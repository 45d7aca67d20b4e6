// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/command.h"

#include <string.h>

#include "cmd/mdoc.h"

#define HELP_COLUMNS	   80
#define HELP_INDENT	   31
#define HELP_FIELDS_INDENT 34

/* The rest of a line that stands at column @indent: @text, wrapped below itself. */
static void help_wrapped(struct invocation *inv, const char *text, int indent)
{
	int column = indent, len;

	while (*text) {
		len = (int)strcspn(text, " ");
		if (column > indent && column + 1 + len > HELP_COLUMNS) {
			say(inv, "\n%*s", indent, "");
			column = indent;
		}
		column += (column > indent) + len;
		say(inv, "%s%.*s", column > indent + len ? " " : "", len, text);
		text += len;
		text += strspn(text, " ");
	}
	say(inv, "\n");
}

void help_list(struct invocation *inv, const char *heading)
{
	if (inv->mdoc)
		say(inv, ".Ss %s\n.Bl -tag -width Ds\n", heading);
	else
		say(inv, "\n%s:\n", heading);
}

void help_item(struct invocation *inv, const struct help_item *item)
{
	if (inv->mdoc) {
		say(inv, ".It Cm %s%s%s\n", item->name, item->type ? " Pq " : "",
		    item->type ? item->type : "");
		mdoc_sentence(inv, item->text);
	} else if (item->type) {
		say(inv, *item->text ? "  %-22s %-8s " : "  %-22s %s", item->name, item->type);
		help_wrapped(inv, item->text, HELP_FIELDS_INDENT);
	} else {
		say(inv, "  %-28s ", item->name);
		help_wrapped(inv, item->text, HELP_INDENT);
	}
}

void help_list_end(struct invocation *inv)
{
	if (inv->mdoc)
		say(inv, ".El\n");
}

static void print_option(struct invocation *inv, const struct option *option)
{
	char head[64], letter[8] = "    ";
	int len;

	if (option->letter)
		(void)snprintf(letter, sizeof(letter), "-%c, ", option->letter);
	len = snprintf(head, sizeof(head), "  %s--%s%s%s", letter, option->name,
		       option->arg ? " " : "", option->arg ? option->arg : "");
	if (len + 2 > HELP_INDENT)
		say(inv, "%s\n%*s", head, HELP_INDENT, "");
	else
		say(inv, "%-*s", HELP_INDENT, head);
	help_wrapped(inv, option->help, HELP_INDENT);
}

static void print_options(struct invocation *inv, unsigned int groups)
{
	size_t i;

	say(inv, "\nOptions:\n");
	for (i = 0; i < options_count(); i++) {
		if (options[i].group & groups)
			print_option(inv, &options[i]);
	}
}

static void print_command(struct invocation *inv, const struct command *command)
{
	say(inv, "shunt %s: %s.\n\n", command->name, command->summary);
	say(inv, "Usage: shunt %s%s%s%s\n", command->name, *command->args ? " " : "", command->args,
	    command->options ? " [OPTIONS]" : "");
	if (*command->text)
		say(inv, "\n%s", command->text);
	if (command->help)
		command->help(inv);
	say(inv, "\nExamples:\n%s", command->examples);
	print_options(inv, command->options | OPTIONS_HELP);
}

static void print_all(struct invocation *inv)
{
	size_t i;

	say(inv, "shunt: a Kubernetes Service load balancer in eBPF, with or without a cluster.\n"
		 "\n"
		 "Usage: shunt VERB [OPTIONS]\n"
		 "\n"
		 "Verbs:\n");
	for (i = 0; i < commands_count(); i++) {
		if (!commands[i].hidden)
			say(inv, "  %-10s %s\n", commands[i].name, commands[i].summary);
	}
	say(inv, "\n"
		 "Exit status: 0 done; 1 the answer is no, or the input is wrong; 2 usage;\n"
		 "3 the system refused. \"shunt help VERB\" explains a verb and its options.\n");
}

void help_print(struct invocation *inv, const struct command *command)
{
	if (command)
		print_command(inv, command);
	else
		print_all(inv);
}

int help_run(struct invocation *inv, struct err *err)
{
	const struct command *command = NULL;

	if (inv->request.n_words) {
		command = command_find(inv->request.words[0], err);
		if (!command)
			return -1;
	}
	help_print(inv, command);
	return 0;
}
