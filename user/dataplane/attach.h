/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is attached where, as the kernel has it: nothing of this is remembered by shunt. */
#ifndef SHUNT_USER_ATTACH_H
#define SHUNT_USER_ATTACH_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/netdev.h"
#include "model/settings.h"
#include "util/err.h"

/*
 * How the programs of the instance at @dir are attached to a device: *@tc_out
 * is "tcx", "clsact" or "", *@xdp_out "native", "generic" or "". Both point to
 * constants and are set in any case. @return 0
 */
int attach_describe(const char *dir, uint32_t ifindex, const char **tc_out, const char **xdp_out);

#define ATTACH_REASON_STRLEN 128
/* Why XDP is not native on @dev, an uplink; "" where it is. @return @buf */
const char *attach_xdp_reason(const struct settings *settings, const struct netdev *dev,
			      char buf[static ATTACH_REASON_STRLEN]);

#endif
