/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Listening to events: a process gets a number of shunt_listeners and a ring
 * buffer in shunt_events, and gives a sign of life now and then. One that is
 * killed is taken off by the programs, and its number is free for the next.
 */
#ifndef SHUNT_USER_LISTEN_H
#define SHUNT_USER_LISTEN_H

#include "dataplane/dataplane.h"
#include "shunt/events.h"

struct listener;

struct listen_options {
	uint32_t kinds;	  /* a mask of 1 << enum sh_event_kind */
	uint64_t reasons; /* the same of enum sh_reason */
	uint32_t rate;	  /* events a second, of each CPU */
};

/* Since the listener began. */
struct listen_lost {
	uint64_t limited;   /* held back by the rate */
	uint64_t overflow;  /* not read in time */
	uint64_t published; /* publishes that were overwritten before they were seen */
};

struct listen_sink {
	/* A negative number ends the poll, which returns it. */
	int (*event)(const struct sh_event *event, void *arg);
	int (*published)(const struct sh_published *publish, void *arg);
	void *arg;
};

/*
 * Over @dp, of any mode but scratch's; it has to outlive the listener.
 * @return 0 and *@out (listener_free() it), -EUSERS where SH_LISTENERS_MAX others listen (the
 * message says who), or another negative errno
 */
int listener_new(struct listener **out, struct dataplane *dp, const struct listen_options *options,
		 const struct listen_sink *sink, struct err *err);
void listener_free(struct listener *listener); /* NULL is fine */

/* Readable when there are events; of publishes it tells nothing. */
int listener_fd(const struct listener *listener);
/*
 * Wait for events, @timeout_ms at most, and hand on what is there. To be called at least once in
 * SH_LISTENER_EXPIRES_S: it is the sign of life.
 * @return 0; what the sink returned; -EINTR; -ESTALE: taken for dead, somebody else has the
 * place; or another negative errno
 */
int listener_poll(struct listener *listener, int timeout_ms);

int listener_lost(struct listener *listener, struct listen_lost *out, struct err *err);

/* Who listens now: their processes, as they know themselves. @return how many */
size_t listeners(struct dataplane *dp, uint32_t pids_out[static SH_LISTENERS_MAX]);

/* A writer's: what a publish has changed, for who listens. */
void listen_published(struct dataplane *dp, const struct publish_result *result);
/* How many publishes there were: another number, and names may be others. */
uint64_t listen_published_count(const struct dataplane *dp);

/* Where a backend of that id is. @return false: it is gone */
bool dataplane_backend_addr(struct dataplane *dp, uint32_t id, struct sh_addr *addr_out,
			    __be16 *port_out);

const char *event_word(enum sh_event_kind kind); /* "new" */
const char *event_file(enum sh_file file);	 /* "frontend.h", or "" */

#endif
