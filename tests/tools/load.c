// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * load: what a connection costs. Client and servers are one thread: it makes its
 * sockets in the network namespace where it is started, and listens in others. So
 * the kernel does all of a packet's way, from one end to the other and through
 * every namespace between, in this thread's time, and CPU time for each
 * connection is a figure that other work on the machine hardly changes.
 *
 *   new     connect, one request, one answer, close
 *   rr      requests and answers over connections that stay
 *   stream  bytes, one way, over connections that stay
 *   spread  connections come and go; how even are they over the backends?
 *
 * The server closes first, as an HTTP/1.0 server does: TIME_WAIT is at its end, and
 * the client's ports are free again at once, with no reset that a proxy would see.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	TARGETS_MAX = 16,
	LISTENERS_MAX = 16,
	FDS_MAX = 65536,
	EVENTS_MAX = 64,
	MESSAGE_BYTES = 64,
	CHUNK_BYTES = 1 << 17,
	HIST_PER_OCTAVE = 32, /* 3 % */
	HIST_SIZE = 40 * HIST_PER_OCTAVE,
	WARM_SHARE = 8,	     /* of the time, before anything is counted */
	WALL_FACTOR = 10,    /* a run ends after this many times its CPU time in any case */
	STALLED_MS = 500,    /* longer: a packet was lost, and sent again after a second */
	BACKENDS_MAX = 256,  /* by the last byte of their addresses */
	SAMPLE_STEPS = 1000, /* between two looks at the spread */
};

#define SEC_NS 1000000000ull

enum mode { MODE_NEW, MODE_RR, MODE_STREAM, MODE_SPREAD, MODES };
static const char *const mode_names[MODES] = { "new", "rr", "stream", "spread" };

enum role { ROLE_NONE = 0, ROLE_LISTENER, ROLE_SERVER, ROLE_CONNECTING, ROLE_CLIENT };

struct end {
	enum role role;
	uint64_t began_ns;
	uint8_t backend; /* spread: of a server */
};

struct tally {
	uint64_t ok, failed, stalled, bytes;
	uint64_t hist[HIST_SIZE]; /* of ns */
	char first_failure[160];
};

struct load {
	enum mode mode;
	struct sockaddr_in targets[TARGETS_MAX], from;
	unsigned int n_targets, next_target;
	int listeners[LISTENERS_MAX];
	unsigned int n_listeners;
	int epoll, cpu;
	unsigned int at_once;
	double seconds;
	unsigned long steps; /* spread */
	const char *weights; /* spread: "FIRST=WEIGHT,WEIGHT,…", by last byte */
	bool stopping;	     /* no new connection from now on */
	struct end ends[FDS_MAX];
	struct tally tally;
	char chunk[CHUNK_BYTES];
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * SEC_NS + (uint64_t)now.tv_nsec;
}

static void fail(struct load *load, const char *what, int error)
{
	struct tally *tally = &load->tally;

	if (!tally->failed++)
		(void)snprintf(tally->first_failure, sizeof(tally->first_failure), "%s: %s", what,
			       strerror(error));
}

static int die(const char *what, const char *object)
{
	fprintf(stderr, "load: %s %s: %s\n", what, object, strerror(errno));
	return -1;
}

/* ---- latency ------------------------------------------------------------------- */

static void hist_add(struct tally *tally, uint64_t ns)
{
	int at = ns > 1 ? (int)(log2((double)ns) * HIST_PER_OCTAVE) : 0;

	tally->hist[at < HIST_SIZE ? at : HIST_SIZE - 1]++;
}

static double hist_quantile(const struct tally *tally, double share)
{
	uint64_t seen = 0, all = 0;
	int i;

	for (i = 0; i < HIST_SIZE; i++)
		all += tally->hist[i];
	for (i = 0; i < HIST_SIZE - 1; i++) {
		seen += tally->hist[i];
		if ((double)seen >= share * (double)all)
			break;
	}
	return all ? exp2((i + 0.5) / HIST_PER_OCTAVE) : 0;
}

/* ---- sockets ------------------------------------------------------------------- */

static int watch(struct load *load, int fd, uint32_t events, enum role role)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	int op = load->ends[fd].role == ROLE_NONE ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	load->ends[fd].role = role;
	return epoll_ctl(load->epoll, op, fd, &event);
}

static void drop(struct load *load, int fd)
{
	load->ends[fd].role = ROLE_NONE;
	close(fd); /* leaves the epoll set too */
}

/* @return the socket, negative: none */
static int open_client(struct load *load, int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0), one = 1;

	if (fd >= FDS_MAX) {
		close(fd);
		errno = EMFILE;
		fd = -1;
	}
	if (fd < 0) {
		fail(load, "socket", errno);
		return -1;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (load->from.sin_family &&
	    bind(fd, (const struct sockaddr *)&load->from, sizeof(load->from))) {
		fail(load, "bind", errno);
		close(fd);
		return -1;
	}
	return fd;
}

static const struct sockaddr *next_target(struct load *load)
{
	return (const struct sockaddr *)&load->targets[load->next_target++ % load->n_targets];
}

static void start(struct load *load)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	int fd = open_client(load, SOCK_NONBLOCK);

	if (fd < 0)
		return;
	load->ends[fd].began_ns = now;
	if (connect(fd, next_target(load), sizeof(struct sockaddr_in)) && errno != EINPROGRESS) {
		fail(load, "connect", errno);
		close(fd);
		return;
	}
	if (watch(load, fd, EPOLLOUT, ROLE_CONNECTING)) {
		fail(load, "epoll", errno);
		drop(load, fd);
	}
}

static void send_message(struct load *load, int fd)
{
	if (send(fd, load->chunk, MESSAGE_BYTES, MSG_NOSIGNAL | MSG_DONTWAIT) != MESSAGE_BYTES) {
		fail(load, "send", errno);
		drop(load, fd);
	}
}

static void take_connections(struct load *load, int listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (fd >= FDS_MAX) {
			fail(load, "accept", EMFILE);
			close(fd);
			continue;
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (watch(load, fd, EPOLLIN, ROLE_SERVER))
			drop(load, fd);
	}
}

/* ---- what each end does when there is something to do ------------------------------ */

static void server_step(struct load *load, int fd)
{
	ssize_t n = recv(fd, load->chunk, CHUNK_BYTES, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		drop(load, fd);
		return;
	}
	if (load->mode == MODE_STREAM) {
		load->tally.bytes += (uint64_t)n;
		return;
	}
	send_message(load, fd);
	if (load->mode == MODE_NEW)
		drop(load, fd);
}

static void connected(struct load *load, int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		fail(load, "connect", error);
		drop(load, fd);
		if (!load->stopping)
			start(load);
		return;
	}
	(void)watch(load, fd, load->mode == MODE_STREAM ? EPOLLOUT : EPOLLIN, ROLE_CLIENT);
	if (load->mode != MODE_STREAM)
		send_message(load, fd);
}

/* The answer, then the server's end of the connection: it may come with the same event. */
static void client_read(struct load *load, int fd)
{
	struct end *end = &load->ends[fd];
	ssize_t n = recv(fd, load->chunk, CHUNK_BYTES, MSG_DONTWAIT);

	if (n > 0) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		load->tally.ok++;
		load->tally.stalled += now - end->began_ns > STALLED_MS * (SEC_NS / 1000);
		hist_add(&load->tally, now - end->began_ns);
		end->began_ns = now;
		if (load->mode == MODE_RR) {
			send_message(load, fd);
			return;
		}
		n = recv(fd, load->chunk, CHUNK_BYTES, MSG_DONTWAIT);
	}
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0 || load->mode == MODE_RR)
		fail(load, "recv", n < 0 ? errno : ECONNRESET);
	drop(load, fd);
	if (!load->stopping)
		start(load);
}

static void client_step(struct load *load, int fd)
{
	ssize_t n;

	if (load->mode != MODE_STREAM) {
		client_read(load, fd);
		return;
	}
	n = send(fd, load->chunk, CHUNK_BYTES, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN) {
		fail(load, "send", errno);
		drop(load, fd);
	}
}

static void step(struct load *load, int fd)
{
	switch (load->ends[fd].role) {
	case ROLE_LISTENER:
		take_connections(load, fd);
		break;
	case ROLE_SERVER:
		server_step(load, fd);
		break;
	case ROLE_CONNECTING:
		connected(load, fd);
		break;
	case ROLE_CLIENT:
		client_step(load, fd);
		break;
	case ROLE_NONE: /* closed by an event before this one */
		break;
	}
}

/* ---- a run ------------------------------------------------------------------------- */

/*
 * The time of ksoftirqd on this processor: where other work wants the processor too, the kernel
 * leaves packets to that thread.
 */
static int softirq_file(int cpu)
{
	char path[64], want[32], comm[32];
	ssize_t n;
	int fd, pid;

	(void)snprintf(want, sizeof(want), "ksoftirqd/%d\n", cpu);
	for (pid = 2; pid < 1000; pid++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, comm, sizeof(comm) - 1);
		if (fd >= 0)
			close(fd);
		comm[n > 0 ? n : 0] = '\0';
		if (strcmp(comm, want) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
		return open(path, O_RDONLY | O_CLOEXEC);
	}
	return -1;
}

static uint64_t softirq_ns(int fd)
{
	char text[64];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strtoull(text, NULL, 10);
}

struct span {
	uint64_t cpu, soft, wall;
};

static struct span span_now(int soft_fd)
{
	return (struct span){ clock_ns(CLOCK_THREAD_CPUTIME_ID), softirq_ns(soft_fd),
			      clock_ns(CLOCK_MONOTONIC) };
}

/*
 * Until that much CPU time is used; but where others have the processor, or connections wait for
 * what was lost, not for ever: what there is then counts as well.
 */
static void run_for(struct load *load, double seconds)
{
	const uint64_t budget = (uint64_t)(seconds * (double)SEC_NS);
	const uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	const uint64_t end = clock_ns(CLOCK_MONOTONIC) + WALL_FACTOR * budget + SEC_NS;
	struct epoll_event events[EVENTS_MAX];
	int i, n;

	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu < budget) {
		n = epoll_wait(load->epoll, events, EVENTS_MAX, 100);
		for (i = 0; i < n; i++)
			step(load, events[i].data.fd);
		if (clock_ns(CLOCK_MONOTONIC) > end)
			return;
	}
}

static void print_run(const struct load *load, const struct span *from, const struct span *to)
{
	const struct tally *t = &load->tally;
	const double cpu = (double)(to->cpu - from->cpu + (to->soft - from->soft));
	const double wall = (double)(to->wall - from->wall);

	printf("{\"mode\":\"%s\",\"ok\":%llu,\"failed\":%llu,\"stalled\":%llu,\"bytes\":%llu,"
	       "\"cpuNs\":%.0f,\"softirqNs\":%llu,\"wallNs\":%.0f,\"p50Ns\":%.0f,\"p99Ns\":%.0f,"
	       "\"firstFailure\":\"%s\"}\n",
	       mode_names[load->mode], (unsigned long long)t->ok, (unsigned long long)t->failed,
	       (unsigned long long)t->stalled, (unsigned long long)t->bytes, cpu,
	       (unsigned long long)(to->soft - from->soft), wall, hist_quantile(t, 0.5),
	       hist_quantile(t, 0.99), t->first_failure);
}

static int run_rate(struct load *load)
{
	int soft_fd = softirq_file(load->cpu);
	struct span from, to;
	uint64_t failed;
	unsigned int i;

	for (i = 0; i < load->at_once; i++)
		start(load);
	run_for(load, load->seconds / WARM_SHARE);
	failed = load->tally.failed;
	load->tally.ok = load->tally.bytes = load->tally.stalled = 0;
	memset(load->tally.hist, 0, sizeof(load->tally.hist));
	from = span_now(soft_fd);
	run_for(load, load->seconds);
	to = span_now(soft_fd);
	load->stopping = true;
	if (!load->tally.ok && !load->tally.bytes)
		fail(load, "run", ETIMEDOUT);
	print_run(load, &from, &to);
	if (soft_fd >= 0)
		close(soft_fd);
	return load->tally.failed || failed ? 1 : 0;
}

/* ---- spread ------------------------------------------------------------------------ */

struct spread {
	int *client, *server; /* the live connections */
	uint8_t *backend;
	unsigned int live;
	unsigned int count[BACKENDS_MAX];
	double weight[BACKENDS_MAX]; /* 0: no backend */
	double worst_sum, cv_sum;
	unsigned int samples;
	uint64_t random;
};

static uint32_t random_below(struct spread *spread, uint32_t n)
{
	spread->random = spread->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((spread->random >> 32) * n >> 32);
}

/* "101=1,2,3": the weights of the backends that end in 101, 102, 103 */
static void parse_weights(const char *text, struct spread *spread)
{
	char *end;
	unsigned long at = strtoul(text, &end, 10);

	while (*end && at < BACKENDS_MAX)
		spread->weight[at++] = strtod(end + 1, &end);
}

/*
 * The handshake is over when connect() returns: all of it is done in this thread's
 * time, and the connection stands in the listener's queue.
 */
static void spread_open(struct load *load, struct spread *spread)
{
	struct sockaddr_in self = { 0 };
	socklen_t len = sizeof(self);
	int fd = open_client(load, 0), served;

	if (fd < 0)
		return;
	if (connect(fd, next_target(load), sizeof(struct sockaddr_in))) {
		fail(load, "connect", errno);
		close(fd);
		return;
	}
	served = accept(load->listeners[0], NULL, NULL);
	if (served < 0 || getsockname(served, (struct sockaddr *)&self, &len)) {
		fail(load, "accept", errno);
		close(fd);
		return;
	}
	spread->client[spread->live] = fd;
	spread->server[spread->live] = served;
	spread->backend[spread->live++] = (uint8_t)ntohl(self.sin_addr.s_addr);
	spread->count[(uint8_t)ntohl(self.sin_addr.s_addr)]++;
	load->tally.ok++;
}

static void spread_close(struct spread *spread, unsigned int at)
{
	close(spread->server[at]);
	close(spread->client[at]);
	spread->count[spread->backend[at]]--;
	spread->live--;
	spread->client[at] = spread->client[spread->live];
	spread->server[at] = spread->server[spread->live];
	spread->backend[at] = spread->backend[spread->live];
}

/* Of what each has, over what its weight would give it. */
static void spread_sample(struct spread *spread)
{
	double all = 0, worst = 0, square = 0;
	unsigned int i, n = 0;

	for (i = 0; i < BACKENDS_MAX; i++) {
		all += spread->weight[i];
		n += spread->weight[i] > 0;
	}
	for (i = 0; i < BACKENDS_MAX; i++) {
		double share = spread->weight[i] / all * spread->live, of;

		if (share <= 0)
			continue;
		of = spread->count[i] / share;
		worst = of > worst ? of : worst;
		square += (of - 1) * (of - 1);
	}
	spread->worst_sum += worst;
	spread->cv_sum += sqrt(square / n);
	spread->samples++;
}

static void print_spread(const struct load *load, const struct spread *spread)
{
	const char *comma = "";
	unsigned int i;

	printf("{\"mode\":\"spread\",\"ok\":%llu,\"failed\":%llu,\"live\":%u,\"maxOverMean\":%.4f,"
	       "\"variation\":%.4f,\"firstFailure\":\"%s\",\"backends\":[",
	       (unsigned long long)load->tally.ok, (unsigned long long)load->tally.failed,
	       spread->live, spread->samples ? spread->worst_sum / spread->samples : 0,
	       spread->samples ? spread->cv_sum / spread->samples : 0, load->tally.first_failure);
	for (i = 0; i < BACKENDS_MAX; i++) {
		if (spread->weight[i] <= 0)
			continue;
		printf("%s{\"weight\":%g,\"live\":%u}", comma, spread->weight[i], spread->count[i]);
		comma = ",";
	}
	printf("]}\n");
}

/* Lifetimes are exponential: whoever is there has the same chance to be the next to go. */
static int run_spread(struct load *load)
{
	struct spread spread = { .random = 1 };
	unsigned long i;
	int flags = fcntl(load->listeners[0], F_GETFL);

	(void)fcntl(load->listeners[0], F_SETFL, flags & ~O_NONBLOCK);
	spread.client = calloc(load->at_once + 1, sizeof(*spread.client));
	spread.server = calloc(load->at_once + 1, sizeof(*spread.server));
	spread.backend = calloc(load->at_once + 1, sizeof(*spread.backend));
	if (load->weights)
		parse_weights(load->weights, &spread);
	if (!spread.client || !spread.server || !spread.backend)
		fail(load, "run", ENOMEM);
	for (i = 0; !load->tally.failed && i < load->steps; i++) {
		if (spread.live >= load->at_once)
			spread_close(&spread, random_below(&spread, spread.live));
		spread_open(load, &spread);
		/* Once as many have come and gone as there are. */
		if (i >= 2ul * load->at_once && i % SAMPLE_STEPS == 0)
			spread_sample(&spread);
	}
	print_spread(load, &spread);
	while (spread.live)
		spread_close(&spread, spread.live - 1);
	free(spread.client);
	free(spread.server);
	free(spread.backend);
	return load->tally.failed ? 1 : 0;
}

/* ---- command line ------------------------------------------------------------------- */

static const char usage_text[] =
	"usage: load new|rr|stream|spread ADDRESS:PORT... [options]\n"
	"  --serve FILE=PORT   listen in that network namespace; may be repeated\n"
	"  --bind ADDRESS      the client's own\n"
	"  -c COUNT            so many connections at once (1); spread: that live\n"
	"  --seconds S         of CPU time (1)\n"
	"  --cpu N             stay on that processor (0)\n"
	"  --steps N           spread: so many connections (20000)\n"
	"  --weights FIRST=WEIGHT,...  spread: of the backends, by their addresses' last byte\n";

static int bad(const char *what, const char *value)
{
	fprintf(stderr, "load: %s: %s\n%s", what, value, usage_text);
	return 2;
}

static int parse_target(const char *text, struct sockaddr_in *out)
{
	const char *colon = strchr(text, ':');
	char addr[INET_ADDRSTRLEN] = "";
	size_t len = colon ? (size_t)(colon - text) : strlen(text);

	if (len >= sizeof(addr))
		return -1;
	memcpy(addr, text, len);
	out->sin_family = AF_INET;
	out->sin_port = htons((uint16_t)(colon ? strtoul(colon + 1, NULL, 10) : 0));
	return inet_pton(AF_INET, addr, &out->sin_addr) == 1 ? 0 : -1;
}

static int listen_on(struct load *load, uint16_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) || listen(fd, SOMAXCONN) ||
	    watch(load, fd, EPOLLIN, ROLE_LISTENER)) {
		close(fd);
		return -1;
	}
	load->listeners[load->n_listeners++] = fd;
	return 0;
}

/* "FILE=PORT": what is accepted belongs to the listener's namespace, wherever this thread is. */
static int serve(struct load *load, const char *text)
{
	const char *equals = strrchr(text, '=');
	char path[256];
	int here, there, ret = -1;

	if (!equals || load->n_listeners == LISTENERS_MAX)
		return bad("not FILE=PORT, or too many", text);
	(void)snprintf(path, sizeof(path), "%.*s", (int)(equals - text), text);
	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (here >= 0 && there >= 0 && !setns(there, CLONE_NEWNET)) {
		ret = listen_on(load, (uint16_t)strtoul(equals + 1, NULL, 10));
		ret |= setns(here, CLONE_NEWNET);
	}
	if (ret)
		die("listen in", text);
	if (here >= 0)
		close(here);
	if (there >= 0)
		close(there);
	return ret ? 3 : 0;
}

static int pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

static int parse_option(struct load *load, int c, const char *value)
{
	switch (c) {
	case 's':
		return serve(load, value);
	case 'b':
		return parse_target(value, &load->from) ? bad("not an address", value) : 0;
	case 'c':
		load->at_once = (unsigned int)strtoul(value, NULL, 10);
		return load->at_once && load->at_once < FDS_MAX / 2 ? 0 : bad("-c", value);
	case 't':
		load->seconds = strtod(value, NULL);
		return load->seconds > 0 ? 0 : bad("--seconds", value);
	case 'p':
		load->cpu = (int)strtoul(value, NULL, 10);
		return 0;
	case 'n':
		load->steps = strtoul(value, NULL, 10);
		return 0;
	case 'w':
		load->weights = value;
		return 0;
	default:
		return bad("unknown option", "see below");
	}
}

static int parse(struct load *load, int argc, char **argv)
{
	static const struct option options[] = {
		{ "serve", required_argument, NULL, 's' },
		{ "bind", required_argument, NULL, 'b' },
		{ "seconds", required_argument, NULL, 't' },
		{ "cpu", required_argument, NULL, 'p' },
		{ "steps", required_argument, NULL, 'n' },
		{ "weights", required_argument, NULL, 'w' },
		{ 0 },
	};
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "c:", options, NULL)) != -1)
		ret = parse_option(load, c, optarg);
	if (ret)
		return ret;
	if (argc - optind < 2 || argc - optind > TARGETS_MAX + 1)
		return bad("wants", "MODE ADDRESS:PORT...");
	for (c = 0; c < MODES && strcmp(mode_names[c], argv[optind]) != 0; c++)
		;
	if (c == MODES)
		return bad("not new, rr, stream or spread", argv[optind]);
	load->mode = (enum mode)c;
	while (++optind < argc)
		if (parse_target(argv[optind], &load->targets[load->n_targets++]))
			return bad("not ADDRESS:PORT", argv[optind]);
	if (!load->n_listeners)
		return bad("nobody would answer", "--serve");
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit limit = { FDS_MAX, FDS_MAX };
	struct load *load = calloc(1, sizeof(*load));
	int ret;

	if (!load)
		return 3;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* socket() tells if it is too few */
	load->at_once = 1;
	load->seconds = 1;
	load->steps = 20000;
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	ret = load->epoll < 0 ? die("make", "an epoll set") : parse(load, argc, argv);
	if (!ret && pin(load->cpu))
		ret = die("stay on", "the processor");
	if (!ret)
		ret = load->mode == MODE_SPREAD ? run_spread(load) : run_rate(load);
	free(load);
	return ret < 0 ? 3 : ret;
}
