/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Layouts of versions that were released before this one, and how to read them.
 * Whoever raises a number in SH_LAYOUTS keeps the old struct here, writes a
 * function that fills the new one from it, and adds a row for each older layout
 * of that map. Of the maps that a publish can fill anew, none is needed:
 * user/dataplane/migrate.c has the list. For convert.c alone.
 */
#ifndef SHUNT_USER_RELEASED_H
#define SHUNT_USER_RELEASED_H

/* struct converter, a row each, such as
 *	{ DP_MAP_SOCKETS, 1, NULL, socket_from_1 },
 * No other layout than this version's was ever released. */
#define RELEASED_LAYOUTS

#endif
