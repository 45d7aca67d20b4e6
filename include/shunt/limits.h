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
#define SH_ERRORS_MAX	      100 /* reported for one set of manifests; the rest is counted */

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
#define SH_AFFINITY_DEFAULT 131072 /* remembered clients */
#define SH_FRAGS_MAX	    8192   /* packets whose fragments are awaited */
#define SH_SRCRANGES_MAX    65536
#define SH_DROPS_MAX	    65536 /* counted pairs of Service and reason */
#define SH_CIDRS_MAX	    8	  /* Service CIDRs, cluster CIDRs: of each, both families */

/* Packet tests */
#define SH_TEST_FILES_MAX    10000 /* of one run */
#define SH_TEST_FLOWS_MAX    10000 /* of one file */
#define SH_TEST_BACKENDS_MAX 1000  /* of one flow: each is to be met by chance */

/* Steps that one run of a program may leave for `shunt trace` */
#define SH_TRACE_STEPS_MAX 32

#endif
