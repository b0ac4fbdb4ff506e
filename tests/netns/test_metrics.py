# SPDX-License-Identifier: BSD-2-Clause
"""What the agent tells of itself: metrics for Prometheus, phases of reconfigurations."""
import os
import re
import shutil
import subprocess
import unittest

import peers
from cases import OnStar

PORT = 9469
UNIX = "metrics.sock"
PHASES = ["requesting", "setting_up", "proving", "cutting", "two_paths", "done", "releasing"]
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
TYPES = ("counter", "gauge", "histogram")


class Metrics:
    """The text format 0.0.4, strictly: what is not as it says fails."""

    def __init__(self, text):
        self.values, self.types, self.family = {}, {}, None
        if not text.endswith("\n"):
            raise AssertionError("the last line does not end")
        helped = None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                _, _, helped, words = line.split(" ", 3)
                if helped in self.types or not words.strip():
                    raise AssertionError(f"twice, or no help: {line}")
            elif line.startswith("# TYPE "):
                _, _, self.family, kind = line.split(" ")
                if self.family != helped or kind not in TYPES:
                    raise AssertionError(line)
                self.types[self.family] = kind
            else:
                self.sample(line)
        self.check_histograms()

    def sample(self, line):
        match = SAMPLE.fullmatch(line)
        if not match:
            raise AssertionError(f"not a sample: {line!r}")
        name, value = match[1], float(match.groups()[-1])
        labels = tuple(sorted(re.findall(LABEL, match[2] or "")))
        kind = self.types[self.family]
        if name not in ([self.family + end for end in ("_bucket", "_sum", "_count")] if kind == "histogram" else [self.family]):
            raise AssertionError(f"{line!r} stands below {self.family}")
        if (kind == "counter") != name.endswith("_total") and kind != "histogram":
            raise AssertionError(f"{kind} {name}")
        if (name, labels) in self.values or len(dict(labels)) != len(labels) or (kind != "gauge" and value < 0):
            raise AssertionError(f"twice, or negative: {line!r}")
        self.values[name, labels] = value

    def check_histograms(self):
        """Buckets grow, and the last holds all."""
        series = {}
        for (name, labels), value in self.values.items():
            if name.endswith("_bucket"):
                rest = tuple(label for label in labels if label[0] != "le")
                series.setdefault((name.removesuffix("_bucket"), rest), []).append((float(dict(labels)["le"]), value))
        for (name, labels), buckets in series.items():
            values = [value for _, value in sorted(buckets)]
            if values != sorted(values) or buckets[-1][0] != float("inf") or values[-1] != self.values[name + "_count", labels]:
                raise AssertionError(f"{name} {labels}: {buckets}")

    def get(self, name, **labels):
        return self.values.get((name, tuple(sorted(labels.items()))))

    def total(self, name, **labels):
        return sum(value for (n, all_labels), value in self.values.items() if n == name and labels.items() <= dict(all_labels).items())


class Told(OnStar):
    boxes = 2
    config = ("timeout linger 1",)
    policies = ("via fw1 filter tcp dst port 80",)

    def metrics(self, agent="client"):
        code, text, error = self.lab.cli(agent, "metrics")
        self.assertEqual((code, error), (0, ""))
        return Metrics(text)

    def named_pair(self):
        pair = self.pair(self.listen())
        pair.ping()
        return pair, f"{peers.endpoint(pair.client)} {peers.peer_endpoint(pair.client)}"

    def test_text(self):
        pair, _ = self.named_pair()
        m = self.metrics()
        self.assertEqual(m.total("dysco_build_info", agent="client"), 1)
        self.assertEqual(m.get("dysco_attachment_up", interface="eth0", netns="", host="client", mode="nic"), 1)
        self.assertEqual(m.get("dysco_sessions", state="established"), 1)
        self.assertEqual(m.get("dysco_policy_sessions", policy="p0"), 1)
        self.assertEqual(m.get("dysco_box_sessions", box="fw1"), 1)
        self.assertGreater(m.get("dysco_start_time_seconds"), 1.6e9)
        stats = self.ask("stats")
        names = {labels[0][1] for name, labels in m.values if name == "dysco_drops_total"}
        self.assertEqual(names | {"none"}, {drop["name"] for drop in stats["drops"]})
        for name in stats["counters"]:
            self.assertIsNotNone(m.get(f"dysco_{name}_total"), name)
        pair.close()
        self.lab.nothing_left()

    @unittest.skipUnless(shutil.which("promtool"), "needs promtool")
    def test_promtool(self):
        done = subprocess.run(["promtool", "check", "metrics"], input=self.lab.cli("client", "metrics")[1], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_changes(self):
        """Completed, refused, and given up: counts, causes, phases; monitor and session show agree."""
        pair, name = self.named_pair()
        with self.lab.monitor("client") as monitor:
            self.ask(f"session insert {name} fw2")
            seen = [monitor.wait_for("reconfig_phase", host="client")["attempt"]["state"] for _ in PHASES]
            self.assertEqual(seen, PHASES)
            done = monitor.wait_for("reconfig_phase")["attempt"]
            self.assertEqual((done["state"], done["result"], done["part"], done["change"]), ("over", "completed", "left anchor", "insert"))
        last = self.ask(f"session show {name}")["sessions"][0]
        self.assertIsNone(last["attempt"])
        self.assertEqual({k: v for k, v in last["last_attempt"].items()}, done)
        self.assertEqual([p["phase"] for p in done["phases"]], PHASES)
        self.assertAlmostEqual(sum(p["us"] for p in done["phases"]), done["age_s"] * 1e6, delta=1)
        self.assertIn("insert as left anchor, done in", self.lab.cli("client", "session", "show", *name.split())[1])
        self.ask(f"session remove {name} fw2")
        self.lab.ask("fw1", f"session thaw {name}")
        with self.lab.monitor("client") as monitor:
            self.refused(f"session remove {name} fw1", "not_reconfigured", "not_ready")
            failed = monitor.wait_for("reconfig_failed")
            self.assertEqual((failed["reason"], failed["attempt"]["failed_in"], failed["attempt"]["cause"]), ("not_ready", "requesting", "not_ready"))
        self.lab.ask("fw1", f"session freeze {name}")
        self.lab.ask("fw1", f"session remove {name} self")
        m = self.metrics()
        for change in ("insert", "remove"):
            self.assertEqual(m.get("dysco_reconfigurations_total", part="left", change=change, result="completed", cause="none"), {"insert": 1, "remove": 2}[change])
        self.assertEqual(m.get("dysco_reconfigurations_total", part="left", change="remove", result="failed", cause="not_ready"), 1)
        self.assertEqual(m.get("dysco_reconfiguration_seconds_count", change="remove"), 2)
        self.assertEqual(m.get("dysco_reconfiguration_phase_seconds_count", phase="requesting"), 4)
        self.assertEqual(m.get("dysco_reconfiguration_phase_seconds_count", phase="two_paths"), 3)
        self.assertEqual(m.total("dysco_reconfigurations_running"), 0)
        box = self.metrics("fw1")
        self.assertEqual(box.get("dysco_reconfigurations_total", part="box", change="remove", result="completed", cause="none"), 1)
        self.assertEqual(box.total("dysco_reconfigurations_total", part="right", result="completed"), 2)
        self.assertEqual(self.metrics("server").total("dysco_reconfigurations_total", part="right", result="completed"), 1)
        pair.close()
        self.lab.nothing_left()


class Served(OnStar):
    """Over HTTP: off unless the configuration wants it; loopback, or a unix socket."""

    boxes = 1
    policies = ()
    extra = (f"dysco client metrics listen 127.0.0.1:{PORT}", f"dysco server metrics listen /run/{UNIX}-{os.getpid()}")

    def fetch(self, node, *words):
        return self.lab.run(node, "curl", "-sS", "-g", "--max-time", "20", *words)

    def test_http(self):
        url = f"http://127.0.0.1:{PORT}"
        m = Metrics(self.fetch("client", f"{url}/metrics"))
        self.assertEqual(m.total("dysco_build_info", agent="client"), 1)
        head = self.fetch("client", "-I", f"{url}/metrics").lower()
        self.assertIn("200 ok", head)
        self.assertIn("content-type: text/plain; version=0.0.4", head)
        for words, code in ((("-X", "POST", "-d", "a=b", f"{url}/metrics"), "405"), ((f"{url}/",), "404"), ((f"{url}/metrics/../etc",), "404")):
            self.assertEqual(self.fetch("client", "-o", "/dev/null", "-w", "%{http_code}", *words), code)

    def test_unix_socket(self):
        path = f"/run/{UNIX}-{os.getpid()}"
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o660)
        self.assertEqual(Metrics(self.fetch("server", "--unix-socket", path, "http://agent/metrics")).total("dysco_build_info", agent="server"), 1)

    def test_rude_clients(self):
        """Nonsense, silence and too many clients: the agent goes on."""
        held = []
        for i in range(30):
            s = peers.tcp(self.lab.netns("client"), "127.0.0.1")
            self.addCleanup(s.close)
            s.connect(("127.0.0.1", PORT))
            s.sendall((b"", b"GET", b"\0" * 1000, b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")[i % 4])
            held.append(s)
        self.assertEqual(self.ask("version"), self.ask("version"))
        for s in held:
            s.close()
        peers.eventually(lambda: "dysco_build_info" in self.lab.run("client", "curl", "-sS", "--max-time", "5", f"http://127.0.0.1:{PORT}/metrics", check=False), "no metrics any more")

    def test_off(self):
        self.assertNotIn("dyscod", self.lab.run("fw1", "ss", "-H", "-ltnp"))
