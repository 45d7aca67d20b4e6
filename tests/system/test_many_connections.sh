#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# 2,000 connections at once, on each path; by SNAT each needs a port of its own.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

many=2000

crowd()
{
	local from=$1 target=$2 said

	said=$(hits "$from" http "$target" -n $many -c $many --timeout 10000 --json 2>&1) ||
		die "$from at $target: $said"
}

bring_up
crowd client "$(at "$(node_ip 1)" $THERE_PORT)"
crowd client "$(at "$(node_ip6 1)" $THERE_PORT)"
crowd client "$(at "$(node_ip 1)" $WEB_PORT)"
crowd shell-1 "$(at $WEB4 80)"
crowd shell-1 "$(at $WEB6 80)"
crowd node:1 "$(at $WEB4 80)"

# Two clients that use the same ports of theirs, to one backend, at once.
hits client http "$(at "$(node_ip 1)" $THERE_PORT)" -n $many -c $many --timeout 10000 --json >"$TMP/client" 2>&1 &
hits outside-1 http "$(at "$(node_ip 1)" $THERE_PORT)" -n $many -c $many --timeout 10000 --json >"$TMP/outside" 2>&1 &
wait
for who in client outside; do
	equal "$(jq .ok "$TMP/$who")" $many "$who beside another: answered"
done
