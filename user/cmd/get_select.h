/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What narrows and orders a list of `get`: --selector, --src, --dst, --sort-by. */
#ifndef SHUNT_USER_GET_SELECT_H
#define SHUNT_USER_GET_SELECT_H

#include <stdbool.h>
#include <stddef.h>

#include "model/objects.h"
#include "util/addr.h"
#include "util/err.h"
#include "util/output_rows.h"

/* ---- labels -------------------------------------------------------------------- */

enum label_test {
	LABEL_EXISTS = 0, /* key */
	LABEL_ABSENT,	  /* !key */
	LABEL_IN,	  /* key=value, key==value, key in (values) */
	LABEL_NOT_IN,	  /* key!=value, key notin (values): true also without the label */
};

struct label_requirement {
	enum label_test test;
	const char *key;
	const char **values;
	size_t n_values;
};

/* All of them have to hold. */
struct selector {
	struct label_requirement *v;
	size_t n;
};

/* As kubectl's -l; strings are @arena's. @return 0, or a usage error that says what is wrong */
int selector_parse(const char *text, struct arena *arena, struct selector *out, struct err *err);
bool selector_takes(const struct selector *selector, const struct labels *labels);

/* ---- ends of connections ----------------------------------------------------------- */

/* An address or a network, and maybe a port. */
struct get_end {
	bool given;
	struct addr_net net;
	__be16 port; /* 0: any */
};

/* @option: its name, for messages. @return 0 or a usage error */
int get_end_parse(const char *option, const char *text, struct get_end *out, struct err *err);
/* @port 0: there is none, and any will do only where none was asked for */
bool get_end_takes(const struct get_end *end, const struct sh_addr *addr, __be16 port);

/* ---- order ------------------------------------------------------------------------- */

/*
 * A column by its header or its key in JSON, in any case. Numbers and ages descend, texts
 * ascend; "-" before the name: all descend, "+": all ascend.
 */
int get_order_parse(const struct listing *listing, const char *text, struct rows_order *out,
		    struct err *err);
/* What --sort-by calls the column: its header, in small letters; or its key. */
#define ORDER_WORD_LEN 32
const char *get_order_word(const struct column *column, char buf[static ORDER_WORD_LEN]);

#endif
