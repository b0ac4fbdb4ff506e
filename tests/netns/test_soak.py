# SPDX-License-Identifier: BSD-2-Clause
"""A moment of what `make soak` does for half an hour (./soak)."""
import json
import os
import subprocess
import unittest

from dyscotest import HERE


class Soak(unittest.TestCase):
    def test_a_moment(self):
        """Sessions survive changes, crashes and loss; nothing is left."""
        done = subprocess.run([os.path.join(HERE, "soak"), "--minutes", "0.1", "--sessions", "40", "--rate", "100000", "--bytes", "400000", "--kill", "1", "--pause", "0.1", "--linger", "10"],
                              capture_output=True, text=True, check=False, timeout=600)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        result = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual((result["wrong"], result["lost"], result["plain_lost"], result["left"], result["left_behind"]), (0, 0, 0, {}, []))
        for name in ("checked_bytes", "changes_done", "kills", "packets_lost"):
            self.assertGreater(result[name], 0, name)
