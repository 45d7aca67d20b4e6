// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Command line in, verb run, errors reported, exit code out. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd/command.h"
#include "cmd/manifests.h"

static int invocation_init(struct invocation *inv, struct err *err)
{
	memset(inv, 0, sizeof(*inv));
	inv->out = stdout;
	settings_init(&inv->settings);
	inv->input.settings = &inv->settings;
	inv->input.request = &inv->request;
	inv->arena = arena_new();
	inv->input.arena = inv->arena;
	return inv->arena ? 0 : err_system(err, -ENOMEM, "read the command line");
}

/* The verb is looked at first, so that a mistyped one is what gets reported. */
static int read_command_line(struct invocation *inv, int argc, char **argv, struct err *err)
{
	struct request *request = &inv->request;
	struct err verb_err = { 0 };
	int ret = options_parse(&inv->input, argc, argv, err);

	if (!request->n_words)
		return ret;
	inv->command = command_find(request->words[0], &verb_err);
	if (!inv->command) {
		*err = verb_err;
		return -EINVAL;
	}
	request->words++;
	request->n_words--;
	return ret;
}

static int check_usage(struct invocation *inv, struct err *err)
{
	const struct command *command = inv->command;
	const struct request *request = &inv->request;
	const struct option *refused =
		options_refused(&inv->input, command->options | OPTIONS_HELP);

	if (refused)
		return err_usage(err, -EINVAL, "%s takes no --%s; see \"shunt help %s\"",
				 command->name, refused->name, command->name);
	if (request->n_words > command->words_max)
		return err_usage(err, -E2BIG, "%s: unexpected \"%.64s\"; see \"shunt help %s\"",
				 command->name, request->words[command->words_max], command->name);
	if (command->options & OPTIONS_FILES && !command->files_optional && !request->n_files)
		return err_usage(err, -EINVAL, "%s what? give manifests with -f FILE|DIR|-",
				 command->name);
	if (request->output_given && !(command->outputs & (1u << request->output)))
		return err_usage(err, -EINVAL, "%s has no such --output; see \"shunt help %s\"",
				 command->name, command->name);
	return 0;
}

static int run(struct invocation *inv, struct err *err)
{
	int ret;

	if (inv->request.help) {
		help_print(inv, inv->command);
		return 0;
	}
	if (!inv->command) {
		inv->out = stderr;
		help_print(inv, NULL);
		return err_said(err, EXIT_USAGE);
	}
	ret = check_usage(inv, err);
	return ret ? ret : inv->command->run(inv, err);
}

/* What say() could not write, and what is still buffered. */
static int finish_output(struct invocation *inv, struct err *err)
{
	errno = 0;
	if (fflush(stdout) && !inv->write_errno)
		inv->write_errno = errno ? errno : EIO;
	return inv->write_errno ? err_output(err, -inv->write_errno) : 0;
}

/* One line, whatever bytes a file's name or an argument brought in. */
static void report(struct err *err)
{
	char *c;

	for (c = err->msg; *c; c++) {
		if (iscntrl((unsigned char)*c))
			*c = '?';
	}
	/* What is about a place in a manifest begins with it, so that editors find it. */
	if (err->msg[0])
		(void)fprintf(stderr, "%s%s\n",
			      place_file_len(err->msg) ? "" : "shunt: ", err->msg);
}

int main(int argc, char **argv)
{
	struct err err = { 0 }, output_err = { 0 };
	struct invocation inv;
	int ret;

	/* A reader that went away is an error of write(), not the end of the process. */
	(void)signal(SIGPIPE, SIG_IGN);
	ret = invocation_init(&inv, &err);
	if (!ret)
		ret = read_command_line(&inv, argc, argv, &err);
	if (!ret)
		ret = run(&inv, &err);
	if (finish_output(&inv, &output_err) && !ret) {
		ret = -EIO;
		err = output_err;
	}
	if (ret)
		report(&err);
	arena_free(inv.arena);
	return ret ? (int)err.exit : EXIT_DONE;
}
