# SPDX-License-Identifier: BSD-2-Clause
"""Bytes that go both ways of a connection until one says stop, and are compared."""
import threading

import peers

ENDLESS = 1 << 50


class Stream(threading.Thread):
    """finish() stops it, and fails if a byte was lost, changed or out of order."""

    def __init__(self, pair):
        super().__init__(daemon=True)
        self.flows = [peers.Flow(pair.client, pair.server, ENDLESS), peers.Flow(pair.server, pair.client, ENDLESS)]
        self.stopping, self.error = False, None
        self.start()

    def run(self):
        try:
            peers.pump(self.flows, each=self._each)
        except (AssertionError, OSError) as error:
            self.error = error

    def _each(self):
        if self.stopping:
            for flow in self.flows:
                flow.total = min(flow.total, flow.sent)

    def moves(self, n=200000):
        """Waits until so many bytes more have arrived, each way."""
        wanted = [flow.received + n for flow in self.flows]
        peers.eventually(lambda: self.error or all(flow.received >= w for flow, w in zip(self.flows, wanted)), lambda: f"nothing moves: {[flow.received for flow in self.flows]}")
        if self.error:
            raise self.error

    def finish(self):
        self.stopping = True
        self.join(2 * peers.TIMEOUT)
        if self.error or self.is_alive():
            raise self.error or AssertionError("the stream does not end")
