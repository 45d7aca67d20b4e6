#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A server that is slow is waited for, and the agent does its other work meanwhile;
# one that says nothing at all any more is left within 40 s.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

net_up --show-client || die "the network didn't come up"
api_up --token first
api fault services list slow 1000 times=1
api fault endpointslices list slow 1000 times=1
agent_start
soon 5 agent_get /livez
soon 30 reach shell-1 http "$(at $WEB4 80)" "$ALL"
loads_begin

# Bytes in drips, in a watch too.
api fault '*' watch slow 400
api close
put_slices there 2/12
soon 30 reach shell-1 http "$(at $THERE4 80)" kubia-x2k9p
for _ in {1..20}; do
	took=$(net_exec node-1 curl -fsS -m 2 -o /dev/null -w '%{time_total}' \
		http://127.0.0.1:10256/livez) || die '/livez is late'
	sleep 0.1
done
printf 'livez after %s s\n' "$took"
api clear-faults

# Half-open: nobody reads, nobody writes, nobody closes.
api close
soon 20 api_stat_is '.watching.endpointslices' 1
api freeze
begin=$SECONDS
put_slices there 2/11
soon 45 reach shell-1 http "$(at $THERE4 80)" kubia-q5n8d
printf 'noticed after %s s\n' "$((SECONDS - begin))"
((SECONDS - begin <= 41)) || die "a half-open connection noticed after $((SECONDS - begin)) s"
loads_end
