#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A datagram that is too large for one packet, and its echo, which is so too: by
# ClusterIP from a pod, by NodePort from outside, to a backend here and elsewhere.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

bring_up

for bytes in 1473 4000 60000; do
	for from in shell-1 shell-1@1 node:1; do
		reach "$from" udp "$(at $HERE4 7)" kubia-4jfyf --datagram "$bytes" -n 8
		reach "$from" udp "$(at $HERE6 7)" kubia-4jfyf --datagram "$bytes" -n 8
		reach "$from" udp "$(at $THERE4 7)" kubia-q5n8d --datagram "$bytes" -n 8
		reach "$from" udp "$(at $THERE6 7)" kubia-q5n8d --datagram "$bytes" -n 8
	done
	for ip in "$(node_ip 1)" "$(node_ip6 1)"; do
		reach client udp "$(at "$ip" $HERE_PORT)" kubia-4jfyf --datagram "$bytes" -n 8
		reach client udp "$(at "$ip" $THERE_PORT)" kubia-q5n8d --datagram "$bytes" -n 8
	done
done

# Many at once, and each fragment to the backend of its first.
reach shell-1 udp "$(at $WEB4 7)" "$ALL" --datagram 4000 -n 128 -c 16
reach shell-1 udp "$(at $WEB6 7)" "$ALL" --datagram 4000 -n 128 -c 16
reach client udp "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL" --datagram 4000 -n 128 -c 16
reach client udp "$(at "$(node_ip6 1)" $WEB_PORT)" "$ALL" --datagram 4000 -n 128 -c 16
