// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/sync.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <uv.h>

#include "plan/plan.h"
#include "source/store.h"
#include "util/clock.h"

/* Services by pointer: those of one publish. */
struct batch {
	struct world_service **v;
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void report(struct sync *sync, const char *fmt, ...)
{
	char text[1200];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	sync->log(sync->log_arg, text);
}

static int batch_of_dirty(const struct world *world, struct batch *out)
{
	struct world_service *service;

	*out = (struct batch){ .v = calloc(world->n_dirty + 1, sizeof(*out->v)) };
	if (!out->v)
		return -ENOMEM;
	DL_FOREACH(world->dirty, service)
		out->v[out->n++] = service;
	return 0;
}

static int batch_of_all(const struct world *world, struct batch *out)
{
	struct world_service *service;

	*out = (struct batch){ .v = calloc(HASH_COUNT(world->services) + 1, sizeof(*out->v)) };
	if (!out->v)
		return -ENOMEM;
	for (service = world->services; service; service = service->hh.next)
		out->v[out->n++] = service;
	return 0;
}

/* ---- the own control plane ----------------------------------------------------- */

/*
 * Services with a proposal: those that were turned down before, if any Service is other
 * than it was, then the new ones.
 */
static int batch_of_proposed(const struct world *world, struct batch *out)
{
	struct world_service *service;
	bool changed = false;

	*out = (struct batch){ .v = calloc(world->n_dirty + world->n_not_given + 1,
					   sizeof(*out->v)) };
	if (!out->v)
		return -ENOMEM;
	DL_FOREACH(world->dirty, service)
		changed |= service->service_changed;
	if (changed && world->n_not_given)
		for (service = world->services; service; service = service->hh.next)
			if (service->not_given)
				out->v[out->n++] = service;
	DL_FOREACH(world->dirty, service)
		if (service->proposed && !service->not_given)
			out->v[out->n++] = service;
	return 0;
}

/* Give the proposals of @batch what they leave out, beside all that is in force. */
static int allocate_batch(struct sync *sync, const struct batch *batch, struct err *err)
{
	struct object_set prev = { 0 }, next = { 0 };
	size_t i;
	int ret;

	ret = world_objects(&sync->world, false, &prev);
	if (!ret)
		ret = world_objects(&sync->world, false, &next);
	for (i = 0; i < batch->n && !ret; i++)
		ret = object_set_put(&next, object_ref(batch->v[i]->proposed));
	if (ret)
		ret = err_system(err, ret, "allocate addresses");
	else
		ret = plan_allocate(&next, &prev, sync->settings, err);
	object_set_done(&prev);
	object_set_done(&next);
	return ret;
}

static void accept_batch(struct sync *sync, const struct batch *batch)
{
	struct world_service *service;
	size_t i;

	for (i = 0; i < batch->n; i++) {
		service = batch->v[i];
		if (service->not_given)
			report(sync, "Service %s/%s: what was left out is in force now",
			       service->ns, service->name);
		world_accept(&sync->world, service);
		service->service_changed = true;
		world_mark(&sync->world, service, uv_hrtime());
	}
	sync->unsaved = true;
}

static void turn_down(struct sync *sync, struct world_service *service, const struct err *err)
{
	if (service->not_given)
		return;
	report(sync, "Service %s/%s left %s: %s", service->ns, service->name,
	       service->service ? "as it was" : "out", err->msg);
	sync->stats->objects_refused++;
	world_turn_down(&sync->world, service);
}

/* As many at once as go together: those that don't are found by halving. @return how many went */
static size_t accept_most(struct sync *sync, const struct batch *batch)
{
	size_t at = 0, n = batch->n, accepted = 0;
	struct err err = { 0 };
	struct batch some;

	while (at < batch->n) {
		some = (struct batch){ .v = batch->v + at,
				       .n = n < batch->n - at ? n : batch->n - at };
		if (!allocate_batch(sync, &some, &err)) {
			accept_batch(sync, &some);
			accepted += some.n;
			at += some.n;
			n = some.n * 2;
		} else if (some.n > 1) {
			n = some.n / 2;
		} else {
			turn_down(sync, some.v[0], &err);
			at++;
		}
	}
	return accepted;
}

/* Who is accepted may give way to one that was turned down before. */
static int accept_proposals(struct sync *sync, struct err *err)
{
	struct batch batch;
	bool again;

	do {
		if (batch_of_proposed(&sync->world, &batch))
			return err_system(err, -ENOMEM, "allocate addresses");
		again = accept_most(sync, &batch) && sync->world.n_not_given;
		free(batch.v);
	} while (again);
	return 0;
}

int sync_save(struct sync *sync, struct err *err)
{
	struct object_set set = { 0 };
	int ret;

	ret = world_objects(&sync->world, false, &set);
	if (ret)
		ret = err_system(err, ret, "keep what was allocated");
	else
		ret = store_save(sync->settings->state, &set, err);
	object_set_done(&set);
	sync->unsaved = ret;
	return ret;
}

/* ---- what a publish tells --------------------------------------------------------- */

static int health_cmp(const void *key, const void *element)
{
	const struct world_service *service = key;
	const struct want_health *health = element;
	int order = strcmp(service->ns, health->ns);

	return order ? order : strcmp(service->name, health->name);
}

static void tell_health(struct sync *sync, const struct batch *batch, const struct wanted *wanted)
{
	const struct want_health *health;
	struct err err = { 0 };
	size_t i;

	for (i = 0; sync->health && i < batch->n; i++) {
		if (batch->v[i]->refused)
			continue;
		health = NULL;
		if (wanted->n_health)
			health = bsearch(batch->v[i], wanted->health, wanted->n_health,
					 sizeof(*wanted->health), health_cmp);
		if (health_service(sync->health, batch->v[i]->ns, batch->v[i]->name, health, &err))
			report(sync, "%s", err.msg);
	}
}

static void count_published(struct sync *sync, const struct batch *batch)
{
	const uint64_t now = uv_hrtime(), now_ms = unix_ms();
	struct world_service *service;
	size_t i;

	for (i = 0; i < batch->n; i++) {
		service = batch->v[i];
		if (!service->dirty)
			continue;
		if (sync->in_force)
			histogram_add(&sync->stats->publish_latency,
				      (double)(now - service->since) / 1e9);
		if (sync->in_force && service->trigger_ms && now_ms > service->trigger_ms)
			histogram_add(&sync->stats->programming_duration,
				      (double)(now_ms - service->trigger_ms) / 1e3);
	}
}

static void settle(struct sync *sync, const struct batch *batch)
{
	size_t i;

	count_published(sync, batch);
	for (i = 0; i < batch->n; i++)
		world_settle(&sync->world, batch->v[i]);
}

static void print_notes(struct sync *sync, const struct wanted *wanted)
{
	size_t i;

	for (i = 0; i < wanted->n_notes; i++)
		report(sync, "%s", wanted->notes[i]);
	if (wanted->n_notes_more)
		report(sync, "%zu more notes", wanted->n_notes_more);
}

/* ---- a part ------------------------------------------------------------------------ */

static int resolve_batch(struct sync *sync, const struct batch *batch, struct wanted **out,
			 struct err *err)
{
	const struct plan_opts opts = { .cluster = !sync->world.own_control_plane };
	struct object_set set = { 0 };
	int ret;

	ret = world_objects_of(&sync->world, batch->v, batch->n, &set);
	if (ret)
		ret = err_system(err, ret, "resolve %zu Services", batch->n);
	else
		ret = plan_resolve_as(&set, sync->settings, &opts, out, err);
	object_set_done(&set);
	return ret;
}

/* free() them. NULL: no memory */
static struct publish_name *names_of(const struct batch *batch, bool refused_only, size_t *n_out)
{
	struct publish_name *names = calloc(batch->n + 1, sizeof(*names));
	size_t i;

	*n_out = 0;
	for (i = 0; names && i < batch->n; i++)
		if (batch->v[i]->refused || !refused_only)
			names[(*n_out)++] =
				(struct publish_name){ batch->v[i]->ns, batch->v[i]->name };
	return names;
}

static int change_batch(struct sync *sync, const struct batch *batch, const struct wanted *wanted,
			struct err *err)
{
	struct publish_order order = { .wanted = wanted };
	struct publish_name *names = names_of(batch, false, &order.n_names);
	int ret;

	if (!names)
		return err_system(err, -ENOMEM, "publish %zu Services", batch->n);
	order.names = names;
	ret = dataplane_change(sync->dp, &order, &sync->last, err);
	free(names);
	return ret;
}

static int publish_batch(struct sync *sync, const struct batch *batch, struct err *err)
{
	struct wanted *wanted = NULL;
	size_t i;
	int ret;

	ret = resolve_batch(sync, batch, &wanted, err);
	if (!ret)
		ret = change_batch(sync, batch, wanted, err);
	if (!ret) {
		print_notes(sync, wanted);
		tell_health(sync, batch, wanted);
		sync->conflicts |= wanted->n_conflicts || sync->last.conflicts;
		/* Who has a frontend that two want is found out by looking at all. */
		for (i = 0; i < batch->n; i++)
			sync->world.all_dirty |= batch->v[i]->service_changed && sync->conflicts;
		settle(sync, batch);
	}
	wanted_free(wanted);
	return ret;
}

/* What is wrong with the user's words won't be right by itself; what the system refused may. */
static void leave_out(struct sync *sync, struct world_service *service, const struct err *err)
{
	if (!service->told)
		report(sync, "Service %s/%s left as it was: %s", service->ns, service->name,
		       err->msg);
	service->told = true;
	if (err->exit == EXIT_SYSTEM) {
		world_set_aside(&sync->world, service);
		return;
	}
	service->refused = true;
	sync->stats->objects_refused++;
	world_settle(&sync->world, service);
}

/* One by one: @err is whatever the last one that was left out met. */
static void publish_each(struct sync *sync, const struct batch *batch, struct err *err)
{
	struct batch one;
	size_t i;

	for (i = 0; i < batch->n; i++) {
		one = (struct batch){ .v = &batch->v[i], .n = 1 };
		if (!batch->v[i]->refused && publish_batch(sync, &one, err))
			leave_out(sync, batch->v[i], err);
	}
}

/* Together, or, where that fails, one by one. */
static int publish_dirty(struct sync *sync, struct err *err)
{
	struct batch batch;

	if (batch_of_dirty(&sync->world, &batch))
		return err_system(err, -ENOMEM, "publish");
	if (publish_batch(sync, &batch, err)) {
		if (batch.n == 1)
			leave_out(sync, batch.v[0], err);
		else
			publish_each(sync, &batch, err);
	}
	free(batch.v);
	return 0;
}

/* ---- all -------------------------------------------------------------------------- */

/* Which Services don't resolve: they are left as they are. @return how many */
static size_t refuse_unresolved(struct sync *sync)
{
	struct world_service *service, *next;
	struct wanted *wanted;
	struct err err = { 0 };
	struct batch one;
	size_t n = 0;

	HASH_ITER(hh, sync->world.services, service, next) {
		if (service->refused)
			continue;
		one = (struct batch){ .v = &service, .n = 1 };
		wanted = NULL;
		if (resolve_batch(sync, &one, &wanted, &err)) {
			leave_out(sync, service, &err);
			n++;
		}
		wanted_free(wanted);
	}
	return n;
}

static int resolve_all(struct sync *sync, struct wanted **out, struct err *err)
{
	const struct plan_opts opts = { .cluster = !sync->world.own_control_plane,
					.on_node = true };
	struct object_set set = { 0 };
	int ret;

	ret = world_objects(&sync->world, true, &set);
	if (ret)
		return err_system(err, ret, "resolve all Services");
	ret = plan_resolve_as(&set, sync->settings, &opts, out, err);
	object_set_done(&set);
	return ret;
}

/* All but those that are refused, which stay as they are. */
static int change_all(struct sync *sync, const struct wanted *wanted, const struct batch *all,
		      struct err *err)
{
	struct publish_order order = { .wanted = wanted, .all = true };
	struct publish_name *names = names_of(all, true, &order.n_names);
	int ret;

	if (!names)
		return err_system(err, -ENOMEM, "publish");
	order.names = names;
	ret = dataplane_change(sync->dp, &order, &sync->last, err);
	free(names);
	return ret;
}

/*
 * Not all of it goes: what there is no Service for any more is taken out, then each one is
 * tried alone, so that one too many doesn't keep all others from being served.
 */
static int change_each(struct sync *sync, const struct wanted *wanted, const struct batch *all,
		       struct err *err)
{
	struct wanted nothing = *wanted;
	struct publish_order order = { .wanted = &nothing, .all = true };
	struct publish_name *names = names_of(all, false, &order.n_names);
	int ret;

	nothing.n_services = 0;
	if (!names)
		return err_system(err, -ENOMEM, "publish");
	order.names = names;
	ret = dataplane_change(sync->dp, &order, &sync->last, err);
	free(names);
	if (!ret)
		publish_each(sync, all, err);
	return ret;
}

static void all_in_force(struct sync *sync, const struct wanted *wanted)
{
	sync->conflicts = wanted->n_conflicts || sync->last.conflicts;
	sync->world.all_dirty = false;
	sync->in_force = true;
}

static int publish_all(struct sync *sync, struct err *err)
{
	struct wanted *wanted = NULL;
	struct batch batch = { 0 };
	int ret;

	sync->stats->full_syncs++;
	ret = resolve_all(sync, &wanted, err);
	if (ret && err->exit == EXIT_INPUT && refuse_unresolved(sync))
		ret = resolve_all(sync, &wanted, err);
	if (!ret && batch_of_all(&sync->world, &batch))
		ret = err_system(err, -ENOMEM, "publish");
	if (!ret && !change_all(sync, wanted, &batch, err)) {
		print_notes(sync, wanted);
		tell_health(sync, &batch, wanted);
		all_in_force(sync, wanted);
		settle(sync, &batch);
	} else if (!ret) {
		ret = change_each(sync, wanted, &batch, err);
		if (!ret)
			all_in_force(sync, wanted);
	}
	free(batch.v);
	wanted_free(wanted);
	return ret;
}

/* ---- both --------------------------------------------------------------------------- */

bool sync_waits(const struct sync *sync)
{
	return !sync->in_force || sync->world.all_dirty || sync->world.n_dirty;
}

int sync_run(struct sync *sync, struct err *err)
{
	const uint64_t begin = uv_hrtime();
	struct agent_stats *stats = sync->stats;
	bool all = !sync->in_force || sync->world.all_dirty;
	double seconds;
	int ret = 0;

	if (sync->world.own_control_plane)
		ret = accept_proposals(sync, err);
	if (!ret)
		ret = all ? publish_all(sync, err) : publish_dirty(sync, err);
	/* A conflict that came to light. */
	if (!ret && sync->world.all_dirty) {
		all = true;
		ret = publish_all(sync, err);
	}
	seconds = (double)(uv_hrtime() - begin) / 1e9;
	histogram_add(&stats->sync_duration, seconds);
	histogram_add(all ? &stats->full_sync_duration : &stats->partial_sync_duration, seconds);
	stats->syncs++;
	if (ret)
		stats->sync_failures++;
	else
		stats->last_sync_unix_ms = unix_ms();
	return ret;
}

void sync_done(struct sync *sync)
{
	world_done(&sync->world);
}
