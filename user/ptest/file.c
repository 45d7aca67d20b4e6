/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ptest/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shunt/limits.h"
#include "source/scalar.h"
#include "source/schema.h"
#include "source/tree.h"

static const char *const from_words[] = { "pod", "node", "external", NULL };
static const char *const verdict_words[] = { "forward", "reject", "drop", "pass", NULL };

const char *ptest_from_name(enum ptest_from from)
{
	return from_words[from];
}

const char *ptest_verdict_name(enum ptest_verdict verdict)
{
	return verdict_words[verdict];
}

/* ---- targets --------------------------------------------------------------- */

bool ptest_target_eq(const struct ptest_target *a, const struct ptest_target *b)
{
	return a->port == b->port && addr_eq(&a->addr, &b->addr);
}

/* Digits only, 1-65535. @return 0: it is none */
static unsigned int port_parse(const char *text)
{
	unsigned int port = 0;
	size_t i;

	for (i = 0; text[i]; i++) {
		if (text[i] < '0' || text[i] > '9' || i == 5 || (text[0] == '0'))
			return 0;
		port = port * 10 + (unsigned int)(text[i] - '0');
	}
	return port <= 65535 ? port : 0;
}

int ptest_target_parse(const char *text, struct ptest_target *out)
{
	const char *colon = strrchr(text, ':');
	bool bracket = text[0] == '[';
	char addr[ADDR_STRLEN + 2];
	struct ptest_target target;
	unsigned int port;
	size_t len;

	if (!colon)
		return -EINVAL;
	len = (size_t)(colon - text);
	port = port_parse(colon + 1);
	if (!port || len >= sizeof(addr) || (bracket && (len < 2 || text[len - 1] != ']')))
		return -EINVAL;
	(void)snprintf(addr, sizeof(addr), "%.*s", (int)(len - (bracket ? 2 : 0)),
		       text + (bracket ? 1 : 0));
	if (addr_parse(addr, &target.addr) || bracket != (addr_family(&target.addr) == FAMILY_IPV6))
		return -EINVAL;
	target.port = htons((uint16_t)port);
	*out = target;
	return 0;
}

/* ---- what a file may say ----------------------------------------------------- */

struct wire_flow {
	const char *name, *src, *dst;
	uint8_t from, proto, expect;
	enum maybe snat;
	struct wire_list backends; /* const char * */
};

struct wire_test {
	const char *node;
	struct wire_list manifests; /* const char * */
	struct wire_list flows;	    /* struct wire_flow */
};

static const char *check_target(const char *text)
{
	struct ptest_target target;

	return ptest_target_parse(text, &target)
		       ? "is not an address and a port, like 10.0.0.1:80 or [fd00::1]:80"
		       : NULL;
}

static const char *check_not_empty(const char *text)
{
	return *text ? NULL : "says nothing";
}

static const struct field target_item = { .type = FIELD_STRING, .check = check_target };

static const struct field flow_fields[] = {
	{ .name = "name",
	  .type = FIELD_STRING,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_flow, name),
	  .check = check_not_empty },
	{ .name = "from",
	  .type = FIELD_ENUM,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_flow, from),
	  .words = from_words },
	{ .name = "src",
	  .type = FIELD_STRING,
	  .offset = offsetof(struct wire_flow, src),
	  .check = check_ip },
	{ .name = "dst",
	  .type = FIELD_STRING,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_flow, dst),
	  .check = check_target },
	{ .name = "proto",
	  .type = FIELD_ENUM,
	  .offset = offsetof(struct wire_flow, proto),
	  .words = proto_words },
	{ .name = "expect",
	  .type = FIELD_ENUM,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_flow, expect),
	  .words = verdict_words },
	{ .name = "backends",
	  .type = FIELD_LIST,
	  .offset = offsetof(struct wire_flow, backends),
	  .item = &target_item,
	  .n_max = SH_TEST_BACKENDS_MAX,
	  .limit = "SH_TEST_BACKENDS_MAX" },
	{ .name = "snat", .type = FIELD_BOOL, .offset = offsetof(struct wire_flow, snat) },
};
static const struct schema schema_flow = { "a flow", flow_fields, FIELD_COUNT(flow_fields),
					   sizeof(struct wire_flow) };
static const struct field flow_item = { .type = FIELD_MAP, .schema = &schema_flow };
static const struct field manifest_item = { .type = FIELD_STRING, .check = check_not_empty };

static const struct field test_fields[] = {
	{ .name = "node",
	  .type = FIELD_STRING,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_test, node),
	  .check = check_dns_subdomain },
	{ .name = "manifests",
	  .type = FIELD_LIST,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_test, manifests),
	  .item = &manifest_item },
	{ .name = "flows",
	  .type = FIELD_LIST,
	  .flags = FIELD_REQUIRED,
	  .offset = offsetof(struct wire_test, flows),
	  .item = &flow_item,
	  .n_max = SH_TEST_FLOWS_MAX,
	  .limit = "SH_TEST_FLOWS_MAX" },
	ANY("options"), /* names are those of the command line: see options_finish() */
};
static const struct schema schema_test = { "a packet test", test_fields, FIELD_COUNT(test_fields),
					   sizeof(struct wire_test) };

/* ---- flows ------------------------------------------------------------------- */

static void backends_finish(struct decode *d, const struct wire_list *list, size_t index,
			    struct ptest_flow *flow)
{
	const char *const *texts = list->v;
	size_t i, j;

	if (!list->n)
		decode_fault(d, AT("flows[%zu].backends", index),
			     "is empty: without it any backend will do");
	flow->backends = keep_array(d, list->n, sizeof(*flow->backends), &flow->n_backends);
	for (i = 0; i < flow->n_backends; i++) {
		struct ptest_target *backend = &flow->backends[i];

		(void)ptest_target_parse(texts[i], backend); /* checked */
		if (addr_family(&backend->addr) != addr_family(&flow->dst.addr))
			decode_fault(d, AT("flows[%zu].backends[%zu]", index, i),
				     "%s is not of dst's family", texts[i]);
		for (j = 0; j < i; j++) {
			if (ptest_target_eq(backend, &flow->backends[j]))
				decode_fault(d, AT("flows[%zu].backends[%zu]", index, i),
					     "%s stands there twice", texts[i]);
		}
	}
}

/* What makes sense of a connection that reaches a backend only. */
static void forward_only(struct decode *d, size_t index, const struct ptest_flow *flow)
{
	static const char *const fields[] = { "backends", "snat" };
	size_t i;

	for (i = 0; i < FIELD_COUNT(fields) && flow->expect != PTEST_FORWARD; i++) {
		if (decode_has(d, AT("flows[%zu].%s", index, fields[i])))
			decode_fault(d, AT("flows[%zu].%s", index, fields[i]),
				     "goes with expect: forward only");
	}
}

static void source_finish(struct decode *d, const struct wire_flow *wire, size_t index,
			  struct ptest_flow *flow)
{
	if (!wire->src) {
		if (flow->from != PTEST_NODE)
			decode_fault(d, AT("flows[%zu].src", index), "required, but missing");
		return;
	}
	flow->has_src = true;
	(void)addr_parse(wire->src, &flow->src); /* checked */
	if (addr_family(&flow->src) != addr_family(&flow->dst.addr))
		decode_fault(d, AT("flows[%zu].src", index), "%s is not of dst's family",
			     wire->src);
}

static void flow_finish(struct decode *d, const struct wire_flow *wire, size_t index,
			struct ptest_flow *flow)
{
	flow->name = keep_string(d, wire->name);
	flow->at = decode_origin(d, AT("flows[%zu]", index));
	flow->from = (enum ptest_from)(wire->from - 1);
	flow->proto = proto_of_wire(wire->proto);
	flow->expect = (enum ptest_verdict)(wire->expect - 1);
	flow->snat = wire->snat;
	(void)ptest_target_parse(wire->dst, &flow->dst); /* checked */
	source_finish(d, wire, index, flow);
	forward_only(d, index, flow);
	flow->any_backend = !decode_has(d, AT("flows[%zu].backends", index));
	if (!flow->any_backend)
		backends_finish(d, &wire->backends, index, flow);
}

/* ---- options ----------------------------------------------------------------- */

/* `on`, `yes`, `0x10`: what YAML takes them for, not how they are spelt */
static const char *scalar_text(struct decode *d, const struct tree_node *node)
{
	char number[24];

	if (scalar_type(node) == SCALAR_BOOL && strcmp(node->text, "on") != 0 &&
	    strcmp(node->text, "off") != 0)
		return scalar_bool(node) ? "true" : "false";
	if (scalar_type(node) == SCALAR_INT) {
		(void)snprintf(number, sizeof(number), "%lld", (long long)scalar_int(node));
		return keep_string(d, number);
	}
	return keep_string(d, node->text);
}

static void option_add(struct decode *d, struct ptest_file *file, const char *path,
		       const struct tree_node *nodes[2])
{
	struct ptest_option *option = &file->options[file->n_options];
	char found[FOUND_LEN];

	if (nodes[1]->type != TREE_SCALAR || scalar_is_null(nodes[1])) {
		decode_fault(d, path, "expected a value or a list of values, found %s",
			     scalar_found(nodes[1], found));
		return;
	}
	option->name = keep_string(d, nodes[0]->text);
	option->value = scalar_text(d, nodes[1]);
	option->path = keep_string(d, path);
	option->at = decode_origin(d, path);
	file->n_options++;
}

static size_t count_values(const struct tree_node *map)
{
	size_t i, n = 0;

	for (i = 0; i < map->n; i++)
		n += map->items[2 * i + 1]->type == TREE_LIST ? map->items[2 * i + 1]->n : 1;
	return n;
}

static void options_finish(struct decode *d, struct ptest_file *file)
{
	const struct tree_node *map = tree_get(d->root, "options");
	char found[FOUND_LEN];
	size_t i, j, room;

	if (!map || scalar_is_null(map))
		return;
	if (map->type != TREE_MAP) {
		decode_fault(d, "options", "expected a map, found %s", scalar_found(map, found));
		return;
	}
	file->options = keep_array(d, count_values(map), sizeof(*file->options), &room);
	if (!room)
		return;
	for (i = 0; i < map->n; i++) {
		const struct tree_node *nodes[2] = { map->items[2 * i], map->items[2 * i + 1] };
		const struct tree_node *list = nodes[1];

		if (list->type != TREE_LIST)
			option_add(d, file, AT("options.%.100s", nodes[0]->text), nodes);
		for (j = 0; list->type == TREE_LIST && j < list->n; j++) {
			nodes[1] = list->items[j];
			option_add(d, file, AT("options.%.100s[%zu]", nodes[0]->text, j), nodes);
		}
	}
}

/* ---- the file ---------------------------------------------------------------- */

/* @name as it is to be opened: relative to the test file's folder. */
static const char *beside(struct decode *d, const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *joined;

	if (name[0] == '/' || !slash)
		return keep_string(d, name);
	joined = arena_alloc(d->arena, (size_t)(slash - path) + 1 + strlen(name) + 1);
	if (!joined) {
		d->no_memory = true;
		return "";
	}
	(void)sprintf(joined, "%.*s%s", (int)(slash - path) + 1, path, name);
	return joined;
}

static void test_finish(struct decode *d, const struct wire_test *wire, struct ptest_file *file)
{
	const struct wire_flow *flows = wire->flows.v;
	const char *const *manifests = wire->manifests.v;
	size_t i;

	file->node = keep_string(d, wire->node);
	file->node_at = decode_origin(d, "node");
	if (!wire->manifests.n)
		decode_fault(d, "manifests", "is empty: there is nothing to test");
	if (!wire->flows.n)
		decode_fault(d, "flows", "is empty: there is nothing to test");
	file->manifests.v = keep_array(d, wire->manifests.n, sizeof(char *), &file->manifests.n);
	file->manifests_at = keep_array(d, wire->manifests.n, sizeof(*file->manifests_at), &i);
	for (i = 0; file->manifests_at && i < file->manifests.n; i++) {
		file->manifests.v[i] = beside(d, file->path, manifests[i]);
		file->manifests_at[i] = decode_origin(d, AT("manifests[%zu]", i));
	}
	file->flows = keep_array(d, wire->flows.n, sizeof(*file->flows), &file->n_flows);
	for (i = 0; i < file->n_flows; i++)
		flow_finish(d, &flows[i], i, &file->flows[i]);
	options_finish(d, file);
}

static int decode_test(const char *path, const struct tree_node *root, struct diags *diags,
		       struct ptest_file *file)
{
	struct decode d = { .file = file->path, .diags = diags, .root = root };
	struct wire_test wire = { 0 };
	int ret = -ENOMEM;

	d.arena = file->arena;
	d.scratch = arena_new();
	if (!d.scratch)
		return ret;
	decode_map(&d, &schema_test, root, &wire);
	if (!d.errors && !d.no_memory)
		test_finish(&d, &wire, file);
	if (!d.no_memory)
		ret = d.errors ? -EINVAL : 0;
	arena_free(d.scratch);
	return ret;
}

/* One document, neither more nor less. */
static int read_document(struct tree_reader *reader, const char *path, struct diags *diags,
			 struct ptest_file *file)
{
	const struct tree_node *root;
	int ret = tree_next(reader, &root);

	if (!ret || (ret > 0 && scalar_is_null(root))) {
		diag_error(diags, &(struct origin){ .file = path }, "",
			   "is empty: a packet test has node, manifests and flows");
		return -EINVAL;
	}
	if (ret > 0)
		ret = decode_test(path, root, diags, file);
	if (ret)
		return ret;
	ret = tree_next(reader, &root);
	if (ret > 0) {
		diag_error(diags,
			   &(struct origin){
				   .file = path, .line = root->line, .column = root->column },
			   "", "a second document: a packet test is one");
		return -EINVAL;
	}
	return ret;
}

static struct ptest_file *file_new(const char *path)
{
	struct arena *arena = arena_new();
	struct ptest_file *file = arena ? arena_alloc(arena, sizeof(*file)) : NULL;

	if (file) {
		file->arena = arena;
		file->path = arena_strdup(arena, path);
	}
	if (file && file->path)
		return file;
	arena_free(arena);
	return NULL;
}

int ptest_file_parse(const char *path, const char *text, size_t len, struct diags *diags,
		     struct ptest_file **out)
{
	const size_t errors = diags_count(diags);
	struct ptest_file *file = file_new(path);
	struct tree_reader *reader = tree_reader_new(path, text, len, diags);
	int ret = -ENOMEM;

	if (file && reader)
		ret = read_document(reader, path, diags, file);
	/* A duplicate key is told, and reading goes on. */
	if (!ret && diags_count(diags) > errors)
		ret = -EINVAL;
	tree_reader_free(reader);
	if (ret)
		ptest_file_free(file);
	else
		*out = file;
	return ret;
}

void ptest_file_free(struct ptest_file *file)
{
	if (file)
		arena_free(file->arena);
}

/* @return a stream's bytes, or how far they went: negative errno, -EFBIG */
static ssize_t read_up_to(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t got;

	while (len < size) {
		got = read(fd, buf + len, size - len);
		if (!got)
			return (ssize_t)len;
		if (got > 0)
			len += (size_t)got;
		else if (errno != EINTR)
			return -errno;
	}
	return -EFBIG;
}

static int load_fd(const char *path, int fd, struct diags *diags, struct ptest_file **out)
{
	const struct origin at = { .file = path };
	size_t size = SH_MANIFEST_BYTES_MAX + 1u;
	struct stat st;
	ssize_t len;
	char *buf;
	int ret;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size < size)
		size = (size_t)st.st_size + 1;
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	len = read_up_to(fd, buf, size);
	if (len >= 0) {
		ret = ptest_file_parse(path, buf, (size_t)len, diags, out);
	} else {
		ret = -EINVAL;
		if (len == -EFBIG)
			diag_error(diags, &at, "",
				   "is too large: at most SH_MANIFEST_BYTES_MAX (%u) bytes",
				   SH_MANIFEST_BYTES_MAX);
		else
			diag_error(diags, &at, "", "can't be read: %s", strerror((int)-len));
	}
	free(buf);
	return ret;
}

int ptest_file_load(const char *path, struct diags *diags, struct ptest_file **out)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret;

	if (fd < 0) {
		diag_error(diags, &(struct origin){ .file = path }, "", "can't be opened: %s",
			   strerror(errno));
		return -EINVAL;
	}
	ret = load_fd(path, fd, diags, out);
	(void)close(fd);
	return ret;
}
