#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Under an open stream of connections the instance is taken over by shunts whose maps
# have another layout, or another size, and by such that are killed while they do it:
# no connection fails, none is reset, no datagram is lost.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

VARIANTS=$B/layouts

# ---- shunts of other layouts

# Of every kind: maps that are converted, that a publish fills, that come with others.
MOVED='FRONTENDS|BACKENDS|FLOWS4|FLOWS6|NODEADDRS|DEVICES|SOCKETS|AFFINITY|FRAGS'

# maps_moved: maps.h, whose fields stand in another order
maps_moved()
{
	sed -E '
		/^struct sh_flow \{/,/^\}/ {
			s/^\t__u16 addr_delta, l4_delta;/\t__u32 packets;/; t
			s/^\t__u32 packets;/\t__u16 addr_delta, l4_delta;/
		}
		/^struct sh_backend \{/,/^\}/ {
			s/^\t__u32 id;.*/\t__u32 service;/; t
			s/^\t__u32 service;/\t__u32 id;/
		}
		/^struct sh_socket \{/,/^\}/ {
			s/^\t__u32 backend;.*/\t__u32 service;/; t
			s/^\t__u32 service;/\t__u32 backend;/
		}
		/^struct sh_affinity \{/,/^\}/ {
			s/^\t__u64 jiffies;.*/\t__u32 backend;/; t
			s/^\t__u32 backend;.*/\t__u32 pad;/; t
			s/^\t__u32 pad;/\t__u64 jiffies;/
		}
		/^struct sh_frontend \{/,/^\}/ {
			s/^\tstruct sh_table cluster;/\tstruct sh_table local;/; t
			s/^\tstruct sh_table local;/\tstruct sh_table cluster;/
		}
		/^struct sh_config \{/,/^\}/ s/^\}/\t__u64 added;\n}/' "$NET_ROOT/include/shunt/maps.h"
}

# numbered LAYOUT: of the maps that are others
numbered() { sed -E "s/X\(($MOVED), [0-9]+\)/X(\1, $1)/"; }

# old_struct NAME: as old_NAME, of the maps.h on stdin
old_struct()
{
	sed -n -E "/^struct sh_$1 \{/,/^\}/p" | sed -E 's/struct sh_(flow|flow6|backend|socket|affinity) /struct old_\1 /'
}

# released MAPS_H LAYOUT…: reads elements as MAPS_H has them, which were of these layouts
released()
{
	local maps=$1 layout name
	shift

	printf '#include <string.h>\n'
	for name in flow flow6 backend socket affinity; do
		old_struct "$name" <"$maps"
	done
	cat <<-'END'
		#define FIELD(name) memcpy(&n->name, &o->name, sizeof(n->name))
		static void flow(const struct old_flow *o, struct sh_flow *n)
		{
			FIELD(saddr); FIELD(daddr); FIELD(sport); FIELD(dport); FIELD(proto);
			FIELD(direction); FIELD(flags); FIELD(epoch);
			FIELD(to_saddr); FIELD(to_daddr); FIELD(to_sport); FIELD(to_dport);
			FIELD(addr_delta); FIELD(l4_delta); FIELD(backend); FIELD(packets); FIELD(bytes);
			FIELD(mtu); FIELD(ifindex); FIELD(dmac); FIELD(smac);
		}
		static void flow4(const void *from, void *to) { flow(from, to); }
		static void flow6(const void *from, void *to)
		{
			const struct old_flow6 *o = from;
			struct sh_flow6 *n = to;

			flow(&o->f, &n->f);
			FIELD(saddr); FIELD(daddr); FIELD(to_saddr); FIELD(to_daddr);
		}
		static void backend(const void *from, void *to)
		{
			const struct old_backend *o = from;
			struct sh_backend *n = to;

			FIELD(addr); FIELD(id); FIELD(service); FIELD(port); FIELD(flags);
			FIELD(weight); FIELD(node); FIELD(live); FIELD(generation);
			FIELD(connections); FIELD(packets); FIELD(bytes);
		}
		static void socket_of(const void *from, void *to)
		{
			const struct old_socket *o = from;
			struct sh_socket *n = to;

			FIELD(virt); FIELD(port); FIELD(flags); FIELD(backend); FIELD(service);
			FIELD(netns);
		}
		static void affinity(const void *from, void *to)
		{
			const struct old_affinity *o = from;
			struct sh_affinity *n = to;

			FIELD(jiffies); FIELD(backend);
		}
		#define RELEASED_LAYOUTS \
	END
	for layout in "$@"; do
		printf '{ DP_MAP_FLOWS4, %s, NULL, flow4 }, { DP_MAP_FLOWS6, %s, NULL, flow6 },' \
			"$layout" "$layout"
		printf '{ DP_MAP_BACKENDS, %s, NULL, backend }, { DP_MAP_SOCKETS, %s, NULL, socket_of },' \
			"$layout" "$layout"
		printf '{ DP_MAP_AFFINITY, %s, NULL, affinity },' "$layout"
	done
	printf '\n'
}

# Put stdin into FILE unless that says so already: what depends on it isn't built again.
keep_file()
{
	mkdir -p "${1%/*}" && cat >"$1.new" || return
	if cmp -s "$1" "$1.new"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}

# variant LAYOUT: a shunt from this very tree, but for two headers
variant()
{
	local dir=$VARIANTS/$1

	# CFLAGS and CLANG come before the tree's own -I.
	make -C "$NET_ROOT" B="$dir/build" CFLAGS="-O1 -g0 -I$dir/include" \
		CLANG="${CLANG:-clang-19} -I$dir/include" "$dir/build/shunt"
}

# Layout 2 takes over from the shunt that is tested, which has 1, and from 3; 3 from 2 only.
make_variants()
{
	maps_moved | numbered 2 | keep_file "$VARIANTS/2/include/shunt/maps.h" &&
		numbered 3 <"$NET_ROOT/include/shunt/maps.h" |
		keep_file "$VARIANTS/3/include/shunt/maps.h" &&
		released "$VARIANTS/3/include/shunt/maps.h" 1 3 |
		keep_file "$VARIANTS/2/include/dataplane/released.h" &&
		released "$VARIANTS/2/include/shunt/maps.h" 2 |
		keep_file "$VARIANTS/3/include/dataplane/released.h" || return
	! cmp -s "$VARIANTS/2/include/shunt/maps.h" "$VARIANTS/3/include/shunt/maps.h" &&
		variant 2 && variant 3
}

# ---- taking over

# as LAYOUT COMMAND…: with the shunt of that layout
as()
{
	# shellcheck disable=SC2034 # for those who are called
	local SHUNT=$VARIANTS/$1/build/shunt
	shift

	"$@"
}

map_id() { bpftool -j map show pinned "$NET_DIR/bpf/node-1/shunt_$1" | jq .id; }

# Nothing of an unfinished takeover is there, and what is attached is what is pinned.
check_whole()
{
	local dir=$NET_DIR/bpf/node-1 pin pinned attached

	equal "$(find "$dir" -name 'shunt_next_*')" '' "$1: left over"
	pinned=$(for pin in "$dir"/progs/*; do
		bpftool -j prog show pinned "$pin" | jq .id
	done | sort)
	attached=$(for pin in "$dir"/links/*; do
		bpftool -j link show pinned "$pin" | jq .prog_id
	done | sort -u)
	equal "$(comm -13 <(cat <<<"$pinned") <(cat <<<"$attached"))" '' "$1: attached, but not pinned"
	((${#attached} > 20)) || die "$1: hardly anything is attached: $attached"
}

# takeover_is_done ID: the flows' map is another one, and the last pin is in its place
takeover_is_done() { [[ $(map_id flows4) != "$1" && ! -e $NET_DIR/bpf/node-1/shunt_next_control ]]; }

# takes_over LAYOUT [OPTION…]: it does, and has new maps then
takes_over()
{
	local layout=$1 flows
	shift

	flows=$(map_id flows4)
	as "$layout" apply 1 "$@"
	[[ $(map_id flows4) != "$flows" ]] || die "layout $layout $*: the flows stayed where they were"
	check_whole "layout $layout $*"
	must as "$layout" node_shunt 1 get flows
	as "$layout" node_shunt 1 get services -A -o json | jq -e '.items | length > 0' >/dev/null ||
		die "layout $layout: lists no Service"
}

# killed LAYOUT MS [begun]: after so long, wherever it is then; from when new maps are pinned on
killed()
{
	local pid

	as "$1" node_apply 1 -f "$TMP/manifests" "${APPLY[@]}" >/dev/null 2>&1 &
	pid=$!
	if [[ ${3:-} ]]; then
		until [[ -e $NET_DIR/bpf/node-1/shunt_next_control ]] || net_gone "$pid"; do
			:
		done
	fi
	sleep "$(printf '0.%03d' "$2")"
	pkill -KILL -P "$pid" 2>/dev/null # the child of a subshell
	wait "$pid" 2>/dev/null
	[[ ! ${VERBOSE:-} ]] || printf '%s ms: %s new maps, %s links behind\n' "$2" \
		"$(find "$NET_DIR/bpf/node-1" -maxdepth 1 -name 'shunt_next_*' | wc -l)" \
		"$(find "$NET_DIR/bpf/node-1/links" -name 'shunt_next_*' | wc -l)"
	return 0
}

# Few new connections by masquerading: a backend that closed one remembers its port for a minute.
begin_loads()
{
	load pod shell-1 http "$(at $WEB4 80)" --interval 5
	load pod6 shell-1 http "$(at $WEB6 80)" --interval 10
	load udp shell-1 udp "$(at $WEB4 7)" --interval 10
	load node node:1 http "$(at $WEB4 80)" --interval 20
	load node-udp node:1 udp "$(at $WEB4 7)" --interval 10
	load outside client http "$(at "$(node_ip 1)" "$WEB_PORT")" --interval 60
	load outside6 client http "$(at "$(node_ip6 1)" "$WEB_PORT")" --interval 60
	load outside-udp client udp "$(at "$(node_ip 1)" "$WEB_PORT")" --interval 20
	load pod-kept shell-1 http "$(at $WEB4 80)" --interval 10 -c 8 --keep
	load pod6-kept shell-1 http "$(at $WEB6 80)" --interval 10 -c 8 --keep
	load udp-kept shell-1 udp-connected "$(at $WEB4 7)" --interval 10 -c 8 --keep
	load node-kept node:1 http "$(at $WEB4 80)" --interval 20 -c 4 --keep
	load node-udp-kept node:1 udp-connected "$(at $WEB6 7)" --interval 20 -c 4 --keep
	load outside-kept client http "$(at "$(node_ip 1)" "$WEB_PORT")" --interval 10 -c 8 --keep
	load outside6-kept client http "$(at "$(node_ip6 1)" "$WEB_PORT")" --interval 10 -c 8 --keep
}

said=$(make_variants 2>&1) || die "the variants can't be built: $(tail -n 20 <<<"$said")"
bring_up
begin_loads
hold shell-1 "$(at $WEB4 80)"

# Whoever can't read a layout says so and changes nothing.
must_end 3 'was made by a shunt of another map layout \(shunt_frontends: 1, this one has 2\)' \
	as 2 node_shunt 1 get services
takes_over 2
must_end 3 'shunt_backends has layout 2, which this shunt \(layout 1\)' node_apply 1 -f "$TMP/manifests"
must_end 3 'another map layout' node_shunt 1 get services
check_whole 'after a refusal'

for layout in 3 2 3; do
	sleep 0.5
	takes_over "$layout"
done

# Maps of another size, and back.
APPLY=(--max-flows4 65536 --max-backends 4096 --max-sockets 32768)
takes_over 3
APPLY=(--max-flows4 131072 --max-slots 65536)
takes_over 2
APPLY=()

layout=2
for i in {1..14}; do
	layout=$((5 - layout))
	if ((i % 3)); then
		killed "$layout" $((RANDOM % 250)) begun
	else
		killed "$layout" $((RANDOM % 900))
	fi
	sleep 0.2
	as "$layout" apply 1
	check_whole "layout $layout after kill $i"
done

# The same by agents. Two start where the one before was killed.
for end in KILL TERM KILL; do
	layout=$((5 - layout))
	flows=$(map_id flows4)
	# shellcheck disable=SC2119 # agent_start's own options come after these
	as "$layout" agent_start --manifests "$TMP/manifests" --state "$NET_DIR/state/node-1"
	soon 20 agent_get /healthz
	wait_until 10 takeover_is_done "$flows" || die "layout $layout: the agent doesn't take over"
	check_whole "layout $layout by an agent"
	sleep 0.3
	agent_end "$end"
done

ask_held || die 'the held connection was lost'
let_go
loads_end 200
