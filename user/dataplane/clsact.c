/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/clsact.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/link.h"

/* Ahead of nearly everybody's, so that others see the packets translated. */
#define FILTER_PRIORITY	    2
/* Of programs that are about to replace those; others' filters may share it. */
#define BEHIND_PRIORITY	    3
/* "sh": the qdisc was made by us, or was there before. */
#define HANDLE_QDISC_OURS   0x73680001u
#define HANDLE_QDISC_OTHERS 0x73680002u

#define DUMP_BUFFER_BYTES 32768

static const enum bpf_tc_attach_point points[] = { BPF_TC_INGRESS, BPF_TC_EGRESS };

/* ---- dumps ------------------------------------------------------------------ */

static int run_dump(struct mnl_socket *nl, char *buf, mnl_cb_t each, void *arg)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)buf;
	unsigned int seq = nlh->nlmsg_seq;
	ssize_t len;
	int ret;

	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		len = mnl_socket_recvfrom(nl, buf, DUMP_BUFFER_BYTES);
		if (len < 0)
			return -errno;
		ret = mnl_cb_run(buf, (size_t)len, seq, mnl_socket_get_portid(nl), each, arg);
	} while (ret > MNL_CB_STOP);
	return ret < 0 ? -errno : 0;
}

/* @each for every qdisc or filter that @request asks for. */
static int dump(uint16_t type, const struct tcmsg *request, mnl_cb_t each, void *arg)
{
	struct mnl_socket *nl = NULL;
	struct nlmsghdr *nlh;
	char *buf = malloc(DUMP_BUFFER_BYTES);
	int ret = -ENOMEM;

	if (!buf)
		goto out;
	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID)) {
		ret = -errno;
		goto out;
	}
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = type;
	memcpy(mnl_nlmsg_put_extra_header(nlh, sizeof(*request)), request, sizeof(*request));
	ret = run_dump(nl, buf, each, arg);
out:
	if (nl)
		(void)mnl_socket_close(nl);
	free(buf);
	return ret;
}

static bool is_kind(const struct nlattr *attr, const char *kind)
{
	return mnl_attr_get_type(attr) == TCA_KIND && !strcmp(mnl_attr_get_str(attr), kind);
}

/* ---- qdiscs ----------------------------------------------------------------- */

struct qdiscs {
	uint32_t *ifindexes;
	size_t n, cap;
};

static int qdiscs_add(struct qdiscs *qdiscs, uint32_t ifindex)
{
	if (qdiscs->n == qdiscs->cap) {
		size_t cap = qdiscs->cap ? qdiscs->cap * 2 : 64;
		uint32_t *bigger = reallocarray(qdiscs->ifindexes, cap, sizeof(*bigger));

		if (!bigger) {
			errno = ENOMEM;
			return MNL_CB_ERROR;
		}
		qdiscs->ifindexes = bigger;
		qdiscs->cap = cap;
	}
	qdiscs->ifindexes[qdiscs->n++] = ifindex;
	return MNL_CB_OK;
}

static int on_qdisc(const struct nlmsghdr *nlh, void *arg)
{
	const struct tcmsg *msg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(*msg)) {
		if (is_kind(attr, "clsact"))
			return qdiscs_add(arg, (uint32_t)msg->tcm_ifindex);
	}
	return MNL_CB_OK;
}

int clsact_list(uint32_t **ifindexes_out, size_t *n_out)
{
	const struct tcmsg request = { .tcm_family = AF_UNSPEC };
	struct qdiscs qdiscs = { 0 };
	int ret = dump(RTM_GETQDISC, &request, on_qdisc, &qdiscs);

	if (ret) {
		free(qdiscs.ifindexes);
		return ret;
	}
	*ifindexes_out = qdiscs.ifindexes;
	*n_out = qdiscs.n;
	return 0;
}

/* ---- filters ---------------------------------------------------------------- */

/* What stands on one side of a device's qdisc. */
struct filters {
	size_t n_others;
	uint32_t handle; /* of ours, 0: none */
	uint32_t prog_id;
	uint32_t behind; /* the same, of those behind ours */
	uint32_t behind_prog_id;
};

static uint32_t filter_prog(const struct nlattr *options)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, options) {
		if (mnl_attr_get_type(attr) == TCA_BPF_ID)
			return mnl_attr_get_u32(attr);
	}
	return 0;
}

/* A priority is told first by itself, with no filter. */
static bool is_filter(const struct nlmsghdr *nlh)
{
	return ((const struct tcmsg *)mnl_nlmsg_get_payload(nlh))->tcm_handle;
}

/* @prog_out: the program's id; 0: a classic one. @return false: it runs no program */
static bool filter_is_bpf(const struct nlmsghdr *nlh, uint32_t *prog_out)
{
	const struct nlattr *attr, *options = NULL;
	bool bpf = false;

	mnl_attr_for_each(attr, nlh, sizeof(struct tcmsg)) {
		bpf |= is_kind(attr, "bpf");
		if (mnl_attr_get_type(attr) == TCA_OPTIONS)
			options = attr;
	}
	*prog_out = bpf && options ? filter_prog(options) : 0;
	return bpf;
}

static int on_filter(const struct nlmsghdr *nlh, void *arg)
{
	const struct tcmsg *msg = mnl_nlmsg_get_payload(nlh);
	struct filters *filters = arg;
	uint32_t priority, prog;
	bool bpf;

	if (!is_filter(nlh))
		return MNL_CB_OK;
	bpf = filter_is_bpf(nlh, &prog);
	priority = TC_H_MAJ(msg->tcm_info) >> 16;
	if (msg->tcm_handle != HANDLE_QDISC_OURS && msg->tcm_handle != HANDLE_QDISC_OTHERS)
		bpf = false;
	if (bpf && priority == FILTER_PRIORITY) {
		filters->handle = msg->tcm_handle;
		filters->prog_id = prog;
	} else if (bpf && priority == BEHIND_PRIORITY) {
		filters->behind = msg->tcm_handle;
		filters->behind_prog_id = prog;
	} else {
		filters->n_others++;
	}
	return MNL_CB_OK;
}

struct programs {
	uint32_t *ids;
	size_t n, max;
};

static int on_program(const struct nlmsghdr *nlh, void *arg)
{
	struct programs *programs = arg;
	uint32_t prog;

	if (is_filter(nlh) && filter_is_bpf(nlh, &prog) && prog && programs->n < programs->max)
		programs->ids[programs->n++] = prog;
	return MNL_CB_OK;
}

static int dump_filters(uint32_t ifindex, bool egress, mnl_cb_t each, void *arg)
{
	const uint32_t side = egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS;
	const struct tcmsg request = { .tcm_ifindex = (int)ifindex,
				       .tcm_parent = TC_H_MAKE(TC_H_CLSACT, side) };

	return dump(RTM_GETTFILTER, &request, each, arg);
}

int clsact_programs(uint32_t ifindex, bool egress, uint32_t *ids, size_t max)
{
	struct programs programs = { .ids = ids, .max = max };
	int ret = dump_filters(ifindex, egress, on_program, &programs);

	return ret ? ret : (int)programs.n;
}

/* A device without the qdisc has no filters. */
static int read_filters(uint32_t ifindex, enum bpf_tc_attach_point point, struct filters *out)
{
	*out = (struct filters){ 0 };
	return dump_filters(ifindex, point == BPF_TC_EGRESS, on_filter, out);
}

bool clsact_attached(uint32_t ifindex)
{
	struct filters filters;

	for (size_t i = 0; i < 2; i++)
		if (read_filters(ifindex, points[i], &filters) || !filters.handle)
			return false;
	return true;
}

/* ---- attaching -------------------------------------------------------------- */

/* Have a qdisc. @return the handle for our filters on it, or a negative errno */
static int64_t have_qdisc(uint32_t ifindex, const struct filters both[2])
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	uint32_t *ifindexes = NULL;
	bool there = false;
	size_t n = 0;
	int ret;

	for (size_t i = 0; i < 2; i++) {
		if (both[i].handle || both[i].behind)
			return both[i].handle ? both[i].handle : both[i].behind;
	}
	ret = clsact_list(&ifindexes, &n);
	if (ret)
		return ret;
	for (size_t i = 0; i < n && !there; i++)
		there = ifindexes[i] == ifindex;
	free(ifindexes);
	if (there)
		return HANDLE_QDISC_OTHERS;
	ret = bpf_tc_hook_create(&hook);
	return ret ? (int64_t)ret : HANDLE_QDISC_OURS;
}

static int attach(uint32_t ifindex, const int fds[2], bool behind)
{
	struct filters both[2];
	int64_t handle;
	int ret = 0;

	for (size_t i = 0; i < 2 && !ret; i++)
		ret = read_filters(ifindex, points[i], &both[i]);
	if (ret)
		return ret;
	handle = have_qdisc(ifindex, both);
	if (handle < 0)
		return (int)handle;
	for (size_t i = 0; i < 2 && !ret; i++) {
		LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = points[i]);
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = (__u32)handle,
			    .priority = behind ? BEHIND_PRIORITY : FILTER_PRIORITY,
			    .prog_fd = fds[i], .flags = BPF_TC_F_REPLACE);
		uint32_t there = behind ? both[i].behind : both[i].handle;
		uint32_t prog_id = behind ? both[i].behind_prog_id : both[i].prog_id;

		if (there != handle || prog_id != link_prog_id(fds[i]))
			ret = bpf_tc_attach(&hook, &opts);
	}
	return ret;
}

int clsact_attach(uint32_t ifindex, int ingress_fd, int egress_fd)
{
	return attach(ifindex, (const int[]){ ingress_fd, egress_fd }, false);
}

int clsact_attach_behind(uint32_t ifindex, int ingress_fd, int egress_fd)
{
	return attach(ifindex, (const int[]){ ingress_fd, egress_fd }, true);
}

static int remove_filter(const struct bpf_tc_hook *hook, uint32_t priority, uint32_t handle)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .priority = priority, .handle = handle);

	return handle ? bpf_tc_detach(hook, &opts) : 0;
}

int clsact_detach_behind(uint32_t ifindex)
{
	struct filters filters;
	int ret = 0;

	for (size_t i = 0; i < 2 && !ret; i++) {
		LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = points[i]);

		ret = read_filters(ifindex, points[i], &filters);
		if (!ret)
			ret = remove_filter(&hook, BEHIND_PRIORITY, filters.behind);
	}
	return ret;
}

/* @return the number of others' filters on @point, or a negative errno */
static int detach_point(uint32_t ifindex, enum bpf_tc_attach_point point, uint32_t *handle)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = point);
	struct filters filters;
	int ret;

	ret = read_filters(ifindex, point, &filters);
	if (ret)
		return ret;
	if (filters.handle || filters.behind)
		*handle = filters.handle ? filters.handle : filters.behind;
	ret = remove_filter(&hook, FILTER_PRIORITY, filters.handle);
	if (!ret)
		ret = remove_filter(&hook, BEHIND_PRIORITY, filters.behind);
	return ret ? ret : (int)filters.n_others;
}

int clsact_detach(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, both, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int others = 0, ret;
	uint32_t handle = 0;

	for (size_t i = 0; i < 2; i++) {
		ret = detach_point(ifindex, points[i], &handle);
		if (ret < 0)
			return ret;
		others += ret;
	}
	return handle == HANDLE_QDISC_OURS && !others ? bpf_tc_hook_destroy(&both) : 0;
}
