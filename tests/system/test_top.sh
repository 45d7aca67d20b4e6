#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `shunt top` in a real terminal: who has most of what, order, filter, backends and their bars,
# narrow and resized windows, a changing instance, every way to end; and the snapshot without one.
# All of it is read from the pins; an agent runs only for a moment.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

command -v tmux >/dev/null || skip 'tmux is not installed'

tm() { LC_ALL=C.UTF-8 tmux -L "$PREFIX" -f /dev/null "$@"; }
stop_tmux() { tm kill-server 2>/dev/null; }
trap 'status=$?; stop_tmux; (exit $status); cleanup' EXIT

screen() { tm capture-pane -p -t top; }
keys() { tm send-keys -t top "$@"; }
has() { screen | grep -qE -- "$1"; }
lacks() { ! has "$1"; }
shows() { wait_until 10 has "$1" || die "no '$1' on the screen: $(screen)"; }
gone() { wait_until 10 lacks "$1" || die "'$1' stays on the screen: $(screen)"; }

# The first row of the list, and whether it begins like this.
first_row() { screen | awk 'found { print; exit } /^(SERVICE|BACKEND) / { found = 1 }'; }
first_is() { [[ $(first_row) =~ ^$1 ]]; }
on_top() { wait_until 10 first_is "$1" || die "'$1' is not on top: $(screen)"; }

# top_begin [VARIABLE=VALUE…] [OPTION…]: in the pane's shell; `stty` before and behind it
top_begin()
{
	local variables=()

	while [[ ${1:-} == *=* && $1 != -* ]]; do
		variables+=("$1")
		shift
	done
	cat >"$TMP/session" <<-END
		clear
		stty -g >$TMP/stty.before
		env ${variables[*]} nsenter --net=$(net_ns node-1) $SHUNT top --bpffs $NET_DIR/bpf/node-1 \\
			--state $NET_DIR/state/node-1 -d 0.5 $*
		echo ended=\$?
		stty -g >$TMP/stty.after
	END
	keys "bash $TMP/session" Enter
}

# top_ended: well, and the terminal is as it was
top_ended()
{
	shows '^ended=0$'
	wait_until 5 test -s "$TMP/stty.after" || die 'no shell behind top'
	equal "$(<"$TMP/stty.after")" "$(<"$TMP/stty.before")" 'stty -g'
	lacks '^SERVICE ' || die "the list is left on the terminal: $(screen)"
	rm "$TMP/stty.after"
}

top_pid() { pgrep -f "^$SHUNT top --bpffs $NET_DIR/bpf/node-1 "; }
top_runs() { [[ $(top_pid) ]]; }

snapshot() { node_shunt 1 top -d 0.5 --state "$NET_DIR/state/node-1" "$@" </dev/null; }

# ---- nothing is loaded: as `get` says it

must_end 3 'nothing of shunt is loaded at' "$SHUNT" top -b --bpffs /sys/fs/bpf/"$PREFIX"
must_end 2 'number of seconds' "$SHUNT" top -d 0
must_end 2 'NAMESPACE/NAME' "$SHUNT" top --service a/b/c
must_end 2 'exclude each other' "$SHUNT" top -A -n shop

bring_up
refusals()
{
	while :; do
		hits shell-1 http "$(at $EMPTY4 80)" -n 1 >/dev/null 2>&1
		sleep 0.02
	done
}
# web has the connections, here the packets.
load web shell-1 http "$(at $WEB4 80)" --interval 10
load here shell-1 http "$(at $HERE4 80)" --interval 200
load kept shell-1 http "$(at $HERE4 80)" --interval 1 -c 4 --keep
refusals &
refusals=$!
trap 'status=$?; kill $refusals; stop_tmux; (exit $status); cleanup' EXIT

# ---- without a terminal

must snapshot
snapshot >"$TMP/plain"
grep -qE '^flows [0-9]+ live, table [0-9]+ of [0-9]+; ' "$TMP/plain" || die "no summary: $(<"$TMP/plain")"
grep -qE '^drops .*/s: no-backend ' "$TMP/plain" || die "no drops: $(<"$TMP/plain")"
grep -q 'no agent' "$TMP/plain" || die 'an agent is told of'
awk '$1 == "NAMESPACE" { getline; print $2 }' "$TMP/plain" | grep -qx web || die "web is not first: $(<"$TMP/plain")"
snapshot -o json >"$TMP/json"
rates=$(jq '[.items[] | select(.name == "web")][0] | .connectionsPerSecond > 20 and
	.packetsPerSecond > .connectionsPerSecond and .bytesPerSecond > .packetsPerSecond' "$TMP/json")
equal "$rates" true "rates of web in $(jq -c '.items[] | select(.name == "web")' "$TMP/json")"
equal "$(jq '[.items[] | select(.name == "empty")][0].dropsPerSecond > 1' "$TMP/json")" true 'drops of empty'
equal "$(jq '[.items[] | select(.name == "there")][0].connectionsPerSecond == 0' "$TMP/json")" true 'nobody calls there'
equal "$(snapshot --service web -o json |
	jq '[.items[] | select(.connectionsPerSecond > 0 and .protocol == "TCP")] | length')" 4 'busy backends of web'
equal "$(snapshot -n elsewhere | grep -c '^default\|^web')" 0 'rows of another namespace'
must_end 1 'service "nobody" not found in any namespace' snapshot --service nobody
snapshot | head -n 1 >/dev/null

# ---- on a terminal: order

must tm new-session -d -s top -x 110 -y 24 'PS1="shell> " exec bash --norc --noprofile'
keys "export LANG=C.UTF-8 LC_ALL=C.UTF-8" Enter
top_begin
shows '^SERVICE +CONN/S +PKT/S +BYTES/S +FLOWS +DROPS/S +BACKENDS'
on_top 'default/web +[1-9]'
screen | grep -qE '^drops [0-9.]+/s: no-backend' || shows '^drops [0-9.]+/s: no-backend'
shows '^default/empty +0 +0 +0 +0 +[1-9.]+ +0/0'
keys p
on_top 'default/here '
keys x
on_top 'default/empty '
keys c
on_top 'default/web '
keys '>' # the next column: packets
on_top 'default/here '
keys '<'
on_top 'default/web '
keys N
on_top 'default/empty '
keys r
on_top 'default/web '
shows 'by SERVICE reversed'
keys c

# ---- what is narrowed, and the help

keys /
keys -l 'her'
gone '^default/(web|empty)'
shows '^Filter .*: her_'
shows '^default/here '
keys Enter
shows '^2 Services with her'
keys Escape
shows '^default/web '
keys n
keys -l nowhere
keys Enter
shows '^\(no Services\)'
keys n BSpace BSpace BSpace BSpace BSpace BSpace BSpace Enter
shows '^default/web '
keys h
shows 'by connections, packets, bytes, live flows'
keys x
shows '^SERVICE '
keys ' '
shows 'PAUSED'
keys ' '
gone 'PAUSED'
keys d
keys -l '0.2'
keys Enter
shows 'over 0\.[23] s'
keys d
keys -l 'soon'
keys Enter
shows 'not a number of seconds from 0.1 to 3600'

# ---- backends, by the row that the cursor is on

on_top 'default/web '
keys Enter
shows '^Backends of default/web, by CONN/S'
shows '^10\.244\.[12]\.1[12]:8080 .*ready .* +[1-9][0-9.]* +(█|▏|▎|▍|▌|▋|▊|▉)+ .*[0-9]+%'
keys r
on_top '10.244.1.11:5353 +7/UDP.* 0 +0%'
keys Escape
shows '^SERVICE '
keys Home p
on_top 'default/here '
keys Enter
shows '^Backends of default/here, '
shows '^10\.244\.1\.11:8080 .*100%'
keys q
shows '^SERVICE '
keys c
on_top 'default/web '
keys N # the cursor has stayed with the Service
keys Enter
shows '^Backends of default/here, '
keys BSpace
shows '^SERVICE '

# ---- another size: narrow ones keep what matters

tm resize-window -t top -x 46 -y 12
gone 'BYTES/S'
shows '^SERVICE +CONN/S '
shows '^default/web +[1-9]'
tm resize-window -t top -x 20 -y 4
shows '^default/'
tm resize-window -t top -x 160 -y 40
shows 'DROPS/S +BACKENDS'
shows '^default/there '
keys c
on_top 'default/web '
keys Home Enter
shows ' POD +NODE'
shows 'kubia-4jfyf +node-1'
keys Escape

# ---- the instance changes below it

service fresh 87 30087 kubia >>"$TMP/manifests/services.yaml"
apply 1
shows '^default/fresh '
must node_shunt 1 reset
shows '^no sample: nothing of shunt is loaded'
apply 1
gone '^no sample'
on_top 'default/web +[1-9]'
equal "$(screen | grep -cE '^default/.* [0-9.]+[GTPE]')" 0 'giant numbers after the instance was made anew'
agent_start --manifests "$TMP/manifests"
shows '  agent pid [0-9]+  '
on_top 'default/web +[1-9]'
agent_end TERM
shows '  no agent  '
keys q
top_ended

# ---- ends, and other terminals

top_begin LC_ALL=C NO_COLOR=1 --service default/web
shows '^10\.244\.[12]\.1[12]:8080 .*#+\.* +[0-9]+%'
lacks '█' || die 'UTF-8 on a terminal without'
equal "$(tm capture-pane -e -p -t top | grep -c $'\033\[3[1-6]m')" 0 'colours in spite of NO_COLOR'
keys q q
top_ended
top_begin
shows '^SERVICE '
tm capture-pane -e -p -t top | grep -q $'\033\[3[1-6]m' || die 'no colours'
keys C-c
top_ended
for signal in TERM HUP INT; do
	top_begin
	shows '^SERVICE '
	must kill -"$signal" "$(top_pid)"
	top_ended
done
top_begin TERM=no-such
shows 'terminal of the type "no-such"'
shows '^ended=3$'
top_begin
wait_until 10 top_runs || die 'no top'
shows '^SERVICE '
tm kill-server
wait_until 5 eval '! top_runs' || die 'top outlives its terminal'

kill $refusals
for entry in "${LOADS[@]}"; do
	pkill -P "${entry##* }"
done
