/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The clock that the programs read, which no system call tells. */
#ifndef SHUNT_USER_CLOCK_H
#define SHUNT_USER_CLOCK_H

#include <stdint.h>

/* The low half of jiffies_64; 0 where the kernel lets us run no program. */
uint32_t clock_jiffies(void);

#endif
