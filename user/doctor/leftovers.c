// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "doctor/leftovers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/iptables.h"

static int no_memory(struct err *err)
{
	return err_system(err, -ENOMEM, "look for what kube-proxy left");
}

/* @return NULL: no memory */
__attribute__((format(printf, 2, 3))) static const char *text(struct leftovers *leftovers,
							      const char *fmt, ...)
{
	char *made = NULL, *kept = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&made, fmt, args) >= 0) {
		kept = arena_strdup(leftovers->arena, made);
		free(made);
	}
	va_end(args);
	return kept;
}

/* @return the new one, zeroed, or NULL: no memory */
static struct leftover *grow(struct leftovers *leftovers)
{
	size_t cap = leftovers->cap ? leftovers->cap * 2 : 16;
	struct leftover *v;

	if (leftovers->n == leftovers->cap) {
		v = reallocarray(leftovers->v, cap, sizeof(*v));
		if (!v)
			return NULL;
		leftovers->v = v;
		leftovers->cap = cap;
	}
	leftovers->v[leftovers->n] = (struct leftover){ .what = NULL };
	return &leftovers->v[leftovers->n++];
}

/* ---- iptables --------------------------------------------------------------------------- */

static int add_rules(struct leftovers *leftovers, const char *variant,
		     const struct ipt_leftovers *found)
{
	struct leftover *step = grow(leftovers);

	if (!step)
		return -ENOMEM;
	step->what = text(leftovers,
			  "%s: %zu chains of kube-proxy's with %zu rules, and %zu jumps to "
			  "them",
			  variant, found->chains, found->rules, found->jumps);
	step->argv[0] = text(leftovers, "%s-restore", variant);
	step->argv[1] = "--noflush";
	step->input = text(leftovers, "%s", found->restore);
	return step->what && step->argv[0] && step->input ? 0 : -ENOMEM;
}

/* @return 1: looked at, 0: that variant isn't installed, or a negative errno */
static int find_rules(struct leftovers *leftovers, const char *variant, struct err *err)
{
	struct ipt_leftovers found = { .chains = 0 };
	char name[32], *save = NULL;
	struct err why;
	int ret;

	(void)snprintf(name, sizeof(name), "%s-save", variant);
	ret = machine_run((const char *[]){ name, NULL }, NULL, &save, &why);
	if (ret == -ENOENT)
		return 0;
	if (ret) {
		leftovers->unseen = text(leftovers, "%s", why.msg);
		return leftovers->unseen ? 1 : no_memory(err);
	}
	ret = ipt_leftovers_find(save, &found);
	if (!ret && (found.chains || found.jumps))
		ret = add_rules(leftovers, variant, &found);
	ipt_leftovers_done(&found);
	free(save);
	return ret ? no_memory(err) : 1;
}

/* Both kinds may hold rules at once: what one calls iptables is one of them. */
static int find_all_rules(struct leftovers *leftovers, struct err *err)
{
	static const char *const variants[][3] = {
		{ "iptables-nft", "iptables-legacy", "iptables" },
		{ "ip6tables-nft", "ip6tables-legacy", "ip6tables" },
	};
	int ret = 0, seen;
	size_t i, j;

	for (i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		seen = 0;
		for (j = 0; j < 3; j++) {
			if (j == 2 && seen)
				break;
			ret = find_rules(leftovers, variants[i][j], err);
			if (ret < 0)
				return ret;
			seen += ret;
		}
	}
	return 0;
}

/* ---- nftables ----------------------------------------------------------------------------- */

static int find_tables(struct leftovers *leftovers, struct err *err)
{
	static const char *const families[] = { "ip", "ip6" };
	char *tables = NULL, line[32];
	struct leftover *step;
	struct err why;
	size_t i;
	int ret;

	ret = machine_run((const char *[]){ "nft", "list", "tables", NULL }, NULL, &tables, &why);
	if (ret == -ENOENT)
		return 0;
	if (ret) {
		leftovers->unseen = text(leftovers, "%s", why.msg);
		return leftovers->unseen ? 0 : no_memory(err);
	}
	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		(void)snprintf(line, sizeof(line), "table %s kube-proxy\n", families[i]);
		if (!strstr(tables, line))
			continue;
		step = grow(leftovers);
		if (!step)
			break;
		*step = (struct leftover){
			.what = families[i][2] ? "nftables: table ip6 kube-proxy"
					       : "nftables: table ip kube-proxy",
			.argv = { "nft", "delete", "table", families[i], "kube-proxy" },
		};
	}
	free(tables);
	return i < sizeof(families) / sizeof(families[0]) ? no_memory(err) : 0;
}

/* ---- IPVS --------------------------------------------------------------------------------- */

static bool hex_addr(const char *word, struct sh_addr *out)
{
	char plain[64];
	unsigned int v4;
	int n = 0;

	if (word[0] == '[') {
		(void)snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(word + 1, "]"), word + 1);
		return inet_pton(AF_INET6, plain, out) == 1;
	}
	if (sscanf(word, "%8x%n", &v4, &n) != 1 || n != 8)
		return false;
	*out = addr_from_v4(htonl(v4));
	return true;
}

bool ipvs_parse(const char *line, struct ipvs_service *out)
{
	char word[80];
	unsigned int port;
	const char *colon;

	/* "TCP  0A600001:01BB rr", "UDP  [fd00:...:0001]:0035 rr"; real servers begin "  ->" */
	if (sscanf(line, "%4s %79s", out->proto, word) != 2 ||
	    (strcmp(out->proto, "TCP") != 0 && strcmp(out->proto, "UDP") != 0 &&
	     strcmp(out->proto, "SCTP") != 0))
		return false;
	colon = strrchr(word, ':');
	if (!colon || sscanf(colon + 1, "%4x", &port) != 1 || !hex_addr(word, &out->addr))
		return false;
	out->port = (uint16_t)port;
	return true;
}

static bool is_on_device(const struct machine *machine, uint32_t ifindex,
			 const struct sh_addr *addr)
{
	size_t i;

	for (i = 0; ifindex && i < machine->list.n_addrs; i++) {
		if (machine->list.addrs[i].ifindex == ifindex &&
		    addr_eq(&machine->list.addrs[i].addr, addr))
			return true;
	}
	return false;
}

static int add_ipvs(struct leftovers *leftovers, const struct ipvs_service *service)
{
	struct leftover *step = grow(leftovers);
	char addr[ADDR_PORT_STRLEN];

	if (!step)
		return -ENOMEM;
	(void)addr_port_format(&service->addr, htons(service->port), addr);
	step->ipvs = true;
	step->what = text(leftovers, "IPVS: %s %s", service->proto, addr);
	step->argv[0] = "ipvsadm";
	step->argv[1] = "-D";
	step->argv[2] = !strcmp(service->proto, "TCP")	 ? "-t"
			: !strcmp(service->proto, "UDP") ? "-u"
							 : "--sctp-service";
	step->argv[3] = text(leftovers, "%s", addr);
	return step->what && step->argv[3] ? 0 : -ENOMEM;
}

static int find_ipvs(const struct machine *machine, struct leftovers *leftovers, struct err *err)
{
	char *list = machine_file("/proc/net/ip_vs"), *rest = NULL, *line;
	struct ipvs_service service;
	struct leftover *step;
	uint32_t ifindex = 0;
	int ret = 0;
	size_t i;

	for (i = 0; i < machine->list.n; i++) {
		if (!strcmp(machine->list.v[i].name, KUBE_IPVS_DEVICE))
			ifindex = machine->list.v[i].ifindex;
	}
	for (line = list ? strtok_r(list, "\n", &rest) : NULL; line && !ret;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (!ipvs_parse(line, &service))
			continue;
		if (is_on_device(machine, ifindex, &service.addr))
			ret = add_ipvs(leftovers, &service);
		else
			leftovers->ipvs_others++;
	}
	free(list);
	step = !ret && ifindex ? grow(leftovers) : NULL;
	if (step)
		*step = (struct leftover){
			.what = "IPVS: device " KUBE_IPVS_DEVICE " with the ClusterIPs",
			.argv = { "ip", "link", "delete", "dev", KUBE_IPVS_DEVICE },
			.ipvs = true,
		};
	return ret || (ifindex && !step) ? no_memory(err) : 0;
}

/* ---- all ------------------------------------------------------------------------------------ */

int leftovers_find(const struct machine *machine, struct leftovers *out, struct err *err)
{
	int ret;

	*out = (struct leftovers){ .arena = arena_new() };
	if (!out->arena)
		return no_memory(err);
	ret = find_all_rules(out, err);
	if (!ret)
		ret = find_tables(out, err);
	if (!ret)
		ret = find_ipvs(machine, out, err);
	if (ret)
		leftovers_done(out);
	return ret;
}

void leftovers_done(struct leftovers *leftovers)
{
	arena_free(leftovers->arena);
	free(leftovers->v);
	*leftovers = (struct leftovers){ .arena = NULL };
}

void leftovers_print(const struct leftovers *leftovers, FILE *to)
{
	size_t i, j;

	for (i = 0; i < leftovers->n; i++) {
		const struct leftover *step = &leftovers->v[i];

		(void)fprintf(to, "# %s\n", step->what);
		for (j = 0; step->argv[j]; j++)
			(void)fprintf(to, "%s%s", j ? " " : "", step->argv[j]);
		if (step->input)
			(void)fprintf(to, " <<'END'\n%sEND\n", step->input);
		else
			(void)fputc('\n', to);
	}
}

int leftovers_remove(const struct leftovers *leftovers, struct err *err)
{
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < leftovers->n; i++) {
		ret = machine_run(leftovers->v[i].argv, leftovers->v[i].input, NULL, err);
		if (ret)
			err_prefix(err, "%s is still there", leftovers->v[i].what);
	}
	return ret;
}
