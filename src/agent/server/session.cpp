#include "agent/server/session.h"

#include <algorithm>
#include <utility>

#include "base/overload.h"
#include "coap/block.h"
#include "coap/repetition.h"

#include "signal/server/answers.h"
#include "wire/uri_path.h"

namespace dots::agent::server {
namespace {

using model::ResponseCode;
using namespace signal::server;

constexpr std::uint32_t kThrottleMaxAgeS = 1;
constexpr base::Duration kThrottleQuiet = std::chrono::seconds{60};
// What a response needs beside its payload: header, token, and the options that answers of ours can carry.
constexpr std::size_t kCoapOverhead = 6 + 8 + 2 + 9 + 5 + 5 + 6 + 4 + 4 + 1;

coap::Response to_response(const Answer& answer) {
  coap::Response response;
  response.code = answer.code;
  response.max_age_s = answer.max_age_s;
  if (!answer.entries.empty()) {
    response.content_format = wire::kContentFormatDots;
    response.payload = wire::encode(answer.entries);
  } else {
    // A diagnostic payload has no Content-Format (RFC 7252 5.5.2; RFC 9132 section 3).
    response.payload.assign(answer.diagnostic.begin(), answer.diagnostic.end());
  }
  return response;
}

void leave_out_extensions(model::MitigationRequest& request) {
  request.extensions = false;
  request.contract_id.reset();
  request.requested_service.reset();
}

coap::Response to_response(const ConfigAnswer& answer) {
  coap::Response response;
  response.code = answer.code;
  response.max_age_s = answer.max_age_s;
  if (answer.config) {
    response.content_format = wire::kContentFormatDots;
    response.payload = wire::encode(*answer.config);
  } else {
    response.payload.assign(answer.diagnostic.begin(), answer.diagnostic.end());
  }
  return response;
}

std::shared_ptr<const SessionParameters> or_default(std::shared_ptr<const SessionParameters> parameters) {
  if (parameters) return parameters;
  static const auto of_the_rfc = std::make_shared<const SessionParameters>(
      SessionParameters{std::nullopt, {model::in_force({}, {}), model::in_force({}, {})}, false});
  return of_the_rfc;
}

std::optional<base::SteadyTime> earlier(std::optional<base::SteadyTime> a, std::optional<base::SteadyTime> b) {
  if (!a) return b;
  if (!b) return a;
  return std::min(*a, *b);
}

}  // namespace

Session::Session(base::SessionId id, std::optional<policy::KnownClient> client, std::size_t max_plaintext,
                 std::shared_ptr<const SessionSettings> settings, std::uint64_t seed, base::Now now,
                 model::Transport transport)
    : id_(id),
      client_(std::move(client)),
      max_plaintext_(max_plaintext),
      settings_(std::move(settings)),
      opened_(now.steady),
      over_tcp_(transport == model::Transport::tcp),
      parameters_(or_default(settings_->parameters)),
      endpoint_(settings_->endpoint, seed, transport),
      heartbeat_(signal::Side::server, heartbeat_config(), now.steady) {
  set_transmission();
}

// The aliasing pointers keep the parameters that they point into.
void Session::set_transmission() {
  endpoint_.set_transmission(coap::repetition_of(parameters_->in_force()));
  endpoint_.allow_q_blocks({parameters_, &parameters_->in_force()}, max_plaintext_, settings_->block_bytes);
}

void Session::start(base::Now now, SessionOutput& out) {
  coap::Effects effects;
  endpoint_.start(now.steady, effects);
  absorb(std::move(effects), now, out);
}

void Session::release(const std::string& why, SessionOutput& out) {
  coap::Effects effects;
  endpoint_.release(why, effects);
  for (auto& bytes : effects.send) out.send.push_back(std::move(bytes));
}

std::size_t Session::payload_room() const {
  const std::size_t most = std::min(max_plaintext_, endpoint_.max_message());
  return most > kCoapOverhead ? most - kCoapOverhead : 0;
}

void Session::on_plaintext(base::ByteView plaintext, base::Now now, SessionOutput& out) {
  if (client_) heartbeat_effects(heartbeat_.on_traffic(now.steady), now, out);
  coap::Effects effects;
  endpoint_.on_datagram(plaintext, now.steady, effects);
  absorb(std::move(effects), now, out);
}

void Session::on_timer(base::Now now, SessionOutput& out) {
  if (!client_ && now.steady - opened_ >= settings_->stranger_time) {
    out.close_reason = "the session's credential belongs to no configured client";
    return;
  }
  if (const auto closes = redirect_.closes_at(); closes && *closes <= now.steady) {
    out.close_reason = "redirected to " + redirect_.order()->to.alt_server;
    return;
  }
  if (bodies_) {
    bodies_->expire(now.steady);
    if (bodies_->empty()) bodies_.reset();
  }
  coap::Effects effects;
  endpoint_.on_timer(now.steady, effects);
  absorb(std::move(effects), now, out);
  if (client_ && !redirect_.leaving()) heartbeat_effects(heartbeat_.on_timer(now.steady), now, out);
}

std::optional<base::SteadyTime> Session::next_deadline() const {
  const auto own = !client_              ? opened_ + settings_->stranger_time
                   : redirect_.leaving() ? redirect_.closes_at()
                                         : heartbeat_.next_deadline();
  const auto coap = earlier(own, endpoint_.next_deadline());
  return bodies_ ? earlier(coap, bodies_->next_deadline()) : coap;
}

void Session::absorb(coap::Effects effects, base::Now now, SessionOutput& out) {
  for (auto& bytes : effects.send) out.send.push_back(std::move(bytes));
  out.counters += effects.counters;
  if (!effects.close_reason.empty()) out.close_reason = std::move(effects.close_reason);
  for (const auto& response : effects.responses) {
    if (heartbeat_request_ && response.request == *heartbeat_request_) {
      heartbeat_request_.reset();
      heartbeat_effects(heartbeat_.on_answer(now.steady), now, out);
    }
  }
  for (const auto& failure : effects.failures) {
    if (heartbeat_request_ && failure.request == *heartbeat_request_) {
      heartbeat_request_.reset();
      heartbeat_effects(heartbeat_.on_no_answer(now.steady), now, out);
    }
  }
  for (auto& ended : effects.ended) {
    observed_.erase(ended.token);
    out.to_domain.emplace_back(ObservationCancelled{id_, std::move(ended.token)});
  }
  for (auto& request : effects.requests) handle(request, now, out);
}

void Session::handle(coap::IncomingRequest& incoming, base::Now now, SessionOutput& out) {
  ++out.requests;
  if (!within_rate(incoming.request, now)) {
    throttle(incoming.exchange, now, out);
    return;
  }
  if (!client_) {
    refuse(incoming.exchange, {ResponseCode::unauthorized, "this credential is not known to the server as a client"},
           now, out);
    return;
  }
  if (redirect_.concerns(incoming.request)) {
    respond(incoming.exchange, redirect_.response(), false, now, out);
    tell_redirect(now, out);
    return;
  }
  if (blocks_) {
    if (auto block = blocks_->next(incoming.request, payload_room(), now.steady, endpoint_.reliable())) {
      respond(incoming.exchange, *block, false, now, out);
      return;
    }
  }
  if (incoming.request.block1 && !assemble(incoming.exchange, incoming.request, now, out)) return;
  Routed routed =
      route(incoming.request,
            Origin{id_, incoming.exchange, client_->client, incoming.token, client_->credential, now.steady},
            settings_->filter_control);
  std::visit(base::Overload{
                 [&](Refusal& refusal) { refuse(incoming.exchange, refusal, now, out); },
                 [&](wire::Heartbeat& heartbeat) {
                   ++out.heartbeats;
                   coap::Response response;
                   response.code = ResponseCode::changed;
                   respond(incoming.exchange, response, false, now, out);
                   heartbeat_effects(heartbeat_.on_peer_heartbeat(heartbeat.peer_hb_status, now.steady), now, out);
                 },
                 [&](GetMitigation& get) {
                   waiting_[incoming.exchange] = Get{incoming.token, incoming.request};
                   out.to_domain.emplace_back(std::move(get));
                 },
                 [&](GetConfig& get) {
                   get.over_tcp = over_tcp_;
                   waiting_[incoming.exchange] = Get{incoming.token, incoming.request};
                   out.to_domain.emplace_back(std::move(get));
                 },
                 [&](PutMitigation& put) {
                   if (!settings_->extensions) leave_out_extensions(put.request);
                   if (put.request.takes_extensions()) takes_extensions_ = true;
                   out.to_domain.emplace_back(std::move(put));
                 },
                 [&](auto& event) { out.to_domain.emplace_back(std::move(event)); },
             },
             routed);
}

bool Session::assemble(base::ExchangeId exchange, coap::Request& request, base::Now now, SessionOutput& out) {
  if (auto refusal = refuse_blocks(request)) {
    refuse(exchange, *refusal, now, out);
    return false;
  }
  if (!bodies_) bodies_ = std::make_unique<coap::BodyAssembly>(coap::BodyLimits{settings_->block_bytes});
  const std::uint32_t block1 = *request.block1;
  auto taken = bodies_->take(std::move(request), endpoint_.reliable(), now.steady);
  if (const auto* answer = std::get_if<coap::Response>(&taken)) {
    if (!model::is_success(answer->code)) {
      out.refusals.push_back(model::to_string(answer->code) + " " + std::string{base::as_text(answer->payload)});
    }
    respond(exchange, *answer, false, now, out);
    return false;
  }
  request = std::move(std::get<coap::Request>(taken));
  last_blocks_[exchange] = block1;
  return true;
}

void Session::heartbeat_effects(const signal::HeartbeatEffects& effects, base::Now now, SessionOutput& out) {
  if (effects.send_peer_hb_status && !redirect_.leaving()) {
    if (heartbeat_request_) endpoint_.cancel(*heartbeat_request_);
    coap::Request request;
    request.method = wire::Method::put;
    request.uri_path = wire::to_segments(wire::HeartbeatPath{});
    request.content_format = wire::kContentFormatDots;
    request.payload = wire::encode(wire::Heartbeat{*effects.send_peer_hb_status});
    coap::Repetition once;
    once.patience = model::duration_of(parameters_->in_force(), model::Parameter::heartbeat_interval);
    coap::Effects sent;
    heartbeat_request_ = endpoint_.send(request, once, now.steady, sent);
    for (auto& bytes : sent.send) out.send.push_back(std::move(bytes));
  }
  if (effects.quiet) out.to_domain.emplace_back(SessionEdge{SessionEdge::Kind::quiet, id_, client_->client});
  if (effects.lost) out.to_domain.emplace_back(SessionEdge{SessionEdge::Kind::silent, id_, client_->client});
  if (effects.recovered) out.to_domain.emplace_back(SessionEdge{SessionEdge::Kind::alive, id_, client_->client});
}

void Session::respond(base::ExchangeId exchange, const coap::Response& response, bool observe, base::Now now,
                      SessionOutput& out) {
  coap::Effects effects;
  if (const auto last = last_blocks_.find(exchange); last != last_blocks_.end()) {
    coap::Response with_block = response;
    with_block.block1 = last->second;
    last_blocks_.erase(last);
    endpoint_.respond(exchange, with_block, observe, now.steady, effects);
  } else {
    endpoint_.respond(exchange, response, observe, now.steady, effects);
  }
  absorb(std::move(effects), now, out);
}

// A withdrawal must always get through, and a heartbeat late is a loss; both are cheap.
bool Session::within_rate(const coap::Request& request, base::Now now) {
  static const std::vector<std::string> heartbeat = wire::to_segments(wire::HeartbeatPath{});
  if (request.method == wire::Method::del || request.uri_path == heartbeat) return true;
  return bucket_.take(settings_->rate, now.steady);
}

void Session::throttle(base::ExchangeId exchange, base::Now now, SessionOutput& out) {
  ++out.throttled;
  if (now.steady >= quiet_until_) out.throttling_began = true;
  quiet_until_ = now.steady + kThrottleQuiet;
  Answer answer = unavailable("too many requests on this session", kThrottleMaxAgeS, model::RefusalReason::rate);
  if (takes_extensions_) tell_reason(answer);
  respond(exchange, to_response(answer), false, now, out);
}

void Session::refuse(base::ExchangeId exchange, const Refusal& refusal, base::Now now, SessionOutput& out) {
  out.refusals.push_back(model::to_string(refusal.code) + " " + refusal.diagnostic);
  coap::Response response;
  response.code = refusal.code;
  response.payload.assign(refusal.diagnostic.begin(), refusal.diagnostic.end());
  respond(exchange, response, false, now, out);
}

// Cuts an answer that does not fit one datagram to its first block; false when it is too large even for blocks.
bool Session::fit(const coap::Request& request, coap::Response& response, base::Now now) {
  if (response.payload.size() <= payload_room() && !request.block2) return true;
  if (endpoint_.takes_q_blocks(request)) return response.payload.size() <= settings_->block_bytes;
  if (!blocks_) blocks_ = std::make_unique<BlockAnswer>();
  const bool bert =
      endpoint_.takes_bert() || (endpoint_.reliable() && request.block2 && coap::Block::of(*request.block2).is_bert());
  return blocks_->first(request, response, payload_room(), settings_->block_bytes, now.steady + settings_->block_time,
                        bert);
}

// The newest entries that fit when not all do (docs/decisions/requests.md).
bool Session::fit_newest(Answer answer, const coap::Request& request, coap::Response& response, base::Now now,
                         SessionOutput& out) {
  response = to_response(answer);
  while (!fit(request, response, now)) {
    const auto leave = static_cast<std::ptrdiff_t>(answer.entries.size() / 2);
    if (leave == 0) return false;
    answer.left_out += static_cast<std::size_t>(leave);
    answer.entries.erase(answer.entries.begin(), answer.entries.begin() + leave);
    response = to_response(answer);
  }
  if (answer.left_out > 0) {
    out.cut.push_back("client " + client_->client.value + " of domain " + client_->domain.value + ": " +
                      std::to_string(answer.entries.size()) + " entries shown, " + std::to_string(answer.left_out) +
                      " left out");
  }
  return true;
}

void Session::reply(const Reply& reply, base::Now now, SessionOutput& out) {
  answer(reply.exchange, reply.observe, now, out, [&](const coap::Request* get, coap::Response& response) {
    if (get != nullptr) return fit_newest(reply.answer, *get, response, now, out);
    response = to_response(reply.answer);
    return true;
  });
}

void Session::reply(const ConfigReply& reply, base::Now now, SessionOutput& out) {
  answer(reply.exchange, reply.observe, now, out, [&](const coap::Request* get, coap::Response& response) {
    response = to_response(reply.answer);
    return get == nullptr || fit(*get, response, now);
  });
}

void Session::answer(base::ExchangeId exchange, bool observe, base::Now now, SessionOutput& out,
                     const Rendering& render) {
  const auto waiting = waiting_.find(exchange);
  coap::Response response;
  if (waiting == waiting_.end()) {
    (void)render(nullptr, response);
  } else {
    Get get = std::move(waiting->second);
    waiting_.erase(waiting);
    if (!render(&get.request, response)) {
      refuse(exchange,
             {ResponseCode::internal_server_error, "the answer is too large: ask for one mid, or use c=n or c=c"}, now,
             out);
      return;
    }
    if (observe) observed(std::move(get), out);
  }
  respond(exchange, response, observe, now, out);
  if (observe) end_observations(now, out);
}

// One observation for each resource: a peer that lost its own (RFC 7641 3.6) registers anew, and shall not be told the
// same thing many times.
void Session::observed(Get get, SessionOutput& out) {
  for (auto it = observed_.begin(); it != observed_.end();) {
    const auto& [token, request] = *it;
    if (token == get.token || request.uri_path != get.request.uri_path || request.uri_query != get.request.uri_query) {
      ++it;
      continue;
    }
    endpoint_.end_observation(token);
    out.to_domain.emplace_back(ObservationCancelled{id_, token});
    it = observed_.erase(it);
  }
  observed_[std::move(get.token)] = std::move(get.request);
}

void Session::no_reply(const NoReply& no_reply, base::Now now, SessionOutput& out) {
  waiting_.erase(no_reply.exchange);
  last_blocks_.erase(no_reply.exchange);
  coap::Effects effects;
  endpoint_.ignore(no_reply.exchange, now.steady, effects);
  absorb(std::move(effects), now, out);
}

void Session::notify(const Notify& notify, base::Now now, SessionOutput& out) {
  tell(notify.token, now, out, [&](const coap::Request* get, coap::Response& response) {
    return fit_newest(notify.answer, *get, response, now, out);
  });
}

void Session::notify(const ConfigNotify& notify, base::Now now, SessionOutput& out) {
  tell(notify.token, now, out, [&](const coap::Request* get, coap::Response& response) {
    response = to_response(notify.answer);
    return fit(*get, response, now);
  });
}

void Session::tell(const base::Bytes& token, base::Now now, SessionOutput& out, const Rendering& render) {
  const auto observed = observed_.find(token);
  if (observed == observed_.end()) return;
  coap::Response response;
  // A notification that does not fit is cut to its first block; the client fetches the rest (RFC 7959 2.6).
  if (!render(&observed->second, response)) return;
  if (!model::is_success(response.code)) observed_.erase(observed);
  coap::Effects effects;
  endpoint_.notify(token, response, now.steady, effects);
  absorb(std::move(effects), now, out);
}

void Session::redirect(std::shared_ptr<const RedirectOrder> order, base::Duration grace, base::Now now,
                       SessionOutput& out) {
  if (!client_) return;
  redirect_.set(std::move(order), grace);
  end_observations(now, out);
}

// Observers hear of a redirection at once; a 5.03 ends their observations (RFC 7641 4.2).
void Session::end_observations(base::Now now, SessionOutput& out) {
  if (!redirect_.ends_observations() || observed_.empty()) return;
  const coap::Response response = redirect_.response();
  for (const auto& [token, request] : std::exchange(observed_, {})) {
    coap::Effects effects;
    endpoint_.notify(token, response, now.steady, effects);
    absorb(std::move(effects), now, out);
    out.to_domain.emplace_back(ObservationCancelled{id_, token});
  }
  tell_redirect(now, out);
}

void Session::tell_redirect(base::Now now, SessionOutput& out) {
  out.redirected = redirect_.tell(now.steady) || out.redirected;
}

signal::HeartbeatConfig Session::heartbeat_config() const {
  signal::HeartbeatConfig config = signal::heartbeat_config(parameters_->in_force());
  // RFC 9132 4.5: not negotiated over TCP.
  if (over_tcp_) {
    config.missing_hb_allowed =
        signal::heartbeat_config(or_default(settings_->parameters)->sets.idle).missing_hb_allowed;
  }
  return config;
}

void Session::apply(std::shared_ptr<const SessionParameters> parameters, base::Now now, SessionOutput& out) {
  parameters_ = std::move(parameters);
  redirect_.on_mitigating(parameters_->mitigating);
  end_observations(now, out);
  heartbeat_.reconfigure(heartbeat_config(), now.steady);
  set_transmission();
}

}  // namespace dots::agent::server
