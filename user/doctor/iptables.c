// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "doctor/iptables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * kube-proxy's chains, in both families and every release since 1.2. The kubelet
 * has KUBE-KUBELET-CANARY and KUBE-FIREWALL; KUBE-MARK-DROP was its own once.
 */
static const char *const names[] = {
	"KUBE-SERVICES",	 "KUBE-EXTERNAL-SERVICES",  "KUBE-NODEPORTS",
	"KUBE-POSTROUTING",	 "KUBE-MARK-MASQ",	    "KUBE-FORWARD",
	"KUBE-PROXY-CANARY",	 "KUBE-PROXY-FIREWALL",	    "KUBE-LOAD-BALANCER",
	"KUBE-SOURCE-RANGES-FW", "KUBE-NODE-PORT",	    "KUBE-IPVS-FILTER",
	"KUBE-IPVS-OUT-FILTER",	 "KUBE-PORTALS-CONTAINER",  "KUBE-PORTALS-HOST",
	"KUBE-NODEPORT-HOST",	 "KUBE-NODEPORT-CONTAINER", "KUBE-NODEPORT-NON-LOCAL",
};
static const char *const prefixes[] = { "KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-",
					"KUBE-FW-",  "KUBE-XLB-", "KUBE-EXT-" };

bool ipt_is_kube_proxy(const char *chain, size_t len)
{
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) == len && !strncmp(names[i], chain, len))
			return true;
	}
	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (len > strlen(prefixes[i]) && !strncmp(prefixes[i], chain, strlen(prefixes[i])))
			return true;
	}
	return false;
}

/* A text that grows. */
struct text {
	char *v;
	size_t len, cap;
	bool failed;
};

static void add(struct text *text, const char *bytes, size_t n)
{
	size_t cap = text->cap ? text->cap : 1024;
	char *bigger;

	while (cap < text->len + n + 1)
		cap *= 2;
	if (cap > text->cap) {
		bigger = realloc(text->v, cap);
		if (!bigger) {
			text->failed = true;
			return;
		}
		text->v = bigger;
		text->cap = cap;
	}
	memcpy(text->v + text->len, bytes, n);
	text->len += n;
	text->v[text->len] = '\0';
}

static void add_words(struct text *text, const char *word, const char *name, size_t len)
{
	add(text, word, strlen(word));
	add(text, name, len);
	add(text, "\n", 1);
}

/* One line, without its end. */
struct line {
	const char *v;
	size_t len;
};

static bool next_line(const char **rest, struct line *out)
{
	if (!**rest)
		return false;
	*out = (struct line){ *rest, strcspn(*rest, "\n") };
	*rest += out->len;
	*rest += **rest == '\n';
	return true;
}

static bool begins(const struct line *line, const char *word)
{
	return line->len >= strlen(word) && !strncmp(line->v, word, strlen(word));
}

/*
 * The word after the option @option. Comments are quoted, and may say anything: what
 * stands between quotes is nobody's option. @return NULL: the rule has none
 */
static const char *option_of(const struct line *line, const char *option, size_t *len_out)
{
	const size_t want = strlen(option);
	bool quoted = false;
	size_t i;

	for (i = 0; i + want < line->len; i++) {
		if (line->v[i] == '\\' && quoted) {
			i++;
			continue;
		}
		if (line->v[i] == '"')
			quoted = !quoted;
		if (quoted || (i && line->v[i - 1] != ' ') || strncmp(line->v + i, option, want) ||
		    line->v[i + want] != ' ')
			continue;
		*len_out = strcspn(line->v + i + want + 1, " \n");
		return line->v + i + want + 1;
	}
	return NULL;
}

static bool is_of_kube_proxy(const struct line *line, const char *option)
{
	size_t len;
	const char *chain = option_of(line, option, &len);

	return chain && ipt_is_kube_proxy(chain, len);
}

/* One table's worth of what is to be done, in the order in which it has to be. */
struct table {
	struct line name;
	struct text jumps, flushes, deletions;
};

static void take_chain(struct table *table, const struct line *line, struct ipt_leftovers *out)
{
	const size_t len = strcspn(line->v + 1, " \n");

	if (!ipt_is_kube_proxy(line->v + 1, len))
		return;
	out->chains++;
	/* A chain that is named in the input of --noflush is emptied. */
	add(&table->flushes, ":", 1);
	add(&table->flushes, line->v + 1, len);
	add(&table->flushes, " - [0:0]\n", 9);
	add_words(&table->deletions, "-X ", line->v + 1, len);
}

static void take_rule(struct table *table, const struct line *line, struct ipt_leftovers *out)
{
	if (is_of_kube_proxy(line, "-A")) {
		out->rules++;
		return;
	}
	if (!is_of_kube_proxy(line, "-j") && !is_of_kube_proxy(line, "-g"))
		return;
	out->jumps++;
	add_words(&table->jumps, "-D", line->v + 2, line->len - 2);
}

static void end_table(struct table *table, struct text *all)
{
	if (table->jumps.len || table->flushes.len) {
		add_words(all, "", table->name.v, table->name.len);
		add(all, table->flushes.v ? table->flushes.v : "", table->flushes.len);
		add(all, table->jumps.v ? table->jumps.v : "", table->jumps.len);
		add(all, table->deletions.v ? table->deletions.v : "", table->deletions.len);
		add(all, "COMMIT\n", 7);
	}
	all->failed |= table->jumps.failed || table->flushes.failed || table->deletions.failed;
	free(table->jumps.v);
	free(table->flushes.v);
	free(table->deletions.v);
	*table = (struct table){ .name = { "", 0 } };
}

int ipt_leftovers_find(const char *save, struct ipt_leftovers *out)
{
	struct table table = { .name = { "", 0 } };
	struct text all = { .v = NULL };
	struct line line;

	*out = (struct ipt_leftovers){ .chains = 0 };
	while (next_line(&save, &line)) {
		if (begins(&line, "*")) {
			end_table(&table, &all);
			table.name = line;
		} else if (begins(&line, ":")) {
			take_chain(&table, &line, out);
		} else if (begins(&line, "-A ")) {
			take_rule(&table, &line, out);
		}
	}
	end_table(&table, &all);
	add(&all, "", 0);
	if (all.failed) {
		free(all.v);
		return -ENOMEM;
	}
	out->restore = all.v;
	return 0;
}

void ipt_leftovers_done(struct ipt_leftovers *leftovers)
{
	free(leftovers->restore);
	*leftovers = (struct ipt_leftovers){ .chains = 0 };
}

/* ---- what drops ---------------------------------------------------------------------------- */

static bool target_is(const struct line *line, const char *const *words, size_t n)
{
	size_t len, i;
	const char *target = option_of(line, "-j", &len);

	for (i = 0; target && i < n; i++) {
		if (strlen(words[i]) == len && !strncmp(words[i], target, len))
			return true;
	}
	return false;
}

static void keep(char *to, size_t size, const struct line *line)
{
	if (!*to)
		(void)snprintf(to, size, "%.*s", (int)line->len, line->v);
}

static bool has_word(const struct line *line, const char *word)
{
	return memmem(line->v, line->len, word, strlen(word));
}

static void look_at_rule(const struct line *line, bool filter, struct ipt_drops *out)
{
	static const char *const drops[] = { "DROP", "REJECT" };
	static const char *const notrack[] = { "NOTRACK" };
	size_t len;
	const char *state = option_of(line, "--ctstate", &len);

	if (target_is(line, notrack, 1) || has_word(line, " --notrack"))
		keep(out->untracked, sizeof(out->untracked), line);
	if (!filter)
		return;
	if (begins(line, "-A FORWARD ") && option_of(line, "-j", &len) &&
	    !target_is(line, drops, 2) && !is_of_kube_proxy(line, "-j"))
		out->accepts = true;
	if (state && target_is(line, drops, 2) && !is_of_kube_proxy(line, "-A") &&
	    !begins(line, "-A INPUT ") && !begins(line, "-A OUTPUT ") &&
	    (has_word(line, "INVALID") || has_word(line, "UNTRACKED")))
		keep(out->invalid, sizeof(out->invalid), line);
}

void ipt_drops_find(const char *save, struct ipt_drops *out)
{
	bool filter = false;
	struct line line;

	*out = (struct ipt_drops){ .policy = false };
	while (next_line(&save, &line)) {
		if (begins(&line, "*"))
			filter = begins(&line, "*filter");
		else if (filter && begins(&line, ":FORWARD DROP"))
			out->policy = true;
		else if (begins(&line, "-A "))
			look_at_rule(&line, filter, out);
	}
}
