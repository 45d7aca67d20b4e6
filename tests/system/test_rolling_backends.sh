#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Backends come and go under load: no new connection fails, none reaches a
# backend that is gone, and an established one isn't disturbed.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

# Where pods.yaml says so: kubia-x2k9p is Ready, terminating, or not there.
set_pod()
{
	local pods=$NET_ROOT/examples/kubia/pods.yaml n

	case $1 in
	ready) cp "$pods" "$TMP/manifests" ;;
	terminating)
		sed '/name: kubia-x2k9p/a\  deletionTimestamp: "2030-01-01T00:00:00Z"' \
			"$pods" >"$TMP/manifests/pods.yaml"
		;;
	gone)
		awk 'BEGIN { RS = "---\n"; ORS = "---\n" } !/name: kubia-x2k9p/' \
			"$pods" >"$TMP/manifests/pods.yaml"
		;;
	esac
	for n in 1 2; do apply "$n"; done
}

# load NAME FROM ARGUMENTS…: fresh connections until `unload NAME`
load()
{
	local name=$1 from=$2
	shift 2

	hits "$from" "$@" -n 0 --interval 2 --json >"$TMP/$name" 2>"$TMP/$name.err" &
	loads+=($!)
}

bring_up
loads=()

hold shell-1 "$(at $THERE4 80)"
first=$HELD_ANSWER

load pod shell-1 http "$(at $WEB4 80)"
load pod6 shell-2 http "$(at $WEB6 80)"
load udp shell-1 udp "$(at $WEB4 7)"
load node node:1 http "$(at $WEB4 80)"
load outside client http "$(at "$(node_ip 1)" $WEB_PORT)"

without=${ALL/,kubia-x2k9p/}
for _ in 1 2 3; do
	set_pod terminating
	reach shell-1 http "$(at $WEB4 80)" "$without"
	set_pod gone
	reach shell-1 http "$(at $WEB4 80)" "$without"
	reach node:1 http "$(at $WEB4 80)" "$without"
	reach client http "$(at "$(node_ip 1)" $WEB_PORT)" "$without"
	ask_held || die 'the held connection was disturbed'
	equal "$HELD_ANSWER" "$first" 'the held connection is answered by'
	set_pod ready
	reach shell-1 http "$(at $WEB4 80)" "$ALL"
done

# Each is the child of a subshell.
pkill -P "$(IFS=, && echo "${loads[*]}")"
wait "${loads[@]}"
for name in pod pod6 udp node outside; do
	equal "$(jq .failed "$TMP/$name")" 0 "$name: failed ($(head -n 3 "$TMP/$name.err"))"
	(($(jq .ok "$TMP/$name") > 100)) || die "$name: hardly any request: $(cat "$TMP/$name")"
done
