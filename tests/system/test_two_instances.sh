#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Two nodes on one machine, two instances in one kernel: each in its own network
# namespace, with the same addresses and other backends, and neither minds the
# other's going.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

bring_up

mkdir "$TMP/other"
cp "$TMP/manifests/nodes.yaml" "$TMP/other"
{
	service web 80 "$WEB_PORT"
	slices web 2 13
} >"$TMP/other/services.yaml"
must node_apply 2 -f "$TMP/other"
must node_shunt 2 delete -f "$TMP/manifests/pods.yaml"

for vip in $WEB4 $WEB6; do
	reach shell-1 http "$(at "$vip" 80)" "$ALL"
	reach node:1 http "$(at "$vip" 80)" "$ALL"
	reach shell-2 http "$(at "$vip" 80)" kubia-zz0wn
	reach node:2 http "$(at "$vip" 80)" kubia-zz0wn
done
reach client http "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"
reach client http "$(at "$(node_ip 2)" $WEB_PORT)" kubia-zz0wn

must node_shunt 1 reset
reach shell-2 http "$(at $WEB4 80)" kubia-zz0wn
reach node:2 http "$(at $WEB6 80)" kubia-zz0wn
reach client http "$(at "$(node_ip 2)" $WEB_PORT)" kubia-zz0wn
must_end 3 . node_shunt 1 get services
