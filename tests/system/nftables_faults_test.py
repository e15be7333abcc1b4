#!/usr/bin/env python3
"""The nftables back end in trouble, in a network namespace of its own. usage: nftables_faults_test.py BUILD_DIR BIN_DIR

What the rules do to packets: nft_rules_test.py.
"""
import contextlib
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rig import DOTS, Skip, mitigation, need, need_root, nftables_rig, run, run_parts, wait_for  # noqa: E402

THEIRS = "table inet theirs { chain c { type filter hook forward priority 0; ip daddr 198.51.100.7 accept; }; set s { type ipv4_addr; elements = { 192.0.2.9 }; }; }"


class Router:
    """A server in a namespace where somebody else has a table as well."""

    count = 0

    def __init__(self, bin_dir):
        need_root()
        need("ip", "nft", "coap-client-openssl")
        Router.count += 1
        self.name = f"twf{os.getpid()}n{Router.count}"
        self.bin, self.inside = bin_dir, ["ip", "netns", "exec", self.name]
        self.rig = None

    def __enter__(self):
        code, _, err = run(["ip", "netns", "add", self.name])
        if code != 0:
            raise Skip(f"no network namespaces here: {err}")
        try:
            run(["ip", "-n", self.name, "link", "set", "lo", "up"])
            self.rig = nftables_rig(self.bin, self.inside, 1)
            self.run("nft", THEIRS)
            self.theirs = self.run("nft", "list", "table", "inet", "theirs")[1]
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self.rig:
            self.rig.close()
        run(["ip", "netns", "del", self.name])

    def run(self, *command):
        return run([*self.inside, *command])

    def ctl(self, *arguments):
        return self.run(self.bin / "dotsctl", "--config", self.rig.config("server"), *arguments)

    def put(self, mid):
        answer = self.rig.coap("put", f"{DOTS}/mitigate/cuid=nft/mid={mid}", mitigation(f"203.0.113.{mid}/32"))
        if answer.code != "2.01":
            raise RuntimeError(f"PUT: {answer}")

    def table(self):
        return self.run("nft", "list", "table", "inet", "tidewall")[1]

    def has(self, *mids):
        table = self.table()
        return all(f"203.0.113.{mid} ." in table for mid in mids)

    def is_empty(self):
        return "203.0.113." not in self.table()

    def helpers(self, server):
        out = run(["ps", "--ppid", str(server.pid), "-o", "pid=,stat=,comm="])[1]
        return [int(line.split()[0]) for line in out.splitlines() if "dots-nft" in line and not line.split()[1].startswith("Z")]

    def state(self):
        return self.rig.json("server", "status")["mitigators"][0]["state"]


def helper_gone(report, bin_dir):
    """The helper is missing, lacks its capability, or is killed."""
    with Router(bin_dir) as router:
        rig = router.rig
        missing = rig.edit("server", r'^kind = "nftables"', 'kind = "nftables"\nhelper = "/nonexistent/helper"', to="missing")
        code, out, err = router.run(bin_dir / "dotsctl", "check-config", missing)
        report.check(code == 1 and "no helper program /nonexistent/helper" in err and "set `helper`" in err,
                     "check-config names a missing helper and the remedy", f"{code} {out}{err}")
        if run(["setpriv", "--version"])[0] == 0:
            drop = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
            code, out, err = router.run(*drop, bin_dir / "dotsctl", "check-config", rig.config("server"))
            report.check(code == 1 and "CAP_NET_ADMIN" in err and "setcap cap_net_admin" in err,
                         "check-config names a missing capability and the command that gives it", f"{code} {out}{err}")
        else:
            report.skip("a missing capability", "there is no setpriv here")
        code, out, err = router.run(bin_dir / "dotsctl", "check-config", rig.config("server"))
        report.check(code == 0, "and finds nothing wrong with helper and capability", f"{code} {out}{err}")

        server = rig.start("server", config=missing)
        router.put(1)
        told = wait_for(lambda: "MITIGATOR_UNAVAILABLE" in rig.log("server"), 5)
        listed = rig.list()[("nft", 1)]
        report.check(told and router.state() != "ready" and listed["status"] != "attack-successfully-mitigated",
                     "without its helper the server signals on, and does not claim to mitigate", listed)
        rig.stop(server)
        server = rig.start("server")
        report.check(wait_for(lambda: router.has(1), 10) and
                     wait_for(lambda: rig.list()[("nft", 1)]["status"] == "attack-successfully-mitigated", 5),
                     "with it again the rules are installed", rig.list()[("nft", 1)])

        router.put(2)
        wait_for(lambda: router.has(1, 2), 10)
        before = router.helpers(server)
        report.check(len(before) >= 1, "the helper runs as a process of its own", before)
        for pid in before:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        router.run("nft", "delete table inet tidewall")
        report.check(wait_for(lambda: router.has(1, 2), 15), "after kill -9 of the helper the rules are installed again",
                     rig.log("server")[-400:])
        router.put(3)
        report.check(wait_for(lambda: router.has(1, 2, 3), 15) and set(router.helpers(server)).isdisjoint(before),
                     "and new ones come through a new helper", router.helpers(server))
        report.check(router.run("nft", "list", "table", "inet", "theirs")[1] == router.theirs,
                     "the table of somebody else is as it was")


def tampering(report, bin_dir):
    """What others do inside our table is put right; theirs is left alone."""
    with Router(bin_dir) as router:
        rig = router.rig
        rig.start("server")
        router.put(1)
        router.put(2)
        wait_for(lambda: router.has(1, 2), 10)
        sets = [line.split()[1] for line in router.table().splitlines() if line.strip().startswith("set tw_drop4")]
        code, _, err = router.run("nft", f"delete element inet tidewall {sets[0]} {{ 203.0.113.1 . udp . 53 }}")
        report.check(code == 0 and not router.has(1), "(an element of ours is deleted by hand)", err)
        report.check(wait_for(lambda: router.has(1, 2), 15), "a deleted element comes back", rig.log("server")[-400:])
        report.check("RULES_CHANGED_OUTSIDE" in rig.log("server"), "and the log says that somebody took it away")
        router.run("nft", f"add element inet tidewall {sets[0]} {{ 203.0.113.99 . udp . 99 }}")
        router.run("nft", "add chain inet tidewall foreign; add rule inet tidewall foreign ip saddr 192.0.2.66 drop; "
                          "add rule inet tidewall tw_v4 ip saddr 192.0.2.77 drop")
        report.check("192.0.2.66" in router.table() and "192.0.2.77" in router.table(), "(rules are added to our table by hand)",
                     router.table())
        clean = wait_for(lambda: not any(x in router.table() for x in ("192.0.2.66", "192.0.2.77", "203.0.113.99")), 20)
        report.check(clean and router.has(1, 2), "what nobody can explain is removed from our table, ours stays", router.table())
        router.run("nft", "flush ruleset")
        router.run("nft", THEIRS)
        report.check(wait_for(lambda: router.has(1, 2), 15), "after 'nft flush ruleset' everything is there again",
                     rig.log("server")[-400:])
        report.check(router.run("nft", "list", "table", "inet", "theirs")[1] == router.theirs,
                     "the table of somebody else is as it was")


def stops(report, bin_dir):
    """A clean stop removes the rules or keeps them, as configured."""
    with Router(bin_dir) as router:
        rig = router.rig
        server = rig.start("server")
        router.put(1)
        wait_for(lambda: router.has(1), 10)
        code = rig.stop(server)
        tables = router.run("nft", "list", "tables")[1]
        report.check(code == 0 and tables == "table inet theirs\n", "on_stop = \"remove\": nothing of ours is left", tables)
        server = rig.start("server")
        report.check(wait_for(lambda: router.has(1), 10), "a restart installs the rules again")
        rig.stop(server)
        rig.edit("server", r'^kind = "nftables"', 'kind = "nftables"\non_stop = "keep"')
        server = rig.start("server")
        wait_for(lambda: router.has(1), 10)
        code = rig.stop(server)
        report.check(code == 0 and router.has(1), "on_stop = \"keep\": the rules are still there", router.table())
        server = rig.start("server")
        report.check(router.has(1) and rig.list()[("nft", 1)]["lifetime"] > 3500, "a restart takes them over", router.table())
        answer = rig.coap("delete", f"{DOTS}/mitigate/cuid=nft/mid=1")
        report.check(answer.code == "2.02" and wait_for(router.is_empty, 10), "and removes them with their mitigation",
                     router.table())
        server.kill()
        server.wait()


def emergency(report, bin_dir):
    """dotsctl emergency looks and removes without the daemon."""
    with Router(bin_dir) as router:
        rig = router.rig
        server = rig.start("server")
        router.put(1)
        router.put(2)
        wait_for(lambda: router.has(1, 2), 10)
        code, out, err = router.ctl("emergency", "remove-all")
        report.check(code == 1 and f"process {server.pid}" in err and "stop the daemon first" in err and router.has(1, 2),
                     "remove-all refuses while the daemon runs, and changes nothing", f"{code} {out}{err}")
        server.kill()
        server.wait()
        report.check(router.has(1, 2), "(after kill -9 of the daemon its rules are still in the kernel)")
        code, out, err = router.ctl("emergency", "list", "--json")
        rules = json.loads(out)["rules"] if code == 0 else []
        report.check(len(rules) == 2 and all("203.0.113." in r["rule"] for r in rules), "emergency list shows them",
                     f"{code} {out}{err}")
        code, out, err = router.ctl("emergency", "remove-all", "--note", "test")
        report.check(code == 0 and "2 rules removed" in out and router.is_empty(), "remove-all removes them", f"{code} {out}{err}")
        server = rig.start("server")
        wait_for(lambda: "EMERGENCY_HOLD" in rig.log("server"), 5)
        held = not wait_for(lambda: not router.is_empty(), 2)
        listed = rig.list()
        report.check(held and len(listed) == 2, "a restarted daemon keeps its mitigations and installs nothing",
                     f"{router.table()} {listed}")
        report.check(all(m["status"] != "attack-successfully-mitigated" for m in listed.values()),
                     "and does not claim to mitigate", listed)
        code, out, err = rig.ctl("server", "status")
        report.check("clear-marker" in out + err, "dotsctl status says what to do", out + err)
        code, out, err = router.ctl("emergency", "clear-marker")
        report.check(code == 0, "clear-marker takes the mark away", out + err)
        rig.stop(server)
        server = rig.start("server")
        report.check(wait_for(lambda: router.has(1, 2), 10), "then a restart installs the rules again", rig.log("server")[-400:])
        server.kill()
        server.wait()
        rig.config("server").write_text(rig.config("server").read_text() + '\nnonsense = "yes\n')
        broken = router.ctl("emergency", "list")
        report.check(broken[0] != 0 and "by hand" in broken[1] + broken[2],
                     "with a configuration that cannot be read it says how to do it by hand", broken)
        report.check(router.run("nft", "list", "table", "inet", "theirs")[1] == router.theirs,
                     "the table of somebody else is as it was")


if __name__ == "__main__":
    run_parts("nftables_faults", 110, [helper_gone, tampering, stops, emergency])
