// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `check`: everything apply does before it touches the kernel. */
#include "cmd/command.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/manifests.h"
#include "plan/plan.h"
#include "source/manifest.h"

enum { FILE_NAME, LINE, COLUMN, PATH, MESSAGE, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[FILE_NAME] = { NULL, "file", COLUMN_TEXT, 0, "\"\" where it is about the whole set" },
	[LINE] = { NULL, "line", COLUMN_NUMBER, 0, "from 1; 0: unknown" },
	[COLUMN] = { NULL, "column", COLUMN_NUMBER, 0, "from 1; 0: unknown" },
	[PATH] = { NULL, "path", COLUMN_TEXT, 0, "of the field, like spec.ports[1].port" },
	[MESSAGE] = { NULL, "message", COLUMN_TEXT, 0, "" },
};

static const struct listing errors_listing = { "Error", "error", columns, N_COLUMNS };

/* ":123" at *@text: take it. @return 0: there is none */
static uint64_t take_number(const char **text)
{
	uint64_t number;
	char *end;

	if (**text != ':' || (*text)[1] < '1' || (*text)[1] > '9')
		return 0;
	number = strtoull(*text + 1, &end, 10);
	*text = end;
	return number;
}

/* "spec.ports[1].port: ..." : the length of the path, 0 where the text begins with none */
static size_t path_len(const char *text)
{
	size_t len = strcspn(text, " ");

	return isalpha((unsigned char)text[0]) && len > 1 && text[len] && text[len - 1] == ':'
		       ? len - 1
		       : 0;
}

/* One line of diagnostics taken apart: FILE:LINE:COL: path: message. */
static int diag_row(struct output *output, const struct diag *diag)
{
	const char *rest = diag->text + diag->file_len;
	char *file = strndup(diag->text, diag->file_len), *path = NULL;
	struct cell cells[N_COLUMNS] = { 0 };
	int ret = -ENOMEM;
	size_t len;

	cells[FILE_NAME].text = file;
	cells[LINE].number = take_number(&rest);
	cells[COLUMN].number = take_number(&rest);
	rest += strspn(rest, ": ");
	len = path_len(rest);
	path = strndup(rest, len);
	cells[PATH].text = path;
	cells[MESSAGE].text = rest + (len ? len + 2 : 0);
	if (file && path)
		ret = output_row(output, cells);
	free(path);
	free(file);
	return ret;
}

/* What concerns the set and no single place in it. */
static int set_row(struct output *output, const struct err *problem)
{
	struct cell cells[N_COLUMNS] = {
		[FILE_NAME] = { .text = "" },
		[PATH] = { .text = "" },
		[MESSAGE] = { .text = problem->msg },
	};

	return output_row(output, cells);
}

static int print_list(const struct invocation *inv, const struct diags *diags, struct err *problem,
		      struct err *err)
{
	struct diag place = { .text = problem->msg, .file_len = place_file_len(problem->msg) };
	struct output *output = output_new(&errors_listing, inv->request.output, false, stdout);
	size_t i;
	int ret = output ? 0 : -ENOMEM;

	for (i = 0; !ret && i < diags->n_errors; i++)
		ret = diag_row(output, &diags->errors[i]);
	if (!ret && !diags->n_errors && place.file_len)
		ret = diag_row(output, &place);
	else if (!ret && !diags->n_errors && problem->msg[0])
		ret = set_row(output, problem);
	if (!ret)
		ret = output_finish(output);
	output_free(output);
	return ret ? err_output(err, ret) : 0;
}

static void print_verdict(struct invocation *inv, const struct object_set *set)
{
	size_t i;

	for (i = 0; i < inv->request.n_files; i++)
		say(inv, "%s%s", i ? ", " : "", inv->request.files[i]);
	say(inv, ": %zu object%s, no errors\n", set->n, set->n == 1 ? "" : "s");
}

/* Conflicts within the set: addresses and nodePorts given twice, limits. */
static int dry_run(const struct invocation *inv, struct object_set *set, struct err *err)
{
	struct wanted *wanted = NULL;
	int ret;

	ret = plan_allocate(set, NULL, &inv->settings, err);
	if (!ret)
		ret = plan_resolve(set, &inv->settings, false, &wanted, err);
	if (!ret)
		manifests_print_left_out(wanted);
	wanted_free(wanted);
	return ret;
}

static int check_listed(struct invocation *inv, struct object_set *set, struct err *err)
{
	struct err problem = { 0 };
	struct diags diags = { 0 };
	int ret, printed;

	ret = manifest_load(inv->request.files, inv->request.n_files, set, &diags, &problem);
	if (!ret)
		ret = dry_run(inv, set, &problem);
	printed = print_list(inv, &diags, &problem, err);
	diags_done(&diags);
	if (printed)
		return printed;
	return ret ? err_said(err, problem.exit) : 0;
}

static int check_told(struct invocation *inv, struct object_set *set, struct err *err)
{
	int ret;

	ret = manifests_load(inv, set, err);
	if (!ret)
		ret = dry_run(inv, set, err);
	if (!ret)
		print_verdict(inv, set);
	return ret;
}

int check_run(struct invocation *inv, struct err *err)
{
	struct object_set set = { 0 };
	int ret;

	if (inv->request.output != OUTPUT_TABLE)
		ret = check_listed(inv, &set, err);
	else
		ret = check_told(inv, &set, err);
	object_set_done(&set);
	return ret;
}
