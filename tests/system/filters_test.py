#!/usr/bin/env python3
"""Filters of the data channel in the kernel of a router: attacker - router - victim in network namespaces, real dotsd.

usage: filters_test.py BUILD_DIR BIN_DIR
"""
import ctypes
import itertools
import json
import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, Skip, cbor, mitigation, need, need_root, nftables_rig, run, run_parts, wait_for  # noqa: E402

MODULE = "ietf-dots-data-channel"
DATA = f"/restconf/data/{MODULE}:dots-data"
VICTIM = "203.0.113.10"
BAD, FRIEND = "198.51.100.2", "198.51.100.3"
WEB_PORT = 4643
LIBC = ctypes.CDLL(None, use_errno=True)


class Lab:
    """A server on a router between an attacker with two addresses and the victim."""

    count = 0

    def __init__(self, bin_dir):
        need_root()
        need("ip", "nft", "curl", "coap-client-openssl")
        Lab.count += 1
        self.names = {role: f"twa{os.getpid()}{role}{Lab.count}" for role in "arv"}
        self.bin, self.rig, self.files = bin_dir, None, itertools.count()
        self.inside = ["ip", "netns", "exec", self.names["r"]]

    def ip(self, role, *command):
        code, _, err = run(["ip", "-n", self.names[role], *command])
        if code != 0:
            raise RuntimeError(f"ip {' '.join(command)}: {err}")

    def __enter__(self):
        try:
            for name in self.names.values():
                code, _, err = run(["ip", "netns", "add", name])
                if code != 0:
                    raise Skip(f"no network namespaces here: {err}")
            for role, router, host in (("a", "198.51.100.1/24", f"{BAD}/24"), ("v", "203.0.113.1/24", f"{VICTIM}/24")):
                link = f"tw{os.getpid()}{role}"
                run(["ip", "link", "add", link, "netns", self.names["r"], "type", "veth", "peer", "name", "eth0", "netns",
                     self.names[role]])
                self.ip("r", "addr", "add", router, "dev", link)
                self.ip("r", "link", "set", link, "up")
                self.ip(role, "addr", "add", host, "dev", "eth0")
                self.ip(role, "link", "set", "eth0", "up")
                self.ip(role, "route", "add", "default", "via", router.partition("/")[0])
            self.ip("a", "addr", "add", f"{FRIEND}/24", "dev", "eth0")
            self.ip("r", "link", "set", "lo", "up")
            run([*self.inside, "sysctl", "-qw", "net.ipv4.ip_forward=1"])
            self.rig = nftables_rig(self.bin, self.inside, 2)
            with self.rig.config("server").open("a") as config:
                config.write(f'\n[data_channel]\nlisten = ["127.0.0.1:{WEB_PORT}"]\n')
            self.victim = self.udp("v", VICTIM, 53)
            self.sources = {address: self.udp("a", address) for address in (BAD, FRIEND)}
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self.rig:
            self.rig.close()
        for name in self.names.values():
            run(["ip", "netns", "del", name])

    def udp(self, role, address, port=0):
        """A socket that lives in the namespace."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.names[role]}", os.O_RDONLY)
        try:
            if LIBC.setns(there, 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((address, port))
            return sock
        finally:
            LIBC.setns(home, 0x40000000)
            os.close(home)
            os.close(there)

    def passes(self, source, packets=20):
        """How many datagrams of a source reach the victim."""
        self.drain()
        for _ in range(packets):
            self.sources[source].sendto(b"x" * 72, (VICTIM, 53))
        return self.drain(source)

    def drain(self, source=None):
        number, end = 0, time.monotonic() + 0.3
        while True:
            self.victim.settimeout(max(end - time.monotonic(), 0.001))
            try:
                number += self.victim.recvfrom(2048)[1][0] == source
            except socket.timeout:
                return number

    def web(self, method, path, body=None):
        """(status, body)"""
        pki = self.rig.set / "pki"
        command = [*self.inside, "curl", "-sS", "--max-time", "20", "--cacert", pki / "ca.crt", "--cert", pki / "client.crt",
                   "--key", pki / "client.key", "-X", method, "-w", "\n%{http_code}"]
        if body is not None:
            file = self.rig.folder / f"body{next(self.files)}"
            file.write_text(json.dumps(body))
            command += ["-H", "Content-Type: application/yang-data+json", "--data-binary", f"@{file}"]
        code, out, err = run([*command, f"https://localhost:{WEB_PORT}{DATA}{path}"])
        if code != 0:
            return 0, err
        text, _, status = out.rpartition("\n")
        return int(status), text

    def register(self, *cuids):
        for cuid in cuids:
            status, text = self.web("POST", "", {f"{MODULE}:dots-client": [{"cuid": cuid}]})
            if status != 201:
                raise RuntimeError(f"registration: {status} {text}")

    def put_list(self, cuid, name, source, forwarding="drop", activation="immediate"):
        ace = {"name": "rule1", "actions": {"forwarding": forwarding},
               "matches": {"ipv4": {"source-ipv4-network": f"{source}/32", "destination-ipv4-network": "203.0.113.0/24"}}}
        body = {f"{MODULE}:acls": {"acl": [{"name": name, "activation-type": activation, "aces": {"ace": [ace]}}]}}
        return self.web("PUT", f"/dots-client={cuid}/acls/acl={name}", body)[0]

    def remove_list(self, cuid, name):
        return self.web("DELETE", f"/dots-client={cuid}/acls/acl={name}")[0]

    def counted(self, cuid, name):
        status, text = self.web("GET", f"/dots-client={cuid}/acls/acl={name}?content=all")
        if status != 200:
            raise RuntimeError(f"GET: {status} {text}")
        acl = json.loads(text)[f"{MODULE}:acls"]["acl"][0]
        return int(acl["aces"]["ace"][0]["statistics"]["matched-packets"])

    def mitigate(self, method, mid, cuid="a"):
        body = mitigation(f"{VICTIM}/32") if method == "put" else None
        answer = self.rig.coap(method, f"{DOTS}/mitigate/cuid={cuid}/mid={mid}", body)
        if answer.code not in ("2.01", "2.02"):
            raise RuntimeError(f"{method}: {answer}")

    def switch(self, mid, name, activation, cuid="a"):
        """A mitigation request that switches a list (RFC 9133): its code."""
        scope = {6: [f"{VICTIM}/32"], 7: [{8: 53}], 10: [17], 14: 3600, 53: [{23: name, 52: activation}]}
        return self.rig.coap("put", f"{DOTS}/mitigate/cuid={cuid}/mid={mid}", cbor({1: {2: [scope]}})).code

    def filters(self):
        """What operators see: {(cuid, name): list}."""
        return {(f["cuid"], f["name"]): f for f in self.rig.json("server", "filters")["filters"]}

    def installed(self, cuid, name):
        seen = self.filters().get((cuid, name), {"mitigators": []})
        return [m["state"] for m in seen["mitigators"]] == ["installed"]


# D8783-4.1-08, D8783-7.2-07, D8783-7.4-02, D8783-4.3-27, S8612-DATA-004-01
def drop_lists(report, bin_dir):
    """A drop-list drops, counts, and is shown; of two equal ones of two clients one stays."""
    with Lab(bin_dir) as lab:
        lab.rig.start("server")
        report.check(lab.passes(BAD) == 20 and lab.passes(FRIEND) == 20, "without filters everything passes")
        lab.register("a", "b")
        report.check(lab.put_list("a", "bad", BAD) == 201, "a drop-list is made")
        report.check(wait_for(lambda: lab.installed("a", "bad"), 5), "and installed", lab.filters())
        report.check(lab.passes(BAD) == 0 and lab.passes(FRIEND) == 20, "it drops its source and nobody else")
        report.check(wait_for(lambda: lab.counted("a", "bad") == 20, 5), "the client sees how much",
                     f"{lab.counted('a', 'bad')} packets")
        code, out, err = lab.rig.ctl("server", "filters")
        report.check(code == 0 and "Filter list bad" in out and "in force" in out and "20 packets" in out,
                     "the operator sees it too", out + err)
        code, out, err = lab.rig.ctl("server", "explain", VICTIM)
        report.check(code == 0 and "filter list bad" in out and f"from {BAD}/32" in out, "explain tells it", out + err)

        report.check(lab.put_list("b", "bad", BAD) == 201, "another client makes the same list")
        report.check(wait_for(lambda: lab.installed("b", "bad"), 5), "it is installed", lab.filters())
        report.check(lab.remove_list("a", "bad") == 204, "the first is deleted")
        report.check(wait_for(lambda: ("a", "bad") not in lab.filters(), 5) and lab.passes(BAD) == 0,
                     "the other goes on dropping")
        report.check(lab.remove_list("b", "bad") == 204, "the other is deleted")
        report.check(wait_for(lambda: lab.passes(BAD) == 20, 5), "everything passes again", lab.filters())

        lab.put_list("a", "bad", BAD)
        wait_for(lambda: lab.passes(BAD) == 0, 5)
        report.check(lab.web("DELETE", "/dots-client=a")[0] == 204 and wait_for(lambda: lab.passes(BAD) == 20, 5),
                     "with the registration its lists go", lab.filters())


# D8783-7.2-04, D8783-7.2-06: an accept-list wins over the rules of mitigations
def accept_lists(report, bin_dir):
    """An accept-list saves its source while its client has a mitigation, and no longer."""
    with Lab(bin_dir) as lab:
        lab.rig.start("server")
        lab.register("a")
        report.check(lab.put_list("a", "friends", FRIEND, "accept", "activate-when-mitigating") == 201 and
                     lab.put_list("a", "foes", BAD, "drop", "activate-when-mitigating") == 201, "two lists are made")
        shown = lab.filters()[("a", "friends")]
        report.check(shown["state"] == "waits for a mitigation of its client" and shown["mitigators"] == [] and
                     lab.passes(BAD) == 20, "they wait", shown)
        lab.mitigate("put", 1)
        report.check(wait_for(lambda: lab.installed("a", "friends"), 5), "they come with the mitigation", lab.filters())
        listed = wait_for(lambda: [m for m in lab.rig.list().values() if m["rules"] == "installed"], 5)
        report.check(listed, "its rules are in", lab.rig.list())
        report.check(lab.passes(FRIEND) == 20 and lab.passes(BAD) == 0, "the friend passes where the rest is dropped")
        report.check(lab.switch(2, "friends", 3) == "2.01" and wait_for(lambda: lab.passes(FRIEND) == 0, 5),
                     "switched off over the signal channel it saves nobody", lab.filters())
        report.check(lab.switch(3, "friends", 1) == "2.01" and wait_for(lambda: lab.passes(FRIEND) == 20, 5),
                     "and switched on it does again", lab.filters())
        report.check(lab.remove_list("a", "friends") == 204 and wait_for(lambda: lab.passes(FRIEND) == 0, 5),
                     "without the accept-list the friend is dropped as well")
        lab.mitigate("delete", 3)
        gone = wait_for(lambda: lab.filters()[("a", "foes")]["mitigators"] == [], 15)
        report.check(gone and lab.passes(BAD) == 20, "with the end of the mitigation they go", lab.filters())


#
def counters(report, bin_dir):
    """What a mitigation drops rises in its status, equal to what the kernel counts."""
    with Lab(bin_dir) as lab:
        lab.rig.start("server")
        lab.mitigate("put", 1)
        report.check(wait_for(lambda: [m for m in lab.rig.list().values() if m["rules"] == "installed"], 5), "its rules are in",
                     lab.rig.list())
        for total in (20, 40):
            report.check(lab.passes(BAD) == 0, "the attack is dropped")

            def told():
                scope = lab.rig.coap("get", f"{DOTS}/mitigate/cuid=a/mid=1").scopes()[0]
                return scope if scope.get(27) == total else None

            scope = wait_for(told, 5, 0.5)
            report.check(scope, f"the status counts {total} packets", lab.rig.list())
            rules = lab.rig.json("server", "rules", VICTIM)["rules"]
            report.check(scope and sum(r["packets"] for r in rules) == total and sum(r["bytes"] for r in rules) == scope[25],
                         "as the mitigator does, packets and bytes", (scope, rules))


# D8783-7.2-17
def crash(report, bin_dir):
    """What was acknowledged is in the kernel again after kill -9, and nothing else is."""
    with Lab(bin_dir) as lab:
        server = lab.rig.start("server")
        lab.register("a")
        lab.put_list("a", "friend", FRIEND)
        report.check(wait_for(lambda: lab.passes(FRIEND) == 0, 5), "a drop-list is in force")
        made, gone = lab.put_list("a", "bad", BAD), lab.remove_list("a", "friend")
        server.send_signal(signal.SIGKILL)
        server.wait()
        report.check(made == 201 and gone == 204, "a list is made and one is deleted, then the server is killed")
        server = lab.rig.start("server")
        report.check(wait_for(lambda: lab.passes(BAD) == 0, 10), "what was acknowledged is enforced", lab.filters())
        report.check(wait_for(lambda: lab.passes(FRIEND) == 20, 10), "what was deleted is not", lab.filters())
        before = wait_for(lambda: lab.counted("a", "bad"), 5)
        server.send_signal(signal.SIGKILL)
        server.wait()
        report.check(lab.passes(BAD) == 0, "rules outlive their daemon")
        lab.rig.start("server")
        report.check(wait_for(lambda: lab.counted("a", "bad") >= before, 10),
                     "a list that is as wanted is not touched by a start, so that it counts on", lab.counted("a", "bad"))


run_parts("filters", 170, [drop_lists, accept_lists, counters, crash])
