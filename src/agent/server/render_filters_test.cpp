#include "agent/server/render_filters.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace dots::agent::server {
namespace {

using namespace std::chrono_literals;

model::Prefix prefix(const std::string& text) { return *model::parse_prefix(text); }

model::FilterEntry dns() {
  model::FilterEntry entry;
  entry.name = "dns";
  entry.match.ip.emplace();
  entry.match.ip->source = prefix("203.0.113.0/24");
  entry.match.ip->destination = prefix("192.0.2.0/24");
  entry.match.udp.emplace();
  entry.match.udp->destination_port = model::PortMatch{model::PortMatch::Operator::eq, 53, 0};
  return entry;
}

TEST(RenderFilters, AnEntryIsASentence) {
  model::FilterEntry entry = dns();
  EXPECT_EQ(text_of(entry), "drop udp from 203.0.113.0/24 to 192.0.2.0/24 port 53");
  entry.match.udp->length = 100;
  EXPECT_EQ(text_of(entry), "drop udp from 203.0.113.0/24 to 192.0.2.0/24 port 53, and more");
  entry = {};
  entry.forwarding = model::Forwarding::accept;
  EXPECT_EQ(text_of(entry), "accept");
  entry.rate_limit_hundredths = 2005;
  entry.match.tcp.emplace();
  entry.match.tcp->source_port = model::PortMatch{model::PortMatch::Operator::range, 1, 9};
  EXPECT_EQ(text_of(entry), "limit to 20.05 bytes/s tcp from port 1-9");
  entry = {};
  entry.match.ip.emplace();
  entry.match.ip->protocol = 50;
  EXPECT_EQ(text_of(entry), "drop esp");
}

TEST(RenderFilters, ListsTellWhoseTheyAreAndWhatBecomesOfThem) {
  FilterListView on;
  on.key = {base::DomainId{"acme"}, base::Cuid{"c"}, "on"};
  on.client = base::ClientId{"edge"};
  on.entries = {dns()};
  on.remaining = 60s;
  on.mitigating = on.in_force = true;
  FilterListView waits = on;
  waits.key.list = "waits";
  waits.mitigating = waits.in_force = false;
  FilterListView lost = on;
  lost.key = {base::DomainId{"zeta"}, base::Cuid{"c"}, "lost"};
  lost.activation = model::ActivationType::immediate;
  lost.in_force = false;
  lost.left_out = {"dns"};
  FilterListView off = lost;
  off.key.list = "off";
  off.activation = model::ActivationType::deactivate;
  const base::Now now{base::SteadyTime{1h}, base::from_unix_seconds(1000)};

  auto list = std::make_shared<model::FilterList>(model::FilterList{on.key, 0, {{dns(), {prefix("192.0.2.0/24")}}}});
  BackEndView edge{"edge", true, true, "ready", {}, {}};
  edge.filters = {{on.key,
                   list,
                   mitigation::RuleState::installed,
                   {},
                   "made by client edge, immediate",
                   {},
                   base::from_unix_seconds(900),
                   {{"dns", {3, 300}}}}};
  BackEndView other = edge;
  other.name = "other";
  other.filters[0].state = mitigation::RuleState::failed;
  other.filters[0].failure = "it cannot";
  other.filters[0].counters = {{"dns", {1, 100}}};

  const auto text = [&](const FilterQuery& query) {
    return boost::json::serialize(render_filters({edge, other}, {lost, off, on, waits}, query, now));
  };
  const auto all = boost::json::parse(text({})).at("filters").as_array();
  ASSERT_EQ(all.size(), 4u);
  const auto& first = all[0].as_object();
  EXPECT_EQ(first.at("name"), "on");
  EXPECT_EQ(first.at("client"), "edge");
  EXPECT_EQ(first.at("state"), "in force");
  EXPECT_EQ(first.at("expires-at").to_number<int>(), 1060);
  EXPECT_EQ(first.at("mitigators").at(0).at("state"), "installed");
  EXPECT_EQ(first.at("mitigators").at(0).at("since").to_number<int>(), 900);
  EXPECT_EQ(first.at("mitigators").at(1).at("failure"), "it cannot");
  EXPECT_EQ(first.at("entries").at(0).at("packets").to_number<int>(), 4);
  EXPECT_EQ(all[1].at("state"), "waits for a mitigation of its client");
  EXPECT_EQ(all[2].at("entries").at(0).at("left-out"), true);
  EXPECT_EQ(all[3].at("state"), "deactivated");

  EXPECT_EQ(boost::json::parse(text({"zeta", "", {}})).at("filters").as_array().size(), 2u);
  EXPECT_EQ(boost::json::parse(text({"", "d", {}})).at("filters").as_array().size(), 0u);
  EXPECT_EQ(boost::json::parse(text({"", "", prefix("203.0.113.7/32")})).at("filters").as_array().size(), 4u);
  EXPECT_EQ(boost::json::parse(text({"", "", prefix("198.51.100.0/24")})).at("filters").as_array().size(), 0u);
}

TEST(RenderFilters, ExplainTellsTheListsThatStandBeforeTheRules) {
  const model::FilterListKey key{base::DomainId{"acme"}, base::Cuid{"c"}, "on"};
  auto list = std::make_shared<model::FilterList>(model::FilterList{key, 0, {{dns(), {prefix("192.0.2.0/24")}}}});
  BackEndView edge{"edge", true, true, "ready", {}, {}};
  edge.filters = {{key,
                   list,
                   mitigation::RuleState::installed,
                   {},
                   "made by client edge, immediate",
                   {},
                   base::from_unix_seconds(900),
                   {{"dns", {3, 300}}}}};
  const auto explain = [&](const ExplainQuery& query) { return render_explain({edge}, {}, query, {}); };
  auto told = explain({});
  ASSERT_EQ(told.at("filters").as_array().size(), 1u);
  EXPECT_EQ(told.at("filters").at(0).at("entries").at(0).at("text"),
            "drop udp from 203.0.113.0/24 to 192.0.2.0/24 port 53");
  EXPECT_NE(boost::json::serialize(told).find("edge enforces filter list 'on' of cuid c of domain acme, since"),
            std::string::npos);
  EXPECT_EQ(explain({{}, "", prefix("192.0.2.9/32")}).at("filters").as_array().size(), 1u);
  EXPECT_EQ(explain({{}, "", prefix("198.51.100.0/24")}).at("filters").as_array().size(), 0u);
  EXPECT_EQ(explain({{}, "other", {}}).at("filters").as_array().size(), 0u);
  EXPECT_EQ(explain({base::Mid{7}, "", {}}).at("filters").as_array().size(), 0u) << "no such mitigation";
}

}  // namespace
}  // namespace dots::agent::server
