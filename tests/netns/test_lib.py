# SPDX-License-Identifier: BSD-2-Clause
"""Boxes that ask for another chain: libdysco, and the statements it sends.

    client --- r --- server          policy: via fw1; fw1's own program asks to be left out
               |
           fw1, fw2
"""
import contextlib
import grp
import json
import os
import pwd
import select
import socket
import subprocess

import peers
import topology
from cases import OnStar
from test_reconfig import MEGABYTE, Changing
from topology import Refused

WATCH = os.path.join(topology.BUILD, "examples", "dysco-watch")
TRIES = 20
RELAY = os.path.join(topology.BUILD, "examples", "dysco-relay")


def said_by(process):
    """The next line of a program."""
    peers.readable(process.stdout)
    return process.stdout.readline().decode().strip()


class Watch:
    """dysco-watch in a box: line() is the next thing it says."""

    def __init__(self, lab, box, enough):
        # pylint: disable=consider-using-with
        command = [WATCH, "-i", "ids0", "-n", str(enough), "-s", lab.socket_path(box)]
        self.process = subprocess.Popen(["ip", "netns", "exec", lab.netns(box), *command], stdout=subprocess.PIPE, bufsize=0)
        if self.line() != "watching ids0":
            raise AssertionError("dysco-watch does not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def line(self):
        return said_by(self.process)

    def line_while(self, send):
        """The next line, of what is sent until it comes: a sniffer that gets no CPU does not see everything."""
        for _ in range(TRIES):
            send()
            if select.select([self.process.stdout], [], [], 1)[0]:
                break
        return self.line()


def as_nobody(path, statement):
    """The answer to one statement of a user who is not root; OSError: the socket is closed to it."""
    ends = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.chdir(os.path.dirname(path))
            os.setgroups([])
            os.setgid(grp.getgrnam("nogroup").gr_gid)
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(peers.TIMEOUT)
                s.connect(os.path.basename(path))
                s.sendall(statement.encode() + b"\n")
                ends[1].sendall(peers.read_to_end(s))
        os._exit(0)
    ends[1].close()
    os.waitpid(pid, 0)
    with ends[0]:
        answer = peers.read_to_end(ends[0])
    if not answer:
        raise OSError("no answer")
    return json.loads(answer)


class Boxes(Changing):
    boxes = 2

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.ask("fw1", "detach eth0")
        cls.lab.ask("fw1", topology.attach_statement(cls.lab.nodes["fw1"], "nic") + " mirror ids0")

    def both_ways(self, pair, total):
        peers.pump([peers.Flow(pair.client, pair.server, total), peers.Flow(pair.server, pair.client, total)])

    def does_not_see(self, box, pair):
        before = self.seen(box)
        self.both_ways(pair, MEGABYTE)
        self.assertEqual(self.seen(box), before)

    def test_program_leaves(self):
        """A box's program asks to be left out after 2 MB, while bytes go both ways at full rate."""
        for version in (4, 6):
            with self.subTest(ip=version), Watch(self.lab, "fw1", 2 * MEGABYTE) as watch:
                pair = self.pair(self.listen(81, version))
                src, dst = peers.endpoint(pair.client), peers.peer_endpoint(pair.client)
                self.both_ways(pair, 20 * MEGABYTE)
                said = watch.line().split()
                self.assertEqual((said[0], sorted(said[1:3])), ("left", sorted((src, dst))), said)
                self.assertGreaterEqual(int(said[said.index("bytes") + 1]), 2 * MEGABYTE)
                self.assertGreater(int(said[said.index("took_us") + 1]), 0)
                self.assertEqual(self.chain(f"{src} {dst}"), ["client", "server"])
                self.does_not_see("fw1", pair)
                pair.close()
        self.lab.nothing_left()

    def test_program_is_refused(self):
        """The left neighbour's agent need not obey; the box learns why, and asks again later."""
        pair, name = self.named_pair()
        self.addCleanup(self.ask, "triggers all")
        self.ask("triggers none")
        with Watch(self.lab, "fw1", MEGABYTE) as watch:
            said = watch.line_while(lambda: self.both_ways(pair, MEGABYTE))
            self.assertTrue(said.startswith("refused "), said)
            self.assertIn("cause policy: ", said)
            self.assertEqual(self.chain(name), ["client", "fw1", "server"])
            self.ask("triggers removal")
            while not said.startswith("left "):
                self.assertTrue(said.startswith("refused "), said)
                said = watch.line_while(lambda: self.both_ways(pair, MEGABYTE))
        self.assertEqual(self.chain(name), ["client", "server"])
        self.lab.ask("client", f"session insert {name} fw1")
        with self.assertRaises(Refused) as caught:
            self.lab.ask("fw1", f"session replace {name} self fw2")
        self.assertIn("policy", caught.exception.message)
        self.ask("triggers all")
        pair.close()
        self.lab.nothing_left()

    def test_statements(self):
        """What libdysco sends, typed by hand."""
        pair, name = self.named_pair()
        self.lab.ask("fw1", f"session insert {name} fw2 before self")
        self.assertEqual(self.chain(name), ["client", "fw2", "fw1", "server"])
        self.assertEqual(self.lab.cli("fw2", "session", "remove", *name.split(), "self", "host", "fw2")[0], 0)
        self.assertEqual(self.chain(name), ["client", "fw1", "server"])
        answer = self.lab.ask("fw1", f"session replace {name} self fw2")
        self.assertGreater(answer["took_us"], 0)
        self.assertEqual(self.chain(name), ["client", "fw2", "server"])
        self.refused(f"session remove {name} self", "unknown_session", agent="client")
        self.refused(f"session remove {name} self host fw9", "unknown_host", "fw9", agent="fw2")
        self.refused(f"session remove {name} self fw1", "syntax", agent="fw2")
        self.refused(f"session insert {name} fw9 before self", "unknown_box", "fw9", agent="fw2")
        self.refused(f"session replace {name} self", "syntax", agent="fw2")
        code, _, said = self.lab.cli("client", "session", "remove", *name.split(), "self")
        self.assertEqual(code, 1, said)
        pair.ping()
        pair.close()
        self.lab.nothing_left()

    def test_thawed_box_stays(self):
        pair, name = self.named_pair()
        self.lab.ask("fw1", f"session thaw {name}")
        self.refused(f"session remove {name} fw1", "not_reconfigured", "not_ready")
        self.refused(f"session freeze {name} right 1e3", "bad_value", "1e3", agent="fw1")
        self.refused(f"session freeze {name} up 1", "syntax", "up", agent="fw1")
        self.lab.ask("fw1", f"session freeze {name} right 0 left -0")
        self.ask(f"session remove {name} fw1")
        pair.ping()
        pair.close()
        self.lab.nothing_left()


class Permission(Changing):
    """Who is not root may ask for what concerns a box, if the configuration names its group."""

    boxes = 1
    config = ("timeout linger 1", "socket group nogroup")

    def test_group(self):
        pair, name = self.named_pair()
        path = self.lab.socket_path("fw1")
        for statement in ("status", "session list", f"session kill {name}", f"session remove {name} fw1", "monitor", "triggers none", "detach eth0"):
            self.assertEqual(as_nobody(path, statement)["error"]["code"], "permission", statement)
        self.assertIn("version", as_nobody(path, "version"))
        self.assertEqual(as_nobody(path, "session \"")["error"]["code"], "syntax")
        self.assertGreater(as_nobody(path, f"session remove {name} self")["took_us"], 0)
        self.assertEqual(self.chain(name), ["client", "server"])
        pair.close()
        self.lab.nothing_left()

    def test_no_group(self):
        path = os.path.join(self.lab.dir, "agents", "client", "dysco.sock")
        os.chown(path, 0, 0)  # as without the statement
        with self.assertRaises(OSError):
            as_nobody(path, "version")


class Relay(OnStar):
    """A box that terminates connections says what it adds to their numbers, and leaves."""

    boxes = 1
    policies = ("via fw1 filter tcp dst port 81",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab = cls.lab
        lab.sysctl("fw1", "net.ipv4.tcp_timestamps", 0)
        for version, every in ((4, "0.0.0.0/0"), (6, "::/0")):
            lab.run("fw1", "ip", f"-{version}", "rule", "add", "pref", "50", "iif", "eth0", "ipproto", "tcp", "to", every, "lookup", "100")
            for node in ("client", "server"):
                lab.run("fw1", "ip", f"-{version}", "route", "add", "local", lab.address(node, version), "dev", "lo", "table", "100")
        lab.nft("fw1", "table inet test { counter seen {}\nchain i { type filter hook input priority 0; tcp sport 81 counter name seen; tcp dport 81 counter name seen\n}\n}")

    @contextlib.contextmanager
    def relay(self, enough):
        command = [RELAY, "-p", "81", "-n", str(enough), "-s", self.lab.socket_path("fw1")]
        with subprocess.Popen(["ip", "netns", "exec", self.lab.netns("fw1"), *command], stdout=subprocess.PIPE, bufsize=0) as process:
            try:
                self.assertEqual(said_by(process), "listening")
                yield process
            finally:
                process.kill()

    def test_relay_leaves(self):
        for version in (4, 6):
            with self.subTest(ip=version), self.relay(3 * MEGABYTE) as relay:
                pair = self.pair(self.listen(81, version))
                name = f"{peers.endpoint(pair.client)} {peers.peer_endpoint(pair.client)}"
                self.refused(f"session remove {name} fw1", "not_reconfigured", "not_ready")
                flows = [peers.Flow(pair.client, pair.server, 20 * MEGABYTE), peers.Flow(pair.server, pair.client, 20 * MEGABYTE)]
                peers.pump(flows)
                said = said_by(relay)
                self.assertTrue(said.startswith("left "), said)
                trace = self.ask(f"session trace {name}")
                self.assertEqual([hop["host"] for hop in trace["hops"]], ["client", "server"])
                before = self.lab.nft_counter("fw1", "seen")
                peers.bulk(pair, MEGABYTE)
                self.assertEqual(self.lab.nft_counter("fw1", "seen"), before)
                pair.close()
        self.lab.nothing_left()
