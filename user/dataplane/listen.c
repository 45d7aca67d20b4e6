/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/listen.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/internal.h"
#include "dataplane/probe.h"
#include "util/clock.h"

struct listener {
	struct dataplane *dp;
	struct sh_listeners *all; /* of its own, for a reader's mapping can't be written */
	struct listen_options options;
	struct listen_sink sink;
	struct ring_buffer *ring;
	uint32_t number;
	uint32_t owner;
	bool standing; /* the place is ours */
	uint64_t seen; /* publishes */
	struct listen_lost lost;
	struct sh_heard *heard; /* one of each CPU */
	int cpus;
	/* Jiffies are asked for once; from there on they are counted by the clock. */
	uint32_t jiffies;
	uint64_t jiffies_ns;
	uint32_t hz;
};

const char *event_word(enum sh_event_kind kind)
{
	static const char *const words[SH_EVENT_COUNT] = {
#define SH_EVENT(name, word, text) [SH_EVENT_##name] = (word),
#include "shunt/events.def"
#undef SH_EVENT
	};

	return (unsigned int)kind < SH_EVENT_COUNT && words[kind] ? words[kind] : "unknown";
}

const char *event_file(enum sh_file file)
{
	static const char *const files[SH_FILE_COUNT] = {
#define X(id, name) [SH_FILE_##id] = (name),
		SH_FILES(X)
#undef X
	};

	return (unsigned int)file < SH_FILE_COUNT && files[file] ? files[file] : "";
}

bool dataplane_backend_addr(struct dataplane *dp, uint32_t id, struct sh_addr *addr_out,
			    __be16 *port_out)
{
	const struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS];
	uint32_t index = SH_BACKEND_INDEX(id);

	if (!id || index >= dp->map_max[DP_MAP_BACKENDS] || lines[index].id != id)
		return false;
	*addr_out = lines[index].addr;
	*port_out = lines[index].port;
	return true;
}

/* ---- signs of life ---------------------------------------------------------------- */

static uint32_t jiffies_now(const struct listener *listener)
{
	uint64_t ms = (monotonic_ns() - listener->jiffies_ns) / 1000000u;

	return listener->jiffies + (uint32_t)(ms * listener->hz / 1000u);
}

static bool is_dead(const struct sh_listener *entry, uint32_t jiffies, uint32_t hz)
{
	uint32_t beat = __atomic_load_n(&entry->beat, __ATOMIC_RELAXED);

	return (int32_t)(jiffies - beat) > (int32_t)(SH_LISTENER_EXPIRES_S * hz);
}

/* What is listened to by anybody, anew: the count above it tells programs that it is. */
static void any_write(struct sh_listeners *all)
{
	uint32_t old = __atomic_load_n(&all->any, __ATOMIC_SEQ_CST), kinds, any;

	do {
		kinds = 0;
		for (size_t i = 0; i < SH_LISTENERS_MAX; i++)
			kinds |= __atomic_load_n(&all->v[i].kinds, __ATOMIC_SEQ_CST);
		any = ((old >> 8) + 1) << 8 | (kinds & 0xff);
	} while (!__atomic_compare_exchange_n(&all->any, &old, any, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
}

/* @return 0 or -ESTALE */
static int beat(struct listener *listener)
{
	struct sh_listener *mine = &listener->all->v[listener->number];
	uint32_t kinds = listener->options.kinds, any;

	if (__atomic_load_n(&mine->owner, __ATOMIC_SEQ_CST) != listener->owner)
		return -ESTALE;
	__atomic_store_n(&mine->beat, jiffies_now(listener), __ATOMIC_RELAXED);
	any = __atomic_load_n(&listener->all->any, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&mine->kinds, __ATOMIC_SEQ_CST) == kinds && (any & kinds) == kinds)
		return 0;
	__atomic_store_n(&mine->kinds, kinds, __ATOMIC_SEQ_CST);
	any_write(listener->all);
	return 0;
}

/* ---- a place -------------------------------------------------------------------------- */

static bool place_claim(struct listener *listener, uint32_t number)
{
	struct sh_listener *entry = &listener->all->v[number];
	uint32_t owner = __atomic_load_n(&entry->owner, __ATOMIC_SEQ_CST);

	if (owner && !is_dead(entry, jiffies_now(listener), listener->hz))
		return false;
	if (!__atomic_compare_exchange_n(&entry->owner, &owner, listener->owner, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return false;
	/* From here on nobody takes it for dead. */
	__atomic_store_n(&entry->beat, jiffies_now(listener), __ATOMIC_SEQ_CST);
	__atomic_store_n(&entry->kinds, 0, __ATOMIC_SEQ_CST);
	listener->number = number;
	listener->standing = true;
	return true;
}

static int place_take(struct listener *listener, struct err *err)
{
	uint32_t pids[SH_LISTENERS_MAX];
	char text[128] = "";
	size_t n, i, len = 0;

	for (i = 0; i < SH_LISTENERS_MAX; i++) {
		if (place_claim(listener, (uint32_t)i))
			return 0;
	}
	n = listeners(listener->dp, pids);
	for (i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u", i ? ", " : "",
					pids[i]);
	return err_system(err, -EUSERS,
			  "%s has %d monitors already (limit SH_LISTENERS_MAX), processes %s: end "
			  "one of them",
			  listener->dp->dir, SH_LISTENERS_MAX, text);
}

static void place_leave(struct listener *listener)
{
	struct sh_listener *mine = &listener->all->v[listener->number];

	if (!listener->standing ||
	    __atomic_load_n(&mine->owner, __ATOMIC_SEQ_CST) != listener->owner)
		return;
	__atomic_store_n(&mine->kinds, 0, __ATOMIC_SEQ_CST);
	any_write(listener->all);
	/* This waits until no program writes into the buffer any more. */
	(void)bpf_map_delete_elem(listener->dp->map_fd[DP_MAP_EVENTS], &listener->number);
	__atomic_store_n(&mine->owner, 0, __ATOMIC_SEQ_CST);
}

size_t listeners(struct dataplane *dp, uint32_t pids_out[static SH_LISTENERS_MAX])
{
	const struct sh_control *control = dp->mem[DP_MAP_CONTROL];
	const struct sh_listeners *all = dp->mem[DP_MAP_LISTENERS];
	uint32_t jiffies = probe_jiffies();
	size_t n = 0;

	for (size_t i = 0; i < SH_LISTENERS_MAX; i++) {
		uint32_t owner = __atomic_load_n(&all->v[i].owner, __ATOMIC_RELAXED);

		if (owner && !is_dead(&all->v[i], jiffies, control->config.hz))
			pids_out[n++] = owner;
	}
	return n;
}

/* ---- the buffer ------------------------------------------------------------------------- */

static int on_event(void *arg, void *data, size_t size)
{
	struct listener *listener = arg;

	if (size != sizeof(struct sh_event))
		return 0;
	return listener->sink.event(data, listener->sink.arg);
}

static int ring_open(struct listener *listener, struct err *err)
{
	int outer = listener->dp->map_fd[DP_MAP_EVENTS], fd, ret = 0;

	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "shunt_ring", 0, 0, SH_EVENT_BUFFER_BYTES, NULL);
	if (fd < 0)
		return err_system(err, -errno, "make a ring buffer of %u bytes",
				  SH_EVENT_BUFFER_BYTES);
	listener->ring = ring_buffer__new(fd, on_event, listener, NULL);
	if (!listener->ring)
		ret = err_system(err, -errno, "read a ring buffer");
	else if (bpf_map_update_elem(outer, &listener->number, &fd, BPF_ANY))
		ret = err_system(err, -errno, "put a ring buffer into %s",
				 dp_map_names[DP_MAP_EVENTS]);
	/* Its memory is mapped, and the map of maps holds it. */
	close(fd);
	return ret;
}

static int heard_read(struct listener *listener, struct err *err)
{
	if (bpf_map_lookup_elem(listener->dp->map_fd[DP_MAP_HEARD], &listener->number,
				listener->heard))
		return err_system(err, -errno, "read %s", dp_map_names[DP_MAP_HEARD]);
	return 0;
}

/* What the one before has lost is not ours. */
static int heard_clear(struct listener *listener, struct err *err)
{
	memset(listener->heard, 0, (size_t)listener->cpus * sizeof(*listener->heard));
	if (bpf_map_update_elem(listener->dp->map_fd[DP_MAP_HEARD], &listener->number,
				listener->heard, BPF_ANY))
		return err_system(err, -errno, "write %s", dp_map_names[DP_MAP_HEARD]);
	return 0;
}

/* ---- publishes ----------------------------------------------------------------------------- */

uint64_t listen_published_count(const struct dataplane *dp)
{
	const struct sh_listeners *all = dp->mem[DP_MAP_LISTENERS];

	return __atomic_load_n(&all->published, __ATOMIC_ACQUIRE);
}

void listen_published(struct dataplane *dp, const struct publish_result *result)
{
	struct sh_listeners *all = dp->mem[DP_MAP_LISTENERS];
	struct sh_published *to = &all->log[all->published % SH_PUBLISHED_MAX];

	if (!(result->services_added | result->services_changed | result->services_removed |
	      result->backends_added | result->backends_changed | result->backends_removed))
		return;
	*to = (struct sh_published){
		.ns = monotonic_ns(),
		.services_added = (uint32_t)result->services_added,
		.services_changed = (uint32_t)result->services_changed,
		.services_removed = (uint32_t)result->services_removed,
		.backends_added = (uint32_t)result->backends_added,
		.backends_changed = (uint32_t)result->backends_changed,
		.backends_removed = (uint32_t)result->backends_removed,
	};
	__atomic_store_n(&all->published, all->published + 1, __ATOMIC_RELEASE);
}

static int publishes_read(struct listener *listener)
{
	const struct sh_listeners *all = listener->all;
	uint64_t head = __atomic_load_n(&all->published, __ATOMIC_ACQUIRE);
	struct sh_published copy;
	int ret = 0;

	while (!ret && listener->seen != head) {
		copy = all->log[listener->seen % SH_PUBLISHED_MAX];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		head = __atomic_load_n(&all->published, __ATOMIC_RELAXED);
		/* The one being written next is in the oldest one's place. */
		if (head - listener->seen >= SH_PUBLISHED_MAX) {
			listener->lost.published += head - listener->seen - SH_PUBLISHED_MAX + 1;
			listener->seen = head - SH_PUBLISHED_MAX + 1;
			continue;
		}
		listener->seen++;
		ret = listener->sink.published(&copy, listener->sink.arg);
	}
	return ret;
}

/* ---- the listener ---------------------------------------------------------------------------- */

static int listener_map(struct listener *listener, struct err *err)
{
	struct dataplane *dp = listener->dp;
	void *mem = mmap(NULL, dp->mem_len[DP_MAP_LISTENERS], PROT_READ | PROT_WRITE, MAP_SHARED,
			 dp->map_fd[DP_MAP_LISTENERS], 0);

	if (mem == MAP_FAILED) {
		err_system(err, -errno, "map %s into memory", dp_map_names[DP_MAP_LISTENERS]);
		return -EIO;
	}
	listener->all = mem;
	listener->seen = __atomic_load_n(&listener->all->published, __ATOMIC_ACQUIRE);
	return 0;
}

static int clock_begin(struct listener *listener, struct err *err)
{
	const struct sh_control *control = listener->dp->mem[DP_MAP_CONTROL];

	listener->hz = control->config.hz;
	listener->jiffies = probe_jiffies();
	listener->jiffies_ns = monotonic_ns();
	if (!listener->jiffies)
		return err_system(err, -EPERM, "ask the kernel for its time");
	return 0;
}

static int listener_begin(struct listener *listener, struct err *err)
{
	struct sh_listener *mine;
	int ret;

	ret = listener_map(listener, err);
	if (!ret)
		ret = clock_begin(listener, err);
	if (!ret)
		ret = place_take(listener, err);
	if (!ret)
		ret = heard_clear(listener, err);
	if (!ret)
		ret = ring_open(listener, err);
	if (ret)
		return ret;
	mine = &listener->all->v[listener->number];
	mine->reasons = listener->options.reasons;
	mine->rate = listener->options.rate;
	if (beat(listener)) /* kinds come last */
		return err_system(err, -ESTALE, "listen to %s", listener->dp->dir);
	return 0;
}

int listener_new(struct listener **out, struct dataplane *dp, const struct listen_options *options,
		 const struct listen_sink *sink, struct err *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int ret;

	if (!listener)
		return err_system(err, -ENOMEM, "listen to %s", dp->dir);
	listener->dp = dp;
	listener->options = *options;
	listener->sink = *sink;
	listener->owner = (uint32_t)getpid();
	listener->cpus = libbpf_num_possible_cpus();
	if (listener->cpus > 0)
		listener->heard = calloc((size_t)listener->cpus, sizeof(*listener->heard));
	ret = listener->heard ? listener_begin(listener, err)
			      : err_system(err, -ENOMEM, "listen to %s", dp->dir);
	if (ret) {
		listener_free(listener);
		return ret;
	}
	*out = listener;
	return 0;
}

int listener_fd(const struct listener *listener)
{
	return ring_buffer__epoll_fd(listener->ring);
}

int listener_poll(struct listener *listener, int timeout_ms)
{
	int ret = beat(listener);

	if (!ret)
		ret = ring_buffer__poll(listener->ring, timeout_ms);
	if (ret < 0)
		return ret;
	return listener->options.kinds >> SH_EVENT_PUBLISH & 1 ? publishes_read(listener) : 0;
}

int listener_lost(struct listener *listener, struct listen_lost *out, struct err *err)
{
	int ret = heard_read(listener, err);

	if (ret)
		return ret;
	listener->lost.limited = listener->lost.overflow = 0;
	for (int cpu = 0; cpu < listener->cpus; cpu++) {
		listener->lost.limited += listener->heard[cpu].limited;
		listener->lost.overflow += listener->heard[cpu].overflow;
	}
	*out = listener->lost;
	return 0;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	if (listener->all) {
		place_leave(listener);
		(void)munmap(listener->all, listener->dp->mem_len[DP_MAP_LISTENERS]);
	}
	ring_buffer__free(listener->ring);
	free(listener->heard);
	free(listener);
}
