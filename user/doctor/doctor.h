/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is wrong with a Service, or with this node, as an expert would look for
 * it. A check is a row of a table and a function; it looks at the patient and
 * adds findings. Nothing here changes anything, but for leftovers.c when asked.
 *
 *   doctor.c            the table of checks, and who is run when
 *   findings.c          what was found, and how it is shown
 *   select.c            which Pods a selector means, and which it nearly means
 *   checks_endpoints.c  a Service port without anybody behind it; empty_lists.c
 *   checks_target.c     a targetPort that no container has
 *   checks_policy.c     who is let in, and where to
 *   checks_address.c    addresses and networks that don't go together
 *   checks_machine.c    this machine's settings and devices
 *   checks_kernel.c     what shunt has in the kernel: programs, drops
 *   checks_proxy.c      what others have there: kube-proxy, IPVS, Cilium
 *   machine.c           what of this machine the checks ask for; program.c
 *   iptables.c          the text of iptables-save, taken apart
 *   leftovers.c         kube-proxy's, removed
 */
#ifndef SHUNT_USER_DOCTOR_H
#define SHUNT_USER_DOCTOR_H

#include "dataplane/dataplane.h"
#include "model/objects.h"
#include "model/settings.h"
#include "model/wanted.h"
#include "util/arena.h"
#include "util/err.h"
#include "util/output.h"

enum finding_level {
	FINDING_ERROR = 0, /* connections fail */
	FINDING_WARNING,   /* some do, or will */
	FINDING_NOTE,	   /* nothing is wrong; it explains what one may wonder at */
};

/* Strings live in the arena of the findings. */
struct finding {
	enum finding_level level;
	const char *check;    /* name of the check that found it */
	const char *object;   /* "Service default/web", "device eth0", "node" */
	const char *what;     /* what is wrong */
	const char *evidence; /* how one can tell */
	const char *fix;      /* what to do */
};

struct findings {
	struct arena *arena;
	struct finding *v;
	size_t n, cap;
	size_t n_more;	/* beyond SH_FINDINGS_MAX */
	bool no_memory; /* some are missing */
};

struct machine; /* machine.h */

/* What is looked at. What is NULL isn't there, and its checks are not run. */
struct doctor {
	const struct object_set *objects;
	const struct settings *settings;
	const struct wanted *wanted;   /* of these objects; NULL where they can't be resolved */
	const struct machine *machine; /* NULL: manifests alone are looked at */
	struct dataplane *dp;	       /* NULL: nothing is loaded, or nobody looks */
	const char *node_name;
	const char *ns, *name;	   /* the one Service to look at; NULL: all */
	const struct sh_addr *src; /* whom to judge source ranges for; NULL: nobody */
	struct findings findings;
	const char *check; /* which one runs */
};

/* Runs what applies. @return 0, or a negative errno: not all could be looked at */
int doctor_run(struct doctor *doctor, struct err *err);

/* For `shunt help doctor`: the name and what it looks for, by number; false: no more. */
bool doctor_check_name(size_t i, const char **name_out, const char **summary_out);

/* ---- findings.c ------------------------------------------------------------------ */

/* One finding being told. Texts are copied. */
struct tell {
	enum finding_level level;
	const char *check; /* NULL: the one that runs */
	const char *object, *what, *evidence, *fix;
};
/* The same one twice is told once. */
void doctor_tell(struct doctor *doctor, const struct tell *tell);
/* printf() into the findings' arena; "" where memory is out. */
__attribute__((format(printf, 2, 3))) const char *doctor_text(struct doctor *doctor,
							      const char *fmt, ...);
const char *finding_level_name(enum finding_level level);
bool findings_are_bad(const struct findings *findings); /* an error or a warning among them */
void findings_sort(struct findings *findings);
/* {"findings":[...]} as JSON or YAML, or in words. @return 0 or a negative errno */
int findings_print(const struct findings *findings, enum output_format format, FILE *to);
void findings_done(struct findings *findings);

/* A list of words in a text, the first @most of them; the rest is counted. */
struct listed {
	char text[512];
	size_t n;
	bool ended; /* by listed_text() */
};
#define LISTED_MOST 5
void listed_add(struct listed *listed, const char *word);
/* "a, b and 3 more"; "" where there are none */
const char *listed_text(struct listed *listed);

/* ---- which Services -------------------------------------------------------------- */

bool doctor_looks_at(const struct doctor *doctor, const char *ns, const char *name);
/* Call @look for each Service that is ours to serve and has a virtual address. */
void doctor_services(struct doctor *doctor,
		     void (*look)(struct doctor *doctor, const struct object *service));
const char *service_object(struct doctor *doctor, const char *ns, const char *name);

/* ---- the checks ------------------------------------------------------------------- */

int check_endpoints(struct doctor *doctor, struct err *err);
int check_target_port(struct doctor *doctor, struct err *err);
int check_local_policy(struct doctor *doctor, struct err *err);
int check_source_ranges(struct doctor *doctor, struct err *err);
int check_socket_lb(struct doctor *doctor, struct err *err);
int check_ping(struct doctor *doctor, struct err *err);
int check_frontends(struct doctor *doctor, struct err *err);
int check_service_cidr(struct doctor *doctor, struct err *err);
int check_networks(struct doctor *doctor, struct err *err);
int check_nodeport(struct doctor *doctor, struct err *err);
int check_node(struct doctor *doctor, struct err *err);
int check_rp_filter(struct doctor *doctor, struct err *err);
int check_forwarding(struct doctor *doctor, struct err *err);
int check_reserved_ports(struct doctor *doctor, struct err *err);
int check_mtu(struct doctor *doctor, struct err *err);
int check_edges(struct doctor *doctor, struct err *err);
int check_programs(struct doctor *doctor, struct err *err);
int check_other_programs(struct doctor *doctor, struct err *err);
int check_kernel(struct doctor *doctor, struct err *err);
int check_drops(struct doctor *doctor, struct err *err);
int check_nobody(struct doctor *doctor, struct err *err);
int check_kube_proxy(struct doctor *doctor, struct err *err);
int check_ipvs(struct doctor *doctor, struct err *err);
int check_cilium(struct doctor *doctor, struct err *err);
int check_netfilter(struct doctor *doctor, struct err *err);

#endif
