#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A backend goes for good: a UDP client moves to another with its next datagram,
# a TCP client is told by a RST. The server itself is still there: only who moves
# does not hear from it.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

# A datagram from the same socket address each time is the same flow.
ask() { net_hit "$1" udp "$2" -n 1 --bind "$3"; }

# All Pods, but for the one named.
drop_pod()
{
	local gone=$1 n

	for n in 1 2; do apply "$n"; done
	[[ $gone ]] || return 0
	awk -v name="$gone" 'BEGIN { RS = "---\n"; ORS = "---\n" } $0 ~ "name: " name' \
		"$NET_ROOT/examples/kubia/pods.yaml" >"$TMP/gone.yaml"
	for n in 1 2; do must node_shunt "$n" delete -f "$TMP/gone.yaml"; done
}

# moves NS TARGET FROM
moves()
{
	local first after

	drop_pod ''
	first=$(ask "$@") || die "$*: no answer"
	equal "$(ask "$@")" "$first" "$*: the same flow, answered by"
	drop_pod "$first"
	after=$(ask "$@") || die "$*: no answer at once after $first had gone"
	[[ $after != "$first" ]] || die "$*: still answered by $first, which is gone"
	equal "$(ask "$@")" "$after" "$*: stays with"
}

# resets NS TARGET
resets()
{
	local gone others

	drop_pod ''
	hold "$1" "$2"
	gone=${HELD_ANSWER%% *}
	drop_pod "$gone"
	if ask_held; then
		die "$*: still answered by $HELD_ANSWER, which is gone"
	fi
	[[ ${HELD_ANSWER:-} == *reset* || ${HELD_ANSWER:-} == *Broken* ]] ||
		die "$*: no RST: '${HELD_ANSWER:-}'"
	kill "$held_pid" 2>/dev/null
	wait "$held_pid" 2>/dev/null
	others=,$ALL
	others=${others/,$gone/}
	reach "$1" http "$2" "${others#,}"
}

net_up || die "the network didn't come up"
services
apply 1
apply 2

moves shell-1 "$(at $WEB4 7)" "$(pod_ip 1 100):40000"
moves shell-1 "$(at $WEB6 7)" "[$(pod_ip6 1 100)]:40000"
moves client "$(at "$(node_ip 1)" $WEB_PORT)" $CLIENT4:40000
moves client "$(at "$(node_ip6 1)" $WEB_PORT)" "[$CLIENT6]:40000"

resets shell-1 "$(at $WEB4 80)"
resets shell-1 "$(at $WEB6 80)"
resets client "$(at "$(node_ip 1)" $WEB_PORT)"
resets client "$(at "$(node_ip6 1)" $WEB_PORT)"
