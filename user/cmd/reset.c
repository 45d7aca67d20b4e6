// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `reset`: the instance out of the kernel, then its state. */
#include "cmd/command.h"

#include <errno.h>
#include <unistd.h>

#include "dataplane/dataplane.h"
#include "source/agent_file.h"
#include "source/store.h"

/* Pins may be there, though broken; state may outlive them (a reboot), or the other way round. */
static bool is_there(const char *dir)
{
	return !access(dir, F_OK);
}

int reset_run(struct invocation *inv, struct err *err)
{
	const struct settings *settings = &inv->settings;
	bool pins, state;
	int ret;

	ret = privilege_check(inv->command, err);
	if (ret)
		return ret;
	pins = is_there(settings->bpffs);
	state = is_there(settings->state);
	ret = dataplane_reset(settings, err);
	if (ret)
		return ret;
	if (pins)
		say(inv, "kernel: removed programs, maps and links of %s\n", settings->bpffs);
	ret = agent_file_remove(settings->state, AGENT_FILE, err);
	if (!ret)
		ret = agent_file_remove(settings->state, LABELS_FILE, err);
	if (!ret)
		ret = store_remove(settings->state, err);
	if (ret)
		return ret;
	if (state)
		say(inv, "state: removed %s\n", settings->state);
	if (!pins && !state)
		say(inv, "nothing to remove\n");
	return 0;
}
