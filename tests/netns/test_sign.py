# SPDX-License-Identifier: BSD-2-Clause
"""Signed signalling: with keys it works; forged, unsigned, unknown, replayed is dropped and counted."""
import os
import subprocess
import unittest

import packets
import peers
import topology
from cases import OnStar

KEY, OTHER = os.urandom(32), os.urandom(32)


class Signed(OnStar):
    """The boxes: fw1 as it should be; fw2 with other bytes under the id; fw3 without; fw4 with
    another id; fw5 signs with the second key, which all others know."""

    boxes = 5
    config = ("timeout linger 1", "timeout embryonic 4")
    keys = {"fw2": [(1, OTHER)], "fw3": [], "fw4": [(3, KEY)], "fw5": [(2, OTHER), (1, KEY)]}
    policies = tuple(f"via fw{i} filter tcp dst port {80 + i}" for i in range(1, 6))

    @classmethod
    def setUpClass(cls):
        nodes = ["client", "server", *(f"fw{i}" for i in range(1, 6))]
        cls.extra = [f"dysco {node} key {number} {key.hex()}" for node in nodes for number, key in cls.keys.get(node, [(1, KEY), (2, OTHER)])]
        super().setUpClass()

    def works(self, box, version=4):
        pair = self.pair(self.listen(80 + box, version))
        pair.ping()
        self.lab.went_through(pair, [f"fw{box}"])
        return pair

    def dropped_at(self, node, reason, box, version=4):
        """A connection through this box does not come about, because of `reason` at node."""
        before = self.lab.dropped(node, reason)
        joined = self.lab.count("server", "sessions_joined")
        s = peers.start_connect(self.lab.netns("client"), self.lab.address("server", version), 80 + box)
        peers.eventually(lambda: self.lab.dropped(node, reason) > before, lambda: f"{reason} not counted: {self.lab.drops(node)}")
        self.assertEqual(self.lab.count("server", "sessions_joined"), joined)
        s.close()

    def test_keyed_agents(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.works(1, version)
                peers.bulk(pair, 1 << 20)
                for node in ("client", "fw1", "server"):
                    (one,) = self.lab.ask(node, f"session show {self.lab.at(node, pair)['id']}")["sessions"]
                    self.assertEqual(one["signed"], 1)
        status = self.lab.ask("fw1", "status")
        self.assertTrue(status["signed"])
        self.assertEqual(status["keys"], [1, 2])
        self.assertFalse(self.lab.ask("fw3", "status")["signed"])

    def test_second_key(self):
        """In the middle of a change of keys: any known one is taken."""
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.works(5, version)
                (one,) = self.lab.ask("server", f"session show {self.lab.at('server', pair)['id']}")["sessions"]
                self.assertEqual(one["signed"], 2)

    def test_trace_is_signed_too(self):
        pair = self.works(1)
        trace = self.lab.ask("client", f"session trace {self.lab.at('client', pair)['id']}")
        self.assertTrue(trace["complete"], trace)

    def test_wrong_key(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                self.dropped_at("fw2", "msg_forged", 2, version)

    def test_no_key_on_one_hop(self):
        """fw3 cannot sign: the server drops what comes from it."""
        self.dropped_at("server", "msg_unsigned", 3)

    def test_unknown_key_id(self):
        self.dropped_at("fw4", "msg_key", 4)

    def captured(self):
        """The SYN of a session on its way from the client to fw1, and the wire it can be put on again."""
        wire = packets.Wire(self.lab.netns("r"), "fw1").towards(packets.mac_of(self.lab.netns("fw1"), "eth0"))
        self.addCleanup(wire.socket.close)
        self.works(1).close()
        seen = [packet for packet in wire.received() if packets.Seen(packet).is_syn() and packets.Seen(packet).is_ours()]
        self.lab.nothing_left()
        return wire, seen[0]

    def put(self, wire, packet, reason):
        """This packet is dropped for this reason and makes no leg."""
        before = self.lab.dropped("fw1", reason)
        wire.send(packet)
        peers.eventually(lambda: self.lab.dropped("fw1", reason) == before + 1, lambda: f"{reason} not counted: {self.lab.drops('fw1')}")
        self.assertEqual(self.lab.legs("fw1"), 0)

    def test_replay(self):
        wire, syn = self.captured()
        for _ in range(3):
            self.put(wire, syn, "msg_replay")

    def test_replay_after_restart(self):
        """What was seen is remembered by the next agent."""
        wire, syn = self.captured()
        self.lab.restart_agent(self.lab.kill_agent("fw1"))
        self.put(wire, syn, "msg_replay")

    def test_forgeries(self):
        wire, syn = self.captured()
        seen = packets.Seen(syn)
        session = ("10.0.1.2", "10.0.2.2", 5555, 81)
        subsession = (seen.src, seen.dst, seen.sport, seen.dport)

        def made(**how):
            payload = packets.syn_message(session, subsession, ["10.0.11.2", "10.0.2.2"], **how)
            return packets.tcp_packet(seen.src, seen.dst, seen.sport, seen.dport, payload=payload)

        self.put(wire, made(), "msg_unsigned")
        self.put(wire, made(key=(9, KEY)), "msg_key")
        self.put(wire, made(key=(1, OTHER)), "msg_forged")
        flipped = bytearray(syn)
        flipped[-40] ^= 1
        self.put(wire, bytes(flipped), "msg_forged")
        joined = self.lab.counter("fw1", "sessions_joined")
        wire.send(made(key=(1, KEY)))  # and one as it should be, from this second implementation
        peers.eventually(lambda: self.lab.counter("fw1", "sessions_joined") == joined + 1, lambda: str(self.lab.drops("fw1")))
        self.lab.nothing_left()


class Keygen(unittest.TestCase):
    def test_keygen(self):
        def make(*words):
            return subprocess.run([topology.DYSCO, "keygen", *words], capture_output=True, text=True, check=True).stdout.strip()

        one, two = make(), make()
        self.assertNotEqual(one, two)
        for key in (one, two):
            self.assertRegex(key, r"^[0-9a-f]{64}$")
