/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the checks ask this machine, or rather this network namespace. */
#ifndef SHUNT_USER_DOCTOR_MACHINE_H
#define SHUNT_USER_DOCTOR_MACHINE_H

#include "dataplane/netdev.h"
#include "model/settings.h"
#include "util/err.h"

#define KUBE_IPVS_DEVICE "kube-ipvs0"

struct machine {
	struct netdev_list list;
	uint8_t *roles; /* enum sh_role, by place in the list */
	uint32_t *mtus;
};

/* @return 0 (machine_done() it) or a negative errno */
int machine_read(struct machine *out, const struct settings *settings, struct err *err);
void machine_done(struct machine *machine);
bool machine_has_uplink(const struct machine *machine);

/* /proc/sys/@fmt as a number. @return -1: there is no such thing */
__attribute__((format(printf, 1, 2))) long machine_sysctl(const char *fmt, ...);

/* The text of a file of /proc; free() it. NULL: it can't be read */
char *machine_file(const char *path);

/*
 * Run a program of the system's folders (PATH doesn't count: this is root's), with @input
 * (NULL: nothing) to read and no more than PROGRAM_TIMEOUT_MS of time. @argv ends with NULL.
 * *@out (may be NULL) is what it prints, the caller's to free(). @return 0, -ENOENT: it isn't
 * installed, -EIO: it failed, or another negative errno
 */
#define PROGRAM_TIMEOUT_MS 10000
int machine_run(const char *const *argv, const char *input, char **out, struct err *err);

#endif
