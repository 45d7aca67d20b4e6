#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# From outside by NodePort to a backend on that node: it sees its client's address.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

bring_up

reach client http "$(at "$(node_ip 1)" $HERE_PORT)" "kubia-4jfyf from $CLIENT4"
reach client http "$(at "$(node_ip6 1)" $HERE_PORT)" "kubia-4jfyf from $CLIENT6"
reach client udp "$(at "$(node_ip 1)" $HERE_PORT)" "kubia-4jfyf from $CLIENT4"
reach client udp "$(at "$(node_ip6 1)" $HERE_PORT)" "kubia-4jfyf from $CLIENT6"

reach client http "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"
reach client http "$(at "$(node_ip6 2)" $WEB_PORT)" "$ALL"
refused client http "$(at "$(node_ip 1)" $EMPTY_PORT)"
refused client http "$(at "$(node_ip6 1)" $EMPTY_PORT)"
