# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 of the agents: sessions go on, nothing slips past its chain, nothing stays for ever."""
import contextlib
import socket

import peers
from cases import OnStar

STALL = 10.0  # seconds in which at least something must have moved
COUNT_SYNS = """
    counter closed { }
    counter open { }
    counter plain { }
    chain i {
        type filter hook input priority 0;
        tcp flags & (syn|ack) == syn tcp dport 80 counter name closed
        tcp flags & (syn|ack) == syn tcp dport 81 counter name open
        tcp flags & (syn|ack) == syn tcp dport 82 counter name plain
    }
"""


def retransmits(s):
    """SYNs sent again so far: tcpi_retransmits."""
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[2]


class Crash(OnStar):
    config = ("timeout linger 1", "timeout embryonic 4")
    policies = ("via fw1,fw2 filter tcp dst port 80", "via fw1,fw2 fail open retries 1 filter tcp dst port 81")

    def kill_all(self):
        return [self.lab.kill_agent(agent) for agent in self.lab.agents]

    def restart_all(self, corpses):
        for corpse in corpses:
            self.lab.restart_agent(corpse)

    @contextlib.contextmanager
    def dead(self):
        """No agent runs meanwhile."""
        corpses = self.kill_all()
        try:
            yield
        finally:
            self.restart_all(corpses)

    def test_bulk_goes_on(self):
        """All agents die in mid-transfer and come back before its end; the session is theirs again."""
        for version in (4, 6):
            with self.subTest(ip=version):
                pair = self.pair(self.listen(80, version))
                flows = [peers.Flow(pair.client, pair.server, 96 << 20), peers.Flow(pair.server, pair.client, 96 << 20)]
                corpses, again = [], []

                def step():
                    if not corpses and flows[0].received > 16 << 20:
                        corpses.extend(self.kill_all())
                    if corpses and not again and flows[0].received > 64 << 20:
                        again.append(True)
                        self.restart_all(corpses)

                peers.pump(flows, STALL, step)
                self.assertTrue(again)
                self.lab.went_through(pair)
                for node in ("client", "fw1", "fw2", "server"):
                    self.assertEqual(self.lab.at(node, pair)["state"], "established")
                self.assertGreater(self.lab.at("fw1", pair)["bytes_out"], 96 << 20)
                new = self.pair(self.listen(80, version))
                new.ping()
                self.lab.went_through(new)
                pair.close()
                new.close()
                self.lab.nothing_left()

    def test_sessions_end_without_agents(self):
        """What ended while no agent ran is noticed and aged by the next."""
        pairs = [self.pair(self.listen()) for _ in range(8)]
        for pair in pairs:
            pair.ping()
        with self.dead():
            for pair in pairs[:4]:
                pair.ping()
                pair.close()
            for pair in pairs[4:]:
                peers.reset(pair.client)
                with self.assertRaises(ConnectionResetError):
                    peers.read_to_end(pair.server)
        self.lab.nothing_left()

    def test_policies_are_kept(self):
        """What was set at run time is in force again."""
        before = self.ask("policy list")
        with self.dead():
            pass
        self.assertEqual([(p["name"], p["filter"], p["fail"]) for p in before["policies"]], [(p["name"], p["filter"], p["fail"]) for p in self.ask("policy list")["policies"]])

    def test_while_no_agent_runs(self):
        """Fail-closed waits and gets its chain later, fail-open goes without, others do not notice."""
        for version in (4, 6):
            with self.subTest(ip=version), self.lab.rules("server", COUNT_SYNS):
                listeners = {port: self.listen(port, version) for port in (80, 81, 82)}
                bypassed, dropped = self.lab.count("client", "bypass"), self.lab.dropped(self.lab.agent_of("client"), "no_agent")
                address = self.lab.address("server", version)
                with self.dead():
                    plain = self.pair(listeners[82])
                    plain.ping()
                    closed = peers.start_connect(self.lab.netns("client"), address, 80)
                    self.addCleanup(closed.close)
                    went_open = self.pair(listeners[81])
                    went_open.ping()
                    peers.eventually(lambda: retransmits(closed) >= 2, "SYN not repeated")
                    self.assertEqual(self.lab.nft_counter("server", "closed"), 0)
                    self.assertEqual(self.lab.nft_counter("server", "open"), 1)
                    self.assertEqual(self.lab.nft_counter("server", "plain"), 1)
                self.assertEqual(peers.connected(closed), 0)
                accepted = listeners[80].accept()[0]
                peers.hand_over(closed, accepted, b"at last")
                accepted.close()
                src, dst = peers.endpoint(closed), peers.peer_endpoint(closed)
                for node in ("fw1", "fw2"):
                    self.assertTrue(self.lab.session(self.lab.agent_of(node), src, dst, node))
                self.assertEqual(self.lab.count("client", "bypass"), bypassed + 1)
                self.assertGreater(self.lab.dropped(self.lab.agent_of("client"), "no_agent"), dropped)
                went_open.ping()
                plain.ping()

    def test_killed_in_the_middle_of_setups(self):
        """Whatever a set-up had reached when the agents died: it works, or it leaves nothing."""
        listener = self.listen()
        listener.setblocking(False)
        clients, servers = [], []
        corpses = []
        for i in range(120):
            clients.append(peers.start_connect(self.lab.netns("client"), self.lab.address("server"), 80))
            if i % 40 == 20:
                corpses = [self.lab.kill_agent(self.lab.agents[i // 40 % len(self.lab.agents)])]
            if i % 40 == 30:
                self.restart_all(corpses)
            with contextlib.suppress(BlockingIOError):
                servers.append(listener.accept()[0])

        def all_up():
            with contextlib.suppress(BlockingIOError):
                while True:
                    servers.append(listener.accept()[0])
            return all(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1 for s in clients)

        peers.eventually(all_up, lambda: f"{len(servers)} of {len(clients)} connected")
        for s in clients:
            self.assertEqual(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
        for s in clients + servers:
            s.close()
        self.lab.nothing_left()


class CrashOfPorts(Crash):
    mode = "port"
