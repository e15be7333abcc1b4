#!/usr/bin/env python3
"""Real packets through the table of dots-nft-helper: attacker - router - victim in network namespaces.

usage: nft_rules_test.py PATH_OF_DOTS_NFT_HELPER        exit status 77: cannot be tried here, and why
"""
import ctypes
import json
import os
import socket
import subprocess
import sys
import time

NAMES = {role: f"twt{os.getpid()}{role}" for role in "arv"}
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
UDP, TCP = 17, 6
checks = 0


def sh(command, role=None):
    if role:
        command = f"ip netns exec {NAMES[role]} {command}"
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def check(holds, what):
    global checks
    checks += 1
    if not holds:
        raise AssertionError(what)
    print(f"ok   {what}")


class Inside:
    """The calling thread in a namespace: sockets made there stay there."""

    def __init__(self, role):
        self.path = f"/run/netns/{NAMES[role]}"

    def enter(self, path):
        fd = os.open(path, os.O_RDONLY)
        if LIBC.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(fd)

    def __enter__(self):
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.enter(self.path)

    def __exit__(self, *_):
        LIBC.setns(self.home, CLONE_NEWNET)
        os.close(self.home)


def udp(role, address="", port=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with Inside(role):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        sock.bind((address, port))
    return sock


def drain(sock, wait=0.3):
    """How many datagrams came."""
    n = 0
    sock.settimeout(wait)
    try:
        while True:
            sock.recv(2048)
            n += 1
    except socket.timeout:
        return n


def flood(sock, to, n, payload=72):
    for _ in range(n):
        sock.sendto(b"x" * payload, to)


class Helper:
    def __init__(self, program):
        self.process = subprocess.Popen(["ip", "netns", "exec", NAMES["r"], program], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.id = 0

    def ask(self, op, **more):
        self.id += 1
        self.process.stdin.write(json.dumps({"id": self.id, "op": op, **more}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if not answer["ok"]:
            raise AssertionError(f"{op}: {answer['error']}")
        return answer

    def add(self, action, target, protocol=None, low=None, high=None, rate=0):
        self.ask("apply", changes=[["+", action, target, protocol, low, high, rate]])

    def remove(self, action, target, protocol=None, low=None, high=None, rate=0):
        self.ask("apply", changes=[["-", action, target, protocol, low, high, rate]])

    def counted(self, target, protocol=None, low=None, high=None):
        for row in self.ask("list")["rules"]:
            if row[1:5] == [target, protocol, low, high]:
                return row[6], row[7]
        raise AssertionError(f"{target} is not listed")

    def close(self):
        self.process.stdin.close()
        return self.process.wait(timeout=5)


def make_network():
    for name in NAMES.values():
        sh(f"ip netns add {name}")
    for role, net in (("a", 1), ("v", 2)):
        sh(f"ip link add eth0 netns {NAMES[role]} type veth peer name eth{net} netns {NAMES['r']}")
        sh("ip link set lo up", role)
        sh("ip link set eth0 up", role)
        sh(f"ip addr add 10.71.{net}.2/24 dev eth0", role)
        sh(f"ip addr add 10.71.{net}.3/24 dev eth0", role)
        sh(f"ip addr add fd71:{net}::2/64 dev eth0 nodad", role)
        sh(f"ip link set eth{net} up", "r")
        sh(f"ip addr add 10.71.{net}.1/24 dev eth{net}", "r")
        sh(f"ip addr add fd71:{net}::1/64 dev eth{net} nodad", "r")
        sh(f"ip route add default via 10.71.{net}.1", role)
        sh(f"ip route add default via fd71:{net}::1", role)
    sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", "r")
    sh("ip link set lo up", "r")
    sh("nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; }; "
       "add rule inet theirs forward ip daddr 10.71.2.2 accept'", "r")
    # Neighbours are known before the first flood.
    for target in ("10.71.2.2", "10.71.2.3", "fd71:2::2"):
        sh(f"ping -q -c 2 -i 0.2 -W 2 {target}", "a")


def test_drop(helper):
    victim53, victim54 = udp("v", "10.71.2.2", 53), udp("v", "10.71.2.2", 54)
    attacker = udp("a")
    helper.add("drop", "10.71.2.2/32", UDP, 53, 53)
    flood(attacker, ("10.71.2.2", 53), 500)
    flood(attacker, ("10.71.2.2", 54), 50)
    check(drain(victim54) == 50, "traffic to another port passes")
    check(drain(victim53) == 0, "a flood to the target port is dropped")
    check(helper.counted("10.71.2.2/32", UDP, 53, 53) == (500, 500 * 100), "and counted exactly, in layer-3 bytes")
    sh("ping -q -c 3 -i 0.2 -W 1 10.71.2.2", "a")
    check(True, "other protocols to the target pass")
    helper.add("drop", "10.71.2.0/24", UDP, 50, 60)
    flood(attacker, ("10.71.2.2", 54), 70)
    flood(attacker, ("10.71.2.2", 53), 30)
    check(drain(victim54) == 0, "a port range of a prefix is dropped")
    check(helper.counted("10.71.2.0/24", UDP, 50, 60) == (70, 7000), "and each packet is counted once")
    helper.remove("drop", "10.71.2.0/24", UDP, 50, 60)
    helper.remove("drop", "10.71.2.2/32", UDP, 53, 53)
    flood(attacker, ("10.71.2.2", 53), 20)
    check(drain(victim53) == 20, "after the removal it passes again")


def test_fragments(helper):
    """The octets of a later fragment are not its ports."""
    victim = udp("v", "10.71.2.2", 53)
    attacker = udp("a")
    victim6, attacker6 = udp("v", "fd71:2::2", 53), udp("a", "fd71:1::2")
    for target, sender, receiver in (("10.71.2.2", attacker, victim), ("fd71:2::2", attacker6, victim6)):
        prefix = f"{target}/{128 if ':' in target else 32}"
        helper.add("drop", prefix, UDP, 53, 53)
        sender.sendto(b"\x00\x35" * 1500, (target, 53))
        check(drain(receiver, 0.2) == 0 and helper.counted(prefix, UDP, 53, 53)[0] == 1,
              f"a rule with a port takes the first fragment alone, whatever the others look like ({target})")
        helper.remove("drop", prefix, UDP, 53, 53)
        helper.add("drop", prefix, UDP)
        sender.sendto(b"\x00\x35" * 1500, (target, 53))
        check(drain(receiver, 0.2) == 0 and helper.counted(prefix, UDP)[0] == 3,
              f"a rule without ports takes all three ({target})")
        helper.remove("drop", prefix, UDP)
        sender.sendto(b"\x00\x35" * 1500, (target, 53))
        check(drain(receiver, 0.2) == 1, f"after the removal the datagram arrives whole ({target})")


def test_drop_v6(helper):
    victim = udp("v", "fd71:2::2", 53)
    attacker = udp("a", "fd71:1::2")
    helper.add("drop", "fd71:2::/48", UDP, 53, 53)
    flood(attacker, ("fd71:2::2", 53), 300)
    check(drain(victim) == 0 and helper.counted("fd71:2::/48", UDP, 53, 53) == (300, 300 * 120), "the same for IPv6")
    helper.remove("drop", "fd71:2::/48", UDP, 53, 53)
    flood(attacker, ("fd71:2::2", 53), 5)
    check(drain(victim) == 5, "IPv6 passes after the removal")


def test_limit(helper):
    victim = udp("v", "10.71.2.3", 99)
    attacker = udp("a")
    rate = 20000
    helper.add("limit", "10.71.2.3/32", rate=rate)
    began = time.monotonic()
    for _ in range(10):
        flood(attacker, ("10.71.2.3", 99), 200)
        time.sleep(0.1)
    took = time.monotonic() - began
    passed = drain(victim)
    most = (1 + took) * rate / 100
    check(rate / 100 <= passed <= most + 2, f"a limit lets {passed} of 2000 packets through, at most {most:.0f}")
    check(helper.counted("10.71.2.3/32") == (2000 - passed, (2000 - passed) * 100), "and counts exactly the others")
    helper.remove("limit", "10.71.2.3/32", rate=rate)


def exchange(server, client, address, n=5):
    """Requests that were answered."""
    answered = 0
    client.settimeout(0.3)
    server.settimeout(0.3)
    for _ in range(n):
        client.sendto(b"request", address)
        try:
            _, back = server.recvfrom(100)
            server.sendto(b"answer", back)
            client.recv(100)
            answered += 1
        except socket.timeout:
            pass
    return answered


def tcp_works(role, address, port):
    with Inside(role):
        server = socket.create_server((address, port), family=socket.AF_INET)
    with Inside("a"):
        client = socket.socket()
        client.settimeout(1)
    try:
        client.connect((address, port))
        client.close()
        return True
    except OSError:
        return False
    finally:
        server.close()


def test_exemption(helper, role, server_address, where):
    dots, other = udp(role, server_address, 4646), udp(role, server_address, 4647)
    peer, stranger = udp("a", "10.71.1.2"), udp("a", "10.71.1.3")
    helper.ask("exempt", pps=200, list=[[server_address, 4646, "10.71.1.2/32"]])
    helper.add("blackhole", f"{server_address}/32")
    helper.add("blackhole", "10.71.1.2/32")
    check(exchange(other, peer, (server_address, 4647)) == 0, f"a blackhole takes everything ({where})")
    check(exchange(dots, peer, (server_address, 4646)) == 5, f"but not the DOTS signal, in either direction ({where})")
    check(tcp_works(role, server_address, 4646), f"nor over TCP ({where})")
    check(exchange(dots, stranger, (server_address, 4646), 2) == 0, f"a stranger is no DOTS peer ({where})")
    began = time.monotonic()
    flood(peer, (server_address, 4646), 3000)
    passed, took = drain(dots), time.monotonic() - began
    check(passed <= 200 + 200 * took + 2, f"the exemption is limited: {passed} of 3000 ({where})")
    helper.ask("exempt", pps=200, list=[])
    check(exchange(dots, peer, (server_address, 4646), 2) == 0, f"without the exemption it is cut ({where})")
    helper.remove("blackhole", f"{server_address}/32")
    helper.remove("blackhole", "10.71.1.2/32")


def test_any_local_address(helper):
    dots, peer = udp("r", "", 4646), udp("a", "10.71.1.2")
    behind = udp("v", "10.71.2.2", 4646)
    helper.ask("exempt", pps=200, list=[["0.0.0.0", 4646, "0.0.0.0/0"]])
    helper.add("blackhole", "10.71.1.1/32")
    helper.add("blackhole", "10.71.2.2/32")
    check(exchange(dots, peer, ("10.71.1.1", 4646)) == 5, "an exemption of any address takes all of this machine's")
    check(exchange(behind, peer, ("10.71.2.2", 4646), 2) == 0, "and none of another's")
    helper.ask("exempt", pps=200, list=[])
    helper.remove("blackhole", "10.71.1.1/32")
    helper.remove("blackhole", "10.71.2.2/32")


def test_neighbours(helper):
    dots, peer = udp("r", "fd71:1::1", 4646), udp("a", "fd71:1::2")
    helper.ask("exempt", pps=200, list=[["fd71:1::1", 4646, "fd71:1::2/128"]])
    helper.add("blackhole", "fd71:1::1/128")
    # Only the router forgets: it must ask, and the answer comes to the address under the blackhole.
    sh("ip -6 neigh flush all", "r")
    check(exchange(dots, peer, ("fd71:1::1", 4646), 6) >= 5, "IPv6 neighbours find each other through a blackhole")
    helper.ask("exempt", pps=200, list=[])
    helper.remove("blackhole", "fd71:1::1/128")


def main(program):
    if os.geteuid() != 0:
        print("SKIP: network namespaces need root")
        return 77
    try:
        try:
            make_network()
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            print(f"SKIP: no network laboratory here: {getattr(error, 'stderr', error)}")
            return 77
        before = sh("nft list table inet theirs", "r")
        helper = Helper(program)
        helper.ask("open")
        test_drop(helper)
        test_drop_v6(helper)
        test_fragments(helper)
        test_limit(helper)
        test_exemption(helper, "r", "10.71.1.1", "server on the router")
        test_exemption(helper, "v", "10.71.2.2", "server one hop away")
        test_any_local_address(helper)
        test_neighbours(helper)
        check(sh("nft list table inet theirs", "r") == before, "the table of somebody else is as it was")
        helper.add("blackhole", "10.71.2.0/24")
        helper.ask("clear")
        check(sh("nft list tables", "r") == "table inet theirs\n", "clear leaves nothing behind")
        sh("ping -q -c 2 -i 0.2 -W 1 10.71.2.2", "a")
        check(helper.close() == 0, "the helper ends in good order when its input closes")
        print(f"{checks} checks")
        return 0
    except AssertionError as error:
        print(f"FAIL {error}")
        print(sh("nft list ruleset", "r"))
        return 1
    finally:
        for name in NAMES.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
