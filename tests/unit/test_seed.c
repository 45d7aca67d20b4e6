// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The flow hash's last factor: ports in sequence mustn't meet in a few buckets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/load.h"

static uint16_t load[SEED_BUCKETS_MAX];

/* Buckets are of the bits from 32 on: so far apart are two ports' flows. */
#define BUCKETS(n) ((uint64_t)(n) << 32 | 1)

static void factors_that_crowd(void **state)
{
	assert_false(flow_seed_spreads(1, load));		   /* all in one */
	assert_false(flow_seed_spreads(BUCKETS(1 << 20), load));   /* all tables' */
	assert_false(flow_seed_spreads(BUCKETS(16), load));	   /* every sixteenth */
	assert_false(flow_seed_spreads(BUCKETS(3 * 1024), load));  /* small tables' */
	assert_false(flow_seed_spreads(0x5555555555555555, load)); /* nearly a third */
}

/* By the golden ratio nothing is spread better, in tables of any size. */
static void a_factor_that_spreads(void **state)
{
	assert_true(flow_seed_spreads(0x9e3779b97f4a7c15, load));
}

static void seeds_are_of_those(void **state)
{
	struct sh_config config, other;
	struct settings settings;
	struct err err = { .msg = "" };

	settings_init(&settings);
	assert_int_equal(config_make(&settings, &config, &err), 0);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(config_make(&settings, &other, &err), 0);
		assert_true(flow_seed_spreads(other.seed[4], load));
		for (int n = 0; n < 5; n++) {
			assert_true(other.seed[n] & 1);
			assert_true(other.seed[n] != config.seed[n]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(factors_that_crowd),
		cmocka_unit_test(a_factor_that_spreads),
		cmocka_unit_test(seeds_are_of_those),
	};

	return cmocka_run_group_tests_name("seed", tests, NULL, NULL);
}
