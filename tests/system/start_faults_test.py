#!/usr/bin/env python3
"""Starts that must fail, and clocks that are wrong. usage: start_faults_test.py BUILD_DIR BIN_DIR"""
import glob
import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, Rig, Skip, mitigation, need, run, run_parts, wait_for  # noqa: E402


def second_daemon(report, bin_dir):
    """A second daemon is refused."""
    with Rig(bin_dir) as rig:
        server = rig.start("server")
        code, said = rig.run_daemon(rig.config("server"))
        report.check(code == 1 and f"in use by process {server.pid}" in said and "state_dir" in said,
                     "a second daemon on the same state directory names the first one and ends", f"{code} {said}")
        (rig.set / "state/other").mkdir()
        other = rig.edit("server", r"state/server", "state/other", to="other")
        code, said = rig.run_daemon(other)
        report.check(code == 1 and f"127.0.0.1:{rig.port} is in use" in said and "listen elsewhere" in said,
                     "a second daemon on the same port says so and ends", f"{code} {said}")
        report.check(server.poll() is None and rig.ctl("server", "status")[0] == 0, "the first daemon is not disturbed")


BREAKAGES = (
    ("a wrong choice", r"^role = .*", 'role = "boss"', "role", ("'boss'", '"server" or "client"')),
    ("host bits in a prefix", r"^prefixes = .*", 'prefixes = ["203.0.113.7/24"]', r"domain[0].prefixes[0]",
     ("203.0.113.7/24", "write '203.0.113.0/24'")),
    ("a key with a typing error", r"^state_dir", "state_dri", "store.state_dri", ("unknown", "state_dir")),
    ("a missing key", r'^id = "example"\n', "", "domain[0].id", ("missing", 'id = "')),
    ("no TOML", r'^role = "server"', 'role = "server', "", ("no TOML",)),
    ("a file that is not there", r"^certificate_file = .*", 'certificate_file = "pki/none.crt"',
     "credentials.certificate_file", ("there is no file", "pki/none.crt", "write the path")),
    ("an impossible port", r"^addresses = .*", 'addresses = ["127.0.0.1:99999"]', "listen.addresses[0]",
     ("99999", "1 to 65535")),
    ("text for a number", r"^prefixes = ", 'max_mitigations = "many"\nprefixes = ', "domain[0].max_mitigations", ("number",)),
    ("a number out of its range", r"^prefixes = ", "notification_interval_s = 1\nprefixes = ",
     "domain[0].notification_interval_s", ("3", "3600")),
    ("a key of the other role", r"^\[store\]", '[[upstream]]\nname = "a"\nhost = "b"\n\n[store]', "upstream", ("client",)),
)


def data_channel_port(report, bin_dir):
    """The port of the data channel is taken."""
    with Rig(bin_dir) as rig, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with open(rig.config("server"), "a", encoding="utf-8") as config:
            config.write(f'\n[data_channel]\nlisten = ["127.0.0.1:{port}"]\n')
        code, said = rig.run_daemon(rig.config("server"))
        report.check(code == 1 and f"127.0.0.1:{port}" in said and "data_channel.listen" in said,
                     "it says which port, and which key to change", f"{code} {said[-300:]}")


def broken_configuration(report, bin_dir):
    """Broken configurations are explained."""
    with Rig(bin_dir) as rig:
        good = rig.config("server").read_text()
        for what, pattern, text, key, words in BREAKAGES:
            broken = rig.edit("server", pattern, text, to="broken")
            changed = [i for i, (a, b) in enumerate(zip(good.split("\n"), broken.read_text().split("\n")), 1) if a != b][0]
            code, said = rig.run_daemon(broken)
            lines = re.findall(r"broken\.toml:(\d+)", said)
            near = lines and abs(int(lines[0]) - changed) <= 2
            report.check(code == 1 and near and key in said and all(w in said for w in words),
                         f"dotsd explains {what}: file, line, key, what, remedy", f"status {code}, line {changed}: {said}")
            code, out, err = run([bin_dir / "dotsctl", "check-config", broken])
            problem = said.removeprefix("dotsd: ").split("\n")[0]
            report.check(code == 1 and problem in err, f"check-config says the same of {what}", f"{code} {out}{err}")
        rig.edit("server", r"^role = .*", 'role = "server"\nnonsense = 1', to="broken")
        text = rig.config("broken").read_text().replace('kind = "dry-run"', 'kind = "wet-run"')
        rig.config("broken").write_text(text)
        said = rig.run_daemon(rig.config("broken"))[1]
        report.check("nonsense" in said and "wet-run" in said, "several problems are told at once", said)
        psk = rig.set / "psk.txt"
        psk.chmod(0o644)
        code, said = rig.run_daemon(rig.config("server"))
        report.check(code == 1 and "every user may read" in said and f"chmod o-rwx {psk}" in said,
                     "a secret that every user can read is refused, with the remedy", said)


def state_directory(report, bin_dir):
    """Missing and read-only state directories are explained."""
    with Rig(bin_dir) as rig:
        state = rig.set / "state/server"
        os.rename(state, rig.set / "state/elsewhere")
        code, said = rig.run_daemon(rig.config("server"))
        report.check(code == 1 and f"'{state}' does not exist" in said and "install -d -m 0700" in said,
                     "a missing state directory is named, with the command that makes it", f"{code} {said}")
        code, out, err = run([bin_dir / "dotsctl", "check-config", rig.config("server")])
        report.check(f"'{state}'" in err and "install -d -m 0700" in err, "check-config tells the same", f"{code} {out}{err}")
        os.rename(rig.set / "state/elsewhere", state)
        command = [bin_dir / "dotsd", "--config", rig.config("server")]
        if os.geteuid() == 0:
            need("unshare")
            script = 'mount -t tmpfs -o ro,size=1m tmpfs "$0" || exit 99; exec timeout 5 "$@"'
            command = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, state, *command]
        else:
            state.chmod(0o500)
        code, out, err = run(command)
        state.chmod(0o700)
        if code == 99:
            raise Skip("tmpfs cannot be mounted here")
        report.check(code == 1 and str(state) in err and re.search("read-only|permission|written|denied", err, re.I),
                     "a state directory that cannot be written to is refused and named", f"{code} {out}{err}")


def expired_certificate(report, bin_dir):
    """An expired certificate of our own is told at the start."""
    need("certtool")
    with Rig(bin_dir) as rig:
        pki = rig.set / "pki"
        template = pki / "template"
        template.write_text('cn = "localhost"\ndns_name = "localhost"\nsigning_key\ntls_www_server\n'
                            'activation_date = "2025-01-01 00:00:00"\nexpiration_date = "2025-02-01 00:00:00"\n')
        code, out, err = run(["certtool", "--generate-certificate", "--template", template, "--load-privkey",
                              pki / "server.key", "--load-ca-certificate", pki / "ca.crt", "--load-ca-privkey",
                              pki / "ca.key", "--outfile", pki / "old.crt"])
        if code != 0:
            raise RuntimeError(out + err)
        config = rig.edit("server", r"pki/server\.crt", "pki/old.crt", to="expired")
        code, said = rig.run_daemon(config)
        report.check(code == 1 and "old.crt" in said and "expired on 2025-02-01" in said and "renew" in said,
                     "dotsd names the certificate, the date and the remedy, and ends", f"{code} {said}")
        code, out, err = run([bin_dir / "dotsctl", "check-config", config])
        report.check(code == 1 and "expired on 2025-02-01" in err, "check-config tells it as well", f"{code} {out}{err}")


def faketime():
    for path in glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"):
        return path
    raise Skip("libfaketime is not here (Debian package faketime)")


def clocks(report, bin_dir):
    """Wall clocks that are wrong, or step."""
    library = faketime()
    need("coap-client-openssl")
    with Rig(bin_dir) as rig:
        clock = rig.folder / "clock"
        env = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "TZ": "UTC",
               "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

        def put(mid, prefix, lifetime=3600):
            return rig.coap("put", f"{DOTS}/mitigate/cuid=clock/mid={mid}", mitigation(prefix, lifetime=lifetime))

        def one(mid):
            return rig.list().get(("clock", mid), {})

        def set_clock(text):
            clock.with_suffix(".new").write_text(text + "\n")
            os.replace(clock.with_suffix(".new"), clock)

        set_clock("@1970-01-02 00:00:00")
        code, out, err = run([bin_dir / "dotsd", "--config", rig.config("server")], env={**os.environ, **env})
        report.check(code == 1 and "not valid before" in err and "clock" in err and "1970-01-02" in err,
                     "in 1970 a daemon with a certificate says that the clock is wrong", f"{code} {err}")

        for key in ("ca_file", "certificate_file", "key_file"):
            rig.edit("server", rf"^{key} = .*\n", "")
        rig.edit("server", r"^certificate_names = .*\n", "")
        server = rig.start("server", env=env)
        answer = put(1, "203.0.113.1/32")
        report.check(answer.code == "2.01" and 3590 <= one(1).get("lifetime", 0) <= 3600,
                     "in 1970 a daemon with pre-shared keys serves", f"{answer} {one(1)}")
        set_clock("+0")
        stepped = wait_for(lambda: "WALL_CLOCK_STEP" in rig.log("server"), 5)
        now = time.time()
        left = one(1)
        report.check(stepped and "stepped by more than 5 s" in rig.log("server"), "a step to the present raises an alarm")
        report.check(3580 <= left.get("lifetime", 0) <= 3600 and abs(left["expires-at"] - now - 3600) < 30,
                     "and leaves the running lifetime as it was", left)
        time.sleep(0.5)
        rig.stop(server, 9)
        server = rig.start("server", env=env)
        left = one(1)
        report.check(left.get("status") == "attack-successfully-mitigated" and 3500 <= left["lifetime"] <= 3600,
                     "also when it was idle since and is killed and started again", left)
        report.check(put(2, "203.0.113.2/32", 600).code == "2.01", "requests are taken after the step")
        set_clock("+2h")
        time.sleep(1.5)
        left = one(2)
        report.check(left.get("status") == "attack-successfully-mitigated" and 580 <= left.get("lifetime", 0) <= 600,
                     "a step of two hours expires nothing that runs", left)
        set_clock("+0")
        time.sleep(1.5)

        rig.stop(server)
        set_clock("@1970-01-02 00:00:00")
        server = rig.start("server", env=env)
        left = one(2)
        report.check(left.get("status") == "attack-successfully-mitigated" and 500 <= left.get("lifetime", 0) <= 600,
                     "restarted in 1970 it keeps mitigations, none longer than granted", left)
        status = rig.json("server", "status")
        report.check("WALL_CLOCK_WRONG" in str(status), "and says that the clock is behind the last stored change", status)
        rig.stop(server, 9)

        set_clock("+2h")
        server = rig.start("server", env=env)
        wait_for(lambda: one(2).get("status") != "attack-successfully-mitigated", 3)
        left = one(2)
        report.check(left.get("status") != "attack-successfully-mitigated",
                     "restarted two hours later it ends what has expired meanwhile", left)
        rig.stop(server)


if __name__ == "__main__":
    run_parts("start_faults", 100, [second_daemon, data_channel_port, broken_configuration, state_directory, expired_certificate, clocks])
