# SPDX-License-Identifier: BSD-2-Clause
"""The topology most traffic tests stand on, and a handle on it.

    client --- r --- server          every node in a subnet of its own,
               |                     IPv4 10.0.N.2 and IPv6 fd00:N::2;
          fw1, fw2 ...               routing alone never visits a box

A Star is up from __init__ to down(). Agents, by mode:

    nic     one in each node, with a `nic` attachment
    port    one in r for all, each node beyond a `port`
    netns   one in r for all, with a `nic` attachment in each node's namespace
    away    one in a node apart, with the `port` attachments in r's namespace
"""
import contextlib
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile

import peers

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("DYSCO_BUILD", os.path.join(TOP, "build-check"))
DYSCO = os.environ.get("DYSCO", os.path.join(BUILD, "cli", "dysco"))
DYSCOD = os.environ.get("DYSCO_DYSCOD", os.path.join(BUILD, "agent", "dyscod"))


ANSWER = 70.0  # seconds: a change may take 60 (docs/socket.md)


class Refused(AssertionError):
    """The agent's error answer."""

    def __init__(self, answer):
        self.code, self.message, self.hint = answer["code"], answer["message"], answer["hint"]
        super().__init__(f"{self.code}: {self.message} ({self.hint})")


class Node:
    def __init__(self, name, number, link="", gateway=True, kind="node"):
        self.name, self.number, self.link, self.gateway, self.kind = name, number, link, gateway, kind
        self.ip4, self.ip6 = f"10.0.{number}.2", f"fd00:{number}::2"

    def address(self, version):
        return self.ip4 if version == 4 else self.ip6

    def lines(self):
        n = self.number
        gateway = f" gateway 10.0.{n}.1 fd00:{n}::1" if self.gateway else ""
        return [
            f"{self.kind} {self.name}{gateway}",
            f"link {self.name}:eth0 {self.ip4}/24 {self.ip6}/64 -- r 10.0.{n}.1/24 fd00:{n}::1/64 {self.link}",
        ]


def star_nodes(boxes=2, links=None):
    """client 1, server 2, fwI 10 + I. links: options of links by node."""
    links = links or {}
    names = [("client", 1, "node"), ("server", 2, "node")]
    names += [(f"fw{i}", 10 + i, "box") for i in range(1, boxes + 1)]
    return [Node(name, number, links.get(name, ""), kind=kind) for name, number, kind in names]


AGENT_NODE = {"port": "r", "netns": "r", "away": "apart"}  # of the agent `edge`


def attach_statement(node, mode):
    where = {"nic": "nic eth0", "port": f"port {node.name}", "netns": f"nic eth0 netns {node.name}", "away": f"port {node.name} netns r"}
    return f"attach {where[mode]} host {node.name} address {node.ip4} {node.ip6}"


def attach_line(node, mode):
    return f"dysco {node.name if mode == 'nic' else 'edge'} {attach_statement(node, mode)}"


def star_text(nodes, mode="nic", agentless=(), config=(), extra=()):
    """A lab file. config: statements of every agent; extra: lines at the end."""
    lines = ["router r"]
    for node in nodes:
        lines += node.lines()
    hosts = [node for node in nodes if node.name not in agentless]
    if mode == "nic":
        lines += [f"agent {node.name} node {node.name}" for node in hosts]
    else:
        lines += ["node apart"] if mode == "away" else []
        lines.append(f"agent edge node {AGENT_NODE[mode]}")
    lines += [attach_line(node, mode) for node in hosts]
    lines += [f"dysco * box {node.name} {node.ip4} {node.ip6}" for node in nodes if node.kind == "box"]
    lines += [f"dysco * {line}" for line in config]
    lines += extra
    return "\n".join(lines) + "\n"


class Monitor:
    """Events of an agent, from the moment it was made."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.sendall(b"monitor\n")
        self.rest, self.events = b"", []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self):
        """Waits for more events."""
        part = self.socket.recv(65536)
        if not part:
            raise AssertionError(f"the agent ended the monitor after {self.events}")
        *lines, self.rest = (self.rest + part).split(b"\n")
        self.events += [json.loads(line) for line in lines]

    def wait_for(self, event, **members):
        """The first such event, and drops it and what came before it."""
        while True:
            for i, e in enumerate(self.events):
                if e["event"] == event and all(e[name] == value for name, value in members.items()):
                    del self.events[: i + 1]
                    return e
            try:
                self.read()
            except TimeoutError:
                raise AssertionError(f"no event {event} {members}; there were {self.events}") from None


class Lab:
    """A lab that is up, its agents, and what can be asked of them."""

    def __init__(self, text, name):
        self.name = f"{name}-{os.getpid()}"
        self.dir = f"/run/dysco-lab/{self.name}"
        with tempfile.NamedTemporaryFile("w", suffix=".lab") as file:
            file.write(text)
            file.flush()
            self._lab("up", file.name, "--name", self.name)
        self.restarted = []

    @staticmethod
    def _lab(*arguments):
        done = subprocess.run([DYSCO, "lab", *arguments], capture_output=True, text=True, check=False, env=dict(os.environ, DYSCO_DYSCOD=DYSCOD))
        if done.returncode != 0:
            raise AssertionError(f"dysco lab {' '.join(arguments)}: {done.stdout}{done.stderr}")

    def down(self, quiet=True, expected=()):
        """Takes the lab down. Fails on warnings in the agents' logs, unless quiet is false.

        expected: regular expressions of warnings that the tests cause on purpose.
        """
        logs = [line for line in self.warnings() if not any(re.search(e, line) for e in expected)] if quiet else []
        for process in self.restarted:
            process.kill()
            process.wait()
        self._lab("down", self.name)
        if logs:
            raise AssertionError("warnings in the agents' logs:\n" + "\n".join(logs))

    def warnings(self):
        found = []
        for agent in os.listdir(f"{self.dir}/agents"):
            with contextlib.suppress(FileNotFoundError), open(f"{self.dir}/agents/{agent}/log", encoding="utf-8", errors="replace") as file:
                found += [f"{agent}: {line.rstrip()}" for line in file if line.startswith(("<3>", "<4>", "warning", "error"))]
        return found

    def netns(self, node):
        return f"dysco-{self.name}-{node}"

    def inside(self, node):
        return peers.inside(self.netns(node))

    def run(self, node, *command, check=True, **options):
        """A command in a node; its standard output."""
        done = subprocess.run(["ip", "netns", "exec", self.netns(node), *command], capture_output=True, text=True, check=False, timeout=60, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{node}: {' '.join(command)}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def programs(self, node, interface, direction, *clear):
        """How many tc programs are on an interface's ingress or egress; with "clear" they are taken off."""
        tcx = os.path.join(TOP, "tests", "netns", "tcx.py")
        return int(self.run(node, sys.executable, tcx, interface, direction, *clear))

    def nft(self, node, text):
        self.run(node, "nft", "-f", "-", input=text)

    @contextlib.contextmanager
    def rules(self, node, body, family="inet", table="test"):
        """nft table `test` with this body, meanwhile."""
        self.nft(node, f"table {family} {table} {{\n{body}\n}}\n")
        try:
            yield
        finally:
            self.run(node, "nft", "delete", "table", family, table)

    def nft_counter(self, node, name, table="test", family="inet"):
        """Packets of a named counter."""
        listed = json.loads(self.run(node, "nft", "-j", "list", "counter", family, table, name))
        return next(item["counter"]["packets"] for item in listed["nftables"] if "counter" in item)

    def sysctl(self, node, key, value):
        with self.inside(node), open("/proc/sys/" + key.replace(".", "/"), "w", encoding="ascii") as file:
            file.write(str(value))

    def read_sysctl(self, node, key):
        with self.inside(node), open("/proc/sys/" + key.replace(".", "/"), encoding="ascii") as file:
            return file.read().strip()

    # ---- agents ----

    def socket_path(self, agent):
        return f"{self.dir}/agents/{agent}/dysco.sock"

    def _connect(self, agent, timeout=peers.TIMEOUT):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(timeout)
        s.connect(self.socket_path(agent))
        return s

    def ask(self, agent, statement):
        """One statement to an agent; its answer, or Refused."""
        with self._connect(agent, ANSWER) as s:
            s.sendall(statement.encode() + b"\n")
            answer = json.loads(peers.read_to_end(s))
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def monitor(self, agent):
        monitor = Monitor(self._connect(agent))
        self.ask(agent, "version")  # requests are taken in order: the agent knows the monitor now
        return monitor

    def cli(self, agent, *words):
        """`dysco` itself: (exit code, stdout, stderr)."""
        done = subprocess.run([DYSCO, "-s", self.socket_path(agent), *words], capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def counter(self, agent, name):
        return self.ask(agent, "stats")["counters"][name]

    def dropped(self, agent, name):
        return next(d["count"] for d in self.ask(agent, "stats")["drops"] if d["name"] == name)

    def drops(self, agent):
        """All drop counts that are not 0, by name."""
        return {d["name"]: d["count"] for d in self.ask(agent, "stats")["drops"] if d["count"]}

    def legs(self, agent):
        return self.ask(agent, "status")["legs"]["used"]

    def sessions(self, agent, words=""):
        return self.ask(agent, f"session list {words}".strip())["sessions"]

    def session(self, agent, src, dst, host=None):
        """The session with these ends at an agent (and host), or None."""
        for s in self.sessions(agent):
            if s["session"] == {"src": src, "dst": dst} and host in (None, s["host"]):
                return s
        return None

    def no_legs(self, *agents):
        """Waits until nothing is left of any session at these agents."""
        for agent in agents:
            peers.eventually(lambda: self.legs(agent) == 0, lambda: f"legs left at {agent}: {self.sessions(agent)}")

    def agent_pid(self, agent):
        with self._connect(agent) as s:
            return struct.unpack("iii", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def corpse(self, agent):
        """What restart_agent() needs when it is dead."""
        pid = self.agent_pid(agent)
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = [word.decode() for word in file.read().split(b"\0")[:-1]]
        with open(f"/proc/{pid}/ns/net", "rb") as netns:
            return {"agent": agent, "pid": pid, "watch": os.pidfd_open(pid), "command": command, "netns": os.dup(netns.fileno())}

    def kill_agent(self, agent, number=signal.SIGKILL):
        """Returns what restart_agent() needs."""
        corpse = self.corpse(agent)
        os.kill(corpse["pid"], number)
        self.wait_dead(corpse)
        return corpse

    @staticmethod
    def is_dead(corpse):
        return bool(select.select([corpse["watch"]], [], [], 0)[0])

    def wait_dead(self, corpse):
        peers.readable(corpse["watch"])
        os.close(corpse["watch"])
        for process in self.restarted:
            if process.pid == corpse["pid"]:
                process.wait()
                self.restarted.remove(process)
                break

    def restart_agent(self, corpse, **environment):
        with open(f"{self.dir}/agents/{corpse['agent']}/log", "ab") as log:
            process = subprocess.Popen(["nsenter", f"--net=/proc/self/fd/{corpse['netns']}", *corpse["command"]], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[corpse["netns"]],
                                       env=dict(os.environ, **environment))
        self.restarted.append(process)
        os.close(corpse["netns"])
        peers.eventually(lambda: self._answers(corpse["agent"]), f"restarted agent {corpse['agent']} does not answer")

    def _answers(self, agent):
        try:
            return self.ask(agent, "version")
        except (OSError, ValueError):
            return None


class Star(Lab):
    """The picture above."""

    def __init__(self, name, boxes=2, mode="nic", links=None, agentless=(), config=(), extra=()):
        self.mode = mode
        self.nodes = {node.name: node for node in star_nodes(boxes, links)}
        self.boxes = [name for name in self.nodes if name.startswith("fw")]
        self.agents = [n for n in self.nodes if n not in agentless] if mode == "nic" else ["edge"]
        super().__init__(star_text(self.nodes.values(), mode, agentless, config, extra), name)

    def agent_of(self, node):
        return node if self.mode == "nic" else "edge"

    def count(self, node, name):
        """A counter of the agent that serves this node."""
        return self.counter(self.agent_of(node), name)

    def address(self, node, version=4):
        return self.nodes[node].address(version)

    def listen(self, node, port, version=4):
        return peers.listen(self.netns(node), self.address(node, version), port)

    def pair(self, listener, source=None):
        return peers.Pair(self.netns("client"), listener, source)

    def at(self, node, pair):
        """The session of this pair as the agent of `node` shows it, or None."""
        src, dst = peers.endpoint(pair.client), peers.peer_endpoint(pair.client)
        return self.session(self.agent_of(node), src, dst, node)

    def went_through(self, pair, boxes=None):
        """Asserts that every agent on the way knows this session."""
        for node in ["client", *(self.boxes if boxes is None else boxes), "server"]:
            if not self.at(node, pair):
                raise AssertionError(f"{node} knows nothing of the session: {self.sessions(self.agent_of(node))}")

    def nothing_left(self):
        self.no_legs(*self.agents)
