#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>

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

// Names in the code, by where they stand; tests and comments do not count.
struct Used {
  std::set<std::string> names;    // "ALL_CAPS" literals
  std::set<std::string> metrics;  // "dots_..." literals
};
Used used_names() {
  Used used;
  const std::regex name{"\"([A-Z]+(?:_[A-Z0-9]+)*)\""};
  const std::regex metric{"\"(dots_[a-z0-9_]+)\""};
  for (const char* folder : {"/src", "/apps"})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string{DOTS_SOURCE_DIR} + folder)) {
      const std::string file = entry.path().string();
      const std::string kind = entry.path().extension().string();
      if ((kind != ".cpp" && kind != ".h") || file.ends_with("_test.cpp")) continue;
      std::ifstream in{file};
      for (std::string line; std::getline(in, line);) {
        if (const auto comment = line.find("//"); comment != std::string::npos) line.resize(comment);
        for (std::sregex_iterator it{line.begin(), line.end(), name}, end; it != end; ++it) used.names.insert((*it)[1]);
        for (std::sregex_iterator it{line.begin(), line.end(), metric}, end; it != end; ++it)
          used.metrics.insert((*it)[1]);
      }
    }
  return used;
}

TEST(Facts, WhatTheCodeSaysIsDeclaredAndWhatIsDeclaredIsSaid) {
  const Used used = used_names();
  for (const MessageFact& m : messages())
    EXPECT_TRUE(used.names.contains(std::string{m.id})) << m.id << " is never said";
  for (const HealthFact& h : health_conditions())
    EXPECT_TRUE(used.names.contains(std::string{h.condition})) << h.condition << " is never raised";
  for (const MetricFact& m : metrics())
    EXPECT_TRUE(used.metrics.contains(std::string{m.name})) << m.name << " is never counted";
  for (const std::string& metric : used.metrics)
    EXPECT_NE(find_metric(metric), nullptr) << metric << " is not declared";
  // Literals that look like ids by their first word have to be some.
  std::set<std::string> families;
  for (const MessageFact& m : messages())
    if (const auto end = m.id.find('_'); end != std::string_view::npos)
      families.insert(std::string{m.id.substr(0, end)});
  for (const std::string& text : used.names) {
    const auto end = text.find('_');
    if (end == std::string::npos || !families.contains(text.substr(0, end))) continue;
    EXPECT_TRUE(find_message(text) != nullptr || find_health(text) != nullptr) << text << " is not declared";
  }
}

}  // namespace
}  // namespace dots::ops::facts
