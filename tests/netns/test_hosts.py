# SPDX-License-Identifier: BSD-2-Clause
"""Hosts with several links, on a bridge, behind a gateway; attachments that change under traffic; sniffers."""
import re
import subprocess
import tempfile
import unittest

import peers
import topology
from cases import OnStar

BULK = 8 << 20


class MultiHomed(OnStar):
    """The server has two addresses on two links; fw1 takes in by one link and lets out by another."""

    extra = (
        "link server:eth1 10.0.3.2/24 fd00:3::2/64 -- r:server1 10.0.3.1/24 fd00:3::1/64 name server1",
        "dysco server attach nic eth1 host server address 10.0.3.2 fd00:3::2",
        "link fw1:eth1 10.0.21.2/24 fd00:21::2/64 -- r:fw1out 10.0.21.1/24 fd00:21::1/64 name fw1out",
        "dysco fw1 attach nic eth1 host fw1 address 10.0.21.2 fd00:21::2",
        *(f"route fw1 10.0.{n}.0/24 via 10.0.21.1" for n in (2, 3, 12)),
        *(f"route fw1 fd00:{n}::/64 via fd00:21::1" for n in (2, 3, 12)),
    )

    def test_both_addresses(self):
        for address in ("10.0.2.2", "fd00:2::2", "10.0.3.2", "fd00:3::2"):
            with self.subTest(address):
                listener = peers.listen(self.lab.netns("server"), address, 80)
                self.addCleanup(listener.close)
                pair = self.pair(listener)
                pair.ping()
                self.lab.went_through(pair)
                peers.bulk(pair, BULK)

    def test_leaves_by_the_other_link(self):
        counts = "counter out { }\nchain f { type filter hook forward priority 0; iifname fw1out counter name out; }"
        with self.lab.rules("r", counts):
            peers.bulk(self.pair(self.listen()), BULK, both=False)
            self.assertGreater(self.lab.nft_counter("r", "out"), 10)


class UnderTraffic(OnStar):
    """Attaching and detaching does not touch sessions that have no need of it."""

    mode = "port"
    extra = (
        "node late gateway 10.0.70.1 fd00:70::1",
        "link late:eth0 10.0.70.2/24 fd00:70::2/64 -- r 10.0.70.1/24 fd00:70::1/64",
    )
    ATTACH_LATE = "attach port late host late address 10.0.70.2 fd00:70::2"

    def test_others_come_and_go(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.pair(self.listen(80, version))
                flows = [peers.Flow(pair.client, pair.server, 8 * BULK), peers.Flow(pair.server, pair.client, 8 * BULK)]
                rounds = []

                def step():
                    if flows[0].received > (len(rounds) + 1) * BULK and len(rounds) < 6:
                        self.ask("detach late" if len(rounds) % 2 else self.ATTACH_LATE)
                        rounds.append(True)

                peers.pump(flows, each=step)
                self.assertEqual(len(rounds), 6)

    def test_a_box_is_attached_again(self):
        """Its sessions end with the attachment; the next ones go through it again."""
        for version in (4, 6):
            with self.subTest(ip=version):
                listener = self.listen(80, version)
                pair = self.pair(listener)
                pair.ping()
                self.lab.went_through(pair)
                self.assertEqual(self.ask("detach fw2"), {"ended": 1})
                for end in (pair.client, pair.server):
                    with self.assertRaises(ConnectionResetError):
                        peers.read_to_end(end)
                self.ask(topology.attach_statement(self.lab.nodes["fw2"], "port"))
                pair = self.pair(listener)
                peers.bulk(pair, BULK)
                self.lab.went_through(pair)
                pair.close()
                self.lab.nothing_left()


class AgentApart(OnStar):
    """The ports are in another namespace than their agent; bulk, so that data takes the fast path there."""

    mode = "away"

    def test_sessions(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.pair(self.listen(80, version))
                peers.bulk(pair, BULK)
                self.lab.went_through(pair)
                pair.close()
        self.lab.nothing_left()


class OneAgentForNamespaces(AgentApart):
    mode = "netns"


class Alone(unittest.TestCase):
    """A lab of its own text."""

    text = ""

    @classmethod
    def setUpClass(cls):
        cls.lab = topology.Lab(cls.text, cls.__name__.lower())
        cls.addClassCleanup(cls.lab.down)

    def listen(self, address):
        listener = peers.listen(self.lab.netns("server"), address, 80)
        self.addCleanup(listener.close)
        return listener

    def pair(self, client, listener, source=None):
        pair = peers.Pair(self.lab.netns(client), listener, source)
        self.addCleanup(pair.close)
        return pair


class Bridge(Alone):
    """Ports of a bridge: all hosts on one subnet, no router between them."""

    text = """
bridge sw 10.0.5.1/24 fd00:5::1/64
node client
node server
box fw1
link client:eth0 10.0.5.2/24 fd00:5::2/64 -- sw
link server:eth0 10.0.5.3/24 fd00:5::3/64 -- sw
link fw1:eth0 10.0.5.4/24 fd00:5::4/64 -- sw
agent edge node sw
dysco edge attach port client host client address 10.0.5.2 fd00:5::2
dysco edge attach port server host server address 10.0.5.3 fd00:5::3
dysco edge attach port fw1 host fw1 address 10.0.5.4 fd00:5::4
dysco edge box fw1 10.0.5.4 fd00:5::4
dysco edge timeout linger 1
dysco edge policy web at client via fw1 filter tcp dst port 80
"""

    def test_sessions(self):
        for address in ("10.0.5.3", "fd00:5::3"):
            with self.subTest(address):
                pair = self.pair("client", self.listen(address))
                src, dst = peers.endpoint(pair.client), peers.peer_endpoint(pair.client)
                for host in ("client", "fw1", "server"):
                    self.assertTrue(self.lab.session("edge", src, dst, host), host)
                peers.bulk(pair, BULK)
                pair.close()
        self.lab.no_legs("edge")

    def test_bridge_learns_nothing_wrong(self):
        """Frames of the session bear their host's own address: who is where stays right."""
        peers.bulk(self.pair("client", self.listen("10.0.5.3")), BULK)
        table = self.lab.run("sw", "bridge", "fdb", "show", "br", "br0")
        for node in ("client", "server", "fw1"):
            mac = self.lab.run(node, "ip", "-br", "link", "show", "eth0").split()[2]
            self.assertEqual(set(re.findall(rf"^{mac} dev (\S+)", table, re.M)), {node})


class Lan(Alone):
    """Many hosts beyond one port of a gateway; none has anything of Dysco."""

    text = """
router r
bridge sw
router gw gateway 10.0.61.1 fd00:61::1
node server gateway 10.0.2.1 fd00:2::1
box fw1 gateway 10.0.11.1 fd00:11::1
link gw:lan 10.0.60.1/24 fd00:60::1/64 -- sw
link gw:up 10.0.61.2/24 fd00:61::2/64 -- r 10.0.61.1/24 fd00:61::1/64
link server:eth0 10.0.2.2/24 fd00:2::2/64 -- r 10.0.2.1/24 fd00:2::1/64
link fw1:eth0 10.0.11.2/24 fd00:11::2/64 -- r 10.0.11.1/24 fd00:11::1/64
route r 10.0.60.0/24 via 10.0.61.2
route r fd00:60::/64 via fd00:61::2
repeat i 1 3
  node c@{i} gateway 10.0.60.1 fd00:60::1
  link c@{i}:eth0 10.0.60.@{i+1}/24 fd00:60::@{i+1}/64 -- sw
end
agent gw node gw
agent server node server
agent fw1 node fw1
dysco gw attach port lan host lan address 10.0.60.0/24 fd00:60::/64
dysco server attach nic eth0 host server address 10.0.2.2 fd00:2::2
dysco fw1 attach nic eth0 host fw1 address 10.0.11.2 fd00:11::2
dysco * box fw1 10.0.11.2 fd00:11::2
dysco * timeout linger 1
dysco gw policy web at lan via fw1 filter tcp dst port 80
"""

    def test_all_at_once(self):
        for address in ("10.0.2.2", "fd00:2::2"):
            with self.subTest(address):
                listener = self.listen(address)
                pairs = [self.pair(f"c{i}", listener) for i in (1, 2, 3)]
                for pair in pairs:
                    self.assertEqual(pair.seen_from[:2], pair.client.getsockname()[:2])
                    src, dst = peers.endpoint(pair.client), peers.peer_endpoint(pair.client)
                    self.assertTrue(self.lab.session("gw", src, dst, "lan"))
                    self.assertTrue(self.lab.session("fw1", src, dst))
                peers.pump([peers.Flow(pair.client, pair.server, BULK) for pair in pairs] + [peers.Flow(pair.server, pair.client, BULK) for pair in pairs])
                for pair in pairs:
                    pair.close()
        self.lab.no_legs("gw", "fw1", "server")

    def test_same_port_of_all(self):
        """Sessions that differ in the client's address alone stay apart."""
        listener = self.listen("10.0.2.2")
        pairs = [self.pair(f"c{i}", listener, (f"10.0.60.{i + 1}", 45678)) for i in (1, 2, 3)]
        for i, pair in enumerate(pairs):
            pair.ping(b"client %d" % i)


class Mirror(OnStar):
    """A sniffer of the trade on the mirror of a box knows client and server, not the subsessions."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.ask("fw1", "detach eth0")
        cls.lab.ask("fw1", topology.attach_statement(cls.lab.nodes["fw1"], "nic") + " mirror view")

    def test_prads(self):
        """prads tells of each host it finds, with what it has seen of it, a line each."""
        prads = ["stdbuf", "-oL", "prads", "-v", "-i", "view", "-l", "/dev/null"]
        with tempfile.NamedTemporaryFile("r", errors="replace") as said, open(said.name, "wb") as out:
            with subprocess.Popen(["ip", "netns", "exec", self.lab.netns("fw1"), *prads], stdout=out, stderr=out) as process:

                def found():
                    with self.lab.pair(self.listen()) as pair:
                        pair.ping(b"GET / HTTP/1.0\r\n\r\n")
                        self.lab.went_through(pair)
                    said.seek(0)
                    return set(re.findall(r"^(\S+?),\[(syn|synack|client|service):", said.read(), re.M))

                expected = {("10.0.1.2", "syn"), ("10.0.1.2", "client"), ("10.0.2.2", "synack"), ("10.0.2.2", "service")}
                try:
                    peers.eventually(lambda: found() >= expected, lambda: f"prads knows {found()}")
                    self.assertEqual(found(), expected)
                finally:
                    process.terminate()
