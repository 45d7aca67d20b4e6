/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A change of what an instance serves: the lock, the objects that are in
 * force, and a commit that goes back to them if it fails halfway. An instance
 * that was not there before is taken out again.
 */
#ifndef SHUNT_USER_SESSION_H
#define SHUNT_USER_SESSION_H

#include "cmd/command.h"
#include "cmd/kept.h"
#include "dataplane/dataplane.h"
#include "model/objects.h"

struct session {
	struct invocation *inv;
	struct dataplane *dp;
	bool fresh;  /* there was no instance: a failure leaves none */
	bool locked; /* the instance is this session's to write */
	/* In force: objects and options as the state folder keeps them, settings made of these. */
	struct object_set prev;
	struct kept_options kept;
	struct settings before;
	struct object_set next; /* for the caller to fill in */
};

/*
 * Zeroes @session, locks the instance (makes it, where there is none) and reads
 * its objects; inv->settings takes over the kept options that the command line
 * doesn't give. @return 0 or a negative errno; session_close() it in any case.
 */
int session_open(struct session *session, struct invocation *inv, struct err *err);

/* Put session->next in force and keep it. On a failure prev is in force and kept. */
int session_commit(struct session *session, struct err *err);

/* @undo: an instance that this session made goes again. */
void session_close(struct session *session, bool undo);

#endif
