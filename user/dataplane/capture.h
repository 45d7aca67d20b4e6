/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets of Services before and after translation, by programs of their own at both ends of the
 * hooks. Nothing of it is pinned: it ends with the process.
 */
#ifndef SHUNT_USER_CAPTURE_H
#define SHUNT_USER_CAPTURE_H

#include "dataplane/dataplane.h"
#include "shunt/capture.h"

struct capture;

struct capture_device {
	uint32_t ifindex;
	char name[16];
	/* XDP translates there: what it has done with is seen after that, or not at all. */
	bool xdp;
};

struct capture_sink {
	/* @bytes: packet->bytes of them. A negative number ends the poll, which returns it. */
	int (*packet)(const struct sh_captured *packet, const void *bytes, void *arg);
	void *arg;
};

/*
 * On all edges that @dp, a reader, has now; it has to outlive the capture.
 * @return 0 and *@out (capture_free() it); -EOPNOTSUPP: this kernel has no TCX, or shunt is
 * attached another way; or another negative errno
 */
int capture_new(struct capture **out, struct dataplane *dp, uint32_t snaplen,
		const struct capture_sink *sink, struct err *err);
void capture_free(struct capture *capture); /* NULL is fine */

const struct capture_device *capture_devices(const struct capture *capture, size_t *n_out);

/* Readable when there is something to hand on. */
int capture_fd(const struct capture *capture);
/* Hand on what is there. @return 0, what the sink returned, or a negative errno */
int capture_poll(struct capture *capture, int timeout_ms);
/* Packets that were not read in time. */
uint64_t capture_lost(const struct capture *capture);

#endif
