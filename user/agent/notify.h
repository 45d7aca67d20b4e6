/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The service manager's readiness protocol: sd_notify(3), without its library. */
#ifndef SHUNT_USER_NOTIFY_H
#define SHUNT_USER_NOTIFY_H

/* Tell @state ("READY=1") to $NOTIFY_SOCKET, if there is one. Nobody listens: nothing is lost. */
void notify(const char *state);

#endif
