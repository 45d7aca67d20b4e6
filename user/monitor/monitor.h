/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Live events of a pinned instance, for people, as JSON, and its packets as pcapng.
 *
 *   run.c     the loop: events, packets, signals, time
 *   filter.c  which of them
 *   show.c    one event as a line or as an object
 *   pcapng.c  packets for Wireshark and tcpdump
 */
#ifndef SHUNT_USER_MONITOR_H
#define SHUNT_USER_MONITOR_H

#include <stdio.h>

#include "dataplane/capture.h"
#include "dataplane/listen.h"
#include "util/addr.h"

/* ---- filter.c ---- */

/* Addresses of a network, and with one port of it, where that is not 0. */
struct monitor_end {
	bool given;
	struct addr_net net;
	__be16 port;
};

struct monitor_filter {
	uint32_t kinds;	  /* a mask of 1 << enum sh_event_kind */
	uint64_t reasons; /* the same of enum sh_reason */
	const char *ns, *service;
	size_t ns_len; /* of @ns, which may go on */
	struct monitor_end src, dst;
};

/* Words with commas. @return 0 or -EINVAL, with a usage error that has @option's name */
int monitor_kinds_parse(const char *text, const char *option, uint32_t *out, struct err *err);
int monitor_reasons_parse(const char *text, const char *option, uint64_t *out, struct err *err);
/* "10.0.0.1", "10.0.0.0/8", "10.0.0.1:80", "[fd00::1]:80". */
int monitor_end_parse(const char *text, const char *option, struct monitor_end *out,
		      struct err *err);
/* "NAME" or "NAMESPACE/NAME"; @ns: NULL, or that of --namespace. */
int monitor_service_parse(const char *text, const char *ns, struct monitor_filter *filter,
			  struct err *err);

/* Who talks to whom, whichever way the packet went. */
struct monitor_ends {
	struct sh_addr client, virt, backend, masquerade;
	__be16 client_port, virt_port, backend_port, masquerade_port;
	bool has_client, has_backend, masqueraded;
};

/* Does the filter take what happens between these, of that Service (NULL: of none)? */
bool monitor_takes(const struct monitor_filter *filter, const struct monitor_ends *ends,
		   const struct sh_meta_service *service);
/* Is it asked for some Service, or some address? What belongs to none is not shown then. */
bool monitor_is_narrow(const struct monitor_filter *filter);

/* ---- show.c ---- */

enum { SHOW_CLIENT, SHOW_VIRTUAL, SHOW_BACKEND, SHOW_SERVICE, SHOW_COLUMNS };

struct shower {
	struct dataplane *dp;
	FILE *to;
	bool json;
	uint64_t realtime_ns; /* of CLOCK_MONOTONIC's zero */
	int width[SHOW_COLUMNS];
};

void shower_init(struct shower *shower, struct dataplane *dp, FILE *to, bool json);
/* Each @return 0 or a negative errno of the write. */
int show_header(struct shower *shower);
int show_event(struct shower *shower, const struct sh_event *event, const struct monitor_ends *ends,
	       const struct sh_meta_service *service);
int show_published(struct shower *shower, const struct sh_published *publish);

void monitor_ends_of(struct dataplane *dp, const struct sh_event *event, struct monitor_ends *out);
/* CLOCK_REALTIME at CLOCK_MONOTONIC's zero. */
uint64_t monitor_realtime(void);

/* ---- pcapng.c ---- */

struct pcapng;

/* @return NULL: no memory */
struct pcapng *pcapng_new(FILE *to, const struct capture_device *devices, size_t n_devices,
			  uint32_t snaplen);
void pcapng_free(struct pcapng *pcapng); /* NULL is fine; @to stays the caller's */
int pcapng_begin(struct pcapng *pcapng);
/* @ns: since 1970. @return 0 or a negative errno of the write */
int pcapng_packet(struct pcapng *pcapng, const struct sh_captured *packet, const void *bytes,
		  uint64_t ns, const char *comment);

/* ---- run.c ---- */

struct monitor_options {
	struct monitor_filter filter;
	const char *bpffs;
	bool json;
	const char *pcap; /* a file, "-" (then there are no lines), or NULL */
	uint32_t snaplen, rate;
	uint32_t count;	     /* of lines, or with @pcap of packets; 0: without end */
	uint32_t duration_s; /* 0: without end */
};

/*
 * Until SIGINT, SIGTERM, the count or the time. @return 0, -EPIPE (nobody reads), or another
 * negative errno
 */
int monitor_run_over(struct dataplane *dp, const struct monitor_options *options, struct err *err);

#endif
