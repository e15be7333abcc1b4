// The whole server over loopback: real TLS, curl as the peer that somebody else wrote, and clients that misbehave.
#include "adapters/http/https_server.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <future>
#include <mutex>
#include <thread>

#include "tests/support/dtls_fixture.h"
#include "tests/support/https_client.h"
#include "tests/support/recording_sink.h"

namespace dots::adapters::http {
namespace {

using net::Credentials;
using net::Side;
using test::HttpsClient;
using test::TestPki;
using namespace std::chrono_literals;

struct Ran {
  int code = -1;
  std::string out;
};

Ran run(const std::string& command) {
  Ran ran;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::array<char, 65536> buffer{};
  for (std::size_t count = 0; (count = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    ran.out.append(buffer.data(), count);
  }
  ran.code = WEXITSTATUS(::pclose(pipe));
  return ran;
}

class Https : public net::Dtls {
 protected:
  ~Https() override { server.reset(); }

  void start() {
    HttpsHooks hooks;
    hooks.identify = [](const model::PeerIdentity& identity) -> std::optional<ports::HttpWho> {
      const std::string name = identity.names.empty() ? "" : identity.names.front();
      if (name == "client.example") return ports::HttpWho{base::DomainId{"home"}, base::ClientId{"edge"}};
      if (name == "home") return ports::HttpWho{base::DomainId{"psk"}, base::ClientId{"psk"}};
      return std::nullopt;
    };
    hooks.handle = [this](ports::HttpRequest request, const ports::HttpClient& client, ports::HttpReply reply) {
      ++handled;
      if (handle) return handle(std::move(request), client, std::move(reply));
      reply({200,
             {{"Content-Type", "text/plain"}},
             request.method + " " + request.target + " of " + client.domain.value + "/" + client.client.value + " " +
                 std::to_string(request.body.size()) + "\n"});
    };
    options.addresses = {{*model::parse_ip_address("127.0.0.1"), 0}};
    auto opened = HttpsServer::open(options, server_credentials(), {.keys = keys}, std::move(hooks), sink);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    server = std::move(*opened);
    port = server->bound().front().port;
    server->start();
  }
  std::string url(const std::string& path) const { return "https://server.example:" + std::to_string(port) + path; }
  // curl with the certificate of our client.
  std::string curl(const std::string& more, const test::IssuedCertificate* own = &client_certificate()) const {
    std::string out = "curl -sS --max-time 60 --cacert " + pki().ca_file() +
                      " --resolve server.example:" + std::to_string(port) + ":127.0.0.1 ";
    if (own != nullptr) out += "--cert " + own->certificate_file + " --key " + own->key_file + " ";
    return out + more;
  }
  std::unique_ptr<HttpsClient> connect(int receive_buffer_bytes = 0) const {
    return std::make_unique<HttpsClient>(port, client_credentials(), "http/1.1", receive_buffer_bytes);
  }
  template <class Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 500; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  std::uint64_t handshakes(const std::string& event) const {
    return sink.counted("dots_https_handshakes_total", event);
  }

  HttpsOptions options;
  tests::RecordingSink sink;
  std::shared_ptr<const net::TicketKeys> keys;
  ports::HttpHandler handle;
  std::atomic<int> handled{0};
  std::unique_ptr<HttpsServer> server;
  std::uint16_t port = 0;
};

const std::string kGet = "GET /a HTTP/1.1\r\nHost: server.example\r\n\r\n";

// R8040-2.1-01, R8040-2.2-02, R8040-2.5-01, R8040-2.5-03, D8783-10-02, D8783-10-04
TEST_F(Https, CurlIsServedOverBothVersionsOfTls) {
  start();
  for (const char* version : {"--tlsv1.2 --tls-max 1.2", "--tlsv1.3"}) {
    const Ran ran = run(curl(std::string{"-v "} + version + " " + url("/a?b=c")));
    EXPECT_EQ(ran.code, 0) << ran.out;
    EXPECT_NE(ran.out.find("GET /a?b=c of home/edge 0"), std::string::npos) << ran.out;
    EXPECT_NE(ran.out.find("server accepted http/1.1"), std::string::npos) << ran.out;
  }
  EXPECT_EQ(handshakes("opened"), 2u);
  EXPECT_NE(run(curl("--tlsv1.0 --tls-max 1.1 " + url("/"))).code, 0);
  EXPECT_EQ(handled, 2);
}

// D8783-10-03: suites that encrypt and authenticate in one, and no other.
TEST_F(Https, OnlyAuthenticatedEncryption) {
  start();
  const std::string tls12 = "--tlsv1.2 --tls-max 1.2 --ciphers ";
  EXPECT_EQ(run(curl(tls12 + "ECDHE-ECDSA-AES128-GCM-SHA256 " + url("/"))).code, 0);
  for (const char* weak : {"ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-NULL-SHA@SECLEVEL=0"}) {
    EXPECT_NE(run(curl(tls12 + weak + " " + url("/"))).code, 0) << weak;
  }
  EXPECT_EQ(handled, 1);
}

// D8783-3.1-01, R8040-2.1-02: nothing is served in clear text.
TEST_F(Https, ClearTextIsNotServed) {
  start();
  HttpsClient client{port, nullptr};
  client.send(kGet);
  EXPECT_TRUE(client.wait_for_end());
  EXPECT_EQ(client.received().find("HTTP"), std::string::npos);
  EXPECT_TRUE(soon([&] { return handshakes("failed") == 1; }));
  EXPECT_EQ(sink.messages("HANDSHAKE_REFUSED"), 1u);
  EXPECT_EQ(handled, 0);
}

// R8040-2.5-01, D8783-10-01: who shows no certificate, or one of another authority, gets nothing and leaves a trace.
TEST_F(Https, WhoProvesNothingIsNotServed) {
  start();
  EXPECT_NE(run(curl(url("/"), nullptr)).code, 0);
  TestPki foreign;
  const auto issued = foreign.issue({.name = "client", .common_name = "x", .dns = {"client.example"}});
  EXPECT_NE(run(curl(url("/"), &issued)).code, 0);
  EXPECT_TRUE(soon([&] { return sink.messages("HANDSHAKE_REFUSED") == 2; }));
  EXPECT_EQ(handshakes("failed"), 2u);
  EXPECT_EQ(handled, 0);
}

// R8040-12-03
TEST_F(Https, AProvenStrangerIsForbiddenEverything) {
  start();
  static const auto other = pki().issue({.name = "other", .common_name = "x", .dns = {"other.example"}});
  const Ran ran = run(curl("-i " + url("/a"), &other));
  EXPECT_NE(ran.out.find("HTTP/1.1 403 Forbidden"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("belongs to no client"), std::string::npos) << ran.out;
  EXPECT_EQ(sink.messages("SESSION_STRANGER"), 1u);
  EXPECT_EQ(handled, 0);
}

TEST_F(Https, PreSharedKeysServeToo) {
  start();
  HttpsClient client{port, psk_client("home", net::kKey)};
  client.send(kGet);
  EXPECT_TRUE(client.wait_for("of psk/psk 0"));
}

TEST_F(Https, OtherProtocolsAreRefused) {
  start();
  const HttpsClient client{port, client_credentials(), "coap"};
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(soon([&] { return handshakes("failed") == 1; }));
}

// D8783-3.1-11, D8783-3.1-12
TEST_F(Https, TenThousandRequestsOnOneConnection) {
  options.limits.requests_per_s = 1000000;
  options.limits.requests_burst = 1000000;
  start();
  const Ran ran =
      run(curl("-w '%{http_code} %{num_connects}\\n' -o /dev/null '" + url("/[1-10000]") + "' | sort | uniq -c"));
  EXPECT_NE(ran.out.find("9999 200 0"), std::string::npos) << ran.out;
  EXPECT_EQ(handled, 10000);
  EXPECT_EQ(handshakes("opened"), 1u);
}

TEST_F(Https, PipelinedRequestsAreAnsweredInOrderByAnotherThread) {
  std::vector<std::thread> threads;
  handle = [&](ports::HttpRequest request, const ports::HttpClient&, ports::HttpReply reply) {
    threads.emplace_back([target = request.target, reply = std::move(reply)] { reply({200, {}, "<" + target + ">"}); });
  };
  start();
  auto client = connect();
  std::string all;
  for (int i = 0; i < 200; ++i) all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  client->send(all);
  EXPECT_TRUE(client->wait_for("</199>"));
  std::size_t at = 0;
  for (int i = 0; i < 200; ++i) {
    at = client->received().find("</" + std::to_string(i) + ">", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  server.reset();
  for (auto& thread : threads) thread.join();
}

TEST_F(Https, BodiesComeChunkedOrWithContinue) {
  start();
  const std::string body(3 << 20, 'x');
  const auto file = pki().dir().write("body", body);
  const Ran chunked = run(curl("-T - -H 'Transfer-Encoding: chunked' " + url("/c") + " < " + file));
  EXPECT_NE(chunked.out.find("PUT /c of home/edge 3145728"), std::string::npos) << chunked.out;
  const Ran waits = run(curl("-v -T " + file + " -H 'Expect: 100-continue' " + url("/e")));
  EXPECT_NE(waits.out.find("HTTP/1.1 100 Continue"), std::string::npos) << waits.out;
  EXPECT_NE(waits.out.find("PUT /e of home/edge 3145728"), std::string::npos) << waits.out;
  const auto large = pki().dir().write("large", std::string(5 << 20, 'x'));
  const Ran refused = run(curl("-i -T " + large + " " + url("/l")));
  EXPECT_NE(refused.out.find("HTTP/1.1 413 "), std::string::npos) << refused.out;
}

TEST_F(Https, FaultsAreToldClearly) {
  start();
  const auto status = [&](const std::string& request) {
    auto client = connect();
    client->send(request);
    EXPECT_TRUE(client->wait_for("\r\n\r\n")) << request.substr(0, 60);
    EXPECT_TRUE(client->wait_for_end());
    return client->received().substr(0, 12);
  };
  EXPECT_EQ(status("NONSENSE\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(status("GET / HTTP/3.0\r\n\r\n"), "HTTP/1.1 505");
  EXPECT_EQ(status("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: br, chunked\r\n\r\n"), "HTTP/1.1 501");
  EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(20000, 'a') + "\r\n\r\n"), "HTTP/1.1 431");
  EXPECT_EQ(status("GET /" + std::string(20000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 414");
  std::string noise(1000, '\x80');
  noise += "\r\n\r\n";
  EXPECT_EQ(status(noise), "HTTP/1.1 400");
  EXPECT_EQ(sink.messages("HTTPS_REFUSED"), 6u);
  EXPECT_EQ(sink.counted("dots_https_answers_total", "400"), 2u);
  EXPECT_EQ(handled, 0);
}

TEST_F(Https, SlowClientsEndAndDisturbNobody) {
  options.limits.header_time = 300ms;
  options.limits.stall_time = 300ms;
  options.limits.handshake_time = 300ms;
  handle = [](ports::HttpRequest request, const ports::HttpClient&, ports::HttpReply reply) {
    reply({200, {}, request.target == "/large" ? std::string(20 << 20, 'x') : "small"});
  };
  start();
  HttpsClient mute{port, nullptr};
  auto header = connect(), body = connect(), reader = connect(4096);
  header->send("GET / HT");
  body->send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc");
  reader->send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  const Ran ran = run(curl(url("/small")));
  EXPECT_EQ(ran.out, "small");
  EXPECT_TRUE(header->wait_for("HTTP/1.1 408"));
  EXPECT_TRUE(body->wait_for("HTTP/1.1 408"));
  EXPECT_TRUE(mute.wait_for_end());
  EXPECT_TRUE(soon([&] { return sink.counted("dots_https_ended_total", "slow_reader") == 1; }));
  EXPECT_EQ(handshakes("timed_out"), 1u);
  EXPECT_EQ(sink.counted("dots_https_ended_total", "header_timeout"), 1u);
  EXPECT_EQ(sink.counted("dots_https_ended_total", "body_timeout"), 1u);
}

TEST_F(Https, LargeAnswersArriveWhole) {
  options.limits.waiting_bytes = 100 << 20;
  handle = [](ports::HttpRequest, const ports::HttpClient&, ports::HttpReply reply) {
    reply({200, {}, std::string(20 << 20, 'x')});
  };
  start();
  const Ran ran = run(curl("-o /dev/null -w '%{http_code} %{size_download}' " + url("/")));
  EXPECT_EQ(ran.out, "200 20971520");
}

TEST_F(Https, AClientThatLeavesDropsItsAnswerOnly) {
  std::mutex mutex;
  std::vector<ports::HttpReply> replies;
  handle = [&](ports::HttpRequest, const ports::HttpClient&, ports::HttpReply reply) {
    const std::lock_guard lock(mutex);
    replies.push_back(std::move(reply));
  };
  start();
  auto leaves = connect(), stays = connect(), half = connect();
  leaves->send(kGet);
  stays->send(kGet);
  half->send(kGet);
  half->half_close();
  EXPECT_TRUE(soon([&] { return handled == 3; }));
  leaves->close();
  {
    const std::lock_guard lock(mutex);
    for (auto& reply : replies) reply({200, {}, "late"});
    for (auto& reply : replies) reply({500, {}, "twice"});
  }
  EXPECT_TRUE(stays->wait_for("late"));
  // A reply that nobody gives is a 503.
  stays->send(kGet);
  EXPECT_TRUE(soon([&] { return handled == 4; }));
  {
    const std::lock_guard lock(mutex);
    replies.clear();
  }
  EXPECT_TRUE(stays->wait_for("HTTP/1.1 503"));
  EXPECT_NE(stays->received().find("Retry-After: 1"), std::string::npos);
  EXPECT_EQ(stays->received().find("twice"), std::string::npos);
  // ... and one that comes after the server goes nowhere.
  stays->send(kGet);
  EXPECT_TRUE(soon([&] { return handled == 5; }));
  server.reset();
  replies.front()({200, {}, "far too late"});
}

TEST_F(Https, ARevokedClientLosesItsConnection) {
  start();
  auto client = connect();
  client->send(kGet);
  EXPECT_TRUE(client->wait_for("of home/edge"));
  auto with_list = server_sources();
  with_list.crl_file = pki().revoke({client_certificate()});
  const auto next = net::load(with_list, Side::server);
  Credentials::succeed(server_credentials(), next);
  server->replace_credentials(next);
  server->recheck();
  EXPECT_TRUE(client->wait_for_end());
  EXPECT_EQ(sink.messages("SESSION_CREDENTIAL_ENDED"), 1u);
  EXPECT_EQ(sink.counted("dots_https_ended_total", "credential"), 1u);
  auto again = connect();
  again->send(kGet);
  EXPECT_FALSE(again->wait_for("of home/edge", 500));
  Credentials::succeed(server_credentials(), server_credentials());
}

TEST_F(Https, AReloadEndsConnectionsOfWhoIsAnotherNow) {
  start();
  auto client = connect();
  HttpsClient psk{port, psk_client("home", net::kKey)};
  client->send(kGet);
  psk.send(kGet);
  EXPECT_TRUE(client->wait_for("of home/edge"));
  EXPECT_TRUE(psk.wait_for("of psk/psk"));
  server->replace_identify([](const model::PeerIdentity& identity) -> std::optional<ports::HttpWho> {
    if (identity.names.front() == "home") return ports::HttpWho{base::DomainId{"psk"}, base::ClientId{"psk"}};
    return ports::HttpWho{base::DomainId{"moved"}, base::ClientId{"edge"}};
  });
  EXPECT_TRUE(client->wait_for_end());
  psk.forget();
  psk.send(kGet);
  EXPECT_TRUE(psk.wait_for("of psk/psk"));
  auto again = connect();
  again->send(kGet);
  EXPECT_TRUE(again->wait_for("of moved/edge"));
}

TEST_F(Https, ConnectionsAndRequestsHaveBounds) {
  options.limits.connections = 4;
  options.limits.connections_per_domain = 2;
  options.limits.requests_per_s = 1;
  options.limits.requests_burst = 3;
  start();
  auto first = connect(), second = connect(), third = connect();
  third->send(kGet);
  EXPECT_TRUE(third->wait_for("HTTP/1.1 503"));
  EXPECT_EQ(sink.messages("HTTPS_CROWDED"), 1u);
  EXPECT_TRUE(third->wait_for_end());
  for (int i = 0; i < 3; ++i) {
    first->forget();
    first->send(kGet);
    EXPECT_TRUE(first->wait_for("HTTP/1.1 200"));
  }
  second->send(kGet);
  EXPECT_TRUE(second->wait_for("HTTP/1.1 429"));
  EXPECT_TRUE(second->wait_for("Retry-After: 1"));
  EXPECT_TRUE(second->open());
  EXPECT_EQ(sink.messages("HTTPS_THROTTLED"), 1u);
  HttpsClient psk{port, psk_client("home", net::kKey)};
  psk.send(kGet);
  EXPECT_TRUE(psk.wait_for("HTTP/1.1 200")) << "another domain has its own rate";
  auto fourth = connect();
  EXPECT_TRUE(fourth->open());
  auto fifth = connect();
  EXPECT_FALSE(fifth->open());
  EXPECT_EQ(handshakes("limited"), 1u);
}

TEST_F(Https, WhoLeavesMakesRoomForOthersOfItsDomain) {
  options.limits.connections_per_domain = 1;
  start();
  auto first = connect();
  EXPECT_TRUE(soon([&] { return handshakes("opened") == 1; }));
  first->close();
  EXPECT_TRUE(soon([&] {
    auto second = connect();
    second->send(kGet);
    return second->wait_for("HTTP/1.1 200", 1000);
  }));
}

TEST_F(Https, ConnectionsOfOneNetworkHaveABound) {
  options.limits.connections_per_prefix = 2;
  start();
  auto first = connect(), second = connect(), third = connect();
  EXPECT_TRUE(first->open() && second->open());
  EXPECT_FALSE(third->open());
  first->close();
  EXPECT_TRUE(soon([&] { return connect()->open(); }));
}

TEST_F(Https, AStopFinishesTheAnswersThatAreDue) {
  std::promise<ports::HttpReply> asked;
  handle = [&](ports::HttpRequest, const ports::HttpClient&, ports::HttpReply reply) {
    asked.set_value(std::move(reply));
  };
  start();
  auto waits = connect(), idle = connect();
  waits->send(kGet);
  const auto reply = asked.get_future().get();
  auto stopped = std::async(std::launch::async, [&] { server->stop(10s); });
  EXPECT_TRUE(idle->wait_for_end());
  EXPECT_EQ(stopped.wait_for(50ms), std::future_status::timeout);
  reply({200, {}, "the last word"});
  EXPECT_TRUE(waits->wait_for("the last word"));
  EXPECT_TRUE(waits->wait_for_end());
  EXPECT_EQ(stopped.wait_for(5s), std::future_status::ready);
  EXPECT_FALSE(connect()->open());
}

TEST_F(Https, AStopDoesNotWaitForEver) {
  std::vector<ports::HttpReply> kept;
  handle = [&](ports::HttpRequest, const ports::HttpClient&, ports::HttpReply reply) {
    kept.push_back(std::move(reply));
  };
  start();
  auto waits = connect();
  waits->send(kGet);
  EXPECT_TRUE(soon([&] { return handled == 1; }));
  server->stop(100ms);
  server.reset();
}

// A client need not prove itself anew for each connection, and R8040-12-01: there is no early data.
TEST_F(Https, SessionsResumeByTickets) {
  const auto made = net::TicketKeys::open("", {}, std::chrono::hours{24}, net::wall_now(),
                                          [](const std::string&) { return base::Result<void>{}; });
  ASSERT_TRUE(made.ok());
  keys = *made;
  start();
  // `Connection: close` makes curl begin again, with the ticket that it has.
  const Ran ran = run(curl("-H 'Connection: close' -o /dev/null '" + url("/[1-3]") + "'"));
  EXPECT_EQ(ran.code, 0) << ran.out;
  EXPECT_EQ(handshakes("opened"), 3u);
  EXPECT_EQ(handshakes("resumed"), 2u);
  const Ran tickets = run("(sleep 1; echo Q) | openssl s_client -connect 127.0.0.1:" + std::to_string(port) +
                          " -CAfile " + pki().ca_file() + " -cert " + client_certificate().certificate_file + " -key " +
                          client_certificate().key_file + " -tls1_3 -alpn http/1.1");
  EXPECT_NE(tickets.out.find("Post-Handshake New Session Ticket"), std::string::npos) << tickets.out;
  EXPECT_NE(tickets.out.find("Max Early Data: 0"), std::string::npos) << tickets.out;
}

// A large answer counts as many requests, so that one domain cannot keep a shard busy with it.
TEST_F(Https, ALargeAnswerCountsAsManyRequests) {
  options.limits.requests_per_s = 1;
  options.limits.requests_burst = 3;
  handle = [](ports::HttpRequest, const ports::HttpClient&, ports::HttpReply reply) {
    reply({200, {}, std::string(300000, 'x') + "end"});
  };
  start();
  auto client = connect();
  client->send(kGet);
  EXPECT_TRUE(client->wait_for("xend"));
  client->send(kGet);
  EXPECT_TRUE(client->wait_for("HTTP/1.1 429"));
}

}  // namespace
}  // namespace dots::adapters::http
