# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 of an agent in every state of a reconfiguration, before and after it has said so.

    client --- r --- server          fw1 is replaced by fw2, fw2 by fw1, and so on,
               |                     while bytes go both ways
            fw1, fw2

The agent kills itself (DYSCO_FAULT, HACKING.md), is started again, and goes on
where it was or rolls it back. One session and one stream live through all of it.
"""
import os

import peers
from aftermath import Surroundings, arm, faults, settled
from stream import Stream
from test_reconfig import Changing, Request
from topology import Refused

LINK = "delay 2ms"
LEFT = ("requesting", "setting_up", "proving", "cutting", "two_paths", "done", "releasing", "over")
RIGHT = ("requested", "waiting", "ready", "two_paths", "done", "freed", "over")


class Kill(Changing):
    boxes = 2
    CHANGES = 20
    links = {"client": LINK, "server": LINK}
    config = ("timeout linger 5",)  # longer than an agent takes to come back
    expected = (r"cannot inject",)

    @classmethod
    def setUpClass(cls):
        with faults():
            super().setUpClass()

    def box(self):
        """The one that the chain goes through now."""
        trace = peers.eventually(lambda: self.whole(self.ask(f"session trace {self.name}")), "the chain is not whole")
        hosts = [hop["host"] for hop in trace["hops"]]
        self.assertEqual(len(hosts), 3, hosts)
        return hosts[1]

    @staticmethod
    def whole(trace):
        return trace if trace["complete"] else None

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

    def dies(self, part, when, state):
        corpse, request = self.meets(part, when, state)
        self.lab.restart_agent(corpse, DYSCO_FAULT="")
        request.join()
        if request.error:
            self.assertIsInstance(request.error, (OSError, ValueError, Refused))
        settled(self.lab)
        self.stream.moves()
        self.assertIn(self.box(), ("fw1", "fw2"))

    def every_state(self, part, states):
        before = Surroundings(self.lab)
        pair, self.name = self.named_pair()
        self.stream = Stream(pair)
        for state in states:
            for when in ("before", "after"):
                with self.subTest(part=part, state=state, when=when):
                    self.dies(part, when, state)
        self.stream.finish()
        pair.ping()
        pair.close()
        self.lab.nothing_left()
        before.unchanged()

    def test_left_anchor(self):
        self.every_state("left anchor", LEFT)

    def test_right_anchor(self):
        self.every_state("right anchor", RIGHT)

    def test_boxes(self):
        self.every_state("between", ("requesting", "locked", "over"))
        self.every_state("inserted", ("locked", "over"))
