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

TEST_F(Plans, APartThatNobodyCanDoKeepsItInStatus1) {
  plans([](const PlanRequest&, Plan& plan) { plan.not_started = model::RefusalReason::function; });
  auto request = request_for("192.0.2.1/32");
  request.extensions = true;
  EXPECT_EQ(put(1, request).code, ResponseCode::created);
  report(1, RulesReport::State::installed);
  const auto entry = get(1).entries.at(0);
  EXPECT_EQ(entry.status, MitigationStatus::in_progress);
  EXPECT_EQ(entry.refusal_reason, model::RefusalReason::function);
  planner_->more = {};
  take(domain_->set_planner(planner_, now));
  report(1, RulesReport::State::installed);
  EXPECT_EQ(get(1).entries.at(0).status, MitigationStatus::successfully_mitigated);
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
  drops(100, 550);
  EXPECT_EQ(seen, 40000U) << "held for ten minutes";
  drops(5000, 6);
  drops(100, 50);
  EXPECT_EQ(seen, 40000U) << "not a minute yet";
  drops(100, 20);
  EXPECT_EQ(seen, 800U);
  // The next time twice as long.
  drops(5000, 10);
  EXPECT_EQ(seen, 40000U);
  drops(100, 1100);
  EXPECT_EQ(seen, 40000U);
  drops(100, 200);
  EXPECT_EQ(seen, 800U);
}

// A back end that does not count has it now: it is tried again after a while whether the attack is still so large.
TEST_F(Plans, AVolumeThatNobodyMeasuresIsForgotten) {
  std::uint64_t seen = 0;
  planner_->by_volume = true;
  plans([&](const PlanRequest& request, Plan&) { seen = request.volume_bps; });
  put(1, "192.0.2.1/32");
  std::uint64_t bytes = 0;
  const auto count = [&] {
    CountersReport counted{base::Cuid{"cuid-a"}, base::Mid{1}, {}};
    counted.counters.bytes_dropped = bytes;
    step(counted);
  };
  count();
  pass(2s);
  bytes = 10000;
  count();
  EXPECT_EQ(seen, 40000U);
  pass(9min);
  EXPECT_EQ(seen, 40000U);
  // Another mid for the same targets is the same attack.
  put(2, "192.0.2.1/32");
  EXPECT_EQ(seen, 40000U);
  pass(9min);
  put(2, "192.0.2.1/32");
  EXPECT_EQ(seen, 40000U);
  pass(2min);
  EXPECT_EQ(seen, 0U);
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
  step(RulesReport{base::Cuid{"cuid-a"},
                   base::Mid{1},
                   RulesReport::State::failed,
                   "full",
                   model::RefusalReason::capacity,
                   {"back end"}});
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

TEST_F(Plans, AFullBackEndTakesNothingFromWhatTheOthersHave) {
  std::map<std::string, std::size_t> holds;
  plans([&](const PlanRequest& request, Plan& plan) {
    holds = request.holds;
    plan.parts.push_back({"other", plan.parts.at(0).rules});
  });
  put(1, "192.0.2.1/32");
  step(RulesReport{base::Cuid{"cuid-a"},
                   base::Mid{1},
                   RulesReport::State::failed,
                   "full",
                   model::RefusalReason::capacity,
                   {"other"}});
  take(domain_->set_planner(planner_, now, Replan::unmet));
  EXPECT_EQ(holds, (std::map<std::string, std::size_t>{{"back end", 1}}));
  // ... also when the store is read again.
  reload(store);
  EXPECT_EQ(holds, (std::map<std::string, std::size_t>{{"back end", 1}}));
}

TEST_F(Plans, WhatTheServerWithheldHoldsNothingAndIsToldAgainWhenThereIsRoom) {
  std::size_t elsewhere = 0;
  plans([&](const PlanRequest& request, Plan&) { elsewhere = request.rules_elsewhere; });
  put(1, "192.0.2.1/32");
  RulesReport report{base::Cuid{"cuid-a"},           base::Mid{1}, RulesReport::State::failed, "no room",
                     model::RefusalReason::capacity, {"back end"}};
  report.withheld = true;
  step(report);
  EXPECT_EQ(get(1).entries.at(0).status, MitigationStatus::exceeded_capability);
  rules.clear();
  put(2, "192.0.2.2/32");
  EXPECT_EQ(elsewhere, 0U);
  take(domain_->set_planner(planner_, now, Replan::unmet));
  EXPECT_EQ(rules.size(), 2U) << "back ends hear of it now";
}

// What replaces another one takes its place: a full back end has room for it, and its attack is known.
TEST_F(Plans, WhatReplacesAnotherHoldsWhatThatOneHeld) {
  std::map<std::string, std::size_t> holds;
  std::size_t elsewhere = 0;
  plans([&](const PlanRequest& request, Plan&) {
    holds = request.holds;
    elsewhere = request.rules_elsewhere;
  });
  put(1, "192.0.2.1/32");
  put(2, "192.0.2.2/32");
  put(3, "192.0.2.9/32");
  put(4, "192.0.2.0/30");
  EXPECT_EQ(holds, (std::map<std::string, std::size_t>{{"back end", 2}}));
  EXPECT_EQ(elsewhere, 1U) << "of mid 3 alone";
}

TEST_F(Plans, WhatHasNoRoomIsPlannedAgainOnlyWhereThereMayBeSome) {
  std::set<std::uint32_t> planned;
  plans([&](const PlanRequest& request, Plan& plan) {
    planned.insert(request.mid.value);
    if (request.mid.value == 2) plan.not_started = model::RefusalReason::capacity;
    if (request.mid.value == 2) plan.parts.clear();
  });
  for (std::uint32_t mid = 1; mid <= 3; ++mid) put(mid, "192.0.2." + std::to_string(mid) + "/32");
  step(RulesReport{base::Cuid{"cuid-a"},
                   base::Mid{3},
                   RulesReport::State::failed,
                   "full",
                   model::RefusalReason::capacity,
                   {"back end"}});
  const auto again = [&](Replan which) {
    planned.clear();
    take(domain_->set_planner(planner_, now, which));
    return planned;
  };
  EXPECT_EQ(again(Replan::crowded), (std::set<std::uint32_t>{3}));
  EXPECT_EQ(again(Replan::unmet), (std::set<std::uint32_t>{2, 3}));
  EXPECT_EQ(again(Replan::all), (std::set<std::uint32_t>{1, 2, 3}));
}

// Other loads come every second, and back ends hear nothing of it where nothing changes.
TEST_F(Plans, OtherLoadsAreToldToBackEndsOnlyWhereAPartMoves) {
  std::string where = "full";
  plans([&](const PlanRequest& request, Plan& plan) {
    if (request.mid.value == 1) return;
    plan.not_started = model::RefusalReason::capacity;
    if (where.empty()) plan.parts.clear();
    if (!where.empty()) plan.parts.at(0).back_end = where;
  });
  put(1, "192.0.2.1/32");
  put(2, "192.0.2.2/32");
  const auto told = [&] {
    std::size_t wants = 0;
    for (const Effect& effect : domain_->set_planner(planner_, now, Replan::unmet)) {
      if (const auto* list = std::get_if<DesiredRules>(&effect)) wants += list->wants.size();
    }
    return wants;
  };
  EXPECT_EQ(told(), 0U);
  where = "other";
  EXPECT_EQ(told(), 1U);
  EXPECT_EQ(told(), 0U);
  where = "";
  EXPECT_EQ(told(), 1U);
  EXPECT_EQ(told(), 0U);
}

// A client that was taken over does not use up what the others need.
TEST_F(Plans, ActivationsAreCountedForEachClient) {
  policy_.activations_per_minute = 2;
  change_policy(policy_);
  EXPECT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_EQ(put(2, "192.0.2.2/32").code, ResponseCode::created);
  const Answer damped = put(3, "192.0.2.3/32");
  EXPECT_EQ(damped.code, ResponseCode::service_unavailable);
  EXPECT_EQ(damped.refusal_reason, model::RefusalReason::rate);
  EXPECT_EQ(put(1, "192.0.2.4/32", 3600, "b").code, ResponseCode::created);
}

}  // namespace
}  // namespace dots::signal::server
