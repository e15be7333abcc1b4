// The webhook back end against real HTTPS services that behave, and others (docs/mitigators.md).
#include "adapters/mitigators/webhook_mitigator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <sstream>

#include "tests/support/rules.h"
#include "tests/support/web_service.h"

namespace dots::adapters::mitigators {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using testing::HasSubstr;
using tests::example_service;
using tests::rule_of;
using tests::service_at;
using tests::ServiceProcess;
using tests::web_pki;

// Notes each request, and answers as the first word of the file "mode" says; a number before it: so often, then "ok".
constexpr char kMoody[] = R"py(
import http.server, json, os, ssl, sys, time
folder = sys.argv[1]

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(folder + "/asked", "a") as file:
            file.write(json.dumps({"path": self.path, "body": body.decode(), **dict(self.headers)}) + "\n")
        mode = open(folder + "/mode").read().split()
        if mode[0].isdigit():
            count, mode = int(mode[0]), mode[1:]
            with open(folder + "/mode", "w") as file:
                file.write(f"{count - 1} {mode[0]}" if count > 1 else "ok")
        answer = getattr(self, mode[0])
        answer()

    def say(self, status, text, *headers):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def ok(self): self.say(200, '{"ok": true, "rules": []}')
    def busy(self): self.say(503, "later")
    def forbidden(self): self.say(403, "<html>no</html>")
    def elsewhere(self): self.say(307, "", ("Location", "/other"))
    def refused(self): self.say(422, '{"ok": false, "reason": "capacity", "error": "full"}')
    def prose(self): self.say(200, "all is well")
    def nonsense(self): self.wfile.write(b"\x00\x01 what?\r\n\r\n"); self.close_connection = True
    def gone(self): self.close_connection = True
    def hang(self): time.sleep(60)
    def drip(self):
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while True:
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.1)
    def endless(self):
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        while True:
            self.wfile.write(b" " * 65536)
    def log_message(self, *_): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
)py";

class Moody : public testing::Test {
 protected:
  void SetUp() override {
    if (::access("/usr/bin/python3", X_OK) != 0) GTEST_SKIP() << "there is no python3 here";
    be("ok");
    folder.write("moody.py", kMoody);
    service = std::make_unique<ServiceProcess>(
        std::vector<std::string>{"/usr/bin/python3", folder.file("moody.py"), folder.path(),
                                 web_pki().localhost.certificate_file, web_pki().localhost.key_file});
    ASSERT_NE(service->port(), 0);
    options = service_at(service->port(), folder);
    renew();
  }
  void be(const std::string& mode) { folder.write("mode", mode); }
  void renew() { back_end = make_webhook_mitigator({"scrubber", options}); }
  std::vector<json::object> asked() {
    std::vector<json::object> all;
    std::ifstream in(folder.file("asked"));
    for (std::string line; std::getline(in, line);) all.push_back(json::parse(line).as_object());
    return all;
  }
  void forget() { folder.write("asked", ""); }
  std::string apply() {
    const auto applied = back_end->apply({{ports::RuleChange::Kind::install, rule, {}}});
    return applied ? "" : applied.error().message;
  }
  std::string open() {
    const auto opened = back_end->open();
    return opened ? "" : opened.error().message;
  }
  static std::string text(const json::object& asked, const char* key) {
    return asked.contains(key) ? std::string(asked.at(key).as_string()) : "";
  }

  const tests::TempDir folder;
  std::unique_ptr<ServiceProcess> service;
  WebServiceOptions options;
  std::unique_ptr<ports::Mitigator> back_end;
  const model::Rule rule = rule_of("192.0.2.1/32", 17, {{53, 53}});
};

TEST_F(Moody, EveryCallIsSignedWithItsTime) {
  ASSERT_EQ(open(), "");
  ASSERT_EQ(apply(), "");
  const auto calls = asked();
  ASSERT_EQ(calls.size(), 2U);
  for (const auto& call : calls) {
    EXPECT_EQ(text(call, "path"), "/tidewall");
    EXPECT_EQ(text(call, "Content-Type"), "application/json");
    const std::string stamp = text(call, "Tidewall-Timestamp");
    EXPECT_LT(std::abs(std::stol(stamp) - std::time(nullptr)), 60);
    EXPECT_EQ(text(call, "Tidewall-Signature"), signature_of(tests::kSecret, stamp, "/tidewall", text(call, "body")));
  }
  EXPECT_THAT(text(calls[1], "body"), HasSubstr(R"("op":"apply")"));
  EXPECT_THAT(text(calls[1], "body"), HasSubstr(R"("target":"192.0.2.1/32")"));
  EXPECT_EQ(signature_of("key", "1700000000", "/x", "{}"),
            "v1=bacbd6abdf97534f4190eb1c15908176803a6c7e09d59d2075d8fa9e0c17316d");
}

TEST_F(Moody, WhatPassesIsTriedAgainWithTheSameKey) {
  ASSERT_EQ(open(), "");
  forget();
  be("2 busy");
  EXPECT_EQ(apply(), "");
  const auto calls = asked();
  ASSERT_EQ(calls.size(), 3U);
  EXPECT_NE(text(calls[0], "Idempotency-Key"), "");
  EXPECT_EQ(text(calls[0], "Idempotency-Key"), text(calls[1], "Idempotency-Key"));
  EXPECT_EQ(text(calls[0], "Idempotency-Key"), text(calls[2], "Idempotency-Key"));
  forget();
  EXPECT_EQ(apply(), "");
  ASSERT_EQ(asked().size(), 1U);
  EXPECT_NE(text(asked()[0], "Idempotency-Key"), text(calls[0], "Idempotency-Key")) << "it is another change";
}

TEST_F(Moody, AChangeOfUnknownFateKeepsItsKeyOverCalls) {
  ASSERT_EQ(open(), "");
  forget();
  be("gone");
  EXPECT_THAT(apply(), HasSubstr("localhost"));
  const std::string key = text(asked().front(), "Idempotency-Key");
  be("ok");
  forget();
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(text(asked().front(), "Idempotency-Key"), key);
}

TEST_F(Moody, TriesAreBounded) {
  ASSERT_EQ(open(), "");
  forget();
  be("busy");
  EXPECT_THAT(apply(), HasSubstr("answers 503"));
  EXPECT_EQ(asked().size(), 4U);
  forget();
  be("forbidden");
  EXPECT_THAT(apply(), HasSubstr("answers 403"));
  EXPECT_EQ(asked().size(), 1U) << "this does not pass";
}

TEST_F(Moody, NothingFollowsARedirection) {
  ASSERT_EQ(open(), "");
  forget();
  be("elsewhere");
  EXPECT_THAT(apply(), HasSubstr("redirections are not followed"));
  EXPECT_EQ(asked().size(), 1U);
}

TEST_F(Moody, ARefusalHasItsReason) {
  ASSERT_EQ(open(), "");
  be("refused");
  const auto applied = back_end->apply({{ports::RuleChange::Kind::install, rule, {}}});
  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.error().message, "full");
  EXPECT_EQ(applied.error().reason, model::RefusalReason::capacity);
}

TEST_F(Moody, AnswersThatMakeNoSenseAreFaults) {
  ASSERT_EQ(open(), "");
  const std::vector<std::pair<const char*, const char*>> all = {
      {"prose", "no JSON"}, {"nonsense", "no HTTP"}, {"endless", "over the bound"}};
  for (const auto& [mode, words] : all) {
    be(mode);
    EXPECT_THAT(apply(), HasSubstr(words)) << mode;
  }
}

TEST_F(Moody, ACallEndsInItsTime) {
  ASSERT_EQ(open(), "");
  options.timeout = 1000ms;
  renew();
  ASSERT_EQ(open(), "");
  for (const char* mode : {"hang", "drip"}) {
    be(mode);
    const auto began = std::chrono::steady_clock::now();
    EXPECT_THAT(apply(), HasSubstr("no answer in")) << mode;
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s) << mode;
  }
}

TEST_F(Moody, OnlyTheServiceThatProvesItsNameIsAsked) {
  options.url = "https://127.0.0.1:" + std::to_string(service->port()) + "/";
  renew();
  EXPECT_NE(open(), "") << "the certificate is for localhost";
  options = service_at(service->port(), folder);
  const test::TestPki stranger("Stranger");
  options.ca_file = stranger.ca_file();
  renew();
  EXPECT_NE(open(), "");
  EXPECT_TRUE(asked().empty()) << "something was sent";
}

TEST_F(Moody, ASecretThatEverybodyMayReadIsNotUsed) {
  ::chmod(options.secret_file.c_str(), 0644);
  EXPECT_THAT(open(), HasSubstr("every user may read"));
  ::chmod(options.secret_file.c_str(), 0600);
  folder.write("secret", "short\n");
  EXPECT_THAT(open(), HasSubstr("less than 16 characters"));
  EXPECT_TRUE(asked().empty());
}

TEST(Webhook, AServiceWithAnotherSecretRefuses) {
  if (::access("/usr/bin/python3", X_OK) != 0) GTEST_SKIP() << "there is no python3 here";
  const tests::TempDir folder, other;
  const ServiceProcess service(example_service(folder, DOTS_SOURCE_DIR));
  auto options = service_at(service.port(), other);
  other.write("secret", "another secret of the tests\n");
  const auto opened = make_webhook_mitigator({"scrubber", options})->open();
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message, HasSubstr("answers 401"));
}

}  // namespace
}  // namespace dots::adapters::mitigators
