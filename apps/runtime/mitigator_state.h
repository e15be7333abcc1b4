// The inside of MitigatorRunner.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "apps/runtime/mitigator_runner.h"

namespace dots::runtime {

struct MitigatorRunner::State {
  State(std::unique_ptr<ports::Mitigator> m, std::unique_ptr<ports::Mitigator> r, RunnerOptions o, RunnerCallbacks c,
        ops::facts::Sink& s)
      : mitigator(std::move(m)),
        reader(std::move(r)),
        options(std::move(o)),
        callbacks(std::move(c)),
        sink(s),
        abilities(mitigator->abilities()),
        back_off(options.back_off) {}

  // What the reader saw, and how far the worker had come when it began.
  struct Reading {
    ports::Mitigator::Listing listing;
    std::uint64_t changes = 0;
    std::uint64_t version = 0;
    std::uint64_t filters_version = 0;
  };

  const std::unique_ptr<ports::Mitigator> mitigator;
  const std::unique_ptr<ports::Mitigator> reader;
  const RunnerOptions options;
  const RunnerCallbacks callbacks;
  ops::facts::Sink& sink;

  // ---- shared; never held while the back end is called -------------------------------------------------------------
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable reader_wake;
  std::condition_variable took_inputs;
  std::map<model::RuleOwner, mitigation::Reconciler::Want> wants;  // not yet told to the reconciler
  std::set<model::RuleOwner> replaced;                 // among them, in place of one that was not told either
  std::vector<mitigation::DomainFilters> new_filters;  // likewise
  std::optional<std::vector<ports::SignalExemption>> new_exemptions;
  std::optional<Reading> reading;
  bool held = false;
  bool frozen = false;
  bool stopping = false;
  mitigation::Reconciler reconciler;
  mitigation::FilterReconciler filters;
  ports::MitigatorAbilities abilities;  // as told when it was opened last; the worker alone changes them
  bool available = false;
  std::string why_not = "not yet started";
  std::vector<ports::BackEndLink> links;
  std::uint64_t dropped_bits_per_s = 0;   // between the last two readings
  std::atomic<std::uint64_t> changes{0};  // calls that may have changed the back end
  std::atomic<std::uint64_t> version{0};  // of the reconciler
  std::atomic<std::uint64_t> filters_version{0};

  // ---- the worker's own -------------------------------------------------------------------------------------------
  base::Duration back_off;
  base::SteadyTime open_at{};
  base::SteadyTime grace_until{};
  base::SteadyTime read_at{};
  base::SteadyTime read_not_before{};
  std::vector<ports::SignalExemption> exemptions;
  bool exemptions_due = false;
  bool was_held = false;
  bool was_frozen = false;  // written with the mutex held
  bool told_unavailable = false;
  base::SteadyTime down_since{};
  std::atomic<bool> told_unable{false};
  std::set<std::string> told_links;  // that are down, by name
  bool again = false;                // a reading gave work
  int strikes = 0;                   // batches in a row that the back end did not survive
  std::set<model::RuleOwner> failed;
  std::set<model::FilterListKey> failed_filters;
  bool told_no_filters = false;
  std::map<model::RuleOwner, model::DropCounters> counted;
  base::SteadyTime counted_all_at{};
  model::RuleCounters dropped;
  base::SteadyTime dropped_at{};

  std::thread worker;
  std::thread reader_thread;

  void run();
  void read_beside();
  bool has_input() const;  // with the mutex held
  // One round: true when there is more to do at once.
  bool round();
  void take_inputs(base::Now now);
  bool open(base::Now now);
  bool learn(base::Now now);
  void tell_links();
  void learn_abilities();
  bool send_exemptions(base::Now now);
  bool step();
  bool step_rules();
  bool step_filters(mitigation::FilterReconciler::Phase phase);
  // The back end has refused a batch: whether that was because of its content, not because it is gone.
  // `deaths`: so many in a row are taken as the fault of what was tried.
  bool refused(const std::string& reason, base::Now now, const std::function<void()>& blame, int deaths = 2);
  // Back ends without a reader of their own that count, or tell later what is in force, are asked in between.
  bool reads_here() const { return !reader && (abilities.counts || abilities.confirms); }
  void read_here(base::Now now);
  void take_reading(Reading seen, base::Now now);
  void remove_foreign(const std::vector<std::string>& seen);
  void down(const std::string& reason, base::Now now);
  void report();
  void report_filters();
  void tell_health(bool was_unwell, const std::string& reason);
  void report_counters(base::Now now);
  void tell(std::vector<mitigation::OwnerReport> reports);
  base::SteadyTime next_time(base::Now now) const;
  void finish();
};

base::Now runner_now();

}  // namespace dots::runtime
