#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class Aliases : public DomainTest {
 protected:
  static model::MitigationScope targets(const std::vector<std::string>& prefixes) {
    model::MitigationScope scope;
    for (const std::string& text : prefixes) scope.target_prefix.push_back(prefix(text));
    return scope;
  }
  // A request for aliases, with targets of its own when given.
  static model::MitigationRequest request(const std::vector<std::string>& aliases, const std::string& target = "") {
    model::MitigationRequest request = request_for(target);
    request.scope.alias_name = aliases;
    return request;
  }
  void make(const std::string& name, const model::MitigationScope& scope, const std::string& cuid = "cuid-a") {
    made_aliases[{cuid, name}] = scope;
  }
};

// S9132-4.4.1.1-38, S9132-4.4.1.3-01, S9132-4.4.1.3-04, S8612-SIG-008-05, D8783-3.1-10, D8783-6.1-16
TEST_F(Aliases, StandForTheirTargetsBesideThoseOfTheRequest) {
  make("web", targets({"192.0.2.1/32", "2001:db8:6401::1/128"}));
  make("mail", targets({"192.0.2.9/32"}));
  EXPECT_EQ(put(1, request({"web"})).code, ResponseCode::created);
  EXPECT_THAT(rules_of(1), UnorderedElementsAre("192.0.2.1/32", "2001:db8:6401::1/128"));
  EXPECT_EQ(put(2, request({"web", "mail"}, "198.51.100.7/32")).code, ResponseCode::created);
  EXPECT_THAT(rules_of(2),
              UnorderedElementsAre("192.0.2.1/32", "2001:db8:6401::1/128", "192.0.2.9/32", "198.51.100.7/32"));
  EXPECT_TRUE(rules_of(1).empty()) << "the newer request overlaps and replaces";
  // the client is told what it asked for
  EXPECT_THAT(entry(2).scope->alias_name, ElementsAre("web", "mail"));
  EXPECT_THAT(entry(2).scope->target_prefix, ElementsAre(prefix("198.51.100.7/32")));
}

// S9132-4.4.1.3-02, D8783-6.3-03
TEST_F(Aliases, OfNobodyOrOfAnotherClientAreRefused) {
  make("theirs", targets({"192.0.2.1/32"}), "cuid-b");
  make("gone", targets({"192.0.2.1/32"}));
  made_aliases.erase({"cuid-a", "gone"});
  for (const char* name : {"theirs", "gone", "never"}) {
    const Answer answer = put(1, request({name}, "192.0.2.7/32"));
    EXPECT_EQ(answer.code, ResponseCode::bad_request) << name;
    EXPECT_THAT(answer.diagnostic, HasSubstr(name));
  }
  EXPECT_TRUE(store.mitigations.empty());
}

// What is running is not changed behind its back: a changed or deleted alias counts for new requests.
TEST_F(Aliases, AChangedAliasLeavesRunningRequestsAsTheyAre) {
  make("web", targets({"192.0.2.1/32"}));
  put(1, request({"web"}));
  make("web", targets({"192.0.2.2/32"}));
  EXPECT_EQ(put(1, request({"web"})).code, ResponseCode::changed);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32"));
  made_aliases.clear();
  EXPECT_EQ(put(1, request({"web"})).code, ResponseCode::changed) << "a refresh needs the alias no more";
  restart();
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32"));
  change_policy(policy_);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32"));
  make("web", targets({"192.0.2.2/32"}));
  EXPECT_EQ(put(2, request({"web"})).code, ResponseCode::created);
  EXPECT_THAT(rules_of(2), ElementsAre("192.0.2.2/32"));
  EXPECT_TRUE(rules_of(1).empty()) << "the same alias-name overlaps, whatever it stands for";
}

// An alias without protocols and ports takes those of the request; one that has its own keeps them.
TEST_F(Aliases, BringTheirOwnProtocols) {
  make("open", targets({"192.0.2.1/32"}));
  auto narrow = targets({"192.0.2.2/32"});
  narrow.target_protocol = {6};
  make("tcp", narrow);
  put(1, request({"open", "tcp"}));  // for protocol 17
  std::map<std::string, int> protocols;
  for (const model::Rule& rule : rules.begin()->second) {
    protocols[model::to_string(rule.match.target)] = rule.match.protocol.value_or(0);
  }
  EXPECT_EQ(protocols, (std::map<std::string, int>{{"192.0.2.1/32", 17}, {"192.0.2.2/32", 6}}));
}

// S8612-SEC-005-02: ownership is decided by the targets of today's policy, not by what the alias was checked against
TEST_F(Aliases, OutsideTheDomainAreRefused) {
  make("foreign", targets({"203.0.113.1/32"}));
  EXPECT_EQ(put(1, request({"foreign"})).code, ResponseCode::bad_request);
  make("web", targets({"192.0.2.1/32"}));
  ASSERT_EQ(put(1, request({"web"})).code, ResponseCode::created);
  auto smaller = policy_;
  smaller.prefixes.erase(smaller.prefixes.begin());
  change_policy(smaller);
  EXPECT_TRUE(rules_of(1).empty());
  EXPECT_EQ(audited("withdraw").size(), 1U);
}

TEST_F(Aliases, AreBoundedLikeTargets) {
  auto many = targets({});
  for (int i = 0; i < 40; ++i) many.target_prefix.push_back(prefix("192.0.2." + std::to_string(i) + "/32"));
  make("many", many);
  auto more = targets({});
  for (int i = 100; i < 140; ++i) more.target_prefix.push_back(prefix("192.0.2." + std::to_string(i) + "/32"));
  make("more", more);
  EXPECT_EQ(put(1, request({"many"})).code, ResponseCode::created);
  EXPECT_EQ(put(2, request({"many", "more"})).code, ResponseCode::bad_request);
  policy_.broad_scope = policy::BroadScopeAction::refuse;
  change_policy(policy_);
  auto open = request({"more"});
  open.scope.target_protocol.clear();
  EXPECT_EQ(put(3, open).code, ResponseCode::bad_request) << "neither the request nor the alias narrows it";
  more.target_protocol = {17};
  make("more", more);
  EXPECT_EQ(put(3, open).code, ResponseCode::created);
}

// Names in an alias are looked up and held like those of the request.
TEST_F(Aliases, WithNamesWaitForThem) {
  model::MitigationScope named;
  named.target_fqdn = {"www.example.net"};
  make("named", named);
  const PutMitigation asked = put_event(1, request({"named"}));
  step(asked);
  EXPECT_THAT(asked_names, ElementsAre("www.example.net"));
  EXPECT_TRUE(replies.empty());
  resolved("www.example.net", {"192.0.2.5"});
  EXPECT_EQ(last_reply(asked.origin).answer.code, ResponseCode::created);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.5/32"));
  resolved("www.example.net", {"192.0.2.6"});
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.6/32")) << "a name goes on being followed";
  EXPECT_EQ(del(1).code, ResponseCode::deleted);
}

// Overlap of two clients is decided by the targets; that both call their own alias by the same name means nothing.
TEST_F(Aliases, OfTheSameNameAreDifferentForTwoClients) {
  make("web", targets({"192.0.2.1/32"}));
  make("web", targets({"192.0.2.2/32"}), "cuid-b");
  make("shared", targets({"192.0.2.1/32"}), "cuid-b");
  EXPECT_EQ(put(1, request({"web"})).code, ResponseCode::created);
  EXPECT_EQ(put(1, request({"web"}), "b").code, ResponseCode::created);
  const Answer answer = put(2, request({"shared"}), "b");
  EXPECT_EQ(answer.code, ResponseCode::conflict);
  ASSERT_FALSE(answer.entries.empty());
  const auto& conflict = answer.entries.front().conflict;
  ASSERT_TRUE(conflict && conflict->scope);
  EXPECT_THAT(conflict->scope->targets.target_prefix, ElementsAre(prefix("192.0.2.1/32")));
  EXPECT_TRUE(conflict->scope->targets.alias_name.empty());
}

}  // namespace
}  // namespace dots::signal::server
