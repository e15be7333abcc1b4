// What does not fit one message: requests that go, answers and notifications that come in blocks (RFC 7959).
#include <gtest/gtest.h>

#include "agent/client/client_harness.h"
#include "agent/client/outbox.h"
#include "coap/block.h"
#include "coap/body_assembly.h"
#include "coap/random.h"

namespace dots::agent::client {
namespace {

boost::json::array prefixes(int count) {
  boost::json::array out;
  for (int i = 0; i < count; ++i) out.push_back(boost::json::value("203.0.113." + std::to_string(i) + "/32"));
  return out;
}

// A server that takes bodies and gives answers in blocks of 256 bytes.
struct BlockServer {
  explicit BlockServer(ClientHarness& harness) : h(harness) {
    h.custom = [this](const coap::Request& request) { return serve(request); };
  }
  std::optional<coap::Response> serve(const coap::Request& request) {
    if (request.method == wire::Method::put && request.block1) {
      EXPECT_LE(request.payload.size(), 1024u);
      auto taken = bodies.take(request, false, h.now.steady);
      if (const auto* response = std::get_if<coap::Response>(&taken)) return *response;
      whole.push_back(std::get<coap::Request>(taken).payload);
      coap::Response created;
      created.code = model::ResponseCode::created;
      return created;
    }
    if (request.method == wire::Method::get) {
      gets.push_back(request);
      if (!request.etag.empty() && request.etag[0] != etag()) {
        coap::Response gone;
        gone.code = model::ResponseCode::request_entity_incomplete;
        return gone;
      }
      return part(request.block2.value_or(4));
    }
    return std::nullopt;
  }
  base::Bytes etag() const { return {static_cast<std::uint8_t>(status)}; }
  base::Bytes answer() const {
    model::MitigationEntry entry;
    entry.mid = mid;
    entry.lifetime = model::Lifetime{3000};
    entry.status = status;
    entry.scope.emplace();
    for (int i = 0; i < 100; ++i) {
      entry.scope->target_prefix.push_back(model::parse_prefix("203.0.113." + std::to_string(i) + "/32").value());
    }
    return wire::encode(std::vector<model::MitigationEntry>{entry});
  }
  coap::Response part(std::uint32_t block2) const {
    const base::Bytes all = answer();
    coap::Block block = coap::Block::of(block2);
    block.size_exponent = 4;
    const std::size_t end = std::min(block.offset() + 256, all.size());
    block.more = end < all.size();
    coap::Response response;
    response.content_format = wire::kContentFormatDots;
    response.etag = etag();
    response.block2 = block.value();
    response.payload.assign(all.begin() + static_cast<std::ptrdiff_t>(block.offset()),
                            all.begin() + static_cast<std::ptrdiff_t>(end));
    return response;
  }
  void notify() {
    coap::Effects effects;
    auto& peer = h.peers[h.last_session()];
    ASSERT_TRUE(peer.endpoint->notify(peer.observer, part(4), h.now.steady, effects));
    h.absorb(h.last_session(), effects);
  }

  ClientHarness& h;
  coap::BodyAssembly bodies{coap::BodyLimits{}};
  std::vector<base::Bytes> whole;
  std::vector<coap::Request> gets;
  base::Mid mid{0};
  model::MitigationStatus status = model::MitigationStatus::in_progress;
};

// S9132-7.3-04, S9132-7.3-05, S8612-SIG-002-02: a request over the path MTU goes in several messages, each of one
// datagram.
TEST(ClientBlocksTest, ARequestThatFitsNoDatagramGoesInBlocks) {
  ClientHarness h;
  BlockServer server{h};
  h.start();
  h.advance(1s);
  const auto ticket = h.call("mitigate", {{"target-prefix", prefixes(100)}, {"wait", true}});
  h.advance(1s);
  const auto& body = h.answered(ticket).body;
  EXPECT_EQ(body.at("mitigation").at("phase").as_string(), "active");
  ASSERT_EQ(server.whole.size(), 1u);
  const auto request = wire::decode_mitigation_request(server.whole[0]);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->scope.target_prefix.size(), 100u);
  EXPECT_EQ(h.requests("PUT mitigate").size(), 2u);
}

// In lock-step, so that it keeps to one datagram for each round trip.
TEST(ClientBlocksTest, BlocksSurviveLossAndKeepTheRate) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ClientHarness h;
    BlockServer server{h};
    coap::Random random{seed};
    h.start();
    h.advance(1s);
    h.lose_up = [&](base::SessionId) { return random.fraction() < 0.4; };
    h.lose_down = [&](base::SessionId) { return random.fraction() < 0.4; };
    const auto ticket = h.call("mitigate", {{"target-prefix", prefixes(200)}});
    h.advance(90s);
    const base::Mid mid{
        static_cast<std::uint32_t>(h.answered(ticket).body.at("mitigation").at("mid").to_number<std::uint32_t>())};
    server.mid = mid;
    h.advance(90s);
    ASSERT_FALSE(server.whole.empty()) << seed;
    for (const auto& whole : server.whole)
      EXPECT_EQ(wire::decode_mitigation_request(whole)->scope.target_prefix.size(), 200u);
    const auto shown = h.show(mid);
    EXPECT_EQ(shown.at("phase").as_string(), "active") << seed;
    const auto puts = h.sends("PUT mitigate", h.last_session());
    for (std::size_t i = 1; i < puts.size(); ++i) EXPECT_GE(puts[i].at - puts[i - 1].at, 20ms) << seed;
  }
}

// S9132-4.4.2-09, S9132-4.4.2-11
TEST(ClientBlocksTest, AnAnswerInBlocksIsFollowedToItsEnd) {
  ClientHarness h;
  BlockServer server{h};
  h.start();
  h.advance(1s);
  server.mid = h.mitigate("203.0.113.7/32");
  h.advance(2s);
  EXPECT_EQ(h.show(server.mid).at("status").as_string().empty(), false);
  ASSERT_GE(server.gets.size(), 3u);
  EXPECT_EQ(server.gets[0].observe, 0u);
  EXPECT_TRUE(server.gets[0].etag.empty());
  for (std::size_t i = 1; i < server.gets.size(); ++i) {
    EXPECT_FALSE(server.gets[i].observe);
    EXPECT_EQ(server.gets[i].etag, std::vector<base::Bytes>{server.etag()});
    EXPECT_EQ(*server.gets[i].block2, static_cast<std::uint32_t>(i) << 4 | 4u);
  }
}

TEST(ClientBlocksTest, ANotificationInBlocksIsFetched) {
  ClientHarness h;
  BlockServer server{h};
  h.start();
  h.advance(1s);
  server.mid = h.mitigate("203.0.113.7/32");
  h.advance(2s);
  const std::string before{h.show(server.mid).at("status").as_string()};
  server.status = model::MitigationStatus::successfully_mitigated;
  server.notify();
  h.advance(1s);
  const std::string after{h.show(server.mid).at("status").as_string()};
  EXPECT_NE(after, before);
  // One that overtakes the fetching of another: what is fetched in the end is the newest.
  server.status = model::MitigationStatus::in_progress;
  server.notify();
  h.advance(25ms);
  server.status = model::MitigationStatus::successfully_mitigated;
  server.notify();
  h.advance(2s);
  EXPECT_EQ(std::string(h.show(server.mid).at("status").as_string()), after);
  const std::size_t asked = server.gets.size();
  h.advance(10s);
  EXPECT_EQ(server.gets.size(), asked) << "and then it is quiet";
}

// RFC 7959 2.1: Block1 is critical, so a server that does not know it rejects a non-confirmable request with a Reset,
// or as RFC 9132 section 9 reads with 4.02.
TEST(ClientBlocksTest, AServerWithoutBlocksGetsNoneOfIt) {
  for (const bool explains : {false, true}) {
    Outbox outbox;
    coap::Endpoint endpoint{{}, 1};
    const base::SteadyTime now{1s};
    Errand errand;
    errand.id = signal::client::SendId{5};
    errand.urgent = true;
    errand.request.method = wire::Method::put;
    errand.request.uri_path = {"x"};
    errand.request.payload = base::Bytes(3000, 1);
    outbox.add(errand);
    std::deque<signal::client::SendId> too_large;
    coap::Effects out;
    outbox.pump(endpoint, 1200, now, out, too_large);
    ASSERT_EQ(out.send.size(), 1u);
    EXPECT_LE(out.send[0].size(), 1200u);
    coap::Effects answered;
    if (explains) {
      base::Bytes refusal{0x58, 0x82, 0, 9};
      refusal.insert(refusal.end(), out.send[0].begin() + 4, out.send[0].begin() + 12);
      endpoint.on_datagram(refusal, now + 10ms, answered);
      ASSERT_EQ(answered.responses.size(), 1u);
    } else {
      endpoint.on_datagram(base::Bytes{0x70, 0, out.send[0][2], out.send[0][3]}, now + 10ms, answered);
      ASSERT_EQ(answered.failures.size(), 1u);
    }
    const auto refused =
        explains ? outbox.on_response(answered.responses[0], now + 10ms) : outbox.on_failure(answered.failures[0]);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->id, errand.id);
    EXPECT_EQ(refused->response.code, model::ResponseCode::request_entity_too_large);
    coap::Effects more;
    outbox.pump(endpoint, 1200, now + 10s, more, too_large);
    outbox.pump(endpoint, 1200, now + 20s, more, too_large);
    for (const auto& bytes : more.send) EXPECT_LT(bytes.size(), 100u) << "at most a probe for Q-Blocks";
  }
}

TEST(ClientBlocksTest, WhatHasNoRoomEvenForABlockIsRefused) {
  Outbox outbox;
  coap::Endpoint endpoint{{}, 1};
  Errand errand;
  errand.id = signal::client::SendId{5};
  errand.request.method = wire::Method::put;
  errand.request.uri_path = {std::string(200, 'x')};
  errand.request.payload = base::Bytes(300, 1);
  outbox.add(errand);
  std::deque<signal::client::SendId> too_large;
  coap::Effects out;
  outbox.pump(endpoint, 200, base::SteadyTime{1s}, out, too_large);
  EXPECT_TRUE(out.send.empty());
  EXPECT_EQ(too_large, std::deque<signal::client::SendId>{errand.id});
}

}  // namespace
}  // namespace dots::agent::client
