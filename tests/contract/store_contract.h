// What every implementation of ports::Store must do. A harness type has:
//   std::unique_ptr<ports::Store> open();         the same durable state again and again; one store at a time
//   void refuse_next(); void lose_answer_next(bool applied);     what happens to the next commit
//   static constexpr std::size_t kAuditRecords;   the bound that open() configures
// Use: INSTANTIATE_TYPED_TEST_SUITE_P(Memory, StoreContract, MemoryHarness);
#pragma once

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ports/store.h"

namespace dots::tests {

inline base::WallTime wall_at(std::int64_t ns) { return base::WallTime{base::Duration{ns}}; }

// A record with something in every member, so that a forgotten column shows.
inline ports::MitigationRecord full_record(const std::string& domain, const std::string& cuid, std::uint32_t mid) {
  ports::MitigationRecord r;
  r.domain = base::DomainId(domain);
  r.cuid = base::Cuid(cuid);
  r.mid = base::Mid(mid);
  r.client = base::ClientId("client-of-" + domain);
  r.request.scope.target_prefix = {*model::parse_prefix("2001:db8:6401::2/127"), *model::parse_prefix("192.0.2.77/24")};
  r.request.scope.target_port_range = {{80, 80}, {8000, 65535}, {0, 0}};
  r.request.scope.target_protocol = {17, 6, 255, 0};
  r.request.scope.target_fqdn = {"b.example.net", "a.example.net"};
  r.request.scope.target_uri = {"https://a.example.net/\"quoted\"?\\", std::string("nul\0and\xFF", 8)};
  r.request.scope.alias_name = {"alias \xC3\xA9"};
  r.aliases = {{"alias \xC3\xA9", r.request.scope}, {"empty", {}}};
  r.aliases[0].targets.alias_name.clear();
  r.request.lifetime = model::Lifetime{-1};
  r.request.trigger_mitigation = false;
  r.request.attack_status = model::AttackStatus::successfully_mitigated;
  r.expanded = {*model::parse_prefix("192.0.2.0/24"), *model::parse_prefix("2001:db8::5/128")};
  r.granted = model::Lifetime{7200};
  r.status = model::MitigationStatus::client_withdrawn;
  r.accepted_at = wall_at(1'700'000'000'123'456'789);
  r.started_at = wall_at(1'700'000'001'000'000'001);
  r.deadline = wall_at(1'700'000'120'999'999'999);
  r.span = std::chrono::seconds{120};
  r.terminating_cycles = 3;
  r.author = "client x";
  r.approval = {ports::Approval::State::approved,   "a person has to \"agree\"",
                wall_at(1'700'000'000'500'000'003), "operator o",
                wall_at(1'700'000'000'900'000'007), "seen\nby \xC3\xA9"};
  return r;
}

inline ports::MitigationRecord bare_record(const std::string& domain, const std::string& cuid, std::uint32_t mid) {
  ports::MitigationRecord r;
  r.domain = base::DomainId(domain);
  r.cuid = base::Cuid(cuid);
  r.mid = base::Mid(mid);
  return r;
}

inline ports::DataClientRecord data_client(const std::string& domain, const std::string& cuid) {
  return {base::DomainId(domain),
          base::Cuid(cuid),
          base::ClientId("client-of-" + domain),
          "cdid",
          wall_at(3),
          {7, wall_at(70)},
          {6, wall_at(60)},
          {5, wall_at(50)}};
}

inline ports::DataEntryRecord data_entry(const std::string& domain, const std::string& cuid, ports::DataEntryKind kind,
                                         const std::string& name, std::int64_t rank) {
  return {{base::DomainId(domain), base::Cuid(cuid), kind, name},
          R"({"name":"quoted \" and \u00e9"})",
          rank,
          {4, wall_at(40)},
          wall_at(1'700'000'120'999'999'999),
          std::chrono::hours{168}};
}

inline ports::AuditRecord audit_line(const std::string& domain, std::int64_t number) {
  return {wall_at(number), base::DomainId(domain), "client c", "request", "mid=" + std::to_string(number), "accepted",
          "because"};
}

inline ports::AuditQuery newest(std::size_t limit, const std::string& domain = {}) {
  ports::AuditQuery query;
  if (!domain.empty()) query.domain = base::DomainId(domain);
  query.limit = limit;
  return query;
}

template <class Harness>
class StoreContract : public testing::Test {
 protected:
  void SetUp() override { reopen(); }

  // A restart of the daemon.
  void reopen() {
    store.reset();
    store = harness.open();
    ASSERT_NE(store, nullptr);
    const auto acquired = store->acquire();
    ASSERT_TRUE(acquired) << acquired.error().message;
    token = *acquired;
  }
  ports::Batch batch(std::vector<ports::Change> changes, std::int64_t at_ns = 1) {
    return {{77, ++sequence}, token, wall_at(at_ns), std::move(changes)};
  }
  void commit(std::vector<ports::Change> changes, std::int64_t at_ns = 1) {
    const auto result = store->commit({batch(std::move(changes), at_ns)});
    ASSERT_EQ(result.outcome, ports::CommitOutcome::committed) << result.reason;
    EXPECT_EQ(result.reason, "");
  }
  ports::Snapshot load() {
    auto snapshot = store->load();
    EXPECT_TRUE(snapshot) << snapshot.error().message;
    return snapshot ? *snapshot : ports::Snapshot{};
  }
  bool was_committed(ports::BatchId id) {
    auto answer = store->was_committed(id);
    EXPECT_TRUE(answer) << answer.error().message;
    return answer && *answer;
  }

  Harness harness;
  std::unique_ptr<ports::Store> store;
  std::uint64_t token = 0;
  std::uint64_t sequence = 0;
};
TYPED_TEST_SUITE_P(StoreContract);

TYPED_TEST_P(StoreContract, AnEmptyStoreLoadsAsEmpty) {
  const auto snapshot = this->load();
  EXPECT_TRUE(snapshot.mitigations.empty());
  EXPECT_TRUE(snapshot.cuids.empty());
  EXPECT_TRUE(snapshot.names.empty());
  EXPECT_TRUE(snapshot.client_requests.empty());
  EXPECT_TRUE(snapshot.counters.empty());
  EXPECT_EQ(snapshot.last_commit, base::WallTime{});
  EXPECT_TRUE(this->store->audit(tests::newest(10))->empty());
}

TYPED_TEST_P(StoreContract, EveryMemberOfEveryRecordComesBackAfterARestart) {
  const auto full = full_record("d", "cuid", 4294967295u);
  const auto bare = bare_record("d", "cuid", 0);
  const ports::CuidRecord cuid{base::DomainId("d"), base::Cuid("cuid"), base::ClientId("c"), wall_at(-5)};
  const ports::NameRecord name{
      "a.example.net", {*model::parse_ip_address("192.0.2.1"), *model::parse_ip_address("2001:db8::1")}, wall_at(42)};
  const ports::NameRecord dead{"dead.example.net", {}, wall_at(43)};
  ports::ClientRequestRecord asked{"server", base::Cuid("us"),    base::Mid(9), full.request, true,
                                   true,     model::Lifetime{60}, wall_at(44),  "operator o", "note \n\t'"};
  ports::ClientRequestRecord fresh;
  fresh.server = "server";
  fresh.mid = base::Mid(10);
  const auto line = audit_line("d", 7);
  this->commit({ports::PutMitigation{full}, ports::PutMitigation{bare}, ports::PutCuid{cuid}, ports::PutName{name},
                ports::PutName{dead}, ports::PutClientRequest{asked}, ports::PutClientRequest{fresh},
                ports::AppendAudit{line}, ports::PutCounter{"next_mid", std::numeric_limits<std::uint64_t>::max()}},
               1'700'000'000'000'000'007);
  this->reopen();
  const auto snapshot = this->load();
  EXPECT_EQ(snapshot.mitigations, (std::vector{bare, full}));
  EXPECT_EQ(snapshot.cuids, std::vector{cuid});
  EXPECT_EQ(snapshot.names, (std::vector{name, dead}));
  EXPECT_EQ(snapshot.client_requests, (std::vector{asked, fresh}));
  EXPECT_EQ(snapshot.counters, (std::map<std::string, std::uint64_t>{{"next_mid", UINT64_MAX}}));
  EXPECT_EQ(snapshot.last_commit, wall_at(1'700'000'000'000'000'007));
  EXPECT_EQ(*this->store->audit(tests::newest(10)), std::vector{line});
}

TYPED_TEST_P(StoreContract, PutReplacesAndEraseRemovesByTheWholeKey) {
  auto record = full_record("d", "a", 1);
  this->commit({ports::PutMitigation{record}, ports::PutMitigation{full_record("d", "a", 2)},
                ports::PutMitigation{full_record("d", "b", 1)}, ports::PutMitigation{full_record("e", "a", 1)},
                ports::PutCuid{{base::DomainId("d"), base::Cuid("a"), base::ClientId("x"), wall_at(1)}},
                ports::PutCuid{{base::DomainId("e"), base::Cuid("a"), base::ClientId("y"), wall_at(1)}}});
  record.status = model::MitigationStatus::terminated;
  record.started_at.reset();
  this->commit({ports::PutMitigation{record}, ports::EraseCuid{base::DomainId("e"), base::Cuid("a")}});
  EXPECT_EQ(this->load().mitigations.front(), record);
  EXPECT_EQ(this->load().mitigations.size(), 4u);
  this->commit({ports::EraseMitigation{{base::DomainId("d"), base::Cuid("a"), base::Mid(1)}},
                ports::EraseMitigation{{base::DomainId("never"), base::Cuid("there"), base::Mid(1)}}});
  const auto left = this->load();
  EXPECT_EQ(left.mitigations,
            (std::vector{full_record("d", "a", 2), full_record("d", "b", 1), full_record("e", "a", 1)}));
  ASSERT_EQ(left.cuids.size(), 1u);
  EXPECT_EQ(left.cuids.front().domain, base::DomainId("d"));
}

TYPED_TEST_P(StoreContract, ClientRequestsAndCountersAreReplacedAndErased) {
  ports::ClientRequestRecord record;
  record.server = "s";
  record.mid = base::Mid(1);
  auto other = record;
  other.server = "t";
  this->commit({ports::PutClientRequest{record}, ports::PutClientRequest{other}, ports::PutCounter{"n", 1}});
  other.acknowledged = true;
  this->commit(
      {ports::EraseClientRequest{"s", base::Mid(1)}, ports::PutClientRequest{other}, ports::PutCounter{"n", 2}});
  EXPECT_EQ(this->load().client_requests, std::vector{other});
  EXPECT_EQ(this->load().counters.at("n"), 2u);
}

TYPED_TEST_P(StoreContract, ClientsOfTheDataChannelAndTheirEntriesComeBackInTheirOrder) {
  using Kind = ports::DataEntryKind;
  auto bare = data_client("d", "b");
  bare.cdid.reset();
  const auto second = data_entry("d", "a", Kind::acl, "z", -5);
  const auto third = data_entry("d", "a", Kind::acl, "a", 1'000'000'000'000);
  const auto alias = data_entry("d", "a", Kind::alias, "a", 2);
  this->commit({ports::PutDataClient{data_client("d", "a")}, ports::PutDataClient{bare}, ports::PutDataEntry{third},
                ports::PutDataEntry{alias}, ports::PutDataEntry{second}, ports::PutDataClient{data_client("e", "a")},
                ports::PutDataEntry{data_entry("e", "a", Kind::alias, "a", 1)}});
  this->reopen();
  const auto snapshot = this->store->load_domain(base::DomainId("d"));
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->data_clients, (std::vector{data_client("d", "a"), bare}));
  EXPECT_EQ(snapshot->data_entries, (std::vector{alias, second, third}));
  EXPECT_EQ(this->load().data_clients.size(), 3u);
  EXPECT_EQ(this->load().data_entries.size(), 4u);
}

TYPED_TEST_P(StoreContract, AnEntryMovesTheVersionsOfItsClientForwardOnly) {
  using Kind = ports::DataEntryKind;
  this->commit({ports::PutDataClient{data_client("d", "a")}, ports::PutDataClient{data_client("d", "b")}});
  auto entry = data_entry("d", "a", Kind::alias, "x", 1);  // of version 4: older than what is there
  this->commit({ports::PutDataEntry{entry}});
  EXPECT_EQ(this->load().data_clients.front(), data_client("d", "a"));
  entry.version = {9, wall_at(90)};
  this->commit({ports::PutDataEntry{entry}});
  auto expected = data_client("d", "a");
  expected.version = expected.aliases = {9, wall_at(90)};
  EXPECT_EQ(this->load().data_clients, (std::vector{expected, data_client("d", "b")}));
  EXPECT_EQ(this->load().data_entries, std::vector{entry});
  this->commit({ports::EraseDataEntry{{base::DomainId("d"), base::Cuid("a"), Kind::acl, "x"}, {11, wall_at(95)}}});
  EXPECT_EQ(this->load().data_entries, std::vector{entry});  // another kind, the same name
  this->commit({ports::EraseDataEntry{entry.key, {10, wall_at(91)}}});
  EXPECT_TRUE(this->load().data_entries.empty());
  expected.version = expected.acls = {11, wall_at(95)};
  expected.aliases = {10, wall_at(91)};
  EXPECT_EQ(this->load().data_clients.front(), expected);
}

TYPED_TEST_P(StoreContract, AClientOfTheDataChannelGoesWithItsEntriesAndNoOthers) {
  using Kind = ports::DataEntryKind;
  for (const char* domain : {"d", "e"}) {
    for (const char* cuid : {"a", "b"}) {
      this->commit({ports::PutDataClient{data_client(domain, cuid)},
                    ports::PutDataEntry{data_entry(domain, cuid, Kind::alias, "x", 1)},
                    ports::PutDataEntry{data_entry(domain, cuid, Kind::acl, "x", 1)}});
    }
  }
  // a registration that is written again keeps its entries
  this->commit({ports::PutDataClient{data_client("d", "b")}});
  this->commit({ports::EraseDataClient{base::DomainId("d"), base::Cuid("a")}});
  this->reopen();
  const auto left = this->load();
  EXPECT_EQ(left.data_clients, (std::vector{data_client("d", "b"), data_client("e", "a"), data_client("e", "b")}));
  EXPECT_EQ(left.data_entries.size(), 6u);
  for (const auto& entry : left.data_entries) {
    EXPECT_FALSE(entry.key.domain.value == "d" && entry.key.cuid.value == "a");
  }
}

TYPED_TEST_P(StoreContract, WhatAClientKeepsAtItsServersComesBackInItsOrder) {
  using Kind = ports::DataEntryKind;
  const auto kept = [](const char* server, Kind kind, const char* name, std::int64_t rank) {
    return ports::ClientDataRecord{server, kind,         name,           base::Cuid("us"), "{\"name\":\"x\"}",
                                   rank,   "operator o", wall_at(1'000), wall_at(2'000)};
  };
  const auto second = kept("s", Kind::acl, "a", 2), first = kept("s", Kind::acl, "z", 1);
  const auto alias = kept("s", Kind::alias, "a", 0), other = kept("t", Kind::alias, "a", 0);
  this->commit({ports::PutClientData{second}, ports::PutClientData{first}, ports::PutClientData{alias},
                ports::PutClientData{other}});
  this->reopen();
  EXPECT_EQ(this->load().client_data, (std::vector{alias, first, second, other}));
  EXPECT_TRUE(this->store->load_domain(base::DomainId("s"))->client_data.empty());
  auto changed = alias;
  changed.body = "{}";
  this->commit({ports::PutClientData{changed}, ports::EraseClientData{"s", Kind::acl, "a"},
                ports::EraseClientData{"t", Kind::acl, "a"}});
  EXPECT_EQ(this->load().client_data, (std::vector{changed, first, other}));
}

TYPED_TEST_P(StoreContract, ChangesOfABatchApplyInTheirOrder) {
  const auto record = full_record("d", "a", 1);
  const ports::EraseMitigation erase{{record.domain, record.cuid, record.mid}};
  this->commit({ports::PutMitigation{record}, erase});
  EXPECT_TRUE(this->load().mitigations.empty());
  this->commit({erase, ports::PutMitigation{record}});
  EXPECT_EQ(this->load().mitigations.size(), 1u);
}

TYPED_TEST_P(StoreContract, ABatchIdCountsOnce) {
  const auto first = this->batch({ports::PutCounter{"n", 1}, ports::AppendAudit{audit_line("d", 1)}}, 5);
  ASSERT_EQ(this->store->commit({first}).outcome, ports::CommitOutcome::committed);
  this->commit({ports::PutCounter{"n", 2}}, 6);
  // the repeat, also next to a new batch and after a restart, changes nothing and is still a success
  EXPECT_EQ(this->store->commit({first}).outcome, ports::CommitOutcome::committed);
  EXPECT_EQ(this->store->commit({first, this->batch({ports::PutCounter{"m", 3}}, 7)}).outcome,
            ports::CommitOutcome::committed);
  this->reopen();
  auto again = first;
  again.fencing_token = this->token;
  EXPECT_EQ(this->store->commit({again}).outcome, ports::CommitOutcome::committed);
  const auto snapshot = this->load();
  EXPECT_EQ(snapshot.counters, (std::map<std::string, std::uint64_t>{{"m", 3}, {"n", 2}}));
  EXPECT_EQ(snapshot.last_commit, wall_at(7));
  EXPECT_EQ(this->store->audit(tests::newest(10))->size(), 1u);
}

TYPED_TEST_P(StoreContract, AGroupIsAllOrNothing) {
  auto old = this->batch({ports::PutCounter{"c", 3}});
  old.fencing_token = this->token - 1;
  const auto a = this->batch({ports::PutCounter{"a", 1}});
  const auto result = this->store->commit({a, this->batch({ports::PutCounter{"b", 2}}), old});
  EXPECT_EQ(result.outcome, ports::CommitOutcome::refused);
  EXPECT_NE(result.reason, "");
  EXPECT_TRUE(this->load().counters.empty());
  EXPECT_FALSE(this->was_committed(a.id));
  // nothing of the failed group stands in the way of its good batches
  EXPECT_EQ(this->store->commit({a}).outcome, ports::CommitOutcome::committed);
  EXPECT_EQ(this->store->commit({}).outcome, ports::CommitOutcome::committed);
  EXPECT_EQ(this->load().counters.size(), 1u);
}

TYPED_TEST_P(StoreContract, TheNewerFencingTokenShutsTheOlderOut) {
  const auto before = this->token;
  ASSERT_EQ(this->store->commit({this->batch({ports::PutCounter{"n", 1}})}).outcome, ports::CommitOutcome::committed);
  this->reopen();
  EXPECT_GT(this->token, before);
  EXPECT_EQ(this->load().fencing_token, this->token);
  auto late = this->batch({ports::PutCounter{"n", 2}});
  late.fencing_token = before;
  EXPECT_EQ(this->store->commit({late}).outcome, ports::CommitOutcome::refused);
  EXPECT_EQ(this->load().counters.at("n"), 1u);
  // a token from a take-over that this store has not seen itself counts from then on
  auto newer = this->batch({ports::PutCounter{"n", 3}});
  newer.fencing_token = this->token + 5;
  EXPECT_EQ(this->store->commit({newer}).outcome, ports::CommitOutcome::committed);
  EXPECT_EQ(this->store->commit({this->batch({ports::PutCounter{"n", 4}})}).outcome, ports::CommitOutcome::refused);
  EXPECT_EQ(*this->store->acquire(), this->token + 6);
}

TYPED_TEST_P(StoreContract, ANameIsErasedUnlessItWasStoredAgain) {
  const auto names = [&] {
    std::vector<std::string> out;
    const auto snapshot = this->store->load();
    for (const auto& record : snapshot->names) out.push_back(record.name);
    return out;
  };
  this->commit({ports::PutName{{"a", {}, wall_at(10)}}, ports::PutName{{"b", {}, wall_at(20)}}});
  this->commit(
      {ports::EraseName{"a", wall_at(10)}, ports::EraseName{"b", wall_at(19)}, ports::EraseName{"c", wall_at(99)}});
  EXPECT_EQ(names(), std::vector<std::string>{"b"});
  this->reopen();
  EXPECT_EQ(names(), std::vector<std::string>{"b"});
}

TYPED_TEST_P(StoreContract, LoadDomainGivesOneDomainAndAllNames) {
  this->commit({ports::PutMitigation{full_record("d", "a", 1)}, ports::PutMitigation{full_record("dd", "a", 1)},
                ports::PutCuid{{base::DomainId("d"), base::Cuid("a"), base::ClientId("x"), wall_at(1)}},
                ports::PutCuid{{base::DomainId("dd"), base::Cuid("a"), base::ClientId("x"), wall_at(1)}},
                ports::PutName{{"n", {}, wall_at(1)}}, ports::PutCounter{"n", 1},
                ports::PutClientRequest{ports::ClientRequestRecord{}}},
               9);
  const auto snapshot = this->store->load_domain(base::DomainId("d"));
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->mitigations, std::vector{full_record("d", "a", 1)});
  ASSERT_EQ(snapshot->cuids.size(), 1u);
  EXPECT_EQ(snapshot->cuids.front().domain, base::DomainId("d"));
  EXPECT_EQ(snapshot->names.size(), 1u);
  EXPECT_TRUE(snapshot->client_requests.empty());
  EXPECT_TRUE(snapshot->counters.empty());
  EXPECT_EQ(snapshot->last_commit, wall_at(9));
  EXPECT_EQ(snapshot->fencing_token, this->token);
  EXPECT_TRUE(this->store->load_domain(base::DomainId("nobody"))->mitigations.empty());
}

TYPED_TEST_P(StoreContract, LastCommitIsTheNewestBatchAlsoWhenTheClockWentBack) {
  this->commit({ports::PutCounter{"n", 1}}, 100);
  EXPECT_EQ(this->load().last_commit, wall_at(100));
  ASSERT_EQ(this->store->commit({this->batch({}, 80), this->batch({}, 50)}).outcome, ports::CommitOutcome::committed);
  EXPECT_EQ(this->load().last_commit, wall_at(50));
}

TYPED_TEST_P(StoreContract, ARefusedCommitLeavesNothing) {
  this->commit({ports::PutCounter{"n", 1}});
  const auto batch = this->batch({ports::PutCounter{"n", 2}, ports::AppendAudit{audit_line("d", 1)}}, 99);
  this->harness.refuse_next();
  const auto result = this->store->commit({batch});
  EXPECT_EQ(result.outcome, ports::CommitOutcome::refused);
  EXPECT_NE(result.reason, "");
  EXPECT_FALSE(this->was_committed(batch.id));
  EXPECT_EQ(this->load().counters.at("n"), 1u);
  EXPECT_EQ(this->load().last_commit, wall_at(1));
  EXPECT_TRUE(this->store->audit(tests::newest(10))->empty());
  EXPECT_EQ(this->store->commit({batch}).outcome, ports::CommitOutcome::committed);
  EXPECT_EQ(this->load().counters.at("n"), 2u);
}

TYPED_TEST_P(StoreContract, AnUnknownOutcomeThatWasAppliedIsSettledAsCommitted) {
  this->commit({ports::PutCounter{"before", 1}});
  const auto batch = this->batch({ports::PutCounter{"n", 2}});
  this->harness.lose_answer_next(true);
  EXPECT_EQ(this->store->commit({batch}).outcome, ports::CommitOutcome::unknown);
  EXPECT_TRUE(this->was_committed(batch.id));
  EXPECT_EQ(this->load().counters.at("n"), 2u);
  this->commit({ports::PutCounter{"after", 3}});
  this->reopen();
  EXPECT_EQ(this->load().counters, (std::map<std::string, std::uint64_t>{{"after", 3}, {"before", 1}, {"n", 2}}));
}

TYPED_TEST_P(StoreContract, AnUnknownOutcomeThatWasNotAppliedIsSettledAsAbsentAndMayBeRepeated) {
  this->commit({ports::PutCounter{"before", 1}});
  const auto batch = this->batch({ports::PutCounter{"n", 2}});
  this->harness.lose_answer_next(false);
  EXPECT_EQ(this->store->commit({batch}).outcome, ports::CommitOutcome::unknown);
  EXPECT_FALSE(this->was_committed(batch.id));
  EXPECT_EQ(this->load().counters.count("n"), 0u);
  EXPECT_EQ(this->store->commit({batch}).outcome, ports::CommitOutcome::committed);
  EXPECT_TRUE(this->was_committed(batch.id));
  this->reopen();
  EXPECT_EQ(this->load().counters, (std::map<std::string, std::uint64_t>{{"before", 1}, {"n", 2}}));
}

TYPED_TEST_P(StoreContract, LoadingAfterAnUnknownOutcomeTellsTheTruth) {
  for (const bool applied : {true, false}) {
    const auto batch = this->batch({ports::PutMitigation{full_record("d", "a", applied ? 1 : 2)}});
    this->harness.lose_answer_next(applied);
    EXPECT_EQ(this->store->commit({batch}).outcome, ports::CommitOutcome::unknown);
    const auto snapshot = this->store->load_domain(base::DomainId("d"));
    ASSERT_TRUE(snapshot) << snapshot.error().message;
    EXPECT_EQ(snapshot->mitigations, std::vector{full_record("d", "a", 1)});
    EXPECT_EQ(this->was_committed(batch.id), applied);
  }
}

TYPED_TEST_P(StoreContract, WasCommittedTellsIdsOfOneInstanceFromAnothers) {
  const auto batch = this->batch({});
  ASSERT_EQ(this->store->commit({batch}).outcome, ports::CommitOutcome::committed);
  EXPECT_TRUE(this->was_committed(batch.id));
  EXPECT_FALSE(this->was_committed({batch.id.instance + 1, batch.id.sequence}));
  EXPECT_FALSE(this->was_committed({batch.id.instance, batch.id.sequence + 1}));
  const ports::BatchId largest{UINT64_MAX, UINT64_MAX};
  EXPECT_FALSE(this->was_committed(largest));
  ASSERT_EQ(this->store->commit({{largest, this->token, wall_at(1), {}}}).outcome, ports::CommitOutcome::committed);
  EXPECT_TRUE(this->was_committed(largest));
}

TYPED_TEST_P(StoreContract, TheNewestThousandIdsAreRemembered) {
  std::vector<ports::Batch> group;
  for (int i = 0; i < 1000; ++i) group.push_back(this->batch({}));
  ASSERT_EQ(this->store->commit(group).outcome, ports::CommitOutcome::committed);
  for (const auto& batch : group) ASSERT_TRUE(this->was_committed(batch.id));
}

TYPED_TEST_P(StoreContract, TheAuditLogKeepsTheNewestLinesAndGivesThemNewestFirst) {
  constexpr auto kBound = static_cast<std::int64_t>(TypeParam::kAuditRecords);
  for (std::int64_t i = 1; i <= kBound + 7; ++i) {
    this->commit({ports::AppendAudit{audit_line(i % 2 == 0 ? "even" : "odd", i)}});
  }
  this->reopen();
  const auto lines = *this->store->audit(tests::newest(1'000'000));
  ASSERT_EQ(lines.size(), TypeParam::kAuditRecords);
  for (std::int64_t i = 0; i < kBound; ++i) {
    EXPECT_EQ(lines[static_cast<std::size_t>(i)].at, wall_at(kBound + 7 - i));
  }
  const auto even = *this->store->audit(tests::newest(3, "even"));
  ASSERT_EQ(even.size(), 3u);
  const std::int64_t newest_even = (kBound + 7) / 2 * 2;
  EXPECT_EQ(even[0], audit_line("even", newest_even));
  EXPECT_EQ(even[2], audit_line("even", newest_even - 4));
  EXPECT_TRUE(this->store->audit(tests::newest(3, "nobody"))->empty());
  EXPECT_TRUE(this->store->audit(tests::newest(0))->empty());
}

TYPED_TEST_P(StoreContract, TheAuditLogAnswersQueries) {
  ports::AuditRecord refused = audit_line("d", 5);
  refused.action = "refuse";
  refused.credential = "PSK edge'; --";
  ports::AuditRecord operators = audit_line("e", 9);
  operators.actor = "operator alice";
  operators.subject = "cuid=x mid=77";
  this->commit({ports::AppendAudit{audit_line("d", 1)}, ports::AppendAudit{refused}, ports::AppendAudit{operators}});
  this->reopen();
  const auto ask = [&](auto narrow) {
    ports::AuditQuery query;
    narrow(query);
    return *this->store->audit(query);
  };
  using Query = ports::AuditQuery;
  using Lines = std::vector<ports::AuditRecord>;
  EXPECT_EQ(ask([](Query&) {}), (Lines{operators, refused, audit_line("d", 1)}));
  EXPECT_EQ(ask([](Query& q) { q.action = "refuse"; }), Lines{refused});
  EXPECT_EQ(ask([](Query& q) { q.action = "ref"; }), Lines{}) << "the whole word";
  EXPECT_EQ(ask([](Query& q) { q.actor = "alice"; }), Lines{operators});
  EXPECT_EQ(ask([](Query& q) { q.actor = "edge'; --"; }), Lines{refused}) << "or the credential";
  EXPECT_EQ(ask([](Query& q) { q.subject = "mid=77"; }), Lines{operators});
  EXPECT_EQ(ask([](Query& q) { q.since = wall_at(5); }), (Lines{operators, refused}));
  EXPECT_EQ(ask([](Query& q) { q.until = wall_at(5); }), Lines{audit_line("d", 1)});
  EXPECT_EQ(ask([](Query& q) {
              q.domain = base::DomainId("d");
              q.since = wall_at(1);
              q.limit = 1;
            }),
            Lines{refused});
}

TYPED_TEST_P(StoreContract, OneBatchLargerThanTheAuditBoundKeepsItsNewestLines) {
  std::vector<ports::Change> changes;
  for (std::size_t i = 1; i <= TypeParam::kAuditRecords * 2; ++i) {
    changes.push_back(ports::AppendAudit{audit_line("d", static_cast<std::int64_t>(i))});
  }
  this->commit(std::move(changes));
  const auto lines = *this->store->audit(tests::newest(1'000'000));
  ASSERT_EQ(lines.size(), TypeParam::kAuditRecords);
  EXPECT_EQ(lines.back().at, wall_at(static_cast<std::int64_t>(TypeParam::kAuditRecords) + 1));
}

REGISTER_TYPED_TEST_SUITE_P(
    StoreContract, AnEmptyStoreLoadsAsEmpty, TheAuditLogAnswersQueries, EveryMemberOfEveryRecordComesBackAfterARestart,
    PutReplacesAndEraseRemovesByTheWholeKey, ClientRequestsAndCountersAreReplacedAndErased,
    ClientsOfTheDataChannelAndTheirEntriesComeBackInTheirOrder, AnEntryMovesTheVersionsOfItsClientForwardOnly,
    AClientOfTheDataChannelGoesWithItsEntriesAndNoOthers, WhatAClientKeepsAtItsServersComesBackInItsOrder,
    ChangesOfABatchApplyInTheirOrder, ABatchIdCountsOnce, AGroupIsAllOrNothing, TheNewerFencingTokenShutsTheOlderOut,
    LoadDomainGivesOneDomainAndAllNames, ANameIsErasedUnlessItWasStoredAgain,
    LastCommitIsTheNewestBatchAlsoWhenTheClockWentBack, ARefusedCommitLeavesNothing,
    AnUnknownOutcomeThatWasAppliedIsSettledAsCommitted,
    AnUnknownOutcomeThatWasNotAppliedIsSettledAsAbsentAndMayBeRepeated, LoadingAfterAnUnknownOutcomeTellsTheTruth,
    WasCommittedTellsIdsOfOneInstanceFromAnothers, TheNewestThousandIdsAreRemembered,
    TheAuditLogKeepsTheNewestLinesAndGivesThemNewestFirst, OneBatchLargerThanTheAuditBoundKeepsItsNewestLines);

}  // namespace dots::tests
