// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "monitor/monitor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"

/* Publishes are looked for that often; events and packets are waited for. */
#define TICK_MS 200

/* What ends a poll early, and is no error. (libbpf ends one for negative numbers only.) */
#define ENOUGH (-ECANCELED)

enum { POLL_SIGNAL, POLL_EVENTS, POLL_PACKETS, N_POLLS };

struct monitor {
	struct dataplane *dp;
	const struct monitor_options *options;
	struct listener *listener;
	struct capture *capture;
	struct shower shower;
	struct pcapng *pcapng;
	FILE *pcap;
	bool lines; /* events are shown */
	uint32_t n; /* lines shown, or packets written */
	int signal_fd;
	sigset_t old_signals;
	struct stat pin;	      /* of the instance that this began with */
	uint64_t begun_ns, looked_ns; /* monotonic_ns() */
	struct listen_lost lost;
	uint64_t lost_packets;
};

static uint64_t ms_since(uint64_t then_ns)
{
	return (monotonic_ns() - then_ns) / 1000000u;
}

/* ---- what comes ----------------------------------------------------------------------- */

static int count(struct monitor *monitor, int ret)
{
	if (ret)
		return ret;
	monitor->n++;
	return monitor->options->count && monitor->n >= monitor->options->count ? ENOUGH : 0;
}

static const struct sh_meta_service *service_of(struct monitor *monitor, uint32_t id,
						struct sh_meta *meta)
{
	return dataplane_meta(monitor->dp, SH_META_SERVICE, id, meta) ? &meta->service : NULL;
}

static int on_event(const struct sh_event *event, void *arg)
{
	const struct sh_meta_service *service;
	struct monitor *monitor = arg;
	struct monitor_ends ends;
	struct sh_meta meta;
	int ret;

	if (!monitor->lines)
		return 0;
	service = service_of(monitor, event->service, &meta);
	if (event->reason == SH_REASON_UNKNOWN_PORT) { /* none of this one's ports was meant */
		meta.service.port_name[0] = '\0';
		meta.service.port = 0;
	}
	monitor_ends_of(monitor->dp, event, &ends);
	if (!monitor_takes(&monitor->options->filter, &ends, service))
		return 0;
	ret = show_event(&monitor->shower, event, &ends, service);
	return monitor->pcap ? ret : count(monitor, ret);
}

static int on_published(const struct sh_published *publish, void *arg)
{
	struct monitor *monitor = arg;
	int ret;

	if (!monitor->lines || monitor_is_narrow(&monitor->options->filter))
		return 0;
	ret = show_published(&monitor->shower, publish);
	return monitor->pcap ? ret : count(monitor, ret);
}

/* Where a packet has been answered by its Service, that end is the source. */
static bool takes_packet(const struct monitor *monitor, const struct sh_captured *packet,
			 const struct sh_meta_service *service)
{
	const struct monitor_filter *filter = &monitor->options->filter;
	struct monitor_filter names = *filter;
	struct monitor_ends ends = { 0 };

	names.src.given = names.dst.given = false;
	if (!monitor_takes(&names, &ends, service))
		return false;
	/* Ports are not told apart here: a packet's are what it says, before or after. */
	if (filter->src.given && !addr_net_contains(&filter->src.net, &packet->src) &&
	    !addr_net_contains(&filter->src.net, &packet->dst))
		return false;
	return !filter->dst.given || addr_net_contains(&filter->dst.net, &packet->src) ||
	       addr_net_contains(&filter->dst.net, &packet->dst);
}

static int on_packet(const struct sh_captured *packet, const void *bytes, void *arg)
{
	const struct sh_meta_service *service;
	struct monitor *monitor = arg;
	struct sh_meta meta;
	char comment[3 * SH_NAME_MAX + 64];

	service = service_of(monitor, packet->service, &meta);
	if (!takes_packet(monitor, packet, service))
		return 0;
	if (service)
		(void)snprintf(comment, sizeof(comment), "%s/%s:%u, %s translation", service->ns,
			       service->name, service->port, packet->after ? "after" : "before");
	else
		(void)snprintf(comment, sizeof(comment), "a Service that is gone, %s translation",
			       packet->after ? "after" : "before");
	return count(monitor, pcapng_packet(monitor->pcapng, packet, bytes,
					    packet->ns + monitor->shower.realtime_ns, comment));
}

/* ---- once a second ---------------------------------------------------------------------- */

static void tell_lost(struct monitor *monitor)
{
	struct listen_lost now, *was = &monitor->lost;
	uint64_t packets = monitor->capture ? capture_lost(monitor->capture) : 0;

	if (!listener_lost(monitor->listener, &now, NULL)) {
		if (now.limited + now.overflow + now.published !=
		    was->limited + was->overflow + was->published)
			(void)fprintf(
				stderr,
				"shunt: note: lost events: %llu beyond --rate, %llu not read in "
				"time, %llu publishes\n",
				(unsigned long long)(now.limited - was->limited),
				(unsigned long long)(now.overflow - was->overflow),
				(unsigned long long)(now.published - was->published));
		*was = now;
	}
	if (packets != monitor->lost_packets)
		(void)fprintf(stderr, "shunt: note: lost packets: %llu not written in time\n",
			      (unsigned long long)(packets - monitor->lost_packets));
	monitor->lost_packets = packets;
}

static int pin_stat(const struct monitor *monitor, struct stat *out)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/shunt_control", monitor->options->bpffs);
	return stat(path, out) ? -errno : 0;
}

/* What was listened to may have been removed, or another version has taken its place. */
static int check_pin(const struct monitor *monitor, struct err *err)
{
	struct stat now;

	if (!pin_stat(monitor, &now) && now.st_ino == monitor->pin.st_ino &&
	    now.st_dev == monitor->pin.st_dev)
		return 0;
	return err_system(err, -ESTALE, "what was loaded at %s is gone, or was replaced",
			  monitor->options->bpffs);
}

static int look(struct monitor *monitor, struct err *err)
{
	if (ms_since(monitor->looked_ns) < 1000)
		return 0;
	monitor->looked_ns = monotonic_ns();
	monitor->shower.realtime_ns = monitor_realtime();
	tell_lost(monitor);
	return check_pin(monitor, err);
}

/* ---- the loop ------------------------------------------------------------------------------ */

static int flush(FILE *file)
{
	errno = 0;
	if (!file || (!fflush(file) && !ferror(file)))
		return 0;
	return errno ? -errno : -EIO;
}

static int turn(struct monitor *monitor)
{
	struct pollfd polls[N_POLLS] = {
		[POLL_SIGNAL] = { .fd = monitor->signal_fd, .events = POLLIN },
		[POLL_EVENTS] = { .fd = listener_fd(monitor->listener), .events = POLLIN },
		[POLL_PACKETS] = { .fd = monitor->capture ? capture_fd(monitor->capture) : -1,
				   .events = POLLIN },
	};
	int ret = 0, flushed;

	if (poll(polls, N_POLLS, TICK_MS) < 0)
		return errno == EINTR ? 0 : -errno;
	if (polls[POLL_SIGNAL].revents)
		return ENOUGH;
	if (monitor->capture)
		ret = capture_poll(monitor->capture, 0);
	if (!ret)
		ret = listener_poll(monitor->listener, 0);
	if (ret == -EINTR)
		ret = 0;
	flushed = flush(monitor->lines ? monitor->shower.to : NULL);
	if (!flushed)
		flushed = flush(monitor->pcap);
	return flushed ? flushed : ret;
}

static int loop(struct monitor *monitor, struct err *err)
{
	const struct monitor_options *options = monitor->options;
	int ret = 0;

	while (!ret) {
		if (options->duration_s &&
		    ms_since(monitor->begun_ns) >= (uint64_t)options->duration_s * 1000)
			break;
		ret = turn(monitor);
		if (!ret)
			ret = look(monitor, err);
	}
	tell_lost(monitor);
	if (ret == ENOUGH)
		return 0;
	if (ret == -ESTALE && !err->msg[0])
		return err_system(
			err, ret,
			"this monitor was stopped for more than %d s, and another has its "
			"place",
			SH_LISTENER_EXPIRES_S);
	if (ret < 0 && ret != -EPIPE && !err->msg[0])
		return err_system(err, ret, "write what happens");
	return ret;
}

/* ---- beginning and ending ---------------------------------------------------------------------- */

static int signals_take(struct monitor *monitor, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, &monitor->old_signals);
	monitor->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return monitor->signal_fd < 0 ? err_system(err, -errno, "wait for signals") : 0;
}

static void note_xdp(const struct capture_device *devices, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (devices[i].xdp)
			(void)fprintf(stderr,
				      "shunt: note: XDP translates on %s: what it passes on is "
				      "written only after that, what it forwards not at all\n",
				      devices[i].name);
	}
}

static int packets_begin(struct monitor *monitor, struct err *err)
{
	const struct monitor_options *options = monitor->options;
	const struct capture_sink sink = { .packet = on_packet, .arg = monitor };
	const struct capture_device *devices;
	size_t n;
	int ret;

	ret = capture_new(&monitor->capture, monitor->dp, options->snaplen, &sink, err);
	if (ret)
		return ret;
	devices = capture_devices(monitor->capture, &n);
	note_xdp(devices, n);
	monitor->pcap = strcmp(options->pcap, "-") ? fopen(options->pcap, "we") : stdout;
	if (!monitor->pcap)
		return err_input(err, -errno, "cannot write %s: %s", options->pcap,
				 strerror(errno));
	monitor->pcapng = pcapng_new(monitor->pcap, devices, n, options->snaplen);
	if (!monitor->pcapng)
		return err_system(err, -ENOMEM, "write packets");
	ret = pcapng_begin(monitor->pcapng);
	if (!ret)
		ret = flush(monitor->pcap);
	if (ret && ret != -EPIPE)
		return err_system(err, ret, "write %s", options->pcap);
	return ret;
}

static int monitor_begin(struct monitor *monitor, struct err *err)
{
	const struct monitor_options *options = monitor->options;
	const struct listen_options listen = { .kinds = options->filter.kinds,
					       .reasons = options->filter.reasons,
					       .rate = options->rate };
	const struct listen_sink sink = { .event = on_event,
					  .published = on_published,
					  .arg = monitor };
	int ret;

	ret = pin_stat(monitor, &monitor->pin);
	if (ret)
		return err_system(err, ret, "look for what is loaded at %s", options->bpffs);
	ret = signals_take(monitor, err);
	if (!ret && options->pcap)
		ret = packets_begin(monitor, err);
	if (!ret)
		ret = listener_new(&monitor->listener, monitor->dp, &listen, &sink, err);
	if (ret || !monitor->lines)
		return ret;
	ret = show_header(&monitor->shower);
	return ret ? ret : flush(monitor->shower.to);
}

static int monitor_end(struct monitor *monitor)
{
	int ret = 0;

	listener_free(monitor->listener);
	capture_free(monitor->capture);
	pcapng_free(monitor->pcapng);
	if (monitor->pcap && monitor->pcap != stdout && fclose(monitor->pcap))
		ret = -errno;
	if (monitor->signal_fd >= 0) {
		(void)close(monitor->signal_fd);
		/* The signal that has ended this is not to end the process after all. */
		(void)signal(SIGINT, SIG_IGN);
		(void)signal(SIGTERM, SIG_IGN);
		(void)sigprocmask(SIG_SETMASK, &monitor->old_signals, NULL);
	}
	return ret;
}

int monitor_run_over(struct dataplane *dp, const struct monitor_options *options, struct err *err)
{
	struct monitor monitor = { .dp = dp, .options = options, .signal_fd = -1 };
	int ret, ended;

	monitor.lines = !options->pcap || strcmp(options->pcap, "-") != 0;
	shower_init(&monitor.shower, dp, stdout, options->json);
	monitor.begun_ns = monotonic_ns();
	monitor.looked_ns = monitor.begun_ns;
	ret = monitor_begin(&monitor, err);
	if (!ret)
		ret = loop(&monitor, err);
	ended = monitor_end(&monitor);
	if (!ret && ended)
		ret = err_system(err, ended, "write %s", options->pcap);
	return ret;
}
