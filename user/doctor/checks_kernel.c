// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What shunt has in the kernel, and what the kernel has for shunt. */
#include "doctor/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "doctor/machine.h"

/* ---- which programs ------------------------------------------------------------------- */

int check_programs(struct doctor *doctor, struct err *err)
{
	struct dataplane_about about;
	int ret;

	ret = dataplane_about(doctor->settings, &about, err);
	if (ret)
		return ret;
	if (strcmp(about.build, about.own_build) != 0)
		doctor_tell(doctor,
			    &(struct tell){
				    .level = FINDING_WARNING,
				    .object = "node",
				    .what = "the programs in the kernel are those of another build",
				    .evidence = doctor_text(doctor,
							    "in the kernel: %s; in this binary: %s",
							    about.build, about.own_build),
				    .fix = "restart the agent, or apply again, with this binary: "
					   "connections go on" });
	if (!about.this_netns)
		doctor_tell(doctor,
			    &(struct tell){
				    .level = FINDING_ERROR,
				    .object = "node",
				    .what = doctor_text(doctor,
							"%s belongs to another network namespace",
							doctor->settings->bpffs),
				    .evidence = "its control map has another namespace's cookie",
				    .fix = "run shunt there, or give this one its own --bpffs and "
					   "--state" });
	return 0;
}

/* ---- sockets ------------------------------------------------------------------------------ */

int check_socket_lb(struct doctor *doctor, struct err *err)
{
	struct dataplane_about about;
	int ret;

	ret = dataplane_about(doctor->settings, &about, err);
	if (ret || about.abi != SH_ABI || about.config.socket_lb == SH_SOCKET_LB_ON)
		return ret;
	if (about.config.socket_lb == SH_SOCKET_LB_HOST)
		doctor_tell(doctor,
			    &(struct tell){
				    .level = FINDING_NOTE,
				    .object = "node",
				    .what = "Pods' sockets are not translated; their packets are",
				    .evidence = "--socket-lb=host",
				    .fix = "nothing, if a service mesh or a sandbox has to see the "
					   "virtual addresses; else --socket-lb=on" });
	else
		doctor_tell(doctor,
			    &(struct tell){
				    .level = FINDING_WARNING,
				    .object = "node",
				    .what = "processes of the node itself reach no Service: their "
					    "packets enter at no edge, and sockets are not "
					    "translated",
				    .evidence = "--socket-lb=off",
				    .fix = "--socket-lb=host, or on" });
	return 0;
}

/* ---- others in the same hooks ---------------------------------------------------------------- */

static void tell_other(struct doctor *doctor, const char *object, const char *hook,
		       const struct hook_program *program, bool before)
{
	doctor_tell(
		doctor,
		&(struct tell){
			.level = before ? FINDING_WARNING : FINDING_NOTE,
			.object = object,
			.what = before ? doctor_text(doctor,
						     "another program runs before shunt's at %s: "
						     "what it takes away shunt never sees",
						     hook)
				       : doctor_text(doctor,
						     "another program runs after shunt's at %s",
						     hook),
			.evidence = doctor_text(doctor, "program \"%s\", id %" PRIu32,
						program->name, program->id),
			.fix = doctor_text(doctor,
					   "see what it is for (bpftool prog show id %" PRIu32
					   "); remove it if it balances Services, too",
					   program->id) });
}

/* Places that run their programs one after the other. */
struct place {
	const char *object, *hook;
	bool before; /* shunt's has not had the packet yet */
};

static void look_at_hook(struct doctor *doctor, struct place *place,
			 const struct hook_program *programs, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (programs[i].ours)
			place->before = false;
		else
			tell_other(doctor, place->object, place->hook, &programs[i], place->before);
	}
}

/* On the way out, too, whoever comes first has it first. Filters come after TCX. */
static void look_at_side(struct doctor *doctor, uint32_t ifindex, const char *object, bool egress)
{
	struct place place = { object, egress ? "TCX egress" : "TCX ingress", true };
	struct hook_program programs[HOOK_PROGRAMS_MAX];
	int n = dataplane_tcx_programs(doctor->dp, ifindex, egress, programs);

	look_at_hook(doctor, &place, programs, n);
	place.hook = egress ? "clsact egress" : "clsact ingress";
	n = dataplane_clsact_programs(doctor->dp, ifindex, egress, programs);
	look_at_hook(doctor, &place, programs, n);
}

static void look_at_device(struct doctor *doctor, const struct netdev *dev)
{
	struct hook_program programs[HOOK_PROGRAMS_MAX];
	const char *object = doctor_text(doctor, "device %s", dev->name);

	/* On edges without XDP of ours, too: it runs before TC. */
	if (dataplane_xdp_program(doctor->dp, dev->ifindex, programs) > 0 && !programs[0].ours)
		tell_other(doctor, object, "XDP", &programs[0], true);
	look_at_side(doctor, dev->ifindex, object, false);
	look_at_side(doctor, dev->ifindex, object, true);
}

static void look_at_cgroup(struct doctor *doctor)
{
	struct cgroup_hook hooks[CGROUP_HOOKS_MAX];
	int n = dataplane_cgroup_hooks(doctor->dp, hooks), i;
	size_t j;

	for (i = 0; i < n; i++) {
		/* All of them run; only one that translates, too, gets in the way. */
		for (j = 0; j < hooks[i].n_others; j++)
			tell_other(doctor, "cgroup",
				   doctor_text(doctor, "the hook of %s", hooks[i].program),
				   &hooks[i].others[j],
				   !strncmp(hooks[i].others[j].name, "cil_", 4));
	}
}

int check_other_programs(struct doctor *doctor, struct err *err)
{
	const struct machine *machine = doctor->machine;
	size_t i;

	for (i = 0; i < machine->list.n; i++) {
		if (machine->roles[i])
			look_at_device(doctor, &machine->list.v[i]);
	}
	look_at_cgroup(doctor);
	return 0;
}

/* ---- the kernel ------------------------------------------------------------------------------ */

static void tell_lacking(struct doctor *doctor, const char *what, const char *evidence)
{
	doctor_tell(doctor,
		    &(struct tell){ .level = FINDING_NOTE,
				    .object = "kernel",
				    .what = what,
				    .evidence = evidence,
				    .fix = "nothing has to be done; a newer kernel has it" });
}

static bool knows(const struct btf *btf, const char *name, __u32 kind)
{
	return btf__find_by_name_kind(btf, name, kind) > 0;
}

int check_kernel(struct doctor *doctor, struct err *err)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf) {
		doctor_tell(
			doctor,
			&(struct tell){ .level = FINDING_ERROR,
					.object = "kernel",
					.what = "it has no type information (BTF), which shunt's "
						"programs need",
					.evidence = "/sys/kernel/btf/vmlinux can't be read",
					.fix = "boot a kernel with CONFIG_DEBUG_INFO_BTF" });
		return 0;
	}
	if (!knows(btf, "tcx_link", BTF_KIND_STRUCT))
		tell_lacking(doctor,
			     "programs are attached by clsact filters, which others can replace",
			     "no TCX links (Linux 6.6)");
	if (!knows(btf, "bpf_sock_destroy", BTF_KIND_FUNC))
		tell_lacking(doctor,
			     "sockets of removed backends are ended by SOCK_DESTROY, or wait for a "
			     "time-out",
			     "no bpf_sock_destroy() (Linux 6.5)");
	if (!knows(btf, "bpf_set_retval", BTF_KIND_FUNC))
		tell_lacking(doctor,
			     "a connect() that is refused fails with EPERM, not with ECONNREFUSED",
			     "no bpf_set_retval() (Linux 5.18)");
	btf__free(btf);
	return 0;
}

/* ---- drops ----------------------------------------------------------------------------------- */

struct advice {
	enum sh_reason reason;
	enum finding_level level;
	const char *fix;
};

/* What is dropped because somebody asked for it is a note. */
static const struct advice advices[] = {
	{ SH_REASON_NO_BACKEND, FINDING_NOTE, "see the findings about its endpoints" },
	{ SH_REASON_NO_LOCAL, FINDING_NOTE,
	  "traffic policy Cluster, or a Pod of it on this node (a DaemonSet)" },
	{ SH_REASON_SOURCE_RANGE, FINDING_NOTE,
	  "add the client's range to loadBalancerSourceRanges, if it is to be let in; judge one by "
	  "--src" },
	{ SH_REASON_UNKNOWN_PORT, FINDING_NOTE,
	  "a client uses a port that the Service has not: `shunt get services`" },
	{ SH_REASON_UNALLOCATED, FINDING_NOTE,
	  "a client uses the address of a Service that is gone, or another network overlaps "
	  "--service-cidr" },
	{ SH_REASON_MALFORMED, FINDING_NOTE, "somebody sends what no stack does: look for who" },
	{ SH_REASON_FLOW_TABLE_FULL, FINDING_WARNING,
	  "raise --max-flows4 or --max-flows6 (it takes a reset), or look for a flood" },
	{ SH_REASON_SNAT_EXHAUSTED, FINDING_WARNING,
	  "widen --snat-ports, or add endpoints: each has its own ports" },
	{ SH_REASON_SNAT_NO_ADDRESS, FINDING_WARNING,
	  "give the device towards the backend an address of this family" },
	{ SH_REASON_NO_ROUTE, FINDING_WARNING,
	  "see `ip route get` for the backend's address: does the CNI route between nodes?" },
	{ SH_REASON_TTL, FINDING_NOTE, "look for a routing loop, or somebody's traceroute" },
	{ SH_REASON_BACKEND_GONE, FINDING_NOTE,
	  "connections to Pods that have ended; clients reconnect" },
	{ SH_REASON_BACKEND_STALE, FINDING_WARNING, "apply again, and report it" },
	{ SH_REASON_FRAGMENT, FINDING_NOTE, "lower the sender's MTU, so that nothing is cut" },
	{ SH_REASON_REWRITE, FINDING_WARNING, "report it, with the kernel's version" },
	{ SH_REASON_FLOW_CONTENDED, FINDING_NOTE, "senders repeat what was lost" },
	{ SH_REASON_TOO_BIG, FINDING_NOTE,
	  "see that ICMP \"fragmentation needed\" and \"packet too big\" reach the senders" },
	{ SH_REASON_ANSWER_LIMIT, FINDING_NOTE, "somebody floods a virtual address with pings" },
};

static const struct advice *advice_on(enum sh_reason reason)
{
	static const struct advice unknown = { 0, FINDING_NOTE, "see `shunt get drops`" };
	size_t i;

	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
		if (advices[i].reason == reason)
			return &advices[i];
	}
	return &unknown;
}

/* Longer ago it is history: a count never goes down. */
#define DROPS_FRESH_MS (10 * 60 * 1000)

static int look_at_drop(const struct drop_view *drop, void *arg)
{
	const struct advice *advice = advice_on(drop->reason);
	struct doctor *doctor = arg;
	const char *object = "node";
	char age[AGE_STRLEN];

	if (drop->service ? !doctor_looks_at(doctor, drop->service->ns, drop->service->name)
			  : doctor->name != NULL)
		return 0;
	if (drop->age_ms > DROPS_FRESH_MS)
		return 0;
	if (drop->service)
		object = service_object(doctor, drop->service->ns, drop->service->name);
	doctor_tell(
		doctor,
		&(struct tell){ .level = advice->level,
				.object = object,
				.what = doctor_text(doctor, "packets were dropped or refused: %s",
						    reason_text(drop->reason)),
				.evidence = doctor_text(doctor,
							"%s: %" PRIu64 " packets, the last %s ago",
							reason_word(drop->reason), drop->packets,
							age_format(drop->age_ms / 1000, age)),
				.fix = advice->fix });
	return 0;
}

int check_drops(struct doctor *doctor, struct err *err)
{
	return dataplane_drops(doctor->dp, look_at_drop, doctor, err);
}

/* ---- nobody ------------------------------------------------------------------------------------ */

static int look_at_frontend(const struct frontend_view *view, void *arg)
{
	struct doctor *doctor = arg;
	const struct sh_meta_service *service = view->service;

	if (view->value.flags & SH_FE_ADDRESS_ONLY || view->value.cluster.size ||
	    !doctor_looks_at(doctor, service->ns, service->name))
		return 0;
	doctor_tell(doctor,
		    &(struct tell){
			    .level = FINDING_ERROR,
			    .check = "endpoints",
			    .object = service_object(doctor, service->ns, service->name),
			    .what = doctor_text(doctor, "port %u/%s has no endpoint in %s",
						service->port, proto_name(service->proto),
						family_name((enum family)service->family)),
			    .evidence = "the kernel's table for it is empty",
			    .fix = doctor_text(
				    doctor,
				    "ask the cluster's objects why: kubectl get "
				    "services,endpointslices,pods,nodes -A -o yaml | shunt doctor "
				    "-f - -n %s %s",
				    service->ns, service->name) });
	return 0;
}

/* Of a cluster's objects nothing is kept here: what the kernel has tells that something is wrong. */
int check_nobody(struct doctor *doctor, struct err *err)
{
	return dataplane_frontends(doctor->dp, look_at_frontend, doctor, err);
}
