// Redirected signaling (RFC 9132 4.6) as clients of one shard see it.
#include "tests/support/shard_fixture.h"

namespace dots::agent::server {
namespace {

class RedirectTest : public ShardTest {
 protected:
  explicit RedirectTest(std::size_t sessions = 100000) : ShardTest(1, limited(sessions)) {
    order.id = 7;
    order.to.alt_server = "alt.example.net";
    order.to.alt_server_record = {*model::parse_ip_address("2001:db8::1")};
    order.ttl_s = 1800;
  }
  void apply(bool any = true) {
    auto all = std::make_shared<Redirects>();
    if (any) all->orders = {std::make_shared<const RedirectOrder>(order)};
    apply(std::move(all));
  }
  void apply(std::shared_ptr<const Redirects> redirects) {
    ShardOutput out;
    shards[0]->set_redirects(std::move(redirects), now, out);
    finish(0, out);
  }
  void pass(base::Duration time) {
    const base::SteadyTime end = now.steady + time;
    while (shards[0]->next_deadline() && *shards[0]->next_deadline() <= end) {
      now = now + (std::max(*shards[0]->next_deadline(), now.steady) - now.steady);
      ShardOutput out;
      shards[0]->on_timer(now, out);
      finish(0, out);
      settle_all();
    }
    now = now + (end - now.steady);
  }
  RedirectedClient::State state_of(const std::string& domain) {
    for (const auto& one : shards[0]->redirected(now)) {
      if (one.client.domain.value == domain) return one.state;
    }
    return RedirectedClient::State::absent;
  }
  void expect_redirect(const coap::Response& response) {
    EXPECT_EQ(response.code, ResponseCode::service_unavailable);
    EXPECT_EQ(response.content_format, 271);
    EXPECT_EQ(response.max_age_s, order.ttl_s);
    const auto body = wire::decode_redirected_signal(response.payload);
    ASSERT_TRUE(body);
    EXPECT_EQ(*body, order.to);
  }
  static coap::Request heartbeat() {
    coap::Request out;
    out.method = wire::Method::put;
    out.uri_path = {".well-known", "dots", "hb"};
    out.content_format = 271;
    out.payload = wire::encode(wire::Heartbeat{true});
    return out;
  }

  RedirectOrder order;
};

// S9132-4.6-01, S9132-4.6-02, S9132-4.6-03, S9132-9-11, S8612-SIG-005-01: a request is answered with the alternate, its
// addresses and its time to live; nothing of it reaches the domain.
TEST_F(RedirectTest, ARequestIsAnsweredWithTheAlternate) {
  Peer& peer = connect("acme.example", 1000);
  apply();
  send(peer, put(1, "192.0.2.1/32"));
  ASSERT_EQ(peer.responses.size(), 1u);
  expect_redirect(peer.responses[0].response);
  EXPECT_TRUE(store.empty());
  EXPECT_EQ(state_of("acme"), RedirectedClient::State::told);
}

// S8811-3.2.2-03: after that no notification and no heartbeat of ours; DELETE and heartbeats are answered until the
// session is closed.
TEST_F(RedirectTest, TheToldSessionIsQuietAndCloses) {
  Peer& peer = connect("acme.example", 1000);
  apply();
  pass(28s);
  send(peer, bare(wire::Method::get, 1));
  const std::size_t datagrams = peer.heard;
  pass(5s);  // a heartbeat of ours would have been due
  EXPECT_EQ(peer.heard, datagrams);
  send(peer, heartbeat());
  send(peer, bare(wire::Method::del, 1));
  settle_all();
  EXPECT_EQ(codes(peer), "5.03 2.04 2.02 ");
  pass(6s);
  EXPECT_FALSE(peer.channel->is_open());
  EXPECT_EQ(state_of("acme"), RedirectedClient::State::left);
  pass(3600s);
  EXPECT_EQ(state_of("acme"), RedirectedClient::State::left);
  apply(false);
  EXPECT_TRUE(shards[0]->redirected(now).empty());
}

// S9132-4.6-01: observers hear of it by a notification, when the operator forces it.
TEST_F(RedirectTest, ForcedObserversAreTold) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  coap::Request observe = bare(wire::Method::get, 1);
  observe.observe = 0;
  send(peer, observe);
  peer.responses.clear();
  order.force = true;
  apply();
  ASSERT_EQ(peer.responses.size(), 1u);
  EXPECT_TRUE(peer.responses[0].notification);
  expect_redirect(peer.responses[0].response);
  EXPECT_EQ(shards[0]->mitigations(now).at(0).observers, 0u);
  // The mitigation goes on.
  EXPECT_EQ(shards[0]->mitigations(now).at(0).record.status, model::MitigationStatus::in_progress);
}

// S8612-SIG-005-05: a client with a running mitigation is left alone until that has ended.
TEST_F(RedirectTest, ARunningMitigationHoldsTheRedirectionBack) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  coap::Request observe = bare(wire::Method::get, 1);
  observe.observe = 0;
  send(peer, observe);
  apply();
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  EXPECT_EQ(codes(peer), "2.01 2.05 2.04 ");
  EXPECT_EQ(state_of("acme"), RedirectedClient::State::mitigating);
  // Nor does a second session of the client change that.
  Peer& second = connect("acme.example", 1001);
  send(second, put(2, "192.0.2.2/32"));
  settle_all();
  EXPECT_EQ(codes(second), "2.01 ");
  for (const std::uint32_t mid : {1u, 2u}) send(peer, bare(wire::Method::del, mid));
  settle_all();
  pass(400s);
  send(second, put(3, "192.0.2.3/32"));
  ASSERT_FALSE(second.responses.empty());
  expect_redirect(second.responses.back().response);
}

// A client that was sent away is not lost: its preconfigured requests do not start here.
TEST_F(RedirectTest, WhoWasSentAwayIsNotLost) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32", true));
  settle_all();
  wants.clear();
  apply();
  send(peer, bare(wire::Method::get, 1));
  ASSERT_EQ(codes(peer), "2.01 5.03 ");
  pass(3000s);  // well over the time in which a server that has just started counts no loss
  EXPECT_EQ(state_of("acme"), RedirectedClient::State::left);
  EXPECT_TRUE(wants.empty());
  EXPECT_EQ(shards[0]->mitigations(now).at(0).record.status, model::MitigationStatus::signal_loss);
}

// Max-Age 0: each mitigation request by itself; the session stays and everything else is served.
TEST_F(RedirectTest, MaxAge0RedirectsRequestsAlone) {
  Peer& peer = connect("acme.example", 1000);
  order.ttl_s = 0;
  apply();
  send(peer, put(1, "192.0.2.1/32"));
  ASSERT_EQ(codes(peer), "5.03 ");
  expect_redirect(peer.responses[0].response);
  send(peer, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(peer), "5.03 4.04 ");
  pass(60s);
  EXPECT_TRUE(peer.channel->is_open());
}

// S8811-3.2.2-01: one client, one domain or all; the narrowest order counts.
TEST_F(RedirectTest, ScopesOfOrders) {
  Peer& acme = connect("acme.example", 1000);
  Peer& zeta = connect("zeta.example", 1001);
  order.domain = base::DomainId{"acme"};
  apply();
  send(acme, bare(wire::Method::get, 1));
  send(zeta, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(acme), "5.03 ");
  EXPECT_EQ(codes(zeta), "4.04 ");
  RedirectOrder all = order;
  all.id = 8;
  all.domain.reset();
  all.to.alt_server = "other.example.net";
  auto both = std::make_shared<Redirects>();
  both->orders = {std::make_shared<const RedirectOrder>(all), std::make_shared<const RedirectOrder>(order)};
  EXPECT_EQ(both->find({base::DomainId{"acme"}, base::ClientId{"x"}})->id, 7u);
  EXPECT_EQ(both->find({base::DomainId{"zeta"}, base::ClientId{"x"}})->id, 8u);
}

// S8811-3.2.2-01: too many sessions: those that come now are sent away, those that were there stay.
struct CrowdedTest : RedirectTest {
  CrowdedTest() : RedirectTest(4) {}
};
TEST_F(CrowdedTest, SessionsBeyondTheShareAreSentAway) {
  auto redirects = std::make_shared<Redirects>();
  order.reason = RedirectReason::session_limit;
  redirects->when_crowded = std::make_shared<const RedirectOrder>(order);
  redirects->crowded_percent = 50;
  Peer& first = connect("acme.example", 1000);
  apply(redirects);
  Peer& second = connect("zeta.example", 1001);
  send(first, bare(wire::Method::get, 1));
  send(second, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(first), "4.04 ");
  EXPECT_EQ(codes(second), "5.03 ");
}

// A redirection that is called off leaves the session as it was.
TEST_F(RedirectTest, CalledOffInTimeTheSessionStays) {
  Peer& peer = connect("acme.example", 1000);
  apply();
  send(peer, bare(wire::Method::get, 1));
  pass(5s);
  apply(false);
  pass(60s);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  EXPECT_EQ(codes(peer), "5.03 2.01 ");
}

}  // namespace
}  // namespace dots::agent::server
