#!/usr/bin/env python3
"""Back ends outside of the daemon, with real daemons. usage: back_ends_test.py BUILD_DIR BIN_DIR"""
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, HEARTBEAT, Rig, Skip, mitigation, need, need_root, run, run_parts, wait_for  # noqa: E402

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "docs/examples/mitigators/rule-file.py"
MITIGATED = "attack-successfully-mitigated"

# Does as the first line of the file "mode" says; else it is the program of docs/examples.
MOODY = """#!/bin/sh
mode=$(cat {folder}/mode)
case "$mode" in
  hang) exec sleep 60 ;;
  die) exit 9 ;;
  silent) exit 0 ;;
  nonsense) echo '[' ; exit 0 ;;
esac
exec {example} {folder}/rules.json
"""


class Site:
    """A server with the dry-run back end and a program beside it."""

    def __init__(self, bin_dir, mode="fine"):
        need("python3", "coap-client-openssl")
        self.rig = Rig(bin_dir)
        self.folder = self.rig.folder
        self.be(mode)
        program = self.folder / "program"
        program.write_text(MOODY.format(folder=self.folder, example=EXAMPLE))
        program.chmod(0o755)
        with open(self.rig.config("server"), "a", encoding="utf-8") as config:
            config.write(f'\n[[mitigator]]\nname = "program"\nkind = "command"\ncommand = ["{program}"]\n'
                         "timeout_ms = 1000\ncounters_every_ms = 200\n")
        self.rig.edit("server", r"^prefixes = ", "terminating_period_s = 1\nterminating_period_max_s = 1\nprefixes = ")
        self.rig.start("server")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.rig.close()

    def be(self, mode):
        (self.folder / "mode").write_text(mode)

    def rules(self):
        try:
            return [rule["target"] for rule in json.loads((self.folder / "rules.json").read_text())]
        except FileNotFoundError:
            return []

    def put(self, mid, prefix=None):
        return self.rig.coap("put", f"{DOTS}/mitigate/cuid=site/mid={mid}", mitigation(prefix or f"203.0.113.{mid}/32"))

    def delete(self, mid):
        return self.rig.coap("delete", f"{DOTS}/mitigate/cuid=site/mid={mid}")

    def status(self, mid):
        one = self.rig.list().get(("site", mid))
        return one and one["status"]

    def state(self):
        return {m["name"]: m["state"] for m in self.rig.json("server", "status")["mitigators"]}["program"]

    def mitigated(self, mid, seconds=15):
        return wait_for(lambda: self.status(mid) == MITIGATED, seconds)


def command(report, bin_dir):
    """A-015, A-017: a program as a back end, beside the built-in one."""
    with Site(bin_dir) as site:
        report.check(site.put(1).code == "2.01" and site.mitigated(1) and site.rules() == ["203.0.113.1/32"],
                     "A-015, A-017: a request reaches the program as rules, and the status is 2 when both back ends have it",
                     f"{site.rules()} {site.rig.list()}")
        explained = site.rig.ctl("server", "explain", "1")[1]
        report.check("back end   program" in explained and "not counted by this back end" in explained,
                     "explain tells what the program has, and that it cannot count", explained)
        listed = site.rig.list()[("site", 1)]
        report.check("bytes-dropped" not in listed, "what nobody counts is not shown as 0", listed)
        site.delete(1)
        report.check(wait_for(lambda: site.rules() == [], 15), "what ends goes from the program", site.rules())

        site.put(2)
        site.mitigated(2)
        (site.folder / "rules.json").write_text("[]")
        report.check(wait_for(lambda: site.rules() == ["203.0.113.2/32"], 15) and
                     "RULES_CHANGED_OUTSIDE" in site.rig.log("server"), "a program that lost its state gets it again",
                     site.rig.log("server")[-300:])
        (site.folder / "rules.json").write_text(json.dumps([{"action": "drop", "target": "198.51.100.0/24"}]))
        report.check(wait_for(lambda: site.rules() == ["203.0.113.2/32"], 15),
                     "rules that nobody can explain are removed from the program", site.rules())


def operator_stop(report, bin_dir):
    """A-047, U-009: the operator ends a mitigation at the server."""
    with Site(bin_dir) as site:
        site.put(1)
        site.mitigated(1)
        observer = site.rig.coap_start("get", f"{DOTS}/mitigate/cuid=site/mid=1", None, more=("-s", "8"), seconds=10)
        time.sleep(2)
        code, out, err = site.rig.ctl("server", "withdraw", "1", "--note", "enough")
        answers = observer()
        seen = [entry.get(16) for i, answer in enumerate(answers.all) if answer[0] == "2.05" and answer[1]
                for entry in answers.scopes(i)]
        report.check(code == 0 and 7 in seen, "A-047, U-009: a client that observes gets status 7 within seconds",
                     f"{seen} {out}{err} {answers}")
        report.check(wait_for(lambda: site.rules() == [], 10), "and the rules are gone from the program", site.rules())


def faults(report, bin_dir):
    """The program is dead at the start, dies, is silent, talks nonsense, hangs, and answers late."""
    with Site(bin_dir, "die") as site:
        report.check(site.put(1).code == "2.01" and wait_for(lambda: "status 9" in site.state(), 10),
                     "A-015: dead at the start: requests are taken, and the status of the server says what is wrong",
                     site.state())
        report.check(site.status(1) != MITIGATED, "and nothing is said to be mitigated", site.rig.list())
        site.be("fine")
        report.check(site.mitigated(1, 25) and site.rules() == ["203.0.113.1/32"], "when it is there it is caught up with",
                     site.rig.list())
        for mode, words in (("silent", "answered nothing"), ("nonsense", "no JSON"), ("die", "status 9")):
            site.be(mode)
            report.check(wait_for(lambda: words in site.state(), 15), f"a program that is {mode} is a fault in clear words",
                         site.state())
            site.be("fine")
            wait_for(lambda: site.state() == "ready", 25)

        site.be("hang")
        worst = beats = 0
        end = time.monotonic() + 6
        site.put(2)
        while time.monotonic() < end:
            began = time.monotonic()
            beat = site.rig.coap("put", f"{DOTS}/hb", HEARTBEAT, seconds=5)
            got = site.rig.coap("get", f"{DOTS}/mitigate/cuid=site/mid=2", seconds=5)
            if beat.code == "2.04" and got.code == "2.05":
                beats += 1
                worst = max(worst, time.monotonic() - began)
        report.check(beats >= 3 and worst < 3, "while it hangs, sessions, heartbeats and status requests are answered",
                     f"{beats} rounds, the slowest {worst:.2f} s")
        report.check(wait_for(lambda: "did not end in 1000 ms" in site.state(), 10), "and the status says that it hangs",
                     site.state())
        left = run(["ps", "-eo", "args"])[1]
        report.check(left.count(str(site.folder / "program")) <= 1, "what hung was killed", left[-300:])
        site.delete(2)
        site.be("fine")
        report.check(wait_for(lambda: site.state() == "ready", 25) and wait_for(lambda: site.rules() == ["203.0.113.1/32"], 10),
                     "what was withdrawn meanwhile is not installed later", site.rules())


def refusal(report, bin_dir):
    """One rule of many is refused."""
    with Site(bin_dir) as site:
        program = site.folder / "program"
        text = program.read_text().replace(str(EXAMPLE), str(site.folder / "picky.py"))
        picky = EXAMPLE.read_text().replace('int(rule["target"].split("/")[1]) == 0', 'rule["target"] == "203.0.113.2/32"')
        picky = picky.replace('"policy", "error": "never everything"', '"capacity", "error": "the table is full"')
        (site.folder / "picky.py").write_text(picky)
        (site.folder / "picky.py").chmod(0o755)
        program.write_text(text)
        for mid in (1, 2, 3):
            site.put(mid)
        report.check(site.mitigated(1) and site.mitigated(3), "a refused rule leaves the others in force", site.rig.list())
        report.check(wait_for(lambda: site.status(2) == "attack-exceeded-capability", 10),
                     "the one that does not fit has status 4", site.rig.list().get(("site", 2)))
        report.check("the table is full" in site.rig.ctl("server", "show", "2")[1], "and the operator sees why",
                     site.rig.ctl("server", "show", "2")[1])


def elsewhere(report, bin_dir):
    """nftables in another namespace, through helper_command."""
    need_root()
    need("ip", "nft", "coap-client-openssl")
    there = f"twb{os.getpid()}"
    if run(["ip", "netns", "add", there])[0] != 0:
        raise Skip("no network namespaces here")
    try:
        if run(["ip", "netns", "exec", there, "nft", "add table inet probe; delete table inet probe"])[0] != 0:
            raise Skip("nftables cannot be used here")
        ip = run(["sh", "-c", "command -v ip"])[1].strip()
        with Rig(bin_dir, mitigator="nftables") as rig:
            rig.edit("server", r'^kind = "nftables"', f'kind = "nftables"\nhelper_command = ["{ip}", "netns", "exec", '
                     f'"{there}", "{bin_dir}/dots-nft-helper"]')
            server = rig.start("server")
            rig.coap("put", f"{DOTS}/mitigate/cuid=site/mid=1", mitigation("203.0.113.1/32"))

            def table():
                return run(["ip", "netns", "exec", there, "nft", "list", "table", "inet", "tidewall"])[1]

            report.check(wait_for(lambda: "203.0.113.1 ." in table(), 15), "the rules are in the other namespace", table())
            report.check(wait_for(lambda: rig.list()[("site", 1)]["status"] == MITIGATED, 10), "and the status is 2", rig.list())
            rig.stop(server)
            report.check("203.0.113.1 ." not in table(), "and they go with the daemon", table())
    finally:
        run(["ip", "netns", "del", there])


run_parts("back_ends", 170, [command, operator_stop, faults, refusal, elsewhere])
