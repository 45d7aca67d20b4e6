// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/command.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct need {
	unsigned int capability;
	const char *name;
	enum command_needs from; /* needed by commands that need at least this */
	bool admin_will_do;	 /* CAP_SYS_ADMIN includes it */
};

static const struct need needs[] = {
	{ CAP_BPF, "CAP_BPF", NEEDS_READ, true },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN", NEEDS_WRITE, false },
	{ CAP_PERFMON, "CAP_PERFMON", NEEDS_WRITE, true },
};

static bool has(const struct __user_cap_data_struct *data, unsigned int capability)
{
	return data[capability / 32].effective & (1u << (capability % 32));
}

/* @return false: it can't be found out; then the kernel has the say later on */
static bool effective(struct __user_cap_data_struct *data)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return !syscall(SYS_capget, &header, data);
}

int privilege_check(const struct command *command, struct err *err)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	bool missing = false;
	char names[64] = "";
	size_t i, len;

	if (command->needs == NEEDS_NOTHING || !effective(data))
		return 0;
	for (i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		if (command->needs < needs[i].from)
			continue;
		missing |= !has(data, needs[i].capability) &&
			   !(needs[i].admin_will_do && has(data, CAP_SYS_ADMIN));
		len = strlen(names);
		(void)snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "",
			       needs[i].name);
	}
	if (!missing)
		return 0;
	err->exit = EXIT_SYSTEM;
	(void)snprintf(err->msg, sizeof(err->msg), "%s needs root (%s): run it with sudo",
		       command->name, names);
	return -EPERM;
}
