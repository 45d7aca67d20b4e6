/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "util/base64.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The last group: @n characters of it, @pad times '='. @return its bytes, or -EINVAL */
static int decode_rest(uint32_t bits, unsigned int n, unsigned int pad, unsigned char *out)
{
	if (!n && !pad)
		return 0;
	if (n < 2 || n + pad != 4)
		return -EINVAL;
	bits <<= 6 * pad;
	/* What is below the last whole byte would be lost: nobody wrote that on purpose. */
	if (bits & ((1u << 8 * pad) - 1))
		return -EINVAL;
	out[0] = (unsigned char)(bits >> 16);
	if (n == 3)
		out[1] = (unsigned char)(bits >> 8);
	return (int)n - 1;
}

long base64_decode(const char *text, size_t len, unsigned char *out)
{
	unsigned char *const first = out;
	unsigned int n = 0, pad = 0;
	uint32_t bits = 0;
	size_t i;
	int rest;

	for (i = 0; i < len; i++) {
		const int value = value_of(text[i]);

		if (text[i] && strchr(" \t\r\n", text[i]))
			continue;
		pad += text[i] == '=';
		if (text[i] == '=' && pad <= 2)
			continue;
		if (value < 0 || pad)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
		if (++n < 4)
			continue;
		*out++ = (unsigned char)(bits >> 16);
		*out++ = (unsigned char)(bits >> 8);
		*out++ = (unsigned char)bits;
		bits = 0;
		n = 0;
	}
	rest = decode_rest(bits, n, pad, out);
	return rest < 0 ? rest : out - first + rest;
}
