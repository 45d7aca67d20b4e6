/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "util/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Bits of struct sh_addr before those of the address itself. */
static unsigned int prefix_bits(const struct sh_addr *addr)
{
	return sh_addr_is_v4(addr) ? 96 : 0;
}

int addr_parse(const char *text, struct sh_addr *out)
{
	struct sh_addr addr;
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*out = addr_from_v4(v4.s_addr);
		return 0;
	}
	if (inet_pton(AF_INET6, text, addr.b) != 1)
		return -EINVAL;
	/* The mapped form is how IPv4 is stored here: it must not come in by another door. */
	if (sh_addr_is_v4(&addr))
		return -EINVAL;
	*out = addr;
	return 0;
}

static int prefix_len_parse(const char *text, unsigned int most, unsigned int *out)
{
	unsigned int len = 0;
	size_t i;

	if (!*text || (text[0] == '0' && text[1]))
		return -EINVAL;
	for (i = 0; text[i]; i++) {
		if (i >= 3 || text[i] < '0' || text[i] > '9')
			return -EINVAL;
		len = len * 10 + (unsigned int)(text[i] - '0');
	}
	if (len > most)
		return -EINVAL;
	*out = len;
	return 0;
}

/* Bit @i of @addr, counted from the most significant one. */
static bool addr_bit(const struct sh_addr *addr, unsigned int i)
{
	return addr->b[i / 8] >> (7 - i % 8) & 1;
}

int addr_net_parse(const char *text, struct addr_net *out)
{
	const char *slash = strchr(text, '/');
	char addr[ADDR_STRLEN];
	struct addr_net net;
	unsigned int i;
	int ret;

	if (!slash || (size_t)(slash - text) >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	ret = addr_parse(addr, &net.addr);
	if (ret)
		return ret;
	ret = prefix_len_parse(slash + 1, 128 - prefix_bits(&net.addr), &net.len);
	if (ret)
		return ret;
	for (i = prefix_bits(&net.addr) + net.len; i < 128; i++) {
		if (addr_bit(&net.addr, i))
			return -EINVAL;
	}
	*out = net;
	return 0;
}

/* By hand, as the two below: a list of flows has millions. @return the end of the number */
static char *put_number(char *to, unsigned int number)
{
	char digits[10];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (n)
		*to++ = digits[--n];
	return to;
}

/* @return the end, a NUL */
static char *put_addr(char *to, const struct sh_addr *addr)
{
	unsigned int i;

	if (!sh_addr_is_v4(addr)) {
		(void)inet_ntop(AF_INET6, addr->b, to, ADDR_STRLEN);
		return to + strlen(to);
	}
	for (i = 12; i < 16; i++) {
		to = put_number(to, addr->b[i]);
		*to++ = '.';
	}
	*--to = '\0';
	return to;
}

const char *addr_format(const struct sh_addr *addr, char buf[static ADDR_STRLEN])
{
	(void)put_addr(buf, addr);
	return buf;
}

const char *addr_port_format(const struct sh_addr *addr, __be16 port,
			     char buf[static ADDR_PORT_STRLEN])
{
	const bool v6 = !sh_addr_is_v4(addr);
	char *to = buf;

	if (v6)
		*to++ = '[';
	to = put_addr(to, addr);
	if (v6)
		*to++ = ']';
	*to++ = ':';
	*put_number(to, ntohs(port)) = '\0';
	return buf;
}

enum family addr_family(const struct sh_addr *addr)
{
	return sh_addr_is_v4(addr) ? FAMILY_IPV4 : FAMILY_IPV6;
}

const char *family_name(enum family family)
{
	switch (family) {
	case FAMILY_IPV4:
		return "IPv4";
	case FAMILY_IPV6:
		return "IPv6";
	case FAMILY_NONE:
		break;
	}
	return "none";
}

int addr_cmp(const struct sh_addr *a, const struct sh_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

bool addr_eq(const struct sh_addr *a, const struct sh_addr *b)
{
	return !addr_cmp(a, b);
}

bool addr_net_contains(const struct addr_net *net, const struct sh_addr *addr)
{
	const unsigned int bits = prefix_bits(&net->addr) + net->len;
	const unsigned int rest = bits % 8;

	if (addr_family(&net->addr) != addr_family(addr))
		return false;
	if (memcmp(net->addr.b, addr->b, bits / 8) != 0)
		return false;
	return !rest || !((net->addr.b[bits / 8] ^ addr->b[bits / 8]) >> (8 - rest));
}

struct sh_addr addr_from_v4(__be32 v4)
{
	return (struct sh_addr){ .w = { 0, 0, SH_MAPPED_PREFIX, v4 } };
}

struct sh_addr addr_add(const struct sh_addr *addr, __u64 n)
{
	const unsigned int first = prefix_bits(addr) / 8;
	struct sh_addr sum = *addr;
	unsigned int i;
	__u64 carry = n;

	/* A byte at a time from the last one; what overflows the family's first byte is lost. */
	for (i = 16; i-- > first && carry;) {
		const __u64 low = sum.b[i] + (carry & 0xff);

		sum.b[i] = (__u8)low;
		carry = (carry >> 8) + (low >> 8);
	}
	return sum;
}
