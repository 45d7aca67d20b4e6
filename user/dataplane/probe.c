/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/probe.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

int probe_run(const struct bpf_insn *insns, size_t n, uint32_t *result_out)
{
	char packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = 1);
	int fd, ret;

	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, NULL, "GPL", insns, n, NULL);
	if (fd < 0)
		return -errno;
	ret = bpf_prog_test_run_opts(fd, &run) ? -errno : 0;
	close(fd);
	if (!ret)
		*result_out = run.retval;
	return ret;
}

uint32_t probe_jiffies(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	uint32_t jiffies = 0;

	(void)probe_run(insns, sizeof(insns) / sizeof(insns[0]), &jiffies);
	return jiffies;
}
