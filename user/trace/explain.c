/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A row for each step of trace.def: its record -> a sentence, and fields for JSON. */
#include "trace/trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/internal.h"

struct explainer {
	struct trace_answer *answer;
	struct dataplane *dp;
	struct sh_trace_record asked; /* PACKET or SOCKET: what it is all about */
	uint32_t frontend_flags;
};

static const char *const names[SH_TRACE_COUNT] = {
#define SH_TRACE(name, word) [SH_TRACE_##name] = (word),
#include "shunt/trace.def"
#undef SH_TRACE
};

int trace_add(struct trace_answer *answer, const char *name, json_t *fields, const char *fmt, ...)
{
	struct trace_step *step = &answer->steps[answer->n];
	va_list args;

	if (!fields)
		return -ENOMEM;
	if (answer->n == TRACE_STEPS_MAX) {
		json_decref(fields);
		return -ENOMEM;
	}
	step->name = name;
	step->fields = fields;
	va_start(args, fmt);
	(void)vsnprintf(step->text, sizeof(step->text), fmt, args);
	va_end(args);
	answer->n++;
	return 0;
}

#define ADD(x, record, fields, ...) \
	trace_add((x)->answer, names[(record)->step], (fields), __VA_ARGS__)

/* ---- names --------------------------------------------------------------------- */

#define SERVICE_STRLEN (3 * SH_NAME_MAX + 16)

/* "default/kubia:http", or with its number where the port has no name. */
static const char *service_name(struct explainer *x, uint32_t id, char buf[static SERVICE_STRLEN])
{
	struct sh_meta meta;

	if (!dataplane_meta(x->dp, SH_META_SERVICE, id, &meta))
		(void)snprintf(buf, SERVICE_STRLEN, "Service number %u", id);
	else if (meta.service.port_name[0])
		(void)snprintf(buf, SERVICE_STRLEN, "%s/%s:%s", meta.service.ns, meta.service.name,
			       meta.service.port_name);
	else
		(void)snprintf(buf, SERVICE_STRLEN, "%s/%s:%u", meta.service.ns, meta.service.name,
			       meta.service.port);
	return buf;
}

/* The backend of that id; NULL: it is another's by now. */
static const struct sh_backend *backend_at(struct explainer *x, uint32_t id)
{
	const struct sh_backend *lines = x->dp->mem[DP_MAP_BACKENDS];
	uint32_t index = SH_BACKEND_INDEX(id);

	if (!id || index >= x->dp->map_max[DP_MAP_BACKENDS] || lines[index].id != id)
		return NULL;
	return &lines[index];
}

static const char *backend_name(struct explainer *x, uint32_t id, char buf[static ADDR_PORT_STRLEN])
{
	const struct sh_backend *backend = backend_at(x, id);

	if (backend)
		return addr_port_format(&backend->addr, backend->port, buf);
	(void)snprintf(buf, ADDR_PORT_STRLEN, "a backend that is gone");
	return buf;
}

static const char *device_name(uint32_t ifindex, char buf[static IF_NAMESIZE + 16])
{
	if (!if_indextoname(ifindex, buf))
		(void)snprintf(buf, IF_NAMESIZE + 16, "device number %u", ifindex);
	return buf;
}

/* ---- what came ------------------------------------------------------------------- */

static int explain_packet(struct explainer *x, const struct sh_trace_record *r)
{
	char src[ADDR_PORT_STRLEN], dst[ADDR_PORT_STRLEN];
	const char *proto = proto_name((proto_t)r->arg[1]);

	addr_port_format(&r->src, r->sport, src);
	addr_port_format(&r->dst, r->dport, dst);
	x->asked = *r;
	return ADD(x, r, json_pack("{s:s, s:s, s:s}", "src", src, "dst", dst, "proto", proto),
		   "%s to %s, %s", src, dst, proto);
}

static int explain_socket(struct explainer *x, const struct sh_trace_record *r)
{
	const char *proto = proto_name((proto_t)r->arg[2]);
	char dst[ADDR_PORT_STRLEN];

	addr_port_format(&r->dst, r->dport, dst);
	x->asked = *r;
	x->asked.arg[1] = r->arg[2]; /* as in a packet's */
	return ADD(x, r,
		   json_pack("{s:s, s:s, s:b}", "dst", dst, "proto", proto, "host", r->arg[1]),
		   "connects to %s, %s%s", dst, proto,
		   r->arg[0] ? ": a loopback address, which stands for the node" : "");
}

static int explain_filter(struct explainer *x, const struct sh_trace_record *r)
{
	return ADD(x, r, json_pack("{s:b}", "maybe", r->arg[0]), "%s",
		   r->arg[0] ? "may be a Service's" : "no Service's, for certain");
}

static int explain_flow(struct explainer *x, const struct sh_trace_record *r)
{
	const char *state = flow_state_name((enum sh_flow_state)r->arg[0]);
	char backend[ADDR_PORT_STRLEN];

	if (!r->arg[0])
		return ADD(x, r, json_pack("{s:b}", "known", 0), "none is known: a new connection");
	backend_name(x, r->arg[1], backend);
	return ADD(x, r,
		   json_pack("{s:b, s:s, s:s}", "known", 1, "state", state, "backend", backend),
		   "known, %s, to %s", state, backend);
}

/* ---- what was chosen --------------------------------------------------------------- */

static const char *algorithm_name(uint32_t algorithm)
{
	static const char *const words[] = { "maglev", "random", "least-conn" };

	return algorithm < sizeof(words) / sizeof(words[0]) ? words[algorithm] : "unknown";
}

static int explain_frontend(struct explainer *x, const struct sh_trace_record *r)
{
	const char *kind = frontend_kind_name((enum frontend_kind)(r->arg[1] & SH_FE_KIND_MASK));
	const char *proto = proto_name((proto_t)x->asked.arg[1]);
	char at[ADDR_PORT_STRLEN], service[SERVICE_STRLEN];
	struct sh_meta meta;

	addr_port_format(&x->asked.dst, x->asked.dport, at);
	if (!r->arg[0])
		return ADD(x, r, json_pack("{s:n}", "service"), "none at %s/%s", at, proto);
	x->answer->service = r->arg[0];
	x->frontend_flags = r->arg[1];
	service_name(x, r->arg[0], service);
	if (!dataplane_meta(x->dp, SH_META_SERVICE, r->arg[0], &meta))
		memset(&meta, 0, sizeof(meta));
	return ADD(x, r,
		   json_pack("{s:s, s:s, s:s, s:s, s:i}", "namespace", meta.service.ns, "service",
			     meta.service.name, "kind", kind, "algorithm",
			     algorithm_name(r->arg[2]), "affinitySeconds", (int)r->arg[3]),
		   "%s/%s is %s of %s", at, proto, kind, service);
}

static int explain_source(struct explainer *x, const struct sh_trace_record *r)
{
	static const char *const words[] = { "outside", "allowed", "unknown" };
	static const char *const texts[] = { "outside loadBalancerSourceRanges",
					     "within loadBalancerSourceRanges",
					     "not known yet: its packets will be asked" };
	uint32_t found = r->arg[0] <= SH_SOURCE_UNKNOWN ? r->arg[0] : SH_SOURCE_UNKNOWN;
	char src[ADDR_STRLEN];

	if (found == SH_SOURCE_UNKNOWN)
		(void)snprintf(src, sizeof(src), "the client's address");
	else
		addr_format(&r->src, src);
	return ADD(x, r, json_pack("{s:s, s:s}", "client", src, "found", words[found]), "%s is %s",
		   src, texts[found]);
}

static int id_cmp(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Those who stand in the table at @base. @return how many, or -ENOMEM; in @list their names */
static int candidates(struct explainer *x, uint32_t base, uint32_t size, json_t *list)
{
	const struct sh_slot_line *lines = x->dp->mem[DP_MAP_SLOTS];
	uint32_t slots = x->dp->map_max[DP_MAP_SLOTS] * SH_SLOTS_PER_LINE, i;
	char name[ADDR_PORT_STRLEN];
	uint32_t *ids;
	int n = 0;

	if (base > slots || size > slots - base)
		size = 0;
	ids = calloc(size + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	for (i = 0; i < size; i++)
		ids[i] = lines[(base + i) / SH_SLOTS_PER_LINE]
				 .backend[(base + i) % SH_SLOTS_PER_LINE];
	qsort(ids, size, sizeof(*ids), id_cmp);
	for (i = 0; n >= 0 && i < size; i++) {
		if (!backend_at(x, ids[i]) || (i && ids[i] == ids[i - 1]))
			continue;
		n++;
		if (json_array_append_new(list, json_string(backend_name(x, ids[i], name))))
			n = -ENOMEM;
	}
	free(ids);
	return n;
}

static int explain_policy(struct explainer *x, const struct sh_trace_record *r)
{
	const char *policy = r->arg[0] ? "Local" : "Cluster";
	bool short_cut = !r->arg[0] && x->frontend_flags & SH_FE_LOCAL_ONLY;
	json_t *list = json_array();
	int n = list ? candidates(x, r->arg[2], r->arg[3], list) : -ENOMEM;

	if (n < 0) {
		json_decref(list);
		return n;
	}
	return ADD(x, r,
		   json_pack("{s:s, s:b, s:i, s:o}", "policy", policy, "localClient", r->arg[1],
			     "slots", (int)r->arg[3], "candidates", list),
		   "%s%s: %d candidate%s%s", policy,
		   short_cut ? ", not Local, since the client is on this node" : "", n,
		   n == 1 ? "" : "s", r->arg[0] ? " on this node" : "");
}

static int explain_affinity(struct explainer *x, const struct sh_trace_record *r)
{
	static const char *const words[] = { "none", "kept", "expired", "away" };
	uint32_t found = r->arg[0] <= SH_AFFINITY_AWAY ? r->arg[0] : SH_AFFINITY_AWAY;
	char backend[ADDR_PORT_STRLEN], seconds[64];
	json_t *fields;

	if (!r->arg[1])
		return ADD(x, r,
			   json_pack("{s:s, s:i}", "found", words[0], "seconds", (int)r->arg[2]),
			   "ClientIP, for %u s: the client is new", r->arg[2]);
	backend_name(x, r->arg[1], backend);
	(void)snprintf(seconds, sizeof(seconds), "ClientIP, for %u s: %u s ago", r->arg[2],
		       r->arg[3]);
	fields = json_pack("{s:s, s:i, s:i, s:s}", "found", words[found], "seconds", (int)r->arg[2],
			   "ageSeconds", (int)r->arg[3], "backend", backend);
	if (found == SH_AFFINITY_KEPT)
		return ADD(x, r, fields, "%s it had %s, and keeps it", seconds, backend);
	return ADD(x, r, fields, "%s it had %s, %s", seconds, backend,
		   found == SH_AFFINITY_OLD ? "too long" : "which is no candidate now");
}

static int explain_slot(struct explainer *x, const struct sh_trace_record *r)
{
	char backend[ADDR_PORT_STRLEN];

	backend_name(x, r->arg[2], backend);
	return ADD(x, r,
		   json_pack("{s:i, s:i, s:s}", "slot", (int)r->arg[0], "slots", (int)r->arg[1],
			     "backend", backend),
		   "number %u of %u: %s", r->arg[0], r->arg[1], backend);
}

static int explain_backend(struct explainer *x, const struct sh_trace_record *r)
{
	const struct sh_backend *backend = backend_at(x, r->arg[0]);
	struct sh_meta pod = { 0 }, node = { 0 };
	char name[ADDR_PORT_STRLEN];
	bool local = r->arg[1] & SH_BE_LOCAL;

	addr_port_format(&r->dst, r->dport, name);
	if (!dataplane_meta(x->dp, SH_META_BACKEND, r->arg[0], &pod))
		pod.name[0] = '\0';
	if (!backend || !dataplane_meta(x->dp, SH_META_NODE, backend->node, &node))
		node.name[0] = '\0';
	return ADD(x, r,
		   json_pack("{s:s, s:s, s:s, s:b}", "backend", name, "pod", pod.name, "node",
			     node.name, "local", local),
		   "%s%s%s, on %s%s%s", name, pod.name[0] ? ", Pod " : "", pod.name,
		   local ? "this node" : "another node", node.name[0] ? ", " : "", node.name);
}

/* ---- what is written ----------------------------------------------------------------- */

static const char *snat_reason(uint32_t why)
{
	switch (why) {
	case SH_SNAT_HAIRPIN:
		return "the backend is the client itself";
	case SH_SNAT_ALL:
		return "--masquerade-all";
	case SH_SNAT_REMOTE:
		return "neither client nor backend is on this node";
	case SH_SNAT_OUTSIDE:
		return "the client is outside the cluster";
	default:
		return "the reply passes this node anyway";
	}
}

static int explain_masquerade(struct explainer *x, const struct sh_trace_record *r)
{
	const char *why = snat_reason(r->arg[0]);
	char src[ADDR_STRLEN], device[IF_NAMESIZE + 16];
	json_t *fields;

	addr_format(&r->src, src);
	fields = json_pack("{s:b, s:s, s:s}", "snat", r->arg[0] != SH_SNAT_NONE, "why", why, "src",
			   src);
	if (!r->arg[0])
		return ADD(x, r, fields, "no: %s", why);
	if (r->arg[2] && r->arg[2] != BPF_FIB_LKUP_RET_NO_NEIGH)
		return ADD(x, r, fields, "yes, %s; but there is no route to the backend", why);
	return ADD(x, r, fields, "yes, %s: by %s, as %s", why, device_name(r->arg[1], device), src);
}

static int explain_bind(struct explainer *x, const struct sh_trace_record *r)
{
	int sport = ntohs(r->sport), asked = ntohs(x->asked.sport), index = (int)r->arg[0];
	json_t *fields = json_pack("{s:b, s:i}", "bound", index >= 0, "sport", sport);

	if (index < 0)
		return ADD(x, r, fields, "no place in the flow table (%s)", strerror(-index));
	if (sport == asked)
		return ADD(x, r, fields, "source port %d is kept", sport);
	return ADD(x, r, fields, "source port %d instead of %d", sport, asked);
}

static int explain_rewrite(struct explainer *x, const struct sh_trace_record *r)
{
	char src[ADDR_PORT_STRLEN], dst[ADDR_PORT_STRLEN];

	addr_port_format(&r->dst, r->dport, dst);
	if (x->asked.step == SH_TRACE_SOCKET) {
		x->answer->has_backend = true;
		x->answer->backend = (struct ptest_target){ r->dst, r->dport };
		return ADD(x, r, json_pack("{s:s}", "dst", dst), "connects to %s instead", dst);
	}
	addr_port_format(&r->src, r->sport, src);
	return ADD(x, r, json_pack("{s:s, s:s}", "src", src, "dst", dst), "now %s to %s", src, dst);
}

static int explain_next_hop(struct explainer *x, const struct sh_trace_record *r)
{
	char device[IF_NAMESIZE + 16];

	device_name(r->arg[0], device);
	return ADD(x, r, json_pack("{s:s, s:b}", "device", device, "resolved", r->arg[1]),
		   "out by %s%s", device,
		   r->arg[1] ? "" : ", whose neighbour has to be found first");
}

static int explain_drop(struct explainer *x, const struct sh_trace_record *r)
{
	enum sh_reason reason = (enum sh_reason)r->arg[1];

	x->answer->reason = reason;
	if (r->arg[0])
		x->answer->service = r->arg[0];
	return ADD(x, r, json_pack("{s:s}", "reason", reason_word(reason)), "%s: %s",
		   reason_word(reason), reason_text(reason));
}

static int explain_end(struct explainer *x, const struct sh_trace_record *r)
{
	static const enum ptest_verdict verdicts[] = {
		[SH_END_FORWARD] = PTEST_FORWARD,
		[SH_END_REJECT] = PTEST_REJECT,
		[SH_END_DROP] = PTEST_DROP,
		[SH_END_PASS] = PTEST_PASS,
	};

	if (r->arg[0] <= SH_END_PASS)
		x->answer->verdict = verdicts[r->arg[0]];
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------ */

static int (*const explainers[SH_TRACE_COUNT])(struct explainer *,
					       const struct sh_trace_record *) = {
	[SH_TRACE_PACKET] = explain_packet,
	[SH_TRACE_SOCKET] = explain_socket,
	[SH_TRACE_FILTER] = explain_filter,
	[SH_TRACE_FLOW] = explain_flow,
	[SH_TRACE_FRONTEND] = explain_frontend,
	[SH_TRACE_SOURCE] = explain_source,
	[SH_TRACE_POLICY] = explain_policy,
	[SH_TRACE_AFFINITY] = explain_affinity,
	[SH_TRACE_SLOT] = explain_slot,
	[SH_TRACE_BACKEND] = explain_backend,
	[SH_TRACE_MASQUERADE] = explain_masquerade,
	[SH_TRACE_BIND] = explain_bind,
	[SH_TRACE_REWRITE] = explain_rewrite,
	[SH_TRACE_NEXT_HOP] = explain_next_hop,
	[SH_TRACE_DROP] = explain_drop,
	[SH_TRACE_END] = explain_end,
};

int trace_explain(struct trace_answer *answer, struct dataplane *dp, const struct sh_trace *written)
{
	struct explainer x = { .answer = answer, .dp = dp };
	uint32_t i;
	int ret = 0;

	for (i = 0; !ret && i < written->n && i < SH_TRACE_STEPS_MAX; i++) {
		const struct sh_trace_record *record = &written->v[i];

		if (record->step < SH_TRACE_COUNT && explainers[record->step])
			ret = explainers[record->step](&x, record);
	}
	if (!ret && written->lost)
		ret = trace_add(answer, "lost", json_pack("{s:i}", "steps", (int)written->lost),
				"%u more steps (limit SH_TRACE_STEPS_MAX, %d)", written->lost,
				SH_TRACE_STEPS_MAX);
	return ret;
}
