/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Shared by the files that read configuration; not for others. */
#ifndef SHUNT_USER_CONFIG_DRAFT_H
#define SHUNT_USER_CONFIG_DRAFT_H

#include "cmd/config_file.h"
#include "source/diag.h"
#include "source/tree.h"

/* A file being taken over: nothing of it holds before all of it is right. */
struct config_draft {
	const char *file;
	struct option_input *input; /* to be set; a copy of the caller's */
	const char *const *above;   /* given before the file */
	struct diags *diags;
	struct config_warnings *warnings;
	bool no_memory;
};

/* What is wrong with the value that stands at @node. */
__attribute__((format(printf, 4, 5))) void config_fault(struct config_draft *draft,
							const struct tree_node *node,
							const char *path, const char *fmt, ...);
/*
 * Set option @name to the scalar @node, or to the items of a list of such, unless it was given
 * before the file. @path is what messages call it.
 */
void config_set_node(struct config_draft *draft, const char *name, const struct tree_node *node,
		     const char *path);
/* The same for one @value that stands for the one at @node. */
void config_set_text(struct config_draft *draft, const char *name, const char *value,
		     const struct tree_node *node, const char *path);
/* @return 0, or -ENOMEM */
__attribute__((format(printf, 3, 4))) int config_warn(struct config_warnings *warnings,
						      struct arena *arena, const char *fmt, ...);
/* Is @option, unlike its rival, not meant where @above was given? */
bool config_outranked(const struct option *option, const char *const *above);

/* config_proxy.c: take over a KubeProxyConfiguration. What is wrong goes to draft->diags. */
void config_proxy_apply(struct config_draft *draft, const struct tree_node *root);

#endif
