#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The API server is away for AWAY_S seconds (10; a minute and more are as well)
# while the cluster changes: traffic goes on, and the changes come once it is back.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

AWAY_S=${AWAY_S:-10}

agent_bring_up
loads_begin
agent_heard
begin=$SECONDS
api down
for number in 1 2 3; do
	put_slices there "$number/9" # passing states, of which nobody is to see anything
done
put_slices there 2/12
api delete services here >/dev/null
api delete endpointslices here-ipv4 >/dev/null
api delete endpointslices here-ipv6 >/dev/null
api_service new 84 30084 | api put - >/dev/null
put_slices new 1/12

# What was known goes on, and the agent says what is the matter.
while ((SECONDS - begin < AWAY_S)); do
	reach shell-1 http "$(at $THERE4 80)" kubia-q5n8d -n 16
	reach client http "$(at "$(node_ip 1)" $HERE_PORT)" kubia-4jfyf -n 16
	agent_get /livez >/dev/null || die 'the agent is not alive'
	sleep 0.5
done
agent_said "${API_AT%:*}" >/dev/null || die "not a word: $(tail -n 5 "$AGENT_LOG")"
(($(tail -n "+$AGENT_HEARD" "$AGENT_LOG" | wc -l) <= 20 + AWAY_S)) ||
	die "too many words: $(tail -n 20 "$AGENT_LOG")"

api up
soon 35 reach shell-1 http "$(at $THERE4 80)" kubia-x2k9p
soon 35 reach shell-1 http "$(at 10.96.0.84 80)" kubia-mc7sx
soon 10 refused client http "$(at "$(node_ip 1)" $HERE_PORT)"
loads_end
