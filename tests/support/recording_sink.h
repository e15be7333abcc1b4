// A facts::Sink that remembers, and that fails the test when code names a fact that no table has.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ops/facts/health.h"
#include "ops/facts/messages.h"
#include "ops/facts/metrics.h"

namespace dots::tests {

// Threads: any.
class RecordingSink : public ops::facts::Sink {
 public:
  void message(std::string_view id, const std::string& details) override {
    EXPECT_NE(ops::facts::find_message(id), nullptr) << "no message " << id;
    const std::lock_guard lock(mutex_);
    messages_.emplace_back(id, details);
  }
  void count(std::string_view metric, std::string_view label, std::uint64_t increment) override {
    EXPECT_NE(ops::facts::find_metric(metric), nullptr) << "no metric " << metric;
    const std::lock_guard lock(mutex_);
    counts_[{std::string(metric), std::string(label)}] += increment;
  }
  void gauge(std::string_view metric, std::string_view label, double value) override {
    EXPECT_NE(ops::facts::find_metric(metric), nullptr) << "no metric " << metric;
    const std::lock_guard lock(mutex_);
    gauges_[{std::string(metric), std::string(label)}] = value;
  }
  void health(std::string_view condition, std::string_view subject, bool is_unwell,
              const std::string& /*details*/) override {
    EXPECT_NE(ops::facts::find_health(condition), nullptr) << "no condition " << condition;
    const std::lock_guard lock(mutex_);
    const std::pair key{std::string(condition), std::string(subject)};
    if (is_unwell) {
      unwell_.insert(key);
    } else {
      unwell_.erase(key);
    }
  }

  std::size_t messages(std::string_view id) const {
    const std::lock_guard lock(mutex_);
    std::size_t n = 0;
    for (const auto& entry : messages_) n += entry.first == id ? 1 : 0;
    return n;
  }
  std::uint64_t counted(const std::string& metric, const std::string& label = "") const {
    const std::lock_guard lock(mutex_);
    const auto it = counts_.find({metric, label});
    return it == counts_.end() ? 0 : it->second;
  }
  bool unwell(const std::string& condition, const std::string& subject = "") const {
    const std::lock_guard lock(mutex_);
    return unwell_.count({condition, subject}) != 0;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, std::string>> messages_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> counts_;
  std::map<std::pair<std::string, std::string>, double> gauges_;
  std::set<std::pair<std::string, std::string>> unwell_;
};

}  // namespace dots::tests
