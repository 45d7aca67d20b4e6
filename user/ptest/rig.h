/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The shipped programs, loaded over maps of their own, on a node of their own:
 * neither pinned nor attached to anything but the test's own cgroup.
 */
#ifndef SHUNT_USER_PTEST_RIG_H
#define SHUNT_USER_PTEST_RIG_H

#include "dataplane/dataplane.h"
#include "model/settings.h"
#include "model/wanted.h"
#include "ptest/file.h"
#include "ptest/network.h"
#include "ptest/packet.h"

struct rig;

/* Moves this process into a network namespace of its own. @cgroup_fd: -1 without sockets. */
int rig_new(struct rig **out, int cgroup_fd, struct err *err);
/*
 * Where the process is, over @dp, which it takes over (a failure, too): no
 * network of its own, nothing to publish.
 */
int rig_over(struct rig **out, struct dataplane *dp, int cgroup_fd, struct err *err);
void rig_free(struct rig *rig); /* NULL is fine */
/* Before the first rig_publish(): programs that write down what they decide. */
void rig_keep_trace(struct rig *rig);
struct dataplane *rig_dataplane(struct rig *rig);
struct network *rig_network(struct rig *rig);

/*
 * Load the programs, unless those that are loaded have the same settings, and
 * publish @wanted in place of what there was. @wanted has to live until the next call.
 */
int rig_publish(struct rig *rig, const struct settings *settings, const struct wanted *wanted,
		struct err *err);
const struct wanted *rig_wanted(const struct rig *rig);

/* No flow, no socket, no client is remembered any more. */
void rig_forget(struct rig *rig);

/* Where a packet is, and what a program has done to it. */
struct rig_run {
	uint32_t ifindex;
	bool egress;	       /* TC only */
	struct packet *packet; /* in and out */
	int action;	       /* out: TC_ACT_*, XDP_* */
};
int rig_tc(struct rig *rig, struct rig_run *run, struct err *err);
int rig_xdp(struct rig *rig, struct rig_run *run, struct err *err);

/* The backend that the socket of that cookie was given, once. @return false: none */
bool rig_socket_backend(struct rig *rig, uint64_t cookie, struct ptest_target *out);

/*
 * The reason of a drop since the last call (if there are several, any), or
 * SH_REASON_NONE. Costs a walk over a map.
 */
enum sh_reason rig_drop_reason(struct rig *rig);

#endif
