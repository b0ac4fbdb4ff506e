# SPDX-License-Identifier: BSD-2-Clause
"""The chain of a living session changes: boxes are inserted, replaced and removed.

    client --- r --- server          policy: via fw1
               |                     then fw2, fw3 come and go
        fw1, fw2, fw3

Every box is a strict firewall: conntrack takes no connection up in the middle
(loose=0), wants numbers inside the windows (be_liberal=0), and what it finds
INVALID is counted and dropped.
"""
import hashlib
import subprocess
import threading

import peers
from cases import OnStar
from dyscotest import NGINX, served_digest
from topology import Refused

STRICT = """
counter invalid {}
counter resets {}
counter seen {}
chain f {
    type filter hook forward priority 0; policy drop;
    meta l4proto tcp counter name seen
    ct state invalid tcp flags & rst == rst counter name resets drop
    ct state invalid counter name invalid drop
    ct state new tcp flags & (fin|syn|rst|ack) == syn accept
    ct state established,related accept
    meta l4proto icmpv6 accept
}
"""
MEGABYTE = 1000000


def name_of(pair):
    """The session of a pair, as statements name it."""
    return f"{peers.endpoint(pair.client)} {peers.peer_endpoint(pair.client)}"


class Request(threading.Thread):
    """One statement whose answer takes a while; result() is what lab.ask() gives or raises."""

    def __init__(self, lab, agent, statement):
        super().__init__()
        self.lab, self.agent, self.statement = lab, agent, statement
        self.answer = self.error = None
        self.start()

    def run(self):
        try:
            self.answer = self.lab.ask(self.agent, self.statement)
        except (AssertionError, OSError, ValueError) as error:
            self.error = error

    def result(self):
        self.join()
        if self.error:
            raise self.error
        return self.answer


class Changing(OnStar):
    boxes = 3
    resets = False  # are there any that the boxes' conntrack may call INVALID?
    policies = ("via fw1 filter tcp dst portrange 80-81",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for box in cls.lab.boxes:
            cls.lab.nft(box, f"table inet test {{{STRICT}}}")
            for key, value in (("be_liberal", 0), ("loose", 0)):
                cls.lab.sysctl(box, f"net.netfilter.nf_conntrack_tcp_{key}", value)

    def tearDown(self):
        for box in self.lab.boxes:
            self.assertEqual(self.lab.nft_counter(box, "invalid"), 0, box)
            if not self.resets:
                self.assertEqual(self.lab.nft_counter(box, "resets"), 0, box)

    def seen(self, box):
        return self.lab.nft_counter(box, "seen")

    def chain(self, name, agent=None):
        """Hosts that answer along the session's chain; an answer that is lost or late is no missing host."""
        seen = []

        def whole():
            seen[:] = [self.lab.ask(agent or self.lab.agent_of("client"), f"session trace {name}")]
            return seen[0]["complete"]

        peers.eventually(whole, lambda: f"the chain is not whole: {seen}")
        return [hop["host"] for hop in seen[0]["hops"]]

    def named_pair(self):
        pair = self.pair(self.listen(81))
        pair.ping()
        return pair, name_of(pair)


class Reconfig(Changing):
    extra = (NGINX.replace("count=4", "count=48"),)

    def changes(self, name):
        """Statements, and the boxes of the chain that each leads to."""
        return [
            (f"session insert {name} fw2", ["fw2", "fw1"]),
            (f"session replace {name} fw2 fw3", ["fw3", "fw1"]),
            (f"session remove {name} fw3", ["fw1"]),
            (f"session replace {name} fw1 fw2 fw3", ["fw2", "fw3"]),
            (f"session remove {name} fw2 fw3", []),
            (f"session insert {name} fw1", ["fw1"]),
        ]

    def one_change(self, name, statement, boxes, moves):
        """Makes it; moves() waits until the session has carried more."""
        before = {box: self.seen(box) for box in self.lab.boxes}
        self.ask(statement)
        self.assertEqual(self.chain(name), ["client", *boxes, "server"])
        moves()
        for box in boxes:
            peers.eventually(lambda box=box: self.seen(box) > before[box] + 20, f"{statement}: {box} sees nothing of it")
        after = {box: self.seen(box) for box in self.lab.boxes if box not in boxes}
        moves()
        for box, packets in after.items():
            self.assertEqual(self.seen(box), packets, f"{statement}: {box} still sees it")

    def downloading(self, version):
        """curl at work, and the session it makes."""
        address = self.lab.address("server", version)
        # pylint: disable=consider-using-with
        curl = subprocess.Popen(["ip", "netns", "exec", self.lab.netns("client"), "curl", "-sS", "-g", "--limit-rate", "8M", "--max-time", "60",
                                 f"http://{'[' + address + ']' if version == 6 else address}/file"], stdout=subprocess.PIPE)
        self.addCleanup(curl.stdout.close)
        self.addCleanup(curl.wait)
        self.addCleanup(curl.kill)
        session = peers.eventually(lambda: next((s for s in self.lab.sessions(self.lab.agent_of("client")) if s["state"] == "established" and s["host"] == "client"), None), "no session")
        return curl, f"{session['session']['src']} {session['session']['dst']}"

    def test_download(self):
        """nginx and curl notice nothing while the chain changes six times."""
        for version in (4, 6):
            with self.subTest(ip=version):
                curl, name = self.downloading(version)
                digest, got = hashlib.sha256(), [0]

                def take(n, curl=curl, digest=digest, got=got):
                    """Reads so much more of what curl has fetched."""
                    wanted = got[0] + n
                    while got[0] < wanted:
                        part = curl.stdout.read1(1 << 16)
                        if not part:
                            raise AssertionError(f"the download ended after {got[0]} bytes")
                        digest.update(part)
                        got[0] += len(part)

                for statement, boxes in self.changes(name):
                    self.one_change(name, statement, boxes, lambda take=take: take(3 * MEGABYTE))
                digest.update(curl.stdout.read())
                self.assertEqual(curl.wait(), 0)
                self.assertEqual(digest.hexdigest(), served_digest(self.lab))
        self.lab.nothing_left()

    def changing_under_load(self, pair, statements, total):
        """All statements, one after the other, while bytes go both ways at full rate."""
        left, requests = list(statements), []
        flows = [peers.Flow(pair.client, pair.server, total), peers.Flow(pair.server, pair.client, total)]

        def each():
            if requests and requests[-1].is_alive():
                return
            if left and flows[0].received * (len(statements) + 1) > total * (len(statements) + 1 - len(left)):
                requests.append(Request(self.lab, self.lab.agent_of("client"), left.pop(0)))

        peers.pump(flows, each=each)
        self.assertEqual(left, [])
        return [request.result() for request in requests]

    def test_full_rate_both_ways(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.pair(self.listen(81, version))
                name = name_of(pair)
                self.changing_under_load(pair, [statement for statement, _ in self.changes(name)], 60 * MEGABYTE)
                pair.ping()
                self.assertEqual(self.chain(name), ["client", "fw1", "server"])
                pair.close()
        self.lab.nothing_left()

    def test_idle_session(self):
        """Nothing is sent meanwhile, and the boxes that are left behind lose their connection."""
        pair, name = self.named_pair()
        for statement, boxes in self.changes(name):
            self.ask(statement)
            self.assertEqual(self.chain(name), ["client", *boxes, "server"])
        pair.ping()
        pair.close()
        self.lab.nothing_left()

    def test_events_and_counters(self):
        pair, name = self.named_pair()
        agent = self.lab.agent_of("client")
        before = self.lab.counter(agent, "reconfigured")
        with self.lab.monitor(agent) as monitor:
            answer = self.ask(f"session insert {name} fw2")
            self.assertGreater(answer["took_us"], 0)
            self.assertEqual([hop["address"] for hop in answer["chain"]], [self.lab.address(node) for node in ("fw2", "fw1", "server")])
            monitor.wait_for("reconfigured", id=answer["id"], host="client")
        self.assertGreater(self.lab.counter(agent, "reconfigured"), before)
        pair.close()
        self.lab.nothing_left()

    def test_refusals(self):
        pair, name = self.named_pair()
        self.refused(f"session insert {name} fw9", "unknown_box", "fw9")
        self.refused(f"session insert {name}", "syntax", "box")
        self.refused(f"session remove {name} fw3", "unknown_host", "fw3")
        self.refused(f"session replace {name} fw1", "syntax")
        self.refused(f"session insert {name} fw2 fw2", "not_reconfigured", "invalid")
        self.refused(f"session insert {name} fw1", "not_reconfigured")  # it has the session already
        self.refused("session insert 10.9.9.9:1 10.9.9.8:2 fw1", "unknown_session")
        self.refused(f"session insert {name} fw2 before fw1 after fw1", "syntax", "before")
        for address in ("0.0.0.0", "224.0.0.1", "255.255.255.255"):
            self.refused(f"session insert {name} {address}", "bad_address", address)
            self.refused(f"session recover {name} {address}", "bad_address", address)
        pair.ping()
        self.assertEqual(self.chain(name), ["client", "fw1", "server"])
        pair.close()
        self.lab.nothing_left()


class ReconfigOfPorts(Reconfig):
    mode = "port"


class Others(Changing):
    """Agents of boxes change their part of the chain, and the client's agent its own."""

    UNTOLD = "chain f { type filter hook forward priority 0; @th,192,32 0xd75c0c0d @th,232,8 18 drop; }"  # CHAIN behind a header with MARK

    def knows(self, agent, name, *boxes):
        """The agent shows this chain, at once or when it has been told."""
        expected = [self.lab.address(node) for node in (*boxes, "server")]
        found = peers.eventually(lambda: [shown for shown in self.shown(agent, name) if shown == expected], f"{agent} does not know of {boxes}")
        self.assertEqual(found, [expected])

    def shown(self, agent, name):
        return [[hop["address"] for hop in session["chain"]] for session in self.lab.ask(agent, f"session show {name}")["sessions"] if session["state"] == "established"]

    def test_all_are_told(self):
        pair, name = self.named_pair()
        self.lab.ask("fw1", f"session insert {name} fw2")
        for agent in ("client", "fw1", "fw2", "server"):
            self.knows(agent, name, "fw1", "fw2")
        self.assertEqual(self.chain(name), ["client", "fw1", "fw2", "server"])
        self.ask(f"session remove {name} fw1")
        for agent in ("client", "fw2", "server"):
            self.knows(agent, name, "fw2")
        pair.ping()
        pair.close()
        self.lab.nothing_left()

    def test_nobody_is_told(self):
        """What the client's agent does not know of it finds out before it leaves anything."""
        pair, name = self.named_pair()
        with self.lab.rules("r", self.UNTOLD):
            self.lab.ask("fw1", f"session insert {name} fw2")
            self.assertEqual(self.shown("client", name), [[self.lab.address("fw1"), self.lab.address("server")]])
            answer = self.ask(f"session remove {name} fw1")
            self.assertEqual([hop["address"] for hop in answer["chain"]], [self.lab.address("fw2"), self.lab.address("server")])
            self.lab.ask("fw2", f"session insert {name} fw3")
            self.ask(f"session insert {name} fw1")  # fw2, the right anchor, tells what is behind it
            self.knows("client", name, "fw1", "fw2", "fw3")
            self.lab.ask("fw2", f"session remove {name} fw3")
            self.ask(f"session remove {name} fw1 fw2")  # its right anchor would have been fw3
        self.assertEqual(self.chain(name), ["client", "server"])
        pair.ping()
        pair.close()
        self.lab.nothing_left()

    def test_mandatory_box_of_another_agent(self):
        """fw1's own policy has put it there, so the client's agent has never heard of it."""
        self.lab.ask("fw1", "policy add own at fw1 via fw2 mandatory fw2 filter tcp dst port 81")
        pair, name = self.named_pair()
        self.assertEqual(self.chain(name), ["client", "fw1", "fw2", "server"])
        pair.close()
        pair, name = self.named_pair()
        self.ask(f"session remove {name} fw1")
        self.assertEqual(self.chain(name), ["client", "fw2", "server"])
        self.refused(f"session remove {name} fw2", "mandatory", self.lab.address("fw2"), "--force")
        self.ask(f"session remove {name} fw2 --force")
        self.assertEqual(self.chain(name), ["client", "server"])
        pair.close()
        self.lab.ask("fw1", "policy remove own")
        self.lab.nothing_left()


class Overtaking(Changing):
    """Bytes come by the new path before the rest of the old one."""

    def test_they_wait_a_moment(self):
        """For what is lost on the old path, in this case; then they come through, and so does it."""
        pair, name = self.named_pair()
        before = self.lab.count("server", "overtook")
        with self.lab.rules("fw1", "chain i { type filter hook ingress device eth0 priority 0; meta length > 1000 drop; }", "netdev"):
            pair.client.sendall(b"x" * 1200)
            change = Request(self.lab, self.lab.agent_of("client"), f"session remove {name} fw1")

            def overtakes():
                pair.client.sendall(b"y" * 100)
                return self.lab.count("server", "overtook") > before

            peers.eventually(overtakes, "nothing goes by the new path, or it does not wait")
        self.assertEqual(peers.read_exactly(pair.server, 1300), b"x" * 1200 + b"y" * 100)
        change.result()
        pair.close()
        self.lab.nothing_left()


class Failures(Changing):
    """What does not come about, and agents that die over it."""

    expected = (r"cannot inject",)

    def test_new_box_is_silent(self):
        """SYNs to the new box are lost: the session goes on by the old path; later it works."""
        pair, name = self.named_pair()
        with self.lab.rules("fw2", "chain i { type filter hook ingress device eth0 priority 0; ip saddr 10.0.1.2 drop; }", "netdev"):
            request = Request(self.lab, self.lab.agent_of("client"), f"session insert {name} fw2")
            flows = [peers.Flow(pair.client, pair.server, 10 * MEGABYTE), peers.Flow(pair.server, pair.client, 10 * MEGABYTE)]
            peers.pump(flows)
            with self.assertRaises(Refused) as caught:
                request.result()
            self.assertIn("new_path", caught.exception.message)
        pair.ping()
        self.assertEqual(self.chain(name), ["client", "fw1", "server"])
        self.ask(f"session insert {name} fw2")
        pair.ping()
        self.assertEqual(self.chain(name), ["client", "fw2", "fw1", "server"])
        pair.close()
        self.lab.nothing_left()

    def test_agents_die(self):
        """kill -9 of each agent in turn while the chain changes; it starts again, the session lives."""
        for victim in ("client", "fw1", "fw2", "server"):
            with self.subTest(victim=victim):
                pair, name = self.named_pair()
                total, killed = 40 * MEGABYTE, []
                flows = [peers.Flow(pair.client, pair.server, total), peers.Flow(pair.server, pair.client, total)]
                requests = []

                def each(flows=flows, requests=requests, killed=killed, victim=victim, name=name):
                    if not requests and flows[0].received > total // 8:
                        requests.append(Request(self.lab, "client", f"session replace {name} fw1 fw2"))
                        killed.append(self.lab.kill_agent(victim))
                        self.lab.restart_agent(killed[0])

                peers.pump(flows, each=each)
                requests[0].join()
                pair.ping()
                self.assertIn(self.chain(name), (["client", "fw1", "server"], ["client", "fw2", "server"]))
                pair.close()
                self.lab.nothing_left()
