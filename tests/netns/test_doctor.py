# SPDX-License-Identifier: BSD-2-Clause
"""`dysco doctor`: finds what is broken here on purpose; what it says mends it, does."""
import json
import subprocess
import unittest

import peers
import topology

# host: a nic attachment; sw: a port attachment on a bridge without an address;
# edge: a port that is on none; outside: an agent whose attachment is in another namespace.
TEXT = """
node host gateway 10.0.0.2
node peer
bridge sw
node behind
link host:eth0 10.0.0.1/24 -- peer 10.0.0.2/24
link behind:eth0 10.0.1.1/24 -- sw:port0
node edge
node beyond
link beyond:eth0 10.0.3.1/24 -- edge:port0 10.0.3.2/24
agent edge node edge
dysco edge attach port port0 host beyond address 10.0.3.1
node outside
node inside
link inside:eth0 10.0.2.1/24 -- outside 10.0.2.2/24
agent host node host
agent sw node sw
agent outside node outside
dysco host host host address 10.0.0.1
dysco host attach nic eth0 host host
dysco host box host 10.0.0.1
dysco sw attach port port0 host behind address 10.0.1.1
dysco outside attach nic eth0 netns inside host inside address 10.0.2.1
"""


class Doctor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = topology.Lab(TEXT, "doctor")
        cls.addClassCleanup(cls.lab.down, expected=["somebody took our programs off"])

    def doctor(self, node):
        """(exit code, checks by name) of `dysco doctor` in a node."""
        done = subprocess.run(["ip", "netns", "exec", self.lab.netns(node), topology.DYSCO,
                               "-s", self.lab.socket_path(node), "doctor", "--json"],
                              capture_output=True, text=True, check=False, timeout=60)
        answer = json.loads(done.stdout)
        self.assertEqual(done.returncode, 4 if answer["findings"] else 0)
        self.assertEqual(answer["findings"],
                         sum(check["result"] in ("warning", "error") for check in answer["checks"]))
        return done.returncode, {check["check"]: check for check in answer["checks"]}

    def found(self, node, name, result):
        """The check of this name, which must have this result and say why and how."""
        code, checks = self.doctor(node)
        self.assertIn(name, checks)
        self.assertEqual(checks[name]["result"], result, checks[name])
        self.assertEqual(code, 0 if result == "note" else 4)
        for member in ("what", "why", "mend"):
            self.assertTrue(checks[name][member], f"{name} without {member}")
        return checks[name]

    def mended(self, node, finding):
        """Does what the finding says, after which all is well."""
        self.lab.run(node, "sh", "-c", finding["mend"])
        _, checks = self.doctor(node)
        self.assertEqual(checks[finding["check"]]["result"], "ok", checks[finding["check"]])

    def test_all_is_well(self):
        code, checks = self.doctor("host")
        self.assertEqual(code, 0, checks)
        for name in ("kernel", "privileges", "bpf", "tun", "bpffs", "agent", "legs", "link",
                     "programs", "mtu", "lro", "rp_filter", "redirects", "ports"):
            self.assertEqual(checks[name]["result"], "ok", checks[name])
        self.assertEqual(checks["signing"]["result"], "note")

    def test_strict_reverse_path_filter(self):
        for interface in ("eth0", "all"):
            with self.subTest(interface):
                self.lab.sysctl("host", "net.ipv4.conf.eth0.rp_filter", 0)
                self.lab.sysctl("host", f"net.ipv4.conf.{interface}.rp_filter", 1)
                finding = self.found("host", "rp_filter", "warning")
                self.assertEqual(finding["where"], "eth0")
                self.mended("host", finding)
        self.lab.sysctl("host", "net.ipv4.conf.all.rp_filter", 0)

    def test_redirects_of_a_host_that_forwards(self):
        self.lab.sysctl("host", "net.ipv4.conf.eth0.send_redirects", 1)
        self.assertEqual(self.doctor("host")[1]["redirects"]["result"], "ok")
        self.lab.sysctl("host", "net.ipv4.ip_forward", 1)
        self.lab.sysctl("host", "net.ipv4.conf.eth0.send_redirects", 1)
        self.mended("host", self.found("host", "redirects", "warning"))
        self.lab.sysctl("host", "net.ipv4.ip_forward", 0)

    def test_box_that_does_not_forward(self):
        self.mended("host", self.found("host", "forwarding", "note"))
        self.lab.sysctl("host", "net.ipv4.ip_forward", 0)

    def test_small_mtu(self):
        self.lab.run("host", "ip", "link", "set", "eth0", "mtu", "1000")
        self.mended("host", self.found("host", "mtu", "warning"))

    def test_interface_down(self):
        self.lab.run("peer", "ip", "link", "show")
        self.lab.run("host", "ip", "link", "set", "eth0", "down")
        self.mended("host", self.found("host", "link", "warning"))

    def test_ports_that_local_sockets_may_get(self):
        reserved = self.lab.read_sysctl("host", "net.ipv4.ip_local_reserved_ports")
        self.lab.sysctl("host", "net.ipv4.ip_local_reserved_ports", "\n")
        self.assertEqual(self.doctor("host")[1]["ports"]["result"], "ok")
        self.lab.sysctl("host", "net.ipv4.ip_local_port_range", "32768 65000")
        self.mended("host", self.found("host", "ports", "warning"))
        self.assertEqual(self.lab.read_sysctl("host", "net.ipv4.ip_local_reserved_ports"), reserved)

    def test_programs_gone(self):
        for direction in ("ingress", "egress"):
            with self.subTest(direction):
                finding = peers.eventually(lambda: self.finds_gone(direction), "the agent is always faster than the doctor")
                self.assertIn(direction, finding["what"])
                peers.eventually(lambda: self.doctor("host")[1]["programs"]["result"] == "ok", "the agent does not put them back")

    def finds_gone(self, direction):
        """Takes the programs off, and asks before the agent looks, which it does once a second; None when it was first."""
        self.lab.programs("host", "eth0", direction, "clear")
        check = self.doctor("host")[1]["programs"]
        return check if check["result"] == "error" else None

    def test_port_on_a_bridge_without_an_address(self):
        finding = self.found("sw", "bridge", "warning")
        self.assertIn("ip addr add ADDRESS/BITS dev br0", finding["mend"])
        self.lab.run("sw", "ip", "addr", "add", "10.0.1.254/24", "dev", "br0")
        self.assertEqual(self.doctor("sw")[1]["bridge"]["result"], "ok")

    def test_port_whose_machine_does_not_route(self):
        self.lab.sysctl("edge", "net.ipv4.ip_forward", 0)
        self.mended("edge", self.found("edge", "forwarding", "warning"))

    def test_attachment_in_another_namespace(self):
        netns = self.lab.netns("inside")
        self.lab.sysctl("inside", "net.ipv4.conf.eth0.rp_filter", 1)
        finding = self.found("outside", "rp_filter", "warning")
        self.assertEqual(finding["where"], f"netns {netns} eth0"[:95])
        self.assertTrue(finding["mend"].startswith(f"ip netns exec {netns} sysctl"), finding)
        self.mended("outside", finding)

    def test_people_are_told_what_and_how(self):
        self.lab.sysctl("host", "net.ipv4.conf.eth0.rp_filter", 1)
        text = self.lab.run("host", topology.DYSCO, "-s", self.lab.socket_path("host"), "doctor", check=False)
        self.lab.sysctl("host", "net.ipv4.conf.eth0.rp_filter", 0)
        self.assertRegex(text, r"(?m)^warning  rp_filter +eth0: strict")
        self.assertRegex(text, r"(?m)^ +mend  sysctl -w net\.ipv4\.conf\.eth0\.rp_filter=2$")
        self.assertRegex(text, r"(?m)^\d+ checks, 1 finding$")


class NoAgent(unittest.TestCase):
    def test_agent_gone(self):
        lab = topology.Lab("node host\nnode peer\nlink host:eth0 10.0.0.1/24 -- peer 10.0.0.2/24\n"
                           "agent host node host\ndysco host attach nic eth0 host host address 10.0.0.1\n", "gone")
        self.addCleanup(lab.down)
        path = lab.socket_path("host")
        lab.kill_agent("host")
        done = subprocess.run(["ip", "netns", "exec", lab.netns("host"), topology.DYSCO, "-s", path, "--json",
                               "doctor", "eth0"], capture_output=True, text=True, check=False, timeout=60)
        checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
        self.assertEqual(done.returncode, 4)
        self.assertEqual(checks["agent"]["result"], "error")
        self.assertEqual(checks["rp_filter"]["result"], "ok")
