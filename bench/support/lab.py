# SPDX-License-Identifier: BSD-2-Clause
"""A lab of `dysco lab`, up for the time of a `with`."""

import json
import os
import subprocess

from . import Failure


class Lab:
    def __init__(self, build, path, variables):
        self.dysco = os.path.join(build, "cli", "dysco")
        self.path = path
        self.name = f"bench-{os.getpid()}"
        self.variables = variables
        if not os.access(self.dysco, os.X_OK):
            raise Failure(f"there is no {self.dysco}; first: make build (or name the folder with --build)")

    def _lab(self, *words):
        done = subprocess.run([self.dysco, "lab", *words], capture_output=True, text=True)
        if done.returncode:
            raise Failure(done.stderr.strip() or f"dysco lab {words[0]} failed")

    def __enter__(self):
        sets = [word for name, value in self.variables.items() for word in ("--set", f"{name}={value}")]
        try:
            self._lab("up", self.path, "--name", self.name, *sets)
        except (KeyboardInterrupt, SystemExit):
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        subprocess.run([self.dysco, "lab", "down", self.name], capture_output=True)

    def command(self, node, words):
        return [self.dysco, "lab", "exec", self.name, node, *words]

    def output(self, node, words, timeout=60):
        """What a command in a node prints."""
        try:
            done = subprocess.run(self.command(node, words), capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"{node}: {' '.join(words)}: no end within {timeout} s") from None
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip())[-500:]
            raise Failure(f"{node}: {' '.join(words)}: exit code {done.returncode}: {said}")
        return done.stdout

    def json(self, node, words):
        return json.loads(self.output(node, words))

    def ask(self, agent, *words):
        """The answer of an agent to a statement."""
        socket = f"/run/dysco-lab/{self.name}/agents/{agent}/dysco.sock"
        done = subprocess.run([self.dysco, "-s", socket, "--json", *words], capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"agent {agent}: {' '.join(words)}: {(done.stderr or done.stdout).strip()}")
        return json.loads(done.stdout)

    def steer(self, node, interfaces, mask):
        """What arrives at these interfaces is handled by the CPUs of a mask (`rps` in docs/lab.md)."""
        queues = " ".join(f"/sys/class/net/{interface}/queues/rx-*/rps_cpus" for interface in interfaces)
        script = f"for queue in {queues}; do echo {mask} >$queue || exit 1; done"
        # `dysco lab exec` leaves /sys as it is; `ip netns exec` shows the namespace's own.
        done = subprocess.run(["ip", "netns", "exec", f"dysco-{self.name}-{node}", "sh", "-c", script], capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"{node}: rps: {done.stderr.strip()}")

    def received(self, node, interface):
        """Packets and bytes the kernel has counted on an interface."""
        shown = self.json(node, ["ip", "-j", "-s", "link", "show", "dev", interface])
        return shown[0]["stats64"]["rx"]

    def offloads(self, node, interface):
        """Those that matter to a TCP stream, by name."""
        lines = self.output(node, ["ethtool", "-k", interface]).splitlines()
        state = dict(line.strip().split(": ", 1) for line in lines if ": " in line)
        wanted = {"tso": "tcp-segmentation-offload", "gso": "generic-segmentation-offload",
                  "gro": "generic-receive-offload", "tx": "tx-checksumming"}
        return {short: state[long].split()[0] for short, long in wanted.items()}
