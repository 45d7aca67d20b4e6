/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "util/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(struct err *err, enum exit_code code, const char *fmt, va_list args)
{
	err->exit = code;
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, args);
}

int err_input(struct err *err, int ret, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (err)
		fill(err, EXIT_INPUT, fmt, args);
	va_end(args);
	return ret;
}

int err_usage(struct err *err, int ret, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (err)
		fill(err, EXIT_USAGE, fmt, args);
	va_end(args);
	return ret;
}

int err_system(struct err *err, int ret, const char *fmt, ...)
{
	va_list args;
	size_t len;

	va_start(args, fmt);
	if (err) {
		fill(err, EXIT_SYSTEM, fmt, args);
		len = strlen(err->msg);
		(void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(-ret));
	}
	va_end(args);
	return ret;
}

void err_prefix(struct err *err, const char *fmt, ...)
{
	char below[sizeof(err->msg)];
	va_list args;
	size_t len;

	if (!err)
		return;
	memcpy(below, err->msg, sizeof(below));
	va_start(args, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);
	len = strlen(err->msg);
	(void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", below);
}
