// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/command.h"

#include <errno.h>
#include <sys/utsname.h>

#include <bpf/libbpf.h>
#include <jansson.h>

#include "shunt/maps.h"

static const char *compiler(void)
{
#ifdef __clang__
	return "clang " __clang_version__;
#else
	return "gcc " __VERSION__;
#endif
}

static int print_document(const struct invocation *inv, const struct utsname *host, struct err *err)
{
	json_t *tree;
	int ret;

	tree = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "kind", "Version", "version",
			 SHUNT_VERSION, "kernel", host->release, "machine", host->machine, "libbpf",
			 libbpf_version_string(), "compiler", compiler(), "mapLayout", (int)SH_ABI);
	if (!tree)
		return err_system(err, -ENOMEM, "print the version");
	ret = output_document(stdout, inv->request.output, tree);
	json_decref(tree);
	return ret ? err_output(err, ret) : 0;
}

int version_run(struct invocation *inv, struct err *err)
{
	struct utsname host;

	if (uname(&host))
		return err_system(err, -errno, "ask for the kernel's release");
	if (inv->request.output != OUTPUT_TABLE)
		return print_document(inv, &host, err);
	say(inv, "shunt   %s (map layout %u)\n", SHUNT_VERSION, SH_ABI);
	say(inv, "kernel  %s %s\n", host.release, host.machine);
	say(inv, "libbpf  %s\n", libbpf_version_string());
	say(inv, "build   %s\n", compiler());
	return 0;
}
