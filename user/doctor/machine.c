// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "doctor/machine.h"

#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* By ioctl(): /sys may be another network namespace's. */
static uint32_t mtu_of(int fd, const char *name)
{
	struct ifreq request = { 0 };

	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return ioctl(fd, SIOCGIFMTU, &request) ? 0 : (uint32_t)request.ifr_mtu;
}

int machine_read(struct machine *out, const struct settings *settings, struct err *err)
{
	int fd = -1, ret;
	size_t i;

	*out = (struct machine){ .roles = NULL };
	ret = netdev_list(&out->list, err);
	if (ret)
		return ret;
	out->roles = calloc(out->list.n + 1, sizeof(*out->roles));
	out->mtus = calloc(out->list.n + 1, sizeof(*out->mtus));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!out->roles || !out->mtus || fd < 0) {
		ret = err_system(err, fd < 0 ? -errno : -ENOMEM, "look at this machine's devices");
		goto out;
	}
	for (i = 0; i < out->list.n; i++) {
		out->roles[i] = (uint8_t)netdev_role(&out->list, &out->list.v[i], settings);
		out->mtus[i] = mtu_of(fd, out->list.v[i].name);
	}
out:
	if (fd >= 0)
		(void)close(fd);
	if (ret)
		machine_done(out);
	return ret;
}

void machine_done(struct machine *machine)
{
	netdev_list_done(&machine->list);
	free(machine->roles);
	free(machine->mtus);
	*machine = (struct machine){ .roles = NULL };
}

bool machine_has_uplink(const struct machine *machine)
{
	size_t i;

	for (i = 0; i < machine->list.n; i++) {
		if (machine->roles[i] == SH_ROLE_UPLINK)
			return true;
	}
	return false;
}

long machine_sysctl(const char *fmt, ...)
{
	char path[256] = "/proc/sys/";
	const size_t len = strlen(path);
	long value = -1;
	va_list args;
	FILE *file;

	va_start(args, fmt);
	(void)vsnprintf(path + len, sizeof(path) - len, fmt, args);
	va_end(args);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	(void)fclose(file);
	return value;
}

char *machine_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;

	if (!file)
		return NULL;
	/* Nothing in /proc that is asked for has a NUL in it: all of it is one line. */
	if (getdelim(&text, &cap, '\0', file) < 0) {
		free(text);
		text = ferror(file) ? NULL : strdup("");
	}
	(void)fclose(file);
	return text;
}
