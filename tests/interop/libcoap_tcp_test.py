#!/usr/bin/env python3
"""CoAP over TLS and TCP with libcoap: its clients against our server, our client against its server.
usage: libcoap_tcp_test.py BUILD_DIR BIN_DIR"""
import concurrent.futures
import itertools
import os
import re
import socket
import ssl
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import (DOTS, HEARTBEAT, Rig, free_port, mitigation, need, run_parts, spawn, wait_for)  # noqa: E402

MITIGATED, TERMINATING = 2, 5


def conversation(report, rig, tool, credential, number):
    who = f"{tool} with {credential}"
    cuid = f"{tool}{credential}"
    base = f"{DOTS}/mitigate/cuid={cuid}"
    target = f"203.0.113.{number}/32"

    def ask(method, path, body=None, start=False, **more):
        call = rig.coap_start if start else rig.coap
        return call(method, path, body, tool, credential, scheme="coaps+tcp", **more)

    answer = ask("put", f"{base}/mid=1", mitigation(target))
    report.check(answer.code == "2.01" and answer.scopes() == [{5: 1, 14: 3600}], f"{who}: a new mitigation is 2.01 (S9132-3-07)", answer)
    answer = ask("put", f"{base}/mid=1", mitigation(target, lifetime=1800))
    report.check(answer.code == "2.04" and answer.scopes()[0][14] == 1800, f"{who}: a refresh is 2.04", answer)
    answer = ask("get", f"{base}/mid=1")
    report.check(answer.code == "2.05" and answer.scopes()[0][6] == [target] and answer.scopes()[0][16] == MITIGATED,
                 f"{who}: GET tells target and status", answer)
    observing = ask("get", f"{base}/mid=1", start=True, seconds=9, more=["-s", "5"])
    seen = wait_for(lambda: rig.list().get((cuid, 1), {}).get("observers") == 1, 5)
    report.check(seen, f"{who}: the server counts the observer")
    answer = ask("delete", f"{base}/mid=1")
    report.check(answer.code == "2.02", f"{who}: DELETE is 2.02", answer)
    news = observing()
    statuses = [news.scopes(i)[0][16] for i in range(len(news.all))]
    report.check(len(statuses) >= 2 and statuses[0] == MITIGATED and statuses[-1] == TERMINATING,
                 f"{who}: the observer hears of the withdrawal", f"{statuses} {news}")
    gone = wait_for(lambda: rig.list().get((cuid, 1), {}).get("observers") == 0, 5)
    report.check(gone, f"{who}: the end of its connection ends the observation")
    for what, expected, answer in (
            ("a heartbeat is 2.04", "2.04", ask("put", f"{DOTS}/hb", HEARTBEAT)),
            ("an unknown path is 4.04", "4.04", ask("get", f"{DOTS}/nothing")),
            ("a body that is no CBOR is 4.00", "4.00", ask("put", f"{base}/mid=3", b"\xff\xffgarbage"))):
        report.check(answer.code == expected, f"{who}: {what}", answer)


def exchanges(report, bin_dir):
    """libcoap's clients ask, look, observe and withdraw over TCP."""
    need("coap-client-gnutls", "coap-client-openssl")
    with Rig(bin_dir) as rig:
        server = rig.start("server")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            talks = [pool.submit(conversation, report, rig, tool, credential, number) for number, (tool, credential) in
                     enumerate(itertools.product(("gnutls", "openssl"), ("psk", "x509")))]
        for talk in talks:
            talk.result()
        # More than a datagram holds comes in one message: no blocks are needed.
        base = f"{DOTS}/mitigate/cuid=many"
        for mid in range(1, 36):
            rig.coap("put", f"{base}/mid={mid}", mitigation(f"203.0.113.{100 + mid}/32"), "gnutls", "psk", scheme="coaps+tcp")
        answer = rig.coap("get", base, None, "gnutls", "psk", scheme="coaps+tcp")
        size = re.findall(r"data length (\d+)", answer.text)  # it does not print all of it
        report.check(answer.code == "2.05" and len(size) == 1 and int(size[0]) > 1300 and "Block2" not in answer.text,
                     "an answer larger than a datagram comes in one message", (size, answer))
        report.check(server.poll() is None, "the server still runs after all of it")


def strangers(report, bin_dir):
    """What is no TLS, no CoAP or nobody's gets nothing, and harms nobody."""
    need("coap-client-openssl")
    with Rig(bin_dir) as rig:
        rig.edit("server", r"^\[store\]", "[limits]\nhandshake_time_s = 2\n\n[store]")
        server = rig.start("server")

        def talk(data, seconds=4):
            with socket.create_connection(("127.0.0.1", rig.port), 5) as plain:
                plain.settimeout(seconds)
                plain.sendall(data)
                got = b""
                try:
                    while piece := plain.recv(4096):
                        got += piece
                except OSError as error:
                    return got, str(error)
                return got, "closed"

        # S9132-3-03: CoAP without TLS: an empty CSM and a GET.
        got, end = talk(b"\x00\xe1" + b"\xd0\x00\x01" + b"\xbb.well-known\x04dots")
        report.check(end == "closed" and (not got or got[0] == 21), "plaintext CoAP gets an alert at most (S9132-3-03)", (got, end))
        got, end = talk(b"GET / HTTP/1.1\r\n\r\n")
        report.check(end == "closed" and (not got or got[0] == 21), "and so does HTTP", (got, end))
        begin = time.monotonic()
        got, end = talk(b"\x16\x03\x01\x02\x00\x01", 8)
        report.check(end == "closed" and 1 < time.monotonic() - begin < 6, "a handshake that stops is ended in time", (got, end))

        def tls(alpn):
            context = ssl.create_default_context(cafile=rig.set / "pki/ca.crt")
            context.load_cert_chain(rig.set / "pki/client.crt", rig.set / "pki/client.key")
            if alpn:
                context.set_alpn_protocols([alpn])
            return context.wrap_socket(socket.create_connection(("127.0.0.1", rig.port), 5), server_hostname="localhost")

        with tls("coap") as session:
            session.settimeout(5)
            report.check(session.version() == "TLSv1.3" and session.selected_alpn_protocol() == "coap", "TLS 1.3 with ALPN coap is served",
                         (session.version(), session.selected_alpn_protocol()))
            csm = session.recv(100)
            report.check(len(csm) > 1 and csm[1] == 0xE1, "the server's first message is its CSM", csm)
            session.sendall(b"\x01\xe2\x42")  # Ping before a CSM
            answer = session.recv(200)
            report.check(len(answer) > 2 and b"\xe5" in answer[:3] and b"no CSM" in answer, "a peer without CSM is aborted and told why", answer)
            report.check(session.recv(100) == b"", "and the connection is closed")
        with tls("coap") as session:
            session.settimeout(5)
            session.recv(100)
            session.sendall(b"\x00\xe1\x01\xe2\x42")
            report.check(session.recv(100) == b"\x01\xe3\x42", "Ping is answered by Pong")
            report.check(rig.stop(server) == 0, "the server stops")
            release = session.recv(200)
            report.check(len(release) > 2 and b"\xe4" in release[:3] and b"the server stops" in release, "and releases its peers first", release)
        try:
            rig.start("server")
            with tls("h2") as session:
                refused = f"served with {session.selected_alpn_protocol()}"
        except ssl.SSLError as error:
            refused = str(error)
        report.check("no application protocol" in refused.lower().replace("_", " "), "a client of another protocol is refused (S9132-3-04)", refused)


def our_client(report, bin_dir):
    """Our client with libcoap's server, which knows nothing of DOTS."""
    need("coap-server-gnutls", "coap-server-openssl")
    with Rig(bin_dir) as rig:
        port = free_port()
        rig.edit("client", r"^host = ", 'transport = "tcp"\nhost = ')
        rig.edit("client", r"^addresses = .*$", f'addresses = ["127.0.0.1:{port + 1}"]')

        def serve(tool):  # DTLS and TLS are on the port above
            server = spawn([f"coap-server-{tool}", "-A", "127.0.0.1", "-p", str(port), "-c", rig.set / "pki/server.crt", "-j",
                            rig.set / "pki/server.key", "-C", rig.set / "pki/ca.crt"], stdout=-3, stderr=-3)
            rig.processes.append(server)
            return server

        # On GnuTLS this server chooses no ALPN protocol: RFC 8323 8.2 has the client close then.
        server = serve("gnutls")
        time.sleep(0.5)
        client = rig.start("client")
        refused = wait_for(lambda: "does not negotiate ALPN 'coap'" in rig.log("client"), 10)
        report.check(refused, "our client leaves a server that does not choose ALPN coap (S9132-3-04)", rig.log("client")[-600:])
        for process in (client, server):
            process.kill()
            process.wait()
        serve_again = serve("openssl")
        time.sleep(0.5)
        rig.start("client")

        def session():
            sessions = rig.json("client", "status")["servers"][0]["sessions"]
            return sessions[0] if sessions and sessions[0]["state"] == "open" else None

        report.check(wait_for(session, 10), "our client opens a session with libcoap's server over TLS and TCP", rig.log("client")[-600:])
        rig.ctl("client", "mitigate", "--target-prefix", "203.0.113.5/32")
        refused = wait_for(lambda: re.search(r"CLIENT_REQUEST_REFUSED.* 4\.\d\d", rig.log("client")), 10)
        report.check(refused, "and hears what that server thinks of DOTS", rig.log("client")[-600:])
        serve_again.kill()
        gone = wait_for(lambda: "CLIENT_SESSION_CLOSED" in rig.log("client"), 10)
        report.check(gone, "the end of the server is noticed at once", rig.log("client")[-600:])


if __name__ == "__main__":
    run_parts("libcoap-tcp", 110, [exchanges, strangers, our_client])
