/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps, as every program declares them; their keys and values are in
 * include/shunt/maps.h. Sizes are set by the loader, which also makes the
 * three objects share one instance of each.
 */
#ifndef SHUNT_BPF_MAPS_H
#define SHUNT_BPF_MAPS_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "shunt/maps.h"

/* The settings: fixed before load, so that the verifier prunes what is off. */
const volatile struct sh_config sh_config SEC(".rodata");

#define SH_MMAP_ARRAY(name, record)                \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, 1);            \
		__type(key, __u32);                \
		__type(value, struct record);      \
	} name SEC(".maps")

SH_MMAP_ARRAY(shunt_control, sh_control);
SH_MMAP_ARRAY(shunt_filter, sh_filter);
SH_MMAP_ARRAY(shunt_slots, sh_slot_line);
SH_MMAP_ARRAY(shunt_backends, sh_backend);
SH_MMAP_ARRAY(shunt_tags4, sh_bucket);
SH_MMAP_ARRAY(shunt_tags6, sh_bucket);
SH_MMAP_ARRAY(shunt_flows4, sh_flow);
SH_MMAP_ARRAY(shunt_flows6, sh_flow6);
SH_MMAP_ARRAY(shunt_listeners, sh_listeners);

/* No preallocation: an element that a program reads is not recycled under it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SH_FRONTENDS_DEFAULT);
	__type(key, struct sh_frontend_key);
	__type(value, struct sh_frontend);
} shunt_frontends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SH_NODEADDRS_MAX);
	__type(key, struct sh_addr);
	__type(value, struct sh_nodeaddr);
} shunt_nodeaddrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SH_DEVICES_MAX);
	__type(key, __u32);
	__type(value, struct sh_device);
} shunt_devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SH_SOCKETS_DEFAULT);
	__type(key, struct sh_socket_key);
	__type(value, struct sh_socket);
} shunt_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int); /* as the kernel wants it */
	__type(value, struct sh_counted);
} shunt_counted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SH_AFFINITY_DEFAULT);
	__type(key, struct sh_affinity_key);
	__type(value, struct sh_affinity);
} shunt_affinity SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SH_FRAGS_MAX);
	__type(key, struct sh_fragment_key);
	__type(value, struct sh_fragment);
} shunt_frags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SH_SRCRANGES_MAX);
	__type(key, struct sh_srcrange_key);
	__type(value, __u8);
} shunt_srcranges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SH_DROPS_MAX);
	__type(key, struct sh_drop_key);
	__type(value, struct sh_drop);
} shunt_drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SH_BACKENDS_DEFAULT);
	__type(key, struct sh_meta_key);
	__type(value, struct sh_meta);
} shunt_meta SEC(".maps");

/* A listener's own ring buffer, as large as he wants it; empty but for these. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SH_LISTENERS_MAX);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_RINGBUF);
			__uint(max_entries, SH_EVENT_BUFFER_BYTES);
		});
} shunt_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SH_LISTENERS_MAX);
	__type(key, __u32);
	__type(value, struct sh_heard);
} shunt_heard SEC(".maps");

#endif
