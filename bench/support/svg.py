# SPDX-License-Identifier: BSD-2-Clause
"""Line charts as SVG, readable without a style sheet or a script."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 60
COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#7a4fa3")
TICKS = 6


class Axis:
    """Values between low and high on pixels between first and last."""

    def __init__(self, low, high, first, last, logarithmic=False):
        self.low, self.high, self.logarithmic = low, high if high > low else low + 1, logarithmic
        self.first, self.last = first, last

    def at(self, value):
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        return round(self.first + (value - low) / (high - low) * (self.last - self.first), 1)

    def ticks(self):
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            return [d * 10**p for p in powers for d in (1, 2, 5) if self.low <= d * 10**p <= self.high]
        step = 10 ** math.floor(math.log10((self.high - self.low) / TICKS))
        step *= next(f for f in (1, 2, 5, 10) if (self.high - self.low) / (step * f) <= TICKS)
        return [step * i for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def steps(values):
    """The points of the distribution function of these values."""
    ordered = sorted(values)
    points = [(ordered[0], 0.0)]
    for i, value in enumerate(ordered, start=1):
        points += [(value, points[-1][1]), (value, i / len(ordered))]
    return points


def text(x, y, words, anchor="middle", more=""):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" {more}>{escape(str(words))}</text>'


def line(x1, y1, x2, y2, colour, more=""):
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" {more}/>'


def frame(x, y, labels):
    bottom, out = HEIGHT - BOTTOM, []
    for value in x.ticks():
        out += [line(x.at(value), TOP, x.at(value), bottom, "#ddd"), text(x.at(value), bottom + 18, f"{value:g}")]
    for value in y.ticks():
        out += [line(LEFT, y.at(value), WIDTH - RIGHT, y.at(value), "#ddd"), text(LEFT - 8, y.at(value) + 4, f"{value:g}", "end")]
    middle = (TOP + bottom) / 2
    return [*out, text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, labels[0]),
            text(18, middle, labels[1], more=f'transform="rotate(-90 18 {middle})"')]


def curve(x, y, points, colour):
    path = " ".join(f"{x.at(a)},{y.at(b)}" for a, b in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def legend(names):
    out, at = [], LEFT
    for name, colour in zip(names, COLOURS):
        out += [line(at, TOP - 14, at + 20, TOP - 14, colour, 'stroke-width="3"'), text(at + 26, TOP - 10, name, "start")]
        at += 40 + 8 * len(name)
    return out


def chart(title, labels, series, marks=(), logarithmic=False):
    """series: points (x, y) by name, four at most; marks: (x, text) of upright lines."""
    xs = [a for points in series.values() for a, _ in points] + [at for at, _ in marks]
    ys = [b for points in series.values() for _, b in points]
    x = Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT, logarithmic)
    y = Axis(0, max(ys) * 1.05, HEIGHT - BOTTOM, TOP)
    body = frame(x, y, labels)
    for at, words in marks:
        body += [line(x.at(at), TOP, x.at(at), HEIGHT - BOTTOM, "#555", 'stroke-dasharray="4 3"'), text(x.at(at) + 4, TOP + 12, words, "start")]
    body += [curve(x, y, points, colour) for points, colour in zip(series.values(), COLOURS)]
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
                      'font-family="sans-serif" font-size="12">',
                      f"<title>{escape(title)}</title>", f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
                      *body, *legend(series), "</svg>"]) + "\n"


def write(path, drawing):
    with open(path, "w", encoding="utf-8") as file:
        file.write(drawing)
