#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `make bench`, short: every part runs, every connection is answered, and no
# figure is one that nothing could explain. How fast anything is, it doesn't say.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

for tool in nft iptables gnuplot; do
	command -v "$tool" >/dev/null || skip "$tool is missing: scripts/deps --bench"
done
[[ -x $B/tests/bench/cores ]] || die "$B/tests/bench/cores is not built: make test-system"
results=$TMP/results

# holds FILTER WHAT: of bench.json
holds()
{
	jq -e "$1" "$results/bench.json" >/dev/null ||
		die "$2: $(jq -c "${3:-.}" "$results/bench.json" | head -c 2000)"
}

export QUICK=1 ROUNDS=2 SERVICES=100 SECONDS_EACH=0.03
PREFIX=$PREFIX-b "$NET_ROOT/tests/bench/run" --out "$results" \
	paths cost cores spread >"$TMP/said" 2>&1 || die "ended with $?: $(tail -n 20 "$TMP/said")"

# Scenes × what × contenders: 2 × 4 × 5 + 2 × 4 × 6.
holds '.paths.rows | length == 88' 'rows of whole paths' '.paths.rows | length'
holds '.paths.rows | all(.failed == 0 and .rounds == 2 and (.ok > 20 or .bytes > 100000))' \
	'not all connections were answered' '.paths.rows | map(select(.failed > 0 or .ok <= 20))'
holds '.paths.rows | map(select(.contender == "direct" and (.ratio.median - 1 | fabs) > 1e-9)) == []' \
	'the direct way beside itself'
holds '.paths.rows | map(select(.what != "stream")) |
	map(select(.contender | test("shunt|again"))) | all(.ratio.median > 0.5 and .ratio.median < 2)' 'a ratio out of all proportion' \
	'[.paths.rows[] | { scene, what, contender, ratio: .ratio.median }]'
holds '.cost.points | length == 5 and all(.rows | length >= 3)' 'cost against size' .cost
holds '.spread.rows | map({ (.name): .variation }) | add |
	.["equal/least-conn"] < .["equal/random"] and .["weighted/least-conn"] < .["weighted/random"]' \
	'least-conn spreads no better than chance' '.spread.rows | map({ name, variation })'
holds '.spread.rows | all(.failed == 0 and ([.backends[].live] | add) == .live)' 'spread' .spread
if (($(nproc) > 1)); then
	holds '.cores.rows | map(select(.name == "own flows" and .median > 0.5)) | length == 1' \
		'two processors' .cores
fi
for plot in paths cost-services cost-flows cost-endpoints spread; do
	grep -q '</svg>' "$results/$plot.svg" || die "no plot $plot.svg"
	(($(stat -c %s "$results/$plot.svg") < 60000)) || die "$plot.svg is too large for docs/plots"
done
grep -q '^| shunt | ' "$results/bench.txt" || die "no table in $(head -n 20 "$results/bench.txt")"

said=$("$NET_ROOT/tests/bench/run" nothing-of-it 2>&1)
equal "$? ${said%%:*}" '2 usage' 'a part that there is not'
