// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "monitor/monitor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/nearest.h"

/* ---- words --------------------------------------------------------------------------- */

static const char *kind_word(unsigned int n)
{
	return event_word((enum sh_event_kind)n);
}

static const char *drop_word(unsigned int n)
{
	return reason_word((enum sh_reason)n);
}

/* Words and their numbers, from 1. */
struct words {
	const char *(*word)(unsigned int n);
	unsigned int end;
};

static int word_parse(const struct words *words, const char *text, size_t len, uint64_t *mask)
{
	unsigned int n;

	for (n = 1; n < words->end; n++) {
		if (strlen(words->word(n)) == len && !strncmp(words->word(n), text, len)) {
			*mask |= 1ull << n;
			return 0;
		}
	}
	return -EINVAL;
}

static int words_parse(const struct words *words, const char *text, const char *option,
		       uint64_t *out, struct err *err)
{
	char word[64], hint[96], all[512] = "";
	struct nearest nearest;
	uint64_t mask = 0;
	unsigned int n;
	size_t len, at;

	for (;; text += len + 1) {
		len = strcspn(text, ",");
		if (word_parse(words, text, len, &mask))
			break;
		if (!text[len]) {
			*out = mask;
			return 0;
		}
	}
	(void)snprintf(word, sizeof(word), "%.*s", (int)len, text);
	nearest_init(&nearest, word);
	for (n = 1; n < words->end; n++) {
		nearest_offer(&nearest, words->word(n));
		at = strlen(all);
		(void)snprintf(all + at, sizeof(all) - at, "%s%s", n > 1 ? ", " : "",
			       words->word(n));
	}
	return err_usage(err, -EINVAL, "--%s: \"%s\" is none of %s%s", option, word, all,
			 nearest_hint(&nearest, hint, sizeof(hint)));
}

int monitor_kinds_parse(const char *text, const char *option, uint32_t *out, struct err *err)
{
	const struct words words = { kind_word, SH_EVENT_COUNT };
	uint64_t mask = 0;
	int ret = words_parse(&words, text, option, &mask, err);

	if (!ret)
		*out = (uint32_t)mask;
	return ret;
}

int monitor_reasons_parse(const char *text, const char *option, uint64_t *out, struct err *err)
{
	const struct words words = { drop_word, SH_REASON_COUNT };

	return words_parse(&words, text, option, out, err);
}

/* ---- addresses ------------------------------------------------------------------------- */

static bool port_parse(const char *text, __be16 *out)
{
	char *end;
	unsigned long port;

	if (*text < '0' || *text > '9')
		return false;
	port = strtoul(text, &end, 10);
	if (*end || port < 1 || port > UINT16_MAX)
		return false;
	*out = htons((uint16_t)port);
	return true;
}

static bool address_parse(const char *text, size_t len, struct addr_net *out)
{
	char addr[ADDR_STRLEN + 4];

	if (len >= sizeof(addr))
		return false;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (!addr_net_parse(addr, out))
		return true;
	if (addr_parse(addr, &out->addr))
		return false;
	out->len = addr_family(&out->addr) == FAMILY_IPV4 ? 32 : 128;
	return true;
}

int monitor_end_parse(const char *text, const char *option, struct monitor_end *out,
		      struct err *err)
{
	const char *colon = strrchr(text, ':'), *bracket = strchr(text, ']');
	struct monitor_end end = { .given = true };
	bool right;

	if (text[0] == '[' && bracket && bracket[1] == ':')
		right = address_parse(text + 1, (size_t)(bracket - text - 1), &end.net) &&
			port_parse(bracket + 2, &end.port);
	else if (colon && strchr(text, ':') == colon)
		right = address_parse(text, (size_t)(colon - text), &end.net) &&
			port_parse(colon + 1, &end.port);
	else
		right = address_parse(text, strlen(text), &end.net);
	if (!right)
		return err_usage(err, -EINVAL,
				 "--%s: \"%.100s\" is neither an address, a network nor "
				 "ADDRESS:PORT, such as 10.0.0.1, 10.0.0.0/8, [fd00::1]:80",
				 option, text);
	*out = end;
	return 0;
}

int monitor_service_parse(const char *text, const char *ns, struct monitor_filter *filter,
			  struct err *err)
{
	const char *slash = text ? strchr(text, '/') : NULL;

	if (slash && (slash == text || !slash[1] || strchr(slash + 1, '/')))
		return err_usage(err, -EINVAL,
				 "--service: \"%.100s\" is not NAME or NAMESPACE/NAME", text);
	if (slash && ns &&
	    (strlen(ns) != (size_t)(slash - text) ||
	     strncmp(ns, text, (size_t)(slash - text)) != 0))
		return err_usage(err, -EINVAL, "--service %.100s is not in --namespace %.64s", text,
				 ns);
	filter->ns = slash ? text : ns;
	filter->ns_len = slash ? (size_t)(slash - text) : ns ? strlen(ns) : 0;
	filter->service = slash ? slash + 1 : text;
	return 0;
}

/* ---- deciding ----------------------------------------------------------------------------- */

static bool end_is(const struct monitor_end *end, const struct sh_addr *addr, __be16 port)
{
	return addr_net_contains(&end->net, addr) && (!end->port || end->port == port);
}

bool monitor_is_narrow(const struct monitor_filter *filter)
{
	return filter->ns || filter->service || filter->src.given || filter->dst.given;
}

bool monitor_takes(const struct monitor_filter *filter, const struct monitor_ends *ends,
		   const struct sh_meta_service *service)
{
	if ((filter->ns || filter->service) && !service)
		return false;
	if (filter->ns && (strlen(service->ns) != filter->ns_len ||
			   strncmp(service->ns, filter->ns, filter->ns_len) != 0))
		return false;
	if (filter->service && strcmp(service->name, filter->service) != 0)
		return false;
	if (filter->src.given &&
	    !(ends->has_client && end_is(&filter->src, &ends->client, ends->client_port)))
		return false;
	return !filter->dst.given || end_is(&filter->dst, &ends->virt, ends->virt_port) ||
	       (ends->has_backend && end_is(&filter->dst, &ends->backend, ends->backend_port));
}
