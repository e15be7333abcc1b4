#include "agent/operators/answers.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

namespace dots::agent {
namespace {

TEST(OperatorAnswers, AScopeShowsWhatItHasAndNothingElse) {
  model::MitigationScope scope;
  scope.target_prefix = {*model::parse_prefix("203.0.113.0/24")};
  scope.target_port_range = {{53, 53}, {8000, 8080}};
  scope.target_protocol = {17};
  boost::json::object out;
  add_scope(out, scope);
  EXPECT_EQ(boost::json::serialize(out),
            R"({"target-prefix":["203.0.113.0/24"],"target-port-range":["53","8000-8080"],"target-protocol":[17]})");
}

TEST(OperatorAnswers, UnknownCountersStayOut) {
  model::DropCounters counters;
  counters.pkts_dropped = 0;
  boost::json::object out;
  add_counters(out, counters);
  EXPECT_EQ(boost::json::serialize(out), R"({"pkts-dropped":0})");
}

TEST(OperatorAnswers, AnAuditLineHasItsTimeAsText) {
  ports::AuditRecord record;
  record.at = base::from_unix_seconds(1'700'000'000);
  record.actor = "operator alice";
  const auto out = render_audit({record});
  EXPECT_EQ(out.at("audit").at(0).at("at").as_string(), "2023-11-14 22:13:20 UTC");
  EXPECT_EQ(out.at("audit").at(0).at("actor").as_string(), "operator alice");
}

}  // namespace
}  // namespace dots::agent
