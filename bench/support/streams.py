# SPDX-License-Identifier: BSD-2-Clause
"""bench/streams/ at work: one connection that carries data both ways, and what it samples."""

import bisect
import json
import os
import subprocess
import threading
from collections import namedtuple

from . import Failure

PORT = 5203
SAMPLE_MS = 10
START_SECONDS = 20
DIRECTIONS = ("to_server", "to_client")

Sample = namedtuple("Sample", "ns to_server to_client stall_to_server stall_to_client again_client again_server")


class Stream:
    """Runs from `with` to finish()."""

    def __init__(self, path, rate_bits, cpu):
        lab = path.lab
        program = os.path.join(os.path.dirname(os.path.dirname(lab.dysco)), "bench", "streams")
        words = [] if cpu == "none" else ["taskset", "-c", cpu]
        words += [program, "-r", str(rate_bits // 8), "-s", str(SAMPLE_MS), "-p", str(PORT), "-B", path.source,
                 *(f"dysco-{lab.name}-{node}" for node in ("client", "server")), path.destination]
        self.samples, self.lost, self.end, self.name = [], None, None, None
        self.opened = threading.Event()
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self.reader.start()
        if not self.opened.wait(START_SECONDS) or not self.name:
            self.__exit__()
            raise Failure(f"the connection does not come up: {self.lost or 'no answer'}")
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()

    def _read(self):
        for line in self.process.stdout:
            kind, rest = line.rstrip("\n").split(" ", 1)
            if kind == "sample":
                self.samples.append(Sample(*map(int, rest.split())))
            elif kind == "open" and not self.name:
                self.name = rest.split(" ", 1)[1]
                self.opened.set()
            elif kind == "lost":
                self.lost = self.lost or rest
            elif kind == "end":
                self.end = json.loads(rest)
        self.opened.set()

    def finish(self):
        """Both streams end where they are; all bytes must be there, and right."""
        self.process.stdin.close()
        self.reader.join(60)
        if self.lost or not self.end:
            raise Failure(f"the connection was lost: {self.lost or 'it does not end'}")
        return self.end

    def check(self):
        if self.lost:
            raise Failure(f"the connection was lost: {self.lost}")


class Timeline:
    """Questions about samples; times in nanoseconds of CLOCK_MONOTONIC."""

    def __init__(self, samples):
        self.samples = samples
        self.times = [s.ns for s in samples]

    def between(self, begin, end):
        """The samples taken in this time, and the last one before it."""
        first = max(0, bisect.bisect_left(self.times, begin) - 1)
        return self.samples[first:bisect.bisect_right(self.times, end)]

    def rate(self, begin, end, direction):
        """Bytes a nanosecond."""
        part = self.between(begin, end)
        return (getattr(part[-1], direction) - getattr(part[0], direction)) / (part[-1].ns - part[0].ns)

    def lowest(self, begin, end, width, direction):
        """The lowest rate of any time of this width that touches begin .. end."""
        part = self.between(begin - width, end + width)
        rates, last = [], 0
        for first, sample in enumerate(part):
            while last < len(part) and part[last].ns - sample.ns < width:
                last += 1
            if last == len(part):
                break
            rates.append((getattr(part[last], direction) - getattr(sample, direction)) / (part[last].ns - part[first].ns))
        return min(rates)

    def stall_ms(self, begin, end, direction):
        return max(getattr(s, "stall_" + direction) for s in self.between(begin, end)[1:]) / 1000

    def again(self, begin, end):
        """Segments sent again, by both ends."""
        part = self.between(begin, end)
        return part[-1].again_client + part[-1].again_server - part[0].again_client - part[0].again_server
