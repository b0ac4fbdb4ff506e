# SPDX-License-Identifier: BSD-2-Clause
"""Run times of the tc programs of a lab's nodes, counted by the kernel."""

import json
import os
import subprocess
import sys

from . import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
TCX = os.path.join(HERE, "..", "..", "tests", "netns", "tcx.py")  # tools of Debian 12 know no tcx
SYSCTL = "/proc/sys/kernel/bpf_stats_enabled"


def write_sysctl(value):
    with open(SYSCTL, "w") as file:
        file.write(value)


def counts(program_id):
    done = subprocess.run(["bpftool", "-j", "prog", "show", "id", str(program_id)],
                          capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"bpftool prog show id {program_id}: {done.stderr.strip() or done.stdout.strip()}")
    shown = json.loads(done.stdout)
    return shown.get("run_cnt", 0), shown.get("run_time_ns", 0)


class Profile:
    """Counts between `with` and read()."""

    def __init__(self, lab, nodes, interface):
        self.programs = {}
        for node in nodes:
            for side, name in (("egress", "host_out"), ("ingress", "host_in")):
                filters = json.loads(lab.output(node, ["tc", "-j", "filter", "show", "dev", interface, side]))
                ids = [f["options"]["prog"]["id"] for f in filters if "prog" in f.get("options", {})]
                ids += lab.output(node, [sys.executable, TCX, interface, side, "ids"]).split()
                self.programs |= {(node, name): number for number in ids}

    def __enter__(self):
        with open(SYSCTL) as file:
            self.setting = file.read()
        write_sysctl("1")
        self.before = {key: counts(number) for key, number in self.programs.items()}
        return self

    def __exit__(self, *exception):
        write_sysctl(self.setting)

    def read(self):
        rows = []
        for (node, name), number in self.programs.items():
            packets, ns = (a - b for a, b in zip(counts(number), self.before[node, name], strict=True))
            if packets:
                rows.append({"node": node, "program": name, "packets": packets, "ns": ns / packets})
        return rows
