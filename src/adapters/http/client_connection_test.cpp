// The client's connection over a channel in plain text: requests, answers, bounds and times.
#include "adapters/http/client_connection.h"

#include <gmock/gmock.h>

namespace dots::adapters::http {
namespace {

using testing::HasSubstr;

// The first byte ends the handshake; what follows is plaintext. A lone 0x15 is close_notify.
class ClearChannel final : public ports::SecureChannel {
 public:
  void on_datagram(base::ByteView bytes, ports::ChannelEvents& events) override {
    if (!open_) {
      open_ = events.opened = true;
      bytes = bytes.subspan(1);
    }
    if (bytes.empty()) return;
    if (bytes.size() == 1 && bytes[0] == 0x15) {
      events.closed = true;
    } else {
      events.plaintexts.emplace_back(bytes.begin(), bytes.end());
    }
  }
  void on_timeout(ports::ChannelEvents& /*events*/) override {}
  std::optional<base::Duration> timeout() const override { return std::nullopt; }
  base::Result<void> send(base::ByteView plaintext, ports::ChannelEvents& events) override {
    events.datagrams.emplace_back(plaintext.begin(), plaintext.end());
    return {};
  }
  void close(ports::ChannelEvents& /*events*/) override {}
  bool is_open() const override { return open_; }
  const model::PeerIdentity& identity() const override { return identity_; }
  std::size_t max_plaintext() const override { return 1U << 20; }
  bool resumed() const override { return false; }

 private:
  model::PeerIdentity identity_;
  bool open_ = false;
};

class ClientConnectionTest : public testing::Test {
 protected:
  ClientConnectionTest() { begin(); }
  void begin() {
    connection = std::make_unique<ClientConnection>(std::make_unique<ClearChannel>(), "dots.example:8443", limits, now);
    outcome.reset();
    sent.clear();
    closed = false;
  }
  void take(ClientEffects effects) {
    sent += std::string(base::as_text(effects.send));
    if (effects.outcome) {
      EXPECT_FALSE(outcome) << "told twice";
      outcome = std::move(effects.outcome);
    }
    closed |= effects.close;
  }
  void ask(const std::string& method, const std::string& target, const std::string& body = {}) {
    outcome.reset();
    ClientEffects effects;
    connection->ask({method, target, {{"Accept", "application/yang-data+json"}}, body}, now, effects);
    take(std::move(effects));
  }
  void hear(const std::string& text) {
    ClientEffects effects;
    connection->on_bytes(base::as_bytes(text), now, effects);
    take(std::move(effects));
  }
  void end() {
    ClientEffects effects;
    connection->on_ended("reset", now, effects);
    take(std::move(effects));
  }
  void pass(base::Duration time) {
    now.steady += time;
    ClientEffects effects;
    connection->on_timer(now, effects);
    take(std::move(effects));
  }
  void open_and_ask(const std::string& method = "GET") {
    begin();
    hear("h");
    ask(method, "/x");
  }
  std::string failure() const { return outcome && !*outcome ? outcome->error().reason : "no failure"; }

  ClientLimits limits;
  base::Now now{base::SteadyTime{std::chrono::hours{1}}, {}};
  std::unique_ptr<ClientConnection> connection;
  std::optional<ports::HttpOutcome> outcome;
  std::string sent;
  bool closed = false;
};

// R8040-2.1-03, D8783-3.1-12, D8783-3.1-13
TEST_F(ClientConnectionTest, ARequestWaitsForTheHandshakeAndTheSessionServesMany) {
  ask("PUT", "/a?x=1", "{}");
  EXPECT_EQ(sent, "");
  hear("h");
  EXPECT_EQ(sent,
            "PUT /a?x=1 HTTP/1.1\r\nHost: dots.example:8443\r\nAccept: application/yang-data+json\r\n"
            "Content-Length: 2\r\n\r\n{}");
  hear("HTTP/1.1 204 No Content\r\nETag: \"1\"\r\n\r\n");
  ASSERT_TRUE(outcome && *outcome);
  EXPECT_EQ((*outcome)->status, 204);
  EXPECT_EQ(*(*outcome)->headers.find("etag"), "\"1\"");
  EXPECT_FALSE(closed);
  ask("HEAD", "/b");
  hear("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
  ASSERT_TRUE(outcome && *outcome);
  EXPECT_EQ((*outcome)->body, "");
  EXPECT_FALSE(closed);
}

TEST_F(ClientConnectionTest, AnswersComeInPiecesInChunksAndAfterInterimOnes) {
  const std::string answer =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  for (std::size_t piece = 1; piece <= answer.size(); ++piece) {
    open_and_ask();
    for (std::size_t at = 0; at < answer.size(); at += piece) hear(answer.substr(at, piece));
    ASSERT_TRUE(outcome && *outcome) << piece;
    EXPECT_EQ((*outcome)->body, "abcde");
  }
}

TEST_F(ClientConnectionTest, AnAnswerWithoutALengthEndsWithTheConnection) {
  open_and_ask();
  hear("HTTP/1.1 200 OK\r\n\r\nabc");
  EXPECT_FALSE(outcome);
  hear("\x15");
  ASSERT_TRUE(outcome && *outcome);
  EXPECT_EQ((*outcome)->body, "abc");
  EXPECT_TRUE(closed);
}

TEST_F(ClientConnectionTest, WhatIsOverABoundIsRefused) {
  limits.answer.body_bytes = 1000;
  open_and_ask();
  hear("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_THAT(failure(), HasSubstr("over the bound of 1000 bytes"));
  EXPECT_TRUE(closed);
  open_and_ask();
  hear("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + std::string(1024, 'x') + "\r\n0\r\n\r\n");
  EXPECT_THAT(failure(), HasSubstr("over the bound of 1000 bytes"));
  open_and_ask();
  hear("HTTP/1.1 200 OK\r\nX: " + std::string(20000, 'x'));
  EXPECT_THAT(failure(), HasSubstr("header"));
  std::string fields;
  for (int i = 0; i < 101; ++i) fields += "A: b\r\n";
  open_and_ask();
  hear("HTTP/1.1 200 OK\r\n" + fields + "Content-Length: 0\r\n\r\n");
  EXPECT_THAT(failure(), HasSubstr("more than 100 header fields"));
}

TEST_F(ClientConnectionTest, NonsenseIsNoAnswer) {
  for (const char* text :
       {"HTTP/2 200\r\n\r\n", "hello\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 099 Early\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 600 Late\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"}) {
    open_and_ask();
    hear(text);
    EXPECT_FALSE(outcome && *outcome) << text;
    EXPECT_NE(failure(), "no failure") << text;
    EXPECT_TRUE(closed);
  }
}

TEST_F(ClientConnectionTest, AnAnswerWithoutLengthNeedsAStatusAsWell) {
  open_and_ask();
  hear("HTTP/1.1 000 OK\r\n\r\nabc");
  end();
  EXPECT_FALSE(outcome && *outcome);
  EXPECT_THAT(failure(), HasSubstr("status 0"));
}

TEST_F(ClientConnectionTest, AServerThatSpeaksUnaskedIsLeft) {
  hear("h");
  hear("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(closed);
  EXPECT_TRUE(connection->over());
}

TEST_F(ClientConnectionTest, AFailureTellsWhetherTheRequestHadLeft) {
  ask("PUT", "/x", "{}");
  end();
  ASSERT_TRUE(outcome && !*outcome);
  EXPECT_FALSE(outcome->error().sent);
  open_and_ask("PUT");
  end();
  ASSERT_TRUE(outcome && !*outcome);
  EXPECT_TRUE(outcome->error().sent);
  open_and_ask();
  hear("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  end();
  EXPECT_THAT(failure(), HasSubstr("in the middle"));
}

TEST_F(ClientConnectionTest, EveryWaitHasAnEnd) {
  ask("GET", "/x");
  pass(limits.connect_time);
  EXPECT_THAT(failure(), HasSubstr("no TLS session"));
  open_and_ask();
  pass(limits.answer_time - std::chrono::seconds{1});
  EXPECT_FALSE(outcome);
  pass(std::chrono::seconds{1});
  EXPECT_THAT(failure(), HasSubstr("no answer in 40 s"));
  // One byte now and then is no progress.
  open_and_ask();
  hear("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
  for (int i = 0; i < 25 && !outcome; ++i) {
    pass(std::chrono::seconds{1});
    if (!outcome) hear("x");
  }
  EXPECT_THAT(failure(), HasSubstr("too slowly"));
  // Idle for long: closed, and nobody is told.
  open_and_ask();
  hear("HTTP/1.1 204 No Content\r\n\r\n");
  outcome.reset();
  pass(limits.idle_time);
  EXPECT_TRUE(closed);
  EXPECT_FALSE(outcome);
}

TEST_F(ClientConnectionTest, InterimAnswersAreBounded) {
  const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
  std::string many;
  for (int i = 0; i < 16; ++i) many += interim;
  open_and_ask();
  hear(many + "HTTP/1.1 204 No Content\r\n\r\n");
  ASSERT_TRUE(outcome && *outcome);
  ask("GET", "/y");  // counted anew
  hear(many);
  EXPECT_FALSE(outcome);
  hear(interim);
  EXPECT_THAT(failure(), HasSubstr("interim answers without end"));
  // Few and large.
  open_and_ask();
  for (int i = 0; i < 3 && !outcome; ++i) hear("HTTP/1.1 103 Hints\r\nX: " + std::string(8000, 'x') + "\r\n\r\n");
  EXPECT_THAT(failure(), HasSubstr("interim answers without end"));
}

TEST_F(ClientConnectionTest, AnExchangeHasAnEndHoweverSteadilyItCreeps) {
  const auto fed = [&](std::size_t bytes_per_s, std::size_t size) {
    open_and_ask();
    hear("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n");
    int seconds = 0;
    for (std::size_t left = size; left > 0 && !outcome; ++seconds) {
      pass(std::chrono::seconds{1});
      const std::size_t piece = std::min(bytes_per_s, left);
      if (!outcome) hear(std::string(piece, 'x'));
      left -= piece;
    }
    return seconds;
  };
  EXPECT_LE(fed(2000, 10U << 20), 130);
  EXPECT_THAT(failure(), HasSubstr("too slowly"));
  fed(70000, 14U << 20);  // 210 s, and it is let through
  EXPECT_TRUE(outcome && *outcome);
}

TEST_F(ClientConnectionTest, AValueWithALineEndBeginsNoHeader) {
  hear("h");
  ClientEffects effects;
  connection->ask({"PUT", "/x", {{"If-Match", "\"a\"\r\nX-Evil: 1"}}, ""}, now, effects);
  take(std::move(effects));
  EXPECT_THAT(sent, testing::Not(HasSubstr("\r\nX-Evil")));
}

}  // namespace
}  // namespace dots::adapters::http
