# SPDX-License-Identifier: BSD-2-Clause
"""The changes that the benches of reconfiguration ask for: the chain is client - b1 - server;
what comes and goes stands between client and b1."""

from . import Failure

AGENT = "client1"
KINDS = {"insert": "session insert {} b2", "replace": "session replace {} b2 b3", "remove": "session remove {} b3"}


def change(lab, name, kind):
    """The agent's answer, None; None and why when it did not come about. name: an id, or SRC DST."""
    try:
        return lab.ask(AGENT, *KINDS[kind].format(name).split()), None
    except Failure as failure:
        return None, str(failure)


def chain_length(lab, name):
    return len(lab.ask(AGENT, "session", "show", *name.split())["sessions"][0]["chain"])
