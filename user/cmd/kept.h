/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The options that shape an instance are kept in its state folder, as the user
 * wrote them, so that a later apply or delete acts as the same node, on the
 * same devices, without being told again.
 */
#ifndef SHUNT_USER_KEPT_H
#define SHUNT_USER_KEPT_H

#include "cmd/options.h"

/* By place in the option table; NULL: not given, the default holds. */
struct kept_options {
	const char *text[OPTIONS_MAX];
};

/* Strings live in @arena. A folder that keeps none: all NULL. @return 0 or a negative errno */
int kept_options_read(const char *dir, struct arena *arena, struct kept_options *out,
		      struct err *err);
/* Make the folder, which keeps @now, keep @next: all of it, or on a failure none. */
int kept_options_write(const char *dir, const struct kept_options *now,
		       const struct kept_options *next, struct err *err);

/*
 * Put what @kept has into @settings, but for what @given (may be NULL) has.
 * @return 0, or -EINVAL where a text that was kept is no longer understood.
 */
int kept_options_set(const struct kept_options *kept, const struct option_input *given,
		     struct settings *settings, struct arena *arena, struct err *err);
/* @kept, with what was @given in its place. */
struct kept_options kept_options_merged(const struct kept_options *kept,
					const struct option_input *given);

#endif
