// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/edges.h"

#include "plan/plan.h"

/* A node that starts a hundred pods tells of each several times: it is looked at so often. */
#define AGAIN_MS     50
#define RETRY_MS     500
#define RETRY_MAX_MS 30000

static int write_addresses(struct edges *edges, struct err *err)
{
	struct sh_addr addrs[SH_NODEADDRS_MAX];
	struct sync *sync = edges->sync;
	size_t n = 0;
	int ret;

	ret = plan_nodeaddrs(&sync->world.nodes, sync->settings, addrs, &n, err);
	return ret ? ret : dataplane_nodeaddrs_write(sync->dp, addrs, n, err);
}

/* Of routes only those that make a device an uplink count: most don't. */
static bool same_uplinks(const struct netdev_list *a, const struct netdev_list *b)
{
	const struct netdev *x, *y;
	size_t i;

	for (i = 0; a->n == b->n && i < a->n; i++) {
		x = &a->v[i];
		y = &b->v[i];
		if (x->ifindex != y->ifindex || x->default_route4 != y->default_route4 ||
		    x->default_route6 != y->default_route6 || x->metric4 != y->metric4 ||
		    x->metric6 != y->metric6)
			return false;
	}
	return a->n == b->n;
}

static int attach(struct edges *edges, struct err *err)
{
	const bool routes_only = !(edges->changes & (NETWATCH_LINKS | NETWATCH_ADDRESSES));
	struct sync *sync = edges->sync;
	struct netdev_list now = { 0 };
	int ret;

	ret = netdev_list(&now, err);
	if (!ret && !(routes_only && same_uplinks(&edges->attached, &now))) {
		ret = dataplane_attach(sync->dp, sync->settings, err);
		sync->stats->attachments++;
	}
	netdev_list_done(ret ? &now : &edges->attached);
	if (!ret)
		edges->attached = now;
	return ret;
}

static int look(struct edges *edges, struct err *err)
{
	struct sync *sync = edges->sync;
	int ret = 0;

	edges->last_ms = uv_now(edges->timer.loop);
	/* Not before the node's own object may be known: the first publish writes them. */
	if (edges->changes & NETWATCH_ADDRESSES && sync->in_force)
		ret = write_addresses(edges, err);
	if (!ret && edges->changes & (NETWATCH_LINKS | NETWATCH_ADDRESSES | NETWATCH_ROUTES))
		ret = attach(edges, err);
	if (!ret)
		edges->changes = 0;
	return ret;
}

static void again(uv_timer_t *timer);

static void look_and_report(struct edges *edges)
{
	struct err err = { 0 };
	uint64_t wait = RETRY_MS;

	if (!look(edges, &err)) {
		edges->failures = 0;
		return;
	}
	/* A device that went while it was looked at is not worth a word. */
	if (edges->failures++ == 2)
		edges->sync->log(edges->sync->log_arg, err.msg);
	if (edges->failures < 8)
		wait <<= edges->failures;
	else
		wait = RETRY_MAX_MS;
	(void)uv_timer_start(&edges->timer, again, wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS, 0);
}

static void again(uv_timer_t *timer)
{
	look_and_report(timer->data);
}

static void changed(void *arg, unsigned int changes)
{
	struct edges *edges = arg;
	uint64_t now = uv_now(edges->timer.loop), due = edges->last_ms + AGAIN_MS;

	/* Next hops that are cached are void at once: that costs a look-up each. */
	dataplane_route_changed(edges->sync->dp);
	edges->sync->stats->route_epochs++;
	changes &= ~(unsigned int)NETWATCH_NEIGHBOURS;
	if (!changes)
		return;
	edges->changes |= changes;
	if (!edges->hold)
		(void)uv_timer_start(&edges->timer, again, due > now ? due - now : 0, 0);
}

int edges_start(struct edges *edges, uv_loop_t *loop, struct sync *sync, bool hold, struct err *err)
{
	int ret;

	*edges = (struct edges){ .sync = sync, .hold = true };
	edges->timer.data = edges;
	(void)uv_timer_init(loop, &edges->timer);
	ret = netwatch_start(&edges->watch, loop, changed, edges, err);
	if (!ret && !hold)
		ret = edges_release(edges, err);
	return ret;
}

int edges_release(struct edges *edges, struct err *err)
{
	int ret;

	edges->hold = false;
	edges->changes = NETWATCH_LINKS | NETWATCH_ADDRESSES;
	ret = look(edges, err);
	if (ret)
		(void)uv_timer_start(&edges->timer, again, RETRY_MS, 0);
	return ret;
}

void edges_stop(struct edges *edges)
{
	netwatch_stop(edges->watch);
	netdev_list_done(&edges->attached);
	uv_close((uv_handle_t *)&edges->timer, NULL);
}
