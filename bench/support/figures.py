# SPDX-License-Identifier: BSD-2-Clause
"""Arithmetic of interleaved measurements."""

from statistics import median


def turns(variants, round_number):
    """The variants of a round, in an order that changes so that none profits from being first."""
    shift = round_number % len(variants)
    order = variants[shift:] + variants[:shift]
    return order if round_number // len(variants) % 2 == 0 else order[::-1]


def percentile(values, percent):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def ratios(measured, base):
    """Round by round, so that what slows both alike counts in neither."""
    return [m / b for m, b in zip(measured, base, strict=True)]


def interval(values):
    """Where the median of all such values lies, with 95 % confidence: the n-th from either end (sign test)."""
    ordered = sorted(values)
    n = max(0, int(len(ordered) / 2 - 0.98 * len(ordered) ** 0.5))
    return ordered[n], ordered[-1 - n]


def spread(values):
    return {"median": median(values), "min": min(values), "max": max(values)}
