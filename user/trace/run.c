/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "trace/trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where --src names no port. */
#define SPORT_ANY 40000

void trace_answer_done(struct trace_answer *answer)
{
	while (answer->n)
		json_decref(answer->steps[--answer->n].fields);
}

static void forget(struct rig *rig)
{
	memset(dataplane_trace(rig_dataplane(rig)), 0, sizeof(struct sh_trace));
}

/* What the program that has just run wrote. */
static int collect(struct rig *rig, struct trace_answer *answer, struct err *err)
{
	struct dataplane *dp = rig_dataplane(rig);

	if (trace_explain(answer, dp, dataplane_trace(dp)))
		return err_system(err, -ENOMEM, "explain the trace");
	return 0;
}

/* ---- the end ------------------------------------------------------------------- */

static int end_add(struct trace_answer *answer, struct err *err)
{
	const char *name = ptest_verdict_name(answer->verdict);
	char backend[ADDR_PORT_STRLEN] = "";
	int ret;

	if (answer->has_backend)
		addr_port_format(&answer->backend.addr, answer->backend.port, backend);
	if (answer->verdict == PTEST_FORWARD)
		ret = trace_add(answer, "verdict", json_object(), "%s to %s", name, backend);
	else if (answer->verdict == PTEST_PASS)
		ret = trace_add(answer, "verdict", json_object(), "%s: left as it is", name);
	else
		ret = trace_add(answer, "verdict", json_object(), "%s: %s", name,
				reason_text(answer->reason));
	return ret ? err_system(err, ret, "explain the trace") : 0;
}

/* ---- packets ------------------------------------------------------------------- */

static void question_packet(const struct trace_question *question, const struct trace_place *place,
			    struct packet *out)
{
	static const uint8_t neighbour[6] = { 0x02, 's', 'h', 'u', 0xff, 1 };
	struct packet_spec spec = {
		.tuple = { .src = question->src,
			   .dst = question->dst.addr,
			   .sport = question->sport ? question->sport : htons(SPORT_ANY),
			   .dport = question->dst.port,
			   .proto = question->proto },
		.kind = PACKET_OPEN,
		.ttl = PACKET_TTL,
	};

	memcpy(spec.dmac, place->mac, sizeof(spec.dmac));
	memcpy(spec.smac, neighbour, sizeof(spec.smac));
	packet_make(&spec, out);
}

/* The packet as it has come out; @dropped is all that can't be seen on it. */
static void packet_end(struct trace_answer *answer, const struct packet *question,
		       const struct packet *packet, bool dropped)
{
	char why[PACKET_WHY_LEN];
	struct packet_tuple now;

	if (dropped) {
		answer->verdict = PTEST_DROP;
	} else if (packet_eq(packet, question)) {
		answer->verdict = PTEST_PASS;
	} else if (packet_refuses(packet, question, why)) {
		answer->verdict = PTEST_REJECT;
	} else {
		answer->verdict = PTEST_FORWARD;
		answer->has_backend = packet_tuple(packet, &now);
		if (answer->has_backend)
			answer->backend = (struct ptest_target){ now.dst, now.dport };
	}
}

static int hook_add(struct trace_answer *answer, const char *program,
		    const struct trace_place *place, struct err *err)
{
	json_t *fields = json_pack("{s:s, s:s}", "program", program, "device", place->device);

	if (trace_add(answer, "hook", fields, "%s on %s", program, place->device))
		return err_system(err, -ENOMEM, "explain the trace");
	return 0;
}

/* @return 1: XDP was the end of it; 0: TC has its turn; or a negative errno */
static int ask_xdp(struct rig *rig, const struct trace_place *place, struct trace_answer *answer,
		   struct packet *packet, struct err *err)
{
	struct rig_run run = { .ifindex = place->ifindex, .packet = packet };
	const struct packet question = *packet;
	int ret;

	forget(rig);
	ret = hook_add(answer, "shunt_xdp", place, err);
	if (!ret)
		ret = rig_xdp(rig, &run, err);
	if (!ret)
		ret = collect(rig, answer, err);
	if (ret)
		return ret;
	if (run.action == XDP_PASS && packet_eq(packet, &question))
		return 0;
	packet_end(answer, &question, packet, run.action == XDP_DROP);
	return 1;
}

static int ask_tc(struct rig *rig, const struct trace_place *place, struct trace_answer *answer,
		  struct packet *packet, struct err *err)
{
	struct rig_run run = { .ifindex = place->ifindex, .packet = packet };
	const struct packet question = *packet;
	int ret;

	forget(rig);
	ret = hook_add(answer, "shunt_ingress", place, err);
	if (!ret)
		ret = rig_tc(rig, &run, err);
	if (!ret)
		ret = collect(rig, answer, err);
	if (!ret)
		packet_end(answer, &question, packet, run.action == TC_ACT_SHOT);
	return ret;
}

/* ---- sockets ------------------------------------------------------------------- */

/*
 * The traced programs let no socket connect, so that nothing is sent: whatever
 * connect() returns is of no matter.
 */
static int connect_once(const struct trace_question *question, struct err *err)
{
	const struct sh_addr *dst = &question->dst.addr;
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = question->dst.port };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = question->dst.port };
	bool is_v4 = sh_addr_is_v4(dst);
	int fd, ret = 0;

	fd = socket(is_v4 ? AF_INET : AF_INET6,
		    (question->proto == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK |
			    SOCK_CLOEXEC,
		    question->proto);
	if (fd < 0)
		return err_system(err, -errno, "open a socket of %s", proto_name(question->proto));
	v4.sin_addr.s_addr = dst->w[3];
	memcpy(&v6.sin6_addr, dst, sizeof(*dst));
	/* Whether it is refused or under way, the programs have written down why. */
	if (connect(fd, is_v4 ? (void *)&v4 : (void *)&v6, is_v4 ? sizeof(v4) : sizeof(v6)) &&
	    errno == EFAULT)
		ret = err_system(err, -EFAULT, "connect a socket");
	(void)close(fd);
	return ret;
}

static int ask_socket(struct rig *rig, const struct trace_question *question,
		      struct trace_answer *answer, struct err *err)
{
	const char *program =
		sh_addr_is_v4(&question->dst.addr) ? "shunt_connect4" : "shunt_connect6";
	json_t *fields = json_pack("{s:s}", "program", program);
	int ret;

	forget(rig);
	if (trace_add(answer, "hook", fields, "%s, a socket of this node", program))
		return err_system(err, -ENOMEM, "explain the trace");
	answer->verdict = PTEST_PASS;
	ret = connect_once(question, err);
	return ret ? ret : collect(rig, answer, err);
}

int trace_ask(struct rig *rig, const struct trace_question *question,
	      const struct trace_place *place, struct trace_answer *answer, struct err *err)
{
	struct packet packet;
	int ret = 0;

	if (!place) {
		ret = ask_socket(rig, question, answer, err);
	} else {
		question_packet(question, place, &packet);
		if (place->xdp)
			ret = ask_xdp(rig, place, answer, &packet, err);
		if (!ret)
			ret = ask_tc(rig, place, answer, &packet, err);
	}
	return ret < 0 ? ret : end_add(answer, err);
}
