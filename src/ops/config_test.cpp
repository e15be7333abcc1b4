#include "ops/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "ops/config_schema.h"
#include "ops/config_tree.h"
#include "ops/config_values.h"

namespace dots::ops {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "dots-config-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    put("ca.crt", "x", 0644);
    put("server.crt", "x", 0644);
    put("server.key", "x", 0600);
    put("psk.txt", "# keys\nedge-1:00112233445566778899aabbccddeeff\n", 0600);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void put(const std::string& name, const std::string& text, mode_t mode) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream{path} << text;
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }

  static std::string good_server() {
    return R"(role = "server"
[credentials]
ca_file = "ca.crt"
certificate_file = "server.crt"
key_file = "server.key"
psk_file = "psk.txt"
[listen]
addresses = ["127.0.0.1", "[::1]:5000"]
[store]
state_dir = "state"
[[mitigator]]
name = "border"
kind = "dry-run"
[[domain]]
id = "example-net"
prefixes = ["203.0.113.0/24", "2001:db8::/32"]
names = ["Example.NET."]
terminating_period_s = 60
broad_scope = "blackhole"
[[domain.client]]
id = "edge-1"
certificate_names = ["edge-1.example.net"]
psk_identities = ["edge-1"]
)";
  }
  static std::string good_client() {
    return R"(role = "client"
[credentials]
psk_file = "psk.txt"
[store]
state_dir = "state"
[[upstream]]
name = "provider"
host = "dots.example.org"
addresses = ["192.0.2.1"]
)";
  }

  // The problems as people see them, without the folder.
  std::vector<std::string> problems(const std::string& toml) const {
    const auto config = parse_config(toml, folder_ + "/dotsd.toml");
    std::vector<std::string> out;
    if (config) return out;
    for (const ConfigProblem& problem : config.error()) {
      std::string text = to_string(problem);
      for (std::size_t at; (at = text.find(folder_ + "/")) != std::string::npos;) text.erase(at, folder_.size() + 1);
      out.push_back(text);
    }
    return out;
  }
  static std::string changed(std::string toml, const std::string& from, const std::string& to) {
    const auto at = toml.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? toml : toml.replace(at, from.size(), to);
  }

  std::string folder_;
};

TEST_F(ConfigTest, ReadsAServer) {
  const auto config = parse_config(good_server(), folder_ + "/dotsd.toml");
  ASSERT_TRUE(config.ok()) << to_string(config.error().front());
  EXPECT_EQ(config->role, Role::server);
  EXPECT_EQ(config->credentials.ca_file, folder_ + "/ca.crt");
  ASSERT_EQ(config->credentials.psk.size(), 1u);
  EXPECT_EQ(config->credentials.psk[0].identity, "edge-1");
  EXPECT_EQ(base::to_hex(config->credentials.psk[0].key), "00112233445566778899aabbccddeeff");
  ASSERT_EQ(config->listen.addresses.size(), 2u);
  EXPECT_EQ(model::to_string(config->listen.addresses[0]), "127.0.0.1:4646");
  EXPECT_EQ(model::to_string(config->listen.addresses[1]), "[::1]:5000");
  EXPECT_EQ(config->api.socket, folder_ + "/state/dotsd.sock");
  EXPECT_EQ(config->heartbeat_interval, std::chrono::seconds{30});
  ASSERT_EQ(config->domains.size(), 1u);
  const policy::DomainPolicy& domain = config->domains[0];
  EXPECT_EQ(domain.id.value, "example-net");
  EXPECT_THAT(domain.names, ElementsAre("example.net"));
  EXPECT_EQ(domain.terminating_period, std::chrono::seconds{60});
  EXPECT_EQ(domain.broad_scope, policy::BroadScopeAction::blackhole);
  ASSERT_EQ(domain.clients.size(), 1u);
  EXPECT_EQ(domain.clients[0].id.value, "edge-1");
  EXPECT_THAT(domain.clients[0].psk_identities, ElementsAre("edge-1"));
}

TEST_F(ConfigTest, ReadsAClient) {
  const auto config =
      parse_config(good_client() + "[upstream.idle_config]\nheartbeat_interval_s = 0\nack_timeout_ms = 1500\n",
                   folder_ + "/dotsd.toml");
  ASSERT_TRUE(config.ok()) << to_string(config.error().front());
  EXPECT_EQ(config->role, Role::client);
  ASSERT_EQ(config->upstreams.size(), 1u);
  EXPECT_EQ(config->upstreams[0].host, "dots.example.org");
  EXPECT_EQ(config->upstreams[0].idle_config.get(model::Parameter::heartbeat_interval), 0u);
  EXPECT_EQ(config->upstreams[0].idle_config.get(model::Parameter::ack_timeout), 150u);
  EXPECT_TRUE(config->upstreams[0].mitigating_config.empty());
  EXPECT_EQ(model::to_string(config->upstreams[0].addresses.at(0)), "192.0.2.1:4646");
}

// S9132-4.3-11
TEST_F(ConfigTest, UdpIsNotProbedMoreOftenThanTheStandardAllows) {
  const auto with = [](const std::string& lines) { return good_client() + lines; };
  EXPECT_EQ(problems(with("udp_probe_s = 299\n")).size(), 1u);
  const auto config = parse_config(with("udp_probe_s = 300\ntransport = \"tcp\"\n"), folder_ + "/dotsd.toml");
  ASSERT_TRUE(config.ok()) << to_string(config.error().front());
  EXPECT_EQ(config->upstreams[0].udp_probe, std::chrono::minutes{5});
  EXPECT_EQ(config->upstreams[0].transport, UpstreamTransport::tcp);
}

// S9132-4.5.2-03: the limits of the server are configuration; those of RFC 9132 hold without it.
TEST_F(ConfigTest, LimitsOfTheSessionConfiguration) {
  const auto config = parse_config(good_server() + R"([heartbeat]
interval_s = 60
[session_config]
max_age_s = 4294967295
[session_config.min]
ack_timeout_ms = 1500
[session_config.max]
heartbeat_interval_s = 120
)",
                                   folder_ + "/dotsd.toml");
  ASSERT_TRUE(config.ok()) << to_string(config.error().front());
  const policy::SessionBounds bounds = session_bounds(*config);
  EXPECT_EQ(bounds.range(model::Parameter::heartbeat_interval), (model::ParameterRange{15, 120}));
  EXPECT_EQ(bounds.range(model::Parameter::ack_timeout), (model::ParameterRange{150, 3000}));
  EXPECT_EQ(bounds.max_age_s, policy::kForever);
  EXPECT_EQ(bounds.defaults.get(model::Parameter::heartbeat_interval), 60u);
  EXPECT_THAT(problems(good_server() + "[session_config.min]\nmax_retransmit = 15\n[session_config.max]\n"
                                       "max_retransmit = 4\n"),
              ElementsAre(HasSubstr("session_config.min.max_retransmit: the least value is above the greatest")));
}

// S9132-3-01: 4646 on UDP, and on TCP unless the operator says no.
TEST_F(ConfigTest, ListensEverywhereWithoutAddresses) {
  const auto config = parse_config(changed(good_server(), "addresses = [\"127.0.0.1\", \"[::1]:5000\"]\n", ""),
                                   folder_ + "/dotsd.toml");
  ASSERT_TRUE(config.ok());
  ASSERT_EQ(config->listen.addresses.size(), 2u);
  EXPECT_EQ(model::to_string(config->listen.addresses[0]), "[::]:4646");
  EXPECT_EQ(model::to_string(config->listen.addresses[1]), "0.0.0.0:4646");
  EXPECT_TRUE(config->listen.tcp);
}

// R8040-2.2-01: 443 when no port is written. Nobody is surprised by a new open port: without the key nothing listens.
TEST_F(ConfigTest, TheDataChannelListensWhereItIsTold) {
  const auto off = parse_config(good_server(), folder_ + "/dotsd.toml");
  ASSERT_TRUE(off.ok());
  EXPECT_TRUE(off->data_channel.listen.empty());
  const auto on =
      parse_config(changed(good_server(), "[store]",
                           "[data_channel]\nlisten = [\"192.0.2.1\", \"[::1]:4643\"]\nstall_time_s = 7\n[store]"),
                   folder_ + "/dotsd.toml");
  ASSERT_TRUE(on.ok());
  ASSERT_EQ(on->data_channel.listen.size(), 2u);
  EXPECT_EQ(model::to_string(on->data_channel.listen[0]), "192.0.2.1:443");
  EXPECT_EQ(model::to_string(on->data_channel.listen[1]), "[::1]:4643");
  EXPECT_EQ(on->data_channel.stall_time, std::chrono::seconds{7});
}

TEST_F(ConfigTest, ADataChannelOfAnUpstreamIsOffUntilItIsAskedFor) {
  const auto off = parse_config(good_client(), folder_ + "/dotsd.toml");
  ASSERT_TRUE(off.ok());
  EXPECT_FALSE(off->upstreams[0].data_channel.enabled);
  const auto on = parse_config(good_client() +
                                   "[upstream.data_channel]\nenabled = true\naddresses = [\"192.0.2.1\"]\n"
                                   "root = \"/top/restconf\"\ncheck_s = 60\n",
                               folder_ + "/dotsd.toml");
  ASSERT_TRUE(on.ok());
  const UpstreamDataChannel& data = on->upstreams[0].data_channel;
  EXPECT_TRUE(data.enabled);
  EXPECT_EQ(model::to_string(data.addresses.at(0)), "192.0.2.1:443");  // R8040-2.2-01
  EXPECT_EQ(data.root, "/top/restconf");
  EXPECT_EQ(data.check, std::chrono::minutes{1});
  EXPECT_THAT(problems(good_client() + "[upstream.data_channel]\nroot = \"restconf/\"\n"),
              ElementsAre(HasSubstr("'restconf/' is no path")));
}

TEST_F(ConfigTest, TellsAllProblemsAtOnceInTheOrderOfTheFile) {
  std::string toml = changed(good_server(), "203.0.113.0/24", "203.0.113.5/24");
  toml = changed(toml, "kind = \"dry-run\"", "kind = \"nftable\"");
  toml = changed(toml, "terminating_period_s = 60", "terminating_period_s = 301\nmax_mitigation = 5");
  toml = changed(toml, "state_dir = \"state\"", "state_dir = 5");
  EXPECT_THAT(
      problems(toml),
      ElementsAre(
          "dotsd.toml:10: store.state_dir: expected a text in quotes, found a number; write for example "
          "\"/var/lib/tidewall/server\"",
          "dotsd.toml:13: mitigator[0].kind: 'nftable' is no choice; did you mean \"nftables\"?; write "
          "\"nftables\", \"command\", \"webhook\", \"notify\", \"dry-run\", \"gobgp-rtbh\" or \"gobgp-flowspec\"",
          "dotsd.toml:16: domain[0].prefixes[0]: '203.0.113.5/24' has bits set to the right of its length; "
          "write '203.0.113.0/24'",
          "dotsd.toml:18: domain[0].terminating_period_s: 301 is out of range; write a number: 0 to 300 s",
          "dotsd.toml:19: domain[0].max_mitigation: is unknown; did you mean 'max_mitigations'?; write "
          "'max_mitigations'"));
}

struct BadCase {
  const char* what;
  const char* from;
  const char* to;
  const char* problem;  // exactly one, and this
};
class BadServer : public ConfigTest, public ::testing::WithParamInterface<BadCase> {};

TEST_P(BadServer, IsRefusedWithOneSentence) {
  EXPECT_THAT(problems(changed(good_server(), GetParam().from, GetParam().to)), ElementsAre(GetParam().problem));
}

INSTANTIATE_TEST_SUITE_P(
    Config, BadServer,
    ::testing::Values(
        BadCase{"AddressWithoutLength", "203.0.113.0/24", "203.0.113.7",
                "dotsd.toml:16: domain[0].prefixes[0]: '203.0.113.7' is an address without a prefix length; write "
                "'203.0.113.7/32'"},
        BadCase{"PrefixTwice", "\"2001:db8::/32\"", "\"203.0.113.0/24\"",
                "dotsd.toml:16: domain[0].prefixes[1]: '203.0.113.0/24' stands twice in the list; remove one of them"},
        BadCase{"WildcardName", "Example.NET.", "*.example.net",
                "dotsd.toml:17: domain[0].names[0]: '*.example.net' has a wildcard; write the name alone: "
                "'example.net' covers all names below it"},
        BadCase{"NotificationsTooOften", "terminating_period_s = 60", "notification_interval_s = 2",
                "dotsd.toml:18: domain[0].notification_interval_s: 2 is out of range; write a number: 3 to 3600 s"},
        BadCase{"LifetimesContradict", "terminating_period_s = 60", "max_lifetime_s = 600",
                "dotsd.toml:18: domain[0].max_lifetime_s: default_lifetime_s 3600 is larger than max_lifetime_s 600; "
                "write default_lifetime_s = 600 or less"},
        BadCase{"TerminatingPeriodsContradict", "terminating_period_s = 60", "terminating_period_max_s = 60",
                "dotsd.toml:18: domain[0].terminating_period_max_s: terminating_period_s is larger than "
                "terminating_period_max_s; write terminating_period_s = 60 or less"},
        BadCase{"HeartbeatTooFast", "[listen]", "[heartbeat]\ninterval_s = 14\n[listen]",
                "dotsd.toml:8: heartbeat.interval_s: 14 is out of range; write a number: 0 or 15 to 240 s"},
        BadCase{"RoleMissing", "role = \"server\"\n", "",
                "dotsd.toml: role: is missing; write for example role = \"server\""},
        BadCase{"KeyOfAnotherSection", "[store]", "[store]\nmetrics_address = \"127.0.0.1\"",
                "dotsd.toml:10: store.metrics_address: is unknown here; it belongs to [api]; move it under [api]"},
        BadCase{"UnknownSection", "[listen]", "[listener]",
                "dotsd.toml:7: listener: is unknown; did you mean 'listen'?; write 'listen'"},
        BadCase{"UnitForgotten", "[store]", "[store]\nstall = 5",
                "dotsd.toml:10: store.stall: is unknown; did you mean 'stall_ms'?; write 'stall_ms'"},
        BadCase{"ClientSectionInServer", "[listen]", "[[upstream]]\nname = \"x\"\n[listen]",
                "dotsd.toml:7: upstream: belongs to a client, and this is a server; remove it, or write role = "
                "\"client\""},
        BadCase{"SectionNotRepeated", "[[mitigator]]", "[mitigator]",
                "dotsd.toml:11: mitigator: expected sections, found a table; write [[mitigator]] above its keys"},
        BadCase{"PortOutOfRange", "[::1]:5000", "[::1]:70000",
                "dotsd.toml:8: listen.addresses[1]: '70000' in '[::1]:70000' is no port; write a number from 1 to "
                "65535"},
        BadCase{"NoAddressAtAll", "\"127.0.0.1\", \"[::1]:5000\"", "",
                "dotsd.toml:8: listen.addresses: is empty; write at least one address, or leave the key out"},
        BadCase{"NoPrefixAtAll", "\"203.0.113.0/24\", \"2001:db8::/32\"", "",
                "dotsd.toml:16: domain[0].prefixes: is empty, so the domain can ask for nothing; write the prefixes "
                "that it owns"},
        BadCase{"NoMitigator", "[[mitigator]]\nname = \"border\"\nkind = \"dry-run\"\n", "",
                "dotsd.toml: mitigator: is missing; add a section [[mitigator]]"},
        BadCase{"NoStateDir", "state_dir = \"state\"", "kind = \"sqlite\"",
                "dotsd.toml:9: store.state_dir: is missing; write for example state_dir = "
                "\"/var/lib/tidewall/server\""},
        BadCase{"NoClient",
                "[[domain.client]]\nid = \"edge-1\"\ncertificate_names = [\"edge-1.example.net\"]\npsk_identities = "
                "[\"edge-1\"]\n",
                "", "dotsd.toml:14: domain[0].client: is missing; add a section [[domain.client]]"},
        BadCase{"ClientWithoutCredential",
                "certificate_names = [\"edge-1.example.net\"]\npsk_identities = [\"edge-1\"]\n", "",
                "dotsd.toml:20: domain[0].client[0]: no credential names this client; add certificate_names, "
                "psk_identities or raw_public_keys"},
        BadCase{"PskWithoutKey", "psk_identities = [\"edge-1\"]", "psk_identities = [\"edge-2\"]",
                "dotsd.toml:23: domain[0].client[0].psk_identities: 'edge-2' has no key; add a line 'edge-2:<key in "
                "hexadecimal>' to psk.txt"},
        BadCase{"CertificateWithoutKey", "key_file = \"server.key\"\n", "",
                "dotsd.toml:4: credentials.certificate_file: a certificate without its key; add key_file"},
        BadCase{"FileMissing", "\"ca.crt\"", "\"ca.pem\"",
                "dotsd.toml:3: credentials.ca_file: there is no file 'ca.pem'; write the path of a file that exists; "
                "relative ones start at the folder of this file"},
        BadCase{"MetricsForEverybody", "[listen]", "[api]\nmetrics_address = \"0.0.0.0\"\n[listen]",
                "dotsd.toml:8: api.metrics_address: '0.0.0.0:9466' can be reached from other machines; write "
                "'127.0.0.1:9466', or allow it with metrics_allow_remote = true"},
        BadCase{"TtlsContradict", "[listen]", "[resolver]\nttl_min_s = 90\nttl_max_s = 60\n[listen]",
                "dotsd.toml:8: resolver.ttl_min_s: is larger than ttl_max_s; write at most 60"},
        BadCase{"BodiesThatNeverFit", "[listen]",
                "[data_channel]\nbody_bytes = 2000000\nwaiting_bytes = 1500000\n[listen]",
                "dotsd.toml:9: data_channel.waiting_bytes: body_bytes 2000000 is larger than waiting_bytes 1500000, so "
                "that such a body would never be taken; write waiting_bytes = 2000000 or more"},
        BadCase{"MitigatorTwice", "[[domain]]", "[[mitigator]]\nname = \"border\"\nkind = \"dry-run\"\n[[domain]]",
                "dotsd.toml:15: mitigator[1].name: 'border' is taken by another mitigator; give each mitigator its "
                "own"}),
    [](const auto& one) { return one.param.what; });

TEST_F(ConfigTest, RefusesSpaceThatCanNeverBeMitigated) {
  const auto found = problems(changed(good_server(), "203.0.113.0/24", "127.0.1.0/24"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0], HasSubstr("dotsd.toml:16: domain[0].prefixes[0]: '127.0.1.0/24' can never be mitigated: "));
  EXPECT_THAT(problems(changed(good_server(), "203.0.113.0/24", "0.0.0.0/0")), IsEmpty());
}

TEST_F(ConfigTest, RawPublicKeys) {
  const std::string key = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
  std::string colons;
  for (std::size_t i = 0; i < key.size(); i += 2) colons += (i > 0 ? ":" : "") + key.substr(i, 2);
  std::transform(colons.begin(), colons.end(), colons.begin(), [](unsigned char c) { return std::toupper(c); });
  const std::string names = "certificate_names = [\"edge-1.example.net\"]\npsk_identities = [\"edge-1\"]";
  const std::string server =
      changed(changed(changed(good_server(), "ca_file = \"ca.crt\"\n", ""), "certificate_file = \"server.crt\"\n", ""),
              names, "raw_public_keys = [\"" + colons + "\"]");
  const auto config = parse_config(server, folder_ + "/dotsd.toml");
  ASSERT_TRUE(config) << to_string(config.error().front());
  EXPECT_THAT(config->domains[0].clients[0].raw_public_keys, ElementsAre(key));
  EXPECT_THAT(
      problems(changed(server, "key_file = \"server.key\"\n", "")),
      ElementsAre("dotsd.toml:2: credentials: raw public keys are configured, and there is no key of our own; add "
                  "key_file"));
  EXPECT_THAT(problems(changed(server, colons, key.substr(1))),
              ElementsAre(HasSubstr("is no SHA-256 of a public key; write the 64 digits from: openssl pkey")));

  const std::string pin = "raw_public_keys = [\"" + key + "\"]\n";
  const std::string client = changed(good_client(), "psk_file = \"psk.txt\"", "key_file = \"server.key\"") + pin;
  const auto asking = parse_config(client, folder_ + "/dotsd.toml");
  ASSERT_TRUE(asking) << to_string(asking.error().front());
  EXPECT_THAT(asking->upstreams[0].raw_public_keys, ElementsAre(key));
  EXPECT_THAT(problems(good_client() + pin), ElementsAre(HasSubstr("with a pre-shared key no public key is used")));
  EXPECT_THAT(problems(client + "[[upstream]]\nname = \"second\"\nhost = \"second.example\"\n"),
              ElementsAre(HasSubstr("upstream[1]: nothing to check this server with; add raw_public_keys")));
}

TEST_F(ConfigTest, RefusesACredentialThatTwoClientsClaim) {
  const auto found = problems(good_server() +
                              "[[domain]]\nid = \"other\"\nprefixes = [\"198.51.100.0/24\"]\n[[domain.client]]\n"
                              "id = \"x\"\npsk_identities = [\"edge-1\"]\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0], HasSubstr("edge-1"));
  EXPECT_THAT(found[0], HasSubstr("give each name to one client only"));
}

// S8811-5-02
TEST_F(ConfigTest, RefusesSecretsThatEverybodyMayRead) {
  put("server.key", "x", 0644);
  put("psk.txt", "edge-1:00112233445566778899aabbccddeeff\n", 0604);
  EXPECT_THAT(problems(good_server()),
              ElementsAre("dotsd.toml:5: credentials.key_file: every user may read or write the secret in "
                          "'server.key'; run: chmod o-rwx server.key",
                          "dotsd.toml:6: credentials.psk_file: every user may read or write the secret in 'psk.txt'; "
                          "run: chmod o-rwx psk.txt"));
  put("server.key", "x", 0640);  // a group of key readers is a common arrangement
  put("psk.txt", "edge-1:00112233445566778899aabbccddeeff\n", 0600);
  EXPECT_THAT(problems(good_server()), IsEmpty());
}

TEST_F(ConfigTest, TellsWhatIsWrongInAPskFileWithoutRepeatingKeys) {
  put("psk.txt",
      "nonsense-0011\nshort:0011\nedge-1:00112233445566778899aabbccddeeff\n"
      "edge-1:ffeeddccbbaa99887766554433221100\n",
      0600);
  const auto found = problems(good_server());
  EXPECT_THAT(found,
              ElementsAre("dotsd.toml:6: credentials.psk_file: psk.txt, line 1: is not 'identity:hexkey'; write for "
                          "example 'edge-1:' and 32 hexadecimal digits or more",
                          "dotsd.toml:6: credentials.psk_file: psk.txt, line 2: the key of 'short' is not 16 to 64 "
                          "bytes in hexadecimal; make one with: openssl rand -hex 32",
                          "dotsd.toml:6: credentials.psk_file: psk.txt, line 4: 'edge-1' stands twice; remove one of "
                          "the lines"));
}

TEST_F(ConfigTest, AClientUsesOneKey) {
  put("psk.txt", "a:00112233445566778899aabbccddeeff\nb:00112233445566778899aabbccddeeff\n", 0600);
  EXPECT_THAT(problems(good_client()), ElementsAre("dotsd.toml:3: credentials.psk_file: has 2 keys, and a client uses "
                                                   "one; leave one line in the file"));
}

// RFC 9132 4.7: a dead session is not opened again under a minute.
TEST_F(ConfigTest, AClientReconnectsNotUnderAMinute) {
  EXPECT_THAT(problems(good_client() + "reconnect_s = 59\n"),
              ElementsAre("dotsd.toml:10: upstream[0].reconnect_s: 59 is out of range; write a number: 60 to 86400 s"));
  EXPECT_THAT(problems(good_client() + "reconnect_s = 60\n"), IsEmpty());
}

TEST_F(ConfigTest, ASocketPathThatTheSystemCannotTakeIsSaid) {
  const auto found = problems(good_client() + "[api]\nsocket = \"/" + std::string(107, 'x') + "\"\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0], HasSubstr("dotsd.toml:11: api.socket: "));
  EXPECT_THAT(found[0], HasSubstr("has a path of 108 bytes, and the system takes 107"));
  EXPECT_THAT(problems(good_client() + "[api]\nsocket = \"/" + std::string(106, 'x') + "\"\n"), IsEmpty());
}

TEST_F(ConfigTest, AGroupThatCannotReachTheSocketIsToldWhereToPutIt) {
  const std::string state = folder_ + "/state";
  std::filesystem::create_directory(state);
  std::filesystem::permissions(state, std::filesystem::perms::owner_all);
  for (const std::string group : {"operator_group", "read_only_group"}) {
    const auto found = problems(good_client() + "[api]\n" + group + " = \"tidewall\"\n");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_THAT(found[0], HasSubstr("dotsd.toml:11: api." + group + ": members of this group cannot reach the socket"));
    EXPECT_THAT(found[0], HasSubstr("write socket = \"/run/tidewall/dotsd.sock\""));
  }
  // In the same folder by name: no better.
  EXPECT_EQ(problems(good_client() + "[api]\noperator_group = \"g\"\nsocket = \"state/x.sock\"\n").size(), 1u);
  // A folder that others may enter, or one that is made when the daemon starts.
  std::filesystem::create_directory(folder_ + "/open");
  std::filesystem::permissions(folder_ + "/open", std::filesystem::perms(0755));
  const std::string with = good_client() + "[api]\noperator_group = \"g\"\nsocket = ";
  EXPECT_THAT(problems(with + "\"open/x.sock\"\n"), IsEmpty());
  EXPECT_THAT(problems(with + "\"/run/not-there-yet/x.sock\"\n"), IsEmpty());
  // An operator who opened the state directory for the group knows what to do.
  std::filesystem::permissions(state, std::filesystem::perms(0710));
  EXPECT_THAT(problems(good_client() + "[api]\noperator_group = \"g\"\n"), IsEmpty());
}

TEST_F(ConfigTest, SyntaxErrorsHaveTheirLine) {
  const auto found = problems("role = \"server\"\n[store\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0], HasSubstr("dotsd.toml:2: is no TOML here: "));
}

TEST_F(ConfigTest, EmptyAndMissingFiles) {
  EXPECT_THAT(problems(""), ElementsAre("dotsd.toml: role: is missing; write for example role = \"server\""));
  const auto missing = load_config(folder_ + "/nowhere.toml");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().at(0).what, "there is no such file");
  const auto folder = load_config(folder_);
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(folder.error().at(0).what, "is a folder");
  put("empty.toml", "", 0600);
  const auto empty = load_config(folder_ + "/empty.toml");
  ASSERT_FALSE(empty.ok());
  EXPECT_EQ(empty.error().at(0).key, "role");
}

TEST_F(ConfigTest, LoadsFromAFile) {
  put("server.toml", good_server(), 0644);
  const auto config = load_config(folder_ + "/server.toml");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->store.state_dir, folder_ + "/state");
}

// Every row of the table can be used as its own example says, and is explained.
void check_examples(const SectionSpec& section, const std::string& file, void* parent) {
  EXPECT_FALSE(section.meaning.empty() && !section.name.empty()) << section.name;
  for (const KeySpec& key : section.keys) {
    SCOPED_TRACE(section.name + "." + key.name);
    EXPECT_FALSE(key.meaning.empty());
    const auto document = read_toml(key.name + " = " + key.example);
    ASSERT_TRUE(document.ok());
    ConfigProblems problems{file};
    key.read(section.open(parent), std::get<ConfigNode::Table>(document->value)[0].value, key.name, problems);
    for (const ConfigProblem& problem : problems.take()) ADD_FAILURE() << to_string(problem);
  }
  void* here = section.open(parent);
  for (const SectionSpec& child : section.children) check_examples(child, file, here);
}
TEST_F(ConfigTest, EveryExampleIsValid) {
  Config config;
  check_examples(config_schema(), folder_ + "/x.toml", &config);
}

TEST(ConfigReference, TheCommittedPageIsTheTable) {
  std::ifstream in{std::string{DOTS_SOURCE_DIR} + "/docs/configuration.md"};
  std::ostringstream page;
  page << in.rdbuf();
  EXPECT_TRUE(page.str() == config_reference()) << "run: scripts/pages.sh";
}

TEST(ConfigValues, SocketAddresses) {
  for (const char* good : {"192.0.2.1", "192.0.2.1:1", "::1", "[::1]", "[::1]:65535"})
    EXPECT_TRUE(read_socket_address(good, 4646).ok()) << good;
  for (const char* bad : {"", ":", ":5", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:+5", "[::1",
                          "[::1]5", "[192.0.2.1]:5", "localhost", "1.2.3", "[]", "192.0.2.1:5:6"})
    EXPECT_FALSE(read_socket_address(bad, 4646).ok()) << bad;
}

TEST(ConfigValues, DnsNames) {
  EXPECT_EQ(read_dns_name("A.Example.net.").value(), "a.example.net");
  EXPECT_TRUE(read_dns_name("_dots.example").ok());
  for (const std::string& bad : {std::string{}, std::string{"."}, std::string{"a..b"}, std::string{"-a"},
                                 std::string{"a-.b"}, std::string{"a b"}, std::string(64, 'a'), std::string{"a.b-"}})
    EXPECT_FALSE(read_dns_name(bad).ok()) << bad;
}

TEST(ConfigValues, TheClosestName) {
  EXPECT_EQ(closest("prefixs", {"prefixes", "names"}), "prefixes");
  EXPECT_EQ(closest("table", {"timeout_ms", "name"}), std::nullopt);
}

}  // namespace
}  // namespace dots::ops
