// GET mitigate and its observers (RFC 9132 4.4.2, 4.4.2.1; docs/decisions/status.md).
#include <algorithm>

#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;

// Without an estimate of the round-trip time: one notification for each 3 s towards a peer (RFC 9132 4.4.2.1).
constexpr auto kSpacing = std::chrono::seconds{3};
constexpr std::size_t kFarewells = 64;

}  // namespace

Answer Machine::render(const base::ClientId& client, const base::Cuid& cuid, std::optional<base::Mid> mid,
                       GetMitigation::Filter filter, base::Now now) const {
  Answer answer;
  answer.code = ResponseCode::content;
  const CuidState* state = own_cuid(cuid, client);
  if (mid) {
    const auto missing = [&] {
      return refused(ResponseCode::not_found, "there is no mitigation with mid=" + std::to_string(mid->value));
    };
    if (state == nullptr) return missing();
    const auto found = state->mitigations.find(*mid);
    if (found == state->mitigations.end()) return missing();
    answer.entries.push_back(entry_for(found->second, filter, now));
    return answer;
  }
  if (state == nullptr || state->mitigations.empty()) {
    return refused(ResponseCode::not_found, "there is no mitigation");
  }
  const auto& all = state->mitigations;
  auto first = all.begin();
  if (all.size() > limits_.entries_per_answer) {
    answer.left_out = all.size() - limits_.entries_per_answer;
    first = std::prev(all.end(), static_cast<std::ptrdiff_t>(limits_.entries_per_answer));
  }
  for (; first != all.end(); ++first) answer.entries.push_back(entry_for(first->second, filter, now));
  return answer;
}

void Machine::on_event(const GetMitigation& get, base::Now now) {
  if (get.observe == 1U) unobserve(get.origin.session, get.origin.token);
  Answer answer = render(get.origin.client, get.cuid, get.mid, get.filter, now);
  if (const auto state = cuids_.find(get.cuid); answer.code == ResponseCode::content && state != cuids_.end()) {
    add_filter_news(answer, get.cuid, state->second.filter_news_polled);
  }
  const bool observes = get.observe == 0U && answer.code == ResponseCode::content && observe(get, now);
  reply(get.origin, std::move(answer), observes);
}

bool Machine::observe(const GetMitigation& get, base::Now now) {
  unobserve(get.origin.session, get.origin.token);  // the same token again takes its place (RFC 7641 4.1)
  SessionState& session = sessions_[get.origin.session];
  if (observers_.size() >= limits_.observers || session.observers.size() >= limits_.observers_per_session) {
    return false;
  }
  session.client = get.origin.client;
  Observer observer;
  observer.number = next_number_++;
  observer.session = get.origin.session;
  observer.token = get.origin.token;
  observer.client = get.origin.client;
  observer.cuid = get.cuid;
  observer.mid = get.mid;
  observer.filter = get.filter;
  observer.last_sent = now.steady;
  observer.filter_news_told = next_number_ - 1;  // by this answer
  session.observers.insert(observer.number);
  session.next_notification = std::max(session.next_notification, now.steady + kSpacing);
  observer_of_[{observer.session, observer.token}] = observer.number;
  observers_of_[{observer.cuid, observer.mid}].insert(observer.number);
  Observer& placed = observers_.emplace(observer.number, observer).first->second;
  schedule(placed, now);
  return true;
}

void Machine::unobserve(std::uint64_t number) {
  const auto found = observers_.find(number);
  if (found == observers_.end()) return;
  Observer& observer = found->second;
  timers_.cancel(observer.timer);
  observer_of_.erase({observer.session, observer.token});
  const auto resource = observers_of_.find({observer.cuid, observer.mid});
  resource->second.erase(number);
  if (resource->second.empty()) observers_of_.erase(resource);
  const auto session = sessions_.find(observer.session);
  if (session != sessions_.end()) session->second.observers.erase(number);
  observers_.erase(found);
}

void Machine::unobserve(base::SessionId session, const base::Bytes& token) {
  const auto found = observer_of_.find({session, token});
  if (found != observer_of_.end()) unobserve(found->second);
}

void Machine::on_event(const ObservationCancelled& cancelled, base::Now) {
  unobserve(cancelled.session, cancelled.token);
}

template <class Do>
void Machine::for_observers(const Key& key, Do&& act) {
  for (const std::optional<base::Mid>& mid : {std::optional<base::Mid>{key.mid}, std::optional<base::Mid>{}}) {
    const auto resource = observers_of_.find({key.cuid, mid});
    if (resource == observers_of_.end()) continue;
    for (const std::uint64_t number : resource->second) act(observers_.at(number));
  }
}

void Machine::changed(const Key& key, base::Now now, const model::MitigationEntry* farewell) {
  for_observers(key, [&](Observer& observer) { mark(observer, now, farewell); });
}

void Machine::mark(Observer& observer, base::Now now, const model::MitigationEntry* farewell) {
  if (farewell != nullptr && observer.farewells.size() < kFarewells) {
    model::MitigationEntry entry = *farewell;
    if (observer.filter == GetMitigation::Filter::non_config) {
      entry.scope.reset();
      entry.trigger_mitigation.reset();
    } else if (observer.filter == GetMitigation::Filter::config) {
      entry.mitigation_start_s.reset();
    }
    observer.farewells.push_back(std::move(entry));
  }
  observer.dirty = true;
  schedule(observer, now);
}

bool Machine::shows_activity(const Observer& observer) const {
  const CuidState* state = own_cuid(observer.cuid, observer.client);
  if (state == nullptr) return false;
  if (!observer.mid) return state->lively > 0;
  const auto found = state->mitigations.find(*observer.mid);
  return found != state->mitigations.end() && found->second.lively();
}

void Machine::schedule(Observer& observer, base::Now now) {
  if (observer.dirty) {
    const base::SteadyTime at =
        std::max({now.steady, observer.last_sent + kSpacing, sessions_[observer.session].next_notification});
    // Already in the queue for that time: stay in front of those who came later.
    if (observer.timer.is_set() && observer.timer.at <= at) return;
    timers_.set(observer.timer, at, {Alarm::Kind::observer, {}, observer.number, {}});
  } else if (shows_activity(observer)) {
    const base::Duration interval = std::max<base::Duration>(rules_->policy().notification_interval, kSpacing);
    timers_.set(observer.timer, std::max(now.steady, observer.last_sent + interval),
                {Alarm::Kind::observer, {}, observer.number, {}});
  } else {
    timers_.cancel(observer.timer);
  }
}

void Machine::on_observer_timer(std::uint64_t number, base::Now now) {
  const auto found = observers_.find(number);
  if (found == observers_.end()) return;
  Observer& observer = found->second;
  observer.timer = {};
  SessionState& session = sessions_[observer.session];
  if (now.steady < session.next_notification) {
    // Another notification went to this session meanwhile.
    timers_.set(observer.timer, session.next_notification, {Alarm::Kind::observer, {}, number, {}});
    return;
  }
  Answer answer = render(observer.client, observer.cuid, observer.mid, observer.filter, now);
  add_filter_news(answer, observer.cuid, observer.filter_news_told);
  const bool was_last_word = !observer.farewells.empty() && answer.code != ResponseCode::content;
  if (!observer.farewells.empty()) {
    if (was_last_word) {
      answer = {};
      answer.code = ResponseCode::content;
    }
    // A mid that came back meanwhile speaks for itself.
    for (model::MitigationEntry& farewell : observer.farewells) {
      const bool is_back = std::any_of(answer.entries.begin(), answer.entries.end(),
                                       [&](const model::MitigationEntry& e) { return e.mid == farewell.mid; });
      if (!is_back) answer.entries.push_back(std::move(farewell));
    }
    observer.farewells.clear();
  }
  const bool ended = answer.code != ResponseCode::content;
  out_.emplace_back(Notify{observer.session, observer.token, std::move(answer)});
  observer.last_sent = now.steady;
  session.next_notification = now.steady + kSpacing;
  if (ended) return unobserve(number);  // an error response ends the observation (RFC 7641 4.2)
  observer.dirty = was_last_word;       // 4.04 comes next
  schedule(observer, now);
}

}  // namespace dots::signal::server
