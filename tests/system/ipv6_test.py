#!/usr/bin/env python3
"""The signal channel over IPv6. usage: ipv6_test.py BUILD_DIR BIN_DIR"""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, HEARTBEAT, Rig, Skip, mitigation, need, need_root, private_mounts, run, run_parts, wait_for  # noqa: E402


def need_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        raise Skip(f"no IPv6 on loopback: {error}") from error


def libcoap(report, bin_dir):
    """libcoap's clients over ::1."""
    need("coap-client-gnutls", "coap-client-openssl", "mount")
    need_ipv6()
    need_root()
    # By a name: libcoap puts a literal address into the server name extension, which RFC 6066 section 3 does not permit
    # and GnuTLS refuses ("illegal parameter").
    private_mounts()
    with Rig(bin_dir, prefix="2001:db8::/32") as rig:
        hosts = rig.folder / "hosts"
        hosts.write_text("127.0.0.1 localhost\n::1 six.test\n")
        if run(["mount", "--bind", hosts, "/etc/hosts"])[0] != 0:
            raise Skip("/etc/hosts cannot be replaced for this test alone")
        rig.start("server")
        for number, tool in enumerate(("gnutls", "openssl"), start=1):
            base = f"{DOTS}/mitigate/cuid={tool}"

            def ask(method, path, body=None):
                return rig.coap(method, path, body, tool=tool, host="six.test")

            target = f"2001:db8:{number}::/48"
            answer = ask("put", f"{base}/mid=1", mitigation(target))
            report.check(answer.code == "2.01", f"{tool}: PUT is 2.01", answer)
            answer = ask("get", f"{base}/mid=1")
            report.check(answer.code == "2.05" and answer.scopes()[0].get(6) == [target], f"{tool}: GET shows it", answer)
            answer = ask("put", f"{DOTS}/hb", HEARTBEAT)
            report.check(answer.code == "2.04", f"{tool}: a heartbeat is 2.04", answer)
            answer = ask("delete", f"{base}/mid=1")
            report.check(answer.code == "2.02", f"{tool}: DELETE is 2.02", answer)
            status = rig.list().get((tool, 1), {}).get("status")
            report.check(status == "dots-client-withdrawn-mitigation", f"{tool}: it is withdrawn", status)


def own_client(report, bin_dir):
    """Our own client over ::1 alone."""
    need_ipv6()
    with Rig(bin_dir, prefix="2001:db8::/32") as rig:
        rig.edit("client", r"^addresses = .*$", f'addresses = ["[::1]:{rig.port}"]')
        rig.start("server")
        rig.start("client")
        code, out, err = rig.ctl("client", "mitigate", "--target-prefix", "2001:db8::7", "--protocol", "udp", "--wait")
        report.check(code == 0, "dotsctl mitigate is accepted", out + err)
        sessions = rig.json("server", "status")["sessions"]
        report.check([s["peer"].startswith("[::1]:") for s in sessions] == [True], "the session is one over IPv6", sessions)
        mid = next(iter(rig.list("client")))[1]
        code, out, err = rig.ctl("client", "withdraw", str(mid))
        report.check(code == 0, "dotsctl withdraw is accepted", out + err)
        ending = wait_for(lambda: [m["status"] for m in rig.list().values()] == ["dots-client-withdrawn-mitigation"], 10)
        report.check(ending, "the server has it withdrawn", rig.list())


run_parts("ipv6", 50, [libcoap, own_client])
