#!/usr/bin/env python3
"""kill -9 of the server and of the client at random moments. usage: crash_test.py BUILD_DIR BIN_DIR server|client"""
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, Rig, mitigation, need, run_parts, wait_for  # noqa: E402

ROUNDS = 20
WRITERS = 3
LIFETIME_S = 3000
OVER = ("dots-client-withdrawn-mitigation", "attack-mitigation-terminated")


class Writer(threading.Thread):
    """A client that asks without end, sometimes withdraws, and remembers what was acknowledged."""

    def __init__(self, rig, number):
        super().__init__(daemon=True)
        self.rig, self.number, self.cuid = rig, number, f"writer{number}"
        self.acknowledged, self.withdrawn, self.unsure = set(), set(), set()  # mids; unsure: a DELETE without an answer
        self.ending = False

    def run(self):
        mid = 0
        while not self.ending:
            mid += 1
            path = f"{DOTS}/mitigate/cuid={self.cuid}/mid={mid}"
            prefix = f"10.{self.number}.{mid // 256}.{mid % 256}/32"
            if self.rig.coap("put", path, mitigation(prefix, lifetime=LIFETIME_S), seconds=2).code != "2.01":
                continue  # killed meanwhile; perhaps stored, perhaps not
            self.acknowledged.add(mid)
            if mid % 5 == 0:
                self.unsure.add(mid)
                if self.rig.coap("delete", path, seconds=2).code == "2.02":
                    self.withdrawn.add(mid)


def server_killed(report, bin_dir):
    """What was acknowledged survives kill -9 of the server."""
    need("coap-client-openssl")
    with Rig(bin_dir, prefix="10.0.0.0/8") as rig:
        rig.edit("server", r"^prefixes = ", "max_mitigations = 100000\nactivations_per_minute = 0\nprefixes = ")
        random.seed(os.getpid())
        server = rig.start("server")
        writers = [Writer(rig, n) for n in range(WRITERS)]
        begin = time.monotonic()
        for writer in writers:
            writer.start()
        lost, vanished, risen, lifetimes, not_up = [], [], [], [], 0
        for _ in range(ROUNDS):
            time.sleep(random.uniform(0.05, 0.6))
            shown = rig.list()
            time.sleep(random.uniform(0, 0.05))
            known = [(w, set(w.acknowledged), set(w.withdrawn)) for w in writers]
            server.send_signal(signal.SIGKILL)
            server.wait()
            started = time.monotonic()
            server = rig.start("server")
            if time.monotonic() - started > 5:
                not_up += 1
            now = rig.list()
            for w, acknowledged, withdrawn in known:
                for mid in acknowledged:
                    found = now.get((w.cuid, mid))
                    if found is None or (found["status"] in OVER and mid not in w.unsure):
                        lost.append((w.cuid, mid))
                    elif mid in withdrawn and found["status"] not in OVER:
                        risen.append((w.cuid, mid))
                    elif mid not in w.unsure:
                        # The age cannot be more than the test's own, with some room for a slow machine.
                        if not LIFETIME_S - (time.monotonic() - begin) - 5 <= found["lifetime"] <= LIFETIME_S:
                            lifetimes.append((w.cuid, mid, found["lifetime"]))
            vanished += [key for key in shown if key not in now]
        for writer in writers:
            writer.ending = True
        for writer in writers:
            writer.join(20)
        total = sum(len(w.acknowledged) for w in writers)
        report.check(total >= 2 * ROUNDS, f"{total} mitigations were acknowledged in {ROUNDS} rounds of kill -9")
        report.check(not lost, "every acknowledged mitigation is there after each kill -9", lost[:5])
        report.check(not risen, "no acknowledged withdrawal is undone", risen[:5])
        report.check(not lifetimes, "remaining lifetimes are sane", lifetimes[:5])
        report.check(not vanished, "nothing was visible that was not durable", vanished[:5])
        report.check(not_up == 0, "the server is up within 5 s each time", not_up)
        answer = rig.coap("put", f"{DOTS}/mitigate/cuid=last/mid=1", mitigation("10.200.0.1/32"))
        report.check(answer.code == "2.01", "and serves", answer)


def both_killed(report, bin_dir):
    """A client daemon keeps its requests through its own kill -9 and the server's."""
    with Rig(bin_dir) as rig:
        rig.edit("client", r"^host = ", "refresh_before_percent = 90\nhost = ")
        # A dead server is noticed sooner.
        with rig.config("client").open("a") as config:
            for name in ("mitigating_config", "idle_config"):
                config.write(f"[upstream.{name}]\nheartbeat_interval_s = 15\nmissing_hb_allowed = 3\n")
        server = rig.start("server")
        client = rig.start("client")

        def ours(mid):
            return next((m for (_, m_mid), m in rig.list("client").items() if m_mid == mid), {})

        def theirs(mid):
            return next((m for (_, m_mid), m in rig.list().items() if m_mid == mid), {})

        code, out, err = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.10/32", "--protocol", "udp", "--port",
                                 "53", "--lifetime", "120", "--wait")
        report.check(code == 0, "the client asks and is helped", out + err)
        mids = [mid for _, mid in rig.list("client")]
        mid = mids[0] if mids else None
        # In the middle of a request: stored, and on its way or not.
        rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.11/32", "--protocol", "udp", "--port", "54")
        client.send_signal(signal.SIGKILL)
        client.wait()
        expires = theirs(mid).get("expires-at", 0)
        client = rig.start("client")
        report.check(len(rig.list("client")) == 2 and ours(mid).get("target-prefix") == ["203.0.113.10/32"],
                     "after its kill -9 the client knows its requests", rig.list("client"))
        both = wait_for(lambda: len(m := rig.list("client")) == 2 and all(r["phase"] == "active" for r in m.values()), 15)
        report.check(both and len(rig.list()) == 2, "and carries on with both of them", f"{rig.list('client')}")
        refreshed = wait_for(lambda: theirs(mid).get("expires-at", 0) > expires, 25)
        report.check(refreshed and theirs(mid)["lifetime"] > 100, "and keeps them refreshed at the server", theirs(mid))
        code, out, err = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.12/32", "--protocol", "udp", "--wait")
        report.check(code == 0 and len(rig.list()) == 3, "a new request gets a mid of its own", out + err)

        server.send_signal(signal.SIGKILL)
        server.wait()
        server = rig.start("server")
        expires = theirs(mid).get("expires-at", 0)
        began = time.monotonic()
        # Nobody tells the client: it misses heartbeats, and opens sessions 60 s apart at most often.
        again = wait_for(lambda: theirs(mid).get("expires-at", 0) > expires, 90, every=0.5)
        took = time.monotonic() - began
        report.check(again and theirs(mid)["status"] == "attack-successfully-mitigated",
                     "after kill -9 of the server the client comes back and refreshes, before its requests end",
                     f"after {took:.0f} s: {theirs(mid)} {rig.json('client', 'status')}")
        print(f"     (refreshed {took:.0f} s after the restart)", flush=True)
        report.check(wait_for(lambda: ours(mid).get("status") == "attack-successfully-mitigated" and
                              ours(mid).get("news-age_s", 99) < 60, 20), "and the client sees their status", ours(mid))
        code, out, err = rig.ctl("client", "withdraw", str(mid))
        over = wait_for(lambda: theirs(mid).get("status") in OVER, 20)
        report.check(code == 0 and over, "a withdrawal arrives", f"{out}{err} {theirs(mid)}")


if __name__ == "__main__":
    # Two tests, so that they run at the same time: the second one mostly waits.
    if sys.argv[3] == "server":
        run_parts("server_crash", 90, [server_killed])
    run_parts("client_crash", 170, [both_killed])
