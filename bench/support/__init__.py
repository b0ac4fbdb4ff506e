# SPDX-License-Identifier: BSD-2-Clause
"""What the benches share: the lab, the conditions of a measurement, its arithmetic."""


class Failure(Exception):
    """The bench cannot run, or what ran was not what it was to measure."""
