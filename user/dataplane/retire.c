// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a publish withdrew: slots, backends and their flows. Freed in steps, so
 * that an event loop is never held up:
 *
 *	begin    what has gathered is taken in hand
 *	grace    no program sees it any more; waits, so on another thread
 *	sockets  those that are connected to the backends end; there, too
 *	slots    the tables are free; flows of the backends are to end
 *	sweep    a pass over the flow tables ends them; ids are free
 */
#include "dataplane/publisher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/stage.h"
#include "util/clock.h"

#define SWEEP_SLICE 256 /* buckets between two looks at the clock */

static int reserve(void **v, size_t *cap, size_t need, size_t size)
{
	size_t more = *cap ? *cap : 64;
	void *grown;

	if (need <= *cap)
		return 0;
	while (more < need)
		more *= 2;
	grown = realloc(*v, more * size);
	if (!grown)
		return -ENOMEM;
	*v = grown;
	*cap = more;
	return 0;
}

int retired_reserve(struct retired *retired, size_t tables, size_t backends)
{
	if (reserve((void **)&retired->tables, &retired->cap_tables, retired->n_tables + tables,
		    sizeof(*retired->tables)))
		return -ENOMEM;
	return reserve((void **)&retired->backends, &retired->cap_backends,
		       retired->n_backends + backends, sizeof(*retired->backends));
}

void retired_done(struct retired *retired)
{
	free(retired->tables);
	free(retired->backends);
	*retired = (struct retired){ 0 };
}

void retire_table(struct retired *retired, const struct sh_table *table)
{
	if (table->size)
		retired->tables[retired->n_tables++] = *table;
}

void retire_backend(struct retired *retired, uint32_t id)
{
	retired->backends[retired->n_backends++] = id;
}

/* ---- the steps ---------------------------------------------------------------- */

static bool is_empty(const struct retired *retired)
{
	return !retired->n_tables && !retired->n_backends;
}

bool dataplane_retire_begin(struct dataplane *dp)
{
	struct publisher *publisher = dp->publisher;
	struct retired swap = publisher->in_hand;

	if (!is_empty(&publisher->in_hand) || is_empty(&publisher->waiting))
		return false;
	publisher->in_hand = publisher->waiting;
	publisher->waiting = swap;
	return true;
}

int dataplane_retire_grace(struct dataplane *dp, struct err *err)
{
	return grace_wait(dp->publisher, err);
}

int dataplane_retire_sockets(struct dataplane *dp, struct sockets_ended *out, struct err *err)
{
	/* What is in hand stays as it is until its slots are free. */
	const struct retired *batch = &dp->publisher->in_hand;

	return dataplane_end_sockets(dp, batch->backends, batch->n_backends, out, err);
}

bool dataplane_retire_slots(struct dataplane *dp)
{
	struct publisher *publisher = dp->publisher;
	struct retired *batch = &publisher->in_hand;
	size_t i, n = batch->n_backends;
	uint32_t index;

	for (i = 0; i < batch->n_tables; i++)
		(void)slots_give(&publisher->slots, &batch->tables[i]);
	batch->n_tables = batch->n_backends = 0;
	for (i = 0; i < n; i++) {
		/* Nobody chose it, and since the grace period nobody can: no flow is to be ended. */
		if (!backend_line(dp, batch->backends[i])->connections) {
			backend_release(dp, batch->backends[i]);
			continue;
		}
		index = SH_BACKEND_INDEX(batch->backends[i]);
		publisher->gone[index / 8] |= (uint8_t)(1u << index % 8);
		batch->backends[batch->n_backends++] = batch->backends[i];
	}
	/* Whatever pass is on its way: this one has to see every bucket. */
	if (batch->n_backends)
		sweep_begin(dp);
	return batch->n_backends;
}

/* The pass that looked for them is over: nothing leads to these ids any more. */
static void release_backends(struct dataplane *dp)
{
	struct publisher *publisher = dp->publisher;
	struct retired *batch = &publisher->in_hand;
	uint32_t index;
	size_t i;

	for (i = 0; i < batch->n_backends; i++) {
		index = SH_BACKEND_INDEX(batch->backends[i]);
		/* Not marked: they came in hand while this pass was on its way. */
		if (!(publisher->gone[index / 8] >> index % 8 & 1))
			return;
		publisher->gone[index / 8] &= (uint8_t)~(1u << index % 8);
		backend_release(dp, batch->backends[i]);
	}
	batch->n_backends = 0;
}

void dataplane_sweep_begin(struct dataplane *dp)
{
	sweep_begin(dp);
}

bool dataplane_sweep(struct dataplane *dp, uint64_t budget_ns, struct sweep_result *out)
{
	struct sweep *sweep = &dp->publisher->sweep;
	const uint64_t until = monotonic_ns() + budget_ns;
	bool more;

	do
		more = sweep_some(dp, SWEEP_SLICE);
	while (more && monotonic_ns() < until);
	*out = (struct sweep_result){ .expired = sweep->expired, .ended = sweep->ended };
	sweep->expired = sweep->ended = 0;
	/* An id that a flow may still name waits for a pass that has seen all. */
	if (!more && !sweep->incomplete)
		release_backends(dp);
	return more;
}

int dataplane_retire(struct dataplane *dp, struct retire_result *out, struct err *err)
{
	int ret;

	*out = (struct retire_result){ 0 };
	/* A batch in hand is one whose grace period could not be waited for. */
	if (!dataplane_retire_begin(dp) && is_empty(&dp->publisher->in_hand))
		return 0;
	ret = dataplane_retire_grace(dp, err);
	if (ret)
		return ret;
	(void)dataplane_retire_sockets(dp, &out->sockets, &out->sockets_err);
	if (dataplane_retire_slots(dp))
		(void)dataplane_sweep(dp, UINT64_MAX / 2, &out->swept);
	return 0;
}
