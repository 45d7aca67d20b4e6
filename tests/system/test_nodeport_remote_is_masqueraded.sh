#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# From outside by NodePort to a backend on another node: the node puts its own
# address in the client's place, or the answer would go past it.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

bring_up

reach client http "$(at "$(node_ip 1)" $THERE_PORT)" "kubia-q5n8d from $(node_ip 1)"
reach client http "$(at "$(node_ip6 1)" $THERE_PORT)" "kubia-q5n8d from $(node_ip6 1)"
reach client udp "$(at "$(node_ip 1)" $THERE_PORT)" "kubia-q5n8d from $(node_ip 1)"
reach client udp "$(at "$(node_ip6 1)" $THERE_PORT)" "kubia-q5n8d from $(node_ip6 1)"
reach client http "$(at "$(node_ip 2)" $HERE_PORT)" "kubia-4jfyf from $(node_ip 2)"

# Two clients may come from the same port at the same time.
reach client http "$(at "$(node_ip 1)" $THERE_PORT)" "kubia-q5n8d from $(node_ip 1)" \
	--bind "$CLIENT4:40000" -n 1
reach outside-1 http "$(at "$(node_ip 1)" $THERE_PORT)" "kubia-q5n8d from $(node_ip 1)" \
	--bind 203.0.113.20:40000 -n 1
