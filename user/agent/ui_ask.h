/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One question of the web page, answered by a run of this very program: so the
 * page can't tell anything else than the command line does, and neither a walk
 * over big maps nor the copy of them that `trace` makes is the agent's to carry.
 */
#ifndef SHUNT_USER_UI_ASK_H
#define SHUNT_USER_UI_ASK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ui_query.h"

struct ui_answer {
	unsigned int status; /* HTTP's */
	char *text;	     /* JSON; NULL: no memory */
	size_t len, mapped;  /* mapped: bytes of a mapping of its own; 0: malloc()ed */
	char tag[24];	     /* of these bytes: an ETag */
	uint64_t taken_ms;   /* UNIX time */
};

/*
 * Waits for the answer, SH_UI_QUESTION_SECONDS at most, and so is for another thread than
 * the loop's. Once *@stop is true it gives up within a moment.
 */
void ui_ask(const struct ui_question *question, const atomic_bool *stop, struct ui_answer *out);
void ui_answer_done(struct ui_answer *answer);

#endif
