# SPDX-License-Identifier: BSD-2-Clause
"""A link without Ethernet headers between two namespaces: two TUN devices, and a thread between them."""
import fcntl
import os
import selectors
import struct
import subprocess
import threading

import peers

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def open_tun(netns, name):
    """The file of a new TUN device in this namespace; reads and writes are packets."""
    with peers.inside(netns):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


class Tunnel:
    """ends: two (namespace, interface, [address/prefix...]); up until close()."""

    def __init__(self, *ends):
        self.fds = [open_tun(netns, name) for netns, name, _ in ends]
        self.wake = os.pipe()
        self.thread = threading.Thread(target=self._relay, daemon=True)
        self.thread.start()
        for netns, name, addresses in ends:
            ip = ["ip", "-n", netns]
            for address in addresses:
                subprocess.run([*ip, "address", "add", address, "dev", name, "nodad"] if ":" in address else [*ip, "address", "add", address, "dev", name], check=True)
            subprocess.run([*ip, "link", "set", name, "up"], check=True)

    def _relay(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.wake[0], selectors.EVENT_READ)
            for here, there in (self.fds, self.fds[::-1]):
                selector.register(here, selectors.EVENT_READ, there)
            while True:
                for key, _ in selector.select():
                    if key.data is None:
                        return
                    try:
                        os.write(key.data, os.read(key.fd, 65536))
                    except OSError:
                        pass  # a link may lose packets, and its ends may be down

    def close(self):
        os.write(self.wake[1], b"x")
        self.thread.join()
        for fd in (*self.fds, *self.wake):
            os.close(fd)
