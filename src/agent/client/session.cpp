#include "agent/client/session.h"

#include <algorithm>
#include <cctype>

#include "coap/repetition.h"
#include "wire/messages.h"
#include "wire/uri_path.h"

namespace dots::agent::client {

namespace {

constexpr std::size_t kMaxDiagnosticBytes = 500;

// Text of a peer for logs and screens: bounded, without control characters.
std::string printable(base::ByteView payload) {
  std::string text(base::as_text(payload.subspan(0, std::min(payload.size(), kMaxDiagnosticBytes))));
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
  return text;
}

// A refusal with a reason has its diagnostic text inside (docs/extensions.md).
void lift_diagnostic(signal::client::Answer& answer) {
  if (!model::is_success(answer.code) && !answer.entries.empty()) answer.diagnostic = answer.entries.front().diagnostic;
}

}  // namespace

signal::client::Answer answer_of(signal::client::SendId id, const coap::Response& response) {
  signal::client::Answer answer;
  answer.code = response.code;
  answer.max_age_s = response.max_age_s;
  if (response.payload.empty()) return answer;
  if (response.code == model::ResponseCode::service_unavailable &&
      response.content_format == wire::kContentFormatDots) {
    auto redirect = wire::decode_redirected_signal(response.payload);
    if (redirect) {
      answer.redirect = std::move(*redirect);
    } else {
      // Or it says which filters could not be switched (RFC 9133 3.2.1), or why it refuses.
      auto filters = wire::decode_mitigation_answer(response.payload);
      if (filters && !filters->empty()) {
        answer.entries = std::move(*filters);
        lift_diagnostic(answer);
      } else {
        answer.diagnostic = "its redirection cannot be read: " + redirect.error().diagnostic;
      }
    }
    return answer;
  }
  const bool text = response.content_format != wire::kContentFormatDots && !model::is_success(response.code);
  if (text) {
    answer.diagnostic = printable(response.payload);
    return answer;
  }
  // Some servers put text into a 2.02: with success only 2.01, 2.04 and 2.05 have a body that means something.
  if (response.code == model::ResponseCode::deleted) return answer;
  if (signal::client::is_config(id)) {
    auto config = wire::decode_session_config(response.payload);
    if (config) {
      answer.config = std::move(*config);
    } else {
      answer.diagnostic = "its body cannot be read: " + config.error().diagnostic;
    }
    return answer;
  }
  auto entries = wire::decode_mitigation_answer(response.payload);
  if (entries) {
    answer.entries = std::move(*entries);
    lift_diagnostic(answer);
  } else {
    answer.diagnostic = "its body cannot be read: " + entries.error().diagnostic;
  }
  return answer;
}

Session::Session(base::SessionId id, const Way& way, std::unique_ptr<ports::SecureChannel> channel,
                 const SessionSettings& settings, std::uint64_t seed, base::SteadyTime now)
    : id_(id),
      way_(way),
      channel_(std::move(channel)),
      settings_(settings),
      seed_(seed),
      since_(now),
      handshake_deadline_(now + settings.handshake_time),
      outbox_(way.transport == model::Transport::tcp) {
  if (const auto timeout = channel_->timeout()) channel_timeout_ = now + *timeout;
}

void Session::on_datagram(base::ByteView datagram, base::SteadyTime now, SessionOutput& out) {
  ports::ChannelEvents events;
  channel_->on_datagram(datagram, events);
  absorb_channel(std::move(events), now, out);
}

void Session::on_timer(base::SteadyTime now, SessionOutput& out) {
  if (channel_timeout_ && now >= *channel_timeout_) {
    ports::ChannelEvents events;
    channel_->on_timeout(events);
    absorb_channel(std::move(events), now, out);
  }
  if (handshake_deadline_ && now >= *handshake_deadline_ && !out.closed) {
    out.closed = true;
    out.reason = "no handshake within " + std::to_string(base::whole_seconds(settings_.handshake_time)) + " s";
    return;
  }
  if (!endpoint_) return;
  // Before the endpoint repeats: whose turn is over gives way instead of being sent once more.
  if (is_open()) pump(now, out);
  coap::Effects effects;
  endpoint_->on_timer(now, effects);
  if (!effects.send.empty()) outbox_.on_repeated(now);
  absorb_coap(std::move(effects), now, out);
  if (is_open()) on_heartbeat(heartbeat_->on_timer(now), now, out);
}

std::optional<base::SteadyTime> Session::next_deadline(base::SteadyTime now) const {
  std::optional<base::SteadyTime> earliest;
  const auto consider = [&](const std::optional<base::SteadyTime>& at) {
    if (at && (!earliest || *at < *earliest)) earliest = at;
  };
  consider(channel_timeout_);
  consider(handshake_deadline_);
  if (endpoint_) consider(endpoint_->next_deadline());
  if (is_open()) {
    consider(heartbeat_->next_deadline());
    consider(outbox_.next_deadline(now));
  }
  return earliest;
}

void Session::add(const Errand& errand, base::SteadyTime now, SessionOutput& out) {
  outbox_.add(errand);
  pump(now, out);
}

void Session::remove(signal::client::SendId id, base::SteadyTime now, SessionOutput& out) {
  coap::Effects effects;
  outbox_.remove(id, *endpoint_, now, effects);
  absorb_coap(std::move(effects), now, out);
}

void Session::close(SessionOutput& out) {
  if (!channel_->is_open()) return;
  ports::ChannelEvents events;
  channel_->close(events);
  for (base::Bytes& datagram : events.datagrams) out.send.push_back(std::move(datagram));
}

void Session::set_parameters(const model::ParameterSet& parameters, base::SteadyTime now) {
  settings_.parameters = parameters;
  if (!endpoint_) return;
  set_transmission();
  if (heartbeat_) heartbeat_->reconfigure(signal::heartbeat_config(settings_.parameters), now);
}

// REQUIRES: endpoint_, and with it an open channel.
void Session::set_transmission() {
  endpoint_->set_transmission(coap::repetition_of(settings_.parameters));
  endpoint_->allow_q_blocks(std::make_shared<const model::ParameterSet>(settings_.parameters),
                            channel_->max_plaintext());
  outbox_.set_transmission(coap::repetition_of(settings_.parameters));
}

void Session::absorb_channel(ports::ChannelEvents events, base::SteadyTime now, SessionOutput& out) {
  for (base::Bytes& datagram : events.datagrams) out.send.push_back(std::move(datagram));
  if (events.opened) {
    endpoint_.emplace(settings_.endpoint, seed_, way_.transport);
    set_transmission();
    coap::Effects effects;
    endpoint_->start(now, effects);
    absorb_coap(std::move(effects), now, out);
    if (endpoint_->peer_ready()) establish(now, out);
  }
  for (const base::Bytes& plaintext : events.plaintexts) {
    if (!endpoint_) break;
    heard_ = true;
    if (is_open()) on_heartbeat(heartbeat_->on_traffic(now), now, out);
    coap::Effects effects;
    endpoint_->on_datagram(plaintext, now, effects);
    if (!is_open() && endpoint_->peer_ready()) establish(now, out);
    absorb_coap(std::move(effects), now, out);
  }
  const auto timeout = channel_->timeout();
  channel_timeout_ = timeout ? std::optional(now + *timeout) : std::nullopt;
  if (events.closed) {
    out.closed = true;
    out.reason = events.reason;
  }
}

void Session::establish(base::SteadyTime now, SessionOutput& out) {
  handshake_deadline_.reset();
  since_ = now;
  heartbeat_.emplace(signal::Side::client, signal::heartbeat_config(settings_.parameters), now);
  out.opened = true;
}

void Session::absorb_coap(coap::Effects effects, base::SteadyTime now, SessionOutput& out) {
  out.counters += effects.counters;
  for (const coap::IncomingRequest& incoming : effects.requests) on_request(incoming, now, effects, out);
  for (const base::Bytes& plaintext : effects.send) {
    ports::ChannelEvents events;
    // What does not fit was refused in pump(); answers of ours are a few bytes.
    (void)channel_->send(plaintext, events);
    for (base::Bytes& datagram : events.datagrams) out.send.push_back(std::move(datagram));
    if (events.closed) {
      out.closed = true;
      out.reason = events.reason;
    }
  }
  for (const coap::IncomingResponse& response : effects.responses) {
    if (heartbeat_request_ == response.request) {
      heartbeat_request_.reset();
      if (response.unambiguous) outbox_.on_round_trip(response.since_last_send, now);
      on_heartbeat(heartbeat_->on_answer(now), now, out);
      continue;
    }
    if (const auto whole = outbox_.on_response(response, now)) {
      out.answers.push_back({whole->id, answer_of(whole->id, whole->response)});
    }
  }
  for (const coap::RequestFailed& failure : effects.failures) {
    if (heartbeat_request_ == failure.request) {
      heartbeat_request_.reset();
      on_heartbeat(heartbeat_->on_no_answer(now), now, out);
    } else if (const auto refused = outbox_.on_failure(failure)) {
      out.answers.push_back({refused->id, answer_of(refused->id, refused->response)});
    }
  }
  if (!effects.close_reason.empty()) {
    out.closed = true;
    out.reason = effects.close_reason;
    return;
  }
  if (!effects.responses.empty() || !effects.failures.empty()) pump(now, out);
}

void Session::on_request(const coap::IncomingRequest& incoming, base::SteadyTime now, coap::Effects& effects,
                         SessionOutput& out) {
  coap::Response response;
  const auto refuse = [&](model::ResponseCode code, std::string_view diagnostic) {
    response.code = code;
    const base::ByteView text = base::as_bytes(diagnostic);
    response.payload.assign(text.begin(), text.end());
  };
  std::optional<bool> status;
  const auto path = wire::parse_path(incoming.request.uri_path);
  if (!path) {
    refuse(path.error().code, path.error().diagnostic);
  } else if (!std::holds_alternative<wire::HeartbeatPath>(*path)) {
    refuse(model::ResponseCode::not_found, "a DOTS client serves heartbeats only");
  } else if (incoming.request.method != wire::Method::put) {
    refuse(model::ResponseCode::method_not_allowed, "heartbeats are sent with PUT");
  } else {
    const auto heartbeat = wire::decode_heartbeat(incoming.request.payload);
    if (heartbeat) {
      response.code = model::ResponseCode::changed;
      status = heartbeat->peer_hb_status;
    } else {
      refuse(heartbeat.error().code, heartbeat.error().diagnostic);
    }
  }
  endpoint_->respond(incoming.exchange, response, false, now, effects);
  if (status) on_heartbeat(heartbeat_->on_peer_heartbeat(*status, now), now, out);
}

void Session::on_heartbeat(const signal::HeartbeatEffects& effects, base::SteadyTime now, SessionOutput& out) {
  out.lost = out.lost || effects.lost;
  out.recovered = out.recovered || effects.recovered;
  if (!effects.send_peer_hb_status) return;
  coap::Request request;
  request.method = wire::Method::put;
  request.uri_path = wire::to_segments(wire::HeartbeatPath{});
  request.content_format = wire::kContentFormatDots;
  request.payload = wire::encode(wire::Heartbeat{*effects.send_peer_hb_status});
  coap::Repetition once;
  once.tries = 1;
  // The next heartbeat counts this one as unanswered anyway (RFC 9132 4.7).
  once.patience = model::duration_of(settings_.parameters, model::Parameter::heartbeat_interval);
  if (heartbeat_request_) endpoint_->cancel(*heartbeat_request_);
  coap::Effects sent;
  heartbeat_request_ = endpoint_->send(request, once, now, sent);
  absorb_coap(std::move(sent), now, out);
}

void Session::pump(base::SteadyTime now, SessionOutput& out) {
  coap::Effects effects;
  std::deque<signal::client::SendId> too_large;
  const std::size_t most = std::min(channel_->max_plaintext(), endpoint_->max_message());
  outbox_.pump(*endpoint_, most, now, effects, too_large);
  for (const signal::client::SendId id : too_large) {
    signal::client::Answer answer;
    answer.code = model::ResponseCode::request_entity_too_large;
    answer.diagnostic =
        "the request does not fit one message of " + std::to_string(most) + " bytes: split it into several requests";
    out.answers.push_back({id, std::move(answer)});
  }
  absorb_coap(std::move(effects), now, out);
}

}  // namespace dots::agent::client
