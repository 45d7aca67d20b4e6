#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What `shunt status` and `shunt doctor` say of an agent: alive, killed, ended; its
# last sync, the API that is away; with its ports off as well.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

state=$NET_DIR/state/node-1
status() { node_shunt 1 status --state "$state" "$@"; }
# says FILTER: of the status as JSON it is true
says() { status -o json | jq -e "$1"; }

agent_bring_up

soon 5 says ".agent | .running and .ready and .pid == $AGENT_PID and .node == \"node-1\" and .source == \"cluster\" and .from == \"https://$API_AT\""
soon 5 says '.agent.api | length >= 3 and all(.state == "watching" and .lastError == "")'
soon 5 says ".lockHolder == $AGENT_PID and (now * 1000 - .agent.lastSyncMs) < 60000"
said=$(status)
[[ $said == *"agent       pid $AGENT_PID, cluster https://$API_AT, all in force"*'last sync '*' ago; 0 failed'* ]] ||
	die "status: $said"

# The options that it goes by count for the doctor, too; a cluster's objects are nowhere here,
# but the kernel tells who has nobody.
findings=$(node_shunt 1 doctor --state "$state" -o json)
equal "$(jq -r '.findings[] | select(.level != "note") | "\(.check) \(.object)"' <<<"$findings" | sort -u)" \
	'endpoints Service default/empty' "the doctor: $findings"

# A change is a sync; the file is written once a second at most.
before=$(status -o json | jq .agent.lastSyncMs)
put_slices there 2/12
soon 5 says ".agent.lastSyncMs > $before"
equal "$(stat -c %a "$state/agent.json")" 600 "the file's mode"

api down
soon 20 says '.agent.running and any(.agent.api[]; .state == "waiting" and .lastError != "")'
api up
soon 40 says '.agent.api | all(.state == "watching")'

# Killed, it can't say so: the lock does. Then the next one takes over.
agent_end KILL
says '.loaded and (.agent.running | not) and .lockHolder == 0' >/dev/null || die "killed: $(status)"
[[ $(status) == *'the last one ended without a word, its last sync was '* ]] || die "killed: $(status)"
agent_start --healthz-bind-address '' --metrics-bind-address ''
soon 15 says ".agent | .running and .ready and .pid == $AGENT_PID"
agent_end TERM
says '.loaded and (.agent.running | not) and (.agent | has("pid") | not)' >/dev/null || die "ended: $(status)"
[[ ! -e $state/agent.json ]] || die 'agent.json is left'
must node_shunt 1 reset
[[ ! -e $state ]] || die "left: $(ls -la "$state")"
