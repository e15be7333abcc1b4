// Preconfigured requests (`trigger-mitigation` false): start on signal loss, and back to waiting (RFC 9132 4.4.1.3,
// 4.4.2, 4.7; docs/decisions/armed-requests.md).
#include <algorithm>

#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {

using model::MitigationStatus;

namespace {

// RFC 9132 Table 3: 3 and 7 are told four times, then 8.
constexpr int kFarewellNotifications = 4;
constexpr auto kTryAgain = std::chrono::seconds{1};

}  // namespace

void Machine::start_armed(const base::ClientId& client, base::Now now) {
  std::vector<Key> waiting;
  for (const base::Cuid& cuid : clients_[client].cuids) {
    for (const auto& [mid, mitigation] : cuids_.at(cuid).mitigations) {
      if (mitigation.armed()) waiting.push_back({cuid, mid});
    }
  }
  for (const Key& key : waiting) start(*find(key.cuid, key.mid), now);
}

void Machine::start(Mitigation& mitigation, base::Now now) {
  const ports::MitigationRecord& record = mitigation.record;
  const Contest contest = this->contest(record.client, mitigation.targets(), record.expanded);
  // Its client cannot resolve anything now, so a tie keeps what runs.
  const auto runs = [](const Mitigation* rival) { return rival->running(); };
  if (contest.is_lost() || std::any_of(contest.tied.begin(), contest.tied.end(), runs)) {
    if (mitigation.held_back) return;
    count(mitigation, false);
    mitigation.held_back = true;
    count(mitigation, true);
    const Mitigation& rival = contest.is_lost() ? *contest.winners.front() : *contest.tied.front();
    audit(now, "server", "trigger", mitigation.key(), "held",
          "the signal is lost, but it overlaps a request of another client: " + text_of(rival));
    note("CONFLICT",
         "domain " + domain().value + ": " + text_of(mitigation) + " cannot start: it overlaps " + text_of(rival));
    changed(mitigation.key(), now);
    return tell_rivals(mitigation, now);
  }
  // The loss makes preconfigured requests go before immediate ones of the same client (4.4.1.3).
  std::set<Key> overtaken;
  immediate_.visit(mitigation.targets(), record.expanded, [&](ScopeIndex::Number number) {
    const Mitigation& other = *by_number_.at(number);
    if (other.record.client == record.client && !other.terminating()) overtaken.insert(other.key());
    return true;
  });
  count(mitigation, false);
  timers_.cancel(mitigation.fade.timer);
  mitigation.fade = {};
  mitigation.held_back = false;
  mitigation.record.status = MitigationStatus::in_progress;
  count(mitigation, true);
  mitigation.record.started_at = now.wall;
  mitigation.starts = true;
  save(mitigation);
  mitigation.asked_at = now.steady;
  want(mitigation, now);
  audit(now, "server", "trigger", mitigation.key(), "done", "the signal of " + client_text(record.client) + " is lost");
  note("ARMED_STARTED", "domain " + domain().value + ", " + text_of(mitigation));
  changed(mitigation.key(), now);
  for (Mitigation* loser : contest.beaten) give_way(*loser, mitigation, left(mitigation, now), now);
  for (const Key& key : overtaken) {
    audit(now, "server", "withdraw", key, "done",
          "the signal is lost: preconfigured mid=" + std::to_string(record.mid.value) + " takes over");
    end(key, MitigationStatus::withdrawn, now);
  }
  tell_rivals(mitigation, now);
}

void Machine::start_again(Mitigation& mitigation, base::Now now) {
  const base::ClientId& id = mitigation.record.client;
  ClientState& client = clients_[id];
  if (client.presence != Presence::lost) return;
  count(mitigation, false);
  mitigation.held_back = true;
  count(mitigation, true);
  candidates_.insert(mitigation.number);
  timers_.set(client.presence_timer, now.steady + kTryAgain, {Alarm::Kind::presence, {}, 0, id.value});
}

void Machine::stand_down(Mitigation& mitigation, MitigationStatus status, const std::string& why, base::Now now) {
  const bool lost = clients_[mitigation.record.client].presence == Presence::lost;
  set_status(mitigation, MitigationStatus::signal_loss, now);
  count(mitigation, false);
  mitigation.fade.status = status;
  if (status == MitigationStatus::attack_stopped) {
    mitigation.fade.started_at = mitigation.record.started_at;
    mitigation.fade.counters = mitigation.counters;
  }
  // After the end of the attack it waits for another loss; a conflict may end before that.
  mitigation.held_back = lost && status == MitigationStatus::withdrawn;
  count(mitigation, true);
  const base::Duration interval =
      std::max<base::Duration>(rules_->policy().notification_interval, std::chrono::seconds{3});
  timers_.set(mitigation.fade.timer, now.steady + kFarewellNotifications * interval,
              {Alarm::Kind::fade, mitigation.key(), 0, {}});
  mitigation.record.started_at.reset();
  mitigation.rules = RulesReport::State::pending;
  mitigation.rules_reason.clear();
  mitigation.counters = {};
  mitigation.attack_stopped = false;
  save(mitigation);
  want_nothing(mitigation.key());
  audit(now, "server", "stand-down", mitigation.key(), "done", why);
  changed(mitigation.key(), now);
}

void Machine::stand_down_for(const Mitigation& immediate, base::Now now) {
  std::set<Key> overtaken;
  const ports::MitigationRecord& record = immediate.record;
  preconfigured_.visit(immediate.targets(), record.expanded, [&](ScopeIndex::Number number) {
    const Mitigation& other = *by_number_.at(number);
    if (other.record.client == record.client && other.running()) overtaken.insert(other.key());
    return true;
  });
  for (const Key& key : overtaken) {
    stand_down(*find(key.cuid, key.mid), MitigationStatus::withdrawn,
               "immediate mid=" + std::to_string(record.mid.value) + " of the same client takes over", now);
  }
}

void Machine::on_fade_timer(const Key& key, base::Now now) {
  Mitigation* mitigation = find(key.cuid, key.mid);
  if (mitigation == nullptr) return;
  count(*mitigation, false);
  mitigation->fade = {};
  count(*mitigation, true);
  changed(key, now);
}

void Machine::on_event(const AttackReport& report, base::Now now) {
  Mitigation* mitigation = find(report.cuid, report.mid);
  if (mitigation == nullptr || !mitigation->running() || mitigation->attack_stopped == report.stopped) return;
  if (mitigation->preconfigured()) {
    return stand_down(*mitigation, MitigationStatus::attack_stopped, "the attack has stopped", now);
  }
  // An immediate request says 3 until it is withdrawn or expires; its rules stay (RFC 9132 Table 3).
  mitigation->attack_stopped = report.stopped;
  audit(now, "server", "attack", mitigation->key(), "done",
        report.stopped ? "the attack has stopped" : "the attack goes on");
  changed(mitigation->key(), now);
}

}  // namespace dots::signal::server
