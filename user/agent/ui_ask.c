// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/ui_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shunt/limits.h"
#include "util/clock.h"
#include "util/hash.h"

/* Also where the file has been replaced since: the program that is running. */
#define THIS_PROGRAM "/proc/self/exe"
/* Publishing comes first. */
#define NICENESS     10
#define STOP_LOOK_MS 100
#define STREAM_BYTES 65536 /* a stream's first mapping: pages of any machine */

#define STATUS_OK	   200
#define STATUS_BAD	   400
#define STATUS_NOT_FOUND   404
#define STATUS_UNAVAILABLE 503

struct stream {
	int fd; /* -1: at its end */
	char *text;
	size_t len, cap, max;
};

struct run {
	pid_t pid;
	struct stream out, complaint;
	int status; /* of waitpid() */
};

/* ---- reading ----------------------------------------------------------------------- */

static void stream_close(struct stream *stream)
{
	if (stream->fd >= 0)
		(void)close(stream->fd);
	stream->fd = -1;
}

static void stream_done(struct stream *stream)
{
	stream_close(stream);
	if (stream->text)
		(void)munmap(stream->text, stream->cap);
	stream->text = NULL;
}

/* Megabytes that come and go: in the heap they would stay with the agent for good. */
static int stream_grow(struct stream *stream)
{
	size_t cap = stream->cap ? stream->cap * 2 : STREAM_BYTES;
	void *text;

	if (stream->text)
		text = mremap(stream->text, stream->cap, cap, MREMAP_MAYMOVE);
	else
		/* cppcheck-suppress invalidFunctionArg ; mmap(2) wants -1 for no file */
		text = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (text == MAP_FAILED)
		return -errno;
	stream->text = text;
	stream->cap = cap;
	return 0;
}

/* @return 0 or a negative errno; -EFBIG: there is more than it takes */
static int stream_read(struct stream *stream)
{
	ssize_t n;
	int ret;

	if (stream->cap - stream->len < STREAM_BYTES / 2) {
		ret = stream_grow(stream);
		if (ret)
			return ret;
	}
	n = read(stream->fd, stream->text + stream->len, stream->cap - stream->len - 1);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (!n)
		stream_close(stream);
	stream->len += (size_t)n;
	stream->text[stream->len] = '\0';
	return stream->len > stream->max ? -EFBIG : 0;
}

static int read_all(struct run *run, const atomic_bool *stop)
{
	const uint64_t end = monotonic_ns() + SH_UI_QUESTION_SECONDS * 1000000000ull;
	int ret = 0;

	while (!ret && (run->out.fd >= 0 || run->complaint.fd >= 0)) {
		struct pollfd ready[] = { { .fd = run->out.fd, .events = POLLIN },
					  { .fd = run->complaint.fd, .events = POLLIN } };
		int n = poll(ready, 2, STOP_LOOK_MS);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (atomic_load(stop))
			return -ECANCELED;
		if (monotonic_ns() >= end)
			return -ETIMEDOUT;
		if (n > 0 && ready[0].revents)
			ret = stream_read(&run->out);
		if (!ret && n > 0 && ready[1].revents)
			ret = stream_read(&run->complaint);
	}
	return ret;
}

/* ---- the process --------------------------------------------------------------------- */

static int spawn_with(struct run *run, char *const *argv, const int out[2], const int complaint[2])
{
	static char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
					     NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t signals;
	int ret;

	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&files, out[1], 1);
	(void)posix_spawn_file_actions_adddup2(&files, complaint[1], 2);
	(void)sigemptyset(&signals);
	(void)posix_spawnattr_setsigmask(&attributes, &signals);
	(void)sigfillset(&signals);
	(void)posix_spawnattr_setsigdefault(&attributes, &signals);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	ret = posix_spawn(&run->pid, THIS_PROGRAM, &files, &attributes, argv, environment);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&files);
	if (!ret)
		(void)setpriority(PRIO_PROCESS, (id_t)run->pid, NICENESS);
	return -ret;
}

static int spawn(struct run *run, char *const *argv)
{
	int out[2], complaint[2], ret;

	if (pipe2(out, O_CLOEXEC))
		return -errno;
	if (pipe2(complaint, O_CLOEXEC)) {
		ret = -errno;
		(void)close(out[0]);
		(void)close(out[1]);
		return ret;
	}
	ret = spawn_with(run, argv, out, complaint);
	(void)close(out[1]);
	(void)close(complaint[1]);
	run->out.fd = out[0];
	run->complaint.fd = complaint[0];
	return ret;
}

static int run_question(struct run *run, const struct ui_question *question,
			const atomic_bool *stop)
{
	char *argv[UI_WORDS_MAX + 2] = { "shunt" };
	size_t i;
	int ret;

	for (i = 0; i < UI_WORDS_MAX && question->words[i][0]; i++)
		argv[i + 1] = (char *)question->words[i];
	ret = spawn(run, argv);
	if (ret)
		return ret;
	ret = read_all(run, stop);
	if (ret)
		(void)kill(run->pid, SIGKILL);
	while (waitpid(run->pid, &run->status, 0) < 0 && errno == EINTR)
		;
	return ret;
}

/* ---- the answer ------------------------------------------------------------------------ */

static void answer_error(struct ui_answer *answer, unsigned int status, const char *text)
{
	answer->status = status;
	answer->text = ui_error_body(text);
	answer->len = answer->text ? strlen(answer->text) : 0;
}

static void answer_failure(struct ui_answer *answer, int ret)
{
	char text[160];

	if (ret == -EFBIG)
		(void)snprintf(text, sizeof(text),
			       "the answer is longer than %u bytes (limit SH_UI_ANSWER_BYTES_MAX); "
			       "ask the command line",
			       SH_UI_ANSWER_BYTES_MAX);
	else if (ret == -ETIMEDOUT)
		(void)snprintf(text, sizeof(text),
			       "not answered within %d s (limit SH_UI_QUESTION_SECONDS)",
			       SH_UI_QUESTION_SECONDS);
	else
		(void)snprintf(text, sizeof(text), "run %s: %s", THIS_PROGRAM, strerror(-ret));
	answer_error(answer, STATUS_UNAVAILABLE, text);
}

/* The last line of what it complained about, without the program's name. */
static const char *complaint_of(struct run *run)
{
	static const char prefix[] = "shunt: ";
	char *text = run->complaint.text, *line;

	if (!text || !*text)
		return NULL;
	while (run->complaint.len && text[run->complaint.len - 1] == '\n')
		text[--run->complaint.len] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	return strncmp(line, prefix, strlen(prefix)) ? line : line + strlen(prefix);
}

/* Status 1 without a word is an answer: `trace` has found that a packet is dropped. */
static void answer_of(struct run *run, const struct ui_question *question, struct ui_answer *answer)
{
	const char *complaint = complaint_of(run);
	int code = WIFEXITED(run->status) ? WEXITSTATUS(run->status) : EXIT_SYSTEM;

	if (run->out.len && (code == EXIT_DONE || (code == EXIT_INPUT && !complaint))) {
		answer->status = STATUS_OK;
		answer->text = run->out.text;
		answer->len = run->out.len;
		answer->mapped = run->out.cap;
		run->out.text = NULL;
	} else if (code == EXIT_INPUT) {
		answer_error(answer,
			     strcmp(question->words[0], "get") ? STATUS_BAD : STATUS_NOT_FOUND,
			     complaint ? complaint : "there is no answer");
	} else {
		answer_error(answer, code == EXIT_USAGE ? STATUS_BAD : STATUS_UNAVAILABLE,
			     complaint ? complaint : "the question was cut short");
	}
}

void ui_ask(const struct ui_question *question, const atomic_bool *stop, struct ui_answer *out)
{
	struct run run = {
		.out = { .fd = -1, .max = SH_UI_ANSWER_BYTES_MAX },
		.complaint = { .fd = -1, .max = SH_UI_ANSWER_BYTES_MAX },
	};
	int ret;

	*out = (struct ui_answer){ .taken_ms = unix_ms() };
	ret = run_question(&run, question, stop);
	if (ret)
		answer_failure(out, ret);
	else
		answer_of(&run, question, out);
	if (out->text)
		(void)snprintf(out->tag, sizeof(out->tag), "\"%016" PRIx64 "\"",
			       hash64(HASH64_INIT, out->text, out->len));
	stream_done(&run.out);
	stream_done(&run.complaint);
}

void ui_answer_done(struct ui_answer *answer)
{
	if (answer->mapped)
		(void)munmap(answer->text, answer->mapped);
	else
		free(answer->text);
	answer->text = NULL;
}
