# SPDX-License-Identifier: BSD-2-Clause
"""Late attach: sessions older than the policy, or than the attachments, get a chain.

    client --- r --- server          no policy; fw1 and fw2 are strict firewalls
               |                     (test_reconfig.py), plain is a host without
        fw1, fw2, plain              an agent
"""
import contextlib
import hashlib
import subprocess

import peers
import test_reconfig
from dyscotest import NGINX, served_digest
from stream import Stream
from test_groups import Grouped
from test_reconfig import MEGABYTE, Changing, Request, name_of
from topology import Node, Refused, attach_line, attach_statement

PLAIN = Node("plain", 30)


class Download:
    """curl, which fetches nginx's file; take() reads what it has."""

    def __init__(self, test, version):
        self.lab, address = test.lab, test.lab.address("server", version)
        self.digest, self.got = hashlib.sha256(), 0
        # pylint: disable=consider-using-with
        self.curl = subprocess.Popen(["ip", "netns", "exec", self.lab.netns("client"), "curl", "-sS", "-g", "--limit-rate", "8M", "--max-time", "60",
                                      f"http://{'[' + address + ']' if version == 6 else address}/file"], stdout=subprocess.PIPE)
        test.addCleanup(self.curl.stdout.close)
        test.addCleanup(self.curl.wait)
        test.addCleanup(self.curl.kill)
        self.name = peers.eventually(lambda: self._ends(version), "curl has no connection")

    def _ends(self, version):
        """SRC DST of its connection, as ss writes them."""
        lines = self.lab.run("client", "ss", f"-{version}tnH", "state", "established", "dport", "=", ":80").splitlines()
        return " ".join(lines[0].split()[-2:]) if lines else None

    def take(self, n):
        """Reads n bytes more."""
        wanted = self.got + n
        while self.got < wanted:
            part = self.curl.stdout.read1(1 << 16)
            if not part:
                raise AssertionError(f"the download ended after {self.got} bytes")
            self.digest.update(part)
            self.got += len(part)

    def whole(self):
        """Digest of all that came."""
        self.digest.update(self.curl.stdout.read())
        if self.curl.wait() != 0:
            raise AssertionError(f"curl: exit {self.curl.returncode}")
        return self.digest.hexdigest()


class Seen(Changing):
    policies = ()

    def sees(self, box, before, more):
        """The box sees the session; more() lets it carry more, since much may lie in buffers."""
        for _ in range(40):
            if self.seen(box) > before + 20:
                return
            more()
        self.fail(f"{box} sees nothing of it")


class Late(Seen):
    boxes = 2
    config = ("timeout linger 1", "timeout embryonic 2")
    extra = (NGINX.replace("count=4", "count=24"), *PLAIN.lines())

    def known(self, name, node="client"):
        """The session as this node's agent has it, or None."""
        return self.lab.session(self.lab.agent_of(node), *name.split(), node)

    def box_comes_and_goes(self, download):
        """One box, another one before it, then none; each sees the download."""
        name = download.name
        for statement, boxes in ((f"session insert {name} fw1", ["fw1"]), (f"session insert {name} fw2", ["fw2", "fw1"]), (f"session remove {name} fw2 fw1", [])):
            before = {box: self.seen(box) for box in boxes}
            request = Request(self.lab, self.lab.agent_of("client"), statement)
            download.take(2 * MEGABYTE)
            request.result()
            self.assertEqual(self.chain(name), ["client", *boxes, "server"])
            download.take(2 * MEGABYTE)
            for box in boxes:
                self.sees(box, before[box], lambda: download.take(MEGABYTE // 4))
        self.assertEqual(download.whole(), served_digest(self.lab))

    def test_older_than_the_policy(self):
        """A download that began without a policy: curl and nginx notice nothing of the boxes."""
        for version in (4, 6):
            with self.subTest(ip=version):
                download = Download(self, version)
                self.assertIsNone(self.known(download.name))
                self.box_comes_and_goes(download)
        self.lab.nothing_left()

    def test_older_than_the_attachments(self):
        """No program was on the interfaces when it began."""
        ends = [self.lab.nodes[name] for name in ("client", "server")]
        for version in (4, 6):
            with self.subTest(ip=version):
                for node in ends:
                    self.lab.ask(self.lab.agent_of(node.name), "detach eth0")
                download = Download(self, version)
                download.take(2 * MEGABYTE)
                for node in ends:
                    self.lab.ask(self.lab.agent_of(node.name), attach_statement(node, self.mode))
                self.box_comes_and_goes(download)
        self.lab.nothing_left()

    def old_pair(self, version=4):
        """A connection without a policy, and its name."""
        pair = self.pair(self.listen(81, version))
        pair.ping()
        return pair, f"{peers.endpoint(pair.client)} {peers.peer_endpoint(pair.client)}"

    def while_it_moves(self, pair, statement):
        """The answer to a statement, while bytes go both ways."""
        request = Request(self.lab, self.lab.agent_of("client"), statement)
        while request.is_alive():
            pair.ping()
        return request.result()

    def test_adopt(self):
        """It is known then, with an empty chain, and may be asked for again."""
        pair, name = self.old_pair()
        with self.lab.monitor(self.lab.agent_of("client")) as monitor:
            answer = self.while_it_moves(pair, f"session adopt {name}")
            monitor.wait_for("adopted", id=answer["id"], host="client")
        self.assertEqual(self.known(name)["state"], "established")
        self.assertEqual(self.ask(f"session adopt {name}"), answer)
        self.assertEqual(self.ask(f"session adopt {answer['id']}"), answer)
        self.ask(f"session insert {name} fw1")
        self.assertEqual(self.chain(name), ["client", "fw1", "server"])
        pair.ping()
        pair.close()
        self.lab.nothing_left()

    def test_idle(self):
        """Nothing is sent at all, from its beginning to the box."""
        asked = []
        for version in (4, 6):
            pair, name = self.old_pair(version)
            asked.append((version, pair, name, Request(self.lab, self.lab.agent_of("client"), f"session insert {name} fw1")))
        for version, pair, name, request in asked:
            with self.subTest(ip=version):
                request.result()
                self.assertEqual(self.chain(name), ["client", "fw1", "server"])
                pair.ping()
                pair.close()
        self.lab.nothing_left()

    def test_full_rate_both_ways(self):
        """Adopted and given a box at full rate, in which nothing is ever at rest."""
        for version in (4, 6):
            with self.subTest(ip=version):
                pair, name = self.old_pair(version)
                requests = []

                def each(requests=requests, name=name):
                    if not requests:
                        requests.append(Request(self.lab, self.lab.agent_of("client"), f"session insert {name} fw1"))

                peers.pump([peers.Flow(pair.client, pair.server, 60 * MEGABYTE), peers.Flow(pair.server, pair.client, 60 * MEGABYTE)], each=each)
                pair.ping()
                requests[0].result()
                self.assertEqual(self.chain(name), ["client", "fw1", "server"])
                pair.close()
        self.lab.nothing_left()

    def test_refusals(self):
        pair, name = self.old_pair()
        src, dst = name.split()
        self.refused(f"session adopt {dst} {src}", "unknown_session", "first end")
        self.refused(f"session adopt {dst} {src}", "not_adopted", "other end opened", agent=self.lab.agent_of("server"))
        self.refused("session adopt 10.0.1.2:1 10.0.2.2:2", "unknown_session", "no such connection")
        self.refused("session adopt abcd", "unknown_session")
        self.refused("session adopt", "syntax")
        pair.ping()
        pair.close()
        self.lab.nothing_left()

    def test_other_end_has_no_agent(self):
        """Refused at once; the session goes on, and the leg goes with it."""
        listener = peers.listen(self.lab.netns("plain"), PLAIN.ip4, 81)
        self.addCleanup(listener.close)
        pair = self.pair(listener)
        pair.ping()
        name = f"{peers.endpoint(pair.client)} {peers.peer_endpoint(pair.client)}"
        with self.assertRaises(Refused) as caught:
            self.while_it_moves(pair, f"session insert {name} fw1")
        self.assertEqual(caught.exception.code, "not_reconfigured")
        self.assertIn("no agent", caught.exception.message)
        pair.ping()
        pair.close()
        self.lab.nothing_left()

    def test_agents_die(self):
        """kill -9 of either end's agent between adoption and insertion."""
        for victim in ("client", "server"):
            with self.subTest(victim=victim):
                pair, name = self.old_pair()
                self.while_it_moves(pair, f"session adopt {name}")
                self.lab.restart_agent(self.lab.kill_agent(victim))
                self.while_it_moves(pair, f"session insert {name} fw1")
                self.assertEqual(self.chain(name), ["client", "fw1", "server"])
                pair.ping()
                pair.close()
                self.lab.nothing_left()


class LateMany(Grouped):
    """Many at once: by filter, by policy, and by policies that move what is there."""

    boxes = 2

    def setUp(self):
        test_reconfig.Changing.setUp(self)
        self.agent = self.lab.agent_of("client")

    def old_pairs(self, n, port, version=4):
        return [self.pair(self.listen(port, version)) for _ in range(n)]

    def known(self):
        return sorted(s["session"]["src"] for s in self.lab.sessions(self.agent, "host client") if s["state"] == "established")

    def tearDown(self):
        super().tearDown()
        self.lab.nothing_left()

    def end(self, *pairs):
        for pair in pairs:
            pair.ping()
            pair.close()

    def test_by_filter(self):
        """Idle sessions that the client has opened; not those that it has accepted, nor its own."""
        pairs, others = self.old_pairs(2, 81) + self.old_pairs(1, 81, 6), self.old_pairs(1, 82)
        listener = self.lab.listen("client", 81)
        self.addCleanup(listener.close)
        accepted, own = peers.Pair(self.lab.netns("server"), listener), peers.Pair(self.lab.netns("client"), listener)
        ends = sorted(peers.endpoint(pair.client) for pair in pairs)
        dry, code = self.cli("session", "adopt", "--filter", "tcp port 81", "--dry-run")
        self.assertEqual(code, 0)
        self.assertEqual(sorted(s["session"]["src"] for s in dry["sessions"]), ends)
        self.sum_of(dry, would=3, skipped=0)
        self.assertEqual(self.known(), [])
        self.sum_of(self.job("session", "adopt", "--filter", "tcp port 81", "--rate", "100/s"), total=3, done=3)
        self.assertEqual(self.known(), ends)
        self.sum_of(self.job("session", "adopt", "--filter", "tcp port 81"), total=0)
        self.end(*pairs, *others, accepted, own)

    def test_by_policy(self):
        """The sessions that a policy would give a chain, which keeps what is there."""
        pairs = self.old_pairs(2, 81) + self.old_pairs(1, 82)
        self.ask("policy add web at client via fw1 filter tcp dst port 81")
        self.addCleanup(self.ask, "policy remove web")
        self.sum_of(self.job("session", "adopt", "--policy", "web"), total=2, done=2)
        self.assertEqual(self.known(), sorted(peers.endpoint(pair.client) for pair in pairs[:2]))
        self.assertEqual(self.through("fw1"), 0)
        self.end(*pairs)

    def through_each(self):
        """Sessions towards each box, by version of IP."""
        return [[self.through(box, version) for box in self.lab.boxes] for version in (4, 6)]

    def test_policies_that_move(self):
        """`existing move` brings sessions that are older than it into its chain, and takes them out again."""
        pairs, others = self.old_pairs(2, 81) + self.old_pairs(2, 81, 6), self.old_pairs(1, 82)
        streams = [Stream(pairs[0]), Stream(pairs[2])]
        for statement, through in (("add web at client via fw1 existing move filter tcp dst port 81", [2, 0]), ("replace web at client via fw2 existing move filter tcp dst port 81", [0, 2]), ("remove web", [0, 0])):
            job = self.job_over(self.ask(f"policy {statement}")["job"])
            self.sum_of(job, total=4, done=4)
            self.assertEqual(self.through_each(), [through] * 2)
        self.assertEqual(self.known(), sorted(peers.endpoint(pair.client) for pair in pairs))
        for stream in streams:
            stream.finish()
        self.end(*pairs, *others)

    def test_refusals(self):
        for words, code in (("--filter 'udp'", "bad_filter"), ("--filter", "syntax"), ("--policy nobody", "unknown_policy"), ("--box fw1", "syntax"), ("--filter tcp --force", "syntax"), ("--rate 5", "syntax"),
                            ("10.0.1.2:1 10.0.2.2:2 --rate 5", "syntax"), ("10.0.1.2:1 10.0.2.2:2 --filter tcp", "syntax"), ("--filter tcp --parallel 0", "bad_value"), ("--filter tcp --to fw1", "syntax")):
            self.refused(f"session adopt {words}", code)


def gateway(name, lan, up, attachment):
    """A gateway with an agent, and a machine behind it without; attachment: where it joins its host, `lan`."""
    return (f"router {name} gateway 10.0.{up}.1 fd00:{up}::1", f"node {name}-1 gateway 10.0.{lan}.1 fd00:{lan}::1",
            f"link {name}-1:eth0 10.0.{lan}.2/24 fd00:{lan}::2/64 -- {name}:lan 10.0.{lan}.1/24 fd00:{lan}::1/64",
            f"link {name}:up 10.0.{up}.2/24 fd00:{up}::2/64 -- r 10.0.{up}.1/24 fd00:{up}::1/64",
            f"route r 10.0.{lan}.0/24 via 10.0.{up}.2", f"route r fd00:{lan}::/64 via fd00:{up}::2",
            f"agent {name} node {name}", f"dysco {name} attach {attachment} host {name} address 10.0.{lan}.0/24 fd00:{lan}::/64")


class LatePassing(Seen):
    """The session was opened by a machine without an agent: beyond a port, or behind a gateway.

    client --- r (edge, port)                        the server's stack says what the SYNs said
    gw-1 --- gw (port on lan) --- r --- server       fw1 is a strict firewall
    pass-1 --- pass (nic on up) --- r
    """

    boxes = 1
    agentless = ("client",)
    config = ("timeout linger 1",)
    extra = ("agent edge node r", attach_line(Node("client", 1), "port"), *gateway("gw", 60, 61, "port lan"), *gateway("pass", 62, 63, "nic up"))
    ends = (("client", "edge", "client"), ("gw-1", "gw", "gw"), ("pass-1", "pass", "pass"))  # machine, agent, host

    def old_pair(self, node, version):
        pair = peers.Pair(self.lab.netns(node), self.listen(81, version))
        self.addCleanup(pair.close)
        pair.ping()
        return pair, name_of(pair)

    def nothing_left(self):
        self.lab.no_legs("edge", "gw", "pass", "fw1", "server")

    def test_under_load(self):
        """A strict box comes and goes while bytes go both ways at full rate."""
        for (node, agent, host), version in zip(self.ends, (4, 6, 4)):
            with self.subTest(node=node, ip=version):
                pair, name = self.old_pair(node, version)
                stream = Stream(pair)
                self.lab.ask(agent, f"session insert {name} fw1")
                self.assertEqual(self.chain(name, agent), [host, "fw1", "server"])
                before = self.seen("fw1")
                self.sees("fw1", before, stream.moves)
                self.lab.ask(agent, f"session remove {name} fw1")
                stream.finish()
                pair.ping()
                pair.close()
        self.nothing_left()

    def test_idle(self):
        """Nothing is sent from its beginning to the box: both ends are made to speak."""
        asked = []
        for node, agent, host in self.ends:
            for version in (4, 6):
                pair, name = self.old_pair(node, version)
                asked.append((agent, host, pair, name, Request(self.lab, agent, f"session insert {name} fw1")))
        for agent, host, pair, name, request in asked:
            with self.subTest(agent=agent, session=name):
                request.result()
                self.assertEqual(self.chain(name, agent), [host, "fw1", "server"])
                pair.ping()
                pair.close()
        self.nothing_left()


    def total(self, agent):
        """Sessions of the agent's only job, when it is over."""
        peers.eventually(lambda: self.lab.ask(agent, "job list")["jobs"][0]["state"] == "done", "the job does not end")
        return self.lab.ask(agent, "job list")["jobs"][0]["total"]

    def test_by_filter(self):
        """Nobody's stack can be asked; connection tracking has seen who opened them."""
        with contextlib.ExitStack() as stack:
            for node in ("r", "gw", "pass"):
                stack.enter_context(self.lab.rules(node, "chain f { type filter hook forward priority 0; ct state invalid counter; }"))
            pairs = [(host, agent, *self.old_pair(node, version)) for node, agent, host in self.ends for version in (4, 6)]
            with self.lab.listen("client", 81) as listener:
                other = peers.Pair(self.lab.netns("server"), listener)  # opened by the server
            self.addCleanup(other.close)
            for _, agent, _ in self.ends:
                self.lab.ask(agent, "session adopt --filter 'tcp port 81'")
            for _, agent, host in self.ends:
                wanted = sorted(peers.endpoint(pair.client) for at, _, pair, _ in pairs if at == host)
                self.assertEqual(self.total(agent), 2)
                self.assertEqual(sorted(s["session"]["src"] for s in self.lab.sessions(agent, f"host {host}")), wanted)
            for host, agent, _, name in pairs[::2]:
                self.lab.ask(agent, f"session insert {name} fw1")
                self.assertEqual(self.chain(name, agent), [host, "fw1", "server"])
            for *_, pair, _ in pairs:
                pair.ping()
                pair.close()
        self.nothing_left()


class LateAtPort(Changing):
    """The server's host hangs on a port: its stack cannot be asked, its packets are watched."""

    boxes = 1
    policies = ()
    agentless = ("server",)
    extra = ("agent edge node r", attach_line(Node("server", 2), "port"))

    def test_insert(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.pair(self.listen(81, version))
                stream = Stream(pair)
                name = f"{peers.endpoint(pair.client)} {peers.peer_endpoint(pair.client)}"
                self.ask(f"session insert {name} fw1")
                stream.moves()
                self.assertEqual(self.chain(name), ["client", "fw1", "server"])
                self.ask(f"session remove {name} fw1")
                stream.finish()
                pair.close()
        self.lab.no_legs("client", "fw1", "edge")
