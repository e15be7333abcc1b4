#!/usr/bin/env python3
"""A person approves mitigations, with real daemons and a real HTTPS service. usage: approval_test.py BUILD_DIR BIN_DIR"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, Rig, cbor, need, run, run_parts, spawn, wait_for  # noqa: E402

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "docs/examples/mitigators/rule-service.py"
MITIGATED, PROGRESS = "attack-successfully-mitigated", "attack-mitigation-in-progress"
CUID = "it's; a $(cuid)"  # what people are to paste must survive this
PATH = f"{DOTS}/mitigate/cuid=it's%3B%20a%20$(cuid)"


class Site:
    """A server whose back end is a web service; a person hears of wide targets over another one and by mail."""

    def __init__(self, bin_dir):
        need("python3", "coap-client-openssl", "bash")
        self.rig = Rig(bin_dir)
        folder, pki = self.rig.folder, self.rig.set / "pki"
        for name in ("scrubber", "noc"):
            (folder / f"{name}.secret").write_text(f"a secret of the test for {name}\n")
            (folder / f"{name}.secret").chmod(0o600)
        self.ports = {name: self.service(name) for name in ("scrubber", "noc")}
        mail = folder / "mail"
        mail.write_text(f"#!/bin/sh\ncat >> {folder}/mails\n")
        mail.chmod(0o755)
        # Wide targets wait; so that only the service mitigates, the back end that `init` made is not used.
        config = "".join(f"""
[[mitigator]]
name = "{name}"
kind = "{kind}"
url = "https://localhost:{self.ports[name]}/tidewall"
url_ca_file = "{pki}/ca.crt"
secret_file = "{folder}/{name}.secret"
counters_every_ms = 200
{more}""" for name, kind, more in (
            ("scrubber", "webhook", 'on_stop = "keep"'),
            ("noc", "notify", f'mail_to = ["noc@example.net"]\nmail_command = ["{mail}"]\nnotice_every_s = 1')))
        config += '\n[[policy]]\nname = "scrub"\nuse = ["scrubber"]\n\n[safety]\napproval_above_v4 = 30\n'
        with open(self.rig.config("server"), "a", encoding="utf-8") as file:
            file.write(config)
        self.rig.edit("server", r"^prefixes = ", "terminating_period_s = 1\nterminating_period_max_s = 1\nprefixes = ")
        self.server = self.rig.start("server")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.rig.close()

    def service(self, name):
        pki, folder = self.rig.set / "pki", self.rig.folder
        process = spawn([sys.executable, EXAMPLE, "--certificate", pki / "server.crt", "--key", pki / "server.key", "--secret",
                         folder / f"{name}.secret", "--rules", folder / f"{name}.json", "--notices", folder / f"{name}.notices"],
                        stdout=subprocess.PIPE, text=True)
        self.rig.processes.append(process)
        return int(process.stdout.readline())

    def put(self, mid, prefix, lifetime=3600):
        body = cbor({1: {2: [{6: [prefix], 7: [{8: 53}], 10: [17], 14: lifetime, 54000: True}]}})
        return self.rig.coap("put", f"{PATH}/mid={mid}", body)

    def status(self, mid):
        one = self.rig.list().get((CUID, mid))
        return one and one["status"]

    def waits(self, mid):
        one = self.rig.list().get((CUID, mid)) or {}
        return one.get("approval", {}).get("state") == "waiting" and one["status"] == PROGRESS

    def rules(self):
        try:
            return sorted(rule["target"] for rule in json.loads((self.rig.folder / "scrubber.json").read_text()))
        except FileNotFoundError:
            return []

    def told(self, file="noc.notices"):
        path = self.rig.folder / file
        return path.read_text() if path.exists() else ""

    def type(self, command):
        """What an operator pastes into a shell."""
        command = command.replace("dotsctl ", f"{self.rig.bin}/dotsctl --config {self.rig.config('server')} ", 1)
        return run(["bash", "-c", command])

    def approve(self, mid, *more):
        return self.rig.ctl("server", "approve", str(mid), *more)


def asked(report, bin_dir):
    """A-016: a person is told of a request, approves it, and its status goes from 1 to 2."""
    with Site(bin_dir) as site:
        answer = site.put(1, "203.0.113.0/30")
        report.check(answer.code == "2.01" and wait_for(lambda: site.status(1) == MITIGATED, 15) and
                     site.rules() == ["203.0.113.0/30"], "what is not wide runs without a person", f"{answer} {site.rules()}")
        answer = site.put(2, "203.0.113.16/28")
        report.check(answer.code == "2.01" and site.waits(2), "A-016: a wide request is accepted and waits in status 1",
                     f"{answer} {site.rig.list()}")
        report.check(wait_for(lambda: "dotsctl approve 2" in site.told() and "dotsctl approve 2" in site.told("mails"), 15),
                     "A-016: a person is told, by the web service and by mail", site.told() + site.rig.log("server")[-300:])
        shown = site.rig.ctl("server", "show", "2")[1]
        report.check("waits for an operator" in shown and "203.0.113.16/28 is wider than /30" in shown,
                     "the operator sees what waits and why", shown)
        report.check(site.rules() == ["203.0.113.0/30"], "nothing is installed before", site.rules())
        log = next((line for line in site.rig.log("server").splitlines() if "APPROVAL_WANTED" in line), "")
        report.check("approve 2 --domain example --cuid 'it'\\''s; a $(cuid)'" in log.replace("\\\\", "\\"),
                     "the log has the command, and a cuid is one word of it", log)

        command = re.search(r"dotsctl approve 2 .*?--note TEXT", site.told("mails"))[0]
        code, out, err = site.type(command.replace("TEXT", "'the customer called'"))
        report.check(code == 0, "the command of the mail approves it as it stands there", out + err)
        report.check(wait_for(lambda: site.status(2) == MITIGATED, 15) and "203.0.113.16/28" in site.rules(),
                     "A-016: approved, it is installed, and the status is 2", f"{site.rules()} {site.rig.list()}")
        code, out, err = site.approve(2)
        report.check(code != 0 and "already" in out + err, "it cannot be approved twice", out + err)
        told = site.told().count("dotsctl approve 2")
        time.sleep(2.5)
        report.check(site.told().count("dotsctl approve 2") == told == 1, "the person was asked once", site.told())

        site.put(3, "203.0.113.16/29")
        report.check(wait_for(lambda: site.status(3) == MITIGATED, 15) and
                     site.rules() == ["203.0.113.0/30", "203.0.113.16/29"],
                     "a replacement that does not grow the scope keeps the approval", f"{site.rules()} {site.rig.list()}")
        site.put(4, "203.0.113.16/28")
        report.check(site.waits(4) and wait_for(lambda: "dotsctl approve 4" in site.told(), 15),
                     "one that grows it is asked for anew", site.rig.list())
        audit = [(a["action"], a["verdict"], a["actor"]) for a in site.rig.json("server", "audit")["audit"]]
        report.check(("approve", "waiting", "server") in audit and
                     any(a[:2] == ("approve", "accepted") and a[2].startswith("operator ") for a in audit),
                     "the audit log tells who waited and who approved", audit)


def refused(report, bin_dir):
    """A-016, U-009: a person refuses, and the client learns why."""
    with Site(bin_dir) as site:
        site.put(1, "203.0.113.16/28")
        observer = site.rig.coap_start("get", f"{PATH}/mid=1", None, more=("-s", "8"), seconds=10)
        time.sleep(2)
        code, out, err = site.rig.ctl("server", "refuse", "1")
        report.check(code != 0 and site.waits(1), "a refusal needs a reason", out + err)
        code, out, err = site.rig.ctl("server", "refuse", "1", "--reason", "call us first")
        answers = observer()
        last = [entry for i, answer in enumerate(answers.all) if answer[0] == "2.05" and answer[1]
                for entry in answers.scopes(i)]
        waiting, end = last[0] if last else {}, last[-1] if last else {}
        report.check(waiting.get(16) == 1 and waiting.get(54005) == 3 and "waits for the approval" in waiting.get(54006, ""),
                     "while it waits, its client is told so", waiting)
        report.check(code == 0 and end.get(16) == 7 and end.get(54005) == 3 and "call us first" in end.get(54006, ""),
                     "A-016, U-009: the client gets status 7 with the reason", f"{last} {out}{err}")
        report.check(site.rig.list() == {} and site.rules() == [], "and nothing of it is left", site.rig.list())
        report.check(wait_for(lambda: '"over": [{' in site.told(), 15), "the person is told that it is over", site.told())
        code, out, err = site.approve(1)
        report.check(code != 0 and "no such mitigation" in out + err, "it cannot be approved any more", out + err)


def lasting(report, bin_dir):
    """What waits and what is approved survives a restart, ends with its lifetime, and is frozen like all else."""
    with Site(bin_dir) as site:
        site.put(1, "203.0.113.16/28")
        site.put(2, "203.0.113.32/28")
        site.approve(2)
        report.check(wait_for(lambda: site.status(2) == MITIGATED, 15), "one is approved, one waits", site.rig.list())
        wait_for(lambda: "dotsctl approve 1" in site.told(), 10)
        site.server.kill()
        site.server.wait()
        site.server = site.rig.start("server")
        report.check(wait_for(lambda: site.status(2) == MITIGATED, 20) and site.waits(1) and site.rules() == ["203.0.113.32/28"],
                     "after a kill and a start one is in force and one waits", f"{site.rules()} {site.rig.list()}")
        time.sleep(1.5)
        report.check(site.told().count("dotsctl approve 1") == 1, "a restart asks nobody twice", site.told())

        site.rig.ctl("server", "freeze", "--reason", "routers are changed")
        code, out, err = site.approve(1)
        time.sleep(1.5)
        report.check(code == 0 and site.status(1) == PROGRESS and site.rules() == ["203.0.113.32/28"],
                     "in a freeze an approval is taken, and nothing is installed", f"{site.rules()} {out}{err}")
        site.rig.ctl("server", "unfreeze")
        report.check(wait_for(lambda: site.status(1) == MITIGATED, 15) and len(site.rules()) == 2, "and it is afterwards",
                     site.rig.list())

        site.put(5, "203.0.113.64/28", lifetime=6)
        report.check(site.waits(5), "a short one waits", site.rig.list())
        report.check(wait_for(lambda: (CUID, 5) not in site.rig.list(), 15) and len(site.rules()) == 2,
                     "a lifetime that ends while it waits is the end", site.rig.list())

        site.server.kill()
        site.server.wait()
        code, out, err = site.rig.ctl("server", "emergency", "list")
        report.check(code == 0 and out.count("203.0.113.") == 2, "without a daemon, emergency lists what the service has",
                     out + err)
        code, out, err = site.rig.ctl("server", "emergency", "remove-all")
        report.check(code == 0 and site.rules() == [], "and removes it", f"{site.rules()} {out}{err}")


run_parts("approval", 170, [asked, refused, lasting])
