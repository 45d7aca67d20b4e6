#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# docs/semantics.md, point by point: every packet test of tests/conformance holds.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

limit_ms=60000
dir=$NET_ROOT/tests/conformance

((EUID == 0)) || skip 'BPF_PROG_TEST_RUN needs root'
[[ -x $SHUNT ]] || die "$SHUNT is not built: make"

# The points that packet tests can prove, each by a file of its number at least.
for point in 01 02 03 04 05 07 08 09 10 11 12 13 14 15 16 17 18 19 20 25; do
	compgen -G "$dir/$point-*.test.yaml" >/dev/null || die "no packet test of point $point"
done

start=${EPOCHREALTIME/[.,]/}
ended=0
"$SHUNT" test -o json "$dir" >"$TMP/out" 2>"$TMP/err" || ended=$?
took_ms=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
if ((ended)); then
	jq -r 'select(.ok | not) | "\(.file): \(.flow): \(.message)"' "$TMP/out"
	cat "$TMP/err"
	die "shunt test ended with $ended"
fi
flows=$(cat "$dir"/*.test.yaml | grep -cE "^  - \{name: ")
equal "$(jq -s 'map(select(.ok)) | length' "$TMP/out")" "$flows" 'flows that hold'
printf '%d flows took %d ms\n' "$flows" "$took_ms"
((took_ms < limit_ms)) || die "took $took_ms ms, not less than $limit_ms"

# Point 25: what can't be translated is refused when it is loaded.
must_end 1 '25-refused.yaml:8:[0-9]+: spec.ports\[0\].targetPort: 9132 is not port 132: SCTP' \
	"$SHUNT" check -f "$dir/25-refused.yaml"
must_end 1 '25-refused-name.yaml:10:[0-9]+: .*: endpoint 10.244.1.12:9132 has another port than 132/SCTP' \
	"$SHUNT" check -f "$dir/25-refused-name.yaml"
