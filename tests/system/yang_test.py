#!/usr/bin/env python3
"""What the data channel answers is valid by the published YANG modules. usage: yang_test.py BUILD_DIR BIN_DIR

The modules are not part of the project: they are looked for in TIDEWALL_YANG_MODULES, or in ../shared/spec/yang beside it.
Without them, or without yanglint, this says so and counts as nothing.
"""
import json
import os
import pathlib
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from data_channel_test import DATA, MODULE, Web, acls, alias, aliases, drop_list, registration  # noqa: E402
from rig import Rig, run, run_parts  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULES = pathlib.Path(os.environ.get("TIDEWALL_YANG_MODULES", ROOT.parent / "shared" / "spec" / "yang"))
NEEDED = ("ietf-access-control-list@2019-03-04.yang", "ietf-dots-data-channel@2020-05-28.yang")
LIBRARY = ("ietf-datastores@2018-02-14.yang", "ietf-yang-library@2019-01-04.yang")


def yanglint(rig, body, modules):
    """None when the body is valid, otherwise what is wrong."""
    file = rig.folder / "answer.json"
    file.write_text(body)
    # As an answer to a question: what is left out, and what depends on it, is not looked for.
    code, out, err = run(["yanglint", "-p", MODULES, "-t", "get", "-f", "json"] + [MODULES / m for m in modules] + [file])
    return None if code == 0 else (err or out)[-300:]


def entry(name, forwarding, **matches):
    return {"name": name, "matches": matches, "actions": {"forwarding": forwarding}}


def rich_list():
    """One entry for each kind of header, with what every server must take."""
    to = {"destination-ipv4-network": "203.0.113.0/24", "source-ipv4-network": "192.0.2.0/24", "protocol": 6}
    return {"name": "rich", "type": "ipv4-acl-type", "activation-type": "immediate", "aces": {"ace": [
        entry("tcp", "drop", ipv4=to, tcp={"flags-bitmask": {"operator": "not any", "bitmask": 16},
                                           "source-port-range-or-operator": {"lower-port": 1024, "upper-port": 2000},
                                           "destination-port-range-or-operator": {"operator": "eq", "port": 80}}),
        entry("udp", "accept", ipv4={**to, "protocol": 17}, udp={"length": 100}),
        entry("icmp", "drop", ipv4={**to, "protocol": 1}, icmp={"type": 8, "code": 0}),
        entry("fragments", "drop", ipv4={**to, "fragment": {"operator": "any", "type": "isf lf"}}),
        {**entry("limited", "accept", ipv4=to), "actions": {"forwarding": "accept", "rate-limit": "12500.50"}},
    ]}}


# R8040-5.2-01, R7951-6.8-01, D8783-4.2-01
def answers(report, bin_dir):
    """Answers are valid by the published modules."""
    with Rig(bin_dir) as rig:
        web = Web(rig, more="qualified_identities = true\n")
        rig.start("server")
        me = f"{DATA}/dots-client=yang"
        web.ask("POST", DATA, registration("yang"))
        named = {"name": "named", "target-fqdn": ["www.example.com"], "target-uri": ["https://www.example.com/"]}
        for body in (aliases(alias("https1"), alias("second", "203.0.113.64/26", 8443)), acls(drop_list("first")),
                     acls(rich_list())):
            made = web.ask("POST", me, body)
            report.check(made.status == 201, "what is asked about is made", made)
        web.ask("POST", me, aliases(named))
        for what in ("", "?content=config", "?depth=3", "?fields=dots-client(cuid;aliases)"):
            answer = web.ask("GET", f"{DATA}{what}")
            report.check(answer.status == 200 and "yang" in answer.body, f"GET of the tree{what} has an answer", answer)
            report.check((wrong := yanglint(rig, answer.body, NEEDED)) is None, f"GET of the tree{what} is valid", wrong)
        for path in ("capabilities", "dots-client=yang/aliases", "dots-client=yang/acls", "dots-client=yang/acls/acl=rich"):
            answer = web.ask("GET", f"{DATA}/{path}")
            # A resource below the top stands in the answer under its own name: put back in its place it is a datastore.
            parts = [p for p in path.split("/") if p]
            node = json.loads(answer.body)[f"{MODULE}:{'acls' if parts[-1].startswith('acl=') else parts[-1]}"]
            tree = {parts[0]: node} if len(parts) == 1 else {"dots-client": [
                {"cuid": "yang", ("acls" if "acls" in path else "aliases"): node}]}
            whole = json.dumps({f"{MODULE}:dots-data": tree})
            report.check((wrong := yanglint(rig, whole, NEEDED)) is None, f"GET of {path} is valid", wrong)
        for path in ("ietf-yang-library:yang-library", "ietf-yang-library:modules-state"):
            answer = web.ask("GET", f"/restconf/data/{path}")
            report.check(answer.status == 200 and (wrong := yanglint(rig, answer.body, LIBRARY)) is None,
                         f"{path} is valid", f"{answer} {wrong if answer.status == 200 else ''}")
        # The judge can say no.
        report.check(yanglint(rig, whole.replace('"name"', '"nome"', 1), NEEDED) is not None, "a wrong name is noticed")


if __name__ == "__main__":
    if shutil.which("yanglint") is None or not all((MODULES / m).exists() for m in NEEDED + LIBRARY):
        print(f"SKIP yang: needs yanglint and the published modules (TIDEWALL_YANG_MODULES; not in {MODULES})")
        sys.exit(77)
    run_parts("yang", 60, [answers])
