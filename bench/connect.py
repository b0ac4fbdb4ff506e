# SPDX-License-Identifier: BSD-2-Clause
"""How long connect() takes through 0, 1, 2 and 4 boxes: plain, with Dysco, with signed messages."""

import os
from statistics import median

from support.chain import Path, add_boxes_argument, lengths, open_lab
from support.figures import percentile, turns
from support.machine import conditions

TITLE = "connect() latency through a chain, against plain routing through the same boxes"

VARIANTS = ["plain", "dysco", "hmac"]
PORT = 5202
FIRST_PORT = 20000
LAST_PORT = 60000


def add_arguments(parser):
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="default: 9")
    parser.add_argument("--connects", type=int, default=200, metavar="N", help="of one run, default: 200")
    add_boxes_argument(parser)
    parser.add_argument("--pin", default="none", metavar="CPU", help="of the client, default: none")


class Meter:
    def __init__(self, lab, options):
        self.lab = lab
        self.options = options
        self.program = os.path.join(options.build, "bench", "connect")
        self.next_port = {}

    def ports(self, path, n):
        """The first of n source ports that this path has not used, as long as there are any."""
        first = self.next_port.get((path.variant, path.boxes), FIRST_PORT)
        if first + n > LAST_PORT:
            first = FIRST_PORT
        self.next_port[path.variant, path.boxes] = first + n
        return first

    def measure(self, path, n):
        """Microseconds of each of n connects that are known to have taken this path."""
        first = self.ports(path, n)
        words = [self.program, "measure", path.source, str(first), path.destination, str(PORT), str(n)]
        if self.options.pin != "none":
            words = ["taskset", "-c", self.options.pin, *words]
        before = path.received()
        printed = self.lab.output("client", words)
        path.check_boxes(before, "packets", 2 * n)
        if path.variant != "plain":
            path.check_session(first + n - 1, PORT, 1)
        return [int(line) / 1000 for line in printed.split()]


def measure_all(meter, options, numbers):
    took = {(variant, n): [] for variant in VARIANTS for n in numbers}
    for variant, n in took:
        meter.measure(Path(meter.lab, variant, n), options.connects)
    for r in range(options.rounds):
        for position, n in enumerate(numbers):
            for variant in turns(VARIANTS, r + position):
                took[variant, n].append(meter.measure(Path(meter.lab, variant, n), options.connects))
    return took


def summary(runs, boxes):
    """Medians of the rounds' medians; what is added, round by round."""
    medians = {variant: [median(times) for times in runs[variant]] for variant in VARIANTS}
    result = {"boxes": boxes}
    for variant in VARIANTS:
        everything = [time for times in runs[variant] for time in times]
        result[f"{variant}_us"] = round(median(medians[variant]), 1)
        result[f"{variant}_p90_us"] = round(percentile(everything, 90), 1)
        result[f"{variant}_p99_us"] = round(percentile(everything, 99), 1)
    for variant, name in (("dysco", "added"), ("hmac", "added_hmac")):
        added = [a - b for a, b in zip(medians[variant], medians["plain"], strict=True)]
        result[f"{name}_us"] = round(median(added), 1)
        result[f"{name}_min_us"] = round(min(added), 1)
        result[f"{name}_max_us"] = round(max(added), 1)
    return result


def run(options):
    numbers = lengths(options)
    if options.quick:
        options.rounds, options.connects = 1, 20
    stated = conditions()
    program = os.path.join(options.build, "bench", "connect")
    with open_lab(options, signed="yes", connect=program) as lab:
        stated |= {"congestion": "cubic", "mtu": 1500, "pinning": options.pin, "attachment": "nic",
                   "agents": "one a node", "connects": options.connects, "rounds": options.rounds,
                   "quick": options.quick}
        took = measure_all(Meter(lab, options), options, numbers)
    results = [summary({v: took[v, n] for v in VARIANTS}, n) for n in numbers]
    return {"conditions": stated, "results": results}


def show(result):
    stated = result["conditions"]
    print(f"connect(), microseconds: medians of {stated['rounds']} rounds of {stated['connects']} connects; "
          f"kernel {stated['kernel']}, {stated['cpus']} CPUs\n")
    print(f"{'boxes':>5} {'plain':>8} {'p90':>8} {'Dysco':>8} {'p90':>8} {'added':>8} "
          f"{'signed':>8} {'p90':>8} {'added':>8}")
    for r in result["results"]:
        print(f"{r['boxes']:>5} {r['plain_us']:>8.1f} {r['plain_p90_us']:>8.1f} "
              f"{r['dysco_us']:>8.1f} {r['dysco_p90_us']:>8.1f} {r['added_us']:>8.1f} "
              f"{r['hmac_us']:>8.1f} {r['hmac_p90_us']:>8.1f} {r['added_hmac_us']:>8.1f}")
