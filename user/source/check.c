/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/check.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shunt/limits.h"
#include "util/nearest.h"

#define TEXT(limit)  TEXT_(limit)
#define TEXT_(limit) #limit

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

#define TOO_LONG_NAME	   "is longer than SH_NAME_MAX (" TEXT(SH_NAME_MAX) ") characters"
#define TOO_LONG_SUBDOMAIN "is longer than SH_SUBDOMAIN_MAX (" TEXT(SH_SUBDOMAIN_MAX) ") characters"

#define LABEL_RULE \
	"is no DNS label: lower case letters, digits and '-', a letter or digit at both ends"
#define LABEL1035_RULE                                                                     \
	"is no DNS label (RFC 1035): lower case letters, digits and '-', a letter at the " \
	"beginning, a letter or digit at the end"
#define SUBDOMAIN_RULE                                                                             \
	"is no DNS name: lower case letters, digits, '-' and '.', a letter or digit at both ends " \
	"of each part"
#define NAME_RULE \
	"is no valid label: letters, digits, '-', '_' and '.', a letter or digit at both ends"
#define KEY_RULE                                                                                   \
	"is no valid key: [DNS name/]name; the name: letters, digits, '-', '_' and '.', a letter " \
	"or digit at both ends"

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_label(const char *text, size_t len)
{
	return len && strspn(text, LOWER DIGIT "-") >= len && is_lower_or_digit(text[0]) &&
	       is_lower_or_digit(text[len - 1]);
}

static bool is_subdomain(const char *text, size_t len)
{
	size_t part;

	do {
		const char *dot = memchr(text, '.', len);

		part = dot ? (size_t)(dot - text) : len;
		if (!is_label(text, part))
			return false;
		text += part + 1;
		len -= part;
	} while (len--);
	return true;
}

const char *check_dns_label(const char *text)
{
	const size_t len = strlen(text);

	if (len > SH_NAME_MAX)
		return TOO_LONG_NAME;
	return is_label(text, len) ? NULL : LABEL_RULE;
}

const char *check_dns1035_label(const char *text)
{
	const size_t len = strlen(text);

	if (len > SH_NAME_MAX)
		return TOO_LONG_NAME;
	return is_label(text, len) && text[0] >= 'a' ? NULL : LABEL1035_RULE;
}

const char *check_dns_subdomain(const char *text)
{
	const size_t len = strlen(text);

	if (len > SH_SUBDOMAIN_MAX)
		return TOO_LONG_SUBDOMAIN;
	return is_subdomain(text, len) ? NULL : SUBDOMAIN_RULE;
}

const char *check_external_name(const char *text)
{
	size_t len = strlen(text);

	if (len && text[len - 1] == '.')
		len--;
	if (len > SH_SUBDOMAIN_MAX)
		return TOO_LONG_SUBDOMAIN;
	return is_subdomain(text, len) ? NULL : SUBDOMAIN_RULE;
}

static const char *check_name(const char *text, const char *rule)
{
	const size_t len = strlen(text);

	if (len > SH_NAME_MAX)
		return TOO_LONG_NAME;
	if (!len || text[strspn(text, LOWER UPPER DIGIT "-_.")])
		return rule;
	return isalnum((unsigned char)text[0]) && isalnum((unsigned char)text[len - 1]) ? NULL
											: rule;
}

const char *check_qualified_name(const char *text)
{
	const char *slash = strchr(text, '/');

	if (!slash)
		return check_name(text, KEY_RULE);
	if (slash - text > SH_SUBDOMAIN_MAX)
		return TOO_LONG_SUBDOMAIN;
	if (!is_subdomain(text, (size_t)(slash - text)))
		return KEY_RULE;
	return check_name(slash + 1, KEY_RULE);
}

const char *check_label_value(const char *text)
{
	return *text ? check_name(text, NAME_RULE) : NULL;
}

const char *check_port_name(const char *text)
{
	const size_t len = strlen(text);

	if (len > 15)
		return "is no port name: longer than 15 characters";
	if (!is_label(text, len) || strstr(text, "--"))
		return "is no port name: lower case letters, digits and single '-', a letter or "
		       "digit at both ends";
	return strpbrk(text, LOWER) ? NULL : "is no port name: it must hold a letter";
}

const char *check_ip(const char *text)
{
	struct sh_addr addr;

	return addr_parse(text, &addr) ? "is no IP address" : NULL;
}

const char *check_ip_or_none(const char *text)
{
	return strcmp(text, "None") != 0 && check_ip(text) ? "is neither an IP address nor None"
							   : NULL;
}

const char *check_cidr(const char *text)
{
	struct addr_net net;

	return addr_net_parse(text, &net) ? "is no network: ADDRESS/LENGTH, its host bits zero"
					  : NULL;
}

const char *check_any(const char *text)
{
	return NULL;
}

/* Split "ADDRESS/LENGTH", blanks around it dropped. @return 0 or -EINVAL */
static int range_split(const char *text, struct sh_addr *addr_out, unsigned int *len_out)
{
	char addr[ADDR_STRLEN], *end;
	const char *slash;
	unsigned long len;

	text += strspn(text, " \t");
	slash = strchr(text, '/');
	if (!slash || (size_t)(slash - text) >= sizeof(addr) || !strchr(DIGIT, slash[1]))
		return -EINVAL;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	len = strtoul(slash + 1, &end, 10);
	if (end == slash + 1 || end > slash + 4 || end[strspn(end, " \t")])
		return -EINVAL;
	if (addr_parse(addr, addr_out))
		return -EINVAL;
	if (len > (sh_addr_is_v4(addr_out) ? 32 : 128))
		return -EINVAL;
	*len_out = (unsigned int)len;
	return 0;
}

const char *check_source_range(const char *text)
{
	struct sh_addr addr;
	unsigned int len;

	return range_split(text, &addr, &len) ? "is no network: ADDRESS/LENGTH" : NULL;
}

struct addr_net source_range_net(const char *text)
{
	struct addr_net net = { 0 };
	unsigned int bit;

	(void)range_split(text, &net.addr, &net.len);
	for (bit = (sh_addr_is_v4(&net.addr) ? 96 : 0) + net.len; bit < 128; bit++)
		net.addr.b[bit / 8] &= (__u8)~(0x80 >> bit % 8);
	return net;
}

const char *check_special_addr(const struct sh_addr *addr)
{
	static const struct {
		const char *net, *why;
	} special[] = {
		{ "0.0.0.0/32", "is the unspecified address" },
		{ "::/128", "is the unspecified address" },
		{ "127.0.0.0/8", "is a loopback address" },
		{ "::1/128", "is a loopback address" },
		{ "169.254.0.0/16", "is a link-local address" },
		{ "fe80::/10", "is a link-local address" },
		{ "224.0.0.0/4", "is a multicast address" },
		{ "ff00::/8", "is a multicast address" },
	};
	const __u8 first = sh_addr_is_v4(addr) ? addr->b[12] : addr->b[0];
	struct addr_net net;
	size_t i;

	/* The first byte rules out nearly every address: this runs once per endpoint. */
	if (first && first != 127 && first != 169 && first < 224)
		return NULL;
	for (i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if (!addr_net_parse(special[i].net, &net) && addr_net_contains(&net, addr))
			return special[i].why;
	}
	return NULL;
}

/* ---- the nearest word ---------------------------------------------------- */

const char *nearest_word(const char *text, const char *const *words, size_t n)
{
	struct nearest nearest;
	size_t i;

	if (!*text)
		return NULL;
	nearest_init(&nearest, text);
	/* Further away it is another word of the schema, not a slip. */
	nearest.distance = strlen(text) / 3 + 1;
	for (i = 0; i < n; i++)
		nearest_offer(&nearest, words[i]);
	return nearest.best;
}
