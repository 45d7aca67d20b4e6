#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A client that has reached a backend by its Service may go to it directly from
# the same port of its own: the kernel takes these for different connections and
# gives out such ports often. The answers mustn't be taken for the Service's.

# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

# both_ways FROM CLIENT SERVICE BACKEND: by the Service, directly, by the Service
both_ways()
{
	local from=$1 client=$2 target

	for target in "$3" "$4" "$3" "$4"; do
		must hits "$from" http "$target" --bind "$client"
	done
}

bring_up
both_ways shell-1 "$(at "$(pod_ip 1 100)" 40000)" "$(at $THERE4 80)" "$(at "$(pod_ip 2 11)" 8080)"
both_ways shell-1 "$(at "$(pod_ip 1 100)" 40001)" "$(at $HERE4 80)" "$(at "$(pod_ip 1 11)" 8080)"
both_ways shell-1 "$(at "$(pod_ip6 1 100)" 40002)" "$(at $THERE6 80)" "$(at "$(pod_ip6 2 11)" 8080)"

# The same at the far end: by the other node's nodePort, which keeps the client's
# address for its own Pods.
both_ways shell-1 "$(at "$(pod_ip 1 100)" 40003)" "$(at "$(node_ip 2)" $THERE_PORT)" \
	"$(at "$(pod_ip 2 11)" 8080)"
both_ways node:1 "$(at "$(node_ip 1)" 40004)" "$(at "$(node_ip 2)" $THERE_PORT)" \
	"$(at "$(pod_ip 2 11)" 8080)"
