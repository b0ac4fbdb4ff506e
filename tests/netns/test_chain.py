# SPDX-License-Identifier: BSD-2-Clause
"""Chains of 0 to 16 boxes with curl, nginx, iptables and tcpdump (lab/examples/chain.lab)."""
import re
import unittest

import dyscotest
import peers
from dyscotest import Capture, FileLab, download, iptables_counters, served_digest

CLIENT = {4: "10.0.1.2", 6: "fd00:1::2"}
SERVER = {4: "10.0.2.2", 6: "fd00:2::2"}


def box_address(i, version):
    return f"10.0.{10 + i}.2" if version == 4 else f"fd00:{10 + i}::2"


class Chain(unittest.TestCase):
    """A lab of chain.lab with an nginx; `mode` and `boxes` as there."""

    boxes = 2
    mode = "nic"
    extra = ""

    @classmethod
    def setUpClass(cls):
        cls.lab = FileLab(dyscotest.example("chain.lab"), cls.__name__.lower(), dyscotest.NGINX + cls.extra, boxes=cls.boxes, mode=cls.mode)
        cls.addClassCleanup(cls.lab.down)

    def agent(self, node):
        return "core" if self.mode == "port" else node

    def box_names(self):
        return [f"box{i}" for i in range(1, self.boxes + 1)]

    def counters(self, version):
        return {box: iptables_counters(self.lab, box, version) for box in self.box_names()}

    def sessions(self, node, version):
        """What the agent shows of this node's sessions of one family."""
        return [s for s in self.lab.sessions(self.agent(node), f"host {node}") if s["session"]["src"].startswith(CLIENT[version].join(("", ":") if version == 4 else ("[", "]")))]


class Fetches:
    """Tests of every length and mode."""

    def test_fetch(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                before = self.counters(version)
                self.assertEqual(download(self.lab, "client", SERVER[version]), served_digest(self.lab))
                for box, (there, back) in self.counters(version).items():
                    self.assertGreater(there, before[box][0], box)
                    self.assertGreater(back, before[box][1], box)
                self.check_hops(version)

    def check_hops(self, version):
        """Every host knows its neighbours: the chain is this one, in this order."""
        addresses = [CLIENT[version], *(box_address(i, version) for i in range(1, self.boxes + 1)), SERVER[version]]
        nodes = ["client", *self.box_names(), "server"]
        for i, node in enumerate(nodes):
            session = self.sessions(node, version)[-1]
            self.assertEqual(session["peer_left"], addresses[i - 1] if i > 0 else None, node)
            self.assertEqual(session["peer_right"], addresses[i + 1] if i + 1 < len(nodes) else None, node)
            self.assertEqual(session["role"], "first" if i == 0 else "last" if node == "server" else "middlebox")


class Nic0(Fetches, Chain):
    boxes = 0


class Nic1(Fetches, Chain):
    boxes = 1


class Nic2(Fetches, Chain):
    boxes = 2


class Nic16(Fetches, Chain):
    boxes = 16


class Port0(Fetches, Chain):
    mode, boxes = "port", 0


class Port1(Fetches, Chain):
    mode, boxes = "port", 1


class Port2(Fetches, Chain):
    mode, boxes = "port", 2


class Port16(Fetches, Chain):
    mode, boxes = "port", 16


class RoutingAlone(Chain):
    mode = "none"

    def test_visits_no_box(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                self.assertEqual(download(self.lab, "client", SERVER[version]), served_digest(self.lab))
                self.assertEqual(set(self.counters(version).values()), {(0, 0)})


def ends(line):
    """(source, destination) of a line of tcpdump -n, ports taken off."""
    match = re.search(r"IP6? (\S+)\.\d+ > (\S+)\.\d+:", line)
    if not match:
        raise AssertionError(f"not a line of a TCP packet: {line}")
    return match.groups()


class Seen(Chain):
    """What sniffers see, by where they sit."""

    def session_view(self, capture, version):
        """Only the session's own header was seen, both ways, from SYN to the last FIN."""
        for pattern in (r"Flags \[S\]", r"Flags \[S\.\]", r"Flags \[F\.\]", r"length [1-9]\d{2}"):
            capture.wait_for(pattern)
        seen = {ends(line) for line in capture.lines()}
        self.assertEqual(seen, {(CLIENT[version], SERVER[version]), (SERVER[version], CLIENT[version])})
        for line in capture.lines():
            if "Flags [S" in line:
                self.assertRegex(line, r"length 0\b", "a SYN with data")

    def fetch(self, version):
        self.assertEqual(download(self.lab, "client", SERVER[version]), served_digest(self.lab))


class SeenWithPort(Seen):
    mode = "port"

    def test_hosts_see_only_the_session(self):
        for version in (4, 6):
            for node in ("client", "box1", "box2", "server"):
                with self.subTest(ip=version, node=node), Capture(self.lab, node, "eth0", "tcp") as capture:
                    self.fetch(version)
                    self.session_view(capture, version)

    def test_the_network_sees_the_subsessions(self):
        """Between the router and its hosts is the session's view; so the agent's own table is the witness."""
        self.fetch(4)
        session = self.sessions("box1", 4)[-1]
        legs = self.lab.ask("core", f"session show {session['id']}")["sessions"]
        wires = {leg["wire_tuple"]["src"].rsplit(":", 1)[0] + ">" + leg["wire_tuple"]["dst"].rsplit(":", 1)[0] for host in legs for leg in host["legs"]}
        for a, b in (("10.0.1.2", "10.0.11.2"), ("10.0.11.2", "10.0.12.2"), ("10.0.12.2", "10.0.2.2")):
            self.assertIn(f"{a}>{b}", wires)


class SeenWithNic(Seen):
    """Nothing else is on the links: no agent asks another one."""

    def setUp(self):
        for node in ("client", *self.box_names(), "server"):
            self.lab.ask(self.agent(node), "health off")

    def test_the_network_sees_the_subsessions(self):
        for version in (4, 6):
            with self.subTest(ip=version), Capture(self.lab, "core", "box1", "tcp") as capture:
                self.fetch(version)
                capture.wait_for(r"Flags \[F\.\]")
                hops = (CLIENT[version], box_address(1, version)), (box_address(1, version), box_address(2, version))
                peers.eventually(lambda c=capture: len({ends(line) for line in c.lines()}) >= 4, "not all four directions were seen")
                self.assertEqual({ends(line) for line in capture.lines()}, {*hops, *((b, a) for a, b in hops)})


class SeenWithMirror(Seen):
    """A mirror interface of a box shows its sniffers the session."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.ask("box1", "detach eth0")
        cls.lab.ask("box1", "attach nic eth0 host box1 address 10.0.11.2 fd00:11::2 mirror view")

    def test_mirror_shows_the_session(self):
        for version in (4, 6):
            with self.subTest(ip=version), Capture(self.lab, "box1", "view", "tcp") as capture:
                self.fetch(version)
                self.session_view(capture, version)


if __name__ == "__main__":
    unittest.main()
