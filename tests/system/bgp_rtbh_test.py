#!/usr/bin/env python3
"""Blackhole routes through GoBGP to BIRD and its kernel. usage: bgp_rtbh_test.py BUILD_DIR BIN_DIR"""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from bgp_lab import Lab, request  # noqa: E402
from rig import DOTS, HEARTBEAT, need, run_parts, wait_for  # noqa: E402

V4, V6 = "203.0.113.10", "2001:db8:b::10"
# The one request of every layout: all traffic to two addresses.
REQUEST = request([f"{V4}/32", f"{V6}/128"])


def the_same_request(report, lab, how):
    """What a client sees and what packets see, however it is done."""
    report.check(wait_for(lambda: lab.reaches(V4) and lab.reaches(V6), 10), f"{how}: the attacker reaches its victim")
    answer = lab.put(1, REQUEST)
    report.check(answer.code == "2.01" and lab.mitigated(1), f"{how}: the same request is accepted and mitigated",
                 f"{answer} {lab.status(1)} {lab.rig.log('server')[-600:]}")
    died = wait_for(lambda: not lab.reaches(V4) and not lab.reaches(V6), 10)
    report.check(died, f"{how}: its traffic dies", f"{lab.blackholes()}")
    report.check(lab.reaches("203.0.113.11") and lab.reaches("2001:db8:b::11"), f"{how}: that to neighbours does not")


def and_its_end(report, lab, how):
    answer = lab.delete(1)
    back = wait_for(lambda: lab.reaches(V4) and lab.reaches(V6), 15)
    report.check(answer.code == "2.02" and back, f"{how}: after the withdrawal traffic flows again", answer)


# A-019 U-006 U-052: the diverting back end.
def diverted(report, bin_dir):
    """A request becomes kernel blackhole routes of a router, by BGP."""
    with Lab(bin_dir, "gobgp-rtbh") as lab:
        lab.rig.start("server")
        report.check(lab.established(), "gobgpd and BIRD have a session", lab.birdc("show", "protocols", "all", "speaker")[1])
        lab.gobgp("global", "rib", "add", "-a", "ipv4", "203.0.113.77/32", "nexthop", "198.18.0.9", "community", "65535:666")
        lab.gobgp("global", "rib", "add", "-a", "ipv4", f"{V4}/32", "nexthop", "198.18.0.9", "community", "64512:1")
        the_same_request(report, lab, "RTBH")
        report.check(wait_for(lambda: sorted(lab.blackholes()) == sorted([V4, V6, "203.0.113.77"]), 5),
                     "RTBH: the router's kernel has a blackhole route for each", lab.blackholes())
        shown = lab.birdc("show", "route", f"{V4}/32", "all")[1]
        report.check("(65535,666)" in shown and "(65535,65281)" in shown and "198.18.0.1" in shown,
                     "RTBH: with the community of RFC 7999, no-export, and the configured next hop", shown)
        shown = lab.birdc("show", "route", f"{V6}/128", "all")[1]
        report.check("100::1" in shown, "RTBH: and the discard prefix of IPv6", shown)
        and_its_end(report, lab, "RTBH")
        theirs = lab.gobgp("global", "rib", "-a", "ipv4")[1]
        report.check(wait_for(lambda: lab.blackholes() == ["203.0.113.77"], 5) and f"{V4}/32" in theirs,
                     "the operator's own announcements stay, also one of the same prefix", theirs)
        answer = lab.put(2, request(["203.0.113.12/32"], protocol=17, port=53))
        report.check(not lab.mitigated(2, 2) and lab.blackholes() == ["203.0.113.77"],
                     "a request for one port is never answered by dropping everything", f"{answer} {lab.blackholes()}")
        answer = lab.put(3, request(["10.99.0.2/32"]))
        wait_for(lambda: "would cut the BGP session" in lab.rig.log("server"), 5)
        report.check(lab.established(1) and "10.99.0.2" not in lab.blackholes() and lab.status(3) !=
                     "attack-successfully-mitigated", "a target that holds a BGP peer is not blackholed", lab.blackholes())


# U-006 U-052: the in-line back end.
def in_line(report, bin_dir):
    """The same request becomes rules in the router's packet filter."""
    need("nft")
    with Lab(bin_dir, "nftables", where="router") as lab:
        lab.rig.start("server")
        the_same_request(report, lab, "nftables")
        report.check(lab.blackholes() == [], "nftables: without a route", lab.blackholes())
        and_its_end(report, lab, "nftables")


def restarts(report, bin_dir):
    """gobgpd, BIRD and dotsd die and come back in any order."""
    with Lab(bin_dir, "gobgp-rtbh") as lab:
        rig = lab.rig
        lab.kill("bird")
        server = rig.start("server")
        lab.put(1, REQUEST)
        wait_for(lambda: "203.0.113.10" in lab.gobgp("global", "rib")[1], 10)
        waiting = lab.status(1)
        link = rig.json("server", "status")["mitigators"][0]
        report.check(waiting == "attack-mitigation-in-progress", "what no router has is in progress (1), not mitigated", waiting)
        report.check(link["links"] == [{"name": "BGP peer 10.99.0.2", "up": False, "state": link["links"][0]["state"]}],
                     "and the operator sees which session is missing", link)
        report.check("MITIGATOR_LINK_DOWN" in rig.log("server") and "BGP peer 10.99.0.2 (" in rig.log("server"),
                     "the log says it as well", rig.log("server")[-400:])
        told = wait_for(lambda: "BGP peer 10.99.0.2 is not established" in rig.ctl("server", "explain")[1], 10)
        report.check(told, "dotsctl explain says it of each rule", rig.ctl("server", "explain")[1])
        lab.start_bird()
        report.check(lab.established() and lab.mitigated(1, 15) and wait_for(lambda: V4 in lab.blackholes(), 10),
                     "with the session it is mitigated (2)", lab.status(1))
        report.check("MITIGATOR_LINK_UP" in rig.log("server"), "and that is said, too", rig.log("server")[-400:])

        lab.kill("gobgpd")
        stays = not wait_for(lambda: V4 not in lab.blackholes(), 3)
        report.check(stays, "gobgpd killed: the router keeps the routes (graceful restart)", lab.blackholes())
        told = wait_for(lambda: "MITIGATOR_UNAVAILABLE" in rig.log("server"), 10)
        report.check(told, "and the operator is told", rig.log("server")[-400:])
        lab.put(2, request(["203.0.113.11/32"]))
        report.check(not lab.mitigated(2, 2), "what is asked for meanwhile is not said to be mitigated", lab.rig.list())
        lab.start_gobgpd(restarting=True)
        back = wait_for(lambda: {V4, V6, "203.0.113.11"} <= set(lab.blackholes()), 40)
        report.check(back and lab.mitigated(1, 20) and lab.mitigated(2, 20), "started again: old and new routes are there",
                     f"{lab.blackholes()} {lab.rig.list()}")

        server.kill()
        server.wait()
        report.check(lab.established(1) and V4 in lab.blackholes(), "dotsd killed: routes and session stay")
        lab.gobgp("global", "rib", "del", "-a", "ipv4", "203.0.113.11/32")
        since = lab.session_since()
        server = rig.start("server")
        report.check(lab.mitigated(1, 15) and {V4, V6, "203.0.113.11"} <= set(lab.blackholes()) and
                     lab.session_kept(since), "started again it takes them over", lab.blackholes())
        lab.kill("gobgpd")
        server.kill()
        server.wait()
        server = rig.start("server", wait=True)
        lab.start_gobgpd(restarting=True)
        report.check(wait_for(lambda: {V4, V6, "203.0.113.11"} <= set(lab.blackholes()), 40) and
                     lab.mitigated(1, 20), "both killed, dotsd back first: all is there again", lab.blackholes())
        lab.delete(1)
        report.check(wait_for(lambda: lab.blackholes() == ["203.0.113.11"], 15), "and a withdrawal takes only its own",
                     lab.blackholes())
        code, out, err = rig.ctl("server", "emergency", "list")
        report.check(code == 0 and "203.0.113.11" in out and "unknown" in out,
                     "emergency list shows the routes, their counters unknown", f"{code} {out}{err}")
        server.kill()
        server.wait()
        lab.gobgp("global", "rib", "add", "-a", "ipv4", "203.0.113.77/32", "nexthop", "198.18.0.9", "community", "65535:666")
        code, out, err = rig.ctl("server", "emergency", "remove-all")
        report.check(code == 0 and wait_for(lambda: lab.blackholes() == ["203.0.113.77"], 10),
                     "emergency remove-all withdraws ours without the daemon, and nothing else", f"{code} {out}{err} {lab.blackholes()}")


def announced(report, bin_dir):
    """What gobgpd has and does not announce is not in force."""
    with Lab(bin_dir, "gobgp-rtbh") as lab:
        rig = lab.rig
        rig.start("server")
        lab.established()
        lab.gobgp("global", "policy", "export", "set", "default", "reject")
        lab.put(1, REQUEST)
        held = wait_for(lambda: f"{V4}/32" in lab.gobgp("global", "rib", "-a", "ipv4")[1], 5)
        report.check(held and not lab.mitigated(1, 2), "what an export policy keeps back is not called mitigated", lab.status(1))
        explained = rig.ctl("server", "explain")[1]
        report.check("does not announce it to BGP peer 10.99.0.2" in explained, "and explain says why", explained)
        lab.gobgp("global", "policy", "export", "set", "default", "accept")
        lab.gobgp("neighbor", "10.99.0.2", "softresetout")
        report.check(lab.mitigated(1) and wait_for(lambda: V4 in lab.blackholes(), 5), "without the policy it is", lab.status(1))
        lab.gobgp("global", "rib", "add", "-a", "ipv4", f"{V4}/32", "nexthop", "198.18.0.9", "local-pref", "500")
        back = wait_for(lambda: lab.status(1) == "attack-mitigation-in-progress", 5)
        explained = rig.ctl("server", "explain")[1]
        report.check(back and "prefers that" in explained, "nor what another announcement has outdone", f"{lab.status(1)} {explained}")
        lab.gobgp("global", "rib", "del", "-a", "ipv4", f"{V4}/32")
        report.check(lab.mitigated(1), "until that is withdrawn", lab.status(1))


def foreign(report, bin_dir):
    """What bears our marker and nobody explains goes; a gobgpd that hangs delays no signal."""
    with Lab(bin_dir, "gobgp-rtbh", more="timeout_ms = 1000\n") as lab:
        rig = lab.rig
        server = rig.start("server")
        lab.established()
        lab.put(1, REQUEST)
        lab.mitigated(1)
        wait_for(lambda: V4 in lab.blackholes(), 10)
        lab.gobgp("global", "rib", "add", "-a", "ipv4", "203.0.113.66/32", "nexthop", "198.18.0.9", "community", "65535:666",
                  "large-community", "64512:4646:1")
        gone = wait_for(lambda: "FOREIGN_RULE_REMOVED" in rig.log("server"), 15)
        report.check(gone and wait_for(lambda: "203.0.113.66" not in lab.blackholes(), 5) and V4 in lab.blackholes(),
                     "a route with our marker that is not ours is withdrawn and told of", rig.log("server")[-300:])
        server.send_signal(signal.SIGSTOP)
        lab.gobgp("global", "rib", "del", "all", "-a", "ipv4")
        gone = wait_for(lambda: V4 not in lab.blackholes(), 5)
        server.send_signal(signal.SIGCONT)
        report.check(gone and wait_for(lambda: V4 in lab.blackholes(), 20), "what somebody withdraws by hand is announced again",
                     f"{gone} {lab.blackholes()}")
        lab.processes["gobgpd"].send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        answer = lab.put(2, request(["203.0.113.11/32"]))
        took = time.monotonic() - begin
        report.check(answer.code == "2.01" and took < 3, "a gobgpd that hangs delays no answer", f"{took:.1f} s {answer}")
        begin = time.monotonic()
        codes = [lab.rig.coap("put", f"{DOTS}/hb", HEARTBEAT).code for _ in range(5)]
        took = (time.monotonic() - begin) / 5
        report.check(codes == ["2.04"] * 5 and took < 1.5, "and no heartbeat, with handshake and all", f"{took:.2f} s {codes}")
        lab.processes["gobgpd"].send_signal(signal.SIGCONT)
        report.check(lab.mitigated(2, 40), "and when it goes on, the route is announced", rig.log("server")[-300:])


if __name__ == "__main__":
    run_parts("bgp_rtbh", 230, [diverted, in_line, restarts, announced, foreign])
