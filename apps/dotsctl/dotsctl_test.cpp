#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

#include "adapters/net/credentials.h"
#include "api/server.h"
#include "dotsctl/api_client.h"
#include "dotsctl/commands.h"
#include "dotsctl/exit_code.h"
#include "ops/config.h"
#include "ops/sink.h"
#include "tests/support/temp_dir.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Result {
  int code = -1;
  std::string out;
  std::string err;
};

// The whole command line in this process, without main().
Result dotsctl(std::vector<std::string> arguments, const std::string& input = "") {
  CLI::App app{"", "dotsctl"};
  Options options;
  build_cli(app, options);
  std::istringstream in{input};
  std::ostringstream out, err;
  Result result;
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    result.code = error.get_exit_code() == 0 ? kOk : kUsage;
    result.err = error.what();
    return result;
  }
  result.code = run(chosen_command(app), app, options, {in, out, err});
  result.out = out.str();
  result.err = err.str();
  return result;
}

std::string file_text(const std::string& path) {
  std::ifstream in{path};
  return {std::istreambuf_iterator<char>{in}, {}};
}
mode_t mode_of(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

// ---- init -----------------------------------------------------------------------------------------------------------

TEST(Init, WritesASetThatTheDaemonTakes) {
  const tests::TempDir dir;
  const std::string set = dir.file("set");
  const Result made = dotsctl({"init", set, "--domain", "acme", "--prefix", "203.0.113.0/24,2001:db8:7::/48",
                               "--signal-port", "14646", "--mitigator", "nftables"});
  ASSERT_EQ(made.code, kOk) << made.err;
  EXPECT_THAT(made.out, HasSubstr("dotsd --config " + set + "/server.toml"));

  const auto server = ops::load_config(set + "/server.toml");
  ASSERT_TRUE(server.ok()) << ops::to_string(server.error().front());
  EXPECT_EQ(server->domains.at(0).id.value, "acme");
  EXPECT_EQ(server->domains.at(0).prefixes.size(), 2u);
  EXPECT_EQ(server->mitigators.at(0).kind, "nftables");
  ASSERT_EQ(server->listen.addresses.size(), 2u);
  EXPECT_EQ(model::to_string(server->listen.addresses[0]), "127.0.0.1:14646");
  EXPECT_EQ(model::to_string(server->listen.addresses[1]), "[::1]:14646");
  ASSERT_EQ(server->credentials.psk.size(), 1u);
  EXPECT_EQ(server->credentials.psk[0].key.size(), 32u);
  EXPECT_EQ(server->domains.at(0).clients.at(0).psk_identities.at(0), server->credentials.psk[0].identity);

  const auto client = ops::load_config(set + "/client.toml");
  ASSERT_TRUE(client.ok()) << ops::to_string(client.error().front());
  EXPECT_EQ(client->upstreams.at(0).host, "localhost");
  EXPECT_EQ(model::to_string(client->upstreams.at(0).addresses.at(0)), "127.0.0.1:14646");
  EXPECT_TRUE(client->credentials.psk.empty()) << "the certificate is the default";

  for (const char* secret : {"/pki/ca.key", "/pki/server.key", "/pki/client.key", "/psk.txt"})
    EXPECT_EQ(mode_of(set + secret), 0600u) << secret;
  for (const char* folder : {"/state/server", "/state/client"}) EXPECT_EQ(mode_of(set + folder), 0700u) << folder;
}

TEST(Init, ItsCredentialsAreTakenByBothSides) {
  const tests::TempDir dir;
  const std::string set = dir.file("set");
  ASSERT_EQ(dotsctl({"init", set}).code, kOk);
  using adapters::net::Credentials;
  const base::WallTime now{std::chrono::system_clock::now().time_since_epoch()};
  for (const auto& [name, side] :
       {std::pair{"server", adapters::net::Side::server}, std::pair{"client", adapters::net::Side::client}}) {
    adapters::net::CredentialSources sources;
    sources.ca_file = set + "/pki/ca.crt";
    sources.certificate_file = set + "/pki/" + name + ".crt";
    sources.key_file = set + "/pki/" + name + ".key";
    const auto loaded = Credentials::load(sources, side, now);
    ASSERT_TRUE(loaded.ok()) << adapters::net::to_string(loaded.error().front());
    EXPECT_TRUE((*loaded)->warnings().empty()) << (*loaded)->warnings().front();
    const auto& names = (*loaded)->own_identity().names;
    EXPECT_NE(std::find(names.begin(), names.end(), std::string{"tidewall-"} + name), names.end());
    const std::string verify = "certtool --verify --load-ca-certificate " + sources.ca_file + " --infile " +
                               sources.certificate_file + " >/dev/null 2>&1";
    if (std::system("command -v certtool >/dev/null 2>&1") == 0) {
      EXPECT_EQ(std::system(verify.c_str()), 0);
    }
  }
}

TEST(Init, OverwritesOnlyWhenForced) {
  const tests::TempDir dir;
  ASSERT_EQ(dotsctl({"init", dir.file("set")}).code, kOk);
  const std::string key = file_text(dir.file("set/pki/server.key"));
  std::filesystem::remove(dir.file("set/server.toml"));
  const Result again = dotsctl({"init", dir.file("set")});
  EXPECT_EQ(again.code, kRefused);
  EXPECT_THAT(again.err, HasSubstr("is there already"));
  EXPECT_EQ(file_text(dir.file("set/pki/server.key")), key);
  EXPECT_FALSE(std::filesystem::exists(dir.file("set/server.toml"))) << "nothing is written when anything is there";
  EXPECT_EQ(dotsctl({"init", dir.file("set"), "--force"}).code, kOk);
  EXPECT_NE(file_text(dir.file("set/pki/server.key")), key);
}

TEST(Init, RefusesWhatTheConfigurationWouldRefuse) {
  const tests::TempDir dir;
  EXPECT_EQ(dotsctl({"init", dir.file("a"), "--prefix", "203.0.113.5/24"}).code, kUsage);
  EXPECT_EQ(dotsctl({"init", dir.file("a"), "--domain", "two words"}).code, kUsage);
  EXPECT_EQ(dotsctl({"init", dir.file("a"), "--signal-port", "70000"}).code, kUsage);
  EXPECT_EQ(dotsctl({"init", dir.file("a"), "--mitigator", "bgp"}).code, kUsage);
  EXPECT_EQ(dotsctl({"init", dir.file(std::string(100, 'x'))}).code, kUsage) << "its socket would have too long a path";
  EXPECT_FALSE(std::filesystem::exists(dir.file("a")));
}

// ---- check-config
// -----------------------------------------------------------------------------------------------------

TEST(CheckConfig, SaysGoodOrAllThatIsWrong) {
  const tests::TempDir dir;
  ASSERT_EQ(dotsctl({"init", dir.file("set")}).code, kOk);
  const Result good = dotsctl({"check-config", dir.file("set/server.toml")});
  EXPECT_EQ(good.code, kOk) << good.err;
  EXPECT_THAT(good.out, HasSubstr("is good."));
  EXPECT_THAT(good.err, HasSubstr("every mitigator is dry-run"));
  EXPECT_EQ(dotsctl({"check-config", dir.file("set/client.toml")}).code, kOk);

  std::string text = file_text(dir.file("set/server.toml"));
  text.replace(text.find("192.0.2.0/24"), 12, "192.0.2.1/24");
  text += "[logs]\n";
  dir.write("set/server.toml", text);
  const Result bad = dotsctl({"check-config", dir.file("set/server.toml")});
  EXPECT_EQ(bad.code, kRefused);
  EXPECT_THAT(bad.err, HasSubstr("server.toml:"));
  EXPECT_THAT(bad.err, HasSubstr("write '192.0.2.0/24'"));
  EXPECT_THAT(bad.err, HasSubstr("did you mean 'log'?"));
  EXPECT_THAT(bad.err, HasSubstr("2 problems."));
  const Result as_json = dotsctl({"--json", "check-config", dir.file("set/server.toml")});
  EXPECT_EQ(as_json.code, kRefused);
  const auto parsed = json::parse(as_json.out);
  EXPECT_FALSE(parsed.at("good").as_bool());
  EXPECT_EQ(parsed.at("problems").as_array().size(), 2u);
}

TEST(CheckConfig, LooksIntoTheCredentials) {
  const tests::TempDir dir;
  ASSERT_EQ(dotsctl({"init", dir.file("one")}).code, kOk);
  ASSERT_EQ(dotsctl({"init", dir.file("two")}).code, kOk);
  // A key that belongs to another certificate.
  std::filesystem::copy_file(dir.file("two/pki/server.key"), dir.file("one/pki/server.key"),
                             std::filesystem::copy_options::overwrite_existing);
  const Result bad = dotsctl({"check-config", dir.file("one/server.toml")});
  EXPECT_EQ(bad.code, kRefused);
  EXPECT_THAT(bad.err, HasSubstr("credentials: "));
}

TEST(CheckConfig, AMissingHelperIsSaid) {
  const tests::TempDir dir;
  ASSERT_EQ(dotsctl({"init", dir.file("set"), "--mitigator", "nftables"}).code, kOk);
  std::string text = file_text(dir.file("set/server.toml"));
  const std::string kind = "kind = \"nftables\"";
  text.replace(text.find(kind), kind.size(), kind + "\nhelper = \"no-such-helper\"");
  dir.write("set/server.toml", text);
  const Result bad = dotsctl({"check-config", dir.file("set/server.toml")});
  EXPECT_EQ(bad.code, kRefused);
  EXPECT_THAT(bad.err, HasSubstr("mitigator[0]: "));
  EXPECT_THAT(bad.err, HasSubstr("no-such-helper"));
}

// ---- the daemon
// -------------------------------------------------------------------------------------------------------

class FakeControl final : public agent::Control {
 public:
  void call(agent::Call call, std::function<void(agent::CallAnswer)> done) override {
    const std::scoped_lock lock{mutex_};
    calls.push_back(call);
    if (answers.size() > 1) {
      done(answers.front());
      answers.erase(answers.begin());
    } else {
      done(answers.front());
    }
  }
  std::mutex mutex_;
  std::vector<agent::Call> calls;
  std::vector<agent::CallAnswer> answers{{}};
};

class Remote : public ::testing::Test {
 protected:
  void SetUp() override {
    ops::Instruments::Options quiet;
    quiet.write = [](ops::facts::Severity, const std::string&) {};
    instruments_ = std::move(ops::Instruments::open(quiet)).value();
    api::ServerOptions options;
    options.api.socket = socket_ = dir_.file("dotsd.sock");
    server_ = std::move(api::Server::start(options, control_, *instruments_)).value();
  }
  void answer(const std::string& body) { control_.answers = {ok(body)}; }
  static agent::CallAnswer ok(const std::string& body) {
    return {agent::CallAnswer::Outcome::ok, json::parse(body), "", ""};
  }
  Result ask(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--socket", socket_});
    return dotsctl(std::move(arguments));
  }

  const tests::TempDir dir_;
  std::string socket_;
  FakeControl control_;
  std::unique_ptr<ops::Instruments> instruments_;
  std::unique_ptr<api::Server> server_;
};

TEST_F(Remote, MitigateSendsWhatWasAskedFor) {
  answer(R"({"mitigations":[{"mid":7}]})");
  const Result result = ask({"mitigate", "--target-prefix", "203.0.113.7,2001:db8::/64", "--port", "53,8000-8080",
                             "--protocol", "udp,6", "--fqdn", "www.example.net", "--lifetime", "2h", "--note", "flood",
                             "--contract", "gold", "--service", "rtbh"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_EQ(result.out, "Mitigation 7 requested.\n");
  ASSERT_EQ(control_.calls.size(), 1u);
  EXPECT_EQ(control_.calls[0].operation, "mitigate");
  EXPECT_EQ(
      json::serialize(control_.calls[0].arguments),
      R"({"target-prefix":["203.0.113.7/32","2001:db8::/64"],"target-port-range":["53","8000-8080"],)"
      R"("target-protocol":[17,6],"target-fqdn":["www.example.net"],"contract-id":"gold","requested-service":"rtbh",)"
      R"("lifetime":7200,"note":"flood"})");
}

TEST_F(Remote, FiltersAreSwitchedDuringAMitigation) {
  answer(R"({"mitigation":{"mid":8}})");
  EXPECT_EQ(ask({"filter", "deactivate", "partners", "vpn", "--mid", "7", "--note", "spoofed"}).code, kOk);
  EXPECT_EQ(ask({"filter", "activate", "limit", "--mid", "8"}).code, kOk);
  EXPECT_EQ(ask({"filter", "activate", "limit", "--when-mitigating", "--mid", "8"}).code, kOk);
  EXPECT_EQ(ask({"mitigate", "--target-prefix", "203.0.113.7", "--activate", "a", "--deactivate", "b"}).code, kOk);
  EXPECT_EQ(ask({"filter", "activate", "--mid", "8"}).code, kUsage);
  EXPECT_EQ(ask({"filter", "activate", "limit"}).code, kUsage);
  ASSERT_EQ(control_.calls.size(), 4u);
  EXPECT_EQ(control_.calls[0].operation, "filter-control");
  EXPECT_EQ(json::serialize(control_.calls[0].arguments),
            R"({"mid":7,"note":"spoofed","acl-list":[{"acl-name":"partners","activation-type":"deactivate"},)"
            R"({"acl-name":"vpn","activation-type":"deactivate"}]})");
  EXPECT_EQ(json::serialize(control_.calls[1].arguments),
            R"({"mid":8,"acl-list":[{"acl-name":"limit","activation-type":"immediate"}]})");
  EXPECT_EQ(json::serialize(control_.calls[2].arguments.at("acl-list")),
            R"([{"acl-name":"limit","activation-type":"activate-when-mitigating"}])");
  EXPECT_EQ(json::serialize(control_.calls[3].arguments.at("acl-list")),
            R"([{"acl-name":"a","activation-type":"immediate"},{"acl-name":"b","activation-type":"deactivate"}])");
}

TEST_F(Remote, BadArgumentsNeverLeave) {
  for (const std::vector<std::string>& bad :
       std::vector<std::vector<std::string>>{{"mitigate"},
                                             {"mitigate", "--target-prefix", "1.2.3"},
                                             {"mitigate", "--target-prefix", "1.2.3.4", "--port", "5-3"},
                                             {"mitigate", "--target-prefix", "1.2.3.4", "--port", "65536"},
                                             {"mitigate", "--target-prefix", "1.2.3.4", "--protocol", "upd"},
                                             {"mitigate", "--target-prefix", "1.2.3.4", "--lifetime", "soon"},
                                             {"mitigate", "--target-prefix", "1.2.3.4", "--lifetime", "0"},
                                             {"show", "seven"},
                                             {"explain", "nothing"},
                                             {"nonsense"},
                                             {}}) {
    const Result result = ask(bad);
    EXPECT_EQ(result.code, kUsage) << (bad.empty() ? "" : bad.back());
    EXPECT_FALSE(result.err.empty());
  }
  EXPECT_TRUE(control_.calls.empty());
}

TEST_F(Remote, WaitsUntilItIsMitigated) {
  control_.answers = {ok(R"({"mitigations":[{"mid":7,"server":"provider"}]})"),
                      ok(R"({"mitigations":[{"mid":7,"status":"attack-mitigation-in-progress"}]})"),
                      ok(R"({"mitigations":[{"mid":7,"status":"attack-successfully-mitigated"}]})")};
  const Result result = ask({"mitigate", "--target-prefix", "203.0.113.7", "--wait"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("mitigated (attack-successfully-mitigated)"));
  ASSERT_EQ(control_.calls.size(), 3u);
  EXPECT_EQ(json::serialize(control_.calls[1].arguments), R"({"mid":7,"server":"provider"})");
}

TEST_F(Remote, WaitingEndsWithARefusalOrWithTime) {
  control_.answers = {ok(R"({"mid":7})"), ok(R"({"mid":7,"refusal":"4.00: not your prefix"})")};
  const Result refused = ask({"mitigate", "--target-prefix", "203.0.113.7", "--wait"});
  EXPECT_EQ(refused.code, kRefused);
  EXPECT_THAT(refused.err, HasSubstr("error: 4.00: not your prefix"));
  control_.answers = {ok(R"({"mid":7})"), ok(R"({"mid":7,"status":"attack-mitigation-in-progress"})")};
  const Result late = ask({"mitigate", "--target-prefix", "203.0.113.7", "--wait", "--wait-time", "1"});
  EXPECT_EQ(late.code, kRefused);
  EXPECT_THAT(late.err, HasSubstr("mitigation 7 is not there after 1 s: being set up"));
}

TEST_F(Remote, ExitCodesSayWhatHappened) {
  using Outcome = agent::CallAnswer::Outcome;
  control_.answers = {{Outcome::not_found, {}, "there is no mitigation 9", "run: dotsctl list"}};
  const Result missing = ask({"show", "9"});
  EXPECT_EQ(missing.code, kNotFound);
  EXPECT_EQ(missing.err, "error: there is no mitigation 9\nnext:  run: dotsctl list\n");
  control_.answers = {{Outcome::conflict, {}, "no", ""}};
  EXPECT_EQ(ask({"withdraw", "9"}).code, kRefused);
  const Result as_json = ask({"--json", "withdraw", "9"});
  EXPECT_EQ(as_json.err, "{\"error\":\"no\",\"next_step\":\"\"}\n");
  server_.reset();
  const Result nobody = ask({"list"});
  EXPECT_EQ(nobody.code, kUnreachable);
  EXPECT_THAT(nobody.err, HasSubstr("next:  start dotsd"));
}

TEST_F(Remote, ShowWithdrawExplainAndAuditNameTheirSubject) {
  answer(R"({})");
  (void)ask({"withdraw", "7", "--domain", "acme", "--cuid", "x", "--note", "over"});
  (void)ask({"explain", "7"});
  (void)ask({"explain", "203.0.113.7"});
  (void)ask({"explain"});
  (void)ask({"audit", "--limit", "5", "--domain", "acme"});
  ASSERT_EQ(control_.calls.size(), 5u);
  EXPECT_EQ(json::serialize(control_.calls[0].arguments), R"({"mid":7,"domain":"acme","cuid":"x","note":"over"})");
  EXPECT_EQ(json::serialize(control_.calls[1].arguments), R"({"mid":7})");
  EXPECT_EQ(json::serialize(control_.calls[2].arguments), R"({"prefix":"203.0.113.7/32"})");
  EXPECT_EQ(json::serialize(control_.calls[3].arguments), R"({})");
  EXPECT_EQ(json::serialize(control_.calls[4].arguments), R"({"limit":5,"domain":"acme"})");
}

TEST_F(Remote, RulesAndTheAuditLogAreNarrowed) {
  answer(R"({"audit":[{"actor":"b"},{"actor":"a"}]})");
  EXPECT_EQ(ask({"audit", "--actor", "edge", "--action", "refuse", "--subject", "mid=7", "--since",
                 "2026-11-22T15:04:05Z", "--until", "2026-11-23", "--json-lines"})
                .out,
            "{\"actor\":\"a\"}\n{\"actor\":\"b\"}\n");
  EXPECT_EQ(ask({"audit", "--since", "2h"}).code, kOk);
  EXPECT_EQ(ask({"rules", "203.0.113.7", "--domain", "acme", "--mitigator", "edge", "--differences"}).code, kOk);
  ASSERT_EQ(control_.calls.size(), 3u);
  EXPECT_EQ(
      json::serialize(control_.calls[0].arguments),
      R"({"limit":10000,"actor":"edge","action":"refuse","subject":"mid=7","since":1795359845,"until":1795392000})");
  const auto since = control_.calls[1].arguments.at("since").as_int64();
  EXPECT_LE(std::abs(since + 7200 - unix_now()), 5);
  EXPECT_EQ(json::serialize(control_.calls[2].arguments),
            R"({"limit":1000,"prefix":"203.0.113.7/32","domain":"acme","mitigator":"edge","differences":true})");
  for (const char* bad : {"yesterday", "2026-13-01", "2026-02-30", "2026-11-22T25:00", "2026-11-22T15",
                          "2026-11-22 15:00", "26-11-22", "2026-11-22T15:00:00ZZ", "1969-01-01", "", "2"}) {
    if (*bad != 0) {
      EXPECT_EQ(ask({"audit", "--since", bad}).code, kUsage) << bad;
    }
  }
  EXPECT_EQ(ask({"rules", "nonsense"}).code, kUsage);
}

TEST_F(Remote, JsonIsTheDaemonsOwn) {
  answer(R"({"mitigations":[{"mid":7,"new-member":[1,2]}]})");
  EXPECT_EQ(ask({"list", "--json"}).out, "{\"mitigations\":[{\"mid\":7,\"new-member\":[1,2]}]}\n");
}

TEST_F(Remote, WatchPrintsALineForEachLook) {
  answer(R"({"mitigations":[{"mid":7}]})");
  const Result lines = ask({"watch", "--json", "--rounds", "2", "--interval", "0.1"});
  EXPECT_EQ(lines.code, kOk);
  EXPECT_EQ(lines.out, "{\"mitigations\":[{\"mid\":7}]}\n{\"mitigations\":[{\"mid\":7}]}\n");
  const Result people = ask({"watch", "--rounds", "1"});
  EXPECT_THAT(people.out, HasSubstr("MID"));
  EXPECT_THAT(people.out, Not(HasSubstr("\x1b"))) << "no terminal, no control sequences";
  server_.reset();
  EXPECT_EQ(ask({"watch", "--rounds", "1"}).code, kUnreachable);
}

TEST_F(Remote, TheConfigurationNamesTheSocket) {
  answer(R"({"mitigations":[]})");
  const std::string by_socket = dir_.write("a.toml", "role = \"client\"\n[api]\nsocket = \"dotsd.sock\"\n");
  EXPECT_EQ(dotsctl({"--config", by_socket, "list"}).code, kOk) << "although the file lacks everything else";
  const std::string by_state = dir_.write("b.toml", "[store]\nstate_dir = \".\"\n");
  EXPECT_EQ(dotsctl({"--config", by_state, "list"}).code, kOk);
  const std::string by_nothing = dir_.write("c.toml", "");
  EXPECT_EQ(dotsctl({"--config", by_nothing, "list"}).code, kUsage);
  EXPECT_EQ(dotsctl({"--config", dir_.file("none.toml"), "list"}).code, kUsage);
}

// ---- decode
// -----------------------------------------------------------------------------------------------------------

TEST(Decode, TakesHexInAnyDressAndRawBytes) {
  const tests::TempDir dir;
  // {49: {51: true}}: a heartbeat.
  const std::string raw{"\xa1\x18\x31\xa1\x18\x33\xf5"};
  for (const auto& [arguments, input] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"decode", "a11831a11833f5"}, ""},
           {{"decode", "A1:18:31:A1:18:33:F5"}, ""},
           {{"decode", "0xa1, 0x18, 0x31, 0xa1, 0x18, 0x33, 0xf5"}, ""},
           {{"decode"}, "a1 18 31\na1 18 33 f5\n"},
           {{"decode", "-"}, raw},
           {{"decode", "--file", dir.write("raw", raw)}, ""},
           {{"decode", "--file", dir.write("hex", "a11831a11833f5\n")}, ""}}) {
    const Result result = dotsctl(arguments, input);
    EXPECT_EQ(result.code, kOk) << result.err;
    EXPECT_THAT(result.out, HasSubstr("peer-hb-status"));
    EXPECT_THAT(result.out, HasSubstr("Valid as: heartbeat"));
  }
  const Result as_json = dotsctl({"decode", "--json", "a11831a11833f5"});
  EXPECT_TRUE(json::parse(as_json.out).at("messages").at(0).at("valid").as_bool());
}

TEST(Decode, SaysWhatIsNoBody) {
  EXPECT_EQ(dotsctl({"decode", "xyz"}).code, kUsage);
  EXPECT_EQ(dotsctl({"decode", "abc"}).code, kUsage);
  EXPECT_EQ(dotsctl({"decode"}, "").code, kUsage);
  EXPECT_EQ(dotsctl({"decode", "--file", "/nonexistent"}).code, kUsage);
  const Result truncated = dotsctl({"decode", "a118"});
  EXPECT_EQ(truncated.code, kRefused);
  EXPECT_THAT(truncated.err, StartsWith("error: this is no DOTS body: "));
}

// ---- emergency
// --------------------------------------------------------------------------------------------------------

TEST(Emergency, WorksWithoutADaemonAndLeavesTheMark) {
  const tests::TempDir dir;
  ASSERT_EQ(dotsctl({"init", dir.file("set")}).code, kOk);
  const std::string config = dir.file("set/server.toml");
  const Result list = dotsctl({"emergency", "list", "--config", config});
  EXPECT_EQ(list.code, kOk) << list.err;
  EXPECT_THAT(list.out, HasSubstr("local (dry-run): holds nothing outside a daemon."));
  const Result removed = dotsctl({"emergency", "remove-all", "--config", config, "--note", "panic"});
  EXPECT_EQ(removed.code, kOk) << removed.err;
  EXPECT_THAT(removed.out,
              HasSubstr("installs no rule until you run:\n  dotsctl emergency clear-marker --config " + config));
  EXPECT_THAT(dotsctl({"emergency", "clear-marker", "--config", config}).out, HasSubstr("The mark is gone."));
  EXPECT_THAT(dotsctl({"emergency", "clear-marker", "--config", config}).out, HasSubstr("There is no mark."));
  const Result both = dotsctl({"--json", "emergency", "remove-all", "--clear-marker", "--config", config});
  EXPECT_EQ(both.out, "{\"removed\":[],\"marker\":false}\n");
  EXPECT_THAT(dotsctl({"emergency", "clear-marker", "--config", config}).out, HasSubstr("There is no mark."));
}

TEST(Emergency, ABrokenConfigurationIsNoObstacle) {
  const tests::TempDir dir;
  ASSERT_EQ(dotsctl({"init", dir.file("set")}).code, kOk);
  std::filesystem::remove_all(dir.file("set/pki"));
  const Result removed = dotsctl({"emergency", "remove-all", "--config", dir.file("set/server.toml")});
  EXPECT_EQ(removed.code, kOk);
  EXPECT_THAT(removed.err, HasSubstr("warning: "));
  EXPECT_THAT(removed.err, HasSubstr("ca.crt"));
  EXPECT_TRUE(std::filesystem::exists(dir.file("set/state/server/emergency")));
  const Result hopeless = dotsctl({"emergency", "remove-all", "--config", dir.write("x.toml", "[[[")});
  EXPECT_EQ(hopeless.code, kRefused);
  EXPECT_THAT(hopeless.err, HasSubstr("does not say which rules are ours"));
}

TEST(Emergency, NeedsAServersConfiguration) {
  const tests::TempDir dir;
  ASSERT_EQ(dotsctl({"init", dir.file("set")}).code, kOk);
  EXPECT_EQ(dotsctl({"emergency", "list"}).code, kUsage);
  EXPECT_EQ(dotsctl({"emergency", "list", "--config", dir.file("set/client.toml")}).code, kUsage);
  EXPECT_EQ(dotsctl({"emergency", "list", "--config", dir.file("nothing.toml")}).code, kRefused);
}

// ---- pages and completion
// ---------------------------------------------------------------------------------------------

TEST(Pages, TheCommittedOnesAreTheTables) {
  const std::string root = DOTS_SOURCE_DIR;
  EXPECT_TRUE(file_text(root + "/docs/configuration.md") == dotsctl({"config-reference"}).out)
      << "run: scripts/pages.sh";
  EXPECT_TRUE(file_text(root + "/docs/data-channel-tree.md") == dotsctl({"data-reference"}).out)
      << "run: scripts/pages.sh";
  EXPECT_TRUE(file_text(root + "/docs/messages.md") == dotsctl({"messages"}).out) << "run: scripts/pages.sh";
}

// The built program, so that its options are all there.
TEST(Completion, TheCommittedScriptIsCurrentAndWorks) {
  const std::string script = std::string{DOTS_SOURCE_DIR} + "/packaging/completion/dotsctl.bash";
  const tests::TempDir dir;
  const std::string printed = dir.file("printed.bash");
  ASSERT_EQ(std::system((std::string{DOTSCTL_PATH} + " completion bash > " + printed).c_str()), 0);
  EXPECT_TRUE(file_text(script) == file_text(printed)) << "run: scripts/pages.sh";
  const auto complete = [&](const std::string& words, const std::string& count) {
    const std::string out = dir.file("out");
    const std::string command = "bash -c 'source " + script + "; COMP_WORDS=(" + words + "); COMP_CWORD=" + count +
                                "; _dotsctl; echo ${COMPREPLY[@]}' > " + out;
    EXPECT_EQ(std::system(command.c_str()), 0);
    return file_text(out);
  };
  EXPECT_EQ(complete("dotsctl mit", "1"), "mitigate\n");
  EXPECT_EQ(complete("dotsctl emergency re", "2"), "remove-all\n");
  EXPECT_EQ(complete("dotsctl --socket list mitigate --target-p", "4"), "--target-prefix\n");
  EXPECT_EQ(complete("dotsctl init --mitigator nf", "3"), "nftables\n");
}

TEST(Program, UnknownCommandsAndClosedPipes) {
  const tests::TempDir dir;
  const auto run_program = [&](const std::string& arguments) {
    const int status = std::system((std::string{DOTSCTL_PATH} + " " + arguments + " 2> " + dir.file("err")).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  EXPECT_EQ(run_program("mitigat"), kUsage);
  EXPECT_THAT(file_text(dir.file("err")), HasSubstr("there is no command 'mitigat'; did you mean 'mitigate'?"));
  EXPECT_EQ(run_program("config-reference > /dev/full"), kRefused);
  EXPECT_EQ(run_program("--help > /dev/null"), kOk);
  EXPECT_EQ(run_program("--version > /dev/null"), kOk);
}

}  // namespace
}  // namespace dots::dotsctl
