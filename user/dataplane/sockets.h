/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ending sockets: what sockets.c and the two ways to do it share. For dataplane/ alone. */
#ifndef SHUNT_USER_SOCKETS_H
#define SHUNT_USER_SOCKETS_H

#include "dataplane/internal.h"

/* A socket that shunt has connected to a backend that is gone. */
struct ending {
	struct sh_socket_key key;
	uint32_t netns; /* as in struct sh_socket */
	bool ended;
};

struct endings {
	struct ending *v; /* sorted by key */
	size_t n;
};

/* @return the one of that key, or NULL */
struct ending *endings_find(const struct endings *endings, const struct sh_socket_key *key);

/* Is any of that protocol? */
bool endings_have(const struct endings *endings, proto_t proto);

/* ---- sockiter.c: BPF iterators and bpf_sock_destroy(), from Linux 6.5 ---- */

struct sockiter;

/*
 * Load the programs and tell them whom to end.
 * @return 0 and *@out (sockiter_free() it) or a negative errno: the kernel has not got these
 */
int sockiter_new(struct sockiter **out, const struct endings *endings);

/* End those in the calling thread's network namespace. @return 0 or a negative errno */
int sockiter_run(const struct sockiter *iter, const struct endings *endings);

/* Take over into @endings who was ended. */
void sockiter_collect(const struct sockiter *iter, struct endings *endings);
void sockiter_free(struct sockiter *iter); /* NULL is fine */

/* ---- sockdiag.c: SOCK_DESTROY, where the kernel has CONFIG_INET_DIAG_DESTROY ---- */

/*
 * End those in the calling thread's network namespace, and note so.
 * @return 0, -EOPNOTSUPP where the kernel can't, or another negative errno
 */
int sockdiag_end(struct endings *endings);

/* ---- netns.c ---- */

/* The cookie of the calling thread's network namespace. @return 0 or a negative errno */
int netns_cookie(__u64 *cookie_out);

/*
 * Enter, in the calling thread, each other network namespace that some process
 * is in, and call @each there until it returns non-zero. The thread is in any of
 * them afterwards: it is to end then. @return what @each did, or a negative
 * errno: -E2BIG for more than SH_NETNS_MAX.
 */
int netns_each(int (*each)(void *arg), void *arg);

#endif
