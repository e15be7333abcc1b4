#!/usr/bin/env python3
"""Draws the success curve of handshakes under loss as SVG.

usage: plot_curve.py CURVE.csv OUT.svg

The CSV is what `dots_handshake_loss --curve CURVE.csv` writes: loss,credential,second,part. One panel for each loss.
"""
import csv
import sys
from html import escape

WIDTH, HEIGHT, LEFT, TOP, GAP = 250, 190, 46, 34, 34
COLOURS = ["#1b6ca8", "#c1440e", "#2e8b57", "#8a63b3", "#b8860b", "#444444"]


def read(path):
    panels = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            lines = panels.setdefault(int(row["loss"]), {})
            lines.setdefault(row["credential"], []).append((float(row["second"]), float(row["part"])))
    return panels


def text(x, y, content, extra=""):
    return f'<text x="{x:.0f}" y="{y:.0f}" {extra}>{escape(content)}</text>'


def panel(left, loss, lines, longest):
    def at(second, part):
        return left + second / longest * WIDTH, TOP + (1 - part) * HEIGHT

    out = [text(left, TOP - 10, f"{loss} % lost each way", 'font-weight="bold"')]
    for part in (0, 0.25, 0.5, 0.75, 0.95, 1):
        x, y = at(0, part)
        out.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x + WIDTH:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        if part != 0.95:
            out.append(text(x - 6, y + 4, f"{part * 100:.0f} %", 'text-anchor="end" fill="#555"'))
    for second in range(0, int(longest) + 1, 10):
        x, y = at(second, 0)
        out.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{y + 4:.1f}" stroke="#888"/>')
        out.append(text(x, y + 17, str(second), 'text-anchor="middle" fill="#555"'))
    out.append(text(left + WIDTH / 2, TOP + HEIGHT + 34, "seconds since the start of the client",
                    'text-anchor="middle" fill="#555"'))
    for colour, points in zip(COLOURS, lines.values()):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(s, p) for s, p in points if s <= longest))
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    return out


def draw(panels):
    panels = {loss: lines for loss, lines in sorted(panels.items()) if loss > 0}
    longest = 40.0
    width = LEFT + len(panels) * (WIDTH + LEFT + GAP / 2)
    height = TOP + HEIGHT + 78
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" '
           f'height="{height}" font-family="sans-serif" font-size="11">',
           '<title>Part of the clients that have their session by then</title>',
           f'<rect width="{width:.0f}" height="{height}" fill="white"/>']
    for index, (loss, lines) in enumerate(panels.items()):
        out += panel(LEFT + index * (WIDTH + LEFT + GAP / 2), loss, lines, longest)
    x = LEFT
    for colour, name in zip(COLOURS, next(iter(panels.values()))):
        y = height - 14
        out.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 22}" y2="{y - 4}" stroke="{colour}" stroke-width="2.5"/>')
        out.append(text(x + 28, y, name))
        x += 48 + 7 * len(name)
    return "\n".join(out + ["</svg>", ""])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(draw(read(sys.argv[1])))


if __name__ == "__main__":
    main()
