/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How to reach a Kubernetes API: kubeconfig files, in-cluster credentials, base64. */
#include "kube/kube.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "shunt/limits.h"
#include "util/base64.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Each test has a folder of its own, of which the kubeconfig is "config". */
struct folder {
	char dir[64];
	struct arena *arena;
	struct kube_config config;
	struct err err;
};

static void put(const struct folder *folder, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", folder->dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	assert_non_null(folder);
	(void)strcpy(folder->dir, "/tmp/shunt-kubeconfig-XXXXXX");
	assert_non_null(mkdtemp(folder->dir));
	folder->arena = arena_new();
	assert_non_null(folder->arena);
	put(folder, "ca.crt", "ca");
	put(folder, "client.crt", "cert");
	put(folder, "client.key", "key");
	put(folder, "token", "t");
	*state = folder;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "ca.crt", "client.crt", "client.key", "token",
					     "config" };
	struct folder *folder = *state;
	char path[128];
	size_t i;

	for (i = 0; i < COUNT(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder->dir, names[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(folder->dir), 0);
	arena_free(folder->arena);
	free(folder);
	return 0;
}

static int load(struct folder *folder, const char *text, const char *context)
{
	char path[128];

	put(folder, "config", text);
	(void)snprintf(path, sizeof(path), "%s/config", folder->dir);
	folder->err.msg[0] = '\0';
	folder->config = (struct kube_config){ 0 };
	return kube_config_file(path, context, folder->arena, &folder->config, &folder->err);
}

static void load_good(struct folder *folder, const char *text, const char *context)
{
	if (load(folder, text, context))
		fail_msg("%s\n%s", text, folder->err.msg);
}

/* @path in the test's folder, by its whole name. */
static void same_file(const struct folder *folder, const char *path, const char *name)
{
	char whole[128];

	(void)snprintf(whole, sizeof(whole), "%s/%s", folder->dir, name);
	assert_string_equal(path, whole);
}

/* ---- kubeconfig files ---------------------------------------------------- */

/* "-----BEGIN CERTIFICATE-----\nx\n", and with another word */
#define CA_DATA	  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCngK"
#define CERT_DATA "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCnkK"
#define KEY_DATA  "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCnoK"

/* As kubeadm writes /etc/kubernetes/admin.conf, with what kubectl and minikube add. */
static const char admin[] =
	"apiVersion: v1\n"
	"clusters:\n"
	"- cluster:\n"
	"    certificate-authority-data: " CA_DATA "\n"
	"    server: https://10.0.0.1:6443\n"
	"    extensions: [{name: cluster_info, extension: {provider: minikube.sigs.k8s.io}}]\n"
	"  name: kubernetes\n"
	"contexts:\n"
	"- context: {cluster: kubernetes, user: kubernetes-admin, namespace: shop}\n"
	"  name: kubernetes-admin@kubernetes\n"
	"current-context: kubernetes-admin@kubernetes\n"
	"kind: Config\n"
	"preferences: {colors: true}\n"
	"users:\n"
	"- name: kubernetes-admin\n"
	"  user:\n"
	"    client-certificate-data: " CERT_DATA "\n"
	"    client-key-data: |\n"
	"      " KEY_DATA "\n";

static void of_kubeadm(void **state)
{
	struct folder *folder = *state;
	const struct kube_config *config = &folder->config;

	load_good(folder, admin, NULL);
	assert_string_equal(config->server, "https://10.0.0.1:6443");
	assert_string_equal(config->context, "kubernetes-admin@kubernetes");
	assert_string_equal(config->ca_data, "-----BEGIN CERTIFICATE-----\nx\n");
	assert_string_equal(config->cert_data, "-----BEGIN CERTIFICATE-----\ny\n");
	assert_string_equal(config->key_data, "-----BEGIN PRIVATE KEY-----\nz\n");
	assert_null(config->ca_file);
	assert_null(config->cert_file);
	assert_null(config->key_file);
	assert_null(config->token);
	assert_null(config->token_file);
	assert_null(config->proxy);
	assert_null(config->tls_server_name);
}

static const char two[] =
	"{\"apiVersion\": \"v1\", \"kind\": \"Config\", \"current-context\": \"far\",\n"
	" \"clusters\": [\n"
	"  {\"name\": \"far\", \"cluster\": {\"server\": \"https://[fd00::1]:6443/k8s/c-1//\",\n"
	"   \"certificate-authority\": \"ca.crt\", \"tls-server-name\": \"api.example\",\n"
	"   \"proxy-url\": \"socks5://127.0.0.1:1080\", \"insecure-skip-tls-verify\": false}},\n"
	"  {\"name\": \"near\", \"cluster\": {\"server\": \"https://near.example\"}}],\n"
	" \"users\": [\n"
	"  {\"name\": \"files\", \"user\": {\"client-certificate\": \"./client.crt\",\n"
	"   \"client-key\": \"client.key\", \"tokenFile\": \"token\"}},\n"
	"  {\"name\": \"plugin\", \"user\": {\"exec\": {\"command\": \"aws\"}}},\n"
	"  {\"name\": \"bearer\", \"user\": {\"token\": \"abc\", \"exec\": null}}],\n"
	" \"contexts\": [\n"
	"  {\"name\": \"far\", \"context\": {\"cluster\": \"far\", \"user\": \"files\"}},\n"
	"  {\"name\": \"near\", \"context\": {\"cluster\": \"near\", \"user\": \"bearer\"}},\n"
	"  {\"name\": \"nobody\", \"context\": {\"cluster\": \"near\"}},\n"
	"  {\"name\": \"aws\", \"context\": {\"cluster\": \"near\", \"user\": \"plugin\"}}]}\n";

static void the_current_context(void **state)
{
	struct folder *folder = *state;
	const struct kube_config *config = &folder->config;

	load_good(folder, two, NULL);
	assert_string_equal(config->context, "far");
	assert_string_equal(config->server, "https://[fd00::1]:6443/k8s/c-1");
	assert_string_equal(config->tls_server_name, "api.example");
	assert_string_equal(config->proxy, "socks5://127.0.0.1:1080");
	same_file(folder, config->ca_file, "ca.crt");
	same_file(folder, config->cert_file, "./client.crt");
	same_file(folder, config->key_file, "client.key");
	same_file(folder, config->token_file, "token");
	assert_null(config->ca_data);
	assert_null(config->token);
}

/* What is wrong with entries that aren't used is nobody's business. */
static void another_context(void **state)
{
	struct folder *folder = *state;

	load_good(folder, two, "near");
	assert_string_equal(folder->config.context, "near");
	assert_string_equal(folder->config.server, "https://near.example");
	assert_string_equal(folder->config.token, "abc");
	assert_null(folder->config.ca_file);
	assert_null(folder->config.cert_file);
	load_good(folder, two, "nobody");
	assert_null(folder->config.token);
}

/* As with kubectl: what is inline wins over files, which then needn't be there. */
static void inline_wins(void **state)
{
	struct folder *folder = *state;

	load_good(
		folder,
		"current-context: a\n"
		"contexts: [{name: a, context: {cluster: a, user: a}}]\n"
		"clusters: [{name: a, cluster: {server: 'https://h', certificate-authority: gone, "
		"certificate-authority-data: " CA_DATA "}}]\n"
		"users: [{name: a, user: {client-certificate: gone, client-certificate-data: "
		"" CERT_DATA ", client-key: gone, client-key-data: " KEY_DATA
		", token: abc, tokenFile: token}}]\n",
		NULL);
	assert_null(folder->config.ca_file);
	assert_null(folder->config.cert_file);
	assert_null(folder->config.key_file);
	assert_non_null(folder->config.ca_data);
	assert_string_equal(folder->config.token, "abc");
	same_file(folder, folder->config.token_file, "token");
}

/* ---- what is refused ----------------------------------------------------- */

#define CONTEXT		  "current-context: a\ncontexts:\n- {name: a, context: {cluster: c, user: u}}\n"
/* Their fields begin at column 5 of line 7, and of line 8. */
#define CLUSTER		  CONTEXT "clusters:\n- name: c\n  cluster:\n"
#define GOOD		  CONTEXT "clusters:\n- {name: c, cluster: {server: 'https://h'}}\n"
#define USER		  GOOD "users:\n- name: u\n  user:\n"
#define USER_U		  "users: [{name: u}]\n"
#define CLUSTER_OF(field) CLUSTER "    " field "\n" USER_U

static const struct {
	const char *text;
	const char *message; /* after the file's name */
} refused[] = {
	{ "", ": is empty: no kubeconfig" },
	{ "a: [", ":2:1: expected a value here; the document is cut off" },
	{ "hello", ":1:1: expected a map, found the string \"hello\"" },
	{ "kind: Pod", ":1:7: kind: expected Config (a kubeconfig), found \"Pod\"" },
	{ "kind: Config\nkind: Config\n", ":2:1: kind: duplicate key, first at line 1" },
	{ "kind: Config\n", ":1:1: current-context: required, but missing: name a context here or "
			    "by --kube-context" },
	{ "current-context: prod\n", ":1:18: current-context: there is no \"prod\" in contexts" },
	{ "current-context: prod\ncontexts: [{name: prot}]\n",
	  ":1:18: current-context: there is no \"prod\" in contexts (did you mean \"prot\"?)" },
	{ "contexts: [{context: {}}]\n", ":1:12: contexts[0].name: required, but missing" },
	{ CONTEXT, ":3:32: contexts[0].context.cluster: there is no \"c\" in clusters (and 1 more "
		   "error)" },
	{ GOOD "users: [{name: v}]\n",
	  ":3:41: contexts[0].context.user: there is no \"u\" in users" },
	{ "current-context: a\ncontexts: [{name: a}]\n",
	  ":2:12: contexts[0].context.cluster: required, but missing" },
	{ GOOD "users: [{name: u}, {name: u}]\n",
	  ":6:27: users[1].name: users[0] has that name too" },
	/* cluster */
	{ CLUSTER_OF("{}"), ":7:5: clusters[0].cluster.server: required, but missing" },
	{ CLUSTER_OF("server: http://h:6443"),
	  ":7:13: clusters[0].cluster.server: \"http://h:6443\" is not https://: credentials never "
	  "go over an unverified connection" },
	{ CLUSTER_OF("server: 10.0.0.1:6443"),
	  ":7:13: clusters[0].cluster.server: \"10.0.0.1:6443\" is no URL of the form "
	  "https://HOST[:PORT][/PATH]" },
	{ CLUSTER_OF("server: https://h:70000"),
	  ":7:13: clusters[0].cluster.server: \"https://h:70000\" is no URL of the form "
	  "https://HOST[:PORT][/PATH]" },
	{ CLUSTER_OF("server: https://"),
	  ":7:13: clusters[0].cluster.server: \"https://\" is no URL of the form "
	  "https://HOST[:PORT][/PATH]" },
	{ CLUSTER_OF("server: https://h/?a=b"),
	  ":7:13: clusters[0].cluster.server: \"https://h/?a=b\" must be "
	  "https://HOST[:PORT][/PATH] and nothing else" },
	{ CLUSTER_OF("server: https://joe:secret@h"),
	  ":7:13: clusters[0].cluster.server: it must be https://HOST[:PORT][/PATH] and nothing "
	  "else" },
	{ CLUSTER_OF("{server: 'https://h', insecure-skip-tls-verify: true}"),
	  ":7:53: clusters[0].cluster.insecure-skip-tls-verify: the API server is always "
	  "verified: remove this, and name its CA in certificate-authority or "
	  "certificate-authority-data" },
	{ CLUSTER_OF("{server: 'https://h', insecure-skip-tls-verify: maybe}"),
	  ":7:53: clusters[0].cluster.insecure-skip-tls-verify: expected true or false, found the "
	  "string \"maybe\"" },
	{ CLUSTER_OF("{server: 'https://h', certificate-authority-data: '!secret'}"),
	  ":7:55: clusters[0].cluster.certificate-authority-data: is no base64: was it cut, or is "
	  "it a file's name?" },
	{ CLUSTER_OF("{server: 'https://h', certificate-authority-data: c2VjcmV0}"),
	  ":7:55: clusters[0].cluster.certificate-authority-data: holds no PEM text (\"-----BEGIN "
	  "...\")" },
	{ CLUSTER_OF("{server: 'https://h', certificate-authority: /no/ca.crt}"),
	  ":7:50: clusters[0].cluster.certificate-authority: \"/no/ca.crt\" can't be read: No such "
	  "file or directory" },
	{ CLUSTER_OF("{server: 'https://h', proxy-url: 'secret@h'}"),
	  ":7:38: clusters[0].cluster.proxy-url: must begin with http://, https://, socks5:// or "
	  "socks5h://" },
/* user */
#define PLUGIN                                                                                  \
	"credential plugins are not run: give the user a tokenFile, or client-certificate and " \
	"client-key, of a service account"
	{ USER "    exec: {command: aws}\n", ":9:11: users[0].user.exec: " PLUGIN },
	{ USER "    auth-provider: {name: gcp}\n", ":9:20: users[0].user.auth-provider: " PLUGIN },
	{ USER "    username: joe\n    password: secret\n",
	  ":9:15: users[0].user.username: the API has no logins by password any more: give the "
	  "user a token, a tokenFile, or client-certificate and client-key" },
	{ USER "    as: joe\n", ":9:9: users[0].user.as: shunt acts for nobody else: give that "
				"user's own credentials" },
	{ USER "    as-groups: [a]\n", ":9:16: users[0].user.as-groups: shunt acts for nobody "
				       "else: give that user's own credentials" },
	{ USER "    token: 12345\n",
	  ":9:12: users[0].user.token: expected a string (put it in quotes)" },
	{ USER "    token: {a: secret}\n",
	  ":9:12: users[0].user.token: expected a string (put it in quotes)" },
	{ USER "    tokenFile: gone\n", NULL }, /* names the folder: see below */
	{ USER "    client-certificate: client.crt\n",
	  ":9:5: users[0].user: client-certificate without client-key" },
	{ USER "    client-key-data: " KEY_DATA "\n",
	  ":9:5: users[0].user: client-key without client-certificate" },
	{ USER "    client-certificate-data: secret\n    client-key-data: " KEY_DATA "\n",
	  ":9:30: users[0].user.client-certificate-data: is no base64: was it cut, or is it a "
	  "file's name?" },
	/* types */
	{ "current-context: a\ncontexts: {}\n", ":2:11: contexts: expected a list, found a map" },
	{ "current-context: a\nusers: [5]\n", ":2:9: users[0]: expected a map, found the integer "
					      "5" },
};

static void what_is_refused(void **state)
{
	struct folder *folder = *state;
	size_t i, failed = 0;

	for (i = 0; i < COUNT(refused); i++) {
		const int ret = load(folder, refused[i].text, NULL);
		const size_t len = strlen(folder->dir) + strlen("/config");
		const char *got =
			strlen(folder->err.msg) > len ? folder->err.msg + len : "no error";

		if (ret == -EINVAL && !strstr(folder->err.msg, "secret") &&
		    (!refused[i].message || !strcmp(got, refused[i].message)))
			continue;
		failed++;
		print_error("%s\nexpected: %s\n     got: %s\n", refused[i].text, refused[i].message,
			    got);
	}
	assert_int_equal(failed, 0);
}

static void files_are_the_folders(void **state)
{
	struct folder *folder = *state;
	char wanted[512];

	assert_int_equal(load(folder, USER "    tokenFile: gone\n", NULL), -EINVAL);
	(void)snprintf(
		wanted, sizeof(wanted),
		"%s/config:9:16: users[0].user.tokenFile: \"%s/gone\" can't be read: No such "
		"file or directory",
		folder->dir, folder->dir);
	assert_string_equal(folder->err.msg, wanted);
}

static void no_such_context(void **state)
{
	struct folder *folder = *state;

	assert_int_equal(load(folder, two, "neer"), -EINVAL);
	assert_non_null(
		strstr(folder->err.msg,
		       "contexts: there is no \"neer\" in contexts (did you mean \"near\"?)"));
}

static void plugin_of_the_chosen_context(void **state)
{
	struct folder *folder = *state;

	assert_int_equal(load(folder, two, "aws"), -EINVAL);
	assert_non_null(strstr(folder->err.msg, "users[1].user.exec: " PLUGIN));
}

static void no_such_file(void **state)
{
	struct folder *folder = *state;

	assert_int_equal(
		kube_config_file("/no/config", NULL, folder->arena, &folder->config, &folder->err),
		-ENOENT);
	assert_string_equal(folder->err.msg,
			    "/no/config: can't be opened: No such file or directory");
	assert_true(kube_config_file(folder->dir, NULL, folder->arena, &folder->config,
				     &folder->err) < 0);
}

static void too_large(void **state)
{
	struct folder *folder = *state;
	char *text = malloc(SH_KUBECONFIG_BYTES_MAX + 2);

	assert_non_null(text);
	memset(text, '#', SH_KUBECONFIG_BYTES_MAX + 1);
	text[SH_KUBECONFIG_BYTES_MAX + 1] = '\0';
	assert_int_equal(load(folder, text, NULL), -EINVAL);
	assert_non_null(strstr(folder->err.msg, "is too large for a kubeconfig: at most "
						"SH_KUBECONFIG_BYTES_MAX (4194304) bytes"));
	free(text);
}

/* ---- in a pod ------------------------------------------------------------ */

static int in_cluster(struct folder *folder, const char *host, const char *port)
{
	int ret;

	assert_int_equal(host ? setenv("KUBERNETES_SERVICE_HOST", host, 1)
			      : unsetenv("KUBERNETES_SERVICE_HOST"),
			 0);
	assert_int_equal(port ? setenv("KUBERNETES_SERVICE_PORT", port, 1)
			      : unsetenv("KUBERNETES_SERVICE_PORT"),
			 0);
	folder->err.msg[0] = '\0';
	ret = kube_config_in_cluster(folder->dir, folder->arena, &folder->config, &folder->err);
	assert_int_equal(unsetenv("KUBERNETES_SERVICE_HOST"), 0);
	assert_int_equal(unsetenv("KUBERNETES_SERVICE_PORT"), 0);
	return ret;
}

static void in_a_pod(void **state)
{
	struct folder *folder = *state;

	assert_int_equal(in_cluster(folder, "10.96.0.1", "443"), 0);
	assert_string_equal(folder->config.server, "https://10.96.0.1:443");
	assert_string_equal(folder->config.context, "in-cluster");
	same_file(folder, folder->config.ca_file, "ca.crt");
	same_file(folder, folder->config.token_file, "token");
	assert_null(folder->config.token);
	assert_int_equal(in_cluster(folder, "fd00::1", "443"), 0);
	assert_string_equal(folder->config.server, "https://[fd00::1]:443");
	assert_int_equal(in_cluster(folder, "[fd00::1]", "443"), 0);
	assert_string_equal(folder->config.server, "https://[fd00::1]:443");
}

static void in_no_pod(void **state)
{
	static const char not_set[] =
		"in-cluster credentials: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are "
		"not set: this is no pod; name a kubeconfig file by --kubeconfig";
	struct folder *folder = *state;

	assert_int_equal(in_cluster(folder, NULL, NULL), -ENOENT);
	assert_string_equal(folder->err.msg, not_set);
	assert_int_equal(in_cluster(folder, "10.96.0.1", ""), -ENOENT);
	assert_string_equal(folder->err.msg, not_set);
	assert_int_equal(in_cluster(folder, "10.96.0.1", "https"), -EINVAL);
	assert_string_equal(folder->err.msg,
			    "in-cluster credentials: KUBERNETES_SERVICE_HOST and _PORT: "
			    "\"https://10.96.0.1:https\" is no URL of the form "
			    "https://HOST[:PORT][/PATH]");
	assert_int_equal(in_cluster(folder, "10.96.0.1/x", "443"), -EINVAL);
}

static void in_a_pod_without_a_token(void **state)
{
	struct folder *folder = *state;
	char path[128], wanted[512];

	(void)snprintf(path, sizeof(path), "%s/token", folder->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(in_cluster(folder, "10.96.0.1", "443"), -ENOENT);
	(void)snprintf(wanted, sizeof(wanted),
		       "in-cluster credentials: %s can't be read (is "
		       "automountServiceAccountToken off?): No such file or directory",
		       path);
	assert_string_equal(folder->err.msg, wanted);
}

/* ---- base64 -------------------------------------------------------------- */

static void base64(void **state)
{
	static const struct {
		const char *text;
		long n; /* negative: refused */
		const char *bytes;
	} rows[] = {
		/* RFC 4648, section 10 */
		{ "", 0, "" },
		{ "Zg==", 1, "f" },
		{ "Zm8=", 2, "fo" },
		{ "Zm9v", 3, "foo" },
		{ "Zm9vYg==", 4, "foob" },
		{ "Zm9vYmE=", 5, "fooba" },
		{ "Zm9vYmFy", 6, "foobar" },
		{ "+/+/", 3, "\xfb\xff\xbf" },
		{ "AAAA", 3, "\0\0\0" },
		{ " Zm\r\n9v\tYg =\n= ", 4, "foob" },
		{ "Z", -EINVAL, NULL },	       /* six bits are no byte */
		{ "Zg", -EINVAL, NULL },       /* no padding */
		{ "Zg=", -EINVAL, NULL },      /* half of it */
		{ "Zg===", -EINVAL, NULL },    /* too much of it */
		{ "Zm9v=", -EINVAL, NULL },    /* where none belongs */
		{ "=", -EINVAL, NULL },	       /* nothing but that */
		{ "Zh==", -EINVAL, NULL },     /* bits that are lost */
		{ "Zm9=", -EINVAL, NULL },     /* the same */
		{ "Zg==Zg==", -EINVAL, NULL }, /* something after the end */
		{ "-_-_", -EINVAL, NULL },     /* that is base64url */
		{ "Zm9v!", -EINVAL, NULL },
		{ "Zm\xc3\xa9v", -EINVAL, NULL },
	};
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		const size_t len = strlen(rows[i].text);
		unsigned char *out = malloc(BASE64_BYTES(len));
		const long n = base64_decode(rows[i].text, len, out);

		assert_non_null(out);
		if (n != rows[i].n || (n > 0 && memcmp(out, rows[i].bytes, (size_t)n) != 0))
			fail_msg("%s: %ld", rows[i].text, n);
		free(out);
	}
	assert_int_equal(base64_decode("Zm9\0", 4, (unsigned char[6]){ 0 }), -EINVAL);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(of_kubeadm),
		IN_FOLDER(the_current_context),
		IN_FOLDER(another_context),
		IN_FOLDER(inline_wins),
		IN_FOLDER(what_is_refused),
		IN_FOLDER(files_are_the_folders),
		IN_FOLDER(no_such_context),
		IN_FOLDER(plugin_of_the_chosen_context),
		IN_FOLDER(no_such_file),
		IN_FOLDER(too_large),
		IN_FOLDER(in_a_pod),
		IN_FOLDER(in_no_pod),
		IN_FOLDER(in_a_pod_without_a_token),
		cmocka_unit_test(base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
