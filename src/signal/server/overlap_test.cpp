// Overlap of one client's own requests (RFC 9132 4.4.1.3).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Overlap : public DomainTest {
 protected:
  // The mid that a 4.09 names.
  static std::uint32_t named(const Answer& answer) {
    EXPECT_EQ(answer.code, ResponseCode::conflict);
    if (answer.entries.size() != 1 || !answer.entries.front().conflict) return 0;
    const model::ConflictInformation& conflict = *answer.entries.front().conflict;
    EXPECT_EQ(conflict.cause, model::ConflictCause::overlapping_targets);
    EXPECT_FALSE(conflict.status.has_value());
    EXPECT_FALSE(conflict.retry_timer_s.has_value());
    return conflict.scope && conflict.scope->mid ? conflict.scope->mid->value : 0;
  }
};

// S9132-4.4.1.3-15, S9132-4.4.1.3-13
TEST_F(Overlap, TheHigherMidReplacesTheLower) {
  put(10, "192.0.2.1/32");
  EXPECT_EQ(put(11, "192.0.2.1/32").code, ResponseCode::created);
  // The rules move in one effect, so that the new ones are in before the old ones go.
  ASSERT_EQ(desired.size(), 1U);
  EXPECT_EQ(desired.front().wants.size(), 2U);
  EXPECT_EQ(get(10).code, ResponseCode::not_found);
  EXPECT_THAT(mids(get()), ElementsAre(11U));
  EXPECT_THAT(rules_of(10), IsEmpty());
  EXPECT_THAT(rules_of(11), ElementsAre("192.0.2.1/32"));
  EXPECT_EQ(store.mitigations.size(), 1U);
  EXPECT_TRUE(mitigating["a"]);
}

// All that overlap are replaced, not only the last one.
TEST_F(Overlap, OneRequestReplacesSeveral) {
  put(1, "192.0.2.1/32");
  put(2, "192.0.2.2/32");
  put(3, "198.51.100.1/32");
  put(4, "192.0.2.128/25");
  EXPECT_EQ(put(5, "192.0.2.0/24").code, ResponseCode::created);
  EXPECT_THAT(mids(get()), ElementsAre(3U, 5U));
  EXPECT_EQ(desired.size(), 0U);
}

// S9132-4.4.1.3-16, S9132-4.4.1.3-17
TEST_F(Overlap, ALowerMidIsRefusedAndToldWhy) {
  put(11, "192.0.2.1/32");
  EXPECT_EQ(named(put(10, "192.0.2.0/24")), 11U);
  EXPECT_THAT(mids(get()), ElementsAre(11U));
  EXPECT_THAT(rules_of(10), IsEmpty());
  EXPECT_EQ(status(11), 1);
}

TEST_F(Overlap, ARefusedRequestReplacesNothing) {
  put(1, "192.0.2.1/32");
  put(9, "198.51.100.1/32");
  model::MitigationRequest both = request_for("192.0.2.1/32");
  both.scope.target_prefix.push_back(prefix("198.51.100.1/32"));
  EXPECT_EQ(named(put(5, both)), 9U);
  EXPECT_THAT(mids(get()), ElementsAre(1U, 9U));
}

// S9132-4.4.1.3-14: nested prefixes overlap in both directions; protocol and port alone do not count.
TEST_F(Overlap, WhatCountsAsCommon) {
  put(10, "192.0.2.0/25");
  EXPECT_EQ(named(put(1, "192.0.2.5/32")), 10U);
  EXPECT_EQ(named(put(1, "192.0.2.0/24")), 10U);
  model::MitigationRequest other_protocol = request_for("192.0.2.5/32");
  other_protocol.scope.target_protocol = {6};
  other_protocol.scope.target_port_range = {{443, 443}};
  EXPECT_EQ(named(put(1, other_protocol)), 10U);
  EXPECT_EQ(put(1, "192.0.2.128/25").code, ResponseCode::created);
}

// S9132-4.4.1.3-19, S8612-SIG-008-02
TEST_F(Overlap, DisjointRequestsCoexistWhateverTheirMids) {
  EXPECT_EQ(put(11, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_EQ(put(10, "192.0.2.2/32").code, ResponseCode::created);
  EXPECT_EQ(put(4294967295, "2001:db8:6401::1/128").code, ResponseCode::created);
  EXPECT_EQ(put(0, "192.0.2.3/32").code, ResponseCode::created);
  EXPECT_THAT(mids(get()), ElementsAre(0U, 10U, 11U, 4294967295U));
}

// S9132-4.4.1.3-14: names and URIs by text, whatever they resolve to now.
TEST_F(Overlap, CommonNamesAndUris) {
  model::MitigationRequest name = request_for("");
  name.scope.target_fqdn = {"WWW.example.net."};
  step(put_event(10, name));
  resolved("www.example.net", {"192.0.2.1"});
  resolved("www.example.net", {"192.0.2.2"});
  name.scope.target_fqdn = {"www.example.net"};
  EXPECT_EQ(named(put(9, name)), 10U);
  model::MitigationRequest uri = request_for("");
  uri.scope.target_uri = {"https://198.51.100.7/x"};
  put(12, uri);
  EXPECT_EQ(named(put(11, uri)), 12U);
}

// Decision on A-38: expanded scopes are compared, so a name meets the prefix that holds its address.
TEST_F(Overlap, NamesMeetPrefixes) {
  model::MitigationRequest name = request_for("");
  name.scope.target_fqdn = {"www.example.net"};
  step(put_event(10, name));
  resolved("www.example.net", {"192.0.2.1"});
  EXPECT_EQ(named(put(9, "192.0.2.0/24")), 10U);
  EXPECT_EQ(put(11, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_THAT(mids(get()), ElementsAre(11U));
}

// S9132-4.4.1.3-20: requests of different trigger types do not delete each other.
TEST_F(Overlap, ArmedAndImmediateCoexist) {
  armed(1, "192.0.2.0/24");
  EXPECT_EQ(put(2, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_EQ(armed(3, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_THAT(mids(get()), ElementsAre(2U, 3U));
  EXPECT_THAT(rules_of(2), ElementsAre("192.0.2.1/32"));
  EXPECT_THAT(rules_of(3), IsEmpty());
  EXPECT_EQ(named(armed(0, "192.0.2.1/32")), 3U);
  EXPECT_EQ(status(2), 1);
  EXPECT_EQ(status(3), 8);
}

TEST_F(Overlap, OtherClientsRequestsStayWhenEverybodyWins) {
  policy::DomainPolicy policy = test_policy();
  policy.conflict_winner = policy::ConflictWinner::everybody;
  start(policy);
  put(1, "192.0.2.1/32", 3600, "a");
  EXPECT_EQ(put(9, "192.0.2.1/32", 3600, "b").code, ResponseCode::created);
  EXPECT_EQ(status(1), 1);
  EXPECT_THAT(rules_of(1, "cuid-a"), ElementsAre("192.0.2.1/32"));
  EXPECT_THAT(rules_of(9, "cuid-b"), ElementsAre("192.0.2.1/32"));
}

// Decision on A-25: a mid may be used again, and a lower one after it.
TEST_F(Overlap, AMidMayComeBack) {
  put(10, "192.0.2.1/32");
  put(11, "192.0.2.1/32");
  put(12, "198.51.100.1/32");
  EXPECT_EQ(put(10, "192.0.2.9/32").code, ResponseCode::created);
  EXPECT_THAT(mids(get()), ElementsAre(10U, 11U, 12U));
}

}  // namespace
}  // namespace dots::signal::server
