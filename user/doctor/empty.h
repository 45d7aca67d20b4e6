/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A Service port that leads nowhere: shared by the files that say why. */
#ifndef SHUNT_USER_DOCTOR_EMPTY_H
#define SHUNT_USER_DOCTOR_EMPTY_H

#include "doctor/doctor.h"

/* One (Service, port, family) that leads nowhere. */
struct empty {
	struct doctor *doctor;
	const struct object *service;
	const struct want_service *want;
	const char *object; /* "Service default/web" */
	const char *port;   /* "port 80/TCP", "port http (80/TCP)" */
};

void empty_tell(const struct empty *e, const char *check, const char *what, const char *evidence,
		const char *fix);
/* By its EndpointSlices, else by its Endpoints. @return false: it has neither */
bool empty_by_lists(const struct empty *e);
/* It has no selector either. */
void empty_by_nothing(const struct empty *e);

#endif
