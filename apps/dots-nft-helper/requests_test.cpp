// SPDX-License-Identifier: GPL-2.0-only
#include "requests.h"

#include <gtest/gtest.h>

namespace nfthelper {
namespace {

std::string error_of(const std::string& line) {
  Request request;
  std::string error;
  return parse_request(line, request, error) ? "" : error;
}

TEST(Requests, ARuleIsReadWithAllItsParts) {
  Request request;
  std::string error;
  ASSERT_TRUE(parse_request(R"({"id":7,"op":"apply","changes":[["+","limit","192.0.2.0/24",17,53,60,1000],
                                ["-","blackhole","2001:db8::/64",null,null,null,0]]})",
                            request, error))
      << error;
  EXPECT_EQ(request.id, 7);
  const auto& changes = std::get<Apply>(request.what).changes;
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_TRUE(changes[0].install);
  EXPECT_EQ(to_string(changes[0].rule), "limit 192.0.2.0/24 protocol 17 ports 53-60");
  EXPECT_EQ(changes[0].rule.bytes_per_s, 1000u);
  EXPECT_FALSE(changes[1].install);
  EXPECT_EQ(to_string(changes[1].rule), "blackhole 2001:db8::/64");
}

TEST(Requests, WhateverIsNotExactlyARequestIsRefused) {
  for (const char* line : {
           "",
           "{",
           "[]",
           R"({"op":"list"})",
           R"({"id":"1","op":"list"})",
           R"({"id":1})",
           R"({"id":1,"op":"nft"})",
           R"({"id":1,"op":"apply"})",
           R"({"id":1,"op":"apply","changes":{}})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/32",17,53,53]]})",
           R"({"id":1,"op":"apply","changes":[["*","drop","192.0.2.1/32",17,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","accept","192.0.2.1/32",17,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1",17,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/33",17,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/24",17,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/32; flush ruleset",17,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1\u0000/32",17,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/32",256,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/32",-1,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/32",17,53,52,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/32",17,53,65536,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/32",17,53,null,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/32",1,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/32",null,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","drop","192.0.2.1/32",17,53,53,5]]})",
           R"({"id":1,"op":"apply","changes":[["+","limit","192.0.2.1/32",17,53,53,0]]})",
           R"({"id":1,"op":"apply","changes":[["+","limit","192.0.2.1/32",17,53,53,16000000001]]})",
           R"({"id":1,"op":"apply","changes":[["+","limit","192.0.2.1/32",17,53,53,1.5]]})",
           R"({"id":1,"op":"apply","changes":[[[[["+"]]]]]})",
           R"({"id":1,"op":"exempt","pps":0,"list":[]})",
           R"({"id":1,"op":"exempt","pps":10})",
           R"({"id":1,"op":"exempt","pps":10,"list":[["192.0.2.1",0,"198.51.100.0/24"]]})",
           R"({"id":1,"op":"exempt","pps":10,"list":[["192.0.2.1",4646,"2001:db8::/64"]]})",
           R"({"id":1,"op":"exempt","pps":10,"list":[["192.0.2.1",4646]]})",
       }) {
    EXPECT_NE(error_of(line), "") << line;
  }
}

TEST(Requests, TheNumberOfChangesIsBounded) {
  std::string line = R"({"id":1,"op":"apply","changes":[)";
  for (std::size_t i = 0; i <= kMaxChanges; ++i) {
    line += std::string(i == 0 ? "" : ",") + R"(["+","drop","192.0.2.1/32",17,53,53,0])";
  }
  EXPECT_EQ(error_of(line + "]}"), "more than 4096 changes");
}

TEST(Requests, TableNamesNeedNoQuotes) {
  EXPECT_TRUE(valid_table_name("tidewall"));
  EXPECT_TRUE(valid_table_name("t2_x"));
  for (const char* name : {"", "Tidewall", "2t", "t-x", "t x", "t;x", "t\"", "abcdefghijklmnopqrstuvwxyzabcdefg"}) {
    EXPECT_FALSE(valid_table_name(name)) << name;
  }
}

}  // namespace
}  // namespace nfthelper
