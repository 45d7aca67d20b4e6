#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A Pod may use NodePorts too: of its own node and of another.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

bring_up

reach shell-1 http "$(at "$(node_ip 1)" $HERE_PORT)" "kubia-4jfyf from $(pod_ip 1 100)"
reach shell-1 http "$(at "$(node_ip 1)" $THERE_PORT)" "kubia-q5n8d from $(pod_ip 1 100)"
reach shell-1 http "$(at "$(node_ip 2)" $THERE_PORT)" kubia-q5n8d
# node-2 brings it back to node-1, whose answer must not go past node-2.
reach shell-1 http "$(at "$(node_ip 2)" $HERE_PORT)" kubia-4jfyf
reach shell-1 http "$(at "$(node_ip6 1)" $WEB_PORT)" "$ALL"
reach shell-1 http "$(at "$(node_ip6 2)" $WEB_PORT)" "$ALL"
reach shell-1 udp "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"
reach shell-1 udp "$(at "$(node_ip 2)" $WEB_PORT)" "$ALL"
reach kubia-4jfyf http "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"
