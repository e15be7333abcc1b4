#include "adapters/store/committer.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace dots::adapters::store {
namespace {

using ports::CommitOutcome;
using ports::CommitResult;

std::int64_t steady_ns() {
  return std::chrono::duration_cast<base::Duration>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr const char* kDomainLane = "domain ";
constexpr const char* kServerLane = "server ";

// What a batch builds on: the state of its domains, and of its servers in the client role. Names, counters and audit
// lines build on nothing, nor does what a client keeps at its servers: each record is whole by itself.
struct LaneOf {
  std::string operator()(const ports::PutMitigation& c) const { return kDomainLane + c.record.domain.value; }
  std::string operator()(const ports::EraseMitigation& c) const { return kDomainLane + c.key.domain.value; }
  std::string operator()(const ports::PutCuid& c) const { return kDomainLane + c.record.domain.value; }
  std::string operator()(const ports::EraseCuid& c) const { return kDomainLane + c.domain.value; }
  std::string operator()(const ports::PutDataClient& c) const { return kDomainLane + c.record.domain.value; }
  std::string operator()(const ports::EraseDataClient& c) const { return kDomainLane + c.domain.value; }
  std::string operator()(const ports::PutDataEntry& c) const { return kDomainLane + c.record.key.domain.value; }
  std::string operator()(const ports::EraseDataEntry& c) const { return kDomainLane + c.key.domain.value; }
  std::string operator()(const ports::PutClientRequest& c) const { return kServerLane + c.record.server; }
  std::string operator()(const ports::EraseClientRequest& c) const { return kServerLane + c.server; }
  template <class Other>
  std::string operator()(const Other& /*change*/) const {
    return {};
  }
};

std::set<std::string> lanes_of(const ports::Batch& batch) {
  std::set<std::string> lanes;
  for (const auto& change : batch.changes) {
    std::string lane = std::visit(LaneOf{}, change);
    if (!lane.empty()) lanes.insert(std::move(lane));
  }
  return lanes;
}

}  // namespace

Committer::Committer(std::unique_ptr<ports::Store> store, std::uint64_t instance, std::uint64_t fencing_token,
                     CommitterOptions options, ops::facts::Sink* facts)
    : store_(std::move(store)),
      instance_(instance),
      fencing_token_(fencing_token),
      options_(options),
      facts_(facts),
      thread_([this] { run(); }),
      watchdog_([this] { watch(); }) {}

Committer::~Committer() { stop(); }

bool Committer::submit(ports::Batch batch, CommitCallback done) {
  const bool release = ports::is_release(batch);
  {
    const std::lock_guard lock(mutex_);
    const std::size_t room = options_.queue_batches + (release ? options_.queue_release_batches : 0);
    if (!stopping_ && queued_batches_ < room) {
      if (batch.id == ports::BatchId{}) batch.id = {instance_, next_sequence_++};
      if (batch.fencing_token == 0) batch.fencing_token = fencing_token_;
      queue_.emplace_back(Entry{std::move(batch), std::move(done)});
      ++queued_batches_;
      wake_.notify_one();
      return true;
    }
    if (stopping_) return false;
  }
  if (facts_ != nullptr) {
    facts_->message("STORE_QUEUE_FULL", "more than " + std::to_string(options_.queue_batches) + " batches wait");
    facts_->count("dots_store_batches_total", "queue_full", 1);
  }
  return false;
}

bool Committer::enqueue(Job job) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || queued_reads_ >= options_.queue_reads) return false;
  queue_.emplace_back(std::move(job));
  ++queued_reads_;
  wake_.notify_one();
  return true;
}

bool Committer::load_domain(base::DomainId domain, LoadCallback done) {
  return enqueue([this, domain = std::move(domain), done = std::move(done)](ports::Store& store) {
    auto snapshot = store.load_domain(domain);
    if (snapshot) poisoned_.erase(kDomainLane + domain.value);
    done(std::move(snapshot));
  });
}

bool Committer::load_client_requests(LoadCallback done) {
  return enqueue([this, done = std::move(done)](ports::Store& store) {
    auto snapshot = store.load();
    if (snapshot) std::erase_if(poisoned_, [](const std::string& lane) { return lane.starts_with(kServerLane); });
    done(std::move(snapshot));
  });
}

bool Committer::read(std::function<void(ports::Store&)> job) { return enqueue(std::move(job)); }

void Committer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  {
    const std::lock_guard lock(watch_mutex_);
    watch_stop_ = true;
    watch_wake_.notify_one();
  }
  if (watchdog_.joinable()) watchdog_.join();
}

std::size_t Committer::queued() const {
  const std::lock_guard lock(mutex_);
  return queued_batches_;
}

// ---- the commit thread --------------------------------------------------------------------------------------------

void Committer::run() {
  for (;;) {
    std::vector<Entry> group;
    Job job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      if (auto* first = std::get_if<Job>(&queue_.front())) {
        job = std::move(*first);
        queue_.pop_front();
        --queued_reads_;
      }
      std::size_t changes = 0;
      while (!job && !queue_.empty() && group.size() < options_.group_batches) {
        auto* entry = std::get_if<Entry>(&queue_.front());
        if (entry == nullptr) break;
        changes += entry->batch.changes.size();
        if (!group.empty() && changes > options_.group_changes) break;
        group.push_back(std::move(*entry));
        queue_.pop_front();
        --queued_batches_;
      }
    }
    if (job) {
      job(*store_);
      continue;
    }
    commit_group(std::move(group));
    store_->maintain();
  }
}

void Committer::commit_group(std::vector<Entry> group) {
  std::erase_if(group, [this](Entry& entry) { return refuse_if_poisoned(entry); });
  if (group.empty()) return;
  std::vector<ports::Batch> batches;
  batches.reserve(group.size());
  for (auto& entry : group) batches.push_back(std::move(entry.batch));

  CommitResult result = try_commit(batches);
  if (result.outcome != CommitOutcome::refused || group.size() == 1) {
    for (std::size_t i = 0; i < group.size(); ++i) {
      group[i].batch = std::move(batches[i]);
      finish(group[i], result);
    }
    return;
  }
  for (std::size_t i = 0; i < group.size(); ++i) {
    group[i].batch = std::move(batches[i]);
    if (refuse_if_poisoned(group[i])) continue;  // one before it has just failed
    const CommitResult alone = try_commit({group[i].batch});
    finish(group[i], alone);
  }
}

// Commits, and settles what is unknown; a settled "no" is tried once more.
CommitResult Committer::try_commit(const std::vector<ports::Batch>& batches) {
  const std::int64_t started = steady_ns();
  commit_started_ns_.store(started, std::memory_order_relaxed);
  CommitResult result = store_->commit(batches);
  for (int attempt = 0; result.outcome == CommitOutcome::unknown; ++attempt) {
    // all or none: the fate of one is the fate of the group
    const std::optional<bool> there = settle(batches.front().id, result.reason);
    if (!there) break;
    if (*there) {
      result = {CommitOutcome::committed, {}};
    } else if (attempt == 0) {
      result = store_->commit(batches);
    } else {
      result = {CommitOutcome::refused, result.reason};
    }
  }
  commit_started_ns_.store(0, std::memory_order_relaxed);
  note_outcome(result, batches.size());
  if (facts_ != nullptr) {
    facts_->gauge("dots_store_commit_seconds", "", static_cast<double>(steady_ns() - started) / 1e9);
  }
  return result;
}

std::optional<bool> Committer::settle(ports::BatchId id, std::string& reason) {
  base::Duration pause = options_.settle_backoff;
  for (std::uint32_t i = 0; i < options_.settle_tries; ++i, pause *= 2) {
    if (i > 0) std::this_thread::sleep_for(pause);
    auto there = store_->was_committed(id);
    if (there) return *there;
    reason = there.error().message;
  }
  return std::nullopt;
}

bool Committer::refuse_if_poisoned(Entry& entry) {
  if (poisoned_.empty()) return false;
  const auto lanes = lanes_of(entry.batch);
  const auto bad =
      std::find_if(lanes.begin(), lanes.end(), [this](const std::string& lane) { return poisoned_.count(lane) != 0; });
  if (bad == lanes.end()) return false;
  finish(entry, {CommitOutcome::refused, "an earlier change of " + *bad + " was not stored; it is loaded again first"});
  return true;
}

void Committer::finish(Entry& entry, const CommitResult& result) {
  if (result.outcome != CommitOutcome::committed) poisoned_.merge(lanes_of(entry.batch));
  if (entry.done) entry.done(result);
}

void Committer::note_outcome(const CommitResult& result, std::size_t batches) {
  if (facts_ == nullptr) return;
  switch (result.outcome) {
    case CommitOutcome::committed:
      facts_->count("dots_store_groups_total", "", 1);
      facts_->count("dots_store_batches_total", "committed", batches);
      break;
    case CommitOutcome::refused:
      // a refused group is tried again batch by batch, and those are counted
      if (batches > 1) return;
      facts_->count("dots_store_batches_total", "refused", batches);
      facts_->message("STORE_COMMIT_FAILED", result.reason);
      break;
    case CommitOutcome::unknown:
      facts_->count("dots_store_batches_total", "unknown", batches);
      facts_->message("STORE_OUTCOME_UNKNOWN", result.reason);
      break;
  }
  const bool fails = result.outcome != CommitOutcome::committed;
  if (fails != failing_) facts_->health("STORE_FAILED", "", fails, result.reason);
  failing_ = fails;
}

// ---- the watchdog -------------------------------------------------------------------------------------------------

void Committer::watch() {
  const base::Duration period = std::max<base::Duration>(options_.stall / 4, std::chrono::milliseconds{5});
  std::unique_lock lock(watch_mutex_);
  while (!watch_wake_.wait_for(lock, period, [this] { return watch_stop_; })) {
    const std::int64_t started = commit_started_ns_.load(std::memory_order_relaxed);
    const bool late = started != 0 && steady_ns() - started > options_.stall.count();
    if (late == stalled_.load(std::memory_order_relaxed)) continue;
    stalled_.store(late, std::memory_order_relaxed);
    if (facts_ == nullptr) continue;
    const std::string limit =
        std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(options_.stall).count()) + " ms";
    const std::string details =
        late ? "a commit runs for more than " + limit + ", " + std::to_string(queued()) + " batches wait"
             : "the commit that ran for more than " + limit + " has ended";
    facts_->message(late ? "STORE_STALLED" : "STORE_STALL_OVER", details);
    facts_->health("STORE_STALLED", "", late, details);
  }
}

}  // namespace dots::adapters::store
