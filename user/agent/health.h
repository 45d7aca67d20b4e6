/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * healthCheckNodePorts (SEMANTICS 26) and /healthz, /livez (SEMANTICS 27): what
 * load balancers and the kubelet ask. Answers are kube-proxy's, byte for byte
 * where its clients could tell.
 */
#ifndef SHUNT_USER_HEALTH_H
#define SHUNT_USER_HEALTH_H

#include "agent/http.h"
#include "model/wanted.h"

struct health;

struct health_opts {
	struct http_listen healthz; /* port 0: none */
	uint32_t stale_s;	    /* a change that waits for longer is unhealthy; 0: 120 */
};

int health_start(struct health **out, uv_loop_t *loop, const struct health_opts *opts,
		 struct err *err);
void health_stop(struct health *health); /* NULL is fine */

/* A change waits to be published / all that was waiting has been. */
void health_queued(struct health *health);
void health_synced(struct health *health);
/* The Node object is being deleted (or no longer is). */
void health_node_deleting(struct health *health, bool deleting);

/*
 * The healthCheckNodePort of one Service, as it is now; @want NULL, or of port 0: it has
 * none any more. Listens on every address of the node, and answers a client with the
 * number of its own family's endpoints, as kube-proxy does. A port that can't be had is
 * told to @err, and tried again whenever another one is given up, and every few seconds.
 */
int health_service(struct health *health, const char *ns, const char *name,
		   const struct want_health *want, struct err *err);

struct health_counts {
	uint64_t healthz_ok, healthz_failed, livez_ok, livez_failed; /* answers: 200, 503 */
	size_t listening, refused; /* healthCheckNodePorts, and those that can't be had */
};
void health_counts(const struct health *health, struct health_counts *out);

#endif
