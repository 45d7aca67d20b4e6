/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/settings.h"

#include <arpa/inet.h>
#include <string.h>

/* The range that IANA leaves to everybody (RFC 6335, section 6). */
#define SNAT_PORT_MIN 49152
#define SNAT_PORT_MAX 65535

/* kube-proxy's, so that probes and dashboards go on working. */
#define HEALTHZ_PORT 10256
#define METRICS_PORT 10249

static const char *const service_cidrs[] = { "10.96.0.0/16", "fd00:10:96::/112" };

void settings_init(struct settings *settings)
{
	size_t i;

	memset(settings, 0, sizeof(*settings));
	settings->bpffs = "/sys/fs/bpf/shunt";
	settings->state = "/var/lib/shunt";
	for (i = 0; i < sizeof(service_cidrs) / sizeof(service_cidrs[0]); i++)
		(void)addr_net_parse(service_cidrs[i], &settings->service_cidrs[i]);
	settings->n_service_cidrs = i;
	settings->nodeport_addresses = NODEPORT_PRIMARY;
	settings->socket_lb = SH_SOCKET_LB_ON;
	settings->xdp = XDP_AUTO;
	settings->ping_vips = true;
	settings->snat_min = SNAT_PORT_MIN;
	settings->snat_max = SNAT_PORT_MAX;
	settings->max_frontends = SH_FRONTENDS_DEFAULT;
	settings->max_backends = SH_BACKENDS_DEFAULT;
	settings->max_slots = SH_SLOTS_DEFAULT;
	settings->max_flows4 = SH_FLOWS4_DEFAULT;
	settings->max_flows6 = SH_FLOWS6_DEFAULT;
	settings->max_sockets = SH_SOCKETS_DEFAULT;
	settings->healthz.addr = addr_from_v4(htonl(INADDR_ANY));
	settings->healthz.port = HEALTHZ_PORT;
	settings->metrics.addr = addr_from_v4(htonl(INADDR_LOOPBACK));
	settings->metrics.port = METRICS_PORT;
}
