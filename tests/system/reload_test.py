#!/usr/bin/env python3
"""dotsctl reload and SIGHUP of real daemons. usage: reload_test.py BUILD_DIR BIN_DIR"""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, Rig, mitigation, need, run_parts, wait_for  # noqa: E402

OTHER = """
[[domain]]
id = "other"
prefixes = ["198.51.100.0/24"]
[[domain.client]]
id = "other-edge"
psk_identities = ["other-edge"]
"""


def connected(rig):
    return wait_for(lambda: rig.json("client", "status")["servers"][0]["state"] == "connected", 15)


def log_has(rig, word, role="server"):
    return wait_for(lambda: word in rig.log(role), 10)


def policy_changes(report, bin_dir):
    """A domain loses a prefix and another domain comes, under a running session."""
    need("coap-client-openssl")
    with Rig(bin_dir) as rig:
        rig.edit("server", r'^prefixes = .*$', 'prefixes = ["203.0.113.0/24", "192.0.2.0/24"]')
        rig.start("server")
        rig.start("client")
        report.check(connected(rig), "the client is connected", rig.log("client")[-300:])
        rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.7/32", "--protocol", "udp", "--wait")
        rig.ctl("client", "mitigate", "--target-prefix", "192.0.2.7/32", "--protocol", "udp", "--wait")
        report.check(len(rig.list()) == 2, "two mitigations run", rig.list())

        rig.edit("server", r'^prefixes = .*$', 'prefixes = ["203.0.113.0/24"]')
        with open(rig.config("server"), "a", encoding="utf-8") as file:
            file.write(OTHER)
        (rig.set / "psk.txt").write_text((rig.set / "psk.txt").read_text() + "other-edge:" + "ab" * 16 + "\n")
        code, out, err = rig.ctl("server", "reload", "--dry-run")
        report.check(code == 0 and "192.0.2.0/24" in out and "Not applied" in out, "a dry run shows the difference", out + err)
        report.check(len(rig.list()) == 2, "and changes nothing", rig.list())

        code, out, err = rig.ctl("server", "reload")
        report.check(code == 0 and "domain[other].prefixes" in out and "Applied." in out, "the reload is applied", out + err)
        wait_for(lambda: len(rig.list()) == 1, 10)
        left = [m["addresses"] for m in rig.list().values()]
        report.check(left == [["203.0.113.7/32"]], "only the mitigation of the lost prefix ended", left)
        report.check(connected(rig) and "CLIENT_SESSION_CLOSED" not in rig.log("client"), "the session lives on",
                     rig.log("client")[-300:])
        audit = rig.json("server", "audit")["audit"]
        report.check(any(a.get("action") == "reload" for a in audit), "the audit log has the reload", audit[:2])
        code, out, _ = rig.ctl("server", "reload")
        report.check(code == 0 and "Nothing has changed" in out, "asked again, nothing has changed", out)


def all_or_nothing(report, bin_dir):
    """A configuration that cannot be applied as a whole changes nothing."""
    with Rig(bin_dir) as rig:
        server = rig.start("server")
        good = rig.config("server").read_text()

        rig.config("server").write_text(good + OTHER + 'colour = "red"\n')
        code, out, err = rig.ctl("server", "reload")
        report.check(code == 1 and "colour" in err and "nothing was changed" in err, "a wrong key is named", out + err)
        rig.config("server").write_text(good.replace('[listen]', '[listen]\nshards = 7', 1) + OTHER.replace(
            'psk_identities = ["other-edge"]', 'certificate_names = ["other.example"]'))
        code, out, err = rig.ctl("server", "reload")
        report.check(code == 1 and "listen.shards" in err and "restart" in err,
                     "a change that needs a restart is named, and the others wait with it", out + err)
        report.check(rig.json("server", "status")["domains"] == 1, "the other domain is not there", "")

        certificate = rig.set / "pki/server.crt"
        kept = certificate.read_text()
        rig.config("server").write_text(good)
        certificate.write_text("no certificate")
        for how in (["--dry-run"], []):
            code, out, err = rig.ctl("server", "reload", *how)
            report.check(code == 1 and "nothing was changed" in err, f"a broken certificate is refused {how}", out + err)
        certificate.write_text(kept)
        rig.config("server").write_text(good + 'colour = "red"\n')

        server.send_signal(signal.SIGHUP)
        report.check(log_has(rig, "CONFIG_RELOAD_REFUSED"), "SIGHUP says so in the log", rig.log("server")[-300:])
        rig.config("server").write_text(good + OTHER.replace(
            'psk_identities = ["other-edge"]', 'certificate_names = ["other.example"]'))
        server.send_signal(signal.SIGHUP)
        report.check(wait_for(lambda: rig.json("server", "status")["domains"] == 2, 10), "SIGHUP applies a good one",
                     rig.log("server")[-300:])
        report.check(log_has(rig, "CONFIG_RELOADED"), "and says so", rig.log("server")[-300:])
        report.check(server.poll() is None, "the daemon lives", "")


def key_is_replaced(report, bin_dir):
    """A pre-shared key that is replaced ends the sessions that were opened with it, and no new one opens."""
    need("coap-client-openssl")
    with Rig(bin_dir) as rig:
        rig.start("server")
        report.check(rig.coap("get", f"{DOTS}/mitigate/cuid=x").code == "4.04", "the key opens a session", "")
        psk = rig.set / "psk.txt"
        psk.write_text(psk.read_text().split(":")[0] + ":" + "cd" * 20 + "\n")
        code, out, err = rig.ctl("server", "reload")
        report.check(code == 0 and "another key" in out and "cdcd" not in out, "the reload tells it without the key", out + err)
        report.check(rig.coap("get", f"{DOTS}/mitigate/cuid=x", seconds=3).code is None, "the old key opens none", "")


def client_reloads(report, bin_dir):
    """A client takes a renewed certificate file, and refuses what needs a restart."""
    with Rig(bin_dir) as rig:
        rig.start("server")
        client = rig.start("client")
        report.check(connected(rig), "the client is connected", rig.log("client")[-300:])
        certificate = rig.set / "pki/client.crt"
        certificate.write_text(certificate.read_text() + "\n")
        code, out, err = rig.ctl("client", "reload")
        report.check(code == 0 and "credentials.certificate_file" in out and "Applied." in out, "the client reloads", out + err)
        certificate.write_text("no certificate")
        code, out, err = rig.ctl("client", "reload", "--dry-run")
        report.check(code == 1 and "nothing was changed" in err, "a dry run sees a broken certificate", out + err)
        code, out, err = rig.ctl("client", "reload")
        report.check(code == 1 and "nothing was changed" in err, "a broken certificate is refused", out + err)
        report.check(client.poll() is None and connected(rig), "the session lives on", "")


if __name__ == "__main__":
    run_parts("reload", 110, [policy_changes, all_or_nothing, key_is_replaced, client_reloads])
