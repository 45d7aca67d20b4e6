/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "trace/trace.h"

#include <errno.h>
#include <string.h>

int trace_print(const struct trace_answer *answer, FILE *to)
{
	int width = 0;
	size_t i;

	for (i = 0; i < answer->n; i++) {
		int len = (int)strlen(answer->steps[i].name);

		width = len > width ? len : width;
	}
	errno = 0;
	for (i = 0; i < answer->n; i++) {
		if (fprintf(to, "%2zu %-*s  %s\n", i + 1, width, answer->steps[i].name,
			    answer->steps[i].text) < 0)
			return errno ? -errno : -EIO;
	}
	return 0;
}

static int steps_tree(const struct trace_answer *answer, json_t *list)
{
	size_t i;

	for (i = 0; i < answer->n; i++) {
		const struct trace_step *step = &answer->steps[i];
		json_t *one = json_pack("{s:s, s:s}", "step", step->name, "text", step->text);

		if (!one || json_object_update_missing(one, step->fields) ||
		    json_array_append(list, one)) {
			json_decref(one);
			return -ENOMEM;
		}
		json_decref(one);
	}
	return 0;
}

json_t *trace_tree(const struct trace_answer *answer, struct dataplane *dp)
{
	bool refused = answer->verdict == PTEST_DROP || answer->verdict == PTEST_REJECT;
	char backend[ADDR_PORT_STRLEN], service[2 * SH_NAME_MAX + 2];
	json_t *steps = json_array(), *tree;
	bool has_service = false;
	struct sh_meta meta;

	if (answer->has_backend)
		addr_port_format(&answer->backend.addr, answer->backend.port, backend);
	if (dataplane_meta(dp, SH_META_SERVICE, answer->service, &meta)) {
		(void)snprintf(service, sizeof(service), "%s/%s", meta.service.ns,
			       meta.service.name);
		has_service = true;
	}
	if (!steps || steps_tree(answer, steps)) {
		json_decref(steps);
		return NULL;
	}
	tree = json_pack("{s:s, s:o, s:s, s:s?, s:s?, s:s?}", "kind", "Trace", "steps", steps,
			 "verdict", ptest_verdict_name(answer->verdict), "reason",
			 refused ? reason_word(answer->reason) : NULL, "service",
			 has_service ? service : NULL, "backend",
			 answer->has_backend ? backend : NULL);
	return tree;
}
