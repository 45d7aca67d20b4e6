/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet test, NAME.test.yaml: which manifests, as which node, and what is
 * to become of which new connections. Decoding is as strict as that of
 * manifests and tells as exactly what is wrong where.
 */
#ifndef SHUNT_USER_PTEST_FILE_H
#define SHUNT_USER_PTEST_FILE_H

#include "model/objects.h"
#include "source/diag.h"

enum ptest_from { PTEST_POD = 0, PTEST_NODE, PTEST_EXTERNAL };

enum ptest_verdict { PTEST_FORWARD = 0, PTEST_REJECT, PTEST_DROP, PTEST_PASS, PTEST_VERDICTS };
const char *ptest_from_name(enum ptest_from from);
const char *ptest_verdict_name(enum ptest_verdict verdict);

struct ptest_target {
	struct sh_addr addr;
	__be16 port;
};
bool ptest_target_eq(const struct ptest_target *a, const struct ptest_target *b);
/* "10.0.0.1:80", "[fd00::1]:80". @return 0 or -EINVAL */
int ptest_target_parse(const char *text, struct ptest_target *out);

struct ptest_flow {
	const char *name;
	struct origin at;
	enum ptest_from from;
	bool has_src; /* may be missing for a node's own sockets */
	struct sh_addr src;
	struct ptest_target dst;
	proto_t proto;
	enum ptest_verdict expect;
	bool any_backend; /* no `backends:` */
	struct ptest_target *backends;
	size_t n_backends;
	enum maybe snat;
};

/* One value of `options:`; a list has as many of them. */
struct ptest_option {
	const char *name, *value;
	const char *path; /* options.cluster-cidr[1] */
	struct origin at;
};

struct ptest_file {
	struct arena *arena; /* holds all of this */
	const char *path;
	const char *node;
	struct origin node_at;
	struct strings manifests; /* paths as they are to be opened from here */
	struct origin *manifests_at;
	struct ptest_flow *flows;
	size_t n_flows;
	struct ptest_option *options;
	size_t n_options;
};

/*
 * What is wrong goes to @diags. @return 0 and *@out (ptest_file_free() it),
 * -EINVAL where @diags tells why, or -ENOMEM.
 */
int ptest_file_load(const char *path, struct diags *diags, struct ptest_file **out);
/* The same of a text; @path names it, and its folder is where manifests are looked for. */
int ptest_file_parse(const char *path, const char *text, size_t len, struct diags *diags,
		     struct ptest_file **out);
void ptest_file_free(struct ptest_file *file); /* NULL is fine */

#endif
