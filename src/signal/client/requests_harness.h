// For the tests of this folder: drives Requests in virtual time and keeps what it sent and stored.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/overload.h"
#include "signal/client/requests.h"

namespace dots::signal::client {

using namespace std::chrono_literals;

inline model::MitigationScope scope_of(const std::string& prefix) {
  model::MitigationScope scope;
  scope.target_prefix.push_back(model::parse_prefix(prefix).value());
  return scope;
}

inline Wanted wanted(const std::string& prefix) {
  Wanted wish;
  wish.scope = scope_of(prefix);
  wish.author = "alice";
  return wish;
}

inline Settings default_settings() {
  Settings settings;
  settings.server = "upstream";
  settings.cuid = base::Cuid{"z85PF07F0YiHmas-fJkqRg"};
  return settings;
}

struct RequestsHarness {
  explicit RequestsHarness(Settings wanted_settings = default_settings(), std::uint64_t seed = 1)
      : settings(std::move(wanted_settings)), seed_(seed), machine(settings, seed) {
    Effects out;
    machine.load(store, now, out);
    take(out);
  }

  // The process dies and starts again with what was stored.
  void restart() {
    machine = Requests(settings, ++seed_);
    puts.clear();
    gets.clear();
    deletes.clear();
    messages.clear();
    Effects out;
    machine.load(store, now, out);
    take(out);
  }

  void take(const Effects& effects) {
    for (const Effect& effect : effects) {
      std::visit(base::Overload{[&](const SendPut& e) { puts.push_back(e), put_times.push_back(now.steady); },
                                [&](const SendGet& e) { gets.push_back(e); },
                                [&](const SendDelete& e) { deletes.push_back(e); },
                                [&](const CancelSend& e) { cancelled.push_back(e.id); },
                                [&](const StopObserving& e) { stopped.push_back(e.id); },
                                [&](const Persist& e) { apply(e.change); },
                                [&](const OperatorMessage& e) { messages.push_back(e); },
                                [&](const Progress& e) { progress.push_back(e); }},
                 effect);
    }
  }

  void apply(const ports::Change& change) {
    if (const auto* put = std::get_if<ports::PutClientRequest>(&change)) {
      erase(put->record.mid);
      store.client_requests.push_back(put->record);
    } else if (const auto* gone = std::get_if<ports::EraseClientRequest>(&change)) {
      erase(gone->mid);
    } else if (const auto* counter = std::get_if<ports::PutCounter>(&change)) {
      store.counters[counter->name] = counter->value;
    } else if (const auto* line = std::get_if<ports::AppendAudit>(&change)) {
      audit.push_back(line->record);
    }
  }
  void erase(base::Mid mid) {
    std::erase_if(store.client_requests, [&](const auto& record) { return record.mid == mid; });
  }

  base::Result<Requests::Accepted> mitigate(const Wanted& wish) {
    Effects out;
    auto result = machine.mitigate(wish, now, out);
    take(out);
    return result;
  }
  base::Mid mitigate(const std::string& prefix) { return mitigate(wanted(prefix)).value().mid; }
  void withdraw(base::Mid mid) {
    Effects out;
    ASSERT_TRUE(machine.withdraw(mid, "alice", "", now, out));
    take(out);
  }
  void answer(SendId id, const Answer& what) {
    Effects out;
    machine.on_answer(id, what, now, out);
    take(out);
  }

  static Answer code(model::ResponseCode code, const std::string& diagnostic = {}) {
    Answer answer;
    answer.code = code;
    answer.diagnostic = diagnostic;
    return answer;
  }
  // 2.01 or 2.04 to the last PUT.
  void accept(std::int64_t lifetime_s = 3600, model::ResponseCode code = model::ResponseCode::created) {
    Answer answer;
    answer.code = code;
    model::MitigationEntry entry;
    entry.mid = puts.back().mid;
    entry.lifetime = model::Lifetime{lifetime_s};
    answer.entries.push_back(entry);
    this->answer(puts.back().id, answer);
  }
  static Answer status_answer(base::Mid mid, model::MitigationStatus status, std::int64_t remaining_s = 3600) {
    Answer answer;
    model::MitigationEntry entry;
    entry.mid = mid;
    entry.status = status;
    entry.lifetime = model::Lifetime{remaining_s};
    answer.entries.push_back(entry);
    return answer;
  }
  // A notification to the last observation of this mid.
  void notify(base::Mid mid, model::MitigationStatus status, std::int64_t remaining_s = 3600) {
    answer(observation(mid), status_answer(mid, status, remaining_s));
  }
  SendId observation(base::Mid mid) const {
    for (auto it = gets.rbegin(); it != gets.rend(); ++it) {
      if (it->observe && it->mid == mid) return it->id;
    }
    ADD_FAILURE() << "no observation";
    return {};
  }
  static Answer conflict(model::ConflictInformation information,
                         model::ResponseCode code = model::ResponseCode::conflict) {
    Answer answer;
    answer.code = code;
    model::MitigationEntry entry;
    entry.conflict = std::move(information);
    answer.entries.push_back(entry);
    return answer;
  }
  static Answer collision() {
    model::ConflictInformation information;
    information.cause = model::ConflictCause::cuid_collision;
    return conflict(information);
  }

  void advance(base::Duration time) {
    const base::SteadyTime until = now.steady + time;
    for (;;) {
      const auto deadline = machine.next_deadline();
      if (!deadline || *deadline > until) break;
      now = now + std::max(base::Duration::zero(), *deadline - now.steady);
      Effects out;
      machine.on_timer(now, out);
      take(out);
    }
    now = now + (until - now.steady);
  }

  RequestView view(base::Mid mid) const { return machine.find(mid, now).value(); }
  bool told(const std::string& id) const {
    return std::any_of(messages.begin(), messages.end(), [&](const auto& message) { return message.id == id; });
  }

  Settings settings;
  std::uint64_t seed_;
  base::Now now{base::SteadyTime{1000s}, base::WallTime{1700000000s}};
  ports::Snapshot store;
  Requests machine;
  std::vector<SendPut> puts;
  std::vector<base::SteadyTime> put_times;
  std::vector<SendGet> gets;
  std::vector<SendDelete> deletes;
  std::vector<SendId> cancelled, stopped;
  std::vector<OperatorMessage> messages;
  std::vector<Progress> progress;
  std::vector<ports::AuditRecord> audit;
};

}  // namespace dots::signal::client
