#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A connection to a Pod that is being deleted goes on while the Pod is there,
# though no new one gets to it.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

# A connection that has reached kubia-x2k9p: try until one does.
hold_it()
{
	local try

	for try in {1..64}; do
		hold "$@"
		[[ $HELD_ANSWER != kubia-x2k9p* ]] || return 0
		let_go
	done
	die "kubia-x2k9p answered none of $try connections: $*"
}

bring_up
for way in "shell-1 $(at $WEB4 80)" "client $(at "$(node_ip 1)" $WEB_PORT)" "node:1 $(at $WEB6 80)"; do
	read -r from target <<<"$way"
	hold_it "$from" "$target"
	sed '/name: kubia-x2k9p/a\  deletionTimestamp: "2030-01-01T00:00:00Z"' \
		"$NET_ROOT/examples/kubia/pods.yaml" >"$TMP/manifests/pods.yaml"
	apply 1
	reach "$from" http "$target" "${ALL/,kubia-x2k9p/}"
	ask_held || die "$from: the connection ended when its Pod was to be deleted"
	[[ $HELD_ANSWER == kubia-x2k9p* ]] || die "$from: the connection went on with $HELD_ANSWER"
	let_go
	cp "$NET_ROOT/examples/kubia/pods.yaml" "$TMP/manifests"
	apply 1
done
