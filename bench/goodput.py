# SPDX-License-Identifier: BSD-2-Clause
"""iperf3 through 0, 1, 2 and 4 boxes: Dysco against plain routing through the same boxes."""

import json
import os
from statistics import median

from support import Failure
from support.figures import ratios, turns
from support.lab import Lab
from support.machine import conditions
from support.profile import Profile

TITLE = "TCP goodput through a chain, against plain routing through the same boxes"

HERE = os.path.dirname(os.path.abspath(__file__))
PLANES = {"plain": 0, "dysco": 1}
BOXES = 4
PORT = 5201
WARM_UP = ["-n", "32M"]


def add_arguments(parser):
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="default: 9")
    parser.add_argument("--seconds", type=int, default=2, metavar="S", help="of one run, default: 2")
    parser.add_argument("--boxes", default="0,1,2,4", metavar="N,...", help="default: 0,1,2,4")
    parser.add_argument("--congestion", default="cubic", help="default: cubic")
    parser.add_argument("--mtu", type=int, default=1500, help="default: 1500")
    parser.add_argument("--offloads", choices=("default", "on", "off"), default="default",
                        help="of every interface; default: as the kernel makes a veth")
    parser.add_argument("--pin", default="0,1", metavar="CLIENT,SERVER",
                        help="CPUs of the two iperf3, or `none`; default: 0,1")
    parser.add_argument("--profile", action="store_true", help="ns a packet of each program, after the rounds")


def lengths(options):
    try:
        numbers = [int(word) for word in options.boxes.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(0 <= n <= BOXES for n in numbers):
        raise Failure(f"--boxes {options.boxes}: numbers from 0 to {BOXES} with commas between them")
    return numbers


class Path:
    """One way from the client to the server: a plane and a number of boxes."""

    def __init__(self, lab, variant, boxes):
        self.lab = lab
        self.variant = variant
        self.boxes = boxes
        self.plane = PLANES[variant]
        self.source = f"10.20.{self.plane}.{100 + boxes}"
        self.destination = f"10.20.{self.plane}.{200 + boxes}"

    def box_bytes(self):
        return [self.lab.received_bytes(f"b{i}", f"p{self.plane}") for i in range(1, BOXES + 1)]

    def iperf(self, options, amount):
        words = ["iperf3", "-c", self.destination, "-B", self.source, "-p", str(PORT), "-J",
                 "-C", options.congestion, *amount]
        if options.pin != "none":
            words += ["-A", options.pin]
        return json.loads(self.lab.output("client", words, timeout=options.seconds + 30))

    def warm_up(self, options):
        self.iperf(options, WARM_UP)

    def measure(self, options):
        """Goodput in Gbit/s of one run that is known to have taken this path."""
        before = self.box_bytes()
        run = self.iperf(options, WARM_UP if options.quick else ["-t", str(options.seconds)])
        passed = [after - b for b, after in zip(before, self.box_bytes(), strict=True)]
        received = run["end"]["sum_received"]["bytes"]
        self.check_boxes(passed, received)
        if self.variant == "dysco":
            self.check_session(run["start"]["connected"][0], received)
        return run["end"]["sum_received"]["bits_per_second"] / 1e9

    def check_boxes(self, passed, received):
        for i, got in enumerate(passed, start=1):
            if (got >= received) != (i <= self.boxes):
                raise Failure(f"{self.variant}, {self.boxes} boxes: {received} bytes reached the server, "
                              f"box b{i} saw {got}")

    def check_session(self, socket, received):
        """The client's agent knows the session, with this chain, and rewrote all of it."""
        source = f"{socket['local_host']}:{socket['local_port']}"
        destination = f"{socket['remote_host']}:{socket['remote_port']}"
        answer = self.lab.ask("client1", "session", "show", source, destination)
        session = answer["sessions"][0]
        chain = [hop["address"] for hop in session["chain"]]
        expected = [f"10.20.1.{10 + i}" for i in range(1, self.boxes + 1)] + [self.destination]
        wire = [leg["wire_tuple"] for leg in session["legs"]]
        if chain[-len(expected):] != expected or session["bytes_out"] < received:
            raise Failure(f"dysco, {self.boxes} boxes: the chain of {source} is {chain}, "
                          f"{session['bytes_out']} of {received} bytes went that way")
        if not wire or any(w["src"] == source and w["dst"] == destination for w in wire):
            raise Failure(f"dysco, {self.boxes} boxes: {source} is not rewritten: {wire}")


def same_offloads(lab):
    """Of all interfaces alike, else the comparison would not be fair."""
    nodes = ["client", "server"] + [f"b{i}" for i in range(1, BOXES + 1)]
    states = {(node, plane): lab.offloads(node, f"p{plane}") for node in nodes for plane in PLANES.values()}
    first = states[("client", 0)]
    for (node, plane), state in states.items():
        if state != first:
            raise Failure(f"offloads differ: {node} p{plane} {state}, client p0 {first}")
    return first


def measure_all(lab, options, numbers):
    rates = {(variant, n): [] for variant in PLANES for n in numbers}
    for variant, n in rates:
        Path(lab, variant, n).warm_up(options)
    for r in range(options.rounds):
        for position, n in enumerate(numbers):
            for variant in turns(list(PLANES), r + position):
                rates[variant, n].append(Path(lab, variant, n).measure(options))
    return rates


def summary(plain, dysco, boxes):
    pairs = ratios(dysco, plain)
    return {"boxes": boxes,
            "plain_gbps": round(median(plain), 3), "dysco_gbps": round(median(dysco), 3),
            "ratio": round(median(pairs), 4),
            "ratio_min": round(min(pairs), 4), "ratio_max": round(max(pairs), 4),
            "plain_gbps_min": round(min(plain), 3), "plain_gbps_max": round(max(plain), 3),
            "dysco_gbps_min": round(min(dysco), 3), "dysco_gbps_max": round(max(dysco), 3)}


def run(options):
    numbers = lengths(options)
    if options.quick:
        options.rounds = 1
    variables = {"congestion": options.congestion, "mtu": options.mtu, "offloads": options.offloads}
    stated = conditions()
    with Lab(options.build, os.path.join(HERE, "chain.lab"), variables) as lab:
        stated |= {"congestion": options.congestion, "mtu": options.mtu, "offloads": same_offloads(lab),
                   "pinning": options.pin, "attachment": "nic", "agents": "one a node", "streams": 1,
                   "iperf3": lab.output("client", ["iperf3", "--version"]).split()[1],
                   "seconds": options.seconds, "rounds": options.rounds, "quick": options.quick}
        rates = measure_all(lab, options, numbers)
        result = {"conditions": stated,
                  "results": [summary(rates["plain", n], rates["dysco", n], n) for n in numbers]}
        if options.profile:
            result["profile"] = profile(lab, options, numbers[-1])
    return result


def profile(lab, options, boxes):
    """What each program costs; its own runs, since counting slows them."""
    nodes = ["client"] + [f"b{i}" for i in range(1, boxes + 1)] + ["server"]
    with Profile(lab, nodes, "p1") as counted:
        Path(lab, "dysco", boxes).measure(options)
        return counted.read()


def show(result):
    stated = result["conditions"]
    print(f"goodput of one TCP stream, {stated['congestion']}, MTU {stated['mtu']}, "
          f"offloads {stated['offloads']}, iperf3 on CPUs {stated['pinning']}")
    print(f"kernel {stated['kernel']}, {stated['cpus']} CPUs, medians of {stated['rounds']} rounds "
          f"of {stated['seconds']} s\n")
    print(f"{'boxes':>5} {'plain Gbit/s':>14} {'Dysco Gbit/s':>14} {'ratio':>8} {'min':>8} {'max':>8}")
    for r in result["results"]:
        print(f"{r['boxes']:>5} {r['plain_gbps']:>14.2f} {r['dysco_gbps']:>14.2f} "
              f"{r['ratio']:>8.3f} {r['ratio_min']:>8.3f} {r['ratio_max']:>8.3f}")
    if "profile" in result:
        print(f"\n{'node':>8} {'program':>10} {'packets':>10} {'ns/packet':>10}")
        for p in result["profile"]:
            print(f"{p['node']:>8} {p['program']:>10} {p['packets']:>10} {p['ns']:>10.0f}")
