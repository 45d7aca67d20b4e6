// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/config_draft.h"
#include "shunt/limits.h"
#include "source/path.h"
#include "source/scalar.h"

#define OWN_VERSION   "shunt.io/v1alpha1"
#define OWN_KIND      "AgentConfiguration"
#define PROXY_VERSION "kubeproxy.config.k8s.io/v1alpha1"
#define PROXY_KIND    "KubeProxyConfiguration"

/* ---- telling --------------------------------------------------------------- */

void config_fault(struct config_draft *draft, const struct tree_node *node, const char *path,
		  const char *fmt, ...)
{
	const struct origin at = { draft->file, node->line, node->column };
	char *text = NULL;
	va_list args;
	int ret;

	va_start(args, fmt);
	ret = vasprintf(&text, fmt, args);
	va_end(args);
	if (ret < 0) {
		draft->no_memory = true;
		return;
	}
	diag_error(draft->diags, &at, path, "%s", text);
	free(text);
}

int config_warn(struct config_warnings *warnings, struct arena *arena, const char *fmt, ...)
{
	char *text = NULL, *kept;
	va_list args;
	int ret;

	if (warnings->n == CONFIG_WARNINGS_MAX)
		return 0;
	va_start(args, fmt);
	ret = vasprintf(&text, fmt, args);
	va_end(args);
	if (ret < 0)
		return -ENOMEM;
	kept = arena_strdup(arena, text);
	free(text);
	if (!kept)
		return -ENOMEM;
	warnings->text[warnings->n++] = kept;
	return 0;
}

/* ---- setting --------------------------------------------------------------- */

static bool is_given(const char *const *given, const char *name)
{
	return given[options_find(name) - options];
}

/*
 * There is one source. Where the command line names a folder, the kubeconfig
 * of a file that was written for kube-proxy is not meant, and the other way round.
 */
bool config_outranked(const struct option *option, const char *const *above)
{
	if (!strcmp(option->name, "manifests"))
		return is_given(above, "kubeconfig");
	if (!strcmp(option->name, "kubeconfig") || !strcmp(option->name, "kube-context"))
		return is_given(above, "manifests");
	return false;
}

/* @message without the option's name before it, where the place says that already. */
static const char *without_name(const char *name, const char *message)
{
	const size_t len = strlen(name);

	if (!strncmp(message, "--", 2) && !strncmp(message + 2, name, len) &&
	    !strncmp(message + 2 + len, ": ", 2))
		return message + 2 + len + 2;
	return message;
}

void config_set_text(struct config_draft *draft, const char *name, const char *value,
		     const struct tree_node *node, const char *path)
{
	const struct option *option = options_find(name);
	struct err err = { 0 };
	int ret;

	if (draft->above[option - options] || config_outranked(option, draft->above))
		return;
	ret = settings_set(draft->input, name, value, &err);
	if (ret == -ENOMEM)
		draft->no_memory = true;
	else if (ret)
		config_fault(draft, node, path, "%s", without_name(name, err.msg));
}

/* `yes` and `0x10` are what YAML takes them for; `on` and `off` are words of options. */
static void set_scalar(struct config_draft *draft, const char *name, const struct tree_node *node,
		       const char *path)
{
	const enum scalar type = scalar_type(node);
	char number[24], found[FOUND_LEN];

	if (node->type != TREE_SCALAR || type == SCALAR_NULL) {
		config_fault(draft, node, path, "expected a value or a list of values, found %s",
			     scalar_found(node, found));
	} else if (type == SCALAR_BOOL && strcmp(node->text, "on") != 0 &&
		   strcmp(node->text, "off") != 0) {
		config_set_text(draft, name, scalar_bool(node) ? "true" : "false", node, path);
	} else if (type == SCALAR_INT) {
		(void)snprintf(number, sizeof(number), "%" PRId64, scalar_int(node));
		config_set_text(draft, name, number, node, path);
	} else {
		config_set_text(draft, name, node->text, node, path);
	}
}

void config_set_node(struct config_draft *draft, const char *name, const struct tree_node *node,
		     const char *path)
{
	char item[PATH_LEN];
	size_t i;

	if (node->type != TREE_LIST) {
		set_scalar(draft, name, node, path);
		return;
	}
	for (i = 0; i < node->n; i++) {
		(void)snprintf(item, sizeof(item), "%s[%zu]", path, i);
		set_scalar(draft, name, node->items[i], item);
	}
}

/* ---- AgentConfiguration ------------------------------------------------------- */

static void own_unknown(struct config_draft *draft, const struct tree_node *key)
{
	char name[PATH_LEN], hint[96];
	struct nearest nearest;
	const struct path_step step = { .key = key->text };

	nearest_init(&nearest, key->text);
	options_offer(&nearest, OPTIONS_OF_AGENT);
	config_fault(draft, key, path_format(&step, 1, name), "unknown option%s",
		     nearest_hint(&nearest, hint, sizeof(hint)));
}

static void own_apply(struct config_draft *draft, const struct tree_node *root)
{
	const struct tree_node *key;
	const struct option *option;
	size_t i;

	for (i = 0; i < root->n; i++) {
		key = root->items[2 * i];
		if (!strcmp(key->text, "apiVersion") || !strcmp(key->text, "kind"))
			continue;
		option = options_find(key->text);
		if (!option || option->in_request || !(option->group & OPTIONS_OF_AGENT))
			own_unknown(draft, key);
		else if (!strcmp(option->name, "config"))
			config_fault(draft, key, "config",
				     "one configuration file can't name another");
		else
			config_set_node(draft, option->name, root->items[2 * i + 1], option->name);
	}
}

/* ---- the file -------------------------------------------------------------------- */

static bool says(const struct tree_node *root, const char *key, const char *text)
{
	const struct tree_node *node = tree_get(root, key);

	return node && node->type == TREE_SCALAR && !strcmp(node->text, text);
}

static void document_apply(struct config_draft *draft, const struct tree_node *root)
{
	const struct tree_node *kind;
	char found[FOUND_LEN];

	if (root->type != TREE_MAP) {
		config_fault(draft, root, "", "expected a map of options, found %s",
			     scalar_found(root, found));
		return;
	}
	if (says(root, "apiVersion", OWN_VERSION) && says(root, "kind", OWN_KIND)) {
		own_apply(draft, root);
		return;
	}
	if (says(root, "apiVersion", PROXY_VERSION) && says(root, "kind", PROXY_KIND)) {
		config_proxy_apply(draft, root);
		return;
	}
	kind = tree_get(root, "kind");
	config_fault(draft, kind ? kind : root, kind ? "kind" : "",
		     "expected apiVersion " OWN_VERSION " and kind " OWN_KIND ", or " PROXY_VERSION
		     " and " PROXY_KIND);
}

/* One document, neither more nor less. What is wrong goes to draft->diags. */
static void stream_apply(struct config_draft *draft, struct tree_reader *reader)
{
	const struct tree_node *root;
	int ret = tree_next(reader, &root);

	if (!ret || (ret > 0 && scalar_is_null(root)))
		diag_error(draft->diags, &(struct origin){ .file = draft->file }, "",
			   "is empty: a configuration file has apiVersion and kind");
	else if (ret > 0)
		document_apply(draft, root);
	if (ret > 0)
		ret = tree_next(reader, &root);
	if (ret > 0)
		config_fault(draft, root, "", "a second document: a configuration file is one");
	draft->no_memory |= ret == -ENOMEM;
}

/* The first error is told, the others are counted: err is one line. */
static int tell(const struct config_draft *draft, struct err *err)
{
	const struct diags *diags = draft->diags;
	const size_t n = diags_count(diags);

	if (draft->no_memory || (n && !diags->n_errors))
		return err_system(err, -ENOMEM, "read %s", draft->file);
	if (!n)
		return 0;
	if (n == 1)
		return err_input(err, -EINVAL, "%s", diags->errors[0].text);
	return err_input(err, -EINVAL, "%s (and %zu more errors)", diags->errors[0].text, n - 1);
}

/* @return the bytes read up to the end, -EFBIG where there are @size, or a negative errno */
static ssize_t read_whole(const char *path, char *buf, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 1;
	size_t len = 0;

	if (fd < 0)
		return -errno;
	while (got && len < size) {
		got = read(fd, buf + len, size - len);
		if (got < 0 && errno != EINTR) {
			got = -errno;
			break;
		}
		len += got > 0 ? (size_t)got : 0;
	}
	(void)close(fd);
	if (got < 0)
		return got;
	return len == size ? -EFBIG : (ssize_t)len;
}

/* @return 0, malloc()ed *text_out and its length, or a negative errno */
static int load(const char *path, char **text_out, size_t *len_out, struct err *err)
{
	const size_t size = SH_CONFIG_BYTES_MAX + 1;
	char *text = malloc(size);
	ssize_t len;

	if (!text)
		return err_system(err, -ENOMEM, "read %s", path);
	len = read_whole(path, text, size);
	if (len >= 0) {
		*text_out = text;
		*len_out = (size_t)len;
		return 0;
	}
	free(text);
	if (len == -EFBIG)
		return err_input(err, -EFBIG,
				 "--config %s: has more than %u bytes (limit SH_CONFIG_BYTES_MAX)",
				 path, SH_CONFIG_BYTES_MAX);
	return err_system(err, (int)len, "--config: read %s", path);
}

int config_file_apply(struct option_input *input, const char *path,
		      struct config_warnings *warnings, struct err *err)
{
	struct settings settings = *input->settings;
	struct option_input copy = *input;
	struct config_warnings warned = *warnings;
	struct diags diags = { 0 };
	struct config_draft draft = { .file = path,
				      .input = &copy,
				      .above = input->given,
				      .diags = &diags,
				      .warnings = &warned };
	struct tree_reader *reader = NULL;
	char *text = NULL;
	size_t len = 0;
	int ret;

	copy.settings = &settings;
	ret = load(path, &text, &len, err);
	if (ret)
		return ret;
	reader = tree_reader_new(path, text, len, &diags);
	if (reader)
		stream_apply(&draft, reader);
	else
		draft.no_memory = true;
	ret = tell(&draft, err);
	if (!ret) {
		*input->settings = settings;
		memcpy(input->given, copy.given, sizeof(copy.given));
		*warnings = warned;
	}
	tree_reader_free(reader);
	diags_done(&diags);
	free(text);
	return ret;
}
