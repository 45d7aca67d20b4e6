// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `status`: what is loaded here, attached where and how, how full, and who keeps it in step. */
#include "cmd/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/live.h"
#include "dataplane/attach.h"
#include "dataplane/cgroup.h"
#include "doctor/machine.h"
#include "util/clock.h"

struct status {
	struct invocation *inv;
	struct live live;
	struct machine machine;
	struct device_view *devices; /* SH_DEVICES_MAX */
	size_t n_devices;
	struct map_fill maps[DATAPLANE_MAPS_MAX];
	int n_maps;
	struct cgroup_hook hooks[CGROUP_HOOKS_MAX];
	int n_hooks;
};

/* ---- gathering ------------------------------------------------------------------------- */

static int gather(struct status *status, struct err *err)
{
	struct dataplane *dp = status->live.dp;
	int ret;

	ret = machine_read(&status->machine, &status->inv->settings, err);
	if (ret || !dp)
		return ret;
	status->devices = calloc(SH_DEVICES_MAX, sizeof(*status->devices));
	if (!status->devices)
		return err_system(err, -ENOMEM, "look at devices");
	ret = dataplane_devices_sorted(dp, status->devices, &status->n_devices, err);
	if (ret)
		return ret;
	status->n_maps = dataplane_map_fill(dp, status->maps, err);
	status->n_hooks = dataplane_cgroup_hooks(dp, status->hooks);
	return status->n_maps < 0 ? status->n_maps : 0;
}

/* ---- words ----------------------------------------------------------------------------- */

static const char *role_word(uint8_t role)
{
	switch (role) {
	case SH_ROLE_UPLINK:
		return "uplink";
	case SH_ROLE_WORKLOAD:
		return "workload";
	case SH_ROLE_OVERLAY:
		return "overlay";
	default:
		return "unknown";
	}
}

static const char *socket_lb_word(unsigned int socket_lb)
{
	return socket_lb == SH_SOCKET_LB_ON	? "on"
	       : socket_lb == SH_SOCKET_LB_HOST ? "host"
						: "off";
}

/* Why there is no better XDP mode than the one that is in force. */
static const char *xdp_reason(const struct status *status, const struct device_view *view,
			      char buf[static ATTACH_REASON_STRLEN])
{
	const struct netdev *dev = netdev_find(&status->machine.list, view->ifindex);

	buf[0] = '\0';
	if (view->device.role != SH_ROLE_UPLINK)
		(void)snprintf(buf, ATTACH_REASON_STRLEN, "XDP is for uplinks");
	else if (dev)
		(void)attach_xdp_reason(&status->inv->settings, dev, buf);
	return buf;
}

static uint32_t mtu_of(const struct status *status, uint32_t ifindex)
{
	size_t i;

	for (i = 0; i < status->machine.list.n; i++) {
		if (status->machine.list.v[i].ifindex == ifindex)
			return status->machine.mtus[i];
	}
	return 0;
}

/* "5m3s ago", "never" */
static const char *since(uint64_t ms, char buf[static AGE_STRLEN + 8])
{
	const uint64_t now = unix_ms();
	char age[AGE_STRLEN];

	if (ms)
		(void)snprintf(buf, AGE_STRLEN + 8, "%s ago",
			       age_format(now > ms ? (now - ms) / 1000 : 0, age));
	else
		(void)snprintf(buf, AGE_STRLEN + 8, "never");
	return buf;
}

static uint64_t number_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* ---- in words --------------------------------------------------------------------------- */

static void say_api(struct invocation *inv, const json_t *kind, bool first)
{
	const char *error = text_of(kind, "lastError");

	say(inv, "%-11s %s: %s, %" PRIu64 " objects%s%s\n", first ? "API" : "",
	    text_of(kind, "resource"), text_of(kind, "state"), number_of(kind, "objects"),
	    *error ? "; last error: " : "", error);
}

static void say_agent(struct status *status)
{
	const struct live *live = &status->live;
	const json_t *agent = live->agent;
	struct invocation *inv = status->inv;
	char then[AGE_STRLEN + 8];
	size_t i;

	if (!live->agent_running && live->about.holder)
		say(inv, "agent       none tells of itself; process %ld holds the lock\n",
		    live->about.holder);
	else if (!live->agent_running && agent)
		say(inv,
		    "agent       not running; the last one ended without a word, its last sync "
		    "was %s\n",
		    since(number_of(agent, "lastSyncMs"), then));
	else if (!live->agent_running)
		say(inv, "agent       not running: what is loaded stays as it is\n");
	if (!live->agent_running)
		return;
	say(inv, "agent       pid %ld, %s %s, %s\n", live->about.holder, text_of(agent, "source"),
	    text_of(agent, "from"),
	    json_is_true(json_object_get(agent, "ready")) ? "all in force"
							  : "not all in force yet");
	say(inv, "last sync   %s", since(number_of(agent, "lastSyncMs"), then));
	say(inv, "; %" PRIu64 " failed since the start\n", number_of(agent, "syncFailures"));
	for (i = 0; i < json_array_size(json_object_get(agent, "api")); i++)
		say_api(inv, json_array_get(json_object_get(agent, "api"), i), !i);
}

static void say_devices(struct status *status)
{
	struct invocation *inv = status->inv;
	char reason[ATTACH_REASON_STRLEN];
	size_t i;

	say(inv, "\n%-16s %-9s %-7s %-8s %-6s %s\n", "DEVICE", "ROLE", "TC", "XDP", "MTU",
	    "WHY NO BETTER XDP");
	for (i = 0; i < status->n_devices; i++) {
		const struct device_view *view = &status->devices[i];

		say(inv, "%-16s %-9s %-7s %-8s %-6u %s\n", *view->name ? view->name : "(gone)",
		    role_word(view->device.role), *view->tc ? view->tc : "none",
		    *view->xdp ? view->xdp : "none", mtu_of(status, view->ifindex),
		    xdp_reason(status, view, reason));
	}
	if (!status->n_devices)
		say(inv, "(no edges)\n");
}

static void say_cgroup(struct status *status)
{
	struct invocation *inv = status->inv;
	char path[512] = "";
	int i, attached = 0;

	for (i = 0; i < status->n_hooks; i++) {
		if (!status->hooks[i].cgroup)
			continue;
		if (!attached++ && !cgroup_path(status->hooks[i].cgroup, path, sizeof(path)))
			(void)snprintf(path, sizeof(path), "one that is gone (id %" PRIu64 ")",
				       status->hooks[i].cgroup);
	}
	say(inv, "sockets     --socket-lb=%s: %d of %d programs on the cgroup %s\n",
	    socket_lb_word(status->live.about.config.socket_lb), attached, status->n_hooks,
	    attached ? path : "(none)");
}

static void say_maps(struct status *status)
{
	struct invocation *inv = status->inv;
	int i;

	say(inv, "\n%-16s %12s %12s %6s %10s\n", "MAP", "USED", "MAX", "FULL", "KIB");
	for (i = 0; i < status->n_maps; i++) {
		const struct map_fill *map = &status->maps[i];
		const struct fill *fill = &map->fill;

		if (!map->counted) {
			say(inv, "%-16s %12s %12s %6s %10" PRIu64 "\n", map->name, "-", "-", "-",
			    map->bytes / 1024);
			continue;
		}
		say(inv, "%-16s %12" PRIu64 " %12" PRIu64 " %5.1f%% %10" PRIu64 "\n", map->name,
		    fill->used, fill->max,
		    fill->max ? 100.0 * (double)fill->used / (double)fill->max : 0.0,
		    map->bytes / 1024);
	}
}

static void say_all(struct status *status)
{
	const struct settings *settings = &status->inv->settings;
	const struct dataplane_about *about = &status->live.about;
	struct invocation *inv = status->inv;

	say(inv, "instance    %s, state %s\n", settings->bpffs, settings->state);
	say(inv, "node        %s%s\n", settings->node_name,
	    about->this_netns ? "" : " (loaded for another network namespace)");
	say(inv, "programs    %s%s%s\n", about->build,
	    strcmp(about->build, about->own_build) != 0 ? "; this binary has "
							: ", those of this binary",
	    strcmp(about->build, about->own_build) != 0 ? about->own_build : "");
	say(inv, "map layout  %u%s\n", about->abi,
	    about->abi == SH_ABI ? "" : "; this binary has another one");
	say_agent(status);
	if (!status->live.dp) {
		say(inv, "unreadable  %s\n", status->live.dp_err.msg);
		return;
	}
	say_cgroup(status);
	say_devices(status);
	say_maps(status);
}

/* ---- as a document ------------------------------------------------------------------------- */

static json_t *none_if_empty(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *devices_tree(struct status *status)
{
	char reason[ATTACH_REASON_STRLEN];
	json_t *list = json_array();
	size_t i;

	for (i = 0; list && i < status->n_devices; i++) {
		const struct device_view *view = &status->devices[i];

		(void)json_array_append_new(
			list, json_pack("{s:s, s:i, s:s, s:o, s:o, s:o, s:i}", "name", view->name,
					"ifindex", (int)view->ifindex, "role",
					role_word(view->device.role), "tc", none_if_empty(view->tc),
					"xdp", none_if_empty(view->xdp), "whyNoBetterXdp",
					none_if_empty(xdp_reason(status, view, reason)), "mtu",
					(int)mtu_of(status, view->ifindex)));
	}
	return list;
}

static json_t *hooks_tree(struct status *status)
{
	json_t *list = json_array();
	char path[512];
	int i;

	for (i = 0; list && i < status->n_hooks; i++) {
		const struct cgroup_hook *hook = &status->hooks[i];

		if (!hook->cgroup || !cgroup_path(hook->cgroup, path, sizeof(path)))
			path[0] = '\0';
		(void)json_array_append_new(
			list, json_pack("{s:s, s:b, s:o}", "program", hook->program, "attached",
					hook->cgroup != 0, "cgroup", none_if_empty(path)));
	}
	return list;
}

static json_t *maps_tree(struct status *status)
{
	json_t *list = json_array();
	int i;

	for (i = 0; list && i < status->n_maps; i++) {
		const struct map_fill *map = &status->maps[i];
		json_t *item =
			json_pack("{s:s, s:I}", "name", map->name, "bytes", (json_int_t)map->bytes);

		if (map->counted)
			(void)json_object_update_new(
				item, json_pack("{s:I, s:I}", "used", (json_int_t)map->fill.used,
						"max", (json_int_t)map->fill.max));
		(void)json_array_append_new(list, item);
	}
	return list;
}

/* What the agent told, and whether it is alive. */
static json_t *agent_tree(const struct live *live)
{
	json_t *tree = live->agent ? json_deep_copy(live->agent) : json_object();

	if (tree)
		(void)json_object_set_new(tree, "running", json_boolean(live->agent_running));
	return tree;
}

static json_t *status_tree(struct status *status)
{
	const struct settings *settings = &status->inv->settings;
	const struct live *live = &status->live;
	const struct dataplane_about *about = &live->about;

	if (!live->loaded)
		return json_pack("{s:s, s:b, s:s, s:s, s:s}", "kind", "Status", "loaded", 0,
				 "bpffs", settings->bpffs, "state", settings->state, "message",
				 live->dp_err.msg);
	return json_pack(
		"{s:s, s:b, s:s, s:s, s:s, s:b, s:{s:s, s:s, s:b}, s:{s:i, s:i}, s:I, s:s?, "
		"s:o, s:o, s:o, s:o}",
		"kind", "Status", "loaded", 1, "bpffs", settings->bpffs, "state", settings->state,
		"node", settings->node_name, "thisNetworkNamespace", (int)about->this_netns,
		"programs", "kernel", about->build, "binary", about->own_build, "same",
		!strcmp(about->build, about->own_build), "mapLayout", "kernel", (int)about->abi,
		"binary", (int)SH_ABI, "lockHolder", (json_int_t)about->holder, "socketLb",
		live->dp ? socket_lb_word(about->config.socket_lb) : NULL, "agent",
		agent_tree(live), "devices", devices_tree(status), "cgroupHooks",
		hooks_tree(status), "maps", maps_tree(status));
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int print(struct status *status, struct err *err)
{
	struct invocation *inv = status->inv;
	json_t *tree;
	int ret;

	if (inv->request.output != OUTPUT_TABLE) {
		tree = status_tree(status);
		if (!tree)
			return err_system(err, -ENOMEM, "print the status");
		ret = output_document(stdout, inv->request.output, tree);
		json_decref(tree);
		if (ret)
			return err_output(err, ret);
	} else if (status->live.loaded) {
		say_all(status);
	} else {
		say(inv, "not loaded  %s\n", status->live.dp_err.msg);
	}
	return status->live.loaded ? 0 : err_said(err, EXIT_INPUT);
}

int status_run(struct invocation *inv, struct err *err)
{
	struct status *status = calloc(1, sizeof(*status));
	int ret;

	if (!status)
		return err_system(err, -ENOMEM, "look at the instance");
	status->inv = inv;
	ret = privilege_check(inv->command, err);
	if (!ret)
		ret = live_open(&status->live, inv, err);
	if (!ret)
		ret = gather(status, err);
	if (!ret)
		ret = print(status, err);
	live_done(&status->live);
	machine_done(&status->machine);
	free(status->devices);
	free(status);
	return ret;
}
