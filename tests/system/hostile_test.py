#!/usr/bin/env python3
"""Garbage, forged handshakes and a full disk. usage: hostile_test.py BUILD_DIR BIN_DIR"""
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, Rig, Skip, mitigation, need, need_root, private_mounts, run, run_parts, wait_for  # noqa: E402

CIPHERS = (0xC02B, 0xC02C, 0xCCA9, 0xC023, 0xCCAC, 0x00A8)


def client_hello(rng, cookie=b"", session=b""):
    """A DTLS 1.2 ClientHello with the extensions of an ordinary client."""
    def extension(kind, body):
        return struct.pack("!HH", kind, len(body)) + body

    extensions = (extension(10, b"\x00\x04\x00\x17\x00\x1d") + extension(11, b"\x01\x00") +
                  extension(13, b"\x00\x04\x04\x03\x05\x03") + extension(23, b"") + extension(0xFF01, b"\x00"))
    body = (b"\xfe\xfd" + rng.randbytes(32) + bytes([len(session)]) + session + bytes([len(cookie)]) + cookie +
            struct.pack("!H", 2 * len(CIPHERS)) + b"".join(struct.pack("!H", c) for c in CIPHERS) + b"\x01\x00" +
            struct.pack("!H", len(extensions)) + extensions)
    n = len(body).to_bytes(3, "big")
    handshake = b"\x01" + n + b"\x00\x00" + b"\x00\x00\x00" + n + body
    return b"\x16\xfe\xff" + bytes(8) + struct.pack("!H", len(handshake)) + handshake


def rss_kib(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def no_sessions(rig):
    return wait_for(lambda: rig.json("server", "status")["sessions"] == [], 5)


def genuine(rig, mid, limit_s=1.0, tries=3):
    """The best time of a genuine client from its start to its answer, and its last answer."""
    best, answer = None, None
    for i in range(tries):
        begin = time.monotonic()
        answer = rig.coap("put", f"{DOTS}/mitigate/cuid=genuine/mid={mid + i}", mitigation(f"203.0.113.{mid + i}/32"), seconds=5)
        took = time.monotonic() - begin
        if answer.code == "2.01" and (best is None or took < best):
            best = took
        if best is not None and best <= limit_s:
            break
    return best, answer


def live_client(rig):
    """A client of ours with a session and a mitigation, from before."""
    rig.start("client")
    code, out, err = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.200/32", "--protocol", "udp", "--wait")
    if code != 0:
        raise RuntimeError(f"the client has no mitigation: {out}{err}")
    return [s["peer"] for s in rig.json("server", "status")["sessions"]]


def keeps_working(report, rig, live):
    """That client asks for more on the session it had."""
    begin = time.monotonic()
    code, out, err = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.201/32", "--protocol", "udp", "--wait")
    took = time.monotonic() - begin
    report.check(code == 0 and took < 5, "a client with a session is served during it", f"{took:.1f} s {out}{err}")
    now = [s["peer"] for s in rig.json("server", "status")["sessions"]]
    report.check(set(live) <= set(now) and "CLIENT_SESSION_CLOSED" not in rig.log("client"), "on the session of before",
                 f"{live} {rig.log('client')[-300:]}")


def garbage(report, bin_dir):
    """Random, truncated and damaged datagrams leave nothing."""
    rng = random.Random(20260101)
    with Rig(bin_dir) as rig:
        server = rig.start("server")
        genuine(rig, 1)
        before = rss_kib(server)
        hello = client_hello(rng)
        datagrams = [rng.randbytes(rng.randrange(1, 1400)) for _ in range(2000)]
        datagrams += [hello[:n] for n in range(len(hello))]
        for _ in range(2000):
            damaged = bytearray(hello)
            for _ in range(rng.randrange(1, 5)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            datagrams.append(bytes(damaged))
        # Records of every type without a session, with and without an epoch, and with lengths that lie.
        for kind in range(19, 27):
            for epoch in (0, 1, 65535):
                for length in (0, 1, 64, 65535):
                    datagrams.append(struct.pack("!B2sH6sH", kind, b"\xfe\xfd", epoch, rng.randbytes(6), length) + rng.randbytes(64))
        datagrams += [b"", b"\x00" * 65000, b"\xff" * 1400]
        answered = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.connect(("127.0.0.1", rig.port))
            for i, datagram in enumerate(datagrams):
                try:
                    out.send(datagram)
                except OSError:
                    pass
                if i % 50 == 49:
                    time.sleep(0.002)
                try:
                    while True:
                        answered += len(out.recv(65535))
                except OSError:
                    pass
        report.check(server.poll() is None and rig.ctl("server", "status")[0] == 0,
                     f"the server lives after {len(datagrams)} bad datagrams", rig.log("server")[-300:])
        report.check(answered <= sum(map(len, datagrams)) / 2, "it does not amplify them", answered)
        report.check(no_sessions(rig), "there is no session of them", rig.json("server", "status")["sessions"])
        grown = rss_kib(server) - before
        report.check(grown < 8 * 1024, "memory stays bounded", f"{grown} KiB more")
        took, answer = genuine(rig, 10)
        report.check(took is not None and took <= 1.0, "a genuine client is served within 1 s", f"{took} {answer}")


FORGERS = r"""
import os, random, socket, sys, time
sys.path.insert(0, sys.argv[1])
from hostile_test import client_hello
port, count, rng = int(sys.argv[2]), int(sys.argv[3]), random.Random(7)
sockets = []
for i in range(200):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    s.bind(("127.%d.%d.%d" % (rng.randrange(1, 255), rng.randrange(256), rng.randrange(1, 255)), 0))
    sockets.append(s)
hellos = [client_hello(rng, cookie=rng.randbytes(16) if i % 2 else b"") for i in range(500)]
for i in range(count):
    try:
        sockets[i % 200].sendto(hellos[i % 500], ("127.0.0.1", port))
    except OSError:
        pass
    if i % 20 == 19:
        time.sleep(0.001)
"""


def forged_hellos(report, bin_dir):
    """10,000 forged ClientHellos from 200 addresses leave no state."""
    need("coap-client-openssl")
    with Rig(bin_dir) as rig:
        server = rig.start("server")
        live = live_client(rig)
        genuine(rig, 1)
        before = rss_kib(server)
        forger = [sys.executable, "-c", FORGERS, os.path.dirname(os.path.abspath(__file__)), str(rig.port), "10000"]
        flood = subprocess.Popen(forger)
        rig.processes.append(flood)
        time.sleep(0.2)
        took, answer = genuine(rig, 20, limit_s=3.0)
        report.check(took is not None and took <= 3.0, "a genuine client is served during the flood", f"{took} {answer}")
        keeps_working(report, rig, live)
        report.check(flood.wait(30) == 0, "all of them were sent")
        alone = wait_for(lambda: len(rig.json("server", "status")["sessions"]) == 1, 5)
        report.check(server.poll() is None and alone, "the server lives and has the one session of before",
                     rig.json("server", "status")["sessions"])
        grown = rss_kib(server) - before
        report.check(grown < 8 * 1024, "memory stays bounded", f"{grown} KiB more")
        took, answer = genuine(rig, 30)
        report.check(took is not None and took <= 1.0, "a genuine client is served within 1 s after it", f"{took} {answer}")


def real_handshakes(report, bin_dir):
    """One valid client that opens session after session takes nothing from the others."""
    need("coap-client-openssl")
    flooder = bin_dir / "dots_handshake_flood"
    if not flooder.exists():
        raise Skip("dots_handshake_flood is not built")
    with Rig(bin_dir) as rig:
        key = "00112233445566778899aabbccddeeff"
        with open(rig.set / "psk.txt", "a", encoding="utf-8") as psk:
            psk.write(f"greedy:{key}\n")
        with open(rig.config("server"), "a", encoding="utf-8") as toml:
            toml.write('\n[[domain.client]]\nid = "greedy"\npsk_identities = ["greedy"]\n')
        rig.edit("server", r"^\[store\]$", "[limits]\nsessions_per_domain = 100\n\n[store]")
        rig.edit("server", r"^\[listen\]$", "[listen]\nshards = 1")
        server = rig.start("server")
        live = live_client(rig)
        before = rss_kib(server)
        flood = subprocess.Popen([flooder, str(rig.port), "8", "greedy", key], stdout=subprocess.PIPE, text=True)
        rig.processes.append(flood)
        wait_for(lambda: "SESSIONS_OVER_LIMIT" in rig.log("server"), 8)
        took, answer = genuine(rig, 20, limit_s=3.0)
        report.check(flood.poll() is None and took is not None and took <= 3.0,
                     "a genuine client of the same domain gets in during the flood", f"{took} {answer}")
        keeps_working(report, rig, live)
        opened = int(flood.communicate(timeout=30)[0])
        report.check(opened > 200, f"the flood opened {opened} sessions", opened)
        held = rig.json("server", "status")["sessions"]
        report.check(len(held) <= 100 and {s["client"] for s in held} >= {"client", "greedy"},
                     "and holds no more than its domain may have", len(held))
        report.check("SESSIONS_OVER_LIMIT" in rig.log("server"), "the operator is told", rig.log("server")[-300:])
        grown = rss_kib(server) - before
        report.check(grown < 16 * 1024, "memory stays bounded", f"{grown} KiB more")


def full_disk(report, bin_dir):
    """A full disk: new requests are turned away, withdrawals work."""
    need_root()
    need("coap-client-openssl", "mount", "umount")
    with Rig(bin_dir) as rig:
        state = rig.set / "state/server"
        private_mounts()
        code, out, err = run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", state])
        if code != 0:
            raise Skip(f"tmpfs cannot be mounted here: {err}")
        server = None
        try:
            server = rig.start("server")

            def ask(method, mid):
                body = mitigation(f"203.0.113.{mid}/32") if method == "put" else None
                return rig.coap(method, f"{DOTS}/mitigate/cuid=disk/mid={mid}", body)

            report.check(all(ask("put", mid).code == "2.01" for mid in range(1, 6)), "with room, requests are taken")
            with open(state / "ballast", "wb", buffering=0) as ballast:
                try:
                    while True:
                        ballast.write(bytes(4096))
                except OSError:
                    pass
            # What the log file still has room for is taken; then it is full.
            refused, mid = None, 5
            for mid in range(6, 200):
                answer = ask("put", mid)
                if answer.code != "2.01":
                    refused = answer
                    break
            report.check(refused is not None and refused.code == "5.03", "without room a new request is 5.03", refused)
            report.check(("disk", mid) not in rig.list(), "and leaves nothing", mid)
            said = wait_for(lambda: "STORE_FULL" in rig.log("server") or "STORE_COMMIT_FAILED" in rig.log("server"), 5)
            report.check(said, "the log says that the disk is full", rig.log("server")[-400:])
            code, out, err = rig.ctl("server", "status")
            report.check("disk" in out + err, "dotsctl status says so as well", out)
            answer = ask("delete", 2)
            report.check(answer.code == "2.02" and rig.list()[("disk", 2)]["status"] == "dots-client-withdrawn-mitigation",
                         "a withdrawal by the client works", answer)
            code, out, err = rig.ctl("server", "withdraw", "3", "--note", "test")
            report.check(code == 0, "a withdrawal by the operator works", out + err)
            report.check(ask("get", 1).code == "2.05", "looking works")
            server.kill()
            server.wait()
            server = rig.start("server")
            report.check(rig.list().get(("disk", 1), {}).get("status") == "attack-successfully-mitigated" and
                         rig.list().get(("disk", 2), {}).get("status") != "attack-successfully-mitigated",
                         "a restart on the full disk keeps what was acknowledged, withdrawals too", rig.list().keys())
            (state / "ballast").unlink()
            taken = wait_for(lambda: ask("put", 210).code == "2.01", 15, every=0.5)
            report.check(taken, "with room again, requests are taken again", rig.log("server")[-400:])
        finally:
            if server and server.poll() is None:
                server.kill()
                server.wait()
            run(["umount", "-l", state])


if __name__ == "__main__":
    run_parts("hostile", 160, [garbage, forged_hellos, real_handshakes, full_disk])
