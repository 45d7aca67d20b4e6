#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# 20 MB each way on each path, every byte compared. The packets are larger than
# the wire would allow and their checksums aren't computed yet, as they come from
# virtual devices.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

bytes=20000000

transfer()
{
	local from=$1 target=$2

	must hits "$from" http "$target" --download $bytes --timeout 5000
	must hits "$from" http "$target" --upload $bytes --timeout 5000
}

bring_up
transfer shell-1 "$(at $HERE4 80)"
transfer shell-1 "$(at $HERE6 80)"
transfer shell-1 "$(at $THERE4 80)"
transfer shell-1 "$(at $THERE6 80)"
transfer node:1 "$(at $THERE4 80)"
transfer node:1 "$(at $HERE6 80)"
transfer client "$(at "$(node_ip 1)" $HERE_PORT)"
transfer client "$(at "$(node_ip6 1)" $HERE_PORT)"
transfer client "$(at "$(node_ip 1)" $THERE_PORT)"
transfer client "$(at "$(node_ip6 1)" $THERE_PORT)"

# Datagrams of all the size that goes in one packet.
reach shell-1 udp "$(at $THERE4 7)" kubia-q5n8d --datagram 1400
reach shell-1 udp "$(at $THERE6 7)" kubia-q5n8d --datagram 1400
reach client udp "$(at "$(node_ip 1)" $THERE_PORT)" kubia-q5n8d --datagram 1400
reach client udp "$(at "$(node_ip6 1)" $THERE_PORT)" kubia-q5n8d --datagram 1400
