// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Another program, run with a bound on its time and on what it prints. */
#include "doctor/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shunt/limits.h"
#include "util/clock.h"

struct program {
	char path[256];
	int in, out[2], complaints; /* memory files, and a pipe */
	pid_t pid;
	char *text;
	size_t len, cap;
};

static bool find(const char *name, char *path, size_t size)
{
	static const char *const folders[] = { "/usr/sbin", "/usr/bin",	       "/sbin",
					       "/bin",	    "/usr/local/sbin", "/usr/local/bin" };
	size_t i;

	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		(void)snprintf(path, size, "%s/%s", folders[i], name);
		if (!access(path, X_OK))
			return true;
	}
	return false;
}

static int open_files(struct program *program, const char *input)
{
	size_t len = input ? strlen(input) : 0;

	program->in = memfd_create("input", MFD_CLOEXEC);
	program->complaints = memfd_create("complaints", MFD_CLOEXEC);
	if (program->in < 0 || program->complaints < 0 || pipe2(program->out, O_CLOEXEC))
		return -errno;
	while (len) {
		ssize_t n = write(program->in, input, len);

		if (n < 0)
			return -errno;
		input += n;
		len -= (size_t)n;
	}
	return lseek(program->in, 0, SEEK_SET) < 0 ? -errno : 0;
}

static void close_files(struct program *program)
{
	const int fds[] = { program->in, program->out[0], program->out[1], program->complaints };
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]);
	}
}

/* In the child: from here on only what is safe after fork(). */
_Noreturn static void child(const struct program *program, const char *const *argv)
{
	static char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
					     NULL };

	if (program->in < 0 || program->complaints < 0 || dup2(program->in, 0) < 0 ||
	    dup2(program->out[1], 1) < 0 || dup2(program->complaints, 2) < 0)
		_exit(126);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)execve(program->path, (char *const *)argv, environment);
	_exit(127);
}

static int64_t now_ms(void)
{
	return (int64_t)(monotonic_ns() / 1000000u);
}

/* @return bytes read, 0 at the end, or a negative errno */
static ssize_t read_more(struct program *program)
{
	char *bigger;
	ssize_t n;

	if (program->len + 4096 > program->cap) {
		program->cap = program->cap ? program->cap * 2 : 65536;
		bigger = realloc(program->text, program->cap);
		if (!bigger)
			return -ENOMEM;
		program->text = bigger;
	}
	n = read(program->out[0], program->text + program->len, program->cap - program->len - 1);
	if (n < 0)
		return -errno;
	program->len += (size_t)n;
	program->text[program->len] = '\0';
	return program->len > SH_PROGRAM_OUTPUT_BYTES_MAX ? -EFBIG : n;
}

static int read_all(struct program *program)
{
	const int64_t deadline = now_ms() + PROGRAM_TIMEOUT_MS;
	struct pollfd ready = { .fd = program->out[0], .events = POLLIN };
	ssize_t n = 1;
	int ret;

	while (n > 0) {
		ret = poll(&ready, 1, (int)(deadline - now_ms() > 0 ? deadline - now_ms() : 0));
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret <= 0)
			return ret ? -errno : -ETIMEDOUT;
		n = read_more(program);
	}
	return (int)n;
}

/* The first line of what it said on standard error. */
static int complain(const struct program *program, const char *name, int status, struct err *err)
{
	char text[300] = "";
	ssize_t n = pread(program->complaints, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	err->exit = EXIT_SYSTEM;
	(void)snprintf(err->msg, sizeof(err->msg), "%s failed (status %d): %s", name,
		       WIFEXITED(status) ? WEXITSTATUS(status) : -1, *text ? text : "no reason");
	return -EIO;
}

static int run(struct program *program, const char *const *argv, struct err *err)
{
	int status = 0, ret;

	program->pid = fork();
	if (program->pid < 0)
		return err_system(err, -errno, "run %s", argv[0]);
	if (!program->pid)
		child(program, argv);
	(void)close(program->out[1]);
	program->out[1] = -1;
	ret = read_all(program);
	if (ret)
		(void)kill(program->pid, SIGKILL);
	while (waitpid(program->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ret)
		return err_system(err, ret, "run %s", argv[0]);
	return status ? complain(program, argv[0], status, err) : 0;
}

int machine_run(const char *const *argv, const char *input, char **out, struct err *err)
{
	struct program program = { .in = -1, .out = { -1, -1 }, .complaints = -1 };
	int ret;

	if (!find(argv[0], program.path, sizeof(program.path)))
		return err_system(err, -ENOENT, "%s is not installed", argv[0]);
	ret = open_files(&program, input);
	if (ret)
		(void)err_system(err, ret, "run %s", argv[0]);
	else
		ret = run(&program, argv, err);
	close_files(&program);
	if (ret || !out) {
		free(program.text);
		return ret;
	}
	if (!program.text)
		program.text = strdup("");
	*out = program.text;
	return *out ? 0 : err_system(err, -ENOMEM, "run %s", argv[0]);
}
