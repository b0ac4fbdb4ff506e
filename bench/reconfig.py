# SPDX-License-Identifier: BSD-2-Clause
"""How long it takes to insert, replace and remove a box of a session that is carrying data."""

import json
import re
import subprocess
import time
from statistics import median

from support import Failure
from support.chain import Path, add_pin_argument, open_lab
from support.changes import AGENT, KINDS, chain_length, change
from support.figures import percentile
from support.machine import conditions
from support.svg import chart, steps, write

TITLE = "Changing the chain of a session under load: time of insert, replace and remove"

PORT = 5201
USER_SPACE = ("cutting", "two_paths", "done")  # phases of the left anchor (docs/socket.md)
START_SECONDS = 10
QUIET_SECONDS = 30  # at most, without changes, for comparison


def add_arguments(parser):
    parser.add_argument("--count", type=int, default=500, metavar="N", help="of each kind, default: 500")
    parser.add_argument("--rate", metavar="BITS", help="of the session's data, iperf3 -b, 0: all there is; default: 1G, with a delay 20M")
    parser.add_argument("--pause", type=float, default=0.02, metavar="S", help="between two changes, default: 0.02")
    parser.add_argument("--delay", default="0,1ms", metavar="TIME,...", help="of every link, each way, one lab after the other; default: 0,1ms")
    add_pin_argument(parser)
    parser.add_argument("--svg", metavar="FILE", help="distribution of the times as a picture, of the last delay")


class Load:
    """iperf3 for as long as the changes take."""

    def __init__(self, path, options, rate):
        self.path = path
        words = ["iperf3", "-c", path.destination, "-B", path.source, "-p", str(PORT), "-t", "3600", "-b", rate]
        if options.pin != "none":
            words += ["-A", options.pin]
        self.process = subprocess.Popen(path.lab.command("client", words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait()

    def session(self):
        """The one that carries data: iperf3 makes another one for control before it."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            for s in self.path.lab.ask(AGENT, "session", "list", "state", "established")["sessions"]:
                if s["bytes_out"] > 10_000_000:
                    return s
            time.sleep(0.1)
        raise Failure(f"no session carries data after {START_SECONDS} s")

    def tcp(self, session):
        """(round-trip time in microseconds, segments sent again so far) as the client's TCP has them."""
        port = session["session"]["src"].rsplit(":", 1)[1]
        shown = self.path.lab.output("client", ["ss", "-tin", "sport", "=", f":{port}"])
        rtt, again = re.search(r"\brtt:([\d.]+)/", shown), re.search(r"\bretrans:\d+/(\d+)", shown)
        if not rtt:
            raise Failure(f"ss does not show the session: {shown}")
        return float(rtt[1]) * 1000, int(again[1]) if again else 0


def user_space_us(lab, session):
    """How long the last change had the session's packets in the client's agent: from its cut until the old path was not needed any more."""
    last = lab.ask(AGENT, "session", "show", session["id"])["sessions"][0]["last_attempt"]
    return sum(phase["us"] for phase in last["phases"] if phase["phase"] in USER_SPACE)


def change_all(load, session, options):
    """Times (the agent's, those in user space) and failures of each kind; the round-trip times of the path before each change."""
    lab = load.path.lab
    took, failed, round_trips = {kind: [] for kind in KINDS}, {kind: [] for kind in KINDS}, []
    for _ in range(options.count):
        round_trips.append(load.tcp(session)[0])
        for kind in KINDS:
            time.sleep(options.pause)
            answer, why = change(lab, session["id"], kind)
            if why:
                failed[kind].append(why)
            else:
                took[kind].append((answer["took_us"], user_space_us(lab, session)))
    if not any(failed.values()) and chain_length(lab, session["id"]) != 2:
        raise Failure("the chain is not what it was at the beginning")
    return took, failed, round_trips


def summary(kind, network, took, failed):
    rtt = network["old_path_rtt_us"]
    result = {"kind": kind, "delay": network["delay"], "old_path_rtt_us": rtt, "done": len(took), "failed": len(failed), "why": sorted(set(failed))}
    for i, prefix in enumerate(("", "user_space_")):
        times = [pair[i] for pair in took]
        for name, value in (("median_us", median), ("p80_us", lambda t: percentile(t, 80)), ("p99_us", lambda t: percentile(t, 99)), ("max_us", max)):
            result[prefix + name] = round(value(times), 1) if times else None
    result["median_rtts"] = round(result["median_us"] / rtt, 2) if times else None
    return result


def again_without(load, session, seconds):
    """Segments sent again in a time without changes."""
    before = load.tcp(session)[1]
    time.sleep(seconds)
    return load.tcp(session)[1] - before


def picture(took, round_trip):
    """Figure 14 of the paper: how many of each kind are done by when."""
    series = {kind: steps(us for us, _ in times) for kind, times in took.items() if times}
    return chart("Time of a reconfiguration", ("microseconds", "share"), series, [(round_trip * n, f"{n} RTT") for n in (1, 3)], logarithmic=True)


def measure(options, delay):
    """(what the network was like, results of each kind), with this delay of every link."""
    rate = options.rate or ("20M" if delay != "0" else "1G")
    with open_lab(options, options.pin, delay="" if delay == "0" else delay) as lab:
        path = Path(lab, "dysco", 1)
        with Load(path, options, rate) as load:
            session = load.session()
            again = load.tcp(session)[1]
            before = path.received()
            began = time.monotonic()
            took, failed, round_trips = change_all(load, session, options)
            again = load.tcp(session)[1] - again
            seconds = time.monotonic() - began
            quiet = min(seconds, QUIET_SECONDS)
            again_quiet = again_without(load, session, quiet)
            after = path.received()
    carried = {f"b{i}": after[i - 1]["bytes"] - before[i - 1]["bytes"] for i in (1, 2, 3)}
    if not all(carried.values()):
        raise Failure(f"a box was never on the session's path: {json.dumps(carried)}")
    if options.svg:
        write(options.svg, picture(took, median(round_trips)))
    network = {"delay": delay, "rate": rate, "old_path_rtt_us": round(median(round_trips), 1), "retransmitted_per_s": round(again / seconds, 1),
               "retransmitted_without_per_s": round(again_quiet / quiet, 1), "carried_bytes": carried}
    return network, [summary(kind, network, took[kind], failed[kind]) for kind in KINDS]


def run(options):
    if options.quick:
        options.count = 5
    stated = conditions()
    stated |= {"count": options.count, "pause_s": options.pause, "pinning": options.pin, "attachment": "nic", "agents": "one a node", "quick": options.quick}
    measured = [measure(options, delay) for delay in options.delay.split(",")]
    return {"conditions": stated, "networks": [network for network, _ in measured], "results": [result for _, results in measured for result in results]}


def show(result):
    stated = result["conditions"]
    print(f"{stated['count']} of each kind; kernel {stated['kernel']}, {stated['cpus']} CPUs")
    names = ("median_us", "median_rtts", "p80_us", "p99_us", "max_us", "failed", "user_space_median_us", "user_space_p99_us")
    widths = (10, 5, 10, 10, 10, 7, 28, 10)
    for network in result["networks"]:
        print(f"\nlinks with a delay of {network['delay']}, session at {network['rate']} bit/s; round-trip time as TCP sees it {network['old_path_rtt_us']} us, "
              f"segments sent again {network['retransmitted_per_s']} a second, without changes {network['retransmitted_without_per_s']}\n")
        print(f"{'kind':<8} {'median us':>10} {'RTTs':>5} {'p80':>10} {'p99':>10} {'max':>10} {'failed':>7}   in user space: {'median us':>10} {'p99':>10}")
        for r in (r for r in result["results"] if r["delay"] == network["delay"]):
            print(f"{r['kind']:<8} " + " ".join(f"{r[name] if r[name] is not None else '-':>{width}}" for name, width in zip(names, widths)))
            for why in r["why"]:
                print(f"         {why}")
