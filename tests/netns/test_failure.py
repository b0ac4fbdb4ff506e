# SPDX-License-Identifier: BSD-2-Clause
"""Boxes fail under living sessions, and what becomes of these.

    client --- r --- server
               |
          fw1, fw2, fw3

A box fails by its link going down (host and agent gone for everybody), or by
no longer forwarding while its host and agent live.
"""
import fcntl
import socket
import termios

import peers
from aftermath import dropping, message
from test_reconfig import MEGABYTE, Changing, Request
from topology import Refused


class Failing(Changing):
    """Health is off: somebody says what is to be done."""

    config = ("timeout linger 1", "health off")
    policies = ("via fw1,fw2 filter tcp dst port 81", "via fw1 filter tcp dst port 82")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for box in cls.lab.boxes:  # or its IPv6 addresses would go with the link
            cls.lab.sysctl("r", f"net.ipv6.conf.{box}.keep_addr_on_down", 1)

    def link(self, box, up):
        """The router's end of the box's link: nothing reaches the box, nothing leaves it."""
        self.lab.run("r", "ip", "link", "set", box, "up" if up else "down")
        if up:
            peers.eventually(lambda: "LOWER_UP" in self.lab.run("r", "ip", "link", "show", box), f"the link of {box} stays down")

    def fail(self, box):
        self.link(box, False)
        self.addCleanup(self.link, box, True)

    def no_sessions(self):
        """Of the agents' own control sessions some outlive those that they were about."""
        for agent in self.lab.agents:
            peers.eventually(lambda agent=agent: not self.lab.sessions(agent), lambda agent=agent: f"{agent} still has {self.lab.sessions(agent)}")

    def start(self, port=81, version=4):
        pair = self.pair(self.listen(port, version))
        pair.ping()
        return pair, f"{peers.endpoint(pair.client)} {peers.peer_endpoint(pair.client)}"


class Recover(Failing):
    """session recover"""

    def test_under_load(self):
        """Both ways at full rate the first box dies; the other one stays in the chain, or a third comes."""
        for version, boxes in ((4, ["fw2"]), (6, ["fw3", "fw2"]), (4, [])):
            with self.subTest(ip=version, boxes=boxes):
                pair, name = self.start(81, version)
                flows = [peers.Flow(pair.client, pair.server, 30 * MEGABYTE), peers.Flow(pair.server, pair.client, 30 * MEGABYTE)]
                requests = []

                def each(flows=flows, requests=requests, name=name, boxes=boxes):
                    if not requests and flows[0].received > 5 * MEGABYTE:
                        self.link("fw1", False)
                        requests.append(Request(self.lab, "client", " ".join(["session recover", name, *boxes])))

                try:
                    peers.pump(flows, each=each)
                    requests[0].result()
                    self.assertEqual(self.chain(name), ["client", *boxes, "server"])
                    pair.ping()
                finally:
                    self.link("fw1", True)
                pair.close()


class Detected(Failing):
    """Health is on: nobody has to say anything."""

    boxes = 4
    config = ("timeout linger 1", "health on interval 300ms timeout 150ms failures 3 successes 2 patience 1s", "type pair fw3 fw4 select consistent-hash")
    policies = (
        "via fw1,fw2 on-failure bypass filter tcp dst port 81",
        "via fw1 filter tcp dst port 82",
        "via pair filter tcp dst port 83",
        "via fw1,fw2 on-failure none filter tcp dst port 84",
    )

    def count(self, name):
        return self.lab.count("client", name)

    def state(self, box):
        return next(b["state"] for b in self.ask("box list")["boxes"] if b["name"] == box)

    def forwards(self, box, does):
        self.lab.sysctl(box, "net.ipv4.ip_forward", int(does))
        self.lab.sysctl(box, "net.ipv6.conf.all.forwarding", int(does))

    def survives(self, pair, fail):
        """30 MB each way, in the midst of which fail() is called."""
        flows = [peers.Flow(pair.client, pair.server, 30 * MEGABYTE), peers.Flow(pair.server, pair.client, 30 * MEGABYTE)]
        called = []

        def maybe():
            if not called and flows[0].received > 5 * MEGABYTE:
                called.append(fail())

        peers.pump(flows, each=maybe)

    def deaf(self, pair, node, looks=2):
        """One end's host says nothing at all any more, and does not take what the other end sends: that is looked at again and again."""
        far, near = (pair.client, pair.server) if node == "server" else (pair.server, pair.client)
        with self.lab.rules(node, "chain i { type filter hook input priority 0; drop; }", table="deaf"):
            far.sendall(b"anybody there?")
            checked = self.count("paths_checked")
            peers.eventually(lambda: self.count("paths_checked") > checked + looks, "nobody looks at the session")
        self.assertEqual(peers.read_exactly(near, 14), b"anybody there?")

    def both_reset(self, pair):
        for end in (pair.client, pair.server):
            with self.assertRaises(ConnectionResetError):
                end.recv(1)

    def left_out(self, box):
        peers.eventually(lambda: not self.lab.sessions(self.lab.agent_of(box), f"host {box}"), f"{box} does not hear that it is left out")

    def test_host_gone(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair, name = self.start(81, version)
                try:
                    self.survives(pair, lambda: self.link("fw1", False))
                    self.assertEqual(self.chain(name), ["client", "fw2", "server"])
                    self.assertEqual(self.state("fw1"), "down")
                finally:
                    self.link("fw1", True)
                self.left_out("fw1")
                peers.eventually(lambda: self.state("fw1") == "up", "fw1 is not up again")
                pair.close()
                self.no_sessions()

    def test_no_forwarding(self):
        """Host and agent of the second box live; another box of its own type takes no part."""
        pair, name = self.start(81)
        try:
            self.survives(pair, lambda: self.forwards("fw2", False))
            self.assertEqual(self.chain(name), ["client", "fw1", "server"])
        finally:
            self.forwards("fw2", True)
        self.left_out("fw2")
        pair.close()
        self.no_sessions()

    def test_replaced(self):
        """A session that is idle, too; new ones avoid the box."""
        pair, name = self.start(83, 6)
        box = self.chain(name)[1]
        other = {"fw3": "fw4", "fw4": "fw3"}[box]
        with self.lab.monitor("client") as monitor:
            try:
                self.link(box, False)
                monitor.wait_for("box_down", box=box)
                monitor.wait_for("path_broken", box=box, reason="no_answer")
                monitor.wait_for("recovered", policy="p2")
                self.assertEqual(self.chain(name), ["client", other, "server"])
                pair.ping()
                for _ in range(4):
                    fresh, fresh_name = self.start(83, 6)
                    self.assertEqual(self.chain(fresh_name), ["client", other, "server"])
                    fresh.close()
            finally:
                self.link(box, True)
            monitor.wait_for("box_up", box=box)
        self.left_out(box)
        pair.close()
        self.no_sessions()

    def test_closed(self):
        """A box that must be there, and no other one: both ends are reset."""
        before = self.count("closed_failed")
        pair, _ = self.start(82)
        self.link("fw1", False)
        try:
            self.both_reset(pair)
        finally:
            self.link("fw1", True)
        self.assertEqual(self.count("closed_failed"), before + 1)
        self.left_out("fw1")
        pair.close()
        self.no_sessions()

    def test_nat_is_not_left_out(self):
        with self.lab.rules("fw1", "chain p { type nat hook postrouting priority 100; tcp dport 81 masquerade; }", table="nat"):
            pair, _ = self.start(81)
            self.forwards("fw1", False)
            pair.server.sendall(b"lost")  # the client's agent hears of it by the box's agent
            try:
                self.both_reset(pair)
            finally:
                self.forwards("fw1", True)
            pair.close()
        self.no_sessions()

    def test_no_alarm(self):
        """Agents that die, silent ends, loss: no failure of a box."""
        recovered, closed = self.count("recovered"), self.count("closed_failed")
        pair, name = self.start(81)
        peers.eventually(lambda: self.state("fw1") == "up", "fw1 is not asked")
        checked = self.count("paths_checked")
        corpse = self.lab.kill_agent("fw1")
        peers.eventually(lambda: self.state("fw1") == "down", "fw1's agent is dead")
        peers.eventually(lambda: self.count("paths_checked") > checked, "nobody looked at the session")
        pair.ping()
        peers.bulk(pair, MEGABYTE)
        self.lab.restart_agent(corpse)
        peers.eventually(lambda: self.state("fw1") == "up", "fw1 is not up again")
        self.deaf(pair, "server")
        self.deaf(pair, "client")
        self.assertEqual(self.chain(name), ["client", "fw1", "fw2", "server"])
        self.assertEqual((self.count("recovered"), self.count("closed_failed")), (recovered, closed))
        pair.close()
        self.no_sessions()

    def test_nobody_tells(self):
        """A recovery that was nobody's but the user's leaves two boxes behind: they ask, and know when the session is over."""
        pair, name = self.start(84)
        try:
            for box in ("fw1", "fw2"):
                self.link(box, False)
            self.ask(f"session recover {name}")
            pair.ping()
        finally:
            for box in ("fw1", "fw2"):
                self.link(box, True)
        self.assertEqual(self.chain(name), ["client", "server"])
        for box in ("fw1", "fw2"):
            peers.eventually(lambda box=box: self.state(box) == "up", f"{box} is not up again")
            self.assertTrue(self.lab.sessions(self.lab.agent_of(box), f"host {box}"), box)
        pair.close()
        self.no_sessions()

    def test_change_under_way(self):
        """Somebody's change waits for an answer that will not come by the dead box: it gives way."""
        pair, name = self.start(81)
        try:
            with self.lab.monitor("client") as monitor:
                with self.lab.rules("r", dropping(message("LOCK"))):
                    request = Request(self.lab, "client", f"session insert {name} fw3 after client")
                    monitor.wait_for("reconfig_phase", host="client")
                    self.link("fw1", False)
                pair.client.sendall(b"lost")
                monitor.wait_for("recovered")
            with self.assertRaises(Refused):
                request.result()
            self.assertEqual(peers.read_exactly(pair.server, 4), b"lost")
            self.assertEqual(self.chain(name), ["client", "fw2", "server"])
        finally:
            self.link("fw1", True)
        peers.eventually(lambda: self.state("fw1") == "up", "fw1 is not up again")
        pair.close()
        self.no_sessions()

    def test_fin_unseen(self):
        """The left anchor has not seen the FIN, but a number behind it: the new path's box never sees it."""
        pair, name = self.start(81)
        with self.lab.monitor(self.lab.agent_of("fw1")) as monitor:
            with self.lab.rules("r", dropping(f"ip saddr {self.lab.address('client')} tcp flags & fin == fin")):
                pair.client.shutdown(socket.SHUT_WR)
                pair.server.sendall(b"number, please.")
                peers.eventually(lambda: fcntl.ioctl(pair.server, termios.TIOCOUTQ, bytes(4)) == bytes(4), "the client does not acknowledge")
                request = Request(self.lab, self.lab.agent_of("fw1"), f"session insert {name} fw3 after fw1")
                peers.eventually(lambda: monitor.wait_for("reconfig_phase", host="fw1")["attempt"]["state"] == "two_paths", "there are no two paths")
            request.result()
        self.assertEqual(pair.server.recv(1), b"")
        self.assertEqual(peers.read_exactly(pair.client, 15), b"number, please.")
        pair.close()
        self.no_sessions()

    def test_silence_is_no_end(self):
        """Half closed, with nothing to say: the boxes ask, and are told that it lives."""
        pair, _ = self.start(81)
        before = {box: self.lab.count(box, "left_behind") for box in ("fw1", "fw2")}
        answered = self.lab.count("server", "probes_answered"), self.lab.count("client", "probes_answered")
        pair.client.shutdown(socket.SHUT_WR)
        peers.eventually(lambda: self.lab.count("server", "probes_answered") > answered[0] + 3 and self.lab.count("client", "probes_answered") > answered[1] + 3,
                         "the boxes ask nobody")
        pair.server.sendall(b"at last")
        self.assertEqual(peers.read_exactly(pair.client, 7), b"at last")
        self.assertEqual({box: self.lab.count(box, "left_behind") for box in before}, before)
        pair.close()
        self.no_sessions()

    def test_settings(self):
        self.refused("health", "syntax", "on or off")
        self.refused("health maybe", "bad_value", "maybe")
        self.refused("health on interval 5", "bad_value", "500ms")
        self.refused("health on often", "syntax", "interval")
        self.refused("health off timeout 1s", "syntax")
        self.refused("policy add x via fw1 on-failure pray filter tcp", "bad_value", "pray")
        self.assertEqual(self.ask("status")["health"]["interval_ms"], 300)


class DetectedOnPorts(Failing):
    """Boxes beyond ports: one agent for all, which must not be fooled by its own answers."""

    mode = "port"
    config = Detected.config[:2]
    policies = ("via fw1,fw2 on-failure bypass filter tcp dst port 81",)

    def test_no_forwarding(self):
        pair, name = self.start(81)
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.lab.sysctl("fw2", key, 0)
        pair.client.sendall(b"lost")
        self.assertEqual(peers.read_exactly(pair.server, 4), b"lost")
        self.assertEqual(self.chain(name), ["client", "fw1", "server"])
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.lab.sysctl("fw2", key, 1)
        pair.close()
        self.no_sessions()


class Lossy(Detected):
    """Links that lose one packet in twenty, and take their time: slow, not dead."""

    boxes = 2
    config = Detected.config[:2]
    policies = ("via fw1,fw2 on-failure bypass filter tcp dst port 81",)
    links = {"fw1": "loss 5% delay 30ms"}
    test_host_gone = test_no_forwarding = test_replaced = test_closed = None
    test_nat_is_not_left_out = test_no_alarm = test_settings = test_change_under_way = test_nobody_tells = test_fin_unseen = test_silence_is_no_end = None

    def test_no_alarm_over_bad_links(self):
        pair, name = self.start(81)
        peers.bulk(pair, MEGABYTE // 5)
        self.deaf(pair, "server", 1)
        pair.ping()
        shown = self.ask(f"session show {name}")["sessions"][0]  # a trace may be lost
        self.assertEqual([hop["address"] for hop in shown["chain"]], [self.lab.address(node) for node in ("fw1", "fw2", "server")])
        self.assertEqual((self.count("recovered"), self.count("closed_failed")), (0, 0))
        pair.close()
