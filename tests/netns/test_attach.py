# SPDX-License-Identifier: BSD-2-Clause
"""Where agents sit and what they attach: every mix of `nic` and `port` that serves one chain."""
import contextlib
import os
import signal
import unittest

import peers
import topology
from dyscotest import iptables_counters

ENDS = """
router r
node client gateway 10.0.1.1 fd00:1::1
node server gateway 10.0.2.1 fd00:2::1
link client:eth0 10.0.1.2/24 fd00:1::2/64 -- r 10.0.1.1/24 fd00:1::1/64
link server:eth0 10.0.2.2/24 fd00:2::2/64 -- r 10.0.2.1/24 fd00:2::1/64
"""
STAR = ENDS + """
box fw gateway 10.0.3.1 fd00:3::1
link fw:eth0 10.0.3.2/24 fd00:3::2/64 -- r 10.0.3.1/24 fd00:3::1/64
"""
COUNTERS = """
run fw iptables -A FORWARD -p tcp --dport 80
run fw iptables -A FORWARD -p tcp --sport 80
run fw ip6tables -A FORWARD -p tcp --dport 80
run fw ip6tables -A FORWARD -p tcp --sport 80
"""
BOX = "dysco * box fw 10.0.3.2 fd00:3::2\n"
POLICY = "policy web at client via fw filter tcp dst port 80\n"
HOSTS = {"client": "10.0.1.2 fd00:1::2", "server": "10.0.2.2 fd00:2::2", "fw": "10.0.3.2 fd00:3::2"}
CLIENT = {4: "10.0.1.2", 6: "fd00:1::2"}
SERVER = {4: "10.0.2.2", 6: "fd00:2::2"}


def attach(agent, mode, interface, host, netns=None):
    where = f" netns {netns}" if netns else ""
    return f"dysco {agent} attach {mode} {interface}{where} host {host} address {HOSTS[host]}\n"


class Case(unittest.TestCase):
    def lab(self, text, expected=()):
        lab = topology.Lab(text, "attach")
        self.addCleanup(lab.down, expected=expected)
        return lab

    def exchange(self, lab, version, client="client", server="server"):
        """A session with data both ways; packets that fw saw of it, there and back."""
        before = iptables_counters(lab, "fw", version)
        with peers.listen(lab.netns(server), SERVER[version], 80) as listener, peers.Pair(lab.netns(client), listener) as pair:
            peers.bulk(pair, 1 << 20)
        return tuple(after - then for after, then in zip(iptables_counters(lab, "fw", version), before))

    def goes_through(self, lab, **ends):
        for version in (4, 6):
            with self.subTest(ip=version):
                there, back = self.exchange(lab, version, **ends)
                self.assertGreater(there, 2)
                self.assertGreater(back, 2)

    def goes_straight(self, lab):
        for version in (4, 6):
            with self.subTest(ip=version):
                self.assertEqual(self.exchange(lab, version), (0, 0))


class OneAgent(Case):
    def test_nics_of_other_namespaces(self):
        self.goes_through(self.lab(STAR + COUNTERS + "agent a node r\n" + BOX + "".join(attach("a", "nic", "eth0", host, host) for host in HOSTS) + "dysco a " + POLICY))

    def test_ports(self):
        self.goes_through(self.lab(STAR + COUNTERS + "agent a node r\n" + BOX + "".join(attach("a", "port", host, host) for host in HOSTS) + "dysco a " + POLICY))

    def test_ports_of_another_namespace(self):
        self.goes_through(self.lab(STAR + COUNTERS + "agent a node server\n" + BOX + "".join(attach("a", "port", host, host, "r") for host in HOSTS) + "dysco a " + POLICY))

    def test_nics_and_ports(self):
        text = attach("a", "nic", "eth0", "client", "client") + attach("a", "port", "fw", "fw") + attach("a", "nic", "eth0", "server", "server")
        self.goes_through(self.lab(STAR + COUNTERS + "agent a node r\n" + BOX + text + "dysco a " + POLICY))


class SeveralAgents(Case):
    def test_two_in_one_namespace(self):
        text = attach("a", "port", "client", "client") + attach("b", "port", "fw", "fw") + attach("b", "port", "server", "server")
        self.goes_through(self.lab(STAR + COUNTERS + "agent a node r\nagent b node r\n" + BOX + text + "dysco a " + POLICY))

    def test_nic_port_nic(self):
        text = attach("a", "nic", "eth0", "client") + attach("b", "port", "fw", "fw") + attach("c", "nic", "eth0", "server")
        self.goes_through(self.lab(STAR + COUNTERS + "agent a node client\nagent b node r\nagent c node server\n" + BOX + text + "dysco a " + POLICY))


class ManyInterfaces(Case):
    """A box with an interface to each side: one host, two attachments."""

    TEXT = ENDS + """
box fw gateway 10.0.4.1 fd00:4::1
link fw:left 10.0.3.2/24 fd00:3::2/64 -- r:fwleft 10.0.3.1/24 fd00:3::1/64 name left
link fw:right 10.0.4.2/24 fd00:4::2/64 -- r:fwright 10.0.4.1/24 fd00:4::1/64 name right
route fw 10.0.1.0/24 via 10.0.3.1
route fw fd00:1::/64 via fd00:3::1
"""
    FW = "10.0.3.2 fd00:3::2 10.0.4.2 fd00:4::2"

    def test_nic(self):
        agents = "".join(f"agent {host} node {host}\n" for host in HOSTS)
        text = attach("client", "nic", "eth0", "client") + attach("server", "nic", "eth0", "server")
        text += "".join(f"dysco fw attach nic {side} host fw address {self.FW}\n" for side in ("left", "right"))
        self.goes_through(self.lab(self.TEXT + COUNTERS + agents + BOX + text + "dysco client " + POLICY))

    def test_port(self):
        text = attach("a", "port", "client", "client") + attach("a", "port", "server", "server")
        text += "".join(f"dysco a attach port fw{side} host fw address {self.FW}\n" for side in ("left", "right"))
        self.goes_through(self.lab(self.TEXT + COUNTERS + "agent a node r\n" + BOX + text + "dysco a " + POLICY))


class Lan(Case):
    """Many hosts behind one port: the gateway's interface serves a whole subnet."""

    TEXT = STAR.replace("node client gateway 10.0.1.1 fd00:1::1\n", "bridge lan\nnode c1 gateway 10.0.1.1 fd00:1::1\nnode c2 gateway 10.0.1.1 fd00:1::1\n").replace(
        "link client:eth0 10.0.1.2/24 fd00:1::2/64 -- r 10.0.1.1/24 fd00:1::1/64\n",
        "link lan:up -- r:lan 10.0.1.1/24 fd00:1::1/64 name up\nlink c1:eth0 10.0.1.2/24 fd00:1::2/64 -- lan\nlink c2:eth0 10.0.1.3/24 fd00:1::3/64 -- lan\n")

    def test_both_clients(self):
        text = "dysco a attach port lan host lan address 10.0.1.0/24 fd00:1::/64\n" + attach("a", "port", "fw", "fw") + attach("a", "port", "server", "server")
        lab = self.lab(self.TEXT + COUNTERS + "agent a node r\n" + BOX + text + "dysco a " + POLICY.replace("client", "lan"))
        for client in ("c1", "c2"):
            with self.subTest(client=client):
                self.goes_through(lab, client=client)


class AtRunTime(Case):
    def setUp(self):
        self.net = self.lab(STAR + COUNTERS + "agent a node r\n" + BOX)
        self.r = f"netns {self.net.netns('r')}"

    def attach_all(self, mode="port"):
        for host, addresses in HOSTS.items():
            where = host if mode == "port" else f"eth0 netns {self.net.netns(host)}"
            self.net.ask("a", f"attach {mode} {where} host {host} address {addresses}")

    def attachments(self):
        return sorted((a["mode"], a["interface"], a["host"], a["up"]) for a in self.net.ask("a", "status")["attachments"])

    def test_attach_detach_attach(self):
        self.goes_straight(self.net)
        self.attach_all()
        self.net.ask("a", "policy add " + POLICY.split(maxsplit=1)[1])
        self.assertEqual(self.attachments(), [("port", host, host, True) for host in sorted(HOSTS)])
        self.goes_through(self.net)
        self.net.ask("a", "policy remove web")
        for host in HOSTS:
            self.net.ask("a", f"detach {host}")
        self.assertEqual(self.attachments(), [])
        self.goes_straight(self.net)
        self.attach_all("nic")
        self.net.ask("a", "policy add " + POLICY.split(maxsplit=1)[1])
        self.goes_through(self.net)

    def test_detach_leaves_no_program(self):
        self.attach_all()
        self.assertEqual(self.net.programs("r", "client", "ingress"), 1)
        for host in HOSTS:
            self.net.ask("a", f"detach {host}")
            for side in ("ingress", "egress"):
                self.assertEqual(self.net.programs("r", host, side), 0)

    def test_session_survives_attach_of_its_interfaces(self):
        """A session from before goes on as it began, without a chain."""
        for version in (4, 6):
            with self.subTest(ip=version), peers.listen(self.net.netns("server"), SERVER[version], 80) as listener, peers.Pair(self.net.netns("client"), listener) as pair:
                pair.ping()
                self.attach_all()
                self.net.ask("a", "policy add " + POLICY.split(maxsplit=1)[1])
                peers.bulk(pair, 1 << 20)
                self.assertEqual(iptables_counters(self.net, "fw", version), (0, 0))
                self.net.ask("a", "policy remove web")
                for host in HOSTS:
                    self.net.ask("a", f"detach {host}")

    def test_refusals(self):
        for statement, code in (
                ("attach port nowhere host x address 10.9.9.9", "unknown_interface"),
                ("attach nic eth0 netns nowhere host x address 10.9.9.9", "unknown_netns"),
                ("attach nic client host x address 10.9.9", "bad_address"),
                ("attach nic lo host x address 10.9.9.9", "bad_value"),
                ("attach sideways client host x address 10.9.9.9", "syntax"),
                ("attach port client host unheard", "unknown_host"),
                ("detach nowhere", "unknown_attachment")):
            with self.subTest(statement=statement):
                with self.assertRaises(topology.Refused) as caught:
                    self.net.ask("a", statement)
                self.assertEqual(caught.exception.code, code, caught.exception)
                self.assertEqual(self.attachments(), [])


class Detached(Case):
    """An attachment goes while sessions live: they are reset first."""

    def up(self, mode):
        where = {"port": lambda host: (host, host), "nic": lambda host: ("eth0", host, host)}[mode]
        text = "".join(attach("a", mode, *where(host)) for host in HOSTS)
        self.net = self.lab(STAR + COUNTERS + "agent a node r\n" + BOX + text + "dysco a " + POLICY)

    @contextlib.contextmanager
    def pair(self, version):
        with peers.listen(self.net.netns("server"), SERVER[version], 80) as listener, peers.Pair(self.net.netns("client"), listener) as pair:
            pair.ping()
            yield pair

    def is_reset(self, *ends):
        for end in ends:
            with self.assertRaises(ConnectionResetError):
                end.recv(1)

    def both_ends_are_reset(self, mode, interface):
        self.up(mode)
        for version in (4, 6):
            for host in HOSTS:
                with self.subTest(ip=version, host=host), self.pair(version) as pair:
                    self.assertEqual(self.net.ask("a", f"detach {interface(host)}"), {"ended": 1})
                    self.is_reset(pair.client, pair.server)
                self.net.ask("a", f"attach {mode} {interface(host)} host {host} address {HOSTS[host]}")

    def test_both_ends_are_reset_port(self):
        self.both_ends_are_reset("port", lambda host: host)

    def test_both_ends_are_reset_nic(self):
        self.both_ends_are_reset("nic", lambda host: f"eth0 netns {self.net.netns(host)}")

    def without_client(self):
        """Takes the client's attachment out of the configuration file."""
        path = f"{self.net.dir}/agents/a/dysco.conf"
        with open(path, encoding="utf-8") as file:
            lines = [line for line in file if not line.startswith("attach port client ") and not line.startswith("policy ")]
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(lines)

    def test_attachment_that_a_new_file_has_not(self):
        self.up("port")
        with self.pair(4) as pair:
            self.without_client()
            os.kill(self.net.agent_pid("a"), signal.SIGHUP)
            self.is_reset(pair.client, pair.server)

    def test_attachment_that_the_next_agent_does_not_want(self):
        self.up("port")
        with self.pair(4) as pair:
            corpse = self.net.kill_agent("a")
            self.without_client()
            self.net.restart_agent(corpse)
            self.is_reset(pair.client, pair.server)
            self.assertEqual(self.net.programs("r", "client", "ingress"), 0)


class TakenOff(Case):
    """Somebody else takes the programs off an interface, one or both: the agent puts them back."""

    def test_put_back(self):
        text = attach("a", "nic", "eth0", "client", "client") + attach("a", "port", "fw", "fw") + attach("a", "nic", "eth0", "server", "server")
        lab = self.lab(STAR + COUNTERS + "agent a node r\n" + BOX + text + "dysco a " + POLICY, ["somebody took our programs off"])
        for node, interface, host in (("client", "eth0", "client"), ("r", "fw", "fw")):
            for directions in (["ingress"], ["egress"], ["ingress", "egress"]):
                with self.subTest(host=host, directions=directions):
                    before = self.restored(lab, host)
                    for direction in directions:
                        lab.programs(node, interface, direction, "clear")
                    peers.eventually(lambda: self.restored(lab, host) > before, lambda: f"not put back: {lab.ask('a', 'status')}")
                    self.assertEqual([lab.programs(node, interface, direction) for direction in ("ingress", "egress")], [1, 1])
                    self.goes_through(lab)

    @staticmethod
    def restored(lab, host):
        return next(a["restored"] for a in lab.ask("a", "status")["attachments"] if a["host"] == host)


if __name__ == "__main__":
    unittest.main()
