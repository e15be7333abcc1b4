// For the tests of a session: a CoAP endpoint in the part of the client on the other end of a lossless wire.
#pragma once

#include "agent/server/session.h"

#include <gtest/gtest.h>

#include <memory>

#include "coap/block.h"
#include "coap/endpoint.h"
#include "wire/messages.h"
#include "wire/uri_path.h"

namespace dots::agent::server {

using namespace std::chrono_literals;
using model::ResponseCode;
using namespace signal::server;

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() { reset(policy::KnownClient{base::DomainId{"d"}, base::ClientId{"c1"}}); }

  void reset(std::optional<policy::KnownClient> who, std::size_t max_plaintext = 1200) {
    session = std::make_unique<Session>(base::SessionId{7}, who, max_plaintext, settings, 1, now);
  }

  // Everything that the session sends reaches the client; what the client sends by itself comes back.
  void pump(SessionOutput out) {
    for (auto& event : out.to_domain) events.push_back(std::move(event));
    for (auto& refusal : out.refusals) refusals.push_back(std::move(refusal));
    if (!out.close_reason.empty()) close_reason = out.close_reason;
    throttled += out.throttled;
    if (out.throttling_began) ++throttling_began;
    counters.repeats += out.counters.repeats;
    counters.duplicates += out.counters.duplicates;
    for (const auto& bytes : out.send) {
      sent.push_back(bytes);
      coap::Effects effects;
      client.on_datagram(bytes, now.steady, effects);
      absorb(std::move(effects));
    }
  }
  void absorb(coap::Effects effects) {
    for (auto& response : effects.responses) responses.push_back(std::move(response));
    for (auto& request : effects.requests) requests.push_back(std::move(request));
    for (const auto& bytes : effects.send) {
      if (!silent_client) deliver(bytes);
    }
  }
  void deliver(const base::Bytes& bytes) {
    SessionOutput out;
    session->on_plaintext(bytes, now, out);
    pump(std::move(out));
  }
  void send(const coap::Request& request) {
    coap::Effects effects;
    client.send(request, {}, now.steady, effects);
    last_sent = effects.send;
    for (const auto& bytes : last_sent) deliver(bytes);
    effects.send.clear();
    absorb(std::move(effects));
  }
  void pass(base::Duration time) {
    const base::SteadyTime end = now.steady + time;
    while (session->next_deadline() && *session->next_deadline() <= end) {
      const auto step = std::max(*session->next_deadline(), now.steady) - now.steady;
      now = now + step;
      SessionOutput out;
      session->on_timer(now, out);
      pump(std::move(out));
      if (!close_reason.empty()) return;
    }
    now = now + (end - now.steady);
  }
  static coap::Request request(wire::Method method, std::vector<std::string> path) {
    coap::Request out;
    out.method = method;
    out.uri_path = {".well-known", "dots"};
    out.uri_path.insert(out.uri_path.end(), path.begin(), path.end());
    return out;
  }
  static coap::Request heartbeat(bool peer_hb_status) {
    coap::Request out = request(wire::Method::put, {"hb"});
    out.content_format = 271;
    out.payload = wire::encode(wire::Heartbeat{peer_hb_status});
    return out;
  }
  std::string text(const coap::IncomingResponse& r) { return std::string{base::as_text(r.response.payload)}; }

  base::Now now{base::SteadyTime{1h}, base::from_unix_seconds(1'800'000'000)};
  std::shared_ptr<const SessionSettings> settings = std::make_shared<SessionSettings>();
  std::unique_ptr<Session> session;
  coap::Endpoint client{coap::EndpointLimits{}, 99};
  std::vector<Event> events;
  std::vector<std::string> refusals;
  std::vector<coap::IncomingResponse> responses;
  std::vector<coap::IncomingRequest> requests;
  std::vector<base::Bytes> sent, last_sent;
  bool silent_client = false;  // what it sends in answer to something is lost
  std::string close_reason;
  coap::Counters counters;
  std::uint64_t throttled = 0, throttling_began = 0;
};

}  // namespace dots::agent::server
