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

/* Packet tests */
#define SH_TEST_FILES_MAX    10000 /* of one run */
#define SH_TEST_FLOWS_MAX    10000 /* of one file */
#define SH_TEST_BACKENDS_MAX 1000  /* of one flow: each is to be met by chance */

/* Steps that one run of a program may leave for `shunt trace` */
#define SH_TRACE_STEPS_MAX 32

#endif
