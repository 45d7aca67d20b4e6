// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `test`: packet tests. All files are read and checked before the first one is run. */
#include "cmd/command.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/manifests.h"
#include "cmd/rehearse.h"
#include "plan/plan.h"
#include "ptest/report.h"
#include "ptest/sandbox.h"
#include "source/check.h"
#include "source/manifest.h"

/* A file, ready to run. */
struct suite {
	struct ptest_file *file;
	struct settings settings;
	struct object_set objects;
};

struct suites {
	struct invocation *inv;
	struct suite *v;
	size_t n;
	size_t flows;
	bool sockets;  /* some flow is a node's own */
	size_t errors; /* told on standard error */
};

/* ---- finding ------------------------------------------------------------------------ */

struct paths {
	char **v;
	size_t n, cap;
};

static void paths_done(struct paths *paths)
{
	while (paths->n)
		free(paths->v[--paths->n]);
	free(paths->v);
}

/* Takes @path over. */
static int paths_add(struct paths *paths, char *path, struct err *err)
{
	char **bigger;
	size_t cap;

	if (path && paths->n == SH_TEST_FILES_MAX) {
		free(path);
		return err_input(err, -E2BIG, "more than %d test files (limit SH_TEST_FILES_MAX)",
				 SH_TEST_FILES_MAX);
	}
	if (path && paths->n == paths->cap) {
		cap = paths->cap ? 2 * paths->cap : 16;
		bigger = reallocarray(paths->v, cap, sizeof(*bigger));
		if (bigger) {
			paths->v = bigger;
			paths->cap = cap;
		} else {
			free(path);
			path = NULL;
		}
	}
	if (!path)
		return err_system(err, -ENOMEM, "look for test files");
	paths->v[paths->n++] = path;
	return 0;
}

static bool is_test(const char *name)
{
	static const char *const ends[] = { ".test.yaml", ".test.yml" };
	size_t len = strlen(name), i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (len > strlen(ends[i]) && !strcmp(name + len - strlen(ends[i]), ends[i]))
			return true;
	}
	return false;
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* By byte, so that the order is the same in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int find_in(struct paths *paths, const char *dir, struct err *err);

/* A link to a folder is not followed: it may lead back up. */
static int find_entry(struct paths *paths, const char *dir, const char *name, struct err *err)
{
	size_t len = strlen(dir);
	struct stat st;
	char *path;
	int ret = 0;

	if (asprintf(&path, "%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/", name) < 0)
		return err_system(err, -ENOMEM, "look for test files");
	if (lstat(path, &st)) {
		free(path); /* gone since the folder was read */
		return 0;
	}
	if (!S_ISDIR(st.st_mode) && is_test(name))
		return paths_add(paths, path, err);
	if (S_ISDIR(st.st_mode))
		ret = find_in(paths, path, err);
	free(path);
	return ret;
}

static int find_in(struct paths *paths, const char *dir, struct err *err)
{
	struct dirent **entries;
	int i, ret = 0, n = scandir(dir, &entries, not_hidden, by_name);

	if (n < 0)
		return err_input(err, -errno, "%s: can't be read: %s", dir, strerror(errno));
	for (i = 0; i < n; i++) {
		if (!ret)
			ret = find_entry(paths, dir, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	return ret;
}

static int find(const struct request *request, struct paths *paths, struct err *err)
{
	struct stat st;
	size_t i, before;
	int ret = 0;

	for (i = 0; !ret && i < request->n_words; i++) {
		const char *path = request->words[i];

		before = paths->n;
		if (stat(path, &st))
			return err_input(err, -errno, "%s: can't be opened: %s", path,
					 strerror(errno));
		if (!S_ISDIR(st.st_mode))
			ret = paths_add(paths, strdup(path), err);
		else
			ret = find_in(paths, path, err);
		if (!ret && paths->n == before)
			ret = err_input(err, -ENOENT, "%s: holds no packet test (*.test.yaml)",
					path);
	}
	return ret;
}

/* ---- loading ------------------------------------------------------------------------ */

/* Without the option's name before it: the place says that already. */
static const char *option_message(const struct ptest_option *option, const char *message)
{
	size_t len = strlen(option->name);

	if (!strncmp(message, "--", 2) && !strncmp(message + 2, option->name, len) &&
	    !strncmp(message + 2 + len, ": ", 2))
		return message + 2 + len + 2;
	return message;
}

static void set_options(struct suites *suites, struct suite *suite, struct diags *diags)
{
	struct option_input input = { .settings = &suite->settings, .arena = suites->inv->arena };
	const struct ptest_file *file = suite->file;
	struct err err;
	size_t i;

	settings_init(&suite->settings);
	for (i = 0; i < file->n_options; i++) {
		const struct ptest_option *option = &file->options[i];

		if (settings_set(&input, option->name, option->value, &err))
			diag_error(diags, &option->at, option->path, "%s",
				   option_message(option, err.msg));
	}
	suite->settings.node_name = file->node;
}

/* Told at its place here; what is in it, at its place there. @return all are there */
static bool check_manifests(const struct ptest_file *file, struct diags *diags)
{
	bool there = true;
	size_t i;

	for (i = 0; i < file->manifests.n; i++) {
		if (!access(file->manifests.v[i], R_OK))
			continue;
		diag_error(diags, &file->manifests_at[i], "manifests", "%s can't be opened: %s",
			   file->manifests.v[i], strerror(errno));
		there = false;
	}
	return there;
}

/* A slip in `node:` would make all backends strangers. */
static void check_node(const struct suite *suite, struct diags *diags)
{
	const struct object_set *objects = &suite->objects;
	const struct ptest_file *file = suite->file;
	size_t first = object_set_first(objects, KIND_NODE), i, n = 0;
	const char **names, *near;

	while (first + n < objects->n && objects->v[first + n]->kind == KIND_NODE)
		n++;
	if (!n || object_set_find(objects, KIND_NODE, "", file->node))
		return;
	names = calloc(n, sizeof(*names));
	for (i = 0; names && i < n; i++)
		names[i] = objects->v[first + i]->meta.name;
	near = names ? nearest_word(file->node, names, n) : NULL;
	diag_error(diags, &file->node_at, "node", "no Node of the manifests is \"%s\"%s%s%s",
		   file->node, near ? " (did you mean \"" : "", near ? near : "",
		   near ? "\"?)" : "");
	free(names);
}

/* @return 0 also where @diags has errors */
static int load_suite(struct suites *suites, struct suite *suite, const char *path,
		      struct diags *diags, struct err *err)
{
	struct err problem = { 0 };
	int ret;

	ret = ptest_file_load(path, diags, &suite->file);
	if (ret)
		return ret == -ENOMEM ? err_system(err, ret, "load %s", path) : 0;
	set_options(suites, suite, diags);
	if (!check_manifests(suite->file, diags))
		return 0;
	ret = manifest_load(suite->file->manifests.v, suite->file->manifests.n, &suite->objects,
			    diags, &problem);
	if (ret)
		goto out;
	check_node(suite, diags);
	ret = plan_allocate(&suite->objects, NULL, &suite->settings, &problem);
	if (ret && problem.exit == EXIT_INPUT)
		diag_error(diags, &(struct origin){ .file = path }, "", "%s", problem.msg);
out:
	if (ret && problem.exit != EXIT_INPUT) {
		*err = problem;
		return ret;
	}
	return 0;
}

static void count_flows(struct suites *suites, const struct ptest_file *file)
{
	size_t i;

	suites->flows += file->n_flows;
	for (i = 0; i < file->n_flows; i++)
		suites->sockets |= file->flows[i].from == PTEST_NODE;
}

static int load(struct suites *suites, const struct paths *paths, struct err *err)
{
	int ret = 0;
	size_t i;

	suites->v = calloc(paths->n + 1, sizeof(*suites->v));
	if (!suites->v)
		return err_system(err, -ENOMEM, "load the test files");
	for (i = 0; !ret && i < paths->n; i++) {
		struct diags diags = { 0 };

		suites->n++;
		ret = load_suite(suites, &suites->v[i], paths->v[i], &diags, err);
		manifests_print_errors(&diags);
		suites->errors += diags_count(&diags);
		diags_done(&diags);
		if (!ret && suites->v[i].file)
			count_flows(suites, suites->v[i].file);
	}
	return !ret && suites->errors ? err_said(err, EXIT_INPUT) : ret;
}

static void suites_done(struct suites *suites)
{
	size_t i;

	for (i = 0; i < suites->n; i++) {
		ptest_file_free(suites->v[i].file);
		object_set_done(&suites->v[i].objects);
	}
	free(suites->v);
}

/* ---- running ------------------------------------------------------------------------ */

static void explain_skip(struct ptest_result *result, const struct ptest_flow *flow)
{
	if (result->skipped)
		(void)snprintf(result->message, sizeof(result->message),
			       "the hook does not apply to flows from: %s",
			       ptest_from_name(flow->from));
}

static int run_flows(struct rig *rig, const struct suites *suites, const struct suite *suite,
		     struct report *report, struct err *err)
{
	const struct ptest_file *file = suite->file;
	struct ptest_result *results = calloc(file->n_flows, sizeof(*results));
	unsigned int hooks = suites->inv->request.hooks;
	size_t i;
	int ret = 0;

	if (!results)
		return err_system(err, -ENOMEM, "run %s", file->path);
	for (i = 0; !ret && i < file->n_flows; i++) {
		ret = ptest_run(rig, &file->flows[i], hooks ? hooks : PTEST_ALL_HOOKS, &results[i],
				err);
		explain_skip(&results[i], &file->flows[i]);
	}
	if (!ret && report_file(report, file, results))
		ret = err_system(err, -ENOMEM, "report on %s", file->path);
	for (i = 0; i < file->n_flows; i++)
		ptest_result_done(&results[i]);
	free(results);
	return ret;
}

/* Notes of what resolve() left out may be why a flow failed; else they are noise. */
static int run_suite(struct rig *rig, const struct suites *suites, const struct suite *suite,
		     struct report *report, struct err *err)
{
	const struct ptest_file *file = suite->file;
	const struct rehearsal rehearsal = {
		.objects = &suite->objects,
		.settings = &suite->settings,
		.node = object_set_find(&suite->objects, KIND_NODE, "", file->node),
		.flows = file->flows,
		.n_flows = file->n_flows,
	};
	struct wanted *wanted = NULL;
	const size_t failed = report->failed;
	int ret;

	ret = rehearse(rig, &rehearsal, &wanted, err);
	if (!ret)
		ret = run_flows(rig, suites, suite, report, err);
	if (ret)
		err_prefix(err, "%s", file->path);
	else if (report->failed > failed)
		manifests_print_left_out(wanted);
	wanted_free(wanted);
	return ret;
}

static enum report_format format_of(const struct request *request)
{
	if (request->output_given && request->output == OUTPUT_JUNIT)
		return REPORT_JUNIT;
	if (request->output_given && request->output == OUTPUT_JSON)
		return REPORT_JSON;
	return REPORT_TAP;
}

static int run_all(void *arg, int cgroup_fd, struct err *err)
{
	const struct suites *suites = arg;
	struct report report = {
		.format = format_of(&suites->inv->request),
		.to = stdout,
		.total = suites->flows,
	};
	struct rig *rig = NULL;
	size_t i;
	int ret;

	ret = rig_new(&rig, cgroup_fd, err);
	if (ret)
		return ret;
	report_begin(&report);
	for (i = 0; !ret && i < suites->n; i++)
		ret = run_suite(rig, suites, &suites->v[i], &report, err);
	if (!ret)
		report_end(&report);
	rig_free(rig);
	errno = 0;
	if (fflush(stdout) || ferror(stdout))
		return err_output(err, errno ? -errno : -EIO);
	if (!ret && report.failed)
		ret = err_said(err, EXIT_INPUT);
	return ret;
}

int test_run(struct invocation *inv, struct err *err)
{
	struct suites suites = { .inv = inv };
	struct sandbox_job job = { .run = run_all, .arg = &suites };
	struct paths paths = { 0 };
	int ret;

	if (!inv->request.n_words)
		return err_usage(err, -EINVAL,
				 "test what? give files NAME.test.yaml or folders of them");
	ret = find(&inv->request, &paths, err);
	if (!ret)
		ret = load(&suites, &paths, err);
	if (!ret)
		ret = privilege_check(inv->command, err);
	job.cgroup = suites.sockets;
	if (!ret)
		ret = sandbox_run(&job, err);
	suites_done(&suites);
	paths_done(&paths);
	return ret;
}
