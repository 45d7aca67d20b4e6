// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The publisher's picture, by Service. */
#include "dataplane/publisher.h"

#include <stdlib.h>
#include <string.h>

struct group_key group_key(const char *ns, const char *name)
{
	struct group_key key;

	memset(&key, 0, sizeof(key));
	(void)strncpy(key.ns, ns, sizeof(key.ns) - 1);
	(void)strncpy(key.name, name, sizeof(key.name) - 1);
	return key;
}

struct service_group *group_find(const struct publisher *publisher, const struct group_key *key)
{
	struct service_group *group;

	HASH_FIND(hh, publisher->groups, key, sizeof(*key), group);
	return group;
}

struct service_group *group_get(struct publisher *publisher, const struct group_key *key)
{
	struct service_group *group = group_find(publisher, key);

	if (group)
		return group;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->key = *key;
	HASH_ADD(hh, publisher->groups, key, sizeof(group->key), group);
	if (group->hh.tbl)
		return group;
	free(group);
	return NULL;
}

void group_settle(struct publisher *publisher, struct service_group *group)
{
	group->in_scope = false;
	if (group == &publisher->strays || group->services || group->frontends || group->srcranges)
		return;
	HASH_DEL(publisher->groups, group);
	free(group);
}

struct service_entry *service_find(const struct service_group *group,
				   const struct want_service *want)
{
	struct service_entry *entry;

	DL_FOREACH(group->services, entry)
		if (entry->meta.port == want->port && entry->meta.proto == want->proto &&
		    entry->meta.family == (uint8_t)want->family)
			return entry;
	return NULL;
}

void service_entry_free(struct service_entry *entry)
{
	free(entry->backends);
	free(entry);
}

static void group_free(struct service_group *group)
{
	struct service_entry *service, *next_service;
	struct srcrange_entry *range, *next_range;

	DL_FOREACH_SAFE(group->services, service, next_service)
		service_entry_free(service);
	DL_FOREACH_SAFE(group->srcranges, range, next_range)
		free(range);
}

void groups_free(struct publisher *publisher)
{
	struct frontend_entry *frontend, *next_frontend;
	struct service_group *group, *next;

	HASH_ITER(hh, publisher->frontends, frontend, next_frontend) {
		HASH_DEL(publisher->frontends, frontend);
		free(frontend);
	}
	HASH_ITER(hh, publisher->groups, group, next) {
		HASH_DEL(publisher->groups, group);
		group_free(group);
		free(group);
	}
	group_free(&publisher->strays);
}
