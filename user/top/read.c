// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "top/top.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "dataplane/listen.h"
#include "util/clock.h"

/* ---- the instance ------------------------------------------------------------------------ */

static int pin_stat(const struct top_reader *reader, struct stat *out)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/shunt_control", reader->options->settings->bpffs);
	return stat(path, out) ? -errno : 0;
}

static bool is_replaced(const struct top_reader *reader)
{
	struct stat now;

	return pin_stat(reader, &now) || now.st_ino != reader->pin.st_ino ||
	       now.st_dev != reader->pin.st_dev;
}

static int reopen(struct top_reader *reader, struct err *err)
{
	int ret;

	dataplane_close(reader->dp);
	reader->dp = NULL;
	reader->named = false;
	top_forget(&reader->top);
	ret = dataplane_open(&reader->dp, DATAPLANE_READ, reader->options->settings, err);
	if (ret)
		return ret;
	ret = pin_stat(reader, &reader->pin);
	if (ret)
		return err_system(err, ret, "look for what is loaded at %s",
				  reader->options->settings->bpffs);
	return 0;
}

int top_reader_open(struct top_reader *reader, const struct top_options *options, struct err *err)
{
	*reader = (struct top_reader){ .options = options };
	top_init(&reader->top);
	return reopen(reader, err);
}

void top_reader_done(struct top_reader *reader)
{
	dataplane_close(reader->dp);
	reader->dp = NULL;
	top_done(&reader->top);
}

/* ---- names --------------------------------------------------------------------------------- */

static int take_frontend(const struct frontend_view *view, void *arg)
{
	return top_name_service(arg, view->value.service, view->service);
}

static int take_backend(const struct backend_view *view, void *arg)
{
	const struct top_backend_name name = { .line = view->backend,
					       .service = view->service,
					       .pod = view->pod,
					       .node = view->node };

	return top_name_backend(arg, &name);
}

/* The costly part, in an instance of many Services: only when something was published. */
static int read_names(struct top_reader *reader, struct err *err)
{
	int ret;

	reader->published = listen_published_count(reader->dp);
	top_names_begin(&reader->top);
	ret = dataplane_frontends(reader->dp, take_frontend, &reader->top, err);
	if (!ret)
		ret = dataplane_endpoints(reader->dp, take_backend, &reader->top, err);
	reader->named = !ret;
	if (!ret)
		top_names_end(&reader->top);
	else if (ret == -ENOMEM)
		(void)err_system(err, ret, "keep the names of Services");
	return ret;
}

/* ---- counts ---------------------------------------------------------------------------------- */

static int take_load(const struct backend_load *load, void *arg)
{
	const struct sh_backend *line = load->backend;
	const struct top_count count = {
		.id = line->id,
		.flags = line->flags,
		.weight = line->weight,
		.live = line->live,
		.connections = load->connections,
		.packets = load->packets,
		.bytes = load->bytes,
	};

	top_count_backend(arg, &count);
	return 0;
}

static int take_drop(const struct drop_load *load, void *arg)
{
	top_count_drop(arg, load->service, load->reason, load->packets);
	return 0;
}

static int read_counts(struct top_reader *reader, struct err *err)
{
	int ret;

	top_sample_begin(&reader->top, monotonic_ns());
	ret = dataplane_loads(reader->dp, take_load, &reader->top, err);
	if (!ret)
		ret = dataplane_drop_loads(reader->dp, take_drop, &reader->top, err);
	top_sample_end(&reader->top);
	if (ret) /* half of a sample is none */
		top_forget(&reader->top);
	return ret;
}

int top_read(struct top_reader *reader, struct err *err)
{
	const uint64_t begun = cpu_ns();
	int ret = 0;

	if (!reader->dp || is_replaced(reader))
		ret = reopen(reader, err);
	if (!ret && (!reader->named || reader->top.stale ||
		     listen_published_count(reader->dp) != reader->published))
		ret = read_names(reader, err);
	if (!ret)
		ret = read_counts(reader, err);
	if (ret)
		return ret;
	dataplane_flow_counts(reader->dp, &reader->flows);
	reader->agent = reader->options->agent(reader->options->settings);
	reader->cost_ns = cpu_ns() - begun;
	return 0;
}

int top_check(const struct top_reader *reader, struct err *err)
{
	const char *ns = reader->options->ns, *name = reader->options->service;
	const struct top_service *service;

	if (!*name)
		return 0;
	for (service = reader->top.services; service; service = service->hh.next) {
		if (!strcmp(service->name, name) && (!*ns || !strcmp(service->ns, ns)))
			return 0;
	}
	if (!*ns)
		return err_input(err, -ENOENT, "service \"%s\" not found in any namespace", name);
	return err_input(err, -ENOENT, "service \"%s\" not found in namespace \"%s\"", name, ns);
}

/* ---- in words ---------------------------------------------------------------------------------- */

static void say_flows(const struct top_reader *reader, char buf[static TOP_LINE_SIZE])
{
	const struct flow_counts *flows = &reader->flows;
	const struct top_rates *total = &reader->top.total;
	char connections[TOP_RATE_SIZE], packets[TOP_RATE_SIZE], bytes[TOP_RATE_SIZE];
	uint64_t used = 0;
	unsigned int state;

	for (state = SH_BUSY; state < SH_STATES; state++)
		used += flows->v4[state] + flows->v6[state];
	(void)snprintf(buf, TOP_LINE_SIZE,
		       "flows %" PRIu64 " live, table %" PRIu64 " of %" PRIu64
		       "; %s conn/s, %s pkt/s, %s bytes/s",
		       reader->top.live, used, flows->max4 + flows->max6,
		       top_rate_format(total->connections, connections),
		       top_rate_format(total->packets, packets),
		       top_rate_format(total->bytes, bytes));
}

/* The reason of most drops that is not among @done yet. @return SH_REASON_COUNT: none */
static unsigned int next_reason(const struct top *top, uint64_t done)
{
	unsigned int i, best = SH_REASON_COUNT;

	for (i = 0; i < SH_REASON_COUNT; i++) {
		if (done & 1ull << i || !(top->reason_rates[i] > 0))
			continue;
		if (best == SH_REASON_COUNT || top->reason_rates[i] > top->reason_rates[best])
			best = i;
	}
	return best;
}

static void say_drops(const struct top *top, char buf[static TOP_LINE_SIZE])
{
	char rate[TOP_RATE_SIZE];
	unsigned int reason;
	uint64_t done = 0;
	size_t len;
	int n;

	(void)snprintf(buf, TOP_LINE_SIZE, "drops %s/s", top_rate_format(top->total.drops, rate));
	for (n = 0; n < 3; n++) {
		reason = next_reason(top, done);
		if (reason == SH_REASON_COUNT)
			return;
		done |= 1ull << reason;
		len = strlen(buf);
		(void)snprintf(buf + len, TOP_LINE_SIZE - len, "%s%s %s", n ? ", " : ": ",
			       reason_word((enum sh_reason)reason),
			       top_rate_format(top->reason_rates[reason], rate));
	}
}

const char *top_summary(const struct top_reader *reader, unsigned int line,
			char buf[static TOP_LINE_SIZE])
{
	char clock[16] = "", agent[48] = "no agent";
	time_t now = time(NULL);
	struct tm tm;

	buf[0] = '\0';
	if (line == 1)
		say_flows(reader, buf);
	else if (line == 2)
		say_drops(&reader->top, buf);
	if (line)
		return buf;
	if (localtime_r(&now, &tm))
		(void)strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	if (reader->agent)
		(void)snprintf(agent, sizeof(agent), "agent pid %ld", reader->agent);
	(void)snprintf(buf, TOP_LINE_SIZE, "shunt top  %s  over %.1f s  %s  %u Services", clock,
		       reader->top.seconds, agent, HASH_COUNT(reader->top.services));
	return buf;
}
