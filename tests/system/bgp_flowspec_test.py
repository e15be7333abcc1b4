#!/usr/bin/env python3
"""Flow specifications through GoBGP to BIRD. usage: bgp_flowspec_test.py BUILD_DIR BIN_DIR"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from bgp_lab import FAMILIES, Lab, request  # noqa: E402
from rig import need, run, run_parts, wait_for  # noqa: E402

MODULE = "ietf-dots-data-channel"
DATA = f"/restconf/data/{MODULE}:dots-data"
WEB_PORT = 4643
V4, V6 = "203.0.113.10", "2001:db8:b::10"
DISCARD = "(generic, 0x80060000, 0x0)"  # traffic-rate 0 (RFC 8955 7.3)


def shown(lab, *parts):
    """One route of BIRD's flow tables that has all of these in its line."""
    lines = [line for line in lab.flows().splitlines() if line.startswith("flow")]
    return any(all(part in line for part in parts) for line in lines)


def rules(report, bin_dir):
    """Requests become flow specifications of both families, and go with them."""
    with Lab(bin_dir, "gobgp-flowspec") as lab:
        rig = lab.rig
        rig.edit("server", r'^broad_scope = .*$', 'broad_scope = "limit"\nbroad_scope_limit_bytes_per_s = 125000')
        rig.start("server")
        report.check(lab.established(), "gobgpd and BIRD have a session")
        since = lab.session_since()
        answer = lab.put(1, request([f"{V4}/32", f"{V6}/128"], protocol=17, port=53))
        report.check(answer.code == "2.01" and lab.mitigated(1), "a request for UDP port 53 is mitigated",
                     f"{answer} {lab.status(1)} {rig.log('server')[-500:]}")
        report.check(wait_for(lambda: shown(lab, f"dst {V4}/32", "proto 17", "dport 53"), 5), "BIRD has it for IPv4", lab.flows())
        report.check(shown(lab, f"dst {V6}/128", "next header 17", "dport 53"), "and for IPv6", lab.flows())
        report.check(lab.flows().count(DISCARD) >= 2 and "(65535,65281)" in lab.flows(), "to discard, with no-export", lab.flows())
        answer = lab.put(2, request(["203.0.113.11/32"]))
        wanted = "(generic, 0x80060000, 0x47f42400)"  # 125000.0
        report.check(answer.code == "2.01" and lab.mitigated(2) and wait_for(lambda: wanted in lab.flows(), 5),
                     "a request for everything is limited, by traffic-rate", lab.flows())
        for _ in range(2):
            lab.put(1, request([f"{V4}/32", f"{V6}/128"], protocol=17, port=53, lifetime=1800))
        lab.put(3, request([f"{V4}/32"], protocol=17, port=53))
        lab.delete(1)
        gone = wait_for(lambda: not shown(lab, f"dst {V6}/128"), 10)
        report.check(gone and shown(lab, f"dst {V4}/32") and lab.status(3) == "attack-successfully-mitigated",
                     "what two mitigations share stays", f"{lab.flows()} {rig.list()}")
        lab.delete(2)
        lab.delete(3)
        report.check(wait_for(lambda: "flow4" not in lab.flows() and "flow6" not in lab.flows(), 15),
                     "at the end nothing is left", lab.flows())
        report.check(lab.session_kept(since), "and the session was never reset", f"{since} {lab.session_since()}")


def filters(report, bin_dir):
    """Filters of the data channel become flow specifications, joined and split to 239 octets."""
    need("curl")
    with Lab(bin_dir, "gobgp-flowspec") as lab:
        rig = lab.rig
        with rig.config("server").open("a") as config:
            config.write(f'\n[data_channel]\nlisten = ["127.0.0.1:{WEB_PORT}"]\n')
        rig.start("server")
        report.check(lab.established(), "gobgpd and BIRD have a session")
        since = lab.session_since()

        def web(method, path, body=None):
            pki = rig.set / "pki"
            command = [*lab.inside("speaker"), "curl", "-sS", "--max-time", "20", "--cacert", pki / "ca.crt", "--cert",
                       pki / "client.crt", "--key", pki / "client.key", "-X", method, "-w", "\n%{http_code}"]
            if body is not None:
                file = rig.folder / "body.json"
                file.write_text(json.dumps(body))
                command += ["-H", "Content-Type: application/yang-data+json", "--data-binary", f"@{file}"]
            code, out, err = run([*command, f"https://localhost:{WEB_PORT}{DATA}{path}"])
            text, _, status = out.rpartition("\n")
            return (int(status), text) if code == 0 else (0, err)

        def put(name, aces):
            body = {f"{MODULE}:acls": {"acl": [{"name": name, "activation-type": "immediate", "aces": {"ace": aces}}]}}
            return web("PUT", f"/dots-client=c/acls/acl={name}", body)

        def states():
            return {f["name"]: [m["state"] for m in f["mitigators"]] for f in rig.json("server", "filters")["filters"]}

        def ace(name, port, forwarding="drop"):
            return {"name": name, "actions": {"forwarding": forwarding},
                    "matches": {"ipv4": {"destination-ipv4-network": "203.0.113.0/24", "source-ipv4-network": "198.51.100.0/24"},
                                "udp": {"destination-port-range-or-operator": {"operator": "eq", "port": port}}}}

        status, text = web("POST", "", {f"{MODULE}:dots-client": [{"cuid": "c"}]})
        report.check(status == 201, "a client registers", f"{status} {text}")
        status, text = put("bad", [ace(f"p{i}", 1000 + 2 * i) for i in range(300)])
        report.check(status == 201, "a list of 300 ports is taken", f"{status} {text}")
        report.check(wait_for(lambda: states().get("bad") == ["installed"], 10), "and installed", f"{states()} {rig.log('server')[-300:]}")

        def announced():
            """What gobgpd announces; BIRD shortens such long lines."""
            return re.findall(r"\[destination-port:([^\]]*)\]", lab.gobgp("global", "rib", "-a", "ipv4-flowspec")[1])

        def ports():
            return {int(port) for route in announced() for port in re.findall(r"==(\d+)", route)}

        def received():
            return sum(line.startswith("flow4") and "src 198.51.100.0/24" in line for line in lab.flows().splitlines())

        everything = {1000 + 2 * i for i in range(300)}
        report.check(ports() == everything and wait_for(lambda: received() == len(announced()), 10),
                     "BIRD has every specification, the longest included", f"{received()} {len(announced())} {sorted(ports())[:9]}")
        report.check(4 <= received() <= 6 and lab.session_kept(since), "a few of them, and the session holds",
                     f"{received()} {since} {lab.session_since()}")
        report.check(put("friends", [ace("f", 53, "accept")])[0] == 201 and
                     wait_for(lambda: states().get("friends") == ["failed"], 10) and "an accept cannot be kept" in rig.log("server"),
                     "an accept-list is refused with its reason, where routers choose the order", f"{states()}")
        report.check(states().get("bad") == ["installed"] and ports() == everything, "and harms no other list", states())
        lab.kill("gobgpd")
        lab.start_gobgpd(restarting=True)
        report.check(wait_for(lambda: states().get("bad") == ["installed"] and ports() == everything and received() >= 4, 40),
                     "a gobgpd that starts again has the list again", f"{states()} {len(ports())} {received()}")
        web("DELETE", "/dots-client=c/acls/acl=bad")
        report.check(wait_for(lambda: received() == 0, 10), "deleted, it is withdrawn", lab.flows()[:300])


def instead_of_dropping(report, bin_dir):
    """Traffic that is to be dropped can be redirected or marked instead."""
    v4, v6 = f"{V4}/32", f"{V6}/128"
    for settings, wanted in (('drop_as = "redirect"\nredirect_rt = "64512:100"\n', "0x8008fc00, 0x64"),
                             ('drop_as = "mark"\ndscp = 10\n', "0x80090000, 0xa")):
        with Lab(bin_dir, "gobgp-flowspec", more=settings) as lab:
            lab.rig.start("server")
            lab.established()
            lab.put(1, request([v4, v6], protocol=17, port=53))
            report.check(lab.mitigated(1), f"{settings.splitlines()[0]}: mitigated", lab.status(1))
            flows = lab.flows()
            report.check(wait_for(lambda: wanted in lab.flows(), 5) and DISCARD not in lab.flows(),
                         "the router is told so", flows)


def families(report, bin_dir):
    """A session without the family is no session for its rules."""
    with Lab(bin_dir, "gobgp-flowspec", more='peers = ["10.99.0.2"]\n') as lab:
        lab.kill("gobgpd")
        lab.start_gobgpd(families=FAMILIES[:2] + FAMILIES[2:3])
        lab.rig.start("server")
        lab.established()
        lab.put(1, request([f"{V4}/32"], protocol=17, port=53))
        lab.put(2, request([f"{V6}/128"], protocol=17, port=53))
        report.check(lab.mitigated(1), "what the router takes is mitigated", lab.status(1))
        report.check(not lab.mitigated(2, 2), "what it cannot take is not", lab.status(2))
        explained = lab.rig.ctl("server", "explain")[1]
        report.check("takes no IPv6 flow specifications" in explained, "and explain says why", explained)


if __name__ == "__main__":
    run_parts("bgp_flowspec", 170, [rules, filters, instead_of_dropping, families])
