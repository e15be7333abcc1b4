// What is special about the packet filter: other people's tables, foreign objects in ours, the helper's life and death.
#include "adapters/mitigators/nftables_mitigator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <map>

#include "adapters/mitigators/emergency.h"
#include "tests/contract/mitigator_contract.h"
#include "tests/support/network_namespace.h"

namespace dots::adapters::mitigators {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using tests::install;
using tests::rule_of;

constexpr const char* kHelper = DOTS_BINARY_DIR "/bin/dots-nft-helper";

// The output of a shell command; what it prints on standard error too.
std::string run(const std::string& command) {
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "cannot run it";
  std::string out;
  std::array<char, 4096> chunk;
  while (const std::size_t n = std::fread(chunk.data(), 1, chunk.size(), pipe)) out.append(chunk.data(), n);
  ::pclose(pipe);
  return out;
}

class NftablesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!tests::own_network_namespace().empty()) GTEST_SKIP() << tests::own_network_namespace();
    if (run("command -v nft").empty()) GTEST_SKIP() << "the nft command is not installed";
    nft("flush ruleset");
  }
  void TearDown() override {
    if (tests::own_network_namespace().empty()) nft("flush ruleset");
  }
  static void nft(const std::string& command) { EXPECT_EQ(run("nft '" + command + "'"), "") << command; }
  static NftablesOptions options() { return {.helper = kHelper}; }
  void open(NftablesMitigator& mitigator) {
    const auto opened = mitigator.open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
  }
  std::vector<model::Rule> rules(NftablesMitigator& mitigator) {
    std::vector<model::Rule> out;
    const auto listing = mitigator.list();
    EXPECT_TRUE(listing.ok()) << listing.error().message;
    if (listing.ok()) {
      for (const auto& one : listing->rules) out.push_back(one.rule);
    }
    return out;
  }

  model::Rule dns = rule_of("192.0.2.1/32", 17, {{53, 53}});
};

TEST_F(NftablesTest, NothingOutsideTheTableIsTouched) {
  nft("add table inet other");
  nft("add chain inet other input { type filter hook input priority 0; policy accept; }");
  nft("add rule inet other input tcp dport 22 counter accept");
  nft("add table ip tidewall");  // the same name in another family is another table
  nft("add set ip tidewall keep { type ipv4_addr; elements = { 192.0.2.7 } }");
  const std::string before = run("nft list table inet other; nft list table ip tidewall");
  NftablesMitigator mitigator(options());
  open(mitigator);
  ASSERT_TRUE(mitigator.apply({install(dns), install(rule_of("192.0.2.0/24"))}).ok());
  EXPECT_EQ(run("nft list table inet other; nft list table ip tidewall"), before);
  ASSERT_TRUE(mitigator.clear().ok());
  EXPECT_EQ(run("nft list ruleset"), before);
}

TEST_F(NftablesTest, ATableOfThisNameThatSomebodyElseMadeIsLeftAlone) {
  nft("add table inet tidewall");
  nft("add chain inet tidewall mine");
  const std::string before = run("nft list ruleset");
  NftablesMitigator mitigator(options());
  const auto opened = mitigator.open();
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message, HasSubstr("made by somebody else"));
  EXPECT_FALSE(mitigator.apply({install(dns)}).ok());
  EXPECT_FALSE(mitigator.list().ok());
  EXPECT_FALSE(mitigator.clear().ok());
  EXPECT_EQ(run("nft list ruleset"), before);
}

TEST_F(NftablesTest, ForeignObjectsInOurTableAreNamedAndRemovedOnRequest) {
  NftablesMitigator mitigator(options());
  open(mitigator);
  ASSERT_TRUE(mitigator.apply({install(dns)}).ok());
  const std::string clean = run("nft list table inet tidewall");
  nft("insert rule inet tidewall tw_v4 ip saddr 198.51.100.1 accept");
  nft("add chain inet tidewall stray");
  nft("add rule inet tidewall stray drop");
  nft("add set inet tidewall stray { type ipv4_addr; }");
  nft("add counter inet tidewall stray");
  nft("add element inet tidewall tw_drop4_32_port { 192.0.2.1 . 1 . 53 }");
  const auto listing = mitigator.list();
  ASSERT_TRUE(listing.ok());
  EXPECT_EQ(listing->rules.size(), 1u);
  EXPECT_THAT(listing->foreign, UnorderedElementsAre(HasSubstr("rule in chain tw_v4"), "chain stray", "set stray",
                                                     "counter stray", "element of set tw_drop4_32_port"));
  const auto removed = mitigator.remove_foreign();
  ASSERT_TRUE(removed.ok()) << removed.error().message;
  EXPECT_EQ(*removed, listing->foreign);
  EXPECT_EQ(run("nft list table inet tidewall"), clean);
  EXPECT_THAT(rules(mitigator), ElementsAre(dns));
}

TEST_F(NftablesTest, ARuleAddedWithTheNftCommandIsOrdinaryAndCanBeRemoved) {
  NftablesMitigator mitigator(options());
  open(mitigator);
  ASSERT_TRUE(mitigator.apply({install(dns)}).ok());
  nft("add element inet tidewall tw_drop4_32_port { 192.0.2.8 . 6 . 80 }");
  const auto extra = rule_of("192.0.2.8/32", 6, {{80, 80}});
  EXPECT_THAT(rules(mitigator), UnorderedElementsAre(dns, extra));
  ASSERT_TRUE(mitigator.apply({tests::remove(extra)}).ok());
  EXPECT_THAT(rules(mitigator), ElementsAre(dns));
}

TEST_F(NftablesTest, ChangesBehindOurBackAreNoticedAndRepaired) {
  NftablesMitigator mitigator(options());
  open(mitigator);
  ASSERT_TRUE(mitigator.apply({install(dns)}).ok());
  nft("delete element inet tidewall tw_drop4_32_port { 192.0.2.1 . 17 . 53 }");
  ASSERT_TRUE(mitigator.apply({tests::remove(dns)}).ok());
  ASSERT_TRUE(mitigator.apply({install(dns)}).ok());
  // Rules that no packet reaches are not there.
  nft("flush chain inet tidewall tw_v4");
  EXPECT_THAT(rules(mitigator), IsEmpty());
  ASSERT_TRUE(mitigator.apply({install(dns)}).ok());
  EXPECT_THAT(rules(mitigator), ElementsAre(dns));
  nft("flush ruleset");
  EXPECT_THAT(rules(mitigator), IsEmpty());
  ASSERT_TRUE(mitigator.apply({install(dns)}).ok());
  EXPECT_THAT(rules(mitigator), ElementsAre(dns));
}

TEST_F(NftablesTest, SetsThatAreEmptyGoWhenTheTableIsOpenedAgain) {
  NftablesMitigator mitigator(options());
  open(mitigator);
  ASSERT_TRUE(mitigator.apply({install(dns), install(rule_of("192.0.2.0/24"))}).ok());
  ASSERT_TRUE(mitigator.apply({tests::remove(dns)}).ok());
  open(mitigator);
  const std::string table = run("nft list table inet tidewall");
  EXPECT_THAT(table, testing::Not(HasSubstr("tw_drop4_32_port")));
  EXPECT_THAT(table, HasSubstr("tw_drop4_24_any"));
}

// A list of three entries, one of them a limit, one with a transport header.
model::FilterList three(const char* name) {
  auto list = tests::list_of(tests::list_key("d", "c", name), 0, {});
  for (const char* entry : {"a", "b", "c"}) {
    list.rules.push_back(tests::filter_rule(entry, {"192.0.2.0/24", "2001:db8::/32"}));
  }
  list.rules[0].entry.match.udp.emplace();
  list.rules[1].entry.forwarding = model::Forwarding::accept;
  list.rules[1].entry.rate_limit_hundredths = 100'000;
  return list;
}

// RFC 8783 7.2: rate-limit is what is let through; of nothing, nothing is.
TEST_F(NftablesTest, ALimitOfNothingDrops) {
  NftablesMitigator mitigator(options());
  open(mitigator);
  auto list = tests::list_of(tests::list_key("d", "c", "l"), 0, {});
  list.rules.push_back(tests::filter_rule("a", {"192.0.2.0/24"}));
  list.rules[0].entry.forwarding = model::Forwarding::accept;
  const auto chain = [&] {
    EXPECT_TRUE(mitigator.apply_filters({tests::put_list(list)}).ok());
    const std::string table = run("nft list table inet tidewall");
    const std::size_t at = table.find("\tchain tw_f");
    return table.substr(at, table.find("\n\t}", at) - at);
  };
  EXPECT_THAT(chain(), testing::Not(HasSubstr("drop")));
  list.rules[0].entry.rate_limit_hundredths = 0;
  EXPECT_THAT(chain(), HasSubstr("drop"));
}

TEST_F(NftablesTest, AnAlteredListOfFiltersIsNotListedAsWholeAndCanBeInstalledAnew) {
  NftablesMitigator mitigator(options());
  open(mitigator);
  const auto list = three("l");
  const auto stands = [&] {
    const auto listing = mitigator.list();
    EXPECT_TRUE(listing.ok()) << listing.error().message;
    return listing.ok() && listing->filters.size() == 1 && listing->filters[0].digest == model::digest_of(list) &&
           listing->foreign.empty();
  };
  const auto put = [&] { ASSERT_TRUE(mitigator.apply_filters({tests::put_list(list)}).ok()); };
  put();
  ASSERT_TRUE(stands());
  const std::string group = [] {
    const std::string table = run("nft list table inet tidewall");
    return table.substr(table.find("chain tw_d") + 6, 20);
  }();
  for (const std::string& change : {
           std::string("flush chain inet tidewall tw_f@"),
           std::string("add rule inet tidewall tw_f@ counter drop comment \"e2\""),
           std::string("insert rule inet tidewall tw_f@ counter accept"),
           std::string("flush chain inet tidewall tw_f@_e1"),
           std::string("insert rule inet tidewall tw_f@_e1 accept comment \"limit\""),
           std::string("flush chain inet tidewall tw_f@_l"),
           std::string("flush chain inet tidewall tw_f@_m"),
           std::string("add rule inet tidewall tw_f@_m return comment \"x\""),
           std::string("add chain inet tidewall tw_f@_e7"),
           std::string("flush chain inet tidewall ") + group,
           std::string("insert rule inet tidewall ") + group + " accept",
           std::string("insert rule inet tidewall ") + group + " accept comment \"tw_f0\"",
           std::string("delete element inet tidewall tw_filter4_24 { 192.0.2.0 }"),
           std::string("flush chain inet tidewall tw_v6"),
           std::string("flush chain inet tidewall tw_guard"),
       }) {
    const std::string table = run("nft list table inet tidewall");
    const auto at = table.find("\tchain tw_f");
    ASSERT_NE(at, std::string::npos);
    const std::string number = table.substr(at + 11, table.find(' ', at + 11) - at - 11);
    std::string command = change;
    if (const auto mark = command.find('@'); mark != std::string::npos) command.replace(mark, 1, number);
    nft(command);
    EXPECT_FALSE(stands()) << command;
    // What the runner does: what is not ours goes, what lacks comes back.
    ASSERT_TRUE(mitigator.remove_foreign().ok()) << command;
    put();
    EXPECT_TRUE(stands()) << command << "\n" << run("nft list table inet tidewall");
  }
  ASSERT_TRUE(mitigator.apply_filters({tests::remove_list(list.key)}).ok());
  const std::string table = run("nft list table inet tidewall");
  EXPECT_THAT(table, testing::Not(HasSubstr("chain tw_f")));
  EXPECT_THAT(table, testing::Not(HasSubstr("chain tw_d")));
}

TEST_F(NftablesTest, ForeignObjectsBesideFiltersAreNamedAndRemovedAndTheListsStay) {
  NftablesMitigator mitigator(options());
  open(mitigator);
  ASSERT_TRUE(mitigator.apply_filters({tests::put_list(three("l")), tests::put_list(three("m"))}).ok());
  const std::string clean = run("nft list table inet tidewall");
  nft("add chain inet tidewall stray");
  nft("add rule inet tidewall stray jump tw_f1");
  nft("add chain inet tidewall tw_d0123456789abcdef");
  nft("add rule inet tidewall tw_f1 ip saddr 198.51.100.1 accept");
  nft("add element inet tidewall tw_filter4_24 { 198.51.100.0 : drop }");
  nft("add element inet tidewall tw_filter4_24 { 203.0.113.0 : jump stray }");
  const auto listing = mitigator.list();
  ASSERT_TRUE(listing.ok());
  using testing::Contains;
  EXPECT_THAT(listing->foreign, Contains("chain stray"));
  EXPECT_THAT(listing->foreign, Contains("chain tw_d0123456789abcdef"));
  EXPECT_THAT(listing->foreign, Contains(HasSubstr("rule in chain tw_f1, handle")));
  EXPECT_THAT(listing->foreign, Contains("element of map tw_filter4_24").Times(2));
  const auto removed = mitigator.remove_foreign();
  ASSERT_TRUE(removed.ok()) << removed.error().message;
  ASSERT_TRUE(mitigator.apply_filters({tests::put_list(three("l")), tests::put_list(three("m"))}).ok());
  const auto after = mitigator.list();
  ASSERT_TRUE(after.ok());
  EXPECT_THAT(after->foreign, IsEmpty());
  EXPECT_EQ(after->filters.size(), 2u);
}

TEST_F(NftablesTest, OneListIsReplacedAndTheChainsOfTheOthersStayAsTheyAre) {
  NftablesMitigator mitigator(options());
  open(mitigator);
  ASSERT_TRUE(mitigator.apply_filters({tests::put_list(three("l")), tests::put_list(three("m"))}).ok());
  const auto chain = [](const char* name) { return run(std::string("nft -a list chain inet tidewall ") + name); };
  const std::string before = chain("tw_f2");
  auto shorter = three("l");
  shorter.rules.pop_back();
  ASSERT_TRUE(mitigator.apply_filters({tests::put_list(shorter)}).ok());
  EXPECT_EQ(chain("tw_f2"), before);  // rule by rule, with their handles: nothing was written anew
  EXPECT_THAT(chain("tw_f1"), HasSubstr("No such file"));
  EXPECT_THAT(before, HasSubstr("e2"));
}

TEST_F(NftablesTest, ADeadHelperFailsTheCallAndTheNextOpenStartsAnother) {
  NftablesMitigator mitigator(options());
  open(mitigator);
  ASSERT_TRUE(mitigator.apply({install(dns)}).ok());
  const int pid = mitigator.helper_pid();
  ::kill(pid, SIGKILL);
  const auto listing = mitigator.list();
  ASSERT_FALSE(listing.ok());
  EXPECT_THAT(listing.error().message, HasSubstr("helper is gone"));
  EXPECT_FALSE(mitigator.apply({install(dns)}).ok());
  open(mitigator);
  EXPECT_NE(mitigator.helper_pid(), pid);
  EXPECT_THAT(rules(mitigator), ElementsAre(dns));
}

TEST_F(NftablesTest, AHungHelperIsKilledAtTheTimeOut) {
  NftablesOptions hasty = options();
  hasty.timeout = std::chrono::milliseconds(100);
  NftablesMitigator mitigator(hasty);
  open(mitigator);
  const int pid = mitigator.helper_pid();
  ::kill(pid, SIGSTOP);
  const auto listing = mitigator.list();
  ASSERT_FALSE(listing.ok());
  EXPECT_THAT(listing.error().message, HasSubstr("not answer in time"));
  EXPECT_EQ(mitigator.helper_pid(), 0);
  EXPECT_EQ(::kill(pid, 0), -1);
  open(mitigator);
}

TEST_F(NftablesTest, TheHelperEndsWithItsOwner) {
  int pid = 0;
  {
    NftablesMitigator mitigator(options());
    open(mitigator);
    pid = mitigator.helper_pid();
    ASSERT_GT(pid, 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST_F(NftablesTest, TheHelperKeepsOneCapabilityOnly) {
  NftablesMitigator mitigator(options());
  open(mitigator);
  std::ifstream status("/proc/" + std::to_string(mitigator.helper_pid()) + "/status");
  std::map<std::string, std::string> lines;
  for (std::string key, value; status >> key && std::getline(status, value);) lines[key] = value;
  EXPECT_THAT(lines["CapEff:"], HasSubstr("0000000000001000"));
  EXPECT_THAT(lines["CapPrm:"], HasSubstr("0000000000001000"));
  EXPECT_THAT(lines["CapInh:"], HasSubstr("0000000000000000"));
  EXPECT_THAT(lines["NoNewPrivs:"], HasSubstr("1"));
}

TEST_F(NftablesTest, CheckTriesTheCapabilityAndLeavesNothingBehind) {
  const auto checked = check(options());
  EXPECT_TRUE(checked.ok()) << checked.error().message;
  EXPECT_EQ(run("nft list ruleset"), "");
}

TEST_F(NftablesTest, FiltersOfAnEarlierHelperAreKnownAndTheTableOfAnEarlierReleaseIsRebuilt) {
  // As it was before there were filters: the rules of mitigations in the chain of the family.
  nft("add table inet tidewall");
  nft("add chain inet tidewall tw_guard { type filter hook prerouting priority -300; policy accept; }");
  for (const char* chain : {"tw_v4", "tw_v6"}) nft(std::string("add chain inet tidewall ") + chain);
  nft("add set inet tidewall tw_drop4_32_port { type ipv4_addr . inet_proto . inet_service; counter; }");
  nft("add rule inet tidewall tw_guard meta nfproto ipv4 jump tw_v4 comment \"tw_v4\"");
  nft("add rule inet tidewall tw_guard meta nfproto ipv6 jump tw_v6 comment \"tw_v6\"");
  nft("add rule inet tidewall tw_v4 ip daddr . meta l4proto . th dport @tw_drop4_32_port drop comment "
      "\"tw_drop4_32_port\"");
  nft("add element inet tidewall tw_drop4_32_port { 192.0.2.1 . 17 . 53 }");
  {
    NftablesMitigator mitigator(options());
    open(mitigator);
    EXPECT_THAT(rules(mitigator), ElementsAre(dns));
    ASSERT_TRUE(mitigator.apply_filters({tests::put_list(three("l"))}).ok());
  }
  NftablesMitigator another(options());
  open(another);
  const auto listing = another.list();
  ASSERT_TRUE(listing.ok());
  EXPECT_THAT(listing->foreign, IsEmpty());
  ASSERT_EQ(listing->filters.size(), 1u);
  EXPECT_EQ(listing->filters[0].digest, model::digest_of(three("l")));
  EXPECT_THAT(rules(another), ElementsAre(dns));
}

TEST_F(NftablesTest, TheEmergencyPathWorksWithoutAnOwner) {
  {
    NftablesMitigator daemon(options());
    open(daemon);
    ASSERT_TRUE(daemon.apply({install(dns)}).ok());
    ASSERT_TRUE(daemon.apply_filters({tests::put_list(three("l"))}).ok());
  }
  NftablesOptions look = options();
  look.only_look = true;
  NftablesMitigator operators(look);
  const auto listing = list_all(operators);
  ASSERT_TRUE(listing.ok());
  ASSERT_EQ(listing->rules.size(), 1u);
  EXPECT_EQ(listing->rules[0].rule, dns);
  const auto removed = remove_all(operators);
  ASSERT_TRUE(removed.ok());
  ASSERT_EQ(removed->rules.size(), 1u);
  EXPECT_EQ(removed->rules[0].rule, dns);
  ASSERT_EQ(removed->filters.size(), 1u);
  EXPECT_EQ(removed->filters[0].key.list, "l");
  EXPECT_EQ(run("nft list ruleset"), "");
  EXPECT_TRUE(remove_all(operators).ok());  // again is no error
}

TEST(NftablesHelper, AMissingHelperIsNamedWithTheRemedy) {
  const auto checked = check({.helper = "/nowhere/dots-nft-helper"});
  ASSERT_FALSE(checked.ok());
  EXPECT_THAT(checked.error().message, HasSubstr("there is no helper program /nowhere/dots-nft-helper"));
  EXPECT_THAT(checked.error().message, HasSubstr("set `helper` of this mitigator"));
}

TEST(NftablesHelper, AHelperThatIsNoneFailsAtOnce) {
  EXPECT_THAT(check({.helper = "/bin/false"}).error().message, HasSubstr("the helper is gone"));
  NftablesOptions silent{.helper = "/bin/cat"};  // reads nothing from the socket, so says nothing: ends at once
  EXPECT_FALSE(check(silent).ok());
  EXPECT_FALSE(check({.helper = kHelper, .table = "no such; flush ruleset"}).ok());
}

TEST(NftablesHelper, WithoutTheCapabilityTheRemedyIsExact) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to start the helper without its capability";
  // A helper of its own path that drops the capability before it becomes the real one.
  const std::string script = testing::TempDir() + "/helper-" + std::to_string(::getpid()) + ".sh";
  std::ofstream(script) << "#!/bin/sh\nexec /usr/bin/setpriv --bounding-set -net_admin --inh-caps -net_admin -- "
                        << kHelper << " \"$@\"\n";
  ::chmod(script.c_str(), 0700);
  const auto checked = check({.helper = script});
  ::unlink(script.c_str());
  ASSERT_FALSE(checked.ok());
  EXPECT_THAT(checked.error().message, HasSubstr("lacks the capability CAP_NET_ADMIN"));
  EXPECT_THAT(checked.error().message, HasSubstr("setcap cap_net_admin+ep " + script));
}

}  // namespace
}  // namespace dots::adapters::mitigators
