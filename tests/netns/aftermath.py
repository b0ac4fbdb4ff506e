# SPDX-License-Identifier: BSD-2-Clause
"""What reconfigurations may leave behind, whatever became of them: nothing.

settled() looks at the agents, Surroundings at the machine around them.
"""
import contextlib
import os
import re

import peers


def attempts(lab):
    """Records of attempts, by agent."""
    return {agent: lab.ask(agent, "status")["attempts"]["used"] for agent in lab.agents}


def settled(lab):
    """Waits until no agent has an attempt, a lock or a request any more."""
    peers.eventually(lambda: not any(attempts(lab).values()), lambda: f"attempts left: {attempts(lab)}; sessions: { {agent: lab.sessions(agent) for agent in lab.agents} }", 2 * peers.TIMEOUT)


def _look(lab, node):
    script = "ip -o link; ip -o address; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; nft list ruleset; cat /proc/sys/net/ipv4/ip_local_reserved_ports"
    text = lab.run(node, "sh", "-c", script)
    return re.sub(r"counter \w+ {[^}]*}|expires \d+sec|packets \d+ bytes \d+|state [A-Z]+", "", text).splitlines()


class Surroundings:
    """Links, addresses, rules, routes, reserved ports and pins, as they are now."""

    def __init__(self, lab):
        self.lab = lab
        self.before = self.look()

    def look(self):
        pins = sorted(path for root, _, names in os.walk(f"/sys/fs/bpf/dysco-lab/{self.lab.name}") for path in (os.path.join(root, name) for name in names))
        return {"pins": pins, **{node: _look(self.lab, node) for node in [*self.lab.nodes, "r"]}}

    def unchanged(self):
        """Fails unless all is as it was."""
        now = self.look()
        for what, before in self.before.items():
            if now[what] != before:
                raise AssertionError(f"{what}: now {sorted(set(now[what]) - set(before))}, before {sorted(set(before) - set(now[what]))}")


# ---- faults of agents (HACKING.md) ----

@contextlib.contextmanager
def faults():
    """Agents that a lab starts meanwhile can be armed."""
    os.environ["DYSCO_FAULT"] = ""
    try:
        yield
    finally:
        del os.environ["DYSCO_FAULT"]


def arm(lab, agent, fault):
    """before|after:PART:STATE"""
    if not lab.ask(agent, f"fault '{fault}'")["armed"]:
        raise AssertionError(f"{agent} does not understand {fault}")


# ---- messages that are lost ----

MESSAGES = {"LOCK": 4, "LOCKED": 5, "NACK": 6, "CANCEL": 7, "CANCELLED": 8, "READY": 9, "CUT": 10, "DONE": 11, "RELEASE": 12, "RELEASED": 13}


def message(kind):
    """nft expression: a packet with this message (docs/protocol.md 3)."""
    return f"meta l4proto tcp @ih,0,32 0xd75c0c0d @ih,40,8 {MESSAGES[kind]}"


def dropping(*rules):
    """Body of a table of a router that drops what matches any of these."""
    return "chain f { type filter hook forward priority -1; " + " ".join(f"{rule} drop;" for rule in rules) + " }"


SILENT = "chain i { type filter hook ingress device eth0 priority 0; meta l4proto tcp drop; }"  # family netdev
