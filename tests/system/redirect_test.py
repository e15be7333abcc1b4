#!/usr/bin/env python3
"""Redirected signaling between two real servers and a real client (RFC 9132 4.6). usage: redirect_test.py BUILD_DIR BIN_DIR"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import Rig, need, run, run_parts, wait_for  # noqa: E402

TO = ["--to", "alt.localhost", "--record", "127.0.0.2"]


class Pair(Rig):
    """The rig's server, and `alternate` at another address with a certificate of its own, of the same authority."""

    def __init__(self, bin_dir, roles=("server", "alternate", "client")):
        super().__init__(bin_dir)
        need("openssl")
        pki = self.set / "pki"
        (pki / "alternate.ext").write_text("subjectAltName=DNS:alt.localhost\n")
        for command in (["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=alt.localhost",
                         "-keyout", pki / "alternate.key", "-out", pki / "alternate.csr"],
                        ["x509", "-req", "-in", pki / "alternate.csr", "-CA", pki / "ca.crt", "-CAkey", pki / "ca.key",
                         "-CAcreateserial", "-days", "2", "-extfile", pki / "alternate.ext", "-out", pki / "alternate.crt"]):
            code, _, err = run(["openssl", *command])
            if code != 0:
                raise RuntimeError(f"openssl: {err}")
        (pki / "alternate.key").chmod(0o600)
        self.edit("server", r'^\[store\]', '[redirect]\nown_domains = ["localhost"]\ngrace_s = 2\n\n[store]')
        self.edit("server", r'^addresses = .*$', f'addresses = ["127.0.0.2:{self.port}"]', to="alternate")
        for old, new in (('pki/server.crt', 'pki/alternate.crt'), ('pki/server.key', 'pki/alternate.key'),
                         ('state/server', 'state/alternate')):
            self.edit("alternate", old, new)
        (self.set / "state/alternate").mkdir(mode=0o700)
        for role in roles:
            self.start(role)

    def upstream(self):
        return self.json("client", "status")["servers"][0]

    def connected(self):
        return wait_for(lambda: self.upstream()["state"] == "connected", 15)

    def mitigate(self, address):
        return self.ctl("client", "mitigate", "--target-prefix", address, "--protocol", "udp", "--wait")

    def states(self):
        return [c["state"] for order in self.json("server", "redirect")["redirects"] for c in order["clients"]]

    def at(self, role):
        """The addresses that a server protects for the client, whatever is ending left out."""
        return sorted(m["addresses"][0] for m in self.list(role).values() if m["status"] != "dots-client-withdrawn-mitigation")


def carried_over(report, bin_dir):
    """A drain waits for a running mitigation; forced, the mitigation is carried over."""
    with Pair(bin_dir) as rig:
        report.check(rig.connected(), "the client is connected", rig.log("client")[-300:])
        code, out, err = rig.mitigate("203.0.113.7/32")
        report.check(code == 0, "a mitigation runs at the first server", out + err)

        code, out, err = rig.ctl("server", "redirect", "--to", "alt.example.org")
        report.check(code == 1 and "outside our administrative domain" in err, "a foreign target is refused", out + err)
        code, out, err = rig.ctl("server", "redirect", *TO, "--ttl", "1h", "--note", "new disks")
        report.check(code == 0 and "alt.localhost" in out, "the order is taken", out + err)
        report.check(wait_for(lambda: rig.states() == ["mitigating"], 5), "it waits for the mitigation", rig.states())
        report.check("redirect" not in rig.upstream() and rig.at("alternate") == [], "the client stays", rig.upstream())

        code, out, err = rig.ctl("server", "redirect", *TO, "--ttl", "1h", "--force")
        report.check(code == 0, "the order is forced", out + err)
        report.check(wait_for(lambda: rig.at("alternate") == ["203.0.113.7/32"], 15), "the mitigation is at the alternate",
                     rig.log("client")[-400:])
        report.check({mid for _, mid in rig.list("alternate")} == {mid for _, mid in rig.list("client")},
                     "under the same mid", rig.list("alternate"))
        report.check(wait_for(lambda: rig.states() == ["left"], 10), "the client has left", rig.states())
        status = rig.upstream()
        report.check(status.get("redirect", {}).get("alt-server") == "alt.localhost" and status["state"] == "connected",
                     "the client says where its requests go", status)
        code, out, err = rig.mitigate("203.0.113.8/32")
        report.check(code == 0 and len(rig.at("alternate")) == 2 and len(rig.at("server")) == 1,
                     "a new request goes to the alternate alone", out + err)
        audit = rig.json("server", "audit")["audit"]
        report.check(any(a.get("action") == "redirect" for a in audit), "the audit log has the order", audit[:2])


def drain_and_return(report, bin_dir):
    """An idle client goes with its next request; the order survives a restart; after the time the client returns."""
    with Pair(bin_dir, ("server", "alternate")) as rig:
        code, out, err = rig.ctl("server", "redirect", *TO, "--ttl", "8")
        report.check(code == 0, "the order is taken", out + err)
        rig.stop(rig.processes[0])
        rig.start("server")
        report.check("alt.localhost" in rig.ctl("server", "redirect")[1], "the order stands after a restart", "")
        # One that negotiates its session would be told with the first question about it.
        rig.edit("client", r"^host = ", "negotiate = false\nhost = ")
        rig.start("client")
        report.check(rig.connected(), "the client is connected", rig.log("client")[-300:])
        report.check(rig.states() == ["not told yet"], "an idle client is not told yet", rig.states())
        code, out, err = rig.mitigate("203.0.113.7/32")
        report.check(code == 0 and rig.at("alternate") == ["203.0.113.7/32"] and rig.at("server") == [],
                     "its next request goes to the alternate", out + err)
        code, out, err = rig.ctl("server", "redirect", "--off")
        report.check(code == 0 and "No client is redirected" in out, "the drain is called off", out + err)
        wait_for(lambda: False, 9)
        report.check("redirect" in rig.upstream(), "during the attack the client stays there, though the time is over",
                     rig.upstream())
        (mid,) = [m for _, m in rig.list("client")]
        rig.ctl("client", "withdraw", str(mid))
        report.check(wait_for(lambda: "redirect" not in rig.upstream(), 10), "then it returns", rig.upstream())
        wait_for(rig.connected, 75, 0.5)
        code, out, err = rig.mitigate("203.0.113.9/32")
        report.check(code == 0 and rig.at("server") == ["203.0.113.9/32"], "and asks the first server again", out + err)


run_parts("redirect", 180, [carried_over, drain_and_return])
