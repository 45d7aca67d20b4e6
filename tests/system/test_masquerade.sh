#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Who the backend sees where its reply would not come back by itself: the address
# of the device that leads to it. A client outside that has come by a ClusterIP,
# and every client with --masquerade-all.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

bring_up
for n in 10.96.0.0/16 fd00:10:96::/112; do
	gateway=203.0.113.1 node=$(node_ip 1)
	[[ $n != *:* ]] || gateway=2001:db8:113::1 node=$(node_ip6 1)
	must ip -n "$PREFIX-client" route add "$n" via $gateway
	must ip -n "$PREFIX-fabric" route add "$n" via "$node"
done

reach client http "$(at $HERE4 80)" 'kubia-4jfyf from 10.244.1.1'
reach client http "$(at $HERE6 80)" 'kubia-4jfyf from fd00:10:244:1::1'
reach client http "$(at $THERE4 80)" "kubia-q5n8d from $(node_ip 1)"
reach client http "$(at $THERE6 80)" "kubia-q5n8d from $(node_ip6 1)"
reach client udp "$(at $HERE4 7)" 'kubia-4jfyf from 10.244.1.1'
reach client udp "$(at $THERE6 7)" "kubia-q5n8d from $(node_ip6 1)"

# A second address on the way to the backend changes nothing; another device does.
must ip -n "$PREFIX-node-1" addr add 172.18.0.99/24 dev eth0
reach client http "$(at $THERE4 80)" "kubia-q5n8d from $(node_ip 1)"

# A Pod of the cluster keeps its address there, too.
APPLY=(--cluster-cidr '10.244.0.0/16,fd00:10:244::/48')
apply 1
reach client http "$(at $HERE4 80)" 'kubia-4jfyf from 10.244.1.1'
reach shell-1 http "$(at $THERE4 80)" "kubia-q5n8d from $(pod_ip 1 100)"

APPLY=(--masquerade-all)
apply 1
reach shell-1 http "$(at $HERE4 80)" 'kubia-4jfyf from 10.244.1.1'
reach shell-1 http "$(at $HERE6 80)" 'kubia-4jfyf from fd00:10:244:1::1'
reach shell-1 http "$(at $THERE4 80)" "kubia-q5n8d from $(node_ip 1)"
reach shell-1 udp "$(at $THERE6 7)" "kubia-q5n8d from $(node_ip6 1)"
reach client http "$(at "$(node_ip 1)" $HERE_PORT)" 'kubia-4jfyf from 10.244.1.1'
