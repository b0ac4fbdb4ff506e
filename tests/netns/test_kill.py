# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 of an agent in every state of a reconfiguration, before and after it has said so.

    client --- r --- server          fw1 is replaced by fw2, fw2 by fw1, and so on,
               |                     while bytes go both ways
            fw1, fw2

The agent kills itself (DYSCO_FAULT, HACKING.md), is started again, and goes on
where it was or rolls it back. One session and one stream live through all of it.
"""
import contextlib
import os
import re
import unittest

import peers
from aftermath import Surroundings, arm, dropping, faults, message, settled
from stream import Stream
from test_reconfig import Changing, Request
from topology import TOP, Refused

LINK = "delay 2ms"
# of each part (core/attempt.h): those that a change passes, and those that it has to be brought into
PASSED = {
    "left anchor": ("requesting", "setting_up", "proving", "cutting", "two_paths", "done", "releasing", "over"),
    "right anchor": ("requested", "waiting", "ready", "two_paths", "done", "freed", "over"),
    "between": ("requesting", "locked", "over"),
    "inserted": ("locked", "over"),
}
FORCED = {"left anchor": ("cancelling",), "between": ("lapsed",), "kept": ("requesting", "over"), "box": ("requesting", "over")}


class Complete(unittest.TestCase):
    """No part and no state that agents have names for is missing above."""

    @staticmethod
    def names(function):
        """The names that a function of agent/show_session.c gives, without `none`."""
        with open(os.path.join(TOP, "agent", "show_session.c"), encoding="utf-8") as file:
            table = re.search(function + r"\(uint8_t \w+\)\n{.*?};", file.read(), re.S).group(0)
        return set(re.findall(r'"([^"]+)"', table)) - {"none"}

    def test_lists(self):
        self.assertEqual(self.names("dysco_part_name"), set(PASSED) | set(FORCED))
        states = {state for part in (PASSED, FORCED) for listed in part.values() for state in listed}
        self.assertEqual(self.names("dysco_attempt_state_name"), states - {"over"})


class Kill(Changing):
    boxes = 2
    CHANGES = 20
    links = {"client": LINK, "server": LINK}
    config = ("timeout linger 5", "health off")  # longer than an agent takes to come back; no channels of agents that died
    expected = (r"cannot inject",)

    @classmethod
    def setUpClass(cls):
        with faults():
            super().setUpClass()

    def box(self):
        """The one that the chain goes through now."""
        hosts = self.chain(self.name)
        self.assertEqual(len(hosts), 3, hosts)
        return hosts[1]

    def change(self):
        """One box for the other; the request ends when the attempt or the agent does."""
        box = self.box()
        return Request(self.lab, "client", f"session replace {self.name} {box} {'fw2' if box == 'fw1' else 'fw1'}")

    def victim(self, part):
        """Whose agent has this part in the next change."""
        box = self.box()
        return {"left anchor": "client", "right anchor": "server", "between": box, "inserted": "fw2" if box == "fw1" else "fw1"}[part]

    def disarmed(self, agent, when, part):
        """False: it has died already."""
        try:
            arm(self.lab, agent, f"{when}:{part}:never")
            return True
        except (OSError, ValueError):
            return False

    def meets(self, part, when, state):
        """The agent dies in a change; one that passes the state in a single step of the core does not count."""
        for _ in range(self.CHANGES):
            agent = self.victim(part)
            arm(self.lab, agent, f"{when}:{part}:{state}")
            corpse = self.lab.corpse(agent)
            request = self.change()
            peers.eventually(lambda c=corpse, r=request: self.lab.is_dead(c) or not r.is_alive(), "the change neither ends nor kills")
            if request.is_alive() or not request.answer or not self.disarmed(agent, when, part):
                self.lab.wait_dead(corpse)
                return corpse, request
            os.close(corpse["watch"])
            os.close(corpse["netns"])
            settled(self.lab)
        raise AssertionError(f"{part} was never seen {when} {state} in {self.CHANGES} changes")

    def ended(self, requests):
        """They have come to some end, and the session goes on."""
        for request in requests:
            request.join()
            if request.error:
                self.assertIsInstance(request.error, (OSError, ValueError, Refused))
        settled(self.lab)
        self.stream.moves()

    def dies(self, part, when, state):
        corpse, request = self.meets(part, when, state)
        self.lab.restart_agent(corpse, DYSCO_FAULT="")
        self.ended([request])
        self.assertIn(self.box(), ("fw1", "fw2"))

    # ---- states that a change does not pass by itself ----

    def state(self, agent):
        """Of the attempt at this agent."""
        shown = self.lab.ask(agent, f"session show {self.name}")["sessions"][0]["attempt"]
        return shown and shown["state"]

    def waits_for(self, agent, *states):
        peers.eventually(lambda: self.state(agent) in states, lambda: f"{agent} is {self.state(agent)}, not {states}")

    def armed(self, agent, when, part, state):
        arm(self.lab, agent, f"{when}:{part}:{state}")
        return self.lab.corpse(agent)

    def revive(self, corpse):
        self.lab.wait_dead(corpse)
        self.lab.restart_agent(corpse, DYSCO_FAULT="")

    def cancelling(self, when, _state):
        """It is given up while the right anchor's answer is lost."""
        with self.lab.rules("r", dropping(message("LOCKED")), table="wrong"):
            request = self.change()
            self.waits_for("client", "requesting")
            corpse = self.armed("client", when, "left anchor", "cancelling")
            cancel = Request(self.lab, "client", f"session cancel {self.name}")
            self.revive(corpse)
        return [request, cancel]

    def lapsed(self, when, _state):
        """The lease of a lock runs out while the anchors cannot agree on the end."""
        between = self.victim("between")
        with self.lab.rules("r", dropping(message("DONE")), table="wrong"):
            request = self.change()
            self.waits_for("client", "two_paths", "done")
            corpse = self.armed(between, when, "between", "lapsed")
            due = Request(self.lab, between, "fault due:between")
            self.revive(corpse)
        return [request, due]

    def kept(self, when, state):
        """A request comes to a box that waits for the answer to its own."""
        box, other = self.victim("between"), self.victim("inserted")
        with self.lab.rules("r", dropping(message("LOCKED")), table="wrong"):
            requests = [Request(self.lab, box, f"session insert {self.name} {other}")]
            self.waits_for(box, "requesting")
            corpse = self.armed(box, when, "kept", state)
            requests.append(Request(self.lab, "client", f"session remove {self.name} {box}"))
            if state == "over":
                peers.eventually(lambda: self.lab.ask(box, "status")["attempts"]["used"] == 2, "no request is kept")
            else:
                self.revive(corpse)
        if state == "over":
            self.revive(corpse)
        return requests

    def asking(self, when, state):
        """A box asks for its own removal."""
        box = self.victim("between")
        corpse = self.armed(box, when, "box", state)
        request = Request(self.lab, box, f"session remove {self.name} self")
        self.revive(corpse)
        return [request]

    def one_box(self):
        """The chain as the other cases want it, whatever it has become."""
        for box, behind in (("fw1", "fw2"), ("fw2", "fw1")):
            with contextlib.suppress(Refused):  # it is not there, or not behind it
                self.lab.ask(box, f"session remove {self.name} {behind}")
        if len(self.chain(self.name)) == 2:
            self.ask(f"session insert {self.name} fw1")

    def dies_forced(self, part, when, state):
        force = {"left anchor": self.cancelling, "between": self.lapsed, "kept": self.kept, "box": self.asking}[part]
        self.ended(force(when, state))
        self.one_box()

    # ---- all of them ----

    def every_state(self, *parts):
        before = Surroundings(self.lab)
        pair, self.name = self.named_pair()
        self.stream = Stream(pair)
        for states, dies in ((PASSED, self.dies), (FORCED, self.dies_forced)):
            for part, state, when in ((part, state, when) for part in parts for state in states.get(part, ()) for when in ("before", "after")):
                with self.subTest(part=part, state=state, when=when):
                    dies(part, when, state)
        self.stream.finish()
        pair.ping()
        pair.close()
        self.lab.nothing_left()
        before.unchanged()

    def test_left_anchor(self):
        self.every_state("left anchor")

    def test_right_anchor(self):
        self.every_state("right anchor")

    def test_boxes(self):
        self.every_state("between", "inserted", "kept", "box")
