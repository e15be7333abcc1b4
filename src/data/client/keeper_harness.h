// A keeper with a server: the machine of a real domain, or answers of a script; a store in memory, a clock by hand.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/overload.h"
#include "data/client/keeper.h"
#include "data/client/restconf.h"
#include "data/domain.h"

namespace dots::data::client {

class KeeperTest : public testing::Test {
 protected:
  using Minutes = std::chrono::minutes;

  KeeperTest() {
    policy::DomainPolicy policy;
    policy.id = base::DomainId("shop");
    policy.clients = {{base::ClientId("a"), {"a.example.net"}, {}}, {base::ClientId("b"), {"b.example.net"}, {}}};
    policy.prefixes = {*model::parse_prefix("203.0.113.0/24"), *model::parse_prefix("2001:db8::/32")};
    rules = std::make_shared<const policy::DomainRules>(policy);
    settings.server = "up";
    settings.authority = "dots.example.net";
    settings.cuid = base::Cuid("us");
    new_server();
  }

  // With an empty store.
  void new_server() {
    domain = std::make_unique<Domain>(rules, options);
    domain->load({}, now);
  }
  void start() {
    keeper = std::make_unique<Keeper>(settings);
    std::vector<ports::ClientDataRecord> records;
    for (const auto& [key, record] : store) records.push_back(record);
    Effects out;
    keeper->start(records, now, out);
    take(std::move(out));
  }

  // What the shell does with effects: the store takes changes, asks wait for serve().
  void take(Effects&& effects) {
    for (Effect& effect : effects) {
      std::visit(base::Overload{[&](Ask& ask) { asks.push_back(std::move(ask)); },
                                [&](Tell& tell) {
                                  EXPECT_FALSE(told.contains(tell.wish)) << "told twice";
                                  told[tell.wish] = std::move(tell.report);
                                },
                                [&](Persist& persist) { commit(persist.change); },
                                [&](Message& message) { messages.push_back(message.id + " " + message.details); },
                                [&](CuidTaken& taken) { taken_cuids.push_back(taken.cuid); }},
                 effect);
    }
  }
  void commit(const ports::Change& change) {
    if (const auto* put = std::get_if<ports::PutClientData>(&change)) {
      store[{put->record.kind, put->record.name}] = put->record;
    } else if (const auto* erase = std::get_if<ports::EraseClientData>(&change)) {
      store.erase({erase->kind, erase->name});
    }
  }

  // Answers what was asked, until nothing is asked any more. A script goes first.
  void serve() {
    while (!asks.empty()) {
      ASSERT_EQ(asks.size(), 1u) << "one request at a time";
      const Ask ask = std::move(asks.front());
      asks.pop_front();
      requests.push_back(ask.request);
      ports::HttpOutcome outcome = answer(ask.request);
      Effects out;
      keeper->on_answer(ask.id, std::move(outcome), now, out);
      take(std::move(out));
    }
  }
  ports::HttpOutcome answer(const ports::HttpRequest& request) {
    if (script) {
      if (auto scripted = script(request)) return std::move(*scripted);
    }
    return domain->request(request, {base::ClientId("a"), false}, now).answer;
  }
  void pass(base::Duration time) {
    now.steady += time;
    now.wall += time;
    domain->tick(now);
    Effects out;
    keeper->on_timer(now, out);
    take(std::move(out));
    serve();
  }
  // Time goes on by the machine's own deadlines.
  void pass_slowly(base::Duration time) {
    const base::SteadyTime end = now.steady + time;
    for (int steps = 0; now.steady < end; ++steps) {
      ASSERT_LT(steps, 100000) << "the machine spins";
      const auto next = keeper->next_deadline();
      const base::SteadyTime to = std::min(end, next && *next > now.steady ? *next : now.steady + Minutes{1});
      pass(to - now.steady);
    }
  }

  WishId wish(Wish wanted) {
    wanted.author = "operator o";
    const WishId id{++last_wish};
    Effects out;
    keeper->wish(id, std::move(wanted), now, out);
    take(std::move(out));
    return id;
  }
  Report ask(Wish wanted) {
    const WishId id = wish(std::move(wanted));
    serve();
    EXPECT_TRUE(told.contains(id));
    return told[id];
  }
  static Wish put(Kind kind, const std::string& json) {
    auto entry = read_entry(kind, json);
    EXPECT_TRUE(entry) << entry.error().message;
    Wish wish;
    wish.what = Wish::What::put;
    wish.kind = kind;
    wish.entry = *entry;
    return wish;
  }
  static Wish put_alias(const std::string& name, const std::string& prefix = "203.0.113.1/32") {
    return put(Kind::alias, R"({"name":")" + name + R"(","target-prefix":[")" + prefix + R"("]})");
  }
  static Wish put_filter(const std::string& name, const std::string& source = "192.0.2.0/24") {
    return put(Kind::acl, R"({"name":")" + name + R"(","aces":{"ace":[{"name":"r","matches":{"ipv4":{)" +
                              R"("source-ipv4-network":")" + source + R"("}},"actions":{"forwarding":"drop"}}]}})");
  }
  static Wish named(Wish::What what, Kind kind, const std::string& name = {}) {
    Wish wish;
    wish.what = what;
    wish.kind = kind;
    wish.name = name;
    return wish;
  }
  std::vector<std::string> at_server(Kind kind) {
    const auto got = domain->request(request_for("GET", Paths("/restconf", settings.cuid).container(kind)),
                                     {base::ClientId("a"), false}, now);
    std::vector<std::string> names;
    if (got.answer.status != 200) return names;
    const auto all = listed(kind, got.answer.body);
    for (const Listed& one : *all) names.push_back(one.name);
    return names;
  }
  std::int64_t left_min(Kind kind, const std::string& name) {
    const auto got = domain->request(request_for("GET", Paths("/restconf", settings.cuid).container(kind)),
                                     {base::ClientId("a"), false}, now);
    const auto all = listed(kind, got.answer.body);
    for (const Listed& one : *all) {
      if (one.name == name) return one.pending_lifetime_min.value_or(-1);
    }
    return -1;
  }
  // "PUT /restconf/..." of those since the last call, without GET and HEAD unless `all`.
  std::vector<std::string> sent(bool all = false) {
    std::vector<std::string> lines;
    for (const auto& request : requests) {
      if (all || (request.method != "GET" && request.method != "HEAD")) {
        lines.push_back(request.method + " " + request.target);
      }
    }
    requests.clear();
    return lines;
  }
  bool was_said(const std::string& id) const {
    return std::any_of(messages.begin(), messages.end(), [&](const auto& line) { return line.starts_with(id); });
  }
  static ports::HttpAnswer plain(int status, ports::HttpHeaders headers = {}, std::string body = {}) {
    return {status, std::move(headers), std::move(body)};
  }
  static ports::HttpAnswer fault_answer(int status, const std::string& tag, const std::string& message = "no") {
    return {status,
            {{"Content-Type", "application/yang-data+json"}},
            R"({"ietf-restconf:errors":{"error":[{"error-type":"application","error-tag":")" + tag +
                R"(","error-message":")" + message + R"("}]}})"};
  }

  std::shared_ptr<const policy::DomainRules> rules;
  Options options;
  std::unique_ptr<Domain> domain;
  KeeperSettings settings;
  std::unique_ptr<Keeper> keeper;
  base::Now now{base::SteadyTime{std::chrono::hours{1}}, base::from_unix_seconds(1'700'000'000)};
  std::function<std::optional<ports::HttpOutcome>(const ports::HttpRequest&)> script;

  std::deque<Ask> asks;
  std::vector<ports::HttpRequest> requests;
  std::map<WishId, Report> told;
  std::map<std::pair<Kind, std::string>, ports::ClientDataRecord> store;
  std::vector<std::string> messages;
  std::vector<base::Cuid> taken_cuids;
  std::uint64_t last_wish = 0;
};

}  // namespace dots::data::client
