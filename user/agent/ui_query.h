/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the web page asks -> the command that answers it. Nothing of a request is
 * passed on that isn't understood here: each parameter becomes one word of a
 * command line, --NAME=VALUE, of characters that its kind allows. No I/O.
 */
#ifndef SHUNT_USER_UI_QUERY_H
#define SHUNT_USER_UI_QUERY_H

#include "agent/http.h"
#include "util/err.h"

#define UI_WORDS_MAX 10
#define UI_WORD_SIZE 512 /* the longest are paths: --bpffs=, --state= */

/* A command of this very program. All bytes count: equal ones have the same answer. */
struct ui_question {
	char words[UI_WORDS_MAX][UI_WORD_SIZE]; /* up to the first empty one */
};

/* As it came. */
struct ui_request {
	const char *path;
	const struct http_argument *arguments;
	size_t n;
};

/* Which instance is asked about. */
struct ui_instance {
	const char *bpffs, *state;
};

/*
 * @return 0 and *@out; -ENOENT: there is no such path; -EINVAL: *@err says which parameter
 * is wrong, and how; -ENAMETOOLONG: a path of @instance is
 */
int ui_question(const struct ui_instance *instance, const struct ui_request *request,
		struct ui_question *out, struct err *err);

/*
 * A page that a loopback address serves is asked for by a name of this machine. By another
 * one it is asked for where somebody's DNS has led a browser astray.
 */
bool ui_host_is_loopback(const char *host);

/* {"kind":"Error","message":TEXT}, malloc()ed; NULL: no memory */
char *ui_error_body(const char *text);

#endif
