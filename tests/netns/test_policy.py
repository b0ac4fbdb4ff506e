# SPDX-License-Identifier: BSD-2-Clause
"""Policies at run time, and what they make of real sessions."""
import collections

import peers
from cases import OnStar


class Policies(OnStar):
    """Every test makes the policies it needs."""

    boxes = 3
    policies = ()

    def tearDown(self):
        for agent in self.lab.agents:
            for policy in self.lab.ask(agent, "policy list")["policies"]:
                self.lab.ask(agent, f"policy remove {policy['name']}")

    def put(self, name, rest):
        """Adds a policy, or replaces it."""
        there = name in (policy["name"] for policy in self.ask("policy list")["policies"])
        self.ask(f"policy {'replace' if there else 'add'} {name} {rest}")

    def pair(self, listener, source=None):
        pair = super().pair(listener, source)
        pair.ping()
        return pair

    def visited(self, pair):
        """The boxes whose agents know the session."""
        return [box for box in self.lab.boxes if self.lab.at(box, pair)]


class AtRunTime(Policies):
    def test_add_replace_remove(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                listener = self.listen(80, version)
                self.ask("policy add web via fw1 filter tcp dst port 80")
                first = self.pair(listener)
                self.assertEqual(self.visited(first), ["fw1"])
                self.ask("policy replace web via fw2,fw3 filter tcp dst port 80")
                second = self.pair(listener)
                self.assertEqual(self.visited(second), ["fw2", "fw3"])
                self.ask("policy remove web")
                third = self.pair(listener)
                self.assertEqual(self.visited(third), [])
                self.assertIsNone(self.lab.at("client", third))
                first.ping()  # live sessions keep their chains
                second.ping()
                self.assertEqual(self.visited(first), ["fw1"])

    def test_priorities(self):
        listener = self.listen()
        self.ask("policy add low via fw1 priority 10 filter tcp dst port 80")
        self.ask("policy add high via fw2 priority 20 filter tcp dst port 80")
        self.ask("policy add other via fw3 priority 30 filter tcp dst port 81")
        self.assertEqual(self.visited(self.pair(listener)), ["fw2"])
        names = [p["name"] for p in self.ask("policy list")["policies"]]
        self.assertEqual(names, ["other", "high", "low"])
        self.ask("policy remove high")
        self.assertEqual(self.visited(self.pair(listener)), ["fw1"])

    def test_list(self):
        self.ask("policy add listed via fw1,fw2 fail open retries 2 filter tcp dst port 80 and src net 10.0.1.0/24")
        self.pair(self.listen())
        (policy,) = self.ask("policy list")["policies"]
        self.assertEqual(policy["via"], ["fw1", "fw2"])
        self.assertEqual((policy["fail"], policy["retries"], policy["exit"]), ("open", 2, False))
        self.assertEqual(policy["filter"], "tcp dst port 80 and src net 10.0.1.0/24")
        self.assertEqual((policy["sessions"], policy["matched"]), (1, 1))

    def test_no_hops_still_takes_the_session(self):
        """A filter that does not match leaves the session alone."""
        self.ask("policy add web via fw1 filter tcp dst port 80 and src host 10.0.1.99")
        self.assertEqual(self.visited(self.pair(self.listen())), [])

    def test_filters(self):
        listener = self.listen()
        for matches, expression in (
            (True, "src host 10.0.1.2"),
            (True, "tcp[tcpflags] & tcp-syn != 0"),
            (True, "dst net 10.0.2.0/24 and not port 443"),
            (False, "dst net 10.0.3.0/24 or port 443"),
            (False, "ip6"),
            (True, "greater 40 and less 100"),
        ):
            with self.subTest(filter=expression):
                self.put("web", f"via fw1 filter {expression}")
                self.assertEqual(self.visited(self.pair(listener)), ["fw1"] if matches else [])

    def test_test(self):
        """`policy test` says what then happens."""
        listener = self.listen()
        self.ask("policy add low via fw1 priority 10 filter tcp dst port 80")
        self.ask("policy add high via fw3,fw2 priority 20 filter tcp dst port 80 and src port 45000")
        for port, name, hops in ((45000, "high", ["fw3", "fw2"]), (45001, "low", ["fw1"])):
            says = self.ask(f"policy test 10.0.1.2:{port} 10.0.2.2:80")
            self.assertEqual((says["verdict"], says["policy"], says["host"]), ("chain", name, "client"))
            self.assertEqual(says["hops"], [*(self.lab.address(box) for box in hops), "10.0.2.2"])
            self.assertIn(name, [e["name"] for e in says["evaluated"] if e["match"]])
            pair = self.pair(listener, ("10.0.1.2", port))
            self.assertEqual(self.visited(pair), sorted(hops))
        says = self.ask("policy test 10.0.1.2:45000 10.0.2.2:81")
        self.assertEqual((says["verdict"], says["policy"]), ("plain", None))
        self.assertEqual([e["match"] for e in says["evaluated"]], [False, False])

    def test_address_as_hop(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                self.put("web", f"via {self.lab.address('fw2', version)} filter tcp dst port 80")
                self.assertEqual(self.visited(self.pair(self.listen(80, version))), ["fw2"])


class Refusals(Policies):
    """Nonsense is refused with words that help; what is in force stays so."""

    def setUp(self):
        super().setUp()
        self.ask("policy add web via fw1 filter tcp dst port 80")
        self.listener = self.listen()

    def tearDown(self):
        self.assertEqual(self.visited(self.pair(self.listener)), ["fw1"])
        super().tearDown()

    def test_wrong_filter(self):
        self.refused("policy replace web via fw2 filter tcp dst prot 80", "bad_filter", "web", "prot")
        self.refused("policy add other via fw2 filter host", "bad_filter", "other")
        self.refused("policy add other via fw2 filter udp dst port 53", "bad_filter", "other", "TCP")
        self.refused("policy add other via fw2 filter ether host 02:00:00:00:00:01", "bad_filter", "other")

    def test_unknown_box(self):
        self.refused("policy replace web via fw1,fw9 filter tcp dst port 80", "unknown_box", "web", "fw9", "box add")

    def test_loop(self):
        self.refused("policy replace web via fw2,fw1,fw2 filter tcp dst port 80", "loop", "web", "fw2")
        self.ask("type add both fw1 fw2")
        self.refused("policy replace web via both,fw2 filter tcp dst port 80", "loop", "web")
        self.ask("type remove both")

    def test_through_itself(self):
        self.refused("policy add me at client via 10.0.1.2 filter tcp dst port 80", "self", "me")

    def test_clauses(self):
        self.refused("policy add web via fw2 filter tcp dst port 80", "exists", "web", "replace")
        self.refused("policy replace web via fw2", "syntax", "web", "filter")
        self.refused("policy replace web via fw2 fail maybe filter tcp", "bad_value", "web", "maybe")
        self.refused("policy replace web at nowhere via fw2 filter tcp", "unknown_host", "web", "nowhere")
        self.refused("policy replace web via fw2 colour red filter tcp", "syntax", "web", "colour")
        self.refused("policy replace wbe via fw1 filter tcp dst port 80", "unknown_policy", "wbe", "policy add wbe")
        self.refused("policy remove wbe", "unknown_policy", "wbe")
        self.refused("policy redo web", "unknown_command", "policy redo", "policy replace")
        self.refused("frobnicate web", "unknown_command", "frobnicate")
        self.refused("box remove fw1", "in_use", "fw1", "web")


class Types(Policies):
    def tearDown(self):
        super().tearDown()
        for kind in self.ask("type list")["types"]:
            self.ask(f"type remove {kind['name']}")

    def through(self, select, boxes="fw1 fw2 fw3"):
        self.put("web", "via fw1 filter tcp dst port 80")
        for kind in self.ask("type list")["types"]:
            self.ask(f"type remove {kind['name']}")
        self.ask(f"type add firewall {boxes} select {select}")
        self.ask("policy replace web via firewall filter tcp dst port 80")

    def box_of(self, listener, source=None):
        pair = self.pair(listener, source)
        (box,) = self.visited(pair)
        return box, pair

    def test_round_robin(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                self.through("round-robin")
                listener = self.listen(80, version)
                boxes = [self.box_of(listener)[0] for _ in range(9)]
                self.assertEqual(boxes[:3] * 3, boxes)
                self.assertEqual(sorted(boxes[:3]), ["fw1", "fw2", "fw3"])

    def test_least_sessions(self):
        self.lab.nothing_left()  # of other tests: it would count
        self.through("least-sessions")
        listener = self.listen()
        taken = [self.box_of(listener) for _ in range(6)]
        self.assertEqual(collections.Counter(box for box, _ in taken), {"fw1": 2, "fw2": 2, "fw3": 2})
        before = self.lab.count("client", "sessions_ended")
        for box, pair in taken:
            if box == "fw2":
                pair.close()
        peers.eventually(lambda: self.lab.count("client", "sessions_ended") == before + 2, "sessions do not end")
        self.assertEqual([self.box_of(listener)[0] for _ in range(2)], ["fw2", "fw2"])

    def test_consistent_hash(self):
        """The five-tuple alone decides; a box taken out moves its own sessions only."""
        self.through("consistent-hash")
        listener = self.listen()
        ports = range(46000, 46024)

        def places(among):
            found = {}
            for port in ports:
                says = self.ask(f"policy test 10.0.1.2:{port} 10.0.2.2:80")
                found[port] = says["hops"][0]
            self.assertEqual(set(found.values()), {self.lab.address(box) for box in among})
            return found

        three = places(["fw1", "fw2", "fw3"])
        for port in ports[:6]:
            box, _ = self.box_of(listener, ("10.0.1.2", port))
            self.assertEqual(self.lab.address(box), three[port])
        self.through("consistent-hash", "fw3 fw1")
        two = places(["fw1", "fw3"])
        for port in ports:
            if three[port] != self.lab.address("fw2"):
                self.assertEqual(two[port], three[port])

    def test_empty_and_unknown(self):
        self.refused("type add nothing fw1 fw9", "unknown_box", "fw9")
        self.through("round-robin")
        self.refused("type remove firewall", "in_use", "firewall", "web")


class OnTheWay(Policies):
    """Agents on the way add hops to what is left of the list."""

    def hops(self, pair):
        """Addresses of the chain as the server's agent was told, the server last."""
        (one,) = self.lab.ask("server", f"session show {self.lab.at('server', pair)['id']}")["sessions"]
        return [hop["address"] for hop in one["chain"]]

    def chain(self, *boxes, version=4):
        return [self.lab.address(node, version) for node in (*boxes, "server")]

    def test_box_adds_a_hop(self):
        self.ask("policy add web via fw1,fw2 filter tcp dst port 80")
        self.lab.ask("fw1", "policy add more via fw3 filter tcp dst port 80")
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.pair(self.listen(80, version))
                self.assertEqual(self.visited(pair), ["fw1", "fw2", "fw3"])
                self.assertEqual(self.hops(pair), self.chain("fw1", "fw3", "fw2", version=version))
                peers.bulk(pair, 1 << 20)

    def test_last_box_adds_a_hop(self):
        self.ask("policy add web via fw1 filter tcp dst port 80")
        self.lab.ask("fw1", "policy add more via fw2,fw3 filter tcp dst port 80")
        pair = self.pair(self.listen())
        self.assertEqual(self.hops(pair), self.chain("fw1", "fw2", "fw3"))

    def test_same_policy_everywhere_applies_once(self):
        for agent in ("client", "fw1", "fw2"):
            self.lab.ask(agent, "policy add web via fw1,fw2 filter tcp dst port 80")
        pair = self.pair(self.listen())
        self.assertEqual(self.hops(pair), self.chain("fw1", "fw2"))

    def test_hops_already_there_are_not_added(self):
        self.ask("policy add web via fw1,fw2 filter tcp dst port 80")
        self.lab.ask("fw1", "policy add more via fw2,fw3 filter tcp dst port 80")
        pair = self.pair(self.listen())
        self.assertEqual(self.hops(pair), self.chain("fw1", "fw3", "fw2"))

    def test_added_hop_refuses_fail_open(self):
        """The hop that a fail-open policy of fw1 added runs no agent: the rest of the chain goes on."""
        self.ask("policy add web via fw1,fw2 filter tcp dst port 80")
        self.lab.ask("fw1", "policy add more via 10.0.13.1 fail open retries 1 filter tcp dst port 80")
        pair = self.pair(self.listen())
        self.assertEqual(self.hops(pair), self.chain("fw1", "fw2"))
        self.assertEqual(self.lab.count("fw1", "bypass"), 1)


class AtHosts(Policies):
    """One agent, many hosts: `at` says whose sessions are meant."""

    mode = "port"

    def test_at(self):
        self.ask("policy add web at server,fw3 via fw1 filter tcp dst port 80")
        for version in (4, 6):
            with self.subTest(ip=version):
                self.assertEqual(self.visited(self.pair(self.listen(80, version))), [])
                at_client = self.lab.listen("client", 80, version)
                self.addCleanup(at_client.close)
                address, port = at_client.getsockname()[:2]
                pair = peers.Pair(self.lab.netns("server"), at_client, None, address, port)
                self.addCleanup(pair.close)
                pair.ping()
                self.assertEqual(self.visited(pair), ["fw1"])

    def test_test_names_the_host(self):
        self.ask("policy add web at server via fw1 filter tcp dst port 80")
        says = self.ask("policy test 10.0.1.2:45000 10.0.2.2:80")
        self.assertEqual((says["verdict"], says["host"]), ("plain", "client"))
        self.assertTrue(says["evaluated"][0]["note"])
        says = self.ask("policy test 10.0.2.2:45000 10.0.1.2:80")
        self.assertEqual((says["verdict"], says["host"]), ("chain", "server"))


class Families(Policies):
    """A box that can be reached by IPv4 only."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.ask("client", "box remove fw1")
        cls.lab.ask("client", "box add old 10.0.11.2")

    def test_fail_closed(self):
        self.ask("policy add web via old filter tcp dst port 80")
        self.pair(self.listen(80, 4))
        listener = self.listen(80, 6)
        before = self.lab.dropped("client", "no_family")
        s = peers.start_connect(self.lab.netns("client"), listener.getsockname()[0], 80)
        peers.eventually(lambda: self.lab.dropped("client", "no_family") > before, "drop not counted")
        s.close()
        says = self.ask("policy test [fd00:1::2]:45000 [fd00:2::2]:80")
        self.assertEqual((says["verdict"], says["reason"]), ("drop", "no_family"))

    def test_fail_open(self):
        self.ask("policy add web via old fail open filter tcp dst port 80")
        bypassed = self.lab.count("client", "bypass")
        pair = self.pair(self.listen(80, 6))
        self.assertEqual(self.visited(pair), [])
        self.assertEqual(self.lab.count("client", "bypass"), bypassed + 1)


MASQUERADE = "chain p { type nat hook postrouting priority 100; tcp dport 80 masquerade; }"


class Exit(Policies):
    """The server has no agent: the last box restores the session's own header."""

    boxes = 2
    agentless = ("server",)

    def test_by_source_nat(self):
        self.ask("policy add web via fw1 exit fw2 filter tcp dst port 80")
        with self.lab.rules("fw2", MASQUERADE):
            for version in (4, 6):
                with self.subTest(ip=version):
                    pair = self.pair(self.listen(80, version))
                    self.assertEqual(self.visited(pair), ["fw1", "fw2"])
                    self.assertEqual(pair.seen_from[0], self.lab.address("fw2", version))
                    peers.bulk(pair, 4 << 20)

    def test_policy_list_says_exit(self):
        self.ask("policy add web via fw1 exit fw2 filter tcp dst port 80")
        self.assertTrue(self.ask("policy list")["policies"][0]["exit"])


class ExitOnTheWayBack(Policies):
    """The exit is the server's own router: answers come by it anyway."""

    boxes = 2
    agentless = ("server",)
    extra = (
        "node inner gateway 10.0.50.1 fd00:50::1",
        "link inner:eth0 10.0.50.2/24 fd00:50::2/64 -- fw2:in 10.0.50.1/24 fd00:50::1/64",
        "route r 10.0.50.0/24 via 10.0.12.2",
        "route r fd00:50::/64 via fd00:12::2",
    )

    def test_by_routing_back(self):
        self.ask("policy add web via fw1 exit fw2 filter tcp dst port 80")
        for address in ("10.0.50.2", "fd00:50::2"):
            with self.subTest(address):
                listener = peers.listen(self.lab.netns("inner"), address, 80)
                self.addCleanup(listener.close)
                pair = self.pair(listener)
                self.assertEqual(self.visited(pair), ["fw1", "fw2"])
                self.assertEqual(pair.seen_from[0], pair.client.getsockname()[0])
                peers.bulk(pair, 4 << 20)


class Nat(Policies):
    """Five-tuples that change on the way."""

    boxes = 2

    def test_box_that_translates(self):
        """fw1 masquerades: its tag is followed, the rest of the chain sees fw1's address."""
        self.ask("policy add web via fw1,fw2 filter tcp dst port 80")
        with self.lab.rules("fw1", MASQUERADE):
            for version in (4, 6):
                with self.subTest(ip=version):
                    tagged = self.lab.count("fw1", "tagged")
                    pair = self.pair(self.listen(80, version))
                    self.assertEqual(pair.seen_from[0], self.lab.address("fw1", version))
                    self.assertEqual(self.lab.count("fw1", "tagged"), tagged + 1)
                    seen = peers.text_endpoint(pair.seen_from)
                    self.assertTrue(self.lab.session("fw2", seen, peers.peer_endpoint(pair.client)))
                    peers.bulk(pair, 4 << 20)

    def test_destination_nat_in_a_box(self):
        """fw1 sends port 8080 of a service address to the server."""
        self.ask("policy add web via fw1 filter tcp dst port 8080")
        dnat = "chain p { type nat hook prerouting priority -100; ip daddr 10.0.99.1 tcp dport 8080 dnat ip to 10.0.2.2:80; }"
        with self.lab.rules("fw1", dnat):
            listener = self.listen(80, 4)
            pair = peers.Pair(self.lab.netns("client"), listener, None, "10.0.99.1", 8080)
            self.addCleanup(pair.close)
            pair.ping()
            peers.bulk(pair, 4 << 20)

    def test_nat_between_agents(self):
        """The router translates what the client sends to fw1, and knows nothing of Dysco."""
        self.ask("policy add web via fw1,fw2 filter tcp dst port 80")
        for version, ip, public in ((4, "ip", "10.0.11.1"), (6, "ip6", "fd00:11::1")):
            with self.subTest(ip=version):
                address = self.lab.address("client", version)
                source_nat = f"chain p {{ type nat hook postrouting priority 100; oifname fw1 {ip} saddr {address} masquerade; }}"
                with self.lab.rules("r", source_nat):
                    seen = self.lab.count("fw1", "nat_seen")
                    pair = self.pair(self.listen(80, version))
                    self.assertEqual(pair.seen_from[0], public)
                    self.assertEqual(self.lab.count("fw1", "nat_seen"), seen + 1)
                    peers.bulk(pair, 4 << 20)
