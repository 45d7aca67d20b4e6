// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is measured, against what. Rows of one scene share a flow table that is
 * made once. Each run of a row comes right after a run of its baseline; what a
 * row was to do is checked after its last run.
 */
#include "bench/internal.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>

/* Of one run, or as many as there are flows: a million show a tenth of a nanosecond. */
#define REPEAT_MIN (1u << 16)
#define SOME_SHARE 16	 /* of all flows: 64k of 1M */
#define SOME_MOST  65536 /* the default table of IPv6 is half full then */
#define SOME_LAPS  4	 /* of the repetitions of a single flow, a share */

enum scene {
	SCENE_QUIET = 0, /* no flow */
	SCENE_HERE_ONE,
	SCENE_HERE_SOME,
	SCENE_HERE_MANY, /* in a larger table */
	SCENE_AWAY_ONE,
	SCENE_AWAY_SOME,
	SCENE_AWAY_MANY,
	SCENE_NEW_10, /* the table is filled to so many percent by answered flows */
	SCENE_NEW_80,
	SCENE_AFFINITY,
	SCENE_FLOOD, /* unanswered flows hold all that they may */
	SCENE_COUNT
};

enum draw {
	DRAW_PLAIN = 0, /* to addresses that are no Service's */
	DRAW_STRANGERS, /* flows that are in no table of ours */
	DRAW_FILLED,	/* the flows of the scene */
	DRAW_REPLIES,
	DRAW_SYNS, /* new flows, others in each run */
};

enum amount { AMOUNT_ONE = 0, AMOUNT_SOME, AMOUNT_MANY, AMOUNT_BATCH };

enum outcome { OUT_AS_IT_CAME = 0, OUT_UP, OUT_BY_NEXT_HOP };

#define XDP_ONLY (1u << HOOK_XDP)
#define TC_ONLY	 (1u << HOOK_TC)
#define BOTH	 (XDP_ONLY | TC_ONLY)

struct row_def {
	const char *path;
	enum scene scene;
	enum draw draw;
	enum amount amount;
	unsigned int hooks;
	enum lab_target target;
	enum outcome outcome;
	bool direct;		  /* nothing is to be put back; the baseline is the empty program */
	bool keeps_nothing;	  /* its own baseline: the floor itself */
	struct bench_target goal; /* of XDP */
};

/*
 * The goals are those of the project, as shares of the yardstick that they were set beside:
 * 24 ns for the look-up in a hash, 400 ns for that in an LRU hash.
 */
#define OF_HASH(ns) { YARDSTICK_HASH, (ns) / 24.0 }
#define OF_LRU(ns)  { YARDSTICK_LRU, (ns) / 400.0 }
#define SHUNT	    .hooks = BOTH, .target = LAB_SHUNT

static const struct row_def rows[] = {
	{ "empty", SCENE_QUIET, DRAW_STRANGERS, AMOUNT_ONE, BOTH, LAB_EMPTY,
	  .outcome = OUT_AS_IT_CAME, .direct = true, .keeps_nothing = true },
	{ "restore", SCENE_QUIET, DRAW_STRANGERS, AMOUNT_ONE, BOTH, LAB_EMPTY,
	  .outcome = OUT_AS_IT_CAME, .keeps_nothing = true },
	{ "restore", SCENE_QUIET, DRAW_STRANGERS, AMOUNT_MANY, BOTH, LAB_EMPTY,
	  .outcome = OUT_AS_IT_CAME, .keeps_nothing = true },
	{ "hash-lookup", SCENE_QUIET, DRAW_STRANGERS, AMOUNT_ONE, BOTH, LAB_HASH,
	  .outcome = OUT_AS_IT_CAME },
	{ "lru-lookup", SCENE_QUIET, DRAW_STRANGERS, AMOUNT_MANY, BOTH, LAB_LRU,
	  .outcome = OUT_AS_IT_CAME },
	{ "no-service", SCENE_QUIET, DRAW_PLAIN, AMOUNT_ONE, SHUNT, .outcome = OUT_AS_IT_CAME,
	  .direct = true, .goal = OF_HASH(8) },
	{ "no-service", SCENE_QUIET, DRAW_PLAIN, AMOUNT_SOME, SHUNT, .outcome = OUT_AS_IT_CAME,
	  .goal = OF_HASH(8) },
	{ "established-here", SCENE_HERE_ONE, DRAW_FILLED, AMOUNT_ONE, SHUNT, .outcome = OUT_UP,
	  .goal = OF_HASH(15) },
	{ "reply-here", SCENE_HERE_ONE, DRAW_REPLIES, AMOUNT_ONE, TC_ONLY, LAB_SHUNT_EGRESS,
	  .outcome = OUT_UP },
	{ "established-here", SCENE_HERE_SOME, DRAW_FILLED, AMOUNT_SOME, SHUNT, .outcome = OUT_UP,
	  .goal = OF_LRU(200) },
	{ "established-here", SCENE_HERE_MANY, DRAW_FILLED, AMOUNT_MANY, SHUNT, .outcome = OUT_UP,
	  .goal = OF_LRU(200) },
	{ "reply-here", SCENE_HERE_SOME, DRAW_REPLIES, AMOUNT_SOME, TC_ONLY, LAB_SHUNT_EGRESS,
	  .outcome = OUT_UP },
	{ "reply-here", SCENE_HERE_MANY, DRAW_REPLIES, AMOUNT_MANY, TC_ONLY, LAB_SHUNT_EGRESS,
	  .outcome = OUT_UP },
	{ "established-away", SCENE_AWAY_ONE, DRAW_FILLED, AMOUNT_ONE, SHUNT,
	  .outcome = OUT_BY_NEXT_HOP, .goal = OF_HASH(30) },
	{ "reply-away", SCENE_AWAY_ONE, DRAW_REPLIES, AMOUNT_ONE, SHUNT, .outcome = OUT_BY_NEXT_HOP,
	  .goal = OF_HASH(30) },
	{ "established-away", SCENE_AWAY_SOME, DRAW_FILLED, AMOUNT_SOME, SHUNT,
	  .outcome = OUT_BY_NEXT_HOP, .goal = OF_LRU(200) },
	{ "established-away", SCENE_AWAY_MANY, DRAW_FILLED, AMOUNT_MANY, SHUNT,
	  .outcome = OUT_BY_NEXT_HOP, .goal = OF_LRU(200) },
	{ "reply-away", SCENE_AWAY_SOME, DRAW_REPLIES, AMOUNT_SOME, SHUNT,
	  .outcome = OUT_BY_NEXT_HOP, .goal = OF_LRU(200) },
	{ "reply-away", SCENE_AWAY_MANY, DRAW_REPLIES, AMOUNT_MANY, SHUNT,
	  .outcome = OUT_BY_NEXT_HOP, .goal = OF_LRU(200) },
	{ "new-here-fill-10", SCENE_NEW_10, DRAW_SYNS, AMOUNT_BATCH, SHUNT, .outcome = OUT_UP,
	  .goal = OF_HASH(250) },
	{ "new-here-fill-80", SCENE_NEW_80, DRAW_SYNS, AMOUNT_BATCH, SHUNT, .outcome = OUT_UP,
	  .goal = OF_HASH(250) },
	{ "new-affinity", SCENE_AFFINITY, DRAW_SYNS, AMOUNT_BATCH, SHUNT, .outcome = OUT_UP },
	{ "syn-flood", SCENE_FLOOD, DRAW_SYNS, AMOUNT_BATCH, SHUNT, .outcome = OUT_UP },
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static const char *const hook_names[] = { [HOOK_XDP] = "xdp", [HOOK_TC] = "tc" };
#define N_HOOKS (sizeof(hook_names) / sizeof(hook_names[0]))

/* ---- statistics -------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct bench_range bench_range_of(double *values, uint32_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return (struct bench_range){
		.min = values[0],
		.median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2,
		.max = values[n - 1],
	};
}

/* ---- one row ------------------------------------------------------------------------- */

struct measuring {
	struct lab *lab;
	const struct row_def *def;
	enum bench_hook hook;
	uint32_t flows, drawn; /* as many as there are to be, and as there are */
	struct bench_row row;
	double *gross, *baseline, *net; /* one for each run */
	uint64_t connections;		/* bound in the last run */
};

static uint32_t flows_of(const struct bench_options *options, enum amount amount)
{
	switch (amount) {
	case AMOUNT_SOME:
		return options->flows / SOME_SHARE < SOME_MOST ? options->flows / SOME_SHARE
							       : SOME_MOST;
	case AMOUNT_MANY:
		return options->flows;
	case AMOUNT_BATCH: /* depends on the table */
	case AMOUNT_ONE:
		break;
	}
	return 1;
}

/* "1m", "64k", "4096" */
static void flows_name(uint64_t flows, char *buf, size_t size)
{
	if (flows && flows % (1u << 20) == 0)
		(void)snprintf(buf, size, "/%um", (unsigned int)(flows >> 20));
	else if (flows && flows % (1u << 10) == 0)
		(void)snprintf(buf, size, "/%uk", (unsigned int)(flows >> 10));
	else
		(void)snprintf(buf, size, "/%u", (unsigned int)flows);
}

/* Where some rows have one flow and some have many, the name tells. */
static void row_name(const struct row_def *def, const struct bench_options *options, bool v6,
		     struct bench_row *row)
{
	const bool many = def->amount == AMOUNT_SOME || def->amount == AMOUNT_MANY;
	char flows[16] = "";

	row->family = v6 ? "ipv6" : "ipv4";
	row->path = def->path;
	row->flows = flows_of(options, def->amount);
	if (def->amount != AMOUNT_BATCH && (many || def->scene > SCENE_QUIET))
		flows_name(row->flows, flows, sizeof(flows));
	(void)snprintf(row->name, sizeof(row->name), "%s/%s/%s%s", row->hook, row->family,
		       row->path, flows);
}

static enum bench_side side_of(enum scene scene)
{
	if (scene == SCENE_AFFINITY)
		return SIDE_AFFINE;
	return scene >= SCENE_AWAY_ONE && scene <= SCENE_AWAY_MANY ? SIDE_AWAY : SIDE_HERE;
}

static int draw_packets(struct measuring *m, struct err *err)
{
	struct lab *lab = m->lab;

	m->drawn = m->flows;
	switch (m->def->draw) {
	case DRAW_PLAIN:
		lab_draw_plain(lab, m->flows);
		break;
	case DRAW_FILLED:
		lab_draw_filled(lab, m->flows);
		break;
	case DRAW_REPLIES:
		m->drawn = lab_draw_replies(lab, m->flows);
		if (m->drawn < m->flows - m->flows / 64)
			return err_system(err, -ENOENT, "%s: find the answers to its flows",
					  m->row.name);
		break;
	case DRAW_STRANGERS:
	case DRAW_SYNS:
		lab_draw_new(lab, side_of(m->def->scene), m->flows, m->def->draw == DRAW_SYNS);
		break;
	}
	if (m->def->target == LAB_HASH)
		return lab_fill_map(lab, YARDSTICK_HASH, m->flows, err);
	if (m->def->target == LAB_LRU)
		return lab_fill_map(lab, YARDSTICK_LRU, m->flows, err);
	return 0;
}

/* Packets that open flows can be used once; all others in turn. */
static uint32_t repeat_of(const struct measuring *m)
{
	uint32_t least = lab_options(m->lab)->flows, laps;

	if (m->def->draw == DRAW_SYNS)
		return m->drawn;
	if (m->def->amount != AMOUNT_ONE)
		least /= SOME_LAPS;
	if (least < REPEAT_MIN)
		least = REPEAT_MIN;
	laps = (least + m->drawn - 1) / m->drawn;
	return laps * m->drawn;
}

static int run_once(struct measuring *m, uint32_t number, struct lab_run *run, struct err *err)
{
	struct lab_run baseline = *run, warm = *run;
	uint64_t before;
	int ret = 0;

	baseline.target = LAB_EMPTY;
	if (m->def->draw == DRAW_SYNS) {
		ret = draw_packets(m, err);
		if (!ret && m->def->scene != SCENE_FLOOD)
			lab_restore(m->lab);
	} else {
		/* So that stamps and next hops are today's: they age while others are measured. */
		warm.repeat = m->drawn;
		ret = lab_run(m->lab, &warm, err);
	}
	before = lab_connections(m->lab);
	if (!ret && !m->def->keeps_nothing)
		ret = lab_run(m->lab, &baseline, err);
	if (!ret)
		ret = lab_run(m->lab, run, err);
	if (ret)
		return ret;
	m->connections = lab_connections(m->lab) - before;
	m->gross[number] = run->ns;
	m->baseline[number] = m->def->keeps_nothing ? 0 : baseline.ns;
	m->net[number] = run->ns - m->baseline[number];
	return 0;
}

/* Has the last run done what the row is about? */
static int check_outcome(const struct measuring *m, const struct lab_run *run, struct err *err)
{
	static const int actions[][2] = {
		[HOOK_XDP] = { XDP_PASS, XDP_TX },
		[HOOK_TC] = { TC_ACT_UNSPEC, TC_ACT_REDIRECT },
	};
	const bool hop = m->def->outcome == OUT_BY_NEXT_HOP;
	enum sh_reason reason = rig_drop_reason(lab_rig(m->lab));
	uint32_t bound = m->def->draw == DRAW_SYNS ? m->flows : 0;

	if (m->def->draw != DRAW_SYNS && run->action != actions[m->hook][hop])
		return err_system(err, -EPROTO, "%s: the program returned %d, not %d (reason %d)",
				  m->row.name, run->action, actions[m->hook][hop], (int)reason);
	if (m->def->draw != DRAW_SYNS && run->changed != (m->def->outcome != OUT_AS_IT_CAME))
		return err_system(err, -EPROTO, "%s: the packet came out %s", m->row.name,
				  run->changed ? "changed" : "as it was");
	/* Some new flows find their places taken; that is for the report to tell. */
	if (m->connections > bound || m->connections < bound / 2)
		return err_system(err, -EPROTO, "%s: %llu new flows were bound, of %u", m->row.name,
				  (unsigned long long)m->connections, bound);
	return 0;
}

static int measure(struct measuring *m, struct err *err)
{
	const uint32_t runs = lab_options(m->lab)->runs;
	struct lab_run run = {
		.hook = m->hook, .target = m->def->target, .direct = m->def->direct, .n = m->flows
	};

	uint32_t i;
	int ret;

	(void)rig_drop_reason(lab_rig(m->lab));
	ret = draw_packets(m, err);
	run.n = m->drawn;
	run.repeat = ret ? 0 : repeat_of(m);
	for (i = 0; !ret && i < runs; i++)
		ret = run_once(m, i, &run, err);
	if (!ret)
		ret = check_outcome(m, &run, err);
	if (ret)
		return ret;
	if (m->def->draw == DRAW_SYNS)
		m->row.refused = 1 - (double)m->connections / m->flows;
	m->row.gross = bench_range_of(m->gross, runs);
	m->row.baseline = bench_range_of(m->baseline, runs);
	m->row.net = bench_range_of(m->net, runs);
	return 0;
}

static int measure_row(struct measuring *m, struct bench_report *report, struct err *err)
{
	const uint32_t runs = lab_options(m->lab)->runs;
	double *values = calloc(3ull * runs, sizeof(*values));
	int ret;

	if (!values)
		return err_system(err, -ENOMEM, "measure %s", m->row.name);
	m->gross = values;
	m->baseline = values + runs;
	m->net = values + 2ull * runs;
	ret = measure(m, err);
	if (!ret) {
		m->row.target.yardstick = m->def->goal.yardstick;
		if (m->hook == HOOK_XDP)
			m->row.target.ratio = m->def->goal.ratio;
		m->row.yardstick_ns = bench_report_yardstick(report, m->row.hook, m->row.family,
							     m->def->goal.yardstick);
		ret = bench_report_row(report, &m->row);
		if (ret)
			err_system(err, ret, "report on %s", m->row.name);
	}
	free(values);
	return ret;
}

/* ---- scenes ---------------------------------------------------------------------------- */

static int flood(struct lab *lab, struct err *err)
{
	struct lab_run run = { .hook = HOOK_XDP, .target = LAB_SHUNT };
	uint32_t flooded = 0;
	int ret = 0;

	run.n = run.repeat = lab_batch(lab);
	/* As many as the table has room for: four times what unanswered flows may take. */
	while (!ret && flooded < lab_table_flows(lab)) {
		lab_draw_new(lab, SIDE_HERE, run.n, true);
		ret = lab_run(lab, &run, err);
		flooded += run.n;
	}
	return ret;
}

static int scene_make(struct lab *lab, enum scene scene, struct err *err)
{
	uint32_t fill = 0;
	int ret;

	lab_clear(lab);
	switch (scene) {
	case SCENE_HERE_ONE:
	case SCENE_AWAY_ONE:
		fill = 1;
		break;
	case SCENE_HERE_SOME:
	case SCENE_AWAY_SOME:
		fill = flows_of(lab_options(lab), AMOUNT_SOME);
		break;
	case SCENE_HERE_MANY:
	case SCENE_AWAY_MANY:
		fill = flows_of(lab_options(lab), AMOUNT_MANY);
		break;
	case SCENE_NEW_10:
	case SCENE_AFFINITY:
		fill = lab_table_flows(lab) / 10;
		break;
	case SCENE_NEW_80:
		fill = lab_table_flows(lab) / 10 * 8;
		break;
	case SCENE_FLOOD:
		return flood(lab, err);
	default:
		break;
	}
	/* Flows of the Service with affinity are those to come. */
	ret = lab_fill(lab, scene == SCENE_AFFINITY ? SIDE_HERE : side_of(scene), fill, err);
	return ret ? ret : lab_save(lab, err);
}

static bool scene_is_large(enum scene scene)
{
	return scene == SCENE_HERE_MANY || scene == SCENE_AWAY_MANY;
}

/* Is the row of that hook there, and wanted? Its name and place are in @row then. */
static bool row_wanted(const struct bench_report *report, const struct bench_options *options,
		       size_t number, struct bench_row *row)
{
	const struct row_def *def = &rows[number / N_HOOKS];
	const size_t hook = number % N_HOOKS;
	const bool v6 = row->family && !strcmp(row->family, "ipv6");

	if (!(def->hooks & 1u << hook))
		return false;
	row->hook = hook_names[hook];
	row_name(def, options, v6, row);
	return bench_wants(report, row->name);
}

bool bench_wants_rows(const struct bench_report *report, const struct bench_options *options,
		      bool v6, bool large)
{
	struct bench_row row = { .family = v6 ? "ipv6" : "ipv4" };
	size_t i;

	for (i = 0; i < N_ROWS * N_HOOKS; i++) {
		if (scene_is_large(rows[i / N_HOOKS].scene) == large &&
		    row_wanted(report, options, i, &row))
			return true;
	}
	return false;
}

/* Each row of the scene, in each hook; the scene is made when the first is wanted. */
static int scene_rows(struct lab *lab, enum scene scene, struct bench_report *report,
		      struct err *err)
{
	bool made = false;
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < N_ROWS * N_HOOKS; i++) {
		struct measuring m = { .lab = lab,
				       .def = &rows[i / N_HOOKS],
				       .hook = (enum bench_hook)(i % N_HOOKS),
				       .row = { .family = lab_v6(lab) ? "ipv6" : "ipv4" } };

		if (m.def->scene != scene || !row_wanted(report, lab_options(lab), i, &m.row))
			continue;
		if (m.def->amount == AMOUNT_BATCH)
			m.row.flows = lab_batch(lab);
		m.flows = (uint32_t)m.row.flows;
		ret = made ? 0 : scene_make(lab, scene, err);
		made = true;
		if (!ret)
			ret = measure_row(&m, report, err);
	}
	return ret;
}

int bench_rows(struct lab *lab, bool large, struct bench_report *report, struct err *err)
{
	int scene, ret = 0;

	for (scene = SCENE_QUIET; !ret && scene < SCENE_COUNT; scene++) {
		if (scene_is_large((enum scene)scene) == large)
			ret = scene_rows(lab, (enum scene)scene, report, err);
	}
	return ret;
}
