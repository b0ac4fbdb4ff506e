# SPDX-License-Identifier: BSD-2-Clause
"""iperf3 through 0, 1, 2 and 4 boxes: Dysco against plain routing through the same boxes."""

import json
from statistics import median

from support import Failure
from support.chain import BOXES, PLANES, Path, add_boxes_argument, add_pin_argument, lengths, open_lab
from support.figures import interval, ratios, turns
from support.machine import conditions
from support.profile import Profile

TITLE = "TCP goodput through a chain, against plain routing through the same boxes"

VARIANTS = ["plain", "dysco"]
PORT = 5201
WARM_UP = ["-n", "32M"]
RUN_SECONDS = 120  # at most


def add_arguments(parser):
    parser.add_argument("--rounds", type=int, default=101, metavar="N", help="default: 101")
    parser.add_argument("--megabytes", type=int, default=256, metavar="N", help="of one run, default: 256")
    add_boxes_argument(parser)
    parser.add_argument("--congestion", default="cubic", help="default: cubic")
    parser.add_argument("--mtu", type=int, default=1500, help="default: 1500")
    parser.add_argument("--offloads", choices=("default", "on", "off"), default="default",
                        help="of every interface; default: as the kernel makes a veth")
    add_pin_argument(parser)
    parser.add_argument("--profile", action="store_true", help="ns a packet of each program, after the rounds")


def iperf(path, options, amount):
    words = ["iperf3", "-c", path.destination, "-B", path.source, "-p", str(PORT), "-J",
             "-C", options.congestion, *amount]
    if options.pin != "none":
        words += ["-A", options.pin]
    return json.loads(path.lab.output("client", words, timeout=RUN_SECONDS))


def measure(path, options):
    """Goodput in Gbit/s of one run that is known to have taken this path."""
    before = path.received()
    done = iperf(path, options, WARM_UP if options.quick else ["-n", f"{options.megabytes}M"])
    received = done["end"]["sum_received"]["bytes"]
    path.check_boxes(before, "bytes", received)
    if path.variant != "plain":
        path.check_session(done["start"]["connected"][0]["local_port"], PORT, received)
    return done["end"]["sum_received"]["bits_per_second"] / 1e9


def same_offloads(lab):
    """Of all interfaces alike, else the comparison would not be fair."""
    nodes = ["client", "server"] + [f"b{i}" for i in range(1, BOXES + 1)]
    states = {(node, PLANES[v]): lab.offloads(node, f"p{PLANES[v]}") for node in nodes for v in VARIANTS}
    first = states["client", 0]
    for (node, plane), state in states.items():
        if state != first:
            raise Failure(f"offloads differ: {node} p{plane} {state}, client p0 {first}")
    return first


def spread_boxes(lab, pin, boxes):
    """What arrives at the first half of the boxes is handled by the client's CPU, at the others by the server's."""
    if pin == "none":
        return
    cpus = [int(cpu) for cpu in pin.split(",")]
    for i in range(1, boxes + 1):
        cpu = cpus[2 * i > boxes]
        mask = f"{1 << cpu % 32:x}" + ",00000000" * (cpu // 32)
        lab.steer(f"b{i}", [f"p{PLANES[v]}" for v in VARIANTS], mask)


def measure_all(lab, options, numbers):
    rates = {(variant, n): [] for variant in VARIANTS for n in numbers}
    for variant, n in rates:
        iperf(Path(lab, variant, n), options, WARM_UP)
    for r in range(options.rounds):
        for position, n in enumerate(numbers):
            spread_boxes(lab, options.pin, n)
            for variant in turns(VARIANTS, r + position):
                rates[variant, n].append(measure(Path(lab, variant, n), options))
    return rates


def summary(plain, dysco, boxes):
    pairs = ratios(dysco, plain)
    low, high = interval(pairs)
    return {"boxes": boxes,
            "plain_gbps": round(median(plain), 3), "dysco_gbps": round(median(dysco), 3),
            "ratio": round(median(pairs), 4),
            "ratio_low": round(low, 4), "ratio_high": round(high, 4),
            "ratio_min": round(min(pairs), 4), "ratio_max": round(max(pairs), 4),
            "plain_gbps_min": round(min(plain), 3), "plain_gbps_max": round(max(plain), 3),
            "dysco_gbps_min": round(min(dysco), 3), "dysco_gbps_max": round(max(dysco), 3)}


def run(options):
    numbers = lengths(options)
    if options.quick:
        options.rounds = 1
    stated = conditions()
    with open_lab(options, options.pin, congestion=options.congestion, mtu=options.mtu, offloads=options.offloads) as lab:
        stated |= {"congestion": options.congestion, "mtu": options.mtu, "offloads": same_offloads(lab),
                   "pinning": options.pin, "boxes_spread": options.pin != "none", "attachment": "nic", "agents": "one a node", "streams": 1,
                   "iperf3": lab.output("client", ["iperf3", "--version"]).split()[1],
                   "megabytes": options.megabytes, "rounds": options.rounds, "quick": options.quick}
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
        measure(Path(lab, "dysco", boxes), options)
        return counted.read()


def show(result):
    stated = result["conditions"]
    print(f"goodput of one TCP stream, {stated['congestion']}, MTU {stated['mtu']}, "
          f"offloads {stated['offloads']}, iperf3 on CPUs {stated['pinning']}")
    print(f"kernel {stated['kernel']}, {stated['cpus']} CPUs, medians of {stated['rounds']} rounds "
          f"of {stated['megabytes']} MB\n")
    print(f"{'boxes':>5} {'plain Gbit/s':>14} {'Dysco Gbit/s':>14} {'ratio':>8} {'95 %':>15} {'min':>8} {'max':>8}")
    for r in result["results"]:
        print(f"{r['boxes']:>5} {r['plain_gbps']:>14.2f} {r['dysco_gbps']:>14.2f} "
              f"{r['ratio']:>8.3f} {r['ratio_low']:>7.3f}-{r['ratio_high']:.3f}  {r['ratio_min']:>8.3f} {r['ratio_max']:>8.3f}")
    if "profile" in result:
        print(f"\n{'node':>8} {'program':>10} {'packets':>10} {'ns/packet':>10}")
        for p in result["profile"]:
            print(f"{p['node']:>8} {p['program']:>10} {p['packets']:>10} {p['ns']:>10.0f}")
