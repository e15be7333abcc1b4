#!/usr/bin/env python3
"""Real packets through the lists of filters of dots-nft-helper: attacker - router - victim in network namespaces.

usage: nft_filters_test.py PATH_OF_DOTS_NFT_HELPER [--measure]      exit status 77: cannot be tried here, and why
"""
import errno
import os
import socket
import subprocess
import sys
import threading
import time

import nft_rules_test as lab
from nft_rules_test import check, drain, flood, sh, udp

VICTIM, OTHER = "10.71.2.2", "10.71.2.3"
GOOD, BAD = "10.71.1.2", "10.71.1.3"


def entry(name, do, **match):
    return {"name": name, "do": do, "to": 0, **match}


def source(address):
    return {"family": 6 if ":" in address else 4, "src": address + ("/128" if ":" in address else "/32")}


def change(name, entries, domain="domain", place=0, to=("10.71.2.0/24", "fd71:2::/64"), digest=None):
    change.number += 1
    return {"key": [domain, "cuid", name], "place": place, "digest": digest or f"{change.number:032x}", "to": [list(to)],
            "entries": entries}


change.number = 0


def put(helper, *changes):
    helper.ask("filters", changes=list(changes))


def remove(helper, *names, domain="domain"):
    helper.ask("filters", changes=[{"key": [domain, "cuid", name]} for name in names])


def counters(helper):
    """(list, entry) -> (packets, bytes)"""
    out = {}
    answer = helper.ask("list")
    for part in helper.parts:
        for name, packets, octets in part["filters"]["entries"] if "filters" in part else []:
            out[part["filters"]["key"][2], name] = (packets, octets)
    check.foreign = answer["foreign"]
    return out


class Helper(lab.Helper):
    def ask(self, op, **more):
        self.id += 1
        self.process.stdin.write(lab.json.dumps({"id": self.id, "op": op, **more}) + "\n")
        self.process.stdin.flush()
        self.parts = []
        while True:
            answer = lab.json.loads(self.process.stdout.readline())
            if not answer.get("more"):
                break
            self.parts.append(answer)
        if not answer["ok"]:
            raise AssertionError(f"{op}: {answer['error']}")
        return answer


# D8783-4.1-08: what is dropped is dropped without a word
def test_drop(helper):
    victim, good, bad = udp("v", VICTIM, 53), udp("a", GOOD), udp("a", BAD)
    put(helper, change("drop", [entry("bad", "drop", **source(BAD))]))
    flood(bad, (VICTIM, 53), 300)
    flood(good, (VICTIM, 53), 40)
    check(drain(victim) == 40, "an entry of a drop-list drops its source and nothing else")
    check(counters(helper) == {("drop", "bad"): (300, 30000)}, "and is counted exactly, in layer-3 bytes")
    bad.connect((VICTIM, 99))  # nobody listens there
    bad.send(b"x")
    time.sleep(0.2)
    bad.send(b"x")
    check(True, "the sender hears nothing of it")
    good.connect((VICTIM, 99))
    good.send(b"x")
    time.sleep(0.2)
    try:
        good.send(b"x")
        check(False, "without a filter the sender hears of a closed port")
    except ConnectionRefusedError:
        check(True, "without a filter the sender hears of a closed port")
    remove(helper, "drop")
    stranger = udp("a", BAD)
    flood(stranger, (VICTIM, 53), 20)
    check(drain(victim) == 20, "after the removal it passes again")


# D8783-4.1-04, D8783-4.1-05: what no entry takes is left to the mitigation, or to nobody
def test_accept_list(helper):
    victim, good, bad = udp("v", VICTIM, 53), udp("a", GOOD), udp("a", BAD)
    victim6, good6, bad6 = udp("v", "fd71:2::2", 53), udp("a", "fd71:1::2"), udp("a", "fd71:1::3")
    put(helper, change("accept", [entry("good", "accept", **source(GOOD)),
                                  entry("good6", "accept", **source("fd71:1::2"))]))
    helper.add("blackhole", f"{VICTIM}/32")
    helper.add("drop", "fd71:2::2/128", lab.UDP, 53, 53)
    flood(bad, (VICTIM, 53), 200)
    flood(good, (VICTIM, 53), 100)
    check(drain(victim) == 100, "an accept-list saves its source while a blackhole of a mitigation stands")
    check(helper.counted(f"{VICTIM}/32") == (200, 20000), "and everybody else meets the mitigation")
    flood(bad6, ("fd71:2::2", 53), 50)
    flood(good6, ("fd71:2::2", 53), 30)
    check(drain(victim6) == 30, "the same for IPv6")
    check(counters(helper) == {("accept", "good"): (100, 10000), ("accept", "good6"): (30, 3600)}, "both are counted")
    helper.remove("blackhole", f"{VICTIM}/32")
    helper.remove("drop", "fd71:2::2/128", lab.UDP, 53, 53)
    flood(bad, (VICTIM, 53), 10)
    check(drain(victim) == 10, "without a mitigation an accept-list stops nobody")
    remove(helper, "accept")


def connections(n):
    """How many of n connections at once succeed within half a second; segments are not repeated so soon."""
    with lab.Inside("v"):
        server = socket.create_server((VICTIM, 88), backlog=n)
    clients = []
    for _ in range(n):
        with lab.Inside("a"):
            client = socket.socket()
        client.setblocking(False)
        client.connect_ex((VICTIM, 88))
        clients.append(client)
    time.sleep(0.5)
    opened = sum(client.connect_ex((VICTIM, 88)) in (0, errno.EISCONN) for client in clients)
    for one in [server, *clients]:
        one.close()
    return opened


# D8783-4.1-10, D8783-7.2-16, D8783-B.2-01
def test_limit(helper):
    victim, bad = udp("v", OTHER, 99), udp("a", BAD)
    rate = 20000
    put(helper, change("limit", [entry("some", "limit", rate=rate, udp={"dport": [99, 99, False]}),
                                 entry("never", "drop")]))
    began = time.monotonic()
    for _ in range(20):
        flood(bad, (OTHER, 99), 100)
        time.sleep(0.1)
    took = time.monotonic() - began
    passed = drain(victim)
    least, most = rate / 100, (rate * (1 + took) + 1500) / 100
    check(least <= passed <= most + 2 and passed >= 0.8 * rate * took / 100,
          f"a limit of {rate} bytes/s lets {passed} of 2000 packets through, {most:.0f} at most in {took:.1f} s")
    dropped = 2000 - passed
    check(counters(helper) == {("limit", "some"): (dropped, 100 * dropped), ("limit", "never"): (0, 0)},
          "it counts what it drops, and entries behind it see nothing")
    time.sleep(1.2)
    helper.add("drop", f"{OTHER}/32")
    flood(bad, (OTHER, 99), 100)
    check(drain(victim) == 0 and helper.counted(f"{OTHER}/32")[0] == 100, "below the rate the mitigation decides")
    helper.remove("drop", f"{OTHER}/32")
    remove(helper, "limit")
    put(helper, change("syn", [entry("syn", "limit", rate=20, tcp={"bits": [False, False, 2]})]))
    opened = connections(60)
    check(20 <= opened <= 27, f"a limit of 20 bytes/s lets what fits into 1,500 bytes through: {opened} of 60 connections")
    remove(helper, "syn")


# D8783-4.1-03, D8783-A-01
def test_order(helper):
    victim, bad = udp("v", VICTIM, 53), udp("a", BAD)

    def passes(what, wanted, expected):
        flood(bad, (VICTIM, 53), 20)
        check((drain(victim, 0.2) == 20) == wanted, what)
        found = {key: packets for key, (packets, _) in counters(helper).items() if packets}
        check(found == {expected: 20}, f"... by {expected}")

    drop, accept = entry("drop", "drop", **source(BAD)), entry("accept", "accept", udp={"dport": [53, 53, False]})
    put(helper, change("one", [drop, accept]))
    passes("the first entry that matches decides: drop before accept", False, ("one", "drop"))
    put(helper, change("one", [accept, drop]))
    passes("accept before drop", True, ("one", "accept"))
    remove(helper, "one")
    put(helper, change("a", [drop], place=2), change("b", [accept], place=1))
    passes("the list with the lower place is first", True, ("b", "accept"))
    put(helper, change("a", [drop], place=0), change("b", [accept], place=1, digest="beef"))
    passes("also after their places were changed", False, ("a", "drop"))
    remove(helper, "a", "b")
    put(helper, change("a", [accept], place=1), change("b", [drop], place=1))
    passes("equal places go by the names", True, ("a", "accept"))
    remove(helper, "a", "b")
    put(helper, change("outer", [drop], domain="provider"),
        change("inner", [accept], domain="customer", place=9, to=[VICTIM + "/32"]))
    passes("the domain with the longer prefix comes before the one around it", True, ("inner", "accept"))
    remove(helper, "inner", domain="customer")
    passes("which is asked when that has nothing to say", False, ("outer", "drop"))
    remove(helper, "outer", domain="provider")
    fragments = entry("fragments", "drop", family=4, fragment=[False, False, 2])
    put(helper, change("A", [fragments, entry("dns", "accept", udp={"dport": [53, 53, False]})]))
    helper.add("blackhole", f"{VICTIM}/32")
    bad.sendto(b"x" * 3000, (VICTIM, 53))
    bad.sendto(b"x" * 100, (VICTIM, 53))
    check(drain(victim) == 1, "of DNS to a target under attack whole packets pass and fragments do not")
    check({key: packets for key, (packets, _) in counters(helper).items()} == {("A", "fragments"): 3, ("A", "dns"): 1},
          "each of the three fragments was counted, and the whole packet")
    helper.remove("blackhole", f"{VICTIM}/32")
    remove(helper, "A")


def thousand(first, last, n=1000, offset=0):
    middle = [entry(f"entry {i}", "drop", family=4, src=f"172.{16 + (i + offset) // 65536}.{(i + offset) // 256 % 256}."
                    f"{(i + offset) % 256}/32") for i in range(n - 2)]
    return [first, *middle, last]


def test_replacement(helper):
    """No packet of a dropped flow passes, none of an accepted one is lost, while 1,000 entries are replaced."""
    good_at, bad_at = udp("v", VICTIM, 53), udp("v", OTHER, 53)
    good, bad = udp("a", GOOD), udp("a", BAD)
    helper.add("blackhole", f"{VICTIM}/32")

    def lists(round_):
        ends = [entry("bad", "drop", **source(BAD)), entry("good", "accept", **source(GOOD))]
        return change("big", thousand(*(ends if round_ % 2 else ends[::-1]), offset=round_ % 7))

    put(helper, lists(0))
    sent, got, over = [0], [0, 0], threading.Event()

    def send():
        while not over.is_set():
            for _ in range(5):
                good.sendto(b"x" * 72, (VICTIM, 53))
                bad.sendto(b"x" * 72, (OTHER, 53))
                sent[0] += 1
            time.sleep(0.001)

    def receive(index, sock):
        sock.settimeout(0.3)
        while True:
            try:
                sock.recv(2048)
                got[index] += 1
            except socket.timeout:
                if over.is_set():
                    return

    threads = [threading.Thread(target=send), threading.Thread(target=receive, args=(0, good_at)),
               threading.Thread(target=receive, args=(1, bad_at))]
    for thread in threads:
        thread.start()
    took = []
    for round_ in range(1, 21):
        wanted = lists(round_)
        began = time.monotonic()
        put(helper, wanted)
        took.append(time.monotonic() - began)
    # Another list comes and goes, another domain's too: the groups and maps change.
    for round_ in range(10):
        put(helper, change("small", [entry("x", "drop", **source("172.31.0.1"))], to=[VICTIM + "/32"]))
        put(helper, change("small", [entry("x", "drop", **source("172.31.0.1"))], domain="other", to=[VICTIM + "/32"]))
        remove(helper, "small")
        remove(helper, "small", domain="other")
    over.set()
    for thread in threads:
        thread.join()
    check(sent[0] > 1000, f"{sent[0]} packets of each flow during 20 replacements of 1,000 entries and 40 small changes")
    check(got[1] == 0, "no packet of the dropped flow passed")
    check(got[0] == sent[0], f"none of the accepted flow was lost ({got[0]} of {sent[0]})")
    took.sort()
    print(f"measured: a list of 1,000 entries replaced in {1000 * took[10]:.0f} ms, at most {1000 * took[-1]:.0f} ms")
    helper.remove("blackhole", f"{VICTIM}/32")
    remove(helper, "big")


def measure(helper):
    def timed(what, act, n=5):
        took = []
        for i in range(n):
            began = time.monotonic()
            act(i)
            took.append(1000 * (time.monotonic() - began))
        print(f"measured: {what}: {sorted(took)[n // 2]:.0f} ms, at most {max(took):.0f} ms")

    ends = [entry("first", "drop", **source(BAD)), entry("last", "drop", **source(BAD))]
    timed("a list of 10 entries replaced", lambda i: put(helper, change("m", thousand(*ends, n=10, offset=i))))
    timed("a list of 10,000 entries replaced", lambda i: put(helper, change("m", thousand(*ends, n=10000, offset=i))))
    timed("10,000 entries listed", lambda i: helper.ask("list"))
    timed("a list of 10 entries replaced beside 10,000",
          lambda i: put(helper, change("n", thousand(*ends, n=10, offset=i))))
    timed("a rule of a mitigation beside 10,000 entries", lambda i: helper.add("drop", f"10.71.2.{i + 1}/32"))
    timed("10,000 entries removed", lambda i: remove(helper, "m"), 1)


def main(program, measuring):
    if os.geteuid() != 0:
        print("SKIP: network namespaces need root")
        return 77
    try:
        try:
            lab.make_network()
            sh("ip addr add fd71:1::3/64 dev eth0 nodad", "a")
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            print(f"SKIP: no network laboratory here: {getattr(error, 'stderr', error)}")
            return 77
        helper = Helper(program)
        helper.ask("open")
        for test in (test_drop, test_accept_list, test_limit, test_order, test_replacement):
            test(helper)
            check(counters(helper) == {} and check.foreign == [], "no list is left, and nothing unexplained")
        if measuring:
            measure(helper)
        helper.ask("clear")
        check(helper.close() == 0, "the helper ends in good order when its input closes")
        print(f"{lab.checks} checks")
        return 0
    except AssertionError as error:
        print(f"FAIL {error}")
        print(sh("nft list ruleset", "r")[:20000])
        return 1
    finally:
        for name in lab.NAMES.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], "--measure" in sys.argv[2:]))
