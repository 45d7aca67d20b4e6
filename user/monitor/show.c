// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "monitor/monitor.h"

#include <errno.h>
#include <jansson.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "model/objects.h"
#include "util/clock.h"

#define TIME_STRLEN    32
#define SERVICE_STRLEN (3 * SH_NAME_MAX + 16)

static const char *const headers[SHOW_COLUMNS] = { "CLIENT", "VIRTUAL", "BACKEND", "SERVICE" };
static const char *const hooks[] = {
	[SH_HOOK_INGRESS] = "ingress",
	[SH_HOOK_EGRESS] = "egress",
	[SH_HOOK_XDP] = "xdp",
	[SH_HOOK_SOCKET] = "socket",
};

uint64_t monitor_realtime(void)
{
	return realtime_ns() - monotonic_ns();
}

void shower_init(struct shower *shower, struct dataplane *dp, FILE *to, bool json)
{
	/* What an IPv4 address with its port needs; columns grow with what comes. */
	*shower = (struct shower){ .dp = dp, .to = to, .json = json, .width = { 21, 21, 21, 20 } };
	shower->realtime_ns = monitor_realtime();
}

/* ---- what an event means ------------------------------------------------------------------ */

static bool is_set(const struct sh_addr *addr)
{
	return addr->w[0] || addr->w[1] || addr->w[2] || addr->w[3];
}

/* Where an event names its backend and not its address, the backend's line has that. */
static void backend_of(struct dataplane *dp, uint32_t id, struct monitor_ends *out)
{
	out->has_backend = dataplane_backend_addr(dp, id, &out->backend, &out->backend_port);
}

void monitor_ends_of(struct dataplane *dp, const struct sh_event *event, struct monitor_ends *out)
{
	bool translated = event->flags & SH_EVENT_TRANSLATED;

	*out = (struct monitor_ends){ 0 };
	if (event->flags & SH_EVENT_REPLY) {
		out->client = event->to_dst;
		out->client_port = event->to_dport;
		out->virt = event->to_src;
		out->virt_port = event->to_sport;
		out->backend = event->src;
		out->backend_port = event->sport;
		out->has_client = out->has_backend = true;
		return;
	}
	out->client = event->src;
	out->client_port = event->sport;
	out->has_client = is_set(&event->src);
	out->virt = event->dst;
	out->virt_port = event->dport;
	if (!translated) {
		backend_of(dp, event->backend, out);
		return;
	}
	out->backend = event->to_dst;
	out->backend_port = event->to_dport;
	out->has_backend = true;
	out->masquerade = event->to_src;
	out->masquerade_port = event->to_sport;
	out->masqueraded =
		event->hook != SH_HOOK_SOCKET &&
		(!addr_eq(&event->src, &event->to_src) || event->sport != event->to_sport);
}

/* An event may be about a protocol that no Service has. */
static const char *proto_word(uint8_t proto, char buf[static 8])
{
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP)
		return proto_name(proto);
	(void)snprintf(buf, 8, "%u", proto);
	return buf;
}

static const char *time_format(uint64_t ns, bool whole, char buf[static TIME_STRLEN])
{
	const time_t seconds = (time_t)(ns / 1000000000u);
	char text[TIME_STRLEN];
	struct tm tm;

	if (whole)
		(void)gmtime_r(&seconds, &tm);
	else
		(void)localtime_r(&seconds, &tm);
	(void)strftime(text, sizeof(text), whole ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &tm);
	(void)snprintf(buf, TIME_STRLEN, "%.19s.%06u%s", text,
		       (unsigned int)(ns / 1000u % 1000000u), whole ? "Z" : "");
	return buf;
}

/* A socket's end has no port yet. */
static const char *end_format(bool known, const struct sh_addr *addr, __be16 port,
			      char buf[static ADDR_PORT_STRLEN])
{
	char text[ADDR_STRLEN];

	if (!known)
		return NULL;
	if (port)
		return addr_port_format(addr, port, buf);
	(void)snprintf(buf, ADDR_PORT_STRLEN, "%s", addr_format(addr, text));
	return buf;
}

static const char *service_format(const struct sh_meta_service *service,
				  char buf[static SERVICE_STRLEN])
{
	if (!service)
		return NULL;
	if (service->port_name[0])
		(void)snprintf(buf, SERVICE_STRLEN, "%s/%s:%s", service->ns, service->name,
			       service->port_name);
	else if (service->port)
		(void)snprintf(buf, SERVICE_STRLEN, "%s/%s:%u", service->ns, service->name,
			       service->port);
	else
		(void)snprintf(buf, SERVICE_STRLEN, "%s/%s", service->ns, service->name);
	return buf;
}

/* ---- lines ----------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static int put(const struct shower *shower, const char *fmt,
						     ...)
{
	va_list args;
	int ret;

	va_start(args, fmt);
	errno = 0;
	ret = vfprintf(shower->to, fmt, args);
	va_end(args);
	return ret < 0 ? (errno ? -errno : -EIO) : 0;
}

static int put_columns(struct shower *shower, const char *const texts[SHOW_COLUMNS])
{
	int i, len, ret = 0;

	for (i = 0; i < SHOW_COLUMNS && !ret; i++) {
		len = texts[i] ? (int)strlen(texts[i]) : 1;
		if (len > shower->width[i])
			shower->width[i] = len;
		ret = put(shower, " %-*s ", shower->width[i], texts[i] ? texts[i] : "-");
	}
	return ret;
}

int show_header(struct shower *shower)
{
	int ret;

	if (shower->json)
		return 0;
	ret = put(shower, "%-15s  %-8s  %-5s ", "TIME", "EVENT", "PROTO");
	if (!ret)
		ret = put_columns(shower, headers);
	return ret ? ret : put(shower, " %s\n", "DETAIL");
}

static const char *device_name(uint32_t ifindex, char buf[static IF_NAMESIZE])
{
	if (!ifindex || !if_indextoname(ifindex, buf))
		return NULL;
	return buf;
}

/* Why, where, and as whom. */
static int put_detail(const struct shower *shower, const struct sh_event *event,
		      const struct monitor_ends *ends)
{
	char name[IF_NAMESIZE], text[ADDR_PORT_STRLEN];
	const char *device = device_name(event->ifindex, name);
	int ret;

	ret = put(shower, " %s%s%s", device ? device : "", device ? " " : "",
		  event->hook <= SH_HOOK_SOCKET ? hooks[event->hook] : "?");
	if (!ret && event->reason)
		ret = put(shower, ", %s: %s (%s:%u)", reason_word((enum sh_reason)event->reason),
			  reason_text((enum sh_reason)event->reason),
			  event_file((enum sh_file)event->file), event->line);
	if (!ret && event->kind == SH_EVENT_AFFINITY)
		ret = put(shower, ", %s", event->flags & SH_EVENT_KEPT ? "kept" : "chosen");
	if (!ret && ends->masqueraded)
		ret = put(shower, ", masqueraded as %s",
			  addr_port_format(&ends->masquerade, ends->masquerade_port, text));
	if (!ret && event->flags & SH_EVENT_REPLY)
		ret = put(shower, ", by a reply");
	return ret ? ret : put(shower, "\n");
}

static int show_line(struct shower *shower, const struct sh_event *event,
		     const struct monitor_ends *ends, const struct sh_meta_service *service)
{
	char client[ADDR_PORT_STRLEN], virt[ADDR_PORT_STRLEN], backend[ADDR_PORT_STRLEN];
	char name[SERVICE_STRLEN], time[TIME_STRLEN], proto[8];
	const char *const texts[SHOW_COLUMNS] = {
		end_format(ends->has_client, &ends->client, ends->client_port, client),
		end_format(true, &ends->virt, ends->virt_port, virt),
		end_format(ends->has_backend, &ends->backend, ends->backend_port, backend),
		service_format(service, name),
	};
	int ret;

	ret = put(shower, "%-15s  %-8s  %-5s ",
		  time_format(event->ns + shower->realtime_ns, false, time),
		  event_word((enum sh_event_kind)event->kind), proto_word(event->proto, proto));
	if (!ret)
		ret = put_columns(shower, texts);
	return ret ? ret : put_detail(shower, event, ends);
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static int put_json(const struct shower *shower, json_t *object)
{
	int ret = 0;

	if (!object)
		return -ENOMEM;
	errno = 0;
	if (json_dumpf(object, shower->to, JSON_COMPACT))
		ret = errno ? -errno : -EIO;
	json_decref(object);
	return ret ? ret : put(shower, "\n");
}

static int show_object(struct shower *shower, const struct sh_event *event,
		       const struct monitor_ends *ends, const struct sh_meta_service *service)
{
	char client[ADDR_PORT_STRLEN], virt[ADDR_PORT_STRLEN], backend[ADDR_PORT_STRLEN];
	char as[ADDR_PORT_STRLEN], time[TIME_STRLEN], proto[8], name[IF_NAMESIZE];
	bool affinity = event->kind == SH_EVENT_AFFINITY;
	const char *file = event_file((enum sh_file)event->file);
	struct sh_meta pod;
	json_t *object;

	if (!dataplane_meta(shower->dp, SH_META_BACKEND, event->backend, &pod))
		pod.name[0] = '\0';
	object = json_pack(
		"{ss ss ss ss? ss ss? ss? ss? ss? si ss? ss? ss? ss si ss ss? sb so}", "time",
		time_format(event->ns + shower->realtime_ns, true, time), "event",
		event_word((enum sh_event_kind)event->kind), "protocol",
		proto_word(event->proto, proto), "client",
		end_format(ends->has_client, &ends->client, ends->client_port, client), "virtual",
		end_format(true, &ends->virt, ends->virt_port, virt), "backend",
		end_format(ends->has_backend, &ends->backend, ends->backend_port, backend),
		"masqueradedAs",
		end_format(ends->masqueraded, &ends->masquerade, ends->masquerade_port, as),
		"namespace", service ? service->ns : NULL, "service",
		service ? service->name : NULL, "port", service ? service->port : 0, "pod",
		pod.name[0] ? pod.name : NULL, "reason",
		event->reason ? reason_word((enum sh_reason)event->reason) : NULL, "meaning",
		event->reason ? reason_text((enum sh_reason)event->reason) : NULL, "file", file,
		"line", (int)event->line, "hook",
		event->hook <= SH_HOOK_SOCKET ? hooks[event->hook] : "?", "device",
		device_name(event->ifindex, name), "reply", (int)(event->flags & SH_EVENT_REPLY),
		"kept", affinity ? json_boolean(event->flags & SH_EVENT_KEPT) : json_null());
	return put_json(shower, object);
}

int show_event(struct shower *shower, const struct sh_event *event, const struct monitor_ends *ends,
	       const struct sh_meta_service *service)
{
	return shower->json ? show_object(shower, event, ends, service)
			    : show_line(shower, event, ends, service);
}

int show_published(struct shower *shower, const struct sh_published *publish)
{
	static const char *const none[SHOW_COLUMNS] = { NULL };
	char time[TIME_STRLEN];
	int ret;

	if (shower->json)
		return put_json(
			shower,
			json_pack("{ss ss si si si si si si}", "time",
				  time_format(publish->ns + shower->realtime_ns, true, time),
				  "event", event_word(SH_EVENT_PUBLISH), "servicesAdded",
				  (int)publish->services_added, "servicesChanged",
				  (int)publish->services_changed, "servicesRemoved",
				  (int)publish->services_removed, "backendsAdded",
				  (int)publish->backends_added, "backendsChanged",
				  (int)publish->backends_changed, "backendsRemoved",
				  (int)publish->backends_removed));
	ret = put(shower, "%-15s  %-8s  %-5s ",
		  time_format(publish->ns + shower->realtime_ns, false, time),
		  event_word(SH_EVENT_PUBLISH), "-");
	if (!ret)
		ret = put_columns(shower, none);
	return ret ? ret
		   : put(shower,
			 " service ports: %u added, %u changed, %u removed; backends: %u added, "
			 "%u changed, %u removed\n",
			 publish->services_added, publish->services_changed,
			 publish->services_removed, publish->backends_added,
			 publish->backends_changed, publish->backends_removed);
}
