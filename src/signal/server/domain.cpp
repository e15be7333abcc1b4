#include "signal/server/domain.h"

#include <algorithm>
#include <cassert>

#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {

using model::MitigationStatus;

struct Domain::State : Machine {
  using Machine::Machine;
};

Domain::Domain(std::shared_ptr<const policy::DomainRules> rules, std::shared_ptr<const Planner> planner,
               const DomainLimits& limits, AliasLookup aliases, DataChannel data_channel)
    : state_(std::make_unique<State>(std::move(rules), std::move(planner), limits, std::move(aliases),
                                     std::move(data_channel))) {}
Domain::~Domain() = default;
Domain::Domain(Domain&&) noexcept = default;
Domain& Domain::operator=(Domain&&) noexcept = default;

std::vector<Effect> Domain::load(const ports::Snapshot& snapshot, base::Now now, bool keep_observers,
                                 const std::set<model::RuleOwner>& unsaid) {
  return state_->load(snapshot, now, keep_observers, unsaid);
}
std::vector<Effect> Domain::step(const Event& event, base::Now now) { return state_->step(event, now); }
std::optional<base::SteadyTime> Domain::next_deadline() const { return state_->next_deadline(); }
std::vector<Effect> Domain::set_rules(std::shared_ptr<const policy::DomainRules> rules, base::Now now) {
  return state_->set_rules(std::move(rules), now);
}
std::vector<Effect> Domain::set_planner(std::shared_ptr<const Planner> planner, base::Now now, Replan which) {
  return state_->set_planner(std::move(planner), which, now);
}
const policy::DomainRules& Domain::rules() const { return state_->rules(); }
std::vector<MitigationView> Domain::view(base::Now now) const { return state_->view(now); }
ClientCounts Domain::clients() const { return state_->clients(); }

bool Domain::has_armed_requests(const base::ClientId& client) const { return state_->has_armed_requests(client); }

std::optional<base::ClientId> Domain::cuid_owner(const base::Cuid& cuid) const { return state_->cuid_owner(cuid); }

bool Domain::mitigating(const base::Cuid& cuid) const { return state_->mitigating(cuid); }
std::uint64_t Domain::mitigating_version() const { return state_->mitigating_version(); }
std::vector<const ports::MitigationRecord*> Domain::running(const base::Cuid& cuid) const {
  return state_->running(cuid);
}

std::vector<Effect> Machine::step(const Event& event, base::Now now) {
  watch_clocks(now);
  // First, so that nothing is answered from a state that is over.
  fire_due(now);
  std::visit([&](const auto& e) { on_event(e, now); }, event);
  reconsider(now);
  // Notifications that need not wait go out with the change that they tell of.
  fire_due(now);
  return finish();
}

void Machine::fire_due(base::Now now) {
  while (auto alarm = timers_.pop_due(now.steady)) {
    switch (alarm->kind) {
      case Alarm::Kind::mitigation:
        on_mitigation_timer(alarm->key, now);
        break;
      case Alarm::Kind::fade:
        on_fade_timer(alarm->key, now);
        break;
      case Alarm::Kind::volume:
        on_volume_timer(alarm->key, now);
        break;
      case Alarm::Kind::observer:
        on_observer_timer(alarm->number, now);
        break;
      case Alarm::Kind::hold:
        on_hold_timer(alarm->number, now);
        break;
      case Alarm::Kind::name:
        on_name_timer(alarm->name, now);
        break;
      case Alarm::Kind::presence:
        on_presence_timer(base::ClientId{alarm->name}, now);
        break;
      case Alarm::Kind::approval:
        on_approval_timer(alarm->key, now);
        break;
    }
    reconsider(now);
  }
}

std::vector<Effect> Machine::finish() {
  if (!wants_.empty()) {
    DesiredRules desired;
    desired.wants.reserve(wants_.size());
    for (auto& [key, want] : wants_) desired.wants.push_back(std::move(want));
    wants_.clear();
    out_.emplace_back(std::move(desired));
  }
  for (const base::ClientId& id : touched_) {
    ClientState& client = clients_[id];
    const bool mitigating = client.active > 0;
    if (mitigating == client.told_mitigating) continue;
    client.told_mitigating = mitigating;
    out_.emplace_back(ClientMitigating{id, mitigating});
  }
  touched_.clear();
  // A request that replaces another within a step changes nothing here.
  for (const base::Cuid& id : turned_) {
    const auto found = cuids_.find(id);
    const bool mitigating = found != cuids_.end() && found->second.active > 0;
    if (found != cuids_.end() && found->second.counted_mitigating == mitigating) continue;
    if (found != cuids_.end()) found->second.counted_mitigating = mitigating;
    ++mitigating_version_;
  }
  turned_.clear();
  return std::exchange(out_, {});
}

void Machine::reply(const Origin& origin, Answer answer, bool observe) {
  out_.emplace_back(Reply{origin.session, origin.exchange, std::move(answer), observe});
}

void Machine::audit(base::Now now, std::string actor, std::string action, const Key& key, std::string verdict,
                    std::string text, std::string credential) {
  ports::AuditRecord record;
  record.at = now.wall;
  record.domain = domain();
  record.actor = std::move(actor);
  record.action = std::move(action);
  record.subject = "cuid=" + key.cuid.value + " mid=" + std::to_string(key.mid.value);
  record.verdict = std::move(verdict);
  record.text = std::move(text);
  record.credential = std::move(credential);
  persist(ports::AppendAudit{std::move(record)});
}

void Machine::audit(base::Now now, const Origin& origin, std::string action, const Key& key, std::string verdict,
                    std::string text) {
  audit(now, client_text(origin.client), std::move(action), key, std::move(verdict), std::move(text),
        origin.credential);
}

const CuidState* Machine::own_cuid(const base::Cuid& cuid, const base::ClientId& client) const {
  const auto found = cuids_.find(cuid);
  return found != cuids_.end() && found->second.record.client == client ? &found->second : nullptr;
}

bool Machine::has_armed_requests(const base::ClientId& client) const {
  const auto known = clients_.find(client);
  if (known == clients_.end()) return false;
  return std::any_of(known->second.cuids.begin(), known->second.cuids.end(), [&](const base::Cuid& cuid) {
    const auto state = cuids_.find(cuid);
    if (state == cuids_.end()) return false;
    const auto& mitigations = state->second.mitigations;
    return std::any_of(mitigations.begin(), mitigations.end(),
                       [](const auto& one) { return !one.second.record.request.trigger_mitigation; });
  });
}

bool Machine::mitigating(const base::Cuid& cuid) const {
  const auto state = cuids_.find(cuid);
  return state != cuids_.end() && state->second.active > 0;
}

std::vector<const ports::MitigationRecord*> Machine::running(const base::Cuid& cuid) const {
  std::vector<const ports::MitigationRecord*> out;
  const auto state = cuids_.find(cuid);
  if (state == cuids_.end()) return out;
  for (const auto& [mid, mitigation] : state->second.mitigations) {
    if (mitigation.running()) out.push_back(&mitigation.record);
  }
  return out;
}

Mitigation* Machine::find(const base::Cuid& cuid, base::Mid mid) {
  const auto state = cuids_.find(cuid);
  if (state == cuids_.end()) return nullptr;
  const auto found = state->second.mitigations.find(mid);
  return found == state->second.mitigations.end() ? nullptr : &found->second;
}

Mitigation& Machine::put_in(Mitigation mitigation, base::Now now) {
  CuidState& state = cuids_.at(mitigation.record.cuid);
  const base::Mid mid = mitigation.record.mid;
  const auto [at, is_new] = state.mitigations.emplace(mid, std::move(mitigation));
  assert(is_new);
  Mitigation& placed = at->second;
  placed.number = next_number_++;
  if (!placed.record.aliases.empty()) {
    placed.whole = whole_scope(placed.record.cuid, placed.record.request.scope, placed.record.aliases);
  }
  index_of(placed).add(placed.number, placed.targets(), placed.record.expanded);
  by_number_[placed.number] = &placed;
  count(placed, true);
  ++total_;
  if (const auto& contract = placed.record.request.contract_id) ++by_contract_[*contract];
  placed.service = rules_->service_for(placed.record.request);
  use_names(placed, now);
  return placed;
}

void Machine::take_out(const Key& key, base::Now now) {
  CuidState& state = cuids_.at(key.cuid);
  const auto at = state.mitigations.find(key.mid);
  assert(at != state.mitigations.end());
  Mitigation& leaving = at->second;
  timers_.cancel(leaving.timer);
  timers_.cancel(leaving.fade.timer);
  timers_.cancel(leaving.volume_timer);
  stop_approval_clock(leaving);
  index_of(leaving).remove(leaving.number, leaving.targets(), leaving.record.expanded);
  by_number_.erase(leaving.number);
  candidates_.erase(leaving.number);
  count(leaving, false);
  hold(leaving, {});
  --total_;
  if (const auto& contract = leaving.record.request.contract_id; contract && --by_contract_[*contract] == 0) {
    by_contract_.erase(*contract);
  }
  unuse_names(leaving, now);
  state.mitigations.erase(at);
}

void Machine::count(const Mitigation& mitigation, bool in) {
  const auto add = [in](std::size_t& counter, bool counts) {
    if (counts) counter += in ? 1 : std::size_t(-1);
  };
  ClientState& client = clients_[mitigation.record.client];
  CuidState& cuid = cuids_.at(mitigation.record.cuid);
  add(cuid.lively, mitigation.lively());
  const bool was_mitigating = cuid.active > 0;
  add(cuid.active, mitigation.has_rules());
  if (was_mitigating != (cuid.active > 0)) turned_.insert(mitigation.record.cuid);
  add(client.active, mitigation.has_rules());
  if (mitigation.has_rules()) touched_.insert(mitigation.record.client);
  const bool contended = client.contenders > 0;
  add(client.contenders, mitigation.contends());
  if (contended != (client.contenders > 0)) contending_clients_ += contended ? std::size_t(-1) : 1;
  add(kept_out_, mitigation.kept_out());
}

void Machine::set_status(Mitigation& mitigation, MitigationStatus status, base::Now now) {
  if (mitigation.contends() && status != MitigationStatus::in_progress) freed(mitigation, now);
  count(mitigation, false);
  mitigation.record.status = status;
  mitigation.held_back = false;
  // Told anew, when accept-lists are in the way of what runs again.
  if (status != MitigationStatus::in_progress) mitigation.acl_names.clear();
  if (status != MitigationStatus::in_progress) stop_approval_clock(mitigation);
  count(mitigation, true);
}

std::string Machine::text_of(const Mitigation& mitigation) const {
  return client_text(mitigation.record.client) + ", mid=" + std::to_string(mitigation.record.mid.value) +
         (mitigation.running()       ? ", running"
          : mitigation.terminating() ? ", terminating"
                                     : ", inactive");
}

void Machine::want(Mitigation& mitigation, std::optional<Plan> plan, base::Now now, bool quiet) {
  if (!mitigation.has_rules()) return;
  const ports::MitigationRecord& record = mitigation.record;
  if (!plan) plan = this->plan(record, {&mitigation});
  if (!plan->verdict.allowed) plan->parts.clear();
  if (plan->verdict.allowed) judge_approval(mitigation, *plan, now);
  const model::MitigationStatus before = shown_status(mitigation);
  if (!plan->verdict.allowed) {
    if (mitigation.plan.verdict.reason != plan->verdict.reason) {
      audit(now, "server", "plan", mitigation.key(), "withheld", "nothing is installed: " + plan->verdict.reason);
    }
    mitigation.rules = RulesReport::State::failed;
    mitigation.rules_reason = plan->verdict.reason;
    mitigation.rules_why = plan->verdict.refusal;
  } else if (plan->parts.empty()) {
    mitigation.rules = RulesReport::State::pending;
    mitigation.rules_reason = mitigation.awaits_approval() ? "waits for approval: " + record.approval.why : plan->story;
    mitigation.rules_why.reset();
  } else if (!mitigation.plan.verdict.allowed || mitigation.plan.not_started) {
    mitigation.rules = RulesReport::State::pending;
    mitigation.rules_reason.clear();
    mitigation.rules_why.reset();
  }
  if (plan->parts.empty()) mitigation.without.clear();
  DesiredRules::Want want;
  want.owner = {record.domain, record.cuid, record.mid};
  want.parts = std::exchange(plan->parts, {});
  const auto before_held = mitigation.held;
  hold(mitigation, want.parts);
  want.reason = "requested by " + client_text(record.client);
  if (mitigation.preconfigured()) want.reason += " for the loss of its signal";
  if (mitigation.terminating()) want.reason += "; active but terminating";
  if (mitigation.awaits_approval()) want.reason += "; waits for approval";
  want.until = record.deadline;
  if (!want.parts.empty()) want.asked_at = std::exchange(mitigation.asked_at, std::nullopt);
  if (!quiet || mitigation.held != before_held) wants_[mitigation.key()] = std::move(want);

  mitigation.plan = std::move(*plan);
  if (shown_status(mitigation) != before) changed(mitigation.key(), now);
}

void Machine::hold(Mitigation& mitigation, const std::vector<Plan::Part>& parts) {
  for (const auto& [back_end, rules] : std::exchange(mitigation.held, {})) rules_held_ -= rules;
  for (const Plan::Part& part : parts) {
    mitigation.held[part.back_end] += part.rules.size();
    rules_held_ += part.rules.size();
  }
}

Plan Machine::plan(const ports::MitigationRecord& record, const std::vector<const Mitigation*>& holders) const {
  PlanRequest request{*rules_, record.client, record.cuid, record.mid, record.request, {}};
  request.rules_elsewhere = rules_held_;
  for (const Mitigation* one : holders) {
    // The attack is the same one.
    request.volume_bps = std::max(request.volume_bps, one->volume.held_bps());
    for (const auto& [back_end, rules] : one->held) {
      request.rules_elsewhere -= rules;
      if (!one->without.contains(back_end)) request.holds[back_end] += rules;
    }
    if (one->record.cuid == record.cuid && one->record.mid == record.mid) request.counters = one->counters;
  }
  request.signal_path = &peers_;
  request.targets = targets_of(record);
  return planner_->plan(request);
}

std::vector<PlanTargets> Machine::targets_of(const ports::MitigationRecord& record) const {
  std::vector<PlanTargets> out;
  if (record.aliases.empty()) {
    out.push_back({record.request.scope, record.expanded});
    return out;
  }
  for (model::MitigationScope& part : parts_of(record.request.scope, record.aliases)) {
    std::vector<model::Prefix> expanded = expand(part);
    out.push_back({std::move(part), std::move(expanded)});
  }
  return out;
}

void Machine::want_nothing(const Key& key) {
  DesiredRules::Want want;
  want.owner = {domain(), key.cuid, key.mid};
  wants_[key] = std::move(want);
  if (Mitigation* mitigation = find(key.cuid, key.mid)) hold(*mitigation, {});
}

std::vector<MitigationView> Machine::view(base::Now now) const {
  const auto watching = [&](const base::Cuid& cuid, std::optional<base::Mid> mid) {
    const auto found = observers_of_.find({cuid, mid});
    return found == observers_of_.end() ? std::size_t{0} : found->second.size();
  };
  std::vector<MitigationView> views;
  views.reserve(total_);
  for (const auto& [cuid, state] : cuids_) {
    const std::size_t of_all = watching(cuid, std::nullopt);
    for (const auto& [mid, mitigation] : state.mitigations) {
      MitigationView view;
      view.record = mitigation.record;
      view.record.status = shown_status(mitigation);
      if (mitigation.timer.is_set()) {
        view.remaining = std::max(base::Duration::zero(), mitigation.timer.at - now.steady);
      }
      view.rules = mitigation.rules;
      view.rules_reason = mitigation.rules_reason;
      view.rules_why = mitigation.rules_why;
      view.service_used = mitigation.service_used();
      view.actual = mitigation.plan.actual;
      view.not_started = mitigation.plan.not_started;
      view.plan_story = mitigation.plan.story;
      view.observers = of_all + watching(cuid, mid);
      view.counters = mitigation.counters;
      view.conflict = conflict_of(mitigation, now);
      view.held_back = mitigation.held_back;
      if (view.conflict) {
        for (const Mitigation* rival : rivals(mitigation)) view.conflict_with.push_back(text_of(*rival));
        if (mitigation.challenge && mitigation.challenge->until > now.steady) {
          view.conflict_with.push_back(client_text(mitigation.challenge->client) +
                                       ", mid=" + std::to_string(mitigation.challenge->mid.value) + ", refused");
        }
      }
      views.push_back(std::move(view));
    }
  }
  return views;
}

}  // namespace dots::signal::server
