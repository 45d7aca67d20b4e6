#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Print the packets of a pcapng file: time, device, comment, SOURCE > DESTINATION, bytes.

Strict: a block, an option or a length that is not as the format has it is an error.
"""
import ipaddress
import struct
import sys


def blocks(data):
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if length % 4 or length < 12 or at + length > len(data):
            sys.exit(f"offset {at}: a block of {length} bytes")
        if struct.unpack_from("<I", data, at + length - 4)[0] != length:
            sys.exit(f"offset {at}: the lengths of a block differ")
        yield kind, data[at + 8 : at + length - 4]
        at += length


def options(data):
    found = {}
    at = 0
    while at < len(data):
        code, length = struct.unpack_from("<HH", data, at)
        if code == 0:
            if length or at + 4 != len(data):
                sys.exit("the end of options is not the end of the block")
            return found
        found[code] = data[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    sys.exit("options have no end")


def ends(frame):
    proto = struct.unpack_from("!H", frame, 12)[0]
    if proto == 0x0800:
        l4 = 14 + (frame[14] & 15) * 4
        src, dst = frame[26:30], frame[30:34]
    elif proto == 0x86DD:
        l4 = 54
        src, dst = frame[22:38], frame[38:54]
    else:
        sys.exit(f"a frame of protocol {proto:#x}")
    ports = struct.unpack_from("!HH", frame, l4)
    return [f"{ipaddress.ip_address(a)}:{p}" for a, p in zip((src, dst), ports)]


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    devices = []
    for n, (kind, body) in enumerate(blocks(data)):
        if n == 0:
            magic, major, minor = struct.unpack_from("<IHH", body)
            if kind != 0x0A0D0D0A or (magic, major, minor) != (0x1A2B3C4D, 1, 0):
                sys.exit("no section header")
            options(body[16:])
        elif kind == 1:
            link, _, snaplen = struct.unpack_from("<HHI", body)
            found = options(body[8:])
            if link != 1 or found[9] != b"\x09":
                sys.exit("not Ethernet in nanoseconds")
            devices.append((found[2].decode(), snaplen))
        elif kind == 6:
            device, high, low, taken, length = struct.unpack_from("<IIIII", body)
            name, snaplen = devices[device]
            if taken > length or taken > snaplen:
                sys.exit(f"a packet of {length} bytes has {taken}")
            found = options(body[20 + (taken + 3) // 4 * 4 :])
            src, dst = ends(body[20 : 20 + taken])
            time = (high << 32 | low) / 1e9
            print(f"{time:.6f} {name} {found[1].decode()}, {src} > {dst} {length}")
        else:
            sys.exit(f"a block of type {kind}")


main()
