#!/usr/bin/env python3
"""Requests and handshakes of the real client and server over a link that loses packets both ways.

usage: loss_test.py BUILD_DIR BIN_DIR          (some rounds, checked)
       loss_test.py --curve BIN_DIR [ROUNDS]   (more of them; prints the tables of docs/performance.md)

Two network namespaces and a veth pair. Loss: `numgen random mod 100 < P drop` at the netdev ingress of each end, because
not every kernel has netem. What is no IP stays: ARP that is lost would stop everything for seconds, which a path does not do.
The second part puts the client behind a link of 4 Mbit/s that an attack fills.
"""
import os
import pathlib
import signal
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import Rig, Skip, need, need_root, run, run_parts, spawn, wait_for  # noqa: E402

FLOOD = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts" / "lab" / "flood.py"
LOSSES = (25, 50, 70)
# The goal of docs/performance.md is 5 s at the 99th percentile; what is held here is what an honest run does not miss by
# chance. A request that is sent once and answered once gets through with (1 - loss)^2. At 70 % 64 tries within five
# seconds all fail with 0.91^64 = 0.24 %, and with the tries each 3 s after them one in 550 requests takes longer than 15 s; three
# or more of ten do so in less than one run of a million. At 50 % one in 10^8 does.
REQUEST_BOUND_S = 15
REQUESTS_THAT_MAY_TAKE_LONGER = {25: 0, 50: 0, 70: 2}
# One handshake at 50 %, of a client that is not under attack. Of 500 under virtual time (dots_handshake_loss) the slowest takes
# under 20 s, and each further half second is needed by three quarters of those who still have none: 30 s, after which
# the server forgets a handshake, pass in one of a million. The bound holds a second attempt, so that it fails in none.
HANDSHAKE_BOUND_S = 90
HANDSHAKE_TIME_S = 120  # of the curve


class Link:
    """Two namespaces, server 10.99.0.1 and client 10.99.0.2, and what the link between them does."""

    def __init__(self):
        need_root()
        need("ip", "nft", "tc")
        self.id = f"twloss{os.getpid()}"
        self.names = {end: f"{self.id}-{end}" for end in ("server", "client")}
        for name in self.names.values():
            if run(["ip", "netns", "add", name])[0] != 0:
                raise Skip("network namespaces cannot be made here")
        self.do("ip", "link", "add", "server", "netns", self.names["server"], "type", "veth", "peer", "name", "client",
                "netns", self.names["client"])
        for end, address in (("server", "10.99.0.1/24"), ("client", "10.99.0.2/24")):
            self.do("ip", "-n", self.names[end], "link", "set", "lo", "up")
            self.do("ip", "-n", self.names[end], "addr", "add", address, "dev", end)
            self.do("ip", "-n", self.names[end], "link", "set", end, "up")

    @staticmethod
    def do(*command):
        code, _, err = run(command)
        if code != 0:
            raise Skip(f"{' '.join(command)}: {err.strip()}")

    def inside(self, end):
        return ["ip", "netns", "exec", self.names[end]]

    def lose(self, percent):
        for end in self.names:
            run([*self.inside(end), "nft", "delete", "table", "netdev", "loss"])
            if percent:
                rules = (f"table netdev loss {{\n chain in {{\n type filter hook ingress device {end} priority 0;\n"
                         f"meta protocol ip numgen random mod 100 < {percent} drop;\n }}\n }}\n")
                code, _, err = run([*self.inside(end), "nft", rules])
                if code != 0:
                    raise Skip(f"no loss can be made here: {err.strip()}")

    def narrow(self, rate):
        """A token bucket towards the client, as the access link of a victim is."""
        self.do("tc", "-n", self.names["server"], "qdisc", "replace", "dev", "server", "root", "tbf", "rate", rate,
                "burst", "16kbit", "latency", "50ms")

    def close(self):
        for name in self.names.values():
            _, pids, _ = run(["ip", "netns", "pids", name])
            for pid in pids.split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            run(["ip", "netns", "del", name])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Pair:
    """A server and a client of one set at the two ends of a link."""

    def __init__(self, link, bin_dir):
        self.link, self.rig = link, Rig(bin_dir)
        self.rig.edit("server", r"^addresses = .*$", 'addresses = ["10.99.0.1:4646"]')
        self.rig.edit("client", r"^addresses = .*$", 'addresses = ["10.99.0.1:4646"]')
        self.start("server")

    def start(self, end, wait=True):
        self.rig.inside = self.link.inside(end)
        try:
            return self.rig.start(end, wait)
        finally:
            self.rig.inside = []

    def connected(self):
        code, _, _ = self.rig.ctl("client", "status")
        return code == 0 and self.rig.json("client", "status")["servers"][0]["state"] == "connected"

    def phase(self, mid):
        return self.rig.json("client", "show", mid)["mitigation"]["phase"]

    def mitigate(self, last, wait_s=REQUEST_BOUND_S + 15):
        """Seconds until the server's answer to a new request; None when there is none in time."""
        begin = time.monotonic()
        made = self.rig.json("client", "mitigate", "--target-prefix", f"203.0.113.{last}/32", "--protocol", "udp")
        mid = str(made["mitigation"]["mid"])
        if not wait_for(lambda: self.phase(mid) == "active", wait_s, 0.02):
            return None
        taken = time.monotonic() - begin
        self.rig.ctl("client", "withdraw", mid)
        return taken

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.rig.close()


def quantile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def shown(times, tries):
    if not times:
        return f"0 of {tries}"
    return (f"{len(times)} of {tries}, median {statistics.median(times):.2f} s, p95 {quantile(times, 0.95):.2f} s, "
            f"longest {max(times):.2f} s")


def requests_at(pair, loss, count):
    """Times of requests on a session that stood before the loss began."""
    pair.link.lose(0)
    if not wait_for(pair.connected, 120):
        return []
    for last in (1, 2, 3):  # the round trip is known from here on
        pair.mitigate(last)
    pair.link.lose(loss)
    times = [pair.mitigate(10 + i) for i in range(count)]
    return [t for t in times if t is not None]


def handshakes_at(link, bin_dir, loss, count, bound_s=HANDSHAKE_TIME_S):
    """Seconds from the start of a client to its session, under loss."""
    times = []
    for _ in range(count):
        link.lose(0)
        with Pair(link, bin_dir) as pair:
            link.lose(loss)
            begin = time.monotonic()
            pair.start("client")
            if wait_for(pair.connected, bound_s, 0.05):
                times.append(time.monotonic() - begin)
    return times


def requests_under_loss(report, bin_dir):
    """Requests on a session that stood before are acknowledged at 25, 50 and 70 % loss each way."""
    with Link() as link, Pair(link, bin_dir) as pair:
        pair.start("client")
        for loss in LOSSES:
            times = requests_at(pair, loss, 10)
            slow = 10 - sum(1 for taken in times if taken <= REQUEST_BOUND_S)
            report.check(slow <= REQUESTS_THAT_MAY_TAKE_LONGER[loss], f"{loss} % loss: {shown(times, 10)}",
                         pair.rig.log("client")[-300:])


def handshakes_under_loss(report, bin_dir):
    """A client finds its session at 50 % loss each way."""
    with Link() as link:
        times = handshakes_at(link, bin_dir, 50, 3, HANDSHAKE_BOUND_S)
        report.check(len(times) == 3, f"handshakes at 50 % loss: {shown(times, 3)}", "")


def link_full_of_attack(report, bin_dir):
    """Requests get through while an attack fills the link towards the client."""
    with Link() as link, Pair(link, bin_dir) as pair:
        pair.start("client")
        report.check(wait_for(pair.connected, 60), "the session stands", pair.rig.log("client")[-300:])
        link.narrow("4mbit")
        flood = spawn([*link.inside("server"), sys.executable, FLOOD, "10.99.0.2", "9999", "20", "120"])
        try:
            time.sleep(2)
            times = [t for t in (pair.mitigate(20 + i) for i in range(10)) if t is not None]
        finally:
            flood.kill()
            flood.wait()
        report.check(len(times) == 10, f"attack of 20 Mbit/s on a link of 4 Mbit/s: {shown(times, 10)}",
                     pair.rig.log("client")[-300:])


def curve(bin_dir, rounds):
    print("| loss each way | requests on a session that stood before | handshakes |\n| --- | --- | --- |")
    with Link() as link:
        for loss in (0, *LOSSES):
            with Pair(link, bin_dir) as pair:
                pair.start("client")
                times = requests_at(pair, loss, rounds)
            hands = handshakes_at(link, bin_dir, loss, max(3, rounds // 5))
            print(f"| {loss} % | {shown(times, rounds)} | {shown(hands, max(3, rounds // 5))} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--curve":
        curve(pathlib.Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 50)
    else:
        run_parts("loss", 480, [requests_under_loss, handshakes_under_loss, link_full_of_attack])
