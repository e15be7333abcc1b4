#!/usr/bin/env python3
"""libcoap's clients, on GnuTLS and on OpenSSL, against our server. usage: libcoap_test.py BUILD_DIR BIN_DIR"""
import concurrent.futures
import itertools
import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import (DOTS, HEARTBEAT, Rig, Skip, cbor, mitigation, need, run, run_parts, spawn, wait_for)  # noqa: E402

MITIGATED, TERMINATING = 2, 5
WITHDRAWN = "dots-client-withdrawn-mitigation"


def conversation(report, rig, tool, credential, number):
    who = f"{tool} with {credential}"
    cuid = f"{tool}{credential}"
    base = f"{DOTS}/mitigate/cuid={cuid}"
    first, second = f"203.0.113.{2 * number}/32", f"203.0.113.{2 * number + 1}/32"

    def ask(method, path, body=None, **more):
        return rig.coap(method, path, body, tool, credential, **more)

    answer = ask("put", f"{base}/mid=1", mitigation(first))
    report.check(answer.code == "2.01" and answer.scopes() == [{5: 1, 14: 3600}], f"{who}: a new mitigation is 2.01", answer)
    answer = ask("put", f"{base}/mid=1", mitigation(first, lifetime=1800))
    report.check(answer.code == "2.04" and answer.scopes()[0][14] == 1800, f"{who}: a refresh is 2.04", answer)
    answer = ask("put", f"{base}/mid=2", mitigation(second), more=["-N"])
    report.check(answer.code == "2.01" and answer.all[0][2] == "NON", f"{who}: NON is answered by NON 2.01", answer)
    answer = ask("get", f"{base}/mid=1")
    report.check(answer.code == "2.05" and answer.scopes()[0][6] == [first] and answer.scopes()[0][16] == MITIGATED,
                 f"{who}: GET tells target and status", answer)
    answer = ask("get", base, more=["-N"])
    report.check(answer.code == "2.05" and sorted(s[5] for s in answer.scopes()) == [1, 2], f"{who}: GET of all, NON", answer)
    listed = {mid: m for (c, mid), m in rig.list().items() if c == cuid}
    report.check(sorted(listed) == [1, 2] and listed[1]["target-prefix"] == [first] and
                 listed[2]["target-prefix"] == [second] and 1700 < listed[1]["lifetime"] <= 1800 and
                 all(m["status"] == "attack-successfully-mitigated" and m["target-port-range"] == ["53"] and
                     m["target-protocol"] == [17] for m in listed.values()), f"{who}: dotsctl list agrees", listed)

    # Not more often than every 3 s (RFC 9132 section 4.4.2.1): the news of the withdrawal may take as long.
    observing = rig.coap_start("get", f"{base}/mid=1", None, tool, credential, seconds=9, more=["-s", "5"])
    seen = wait_for(lambda: rig.list().get((cuid, 1), {}).get("observers") == 1, 5)
    report.check(seen, f"{who}: the server counts the observer")
    answer = ask("delete", f"{base}/mid=1")
    report.check(answer.code == "2.02", f"{who}: DELETE is 2.02", answer)
    news = observing()
    statuses = [news.scopes(i)[0][16] for i in range(len(news.all))]
    report.check(len(statuses) >= 2 and statuses[0] == MITIGATED and statuses[-1] == TERMINATING,
                 f"{who}: the observer hears of the withdrawal", f"{statuses} {news}")
    answer = ask("delete", f"{base}/mid=2", more=["-N"])
    report.check(answer.code == "2.02", f"{who}: DELETE, NON, is 2.02", answer)
    answer = ask("delete", f"{base}/mid=77")
    report.check(answer.code == "2.02", f"{who}: DELETE of what is not there is 2.02", answer)
    states = {mid: m["status"] for (c, mid), m in rig.list().items() if c == cuid}
    report.check(sorted(states.items()) == [(1, WITHDRAWN), (2, WITHDRAWN)],
                 f"{who}: dotsctl list says that both are withdrawn", states)

    for what, expected, answer in (
            ("a heartbeat is 2.04", "2.04", ask("put", f"{DOTS}/hb", HEARTBEAT)),
            ("a heartbeat, NON, is 2.04", "2.04", ask("put", f"{DOTS}/hb", HEARTBEAT, more=["-N"])),
            ("an unknown path is 4.04", "4.04", ask("get", f"{DOTS}/nothing")),
            ("an unknown mid is 4.04", "4.04", ask("get", f"{base}/mid=99")),
            ("POST is 4.05", "4.05", ask("post", f"{base}/mid=3", mitigation(first))),
            ("another content format is 4.15", "4.15", ask("put", f"{base}/mid=3", mitigation(first), content_format=60)),
            ("a body that is no CBOR is 4.00", "4.00", ask("put", f"{base}/mid=3", b"\xff\xffgarbage")),
            ("a foreign target is refused", "4.00", ask("put", f"{base}/mid=3", mitigation("198.51.100.1/32")))):
        report.check(answer.code == expected, f"{who}: {what}", answer)
    report.check((cuid, 3) not in rig.list(), f"{who}: refused requests leave nothing")


def exchanges(report, bin_dir):
    """libcoap's clients ask, look, observe and withdraw."""
    need("coap-client-gnutls", "coap-client-openssl")
    with Rig(bin_dir) as rig:
        server = rig.start("server")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:  # most of it is waiting for notifications
            talks = [pool.submit(conversation, report, rig, tool, credential, number)
                     for number, (tool, credential) in enumerate(itertools.product(("gnutls", "openssl"), ("psk", "x509")))]
        for talk in talks:
            talk.result()
        report.check(server.poll() is None, "the server still runs after all of it")


def blocks(report, bin_dir):
    """Bodies and answers that do not fit one datagram, in libcoap's blocks."""
    need("coap-client-gnutls", "coap-client-openssl")
    with Rig(bin_dir) as rig:
        rig.start("server")
        for tool, size in (("gnutls", 128), ("openssl", 256)):
            base = f"{DOTS}/mitigate/cuid=blocks{tool}"
            prefixes = [f"203.0.113.{i}/32" for i in range(60)]
            body = cbor({1: {2: [{6: prefixes, 10: [17], 14: 3600}]}})
            more = ["-N", "-b", str(size)]
            answer = rig.coap("put", f"{base}/mid=1", body, tool, "psk", more=more)
            last = (len(body) - 1) // size
            report.check(last > 1 and answer.all[-1][0] == "2.01" and f"Block1:{last}/_/{size}" in answer.text,
                         f"{tool}: a PUT in blocks of {size}", (last, answer))
            listed = rig.list().get((f"blocks{tool}", 1), {})
            report.check(sorted(listed.get("target-prefix", [])) == sorted(prefixes), f"{tool}: all of it has arrived", listed)
            answer = rig.coap("get", f"{base}/mid=1", None, tool, "psk", more=more)
            numbers = [int(n) for n in re.findall(r"c:2\.05[^\n]*Block2:(\d+)/", answer.text)]
            report.check(len(numbers) > 2 and numbers == list(range(len(numbers))) and "Size2:" in answer.text,
                         f"{tool}: GET in blocks of {size}", (numbers, answer))
            # It prints only the beginning of each payload.
            lengths = [int(n) for n in re.findall(r"c:2\.05[^\n]*data length (\d+)", answer.text)]
            announced = re.findall(r"Size2:(\d+)", answer.text)
            report.check(announced == [str(sum(lengths))] and sum(lengths) > len(body), f"{tool}: as long as Size2 says",
                         (lengths, announced, answer))


def make_certificate(rig, name, common_name, authority, begin="2025-01-01 00:00:00", end="2099-01-01 00:00:00", ca=False):
    """Files pki/NAME.crt and .key; the authority is the name of another pair, or None for a self-signed one."""
    pki = rig.set / "pki"
    template = pki / f"{name}.template"
    template.write_text(f'cn = "{common_name}"\nactivation_date = "{begin}"\nexpiration_date = "{end}"\n' +
                        ("ca\ncert_signing_key\n" if ca else f'dns_name = "{common_name}"\nsigning_key\ntls_www_client\n'))
    commands = [["certtool", "--generate-privkey", "--key-type", "ecdsa", "--curve", "secp256r1", "--outfile", pki / f"{name}.key"]]
    make = ["--template", template, "--load-privkey", pki / f"{name}.key", "--outfile", pki / f"{name}.crt"]
    commands.append(["certtool", "--generate-self-signed", *make] if authority is None else
                    ["certtool", "--generate-certificate", "--load-ca-certificate", pki / f"{authority}.crt",
                     "--load-ca-privkey", pki / f"{authority}.key", *make])
    for command in commands:
        code, out, err = run(command)
        if code != 0:
            raise RuntimeError(f"certtool: {out}{err}")


def credentials(report, bin_dir):
    """Strangers are refused."""
    need("coap-client-gnutls", "coap-client-openssl", "certtool")
    with Rig(bin_dir) as rig:
        make_certificate(rig, "renewed", "tidewall-client", "ca")
        make_certificate(rig, "expired", "tidewall-client", "ca", end="2025-02-01 00:00:00")
        make_certificate(rig, "early", "tidewall-client", "ca", begin="2090-01-01 00:00:00")
        make_certificate(rig, "foreign-ca", "Foreign authority", None, ca=True)
        make_certificate(rig, "foreign", "tidewall-client", "foreign-ca")
        make_certificate(rig, "stranger", "somebody-else", "ca")
        # A wrong key shows only in records that cannot be read, which DTLS drops: those handshakes run out of time.
        rig.edit("server", r"^\[store\]", "[limits]\nhandshake_time_s = 2\n\n[store]")
        rig.start("server")

        def attempt(tool, mid, credential="x509", certificate="client", more=()):
            before = len(rig.log("server"))
            answer = rig.coap("put", f"{DOTS}/mitigate/cuid=c{tool}/mid={mid}", mitigation(f"203.0.113.{mid}/32"), tool,
                              credential, certificate=certificate, seconds=2, more=more)
            refused = wait_for(lambda: re.search(r"HANDSHAKE_REFUSED[^\n]*", rig.log("server")[before:]), 4 if not answer.all else 0)
            return answer, refused.group(0) if refused else ""

        for tool in ("gnutls", "openssl"):
            answer, _ = attempt(tool, 1, certificate="renewed")
            report.check(answer.code == "2.01", f"{tool}: a certificate made like the bad ones, but good, is served", answer)
            for mid, certificate, what, reason in ((2, None, "no certificate", "no certificate"),
                                                   (3, "foreign", "a certificate of a foreign authority", "not issued by|no certificate"),
                                                   (4, "expired", "an expired certificate", "expired"),
                                                   (5, "early", "a certificate that is not yet valid", "not valid yet")):
                answer, refused = attempt(tool, mid, certificate=certificate)
                report.check(not answer.all, f"{tool}: {what} gets no answer", answer)
                report.check(re.search(reason, refused, re.I), f"{tool}: the log says why {what} is refused",
                             f"'{refused}' has none of {reason}")
            answer, _ = attempt(tool, 6, certificate="stranger")
            report.check(answer.code == "4.01", f"{tool}: a good certificate of nobody we know gets 4.01", answer)
            # The first -k and -u are the good ones; the last ones count.
            answer, refused = attempt(tool, 7, "psk", more=["-k", "another-key-of-16-bytes"])
            report.check(not answer.all and refused, f"{tool}: a wrong pre-shared key is refused", f"{answer} {refused}")
            answer, refused = attempt(tool, 8, "psk", more=["-u", "nobody"])
            report.check(not answer.all and refused, f"{tool}: an unknown identity is refused", f"{answer} {refused}")
        listed = sorted(rig.list())
        report.check(listed == [("cgnutls", 1), ("copenssl", 1)], "none of the refused requests left anything", listed)
        report.check(wait_for(lambda: rig.json("server", "status")["sessions"] == [], 3), "and no session is left")


def s_client(rig, version):
    """What OpenSSL's own client says of a handshake in this version of DTLS."""
    process = spawn(["openssl", "s_client", version, "-connect", f"127.0.0.1:{rig.port}", "-CAfile", rig.set / "pki/ca.crt",
                     "-cert", rig.set / "pki/client.crt", "-key", rig.set / "pki/client.key", "-cipher", "ALL:@SECLEVEL=0"],
                    stdin=-1, stdout=-1, stderr=-2, text=True)
    time.sleep(1.0)
    process.stdin.close()
    process.stdin = None
    try:
        return process.communicate(timeout=3)[0]
    except BaseException:
        process.kill()
        return process.communicate()[0]


def versions(report, bin_dir):
    """Only DTLS 1.2 and later gets an answer."""
    with Rig(bin_dir) as rig:
        rig.start("server")
        # S9132-3-03: CoAP without DTLS - a GET of a mitigation and a ping, confirmable both.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            plain.settimeout(1)
            plain.connect(("127.0.0.1", rig.port))
            path = b"".join(bytes([(11 if i == 0 else 0) << 4 | 13 if len(p) > 12 else (11 if i == 0 else 0) << 4 | len(p)]) +
                            (bytes([len(p) - 13]) if len(p) > 12 else b"") + p
                            for i, p in enumerate((b".well-known", b"dots", b"mitigate", b"cuid=abc")))
            plain.send(b"\x41\x01\x12\x34\x07" + path)
            plain.send(b"\x40\x00\x12\x35")
            try:
                answer = plain.recv(2000)
            except OSError:
                answer = None
            report.check(answer is None, "plaintext CoAP gets no answer (S9132-3-03)", answer)
        need("openssl")
        new, old = s_client(rig, "-dtls1_2"), s_client(rig, "-dtls1")
        report.check("Verify return code: 0" in new and re.search(r"Cipher is (?!\(NONE\))", new), "DTLS 1.2 is served", new[-500:])
        if "no protocols available" in old or "unknown option" in old.lower():
            raise Skip("this OpenSSL cannot speak DTLS 1.0")
        report.check("alert protocol version" in old.lower() and "Cipher is (NONE)" in old, "DTLS 1.0 is refused, with an alert",
                     old[-500:])


if __name__ == "__main__":
    run_parts("libcoap", 100, [exchanges, blocks, credentials, versions])
