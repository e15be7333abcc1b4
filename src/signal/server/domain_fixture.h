// For the tests of this room: a domain under virtual time, with a model of the store behind it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/overload.h"
#include "signal/server/domain.h"

namespace dots::signal::server {

inline model::Prefix prefix(const std::string& text) { return *model::parse_prefix(text); }
inline model::IpAddress address(const std::string& text) { return *model::parse_ip_address(text); }

// What the Persist effects amount to.
struct ModelStore {
  std::map<ports::MitigationKey, ports::MitigationRecord> mitigations;
  std::map<base::Cuid, ports::CuidRecord> cuids;
  std::map<std::string, ports::NameRecord> names;
  std::vector<ports::AuditRecord> audit;
  base::WallTime last_commit{};

  void apply(const ports::Change& change, base::Now now) {
    last_commit = std::max(last_commit, now.wall);
    std::visit(base::Overload{
                   [&](const ports::PutMitigation& c) {
                     mitigations[{c.record.domain, c.record.cuid, c.record.mid}] = c.record;
                   },
                   [&](const ports::EraseMitigation& c) { EXPECT_EQ(mitigations.erase(c.key), 1U); },
                   [&](const ports::PutCuid& c) { cuids[c.record.cuid] = c.record; },
                   [&](const ports::EraseCuid& c) { EXPECT_EQ(cuids.erase(c.cuid), 1U); },
                   [&](const ports::PutName& c) { names[c.record.name] = c.record; },
                   [&](const ports::EraseName& c) { EXPECT_EQ(names.erase(c.name), 1U); },
                   [&](const ports::AppendAudit& c) { audit.push_back(c.record); },
                   [](const auto&) { ADD_FAILURE() << "a change that is not the server's"; },
               },
               change);
  }
  ports::Snapshot snapshot() const {
    ports::Snapshot s;
    for (const auto& [key, record] : mitigations) s.mitigations.push_back(record);
    for (const auto& [cuid, record] : cuids) s.cuids.push_back(record);
    for (const auto& [name, record] : names) s.names.push_back(record);
    s.last_commit = last_commit;
    return s;
  }
};

inline policy::DomainPolicy test_policy() {
  policy::DomainPolicy policy;
  policy.id = base::DomainId{"customer"};
  policy.clients = {{base::ClientId{"a"}, {}, {}}, {base::ClientId{"b"}, {}, {}}, {base::ClientId{"c"}, {}, {}}};
  policy.prefixes = {prefix("192.0.2.0/24"), prefix("198.51.100.0/24"), prefix("2001:db8:6401::/48")};
  policy.names = {"example.net"};
  return policy;
}

// Each rule is the whole target: enough to see which mitigation wants what. A test may say more about a plan.
class PlainPlanner : public Planner {
 public:
  Plan plan(const PlanRequest& request) const override {
    std::vector<model::Rule> rules;
    for (const PlanTargets& targets : request.targets) {
      for (const model::Prefix& target : targets.expanded) {
        model::Rule rule;
        rule.match.target = target;
        if (!targets.scope.target_protocol.empty()) rule.match.protocol = targets.scope.target_protocol.front();
        rules.push_back(rule);
      }
    }
    std::sort(rules.begin(), rules.end());
    rules.erase(std::unique(rules.begin(), rules.end()), rules.end());
    Plan plan;
    if (!rules.empty()) plan.parts.push_back({"back end", std::move(rules)});
    if (more) more(request, plan);
    return plan;
  }
  bool looks_at_volume() const override { return by_volume; }

  std::function<void(const PlanRequest&, Plan&)> more;
  bool by_volume = false;
};

class DomainTest : public ::testing::Test {
 protected:
  using Ids = std::vector<std::uint32_t>;

  DomainTest() { start(test_policy()); }

  void start(policy::DomainPolicy policy, DomainLimits limits = {}) {
    policy_ = std::move(policy);
    limits_ = limits;
    domain_ = std::make_unique<Domain>(std::make_shared<policy::DomainRules>(policy_), planner_, limits_, lookup(),
                                       data_channel());
    store = {};
    rules.clear();
    mitigating.clear();
  }
  // What clients have made on the data channel, by cuid and name.
  AliasLookup lookup() {
    return
        [this](const base::ClientId&, const base::Cuid& cuid, const std::string& name) -> std::optional<model::Alias> {
          const auto found = made_aliases.find({cuid.value, name});
          if (found == made_aliases.end()) return std::nullopt;
          return model::Alias{name, found->second};
        };
  }
  // Their filters there, by cuid and name; those in `stuck` cannot be switched.
  DataChannel data_channel() {
    DataChannel control;
    control.cuid_owner = [this](const base::Cuid& cuid) -> std::optional<base::ClientId> {
      const auto found = registered.find(cuid.value);
      if (found == registered.end()) return std::nullopt;
      return base::ClientId{found->second};
    };
    control.release = [this](const base::Cuid& cuid, const std::string&, base::Now) -> std::optional<std::string> {
      if (registered.erase(cuid.value) == 0) return std::nullopt;
      return "its registration";
    };
    control.activation = [this](const base::ClientId&, const base::Cuid& cuid,
                                const std::string& acl) -> std::optional<model::ActivationType> {
      const auto found = filters.find({cuid.value, acl});
      if (found == filters.end()) return std::nullopt;
      return found->second;
    };
    control.activate = [this](const base::Cuid& cuid, const std::vector<model::AclActivation>& acl_list,
                              const std::string& why, base::Now) -> std::optional<DataChannel::Failure> {
      DataChannel::Failure failure{{}, "stuck"};
      for (const auto& acl : acl_list) {
        if (stuck.count(acl.acl_name) > 0) failure.failed.push_back(acl);
      }
      if (!failure.failed.empty()) return failure;
      for (const auto& acl : acl_list) filters.at({cuid.value, acl.acl_name}) = acl.type;
      switched_why.push_back(why);
      return std::nullopt;
    };
    return control;
  }
  // A new process: the store is all that is left.
  void restart() {
    domain_ = std::make_unique<Domain>(std::make_shared<policy::DomainRules>(policy_), planner_, limits_, lookup(),
                                       data_channel());
    rules.clear();
    mitigating.clear();
    take(domain_->load(store.snapshot(), now, false));
  }
  // A commit failed: back to `kept`.
  void reload(const ModelStore& kept) {
    store = kept;
    take(domain_->load(store.snapshot(), now, true));
  }
  void change_policy(policy::DomainPolicy policy) {
    policy_ = std::move(policy);
    take(domain_->set_rules(std::make_shared<policy::DomainRules>(policy_), now));
  }

  // ---- requests; `client` is whose session they come over
  static model::MitigationRequest request_for(const std::string& target, std::int64_t lifetime = 3600) {
    model::MitigationRequest request;
    if (!target.empty()) request.scope.target_prefix = {prefix(target)};
    request.scope.target_protocol = {17};
    request.lifetime = model::Lifetime{lifetime};
    return request;
  }
  Origin origin(const std::string& client = "a", std::uint8_t token = 0) {
    return {base::SessionId{client == "a"   ? 1U
                            : client == "b" ? 2U
                                            : 3U},
            base::ExchangeId{++exchange_},
            base::ClientId{client},
            {token != 0 ? token : static_cast<std::uint8_t>(100 + exchange_ % 100)}};
  }
  PutMitigation put_event(std::uint32_t mid, model::MitigationRequest request, const std::string& client = "a",
                          const std::string& cuid = "") {
    PutMitigation put;
    put.origin = origin(client);
    put.cuid = base::Cuid{cuid.empty() ? "cuid-" + client : cuid};
    put.mid = base::Mid{mid};
    put.request = std::move(request);
    return put;
  }
  Answer put(std::uint32_t mid, const std::string& target, std::int64_t lifetime = 3600,
             const std::string& client = "a") {
    return put(mid, request_for(target, lifetime), client);
  }
  Answer put(std::uint32_t mid, model::MitigationRequest request, const std::string& client = "a",
             const std::string& cuid = "") {
    return ask(put_event(mid, std::move(request), client, cuid));
  }
  Answer armed(std::uint32_t mid, const std::string& target, std::int64_t lifetime = 3600,
               const std::string& client = "a") {
    model::MitigationRequest request = request_for(target, lifetime);
    request.trigger_mitigation = false;
    return put(mid, std::move(request), client);
  }
  void edge(SessionEdge::Kind kind, const std::string& client = "a") {
    step(SessionEdge{kind, origin(client).session, base::ClientId{client}, {}, {}});
  }
  Answer get(std::optional<std::uint32_t> mid = {}, GetMitigation::Filter filter = GetMitigation::Filter::all,
             const std::string& client = "a", const std::string& cuid = "") {
    GetMitigation event;
    event.origin = origin(client);
    event.cuid = base::Cuid{cuid.empty() ? "cuid-" + client : cuid};
    if (mid) event.mid = base::Mid{*mid};
    event.filter = filter;
    return ask(event);
  }
  Answer del(std::uint32_t mid, const std::string& client = "a", const std::string& cuid = "") {
    return ask(DeleteMitigation{origin(client), base::Cuid{cuid.empty() ? "cuid-" + client : cuid}, base::Mid{mid}});
  }
  Reply observe(std::optional<std::uint32_t> mid, std::uint8_t token, const std::string& client = "a",
                GetMitigation::Filter filter = GetMitigation::Filter::all) {
    GetMitigation event;
    event.origin = origin(client, token);
    event.cuid = base::Cuid{"cuid-" + client};
    if (mid) event.mid = base::Mid{*mid};
    event.filter = filter;
    event.observe = 0;
    step(event);
    return last_reply(event.origin);
  }
  void report(std::uint32_t mid, RulesReport::State state, const std::string& reason = "") {
    step(RulesReport{base::Cuid{"cuid-a"}, base::Mid{mid}, state, reason});
  }
  void resolved(const std::string& name, const std::vector<std::string>& addresses,
                base::Duration ttl = std::chrono::seconds{60}) {
    ports::Resolution resolution;
    resolution.name = name;
    resolution.outcome = ports::Resolution::Outcome::answered;
    for (const std::string& text : addresses) resolution.addresses.push_back(address(text));
    std::sort(resolution.addresses.begin(), resolution.addresses.end());
    resolution.ttl = ttl;
    step(NameResolved{resolution});
  }
  void not_resolved(const std::string& name, ports::Resolution::Outcome outcome) {
    ports::Resolution resolution;
    resolution.name = name;
    resolution.outcome = outcome;
    resolution.reason = "no answer";
    step(NameResolved{resolution});
  }

  // One step; its effects are kept until the next one.
  void step(const Event& event) { take(domain_->step(event, now)); }
  Answer ask(const Event& event) {
    step(event);
    if (const auto* put = std::get_if<PutMitigation>(&event)) return last_reply(put->origin).answer;
    if (const auto* get = std::get_if<GetMitigation>(&event)) return last_reply(get->origin).answer;
    return last_reply(std::get<DeleteMitigation>(event).origin).answer;
  }
  // Time passes; everything that is due fires at its own moment.
  void pass(base::Duration duration) {
    const base::Now end = now + duration;
    all_notified.clear();
    while (domain_->next_deadline() && *domain_->next_deadline() <= end.steady) {
      const base::SteadyTime at = std::max(now.steady, *domain_->next_deadline());
      now = now + (at - now.steady);
      step(TimerFired{});
      for (const Notify& n : notified) all_notified.emplace_back(now.steady, n);
      ASSERT_TRUE(!domain_->next_deadline() || *domain_->next_deadline() > now.steady) << "a timer that never ends";
    }
    now = end;
  }

  void take(std::vector<Effect> effects) {
    replies.clear();
    ignored.clear();
    notified.clear();
    asked_names.clear();
    desired.clear();
    operator_answers.clear();
    notes.clear();
    note_texts.clear();
    for (Effect& effect : effects) {
      std::visit(base::Overload{
                     [&](Reply& e) { replies.push_back(std::move(e)); },
                     [&](NoReply& e) { ignored.push_back(e); },
                     [&](Notify& e) { notified.push_back(std::move(e)); },
                     [&](Persist& e) { store.apply(e.change, now); },
                     [&](DesiredRules& e) { desired.push_back(std::move(e)); },
                     [&](ResolveName& e) { asked_names.push_back(std::move(e.name)); },
                     [&](OperatorAnswer& e) { operator_answers.push_back(std::move(e)); },
                     [&](ClientMitigating& e) { mitigating[e.client.value] = e.mitigating; },
                     [&](OperatorNote& e) {
                       notes.emplace_back(e.id);
                       note_texts.push_back(std::move(e.details));
                     },
                 },
                 effect);
    }
    for (const DesiredRules& change : desired) {
      for (const auto& want : change.wants) {
        if (want.parts.empty()) {
          rules.erase(want.owner);
        } else {
          rules[want.owner] = want.parts.front().rules;
        }
      }
    }
  }
  Reply last_reply(const Origin& to) {
    std::vector<Reply> found;
    for (const Reply& reply : replies) {
      if (reply.exchange == to.exchange) found.push_back(reply);
    }
    EXPECT_EQ(found.size(), 1U);
    return found.size() == 1 ? found.front() : Reply{};
  }

  // ---- what is to be seen
  static Ids mids(const Answer& answer) {
    Ids all;
    for (const auto& entry : answer.entries) all.push_back(entry.mid ? entry.mid->value : 0);
    return all;
  }
  model::MitigationEntry entry(std::uint32_t mid) {
    const Answer answer = get(mid);
    EXPECT_EQ(answer.code, model::ResponseCode::content);
    return answer.entries.empty() ? model::MitigationEntry{} : answer.entries.front();
  }
  int status(std::uint32_t mid) { return static_cast<int>(entry(mid).status.value_or(model::MitigationStatus{})); }
  std::int64_t lifetime(std::uint32_t mid) { return entry(mid).lifetime.value_or(model::Lifetime{-99}).seconds; }
  // Targets that the rules of one mitigation have.
  std::set<std::string> rules_of(std::uint32_t mid, const std::string& cuid = "cuid-a") {
    std::set<std::string> targets;
    const auto found = rules.find({policy_.id, base::Cuid{cuid}, base::Mid{mid}});
    if (found == rules.end()) return targets;
    for (const model::Rule& rule : found->second) targets.insert(model::to_string(rule.match.target));
    return targets;
  }
  std::vector<std::string> audited(const std::string& action) const {
    std::vector<std::string> texts;
    for (const auto& line : store.audit) {
      if (line.action == action) texts.push_back(line.text);
    }
    return texts;
  }

  base::Now now{base::SteadyTime{std::chrono::hours{1000}}, base::from_unix_seconds(1'700'000'000)};
  ModelStore store;
  std::vector<Reply> replies;
  std::vector<NoReply> ignored;
  std::vector<Notify> notified;
  std::vector<std::pair<base::SteadyTime, Notify>> all_notified;  // of the last pass()
  std::vector<std::string> asked_names;
  std::vector<DesiredRules> desired;
  std::vector<OperatorAnswer> operator_answers;
  std::vector<std::string> notes;
  std::vector<std::string> note_texts;
  std::map<model::RuleOwner, std::vector<model::Rule>> rules;  // what is wanted
  std::map<std::string, bool> mitigating;

  std::map<std::pair<std::string, std::string>, model::MitigationScope> made_aliases;
  std::map<std::pair<std::string, std::string>, model::ActivationType> filters;
  std::set<std::string> stuck;
  std::map<std::string, std::string> registered;  // cuids of the data channel, and their clients
  std::vector<std::string> switched_why;          // one for each request that switched filters

  policy::DomainPolicy policy_;
  std::shared_ptr<PlainPlanner> planner_ = std::make_shared<PlainPlanner>();
  DomainLimits limits_;
  std::unique_ptr<Domain> domain_;
  std::uint64_t exchange_ = 0;
};

}  // namespace dots::signal::server
