// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/reclaim.h"

#define PASS_MS	 10000	 /* between two passes for what has expired: less than a flow's stamp */
#define PAUSE_MS 100	 /* while one change follows the other a pass is for several */
#define SLICE_NS 2000000 /* the loop is held up no longer */

static void grace_work(uv_work_t *work)
{
	struct reclaim *reclaim = work->data;

	reclaim->sockets = (struct sockets_ended){ 0 };
	reclaim->grace_ret = dataplane_retire_grace(reclaim->dp, NULL);
	if (!reclaim->grace_ret)
		reclaim->sockets_ret = dataplane_retire_sockets(reclaim->dp, &reclaim->sockets,
								&reclaim->sockets_err);
}

static void slices_run(uv_idle_t *handle);

static void grace_done(uv_work_t *work, int status)
{
	struct reclaim *reclaim = work->data;

	reclaim->waiting = false;
	if (reclaim->stopping || status)
		return;
	if (reclaim->grace_ret)
		return;
	if (reclaim->sockets_ret && reclaim->sockets_ret != reclaim->sockets_said)
		reclaim->log(reclaim->log_arg, reclaim->sockets_err.msg);
	reclaim->sockets_said = reclaim->sockets_ret;
	reclaim->stats->sockets_ended += reclaim->sockets.tcp + reclaim->sockets.udp;
	if (dataplane_retire_slots(reclaim->dp))
		(void)uv_idle_start(&reclaim->slices, slices_run);
	else
		reclaim_kick(reclaim);
}

static void pause_over(uv_timer_t *handle)
{
	reclaim_kick(handle->data);
}

void reclaim_kick(struct reclaim *reclaim)
{
	const uint64_t now = uv_now(reclaim->timer.loop);

	if (now < reclaim->due_ms) {
		(void)uv_timer_start(&reclaim->pause, pause_over, reclaim->due_ms - now, 0);
		return;
	}
	/* A grace period that could not be waited for: what it is for is in hand still. */
	if (reclaim->waiting || (!reclaim->grace_ret && !dataplane_retire_begin(reclaim->dp)))
		return;
	reclaim->due_ms = now + PAUSE_MS;
	reclaim->waiting =
		!uv_queue_work(reclaim->slices.loop, &reclaim->grace, grace_work, grace_done);
}

static void slices_run(uv_idle_t *handle)
{
	struct reclaim *reclaim = handle->data;
	struct sweep_result result;
	bool more;

	more = dataplane_sweep(reclaim->dp, SLICE_NS, &result);
	reclaim->stats->flows_expired += result.expired;
	reclaim->stats->flows_ended += result.ended;
	if (more)
		return;
	reclaim->stats->sweeps++;
	(void)uv_idle_stop(handle);
	reclaim_kick(reclaim);
}

static void pass_begin(uv_timer_t *handle)
{
	struct reclaim *reclaim = handle->data;

	reclaim_kick(reclaim);
	if (uv_is_active((uv_handle_t *)&reclaim->slices))
		return;
	dataplane_sweep_begin(reclaim->dp);
	(void)uv_idle_start(&reclaim->slices, slices_run);
}

int reclaim_start(struct reclaim *reclaim, uv_loop_t *loop)
{
	reclaim->timer.data = reclaim->pause.data = reclaim;
	reclaim->slices.data = reclaim->grace.data = reclaim;
	(void)uv_timer_init(loop, &reclaim->timer);
	(void)uv_timer_init(loop, &reclaim->pause);
	(void)uv_idle_init(loop, &reclaim->slices);
	return uv_timer_start(&reclaim->timer, pass_begin, PASS_MS, PASS_MS);
}

void reclaim_stop(struct reclaim *reclaim)
{
	reclaim->stopping = true;
	uv_close((uv_handle_t *)&reclaim->timer, NULL);
	uv_close((uv_handle_t *)&reclaim->pause, NULL);
	uv_close((uv_handle_t *)&reclaim->slices, NULL);
}
