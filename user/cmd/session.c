// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/manifests.h"
#include "plan/plan.h"
#include "source/agent_file.h"
#include "source/store.h"

static int read_kept(struct session *session, struct err *err)
{
	struct invocation *inv = session->inv;
	int ret;

	ret = kept_options_read(inv->settings.state, inv->arena, &session->kept, err);
	if (ret)
		return ret;
	settings_init(&session->before);
	session->before.bpffs = inv->settings.bpffs;
	session->before.state = inv->settings.state;
	/* A kept text that is refused where it doesn't count any more is no failure. */
	ret = kept_options_set(&session->kept, &inv->input, &inv->settings, inv->arena, err);
	if (!ret && kept_options_set(&session->kept, NULL, &session->before, inv->arena, NULL))
		session->before = inv->settings;
	return ret;
}

int session_open(struct session *session, struct invocation *inv, struct err *err)
{
	const struct settings *settings = &inv->settings;
	int ret;

	*session = (struct session){ .inv = inv };
	ret = read_kept(session, err);
	if (ret)
		return ret;
	/* If nothing is pinned, whatever this session makes is its own to remove. */
	session->fresh = !dataplane_is_there(settings);
	ret = dataplane_open(&session->dp, DATAPLANE_WRITE, settings, err);
	session->locked = !ret;
	if (!ret)
		ret = store_load(settings->state, &session->prev, err);
	return ret;
}

static int publish(struct session *session, const struct object_set *objects,
		   const struct settings *settings, struct err *err)
{
	struct publish_result result;
	struct wanted *wanted = NULL;
	int ret;

	ret = plan_resolve(objects, settings, true, &wanted, err);
	/* Going back tells nothing new. */
	if (!ret && objects == &session->next)
		manifests_print_left_out(wanted);
	if (!ret)
		ret = dataplane_publish(session->dp, wanted, &result, err);
	if (!ret && result.sockets_err.msg[0])
		(void)fprintf(stderr, "shunt: note: %s\n", result.sockets_err.msg);
	wanted_free(wanted);
	return ret;
}

/* The kernel as it was; says so in @err where even that fails. */
static void roll_back(struct session *session, struct err *err)
{
	struct err again = { 0 };
	size_t len = strlen(err->msg);

	if (session->fresh || !publish(session, &session->prev, &session->before, &again))
		return;
	(void)snprintf(err->msg + len, sizeof(err->msg) - len,
		       "; going back to what was in force failed too: %s", again.msg);
}

/* Two files, each changed by a rename, which either happens or doesn't. */
static int keep(struct session *session, struct err *err)
{
	const struct kept_options next = kept_options_merged(&session->kept, &session->inv->input);
	const char *dir = session->before.state;
	struct err ignored;
	int ret;

	ret = kept_options_write(dir, &session->kept, &next, err);
	if (ret)
		return ret;
	ret = store_save(dir, &session->next, err);
	/* Where this fails too, the next apply meets options that somebody did ask for. */
	if (ret)
		(void)kept_options_write(dir, &next, &session->kept, &ignored);
	/* Of an agent before: these objects have labels of their own. */
	return ret ? ret : agent_file_remove(dir, LABELS_FILE, err);
}

int session_commit(struct session *session, struct err *err)
{
	const struct settings *settings = &session->inv->settings;
	int ret;

	ret = plan_allocate(&session->next, &session->prev, settings, err);
	if (!ret)
		ret = publish(session, &session->next, settings, err);
	/* A publish that fails leaves what was in force; only from here on is there a way back. */
	if (ret)
		return ret;
	ret = dataplane_attach(session->dp, settings, err);
	if (!ret)
		ret = keep(session, err);
	if (ret)
		roll_back(session, err);
	return ret;
}

void session_close(struct session *session, bool undo)
{
	struct err ignored; /* what is reported is why the session failed */

	dataplane_close(session->dp);
	if (undo && session->fresh && session->locked) {
		(void)dataplane_reset(&session->inv->settings, &ignored);
		(void)rmdir(session->before.state); /* if nothing was kept there before */
	}
	object_set_done(&session->prev);
	object_set_done(&session->next);
}
