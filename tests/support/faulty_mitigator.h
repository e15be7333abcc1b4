// A back end in memory with faults on demand: refuses a rule, dies, hangs up, loses its state, gains foreign rules.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ports/mitigator.h"

namespace dots::tests {

// The state of the back end, outside the objects that talk to it. Threads: any.
class FaultyBackEnd {
 public:
  void refuse(std::optional<model::RuleMatch> match) {
    locked([&] { refused_ = std::move(match); });
  }
  void set_down(bool down) {
    locked([&] { down_ = down; });
  }
  // The next call that changes something fails and takes the back end with it, before or after it was carried out.
  void die_in_next_apply(bool carried_out) {
    locked([&] { dies_ = carried_out ? 2 : 1; });
  }
  void refuse_list(std::optional<std::string> name) {
    locked([&] { refused_list_ = std::move(name); });
  }
  void set_takes_filters(bool takes) {
    locked([&] { takes_filters_ = takes; });
  }
  void set_confirms(bool confirms) {
    locked([&] { confirms_ = confirms; });
  }
  // While on, changes of rules wait; waiting() tells whether one does.
  void hold_changes(bool on) {
    locked([&] { held_ = on; });
  }
  bool waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }
  // How often rules were listed.
  std::size_t listed() const {
    const std::lock_guard lock(mutex_);
    return listed_;
  }
  void lose_everything() {
    locked([&] {
      rules_.clear();
      lists_.clear();
    });
  }
  void add_list(const model::FilterList& list) {
    locked([&] { lists_[list.key] = {list, {}}; });
  }
  void count(const model::FilterListKey& key, const std::string& entry, const model::RuleCounters& more) {
    locked([&] {
      auto& counters = lists_.at(key).second[entry];
      counters.packets += more.packets;
      counters.bytes += more.bytes;
    });
  }
  // The names of the lists that are there.
  std::vector<std::string> lists() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    for (const auto& [key, list] : lists_) out.push_back(key.list);
    return out;
  }
  // What was carried out, in order: "+list", "-list", "+rule", "-rule".
  std::vector<std::string> history() const {
    const std::lock_guard lock(mutex_);
    return history_;
  }
  void add_rule(const model::Rule& rule) {
    locked([&] { rules_[rule.match] = {rule, {}}; });
  }
  void add_foreign(const std::string& text) {
    locked([&] { foreign_.push_back(text); });
  }
  void drop_traffic(const model::RuleMatch& match, const model::RuleCounters& more) {
    locked([&] {
      rules_.at(match).counters.packets += more.packets;
      rules_.at(match).counters.bytes += more.bytes;
    });
  }
  std::vector<model::Rule> rules() const {
    const std::lock_guard lock(mutex_);
    std::vector<model::Rule> out;
    for (const auto& [match, one] : rules_) out.push_back(one.rule);
    return out;
  }
  std::vector<ports::SignalExemption> exemptions() const {
    const std::lock_guard lock(mutex_);
    return exemptions_;
  }
  std::vector<std::vector<ports::RuleChange>> batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  // Waits until `holds` is true of this back end; false after five seconds.
  bool await(const std::function<bool()>& holds) const {
    std::unique_lock lock(turns_mutex_);
    return turned_.wait_for(lock, std::chrono::seconds{5}, holds);
  }

 private:
  friend class FaultyMitigator;
  bool is_held() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }
  template <class F>
  void locked(F f) {
    {
      const std::lock_guard lock(mutex_);
      f();
    }
    const std::lock_guard lock(turns_mutex_);
    turned_.notify_all();
  }
  mutable std::mutex mutex_;
  mutable std::mutex turns_mutex_;
  mutable std::condition_variable turned_;
  std::map<model::RuleMatch, ports::InstalledRule> rules_;
  std::vector<ports::SignalExemption> exemptions_;
  std::vector<std::vector<ports::RuleChange>> batches_;  // that were carried out
  std::vector<std::string> foreign_;
  std::map<model::FilterListKey, std::pair<model::FilterList, std::map<std::string, model::RuleCounters>>> lists_;
  std::vector<std::string> history_;
  std::optional<std::string> refused_list_;
  bool takes_filters_ = true;
  std::optional<model::RuleMatch> refused_;
  bool down_ = false;
  bool confirms_ = false;
  bool held_ = false;
  bool waiting_ = false;
  std::size_t listed_ = 0;
  int dies_ = 0;
};

class FaultyMitigator : public ports::Mitigator {
 public:
  explicit FaultyMitigator(FaultyBackEnd& back_end) : b_(back_end) {}

  ports::MitigatorAbilities abilities() const override {
    const std::lock_guard lock(b_.mutex_);
    ports::MitigatorAbilities out{"faulty", true, true, true, b_.takes_filters_};
    out.confirms = b_.confirms_;
    return out;
  }
  base::Result<void> open() override {
    base::Result<void> result;
    b_.locked([&] {
      alive_ = !b_.down_;
      if (!alive_) result = base::Error{"it is down"};
    });
    return result;
  }
  ports::Applied apply(const std::vector<ports::RuleChange>& changes) override {
    const auto held = [this](bool waits) {
      bool on = false;
      b_.locked([&] { b_.waiting_ = on = waits && b_.held_; });
      return on;
    };
    if (held(true)) b_.await([&] { return !b_.is_held(); });
    held(false);
    base::Result<void> result;
    b_.locked([&] {
      if (!check(result)) return;
      if (b_.refused_) {
        for (const auto& change : changes) {
          if (change.rule.match == *b_.refused_) return void(result = base::Error{"refused on demand"});
        }
      }
      const int dies = std::exchange(b_.dies_, 0);
      if (dies != 1) {
        for (const auto& change : changes) {
          const bool install = change.kind == ports::RuleChange::Kind::install;
          b_.history_.push_back(install ? "+rule" : "-rule");
          if (!install) {
            b_.rules_.erase(change.rule.match);
          } else if (auto& one = b_.rules_[change.rule.match]; one.rule != change.rule) {
            one = {change.rule, {}};
          }
        }
        b_.batches_.push_back(changes);
      }
      if (dies != 0) {
        alive_ = false;
        result = base::Error{"it died"};
      }
    });
    if (!result) return ports::MitigatorFault{result.error().message};
    return {};
  }
  ports::Applied apply_filters(const std::vector<ports::FilterChange>& changes) override {
    base::Result<void> result;
    b_.locked([&] {
      if (!check(result)) return;
      for (const auto& change : changes) {
        if (change.list && change.key.list == b_.refused_list_)
          return void(result = base::Error{"it cannot match this"});
      }
      const int dies = std::exchange(b_.dies_, 0);
      if (dies != 1) {
        for (const auto& change : changes) {
          b_.history_.push_back((change.list ? "+" : "-") + change.key.list);
          b_.lists_.erase(change.key);
          if (!change.list) continue;
          auto& counters = b_.lists_[change.key];
          counters.first = *change.list;
          for (const auto& rule : change.list->rules) counters.second[rule.entry.name] = {};
        }
      }
      if (dies != 0) {
        alive_ = false;
        result = base::Error{"it died"};
      }
    });
    if (!result) return ports::MitigatorFault{result.error().message};
    return {};
  }
  base::Result<void> exempt(const std::vector<ports::SignalExemption>& exemptions) override {
    base::Result<void> result;
    b_.locked([&] {
      if (check(result)) b_.exemptions_ = exemptions;
    });
    return result;
  }
  base::Result<Listing> list() override {
    base::Result<void> result;
    Listing listing;
    b_.locked([&] {
      if (!check(result)) return;
      ++b_.listed_;
      for (const auto& [match, one] : b_.rules_) listing.rules.push_back(one);
      for (const auto& [key, one] : b_.lists_) {
        listing.filters.push_back({key, model::digest_of(one.first), {}});
        for (const auto& [entry, counters] : one.second) listing.filters.back().counters.push_back({entry, counters});
      }
      listing.foreign = b_.foreign_;
    });
    if (!result) return result.error();
    return listing;
  }
  base::Result<std::vector<std::string>> remove_foreign() override {
    std::vector<std::string> removed;
    b_.locked([&] { removed = std::exchange(b_.foreign_, {}); });
    return removed;
  }
  base::Result<void> clear() override {
    base::Result<void> result;
    b_.locked([&] {
      if (!check(result)) return;
      b_.rules_.clear();
      b_.lists_.clear();
      b_.foreign_.clear();
      b_.exemptions_.clear();
    });
    return result;
  }

 private:
  bool check(base::Result<void>& result) {
    alive_ = alive_ && !b_.down_;
    if (!alive_) result = base::Error{"it is gone"};
    return alive_;
  }
  FaultyBackEnd& b_;
  bool alive_ = false;
};

}  // namespace dots::tests
