# SPDX-License-Identifier: BSD-2-Clause
"""holder.py CLIENT_NETNS SERVER_NETNS ADDRESS PORT COUNT: opens COUNT connections and holds them.

A process may have only so many files: who wants more connections starts more of these.
Prints `ready`; on a line of input checks that every 200th carries data and prints their
clients' endpoints; at the end of input resets them all.
"""
import sys

import peers


def main(client, server, address, port, count):
    with peers.listen(server, address, int(port)) as listener:
        pairs = [peers.Pair(client, listener) for _ in range(int(count))]
    print("ready", flush=True)
    for _ in sys.stdin:
        for pair in pairs[::200]:
            pair.ping()
        print(*(peers.endpoint(pair.client) for pair in pairs[::200]), flush=True)
    for pair in pairs:
        peers.reset(pair.client)
        pair.server.close()


main(*sys.argv[1:])
