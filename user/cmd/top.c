// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `top`: who gets how much, as it goes. */
#include "top/top.h"

#include <errno.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/live.h"
#include "monitor/monitor.h"

static int read_options(const struct invocation *inv, struct top_options *out, struct err *err)
{
	const struct request *request = &inv->request;
	struct monitor_filter filter = { 0 };
	int ret;

	if (request->ns && request->all_namespaces)
		return err_usage(err, -EINVAL, "-n and -A exclude each other");
	ret = monitor_service_parse(request->service, request->ns, &filter, err);
	if (ret)
		return ret;
	*out = (struct top_options){
		.settings = &inv->settings,
		.ns = "",
		.service = filter.service ? filter.service : "",
		.delay_ms = request->delay_ms ? request->delay_ms : TOP_DELAY_MS_DEFAULT,
		.output = request->output,
		.agent = live_agent,
	};
	if (filter.ns) {
		out->ns = arena_strndup(inv->arena, filter.ns, filter.ns_len);
		if (!out->ns)
			return err_system(err, -ENOMEM, "read the command line");
	}
	return 0;
}

/* Whoever asks for a format, or isn't there to look, gets one snapshot. */
static bool wants_list(const struct request *request)
{
	return request->batch || request->output_given || !isatty(STDIN_FILENO) ||
	       !isatty(STDOUT_FILENO);
}

int top_run(struct invocation *inv, struct err *err)
{
	struct top_options top;
	struct top_reader reader;
	int ret;

	ret = read_options(inv, &top, err);
	if (!ret)
		ret = privilege_check(inv->command, err);
	if (ret)
		return ret;
	ret = top_reader_open(&reader, &top, err);
	if (!ret && wants_list(&inv->request))
		ret = top_list(&reader, stdout, err);
	else if (!ret)
		ret = top_screen(&reader, err);
	top_reader_done(&reader);
	return ret == -EPIPE && !err->msg[0] ? err_output(err, ret) : ret;
}
