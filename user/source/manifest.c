/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shunt/limits.h"
#include "source/document.h"
#include "source/tree.h"

struct load {
	struct diags *diags;
	struct found_objects found;
};

#define TOO_LARGE "is too large: at most SH_MANIFEST_BYTES_MAX (%u) bytes in one file"

/* What is wrong with a file or folder as a whole. */
#define FILE_ERROR(diags, path, ...) \
	diag_error((diags), &(struct origin){ .file = (path) }, "", __VA_ARGS__)

static int load_text(struct load *load, const struct manifest_text *text)
{
	struct tree_reader *reader =
		tree_reader_new(text->name, text->text, text->len, load->diags);
	const struct tree_node *root;
	int ret;

	if (!reader)
		return -ENOMEM;
	do {
		ret = tree_next(reader, &root);
		if (ret > 0 && document_load(text->name, root, load->diags, &load->found))
			ret = -ENOMEM;
	} while (ret > 0);
	tree_reader_free(reader);
	return ret == -ENOMEM ? ret : 0; /* all else is in the diags */
}

/* ---- files --------------------------------------------------------------- */

/* Read up to @size bytes. @return their number, or a negative errno */
static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t got;

	while (len < size) {
		got = read(fd, buf + len, size - len);
		if (!got)
			break;
		if (got > 0)
			len += (size_t)got;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)len;
}

/* A first guess at how much there is to read; what isn't a file may be of any size. */
static size_t size_hint(int fd)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > SH_MANIFEST_BYTES_MAX)
		return SH_MANIFEST_BYTES_MAX + 1;
	return (size_t)st.st_size + 1;
}

/* *@out's text stays NULL where there is an error in @diags instead. @return 0 or -ENOMEM */
static int read_fd(const char *path, int fd, struct manifest_text *out, struct diags *diags)
{
	const size_t size = size_hint(fd);
	char *buf = malloc(size);
	ssize_t len;

	if (!buf)
		return -ENOMEM;
	len = read_all(fd, buf, size);
	if (len >= 0 && len <= SH_MANIFEST_BYTES_MAX) {
		*out = (struct manifest_text){ path, buf, (size_t)len };
		return 0;
	}
	if (len < 0)
		FILE_ERROR(diags, path, "can't be read: %s", strerror((int)-len));
	else
		FILE_ERROR(diags, path, TOO_LARGE, SH_MANIFEST_BYTES_MAX);
	free(buf);
	return 0;
}

static int load_fd(struct load *load, const char *path, int fd)
{
	struct manifest_text text = { 0 };
	int ret = read_fd(path, fd, &text, load->diags);

	if (text.text)
		ret = load_text(load, &text);
	free((char *)text.text);
	return ret;
}

static int load_file(struct load *load, const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret;

	if (fd < 0) {
		FILE_ERROR(load->diags, path, "can't be opened: %s", strerror(errno));
		return 0;
	}
	ret = load_fd(load, path, fd);
	(void)close(fd);
	return ret;
}

/* ---- folders ------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
	const size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

bool manifest_name(const char *name)
{
	/* Also hides what editors and Kubernetes' volumes keep beside a file: .x.yaml.swp, ..data */
	if (name[0] == '.' || ends_with(name, ".test.yaml") || ends_with(name, ".test.yml"))
		return false;
	return ends_with(name, ".yaml") || ends_with(name, ".yml") || ends_with(name, ".json");
}

static int is_manifest(const struct dirent *entry)
{
	return manifest_name(entry->d_name);
}

/* By byte, so that the order is the same in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int manifest_names(const char *dir, struct dirent ***out)
{
	const int n = scandir(dir, out, is_manifest, by_name);

	return n < 0 ? -errno : n;
}

char *manifest_path(const char *dir, const char *name)
{
	const char *slash = ends_with(dir, "/") || !strcmp(dir, "/") ? "" : "/";
	char *path;

	return asprintf(&path, "%s%s%s", dir, slash, name) < 0 ? NULL : path;
}

int manifest_read(const char *path, struct manifest_text *out, struct diags *diags)
{
	struct stat st;
	int fd, ret = 0;

	/* What is gone since the folder was read is as good as never there. */
	if (stat(path, &st) ? errno == ENOENT : S_ISDIR(st.st_mode))
		return 0;
	/* A pipe would keep whoever opens it waiting for its writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		FILE_ERROR(diags, path, "can't be opened: %s", strerror(errno));
		return 1;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		FILE_ERROR(diags, path, "is not a regular file; move it out of the folder");
	else
		ret = read_fd(path, fd, out, diags);
	(void)close(fd);
	return ret ? ret : 1;
}

/* @return 1 if there was a file to load, 0 if not, -ENOMEM */
static int load_entry(struct load *load, const char *dir, const char *name)
{
	struct manifest_text text = { 0 };
	char *path = manifest_path(dir, name);
	int ret, loaded;

	if (!path)
		return -ENOMEM;
	ret = loaded = manifest_read(path, &text, load->diags);
	if (text.text)
		ret = load_text(load, &text);
	free((char *)text.text);
	free(path);
	return ret < 0 ? ret : loaded;
}

static int load_dir(struct load *load, const char *dir)
{
	struct dirent **entries;
	const int n = manifest_names(dir, &entries);
	int i, ret = 0, loaded = 0;

	if (n < 0) {
		FILE_ERROR(load->diags, dir, "can't be read: %s", strerror(-n));
		return 0;
	}
	for (i = 0; i < n; i++) {
		if (ret >= 0)
			ret = load_entry(load, dir, entries[i]->d_name);
		loaded += ret > 0;
		free(entries[i]);
	}
	free(entries);
	if (ret >= 0 && !loaded)
		FILE_ERROR(load->diags, dir, "holds no manifest (*.yaml, *.yml, *.json)");
	return ret < 0 ? ret : 0;
}

static int load_path(struct load *load, const char *path)
{
	struct stat st;

	if (!strcmp(path, "-"))
		return load_fd(load, path, STDIN_FILENO);
	if (stat(path, &st)) {
		FILE_ERROR(load->diags, path, "can't be opened: %s", strerror(errno));
		return 0;
	}
	return S_ISDIR(st.st_mode) ? load_dir(load, path) : load_file(load, path);
}

/* ---- the set ------------------------------------------------------------- */

struct entry {
	struct object *object;
	size_t turn; /* when it was read */
};

static int name_order(const struct object *a, const struct object *b)
{
	int order;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	order = strcmp(a->meta.ns, b->meta.ns);
	return order ? order : strcmp(a->meta.name, b->meta.name);
}

static int entry_order(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	const int order = name_order(x->object, y->object);

	if (order)
		return order;
	return x->turn < y->turn ? -1 : 1;
}

static void report_twin(struct diags *diags, const struct object *first,
			const struct object *second)
{
	const char *ns = second->meta.ns;

	diag_error(diags, &second->origin, "", "%s %s%s%s stands there twice, first at %s:%u",
		   kind_name(second->kind), ns, *ns ? "/" : "", second->meta.name,
		   first->origin.file, first->origin.line);
}

/* Sort what was found by name, and report what is there twice. */
static int sort_found(struct load *load)
{
	struct found_objects *found = &load->found;
	struct entry *entries;
	size_t i;

	if (!found->n)
		return 0;
	entries = reallocarray(NULL, found->n, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (i = 0; i < found->n; i++)
		entries[i] = (struct entry){ found->v[i], i };
	qsort(entries, found->n, sizeof(*entries), entry_order);
	for (i = 0; i < found->n; i++) {
		found->v[i] = entries[i].object;
		if (i && !name_order(found->v[i - 1], found->v[i]))
			report_twin(load->diags, found->v[i - 1], found->v[i]);
	}
	free(entries);
	return 0;
}

/* Hand what was found over to @out, all of it or nothing. */
static int publish(struct load *load, struct object_set *out)
{
	const int ret = object_set_reserve(out, load->found.n);
	size_t i;

	if (ret)
		return ret;
	for (i = 0; i < load->found.n; i++)
		(void)object_set_put(out, load->found.v[i]); /* there is room */
	load->found.n = 0;
	return 0;
}

static int finish(struct load *load, int ret, struct object_set *out, struct err *err)
{
	size_t errors, files;

	if (!ret)
		ret = sort_found(load);
	errors = diags_count(load->diags);
	files = diags_files(load->diags);
	if (!ret && errors)
		ret = err_input(err, -EINVAL, "%zu error%s in %zu file%s; nothing was loaded",
				errors, errors == 1 ? "" : "s", files, files == 1 ? "" : "s");
	else if (!ret)
		ret = publish(load, out);
	if (ret == -ENOMEM)
		(void)err_system(err, ret, "load manifests");
	found_objects_done(&load->found);
	return ret;
}

int manifest_load(const char *const *paths, size_t n, struct object_set *out, struct diags *diags,
		  struct err *err)
{
	struct load load = { .diags = diags };
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < n; i++)
		ret = load_path(&load, paths[i]);
	return finish(&load, ret, out, err);
}

int manifest_load_buffer(const struct manifest_text *text, struct object_set *out,
			 struct diags *diags, struct err *err)
{
	struct load load = { .diags = diags };
	int ret = 0;

	if (text->len > SH_MANIFEST_BYTES_MAX)
		FILE_ERROR(load.diags, text->name, TOO_LARGE, SH_MANIFEST_BYTES_MAX);
	else
		ret = load_text(&load, text);
	return finish(&load, ret, out, err);
}
