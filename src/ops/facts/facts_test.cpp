#include <gtest/gtest.h>

#include <algorithm>

#include "ops/facts/health.h"
#include "ops/facts/messages.h"
#include "ops/facts/metrics.h"

namespace dots::ops::facts {
namespace {

// Look-ups are binary searches: an unsorted or doubled row would be lost.
template <class Table, class Name>
void expect_sorted(const Table& table, Name name) {
  for (std::size_t i = 1; i < table.size(); ++i) EXPECT_LT(name(table[i - 1]), name(table[i]));
}

TEST(Facts, TablesAreSortedAndFound) {
  expect_sorted(messages(), [](const MessageFact& m) { return m.id; });
  expect_sorted(metrics(), [](const MetricFact& m) { return m.name; });
  expect_sorted(health_conditions(), [](const HealthFact& h) { return h.condition; });
  for (const MessageFact& m : messages()) EXPECT_EQ(find_message(m.id), &m);
  for (const MetricFact& m : metrics()) EXPECT_EQ(find_metric(m.name), &m);
  for (const HealthFact& h : health_conditions()) EXPECT_EQ(find_health(h.condition), &h);
  EXPECT_EQ(find_message("NO_SUCH"), nullptr);
  EXPECT_EQ(find_metric("no_such"), nullptr);
  EXPECT_EQ(find_health("NO_SUCH"), nullptr);
}

TEST(Facts, WarningsSayWhatToDo) {
  for (const MessageFact& m : messages()) {
    EXPECT_FALSE(m.meaning.empty()) << m.id;
    if (m.severity >= Severity::warning) {
      EXPECT_FALSE(m.next_step.empty()) << m.id;
    }
  }
  for (const HealthFact& h : health_conditions())
    if (h.grade == HealthGrade::failed) {
      EXPECT_FALSE(h.next_step.empty()) << h.condition;
    }
}

TEST(Facts, CountersEndInTotal) {
  for (const MetricFact& m : metrics()) EXPECT_EQ(m.kind == MetricKind::counter, m.name.ends_with("_total")) << m.name;
}

}  // namespace
}  // namespace dots::ops::facts
