// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Longer words are nobody's verb, option or resource; it bounds the row on the stack. */
#define NEAREST_WORD_MAX 64

void nearest_init(struct nearest *nearest, const char *word)
{
	nearest->word = word;
	nearest->best = NULL;
	/* A third of the letters may be wrong, and at least one. */
	nearest->distance = strlen(word) / 3 + 2;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Damerau-Levenshtein (adjacent letters swapped count once), case ignored.
 * Rows @before, @row and @next are those of a[i-2], a[i-1] and a[i].
 */
static void next_row(const char *a, size_t i, const char *b, size_t rows[3][NEAREST_WORD_MAX + 1])
{
	const size_t *before = rows[(i + 1) % 3], *row = rows[(i + 2) % 3];
	size_t *next = rows[i % 3], j, cost;

	next[0] = i;
	for (j = 1; b[j - 1]; j++) {
		int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

		cost = x != y;
		next[j] = smaller(row[j - 1] + cost, smaller(row[j], next[j - 1]) + 1);
		if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
		    y == tolower((unsigned char)a[i - 2]))
			next[j] = smaller(next[j], before[j - 2] + 1);
	}
}

static size_t distance(const char *a, const char *b)
{
	size_t rows[3][NEAREST_WORD_MAX + 1] = { 0 }, n = strlen(b), i;

	for (i = 0; i <= n; i++)
		rows[0][i] = i;
	for (i = 1; a[i - 1]; i++)
		next_row(a, i, b, rows);
	return rows[(i - 1) % 3][n];
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	size_t d;

	if (strlen(nearest->word) > NEAREST_WORD_MAX || strlen(name) > NEAREST_WORD_MAX)
		return;
	d = distance(nearest->word, name);
	/* A word that shares no letter in its place with a short name isn't meant by it. */
	if (d >= nearest->distance || d >= strlen(name))
		return;
	nearest->distance = d;
	nearest->best = name;
}

const char *nearest_hint(const struct nearest *nearest, char *buf, size_t size)
{
	buf[0] = '\0';
	if (nearest->best)
		(void)snprintf(buf, size, " (did you mean \"%s\"?)", nearest->best);
	return buf;
}
