// The session configuration across sessions, shards and commits (RFC 9132 4.5).
#include "tests/support/shard_fixture.h"

namespace dots::agent::server {
namespace {

coap::Request config(wire::Method method, std::optional<std::uint32_t> sid, const model::ParameterSets& wanted = {}) {
  coap::Request out;
  out.confirmable = true;
  out.method = method;
  out.uri_path = {".well-known", "dots", "config"};
  if (sid) out.uri_path.push_back("sid=" + std::to_string(*sid));
  if (method == wire::Method::put) {
    out.content_format = 271;
    out.payload = wire::encode(wanted);
  }
  return out;
}

model::ParameterSets intervals(std::uint64_t mitigating, std::uint64_t idle) {
  model::ParameterSets sets;
  sets.mitigating.set(model::Parameter::heartbeat_interval, mitigating);
  sets.idle.set(model::Parameter::heartbeat_interval, idle);
  return sets;
}

// S9132-4.5-02, S9132-4.5-03, S9132-4.5.2-19: negotiated on one shard, in force on the client's sessions of all; the
// set changes when the mitigation is durable, and not before.
TEST_F(TwoShards, OneConfigurationForAllSessionsOfAClient) {
  std::vector<Peer*> of_shard(2, nullptr);
  for (std::uint16_t port = 40000; of_shard[0] == nullptr || of_shard[1] == nullptr; ++port) {
    const model::SocketAddress peer{*model::parse_ip_address("203.0.113.5"), port};
    auto& place = of_shard[model::shard_of(peer, 2)];
    if (place == nullptr) place = &connect("acme.example", port);
  }
  const auto interval = [&](std::uint32_t index) {
    const auto views = shards[index]->sessions(now);
    return views.at(0).parameters->in_force().at(model::Parameter::heartbeat_interval);
  };
  send(*of_shard[0], config(wire::Method::put, 1, intervals(20, 200)));
  EXPECT_EQ(codes(*of_shard[0]), "2.01 ");
  EXPECT_TRUE(store.empty());
  for (const std::uint32_t index : {0u, 1u}) EXPECT_EQ(interval(index), 200u);
  send(*of_shard[1], config(wire::Method::get, 1));
  ASSERT_EQ(codes(*of_shard[1]), "2.05 ");
  const auto body = wire::decode_session_config(of_shard[1]->responses.back().response.payload);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->current.idle.get(model::Parameter::heartbeat_interval), 200u);
  send(*of_shard[1], put(1, "192.0.2.1/32"));
  for (const std::uint32_t index : {0u, 1u}) EXPECT_EQ(interval(index), 200u);
  settle_all();
  for (const std::uint32_t index : {0u, 1u}) EXPECT_EQ(interval(index), 20u);
}

// A commit that fails undoes the mitigation and with it the mitigating set; the configuration stays as it is.
TEST_F(ShardTest, AFailedCommitLeavesTheConfigurationAlone) {
  Peer& peer = connect("acme.example", 5000);
  send(peer, config(wire::Method::put, 1, intervals(20, 200)));
  send(peer, put(1, "192.0.2.1/32"));
  send(peer, config(wire::Method::put, 2, intervals(25, 210)));
  settle(ports::CommitOutcome::refused);
  ASSERT_EQ(reloads.size(), 1u);
  EXPECT_EQ(codes(peer), "2.01 2.01 5.03 ");
  // While the domain is read back, the configuration is answered as before.
  send(peer, config(wire::Method::get, 2));
  EXPECT_EQ(codes(peer), "2.01 2.01 5.03 2.05 ");
  ShardOutput out;
  shards[0]->reloaded(reloads[0], stored, now, out);
  finish(0, out);
  const auto views = shards[0]->sessions(now);
  EXPECT_FALSE(views.at(0).parameters->mitigating);
  EXPECT_EQ(views.at(0).parameters->sid, base::Sid{2});
}

// The operator of a running server narrows the limits; observers are told within 3 s.
struct NewLimits : ShardTest {
  void narrow_heartbeats() {
    auto bounds = std::make_shared<policy::SessionBounds>();
    bounds->range(model::Parameter::heartbeat_interval).max = 100;
    ShardOutput out;
    shards[0]->set_session_bounds(bounds, now, out);
    finish(0, out);
    now = now + 3s;
    ShardOutput later;
    shards[0]->on_timer(now, later);
    finish(0, later);
  }
};

// S9132-4.5.3-08
TEST_F(NewLimits, AreToldToObservers) {
  Peer& peer = connect("acme.example", 5000);
  coap::Request observe = config(wire::Method::get, std::nullopt);
  observe.observe = 0;
  send(peer, observe);
  narrow_heartbeats();
  ASSERT_EQ(codes(peer), "2.05 2.05 ");
  const auto body = wire::decode_session_config(peer.responses.back().response.payload);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->idle_ranges[0]->max, 100u);
  send(peer, config(wire::Method::put, 1, intervals(20, 101)));
  EXPECT_EQ(model::to_string(peer.responses.back().response.code), "4.22");
}

// RFC 7641 4.1: who registers anew, with another token, has lost the observation of before.
TEST_F(NewLimits, AreToldOnceToWhoRegistersAnew) {
  Peer& peer = connect("acme.example", 5000);
  coap::Request observe = config(wire::Method::get, std::nullopt);
  observe.observe = 0;
  for (int i = 0; i < 5; ++i) send(peer, observe);
  peer.responses.clear();
  narrow_heartbeats();
  EXPECT_EQ(codes(peer), "2.05 ") << "not once for each of them";
}

}  // namespace
}  // namespace dots::agent::server
