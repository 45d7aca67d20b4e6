#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `shunt monitor`: what real connections leave in it, filters, JSON, packets for
# tcpdump, several at once, one that is killed, and events that are lost.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

declare -A MONITOR # pid by name

# What anybody listens to, as the programs see it; 0: nobody does.
anybody()
{
	bpftool -j map dump pinned "$NET_DIR/bpf/node-1/shunt_listeners" |
		jq '.[0].formatted.value.any % 256'
}
listening() { (($(anybody) != 0)); }
silent() { (($(anybody) == 0)); }
n_rings()
{
	bpftool -j map dump pinned "$NET_DIR/bpf/node-1/shunt_events" |
		jq '[.[] | select(.error == null)] | length'
}

# owners: how many places are taken
owners()
{
	bpftool -j map dump pinned "$NET_DIR/bpf/node-1/shunt_listeners" |
		jq '[.[0].formatted.value.v[] | select(.owner != 0 and .kinds != 0)] | length'
}
owners_are() { (($(owners) == $1)); }

# monitor NAME OPTION…: in the background on node-1; it listens when this returns
monitor()
{
	local name=$1 n
	shift

	n=$(owners)
	nsenter --net="$(net_ns node-1)" "$SHUNT" monitor --bpffs "$NET_DIR/bpf/node-1" "$@" \
		>"$TMP/$name" 2>"$TMP/$name.err" &
	MONITOR[$name]=$!
	wait_until 5 owners_are $((n + 1)) || die "monitor $* does not listen: $(cat "$TMP/$name.err")"
}

# stop NAME [SIGNAL]: it has to end well
stop()
{
	local status=0

	kill -"${2:-INT}" "${MONITOR[$1]}"
	wait "${MONITOR[$1]}" || status=$?
	equal $status 0 "exit status of monitor $1 ($(cat "$TMP/$1.err"))"
}

has() { grep -qE -- "$2" "$TMP/$1"; }
shows() { wait_until 5 has "$1" "$2" || die "no '$2' in $1: $(cat "$TMP/$1" "$TMP/$1.err")"; }
never() { ! has "$1" "$2" || die "'$2' in $1: $(grep -E -- "$2" "$TMP/$1" | head -n 3)"; }
# count NAME FILTER: JSON objects that it takes
count() { jq -s "map(select($2)) | length" "$TMP/$1"; }

sticky()
{
	service sticky 86 30086 kubia | sed "s/^spec:/&\n  sessionAffinity: ClientIP/"
}

net_up --show-client || die "the network didn't come up"
must services
sticky >>"$TMP/manifests/services.yaml"
apply 1
apply 2
pod=$(pod_ip 1 100)
backend=$(pod_ip 1 11)

# ---- lines: each kind, both families, pods and sockets

equal "$(anybody)" 0 'kinds before anybody listens'
monitor all
reach shell-1 http "$(at $HERE4 80)" kubia-4jfyf
shows all "  new +TCP +$pod:[0-9]+ +$HERE4:80 +$backend:8080 +default/here:http +.*pod.* ingress"
shows all "  closed +TCP +$pod:[0-9]+ +$HERE4:80 +$backend:8080 +default/here:http "
reach shell-1 http "$(at $HERE6 80)" kubia-4jfyf
shows all "  new +TCP +\[$(pod_ip6 1 100)\]:[0-9]+ +\[$HERE6\]:80 "
shows all "  closed +TCP +\[$(pod_ip6 1 100)\]:"
reach shell-1 udp "$(at $HERE4 7)" kubia-4jfyf
shows all "  new +UDP +$pod:[0-9]+ +$HERE4:7 +$backend:5353 "
refused shell-1 http "$(at $EMPTY4 80)" -n 1
shows all "  reject +TCP +$pod:[0-9]+ +$EMPTY4:80 +- +default/empty:http .*no-backend: .*\(frontend.h:[0-9]+\)"
refused shell-1 http "$(at $WEB6 4444)" -n 1
shows all "  reject +TCP .*\[$WEB6\]:4444 .*unknown-port: "
hits shell-1 http "$(at 10.96.200.1 80)" -n 1 --timeout 200 >"$TMP/out" 2>&1
shows all "  drop +TCP +$pod:[0-9]+ +10.96.200.1:80 +- +- .*unallocated: "
must hits shell-1 http "$(at 10.96.0.86 80)" -n 2
shows all "  affinity +TCP +$pod:[0-9]+ +10.96.0.86:80 +10.244.*default/sticky:http .*, chosen"
shows all "  affinity +TCP .*, kept"
must hits client http "$(at "$(node_ip 1)" $THERE_PORT)" -n 1
shows all "  new +TCP +$CLIENT4:[0-9]+ +$(node_ip 1):$THERE_PORT +$(pod_ip 2 11):8080 +default/there:http .*, masqueraded as $(node_ip 1):"
must hits shell-1@1 http "$(at $WEB4 80)" -n 1
shows all "  new +TCP +- +$WEB4:80 +10.244.* +default/web:http +socket"
must hits node:1 http "$(at $WEB6 80)" -n 1
shows all "  new +TCP +.* +\[$WEB6\]:80 +\[fd.* +default/web:http +socket"
service later 87 30087 kubia >>"$TMP/manifests/services.yaml"
apply 1
shows all '  publish .* 4 added, 0 changed, 0 removed; backends: [0-9]+ added'
head -n 1 "$TMP/all" | grep -qE '^TIME +EVENT +PROTO +CLIENT +VIRTUAL +BACKEND +SERVICE +DETAIL$' || die 'no headers'
stop all
[[ ! -s $TMP/all.err ]] || die "monitor said: $(cat "$TMP/all.err")"
equal "$(anybody) $(owners) $(n_rings)" '0 0 0' 'what is left of a monitor that was ended'

# ---- JSON and filters, three at once

monitor drops --event drop,reject -o json
monitor web --service default/web --dst $WEB4 -o json
monitor reason --reason unallocated -n default
equal "$(owners)" 3 'monitors at once'
must hits shell-1 http "$(at $WEB4 80)" -n 4
must hits shell-1 http "$(at $WEB6 80)" -n 4
must hits shell-1 http "$(at $HERE4 80)" -n 1
refused shell-1 http "$(at $EMPTY4 80)" -n 1
hits shell-1 http "$(at 10.96.200.1 80)" -n 1 --timeout 200 >"$TMP/out" 2>&1
shows drops unallocated
stop web TERM
stop drops
stop reason
equal "$(count web 'true') $(count web '.event == "new"')" '8 4' 'events of one Service at one address'
equal "$(count web '.namespace == "default" and .service == "web" and .port == 80
	and .protocol == "TCP" and .virtual == "'"$WEB4"':80" and (.client | startswith("'"$pod"':"))
	and (.backend | endswith(":8080")) and .masqueradedAs == null and .hook != null
	and (.time | test("^20[0-9-]+T[0-9:]+[.][0-9]{6}Z$")) and (.pod | startswith("kubia-"))')" 8 'JSON'
equal "$(count drops '.event == "drop" or .event == "reject"')" "$(count drops true)" 'only drops'
equal "$(jq -r 'select(.event == "reject") | .reason, .file, .service' "$TMP/drops" | paste -sd' ')" \
	'no-backend frontend.h empty' 'a reject'
(($(count drops '.line > 0') > 0)) || die 'no line of the program'
line=$(jq 'select(.event == "reject") | .line' "$TMP/drops")
sed -n "${line}p" "$NET_ROOT/bpf/frontend.h" | grep -q 'SH_REASON_NO_BACKEND' ||
	die "line $line of frontend.h is not where that is rejected"
never reason unallocated # of no Service, and so of no namespace
node_shunt 1 monitor --event new --count 2 >"$TMP/two" &
wait_until 5 listening
must hits shell-1 http "$(at $WEB4 80)" -n 4
wait $! || die 'monitor --count'
equal "$(wc -l <"$TMP/two")" 3 'lines of --count 2, headers included'
must node_shunt 1 monitor --duration 1

# ---- too many, and one that is killed

for i in 1 2 3 4; do
	monitor "m$i" --event drop
done
must_end 3 'has 4 monitors already \(limit SH_LISTENERS_MAX\), processes [0-9, ]+: end one' \
	node_shunt 1 monitor
for i in 2 3 4; do
	stop "m$i"
done
kill -KILL "${MONITOR[m1]}"
wait "${MONITOR[m1]}" 2>/dev/null
listening || die 'the killed monitor is gone already'
sleep 3.5 # SH_LISTENER_EXPIRES_S: nothing but time makes him dead
refused shell-1 http "$(at $EMPTY4 80)" -n 1
hits shell-1 http "$(at 10.96.200.1 80)" -n 1 --timeout 200 >"$TMP/out" 2>&1
silent || die 'the flag of a killed monitor stays'
monitor next --event drop
hits shell-1 http "$(at 10.96.200.1 80)" -n 1 --timeout 200 >"$TMP/out" 2>&1
shows next unallocated
stop next
equal "$(anybody) $(owners) $(n_rings)" '0 0 0' 'what is left of the killed one'

# ---- a flood: what is lost is counted

# Flows that were made: a straggler of a closed connection makes another one.
made() { node_shunt 1 get backends -A -o json | jq '[.. | objects | .connections? // 0] | add'; }

before=$(made)
monitor slow --rate 5 --event new -o json
must hits shell-1 http "$(at $WEB4 80)" -n 300
wait_until 5 grep -q 'lost events: [0-9]* beyond --rate' "$TMP/slow.err" || die 'nothing was lost'
stop slow
lost=$(awk '/lost events/ { n += $5 } END { print n }' "$TMP/slow.err")
equal $((lost + $(count slow true))) $(($(made) - before)) 'events told and lost'
(($(made) >= before + 300)) || die "$(made) flows, of which there were $before before"

# ---- packets

if node_shunt 1 get nodes -o json | jq -e '[.items[] | .. | .tc? | strings | select(. == "tcx")] | length > 0' >/dev/null; then
	monitor pcap --pcap "$TMP/web.pcapng" --service web --event new
	must hits shell-1 http "$(at $WEB4 80)" -n 2
	must hits shell-1 http "$(at $HERE4 80)" -n 1
	must hits client http "$(at "$(node_ip 1)" $WEB_PORT)" -n 8
	sleep 0.5
	stop pcap
	must "$NET_ROOT/tests/tools/pcapng.py" "$TMP/web.pcapng"
	"$NET_ROOT/tests/tools/pcapng.py" "$TMP/web.pcapng" >"$TMP/packets"
	has packets "default/web:80, before translation.* $pod:[0-9]+ > $WEB4:80 " || die 'no packet before'
	has packets "default/web:80, after translation.* $pod:[0-9]+ > 10.244.*:8080 " || die 'no packet after'
	has packets "before translation.* 10.244.*:8080 > $pod:" || die 'no answer before'
	has packets "after translation.* $WEB4:80 > $pod:" || die 'no answer after'
	has packets "before translation.* $CLIENT4:[0-9]+ > $(node_ip 1):$WEB_PORT " || die 'no nodePort before'
	has packets "after translation.* $(node_ip 1):[0-9]+ > 10.244.*:8080 " || die 'no masqueraded packet'
	never packets "$HERE4"
	never packets '10.96.0.81'
	if command -v tcpdump >/dev/null; then
		must tcpdump -nr "$TMP/web.pcapng"
		tcpdump -nr "$TMP/web.pcapng" >"$TMP/dump" 2>/dev/null
		has dump "IP $pod.* > $WEB4.80: Flags \[S\]" || die "tcpdump reads no SYN: $(head -n 3 "$TMP/dump")"
	fi
	net_exec node-1 "$SHUNT" monitor --bpffs "$NET_DIR/bpf/node-1" --pcap - --count 4 >"$TMP/out.pcapng" &
	wait_until 5 listening
	must hits shell-1 http "$(at $WEB6 80)" -n 2
	wait $! || die 'monitor --pcap - --count'
	equal "$("$NET_ROOT/tests/tools/pcapng.py" "$TMP/out.pcapng" | wc -l)" 4 'packets of --count 4'
	equal "$(net_exec node-1 bpftool -j net show dev eth0 | jq '[.. | .name? | strings | select(startswith("shunt_cap"))] | length')" \
		0 'programs that are left of a capture'
fi

# ---- what can't be

must_end 2 'did you mean "unallocated"' node_shunt 1 monitor --reason unalocated
must_end 2 'none of new, closed, drop' node_shunt 1 monitor --event open
must_end 2 'neither an address' node_shunt 1 monitor --src nowhere
must_end 2 'snaplen is for --pcap' node_shunt 1 monitor --snaplen 100
must_end 3 'is loaded at' "$SHUNT" monitor --bpffs "$NET_DIR/bpf/none"
monitor gone
must node_shunt 1 reset
wait "${MONITOR[gone]}"
equal $? 3 'exit status of a monitor whose instance is gone'
shows gone.err 'is gone, or was replaced'
