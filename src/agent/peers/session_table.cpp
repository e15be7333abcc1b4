#include "agent/peers/session_table.h"

#include <deque>
#include <list>
#include <map>
#include <unordered_map>
#include <utility>

#include "agent/peers/dtls_record.h"
#include "agent/peers/path_hash.h"

namespace dots::agent {
namespace {

using Alarms = std::multimap<base::SteadyTime, std::uint64_t>;
using Order = std::list<std::uint64_t>;

constexpr std::size_t kLargestEarlyBytes = 1500;
// A check of a certificate costs up to some 0.3 ms: between two of these lots the shard serves others.
constexpr std::size_t kRechecksAtOnce = 16;
constexpr base::Duration kRecheckPause = std::chrono::milliseconds{10};

struct Session {
  model::Path path;
  std::unique_ptr<ports::SecureChannel> channel;
  base::SteadyTime heard;  // last proof of life: plaintext that decrypted
  Order::iterator place;
  std::optional<Alarms::iterator> alarm;
};

}  // namespace

struct SessionTable::State {
  std::uint16_t shard = 0;
  SessionLimits limits;
  std::uint64_t issued = 0;
  std::unordered_map<std::uint64_t, Session> sessions;
  std::unordered_map<model::Path, std::uint64_t, PathHash> by_path;
  Order order;  // longest silent first
  Alarms alarms;
  struct Early {
    model::Datagram datagram;
    base::SteadyTime until;
  };
  std::deque<Early> early;  // oldest first
  std::deque<std::uint64_t> to_recheck;
  base::SteadyTime recheck_at;

  void keep_early(const model::Datagram& datagram, base::Now now) {
    const auto record = first_record(datagram.bytes);
    if (!record || record->type != kApplicationData || record->epoch == 0) return;
    if (datagram.bytes.size() > kLargestEarlyBytes) return;
    if (early.size() >= kEarlyRecords) early.pop_front();
    early.push_back({datagram, now.steady + kEarlyTime});
  }
  std::vector<base::Bytes> take_early(const model::Path& path, base::Now now) {
    std::vector<base::Bytes> taken;
    std::erase_if(early, [&](Early& one) {
      if (one.until <= now.steady) return true;
      if (one.datagram.path != path) return false;
      taken.push_back(std::move(one.datagram.bytes));
      return true;
    });
    return taken;
  }

  using Entry = std::unordered_map<std::uint64_t, Session>::iterator;

  void reschedule(Entry entry, base::Now now) {
    Session& session = entry->second;
    if (session.alarm) alarms.erase(*session.alarm);
    session.alarm.reset();
    if (const auto wait = session.channel->timeout()) session.alarm = alarms.emplace(now.steady + *wait, entry->first);
  }

  void heard(Session& session, base::Now now) {
    session.heard = now.steady;
    order.splice(order.end(), order, session.place);
  }

  void erase(Entry entry, const std::string& reason, SessionEffects& out, bool credential = false) {
    if (entry->second.alarm) alarms.erase(*entry->second.alarm);
    order.erase(entry->second.place);
    by_path.erase(entry->second.path);
    out.closed.push_back({base::SessionId{entry->first}, reason, credential});
    sessions.erase(entry);
  }

  void send_all(const model::Path& path, std::vector<base::Bytes>&& datagrams, SessionEffects& out) {
    for (auto& bytes : datagrams) out.send.push_back({path, std::move(bytes)});
  }

  void close(Entry entry, const std::string& reason, SessionEffects& out, bool credential = false) {
    ports::ChannelEvents events;
    entry->second.channel->close(events);
    send_all(entry->second.path, std::move(events.datagrams), out);
    erase(entry, reason, out, credential);
  }

  void recheck(base::Now now, SessionEffects& out) {
    if (to_recheck.empty() || recheck_at > now.steady) return;
    for (std::size_t count = 0; count < kRechecksAtOnce && !to_recheck.empty(); ++count) {
      const auto entry = sessions.find(to_recheck.front());
      to_recheck.pop_front();
      if (entry == sessions.end()) continue;
      if (const auto problem = entry->second.channel->recheck(now.wall)) close(entry, *problem, out, true);
    }
    recheck_at = now.steady + kRecheckPause;
  }

  void settle(Entry entry, ports::ChannelEvents&& events, base::Now now, SessionEffects& out) {
    if (!events.plaintexts.empty()) heard(entry->second, now);
    for (auto& bytes : events.plaintexts) out.plaintexts.push_back({base::SessionId{entry->first}, std::move(bytes)});
    send_all(entry->second.path, std::move(events.datagrams), out);
    if (events.closed) {
      erase(entry, events.reason.empty() ? "the peer closed the session" : events.reason, out);
    } else {
      reschedule(entry, now);
    }
  }

  // Makes room for one more; false when every session is too alive to go.
  bool make_room(base::Now now, SessionEffects& out) {
    if (sessions.size() < limits.sessions) return true;
    if (order.empty()) return false;
    const auto oldest = sessions.find(order.front());
    if (now.steady - oldest->second.heard < limits.evictable_after) return false;
    close(oldest, "evicted: silent for the longest time, and the table of sessions is full", out);
    return true;
  }
};

SessionTable::SessionTable(std::uint16_t shard, const SessionLimits& limits) : state_(std::make_unique<State>()) {
  state_->shard = shard;
  state_->limits = limits;
}
SessionTable::SessionTable(SessionTable&&) noexcept = default;
SessionTable& SessionTable::operator=(SessionTable&&) noexcept = default;
SessionTable::~SessionTable() = default;

void SessionTable::adopt(Admitted admitted, base::Now now, SessionEffects& out) {
  State& s = *state_;
  const auto old = s.by_path.find(admitted.path);
  if (old != s.by_path.end()) {
    // No close_notify: the peer that holds this address now has other keys.
    s.erase(s.sessions.find(old->second), "replaced by a new session from the same address", out);
  }
  if (!s.make_room(now, out)) {
    ports::ChannelEvents events;
    admitted.channel->close(events);
    s.send_all(admitted.path, std::move(admitted.last_flight), out);
    s.send_all(admitted.path, std::move(events.datagrams), out);
    out.turned_away.push_back(admitted.path);
    out.refusals.push_back("session with " + model::to_string(admitted.path.peer) + " refused: the table of " +
                           std::to_string(s.limits.sessions) + " sessions is full and none of them is silent");
    return;
  }
  const std::uint64_t id = static_cast<std::uint64_t>(s.shard) << 48 | ++s.issued;
  const auto place = s.order.insert(s.order.end(), id);
  const auto entry =
      s.sessions.emplace(id, Session{admitted.path, std::move(admitted.channel), now.steady, place, std::nullopt})
          .first;
  s.by_path.emplace(admitted.path, id);
  const ports::SecureChannel& channel = *entry->second.channel;
  out.opened.push_back({base::SessionId{id}, admitted.path, channel.identity(), channel.resumed()});
  ports::ChannelEvents events;
  events.datagrams = std::move(admitted.last_flight);
  events.plaintexts = std::move(admitted.plaintexts);
  const model::Path path = entry->second.path;
  s.settle(entry, std::move(events), now, out);
  for (auto& bytes : s.take_early(path, now)) on_datagram({path, std::move(bytes)}, now, out);
}

void SessionTable::begin_recheck(base::Now now) {
  State& s = *state_;
  s.to_recheck.assign(s.order.begin(), s.order.end());
  s.recheck_at = now.steady;
}

void SessionTable::on_datagram(const model::Datagram& datagram, base::Now now, SessionEffects& out) {
  State& s = *state_;
  const auto found = s.by_path.find(datagram.path);
  if (found == s.by_path.end()) {
    ++out.unknown_peer;
    s.keep_early(datagram, now);
    return;
  }
  const auto entry = s.sessions.find(found->second);
  ports::ChannelEvents events;
  entry->second.channel->on_datagram(datagram.bytes, events);
  s.settle(entry, std::move(events), now, out);
}

void SessionTable::on_disconnected(const model::Path& path, const std::string& reason, SessionEffects& out) {
  const auto found = state_->by_path.find(path);
  if (found != state_->by_path.end()) state_->erase(state_->sessions.find(found->second), reason, out);
}

bool SessionTable::send(base::SessionId session, base::ByteView plaintext, base::Now now, SessionEffects& out) {
  State& s = *state_;
  const auto entry = s.sessions.find(session.value);
  if (entry == s.sessions.end() || plaintext.size() > entry->second.channel->max_plaintext()) return false;
  ports::ChannelEvents events;
  const bool sent = entry->second.channel->send(plaintext, events).ok();
  s.settle(entry, std::move(events), now, out);
  return sent;
}

void SessionTable::close(base::SessionId session, const std::string& reason, base::Now, SessionEffects& out) {
  const auto entry = state_->sessions.find(session.value);
  if (entry != state_->sessions.end()) state_->close(entry, reason, out);
}

void SessionTable::close_all(const std::string& reason, base::Now, SessionEffects& out) {
  while (!state_->sessions.empty()) state_->close(state_->sessions.find(state_->order.front()), reason, out);
}

void SessionTable::on_timer(base::Now now, SessionEffects& out) {
  State& s = *state_;
  s.recheck(now, out);
  // At most one round over the alarms that are there: a channel that asks for no delay waits for the next call.
  for (std::size_t rounds = s.alarms.size(); rounds > 0; --rounds) {
    if (s.alarms.empty() || s.alarms.begin()->first > now.steady) return;
    const auto entry = s.sessions.find(s.alarms.begin()->second);
    ports::ChannelEvents events;
    entry->second.channel->on_timeout(events);
    s.settle(entry, std::move(events), now, out);
  }
}

std::optional<base::SteadyTime> SessionTable::next_deadline() const {
  const State& s = *state_;
  std::optional<base::SteadyTime> next;
  if (!s.alarms.empty()) next = s.alarms.begin()->first;
  if (!s.to_recheck.empty() && (!next || s.recheck_at < *next)) next = s.recheck_at;
  return next;
}

std::size_t SessionTable::size() const { return state_->sessions.size(); }

std::size_t SessionTable::max_plaintext(base::SessionId session) const {
  const auto entry = state_->sessions.find(session.value);
  return entry == state_->sessions.end() ? 0 : entry->second.channel->max_plaintext();
}

const model::PeerIdentity& SessionTable::identity(base::SessionId session) const {
  return state_->sessions.at(session.value).channel->identity();
}

std::optional<model::Path> SessionTable::path(base::SessionId session) const {
  const auto entry = state_->sessions.find(session.value);
  if (entry == state_->sessions.end()) return std::nullopt;
  return entry->second.path;
}

}  // namespace dots::agent
