/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ptest/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/cgroup.h"

/* What the child leaves behind for its parent. */
struct outcome {
	int ret;
	struct err err;
};

struct sandbox {
	const struct sandbox_job *job;
	int outcome_fd[2]; /* a pipe: the child's struct outcome */
	int parent_fd, cgroup_fd;
	char name[64]; /* of the cgroup, in its parent; "": not made */
	sigset_t before;
};

/* ---- the cgroup ------------------------------------------------------------------ */

static int cgroup_make(struct sandbox *box, struct err *err)
{
	int ret;

	ret = cgroup_open(box->job->cgroup_parent, &box->parent_fd, err);
	if (ret)
		return ret;
	(void)snprintf(box->name, sizeof(box->name), "shunt-test-%d", (int)getpid());
	if (mkdirat(box->parent_fd, box->name, 0755)) {
		ret = err_system(err, -errno, "make a cgroup for the test's sockets");
		box->name[0] = '\0';
		return ret;
	}
	box->cgroup_fd = openat(box->parent_fd, box->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (box->cgroup_fd < 0)
		return err_system(err, -errno, "open the test's cgroup");
	return 0;
}

static int cgroup_join(const struct sandbox *box, struct err *err)
{
	int fd = openat(box->cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0 || write(fd, "0", 1) != 1)
		ret = err_system(err, -errno, "enter the test's cgroup");
	if (fd >= 0)
		(void)close(fd);
	return ret;
}

/* ---- the child ------------------------------------------------------------------- */

static int child_run(struct sandbox *box, struct err *err)
{
	int ret = 0;

	/* Nobody would be left to remove the cgroup; at least it is empty then. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigprocmask(SIG_SETMASK, &box->before, NULL);
	if (box->cgroup_fd >= 0)
		ret = cgroup_join(box, err);
	if (!ret)
		ret = box->job->run(box->job->arg, box->cgroup_fd, err);
	return ret;
}

static void child(struct sandbox *box)
{
	struct outcome outcome = { 0 };
	ssize_t len;

	outcome.ret = child_run(box, &outcome.err);
	len = write(box->outcome_fd[1], &outcome, sizeof(outcome)); /* less than PIPE_BUF */
	_exit(len == sizeof(outcome) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- the parent ------------------------------------------------------------------ */

/* Signals that would end us end the child first, and we tidy up. @return the signal, or 0 */
static int wait_for(pid_t pid, const sigset_t *signals)
{
	int signal, caught = 0;

	for (;;) {
		signal = sigwaitinfo(signals, NULL);
		if (signal == SIGCHLD && waitpid(pid, NULL, WNOHANG) == pid)
			return caught;
		if (signal > 0 && signal != SIGCHLD) {
			caught = signal;
			(void)kill(pid, SIGKILL);
		}
	}
}

/* The child has ended. */
static int outcome_read(const struct sandbox *box, struct err *err)
{
	struct outcome outcome;

	if (read(box->outcome_fd[0], &outcome, sizeof(outcome)) != sizeof(outcome))
		return err_system(err, -ECHILD, "the test's process has crashed");
	*err = outcome.err;
	return outcome.ret;
}

static int sandbox_fork(struct sandbox *box, struct err *err)
{
	sigset_t signals;
	int caught;
	pid_t pid;

	(void)signal(SIGCHLD,
		     SIG_DFL); /* where it is ignored, no child is ever there to wait for */
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &signals, &box->before);
	(void)fflush(NULL); /* or it would be written twice */
	pid = fork();
	if (!pid)
		child(box);
	caught = pid > 0 ? wait_for(pid, &signals) : 0;
	(void)sigprocmask(SIG_SETMASK, &box->before, NULL);
	if (pid < 0)
		return err_system(err, -errno, "start a process for the test");
	if (caught) {
		err->exit = EXIT_SYSTEM;
		(void)snprintf(err->msg, sizeof(err->msg), "ended by signal %d (%s)", caught,
			       strsignal(caught));
		return -EINTR;
	}
	return outcome_read(box, err);
}

int sandbox_run(const struct sandbox_job *job, struct err *err)
{
	struct sandbox box = { .job = job, .parent_fd = -1, .cgroup_fd = -1 };
	int ret = 0;

	/* Not blocking: a child that died has written nothing, and its parent is a writer too. */
	if (pipe2(box.outcome_fd, O_CLOEXEC | O_NONBLOCK))
		return err_system(err, -errno, "start a process for the test");
	if (job->cgroup)
		ret = cgroup_make(&box, err);
	if (!ret)
		ret = sandbox_fork(&box, err);
	if (box.name[0] && unlinkat(box.parent_fd, box.name, AT_REMOVEDIR) && !ret)
		ret = err_system(err, -errno, "remove the test's cgroup %s", box.name);
	if (box.cgroup_fd >= 0)
		(void)close(box.cgroup_fd);
	if (box.parent_fd >= 0)
		(void)close(box.parent_fd);
	(void)close(box.outcome_fd[0]);
	(void)close(box.outcome_fd[1]);
	return ret;
}
