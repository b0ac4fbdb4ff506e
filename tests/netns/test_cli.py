# SPDX-License-Identifier: BSD-2-Clause
"""The command line against agents at work: what it prints, its JSON, its exit codes."""
import glob
import json
import os
import re
import subprocess
import unittest

import peers
import topology
from cases import OnStar

DONE, REFUSED, USAGE, NO_AGENT, FINDINGS = 0, 1, 2, 3, 4
SESSION_MEMBERS = {"id", "session", "host", "role", "state", "policy", "age_s", "idle_s", "packets_out", "bytes_out", "packets_in", "bytes_in", "peer_left", "peer_right"}


class Commands(OnStar):
    """Three hops: fw1, fw2, fw3."""

    boxes = 3
    policies = ("via fw1,fw2,fw3 filter tcp dst port 80",)

    def cli(self, *words, agent="client", code=DONE):
        """Standard output of `dysco`, which must end so."""
        got, out, err = self.lab.cli(agent, *words)
        self.assertEqual(got, code, f"dysco {' '.join(words)}: {out}{err}")
        if code in (DONE, FINDINGS):
            self.assertEqual(err, "")
        return out or err

    def json(self, *words, agent="client", code=DONE):
        out = self.cli("--json", *words, agent=agent, code=code)
        self.assertEqual(out.count("\n"), 1, "one document on one line")
        return json.loads(out)

    def session(self, version=4):
        pair = self.pair(self.listen(80, version))
        pair.ping()
        return pair, self.lab.at("client", pair)["id"]

    def test_status(self):
        status = self.json("status")
        self.assertLessEqual({"agent", "version", "uptime_s", "datapath", "pin", "signed", "keys", "legs", "sessions", "hosts", "attachments", "policies", "ports"}, set(status))
        self.assertEqual((status["agent"], status["datapath"], status["policies"]), ("client", "bpf", 1))
        (attachment,) = status["attachments"]
        self.assertEqual((attachment["mode"], attachment["interface"], attachment["host"], attachment["up"]), ("nic", "eth0", "client", True))
        human = self.cli("status")
        for word in ("client", "eth0", "10.0.1.2", "fd00:1::2", "bpf"):
            self.assertIn(word, human)

    def test_scheduling(self):
        """Real time while it waits for packets; whoever must not have it can say so while it runs."""
        pid = self.lab.agent_pid("client")

        def realtime():
            return os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR

        if self.json("status")["scheduling"] == "refused":
            self.skipTest("this machine has no real-time scheduling")
        peers.eventually(realtime, "the agent waits in real time")
        self.cli("scheduling", "normal")
        self.assertEqual(self.json("status")["scheduling"], "normal")
        self.assertFalse(realtime())
        self.session()
        self.assertFalse(realtime())
        self.cli("scheduling", "realtime")
        peers.eventually(realtime, "the agent waits in real time again")
        self.assertIn("'fast' is not known", self.cli("scheduling", "fast", code=REFUSED))

    def test_stats(self):
        self.session()
        stats = self.json("stats")
        self.assertGreater(stats["counters"]["sessions_started"], 0)
        self.assertEqual([d["number"] for d in stats["drops"]], sorted({d["number"] for d in stats["drops"]}))
        for drop in stats["drops"]:
            self.assertTrue(drop["name"] and drop["text"], drop)
        self.assertIn("sessions_started", self.cli("stats"))
        self.assertIn("no_agent", self.cli("stats", "--all"))

    def test_boxes_and_types(self):
        self.assertEqual({b["name"] for b in self.json("box", "list")["boxes"]}, {"fw1", "fw2", "fw3"})
        self.cli("box", "add", "ids", "10.0.99.2", "fd00:99::2")
        self.cli("type", "add", "sensor", "ids", "fw3", "select", "least-sessions")
        self.assertIn({"name": "sensor", "select": "least-sessions", "boxes": ["ids", "fw3"]}, self.json("type", "list")["types"])
        self.assertRegex(self.cli("box", "list"), r"ids\s.*10\.0\.99\.2")
        self.assertRegex(self.cli("type", "list"), r"sensor\s.*ids")
        self.assertIn("in_use", self.cli("--json", "box", "remove", "ids", code=REFUSED))
        self.cli("type", "remove", "sensor")
        self.cli("box", "remove", "ids")

    def test_policies(self):
        self.cli("policy", "add", "more", "via", "fw1", "priority", "7", "filter", "tcp dst port 81")
        self.assertIn("more", [p["name"] for p in self.json("policy", "list")["policies"]])
        self.assertRegex(self.cli("policy", "list"), r"more\s")
        self.cli("policy", "replace", "more", "via", "fw2", "filter", "tcp", "dst", "port", "81")
        self.cli("policy", "remove", "more")
        self.assertNotIn("more", self.cli("policy", "list"))
        refused = self.json("policy", "add", "bad", "via", "fw9", "filter", "tcp", code=REFUSED)
        self.assertEqual(set(refused["error"]), {"code", "message", "hint"})
        human = self.cli("policy", "add", "bad", "via", "fw9", "filter", "tcp", code=REFUSED)
        self.assertRegex(human, r"fw9[\s\S]*box add")

    def test_policy_test(self):
        human = self.cli("policy", "test", "10.0.1.2:45000", "10.0.2.2:80")
        for word in ("p0", "10.0.11.2", "10.0.13.2"):
            self.assertIn(word, human)
        self.assertEqual(self.json("policy", "test", "10.0.1.2:45000", "10.0.2.2:443")["verdict"], "plain")
        self.cli("box", "add", "only6", "fd00:99::9")
        self.cli("policy", "add", "six", "via", "only6", "filter", "tcp dst port 66")
        says = self.json("policy", "test", "10.0.1.2:45000", "10.0.2.2:66", code=FINDINGS)
        self.assertEqual((says["verdict"], says["reason"]), ("drop", "no_family"))
        self.cli("policy", "remove", "six")
        self.cli("box", "remove", "only6")

    def test_session_list_and_show(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                pair, number = self.session(version)
                src, dst = peers.endpoint(pair.client), peers.peer_endpoint(pair.client)
                for node, role in (("client", "first"), ("fw2", "middlebox"), ("server", "last")):
                    (one,) = [s for s in self.json("session", "list", agent=node)["sessions"] if s["id"] == number]
                    self.assertEqual(set(one), SESSION_MEMBERS)
                    self.assertEqual((one["role"], one["session"]), (role, {"src": src, "dst": dst}))
                    human = self.cli("session", "list", agent=node)
                    self.assertIn(src, human)
                    shown = self.json("session", "show", number[:8], agent=node)["sessions"][0]
                    self.assertEqual([h["address"] for h in shown["chain"]], [self.lab.address(n, version) for n in ("fw1", "fw2", "fw3", "server")])
                    self.assertEqual(len(shown["legs"]), 2 if role == "middlebox" else 1)
                    self.assertIn(shown["legs"][0]["wire_tuple"]["src"], self.cli("session", "show", src, dst, agent=node))
                (one,) = self.json("session", "list", "policy", "p0", "peer", self.lab.address("fw1", version), "limit", "1")["sessions"]
                self.assertEqual(self.json("session", "list", "state", "bypass")["sessions"], [])
                pair.close()

    def test_trace(self):
        """Every host of the chain answers, and their counts are those of one stream."""
        for version in (4, 6):
            with self.subTest(ip=version):
                pair, number = self.session(version)
                total = 3 << 20
                peers.pump([peers.Flow(pair.client, pair.server, total)])
                for asked in ("client", "fw2", "server"):
                    trace = self.json("session", "trace", number, agent=asked)
                    self.assertTrue(trace["complete"], trace)
                    hops = trace["hops"]
                    self.assertEqual([h["host"] for h in hops], ["client", "fw1", "fw2", "fw3", "server"])
                    self.assertTrue(all(h["answered"] for h in hops))
                    for left, right in zip(hops, hops[1:]):
                        out, in_ = left["right"], right["left"]
                        self.assertEqual((out["wire_tuple"]["src"], out["wire_tuple"]["dst"]), (in_["wire_tuple"]["dst"], in_["wire_tuple"]["src"]))
                        self.assertGreater(in_["bytes_in"], total)
                        self.assertLess(in_["bytes_in"], total * 1.2)
                        self.assertEqual((out["state"], in_["state"]), ("established", "established"))
                    self.assertIsNone(hops[0]["left"])
                    self.assertIsNone(hops[-1]["right"])
                    human = self.cli("session", "trace", number, agent=asked)
                    for node in ("client", "fw1", "fw2", "fw3", "server"):
                        self.assertIn(node, human)
                pair.ping(b"and the session has noticed nothing")
                pair.close()

    def test_trace_with_a_silent_hop(self):
        pair, number = self.session()
        corpse = self.lab.kill_agent("fw2")
        trace = self.json("session", "trace", number, code=FINDINGS)
        self.assertFalse(trace["complete"])
        self.assertEqual([h["host"] for h in trace["hops"] if h["answered"]], ["client", "fw1"])
        self.lab.restart_agent(corpse)
        self.assertTrue(peers.eventually(lambda: self.lab.ask("client", f"session trace {number}")["complete"], "trace stays incomplete"))
        pair.ping()

    def test_why(self):
        pair, number = self.session()
        why = self.json("session", "why", number)
        self.assertEqual((why["policy"], why["given_by"], why["refused"]), ("p0", "this agent", False))
        self.assertIn("fw1", why["why"])
        self.assertIn("p0", self.cli("session", "why", number))
        self.assertEqual(self.json("session", "why", number, agent="server")["given_by"], "left neighbour")
        pair.close()

    def test_kill(self):
        for version in (4, 6):
            for node in ("client", "fw2", "server"):
                with self.subTest(ip=version, at=node):
                    pair, number = self.session(version)
                    self.assertEqual(self.json("session", "kill", number, agent=node), {"killed": 1})
                    for end in (pair.client, pair.server):
                        with self.assertRaises(ConnectionResetError):
                            peers.read_to_end(end)
        self.lab.nothing_left()

    def test_unknown_session(self):
        self.assertEqual(self.json("session", "show", "0123456789abcdef", code=REFUSED)["error"]["code"], "unknown_session")
        self.assertEqual(self.json("session", "kill", "10.0.1.2:1", "10.0.2.2:2", code=REFUSED)["error"]["code"], "unknown_session")

    def test_monitor(self):
        """A session's events at every host, in the order of its life."""
        nodes = ("client", "fw1", "fw2", "fw3", "server")
        monitors = {node: self.lab.monitor(node) for node in nodes}
        for node in nodes:
            self.addCleanup(monitors[node].socket.close)
        pair, number = self.session()
        for node in nodes:
            event = monitors[node].wait_for("session_started" if node == "client" else "session_joined", id=number)
            self.assertEqual(event["session"], {"src": peers.endpoint(pair.client), "dst": peers.peer_endpoint(pair.client)})
            self.assertRegex(event["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
            monitors[node].wait_for("established", id=number)
        pair.close()
        for node in nodes:
            monitors[node].wait_for("closed", id=number)
        pair, number = self.session()
        for node in nodes:
            monitors[node].wait_for("established", id=number)
        peers.reset(pair.client)
        for node in nodes:
            monitors[node].wait_for("reset", id=number)
        pair, number = self.session()
        self.cli("session", "kill", number, agent="fw1")
        monitors["fw1"].wait_for("killed", id=number)
        self.listen().close()
        with self.assertRaises(ConnectionRefusedError):
            peers.connect(self.lab.netns("client"), self.lab.address("server"), 80)
        monitors["client"].wait_for("refused")

    def test_monitor_command(self):
        """`dysco monitor` prints an event a line as they come."""
        for words in (["monitor"], ["--json", "monitor"]):
            with subprocess.Popen([topology.DYSCO, "-s", self.lab.socket_path("client"), *words], stdout=subprocess.PIPE, text=True) as process:
                try:
                    os.set_blocking(process.stdout.fileno(), False)
                    printed = []

                    def started():
                        self.session()[0].close()
                        printed.extend(process.stdout.readlines())
                        return "session_started" in "".join(printed)

                    peers.eventually(started, lambda: f"printed: {printed}")
                finally:
                    process.terminate()
            if "--json" in words:
                for line in printed:
                    self.assertIn("event", json.loads(line))

    def test_exit_codes(self):
        self.cli("policy", "frobnicate", code=USAGE)
        self.cli("session", "show", code=USAGE)
        self.cli("--nonsense", code=USAGE)
        code, out, err = self.lab.cli("client", "help")
        self.assertEqual((code, err), (DONE, ""))
        self.assertIn("policy test", out)
        for words in (["status"], ["--json", "status"], ["session", "list"], ["monitor"]):
            done = subprocess.run([topology.DYSCO, "-s", "/run/dysco-nowhere.sock", *words], capture_output=True, text=True, check=False, timeout=60)
            self.assertEqual(done.returncode, NO_AGENT, words)
            self.assertIn("/run/dysco-nowhere.sock", done.stdout + done.stderr)

    def test_version(self):
        self.assertRegex(self.cli("version"), r"\d+\.\d+\.\d+")

    def test_log(self):
        self.cli("log", "debug", agent="fw3")
        self.cli("log", "info", agent="fw3")
        self.assertEqual(self.json("log", "shout", agent="fw3", code=REFUSED)["error"]["code"], "bad_value")

    def test_no_such_state(self):
        self.assertEqual(self.json("session", "list", "state", "dead", agent="fw3")["sessions"], [])
        refused = self.json("session", "list", "state", "asleep", agent="fw3", code=REFUSED)["error"]
        self.assertEqual((refused["code"], "half_closed" in refused["hint"]), ("bad_value", True))

    def test_long_lines(self):
        """The agent refuses what is longer than a line may be, and goes on."""
        for size in (16 << 10, 64 << 10, 1 << 20):
            with self.subTest(size=size):
                try:
                    self.lab.ask("fw3", "policy add x filter " + "a" * size)
                except (topology.Refused, ConnectionResetError, BrokenPipeError, ValueError):
                    pass
                else:
                    self.fail("accepted")
        self.json("status", agent="fw3")

    def test_completion_with_an_agent(self):
        """bash offers the names that the agent knows."""
        script = f"""
            source {topology.TOP}/scripts/dysco.bash-completion
            dysco() {{ command {topology.DYSCO} -s {self.lab.socket_path('client')} "$@"; }}
            offer() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${{#COMP_LINE}}; COMPREPLY=(); _dysco dysco "${{@: -1}}"; echo "${{COMPREPLY[*]}}"; }}
            offer dysco pol
            offer dysco policy re
        """
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
        first, second = done.stdout.splitlines()
        self.assertIn("policy", first.split(), done.stderr)
        self.assertLessEqual({"remove", "replace"}, set(second.split()))


class Manuals(unittest.TestCase):
    def test_pages_render(self):
        pages = glob.glob(os.path.join(topology.BUILD, "man", "*.[1-9]"))
        self.assertGreaterEqual({os.path.basename(p) for p in pages}, {"dysco.1", "dysco.conf.5"})
        for page in pages:
            with self.subTest(page=os.path.basename(page)), open(page, encoding="utf-8") as file:
                text = file.read()
                self.assertTrue(re.search(r"^\.SH NAME", text, re.M))
                self.assertNotIn("\t*", text)
