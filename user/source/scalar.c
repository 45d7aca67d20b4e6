/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/scalar.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 80

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (!strcmp(text, *words))
			return true;
	}
	return false;
}

static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
static const char *const trues[] = { "true", "True", "TRUE", "y",  "Y",	 "yes",
				     "Yes",  "YES",  "on",   "On", "ON", NULL };
static const char *const falses[] = { "false", "False", "FALSE", "n",	"N",   "no",
				      "No",    "NO",	"off",	 "Off", "OFF", NULL };
static const char *const specials[] = { ".inf",	 ".Inf",  ".INF",  "+.inf", "+.Inf",
					"+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
					".NaN",	 ".NAN",  NULL };

/* Digits of @base, or nothing but them. */
static bool all_digits(const char *text, unsigned int base)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";

	if (!*text)
		return false;
	for (; *text; text++) {
		const char *found = strchr(digits, *text);

		if (!found || (unsigned int)(found - digits) % 16 >= base)
			return false;
	}
	return true;
}

/* @return what comes after @prefix in @text, or NULL */
static const char *after(const char *text, const char *prefix)
{
	for (; *prefix; text++, prefix++) {
		if (*text != *prefix)
			return NULL;
	}
	return text;
}

/* The base of the unsigned integer in @text, and where its digits begin; 0: none. */
static unsigned int int_base(const char *text, const char **digits_out)
{
	static const struct {
		const char *prefix;
		unsigned int base;
	} bases[] = { { "0x", 16 }, { "0X", 16 }, { "0b", 2 }, { "0B", 2 },
		      { "0o", 8 },  { "0O", 8 },  { "0", 8 } };
	size_t i;

	for (i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		const char *digits = after(text, bases[i].prefix);

		if (digits && all_digits(digits, bases[i].base)) {
			*digits_out = digits;
			return bases[i].base;
		}
	}
	*digits_out = text;
	/* A number with a leading zero is octal: with an 8 or a 9, it is no integer. */
	return all_digits(text, 10) && (text[0] != '0' || !text[1]) ? 10 : 0;
}

/* [-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)? */
static bool is_float(const char *text)
{
	static const char digits[] = "0123456789";

	text += *text == '-' || *text == '+';
	text += strspn(text, digits);
	if (*text == '.') {
		text++;
		if (!strspn(text, digits))
			return false;
		text += strspn(text, digits);
	} else if (!strchr(digits, text[-1])) {
		return false;
	}
	if (!*text)
		return true;
	if (*text != 'e' && *text != 'E')
		return false;
	if (text[1] != '-' && text[1] != '+')
		return false;
	return all_digits(text + 2, 10);
}

/* @text without the underscores that may part digits, or NULL: too long for a number. */
static const char *without_underscores(const char *text, char buf[static DIGITS_MAX])
{
	size_t len = 0;

	for (; *text; text++) {
		if (*text == '_')
			continue;
		if (len + 1 >= DIGITS_MAX)
			return NULL;
		buf[len++] = *text;
	}
	buf[len] = '\0';
	return buf;
}

static enum scalar number_type(const char *text)
{
	char buf[DIGITS_MAX];
	const char *digits, *plain = without_underscores(text, buf);

	if (!plain || !*plain)
		return SCALAR_STRING;
	if (int_base(plain + (*plain == '-' || *plain == '+'), &digits))
		return SCALAR_INT;
	return strpbrk(plain, "0123456789") && is_float(plain) ? SCALAR_FLOAT : SCALAR_STRING;
}

enum scalar scalar_type(const struct tree_node *node)
{
	const char *text = node->text;

	if (!node->plain)
		return SCALAR_STRING;
	if (*text && strchr("0123456789+-.", *text)) {
		if (is_one_of(text, specials))
			return SCALAR_FLOAT;
		return number_type(text);
	}
	/* Most plain scalars are words; the longest of these has five letters. */
	if (node->n > 5)
		return SCALAR_STRING;
	if (is_one_of(text, nulls))
		return SCALAR_NULL;
	if (is_one_of(text, trues) || is_one_of(text, falses))
		return SCALAR_BOOL;
	return SCALAR_STRING;
}

bool scalar_is_null(const struct tree_node *node)
{
	return node->type == TREE_SCALAR && scalar_type(node) == SCALAR_NULL;
}

bool scalar_bool(const struct tree_node *node)
{
	return is_one_of(node->text, trues);
}

int64_t scalar_int(const struct tree_node *node)
{
	char buf[DIGITS_MAX];
	const char *plain = without_underscores(node->text, buf), *digits = plain;
	const bool negative = plain && *plain == '-';
	unsigned long long value;
	unsigned int base;

	if (!plain)
		return INT64_MAX;
	base = int_base(plain + (*plain == '-' || *plain == '+'), &digits);
	errno = 0;
	value = strtoull(digits, NULL, (int)base);
	if (errno || value > INT64_MAX)
		return negative ? INT64_MIN : INT64_MAX;
	return negative ? -(int64_t)value : (int64_t)value;
}

const char *scalar_found(const struct tree_node *node, char buf[static FOUND_LEN])
{
	static const char *const names[] = {
		[SCALAR_STRING] = "the string ", [SCALAR_NULL] = "",
		[SCALAR_BOOL] = "the boolean ",	 [SCALAR_INT] = "the integer ",
		[SCALAR_FLOAT] = "the number ",
	};
	enum scalar type;
	char text[QUOTE_LEN];
	size_t len;

	if (node->type != TREE_SCALAR)
		return node->type == TREE_MAP ? "a map" : "a list";
	type = scalar_type(node);
	if (type == SCALAR_NULL)
		return "null";
	(void)quote(node->text, text);
	len = strlen(text);
	/* Numbers and booleans go without the quotes. */
	if (type != SCALAR_STRING && text[len - 1] == '"') {
		text[len - 1] = '\0';
		(void)snprintf(buf, FOUND_LEN, "%s%s", names[type], text + 1);
	} else {
		(void)snprintf(buf, FOUND_LEN, "%s%s", names[type], text);
	}
	return buf;
}
