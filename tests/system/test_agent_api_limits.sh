#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Answers without measure: a page of a million objects, one that never ends, a string
# that never ends. Each is refused with the limit's name, in bounded memory.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

PEAK_KB=300000

bounded()
{
	local peak

	peak=$(agent_peak_kb) || die "$1: the agent is gone: $(tail -n 12 "$AGENT_LOG")"
	((peak < PEAK_KB)) || die "$1: the agent held $peak kB"
}

# refused_answer WHAT: the agent has hung up on it, and what was known stays
refused_answer()
{
	soon 30 given_up
	bounded "$1"
	reach shell-1 http "$(at $WEB4 80)" "$ALL"
	reach shell-1 http "$(at $HERE4 80)" kubia-4jfyf
	api clear-faults
	api reset-stats
	printf 'over %s\n' "$1"
}

given_up() { (($(api_stat .given_up) > 0)); }

agent_bring_up
loads_begin

for fault in 'endless 1000000' endless endless-string; do
	api compact
	# shellcheck disable=SC2086 # words
	api fault services list $fault
	api close
	refused_answer "$fault"
	put_slices there 1/12
	soon 30 reach shell-1 http "$(at $THERE4 80)" kubia-mc7sx
	put_slices there 2/11
	soon 10 reach shell-1 http "$(at $THERE4 80)" kubia-q5n8d
done
agent_said 'services: .*limit of' >/dev/null || die "no limit is named: $(tail "$AGENT_LOG")"

# One event that never ends.
api fault endpointslices watch endless-string
api close
refused_answer 'an endless event'
soon 5 agent_said 'endpointslices: .*limit of'
put_slices there 1/12
soon 30 reach shell-1 http "$(at $THERE4 80)" kubia-mc7sx
loads_end
agent_end TERM

# The same at the start, when nothing is known yet.
must node_shunt 1 reset
api fault services list endless 1000000 times=1
agent_start
soon 30 reach shell-1 http "$(at $WEB4 80)" "$ALL"
bounded 'a million objects at the start'
soon 5 services_are 4
