/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything a user can set, under its long option's name: what the command
 * line, the environment, a configuration file and a packet test's `options:`
 * fill in.
 * settings_init() gives the defaults. The option table in cmd/options.c is the
 * one place that knows names, types and help of each.
 */
#ifndef SHUNT_USER_SETTINGS_H
#define SHUNT_USER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shunt/maps.h"
#include "util/addr.h"

enum xdp_mode { XDP_AUTO = 0, XDP_NATIVE, XDP_GENERIC, XDP_OFF };
enum nodeport_addresses { NODEPORT_PRIMARY = 0, NODEPORT_CIDRS };

#define SETTINGS_PATTERNS_MAX 16

/* Where an HTTP server listens; all-zero IPv6 (::): both families. */
struct settings_listen {
	struct sh_addr addr;
	uint16_t port; /* host order; 0: nowhere */
};

struct settings {
	const char *bpffs;     /* --bpffs DIR: pins of this instance, /sys/fs/bpf/shunt */
	const char *state;     /* --state DIR: objects and allocations, /var/lib/shunt */
	const char *cgroup;    /* --cgroup DIR: a cgroup v2; NULL: its root, from the mount table */
	const char *node_name; /* --node-name; NULL: the host's name */
	struct addr_net service_cidrs[SH_CIDRS_MAX]; /* --service-cidr */
	size_t n_service_cidrs;
	struct addr_net cluster_cidrs[SH_CIDRS_MAX]; /* --cluster-cidr; none by default */
	size_t n_cluster_cidrs;
	enum nodeport_addresses nodeport_addresses; /* --nodeport-addresses primary|CIDR,... */
	struct addr_net nodeport_nets[SH_CIDRS_MAX];
	size_t n_nodeport_nets;
	/* --devices, --workload-devices: shell patterns (fnmatch); none: found by rule */
	const char *devices[SETTINGS_PATTERNS_MAX];
	size_t n_devices;
	const char *workload_devices[SETTINGS_PATTERNS_MAX];
	size_t n_workload_devices;
	enum sh_socket_lb socket_lb;			 /* --socket-lb on|host|off; on */
	enum xdp_mode xdp;				 /* --xdp auto|native|generic|off; auto */
	bool masquerade_all;				 /* --masquerade-all */
	bool ping_vips;					 /* --ping-vips=true|false; true */
	uint16_t snat_min, snat_max;			 /* --snat-ports MIN-MAX; 49152-65535 */
	uint32_t max_frontends, max_backends, max_slots; /* --max-frontends, ... */
	uint32_t max_flows4, max_flows6, max_sockets;

	/* The agent's own; NULL: not given */
	const char *manifests;		/* --manifests DIR */
	const char *kubeconfig;		/* --kubeconfig FILE */
	const char *kube_context;	/* --kube-context NAME, of the kubeconfig */
	const char *config;		/* --config FILE */
	struct settings_listen healthz; /* --healthz-bind-address; 0.0.0.0:10256 */
	struct settings_listen metrics; /* --metrics-bind-address; 127.0.0.1:10249 */
	struct settings_listen ui;	/* --ui; port 0: no web page, the default */
	bool cleanup_on_exit;		/* --cleanup-on-exit */
};

void settings_init(struct settings *settings);

#endif
