// The commit thread: many batches, one fsync.
//
// Everything that waits goes into one transaction (group commit). When a group fails as a whole its batches are tried
// one by one, so that a bad one harms only its own domain; an unknown outcome is settled with the store and tried once
// more. After a batch failed, later batches of the same domain were built on what is not there: they are refused until
// load_domain() (or load_client_requests()) has read the truth.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "ops/facts/messages.h"
#include "ports/store.h"

namespace dots::adapters::store {

struct CommitterOptions {
  std::size_t queue_batches = 8192;
  std::size_t queue_release_batches = 1024;  // on top, for batches of releases only
  std::size_t queue_reads = 1024;
  std::size_t group_batches = 1024;
  std::size_t group_changes = 16384;
  base::Duration stall = std::chrono::seconds{1};
  std::uint32_t settle_tries = 6;
  base::Duration settle_backoff = std::chrono::milliseconds{50};  // doubles with each try
};

// Ownership: owns the store. Threads: all public functions may be called from any thread; callbacks run on the commit
// thread, must not throw, and must not call stop().
class Committer {
 public:
  using CommitCallback = std::function<void(const ports::CommitResult&)>;
  using LoadCallback = std::function<void(base::Result<ports::Snapshot>)>;

  // `instance` is random for each start; `fencing_token` is what store->acquire() gave. A batch without an id or a
  // token gets them here. `facts` may be null.
  Committer(std::unique_ptr<ports::Store> store, std::uint64_t instance, std::uint64_t fencing_token,
            CommitterOptions options, ops::facts::Sink* facts);
  ~Committer();  // stop()
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // False when the queue is full or stop() was called: the batch was not taken and `done` is never called.
  // Otherwise `done` is called exactly once; batches of one domain commit in the order of their submission.
  [[nodiscard]] bool submit(ports::Batch batch, CommitCallback done);

  // Between a failed commit and the answer of this the caller submits nothing more of that domain. In order with
  // submit(). False as above.
  [[nodiscard]] bool load_domain(base::DomainId domain, LoadCallback done);
  // The same for the requests of the client role (the snapshot is whole).
  [[nodiscard]] bool load_client_requests(LoadCallback done);
  // Any other use of the store, such as reading the audit log.
  [[nodiscard]] bool read(std::function<void(ports::Store&)> job);

  // Commits everything that was taken, then ends the thread. May take as long as the store does.
  void stop();

  // True while a commit runs for longer than options.stall.
  bool stalled() const { return stalled_.load(std::memory_order_relaxed); }
  std::size_t queued() const;

 private:
  struct Entry {
    ports::Batch batch;
    CommitCallback done;
  };
  using Job = std::function<void(ports::Store&)>;

  void run();
  void commit_group(std::vector<Entry> group);
  ports::CommitResult try_commit(const std::vector<ports::Batch>& batches);
  std::optional<bool> settle(ports::BatchId id, std::string& reason);
  void finish(Entry& entry, const ports::CommitResult& result);
  bool refuse_if_poisoned(Entry& entry);
  bool enqueue(Job job);
  void watch();
  void note_outcome(const ports::CommitResult& result, std::size_t batches);

  std::unique_ptr<ports::Store> store_;
  const std::uint64_t instance_;
  const std::uint64_t fencing_token_;
  const CommitterOptions options_;
  ops::facts::Sink* const facts_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::variant<Entry, Job>> queue_;  // guarded by mutex_
  std::size_t queued_batches_ = 0;              // guarded by mutex_
  std::size_t queued_reads_ = 0;                // guarded by mutex_
  std::uint64_t next_sequence_ = 1;             // guarded by mutex_
  bool stopping_ = false;                       // guarded by mutex_

  // The commit thread's own.
  std::set<std::string> poisoned_;  // lanes whose last batch failed, see lanes_of() in committer.cpp
  bool failing_ = false;

  // Nanoseconds of the steady clock at the start of the commit that runs; 0: none.
  std::atomic<std::int64_t> commit_started_ns_{0};
  std::atomic<bool> stalled_{false};
  std::mutex watch_mutex_;
  std::condition_variable watch_wake_;
  bool watch_stop_ = false;  // guarded by watch_mutex_

  std::thread thread_;
  std::thread watchdog_;
};

}  // namespace dots::adapters::store
