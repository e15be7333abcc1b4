#!/usr/bin/env python3
"""Targets by name, through a real name server (dnsmasq). usage: names_test.py BUILD_DIR BIN_DIR"""
import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, Rig, cbor, mitigation, need, run_parts, spawn, wait_for  # noqa: E402


BASE = f"{DOTS}/mitigate/cuid=names"


def for_name(name, lifetime=3600):
    return cbor({1: {2: [{11: [name], 10: [17], 14: lifetime}]}})


class NameServer:
    """dnsmasq on loopback with the names that it is given, and nothing above it."""

    def __init__(self, rig):
        self.rig, self.process = rig, None
        self.hosts = rig.folder / "hosts"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def serve(self, *lines):
        self.hosts.write_text("".join(f"{line}\n" for line in lines))
        if self.process is None or self.process.poll() is not None:
            user = ["--user=root"] if os.geteuid() == 0 else []
            self.process = spawn(["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                                  f"--addn-hosts={self.hosts}", "--local=/example.net/", "--local-ttl=1", "--listen-address=127.0.0.1",
                                  "--bind-interfaces", f"--port={self.port}", "--pid-file", *user])
            self.rig.processes.append(self.process)
            time.sleep(0.3)
        else:
            self.process.send_signal(signal.SIGHUP)


def addresses(rig, mid):
    found = rig.list().get(("names", mid))
    return sorted(found["addresses"]) if found else None


def by_name(report, bin_dir):
    """A mitigation follows its name, and outlives its name server."""
    need("coap-client-openssl", "dnsmasq")
    with Rig(bin_dir, prefix="203.0.113.0/24,2001:db8::/32") as rig:
        names = NameServer(rig)
        rig.edit("server", r"^prefixes = .*$", 'prefixes = ["203.0.113.0/24", "2001:db8::/32"]\nnames = ["example.net"]')
        rig.edit("server", r"^\[store\]", f'[resolver]\nservers = ["127.0.0.1:{names.port}"]\nttl_min_s = 1\n\n[store]')
        names.serve("203.0.113.10 www.example.net", "2001:db8::10 www.example.net", "203.0.113.66 other.example.net")
        server = rig.start("server")

        answer = rig.coap("put", f"{BASE}/mid=1", for_name("www.example.net"))
        report.check(answer.code == "2.01", "a request for a name is accepted", answer)
        report.check(addresses(rig, 1) == ["2001:db8::10/128", "203.0.113.10/32"], "A and AAAA are what is mitigated",
                     addresses(rig, 1))
        answer = rig.coap("get", f"{BASE}/mid=1")
        report.check(answer.code == "2.05" and answer.scopes()[0].get(11) == ["www.example.net"],
                     "the client sees the name that it asked for", answer)
        answer = rig.coap("put", f"{BASE}/mid=2", for_name("gone.example.net"))
        report.check(answer.code == "4.00", "a name that does not exist is 4.00", answer)
        answer = rig.coap("put", f"{BASE}/mid=2", for_name("www.example.org"))
        report.check(answer.code == "4.00", "a name of somebody else is 4.00", answer)

        names.serve("203.0.113.11 www.example.net", "203.0.113.66 other.example.net")
        report.check(wait_for(lambda: addresses(rig, 1) == ["203.0.113.11/32"], 15, every=0.3),
                     "after the time to live the mitigation follows the name", addresses(rig, 1))

        # A name server that is silent: who asks for an unknown name waits, and nobody else does.
        names.process.send_signal(signal.SIGSTOP)
        waiting = rig.coap_start("put", f"{BASE}/mid=3", for_name("other.example.net"))
        held = rig.processes[-1]
        answer = rig.coap("put", f"{BASE}/mid=4", mitigation("203.0.113.4/32"))
        report.check(answer.code == "2.01" and held.poll() is None, "others are served while a name is waited for", answer)
        begin = time.monotonic()
        answer = waiting()
        report.check(answer.code == "5.03" and time.monotonic() - begin < 6,
                     "a name without an answer is 5.03 in bounded time", answer)
        answer = rig.coap("put", f"{BASE}/mid=5", for_name("www.example.net"))
        report.check(answer.code == "2.01" and addresses(rig, 5) == ["203.0.113.11/32"],
                     "a known name is mitigated at its last good address", f"{answer} {addresses(rig, 5)}")

        names.process.kill()
        names.process.wait()
        time.sleep(7)  # past the time to live, so that it was asked again
        report.check(addresses(rig, 5) == ["203.0.113.11/32"], "with a dead name server the last good address stays",
                     addresses(rig, 5))
        rig.stop(server)
        rig.start("server")
        answer = rig.coap("put", f"{BASE}/mid=6", for_name("www.example.net"))
        report.check(answer.code == "2.01" and addresses(rig, 6) == ["203.0.113.11/32"],
                     "after a restart as well", f"{answer} {addresses(rig, 6)}")


run_parts("names", 80, [by_name])
