/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The bytes of large transfers: both ends know what stands at which offset. */
#ifndef SHUNT_TESTS_PATTERN_H
#define SHUNT_TESTS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A multiplicative hash: a shifted, repeated or missing segment doesn't look right anywhere. */
static inline unsigned char pattern_byte(uint64_t offset)
{
	return (unsigned char)((offset * 0x9e3779b97f4a7c15ull) >> 56);
}

static inline void pattern_fill(char *buf, size_t len, uint64_t offset)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)pattern_byte(offset + i);
}

static inline bool pattern_check(const char *buf, size_t len, uint64_t offset)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)buf[i] != pattern_byte(offset + i))
			return false;
	}
	return true;
}

#endif
