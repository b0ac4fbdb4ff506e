# SPDX-License-Identifier: BSD-2-Clause
"""The experiment of lab/examples/fig16.lab, shortly: two sessions move between two rate limiters."""
import json
import os
import tempfile
import unittest

from dyscotest import dysco, example, lab_name

RATES = {"slow": 10, "fast": 80}  # Mbit/s


class Fig16(unittest.TestCase):
    def test_sessions_move_between_limiters(self):
        """By the limiters' own counters each client's data goes where it was sent, and as much as there is room for."""
        with tempfile.TemporaryDirectory() as folder:
            picture = os.path.join(folder, "fig16.svg")
            settings = [word for name, rate in RATES.items() for word in ("--set", f"{name}={rate}mbit")]
            done = dysco("lab", "run", example("fig16.lab"), "--name", lab_name("fig16"), *settings, "--",
                         example("fig16"), "--seconds", "6", "--json", "--svg", picture)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            with open(picture, encoding="utf-8") as file:
                self.assertEqual(file.read().count("<polyline"), 2)
        result = json.loads(done.stdout.splitlines()[-1])
        first, second, third = result["phases"]
        self.assertEqual([(m["client"], m["to"]) for m in result["moves"]], [("c1", "fast"), ("c2", "slow")])
        self.moved(first["slow"]["c1"], first["fast"]["c1"])
        self.moved(first["fast"]["c2"], first["slow"]["c2"])
        self.moved(second["fast"]["c1"], second["slow"]["c1"])
        self.moved(second["fast"]["c2"], second["slow"]["c2"])
        self.moved(third["fast"]["c1"], third["slow"]["c1"])
        self.moved(third["slow"]["c2"], third["fast"]["c2"])
        # An eighth of the rate: far less than half of the bytes, on whatever machine.
        self.assertGreater(third["fast"]["c1"], 2 * first["slow"]["c1"])
        self.assertGreater(first["fast"]["c2"], 2 * third["slow"]["c2"])

    def moved(self, here, there):
        """All but what was on its way: bytes at the limiter it is at, and at the other."""
        self.assertGreater(here, 100000)
        self.assertGreater(here, 5 * there)
