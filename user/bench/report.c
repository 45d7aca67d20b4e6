// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Results as they come, in lines; and all of them, as JSON. */
#include "bench/bench.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define YARDSTICKS_MAX 16

struct yardstick {
	const char *hook, *family;
	enum bench_yardstick kind;
	double ns;
};

struct bench_report {
	const struct bench_options *options;
	FILE *to;
	bool headed;
	json_t *rows, *programs, *memory;
	double load_ms;
	uint64_t verified;
	struct yardstick yardsticks[YARDSTICKS_MAX];
	size_t n_yardsticks;
};

/* Which row is it? */
const char *bench_yardstick_name(enum bench_yardstick yardstick)
{
	static const char *const names[YARDSTICK_COUNT] = {
		[YARDSTICK_NONE] = "",
		[YARDSTICK_HASH] = "hash-lookup",
		[YARDSTICK_LRU] = "lru-lookup",
	};

	return names[yardstick];
}

struct bench_report *bench_report_new(const struct bench_options *options, FILE *to)
{
	struct bench_report *report = calloc(1, sizeof(*report));

	if (!report)
		return NULL;
	report->options = options;
	report->to = to;
	report->rows = json_array();
	report->programs = json_array();
	report->memory = json_array();
	if (report->rows && report->programs && report->memory)
		return report;
	bench_report_free(report);
	return NULL;
}

void bench_report_free(struct bench_report *report)
{
	if (!report)
		return;
	json_decref(report->rows);
	json_decref(report->programs);
	json_decref(report->memory);
	free(report);
}

bool bench_wants(const struct bench_report *report, const char *name)
{
	size_t i;

	for (i = 0; i < report->options->n_patterns; i++) {
		if (!fnmatch(report->options->patterns[i], name, 0))
			return true;
	}
	return !report->options->n_patterns;
}

/* ---- rows ---------------------------------------------------------------------------- */

double bench_report_yardstick(const struct bench_report *report, const char *hook,
			      const char *family, enum bench_yardstick yardstick)
{
	size_t i;

	for (i = 0; i < report->n_yardsticks; i++) {
		const struct yardstick *y = &report->yardsticks[i];

		if (y->kind == yardstick && !strcmp(y->hook, hook) && !strcmp(y->family, family))
			return y->ns;
	}
	return 0;
}

static void keep_yardstick(struct bench_report *report, const struct bench_row *row)
{
	int kind;

	for (kind = YARDSTICK_HASH; kind < YARDSTICK_COUNT; kind++) {
		if (strcmp(row->path, bench_yardstick_name((enum bench_yardstick)kind)) ||
		    report->n_yardsticks == YARDSTICKS_MAX)
			continue;
		report->yardsticks[report->n_yardsticks++] =
			(struct yardstick){ row->hook, row->family, (enum bench_yardstick)kind,
					    row->net.median };
	}
}

static double ratio_of(const struct bench_row *row)
{
	return row->yardstick_ns > 0 ? row->net.median / row->yardstick_ns : 0;
}

static bool has_verdict(const struct bench_row *row)
{
	return row->target.ratio > 0 && row->yardstick_ns > 0;
}

static void print_row(struct bench_report *report, const struct bench_row *row)
{
	if (!report->headed)
		(void)fprintf(report->to, "%-36s %8s %8s %8s %8s  %-11s %6s %6s\n", "ROW",
			      "NET-MIN", "NET", "NET-MAX", "BASE", "YARDSTICK", "RATIO", "GOAL");
	report->headed = true;
	(void)fprintf(report->to, "%-36s %8.1f %8.1f %8.1f %8.1f", row->name, row->net.min,
		      row->net.median, row->net.max, row->baseline.median);
	if (row->target.yardstick && row->yardstick_ns > 0)
		(void)fprintf(report->to, "  %-11s %6.2f",
			      bench_yardstick_name(row->target.yardstick), ratio_of(row));
	if (has_verdict(row))
		(void)fprintf(report->to, " %6.2f %s", row->target.ratio,
			      ratio_of(row) <= row->target.ratio ? "met" : "MISSED");
	if (row->refused > 0)
		(void)fprintf(report->to, "  (%.1f %% refused)", row->refused * 100);
	(void)fprintf(report->to, "\n");
	(void)fflush(report->to);
}

static json_t *range_tree(const struct bench_range *range)
{
	return json_pack("{s:f, s:f, s:f}", "min", range->min, "median", range->median, "max",
			 range->max);
}

static json_t *row_tree(const struct bench_report *report, const struct bench_row *row)
{
	json_t *tree;

	tree = json_pack("{s:s, s:s, s:s, s:s, s:I, s:i, s:f, s:o, s:o, s:o}", "name", row->name,
			 "hook", row->hook, "family", row->family, "path", row->path, "flows",
			 (json_int_t)row->flows, "runs", (int)report->options->runs, "refused",
			 row->refused, "netNs", range_tree(&row->net), "baselineNs",
			 range_tree(&row->baseline), "grossNs", range_tree(&row->gross));
	if (tree && row->target.yardstick && row->yardstick_ns > 0) {
		json_object_set_new(tree, "yardstick",
				    json_string(bench_yardstick_name(row->target.yardstick)));
		json_object_set_new(tree, "ratio", json_real(ratio_of(row)));
	}
	if (tree && has_verdict(row)) {
		json_object_set_new(tree, "goalRatio", json_real(row->target.ratio));
		json_object_set_new(tree, "met", json_boolean(ratio_of(row) <= row->target.ratio));
	}
	return tree;
}

int bench_report_row(struct bench_report *report, const struct bench_row *row)
{
	keep_yardstick(report, row);
	if (report->to)
		print_row(report, row);
	return json_array_append_new(report->rows, row_tree(report, row)) ? -ENOMEM : 0;
}

/* ---- programs and memory --------------------------------------------------------------- */

int bench_report_program(struct bench_report *report, const struct bench_program *program)
{
	if (report->to && !json_array_size(report->programs))
		(void)fprintf(report->to, "\n%-20s %12s %10s %10s\n", "PROGRAM", "VERIFIED",
			      "JIT-BYTES", "LOAD-MS");
	if (report->to)
		(void)fprintf(report->to, "%-20s %12u %10u %10.1f\n", program->name,
			      program->verified, program->jited, program->load_ms);
	report->verified += program->verified;
	return json_array_append_new(
		       report->programs,
		       json_pack("{s:s, s:I, s:I, s:f}", "name", program->name,
				 "verifiedInstructions", (json_int_t)program->verified, "jitBytes",
				 (json_int_t)program->jited, "loadMs", program->load_ms))
		       ? -ENOMEM
		       : 0;
}

void bench_report_load(struct bench_report *report, double load_ms)
{
	report->load_ms = load_ms;
	if (report->to)
		(void)fprintf(report->to, "%-20s %12llu %10s %10.1f\n", "all",
			      (unsigned long long)report->verified, "", load_ms);
}

int bench_report_memory(struct bench_report *report, const char *name, double bytes)
{
	if (report->to && !json_array_size(report->memory))
		(void)fprintf(report->to, "\n%-20s %12s\n", "MEMORY", "BYTES-EACH");
	if (report->to)
		(void)fprintf(report->to, "%-20s %12.0f\n", name, bytes);
	return json_array_append_new(report->memory,
				     json_pack("{s:s, s:f}", "name", name, "bytes", bytes))
		       ? -ENOMEM
		       : 0;
}

bool bench_report_is_empty(const struct bench_report *report)
{
	return !json_array_size(report->rows) && !json_array_size(report->programs) &&
	       !json_array_size(report->memory);
}

/* ---- the whole --------------------------------------------------------------------------- */

/* The model name that Linux shows, or "". */
static void cpu_name(char *buf, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256], *value;

	buf[0] = '\0';
	while (file && !buf[0] && fgets(line, sizeof(line), file)) {
		value = strstr(line, ": ");
		if (!value || strncmp(line, "model name", 10) != 0)
			continue;
		value[strcspn(value, "\n")] = '\0';
		(void)snprintf(buf, size, "%s", value + 2);
	}
	if (file)
		(void)fclose(file);
}

json_t *bench_report_tree(const struct bench_report *report)
{
	const struct bench_options *options = report->options;
	struct utsname name = { 0 };
	char cpu[128];
	json_t *tree;

	(void)uname(&name);
	cpu_name(cpu, sizeof(cpu));
	tree = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:O, s:O, s:O}", "kind", "Bench",
			 "kernel", name.release, "machine", name.machine, "cpu", cpu, "services",
			 (json_int_t)options->services, "endpoints", (json_int_t)options->endpoints,
			 "flows", (json_int_t)options->flows, "runs", (json_int_t)options->runs,
			 "rows", report->rows, "programs", report->programs, "memory",
			 report->memory);
	if (tree && json_array_size(report->programs)) {
		json_object_set_new(tree, "verifiedInstructions",
				    json_integer((json_int_t)report->verified));
		json_object_set_new(tree, "loadMs", json_real(report->load_ms));
	}
	return tree;
}
