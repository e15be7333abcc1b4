#include "api/server.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "api/rights.h"

namespace dots::api {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace std::chrono_literals;

// An agent that remembers what it was asked and answers as told.
class FakeControl final : public agent::Control {
 public:
  void call(agent::Call call, std::function<void(agent::CallAnswer)> done) override {
    const std::scoped_lock lock{mutex_};
    calls_.push_back(call);
    if (silent_) {
      held_.push_back(std::move(done));
      return;
    }
    done(answer_);
  }
  void answer(agent::CallAnswer answer) {
    const std::scoped_lock lock{mutex_};
    answer_ = std::move(answer);
  }
  void be_silent() {
    const std::scoped_lock lock{mutex_};
    silent_ = true;
  }
  std::vector<std::function<void(agent::CallAnswer)>> take_held() {
    const std::scoped_lock lock{mutex_};
    return std::move(held_);
  }
  std::vector<agent::Call> calls() const {
    const std::scoped_lock lock{mutex_};
    return calls_;
  }

 private:
  mutable std::mutex mutex_;
  bool silent_ = false;
  agent::CallAnswer answer_;
  std::vector<agent::Call> calls_;
  std::vector<std::function<void(agent::CallAnswer)>> held_;
};

class Client {
 public:
  explicit Client(int fd) : fd_(fd) {
    const timeval patience{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(fd_); }

  static int connect_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    ::close(fd);
    return -1;
  }
  static int connect_tcp(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    ::close(fd);
    return -1;
  }

  void send(const std::string& bytes) const { (void)::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  // Everything until the server closes.
  std::string rest() const {
    std::string out;
    char buffer[4096];
    for (ssize_t n; (n = ::recv(fd_, buffer, sizeof buffer, 0)) > 0;) out.append(buffer, static_cast<std::size_t>(n));
    return out;
  }

 private:
  int fd_;
};

struct Response {
  int status = 0;
  std::string head;
  std::string body;
};
Response parse(const std::string& bytes) {
  Response out;
  if (bytes.size() > 12) out.status = std::atoi(bytes.c_str() + 9);
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return out;
  out.head = bytes.substr(0, end);
  out.body = bytes.substr(end + 4);
  return out;
}
std::string request(const std::string& method, const std::string& target, const std::string& body = "") {
  return method + " " + target +
         " HTTP/1.1\r\nHost: dotsd\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

class ApiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "dots-api-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    ::chmod(folder_.c_str(), 0755);
    options_.api.socket = folder_ + "/dotsd.sock";
    ops::Instruments::Options sink;
    sink.write = [](ops::facts::Severity, const std::string&) {};
    instruments_ = std::move(ops::Instruments::open(sink)).value();
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  void start() {
    auto server = Server::start(options_, control_, *instruments_);
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = std::move(server).value();
  }
  Response ask(const std::string& bytes) const {
    const Client client{Client::connect_unix(options_.api.socket)};
    client.send(bytes);
    return parse(client.rest());
  }
  static std::string error_of(const Response& response) {
    return std::string{json::parse(response.body).at("error").as_string()};
  }

  std::string folder_;
  ServerOptions options_;
  std::unique_ptr<ops::Instruments> instruments_;
  FakeControl control_;
  std::unique_ptr<Server> server_;
};

TEST_F(ApiTest, ACallReachesTheAgentWithItsAuthorAndComesBack) {
  start();
  control_.answer({agent::CallAnswer::Outcome::ok, json::object{{"mid", 7}}, "", ""});
  const Response response = ask(request("POST", "/v1/mitigate", R"({"target-prefix":["203.0.113.7/32"]})"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"mid":7})");
  EXPECT_THAT(response.head, HasSubstr("Content-Type: application/json"));
  ASSERT_EQ(control_.calls().size(), 1u);
  const agent::Call call = control_.calls()[0];
  EXPECT_EQ(call.operation, "mitigate");
  EXPECT_EQ(json::serialize(call.arguments), R"({"target-prefix":["203.0.113.7/32"]})");
  EXPECT_EQ(call.caller.uid, ::geteuid());
  EXPECT_TRUE(call.caller.may_write);
  EXPECT_FALSE(call.caller.name.empty());
}

TEST_F(ApiTest, RefusalsOfTheAgentHaveTheirCodesAndNextSteps) {
  start();
  using Outcome = agent::CallAnswer::Outcome;
  const std::pair<Outcome, int> cases[] = {{Outcome::bad_request, 400},
                                           {Outcome::forbidden, 403},
                                           {Outcome::not_found, 404},
                                           {Outcome::conflict, 409},
                                           {Outcome::unavailable, 503}};
  for (const auto& [outcome, status] : cases) {
    control_.answer({outcome, {}, "no such thing", "look again"});
    const Response response = ask(request("POST", "/v1/withdraw", "{}"));
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(response.body, R"({"error":"no such thing","next_step":"look again"})");
  }
}

TEST_F(ApiTest, TheSocketIsForItsGroupOnly) {
  start();
  struct stat info {};
  ASSERT_EQ(::stat(options_.api.socket.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
  server_.reset();
  EXPECT_NE(::stat(options_.api.socket.c_str(), &info), 0) << "the socket goes with the server";
}

TEST_F(ApiTest, ALeftOverSocketIsReplacedAndALiveOneIsNot) {
  start();
  const auto second = Server::start(options_, control_, *instruments_);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, HasSubstr("another daemon listens on"));
  EXPECT_EQ(ask(request("GET", "/v1/health")).status, 200) << "the first one is undisturbed";
  server_.reset();

  const int left_over = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, options_.api.socket.c_str(), options_.api.socket.size());
  ASSERT_EQ(::bind(left_over, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(left_over);
  start();
  EXPECT_EQ(ask(request("GET", "/v1/health")).status, 200);
}

TEST_F(ApiTest, AFileAtTheSocketsPlaceIsNotTouched) {
  std::ofstream{options_.api.socket} << "precious";
  const auto server = Server::start(options_, control_, *instruments_);
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(server.error().message, HasSubstr("is no socket"));
  EXPECT_TRUE(std::filesystem::is_regular_file(options_.api.socket));
}

TEST_F(ApiTest, AGroupThatDoesNotExistIsSaid) {
  options_.api.operator_group = "no-such-group-here";
  const auto server = Server::start(options_, control_, *instruments_);
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.error().message,
            "api.operator_group: there is no group 'no-such-group-here'; run: groupadd --system no-such-group-here");
}

TEST_F(ApiTest, BadRequestsAreRefusedBeforeTheAgent) {
  start();
  struct Case {
    std::string bytes;
    int status;
    std::string error;
  };
  const std::string deep(64, '[');
  const Case cases[] = {
      {request("POST", "/v1/list", "{"), 400, "the body is no JSON: "},
      {request("POST", "/v1/list", "[]"), 400, "the body is no JSON object"},
      {request("POST", "/v1/list", "{\"a\":" + deep), 400, "the body is no JSON: "},
      {request("GET", "/v1/list"), 405, "this method does not fit here"},
      {request("POST", "/v1/health"), 405, "this method does not fit here"},
      {request("POST", "/v1/"), 404, "there is no such path"},
      {request("POST", "/v1/../etc"), 404, "there is no such path"},
      {request("POST", "/v1/" + std::string(33, 'a')), 404, "there is no such path"},
      {request("GET", "/"), 404, "there is no such path"},
      {request("POST", "/v1/list", std::string((4u << 20) + 1, ' ')), 413, "the request is too large"},
      {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n", 431, "the header of the request is too large"},
      {"nonsense\r\n\r\n", 400, "this is no HTTP request: "},
  };
  for (const Case& one : cases) {
    const Response response = ask(one.bytes);
    EXPECT_EQ(response.status, one.status) << one.bytes.substr(0, 60);
    ASSERT_FALSE(response.body.empty()) << one.bytes.substr(0, 60);
    EXPECT_THAT(error_of(response), StartsWith(one.error));
    EXPECT_FALSE(json::parse(response.body).at("next_step").as_string().empty());
  }
  EXPECT_TRUE(control_.calls().empty());
  EXPECT_THAT(instruments_->metrics_text(), HasSubstr("dots_api_refusals_total{reason=\"json\"} 3"));
}

TEST_F(ApiTest, ASlowClientIsGivenUpAndDisturbsNobody) {
  options_.limits.request_time = 300ms;
  start();
  const Client slow{Client::connect_unix(options_.api.socket)};
  slow.send("POST /v1/list HTTP/1.1\r\nContent-Length: 10\r\n\r\n{");
  EXPECT_EQ(ask(request("GET", "/v1/health")).status, 200);
  EXPECT_EQ(slow.rest(), "") << "closed, and the agent was not asked";
  EXPECT_TRUE(control_.calls().empty());
  const Client silent{Client::connect_unix(options_.api.socket)};
  EXPECT_EQ(silent.rest(), "") << "a client that says nothing is closed without a word";
}

TEST_F(ApiTest, ConnectionsAreBounded) {
  options_.limits.connections = 2;  // twice that for users who may change things, as this test is
  start();
  std::vector<std::unique_ptr<Client>> crowd;
  for (int i = 0; i < 4; ++i) {
    crowd.push_back(std::make_unique<Client>(Client::connect_unix(options_.api.socket)));
    crowd.back()->send("GET /v1/health HTTP/1.1\r\n\r\n");
  }
  const Response refused = ask("");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(error_of(refused), "too many connections");
  crowd.clear();
  // The places come back.
  Response again;
  for (int i = 0; i < 200 && again.status != 200; ++i) again = ask(request("GET", "/v1/health"));
  EXPECT_EQ(again.status, 200);
}

TEST_F(ApiTest, SeveralRequestsShareAConnection) {
  start();
  control_.answer({agent::CallAnswer::Outcome::ok, json::object{{"n", 1}}, "", ""});
  const Client client{Client::connect_unix(options_.api.socket)};
  client.send("POST /v1/list HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + request("POST", "/v1/list"));
  const std::string all = client.rest();
  EXPECT_NE(all.find("{\"n\":1}"), all.rfind("{\"n\":1}"));
}

TEST_F(ApiTest, AnAgentThatDoesNotAnswerIsNotWaitedForForever) {
  options_.limits.answer_time = 200ms;
  control_.be_silent();
  start();
  const Response response = ask(request("POST", "/v1/list"));
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(error_of(response), "the daemon did not answer in time");
  // Its late word reaches nobody and hurts nobody; nor does one after the server is gone.
  auto held = control_.take_held();
  ASSERT_EQ(held.size(), 1u);
  held[0]({});
  {
    const Client waiting{Client::connect_unix(options_.api.socket)};
    waiting.send(request("POST", "/v1/list"));
    while (control_.calls().size() < 2) std::this_thread::yield();
    server_.reset();
  }
  for (auto& done : control_.take_held()) done({});
}

TEST_F(ApiTest, StatusCarriesTheHealthBoard) {
  start();
  control_.answer({agent::CallAnswer::Outcome::ok, json::object{{"role", "server"}}, "", ""});
  EXPECT_EQ(ask(request("POST", "/v1/status")).body, R"({"role":"server","health":[]})");
  instruments_->health("STORE_STALLED", "", true, "2.1 s");
  const auto status = json::parse(ask(request("POST", "/v1/status")).body);
  EXPECT_EQ(status.at("health").at(0).at("condition").as_string(), "STORE_STALLED");
  EXPECT_EQ(status.at("health").at(0).at("details").as_string(), "2.1 s");
  EXPECT_EQ(ask(request("GET", "/v1/health")).status, 200) << "degraded is not failed";
  instruments_->health("STORE_FAILED", "", true, "no space");
  const Response failed = ask(request("GET", "/v1/health"));
  EXPECT_EQ(failed.status, 503);
  EXPECT_EQ(json::parse(failed.body).at("healthy").as_bool(), false);
  EXPECT_EQ(json::parse(failed.body).at("health").at(0).at("condition").as_string(), "STORE_FAILED");
}

TEST_F(ApiTest, MetricsOnTheSocketAndOnTcpAndNothingElseThere) {
  options_.api.metrics_address = "127.0.0.1:0";
  const auto refused = Server::start(options_, control_, *instruments_);
  ASSERT_FALSE(refused.ok()) << "port 0 is no port that anybody could be told";
  int free_port = 20000 + ::getpid() % 20000;
  for (int tries = 0; tries < 50 && !server_; ++tries, ++free_port) {
    options_.api.metrics_address = "127.0.0.1:" + std::to_string(free_port);
    if (auto server = Server::start(options_, control_, *instruments_)) server_ = std::move(server).value();
  }
  ASSERT_TRUE(server_);
  instruments_->count("dots_test_total", "", 3);
  EXPECT_THAT(ask(request("GET", "/metrics")).body, HasSubstr("dots_test_total 3"));
  const auto over_tcp = [this](const std::string& bytes) {
    const Client client{Client::connect_tcp(server_->metrics_port())};
    client.send(bytes);
    return parse(client.rest());
  };
  const Response metrics = over_tcp(request("GET", "/metrics"));
  EXPECT_EQ(metrics.status, 200);
  EXPECT_THAT(metrics.body, HasSubstr("dots_test_total 3"));
  EXPECT_THAT(metrics.head, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_EQ(over_tcp(request("POST", "/v1/list")).status, 404);
  EXPECT_EQ(over_tcp(request("POST", "/metrics")).status, 405);
  EXPECT_TRUE(control_.calls().empty());

  ServerOptions second = options_;
  second.api.socket = folder_ + "/second.sock";
  const auto taken = Server::start(second, control_, *instruments_);
  ASSERT_FALSE(taken.ok());
  EXPECT_THAT(taken.error().message, HasSubstr("api.metrics_address: cannot listen on '127.0.0.1:"));
  EXPECT_FALSE(std::filesystem::exists(second.api.socket));
}

TEST(Rights, RootOwnerAndOperatorsChangeReadersLookOthersNothing) {
  const Rights rights{1000, 50, 60};
  const auto verdict = [&rights](std::uint32_t uid, std::vector<std::uint32_t> groups) {
    const Admission a = admit({uid, "u", std::move(groups)}, rights);
    return std::pair{a.may_read, a.caller.may_write};
  };
  EXPECT_EQ(verdict(0, {}), (std::pair{true, true}));
  EXPECT_EQ(verdict(1000, {}), (std::pair{true, true}));
  EXPECT_EQ(verdict(7, {1, 50}), (std::pair{true, true}));
  EXPECT_EQ(verdict(7, {60}), (std::pair{true, false}));
  EXPECT_EQ(verdict(7, {1, 2}), (std::pair{false, false}));
  const Admission nobody = admit({7, "u", {0}}, Rights{1000, std::nullopt, std::nullopt});
  EXPECT_FALSE(nobody.may_read) << "a group that is not configured admits nobody";
}

// Runs as root only: connects as another user, who belongs to the given group.
class OtherUser : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  }
  Response ask_as(uid_t uid, gid_t gid, const std::string& bytes) const {
    int ends[2];
    if (::pipe(ends) != 0) return {};
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      if (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 || ::setresuid(uid, uid, uid) != 0)
        ::_exit(1);
      const int fd = Client::connect_unix(options_.api.socket);
      if (fd < 0) ::_exit(2);
      const Client client{fd};
      client.send(bytes);
      const std::string all = client.rest();
      ::_exit(::write(ends[1], all.data(), all.size()) == static_cast<ssize_t>(all.size()) ? 0 : 3);
    }
    ::close(ends[1]);
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<std::size_t>(n));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    Response response = parse(all);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) response.status = -1;  // could not connect
    return response;
  }
};

TEST_F(OtherUser, ReadersLookStrangersAreRefusedWithAMessageAndCounted) {
  options_.api.read_only_group = "daemon";
  const gid_t readers = group_id("daemon").value();
  start();
  control_.answer({agent::CallAnswer::Outcome::ok, json::object{}, "", ""});
  EXPECT_EQ(ask_as(65533, readers, request("POST", "/v1/list")).status, 200);
  EXPECT_FALSE(control_.calls().at(0).caller.may_write);
  const Response change = ask_as(65533, readers, request("POST", "/v1/withdraw"));
  EXPECT_EQ(change.status, 403);
  EXPECT_EQ(error_of(change), "the user 'uid 65533' may look but not change anything");
  const Response stranger = ask_as(65533, 65533, request("POST", "/v1/list"));
  EXPECT_EQ(stranger.status, 403);
  EXPECT_EQ(error_of(stranger), "the user 'uid 65533' may not use this daemon");
  EXPECT_EQ(ask_as(65533, 65533, request("GET", "/metrics")).status, 403);
  EXPECT_EQ(control_.calls().size(), 1u);
  EXPECT_THAT(instruments_->metrics_text(), HasSubstr("dots_api_refusals_total{reason=\"user\"} 2"));
  EXPECT_THAT(instruments_->metrics_text(), HasSubstr("dots_messages_total{id=\"API_REFUSED\"} 2"));
}

TEST_F(OtherUser, OperatorsComeInThroughTheirGroupAndOthersNotAtAll) {
  options_.api.operator_group = "daemon";
  const gid_t operators = group_id("daemon").value();
  start();
  control_.answer({agent::CallAnswer::Outcome::ok, json::object{}, "", ""});
  EXPECT_EQ(ask_as(65533, operators, request("POST", "/v1/withdraw")).status, 200);
  EXPECT_TRUE(control_.calls().at(0).caller.may_write);
  EXPECT_EQ(ask_as(65533, 65533, request("POST", "/v1/list")).status, -1);
}

}  // namespace
}  // namespace dots::api
