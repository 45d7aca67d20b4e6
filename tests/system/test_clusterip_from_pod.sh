#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A Pod reaches a Service by its ClusterIP: translated packet by packet where the
# Pod's process is in no shunt's cgroup, by its socket where it is.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

from_a_pod()
{
	local from=$1

	reach "$from" http "$(at $WEB4 80)" "$ALL"
	reach "$from" http "$(at $WEB6 80)" "$ALL"
	reach "$from" udp "$(at $WEB4 7)" "$ALL"
	reach "$from" udp "$(at $WEB6 7)" "$ALL"
	reach "$from" udp-connected "$(at $WEB4 7)" "$ALL"
	reach "$from" udp-connected "$(at $WEB6 7)" "$ALL"
	refused "$from" http "$(at $EMPTY4 80)"
	refused "$from" http "$(at $EMPTY6 80)"
	refused "$from" http "$(at $WEB4 81)"
	refused "$from" http "$(at $WEB6 81)"
}

flows() { node_shunt 1 get flows -o json | jq '.. | .state? // empty' | wc -l; }

bring_up

# Sockets first: they have to leave no flow behind.
from_a_pod shell-1@1
equal "$(flows)" 0 'flows after requests by sockets'
reach shell-1@1 http "$(at $WEB4 80)" "$ALL" --getpeername

from_a_pod shell-1
from_a_pod shell-2
(($(flows) > 0)) || die 'no flow after requests by packets'

# The client's address is kept, whichever node the backend is on.
reach shell-1 http "$(at $HERE4 80)" "kubia-4jfyf from $(pod_ip 1 100)"
reach shell-1 http "$(at $THERE4 80)" "kubia-q5n8d from $(pod_ip 1 100)"
reach shell-1 udp "$(at $THERE6 7)" "kubia-q5n8d from $(pod_ip6 1 100)"

# A Pod that is a backend itself reaches all of them, itself included; only then
# its own address would make no sense to it as its client's.
reach kubia-4jfyf http "$(at $WEB4 80)" "$ALL"
reach kubia-4jfyf http "$(at $WEB6 80)" "$ALL"
reach kubia-4jfyf udp "$(at $WEB4 7)" "$ALL"
