/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/capture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/internal.h"
#include "shunt_capture.skel.h"

/* Linux 6.6; the headers of Debian 12 have neither. Without a name it is first, or last, of all. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47
#define ATTACH_BEFORE	   (1u << 3)
#define ATTACH_AFTER	   (1u << 4)

struct capture {
	struct dataplane *dp;
	struct capture_sink sink;
	struct shunt_capture *skel;
	struct ring_buffer *ring;
	struct capture_device devices[SH_CAPTURE_DEVICES_MAX];
	size_t n_devices;
	int *links;
	size_t n_links;
	struct err err; /* of a walk */
};

/* ---- loading -------------------------------------------------------------------- */

/* The programs look things up where the attached ones do. */
static int share_maps(struct capture *capture)
{
	struct bpf_map *map;
	int i, ret = 0;

	for (i = 0; i < DP_MAP_COUNT && !ret; i++) {
		map = bpf_object__find_map_by_name(capture->skel->obj, dp_map_names[i]);
		if (map)
			ret = bpf_map__reuse_fd(map, capture->dp->map_fd[i]);
	}
	map = bpf_object__find_map_by_name(capture->skel->obj, SH_TRACE_SECTION);
	if (map && !ret)
		ret = bpf_map__set_autocreate(map, false);
	return ret;
}

static int capture_load(struct capture *capture, uint32_t snaplen, struct err *err)
{
	const struct sh_control *control = capture->dp->mem[DP_MAP_CONTROL];
	int ret;

	if (!getenv("SHUNT_DEBUG"))
		(void)libbpf_set_print(NULL);
	capture->skel = shunt_capture__open();
	if (!capture->skel)
		return err_system(err, -errno, "open the BPF programs that take packets");
	memcpy(&capture->skel->rodata->sh_config, &control->config, sizeof(control->config));
	capture->skel->rodata_capture->sh_snaplen = snaplen;
	ret = share_maps(capture);
	/* Not by the skeleton's own load: it wants every map, that of the trace too. */
	if (!ret)
		ret = bpf_object__load(capture->skel->obj);
	if (ret)
		return err_system(err, ret,
				  "load the BPF programs that take packets (SHUNT_DEBUG=1 shows "
				  "what the kernel says)");
	return 0;
}

/* ---- attaching ------------------------------------------------------------------- */

static int attach_one(struct capture *capture, const struct capture_device *device,
		      const struct bpf_program *prog, bool egress, bool after)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = after ? ATTACH_AFTER : ATTACH_BEFORE);
	int fd;

	fd = bpf_link_create(
		bpf_program__fd(prog), (int)device->ifindex,
		(enum bpf_attach_type)(egress ? ATTACH_TCX_EGRESS : ATTACH_TCX_INGRESS), &opts);
	if (fd < 0)
		return errno == ENODEV ? 0 : -errno; /* the device has just gone */
	capture->links[capture->n_links++] = fd;
	return 0;
}

static int attach_device(struct capture *capture, const struct capture_device *device,
			 struct err *err)
{
	const struct shunt_capture *skel = capture->skel;
	int ret;

	ret = attach_one(capture, device, skel->progs.shunt_cap_in, false, false);
	if (!ret)
		ret = attach_one(capture, device, skel->progs.shunt_cap_in2, false, true);
	if (!ret)
		ret = attach_one(capture, device, skel->progs.shunt_cap_out, true, false);
	if (!ret)
		ret = attach_one(capture, device, skel->progs.shunt_cap_out2, true, true);
	return ret ? err_system(err, ret, "take packets from %s", device->name) : 0;
}

static int take_device(const struct device_view *view, void *arg)
{
	struct capture *capture = arg;
	struct capture_device *device;

	if (!view->name[0])
		return 0;
	if (strcmp(view->tc, "tcx") != 0)
		return err_system(&capture->err, -EOPNOTSUPP,
				  "take packets from %s, where shunt is attached by \"%s\": that "
				  "takes TCX links, which Linux 6.6 and later have",
				  view->name, view->tc[0] ? view->tc : "nothing");
	if (capture->n_devices == SH_CAPTURE_DEVICES_MAX)
		return err_system(&capture->err, -E2BIG,
				  "take packets from more than %d devices (limit "
				  "SH_CAPTURE_DEVICES_MAX)",
				  SH_CAPTURE_DEVICES_MAX);
	device = &capture->devices[capture->n_devices++];
	device->ifindex = view->ifindex;
	memcpy(device->name, view->name, sizeof(device->name));
	device->xdp = view->xdp[0] != '\0';
	return 0;
}

static int capture_attach(struct capture *capture, struct err *err)
{
	size_t i;
	int ret;

	ret = dataplane_devices(capture->dp, take_device, capture, err);
	if (ret) {
		if (capture->err.msg[0] && err)
			*err = capture->err;
		return ret;
	}
	capture->links = calloc(capture->n_devices * 4 + 1, sizeof(*capture->links));
	if (!capture->links)
		return err_system(err, -ENOMEM, "take packets");
	for (i = 0; i < capture->n_devices && !ret; i++)
		ret = attach_device(capture, &capture->devices[i], err);
	return ret;
}

/* ---- reading ----------------------------------------------------------------------- */

static int on_packet(void *arg, void *data, size_t size)
{
	const struct sh_captured *head = data;
	struct capture *capture = arg;

	if (size < sizeof(*head) || size - sizeof(*head) < head->bytes)
		return 0;
	return capture->sink.packet(head, head + 1, capture->sink.arg);
}

int capture_new(struct capture **out, struct dataplane *dp, uint32_t snaplen,
		const struct capture_sink *sink, struct err *err)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	int ret;

	if (!capture)
		return err_system(err, -ENOMEM, "take packets");
	capture->dp = dp;
	capture->sink = *sink;
	ret = capture_load(capture, snaplen, err);
	if (!ret) {
		capture->ring = ring_buffer__new(bpf_map__fd(capture->skel->maps.shunt_captured),
						 on_packet, capture, NULL);
		if (!capture->ring)
			ret = err_system(err, -errno, "read a ring buffer");
	}
	if (!ret)
		ret = capture_attach(capture, err);
	if (ret) {
		capture_free(capture);
		return ret;
	}
	*out = capture;
	return 0;
}

void capture_free(struct capture *capture)
{
	if (!capture)
		return;
	while (capture->n_links)
		(void)close(capture->links[--capture->n_links]);
	free(capture->links);
	ring_buffer__free(capture->ring);
	shunt_capture__destroy(capture->skel);
	free(capture);
}

const struct capture_device *capture_devices(const struct capture *capture, size_t *n_out)
{
	*n_out = capture->n_devices;
	return capture->devices;
}

int capture_fd(const struct capture *capture)
{
	return ring_buffer__epoll_fd(capture->ring);
}

int capture_poll(struct capture *capture, int timeout_ms)
{
	int ret = ring_buffer__poll(capture->ring, timeout_ms);

	return ret < 0 ? ret : 0;
}

uint64_t capture_lost(const struct capture *capture)
{
	const uint32_t zero = 0;
	uint64_t lost = 0;

	_Static_assert(sizeof(*capture->skel->bss) == sizeof(lost), "there is nothing else in it");
	(void)bpf_map_lookup_elem(bpf_map__fd(capture->skel->maps.bss), &zero, &lost);
	return lost;
}
