// GET of one and of all, and what an entry shows (RFC 9132 4.4.2).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;
using Filter = GetMitigation::Filter;

class Retrieve : public DomainTest {};

// S9132-4.4.2-13, S9132-4.4.2-14, S9132-3-14
TEST_F(Retrieve, NothingThere) {
  EXPECT_EQ(get().code, ResponseCode::not_found);
  EXPECT_FALSE(get().diagnostic.empty());
  put(1, "192.0.2.1/32");
  EXPECT_EQ(get(999).code, ResponseCode::not_found);
  EXPECT_FALSE(get(999).diagnostic.empty());
}

// S9132-4.4.2-15, S9132-4.4.2-16, S9132-4.4.2-06, S8612-SIG-006-02, S8811-2.2.2-01
TEST_F(Retrieve, EverythingOfOne) {
  model::MitigationRequest request = request_for("198.51.100.1/32", 1000);
  request.scope.target_prefix.push_back(prefix("192.0.2.1/32"));
  request.scope.target_port_range = {{443, 443}, {80, 80}};
  put(5, request);
  pass(10s);
  const model::MitigationEntry shown = entry(5);
  EXPECT_EQ(shown.mid, base::Mid{5});
  EXPECT_EQ(shown.lifetime->seconds, 990);
  EXPECT_EQ(shown.status, model::MitigationStatus::in_progress);
  EXPECT_EQ(shown.scope, request.scope);
  EXPECT_FALSE(shown.conflict.has_value());
}

// S9132-4.4.2-17, S9132-4.4.2-18
TEST_F(Retrieve, MitigationStart) {
  put(1, "192.0.2.1/32");
  const std::uint64_t start_time = base::unix_seconds(now.wall);
  pass(100s);
  EXPECT_EQ(entry(1).mitigation_start_s, start_time);
  report(1, RulesReport::State::installed);
  put(1, "192.0.2.1/32");
  EXPECT_EQ(entry(1).mitigation_start_s, start_time) << "a refresh starts nothing anew";
  del(1);
  EXPECT_EQ(entry(1).mitigation_start_s, start_time);
  armed(2, "192.0.2.2/32");
  EXPECT_FALSE(entry(2).mitigation_start_s.has_value());
}

TEST_F(Retrieve, StatusFollowsTheRules) {
  put(1, "192.0.2.1/32");
  EXPECT_EQ(status(1), 1);
  report(1, RulesReport::State::installed);
  EXPECT_EQ(status(1), 2);
  report(1, RulesReport::State::failed, "table full");
  EXPECT_EQ(status(1), 1);
  EXPECT_THAT(audited("install"), ElementsAre(HasSubstr("table full")));
  report(1, RulesReport::State::pending);
  report(1, RulesReport::State::failed, "table full");
  EXPECT_EQ(audited("install").size(), 1U) << "tried again and again is one line";
  report(1, RulesReport::State::installed);
  EXPECT_EQ(status(1), 2);
  // Reports on what is not there are nothing.
  report(99, RulesReport::State::installed);
  step(CountersReport{base::Cuid{"cuid-x"}, base::Mid{1}, {}});
}

// S9132-4.4.2-20, S8612-SIG-006-06, S8811-2.2.2-10: unknown is not zero.
TEST_F(Retrieve, CountersAsFarAsTheyAreKnown) {
  put(1, "192.0.2.1/32");
  EXPECT_EQ(entry(1).counters, model::DropCounters{});
  const model::DropCounters counters{1000, 10, 20, 2};
  step(CountersReport{base::Cuid{"cuid-a"}, base::Mid{1}, counters});
  EXPECT_EQ(entry(1).counters, counters);
  del(1);
  EXPECT_EQ(entry(1).counters, counters) << "while it terminates as well";
  armed(2, "192.0.2.2/32");
  step(CountersReport{base::Cuid{"cuid-a"}, base::Mid{2}, counters});
  EXPECT_EQ(entry(2).counters, model::DropCounters{});
}

// S9132-4.4.2-04
TEST_F(Retrieve, FilteredByContent) {
  put(1, "192.0.2.1/32");
  step(CountersReport{base::Cuid{"cuid-a"}, base::Mid{1}, {1000, 10, 20, 2}});
  for (const std::optional<std::uint32_t> mid : {std::optional<std::uint32_t>{1}, std::optional<std::uint32_t>{}}) {
    const model::MitigationEntry dynamic = get(mid, Filter::non_config).entries.front();
    EXPECT_FALSE(dynamic.scope.has_value());
    EXPECT_TRUE(dynamic.mid && dynamic.lifetime && dynamic.status && dynamic.mitigation_start_s);
    EXPECT_EQ(dynamic.counters.bytes_dropped, 1000U);
    const model::MitigationEntry fixed = get(mid, Filter::config).entries.front();
    EXPECT_TRUE(fixed.mid && fixed.lifetime && fixed.status && fixed.scope);
    EXPECT_FALSE(fixed.mitigation_start_s.has_value());
    EXPECT_FALSE(fixed.counters.bytes_dropped.has_value());
  }
}

TEST_F(Retrieve, AllOfACuidInOrder) {
  put(3, "192.0.2.3/32");
  put(1, "192.0.2.1/32");
  put(2, request_for("192.0.2.2/32"), "a", "second-cuid");
  EXPECT_THAT(mids(get()), ElementsAre(1U, 3U));
  EXPECT_THAT(mids(get({}, Filter::all, "a", "second-cuid")), ElementsAre(2U));
}

TEST_F(Retrieve, AnAnswerIsBounded) {
  DomainLimits limits;
  limits.entries_per_answer = 3;
  start(test_policy(), limits);
  for (std::uint32_t mid = 1; mid <= 5; ++mid) put(mid, "192.0.2." + std::to_string(mid) + "/32");
  const Answer all = get();
  EXPECT_THAT(mids(all), ElementsAre(3U, 4U, 5U));
  EXPECT_EQ(all.left_out, 2U);
  EXPECT_EQ(get(1).code, ResponseCode::content);
}

TEST_F(Retrieve, OperatorsSeeTheSame) {
  put(1, "192.0.2.1/32", 100);
  put(2, "192.0.2.2/32", 3600, "b");
  report(1, RulesReport::State::installed);
  observe(1, 9);
  observe({}, 10);
  pass(40s);
  const auto views = domain_->view(now);
  ASSERT_EQ(views.size(), 2U);
  EXPECT_EQ(views[0].record.status, model::MitigationStatus::successfully_mitigated);
  EXPECT_EQ(views[0].remaining, base::Duration{60s});
  EXPECT_EQ(views[0].observers, 2U);
  EXPECT_EQ(views[1].record.client.value, "b");
  EXPECT_EQ(views[1].observers, 0U);
}

}  // namespace
}  // namespace dots::signal::server
