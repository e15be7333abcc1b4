// A domain of the data channel with a store in memory and a clock by hand, for the tests of this room.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/domain.h"
#include "wire/json_value.h"

namespace dots::data {

class DomainTest : public testing::Test {
 protected:
  static constexpr std::string_view kDots = "/restconf/data/ietf-dots-data-channel:dots-data";
  static constexpr std::string_view kType = "application/yang-data+json";

  DomainTest() { restart(); }

  static policy::DomainPolicy policy() {
    policy::DomainPolicy policy;
    policy.id = base::DomainId("shop");
    policy.clients = {{base::ClientId("a"), {"a.example.net"}, {}}, {base::ClientId("b"), {"b.example.net"}, {}}};
    for (const char* prefix : {"198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"}) {
      policy.prefixes.push_back(*model::parse_prefix(prefix));
    }
    policy.names = {"example.net"};
    policy.max_cuids_per_client = 4;
    return policy;
  }

  // As the daemon starts: with what the store has.
  void restart() {
    domain = std::make_unique<Domain>(std::make_shared<const policy::DomainRules>(policy()), options);
    events = domain->load(store, now);
  }

  // What the shell does with an outcome: the changes go to the store, then the answer may leave.
  const ports::HttpAnswer& take(Outcome outcome) {
    for (const ports::Change& change : outcome.changes) commit(change);
    if (!outcome.changes.empty()) store.last_commit = now.wall;
    changes = std::move(outcome.changes);
    events = std::move(outcome.events);
    answer = std::move(outcome.answer);
    return answer;
  }
  const ports::HttpAnswer& ask(const std::string& method, const std::string& target, const std::string& body = {},
                               ports::HttpHeaders headers = {}) {
    if (!body.empty() && !headers.has("Content-Type")) headers.add("Content-Type", std::string(kType));
    return take(domain->request({method, target, std::move(headers), body}, asker, now));
  }
  // Below the asker's own client, whose cuid is the name of the asker: me("/aliases").
  std::string me(const std::string& rest = {}) const {
    return std::string(kDots) + "/dots-client=" + asker.client.value + rest;
  }
  std::string dots(const std::string& rest = {}) const { return std::string(kDots) + rest; }
  const ports::HttpAnswer& get(const std::string& target, ports::HttpHeaders headers = {}) {
    return ask("GET", target, {}, std::move(headers));
  }
  void as(const std::string& client, bool gateway = false) { asker = {base::ClientId(client), gateway}; }
  int register_me() {
    return ask("POST", dots(), R"({"ietf-dots-data-channel:dots-client":[{"cuid":")" + asker.client.value + "\"}]}")
        .status;
  }
  static std::string aliases(const std::string& entries) {
    return R"({"ietf-dots-data-channel:aliases":{"alias":[)" + entries + "]}}";
  }
  static std::string alias(const std::string& name,
                           const std::string& rest = R"("target-prefix":["198.51.100.1/32"])") {
    return R"({"name":")" + name + "\"" + (rest.empty() ? "" : "," + rest) + "}";
  }
  static std::string acls(const std::string& entries) {
    return R"({"ietf-dots-data-channel:acls":{"acl":[)" + entries + "]}}";
  }
  static std::string ace(const std::string& name, const std::string& matches,
                         const std::string& actions = R"("forwarding":"drop")") {
    return R"({"name":")" + name + R"(",)" + (matches.empty() ? "" : R"("matches":{)" + matches + "},") +
           R"("actions":{)" + actions + "}}";
  }
  static std::string acl(const std::string& name, const std::string& aces, const std::string& rest = {}) {
    return R"({"name":")" + name + "\"" + (rest.empty() ? "" : "," + rest) + R"(,"aces":{"ace":[)" + aces + "]}}";
  }
  // A list of one entry that drops from a source.
  static std::string drop_list(const std::string& name, const std::string& source = "192.0.2.0/24") {
    return acl(name, ace("rule", R"("ipv4":{"source-ipv4-network":")" + source + "\"}"));
  }
  int post(const std::string& body) { return ask("POST", me(), body).status; }
  // Status of a POST of one list with one entry of these matches; it is taken away again.
  int try_matches(const std::string& matches, const std::string& actions = R"("forwarding":"drop")",
                  const std::string& rest = {}) {
    const int status = post(acls(acl("tried", ace("rule", matches, actions), rest)));
    const ports::HttpAnswer said = answer;
    if (status == 201) ask("DELETE", me("/acls/acl=tried"));
    answer = said;
    return status;
  }

  // The error of the last answer, checked for its form (RFC 8040 7.1).
  std::string error(const std::string& member = "error-tag") const {
    EXPECT_GE(answer.status, 400);
    EXPECT_EQ(header("Content-Type"), kType);
    const auto json = wire::parse_json(answer.body);
    if (!json) return "no JSON: " + answer.body;
    const auto* errors = json->member("ietf-restconf:errors");
    const auto* list = errors == nullptr ? nullptr : errors->member("error");
    if (list == nullptr || list->entries.size() != 1) return "no error: " + answer.body;
    const auto* type = list->entries[0].member("error-type");
    EXPECT_TRUE(type != nullptr && (type->text == "transport" || type->text == "rpc" || type->text == "protocol" ||
                                    type->text == "application"))
        << answer.body;
    EXPECT_NE(list->entries[0].member("error-tag"), nullptr) << answer.body;
    const auto* found = list->entries[0].member(member);
    return found == nullptr ? "" : found->text;
  }
  std::string header(const std::string& name) const {
    const std::string* value = answer.headers.find(name);
    return value == nullptr ? "" : *value;
  }
  // "400 invalid-value"
  std::string refusal() const { return std::to_string(answer.status) + " " + error(); }
  bool says(std::string_view part) const { return answer.body.find(part) != std::string::npos; }
  void pass(base::Duration duration) {
    now = now + duration;
    // Whoever owns the machine wakes it when it asked for.
    while (domain->next_deadline() && *domain->next_deadline() <= now.steady) take(domain->tick(now));
  }

  void commit(const ports::Change& change) {
    if (const auto* put = std::get_if<ports::PutDataClient>(&change)) {
      std::erase_if(store.data_clients, [&](const auto& r) { return r.cuid == put->record.cuid; });
      store.data_clients.push_back(put->record);
    } else if (const auto* gone = std::get_if<ports::EraseDataClient>(&change)) {
      std::erase_if(store.data_clients, [&](const auto& r) { return r.cuid == gone->cuid; });
      std::erase_if(store.data_entries, [&](const auto& r) { return r.key.cuid == gone->cuid; });
    } else if (const auto* entry = std::get_if<ports::PutDataEntry>(&change)) {
      std::erase_if(store.data_entries, [&](const auto& r) { return r.key == entry->record.key; });
      store.data_entries.push_back(entry->record);
      move_versions(entry->record.key, entry->record.version);
    } else if (const auto* erased = std::get_if<ports::EraseDataEntry>(&change)) {
      std::erase_if(store.data_entries, [&](const auto& r) { return r.key == erased->key; });
      move_versions(erased->key, erased->version);
    }
  }
  void move_versions(const ports::DataEntryKey& key, const ports::DataVersion& version) {
    for (auto& client : store.data_clients) {
      if (client.cuid != key.cuid) continue;
      for (auto* moved : {&client.version, key.kind == ports::DataEntryKind::alias ? &client.aliases : &client.acls}) {
        if (moved->revision < version.revision) *moved = version;
      }
    }
  }

  Options options;
  ports::Snapshot store;
  std::unique_ptr<Domain> domain;
  base::Now now{base::SteadyTime{std::chrono::hours{5}}, base::from_unix_seconds(1'800'000'000)};
  Asker asker{base::ClientId("a"), false};
  ports::HttpAnswer answer;
  std::vector<ports::Change> changes;
  std::vector<Event> events;
};

// The request of RFC 8783 Figure 24, with our prefixes.
inline const char* const kFigure24 =
    R"({"ietf-dots-data-channel:acls":{"acl":[{"name":"sample-ipv4-acl","type":"ipv4-acl-type",)"
    R"("activation-type":"activate-when-mitigating","aces":{"ace":[{"name":"rule1","matches":{"ipv4":{)"
    R"("destination-ipv4-network":"198.51.100.0/24","source-ipv4-network":"192.0.2.0/24"}},)"
    R"("actions":{"forwarding":"drop"}}]}}]}})";

}  // namespace dots::data
