// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `get nodes`: the node this instance serves, as its edges and addresses. */
#include "cmd/get.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ITEM, NAME, ROLE, ADDRESS, NODE_PORTS, TC, XDP, INDEX, MAC, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[ITEM] = { "ITEM", "item", COLUMN_TEXT, COLUMN_ID, "device or address" },
	[NAME] = { "NAME", "name", COLUMN_TEXT, COLUMN_NAME | COLUMN_ID,
		   "of the device; or the address" },
	[ROLE] = { "ROLE", "role", COLUMN_TEXT, 0, "of a device: uplink, workload or overlay" },
	[ADDRESS] = { "MASQUERADES-AS", "masqueradesAs", COLUMN_TREE, 0, "of strings: a device's" },
	[NODE_PORTS] = { "NODE-PORTS", "nodePorts", COLUMN_BOOL, 0,
			 "of an address: nodePorts are served there" },
	[TC] = { "TC", "tc", COLUMN_TEXT, 0, "of a device: tcx, clsact or null" },
	[XDP] = { "XDP", "xdp", COLUMN_TEXT, 0, "of a device: native, generic or null" },
	[INDEX] = { "IFINDEX", "ifindex", COLUMN_NUMBER, COLUMN_WIDE | COLUMN_ID,
		    "of a device, else 0" },
	[MAC] = { "MAC", "mac", COLUMN_TEXT, COLUMN_WIDE, "of a device" },
};

const struct listing nodes_listing = { "Node", "node", columns, N_COLUMNS };

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

static const char *none_if_empty(const char *text)
{
	return text && *text ? text : NULL;
}

static void add_address(struct joined *joined, const struct sh_addr *addr)
{
	static const struct sh_addr none;
	char text[ADDR_STRLEN];

	if (!addr_eq(addr, &none))
		joined_add(joined, addr_format(addr, text));
}

static int device_row(struct get *get, const struct device_view *view)
{
	const uint8_t *m = view->device.mac;
	struct cell cells[N_COLUMNS] = { 0 };
	struct joined addresses;
	char mac[18];
	int ret;

	joined_init(&addresses, get_wants_trees(get));
	add_address(&addresses, &view->device.addr4);
	add_address(&addresses, &view->device.addr6);
	(void)snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
		       m[4], m[5]);
	cells[ITEM] = cell_text("device");
	cells[NAME] = cell_text(none_if_empty(view->name));
	cells[ROLE] = cell_text(role_word(view->device.role));
	cells[ADDRESS] = joined_cell(&addresses);
	cells[TC] = cell_text(none_if_empty(view->tc));
	cells[XDP] = cell_text(none_if_empty(view->xdp));
	cells[INDEX] = cell_number(view->ifindex);
	cells[MAC] = cell_text(mac);
	ret = addresses.failed ? -ENOMEM : get_row(get, cells);
	joined_done(&addresses);
	return ret;
}

static int nodeaddr_row(struct get *get, const struct nodeaddr_view *view)
{
	char address[ADDR_STRLEN];
	struct cell cells[N_COLUMNS] = {
		[ITEM] = cell_text("address"),
		[NAME] = cell_text(addr_format(&view->addr, address)),
		[NODE_PORTS] = cell_number(view->flags & SH_NODEADDR_NODE_PORTS),
	};

	return get_row(get, cells);
}

/* The maps tell them in any order: gathered, to be shown in a steady one. */
struct node_view {
	struct device_view devices[SH_DEVICES_MAX];
	struct nodeaddr_view addrs[SH_NODEADDRS_MAX];
	size_t n_devices, n_addrs;
};

static int take_nodeaddr(const struct nodeaddr_view *view, void *arg)
{
	struct node_view *node = arg;

	if (node->n_addrs == SH_NODEADDRS_MAX)
		return -E2BIG;
	node->addrs[node->n_addrs++] = *view;
	return 0;
}

static int nodeaddr_cmp(const void *a, const void *b)
{
	const struct nodeaddr_view *x = a, *y = b;

	return addr_cmp(&x->addr, &y->addr);
}

static int node_gather(struct get *get, struct node_view *node, struct err *err)
{
	int ret;

	ret = dataplane_devices_sorted(get->dp, node->devices, &node->n_devices, err);
	if (ret)
		return ret;
	ret = dataplane_nodeaddrs(get->dp, take_nodeaddr, node, err);
	if (ret == -E2BIG)
		return err_system(err, ret, "get nodes: more than %d addresses (SH_NODEADDRS_MAX)",
				  SH_NODEADDRS_MAX);
	if (ret)
		return ret;
	qsort(node->addrs, node->n_addrs, sizeof(node->addrs[0]), nodeaddr_cmp);
	return 0;
}

int get_nodes(struct get *get, struct err *err)
{
	struct node_view *node = calloc(1, sizeof(*node));
	size_t i;
	int ret;

	if (!node)
		return err_system(err, -ENOMEM, "get nodes");
	ret = node_gather(get, node, err);
	if (ret)
		goto out;
	for (i = 0; !ret && i < node->n_devices; i++)
		ret = device_row(get, &node->devices[i]);
	for (i = 0; !ret && i < node->n_addrs; i++)
		ret = nodeaddr_row(get, &node->addrs[i]);
	if (ret)
		ret = get_row_failed(get, ret, err);
out:
	free(node);
	return ret;
}
