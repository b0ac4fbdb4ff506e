# SPDX-License-Identifier: BSD-2-Clause
"""A NAT that knows nothing of Dysco stands between agents, and the chain of a session changes.

    client --- r --- server          policy: via fw1
               |                     r translates the client's addresses,
           fw1, fw2                  and follows connections strictly

What r finds INVALID (numbers outside of windows, segments of connections that it does
not know or has forgotten) is counted and dropped.

DYSCO_TEST_LONG=1 in the environment: it forgets what it has seen nothing of for 15 s.
"""
import os
import time
import unittest

import peers
from cases import OnStar
from test_reconfig import Request, name_of

NAT = """
counter invalid {}
counter translated {}
chain f {
    type filter hook forward priority 0;
    ct state invalid counter name invalid drop
}
chain p {
    type nat hook postrouting priority srcnat;
    ip saddr 10.0.1.0/24 counter name translated masquerade
    ip6 saddr fd00:1::/64 counter name translated masquerade
}
"""
HOLD = "chain f { type filter hook forward priority 0; tcp dport 81 meta length > 1000 counter name held drop; }\ncounter held {}"
LONG = os.environ.get("DYSCO_TEST_LONG") == "1"
FORGETS = 15


class Nat(OnStar):
    policies = ("via fw1 filter tcp dst portrange 80-81",)
    config = ("timeout linger 1", "health off")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.nft("r", f"table inet nat {{{NAT}}}")
        for key in ("be_liberal", "loose"):
            cls.lab.sysctl("r", f"net.netfilter.nf_conntrack_tcp_{key}", 0)

    def tearDown(self):
        self.assertEqual(self.lab.nft_counter("r", "invalid", "nat"), 0)

    def session(self, version):
        """A session that r translates."""
        before = self.lab.nft_counter("r", "translated", "nat")
        pair = self.pair(self.listen(81, version))
        pair.ping()
        self.assertGreater(self.lab.nft_counter("r", "translated", "nat"), before)
        self.assertNotEqual(peers.peer_endpoint(pair.server), peers.endpoint(pair.client))
        return pair, name_of(pair)

    def test_chain_changes(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair, name = self.session(version)
                for statement in ("replace {} fw1 fw2", "insert {} fw1", "remove {} fw1 fw2", "insert {} fw1"):
                    self.ask(f"session {statement.format(name)}")
                    peers.bulk(pair, 200000)
                pair.close()
        self.lab.nothing_left()

    def sent_again_after(self, seconds):
        """Waits until what fw1 holds back comes so long after the last time."""
        last = []

        def comes():
            held, now = self.lab.nft_counter("fw1", "held"), time.monotonic()
            if not last or held != last[0]:
                before = last[1] if last else now
                last[:] = [held, now]
                return now - before > seconds
            return False

        peers.eventually(comes, "not sent again", 60)

    @unittest.skipUnless(LONG, "takes a minute: DYSCO_TEST_LONG=1")
    def test_drain_outlasts_its_memory(self):
        """The box holds back what was sent before the cut, until r would have forgotten the old path."""
        pair, name = self.session(4)
        self.lab.sysctl("r", "net.netfilter.nf_conntrack_tcp_timeout_established", FORGETS)
        with self.lab.rules("fw1", HOLD):
            pair.client.sendall(b"x" * 1200)
            peers.eventually(lambda: self.lab.nft_counter("fw1", "held") > 0, "nothing is held")
            change = Request(self.lab, "client", f"session remove {name} fw1")
            self.sent_again_after(FORGETS * 2 // 3)  # the next time is twice as long after that
        pair.server.settimeout(60)
        self.assertEqual(peers.read_exactly(pair.server, 1200), b"x" * 1200)
        change.result()
        peers.bulk(pair, 200000)
        pair.close()
        self.lab.nothing_left()
