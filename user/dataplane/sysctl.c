/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/sysctl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* /proc/sys/net shows the network namespace of whoever opens it. */
#define RESERVED_PATH	 "/proc/sys/net/ipv4/ip_local_reserved_ports"
#define LOCAL_RANGE_PATH "/proc/sys/net/ipv4/ip_local_port_range"

/* ---- lists of ports, as text ------------------------------------------------ */

#define PORTS		 65536
#define PORT_ITEM_STRLEN 12 /* "65535-65535," */

struct port_set {
	bool has[PORTS];
};

static void port_set_put(struct port_set *set, struct port_range range)
{
	for (unsigned int port = range.min; port <= range.max; port++)
		set->has[port] = true;
}

static int parse_port(const char **text, uint16_t *out)
{
	unsigned long port;
	char *end;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	port = strtoul(*text, &end, 10);
	if (port >= PORTS)
		return -EINVAL;
	*text = end;
	*out = (uint16_t)port;
	return 0;
}

static int port_set_parse(const char *list, struct port_set *set)
{
	struct port_range range;

	while (isspace((unsigned char)*list))
		list++;
	while (*list) {
		if (parse_port(&list, &range.min))
			return -EINVAL;
		range.max = range.min;
		if (*list == '-') {
			list++;
			if (parse_port(&list, &range.max) || range.max < range.min)
				return -EINVAL;
		}
		port_set_put(set, range);
		while (*list == ',' || isspace((unsigned char)*list))
			list++;
	}
	return 0;
}

/* As the kernel writes it: runs in order, no blanks. */
static char *port_set_format(const struct port_set *set)
{
	unsigned int first, port;
	size_t size = 1, len = 0;
	char *text;

	for (port = 0; port < PORTS; port++)
		if (set->has[port] && (!port || !set->has[port - 1]))
			size += PORT_ITEM_STRLEN;
	text = calloc(1, size);
	for (port = 0; text && port < PORTS; port++) {
		if (!set->has[port])
			continue;
		for (first = port; port + 1 < PORTS && set->has[port + 1];)
			port++;
		len += (size_t)snprintf(text + len, size - len, len ? ",%u" : "%u", first);
		if (port > first)
			len += (size_t)snprintf(text + len, size - len, "-%u", port);
	}
	return text;
}

static int port_set_give(const struct port_set *set, char **out)
{
	char *text = port_set_format(set);

	if (!text)
		return -ENOMEM;
	*out = text;
	return 0;
}

int port_list_add(const char *list, struct port_range range, char **out)
{
	struct port_set *set = calloc(1, sizeof(*set));
	int ret = set ? 0 : -ENOMEM;

	if (!ret)
		ret = port_set_parse(list, set);
	if (!ret) {
		port_set_put(set, range);
		ret = port_set_give(set, out);
	}
	free(set);
	return ret;
}

int port_list_restore(const char *list, const char *before, struct port_range range, char **out)
{
	struct port_set *sets = calloc(2, sizeof(*sets));
	int ret = sets ? 0 : -ENOMEM;

	if (!ret)
		ret = port_set_parse(list, &sets[0]);
	if (!ret)
		ret = port_set_parse(before, &sets[1]);
	if (!ret) {
		memcpy(&sets[0].has[range.min], &sets[1].has[range.min],
		       (size_t)range.max - range.min + 1);
		ret = port_set_give(&sets[0], out);
	}
	free(sets);
	return ret;
}

/* ---- files ------------------------------------------------------------------ */

/* First line of @path without its newline; to be freed. */
static int read_line(const char *path, char **out)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	FILE *f = fopen(path, "re");
	int ret = 0;

	if (!f)
		return -errno;
	errno = 0;
	len = getline(&line, &size, f);
	if (len < 0 && errno)
		ret = -errno;
	(void)fclose(f);
	if (!ret && len < 0) {
		free(line);
		line = strdup("");
		ret = line ? 0 : -ENOMEM;
	}
	if (ret) {
		free(line);
		return ret;
	}
	line[strcspn(line, "\n")] = '\0';
	*out = line;
	return 0;
}

static int write_reserved(const char *list, struct err *err)
{
	size_t len = strlen(list);
	char *text;
	ssize_t done;
	int fd, ret = 0;

	/* An empty list is written as an empty line: a write of nothing changes nothing. */
	if (asprintf(&text, "%s\n", list) < 0)
		return err_system(err, -ENOMEM, "write %s", RESERVED_PATH);
	fd = open(RESERVED_PATH, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		ret = err_system(err, -errno, "cannot reserve source ports in %s", RESERVED_PATH);
		goto out;
	}
	done = write(fd, text, len + 1);
	if (done < 0)
		ret = -errno;
	else if ((size_t)done < len)
		ret = -EMSGSIZE;
	if (ret)
		(void)err_system(err, ret, "cannot write \"%s\" to %s", list, RESERVED_PATH);
	(void)close(fd);
out:
	free(text);
	return ret;
}

static int read_reserved(char **out, struct err *err)
{
	int ret = read_line(RESERVED_PATH, out);

	return ret ? err_system(err, ret, "cannot read %s", RESERVED_PATH) : 0;
}

/* ---- what stood there before: STATE/sysctl ---------------------------------- */

struct record {
	char *before; /* the list as it was */
	struct port_range range;
};

static int record_path(const struct settings *settings, char *path, size_t size, struct err *err)
{
	int len = snprintf(path, size, "%s/sysctl", settings->state);

	if (len < 0 || (size_t)len >= size)
		return err_system(err, -ENAMETOOLONG, "--state %s", settings->state);
	return 0;
}

static int record_parse(FILE *f, struct record *out)
{
	unsigned int min, max;
	size_t size = 0;
	char *line = NULL;
	int ret = -EINVAL;

	if (fscanf(f, "snat-ports %5u-%5u\n", &min, &max) != 2 || max >= PORTS || min > max)
		return -EINVAL;
	if (getline(&line, &size, f) >= 0 && !strncmp(line, "before ", 7)) {
		line[strcspn(line, "\n")] = '\0';
		out->before = strdup(line + 7);
		out->range = (struct port_range){ (uint16_t)min, (uint16_t)max };
		ret = out->before ? 0 : -ENOMEM;
	}
	free(line);
	return ret;
}

/* @return 0, -ENOENT where nothing was reserved, or another negative errno */
static int record_read(const char *path, struct record *out, struct err *err)
{
	FILE *f = fopen(path, "re");
	int ret;

	if (!f && errno == ENOENT)
		return -ENOENT;
	if (!f)
		return err_system(err, -errno, "cannot read %s", path);
	ret = record_parse(f, out);
	(void)fclose(f);
	if (ret)
		return err_system(
			err, ret,
			"cannot read %s (it tells which source ports shunt has reserved): "
			"set %s by hand and remove it",
			path, RESERVED_PATH);
	return 0;
}

static int make_dirs(const char *path, struct err *err)
{
	char dir[PATH_MAX];

	(void)snprintf(dir, sizeof(dir), "%s", path);
	for (char *at = strchr(dir + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(dir, 0755) && errno != EEXIST)
			return err_system(err, -errno, "cannot make %s", dir);
		*at = '/';
	}
	return 0;
}

/* Aside, then renamed: a crash leaves the old record or the new one. */
static int record_write(const char *path, const struct record *record, struct err *err)
{
	char aside[PATH_MAX + 8];
	int fd, ret;

	ret = make_dirs(path, err);
	if (ret)
		return ret;
	(void)snprintf(aside, sizeof(aside), "%s.new", path);
	fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_system(err, -errno, "cannot write %s", aside);
	if (dprintf(fd, "snat-ports %u-%u\nbefore %s\n", record->range.min, record->range.max,
		    record->before) < 0 ||
	    fsync(fd))
		ret = -errno;
	(void)close(fd);
	if (!ret && rename(aside, path))
		ret = -errno;
	return ret ? err_system(err, ret, "cannot write %s", path) : 0;
}

/* Give back what the record at @path tells. @return 0, also where there is none */
static int give_back(const char *path, struct err *err)
{
	struct record record = { 0 };
	char *now = NULL, *before = NULL;
	int ret;

	ret = record_read(path, &record, err);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = read_reserved(&now, err);
	if (ret)
		goto out;
	ret = port_list_restore(now, record.before, record.range, &before);
	if (ret)
		(void)err_system(err, ret, "cannot read \"%s\" in %s", now, RESERVED_PATH);
	else if (strcmp(now, before) != 0)
		ret = write_reserved(before, err);
out:
	free(before);
	free(now);
	free(record.before);
	return ret;
}

/* Is @range what the record at @path and the kernel already have? */
static bool is_reserved(const char *path, struct port_range range)
{
	struct record record = { 0 };
	char *now = NULL, *with = NULL;
	bool same = false;

	if (!record_read(path, &record, NULL) && record.range.min == range.min &&
	    record.range.max == range.max && !read_line(RESERVED_PATH, &now) &&
	    !port_list_add(now, range, &with))
		same = !strcmp(now, with);
	free(with);
	free(now);
	free(record.before);
	return same;
}

int sysctl_reserve_ports(const struct settings *settings, struct err *err)
{
	struct record record = { .range = { settings->snat_min, settings->snat_max } };
	char path[PATH_MAX], *with = NULL;
	int ret;

	ret = record_path(settings, path, sizeof(path), err);
	if (ret || is_reserved(path, record.range))
		return ret;
	ret = give_back(path, err);
	if (!ret)
		ret = read_reserved(&record.before, err);
	if (ret)
		return ret;
	ret = port_list_add(record.before, record.range, &with);
	if (ret) {
		(void)err_system(err, ret, "cannot read \"%s\" in %s", record.before,
				 RESERVED_PATH);
		goto out;
	}
	/* The record first: a crash in between must not leave ports reserved for ever. */
	ret = record_write(path, &record, err);
	if (!ret)
		ret = write_reserved(with, err);
out:
	free(with);
	free(record.before);
	return ret;
}

int sysctl_restore_ports(const struct settings *settings, struct err *err)
{
	char path[PATH_MAX];
	int ret;

	ret = record_path(settings, path, sizeof(path), err);
	if (!ret)
		ret = give_back(path, err);
	if (!ret && unlink(path) && errno != ENOENT)
		ret = err_system(err, -errno, "cannot remove %s", path);
	return ret;
}

int sysctl_local_ports(struct port_range *out, struct err *err)
{
	unsigned int min, max;
	char *line = NULL;
	int ret;

	ret = read_line(LOCAL_RANGE_PATH, &line);
	if (!ret && (sscanf(line, "%u %u", &min, &max) != 2 || max >= PORTS || min > max))
		ret = -EINVAL;
	if (!ret)
		*out = (struct port_range){ (uint16_t)min, (uint16_t)max };
	free(line);
	return ret ? err_system(err, ret, "cannot read %s", LOCAL_RANGE_PATH) : 0;
}
