#include "ops/config_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace dots::ops {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ConfigChangesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "dots-changes-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    put("ca.crt", "x");
    put("server.crt", "x");
    put("server.key", "x");
    put("psk.txt", "edge-1:00112233445566778899aabbccddeeff\n");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void put(const std::string& name, const std::string& text) const {
    std::ofstream{folder_ + "/" + name} << text;
    ASSERT_EQ(::chmod((folder_ + "/" + name).c_str(), 0600), 0);
  }
  Config read(const std::string& toml) const {
    auto config = parse_config(toml, folder_ + "/server.toml");
    EXPECT_TRUE(config) << (config ? "" : to_string(config.error().front()));
    return config ? *config : Config{};
  }
  static std::string toml(const std::string& prefixes = "\"203.0.113.0/24\"", const std::string& shards = "2",
                          const std::string& more = "") {
    return R"(role = "server"
[credentials]
ca_file = "ca.crt"
certificate_file = "server.crt"
key_file = "server.key"
psk_file = "psk.txt"
[listen]
shards = )" +
           shards + R"(
[store]
state_dir = "state"
[[mitigator]]
name = "border"
kind = "dry-run"
[[domain]]
id = "example-net"
prefixes = [)" +
           prefixes + R"(]
[[domain.client]]
id = "edge-1"
psk_identities = ["edge-1"]
)" + more;
  }
  static std::vector<std::string> lines(const Config& before, const Config& after) {
    std::vector<std::string> out;
    for (const auto& change : config_changes(before, after)) out.push_back(to_string(change));
    return out;
  }

  std::string folder_;
};

TEST_F(ConfigChangesTest, TheSameFileIsNoChange) { EXPECT_THAT(lines(read(toml()), read(toml())), IsEmpty()); }

TEST_F(ConfigChangesTest, NotesAndOrderAreNoChange) {
  EXPECT_THAT(lines(read(toml()), read("# a note\n" + toml("\"203.0.113.0/24\"", "2 # another"))), IsEmpty());
}

TEST_F(ConfigChangesTest, ValuesOfADomainAreShownUnderItsName) {
  EXPECT_THAT(lines(read(toml()), read(toml("\"203.0.113.0/25\", \"2001:db8::/48\""))),
              ElementsAre("domain[example-net].prefixes: [\"203.0.113.0/24\"] -> [\"203.0.113.0/25\", "
                          "\"2001:db8::/48\"]"));
}

TEST_F(ConfigChangesTest, WhatARunningDaemonCannotTakeSaysSo) {
  EXPECT_THAT(lines(read(toml()), read(toml("\"203.0.113.0/24\"", "4"))),
              ElementsAre("listen.shards: 2 -> 4 (needs a restart)"));
}

TEST_F(ConfigChangesTest, DomainsAndClientsComeAndGo) {
  const std::string other = R"([[domain]]
id = "other"
prefixes = ["198.51.100.0/24"]
[[domain.client]]
id = "edge-2"
certificate_names = ["edge-2.example"]
)";
  const Config small = read(toml());
  const Config large = read(toml("\"203.0.113.0/24\"", "2", other));
  EXPECT_THAT(lines(small, large),
              ElementsAre("domain[other].id: new: \"other\"", "domain[other].prefixes: new: [\"198.51.100.0/24\"]",
                          "domain[other].client[edge-2].id: new: \"edge-2\"",
                          "domain[other].client[edge-2].certificate_names: new: [\"edge-2.example\"]"));
  EXPECT_EQ(lines(large, small).front(), "domain[other].id: gone: \"other\"");
}

TEST_F(ConfigChangesTest, KeysAndFilesAreComparedByWhatIsInThemAndNeverShown) {
  const Config before = read(toml());
  put("psk.txt", "edge-1:ffeeddccbbaa99887766554433221100\nedge-9:00112233445566778899aabbccddeeff\n");
  put("ca.crt", "y");
  const auto changes = lines(before, read(toml()));
  EXPECT_THAT(changes, ElementsAre("credentials.psk_file: the key of \"edge-1\" -> another key",
                                   "credentials.psk_file: new: a key of \"edge-9\"",
                                   "credentials.ca_file: what the file held -> what it holds now"));
  for (const auto& line : changes) EXPECT_EQ(line.find("ffeedd"), std::string::npos);
}

}  // namespace
}  // namespace dots::ops
