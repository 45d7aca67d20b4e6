// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What others have on this machine: kube-proxy, IPVS, Cilium, a firewall. */
#include "doctor/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/iptables.h"
#include "doctor/leftovers.h"

static void tell_leftover(struct doctor *doctor, const struct leftover *step)
{
	doctor_tell(
		doctor,
		&(struct tell){
			.level = FINDING_WARNING,
			.object = "node",
			.what = "kube-proxy's rules are still there: they translate what shunt "
				"leaves alone, to endpoints that may be gone",
			.evidence = step->what,
			.fix = "stop kube-proxy, then see `shunt doctor --remove-kube-proxy`, and "
			       "run it with --yes" });
}

int check_kube_proxy(struct doctor *doctor, struct err *err)
{
	struct leftovers found;
	size_t i;
	int ret;

	ret = leftovers_find(doctor->machine, &found, err);
	if (ret)
		return ret;
	for (i = 0; i < found.n; i++) {
		if (!found.v[i].ipvs)
			tell_leftover(doctor, &found.v[i]);
	}
	if (found.unseen)
		doctor_tell(doctor,
			    &(struct tell){ .level = FINDING_NOTE,
					    .object = "node",
					    .what = "not all packet filters could be looked at",
					    .evidence = found.unseen,
					    .fix = "run it as root; nothing, if that kind of "
						   "filter is not used here" });
	leftovers_done(&found);
	return 0;
}

/* ---- IPVS ------------------------------------------------------------------------------- */

int check_ipvs(struct doctor *doctor, struct err *err)
{
	struct leftovers found;
	size_t i, n = 0;
	int ret;

	ret = leftovers_find(doctor->machine, &found, err);
	if (ret)
		return ret;
	for (i = 0; i < found.n; i++)
		n += found.v[i].ipvs;
	if (n)
		doctor_tell(
			doctor,
			&(struct tell){
				.level = FINDING_ERROR,
				.object = "node",
				.what = "kube-proxy's IPVS set-up is still there: the node takes "
					"ClusterIPs for its own addresses",
				.evidence = doctor_text(doctor, "%s, and %zu more",
							found.v[found.n - 1].what, n - 1),
				.fix = "stop kube-proxy, then see `shunt doctor "
				       "--remove-kube-proxy`, and run it with --yes" });
	if (found.ipvs_others)
		doctor_tell(
			doctor,
			&(struct tell){
				.level = FINDING_NOTE,
				.object = "node",
				.what = "IPVS balances something on this machine",
				.evidence = doctor_text(doctor,
							"%zu virtual services in /proc/net/ip_vs "
							"that are not on " KUBE_IPVS_DEVICE,
							found.ipvs_others),
				.fix = "see `ipvsadm -Ln`; nothing, if these are no Services of "
				       "Kubernetes" });
	leftovers_done(&found);
	return 0;
}

/* ---- Cilium ------------------------------------------------------------------------------- */

/* The first pin in @dir that is Cilium's map of Services. */
static bool has_pin(const char *dir, char *pin, size_t size)
{
	struct dirent *entry;
	DIR *folder = opendir(dir);
	bool found = false;

	while (folder && !found && (entry = readdir(folder))) {
		found = !strncmp(entry->d_name, "cilium_lb", 9);
		if (found)
			(void)snprintf(pin, size, "%s/%s", dir, entry->d_name);
	}
	if (folder)
		(void)closedir(folder);
	return found;
}

int check_cilium(struct doctor *doctor, struct err *err)
{
	static const char *const dirs[] = { "/sys/fs/bpf/tc/globals", "/sys/fs/bpf/cilium" };
	char pin[512];
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (!has_pin(dirs[i], pin, sizeof(pin)))
			continue;
		doctor_tell(
			doctor,
			&(struct tell){
				.level = FINDING_WARNING,
				.object = "node",
				.what = "Cilium's Service maps are pinned here: it balances, or "
					"did",
				.evidence = pin,
				.fix = "run Cilium with kubeProxyReplacement=false beside shunt, "
				       "or clean up what it left by `cilium-dbg cleanup`" });
		return 0;
	}
	return 0;
}

/* ---- netfilter ----------------------------------------------------------------------------- */

static void judge_drops(struct doctor *doctor, const char *variant, const struct ipt_drops *drops)
{
	if (drops->policy && !drops->accepts)
		doctor_tell(
			doctor,
			&(struct tell){
				.level = FINDING_ERROR,
				.object = "node",
				.what = "everything that is forwarded is dropped",
				.evidence = doctor_text(doctor,
							"%s: FORWARD has the policy DROP, and no "
							"rule accepts anything",
							variant),
				.fix = "accept what comes from and goes to Pods (-A FORWARD -s or "
				       "-d the cluster's CIDR -j ACCEPT), or the policy ACCEPT" });
	else if (drops->policy)
		doctor_tell(
			doctor,
			&(struct tell){
				.level = FINDING_NOTE,
				.object = "node",
				.what = "what is forwarded is dropped, unless a rule accepts it",
				.evidence = doctor_text(doctor, "%s: FORWARD has the policy DROP",
							variant),
				.fix = "see that its rules accept Pods' addresses: translated "
				       "packets are forwarded to and from these" });
	if (!drops->invalid[0])
		return;
	doctor_tell(
		doctor,
		&(struct tell){
			.level = drops->untracked[0] ? FINDING_WARNING : FINDING_NOTE,
			.object = "node",
			.what = "a rule drops what connection tracking calls invalid or untracked: "
				"also packets whose other direction takes another way",
			.evidence =
				doctor_text(doctor, "%s: %s%s%s", variant, drops->invalid,
					    drops->untracked[0] ? "; and " : "", drops->untracked),
			.fix = "except Pods' addresses from it; masqueraded packets never meet "
			       "it" });
}

int check_netfilter(struct doctor *doctor, struct err *err)
{
	static const char *const variants[] = { "iptables-nft", "iptables-legacy", "ip6tables-nft",
						"ip6tables-legacy" };
	struct ipt_drops drops;
	struct err ignored;
	char name[32], *save;
	size_t i;

	for (i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s-save", variants[i]);
		/* What can't be looked at is check_kube_proxy()'s to tell. */
		if (machine_run((const char *[]){ name, NULL }, NULL, &save, &ignored))
			continue;
		ipt_drops_find(save, &drops);
		judge_drops(doctor, variants[i], &drops);
		free(save);
	}
	return 0;
}
