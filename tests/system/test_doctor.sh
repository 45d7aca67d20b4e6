#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `shunt doctor`: each broken example is found by the check that is meant, and by
# no other; a healthy one gives nothing. On a node: settings, devices, programs,
# what kube-proxy left, which goes with --yes and nothing else does. `shunt status`.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

broken=$NET_ROOT/examples/broken

# ---- manifests, without privilege

nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$@"; }

# "CHECK LEVEL" of each finding that isn't a note, sorted
found() { jq -r '.findings[] | select(.level != "note") | "\(.check) \(.level)"' | sort -u | paste -sd,; }

# diagnosed FILE EXPECTED [OPTION…]: what doctor -f says of it
diagnosed()
{
	local file=$1 expected=$2 status=0 said
	shift 2

	cp "$broken/$file" "$TMP/broken.yaml" && chmod 755 "$TMP" && chmod 644 "$TMP/broken.yaml"
	said=$(nobody "$SHUNT" doctor -f "$TMP/broken.yaml" -o json "$@") || status=$?
	equal "$(found <<<"$said")" "$expected" "$file"
	equal "$status" 1 "$file: exit status"
	jq -e '.findings[] | .object and .what and .evidence and .fix' <<<"$said" >/dev/null ||
		die "$file: a finding without words: $said"
}

diagnosed 01-selector.yaml 'selector error'
diagnosed 02-namespace.yaml 'selector error'
diagnosed 03-target-port-name.yaml 'target-port error'
diagnosed 04-target-port-number.yaml 'target-port warning'
diagnosed 05-not-ready.yaml 'not-ready error'
diagnosed 06-local-policy.yaml 'local-policy warning'
diagnosed 07-source-ranges.yaml 'source-ranges error' --src 203.0.113.9
diagnosed 08-weight.yaml 'weight error'
diagnosed 09-family.yaml 'family error'
diagnosed 10-terminating.yaml 'terminating error'
diagnosed 11-port-name.yaml 'endpoints error'
diagnosed 12-no-endpoints.yaml 'endpoints error'
diagnosed 13-service-cidr.yaml 'apply error,service-cidr warning'
diagnosed 14-networks.yaml 'networks error'
diagnosed 15-nodeport-family.yaml 'nodeport warning'
for file in "$broken"/*.yaml; do
	grep -q "^diagnosed ${file##*/} " "${BASH_SOURCE[0]}" || die "$file: nobody looks at it"
done

# docs/troubleshooting.md shows what is said, to the letter.
documented=0
while IFS= read -r command; do
	shown=$(awk -v command="\$ $command" '$0 == command { on = 1; next } on && /^```$/ { exit } on' \
		"$NET_ROOT/docs/troubleshooting.md")
	read -ra words <<<"${command#shunt }"
	equal "$(cd "$NET_ROOT" && "$SHUNT" "${words[@]}")" "$shown" "docs/troubleshooting.md: $command"
	((++documented))
done < <(sed -n 's/^\$ \(shunt doctor -f examples.*\)/\1/p' "$NET_ROOT/docs/troubleshooting.md")
((documented >= 10)) || die "docs/troubleshooting.md shows $documented Services"

# What names the Pod, and what is different about it.
said=$("$SHUNT" doctor -f "$broken/01-selector.yaml" || :)
[[ $said == *'web-1 (and 1 more) nearly matches: its label app is "web"'* ]] || die "$said"

# The same from the other node, or for somebody who is let in, is fine.
must "$SHUNT" doctor -f "$broken/06-local-policy.yaml" --node-name node-2
must "$SHUNT" doctor -f "$broken/07-source-ranges.yaml" --src 198.51.100.7
must "$SHUNT" doctor -f "$broken/13-service-cidr.yaml" --service-cidr 172.30.0.0/16
equal "$(nobody "$SHUNT" doctor -f - -o json <"$NET_ROOT/examples/kubia/nodes.yaml" | jq -c .findings)" \
	'[]' 'no Service at all'
equal "$("$SHUNT" doctor -f "$NET_ROOT/examples/kubia" -o json | jq -c .findings)" '[]' 'a healthy folder'
must "$SHUNT" doctor -f "$NET_ROOT/examples/kubia"

# One of several Services, and a name that nothing has.
cat "$broken/01-selector.yaml" - >"$TMP/two.yaml" <<-'END'
	---
	apiVersion: v1
	kind: Service
	metadata: {name: other}
	spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
END
must "$SHUNT" doctor -f "$TMP/two.yaml" default/other
must "$SHUNT" doctor -f "$TMP/two.yaml" -n default other
must_end 1 '' "$SHUNT" doctor -f "$TMP/two.yaml" web
must_end 1 'service "wbe" not found in namespace "default"' "$SHUNT" doctor -f "$TMP/two.yaml" wbe
must_end 2 '--src: "nowhere" is not an IP address' "$SHUNT" doctor -f "$TMP/two.yaml" --src nowhere
must_end 2 'not both' "$SHUNT" doctor -f "$TMP/two.yaml" -n default default/web
must_end 2 '--yes goes with --remove-kube-proxy' "$SHUNT" doctor --yes

# ---- a node

bring_up
doctor() { node_shunt 1 doctor --state "$NET_DIR/state/node-1" "$@"; }
status() { node_shunt 1 status --state "$NET_DIR/state/node-1" "$@"; }
node_sysctl() { must net_exec node-1 sysctl -qw "$@"; }

# now EXPECTED [OPTION…]: what is found on the node; "empty" of the usual Services has nobody
now()
{
	local expected=$1 status=0 said
	shift

	said=$(doctor -o json "$@") || status=$?
	equal "$(found <<<"$said")" "$expected" "the node: $said"
	equal "$status" "$([[ -z $expected ]]; echo $?)" "the node: exit status"
}

now 'selector error'
must_end 1 '' doctor default/empty
must doctor default/web
# A Service that is fine has only the explanation of pings, which is no fault.
equal "$(doctor default/web -o json | jq -r '.findings[] | "\(.check) \(.level)"' | sort -u)" \
	'ping note' 'a Service that is fine'
sed -i '/^  selector: {app: nobody}$/d' "$TMP/manifests/services.yaml"
slices empty 1 12 >>"$TMP/manifests/services.yaml"
apply 1
now ''

node_sysctl net.ipv4.ip_forward=0
now 'ip-forward error'
node_sysctl net.ipv4.ip_forward=1
must net_exec node-1 sysctl -qw net.ipv6.conf.eth0.forwarding=0
now 'ip-forward error'
node_sysctl net.ipv6.conf.eth0.forwarding=1
now ''

reserved=$(net_exec node-1 cat /proc/sys/net/ipv4/ip_local_reserved_ports)
node_sysctl net.ipv4.ip_local_reserved_ports= net.ipv4.ip_local_port_range='32768 60999'
now 'reserved-ports warning'
node_sysctl "net.ipv4.ip_local_reserved_ports=$reserved"

must net_exec node-1 ip link set eth0 mtu 1400
now 'mtu warning'
must net_exec node-1 ip link set eth0 mtu 1500

# An edge that nobody has attached anything to: nobody follows devices here.
must net_exec node-1 ip link add pod99 type veth peer name pod99b
must net_exec node-1 ip link set pod99 up
now 'edges error'
# A second uplink makes strict filtering matter.
node_sysctl net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=1
must net_exec node-1 ip link del pod99
now ''
must net_exec node-1 ip link add eth9 type veth peer name eth9b
must net_exec node-1 ip link set eth9 up
now 'edges error,rp-filter warning' --devices 'eth*'
node_sysctl net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.eth9.rp_filter=0
must net_exec node-1 ip link del eth9

# An address of the node's within --service-cidr, a nodePort's network without one.
must net_exec node-1 ip addr add 10.96.200.1/32 dev lo
now 'networks error'
must net_exec node-1 ip addr del 10.96.200.1/32 dev lo
now 'nodeport warning' --nodeport-addresses 192.0.2.0/24
now 'node warning' --node-name node-3

# Drops are explained: those that somebody asked for are no fault.
refused shell-1 http "$(at $WEB4 81)" -n 1
doctor -o json | jq -e '.findings[] | select(.check == "drops" and .level == "note" and
	.object == "Service default/web") | .evidence | startswith("unknown-port: ")' >/dev/null ||
	die "no word about the drop: $(doctor)"

# Somebody else's XDP program takes the packets before shunt does.
has_xdp() { net_exec node-1 ip -j link show pod11 | jq -e '.[].xdp' >/dev/null; }
net_start node-1 xdp_pass "$TOOLS/xdp_pass" pod11
wait_until 5 has_xdp || die "xdp_pass: $(<"$NET_DIR/log/xdp_pass")"
now 'other-programs warning'
net_stop xdp_pass

# Filters of others: after TCX; where there is none, in the order of their priority.
printf 'int pass(void *packet) { return -1; }\n' |
	clang-19 -O2 -target bpf -g -x c -c - -o "$TMP/pass.o" 2>/dev/null || die "no program for a filter"
must net_exec node-1 tc qdisc replace dev pod11 clsact
must net_exec node-1 tc filter add dev pod11 ingress bpf da obj "$TMP/pass.o" sec .text
now ''
doctor -o json | jq -e '.findings[] | select(.check == "other-programs") |
	.what | contains("clsact ingress")' >/dev/null || die "not the filter: $(doctor)"
must net_exec node-1 tc filter del dev pod11 ingress

# ---- what kube-proxy left

kube_proxy_rules()
{
	cat <<-'END'
		*nat
		:KUBE-SERVICES - [0:0]
		:KUBE-POSTROUTING - [0:0]
		:KUBE-MARK-MASQ - [0:0]
		:KUBE-NODEPORTS - [0:0]
		:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
		:KUBE-SEP-QWERTYUIOPASDFGH - [0:0]
		:KUBE-KUBELET-CANARY - [0:0]
		:MINE - [0:0]
		-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
		-A PREROUTING -m comment --comment "mine, before -j KUBE-SERVICES" -p tcp --dport 8443 -j REDIRECT --to-ports 443
		-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
		-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
		-A POSTROUTING -s 192.168.7.0/24 -j MASQUERADE
		-A MINE -d 192.168.7.9/32 -j ACCEPT
		-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y
		-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
		-A KUBE-SVC-NPX46M4PTMTKRN6Y ! -s 10.244.0.0/16 -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-MARK-MASQ
		-A KUBE-SVC-NPX46M4PTMTKRN6Y -j KUBE-SEP-QWERTYUIOPASDFGH
		-A KUBE-SEP-QWERTYUIOPASDFGH -p tcp -m tcp -j DNAT --to-destination 172.18.0.1:6443
		-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
		-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
		-A KUBE-POSTROUTING -j MASQUERADE --random-fully
		COMMIT
		*filter
		:KUBE-FIREWALL - [0:0]
		:KUBE-FORWARD - [0:0]
		:KUBE-PROXY-FIREWALL - [0:0]
		-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
		-A INPUT -j KUBE-FIREWALL
		-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
		-A FORWARD -i mine0 -j DROP
		-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -j DROP
		-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
		COMMIT
	END
}

# saved VARIANT: its rules, without what changes by itself
saved() { net_exec node-1 "$1-save" | sed -E '/^#/d; s/\[[0-9]+:[0-9]+\]$//' | sort; }

for variant in iptables-nft iptables-legacy ip6tables-nft; do
	command -v "$variant-save" >/dev/null || continue
	family=4
	[[ $variant != ip6* ]] || family=6
	rules=kube_proxy_rules
	if ((family == 6)); then
		six() { kube_proxy_rules | sed -E 's/[0-9.]+\/(8|16|24|32)/fd00::\/64/g; s/172.18.0.1:6443/[fd00::1]:6443/'; }
		rules=six
	fi
	must net_exec node-1 "$variant-restore" --noflush < <($rules)
	before=$(saved "$variant")
	now 'kube-proxy warning'
	# A dry run, which tells what it would do and does nothing.
	plan=$(doctor --remove-kube-proxy) || die "$variant: no plan"
	[[ $plan == *"$variant-restore --noflush"*'-X KUBE-SERVICES'*'nothing was removed'* ]] || die "$plan"
	equal "$(saved "$variant")" "$before" "$variant: after a dry run"
	must doctor --remove-kube-proxy --yes
	after=$(saved "$variant")
	equal "$(grep -cE 'KUBE-(SERVICES|SVC|SEP|MARK|NODEPORTS|POSTROUTING|FORWARD|PROXY)' <<<"$(grep -v 'mine, before' <<<"$after")")" \
		0 "$variant: kube-proxy's rules"
	# What is left is what was there without them, line by line.
	equal "$after" "$(grep -vE '^:KUBE-(SERVICES|SVC|SEP|MARK|NODEP|POSTR|FORW|PROXY)|^-A KUBE-(SERVICES|SVC|SEP|MARK|NODEP|POSTR|FORW|PROXY)|-j KUBE-(SERVICES|POSTROUTING|FORWARD|PROXY-FIREWALL)$' <<<"$before")" \
		"$variant: others' rules"
	now ''
	must net_exec node-1 "$variant" -t nat -F
	must net_exec node-1 "$variant" -F
done

must net_exec node-1 nft -f - <<-'END'
	table ip kube-proxy { chain services { tcp dport 80 counter accept; }; }
	table ip6 kube-proxy { chain services { tcp dport 80 counter accept; }; }
	table ip mine { chain kube-proxy { tcp dport 80 counter accept; }; }
	table inet kube-proxy { chain mine { tcp dport 80 counter accept; }; }
END
now 'kube-proxy warning'
must doctor --remove-kube-proxy
equal "$(net_exec node-1 nft list tables | grep -c kube-proxy)" 3 'after a dry run'
must doctor --remove-kube-proxy --yes
equal "$(net_exec node-1 nft list tables | grep -vE 'filter|nat' | paste -sd,)" \
	'table ip mine,table inet kube-proxy' "tables of others"
must net_exec node-1 nft delete table inet kube-proxy
now ''
[[ $(doctor --remove-kube-proxy --yes) == "nothing of kube-proxy's is there" ]] || die 'something is left'

# A device of kube-proxy's in IPVS mode has the ClusterIPs for its own.
must net_exec node-1 ip link add kube-ipvs0 type bridge
must net_exec node-1 ip addr add 10.96.0.80/32 dev kube-ipvs0
now 'ipvs error'
must doctor --remove-kube-proxy --yes
now ''

# A firewall that lets nothing through.
must net_exec node-1 iptables-nft -P FORWARD DROP
now 'netfilter error'
must net_exec node-1 iptables-nft -A FORWARD -j ACCEPT
now ''
must net_exec node-1 iptables-nft -P FORWARD ACCEPT

# ---- status

state=$(status -o json) || die "status: $?"
equal "$(jq -r '.loaded, .node, .programs.same, .mapLayout.kernel == .mapLayout.binary, .agent.running' <<<"$state" | paste -sd,)" \
	'true,node-1,true,true,false' 'status'
equal "$(jq -r '.devices[] | select(.role == "uplink") | "\(.name) \(.mtu) \(.xdp) \(.whyNoBetterXdp)"' <<<"$state")" \
	'eth0 1500 null packets of virtual devices may carry partial checksums' "the uplink's XDP"
jq -e '.cgroupHooks | length > 5 and all(.attached and (.cgroup | endswith("/node-1")))' <<<"$state" >/dev/null ||
	die "cgroup: $(jq .cgroupHooks <<<"$state")"
jq -e '.maps[] | select(.name == "shunt_backends") | .used > 0 and .max > .used and .bytes > 0' <<<"$state" >/dev/null ||
	die "maps: $(jq .maps <<<"$state")"
said=$(status) || die "status: $?"
[[ $said == *"agent       not running"*"eth0"*"shunt_frontends"* ]] || die "status: $said"

# With nothing loaded both say so.
must node_shunt 1 reset
equal "$(status -o json | jq .loaded)" false 'status of nothing'
must_end 1 '' status
now 'programs error'
