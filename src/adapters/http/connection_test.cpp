// A connection in virtual time: order, persistence, time-outs, bounds, ends.
#include "adapters/http/connection.h"

#include <gtest/gtest.h>

#include "tests/support/plain_channel.h"

namespace dots::adapters::http {
namespace {

using namespace std::chrono_literals;

class Connection : public ::testing::Test {
 protected:
  Connection() {
    settings->limits.body_bytes = 1 << 20;
    settings->render = [](const HttpFault& fault) { return ports::HttpAnswer{fault.status, {}, fault.why}; };
    settings->judge = [this](const model::PeerIdentity&, bool) { return refusal; };
    settings->waiting = std::make_shared<WaitingBytes>();
    settings->waiting->limit = 1 << 20;
  }
  void open() {
    auto plain = std::make_unique<test::PlainChannel>("client");
    channel = plain.get();
    connection = std::make_unique<HttpConnection>(std::move(plain), settings, now);
  }
  void take(ConnectionEffects&& effects) {
    sent += base::as_text(effects.send);
    if (effects.request) requests.push_back(std::move(*effects.request));
    if (effects.fault) faults.push_back(effects.fault->status);
    if (effects.ended != nullptr) ended = effects.ended;
    if (effects.failed) failed = *effects.failed;
    closed |= effects.close;
    dropped |= effects.drop;
    while (drains && connection->wants_write()) {
      ConnectionEffects more;
      connection->on_writable(now, more);
      sent += base::as_text(more.send);
      if (more.request) requests.push_back(std::move(*more.request));
      if (more.fault) faults.push_back(more.fault->status);
      closed |= more.close;
    }
  }
  void in(const std::string& text) {
    if (!connection) open();
    ConnectionEffects effects;
    connection->on_bytes(base::as_bytes(text), now, effects);
    take(std::move(effects));
  }
  void answer(ports::HttpAnswer value) {
    ConnectionEffects effects;
    connection->on_answer(std::move(value), now, effects);
    take(std::move(effects));
  }
  // Time passes; what is due happens.
  void pass(base::Duration time) {
    now = now + time;
    const auto due = connection->deadline();
    if (!due || *due > now.steady) return;
    ConnectionEffects effects;
    connection->on_timer(now, effects);
    take(std::move(effects));
  }
  std::vector<std::string> statuses() const {
    std::vector<std::string> out;
    for (std::size_t at = sent.find("HTTP/1.1 "); at != std::string::npos; at = sent.find("HTTP/1.1 ", at + 1)) {
      out.push_back(sent.substr(at + 9, 3));
    }
    return out;
  }
  using Texts = std::vector<std::string>;

  std::shared_ptr<ConnectionSettings> settings = std::make_shared<ConnectionSettings>();
  base::Now now{base::SteadyTime{1000s}, base::from_unix_seconds(784111777)};
  test::PlainChannel* channel = nullptr;
  std::unique_ptr<HttpConnection> connection;
  std::optional<HttpFault> refusal;
  bool drains = true;
  std::string sent, ended, failed;
  std::vector<ports::HttpRequest> requests;
  std::vector<int> faults;
  bool closed = false, dropped = false;
};

std::string get(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"; }

// D8783-3.1-11, D8783-3.1-12: one request after the other on one connection, each with its answer, in order.
TEST_F(Connection, AnswersPipelinedRequestsInTheirOrder) {
  in(get("/1") + get("/2") + get("/3"));
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(requests.size(), static_cast<std::size_t>(i)) << "one at a time";
    EXPECT_EQ(requests.back().target, "/" + std::to_string(i));
    EXPECT_FALSE(connection->wants_read());
    answer({200, {}, "body " + std::to_string(i)});
  }
  EXPECT_TRUE(connection->wants_read());
  EXPECT_EQ(statuses(), (Texts{"200", "200", "200"}));
  EXPECT_LT(sent.find("body 1"), sent.find("body 2"));
  EXPECT_LT(sent.find("body 2"), sent.find("body 3"));
  EXPECT_FALSE(closed);
}

TEST_F(Connection, ClosesWhenTheClientWantsIt) {
  in("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  answer({200, {}, "x"});
  EXPECT_NE(sent.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(closed);
  EXPECT_EQ(sent.back(), 0x15);
}

TEST_F(Connection, HeadIsAnsweredWithoutBody) {
  in("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n" + get("/next"));
  answer({200, {}, "a body that stays here"});
  EXPECT_EQ(sent.find("a body"), std::string::npos);
  EXPECT_NE(sent.find("Content-Length: 22"), std::string::npos);
  answer({200, {}, "next body"});
  EXPECT_NE(sent.find("next body"), std::string::npos);
}

TEST_F(Connection, SaysContinueToWhoWaitsForIt) {
  in("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(sent, "HTTP/1.1 100 Continue\r\n\r\n");
  in("body");
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].body, "body");
}

TEST_F(Connection, AFaultIsToldAndEndsTheConnection) {
  in("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n");
  EXPECT_EQ(statuses(), (Texts{"413"}));
  EXPECT_NE(sent.find("over the bound of 1048576 bytes"), std::string::npos);
  EXPECT_TRUE(closed);
  EXPECT_TRUE(requests.empty());
}

// D8783-3.1-01, R8040-12-03: a proven stranger learns nothing but that.
TEST_F(Connection, WhoIsRefusedGetsNothingElse) {
  refusal = HttpFault{403, "nobody"};
  in(get("/a"));
  EXPECT_EQ(statuses(), (Texts{"403"}));
  EXPECT_TRUE(closed);
  EXPECT_TRUE(requests.empty());
}

TEST_F(Connection, WhoIsRefusedIsNotAskedForItsBody) {
  refusal = HttpFault{403, "nobody"};
  in("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(statuses(), (Texts{"403"}));
}

TEST_F(Connection, HandshakesTakeABoundedTime) {
  open();
  pass(9s);
  EXPECT_FALSE(closed);
  pass(1s);
  EXPECT_TRUE(closed);
  EXPECT_EQ(failed, "the handshake took too long");
}

TEST_F(Connection, SlowHeadersAreEndedHoweverManyBytesCome) {
  in("G");
  for (const char c : std::string{"ET / HTTP/1.1\r\n"}) {
    pass(1s);
    if (closed) break;
    in(std::string{c});
  }
  EXPECT_TRUE(closed);
  EXPECT_EQ(statuses(), (Texts{"408"}));
  EXPECT_EQ(ended, "header_timeout");
}

TEST_F(Connection, SlowBodiesAreEndedAndSteadyOnesAreNot) {
  in("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
  std::size_t left = 100000;
  for (; left > 20000; left -= 16384) {
    pass(15s);
    in(std::string(16384, 'x'));
  }
  EXPECT_FALSE(closed);
  for (int i = 0; i < 30 && !closed; ++i) {
    pass(1s);
    if (!closed) in("x");
  }
  EXPECT_TRUE(closed);
  EXPECT_EQ(ended, "body_timeout");
  EXPECT_EQ(statuses(), (Texts{"408"}));
}

TEST_F(Connection, ASlowReaderIsCutOff) {
  in(get("/"));
  drains = false;
  answer({200, {}, std::string(200000, 'x')});
  ConnectionEffects effects;
  connection->on_writable(now, effects);
  EXPECT_LE(effects.send.size(), kProgressBytes);
  pass(19s);
  EXPECT_FALSE(dropped);
  pass(1s);
  EXPECT_TRUE(dropped);
  EXPECT_EQ(ended, "slow_reader");
}

TEST_F(Connection, AnIdleOneIsClosedAndAnEmptyLineIsNoRequest) {
  in(get("/"));
  answer({204, {}, ""});
  pass(299s);
  in("\r\n");
  EXPECT_FALSE(closed);
  pass(1s);
  EXPECT_TRUE(closed);
  EXPECT_EQ(ended, "idle");
  EXPECT_EQ(statuses(), (Texts{"204"}));
}

TEST_F(Connection, WhileARequestIsHandledNoTimePasses) {
  in(get("/"));
  EXPECT_FALSE(connection->deadline());
  pass(3600s);
  answer({200, {}, "late"});
  EXPECT_EQ(statuses(), (Texts{"200"}));
}

TEST_F(Connection, ARequestThatCameWholeIsCarriedOutThoughItsClientLeaves) {
  open();
  in("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_EQ(requests.size(), 1u);
  in("\x15");
  EXPECT_TRUE(connection->over());
  EXPECT_TRUE(closed);
  EXPECT_FALSE(connection->handles());
}

TEST_F(Connection, AStopFinishesTheAnswerThatIsDue) {
  in(get("/1") + get("/2"));
  ConnectionEffects effects;
  connection->stop(effects);
  take(std::move(effects));
  EXPECT_FALSE(closed);
  answer({200, {}, "x"});
  EXPECT_NE(sent.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(closed);
  EXPECT_EQ(requests.size(), 1u);
}

TEST_F(Connection, AStopFinishesTheAnswerThatLeaves) {
  in(get("/1") + get("/2"));
  drains = false;
  answer({200, {}, std::string(50000, 'x')});
  ConnectionEffects effects;
  connection->stop(effects);
  EXPECT_FALSE(effects.close);
  drains = true;
  take(std::move(effects));
  EXPECT_NE(sent.find(std::string(50000, 'x')), std::string::npos);
  EXPECT_TRUE(closed);
  EXPECT_EQ(requests.size(), 1u) << "and takes no other request";
}

TEST_F(Connection, AStopEndsWhoWaits) {
  in(get("/1"));
  answer({204, {}, ""});
  ConnectionEffects effects;
  connection->stop(effects);
  take(std::move(effects));
  EXPECT_TRUE(closed);
}

TEST_F(Connection, ACredentialThatIsGoodNoLongerEndsIt) {
  in(get("/1"));
  answer({204, {}, ""});
  ConnectionEffects effects;
  EXPECT_FALSE(connection->recheck(now, effects));
  channel->credential_problem = "its certificate is revoked";
  EXPECT_EQ(connection->recheck(now, effects), "its certificate is revoked");
  EXPECT_TRUE(effects.close);
}

// R8040-12-02: bodies count until they are answered.
TEST_F(Connection, ABodyIsHeldUntilItsAnswer) {
  const std::string put = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 150000\r\n\r\n" + std::string(150000, 'x');
  in(put);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(settings->waiting->used, 150000u);
  answer({204, {}, ""});
  EXPECT_EQ(settings->waiting->used, 0u);
  settings->waiting->limit = 100000;
  in(put);
  EXPECT_EQ(requests.size(), 1u);
  EXPECT_EQ(statuses(), (Texts{"204", "503"}));
}

// R8040-12-02
TEST_F(Connection, AllTogetherHoldABoundedAmount) {
  settings->waiting->limit = 200000;
  in("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n");
  for (int i = 0; i < 20 && !closed; ++i) in(std::string(16384, 'x'));
  EXPECT_EQ(statuses(), (Texts{"503"}));
  EXPECT_EQ(settings->waiting->used, 0u);

  connection.reset();
  sent.clear();
  closed = false;
  in(get("/"));
  answer({200, {}, std::string(300000, 'x')});
  EXPECT_EQ(statuses(), (Texts{"503"}));
  EXPECT_FALSE(closed) << "the connection itself is good";
  in(get("/"));
  answer({200, {}, "small"});
  EXPECT_EQ(statuses(), (Texts{"503", "200"}));
  drains = false;
  in(get("/"));
  answer({200, {}, std::string(150000, 'x')});
  EXPECT_EQ(settings->waiting->used, 150000u);
  connection.reset();
  EXPECT_EQ(settings->waiting->used, 0u);
}

// Who reads slowly holds the share of its domain, and not that of the others.
TEST_F(Connection, ADomainHoldsItsShare) {
  const auto share = std::make_shared<WaitingBytes>(WaitingBytes{200000, 150000});
  open();
  connection->share(share);
  in(get("/"));
  answer({200, {}, std::string(100000, 'x')});
  EXPECT_EQ(statuses(), (Texts{"503"}));
  EXPECT_EQ(settings->waiting->used, 0u);
  share->used = 0;
  drains = false;
  in(get("/"));
  answer({200, {}, std::string(100000, 'x')});
  EXPECT_EQ(faults, std::vector<int>{503}) << "and no more";
  EXPECT_EQ(share->used, 100000u);
  EXPECT_EQ(settings->waiting->used, 100000u);
  connection.reset();
  EXPECT_EQ(share->used, 0u);
}

}  // namespace
}  // namespace dots::adapters::http
