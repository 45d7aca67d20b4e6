/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What libcurl needs to know of a struct kube_config: files for the
 * certificates, the server's address, and the token of this minute.
 */
#ifndef SHUNT_KUBE_CREDS_H
#define SHUNT_KUBE_CREDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <curl/curl.h>

#include "kube/kube.h"
#include "util/err.h"

/* Of a token file, to see that it is another one. */
struct token_stamp {
	uint64_t device, inode, size;
	struct timespec changed;
};

struct creds {
	const struct kube_config *config;
	/*
	 * Certificates that came inline lie in files of memory: libcurl's GnuTLS
	 * takes them by name only. -1: none.
	 */
	int ca_fd, cert_fd, key_fd;
	char ca_path[32], cert_path[32], key_path[32];
	char *base_url; /* no slash at its end */
	/* With tls_server_name the URL has that name, and these say whither it goes. */
	struct curl_slist *connect_to;
	char *host_header;
	char *header; /* "Authorization: Bearer ..."; NULL: no token */
	struct token_stamp stamp;
	uint64_t read_ms; /* when the token file was read last */
};

/* @return 0, or a negative errno and what is there was freed */
int creds_init(struct creds *creds, const struct kube_config *config, struct err *err);
void creds_done(struct creds *creds);

/*
 * Read the token file, if there is one and it has changed, was read more than a
 * minute before @now_ms, or @force says so. A file that can't be read leaves the
 * token as it was. @return 0 or a negative errno
 */
int creds_refresh(struct creds *creds, uint64_t now_ms, bool force, struct err *err);
/* Everything but the path and the headers. @return 0 or -ENOMEM */
int creds_apply(const struct creds *creds, CURL *easy);

#endif
