/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Errors: modules explain, commands report. A function that fails fills a
 * struct err with what it tried, on which object, and why, and returns a
 * negative errno; only cmd/ and the agent's loop print.
 */
#ifndef SHUNT_USER_ERR_H
#define SHUNT_USER_ERR_H

/* shunt's exit codes; an err carries the one its command ends with. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_INPUT = 1,	 /* the answer is no, or the input is wrong */
	EXIT_USAGE = 2,	 /* the command line is wrong */
	EXIT_SYSTEM = 3, /* the system refused */
};

struct err {
	enum exit_code exit;
	char msg[1024]; /* one line, no newline */
};

/*
 * Fill @err (which may be NULL) and return @ret, a negative errno, so that
 * `return err_input(err, -EINVAL, ...)` is a whole failure. err_system()
 * appends ": strerror(-ret)" itself.
 */
__attribute__((format(printf, 3, 4))) int err_input(struct err *err, int ret, const char *fmt, ...);
__attribute__((format(printf, 3, 4))) int err_usage(struct err *err, int ret, const char *fmt, ...);
__attribute__((format(printf, 3, 4))) int err_system(struct err *err, int ret, const char *fmt,
						     ...);

/* Put "<text>: " before the message of an error that comes from below. */
__attribute__((format(printf, 2, 3))) void err_prefix(struct err *err, const char *fmt, ...);

#endif
