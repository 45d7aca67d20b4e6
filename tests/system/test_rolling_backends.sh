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

bring_up

hold shell-1 "$(at $THERE4 80)"
first=$HELD_ANSWER

load pod shell-1 http "$(at $WEB4 80)" --interval 2
load pod6 shell-2 http "$(at $WEB6 80)" --interval 2
load udp shell-1 udp "$(at $WEB4 7)" --interval 2
load node node:1 http "$(at $WEB4 80)" --interval 2
load outside client http "$(at "$(node_ip 1)" $WEB_PORT)" --interval 2

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

loads_end 100
