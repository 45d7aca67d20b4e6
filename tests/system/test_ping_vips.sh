#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A ping of a virtual address is answered while the Service has an endpoint, from
# wherever it comes; --ping-vips=false turns that off.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

pings() { net_exec "$1" ping -n -q -c 1 -W 2 -s "${3:-56}" "$2" >/dev/null 2>&1; }

answered() { pings "$@" || die "$1: no answer to a ping of $2"; }

# No answer is waited for as long as one would take to come, and longer.
silent()
{
	if net_exec "$1" ping -n -q -c 1 -W 0.3 "$2" >/dev/null 2>&1; then
		die "$1: a ping of $2 was answered"
	fi
}

command -v ping >/dev/null || skip 'ping is missing: apt-get install iputils-ping'
net_up || die "the network didn't come up"
services
{
	service balanced 88 30088 kubia | sed 's/type: NodePort/type: LoadBalancer/'
	printf 'status: {loadBalancer: {ingress: [{ip: %s}, {ip: "%s"}]}}\n' "$LB_VIP4" "$LB_VIP6"
} >>"$TMP/manifests/services.yaml"
apply 1

for from in shell-1 node-1; do
	answered $from $WEB4
	answered $from $WEB6
	answered $from $WEB4 1400
	answered $from $WEB6 1
	silent $from $EMPTY4
	silent $from $EMPTY6
done
answered client "$LB_VIP4"
answered client "$LB_VIP6"

# What is no virtual address answers for itself.
answered client "$(node_ip 1)"
answered shell-1 "$(pod_ip 1 11)"

APPLY=(--ping-vips=false)
apply 1
silent shell-1 $WEB4
silent shell-1 $WEB6
silent client "$LB_VIP4"
answered client "$(node_ip 1)"
