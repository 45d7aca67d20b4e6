/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The text of iptables-save: whose rules are kube-proxy's, and how they are removed. Pure. */
#ifndef SHUNT_USER_DOCTOR_IPTABLES_H
#define SHUNT_USER_DOCTOR_IPTABLES_H

#include <stdbool.h>
#include <stddef.h>

struct ipt_leftovers {
	size_t chains, rules, jumps; /* chains, rules in them, rules elsewhere that jump there */
	/*
	 * What iptables-restore --noflush is to be given: the jumps deleted first, then the
	 * chains flushed and deleted, table by table. "" where there is nothing. free() it.
	 */
	char *restore;
};

/* @return 0 (ipt_leftovers_done() it) or -ENOMEM */
int ipt_leftovers_find(const char *save, struct ipt_leftovers *out);
void ipt_leftovers_done(struct ipt_leftovers *leftovers);

/* Is @chain one of kube-proxy's? KUBELET's are not: the kubelet makes them again. */
bool ipt_is_kube_proxy(const char *chain, size_t len);

/* What in the filter table drops what is forwarded. */
struct ipt_drops {
	bool policy;	     /* the FORWARD chain's */
	bool accepts;	     /* some rule of FORWARD accepts, or leads elsewhere */
	char invalid[256];   /* a rule that drops what conntrack calls INVALID or UNTRACKED; "" */
	char untracked[256]; /* a rule that keeps conntrack off packets; "" */
};
void ipt_drops_find(const char *save, struct ipt_drops *out);

#endif
