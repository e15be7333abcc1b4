#!/usr/bin/env python3
"""A path that drops UDP: the client falls back to TCP, asks over it, and comes back. usage: udp_blocked_test.py BUILD_DIR BIN_DIR"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import Rig, Skip, need, need_root, run, run_parts, wait_for  # noqa: E402


def fall_back(report, bin_dir):
    """UDP dropped, then not (S9132-4.3-02, S9132-4.3-09)."""
    need_root()
    need("ip", "nft")
    name = f"twu{os.getpid()}"
    inside = ["ip", "netns", "exec", name]
    code, _, err = run(["ip", "netns", "add", name])
    if code != 0:
        raise Skip(f"no network namespaces here: {err}")
    try:
        run(["ip", "-n", name, "link", "set", "lo", "up"])
        with Rig(bin_dir, inside=inside) as rig:
            block = f"table inet block {{ chain c {{ type filter hook input priority 0; udp dport {rig.port} drop; }}; }}"
            code, _, err = run([*inside, "nft", block])
            if code != 0:
                raise Skip(f"nftables cannot be used here: {err}")
            rig.start("server")
            rig.start("client")

            def transport():
                sessions = rig.json("client", "status")["servers"][0]["sessions"]
                return next((s["transport"] for s in sessions if s["state"] == "open"), None)

            report.check(wait_for(lambda: transport() == "tcp", 5), "without UDP the session stands over TCP within seconds",
                         rig.log("client")[-600:])
            code, out, err = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.7/32")
            report.check(code == 0 and len(rig.list()) == 1, "a mitigation is asked for and granted over TCP", (code, out, err))
            run([*inside, "nft", "delete table inet block"])
            # The attempts over UDP that were begun repeat their flights for 60 s.
            report.check(wait_for(lambda: transport() == "udp", 25), "with UDP back the session moves there", rig.log("client")[-600:])
            report.check(len(rig.list()) == 1 and rig.list("client"), "and the mitigation stays", rig.list())
            sessions = rig.json("server", "status")["sessions"]
            report.check(wait_for(lambda: len(rig.json("server", "status")["sessions"]) == 1, 5), "one session is left", sessions)
    finally:
        run(["ip", "netns", "del", name])


if __name__ == "__main__":
    run_parts("udp-blocked", 80, [fall_back])
