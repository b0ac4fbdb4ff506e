#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes a file's bytes as the inside of a C array: embed.py INPUT OUTPUT."""
import sys

with open(sys.argv[1], "rb") as source, open(sys.argv[2], "w", encoding="ascii") as out:
    data = source.read()
    for at in range(0, len(data), 16):
        out.write(",".join(str(b) for b in data[at : at + 16]) + ",\n")
