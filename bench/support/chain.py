# SPDX-License-Identifier: BSD-2-Clause
"""Ways through the topology of chain.lab, and the proof that packets took them."""

import os

from . import Failure
from .lab import Lab

LAB_FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "chain.lab")
PLANES = {"plain": 0, "dysco": 1, "hmac": 2}
BOXES = 4


def open_lab(options, pin="none", **variables):
    """`pin`: the CPUs CLIENT,SERVER that handle what arrives there, or `none`."""
    if pin != "none":
        variables["client_cpu"], variables["server_cpu"] = pin.split(",")
    return Lab(options.build, LAB_FILE, variables)


def add_pin_argument(parser):
    parser.add_argument("--pin", default="0,1", metavar="CLIENT,SERVER",
                        help="CPUs of the two programs, and of what arrives at their hosts, or `none`; default: 0,1")


def add_boxes_argument(parser):
    parser.add_argument("--boxes", default="0,1,2,4", metavar="N,...", help="default: 0,1,2,4")


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

    def received(self):
        """Per box, what its interface in this plane has received."""
        return [self.lab.received(f"b{i}", f"p{self.plane}") for i in range(1, BOXES + 1)]

    def check_boxes(self, before, unit, expected):
        """Each box of the path has received at least as much as expected since, the others less."""
        for i, (was, now) in enumerate(zip(before, self.received(), strict=True), start=1):
            got = now[unit] - was[unit]
            if (got >= expected) != (i <= self.boxes):
                raise Failure(f"{self.variant}, {self.boxes} boxes: {expected} {unit} went that way, "
                              f"box b{i} saw {got}")

    def check_session(self, port, peer_port, expected_bytes):
        """The client's agent knows the session, with this chain, and rewrote all of it."""
        source, destination = f"{self.source}:{port}", f"{self.destination}:{peer_port}"
        answer = self.lab.ask(f"client{self.plane}", "session", "show", source, destination)
        session = answer["sessions"][0]
        chain = [hop["address"] for hop in session["chain"]]
        expected = [f"10.20.{self.plane}.{10 + i}" for i in range(1, self.boxes + 1)] + [self.destination]
        wire = [leg["wire_tuple"] for leg in session["legs"]]
        if chain[-len(expected):] != expected or session["bytes_out"] < expected_bytes:
            raise Failure(f"{self.variant}, {self.boxes} boxes: the chain of {source} is {chain}, "
                          f"{session['bytes_out']} of {expected_bytes} bytes went that way")
        if not wire or any(w["src"] == source and w["dst"] == destination for w in wire):
            raise Failure(f"{self.variant}, {self.boxes} boxes: {source} is not rewritten: {wire}")
