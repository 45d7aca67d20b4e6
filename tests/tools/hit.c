// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hit: makes fresh connections to a kubia server and prints who answered.
 *
 *   hit http|udp|udp-connected ADDRESS:PORT [options]
 *
 * Prints the name in each answer, a line each; --json: how often each name
 * answered, as one object. Failures go to stderr, a line each. Exit 0 only if
 * every request got a right answer: over unconnected UDP also from exactly
 * the address and port that it was sent to.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tools/pattern.h"

enum { HEAD_MAX = 4096, NAMES_MAX = 256, WHO_MAX = 384, FAILURES_SHOWN = 10, CHUNK = 65536 };

enum proto { HTTP, UDP, UDP_CONNECTED };

struct target {
	struct sockaddr_storage addr;
	socklen_t len;
};

struct tally {
	char who[NAMES_MAX][WHO_MAX];
	unsigned long count[NAMES_MAX];
	size_t n;
	unsigned long ok, failed;
};

struct hit {
	enum proto proto;
	const char *text; /* the target, as the user wrote it */
	struct target to;
	struct target from;  /* --bind; len 0: none */
	unsigned long count; /* 0: until SIGTERM or SIGINT */
	unsigned long at_once;
	int timeout_ms, interval_ms;
	bool mapped, getpeername, hold, gate, keep, json;
	uint64_t download, upload, datagram;
	struct tally tally;
};

static bool fail(struct hit *hit, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Counts a failure and tells it, the first few times. @return false */
static bool fail(struct hit *hit, const char *fmt, ...)
{
	va_list ap;

	if (hit->tally.failed++ >= FAILURES_SHOWN)
		return false;
	fprintf(stderr, "hit: %s: ", hit->text);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return false;
}

static bool count_answer(struct hit *hit, const char *who)
{
	struct tally *tally = &hit->tally;
	size_t i = 0;

	while (i < tally->n && strcmp(tally->who[i], who) != 0)
		i++;
	if (i == NAMES_MAX)
		return fail(hit, "more than %d names answered", NAMES_MAX);
	if (i == tally->n) {
		snprintf(tally->who[i], WHO_MAX, "%s", who);
		tally->n++;
	}
	tally->count[i]++;
	tally->ok++;
	if (!hit->json) {
		puts(who);
		fflush(stdout); /* a test may wait for this line */
	}
	return true;
}

/* Names hold no character that JSON would want escaped: kubia's are DNS names. */
static void print_json(const struct tally *tally)
{
	printf("{\"ok\":%lu,\"failed\":%lu,\"answers\":{", tally->ok, tally->failed);
	for (size_t i = 0; i < tally->n; i++)
		printf("%s\"%s\":%lu", i ? "," : "", tally->who[i], tally->count[i]);
	puts("}}");
}

/* ---- sockets ----------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* @return 0, or -ETIMEDOUT */
static int wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int64_t left;
	int n;

	do {
		left = deadline - now_ms();
		n = poll(&pfd, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static bool same_address(const struct target *a, const struct target *b)
{
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)&a->addr;
	const struct sockaddr_in6 *b6 = (const struct sockaddr_in6 *)&b->addr;
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)&a->addr;
	const struct sockaddr_in *b4 = (const struct sockaddr_in *)&b->addr;

	if (a->addr.ss_family != b->addr.ss_family)
		return false;
	if (a->addr.ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port &&
	       !memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr));
}

static const char *target_text(const struct target *target, char *buf, size_t len)
{
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)&target->addr;
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)&target->addr;
	char addr[INET6_ADDRSTRLEN] = "?";

	if (target->addr.ss_family == AF_INET) {
		inet_ntop(AF_INET, &a4->sin_addr, addr, sizeof(addr));
		snprintf(buf, len, "%s:%u", addr, ntohs(a4->sin_port));
	} else {
		inet_ntop(AF_INET6, &a6->sin6_addr, addr, sizeof(addr));
		snprintf(buf, len, "[%s]:%u", addr, ntohs(a6->sin6_port));
	}
	return buf;
}

static bool check_peer(struct hit *hit, int fd)
{
	struct target peer = { .len = sizeof(peer.addr) };
	char text[64];

	if (getpeername(fd, (struct sockaddr *)&peer.addr, &peer.len))
		return fail(hit, "getpeername: %s", strerror(errno));
	if (!same_address(&peer, &hit->to))
		return fail(hit, "getpeername says %s", target_text(&peer, text, sizeof(text)));
	return true;
}

/* @return a socket that is connected or connecting, or -1 */
static int start(struct hit *hit)
{
	int type = hit->proto == HTTP ? SOCK_STREAM : SOCK_DGRAM;
	int fd, on = 1;

	fd = socket(hit->to.addr.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		fail(hit, "socket: %s", strerror(errno));
		return -1;
	}
	/* A port that an ended connection of ours still waits out may be used again. */
	if (hit->from.len && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
			      bind(fd, (struct sockaddr *)&hit->from.addr, hit->from.len))) {
		fail(hit, "bind: %s", strerror(errno));
		goto out;
	}
	if (hit->proto != UDP && connect(fd, (struct sockaddr *)&hit->to.addr, hit->to.len) &&
	    errno != EINPROGRESS) {
		fail(hit, "connect: %s", strerror(errno));
		goto out;
	}
	return fd;
out:
	close(fd);
	return -1;
}

static bool finish_connect(struct hit *hit, int fd)
{
	socklen_t len;
	int ret, error = 0;

	if (hit->proto == HTTP) {
		ret = wait_for(fd, POLLOUT, now_ms() + hit->timeout_ms);
		if (ret)
			return fail(hit, "connect: %s", strerror(-ret));
		len = sizeof(error);
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) || error)
			return fail(hit, "connect: %s", strerror(error));
	}
	return hit->proto == UDP || !hit->getpeername || check_peer(hit, fd);
}

/* @return bytes read (0: closed), or negative errno */
static ssize_t read_some(const struct hit *hit, int fd, char *buf, size_t len)
{
	ssize_t n;
	int ret;

	for (;;) {
		n = recv(fd, buf, len, 0);
		if (n >= 0)
			return n;
		if (errno != EAGAIN)
			return -errno;
		ret = wait_for(fd, POLLIN, now_ms() + hit->timeout_ms);
		if (ret)
			return ret;
	}
}

static int write_all(const struct hit *hit, int fd, const char *buf, size_t len)
{
	ssize_t n;
	int ret;

	while (len) {
		n = send(fd, buf, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0) {
			ret = wait_for(fd, POLLOUT, now_ms() + hit->timeout_ms);
			if (ret)
				return ret;
			continue;
		}
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

/* ---- HTTP -------------------------------------------------------------------- */

static bool http_ask(struct hit *hit, int fd)
{
	char buf[CHUNK], path[32] = "/";
	uint64_t off = 0;
	size_t n;
	int ret;

	if (hit->download)
		snprintf(path, sizeof(path), "/bytes/%llu", (unsigned long long)hit->download);
	n = (size_t)snprintf(buf, sizeof(buf),
			     "%s %s HTTP/1.1\r\nHost: kubia\r\nContent-Length: %llu\r\n"
			     "Connection: %s\r\n\r\n",
			     hit->upload ? "PUT" : "GET", path, (unsigned long long)hit->upload,
			     hit->hold || hit->keep ? "keep-alive" : "close");
	ret = write_all(hit, fd, buf, n);
	while (!ret && off < hit->upload) {
		n = hit->upload - off < CHUNK ? (size_t)(hit->upload - off) : CHUNK;
		pattern_fill(buf, n, off);
		ret = write_all(hit, fd, buf, n);
		off += n;
	}
	return ret ? fail(hit, "send: %s", strerror(-ret)) : true;
}

/* Read to the end of the head; what follows stays in @buf. @return bytes in @buf, or -1 */
static ssize_t http_head(struct hit *hit, int fd, char *buf)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read_some(hit, fd, buf + len, HEAD_MAX - len);
		if (n <= 0) {
			fail(hit, "no answer: %s", n ? strerror((int)-n) : "connection closed");
			return -1;
		}
		len += (size_t)n;
		buf[len] = '\0';
	} while (!strstr(buf, "\r\n\r\n") && len < HEAD_MAX);
	return (ssize_t)len;
}

/* Read and, if it is a download, verify the body; its first @have bytes stand in @buf. */
static bool http_body(struct hit *hit, int fd, char *buf, size_t have)
{
	char *length = strstr(buf, "Content-Length: "), *body = strstr(buf, "\r\n\r\n") + 4;
	uint64_t total = length ? strtoull(length + 16, NULL, 10) : 0, off;
	char chunk[CHUNK];
	ssize_t n;

	off = have - (size_t)(body - buf);
	if (hit->download && (total != hit->download || !pattern_check(body, off, 0)))
		return fail(hit, "the answer's %llu bytes are not the test pattern's",
			    (unsigned long long)total);
	while (off < total) {
		n = read_some(hit, fd, chunk, sizeof(chunk));
		if (n <= 0)
			return fail(hit, "answer ended after %llu of %llu bytes: %s",
				    (unsigned long long)off, (unsigned long long)total,
				    n ? strerror((int)-n) : "connection closed");
		if (hit->download && !pattern_check(chunk, (size_t)n, off))
			return fail(hit, "wrong data within %zd bytes from byte %llu", n,
				    (unsigned long long)off);
		off += (uint64_t)n;
	}
	return true;
}

static bool http_answer(struct hit *hit, int fd)
{
	char buf[HEAD_MAX + 1], who[WHO_MAX];
	ssize_t n = http_head(hit, fd, buf);
	char *name;

	if (n < 0)
		return false;
	name = strstr(buf, "X-Kubia: ");
	if (strncmp(buf, "HTTP/1.1 200 ", 13) != 0 || !name || !strstr(buf, "\r\n\r\n"))
		return fail(hit, "wrong answer: %.*s", (int)strcspn(buf, "\r\n"), buf);
	name += 9;
	snprintf(who, sizeof(who), "%.*s", (int)strcspn(name, "\r"), name);
	return http_body(hit, fd, buf, (size_t)n) && count_answer(hit, who);
}

/* ---- UDP --------------------------------------------------------------------- */

static bool udp_ask(struct hit *hit, int fd)
{
	char payload[CHUNK];
	ssize_t n;

	pattern_fill(payload, hit->datagram, 0);
	if (hit->proto == UDP)
		n = sendto(fd, payload, hit->datagram, 0, (struct sockaddr *)&hit->to.addr,
			   hit->to.len);
	else
		n = send(fd, payload, hit->datagram, 0);
	return n < 0 ? fail(hit, "send: %s", strerror(errno)) : true;
}

static bool udp_answer(struct hit *hit, int fd)
{
	struct target peer = { .len = sizeof(peer.addr) };
	char buf[CHUNK + WHO_MAX + 1], text[64];
	ssize_t n;
	char *end;
	int ret;

	ret = wait_for(fd, POLLIN, now_ms() + hit->timeout_ms);
	if (ret)
		return fail(hit, "no answer: %s", strerror(-ret));
	n = recvfrom(fd, buf, sizeof(buf) - 1, 0, (struct sockaddr *)&peer.addr, &peer.len);
	if (n < 0)
		return fail(hit, "no answer: %s", strerror(errno));
	buf[n] = '\0';
	if (!same_address(&peer, &hit->to))
		return fail(hit, "answered from %s", target_text(&peer, text, sizeof(text)));
	end = memchr(buf, '\n', (size_t)n);
	if (!end || (size_t)(buf + n - end - 1) != hit->datagram ||
	    !pattern_check(end + 1, hit->datagram, 0))
		return fail(hit, "wrong answer of %zd bytes", n);
	*end = '\0';
	return count_answer(hit, buf);
}

/* ---- rounds ------------------------------------------------------------------- */

static bool ask(struct hit *hit, int fd)
{
	return hit->proto == HTTP ? http_ask(hit, fd) : udp_ask(hit, fd);
}

static bool take_answer(struct hit *hit, int fd)
{
	return hit->proto == HTTP ? http_answer(hit, fd) : udp_answer(hit, fd);
}

/* All @n are open: say so, and go on when told to. */
static bool wait_at_gate(struct hit *hit, unsigned long n)
{
	char line[256];

	if (hit->tally.failed)
		return true; /* no use in waiting */
	printf("open %lu\n", n);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) || fail(hit, "nobody opened the gate");
}

/* One step with each connection; those with which it fails are closed, and -1 from then on. */
static void step_all(struct hit *hit, int *fds, unsigned long n, bool (*step)(struct hit *, int))
{
	for (unsigned long i = 0; i < n; i++) {
		if (fds[i] >= 0 && !step(hit, fds[i])) {
			close(fds[i]);
			fds[i] = -1;
		}
	}
}

static void close_all(int *fds, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/*
 * @n connections, all open before the first request is sent. With --keep those of
 * the first round stay: one that has failed is not opened again.
 */
static void round_of(struct hit *hit, int *fds, unsigned long n, bool first)
{
	if (first || !hit->keep) {
		for (unsigned long i = 0; i < n; i++)
			fds[i] = start(hit);
		step_all(hit, fds, n, finish_connect);
		if (hit->gate && !wait_at_gate(hit, n))
			close_all(fds, n);
	}
	step_all(hit, fds, n, ask);
	step_all(hit, fds, n, take_answer);
	if (!hit->keep)
		close_all(fds, n);
}

/* Sleeps @ms. @return whether a signal asked to stop */
static bool pause_or_stop(int signal_fd, int ms)
{
	struct pollfd pfd = { .fd = signal_fd, .events = POLLIN };

	return poll(&pfd, 1, ms) > 0;
}

static int run_rounds(struct hit *hit)
{
	unsigned long done = 0, n;
	sigset_t set;
	int *fds, stop;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	stop = signalfd(-1, &set, SFD_CLOEXEC);
	fds = calloc(hit->at_once, sizeof(*fds));
	if (stop < 0 || !fds) {
		fail(hit, "start: %s", strerror(errno));
		goto out;
	}
	memset(fds, 0xff, hit->at_once * sizeof(*fds));
	do {
		n = hit->at_once;
		if (hit->count && hit->count - done < n)
			n = hit->count - done;
		round_of(hit, fds, n, !done);
		done += n;
	} while ((!hit->count || done < hit->count) && !pause_or_stop(stop, hit->interval_ms));
	close_all(fds, hit->at_once);
out:
	if (stop >= 0)
		close(stop);
	free(fds);
	return hit->tally.failed ? 1 : 0;
}

/* One connection; a request for each line of standard input, answered at once. */
static int run_hold(struct hit *hit)
{
	char line[256];
	bool ok;
	int fd;

	fd = start(hit);
	ok = fd >= 0 && finish_connect(hit, fd);
	while (ok && fgets(line, sizeof(line), stdin))
		ok = ask(hit, fd) && take_answer(hit, fd);
	if (fd >= 0)
		close(fd);
	return ok ? 0 : 1;
}

/* ---- command line -------------------------------------------------------------- */

static const char usage_text[] =
	"usage: hit http|udp|udp-connected ADDRESS:PORT [options]\n"
	"  -n COUNT         so many requests, a fresh connection each (1; 0: until SIGTERM)\n"
	"  -c COUNT         so many of them at once (1)\n"
	"  -6               an IPv6 socket, also to an IPv4 address (mapped)\n"
	"  --timeout MS     to wait for each answer (2000)\n"
	"  --interval MS    between two rounds (0)\n"
	"  --bind ADDRESS:PORT  the client's own\n"
	"  --getpeername    check that it says ADDRESS:PORT\n"
	"  --download N, --upload N  bytes of test pattern, verified (http)\n"
	"  --datagram N     bytes (udp, 32)\n"
	"  --hold           one connection, a request for each line of standard input\n"
	"  --gate           all of a round are open: print it, wait for a line of standard input\n"
	"  --keep           every round over the connections of the first one\n"
	"  --json           print counts\n";

static int bad(const char *what, const char *value)
{
	fprintf(stderr, "hit: %s: %s\n%s", what, value, usage_text);
	return 2;
}

static void map_address(struct target *target)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target->addr;

	memcpy(&v4, &target->addr, sizeof(v4));
	memset(&target->addr, 0, sizeof(target->addr));
	v6->sin6_family = AF_INET6;
	v6->sin6_port = v4.sin_port;
	v6->sin6_addr.s6_addr[10] = v6->sin6_addr.s6_addr[11] = 0xff;
	memcpy(&v6->sin6_addr.s6_addr[12], &v4.sin_addr, sizeof(v4.sin_addr));
	target->len = sizeof(*v6);
}

/* "10.0.0.1:80" or "[fd00::1]:80" */
static int parse_target(const char *text, struct target *target)
{
	struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)&target->addr;
	struct sockaddr_in *a4 = (struct sockaddr_in *)&target->addr;
	char addr[INET6_ADDRSTRLEN + 2], *start = addr;
	const char *colon = strrchr(text, ':');
	unsigned long port;
	size_t len;
	char *end;

	if (!colon || (size_t)(colon - text) >= sizeof(addr))
		return -EINVAL;
	port = strtoul(colon + 1, &end, 10);
	if (*end || end == colon + 1 || port > 65535)
		return -EINVAL;
	len = (size_t)(colon - text);
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (addr[0] == '[' && addr[len - 1] == ']') {
		addr[len - 1] = '\0';
		start++;
		a6->sin6_family = AF_INET6;
		a6->sin6_port = htons((uint16_t)port);
		target->len = sizeof(*a6);
		return inet_pton(AF_INET6, start, &a6->sin6_addr) == 1 ? 0 : -EINVAL;
	}
	a4->sin_family = AF_INET;
	a4->sin_port = htons((uint16_t)port);
	target->len = sizeof(*a4);
	return inet_pton(AF_INET, start, &a4->sin_addr) == 1 ? 0 : -EINVAL;
}

enum { OPT_TIMEOUT = 256, OPT_INTERVAL, OPT_BIND, OPT_PEER, OPT_DOWN, OPT_UP, OPT_DGRAM };

static int parse_option(struct hit *hit, int c, const char *value)
{
	char *end = NULL;
	unsigned long long number = 0;

	if (value && c != OPT_BIND) {
		number = strtoull(value, &end, 10);
		if (*end || end == value || number > 1ull << 40)
			return bad("not a number", value);
	}
	switch (c) {
	case 'n':
		hit->count = (unsigned long)number;
		break;
	case 'c':
		hit->at_once = number ? (unsigned long)number : 1;
		break;
	case '6':
		hit->mapped = true;
		break;
	case OPT_TIMEOUT:
		hit->timeout_ms = (int)number;
		break;
	case OPT_INTERVAL:
		hit->interval_ms = (int)number;
		break;
	case OPT_BIND:
		return parse_target(value, &hit->from) ? bad("not ADDRESS:PORT", value) : 0;
	case OPT_PEER:
		hit->getpeername = true;
		break;
	case OPT_DOWN:
		hit->download = number;
		break;
	case OPT_UP:
		hit->upload = number;
		break;
	case OPT_DGRAM:
		hit->datagram = number;
		return number > 65000 ? bad("more than 65000 bytes in a datagram", value) : 0;
	case 'h':
		hit->hold = true;
		break;
	case 'g':
		hit->gate = true;
		break;
	case 'k':
		hit->keep = true;
		break;
	case 'j':
		hit->json = true;
		break;
	default:
		return bad("unknown option", "see below");
	}
	return 0;
}

static int parse(struct hit *hit, int argc, char **argv)
{
	static const struct option options[] = {
		{ "timeout", required_argument, NULL, OPT_TIMEOUT },
		{ "interval", required_argument, NULL, OPT_INTERVAL },
		{ "bind", required_argument, NULL, OPT_BIND },
		{ "getpeername", no_argument, NULL, OPT_PEER },
		{ "download", required_argument, NULL, OPT_DOWN },
		{ "upload", required_argument, NULL, OPT_UP },
		{ "datagram", required_argument, NULL, OPT_DGRAM },
		{ "hold", no_argument, NULL, 'h' },
		{ "gate", no_argument, NULL, 'g' },
		{ "keep", no_argument, NULL, 'k' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	static const char *const protos[] = { "http", "udp", "udp-connected" };
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "n:c:6", options, NULL)) != -1)
		ret = parse_option(hit, c, optarg);
	if (ret)
		return ret;
	if (argc - optind != 2)
		return bad("wants two arguments", "PROTOCOL ADDRESS:PORT");
	for (c = 0; c < 3 && strcmp(argv[optind], protos[c]) != 0; c++)
		;
	if (c == 3)
		return bad("not http, udp or udp-connected", argv[optind]);
	hit->proto = (enum proto)c;
	hit->text = argv[optind + 1];
	if (parse_target(hit->text, &hit->to))
		return bad("not ADDRESS:PORT or [ADDRESS]:PORT", hit->text);
	if (hit->mapped && hit->to.addr.ss_family == AF_INET)
		map_address(&hit->to);
	return 0;
}

int main(int argc, char **argv)
{
	struct hit *hit = calloc(1, sizeof(*hit));
	struct rlimit limit;
	int ret;

	if (!hit)
		return 1;
	hit->count = hit->at_once = 1;
	hit->timeout_ms = 2000;
	hit->datagram = 32;
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); /* socket() tells if it is too few */
	}
	ret = parse(hit, argc, argv);
	if (!ret)
		ret = hit->hold ? run_hold(hit) : run_rounds(hit);
	if (hit->json && ret != 2)
		print_json(&hit->tally);
	free(hit);
	return ret;
}
