// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* This machine's settings and devices. */
#include "doctor/doctor.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/attach.h"
#include "dataplane/sysctl.h"
#include "doctor/machine.h"

static const char *device(struct doctor *doctor, const char *name)
{
	return doctor_text(doctor, "device %s", name);
}

/* ---- reverse path filtering --------------------------------------------------------------- */

/*
 * The greater of all's and the device's holds. A strict filter on an uplink drops what comes
 * in by another one than the answer would leave by; loose ones don't matter.
 */
int check_rp_filter(struct doctor *doctor, struct err *err)
{
	const struct machine *machine = doctor->machine;
	const long all = machine_sysctl("net/ipv4/conf/all/rp_filter");
	size_t i, uplinks = 0;
	long own;

	for (i = 0; i < machine->list.n; i++)
		uplinks += machine->roles[i] == SH_ROLE_UPLINK;
	for (i = 0; i < machine->list.n; i++) {
		const char *name = machine->list.v[i].name;

		own = machine_sysctl("net/ipv4/conf/%s/rp_filter", name);
		if (!machine->roles[i] || (all > own ? all : own) != 1)
			continue;
		/* A pod's address is routed to its own veth: a strict filter passes what it sends. */
		if (machine->roles[i] == SH_ROLE_WORKLOAD || uplinks < 2) {
			if (machine->roles[i] != SH_ROLE_OVERLAY)
				continue;
		}
		doctor_tell(
			doctor,
			&(struct tell){
				.level = FINDING_WARNING,
				.object = device(doctor, name),
				.what = "strict reverse path filtering drops packets whose answer "
					"would leave by another device",
				.evidence = doctor_text(doctor,
							"net.ipv4.conf.%s.rp_filter=%ld, all=%ld "
							"(the greater one holds; 1 is strict)",
							name, own, all),
				.fix = doctor_text(doctor,
						   "sysctl -w net.ipv4.conf.%s.rp_filter=2 "
						   "net.ipv4.conf.all.rp_filter=0, and the same "
						   "in /etc/sysctl.d",
						   name) });
	}
	return 0;
}

/* ---- forwarding --------------------------------------------------------------------------- */

static void tell_forwarding(struct doctor *doctor, const char *object, const char *key, long value)
{
	doctor_tell(
		doctor,
		&(struct tell){
			.level = FINDING_ERROR,
			.object = object,
			.what = "forwarding is off: Pods reach no backend on another node, and "
				"nobody outside reaches a Pod",
			.evidence = doctor_text(doctor, "%s=%ld", key, value),
			.fix = doctor_text(doctor, "sysctl -w %s=1, and the same in /etc/sysctl.d",
					   key) });
}

/* Does anybody here speak IPv6 beyond its own link? */
static bool has_ipv6(const struct machine *machine, uint32_t ifindex)
{
	size_t i;

	for (i = 0; i < machine->list.n_addrs; i++) {
		const struct netdev_addr *addr = &machine->list.addrs[i];

		if ((!ifindex || addr->ifindex == ifindex) &&
		    addr_family(&addr->addr) == FAMILY_IPV6 && !addr->scope)
			return true;
	}
	return false;
}

int check_forwarding(struct doctor *doctor, struct err *err)
{
	const struct machine *machine = doctor->machine;
	const long v4 = machine_sysctl("net/ipv4/ip_forward");
	const char *name;
	long value;
	size_t i;

	if (!v4)
		tell_forwarding(doctor, "node", "net.ipv4.ip_forward", v4);
	value = machine_sysctl("net/ipv6/conf/all/forwarding");
	if (!value && has_ipv6(machine, 0))
		tell_forwarding(doctor, "node", "net.ipv6.conf.all.forwarding", value);
	for (i = 0; i < machine->list.n; i++) {
		name = machine->list.v[i].name;
		if (!machine->roles[i])
			continue;
		if (v4 && !machine_sysctl("net/ipv4/conf/%s/forwarding", name))
			tell_forwarding(doctor, device(doctor, name),
					doctor_text(doctor, "net.ipv4.conf.%s.forwarding", name),
					0);
		if (value && has_ipv6(machine, machine->list.v[i].ifindex) &&
		    !machine_sysctl("net/ipv6/conf/%s/forwarding", name))
			tell_forwarding(doctor, device(doctor, name),
					doctor_text(doctor, "net.ipv6.conf.%s.forwarding", name),
					0);
	}
	return 0;
}

/* ---- ports ---------------------------------------------------------------------------------- */

int check_reserved_ports(struct doctor *doctor, struct err *err)
{
	char *list = machine_file("/proc/sys/net/ipv4/ip_local_reserved_ports"), *with = NULL;
	struct port_range local, snat;
	struct dataplane_about about;
	int ret;

	ret = dataplane_about(doctor->settings, &about, err);
	if (ret || !list)
		goto out;
	snat = (struct port_range){ about.config.snat_min, about.config.snat_max };
	list[strcspn(list, "\n")] = '\0';
	/* Nothing to add: they are reserved. With no uplink nobody is masqueraded. */
	if (port_list_add(list, snat, &with) || !strcmp(with, list) ||
	    sysctl_local_ports(&local, err) || local.min > snat.max || local.max < snat.min ||
	    !machine_has_uplink(doctor->machine))
		goto out;
	doctor_tell(
		doctor,
		&(struct tell){
			.level = FINDING_WARNING,
			.object = "node",
			.what = "this node's own sockets may take source ports that masqueraded "
				"connections use",
			.evidence = doctor_text(doctor,
						"net.ipv4.ip_local_reserved_ports is \"%s\", which "
						"lacks %u-%u (--snat-ports)",
						list, snat.min, snat.max),
			.fix = "something has overwritten the list: apply again (or restart the "
			       "agent), and leave the range in /etc/sysctl.d" });
out:
	free(with);
	free(list);
	return ret;
}

/* ---- MTU --------------------------------------------------------------------------------------- */

int check_mtu(struct doctor *doctor, struct err *err)
{
	const struct machine *machine = doctor->machine;
	struct listed larger = { .n = 0 };
	uint32_t least = 0, most = 0;
	const char *uplink = "";
	size_t i;

	for (i = 0; i < machine->list.n; i++) {
		if (machine->roles[i] == SH_ROLE_UPLINK && machine->mtus[i] &&
		    (!least || machine->mtus[i] < least)) {
			least = machine->mtus[i];
			uplink = machine->list.v[i].name;
		}
	}
	for (i = 0; least && i < machine->list.n; i++) {
		if (!machine->roles[i] || machine->mtus[i] <= least)
			continue;
		most = machine->mtus[i] > most ? machine->mtus[i] : most;
		listed_add(&larger, doctor_text(doctor, "%s (%u)", machine->list.v[i].name,
						machine->mtus[i]));
	}
	if (!larger.n)
		return 0;
	doctor_tell(
		doctor,
		&(struct tell){
			.level = FINDING_WARNING,
			.object = device(doctor, uplink),
			.what = doctor_text(doctor,
					    "its MTU is smaller than that of other edges: packets "
					    "of %u bytes have to be cut, or are answered with "
					    "\"too big\"",
					    most),
			.evidence = doctor_text(doctor, "%s has %u; larger are %s", uplink, least,
						listed_text(&larger)),
			.fix = "give all edges the MTU of the smallest uplink; see that ICMP "
			       "\"fragmentation needed\" is let through" });
	return 0;
}

/* ---- edges ----------------------------------------------------------------------------------------- */

static void look_at_edge(struct doctor *doctor, const struct netdev *dev)
{
	const char *tc, *xdp;

	(void)attach_describe(doctor->settings->bpffs, dev->ifindex, &tc, &xdp);
	if (*tc)
		return;
	doctor_tell(
		doctor,
		&(struct tell){
			.level = FINDING_ERROR,
			.object = device(doctor, dev->name),
			.what = "it is an edge, and no program of shunt is attached to it: its "
				"clients reach no Service",
			.evidence = doctor_text(doctor,
						"neither a TCX link below %s/links nor a "
						"clsact filter of shunt's",
						doctor->settings->bpffs),
			.fix = "run the agent, which follows devices; or apply again; or leave it "
			       "out by --devices or --workload-devices" });
}

int check_edges(struct doctor *doctor, struct err *err)
{
	const struct machine *machine = doctor->machine;
	size_t i, edges = 0;

	for (i = 0; i < machine->list.n; i++) {
		edges += machine->roles[i] != SH_ROLE_NONE;
		if (machine->roles[i] && doctor->dp)
			look_at_edge(doctor, &machine->list.v[i]);
	}
	if (!machine_has_uplink(machine))
		doctor_tell(
			doctor,
			&(struct tell){
				.level = FINDING_WARNING,
				.object = "node",
				.what = edges ? "no uplink was found: nobody outside reaches a "
						"nodePort here"
					      : "no edge was found: only this node's own processes "
						"reach Services",
				.evidence = "no device has a default route, and none was named",
				.fix = "name the uplinks by --devices" });
	return 0;
}
