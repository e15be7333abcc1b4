// SPDX-License-Identifier: GPL-2.0-only
#include "filters.h"

#include <gtest/gtest.h>

#include "filter_memo.h"
#include "filter_plan.h"
#include "requests.h"

namespace nfthelper {
namespace {

Prefix prefix(const char* text) { return *parse_prefix(text); }

// The texts of one entry, with a list whose destinations are these.
std::vector<std::string> texts(const FilterMatch& match, const std::vector<Prefix>& to, bool* gated = nullptr) {
  bool jumper_tests = false;
  std::vector<std::string> out;
  for (const MatchText& one : match_texts(match, to, maximal(to), jumper_tests)) out.push_back(one.text);
  if (gated != nullptr) *gated = jumper_tests;
  return out;
}

TEST(Filters, OneDestinationIsTestedByTheRuleSeveralByWhoJumpsThere) {
  using Texts = std::vector<std::string>;
  bool gated = true;
  EXPECT_EQ(texts({}, {prefix("192.0.2.0/24")}, &gated), (Texts{"meta nfproto ipv4 ip daddr 192.0.2.0/24 "}));
  EXPECT_FALSE(gated);
  EXPECT_EQ(texts({}, {prefix("192.0.2.0/24"), prefix("198.51.100.0/24"), prefix("2001:db8::/32")}, &gated),
            (Texts{"meta nfproto ipv4 ", "meta nfproto ipv6 ip6 daddr 2001:db8::/32 "}));
  EXPECT_TRUE(gated);
  EXPECT_EQ(texts({}, {prefix("192.0.2.0/24"), prefix("192.0.2.128/25")}, &gated),
            (Texts{"meta nfproto ipv4 ip daddr 192.0.2.0/24 "}));
  EXPECT_EQ(texts({}, {prefix("0.0.0.0/0")}), (Texts{"meta nfproto ipv4 "}));
}

TEST(Filters, WhatNoPacketCanBeTakesNoRule) {
  FilterMatch match;
  match.transport = Transport::udp;
  match.protocol = 6;
  EXPECT_TRUE(texts(match, {prefix("192.0.2.0/24")}).empty());
  match = {};
  match.family = Family::v6;
  EXPECT_TRUE(texts(match, {prefix("192.0.2.0/24")}).empty());
  match = {};
  match.transport = Transport::tcp;
  match.tcp_bits = Bits{true, false, 0};  // one of no bits
  EXPECT_TRUE(texts(match, {prefix("192.0.2.0/24")}).empty());
}

TEST(Filters, TwoUnequalPortsStayTwoTests) {
  FilterMatch match;
  match.transport = Transport::tcp;
  match.source_port = PortSpan{{80, 80}, true};
  match.destination_port = PortSpan{{53, 53}, true};
  EXPECT_EQ(texts(match, {prefix("192.0.2.0/24")}).at(0),
            "meta nfproto ipv4 ip daddr 192.0.2.0/24 meta l4proto 6 @th,0,16 != 80-80 @th,16,16 != 53-53 ");
}

FilterMemo memo(std::string domain, std::uint32_t place, std::string list, std::vector<Prefix> whole) {
  FilterMemo out;
  out.key = {std::move(domain), "cuid", std::move(list)};
  out.place = place;
  out.digest = "0123";
  out.whole = maximal(std::move(whole));
  out.entries = {{"entry", FilterAction::drop, 1, 0}};
  return out;
}

TEST(Filters, WhatIsRememberedOfAListReadsBack) {
  FilterMemo whole =
      memo("domain", 4'000'000'000, std::string("l\0;,/\"%\n\xff", 9), {prefix("::/0"), prefix("10.0.0.0/8")});
  whole.gated = true;
  whole.later = true;
  for (int i = 0; i < 300; ++i) {
    whole.entries.push_back({std::string(static_cast<std::size_t>(i), 'x') + " ;" + std::to_string(i),
                             static_cast<FilterAction>(i % 3), static_cast<std::size_t>(i), 7});
  }
  const auto comments = to_comments(whole);
  for (const std::string& comment : comments) {
    EXPECT_LE(comment.size(), 120u);
    EXPECT_EQ(comment.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._%/;,:"),
              std::string::npos);
  }
  EXPECT_EQ(from_comments(comments), whole);
  FilterMemo least;
  EXPECT_EQ(from_comments(to_comments(least)), least);

  for (std::size_t i = 0; i < comments.size(); i += 17) {
    auto spoiled = comments;
    spoiled[i][spoiled[i].size() / 2] ^= 1;
    EXPECT_EQ(from_comments(spoiled), std::nullopt) << i;
    spoiled = comments;
    spoiled.erase(spoiled.begin() + static_cast<long>(i));
    EXPECT_EQ(from_comments(spoiled), std::nullopt) << i;
  }
  EXPECT_EQ(from_comments({}), std::nullopt);
}

TEST(Filters, OnlyOurOwnNamesOfChainsAreOurs) {
  for (const std::string& name : {list_chain(0), list_chain(17), entry_chain(17, 4), later_chain(3), memo_chain(9),
                                  std::string("tw_d0123456789abcdef")}) {
    EXPECT_TRUE(parse_filter_chain(name)) << name;
  }
  for (const char* name : {"tw_f", "tw_f01", "tw_f1_", "tw_f1_e", "tw_f1_e01", "tw_f1_x", "tw_f1_m2", "tw_f-1", "tw_v4",
                           "tw_d", "tw_d0123456789abcde", "tw_d0123456789abcdeg", "tw_filter4_24", ""}) {
    EXPECT_FALSE(parse_filter_chain(name)) << name;
  }
}

TEST(Filters, ListsAreFoundByDomainAndPrefixInTheirOrder) {
  const NumberedMemos lists = {{1, memo("a", 2, "x", {prefix("192.0.2.0/24"), prefix("192.0.2.7/32")})},
                               {2, memo("a", 1, "y", {prefix("192.0.2.7/32"), prefix("10.0.0.0/8")})},
                               {3, memo("b", 0, "z", {prefix("192.0.2.0/24")})},
                               {4, memo("a", 1, "u", {prefix("10.0.0.0/8")})}};
  const FilterDispatch dispatch = dispatch_of(lists);
  ASSERT_EQ(dispatch.elements.size(), 2u);  // what lies in another prefix of the same domain needs none
  const auto order = [&](const char* text) {
    std::string out;
    for (const auto& jump : dispatch.groups.at(dispatch.elements.at(prefix(text)))) out += std::to_string(jump.number);
    return out;
  };
  EXPECT_EQ(order("10.0.0.0/8"), "421");
  EXPECT_EQ(order("192.0.2.0/24"), "4213");
}

TEST(Filters, AListThatLeavesTheTestToTheJumpIsTestedThereUnlessItIsAllOfItsDomain) {
  NumberedMemos lists = {{1, memo("a", 0, "x", {prefix("192.0.2.0/24"), prefix("10.0.0.0/8")})}};
  lists.at(1).gated = true;
  const auto jumps = [&] { return dispatch_of(lists).groups.begin()->second; };
  ASSERT_EQ(jumps().size(), 1u);
  EXPECT_EQ(jumps()[0].text, "jump tw_f1");
  lists.emplace(2, memo("a", 1, "y", {prefix("2001:db8::/32")}));
  ASSERT_EQ(jumps().size(), 3u);
  EXPECT_EQ(jumps()[0].text, "ip daddr 10.0.0.0/8 jump tw_f1");
  EXPECT_EQ(jumps()[1].text, "ip daddr 192.0.2.0/24 jump tw_f1");
  EXPECT_EQ(jumps()[2].text, "jump tw_f2");
  for (int i = 0; i < 2000; ++i) {
    lists.at(1).whole.push_back(
        prefix(("172.16." + std::to_string(i / 256) + "." + std::to_string(i % 256) + "/32").c_str()));
  }
  EXPECT_EQ(over_gated(dispatch_of(lists)), 1u);
}

std::string error_of(const std::string& change) {
  Request request;
  std::string error;
  return parse_request(R"({"id":1,"op":"filters","changes":[)" + change + "]}", request, error) ? "" : error;
}
std::string with_entry(const std::string& entry) {
  return error_of(R"({"key":["d","c","l"],"place":0,"digest":"ab","to":[["192.0.2.0/24"]],"entries":[)" + entry + "]}");
}

TEST(FilterRequests, AnEntryIsReadWithAllItsParts) {
  EXPECT_EQ(with_entry(R"({"name":"e","do":"limit","rate":1000,"to":0,"family":4,"src":"198.51.100.0/24","protocol":6,
      "dst":"192.0.2.0/25","fragment":[true,false,15],"dscp":63,"ecn":3,"ttl":255,"length":65535,"ihl":15,"flags":7,
      "offset":8191,"id":65535,"tcp":{"sport":[0,65535,true],"dport":[53,53,false],"bits":[false,true,4095],
      "seq":4294967295,"ack":0,"doff":15,"reserved":15,"flags":255,"window":65535,"urgent":65535}})"),
            "");
  EXPECT_EQ(with_entry(R"({"name":"","do":"drop","to":0,"flow":1048575,"udp":{"length":8}})"), "");
  EXPECT_EQ(with_entry(R"({"name":"e","do":"accept","to":0,"icmp":{"family":6,"type":255,"code":255,"rest":"00ff"}})"),
            "");
  EXPECT_EQ(error_of(R"({"key":["d","c","l"]})"), "");
}

TEST(FilterRequests, WhateverIsNotExactlyAnEntryIsRefusedWithItsName) {
  for (const char* rest : {
           R"("do":"reject","to":0)",
           R"("do":"drop")",
           R"("do":"drop","to":1)",
           R"("do":"drop","to":-1)",
           R"("do":"drop","to":0,"rate":5)",
           R"("do":"limit","to":0)",
           R"("do":"limit","to":0,"rate":0)",
           R"("do":"limit","to":0,"rate":16000000001)",
           R"("do":"drop","to":0,"nft":"flush ruleset")",
           R"("do":"drop","to":0,"family":5)",
           R"("do":"drop","to":0,"src":"192.0.2.1/24")",
           R"("do":"drop","to":0,"src":"192.0.2.1; drop")",
           R"("do":"drop","to":0,"dscp":64)",
           R"("do":"drop","to":0,"ihl":16)",
           R"("do":"drop","to":0,"offset":8192)",
           R"("do":"drop","to":0,"flags":8)",
           R"("do":"drop","to":0,"flow":1048576)",
           R"("do":"drop","to":0,"ttl":-1)",
           R"("do":"drop","to":0,"ttl":"1")",
           R"("do":"drop","to":0,"ttl":1.5)",
           R"("do":"drop","to":0,"fragment":[false,false,16])",
           R"("do":"drop","to":0,"fragment":[false,false])",
           R"("do":"drop","to":0,"tcp":[])",
           R"("do":"drop","to":0,"tcp":{},"udp":{})",
           R"("do":"drop","to":0,"tcp":{"sport":[2,1,false]})",
           R"("do":"drop","to":0,"tcp":{"sport":[1,65536,false]})",
           R"("do":"drop","to":0,"tcp":{"bits":[false,false,4096]})",
           R"("do":"drop","to":0,"tcp":{"options":"01"})",
           R"("do":"drop","to":0,"udp":{"bits":[false,false,1]})",
           R"("do":"drop","to":0,"icmp":{"dport":[1,1,false]})",
           R"("do":"drop","to":0,"icmp":{"rest":"0"})",
           R"("do":"drop","to":0,"icmp":{"rest":"0G"})",
       }) {
    const std::string error = with_entry(R"({"name":"the entry",)" + std::string(rest) + "}");
    EXPECT_NE(error.find("filter list 'l' of cuid c of domain d: entry 'the entry': "), std::string::npos)
        << rest << " gave " << error;
  }
}

TEST(FilterRequests, WhateverIsNotExactlyAListIsRefused) {
  const std::string key = R"("key":["d","c","l"])";
  for (const std::string& change : {std::string("[]"), std::string("{}"), std::string(R"({"key":["d","c"]})"),
                                    std::string(R"({"key":["d","c",1]})"), "{" + key + R"(,"place":0})",
                                    "{" + key + R"(,"place":0,"digest":"ab","to":[]})",
                                    "{" + key + R"(,"place":-1,"digest":"ab","to":[],"entries":[]})",
                                    "{" + key + R"(,"place":0,"digest":"x\"","to":[],"entries":[]})",
                                    "{" + key + R"(,"place":0,"digest":"","to":[],"entries":[]})",
                                    "{" + key + R"(,"place":0,"digest":"ab","to":[[]],"entries":[]})",
                                    "{" + key + R"(,"place":0,"digest":"ab","to":[["192.0.2.1"]],"entries":[]})",
                                    "{" + key + R"(,"place":0,"digest":"ab","to":[],"entries":{}})",
                                    R"({"key":["d","c",")" + std::string(1025, 'l') + R"("]})"}) {
    EXPECT_NE(error_of(change), "") << change.substr(0, 100);
  }
  EXPECT_EQ(error_of("{" + key + R"(,"place":0,"digest":"ab","to":[],"entries":[]})"), "");
}

TEST(FilterRequests, TheNumberOfEntriesAtOnceIsBounded) {
  std::string entries;
  for (std::size_t i = 0; i <= kMaxFilterEntriesAtOnce / 2; ++i) {
    entries += std::string(i == 0 ? "" : ",") + R"({"name":"e","do":"drop","to":0})";
  }
  const auto list = [&](const char* name) {
    return R"({"key":["d","c",")" + std::string(name) + R"("],"place":0,"digest":"ab","to":[["::/0"]],"entries":[)" +
           entries + "]}";
  };
  EXPECT_EQ(error_of(list("a")), "");
  EXPECT_EQ(error_of(list("a") + "," + list("b")),
            "filter list 'b' of cuid c of domain d: more than 16384 entries at once");
}

}  // namespace
}  // namespace nfthelper
