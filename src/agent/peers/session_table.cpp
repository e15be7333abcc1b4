#include "agent/peers/session_table.h"

#include <list>
#include <map>
#include <unordered_map>
#include <utility>

#include "agent/peers/path_hash.h"

namespace dots::agent {
namespace {

using Alarms = std::multimap<base::SteadyTime, std::uint64_t>;
using Order = std::list<std::uint64_t>;

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

  void erase(Entry entry, const std::string& reason, SessionEffects& out) {
    if (entry->second.alarm) alarms.erase(*entry->second.alarm);
    order.erase(entry->second.place);
    by_path.erase(entry->second.path);
    out.closed.push_back({base::SessionId{entry->first}, reason});
    sessions.erase(entry);
  }

  void send_all(const model::Path& path, std::vector<base::Bytes>&& datagrams, SessionEffects& out) {
    for (auto& bytes : datagrams) out.send.push_back({path, std::move(bytes)});
  }

  void close(Entry entry, const std::string& reason, SessionEffects& out) {
    ports::ChannelEvents events;
    entry->second.channel->close(events);
    send_all(entry->second.path, std::move(events.datagrams), out);
    erase(entry, reason, out);
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
  s.settle(entry, std::move(events), now, out);
}

void SessionTable::on_datagram(const model::Datagram& datagram, base::Now now, SessionEffects& out) {
  State& s = *state_;
  const auto found = s.by_path.find(datagram.path);
  if (found == s.by_path.end()) {
    ++out.unknown_peer;
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
  if (state_->alarms.empty()) return std::nullopt;
  return state_->alarms.begin()->first;
}

std::size_t SessionTable::size() const { return state_->sessions.size(); }

std::size_t SessionTable::max_plaintext(base::SessionId session) const {
  const auto entry = state_->sessions.find(session.value);
  return entry == state_->sessions.end() ? 0 : entry->second.channel->max_plaintext();
}

std::optional<model::Path> SessionTable::path(base::SessionId session) const {
  const auto entry = state_->sessions.find(session.value);
  if (entry == state_->sessions.end()) return std::nullopt;
  return entry->second.path;
}

}  // namespace dots::agent
