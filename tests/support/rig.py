"""What the tests with real processes share: a server and a client made by `dotsctl init`, libcoap's clients, result lines.

Every child dies with the test (PR_SET_PDEATHSIG), every test has a temporary folder of its own and a time limit.
"""
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PSK = "sixteen-bytes-of-key"
PSK_IDENTITY = "tidewall-client"
DOTS = "/.well-known/dots"
LIBC = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """This cannot be tried here, and why."""


class TimeIsUp(BaseException):
    pass


def nftables_rig(bin_dir, inside, ending_s, **more):
    """A Rig whose server drops with nftables, in a network namespace; what ends there has ended after `ending_s`."""
    code, _, err = run([*inside, "nft", "add table inet probe; delete table inet probe"])
    if code != 0:
        raise Skip(f"nftables cannot be used here: {err}")
    rig = Rig(bin_dir, mitigator="nftables", inside=inside, **more)
    # Terminating rules would stay for two minutes.
    rig.edit("server", r"^prefixes = ",
             f"terminating_period_s = {ending_s}\nterminating_period_max_s = {ending_s}\nprefixes = ")
    return rig


class Report:
    """One line for each check, written at once, so that an aborted test shows how far it came."""

    def __init__(self, build, name):
        self.name = name
        folder = pathlib.Path(build) / "test-results"
        folder.mkdir(parents=True, exist_ok=True)
        self.file = open(folder / f"{name}.txt", "w", encoding="utf-8")
        self.failed = self.passed = 0

    def line(self, word, what):
        text = f"{word} {self.name}: {what}".replace("\n", " | ")
        print(text, flush=True)
        self.file.write(text + "\n")
        self.file.flush()

    def check(self, holds, what, why=""):
        if holds:
            self.passed += 1
            self.line("PASS", what)
        else:
            self.failed += 1
            self.line("FAIL", f"{what}: {why}" if why != "" else what)
        return bool(holds)

    def skip(self, what, why):
        self.line("SKIP", f"{what}: {why}")


def run_parts(name, limit_s, parts):
    """The main of a test: usage NAME.py BUILD_DIR BIN_DIR. Each part gets (report, bin_dir); one failing leaves the others."""
    build, bin_dir = sys.argv[1], pathlib.Path(sys.argv[2])
    report = Report(build, name)

    def stop(number, _):
        raise TimeIsUp(f"more than {limit_s} s" if number == signal.SIGALRM else f"signal {number}")

    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.alarm(limit_s)
    try:
        for part in parts:
            begin = time.monotonic()
            title = part.__doc__.splitlines()[0].rstrip(".")
            try:
                part(report, bin_dir)
            except Skip as reason:
                report.skip(title, str(reason))
            except Exception as error:  # a broken part is a failed check, and says where
                frame = error.__traceback__
                while frame.tb_next and frame.tb_next.tb_frame.f_code.co_filename == sys.argv[0]:
                    frame = frame.tb_next
                report.check(False, title, f"line {frame.tb_lineno}: {type(error).__name__}: {error}")
            print(f"     ({title}: {time.monotonic() - begin:.1f} s)", flush=True)
    except TimeIsUp as reason:
        report.check(False, "the test ends in time", str(reason))
    finally:
        signal.alarm(0)
        Rig.close_all()
    if report.failed:
        sys.exit(1)
    sys.exit(0 if report.passed else 77)


def _die_with_parent():
    LIBC.prctl(1, signal.SIGKILL)


def spawn(command, **more):
    return subprocess.Popen([str(c) for c in command], preexec_fn=_die_with_parent, **more)


def run(command, timeout=20, **more):
    """(exit status, output, errors); the command is killed when it takes too long."""
    process = spawn(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", **more)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err += f"\n(killed after {timeout} s)"
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process.returncode, out, err


def wait_for(condition, seconds, every=0.05):
    """What the condition returned when it first held, else what it returned last."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(every)


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Skip(f"there is no {program} here")


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def private_mounts():
    """What this process and its children mount from now on goes away with them."""
    if LIBC.unshare(0x20000) != 0 or LIBC.mount(None, b"/", None, 0x44000, None) != 0:  # CLONE_NEWNS; MS_REC | MS_PRIVATE
        raise Skip(f"no mount namespace of our own here: {os.strerror(ctypes.get_errno())}")


def free_port():
    """A UDP port that is free on both loopback addresses."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as v4, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as v6:
            v4.bind(("127.0.0.1", 0))
            port = v4.getsockname()[1]
            try:
                v6.bind(("::1", port))
                return port
            except OSError as error:
                if error.errno == 99:  # no IPv6 here
                    return port


def cbor(value):
    def head(major, n):
        for size, mark in ((1, 24), (2, 25), (4, 26), (8, 27)):
            if n < 24:
                return bytes([major << 5 | n])
            if n < 1 << (8 * size):
                return bytes([major << 5 | mark]) + n.to_bytes(size, "big")
        raise ValueError(n)

    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(cbor(v) for v in value)
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


def uncbor(data):
    """The value of a CBOR text of what DOTS uses."""

    def item(at):
        major, low = data[at] >> 5, data[at] & 31
        at += 1
        if major == 7:
            return {20: False, 21: True, 22: None}[low], at
        n = low
        if low >= 24:
            size = 1 << (low - 24)
            n, at = int.from_bytes(data[at:at + size], "big"), at + size
        if major in (2, 3):
            return (data[at:at + n] if major == 2 else data[at:at + n].decode()), at + n
        if major == 4:
            out = []
            for _ in range(n):
                value, at = item(at)
                out.append(value)
            return out, at
        if major == 5:
            out = {}
            for _ in range(n):
                key, at = item(at)
                out[key], at = item(at)
            return out, at
        if major == 6:
            return item(at)
        return (n if major == 0 else -1 - n), at

    value, end = item(0)
    if end != len(data):
        raise ValueError("bytes behind the value")
    return value


def mitigation(prefix, port=53, lifetime=3600):
    """A mitigation request of RFC 9132: UDP to one port of one prefix."""
    return cbor({1: {2: [{6: [prefix], 7: [{8: port}], 10: [17], 14: lifetime}]}})


HEARTBEAT = cbor({49: {51: True}})


class Answers:
    """What libcoap's client printed of the answers: a code and the payload of each."""

    def __init__(self, text):
        self.text = text
        self.all = [(m[2], bytes.fromhex(m[3]) if m[3] else b"", m[1], m[0])
                    for m in re.finditer(r"t:(ACK|NON|CON) c:([2-5]\.\d\d)[^\n]*(?:\n<<([0-9a-f]+)>>)?", text)]

    @property
    def code(self):
        return self.all[0][0] if self.all else None

    def scopes(self, which=0):
        return uncbor(self.all[which][1])[1][2]

    def __str__(self):
        return f"answers {[a[0] for a in self.all]}; {self.text[-300:]}"


class Rig:
    """A server and a client of one set, their processes, and what one does to them."""

    living = []

    def __init__(self, bin_dir, prefix="203.0.113.0/24", mitigator="dry-run", inside=()):
        self.bin, self.inside = bin_dir, list(inside)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tidewall-test."))
        self.set = self.folder / "set"
        self.processes, self.port, self.files = [], free_port(), 0
        Rig.living.append(self)
        code, _, err = run([bin_dir / "dotsctl", "init", self.set, "--domain", "example", "--prefix", prefix,
                            "--mitigator", mitigator, "--signal-port", str(self.port)])
        if code != 0:
            raise RuntimeError(f"dotsctl init: {err}")
        psk = self.set / "psk.txt"
        psk.write_text(f"{PSK_IDENTITY}:{PSK.encode().hex()}\n")
        psk.chmod(0o600)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self in Rig.living:
            Rig.living.remove(self)

    @staticmethod
    def close_all():
        for rig in list(Rig.living):
            rig.close()

    def config(self, role):
        return self.set / f"{role}.toml"

    def edit(self, role, pattern, text, to=None):
        """Replaces what the pattern matches (once, line by line) in the configuration of a role."""
        source = self.config(role).read_text()
        changed, n = re.subn(pattern, lambda _: text, source, count=1, flags=re.M)
        if n == 0:
            raise RuntimeError(f"{role}.toml has no {pattern}")
        path = self.config(to or role)
        path.write_text(changed)
        return path

    def log(self, role):
        path = self.folder / f"{role}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, role, wait=True, env=None, config=None):
        with open(self.folder / f"{role}.log", "ab") as log:
            process = spawn(self.inside + [self.bin / "dotsd", "--config", config or self.config(role)], stdout=log,
                            stderr=log, env={**os.environ, **(env or {})})
        self.processes.append(process)
        if wait and not wait_for(lambda: process.poll() is not None or self.ctl(role, "status")[0] == 0, 20):
            raise RuntimeError(f"the {role} does not answer: {self.log(role)[-400:]}")
        if wait and process.poll() is not None:
            raise RuntimeError(f"the {role} did not start: {self.log(role)[-400:]}")
        return process

    def run_daemon(self, config, timeout=10):
        """Starts a daemon that should refuse: (exit status, output)."""
        code, out, err = run(self.inside + [self.bin / "dotsd", "--config", config], timeout)
        return code, out + err

    @staticmethod
    def stop(process, number=signal.SIGTERM, timeout=15):
        process.send_signal(number)
        return process.wait(timeout)

    def ctl(self, role, *arguments, timeout=90):
        return run([self.bin / "dotsctl", "--config", self.config(role), *arguments], timeout)

    def json(self, role, *arguments):
        code, out, err = self.ctl(role, *arguments, "--json")
        if code != 0:
            raise RuntimeError(f"dotsctl {' '.join(arguments)}: {err}{out}")
        return json.loads(out)

    def list(self, role="server"):
        """The mitigations by (cuid, mid)."""
        return {(m["cuid"], m["mid"]): m for m in self.json(role, "list")["mitigations"]}

    def coap(self, method, path, body=None, tool="openssl", credential="psk", content_format=271, seconds=8, more=(),
             certificate="client", scheme="coaps", host=None):
        return self.coap_start(method, path, body, tool, credential, content_format, seconds, more, certificate, scheme,
                               host)()

    def coap_start(self, method, path, body=None, tool="openssl", credential="psk", content_format=271, seconds=8,
                   more=(), certificate="client", scheme="coaps", host=None):
        """Starts libcoap's client; call what is returned for its Answers."""
        command = [f"coap-client-{tool}", "-v", "6", "-B", str(seconds), "-o", "/dev/null", "-m", method]
        if body is not None:
            self.files += 1
            file = self.folder / f"body{self.files}"
            file.write_bytes(body)
            command += ["-t", str(content_format), "-f", file]
        if host is None:
            host = "localhost" if credential == "x509" else "127.0.0.1"
        if credential == "psk":
            command += ["-k", PSK, "-u", PSK_IDENTITY]
        elif credential == "x509":
            command += ["-C", self.set / "pki/ca.crt"]
            if certificate:
                command += ["-c", self.set / f"pki/{certificate}.crt", "-j", self.set / f"pki/{certificate}.key"]
        command += [*more, f"{scheme}://{host}:{self.port}{path}"]
        process = spawn(self.inside + command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        self.processes.append(process)

        def finish():
            try:
                text = process.communicate(timeout=seconds + 10)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                text = process.communicate()[0]
            self.processes.remove(process)
            return Answers(text)

        return finish
