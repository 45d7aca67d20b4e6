/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* FNV-1a of 64 bits: tells contents apart that nobody made alike on purpose. */
#ifndef SHUNT_USER_HASH_H
#define SHUNT_USER_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH64_INIT 0xcbf29ce484222325ull

/* @hash: HASH64_INIT, or what the bytes before these gave. */
static inline uint64_t hash64(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	while (len--)
		hash = (hash ^ *at++) * 0x100000001b3ull;
	return hash;
}

#endif
