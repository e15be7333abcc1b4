#include "apps/runtime/mitigator_runner.h"

#include "adapters/mitigators/dry_run.h"
#include "agent/server/mitigation_planner.h"
#include "agent/server/render.h"
#include "apps/back_ends/back_ends.h"
#include "apps/runtime/mitigator_state.h"
#include "ops/config.h"

namespace dots::runtime {

MitigatorRunner::MitigatorRunner(std::unique_ptr<ports::Mitigator> mitigator, std::unique_ptr<ports::Mitigator> reader,
                                 RunnerOptions options, RunnerCallbacks callbacks, ops::facts::Sink& sink)
    : state_(std::make_unique<State>(std::move(mitigator), std::move(reader), std::move(options), std::move(callbacks),
                                     sink)) {
  state_->held = state_->options.hold;
  state_->reconciler.keep_unexplained(true);
  state_->reconciler.limit_rules(state_->options.max_rules);
  state_->reconciler.expect_confirmation(state_->abilities.confirms);
  state_->filters.expect_confirmation(state_->abilities.confirms);
  state_->filters.keep_unexplained(true);
}

MitigatorRunner::~MitigatorRunner() { stop(); }

void MitigatorRunner::start() {
  if (state_->worker.joinable()) return;
  state_->grace_until = runner_now().steady + state_->options.grace;
  state_->worker = std::thread([this] { state_->run(); });
  if (state_->reader && state_->abilities.counts)
    state_->reader_thread = std::thread([this] { state_->read_beside(); });
}

void MitigatorRunner::begin_stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  state_->reader_wake.notify_all();
}

void MitigatorRunner::stop() {
  begin_stop();
  if (state_->worker.joinable()) state_->worker.join();
  if (state_->reader_thread.joinable()) state_->reader_thread.join();
}

void MitigatorRunner::want(std::vector<mitigation::Reconciler::Want> wants,
                           std::vector<mitigation::DomainFilters> filters) {
  {
    const std::lock_guard lock(state_->mutex);
    for (auto& want : wants) {
      const model::RuleOwner owner = want.owner;
      // One that has let go and wants the same again meanwhile counts on being told the state of its rules.
      if (!state_->wants.insert_or_assign(owner, std::move(want)).second) state_->replaced.insert(owner);
    }
    std::move(filters.begin(), filters.end(), std::back_inserter(state_->new_filters));
  }
  state_->wake.notify_all();
}

void MitigatorRunner::exempt(std::vector<ports::SignalExemption> exemptions) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->new_exemptions = std::move(exemptions);
  }
  state_->wake.notify_all();
}

void MitigatorRunner::hold(bool on) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->held = on;
  }
  state_->wake.notify_all();
}

void MitigatorRunner::freeze(bool on) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->frozen = on;
  }
  state_->wake.notify_all();
}

bool MitigatorRunner::await_freeze(base::Duration most) const {
  std::unique_lock lock(state_->mutex);
  if (!state_->worker.joinable()) return true;
  return state_->took_inputs.wait_for(lock, most, [this] { return state_->was_frozen == state_->frozen; });
}

agent::server::BackEndView MitigatorRunner::view() const {
  const std::lock_guard lock(state_->mutex);
  agent::server::BackEndView view;
  view.name = state_->options.name;
  view.counts = state_->abilities.counts;
  view.drops_really = state_->abilities.drops_really;
  view.state = state_->held                          ? "held: the emergency marker is set, so nothing is installed"
               : state_->frozen && state_->available ? "frozen: nothing is installed and nothing removed"
               : state_->options.dry_run             ? "dry run: nothing is installed"
               : state_->available                   ? "ready"
                                                     : state_->why_not;
  view.links = state_->links;
  view.stories = state_->reconciler.stories();
  view.filters = state_->filters.stories();
  if (!state_->abilities.filters) {
    for (auto& story : view.filters) {
      story.state = mitigation::RuleState::failed;
      story.failure = "this back end takes no lists of filters";
    }
  }
  return view;
}

agent::server::PlannedBackEnd MitigatorRunner::planned() const {
  const std::lock_guard lock(state_->mutex);
  agent::server::PlannedBackEnd out;
  out.name = state_->options.name;
  out.scoped = state_->abilities.scoped;
  out.limits = state_->abilities.limits;
  out.exempts = state_->abilities.exempts;
  out.filters = state_->abilities.filters;
  out.dry_run = !state_->abilities.drops_really;
  out.asks = state_->options.asks;
  out.max_rules = state_->options.max_rules;
  out.max_bits_per_s = state_->options.max_bits_per_s;
  out.min_prefix_length_v4 = state_->options.min_prefix_length_v4;
  out.min_prefix_length_v6 = state_->options.min_prefix_length_v6;
  return out;
}

agent::server::BackEndLoad MitigatorRunner::load() const {
  const std::lock_guard lock(state_->mutex);
  return {state_->reconciler.rules(), state_->dropped_bits_per_s, state_->told_unable};
}

bool MitigatorRunner::available() const {
  const std::lock_guard lock(state_->mutex);
  return state_->available && !state_->held;
}

bool MitigatorRunner::quiescent() const {
  const std::lock_guard lock(state_->mutex);
  const bool filters_rest = !state_->abilities.filters || state_->filters.quiescent();
  return state_->available && state_->wants.empty() && state_->new_filters.empty() && !state_->new_exemptions &&
         state_->reconciler.quiescent() && filters_rest;
}

base::Result<std::unique_ptr<MitigatorRunner>> make_runner(const ops::MitigatorConfig& config, bool hold,
                                                           ops::facts::Sink& sink, RunnerCallbacks callbacks) {
  RunnerOptions options;
  options.name = config.name;
  options.hold = hold;
  options.asks = back_ends::asks_people(config);
  // People are not told of a restart.
  options.remove_on_stop = config.on_stop == ops::OnStop::remove && !options.asks;
  options.counters_every = std::chrono::milliseconds{config.counters_every_ms};
  options.dry_run = config.dry_run;
  options.max_rules = config.max_rules;
  options.max_bits_per_s = config.max_bits_per_s;
  options.min_prefix_length_v4 = config.min_prefix_length_v4;
  options.min_prefix_length_v6 = config.min_prefix_length_v6;
  auto made = back_ends::make(config, false);
  if (!made) return made.error();
  std::unique_ptr<ports::Mitigator> mitigator = std::move(*made);
  std::unique_ptr<ports::Mitigator> reader;
  if (config.dry_run) {
    // It can what the real one can, so that plans are the same.
    mitigator = std::make_unique<adapters::mitigators::DryRunMitigator>(mitigator->abilities());
  } else if (back_ends::has_reader(config)) {
    auto second = back_ends::make(config, true);
    if (!second) return second.error();
    reader = std::move(*second);
  }
  return std::make_unique<MitigatorRunner>(std::move(mitigator), std::move(reader), std::move(options),
                                           std::move(callbacks), sink);
}

}  // namespace dots::runtime
