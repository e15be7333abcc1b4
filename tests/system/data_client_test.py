#!/usr/bin/env python3
"""The client's side of the data channel: two dotsd and dotsctl, and servers that misbehave. usage: data_client_test.py BUILD_DIR BIN_DIR"""
import http.server
import json
import os
import pathlib
import signal
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import Rig, need, run, run_parts, wait_for  # noqa: E402

MODULE = "ietf-dots-data-channel"
YANG = "application/yang-data+json"


def free_tcp_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Pair:
    """A rig whose server has a data channel and whose client uses it."""

    def __init__(self, rig, more="", client_more="", port=None):
        self.rig, self.port = rig, port or free_tcp_port()
        if port is None:
            with rig.config("server").open("a") as config:
                config.write(f'\n[data_channel]\nlisten = ["127.0.0.1:{self.port}"]\n{more}')
        text = rig.config("client").read_text()
        table = (f'\n[upstream.data_channel]\nenabled = true\naddresses = ["127.0.0.1:{self.port}"]\ncheck_s = 60\n'
                 f'{client_more}\n')
        # Behind the keys of [[upstream]], before the next table.
        head, mark, rest = text.partition("[[upstream]]")
        at = rest.find("\n[")
        rig.config("client").write_text(head + mark + (rest + table if at < 0 else rest[:at] + "\n" + table + rest[at:]))

    def ctl(self, *arguments, timeout=90):
        return self.rig.ctl("client", *arguments, timeout=timeout)

    def write(self, name, value):
        file = self.rig.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value if isinstance(value, str) else json.dumps(value))
        return file

    def state(self):
        rows = self.rig.json("client", "status").get("data-channel", [])
        return rows[0] if rows else {}

    def registered(self):
        return wait_for(lambda: self.state().get("state") == "registered", 10)


def alias(name, address="203.0.113.1/32", port=443):
    return {"name": name, "target-protocol": [6], "target-prefix": [address], "target-port-range": [{"lower-port": port}]}


def drop_list(name, source="192.0.2.0/24", **more):
    ace = {"name": "rule1", "actions": {"forwarding": "drop"},
           "matches": {"ipv4": {"source-ipv4-network": source, "destination-ipv4-network": "203.0.113.0/24"}}}
    return {"name": name, "type": "ipv4-acl-type", **more, "aces": {"ace": [ace]}}


def document(aliases=(), filters=()):
    out = {}
    if aliases:
        out[f"{MODULE}:aliases"] = {"alias": list(aliases)}
    if filters:
        out[f"{MODULE}:acls"] = {"acl": list(filters)}
    return out


def one_by_one(report, bin_dir):
    """Commands on one alias and one filter."""
    with Rig(bin_dir) as rig:
        pair = Pair(rig)
        rig.start("server")
        rig.start("client")
        report.check(pair.registered(), "the client registers by itself, with the cuid of its signal channel", pair.state())
        # D8783-5.1-04, D8783-5.1-05
        cuid = rig.json("client", "status")["servers"][0]["cuid"]
        report.check(pair.state().get("cuid") == cuid and len(cuid) == 22, "both channels use the cuid of the credentials", pair.state())
        code, out, err = pair.ctl("capabilities")
        report.check(code == 0 and "source-prefix" in out and "drop" in out, "capabilities are shown", out + err)
        code, out, err = pair.ctl("alias", "put", "--name", "web", "--target-prefix", "203.0.113.10", "--port", "443",
                                  "--protocol", "tcp")
        report.check(code == 0 and "created" in out, "an alias from flags is created", out + err)
        code, out, err = pair.ctl("alias", "put", "--name", "web", "--target-prefix", "203.0.113.11", "--new")
        report.check(code == 1 and "already" in err, "--new refuses a name that exists", out + err)
        code, out, err = pair.ctl("alias", "list")
        report.check(code == 0 and "web" in out and "7 d" in out and "203.0.113.10/32" in out, "it is listed with its lifetime", out)
        code, out, err = pair.ctl("alias", "show", "web")
        tag = err.partition("entity-tag: ")[2].strip()
        shown = json.loads(out)
        report.check(code == 0 and shown[f"{MODULE}:aliases"]["alias"][0]["name"] == "web" and tag, "it is shown as a document with its entity-tag", out + err)
        file = pair.write("again.json", out)
        code, out, err = pair.ctl("alias", "put", file)
        report.check(code == 0 and "replaced" in out, "what show prints can be put again", out + err)
        changed = document([alias("web", "203.0.113.12/32")])
        code, out, err = pair.ctl("alias", "put", pair.write("web.json", changed), "--if-match", tag)
        report.check(code == 0, "an entity-tag that still holds lets the change pass (a refresh is no change)", out + err)
        code, out, err = pair.ctl("alias", "put", pair.write("web.json", changed), "--if-match", tag)
        report.check(code == 1 and "somebody else" in err, "an old entity-tag does not", out + err)
        code, out, err = pair.ctl("filter", "put", "--name", "bad-net", "--source", "192.0.2.0/24", "--destination",
                                  "203.0.113.0/24", "--drop")
        report.check(code == 0 and "created" in out, "a filter from flags is created", out + err)
        code, out, err = pair.ctl("filter", "put", "--name", "foreign", "--source", "192.0.2.0/24", "--destination",
                                  "198.51.100.0/24", "--drop")
        report.check(code == 1 and "invalid-value" in err and "198.51.100.0/24" in err, "the server's refusal is told with tag and reason", err)
        # D8783-A-03
        code, out, err = pair.ctl("filter", "put", "--name", "fragments", "--destination", "203.0.113.0/24", "--fragments", "--drop")
        ace = rig.json("client", "filter", "show", "fragments")["entries"][0]["aces"]["ace"][0]
        report.check(code == 0 and ace["matches"]["ipv4"].get("fragment", {}).get("type") == "isf" and "flags" not in ace["matches"]["ipv4"],
                     "--fragments writes fragment, not flags", f"{ace} {err}")
        code, out, err = pair.ctl("filter", "list")
        report.check(code == 0 and "bad-net" in out and "drop" in out and "foreign" not in out, "filters are listed", out)
        # D8783-3.1-10
        code, out, err = pair.ctl("mitigate", "--alias", "web", "--wait", "--wait-time", "20")
        report.check(code == 0, "a mitigation names the alias: both channels are one client", out + err)
        rows = list(rig.list().values())
        report.check(rows and "203.0.113.12/32" in rows[0].get("addresses", []), "... and protects what it stands for", rows)
        code, out, err = pair.ctl("filter", "delete", "bad-net")
        code2, _, err2 = pair.ctl("filter", "delete", "bad-net")
        report.check(code == 0 and code2 == 4 and "bad-net" in err2, "a deleted filter is gone", out + err + err2)
        code, out, err = pair.ctl("alias", "delete", "web")
        report.check(code == 0, "an alias is deleted", out + err)
        code, out, err = pair.ctl("alias", "list", "--kept")
        report.check(code == 0 and "keeps nothing" in out, "the client keeps it no more", out)


# D8783-6.1-24, D8783-7.2-27: after a renumbering the files are applied again
def apply_files(report, bin_dir):
    """apply shows the difference, carries it out, and does nothing twice."""
    with Rig(bin_dir) as rig:
        pair = Pair(rig)
        rig.start("server")
        rig.start("client")
        pair.registered()
        folder = rig.folder / "wanted"
        pair.write("wanted/10-aliases.json", document([alias("web"), alias("mail", "203.0.113.2/32", 25)]))
        pair.write("wanted/20-filters.json", document(filters=[drop_list("b"), drop_list("a", "198.51.100.0/24")]))
        code, out, err = pair.ctl("apply", "-f", folder, "--dry-run")
        signs = [line[0] for line in out.splitlines() if line and line[0] in "+-~="]
        report.check(code == 0 and signs == ["+"] * 4 and "dry run" in out, "a dry run shows what is new", out + err)
        _, out, _ = pair.ctl("alias", "list")
        report.check("no aliases" in out, "... and sends nothing", out)
        code, out, err = pair.ctl("apply", "-f", folder)
        report.check(code == 0 and "4 done" in out, "apply carries it out", out + err)
        code, out, err = pair.ctl("apply", "-f", folder)
        report.check(code == 0 and "nothing changes: 4" in out, "the second run says that nothing changes", out + err)
        filters = rig.json("client", "filter", "list")["entries"]
        report.check([f["name"] for f in filters] == ["b", "a"], "filters stand in the order of the files", filters)
        pair.write("wanted/10-aliases.json", document([alias("web", "203.0.113.9/32")]))
        pair.write("wanted/20-filters.json", document(filters=[drop_list("c"), drop_list("a", "198.51.100.0/24"), drop_list("b")]))
        code, out, err = pair.ctl("apply", "-f", folder, "--dry-run")
        report.check(code == 0 and "~ alias 'web'" in out and "- target-prefix: 203.0.113.1/32" in out
                     and "+ target-prefix: 203.0.113.9/32" in out and "? alias 'mail'" in out and "+ filter 'c'" in out
                     and "moves" in out, "a difference shows what changes, moves and is not in the files", out + err)
        code, out, err = pair.ctl("apply", "-f", folder, "--prune")
        report.check(code == 0 and "- alias 'mail'" in out, "--prune deletes the rest", out + err)
        filters = rig.json("client", "filter", "list")["entries"]
        report.check([f["name"] for f in filters] == ["c", "a", "b"], "the new order is at the server", filters)
        code, out, err = pair.ctl("apply", "-f", folder, "--prune")
        report.check(code == 0 and "nothing changes: 4" in out, "and again nothing changes", out + err)
        # Half-way: the second of three is refused by the server.
        half = pair.write("half.json", document([alias("one"), alias("two", "198.51.100.7/32"), alias("three")]))
        code, out, err = pair.ctl("apply", "-f", half)
        report.check(code == 1 and "done:  alias 'one'" in err and "left:  alias 'two', alias 'three'" in err
                     and "invalid-value" in err, "a failure half-way tells what was done and what is left", err)
        code, out, err = pair.ctl("apply", "-f", pair.write("bad.json", document([{"name": "x", "target-prefix": ["127.0.0.0/8"]}])))
        report.check(code == 2 and "bad.json" in err and "127.0.0.0/8" in err, "what must never be sent is not sent", err)
        dscp = drop_list("dscp")
        dscp["aces"]["ace"][0]["matches"]["ipv4"]["dscp"] = 10
        code, out, err = pair.ctl("apply", "-f", pair.write("dscp.json", document([alias("four")], [dscp])))
        names = [a["name"] for a in rig.json("client", "alias", "list")["entries"]]
        report.check(code == 1 and "does not offer ipv4 dscp" in err and "four" not in names,
                     "a field that the server does not announce is told before anything is sent", err)
        # the founding draft's document, with the comma that JSON does not have.
        services = pair.write("services.json", '{"https1": ["203.0.113.20:443", "203.0.113.21:443",],\n'
                                               ' "proxies": ["203.0.113.30:3128", "203.0.113.30:8080"],\n'
                                               ' "any": "203.0.113.40"}')
        code, out, err = pair.ctl("alias", "import", services)
        made = {a["name"]: a for a in rig.json("client", "alias", "list")["entries"]}
        report.check(code == 0 and {"https1", "proxies-3128", "proxies-8080", "any"} <= set(made)
                     and sorted(made["https1"]["target-prefix"]) == ["203.0.113.20/32", "203.0.113.21/32"]
                     and made["https1"]["target-port-range"] == [{"lower-port": 443}],
                     "the alias document of the founding draft becomes aliases", out + err)
        code, out, err = pair.ctl("alias", "import", services)
        report.check(code == 0 and "nothing changes" in out, "its import is idempotent", out + err)


# D8783-5.1-06, D8783-3.1-19, S8811-3.1.2-02, S8811-3.1.2-05
def over_restarts(report, bin_dir):
    """What was put is kept: over a restart of the client, and when the server has lost it."""
    with Rig(bin_dir) as rig:
        pair = Pair(rig)
        server = rig.start("server")
        client = rig.start("client")
        pair.registered()
        wanted = pair.write("all.json", document([alias("web")], [drop_list("x"), drop_list("y", "198.51.100.0/24")]))
        code, out, err = pair.ctl("apply", "-f", wanted)
        report.check(code == 0, "aliases and filters are put", out + err)
        client.send_signal(signal.SIGKILL)
        client.wait()
        rig.stop(server)
        # The server comes back with an empty store: registration, alias and filters are gone.
        for file in (rig.set / "state" / "server").glob("*.db*"):
            file.unlink()
        for file in (rig.set / "state" / "server").glob("*.sqlite*"):
            file.unlink()
        server = rig.start("server")
        client = rig.start("client")
        def names():
            code, out, _ = pair.ctl("--json", "filter", "list")
            return [f["name"] for f in json.loads(out)["entries"]] if code == 0 else []
        report.check(wait_for(lambda: names() == ["x", "y"], 20), "a client that was killed puts back what the server lost, in order", names())
        log = rig.log("client")
        report.check("DATA_ENTRY_RESTORED" in log and "alias 'web'" in log, "and says so", log[-600:])
        code, out, err = pair.ctl("apply", "-f", wanted)
        report.check(code == 0 and "nothing changes: 3" in out, "apply finds nothing to do", out + err)
        cuids = {line.partition("cuid ")[2].strip() for line in log.splitlines() if "DATA_CHANNEL_REGISTERED" in line}
        report.check(len(cuids) == 1, "the cuid is the same over the restart", cuids)
        rig.stop(server)
        code, out, err = pair.ctl("apply", "-f", pair.write("more.json", document([alias("late")])))
        report.check(code in (1, 3) and "late" not in out and ("refused" in err or "ended" in err), "with the server down apply says why, and nothing is done", out + err)
        code, out, err = pair.ctl("alias", "list", "--kept")
        report.check(code == 0 and "web" in out and "late" not in out, "what is kept can be seen without the server", out + err)
        health = rig.json("client", "status").get("health", [])
        report.check(any(h["condition"] == "DATA_CHANNEL_LOST" for h in health), "the client is unwell meanwhile", health)
        rig.start("server")
        ok = wait_for(lambda: pair.ctl("apply", "-f", rig.folder / "more.json")[0] == 0, 20, 0.5)
        report.check(ok, "and goes on when it is back")
        health = wait_for(lambda: not any(h["condition"] == "DATA_CHANNEL_LOST" for h in rig.json("client", "status").get("health", [])), 10)
        report.check(health, "the client is well again")


#
def the_page(report, bin_dir):
    """Every command of docs/data-channel.md."""
    page = pathlib.Path(__file__).resolve().parents[2] / "docs" / "data-channel.md"
    commands = [line.split() for line in page.read_text().splitlines() if line.startswith("    dotsctl ")]
    with Rig(bin_dir) as rig:
        rig.edit("server", r'^prefixes = .*$', 'prefixes = ["203.0.113.0/24", "2001:db8:7::/48"]')
        pair = Pair(rig)
        rig.start("server")
        rig.start("client")
        pair.registered()
        for words in commands:
            arguments = [str(page.parents[1] / word) if word.startswith("docs/") else word for word in words[1:]]
            code, out, err = pair.ctl(*arguments)
            report.check(code == 0, " ".join(words), out + err)
        filters = {f["name"]: f for f in rig.json("client", "filter", "list")["entries"]}
        report.check(list(filters)[0] == "white-list" and {"black-list", "dns-limit"} <= set(filters), "the white-list stands in front", list(filters))
        code, out, err = pair.ctl("apply", "-f", page.parent / "examples" / "data-channel")
        report.check(code == 0 and "nothing changes" in out, "the examples are there", out + err)


class Fake:
    """An HTTPS server that answers as it is told, with the credentials of the rig's server or others."""

    def __init__(self, rig, answer, certificate="server"):
        pki = rig.set / "pki"
        self.asked, self.names = [], []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                fake.asked.append((self.command, self.path, dict(self.headers), body))
                status, headers, text = answer(self.command, self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    try:
                        self.wfile.write(text)
                    except OSError:
                        pass

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / f"{certificate}.crt", pki / f"{certificate}.key")
        context.load_verify_locations(pki / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        context.sni_callback = lambda connection, name, _: self.names.append(name)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


XRD = b"<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'><Link rel='lrdd' href='/x'/><Link rel='restconf' href='/top/restconf'/></XRD>"
CAPABLE = json.dumps({f"{MODULE}:capabilities": {"address-family": ["ipv4"], "forwarding-actions": ["drop"]}}).encode()


def well_behaved(method, path):
    if path == "/.well-known/host-meta":
        return 200, {"Content-Type": "application/xrd+xml"}, XRD
    if path.endswith("/capabilities"):
        return 200, {"Content-Type": YANG}, CAPABLE
    if method == "HEAD":
        return 200, {}, b""
    return 404, {}, b""


# D8783-3.1-05, D8783-3.1-06, D8783-3.1-09, D8783-6.2-07, R8040-3.1-02, R8040-3.1-03, R8040-3.1-04, R8040-2.1-02
def other_servers(report, bin_dir):
    """Roots, redirects, floods of bytes, wrong certificates and silence."""

    def with_server(answer, title, holds, certificate="server", ask=("alias", "list"), seconds=20):
        with Rig(bin_dir) as rig:
            if certificate == "foreign":
                pki = rig.set / "pki"
                run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                     pki / "foreign.key", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2",
                     "-out", pki / "foreign.crt"])
            fake = Fake(rig, answer, certificate)
            pair = Pair(rig, port=fake.port)
            rig.start("client", wait=False)
            wait_for(lambda: rig.ctl("client", "status")[0] == 0, 10)
            begin = time.monotonic()
            code, out, err = pair.ctl(*ask)
            took = time.monotonic() - begin
            report.check(holds(code, out, err, fake) and took < seconds, title, f"{code} {out} {err} {fake.asked[-6:]} {took:.1f} s")
            fake.close()

    def discovers(code, out, err, fake):
        paths = [path for _, path, _, _ in fake.asked]
        rest = [path for path in paths if path != "/.well-known/host-meta"]
        # D8783-10-06
        return fake.names and fake.names[0] == "localhost" and paths[0] == "/.well-known/host-meta" and rest and all(path.startswith("/top/restconf/data/") for path in rest) \
            and all(headers.get("Accept") == YANG for _, path, headers, _ in fake.asked if path in rest)
    with_server(well_behaved, "the root is looked for first, and every path begins with it", discovers)
    with_server(lambda method, path: (302, {"Location": "https://evil.example/"}, b""), "a redirect is told and not followed",
                lambda code, out, err, fake: code == 1 and "redirects to https://evil.example/" in err)

    def flood(method, path):
        return (200, {"Content-Type": YANG}, b"x" * (20 << 20)) if "aliases" in path else well_behaved(method, path)
    with_server(flood, "an answer over the bound is refused", lambda code, out, err, fake: code == 1 and "over the bound" in err)
    # D8783-10-01, D8783-10-05, R8040-2.3-01, R8040-2.4-01
    with_server(well_behaved, "a server of another authority is not spoken to",
                lambda code, out, err, fake: code == 1 and "certificate" in err and not fake.asked, certificate="foreign")
    with_server(well_behaved, "nor one whose certificate has another name",
                lambda code, out, err, fake: code == 1 and "certificate" in err and not fake.asked, certificate="client")

    def loops(method, path):
        error = {"ietf-restconf:errors": {"error": [{"error-type": "transport", "error-tag": "operation-failed",
                                                     "error-app-tag": "loop-detected", "error-message": "a loop"}]}}
        return (508, {"Content-Type": YANG}, json.dumps(error).encode()) if "aliases" in path else well_behaved(method, path)
    # D8783-3.4-05, D8783-3.4-06
    with_server(loops, "a loop is told", lambda code, out, err, fake: code == 1 and "loop-detected" in err)



if __name__ == "__main__":
    run_parts("data_client", 100, [one_by_one, apply_files, over_restarts, the_page, other_servers])
