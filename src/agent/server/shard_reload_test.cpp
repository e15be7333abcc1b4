// A new configuration under sessions that stand: what does not change is not disturbed.
#include "tests/support/shard_fixture.h"

namespace dots::agent::server {
namespace {

class ReloadTest : public ShardTest {
 protected:
  void reload() {
    std::vector<std::shared_ptr<const policy::DomainRules>> rules;
    for (const auto& policy : policies) rules.push_back(std::make_shared<policy::DomainRules>(policy));
    auto identities = std::make_shared<policy::Identities>(*policy::Identities::build(policies));
    ShardOutput domains;
    shards[0]->set_domains(rules, now, domains);
    finish(0, domains);
    ShardOutput sessions;
    shards[0]->set_identities(std::move(identities), now, sessions);
    finish(0, sessions);
    settle_all();
  }
  std::size_t sessions_of(const std::string& domain) {
    std::size_t count = 0;
    for (const auto& view : shards[0]->sessions(now))
      count += view.client && view.client->domain.value == domain ? 1 : 0;
    return count;
  }
};

TEST_F(ReloadTest, ADomainThatLosesAPrefixKeepsWhatItStillOwns) {
  policies[0].prefixes = {*model::parse_prefix("192.0.2.0/24"), *model::parse_prefix("203.0.113.0/24")};
  reload();
  Peer& acme = connect("acme.example", 1000);
  Peer& zeta = connect("zeta.example", 1001);
  send(acme, put(1, "192.0.2.1/32"));
  send(acme, put(2, "203.0.113.1/32"));
  send(zeta, put(1, "198.51.100.1/32"));
  settle_all();
  EXPECT_EQ(codes(acme), "2.01 2.01 ");
  wants.clear();
  policies[0].prefixes = {*model::parse_prefix("192.0.2.0/24")};
  reload();
  // The rules of the lost one go; nobody hears of the other domain.
  ASSERT_FALSE(wants.empty());
  for (const auto& desired : wants)
    for (const auto& want : desired.wants) {
      EXPECT_EQ(want.owner.domain.value, "acme");
      EXPECT_EQ(want.parts.empty(), want.owner.mid.value == 2);
    }
  EXPECT_EQ(sessions_of("acme") + sessions_of("zeta"), 2u);
  send(acme, bare(wire::Method::get, 1));
  send(acme, bare(wire::Method::get, 2));
  send(acme, put(3, "203.0.113.1/32"));
  settle_all();
  EXPECT_EQ(codes(acme), "2.01 2.01 2.05 4.04 4.00 ");
}

TEST_F(ReloadTest, OnlySessionsOfWhoIsSomebodyElseNowAreClosed) {
  connect("acme.example", 1000);
  connect("zeta.example", 1001);
  policies[1].clients[0].certificate_names = {"zeta-2.example"};
  reload();
  EXPECT_EQ(sessions_of("acme"), 1u);
  EXPECT_EQ(sessions_of("zeta"), 0u);
  Peer& back = connect("zeta-2.example", 1002);
  send(back, put(1, "198.51.100.1/32"));
  settle_all();
  EXPECT_EQ(codes(back), "2.01 ");
}

TEST_F(ReloadTest, ADomainThatIsGoneLeavesNoRuleAndNoSession) {
  Peer& zeta = connect("zeta.example", 1001);
  send(zeta, put(1, "198.51.100.1/32"));
  settle_all();
  wants.clear();
  const policy::DomainPolicy gone = policies[1];
  policies.pop_back();
  reload();
  EXPECT_EQ(sessions_of("zeta"), 0u);
  ASSERT_EQ(wants.size(), 1u);
  EXPECT_TRUE(wants[0].wants.at(0).parts.empty());
  EXPECT_TRUE(shards[0]->mitigations(now).empty());
  policies.push_back(gone);
  reload();
  Peer& back = connect("zeta.example", 1002);
  send(back, put(2, "198.51.100.1/32"));
  settle_all();
  EXPECT_EQ(codes(back), "2.01 ");
}

TEST_F(ReloadTest, ANewDomainIsReadFromTheStoreFirst) {
  policies.push_back(domain("omega", "203.0.113.0/24"));
  reload();
  ASSERT_EQ(reloads, std::vector<base::DomainId>{base::DomainId{"omega"}});
  Peer& peer = connect("omega.example", 1003);
  send(peer, put(1, "203.0.113.7/32"));
  EXPECT_EQ(codes(peer), "5.03 ");
  read_back("omega");
  send(peer, put(2, "203.0.113.7/32"));
  settle_all();
  EXPECT_EQ(codes(peer), "5.03 2.01 ");
}

TEST_F(ReloadTest, APolicyThatComesWhileTheDomainIsBeingReadIsNotLost) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));
  settle(ports::CommitOutcome::refused);  // the domain is being read from now on
  policies[0].prefixes = {*model::parse_prefix("203.0.113.0/24")};
  reload();
  read_back("acme");
  settle_all();
  EXPECT_TRUE(shards[0]->mitigations(now).empty());
}

}  // namespace
}  // namespace dots::agent::server
