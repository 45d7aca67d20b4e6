/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A few instructions, run once in the kernel: what it knows and no system call tells. */
#ifndef SHUNT_USER_PROBE_H
#define SHUNT_USER_PROBE_H

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Run @insns as a TC program over a packet of zeros.
 * @return 0 and its result, or a negative errno: it was refused
 */
int probe_run(const struct bpf_insn *insns, size_t n, uint32_t *result_out);

/* The low half of jiffies_64, the clock that the programs read; 0 where it can't be had. */
uint32_t probe_jiffies(void);

#endif
