// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `agent`: options from everywhere they may come from, then the loop. */
#include "agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/config_file.h"
#include "plan/plan.h"

struct running {
	struct invocation *inv;
	struct config_base base;
	/* What is in force; after a reload in an arena of its own. */
	struct option_input now;
};

static void print_warnings(const struct config_warnings *warnings)
{
	size_t i;

	for (i = 0; i < warnings->n; i++)
		(void)fprintf(stderr, "shunt: %s\n", warnings->text[i]);
}

static int read_options(struct running *running, struct err *err)
{
	struct invocation *inv = running->inv;
	struct config_warnings warnings = { 0 };
	int ret;

	ret = config_load(&inv->input, environ, &running->base, &warnings, err);
	print_warnings(&warnings);
	running->now = inv->input;
	if (!ret)
		ret = plan_node_name(&inv->settings, inv->arena, err);
	return ret;
}

static int reload(void *arg, struct err *err)
{
	struct running *running = arg;
	struct invocation *inv = running->inv;
	struct config_warnings warnings = { 0 };
	struct settings settings;
	struct option_input next = { .settings = &settings, .arena = arena_new() };
	int ret = next.arena ? 0 : err_system(err, -ENOMEM, "read the options again");

	if (!ret)
		ret = config_reload(&running->base, &running->now, &next, &warnings, err);
	if (!ret)
		ret = plan_node_name(&settings, next.arena, err);
	print_warnings(&warnings);
	if (ret) {
		arena_free(next.arena);
		return ret;
	}
	inv->settings = settings;
	if (running->now.arena != inv->arena)
		arena_free(running->now.arena);
	running->now = next;
	running->now.settings = &inv->settings;
	return 0;
}

/* The options that are in force, for those who ask what this agent goes by. */
static json_t *given_options(void *arg)
{
	const struct running *running = arg;
	json_t *tree = json_object();
	size_t i;

	for (i = 0; tree && i < options_count(); i++) {
		if (running->now.given[i] && !options[i].in_request)
			(void)json_object_set_new(tree, options[i].name,
						  json_string(running->now.given[i]));
	}
	return tree;
}

static int find_api(const struct settings *settings, struct arena *arena, struct kube_config *out,
		    struct err *err)
{
	int ret;

	if (settings->kubeconfig)
		return kube_config_file(settings->kubeconfig, settings->kube_context, arena, out,
					err);
	ret = kube_config_in_cluster(NULL, arena, out, err);
	if (ret == -ENOENT)
		return err_usage(err, -EINVAL,
				 "agent: --manifests DIR or --kubeconfig FILE is needed: this is "
				 "no pod of a cluster");
	return ret;
}

int agent_run(struct invocation *inv, struct err *err)
{
	struct running running = { .inv = inv };
	struct kube_config kube;
	struct agent_opts opts = { .settings = &inv->settings,
				   .reload = reload,
				   .options = given_options,
				   .arg = &running };
	int ret;

	ret = read_options(&running, err);
	if (!ret && !inv->settings.manifests) {
		ret = find_api(&inv->settings, inv->arena, &kube, err);
		opts.kube = &kube;
	}
	if (!ret)
		ret = privilege_check(inv->command, err);
	if (!ret)
		ret = agent_serve(&opts, err);
	if (running.now.arena != inv->arena)
		arena_free(running.now.arena);
	return ret;
}
