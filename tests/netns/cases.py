# SPDX-License-Identifier: BSD-2-Clause
"""What the traffic tests' classes have in common."""
import unittest

from topology import Refused, Star


class OnStar(unittest.TestCase):
    """A star that all tests of a class share."""

    boxes = 2
    mode = "nic"
    links = None
    agentless = ()
    extra = ()
    expected = ()  # warnings
    config = ("timeout linger 1",)
    policies = ("via fw1,fw2 filter tcp dst portrange 80-99",)  # of the client, p0, p1 ...

    @classmethod
    def setUpClass(cls):
        cls.lab = Star(cls.__name__.lower(), cls.boxes, cls.mode, cls.links, cls.agentless, cls.config, cls.extra)
        cls.addClassCleanup(cls.lab.down, expected=cls.expected)
        for i, policy in enumerate(cls.policies):
            cls.lab.ask(cls.lab.agent_of("client"), f"policy add p{i} at client {policy}")

    def ask(self, statement):
        return self.lab.ask(self.lab.agent_of("client"), statement)

    def setUp(self):
        self.listeners = {}

    def listen(self, port=80, version=4):
        """The server's listener of this test on this port."""
        if (port, version) not in self.listeners:
            self.listeners[port, version] = self.lab.listen("server", port, version)
            self.addCleanup(self.listeners[port, version].close)
        return self.listeners[port, version]

    def pair(self, listener, source=None):
        pair = self.lab.pair(listener, source)
        self.addCleanup(pair.close)
        return pair

    def refused(self, statement, code, *words, agent=None):
        """The agent refuses, names `code`, and every one of `words` is in what it says."""
        with self.assertRaises(Refused) as caught:
            self.lab.ask(agent or self.lab.agent_of("client"), statement)
        self.assertEqual(caught.exception.code, code, caught.exception)
        for word in words:
            self.assertIn(word, f"{caught.exception.message} {caught.exception.hint}")
