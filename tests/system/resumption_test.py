#!/usr/bin/env python3
"""Sessions that resume by tickets, and sessions that end with their credential. usage: resumption_test.py BUILD_DIR BIN_DIR"""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import Rig, need, run, run_parts, wait_for  # noqa: E402


def session(rig):
    """The client's session while it is connected."""
    server = rig.json("client", "status")["servers"][0]
    return server["sessions"][0] if server["state"] == "connected" else None


def connected(rig):
    return wait_for(lambda: session(rig) is not None, 15)


def mode(path):
    return oct(path.stat().st_mode & 0o777)


def server_killed(report, bin_dir):
    """kill -9 of the server under a running mitigation: the client's next request is acknowledged in seconds."""
    with Rig(bin_dir) as rig:
        server = rig.start("server")
        rig.start("client")
        report.check(connected(rig), "the client is connected", rig.log("client")[-300:])
        code, _, err = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.7/32", "--protocol", "udp", "--wait")
        report.check(code == 0 and len(rig.list()) == 1, "a mitigation runs", err)
        report.check(rig.json("server", "status")["handshakes"] == {"full": 1, "resumed": 0}, "after one full handshake")
        keys = list(rig.folder.rglob("ticket-keys"))
        tickets = list(rig.folder.rglob("tickets"))
        report.check(len(keys) == 1 and mode(keys[0]) == "0o600", "the keys are the daemon's alone", keys)
        report.check(len(tickets) == 1 and mode(tickets[0]) == "0o600", "and so are the client's tickets", tickets)
        before = keys[0].read_text()

        rig.stop(server, signal.SIGKILL)
        rig.start("server")
        report.check(keys[0].read_text() == before, "the restarted server has the same keys")
        start = time.monotonic()
        code, _, err = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.8/32", "--protocol", "udp", "--wait",
                               timeout=60)
        took = time.monotonic() - start
        report.check(code == 0 and took < 10, "the next request is acknowledged in seconds", f"{took:.1f} s {err}")
        report.check(len(rig.list()) == 2, "both mitigations run", rig.list())
        status = rig.json("server", "status")
        shakes = status["handshakes"]
        report.check(shakes["full"] == 0 and shakes["resumed"] > 0, "by a resumed handshake", shakes)
        report.check("CLIENT_PARALLEL_SESSION" in rig.log("client"), "on a parallel session", rig.log("client")[-400:])
        code, out, _ = rig.ctl("server", "status")
        report.check(code == 0 and "resumed" in out, "dotsctl status shows it", out)


def client_killed(report, bin_dir):
    """A client that starts again resumes its session; one whose keys the server has lost comes back by a full handshake."""
    with Rig(bin_dir) as rig:
        server = rig.start("server")
        client = rig.start("client")
        report.check(connected(rig) and not session(rig)["resumed"], "the first session is a full handshake")
        report.check(wait_for(lambda: list(rig.folder.rglob("tickets")), 5), "the ticket is kept")
        rig.stop(client, signal.SIGKILL)
        client = rig.start("client")
        report.check(connected(rig) and session(rig)["resumed"], "after kill -9 the client resumes", rig.log("client")[-300:])
        rig.stop(client)
        rig.stop(server)
        list(rig.folder.rglob("ticket-keys"))[0].unlink()
        rig.start("server")
        rig.start("client")
        report.check(connected(rig) and not session(rig)["resumed"], "without the keys the handshake is full",
                     rig.log("client")[-300:])
        status = rig.json("server", "status")
        report.check(status["handshakes"] == {"full": 1, "resumed": 0}, "and the server says so", status["handshakes"])


def revoked(report, bin_dir):
    """A new revocation list ends the session of a revoked client, without a reload, and it does not come back."""
    need("certtool")
    with Rig(bin_dir) as rig:
        pki = next(rig.set.rglob("client.crt")).parent
        crl = pki / "list.crl"

        def publish(*certificates):
            template = rig.folder / "crl.template"
            template.write_text(f"crl_number = {time.time_ns() // 1000}\ncrl_next_update = 30\n")
            more = []
            if certificates:
                (rig.folder / "revoked.pem").write_text("".join(c.read_text() for c in certificates))
                more = ["--load-certificate", rig.folder / "revoked.pem"]
            code, _, err = run(["certtool", "--generate-crl", "--load-ca-privkey", next(rig.set.rglob("ca.key")),
                                "--load-ca-certificate", next(rig.set.rglob("ca.crt")), "--template", template,
                                "--outfile", rig.folder / "new.crl", *more])
            if code != 0:
                raise RuntimeError(err)
            os.replace(rig.folder / "new.crl", crl)

        publish()
        rig.edit("server", r"^\[credentials\]$", f'[credentials]\ncrl_file = "{crl}"')
        rig.start("server")
        rig.start("client")
        report.check(connected(rig), "the client is connected", rig.log("client")[-300:])
        crl.write_text("no list at all\n")
        report.check(wait_for(lambda: "REVOCATIONS_REFUSED" in rig.log("server"), 15), "a broken list is refused",
                     rig.log("server")[-300:])
        report.check(session(rig) is not None, "and ends nothing")
        publish(next(rig.set.rglob("client.crt")))
        report.check(wait_for(lambda: "SESSION_CREDENTIAL_ENDED" in rig.log("server"), 20), "the session is closed",
                     rig.log("server")[-400:])
        report.check(wait_for(lambda: session(rig) is None, 10), "the client has no session")
        report.check(not rig.json("server", "status")["sessions"], "and the server none of it")


if __name__ == "__main__":
    run_parts("resumption", 110, [server_killed, client_killed, revoked])
