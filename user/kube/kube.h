/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Kubernetes API as a source of objects: lists in pages, then watches, in
 * the caller's event loop. While the API is away nothing is withdrawn.
 *
 *   config.c   how to reach the API: kubeconfig files, in-cluster credentials
 *   creds.c    what of that libcurl needs: certificates, the token of this minute
 *   client.c   HTTP: libcurl's multi interface in a libuv loop
 *   stream.c   bytes of a watch -> events; bytes of a list -> items
 *   known.c    which objects there are, to tell what is new and what is gone
 *   reflect.c  one kind: list, watch, resume, relist, back off
 *   source.c   the kinds together: what struct kube_source is
 */
#ifndef SHUNT_USER_KUBE_H
#define SHUNT_USER_KUBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "source/sink.h"
#include "util/arena.h"
#include "util/err.h"

/* ---- config.c ---------------------------------------------------------------- */

/* How to reach an API server, and as whom. Strings live in the arena they were read into. */
struct kube_config {
	const char *server;		   /* "https://10.0.0.1:6443", no slash at its end */
	const char *tls_server_name;	   /* NULL: the server's */
	const char *ca_file, *ca_data;	   /* PEM; both NULL: the system's */
	const char *cert_file, *cert_data; /* client certificate, PEM; NULL: none */
	const char *key_file, *key_data;
	const char *token;	/* NULL: none */
	const char *token_file; /* read again as it rotates; wins over token */
	const char *proxy;	/* proxy-url; NULL: none */
	const char *context;	/* name of the context, for messages; "in-cluster" */
};

/*
 * From a kubeconfig file. @context NULL: its current-context. Relative file names
 * are the file's folder's. insecure-skip-tls-verify, exec and auth-provider plugins
 * are refused with what to do instead. @return 0 or a negative errno
 */
int kube_config_file(const char *path, const char *context, struct arena *arena,
		     struct kube_config *out, struct err *err);
/*
 * From the service account's folder (NULL: /var/run/secrets/kubernetes.io/serviceaccount)
 * and KUBERNETES_SERVICE_HOST and _PORT. @return -ENOENT where this is no pod
 */
int kube_config_in_cluster(const char *dir, struct arena *arena, struct kube_config *out,
			   struct err *err);

/* ---- source.c ------------------------------------------------------------------ */

struct kube_opts {
	const struct kube_config *config; /* must outlive the source */
	const char *node_name;		  /* the Node that matters */
	uint32_t page;			  /* objects asked for at a time; 0: 500 */
	size_t page_bytes_max;		  /* a page that is larger is refused; 0: 64 MiB */
	/* A connection that says nothing for so long, though asked, is dropped; 0: 30 */
	uint32_t silence_s;
	/* Waits between attempts, doubling, half of each at random; 0: 200 ms and 30 s. */
	uint32_t backoff_ms, backoff_max_ms;
};

struct kube_source;

/*
 * Watches Services, EndpointSlices, Endpoints (needed only where a Service has
 * no slice) and the Node. Begins at once; returns before anything has been
 * asked. @sink is copied. @return 0 and *@out, or a negative errno
 */
int kube_source_start(struct kube_source **out, uv_loop_t *loop, const struct kube_opts *opts,
		      const struct source_sink *sink, struct err *err);
/*
 * Its handles are closing afterwards: the loop has to run until they are. Not from
 * within a call of the sink. NULL is fine.
 */
void kube_source_stop(struct kube_source *source);

enum kube_state {
	KUBE_WAITING = 0, /* between two attempts */
	KUBE_LISTING,
	KUBE_WATCHING,
};

struct kube_kind_status {
	const char *resource; /* "services", ... */
	enum kube_state state;
	uint64_t objects, relists, watches, errors, events, refused;
	uint64_t last_heard_ms; /* uv_now() of the last byte from the server; 0: never */
	char last_error[200];	/* "" */
};

#define KUBE_KINDS_MAX 4
struct kube_status {
	bool synced; /* every kind was listed once */
	size_t n;
	struct kube_kind_status kinds[KUBE_KINDS_MAX];
};
void kube_source_status(const struct kube_source *source, struct kube_status *out);

/*
 * When the object that is being told to the sink was read from the network:
 * uv_hrtime(), for the latency from read to published. 0 outside such a call.
 */
uint64_t kube_source_read_at(const struct kube_source *source);

#endif
