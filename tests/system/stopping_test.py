#!/usr/bin/env python3
"""Requests while the server stops: nothing acknowledged is lost. usage: stopping_test.py BUILD_DIR BIN_DIR"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, Rig, mitigation, need, run_parts, wait_for  # noqa: E402


ENDING = ("dots-client-withdrawn-mitigation",)


def stop_under_load(report, rig, round_number, answered_before):
    """PUTs, GETs and DELETEs are under way when SIGTERM comes; what got an answer is true after the restart."""
    base = f"{DOTS}/mitigate/cuid=stopping"
    server = rig.start("server")
    first = 100 * round_number
    for mid in range(first, first + 5):
        answer = rig.coap("put", f"{base}/mid={mid}", mitigation(f"203.0.113.{mid % 100}/32", port=first + 1))
        if not report.check(answer.code == "2.01", f"round {round_number}: mid {mid} is accepted before", answer):
            return
    talks = {}
    for i in range(12):
        mid = first + 10 + i
        talks["put", mid] = rig.coap_start("put", f"{base}/mid={mid}", seconds=3,
                                           body=mitigation(f"203.0.113.{10 + i}/32", port=first + 1))
        if i % 3 == 0:
            talks["delete", first + i // 3] = rig.coap_start("delete", f"{base}/mid={first + i // 3}", seconds=3)
            talks["get", mid] = rig.coap_start("get", f"{base}/mid={first + 4}", seconds=3)
    processes = rig.processes[-len(talks):]
    wait_for(lambda: sum(p.poll() is not None for p in processes) >= answered_before, 20, every=0.005)
    begin = time.monotonic()
    code = rig.stop(server)
    took = time.monotonic() - begin
    answers = {key: finish() for key, finish in talks.items()}
    name = f"round {round_number}, {sum(a.code is not None for a in answers.values())} of {len(answers)} answered"
    report.check(code == 0, f"{name}: the server ends with 0", f"{code}: {rig.log('server')[-400:]}")
    report.check(took < 10, f"{name}: it ends within 10 s", f"{took:.1f} s")
    report.check(all(a.code in (None, "2.01", "2.02", "2.05", "5.03") for a in answers.values()),
                 f"{name}: every answer is a result or 5.03", {k: a.code for k, a in answers.items()})
    server = rig.start("server")
    there = {mid: m["status"] for (_, mid), m in rig.list().items()}
    lost = [mid for (what, mid), a in answers.items() if what == "put" and a.code == "2.01" and mid not in there]
    report.check(not lost, f"{name}: every accepted mitigation is there after the restart", f"lost {lost}")
    undone = [mid for (what, mid), a in answers.items()
              if what == "delete" and a.code == "2.02" and there.get(mid, ENDING[0]) not in ENDING]
    report.check(not undone, f"{name}: every withdrawal holds after the restart", f"undone {undone}: {there}")
    report.check(there.get(first + 4) not in (None, *ENDING), f"{name}: what nobody withdrew goes on", there)
    report.check(rig.stop(server) == 0, f"{name}: a stop without load ends with 0")


def under_load(report, bin_dir):
    """The server stops while clients ask."""
    need("coap-client-openssl")
    with Rig(bin_dir) as rig:
        for round_number, answered_before in enumerate((0, 1, 6), start=1):
            stop_under_load(report, rig, round_number, answered_before)
        log = rig.log("server")
        report.check("AGENT_STOPPED" in log and not any(w in log for w in ("terminate called", "Sanitizer", "Assertion")),
                     "the log tells of good order and of no crash", log[-400:])


run_parts("stopping", 110, [under_load])
