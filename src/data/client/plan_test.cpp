// Differences, imports, and what documents and answers mean.
#include "data/client/plan.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "data/client/alias_import.h"
#include "data/client/restconf.h"

namespace dots::data::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using What = PlanStep::What;

Entry alias(const std::string& name, const std::string& prefix = "203.0.113.1/32") {
  return {Kind::alias, *read_entry(Kind::alias, R"({"name":")" + name + R"(","target-prefix":[")" + prefix + "\"]}")};
}
Entry filter(const std::string& name, const std::string& more = "") {
  return {Kind::acl, *read_entry(Kind::acl, R"({"name":")" + name + "\"" + more +
                                                R"(,"aces":{"ace":[{"name":"r","actions":{"forwarding":"drop"}}]}})")};
}

std::vector<std::string> names_of(const std::vector<Entry>& entries) {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.push_back(name_of(entry.config));
  return names;
}

// What a server makes of the steps (RFC 8040 4.8.5).
std::vector<Entry> carried_out(std::vector<Entry> present, const Plan& plan) {
  for (const PlanStep& step : plan.steps) {
    const auto find = [&](const std::string& name) {
      return std::find_if(present.begin(), present.end(),
                          [&](const Entry& entry) { return entry.kind == step.kind && name_of(entry.config) == name; });
    };
    const auto at = find(step.name);
    if (step.what == What::erase) {
      present.erase(at);
      continue;
    }
    if (step.placement.where == Placement::Where::unsaid) {
      if (at == present.end()) {
        present.push_back(*step.wanted);
      } else {
        *at = *step.wanted;
      }
      continue;
    }
    if (at != present.end()) present.erase(at);
    auto to = find(step.placement.point.front());
    EXPECT_NE(to, present.end()) << "a point that is not there";
    if (step.placement.where == Placement::Where::after) ++to;
    present.insert(to, *step.wanted);
  }
  return present;
}

TEST(Plan, WhatIsThereAlreadyIsNoStep) {
  const std::vector<Entry> all{alias("a"), filter("x")};
  const Plan plan = make_plan({all, all, {{Kind::alias, "a"}, {Kind::acl, "x"}}, {}});
  EXPECT_THAT(plan.steps, IsEmpty());
  EXPECT_EQ(plan.unchanged, 2u);
}

TEST(Plan, WhatSomebodyElsePutThereIsKeptFromNowOn) {
  const Plan plan = make_plan({{alias("a")}, {alias("a")}, {}, {}});
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].what, What::keep);
}

TEST(Plan, DefaultsAndTheOrderOfSetsAreNoDifference) {
  const Entry one = filter("x", R"(,"activation-type":"activate-when-mitigating")");
  EXPECT_EQ(canonical(one.config), canonical(filter("x").config));
  const auto two = read_entry(Kind::alias, R"({"name":"a","target-prefix":["203.0.113.2/32","203.0.113.1/32"]})");
  const auto other = read_entry(Kind::alias, R"({"target-prefix":["203.0.113.1/32","203.0.113.2/32"],"name":"a"})");
  EXPECT_EQ(canonical(*two), canonical(*other));  // R7951-5.4-01
  EXPECT_NE(canonical(filter("x", R"(,"activation-type":"deactivate")").config), canonical(filter("x").config));
}

TEST(Plan, OnlyTheKindsThatTheFilesSpeakOfArePruned) {
  const std::vector<Entry> present{alias("a"), alias("b"), filter("x")};
  const Plan plan = make_plan({{alias("a")}, present, {{Kind::alias, "a"}}, {Kind::alias}});
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].what, What::erase);
  EXPECT_EQ(plan.steps[0].name, "b");
  EXPECT_THAT(plan.others, ElementsAre(std::pair{Kind::acl, std::string("x")}));
}

TEST(Plan, WhatIsNewIsThereBeforeWhatIsOldGoes) {
  const Plan plan = make_plan({{filter("new")}, {filter("old")}, {}, {Kind::acl}});
  ASSERT_EQ(plan.steps.size(), 2u);
  EXPECT_EQ(plan.steps[0].what, What::create);
  EXPECT_EQ(plan.steps[1].what, What::erase);
}

// Whatever is there and whatever is wanted: afterwards the wanted filters stand in their order, others stay.
TEST(Plan, AnyOrderBecomesTheWantedOne) {
  std::mt19937 random(7);  // NOLINT: the same each time
  const std::vector<std::string> names{"a", "b", "c", "d", "e", "f"};
  for (int round = 0; round < 500; ++round) {
    const auto some = [&] {
      std::vector<std::string> all = names;
      std::shuffle(all.begin(), all.end(), random);
      all.resize(random() % (names.size() + 1));
      std::vector<Entry> entries;
      for (const auto& name : all) entries.push_back(filter(name));
      return entries;
    };
    const std::vector<Entry> wanted = some(), present = some();
    std::set<std::pair<Kind, std::string>> kept;
    for (const auto& name : names) kept.insert({Kind::acl, name});
    const Plan plan = make_plan({wanted, present, kept, {}});
    const auto after = carried_out(present, plan);
    std::vector<std::string> ours;
    for (const auto& name : names_of(after)) {
      const auto all = names_of(wanted);
      if (std::find(all.begin(), all.end(), name) != all.end()) ours.push_back(name);
    }
    ASSERT_EQ(ours, names_of(wanted)) << round;
    ASSERT_THAT(make_plan({wanted, after, kept, {}}).steps, IsEmpty()) << round;
    ASSERT_GE(after.size(), present.size());
  }
}

TEST(Difference, ShowsTheLeavesThatChange) {
  const PlanStep step{What::replace, Kind::alias, "web", alias("web", "203.0.113.9/32"), {}};
  const Instance before = alias("web").config;
  EXPECT_EQ(difference(step, &before),
            "~ alias 'web'\n    - target-prefix: 203.0.113.1/32\n    + target-prefix: 203.0.113.9/32\n");
  EXPECT_EQ(difference({What::erase, Kind::alias, "web", std::nullopt, {}}, &before),
            "- alias 'web'\n    - target-prefix: 203.0.113.1/32\n");
  const PlanStep moved{What::move, Kind::acl, "x", filter("x"), {Placement::Where::after, {"y"}}};
  EXPECT_EQ(difference(moved, nullptr), "~ filter 'x' moves, behind 'y'\n");
  EXPECT_THAT(difference({What::create, Kind::acl, "x", filter("x"), {}}, nullptr),
              HasSubstr("    + aces/ace[name='r']/actions/forwarding: drop\n"));
}

// A-094: the form of the draft's sample, trailing commas included.
TEST(AliasImport, AddressesWithPortsOfBothFamiliesAndUris) {
  const auto read = import_aliases(R"({
    "https1": ["203.0.113.1:443", "[2001:db8:1::1]:443",],
    "proxies": ["203.0.113.3:3128", "203.0.113.4:8080"],
    "net": ["203.0.113.0/25:53", "2001:db8:2::/48"],
    "api": "https://api.example.net/v1",
  })");
  ASSERT_TRUE(read) << read.error().message;
  std::map<std::string, std::string> all;
  for (const Entry& entry : *read) all[name_of(entry.config)] = text_of(entry.config);
  EXPECT_EQ(all.size(), 6u);
  EXPECT_EQ(all["https1"], R"({"name":"https1","target-prefix":["203.0.113.1/32","2001:db8:1::1/128"],)"
                           R"("target-port-range":[{"lower-port":443}]})");
  EXPECT_EQ(all["proxies-3128"],
            R"({"name":"proxies-3128","target-prefix":["203.0.113.3/32"],"target-port-range":[{"lower-port":3128}]})");
  EXPECT_THAT(all["proxies-8080"], HasSubstr("203.0.113.4/32"));
  EXPECT_THAT(all["net-53"], HasSubstr("203.0.113.0/25"));
  EXPECT_EQ(all["net-any"], R"({"name":"net-any","target-prefix":["2001:db8:2::/48"]})");
  EXPECT_EQ(all["api"], R"({"name":"api","target-uri":["https://api.example.net/v1"]})");  // A-095
}

TEST(AliasImport, WhatIsNoServiceIsNamed) {
  const auto why = [](const std::string& text) {
    const auto read = import_aliases(text);
    return read ? std::string("taken") : read.error().message;
  };
  EXPECT_THAT(why(R"({"a":["203.0.113.1:70000"]})"), HasSubstr("'203.0.113.1:70000'"));
  EXPECT_THAT(why(R"({"a":["2001:db8::1:443:x"]})"), HasSubstr("no address:port"));
  EXPECT_THAT(why(R"({"a":["somewhere"]})"), HasSubstr("'somewhere'"));
  EXPECT_THAT(why(R"({"a":[7]})"), HasSubstr("an element"));
  EXPECT_THAT(why(R"({"a":[]})"), HasSubstr("no services"));
  EXPECT_THAT(why(R"({"a":["127.0.0.1:80"]})"), HasSubstr("127.0.0.1/32"));
  EXPECT_THAT(why("[1,]"), HasSubstr("object"));
  EXPECT_THAT(why("{"), HasSubstr("no JSON"));
  EXPECT_EQ(why(R"({"a,]}":["203.0.113.1"]})"), "taken");  // a comma inside a text is no last comma
}

TEST(Documents, HoldBothKindsAndNameWhatIsWrong) {
  std::set<Kind> kinds;
  const auto both =
      read_document(R"({"ietf-dots-data-channel:aliases":{"alias":[{"name":"a","target-prefix":["203.0.113.1/32"]}]},)"
                    R"("ietf-dots-data-channel:acls":{}})",
                    &kinds);
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(both->size(), 1u);
  EXPECT_EQ(kinds.size(), 2u);
  for (const char* bad :
       {R"({"aliases":{}})", "[]", "{}", R"({"ietf-dots-data-channel:cuid":"x"})",
        R"({"ietf-dots-data-channel:alias":[{"name":"a"}]})",
        R"({"ietf-dots-data-channel:alias":[{"name":"a","target-prefix":"203.0.113.1/32"}]})",
        R"({"ietf-dots-data-channel:alias":[{"name":"a","target-fqdn":["a.example"],"target-protocol":["6"]}]})"}) {
    EXPECT_FALSE(read_document(bad)) << bad;  // R7951-4-01, R7951-5.3-01, R7951-6.1-01
  }
}

// D8783-4.3-26, R7951-6.3-01, R7951-6.4-01, R7951-6.5-01, R7951-6.8-01
TEST(Documents, ValuesHaveTheFormsOfRfc7951) {
  const auto acl = [](const std::string& actions, const std::string& more = "") {
    return read_entry(Kind::acl,
                      R"({"name":"x")" + more + R"(,"aces":{"ace":[{"name":"r","actions":{)" + actions + "}}]}}");
  };
  const auto limited = acl(R"("forwarding":"ietf-access-control-list:accept","rate-limit":"20.5")");
  ASSERT_TRUE(limited) << limited.error().message;
  EXPECT_THAT(text_of(*limited), HasSubstr(R"("rate-limit":"20.50")"));
  EXPECT_FALSE(acl(R"("forwarding":"accept","rate-limit":20.5)"));
  EXPECT_FALSE(acl(R"("forwarding":"accept","rate-limit":"20.001")"));
  EXPECT_FALSE(acl(R"("forwarding":"drop")", R"(,"activation-type":2)"));
}

// R8040-3.1-04
TEST(HostMeta, TheRestconfLinkCountsAndNoOther) {
  const auto root = [](const std::string& text) {
    const auto found = root_of(text, "dots.example.net:8443");
    return found ? *found : "! " + found.error().message;
  };
  EXPECT_EQ(root("<XRD><Link rel='lrdd' href='/a'/><Link href=\"/top/restconf/\" rel=\"restconf\"/></XRD>"),
            "/top/restconf");
  EXPECT_EQ(root("<x:XRD><x:Link\n rel = 'restconf'\n href = '/r&amp;c'></x:Link></x:XRD>"), "/r&c");
  EXPECT_EQ(root("<Link rel='restconf' href='/&amp;amp;a&amp;&am'/>"), "/&amp;a&&am");
  EXPECT_EQ(root("<XRD><!-- <Link rel='restconf' href='/no'/> --><Link rel='restconf' href='/yes'/></XRD>"), "/yes");
  EXPECT_EQ(root("<Link rel='restconf' href='https://dots.example.net:8443/r'/>"), "/r");
  EXPECT_THAT(root("<Link rel='restconf' href='https://evil.example/r'/>"), HasSubstr("another server"));
  EXPECT_THAT(root("<Link rel='restconf' href='http://dots.example.net:8443/r'/>"), HasSubstr("no path"));
  EXPECT_THAT(root("<Link rel='restconf' href='/a b'/>"), HasSubstr("no path"));
  EXPECT_THAT(root("<Link rel='restconf' href='/a\r\nX: y'/>"), HasSubstr("no path"));
  EXPECT_THAT(root("<Link rel='restconf'/>"), HasSubstr("no href"));
  EXPECT_THAT(root("<Link rel='restconf"), HasSubstr("no restconf root"));
  EXPECT_THAT(root(""), HasSubstr("no restconf root"));
}

// A8783-01: servers print single entries in either form.
TEST(Answers, SingleEntriesInBothFormsAreRead) {
  const std::string entry = R"([{"name":"a","target-fqdn":["a.example"],"pending-lifetime":7,"example:x":1}])";
  for (const std::string& body : {R"({"ietf-dots-data-channel:alias":)" + entry + "}",
                                  R"({"ietf-dots-data-channel:aliases":{"alias":)" + entry + "}}"}) {
    const auto read = single_entry(Kind::alias, "a", body);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(text_of(*read), R"({"name":"a","target-fqdn":["a.example"]})");
    EXPECT_EQ(listed(Kind::alias, body)->front().pending_lifetime_min, 7);
  }
  EXPECT_TRUE(listed(Kind::acl, R"({"ietf-dots-data-channel:acls":{}})")->empty());
  EXPECT_FALSE(listed(Kind::acl, "{}"));
  EXPECT_FALSE(listed(Kind::acl, R"({"ietf-dots-data-channel:acls":{"acl":[{}]}})"));
  EXPECT_FALSE(single_entry(Kind::alias, "a", R"({"ietf-dots-data-channel:alias":[]})"));
}

// What a server writes into values gets to people's screens as text alone.
TEST(Answers, WhyAnEntryCannotBeReadIsPlainText) {
  const std::string matches = R"({"ipv4":{"destination-ipv4-network":"198.51.100.0\u001b[2J/24"}})";
  const auto odd = single_entry(Kind::acl, "a",
                                R"({"ietf-dots-data-channel:acl":[{"name":"a","aces":{"ace":[{"name":"r","matches":)" +
                                    matches + R"(,"actions":{"forwarding":"drop"}}]}}]})");
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().message.find('\x1b'), std::string::npos);
  EXPECT_THAT(odd.error().message, HasSubstr("cannot be read"));
}

TEST(Answers, AnEntryOfAnotherNameIsNotWhatWasAskedFor) {
  const std::string body = R"({"ietf-dots-data-channel:alias":[{"name":"a","target-fqdn":["a.example"]}]})";
  EXPECT_TRUE(single_entry(Kind::alias, "a", body));
  const auto other = single_entry(Kind::alias, "b", body);
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("about 'a', and 'b'"));
}

TEST(Answers, AListNamesEverybodyOnceAndIsBounded) {
  const auto list = [](std::size_t number, const std::function<std::string(std::size_t)>& name) {
    std::string body = R"({"ietf-dots-data-channel:acls":{"acl":[)";
    for (std::size_t i = 0; i < number; ++i) body += std::string(i ? "," : "") + R"({"name":")" + name(i) + "\"}";
    const auto read = listed(Kind::acl, body + "]}}");
    return read ? std::to_string(read->size()) : read.error().message;
  };
  const auto number = [](std::size_t i) { return std::to_string(i); };
  EXPECT_THAT(list(2, [](std::size_t) { return "x"; }), HasSubstr("filter 'x' twice"));
  EXPECT_EQ(list(100000, number), "100000");
  EXPECT_THAT(list(100001, number), HasSubstr("more than 100000"));
  EXPECT_THAT(list(200001, number), HasSubstr("no JSON"));  // too many values to be held at all
}

TEST(Answers, WhatIsReadBeforeWeAreKnownIsBounded) {
  const std::string link = "<Link rel='restconf' href='/r'/>";
  EXPECT_TRUE(root_of(link + std::string(65536 - link.size(), ' '), "dots.example.net"));
  const auto meta = root_of(link + std::string(65537 - link.size(), ' '), "dots.example.net");
  ASSERT_FALSE(meta);
  EXPECT_THAT(meta.error().message, HasSubstr("over the bound"));
  const std::string offer = R"({"ietf-dots-data-channel:capabilities":{}})";
  EXPECT_TRUE(read_capabilities(offer + std::string((1 << 20) - offer.size(), ' ')));
  const auto large = read_capabilities(offer + std::string((1 << 20) + 1 - offer.size(), ' '));
  ASSERT_FALSE(large);
  EXPECT_THAT(large.error().message, HasSubstr("over the bound"));
}

}  // namespace
}  // namespace dots::data::client
