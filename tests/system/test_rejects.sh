#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Nobody there: refused at once, TCP by a RST and UDP by an ICMP error, at every
# frontend. Nobody here under policy Local: not a word, so that others are tried.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

limit_ms=500

# at_once FROM PROTO TARGET
at_once()
{
	local start=${EPOCHREALTIME/[.,]/} took_ms

	refused "$@" -n 1
	took_ms=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
	((took_ms < limit_ms)) || die "$*: refused after $took_ms ms"
}

# unanswered FROM PROTO TARGET
unanswered()
{
	local said

	if said=$(hits "$@" -n 1 --timeout 300 2>&1); then
		die "$*: answered by $said"
	fi
	[[ $said == *"timed out"* ]] || die "$*: not without a word: $said"
}

net_up || die "the network didn't come up"
services
{
	service local 89 30089 | sed 's/type: NodePort/&\n  externalTrafficPolicy: Local\n  internalTrafficPolicy: Local/'
	slices local 2 11
} >>"$TMP/manifests/services.yaml"
apply 1

for proto in http udp-connected; do
	port=80
	[[ $proto == http ]] || port=7
	for from in shell-1 shell-1@1 node:1; do
		at_once "$from" $proto "$(at $EMPTY4 $port)"
		at_once "$from" $proto "$(at $EMPTY6 $port)"
		at_once "$from" $proto "$(at $WEB4 4444)"
		at_once "$from" $proto "$(at $WEB6 4444)"
	done
	for ip in "$(node_ip 1)" "$(node_ip6 1)"; do
		at_once client $proto "$(at "$ip" $EMPTY_PORT)"
		at_once shell-1 $proto "$(at "$ip" $EMPTY_PORT)"
		at_once node:1 $proto "$(at "$ip" $EMPTY_PORT)"
		unanswered client $proto "$(at "$ip" 30089)"
	done
	unanswered shell-1 $proto "$(at 10.96.0.89 $port)"
	unanswered shell-1 $proto "$(at fd00:10:96::89 $port)"
	unanswered shell-1 $proto "$(at 10.96.200.1 $port)"
	unanswered shell-1 $proto "$(at fd00:10:96::c801 $port)"
done

# A port that a Service doesn't have is counted by the Service, not by one of its ports.
node_shunt 1 get drops -A -o json >"$TMP/drops" || die 'get drops'
equal "$(jq -c '[.items[] | select(.reason == "unknown-port") | [.namespace, .service, .port]]' \
	"$TMP/drops")" '[["default","web",0]]' 'drops of unknown ports'
equal "$(jq -c '[.items[] | select(.reason == "no-backend") | [.service, .port]] | unique' \
	"$TMP/drops")" '[["empty",7],["empty",80]]' 'drops without a backend'
