#include "agent/operators/audit_query.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace dots::agent {
namespace {

TEST(AuditQuery, TakesWhatNarrowsAndLeavesTheRest) {
  ports::AuditQuery query;
  EXPECT_TRUE(narrow("limit", 7, query).value());
  EXPECT_TRUE(narrow("actor", "alice", query).value());
  EXPECT_TRUE(narrow("action", "refuse", query).value());
  EXPECT_TRUE(narrow("subject", "mid=7", query).value());
  EXPECT_TRUE(narrow("since", 1700000000, query).value());
  EXPECT_TRUE(narrow("until", 1700000001, query).value());
  EXPECT_FALSE(narrow("mid", 7, query).value());
  EXPECT_EQ(query.limit, 7u);
  EXPECT_EQ(query.actor + query.action + query.subject, "alicerefusemid=7");
  EXPECT_EQ(base::unix_seconds(*query.since), 1700000000u);
  EXPECT_EQ(base::unix_seconds(*query.until), 1700000001u);
}

TEST(AuditQuery, RefusesWhatMakesNoSense) {
  ports::AuditQuery query;
  using Case = std::pair<const char*, boost::json::value>;
  const std::vector<Case> cases = {Case{"limit", -1},        Case{"limit", 100001},
                                   Case{"limit", "7"},       Case{"since", -1},
                                   Case{"since", INT64_MAX}, Case{"until", "now"},
                                   Case{"actor", 7},         Case{"subject", boost::json::string(256, 'x')}};
  for (const auto& [name, value] : cases) {
    const auto taken = narrow(name, value, query);
    ASSERT_FALSE(taken) << name;
    EXPECT_TRUE(taken.error().message.starts_with(name)) << taken.error().message;
  }
}

}  // namespace
}  // namespace dots::agent
