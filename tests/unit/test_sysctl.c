/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lists of reserved ports as text; lines of the mount table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/cgroup.h"
#include "dataplane/sysctl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct list_case {
	const char *sentence;
	const char *before;
	struct port_range range;
	const char *with; /* what we make of it */
	const char *now;  /* what somebody else makes of that; NULL: leaves it */
	const char *after;
};

static const struct list_case list_cases[] = {
	{ "an empty list", "", { 49152, 65535 }, "49152-65535", NULL, "" },
	{ "others' ports stay",
	  "8080,9148-9150",
	  { 30000, 30001 },
	  "8080,9148-9150,30000-30001",
	  NULL,
	  "8080,9148-9150" },
	{ "what lay within the range is there again",
	  "50000,60000-60010",
	  { 49152, 65535 },
	  "49152-65535",
	  NULL,
	  "50000,60000-60010" },
	{ "an overlap at the edge", "100-200", { 150, 250 }, "100-250", NULL, "100-200" },
	{ "neighbours grow together, and apart",
	  "100-149,251",
	  { 150, 250 },
	  "100-251",
	  NULL,
	  "100-149,251" },
	{ "all was reserved before", "0-65535", { 1, 2 }, "0-65535", NULL, "0-65535" },
	{ "one port", "", { 7, 7 }, "7", NULL, "" },
	{ "a port added later stays",
	  "50000",
	  { 49152, 65535 },
	  "49152-65535",
	  "80,49152-65535",
	  "80,50000" },
	{ "a port removed later stays away", "80", { 100, 200 }, "80,100-200", "100-200", "" },
	{ "blanks and newlines are the kernel's",
	  "80, 81\n",
	  { 90, 90 },
	  "80-81,90",
	  NULL,
	  "80-81" },
};

static void lists(void **state)
{
	for (size_t i = 0; i < COUNT(list_cases); i++) {
		const struct list_case *c = &list_cases[i];
		char *with = NULL, *after = NULL;

		assert_int_equal(port_list_add(c->before, c->range, &with), 0);
		assert_int_equal(
			port_list_restore(c->now ? c->now : with, c->before, c->range, &after), 0);
		if (strcmp(with, c->with) != 0 || strcmp(after, c->after) != 0)
			fail_msg("%s: \"%s\", then \"%s\"", c->sentence, with, after);
		free(with);
		free(after);
	}
}

static void bad_lists(void **state)
{
	static const char *const bad[] = { "x", "65536", "1-", "-1", "5-4", "1-70000", "1;2" };
	char *out = NULL;

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(port_list_add(bad[i], (struct port_range){ 1, 2 }, &out), -EINVAL);
	assert_null(out);
}

static void mount_lines(void **state)
{
	static const struct {
		const char *line, *point;
	} cases[] = {
		{ "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
		  "/sys/fs/cgroup/unified" },
		{ "30 23 0:26 / /sys/fs/cgroup rw shared:9 master:1 - cgroup2 cgroup rw\n",
		  "/sys/fs/cgroup" },
		{ "30 23 0:26 / /mnt/a\\040b\\134c rw - cgroup2 cgroup rw\n", "/mnt/a b\\c" },
		{ "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n", NULL },
		{ "32 31 0:29 / /cgroup2 rw - tmpfs cgroup2 rw\n", NULL },
		{ "", NULL },
		{ "1 2 - cgroup2", NULL },
	};
	char line[256];

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *point;

		(void)snprintf(line, sizeof(line), "%s", cases[i].line);
		point = cgroup_mount_point(line);
		if (cases[i].point)
			assert_string_equal(point, cases[i].point);
		else
			assert_null(point);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(bad_lists),
		cmocka_unit_test(mount_lines),
	};

	return cmocka_run_group_tests_name("sysctl", tests, NULL, NULL);
}
