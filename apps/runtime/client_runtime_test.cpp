// A client and a server of ours over real DTLS on the loopback.
#include "apps/runtime/client_runtime.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>

#include "apps/runtime/server_runtime.h"

namespace dots::runtime {
namespace {

using namespace std::chrono_literals;
using agent::CallAnswer;

class QuietSink final : public ops::facts::Sink {
 public:
  void message(std::string_view, const std::string&) override {}
  void count(std::string_view, std::string_view, std::uint64_t) override {}
  void gauge(std::string_view, std::string_view, double) override {}
};

std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  close(fd);
  return ntohs(address.sin_port);
}

class ClientRuntimeTest : public testing::Test {
 protected:
  ClientRuntimeTest() {
    char name[] = "/tmp/tidewall-client-XXXXXX";
    folder_ = mkdtemp(name);
    const model::SocketAddress address{model::parse_ip_address("127.0.0.1").value(), free_port()};
    const ops::PskEntry psk{"client-1", base::Bytes(32, 7)};

    server_.role = ops::Role::server;
    server_.credentials.psk = {psk};
    server_.listen.addresses = {address};
    server_.listen.shards = 1;
    server_.store.kind = "memory";
    server_.store.state_dir = folder_;
    ops::MitigatorConfig mitigator;
    mitigator.name = mitigator.kind = "dry-run";
    server_.mitigators = {mitigator};
    policy::DomainPolicy domain;
    domain.id = base::DomainId{"customer"};
    domain.prefixes = {model::parse_prefix("203.0.113.0/24").value()};
    policy::ClientPolicy client;
    client.id = base::ClientId{"edge"};
    client.psk_identities = {"client-1"};
    domain.clients = {client};
    server_.domains = {domain};

    client_.role = ops::Role::client;
    client_.credentials.psk = {psk};
    client_.store.kind = "sqlite";
    client_.store.state_dir = folder_;
    ops::UpstreamConfig upstream;
    upstream.name = "provider";
    upstream.host = "localhost";
    upstream.addresses = {address};
    client_.upstreams = {upstream};
  }
  ~ClientRuntimeTest() override { std::filesystem::remove_all(folder_); }

  CallAnswer call(agent::Control& control, const std::string& operation, boost::json::object arguments = {}) {
    auto promise = std::make_shared<std::promise<CallAnswer>>();
    auto answer = promise->get_future();
    control.call({operation, std::move(arguments), {"alice", 1000, true}},
                 [promise](CallAnswer one) { promise->set_value(std::move(one)); });
    EXPECT_EQ(answer.wait_for(30s), std::future_status::ready) << operation;
    return answer.get();
  }

  std::string folder_;
  ops::Config server_, client_;
  QuietSink sink_;
};

// S8811-2-03
TEST_F(ClientRuntimeTest, AMitigationFromTheWishToTheEnd) {
  auto server = ServerRuntime::start(server_, sink_);
  ASSERT_TRUE(server) << server.error().message;
  auto client = ClientRuntime::start(client_, sink_);
  ASSERT_TRUE(client) << client.error().message;

  const auto asked =
      call(**client, "mitigate", {{"target-prefix", {"203.0.113.7"}}, {"target-protocol", {"udp"}}, {"wait", 20}});
  ASSERT_EQ(asked.outcome, CallAnswer::Outcome::ok) << asked.message;
  EXPECT_EQ(asked.body.at("mitigation").at("phase").as_string(), "active") << asked.body;
  EXPECT_EQ(call(**server, "list").body.at("mitigations").as_array().size(), 1u);

  const auto refused = call(**client, "mitigate", {{"target-prefix", {"198.51.100.7"}}, {"wait", 20}});
  EXPECT_EQ(refused.body.at("mitigation").at("phase").as_string(), "refused") << refused.body;
  EXPECT_TRUE(refused.body.at("mitigation").as_object().contains("refusal"));

  // The daemon stops and starts: the request goes on under its mid.
  *client = nullptr;
  client = ClientRuntime::start(client_, sink_);
  ASSERT_TRUE(client) << client.error().message;
  const auto list = call(**client, "list").body.at("mitigations").as_array();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].at("mid"), asked.body.at("mitigation").at("mid"));

  const auto gone = call(**client, "withdraw", {{"mid", list[0].at("mid")}, {"wait", 20}});
  EXPECT_EQ(gone.body.at("mitigation").at("phase").as_string(), "ended") << gone.body;
  const auto audit = call(**client, "audit").body.at("audit").as_array();
  EXPECT_GE(audit.size(), 4u);
}

TEST_F(ClientRuntimeTest, WithoutAServerTheWishIsKept) {
  auto client = ClientRuntime::start(client_, sink_);
  ASSERT_TRUE(client) << client.error().message;
  const auto asked = call(**client, "mitigate", {{"target-prefix", {"203.0.113.7"}}});
  ASSERT_EQ(asked.outcome, CallAnswer::Outcome::ok);
  *client = nullptr;
  client = ClientRuntime::start(client_, sink_);
  ASSERT_TRUE(client);
  EXPECT_EQ(call(**client, "list").body.at("mitigations").as_array().size(), 1u);
}

TEST_F(ClientRuntimeTest, CallsAreAnsweredWhenTheDaemonStops) {
  auto client = ClientRuntime::start(client_, sink_);
  ASSERT_TRUE(client);
  std::promise<CallAnswer> promise;
  (*client)->call({"mitigate", {{"target-prefix", {"203.0.113.7"}}, {"wait", 60}}, {"alice", 1000, true}},
                  [&](CallAnswer one) { promise.set_value(std::move(one)); });
  std::this_thread::sleep_for(50ms);
  *client = nullptr;
  EXPECT_EQ(promise.get_future().wait_for(0s), std::future_status::ready);
}

TEST_F(ClientRuntimeTest, ErrorsAtStartSayWhatToDo) {
  client_.upstreams.clear();
  EXPECT_NE(ClientRuntime::start(client_, sink_).error().message.find("[[upstream]]"), std::string::npos);
}

}  // namespace
}  // namespace dots::runtime
