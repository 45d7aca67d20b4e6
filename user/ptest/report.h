/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Results of packet tests as TAP 13, JUnit's XML, or JSON, one object a line. */
#ifndef SHUNT_USER_PTEST_REPORT_H
#define SHUNT_USER_PTEST_REPORT_H

#include <stdio.h>

#include "ptest/run.h"

enum report_format { REPORT_TAP = 0, REPORT_JUNIT, REPORT_JSON };

struct report {
	enum report_format format;
	FILE *to;     /* the caller's; errors stay in it */
	size_t n;     /* flows told */
	size_t total; /* to come, for TAP's plan */
	size_t failed;
};

void report_begin(struct report *report);
/* All of a file: results[i] is that of its flow i. @return 0 or -ENOMEM */
int report_file(struct report *report, const struct ptest_file *file,
		const struct ptest_result *results);
void report_end(struct report *report);

#endif
