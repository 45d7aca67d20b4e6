#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The same Services three times: as manifests, as nftables rules, as iptables rules.

    rules.py manifests FOLDER SERVICES ENDPOINTS [NAME=LAST:NODEPORT:IP,IP...]...
    rules.py nft|iptables SERVICES ENDPOINTS [NAME=...]...
    rules.py nft-change|iptables-change SERVICES ENDPOINTS
    rules.py spread FOLDER

The rules are laid out as kube-proxy (1.33) writes them in its two modes: verdict
maps, a chain for each Service and endpoint, numgen or statistic random, dnat, marks
for masquerading. NAME=... are Services with real endpoints, at 10.96.0.LAST; they
stand in the middle of the others, which are there to be searched through. -change:
what kube-proxy would send when one endpoint of one Service moves. spread: twenty
endpoints of equal and twenty of different weight, behind each algorithm.
"""
import hashlib
import ipaddress
import json
import os
import sys

CLUSTER = "10.244.0.0/16"
PER_FILE = 1000  # Services: a file of manifests has an upper size


class Service:
    def __init__(self, name, vip, endpoints, nodeport=0):
        self.name, self.vip, self.endpoints, self.nodeport = name, vip, endpoints, nodeport
        # As kube-proxy shortens names: 16 characters of a hash.
        self.hash = hashlib.sha256(name.encode()).hexdigest()[:16].upper()

    def sep(self, ip):
        return hashlib.sha256((self.name + ip).encode()).hexdigest()[:16].upper()


def fillers(count, endpoints):
    vip = int(ipaddress.ip_address("10.96.1.0"))
    pod = int(ipaddress.ip_address("10.128.0.1"))
    for i in range(count):
        ips = [str(ipaddress.ip_address(pod + i * endpoints + j)) for j in range(endpoints)]
        yield Service("filler-%d" % i, str(ipaddress.ip_address(vip + i)), ips)


def real(text):
    name, rest = text.split("=")
    last, nodeport, ips = rest.split(":")
    return Service(name, "10.96.0." + last, ips.split(","), int(nodeport))


def services(count, endpoints, texts):
    own = [real(text) for text in texts]
    others = list(fillers(max(0, count - len(own)), endpoints))
    half = len(others) // 2
    return others[:half] + own + others[half:]


# ---- manifests

def node_of(ip):
    net = ip.split(".")
    return "node-" + net[2] if net[:2] == ["10", "244"] else "node-far"


def objects(service):
    spec = {"clusterIP": service.vip, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    if service.nodeport:
        spec["type"] = "NodePort"
        spec["ports"][0]["nodePort"] = service.nodeport
    yield {"kind": "Service", "apiVersion": "v1", "metadata": {"name": service.name}, "spec": spec}
    for at in range(0, len(service.endpoints), 100):
        yield {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
               "metadata": {"name": "%s-%d" % (service.name, at),
                            "labels": {"kubernetes.io/service-name": service.name}},
               "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}],
               "endpoints": [{"addresses": [ip], "nodeName": node_of(ip)}
                             for ip in service.endpoints[at:at + 100]]}


def write_manifests(folder, all_services):
    os.makedirs(folder, exist_ok=True)
    for at in range(0, len(all_services), PER_FILE):
        items = [o for s in all_services[at:at + PER_FILE] for o in objects(s)]
        with open("%s/%06d.json" % (folder, at), "w", encoding="ascii") as out:
            json.dump({"kind": "List", "apiVersion": "v1", "items": items}, out)


# ---- nftables

NFT_BASE = """table ip kube-proxy {
 set cluster-ips { type ipv4_addr; }
 set nodeport-ips { type ipv4_addr; elements = { %(node)s } }
 map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
 map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
 map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
 map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
 map service-nodeports { type inet_proto . inet_service : verdict; }
 chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips; }
 chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }
 chain nodeport-endpoints-check { ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports; }
 chain reject-chain { reject; }
 chain cluster-ips-check { ip daddr @cluster-ips reject; }
 chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
 chain masquerading {
  meta mark and 0x4000 == 0 return
  meta mark set meta mark xor 0x4000
  masquerade fully-random
 }
 chain services {
  ip daddr . meta l4proto . th dport vmap @service-ips
  ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
 }
 chain filter-prerouting { type filter hook prerouting priority -110; ct state new jump firewall-check; }
 chain filter-input { type filter hook input priority -110; ct state new jump nodeport-endpoints-check; ct state new jump service-endpoints-check; }
 chain filter-forward { type filter hook forward priority -110; ct state new jump service-endpoints-check; ct state new jump cluster-ips-check; }
 chain filter-output { type filter hook output priority -110; ct state new jump service-endpoints-check; ct state new jump firewall-check; }
 chain filter-output-post-dnat { type filter hook output priority -90; ct state new jump cluster-ips-check; }
 chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
 chain nat-output { type nat hook output priority -100; jump services; }
 chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
"""


def nft_names(s):
    base = s.hash.lower() + "-" + s.name
    return "service-" + base, "external-" + base


def nft_endpoint(s, ip):
    return "endpoint-%s-%s" % (s.sep(ip).lower(), ip)


def nft_service_rules(s):
    yield "ip daddr %s tcp dport 80 ip saddr != %s jump mark-for-masquerade" % (s.vip, CLUSTER)
    verdicts = ", ".join("%d : goto %s" % (i, nft_endpoint(s, ip)) for i, ip in enumerate(s.endpoints))
    yield "numgen random mod %d vmap { %s }" % (len(s.endpoints), verdicts)


def nft_endpoint_rules(ip):
    yield "ip saddr %s jump mark-for-masquerade" % ip
    yield "meta l4proto tcp dnat to %s:8080" % ip


def nft(all_services):
    out = [NFT_BASE % {"node": "172.18.0.11"}]
    for s in all_services:
        service, external = nft_names(s)
        for ip in s.endpoints:
            out.append(" chain %s { %s; }\n" % (nft_endpoint(s, ip), "; ".join(nft_endpoint_rules(ip))))
        out.append(" chain %s { %s; }\n" % (service, "; ".join(nft_service_rules(s))))
        if s.nodeport:
            out.append(" chain %s { jump mark-for-masquerade; goto %s; }\n" % (external, service))
    out.append("}\n")
    out.append("add element ip kube-proxy cluster-ips { %s }\n" % ", ".join(s.vip for s in all_services))
    out.append("add element ip kube-proxy service-ips { %s }\n" % ", ".join(
        "%s . tcp . 80 : goto %s" % (s.vip, nft_names(s)[0]) for s in all_services))
    ports = ["tcp . %d : goto %s" % (s.nodeport, nft_names(s)[1]) for s in all_services if s.nodeport]
    if ports:
        out.append("add element ip kube-proxy service-nodeports { %s }\n" % ", ".join(ports))
    return "".join(out)


def nft_change(before, after, old, new):
    table = "ip kube-proxy "
    chain = nft_names(after)[0]
    out = ["add chain %s%s\n" % (table, nft_endpoint(after, new))]
    out += ["add rule %s%s %s\n" % (table, nft_endpoint(after, new), r) for r in nft_endpoint_rules(new)]
    out.append("flush chain %s%s\n" % (table, chain))
    out += ["add rule %s%s %s\n" % (table, chain, r) for r in nft_service_rules(after)]
    out.append("delete chain %s%s\n" % (table, nft_endpoint(before, old)))
    return "".join(out)


# ---- iptables

def ipt_service_rules(s):
    what = '-m comment --comment "default/%s:http' % s.name
    svc, n = "KUBE-SVC-" + s.hash, len(s.endpoints)
    yield '-A %s ! -s %s -d %s/32 -p tcp %s cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ' % (
        svc, CLUSTER, s.vip, what)
    for i, ip in enumerate(s.endpoints):
        chance = "" if i == n - 1 else " -m statistic --mode random --probability %.11f" % (1 / (n - i))
        yield '-A %s %s -> %s:8080"%s -j KUBE-SEP-%s' % (svc, what, ip, chance, s.sep(ip))


def ipt_endpoint_rules(s, ip):
    sep = "KUBE-SEP-" + s.sep(ip)
    what = '-m comment --comment "default/%s:http"' % s.name
    yield "-A %s -s %s/32 %s -j KUBE-MARK-MASQ" % (sep, ip, what)
    yield "-A %s -p tcp %s -m tcp -j DNAT --to-destination %s:8080" % (sep, what, ip)


def ipt_nat_rules(all_services):
    yield '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    yield '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    yield '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'
    yield "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN"
    yield "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000"
    yield "-A KUBE-POSTROUTING -j MASQUERADE --random-fully"
    yield "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000"
    for s in all_services:
        what = '-m comment --comment "default/%s:http' % s.name
        yield '-A KUBE-SERVICES -d %s/32 -p tcp %s cluster IP" -m tcp --dport 80 -j KUBE-SVC-%s' % (
            s.vip, what, s.hash)
        if s.nodeport:
            yield '-A KUBE-NODEPORTS -p tcp %s" -m tcp --dport %d -j KUBE-EXT-%s' % (what, s.nodeport, s.hash)
            yield "-A KUBE-EXT-%s -j KUBE-MARK-MASQ" % s.hash
            yield "-A KUBE-EXT-%s -j KUBE-SVC-%s" % (s.hash, s.hash)
        yield from ipt_service_rules(s)
        for ip in s.endpoints:
            yield from ipt_endpoint_rules(s, ip)
    yield "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"


def ipt_chains(all_services):
    yield from ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
    for s in all_services:
        yield "KUBE-SVC-" + s.hash
        if s.nodeport:
            yield "KUBE-EXT-" + s.hash
        for ip in s.endpoints:
            yield "KUBE-SEP-" + s.sep(ip)


IPT_FILTER = """*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"""


def iptables(all_services):
    out = [IPT_FILTER, "*nat\n"]
    out += [":%s - [0:0]\n" % chain for chain in ipt_chains(all_services)]
    out += [rule + "\n" for rule in ipt_nat_rules(all_services)]
    return "".join(out + ["COMMIT\n"])


def iptables_change(before, after, old, new):
    out = ["*nat\n", ":KUBE-SVC-%s - [0:0]\n" % after.hash]
    out += [":KUBE-SEP-%s - [0:0]\n" % s for s in (after.sep(new), before.sep(old))]
    out += [rule + "\n" for rule in ipt_service_rules(after)]
    out += [rule + "\n" for rule in ipt_endpoint_rules(after, new)]
    return "".join(out + ["-X KUBE-SEP-%s\n" % before.sep(old), "COMMIT\n"])


def change(of, count, endpoints):
    middle = list(fillers(count, endpoints))[count // 2]
    old, new = middle.endpoints[-1], "10.127.0.1"
    after = Service(middle.name, middle.vip, middle.endpoints[:-1] + [new])
    return of(middle, after, old, new)


# ---- spread

SPREAD_ALGORITHMS = ("random", "maglev", "least-conn")
SPREAD_BACKENDS = 20


def spread_pod(app, last, weight):
    ip = "10.244.1.%d" % last
    return {"kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": "%s-%d" % (app, last), "labels": {"app": app},
                         "annotations": {"shunt.io/weight": str(weight)}},
            "spec": {"nodeName": "node-1",
                     "containers": [{"name": "main", "ports": [{"name": "web", "containerPort": 8080}]}]},
            "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                       "conditions": [{"type": "Ready", "status": "True"}]}}


def spread():
    """Equal weights from .101, weights 1, 2, 3, 4 in turn from .121."""
    for i in range(SPREAD_BACKENDS):
        yield spread_pod("even", 101 + i, 1)
        yield spread_pod("odd", 121 + i, 1 + i % 4)
    for i, app in enumerate(("even", "odd")):
        for j, algorithm in enumerate(SPREAD_ALGORITHMS):
            yield {"kind": "Service", "apiVersion": "v1",
                   "metadata": {"name": "%s-%s" % (app, algorithm),
                                "annotations": {"shunt.io/algorithm": algorithm}},
                   "spec": {"clusterIP": "10.96.0.%d" % (200 + 10 * i + j), "selector": {"app": app},
                            "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}


def main():
    what, rest = sys.argv[1], sys.argv[2:]
    if what == "spread":
        os.makedirs(rest[0], exist_ok=True)
        with open(rest[0] + "/spread.json", "w", encoding="ascii") as out:
            json.dump({"kind": "List", "apiVersion": "v1", "items": list(spread())}, out)
    elif what == "manifests":
        write_manifests(rest[0], services(int(rest[1]), int(rest[2]), rest[3:]))
    elif what in ("nft", "iptables"):
        make = nft if what == "nft" else iptables
        sys.stdout.write(make(services(int(rest[0]), int(rest[1]), rest[2:])))
    elif what in ("nft-change", "iptables-change"):
        make = nft_change if what == "nft-change" else iptables_change
        sys.stdout.write(change(make, int(rest[0]), int(rest[1])))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
