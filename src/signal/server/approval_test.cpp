// What waits for a person (docs/decisions/approval.md).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using namespace std::chrono_literals;
using model::MitigationStatus;
using model::ResponseCode;
using ports::Approval;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Every request goes to a router, and to a person who has to agree.
class Approvals : public DomainTest {
 protected:
  Approvals() { asking(true); }
  void asking(bool on) {
    planner_->more = [on](const PlanRequest&, Plan& plan) {
      if (!on || plan.parts.empty()) return;
      plan.parts.push_back({"noc", plan.parts.front().rules, true});
      plan.needs_approval = "back end 'noc' asks a person";
    };
  }
  void plan_anew() { take(domain_->set_planner(planner_, now)); }
  OperatorAnswer approve(std::uint32_t mid, const std::string& note = "") {
    step(OperatorApprove{5, base::Cuid{"cuid-a"}, base::Mid{mid}, "root", note, "uid 0"});
    return operator_answers.empty() ? OperatorAnswer{} : operator_answers.front();
  }
  OperatorAnswer refuse(std::uint32_t mid, const std::string& reason = "") {
    step(OperatorRefuse{6, base::Cuid{"cuid-a"}, base::Mid{mid}, "root", reason, "uid 0"});
    return operator_answers.empty() ? OperatorAnswer{} : operator_answers.front();
  }
  // The back ends that the last step asked for something on behalf of this mitigation; nothing said: "-".
  std::vector<std::string> asked(std::uint32_t mid) const {
    for (const auto& change : desired) {
      for (const auto& want : change.wants) {
        if (want.owner.mid.value != mid) continue;
        std::vector<std::string> names;
        for (const auto& part : want.parts) names.push_back(part.back_end);
        return names;
      }
    }
    return {"-"};
  }
  const Approval& stored(std::uint32_t mid) {
    return store.mitigations.at({policy_.id, base::Cuid{"cuid-a"}, base::Mid{mid}}).approval;
  }
  std::size_t late() const { return domain_->clients().approvals_late; }
};

TEST_F(Approvals, WhoHasToAgreeIsAskedAndNobodyElse) {
  EXPECT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_THAT(asked(1), ElementsAre("noc"));
  EXPECT_THAT(notes, Contains("APPROVAL_WANTED"));
  EXPECT_EQ(stored(1).state, Approval::State::waiting);
  EXPECT_EQ(stored(1).why, "back end 'noc' asks a person");
  EXPECT_EQ(stored(1).since, now.wall);
  report(1, RulesReport::State::installed);  // the notice has left
  EXPECT_EQ(status(1), 1);
  EXPECT_EQ(domain_->view(now).at(0).record.approval.state, Approval::State::waiting);
  EXPECT_THAT(audited("approve"), ElementsAre(HasSubstr("asks a person")));
}

TEST_F(Approvals, ApprovedItIsCarriedOut) {
  put(1, "192.0.2.1/32");
  report(1, RulesReport::State::installed);
  pass(10s);
  const auto answer = approve(1, "called the customer");
  EXPECT_TRUE(answer.ok) << answer.text;
  EXPECT_EQ(answer.ticket, 5U);
  EXPECT_THAT(asked(1), ElementsAre("back end", "noc"));
  EXPECT_EQ(stored(1).state, Approval::State::approved);
  EXPECT_EQ(stored(1).by, "operator root");
  EXPECT_EQ(stored(1).at, now.wall);
  EXPECT_EQ(stored(1).note, "called the customer");
  EXPECT_EQ(status(1), 1) << "the router has not said anything yet";
  report(1, RulesReport::State::installed);
  EXPECT_EQ(status(1), 2);
  EXPECT_THAT(audited("approve"), Contains(HasSubstr("called the customer")));
  const auto again = approve(1);
  EXPECT_FALSE(again.ok);
  EXPECT_THAT(again.text, HasSubstr("already, by operator root"));
}

TEST_F(Approvals, RefusedItEndsWithStatus7AndTheReason) {
  auto request = request_for("192.0.2.1/32");
  request.extensions = true;
  put(1, request);
  observe(1, 42);
  pass(10s);
  const auto answer = refuse(1, "a test system");
  EXPECT_TRUE(answer.ok) << answer.text;
  ASSERT_EQ(notified.size(), 1U);
  const auto& last = notified.front().answer.entries.front();
  EXPECT_EQ(last.status, MitigationStatus::withdrawn);
  EXPECT_EQ(last.refusal_reason, model::RefusalReason::policy);
  EXPECT_THAT(last.diagnostic, HasSubstr("a test system"));
  EXPECT_THAT(asked(1), IsEmpty());
  EXPECT_TRUE(store.mitigations.empty());
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_THAT(audited("refuse"), ElementsAre(HasSubstr("a test system")));
  EXPECT_EQ(store.audit.back().actor, "operator root");
  EXPECT_EQ(store.audit.back().credential, "uid 0");
}

TEST_F(Approvals, AClientWithoutExtensionsHearsOfARefusalByTheStatusAlone) {
  put(1, "192.0.2.1/32");
  observe(1, 42);
  pass(10s);
  refuse(1, "no");
  ASSERT_EQ(notified.size(), 1U);
  EXPECT_EQ(notified.front().answer.entries.front().status, MitigationStatus::withdrawn);
  EXPECT_FALSE(notified.front().answer.entries.front().refusal_reason);
}

TEST_F(Approvals, AClientWithExtensionsLearnsWhyItIsStillInStatus1) {
  auto request = request_for("192.0.2.1/32");
  request.extensions = true;
  put(1, request);
  EXPECT_EQ(entry(1).refusal_reason, model::RefusalReason::policy);
  EXPECT_THAT(entry(1).diagnostic, HasSubstr("approval of an operator"));
  approve(1);
  EXPECT_FALSE(entry(1).refusal_reason);
}

// What a client has chosen is pasted into a shell.
TEST_F(Approvals, TheCommandToTypeHasTheCuidAsOneWord) {
  put(1, request_for("192.0.2.1/32"), "a", "x'; reboot #");
  ASSERT_EQ(note_texts.size(), 1U);
  EXPECT_THAT(note_texts.front(), HasSubstr("dotsctl approve 1 --domain " + policy_.id.value +
                                            " --cuid 'x'\\''; reboot #', or: dotsctl refuse 1"));
}

TEST_F(Approvals, ALifetimeThatEndsWhileItWaitsEndsItAtOnce) {
  put(1, "192.0.2.1/32", 60);
  pass(61s);
  EXPECT_TRUE(store.mitigations.empty());
  EXPECT_THAT(audited("expire"), ElementsAre(Not(HasSubstr("terminating"))));
  EXPECT_FALSE(approve(1).ok);
}

TEST_F(Approvals, AReplacementThatDoesNotGrowTheScopeKeepsTheApproval) {
  auto wide = request_for("192.0.2.0/25");
  wide.scope.target_port_range = {{1000, 2000}};
  put(1, wide);
  approve(1, "seen");
  auto narrow = request_for("192.0.2.0/26");
  narrow.scope.target_port_range = {{1500, 1500}};
  put(2, narrow);
  EXPECT_THAT(asked(2), ElementsAre("back end", "noc"));
  EXPECT_EQ(stored(2).state, Approval::State::approved);
  EXPECT_EQ(stored(2).by, "operator root");
  EXPECT_EQ(stored(2).note, "seen");
  EXPECT_THAT(notes, Not(Contains("APPROVAL_WANTED")));
  // What was agreed to last counts, not what was agreed to once.
  put(3, wide);
  EXPECT_THAT(asked(3), ElementsAre("noc"));
}

TEST_F(Approvals, AReplacementThatGrowsTheScopeIsAskedForAnew) {
  const auto with = [](const char* target, std::vector<std::uint8_t> protocols, std::vector<model::PortRange> ports) {
    auto request = request_for(target);
    request.scope.target_protocol = std::move(protocols);
    request.scope.target_port_range = std::move(ports);
    return request;
  };
  std::uint32_t mid = 0;
  for (const auto& grown : {with("192.0.2.0/24", {17}, {{80, 80}}), with("192.0.2.0/25", {}, {{80, 80}}),
                            with("192.0.2.0/25", {17, 6}, {{80, 80}}), with("192.0.2.0/25", {17}, {}),
                            with("192.0.2.0/25", {17}, {{80, 81}})}) {
    put(++mid, with("192.0.2.0/25", {17}, {{80, 80}}));
    ASSERT_TRUE(approve(mid).ok);
    put(++mid, grown);
    EXPECT_THAT(asked(mid), ElementsAre("noc")) << mid;
    EXPECT_EQ(stored(mid).state, Approval::State::waiting) << mid;
    EXPECT_EQ(stored(mid).by, "");
    EXPECT_TRUE(refuse(mid, "no").ok);
  }
}

TEST_F(Approvals, AReplacementUnderAnotherRuleOfThePolicyIsAskedForAnew) {
  std::string rule = "limit";
  planner_->more = [&](const PlanRequest&, Plan& plan) {
    plan.needs_approval = "policy wants it";
    plan.policy = rule;
  };
  put(1, "192.0.2.0/25");
  approve(1);
  rule = "blackhole";
  put(2, "192.0.2.0/25");
  EXPECT_EQ(stored(2).state, Approval::State::waiting);
}

// Else a client that changes its request again and again would never be late.
TEST_F(Approvals, AReplacementOfWhatWaitsHasWaitedAsLong) {
  put(1, "192.0.2.0/25");
  const auto since = stored(1).since;
  pass(200s);
  put(2, "192.0.2.0/25");
  EXPECT_EQ(stored(2).since, since);
  pass(101s);
  EXPECT_EQ(late(), 1U);
}

// A DELETE and a request within the terminating period would else go round a policy that has changed.
TEST_F(Approvals, WhatComesBackWithinItsTerminatingPeriodIsJudgedAnew) {
  asking(false);
  put(1, "192.0.2.1/32");
  asking(true);
  plan_anew();
  del(1);
  put(1, "192.0.2.1/32");
  EXPECT_THAT(asked(1), ElementsAre("noc"));
}

TEST_F(Approvals, WhatGivesWayToAConflictIsNotLate) {
  policy_.clients[1].priority = 200;
  change_policy(policy_);
  put(1, "192.0.2.1/32");
  pass(300s);
  EXPECT_EQ(late(), 1U);
  put(7, "192.0.2.1/32", 3600, "b");
  EXPECT_EQ(status(1), 7);
  EXPECT_EQ(late(), 0U);
}

TEST_F(Approvals, ItSurvivesARestartBeforeAndAfter) {
  put(1, "192.0.2.1/32");
  put(2, "192.0.2.2/32");
  approve(2);
  const auto since = stored(1).since;
  now = now + 20s;
  restart();
  EXPECT_EQ(stored(1).state, Approval::State::waiting);
  EXPECT_EQ(stored(1).since, since);
  EXPECT_THAT(asked(1), ElementsAre("noc"));
  EXPECT_THAT(asked(2), ElementsAre("back end", "noc"));
  EXPECT_EQ(status(1), 1);
  EXPECT_TRUE(approve(1).ok);
  EXPECT_THAT(asked(1), ElementsAre("back end", "noc"));
}

TEST_F(Approvals, ARefreshKeepsIt) {
  put(1, "192.0.2.1/32");
  put(1, "192.0.2.1/32");
  EXPECT_THAT(asked(1), ElementsAre("noc"));
  EXPECT_THAT(notes, Not(Contains("APPROVAL_WANTED")));
  approve(1);
  put(1, "192.0.2.1/32");
  EXPECT_THAT(asked(1), ElementsAre("back end", "noc"));
  EXPECT_EQ(stored(1).state, Approval::State::approved);
}

TEST_F(Approvals, AClientThatWithdrawsEndsTheWaitingAtOnce) {
  put(1, "192.0.2.1/32");
  EXPECT_EQ(del(1).code, ResponseCode::deleted);
  EXPECT_THAT(asked(1), IsEmpty());
  EXPECT_TRUE(store.mitigations.empty()) << "there is nothing that would have to end slowly";
  EXPECT_FALSE(approve(1).ok);
  EXPECT_THAT(operator_answers.front().text, HasSubstr("no mitigation"));
}

TEST_F(Approvals, WhatWaitsForLongIsToldOnceMoreAndCounted) {
  put(1, "192.0.2.1/32");
  pass(299s);
  EXPECT_EQ(late(), 0U);
  now = now + 1s;
  step(TimerFired{});
  EXPECT_THAT(notes, ElementsAre("APPROVAL_LATE"));
  EXPECT_EQ(late(), 1U);
  pass(600s);
  EXPECT_EQ(late(), 1U);
  approve(1);
  EXPECT_EQ(late(), 0U);
  put(3, "192.0.2.3/32");
  pass(400s);
  EXPECT_EQ(late(), 1U);
  del(3);
  EXPECT_EQ(late(), 0U);
}

TEST_F(Approvals, WhatRunsAlreadyIsNotStoppedByANewNeed) {
  asking(false);
  put(1, "192.0.2.1/32");
  report(1, RulesReport::State::installed);
  asking(true);
  plan_anew();
  EXPECT_THAT(asked(1), ElementsAre("back end", "noc"));
  EXPECT_EQ(status(1), 2);
  EXPECT_EQ(approve(1).text, "it does not wait for approval");
  EXPECT_FALSE(refuse(1).ok);
}

TEST_F(Approvals, WhatNeedsItNoMoreBegins) {
  put(1, "192.0.2.1/32");
  asking(false);
  plan_anew();
  EXPECT_THAT(asked(1), ElementsAre("back end"));
  EXPECT_EQ(stored(1).state, Approval::State::none);
}

TEST_F(Approvals, WhatIsArmedWaitsWhenItStartsUnlessApprovedBeforehand) {
  edge(SessionEdge::Kind::opened);
  armed(1, "192.0.2.1/32");
  armed(2, "192.0.2.2/32");
  EXPECT_TRUE(approve(2).ok);
  EXPECT_THAT(asked(2), ElementsAre("-")) << "it does not run";
  edge(SessionEdge::Kind::silent);
  EXPECT_THAT(asked(1), ElementsAre("noc"));
  EXPECT_THAT(asked(2), ElementsAre("back end", "noc"));
}

}  // namespace
}  // namespace dots::signal::server
