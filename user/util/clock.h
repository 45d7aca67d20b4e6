/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's clocks as one number. */
#ifndef SHUNT_USER_CLOCK_H
#define SHUNT_USER_CLOCK_H

#include <stdint.h>

/* Since some moment at boot; never set back. */
uint64_t monotonic_ns(void);
/* Since 1970. */
uint64_t realtime_ns(void);
uint64_t unix_ms(void);
/* What this process has used of the CPUs. */
uint64_t cpu_ns(void);

#endif
