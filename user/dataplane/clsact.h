/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TC programs by the clsact qdisc, for kernels without TCX links (before 6.6).
 * Our filters are told from others' by priority and handle; the handle also
 * says whether the qdisc is ours, so that nothing has to be remembered.
 */
#ifndef SHUNT_USER_CLSACT_H
#define SHUNT_USER_CLSACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Attach, or replace what an earlier call attached. @return 0 or a negative errno */
int clsact_attach(uint32_t ifindex, int ingress_fd, int egress_fd);
/* The same of programs that come after those, to take their place: clsact_attach() does. */
int clsact_attach_behind(uint32_t ifindex, int ingress_fd, int egress_fd);
int clsact_detach_behind(uint32_t ifindex);
/* Remove our filters, and the qdisc if we made it and no filter is left on it. */
int clsact_detach(uint32_t ifindex);
bool clsact_attached(uint32_t ifindex);

/*
 * The programs of all filters on one side, ours too, in the order in which they run.
 * @return how many, or a negative errno
 */
int clsact_programs(uint32_t ifindex, bool egress, uint32_t *ids, size_t max);

/* The devices of this network namespace that have the qdisc, whoever made it; to be freed. */
int clsact_list(uint32_t **ifindexes_out, size_t *n_out);

#endif
