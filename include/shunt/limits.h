/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every limit of shunt, in one place. Reaching one is an error that names the
 * limit, never a silent cut.
 */
#ifndef SHUNT_LIMITS_H
#define SHUNT_LIMITS_H

/* Names, as the Kubernetes API has them (RFC 1123 labels and subdomains). */
#define SH_NAME_MAX	 63  /* namespace, Service, port name */
#define SH_SUBDOMAIN_MAX 253 /* Pod, Node, EndpointSlice */

/* Manifests */
#define SH_MANIFEST_BYTES_MAX (64u << 20) /* one file */
#define SH_MANIFEST_DEPTH_MAX 128	  /* nesting of one document; CRDs are deep */
#define SH_MANIFEST_NODES_MAX (16u << 20) /* values in one document, aliases expanded */
#define SH_SCALAR_BYTES_MAX   (1u << 20)
#define SH_ERRORS_MAX	      100   /* reported for one set of manifests; the rest is counted */
#define SH_FOLDER_FILES_MAX   65536 /* manifests of one folder that is followed */

/* The agent's configuration file */
#define SH_CONFIG_BYTES_MAX (1u << 20)

/* What the Kubernetes API sends, and how to reach it */
#define SH_API_OBJECT_BYTES_MAX (8u << 20) /* an object's JSON; the API itself has 1.5 MiB */
#define SH_API_OBJECTS_MAX	(1u << 18) /* of one kind */
#define SH_API_TOKEN_BYTES_MAX	65536	   /* a token file */
#define SH_KUBECONFIG_BYTES_MAX (4u << 20)

/* The agent's HTTP servers */
#define SH_HTTP_CONNECTIONS_MAX 64 /* of one server; a new one closes the oldest */

/* The agent's web page */
#define SH_UI_ANSWERS_MAX      8	   /* questions in hand, or answered a moment ago */
#define SH_UI_ANSWER_BYTES_MAX (32u << 20) /* of one answer */
#define SH_UI_PARAMETER_MAX    64	   /* characters of a parameter */
#define SH_UI_QUESTION_SECONDS 20	   /* that one may take */

/* A Service, as the Kubernetes API has them */
#define SH_SERVICE_PORTS_MAX	100
#define SH_SERVICE_BACKENDS_MAX 16384 /* of one Service port and family */
#define SH_WEIGHT_MAX		1000
#define SH_AFFINITY_SECONDS_MAX 86400

/* Data path: defaults of the options that size the maps */
#define SH_FRONTENDS_DEFAULT 131072
#define SH_BACKENDS_DEFAULT  131072
#define SH_SLOTS_DEFAULT     4194304
#define SH_FLOWS4_DEFAULT    524288 /* entries; a connection has two */
#define SH_FLOWS6_DEFAULT    262144
#define SH_SOCKETS_DEFAULT   65536

#define SH_DEVICES_MAX	    4096 /* edges of one node */
#define SH_NODEADDRS_MAX    256
#define SH_NETNS_MAX	    65536  /* searched for the sockets of removed backends */
#define SH_AFFINITY_DEFAULT 131072 /* remembered clients */
#define SH_FRAGS_MAX	    8192   /* packets whose fragments are awaited */
#define SH_SRCRANGES_MAX    65536
#define SH_DROPS_MAX	    65536 /* counted pairs of Service and reason */
#define SH_CIDRS_MAX	    8	  /* Service CIDRs, cluster CIDRs: of each, both families */

/* What is remembered to tell a change from a repetition; beyond it every message is a change */
#define SH_WATCH_LINKS_MAX	16384
#define SH_WATCH_NEIGHBOURS_MAX 65536

/* Rows that `get` holds, to sort them or to tell what has changed; others are streamed */
#define SH_ROWS_MAX	  (1u << 22)
#define SH_SELECTOR_MAX	  64  /* requirements of a label selector */
#define SH_SELECTOR_TERMS 256 /* values of one of them */

/* Packet tests */
#define SH_TEST_FILES_MAX    10000 /* of one run */
#define SH_TEST_FLOWS_MAX    10000 /* of one file */
#define SH_TEST_BACKENDS_MAX 1000  /* of one flow: each is to be met by chance */

/* `shunt bench`: defaults, and what it can do */
#define SH_BENCH_SERVICES_DEFAULT  1000
#define SH_BENCH_SERVICES_MAX	   50000
#define SH_BENCH_ENDPOINTS_DEFAULT 10
#define SH_BENCH_ENDPOINTS_MAX	   1000
#define SH_BENCH_BACKENDS_MAX	   1000000
#define SH_BENCH_FLOWS_DEFAULT	   (1u << 20)
#define SH_BENCH_FLOWS_MIN	   4096
#define SH_BENCH_FLOWS_MAX	   (1u << 24)
#define SH_BENCH_RUNS_MAX	   1000

/* What `shunt doctor` finds, and what it reads of another program's output */
#define SH_FINDINGS_MAX		    1000
#define SH_PROGRAM_OUTPUT_BYTES_MAX (64u << 20)

/* Monitors */
#define SH_LISTENERS_MAX	4     /* that listen to one instance at a time */
#define SH_LISTENER_EXPIRES_S	3     /* without a sign of life he is taken for dead */
#define SH_PUBLISHED_MAX	64    /* publishes that a monitor may be behind */
#define SH_EVENT_RATE_DEFAULT	10000 /* a second, of each CPU */
#define SH_EVENT_RATE_MAX	10000000
#define SH_EVENT_BUFFER_BYTES	(1u << 20) /* of one monitor */
#define SH_CAPTURE_BUFFER_BYTES (8u << 20) /* of one that writes packets */
#define SH_CAPTURE_DEVICES_MAX	1024	   /* edges it takes packets from */
#define SH_SNAPLEN_DEFAULT	256
#define SH_SNAPLEN_MIN		64
#define SH_SNAPLEN_MAX		2048

/* Steps that one run of a program may leave for `shunt trace` */
#define SH_TRACE_STEPS_MAX 32

#endif
