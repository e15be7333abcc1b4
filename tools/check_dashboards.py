#!/usr/bin/env python3
"""Every metric, label and condition that packaging/grafana and packaging/prometheus name is one of src/ops/facts.

usage: check_dashboards.py [--root DIR] [--self-test]"""
import argparse
import json
import pathlib
import re
import sys

# Labels that Prometheus or PromQL bring.
FOREIGN_LABELS = {"job", "instance", "le"}


def facts(root):
    """(metric: (kind, label)), conditions."""
    text = (root / "src/ops/facts/metrics.inc").read_text(encoding="utf-8")
    metrics = {m[0]: (m[1], m[2]) for m in re.findall(r'^METRIC\("(\w+)", (\w+), "(\w*)"', text, re.M)}
    text = (root / "src/ops/facts/health.inc").read_text(encoding="utf-8")
    return metrics, set(re.findall(r'^HEALTH\("(\w+)"', text, re.M))


def base_name(name, metrics):
    for suffix in ("_bucket", "_sum", "_count"):
        stem = name.removesuffix(suffix)
        if stem != name and metrics.get(stem, ("",))[0] == "histogram":
            return stem
    return name


def problems_of(expression, metrics, conditions):
    """What is wrong with a PromQL expression, as far as names go."""
    out = []
    strings = re.findall(r'(\w+)\s*=~?\s*"([^"]*)"', expression)
    for label, value in strings:
        if label == "condition":
            out += [f"there is no condition {one}" for one in value.split("|") if one not in conditions]
    bare = re.sub(r'"[^"]*"', '""', expression)
    used = {base_name(name, metrics) for name in re.findall(r"\bdots_\w+", bare)}
    out += [f"there is no metric {name}" for name in sorted(used - set(metrics))]
    if not used and not re.search(r"\bup\b", bare):
        out.append("it names no metric")
    for name in re.findall(r"\bdots_\w+", bare):
        if metrics.get(name, ("",))[0] == "histogram":
            out.append(f"{name} is a histogram: use its _bucket, _sum or _count")
        if metrics.get(name, ("",))[0] == "counter" and not re.search(rf"(rate|increase|label_values)\({name}\b", bare):
            out.append(f"{name} is a counter and only grows: use rate()")
    known = FOREIGN_LABELS | {metrics[name][1] for name in used if name in metrics}
    grouped = {label.strip() for group in re.findall(r"\bby\s*\(([^)]*)\)", bare) for label in group.split(",")}
    for label in sorted(grouped | {label for label, _ in strings}):
        if label not in known:
            out.append(f"no metric of it has the label {label}")
    return out


def expressions(root):
    """(file, where, expression)"""
    for file in sorted((root / "packaging/grafana").glob("*.json")):
        dashboard = json.loads(file.read_text(encoding="utf-8"))
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield file, panel["title"], re.sub(r"\$\w+", "x", target["expr"])
    for file in sorted((root / "packaging/prometheus").glob("*.yml")):
        alert = "?"
        for line in file.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"\s*- alert: (\w+)", line):
                alert = found[1]
            if found := re.match(r"\s*expr: (.*)", line):
                yield file, alert, found[1]


def check(root):
    metrics, conditions = facts(root)
    bad, seen = 0, 0
    for file, where, expression in expressions(root):
        seen += 1
        for problem in problems_of(expression, metrics, conditions):
            bad += 1
            print(f"{file.relative_to(root)}: {where}: {problem}: {expression}")
    if seen < 10:
        print(f"only {seen} expressions were found")
        bad += 1
    print(f"{seen} expressions, {bad} problems")
    return bad == 0


def self_test():
    metrics = {"dots_a_total": ("counter", "queue"), "dots_g": ("gauge", "condition"), "dots_h_seconds": ("histogram", "m")}
    good = ["rate(dots_a_total[1m])", 'sum by (queue) (rate(dots_a_total{job="x"}[1m]))', 'dots_g{condition="X|Y"} > 0',
            "sum by (le, m) (rate(dots_h_seconds_bucket[5m]))", 'up{job="tidewall"} == 0']
    bad = ["rate(dots_b_total[1m])", "dots_a_total > 1", "sum by (other) (rate(dots_a_total[1m]))", 'dots_g{condition="X|Z"}',
           "rate(dots_h_seconds[5m])", "1 > 0", "dots_g_bucket"]
    wrong = [e for e in good if problems_of(e, metrics, {"X", "Y"})] + [e for e in bad if not problems_of(e, metrics, {"X", "Y"})]
    print("judged wrongly:", wrong)
    return not wrong


parser = argparse.ArgumentParser()
parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
parser.add_argument("--self-test", action="store_true")
options = parser.parse_args()
sys.exit(0 if (self_test() if options.self_test else check(options.root)) else 1)
