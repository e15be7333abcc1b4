#include "adapters/resolver/ares_resolver.h"

#include <gtest/gtest.h>

#include <fstream>
#include <future>

#include "adapters/resolver/hosts_file.h"
#include "tests/support/dns_server.h"
#include "tests/support/recording_sink.h"
#include "tests/support/temp_dir.h"

namespace dots::adapters::resolver {
namespace {

using ports::Resolution;
using Outcome = Resolution::Outcome;
using tests::DnsAnswer;
using tests::kDnsA;
using tests::kDnsAaaa;

model::IpAddress ip(const char* text) { return *model::parse_ip_address(text); }

DnsAnswer found(std::vector<DnsAnswer::Record> records) {
  DnsAnswer answer;
  answer.records = std::move(records);
  return answer;
}
DnsAnswer code(std::uint8_t rcode) {
  DnsAnswer answer;
  answer.rcode = rcode;
  return answer;
}
DnsAnswer manner(DnsAnswer::Manner how) {
  DnsAnswer answer;
  answer.manner = how;
  return answer;
}

class Resolving : public testing::Test {
 protected:
  ResolverOptions options() const {
    ResolverOptions options;
    options.servers = {server.address()};
    options.timeout_ms = 100;
    options.tries = 2;
    return options;
  }
  void start(const ResolverOptions& with) {
    auto started = AresResolver::start(with, &sink);
    ASSERT_TRUE(started) << started.error().message;
    resolver = std::move(*started);
  }
  void SetUp() override { start(options()); }

  std::future<Resolution> ask(const std::string& name) const {
    auto promise = std::make_shared<std::promise<Resolution>>();
    resolver->resolve(name, [promise](Resolution resolution) { promise->set_value(std::move(resolution)); });
    return promise->get_future();
  }
  Resolution resolve(const std::string& name) const { return ask(name).get(); }

  tests::DnsServer server;
  tests::RecordingSink sink;
  std::unique_ptr<AresResolver> resolver;
};

TEST_F(Resolving, BothFamiliesComeSortedAndWithoutDuplicates) {
  server.script("a.example.net", kDnsA,
                found({{ip("192.0.2.9"), 300}, {ip("192.0.2.1"), 300}, {ip("192.0.2.9"), 300}}));
  server.script("a.example.net", kDnsAaaa, found({{ip("2001:db8::1"), 200}}));
  const auto resolution = resolve("a.example.net");
  EXPECT_EQ(resolution.name, "a.example.net");
  EXPECT_EQ(resolution.outcome, Outcome::answered);
  EXPECT_EQ(resolution.addresses, (std::vector{ip("192.0.2.1"), ip("192.0.2.9"), ip("2001:db8::1")}));
  EXPECT_EQ(resolution.ttl, std::chrono::seconds{200});
  EXPECT_EQ(resolution.reason, "");
}

TEST_F(Resolving, OneFamilyIsEnough) {
  server.script("v4.example.net", kDnsA, found({{ip("192.0.2.1"), 60}}));
  server.script("v4.example.net", kDnsAaaa, found({}));
  EXPECT_EQ(resolve("v4.example.net").addresses, std::vector{ip("192.0.2.1")});
  EXPECT_EQ(resolve("v4.example.net").reason, "");
  server.script("v6.example.net", kDnsA, code(3));  // what broken servers say when they have no A
  server.script("v6.example.net", kDnsAaaa, found({{ip("2001:db8::6"), 60}}));
  EXPECT_EQ(resolve("v6.example.net").outcome, Outcome::answered);
  EXPECT_EQ(resolve("v6.example.net").addresses, std::vector{ip("2001:db8::6")});
}

TEST_F(Resolving, HalfAnAnswerIsTakenAndAskedAgainSoon) {
  server.script("half.example.net", kDnsA, found({{ip("192.0.2.1"), 3000}}));
  server.script("half.example.net", kDnsAaaa, code(2));
  const auto resolution = resolve("half.example.net");
  EXPECT_EQ(resolution.outcome, Outcome::answered);
  EXPECT_EQ(resolution.addresses, std::vector{ip("192.0.2.1")});
  EXPECT_EQ(resolution.ttl, std::chrono::seconds{30});
  EXPECT_NE(resolution.reason.find("AAAA"), std::string::npos) << resolution.reason;
}

TEST_F(Resolving, TheTimeToLiveIsTheSmallestOfTheChainAndClamped) {
  DnsAnswer chain = found({{ip("192.0.2.1"), 3000}, {ip("192.0.2.2"), 2000}});
  chain.aliases = {{"cdn.example.org", 1000}, {"edge.example.org", 500}};
  server.script("chain.example.net", kDnsA, chain);
  server.script("chain.example.net", kDnsAaaa, found({}));
  const auto resolution = resolve("chain.example.net");
  EXPECT_EQ(resolution.addresses, (std::vector{ip("192.0.2.1"), ip("192.0.2.2")}));
  EXPECT_EQ(resolution.ttl, std::chrono::seconds{500});
  server.script("short.example.net", kDnsA, found({{ip("192.0.2.1"), 0}}));
  EXPECT_EQ(resolve("short.example.net").ttl, std::chrono::seconds{30});
  server.script("long.example.net", kDnsA, found({{ip("192.0.2.1"), 2147483647}}));
  EXPECT_EQ(resolve("long.example.net").ttl, std::chrono::seconds{3600});
  // RFC 2181 section 8: a time to live with its highest bit set counts as zero
  server.script("odd.example.net", kDnsA, found({{ip("192.0.2.1"), 4294967295u}}));
  EXPECT_EQ(resolve("odd.example.net").ttl, std::chrono::seconds{30});
}

TEST_F(Resolving, ANameThatIsNotThereIsToldFromAServerThatFails) {
  EXPECT_EQ(resolve("nxdomain.example.net").outcome, Outcome::no_such_name);
  server.script("empty.example.net", found({}));
  EXPECT_EQ(resolve("empty.example.net").outcome, Outcome::no_such_name);
  EXPECT_NE(resolve("empty.example.net").reason, resolve("nxdomain.example.net").reason);
  server.script("dangling.example.net", [] {
    DnsAnswer answer;
    answer.aliases = {{"nowhere.example.org", 60}};
    return answer;
  }());
  EXPECT_EQ(resolve("dangling.example.net").outcome, Outcome::no_such_name);
  server.script("servfail.example.net", code(2));
  const auto failed = resolve("servfail.example.net");
  EXPECT_EQ(failed.outcome, Outcome::failed);
  EXPECT_NE(failed.reason, "");
  EXPECT_TRUE(failed.addresses.empty());
  server.script("refused.example.net", code(5));
  EXPECT_EQ(resolve("refused.example.net").outcome, Outcome::failed);
  // empty in one family, silence in the other: nobody knows
  server.script("unsure.example.net", kDnsA, found({}));
  server.script("unsure.example.net", kDnsAaaa, code(2));
  EXPECT_EQ(resolve("unsure.example.net").outcome, Outcome::failed);
}

TEST_F(Resolving, ASilentServerIsGivenUpAfterTheTries) {
  server.script("silent.example.net", manner(DnsAnswer::Manner::silent));
  const auto before = std::chrono::steady_clock::now();
  const auto resolution = resolve("silent.example.net");
  const auto took = std::chrono::steady_clock::now() - before;
  EXPECT_EQ(resolution.outcome, Outcome::failed);
  EXPECT_NE(resolution.reason.find("A: "), std::string::npos) << resolution.reason;
  EXPECT_EQ(server.asked("silent.example.net", kDnsA), 2u);
  EXPECT_EQ(server.asked("silent.example.net", kDnsAaaa), 2u);
  EXPECT_GE(took, std::chrono::milliseconds{290});  // 100 and 200 ms
  EXPECT_LT(took, std::chrono::seconds{10});
}

TEST_F(Resolving, ADeadNameHoldsNoOtherUp) {
  auto with = options();
  with.timeout_ms = 20'000;
  start(with);
  server.script("silent.example.net", manner(DnsAnswer::Manner::silent));
  server.script("good.example.net", kDnsA, found({{ip("192.0.2.1"), 60}}));
  auto silent = ask("silent.example.net");
  EXPECT_EQ(resolve("good.example.net").outcome, Outcome::answered);
  EXPECT_EQ(silent.wait_for(std::chrono::seconds{0}), std::future_status::timeout);
}

TEST_F(Resolving, AnswersThatAreNoneAreNotBelieved) {
  server.script("garbage.example.net", manner(DnsAnswer::Manner::garbage));
  EXPECT_EQ(resolve("garbage.example.net").outcome, Outcome::failed);
  DnsAnswer other = found({{ip("192.0.2.66"), 60}});
  other.manner = DnsAnswer::Manner::other_question;
  server.script("spoofed.example.net", other);
  const auto spoofed = resolve("spoofed.example.net");
  EXPECT_EQ(spoofed.outcome, Outcome::failed);
  EXPECT_TRUE(spoofed.addresses.empty());
}

TEST_F(Resolving, ALongAnswerComesOverTcp) {
  std::vector<DnsAnswer::Record> records;
  for (int i = 1; i <= 40; ++i) records.push_back({ip(("192.0.2." + std::to_string(i)).c_str()), 60});
  DnsAnswer answer = found(records);
  answer.manner = DnsAnswer::Manner::truncated;
  server.script("many.example.net", kDnsA, answer);
  server.script("many.example.net", kDnsAaaa, found({}));
  EXPECT_EQ(resolve("many.example.net").addresses.size(), 40u);
  EXPECT_EQ(server.asked("many.example.net", kDnsA), 2u);
}

TEST_F(Resolving, TheNumberOfAddressesOfANameIsBounded) {
  std::vector<DnsAnswer::Record> records;
  for (int i = 0; i < 200; ++i) records.push_back({ip(("198.51.100." + std::to_string(i)).c_str()), 60});
  DnsAnswer answer = found(records);
  answer.manner = DnsAnswer::Manner::truncated;
  server.script("crowd.example.net", kDnsA, answer);
  EXPECT_EQ(resolve("crowd.example.net").addresses.size(), 64u);
}

TEST_F(Resolving, NamesAreCompleteAndNeverSearched) {
  EXPECT_EQ(resolve("bare").outcome, Outcome::no_such_name);
  EXPECT_EQ(server.asked("bare", kDnsA), 1u);
  server.script("dot.example.net", kDnsA, found({{ip("192.0.2.1"), 60}}));
  EXPECT_EQ(resolve("dot.example.net.").outcome, Outcome::answered);
  EXPECT_EQ(resolve("DOT.Example.NET").outcome, Outcome::answered);
}

TEST_F(Resolving, WhatIsNoHostNameIsNeverAsked) {
  for (const std::string& name :
       {std::string(), std::string("a..b"), std::string(".a"), std::string("a b"), std::string("a\0b", 3),
        std::string("a\\046b"), std::string("\xC3\xA9.example"), std::string(64, 'a'), std::string(300, 'a'),
        std::string("http://a.example"), std::string("*.example")}) {
    EXPECT_EQ(resolve(name).outcome, Outcome::no_such_name) << name;
  }
  EXPECT_EQ(server.asked("a.b", kDnsA), 0u);
  const auto address = resolve("2001:db8::1");
  EXPECT_EQ(address.outcome, Outcome::answered);
  EXPECT_EQ(address.addresses, std::vector{ip("2001:db8::1")});
}

TEST_F(Resolving, PastTheBoundAnAnswerComesAtOnce) {
  auto with = options();
  with.timeout_ms = 20'000;
  with.pending = 3;
  start(with);
  server.script("silent.example.net", manner(DnsAnswer::Manner::silent));
  std::vector<std::future<Resolution>> pending;
  for (int i = 0; i < 3; ++i) pending.push_back(ask("silent.example.net"));
  const auto turned_away = resolve("good.example.net");
  EXPECT_EQ(turned_away.outcome, Outcome::failed);
  EXPECT_NE(turned_away.reason.find("more than 3"), std::string::npos) << turned_away.reason;
  EXPECT_EQ(server.asked("good.example.net", kDnsA), 0u);
  for (auto& one : pending) EXPECT_EQ(one.wait_for(std::chrono::seconds{0}), std::future_status::timeout);
}

TEST_F(Resolving, TheBoundIsGivenBackWithEachAnswer) {
  auto with = options();
  with.pending = 1;
  start(with);
  server.script("good.example.net", kDnsA, found({{ip("192.0.2.1"), 60}}));
  for (int i = 0; i < 20; ++i) ASSERT_EQ(resolve("good.example.net").outcome, Outcome::answered) << i;
}

TEST_F(Resolving, StoppingAnswersEverythingThatIsPending) {
  auto with = options();
  with.timeout_ms = 60'000;
  start(with);
  server.script("silent.example.net", manner(DnsAnswer::Manner::silent));
  std::vector<std::future<Resolution>> pending;
  for (int i = 0; i < 50; ++i) pending.push_back(ask("silent.example.net"));
  // an answer that asks again while the resolver stops
  std::promise<Resolution> late;
  resolver->resolve("silent.example.net", [&](const Resolution&) {
    resolver->resolve("another.example.net", [&](Resolution resolution) { late.set_value(std::move(resolution)); });
  });
  auto* stopping = resolver.get();
  delete stopping;
  static_cast<void>(resolver.release());
  for (auto& one : pending) {
    const auto resolution = one.get();
    EXPECT_EQ(resolution.outcome, Outcome::failed);
    EXPECT_EQ(resolution.reason, "the resolver is stopping");
  }
  EXPECT_EQ(late.get_future().get().outcome, Outcome::failed);
}

TEST_F(Resolving, ASecondServerHelpsWhenTheFirstIsDead) {
  tests::DnsServer other;
  other.script("a.example.net", kDnsA, found({{ip("192.0.2.1"), 60}}));
  server.script("a.example.net", manner(DnsAnswer::Manner::silent));
  auto with = options();
  with.servers = {server.address(), other.address()};
  start(with);
  EXPECT_EQ(resolve("a.example.net").outcome, Outcome::answered);
}

TEST_F(Resolving, HealthTellsWhenNoServerAnswersAndWhenOneDoesAgain) {
  server.script("servfail.example.net", code(2));
  resolve("servfail.example.net");
  resolve("servfail.example.net");
  EXPECT_FALSE(sink.unwell("RESOLVER_DOWN"));
  resolve("servfail.example.net");
  EXPECT_TRUE(sink.unwell("RESOLVER_DOWN"));
  resolve("nxdomain.example.net");
  EXPECT_FALSE(sink.unwell("RESOLVER_DOWN"));
}

TEST_F(Resolving, ServersThatAreNoneAreAnErrorAtTheStart) {
  for (const char* text : {"ns.example.net", "192.0.2.1:99999x", "::::", "192.0.2.300"}) {
    ResolverOptions with;
    with.servers = {text};
    const auto refused = AresResolver::start(with, nullptr);
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().message.find(text), std::string::npos);
  }
}

TEST_F(Resolving, TheHostsFileIsReadWhenTheSystemIsAsked) {
  const tests::TempDir dir;
  std::ofstream(dir.path() + "/hosts") << "192.0.2.7 upstream.example\n";
  ResolverOptions with;
  with.hosts_file = dir.path() + "/hosts";
  start(with);
  const auto resolution = resolve("upstream.example");
  EXPECT_EQ(resolution.outcome, Outcome::answered);
  EXPECT_EQ(resolution.addresses, std::vector{ip("192.0.2.7")});
  EXPECT_EQ(resolution.ttl, std::chrono::seconds{30});
  // and not when servers are configured
  auto configured = options();
  configured.hosts_file = with.hosts_file;
  start(configured);
  EXPECT_EQ(resolve("upstream.example").outcome, Outcome::no_such_name);
}

TEST(HostsFile, NamesAndAliasesCommentsAndNonsense) {
  const std::string text =
      "# comment with name\n127.0.0.1\tlocalhost\n2001:db8::1 host.example  alias.example # other.example\n"
      "192.0.2.1   HOST.example\n192.0.2.1 host.example\nnonsense host.example\n\n  192.0.2.9 last.example";
  EXPECT_EQ(find_in_hosts(text, "host.example"), (std::vector{ip("192.0.2.1"), ip("2001:db8::1")}));
  EXPECT_EQ(find_in_hosts(text, "Alias.Example."), std::vector{ip("2001:db8::1")});
  EXPECT_EQ(find_in_hosts(text, "last.example"), std::vector{ip("192.0.2.9")});
  EXPECT_TRUE(find_in_hosts(text, "other.example").empty());
  EXPECT_TRUE(find_in_hosts(text, "name").empty());
  EXPECT_TRUE(find_in_hosts(text, "example").empty());
  EXPECT_TRUE(find_in_hosts("", "a").empty());
  EXPECT_TRUE(find_in_hosts_file("/nonexistent/hosts", "localhost").empty());
}

}  // namespace
}  // namespace dots::adapters::resolver
