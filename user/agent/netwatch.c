/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Messages repeat much that nobody has to act on: a device's counters, the
 * ageing of a neighbour. What they said last is kept, devices by index and
 * neighbours by (device, address), and only what is other than that counts.
 * The kernel's own lists are read at the start to have it. Whatever isn't
 * known for sure (messages were lost, a table is full) counts as a change.
 */
#include "agent/netwatch.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* No memory for a table: the element is not added, which its adder sees by hh.tbl. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "shunt/limits.h"

#define RECEIVE_BYTES (8 << 20) /* some 10,000 routes that change at once */
#define MESSAGE_BYTES 65536
#define READS_MAX     512 /* of one turn of the loop */
#define RETRY_MS      1000

#define GROUP(id) (1u << ((id) - 1))
#define GROUPS                                                                                \
	(GROUP(RTNLGRP_LINK) | GROUP(RTNLGRP_NEIGH) | GROUP(RTNLGRP_IPV4_IFADDR) |            \
	 GROUP(RTNLGRP_IPV6_IFADDR) | GROUP(RTNLGRP_IPV4_ROUTE) | GROUP(RTNLGRP_IPV6_ROUTE) | \
	 GROUP(RTNLGRP_IPV4_RULE) | GROUP(RTNLGRP_IPV6_RULE) | GROUP(RTNLGRP_NEXTHOP))

#define CHANGED_ALL (NETWATCH_LINKS | NETWATCH_ADDRESSES | NETWATCH_ROUTES | NETWATCH_NEIGHBOURS)

/* Somebody listening to the device (tcpdump) changes nothing for its packets. */
#define FLAGS_IGNORED (IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST)

/* Valid, fresh or not: a packet can be sent with it. */
#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

#define LLADDR_MAX 32 /* MAX_ADDR_LEN of the kernel */

/* What is known of a device or a neighbour. All bytes count. */
struct link_key {
	uint32_t ifindex;
};
struct link_value {
	uint32_t flags, mtu, master;
	uint16_t type;
	uint8_t operstate;
	char name[IF_NAMESIZE], kind[16];
	uint8_t addr[LLADDR_MAX];
};
struct neighbour_key {
	uint32_t ifindex;
	uint8_t family, addr[16];
};
struct neighbour_value {
	uint8_t usable, len, lladdr[LLADDR_MAX];
};

struct entry {
	UT_hash_handle hh;
	unsigned char bytes[]; /* the key, the value */
};

/* What was said last. */
struct table {
	struct entry *entries; /* uthash, by key */
	size_t key_len, value_len, max;
	bool cut;      /* something had no room in it */
	bool complete; /* what isn't in it isn't there at all */
};

enum { TABLE_LINKS = 0, TABLE_NEIGHBOURS, TABLE_COUNT };

struct netwatch {
	struct mnl_socket *nl;
	uv_poll_t poll;
	uv_timer_t retry;
	int n_handles; /* that are open, or closing */
	struct table tables[TABLE_COUNT];
	int listing;	   /* the table whose list is being read; TABLE_COUNT: none is */
	bool list_damaged; /* it changed under the kernel's hands: it has to be asked for again */
	unsigned int seq;  /* of the request for it */
	bool lost;	   /* messages, and there may be more to lose */
	unsigned int seen; /* changes that this drain met */
	void (*changed)(void *arg, unsigned int changes);
	void *arg;
	char buf[MESSAGE_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
};

/* ---- what was said last -------------------------------------------------------- */

static void table_forget(struct table *table)
{
	struct entry *entry, *next;

	HASH_ITER(hh, table->entries, entry, next) {
		HASH_DEL(table->entries, entry);
		free(entry);
	}
	table->cut = table->complete = false;
}

static struct entry *table_find(const struct table *table, const void *key)
{
	struct entry *entry;

	HASH_FIND(hh, table->entries, key, table->key_len, entry);
	return entry;
}

static void table_add(struct table *table, const void *key, const void *value)
{
	struct entry *entry = NULL;

	if (HASH_COUNT(table->entries) < table->max)
		entry = malloc(sizeof(*entry) + table->key_len + table->value_len);
	if (entry) {
		memcpy(entry->bytes, key, table->key_len);
		memcpy(entry->bytes + table->key_len, value, table->value_len);
		HASH_ADD_KEYPTR(hh, table->entries, entry->bytes, table->key_len, entry);
		if (entry->hh.tbl)
			return;
	}
	free(entry);
	table->cut = true;
	table->complete = false;
}

enum said { SAID_NEW, SAID_OTHER, SAID_SAME };

static enum said table_note(struct table *table, const void *key, const void *value)
{
	struct entry *entry = table_find(table, key);
	unsigned char *known = entry ? entry->bytes + table->key_len : NULL;

	if (!entry) {
		table_add(table, key, value);
		return SAID_NEW;
	}
	if (!memcmp(known, value, table->value_len))
		return SAID_SAME;
	memcpy(known, value, table->value_len);
	return SAID_OTHER;
}

/* @value_out gets what was known. @return false: nothing */
static bool table_drop(struct table *table, const void *key, void *value_out)
{
	struct entry *entry = table_find(table, key);

	if (!entry)
		return false;
	memcpy(value_out, entry->bytes + table->key_len, table->value_len);
	HASH_DEL(table->entries, entry);
	free(entry);
	return true;
}

/* ---- messages -------------------------------------------------------------------- */

static void copy_attr(const struct nlattr *attr, void *out, size_t size)
{
	const size_t len = mnl_attr_get_payload_len(attr);

	memcpy(out, mnl_attr_get_payload(attr), len < size ? len : size);
}

static void read_kind(const struct nlattr *info, struct link_value *value)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info) {
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			copy_attr(attr, value->kind, sizeof(value->kind));
	}
}

static struct link_value link_value(const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *msg = mnl_nlmsg_get_payload(nlh);
	struct link_value value;
	const struct nlattr *attr;

	memset(&value, 0, sizeof(value)); /* padding counts, too */
	value.flags = msg->ifi_flags & ~(unsigned int)FLAGS_IGNORED;
	value.type = msg->ifi_type;
	mnl_attr_for_each(attr, nlh, sizeof(*msg)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			copy_attr(attr, value.name, sizeof(value.name));
			break;
		case IFLA_MTU:
			copy_attr(attr, &value.mtu, sizeof(value.mtu));
			break;
		case IFLA_MASTER:
			copy_attr(attr, &value.master, sizeof(value.master));
			break;
		case IFLA_OPERSTATE:
			copy_attr(attr, &value.operstate, sizeof(value.operstate));
			break;
		case IFLA_ADDRESS:
			copy_attr(attr, value.addr, sizeof(value.addr));
			break;
		case IFLA_LINKINFO:
			read_kind(attr, &value);
			break;
		default:
			break;
		}
	}
	return value;
}

static unsigned int on_link(struct netwatch *watch, const struct nlmsghdr *nlh, bool listed)
{
	const struct ifinfomsg *msg = mnl_nlmsg_get_payload(nlh);
	struct table *table = &watch->tables[TABLE_LINKS];
	struct link_key key = { 0 };
	struct link_value value;
	enum said said;

	/* Of a bridge's view of its port, which says less: the device itself speaks for itself. */
	if (msg->ifi_family != AF_UNSPEC)
		return 0;
	key.ifindex = (uint32_t)msg->ifi_index;
	if (nlh->nlmsg_type == RTM_DELLINK) {
		(void)table_drop(table, &key, &value);
		return NETWATCH_LINKS;
	}
	value = link_value(nlh);
	said = table_note(table, &key, &value);
	return said == SAID_SAME || (said == SAID_NEW && listed) ? 0 : NETWATCH_LINKS;
}

static bool read_neighbour(const struct nlmsghdr *nlh, struct neighbour_key *key,
			   struct neighbour_value *value)
{
	const struct ndmsg *msg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	memset(key, 0, sizeof(*key)); /* padding counts, too */
	memset(value, 0, sizeof(*value));
	/* AF_BRIDGE: where a bridge has seen an address. NTF_PROXY: whom this node stands for. */
	if ((msg->ndm_family != AF_INET && msg->ndm_family != AF_INET6) ||
	    msg->ndm_flags & NTF_PROXY)
		return false;
	key->ifindex = (uint32_t)msg->ndm_ifindex;
	key->family = msg->ndm_family;
	value->usable = (msg->ndm_state & NUD_USABLE) && nlh->nlmsg_type == RTM_NEWNEIGH;
	mnl_attr_for_each(attr, nlh, sizeof(*msg)) {
		if (mnl_attr_get_type(attr) == NDA_DST)
			copy_attr(attr, key->addr, sizeof(key->addr));
		if (mnl_attr_get_type(attr) != NDA_LLADDR || !value->usable)
			continue;
		copy_attr(attr, value->lladdr, sizeof(value->lladdr));
		value->len = (uint8_t)mnl_attr_get_payload_len(attr);
	}
	return true;
}

static unsigned int on_neighbour(struct netwatch *watch, const struct nlmsghdr *nlh, bool listed)
{
	struct table *table = &watch->tables[TABLE_NEIGHBOURS];
	struct neighbour_value value, old = { 0 };
	const bool complete = table->complete;
	struct neighbour_key key;
	bool known;

	if (!read_neighbour(nlh, &key, &value))
		return 0;
	if (value.usable) {
		const enum said said = table_note(table, &key, &value);

		return said == SAID_SAME || (said == SAID_NEW && listed) ? 0 : NETWATCH_NEIGHBOURS;
	}
	/* One that can't be reached isn't kept: a scan of a network would fill the table. */
	known = table_drop(table, &key, &old);
	return known || !(complete || listed) ? NETWATCH_NEIGHBOURS : 0;
}

static unsigned int on_message(struct netwatch *watch, const struct nlmsghdr *nlh)
{
	const bool listed =
		nlh->nlmsg_seq == watch->seq && nlh->nlmsg_pid == mnl_socket_get_portid(watch->nl);
	const struct rtmsg *route = mnl_nlmsg_get_payload(nlh);

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return on_link(watch, nlh, listed);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return NETWATCH_ADDRESSES;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		/* What the kernel looked up for one destination is no route of the table. */
		return route->rtm_flags & RTM_F_CLONED ? 0 : NETWATCH_ROUTES;
	case RTM_NEWRULE:
	case RTM_DELRULE:
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		return NETWATCH_ROUTES;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return on_neighbour(watch, nlh, listed);
	default:
		return 0;
	}
}

/* ---- the kernel's lists ------------------------------------------------------------ */

static void on_retry(uv_timer_t *timer);

/* Ask for the list of watch->listing. */
static void list_ask(struct netwatch *watch)
{
	static const uint16_t types[TABLE_COUNT] = { RTM_GETLINK, RTM_GETNEIGH };
	static const size_t header_len[TABLE_COUNT] = { sizeof(struct ifinfomsg),
							sizeof(struct ndmsg) };
	char request[256] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);

	nlh->nlmsg_type = types[watch->listing];
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = ++watch->seq;
	(void)mnl_nlmsg_put_extra_header(nlh, header_len[watch->listing]);
	watch->list_damaged = false;
	(void)uv_timer_stop(&watch->retry);
	/* Without it more counts as a change than is one. */
	if (mnl_socket_sendto(watch->nl, nlh, nlh->nlmsg_len) < 0)
		(void)uv_timer_start(&watch->retry, on_retry, RETRY_MS, 0);
}

static void on_retry(uv_timer_t *timer)
{
	list_ask(timer->data);
}

static void lists_begin(struct netwatch *watch)
{
	for (int i = 0; i < TABLE_COUNT; i++)
		table_forget(&watch->tables[i]);
	watch->listing = 0;
	list_ask(watch);
}

/* A list has ended: the next one, or the same again. */
static void list_end(struct netwatch *watch, const struct nlmsghdr *nlh)
{
	struct table *table;

	if (watch->listing == TABLE_COUNT || nlh->nlmsg_seq != watch->seq)
		return;
	table = &watch->tables[watch->listing];
	if (nlh->nlmsg_type == NLMSG_ERROR || watch->list_damaged) {
		(void)uv_timer_start(&watch->retry, on_retry, RETRY_MS, 0);
		return;
	}
	table->complete = !table->cut;
	if (++watch->listing < TABLE_COUNT)
		list_ask(watch);
}

/* ---- the socket ----------------------------------------------------------------------- */

static void read_messages(struct netwatch *watch, size_t bytes)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)watch->buf;
	int left = (int)bytes;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			watch->list_damaged = true;
		if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
			list_end(watch, nlh);
		else
			watch->seen |= on_message(watch, nlh);
	}
}

/* @return false: that was all */
static bool drain_once(struct netwatch *watch)
{
	const ssize_t len = mnl_socket_recvfrom(watch->nl, watch->buf, sizeof(watch->buf));
	const int why = len < 0 ? errno : EAGAIN;

	if (len > 0) {
		read_messages(watch, (size_t)len);
		return true;
	}
	if (why == EINTR)
		return true;
	/* ENOBUFS: messages were lost; ENOSPC: one was cut. What was known may be wrong. */
	if (why != EAGAIN) {
		watch->lost = true;
		watch->seen = CHANGED_ALL;
		return why == ENOBUFS || why == ENOSPC;
	}
	/*
	 * Until all has been read, the kernel goes on losing messages and says so only
	 * once: what is asked for now, and not before, is what holds.
	 */
	if (watch->lost) {
		watch->lost = false;
		watch->seen = CHANGED_ALL;
		lists_begin(watch);
	}
	return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct netwatch *watch = poll->data;
	unsigned int changes;

	for (int i = 0; i < READS_MAX && drain_once(watch); i++)
		;
	/* The socket's error (ENOBUFS) is for the one who reads; libuv stops polling at it. */
	if (status < 0)
		(void)uv_poll_start(poll, UV_READABLE, on_readable);
	changes = watch->seen;
	watch->seen = 0;
	if (changes)
		watch->changed(watch->arg, changes);
}

/* ---- life ------------------------------------------------------------------------------ */

static void netwatch_free(struct netwatch *watch)
{
	for (int i = 0; i < TABLE_COUNT; i++)
		table_forget(&watch->tables[i]);
	if (watch->nl)
		(void)mnl_socket_close(watch->nl);
	free(watch);
}

static void on_close(uv_handle_t *handle)
{
	struct netwatch *watch = handle->data;

	if (!--watch->n_handles)
		netwatch_free(watch);
}

void netwatch_stop(struct netwatch *watch)
{
	if (!watch)
		return;
	if (!watch->n_handles) {
		netwatch_free(watch);
		return;
	}
	uv_close((uv_handle_t *)&watch->retry, on_close);
	if (watch->n_handles > 1)
		uv_close((uv_handle_t *)&watch->poll, on_close);
}

static struct netwatch *netwatch_new(void)
{
	struct netwatch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->tables[TABLE_LINKS] = (struct table){
		.key_len = sizeof(struct link_key),
		.value_len = sizeof(struct link_value),
		.max = SH_WATCH_LINKS_MAX,
	};
	watch->tables[TABLE_NEIGHBOURS] = (struct table){
		.key_len = sizeof(struct neighbour_key),
		.value_len = sizeof(struct neighbour_value),
		.max = SH_WATCH_NEIGHBOURS_MAX,
	};
	return watch;
}

static int open_socket(struct netwatch *watch)
{
	const int bytes = RECEIVE_BYTES;
	int fd;

	watch->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!watch->nl)
		return -errno;
	fd = mnl_socket_get_fd(watch->nl);
	/* Only with privilege beyond the sysctl net.core.rmem_max; less is slower, not wrong. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return mnl_socket_bind(watch->nl, GROUPS, MNL_SOCKET_AUTOPID) ? -errno : 0;
}

/* libuv fails with -1 * errno, as is the custom here. */
static int poll_socket(struct netwatch *watch, uv_loop_t *loop)
{
	int ret;

	ret = uv_timer_init(loop, &watch->retry);
	if (ret)
		return ret;
	watch->retry.data = watch;
	watch->n_handles++;
	ret = uv_poll_init(loop, &watch->poll, mnl_socket_get_fd(watch->nl));
	if (ret)
		return ret;
	watch->poll.data = watch;
	watch->n_handles++;
	return uv_poll_start(&watch->poll, UV_READABLE, on_readable);
}

int netwatch_start(struct netwatch **out, uv_loop_t *loop,
		   void (*changed)(void *arg, unsigned int changes), void *arg, struct err *err)
{
	struct netwatch *watch = netwatch_new();
	int ret = watch ? 0 : -ENOMEM;

	if (!ret)
		ret = open_socket(watch);
	if (!ret)
		ret = poll_socket(watch, loop);
	if (ret) {
		netwatch_stop(watch);
		return err_system(err, ret, "cannot follow the network's changes (rtnetlink)");
	}
	watch->changed = changed;
	watch->arg = arg;
	lists_begin(watch);
	*out = watch;
	return 0;
}
