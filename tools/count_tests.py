#!/usr/bin/env python3
"""Counts the tests of one build: GoogleTest results (test-results/*.json) and the scripts' own lines.

usage: count_tests.py BUILD_DIR

A script test writes test-results/NAME.txt with lines `PASS what`, `FAIL what: why`, `SKIP what: why`.
Prints what failed and what was skipped with its reason, and as its last line three numbers: passed failed skipped.
With CI=true and root a skipped script test counts as failed: there everything must run.
"""
import json
import os
import pathlib
import sys


def main():
    build = pathlib.Path(sys.argv[1])
    passed = failed = skipped = 0
    strict = os.environ.get("CI") == "true" and os.geteuid() == 0
    for path in sorted((build / "test-results").glob("*.json")):
        for suite in json.loads(path.read_text()).get("testsuites", []):
            for test in suite["testsuite"]:
                name = f"{suite['name']}.{test['name']}"
                if test.get("failures"):
                    failed += 1
                    print(f"FAIL {path.stem} {name}")
                elif test.get("result") == "SKIPPED":
                    reason = " ".join(s.get("message", "") for s in test.get("skipped", [])).strip().split("\n")[-1]
                    if strict:
                        failed += 1
                        print(f"FAIL {path.stem} {name}: skipped in CI: {reason}")
                    else:
                        skipped += 1
                        print(f"SKIP {path.stem} {name}: {reason}")
                elif test.get("status") == "RUN":
                    passed += 1
    for path in sorted((build / "test-results").glob("*.txt")):
        for line in path.read_text().splitlines():
            word = line.split(" ", 1)[0]
            if word == "PASS":
                passed += 1
            elif word == "FAIL" or (word == "SKIP" and strict):
                failed += 1
                print(f"{path.stem}: {line}" + (" (must run in CI)" if word == "SKIP" else ""))
            elif word == "SKIP":
                skipped += 1
                print(f"{path.stem}: {line}")
    print(f"== {build.name}: {passed} passed, {failed} failed, {skipped} skipped")
    print(passed, failed, skipped)
    return 0


if __name__ == "__main__":
    sys.exit(main())
