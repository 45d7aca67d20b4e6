/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kubeconfig files, by the same tables as manifests: what kubectl knows and
 * shunt doesn't need is passed over, what would have to be obeyed and can't be
 * (plugins, passwords, unverified TLS) is refused. No message shows a secret.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "kube/kube.h"
#include "shunt/limits.h"
#include "source/schema.h"
#include "util/base64.h"

#define IN_CLUSTER_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

struct wire_cluster {
	const char *server, *ca_file, *ca_data, *tls_server_name, *proxy;
	enum maybe insecure;
};
struct wire_user {
	const char *cert_file, *cert_data, *key_file, *key_data, *token, *token_file;
	const char *username, *password, *as;
};
struct wire_context {
	const char *cluster, *user;
};

/* Entries of the three lists; each begins with its name. */
struct wire_named_cluster {
	const char *name;
	struct wire_cluster cluster;
};
struct wire_named_user {
	const char *name;
	struct wire_user user;
};
struct wire_named_context {
	const char *name;
	struct wire_context context;
};

struct wire_config {
	const char *api_version, *kind, *current_context;
	struct wire_list clusters, users, contexts;
};

/* ---- tables -------------------------------------------------------------- */

#define STRING(field_name, wire, member)  \
	{ .name = (field_name),           \
	  .type = FIELD_STRING,           \
	  .flags = FIELD_EMPTY_IS_ABSENT, \
	  .offset = offsetof(struct wire, member) }
#define SECRET(field_name, member)                       \
	{ .name = (field_name),                          \
	  .type = FIELD_STRING,                          \
	  .flags = FIELD_EMPTY_IS_ABSENT | FIELD_SECRET, \
	  .offset = offsetof(struct wire_user, member) }
#define NAME(wire)                 \
	{ .name = "name",          \
	  .type = FIELD_STRING,    \
	  .flags = FIELD_REQUIRED, \
	  .offset = offsetof(struct wire, name) }
#define SCHEMA(what, fields, wire) { what, fields, FIELD_COUNT(fields), sizeof(struct wire) }

static const struct field cluster_fields[] = {
	STRING("server", wire_cluster, server),
	STRING("certificate-authority", wire_cluster, ca_file),
	STRING("certificate-authority-data", wire_cluster, ca_data),
	STRING("tls-server-name", wire_cluster, tls_server_name),
	{ .name = "proxy-url",
	  .type = FIELD_STRING,
	  .flags = FIELD_EMPTY_IS_ABSENT | FIELD_SECRET, /* it may hold a password */
	  .offset = offsetof(struct wire_cluster, proxy) },
	{ .name = "insecure-skip-tls-verify",
	  .type = FIELD_BOOL,
	  .offset = offsetof(struct wire_cluster, insecure) },
};
static const struct schema schema_cluster = SCHEMA("a cluster", cluster_fields, wire_cluster);

static const struct field user_fields[] = {
	STRING("client-certificate", wire_user, cert_file),
	SECRET("client-certificate-data", cert_data),
	STRING("client-key", wire_user, key_file),
	SECRET("client-key-data", key_data),
	SECRET("token", token),
	STRING("tokenFile", wire_user, token_file),
	STRING("username", wire_user, username),
	SECRET("password", password),
	STRING("as", wire_user, as),
};
static const struct schema schema_user = SCHEMA("a user", user_fields, wire_user);

static const struct field context_fields[] = {
	STRING("cluster", wire_context, cluster),
	STRING("user", wire_context, user),
};
static const struct schema schema_context = SCHEMA("a context", context_fields, wire_context);

#define NESTED(field_name, wire, member)           \
	{ .name = (field_name),                    \
	  .type = FIELD_MAP,                       \
	  .offset = offsetof(struct wire, member), \
	  .schema = &schema_##member }

static const struct field named_cluster_fields[] = {
	NAME(wire_named_cluster),
	NESTED("cluster", wire_named_cluster, cluster),
};
static const struct field named_user_fields[] = {
	NAME(wire_named_user),
	NESTED("user", wire_named_user, user),
};
static const struct field named_context_fields[] = {
	NAME(wire_named_context),
	NESTED("context", wire_named_context, context),
};
static const struct schema schema_named_cluster =
	SCHEMA("a cluster", named_cluster_fields, wire_named_cluster);
static const struct schema schema_named_user = SCHEMA("a user", named_user_fields, wire_named_user);
static const struct schema schema_named_context =
	SCHEMA("a context", named_context_fields, wire_named_context);
static const struct field cluster_item = { .type = FIELD_MAP, .schema = &schema_named_cluster };
static const struct field user_item = { .type = FIELD_MAP, .schema = &schema_named_user };
static const struct field context_item = { .type = FIELD_MAP, .schema = &schema_named_context };

#define LIST(field_name, member, of)                      \
	{ .name = (field_name),                           \
	  .type = FIELD_LIST,                             \
	  .offset = offsetof(struct wire_config, member), \
	  .item = &(of) }

static const struct field config_fields[] = {
	STRING("apiVersion", wire_config, api_version),
	STRING("kind", wire_config, kind),
	STRING("current-context", wire_config, current_context),
	LIST("clusters", clusters, cluster_item),
	LIST("users", users, user_item),
	LIST("contexts", contexts, context_item),
};
static const struct schema schema_config = SCHEMA("a kubeconfig", config_fields, wire_config);

/* ---- single values ------------------------------------------------------- */

struct load {
	struct decode d;
	const char *path;
	struct wire_config wire;
	struct kube_config config;
};

/* A copy in the caller's arena; NULL stays NULL. */
static const char *keep(struct load *load, const char *text)
{
	return text ? keep_string(&load->d, text) : NULL;
}

/* @name, from the kubeconfig's folder where it is relative; one that can't be read is an error. */
static const char *keep_file(struct load *load, const char *at, const char *name)
{
	const char *slash = strrchr(load->path, '/'), *kept;
	char quoted[QUOTE_LEN], *joined = NULL;

	if (!name)
		return NULL;
	if (*name != '/' && slash &&
	    asprintf(&joined, "%.*s/%s", (int)(slash - load->path), load->path, name) < 0) {
		load->d.no_memory = true;
		return NULL;
	}
	kept = keep_string(&load->d, joined ? joined : name);
	free(joined);
	if (access(kept, R_OK))
		decode_fault(&load->d, at, "%s can't be read: %s", quote(kept, quoted),
			     strerror(errno));
	return kept;
}

/* The PEM text that @base64 holds. */
static const char *keep_pem(struct load *load, const char *at, const char *base64)
{
	const size_t len = base64 ? strlen(base64) : 0;
	char *pem;
	long n;

	if (!base64)
		return NULL;
	pem = arena_alloc(load->d.arena, BASE64_BYTES(len) + 1);
	if (!pem) {
		load->d.no_memory = true;
		return NULL;
	}
	n = base64_decode(base64, len, (unsigned char *)pem);
	if (n < 0)
		decode_fault(&load->d, at, "is no base64: was it cut, or is it a file's name?");
	else if (memchr(pem, '\0', (size_t)n) || !strstr(pem, "-----BEGIN "))
		decode_fault(&load->d, at, "holds no PEM text (\"-----BEGIN ...\")");
	return pem;
}

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	const bool has = !curl_url_get(url, part, &text, 0);

	curl_free(text);
	return has;
}

/* @return NULL, or why @text is no address of an API server */
static const char *check_server(const char *text)
{
	CURLU *url = curl_url();
	const char *why = NULL;

	if (!url)
		return "can't be looked at: no memory";
	if (!strncasecmp(text, "http://", 7))
		why = "is not https://: credentials never go over an unverified connection";
	else if (strncasecmp(text, "https://", 8) != 0 || curl_url_set(url, CURLUPART_URL, text, 0))
		why = "is no URL of the form https://HOST[:PORT][/PATH]";
	else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD) ||
		 has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT))
		why = "must be https://HOST[:PORT][/PATH] and nothing else";
	curl_url_cleanup(url);
	return why;
}

static const char *keep_server(struct load *load, const char *at, const char *text)
{
	char quoted[QUOTE_LEN];
	const char *why;
	size_t len;
	char *kept;

	if (!text) {
		decode_fault(&load->d, at, "required, but missing");
		return NULL;
	}
	why = check_server(text);
	if (why) {
		/* A URL with a password in it is not shown. */
		decode_fault(&load->d, at, "%s %s", strchr(text, '@') ? "it" : quote(text, quoted),
			     why);
		return NULL;
	}
	for (len = strlen(text); text[len - 1] == '/'; len--)
		;
	kept = arena_strndup(load->d.arena, text, len);
	load->d.no_memory |= !kept;
	return kept;
}

/* ---- cluster and user ---------------------------------------------------- */

static void take_proxy(struct load *load, const char *at, const char *proxy)
{
	static const char *const schemes[] = { "http://", "https://", "socks5://", "socks5h://" };
	size_t i;

	for (i = 0; proxy && i < FIELD_COUNT(schemes); i++) {
		if (!strncasecmp(proxy, schemes[i], strlen(schemes[i])))
			break;
	}
	if (i == FIELD_COUNT(schemes))
		decode_fault(&load->d, at,
			     "must begin with http://, https://, socks5:// or socks5h://");
	load->config.proxy = keep(load, proxy);
}

static void take_cluster(struct load *load, size_t i)
{
	const struct wire_cluster *wire =
		&((const struct wire_named_cluster *)load->wire.clusters.v)[i].cluster;
	struct kube_config *config = &load->config;

	if (wire->insecure == MAYBE_TRUE)
		decode_fault(&load->d, AT("clusters[%zu].cluster.insecure-skip-tls-verify", i),
			     "the API server is always verified: remove this, and name its CA in "
			     "certificate-authority or certificate-authority-data");
	config->server = keep_server(load, AT("clusters[%zu].cluster.server", i), wire->server);
	config->tls_server_name = keep(load, wire->tls_server_name);
	take_proxy(load, AT("clusters[%zu].cluster.proxy-url", i), wire->proxy);
	/* What is inline wins over a file, as with kubectl. */
	config->ca_data = keep_pem(load, AT("clusters[%zu].cluster.certificate-authority-data", i),
				   wire->ca_data);
	if (!wire->ca_data)
		config->ca_file = keep_file(
			load, AT("clusters[%zu].cluster.certificate-authority", i), wire->ca_file);
}

/* Ways to log in that shunt hasn't: silently to go on without them would be somebody else. */
static void refuse_logins(struct load *load, const struct wire_user *wire, size_t i)
{
	static const char *const plugins[] = { "exec", "auth-provider" };
	static const char *const as[] = { "as-uid", "as-groups", "as-user-extra" };
	struct decode *d = &load->d;
	size_t j;

	for (j = 0; j < FIELD_COUNT(plugins); j++) {
		if (decode_has(d, AT("users[%zu].user.%s", i, plugins[j])))
			decode_fault(
				d, AT("users[%zu].user.%s", i, plugins[j]),
				"credential plugins are not run: give the user a tokenFile, or "
				"client-certificate and client-key, of a service account");
	}
	if (wire->username || wire->password)
		decode_fault(d,
			     AT("users[%zu].user.%s", i, wire->username ? "username" : "password"),
			     "the API has no logins by password any more: give the user a token, "
			     "a tokenFile, or client-certificate and client-key");
	if (wire->as)
		decode_fault(d, AT("users[%zu].user.as", i),
			     "shunt acts for nobody else: give that user's own credentials");
	for (j = 0; j < FIELD_COUNT(as); j++) {
		if (decode_has(d, AT("users[%zu].user.%s", i, as[j])))
			decode_fault(
				d, AT("users[%zu].user.%s", i, as[j]),
				"shunt acts for nobody else: give that user's own credentials");
	}
}

static void take_certificate(struct load *load, const struct wire_user *wire, size_t i)
{
	struct kube_config *config = &load->config;
	const bool cert = wire->cert_file || wire->cert_data;
	const bool key = wire->key_file || wire->key_data;

	config->cert_data =
		keep_pem(load, AT("users[%zu].user.client-certificate-data", i), wire->cert_data);
	if (!wire->cert_data)
		config->cert_file = keep_file(load, AT("users[%zu].user.client-certificate", i),
					      wire->cert_file);
	config->key_data = keep_pem(load, AT("users[%zu].user.client-key-data", i), wire->key_data);
	if (!wire->key_data)
		config->key_file =
			keep_file(load, AT("users[%zu].user.client-key", i), wire->key_file);
	if (cert != key)
		decode_fault(&load->d, AT("users[%zu].user", i),
			     cert ? "client-certificate without client-key"
				  : "client-key without client-certificate");
}

static void take_user(struct load *load, size_t i)
{
	const struct wire_user *wire =
		&((const struct wire_named_user *)load->wire.users.v)[i].user;

	refuse_logins(load, wire, i);
	take_certificate(load, wire, i);
	load->config.token = keep(load, wire->token);
	load->config.token_file =
		keep_file(load, AT("users[%zu].user.tokenFile", i), wire->token_file);
}

/* ---- the context --------------------------------------------------------- */

/* The three lists have entries of the same kind, as far as this goes: a name first. */
struct entries {
	const char *field; /* "clusters" */
	const struct wire_list *list;
	size_t size;
};

static const char *entry_name(const struct entries *entries, size_t i)
{
	const char *name;

	memcpy(&name, (const char *)entries->list->v + i * entries->size, sizeof(name));
	return name;
}

/* Report at @at that there is no @name, with the one that was meant. */
static void report_missing(struct load *load, const struct entries *entries, const char *name,
			   const char *at)
{
	const char **names = arena_array(load->d.scratch, entries->list->n, sizeof(*names));
	const char *near = NULL;
	char quoted[QUOTE_LEN], meant[QUOTE_LEN];
	size_t i;

	for (i = 0; names && i < entries->list->n; i++)
		names[i] = entry_name(entries, i);
	if (names)
		near = nearest_word(name, names, entries->list->n);
	if (near)
		decode_fault(&load->d, at, "there is no %s in %s (did you mean %s?)",
			     quote(name, quoted), entries->field, quote(near, meant));
	else
		decode_fault(&load->d, at, "there is no %s in %s", quote(name, quoted),
			     entries->field);
}

/* @return 0 and the place of @name, which stands at @at; or -1 and an error */
static int find_entry(struct load *load, const struct entries *entries, const char *name,
		      const char *at, size_t *out)
{
	size_t i, found = entries->list->n;

	for (i = 0; i < entries->list->n; i++) {
		if (strcmp(entry_name(entries, i), name) != 0)
			continue;
		if (found < entries->list->n) {
			decode_fault(&load->d, AT("%s[%zu].name", entries->field, i),
				     "%s[%zu] has that name too", entries->field, found);
			return -1;
		}
		found = i;
	}
	if (found == entries->list->n) {
		report_missing(load, entries, name, at);
		return -1;
	}
	*out = found;
	return 0;
}

static void take_context(struct load *load, size_t i)
{
	const struct wire_config *wire = &load->wire;
	const struct wire_context *context =
		&((const struct wire_named_context *)wire->contexts.v)[i].context;
	const struct entries clusters = { "clusters", &wire->clusters,
					  sizeof(struct wire_named_cluster) };
	const struct entries users = { "users", &wire->users, sizeof(struct wire_named_user) };
	size_t at;

	if (!context->cluster)
		decode_fault(&load->d, AT("contexts[%zu].context.cluster", i),
			     "required, but missing");
	else if (!find_entry(load, &clusters, context->cluster,
			     AT("contexts[%zu].context.cluster", i), &at))
		take_cluster(load, at);
	/* Without a user the API sees an anonymous one, which it may let read. */
	if (context->user &&
	    !find_entry(load, &users, context->user, AT("contexts[%zu].context.user", i), &at))
		take_user(load, at);
}

static void take_config(struct load *load, const char *name)
{
	const struct wire_config *wire = &load->wire;
	const struct entries contexts = { "contexts", &wire->contexts,
					  sizeof(struct wire_named_context) };
	char quoted[QUOTE_LEN];
	size_t at;

	if (wire->kind && strcmp(wire->kind, "Config") != 0) {
		decode_fault(&load->d, "kind", "expected Config (a kubeconfig), found %s",
			     quote(wire->kind, quoted));
		return;
	}
	if (!name && !wire->current_context) {
		decode_fault(&load->d, "current-context",
			     "required, but missing: name a context here or by --kube-context");
		return;
	}
	if (find_entry(load, &contexts, name ? name : wire->current_context,
		       name ? "contexts" : "current-context", &at))
		return;
	load->config.context = keep(load, name ? name : wire->current_context);
	take_context(load, at);
}

/* ---- files --------------------------------------------------------------- */

/* The first document of @text, decoded and judged. What is wrong is in the diags. */
static int load_text(struct load *load, const char *text, size_t len, const char *context)
{
	struct tree_reader *reader = tree_reader_new(load->path, text, len, load->d.diags);
	int ret;

	if (!reader)
		return -ENOMEM;
	ret = tree_next(reader, &load->d.root);
	if (!ret)
		diag_error(load->d.diags, &(struct origin){ .file = load->path }, "",
			   "is empty: no kubeconfig");
	/* A duplicate key lets reading go on. */
	if (ret > 0 && !diags_count(load->d.diags)) {
		decode_map(&load->d, &schema_config, load->d.root, &load->wire);
		if (!load->d.errors)
			take_config(load, context);
	}
	tree_reader_free(reader);
	return ret == -ENOMEM || load->d.no_memory ? -ENOMEM : 0;
}

/* @return 0, *text_out to be freed and *len_out, or a negative errno */
static int read_file(const char *path, char **text_out, size_t *len_out, struct err *err)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t len = 0;
	int ret = 0;

	if (!file)
		return err_system(err, -errno, "%s: can't be opened", path);
	text = malloc(SH_KUBECONFIG_BYTES_MAX + 1);
	if (text)
		len = fread(text, 1, SH_KUBECONFIG_BYTES_MAX + 1, file);
	if (!text)
		ret = err_system(err, -ENOMEM, "%s", path);
	else if (ferror(file))
		ret = err_system(err, errno ? -errno : -EIO, "%s: can't be read", path);
	else if (len > SH_KUBECONFIG_BYTES_MAX)
		ret = err_input(
			err, -EINVAL,
			"%s: is too large for a kubeconfig: at most SH_KUBECONFIG_BYTES_MAX "
			"(%u) bytes",
			path, SH_KUBECONFIG_BYTES_MAX);
	(void)fclose(file);
	if (ret) {
		free(text);
		return ret;
	}
	*text_out = text;
	*len_out = len;
	return 0;
}

int kube_config_file(const char *path, const char *context, struct arena *arena,
		     struct kube_config *out, struct err *err)
{
	struct diags diags = { 0 };
	struct load load = {
		.d = { .file = path, .diags = &diags, .arena = arena, .lenient = true },
		.path = path,
	};
	char *text = NULL;
	size_t len = 0;
	int ret;

	ret = read_file(path, &text, &len, err);
	if (ret)
		return ret;
	load.d.scratch = arena_new();
	ret = load.d.scratch ? load_text(&load, text, len, context) : -ENOMEM;
	if (!ret && diags_count(&diags))
		ret = diags_refuse(&diags, err);
	if (ret == -ENOMEM)
		(void)err_system(err, ret, "%s", path);
	if (!ret)
		*out = load.config;
	arena_free(load.d.scratch);
	diags_done(&diags);
	free(text);
	return ret;
}

/* ---- in a pod ------------------------------------------------------------ */

/* "DIR/NAME" in @arena, which must be there to be read. */
static int secret_file(const char *dir, const char *name, struct arena *arena, const char **out,
		       struct err *err)
{
	const size_t size = strlen(dir) + strlen(name) + 2;
	char *path = arena_alloc(arena, size);

	if (!path)
		return err_system(err, -ENOMEM, "in-cluster credentials");
	(void)snprintf(path, size, "%s/%s", dir, name);
	if (access(path, R_OK))
		return err_system(err, -errno,
				  "in-cluster credentials: %s can't be read (is "
				  "automountServiceAccountToken off?)",
				  path);
	*out = path;
	return 0;
}

static int in_cluster_server(struct arena *arena, const char **out, struct err *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	char quoted[QUOTE_LEN], *server;
	const char *why;
	size_t size;
	bool v6;

	if (!host || !*host || !port || !*port)
		return err_input(err, -ENOENT,
				 "in-cluster credentials: KUBERNETES_SERVICE_HOST and "
				 "KUBERNETES_SERVICE_PORT are not set: this is no pod; name a "
				 "kubeconfig file by --kubeconfig");
	size = strlen(host) + strlen(port) + sizeof("https://[]:");
	server = arena_alloc(arena, size);
	if (!server)
		return err_system(err, -ENOMEM, "in-cluster credentials");
	v6 = strchr(host, ':') && *host != '[';
	(void)snprintf(server, size, v6 ? "https://[%s]:%s" : "https://%s:%s", host, port);
	why = strchr(host, '/') || strchr(port, '/') ? "is no server" : check_server(server);
	if (why)
		return err_input(err, -EINVAL,
				 "in-cluster credentials: KUBERNETES_SERVICE_HOST and _PORT: %s %s",
				 quote(server, quoted), why);
	*out = server;
	return 0;
}

int kube_config_in_cluster(const char *dir, struct arena *arena, struct kube_config *out,
			   struct err *err)
{
	struct kube_config config = { .context = "in-cluster" };
	int ret = in_cluster_server(arena, &config.server, err);

	dir = dir ? dir : IN_CLUSTER_DIR;
	if (!ret)
		ret = secret_file(dir, "ca.crt", arena, &config.ca_file, err);
	if (!ret)
		ret = secret_file(dir, "token", arena, &config.token_file, err);
	if (!ret)
		*out = config;
	return ret;
}
