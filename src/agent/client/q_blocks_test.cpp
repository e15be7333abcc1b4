// Q-Blocks at the client (RFC 9177 4.1): what a server takes is learned, used, and given up again.
#include <gtest/gtest.h>

#include "agent/client/client_harness.h"
#include "coap/block.h"
#include "coap/block_transfer.h"
#include "coap/body_assembly.h"
#include "coap/random.h"

namespace dots::agent::client {
namespace {

boost::json::array prefixes(int count) {
  boost::json::array out;
  for (int i = 0; i < count; ++i) out.push_back(boost::json::value("203.0.113." + std::to_string(i) + "/32"));
  return out;
}

// A server whose answers about mitigations are large. Whom it owes Block2 gets it.
struct LargeServer {
  explicit LargeServer(ClientHarness& harness, bool q_blocks = true) : h(harness) {
    h.q_blocks = q_blocks;
    h.settings.servers[0].config.negotiate = true;
    h.custom = [this](const coap::Request& request) { return serve(request); };
  }
  std::optional<coap::Response> serve(const coap::Request& request) {
    coap::Response response;
    const auto path = wire::parse_path(request.uri_path);
    if (std::holds_alternative<wire::ConfigPath>(*path)) {
      response.content_format = wire::kContentFormatDots;
      response.payload = wire::encode(model::SessionConfig{});
      return response;
    }
    if (request.method == wire::Method::put && std::holds_alternative<wire::MitigatePath>(*path)) {
      coap::Request whole = request;
      if (request.block1) {
        auto taken = bodies.take(request, false, h.now.steady);
        if (const auto* answer = std::get_if<coap::Response>(&taken)) return *answer;
        whole = std::get<coap::Request>(taken);
      }
      const auto wish = wire::decode_mitigation_request(whole.payload);
      EXPECT_TRUE(wish.ok());
      if (wish) wishes.push_back(wish->scope.target_prefix.size());
      return std::nullopt;
    }
    if (request.method != wire::Method::get) return std::nullopt;
    model::MitigationEntry entry;
    entry.mid = std::get<wire::MitigatePath>(*path).mid;
    entry.lifetime = model::Lifetime{3000};
    entry.status = model::MitigationStatus::successfully_mitigated;
    entry.scope.emplace();
    for (int i = 0; i < 2000; ++i) {
      const auto address = "203." + std::to_string(i / 200) + ".113." + std::to_string(i % 200) + "/32";
      entry.scope->target_prefix.push_back(model::parse_prefix(address).value());
    }
    response.content_format = wire::kContentFormatDots;
    response.payload = wire::encode(std::vector<model::MitigationEntry>{entry});
    if (!request.q_block2.empty()) return response;
    const coap::Block block = coap::Block::of(request.block2.value_or(6));
    const std::size_t end = std::min(block.offset() + 1024, response.payload.size());
    response.block2 = coap::Block{block.number, end < response.payload.size(), 6}.value();
    response.etag = base::Bytes{1};
    response.payload = {response.payload.begin() + static_cast<std::ptrdiff_t>(block.offset()),
                        response.payload.begin() + static_cast<std::ptrdiff_t>(end)};
    return response;
  }

  ClientHarness& h;
  coap::BodyAssembly bodies{coap::BodyLimits{}};
  std::vector<std::size_t> wishes;
};

std::size_t in_q_blocks(const std::vector<ClientHarness::Seen>& sends) {
  return static_cast<std::size_t>(std::count_if(sends.begin(), sends.end(), [](const auto& one) {
    return one.request.q_block1 || !one.request.q_block2.empty();
  }));
}

// RFC 9177 4.1: the confirmable question for the configuration shows what the server takes; from then on it is used.
TEST(ClientQBlocksTest, TheQuestionForTheConfigurationIsTheProbe) {
  ClientHarness h;
  LargeServer server{h};
  h.start();
  h.advance(2s);
  const auto probes = h.sends("GET config");
  ASSERT_FALSE(probes.empty());
  EXPECT_TRUE(probes[0].request.confirmable);
  EXPECT_EQ(in_q_blocks(probes), 1u) << "once";
  const base::Mid mid = h.mitigate("203.0.113.7/32");
  h.advance(3s);
  EXPECT_EQ(std::string(h.show(mid).at("status").as_string()), "attack-successfully-mitigated")
      << "read from the whole answer";
  const auto gets = h.sends("GET mitigate");
  ASSERT_FALSE(gets.empty());
  EXPECT_EQ(in_q_blocks(gets), gets.size());
  EXPECT_EQ(gets.size(), 4u) << "four sets: the question and a 'Continue' for each other one";
}

// D9362-3-16: a large request is one body, in one turn, and one request at the server.
TEST(ClientQBlocksTest, ALargeRequestGoesInQBlocks) {
  ClientHarness h;
  LargeServer server{h};
  h.start();
  h.advance(2s);
  const auto ticket = h.call("mitigate", {{"target-prefix", prefixes(200)}, {"wait", true}});
  h.advance(1s);
  EXPECT_EQ(h.answered(ticket).body.at("mitigation").at("phase").as_string(), "active");
  ASSERT_EQ(server.wishes, (std::vector<std::size_t>{200}));
  const auto puts = h.sends("PUT mitigate");
  ASSERT_EQ(puts.size(), 4u);
  EXPECT_EQ(in_q_blocks(puts), 4u);
  EXPECT_EQ(puts[0].at, puts[3].at) << "no round trip between the blocks";
}

TEST(ClientQBlocksTest, BodiesAndAnswersSurviveLoss) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    ClientHarness h;
    LargeServer server{h};
    coap::Random random{seed};
    h.start();
    h.advance(2s);
    h.lose_up = [&](base::SessionId) { return random.fraction() < 0.3; };
    h.lose_down = [&](base::SessionId) { return random.fraction() < 0.3; };
    const auto ticket = h.call("mitigate", {{"target-prefix", prefixes(200)}});
    h.advance(300s);
    const base::Mid mid{
        static_cast<std::uint32_t>(h.answered(ticket).body.at("mitigation").at("mid").to_number<std::uint32_t>())};
    ASSERT_FALSE(server.wishes.empty()) << seed;
    for (const std::size_t wish : server.wishes) EXPECT_EQ(wish, 200u);
    EXPECT_TRUE(h.show(mid).as_object().contains("status")) << seed;
  }
}

// A server that knows no Q-Block says 4.02 to the probe: the question goes again, and all is as RFC 7959 has it.
TEST(ClientQBlocksTest, AServerWithoutQBlocksGetsBlocks) {
  ClientHarness h;
  LargeServer server{h, false};
  h.start();
  h.advance(2s);
  EXPECT_EQ(h.requests("GET config").size(), 1u) << "answered, without the option";
  EXPECT_EQ(h.sends("GET config").size(), 2u);
  const auto ticket = h.call("mitigate", {{"target-prefix", prefixes(200)}, {"wait", true}});
  h.advance(3s);
  EXPECT_EQ(h.answered(ticket).body.at("mitigation").at("phase").as_string(), "active");
  EXPECT_EQ(in_q_blocks(h.sends("PUT mitigate")), 0u);
  EXPECT_EQ(in_q_blocks(h.sends("GET mitigate")), 0u);
  EXPECT_EQ(server.wishes, (std::vector<std::size_t>{200}));
}

// No question for a configuration: the first large answer shows the need, and one probe follows it.
TEST(ClientQBlocksTest, ANeedLeadsToOneProbe) {
  ClientHarness h;
  LargeServer server{h};
  h.settings.servers[0].config.negotiate = false;
  h.start();
  h.advance(2s);
  EXPECT_TRUE(h.sends("GET config").empty());
  (void)h.mitigate("203.0.113.7/32");
  h.advance(5s);
  EXPECT_GT(h.sends("GET mitigate").size(), 10u) << "block by block";
  EXPECT_EQ(in_q_blocks(h.sends("GET mitigate")), 0u);
  ASSERT_EQ(h.sends("GET config").size(), 1u);
  h.sent.clear();
  (void)h.mitigate("203.0.113.8/32");
  h.advance(5s);
  const auto gets = h.sends("GET mitigate");
  EXPECT_EQ(in_q_blocks(gets), gets.size());
  EXPECT_TRUE(h.sends("GET config").empty());
}

// A server that understands the option no more (another one behind the same address): a Reset, and Block2 from then on.
TEST(ClientQBlocksTest, AResetTakesTheKnowledgeBack) {
  ClientHarness h;
  LargeServer server{h};
  h.start();
  h.advance(2s);
  auto& endpoint = *h.peers[h.last_session()].endpoint;
  endpoint.allow_q_blocks(nullptr, 1200);
  const base::Mid mid = h.mitigate("203.0.113.7/32");
  h.advance(5s);
  EXPECT_TRUE(h.show(mid).as_object().contains("status"));
  const auto gets = h.sends("GET mitigate");
  EXPECT_EQ(in_q_blocks(gets), 1u);
  EXPECT_TRUE(gets.front().request.q_block2.size() == 1);
}

}  // namespace
}  // namespace dots::agent::client
