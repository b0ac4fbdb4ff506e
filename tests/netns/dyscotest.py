# SPDX-License-Identifier: BSD-2-Clause
"""What the tests in network namespaces share, and the runner behind ./run.

A test makes labs (topology.Lab, or FileLab for a lab file with variables);
their names end in the process id, so that whatever a test leaves behind can be
told apart from the labs of others. The runner prints a line a test, collects
diagnostics the moment one fails, and fails the class that leaves something.
"""
import contextlib
import glob
import hashlib
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

import peers
import topology

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(topology.TOP, "lab", "examples")
LINES_KEPT = 60  # of tracebacks of one test
RESULTS = os.environ.get("DYSCO_TEST_RESULTS", os.path.join(topology.BUILD, "netns-failures"))


def dysco(*arguments, timeout=120):
    """`dysco ARGUMENTS`; a CompletedProcess, whatever the exit code is."""
    return subprocess.run([topology.DYSCO, *arguments], capture_output=True, text=True, check=False, timeout=timeout, env=dict(os.environ, DYSCO_DYSCOD=topology.DYSCOD))


def lab_name(name):
    return f"{name}-{os.getpid()}"


def example(name):
    return os.path.join(EXAMPLES, name)


class FileLab(topology.Lab):
    """A lab file, with values for its variables, and lines added at its end."""

    def __init__(self, path, name, extra="", **values):
        self.name = lab_name(name)
        self.dir = f"/run/dysco-lab/{self.name}"
        self.restarted = []
        settings = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        with open(path, encoding="utf-8") as file:
            text = file.read() + extra
        with tempfile.NamedTemporaryFile("w", suffix=".lab") as file:
            file.write(text)
            file.flush()
            self._lab("up", file.name, "--name", self.name, *settings)


NGINX = """
file nginx.conf "user root;" "daemon off;" "pid nginx.pid;" "error_log stderr;" "events {}" \\
	"http { access_log off; server { listen 80; listen [::]:80; root www; } }"
run server mkdir www
run server dd if=/dev/urandom of=www/file bs=1M count=4 status=none
daemon server nginx -p . -c nginx.conf
ready server tcp 80
"""


def served_digest(lab):
    """Digest of the file that NGINX serves."""
    with open(f"{lab.dir}/www/file", "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def download(lab, node, address, path="/file"):
    """What curl in this node fetches; digest of the body."""
    host = f"[{address}]" if ":" in address else address
    done = subprocess.run(["ip", "netns", "exec", lab.netns(node), "curl", "-sS", "-g", "--max-time", "30", f"http://{host}{path}"], capture_output=True, check=False, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"curl {host}{path}: exit {done.returncode}: {done.stderr.decode(errors='replace')}")
    return hashlib.sha256(done.stdout).hexdigest()


def iptables_counters(lab, node, version):
    """(packets to the server, packets back): the first two rules of FORWARD."""
    tool = "iptables" if version == 4 else "ip6tables"
    rules = lab.run(node, tool, "-vnxL", "FORWARD").splitlines()[2:4]
    return tuple(int(rule.split()[0]) for rule in rules)


class Capture:
    """tcpdump on an interface of a node; lines() while it runs and after."""

    def __init__(self, lab, node, interface, expression):
        # pylint: disable=consider-using-with
        # -s: in immediate mode every packet takes a buffer of the longest one
        self.output = tempfile.NamedTemporaryFile("w+", encoding="utf-8")
        self.errors = tempfile.NamedTemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", lab.netns(node), "tcpdump", "-l", "-n", "-s", "256", "-B", "8192", "--immediate-mode", "-i", interface, *expression.split()],
            stdout=self.output, stderr=self.errors)
        peers.eventually(self._captures, lambda: f"tcpdump does not start: {self._read(self.errors)}")

    @staticmethod
    def _read(file):
        with open(file.name, encoding="utf-8") as again:
            return again.read()

    def _captures(self):
        return "listening on" in self._read(self.errors) or self.process.poll() is not None

    def lines(self):
        return self._read(self.output).splitlines()

    def wait_for(self, pattern):
        """The first line that matches, bounded."""
        return peers.eventually(lambda: next((line for line in self.lines() if re.search(pattern, line)), None),
                                lambda: f"tcpdump saw no {pattern}: {self.lines()[:20]}")

    def close(self):
        self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(peers.TIMEOUT)
        self.process.kill()
        self.process.wait()
        self.output.close()
        self.errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- what a test may leave behind, and what is kept of a failure ----

OWNER = os.getpid()  # the runner; its guard, a fork, cleans up after it


def leftovers():
    """Namespaces, folders and pins of this process's labs."""
    end = f"-{OWNER}"
    found = [f"namespace {name}" for name in os.listdir("/run/netns") if name.startswith("dysco-") and end + "-" in name + "-"] if os.path.isdir("/run/netns") else []
    found += [path for root in ("/run/dysco-lab", "/sys/fs/bpf/dysco-lab") for path in glob.glob(f"{root}/*{end}")]
    return found


def _remove_once():
    for path in glob.glob(f"/run/dysco-lab/*-{OWNER}"):
        dysco("lab", "down", os.path.basename(path))
    return not leftovers()


def remove_leftovers():
    """Waits for an `up` that is still under way: it refuses a `down` meanwhile."""
    with contextlib.suppress(AssertionError):
        peers.eventually(_remove_once, "leftovers stay", 180)


def _save(path, command):
    with contextlib.suppress(OSError, subprocess.TimeoutExpired), open(path, "wb") as file:
        subprocess.run(command, stdout=file, stderr=file, check=False, timeout=20)


def _diagnose_lab(path, out):
    os.makedirs(out, exist_ok=True)
    for log in glob.glob(f"{path}/log/*.log"):
        shutil.copy(log, out)
    for agent in glob.glob(f"{path}/agents/*"):
        name = os.path.basename(agent)
        for file in ("log", "dysco.conf"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(f"{agent}/{file}", f"{out}/{name}.{file}")
        for words in ("status", "session list", "policy list", "stats"):
            _save(f"{out}/{name}.{words.replace(' ', '-')}.json", [topology.DYSCO, "--json", "-s", f"{agent}/dysco.sock", *words.split()])
    with contextlib.suppress(FileNotFoundError), open(f"{path}/netns", encoding="utf-8") as file:
        for netns in file.read().split():
            script = "ip address; ip route; ip -6 route; ss -tan; nstat -az; nft list ruleset; for i in $(ls /sys/class/net); do tc -s filter show dev $i ingress; tc -s filter show dev $i egress; done"
            _save(f"{out}/{netns}.txt", ["ip", "netns", "exec", netns, "sh", "-c", script])


def diagnose(test_id):
    """Keeps what the labs of this process show now; returns the folder, None without labs."""
    labs = glob.glob(f"/run/dysco-lab/*-{os.getpid()}")
    out = os.path.join(RESULTS, re.sub(r"[^\w.-]+", "_", test_id))
    for path in labs:
        _diagnose_lab(path, os.path.join(out, os.path.basename(path)))
    return out if labs else None


# ---- the runner ----

class Result(unittest.TestResult):
    """Prints a line a test; a test fails once, however much of it does."""

    def __init__(self):
        super().__init__()
        self.passed = self.failed = 0
        self.started, self.reasons = {}, {}

    def startTest(self, test):
        super().startTest(test)
        self.started[test.id()] = time.monotonic()

    def _failure(self, test, error):
        first = test.id() not in self.reasons
        reason = traceback.format_exception_only(*error[:2])[0].splitlines()[0]
        self.reasons.setdefault(test.id(), [reason]).append("".join(traceback.format_exception(*error)))
        kept = diagnose(test.id()) if first else None
        if kept:
            self.reasons[test.id()].append(f"diagnostics: {kept}\n")
        if test.id() not in self.started:  # setUpClass and the like
            self.report(test.id())

    def addError(self, test, err):
        self._failure(test, err)

    def addFailure(self, test, err):
        self._failure(test, err)

    def addSubTest(self, test, subtest, err):
        if err:
            self._failure(test, (err[0], AssertionError(f"{subtest._subDescription()}: {err[1]}"), err[2]))

    def stopTest(self, test):
        super().stopTest(test)
        self.report(test.id())

    def report(self, name):
        seconds = time.monotonic() - self.started.pop(name, time.monotonic())
        texts = self.reasons.pop(name, None)
        if not texts:
            self.passed += 1
            print(f"ok    {seconds:6.1f} s  {name}", flush=True)
            return
        self.failed += 1
        print(f"FAIL  {seconds:6.1f} s  {name}: {texts[0][:300]}\n    " + "    ".join("".join(texts[1:]).splitlines(True)[:LINES_KEPT]), flush=True)

    def left_behind(self, name):
        """After a class: what is still there fails it, and is removed."""
        found = leftovers()
        if found:
            self.reasons[f"{name} leaves nothing behind"] = ["left behind: " + ", ".join(found) + "\n"]
            self.report(f"{name} leaves nothing behind")
            remove_leftovers()


def _classes(module, pattern):
    """Suites, one a class, of the tests that match."""
    for suite in unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(module)):
        chosen = [test for test in suite if pattern in test.id()]
        if chosen:
            yield type(chosen[0]), unittest.TestSuite(chosen)


def _run_module(module, pattern, result):
    try:
        for kind, suite in _classes(module, pattern):
            suite.run(result)
            result.left_behind(f"{kind.__module__}.{kind.__qualname__}")
    except (ImportError, SyntaxError) as error:
        result.reasons[module] = [f"{type(error).__name__}: {error}", traceback.format_exc()]
        result.report(module)


def _stop(_number, _frame):
    """The only exception that unittest lets through: clean-up happens on its way."""
    raise KeyboardInterrupt


def _guard():
    """A process that outlives a killed runner, and takes its labs down."""
    alive, held = os.pipe()
    if os.fork() != 0:
        os.close(alive)
        return
    os.setsid()
    os.close(held)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    silence = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # nobody waits for our end of a pipe
        os.dup2(silence, standard)
    os.read(alive, 1)  # ends when the runner has: only it holds the other end
    remove_leftovers()
    os._exit(0)


def main(arguments):
    """run [-k PATTERN] [FILE...] | --list; exit code 0 when all passed."""
    pattern = ""
    everything = sorted(glob.glob(os.path.join(HERE, "test_*.py")))
    if arguments == ["--list"]:
        print(*map(os.path.basename, everything))
        return 0
    if arguments[:1] == ["-k"] and len(arguments) > 1:
        pattern, arguments = arguments[1], arguments[2:]
    if any(argument.startswith("-") for argument in arguments):
        print("usage: run [-k PATTERN] [test_FILE.py...] | --list", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("needs root: namespaces are made\n0 passed, 1 failed")
        return 1
    for program in (topology.DYSCO, topology.DYSCOD):
        if not os.access(program, os.X_OK):
            print(f"{program} is not there: build it, or set DYSCO_BUILD to the build folder\n0 passed, 1 failed")
            return 1
    modules = [os.path.basename(file).removesuffix(".py") for file in arguments or everything]
    signal.signal(signal.SIGTERM, _stop)
    _guard()
    result = Result()
    try:
        for module in modules:
            _run_module(module, pattern, result)
    except KeyboardInterrupt:
        result.failed += 1
        print("FAIL  stopped by a signal")
    finally:
        remove_leftovers()
    print(f"{result.passed} passed, {result.failed} failed")
    return 0 if result.passed and not result.failed else 1
