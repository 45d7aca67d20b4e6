// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pcapng (draft-ietf-opsawg-pcapng): a section header, a description of each device, then a block
 * for each packet with its comment. All in this machine's byte order, which the header tells.
 */
#include "monitor/monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SECTION	  0x0a0d0d0au
#define BLOCK_INTERFACE	  1u
#define BLOCK_PACKET	  6u
#define BYTE_ORDER_MAGIC  0x1a2b3c4du
#define LINKTYPE_ETHERNET 1u
#define OPT_COMMENT	  1u
#define OPT_USERAPPL	  4u /* of a section */
#define OPT_IF_NAME	  2u /* of an interface */
#define OPT_IF_TSRESOL	  9u
#define OPT_EPB_FLAGS	  2u /* of a packet */
#define TSRESOL_NS	  9u

#define BLOCK_BYTES_MAX (SH_SNAPLEN_MAX + 1024)

struct pcapng {
	FILE *to;
	const struct capture_device *devices;
	size_t n_devices;
	uint32_t snaplen;
	size_t len; /* of the block that is being made */
	unsigned char block[BLOCK_BYTES_MAX];
};

struct pcapng *pcapng_new(FILE *to, const struct capture_device *devices, size_t n_devices,
			  uint32_t snaplen)
{
	struct pcapng *pcapng = calloc(1, sizeof(*pcapng));

	if (!pcapng)
		return NULL;
	pcapng->to = to;
	pcapng->devices = devices;
	pcapng->n_devices = n_devices;
	pcapng->snaplen = snaplen;
	return pcapng;
}

void pcapng_free(struct pcapng *pcapng)
{
	free(pcapng);
}

/* Padded to a multiple of four. What is put never comes near the block's size. */
static void put(struct pcapng *pcapng, const void *bytes, size_t n)
{
	size_t padded = (n + 3) & ~(size_t)3;

	if (pcapng->len + padded > sizeof(pcapng->block))
		return;
	memset(pcapng->block + pcapng->len, 0, padded);
	memcpy(pcapng->block + pcapng->len, bytes, n);
	pcapng->len += padded;
}

static void put32(struct pcapng *pcapng, uint32_t value)
{
	put(pcapng, &value, sizeof(value));
}

static void put_option(struct pcapng *pcapng, uint16_t code, const void *bytes, size_t n)
{
	const uint16_t head[2] = { code, (uint16_t)n };

	put(pcapng, head, sizeof(head));
	put(pcapng, bytes, n);
}

static void block_begin(struct pcapng *pcapng, uint32_t type)
{
	pcapng->len = 0;
	put32(pcapng, type);
	put32(pcapng, 0); /* its length, when it is known */
}

/* The end of options, and the length at both ends. */
static int block_end(struct pcapng *pcapng)
{
	uint32_t len;

	put32(pcapng, 0);
	len = (uint32_t)pcapng->len + 4;
	put32(pcapng, len);
	memcpy(pcapng->block + 4, &len, sizeof(len));
	errno = 0;
	if (fwrite(pcapng->block, pcapng->len, 1, pcapng->to) != 1)
		return errno ? -errno : -EIO;
	return 0;
}

static int put_section(struct pcapng *pcapng)
{
	const uint16_t version[2] = { 1, 0 };
	const uint64_t unknown_length = ~0ull;

	block_begin(pcapng, BLOCK_SECTION);
	put32(pcapng, BYTE_ORDER_MAGIC);
	put(pcapng, version, sizeof(version));
	put(pcapng, &unknown_length, sizeof(unknown_length));
	put_option(pcapng, OPT_USERAPPL, "shunt monitor", strlen("shunt monitor"));
	return block_end(pcapng);
}

static int put_interface(struct pcapng *pcapng, const struct capture_device *device)
{
	const uint16_t link[2] = { LINKTYPE_ETHERNET, 0 };
	const uint8_t resolution = TSRESOL_NS;

	block_begin(pcapng, BLOCK_INTERFACE);
	put(pcapng, link, sizeof(link));
	put32(pcapng, pcapng->snaplen);
	put_option(pcapng, OPT_IF_NAME, device->name, strlen(device->name));
	put_option(pcapng, OPT_IF_TSRESOL, &resolution, sizeof(resolution));
	return block_end(pcapng);
}

int pcapng_begin(struct pcapng *pcapng)
{
	size_t i;
	int ret;

	ret = put_section(pcapng);
	for (i = 0; i < pcapng->n_devices && !ret; i++)
		ret = put_interface(pcapng, &pcapng->devices[i]);
	return ret;
}

/* The number of the device's description. @return false: it is none of these */
static bool interface_of(const struct pcapng *pcapng, uint32_t ifindex, uint32_t *out)
{
	size_t i;

	for (i = 0; i < pcapng->n_devices; i++) {
		if (pcapng->devices[i].ifindex == ifindex) {
			*out = (uint32_t)i;
			return true;
		}
	}
	return false;
}

int pcapng_packet(struct pcapng *pcapng, const struct sh_captured *packet, const void *bytes,
		  uint64_t ns, const char *comment)
{
	const uint32_t flags = packet->direction == SH_EGRESS ? 2 : 1; /* outbound, inbound */
	uint32_t interface;

	if (packet->bytes > SH_SNAPLEN_MAX || !interface_of(pcapng, packet->ifindex, &interface))
		return 0;
	block_begin(pcapng, BLOCK_PACKET);
	put32(pcapng, interface);
	put32(pcapng, (uint32_t)(ns >> 32));
	put32(pcapng, (uint32_t)ns);
	put32(pcapng, packet->bytes);
	put32(pcapng, packet->len);
	put(pcapng, bytes, packet->bytes);
	put_option(pcapng, OPT_COMMENT, comment, strlen(comment));
	put_option(pcapng, OPT_EPB_FLAGS, &flags, sizeof(flags));
	return block_end(pcapng);
}
