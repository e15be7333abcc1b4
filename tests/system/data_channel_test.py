#!/usr/bin/env python3
"""The data channel through curl: the plays of RFC 8783, foreign credentials, kill -9. usage: data_channel_test.py BUILD_DIR BIN_DIR"""
import itertools
import json
import os
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, Rig, cbor, need, run, run_parts, wait_for  # noqa: E402

MODULE = "ietf-dots-data-channel"
DATA = f"/restconf/data/{MODULE}:dots-data"
YANG = "application/yang-data+json"
ROUNDS = 8


def free_tcp_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["ietf-restconf:errors"]["error"][0]

    def __str__(self):
        return f"{self.status} {self.headers} {self.body[:300]}"


class Web:
    """A rig whose server has a data channel, and curl as its client."""

    def __init__(self, rig, more=""):
        self.rig, self.port, self.files = rig, free_tcp_port(), itertools.count()
        with rig.config("server").open("a") as config:
            config.write(f'\n[data_channel]\nlisten = ["127.0.0.1:{self.port}"]\n{more}')

    def command(self, method, path, body=None, credential="client", headers=(), more=()):
        pki = self.rig.set / "pki"
        command = ["curl", "-sS", "-i", "--max-time", "20", "--cacert", pki / "ca.crt", "-X", method]
        if method == "HEAD":
            command = ["curl", "-sS", "-I", "--max-time", "20", "--cacert", pki / "ca.crt"]
        if credential:
            command += ["--cert", pki / f"{credential}.crt", "--key", pki / f"{credential}.key"]
        if body is not None:
            file = self.rig.folder / f"body{next(self.files)}"
            file.write_text(body if isinstance(body, str) else json.dumps(body))
            if not any(line.startswith("Content-Type:") for line in headers):
                command += ["-H", f"Content-Type: {YANG}"]
            command += ["--data-binary", f"@{file}"]
        for line in headers:
            command += ["-H", line]
        return command + list(more) + [f"https://localhost:{self.port}{path}"]

    def ask(self, method, path, body=None, credential="client", headers=(), more=()):
        code, out, err = run(self.command(method, path, body, credential, headers, more))
        if code != 0:
            return Answer(0, {}, err)
        while out.startswith("HTTP/1.1 100"):
            out = out.partition("\n\n")[2]
        head, _, text = out.partition("\n\n")
        lines = head.splitlines()
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        return Answer(int(lines[0].split()[1]), {k.lower(): v for k, v in fields.items()}, text)


def issue(rig, name):
    """A certificate of the same authority for somebody else."""
    pki = rig.set / "pki"
    extension = rig.folder / "san"
    extension.write_text(f"subjectAltName=DNS:{name}\n")
    for command in (["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                     pki / f"{name}.key", "-subj", f"/CN={name}", "-out", rig.folder / "csr"],
                    ["openssl", "x509", "-req", "-in", rig.folder / "csr", "-CA", pki / "ca.crt", "-CAkey", pki / "ca.key",
                     "-CAcreateserial", "-days", "2", "-extfile", extension, "-out", pki / f"{name}.crt"]):
        code, _, err = run(command)
        if code != 0:
            raise RuntimeError(err)


def alias(name, address="203.0.113.1/32", port=443):
    return {"name": name, "target-protocol": [6], "target-prefix": [address], "target-port-range": [{"lower-port": port}]}


def drop_list(name, source="192.0.2.0/24", activation="activate-when-mitigating"):
    ace = {"name": "rule1", "actions": {"forwarding": "drop"},
           "matches": {"ipv4": {"source-ipv4-network": source, "destination-ipv4-network": "203.0.113.0/24"}}}
    return {"name": name, "type": "ipv4-acl-type", "activation-type": activation, "aces": {"ace": [ace]}}


def aliases(*items):
    return {f"{MODULE}:aliases": {"alias": list(items)}}


def acls(*items):
    return {f"{MODULE}:acls": {"acl": list(items)}}


def registration(cuid):
    return {f"{MODULE}:dots-client": [{"cuid": cuid}]}


# D8783-3.1-01, R8040-3.1-01, S8612-GEN-003-01, S8612-DATA-001-01, S8612-DATA-003-01, S8612-DATA-003-02, S8811-3.1-01, S8811-3.1.2-01
def examples(report, bin_dir):
    """The examples of RFC 8783, in their order."""
    need("curl", "coap-client-openssl")
    with Rig(bin_dir) as rig:
        web = Web(rig)
        server = rig.start("server")
        report.check(f"https://127.0.0.1:{web.port}" in rig.log("server"), "the log names the address", rig.log("server")[-300:])

        meta = web.ask("GET", "/.well-known/host-meta", headers=["Accept: application/xrd+xml"])
        report.check(meta.status == 200 and "rel='restconf'" in meta.body.replace('"', "'") and
                     meta.headers.get("content-type") == "application/xrd+xml", "host-meta names the root", meta)
        caps = web.ask("GET", f"{DATA}/capabilities", headers=[f"Accept: {YANG}"])
        shown = caps.json[f"{MODULE}:capabilities"] if caps.status == 200 else {}
        report.check(shown.get("ipv4", {}).get("fragment") is True and "drop" in str(shown.get("forwarding-actions")),
                     "capabilities are shown", caps)

        made = web.ask("POST", DATA, registration("dz6pHjaADkaFTbjr0JGBpw"))
        me = f"{DATA}/dots-client=dz6pHjaADkaFTbjr0JGBpw"
        report.check(made.status == 201 and made.headers.get("location", "").endswith(me), "a client registers", made)
        twice = web.ask("POST", DATA, registration("dz6pHjaADkaFTbjr0JGBpw"))
        report.check(twice.status == 409 and twice.error["error-tag"] == "resource-denied", "not a second time", twice)

        made = web.ask("POST", me, aliases(alias("https1")))
        report.check(made.status == 201, "an alias is made", made)
        made = web.ask("PUT", f"{me}/aliases/alias=Server1", aliases(alias("Server1", "203.0.113.9/32", 80)))
        report.check(made.status == 201, "another one by PUT", made)
        all_of_them = web.ask("GET", f"{me}/aliases?content=all")
        names = [a["name"] for a in all_of_them.json[f"{MODULE}:aliases"]["alias"]] if all_of_them.status == 200 else []
        report.check(sorted(names) == ["Server1", "https1"], "both are shown", all_of_them)
        one = web.ask("GET", f"{me}/aliases/alias=https1?content=all")
        report.check(one.status == 200 and "pending-lifetime" in one.body, "with what is left of their lifetime", one)
        head = web.ask("HEAD", f"{me}/aliases/alias=https1")
        report.check(head.status == 200 and "etag" in head.headers and head.body == "", "HEAD has headers alone", head)

        asked = rig.coap("put", f"{DOTS}/mitigate/cuid=dz6pHjaADkaFTbjr0JGBpw/mid=1",
                         cbor({1: {2: [{13: ["https1"], 14: 3600}]}}))
        report.check(asked.code == "2.01" and "203.0.113.1/32" in rig.ctl("server", "explain")[1],
                     "a mitigation request names the alias", f"{asked} {rig.ctl('server', 'explain')}")

        made = web.ask("POST", me, acls(drop_list("sample-ipv4-acl")))
        report.check(made.status == 201, "a filter is made", made)
        changed = web.ask("PATCH", f"{me}/acls/acl=sample-ipv4-acl",
                          acls({"name": "sample-ipv4-acl", "activation-type": "immediate"}))
        report.check(changed.status == 204, "and activated", changed)
        one = web.ask("GET", f"{me}/acls/acl=sample-ipv4-acl")
        report.check("immediate" in one.body and "192.0.2.0/24" in one.body, "as it shows", one)
        gone = web.ask("DELETE", f"{me}/acls/acl=sample-ipv4-acl")
        again = web.ask("DELETE", f"{me}/acls/acl=sample-ipv4-acl")
        report.check(gone.status == 204 and again.status == 404, "and removed, once", f"{gone} / {again}")

        # Errors, each in RESTCONF's form.
        for what, answer, status, tag in (
                ("a prefix of somebody else", web.ask("POST", me, aliases(alias("foreign", "198.51.100.1/32"))), 400, None),
                ("reversed ports", web.ask("POST", me, aliases({**alias("r"), "target-port-range": [
                    {"lower-port": 443, "upper-port": 80}]})), 400, "invalid-value"),
                ("an unknown attribute", web.ask("POST", me, aliases({**alias("u"), "no-such": 1})), 400, "unknown-element"),
                ("broken JSON", web.ask("POST", me, "{"), 400, "malformed-message"),
                ("another media type", web.ask("POST", me, "{}", headers=["Content-Type: text/plain"]), 415, None),
                ("a registration without cuid", web.ask("POST", DATA, {f"{MODULE}:dots-client": [{}]}), 400,
                 "missing-attribute"),
                ("an alias that is not there", web.ask("GET", f"{me}/aliases/alias=nope"), 404, "invalid-value"),
                ("a header without end", web.ask("GET", DATA, headers=["X: " + "a" * 40000]), 431, "too-big"),
                ("a body over its bound", web.ask("PUT", f"{me}/aliases/alias=big", " " * 5_000_000), 413,
                 "too-big")):
            report.check(answer.status == status and (tag is None or answer.error["error-tag"] == tag) and
                         "error-message" in answer.body, f"{what} is refused with {status}", answer)
        rig.stop(server)
        server = rig.start("server")
        kept = web.ask("GET", f"{me}/aliases")
        report.check(kept.status == 200 and "https1" in kept.body, "a restart keeps them", kept)
        whole = web.ask("DELETE", me)
        report.check(whole.status == 204 and web.ask("GET", f"{me}/aliases").status == 404,
                     "a client that goes takes everything with it", whole)


# D8783-5.2-04, R8040-2.5-01, R8040-2.5-05, R8040-12-03
def strangers(report, bin_dir):
    """Another domain sees and changes nothing, and leaves a trace."""
    need("curl", "openssl")
    with Rig(bin_dir) as rig:
        web = Web(rig)
        issue(rig, "other.example")
        issue(rig, "nobody.example")
        with rig.config("server").open("a") as config:
            config.write('[[domain]]\nid = "other"\nprefixes = ["198.51.100.0/24"]\n[[domain.client]]\nid = "o"\n'
                         'certificate_names = ["other.example"]\n')
        rig.start("server")
        me = f"{DATA}/dots-client=ours"
        web.ask("POST", DATA, registration("ours"))
        web.ask("POST", me, aliases(alias("secret")))
        for method, path, body in (("GET", me, None), ("GET", f"{me}/aliases/alias=secret", None),
                                   ("PUT", f"{me}/aliases/alias=secret", aliases(alias("secret", "198.51.100.1/32"))),
                                   ("DELETE", me, None), ("DELETE", f"{me}/aliases/alias=secret", None)):
            answer = web.ask(method, path, body, credential="other.example")
            report.check(answer.status in (401, 403, 404) and "203.0.113" not in answer.body,
                         f"{method} of another domain gets {answer.status}", answer)
        own = web.ask("POST", DATA, registration("ours"), credential="other.example")
        report.check(own.status == 201, "the same cuid in another domain is another client", own)
        listing = web.ask("GET", DATA, credential="other.example")
        report.check("secret" not in listing.body, "and sees itself alone", listing)
        answer = web.ask("GET", me)
        report.check("secret" in answer.body, "what was there is untouched", answer)

        nobody = web.ask("GET", "/.well-known/host-meta", credential="nobody.example")
        report.check(nobody.status == 403 and nobody.error["error-tag"] == "access-denied",
                     "a certificate without a client is forbidden everything", nobody)
        without = web.ask("GET", "/.well-known/host-meta", credential=None)
        report.check(without.status == 0, "without a certificate there is no session", without)
        log = rig.log("server")
        report.check("SESSION_STRANGER" in log and "nobody.example" in log, "the stranger left a trace", log[-600:])
        refused = wait_for(lambda: "HANDSHAKE_REFUSED" in rig.log("server"), 10)
        report.check(refused, "and so did the one without", log[-600:])

        # A reload that takes the client away ends what it may do at once.
        rig.edit("server", r'^certificate_names = \["other.example"\]', 'certificate_names = ["moved.example"]')
        code, out, err = rig.ctl("server", "reload")
        after = web.ask("GET", DATA, credential="other.example")
        report.check(code == 0 and after.status == 403, "after a reload it is a stranger", f"{out}{err} {after}")


class Writer(threading.Thread):
    """Puts and deletes aliases without end, and remembers what was acknowledged."""

    def __init__(self, web, number):
        super().__init__(daemon=True)
        self.web, self.cuid, self.ending = web, f"writer{number}", False
        self.there, self.gone, self.unsure = set(), set(), set()

    def run(self):
        n = 0
        while not self.ending:
            n += 1
            name = f"a{n}"
            path = f"{DATA}/dots-client={self.cuid}/aliases/alias={name}"
            if self.web.ask("PUT", path, aliases(alias(name, f"203.0.113.{n % 250}/32"))).status != 201:
                continue  # killed meanwhile; perhaps stored, perhaps not
            self.there.add(name)
            if n % 4 == 0:
                self.unsure.add(name)
                if self.web.ask("DELETE", path).status == 204:
                    self.gone.add(name)


def killed(report, bin_dir):
    """kill -9 loses no acknowledged write."""
    need("curl")
    with Rig(bin_dir) as rig:
        web = Web(rig)
        server = rig.start("server")
        writers = [Writer(web, n) for n in range(2)]
        for writer in writers:
            report.check(web.ask("POST", DATA, registration(writer.cuid)).status == 201, f"{writer.cuid} registers")
            writer.start()
        lost, risen = [], []
        for _ in range(ROUNDS):
            time.sleep(0.7)
            known = [(w, set(w.there), set(w.gone)) for w in writers]
            server.send_signal(signal.SIGKILL)
            server.wait()
            server = rig.start("server")
            for writer, there, gone in known:
                answer = web.ask("GET", f"{DATA}/dots-client={writer.cuid}/aliases")
                now = {a["name"] for a in answer.json[f"{MODULE}:aliases"].get("alias", [])} if answer.status == 200 else set()
                lost += [(writer.cuid, name) for name in there - now - writer.unsure]
                risen += [(writer.cuid, name) for name in gone & now]
        for writer in writers:
            writer.ending = True
        for writer in writers:
            writer.join(30)
        total = sum(len(w.there) for w in writers)
        report.check(total >= ROUNDS, f"{total} aliases were acknowledged in {ROUNDS} rounds of kill -9")
        report.check(not lost, "every acknowledged alias is there", lost[:5])
        report.check(not risen, "no acknowledged removal is undone", risen[:5])


def stopped(report, bin_dir):
    """A clean stop answers what is under way, and clients that hang do not hold it up."""
    need("curl")
    with Rig(bin_dir) as rig:
        web = Web(rig)
        server = rig.start("server")
        web.ask("POST", DATA, registration("me"))
        hanging = socket.create_connection(("127.0.0.1", web.port))
        writer = Writer(web, 9)
        web.ask("POST", DATA, registration(writer.cuid))
        writer.start()
        time.sleep(0.5)
        begin = time.monotonic()
        code = rig.stop(server)
        took = time.monotonic() - begin
        writer.ending = True
        writer.join(30)
        report.check(code == 0 and took < 8, f"the stop took {took:.1f} s", code)
        hanging.close()
        rig.start("server")
        answer = web.ask("GET", f"{DATA}/dots-client={writer.cuid}/aliases")
        now = {a["name"] for a in answer.json[f"{MODULE}:aliases"].get("alias", [])} if answer.status == 200 else set()
        report.check(writer.there - writer.unsure <= now, "what was acknowledged is there", sorted(writer.there - now)[:5])


# S8811-2-07, S9133-3.1-01, S9133-3.1-04, S9133-3.2.1-20, S9133-3.2.1-22
def switched(report, bin_dir):
    """Our client switches a filter over the signal channel while there is no HTTPS."""
    need("curl")
    with Rig(bin_dir) as rig:
        web = Web(rig)
        server = rig.start("server")
        client = rig.start("client")
        wait_for(lambda: "connected" in rig.ctl("client", "status")[1], 20)
        cuid = json.loads(rig.ctl("client", "status", "--json")[1])["servers"][0]["cuid"]
        me = f"{DATA}/dots-client={cuid}"
        web.ask("POST", DATA, registration(cuid))
        made = web.ask("PUT", f"{me}/acls/acl=partners", acls(drop_list("partners", activation="immediate")))
        report.check(made.status == 201, "a filter is made", made)
        idle = rig.ctl("client", "filter", "deactivate", "partners", "--mid", "1")
        report.check(idle[0] != 0, "in idle time it is not switched", idle)
        asked = rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.7", "--wait")
        report.check(asked[0] == 0, "an attack is mitigated", asked)

        rig.stop(client)  # so that it need not wait for its next attempt
        rig.stop(server)
        listening = rig.config("server").read_text()
        rig.config("server").write_text(listening.replace(f'listen = ["127.0.0.1:{web.port}"]', ""))
        server = rig.start("server")
        rig.start("client")
        report.check(web.ask("GET", me).status == 0, "there is no HTTPS now")
        done = rig.ctl("client", "filter", "deactivate", "partners", "--mid", "1")
        report.check(done[0] == 0, "the client asks for its filter to be switched", done)
        taken = wait_for(lambda: "accepted" in rig.ctl("client", "show", "2")[1], 60)
        report.check(taken, "the server takes it", rig.ctl("client", "show", "2"))
        unknown = rig.ctl("client", "filter", "deactivate", "nobody-made-this", "--mid", "2")
        refused = wait_for(lambda: "4.04" in rig.ctl("client", "show", "3")[1], 20)
        report.check(unknown[0] == 0 and refused, "a filter that is not there is refused", rig.ctl("client", "show", "3"))
        audit = rig.ctl("server", "audit")[1]
        report.check("deactivate, was immediate" in audit, "the audit log has the old and the new type", audit)

        rig.stop(server)
        rig.config("server").write_text(listening)
        rig.start("server")
        shown = web.ask("GET", f"{me}/acls/acl=partners/activation-type")
        report.check(shown.status == 200 and "deactivate" in shown.body, "the data channel shows what was switched", shown)


if __name__ == "__main__":
    run_parts("data_channel", 170, [examples, strangers, killed, stopped, switched])
