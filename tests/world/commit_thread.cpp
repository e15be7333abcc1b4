#include "tests/world/commit_thread.h"

#include <utility>

namespace dots::world {

using adapters::store::Fault;
using ports::CommitOutcome;

CommitThread::CommitThread(Timeline& timeline, std::shared_ptr<adapters::store::MemoryDisk> disk,
                           std::uint64_t instance, CommitHooks hooks)
    : timeline_(timeline),
      store_(std::move(disk), {.audit_records = 200}),
      instance_(instance),
      hooks_(std::move(hooks)) {
  token_ = *store_.acquire();
}

void CommitThread::submit(base::WallTime at, std::vector<ports::Change> changes, Done done) {
  ports::Batch batch;
  batch.id = {instance_, ++sequence_};
  batch.fencing_token = token_;
  batch.at = at;
  batch.changes = std::move(changes);
  queue_.push_back(Entry{std::move(batch), std::move(done)});
  next();
}

void CommitThread::load(std::optional<base::DomainId> domain, Loaded loaded) {
  queue_.push_back(Load{std::move(domain), std::move(loaded)});
  next();
}

void CommitThread::crash(bool running_commit_comes_through) {
  *alive_ = false;
  if (!group_.empty()) {
    hooks_.outcome(running_commit_comes_through ? "crash-after-commit" : "crash-before-commit");
    if (running_commit_comes_through) commit(Fault::none);
  }
  group_.clear();
  queue_.clear();
}

void CommitThread::next() {
  if (busy_ || queue_.empty()) return;
  busy_ = true;
  const CommitFate fate = hooks_.fate();
  if (std::holds_alternative<Load>(queue_.front())) {
    timeline_.after(fate.takes, [this, alive = alive_, fails = fate.load_fails] {
      if (!*alive) return;
      Load load = std::move(std::get<Load>(queue_.front()));
      queue_.pop_front();
      busy_ = false;
      if (fails) {
        hooks_.outcome("load-failed");
        load.loaded(base::Error{"the store cannot be read"});
      } else {
        load.loaded(load.domain ? store_.load_domain(*load.domain) : store_.load());
      }
      if (*alive) next();
    });
    return;
  }
  while (!queue_.empty() && std::holds_alternative<Entry>(queue_.front())) {
    group_.push_back(std::move(std::get<Entry>(queue_.front())));
    queue_.pop_front();
  }
  timeline_.after(fate.takes, [this, alive = alive_, fate] {
    if (!*alive) return;
    const CommitOutcome outcome = commit(fate.fault);
    if (outcome == CommitOutcome::unknown) return settle(fate, 1);
    hooks_.outcome(outcome == CommitOutcome::committed ? "committed" : "refused");
    conclude({outcome, outcome == CommitOutcome::committed ? "" : "refused by the simulation"});
  });
}

ports::CommitOutcome CommitThread::commit(Fault fault) {
  std::vector<ports::Batch> batches;
  for (const Entry& entry : group_) batches.push_back(entry.batch);
  if (fault == Fault::none || fault == Fault::unknown_applied) {
    for (const auto& batch : batches) hooks_.before_applied(batch.changes);
  }
  store_.script({fault});
  return store_.commit(batches).outcome;
}

void CommitThread::settle(CommitFate fate, int tries) {
  timeline_.after(std::chrono::milliseconds{50} * (1 << tries), [this, alive = alive_, fate, tries] {
    if (!*alive) return;
    if (tries <= fate.unsettled) {
      if (tries < kSettleTries) return settle(fate, tries + 1);
      hooks_.outcome("unsettled");
      return conclude({CommitOutcome::unknown, "nobody knows what became of it"});
    }
    if (*store_.was_committed(group_.front().batch.id)) {
      hooks_.outcome("unknown-applied");
      return conclude({CommitOutcome::committed, ""});
    }
    hooks_.outcome("unknown-not-applied");
    const CommitOutcome outcome = commit(Fault::none);
    conclude({outcome, ""});
  });
}

void CommitThread::conclude(const ports::CommitResult& result) {
  std::vector<Entry> group = std::exchange(group_, {});
  busy_ = false;
  const auto alive = alive_;
  for (Entry& entry : group) {
    if (*alive) entry.done(result);
  }
  if (*alive) next();
}

}  // namespace dots::world
