#!/usr/bin/env python3
"""Breaks one rule of the code at a time and looks whether a test notices.

usage: mutate.py [--only WORD] [--resume] [--list] [--check]

Reads tests/mutants/*.mutants, works in build/mutants (a copy of the sources and a build of its own), and writes the table
docs/mutants.md of mutants and their killers when all of them ran. Ends with 1 when a mutant survives, when one does not
compile, or when its text is not found exactly once in its file (the code has moved on: write the mutant again).
--check looks for that last thing alone, in a second. --resume takes the word of an earlier run for mutants that were killed
and whose file has not changed since (build/mutants/killed.json).

A mutant in the file, separated by empty lines; lines that start with '#' are notes:

    mutant: duplicates are delivered again
    rule:   RFC 7252 4.5, S9132-4.4-..
    file:   src/coap/exchanges.cpp
    - if (known) return replay(*known);
    + if (false) return replay(*known);
    tests:  dots_coap_test dots_agent_server_test

Several '-' lines stand for consecutive lines, as do the '+' lines; leading blanks do not count in '-'.
"""
import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutants"
COPY = WORK / "tree"
BUILD = COPY / "build" / "dev"
KILLED = WORK / "killed.json"
PAGE = ROOT / "docs" / "mutants.md"
FOLDERS = ("src", "apps", "tests", "cmake", "tools", "scripts", "docs", "packaging")
TIME_LIMIT_S = 300
# What a mutant leaves without a use is no error.
MAY_BE_UNUSED = "-Wno-unused-function -Wno-unused-parameter -Wno-unused-variable -Wno-unused-but-set-variable"


class Mutant:
    def __init__(self, where):
        self.where, self.name, self.rule, self.file = where, "", "", ""
        self.old, self.new, self.tests = [], [], []

    def __str__(self):
        return f"{self.where}: {self.name}"


def read_mutants():
    mutants = []
    for path in sorted((ROOT / "tests" / "mutants").glob("*.mutants")):
        current = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith("#"):
                continue
            if not line.strip():
                current = None
                continue
            if current is None:
                current = Mutant(f"{path.name}:{number}")
                mutants.append(current)
            key, _, value = line.partition(":")
            if line.startswith("-"):
                current.old.append(line[1:].strip())
            elif line.startswith("+"):
                current.new.append(line[1:].strip())
            elif key == "mutant":
                current.name = value.strip()
            elif key in ("rule", "file"):
                setattr(current, key, value.strip())
            elif key == "tests":
                current.tests = value.split()
            else:
                sys.exit(f"{path.name}:{number}: not understood: {line}")
    names = set()
    for mutant in mutants:
        if not (mutant.name and mutant.rule and mutant.file and mutant.old and mutant.tests):
            sys.exit(f"{mutant}: name, rule, file, '-' lines and tests are needed")
        if mutant.name in names:
            sys.exit(f"{mutant}: this name stands twice")
        names.add(mutant.name)
    return mutants


def broken(mutant, text):
    """The text with the mutation, or None when its place is not found exactly once."""
    lines = text.splitlines()
    stripped = [line.strip() for line in lines]
    size = len(mutant.old)
    places = [i for i in range(len(lines) - size + 1) if stripped[i:i + size] == mutant.old]
    if len(places) != 1:
        return None
    at = places[0]
    indent = re.match(r"\s*", lines[at])[0]
    return "\n".join(lines[:at] + [indent + line for line in mutant.new] + lines[at + size:]) + "\n"


def stale(mutants):
    out = []
    for mutant in mutants:
        path = ROOT / mutant.file
        if not path.exists():
            out.append(f"{mutant}: there is no {mutant.file}")
        elif broken(mutant, path.read_text()) is None:
            out.append(f"{mutant}: its text is not found exactly once in {mutant.file}")
    return out


def run(command, limit_s=None):
    try:
        done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=limit_s, check=False)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        return 124, (error.stdout or b"").decode(errors="replace") if isinstance(error.stdout, bytes) else (error.stdout or "")


def mirror(source, target):
    """Files that are the same are not touched, so that a second run builds only what changed."""
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    for path in wanted:
        to = target / path
        if not to.exists() or to.read_bytes() != (source / path).read_bytes():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / path, to)
    for path in [p for p in target.rglob("*") if p.is_file() and p.relative_to(target) not in wanted]:
        path.unlink()


def prepare(targets):
    COPY.mkdir(parents=True, exist_ok=True)
    for folder in FOLDERS:
        mirror(ROOT / folder, COPY / folder)
    for name in ("CMakeLists.txt", "CMakePresets.json"):
        shutil.copy2(ROOT / name, COPY / name)
    code, out = run(["cmake", "-S", COPY, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
                     "-DCMAKE_CXX_FLAGS_DEBUG=-O0 -g1 " + MAY_BE_UNUSED])
    if code == 0:
        code, out = run(["ninja", "-C", BUILD, *targets])
    if code != 0:
        sys.exit(out[-4000:])
    for target in targets:
        code, out = run([BUILD / "bin" / target, "--gtest_brief=1"], TIME_LIMIT_S)
        if code != 0:
            sys.exit(f"{target} fails without any mutant:\n{out[-2000:]}")


def killer_of(mutant):
    """(test that noticed, '') or ('', why not)."""
    code, out = run(["ninja", "-C", BUILD, *mutant.tests])
    if code != 0:
        errors = [line for line in out.splitlines() if "error:" in line]
        return "", "does not compile: " + (errors[0] if errors else out[-300:])
    for target in mutant.tests:
        code, out = run([BUILD / "bin" / target, "--gtest_brief=1"], TIME_LIMIT_S)
        if code == 0:
            continue
        failed = re.search(r"\[  FAILED  \] ([\w/.]+)", out)
        what = failed[1] if failed else ("ran longer than its time" if code == 124 else f"ended with {code}")
        return f"{target}: {what}", ""
    return "", "survived " + ", ".join(mutant.tests)


class Memory:
    """Who was killed by what, over runs."""

    def __init__(self):
        self.known = json.loads(KILLED.read_text()) if KILLED.exists() else {}

    @staticmethod
    def _mark(mutant):
        parts = [mutant.file, *mutant.old, "->", *mutant.new, (ROOT / mutant.file).read_text()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def killer(self, mutant):
        entry = self.known.get(mutant.name)
        same = entry and entry["mark"] == self._mark(mutant) and entry["killer"].split(":")[0] in mutant.tests
        return entry["killer"] if same else ""

    def remember(self, mutant, killer):
        self.known[mutant.name] = {"mark": self._mark(mutant), "killer": killer}
        WORK.mkdir(parents=True, exist_ok=True)
        KILLED.write_text(json.dumps(self.known, indent=1))


def write_page(results):
    lines = ["# Mutants", "",
             "<!-- Written by scripts/mutate.sh. -->", "",
             "Each row is one rule of the code, broken on purpose, and the first test that noticed. `scripts/mutate.sh` breaks them",
             "again, one at a time, and fails when one survives.", "",
             "| broken rule | source of the rule | file | killed by |", "| --- | --- | --- | --- |"]
    lines += [f"| {m.name} | {m.rule} | `{m.file}` | `{killer}` |" for m, killer in results]
    PAGE.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only mutants whose name, rule or file has this word")
    parser.add_argument("--check", action="store_true", help="only look whether all mutants still fit the code")
    parser.add_argument("--resume", action="store_true", help="not those that an earlier run has killed")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    mutants = read_mutants()
    gone = stale(mutants)
    for line in gone:
        print(line)
    if options.check or gone:
        print(f"{len(mutants)} mutants, {len(gone)} of them no longer fit the code")
        return 1 if gone else 0
    chosen = [m for m in mutants if options.only.lower() in f"{m.name} {m.rule} {m.file}".lower()]
    if options.list:
        print("\n".join(str(m) for m in chosen))
        return 0
    begin = time.monotonic()
    memory = Memory()
    to_run = [m for m in chosen if not (options.resume and memory.killer(m))]
    if to_run:
        prepare(sorted({t for m in to_run for t in m.tests}))
    print(f"built in {time.monotonic() - begin:.0f} s; {len(chosen)} mutants, {len(to_run)} of them to run", flush=True)
    results, bad = [], 0
    for mutant in chosen:
        if mutant not in to_run:
            results.append((mutant, memory.killer(mutant)))
            continue
        path = COPY / mutant.file
        text = path.read_text()
        path.write_text(broken(mutant, text))
        try:
            killer, why = killer_of(mutant)
        finally:
            path.write_text(text)
        print(("killed    " if killer else "SURVIVED  ") + f"{mutant.name}: {killer or why}", flush=True)
        bad += 0 if killer else 1
        if killer:
            memory.remember(mutant, killer)
        results.append((mutant, killer))
    print(f"{len(chosen)} mutants, {len(chosen) - bad} killed, {bad} not; {time.monotonic() - begin:.0f} s")
    if bad == 0 and len(chosen) == len(mutants):
        write_page(results)
    return 1 if bad else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
