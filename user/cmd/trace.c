// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `trace`: what becomes of one packet or socket, step by step, and nothing is changed. */
#include "trace/trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/command.h"
#include "cmd/manifests.h"
#include "cmd/rehearse.h"
#include "plan/plan.h"
#include "ptest/sandbox.h"

struct tracing {
	struct invocation *inv;
	struct trace_question question;
	struct object_set objects; /* with -f */
	struct trace_answer *answer;
};

/* ---- the question ---------------------------------------------------------------- */

/* --src: a port may be left out. */
static int read_src(const char *text, struct trace_question *out, struct err *err)
{
	struct ptest_target target;

	if (!addr_parse(text, &out->src))
		return 0;
	if (ptest_target_parse(text, &target))
		return err_usage(err, -EINVAL,
				 "--src: \"%.100s\" is not IP or IP:PORT, such as 10.0.0.1, "
				 "10.0.0.1:40000, [fd00::1]:40000",
				 text);
	out->src = target.addr;
	out->sport = target.port;
	return 0;
}

static int read_question(const struct request *request, struct trace_question *out, struct err *err)
{
	int ret;

	out->from = (enum ptest_from)request->from;
	out->proto = request->proto ? (proto_t)request->proto : IPPROTO_TCP;
	out->has_src = request->src != NULL;
	if (!request->from_given || !request->dst)
		return err_usage(err, -EINVAL,
				 "trace what? give --from pod|node|external and --dst IP:PORT");
	if (!out->has_src && out->from != PTEST_NODE)
		return err_usage(err, -EINVAL, "--from %s needs the client's address: --src IP",
				 ptest_from_name(out->from));
	if (ptest_target_parse(request->dst, &out->dst))
		return err_usage(err, -EINVAL,
				 "--dst: \"%.100s\" is not IP:PORT, such as 10.96.0.1:80, "
				 "[fd00::1]:80",
				 request->dst);
	ret = out->has_src ? read_src(request->src, out, err) : 0;
	if (!ret && out->has_src && sh_addr_is_v4(&out->src) != sh_addr_is_v4(&out->dst.addr))
		return err_usage(err, -EINVAL, "--src and --dst are of different IP families");
	return ret;
}

/* ---- asking ------------------------------------------------------------------------ */

static int ask(struct tracing *tracing, struct rig *rig, const struct trace_place *place,
	       struct err *err)
{
	struct invocation *inv = tracing->inv;
	struct trace_answer *answer = tracing->answer;
	json_t *tree;
	int ret;

	ret = trace_ask(rig, &tracing->question, place, answer, err);
	if (ret)
		return ret;
	if (inv->request.output_given && inv->request.output != OUTPUT_TABLE) {
		tree = trace_tree(answer, rig_dataplane(rig));
		if (!tree)
			return err_system(err, -ENOMEM, "print the trace");
		ret = output_document(stdout, inv->request.output, tree);
		json_decref(tree);
	} else {
		ret = trace_print(answer, stdout);
	}
	errno = 0;
	if (!ret && (fflush(stdout) || ferror(stdout)))
		ret = errno ? -errno : -EIO;
	if (ret)
		return err_output(err, ret);
	if (answer->verdict == PTEST_DROP || answer->verdict == PTEST_REJECT)
		return err_said(err, EXIT_INPUT);
	return 0;
}

static int trace_live(struct tracing *tracing, int cgroup_fd, struct err *err)
{
	const struct trace_question *question = &tracing->question;
	struct dataplane *live = NULL, *replica = NULL;
	struct trace_place place;
	struct rig *rig = NULL;
	int ret;

	ret = dataplane_open(&live, DATAPLANE_READ, &tracing->inv->settings, err);
	if (!ret)
		ret = dataplane_replica(&replica, live, err);
	if (!ret && question->from != PTEST_NODE)
		ret = trace_place_live(live, question, &place, err);
	if (ret)
		goto out;
	ret = rig_over(&rig, replica, cgroup_fd, err);
	replica = NULL;
	if (!ret)
		ret = ask(tracing, rig, question->from == PTEST_NODE ? NULL : &place, err);
out:
	rig_free(rig);
	dataplane_close(replica);
	dataplane_close(live);
	return ret;
}

/* ---- over manifests ---------------------------------------------------------------- */

/* The Node that this is: the one that is named, the host's own, else the first there is. */
static const struct object *this_node(const struct tracing *tracing)
{
	const struct object_set *objects = &tracing->objects;
	const char *name = tracing->inv->settings.node_name;
	size_t first = object_set_first(objects, KIND_NODE);

	if (name)
		return object_set_find(objects, KIND_NODE, "", name);
	return first < objects->n && objects->v[first]->kind == KIND_NODE ? objects->v[first]
									  : NULL;
}

static struct trace_place place_of(const struct tracing *tracing, struct rig *rig)
{
	bool pod = tracing->question.from == PTEST_POD;
	const struct network_device *device =
		pod ? network_workload(rig_network(rig)) : network_uplink(rig_network(rig));
	struct trace_place place = {
		.ifindex = device->ifindex,
		.xdp = !pod && tracing->inv->settings.xdp != XDP_OFF,
	};

	(void)snprintf(place.device, sizeof(place.device), "%s", pod ? "workload" : "uplink");
	memcpy(place.mac, device->mac, sizeof(place.mac));
	return place;
}

static int trace_manifests(struct tracing *tracing, int cgroup_fd, struct err *err)
{
	const struct trace_question *question = &tracing->question;
	const struct ptest_flow flow = { .from = question->from, .src = question->src };
	struct settings *settings = &tracing->inv->settings;
	const struct rehearsal rehearsal = { .objects = &tracing->objects,
					     .settings = settings,
					     .node = this_node(tracing),
					     .flows = &flow,
					     .n_flows = 1 };
	struct wanted *wanted = NULL;
	struct trace_place place;
	struct rig *rig = NULL;
	int ret;

	if (!settings->node_name && rehearsal.node)
		settings->node_name = rehearsal.node->meta.name;
	ret = rig_new(&rig, cgroup_fd, err);
	if (ret)
		return ret;
	rig_keep_trace(rig);
	ret = rehearse(rig, &rehearsal, &wanted, err);
	if (!ret) {
		place = place_of(tracing, rig);
		ret = ask(tracing, rig, question->from == PTEST_NODE ? NULL : &place, err);
	}
	rig_free(rig);
	wanted_free(wanted);
	return ret;
}

/* ---- the verb ------------------------------------------------------------------------ */

static int trace_in_sandbox(void *arg, int cgroup_fd, struct err *err)
{
	struct trace_answer *answer = calloc(1, sizeof(*answer));
	struct tracing *tracing = arg;
	int ret;

	if (!answer)
		return err_system(err, -ENOMEM, "trace");
	tracing->answer = answer;
	if (tracing->inv->request.n_files)
		ret = trace_manifests(tracing, cgroup_fd, err);
	else
		ret = trace_live(tracing, cgroup_fd, err);
	trace_answer_done(answer);
	free(answer);
	return ret;
}

int trace_run(struct invocation *inv, struct err *err)
{
	struct tracing tracing = { .inv = inv };
	struct sandbox_job job = { .run = trace_in_sandbox, .arg = &tracing };
	int ret;

	ret = read_question(&inv->request, &tracing.question, err);
	if (!ret && inv->request.n_files)
		ret = manifests_load(inv, &tracing.objects, err);
	if (!ret)
		ret = plan_allocate(&tracing.objects, NULL, &inv->settings, err);
	if (!ret)
		ret = privilege_check(inv->command, err);
	job.cgroup = tracing.question.from == PTEST_NODE;
	if (!ret)
		ret = sandbox_run(&job, err);
	object_set_done(&tracing.objects);
	return ret;
}
