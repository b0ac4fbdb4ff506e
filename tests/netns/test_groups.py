# SPDX-License-Identifier: BSD-2-Clause
"""Chains of many sessions change at once: groups, drained boxes, policies that move, mandatory boxes.

    client --- r --- server          policy: via fw1
               |                     sessions are moved to fw2, fw3 and back
        fw1, fw2, fw3                strict firewalls, as in test_reconfig
"""
import json
import os
import signal
import threading

import peers
import test_reconfig
from test_reconfig import MEGABYTE


class Grouped(test_reconfig.Changing):
    """Each case begins with the policy p0 via fw1, and a type of the two other boxes."""

    policies = ()
    WEB = "filter tcp dst port 81"

    def setUp(self):
        super().setUp()
        self.agent = self.lab.agent_of("client")
        self.ask(f"policy add p0 at client via fw1 {self.WEB}")
        self.addCleanup(self.ask, "policy remove p0")
        self.ask("type add spare fw2 fw3")
        self.addCleanup(self.ask, "type remove spare")

    def pairs(self, n):
        listener = self.listen(81)
        return [self.pair(listener) for _ in range(n)]

    def cli(self, *words):
        """`dysco --json` at the client's agent: its answer and exit code."""
        code, out, err = self.lab.cli(self.agent, "--json", *words)
        self.assertTrue(out, err)
        return json.loads(out), code

    def job(self, *words, code=0):
        """A job, to its end; its result."""
        answer, exited = self.cli(*words, "--wait")
        self.assertEqual(exited, code, answer)
        return answer

    def job_over(self, number):
        return peers.eventually(lambda: self.is_over(number), "the job does not end")

    def is_over(self, number):
        job = self.ask(f"job show {number}")
        return job if job["state"] in ("done", "aborted") else None

    def sum_of(self, job, **counts):
        self.assertEqual({name: job[name] for name in counts}, counts, job)

    def through(self, box, version=4):
        """How many sessions leave the client towards a box."""
        return len([s for s in self.lab.sessions(self.agent, f"host client peer {self.lab.address(box, version)}") if s["state"] == "established"])

    def close(self, pairs):
        for pair in pairs:
            pair.ping()
            pair.close()
        self.lab.nothing_left()


class Groups(Grouped):
    def test_drain_under_load(self):
        """50 downloads at full rate leave fw1 for the boxes of a type, by turns."""
        pairs, answers = self.pairs(50), []
        drain = threading.Thread(target=lambda: answers.append(self.cli("box", "drain", "fw1", "--to", "spare", "--wait")))
        drain.start()
        while drain.is_alive():
            peers.pump([peers.Flow(pair.server, pair.client, MEGABYTE) for pair in pairs])
        job, code = answers[0]
        self.assertEqual(code, 0, job)
        self.sum_of(job, state="done", total=50, done=50, failed=0, skipped=0)
        self.assertEqual([self.through(box) for box in self.lab.boxes], [0, 25, 25])
        boxes = {box["name"]: box for box in self.ask("box list")["boxes"]}
        self.assertEqual([(boxes[name]["sessions"], boxes[name]["draining"]) for name in ("fw1", "fw2", "fw3")], [(0, True), (25, False), (25, False)])
        quiet = self.seen("fw1")
        peers.pump([peers.Flow(pair.server, pair.client, MEGABYTE // 10) for pair in pairs])
        self.assertEqual(self.seen("fw1"), quiet)
        self.ask("box undrain fw1")
        self.close(pairs)

    def test_draining_box_gets_no_new_sessions(self):
        self.ask("type add all fw1 fw2")
        self.ask(f"policy replace p0 at client via all {self.WEB}")
        answer, _ = self.cli("box", "drain", "fw2")
        self.assertEqual(answer["policies"], [])
        pairs = self.pairs(4)
        self.assertEqual([self.through("fw1"), self.through("fw2")], [4, 0])
        self.refused("box drain fw1", "in_use", "all", "--force")
        self.ask("box undrain fw2")
        pairs += self.pairs(2)
        self.assertEqual([self.through("fw1"), self.through("fw2")], [5, 1])
        answer = self.ask("box drain fw1")
        self.sum_of(self.job_over(answer["job"]), done=5)
        self.assertEqual(self.through("fw1"), 0)
        self.ask("box undrain fw1")
        self.ask(f"policy replace p0 at client via fw1 {self.WEB}")
        self.ask("type remove all")
        self.close(pairs)

    def test_dry_run_changes_nothing(self):
        pairs = self.pairs(3)
        before, requests = self.ask("session list")["sessions"], self.lab.counter(self.agent, "reconfigured")
        answer, code = self.cli("session", "replace", "--policy", "p0", "fw1", "spare", "--dry-run")
        self.assertEqual(code, 0)
        self.sum_of(answer, would=3, skipped=0)
        server = self.lab.address("server")
        self.assertEqual([s["from"] for s in answer["sessions"]], [[self.lab.address("fw1"), server]] * 3)
        self.assertEqual({s["to"][0] for s in answer["sessions"]}, {self.lab.address("fw2"), self.lab.address("fw3")})  # by turns
        self.sum_of(self.cli("box", "drain", "fw1", "--dry-run")[0], would=3)
        self.assertFalse(any(box["draining"] for box in self.ask("box list")["boxes"]))
        self.assertEqual([(s["id"], s["peer_right"]) for s in self.ask("session list")["sessions"]], [(s["id"], s["peer_right"]) for s in before])
        self.assertEqual(self.lab.counter(self.agent, "reconfigured"), requests)
        self.assertEqual(self.ask("job list")["jobs"], [job for job in self.ask("job list")["jobs"] if job["state"] in ("done", "aborted")])
        self.close(pairs)

    def test_selections(self):
        """By filter, policy and box; one session; sessions that are so already."""
        pairs = self.pairs(3)
        port = pairs[0].client.getsockname()[1]
        self.sum_of(self.job("session", "insert", "--filter", f"tcp src port {port}", "fw2"), total=1, done=1)
        self.assertEqual([self.through(box) for box in self.lab.boxes], [2, 1, 0])
        self.sum_of(self.job("session", "insert", "--policy", "p0", "fw2"), total=3, done=2, unchanged=1)
        self.sum_of(self.job("session", "remove", "--box", "fw2", "fw2"), total=3, done=3)
        self.sum_of(self.job("session", "remove", "--box", "fw2", "fw2"), total=0)
        self.sum_of(self.job("session", "remove", "--filter", "tcp dst port 82", "fw1"), total=0)
        self.assertEqual(self.through("fw1"), 3)
        self.close(pairs)

    def test_refusals(self):
        for words, code in (("session insert --filter fw2", "bad_filter"), ("session insert fw2 --filter", "syntax"), ("session insert --filter 'udp' fw2", "bad_filter"), ("session insert --colour red fw2", "syntax"),
                            ("session insert --policy p0 fw9", "unknown_box"), ("session remove --policy p0 fw1 --rate 0", "bad_value"), ("box drain fw9", "unknown_box"),
                            ("box drain fw1 --to fw1", "bad_value"), ("box drain fw1 fw2", "syntax"), ("job show 4711", "unknown_job"), ("job pause x", "unknown_job"),
                            ("session remove abcd fw1 --parallel 3", "syntax"), (f"policy replace p0 via fw1 existing maybe {self.WEB}", "bad_value"),
                            (f"policy replace p0 via fw1 mandatory fw2 {self.WEB}", "unknown_box")):
            self.refused(words, code)
        self.assertFalse(any(box["draining"] for box in self.ask("box list")["boxes"]))

    def test_pause_and_abort(self):
        pairs = self.pairs(8)
        number = self.ask("session replace --policy p0 fw1 fw2 --rate 1/s")["job"]
        self.ask(f"job pause {number}")
        job = peers.eventually(lambda: next((j for j in [self.ask(f"job show {number}")] if j["running"] == 0), None), "sessions do not come to an end")
        self.sum_of(job, state="paused", failed=0, skipped=0)
        self.assertGreater(job["pending"], 0)
        self.ask(f"job resume {number}")
        peers.eventually(lambda: self.ask(f"job show {number}")["done"] > job["done"], "the job does not go on")
        self.ask(f"job abort {number}")
        job = self.job_over(number)
        self.assertEqual((job["state"], job["done"] + job["skipped"] + job["failed"]), ("aborted", 8))
        self.assertIn("aborted", [cause["cause"] for cause in job["causes"]])
        self.assertEqual(self.cli("job", "show", str(number))[1], 4)
        self.assertEqual(self.through("fw1") + self.through("fw2"), 8)
        self.refused(f"job pause {number}", "unknown_job")
        self.close(pairs)

    def test_sessions_end_and_files_are_read_again_meanwhile(self):
        pairs = self.pairs(6)
        number = self.ask("box drain fw1 --to fw2 --rate 2/s")["job"]
        for pair in pairs[:3]:
            pair.close()
        os.kill(self.lab.agent_pid(self.agent), signal.SIGHUP)
        job = self.job_over(number)
        self.assertEqual((job["total"], job["done"] + job["gone"], job["failed"], job["skipped"]), (6, 6, 0, 0), job)
        self.assertGreaterEqual(job["done"], 3)
        self.assertTrue(next(box for box in self.ask("box list")["boxes"] if box["name"] == "fw1")["draining"])
        self.ask("box undrain fw1")
        self.close(pairs[3:])

    def test_agent_dies(self):
        """The job is gone, the box still drains, and nothing stays locked."""
        pairs = self.pairs(10)
        self.ask("box drain fw1 --to fw2 --rate 20/s")
        peers.eventually(lambda: self.through("fw2") > 0, "nothing is moved")
        self.lab.restart_agent(self.lab.kill_agent(self.agent))
        self.assertEqual(self.ask("job list")["jobs"], [])
        self.assertTrue(next(box for box in self.ask("box list")["boxes"] if box["name"] == "fw1")["draining"])
        job = self.job("box", "drain", "fw1", "--to", "fw2")
        self.sum_of(job, failed=0, skipped=0)
        peers.eventually(lambda: self.through("fw2") == 10, "sessions are left behind")
        self.ask("box undrain fw1")
        self.close(pairs)


class GroupsOfPorts(Groups):
    """The boxes, and both ends, are hosts of one agent."""

    mode = "port"
    test_draining_box_gets_no_new_sessions = test_dry_run_changes_nothing = test_refusals = None
    test_pause_and_abort = test_sessions_end_and_files_are_read_again_meanwhile = test_agent_dies = None


class Policies(Grouped):
    def test_move(self):
        """The sessions follow their policy, and keep their chain with `keep`."""
        pairs = self.pairs(4)
        self.assertEqual(self.ask(f"policy replace p0 at client via fw2 {self.WEB}"), {})
        self.assertEqual(self.through("fw1"), 4)
        answer = self.ask(f"policy replace p0 at client via fw3 existing move {self.WEB}")
        self.sum_of(self.job_over(answer["job"]), total=4, done=4, failed=0)
        self.assertEqual(self.through("fw3"), 4)
        answer = self.ask(f"policy add p1 at client priority 200 via spare existing move {self.WEB}")
        self.sum_of(self.job_over(answer["job"]), total=4, unchanged=4)  # fw3 is one of them
        self.assertEqual({p["name"]: p["sessions"] for p in self.ask("policy list")["policies"]}, {"p0": 0, "p1": 4})
        answer = self.ask(f"policy replace p1 at client priority 200 via fw2,fw1 existing move {self.WEB}")
        self.sum_of(self.job_over(answer["job"]), total=4, done=4, failed=0)
        name = test_reconfig.name_of(pairs[0])
        self.assertEqual(self.chain(name), ["client", "fw2", "fw1", "server"])
        answer = self.ask("policy remove p1")
        self.sum_of(self.job_over(answer["job"]), total=4, done=4, failed=0)
        self.assertEqual(self.chain(name), ["client", "fw3", "server"])
        self.close(pairs)

    def behind_first_box(self, pairs):
        """What only the first box's own agent can do is said so, and left."""
        answer = self.ask(f"policy replace p0 at client via fw1,fw2 existing move {self.WEB}")
        job = self.job_over(answer["job"])
        self.sum_of(job, total=2, skipped=2, done=0)
        self.assertEqual(job["causes"][0]["cause"], "unknown_host")
        self.assertIn(self.lab.address("fw1"), job["causes"][0]["message"])
        self.assertEqual(self.through("fw1"), 2)
        answer = self.lab.ask("fw1", "session insert --filter 'tcp dst port 81' 10.0.12.2")
        peers.eventually(lambda: self.lab.ask("fw1", f"job show {answer['job']}")["done"] == 2, "not done")
        chains = [[hop["address"] for hop in session["chain"]] for session in self.lab.ask("fw1", f"session show {test_reconfig.name_of(pairs[0])}")["sessions"]]
        self.assertEqual(chains, [[self.lab.address(node) for node in ("fw1", "fw2", "server")]])

    def test_change_behind_a_box(self):
        pairs = self.pairs(2)
        self.behind_first_box(pairs)
        self.close(pairs)

    def test_mandatory(self):
        self.ask(f"policy replace p0 at client via fw1 mandatory fw1 {self.WEB}")
        pairs = self.pairs(2)
        name = test_reconfig.name_of(pairs[0])
        self.assertTrue(self.ask(f"session show {name}")["sessions"][0]["chain"][0]["mandatory"])
        self.refused(f"session remove {name} fw1", "mandatory", self.lab.address("fw1"), "--force")
        self.refused(f"session replace {name} fw1 fw2", "mandatory")
        job = self.job("box", "drain", "fw1", code=4)
        self.sum_of(job, total=2, skipped=2)
        self.assertEqual([(cause["cause"], cause["count"]) for cause in job["causes"]], [("mandatory", 2)])
        self.ask("box undrain fw1")
        self.ask("type add pair fw1 fw2")
        self.sum_of(self.job("box", "drain", "fw1", "--to", "pair"), total=2, done=2)
        self.assertEqual(self.through("fw2"), 2)
        self.ask("box undrain fw1")
        self.refused(f"session remove {name} fw2", "mandatory")  # it took over that, too
        self.sum_of(self.job("session", "remove", "--policy", "p0", "fw2", "--force"), done=2)
        self.assertEqual(self.chain(name), ["client", "server"])
        self.ask("type remove pair")
        self.close(pairs)


class PoliciesOfPorts(Policies):
    mode = "port"

    def behind_first_box(self, pairs):
        """All hosts are one agent's, so it can make any change."""
        answer = self.ask(f"policy replace p0 at client via fw1,fw2 existing move {self.WEB}")
        self.sum_of(self.job_over(answer["job"]), total=2, done=2)
        for pair in pairs:
            self.assertEqual(self.chain(test_reconfig.name_of(pair)), ["client", "fw1", "fw2", "server"])
        answer = self.ask(f"policy replace p0 at client via fw1,fw3 existing move {self.WEB}")
        self.sum_of(self.job_over(answer["job"]), total=2, done=2)
        self.assertEqual(self.chain(test_reconfig.name_of(pairs[0])), ["client", "fw1", "fw3", "server"])
