// What a client sees of the server's policy (docs/policy.md), end to end in one shard: requests, answers, rules.
#include "tests/support/shard_fixture.h"

namespace dots::agent::server {
namespace {

using model::MitigationStatus;

class ShardPolicy : public ShardTest {
 protected:
  void plan_with(PlannerSettings settings, BackEndLoads loads = {},
                 signal::server::Replan which = signal::server::Replan::all) {
    settings.back_ends = back_ends;
    shards[0]->set_planner(
        std::make_shared<MitigationPlanner>(std::make_shared<const PlannerSettings>(settings), loads), now, which);
    ShardOutput out;
    finish(0, out);
    settle_all();
  }
  void change(const std::function<void(policy::DomainPolicy&)>& how) {
    how(policies[0]);
    std::vector<std::shared_ptr<const policy::DomainRules>> rules;
    for (const auto& one : policies) rules.push_back(std::make_shared<policy::DomainRules>(one));
    ShardOutput out;
    shards[0]->set_domains(rules, now, out);
    finish(0, out);
    settle_all();
  }
  void ask(Peer& peer, const coap::Request& request) {
    send(peer, request);
    settle_all();
  }
  static coap::Request put_with(std::uint32_t mid, const std::function<void(model::MitigationRequest&)>& how) {
    coap::Request out = put(mid, "192.0.2.1/32");
    model::MitigationRequest body;
    body.scope.target_prefix = {*model::parse_prefix("192.0.2.1/32")};
    body.scope.target_protocol = {17};
    body.lifetime = model::Lifetime{600};
    how(body);
    out.payload = wire::encode(body);
    return out;
  }
  // What the newest wishes of each mitigation are, as text.
  std::vector<std::string> wanted() const {
    std::map<model::RuleOwner, std::vector<std::string>> newest;
    for (const auto& one : wants) {
      for (const auto& want : one.wants) {
        auto& texts = newest[want.owner] = {};
        for (const auto& part : want.parts) {
          for (const auto& rule : part.rules) texts.push_back(part.back_end + ": " + model::to_string(rule));
        }
      }
    }
    std::vector<std::string> out;
    for (const auto& [owner, texts] : newest) out.insert(out.end(), texts.begin(), texts.end());
    return out;
  }
  MitigationStatus status() {
    for (const auto& view : shards[0]->mitigations(now)) return view.record.status;
    return {};
  }

  std::vector<PlannedBackEnd> back_ends{{.name = "edge"}, {.name = "core"}};
};

using Lines = std::vector<std::string>;

// A-018: a request that needs two back ends starts both.
TEST_F(ShardPolicy, OneRequestStartsThePool) {
  PlannerSettings settings;
  settings.chain.emplace_back().name = "pool";
  settings.chain[0].use = {"edge", "core"};
  plan_with(settings);
  Peer& peer = connect("acme.example", 1000);
  ask(peer, put(1, "192.0.2.1/32"));
  EXPECT_EQ(wanted(), (Lines{"edge: drop udp to 192.0.2.1/32", "core: drop udp to 192.0.2.1/32"}));
}

// A-043: a request is advice; the server may accept it and start nothing, and says so.
TEST_F(ShardPolicy, WhatIsOnlyObservedIsAcceptedAndStartsNothing) {
  PlannerSettings settings;
  settings.chain.emplace_back().name = "trial";
  settings.chain[0].action = policy::PolicyAction::observe;
  settings.chain[0].reason = "a trial";
  plan_with(settings);
  Peer& peer = connect("acme.example", 1000);
  ask(peer, put(1, "192.0.2.1/32"));
  EXPECT_EQ(codes(peer), "2.01 ");
  EXPECT_EQ(wanted(), Lines{});
  const auto views = shards[0]->mitigations(now);
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].record.status, MitigationStatus::in_progress);
  EXPECT_EQ(views[0].not_started, model::RefusalReason::policy);
  EXPECT_EQ(views[0].plan_story, "policy 'trial'; nothing is started: a trial");
}

// A-073: without room the client hears status 4; with room again it is mitigated, without asking anew.
TEST_F(ShardPolicy, WhatDoesNotFitIsStatus4UntilThereIsRoom) {
  back_ends = {{.name = "edge", .max_rules = 5}};
  plan_with({}, {{"edge", {5, 0}}});
  Peer& peer = connect("acme.example", 1000);
  ask(peer, put(1, "192.0.2.1/32"));
  EXPECT_EQ(codes(peer), "2.01 ");
  EXPECT_EQ(wanted(), Lines{});
  EXPECT_EQ(status(), MitigationStatus::exceeded_capability);
  plan_with({}, {{"edge", {4, 0}}}, signal::server::Replan::unmet);
  EXPECT_EQ(wanted(), Lines{"edge: drop udp to 192.0.2.1/32"});
  EXPECT_EQ(status(), MitigationStatus::in_progress);
  // What runs is not planned anew by other loads.
  wants.clear();
  plan_with({}, {{"edge", {9, 0}}}, signal::server::Replan::unmet);
  EXPECT_TRUE(wants.empty());
}

// A back end that had no room although the plan thought so: the overflow takes it with the next loads.
TEST_F(ShardPolicy, WhoLosesTheRaceForTheLastRoomGoesToTheOverflow) {
  PlannerSettings settings;
  settings.chain.emplace_back().name = "p";
  settings.chain[0].use = {"edge"};
  settings.chain[0].overflow = {"core"};
  back_ends = {{.name = "edge", .max_rules = 5}, {.name = "core"}};
  plan_with(settings, {{"edge", {4, 0}}});
  Peer& peer = connect("acme.example", 1000);
  ask(peer, put(1, "192.0.2.1/32"));
  EXPECT_EQ(wanted(), Lines{"edge: drop udp to 192.0.2.1/32"});
  ShardOutput out;
  shards[0]->on_message(
      ToDomain{base::DomainId{"acme"}, signal::server::RulesReport{base::Cuid{"abcdefghijklmnopqrstuv"},
                                                                   base::Mid{1},
                                                                   signal::server::RulesReport::State::failed,
                                                                   "no room: 5 rules are the limit",
                                                                   model::RefusalReason::capacity,
                                                                   {"edge"}}},
      now, out);
  finish(0, out);
  settle_all();
  EXPECT_EQ(status(), MitigationStatus::exceeded_capability);
  plan_with(settings, {{"edge", {6, 0}}}, signal::server::Replan::unmet);
  EXPECT_EQ(wanted(), Lines{"core: drop udp to 192.0.2.1/32"});
}

// U-005: one request mitigates what the administrator's policy says, and the actual scope is known.
TEST_F(ShardPolicy, OneAlertMitigatesTheWholeAccessNetwork) {
  PlannerSettings settings;
  settings.chain.emplace_back().name = "access-network";
  settings.chain[0].use = {"edge"};
  settings.chain[0].widen.domain = true;
  plan_with(settings);
  change([](policy::DomainPolicy& one) { one.prefixes.push_back(*model::parse_prefix("2001:db8:5::/48")); });
  Peer& peer = connect("acme.example", 1000);
  ask(peer, put(1, "192.0.2.1/32"));
  EXPECT_EQ(wanted(), (Lines{"edge: drop udp to 192.0.2.0/24", "edge: drop udp to 2001:db8:5::/48"}));
  const auto views = shards[0]->mitigations(now);
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].actual,
            (std::vector{*model::parse_prefix("192.0.2.0/24"), *model::parse_prefix("2001:db8:5::/48")}));
}

// U-014: the alert is reduced to an alias; the agreement with the domain decides what is done.
TEST_F(ShardPolicy, AnAliasIsEnoughAndTheContractDecides) {
  PlannerSettings settings;
  settings.chain.emplace_back().name = "gold";
  settings.chain[0].contracts = {"gold"};
  settings.chain[0].use = {"core"};
  settings.chain[0].action = policy::PolicyAction::blackhole;
  settings.chain.emplace_back().name = "rest";
  settings.chain[1].use = {"edge"};
  plan_with(settings);
  change([](policy::DomainPolicy& one) { one.contracts.emplace_back().id = "gold"; });
  const std::string root = "/restconf/data/ietf-dots-data-channel:dots-data";
  const std::string cuid = "abcdefghijklmnopqrstuv";
  const auto data = [&](const std::string& method, const std::string& path, const std::string& body) {
    ports::HttpRequest request{method, root + path, {{"Host", "h"}}, body};
    request.headers.add("Content-Type", "application/yang-data+json");
    ShardOutput out;
    shards[0]->on_data({base::DomainId{"acme"}, base::ClientId{"acme-client"}, std::move(request), 1}, now, out);
    finish(0, out);
    settle_all();
  };
  data("POST", "", R"({"ietf-dots-data-channel:dots-client":[{"cuid":")" + cuid + R"("}]})");
  data("PUT", "/dots-client=" + cuid + "/aliases/alias=all",
       R"({"ietf-dots-data-channel:alias":[{"name":"all","target-prefix":["192.0.2.0/28"]}]})");
  Peer& peer = connect("acme.example", 1000);
  const auto by_alias = [](model::MitigationRequest& body) {
    body.scope = {};
    body.scope.alias_name = {"all"};
  };
  ask(peer, put_with(1, by_alias));
  EXPECT_EQ(codes(peer), "2.01 ");
  EXPECT_EQ(wanted(), Lines{"core: blackhole all to 192.0.2.0/28"});
  ask(peer, put_with(2, [](model::MitigationRequest& body) { body.contract_id = "platinum"; }));
  EXPECT_EQ(codes(peer), "2.01 4.00 ") << "a contract that is not the domain's";
}

// U-015: the client's DELETE wins over a policy that would rather go on.
TEST_F(ShardPolicy, TheClientEndsItWhateverThePolicySays) {
  change([](policy::DomainPolicy& one) { one.terminating_period = 0s; });
  Peer& peer = connect("acme.example", 1000);
  ask(peer, put(1, "192.0.2.1/32"));
  EXPECT_EQ(wanted().size(), 1U);
  ask(peer, bare(wire::Method::del, 1));
  EXPECT_EQ(wanted(), Lines{});
  EXPECT_TRUE(shards[0]->mitigations(now).empty());
}

// A-109
TEST_F(ShardPolicy, AClientThatFlapsIsHeldBackAndTheOperatorIsTold) {
  change([](policy::DomainPolicy& one) {
    one.activations_per_minute = 5;
    one.terminating_period = 0s;
  });
  Peer& peer = connect("acme.example", 1000);
  for (std::uint32_t mid = 1; mid <= 10; ++mid) {
    ask(peer, put(mid, "192.0.2." + std::to_string(mid) + "/32"));
    ask(peer, bare(wire::Method::del, mid));
  }
  std::size_t installed = 0;
  for (const auto& one : wants) {
    for (const auto& want : one.wants) installed += want.parts.empty() ? 0 : 1;
  }
  EXPECT_EQ(installed, 5U);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "REQUESTS_DAMPED"), 1);
  EXPECT_EQ(damped, 5U);
}

TEST_F(ShardPolicy, EverythingAndTheServersOwnAddressAreRefused) {
  PlannerSettings settings;
  settings.safety.targets = {{*model::parse_prefix("192.0.2.99/32"), "is an address of this server"}};
  plan_with(settings);
  Peer& peer = connect("acme.example", 1000);
  ask(peer, put(1, "0.0.0.0/0"));
  ask(peer, put(2, "192.0.2.99/32"));
  EXPECT_EQ(codes(peer), "4.00 4.00 ");
  ask(peer, put(3, "192.0.2.98/31"));
  EXPECT_EQ(wanted(), (Lines{"edge: drop udp to 192.0.2.98/32", "core: drop udp to 192.0.2.98/32"}));
}

// 10,000 requests in a second: bounded, what was accepted has its rules, and heartbeats are answered.
TEST_F(ShardPolicy, AFloodOfRequestsIsBoundedAndHeartbeatsGoOn) {
  change([](policy::DomainPolicy& one) {
    one.prefixes = {*model::parse_prefix("10.0.0.0/8")};
    one.activations_per_minute = 600;
  });
  std::vector<Peer*> floods;
  for (std::uint16_t i = 0; i < 10; ++i)
    floods.push_back(&connect("acme.example", static_cast<std::uint16_t>(1000 + i)));
  std::uint32_t mid = 0;
  for (int round = 0; round < 100; ++round) {
    for (Peer* client : floods) {
      std::vector<coap::Request> some;
      for (int i = 0; i < 10; ++i) {
        ++mid;
        some.push_back(put(mid, "10.1." + std::to_string(mid / 250) + "." + std::to_string(mid % 250) + "/32"));
      }
      send_in_one_round(*client, some);
    }
    settle_all();
    now = now + 10ms;
  }
  std::size_t accepted = 0, later = 0, others = 0;
  for (const Peer* client : floods) {
    for (const auto& one : client->responses) {
      const auto code = one.response.code;
      ++(code == ResponseCode::created ? accepted : code == ResponseCode::service_unavailable ? later : others);
    }
  }
  EXPECT_EQ(accepted + later, 10000U);
  EXPECT_EQ(others, 0U);
  EXPECT_GE(accepted, 600U);
  EXPECT_LE(accepted, 600U + 10U);
  EXPECT_EQ(shards[0]->mitigations(now).size(), accepted);
  EXPECT_EQ(wanted().size(), accepted) << "no rule is lost";
  coap::Request hb;
  hb.method = wire::Method::put;
  hb.uri_path = {".well-known", "dots", "hb"};
  hb.content_format = 271;
  hb.payload = *base::from_hex("a11831a11833f5");
  for (Peer* client : floods) {
    const std::size_t before = client->responses.size();
    send(*client, hb);
    ASSERT_EQ(client->responses.size(), before + 1);
    EXPECT_EQ(client->responses.back().response.code, ResponseCode::changed);
  }
}

}  // namespace
}  // namespace dots::agent::server
