#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Connections end, versions and continue tokens expire: the agent resumes where it
# can and lists again where it must, and withdraws nothing meanwhile.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

agent_bring_up
loads_begin

# The connections end: what happened meanwhile is caught up with by resuming.
before=$(api_stat .lists)
api down
put_slices there 2/12
api delete services here >/dev/null
api up
soon 10 reach shell-1 http "$(at $THERE4 80)" kubia-x2k9p
soon 5 refused client http "$(at "$(node_ip 1)" $HERE_PORT)"
equal "$(api_stat .lists)" "$before" 'lists after connections that ended'

# The version that the agent has is expired: 410 in the watch, and a list again, slowly.
api down
put_slices there 1/11
api_service here 81 "$HERE_PORT" | api put - >/dev/null
api delete services empty >/dev/null
api compact
api fault services list slow 1500 times=1
api fault endpointslices list slow 1500 times=1
api up
soon 25 reach shell-1 http "$(at $THERE4 80)" kubia-4jfyf
soon 10 reach shell-1 http "$(at $HERE4 80)" kubia-4jfyf
soon 5 refused client http "$(at "$(node_ip 1)" $EMPTY_PORT)"
(($(api_stat .lists) > before)) || die 'nothing was listed again after 410'

# A continue token expires in the middle of a list.
api gen 1200 1
soon 20 services_are 1203
api compact
api expire-continue 1
before=$(api_stat '.statuses["410"]')
api close
put_slices there 2/11
soon 25 reach shell-1 http "$(at $THERE4 80)" kubia-q5n8d
(($(api_stat '.statuses["410"]') > before)) || die 'no continue token was refused'
services_are 1203
reach shell-1 http "$(at $WEB4 80)" "$ALL"

# The server is overloaded: its Retry-After is kept to.
api compact
api fault services list status 429 retry-after=2 times=1
api reset-stats
api close
soon 5 api_stat_is '.statuses["429"]' 1
soon 15 api_stat_is '.watching.services' 1
loads_end
