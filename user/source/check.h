/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Kubernetes API's rules for single values. Each check returns NULL, or
 * why the text is refused: the end of a sentence that begins with the value.
 */
#ifndef SHUNT_SOURCE_CHECK_H
#define SHUNT_SOURCE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "util/addr.h"

typedef const char *check_fn(const char *text);

check_fn check_dns_label;      /* RFC 1123 label: namespaces, port names */
check_fn check_dns1035_label;  /* the same, not beginning with a digit: Service names */
check_fn check_dns_subdomain;  /* Pod, Node, EndpointSlice names */
check_fn check_external_name;  /* a subdomain, a dot at its end allowed */
check_fn check_qualified_name; /* label and annotation keys: [subdomain/]name */
check_fn check_label_value;
check_fn check_port_name; /* IANA_SVC_NAME: container ports, targetPort */
check_fn check_ip;
check_fn check_ip_or_none;   /* clusterIP: an address, or None */
check_fn check_cidr;	     /* host bits must be zero */
check_fn check_source_range; /* host bits don't matter, blanks around it neither */
check_fn check_any;	     /* NULL */

/* An address that no endpoint and no external IP may have: loopback, link-local, ... */
const char *check_special_addr(const struct sh_addr *addr);
/* For text that passed check_source_range(). */
struct addr_net source_range_net(const char *text);

/* The nearest of @n words to @text, or NULL where none is near enough to be meant. */
const char *nearest_word(const char *text, const char *const *words, size_t n);

#endif
