// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `doctor`: what is wrong with a Service, or with this node, and what to do. */
#include "doctor/doctor.h"

#include <errno.h>
#include <string.h>

#include "cmd/command.h"
#include "cmd/live.h"
#include "cmd/manifests.h"
#include "doctor/leftovers.h"
#include "doctor/machine.h"
#include "plan/plan.h"
#include "source/store.h"

struct visit {
	struct invocation *inv;
	struct doctor doctor;
	struct object_set objects;
	struct wanted *wanted;
	struct machine machine;
	struct live live;
	struct sh_addr src;
};

/* ---- the question ------------------------------------------------------------------------ */

static int read_scope(struct visit *visit, struct err *err)
{
	const struct request *request = &visit->inv->request;
	const char *word = request->n_words ? request->words[0] : NULL, *slash;

	visit->doctor.ns = request->ns;
	if (!word)
		return 0;
	slash = strchr(word, '/');
	if (slash && request->ns)
		return err_usage(err, -EINVAL, "give NAMESPACE/SERVICE or --namespace, not both");
	if (slash)
		visit->doctor.ns = arena_strndup(visit->inv->arena, word, (size_t)(slash - word));
	else if (!request->ns)
		visit->doctor.ns = "default";
	visit->doctor.name = slash ? slash + 1 : word;
	if (slash && !visit->doctor.ns)
		return err_system(err, -ENOMEM, "read the command line");
	return 0;
}

static int read_question(struct visit *visit, struct err *err)
{
	const struct request *request = &visit->inv->request;
	int ret = read_scope(visit, err);

	if (ret || !request->src)
		return ret;
	if (addr_parse(request->src, &visit->src))
		return err_usage(err, -EINVAL, "--src: \"%.64s\" is not an IP address",
				 request->src);
	visit->doctor.src = &visit->src;
	return 0;
}

/* ---- what is looked at --------------------------------------------------------------------- */

/* Something that is in the way of all checks that come after it: a finding, too. */
static void tell_refused(struct visit *visit, const char *check, const char *what,
			 const struct err *why)
{
	doctor_tell(&visit->doctor,
		    &(struct tell){
			    .level = FINDING_ERROR,
			    .check = check,
			    .object = visit->inv->request.n_files ? "manifests" : "node",
			    .what = what,
			    .evidence = why->msg,
			    .fix = "change what the evidence names; other findings may say more" });
}

/* Of manifests: the Node that is named, else their first one, as `trace` does. */
static int choose_node(struct visit *visit, struct err *err)
{
	struct settings *settings = &visit->inv->settings;
	const size_t first = object_set_first(&visit->objects, KIND_NODE);

	if (!settings->node_name && first < visit->objects.n &&
	    visit->objects.v[first]->kind == KIND_NODE)
		settings->node_name = visit->objects.v[first]->meta.name;
	return plan_node_name(settings, visit->inv->arena, err);
}

static int look_at_manifests(struct visit *visit, struct err *err)
{
	const struct settings *settings = &visit->inv->settings;
	const struct plan_opts cluster = { .cluster = true };
	struct err why = { 0 };
	int ret;

	ret = manifests_load(visit->inv, &visit->objects, err);
	if (!ret)
		ret = choose_node(visit, err);
	if (ret)
		return ret;
	ret = plan_allocate(&visit->objects, NULL, settings, &why);
	if (!ret)
		ret = plan_resolve(&visit->objects, settings, false, &visit->wanted, &why);
	if (!ret)
		return 0;
	tell_refused(visit, "apply", "apply would refuse these manifests", &why);
	/* As a cluster's, which nothing is allocated to, they still tell a lot. */
	if (plan_resolve_as(&visit->objects, settings, &cluster, &visit->wanted, &why))
		tell_refused(visit, "apply", "these manifests can't be resolved", &why);
	return 0;
}

/* Objects that an agent has from a cluster are kept nowhere; old ones would mislead. */
static bool objects_are_kept(const struct live *live)
{
	const char *source = json_string_value(json_object_get(live->agent, "source"));

	return !live->agent_running || !source || strcmp(source, "cluster") != 0;
}

static int look_at_node(struct visit *visit, struct err *err)
{
	const struct settings *settings = &visit->inv->settings;
	struct err why = { 0 };
	int ret;

	ret = privilege_check(visit->inv->command, err);
	if (!ret)
		ret = live_open(&visit->live, visit->inv, err);
	if (!ret)
		ret = machine_read(&visit->machine, settings, err);
	if (!ret && objects_are_kept(&visit->live))
		ret = store_load(settings->state, &visit->objects, err);
	if (ret)
		return ret;
	visit->doctor.machine = &visit->machine;
	visit->doctor.dp = visit->live.dp;
	if (!visit->live.dp)
		tell_refused(visit, "programs",
			     visit->live.loaded ? "what is loaded can't be read"
						: "nothing is loaded: shunt serves no Service here",
			     &visit->live.dp_err);
	if (visit->objects.n && plan_resolve(&visit->objects, settings, true, &visit->wanted, &why))
		tell_refused(visit, "apply", "the objects in the state folder can't be resolved",
			     &why);
	return 0;
}

/* A name that nothing has is a slip. */
static int check_name(const struct visit *visit, struct err *err)
{
	const struct doctor *doctor = &visit->doctor;

	if (!doctor->name || !visit->objects.n ||
	    object_set_find(&visit->objects, KIND_SERVICE, doctor->ns, doctor->name))
		return 0;
	return err_input(err, -ENOENT, "service \"%.253s\" not found in namespace \"%.253s\"",
			 doctor->name, doctor->ns);
}

static int examine(struct visit *visit, struct err *err)
{
	struct invocation *inv = visit->inv;
	struct doctor *doctor = &visit->doctor;
	int ret;

	ret = inv->request.n_files ? look_at_manifests(visit, err) : look_at_node(visit, err);
	if (!ret)
		ret = check_name(visit, err);
	if (ret)
		return ret;
	doctor->objects = &visit->objects;
	doctor->settings = &inv->settings;
	doctor->wanted = visit->wanted;
	doctor->node_name = inv->settings.node_name;
	ret = doctor_run(doctor, err);
	if (ret)
		return ret;
	ret = findings_print(&doctor->findings, inv->request.output, stdout);
	if (ret)
		return err_output(err, ret);
	return findings_are_bad(&doctor->findings) ? err_said(err, EXIT_INPUT) : 0;
}

/* ---- --remove-kube-proxy --------------------------------------------------------------------- */

static int remove_found(struct invocation *inv, const struct leftovers *found, struct err *err)
{
	int ret;

	if (found->unseen)
		(void)fprintf(stderr, "shunt: note: not all could be looked at: %s\n",
			      found->unseen);
	if (!found->n) {
		say(inv, "nothing of kube-proxy's is there\n");
		return 0;
	}
	leftovers_print(found, stdout);
	if (!inv->request.yes) {
		say(inv, "# nothing was removed: stop kube-proxy, then run it again with --yes\n");
		return 0;
	}
	ret = leftovers_remove(found, err);
	if (!ret)
		say(inv, "# removed\n");
	return ret;
}

static int remove_kube_proxy(struct visit *visit, struct err *err)
{
	struct invocation *inv = visit->inv;
	struct leftovers found = { 0 };
	int ret;

	if (inv->request.n_files || inv->request.n_words)
		return err_usage(err, -EINVAL,
				 "doctor --remove-kube-proxy takes no manifests and no Service");
	ret = privilege_check(inv->command, err);
	if (!ret)
		ret = machine_read(&visit->machine, &inv->settings, err);
	if (!ret)
		ret = leftovers_find(&visit->machine, &found, err);
	if (!ret)
		ret = remove_found(inv, &found, err);
	leftovers_done(&found);
	return ret;
}

/* ---- the verb ---------------------------------------------------------------------------------- */

int doctor_cmd_run(struct invocation *inv, struct err *err)
{
	struct visit visit = { .inv = inv };
	int ret;

	if (inv->request.yes && !inv->request.remove_kube_proxy)
		return err_usage(err, -EINVAL, "--yes goes with --remove-kube-proxy");
	ret = read_question(&visit, err);
	if (!ret)
		ret = inv->request.remove_kube_proxy ? remove_kube_proxy(&visit, err)
						     : examine(&visit, err);
	findings_done(&visit.doctor.findings);
	wanted_free(visit.wanted);
	object_set_done(&visit.objects);
	machine_done(&visit.machine);
	live_done(&visit.live);
	return ret;
}

void doctor_help(struct invocation *inv)
{
	struct help_item item = { 0 };
	size_t i;

	help_list(inv, "Checks");
	for (i = 0; doctor_check_name(i, &item.name, &item.text); i++)
		help_item(inv, &item);
	help_list_end(inv);
}
