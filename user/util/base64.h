/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Base64 (RFC 4648, section 4), as the "-data" fields of kubeconfig files have it. */
#ifndef SHUNT_USER_BASE64_H
#define SHUNT_USER_BASE64_H

#include <stddef.h>

/* Bytes that @len characters of base64 need at most. */
#define BASE64_BYTES(len) ((len) / 4 * 3 + 3)

/*
 * Decode @len characters to @out, which has room for BASE64_BYTES(len). Line
 * breaks and blanks between them don't count; padding is needed, and its
 * unused bits must be zero. @return the number of bytes, or -EINVAL
 */
long base64_decode(const char *text, size_t len, unsigned char *out);

#endif
