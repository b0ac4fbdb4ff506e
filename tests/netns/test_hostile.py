# SPDX-License-Identifier: BSD-2-Clause
"""Packets made to hurt, put on the wire in front of a running agent.

fw1 is the victim: its nic attachment takes what the router's end of its link
sends. Where a build with sanitizers is there, its agent is the one that runs.
"""
import os
import random
import socket
import struct

import packets
import peers
import topology
from cases import OnStar
from packets import ACK, FIN, OPTION_MARK, PSH, RST, SYN, URG

FW1, CLIENT, SERVER = {4: "10.0.11.2", 6: "fd00:11::2"}, {4: "10.0.1.2", 6: "fd00:1::2"}, {4: "10.0.2.2", 6: "fd00:2::2"}
SANITIZED = os.path.join(topology.TOP, "build-asan", "agent", "dyscod")


class Hostile(OnStar):
    boxes = 1
    config = ("timeout linger 1", "timeout embryonic 1", "legs 4000", "log error")
    policies = ("via fw1 filter tcp dst port 80",)

    @classmethod
    def setUpClass(cls):
        plain = topology.DYSCOD
        topology.DYSCOD = SANITIZED if os.path.exists(SANITIZED) else plain
        try:
            super().setUpClass()
        finally:
            topology.DYSCOD = plain
        cls.wire = packets.Wire(cls.lab.netns("r"), "fw1").towards(packets.mac_of(cls.lab.netns("fw1"), "eth0"))
        cls.addClassCleanup(cls.wire.socket.close)

    def setUp(self):
        super().setUp()
        self.pid = self.lab.agent_pid("fw1")
        self.random = random.Random(1)

    def tearDown(self):
        """The same agent still serves, and nothing that was sent has stayed."""
        self.assertEqual(self.lab.agent_pid("fw1"), self.pid)
        self.lab.nothing_left()
        for version in (4, 6):
            with self.lab.pair(self.listen(80, version)) as pair:
                pair.ping()
                self.lab.went_through(pair)

    def message(self, version, port, **header):
        session = (CLIENT[version], SERVER[version], port, 80)
        return packets.syn_message(session, (CLIENT[version], FW1[version], port, 62000), [FW1[version], SERVER[version]], **header)

    def syn(self, version, port=50000, payload=None, flags=SYN, **segment):
        payload = self.message(version, port) if payload is None else payload
        return packets.tcp_packet(CLIENT[version], FW1[version], port, 62000, flags=flags, payload=payload, **segment)

    def send(self, packet):
        self.wire.send(packet)

    def total(self):
        return sum(self.lab.drops("fw1").values())

    def settled(self):
        """Everything sent so far has been looked at: an unmistakable packet behind it has been counted."""
        before = self.lab.dropped("fw1", "msg_version")
        bad = bytearray(self.message(4, 1))
        bad[4] = 9
        self.send(self.syn(4, 1, bytes(bad)))
        peers.eventually(lambda: self.lab.dropped("fw1", "msg_version") > before, lambda: str(self.lab.drops("fw1")))

    def test_a_priority_tag_is_no_disguise(self):
        bad = bytearray(self.message(4, 1))
        bad[4] = 9
        for tags, reason in ((1, "msg_version"), (2, "msg_version"), (3, "bad_packet")):
            before = self.lab.dropped("fw1", reason)
            head = self.wire.peer_mac + self.wire.mac + struct.pack("!HH", 0x8100, 0) * tags + struct.pack("!H", 0x0800)
            self.wire.socket.send(head + self.syn(4, 1, bytes(bad)))
            peers.eventually(lambda before=before, reason=reason: self.lab.dropped("fw1", reason) > before, lambda: str(self.lab.drops("fw1")))

    def counted(self, reason, packet, times=1):
        """This packet is dropped for this reason and leaves no leg."""
        before = self.lab.dropped("fw1", reason)
        self.send(packet)
        peers.eventually(lambda: self.lab.dropped("fw1", reason) == before + times, lambda: f"{reason} not counted: {self.lab.drops('fw1')}")

    def test_real_syn(self):
        """What the others vary is taken as it is: the messages made here are right."""
        for version in (4, 6):
            with self.subTest(ip=version):
                joined = self.lab.counter("fw1", "sessions_joined")
                self.send(self.syn(version))
                peers.eventually(lambda: self.lab.counter("fw1", "sessions_joined") == joined + 1, lambda: str(self.lab.drops("fw1")))

    def test_every_prefix(self):
        """Cut anywhere: dropped and counted, or (shorter than the magic) none of our business."""
        for version in (4, 6):
            with self.subTest(ip=version):
                joined = self.lab.counter("fw1", "sessions_joined")
                whole = self.message(version, 50001)
                truncated = self.lab.dropped("fw1", "msg_truncated")
                for n in range(len(whole)):
                    self.send(self.syn(version, 50001, whole[:n]))
                self.settled()
                self.assertEqual(self.lab.dropped("fw1", "msg_truncated") - truncated, len(whole) - 4)
                self.assertEqual(self.lab.counter("fw1", "sessions_joined"), joined)

    def test_lengths_that_lie(self):
        whole = bytearray(self.message(4, 50002))
        for total in (0, 27, 28, len(whole) - 1, len(whole) + 1, 1024, 1025, 0xFFFF):
            bad = whole[:]
            bad[6:8] = struct.pack("!H", total)
            with self.subTest(total=total):
                before = self.total()
                self.send(self.syn(4, 50002, bytes(bad)))
                peers.eventually(lambda: self.total() == before + 1, lambda: str(self.lab.drops("fw1")))
        for at in (30, 30 + 20, 30 + 60, 30 + 100):  # length fields of the four TLVs
            for length in (0, 1, 15, 17, 0x7FFF, 0xFFFF):
                bad = whole[:]
                bad[at : at + 2] = struct.pack("!H", length)
                with self.subTest(tlv=at, length=length):
                    self.counted("msg_malformed", self.syn(4, 50002, bytes(bad)))

    def test_lists_that_lie(self):
        session = (CLIENT[4], SERVER[4], 50003, 80)
        tlvs = packets.syn_tlvs(session, session, [FW1[4], SERVER[4]])

        def with_list(following, count, hops):
            value = struct.pack("!BBH", following, count, 0) + b"".join(packets.packed16(h) + bytes(8) for h in hops)
            return packets.message(packets.MSG_SYN, tlvs[:3] + [packets.tlv(packets.TLV_ADDRESSES, value)])

        hops = [FW1[4], SERVER[4]]
        for following, count, list_ in ((0, 0, []), (2, 2, hops), (255, 2, hops), (0, 3, hops), (0, 1, hops), (0, 25, [FW1[4]] * 25), (0, 255, hops)):
            with self.subTest(following=following, count=count):
                self.counted("msg_malformed", self.syn(4, 50003, with_list(following, count, list_)))
        self.counted("not_addressed", self.syn(4, 50003, with_list(1, 2, hops)))

    def test_tlvs_missing_and_repeated(self):
        session = (CLIENT[4], SERVER[4], 50004, 80)
        tlvs = packets.syn_tlvs(session, session, [FW1[4], SERVER[4]])
        for i in range(4):
            self.counted("msg_malformed", self.syn(4, 50004, packets.message(packets.MSG_SYN, tlvs[:i] + tlvs[i + 1 :])))
            self.counted("msg_malformed", self.syn(4, 50004, packets.message(packets.MSG_SYN, tlvs + [tlvs[i]])))
        self.counted("msg_malformed", self.syn(4, 50004, packets.message(packets.MSG_SYN, tlvs + [packets.tlv(99, b"must", 1)])))
        self.counted("msg_malformed", self.syn(4, 50004, packets.message(77, tlvs)))
        joined = self.lab.counter("fw1", "sessions_joined")
        self.send(self.syn(4, 50004, packets.message(packets.MSG_SYN, tlvs + [packets.tlv(99, b"may")])))
        peers.eventually(lambda: self.lab.counter("fw1", "sessions_joined") == joined + 1, "a TLV that may be skipped was not")

    def test_bit_flips(self):
        """Thousands of damaged SYNs; whichever are still SYNs of ours make legs that go away again."""
        for version in (4, 6):
            good = self.syn(version, 50005)
            for _ in range(2000):
                bad = bytearray(good)
                for _ in range(self.random.choice((1, 1, 2, 8))):
                    bit = self.random.randrange(len(bad) * 8)
                    bad[bit // 8] ^= 1 << bit % 8
                self.send(bytes(bad))
        self.settled()

    def test_noise(self):
        """Our magic, then anything at all."""
        for _ in range(1000):
            body = struct.pack("!I", packets.MAGIC) + self.random.randbytes(self.random.randrange(0, 600))
            self.send(self.syn(self.random.choice((4, 6)), 50006, body))
        self.settled()

    def test_options(self):
        """Option lists that end badly are walked no further; our mark counts where it can be read."""
        lists = [bytes(o) for o in ((253, 0), (253, 1), (2, 0), (2, 1, 0, 0), (253, 4, 0xD7), (253, 255, 0xD7, 0x5C), (1, 1, 1, 253), (8,), (253, 8, 0xD7, 0x5D, 1, 2, 3, 4))]
        for version in (4, 6):
            for options in lists:
                for payload in (b"", b"GET /", self.message(version, 50007)):
                    self.send(self.syn(version, 50007, payload, options=options))
                    self.send(self.syn(version, 50007, payload, flags=ACK | URG, options=options))
        self.settled()

    def test_tags_from_outside(self):
        """A tag means something only inside a box: from the wire it leads nowhere."""
        joined = self.lab.counter("server", "sessions_joined")
        for tag in range(64):
            option = struct.pack("!BBHI", 253, 8, 0xD75D, tag << 12 | self.random.randrange(4096))
            self.send(packets.tcp_packet(CLIENT[4], SERVER[4], 50100 + tag, 80, options=option))
        self.settled()
        self.assertEqual(self.lab.counter("server", "sessions_joined"), joined)

    def test_ip_headers_that_lie(self):
        good = self.syn(4, 50008)
        for at, value in ((0, b"\x44"), (0, b"\x4f"), (0, b"\x15"), (2, b"\0\0"), (2, b"\0\x14"), (2, b"\xff\xff"), (32, b"\x00"), (32, b"\x40"), (32, b"\xf0")):
            bad = bytearray(good)
            bad[at : at + len(value)] = value
            self.send(bytes(bad))
        for n in range(len(good)):
            self.send(good[:n])
        good = self.syn(6, 50008)
        for at, value in ((4, b"\0\0"), (4, b"\xff\xff"), (6, b"\0"), (6, b"\x2b"), (6, b"\x3c"), (52, b"\xf0"), (52, b"\0")):
            bad = bytearray(good)
            bad[at : at + len(value)] = value
            self.send(bytes(bad))
        for n in range(1, len(good)):
            self.send(good[:n])
        before = self.lab.dropped("fw1", "bad_packet")
        self.settled()
        self.assertGreater(before + self.lab.dropped("fw1", "bad_packet"), 0)

    def test_extension_headers(self):
        """IPv6: our SYN behind headers that go on and on, and behind ones that lie."""
        segment = packets.tcp_segment(CLIENT[6], FW1[6], 50009, 62000, payload=self.message(6, 50009))
        for count in (1, 2, 8, 40):
            header = bytes((60, 0, 1, 4, 0, 0, 0, 0)) * (count - 1) + bytes((6, 0, 1, 4, 0, 0, 0, 0))
            self.send(packets.ip_packet(CLIENT[6], FW1[6], header + segment, protocol=60))
        self.send(packets.ip_packet(CLIENT[6], FW1[6], bytes((6, 255)) + segment, protocol=60))
        self.send(packets.ip_packet(CLIENT[6], FW1[6], bytes((60, 0)), protocol=60))
        self.settled()

    def test_fragments(self):
        whole = packets.tcp_segment(CLIENT[4], FW1[4], 50010, 62000, payload=self.message(4, 50010))
        joined = self.lab.counter("fw1", "sessions_joined")
        self.send(packets.ip_packet(CLIENT[4], FW1[4], whole[:8], fragment=0x2000))
        self.send(packets.ip_packet(CLIENT[4], FW1[4], whole[8:], fragment=1))
        self.send(packets.ip_packet(CLIENT[4], FW1[4], whole[:64], fragment=0x2000))
        self.send(packets.ip_packet(CLIENT[4], FW1[4], whole[64:], fragment=8))
        for offset in (0, 1):
            header = struct.pack("!BBHI", 6, 0, offset, 7)
            self.send(packets.ip_packet(CLIENT[6], FW1[6], header + whole[:64], protocol=44))
        self.settled()
        self.assertEqual(self.lab.counter("fw1", "sessions_joined"), joined)

    def test_foreign_data_in_a_syn(self):
        """Passed and counted: it may be Fast Open of somebody."""
        foreign = self.lab.counter("fw1", "foreign_syn_data")
        for version in (4, 6):
            self.send(self.syn(version, 50011, b"GET / HTTP/1.1\r\n"))
        peers.eventually(lambda: self.lab.counter("fw1", "foreign_syn_data") == foreign + 2, "not counted")

    def test_control_segments_for_nobody(self):
        trace = packets.message(packets.MSG_TRACE, [packets.tlv(packets.TLV_SESSION_ID, bytes(16)), packets.tlv(packets.TLV_TRACE, struct.pack("!IBBH", 1, 1, 0, 0))])
        for version in (4, 6):
            for payload in (trace, trace[:20], b"", b"x" * 1400):
                for flags in (URG | ACK, URG | ACK | PSH, URG | ACK | FIN, URG | ACK | RST):
                    self.send(self.syn(version, 50012, payload, flags=flags, options=OPTION_MARK))
        self.settled()

    def test_control_segments_into_a_session(self):
        """On a living leg: garbage and other sessions' messages are dropped, the session does not notice."""
        pair = self.pair(self.listen())
        pair.ping()
        (shown,) = self.lab.ask("fw1", f"session show {self.lab.at('fw1', pair)['id']}")["sessions"]
        left = next(leg for leg in shown["legs"] if leg["side"] == "left")["wire_tuple"]
        (here, hport), (there, tport) = (end.rsplit(":", 1) for end in (left["src"], left["dst"]))
        trace = packets.message(packets.MSG_TRACE, [packets.tlv(packets.TLV_SESSION_ID, bytes(16)), packets.tlv(packets.TLV_TRACE, struct.pack("!IBBH", 1, 1, 0, 0))])
        before = self.total()
        payloads = [trace, trace[:-3], b"", b"\xd7\x5c\x0c\x0d", self.message(4, 50013)]
        for payload in payloads:
            self.send(packets.tcp_packet(there, here, int(tport), int(hport), flags=URG | ACK, options=OPTION_MARK, payload=payload))
        peers.eventually(lambda: self.total() == before + len(payloads), lambda: str(self.lab.drops("fw1")))
        pair.ping()
        pair.close()

    def test_netlink_from_others(self):
        """Who has CAP_NET_ADMIN in a namespace may be root of a container: the agent hears the kernel only."""
        with peers.inside(self.lab.netns("fw1")):
            with open("/proc/thread-self/net/netlink", encoding="ascii") as table:
                rows = [line.split() for line in table][1:]
            for protocol in (12, 4):
                ports = [int(row[2]) for row in rows if int(row[1]) == protocol and row[2] != "0"]
                self.assertTrue(ports, rows)
                with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as other:
                    for port in ports:
                        with self.assertRaises(ConnectionRefusedError):
                            other.sendto(struct.pack("=IHHIIB", 17, 20, 0, 0, 0, 0), (port, 0))

    def test_flood(self):
        """SYNs of more sessions than there are legs: the table is full, says so, and empties again."""
        joined, full = self.lab.counter("fw1", "sessions_joined"), self.lab.dropped("fw1", "legs_full")
        for port in range(1024, 6024):
            self.send(self.syn(4, port))
        peers.eventually(lambda: self.lab.dropped("fw1", "legs_full") > full, lambda: str(self.lab.drops("fw1")))
        self.assertGreater(self.lab.counter("fw1", "sessions_joined"), joined + 1000)
