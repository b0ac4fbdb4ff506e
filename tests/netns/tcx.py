#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""tcx.py INTERFACE ingress|egress [clear|ids]: how many tc programs are on it, tcx and clsact; takes them off; ids on tcx.

Runs in the node's namespace, where a tool of today would; those of Debian 12 know no tcx.
"""
import ctypes
import socket
import struct
import subprocess
import sys

BPF_PROG_DETACH, BPF_PROG_GET_FD_BY_ID, BPF_PROG_QUERY = 9, 13, 16
TYPES = {"ingress": 46, "egress": 47}
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    return libc.syscall(321, command, attr, len(attr))


def tcx_programs(ifindex, direction):
    ids = (ctypes.c_uint32 * 16)()
    attr = ctypes.create_string_buffer(
        struct.pack("IIIIQII4Q", ifindex, TYPES[direction], 0, 0, ctypes.addressof(ids), 16, 0, 0, 0, 0, 0), 64)
    if bpf(BPF_PROG_QUERY, attr) < 0:
        return []  # a kernel without tcx
    return list(ids[:struct.unpack_from("I", attr, 24)[0]])


def tcx_clear(ifindex, direction):
    for number in tcx_programs(ifindex, direction):
        fd = bpf(BPF_PROG_GET_FD_BY_ID, ctypes.create_string_buffer(struct.pack("III", number, 0, 0), 12))
        attr = ctypes.create_string_buffer(struct.pack("IIIIIIQ", ifindex, fd, TYPES[direction], 0, 0, 0, 0), 32)
        if bpf(BPF_PROG_DETACH, attr) < 0:
            sys.exit(f"cannot detach program {number}: errno {ctypes.get_errno()}")


def filters(interface, direction):
    said = subprocess.run(["tc", "filter", "show", "dev", interface, direction], capture_output=True, text=True)
    return said.stdout.count("handle 0x")


def main(interface, direction, verb=None):
    ifindex = socket.if_nametoindex(interface)
    if verb == "ids":
        print(*tcx_programs(ifindex, direction))
        return
    if verb == "clear":
        tcx_clear(ifindex, direction)
        subprocess.run(["tc", "filter", "del", "dev", interface, direction], capture_output=True)
    print(len(tcx_programs(ifindex, direction)) + filters(interface, direction))


main(*sys.argv[1:])
