// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kube/creds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shunt/limits.h"

/* Whatever the file's stamp says. */
#define TOKEN_MS_MAX 60000u

/* ---- certificates ------------------------------------------------------------------ */

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* @pem NULL: *@fd and @path stay as they are. */
static int memory_file(const char *pem, int *fd, char path[static 32], struct err *err)
{
	int ret;

	if (!pem)
		return 0;
	*fd = memfd_create("shunt-pem", MFD_CLOEXEC);
	if (*fd < 0)
		return err_system(err, -errno, "keep a certificate in memory");
	ret = write_all(*fd, pem);
	if (ret)
		return err_system(err, ret, "keep a certificate in memory");
	(void)snprintf(path, 32, "/proc/self/fd/%d", *fd);
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* ---- the server's address ------------------------------------------------------------ */

static bool brackets(const char *host)
{
	return strchr(host, ':') && host[0] != '[';
}

/* How the URL's host is written in host:port. */
static int print_host(const char *host, const char *port, char **out)
{
	const char *open = brackets(host) ? "[" : "", *close = brackets(host) ? "]" : "";

	return asprintf(out, "%s%s%s:%s", open, host, close, port) < 0 ? -ENOMEM : 0;
}

/*
 * libcurl verifies the name that the URL has. Another one to be verified takes
 * the URL's place; the connection and the Host header keep the server's.
 */
static int rename_server(struct creds *creds, CURLU *url)
{
	char *host = NULL, *port = NULL, *where = NULL, *entry = NULL;
	int ret = -EINVAL;

	if (curl_url_get(url, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
		goto out;
	ret = print_host(host, port, &where);
	if (ret)
		goto out;
	ret = -ENOMEM;
	if (asprintf(&entry, "%s:%s:%s", creds->config->tls_server_name, port, where) < 0) {
		entry = NULL;
		goto out;
	}
	creds->connect_to = curl_slist_append(NULL, entry);
	if (!creds->connect_to || asprintf(&creds->host_header, "Host: %s", where) < 0) {
		creds->host_header = NULL;
		goto out;
	}
	ret = curl_url_set(url, CURLUPART_HOST, creds->config->tls_server_name, 0) ? -EINVAL : 0;
out:
	curl_free(host);
	curl_free(port);
	free(where);
	free(entry);
	return ret;
}

static int base_url(struct creds *creds, CURLU *url)
{
	char *text = NULL;
	size_t len;

	if (curl_url_get(url, CURLUPART_URL, &text, 0))
		return -EINVAL;
	creds->base_url = strdup(text);
	curl_free(text);
	if (!creds->base_url)
		return -ENOMEM;
	len = strlen(creds->base_url);
	while (len && creds->base_url[len - 1] == '/')
		creds->base_url[--len] = '\0';
	return 0;
}

static bool is_https(CURLU *url)
{
	char *scheme = NULL;
	bool https = !curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) && !strcmp(scheme, "https");

	curl_free(scheme);
	return https;
}

static int take_server(struct creds *creds, struct err *err)
{
	const char *server = creds->config->server;
	CURLU *url = curl_url();
	int ret;

	if (!url)
		return err_system(err, -ENOMEM, "read the address %s", server);
	if (curl_url_set(url, CURLUPART_URL, server, 0) || !is_https(url)) {
		ret = err_input(err, -EINVAL,
				"the Kubernetes API's address \"%s\" is refused: it has to be "
				"https://HOST[:PORT][/PATH]",
				server);
		goto out;
	}
	ret = creds->config->tls_server_name ? rename_server(creds, url) : 0;
	if (!ret)
		ret = base_url(creds, url);
	if (ret == -EINVAL)
		(void)err_input(err, ret, "%s: \"%s\" is no server name", server,
				creds->config->tls_server_name ? creds->config->tls_server_name
							       : "");
	else if (ret)
		(void)err_system(err, ret, "read the address %s", server);
out:
	curl_url_cleanup(url);
	return ret;
}

/* ---- tokens -------------------------------------------------------------------------- */

/* A token becomes part of a header: it is printable ASCII, or none. */
static bool is_token(const char *text)
{
	size_t i;

	for (i = 0; text[i]; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return i > 0;
}

static int set_token(struct creds *creds, const char *token)
{
	char *header;

	if (asprintf(&header, "Authorization: Bearer %s", token) < 0)
		return -ENOMEM;
	free(creds->header);
	creds->header = header;
	return 0;
}

static struct token_stamp stamp_of(const struct stat *st)
{
	return (struct token_stamp){ .device = st->st_dev,
				     .inode = st->st_ino,
				     .size = (uint64_t)st->st_size,
				     .changed = st->st_mtim };
}

static bool same_stamp(const struct token_stamp *a, const struct token_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* @buf: SH_API_TOKEN_BYTES_MAX + 1 bytes. Blanks around the token are cut. */
static int read_token(const char *path, char *buf, struct token_stamp *stamp_out, struct err *err)
{
	struct stat st;
	size_t len = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_system(err, -errno, "open the token file %s", path);
	if (fstat(fd, &st) == 0)
		*stamp_out = stamp_of(&st);
	while (len <= SH_API_TOKEN_BYTES_MAX &&
	       (n = read(fd, buf + len, SH_API_TOKEN_BYTES_MAX + 1 - len)) > 0)
		len += (size_t)n;
	n = n < 0 ? -errno : 0;
	(void)close(fd);
	if (n)
		return err_system(err, (int)n, "read the token file %s", path);
	if (len > SH_API_TOKEN_BYTES_MAX)
		return err_input(err, -EFBIG,
				 "the token file %s is larger than the limit of %u bytes "
				 "(SH_API_TOKEN_BYTES_MAX)",
				 path, SH_API_TOKEN_BYTES_MAX);
	while (len && (unsigned char)buf[len - 1] <= ' ')
		len--;
	buf[len] = '\0';
	return 0;
}

static int read_token_file(struct creds *creds, struct err *err)
{
	const char *path = creds->config->token_file;
	char *buf = calloc(1, SH_API_TOKEN_BYTES_MAX + 1);
	const char *token = buf;
	int ret;

	if (!buf)
		return err_system(err, -ENOMEM, "read the token file %s", path);
	ret = read_token(path, buf, &creds->stamp, err);
	if (ret)
		goto out;
	while (*token && (unsigned char)*token <= ' ')
		token++;
	if (!is_token(token)) {
		ret = err_input(err, -EINVAL,
				"the token file %s holds no token: one line of printable "
				"characters is expected",
				path);
		goto out;
	}
	ret = set_token(creds, token);
	if (ret)
		(void)err_system(err, ret, "read the token file %s", path);
out:
	explicit_bzero(buf, SH_API_TOKEN_BYTES_MAX + 1);
	free(buf);
	return ret;
}

int creds_refresh(struct creds *creds, uint64_t now_ms, bool force, struct err *err)
{
	const char *path = creds->config->token_file;
	struct token_stamp stamp;
	struct stat st;

	if (!path)
		return 0;
	if (!force && creds->header && now_ms - creds->read_ms < TOKEN_MS_MAX &&
	    stat(path, &st) == 0) {
		stamp = stamp_of(&st);
		if (same_stamp(&stamp, &creds->stamp))
			return 0;
	}
	creds->read_ms = now_ms;
	return read_token_file(creds, err);
}

/* ---- all together ---------------------------------------------------------------------- */

int creds_init(struct creds *creds, const struct kube_config *config, struct err *err)
{
	int ret;

	*creds = (struct creds){ .config = config, .ca_fd = -1, .cert_fd = -1, .key_fd = -1 };
	ret = take_server(creds, err);
	if (!ret)
		ret = memory_file(config->ca_data, &creds->ca_fd, creds->ca_path, err);
	if (!ret)
		ret = memory_file(config->cert_data, &creds->cert_fd, creds->cert_path, err);
	if (!ret)
		ret = memory_file(config->key_data, &creds->key_fd, creds->key_path, err);
	if (ret || !config->token || config->token_file)
		goto out;
	if (!is_token(config->token))
		ret = err_input(err, -EINVAL,
				"the token of context \"%s\" has characters that no token has",
				config->context);
	else if (set_token(creds, config->token))
		ret = err_system(err, -ENOMEM, "keep the token of context \"%s\"", config->context);
out:
	if (ret)
		creds_done(creds);
	return ret;
}

void creds_done(struct creds *creds)
{
	close_fd(&creds->ca_fd);
	close_fd(&creds->cert_fd);
	close_fd(&creds->key_fd);
	curl_slist_free_all(creds->connect_to);
	if (creds->header)
		explicit_bzero(creds->header, strlen(creds->header));
	free(creds->header);
	free(creds->host_header);
	free(creds->base_url);
	*creds = (struct creds){ .ca_fd = -1, .cert_fd = -1, .key_fd = -1 };
}

/* @return the file to name to libcurl, or NULL */
static const char *pem_path(int fd, const char *path, const char *file)
{
	return fd >= 0 ? path : file;
}

static int apply_tls(const struct creds *creds, CURL *easy)
{
	const char *ca = pem_path(creds->ca_fd, creds->ca_path, creds->config->ca_file);
	const char *cert = pem_path(creds->cert_fd, creds->cert_path, creds->config->cert_file);
	const char *key = pem_path(creds->key_fd, creds->key_path, creds->config->key_file);
	CURLcode bad;

	bad = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (ca) {
		/* The cluster's CA alone: the system's, which libcurl adds, have no say here. */
		bad |= curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
		bad |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (cert)
		bad |= curl_easy_setopt(easy, CURLOPT_SSLCERT, cert);
	if (key)
		bad |= curl_easy_setopt(easy, CURLOPT_SSLKEY, key);
	return bad ? -ENOMEM : 0;
}

int creds_apply(const struct creds *creds, CURL *easy)
{
	const char *proxy = creds->config->proxy ? creds->config->proxy : "";
	CURLcode bad;

	/* "": none, whatever the environment says. */
	bad = curl_easy_setopt(easy, CURLOPT_PROXY, proxy);
	bad |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
	if (creds->connect_to)
		bad |= curl_easy_setopt(easy, CURLOPT_CONNECT_TO, creds->connect_to);
	return bad ? -ENOMEM : apply_tls(creds, easy);
}
