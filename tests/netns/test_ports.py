# SPDX-License-Identifier: BSD-2-Clause
"""Ports of subsessions: reserved, never anyone else's, quarantined, missed when gone, enough for many.

DYSCO_TEST_LONG=1 in the environment: 100,000 sessions between one pair of hosts.
"""
import os
import subprocess
import sys
import threading

import peers
from cases import OnStar

HOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "holder.py")
LONG = os.environ.get("DYSCO_TEST_LONG") == "1"


def wire_ports(session):
    """Both ports of each leg's subsession, of a `session show` answer."""
    return {int(leg["wire_tuple"][end].rsplit(":", 1)[1]) for leg in session["legs"] for end in ("src", "dst")}


class Reserved(OnStar):
    """A range of 40 ports in the middle of those that local sockets get."""

    boxes = 1
    FIRST, LAST = 40000, 40039
    config = ("timeout linger 1", "ports 40000-40039")
    policies = ("via fw1 filter tcp dst portrange 80-89",)

    def ports_of(self, node, pair):
        (shown,) = self.lab.ask(node, f"session show {self.lab.at(node, pair)['id']}")["sessions"]
        return wire_ports(shown)

    def ports_held(self, node):
        return next(host["ports_held"] for host in self.lab.ask(node, "status")["hosts"] if host["name"] == node)

    def test_kernel_is_told(self):
        for node in ("client", "fw1", "server"):
            self.assertIn("40000-40039", self.lab.read_sysctl(node, "net.ipv4.ip_local_reserved_ports").split(","))

    def test_local_sockets_never_get_them(self):
        """Even where only the range and its neighbours can be had."""
        self.lab.sysctl("client", "net.ipv4.ip_local_port_range", "39990 40060")
        self.addCleanup(self.lab.sysctl, "client", "net.ipv4.ip_local_port_range", "32768 60999")
        listener = self.listen(90)
        with listener:
            given = []
            for _ in range(25):
                pair = self.pair(listener)
                given.append(pair.client.getsockname()[1])
        self.assertFalse([port for port in given if self.FIRST <= port <= self.LAST])

    def test_subsessions_are_inside(self):
        for version in (4, 6):
            listener = self.listen(80, version)
            for _ in range(10):
                pair = self.pair(listener)
                for node in ("client", "fw1", "server"):
                    for port in self.ports_of(node, pair):
                        self.assertTrue(self.FIRST <= port <= self.LAST, port)
                pair.close()

    def test_local_sockets_inside_are_left_alone(self):
        """A listener and a connection that took ports of the range by name are not collided with."""
        listeners = [peers.listen(self.lab.netns("client"), "10.0.1.2", port) for port in range(self.FIRST, self.FIRST + 30)]
        for listener in listeners:
            self.addCleanup(listener.close)
        peers.eventually(lambda: self.ports_held("client") >= 30, "the agent does not find the local sockets")
        server = self.listen()
        taken = set()
        for _ in range(12):
            pair = self.pair(server)
            pair.ping()
            (shown,) = self.lab.ask("client", f"session show {self.lab.at('client', pair)['id']}")["sessions"]
            taken.add(int(shown["legs"][0]["wire_tuple"]["src"].rsplit(":", 1)[1]))
        self.assertFalse(taken & set(range(self.FIRST, self.FIRST + 30)), "a port that a local socket holds")
        for listener in listeners[:3]:  # and they serve
            with peers.Pair(self.lab.netns("server"), listener) as pair:
                pair.ping()


class Exhausted(OnStar):
    """Two ports, so four pairs: the fifth session has to wait until quarantine ends."""

    boxes = 1
    expected = ("all port pairs towards its next hop are in use",)
    config = ("timeout linger 2", "ports 50000-50001", "timeout embryonic 30", "health off")  # questions take a pair, too
    policies = ("via fw1 filter tcp dst port 80", "via fw1 fail open filter tcp dst port 81")

    def tearDown(self):
        self.doCleanups()
        self.lab.nothing_left()

    def fill(self):
        listener = self.listen()
        return [self.pair(listener) for _ in range(4)]

    def test_said_and_recovered(self):
        with self.lab.monitor("client") as monitor:
            pairs = self.fill()
            before = self.lab.dropped("client", "no_ports")
            fifth = peers.start_connect(self.lab.netns("client"), self.lab.address("server"), 80)
            self.addCleanup(fifth.close)
            peers.eventually(lambda: self.lab.dropped("client", "no_ports") > before, "not counted")
            monitor.wait_for("dropped", reason="no_ports")
            self.assertRegex("".join(self.lab.warnings()), self.expected[0])
            for pair in pairs:
                pair.ping()  # the others do not suffer
            pairs[0].close()
            self.assertEqual(peers.connected(fifth), 0)
            accepted, _ = self.listen().accept()
            peers.hand_over(fifth, accepted, b"at last")
            accepted.close()

    def test_quarantine(self):
        """A pair is not given again before its lingering is over."""
        for pair in self.fill():
            pair.ping()
            pair.close()
        before = self.lab.dropped("client", "no_ports")
        peers.eventually(lambda: all(s["state"] in ("time_wait", "reset", "dead") for s in self.lab.sessions("client")), "not ended")
        again = self.pair(self.listen())  # waits: SYNs are dropped meanwhile
        again.ping()
        self.assertGreater(self.lab.dropped("client", "no_ports"), before)

    def test_fail_open(self):
        self.fill()
        bypassed = self.lab.count("client", "bypass")
        pair = self.pair(self.listen(81))
        pair.ping()
        self.assertIsNone(self.lab.at("fw1", pair))
        self.assertEqual(self.lab.count("client", "bypass"), bypassed + 1)

    def test_policy_test_foresees_nothing_wrong(self):
        self.assertEqual(self.ask("policy test 10.0.1.2:45000 10.0.2.2:80")["verdict"], "chain")


class Many(OnStar):
    """As many sessions as a test's time allows: at once, and one after another."""

    boxes = 1
    config = ("timeout linger 1", f"legs {1 << 19 if LONG else 1 << 14}", "timeout embryonic 30")
    policies = ("via fw1 filter tcp dst portrange 80-89",)
    HOLDERS, EACH = (20, 5_000) if LONG else (2, 500)
    IN_A_ROW = 5_000

    def in_a_row(self, version, count):
        """Connections, a few bytes each, closed by the server: its TIME_WAIT does not block the client."""
        listener = self.listen(80, version)
        served = threading.Thread(target=self.serve, args=(listener, count))
        served.start()
        address = self.lab.address("server", version)
        for i in range(count):
            with peers.connect(self.lab.netns("client"), address, 80) as s:
                s.sendall(b"%08d" % i)
                self.assertEqual(peers.read_to_end(s), b"%08d" % i)
        served.join(peers.TIMEOUT)
        self.assertFalse(served.is_alive())

    @staticmethod
    def serve(listener, count):
        for _ in range(count):
            with listener.accept()[0] as s:
                s.settimeout(peers.TIMEOUT)
                s.sendall(peers.read_exactly(s, 8))

    def test_one_after_another(self):
        started = self.lab.count("client", "sessions_started")
        self.in_a_row(4, self.IN_A_ROW * 4 // 5)
        self.in_a_row(6, self.IN_A_ROW // 5)
        self.assertEqual(self.lab.count("client", "sessions_started") - started, self.IN_A_ROW)
        self.assertEqual(self.lab.drops("client"), {})
        self.lab.nothing_left()

    def hold(self, port):
        """A process with EACH connections to this port."""
        words = self.lab.netns("client"), self.lab.netns("server"), self.lab.address("server"), port, self.EACH
        process = subprocess.Popen([sys.executable, HOLDER, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # pylint: disable=consider-using-with
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def held(self, holder, port):
        """Endpoints of some of its connections, which carry data."""
        holder.stdin.write("\n")
        holder.stdin.flush()
        return [(client, f"{self.lab.address('server')}:{port}") for client in holder.stdout.readline().split()]

    def test_at_once(self):
        self.lab.sysctl("client", "net.ipv4.ip_local_port_range", "1024 60999")
        ports = [80 + i % 10 for i in range(self.HOLDERS)]
        holders = [self.hold(port) for port in ports]
        self.assertEqual(self.lab.ask("client", "status")["sessions"], self.HOLDERS * self.EACH)
        pairs = [pair for holder, port in zip(holders, ports) for pair in self.held(holder, port)]
        self.assertGreaterEqual(len(pairs), self.HOLDERS * self.EACH // 200)
        wires = set()
        for client, server in pairs:
            (shown,) = self.lab.ask("client", f"session show {client} {server}")["sessions"]
            wires.add((shown["legs"][0]["wire_tuple"]["src"], shown["legs"][0]["wire_tuple"]["dst"]))
        self.assertEqual(len(wires), len(pairs))
        for holder in holders:
            holder.stdin.close()
            self.assertEqual(holder.wait(60), 0)
        self.lab.nothing_left()
