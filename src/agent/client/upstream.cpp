#include "agent/client/upstream.h"

#include <algorithm>

#include "signal/client/identifiers.h"

namespace dots::agent::client {

namespace {
// RFC 9132 4.3 and RFC 8305: between attempts to different addresses.
constexpr base::Duration kAttemptDelayAttack = std::chrono::milliseconds{100};
constexpr base::Duration kAttemptDelay = std::chrono::milliseconds{250};
constexpr std::size_t kMaxAddresses = 16;
}  // namespace

Upstream::Upstream(UpstreamSettings settings, ports::ChannelConnector& connector, std::uint64_t& ids,
                   std::uint64_t seed)
    : settings_(std::move(settings)), connector_(&connector), ids_(&ids), random_(seed), reconnect_(settings_.retry) {}

void Upstream::start(base::SteadyTime now, UpstreamOutput& out) {
  started_ = true;
  review(now, out);
}

Session* Upstream::find(base::SessionId id) const {
  const auto it =
      std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& session) { return session->id() == id; });
  return it == sessions_.end() ? nullptr : it->get();
}

bool Upstream::owns(base::SessionId session) const { return find(session) != nullptr; }

bool Upstream::connected() const {
  return std::any_of(sessions_.begin(), sessions_.end(),
                     [](const auto& session) { return session->is_open() && !session->is_lost(); });
}

bool Upstream::connecting() const {
  return round_ ||
         std::any_of(sessions_.begin(), sessions_.end(), [](const auto& session) { return !session->is_open(); });
}

bool Upstream::wants_round() const { return started_ && !connected() && !connecting(); }

void Upstream::on_datagram(base::SessionId id, base::ByteView datagram, base::SteadyTime now, UpstreamOutput& out) {
  Session* session = find(id);
  if (session == nullptr) return;
  SessionOutput output;
  session->on_datagram(datagram, now, output);
  absorb(id, std::move(output), now, out);
  review(now, out);
}

void Upstream::on_unreachable(base::SessionId id, const std::string& reason, base::SteadyTime now,
                              UpstreamOutput& out) {
  Session* session = find(id);
  if (session == nullptr || session->is_open()) return;
  last_failure_ = model::to_string(session->server()) + ": " + reason;
  drop(id, out);
  if (round_) round_->next_at = now;
  review(now, out);
}

void Upstream::on_resolved(const ports::Resolution& resolution, base::SteadyTime now, UpstreamOutput& out) {
  if (!round_ || !round_->resolving || resolution.name != settings_.host) return;
  round_->resolving = false;
  if (resolution.outcome == ports::Resolution::Outcome::answered && !resolution.addresses.empty()) {
    resolved_.clear();
    for (const model::IpAddress& address : resolution.addresses) resolved_.push_back({address, settings_.port});
    // RFC 9132 4.3: IPv6 first.
    std::stable_partition(resolved_.begin(), resolved_.end(),
                          [](const auto& address) { return address.ip.family == model::Family::ipv6; });
    if (resolved_.size() > kMaxAddresses) resolved_.resize(kMaxAddresses);
  } else {
    // The last answer that was good serves on: name servers are often dead in an attack.
    last_failure_ = "'" + settings_.host + "' cannot be looked up: " + resolution.reason;
  }
  round_->addresses = resolved_;
  round_->next_at = now;
  review(now, out);
}

void Upstream::on_timer(base::SteadyTime now, UpstreamOutput& out) {
  std::vector<base::SessionId> ids;
  for (const auto& session : sessions_) ids.push_back(session->id());
  for (const base::SessionId id : ids) {
    Session* session = find(id);
    if (session == nullptr) continue;
    const auto deadline = session->next_deadline(now);
    if (!deadline || *deadline > now) continue;
    SessionOutput output;
    session->on_timer(now, output);
    absorb(id, std::move(output), now, out);
  }
  review(now, out);
}

std::optional<base::SteadyTime> Upstream::next_deadline(base::SteadyTime now) const {
  std::optional<base::SteadyTime> earliest = next_attempt(now);
  const auto consider = [&](const std::optional<base::SteadyTime>& at) {
    if (at && (!earliest || *at < *earliest)) earliest = at;
  };
  if (round_ && !round_->resolving && round_->next < round_->addresses.size()) consider(round_->next_at);
  for (const auto& session : sessions_) consider(session->next_deadline(now));
  return earliest;
}

std::optional<base::SteadyTime> Upstream::next_attempt(base::SteadyTime now) const {
  if (!wants_round()) return std::nullopt;
  return reconnect_.next(mitigating_ || urgent_, now);
}

void Upstream::add(const Errand& errand, base::SteadyTime now, UpstreamOutput& out) {
  if (!errands_.emplace(errand.id, errand).second) return;
  for (const auto& session : sessions_) {
    if (!session->is_open()) continue;
    SessionOutput output;
    session->add(errand, now, output);
    absorb(session->id(), std::move(output), now, out);
  }
}

void Upstream::remove(signal::client::SendId id, base::SteadyTime now, UpstreamOutput& out) {
  if (errands_.erase(id) == 0) return;
  for (const auto& session : sessions_) {
    if (!session->is_open()) continue;
    SessionOutput output;
    session->remove(id, now, output);
    absorb(session->id(), std::move(output), now, out);
  }
}

void Upstream::set_need(bool mitigating, bool urgent, base::SteadyTime now, UpstreamOutput& out) {
  if (mitigating == mitigating_ && urgent == urgent_) return;
  mitigating_ = mitigating;
  urgent_ = urgent;
  review(now, out);
}

void Upstream::close_all(UpstreamOutput& out) {
  started_ = false;
  round_.reset();
  while (!sessions_.empty()) drop(sessions_.back()->id(), out);
}

void Upstream::absorb(base::SessionId id, SessionOutput&& output, base::SteadyTime now, UpstreamOutput& out) {
  for (base::Bytes& datagram : output.send) out.send.push_back({id, std::move(datagram)});
  Session* session = find(id);
  const std::string server = model::to_string(session->server());
  if (output.opened) {
    reconnect_.on_established();
    last_failure_.clear();
    tell("CLIENT_SESSION_OPENED", server, out);
    // Everything that still waits for an answer goes over the new session as well.
    SessionOutput sent;
    for (const auto& [send_id, errand] : errands_) session->add(errand, now, sent);
    absorb(id, std::move(sent), now, out);
  }
  for (ErrandAnswer& answer : output.answers) {
    const auto it = errands_.find(answer.id);
    if (it == errands_.end()) continue;
    // The first answer counts; an observation goes on at every session until it is refused.
    if (!it->second.observe || !model::is_success(answer.answer.code)) remove(answer.id, now, out);
    out.answers.push_back(std::move(answer));
  }
  session = find(id);
  if (session == nullptr) return;
  if (output.lost) {
    tell("CLIENT_SESSION_LOST",
         server + ": " + std::to_string(session->missed_heartbeats()) + " heartbeats in a row without an answer" +
             (mitigating_ ? "; it is kept, because a mitigation is wanted" : ""),
         out);
  }
  if (output.recovered) tell("CLIENT_SESSION_RECOVERED", server, out);
  if (output.closed) {
    if (session->is_open()) {
      tell("CLIENT_SESSION_CLOSED", server + ": " + output.reason, out);
    } else {
      last_failure_ = server + ": " + output.reason;
    }
    drop(id, out);
  }
}

void Upstream::drop(base::SessionId id, UpstreamOutput& out) {
  const auto it =
      std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& session) { return session->id() == id; });
  if (it == sessions_.end()) return;
  SessionOutput output;
  (*it)->close(output);
  for (base::Bytes& datagram : output.send) out.send.push_back({id, std::move(datagram)});
  out.close.push_back(id);
  sessions_.erase(it);
}

void Upstream::review(base::SteadyTime now, UpstreamOutput& out) {
  std::vector<base::SessionId> alive, lost, attempts;
  for (const auto& session : sessions_) {
    (!session->is_open() ? attempts : session->is_lost() ? lost : alive).push_back(session->id());
  }
  // Traffic is there: no attempt is needed, and of two sessions the new one stays (RFC 9132 4.7).
  if (!alive.empty()) {
    round_.reset();
    for (const base::SessionId id : attempts) drop(id, out);
    for (std::size_t i = 0; i + 1 < alive.size(); ++i) drop(alive[i], out);
  }
  // Without an attack, silence means disconnected; during one it means that the link is full.
  if (!mitigating_) {
    for (const base::SessionId id : lost) drop(id, out);
  }
  if (!started_) return;
  if (round_) continue_round(now, out);
  if (wants_round() && reconnect_.next(mitigating_ || urgent_, now) <= now) begin_round(now, out);
}

void Upstream::begin_round(base::SteadyTime now, UpstreamOutput& out) {
  // Two sessions at most: of two lost ones the newer gives way, the older may still be heard by the server.
  std::vector<base::SessionId> lost;
  for (const auto& session : sessions_) {
    if (session->is_open() && session->is_lost()) lost.push_back(session->id());
  }
  for (std::size_t i = 1; i < lost.size(); ++i) drop(lost[i], out);
  reconnect_.on_attempt(now);
  round_ = Round{};
  round_->next_at = now;
  if (settings_.addresses.empty()) {
    round_->resolving = true;
    out.resolve = settings_.host;
    return;
  }
  round_->addresses = settings_.addresses;
  continue_round(now, out);
}

void Upstream::continue_round(base::SteadyTime now, UpstreamOutput& out) {
  if (round_->resolving) return;
  while (round_->next < round_->addresses.size() && round_->next_at <= now) {
    const model::SocketAddress address = round_->addresses[round_->next++];
    round_->next_at = now + (mitigating_ ? kAttemptDelayAttack : kAttemptDelay);
    ports::ChannelEvents events;
    auto channel = connector_->connect(settings_.host, events);
    if (!channel) {
      last_failure_ = model::to_string(address) + ": " + channel.error().message;
      round_->next_at = now;
      continue;
    }
    const base::SessionId id{++*ids_};
    out.open.push_back({id, address});
    sessions_.push_back(std::make_unique<Session>(id, address, std::move(*channel), settings_.session,
                                                  signal::client::next_random(random_), now));
    SessionOutput output;
    output.send = std::move(events.datagrams);
    output.closed = events.closed;
    output.reason = events.reason;
    absorb(id, std::move(output), now, out);
  }
  const bool attempts =
      std::any_of(sessions_.begin(), sessions_.end(), [](const auto& session) { return !session->is_open(); });
  if (round_->next < round_->addresses.size()) {
    if (!attempts) round_->next_at = now;
    return;
  }
  if (!attempts) end_round(out);
}

void Upstream::end_round(UpstreamOutput& out) {
  round_.reset();
  if (last_failure_.empty()) last_failure_ = "no address of " + settings_.host + " is known";
  tell("CLIENT_SESSION_FAILED", last_failure_ + " (attempt " + std::to_string(reconnect_.failed_attempts()) + ")", out);
}

std::vector<SessionView> Upstream::view(base::SteadyTime now) const {
  std::vector<SessionView> views;
  for (const auto& session : sessions_) {
    SessionView view;
    view.id = session->id();
    view.server = session->server();
    view.state = !session->is_open() ? "connecting" : session->is_lost() ? "lost" : "open";
    view.age = now - session->since();
    view.missed_heartbeats = session->missed_heartbeats();
    view.round_trip = session->round_trip(now);
    view.waiting = session->waiting();
    views.push_back(std::move(view));
  }
  return views;
}

void Upstream::tell(const char* id, const std::string& text, UpstreamOutput& out) const {
  out.messages.push_back({id, "server " + settings_.name + ", " + text});
}

}  // namespace dots::agent::client
