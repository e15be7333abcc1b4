#!/usr/bin/env python3
"""Our extensions between a real server and a real client, and towards a client that knows none of them
(docs/extensions.md). usage: extensions_test.py BUILD_DIR BIN_DIR"""
import http.client
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, Rig, cbor, free_port, run_parts, wait_for  # noqa: E402

EXTENSIONS, CONTRACT, SERVICE, USED, OFFERED, REASON, DIAGNOSTIC, ACTUAL = range(54000, 54008)


class Pair(Rig):
    """The rig's server with contracts and services, and its client."""

    def __init__(self, bin_dir, more="", roles=("server", "client")):
        super().__init__(bin_dir)
        self.edit("server", r'^prefixes = .*$', 'prefixes = ["203.0.113.0/24"]\nservices = ["limit", "rtbh"]\n'
                  f'max_targets_per_request = 2\nmax_mitigations = 3\n{more}')
        with open(self.config("server"), "a", encoding="utf-8") as file:
            file.write('\n[[domain.contract]]\nid = "gold"\nservices = ["scrubbing", "rtbh"]\nmax_lifetime_s = 600\n')
        for role in roles:
            self.start(role)

    def connected(self):
        return wait_for(lambda: self.json("client", "status")["servers"][0]["state"] == "connected", 15)

    def ask(self, *arguments):
        """Asks, waits for the server's word and returns what the client shows of it."""
        code, out, err = self.ctl("client", "mitigate", "--json", *arguments)
        if code != 0:
            raise RuntimeError(err)
        mid = json.loads(out)["mitigation"]["mid"]

        def view():
            one = self.json("client", "show", str(mid))["mitigation"]
            return one if one["phase"] not in ("requesting",) else None

        return wait_for(view, 10)


# A-040, U-025, U-026
def reasons(report, bin_dir):
    """Five refusals, five reasons, shown by the client."""
    with Pair(bin_dir) as rig:
        report.check(rig.connected(), "the client is connected", rig.log("client")[-300:])
        seen = {}
        for reason, arguments in (
                ("scope", ["--target-prefix", "198.51.100.1"]),
                ("contract", ["--target-prefix", "203.0.113.1", "--contract", "silver"]),
                ("function", ["--target-prefix", "203.0.113.1", "--service", "magic"]),
                ("policy", ["--target-prefix", "203.0.113.1,203.0.113.2,203.0.113.3"])):
            one = rig.ask(*arguments)
            seen[reason] = one
            report.check(one["phase"] == "refused" and one.get("refusal-reason") == reason, f"refused because of {reason}", one)
        report.check(seen["function"].get("offered-service") == ["limit", "rtbh"], "the offered services are told", seen["function"])
        report.check("198.51.100.1/32 is not within your domain" in seen["scope"]["refusal"], "with the words of the server",
                     seen["scope"])
        for last in range(1, 4):
            rig.ask("--target-prefix", f"203.0.113.{last}")
        full = rig.ask("--target-prefix", "203.0.113.9")
        report.check(full["phase"] == "waiting" and full.get("refusal-reason") == "capacity" and full["retry-in_s"] > 0,
                     "no room: a wait, because of capacity", full)
        _, out, _ = rig.ctl("client", "show", str(seen["contract"]["mid"]))
        report.check("refused because of" in out and "contract" in out, "dotsctl show says it to people", out)
        audit = rig.json("server", "audit", "--action", "refuse")["audit"]
        report.check(any("(contract)" in line["text"] for line in audit), "the audit log of the server has the reason", audit[:2])
        report.check(all(line["credential"].startswith("certificate ") for line in audit), "and by which credential", audit[:2])


# U-025, U-026, A-041
def contract_and_service(report, bin_dir):
    """A valid contract selects its limits, and the status names the service that is used."""
    with Pair(bin_dir) as rig:
        report.check(rig.connected(), "the client is connected", rig.log("client")[-300:])
        rig.ask("--target-prefix", "203.0.113.1", "--contract", "gold", "--lifetime", "1h")
        (key,) = rig.list("client")
        mid = str(key[1])

        def told():
            one = rig.json("client", "show", mid)["mitigation"]
            return one if "service-used" in one else None

        one = wait_for(told, 10)
        report.check(one and one["service-used"] == "scrubbing" and one["contract-id"] == "gold", "the service of the contract", one)
        report.check(one and one["lifetime"] <= 600, "and its limit of the lifetime", one)
        server = rig.json("server", "show", mid)["mitigations"][0]
        report.check(server.get("contract-id") == "gold" and server.get("service-used") == "scrubbing", "the server shows the same",
                     server)
        rig.stop(rig.processes[0])
        rig.start("server")
        server = rig.json("server", "show", mid)["mitigations"][0]
        report.check(server.get("contract-id") == "gold" and server.get("service-used") == "scrubbing", "also after a restart",
                     server)
        code, out, _ = rig.ctl("client", "show", mid)
        report.check(code == 0 and "service, used" in out and "contract" in out, "dotsctl show says it to people", out)
        code, out, _ = rig.ctl("server", "audit", "--json-lines", "--since", "1h", "--action", "request")
        lines = [json.loads(line) for line in out.splitlines()]
        report.check(code == 0 and len(lines) == 1 and lines[0]["actor"].startswith("client "), "one line of JSON in the audit", out)
        code, out, _ = rig.ctl("server", "audit", "--until", "2020-01-01", "--json-lines")
        report.check(code == 0 and out == "", "and none from before", out)


# A-041, U-064: the policy of the server mitigates more than was asked for, and has no room for the next one
def actual_scope(report, bin_dir):
    """The client shows requested and actual scope side by side, and why a mitigation cannot start."""
    with Pair(bin_dir, roles=()) as rig:
        rig.edit("server", r'^(name = "local")$', 'name = "local"\nmax_rules = 1')
        with open(rig.config("server"), "a", encoding="utf-8") as file:
            file.write('\n[[policy]]\nname = "wide"\nuse = ["local"]\nwiden_to_length_v4 = 25\n')
        rig.start("server")
        rig.start("client")
        report.check(rig.connected(), "the client is connected", rig.log("client")[-300:])
        mid = str(rig.ask("--target-prefix", "203.0.113.7", "--protocol", "udp")["mid"])

        def told(mid, member):
            one = rig.json("client", "show", mid)["mitigation"]
            return one if member in one else None

        one = wait_for(lambda: told(mid, "actual-prefix"), 10)
        report.check(one and one["actual-prefix"] == ["203.0.113.0/25"] and one["target-prefix"] == ["203.0.113.7/32"],
                     "requested and actual scope", one or rig.json("client", "show", mid))
        _, out, _ = rig.ctl("client", "show", mid)
        report.check("targets, requested" in out and "targets, actual" in out and "203.0.113.0/25" in out, "also for people", out)
        full = str(rig.ask("--target-prefix", "203.0.113.200", "--protocol", "udp")["mid"])
        one = wait_for(lambda: told(full, "refusal-reason"), 10)
        report.check(one and one["refusal-reason"] == "capacity" and one["status"] == "attack-exceeded-capability",
                     "accepted, and no room for it: status and reason", one or rig.json("client", "show", full))


REFUSER = """import json, os, sys
folder = os.path.dirname(sys.argv[0])
call = json.load(sys.stdin)
try:
    rules = json.load(open(folder + "/rules.json"))
except FileNotFoundError:
    rules = []
reason = open(folder + "/reason").read()
answer = {"ok": True}
if call["op"] == "abilities":
    answer.update(counts=False, limits=True, scoped=True, exempts=False)
elif call["op"] == "list":
    answer["rules"] = rules
elif call["op"] == "apply":
    wanted = [n for n, change in enumerate(call["changes"]) if change["change"] == "install"]
    if reason and wanted:
        answer = {"ok": False, "refused": [{"change": n, "reason": reason, "error": "no " + reason} for n in wanted]}
    else:
        for change in call["changes"]:
            rules = [rule for rule in rules if rule["target"] != change["rule"]["target"]]
            rules += [change["rule"]] if change["change"] == "install" else []
        json.dump(rules, open(folder + "/rules.json", "w"))
json.dump(answer, sys.stdout)
"""


# U-064: the request is accepted, and what drives the routers cannot start
def why_not_started(report, bin_dir):
    """A back end refuses with each reason; the client shows it with the status, and the mitigation starts when it can."""
    with Pair(bin_dir, roles=()) as rig:
        (rig.folder / "refuser.py").write_text(REFUSER)
        (rig.folder / "reason").write_text("")
        rig.edit("server", r'^max_mitigations = .*$', 'max_mitigations = 9')
        rig.edit("server", r'^kind = "dry-run"', f'kind = "command"\ncommand = ["{sys.executable}", "{rig.folder}/refuser.py"]')
        rig.start("server")
        rig.start("client")
        report.check(rig.connected(), "the client is connected", rig.log("client")[-300:])
        exceeded, waits = "attack-exceeded-capability", "attack-mitigation-in-progress"
        for last, (reason, status) in enumerate((("capacity", exceeded), ("bandwidth", exceeded), ("function", waits),
                                                 ("hardware", waits)), 1):
            (rig.folder / "reason").write_text(reason)
            mid = str(rig.ask("--target-prefix", f"203.0.113.{last}", "--protocol", "udp")["mid"])

            def shown(mid=mid):
                return rig.json("client", "show", mid)["mitigation"]

            told = wait_for(lambda: shown().get("refusal-reason") == reason, 10)
            report.check(told and shown()["status"] == status, f"accepted, and no {reason} to start: reason and status", shown())
        (rig.folder / "reason").write_text("")
        ran = wait_for(lambda: shown()["status"] == "attack-successfully-mitigated", 15)
        report.check(ran and "refusal-reason" not in shown(), "when there is, it starts", shown())


def is_text(answer):
    """libcoap's client prints text as text, and a body with a Content-Format in hexadecimal."""
    return answer.code == "4.00" and answer.all[0][1] == b"" and "[ ] :: 'target-prefix 198.51.100.1/32 is not within" in answer.text


def strangers(report, bin_dir):
    """A client without the extensions sees none of them; one that asks gets them, unless they are off."""
    plain = {6: ["198.51.100.1/32"], 10: [17], 14: 3600}
    for off in (False, True):
        with Rig(bin_dir) as rig:
            if off:
                rig.edit("server", r'^\[store\]', '[extensions]\nmode = "off"\n\n[store]')
            rig.start("server")
            answer = rig.coap("put", f"{DOTS}/mitigate/cuid=strange/mid=1", cbor({1: {2: [plain]}}))
            report.check(is_text(answer), "text for a stranger", answer)
            asking = {**plain, EXTENSIONS: True}
            answer = rig.coap("put", f"{DOTS}/mitigate/cuid=strange/mid=2", cbor({1: {2: [asking]}}))
            if off:
                report.check(is_text(answer), "text while they are off", answer)
            else:
                scope = answer.scopes()[0]
                report.check(answer.code == "4.00" and scope[REASON] == 1 and "not within" in scope[DIAGNOSTIC],
                             "a reason for one that asks", answer)
            # Private use of somebody else: comprehension-optional, so it changes nothing.
            other = {6: ["203.0.113.1/32"], 10: [17], 14: 3600, 60000: {1: 2}}
            answer = rig.coap("put", f"{DOTS}/mitigate/cuid=strange/mid=3", cbor({1: {2: [other]}}))
            report.check(answer.code == "2.01" and set(answer.scopes()[0]) == {5, 14}, "foreign extensions are ignored", answer)
            answer = rig.coap("get", f"{DOTS}/mitigate/cuid=strange/mid=3")
            report.check(all(key < 54000 for key in answer.scopes()[0]), "and the status has none of ours", answer)


def fetch(port, path):
    """(status, body) over plain HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def operations(report, bin_dir):
    """Rules, explain, metrics, health and a log for programs, of a daemon at work."""
    with Pair(bin_dir, roles=()) as rig:
        port = free_port()
        with open(rig.config("server"), "a", encoding="utf-8") as file:
            file.write(f'\n[log]\nformat = "json"\n\n[api]\nmetrics_address = "127.0.0.1:{port}"\n')
        rig.start("server")
        rig.start("client")
        report.check(rig.connected(), "the client is connected", rig.log("client")[-300:])
        report.check(fetch(port, "/healthz") == (200, "ok\n"), "alive", fetch(port, "/healthz"))
        report.check(fetch(port, "/readyz")[0] == 200, "and ready", fetch(port, "/readyz"))
        code, out, err = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.7", "--protocol", "udp", "--wait")
        report.check(code == 0, "a mitigation runs", out + err)
        rules = rig.json("server", "rules")
        report.check([(r["desired"], r["installed"], r.get("difference")) for r in rules["rules"]] == [(True, True, None)],
                     "its rule is desired and installed", rules)
        report.check(rules["rules"][0]["owners"][0]["domain"] == "example" and rules["totals"][0]["differing"] == 0,
                     "and for whom", rules)
        report.check(rig.json("server", "rules", "203.0.113.8")["rules"] == [], "none for another address", "")
        code, out, _ = rig.ctl("server", "rules", "--domain", "example")
        report.check(code == 0 and "DIFFERENCE" in out and "1 desired, 1 installed, 0 differ" in out, "as a table", out)
        code, out, _ = rig.ctl("server", "explain", "203.0.113.8")
        report.check(code == 0 and "nothing blocks 203.0.113.8/32" in out and "touches what domain example owns" in out,
                     "explain says clearly that nothing blocks an address", out)
        code, out, _ = rig.ctl("server", "explain", "203.0.113.7")
        report.check(code == 0 and "covers it: attack-successfully-mitigated" in out, "and what covers another", out)
        text = fetch(port, "/metrics")[1]
        report.check('dots_time_to_mitigate_seconds_count{mitigator="local"} 1\n' in text, "the time to mitigate is observed",
                     [line for line in text.splitlines() if "mitigate" in line][-3:])
        lines = [json.loads(line) for line in rig.log("server").splitlines()]
        report.check(len(lines) > 3 and all({"at", "severity", "id"} <= set(line) for line in lines), "each line of the log is an object",
                     lines[:2])


run_parts("extensions", 150, [reasons, contract_and_service, actual_scope, why_not_started, strangers, operations])
