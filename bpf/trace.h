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

/*
 * Its address, loaded here and not, as clang 19 likes to, somewhere above in
 * code that stays: a reference to a map that isn't made is refused there.
 */
static __always_inline struct sh_trace *sh_trace_at(void)
{
	struct sh_trace *trace;

	asm volatile("%0 = %1 ll" : "=r"(trace) : "i"(&sh_trace));
	return trace;
}

static __always_inline struct sh_trace_record *sh_trace_next(enum sh_trace_step step)
{
	struct sh_trace *trace = sh_trace_at();
	struct sh_trace_record *record;
	__u32 n = trace->n;

	if (n >= SH_TRACE_STEPS_MAX) {
		trace->lost++;
		return NULL;
	}
	trace->n = n + 1;
	record = &trace->v[n];
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

/* Once in a run: whoever has something to say of a packet introduces it first. */
static __always_inline void sh_trace_packet(const struct sh_key *key, bool maybe, const bool v6)
{
	struct sh_trace_record *record = sh_trace_at()->n ? NULL : sh_trace_next(SH_TRACE_PACKET);

	if (!record)
		return;
	record->arg[0] = key->direction;
	record->arg[1] = key->proto;
	sh_addr_from_word(&record->src, key->src, v6);
	sh_addr_from_word(&record->dst, key->dst, v6);
	record->sport = key->sport;
	record->dport = key->dport;
	sh_trace_args(SH_TRACE_FILTER, maybe, 0, 0, 0);
}

#endif
