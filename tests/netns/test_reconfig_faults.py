# SPDX-License-Identifier: BSD-2-Clause
"""Reconfigurations on real stacks when things go wrong: the session lives on or
closes cleanly, and nothing is left behind.

    client --- r --- server          policy: via fw1,fw2
               |                     fw3 is the box that is asked for,
      fw1 ... fw5, plain             plain one without an agent
"""
import contextlib
import socket

import peers
from aftermath import MESSAGES, SILENT, Surroundings, dropping, message, settled
from stream import Stream
from test_reconfig import MEGABYTE, Changing, Request
from topology import Node, Refused

PLAIN = Node("plain", 30)
LINK = "delay 1ms"


class Faulty(Changing):
    boxes = 5
    policies = ("via fw1,fw2 filter tcp dst portrange 80-81",)
    links = {"client": LINK, "server": LINK}
    config = ("timeout linger 1", "timeout embryonic 5", f"box plain {PLAIN.ip4} {PLAIN.ip6}")
    extra = tuple(PLAIN.lines())
    expected = (r"cannot inject",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.before = Surroundings(cls.lab)

    def tearDown(self):
        super().tearDown()
        settled(self.lab)
        self.lab.nothing_left()
        self.before.unchanged()

    def request(self, statement, agent="client"):
        return Request(self.lab, agent, statement)

    def state(self, name):
        """Of the attempt at the client."""
        shown = self.ask(f"session show {name}")["sessions"][0]["attempt"]
        return shown and shown["state"]

    def fails(self, request, *words):
        """It is refused, and every one of `words` is in what is said."""
        with self.assertRaises(Refused) as caught:
            request.result()
        for word in words:
            self.assertIn(word, caught.exception.message)


class NewPath(Faulty):
    def test_new_boxes_that_do_not_work(self):
        """One is off the net, one refuses, one is silent, one loses everything, one has no agent: all at once."""
        wrong = {
            "fw3": self.lab.rules("fw3", "chain f { type filter hook forward priority -1; meta l4proto tcp reject with tcp reset; }", table="wrong"),
            "fw4": self.lab.rules("fw4", SILENT, "netdev", "wrong"),
            "fw5": self.lab.rules("fw5", dropping("meta l4proto tcp"), table="wrong"),
        }
        cases = []
        with contextlib.ExitStack() as stack:
            for rules in wrong.values():
                stack.enter_context(rules)
            for box in (*wrong, "plain"):
                pair, name = self.named_pair()
                cases.append((box, pair, name, Stream(pair), self.request(f"session insert {name} {box}")))
            for box, _, _, stream, request in cases:
                with self.subTest(box=box):
                    self.fails(request, "new_path")
                    stream.moves()
        for box, pair, name, stream, _ in cases:
            with self.subTest(box=box, then="it works"):
                self.assertEqual(self.chain(name), ["client", "fw1", "fw2", "server"])
                if box != "plain":
                    self.ask(f"session insert {name} {box}")
                    self.assertEqual(self.chain(name), ["client", box, "fw1", "fw2", "server"])
                stream.finish()
                pair.close()

    def test_cancel(self):
        """While the new box is silent; nothing to cancel; too late."""
        pair, name = self.named_pair()
        stream = Stream(pair)
        self.refused(f"session cancel {name}", "not_cancelled")
        with self.lab.rules("fw3", SILENT, "netdev", "wrong"):
            request = self.request(f"session insert {name} fw3")
            peers.eventually(lambda: self.state(name) == "setting_up", "no SYN is sent")
            self.assertEqual(self.ask(f"session cancel {name}"), {"cancelled": 1})
            self.fails(request, "cancelled")
        self.refused(f"session cancel {name}", "not_cancelled")
        self.assertEqual(self.chain(name), ["client", "fw1", "fw2", "server"])
        with self.lab.rules("r", dropping(message("DONE")), table="wrong"):
            request = self.request(f"session insert {name} fw3")
            peers.eventually(lambda: self.state(name) in ("two_paths", "done"), lambda: f"no two paths: {self.state(name)}, {request.error}")
            self.refused(f"session cancel {name}", "not_cancelled", "late")
        request.result()
        self.assertEqual(self.chain(name), ["client", "fw3", "fw1", "fw2", "server"])
        stream.finish()
        pair.close()


class LostMessages(Faulty):
    def test_each_kind_is_lost(self):
        """The first of one kind are lost, for each kind; then the first of all."""
        pair, name = self.named_pair()
        stream = Stream(pair)
        rules = {kind: [f"{message(kind)} quota until 400 bytes"] for kind in MESSAGES if kind not in ("NACK", "CANCEL", "CANCELLED")}
        rules["all"] = ["meta l4proto tcp @ih,0,32 0xd75c0c0d @ih,40,8 4-13 quota until 1000 bytes"]
        for kind, lost in rules.items():
            with self.subTest(lost=kind), self.lab.rules("r", dropping(*lost), table="wrong"):
                self.ask(f"session insert {name} fw3")
                self.assertEqual(self.chain(name), ["client", "fw3", "fw1", "fw2", "server"])
                self.ask(f"session remove {name} fw3")
                stream.moves()
        self.assertEqual(self.chain(name), ["client", "fw1", "fw2", "server"])
        stream.finish()
        pair.close()

    def test_refusals_are_lost(self):
        """A request that is refused, and one that is cancelled, while the first of what says so is lost."""
        pair, name = self.named_pair()
        stream = Stream(pair)
        lost = [f"{message(kind)} quota until 300 bytes" for kind in ("NACK", "CANCEL", "CANCELLED")]
        with self.lab.rules("r", dropping(*lost), table="wrong"), \
                self.lab.rules("fw3", "chain f { type filter hook forward priority -1; meta l4proto tcp reject with tcp reset; }", table="wrong"):
            self.fails(self.request(f"session insert {name} fw3"), "new_path")
        self.ask(f"session insert {name} fw3")
        stream.finish()
        pair.close()


class Endings(Faulty):
    """An end of the session closes or resets it in every state of the attempt."""

    resets = True  # of a session that is over by another path

    def hold(self, state):
        """Meanwhile no attempt gets past this state of the left anchor."""
        if state == "setting_up":
            return self.lab.rules("fw3", SILENT, "netdev", "wrong")
        if state == "two_paths":  # what has been sent on the old path does not arrive
            return self.lab.rules("fw1", dropping(f"ip saddr {self.lab.address('client')} ip length > 99"), table="wrong")
        lost = {"requesting": "LOCKED", "proving": "READY", "cutting": "CUT", "done": "DONE", "releasing": "RELEASED"}[state]
        return self.lab.rules("r", dropping(message(lost)), table="wrong")

    def end_in(self, state, how, end):
        pair, name = self.named_pair()
        with self.hold(state):
            pair.client.sendall(b"first" * 20)
            request = self.request(f"session insert {name} fw3")
            peers.eventually(lambda: self.state(name) == state, lambda: f"state is {self.state(name)}")
            ending, other = (pair.client, pair.server) if end == "client" else (pair.server, pair.client)
            if how == "RST":
                peers.reset(ending)
            else:
                ending.sendall(b"last words")
                ending.shutdown(socket.SHUT_WR)
        if how == "RST":
            with self.assertRaises(ConnectionResetError):
                peers.read_to_end(other)
        else:
            self.closes(ending, other, end)
        pair.close()
        return request

    def closes(self, ending, other, end):
        """All that was sent arrives, and the other end can still send."""
        first = b"first" * 20
        self.assertEqual(peers.read_to_end(other), (first if end == "client" else b"") + b"last words")
        other.sendall(b"and mine")
        other.close()
        self.assertEqual(peers.read_to_end(ending), (first if end == "server" else b"") + b"and mine")

    def test_fin_and_rst_in_every_state(self):
        requests = []
        for state in ("requesting", "setting_up", "proving", "cutting", "two_paths", "done", "releasing"):
            for how in ("FIN", "RST"):
                for end in ("client", "server"):
                    with self.subTest(state=state, how=how, end=end):
                        requests.append(self.end_in(state, how, end))
        for request in requests:
            request.join()
            if request.error:
                self.assertIsInstance(request.error, Refused)


class Contention(Faulty):
    def test_three_anchors_at_once(self):
        """Requests of three agents for one session: one at least is granted, all are answered."""
        for requests in (2, 3):
            for _ in range(4):
                with self.subTest(requests=requests):
                    pair, name = self.named_pair()
                    stream = Stream(pair)
                    statements = [(f"session replace {name} fw1 fw3", "client"), (f"session remove {name} fw2", "fw1"), (f"session insert {name} fw4", "fw2")]
                    asked = [self.request(*statement) for statement in statements[:requests]]
                    granted = [self.is_granted(request) for request in asked] + [False]
                    self.assertTrue(any(granted))
                    settled(self.lab)
                    self.goes_through(stream, fw1=not granted[0], fw2=not granted[1], fw3=granted[0], fw4=granted[2])
                    stream.finish()
                    pair.close()

    def goes_through(self, stream, **boxes):
        """Each box sees the stream, or not."""
        stream.moves()
        before = {box: self.seen(box) for box in boxes}
        stream.moves(4 * MEGABYTE)  # in the largest of packets, too, far more than the 20 that count
        self.assertEqual({box: self.seen(box) > before[box] + 20 for box in boxes}, boxes)

    @staticmethod
    def is_granted(request):
        try:
            request.result()
            return True
        except Refused as refusal:
            if refusal.code not in ("not_reconfigured", "unknown_host", "unknown_session"):
                raise
            return False


class BadWire(Faulty):
    """Packets are lost, late, out of order and doubled on every link."""
    links = dict.fromkeys(("client", "server", "fw1", "fw2", "fw3"), "delay 1ms jitter 1ms loss 0.5% duplicate 0.5% reorder 1% seed 7")

    def tearDown(self):
        settled(self.lab)
        self.lab.nothing_left()

    def test_chain_changes(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.pair(self.listen(81, version))
                name = f"{peers.endpoint(pair.client)} {peers.peer_endpoint(pair.client)}"
                stream = Stream(pair)
                for statement in ("insert {} fw3", "replace {} fw3 fw4", "remove {} fw4", "replace {} fw1 fw3", "replace {} fw3 fw1"):
                    self.ask("session " + statement.format(name))
                    stream.moves(20000)
                stream.finish()
                self.assertEqual(self.chain(name), ["client", "fw1", "fw2", "server"])
                pair.close()
