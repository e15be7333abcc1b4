#include "adapters/mitigators/command_mitigator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "tests/support/rules.h"
#include "tests/support/temp_dir.h"

namespace dots::adapters::mitigators {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using tests::rule_of;

ports::RuleChange install(model::Rule rule) { return {ports::RuleChange::Kind::install, std::move(rule), {}}; }

// A program that keeps what it was asked and answers what a file of its folder says, by its op.
class Scripted : public testing::Test {
 protected:
  void SetUp() override {
    answer("abilities", R"({"ok": true, "counts": true, "exempts": true})");
    answer("list", R"({"ok": true, "rules": []})");
    answer("apply", R"({"ok": true})");
    answer("exempt", R"({"ok": true})");
    answer("clear", R"({"ok": true})");
    program(R"sh(input=$(cat); op=$(printf '%s' "$input" | sed 's/.*"op":"\([a-z-]*\)".*/\1/')
printf '%s' "$input" > asked-$op; cat answer-$op)sh");
  }
  void program(const std::string& script) {
    folder.write("program", "#!/bin/sh\ncd " + folder.path() + "\n" + script + "\n");
    ASSERT_EQ(::chmod(folder.file("program").c_str(), 0755), 0);
  }
  void answer(const std::string& op, const std::string& text) { folder.write("answer-" + op, text); }
  std::string asked(const std::string& op) {
    std::stringstream text;
    text << std::ifstream{folder.file("asked-" + op)}.rdbuf();
    return text.str();
  }
  std::string open_fault() {
    const auto opened = back_end->open();
    return opened ? "" : opened.error().message;
  }
  std::string list_fault() {
    const auto listing = back_end->list();
    return listing ? "" : listing.error().message;
  }

  const tests::TempDir folder;
  const std::unique_ptr<ports::Mitigator> back_end =
      make_command_mitigator({"border", {folder.file("program")}, 1000ms});
  const model::Rule dns = rule_of("192.0.2.1/32", 17, {{53, 53}});
  const model::Rule all = rule_of("192.0.2.2/32", {}, {}, model::RuleAction::limit, 125000);
};

TEST_F(Scripted, ARequestSaysEverythingThatIsKnownOfARule) {
  ASSERT_EQ(open_fault(), "");
  auto change = install(dns);
  change.owners = {{{base::DomainId("acme"), base::Cuid("c"), base::Mid(7)}, "requested by client edge", {}}};
  change.owners[0].until = base::WallTime{std::chrono::seconds{86400}};
  ASSERT_TRUE(back_end->apply({change, {ports::RuleChange::Kind::remove, all, {}}}).ok());
  EXPECT_EQ(asked("apply"),
            R"({"version":1,"back_end":"border","op":"apply","changes":[)"
            R"({"change":"install","rule":{"action":"drop","target":"192.0.2.1/32","protocol":17,"ports":[53,53]},)"
            R"("owners":[{"domain":"acme","cuid":"c","mid":7,"why":"requested by client edge",)"
            R"("until":"1970-01-02 00:00:00 UTC"}]},)"
            R"({"change":"remove","rule":{"action":"limit","target":"192.0.2.2/32",)"
            R"("rate_limit_bytes_per_s":125000}}]})");
}

TEST_F(Scripted, TheAbilitiesAreWhatItSays) {
  EXPECT_FALSE(back_end->abilities().counts);
  EXPECT_FALSE(back_end->apply({install(dns)}).ok()) << "before it said anything";
  ASSERT_EQ(open_fault(), "");
  EXPECT_TRUE(back_end->abilities().counts);
  EXPECT_TRUE(back_end->abilities().scoped);
  EXPECT_TRUE(back_end->abilities().exempts);
  answer("abilities", R"({"ok": true, "counts": false, "scoped": false, "limits": false, "exempts": false})");
  ASSERT_EQ(open_fault(), "");
  EXPECT_FALSE(back_end->abilities().counts);
  EXPECT_FALSE(back_end->abilities().scoped);
  EXPECT_FALSE(back_end->abilities().limits);
  EXPECT_FALSE(back_end->abilities().exempts);
  answer("abilities", R"({"ok": true, "counts": 1})");
  EXPECT_THAT(open_fault(), HasSubstr("'counts' is no true or false"));
  answer("abilities", R"({"ok": true, "counts": true, "drops_really": false})");
  EXPECT_THAT(open_fault(), HasSubstr("counts what it says it does not drop"));
}

TEST_F(Scripted, ExemptionsGoToWhoWantsThem) {
  const ports::SignalExemption one{model::parse_ip_address("192.0.2.9").value(), 4646,
                                   model::parse_prefix("198.51.100.7/32").value()};
  answer("abilities", R"({"ok": true, "exempts": false})");
  ASSERT_EQ(open_fault(), "");
  ASSERT_TRUE(back_end->exempt({one}).ok());
  EXPECT_THAT(asked("exempt"), IsEmpty());
  answer("abilities", R"({"ok": true, "exempts": true})");
  ASSERT_EQ(open_fault(), "");
  ASSERT_TRUE(back_end->exempt({one}).ok());
  EXPECT_THAT(asked("exempt"),
              HasSubstr(R"("exemptions":[{"server":"192.0.2.9","port":4646,"peer":"198.51.100.7/32"}])"));
}

TEST_F(Scripted, AListTellsCountersAndWhatIsNotInForce) {
  answer("list", R"({"ok": true, "foreign": ["rule 7"], "links": [{"name": "r1", "up": false, "state": "no route"}],
    "rules": [{"action": "drop", "target": "192.0.2.1/32", "protocol": 17, "ports": [53, 53], "packets": 3,
               "bytes": 18446744073709551615, "not_in_force": "r1 is away", "of": "no interest"}]})");
  ASSERT_EQ(open_fault(), "");
  const auto listing = back_end->list();
  ASSERT_TRUE(listing.ok()) << listing.error().message;
  ASSERT_EQ(listing->rules.size(), 1u);
  EXPECT_EQ(listing->rules[0].rule, dns);
  EXPECT_EQ(listing->rules[0].counters, (model::RuleCounters{3, UINT64_MAX}));
  EXPECT_EQ(listing->rules[0].not_in_force, "r1 is away");
  EXPECT_EQ(listing->foreign, std::vector<std::string>{"rule 7"});
  ASSERT_EQ(listing->links.size(), 1u);
  EXPECT_EQ(listing->links[0].name + listing->links[0].state, "r1no route");
  EXPECT_FALSE(listing->links[0].up);
}

TEST_F(Scripted, WhatMakesNoSenseIsAClearFault) {
  ASSERT_EQ(open_fault(), "");
  const std::vector<std::pair<const char*, const char*>> faults = {
      {"", "answered nothing"},
      {" \n", "answered nothing"},
      {"{", "no JSON"},
      {"[]", "no JSON object"},
      {R"({"rules": []})", "no \"ok\""},
      {R"({"ok": "yes", "rules": []})", "no \"ok\""},
      {R"({"ok": true})", "no list 'rules'"},
      {R"({"ok": true, "rules": {}})", "'rules' is no list"},
      {R"({"ok": true, "rules": [1]})", "it is no object"},
      {R"({"ok": true, "rules": [{"action": "eat", "target": "192.0.2.1/32"}]})", "'eat' is no action"},
      {R"({"ok": true, "rules": [{"action": "drop", "target": "192.0.2.1/33"}]})", "33"},
      {R"({"ok": true, "rules": [{"action": "drop", "target": 5}]})", "'target' is no text"},
      {R"({"ok": true, "rules": [{"action": "drop", "target": "::/0", "protocol": 256}]})", "'protocol' is over 255"},
      {R"({"ok": true, "rules": [{"action": "drop", "target": "::/0", "protocol": -1}]})", "'protocol' is no number"},
      {R"({"ok": true, "rules": [{"action": "drop", "target": "::/0", "ports": [1]}]})", "pair of numbers"},
      {R"({"ok": true, "rules": [{"action": "drop", "target": "::/0", "ports": [2, 1]}]})", "wrong order"},
      {R"({"ok": true, "rules": [{"action": "drop", "target": "::/0", "packets": 1.5}]})", "'packets' is no number"},
      {R"({"ok": true, "rules": [], "foreign": [1]})", "'foreign' is no list of texts"},
      {R"({"ok": true, "rules": [], "links": [1]})", "'links' is no list of objects"},
      {R"([[[[[[[[[[[[)", "no JSON"},
      {R"({"ok": false, "error": "no\nway"})", "no way"},
      {R"({"ok": false})", "no reason was given"},
  };
  for (const auto& [text, fault] : faults) {
    answer("list", text);
    EXPECT_THAT(list_fault(), HasSubstr(fault)) << text;
  }
}

TEST_F(Scripted, ARefusedRuleIsNamedWithItsReason) {
  ASSERT_EQ(open_fault(), "");
  const auto fault = [&](const char* text) {
    answer("apply", text);
    const auto applied = back_end->apply({install(dns), install(all)});
    EXPECT_FALSE(applied.ok()) << text;
    return applied.ok() ? ports::MitigatorFault{} : applied.error();
  };
  auto one = fault(R"({"ok": false, "refused": [{"change": 1, "reason": "capacity", "error": "the table is full"}]})");
  EXPECT_EQ(one.message, model::to_string(all) + ": the table is full");
  EXPECT_EQ(one.reason, model::RefusalReason::capacity);
  one = fault(R"({"ok": false, "reason": "bandwidth", "error": "too much"})");
  EXPECT_EQ(one.message, "too much");
  EXPECT_EQ(one.reason, model::RefusalReason::bandwidth);
  one = fault(R"({"ok": false, "reason": "because", "error": "x"})");
  EXPECT_THAT(one.message, HasSubstr("'because' is no reason"));
  EXPECT_FALSE(one.reason);
  EXPECT_THAT(fault(R"({"ok": false, "refused": [{"change": 2, "error": "x"}]})").message,
              HasSubstr("a change that was not asked for"));
  EXPECT_THAT(fault(R"({"ok": false, "refused": [5]})").message, HasSubstr("makes no sense"));
}

TEST_F(Scripted, AProgramInTroubleFailsTheCall) {
  ASSERT_EQ(open_fault(), "");
  program("echo 'cannot reach r1' >&2; exit 2");
  EXPECT_THAT(back_end->apply({install(dns)}).error().message, HasSubstr("ended with status 2: cannot reach r1"));
  EXPECT_THAT(open_fault(), HasSubstr("ended with status 2"));
  program("sleep 60");
  EXPECT_THAT(list_fault(), HasSubstr("did not end in 1000 ms and was killed"));
  program("exec yes '{\"ok\": true}'");
  EXPECT_THAT(list_fault(), HasSubstr("answers with more than"));
  ASSERT_EQ(::unlink(folder.file("program").c_str()), 0);
  EXPECT_THAT(list_fault(), HasSubstr("there is no program"));
}

}  // namespace
}  // namespace dots::adapters::mitigators
