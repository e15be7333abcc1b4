#include "agent/peers/admission_table.h"

#include <algorithm>
#include <deque>
#include <map>
#include <unordered_map>
#include <utility>

#include "agent/peers/dtls_record.h"
#include "agent/peers/path_hash.h"
#include "model/source_prefix.h"

namespace dots::agent {
namespace {

// A peer that missed the last flight of the server repeats its own for about this long.
constexpr base::Duration kRepeatsOfFinished = std::chrono::seconds{60};

base::Bytes address_bytes(const model::SocketAddress& address) {
  base::Bytes bytes;
  bytes.reserve(19);
  bytes.push_back(static_cast<std::uint8_t>(address.ip.family));
  bytes.insert(bytes.end(), address.ip.bytes.begin(), address.ip.bytes.end());
  bytes.push_back(static_cast<std::uint8_t>(address.port >> 8));
  bytes.push_back(static_cast<std::uint8_t>(address.port & 0xff));
  return bytes;
}

using Alarms = std::multimap<base::SteadyTime, model::Path>;

struct Handshake {
  std::unique_ptr<ports::SecureChannel> channel;
  base::SteadyTime end;
  base::Bytes random;  // of the hello that started it
  Alarms::iterator alarm;
};

}  // namespace

struct AdmissionTable::State {
  std::shared_ptr<ports::Admission> admission;
  AdmissionLimits limits;
  std::unordered_map<model::Path, Handshake, PathHash> handshakes;
  Alarms alarms;  // one for each handshake
  std::map<model::Prefix, std::size_t> per_prefix;
  // Paths whose sessions went to a shard a short time ago: only their repeats are worth a hand-over.
  struct Recent {
    base::SteadyTime until;
    base::Bytes random;
  };
  std::unordered_map<model::Path, Recent, PathHash> recent;
  std::deque<std::pair<base::SteadyTime, model::Path>> recent_order;

  using Entry = std::unordered_map<model::Path, Handshake, PathHash>::iterator;

  static base::SteadyTime due(const Handshake& handshake, base::Now now) {
    const auto wait = handshake.channel->timeout();
    return wait ? std::min(handshake.end, now.steady + *wait) : handshake.end;
  }

  void reschedule(Entry entry, base::Now now) {
    alarms.erase(entry->second.alarm);
    entry->second.alarm = alarms.emplace(due(entry->second, now), entry->first);
  }

  void erase(Entry entry) {
    alarms.erase(entry->second.alarm);
    const auto count = per_prefix.find(model::source_prefix(entry->first.peer));
    if (count != per_prefix.end() && --count->second == 0) per_prefix.erase(count);
    handshakes.erase(entry);
  }

  void forget_recent(base::Now now) {
    while (!recent_order.empty() && recent_order.front().first <= now.steady) {
      const auto found = recent.find(recent_order.front().second);
      if (found != recent.end() && found->second.until <= now.steady) recent.erase(found);
      recent_order.pop_front();
    }
  }

  void remember(const model::Path& path, base::Bytes random, base::Now now) {
    while (recent_order.size() >= limits.handshakes) {
      recent.erase(recent_order.front().second);
      recent_order.pop_front();
    }
    recent[path] = {now.steady + kRepeatsOfFinished, std::move(random)};
    recent_order.emplace_back(now.steady + kRepeatsOfFinished, path);
  }

  void settle(Entry entry, ports::ChannelEvents&& events, base::Now now, AdmissionEffects& out) {
    const model::Path path = entry->first;
    if (events.opened && !events.closed) {
      ++out.counters.opened;
      if (entry->second.channel->resumed()) ++out.counters.resumed;
      out.admitted.push_back(
          {path, std::move(entry->second.channel), std::move(events.datagrams), std::move(events.plaintexts)});
      base::Bytes random = std::move(entry->second.random);
      erase(entry);
      remember(path, std::move(random), now);
      return;
    }
    for (auto& bytes : events.datagrams) out.send.push_back({path, std::move(bytes)});
    if (events.closed) {
      ++out.counters.failed;
      out.refusals.push_back("handshake with " + model::to_string(path.peer) + " failed: " + events.reason);
      erase(entry);
      return;
    }
    reschedule(entry, now);
  }

  void feed(Entry entry, base::ByteView datagram, base::Now now, AdmissionEffects& out) {
    ports::ChannelEvents events;
    entry->second.channel->on_datagram(datagram, events);
    settle(entry, std::move(events), now, out);
  }

  void start(const model::Datagram& datagram, std::unique_ptr<ports::SecureChannel> channel, base::Now now,
             AdmissionEffects& out) {
    const auto old = handshakes.find(datagram.path);
    if (old != handshakes.end()) erase(old);  // the same address begins again: the cookie proves that it is its owner
    const model::Prefix prefix = model::source_prefix(datagram.path.peer);
    const auto count = per_prefix.find(prefix);
    if (handshakes.size() >= limits.handshakes ||
        (count != per_prefix.end() && count->second >= limits.handshakes_per_prefix)) {
      ++out.counters.limited;
      return;
    }
    ++out.counters.started;
    ++per_prefix[prefix];
    const auto random = client_random(datagram.bytes);
    const base::SteadyTime end = now.steady + limits.handshake_time;
    const auto entry =
        handshakes
            .emplace(datagram.path, Handshake{std::move(channel), end,
                                              random ? base::Bytes{random->begin(), random->end()} : base::Bytes{},
                                              alarms.emplace(end, datagram.path)})
            .first;
    feed(entry, datagram.bytes, now, out);
  }
};

AdmissionTable::AdmissionTable(std::shared_ptr<ports::Admission> admission, const AdmissionLimits& limits)
    : state_(std::make_unique<State>()) {
  state_->admission = std::move(admission);
  state_->limits = limits;
}
AdmissionTable::AdmissionTable(AdmissionTable&&) noexcept = default;
AdmissionTable& AdmissionTable::operator=(AdmissionTable&&) noexcept = default;
AdmissionTable::~AdmissionTable() = default;

void AdmissionTable::on_datagram(const model::Datagram& datagram, base::Now now, AdmissionEffects& out) {
  State& s = *state_;
  const auto record = first_record(datagram.bytes);
  if (!record) {
    ++out.counters.dropped;
    return;
  }
  const auto random = client_random(datagram.bytes);
  const auto entry = s.handshakes.find(datagram.path);
  if (entry != s.handshakes.end() && (!random || std::ranges::equal(*random, entry->second.random))) {
    s.feed(entry, datagram.bytes, now, out);
    return;
  }
  if (carries_protected_record(datagram.bytes)) {
    s.forget_recent(now);
    const bool handshake_record = record->type == kHandshake || record->type == kChangeCipherSpec;
    if (!handshake_record || s.recent.contains(datagram.path)) {
      ++out.counters.forwarded;
      out.forward.push_back(datagram);
    } else {
      ++out.counters.dropped;
    }
    return;
  }
  const auto known = s.recent.find(datagram.path);
  if (random && known != s.recent.end() && std::ranges::equal(*random, known->second.random)) {
    ++out.counters.dropped;  // a late copy of the hello that opened the session
    return;
  }
  auto verdict = s.admission->consider(datagram.bytes, address_bytes(datagram.path.peer), now.wall);
  switch (verdict.kind) {
    case ports::Admission::Verdict::Kind::drop:
      ++out.counters.dropped;
      break;
    case ports::Admission::Verdict::Kind::answer:
      ++out.counters.cookies;
      out.send.push_back({datagram.path, std::move(verdict.answer)});
      break;
    case ports::Admission::Verdict::Kind::admit:
      s.start(datagram, std::move(verdict.channel), now, out);
      break;
  }
}

void AdmissionTable::on_timer(base::Now now, AdmissionEffects& out) {
  State& s = *state_;
  s.forget_recent(now);
  // At most one round over the handshakes that are there: a channel that asks for no delay waits for the next call.
  for (std::size_t rounds = s.handshakes.size(); rounds > 0; --rounds) {
    if (s.alarms.empty() || s.alarms.begin()->first > now.steady) return;
    const auto entry = s.handshakes.find(s.alarms.begin()->second);
    ports::ChannelEvents events;
    if (entry->second.end <= now.steady) {
      ++out.counters.timed_out;
      entry->second.channel->close(events);
      out.refusals.push_back("handshake with " + model::to_string(entry->first.peer) + " timed out" +
                             (events.reason.empty() ? "" : ": " + events.reason));
      s.erase(entry);
      continue;
    }
    entry->second.channel->on_timeout(events);
    s.settle(entry, std::move(events), now, out);
  }
}

std::optional<base::SteadyTime> AdmissionTable::next_deadline() const {
  if (state_->alarms.empty()) return std::nullopt;
  return state_->alarms.begin()->first;
}

std::size_t AdmissionTable::size() const { return state_->handshakes.size(); }

}  // namespace dots::agent
