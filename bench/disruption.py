# SPDX-License-Identifier: BSD-2-Clause
"""What one connection that is busy both ways notices of changes of its chain."""

import time
from collections import namedtuple
from statistics import median

from support import Failure
from support.chain import Path, open_lab
from support.changes import KINDS, chain_length, change
from support.machine import conditions
from support.streams import DIRECTIONS, Stream, Timeline
from support.svg import chart, write

TITLE = "Goodput, stalls and segments sent again of a connection, both ways, while its chain changes"

BOXES = ("b1", "b2", "b3")
WIDTH_NS = 100_000_000  # of the time whose goodput is looked at
WARM_UP = 2.0  # seconds
PLOTTED_NS = 10_000_000_000
UNITS = {"K": 1e3, "M": 1e6, "G": 1e9}

Slot = namedtuple("Slot", "begin_ns asked_ns done_ns end_ns kind")  # kind None: nothing was asked for


def add_arguments(parser):
    parser.add_argument("--count", type=int, default=60, metavar="N", help="changes, of all kinds together, default: 60")
    parser.add_argument("--rate", default="500M", metavar="BITS", help="a second, each way, 0: all there is; default: 500M")
    parser.add_argument("--pause", type=float, default=0.6, metavar="S", help="before and after each change, default: 0.6")
    parser.add_argument("--pin", default="0", metavar="CPU",
                        help="of the program that is both ends, and of what arrives at either, or `none`; default: 0")
    parser.add_argument("--svg", metavar="FILE", help="goodput over the first ten seconds, as a picture")


def bits(word):
    number, unit = (word[:-1], UNITS[word[-1]]) if word[-1:] in UNITS else (word, 1)
    try:
        return int(float(number) * unit)
    except ValueError:
        raise Failure(f"--rate {word}: a number, or one with K, M or G") from None


def invalid(lab):
    """Packets that the boxes' conntrack found outside of what it expects."""
    total = 0
    for box in BOXES:
        listed = lab.json(box, ["nft", "-j", "list", "counter", "inet", "strict", "invalid"])
        total += next(item["counter"]["packets"] for item in listed["nftables"] if "counter" in item)
    return total


def one_slot(lab, stream, options, kind, took_ns):
    """A change with time before and after it; without kind, the same time and no change. (slot, why it failed)"""
    begin = time.monotonic_ns()
    time.sleep(options.pause)
    asked, why = time.monotonic_ns(), None
    if kind:
        why = change(lab, stream.name, kind)[1]
    else:
        time.sleep(took_ns / 1e9)
    done = time.monotonic_ns()
    time.sleep(options.pause)
    stream.check()
    return Slot(begin, asked, done, time.monotonic_ns(), kind), why


def all_slots(lab, stream, options):
    """With and without a change, by turns."""
    slots, failed, kinds = [], [], list(KINDS)
    for i in range(options.count):
        slot, why = one_slot(lab, stream, options, kinds[i % len(kinds)], 0)
        slots.append(slot)
        if why:
            failed.append(why)
        slots.append(one_slot(lab, stream, options, None, slot.done_ns - slot.asked_ns)[0])
    return slots, failed


def dip(timeline, slot, direction):
    """The lowest 100 ms over the lower of before and after."""
    around = min(timeline.rate(slot.begin_ns, slot.asked_ns, direction), timeline.rate(slot.done_ns, slot.end_ns, direction))
    return timeline.lowest(slot.asked_ns, slot.done_ns, WIDTH_NS, direction) / around


def figures(timeline, slots):
    dips = [dip(timeline, slot, direction) for slot in slots for direction in DIRECTIONS]
    stalls = [timeline.stall_ms(slot.asked_ns, slot.end_ns, direction) for slot in slots for direction in DIRECTIONS]
    return {"dip_ratio": round(min(dips), 4), "dip_ratio_median": round(median(dips), 4),
            "longest_stall_ms": round(max(stalls), 3), "stall_ms_median": round(median(stalls), 3),
            "retrans": sum(timeline.again(slot.begin_ns, slot.end_ns) for slot in slots)}


def summary(timeline, slots):
    with_changes, without = ([s for s in slots if bool(s.kind) == wanted] for wanted in (True, False))
    result = figures(timeline, with_changes)
    base = figures(timeline, without)
    result["extra_retrans"] = result["retrans"] - base["retrans"]
    result |= {f"{name}_without": value for name, value in base.items()}
    result["kinds"] = [{"kind": kind, **figures(timeline, [s for s in with_changes if s.kind == kind])}
                       for kind in KINDS if any(s.kind == kind for s in with_changes)]
    span = slots[0].begin_ns, slots[-1].end_ns
    result |= {f"gbps_{direction}": round(timeline.rate(*span, direction) * 8, 3) for direction in DIRECTIONS}
    return result


def picture(timeline, slots):
    begin = slots[0].begin_ns
    end = min(begin + PLOTTED_NS, slots[-1].end_ns)
    series = {}
    for direction in DIRECTIONS:
        times = range(begin, end - WIDTH_NS, WIDTH_NS)
        series[direction.replace("_", " the ")] = [((t - begin + WIDTH_NS / 2) / 1e9, timeline.rate(t, t + WIDTH_NS, direction) * 8) for t in times]
    marks = [((slot.asked_ns - begin) / 1e9, slot.kind) for slot in slots if slot.kind and slot.asked_ns < end]
    return chart("Goodput while the chain changes", ("seconds", "Gbit/s in 100 ms"), series, marks)


def run(options):
    if options.quick:
        options.count, options.pause = 3, 0.3
    rate = bits(options.rate)
    stated = conditions()
    pin = options.pin if options.pin == "none" else f"{options.pin},{options.pin}"
    with open_lab(options, pin, strict="yes") as lab:
        path = Path(lab, "dysco", 1)
        with Stream(path, rate, options.pin) as stream:
            time.sleep(WARM_UP / 4 if options.quick else WARM_UP)
            before = path.received()
            slots, failed = all_slots(lab, stream, options)
            after = path.received()
            if not failed and options.count % len(KINDS) == 0 and chain_length(lab, stream.name) != 2:
                raise Failure("the chain is not what it was at the beginning")
            end = stream.finish()
        counted = invalid(lab)
    carried = {box: after[i]["bytes"] - before[i]["bytes"] for i, box in enumerate(BOXES)}
    if not failed and not all(carried.values()):
        raise Failure(f"a box was never on the session's path: {carried}")
    timeline = Timeline(stream.samples)
    if options.svg:
        write(options.svg, picture(timeline, slots))
    stated |= {"count": options.count, "rate_bits": rate, "pause_s": options.pause, "pinning": options.pin, "attachment": "nic",
               "agents": "one a node", "connections": 1, "strict_boxes": True, "quick": options.quick}
    return {"conditions": stated, "changes": options.count, "failed": len(failed), "why": sorted(set(failed)), "invalid": counted,
            "lost_bytes": end["sent_bytes"] - end["received_bytes"], "checked_bytes": end["received_bytes"], "carried_bytes": carried, **summary(timeline, slots)}


def show(result):
    stated = result["conditions"]
    print(f"one connection, {stated['rate_bits'] / 1e6:g} Mbit/s each way, {result['changes']} changes, {result['failed']} failed; "
          f"got {result['gbps_to_server']:.3f} and {result['gbps_to_client']:.3f} Gbit/s; kernel {stated['kernel']}, {stated['cpus']} CPUs")
    print(f"{result['checked_bytes'] / 1e9:.2f} GB, each byte checked; INVALID in the boxes: {result['invalid']}; "
          f"segments sent again beyond the time without changes: {result['extra_retrans']}\n")
    print(f"{'':<10} {'dip ratio':>10} {'median':>8} {'longest stall ms':>17} {'median':>8} {'sent again':>11}")
    without = {name.removesuffix("_without"): value for name, value in result.items() if name.endswith("_without")}
    for name, row in [("changes", result), *((k["kind"], k) for k in result["kinds"]), ("no change", without)]:
        print(f"{name:<10} {row['dip_ratio']:>10.3f} {row['dip_ratio_median']:>8.3f} {row['longest_stall_ms']:>17.2f} "
              f"{row['stall_ms_median']:>8.2f} {row['retrans']:>11}")
