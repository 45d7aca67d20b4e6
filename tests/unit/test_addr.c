/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "util/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void addresses_are_read_and_written(void **state)
{
	static const struct {
		const char *text, *canonical;
		enum family family;
	} rows[] = {
		{ "10.0.0.1", "10.0.0.1", FAMILY_IPV4 },
		{ "0.0.0.0", "0.0.0.0", FAMILY_IPV4 },
		{ "255.255.255.255", "255.255.255.255", FAMILY_IPV4 },
		{ "::", "::", FAMILY_IPV6 },
		{ "::1", "::1", FAMILY_IPV6 },
		{ "FD00:0:0:0::A", "fd00::a", FAMILY_IPV6 },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", FAMILY_IPV6 },
		{ "64:ff9b::192.0.2.1", "64:ff9b::c000:201", FAMILY_IPV6 },
	};
	char buf[ADDR_STRLEN];
	struct sh_addr addr;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(addr_parse(rows[i].text, &addr), 0);
		assert_string_equal(addr_format(&addr, buf), rows[i].canonical);
		assert_int_equal(addr_family(&addr), rows[i].family);
	}
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		" 10.0.0.1",
		"10.0.0.1 ",
		"10.0.0",
		"10.0.0.01",
		"10.0.0.256",
		"10.0.0.1.1",
		"010.0.0.1",
		"::ffff:10.0.0.1",
		"::ffff:a00:1",
		"fe80::1%lo",
		"1::2::3",
		"12345::",
		"[::1]",
		"localhost",
		"10.0.0.1/8",
		"0x0a000001",
		"1:2:3:4:5:6:7",
		":::",
	};
	struct sh_addr addr = { .b = { 42 } };
	size_t i;

	for (i = 0; i < COUNT(rows); i++)
		assert_int_equal(addr_parse(rows[i], &addr), -EINVAL);
	assert_int_equal(addr.b[0], 42); /* untouched on failure */
}

static void networks_are_read(void **state)
{
	static const struct {
		const char *text;
		unsigned int len;
	} rows[] = {
		{ "10.0.0.0/8", 8 },	{ "0.0.0.0/0", 0 },	  { "10.1.2.3/32", 32 },
		{ "10.1.2.2/31", 31 },	{ "fd00::/8", 8 },	  { "::/0", 0 },
		{ "fd00::1/128", 128 }, { "fd00:8000::/17", 17 },
	};
	struct addr_net net;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(addr_net_parse(rows[i].text, &net), 0);
		assert_int_equal(net.len, rows[i].len);
	}
}

static void what_is_no_network_is_refused(void **state)
{
	static const char *const rows[] = {
		"10.0.0.0",    "10.0.0.1/8",   "10.0.0.0/33", "10.0.0.0/",  "10.0.0.0/08",
		"10.0.0.0/-1", "10.0.0.0/8 ",  "/8",	      "fd00::/129", "fd00::1/64",
		"fd00::/1000", "10.0.0.0/8/8", "10.0.0.0/+8",
	};
	struct addr_net net;
	size_t i;

	for (i = 0; i < COUNT(rows); i++)
		assert_int_equal(addr_net_parse(rows[i], &net), -EINVAL);
}

static void networks_contain_their_addresses(void **state)
{
	static const struct {
		const char *net, *addr;
		bool in;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.0.1", true },  { "10.0.0.0/8", "11.0.0.0", false },
		{ "10.1.2.0/23", "10.1.3.255", true }, { "10.1.2.0/23", "10.1.4.0", false },
		{ "0.0.0.0/0", "1.2.3.4", true },      { "0.0.0.0/0", "::1", false },
		{ "::/0", "1.2.3.4", false },	       { "::/0", "fd00::1", true },
		{ "fd00::/17", "fd00:7fff::1", true }, { "fd00::/17", "fd00:8000::", false },
		{ "10.0.0.1/32", "10.0.0.1", true },   { "10.0.0.1/32", "10.0.0.2", false },
		{ "fd00::1/128", "fd00::1", true },    { "fd00::1/128", "fd00::2", false },
	};
	struct addr_net net;
	struct sh_addr addr;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(addr_net_parse(rows[i].net, &net), 0);
		assert_int_equal(addr_parse(rows[i].addr, &addr), 0);
		assert_int_equal(addr_net_contains(&net, &addr), rows[i].in);
	}
}

static void addition_stays_in_the_family(void **state)
{
	static const struct {
		const char *addr;
		uint64_t n;
		const char *sum;
	} rows[] = {
		{ "10.96.0.0", 1, "10.96.0.1" },
		{ "10.96.0.255", 1, "10.96.1.0" },
		{ "10.0.0.0", 0x01020304, "11.2.3.4" },
		{ "255.255.255.255", 1, "0.0.0.0" },
		{ "fd00::ffff", 1, "fd00::1:0" },
		{ "fd00::", UINT64_MAX, "fd00::ffff:ffff:ffff:ffff" },
		{ "fd00::1", UINT64_MAX, "fd00:0:0:1::" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 2, "::1" },
		{ "10.0.0.1", 0, "10.0.0.1" },
	};
	char buf[ADDR_STRLEN];
	struct sh_addr addr;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(addr_parse(rows[i].addr, &addr), 0);
		addr = addr_add(&addr, rows[i].n);
		assert_string_equal(addr_format(&addr, buf), rows[i].sum);
	}
}

static void an_address_with_a_port_has_brackets_in_ipv6_only(void **state)
{
	char buf[ADDR_PORT_STRLEN];
	struct sh_addr addr = addr_from_v4(htonl(0x0a000001));

	assert_string_equal(addr_port_format(&addr, htons(80), buf), "10.0.0.1:80");
	assert_int_equal(addr_parse("fd00:1111:2222:3333:4444:5555:6666:7777", &addr), 0);
	assert_string_equal(addr_port_format(&addr, htons(65535), buf),
			    "[fd00:1111:2222:3333:4444:5555:6666:7777]:65535");
}

static void addresses_have_an_order(void **state)
{
	struct sh_addr a, b;

	assert_int_equal(addr_parse("10.0.0.2", &a), 0);
	assert_int_equal(addr_parse("10.0.0.10", &b), 0);
	assert_true(addr_cmp(&a, &b) < 0);
	assert_true(addr_cmp(&b, &a) > 0);
	assert_true(addr_eq(&a, &a));
	assert_false(addr_eq(&a, &b));
	assert_string_equal(family_name(addr_family(&a)), "IPv4");
	assert_string_equal(family_name(FAMILY_IPV6), "IPv6");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_written),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(networks_are_read),
		cmocka_unit_test(what_is_no_network_is_refused),
		cmocka_unit_test(networks_contain_their_addresses),
		cmocka_unit_test(addition_stays_in_the_family),
		cmocka_unit_test(an_address_with_a_port_has_brackets_in_ipv6_only),
		cmocka_unit_test(addresses_have_an_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
