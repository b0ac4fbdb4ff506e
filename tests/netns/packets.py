# SPDX-License-Identifier: BSD-2-Clause
"""Packets made by hand, and Dysco messages written from docs/protocol.md alone.

This is a second implementation of the wire format on purpose: it shares no
code with wire/, so that the two check each other.
"""
import hashlib
import hmac
import os
import select
import socket
import struct
import time

import peers

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20

MAGIC = 0xD75C0C0D
MSG_SYN, MSG_TRACE, MSG_TRACE_REPLY = 1, 2, 3
TLV_SESSION_ID, TLV_SESSION, TLV_SUBSESSION, TLV_ADDRESSES = 1, 2, 3, 4
TLV_TRACE, TLV_REPORT, TLV_HMAC = 5, 6, 7
OPTION_MARK = bytes((253, 4, 0xD7, 0x5C))


def checksum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return socket.inet_pton(peers.family(address), address)


def packed16(address):
    """As in messages: IPv4 in its mapped form."""
    raw = packed(address)
    return raw if len(raw) == 16 else bytes(10) + b"\xff\xff" + raw


def tcp_segment(src, dst, sport, dport, flags=SYN, seq=1000, ack=0, window=65535, options=b"", payload=b""):
    options += bytes(-len(options) % 4)
    offset = (20 + len(options)) // 4
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, offset << 4, flags, window, 0, 0)
    segment = head + options + payload
    pseudo = packed(src) + packed(dst)
    if ":" in src:
        pseudo += struct.pack("!IBBBB", len(segment), 0, 0, 0, 6)
    else:
        pseudo += struct.pack("!BBH", 0, 6, len(segment))
    return segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]


def ip_packet(src, dst, l4, protocol=6, fragment=0, ttl=64):
    if ":" in src:
        return struct.pack("!IHBB", 6 << 28, len(l4), protocol, ttl) + packed(src) + packed(dst) + l4
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4), 0x1234, fragment, ttl, protocol, 0) + packed(src) + packed(dst)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + l4


def tcp_packet(src, dst, sport, dport, **segment):
    return ip_packet(src, dst, tcp_segment(src, dst, sport, dport, **segment))


# ---- messages ----


def tlv(kind, value, flags=0):
    return struct.pack("!BBH", kind, flags, len(value)) + value


def five_tuple(src, dst, sport, dport):
    return packed16(src) + packed16(dst) + struct.pack("!HH", sport, dport)


def address_list(hops, following=0):
    """hops: addresses, the destination last; following: index of the host addressed."""
    value = struct.pack("!BBH", following, len(hops), 0)
    for hop in hops:
        value += packed16(hop) + struct.pack("!HHI", 0, 0, 0)
    return tlv(TLV_ADDRESSES, value)


def message(kind, tlvs, key=None, sender=None, counter=None):
    """key: (id, 32 bytes) or None."""
    body = b"".join(tlvs)
    total = 28 + len(body) + (36 if key else 0)
    sender = sender if sender is not None else int.from_bytes(os.urandom(8), "big") | 1
    counter = counter if counter is not None else time.time_ns() // 1000
    out = struct.pack("!IBBHHHQQ", MAGIC, 1, kind, total, key[0] if key else 0, 0, sender, counter) + body
    if key:
        out += struct.pack("!BBH", TLV_HMAC, 0, 32)
        out += hmac.new(key[1], out, hashlib.sha256).digest()
    return out


def syn_tlvs(session, subsession, hops, following=0, session_id=None):
    return [
        tlv(TLV_SESSION_ID, session_id or os.urandom(16)),
        tlv(TLV_SESSION, five_tuple(*session)),
        tlv(TLV_SUBSESSION, five_tuple(*subsession)),
        address_list(hops, following),
    ]


def syn_message(session, subsession, hops, following=0, session_id=None, **header):
    """session, subsession: (src, dst, sport, dport)."""
    return message(MSG_SYN, syn_tlvs(session, subsession, hops, following, session_id), **header)


# ---- the wire ----


class Wire:
    """Packets put straight on one interface, and seen on it, tc programs apart (sending)."""

    def __init__(self, netns, ifname):
        with peers.inside(netns):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.bind((ifname, ETH_P_ALL))
            self.socket.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.mac = self.socket.getsockname()[4]
        self.peer_mac = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def towards(self, mac):
        """The receiver's link-layer address (mac_of())."""
        self.peer_mac = mac
        return self

    def send(self, packet):
        kind = ETH_P_IPV6 if packet[:1] and packet[0] >> 4 == 6 else ETH_P_IP
        self.socket.send(self.peer_mac + self.mac + struct.pack("!H", kind) + packet)

    def received(self, timeout=0.0):
        """The IP packets seen since the last call, waiting `timeout` for a first one."""
        packets = []
        while select.select([self.socket], [], [], 0.0 if packets else timeout)[0]:
            frame = self.socket.recv(1 << 17)
            if struct.unpack("!H", frame[12:14])[0] in (ETH_P_IP, ETH_P_IPV6):
                packets.append(frame[14:])
        return packets


def mac_of(netns, ifname):
    with Wire(netns, ifname) as wire:
        return wire.mac


class Seen:
    """The headers of a TCP packet; .ok is false when it is none."""

    def __init__(self, packet):
        self.raw = packet
        self.ok = False
        if len(packet) < 40:
            return
        if packet[0] >> 4 == 4:
            at, protocol = (packet[0] & 15) * 4, packet[9]
            self.src, self.dst = socket.inet_ntop(socket.AF_INET, packet[12:16]), socket.inet_ntop(socket.AF_INET, packet[16:20])
            self.total = struct.unpack("!H", packet[2:4])[0]
        else:
            at, protocol = 40, packet[6]
            self.src, self.dst = socket.inet_ntop(socket.AF_INET6, packet[8:24]), socket.inet_ntop(socket.AF_INET6, packet[24:40])
            self.total = 40 + struct.unpack("!H", packet[4:6])[0]
        if protocol != 6 or len(packet) < at + 20:
            return
        self.sport, self.dport, self.seq, self.ack, offset, self.flags = struct.unpack("!HHIIBB", packet[at : at + 14])
        self.options = packet[at + 20 : at + (offset >> 4) * 4]
        self.payload = packet[at + (offset >> 4) * 4 : self.total]
        self.ok = True

    def is_syn(self):
        return self.ok and self.flags & (SYN | ACK) == SYN

    def is_ours(self):
        return self.ok and self.payload[:4] == struct.pack("!I", MAGIC)
