#include "agent/peers/stream_admission.h"

#include <deque>
#include <map>
#include <unordered_map>
#include <utility>

#include "agent/peers/path_hash.h"
#include "model/source_prefix.h"

namespace dots::agent {

struct StreamAdmission::State {
  struct Handshake {
    std::unique_ptr<ports::SecureChannel> channel;
    std::uint64_t number = 0;
  };
  struct Deadline {
    base::SteadyTime at;
    model::Path path;
    std::uint64_t number = 0;  // of the handshake that is meant: a path may come again
  };

  std::shared_ptr<ports::ChannelAcceptor> acceptor;
  AdmissionLimits limits;
  std::unordered_map<model::Path, Handshake, PathHash> handshakes;
  std::deque<Deadline> deadlines;  // all take the same time, so they stand in order
  std::map<model::Prefix, std::size_t> per_prefix;
  std::uint64_t last_number = 0;

  using Entry = std::unordered_map<model::Path, Handshake, PathHash>::iterator;

  void erase(Entry entry) {
    const auto count = per_prefix.find(model::source_prefix(entry->first.peer));
    if (count != per_prefix.end() && --count->second == 0) per_prefix.erase(count);
    handshakes.erase(entry);
    while (!deadlines.empty() && !stands(deadlines.front())) deadlines.pop_front();
  }
  bool stands(const Deadline& deadline) const {
    const auto found = handshakes.find(deadline.path);
    return found != handshakes.end() && found->second.number == deadline.number;
  }
  static void refuse(const model::Path& path, const std::string& why, StreamAdmissionEffects& out) {
    out.refusals.push_back(model::to_string(path.peer) + " over TCP: " + why);
  }
};

StreamAdmission::StreamAdmission(std::shared_ptr<ports::ChannelAcceptor> acceptor, const AdmissionLimits& limits)
    : state_(std::make_unique<State>()) {
  state_->acceptor = std::move(acceptor);
  state_->limits = limits;
}
StreamAdmission::StreamAdmission(StreamAdmission&&) noexcept = default;
StreamAdmission& StreamAdmission::operator=(StreamAdmission&&) noexcept = default;
StreamAdmission::~StreamAdmission() = default;

void StreamAdmission::on_accepted(const model::Path& path, base::Now now, StreamAdmissionEffects& out) {
  State& s = *state_;
  const auto limited = [&](const char* why) {
    ++out.counters.limited;
    State::refuse(path, why, out);
    out.drop.push_back(path);
  };
  if (s.handshakes.size() >= s.limits.handshakes) return limited("too many handshakes in progress");
  std::size_t& count = s.per_prefix[model::source_prefix(path.peer)];
  if (count >= s.limits.handshakes_per_prefix) return limited("too many handshakes in progress from its network");
  auto channel = s.acceptor->accept();
  if (!channel) {
    if (count == 0) s.per_prefix.erase(model::source_prefix(path.peer));
    return limited(channel.error().message.c_str());
  }
  ++count;
  ++out.counters.started;
  const std::uint64_t number = ++s.last_number;
  s.handshakes.insert_or_assign(path, State::Handshake{std::move(*channel), number});
  s.deadlines.push_back({now.steady + s.limits.handshake_time, path, number});
}

void StreamAdmission::on_bytes(const model::Path& path, base::ByteView bytes, StreamAdmissionEffects& out) {
  State& s = *state_;
  const auto entry = s.handshakes.find(path);
  if (entry == s.handshakes.end()) return;
  ports::ChannelEvents events;
  entry->second.channel->on_datagram(bytes, events);
  if (events.closed) {
    for (auto& piece : events.datagrams) out.send.push_back({path, std::move(piece)});
    ++out.counters.failed;
    State::refuse(path, events.reason, out);
    out.close.push_back(path);
    s.erase(entry);
  } else if (events.opened) {
    ++out.counters.opened;
    if (entry->second.channel->resumed()) ++out.counters.resumed;
    out.admitted.push_back(
        {path, std::move(entry->second.channel), std::move(events.datagrams), std::move(events.plaintexts)});
    s.erase(entry);
  } else {
    for (auto& piece : events.datagrams) out.send.push_back({path, std::move(piece)});
  }
}

void StreamAdmission::on_ended(const model::Path& path, const std::string& reason, StreamAdmissionEffects& out) {
  State& s = *state_;
  const auto entry = s.handshakes.find(path);
  if (entry == s.handshakes.end()) return;
  ++out.counters.failed;
  ports::ChannelEvents events;
  entry->second.channel->close(events);
  State::refuse(path, events.reason.empty() ? reason : reason + ": " + events.reason, out);
  s.erase(entry);
}

void StreamAdmission::on_timer(base::Now now, StreamAdmissionEffects& out) {
  State& s = *state_;
  while (!s.deadlines.empty() && s.deadlines.front().at <= now.steady) {
    const State::Deadline due = s.deadlines.front();
    s.deadlines.pop_front();
    if (!s.stands(due)) continue;
    const auto entry = s.handshakes.find(due.path);
    ports::ChannelEvents events;
    entry->second.channel->close(events);
    ++out.counters.timed_out;
    State::refuse(due.path, "the handshake took too long" + (events.reason.empty() ? "" : ": " + events.reason), out);
    out.close.push_back(due.path);
    s.erase(entry);
  }
}

std::optional<base::SteadyTime> StreamAdmission::next_deadline() const {
  if (state_->deadlines.empty()) return std::nullopt;
  return state_->deadlines.front().at;
}

std::size_t StreamAdmission::size() const { return state_->handshakes.size(); }

}  // namespace dots::agent
