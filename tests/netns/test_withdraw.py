# SPDX-License-Identifier: BSD-2-Clause
"""Chains that are given up are called back (docs/protocol.md 7.7), through boxes that are silent or slow."""
import contextlib
import os

import peers
from cases import OnStar
from tunnel import open_tun

TCP = 6
SYNS = "tcp flags & (syn|ack) == syn"


class Holding:
    """A box that keeps SYNs in user space until it is told to let them out."""

    def __init__(self, lab, node):
        self.lab, self.node, self.held = lab, node, []
        self.fd = open_tun(lab.netns(node), "hold")
        lab.run(node, "ip", "link", "set", "hold", "up")
        for interface in ("all", "hold"):
            lab.sysctl(node, f"net.ipv4.conf.{interface}.rp_filter", 0)
        for version in ("-4", "-6"):
            lab.run(node, "ip", version, "rule", "add", "fwmark", "1", "lookup", "100")
            lab.run(node, "ip", version, "route", "add", "default", "dev", "hold", "table", "100")
        lab.nft(node, f'table inet hold {{\nchain p {{ type filter hook prerouting priority mangle; iifname != "hold" {SYNS} meta mark set 1; }}\n}}\n')

    def wait_for(self, n):
        """Until it has n SYNs."""
        def enough():
            with contextlib.suppress(BlockingIOError):
                packet = os.read(self.fd, 65536)
                if TCP == (packet[9] if packet[0] >> 4 == 4 else packet[6]):  # else the device's own, of IPv6
                    self.held.append(packet)
            return len(self.held) >= n
        peers.eventually(enough, lambda: f"{self.node} holds {len(self.held)} SYNs")

    def release(self):
        for packet in self.held:
            os.write(self.fd, packet)

    def close(self):
        os.close(self.fd)
        self.lab.run(self.node, "nft", "delete", "table", "inet", "hold")
        for version in ("-4", "-6"):
            self.lab.run(self.node, "ip", version, "rule", "del", "fwmark", "1", "lookup", "100")


class Withdraw(OnStar):
    """Sessions that go on without their chain; nothing of it is left soon after."""

    config = ("timeout linger 1", "timeout embryonic 600", "health off")
    policies = ("via fw1,fw2 fail open retries 1 filter tcp dst port 80",)

    def setUp(self):
        super().setUp()
        self.begin()

    def begin(self):
        """gained() counts from here on."""
        self.before = {node: self.counts(node) for node in self.lab.agents}

    def counts(self, node):
        counters = self.lab.ask(node, "stats")["counters"]
        return {name: counters[name] for name in ("withdrew", "withdrawn", "bypass")}

    def gained(self, node, name):
        return self.counts(node)[name] - self.before[node][name]

    def gone(self, *nodes):
        """Long before `embryonic` is over."""
        self.lab.no_legs(*nodes)
        for node in nodes:
            self.assertEqual(self.gained(node, "withdrawn"), 1, node)

    def test_box_drops_the_syn(self):
        for version in (4, 6):
            with self.subTest(ip=version), self.lab.monitor("fw1") as monitor:
                self.begin()
                with self.lab.rules("fw2", f"chain f {{ type filter hook forward priority 0; {SYNS} drop; }}"):
                    pair = self.pair(self.listen(80, version))
                    pair.ping()
                event = monitor.wait_for("withdrawn")
                self.assertEqual(event["host"], "fw1")
                self.gone("fw1", "fw2")
                pair.ping()
                self.assertEqual((self.gained("client", "bypass"), self.gained("client", "withdrew")), (1, 1))
                self.assertEqual(self.lab.at("client", pair)["state"], "bypass")
                for command in ("why", "show"):
                    code, out, _ = self.lab.cli("client", "session", command, event["id"])
                    self.assertEqual(code, 0)
                    self.assertRegex(out, "given up.*by this agent")
                pair.close()

    def test_box_drops_the_answer(self):
        """The destination's agent has a leg for a chain that nobody listens to."""
        with self.lab.rules("fw2", "chain f { type filter hook forward priority 0; tcp flags & (syn|ack) == (syn|ack) drop; }"):
            pair = self.pair(self.listen())
            pair.ping()
        self.gone("fw1", "fw2", "server")
        peers.bulk(pair, 1 << 20)

    def test_slow_box(self):
        """What it lets out in the end does not reach the server beside the living session."""
        for version in (4, 6):
            with self.subTest(ip=version), contextlib.closing(Holding(self.lab, "fw2")) as box:
                self.begin()
                joined = self.lab.count("server", "sessions_joined")
                pair = self.pair(self.listen(80, version))
                pair.ping()
                box.wait_for(1)
                peers.eventually(lambda: self.gained("fw2", "withdrawn") == 1, "fw2 was not told")
                late = self.lab.dropped("fw2", "late")
                box.release()
                peers.eventually(lambda: self.lab.dropped("fw2", "late") >= late + len(box.held), lambda: self.lab.drops("fw2"))
                self.gone("fw1", "fw2")
                self.assertEqual(self.lab.count("server", "sessions_joined"), joined)
                peers.bulk(pair, 1 << 20)
                pair.close()
