// The commit thread of a process (adapters/store/committer.h) under virtual time: groups, faults, a crash in between.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "adapters/store/memory_store.h"
#include "base/ids.h"
#include "tests/world/timeline.h"

namespace dots::world {

// What one commit meets, and how long it takes.
struct CommitFate {
  adapters::store::Fault fault = adapters::store::Fault::none;
  base::Duration takes = std::chrono::milliseconds{1};
  int unsettled = 0;        // so often the question what became of it finds no answer
  bool load_fails = false;  // for loads
};

// What the store's decisions look like from outside, for coverage and oracles.
struct CommitHooks {
  std::function<CommitFate()> fate = [] { return CommitFate{}; };
  std::function<void(const std::vector<ports::Change>&)> before_applied = [](const auto&) {};
  std::function<void(const char* outcome)> outcome = [](const char*) {};
};

class CommitThread {
 public:
  using Done = std::function<void(const ports::CommitResult&)>;
  using Loaded = std::function<void(base::Result<ports::Snapshot>)>;

  CommitThread(Timeline& timeline, std::shared_ptr<adapters::store::MemoryDisk> disk, std::uint64_t instance,
               CommitHooks hooks);

  void submit(base::WallTime at, std::vector<ports::Change> changes, Done done);
  // Of one domain, or of the whole store.
  void load(std::optional<base::DomainId> domain, Loaded loaded);
  // The process dies: a commit that runs may still come through.
  void crash(bool running_commit_comes_through);
  ports::Store& store() { return store_; }

 private:
  struct Entry {
    ports::Batch batch;
    Done done;
  };
  struct Load {
    std::optional<base::DomainId> domain;
    Loaded loaded;
  };
  void next();
  void finish();
  void settle(CommitFate fate, int tries);
  void conclude(const ports::CommitResult& result);
  ports::CommitOutcome commit(adapters::store::Fault fault);

  static constexpr int kSettleTries = 6;

  Timeline& timeline_;
  adapters::store::MemoryStore store_;
  std::uint64_t instance_;
  std::uint64_t sequence_ = 0;
  std::uint64_t token_ = 0;
  CommitHooks hooks_;
  std::deque<std::variant<Entry, Load>> queue_;
  std::vector<Entry> group_;  // that commits now
  bool busy_ = false;
  // Events of a process that has died find this gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace dots::world
