#!/usr/bin/env python3
"""Raw public keys in place of certificates. usage: raw_keys_test.py BUILD_DIR BIN_DIR"""
import base64
import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import Rig, need, run, run_parts, wait_for  # noqa: E402


def make_key(rig, name):
    """A private key and the SHA-256 of its public half, as the configuration page says to make it."""
    path = rig.set / f"{name}.raw.key"
    code, _, err = run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path])
    if code != 0:
        raise RuntimeError(err)
    path.chmod(0o600)
    der = rig.folder / f"{name}.der"
    run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER", "-out", der])
    return path, hashlib.sha256(der.read_bytes()).hexdigest()


def without_certificates(rig, role, key):
    for line in ("ca_file", "certificate_file"):
        rig.edit(role, rf'^{line} = .*\n', "")
    rig.edit(role, r'^key_file = .*$', f'key_file = "{key}"')


def connected(rig, seconds=15):
    return wait_for(lambda: rig.json("client", "status")["servers"][0]["state"] == "connected", seconds)


def raw_keys(report, bin_dir):
    """A server and a client that know each other's keys and nothing else."""
    need("openssl")
    with Rig(bin_dir) as rig:
        server_key, server_print = make_key(rig, "server")
        client_key, client_print = make_key(rig, "client")
        _, other_print = make_key(rig, "other")
        without_certificates(rig, "server", server_key)
        without_certificates(rig, "client", client_key)
        rig.edit("server", r'^psk_file = .*\n', "")
        rig.edit("server", r'^psk_identities = .*\n', "")
        rig.edit("server", r'^certificate_names = .*$', f'raw_public_keys = ["{client_print}"]')
        rig.edit("client", r'^host = .*$', f'host = "localhost"\nraw_public_keys = ["{other_print}"]')
        rig.start("server")
        client = rig.start("client")
        refused = wait_for(lambda: f"its raw public key {server_print} is not configured" in rig.log("client"), 15)
        report.check(refused, "a server with another key is refused", rig.log("client")[-400:])
        rig.stop(client)

        rig.edit("client", r'^raw_public_keys = .*$', f'raw_public_keys = ["{server_print}"]')
        client = rig.start("client")
        report.check(connected(rig), "the two connect", rig.log("client")[-400:])
        code, _, err = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.7/32", "--protocol", "udp", "--wait")
        cuids = {cuid for cuid, _ in rig.list()}
        wanted = base64.urlsafe_b64encode(bytes.fromhex(client_print)[:16]).decode().rstrip("=")
        report.check(code == 0 and cuids == {wanted}, "a mitigation runs, and the cuid comes of the key", f"{cuids} {err}")
        rig.stop(client)
        client = rig.start("client")
        report.check(connected(rig) and rig.json("client", "status")["servers"][0]["sessions"][0]["resumed"],
                     "the session is resumed after a restart", rig.log("client")[-400:])

        rig.edit("server", r'^raw_public_keys = .*$', f'raw_public_keys = ["{other_print}"]')
        code, out, err = rig.ctl("server", "reload")
        report.check(code == 0 and "raw_public_keys" in out, "a reload takes the key away", out + err)
        report.check(wait_for(lambda: not rig.json("server", "status")["sessions"], 15), "its session is closed")
        rig.stop(client)
        rig.start("client")
        refused = wait_for(lambda: f"its raw public key {client_print} is not configured" in rig.log("server"), 15)
        report.check(refused, "it does not come back, resumed or not", rig.log("server")[-400:])
        report.check(not rig.json("server", "status")["sessions"], "and has no session")


if __name__ == "__main__":
    run_parts("raw_keys", 100, [raw_keys])
