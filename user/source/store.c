/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "shunt/limits.h"
#include "source/manifest.h"
#include "util/atomic_file.h"

#define OBJECTS_FILE  "objects.json"
#define SETTINGS_FILE "settings.json"

static char *path_in(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static int no_memory(const char *dir, struct err *err)
{
	return err_system(err, -ENOMEM, "state folder %s", dir);
}

/* ---- reading ------------------------------------------------------------------ */

static int read_stream(FILE *stream, size_t size, char **text_out, size_t *len_out)
{
	char *text = malloc(size + 1);
	size_t len = 0;

	if (!text)
		return -ENOMEM;
	len = fread(text, 1, size, stream);
	if (ferror(stream)) {
		free(text);
		return -EIO;
	}
	text[len] = '\0';
	*text_out = text;
	*len_out = len;
	return 0;
}

/* @return 0 and *@text_out (free() it), -ENOENT without a word in @err, or another errno */
static int read_whole(const char *path, char **text_out, size_t *len_out, struct err *err)
{
	FILE *stream = fopen(path, "re");
	struct stat st;
	int ret;

	if (!stream && errno == ENOENT)
		return -ENOENT;
	if (!stream)
		return err_system(err, -errno, "cannot read %s", path);
	if (fstat(fileno(stream), &st))
		ret = err_system(err, -errno, "cannot read %s", path);
	else if (!S_ISREG(st.st_mode))
		ret = err_input(err, -EINVAL, "%s is not a file; move it away", path);
	else if (st.st_size > SH_MANIFEST_BYTES_MAX)
		ret = err_input(err, -EFBIG,
				"%s has more than %u bytes (SH_MANIFEST_BYTES_MAX), so shunt did "
				"not write it; move it away",
				path, SH_MANIFEST_BYTES_MAX);
	else {
		ret = read_stream(stream, (size_t)st.st_size, text_out, len_out);
		if (ret)
			(void)err_system(err, ret, "cannot read %s", path);
	}
	(void)fclose(stream);
	return ret;
}

static int parse_objects(const char *path, const char *text, size_t len, struct object_set *out,
			 struct err *err)
{
	struct diags diags = { 0 };
	struct err why = { 0 };
	int ret;

	/* No object at all is a valid manifest, but never what shunt wrote. */
	if (!text[strspn(text, " \t\r\n")])
		ret = err_input(&why, -EINVAL, "%s is empty", path);
	else
		ret = manifest_load_buffer(&(struct manifest_text){ path, text, len }, out, &diags,
					   &why);
	if (ret == -ENOMEM)
		(void)err_system(err, ret, "cannot read %s", path);
	else if (ret)
		(void)err_input(err, ret,
				"the state is damaged: %s; put back a copy of %s, or move it away "
				"and apply all manifests again (addresses are then given anew)",
				diags.n_errors ? diags.errors[0].text : why.msg, path);
	diags_done(&diags);
	return ret;
}

int store_load(const char *dir, struct object_set *out, struct err *err)
{
	char *path = path_in(dir, OBJECTS_FILE), *text = NULL;
	size_t len = 0;
	int ret;

	if (!path)
		return no_memory(dir, err);
	ret = read_whole(path, &text, &len, err);
	if (text)
		ret = parse_objects(path, text, len, out, err);
	free(text);
	free(path);
	return ret == -ENOENT ? 0 : ret;
}

/* ---- writing ------------------------------------------------------------------ */

struct writer {
	FILE *stream;
	size_t bytes;
	int failed; /* what a write said; jansson passes on only that one failed */
};

static int put(struct writer *w, const char *bytes, size_t n)
{
	w->bytes += n;
	errno = 0;
	if (fwrite(bytes, 1, n, w->stream) == n)
		return 0;
	return errno ? -errno : -EIO;
}

/*
 * Code points that JSON takes as they are but YAML refuses or takes for a line
 * break: DEL and the C1 controls, U+2028 and U+2029, U+FEFF, U+FFFE, U+FFFF.
 * @return the bytes that it takes, 0: none of these
 */
static size_t not_for_yaml(const unsigned char *at, size_t left, unsigned int *code_out)
{
	unsigned int code = 0;
	size_t n = 0;

	if (at[0] == 0x7f) {
		code = at[0];
		n = 1;
	} else if (left >= 2 && at[0] == 0xc2) {
		code = at[1];
		n = code < 0xa0 ? 2 : 0;
	} else if (left >= 3 && (at[0] & 0xf0) == 0xe0) {
		code = (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
		n = code == 0x2028 || code == 0x2029 || code == 0xfeff || code >= 0xfffe ? 3 : 0;
	}
	*code_out = code;
	return n;
}

static int put_for_yaml(struct writer *w, const char *text, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t i, start = 0, n;
	unsigned int code;
	char escape[8];
	int ret = 0;

	for (i = 0; !ret && i < size; i += n ? n : 1) {
		n = not_for_yaml(bytes + i, size - i, &code);
		if (!n)
			continue;
		(void)snprintf(escape, sizeof(escape), "\\u%04x", code);
		ret = put(w, text + start, i - start);
		if (!ret)
			ret = put(w, escape, 6);
		start = i + n;
	}
	return ret ? ret : put(w, text + start, size - start);
}

/* jansson's dump callback: never splits a code point. */
static int dump_part(const char *text, size_t size, void *arg)
{
	struct writer *w = arg;

	w->failed = put_for_yaml(w, text, size);
	return w->failed;
}

static int write_object(struct writer *w, const struct object *object)
{
	json_t *json = NULL;
	int ret;

	ret = object_encode(object, &json);
	if (!ret && json_dump_callback(json, dump_part, w, JSON_COMPACT))
		ret = w->failed ? w->failed : -ENOMEM;
	json_decref(json);
	return ret;
}

/* One object at a time, and on one line: memory for one, and line numbers that help. */
static int write_objects(struct writer *w, const struct object_set *set)
{
	static const char head[] = "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n";
	static const char tail[] = "]}\n";
	size_t i;
	int ret = put(w, head, sizeof(head) - 1);

	for (i = 0; !ret && i < set->n; i++) {
		ret = write_object(w, set->v[i]);
		if (!ret)
			ret = put(w, ",\n", i + 1 < set->n ? 2 : 0);
		if (!ret && w->bytes > SH_MANIFEST_BYTES_MAX)
			ret = -E2BIG;
	}
	return ret ? ret : put(w, tail, sizeof(tail) - 1);
}

int store_save(const char *dir, const struct object_set *set, struct err *err)
{
	char *path = path_in(dir, OBJECTS_FILE);
	struct atomic_file file = { 0 };
	struct writer writer = { 0 };
	int ret;

	if (!path)
		return no_memory(dir, err);
	ret = atomic_file_begin(&file, path, err);
	if (ret)
		goto out;
	writer.stream = file.stream;
	ret = write_objects(&writer, set);
	if (ret == -E2BIG)
		(void)err_input(err, ret,
				"%s: %zu objects take more than %u bytes (SH_MANIFEST_BYTES_MAX); "
				"the old state stays in force",
				path, set->n, SH_MANIFEST_BYTES_MAX);
	else if (ret)
		(void)err_system(err, ret, "cannot write %s; the old one stays in force", path);
	else
		ret = atomic_file_commit(&file, err);
	atomic_file_abort(&file);
out:
	free(path);
	return ret;
}

/* ---- settings.json -------------------------------------------------------------- */

/* *@out is an object, empty where there is no file. */
static int settings_load(const char *path, json_t **out, struct err *err)
{
	json_error_t why;
	char *text = NULL;
	json_t *json;
	size_t len = 0;
	int ret;

	ret = read_whole(path, &text, &len, err);
	if (ret && ret != -ENOENT)
		return ret;
	json = ret ? json_object() : json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	free(text);
	if (!json && ret)
		return err_system(err, -ENOMEM, "cannot read %s", path);
	if (!json_is_object(json)) {
		ret = err_input(err, -EINVAL,
				"the state is damaged: %s:%d:%d: %s; put back a copy of it, or "
				"move it away",
				path, json ? 1 : why.line, json ? 1 : why.column,
				json ? "not an object" : why.text);
		json_decref(json);
		return ret;
	}
	*out = json;
	return 0;
}

static int settings_save(const char *path, const json_t *json, struct err *err)
{
	struct atomic_file file;
	int ret;

	ret = atomic_file_begin(&file, path, err);
	if (ret)
		return ret;
	/* A failed write shows in the stream, and so in the commit. */
	(void)json_dumpf(json, file.stream, JSON_INDENT(2) | JSON_SORT_KEYS);
	(void)fputc('\n', file.stream);
	return atomic_file_commit(&file, err);
}

int store_get(const char *dir, const char *key, char **value_out, struct err *err)
{
	char *path = path_in(dir, SETTINGS_FILE), *value = NULL;
	json_t *json = NULL;
	const char *text;
	int ret;

	if (!path)
		return no_memory(dir, err);
	ret = settings_load(path, &json, err);
	if (ret)
		goto out;
	text = json_string_value(json_object_get(json, key));
	value = text ? strdup(text) : NULL;
	if (!text)
		ret = -ENOENT;
	else if (!value)
		ret = no_memory(dir, err);
	else
		*value_out = value;
out:
	json_decref(json);
	free(path);
	return ret;
}

int store_set(const char *dir, const char *key, const char *value, struct err *err)
{
	char *path = path_in(dir, SETTINGS_FILE);
	json_t *json = NULL;
	int ret;

	if (!path)
		return no_memory(dir, err);
	ret = settings_load(path, &json, err);
	if (ret)
		goto out;
	if (!value)
		(void)json_object_del(json, key); /* it may not be there */
	else if (json_object_set_new(json, key, json_string(value)))
		ret = err_input(err, -EINVAL, "%s: \"%s\" is not UTF-8", path, key);
	if (!ret)
		ret = settings_save(path, json, err);
out:
	json_decref(json);
	free(path);
	return ret;
}

/* ---- the end -------------------------------------------------------------------- */

static int remove_file(const char *dir, const char *name, struct err *err)
{
	char *path = path_in(dir, name);
	int ret = 0;

	if (!path)
		return no_memory(dir, err);
	if (unlink(path) && errno != ENOENT)
		ret = err_system(err, -errno, "cannot remove %s", path);
	free(path);
	return ret;
}

int store_remove(const char *dir, struct err *err)
{
	static const char *const names[] = { OBJECTS_FILE, OBJECTS_FILE ".tmp", SETTINGS_FILE,
					     SETTINGS_FILE ".tmp" };
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < sizeof(names) / sizeof(names[0]); i++)
		ret = remove_file(dir, names[i], err);
	/* A folder that holds somebody else's files stays, and one that is mounted, or that
	 * a service manager made for us. */
	if (!ret && rmdir(dir) && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST &&
	    errno != EBUSY && errno != EROFS)
		ret = err_system(err, -errno, "cannot remove the folder %s", dir);
	return ret;
}
