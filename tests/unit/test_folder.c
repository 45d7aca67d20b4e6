/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A folder that is followed: real files in /tmp, a real loop, and a sink that writes down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shunt/limits.h"
#include "source/folder.h"

#define HEARD_BYTES 65536
#define DEADLINE_MS 10000

struct fixture {
	char top[32], dir[64]; /* the folder is a folder's, so that it can go */
	uv_loop_t loop;
	uv_timer_t ticks;
	struct folder *folder;
	char heard[HEARD_BYTES]; /* what the sink was told, a line each, but for notices */
	char notices[HEARD_BYTES];
	struct object_set held;
};

/* ---- the sink ------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void write_down(char *text, const char *fmt, ...)
{
	const size_t len = strlen(text);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text + len, HEARD_BYTES - len, fmt, args);
	va_end(args);
	assert_true(strlen(text) < HEARD_BYTES - 1);
}

/* "+web:80 " */
static void put(void *arg, struct object *object)
{
	struct fixture *f = arg;

	write_down(f->heard, "+%s", object->meta.name);
	if (object->kind == KIND_SERVICE && object->service.n_ports)
		write_down(f->heard, ":%u", object->service.ports[0].port);
	write_down(f->heard, " ");
	assert_int_equal(object_set_put(&f->held, object), 0);
}

static void gone(void *arg, enum kind kind, const char *ns, const char *name)
{
	struct fixture *f = arg;

	write_down(f->heard, "-%s ", name);
	assert_int_equal(object_set_remove(&f->held, kind, ns, name), 0);
}

static void synced(void *arg)
{
	struct fixture *f = arg;

	write_down(f->heard, "synced ");
}

/* "!a.yaml " or "!Service shop/web in b.yaml "; the reason goes to the notices. */
static void refused(void *arg, const char *what, const char *why)
{
	struct fixture *f = arg;
	const char *in = strstr(what, f->dir);

	assert_non_null(in);
	write_down(f->heard, "!%.*s%s ", (int)(in - what), what,
		   in[strlen(f->dir)] ? in + strlen(f->dir) + 1 : ".");
	write_down(f->notices, "%s\n", why);
	assert_null(strchr(why, '\n'));
}

static void notice(void *arg, const char *text)
{
	struct fixture *f = arg;

	assert_null(strchr(text, '\n'));
	write_down(f->notices, "%s\n", text);
}

/* ---- the folder -------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void sh(const struct fixture *f, const char *fmt, ...)
{
	char command[2048], line[2304];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	(void)snprintf(line, sizeof(line), "cd %s && %s", f->dir, command);
	if (system(line) != 0)
		fail_msg("failed: %s", line);
}

#define SERVICE_AT \
	"apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {ports: [{port: %u}]}\n"

static void write_text(const struct fixture *f, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	file = fopen(path, "we");
	if (!file)
		fail_msg("cannot write %s", path);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static const char *service(char buf[256], const char *name, unsigned int port)
{
	(void)snprintf(buf, 256, SERVICE_AT, name, port);
	return buf;
}

static void write_service(const struct fixture *f, const char *file, const char *name,
			  unsigned int port)
{
	char text[256];

	write_text(f, file, service(text, name, port));
}

static void tick(uv_timer_t *timer)
{
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->top, sizeof(f->top), "/tmp/shunt-test-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	(void)snprintf(f->dir, sizeof(f->dir), "%s/manifests", f->top);
	assert_int_equal(mkdir(f->dir, 0755), 0);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(uv_timer_init(&f->loop, &f->ticks), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[64];

	folder_stop(f->folder);
	uv_close((uv_handle_t *)&f->ticks, NULL);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	object_set_done(&f->held);
	(void)snprintf(command, sizeof(command), "rm -rf %s", f->top);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static int watch(struct fixture *f, struct err *err)
{
	const struct source_sink sink = { put, gone, synced, refused, notice, f };

	return folder_watch(&f->folder, &f->loop, f->dir, &sink, err);
}

static void start(struct fixture *f)
{
	struct err err = { .msg = "" };

	if (watch(f, &err))
		fail_msg("%s", err.msg);
}

/* ---- waiting ------------------------------------------------------------------------- */

static void turn(struct fixture *f, unsigned int ms)
{
	/* The loop's idea of the time may be old: a timer that is due at once ends no waiting. */
	uv_update_time(&f->loop);
	assert_int_equal(uv_timer_start(&f->ticks, tick, ms, 0), 0);
	(void)uv_run(&f->loop, UV_RUN_ONCE);
}

static void run_for(struct fixture *f, uint64_t ms)
{
	const uint64_t end = uv_hrtime() + ms * 1000000;

	while (uv_hrtime() < end)
		turn(f, 10);
}

/* Until @text holds @wanted. */
static void await(struct fixture *f, const char *text, const char *wanted)
{
	const uint64_t end = uv_hrtime() + DEADLINE_MS * 1000000ull;

	while (!strstr(text, wanted) && uv_hrtime() < end)
		turn(f, 10);
	if (!strstr(text, wanted))
		fail_msg("\"%s\" was awaited; told: \"%s\"; notices:\n%s", wanted, f->heard,
			 f->notices);
}

/* Until the sink was told just @wanted, and then nothing more for a while. */
static void expect(struct fixture *f, const char *wanted)
{
	const uint64_t end = uv_hrtime() + DEADLINE_MS * 1000000ull;

	while (strcmp(f->heard, wanted) != 0 && strlen(f->heard) < strlen(wanted) &&
	       uv_hrtime() < end)
		turn(f, 10);
	run_for(f, 50);
	if (strcmp(f->heard, wanted) != 0)
		fail_msg("told: \"%s\", not \"%s\"; notices:\n%s", f->heard, wanted, f->notices);
	f->heard[0] = '\0';
}

/* Longer than a file that is missing is waited for. */
static void expect_nothing(struct fixture *f)
{
	run_for(f, 300);
	expect(f, "");
}

static void expect_notice(struct fixture *f, const char *wanted)
{
	await(f, f->notices, wanted);
	f->notices[0] = '\0';
}

static void expect_status(const struct fixture *f, size_t files, size_t files_refused,
			  size_t objects)
{
	struct folder_status status;

	folder_status(f->folder, &status);
	assert_int_equal(status.files, files);
	assert_int_equal(status.files_refused, files_refused);
	assert_int_equal(status.objects, objects);
	assert_int_equal(f->held.n, objects);
}

/* ---- tests ---------------------------------------------------------------------------- */

static void tells_all_and_then_differences(void **state)
{
	struct fixture *f = *state;

	write_service(f, "b.yml", "b", 2);
	write_service(f, "a.yaml", "a", 1);
	start(f);
	expect(f, "+a:1 +b:2 synced ");
	write_service(f, "c.json", "c", 3);
	expect(f, "+c:3 ");
	write_service(f, "a.yaml", "a", 11);
	expect(f, "+a:11 ");
	sh(f, "rm b.yml");
	expect(f, "-b ");
	expect_status(f, 2, 0, 2);
}

static void an_empty_folder_is_synced(void **state)
{
	struct fixture *f = *state;

	start(f);
	expect(f, "synced ");
	expect_status(f, 0, 0, 0);
}

static void no_folder_is_fatal(void **state)
{
	struct fixture *f = *state;
	struct err err = { .msg = "" };
	char wanted[128];

	sh(f, "rmdir ../manifests");
	(void)snprintf(wanted, sizeof(wanted),
		       "cannot follow the folder %s: No such file or directory", f->dir);
	assert_int_equal(watch(f, &err), -ENOENT);
	assert_string_equal(err.msg, wanted);
	assert_int_equal(err.exit, EXIT_INPUT);
	assert_null(f->folder);
	assert_int_equal(close(creat(f->dir, 0600)), 0);
	assert_int_equal(watch(f, &err), -ENOTDIR);
	assert_int_equal(unlink(f->dir), 0);
	assert_string_equal(f->heard, "");
}

static void only_differences_of_a_file_are_told(void **state)
{
	struct fixture *f = *state;
	char a[256], b[256], text[600];

	(void)snprintf(text, sizeof(text), "%s---\n%s", service(a, "a", 1), service(b, "b", 2));
	write_text(f, "x.yaml", text);
	start(f);
	expect(f, "+a:1 +b:2 synced ");
	/* The same bytes; the same objects in other words, the other way round. */
	write_text(f, "x.yaml", text);
	sh(f, "touch x.yaml");
	expect_nothing(f);
	(void)snprintf(text, sizeof(text), "# new\n%s---\n%s", service(b, "b", 2),
		       service(a, "a", 1));
	write_text(f, "x.yaml", text);
	expect_nothing(f);
	(void)snprintf(text, sizeof(text), "%s---\n%s", service(b, "b", 22), service(a, "c", 3));
	write_text(f, "x.yaml", text);
	await(f, f->heard, "+c:3");
	await(f, f->heard, "+b:22");
	await(f, f->heard, "-a");
	assert_int_equal(strlen(f->heard), strlen("+c:3 +b:22 -a "));
	expect_status(f, 1, 0, 2);
}

static void a_bad_file_keeps_its_last_good_version(void **state)
{
	struct fixture *f = *state;
	char wanted[256];

	write_service(f, "a.yaml", "a", 1);
	write_service(f, "bad.yaml", "bad", 70000);
	start(f);
	expect(f, "!bad.yaml +a:1 synced ");
	(void)snprintf(wanted, sizeof(wanted), "%s/bad.yaml:4:23: spec.ports[0].port: ", f->dir);
	expect_notice(f, wanted);
	expect_status(f, 2, 1, 1);

	write_text(f, "a.yaml",
		   "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: "
		   "{prots: [], typ: x, ports: [{port: 0}]}}");
	expect(f, "!a.yaml ");
	expect_notice(f, " (and 2 more)\n");
	expect_status(f, 2, 2, 1);
	/* Once per change. */
	sh(f, "touch a.yaml bad.yaml");
	expect_nothing(f);
	write_text(f, "a.yaml", "not: [yaml");
	expect(f, "!a.yaml ");
	/* What it says then is what it said before. */
	f->notices[0] = '\0';
	write_service(f, "a.yaml", "a", 1);
	expect_notice(f, "/a.yaml: is right again\n");
	expect_nothing(f);
	expect_status(f, 2, 1, 1);
	write_service(f, "bad.yaml", "good", 7);
	expect(f, "+good:7 ");
	expect_status(f, 2, 0, 2);
	/* A bad file that goes takes what it said before with it. */
	write_text(f, "a.yaml", "{");
	expect(f, "!a.yaml ");
	sh(f, "rm a.yaml");
	expect(f, "-a ");
	expect_status(f, 1, 0, 1);
}

static void what_is_skipped_is_noticed(void **state)
{
	struct fixture *f = *state;

	start(f);
	expect(f, "synced ");
	write_text(f, "a.yaml", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}");
	expect_notice(f, "a.yaml:1: Deployment \"d\" skipped: not a kind that shunt reads\n");
	expect_status(f, 1, 0, 0);
}

static void written_in_place_is_read_when_closed(void **state)
{
	struct fixture *f = *state;
	char path[128], text[256];
	int fd;

	write_service(f, "a.yaml", "a", 1);
	start(f);
	expect(f, "+a:1 synced ");
	(void)snprintf(path, sizeof(path), "%s/a.yaml", f->dir);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	expect_nothing(f);
	/* Half of it would be a manifest, too. */
	(void)service(text, "b", 2);
	assert_true(write(fd, text, strlen(text)) > 0);
	expect_nothing(f);
	assert_true(write(fd, "---\n", 4) == 4);
	(void)service(text, "a", 2);
	assert_true(write(fd, text, strlen(text)) > 0);
	expect_nothing(f);
	assert_int_equal(close(fd), 0);
	expect(f, "+a:2 +b:2 ");
}

static void made_anew_by_an_editor_is_never_gone(void **state)
{
	struct fixture *f = *state;
	char path[128], text[256];
	int fd;

	write_service(f, "a.yaml", "a", 1);
	start(f);
	expect(f, "+a:1 synced ");
	/* vim: the old one becomes a backup, a new one is written, the backup goes. */
	sh(f, "touch 4913 && rm 4913 && touch .a.yaml.swp && mv a.yaml a.yaml~");
	(void)snprintf(path, sizeof(path), "%s/a.yaml", f->dir);
	run_for(f, 20);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	run_for(f, 100);
	/* Slower than what is missing is waited for. */
	assert_true(write(fd, text, strlen(service(text, "b", 2))) > 0);
	expect_nothing(f);
	assert_true(write(fd, "---\n", 4) == 4);
	assert_true(write(fd, text, strlen(service(text, "a", 3))) > 0);
	assert_int_equal(close(fd), 0);
	sh(f, "rm a.yaml~ .a.yaml.swp");
	expect(f, "+a:3 +b:2 ");
	/* git checkout: deleted, and written anew */
	sh(f, "rm a.yaml");
	write_service(f, "a.yaml", "a", 4);
	await(f, f->heard, "-b");
	expect(f, f->heard[0] == '+' ? "+a:4 -b " : "-b +a:4 ");
	/* sed -i, and everyone who is careful */
	sh(f, "sed -i 's/port: 4/port: 5/' a.yaml");
	expect(f, "+a:5 ");
	sh(f, "sed 's/port: 5/port: 6/' a.yaml >.a.yaml.tmp && mv .a.yaml.tmp a.yaml");
	expect(f, "+a:6 ");
}

static void other_names_do_not_count(void **state)
{
	static const char *const names[] = { ".a.yaml",	 ".a.yaml.swp", "a.yaml~",
					     "#a.yaml#", "4913",	"a.yaml.new",
					     ".a.tmp",	 "README.md",	"a.test.yaml" };
	struct fixture *f = *state;

	start(f);
	expect(f, "synced ");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		write_service(f, names[i], "a", 1);
	sh(f, "mkdir d.yaml && echo '[' >d.yaml/x.yaml");
	expect_nothing(f);
	expect_status(f, 0, 0, 0);
	/* One that takes the place of a folder, and the other way round. */
	sh(f, "rm -r d.yaml");
	write_service(f, "d.yaml", "d", 1);
	expect(f, "+d:1 ");
	sh(f, "rm d.yaml && mkdir d.yaml");
	expect(f, "-d ");
	/* A name that begins to count. */
	sh(f, "mv a.yaml.new a.yaml");
	expect(f, "+a:1 ");
	sh(f, "mv a.yaml a.yaml.old");
	expect(f, "-a ");
	expect_status(f, 0, 0, 0);
}

static void a_renamed_file_is_no_change(void **state)
{
	struct fixture *f = *state;

	write_service(f, "a.yaml", "a", 1);
	write_service(f, "c.yaml", "c", 1);
	start(f);
	expect(f, "+a:1 +c:1 synced ");
	sh(f, "mv a.yaml b.yaml");
	expect_nothing(f);
	expect_status(f, 2, 0, 2);
	/* By hand, and backwards in the order of names. */
	sh(f, "rm b.yaml");
	write_service(f, "z.yaml", "a", 1);
	expect_nothing(f);
	expect_status(f, 2, 0, 2);
	/* Over another one: that one's objects are gone. */
	sh(f, "mv z.yaml c.yaml");
	expect(f, "-c ");
	/* An object that moves between files that stay. */
	write_service(f, "d.yaml", "d", 1);
	expect(f, "+d:1 ");
	sh(f, "cp c.yaml .t && mv d.yaml c.yaml && mv .t d.yaml");
	expect_nothing(f);
	expect_status(f, 2, 0, 2);
}

static void twins_are_of_the_first_file_by_name(void **state)
{
	struct fixture *f = *state;
	char a[256], b[256], text[600], wanted[256];

	write_service(f, "m.yaml", "x", 1);
	start(f);
	expect(f, "+x:1 synced ");
	(void)snprintf(text, sizeof(text), "%s---\n%s", service(a, "x", 2), service(b, "z", 2));
	write_text(f, "n.yaml", text);
	await(f, f->heard, "+z:2 ");
	expect(f, f->heard[0] == '!' ? "!Service default/x in n.yaml +z:2 "
				     : "+z:2 !Service default/x in n.yaml ");
	(void)snprintf(wanted, sizeof(wanted),
		       "%s/n.yaml:1: %s/m.yaml has it at line 1, and comes first by name; remove "
		       "one of the two\n",
		       f->dir, f->dir);
	expect_notice(f, wanted);
	/* One that comes before it takes it over. */
	write_service(f, "a.yaml", "x", 3);
	expect(f, "+x:3 !Service default/x in m.yaml ");
	/* Once per change. */
	sh(f, "touch a.yaml m.yaml n.yaml");
	expect_nothing(f);
	/* And back: the first, the second, none. */
	sh(f, "rm a.yaml");
	expect(f, "+x:1 ");
	sh(f, "rm m.yaml");
	expect(f, "+x:2 ");
	sh(f, "rm n.yaml");
	await(f, f->heard, "-z");
	await(f, f->heard, "-x");
	expect_status(f, 0, 0, 0);
}

static void the_same_file_twice_is_an_error_of_it(void **state)
{
	struct fixture *f = *state;
	char a[256], b[256], text[600];

	start(f);
	expect(f, "synced ");
	(void)snprintf(text, sizeof(text), "%s---\n%s", service(a, "x", 2), service(b, "x", 3));
	write_text(f, "n.yaml", text);
	expect(f, "!n.yaml ");
	expect_notice(f, " stands there twice, first at ");
}

static void a_config_map_volume_is_followed(void **state)
{
	struct fixture *f = *state;

	sh(f, "mkdir ..v1 ..v2 && ln -s ..v1 ..data && ln -s ..data/a.yaml a.yaml && "
	      "ln -s ..data/b.yaml b.yaml");
	write_service(f, "..v1/a.yaml", "a", 1);
	write_service(f, "..v1/b.yaml", "b", 1);
	start(f);
	expect(f, "+a:1 +b:1 synced ");
	/* As the kubelet does it: the new files, the switch, new and old links, the old files. */
	write_service(f, "..v2/a.yaml", "a", 2);
	write_service(f, "..v2/c.yaml", "c", 2);
	sh(f, "ln -s ..v2 ..data_tmp && mv -T ..data_tmp ..data");
	expect(f, "+a:2 -b ");
	sh(f, "ln -s ..data/c.yaml c.yaml && rm b.yaml && rm -r ..v1");
	expect(f, "+c:2 ");
	/* Inode numbers are used again. */
	sh(f, "cp -r ..v2 ..v3 && sed -i 's/port: 2/port: 3/' ..v3/a.yaml && ln -s ..v3 ..data_tmp "
	      "&& mv -T ..data_tmp ..data && rm -r ..v2");
	expect(f, "+a:3 ");
	expect_status(f, 2, 0, 2);
}

static void links_are_followed(void **state)
{
	struct fixture *f = *state;
	char path[128];
	int fd;

	write_service(f, "../one", "a", 1);
	sh(f, "ln -s ../one a.yaml && ln -s ../nowhere b.yaml && ln -s loop.yaml loop.yaml");
	start(f);
	expect(f, "!loop.yaml +a:1 synced ");
	expect_notice(f, "loop.yaml: can't be opened: Too many levels of symbolic links\n");
	sh(f, "rm loop.yaml");
	/* Written in place, replaced, missing, there again, where no event of the folder says so. */
	write_service(f, "../one", "a", 2);
	expect(f, "+a:2 ");
	write_service(f, "../two", "a", 3);
	sh(f, "mv ../two ../one");
	expect(f, "+a:3 ");
	write_service(f, "../one", "a", 4);
	expect(f, "+a:4 ");
	sh(f, "rm ../one");
	expect(f, "-a ");
	write_service(f, "../one", "a", 5);
	expect(f, "+a:5 ");
	write_service(f, "../nowhere", "b", 1);
	expect(f, "+b:1 ");
	/* Looked at meanwhile, but read when it is whole. */
	(void)snprintf(path, sizeof(path), "%s/nowhere", f->top);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	run_for(f, 1200);
	expect_nothing(f);
	assert_int_equal(close(fd), 0);
	expect(f, "-b ");
	write_service(f, "../nowhere", "b", 2);
	expect(f, "+b:2 ");
	/* Two links with one target; one that comes later; one that goes. */
	sh(f, "rm b.yaml && ln -s ../one z.yaml");
	expect(f, "!Service default/a in z.yaml -b ");
	sh(f, "rm a.yaml");
	expect_nothing(f);
	write_service(f, "../one", "a", 6);
	expect(f, "+a:6 ");
}

static void linked_into_place_is_whole(void **state)
{
	struct fixture *f = *state;
	char path[128], text[256];
	int fd;

	start(f);
	expect(f, "synced ");
	write_service(f, "../one", "a", 1);
	sh(f, "ln ../one a.yaml");
	expect(f, "+a:1 ");
	/* A file without a name that gets one. */
	fd = open(f->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EOPNOTSUPP)
		skip();
	assert_true(fd >= 0);
	assert_true(write(fd, text, strlen(service(text, "b", 1))) > 0);
	(void)snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
	(void)snprintf(path, sizeof(path), "%s/b.yaml", f->dir);
	sh(f, "rm a.yaml");
	expect(f, "-a ");
	assert_int_equal(linkat(AT_FDCWD, text, AT_FDCWD, path, AT_SYMLINK_FOLLOW), 0);
	assert_int_equal(close(fd), 0);
	expect(f, "+b:1 ");
}

static void what_cannot_be_read_is_refused(void **state)
{
	const bool root = !geteuid();
	struct fixture *f = *state;
	char path[128];

	write_service(f, "a.yaml", "a", 1);
	start(f);
	expect(f, "+a:1 synced ");
	sh(f, "mkfifo pipe.yaml");
	expect(f, "!pipe.yaml ");
	expect_notice(f, "pipe.yaml: is not a regular file; move it out of the folder\n");
	sh(f, "rm pipe.yaml");
	expect_nothing(f);
	write_text(f, "large", "");
	(void)snprintf(path, sizeof(path), "%s/large", f->dir);
	assert_int_equal(truncate(path, SH_MANIFEST_BYTES_MAX + 1), 0);
	sh(f, "mv large a.yaml");
	expect(f, "!a.yaml ");
	expect_notice(f, "a.yaml: is too large: at most SH_MANIFEST_BYTES_MAX (67108864) bytes");
	expect_status(f, 1, 1, 1);
	write_service(f, "a.yaml", "a", 2);
	expect(f, "+a:2 ");
	expect_notice(f, "/a.yaml: is right again\n");
	/* Root can be stopped only by being somebody else meanwhile. */
	write_service(f, ".secret", "a", 3);
	sh(f, "chmod 711 .. && chmod 000 .secret && mv .secret a.yaml");
	if (root)
		assert_int_equal(seteuid(65534), 0);
	await(f, f->heard, "!a.yaml ");
	expect(f, "!a.yaml ");
	if (root)
		assert_int_equal(seteuid(0), 0);
	expect_notice(f, "a.yaml: can't be opened: Permission denied\n");
	sh(f, "chmod 644 a.yaml");
	expect(f, "+a:3 ");
}

static void a_folder_that_goes_stays_in_force(void **state)
{
	struct fixture *f = *state;
	char wanted[256];

	write_service(f, "a.yaml", "a", 1);
	write_service(f, "b.yaml", "b", 1);
	start(f);
	expect(f, "+a:1 +b:1 synced ");
	sh(f, "mv ../manifests ../elsewhere");
	(void)snprintf(wanted, sizeof(wanted),
		       "%s: can't be followed: No such file or directory; what was read from it "
		       "stays in force until it is back\n",
		       f->dir);
	expect_notice(f, wanted);
	expect_nothing(f);
	(void)snprintf(wanted, sizeof(wanted), "mv %s/elsewhere %s", f->top, f->dir);
	assert_int_equal(system(wanted), 0);
	expect_notice(f, "/manifests: is back\n");
	expect_nothing(f);
	write_service(f, "a.yaml", "a", 2);
	expect(f, "+a:2 ");

	/* Removed file by file, made anew, and filled after a while. */
	sh(f, "rm -r ../manifests");
	expect_notice(f, "can't be followed");
	assert_int_equal(mkdir(f->dir, 0755), 0);
	await(f, f->notices, "/manifests: is back\n");
	expect_notice(f, "holds no manifest: what was read before stays in force until it does\n");
	run_for(f, 2500);
	expect_nothing(f);
	write_service(f, "b.yaml", "b", 3);
	expect(f, "+b:3 ");
	expect_nothing(f);
	/* What isn't put back is gone in the end. */
	expect(f, "-a ");
	expect_status(f, 1, 0, 1);
}

static void another_folder_in_its_place_is_followed(void **state)
{
	struct fixture *f = *state;

	write_service(f, "a.yaml", "a", 1);
	sh(f, "mv ../manifests ../one && ln -s one ../manifests && mkdir ../two");
	write_service(f, "../two/a.yaml", "a", 2);
	start(f);
	expect(f, "+a:1 synced ");
	sh(f, "ln -s two ../new && mv -T ../new ../manifests");
	expect(f, "+a:2 ");
	write_service(f, "b.yaml", "b", 1);
	expect(f, "+b:1 ");
}

static void many_files_at_once(void **state)
{
	struct fixture *f = *state;

	start(f);
	expect(f, "synced ");
	sh(f, "for i in $(seq 500); do printf 'apiVersion: v1\\nkind: Pod\\nmetadata: {name: "
	      "p%%s}\\n' "
	      "$i >p$i.yaml; done");
	while (f->held.n < 500)
		turn(f, 100);
	expect_status(f, 500, 0, 500);
	f->heard[0] = '\0';
	sh(f, "rm *.yaml");
	while (f->held.n)
		turn(f, 100);
	expect_status(f, 0, 0, 0);
}

/* More events than the kernel keeps. */
static void an_overflow_reads_everything_again(void **state)
{
	struct fixture *f = *state;
	char limit[32] = "16384";
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");

	if (file) {
		assert_non_null(fgets(limit, sizeof(limit), file));
		(void)fclose(file);
	}
	write_service(f, "a.yaml", "a", 1);
	write_service(f, "c.yaml", "c", 1);
	start(f);
	expect(f, "+a:1 +c:1 synced ");
	for (long i = 0; i < strtol(limit, NULL, 10); i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "%s/.%ld", f->dir, i % 2);
		assert_int_equal(close(creat(path, 0600)), 0);
	}
	write_service(f, "a.yaml", "a", 2);
	write_service(f, "b.yaml", "b", 2);
	sh(f, "rm c.yaml");
	expect(f, "+a:2 +b:2 -c ");
}

static void too_many_files_name_the_limit(void **state)
{
	struct fixture *f = *state;
	char path[128];

	for (unsigned int i = 0; i <= SH_FOLDER_FILES_MAX; i++) {
		(void)snprintf(path, sizeof(path), "%s/%05u.yaml", f->dir, i);
		assert_int_equal(close(creat(path, 0600)), 0);
	}
	start(f);
	expect(f, "!. synced ");
	expect_notice(f, "SH_FOLDER_FILES_MAX");
	expect_status(f, SH_FOLDER_FILES_MAX, 0, 0);
	write_service(f, "99999.yaml", "a", 1);
	expect_nothing(f);
	sh(f, "rm 00000.yaml 65536.yaml");
	expect(f, "+a:1 ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(tells_all_and_then_differences),
		TEST(an_empty_folder_is_synced),
		TEST(no_folder_is_fatal),
		TEST(only_differences_of_a_file_are_told),
		TEST(a_bad_file_keeps_its_last_good_version),
		TEST(what_is_skipped_is_noticed),
		TEST(written_in_place_is_read_when_closed),
		TEST(made_anew_by_an_editor_is_never_gone),
		TEST(other_names_do_not_count),
		TEST(a_renamed_file_is_no_change),
		TEST(twins_are_of_the_first_file_by_name),
		TEST(the_same_file_twice_is_an_error_of_it),
		TEST(a_config_map_volume_is_followed),
		TEST(links_are_followed),
		TEST(linked_into_place_is_whole),
		TEST(what_cannot_be_read_is_refused),
		TEST(a_folder_that_goes_stays_in_force),
		TEST(another_folder_in_its_place_is_followed),
		TEST(many_files_at_once),
		TEST(an_overflow_reads_everything_again),
		TEST(too_many_files_name_the_limit),
	};
#undef TEST

	return cmocka_run_group_tests_name("folder", tests, NULL, NULL);
}
