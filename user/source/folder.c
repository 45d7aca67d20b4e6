/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Level-triggered: an inotify event only says which names to look at. What is
 * read there is compared with what was read before (by a hash of the bytes),
 * and claims.c compares the objects in it with what the sink knows.
 *
 * Editors and version control take a file away and write it anew, and `rm -r`
 * of a folder begins with its files: a name that is missing is therefore
 * believed only after GONE_MS. What has no events (a folder that something is
 * mounted over, links whose targets are elsewhere) is looked at every LOOK_MS.
 */
#include "source/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* No memory for a table: the element is not added, which its adder sees by hh.tbl. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "shunt/limits.h"
#include "source/claims.h"
#include "source/manifest.h"
#include "util/hash.h"

#define GONE_MS	     200  /* from missing to gone */
#define GONE_BACK_MS 2000 /* in a folder that came back, and may still be being filled */
#define LOOK_MS	     1000

#define FOLDER_EVENTS                                                                       \
	(IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | \
	 IN_MOVE_SELF | IN_DELETE_SELF)
#define TARGET_EVENTS (IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF)

#define EVENT_BYTES 65536
#define READS_MAX   64 /* of one turn of the loop */

/* Whether what stands under a name is what stood there when it was last looked at. */
struct identity {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

enum file_state {
	FILE_NONE = 0,	 /* never read: a link that leads nowhere, or is about to be read */
	FILE_GOOD,	 /* what it says is in force */
	FILE_BAD,	 /* what it said before is */
	FILE_UNREADABLE, /* the same */
};

struct file {
	UT_hash_handle hh;
	char *path;
	const char *name; /* the end of @path */
	struct claimant claimant;
	enum file_state state;
	uint64_t digest; /* of the bytes that were read, or of what was wrong with reading them */
	bool dirty;	 /* to be read */
	bool seen;	 /* by the scan that is going on */
	bool link;
	struct identity target; /* of a link */
	int target_wd;		/* the same; -1: none */
	uint64_t gone_at;	/* in the loop's time; 0: it isn't missing */
};

struct folder {
	char *dir;
	uv_loop_t *loop;
	struct source_sink sink;
	struct claims claims;
	struct file *files; /* uthash, by name */
	int inotify_fd;
	int wd; /* of the folder; -1: it isn't watched */
	struct identity identity;
	bool away, back;      /* back: it is there again, and has held no manifest yet */
	bool full, unwatched; /* the sink knows that there are too many files, or watches */
	bool check, rescan, relink;
	uint64_t look_at; /* the next look at what has no events */
	uv_poll_t poll;
	uv_timer_t timer;
	int n_handles; /* that are open, or closing */
};

static void notice(const struct folder *folder, const char *what, const char *why)
{
	char *text;

	if (asprintf(&text, "%s%s", what, why) < 0)
		return;
	folder->sink.notice(folder->sink.arg, text);
	free(text);
}

static struct identity identity_of(const struct stat *st)
{
	return (struct identity){ st->st_dev, st->st_ino, st->st_size, st->st_ctim };
}

static bool same_inode(const struct identity *a, const struct identity *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static bool same_identity(const struct identity *a, const struct identity *b)
{
	return same_inode(a, b) && a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

/* ---- files -------------------------------------------------------------------- */

static struct file *file_find(const struct folder *folder, const char *name)
{
	struct file *file;

	HASH_FIND_STR(folder->files, name, file);
	return file;
}

static void refuse_no_memory(const struct folder *folder, const char *path)
{
	folder->sink.refused(folder->sink.arg, path, "there is no memory to read it");
}

static bool has_room(struct folder *folder, const char *name)
{
	char why[256];

	if (HASH_COUNT(folder->files) < SH_FOLDER_FILES_MAX) {
		folder->full = false;
		return true;
	}
	if (!folder->full) {
		(void)snprintf(
			why, sizeof(why),
			"it holds more than %d manifests (SH_FOLDER_FILES_MAX), and so %.40s "
			"and all that come later are left out; join some of them",
			SH_FOLDER_FILES_MAX, name);
		folder->sink.refused(folder->sink.arg, folder->dir, why);
	}
	folder->full = true;
	return false;
}

/* The record of @name, made where there is none. NULL: no room, which was told */
static struct file *file_get(struct folder *folder, const char *name)
{
	struct file *file = file_find(folder, name);

	if (file || !has_room(folder, name))
		return file;
	file = calloc(1, sizeof(*file));
	if (file)
		file->path = manifest_path(folder->dir, name);
	if (!file || !file->path)
		goto no_memory;
	file->name = file->path + strlen(file->path) - strlen(name);
	file->claimant.path = file->path;
	file->target_wd = -1;
	HASH_ADD_KEYPTR(hh, folder->files, file->name, strlen(file->name), file);
	if (file->hh.tbl)
		return file;
no_memory:
	refuse_no_memory(folder, name);
	if (file)
		free(file->path);
	free(file);
	return NULL;
}

/* Links may share a target, and so its watch. */
static void drop_target(struct folder *folder, struct file *file)
{
	const int wd = file->target_wd;

	file->target_wd = -1;
	if (wd < 0)
		return;
	for (const struct file *other = folder->files; other; other = other->hh.next)
		if (other->target_wd == wd)
			return;
	(void)inotify_rm_watch(folder->inotify_fd, wd);
}

static void file_free(struct folder *folder, struct file *file)
{
	claims_clear(&folder->claims, &file->claimant);
	HASH_DEL(folder->files, file);
	free(file->path);
	free(file);
}

static void file_missing(struct folder *folder, struct file *file, uint64_t after_ms)
{
	if (file->gone_at)
		return;
	file->gone_at = uv_now(folder->loop) + after_ms;
	claims_doubt(&folder->claims, &file->claimant, true);
}

static void file_there(struct folder *folder, struct file *file)
{
	file->gone_at = 0;
	claims_doubt(&folder->claims, &file->claimant, false);
}

/* A link that leads nowhere is remembered: its target may come. */
static void file_gone(struct folder *folder, struct file *file)
{
	struct stat st;

	/* There may be room for one that was left out. */
	folder->rescan |= folder->full;
	file_there(folder, file);
	file->link = !lstat(file->path, &st) && S_ISLNK(st.st_mode);
	if (!file->link) {
		drop_target(folder, file);
		file_free(folder, file);
		return;
	}
	claims_clear(&folder->claims, &file->claimant);
	file->state = FILE_NONE;
}

/*
 * Is this file, which nobody was seen to close, whole? One that was linked or
 * made as a whole is; one that is being written is not. A lease is given where
 * nobody has the file open for writing. Its holder is sent a signal when
 * somebody opens it meanwhile: one that does nothing.
 */
static bool is_whole(const char *path)
{
	struct stat st;
	bool whole;
	int fd;

	if (lstat(path, &st))
		return false;
	if (!S_ISREG(st.st_mode))
		return true;
	/* An empty one was just made, and whoever did so may be about to write. */
	if (!st.st_size)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	whole = !fcntl(fd, F_SETSIG, SIGURG) && !fcntl(fd, F_SETLEASE, F_RDLCK);
	(void)close(fd);
	return whole;
}

/* ---- reading ------------------------------------------------------------------- */

/* @what is wrong with @file: told once. */
static void file_refuse(struct folder *folder, struct file *file, const struct diags *diags,
			enum file_state state)
{
	const size_t more = diags_count(diags) - 1;
	char *why = NULL;

	file->state = state;
	if (more && asprintf(&why, "%s (and %zu more)", diags->errors[0].text, more) < 0)
		why = NULL;
	folder->sink.refused(folder->sink.arg, file->path, why ? why : diags->errors[0].text);
	free(why);
}

/* Kinds that were skipped, fields without an effect. */
static void file_notes(const struct folder *folder, const struct diags *diags)
{
	const size_t more = diags->n_notes + diags->n_more_notes - 1;
	char text[64] = "";

	if (!diags->n_notes)
		return;
	if (more)
		(void)snprintf(text, sizeof(text), " (and %zu more)", more);
	notice(folder, diags->notes[0].text, text);
}

static int file_take(struct folder *folder, struct file *file, const struct manifest_text *text)
{
	const bool was_wrong = file->state == FILE_BAD || file->state == FILE_UNREADABLE;
	struct object_set set = { 0 };
	struct diags diags = { 0 };
	int ret;

	ret = manifest_load_buffer(text, &set, &diags, NULL);
	if (ret == -EINVAL && diags.n_errors) {
		file_refuse(folder, file, &diags, FILE_BAD);
		ret = 0;
	} else if (!ret) {
		ret = claims_take(&folder->claims, &file->claimant, &set);
		if (!ret) {
			file->state = FILE_GOOD;
			file_notes(folder, &diags);
		}
		if (!ret && was_wrong)
			notice(folder, file->path, ": is right again");
	}
	object_set_done(&set);
	diags_done(&diags);
	return ret == -EINVAL ? -ENOMEM : ret;
}

/* Only what is new about it is told. */
static int file_judge(struct folder *folder, struct file *file, const struct manifest_text *text,
		      const struct diags *diags)
{
	const char *bytes = text->text ? text->text : diags->errors[0].text;
	const uint64_t digest = hash64(HASH64_INIT, bytes, text->text ? text->len : strlen(bytes));
	const bool readable = file->state != FILE_UNREADABLE;
	int ret = 0;

	if (file->state != FILE_NONE && readable == !!text->text && digest == file->digest)
		return 0;
	if (text->text)
		ret = file_take(folder, file, text);
	else
		file_refuse(folder, file, diags, FILE_UNREADABLE);
	if (!ret)
		file->digest = digest;
	return ret;
}

static void notice_unwatched(struct folder *folder, const struct file *file)
{
	if (!folder->unwatched)
		notice(folder, file->path,
		       ": what it links to can't be watched, and is looked at every second "
		       "instead; raise the sysctl fs.inotify.max_user_watches");
	folder->unwatched = true;
}

/* The folder has no events of what a link in it leads to. */
static void watch_target(struct folder *folder, struct file *file)
{
	const int old = file->target_wd;
	struct stat st;
	int wd = -1;

	file->link = !lstat(file->path, &st) && S_ISLNK(st.st_mode);
	if (file->link && !stat(file->path, &st)) {
		file->target = identity_of(&st);
		if (S_ISREG(st.st_mode)) {
			wd = inotify_add_watch(folder->inotify_fd, file->path, TARGET_EVENTS);
			if (wd < 0 && errno == ENOSPC)
				notice_unwatched(folder, file);
		}
	}
	if (wd == old)
		return;
	drop_target(folder, file);
	file->target_wd = wd;
}

static void file_read(struct folder *folder, struct file *file)
{
	struct manifest_text text = { 0 };
	struct diags diags = { 0 };
	int ret;

	/* First: what is written from here on has its event. */
	watch_target(folder, file);
	ret = manifest_read(file->path, &text, &diags);
	if (ret > 0) {
		file_there(folder, file);
		ret = text.text || diags.n_errors ? file_judge(folder, file, &text, &diags)
						  : -ENOMEM;
	} else if (!ret) {
		file_missing(folder, file, GONE_MS);
	}
	/* Tried again at the next look. */
	if (ret < 0)
		refuse_no_memory(folder, file->path);
	file->dirty = ret < 0;
	free((char *)text.text);
	diags_done(&diags);
}

/* ---- the folder ------------------------------------------------------------------ */

static void scan_name(struct folder *folder, const char *name)
{
	struct file *file = file_get(folder, name);

	if (!file)
		return;
	file->seen = true;
	file->dirty = true;
}

/* Every file is read again; those that have not changed cost their reading. */
static int folder_scan(struct folder *folder)
{
	const uint64_t after_ms = folder->back ? GONE_BACK_MS : GONE_MS;
	struct dirent **entries;
	const int n = manifest_names(folder->dir, &entries);
	struct file *file, *next;

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		scan_name(folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	/* Emptied, or not filled yet? The latter, until there is something in it. */
	if (!n && folder->back) {
		notice(folder, folder->dir,
		       ": holds no manifest: what was read before stays in force until it does");
		return 0;
	}
	folder->back = false;
	HASH_ITER(hh, folder->files, file, next) {
		if (!file->seen)
			file_missing(folder, file, after_ms);
		file->seen = false;
	}
	return 0;
}

static void folder_away(struct folder *folder, int why)
{
	char text[160];
	struct file *file, *next;

	if (folder->wd >= 0)
		(void)inotify_rm_watch(folder->inotify_fd, folder->wd);
	folder->wd = -1;
	/* Its files went with it, and come back with it. */
	HASH_ITER(hh, folder->files, file, next)
		file_there(folder, file);
	if (folder->away)
		return;
	folder->away = true;
	(void)snprintf(text, sizeof(text),
		       ": can't be followed: %s; what was read from it stays in force until it is "
		       "back",
		       strerror(-why));
	notice(folder, folder->dir, text);
}

/* Watch what stands at the folder's path. @return 0 and *@out, or a negative errno */
static int folder_add_watch(struct folder *folder, struct identity *out)
{
	struct identity before, now;
	struct stat st;
	int wd, ret;

	if (stat(folder->dir, &st))
		return -errno;
	before = identity_of(&st);
	wd = inotify_add_watch(folder->inotify_fd, folder->dir,
			       FOLDER_EVENTS | IN_ONLYDIR | IN_EXCL_UNLINK);
	if (wd < 0)
		return -errno;
	/* Another one by now: it is for the next look. */
	ret = stat(folder->dir, &st) ? -errno : 0;
	now = identity_of(&st);
	if (ret || !same_inode(&before, &now)) {
		(void)inotify_rm_watch(folder->inotify_fd, wd);
		return ret ? ret : -ENOENT;
	}
	*out = now;
	folder->wd = wd;
	return 0;
}

/* Is the folder that is watched the one at its path? */
static void folder_check(struct folder *folder)
{
	const bool was_watched = folder->wd >= 0;
	struct identity now = { 0 };
	struct stat st;
	int ret;

	if (stat(folder->dir, &st)) {
		folder_away(folder, -errno);
		return;
	}
	now = identity_of(&st);
	if (was_watched && same_inode(&now, &folder->identity))
		return;
	if (was_watched)
		(void)inotify_rm_watch(folder->inotify_fd, folder->wd);
	folder->wd = -1;
	ret = folder_add_watch(folder, &folder->identity);
	if (ret) {
		folder_away(folder, ret);
		return;
	}
	notice(folder, folder->dir,
	       folder->away ? ": is back" : ": another folder has taken its place");
	folder->away = false;
	folder->back = true;
	folder->rescan = true;
}

/* Do the links lead where they led? */
static void folder_check_links(struct folder *folder)
{
	struct file *file, *next;
	struct identity now;
	struct stat st;

	HASH_ITER(hh, folder->files, file, next) {
		if (!file->link || file->dirty)
			continue;
		if (stat(file->path, &st)) {
			if (file->state != FILE_NONE)
				file->dirty = true;
			continue;
		}
		now = identity_of(&st);
		/* One that is watched is read when it is whole, not while it is written. */
		if (file->target_wd >= 0 ? !same_inode(&now, &file->target)
					 : !same_identity(&now, &file->target))
			file->dirty = true;
	}
}

static void folder_settle(struct folder *folder)
{
	struct file *file, *next;
	int ret = 0;

	if (folder->rescan)
		ret = folder_scan(folder);
	folder->rescan = ret < 0;
	if (ret == -ENOMEM)
		refuse_no_memory(folder, folder->dir);
	else if (ret)
		folder_away(folder, ret);
	if (folder->away)
		return;
	if (folder->relink)
		folder_check_links(folder);
	folder->relink = false;
	HASH_ITER(hh, folder->files, file, next) {
		if (file->dirty)
			file_read(folder, file);
	}
}

static void folder_believe_gone(struct folder *folder)
{
	const uint64_t now = uv_now(folder->loop);
	struct file *file, *next;
	struct stat st;

	HASH_ITER(hh, folder->files, file, next) {
		if (!file->gone_at || file->gone_at > now)
			continue;
		if (stat(file->path, &st) || S_ISDIR(st.st_mode)) {
			file_gone(folder, file);
			continue;
		}
		/* Being written anew: it is read when it is closed. */
		file_there(folder, file);
		file->dirty = is_whole(file->path);
	}
}

static void on_timer(uv_timer_t *timer);

static void folder_arm(struct folder *folder)
{
	const uint64_t now = uv_now(folder->loop);
	uint64_t at = folder->look_at;

	for (const struct file *file = folder->files; file; file = file->hh.next)
		if (file->gone_at && file->gone_at < at)
			at = file->gone_at;
	(void)uv_timer_start(&folder->timer, on_timer, at > now ? at - now : 0, 0);
}

/* All that there is to do, in the order in which one thing leads to another. */
static void folder_catch_up(struct folder *folder)
{
	if (folder->check)
		folder_check(folder);
	folder->check = false;
	if (!folder->away) {
		folder_believe_gone(folder);
		folder_settle(folder);
	}
	claims_settle(&folder->claims);
	folder_arm(folder);
}

static void on_timer(uv_timer_t *timer)
{
	struct folder *folder = timer->data;

	if (uv_now(folder->loop) >= folder->look_at) {
		folder->look_at = uv_now(folder->loop) + LOOK_MS;
		folder->check = true;
		folder->relink = true;
	}
	folder_catch_up(folder);
}

/* ---- events ----------------------------------------------------------------------- */

static void target_event(struct folder *folder, const struct inotify_event *event)
{
	struct file *file, *next;

	HASH_ITER(hh, folder->files, file, next) {
		if (file->target_wd != event->wd)
			continue;
		if (event->mask & IN_CLOSE_WRITE ||
		    (event->mask & IN_ATTRIB && file->state == FILE_UNREADABLE))
			file->dirty = true;
		else
			folder->relink = true;
		if (event->mask & IN_IGNORED)
			file->target_wd = -1;
	}
}

static void manifest_event(struct folder *folder, const struct inotify_event *event)
{
	struct file *file = file_find(folder, event->name);

	if (event->mask & (IN_DELETE | IN_MOVED_FROM)) {
		if (file)
			file_missing(folder, file, GONE_MS);
		return;
	}
	if (event->mask & IN_ATTRIB && (!file || file->state != FILE_UNREADABLE))
		return;
	if (!file)
		file = file_get(folder, event->name);
	if (file && (!(event->mask & IN_CREATE) || is_whole(file->path)))
		file->dirty = true;
	/* Something is in it now: what is missing may be missed. */
	folder->rescan |= folder->back;
}

static void folder_event(struct folder *folder, const struct inotify_event *event)
{
	if (event->mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF)) {
		folder->check = true;
		if (event->mask & IN_IGNORED)
			folder->wd = -1;
	} else if (event->len && !manifest_name(event->name)) {
		/* Maybe what links lead through: a ConfigMap's ..data */
		folder->relink |= !(event->mask & (IN_CLOSE_WRITE | IN_ATTRIB));
	} else if (event->len && !(event->mask & IN_ISDIR)) {
		manifest_event(folder, event);
	}
}

static void one_event(struct folder *folder, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW) {
		folder->check = true;
		folder->rescan = true;
		folder->relink = true;
	} else if (event->wd == folder->wd) {
		folder_event(folder, event);
	} else {
		target_event(folder, event);
	}
}

/* @return false: that was all */
static bool read_events(struct folder *folder)
{
	char buf[EVENT_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *event;
	const ssize_t len = read(folder->inotify_fd, buf, sizeof(buf));

	if (len <= 0)
		return len < 0 && errno == EINTR;
	for (const char *at = buf; at < buf + len; at += sizeof(*event) + event->len) {
		event = (const struct inotify_event *)at;
		one_event(folder, event);
	}
	return true;
}

static void on_events(uv_poll_t *poll, int status, int events)
{
	struct folder *folder = poll->data;

	for (int i = 0; i < READS_MAX && read_events(folder); i++)
		;
	folder_catch_up(folder);
}

/* ---- life --------------------------------------------------------------------------- */

static void folder_free(struct folder *folder)
{
	struct file *file, *next;

	HASH_ITER(hh, folder->files, file, next)
		file_free(folder, file);
	claims_done(&folder->claims);
	if (folder->inotify_fd >= 0)
		(void)close(folder->inotify_fd);
	free(folder->dir);
	free(folder);
}

static void on_close(uv_handle_t *handle)
{
	struct folder *folder = handle->data;

	if (!--folder->n_handles)
		folder_free(folder);
}

void folder_stop(struct folder *folder)
{
	if (!folder)
		return;
	if (!folder->n_handles) {
		folder_free(folder);
		return;
	}
	uv_close((uv_handle_t *)&folder->timer, on_close);
	if (folder->n_handles > 1)
		uv_close((uv_handle_t *)&folder->poll, on_close);
}

static int refuse_folder(const char *dir, int ret, struct err *err)
{
	const char *hint = "";

	if (ret == -ENOSPC)
		hint = " (raise the sysctl fs.inotify.max_user_watches)";
	else if (ret == -EMFILE)
		hint = " (raise the sysctl fs.inotify.max_user_instances)";
	if (ret == -ENOENT || ret == -ENOTDIR)
		return err_input(err, ret, "cannot follow the folder %s: %s", dir, strerror(-ret));
	return err_system(err, ret, "cannot follow the folder %s%s", dir, hint);
}

static struct folder *folder_new(uv_loop_t *loop, const char *dir, const struct source_sink *sink)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	if (!folder)
		return NULL;
	folder->loop = loop;
	folder->sink = *sink;
	folder->wd = folder->inotify_fd = -1;
	claims_init(&folder->claims, sink);
	folder->dir = strdup(dir);
	if (!folder->dir) {
		folder_free(folder);
		return NULL;
	}
	return folder;
}

/* Watched before it is read: nothing goes by in between. */
static int folder_open(struct folder *folder)
{
	int ret;

	folder->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (folder->inotify_fd < 0)
		return -errno;
	ret = folder_add_watch(folder, &folder->identity);
	return ret ? ret : folder_scan(folder);
}

/* libuv fails with -1 * errno, as is the custom here. */
static int folder_poll(struct folder *folder)
{
	int ret;

	ret = uv_timer_init(folder->loop, &folder->timer);
	if (ret)
		return ret;
	folder->timer.data = folder;
	folder->n_handles++;
	ret = uv_poll_init(folder->loop, &folder->poll, folder->inotify_fd);
	if (ret)
		return ret;
	folder->poll.data = folder;
	folder->n_handles++;
	return uv_poll_start(&folder->poll, UV_READABLE, on_events);
}

int folder_watch(struct folder **out, uv_loop_t *loop, const char *dir,
		 const struct source_sink *sink, struct err *err)
{
	struct folder *folder = folder_new(loop, dir, sink);
	int ret = folder ? 0 : -ENOMEM;

	uv_update_time(loop);
	if (!ret)
		ret = folder_open(folder);
	if (!ret)
		ret = folder_poll(folder);
	if (ret) {
		folder_stop(folder);
		return refuse_folder(dir, ret, err);
	}
	folder->look_at = uv_now(loop) + LOOK_MS;
	folder_catch_up(folder);
	sink->synced(sink->arg);
	*out = folder;
	return 0;
}

void folder_status(const struct folder *folder, struct folder_status *out)
{
	*out = (struct folder_status){ .objects = folder->claims.n_told };
	for (const struct file *file = folder->files; file; file = file->hh.next) {
		out->files += file->state != FILE_NONE;
		out->files_refused += file->state == FILE_BAD || file->state == FILE_UNREADABLE;
	}
}
