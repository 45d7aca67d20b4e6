// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `bench`: what each path costs on this machine. */
#include "bench/bench.h"

#include <errno.h>

#include "cmd/command.h"
#include "ptest/sandbox.h"

struct benching {
	struct bench_options options;
	bool json;
};

static int print_tree(const struct bench_report *report, struct err *err)
{
	json_t *tree = bench_report_tree(report);
	int ret;

	if (!tree)
		return err_system(err, -ENOMEM, "report on the bench");
	ret = output_document(stdout, OUTPUT_JSON, tree);
	json_decref(tree);
	return ret ? err_output(err, ret) : 0;
}

static int bench_in_sandbox(void *arg, int cgroup_fd, struct err *err)
{
	const struct benching *benching = arg;
	struct bench_report *report;
	int ret;

	report = bench_report_new(&benching->options, benching->json ? NULL : stdout);
	if (!report)
		return err_system(err, -ENOMEM, "set up the bench");
	ret = bench_run(&benching->options, cgroup_fd, report, err);
	if (!ret && bench_report_is_empty(report))
		ret = err_input(err, -ENOENT,
				"no row has such a name; they are HOOK/FAMILY/PATH, such as "
				"xdp/ipv4/no-service: `shunt bench` without --row shows them all");
	if (!ret && benching->json)
		ret = print_tree(report, err);
	errno = 0;
	if (!ret && (fflush(stdout) || ferror(stdout)))
		ret = err_output(err, errno ? -errno : -EIO);
	bench_report_free(report);
	return ret;
}

int bench_cmd_run(struct invocation *inv, struct err *err)
{
	const struct request *request = &inv->request;
	struct benching benching = {
		.options = { .services = request->bench.services,
			     .endpoints = request->bench.endpoints,
			     .runs = request->bench.runs,
			     .flows = request->bench.flows,
			     .patterns = request->rows,
			     .n_patterns = request->n_rows },
		.json = request->output_given && request->output == OUTPUT_JSON,
	};
	struct sandbox_job job = { .run = bench_in_sandbox, .arg = &benching, .cgroup = true };
	struct bench_options *o = &benching.options;
	int ret;

	if (!o->services)
		o->services = SH_BENCH_SERVICES_DEFAULT;
	if (!o->endpoints)
		o->endpoints = SH_BENCH_ENDPOINTS_DEFAULT;
	if (!o->runs)
		o->runs = BENCH_RUNS_MIN;
	if (!o->flows)
		o->flows = SH_BENCH_FLOWS_DEFAULT;
	if ((uint64_t)o->services * o->endpoints > SH_BENCH_BACKENDS_MAX)
		return err_usage(err, -E2BIG,
				 "--services %u times --endpoints %u is more than %d backends "
				 "(limit SH_BENCH_BACKENDS_MAX)",
				 o->services, o->endpoints, SH_BENCH_BACKENDS_MAX);
	ret = privilege_check(inv->command, err);
	return ret ? ret : sandbox_run(&job, err);
}
