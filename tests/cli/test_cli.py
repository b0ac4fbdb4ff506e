#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""dysco(1) against an agent that answers what the test says: test_cli.py DYSCO"""

import json
import os
import pty
import re
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import unittest

DYSCO = None
ID = "3fa4c1d2" * 4
SESSION = {"src": "10.0.0.1:40000", "dst": "[fd00::3]:80"}


class Agent:
    """One scripted answer (bytes) to the next connection; remembers the line it was asked."""

    def __init__(self, answer):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.answer = answer
        self.lines = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, client.makefile() as stream:
                self.lines.append(stream.readline())
                client.sendall(self.answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.listener.close()
        self.folder.cleanup()


def dysco(*words, sock="/nonexistent/dysco.sock"):
    return subprocess.run([DYSCO, "-s", sock, *words], capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL)


def ask(answer, *words):
    """What dysco says and what the agent was asked, when it answers this document."""
    with Agent(json.dumps(answer).encode() + b"\n") as agent:
        return dysco(*words, sock=agent.path), agent.lines


def leg(side, src, dst, state="established"):
    return {"side": side, "mode": "fast", "host_tuple": SESSION, "state": state,
            "wire_tuple": {"src": src, "dst": dst}, "packets_out": 12, "bytes_out": 2100,
            "packets_in": 900, "bytes_in": 1234567, "last_out_s": 0.5, "last_in_s": 3.5}


def hop(number, host, address, left=None, right=None, answered=True):
    return {"hop": number, "agent": "a" + host, "host": host, "answered": answered,
            "address": address, "rtt_us": 85.0 if number else None, "left": left, "right": right}


class Usage(unittest.TestCase):
    def test_nearest_command_is_suggested(self):
        said = dysco("polcy", "list")
        self.assertEqual(said.returncode, 2)
        self.assertIn("did you mean 'dysco policy list'?", said.stderr)

    def test_group_lists_its_commands(self):
        said = dysco("policy")
        self.assertEqual(said.returncode, 2)
        self.assertIn("add, replace, remove, test", said.stderr)

    def test_missing_words_show_usage(self):
        said = dysco("policy", "remove")
        self.assertEqual(said.returncode, 2)
        self.assertIn("usage: dysco policy remove NAME", said.stderr)

    def test_unknown_option(self):
        self.assertEqual(dysco("--frobnicate", "status").returncode, 2)

    def test_nothing_is_usage(self):
        self.assertEqual(dysco().returncode, 2)

    def test_help_names_every_group(self):
        said = dysco("help")
        self.assertEqual(said.returncode, 0)
        for word in ("attach", "policy test", "session trace", "doctor", "lab", "keygen"):
            self.assertIn("  " + word, said.stdout)


class Socket(unittest.TestCase):
    def test_no_agent(self):
        said = dysco("status")
        self.assertEqual(said.returncode, 3)
        self.assertIn("is dyscod running?", said.stderr)
        self.assertEqual(said.stdout, "")

    def test_no_agent_json(self):
        said = dysco("--json", "status")
        self.assertEqual(said.returncode, 3)
        self.assertEqual(json.loads(said.stdout)["error"]["code"], "no_agent")

    def test_words_arrive_as_they_were_typed(self):
        _, lines = ask({}, "policy", "add", "web", "via", "a b", "filter",
                       "tcp port (80 or 443)", "and", "not", r"ip proto \udp", '"', "#x")
        self.assertEqual(len(lines), 1)
        self.assertTrue(lines[0].startswith("policy add web via "))
        self.assertTrue(lines[0].endswith("\n"))
        quoted = lines[0].rstrip("\n").split("filter ", 1)[1]
        self.assertIn('"tcp port (80 or 443)"', quoted)
        self.assertIn(r'\\udp', quoted)
        self.assertNotIn(" #x", quoted)

    def test_newline_cannot_end_the_line(self):
        _, lines = ask({}, "box", "remove", "a\nbox list")
        self.assertEqual(len(lines), 1)
        self.assertIn("box list", lines[0])

    def test_json_is_the_agents(self):
        answer = {"policies": [{"name": "web", "x": [1, 2.5, None, "é"]}]}
        said, _ = ask(answer, "policy", "list", "--json")
        self.assertEqual(json.loads(said.stdout), answer)
        self.assertEqual(said.stdout.count("\n"), 1)

    def test_refusal(self):
        refusal = {"error": {"code": "unknown_box", "message": "box 'x' is not known",
                             "hint": "dysco box add x ADDRESS"}}
        said, _ = ask(refusal, "box", "remove", "x")
        self.assertEqual(said.returncode, 1)
        self.assertIn("box 'x' is not known", said.stderr)
        self.assertIn("try: dysco box add x ADDRESS", said.stderr)
        said, _ = ask(refusal, "box", "remove", "x", "--json")
        self.assertEqual((said.returncode, json.loads(said.stdout)), (1, refusal))

    def test_answers_that_are_none(self):
        for answer in (b"", b"\n", b"{\n", b'{"a": 1', b"not json\n", b"\xff\xfe\n", b"{}\0\n"):
            with self.subTest(answer), Agent(answer) as agent:
                said = dysco("status", sock=agent.path)
                self.assertEqual(said.returncode, 3, said)
                self.assertTrue(said.stderr.startswith("dysco: "))

    def test_answer_without_the_members(self):
        for words in (["status"], ["policy", "list"], ["policy", "test", "a", "b"], ["stats"],
                      ["session", "list"], ["session", "show", "x"], ["session", "why", "x"],
                      ["box", "list"], ["type", "list"], ["session", "kill", "x"]):
            with self.subTest(words):
                said, _ = ask({}, *words)
                self.assertEqual(said.returncode, 0, said)

    def test_monitor_prints_a_line_an_event_until_the_agent_goes(self):
        event = {"time": "2026-01-02T10:11:12.123456Z", "id": ID, "session": SESSION,
                 "host": "client", "policy": "web", "reason": None}
        document = b"".join(json.dumps(dict(event, event=name)).encode() + b"\n"
                            for name in ("session_started", "established", "reset"))
        with Agent(document) as agent:
            said = dysco("monitor", sock=agent.path)
        self.assertEqual(said.returncode, 3)
        lines = said.stdout.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[1], "10:11:12.123  established      3fa4c1d2  "
                         "10.0.0.1:40000 -> [fd00::3]:80  host client  policy web")


class Pictures(unittest.TestCase):
    HOPS = [hop(0, "client", "10.0.0.1", right=leg("right", "10.0.0.1:61000", "10.0.1.1:64000")),
            hop(1, "fw", "10.0.1.1", left=leg("left", "10.0.1.1:64000", "10.0.0.1:61000"),
                right=leg("right", "10.0.1.1:61001", "10.0.2.1:64001", "half_closed")),
            hop(2, "server", "10.0.2.1", left=leg("left", "10.0.2.1:64001", "10.9.9.9:1024"))]

    def trace(self, hops, complete):
        return {"id": ID, "session": SESSION, "hops": hops, "complete": complete}

    def test_trace(self):
        said, _ = ask(self.trace(self.HOPS, True), "session", "trace", "3fa4")
        self.assertEqual(said.returncode, 0)
        lines = [line.strip() for line in said.stdout.splitlines()]
        self.assertEqual(lines[1:4], ["0  client  10.0.0.1  agent aclient",
                                      "|  10.0.0.1:61000 -> 10.0.1.1:64000  established",
                                      "|  down 12 packets, 2.1 kB   up 900 packets, 1.2 MB"])
        self.assertEqual(lines[4], "1  fw  10.0.1.1  agent afw  85 us")
        self.assertIn("|  changed on the way; arrives as 10.9.9.9:1024 -> 10.0.2.1:64001", lines)
        self.assertEqual(said.stdout.count("changed on the way"), 1)

    def test_silent_hop_is_a_finding_in_either_output(self):
        hops = self.HOPS[:1] + [hop(1, "", "10.0.1.1", answered=False)]
        for option in ([], ["--json"]):
            said, _ = ask(self.trace(hops, False), "session", "trace", "3fa4", *option)
            self.assertEqual(said.returncode, 4)
            self.assertIn("10.0.1.1", said.stdout)

    def test_forecast_of_a_drop_is_a_finding(self):
        for verdict, code in (("chain", 0), ("plain", 0), ("bypass", 0), ("drop", 4)):
            for option in ([], ["--json"]):
                said, _ = ask({"session": SESSION, "verdict": verdict, "hops": ["10.0.1.1"]},
                              "policy", "test", "a", "b", *option)
                self.assertEqual(said.returncode, code, verdict)
                self.assertIn(verdict, said.stdout)

    def test_columns_are_aligned(self):
        boxes = [{"name": name, "addresses": ["10.0.0.1"], "sessions": 1}
                 for name in ("a", "a-long-name")]
        said, _ = ask({"boxes": boxes}, "box", "list")
        self.assertEqual({line.index(" 1") for line in said.stdout.splitlines()[1:]},
                         {said.stdout.splitlines()[0].index("ADDRESSES") - 1})

    def test_zero_counts_only_on_request(self):
        stats = {"counters": {"fast_out": 7, "bypass": 0},
                 "drops": [{"number": 3, "name": "no_agent", "count": 2, "text": "t"},
                           {"number": 4, "name": "msg_truncated", "count": 0, "text": "u"}]}
        short, _ = ask(stats, "stats")
        whole, _ = ask(stats, "stats", "--all")
        self.assertIn("no_agent", short.stdout)
        for name in ("bypass", "msg_truncated"):
            self.assertNotIn(name, short.stdout)
            self.assertIn(name, whole.stdout)

    def on_a_terminal(self, environment):
        """stdout of `box list` as a terminal gets it"""
        with Agent(json.dumps({"boxes": [{"name": "a"}]}).encode() + b"\n") as agent:
            master, slave = pty.openpty()
            subprocess.run([DYSCO, "-s", agent.path, "box", "list"], stdout=slave, check=True,
                           env=dict(os.environ, TERM="xterm", **environment), timeout=60)
            os.close(slave)
            said = os.read(master, 4096)
            os.close(master)
            return said

    def test_colours_on_a_terminal_only(self):
        self.assertIn(b"\033[", self.on_a_terminal({"NO_COLOR": ""}))
        self.assertNotIn(b"\033[", self.on_a_terminal({"NO_COLOR": "1"}))
        said, _ = ask({"boxes": [{"name": "a"}]}, "box", "list")
        self.assertNotIn("\033[", said.stdout)


class Here(unittest.TestCase):
    def test_keygen(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "key")
            self.assertEqual(dysco("keygen", path).returncode, 0)
            with open(path, encoding="ascii") as file:
                key = file.read()
            self.assertRegex(key, r"\A[0-9a-f]{64}\n\Z")
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            self.assertEqual(dysco("keygen", path).returncode, 5)
            with open(path, encoding="ascii") as file:
                self.assertEqual(file.read(), key)
        self.assertNotEqual(dysco("keygen").stdout, dysco("keygen").stdout)

    def test_doctor_without_an_agent_names_it(self):
        said = dysco("doctor", "--json")
        checks = json.loads(said.stdout)
        self.assertEqual(said.returncode, 4)
        agent = [check for check in checks["checks"] if check["check"] == "agent"]
        self.assertEqual(agent[0]["result"], "error")
        self.assertTrue(agent[0]["mend"])
        self.assertGreaterEqual(checks["findings"], 1)

    def test_doctor_on_an_interface_that_is_not_there(self):
        said = dysco("doctor", "nosuchif0", "--json")
        found = [check for check in json.loads(said.stdout)["checks"]
                 if check["where"] == "nosuchif0" and check["result"] == "error"]
        self.assertEqual([check["check"] for check in found], ["interface"])

    def test_lab_gets_its_words_and_options(self):
        said = dysco("--json", "lab", "list", "--all")
        self.assertEqual(said.returncode, 2)
        self.assertIn("dysco lab list\n", said.stderr)
        self.assertEqual(dysco("lab", "show", "/nonexistent.lab").returncode, 1)

    def test_version(self):
        said = dysco("version")
        self.assertTrue(re.match(r"dysco \d+\.\d+\.\d+\n$", said.stdout), said.stdout)


class Completion(unittest.TestCase):
    SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts",
                          "dysco.bash-completion")
    COMPLETE = '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dysco; printf "%s\\n" "${COMPREPLY[@]}"'

    def complete(self, *words, answer=None):
        """What is offered for the last word, when the agent gives this answer."""
        with tempfile.TemporaryDirectory() as folder, \
                Agent(json.dumps(answer or {}).encode() + b"\n") as agent:
            os.symlink(os.path.abspath(DYSCO), os.path.join(folder, "dysco"))
            environment = dict(os.environ, DYSCO_SOCKET=agent.path,
                               PATH=folder + ":" + os.environ["PATH"])
            said = subprocess.run(["bash", "-c", self.COMPLETE, self.SCRIPT, "dysco", *words],
                                  capture_output=True, text=True, env=environment, timeout=60,
                                  check=True, stdin=subprocess.DEVNULL)
            return set(said.stdout.split())

    def test_commands(self):
        self.assertLessEqual({"status", "policy", "session", "doctor"}, self.complete(""))
        self.assertEqual(self.complete("sess"), {"session"})
        self.assertEqual(self.complete("policy", ""), {"list", "add", "replace", "remove", "test"})
        self.assertEqual(self.complete("--json", "session", "tr"), {"trace"})

    def test_names_come_from_the_agent(self):
        policies = {"policies": [{"name": "web"}, {"name": "mail"}]}
        self.assertEqual(self.complete("policy", "remove", "", answer=policies), {"web", "mail"})
        self.assertEqual(self.complete("policy", "remove", "m", answer=policies), {"mail"})
        sessions = {"sessions": [{"id": ID, "session": SESSION}], "total": 1}
        self.assertEqual(self.complete("session", "trace", "", answer=sessions), {ID[:8]})
        hosts = {"hosts": [{"name": "client", "addresses": ["10.0.0.1"]}]}
        self.assertEqual(self.complete("policy", "add", "x", "at", "", answer=hosts), {"client"})

    def test_no_agent_no_names(self):
        self.assertEqual(self.complete("box", "remove", "", answer={"boxes": []}), set())


if __name__ == "__main__":
    DYSCO = sys.argv.pop(1)
    unittest.main()
