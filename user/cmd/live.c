// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/kept.h"
#include "plan/plan.h"
#include "source/agent_file.h"

/* ---- the agent ------------------------------------------------------------------------- */

/* Is process @pid called @inner in the innermost of its pid namespaces? */
static bool is_called(long pid, long inner)
{
	char path[64], line[256], *last;
	bool same = false;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "NSpid:", 6) != 0)
			continue;
		last = strrchr(line, '\t');
		same = last && strtol(last + 1, NULL, 10) == inner;
		break;
	}
	if (file)
		(void)fclose(file);
	return same;
}

static void read_agent(struct live *live, const char *state)
{
	const long holder = live->about.holder;
	long pid;

	live->agent = agent_file_read(state, AGENT_FILE);
	pid = (long)json_integer_value(json_object_get(live->agent, "pid"));
	live->agent_running =
		live->agent && holder && pid && (pid == holder || is_called(holder, pid));
}

long live_agent(const struct settings *settings)
{
	struct live live = { .loaded = false };
	long pid = 0;

	if (dataplane_about(settings, &live.about, NULL))
		return 0;
	read_agent(&live, settings->state);
	if (live.agent_running)
		pid = live.about.holder;
	json_decref(live.agent);
	return pid;
}

/* ---- settings ---------------------------------------------------------------------------- */

/* What the agent goes by. A text that is no longer understood counts for nothing. */
static void take_agent(const struct live *live, struct invocation *inv)
{
	const char *node = json_string_value(json_object_get(live->agent, "node"));
	json_t *given = json_object_get(live->agent, "options");
	struct option_input input = { .settings = &inv->settings, .arena = inv->arena };
	size_t i;

	for (i = 0; i < options_count(); i++) {
		const struct option *option = &options[i];
		const char *text = json_string_value(json_object_get(given, option->name));

		/* Which instance it is has been said already. */
		if (text && !option->in_request && !inv->input.given[i] &&
		    option->group & (OPTIONS_CONTROL | OPTIONS_DATAPATH))
			(void)settings_set(&input, option->name, text, NULL);
	}
	if (node && !inv->settings.node_name)
		inv->settings.node_name = arena_strdup(inv->arena, node);
}

static unsigned int bits_of(const void *mask, size_t n)
{
	const uint8_t *bytes = mask;
	unsigned int bits = 0;
	size_t i;

	for (i = 0; i < n; i++)
		bits += (unsigned int)__builtin_popcount(bytes[i]);
	return bits;
}

static size_t take_nets(const struct sh_nets *nets, struct addr_net *out)
{
	size_t n = 0;
	uint32_t i;

	for (i = 0; i < nets->n4 && n < SH_CIDRS_MAX; i++)
		out[n++] = (struct addr_net){ .addr = addr_from_v4(nets->v4[i].net),
					      .len = bits_of(&nets->v4[i].mask, 4) };
	for (i = 0; i < nets->n6 && n < SH_CIDRS_MAX; i++) {
		memcpy(&out[n].addr, nets->v6[i].net, sizeof(out[n].addr));
		out[n++].len = bits_of(nets->v6[i].mask, sizeof(nets->v6[i].mask));
	}
	return n;
}

static bool is_given(const struct invocation *inv, const char *name)
{
	return inv->input.given[options_find(name) - options];
}

/* The programs have the last word on what they were loaded with. */
static void take_config(const struct sh_config *config, struct invocation *inv)
{
	struct settings *settings = &inv->settings;

	if (!is_given(inv, "service-cidr"))
		settings->n_service_cidrs =
			take_nets(&config->service_cidrs, settings->service_cidrs);
	if (!is_given(inv, "cluster-cidr"))
		settings->n_cluster_cidrs =
			take_nets(&config->cluster_cidrs, settings->cluster_cidrs);
	if (!is_given(inv, "ping-vips"))
		settings->ping_vips = config->ping_vips;
	if (!is_given(inv, "masquerade-all"))
		settings->masquerade_all = config->masquerade_all;
	settings->socket_lb = (enum sh_socket_lb)config->socket_lb;
	settings->snat_min = config->snat_min;
	settings->snat_max = config->snat_max;
}

/* ---- all ----------------------------------------------------------------------------------- */

static int read_instance(struct live *live, struct invocation *inv, struct err *err)
{
	int ret = dataplane_about(&inv->settings, &live->about, err);

	/* No BPF file system: nothing can be loaded. */
	if (ret == -ENOENT || ret == -ENODEV) {
		live->dp_err = *err;
		return 0;
	}
	if (ret)
		return ret;
	live->loaded = true;
	if (dataplane_open(&live->dp, DATAPLANE_READ, &inv->settings, &live->dp_err))
		live->dp = NULL;
	return 0;
}

int live_open(struct live *live, struct invocation *inv, struct err *err)
{
	struct kept_options kept;
	int ret;

	*live = (struct live){ .loaded = false };
	ret = kept_options_read(inv->settings.state, inv->arena, &kept, err);
	if (!ret)
		ret = kept_options_set(&kept, &inv->input, &inv->settings, inv->arena, err);
	if (!ret)
		ret = read_instance(live, inv, err);
	if (ret)
		return ret;
	read_agent(live, inv->settings.state);
	if (live->agent)
		take_agent(live, inv);
	/* Of another layout they may mean anything. */
	if (live->dp)
		take_config(&live->about.config, inv);
	ret = plan_node_name(&inv->settings, inv->arena, err);
	if (ret)
		live_done(live);
	return ret;
}

void live_done(struct live *live)
{
	dataplane_close(live->dp);
	json_decref(live->agent);
	live->dp = NULL;
	live->agent = NULL;
}
