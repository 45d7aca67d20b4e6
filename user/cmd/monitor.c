// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `monitor`: what happens, as it happens. */
#include "monitor/monitor.h"

#include <errno.h>

#include "cmd/command.h"

static int read_kinds(const struct request *request, struct monitor_filter *out, struct err *err)
{
	int ret = 0;

	out->kinds = SH_EVENT_KINDS;
	out->reasons = ~0ull;
	if (request->reasons) {
		/* Only what ends here has a reason. */
		out->kinds = 1u << SH_EVENT_DROP | 1u << SH_EVENT_REJECT;
		ret = monitor_reasons_parse(request->reasons, "reason", &out->reasons, err);
	}
	if (!ret && request->events)
		ret = monitor_kinds_parse(request->events, "event", &out->kinds, err);
	return ret;
}

static int read_options(const struct invocation *inv, struct monitor_options *out, struct err *err)
{
	const struct request *request = &inv->request;
	struct monitor_filter *filter = &out->filter;
	int ret;

	out->bpffs = inv->settings.bpffs;
	out->json = request->output_given && request->output == OUTPUT_JSON;
	out->pcap = request->pcap;
	out->snaplen = request->snaplen ? request->snaplen : SH_SNAPLEN_DEFAULT;
	out->rate = request->rate ? request->rate : SH_EVENT_RATE_DEFAULT;
	out->count = request->count;
	out->duration_s = request->duration;
	if (request->snaplen && !request->pcap)
		return err_usage(err, -EINVAL, "--snaplen is for --pcap");
	if (request->ns && request->all_namespaces)
		return err_usage(err, -EINVAL, "-n and -A exclude each other");
	ret = read_kinds(request, filter, err);
	if (!ret)
		ret = monitor_service_parse(request->service, request->ns, filter, err);
	if (!ret && request->src)
		ret = monitor_end_parse(request->src, "src", &filter->src, err);
	if (!ret && request->dst)
		ret = monitor_end_parse(request->dst, "dst", &filter->dst, err);
	return ret;
}

int monitor_run(struct invocation *inv, struct err *err)
{
	struct monitor_options monitor = { 0 };
	struct dataplane *dp = NULL;
	int ret;

	ret = read_options(inv, &monitor, err);
	if (!ret)
		ret = privilege_check(inv->command, err);
	if (!ret)
		ret = dataplane_open(&dp, DATAPLANE_READ, &inv->settings, err);
	if (!ret)
		ret = monitor_run_over(dp, &monitor, err);
	dataplane_close(dp);
	return ret == -EPIPE && !err->msg[0] ? err_output(err, ret) : ret;
}
