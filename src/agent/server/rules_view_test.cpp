#include "agent/server/rules_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace dots::agent::server {
namespace {

using mitigation::RuleState;
using mitigation::RuleStory;
using ::testing::ElementsAre;

RuleStory rule(const std::string& target, RuleState state, bool installed, const std::string& domain = "acme") {
  RuleStory story;
  story.rule.match.target = *model::parse_prefix(target);
  story.state = state;
  story.in_back_end = installed;
  if (installed) story.installed_at = base::from_unix_seconds(1'700'000'000);
  if (!domain.empty()) {
    story.owners = {{{base::DomainId{domain}, base::Cuid{"c"}, base::Mid{7}},
                     "requested by client edge",
                     base::from_unix_seconds(1'700'003'600),
                     base::from_unix_seconds(1'700'000'000)}};
  }
  return story;
}

std::vector<BackEndView> world() {
  BackEndView edge;
  edge.name = "edge";
  edge.counts = true;
  edge.state = "ready";
  edge.stories = {rule("192.0.2.1/32", RuleState::installed, true), rule("192.0.2.2/32", RuleState::pending, false),
                  rule("192.0.2.3/32", RuleState::pending, true, ""),
                  rule("192.0.2.4/32", RuleState::failed, false, "zeta"), rule("192.0.2.5/32", RuleState::taken, true)};
  edge.stories[0].counters = {10, 1000};
  edge.stories[3].failure = "table full";
  edge.stories[4].failure = "BGP peer 192.0.2.99 is not established";
  BackEndView core;
  core.name = "core";
  core.state = "dead";
  core.stories = {rule("192.0.2.1/32", RuleState::installed, true)};
  core.stories[0].owners[0].until.reset();
  return {edge, core};
}

std::vector<std::string> column(const boost::json::object& body, const char* name) {
  std::vector<std::string> out;
  for (const auto& one : body.at("rules").as_array()) {
    const auto* value = one.as_object().if_contains(name);
    out.push_back(value == nullptr ? "" : value->is_string() ? std::string(value->as_string()) : serialize(*value));
  }
  return out;
}

TEST(RulesView, DesiredInstalledAndTheDifference) {
  const auto body = render_rules(world(), {}, {});
  EXPECT_THAT(column(body, "desired"), ElementsAre("true", "true", "false", "true", "true", "true"));
  EXPECT_THAT(column(body, "installed"), ElementsAre("true", "false", "true", "false", "true", "true"));
  EXPECT_THAT(column(body, "difference"),
              ElementsAre("", "to be installed", "to be removed", "could not be installed", "taken, not in force", ""));
  EXPECT_THAT(column(body, "failure"),
              ElementsAre("", "", "", "table full", "BGP peer 192.0.2.99 is not established", ""));
  EXPECT_THAT(column(body, "packets"), ElementsAre("10", "0", "0", "0", "0", "")) << "unknown is not zero";
  EXPECT_THAT(column(body, "until"), ElementsAre("1700003600", "1700003600", "", "1700003600", "1700003600", ""));
  EXPECT_EQ(boost::json::serialize(body.at("totals")),
            R"([{"mitigator":"edge","state":"ready","desired":4,"installed":3,"differing":4},)"
            R"({"mitigator":"core","state":"dead","desired":1,"installed":1,"differing":0}])");
}

TEST(RulesView, IsNarrowedAndBounded) {
  RulesQuery query;
  query.domain = "zeta";
  EXPECT_THAT(column(render_rules(world(), {}, query), "target"), ElementsAre("192.0.2.4/32"));
  query = {};
  query.back_end = "core";
  EXPECT_THAT(column(render_rules(world(), {}, query), "mitigator"), ElementsAre("core"));
  query = {};
  query.prefix = model::parse_prefix("192.0.2.0/31").value();
  EXPECT_THAT(column(render_rules(world(), {}, query), "mitigator"), ElementsAre("edge", "core"));
  query = {};
  query.only_differences = true;
  EXPECT_EQ(column(render_rules(world(), {}, query), "rule").size(), 4u);
  query = {};
  query.limit = 2;
  const auto body = render_rules(world(), {}, query);
  EXPECT_EQ(body.at("rules").as_array().size(), 2u);
  EXPECT_EQ(body.at("left-out"), 4u);
  EXPECT_EQ(body.at("totals").as_array()[0].at("desired"), 4u) << "all that match are counted";
}

std::vector<std::string> about(const std::string& prefix, const std::vector<BackEndView>& back_ends) {
  policy::DomainPolicy acme;
  acme.id = base::DomainId{"acme"};
  acme.prefixes = {*model::parse_prefix("192.0.2.0/24")};
  signal::server::MitigationView running;
  running.record.domain = acme.id;
  running.record.mid = base::Mid{7};
  running.record.client = base::ClientId{"edge"};
  running.record.status = model::MitigationStatus::successfully_mitigated;
  running.record.expanded = {*model::parse_prefix("192.0.2.1/32")};
  running.rules = signal::server::RulesReport::State::installed;
  ExplainQuery query;
  query.prefix = *model::parse_prefix(prefix);
  const auto body = render_explain(back_ends, {running}, query, {},
                                   {{acme}, {{*model::parse_prefix("192.0.2.2/32"), "is on the target safe-list"}}});
  std::vector<std::string> out;
  for (const auto& one : body.at("about").as_array()) out.emplace_back(one.as_string());
  return out;
}

TEST(Explain, APrefixHasEverythingThatTouchesIt) {
  EXPECT_THAT(about("192.0.2.1/32", world()),
              ElementsAre("192.0.2.1/32 touches what domain acme owns",
                          "mitigation 7 of domain acme, client edge, covers it: attack-successfully-mitigated, rules "
                          "installed",
                          "2 rules in force for it", "no filter touches it"));
  EXPECT_THAT(about("192.0.2.2/32", world()),
              ElementsAre("192.0.2.2/32 touches what domain acme owns",
                          "192.0.2.2/32 is on the target safe-list: nothing is installed against it",
                          "no mitigation blocks it", "no filter touches it", "nothing blocks 192.0.2.2/32"))
      << "a rule that is not in yet blocks nothing";
  EXPECT_THAT(about("198.51.100.0/24", world()),
              ElementsAre("no domain owns anything of 198.51.100.0/24", "no mitigation blocks it",
                          "no filter touches it", "nothing blocks 198.51.100.0/24"));
  auto dry = world();
  dry[0].drops_really = dry[1].drops_really = false;
  EXPECT_THAT(about("192.0.2.1/32", dry),
              ::testing::Contains("no mitigation blocks it: 2 rules of dry-run back ends drop nothing"));
}

}  // namespace
}  // namespace dots::agent::server
