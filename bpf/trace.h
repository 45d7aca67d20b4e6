/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Steps for `shunt trace`. Every call stands behind `if (sh_config.trace)`:
 * where that is 0 the verifier removes it, and the map isn't even made.
 */
#ifndef SHUNT_BPF_TRACE_H
#define SHUNT_BPF_TRACE_H

#include "key.h"
#include "shunt/trace.h"

/* One run at a time writes it: tracing programs see no other packets. */
struct sh_trace sh_trace SEC(SH_TRACE_SECTION);

static __always_inline struct sh_trace_record *sh_trace_next(enum sh_trace_step step)
{
	__u32 n = *(volatile __u32 *)&sh_trace.n;
	struct sh_trace_record *record;

	if (n >= SH_TRACE_STEPS_MAX) {
		sh_trace.lost++;
		return NULL;
	}
	sh_trace.n = n + 1;
	record = &sh_trace.v[n];
	record->step = step;
	return record;
}

static __always_inline void sh_trace_args(enum sh_trace_step step, __u32 a, __u32 b, __u32 c,
					  __u32 d)
{
	struct sh_trace_record *record = sh_trace_next(step);

	if (!record)
		return;
	record->arg[0] = a;
	record->arg[1] = b;
	record->arg[2] = c;
	record->arg[3] = d;
}

#endif
