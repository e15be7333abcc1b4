// One or two shards with scripted channels, real CoAP clients and a store that answers when the test says so.
#include "tests/support/shard_fixture.h"

namespace dots::agent::server {
namespace {

// S9132-3-07, S8612-SIG-001-01, S8612-DM-009-01: the same requests over TCP.
TEST_F(ShardTest, ARequestOverTcpIsAnswered) {
  Peer& peer = connect("acme.example", 1000, model::Transport::tcp);
  EXPECT_TRUE(peer.endpoint->peer_ready()) << "our CSM came";
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  ASSERT_EQ(peer.responses.size(), 1U);
  EXPECT_EQ(peer.responses[0].response.code, model::ResponseCode::created);
  const auto views = shards[0]->sessions(now);
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].path.transport, model::Transport::tcp);
}

// S8811-3.1-02
TEST_F(ShardTest, TheSamePortsOverBothTransportsAreTwoSessions) {
  Peer& udp = connect("acme.example", 1000);
  Peer& tcp = connect("acme.example", 1000, model::Transport::tcp);
  EXPECT_EQ(shards[0]->sessions(now).size(), 2U);
  ShardOutput out;
  shards[0]->on_disconnected(tcp.path, "the peer reset the connection", now, out);
  finish(0, out);
  ASSERT_EQ(shards[0]->sessions(now).size(), 1U);
  EXPECT_EQ(shards[0]->sessions(now)[0].path, udp.path);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "SESSION_CLOSED"), 1);
}

TEST_F(ShardTest, APeerThatBreaksTheRulesOfTcpIsAborted) {
  Peer& peer = connect("acme.example", 1000, model::Transport::tcp);
  from_peer(peer, *base::from_hex("1045ff"));
  EXPECT_EQ(peer.close_reason, "the peer aborted the connection: a payload marker without a payload");
  EXPECT_EQ(closed, std::vector<model::Path>{peer.path});
  EXPECT_TRUE(shards[0]->sessions(now).empty());
}

TEST_F(ShardTest, AServerThatStopsReleasesItsPeers) {
  Peer& peer = connect("acme.example", 1000, model::Transport::tcp);
  ShardOutput out;
  shards[0]->close_all("the server stops", now, out);
  finish(0, out);
  EXPECT_EQ(peer.close_reason, "the peer released the connection: the server stops");
  EXPECT_EQ(closed, std::vector<model::Path>{peer.path});
}

TEST_F(ShardTest, NothingIsVisibleBeforeItIsDurable) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  EXPECT_EQ(codes(peer), "");
  EXPECT_TRUE(wants.empty());
  settle();
  EXPECT_EQ(codes(peer), "2.01 ");
  ASSERT_EQ(wants.size(), 1u);
  EXPECT_EQ(wants[0].wants.at(0).owner.mid.value, 1u);
}

TEST_F(ShardTest, AGetSeesNothingThatIsNotDurable) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  send(peer, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(peer), "");
  settle_all();
  EXPECT_EQ(codes(peer), "2.01 2.05 ");
}

TEST_F(ShardTest, ARefusedCommitUndoesTheStepAndSaysSo) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  send(peer, bare(wire::Method::get, 1));
  settle(ports::CommitOutcome::refused);
  EXPECT_EQ(codes(peer), "5.03 5.03 ");
  EXPECT_GT(*peer.responses[0].response.max_age_s, 0u);
  EXPECT_TRUE(wants.empty());
  ASSERT_EQ(reloads, std::vector<base::DomainId>{base::DomainId{"acme"}});
  // Until the truth is read, nothing of the domain is answered from memory.
  send(peer, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(peer), "5.03 5.03 5.03 ");
  ShardOutput out;
  shards[0]->reloaded(base::DomainId{"acme"}, stored, now, out);
  finish(0, out);
  settle_all();
  send(peer, bare(wire::Method::get, 1));
  settle_all();
  EXPECT_EQ(codes(peer), "5.03 5.03 5.03 4.04 ");
}

// The timer of what is being read is set again when it has been read, not before.
TEST_F(ShardTest, ADeadlineThatPassesWhileReloadingDoesNotSpin) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));
  settle(ports::CommitOutcome::refused);
  now = now + 700s;  // past the lifetime of the first
  ShardOutput late;
  shards[0]->on_timer(now, late);
  finish(0, late);
  ShardOutput out;
  shards[0]->reloaded(base::DomainId{"acme"}, stored, now, out);
  finish(0, out);
  settle_all();
  ASSERT_TRUE(shards[0]->next_deadline());
  EXPECT_GE(*shards[0]->next_deadline(), now.steady);
}

TEST_F(ShardTest, AReportThatComesWhileReloadingIsNotLost) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));
  settle(ports::CommitOutcome::refused);
  using signal::server::RulesReport;
  ShardOutput out;
  shards[0]->on_message(ToDomain{base::DomainId{"acme"}, RulesReport{base::Cuid{"abcdefghijklmnopqrstuv"}, base::Mid{1},
                                                                     RulesReport::State::installed, ""}},
                        now, out);
  finish(0, out);
  ShardOutput loaded;
  shards[0]->reloaded(base::DomainId{"acme"}, stored, now, loaded);
  finish(0, loaded);
  settle_all();
  ASSERT_EQ(shards[0]->mitigations(now).size(), 1u);
  EXPECT_EQ(shards[0]->mitigations(now)[0].rules, RulesReport::State::installed);
}

// The end of a mitigation went into the store, but nobody could say so: neither memory nor store knows it any more, and
// its rules have to go all the same.
TEST_F(ShardTest, RulesGoWhoseEndIsInTheStoreAfterAll) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));
  settle_all();
  send(peer, bare(wire::Method::del, 1));
  settle_all();
  now = now + policies.front().terminating_period;
  ShardOutput ends;
  shards[0]->on_timer(now, ends);
  finish(0, ends);
  wants.clear();
  settle(ports::CommitOutcome::unknown, true);
  EXPECT_TRUE(wants.empty());
  ASSERT_EQ(stored.mitigations.size(), 1u);
  ShardOutput loaded;
  shards[0]->reloaded(base::DomainId{"acme"}, stored, now, loaded);
  finish(0, loaded);
  std::map<std::uint32_t, bool> wanted;
  for (const auto& rules : wants) {
    for (const auto& want : rules.wants) wanted[want.owner.mid.value] = !want.rules.empty();
  }
  EXPECT_EQ(wanted, (std::map<std::uint32_t, bool>{{1, false}, {2, true}}));
}

TEST_F(ShardTest, WhileTheStoreIsFullOnlyWithdrawalsAreTried) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));
  settle(ports::CommitOutcome::refused);
  ShardOutput out;
  shards[0]->reloaded(base::DomainId{"acme"}, stored, now, out);
  finish(0, out);
  settle_all();
  send(peer, put(3, "192.0.2.3/32"));
  EXPECT_TRUE(store.empty());
  send(peer, bare(wire::Method::del, 1));
  settle_all();
  EXPECT_EQ(codes(peer), "2.01 5.03 5.03 2.02 ");
  now = now + 6s;
  send(peer, put(3, "192.0.2.3/32"));
  settle_all();
  EXPECT_EQ(codes(peer), "2.01 5.03 5.03 2.02 2.01 ");
}

// The disk runs full while a new request and withdrawals are in the same batch, and behind it.
TEST_F(ShardTest, AWithdrawalBesideANewRequestSurvivesTheRefusedBatch) {
  Peer& peer = connect("acme.example", 1000);
  for (std::uint32_t mid = 1; mid <= 3; ++mid) send(peer, put(mid, "192.0.2." + std::to_string(mid) + "/32"));
  settle_all();
  ASSERT_EQ(stored.mitigations.size(), 3u);
  peer.responses.clear();
  wants.clear();
  send_in_one_round(peer, {put(4, "192.0.2.4/32"), bare(wire::Method::del, 1)});
  ShardOutput asked;  // an operator, while the batch is out
  shards[0]->on_message(
      ToDomain{base::DomainId{"acme"},
               signal::server::OperatorWithdraw{9, base::Cuid{"abcdefghijklmnopqrstuv"}, base::Mid{2}, "root", ""}},
      now, asked);
  finish(0, asked);
  settle(ports::CommitOutcome::refused);
  EXPECT_EQ(codes(peer), "5.03 ");  // the new request alone
  EXPECT_TRUE(operator_answers.empty());
  send(peer, bare(wire::Method::del, 3));  // before the domain is read back
  EXPECT_EQ(codes(peer), "5.03 ");
  ShardOutput out;
  shards[0]->reloaded(base::DomainId{"acme"}, stored, now, out);
  finish(0, out);
  ASSERT_EQ(store.size(), 1u);
  ports::Batch alone;
  alone.changes = store.front().second;
  EXPECT_TRUE(ports::is_release(alone));  // it may use the reserve
  settle_all();
  EXPECT_EQ(codes(peer), "5.03 2.02 2.02 ");
  ASSERT_EQ(operator_answers.size(), 1u);
  EXPECT_TRUE(operator_answers[0].ok);
}

TEST_F(ShardTest, AWithdrawalThatTheStoreRefusesByItselfIsToldToComeAgain) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  peer.responses.clear();
  send_in_one_round(peer, {put(2, "192.0.2.2/32"), bare(wire::Method::del, 1)});
  settle(ports::CommitOutcome::refused);
  ShardOutput out;
  shards[0]->reloaded(base::DomainId{"acme"}, stored, now, out);
  finish(0, out);
  settle(ports::CommitOutcome::refused);
  EXPECT_EQ(codes(peer), "5.03 5.03 ");
  EXPECT_EQ(stored.mitigations.size(), 1u);
}

// S9132-3-08, S9132-11-04, S8612-SEC-003-02, S8811-2.3-01: another domain's mitigation and prefixes are out of reach.
TEST_F(ShardTest, DomainsDoNotTouchEachOther) {
  Peer& acme = connect("acme.example", 1000);
  Peer& zeta = connect("zeta.example", 1001);
  send(acme, put(1, "192.0.2.1/32"));
  settle_all();
  send(zeta, bare(wire::Method::get, 1));
  send(zeta, bare(wire::Method::del, 1));
  send(zeta, put(1, "192.0.2.1/32"));
  settle_all();
  EXPECT_EQ(codes(zeta), "4.04 2.02 4.00 ");
  send(acme, bare(wire::Method::get, 1));
  settle_all();
  EXPECT_EQ(codes(acme), "2.01 2.05 ");
  EXPECT_EQ(shards[0]->mitigations(now).size(), 1u);
}

// S9132-7.2-09, S8612-SIG-011-01, S8612-SIG-011-02, S8811-3.1-04: who the client is follows from its credential, not
// from the address and port it comes from.
TEST_F(ShardTest, AnotherPortIsTheSameClient) {
  Peer& before = connect("acme.example", 1000);
  send(before, put(1, "192.0.2.1/32"));
  settle_all();
  Peer& after = connect("acme.example", 1001);
  send(after, bare(wire::Method::get, 1));
  settle_all();
  EXPECT_EQ(codes(after), "2.05 ");
}

// S8612-SEC-005-01
TEST_F(ShardTest, AStrangersSessionIsKeptOnlyToBeRefused) {
  Peer& stranger = connect("nobody.example", 1000);
  send(stranger, put(1, "192.0.2.1/32"));
  EXPECT_EQ(codes(stranger), "4.01 ");
  EXPECT_TRUE(store.empty());
  EXPECT_EQ(lines.front(), "SESSION_STRANGER");
  now = now + 61s;
  ShardOutput out;
  shards[0]->on_timer(now, out);
  finish(0, out);
  EXPECT_TRUE(shards[0]->sessions(now).empty());
}

class SessionQuotaTest : public ShardTest {
 protected:
  SessionQuotaTest() : ShardTest(1, limited(6, 3)) {}
  std::size_t said(const std::string& id) const {
    return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), id));
  }
  std::set<std::uint16_t> ports() const {
    std::set<std::uint16_t> all;
    for (const auto& view : shards[0]->sessions(now)) all.insert(view.path.peer.port);
    return all;
  }
};

TEST_F(SessionQuotaTest, AClientThatOpensSessionAfterSessionLosesItsOwn) {
  connect("zeta.example", 900);
  Peer& working = connect("acme.example", 1000);
  send(working, put(1, "192.0.2.1/32"));
  settle_all();
  for (std::uint16_t port = 1001; port <= 1010; ++port) connect("acme.example", port);
  EXPECT_EQ(ports(), (std::set<std::uint16_t>{900, 1000, 1009, 1010}));
  EXPECT_EQ(said("SESSIONS_OVER_LIMIT"), 8u);
  send(working, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(working), "2.01 2.05 ") << "the session that works was never touched";
}

TEST_F(SessionQuotaTest, StrangersCannotFillTheTable) {
  for (std::uint16_t port = 1; port <= 20; ++port) connect("nobody.example", port);
  EXPECT_EQ(ports().size(), 3u);
  connect("acme.example", 1000);
  EXPECT_TRUE(ports().contains(1000));
}

TEST_F(SessionQuotaTest, TheOperatorHearsOfANewcomerWithoutRoom) {
  for (std::uint16_t port = 1; port <= 3; ++port) connect("nobody.example", port);
  for (std::uint16_t port = 11; port <= 13; ++port) connect("acme.example", port);
  EXPECT_EQ(said("SESSION_REFUSED"), 0u);
  room = false;
  connect("zeta.example", 900);
  EXPECT_EQ(said("SESSION_REFUSED"), 1u);
  EXPECT_EQ(ports(), (std::set<std::uint16_t>{1, 2, 3, 11, 12, 13})) << "live sessions lose nothing";
}

// S8811-2.2.2-01
TEST_F(ShardTest, ARestartKnowsWhatWasAcknowledged) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));  // never settled: lost in the crash, and never shown
  EXPECT_EQ(codes(peer), "2.01 ");
  std::vector<std::shared_ptr<const policy::DomainRules>> rules;
  for (const auto& policy : policies) rules.push_back(std::make_shared<policy::DomainRules>(policy));
  ShardSettings settings;
  settings.session = std::make_shared<SessionSettings>();
  Shard again(
      settings, std::make_shared<policy::Identities>(*policy::Identities::build(policies)), rules,
      [](const auto& s, const auto& e, const auto& p) { return mitigation::plan(s, e, p); }, 5);
  now = now + 100s;
  ShardOutput out;
  again.load(stored, now, out);
  again.end_of_round(now, out);
  const auto views = again.mitigations(now);
  ASSERT_EQ(views.size(), 1u);
  EXPECT_EQ(views[0].record.mid.value, 1u);
  EXPECT_EQ(base::whole_seconds(*views[0].remaining), 500u);
}

// The session's shard and the domain's shard differ for one of the two; both get their answers.
// Stored deadlines are wall time: a restart right after the step would end everything otherwise.
TEST_F(ShardTest, AStepOfTheClockMovesStoredDeadlinesOfAnIdleDomain) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  ASSERT_EQ(stored.mitigations.size(), 1u);
  const auto before = *stored.mitigations[0].deadline;
  now.wall += 24h;
  now.steady += 1s;
  ShardOutput out;
  shards[0]->on_clock_step(now, out);
  finish(0, out);
  settle_all();
  EXPECT_EQ(*stored.mitigations[0].deadline, before + 24h - 1s);
}

TEST_F(TwoShards, RequestsCrossToTheOwnerAndAnswersComeBack) {
  std::uint32_t crossed = 0;
  for (std::uint16_t port = 1000; port < 1008; ++port) {
    const bool acme = port % 2 == 0;
    Peer& peer = connect(acme ? "acme.example" : "zeta.example", port);
    const std::uint32_t of_session = model::shard_of(peer.path.peer, 2);
    const std::uint32_t of_domain = owner_of(base::DomainId{acme ? "acme" : "zeta"}, 2);
    crossed += of_session != of_domain ? 1 : 0;
    send(peer, put(port, (acme ? "192.0.2." : "198.51.100.") + std::to_string(port - 1000) + "/32"));
    settle_all();
    EXPECT_EQ(codes(peer), "2.01 ") << port;
  }
  EXPECT_GT(crossed, 0u);
  EXPECT_LT(crossed, 8u);
}

TEST_F(TwoShards, AFullQueueTellsThePeerToComeAgain) {
  std::uint16_t port = 1000;
  const model::IpAddress ip = *model::parse_ip_address("203.0.113.5");
  while (model::shard_of({ip, port}, 2) == owner_of(base::DomainId{"acme"}, 2)) ++port;
  Peer& peer = connect("acme.example", port);
  coap::Effects effects;
  peer.endpoint->send(put(1, "192.0.2.1/32"), {}, now.steady, effects);
  ports::ChannelEvents events;
  ASSERT_TRUE(peer.channel->send(effects.send.at(0), events));
  const std::uint32_t of_session = model::shard_of(peer.path.peer, 2);
  ShardOutput out;
  shards[of_session]->on_datagram({peer.path, events.datagrams.at(0)}, now, out);
  ASSERT_EQ(out.to_domain.size(), 1u);
  ShardOutput refused;
  shards[of_session]->on_undelivered(out.to_domain.begin()->second.at(0), now, refused);
  perform(of_session, std::move(refused));
  EXPECT_EQ(codes(peer), "5.03 ");
}

// Nobody repeats what became of a session; a domain that had not heard of one would take its client for lost.
TEST_F(TwoShards, WhatBecameOfASessionIsToldAgainAfterAFullQueue) {
  using signal::server::SessionEdge;
  std::uint16_t port = 1000;
  const model::IpAddress ip = *model::parse_ip_address("203.0.113.5");
  while (model::shard_of({ip, port}, 2) == owner_of(base::DomainId{"acme"}, 2)) ++port;
  Peer& peer = connect("acme.example", port);
  Shard& shard = *shards[model::shard_of(peer.path.peer, 2)];
  const auto edges = [](const ShardOutput& out) {
    std::vector<ToDomain> found;
    for (const auto& [to, messages] : out.to_domain) {
      for (const auto& message : messages) {
        if (std::holds_alternative<SessionEdge>(message.event)) found.push_back(message);
      }
    }
    return found;
  };
  const auto full = [&](const ToDomain& message) {
    ShardOutput none;
    shard.on_undelivered(message, now, none);
    EXPECT_TRUE(edges(none).empty());
  };
  const auto wait = [&] {
    ShardOutput out;
    for (int i = 0; i < 100 && edges(out).empty() && shard.next_deadline(); ++i) {
      now = now + (*shard.next_deadline() - now.steady);
      shard.on_timer(now, out);
    }
    return edges(out);
  };
  const auto quiet = wait();
  ASSERT_EQ(quiet.size(), 1u);
  full(quiet[0]);
  const base::SteadyTime undelivered = now.steady;
  const auto again = wait();
  EXPECT_LE(now.steady - undelivered, 1s);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(std::get<SessionEdge>(again[0].event).kind, SessionEdge::Kind::quiet);
  EXPECT_FALSE(std::get<SessionEdge>(again[0].event).credential_cuid.value.empty());

  full(again[0]);
  ShardOutput closing;
  shard.close_all("the test closes it", now, closing);
  EXPECT_TRUE(edges(closing).empty());  // in its turn
  const auto ended = wait();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(std::get<SessionEdge>(ended[0].event).kind, SessionEdge::Kind::closed);
  // An older word does not undo a newer one that came through.
  full(quiet[0]);
  EXPECT_TRUE(wait().empty());
}

// A reload: what does not change is not disturbed.
class ReloadTest : public ShardTest {
 protected:
  void reload(const std::set<std::string>& stale_psks = {}) {
    std::vector<std::shared_ptr<const policy::DomainRules>> rules;
    for (const auto& policy : policies) rules.push_back(std::make_shared<policy::DomainRules>(policy));
    auto identities = std::make_shared<policy::Identities>(*policy::Identities::build(policies));
    ShardOutput domains;
    shards[0]->set_domains(rules, now, domains);
    finish(0, domains);
    ShardOutput sessions;
    shards[0]->set_identities(std::move(identities), stale_psks, now, sessions);
    finish(0, sessions);
    settle_all();
  }
  std::size_t sessions_of(const std::string& domain) {
    std::size_t count = 0;
    for (const auto& view : shards[0]->sessions(now))
      count += view.client && view.client->domain.value == domain ? 1 : 0;
    return count;
  }
};

TEST_F(ReloadTest, ADomainThatLosesAPrefixKeepsWhatItStillOwns) {
  policies[0].prefixes = {*model::parse_prefix("192.0.2.0/24"), *model::parse_prefix("203.0.113.0/24")};
  reload();
  Peer& acme = connect("acme.example", 1000);
  Peer& zeta = connect("zeta.example", 1001);
  send(acme, put(1, "192.0.2.1/32"));
  send(acme, put(2, "203.0.113.1/32"));
  send(zeta, put(1, "198.51.100.1/32"));
  settle_all();
  EXPECT_EQ(codes(acme), "2.01 2.01 ");
  wants.clear();
  policies[0].prefixes = {*model::parse_prefix("192.0.2.0/24")};
  reload();
  // The rules of the lost one go; nobody hears of the other domain.
  ASSERT_FALSE(wants.empty());
  for (const auto& desired : wants)
    for (const auto& want : desired.wants) {
      EXPECT_EQ(want.owner.domain.value, "acme");
      EXPECT_EQ(want.rules.empty(), want.owner.mid.value == 2);
    }
  EXPECT_EQ(sessions_of("acme") + sessions_of("zeta"), 2u);
  send(acme, bare(wire::Method::get, 1));
  send(acme, bare(wire::Method::get, 2));
  send(acme, put(3, "203.0.113.1/32"));
  settle_all();
  EXPECT_EQ(codes(acme), "2.01 2.01 2.05 4.04 4.00 ");
}

TEST_F(ReloadTest, OnlySessionsOfWhoIsSomebodyElseNowAreClosed) {
  connect("acme.example", 1000);
  connect("zeta.example", 1001);
  policies[1].clients[0].certificate_names = {"zeta-2.example"};
  reload();
  EXPECT_EQ(sessions_of("acme"), 1u);
  EXPECT_EQ(sessions_of("zeta"), 0u);
  Peer& back = connect("zeta-2.example", 1002);
  send(back, put(1, "198.51.100.1/32"));
  settle_all();
  EXPECT_EQ(codes(back), "2.01 ");
}

TEST_F(ReloadTest, ADomainThatIsGoneLeavesNoRuleAndNoSession) {
  Peer& zeta = connect("zeta.example", 1001);
  send(zeta, put(1, "198.51.100.1/32"));
  settle_all();
  wants.clear();
  const policy::DomainPolicy gone = policies[1];
  policies.pop_back();
  reload();
  EXPECT_EQ(sessions_of("zeta"), 0u);
  ASSERT_EQ(wants.size(), 1u);
  EXPECT_TRUE(wants[0].wants.at(0).rules.empty());
  EXPECT_TRUE(shards[0]->mitigations(now).empty());
  policies.push_back(gone);
  reload();
  Peer& back = connect("zeta.example", 1002);
  send(back, put(2, "198.51.100.1/32"));
  settle_all();
  EXPECT_EQ(codes(back), "2.01 ");
}

TEST_F(ReloadTest, ANewDomainIsReadFromTheStoreFirst) {
  policies.push_back(domain("omega", "203.0.113.0/24"));
  reload();
  ASSERT_EQ(reloads, std::vector<base::DomainId>{base::DomainId{"omega"}});
  Peer& peer = connect("omega.example", 1003);
  send(peer, put(1, "203.0.113.7/32"));
  EXPECT_EQ(codes(peer), "5.03 ");
  ShardOutput out;
  shards[0]->reloaded(base::DomainId{"omega"}, stored, now, out);
  finish(0, out);
  send(peer, put(2, "203.0.113.7/32"));
  settle_all();
  EXPECT_EQ(codes(peer), "5.03 2.01 ");
}

TEST_F(ReloadTest, APolicyThatComesWhileTheDomainIsBeingReadIsNotLost) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));
  settle(ports::CommitOutcome::refused);  // the domain is being read from now on
  policies[0].prefixes = {*model::parse_prefix("203.0.113.0/24")};
  reload();
  ShardOutput out;
  shards[0]->reloaded(base::DomainId{"acme"}, stored, now, out);
  finish(0, out);
  settle_all();
  EXPECT_TRUE(shards[0]->mitigations(now).empty());
}

// Clients are counted by the owner of their domain; a shard whose timers come late says so before it judges anybody.
TEST_F(ShardTest, CountsClientsAndNoticesAStall) {
  connect("acme.example", 1001);
  ASSERT_TRUE(clients);
  EXPECT_EQ(*clients, (signal::server::ClientCounts{1, 0}));
  ShardOutput out;
  now = now + 225s;
  shards[0]->on_timer(now, out);
  EXPECT_TRUE(out.stalled) << "its first heartbeat was due long ago";
  finish(0, out);
  EXPECT_EQ(*clients, (signal::server::ClientCounts{1, 1}));
  out = {};
  now = *shards[0]->next_deadline() > now.steady ? now + (*shards[0]->next_deadline() - now.steady) : now;
  shards[0]->on_timer(now, out);
  EXPECT_FALSE(out.stalled);
}

// S9132-4.7-21, and the decision on the server's own outages: what the stall made silent starts only when the client
// has not come back within twice the threshold.
TEST_F(ShardTest, AStallStartsNothing) {
  Peer& peer = connect("acme.example", 1001);
  send(peer, put(1, "192.0.2.1/32", true));
  settle_all();
  EXPECT_EQ(codes(peer), "2.01 ");
  wants.clear();
  ShardOutput out;
  now = now + 1000s;
  shards[0]->on_timer(now, out);
  finish(0, out);
  settle_all();
  EXPECT_TRUE(wants.empty());
  for (int i = 0; i < 60; ++i) {
    now = now + 15s;
    out = {};
    shards[0]->on_timer(now, out);
    finish(0, out);
    settle_all();
    EXPECT_EQ(wants.empty(), i < 59) << i;
  }
}

// S8811-2.3-01: The same cuid in two domains is no collision (RFC 9132 4.4.1.1: it is unique among the clients of a
// domain).
TEST_F(ShardTest, TheSameCuidInAnotherDomain) {
  Peer& acme = connect("acme.example", 1001);
  send(acme, put(1, "192.0.2.1/32"));
  settle_all();
  Peer& zeta = connect("zeta.example", 1002);
  send(zeta, put(1, "198.51.100.1/32"));
  settle_all();
  EXPECT_EQ(codes(acme), "2.01 ");
  EXPECT_EQ(codes(zeta), "2.01 ");
}

// Redirected signaling (RFC 9132 4.6).
class RedirectTest : public ShardTest {
 protected:
  explicit RedirectTest(std::size_t sessions = 100000) : ShardTest(1, limited(sessions)) {
    order.id = 7;
    order.to.alt_server = "alt.example.net";
    order.to.alt_server_record = {*model::parse_ip_address("2001:db8::1")};
    order.ttl_s = 1800;
  }
  void apply(bool any = true) {
    auto all = std::make_shared<Redirects>();
    if (any) all->orders = {std::make_shared<const RedirectOrder>(order)};
    apply(std::move(all));
  }
  void apply(std::shared_ptr<const Redirects> redirects) {
    ShardOutput out;
    shards[0]->set_redirects(std::move(redirects), now, out);
    finish(0, out);
  }
  void pass(base::Duration time) {
    const base::SteadyTime end = now.steady + time;
    while (shards[0]->next_deadline() && *shards[0]->next_deadline() <= end) {
      now = now + (std::max(*shards[0]->next_deadline(), now.steady) - now.steady);
      ShardOutput out;
      shards[0]->on_timer(now, out);
      finish(0, out);
      settle_all();
    }
    now = now + (end - now.steady);
  }
  RedirectedClient::State state_of(const std::string& domain) {
    for (const auto& one : shards[0]->redirected(now)) {
      if (one.client.domain.value == domain) return one.state;
    }
    return RedirectedClient::State::absent;
  }
  void expect_redirect(const coap::Response& response) {
    EXPECT_EQ(response.code, ResponseCode::service_unavailable);
    EXPECT_EQ(response.content_format, 271);
    EXPECT_EQ(response.max_age_s, order.ttl_s);
    const auto body = wire::decode_redirected_signal(response.payload);
    ASSERT_TRUE(body);
    EXPECT_EQ(*body, order.to);
  }
  static coap::Request heartbeat() {
    coap::Request out;
    out.method = wire::Method::put;
    out.uri_path = {".well-known", "dots", "hb"};
    out.content_format = 271;
    out.payload = wire::encode(wire::Heartbeat{true});
    return out;
  }

  RedirectOrder order;
};

// S9132-4.6-01, S9132-4.6-02, S9132-4.6-03, S9132-9-11, S8612-SIG-005-01: a request is answered with the alternate, its
// addresses and its time to live; nothing of it reaches the domain.
TEST_F(RedirectTest, ARequestIsAnsweredWithTheAlternate) {
  Peer& peer = connect("acme.example", 1000);
  apply();
  send(peer, put(1, "192.0.2.1/32"));
  ASSERT_EQ(peer.responses.size(), 1u);
  expect_redirect(peer.responses[0].response);
  EXPECT_TRUE(store.empty());
  EXPECT_EQ(state_of("acme"), RedirectedClient::State::told);
}

// S8811-3.2.2-03: after that no notification and no heartbeat of ours; DELETE and heartbeats are answered until the
// session is closed.
TEST_F(RedirectTest, TheToldSessionIsQuietAndCloses) {
  Peer& peer = connect("acme.example", 1000);
  apply();
  pass(28s);
  send(peer, bare(wire::Method::get, 1));
  const std::size_t datagrams = peer.heard;
  pass(5s);  // a heartbeat of ours would have been due
  EXPECT_EQ(peer.heard, datagrams);
  send(peer, heartbeat());
  send(peer, bare(wire::Method::del, 1));
  settle_all();
  EXPECT_EQ(codes(peer), "5.03 2.04 2.02 ");
  pass(6s);
  EXPECT_FALSE(peer.channel->is_open());
  EXPECT_EQ(state_of("acme"), RedirectedClient::State::left);
  pass(3600s);
  EXPECT_EQ(state_of("acme"), RedirectedClient::State::left);
  apply(false);
  EXPECT_TRUE(shards[0]->redirected(now).empty());
}

// S9132-4.6-01: observers hear of it by a notification, when the operator forces it.
TEST_F(RedirectTest, ForcedObserversAreTold) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  coap::Request observe = bare(wire::Method::get, 1);
  observe.observe = 0;
  send(peer, observe);
  peer.responses.clear();
  order.force = true;
  apply();
  ASSERT_EQ(peer.responses.size(), 1u);
  EXPECT_TRUE(peer.responses[0].notification);
  expect_redirect(peer.responses[0].response);
  EXPECT_EQ(shards[0]->mitigations(now).at(0).observers, 0u);
  // The mitigation goes on.
  EXPECT_EQ(shards[0]->mitigations(now).at(0).record.status, model::MitigationStatus::in_progress);
}

// S8612-SIG-005-05: a client with a running mitigation is left alone until that has ended.
TEST_F(RedirectTest, ARunningMitigationHoldsTheRedirectionBack) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  coap::Request observe = bare(wire::Method::get, 1);
  observe.observe = 0;
  send(peer, observe);
  apply();
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  EXPECT_EQ(codes(peer), "2.01 2.05 2.04 ");
  EXPECT_EQ(state_of("acme"), RedirectedClient::State::mitigating);
  // Nor does a second session of the client change that.
  Peer& second = connect("acme.example", 1001);
  send(second, put(2, "192.0.2.2/32"));
  settle_all();
  EXPECT_EQ(codes(second), "2.01 ");
  for (const std::uint32_t mid : {1u, 2u}) send(peer, bare(wire::Method::del, mid));
  settle_all();
  pass(400s);
  send(second, put(3, "192.0.2.3/32"));
  ASSERT_FALSE(second.responses.empty());
  expect_redirect(second.responses.back().response);
}

// A client that was sent away is not lost: its preconfigured requests do not start here.
TEST_F(RedirectTest, WhoWasSentAwayIsNotLost) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32", true));
  settle_all();
  wants.clear();
  apply();
  send(peer, bare(wire::Method::get, 1));
  ASSERT_EQ(codes(peer), "2.01 5.03 ");
  pass(3000s);  // well over the time in which a server that has just started counts no loss
  EXPECT_EQ(state_of("acme"), RedirectedClient::State::left);
  EXPECT_TRUE(wants.empty());
  EXPECT_EQ(shards[0]->mitigations(now).at(0).record.status, model::MitigationStatus::signal_loss);
}

// Max-Age 0: each mitigation request by itself; the session stays and everything else is served.
TEST_F(RedirectTest, MaxAge0RedirectsRequestsAlone) {
  Peer& peer = connect("acme.example", 1000);
  order.ttl_s = 0;
  apply();
  send(peer, put(1, "192.0.2.1/32"));
  ASSERT_EQ(codes(peer), "5.03 ");
  expect_redirect(peer.responses[0].response);
  send(peer, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(peer), "5.03 4.04 ");
  pass(60s);
  EXPECT_TRUE(peer.channel->is_open());
}

// S8811-3.2.2-01: one client, one domain or all; the narrowest order counts.
TEST_F(RedirectTest, ScopesOfOrders) {
  Peer& acme = connect("acme.example", 1000);
  Peer& zeta = connect("zeta.example", 1001);
  order.domain = base::DomainId{"acme"};
  apply();
  send(acme, bare(wire::Method::get, 1));
  send(zeta, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(acme), "5.03 ");
  EXPECT_EQ(codes(zeta), "4.04 ");
  RedirectOrder all = order;
  all.id = 8;
  all.domain.reset();
  all.to.alt_server = "other.example.net";
  auto both = std::make_shared<Redirects>();
  both->orders = {std::make_shared<const RedirectOrder>(all), std::make_shared<const RedirectOrder>(order)};
  EXPECT_EQ(both->find({base::DomainId{"acme"}, base::ClientId{"x"}})->id, 7u);
  EXPECT_EQ(both->find({base::DomainId{"zeta"}, base::ClientId{"x"}})->id, 8u);
}

// S8811-3.2.2-01: too many sessions: those that come now are sent away, those that were there stay.
struct CrowdedTest : RedirectTest {
  CrowdedTest() : RedirectTest(4) {}
};
TEST_F(CrowdedTest, SessionsBeyondTheShareAreSentAway) {
  auto redirects = std::make_shared<Redirects>();
  order.reason = RedirectReason::session_limit;
  redirects->when_crowded = std::make_shared<const RedirectOrder>(order);
  redirects->crowded_percent = 50;
  Peer& first = connect("acme.example", 1000);
  apply(redirects);
  Peer& second = connect("zeta.example", 1001);
  send(first, bare(wire::Method::get, 1));
  send(second, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(first), "4.04 ");
  EXPECT_EQ(codes(second), "5.03 ");
}

// A redirection that is called off leaves the session as it was.
TEST_F(RedirectTest, CalledOffInTimeTheSessionStays) {
  Peer& peer = connect("acme.example", 1000);
  apply();
  send(peer, bare(wire::Method::get, 1));
  pass(5s);
  apply(false);
  pass(60s);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  EXPECT_EQ(codes(peer), "5.03 2.01 ");
}

}  // namespace
}  // namespace dots::agent::server
