# SPDX-License-Identifier: BSD-2-Clause
"""TCP peers inside network namespaces, all in the test's own process.

A socket stays in the namespace it was made in, so a test that enters a
namespace for the moment of socket() holds both ends of a connection, and needs
no program on either side.
"""
import contextlib
import ctypes
import hashlib
import os
import selectors
import socket
import struct
import time

CLONE_NEWNET = 0x40000000
TIMEOUT = 20.0  # of every wait: far above what any step takes, so that only a fault reaches it
BLOCK = bytes((i * 7 + (i >> 8) * 13) & 0xFF for i in range(256 * 1024 + 17))

_libc = ctypes.CDLL(None, use_errno=True)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


@contextlib.contextmanager
def inside(netns):
    """This thread is in namespace `netns` (a name under /run/netns) meanwhile."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open("/run/netns/" + netns, os.O_RDONLY)
        try:
            _setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(before)
    finally:
        os.close(before)


def eventually(condition, what, timeout=TIMEOUT):
    """The first true value of condition(); fails with `what` after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp(netns, address):
    """A TCP socket for addresses of the family of `address`."""
    with inside(netns):
        s = socket.socket(family(address), socket.SOCK_STREAM)
    s.settimeout(TIMEOUT)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return s


def listen(netns, address, port, backlog=1024):
    s = tcp(netns, address)
    try:
        s.bind((address, port))
        s.listen(backlog)
    except OSError:
        s.close()
        raise
    return s


def connect(netns, address, port, source=None, timeout=TIMEOUT):
    """A connected socket; source: (address, port) to bind to."""
    s = tcp(netns, address)
    s.settimeout(timeout)
    try:
        if source:
            s.bind(source)
        s.connect((address, port))
    except OSError:
        s.close()
        raise
    s.settimeout(TIMEOUT)
    return s


def start_connect(netns, address, port, source=None):
    """A socket whose SYN is on its way (non-blocking)."""
    s = tcp(netns, address)
    s.setblocking(False)
    if source:
        s.bind(source)
    s.connect_ex((address, port))
    return s


def connected(s, timeout=TIMEOUT):
    """Waits for the end of a start_connect(): 0 or the errno."""
    with selectors.DefaultSelector() as selector:
        selector.register(s, selectors.EVENT_WRITE)
        if not selector.select(timeout):
            raise AssertionError(f"connect() neither succeeded nor failed within {timeout} s")
    s.settimeout(TIMEOUT)
    return s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def endpoint(s):
    """Local end as the command line writes it."""
    return text_endpoint(s.getsockname())


def peer_endpoint(s):
    return text_endpoint(s.getpeername())


def text_endpoint(name):
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def reset(s):
    """close() with a RST."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


class Pair:
    """A connection, both ends: .client and .server."""

    def __init__(self, client_ns, listener, source=None, address=None, port=None):
        at = listener.getsockname()
        self.client = connect(client_ns, address or at[0], port or at[1], source)
        try:
            self.server, self.seen_from = listener.accept()
        except OSError:
            self.client.close()
            raise
        self.server.settimeout(TIMEOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.client.close()
        self.server.close()

    def ping(self, text=b"ping"):
        """A few bytes each way."""
        hand_over(self.client, self.server, text)
        hand_over(self.server, self.client, text[::-1])


def hand_over(sender, receiver, data):
    sender.sendall(data)
    got = read_exactly(receiver, len(data))
    if got != data:
        raise AssertionError(f"sent {data!r}, received {got!r}")


def read_exactly(s, n):
    parts = []
    while n > 0:
        part = s.recv(n)
        if not part:
            break
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def read_to_end(s):
    parts = []
    while True:
        part = s.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


class Flow:
    """Content of known digest, in one direction of a pair; moved by pump()."""

    def __init__(self, sender, receiver, total):
        self.sender, self.receiver, self.total = sender, receiver, total
        self.sent = self.received = 0
        self.sent_digest, self.received_digest = hashlib.blake2b(), hashlib.blake2b()

    def done(self):
        return self.received >= self.total

    def can_send(self):
        return self.sent < self.total

    def send_some(self):
        at = self.sent % len(BLOCK)
        n = self.sender.send(BLOCK[at : at + self.total - self.sent])
        self.sent_digest.update(BLOCK[at : at + n])
        self.sent += n

    def receive_some(self, buffer):
        n = self.receiver.recv_into(buffer)
        if n == 0:
            raise AssertionError(f"end of stream after {self.received} of {self.total} bytes")
        self.received_digest.update(buffer[:n])
        self.received += n

    def check(self):
        if self.received != self.total or self.sent_digest.digest() != self.received_digest.digest():
            raise AssertionError(f"{self.received} of {self.total} bytes, or other ones, arrived")


def pump(flows, stall=TIMEOUT, each=None):
    """Moves all flows to their ends at once and compares contents.

    each() is called between steps. A pause of `stall` seconds in which nothing
    at all moves fails.
    """
    buffer = memoryview(bytearray(1 << 20))
    with selectors.DefaultSelector() as selector:
        interest = {}
        for flow in flows:
            flow.sender.setblocking(False)
            flow.receiver.setblocking(False)
            interest.setdefault(flow.sender, []).append(flow)
            interest.setdefault(flow.receiver, []).append(flow)
        for s in interest:
            selector.register(s, _events(s, interest[s]))
        while not all(flow.done() for flow in flows):
            ready = selector.select(stall)
            if not ready:
                state = [(f.sent, f.received, f.total) for f in flows]
                raise AssertionError(f"nothing moved for {stall} s: {state}")
            for key, events in ready:
                _move(key.fileobj, events, interest[key.fileobj], buffer)
                _update(selector, key, interest[key.fileobj])
            if each:
                each()
    for flow in flows:
        flow.sender.settimeout(TIMEOUT)
        flow.receiver.settimeout(TIMEOUT)
        flow.check()


def _events(s, flows):
    events = 0
    for flow in flows:
        if flow.sender is s and flow.can_send():
            events |= selectors.EVENT_WRITE
        if flow.receiver is s and not flow.done():
            events |= selectors.EVENT_READ
    return events


def _update(selector, key, flows):
    events = _events(key.fileobj, flows)
    if events == 0:
        selector.unregister(key.fileobj)
    elif events != key.events:
        selector.modify(key.fileobj, events)


def _move(s, events, flows, buffer):
    for flow in flows:
        with contextlib.suppress(BlockingIOError):
            if events & selectors.EVENT_WRITE and flow.sender is s and flow.can_send():
                flow.send_some()
        with contextlib.suppress(BlockingIOError):
            if events & selectors.EVENT_READ and flow.receiver is s and not flow.done():
                flow.receive_some(buffer)


def bulk(pair, total, both=True):
    """`total` bytes of known content, both ways at once (or only to the server)."""
    flows = [Flow(pair.client, pair.server, total)]
    if both:
        flows.append(Flow(pair.server, pair.client, total))
    pump(flows)


def readable(fd, timeout=TIMEOUT):
    """Waits for a file descriptor (of a process: for its end)."""
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        if not selector.select(timeout):
            raise AssertionError(f"nothing to read within {timeout} s")
