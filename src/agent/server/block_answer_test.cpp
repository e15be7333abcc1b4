#include "agent/server/block_answer.h"

#include <gtest/gtest.h>

namespace dots::agent::server {
namespace {

using namespace std::chrono_literals;

base::SteadyTime at(base::Duration d) { return base::SteadyTime{d}; }

coap::Request get(std::optional<std::uint32_t> block2 = std::nullopt) {
  coap::Request request;
  request.uri_path = {".well-known", "dots", "mitigate", "cuid=x"};
  request.block2 = block2;
  return request;
}

coap::Response answer(std::size_t bytes) {
  coap::Response response;
  response.content_format = 271;
  for (std::size_t i = 0; i < bytes; ++i) response.payload.push_back(static_cast<std::uint8_t>(i * 7));
  return response;
}

TEST(BlockAnswer, WhatFitsIsNotCut) {
  BlockAnswer blocks;
  coap::Response response = answer(500);
  EXPECT_TRUE(blocks.first(get(), response, 1000, 65536, at(30s)));
  EXPECT_FALSE(response.block2);
  EXPECT_EQ(response.payload.size(), 500u);
}

// S9132-4.4.2-08, S9132-4.4.2-10, S9132-4.4.2-12, S9132-3-11: NUM 0 first, an ETag in all blocks, Size2 the length.
TEST(BlockAnswer, ALargeAnswerComesInBlocksOfOneRepresentation) {
  BlockAnswer blocks;
  coap::Response response = answer(2500);
  const base::Bytes whole = response.payload;
  ASSERT_TRUE(blocks.first(get(), response, 1100, 65536, at(30s)));
  EXPECT_EQ(*response.block2, 0u << 4 | 8u | 6u);
  EXPECT_EQ(*response.size2, 2500u);
  ASSERT_TRUE(response.etag);
  base::Bytes together = response.payload;
  for (std::uint32_t number = 1; number <= 2; ++number) {
    coap::Request next = get(number << 4 | 6u);
    next.etag = {*response.etag};
    const auto block = blocks.next(next, 1100, at(1s));
    ASSERT_TRUE(block);
    EXPECT_EQ(block->code, model::ResponseCode::content);
    EXPECT_EQ(block->etag, response.etag);
    EXPECT_EQ(*block->block2, number << 4 | (number == 2 ? 0u : 8u) | 6u);
    together.insert(together.end(), block->payload.begin(), block->payload.end());
  }
  EXPECT_EQ(together, whole);
}

// S9132-4.4.2-07: the client may bound the block size in its first request.
TEST(BlockAnswer, TheClientMayAskForSmallerBlocks) {
  BlockAnswer blocks;
  coap::Response response = answer(200);
  ASSERT_TRUE(blocks.first(get(0u << 4 | 2u), response, 1100, 65536, at(30s)));
  EXPECT_EQ(response.payload.size(), 64u);
  EXPECT_EQ(*response.block2, 8u | 2u);
}

TEST(BlockAnswer, OtherBlocksAreRefused) {
  BlockAnswer blocks;
  coap::Response response = answer(2500);
  ASSERT_TRUE(blocks.first(get(), response, 1100, 65536, at(30s)));
  EXPECT_EQ(blocks.next(get(9u << 4 | 6u), 1100, at(1s))->code, model::ResponseCode::bad_request);
  EXPECT_EQ(blocks.next(get(1u << 4 | 6u), 1100, at(30s))->code, model::ResponseCode::request_entity_incomplete);
  coap::Request other = get(1u << 4 | 6u);
  other.etag = {{1, 2, 3, 4}};
  EXPECT_EQ(blocks.next(other, 1100, at(1s))->code, model::ResponseCode::request_entity_incomplete);
  EXPECT_FALSE(blocks.next(get(0u << 4 | 6u), 1100, at(1s)));
}

// RFC 8323 section 6: SZX 7 counts in units of 1,024 bytes and carries as many as fit.
TEST(BlockAnswer, OverTcpOneMessageCarriesManyBlocks) {
  BlockAnswer blocks;
  coap::Response response = answer(9000);
  const base::Bytes whole = response.payload;
  ASSERT_TRUE(blocks.first(get(), response, 5000, 65536, at(30s), true));
  EXPECT_EQ(*response.block2, 0u << 4 | 8u | 7u);
  EXPECT_EQ(response.payload.size(), 4096u);
  base::Bytes together = response.payload;
  for (std::uint32_t number : {4u, 8u}) {
    const auto block = blocks.next(get(number << 4 | 7u), 5000, at(1s), true);
    ASSERT_TRUE(block);
    EXPECT_EQ(*block->block2, number << 4 | (number == 8 ? 0u : 8u) | 7u);
    together.insert(together.end(), block->payload.begin(), block->payload.end());
  }
  EXPECT_EQ(together, whole);
  EXPECT_EQ(blocks.next(get(4u << 4 | 7u), 5000, at(1s), false)->code, model::ResponseCode::bad_request) << "over UDP";
  coap::Response plain = answer(9000);
  ASSERT_TRUE(blocks.first(get(0u << 4 | 5u), plain, 5000, 65536, at(30s), true));
  EXPECT_EQ(plain.payload.size(), 512u) << "who asks for less gets less";
}

TEST(BlockAnswer, AnAnswerOverTheBoundIsRefused) {
  BlockAnswer blocks;
  coap::Response response = answer(2500);
  EXPECT_FALSE(blocks.first(get(), response, 1100, 2000, at(30s)));
}

}  // namespace
}  // namespace dots::agent::server
