# SPDX-License-Identifier: BSD-2-Clause
"""Boxes fail under living sessions, and what becomes of these.

    client --- r --- server
               |
          fw1, fw2, fw3

A box fails by its link going down (host and agent gone for everybody), or by
no longer forwarding while its host and agent live.
"""
import peers
from test_reconfig import MEGABYTE, Changing, Request


class Failing(Changing):
    """Health is off: somebody says what is to be done."""

    config = ("timeout linger 1", "health off")
    policies = ("via fw1,fw2 filter tcp dst port 81", "via fw1 filter tcp dst port 82")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for box in cls.lab.boxes:  # or its IPv6 addresses would go with the link
            cls.lab.sysctl("r", f"net.ipv6.conf.{box}.keep_addr_on_down", 1)

    def link(self, box, up):
        """The router's end of the box's link: nothing reaches the box, nothing leaves it."""
        self.lab.run("r", "ip", "link", "set", box, "up" if up else "down")
        if up:
            peers.eventually(lambda: "LOWER_UP" in self.lab.run("r", "ip", "link", "show", box), f"the link of {box} stays down")

    def fail(self, box):
        self.link(box, False)
        self.addCleanup(self.link, box, True)

    def start(self, port=81, version=4):
        pair = self.pair(self.listen(port, version))
        pair.ping()
        return pair, f"{peers.endpoint(pair.client)} {peers.peer_endpoint(pair.client)}"


class Recover(Failing):
    """session recover"""

    def test_under_load(self):
        """Both ways at full rate the first box dies; the other one stays in the chain, or a third comes."""
        for version, boxes in ((4, ["fw2"]), (6, ["fw3", "fw2"]), (4, [])):
            with self.subTest(ip=version, boxes=boxes):
                pair, name = self.start(81, version)
                flows = [peers.Flow(pair.client, pair.server, 30 * MEGABYTE), peers.Flow(pair.server, pair.client, 30 * MEGABYTE)]
                requests = []

                def each(flows=flows, requests=requests, name=name, boxes=boxes):
                    if not requests and flows[0].received > 5 * MEGABYTE:
                        self.link("fw1", False)
                        requests.append(Request(self.lab, "client", " ".join(["session recover", name, *boxes])))

                try:
                    peers.pump(flows, each=each)
                    requests[0].result()
                    self.assertEqual(self.chain(name), ["client", *boxes, "server"])
                    pair.ping()
                finally:
                    self.link("fw1", True)
                pair.close()


class Detected(Failing):
    """Health is on: nobody has to say anything."""

    config = ("timeout linger 1", "health on interval 300ms timeout 150ms failures 3")
    policies = ("via fw1,fw2 on-failure bypass filter tcp dst port 81", "via fw1 filter tcp dst port 82")

    def survives(self, pair, each):
        """60 MB each way, in the midst of which each() is called once."""
        flows = [peers.Flow(pair.client, pair.server, 30 * MEGABYTE), peers.Flow(pair.server, pair.client, 30 * MEGABYTE)]
        called = []

        def maybe():
            if not called and flows[0].received > 5 * MEGABYTE:
                called.append(each())

        peers.pump(flows, each=maybe)

    def test_host_gone(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair, name = self.start(81, version)
                try:
                    self.survives(pair, lambda: self.link("fw1", False))
                    self.assertEqual(self.chain(name), ["client", "fw2", "server"])
                finally:
                    self.link("fw1", True)
                peers.eventually(lambda pair=pair: not self.lab.at("fw1", pair), "fw1 does not hear that it is left out")
                pair.close()
                self.lab.nothing_left()

    def test_closed(self):
        pair, _ = self.start(82)
        self.link("fw1", False)
        try:
            for end in (pair.client, pair.server):
                with self.assertRaises(ConnectionResetError):
                    end.recv(1)
        finally:
            self.link("fw1", True)
        pair.close()
        self.lab.nothing_left()
