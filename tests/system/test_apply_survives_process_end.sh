#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What `apply` has put into the kernel goes on without a process, and a second
# `apply` of the same changes nothing.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

bring_up
pgrep -f -- "--bpffs $NET_DIR" && die 'a shunt process is left'
reach shell-1 http "$(at $WEB4 80)" "$ALL"
reach node:1 http "$(at $WEB6 80)" "$ALL"
reach client http "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"

# A connection that goes on over it.
hold shell-1 "$(at $WEB4 80)"
before=$HELD_ANSWER
kernel_objects 1 >"$TMP/before"
apply 1
kernel_objects 1 >"$TMP/after"
diff "$TMP/before" "$TMP/after" || die 'the second apply has replaced programs, maps or links'
ask_held || die 'the connection did not outlive the second apply'
equal "$HELD_ANSWER" "$before" 'the connection is answered by'
reach shell-1 http "$(at $WEB4 80)" "$ALL"

# A command that fails changes nothing either.
must_end 1 . node_shunt 1 apply -f /nonexistent --node-name node-1
reach shell-1 http "$(at $WEB4 80)" "$ALL"
