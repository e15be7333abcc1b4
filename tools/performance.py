#!/usr/bin/env python3
"""Writes the figures of docs/performance.md from what dots-bench measured.

usage: performance.py [--root DIR] [--check] | --self-test

Reads docs/performance/run.json (`dots-bench run --json`) and docs/performance/growth.csv (`dots-bench growth --csv`), draws
docs/performance/*.svg and replaces what stands between the two marks of the page. --check writes nothing and ends with 1
when something would change. Needs nothing but Python.
"""
import argparse
import csv
import json
import math
import pathlib
import sys
from xml.sax.saxutils import escape

BEGIN = "<!-- begin of figures: written by tools/performance.py -->"
END = "<!-- end of figures -->"
COLOURS = ("#1b6ca8", "#c0504d", "#4f8f3a", "#7a5195", "#b8860b")
WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 130, 40, 48
# file, title, figure, what grows, unit of y, goals as (value, words)
PLOTS = (
    ("sessions.svg", "Work for a second of CPU against the bare DTLS echo, by sessions", "ratio", "sessions", 1.0, "",
     ((0.7, "goal 0.70"), (0.35, "goal of put-new 0.35"))),
    ("active.svg", "The same by active mitigations, 256 sessions", "ratio", "active", 1.0, "",
     ((0.35, "goal of put-new 0.35"),)),
    ("memory.svg", "Memory of a session just opened, PSK", "bytes", "sessions", 1024.0, " KB", ((16.0, "goal 16 KB"),)),
)


class Broken(Exception):
    """The data are not what dots-bench writes."""


def read_growth(text):
    """The points and the remarks of a growth.csv."""
    lines = text.splitlines()
    remarks = [line[2:] for line in lines if line.startswith("# ")]
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    points = []
    for row in rows:
        try:
            point = {key: row[key] for key in ("curve", "figure", "over")}
            point["at"] = int(row["at"])
            for key in ("value", "low", "high"):
                point[key] = float(row[key])
        except (KeyError, TypeError, ValueError) as error:
            raise Broken(f"growth.csv: {row}: {error}") from error
        if not point["low"] <= point["value"] <= point["high"]:
            raise Broken(f"growth.csv: {row}: the value is outside of its range")
        points.append(point)
    if not points:
        raise Broken("growth.csv has no points")
    return points, remarks


def nice_steps(top):
    """A step of 1, 2 or 5 times a power of ten that cuts 0..top into at most six parts."""
    power = 10.0 ** math.floor(math.log10(top / 6))
    return next(power * k for k in (1, 2, 5, 10) if top / (power * k) <= 6)


def number(value):
    return f"{value:,.10g}"


def plot(points, title, over, unit, unit_name, goals):
    """One SVG: x is logarithmic (0 stands at the left edge), y begins at 0."""
    ticks = sorted({p["at"] for p in points})
    scale = [math.log10(max(1, at)) for at in ticks]
    low = min((s for at, s in zip(ticks, scale) if at > 0), default=0.0)
    if ticks[0] == 0:
        low -= 1  # a decade further left
    span = max(scale[-1] - low, 1e-9)
    top = max([p["high"] / unit for p in points] + [value for value, _ in goals]) * 1.08

    def x(at):
        place = math.log10(at) if at > 0 else low
        return LEFT + (place - low) / span * (WIDTH - LEFT - RIGHT)

    def y(value):
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
           f'font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
           f'<text x="{LEFT}" y="22" font-size="14" fill="#222222">{escape(title)}</text>']
    step = nice_steps(top)
    for i in range(int(top / step) + 1):
        at = y(i * step)
        out.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}" stroke="#dddddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" fill="#444444">{number(round(i * step, 6))}{unit_name}</text>')
    for at in ticks:
        out.append(f'<text x="{x(at):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#444444">{at:,}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.1f}" y="{HEIGHT - 10}" text-anchor="middle" fill="#222222">{escape(over)}</text>')
    labels = []
    for value, words in goals:
        out.append(f'<line x1="{LEFT}" y1="{y(value):.1f}" x2="{WIDTH - RIGHT}" y2="{y(value):.1f}" stroke="#888888" stroke-dasharray="5 4"/>')
        labels.append((y(value), words, "#666666"))
    for i, curve in enumerate(dict.fromkeys(p["curve"] for p in points)):
        colour = COLOURS[i % len(COLOURS)]
        own = sorted((p for p in points if p["curve"] == curve), key=lambda p: p["at"])
        path = " ".join(f'{x(p["at"]):.1f},{y(p["value"] / unit):.1f}' for p in own)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for p in own:
            out.append(f'<line x1="{x(p["at"]):.1f}" y1="{y(p["low"] / unit):.1f}" x2="{x(p["at"]):.1f}" y2="{y(p["high"] / unit):.1f}" stroke="{colour}"/>')
            out.append(f'<circle cx="{x(p["at"]):.1f}" cy="{y(p["value"] / unit):.1f}" r="3.5" fill="{colour}"/>')
        labels.append((y(own[-1]["value"] / unit), curve, colour))
    # Labels that would lie on each other move down.
    before = -math.inf
    for at, words, colour in sorted(labels):
        at = max(at, before + 14)
        before = at
        out.append(f'<text x="{WIDTH - RIGHT + 10}" y="{at + 4:.1f}" fill="{colour}">{escape(words)}</text>')
    return "\n".join(out + ["</svg>", ""])


def rounded(value):
    """Three digits, as many as such a figure is worth."""
    if not value:
        return ""
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{round(value, digits):,.{digits}f}" if value < 1000 else f"{int(round(value, 2 - math.floor(math.log10(value)))):,}"


def table(rows):
    out = ["| work | credential | per cpu s | p50 / p95 / p99 ms | ratio (range) | memory each | goal | |",
           "| --- | --- | ---: | --- | --- | --- | --- | --- |"]
    for row in rows:
        note = row.get("note", "")
        if "skipped" in row:
            out.append(f"| {row['name']} | {row['credential']} | | | | | | SKIP: {row['skipped']} |")
            continue
        times = " / ".join(rounded(row[key] / 1000) for key in ("p50_us", "p95_us", "p99_us")) if row["p50_us"] else ""
        ratio = ""
        if "ratio" in row:
            ratio = f"{row['ratio']:.2f}"
            if len(row["ratios"]) > 1:
                ratio += f" ({min(row['ratios']):.2f}-{max(row['ratios']):.2f})"
        memory = f"{row['bytes_each'] / 1024:.1f} KB" if "bytes_each" in row else ""
        goals = row.get("goals", [])
        asked = "; ".join(goal["goal"] for goal in goals) or (f"(of {row['reference']})" if "reference" in row else "")
        verdict = ", ".join("met" if goal["met"] else "**short**" for goal in goals)
        told = "; ".join(part for part in (verdict, note) if part)
        out.append(f"| {row['name']} | {row['credential']} | {rounded(row['per_cpu_s'])} | {times} | {ratio} | {memory} | {asked} | {told} |")
    return out


def figures(run, points, remarks):
    """What stands between the marks."""
    machine, state, load = run["machine"], run["state"], run["load"]
    goals = [goal["met"] for row in run["rows"] for goal in row.get("goals", [])]
    out = [BEGIN, "",
           f"Taken {run['taken']} on {machine['cpus']} x {machine['cpu_model']}, {machine['kernel']}, "
           f"{machine['tls_library']}, {'optimised' if machine['optimised'] else 'NOT OPTIMISED'}, assertions "
           f"{'on' if machine['assertions'] else 'off'}, at a load of {machine['load']:.1f} by other work when it began; "
           f"{state['file_system']}, fsync p50 {state['fsync_p50_ms']:.2f} ms, p99 {state['fsync_p99_ms']:.2f} ms; "
           f"{load['rounds']} rounds."]
    if machine["load"] > machine["cpus"] / 2:
        out += ["", "**The machine was busy with other work.** Ratios are of turns that lie side by side and stay comparable; "
                "times include waiting for a processor and say little."]
    out += ["", *table(run["rows"]), "", f"{sum(goals)} of {len(goals)} goals are met."]
    out += ["", "How it grows (" + "; ".join(r for r in remarks if not r.startswith("skipped")) + "):", ""]
    for name, title, figure, over, *_ in PLOTS:
        if any(p["figure"] == figure and p["over"] == over for p in points):
            out.append(f"![{title}](performance/{name})")
    skipped = [r for r in remarks if r.startswith("skipped")]
    return "\n".join(out + ([""] + [f"- {r}" for r in skipped] if skipped else []) + ["", END])


def with_figures(page, text):
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise Broken("docs/performance.md has lost its marks")
    return head + text + tail


def outputs(root):
    """All files that come of the data, with their text."""
    folder = root / "docs" / "performance"
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    points, remarks = read_growth((folder / "growth.csv").read_text(encoding="utf-8"))
    found = {}
    for name, title, figure, over, unit, unit_name, goals in PLOTS:
        own = [p for p in points if p["figure"] == figure and p["over"] == over]
        if own:
            found[folder / name] = plot(own, title, over if over == "sessions" else "active mitigations", unit, unit_name, goals)
    page = root / "docs" / "performance.md"
    found[page] = with_figures(page.read_text(encoding="utf-8"), figures(run, points, remarks))
    return found


def self_test():
    sample = "# taken today\ncurve,figure,over,at,value,low,high\nget,ratio,sessions,256,0.5,0.4,0.6\nget,ratio,sessions,1000,0.4,0.4,0.4\n"
    points, remarks = read_growth(sample)
    assert remarks == ["taken today"] and [p["at"] for p in points] == [256, 1000] and points[0]["high"] == 0.6
    for bad in ("", "curve,figure,over,at,value,low,high\n", sample + "get,ratio,sessions,many,1,1,1\n",
                sample + "get,ratio,sessions,2000,0.1,0.4,0.6\n", sample + "get,ratio\n"):
        try:
            read_growth(bad)
        except Broken:
            continue
        raise AssertionError(f"taken: {bad!r}")
    drawn = plot(points, "A & B", "sessions", 1.0, "", ((0.7, "goal"),))
    import xml.etree.ElementTree as tree
    lines = [e for e in tree.fromstring(drawn).iter() if e.tag.endswith("polyline")]
    assert len(lines) == 1 and len(lines[0].get("points").split()) == 2
    first, last = (tuple(map(float, pair.split(","))) for pair in lines[0].get("points").split())
    assert first[0] == LEFT and last[0] == WIDTH - RIGHT and first[1] < last[1], "more is further up"
    zero = plot([dict(points[0], at=0), points[1]], "t", "active", 1.0, "", ())
    assert "nan" not in zero and tree.fromstring(zero) is not None
    assert [nice_steps(t) for t in (1.0, 0.76, 17.3)] == [0.2, 0.2, 5.0]
    assert (rounded(154321), rounded(0.4567), rounded(12.34), rounded(0), rounded(5.0)) == ("154,000", "0.457", "12.3", "", "5.00")
    rows = table([{"name": "x", "credential": "psk", "skipped": "no root"},
                  {"name": "y", "credential": "psk", "per_cpu_s": 10, "p50_us": 1000, "p95_us": 2000, "p99_us": 3000,
                   "ratio": 0.5, "ratios": [0.4, 0.6], "bytes_each": 2048, "goals": [{"goal": ">= 0.7", "met": False}]}])
    assert "SKIP: no root" in rows[2] and "0.50 (0.40-0.60)" in rows[3] and "2.0 KB" in rows[3] and "**short**" in rows[3]
    assert with_figures(f"a{BEGIN}old{END}b", "new") == "anewb"
    try:
        with_figures("nothing", "new")
    except Broken:
        return
    raise AssertionError("a page without marks was taken")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        self_test()
        return 0
    stale = 0
    for path, text in outputs(options.root).items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        print(f"{path.relative_to(options.root)} {'is not what the data say: run tools/performance.py' if options.check else 'written'}")
        if not options.check:
            path.write_text(text, encoding="utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
