#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "ops/config.h"

namespace dots::ops {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kServer = R"(role = "server"
[credentials]
psk_file = "/nowhere/psk.txt"
[store]
state_dir = "state"
[[mitigator]]
name = "edge"
kind = "dry-run"
max_rules = 100
[[mitigator]]
name = "core"
kind = "dry-run"
dry_run = true
[[domain]]
id = "example-net"
prefixes = ["203.0.113.0/24"]
[[domain.client]]
id = "edge-1"
psk_identities = ["edge-1"]
[[domain.contract]]
id = "gold"
[[domain.contract]]
id = "silver"
services = ["rtbh"]
max_mitigations = 3
)";

// Without those of the credentials, which are not what is looked at here.
std::vector<std::string> problems(const std::string& more) {
  const auto config = parse_config(kServer + more, "dotsd.toml");
  std::vector<std::string> out;
  if (config) return out;
  for (const auto& problem : config.error()) {
    if (!problem.key.starts_with("credentials") && !problem.key.starts_with("domain"))
      out.push_back(to_string(problem));
  }
  return out;
}

// What can be read although there are no credentials.
Config read(const std::string& more) {
  EXPECT_THAT(problems(more), testing::IsEmpty());
  const std::string file = testing::TempDir() + "/policy-config-test.toml";
  std::ofstream{file} << kServer << more;
  Config config = load_partial_config(file).config;
  std::filesystem::remove(file);
  return config;
}

TEST(PolicyConfig, AChainIsRead) {
  const Config config = read(R"([[policy]]
name = "flood"
prefix_length_v4 = "32"
prefix_length_v6 = "64-128"
protocols = ["udp", "1"]
ports = ["53", "8000-8080"]
scope = "narrow"
volume_from_bits_per_s = 1000000
contracts = ["gold"]
action = "blackhole"
use = ["edge"]
overflow = ["core"]
[[policy]]
name = "trial"
domains = ["example-net"]
action = "observe"
[safety]
targets = ["192.0.2.53", "2001:db8::/64"]
sources = ["198.51.100.0/24"]
rules = 1000
)");
  ASSERT_EQ(config.policy.size(), 2U);
  const policy::PolicyRule& flood = config.policy[0];
  EXPECT_EQ(flood.name, "flood");
  EXPECT_EQ(flood.v4_lengths, (policy::LengthRange{32, 32}));
  EXPECT_EQ(flood.v6_lengths, (policy::LengthRange{64, 128}));
  EXPECT_THAT(flood.protocols, ElementsAre(17, 1));
  EXPECT_THAT(flood.ports, ElementsAre(model::PortRange{53, 53}, model::PortRange{8000, 8080}));
  EXPECT_EQ(flood.scope, policy::ScopeKind::narrow);
  EXPECT_EQ(flood.volume_from_bps, 1000000U);
  EXPECT_THAT(flood.contracts, ElementsAre("gold"));
  EXPECT_EQ(flood.action, policy::PolicyAction::blackhole);
  EXPECT_THAT(flood.use, ElementsAre("edge"));
  EXPECT_THAT(flood.overflow, ElementsAre("core"));
  EXPECT_EQ(config.policy[1].action, policy::PolicyAction::observe);
  ASSERT_EQ(config.safety.targets.size(), 2U);
  EXPECT_EQ(model::to_string(config.safety.targets[0].prefix), "192.0.2.53/32");
  EXPECT_EQ(config.safety.sources.size(), 1U);
  EXPECT_EQ(config.safety.rules, 1000U);
  EXPECT_EQ(config.mitigators[0].max_rules, 100U);
  EXPECT_TRUE(config.mitigators[1].dry_run);
  ASSERT_EQ(config.domains[0].contracts.size(), 2U);
  EXPECT_EQ(config.domains[0].contracts[0], (policy::ContractPolicy{"gold"}));
  EXPECT_EQ(config.domains[0].contracts[1], (policy::ContractPolicy{"silver", {"rtbh"}, 3, 0}));
  EXPECT_EQ(config.domains[0].activations_per_minute, 600U);
}

TEST(PolicyConfig, WhatDoesNotFitTogetherIsSaid) {
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\napproval = true\nvolume_from_bits_per_s = 1\n"),
              ElementsAre(HasSubstr("policy[0].approval: does not go with volume_from_bits_per_s")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\nvolume_below_bits_per_s = 1\n"
                       "[[policy]]\nname = \"b\"\napproval = true\n"),
              ElementsAre(HasSubstr("policy[1].approval: stands below a rule with volume_below_bits_per_s")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\napproval = true\naction = \"observe\"\n"),
              ElementsAre(HasSubstr("policy[0].approval: this rule starts nothing")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\napproval = true\n[safety]\napproval_above_v4 = 24\n"),
              testing::IsEmpty());
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\nuse = [\"egde\"]\n"),
              ElementsAre(HasSubstr("policy[0].use: there is no mitigator 'egde'; write 'edge'")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\ndomains = [\"other\"]\n"),
              ElementsAre(HasSubstr("there is no domain 'other'")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\n[[policy]]\nname = \"a\"\n"),
              ElementsAre(HasSubstr("policy[1].name: 'a' is taken by another policy")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\naction = \"limit\"\n"),
              ElementsAre(HasSubstr("limit_bytes_per_s: goes with action")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\naction = \"refuse\"\n"),
              ElementsAre(HasSubstr("reason: is missing")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\naction = \"observe\"\nuse = [\"edge\"]\n"),
              ElementsAre(HasSubstr("this rule starts nothing")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\nvolume_from_bits_per_s = 5\nvolume_below_bits_per_s = 5\n"),
              ElementsAre(HasSubstr("nothing matches")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\nprefix_length_v4 = \"32-24\"\n"),
              ElementsAre(HasSubstr("no range of prefix lengths")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\nprefix_length_v4 = \"33\"\n"),
              ElementsAre(HasSubstr("no range of prefix lengths")));
  EXPECT_THAT(problems("[[policy]]\nname = \"a\"\nprotocols = [\"upd\"]\n"), ElementsAre(HasSubstr("no protocol")));
  EXPECT_THAT(problems("[safety]\ntargets = [\"192.0.2.1/24\"]\n"), ElementsAre(HasSubstr("write '192.0.2.0/24'")));
  // It would protect nothing.
  EXPECT_THAT(problems("[safety]\ntargets = [\"::ffff:192.0.2.53\"]\n"),
              ElementsAre(HasSubstr("write the IPv4 prefix")));
  EXPECT_THAT(problems("[safety]\nsources = [\"::ffff:192.0.2.0/120\"]\n"),
              ElementsAre(HasSubstr("write the IPv4 prefix")));
}

}  // namespace
}  // namespace dots::ops
