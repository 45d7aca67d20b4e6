#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
apiserver.py: a Kubernetes API server whose objects, and misdeeds, a test decides.

  apiserver.py --certs DIR --control SOCKET [options]

  --certs DIR        ca.crt, server.crt, server.key: what make_certs.sh made
  --control SOCKET   a unix socket that takes commands; apictl talks to it
  --listen ADDR:PORT 127.0.0.1:0; [ADDR]:PORT for IPv6; port 0: any
  --token TOKEN      wants "Authorization: Bearer TOKEN"
  --client-certs     lets clients in that have a certificate of the CA's
                     (with --token: either will do; with neither: anyone)
  --kubeconfig FILE  written once the server listens: server, CA, and the
                     token, or client.crt and client.key with --client-certs
  --load FILE        objects to begin with, as the command `load`; repeatable
  --bookmark-s S     seconds between a watch's bookmarks (60)
  --verbose          each request on stderr

HTTP/1.1 over TLS: keep-alive, chunked answers, gzip of large lists when asked
for. GET of /version, /healthz, /livez, /readyz, and of the resources in
RESOURCES: one object, lists (limit, continue, resourceVersion, labelSelector,
fieldSelector of metadata.name and metadata.namespace), watches (resourceVersion,
timeoutSeconds, allowWatchBookmarks, sendInitialEvents). Answers are shaped as
kube-apiserver 1.36's are: items without kind, a list at one version over all
its pages, expired versions, bookmarks, DELETED for what leaves a selector.

Commands: `apictl SOCKET COMMAND [ARGUMENT…]`. FILE is read by apictl; - is its
standard input. Each ends with its effect in place.

 objects
  load FILE            every object in FILE: JSON documents, Lists, recordings
                       ({"response":{"body":…}}), any of them gzipped
  put FILE             the same; apictl PUT reads better with one object
  delete RESOURCE [NS/]NAME
  clear RESOURCE       deletes all of them, an event each
  gen SERVICES ENDPOINTS
                       that many Services gen-N in gen-0 … gen-9 with a slice of
                       so many endpoints each; clusterIPs from 10.96.16.0 on,
                       endpoints from 10.128.0.0 on. Replaces what gen made
  warm URL             renders a list's pages ahead, as they will be asked for
  churn PER_SECOND SECONDS
                       changes one endpoint of one generated slice each time, in
                       the background, evenly; SECONDS 0 ends it
  version              the current resourceVersion

 what a client sees go wrong
  compact              every version up to now expires, continue tokens too
  expire-continue [N]  the next N requests with a continue token get 410
  token TOKEN          a new bearer token; the old one is no longer valid
  close                closes all connections, TCP FIN or RST
  down [SECONDS]       closes all and listens no longer: connection refused
  pause [SECONDS]      listens, but accepts nobody
  up                   ends down and pause
  freeze [all]         half-open: the connections that are there are neither read
                       nor written nor closed any more; all: new ones too
  thaw                 new connections work again; frozen ones stay so
  noise [N]            the next N connections get random bytes for a handshake
  inject RESOURCE FILE raw bytes into the running watches of RESOURCE, as a chunk
  fault RESOURCE VERB WHAT [times=N]
                       RESOURCE and VERB (get, list, watch) may be *; each fault
                       holds for N requests (default: until `clear-faults`).
                       WHAT is one of
     status CODE [retry-after=S]   that answer
     garbage                       200, and random bytes as the body
     garbage-http                  random bytes instead of HTTP
     broken-json                   200, and JSON that breaks off in the middle
     truncate                      half of the body, then the connection closes
     endless [ITEMS]               a list that goes on for ITEMS objects (no end)
     endless-string                a body that is one string without end
     stall                         reads the request and never answers
     slow BYTES_PER_SECOND         of the body
  clear-faults

 what went on
  stats                JSON: connections, open, requests, lists, pages, watches,
                       watching (now, by resource), statuses, version, sent_bytes,
                       churned, faults (that requests met, slow ones apart), given_up
                       (of these, where the client closed first)
  requests [N]         the last N request lines, oldest first
  reset-stats
"""
import argparse
import base64
import bisect
import collections
import email.utils
import gzip
import json
import os
import random
import re
import select
import signal
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
import uuid

# resource -> (group version, kind, namespaced, what a bookmark's skeleton has besides)
RESOURCES = {
    "services": ("v1", "Service", True, {"spec": {}, "status": {"loadBalancer": {}}}),
    "endpoints": ("v1", "Endpoints", True, {}),
    "nodes": ("v1", "Node", False, {"spec": {}, "status": {
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}, "nodeInfo": {}}}),
    "pods": ("v1", "Pod", True, {"spec": {"containers": None}, "status": {}}),
    "namespaces": ("v1", "Namespace", False, {"spec": {}, "status": {}}),
    "secrets": ("v1", "Secret", True, {}),
    "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice", True,
                       {"addressType": "", "endpoints": None, "ports": None}),
    "ingresses": ("networking.k8s.io/v1", "Ingress", True,
                  {"spec": {}, "status": {"loadBalancer": {}}}),
    "ingressclasses": ("networking.k8s.io/v1", "IngressClass", False, {"spec": {}}),
}
KINDS = {kind: resource for resource, (_, kind, _, _) in RESOURCES.items()}
GZIP_FROM = 128 * 1024  # kube-apiserver compresses from here on
WATCH_DEFAULT_S = 1800
SNAPSHOTS_MAX = 64
REQUESTS_KEPT = 1000
HEAD_MAX = 65536
EXPIRED_LIST = "The resourceVersion for the provided list is too old."
EXPIRED_CONTINUE = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter, or use the continue token in "
    "this response to retrieve the remainder of the results. Continuing with the provided "
    "token results in an inconsistent list - objects that were created, modified, or deleted "
    "between the time the first chunk was returned and now may show up in the list.")
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound",
           405: "MethodNotAllowed", 410: "Expired", 429: "TooManyRequests",
           500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
PHRASES = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
           404: "Not Found", 405: "Method Not Allowed", 410: "Gone", 429: "Too Many Requests",
           500: "Internal Server Error", 503: "Service Unavailable", 504: "Gateway Timeout"}


class CommandError(Exception):
    """What apictl is told."""


class Refusal(Exception):
    """An answer that is no success: a Status object."""

    def __init__(self, code, message, retry_after=None, metadata=None, plain=None):
        super().__init__(message)
        self.code, self.message, self.retry_after = code, message, retry_after
        self.metadata, self.plain = metadata or {}, plain


class Gone(Exception):
    """The connection is over."""


def dumps(value):
    return json.dumps(value, separators=(",", ":")).encode()


def status_object(code, message, metadata=None):
    status = {"kind": "Status", "apiVersion": "v1", "metadata": metadata or {},
              "status": "Failure", "message": message, "reason": REASONS.get(code, "Unknown")}
    status["code"] = code
    return status


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


# ---- selectors --------------------------------------------------------------------

def parse_labels(text):
    """[(name, "=" | "!=" | "in" | "notin" | "exists" | "!", values)] of a labelSelector"""
    terms = []
    for term in re.findall(r"(?:[^,(]|\([^)]*\))+", text or ""):
        term = term.strip()
        sets = re.fullmatch(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)", term)
        if sets:
            values = [value.strip() for value in sets[3].split(",")]
            terms.append((sets[1], sets[2], values))
        elif term.startswith("!"):
            terms.append((term[1:].strip(), "!", []))
        elif "!=" in term:
            name, value = term.split("!=", 1)
            terms.append((name.strip(), "!=", [value.strip()]))
        elif "=" in term:
            name, value = term.split("=", 1)
            terms.append((name.strip(), "=", [value.lstrip("=").strip()]))
        else:
            terms.append((term, "exists", []))
    return terms


def labels_match(terms, labels):
    for name, operator, values in terms:
        has = name in labels
        if operator == "!" and has or operator == "exists" and not has:
            return False
        if operator in ("=", "in") and labels.get(name) not in values:
            return False
        if operator in ("!=", "notin") and has and labels[name] in values:
            return False
    return True


def parse_fields(text):
    fields = {}
    for term in filter(None, (text or "").split(",")):
        name, _, value = term.partition("=")
        if name not in ("metadata.name", "metadata.namespace"):
            raise Refusal(400, 'field label not supported: %s' % name)
        fields[name] = value.lstrip("=")
    return fields


class Selector:
    """What a request's labelSelector, fieldSelector and namespace let through."""

    def __init__(self, query, namespace):
        self.labels = parse_labels(query.get("labelSelector"))
        self.fields = parse_fields(query.get("fieldSelector"))
        if namespace:
            self.fields["metadata.namespace"] = namespace
        self.all = not self.labels and not self.fields
        self.key = json.dumps([self.labels, sorted(self.fields.items())])

    def match(self, entry):
        if self.all:
            return True
        if entry is None:
            return False
        fields = self.fields
        return (fields.get("metadata.name", entry.name) == entry.name
                and fields.get("metadata.namespace", entry.namespace) == entry.namespace
                and labels_match(self.labels, entry.labels))


# ---- objects -----------------------------------------------------------------------

class Entry:
    """One version of one object, rendered."""

    __slots__ = ("namespace", "name", "labels", "rv", "item")

    def __init__(self, namespace, name, labels, rv, item):
        self.namespace, self.name, self.labels = namespace, name, labels
        self.rv, self.item = rv, item  # item: JSON without kind and apiVersion

    def key(self):
        # As etcd sorts them: "/NAMESPACE/NAME", "/NAME" without one.
        return "/%s/%s" % (self.namespace, self.name) if self.namespace else "/" + self.name


class Table:
    """The objects of one resource, and all that has happened to them."""

    def __init__(self, resource):
        self.resource = resource
        self.version, self.kind, self.namespaced, self.skeleton = RESOURCES[resource]
        self.entries = {}
        self.events = []  # (rv, type, entry, entry before): types as without a selector
        self.event_rvs = []
        self.sorted = None  # the entries by key, until something changes
        self.snapshots = collections.OrderedDict()  # rv -> sorted entries
        self.pages = {}
        self.head = ('{"kind":"%s","apiVersion":"%s",' % (self.kind, self.version)).encode()

    def snapshot(self, rv):
        if self.sorted is None:
            self.sorted = [self.entries[key] for key in sorted(self.entries)]
        if rv not in self.snapshots:
            self.snapshots[rv] = self.sorted
            while len(self.snapshots) > SNAPSHOTS_MAX:
                old, _ = self.snapshots.popitem(last=False)
                self.pages = {key: page for key, page in self.pages.items() if key[0] != old}
        return self.snapshots[rv]

    def with_kind(self, entry):
        return self.head + entry.item[1:]

    def bookmark(self, rv, initial_end=False):
        meta = {"resourceVersion": str(rv)}
        if initial_end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        return dumps({"type": "BOOKMARK", "object": {
            "kind": self.kind, "apiVersion": self.version, "metadata": meta, **self.skeleton}})


class Store:
    """All objects. Everything here is called with the lock held."""

    def __init__(self):
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.tables = {resource: Table(resource) for resource in RESOURCES}
        self.rv = 1000
        self.compacted = 999  # versions below are expired
        self.wakeups = 0  # counts what watches have to look at besides events

    def wake(self):
        self.wakeups += 1
        self.changed.notify_all()

    def record(self, table, kind, entry, before):
        table.sorted = None
        table.events.append((entry.rv, kind, entry, before))
        table.event_rvs.append(entry.rv)
        self.changed.notify_all()

    def put_entry(self, table, entry):
        before = table.entries.get(entry.key())
        table.entries[entry.key()] = entry
        self.record(table, "MODIFIED" if before else "ADDED", entry, before)

    def next_rv(self):
        self.rv += 1
        return self.rv

    def put(self, obj):
        resource = KINDS.get(obj.get("kind"))
        if not resource:
            raise CommandError("kind %r is not served here" % obj.get("kind"))
        table = self.tables[resource]
        meta = dict(obj.get("metadata") or {})
        if not meta.get("name"):
            raise CommandError("%s without metadata.name" % obj["kind"])
        if table.namespaced:
            meta.setdefault("namespace", "default")
        entry = Entry(meta.get("namespace", ""), meta["name"], meta.get("labels") or {},
                      self.next_rv(), b"")
        before = table.entries.get(entry.key())
        old = json.loads(before.item)["metadata"] if before else {}
        meta.setdefault("uid", old.get("uid") or str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", old.get("creationTimestamp", "2026-11-23T09:48:25Z"))
        meta["resourceVersion"] = str(entry.rv)
        rest = {key: value for key, value in obj.items()
                if key not in ("kind", "apiVersion", "metadata")}
        entry.item = dumps({"metadata": meta, **rest})
        self.put_entry(table, entry)

    def delete(self, resource, key):
        table = self.table(resource)
        entry = table.entries.pop(key, None)
        if not entry:
            raise CommandError("%s %s is not there" % (resource, key.lstrip("/")))
        # DELETED carries the last state with a new version.
        rv = self.next_rv()
        item = entry.item.replace(b'"resourceVersion":"%d"' % entry.rv,
                                  b'"resourceVersion":"%d"' % rv, 1)
        last = Entry(entry.namespace, entry.name, entry.labels, rv, item)
        self.record(table, "DELETED", last, entry)

    def table(self, resource):
        if resource not in self.tables:
            raise CommandError("resource %r is not one of %s" % (resource, ", ".join(RESOURCES)))
        return self.tables[resource]

    def compact(self):
        # Something elsewhere in the cluster has changed too: a version that a
        # client may hold is always an earlier one.
        self.compacted = self.next_rv()
        for table in self.tables.values():
            table.events, table.event_rvs = [], []
            table.snapshots.clear()
            table.pages.clear()


def objects_of(text):
    """Every object in TEXT: documents one after the other, Lists, recordings."""
    decoder, at, found = json.JSONDecoder(), 0, []
    while True:
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at == len(text):
            return found
        try:
            doc, at = decoder.raw_decode(text, at)
        except ValueError as error:
            raise CommandError("not JSON: %s" % error) from error
        if "response" in doc and "request" in doc:
            doc = doc["response"]["body"]
        kind = doc.get("kind", "")
        if "items" not in doc:
            found.append(doc)
            continue
        for item in doc["items"] or []:
            item.setdefault("kind", kind[:-len("List")])
            found.append(item)


# ---- generated objects ----------------------------------------------------------------

MANAGED = ('"managedFields":[{"manager":"%s","operation":"Update","apiVersion":"%s",'
           '"time":"2026-11-23T09:48:26Z","fieldsType":"FieldsV1","fieldsV1":%s}]')
SERVICE_FIELDS = (
    '{"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\\"port\\":80,\\"protocol\\":'
    '\\"TCP\\"}":{".":{},"f:name":{},"f:port":{},"f:protocol":{},"f:targetPort":{}}},'
    '"f:selector":{},"f:sessionAffinity":{},"f:type":{}}}')
SLICE_FIELDS = (
    '{"f:addressType":{},"f:endpoints":{},"f:metadata":{"f:annotations":{".":{},'
    '"f:endpoints.kubernetes.io/last-change-trigger-time":{}},"f:generateName":{},"f:labels":'
    '{".":{},"f:endpointslice.kubernetes.io/managed-by":{},"f:kubernetes.io/service-name":{}},'
    '"f:ownerReferences":{".":{},"k:{\\"uid\\":\\"%s\\"}":{}}},"f:ports":{}}')


def dotted(number):
    return "%d.%d.%d.%d" % (number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255)


def gen_uid(kind, index):
    return "%08x-0000-4000-8000-%012x" % (kind, index)


def gen_service(index, rv):
    name, namespace = "gen-%d" % index, "gen-%d" % (index % 10)
    address = dotted(0x0A601000 + index)  # 10.96.16.0
    item = (
        '{"metadata":{"name":"%s","namespace":"%s","uid":"%s","resourceVersion":"%d",'
        '"creationTimestamp":"2026-11-23T09:48:26Z",%s},"spec":{"ports":[{"name":"http",'
        '"protocol":"TCP","port":80,"targetPort":8080}],"selector":{"app":"%s"},'
        '"clusterIP":"%s","clusterIPs":["%s"],"type":"ClusterIP","sessionAffinity":"None",'
        '"ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"},'
        '"status":{"loadBalancer":{}}}') % (
            name, namespace, gen_uid(1, index), rv,
            MANAGED % ("gen", "v1", SERVICE_FIELDS), name, address, address)
    return Entry(namespace, name, {}, rv, item.encode())


def gen_endpoint(service, number, address):
    node = number % 100 + 1
    return ('{"addresses":["%s"],"conditions":{"ready":true,"serving":true,"terminating":false},'
            '"targetRef":{"kind":"Pod","namespace":"gen-%d","name":"gen-%d-%d","uid":"%s"},'
            '"nodeName":"node-%d","zone":"zone-%s"}') % (
                dotted(address), service % 10, service, number,
                gen_uid(2, address), node, "abc"[node % 3])


def gen_slice(index, count, rv, moved):
    """MOVED: {endpoint number: address} of those that churn has replaced."""
    name, namespace = "gen-%d" % index, "gen-%d" % (index % 10)
    base = 0x0A800000 + index * count  # 10.128.0.0
    endpoints = ",".join(gen_endpoint(index, i, moved.get(i, base + i)) for i in range(count))
    now = time.time()
    labels = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
              "kubernetes.io/service-name": name}
    item = (
        '{"metadata":{"name":"%s-slice","generateName":"%s-","namespace":"%s","uid":"%s",'
        '"resourceVersion":"%d","generation":1,"creationTimestamp":"2026-11-23T09:48:26Z",'
        '"labels":%s,"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"%s"},'
        '"ownerReferences":[{"apiVersion":"v1","kind":"Service","name":"%s","uid":"%s",'
        '"controller":true,"blockOwnerDeletion":true}],%s},"addressType":"IPv4",'
        '"endpoints":[%s],"ports":[{"name":"http","protocol":"TCP","port":8080}]}') % (
            name, name, namespace, gen_uid(3, index), rv, dumps(labels).decode(),
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + ".%06dZ" % (now % 1 * 1e6),
            name, gen_uid(1, index),
            MANAGED % ("kube-controller-manager", "discovery.k8s.io/v1",
                       SLICE_FIELDS % gen_uid(1, index)),
            endpoints)
    return Entry(namespace, name + "-slice", labels, rv, item.encode())


class Generator:
    """gen and churn."""

    def __init__(self, store):
        self.store = store
        self.services = self.endpoints = self.churned = self.next_address = 0
        self.moved = {}
        self.run = 0  # numbers the churns; an old one sees that it isn't its turn

    def gen(self, services, endpoints):
        if services > 900000 or services * endpoints > 4000000:
            raise CommandError("at most 900000 Services and 4000000 endpoints")
        store = self.store
        with store.lock:
            for resource, name in (("services", "gen-%d"), ("endpointslices", "gen-%d-slice")):
                for i in range(services, self.services):
                    store.delete(resource, "/gen-%d/%s" % (i % 10, name % i))
            for i in range(services):
                store.put_entry(store.tables["services"], gen_service(i, store.next_rv()))
                entry = gen_slice(i, endpoints, store.next_rv(), {})
                store.put_entry(store.tables["endpointslices"], entry)
            self.services, self.endpoints, self.moved = services, endpoints, {}
            self.next_address = 0x0A800000 + services * endpoints

    def step(self):
        """One endpoint gets another address, as when a Pod is replaced."""
        count = self.churned
        service = count * 7919 % self.services
        moved = self.moved.setdefault(service, {})
        moved[count % self.endpoints] = self.next_address
        self.next_address += 1
        with self.store.lock:
            entry = gen_slice(service, self.endpoints, self.store.next_rv(), moved)
            self.store.put_entry(self.store.tables["endpointslices"], entry)
        self.churned += 1

    def churn(self, per_second, seconds):
        self.run += 1
        if seconds <= 0:
            return
        if not self.services or not self.endpoints or per_second <= 0:
            raise CommandError("churn needs what gen makes, and a rate")
        threading.Thread(target=self.churning, args=(self.run, per_second, seconds),
                         daemon=True).start()

    def churning(self, run, per_second, seconds):
        begin = time.monotonic()
        for i in range(int(per_second * seconds)):
            wait = begin + i / per_second - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            if self.run != run:
                return
            self.step()


# ---- connections -----------------------------------------------------------------------

# Each a right Service, so that only their number is wrong.
ENDLESS_ITEM = (
    b'{"metadata":{"name":"o%d","namespace":"NS","uid":"00000000-0000-4000-8000-000000000000",'
    b'"resourceVersion":"1000","creationTimestamp":"2026-11-23T09:48:26Z"},"spec":{"ports":[{'
    b'"name":"http","protocol":"TCP","port":80,"targetPort":8080}],"clusterIP":"10.111.0.%d",'
    b'"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4"]}}')


class Fault:
    def __init__(self, resource, verb, what, arguments, times):
        self.resource, self.verb, self.what = resource, verb, what
        self.arguments, self.times = arguments, times


class Request:
    def __init__(self, line, headers):
        self.line, self.headers = line, headers
        self.method, self.target, _ = line.split(" ", 2)
        url = urllib.parse.urlsplit(self.target)
        self.path = url.path
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.resource = self.namespace = self.name = None
        self.verb = "get"
        self.find_resource()

    def find_resource(self):
        match = re.fullmatch(r"/(?:api/(v1)|apis/([^/]+/v1))(?:/namespaces/([^/]+))?"
                             r"/([a-z]+)(?:/([^/]+))?", self.path)
        if not match or match[4] not in RESOURCES:
            return
        if RESOURCES[match[4]][0] != (match[1] or match[2]):
            return
        self.resource, self.namespace, self.name = match[4], match[3], match[5]
        if self.query.get("watch") in ("1", "true"):
            self.verb = "watch"
        elif not self.name:
            self.verb = "list"

    def number(self, name, default):
        try:
            return int(self.query.get(name) or default)
        except ValueError as error:
            raise Refusal(400, 'invalid %s: "%s"' % (name, self.query[name])) from error


class Connection:
    """One client, in a thread of its own."""

    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        self.raw = sock  # stays the TCP socket, to be shut down by another thread
        self.buffer = b""
        self.frozen = server.freeze_new
        self.rate = 0  # bytes a second of the bodies; 0: no limit
        self.closed = False

    # -- bytes

    def live(self):
        """Waits while frozen: a half-open connection, until it is closed."""
        while self.frozen and not self.closed:
            time.sleep(0.05)
        if self.closed:
            raise Gone

    def send(self, data):
        if not self.rate:
            self.live()
            self.sock.sendall(data)
            self.server.count("sent_bytes", len(data))
            return
        step = max(1, self.rate // 10)
        for at in range(0, len(data), step):
            self.live()
            self.sock.sendall(data[at:at + step])
            self.server.count("sent_bytes", len(data[at:at + step]))
            time.sleep(len(data[at:at + step]) / self.rate)

    def read_request(self):
        while b"\r\n\r\n" not in self.buffer:
            self.live()
            data = self.sock.recv(65536)
            self.live()
            if not data or len(self.buffer) > HEAD_MAX:
                raise Gone
            self.buffer += data
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if lines[0].count(" ") != 2:
            raise Gone
        return Request(lines[0], headers)

    def hung_up(self):
        """Whether the client has gone, without waiting."""
        readable, _, _ = select.select([self.raw], [], [], 0)
        if not readable:
            return False
        self.sock.settimeout(0.2)
        try:
            data = self.sock.recv(65536)
            self.buffer += data
            return not data
        except (TimeoutError, ssl.SSLWantReadError):
            return False  # TLS's own: a key update, a session ticket's answer
        finally:
            self.sock.settimeout(None)

    # -- answers

    def head(self, code, headers):
        lines = ["HTTP/1.1 %d %s" % (code, PHRASES.get(code, "Unknown")),
                 "Audit-Id: %s" % uuid.uuid4(), "Cache-Control: no-cache, private"]
        lines += ["%s: %s" % pair for pair in headers]
        lines.append("Date: " + email.utils.formatdate(usegmt=True))
        rate, self.rate = self.rate, 0
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.rate = rate
        self.server.count_status(code)

    def answer(self, code, body, content_type="application/json", extra=()):
        headers = [("Content-Type", content_type), *extra, ("Content-Length", len(body))]
        self.head(code, headers)
        self.send(body)

    def begin_chunks(self, extra=()):
        self.head(200, [("Content-Type", "application/json"), *extra,
                        ("Transfer-Encoding", "chunked")])

    def refuse(self, refusal):
        if refusal.plain is not None:
            self.answer(refusal.code, refusal.plain, "text/plain; charset=utf-8",
                        [("X-Content-Type-Options", "nosniff")])
            return
        extra = []
        if refusal.retry_after is not None:
            extra.append(("Retry-After", refusal.retry_after))
        body = dumps(status_object(refusal.code, refusal.message, refusal.metadata))
        self.answer(refusal.code, body, extra=extra)

    # -- life

    def run(self):
        try:
            if self.server.take_one("noise"):
                self.raw.sendall(os.urandom(512))
                return
            self.raw.settimeout(60)
            self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
            self.sock.settimeout(None)
            self.raw = self.sock
            while self.serve():
                pass
        except (OSError, Gone, ValueError):
            pass
        finally:
            self.server.forget(self)

    def shut(self):
        self.closed = True
        try:
            # Not SSLSocket's own, which is not for two threads at once.
            socket.socket.shutdown(self.raw, socket.SHUT_RDWR)
        except OSError:
            pass

    def serve(self):
        request = self.read_request()
        self.live()
        self.rate = 0
        self.server.note(request)
        try:
            self.handle(request)
        except Refusal as refusal:
            self.refuse(refusal)
        return request.headers.get("connection", "").lower() != "close"

    def handle(self, request):
        self.authorize(request)
        if request.method != "GET":
            raise Refusal(405, "the server does not allow this method on the requested resource")
        if request.path in ("/healthz", "/livez", "/readyz"):
            self.answer(200, b"ok", "text/plain; charset=utf-8")
            return
        if request.path == "/version":
            self.answer(200, dumps({"major": "1", "minor": "36", "gitVersion": "v1.36.0"}))
            return
        if not request.resource:
            self.unknown(request)
        fault = self.server.take_fault(request)
        if fault:
            if self.misbehave(request, fault):
                return
        if request.verb == "watch":
            self.watch(request)
        elif request.verb == "list":
            self.list(request)
        else:
            self.get(request)

    def unknown(self, request):
        group = re.match(r"/apis/([^/]+)/", request.path)
        known = {version.split("/")[0] for version, *_ in RESOURCES.values() if "/" in version}
        if group and group[1] not in known:
            raise Refusal(404, "", plain=b"404 page not found\n")
        raise Refusal(404, "the server could not find the requested resource")

    def authorize(self, request):
        server = self.server
        if not server.token and not server.client_certs:
            return
        if server.client_certs and self.sock.getpeercert():
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if server.token and scheme.lower() == "bearer" and token == server.token:
            return
        raise Refusal(401, "Unauthorized")

    # -- what is asked for

    def get(self, request):
        store = self.server.store
        with store.lock:
            table = store.tables[request.resource]
            key = "/%s/%s" % (request.namespace, request.name)
            entry = table.entries.get(key if table.namespaced else "/" + request.name)
            body = entry and table.with_kind(entry)
        if not body:
            raise Refusal(404, '%s "%s" not found' % (request.resource, request.name))
        self.answer(200, body)

    def list(self, request):
        self.server.count("pages", 1)
        if "continue" not in request.query:
            self.server.count("lists", 1)
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        body, is_zipped = self.server.lister.page(request, zipped)
        extra = [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")] if is_zipped else []
        self.begin_chunks(extra)
        for at in range(0, len(body), 65536):
            self.send(chunk(body[at:at + 65536]))
        self.send(b"0\r\n\r\n")

    def watch(self, request):
        Watch(self, request).run()

    # -- faults

    def misbehave(self, request, fault):
        """@return whether the request has been dealt with"""
        if fault.what == "slow":
            self.rate = int(fault.arguments[0])
            return False
        self.server.count("faults", 1)
        try:
            getattr(self, "fault_" + fault.what.replace("-", "_"))(request, fault)
        except OSError:
            self.server.count("given_up", 1)
            raise
        return True

    def fault_status(self, _request, fault):
        code, retry_after = int(fault.arguments[0]), None
        for argument in fault.arguments[1:]:
            if argument.startswith("retry-after="):
                retry_after = argument.split("=", 1)[1]
        raise Refusal(code, "%s, on command" % PHRASES.get(code, "status %d" % code), retry_after)

    def fault_garbage(self, _request, _fault):
        self.begin_chunks()
        self.send(chunk(os.urandom(4096)) + b"0\r\n\r\n")

    def fault_garbage_http(self, _request, _fault):
        self.send(os.urandom(4096))
        raise Gone

    def fault_broken_json(self, request, _fault):
        body, _ = self.server.lister.page(request, False)
        self.begin_chunks()
        self.send(chunk(body[:len(body) * 2 // 3]) + b"0\r\n\r\n")

    def fault_truncate(self, request, _fault):
        body, _ = self.server.lister.page(request, False)
        self.begin_chunks()
        self.send(b"%x\r\n%s" % (len(body), body[:len(body) // 2]))
        raise Gone

    def fault_endless(self, request, fault):
        items = int(fault.arguments[0]) if fault.arguments else 1 << 62
        self.server.count("lists", 1)
        self.begin_chunks()
        version, kind, _, _ = RESOURCES[request.resource]
        self.send(chunk(b'{"kind":"%sList","apiVersion":"%s","metadata":{"resourceVersion":"%d"},'
                        b'"items":[' % (kind.encode(), version.encode(), self.server.store.rv)))
        block = b",".join(ENDLESS_ITEM % (i, i % 250 + 1) for i in range(1000))
        for number in range((items + 999) // 1000):
            self.send(chunk((b"," if number else b"") + block.replace(b"NS", b"n%d" % number)))
        self.send(chunk(b"]}") + b"0\r\n\r\n")

    def fault_endless_string(self, _request, _fault):
        self.begin_chunks()
        self.send(chunk(b'{"type":"ADDED","items":[{"metadata":{"name":"'))
        while True:
            self.send(chunk(b"x" * 65536))

    def fault_stall(self, _request, _fault):
        while not self.hung_up():
            self.live()
            time.sleep(0.1)
        raise Gone


class Lister:
    """Pages of lists, kept once they are rendered."""

    def __init__(self, server):
        self.server, self.store = server, server.store

    def position(self, request, table):
        """(resourceVersion, entries, index of the first one) that a page begins at"""
        token = request.query.get("continue")
        if not token:
            wanted = request.number("resourceVersion", 0)
            if request.query.get("resourceVersionMatch") == "Exact" and wanted != self.store.rv:
                raise Refusal(410, EXPIRED_LIST)
            if wanted > self.store.rv:
                raise Refusal(504, "Timeout: Too large resource version: %d, current: %d"
                              % (wanted, self.store.rv), retry_after=1)
            return self.store.rv, table.snapshot(self.store.rv), 0
        try:
            token = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            rv, start = token["rv"], token["start"]
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(400, "continue key is not valid: %s" % error) from error
        if rv == -1:
            rv = self.store.rv  # the client has been told that this is inconsistent
            entries = table.snapshot(rv)
        elif self.server.take_one("expire") or rv not in table.snapshots:
            raise Refusal(410, EXPIRED_CONTINUE, metadata={"continue": self.token(-1, start)})
        else:
            entries = table.snapshots[rv]
        keys = [entry.key() for entry in entries]
        return rv, entries, bisect.bisect_left(keys, start)

    @staticmethod
    def token(rv, start):
        token = dumps({"v": "meta.k8s.io/v1", "rv": rv, "start": start})
        return base64.urlsafe_b64encode(token).decode().rstrip("=")

    def page(self, request, zipped):
        """(body, whether it is gzipped)"""
        selector = Selector(request.query, request.namespace)
        limit = request.number("limit", 0)
        if request.query.get("resourceVersion") == "0":
            limit = 0  # as the real one does
        with self.store.lock:
            table = self.store.tables[request.resource]
            rv, entries, first = self.position(request, table)
            key = (rv, selector.key, first, limit, zipped)
            if key not in table.pages:
                table.pages[key] = self.render(table, rv, entries[first:], selector, limit)
                body = table.pages[key]
                if zipped and len(body) > GZIP_FROM:
                    table.pages[key] = gzip.compress(body, 1)
            body = table.pages[key]
        return body, body[:2] == b"\x1f\x8b"

    def render(self, table, rv, entries, selector, limit):
        items, at = [], 0
        while at < len(entries) and (not limit or len(items) < limit):
            if selector.match(entries[at]):
                items.append(entries[at].item)
            at += 1
        meta = {"resourceVersion": str(rv)}
        if at < len(entries):
            meta["continue"] = self.token(rv, entries[at - 1].key() + "\0")
            if selector.all:
                meta["remainingItemCount"] = len(entries) - at
        return b'{"kind":"%sList","apiVersion":"%s","metadata":%s,"items":[%s]}\n' % (
            table.kind.encode(), table.version.encode(), dumps(meta), b",".join(items))

    def warm(self, url):
        request = Request("GET %s HTTP/1.1" % url, {})
        if request.verb != "list" or not request.resource:
            raise CommandError("%s is no list" % url)
        pages = 0
        while True:
            plain, _ = self.page(request, False)
            self.page(request, True)
            pages += 1
            token = json.loads(plain)["metadata"].get("continue")
            if not token:
                return "%d pages" % pages
            request.query["continue"] = token


class Watch:
    """One watch, until it ends."""

    def __init__(self, connection, request):
        self.connection, self.request = connection, request
        self.server, self.store = connection.server, connection.server.store
        self.table = self.store.tables[request.resource]
        self.selector = Selector(request.query, request.namespace)
        if request.name:
            self.selector.fields["metadata.name"] = request.name
            self.selector.all = False
        self.bookmarks = request.query.get("allowWatchBookmarks") in ("1", "true")
        try:
            self.rv = int(request.query.get("resourceVersion") or 0)
        except ValueError as error:
            raise Refusal(500, "strconv.ParseUint: parsing %r: invalid syntax"
                          % request.query["resourceVersion"]) from error
        now = time.monotonic()
        self.ends = now + (request.number("timeoutSeconds", 0) or WATCH_DEFAULT_S)
        self.next_bookmark = now + self.server.bookmark_s
        self.injected = []

    def run(self):
        self.server.count("watches", 1)
        self.connection.begin_chunks()
        self.server.watching_now(self, True)
        try:
            if self.rv == 0 or self.request.query.get("sendInitialEvents") == "true":
                self.send(self.initial())
            elif self.expired():
                return
            self.follow()
            self.connection.send(b"0\r\n\r\n")
        finally:
            self.server.watching_now(self, False)

    def send(self, lines):
        if lines:
            self.connection.send(b"".join(chunk(line + b"\n") for line in lines))

    def expired(self):
        with self.store.lock:
            compacted = self.store.compacted
        if self.rv >= compacted:
            return False
        status = status_object(410, "too old resource version: %d (%d)" % (self.rv, compacted))
        self.server.count_status(410)
        self.send([dumps({"type": "ERROR", "object": status})])
        self.connection.send(b"0\r\n\r\n")
        return True

    def initial(self):
        with self.store.lock:
            self.rv = self.store.rv
            entries = [entry for entry in self.table.snapshot(self.rv)
                       if self.selector.match(entry)]
        lines = [b'{"type":"ADDED","object":%s}' % self.table.with_kind(entry)
                 for entry in entries]
        if self.bookmarks:
            lines.append(self.table.bookmark(self.rv, True))
        return lines

    def line(self, event):
        """What EVENT is to somebody with this selector; None: nothing."""
        _, kind, entry, before = event
        is_in = kind != "DELETED" and self.selector.match(entry)
        was_in = kind != "ADDED" and self.selector.match(before)
        if not is_in and not was_in:
            return None
        kind = "DELETED" if not is_in else "MODIFIED" if was_in else "ADDED"
        return b'{"type":"%s","object":%s}' % (kind.encode(), self.table.with_kind(entry))

    def follow(self):
        """Events as they come, until the time is up or the client is gone."""
        seen = self.store.wakeups
        while True:
            now = time.monotonic()
            with self.store.lock:
                if not self.pending() and self.store.wakeups == seen:
                    wait = min(self.ends - now, self.next_bookmark - now, 0.5)
                    self.store.changed.wait(max(0.001, wait))
                seen = self.store.wakeups
                events = self.pending()
                raw, self.injected = self.injected, []
                current = self.store.rv
                if events:
                    self.rv = events[-1][0]
            self.send([line for line in map(self.line, events) if line])
            for data in raw:
                self.connection.send(chunk(data))
            if self.over(current):
                return

    def pending(self):
        table = self.table
        return table.events[bisect.bisect_right(table.event_rvs, self.rv):]

    def over(self, current):
        now = time.monotonic()
        if now >= self.next_bookmark:
            self.next_bookmark = now + self.server.bookmark_s
            if self.bookmarks:
                self.send([self.table.bookmark(max(current, self.rv))])
        self.connection.live()
        if self.connection.hung_up():
            raise Gone
        return now >= self.ends


# ---- the server ---------------------------------------------------------------------------

class Server:
    def __init__(self, options):
        self.options = options
        self.token, self.client_certs = options.token, options.client_certs
        self.bookmark_s = options.bookmark_s
        self.store = Store()
        self.generator = Generator(self.store)
        self.lister = Lister(self)
        self.lock = threading.Lock()
        self.connections, self.watches = set(), set()
        self.faults = []
        self.freeze_new = False
        self.left = {"noise": 0, "expire": 0}  # how often they still happen
        self.reset_stats()
        self.tls = self.make_tls()
        self.family = socket.AF_INET
        self.address = self.parse_listen(options.listen)
        self.listener = None
        self.accepting = threading.Event()
        self.accepting.set()
        self.timer = None

    def parse_listen(self, text):
        address, _, port = text.rpartition(":")
        if address.startswith("["):
            self.family, address = socket.AF_INET6, address[1:-1]
        return address, int(port)

    def make_tls(self):
        certs = self.options.certs
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        tls.load_cert_chain(certs + "/server.crt", certs + "/server.key")
        tls.set_alpn_protocols(["http/1.1"])
        if self.client_certs:
            tls.verify_mode = ssl.CERT_OPTIONAL
            tls.load_verify_locations(certs + "/ca.crt")
        return tls

    # -- what went on

    def reset_stats(self):
        self.counts = dict.fromkeys(
            ("connections", "requests", "lists", "pages", "watches", "sent_bytes",
             "faults", "given_up"), 0)
        self.statuses = collections.Counter()
        self.lines = collections.deque(maxlen=REQUESTS_KEPT)

    def count(self, name, by):
        with self.lock:
            self.counts[name] += by

    def count_status(self, code):
        with self.lock:
            self.statuses[str(code)] += 1

    def note(self, request):
        with self.lock:
            self.counts["requests"] += 1
            self.lines.append(request.line)
        if self.options.verbose:
            print(request.line, file=sys.stderr, flush=True)

    def stats(self):
        with self.lock:
            watching = collections.Counter(watch.request.resource for watch in self.watches)
            return {**self.counts, "open": len(self.connections), "watching": watching,
                    "statuses": self.statuses, "version": self.store.rv,
                    "churned": self.generator.churned}

    def watching_now(self, watch, begins):
        with self.lock:
            (self.watches.add if begins else self.watches.discard)(watch)

    # -- faults that are to come

    def take_fault(self, request):
        with self.lock:
            for fault in self.faults:
                if fault.resource in ("*", request.resource) and fault.verb in ("*", request.verb):
                    fault.times -= 1
                    if not fault.times:
                        self.faults.remove(fault)
                    return fault
        return None

    def take_one(self, name):
        with self.lock:
            left = self.left[name]
            self.left[name] = max(0, left - 1)
        return left > 0

    # -- connections

    def listen(self):
        self.listener = socket.socket(self.family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self.address)
        self.listener.listen(128)
        self.address = self.listener.getsockname()[:2]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while listener is self.listener:
            self.accepting.wait()
            try:
                readable, _, _ = select.select([listener], [], [], 0.1)
                if not readable or not self.accepting.is_set():
                    continue
                sock, _ = listener.accept()
            except (OSError, ValueError):
                return  # down() has closed it
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, sock)
            with self.lock:
                self.connections.add(connection)
                self.counts["connections"] += 1
            threading.Thread(target=connection.run, daemon=True).start()

    def forget(self, connection):
        with self.lock:
            self.connections.discard(connection)
        try:
            connection.sock.close()
        except OSError:
            pass

    def close_all(self):
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            connection.shut()
        self.wake_watches()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with self.lock:
                if not self.connections.intersection(connections):
                    return
            time.sleep(0.01)

    def wake_watches(self):
        with self.store.lock:
            self.store.wake()

    def down(self):
        listener, self.listener = self.listener, None
        if listener:
            # Closing alone does nothing as long as accept() waits in select().
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.accepting.set()
        self.close_all()

    def up(self):
        if self.timer:
            self.timer.cancel()
            self.timer = None
        self.accepting.set()
        if not self.listener:
            self.listen()

    def up_later(self, arguments):
        if arguments:
            self.timer = threading.Timer(float(arguments[0]), self.up)
            self.timer.daemon = True
            self.timer.start()

    def write_kubeconfig(self, path):
        certs, host = os.path.abspath(self.options.certs), self.address[0]
        host = "[%s]" % host if ":" in host else host
        user = {"token": self.token} if self.token else {}
        if self.client_certs and not self.token:
            user = {"client-certificate": certs + "/client.crt",
                    "client-key": certs + "/client.key"}
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": "https://%s:%d" % (host, self.address[1]),
                "certificate-authority": certs + "/ca.crt"}}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]}
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(config, file, indent=1)  # JSON is YAML
        os.rename(path + ".new", path)


# ---- commands ---------------------------------------------------------------------------------

class Control:
    """The unix socket: {"command", "arguments", "data"} and {"error"} or {"out"}, a line each."""

    def __init__(self, server, path):
        self.server, self.store = server, server.store
        if os.path.exists(path):
            os.unlink(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(path)
        self.socket.listen(16)

    def run(self):
        while True:
            sock, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with sock, sock.makefile("rwb") as file:
            try:
                message = json.loads(file.readline())
                reply = {"out": self.command(message)}
            except (CommandError, Refusal) as error:
                reply = {"error": str(error)}
            except (ValueError, IndexError, TypeError) as error:
                reply = {"error": "%s: wrong arguments (%s)" % (message.get("command"), error)}
            try:
                file.write(dumps(reply) + b"\n")
                file.flush()
            except OSError:
                pass

    def command(self, message):
        name = message["command"]
        function = getattr(self, "do_" + name.replace("-", "_"), None)
        if not function:
            raise CommandError("no command %r" % name)
        data = base64.b64decode(message["data"]) if message.get("data") else b""
        return function(message.get("arguments") or [], data)

    # -- objects

    def do_load(self, _arguments, data):
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        found = objects_of(data.decode())
        with self.store.lock:
            for obj in found:
                self.store.put(obj)
            return str(self.store.rv)

    do_put = do_load

    def do_delete(self, arguments, _data):
        resource, name = arguments
        namespaced = RESOURCES.get(resource, (0, 0, False))[2]
        if namespaced and "/" not in name:
            name = "default/" + name
        with self.store.lock:
            self.store.delete(resource, "/" + name)
            return str(self.store.rv)

    def do_clear(self, arguments, _data):
        with self.store.lock:
            for key in sorted(self.store.table(arguments[0]).entries):
                self.store.delete(arguments[0], key)

    def do_gen(self, arguments, _data):
        self.server.generator.gen(int(arguments[0]), int(arguments[1]))

    def do_warm(self, arguments, _data):
        return self.server.lister.warm(arguments[0])

    def do_churn(self, arguments, _data):
        self.server.generator.churn(float(arguments[0]), float(arguments[1]))

    def do_version(self, _arguments, _data):
        return str(self.store.rv)

    # -- misdeeds

    def do_compact(self, _arguments, _data):
        with self.store.lock:
            self.store.compact()

    def do_expire_continue(self, arguments, _data):
        self.server.left["expire"] = int(arguments[0]) if arguments else 1

    def do_token(self, arguments, _data):
        self.server.token = arguments[0]

    def do_close(self, _arguments, _data):
        self.server.close_all()

    def do_down(self, arguments, _data):
        self.server.down()
        self.server.up_later(arguments)

    def do_pause(self, arguments, _data):
        self.server.accepting.clear()
        self.server.up_later(arguments)

    def do_up(self, _arguments, _data):
        self.server.up()

    def do_freeze(self, arguments, _data):
        self.server.freeze_new = arguments == ["all"]
        with self.server.lock:
            for connection in self.server.connections:
                connection.frozen = True

    def do_thaw(self, _arguments, _data):
        self.server.freeze_new = False

    def do_noise(self, arguments, _data):
        self.server.left["noise"] = int(arguments[0]) if arguments else 1

    def do_inject(self, arguments, data):
        count = 0
        with self.server.lock:
            watches = list(self.server.watches)
        with self.store.lock:
            for watch in watches:
                if watch.request.resource == arguments[0]:
                    watch.injected.append(data)
                    count += 1
            self.store.wake()
        return "%d watches" % count

    def do_fault(self, arguments, _data):
        times, rest = 0, []
        for argument in arguments[3:]:
            if argument.startswith("times="):
                times = int(argument[6:])
            else:
                rest.append(argument)
        resource, verb, what = arguments[:3]
        if resource != "*":
            self.store.table(resource)
        if verb not in ("*", "get", "list", "watch"):
            raise CommandError("verb %r is not get, list, watch or *" % verb)
        if what != "slow" and not hasattr(Connection, "fault_" + what.replace("-", "_")):
            raise CommandError("no fault %r" % what)
        if what in ("slow", "status"):
            int(rest[0])
        with self.server.lock:
            self.server.faults.append(Fault(resource, verb, what, rest, times))

    def do_clear_faults(self, _arguments, _data):
        with self.server.lock:
            self.server.faults.clear()

    # -- what went on

    def do_stats(self, _arguments, _data):
        return json.dumps(self.server.stats(), indent=1)

    def do_requests(self, arguments, _data):
        with self.server.lock:
            lines = list(self.server.lines)
        return "\n".join(lines[-int(arguments[0]):] if arguments else lines)

    def do_reset_stats(self, _arguments, _data):
        with self.server.lock:
            self.server.reset_stats()


def parse_options():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("--certs", required=True)
    parser.add_argument("--control", required=True)
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--token")
    parser.add_argument("--client-certs", action="store_true")
    parser.add_argument("--kubeconfig")
    parser.add_argument("--load", action="append", default=[])
    parser.add_argument("--bookmark-s", type=float, default=60)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    if "-h" in sys.argv or "--help" in sys.argv:
        print(__doc__.strip())
        sys.exit(0)
    return parser.parse_args()


def main():
    options = parse_options()
    server = Server(options)
    control = Control(server, options.control)
    for path in options.load:
        with open(path, "rb") as file:
            control.do_load([], file.read())
    server.listen()
    if options.kubeconfig:
        server.write_kubeconfig(options.kubeconfig)
    print("https://%s:%d" % server.address, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    control.run()


if __name__ == "__main__":
    main()
