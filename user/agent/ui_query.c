// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/ui_query.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "shunt/limits.h"
#include "util/addr.h"

/* ---- parameters ----------------------------------------------------------------- */

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
static const char address_characters[] = "0123456789abcdefABCDEF.:[]";

struct parameter {
	const char *name; /* of the long option, too */
	bool needed;
	const char *characters;	    /* that it may have; NULL: it is one of @words */
	const char *const words[4]; /* ended by a NULL */
	const char *like;	    /* how a right one looks */
};

static const struct parameter of_backends[] = {
	{ "namespace", true, name_characters, { NULL }, "a namespace, like default" },
	{ "service", true, name_characters, { NULL }, "a Service's name, like web" },
	{ 0 },
};

static const struct parameter of_trace[] = {
	{ "from", true, NULL, { "pod", "node", "external" }, "pod, node or external" },
	{ "src",
	  false,
	  address_characters,
	  { NULL },
	  "IP or IP:PORT, like 10.244.1.11 or [fd00::1]:40000" },
	{ "dst", true, address_characters, { NULL }, "IP:PORT, like 10.96.0.1:443" },
	{ "proto", false, NULL, { "tcp", "udp" }, "tcp or udp" },
	{ 0 },
};

static const struct parameter none[] = { { 0 } };

/* ---- paths ---------------------------------------------------------------------- */

struct endpoint {
	const char *path;
	const char *const words[4]; /* of the command; ended by a NULL */
	bool state;		    /* it takes --state, too */
	const struct parameter *parameters;
};

static const struct endpoint endpoints[] = {
	{ "/api/services", { "get", "services", "--all-namespaces" }, true, none },
	{ "/api/backends", { "get", "backends" }, true, of_backends },
	{ "/api/drops", { "get", "drops", "--all-namespaces" }, true, none },
	{ "/api/status", { "status" }, true, none },
	{ "/api/trace", { "trace" }, false, of_trace },
};

static const struct endpoint *endpoint_find(const char *path)
{
	size_t i;

	for (i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		if (!strcmp(endpoints[i].path, path))
			return &endpoints[i];
	}
	return NULL;
}

static const struct parameter *parameter_find(const struct endpoint *endpoint, const char *name)
{
	const struct parameter *parameter;

	for (parameter = endpoint->parameters; parameter->name; parameter++) {
		if (!strcmp(parameter->name, name))
			return parameter;
	}
	return NULL;
}

static bool is_word(const struct parameter *parameter, const char *value)
{
	size_t i;

	for (i = 0; parameter->words[i]; i++) {
		if (!strcmp(parameter->words[i], value))
			return true;
	}
	return false;
}

static int check(const struct parameter *parameter, const char *value, struct err *err)
{
	if (strlen(value) > SH_UI_PARAMETER_MAX)
		return err_usage(err, -EINVAL,
				 "%s: longer than %d characters (limit SH_UI_PARAMETER_MAX)",
				 parameter->name, SH_UI_PARAMETER_MAX);
	if (parameter->characters ? *value && !value[strspn(value, parameter->characters)]
				  : is_word(parameter, value))
		return 0;
	return err_usage(err, -EINVAL, "%s: \"%s\" is not %s", parameter->name, value,
			 parameter->like);
}

/* ---- the command ------------------------------------------------------------------ */

struct line {
	struct ui_question *out;
	size_t n;
	int ret;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *fmt, ...)
{
	char *word = line->out->words[line->n];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(word, UI_WORD_SIZE, fmt, args);
	va_end(args);
	if (len < 0 || len >= UI_WORD_SIZE || line->n == UI_WORDS_MAX - 1)
		line->ret = -ENAMETOOLONG;
	else
		line->n++;
}

static const char *value_of(const struct parameter *parameter, const struct ui_request *request)
{
	size_t i;

	for (i = 0; i < request->n; i++) {
		const struct http_argument *argument = &request->arguments[i];

		/* A form sends what was left empty, too. */
		if (!strcmp(argument->name, parameter->name) && *argument->value)
			return argument->value;
	}
	return NULL;
}

static int check_names(const struct endpoint *endpoint, const struct ui_request *request,
		       struct err *err)
{
	size_t i, j;

	for (i = 0; i < request->n; i++) {
		const char *name = request->arguments[i].name;

		if (!parameter_find(endpoint, name))
			return err_usage(err, -EINVAL, "%s takes no parameter \"%.64s\"",
					 endpoint->path, name);
		for (j = 0; j < i; j++) {
			if (!strcmp(name, request->arguments[j].name))
				return err_usage(err, -EINVAL, "%s is given twice", name);
		}
	}
	return 0;
}

static int add_parameters(struct line *line, const struct endpoint *endpoint,
			  const struct ui_request *request, struct err *err)
{
	const struct parameter *parameter;
	const char *value;
	int ret = 0;

	for (parameter = endpoint->parameters; !ret && parameter->name; parameter++) {
		value = value_of(parameter, request);
		if (!value && parameter->needed)
			return err_usage(err, -EINVAL, "%s is missing: give %s", parameter->name,
					 parameter->like);
		if (!value)
			continue;
		ret = check(parameter, value, err);
		add(line, "--%s=%s", parameter->name, value);
	}
	return ret;
}

int ui_question(const struct ui_instance *instance, const struct ui_request *request,
		struct ui_question *out, struct err *err)
{
	const struct endpoint *endpoint = endpoint_find(request->path);
	struct line line = { .out = out };
	size_t i;
	int ret;

	if (!endpoint)
		return -ENOENT;
	ret = check_names(endpoint, request, err);
	if (ret)
		return ret;
	memset(out, 0, sizeof(*out));
	for (i = 0; endpoint->words[i]; i++)
		add(&line, "%s", endpoint->words[i]);
	ret = add_parameters(&line, endpoint, request, err);
	add(&line, "--output=json");
	add(&line, "--bpffs=%s", instance->bpffs);
	if (endpoint->state)
		add(&line, "--state=%s", instance->state);
	if (!ret && line.ret)
		return err_system(err, line.ret, "%s: --bpffs or --state", request->path);
	return ret;
}

/* ---- names of this machine --------------------------------------------------------- */

/* Its port is of no matter: a tunnel has one of its own. @return false: it is too long */
static bool without_port(const char *host, char out[static ADDR_STRLEN + 1])
{
	size_t len = *host == '[' ? strcspn(host, "]") : strcspn(host, ":");
	size_t from = *host == '[';

	if (len - from > ADDR_STRLEN || (from && host[len] != ']'))
		return false;
	memcpy(out, host + from, len - from);
	out[len - from] = '\0';
	return true;
}

bool ui_host_is_loopback(const char *host)
{
	const struct sh_addr loopback6 = { .w = { 0, 0, 0, htonl(1) } };
	char name[ADDR_STRLEN + 1];
	struct sh_addr addr;

	if (!host || !without_port(host, name))
		return false;
	if (!strcasecmp(name, "localhost"))
		return true;
	if (addr_parse(name, &addr))
		return false;
	if (addr_family(&addr) == FAMILY_IPV4)
		return ntohl(addr.w[3]) >> 24 == 127;
	return *host == '[' && addr_eq(&addr, &loopback6);
}

/* ---- errors ------------------------------------------------------------------------- */

char *ui_error_body(const char *text)
{
	json_t *tree = json_pack("{s:s, s:s}", "kind", "Error", "message", text);
	char *body;

	/* Bytes that are no UTF-8 are nobody's to send back. */
	if (!tree)
		tree = json_pack("{s:s, s:s}", "kind", "Error", "message",
				 "the request is not UTF-8");
	body = tree ? json_dumps(tree, JSON_COMPACT) : NULL;
	json_decref(tree);
	return body;
}
