# SPDX-License-Identifier: BSD-2-Clause
"""The life of a session: every way to begin, to go on and to end, through two boxes.

The boxes run a strict stateful firewall (be_liberal off, INVALID counted), so
that each test also shows that Dysco keeps their view of TCP whole.
"""
import contextlib
import socket
import struct
import types

import packets
import peers
from cases import OnStar

STRICT = """
    counter invalid { }
    chain forward {
        type filter hook forward priority 0;
        ct state invalid counter name invalid drop
    }
"""
BULK = 8 << 20


class Ends(OnStar):
    """How sessions end."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for box in cls.lab.boxes:
            cls.lab.sysctl(box, "net.netfilter.nf_conntrack_tcp_be_liberal", 0)
            cls.lab.nft(box, f"table inet strict {{\n{STRICT}\n}}\n")

    def tearDown(self):
        for box in self.lab.boxes:
            self.assertEqual(self.lab.nft_counter(box, "invalid", "strict"), 0, f"{box}'s firewall saw invalid packets")

    def half_close(self, first, second):
        """`first` closes its direction, `second` goes on at length, then closes too."""
        first.sendall(b"last words")
        first.shutdown(socket.SHUT_WR)
        self.assertEqual(peers.read_to_end(second), b"last words")
        peers.pump([peers.Flow(second, first, BULK)])
        second.shutdown(socket.SHUT_WR)
        self.assertEqual(peers.read_to_end(first), b"")

    def test_client_closes_first(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.pair(self.listen(80, version))
                self.lab.went_through(pair)
                self.half_close(pair.client, pair.server)
                pair.close()
                self.lab.nothing_left()

    def test_server_closes_first(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.pair(self.listen(80, version))
                self.half_close(pair.server, pair.client)
                pair.close()
                self.lab.nothing_left()

    def test_half_closed_is_shown(self):
        pair = self.pair(self.listen())
        pair.ping()
        pair.client.shutdown(socket.SHUT_WR)
        for node in ("client", "fw1", "server"):
            peers.eventually(lambda: self.lab.at(node, pair)["state"] == "half_closed", lambda: self.lab.at(node, pair))

    def test_both_close_at_once(self):
        pair = self.pair(self.listen())
        pair.ping()
        pair.client.shutdown(socket.SHUT_WR)
        pair.server.shutdown(socket.SHUT_WR)
        self.assertEqual(peers.read_to_end(pair.client), b"")
        self.assertEqual(peers.read_to_end(pair.server), b"")
        pair.close()
        self.lab.nothing_left()

    def test_abort(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                listener = self.listen(80, version)
                for aborting, other in (("client", "server"), ("server", "client")):
                    pair = self.pair(listener)
                    pair.ping()
                    reset = self.lab.count("client", "sessions_ended")
                    peers.reset(getattr(pair, aborting))
                    with self.assertRaises(ConnectionResetError):
                        peers.read_to_end(getattr(pair, other))
                    peers.eventually(lambda: self.lab.count("client", "sessions_ended") > reset, "end not noticed")
                self.lab.nothing_left()

    def test_time_wait_and_reuse(self):
        """The same five-tuple again at once: after FINs, after RSTs, and without its policy in between."""
        for version in (4, 6):
            with self.subTest(ip=version):
                listener = self.listen(80, version)
                source = (self.lab.address("client", version), 40000 + version)
                for end in ("fin", "rst", "fin", "fin"):
                    pair = self.pair(listener, source)
                    self.lab.went_through(pair)
                    pair.ping()
                    if end == "fin":  # TIME_WAIT stays with the server, which takes a new SYN in it
                        pair.server.shutdown(socket.SHUT_WR)
                        self.assertEqual(peers.read_to_end(pair.client), b"")
                        pair.client.close()
                        self.assertEqual(peers.read_to_end(pair.server), b"")
                        pair.server.close()
                    else:
                        peers.reset(pair.client)
                        with self.assertRaises(ConnectionResetError):
                            peers.read_to_end(pair.server)

    def test_reuse_without_policy_between(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                listener = self.listen(81, version)
                source = (self.lab.address("client", version), 41000 + version)
                self.ask("policy replace p0 at client via fw1,fw2 filter tcp dst port 80")
                for chained in (True, False, True, False):
                    if chained:
                        self.ask("policy add between via fw1,fw2 priority 200 filter tcp dst port 81")
                    else:
                        self.ask("policy remove between")
                    pair = self.pair(listener, source)
                    pair.ping()
                    peers.bulk(pair, 1 << 20)
                    if chained:
                        self.lab.went_through(pair)
                    else:
                        self.assertIn((self.lab.at("fw1", pair) or {"state": None})["state"], (None, "dead", "time_wait", "reset"))
                    pair.server.shutdown(socket.SHUT_WR)
                    self.assertEqual(peers.read_to_end(pair.client), b"")
                    pair.client.close()
                    self.assertEqual(peers.read_to_end(pair.server), b"")
                    pair.server.close()
                self.ask("policy replace p0 at client via fw1,fw2 filter tcp dst portrange 80-99")

    def test_strict_firewalls_see_whole_sessions(self):
        """Many sessions of all endings; tearDown looks at the counters."""
        listener = self.listen()
        for i in range(30):
            pair = self.pair(listener)
            pair.ping(b"x" * (1 + 997 * i))
            if i % 3 == 0:
                peers.reset(pair.client)
            elif i % 3 == 1:
                pair.client.shutdown(socket.SHUT_WR)
                self.assertEqual(peers.read_to_end(pair.server), b"")
            pair.close()
        self.lab.nothing_left()


class Idle(OnStar):
    """Silence has an end: endpoints are reset, legs are freed."""

    config = ("timeout linger 1", "timeout established 2", "timeout half-closed 1", "timeout embryonic 1")

    def test_established(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.pair(self.listen(80, version))
                pair.ping()
                for end in (pair.client, pair.server):
                    with self.assertRaises(ConnectionResetError):
                        peers.read_to_end(end)
                self.lab.nothing_left()
                self.assertGreater(sum(self.lab.counter(agent, "expired_idle") for agent in self.lab.agents), 0)

    def test_half_closed(self):
        pair = self.pair(self.listen())
        pair.ping()
        pair.client.shutdown(socket.SHUT_WR)
        with self.assertRaises(ConnectionResetError):
            peers.read_to_end(pair.client)
        self.lab.nothing_left()

    def test_traffic_keeps_alive(self):
        """A session with a packet now and then outlives its idle time by far."""
        pair = self.pair(self.listen())
        expired = self.lab.count("fw1", "expired_idle")
        pings = 0

        def old_enough():
            nonlocal pings
            pair.ping()
            pings += 1
            return self.lab.at("fw1", pair)["age_s"] > 5

        peers.eventually(old_enough, "session does not age")
        self.assertGreater(pings, 10)
        self.assertEqual(self.lab.count("fw1", "expired_idle"), expired)

    def test_never_answered(self):
        """A box that drops every SYN: nothing reaches the server, nothing stays."""
        self.listen()
        with self.lab.rules("fw1", "chain f { type filter hook forward priority 0; meta l4proto tcp drop; }"):
            s = peers.start_connect(self.lab.netns("client"), self.lab.address("server"), 80)
            peers.eventually(lambda: self.lab.sessions("fw1"), "SYN did not reach fw1")
            s.close()
            self.lab.nothing_left()
        self.assertEqual(self.lab.count("server", "sessions_joined"), self.joined_before)
        self.assertGreater(self.lab.count("client", "expired_embryonic"), 0)

    def setUp(self):
        super().setUp()
        self.joined_before = self.lab.count("server", "sessions_joined")


class Beginnings(OnStar):
    """SYNs lost, refused, answered by cookies, with data."""

    policies = (
        "via fw1,fw2 filter tcp dst portrange 80-84",
        "via 10.0.13.2 fail open retries 1 filter tcp dst port 85",
        "via 10.0.13.2 fail closed filter tcp dst port 86",
    )
    boxes = 3
    agentless = ("fw3",)
    config = ("timeout linger 1", "timeout embryonic 4")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.boxes = ["fw1", "fw2"]

    def first_dropped(self, node, match, hook):
        """Rules that drop the first packet of a kind, and no other."""
        return self.lab.rules(node, f"chain f {{ type filter hook {hook} priority 0; {match} numgen inc mod 1000000 0 drop; }}")

    def test_syn_lost_on_the_link(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                again = self.lab.count("client", "syn_retransmitted")
                with self.first_dropped("r", "tcp flags & (syn|ack) == syn", "forward"):
                    pair = self.pair(self.listen(80, version))
                    pair.ping()
                    self.lab.went_through(pair)
                self.assertGreater(self.lab.count("client", "syn_retransmitted"), again)

    def test_syn_lost_in_the_box(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                again = self.lab.count("client", "syn_retransmitted")
                with self.first_dropped("fw1", "tcp flags & (syn|ack) == syn", "forward"):
                    pair = self.pair(self.listen(80, version))
                    pair.ping()
                    self.lab.went_through(pair)
                self.assertGreater(self.lab.count("client", "syn_retransmitted"), again)

    def test_syn_ack_lost(self):
        with self.first_dropped("fw2", "tcp flags & (syn|ack) == (syn|ack)", "forward"):
            pair = self.pair(self.listen())
            pair.ping()
            self.lab.went_through(pair)

    def test_syn_overtaken(self):
        """A copy of the SYN that comes when the handshake has passed it: the box does not see it."""
        mac = packets.mac_of(self.lab.netns("fw1"), "eth0")
        for version in (4, 6):
            with self.subTest(ip=version), packets.Wire(self.lab.netns("r"), "fw1").towards(mac) as wire, self.lab.rules("fw1", "counter syn { }\nchain f { type filter hook forward priority 0; tcp flags & (syn|ack) == syn counter name syn; }"):
                pair = self.pair(self.listen(80, version))
                pair.ping()
                copy = next(p for p in map(packets.Seen, wire.received()) if p.is_syn() and p.is_ours() and p.dst == self.lab.address("fw1", version))
                late = self.lab.dropped("fw1", "late")
                wire.send(copy.raw)
                peers.eventually(lambda: self.lab.dropped("fw1", "late") > late, "the SYN was not dropped")
                self.assertEqual(self.lab.nft_counter("fw1", "syn"), 1)
                pair.ping()

    def no_listener(self, port, version=4):
        with self.assertRaises(ConnectionRefusedError):
            peers.connect(self.lab.netns("client"), self.lab.address("server", version), port)

    def test_refused_by_the_server(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                refused = self.lab.count("client", "refused")
                self.no_listener(82, version)
                peers.eventually(lambda: self.lab.count("client", "refused") > refused, "refusal not counted")
                self.lab.nothing_left()

    def test_refused_by_a_box(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                self.listen(83, version)
                with self.lab.rules("fw2", "chain f { type filter hook forward priority 0; tcp dport 83 reject with tcp reset; }"):
                    self.no_listener(83, version)
        self.lab.nothing_left()

    def test_next_hop_refuses(self):
        """The next hop runs no agent: its stack answers RST."""
        joined = self.lab.count("server", "sessions_joined")
        self.listen(86)
        self.no_listener(86)
        self.assertEqual(self.lab.count("server", "sessions_joined"), joined)

    def test_next_hop_refuses_fail_open(self):
        bypassed = self.lab.count("client", "bypass")
        pair = self.pair(self.listen(85))
        pair.ping()
        peers.bulk(pair, 1 << 20)
        self.assertEqual(self.lab.count("client", "bypass"), bypassed + 1)

    SILENCE = "chain f { type filter hook forward priority 0; ip daddr 10.0.13.2 drop; }"

    def test_next_hop_silent(self):
        self.listen(86)
        with self.lab.rules("r", self.SILENCE), self.lab.rules("server", "counter syn { }\nchain i { type filter hook input priority 0; tcp dport 86 counter name syn; }"):
            again = self.lab.count("client", "syn_retransmitted")
            s = peers.start_connect(self.lab.netns("client"), self.lab.address("server"), 86)
            peers.eventually(lambda: self.lab.count("client", "syn_retransmitted") > again, "no second SYN")
            s.close()
            self.assertEqual(self.lab.nft_counter("server", "syn"), 0)

    def test_next_hop_silent_fail_open(self):
        bypassed = self.lab.count("client", "bypass")
        with self.lab.rules("r", self.SILENCE):
            pair = self.pair(self.listen(85))
            pair.ping()
        self.assertEqual(self.lab.count("client", "bypass"), bypassed + 1)

    def test_syn_cookies(self):
        self.lab.sysctl("server", "net.ipv4.tcp_syncookies", 2)
        self.addCleanup(self.lab.sysctl, "server", "net.ipv4.tcp_syncookies", 1)
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.pair(self.listen(80, version))
                self.lab.went_through(pair)
                peers.bulk(pair, 1 << 20)

    def test_fast_open(self):
        """Data in the SYN arrives once, whether a cookie is asked for or not."""
        self.lab.sysctl("client", "net.ipv4.tcp_fastopen", 1)
        self.lab.sysctl("server", "net.ipv4.tcp_fastopen", 2)
        for version in (4, 6):
            with self.subTest(ip=version):
                listener = self.listen(80, version)
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
                with_data = 0
                for _ in range(3):
                    with_data += self.fast_open(listener)
                self.assertEqual(with_data, 2, "the first asks for the cookie, the others carry data")

    def fast_open(self, listener):
        """True when the data went in the SYN."""
        address, port = listener.getsockname()[:2]
        with peers.tcp(self.lab.netns("client"), address) as client:
            client.settimeout(None)  # without a cookie the call waits for the handshake
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(peers.TIMEOUT), 0))
            client.sendto(b"early words", socket.MSG_FASTOPEN, (address, port))
            with listener.accept()[0] as server:
                server.settimeout(peers.TIMEOUT)
                self.assertEqual(peers.read_exactly(server, 11), b"early words")
                src, dst = peers.endpoint(client), peers.peer_endpoint(client)
                self.assertTrue(self.lab.session("fw2", src, dst))
                server.sendall(b"answer")
                self.assertEqual(peers.read_exactly(client, 6), b"answer")
                client.shutdown(socket.SHUT_WR)
                self.assertEqual(peers.read_to_end(server), b"")
            return bool(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] & 32)


class OpenAtOnce(OnStar):
    """Both ends connect to each other, each with a chain of its own: the session goes on whose initiator has the lower address.

    The router drops the SYNs of the end that opens first, so that its socket and
    its agent wait for an answer when the other end's SYN comes.
    """

    PORTS = {"client": 45000, "server": 80}
    policies = ("via fw1,fw2 filter tcp dst port 80",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.ask("server", "policy add back at server via fw2,fw1 filter tcp dst port 45000")

    def open(self, node, version):
        other = "server" if node == "client" else "client"
        s = peers.start_connect(self.lab.netns(node), self.lab.address(other, version), self.PORTS[other], (self.lab.address(node, version), self.PORTS[node]))
        self.addCleanup(s.close)
        return s

    @contextlib.contextmanager
    def one_way(self, silent):
        """No SYN of this end gets further than the router."""
        counts = f"counter held {{ }}\nchain f {{ type filter hook forward priority 0; iifname {silent} tcp flags & (syn | ack) == syn counter name held drop; }}"
        with self.lab.rules("r", counts):
            yield lambda: self.lab.nft_counter("r", "held") > 0

    def goes_on(self, client, server):
        self.assertEqual((peers.connected(client), peers.connected(server)), (0, 0))
        pair = types.SimpleNamespace(client=client, server=server)
        peers.hand_over(client, server, b"one of us began")
        peers.bulk(pair, BULK)
        self.lab.went_through(pair)
        for node in ("client", "fw1", "fw2", "server"):
            self.assertIsNone(self.lab.session(node, peers.endpoint(server), peers.peer_endpoint(server), node), f"{node} has the other session too")
        self.assertEqual([(s["role"], s["state"]) for s in self.lab.sessions("client")], [("first", "established")])
        self.assertEqual([(s["role"], s["state"]) for s in self.lab.sessions("server")], [("last", "established")])
        peers.reset(client)
        server.close()
        self.lab.nothing_left()

    def test_the_winner_comes_to_the_loser(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                with self.one_way("server") as held:
                    server = self.open("server", version)
                    peers.eventually(held, "the server's SYN does not come to the router")
                    client = self.open("client", version)
                    self.assertEqual(peers.connected(client), 0)
                self.goes_on(client, server)

    def test_the_loser_comes_first(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                dropped = self.lab.dropped("client", "simultaneous")
                with self.one_way("client") as held:
                    client = self.open("client", version)
                    peers.eventually(held, "the client's SYN does not come to the router")
                    server = self.open("server", version)
                    peers.eventually(lambda: self.lab.dropped("client", "simultaneous") > dropped, "the client's agent does not drop the server's SYN")
                self.goes_on(client, server)


class Data(OnStar):
    """Bulk both ways under all conditions; contents are compared."""

    def offloads(self, **features):
        for node in [*self.lab.nodes]:
            words = [word for feature, value in features.items() for word in (feature, value)]
            self.lab.run(node, "ethtool", "-K", "eth0", *words)

    def transfer(self, version, total=BULK):
        pair = self.pair(self.listen(80, version))
        peers.bulk(pair, total)
        self.lab.went_through(pair)
        pair.close()

    def test_offloads(self):
        on = dict(tx="on", sg="on", tso="on", gso="on", gro="on")
        self.addCleanup(self.offloads, **on)
        combinations = [
            on,
            dict(on, tso="off"),
            dict(on, gro="off"),
            dict(on, tso="off", gso="off"),
            dict(tx="off", sg="off", tso="off", gso="off", gro="on"),
            dict(tx="off", sg="off", tso="off", gso="off", gro="off"),
        ]
        for i, combination in enumerate(combinations):
            for version in (4, 6) if i in (0, 5) else (4 + 2 * (i % 2),):
                with self.subTest(ip=version, **combination):
                    self.offloads(**combination)
                    self.transfer(version, 4 * BULK)

    def test_mixed_offloads(self):
        """Only a box has none: packets are split and joined between the hops."""
        self.addCleanup(self.lab.run, "fw1", "ethtool", "-K", "eth0", "tx", "on", "sg", "on", "tso", "on", "gso", "on", "gro", "on")
        self.lab.run("fw1", "ethtool", "-K", "eth0", "tx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off")
        for version in (4, 6):
            with self.subTest(ip=version):
                self.transfer(version)

    def test_loss(self):
        lossy = "chain f { type filter hook forward priority 0; tcp flags & (syn|fin|rst) == 0 numgen random mod 100 0 counter name lost drop; }"
        for version in (4, 6):
            with self.subTest(ip=version):
                with self.lab.rules("r", "counter lost { }\n" + lossy):
                    self.transfer(version, 2 * BULK)
                    self.assertGreater(self.lab.nft_counter("r", "lost"), 0)

    def test_options_off(self):
        """Without timestamps, without SACK, without window scaling, with loss."""
        lossy = "chain f { type filter hook forward priority 0; tcp flags & (syn|fin|rst) == 0 numgen random mod 200 0 drop; }"
        for key in ("tcp_timestamps", "tcp_sack", "tcp_window_scaling"):
            with self.subTest(off=key), self.lab.rules("r", lossy):
                self.lab.sysctl("client", "net.ipv4." + key, 0)
                self.addCleanup(self.lab.sysctl, "client", "net.ipv4." + key, 1)
                self.transfer(4, BULK // 4 if key == "tcp_window_scaling" else BULK)
                self.lab.sysctl("client", "net.ipv4." + key, 1)


class SmallMtu(OnStar):
    """fw2's link carries 1400 bytes: routers say so, their words are mapped back, all arrives."""

    links = {"fw2": "mtu 1400"}

    def mapped(self):
        return sum(self.lab.counter(agent, "icmp_mapped") for agent in self.lab.agents)

    def one_way(self, version, to_client):
        for node in self.lab.nodes:  # what an earlier session has learnt
            self.lab.run(node, "ip", "route", "flush", "cache")
            self.lab.run(node, "ip", "-6", "route", "flush", "cache")
        before = self.mapped()
        pair = self.pair(self.listen(80, version))
        sender, receiver = (pair.server, pair.client) if to_client else (pair.client, pair.server)
        # What the handshake agreed on is the MTU of the ends' own links.
        self.assertGreater(sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), 1400 - 40)
        peers.pump([peers.Flow(sender, receiver, BULK)])
        self.assertGreater(self.mapped(), before)

    def test_to_the_server(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                self.one_way(version, False)

    def test_to_the_client(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                self.one_way(version, True)


class SmallMtuOfPorts(SmallMtu):
    mode = "port"


class EndsOfPorts(Ends):
    """The same with nothing in the nodes: ports of one agent in the router."""

    mode = "port"
