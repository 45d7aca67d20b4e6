/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets that were translated at connect() and whose backend is gone: nobody
 * translates their packets, so nobody but the kernel can tell them. They are
 * aborted: the next call on them fails with ECONNABORTED.
 *
 *	which      shunt_sockets: connected, and to one of these backend ids. Where
 *		   none is, this ends, and where no socket or flow has ever met the
 *		   backends it doesn't even look
 *	where      their network namespaces, by their cookies: the host's own first;
 *		   only if others are needed /proc is walked, until all were met
 *	how        sockiter.c, else sockdiag.c
 *
 * A socket is meant only while it is the same (its cookie) and still connected to
 * that address and port, so one that has gone elsewhere, or is connected directly,
 * is left alone. A socket whose connect() the kernel is in the middle of, between
 * the program that chose the backend and the address that it then takes, may be
 * missed; it is as if it had connected just before its server died.
 */
#include "dataplane/sockets.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 4096 /* entries of shunt_sockets to be read at once; no bucket has as many */

/* ---- which ------------------------------------------------------------------ */

struct id_set {
	uint32_t *v; /* sorted */
	size_t n;
};

static int id_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Has the backend had a connection? If another one has its line by now, nobody knows. */
static bool maybe_used(const struct dataplane *dp, uint32_t id)
{
	const struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS], *line;
	uint32_t now;

	if (SH_BACKEND_INDEX(id) >= dp->map_max[DP_MAP_BACKENDS])
		return false;
	line = &lines[SH_BACKEND_INDEX(id)];
	now = __atomic_load_n(&line->id, __ATOMIC_ACQUIRE);
	return line->connections || (now && now != id);
}

static int id_set_make(struct id_set *set, const struct dataplane *dp, const uint32_t *ids,
		       size_t n)
{
	size_t i;

	set->n = 0;
	set->v = malloc((n ? n : 1) * sizeof(*set->v));
	if (!set->v)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (maybe_used(dp, ids[i]))
			set->v[set->n++] = ids[i];
	}
	qsort(set->v, set->n, sizeof(*set->v), id_cmp);
	return 0;
}

static bool id_set_has(const struct id_set *set, uint32_t id)
{
	return bsearch(&id, set->v, set->n, sizeof(id), id_cmp);
}

static int ending_cmp(const void *a, const void *b)
{
	/* Keys carry no padding that isn't zero. */
	return memcmp(&((const struct ending *)a)->key, &((const struct ending *)b)->key,
		      sizeof(struct sh_socket_key));
}

struct ending *endings_find(const struct endings *endings, const struct sh_socket_key *key)
{
	const struct ending like = { .key = *key };

	return bsearch(&like, endings->v, endings->n, sizeof(like), ending_cmp);
}

bool endings_have(const struct endings *endings, proto_t proto)
{
	size_t i;

	for (i = 0; i < endings->n && endings->v[i].key.proto != proto; i++)
		;
	return i < endings->n;
}

static int endings_add(struct endings *endings, const struct sh_socket_key *key,
		       const struct sh_socket *value)
{
	struct ending *grown;

	/* Room doubles: the count is a power of two when it is full. */
	if (!(endings->n & (endings->n - 1))) {
		grown = realloc(endings->v, (endings->n ? endings->n * 2 : 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		endings->v = grown;
	}
	endings->v[endings->n++] = (struct ending){ .key = *key, .netns = value->netns };
	return 0;
}

struct batch {
	struct sh_socket_key keys[BATCH];
	struct sh_socket values[BATCH];
	uint32_t place; /* the kernel's */
};

static int batch_take(const struct batch *batch, uint32_t n, const struct id_set *ids,
		      struct endings *out)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++) {
		if (batch->values[i].flags & SH_SOCKET_CONNECTED &&
		    id_set_has(ids, batch->values[i].backend))
			ret = endings_add(out, &batch->keys[i], &batch->values[i]);
	}
	return ret;
}

static int endings_read(const struct dataplane *dp, const struct id_set *ids, struct endings *out)
{
	struct batch *batch = malloc(sizeof(*batch));
	uint32_t n, *from = NULL;
	bool last = false;
	int ret = 0;

	if (!batch)
		return -ENOMEM;
	while (!last && !ret) {
		n = BATCH;
		if (bpf_map_lookup_batch(dp->map_fd[DP_MAP_SOCKETS], from, &batch->place,
					 batch->keys, batch->values, &n, NULL)) {
			last = errno == ENOENT;
			ret = last ? 0 : -errno;
		}
		if (!ret)
			ret = batch_take(batch, n, ids, out);
		from = &batch->place;
	}
	free(batch);
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), ending_cmp);
	return ret;
}

/* ---- where and how ------------------------------------------------------------ */

struct work {
	struct endings *endings;
	struct sockiter *iter; /* NULL: by netlink */
	uint32_t *netns;       /* sorted: where there are any left */
	size_t n_netns;
	int ret; /* the first failure */
};

static int netns_needed(struct work *work)
{
	const struct endings *endings = work->endings;
	size_t i, n = 0;

	work->netns = malloc(endings->n * sizeof(*work->netns));
	if (!work->netns)
		return -ENOMEM;
	for (i = 0; i < endings->n; i++)
		work->netns[i] = endings->v[i].netns;
	qsort(work->netns, endings->n, sizeof(*work->netns), id_cmp);
	for (i = 0; i < endings->n; i++) {
		if (!n || work->netns[n - 1] != work->netns[i])
			work->netns[n++] = work->netns[i];
	}
	work->n_netns = n;
	return 0;
}

/* In one network namespace; a failure there doesn't keep the others. @return 1: all were met */
static int end_here(void *arg)
{
	struct work *work = arg;
	__u64 cookie;
	uint32_t *at, low;
	int ret;

	ret = netns_cookie(&cookie);
	if (ret)
		return ret;
	low = (uint32_t)cookie;
	at = bsearch(&low, work->netns, work->n_netns, sizeof(low), id_cmp);
	if (!at)
		return 0;
	ret = work->iter ? sockiter_run(work->iter, work->endings) : sockdiag_end(work->endings);
	if (!work->ret)
		work->ret = ret;
	work->n_netns--;
	memmove(at, at + 1, (size_t)(work->netns + work->n_netns - at) * sizeof(*at));
	return !work->n_netns;
}

static void *end_everywhere(void *arg)
{
	struct work *work = arg;
	int ret;

	ret = end_here(work);
	if (!ret)
		ret = netns_each(end_here, work);
	if (ret < 0 && !work->ret)
		work->ret = ret;
	return NULL;
}

/* In a thread of its own, which may leave this network namespace and not come back. */
static int run_thread(struct work *work)
{
	sigset_t all, old;
	pthread_t thread;
	int ret;

	/* Signals are the other threads' business. */
	(void)sigfillset(&all);
	ret = -pthread_sigmask(SIG_SETMASK, &all, &old);
	if (ret)
		return ret;
	ret = -pthread_create(&thread, NULL, end_everywhere, work);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		return ret;
	(void)pthread_join(thread, NULL);
	return work->ret;
}

static int endings_end(struct endings *endings)
{
	struct work work = { .endings = endings };
	int ret;

	ret = netns_needed(&work);
	if (ret)
		return ret;
	if (sockiter_new(&work.iter, endings))
		work.iter = NULL;
	ret = run_thread(&work);
	if (work.iter)
		sockiter_collect(work.iter, endings);
	sockiter_free(work.iter);
	free(work.netns);
	return ret;
}

/* What was ended has no more need of a name. */
static void endings_count(const struct dataplane *dp, const struct endings *endings,
			  struct sockets_ended *out)
{
	size_t i;

	for (i = 0; i < endings->n; i++) {
		if (!endings->v[i].ended)
			continue;
		if (endings->v[i].key.proto == IPPROTO_TCP)
			out->tcp++;
		else
			out->udp++;
		(void)bpf_map_delete_elem(dp->map_fd[DP_MAP_SOCKETS], &endings->v[i].key);
	}
}

static int explain(int ret, struct err *err)
{
	const char *what = "end the sockets of backends that are gone";

	if (ret == -EOPNOTSUPP)
		return err_system(err, ret,
				  "%s: this kernel can't; it takes Linux 6.5, or "
				  "CONFIG_INET_DIAG_DESTROY before that. They wait for a time-out",
				  what);
	if (ret == -E2BIG)
		return err_system(err, ret, "%s: more than %d network namespaces (SH_NETNS_MAX)",
				  what, SH_NETNS_MAX);
	return err_system(err, ret, "%s", what);
}

int dataplane_end_sockets(struct dataplane *dp, const uint32_t *backend_ids, size_t n,
			  struct sockets_ended *out, struct err *err)
{
	struct endings endings = { 0 };
	struct sockets_ended ended = { 0 };
	struct id_set ids = { 0 };
	int ret;

	ret = id_set_make(&ids, dp, backend_ids, n);
	if (!ret && ids.n)
		ret = endings_read(dp, &ids, &endings);
	if (!ret && endings.n) {
		ret = endings_end(&endings);
		endings_count(dp, &endings, &ended);
	}
	*out = ended;
	free(endings.v);
	free(ids.v);
	return ret ? explain(ret, err) : 0;
}
