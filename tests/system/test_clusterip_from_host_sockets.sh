#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A process of the node reaches a Service through its socket, which goes on
# believing in the virtual address.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

bring_up

for vip in "$WEB4" "$WEB6"; do
	reach node:1 http "$(at "$vip" 80)" "$ALL" --getpeername
	reach node:1 udp-connected "$(at "$vip" 7)" "$ALL" --getpeername
	reach node:1 udp "$(at "$vip" 7)" "$ALL"
	reach node:2 http "$(at "$vip" 80)" "$ALL" --getpeername
	refused node:1 http "$(at "$vip" 81)"
	refused node:1 udp-connected "$(at "$vip" 8)"
done
refused node:1 http "$(at $EMPTY4 80)"
refused node:1 http "$(at $EMPTY6 80)"

# An IPv6 socket may carry IPv4.
reach node:1 http "$(at $WEB4 80)" "$ALL" -6 --getpeername
reach node:1 udp "$(at $WEB4 7)" "$ALL" -6
reach node:1 udp-connected "$(at $WEB4 7)" "$ALL" -6 --getpeername

# nodePorts, at the node's own address, at another node's and at loopback.
reach node:1 http "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"
reach node:1 http "$(at "$(node_ip6 1)" $WEB_PORT)" "$ALL"
reach node:1 udp "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"
reach node:1 http "$(at "$(node_ip 2)" $WEB_PORT)" "$ALL"
reach node:1 http "$(at 127.0.0.1 $WEB_PORT)" "$ALL"

# What is no Service's isn't touched.
reach node:1 http "$(at "$(pod_ip 2 13)" 8080)" kubia-zz0wn --getpeername
