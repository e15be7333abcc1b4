// How a domain's machine uses its planner: verdicts, what is not started, what does not fit, other planners.
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::MitigationStatus;
using model::ResponseCode;
using namespace std::chrono_literals;

class Plans : public DomainTest {
 protected:
  void plans(std::function<void(const PlanRequest&, Plan&)> more) { planner_->more = std::move(more); }
  static void refuse(Plan& plan) {
    plan.verdict = policy::Verdict::no(ResponseCode::forbidden, "not under this contract", "no contract");
    plan.verdict.refusal = model::RefusalReason::contract;
  }
};

TEST_F(Plans, ARefusedPlanIsARefusedRequestAndLeavesNothing) {
  plans([](const PlanRequest&, Plan& plan) { refuse(plan); });
  const Answer answer = put(1, "192.0.2.1/32");
  EXPECT_EQ(answer.code, ResponseCode::forbidden);
  EXPECT_EQ(answer.diagnostic, "not under this contract");
  EXPECT_TRUE(rules.empty());
  EXPECT_TRUE(store.mitigations.empty());
}

TEST_F(Plans, TheWholeRequestIsPlannedWithWhatItAsksFor) {
  std::size_t targets = 0;
  std::string client;
  plans([&](const PlanRequest& request, Plan&) {
    targets = request.targets.size();
    client = request.client.value;
    EXPECT_EQ(request.request.scope.target_protocol.at(0), 17);
    EXPECT_EQ(request.rules.policy().id, policy_.id);
  });
  put(1, "192.0.2.1/32");
  EXPECT_EQ(targets, 1u);
  EXPECT_EQ(client, "a");
}

TEST_F(Plans, WhatDoesNotFitIsAcceptedWithStatus4) {
  plans([](const PlanRequest&, Plan& plan) {
    plan.parts.clear();
    plan.not_started = model::RefusalReason::bandwidth;
    plan.story = "no back end has room";
  });
  EXPECT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_TRUE(rules.empty());
  EXPECT_EQ(get(1).entries.at(0).status, MitigationStatus::exceeded_capability);
  // There is room again.
  planner_->more = {};
  take(domain_->set_planner(planner_, now));
  EXPECT_EQ(rules.size(), 1u);
  EXPECT_EQ(get(1).entries.at(0).status, MitigationStatus::in_progress);
}

TEST_F(Plans, WhatIsOnlyObservedStaysInStatus1) {
  plans([](const PlanRequest&, Plan& plan) {
    plan.parts.clear();
    plan.not_started = model::RefusalReason::policy;
  });
  EXPECT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_EQ(get(1).entries.at(0).status, MitigationStatus::in_progress);
}

TEST_F(Plans, NothingIsInstalledThatAPersonHasToApproveFirst) {
  plans([](const PlanRequest&, Plan& plan) { plan.needs_approval = "192.0.2.0/24 is wider than /25"; });
  EXPECT_EQ(put(1, "192.0.2.0/24").code, ResponseCode::created);
  EXPECT_TRUE(rules.empty());
  EXPECT_EQ(get(1).entries.at(0).status, MitigationStatus::in_progress);
  EXPECT_EQ(domain_->view(now).at(0).rules_reason, "waits for approval: 192.0.2.0/24 is wider than /25");
}

TEST_F(Plans, WhatIsInstalledIsKnownToThePlanThatIsMadeWhenTheStoreIsReadAgain) {
  put(1, "192.0.2.1/32");
  std::size_t held = 0;
  plans([&](const PlanRequest& request, Plan&) {
    held = 0;
    for (const auto& one : request.holds) held += one.second;
  });
  reload(store);
  EXPECT_EQ(held, 1u) << "else a full back end has no room for what it has";
}

TEST_F(Plans, ABackEndWithoutRoomMakesItStatus4) {
  put(1, "192.0.2.1/32");
  step(RulesReport{base::Cuid{"cuid-a"}, base::Mid{1}, RulesReport::State::failed, "table is full",
                   model::RefusalReason::capacity});
  EXPECT_EQ(get(1).entries.at(0).status, MitigationStatus::exceeded_capability);
  step(RulesReport{base::Cuid{"cuid-a"}, base::Mid{1}, RulesReport::State::failed, "broken",
                   model::RefusalReason::hardware});
  EXPECT_EQ(get(1).entries.at(0).status, MitigationStatus::in_progress);
}

TEST_F(Plans, APlanThatIsRefusedLaterWithholdsTheRulesAndIsAuditedOnce) {
  put(1, "192.0.2.1/32");
  EXPECT_EQ(rules.size(), 1u);
  plans([](const PlanRequest&, Plan& plan) { refuse(plan); });
  take(domain_->set_planner(planner_, now));
  take(domain_->set_planner(planner_, now));
  EXPECT_TRUE(rules.empty());
  EXPECT_EQ(domain_->view(now).at(0).rules, RulesReport::State::failed);
  const auto withheld = std::count_if(store.audit.begin(), store.audit.end(),
                                      [](const auto& line) { return line.verdict == "withheld"; });
  EXPECT_EQ(withheld, 1);
}

// The largest attack decides, and a mitigation does not swing between two policies.
TEST_F(Plans, TheVolumeIsHeldSteadyAndPlannedAnewWhenItChanges) {
  std::uint64_t seen = 0;
  planner_->by_volume = true;
  plans([&](const PlanRequest& request, Plan&) { seen = request.volume_bps; });
  put(1, "192.0.2.1/32");
  EXPECT_EQ(seen, 0U);
  std::uint64_t bytes = 0;
  const auto drops = [&](std::uint64_t bytes_per_s, int seconds) {
    for (int i = 0; i < seconds; i += 2) {
      CountersReport report{base::Cuid{"cuid-a"}, base::Mid{1}, {}};
      report.counters.bytes_dropped = bytes;
      step(report);
      pass(2s);
      bytes += bytes_per_s * 2;
    }
  };
  drops(1000, 10);
  EXPECT_EQ(seen, 8000U);
  drops(1050, 10);
  EXPECT_EQ(seen, 8000U) << "less than a tenth more";
  drops(5000, 10);
  EXPECT_EQ(seen, 40000U);
  drops(100, 30);
  EXPECT_EQ(seen, 40000U) << "not a minute yet";
  drops(5000, 6);
  drops(100, 50);
  EXPECT_EQ(seen, 40000U);
  drops(100, 20);
  EXPECT_EQ(seen, 800U);
}

TEST_F(Plans, ThePlanKnowsWhatIsHeldAndWhereTheSignalComesFrom) {
  std::map<std::string, std::size_t> holds;
  std::size_t elsewhere = 0, peers = 0;
  plans([&](const PlanRequest& request, Plan&) {
    holds = request.holds;
    elsewhere = request.rules_elsewhere;
    peers = request.signal_path->size();
  });
  SessionEdge opened{SessionEdge::Kind::opened, origin("a").session, base::ClientId{"a"}, {}, {}};
  opened.peer = *model::parse_ip_address("192.0.2.77");
  step(opened);
  put(1, "192.0.2.1/32");
  EXPECT_TRUE(holds.empty());
  EXPECT_EQ(peers, 1U);
  put(2, "192.0.2.2/32");
  EXPECT_EQ(elsewhere, 1U);
  put(1, "192.0.2.1/32");
  EXPECT_EQ(holds.size(), 1U);
  EXPECT_EQ(holds.begin()->second, 1U);
  EXPECT_EQ(elsewhere, 1U);
  step(RulesReport{base::Cuid{"cuid-a"}, base::Mid{1}, RulesReport::State::failed, "full",
                   model::RefusalReason::capacity});
  put(1, "192.0.2.1/32");
  EXPECT_TRUE(holds.empty()) << "it has no room there";
  edge(SessionEdge::Kind::closed);
  policy_.terminating_period = 0s;
  change_policy(policy_);
  del(1);
  put(3, "192.0.2.3/32");
  EXPECT_EQ(elsewhere, 1U);
  EXPECT_EQ(peers, 0U);
}

}  // namespace
}  // namespace dots::signal::server
