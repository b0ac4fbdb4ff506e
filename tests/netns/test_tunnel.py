# SPDX-License-Identifier: BSD-2-Clause
"""Hosts on links without Ethernet headers, as WireGuard and other tunnels have them: `nic` attachments.

    client === r --- server        ===: TUN
               |
               fw ===
"""
import unittest

import peers
import topology
from dyscotest import iptables_counters
from tunnel import Tunnel

TEXT = """
router r
node client
node server gateway 10.0.2.1 fd00:2::1
box fw
box ids gateway 10.0.4.1 fd00:4::1
link server:eth0 10.0.2.2/24 fd00:2::2/64 -- r 10.0.2.1/24 fd00:2::1/64
link ids:eth0 10.0.4.2/24 fd00:4::2/64 -- r 10.0.4.1/24 fd00:4::1/64
agent server node server
agent ids node ids
dysco server attach nic eth0 host server address 10.0.2.2 fd00:2::2
dysco ids attach nic eth0 host ids address 10.0.4.2 fd00:4::2
agent client node client
agent fw node fw
dysco client box fw 10.0.3.2 fd00:3::2
dysco client box ids 10.0.4.2 fd00:4::2
""" + "".join(f"run {box} {tool} -A FORWARD -p tcp --{port} 80\n" for box in ("fw", "ids") for tool in ("iptables", "ip6tables") for port in ("dport", "sport"))
TUNNELLED = {"client": 1, "fw": 3}
CLIENT = {4: "10.0.1.2", 6: "fd00:1::2"}
SERVER = {4: "10.0.2.2", 6: "fd00:2::2"}


class OverTunnels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = topology.Lab(TEXT, "tunnel")
        cls.addClassCleanup(cls.lab.down)
        for node, n in TUNNELLED.items():
            tunnel = Tunnel((cls.lab.netns(node), "tun0", [f"10.0.{n}.2/24", f"fd00:{n}::2/64"]),
                            (cls.lab.netns("r"), f"tun{n}", [f"10.0.{n}.1/24", f"fd00:{n}::1/64"]))
            cls.addClassCleanup(tunnel.close)
            for version in ("-4", "-6"):
                cls.lab.run(node, "ip", version, "route", "add", "default", "dev", "tun0")
            cls.lab.ask(node, f"attach nic tun0 host {node} address 10.0.{n}.2 fd00:{n}::2")
        cls.lab.ask("client", "policy add web at client via fw,ids filter tcp dst port 80")

    def seen(self, box, version):
        return iptables_counters(self.lab, box, version)

    def test_chain(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                before = [self.seen(box, version) for box in ("fw", "ids")]
                with peers.listen(self.lab.netns("server"), SERVER[version], 80) as listener, \
                        peers.Pair(self.lab.netns("client"), listener) as pair:
                    peers.bulk(pair, 1 << 20)
                for box, (there, back) in zip(("fw", "ids"), before):
                    self.assertGreater(self.seen(box, version)[0], there + 2, box)
                    self.assertGreater(self.seen(box, version)[1], back + 2, box)

    def test_changed_while_it_lives(self):
        for version in (4, 6):
            with self.subTest(ip=version), peers.listen(self.lab.netns("server"), SERVER[version], 80) as listener, \
                    peers.Pair(self.lab.netns("client"), listener) as pair:
                peers.bulk(pair, 1 << 18)
                ends = self.lab.sessions("client")[-1]["session"]
                self.lab.ask("client", f"session remove {ends['src']} {ends['dst']} fw")
                there = self.seen("fw", version)
                peers.bulk(pair, 1 << 18)
                self.assertEqual(self.seen("fw", version), there)
                self.lab.ask("client", f"session insert {ends['src']} {ends['dst']} fw")
                peers.bulk(pair, 1 << 18)
                self.assertGreater(self.seen("fw", version)[0], there[0])

    def test_refused_connection(self):
        for version in (4, 6):
            with self.subTest(ip=version), self.assertRaises(ConnectionRefusedError):
                peers.connect(self.lab.netns("client"), SERVER[version], 80)


if __name__ == "__main__":
    unittest.main()
