#!/usr/bin/env python3
"""A back end of kind "command" for Tidewall that keeps its rules in a file. usage: rule-file.py FILE

One run for each call: a JSON object on standard input, one on standard output (docs/mitigators.md, "command"). Take it as
the beginning of a driver for a router, a scrubbing centre or a ticket system: replace load() and save() by what asks and
changes it. Whatever it cannot do it says in words that the operator and the client will read.
"""
import fcntl
import json
import os
import sys


def match(rule):
    """Two rules with the same match cannot stand side by side: the newer one replaces."""
    return json.dumps([rule["target"], rule.get("protocol"), rule.get("ports")])


class RuleFile:
    def __init__(self, path):
        self.path = path

    def load(self):
        try:
            with open(self.path, encoding="utf-8") as file:
                return {match(rule): rule for rule in json.load(file)}
        except FileNotFoundError:
            return {}

    def save(self, rules):
        """All or nothing: the old file is there until the new one is complete on the disk."""
        new = self.path + ".new"
        with open(new, "w", encoding="utf-8") as file:
            json.dump(list(rules.values()), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)


def answer(request, store):
    op = request["op"]
    if op == "abilities":
        # counts: list() gives "packets" and "bytes" for each rule. limits: takes the action "limit". scoped: matches
        # protocol and ports. exempts: wants to hear which DOTS peers must never be cut.
        return {"ok": True, "counts": False, "limits": True, "scoped": True, "exempts": False}
    if op == "list":
        return {"ok": True, "rules": list(store.load().values())}
    if op == "apply":
        rules = store.load()
        for number, change in enumerate(request["changes"]):
            rule = change["rule"]
            if change["change"] == "remove":
                rules.pop(match(rule), None)
            elif int(rule["target"].split("/")[1]) == 0:
                # Nothing of these changes is carried out; this one is named, and the others are tried again without it.
                return {"ok": False, "refused": [{"change": number, "reason": "policy", "error": "never everything"}]}
            else:
                rules[match(rule)] = rule
        store.save(rules)
        return {"ok": True}
    if op == "clear":
        store.save({})
        return {"ok": True}
    return {"ok": False, "error": f"there is no '{op}' here", "reason": "function"}


def main():
    path = sys.argv[1]
    # Somebody may run it by hand at the same time.
    with open(path + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        json.dump(answer(json.load(sys.stdin), RuleFile(path)), sys.stdout)


main()
