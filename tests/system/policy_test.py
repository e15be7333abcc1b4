#!/usr/bin/env python3
"""The policy of mitigations with real processes: choice of back ends, safety, the global stop. usage: policy_test.py BUILD_DIR BIN_DIR"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import Rig, run_parts, wait_for  # noqa: E402


def connected(rig):
    return wait_for(lambda: rig.json("client", "status")["servers"][0]["state"] == "connected", 15)


def mitigate(rig, address, *more):
    return rig.ctl("client", "mitigate", "--target-prefix", address, "--protocol", "udp", *more)


def installed(rig):
    """The targets of the rules that stand at the back ends."""
    return sorted(r["rule"].split()[-1] for r in rig.json("server", "explain")["rules"] if "since" in r)


def frozen(report, bin_dir):
    """A freeze installs nothing new and removes nothing, and outlives a restart."""
    with Rig(bin_dir) as rig:
        server = rig.start("server")
        rig.start("client")
        report.check(connected(rig), "the client is connected", rig.log("client")[-300:])
        code, out, err = mitigate(rig, "203.0.113.7/32", "--wait")
        report.check(code == 0, "a mitigation runs", out + err)

        code, out, err = rig.ctl("server", "unfreeze")
        report.check(code == 1 and "nothing is frozen" in err, "there is nothing to unfreeze", out + err)
        code, out, err = rig.ctl("server", "freeze", "--reason", "routers are changed")
        report.check(code == 0 and "frozen" in out, "the freeze is taken", out + err)
        mitigate(rig, "203.0.113.8/32")
        report.check(wait_for(lambda: len(rig.list("server")) == 2, 10), "a request is accepted all the same", rig.log("server")[-300:])
        mid = next(m for (_, m), one in rig.list("server").items() if one["addresses"] == ["203.0.113.7/32"])
        rig.ctl("server", "withdraw", str(mid))
        report.check(installed(rig) == ["203.0.113.7/32"], "nothing is installed and nothing removed", rig.json("server", "explain"))
        status = rig.json("server", "status")
        report.check(any(h["condition"] == "FROZEN" and "routers are changed" in h["details"] for h in status["health"]),
                     "the health says so", status["health"])
        statuses = {m["status"] for m in rig.list("server").values()}
        report.check(statuses == {"attack-mitigation-in-progress"}, "the client is told status 1", statuses)

        rig.stop(server)
        rig.start("server")
        report.check(wait_for(lambda: "frozen" in rig.json("server", "status")["mitigators"][0]["state"], 10),
                     "a restart does not end it", rig.json("server", "status")["mitigators"])
        code, out, err = rig.ctl("server", "unfreeze")
        report.check(code == 0, "the freeze ends", out + err)
        report.check(wait_for(lambda: installed(rig) == ["203.0.113.8/32"], 15), "what is wanted is installed",
                     rig.json("server", "explain"))
        actions = [a["action"] for a in rig.json("server", "audit")["audit"]]
        report.check("freeze" in actions and "unfreeze" in actions, "the audit log has both", actions)


CHAIN = """
[[mitigator]]
name = "first"
kind = "dry-run"
max_rules = 2

[[mitigator]]
name = "second"
kind = "nftables"
dry_run = true

[[mitigator]]
name = "routers"
kind = "gobgp-rtbh"
peers = ["203.0.113.30"]
dry_run = true

[[policy]]
name = "trial"
prefix_length_v4 = "32"
protocols = ["icmp"]
action = "observe"
reason = "a trial"

[[policy]]
name = "refused"
protocols = ["gre"]
action = "refuse"
reason = "no tunnels here"

[[policy]]
name = "both"
protocols = ["tcp"]
use = ["first", "second"]

[[policy]]
name = "others"
use = ["first"]
overflow = ["second"]

[safety]
targets = ["203.0.113.5"]
sources = ["198.51.100.0/24"]
"""


def chosen(report, bin_dir):
    """Policies choose back ends, a full one gives way, and what is safe stays out."""
    with Rig(bin_dir) as rig:
        text = rig.config("server").read_text()
        start = text.index("[[mitigator]]")
        end = text.index("[", start + len("[[mitigator]]"))
        rig.config("server").write_text(text[:start] + CHAIN + "\n" + text[end:])
        rig.start("server")
        rig.start("client")
        report.check(connected(rig), "the client is connected", rig.log("client")[-300:])

        def rules():
            return sorted((r["mitigator"], r["rule"].split()[-1]) for r in rig.json("server", "explain")["rules"])

        code, out, err = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.7/32", "--protocol", "tcp", "--wait")
        report.check(code == 0 and rules() == [("first", "203.0.113.7/32"), ("second", "203.0.113.7/32")],
                     "one request starts both back ends, and its status is the combined one", f"{out}{err}{rules()}")
        code, out, err = mitigate(rig, "203.0.113.8/32", "--wait")
        report.check(code == 0, "the last room of the first is taken", out + err)
        wait_for(lambda: rig.json("server", "what-if", "--domain", "example", "--target", "203.0.113.9", "--protocol", "udp")
                 ["parts"][0]["mitigator"] == "second", 5)
        code, out, err = mitigate(rig, "203.0.113.9/32", "--wait")
        report.check(code == 0 and ("second", "203.0.113.9/32") in rules() and ("first", "203.0.113.9/32") not in rules(),
                     "the overflow takes what the first has no room for", f"{out}{err}{rules()}")

        code, out, err = mitigate(rig, "203.0.113.4/31", "--wait")
        report.check(code == 0 and ("second", "203.0.113.4/32") in rules() and not any(t == "203.0.113.5/32" for _, t in rules()),
                     "a target is split around what is safe", f"{out}{err}{rules()}")
        code, out, err = mitigate(rig, "203.0.113.5/32", "--wait", "--wait-time", "5")
        report.check(code == 1 and "protected from mitigation" in err, "what is safe is refused", out + err)
        code, out, err = mitigate(rig, "203.0.113.30/32", "--wait", "--wait-time", "5")
        report.check(code == 1 and "protected from mitigation" in err, "so is a BGP peer of a back end", out + err)
        code, out, err = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.6/32", "--protocol", "gre", "--wait",
                                 "--wait-time", "5")
        report.check(code == 1 and "no tunnels here" in err, "a policy refuses with its reason", out + err)
        code, out, err = mitigate(rig, "0.0.0.0/0", "--wait", "--wait-time", "5")
        report.check(code == 1 and "cannot be mitigated" in err, "everything at once is refused clearly", out + err)

        rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.10/32", "--protocol", "icmp")
        seen = wait_for(lambda: [m for m in rig.list("server").values() if m["addresses"] == ["203.0.113.10/32"]], 10)
        report.check(seen and seen[0]["status"] == "attack-mitigation-in-progress" and "nothing is started" in str(seen[0]),
                     "what is only observed is accepted, and said to be not started", seen)

        code, out, err = rig.ctl("server", "policy")
        report.check(code == 0 and "3. both" in out and "203.0.113.5/32" in out and "dry" in out.lower(), "the chain prints itself", out + err)
        code, out, err = rig.ctl("server", "what-if", "--domain", "example", "--target", "203.0.113.20", "--protocol", "icmp")
        report.check(code == 0 and "-> policy 'trial'" in out, "what-if tells the policy that decides", out + err)
        code, out, err = rig.ctl("server", "what-if", "--domain", "example", "--target", "198.51.100.1")
        report.check(code == 0 and "is in none of the prefixes" in out, "what-if knows what a domain owns", out + err)
        code, out, err = rig.ctl("server", "what-if", "--domain", "nobody", "--target", "203.0.113.20")
        report.check(code == 4, "what-if knows its domains", out + err)
        rig.edit("server", r'^use = \["first", "second"\]$', 'use = ["second"]')
        code, out, err = rig.ctl("server", "reload")
        report.check(code == 0 and wait_for(lambda: ("first", "203.0.113.7/32") not in rules(), 5)
                     and ("second", "203.0.113.7/32") in rules(), "a reload moves what runs to the back ends of the new policy",
                     f"{out}{err}{rules()}")

        def sources():
            lists = [f for f in rig.json("server", "explain")["filters"] if "safe-sources" in str(f)]
            return sorted({e for f in lists for e in ("198.51.100.0/24", "192.0.2.128/25") if e in str(f)}), lists

        report.check(wait_for(lambda: sources()[0] == ["198.51.100.0/24"], 5), "safe sources pass before all drops", sources())
        rig.edit("server", r'^sources = .*$', 'sources = ["192.0.2.128/25"]')
        code, out, err = rig.ctl("server", "reload")
        report.check(code == 0 and wait_for(lambda: sources()[0] == ["192.0.2.128/25"], 5), "a reload changes them",
                     f"{out}{err}{sources()}")
        states = {m["name"]: m["state"] for m in rig.json("server", "status")["mitigators"]}
        report.check(states.get("second") == "dry run: nothing is installed", "a dry run says so", states)


run_parts("policy", 110, [frozen, chosen])
