// Filters of a shard's domains: when back ends are told which are in force, what they count, accept-lists in an attack.
#include <random>

#include "tests/support/shard_fixture.h"

namespace dots::agent::server {
namespace {

const std::string kData = "/restconf/data/ietf-dots-data-channel:dots-data";
const std::string kCuid = "abcdefghijklmnopqrstuv";  // as on the signal channel in these tests

class ShardEnforcement : public ShardTest {
 protected:
  ShardEnforcement() {
    enroll(kCuid);
    settle_all();
    data_answers.clear();
  }
  void ask(const std::string& method, const std::string& path, const std::string& body = "") {
    ports::HttpRequest request{method, kData + path, {{"Host", "h"}}, body};
    if (!body.empty()) request.headers.add("Content-Type", "application/yang-data+json");
    ShardOutput out;
    shards[0]->on_data({base::DomainId{"acme"}, base::ClientId{"acme-client"}, std::move(request), 1}, now, out);
    finish(0, out);
  }
  void enroll(const std::string& cuid) {
    ask("POST", "", R"({"ietf-dots-data-channel:dots-client":[{"cuid":")" + cuid + R"("}]})");
  }
  static std::string me(const std::string& cuid = kCuid) { return "/dots-client=" + cuid; }
  void put_list(const std::string& name, const std::string& type = "activate-when-mitigating",
                const std::string& forwarding = "drop", const std::string& cuid = kCuid,
                const std::string& destination = "192.0.2.0/24") {
    ask("PUT", me(cuid) + "/acls/acl=" + name,
        R"({"ietf-dots-data-channel:acl":[{"name":")" + name + R"(","activation-type":")" + type +
            R"(","aces":{"ace":[{"name":"r","matches":{"ipv4":{"source-ipv4-network":"203.0.113.0/24",)" +
            R"("destination-ipv4-network":")" + destination + R"("}},"actions":{"forwarding":")" + forwarding +
            R"("}}]}}]})");
  }
  void remove_list(const std::string& name, const std::string& cuid = kCuid) {
    ask("DELETE", me(cuid) + "/acls/acl=" + name);
  }
  std::string names() const {
    std::string out;
    for (const auto& [key, list] : in_force) out += key.list + " ";
    return out;
  }
  Peer& mitigate() {
    Peer& peer = connect("acme.example", 1000);
    send(peer, put(1, "192.0.2.1/32"));
    settle_all();
    return peer;
  }
  void pass(base::Duration time) {
    const auto end = now.steady + time;
    while (now.steady < end) {
      const auto due = shards[0]->next_deadline();
      const auto next = due ? std::min(std::max(*due, now.steady + 1ms), end) : end;
      now = now + (next - now.steady);
      ShardOutput out;
      shards[0]->on_timer(now, out);
      finish(0, out);
      settle_all();
    }
  }
  void count(const std::string& list, std::uint64_t packets, std::uint64_t bytes) {
    ShardOutput out;
    shards[0]->on_filter_counts({{{base::DomainId{"acme"}, base::Cuid{kCuid}, list}, {{"r", {packets, bytes}}}}}, now);
    finish(0, out);
    settle_all();
  }
  int status() const {
    const auto views = shards[0]->mitigations(now);
    return views.size() == 1 ? static_cast<int>(views[0].record.status) : 0;
  }
  std::optional<model::ConflictInformation> conflict() const {
    for (const auto& view : shards[0]->mitigations(now)) {
      if (view.conflict) return view.conflict;
    }
    return std::nullopt;
  }
};

// D8783-7.2-07, D8783-7.2-08, D8783-7.2-17: what is acknowledged is enforced, and nothing before it is durable.
TEST_F(ShardEnforcement, BackEndsHearOfAListWhenItIsDurable) {
  put_list("now", "immediate");
  EXPECT_EQ(names(), "");
  settle();
  EXPECT_EQ(names(), "now ");
  put_list("never", "deactivate");
  settle_all();
  EXPECT_EQ(names(), "now ");
  const auto digest = model::digest_of(in_force.begin()->second);
  put_list("now", "immediate", "accept");
  EXPECT_EQ(model::digest_of(in_force.begin()->second), digest);
  settle_all();
  EXPECT_NE(model::digest_of(in_force.begin()->second), digest);
  put_list("now", "deactivate");
  settle_all();
  EXPECT_EQ(names(), "");
}

// D8783-7.4-02, D8783-5.2-02: gone from the store, gone from enforcement; of two clients' equal lists one stays.
TEST_F(ShardEnforcement, WhatIsDeletedOrDeregisteredIsEnforcedNoMore) {
  enroll("second");
  put_list("x", "immediate");
  put_list("x", "immediate", "drop", "second");
  put_list("y", "immediate", "drop", "second");
  settle_all();
  EXPECT_EQ(in_force.size(), 3u);
  remove_list("x");
  EXPECT_EQ(in_force.size(), 3u) << "not before it is durable";
  settle_all();
  ASSERT_EQ(names(), "x y ");
  EXPECT_EQ(in_force.begin()->first.cuid.value, "second");
  ask("DELETE", me("second"));
  settle_all();
  EXPECT_EQ(names(), "");
}

// D8783-7.2-04, D8783-7.2-05, D8783-7.2-06: with the mitigation of its client it comes, and goes with its rules.
TEST_F(ShardEnforcement, AListActivatedByMitigationLivesAsLongAsItsRules) {
  put_list("when");
  enroll("second");
  put_list("other", "activate-when-mitigating", "drop", "second");
  settle_all();
  EXPECT_EQ(names(), "");
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  EXPECT_EQ(names(), "");
  settle_all();
  EXPECT_EQ(names(), "when ");
  ASSERT_FALSE(wants.empty());
  send(peer, put(2, "192.0.2.2/32"));
  settle_all();
  send(peer, bare(wire::Method::del, 1));
  settle_all();
  pass(200s);
  EXPECT_EQ(names(), "when ") << "the second goes on";
  send(peer, bare(wire::Method::del, 2));
  settle_all();
  EXPECT_EQ(names(), "when ") << "active but terminating: its rules are still there";
  pass(200s);
  EXPECT_EQ(names(), "");
}

TEST_F(ShardEnforcement, APreconfiguredRequestThatWaitsActivatesNothing) {
  put_list("when");
  settle_all();
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32", true));
  settle_all();
  EXPECT_EQ(codes(peer), "2.01 ");
  EXPECT_EQ(names(), "");
}

TEST_F(ShardEnforcement, AnExpiredListIsEnforcedNoMore) {
  put_list("now", "immediate");
  settle_all();
  pass(10081min);
  EXPECT_EQ(names(), "");
}

TEST_F(ShardEnforcement, ARefusedCommitLeavesWhatIsStoredInForce) {
  put_list("kept", "immediate");
  settle_all();
  put_list("lost", "immediate");
  remove_list("kept");
  settle(ports::CommitOutcome::refused);
  read_back("acme");
  settle_all();
  EXPECT_EQ(names(), "kept ");
  // Its outcome is not known, and it was stored all the same: the back ends hear of what is really there.
  now = now + 6s;
  put_list("found", "immediate");
  settle(ports::CommitOutcome::refused, true);
  read_back("acme");
  settle_all();
  EXPECT_EQ(names(), "found kept ");
}

TEST_F(ShardEnforcement, AStartTellsWhatTheStoreHas) {
  put_list("kept", "immediate");
  settle_all();
  in_force.clear();
  read_back("acme");
  settle_all();
  EXPECT_EQ(names(), "kept ");
}

TEST_F(ShardEnforcement, ADomainThatLostAPrefixEnforcesWhatIsLeft) {
  put_list("upper", "immediate", "drop", kCuid, "192.0.2.128/25");
  put_list("both", "immediate");
  settle_all();
  lines.clear();
  const auto own = [&](const std::string& prefix) {
    std::vector<std::shared_ptr<const policy::DomainRules>> rules;
    for (auto policy : policies) {
      if (policy.id.value == "acme") policy.prefixes = {*model::parse_prefix(prefix)};
      rules.push_back(std::make_shared<const policy::DomainRules>(policy));
    }
    ShardOutput out;
    shards[0]->set_domains(rules, now, out);
    finish(0, out);
    settle_all();
  };
  own("192.0.2.0/25");
  EXPECT_EQ(names(), "both ");
  EXPECT_EQ(in_force.begin()->second.rules.at(0).destinations.at(0), *model::parse_prefix("192.0.2.0/25"));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "FILTER_OUTSIDE_DOMAIN"), 1);
  const auto views = shards[0]->filters(now);
  ASSERT_EQ(views.size(), 2u);
  EXPECT_EQ(views[0].left_out, std::vector<std::string>{"r"});
  EXPECT_FALSE(views[0].in_force);
  own("192.0.2.0/24");
  EXPECT_EQ(names(), "both upper ");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "FILTER_WITHIN_DOMAIN"), 1);
  ShardOutput out;
  shards[0]->set_domains({}, now, out);
  finish(0, out);
  settle_all();
  EXPECT_EQ(names(), "") << "of a domain that nobody configures any more";
}

// D8783-7.3-03, D8783-4.3-27
TEST_F(ShardEnforcement, WhatABackEndCountsIsTheStatisticsOfTheEntry) {
  put_list("x", "immediate");
  settle_all();
  count("x", 3, 300);
  count("x", 4, 400);
  data_answers.clear();
  ask("GET", me() + "/acls/acl=x");
  settle_all();
  const std::string body = data_answers.at(0).second.body;
  EXPECT_NE(body.find(R"("matched-packets":"7")"), std::string::npos) << body;
  EXPECT_NE(body.find(R"("matched-octets":"700")"), std::string::npos) << body;
  read_back("acme");
  data_answers.clear();
  ask("GET", me() + "/acls/acl=x");
  settle_all();
  EXPECT_NE(data_answers.at(0).second.body.find(R"("matched-packets":"7")"), std::string::npos)
      << "a commit that was refused takes no statistics away";
}

// S9132-4.4.1.3-28, S9133-4.1-01, S9132-5.3-06
TEST_F(ShardEnforcement, AnAcceptListThatLetsTheAttackThroughIsAConflict) {
  put_list("friends", "activate-when-mitigating", "accept");
  settle_all();
  mitigate();
  ShardOutput installed;
  using State = signal::server::RulesReport::State;
  shards[0]->on_message(ToDomain{base::DomainId{"acme"},
                                 signal::server::RulesReport{base::Cuid{kCuid}, base::Mid{1}, State::installed, ""}},
                        now, installed);
  finish(0, installed);
  settle_all();
  ASSERT_EQ(status(), 2);
  const auto seconds = [&](int number, std::uint64_t pps) {
    for (int i = 0; i < number; ++i) {
      count("friends", pps, pps * 100);
      pass(1s);
    }
  };
  seconds(30, 9000);
  EXPECT_FALSE(conflict()) << "friends may talk";
  seconds(4, 20000);
  pass(30s);
  EXPECT_FALSE(conflict()) << "a burst is no attack";
  seconds(12, 20000);
  ASSERT_TRUE(conflict());
  EXPECT_EQ(conflict()->cause, model::ConflictCause::conflict_with_acceptlist);
  EXPECT_EQ(conflict()->status, model::ConflictStatus::active);
  EXPECT_EQ(conflict()->scope->acl_names, std::vector<std::string>{"friends"});
  EXPECT_EQ(status(), 1) << "it is not mitigated";
  seconds(20, 6000);
  EXPECT_TRUE(conflict()) << "less, but not half";
  seconds(20, 4000);
  EXPECT_TRUE(conflict()) << "not for long enough";
  seconds(16, 4000);
  EXPECT_FALSE(conflict());
  EXPECT_EQ(status(), 2);
}

// What a client does about it (RFC 9133 4.1) ends the conflict.
TEST_F(ShardEnforcement, AConflictEndsWithTheListOrTheMitigation) {
  put_list("friends", "activate-when-mitigating", "accept");
  settle_all();
  Peer& peer = mitigate();
  const auto attack = [&] {
    for (int i = 0; i < 12; ++i) {
      count("friends", 20000, 20000);
      pass(1s);
    }
  };
  attack();
  ASSERT_TRUE(conflict());
  put_list("friends", "deactivate", "accept");
  settle_all();
  pass(6s);
  EXPECT_FALSE(conflict());
  put_list("friends", "immediate", "accept");
  settle_all();
  attack();
  ASSERT_TRUE(conflict());
  send(peer, bare(wire::Method::del, 1));
  settle_all();
  pass(1s);
  EXPECT_FALSE(conflict());
}

TEST_F(ShardEnforcement, OnlyWhatPassesAMitigationOfTheSameTargetsCounts) {
  put_list("elsewhere", "activate-when-mitigating", "accept", kCuid, "192.0.2.128/25");
  put_list("drops", "activate-when-mitigating", "drop");
  settle_all();
  mitigate();
  for (int i = 0; i < 30; ++i) {
    count("elsewhere", 50000, 50000);
    count("drops", 50000, 50000);
    pass(1s);
  }
  EXPECT_FALSE(conflict());
}

// Whatever clients do: at rest the back ends were told of exactly the lists that are to be in force.
TEST_F(ShardEnforcement, AtRestWhatIsToldIsWhatIsInForce) {
  Peer& peer = connect("acme.example", 1000);
  std::mt19937 random(7);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  const char* types[] = {"immediate", "activate-when-mitigating", "deactivate"};
  for (int round = 0; round < 400; ++round) {
    const std::string name(1, static_cast<char>('a' + below(6)));
    switch (below(9)) {
      case 0:
      case 1:
      case 2:
        put_list(name, types[below(3)], below(2) == 0 ? "drop" : "accept");
        break;
      case 3:
        remove_list(name);
        break;
      case 4:
        send(peer, put(1 + below(3), "192.0.2." + std::to_string(1 + below(3)) + "/32"));
        break;
      case 5:
        send(peer, bare(wire::Method::del, 1 + below(3)));
        break;
      case 6:
        settle_all();
        pass(std::chrono::seconds(below(200)));
        break;
      case 7:
        if (store.empty()) break;
        settle(ports::CommitOutcome::refused, below(2) == 0);
        for (const auto& id : std::exchange(reloads, {})) read_back(id.value);
        break;
      default:
        if (!store.empty()) settle();
    }
    if (round % 10 != 9) continue;
    settle_all();
    std::set<std::string> expected, told;
    for (const auto& view : shards[0]->filters(now)) {
      const bool on = view.activation == model::ActivationType::immediate ||
                      (view.activation == model::ActivationType::activate_when_mitigating && view.mitigating);
      if (on) expected.insert(view.key.list);
    }
    for (const auto& [key, list] : in_force) told.insert(key.list);
    ASSERT_EQ(told, expected) << round;
    bool active = false;
    for (const auto& view : shards[0]->mitigations(now)) {
      using model::MitigationStatus;
      active = active || view.record.status == MitigationStatus::in_progress ||
               view.record.status == MitigationStatus::successfully_mitigated ||
               view.record.status == MitigationStatus::client_withdrawn;
    }
    for (const auto& view : shards[0]->filters(now)) ASSERT_EQ(view.mitigating, active) << round;
    now = now + 6s;
  }
}

}  // namespace
}  // namespace dots::agent::server
