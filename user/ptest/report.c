/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ptest/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/dataplane.h"

/* One flow and what became of it. */
struct row {
	const struct ptest_file *file;
	const struct ptest_flow *flow;
	const struct ptest_result *result;
};

void report_begin(struct report *report)
{
	if (report->format == REPORT_TAP)
		(void)fprintf(report->to, "TAP version 13\n1..%zu\n", report->total);
	else if (report->format == REPORT_JUNIT)
		(void)fprintf(report->to,
			      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
}

void report_end(struct report *report)
{
	if (report->format == REPORT_JUNIT)
		(void)fprintf(report->to, "</testsuites>\n");
}

/* ---- the parts, as JSON ------------------------------------------------------------ */

static json_t *backends_expected(const struct ptest_flow *flow)
{
	json_t *list = json_array();
	char name[ADDR_PORT_STRLEN];
	size_t i;

	for (i = 0; i < flow->n_backends; i++)
		(void)json_array_append_new(
			list, json_string(addr_port_format(&flow->backends[i].addr,
							   flow->backends[i].port, name)));
	return list;
}

static json_t *backends_seen(const struct ptest_seen *seen)
{
	json_t *map = json_object();
	char name[ADDR_PORT_STRLEN];
	size_t i;

	for (i = 0; i < seen->n_reached; i++) {
		const struct ptest_reached *reached = &seen->reached[i];

		(void)json_object_set_new(
			map, addr_port_format(&reached->target.addr, reached->target.port, name),
			json_integer((json_int_t)reached->count));
	}
	return map;
}

static json_t *snat_seen(const struct ptest_seen *seen)
{
	if (!seen->n_reached)
		return json_null();
	return json_boolean(ptest_seen_snat(seen));
}

static json_t *verdict_seen(const struct ptest_result *result)
{
	return result->skipped ? json_null()
			       : json_string(ptest_verdict_name(result->seen.verdict));
}

static json_t *row_expected(const struct row *row)
{
	const struct ptest_flow *flow = row->flow;
	json_t *map = json_object();

	(void)json_object_set_new(map, "verdict", json_string(ptest_verdict_name(flow->expect)));
	if (!flow->any_backend)
		(void)json_object_set_new(map, "backends", backends_expected(flow));
	if (flow->snat != MAYBE_ABSENT)
		(void)json_object_set_new(map, "snat", json_boolean(flow->snat == MAYBE_TRUE));
	return map;
}

static json_t *row_got(const struct row *row)
{
	const struct ptest_seen *seen = &row->result->seen;
	json_t *map = json_object();

	(void)json_object_set_new(map, "verdict", verdict_seen(row->result));
	if (seen->reason)
		(void)json_object_set_new(map, "reason", json_string(reason_word(seen->reason)));
	if (seen->n_reached) {
		(void)json_object_set_new(map, "backends", backends_seen(seen));
		(void)json_object_set_new(map, "snat", snat_seen(seen));
	}
	return map;
}

/* Takes @tree over. @return its text (to be freed), or NULL: no memory */
static char *text_of(json_t *tree)
{
	char *text = tree ? json_dumps(tree, JSON_ENCODE_ANY) : NULL;

	json_decref(tree);
	return text;
}

/* ---- JSON ---------------------------------------------------------------------------- */

static int json_row(struct report *report, const struct row *row)
{
	const struct ptest_result *result = row->result;
	json_t *tree;
	char *text;

	tree = json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:s}", "file", row->file->path, "flow",
			 row->flow->name, "ok", (int)result->ok, "verdict", verdict_seen(result),
			 "backends", backends_seen(&result->seen), "snat", snat_seen(&result->seen),
			 "message", result->message);
	text = text_of(tree);
	if (!text)
		return -ENOMEM;
	(void)fprintf(report->to, "%s\n", text);
	free(text);
	return 0;
}

/* ---- TAP ----------------------------------------------------------------------------- */

/* One line; a "#" would begin a directive. */
static void tap_text(FILE *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '#' || *text == '\\')
			(void)fputc('\\', to);
		(void)fputc((unsigned char)*text < ' ' ? ' ' : *text, to);
	}
}

/* JSON is YAML: the texts may stand there as they are. */
static int tap_details(struct report *report, const struct row *row)
{
	char *message = text_of(json_string(row->result->message));
	char *expected = text_of(row_expected(row)), *got = text_of(row_got(row));
	char *place = text_of(json_sprintf("%s:%u", row->file->path, row->flow->at.line));
	int ret = -ENOMEM;

	if (message && expected && got && place) {
		ret = 0;
		(void)fprintf(report->to,
			      "  ---\n"
			      "  message:  %s\n"
			      "  hook:     %s\n"
			      "  expected: %s\n"
			      "  got:      %s\n"
			      "  at:       %s\n"
			      "  ...\n",
			      message, ptest_hook_name(row->result->hook), expected, got, place);
	}
	free(message);
	free(expected);
	free(got);
	free(place);
	return ret;
}

static int tap_row(struct report *report, const struct row *row)
{
	const struct ptest_result *result = row->result;

	(void)fprintf(report->to, "%sok %zu - ", result->ok ? "" : "not ", report->n);
	tap_text(report->to, row->file->path);
	(void)fputs(": ", report->to);
	tap_text(report->to, row->flow->name);
	if (result->skipped)
		(void)fprintf(report->to, " # SKIP %s", result->message);
	(void)fputc('\n', report->to);
	return result->ok ? 0 : tap_details(report, row);
}

/* ---- JUnit --------------------------------------------------------------------------- */

/* XML 1.0 has no way to write most control characters. */
static void xml_text(FILE *to, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			(void)fputs("&amp;", to);
			break;
		case '<':
			(void)fputs("&lt;", to);
			break;
		case '>':
			(void)fputs("&gt;", to);
			break;
		case '"':
			(void)fputs("&quot;", to);
			break;
		default:
			(void)fputc((unsigned char)*text < ' ' ? ' ' : *text, to);
		}
	}
}

static int junit_failure(struct report *report, const struct row *row)
{
	char *expected = text_of(row_expected(row)), *got = text_of(row_got(row));
	int ret = expected && got ? 0 : -ENOMEM;

	if (!ret) {
		(void)fputs("      <failure message=\"", report->to);
		xml_text(report->to, row->result->message);
		(void)fputs("\">expected: ", report->to);
		xml_text(report->to, expected);
		(void)fputs("\ngot:      ", report->to);
		xml_text(report->to, got);
		(void)fputs("</failure>\n", report->to);
	}
	free(expected);
	free(got);
	return ret;
}

static int junit_row(struct report *report, const struct row *row)
{
	const struct ptest_result *result = row->result;
	int ret = 0;

	(void)fputs("    <testcase classname=\"", report->to);
	xml_text(report->to, row->file->path);
	(void)fputs("\" name=\"", report->to);
	xml_text(report->to, row->flow->name);
	(void)fprintf(report->to, "\" time=\"%" PRIu64 ".%06" PRIu64 "\"", result->usec / 1000000,
		      result->usec % 1000000);
	if (result->ok && !result->skipped) {
		(void)fputs("/>\n", report->to);
		return 0;
	}
	(void)fputs(">\n", report->to);
	if (result->skipped) {
		(void)fputs("      <skipped message=\"", report->to);
		xml_text(report->to, result->message);
		(void)fputs("\"/>\n", report->to);
	} else {
		ret = junit_failure(report, row);
	}
	(void)fputs("    </testcase>\n", report->to);
	return ret;
}

static void junit_suite(struct report *report, const struct ptest_file *file,
			const struct ptest_result *results)
{
	size_t i, failures = 0, skipped = 0;
	uint64_t usec = 0;

	for (i = 0; i < file->n_flows; i++) {
		failures += !results[i].ok;
		skipped += results[i].skipped;
		usec += results[i].usec;
	}
	(void)fputs("  <testsuite name=\"", report->to);
	xml_text(report->to, file->path);
	(void)fprintf(report->to,
		      "\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\" "
		      "time=\"%" PRIu64 ".%06" PRIu64 "\">\n",
		      file->n_flows, failures, skipped, usec / 1000000, usec % 1000000);
}

int report_file(struct report *report, const struct ptest_file *file,
		const struct ptest_result *results)
{
	static int (*const rows[])(struct report *, const struct row *) = {
		[REPORT_TAP] = tap_row,
		[REPORT_JUNIT] = junit_row,
		[REPORT_JSON] = json_row,
	};
	size_t i;
	int ret = 0;

	if (report->format == REPORT_JUNIT)
		junit_suite(report, file, results);
	for (i = 0; !ret && i < file->n_flows; i++) {
		const struct row row = { file, &file->flows[i], &results[i] };

		report->n++;
		report->failed += !results[i].ok;
		ret = rows[report->format](report, &row);
	}
	if (report->format == REPORT_JUNIT)
		(void)fputs("  </testsuite>\n", report->to);
	return ret;
}
