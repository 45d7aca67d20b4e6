// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * xdp_pass DEVICE...: lets everything pass by XDP, in driver mode, until it is
 * ended. A veth hands on what the XDP program of its other end sends back
 * (XDP_TX) only while it has a program itself: without one, veth_xdp_flush()
 * never wakes the receiver. Network cards want nothing of the kind.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int load_pass(void)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)insns,
		.insn_cnt = sizeof(insns) / sizeof(insns[0]),
		.license = (uintptr_t)"GPL",
		.prog_name = "xdp_pass",
	};

	return sys_bpf(BPF_PROG_LOAD, &attr);
}

/* The link lives as long as its file descriptor: until this process ends. */
static int attach(int prog, const char *device)
{
	union bpf_attr attr = { 0 };

	attr.link_create.prog_fd = (uint32_t)prog;
	attr.link_create.target_ifindex = if_nametoindex(device);
	attr.link_create.attach_type = BPF_XDP;
	attr.link_create.flags = XDP_FLAGS_DRV_MODE;
	return attr.link_create.target_ifindex ? sys_bpf(BPF_LINK_CREATE, &attr) : -1;
}

int main(int argc, char **argv)
{
	int prog = load_pass();

	if (prog < 0) {
		fprintf(stderr, "xdp_pass: load: %s\n", strerror(errno));
		return 1;
	}
	for (int i = 1; i < argc; i++) {
		if (attach(prog, argv[i]) < 0) {
			fprintf(stderr, "xdp_pass: attach to %s: %s\n", argv[i], strerror(errno));
			return 1;
		}
	}
	pause();
	return 0;
}
