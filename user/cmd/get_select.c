// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/get_select.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "ptest/file.h"
#include "shunt/limits.h"
#include "util/nearest.h"

/* ---- labels -------------------------------------------------------------------- */

struct scan {
	const char *text, *at; /* all of it, for messages; what is left */
	struct arena *arena;
	struct err *err;
};

static int refuse(const struct scan *scan, const char *why)
{
	return err_usage(scan->err, -EINVAL,
			 "--selector: \"%.100s\": %s (like app=web,tier!=db,env in (a,b),!old)",
			 scan->text, why);
}

static void skip_blanks(struct scan *scan)
{
	while (*scan->at == ' ')
		scan->at++;
}

/* Is @token next? Then it is taken. */
static bool take(struct scan *scan, const char *token)
{
	const size_t len = strlen(token);

	skip_blanks(scan);
	if (strncmp(scan->at, token, len) != 0)
		return false;
	scan->at += len;
	return true;
}

/* Letters, digits and "-_./": a key or a value; may be empty. */
static int take_word(struct scan *scan, const char **out)
{
	size_t len = 0;

	skip_blanks(scan);
	while (isalnum((unsigned char)scan->at[len]) ||
	       (scan->at[len] && strchr("-_./", scan->at[len])))
		len++;
	*out = arena_strndup(scan->arena, scan->at, len);
	if (!*out)
		return err_system(scan->err, -ENOMEM, "read --selector");
	scan->at += len;
	return 0;
}

static int take_key(struct scan *scan, const char **out)
{
	const char *name, *slash;
	int ret;

	ret = take_word(scan, out);
	if (ret)
		return ret;
	if (!**out)
		return refuse(scan, "a label's name is missing");
	slash = strchr(*out, '/');
	name = slash ? slash + 1 : *out;
	if (!*name || strchr(name, '/') || strlen(name) > SH_NAME_MAX ||
	    (slash && (slash == *out || slash - *out > SH_SUBDOMAIN_MAX)))
		return refuse(scan, "a label's name is NAME or PREFIX/NAME of at most 63 letters");
	return 0;
}

static int add_value(struct scan *scan, struct label_requirement *requirement)
{
	const char *value;
	int ret;

	if (requirement->n_values == SH_SELECTOR_TERMS)
		return refuse(scan, "more than 256 values (limit SH_SELECTOR_TERMS)");
	ret = take_word(scan, &value);
	if (!ret && strlen(value) > SH_NAME_MAX)
		ret = refuse(scan, "a label's value has at most 63 letters");
	if (!ret)
		requirement->values[requirement->n_values++] = value;
	return ret;
}

/* "(a, b)" */
static int take_values(struct scan *scan, struct label_requirement *requirement)
{
	int ret;

	if (!take(scan, "("))
		return refuse(scan, "\"in\" and \"notin\" take values in parentheses");
	do {
		ret = add_value(scan, requirement);
	} while (!ret && take(scan, ","));
	if (!ret && !take(scan, ")"))
		ret = refuse(scan, "a closing parenthesis is missing");
	return ret;
}

/* A word of its own behind the key, and the blanks that have been skipped: not "in" of "inside". */
static bool take_operator(struct scan *scan, const char *word)
{
	const char *before = scan->at;

	if (scan->at[-1] == ' ' && take(scan, word) && (*scan->at == ' ' || *scan->at == '('))
		return true;
	scan->at = before;
	return false;
}

static int take_requirement(struct scan *scan, struct label_requirement *out)
{
	bool absent = take(scan, "!");
	int ret;

	out->values = arena_array(scan->arena, SH_SELECTOR_TERMS, sizeof(char *));
	if (!out->values)
		return err_system(scan->err, -ENOMEM, "read --selector");
	ret = take_key(scan, &out->key);
	if (ret)
		return ret;
	out->test = absent ? LABEL_ABSENT : LABEL_EXISTS;
	if (absent)
		return 0;
	if (take(scan, "!=")) {
		out->test = LABEL_NOT_IN;
		return add_value(scan, out);
	}
	if (take(scan, "==") || take(scan, "=")) {
		out->test = LABEL_IN;
		return add_value(scan, out);
	}
	if (take_operator(scan, "notin")) {
		out->test = LABEL_NOT_IN;
		return take_values(scan, out);
	}
	if (take_operator(scan, "in")) {
		out->test = LABEL_IN;
		return take_values(scan, out);
	}
	return 0;
}

int selector_parse(const char *text, struct arena *arena, struct selector *out, struct err *err)
{
	struct scan scan = { .text = text, .at = text, .arena = arena, .err = err };
	struct selector selector = { 0 };
	int ret;

	selector.v = arena_array(arena, SH_SELECTOR_MAX, sizeof(*selector.v));
	if (!selector.v)
		return err_system(err, -ENOMEM, "read --selector");
	do {
		if (selector.n == SH_SELECTOR_MAX)
			return refuse(&scan, "more than 64 requirements (limit SH_SELECTOR_MAX)");
		ret = take_requirement(&scan, &selector.v[selector.n++]);
	} while (!ret && take(&scan, ","));
	skip_blanks(&scan);
	if (!ret && *scan.at)
		ret = refuse(&scan, "it is not understood");
	if (!ret)
		*out = selector;
	return ret;
}

static bool requirement_takes(const struct label_requirement *requirement, const char *value)
{
	size_t i;

	if (requirement->test == LABEL_EXISTS || requirement->test == LABEL_ABSENT)
		return (value != NULL) == (requirement->test == LABEL_EXISTS);
	for (i = 0; value && i < requirement->n_values; i++) {
		if (!strcmp(requirement->values[i], value))
			return requirement->test == LABEL_IN;
	}
	return requirement->test == LABEL_NOT_IN;
}

bool selector_takes(const struct selector *selector, const struct labels *labels)
{
	size_t i;

	for (i = 0; i < selector->n; i++) {
		const struct label_requirement *requirement = &selector->v[i];

		if (!requirement_takes(requirement, labels_get(labels, requirement->key)))
			return false;
	}
	return true;
}

/* ---- ends of connections ----------------------------------------------------------- */

int get_end_parse(const char *option, const char *text, struct get_end *out, struct err *err)
{
	struct get_end end = { .given = true };
	struct ptest_target target;

	if (!addr_parse(text, &end.net.addr)) {
		end.net.len = sh_addr_is_v4(&end.net.addr) ? 32 : 128;
	} else if (!ptest_target_parse(text, &target)) {
		end.net.addr = target.addr;
		end.net.len = sh_addr_is_v4(&target.addr) ? 32 : 128;
		end.port = target.port;
	} else if (addr_net_parse(text, &end.net)) {
		return err_usage(err, -EINVAL,
				 "--%s: \"%.100s\" is not IP, NETWORK/BITS (host bits zero) or "
				 "IP:PORT, such as 10.0.0.1, 10.0.0.0/8, 10.0.0.1:80, [fd00::1]:80",
				 option, text);
	}
	*out = end;
	return 0;
}

bool get_end_takes(const struct get_end *end, const struct sh_addr *addr, __be16 port)
{
	if (!end->given)
		return true;
	return (!end->port || end->port == port) && addr_net_contains(&end->net, addr);
}

/* ---- order ------------------------------------------------------------------------- */

static bool is_called(const struct column *column, const char *name)
{
	return (column->header && !strcasecmp(column->header, name)) ||
	       (column->key && !strcasecmp(column->key, name));
}

const char *get_order_word(const struct column *column, char buf[static ORDER_WORD_LEN])
{
	const char *name = column->header ? column->header : column->key;
	size_t i;

	if (!name)
		return NULL;
	for (i = 0; name[i] && i + 1 < ORDER_WORD_LEN; i++)
		buf[i] = column->header ? (char)tolower((unsigned char)name[i]) : name[i];
	buf[i] = '\0';
	return buf;
}

static int unknown_column(const struct listing *listing, const char *name, struct err *err)
{
	char words[OUTPUT_COLUMNS_MAX][ORDER_WORD_LEN], hint[96];
	struct nearest nearest;
	size_t i;

	nearest_init(&nearest, name);
	for (i = 0; i < listing->n_columns; i++) {
		if (get_order_word(&listing->columns[i], words[i]))
			nearest_offer(&nearest, words[i]);
	}
	return err_usage(err, -EINVAL, "--sort-by: %s lists have no column \"%.64s\"%s%s",
			 listing->word, name, nearest_hint(&nearest, hint, sizeof(hint)),
			 nearest.best ? ""
				      : "; the headers of -o wide and the fields of -o json are");
}

int get_order_parse(const struct listing *listing, const char *text, struct rows_order *out,
		    struct err *err)
{
	const char sign = *text == '-' || *text == '+' ? *text : '\0';
	const char *name = text + (sign != '\0');
	enum column_type type;
	size_t i;

	for (i = 0; i < listing->n_columns; i++) {
		if (is_called(&listing->columns[i], name))
			break;
	}
	if (i == listing->n_columns)
		return unknown_column(listing, name, err);
	type = listing->columns[i].type;
	out->column = i;
	out->descending = type != COLUMN_TEXT && type != COLUMN_TREE;
	if (sign)
		out->descending = sign == '-';
	return 0;
}
