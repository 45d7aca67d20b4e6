/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Room for what the slow paths pass to each other: too much for the 512 bytes
 * of stack that a chain of calls has. Programs of these hooks don't interrupt
 * each other on a CPU.
 */
#ifndef SHUNT_BPF_SCRATCH_H
#define SHUNT_BPF_SCRATCH_H

#include "key.h"

/* A packet's part in the life of its flow. */
struct sh_touch {
	struct sh_key key;
	__u8 tcp_flags;
	__u8 rebuilt; /* the reverse entry was made again, if that could be done */
	__u8 pad[6];
};

/* One entry to be made: what the packet carries at its hook, and afterwards. */
struct sh_entry {
	struct sh_key from, to; /* to.direction: of the reverse entry */
	__u32 backend;
	__u32 keep; /* an index of the flow table that must not give way: its other direction */
	__u8 flags; /* enum sh_flow_flags */
	__u8 pad[7];
};

/* Which backend? A question, and its answer. */
struct sh_choice {
	/* in */
	struct sh_addr client; /* its address; of a socket: its network namespace's cookie */
	struct sh_addr
		source; /* what source ranges see: its address; of a host's socket: the node's */
	struct sh_addr virt;
	__u64 cookie; /* of a socket; 0: a packet */
	__be16 client_port, port;
	__u8 proto;
	__u8 loopback;	   /* a socket of the host means the node by @virt */
	__u8 local_client; /* a pod of this node, or the node itself */
	__u8 sourceless;   /* a pod's socket: its address is not known yet */
	/* out */
	struct sh_addr backend_addr;
	__be16 backend_port;
	__u16 backend_flags; /* enum sh_backend_flags */
	__u32 backend;	     /* id */
	__u32 service;
	__u16 flags;	/* enum sh_frontend_flags */
	__u8 algorithm; /* enum sh_algorithm */
	__u8 pad;
};

/* Which way? A question to the kernel's routing, and its answer. */
struct sh_route {
	struct sh_key key; /* the packet as it will leave */
	__u32 ifindex;	   /* in: of ingress; out: of egress */
	__u8 dmac[6], smac[6];
	__u16 bytes; /* of the packet from its IP header on, 0: of no interest */
	__u16 mtu;   /* of the route; where the neighbour is unknown, only if @bytes are more */
};

/* What to write: copied out of the flow before it is known to still be that flow. */
struct sh_rewrite {
	__u64 src[2], dst[2]; /* as in struct sh_key */
	__u32 ports;	      /* source, destination, as they stand in the packet */
	struct sh_l4_delta delta;
	__u8 proto;
	__u8 pad[7];
};

/* IPv6 extension headers: where they begin and what was found there. */
struct sh_headers {
	__u32 offset; /* from the Ethernet header */
	__u32 next;   /* IPPROTO_* of what stands there */
	__be32 fragment_id;
	__be16 fragment, later_fragment; /* not 0: is one; is not the first one */
};

/* Of the packet that an ICMP error is about: less than 576 bytes in all (RFC 1812 4.3.2.3). */
#define SH_QUOTE_MAX 512

/* What an answer of our own has to know of the packet. */
struct sh_question {
	struct sh_key key;
	__u64 from[2];	 /* of an ICMP error: who the quoted packet was for, as a key's words */
	__u32 l3, l4;	 /* offsets from the Ethernet header */
	__u32 l3_bytes;	 /* of the packet from its IP header on, as that says */
	__u32 mtu;	 /* that a packet was too big for */
	__u8 type, code; /* of the ICMP error to send; type 0: a RST */
	__u8 masquerade;
	__u8 pad[5];
};

struct sh_scratch {
	struct sh_question question;
	__u32 quote[SH_QUOTE_MAX / 4 + 1]; /* what an ICMP error quotes, zeros behind it */
	struct sh_headers headers;
	struct sh_fragment_key fragment;
	struct sh_rewrite rewrite;
	struct sh_key key;
	struct sh_touch touch;
	struct sh_choice choice;
	struct sh_entry entry, reply, peer;
	struct sh_route route;
	__u32 ifindex; /* of the device that the packet is met at, once the hot path is left */
	__u32 telling; /* the event is being written */
	struct sh_event event;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sh_scratch);
} shunt_scratch SEC(".maps");

/* What a packet asks. */
static __always_inline void sh_ask(struct sh_choice *c, const struct sh_key *key, const bool v6)
{
	sh_addr_from_word(&c->client, key->src, v6);
	sh_addr_from_word(&c->virt, key->dst, v6);
	c->client_port = key->sport;
	c->port = key->dport;
	c->proto = key->proto;
}

static __always_inline struct sh_scratch *sh_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&shunt_scratch, &zero);
}

#endif
