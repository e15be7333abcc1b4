#include "agent/client/upstream.h"

#include <algorithm>

#include "signal/client/identifiers.h"

namespace dots::agent::client {

namespace {
// RFC 9132 4.3 and RFC 8305: between attempts to different addresses.
constexpr base::Duration kAttemptDelayAttack = std::chrono::milliseconds{100};
constexpr base::Duration kAttemptDelay = std::chrono::milliseconds{250};
constexpr std::size_t kMaxAddresses = 16;
// Handshakes over UDP that have come to no end in this time get another one beside them, from a port of its own: the
// path of the first may be a bad one, by a translator or by how routers spread flows.
constexpr base::Duration kBesideAfter = std::chrono::seconds{8};
constexpr std::ptrdiff_t kSideBySide = 3;
}  // namespace

Upstream::Upstream(UpstreamSettings settings, const Connectors& connectors, std::uint64_t& ids, std::uint64_t seed)
    : settings_(std::move(settings)), connectors_(connectors), ids_(&ids), random_(seed), reconnect_(settings_.retry) {
  settings_.udp_probe = std::max(settings_.udp_probe, kMinUdpProbe);
  settings_.tcp = settings_.tcp && connectors_.stream != nullptr;
}

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

std::size_t Upstream::open_sessions() const {
  return static_cast<std::size_t>(
      std::count_if(sessions_.begin(), sessions_.end(), [](const auto& session) { return session->is_open(); }));
}

std::optional<base::SteadyTime> Upstream::doubtful_at() const {
  std::optional<base::SteadyTime> first;
  for (const auto& session : sessions_) {
    if (!session->is_open() || session->is_lost()) continue;
    const auto at = session->doubtful_at();
    if (at && (!first || *at < *first)) first = at;
  }
  return first;
}

std::optional<base::SteadyTime> Upstream::next_parallel(base::SteadyTime now) const {
  if (!started_ || !connected() || connecting()) return std::nullopt;
  auto at = doubtful_at();
  if (!at) return std::nullopt;
  // Two sessions carry the request already: they have their time first.
  if (open_sessions() > 1) *at += kMinRetry;
  return std::max(*at, reconnect_.next_parallel(now));
}

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
  if (session == nullptr) return;
  const Way way = session->way();
  if (session->is_open()) {
    if (way.transport == model::Transport::udp) return;
    tell("CLIENT_SESSION_CLOSED", to_string(way) + ": " + reason, out);
  } else {
    last_failure_ = to_string(way) + ": " + reason;
    memory_.failed(way, reason, now);
    // The next way at once; but another handshake beside one that is silent keeps to its time.
    if (round_ && round_->next < round_->ways.size()) round_->next_at = now;
  }
  drop(id, out);
  review(now, out);
}

void Upstream::on_resolved(const ports::Resolution& resolution, base::SteadyTime now, UpstreamOutput& out) {
  if (!round_ || !round_->resolving || resolution.name != settings_.host) return;
  round_->resolving = false;
  if (resolution.outcome == ports::Resolution::Outcome::answered && !resolution.addresses.empty()) {
    resolved_.clear();
    for (const model::IpAddress& address : resolution.addresses) resolved_.push_back({address, settings_.port});
    // Of many, both families stay.
    std::stable_partition(resolved_.begin(), resolved_.end(),
                          [](const auto& address) { return address.ip.family == model::Family::ipv6; });
    if (resolved_.size() > kMaxAddresses) resolved_.resize(kMaxAddresses);
  } else {
    // The last answer that was good serves on: name servers are often dead in an attack.
    last_failure_ = "'" + settings_.host + "' cannot be looked up: " + resolution.reason;
  }
  set_ways(now);
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
  consider(next_parallel(now));
  if (round_ && !round_->resolving && round_->next < round_->ways.size()) consider(round_->next_at);
  consider(next_beside(now));
  consider(next_probe());
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

void Upstream::set_parameters(const model::ParameterSet& parameters, base::SteadyTime now) {
  if (parameters == settings_.session.parameters) return;
  settings_.session.parameters = parameters;
  for (const auto& session : sessions_) session->set_parameters(parameters, now);
}

void Upstream::close_all(UpstreamOutput& out) {
  started_ = false;
  round_.reset();
  while (!sessions_.empty()) drop(sessions_.back()->id(), out);
}

void Upstream::absorb(base::SessionId id, SessionOutput&& output, base::SteadyTime now, UpstreamOutput& out) {
  out.counters += output.counters;
  for (base::Bytes& datagram : output.send) out.send.push_back({id, std::move(datagram)});
  Session* session = find(id);
  const Way way = session->way();
  const std::string server = to_string(way);
  if (output.opened) {
    reconnect_.on_established();
    last_failure_.clear();
    memory_.worked(way, now);
    tell("CLIENT_SESSION_OPENED", server + (session->resumed() ? ", resumed" : ""), out);
    out.opened = true;
    for (const auto& other : sessions_) {
      if (other->id() != id && other->is_open() && other->way() == way && other->round_trip(now)) {
        session->inherit(*other);
      }
    }
    // Everything that still waits for an answer goes over the new session as well. In an attack nothing is asked about
    // the configuration (RFC 9132 4.5.3); who wants it asks again afterwards.
    SessionOutput sent;
    for (const auto& [send_id, errand] : errands_) {
      if (!mitigating_ || !signal::client::is_config(send_id)) session->add(errand, now, sent);
    }
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
      memory_.failed(way, output.reason, now);
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

Session* Upstream::best() const {
  Session* best = nullptr;
  for (const auto& session : sessions_) {
    if (!session->is_open() || session->is_lost()) continue;
    if (best == nullptr || session->way().transport <= best->way().transport) best = session.get();
  }
  return best;
}

void Upstream::review(base::SteadyTime now, UpstreamOutput& out) {
  std::vector<base::SessionId> dropped;
  const Session* const living = best();
  const auto doubtful = doubtful_at();
  // A session that a parallel attempt has opened ends it, although the doubt lasts until the server speaks.
  const bool found = round_ && round_->parallel && living != nullptr && living->since() >= round_->begun;
  const bool doubt = doubtful && *doubtful <= now;
  const bool settled = living != nullptr && (found || !doubt);
  // Traffic is there: no attempt is needed but one for a better transport (RFC 9132 4.7).
  if (settled && round_ && !(round_->probe && living->way().transport == model::Transport::tcp)) round_.reset();
  bool before_it = true;
  for (const auto& session : sessions_) {
    if (living == nullptr) break;
    if (session.get() == living) {
      before_it = false;
    } else if (session->is_open()) {
      // Of two sessions the new one stays; in doubt once the server has spoken on it: until then both carry everything.
      if (!session->is_lost() && (!doubt || living->has_heard())) dropped.push_back(session->id());
    } else if (settled && session->way().transport >= living->way().transport) {
      if (before_it && session->way() != living->way())
        memory_.failed(session->way(), "no answer while another way answered", now);
      dropped.push_back(session->id());
    }
  }
  // Without an attack, silence means disconnected; during one it means that the link is full.
  for (const auto& session : sessions_) {
    if (!mitigating_ && session->is_open() && session->is_lost()) dropped.push_back(session->id());
  }
  for (const base::SessionId id : dropped) drop(id, out);
  if (!started_) return;
  if (const auto probe = next_probe(); probe && *probe <= now) begin_round(false, now, out);
  if (round_) continue_round(now, out);
  if (wants_round() && reconnect_.next(mitigating_ || urgent_, now) <= now) begin_round(false, now, out);
  if (const auto at = next_parallel(now); at && *at <= now) begin_round(true, now, out);
}

std::optional<base::SteadyTime> Upstream::next_probe() const {
  const Session* const living = best();
  if (!started_ || !settings_.udp || living == nullptr || living->way().transport == model::Transport::udp ||
      connecting()) {
    return std::nullopt;
  }
  return std::max(living->since(), udp_tried_at_.value_or(living->since())) + settings_.udp_probe;
}

void Upstream::begin_round(bool parallel, base::SteadyTime now, UpstreamOutput& out) {
  // Two sessions at most: of two lost ones the newer gives way, the older may still be heard by the server; of others a
  // lost one, or else the older.
  std::vector<base::SessionId> lost, open;
  for (const auto& session : sessions_) {
    if (session->is_open()) open.push_back(session->id());
    if (session->is_open() && session->is_lost()) lost.push_back(session->id());
  }
  for (std::size_t i = 1; i < lost.size(); ++i) drop(lost[i], out);
  if (parallel && open_sessions() > 1) drop(lost.empty() ? open.front() : lost.front(), out);
  round_ = Round{};
  round_->next_at = now;
  round_->begun = now;
  round_->parallel = parallel;
  round_->probe = !parallel && best() != nullptr;
  if (round_->probe) {
    udp_tried_at_ = now;
  } else if (parallel) {
    tell("CLIENT_PARALLEL_SESSION", "a request goes unanswered", out);
    reconnect_.on_parallel_attempt(now);
  } else {
    reconnect_.on_attempt(now);
  }
  if (settings_.addresses.empty()) {
    round_->resolving = true;
    out.resolve = settings_.host;
    return;
  }
  set_ways(now);
  continue_round(now, out);
}

void Upstream::set_ways(base::SteadyTime now) {
  const auto& addresses = settings_.addresses.empty() ? resolved_ : settings_.addresses;
  round_->ways = ways_to(addresses, settings_.udp, settings_.tcp && !round_->probe);
  if (!round_->probe) round_->ways = memory_.worth_trying(std::move(round_->ways), now);
}

bool Upstream::attempt(const Way& way, base::SteadyTime now, UpstreamOutput& out) {
  ports::ChannelEvents events;
  const bool udp = way.transport == model::Transport::udp;
  if (udp) udp_tried_at_ = now;
  auto channel = (udp ? connectors_.datagram : connectors_.stream)->connect(settings_.host, events);
  if (!channel) {
    last_failure_ = to_string(way) + ": " + channel.error().message;
    return false;
  }
  const base::SessionId id{++*ids_};
  out.open.push_back({id, way});
  SessionSettings settings = settings_.session;
  settings.handshake_time -= now - round_->begun;  // the attempt ends as a whole
  sessions_.push_back(
      std::make_unique<Session>(id, way, std::move(*channel), settings, signal::client::next_random(random_), now));
  SessionOutput output;
  output.send = std::move(events.datagrams);
  output.closed = events.closed;
  output.reason = events.reason;
  absorb(id, std::move(output), now, out);
  return true;
}

std::optional<base::SteadyTime> Upstream::next_beside(base::SteadyTime now) const {
  if (!round_ || round_->resolving || round_->probe || round_->next < round_->ways.size()) return std::nullopt;
  if (!mitigating_ && !urgent_) return std::nullopt;
  const auto at = std::max(now, round_->next_at);
  // Not when the end of the attempt is near.
  if (at + kBesideAfter - round_->begun >= settings_.session.handshake_time) return std::nullopt;
  const auto running = std::count_if(sessions_.begin(), sessions_.end(), [](const auto& session) {
    return !session->is_open() && session->way().transport == model::Transport::udp;
  });
  return running > 0 && running < kSideBySide ? std::optional(at) : std::nullopt;
}

void Upstream::continue_round(base::SteadyTime now, UpstreamOutput& out) {
  if (round_->resolving) return;
  while (round_->next < round_->ways.size() && round_->next_at <= now) {
    round_->next_at = now + (mitigating_ ? kAttemptDelayAttack : kAttemptDelay);
    if (!attempt(round_->ways[round_->next++], now, out)) round_->next_at = now;
    if (round_->next == round_->ways.size()) round_->next_at = now + kBesideAfter;
  }
  const auto running = [&](auto&& wanted) {
    return std::find_if(sessions_.begin(), sessions_.end(),
                        [&](const auto& session) { return !session->is_open() && wanted(*session); });
  };
  const bool attempts = running([](const Session&) { return true; }) != sessions_.end();
  if (round_->next < round_->ways.size()) {
    if (!attempts) round_->next_at = now;
    return;
  }
  if (!attempts) return end_round(out);
  if (const auto at = next_beside(now); at && *at <= now) {
    const auto silent = running([](const Session& s) { return s.way().transport == model::Transport::udp; });
    round_->next_at = now + kBesideAfter;
    attempt((*silent)->way(), now, out);
  }
}

void Upstream::end_round(UpstreamOutput& out) {
  const bool probe = round_->probe;
  round_.reset();
  if (probe) return;
  memory_.forget();  // what worked does not any more: next time everything is tried
  if (last_failure_.empty()) last_failure_ = "no address of " + settings_.host + " is known";
  tell("CLIENT_SESSION_FAILED", last_failure_ + " (attempt " + std::to_string(reconnect_.failed_attempts()) + ")", out);
}

std::vector<SessionView> Upstream::view(base::SteadyTime now) const {
  std::vector<SessionView> views;
  for (const auto& session : sessions_) {
    SessionView view;
    view.id = session->id();
    view.way = session->way();
    const auto& addresses = settings_.addresses.empty() ? resolved_ : settings_.addresses;
    view.why = memory_.why(ways_to(addresses, settings_.udp, settings_.tcp), view.way);
    view.state = !session->is_open() ? "connecting" : session->is_lost() ? "lost" : "open";
    view.age = now - session->since();
    view.resumed = session->resumed();
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
