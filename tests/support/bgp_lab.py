"""A provider in network namespaces: gobgpd beside dotsd, a BIRD router, an attacker before it and a victim behind it.

    attacker 198.51.100.2 -- router 10.99.0.2 -- victim 203.0.113.10, .11; 2001:db8:b::10, ::11
                                 |
                  speaker 10.99.0.1 (gobgpd, dotsd)
"""
import os
import re
import shutil
import signal
import tempfile

from rig import Rig, Skip, cbor, need, need_root, run, spawn, wait_for

GOBGPD = """[global.config]
as = 64512
router-id = "10.99.0.1"
local-address-list = ["10.99.0.1"]
[[neighbors]]
[neighbors.config]
neighbor-address = "10.99.0.2"
peer-as = 64513
[neighbors.timers.config]
connect-retry = 1
idle-hold-time-after-reset = 1
hold-time = 9
[neighbors.ebgp-multihop.config]
enabled = true
multihop-ttl = 2
[neighbors.graceful-restart.config]
enabled = true
restart-time = 30
"""
FAMILY = """[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "{}"
[neighbors.afi-safis.mp-graceful-restart.config]
enabled = true
"""
FAMILIES = ["ipv4-unicast", "ipv6-unicast", "ipv4-flowspec", "ipv6-flowspec"]

# As docs/mitigators.md has it: multihop, because the next hops are on no link, and an import filter that makes a
# blackhole of what bears the community.
BIRD = """router id 10.99.0.2;
log stderr all;
flow4 table ft4;
flow6 table ft6;
protocol device { scan time 2; }
protocol kernel { ipv4 { export filter { if dest = RTD_BLACKHOLE then accept; reject; }; }; }
protocol kernel { ipv6 { export filter { if dest = RTD_BLACKHOLE then accept; reject; }; }; }
filter rtbh {
  if (65535, 666) ~ bgp_community then { dest = RTD_BLACKHOLE; accept; }
  reject;
}
protocol bgp speaker {
  local 10.99.0.2 as 64513;
  neighbor 10.99.0.1 as 64512;
  multihop 2;
  graceful restart on;
  hold time 9;
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 2;
  ipv4 { import filter rtbh; export none; };
  ipv6 { import filter rtbh; export none; };
  flow4 { table ft4; import all; export none; };
  flow6 { table ft6; import all; export none; };
}
"""


def request(prefixes, protocol=None, port=None, lifetime=3600):
    """A mitigation request of RFC 9132; without protocol and port it is about everything."""
    scope = {6: prefixes}
    if port is not None:
        scope[7] = [{8: port}]
    if protocol is not None:
        scope[10] = [protocol]
    scope[14] = lifetime
    return cbor({1: {2: [scope]}})


class Lab:
    count = 0

    def __init__(self, bin_dir, kind, where="speaker", more=""):
        need_root()
        need("ip", "ping", "coap-client-openssl", "gobgpd", "gobgp", "bird", "birdc")
        Lab.count += 1
        self.id = f"twb{os.getpid()}n{Lab.count}"
        self.bin, self.kind, self.where, self.more = bin_dir, kind, where, more
        self.folder = tempfile.mkdtemp(prefix="tidewall-bgp.")
        self.rig, self.processes = None, {}
        self.api = f"unix://{self.folder}/gobgpd.sock"

    def __enter__(self):
        try:
            self.wire()
            self.start_gobgpd()
            self.start_bird()
            self.rig = Rig(self.bin, inside=self.inside(self.where))
            rig = self.rig
            settings = f'kind = "{self.kind}"\ncounters_every_ms = 200\n'
            if self.kind.startswith("gobgp"):
                settings += f'api = "{self.api}"\nnext_hop_v4 = "198.18.0.1"\non_stop = "keep"\n{self.more}'
            rig.edit("server", r'^kind = "dry-run"', settings)
            rig.edit("server", r"^prefixes = .*$", 'prefixes = ["203.0.113.0/24", "2001:db8:b::/64", "10.99.0.0/24"]\n'
                     'broad_scope = "blackhole"\nterminating_period_s = 1\nterminating_period_max_s = 1')
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self.rig:
            self.rig.close()
        for name in list(self.processes):
            self.kill(name)
        for node in ("attacker", "router", "victim", "speaker"):
            run(["ip", "netns", "del", f"{self.id}-{node}"])
        shutil.rmtree(self.folder, ignore_errors=True)

    def inside(self, node):
        return ["ip", "netns", "exec", f"{self.id}-{node}"]

    def run(self, node, *command, timeout=20):
        return run([*self.inside(node), *command], timeout)

    def wire(self):
        links = [("attacker", ["198.51.100.2/24", "2001:db8:a::2/64"], ["198.51.100.1/24", "2001:db8:a::1/64"]),
                 ("victim", ["203.0.113.10/24", "203.0.113.11/24", "2001:db8:b::10/64", "2001:db8:b::11/64"],
                  ["203.0.113.1/24", "2001:db8:b::1/64"]),
                 ("speaker", ["10.99.0.1/24"], ["10.99.0.2/24"])]
        for node in ("attacker", "router", "victim", "speaker"):
            code, _, err = run(["ip", "netns", "add", f"{self.id}-{node}"])
            if code != 0:
                raise Skip(f"no network namespaces here: {err}")
            run(["ip", "-n", f"{self.id}-{node}", "link", "set", "lo", "up"])
        router = f"{self.id}-router"
        for node, theirs, ours in links:
            name = f"{self.id}-{node}"
            run(["ip", "-n", router, "link", "add", node, "type", "veth", "peer", "name", "eth0", "netns", name])
            for where, device, addresses in ((name, "eth0", theirs), (router, node, ours)):
                for address in addresses:
                    run(["ip", "-n", where, "address", "add", address, "dev", device, *(["nodad"] if ":" in address else [])])
                run(["ip", "-n", where, "link", "set", device, "up"])
            if node != "speaker":
                run(["ip", "-n", name, "route", "add", "default", "via", ours[0].split("/")[0]])
                run(["ip", "-n", name, "-6", "route", "add", "default", "via", ours[1].split("/")[0]])
        self.run("router", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def spawn(self, name, node, command):
        with open(f"{self.folder}/{name}.log", "ab") as log:
            self.processes[name] = spawn([*self.inside(node), *command], stdout=log, stderr=log)

    def kill(self, name, number=signal.SIGKILL):
        process = self.processes.pop(name, None)
        if process and process.poll() is None:
            process.send_signal(number)
            process.wait()

    def start_gobgpd(self, families=FAMILIES, restarting=False):
        config = f"{self.folder}/gobgpd.toml"
        with open(config, "w", encoding="utf-8") as file:
            file.write(GOBGPD + "".join(FAMILY.format(family) for family in families))
        if os.path.exists(f"{self.folder}/gobgpd.sock"):
            os.unlink(f"{self.folder}/gobgpd.sock")
        self.spawn("gobgpd", "speaker", ["gobgpd", "-f", config, "--api-hosts", self.api, "--pprof-disable", "-p",
                                         *(["-r"] if restarting else [])])
        if not wait_for(lambda: self.gobgp("neighbor")[0] == 0, 20):
            raise RuntimeError("gobgpd does not answer")

    def start_bird(self):
        with open(f"{self.folder}/bird.conf", "w", encoding="utf-8") as file:
            file.write(BIRD)
        self.spawn("bird", "router", ["bird", "-f", "-c", f"{self.folder}/bird.conf", "-s", f"{self.folder}/bird.ctl"])
        wait_for(lambda: self.birdc("show", "status")[0] == 0, 10)

    def gobgp(self, *arguments):
        return run(["gobgp", "--target", self.api, *arguments])

    def birdc(self, *arguments):
        return run(["birdc", "-s", f"{self.folder}/bird.ctl", *arguments])

    def established(self, seconds=30):
        return wait_for(lambda: "Established" in self.birdc("show", "protocols", "speaker")[1], seconds)

    def session_since(self):
        """When BIRD's session came up, in seconds of the day; None without one."""
        found = re.search(r"speaker\s+BGP\s+\S+\s+up\s+(\d+):(\d+):(\d+\.\d+)", self.birdc("show", "protocols", "speaker")[1])
        return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else None

    def session_kept(self, since):
        """No reset since then. BIRD works the time out anew whenever it shows it, so that it wavers by a millisecond."""
        now = self.session_since()
        return since is not None and now is not None and abs(now - since) < 0.2

    def blackholes(self):
        """The kernel's blackhole routes on the router."""
        out = []
        for family in ("-4", "-6"):
            for line in self.run("router", "ip", family, "route", "show", "type", "blackhole")[1].splitlines():
                out.append(line.split()[1] if line.startswith("blackhole") else line.split()[0])
        return out

    def flows(self):
        return self.birdc("show", "route", "table", "ft4", "all")[1] + self.birdc("show", "route", "table", "ft6", "all")[1]

    def reaches(self, address):
        """Does the attacker's traffic reach the victim?"""
        return self.run("attacker", "ping", "-n", "-c", "1", "-W", "1", address)[0] == 0

    def put(self, mid, body):
        from rig import DOTS
        return self.rig.coap("put", f"{DOTS}/mitigate/cuid=bgp/mid={mid}", body)

    def delete(self, mid):
        from rig import DOTS
        return self.rig.coap("delete", f"{DOTS}/mitigate/cuid=bgp/mid={mid}")

    def status(self, mid):
        return self.rig.list().get(("bgp", mid), {}).get("status")

    def mitigated(self, mid, seconds=10):
        return wait_for(lambda: self.status(mid) == "attack-successfully-mitigated", seconds)
