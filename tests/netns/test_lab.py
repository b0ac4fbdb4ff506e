# SPDX-License-Identifier: BSD-2-Clause
"""`dysco lab` itself: what it builds, what it refuses, and that it always cleans up."""
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest

import dyscotest
import peers
import topology
from dyscotest import dysco, lab_name

SO_RCVBUFFORCE = 33  # not in Python's socket module

TWO = """
node a
node b
link a 10.0.0.1/24 fd00::1/64 -- b 10.0.0.2/24 fd00::2/64 {options}
{more}
"""


def two(options="", more=""):
    return TWO.format(options=options, more=more)


class Case(unittest.TestCase):
    def file(self, text):
        file = tempfile.NamedTemporaryFile("w", suffix=".lab")  # pylint: disable=consider-using-with
        self.addCleanup(file.close)
        file.write(text)
        file.flush()
        return file.name

    def lab(self, text, name="lab"):
        lab = topology.Lab(text, name)
        self.addCleanup(lab.down)
        return lab

    def talks(self, lab, address, source="a", target="b", port=4000):
        with peers.listen(lab.netns(target), address, port) as listener, peers.Pair(lab.netns(source), listener) as pair:
            pair.ping()

    def nothing_left(self):
        self.assertEqual(dyscotest.leftovers(), [])
        self.assertEqual(marked_processes(), [])


def marked_processes():
    """Processes that a lab of ours has started and that still run."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                entries = file.read().split(b"\0")
        except OSError:
            continue
        if any(re.fullmatch(rb"DYSCO_LAB_PART=.*-%d" % os.getpid(), entry) for entry in entries):
            found.append(pid)
    return found


class Builds(Case):
    def test_both_families(self):
        lab = self.lab(two())
        for address in ("10.0.0.2", "fd00::2"):
            self.talks(lab, address)

    def test_router_and_gateways(self):
        lab = self.lab("router r\nnode a gateway 10.1.0.1 fd01::1\nnode b gateway 10.2.0.1 fd02::1\n"
                       "link a 10.1.0.2/24 fd01::2/64 -- r 10.1.0.1/24 fd01::1/64\n"
                       "link b 10.2.0.2/24 fd02::2/64 -- r 10.2.0.1/24 fd02::1/64\n")
        for address in ("10.2.0.2", "fd02::2"):
            self.talks(lab, address)

    def test_route_statement(self):
        lab = self.lab("node a\nrouter m\nnode b\n"
                       "link a 10.1.0.2/24 -- m 10.1.0.1/24\nlink m 10.2.0.1/24 -- b 10.2.0.2/24\n"
                       "route a 10.2.0.0/24 via 10.1.0.1\nroute b default via 10.2.0.1\n")
        self.talks(lab, "10.2.0.2")

    def test_bridge(self):
        lab = self.lab("bridge s 10.0.0.9/24 fd00::9/64\nnode a\nnode b\n"
                       "link a:eth0 10.0.0.1/24 fd00::1/64 -- s\nlink b:eth0 10.0.0.2/24 fd00::2/64 -- s\n")
        for address in ("10.0.0.2", "fd00::2"):
            self.talks(lab, address)
        self.talks(lab, "10.0.0.9", target="s")

    def test_mtu_rate_and_offload(self):
        lab = self.lab(two("mtu 1400 rate 50mbit", "offload a off\noffload b:a on\nrps * 0\nrps b:a 0,1\n"))
        self.assertIn("mtu 1400", lab.run("a", "ip", "link", "show", "dev", "b"))
        self.assertRegex(lab.run("b", "tc", "qdisc", "show", "dev", "a"), "tbf .*rate 50Mbit")
        self.assertIn("tcp-segmentation-offload: off", lab.run("a", "ethtool", "-k", "b"))
        self.assertIn("tcp-segmentation-offload: on", lab.run("b", "ethtool", "-k", "a"))
        for node, interface, mask in (("a", "b", 1), ("b", "a", 3)):
            steering = lab.run(node, "ip", "netns", "exec", f"dysco-{lab.name}-{node}", "cat", f"/sys/class/net/{interface}/queues/rx-0/rps_cpus")
            self.assertEqual(int(steering.replace(",", ""), 16), mask)

    def test_sysctls(self):
        lab = self.lab(two(more="box c\nset congestion reno\nsysctl * net.ipv4.tcp_sack 0\nsysctl b net.ipv4.tcp_fin_timeout 7\n"))
        for key, a, b, c in (("net.ipv4.tcp_congestion_control", "reno", "reno", "reno"), ("net.ipv4.tcp_sack", "0", "0", "0"),
                             ("net.ipv4.tcp_fin_timeout", "60", "7", "60"), ("net.ipv4.ip_forward", "0", "0", "1"),
                             ("net.ipv6.conf.all.forwarding", "0", "0", "1"), ("net.ipv4.conf.all.rp_filter", "0", "0", "0"),
                             ("net.ipv4.conf.all.send_redirects", "0", "0", "0")):
            with self.subTest(key=key):
                self.assertEqual([lab.read_sysctl(node, key) for node in "abc"], [a, b, c])

    def test_default_congestion_control(self):
        self.assertEqual(self.lab(two()).read_sysctl("a", "net.ipv4.tcp_congestion_control"), "cubic")

    def test_files_runs_and_daemons(self):
        lab = self.lab(two(more="file page 'a b' c\nrun a sh -c 'cat page page > twice'\n"
                           "daemon b python3 -m http.server --bind :: 8000\nready b tcp 8000\nready b file twice\n"
                           "ready b run test -s twice\n"))
        with open(f"{lab.dir}/twice", encoding="ascii") as file:
            self.assertEqual(file.read(), "a b\nc\na b\nc\n")
        host = "[fd00::2]:8000"
        self.assertEqual(lab.run("a", "curl", "-sSg", "--max-time", "20", f"http://{host}/page"), "a b\nc\n")

    def test_exec(self):
        lab = self.lab(two())
        done = dysco("lab", "exec", lab.name, "a", "sh", "-c", "echo $DYSCO_LAB $DYSCO_NODE $1; ls -d /sys/fs/bpf; stat -fc %T /sys/fs/bpf; exit 7", "sh", "x y")
        self.assertEqual((done.returncode, done.stdout.splitlines()), (7, [f"{lab.name} a x y", "/sys/fs/bpf", "bpf_fs"]))
        done = dysco("lab", "exec", lab.name, "nobody", "true")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no node 'nobody'", done.stderr)

    def test_list(self):
        lab = self.lab(two())
        self.assertRegex(dysco("lab", "list").stdout, rf"(?m)^{lab.name} +up +a b$")

    def test_up_twice(self):
        lab = self.lab(two())
        done = dysco("lab", "up", self.file(two()), "--name", lab.name)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is up already", done.stderr)
        self.talks(lab, "10.0.0.2")


class Language(Case):
    """What `show` says of a file; it touches nothing."""

    def show(self, text, *options):
        done = dysco("lab", "show", self.file(text), *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_examples(self):
        for name in sorted(name for name in os.listdir(dyscotest.EXAMPLES) if name.endswith(".lab")):
            with self.subTest(name=name):
                self.assertEqual(dysco("lab", "show", dyscotest.example(name)).returncode, 0)

    def test_repeat_and_arithmetic(self):
        shown = self.show("let n 3\nrepeat i 1 n\nnode n@{i} gateway 10.0.@{i*2+1}.1\nend\nrun n1 echo @{1..n:n#} @{n}")
        for text in ("gateway 10.0.3.1", "gateway 10.0.5.1", "gateway 10.0.7.1", "echo n1,n2,n3 3"):
            self.assertIn(text, shown)

    def test_repeat_of_nothing(self):
        self.assertNotIn("n1", self.show("node a\nrepeat i 1 0\nnode n@{i}\nend\n"))

    def test_if_else(self):
        text = "let m x\nif @{m} = x\nnode yes\nelse\nnode no\nend\nif @{m} != x\nnode other\nend\n"
        self.assertRegex(self.show(text), "node +yes")
        self.assertRegex(self.show(text, "--set", "m=y"), "(?s)node +no.*node +other")

    def test_other_languages_pass_through(self):
        self.assertIn("sh -c echo ${HOME} $(x) %{http_code} {a}", self.show("node a\nrun a sh -c 'echo ${HOME} $(x) %{http_code} {a}'\n"))

    def test_set_of_unknown_variable(self):
        done = dysco("lab", "show", self.file("node a\n"), "--set", "boxes=3")
        self.assertEqual(done.returncode, 1)
        self.assertIn("let boxes", done.stderr)


BAD = (  # line that is wrong, text, what must be said
    (2, "node a\nnode a\n", "already a node"),
    (1, "nodee a\n", "no statement 'nodee'"),
    (1, "node\n", "write: node NAME"),
    (1, "node a_very_long_name_\n", "15 letters"),
    (1, "node -a\n", "no name for a node"),
    (2, "node a\nlink a -- b\n", "no node 'b'"),
    (3, "node a\nnode b\nlink a b\n", "write: link"),
    (3, "node a\nnode b\nlink a b a\n", "should be --"),
    (3, "node a\nnode b\nlink a --\n", "write: link"),
    (3, "node a\nnode b\nlink a 10.0.0.1/33 -- b\n", "should be -- or ADDRESS/BITS"),
    (3, "node a\nnode b\nlink a 10.0.0.1/24 -- b 10.0.0.2/24 speed 3\n", "'speed'"),
    (3, "node a\nnode b\nlink a -- b delay 5\n", "delay '5'"),
    (3, "node a\nnode b\nlink a -- b loss 101%\n", "loss '101%'"),
    (3, "node a\nnode b\nlink a -- b loss\n", "no value"),
    (4, "node a\nnode b\nlink a -- b\nlink a -- b\n", "already has an interface"),
    (4, "node a\nnode b\nlink a 10.0.0.1/24 -- b\nlink a:x -- b:y 10.0.0.1/24 name z\n", "already taken"),
    (3, "bridge s\nnode a\nlink a -- s 10.0.0.1/24\n", "port of bridge"),
    (2, "node a\nroute a 10.0.0.0/99 via 10.0.0.1\n", "not ADDRESS"),
    (2, "node a\nsysctl a kernel.pid_max 3\n", "network namespace"),
    (2, "node a\noffload a maybe\n", "on or off"),
    (2, "node a\noffload a:eth9 on\n", "eth9"),
    (2, "node a\nrps a 0,\n", "list of CPUs"),
    (2, "node a\nrps a 64\n", "list of CPUs"),
    (2, "node a\nrps a:eth9 0\n", "eth9"),
    (1, "set colour blue\n", "colour"),
    (1, "run a true\n", "no node 'a'"),
    (2, "node a\nready a tcp http\n", "write: ready"),
    (2, "node a\nagent x at a\n", "write: agent"),
    (1, "dysco x log debug\n", "no agent 'x'"),
    (2, "node a\nfile ../x y\n", "without a folder"),
    (1, "repeat i 1 3\n", "repeat without end"),
    (2, "node a\nend\n", "belongs to no block"),
    (1, "node @{x}\n", "no variable 'x'"),
    (1, "node @{1/0}\n", "division by zero"),
    (1, "node @{\n", "@{ without }"),
    (1, "repeat i 1 999999\nend\n", "repetitions"),
    (1, "node 'a\n", "quote"),
    (1, "lab a/b\n", "no name for a lab"),
    (None, "# nothing\n", "no node"),
)


class BadFiles(Case):
    def setUp(self):
        self.addCleanup(dysco, "lab", "down", lab_name("bad"))

    def test_bad_files_change_nothing(self):
        for line, text, words in BAD:
            with self.subTest(text=text):
                path = self.file(text)
                done = dysco("lab", "up", path, "--name", lab_name("bad"))
                self.assertEqual(done.returncode, 1)
                self.assertIn(words, done.stderr)
                self.assertIn(path if line is None else f"{path}:{line}: ", done.stderr)
                self.nothing_left()

    def test_no_file(self):
        done = dysco("lab", "up", "/nonexistent.lab")
        self.assertEqual((done.returncode, "No such file" in done.stderr), (1, True))

    def test_usage(self):
        for words in ([], ["up"], ["fly"], ["down"], ["exec", "x"], ["up", "--nmae", "x", "f"], ["down", "--all", "x"]):
            with self.subTest(words=words):
                done = dysco("lab", *words)
                self.assertEqual(done.returncode, 2)
                self.assertIn("usage: dysco lab", done.stderr)

    def refused(self, more, line, *words):
        """`up` fails at this line of the file after two(), says these words, leaves nothing."""
        path = self.file(two(more=more))
        done = dysco("lab", "up", path, "--name", lab_name("bad"))
        self.assertEqual(done.returncode, 1)
        for word in (f"{path}:{line}: ", *words):
            self.assertIn(word, done.stderr)
        self.nothing_left()

    def test_what_only_the_machine_knows(self):
        self.refused("run a sh -c 'echo alas >&2; exit 3'", 5, "sh failed (exit 3): alas")
        self.refused("run a no-such-program", 5, "no-such-program")
        self.refused("daemon a no-such-program", 5, "no-such-program")
        self.refused("daemon a sh -c 'echo too bad; exit 4'\nready a tcp 80", 5, "has ended (exit 4): too bad")
        self.refused("route a 10.9.0.0/24 via 10.8.0.1", 5, "ip failed")
        self.refused("sysctl a net.ipv4.no_such_thing 1", 5, "No such file")
        self.refused(f"rps a {os.cpu_count()}", 5, f"numbers from 0 to {os.cpu_count() - 1}")
        self.refused("agent x node a\ndysco x frobnicate", 5, "the agent has ended")


class CleansUp(Case):
    HANGS = two(more="daemon b sh -c 'trap \"\" TERM; while true; do read x < /dev/zero; done'\n"
                "daemon a sleep 1000\nfile begun x\nready a file never\n")

    def hanging_up(self, *verb):
        """An `up` that waits for what never comes; returned once it waits."""
        process = subprocess.Popen([topology.DYSCO, "lab", *verb, self.file(self.HANGS), "--name", lab_name("hang")], stderr=subprocess.PIPE, text=True)  # pylint: disable=consider-using-with
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        peers.eventually(lambda: os.path.exists(f"/run/dysco-lab/{lab_name('hang')}/begun"), "up does not come so far")
        return process

    def killed(self):
        process = self.hanging_up("up")
        process.kill()
        process.wait()
        self.assertRegex(dysco("lab", "list").stdout, rf"(?m)^{lab_name('hang')} +crashed")
        pin = f"/sys/fs/bpf/dysco-lab/{lab_name('hang')}/x"
        os.makedirs(pin)
        self.assertGreater(len(dyscotest.leftovers()), 3)

    def test_down_after_kill(self):
        self.killed()
        self.assertEqual(dysco("lab", "down", lab_name("hang")).returncode, 0)
        self.nothing_left()

    def test_up_after_kill(self):
        self.killed()
        done = dysco("lab", "up", self.file(two()), "--name", lab_name("hang"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(marked_processes(), [])
        self.assertEqual(dysco("lab", "down", lab_name("hang")).returncode, 0)
        self.nothing_left()

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                process = self.hanging_up("up")
                process.send_signal(number)
                self.assertEqual(process.wait(peers.TIMEOUT), 1)
                self.assertIn("nothing is left", process.stderr.read())
                self.nothing_left()

    def test_only_one_at_a_time(self):
        process = self.hanging_up("up")
        done = dysco("lab", "up", self.file(two()), "--name", lab_name("hang"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("being changed", done.stderr)
        process.terminate()
        process.wait(peers.TIMEOUT)
        self.nothing_left()

    def test_name_that_is_a_prefix(self):
        """lab X-b with node c and lab X with node b-c have namespaces of one name's beginning."""
        lab = self.lab("node c\n", "x")
        other = f"{lab.name}-b"
        self.assertEqual(dysco("lab", "up", self.file("node c\n"), "--name", other).returncode, 0)
        self.assertEqual(dysco("lab", "down", lab.name).returncode, 0)
        self.assertEqual(dysco("lab", "exec", other, "c", "true").returncode, 0)
        self.assertEqual(dysco("lab", "down", other).returncode, 0)
        self.assertEqual(dysco("lab", "up", self.file("node c\n"), "--name", lab.name).returncode, 0)

    def test_down_of_nothing(self):
        done = dysco("lab", "down", lab_name("none"))
        self.assertEqual((done.returncode, "no lab" in done.stderr), (1, True))


class Runs(Case):
    def run_lab(self, *command, text=None):
        return dysco("lab", "run", self.file(text or two()), "--name", lab_name("run"), "--", *command)

    def test_command_and_code(self):
        done = self.run_lab("sh", "-c", "echo $DYSCO_LAB $DYSCO_LAB_DIR; ip netns list | grep -c $DYSCO_LAB; exit 9")
        self.assertEqual((done.returncode, done.stdout.split()), (9, [lab_name("run"), f"/run/dysco-lab/{lab_name('run')}", "2"]))
        self.nothing_left()

    def test_no_such_command(self):
        done = self.run_lab("no-such-program")
        self.assertEqual((done.returncode, "no-such-program" in done.stderr), (1, True))
        self.nothing_left()

    def test_signal(self):
        name = lab_name("run")
        process = subprocess.Popen([topology.DYSCO, "lab", "run", self.file(two()), "--name", name, "--", "sleep", "1000"])  # pylint: disable=consider-using-with
        self.addCleanup(process.kill)
        peers.eventually(lambda: os.path.exists(f"/run/dysco-lab/{name}/state") and "run" in open(f"/run/dysco-lab/{name}/state", encoding="ascii").read(), "run does not come up")
        process.terminate()
        self.assertEqual(process.wait(peers.TIMEOUT), 128 + signal.SIGTERM)
        self.nothing_left()

    def test_down_after_kill_of_run(self):
        name = lab_name("run")
        # The command outlives a killed `run`: one that ends with its input, when this test closes it.
        with subprocess.Popen([topology.DYSCO, "lab", "run", self.file(two()), "--name", name, "--", "cat"], stdin=subprocess.PIPE) as process:
            peers.eventually(lambda: re.search(rf"(?m)^{name} +up", dysco("lab", "list").stdout), "run does not come up")
            process.kill()
            process.wait()
        self.assertRegex(dysco("lab", "list").stdout, rf"(?m)^{name} +crashed")
        self.assertEqual(dysco("lab", "down", name).returncode, 0)
        self.assertEqual(dyscotest.leftovers(), [])


class DelayBox(Case):
    """A lossy link, seen with datagrams: what is sent is numbered, what arrives is counted."""

    COUNT = 400

    def wire(self, lab, *settings):
        done = dysco("lab", "set", lab.name, "a-b", *settings)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["directions"]

    def sockets(self, lab, version):
        family, source, target = (socket.AF_INET, "10.0.0.1", "10.0.0.2") if version == 4 else (socket.AF_INET6, "fd00::1", "fd00::2")
        ends = []
        for node, address in (("a", source), ("b", target)):
            with lab.inside(node):
                s = socket.socket(family, socket.SOCK_DGRAM)
            self.addCleanup(s.close)
            s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
            s.bind((address, 5000))
            s.settimeout(peers.TIMEOUT)
            ends.append(s)
        ends[0].connect((target, 5000))
        ends[1].connect((source, 5000))
        return ends

    def send(self, lab, version, *settings):
        """Numbers that arrived, in order, of COUNT sent from a to b; and the counters of that direction."""
        sender, receiver = self.sockets(lab, version)
        # The neighbours know each other before anything is lost.
        sender.send(b"first")
        receiver.recv(64)
        receiver.send(b"back")
        sender.recv(64)
        before = self.wire(lab, *settings)[0]
        for number in range(self.COUNT):
            sender.send(number.to_bytes(4, "big") * 16)
        peers.eventually(lambda: self.through(lab, before), lambda: f"frames still on their way: {self.wire(lab)}")
        after = self.wire(lab)[0]
        # Whatever the box has sent is on its way through the veth: a last one behind it shows the end.
        self.wire(lab, "loss", "0%", "duplicate", "0%", "reorder", "0%", "delay", "0ms")
        sender.send(b"last")
        arrived = []
        while True:
            data = receiver.recv(64)
            if data == b"last":
                sender.close()
                receiver.close()
                return arrived, {key: after[key] - before[key] for key in ("received", "sent", "lost", "duplicated", "reordered")}
            arrived.append(int.from_bytes(data[:4], "big"))

    def through(self, lab, before):
        now = self.wire(lab)[0]
        return now["received"] - before["received"] >= self.COUNT and now["waiting"] == 0

    def test_perfect_wire(self):
        lab = self.lab(two("seed 1"))
        for version in (4, 6):
            with self.subTest(ip=version):
                arrived, _ = self.send(lab, version)
                self.assertEqual(arrived, list(range(self.COUNT)))

    def test_loses_what_it_counts(self):
        lab = self.lab(two("seed 1"))
        for version in (4, 6):
            with self.subTest(ip=version):
                arrived, counted = self.send(lab, version, "loss", "20%", "seed", "3")
                self.assertEqual(len(arrived), self.COUNT - counted["lost"])
                self.assertGreater(counted["lost"], self.COUNT // 10)
                self.assertLess(counted["lost"], self.COUNT // 3)
                self.assertEqual(arrived, sorted(arrived))

    def test_one_direction(self):
        lab = self.lab(two("seed 1"))
        for version in (4, 6):
            with self.subTest(ip=version):
                sender, receiver = self.sockets(lab, version)
                sender.send(b"first")
                receiver.recv(64)
                receiver.send(b"back")
                sender.recv(64)
                before = self.wire(lab, "loss", "0%/100%")[1]["lost"]
                receiver.send(b"lost")
                sender.send(b"arrives")
                self.assertEqual(receiver.recv(64), b"arrives")
                peers.eventually(lambda: self.wire(lab)[1]["lost"] > before, "nothing is lost")
                self.wire(lab, "loss", "0%")
                receiver.send(b"found")
                self.assertEqual(sender.recv(64), b"found")

    def test_same_seed_same_fate(self):
        lab = self.lab(two("seed 1"))
        for version in (4, 6):
            with self.subTest(ip=version):
                settings = ("loss", "10%", "duplicate", "10%", "reorder", "10%", "seed")
                first = self.send(lab, version, *settings, "7")[0]
                again = self.send(lab, version, *settings, "7")[0]
                other = self.send(lab, version, *settings, "8")[0]
                self.assertEqual(sorted(first), sorted(again))
                self.assertNotEqual(sorted(first), sorted(other))

    def test_duplicates(self):
        lab = self.lab(two("seed 1"))
        for version in (4, 6):
            with self.subTest(ip=version):
                arrived, counted = self.send(lab, version, "duplicate", "100%")
                self.assertEqual(arrived, [n for n in range(self.COUNT) for _ in range(2)])
                self.assertEqual(counted["duplicated"], self.COUNT)

    def test_reorders(self):
        lab = self.lab(two("seed 1"))
        for version in (4, 6):
            with self.subTest(ip=version):
                arrived, counted = self.send(lab, version, "reorder", "10%")
                self.assertEqual(sorted(arrived), list(range(self.COUNT)))
                self.assertNotEqual(arrived, sorted(arrived))
                self.assertGreater(counted["reordered"], 0)

    def test_jitter_keeps_the_order(self):
        lab = self.lab(two("seed 1"))
        arrived, _ = self.send(lab, 4, "delay", "5ms", "jitter", "5ms")
        self.assertEqual(arrived, list(range(self.COUNT)))

    def test_delays_at_least_so_long(self):
        lab = self.lab(two("delay 30ms/40ms"))
        for version in (4, 6):
            with self.subTest(ip=version):
                sender, receiver = self.sockets(lab, version)
                sender.send(b"x")
                receiver.recv(64)
                begin = peers.time.monotonic()
                sender.send(b"y")
                receiver.recv(64)
                receiver.send(b"z")
                sender.recv(64)
                self.assertGreaterEqual(peers.time.monotonic() - begin, 0.070)

    def test_offloads_pass(self):
        lab = self.lab(two("seed 1", "offload * on\n"))
        for address in ("10.0.0.2", "fd00::2"):
            with self.subTest(address=address), peers.listen(lab.netns("b"), address, 80) as listener, peers.Pair(lab.netns("a"), listener) as pair:
                flow = peers.Flow(pair.client, pair.server, 4 << 20)
                peers.pump([flow])
        self.assertEqual([d["failed"] for d in self.wire(lab)], [0, 0])

    def test_tcp_over_a_bad_wire(self):
        lab = self.lab(two("delay 1ms loss 1% duplicate 1% reorder 1%"))
        for address in ("10.0.0.2", "fd00::2"):
            with self.subTest(address=address), peers.listen(lab.netns("b"), address, 80) as listener, peers.Pair(lab.netns("a"), listener) as pair:
                peers.pump([peers.Flow(pair.client, pair.server, 1 << 20)])

    def test_refused_settings_change_nothing(self):
        lab = self.lab(two("loss 1%"))
        before = self.wire(lab)
        for words in (("delay", "1ms", "loss", "200%"), ("loss",), ("speed", "3"), ("loss", "x"), ("loss", "nan%"), ("delay", "-1ms")):
            with self.subTest(words=words):
                done = dysco("lab", "set", lab.name, "a-b", *words)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn("link a-b: ", done.stderr)
        after = self.wire(lab)
        for key in ("delay_us", "loss_ppm"):
            self.assertEqual([d[key] for d in before], [d[key] for d in after])

    def test_unknown_link(self):
        lab = self.lab(two())
        done = dysco("lab", "set", lab.name, "a-b", "loss", "1%")
        self.assertEqual((done.returncode, "no lossy link" in done.stderr), (1, True))


if __name__ == "__main__":
    unittest.main()
