#include "coap/block_transfer.h"

#include <gtest/gtest.h>

#include "coap/body_assembly.h"

namespace dots::coap {
namespace {

using namespace std::chrono_literals;
using model::ResponseCode;

base::Bytes bytes(std::size_t count, unsigned seed = 0) {
  base::Bytes out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(static_cast<std::uint8_t>((i + seed) * 7 + i / 256));
  return out;
}

Request get() {
  Request request;
  request.uri_path = {".well-known", "dots", "mitigate", "cuid=c"};
  request.uri_query = {"c=n"};
  return request;
}
Request put(std::size_t size, unsigned seed = 0) {
  Request request;
  request.method = wire::Method::put;
  request.uri_path = {".well-known", "dots", "mitigate", "cuid=c", "mid=1"};
  request.content_format = 271;
  request.payload = bytes(size, seed);
  return request;
}

// The block of `whole` that `request` asks for; `exponent` bounds its size.
Response part(const base::Bytes& whole, const Request& request, std::uint8_t exponent, base::Bytes etag = {1, 2}) {
  Block block{0, false, exponent};
  if (request.block2) block = Block::of(*request.block2);
  block.size_exponent = std::min(block.size_exponent, exponent);
  const std::size_t end = std::min(block.offset() + block.unit(), whole.size());
  block.more = end < whole.size();
  Response response;
  response.content_format = 271;
  response.etag = std::move(etag);
  response.block2 = block.value();
  response.payload.assign(whole.begin() + static_cast<std::ptrdiff_t>(block.offset()),
                          whole.begin() + static_cast<std::ptrdiff_t>(end));
  return response;
}
Response bare(ResponseCode code) {
  Response response;
  response.code = code;
  return response;
}

TEST(Block, ValueAndSizes) {
  const Block block = Block::of(5U << 4U | 8U | 3U);
  EXPECT_EQ(block.number, 5U);
  EXPECT_TRUE(block.more);
  EXPECT_EQ(block.unit(), 128U);
  EXPECT_EQ(block.offset(), 640U);
  EXPECT_EQ(block.value(), 5U << 4U | 8U | 3U);
  EXPECT_TRUE(block.allows(128));
  EXPECT_FALSE(block.allows(127));
  const Block bert{2, true, Block::kBert};
  EXPECT_EQ(bert.offset(), 2048U);
  EXPECT_TRUE(bert.allows(3072));
  EXPECT_FALSE(bert.allows(3000));
  EXPECT_FALSE(bert.allows(0));
  EXPECT_EQ(exponent_for(1100), 6);
  EXPECT_EQ(exponent_for(100), 2);
  EXPECT_EQ(full_block(Block::kBert, 5000), 4096U);
}

// S9132-4.4.2-09, S9132-4.4.2-11: later requests use the size that the server indicated and name its ETag; none of them
// asks for an observation.
TEST(BlockTransfer, AnAnswerIsFetchedInTheServersBlocks) {
  const base::Bytes whole = bytes(1000);
  Request request = get();
  request.observe = 0;
  Response first = part(whole, request, 5);
  ASSERT_TRUE(comes_in_blocks(first));
  BlockTransfer transfer{request};
  first.size2 = 1000;
  ASSERT_FALSE(transfer.on_response(first));
  Request next = transfer.next();
  EXPECT_EQ(next.block2, 1U << 4U | 5U);
  EXPECT_EQ(next.etag, std::vector<base::Bytes>{(base::Bytes{1, 2})});
  EXPECT_FALSE(next.observe);
  EXPECT_EQ(next.uri_query, get().uri_query);
  EXPECT_EQ(next.uri_path, get().uri_path);
  const auto done = transfer.on_response(part(whole, next, 5));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->payload, whole);
}

TEST(BlockTransfer, TheWholeIsWhatTheServerCut) {
  for (std::uint8_t exponent = 0; exponent <= 6; ++exponent) {
    for (const std::size_t size : {17U, 64U, 1024U, 2048U, 2500U}) {
      const base::Bytes whole = bytes(size);
      BlockTransfer transfer{get()};
      std::optional<Response> done;
      int messages = 0;
      while (!done && ++messages < 200) done = transfer.on_response(part(whole, transfer.next(), exponent));
      ASSERT_TRUE(done) << size;
      EXPECT_EQ(done->payload, whole);
      EXPECT_EQ(done->content_format, 271);
      EXPECT_FALSE(done->block2);
    }
  }
}

// S9132-4.4.2-10: two representations are never mixed.
TEST(BlockTransfer, AnotherEtagBeginsAgain) {
  const base::Bytes old = bytes(1000), fresh = bytes(1000, 3);
  BlockTransfer transfer{get()};
  ASSERT_FALSE(transfer.on_response(part(old, get(), 4)));
  ASSERT_FALSE(transfer.on_response(part(old, transfer.next(), 4)));
  ASSERT_FALSE(transfer.on_response(part(fresh, transfer.next(), 4, {9})));
  EXPECT_EQ(Block::of(*transfer.next().block2).number, 0U);
  EXPECT_TRUE(transfer.next().etag.empty());
  std::optional<Response> done;
  for (int i = 0; i < 10 && !done; ++i) done = transfer.on_response(part(fresh, transfer.next(), 4, {9}));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->payload, fresh);
}

TEST(BlockTransfer, AServerThatForgetsIsAskedAgainSomeTimes) {
  const base::Bytes whole = bytes(1000);
  BlockTransfer transfer{get(), {65536, 2}};
  for (int i = 0; i < 2; ++i) {
    ASSERT_FALSE(transfer.on_response(part(whole, transfer.next(), 5)));
    ASSERT_FALSE(transfer.on_response(bare(ResponseCode::request_entity_incomplete)));
  }
  ASSERT_FALSE(transfer.on_response(part(whole, transfer.next(), 5)));
  const auto given_up = transfer.on_response(bare(ResponseCode::request_entity_incomplete));
  ASSERT_TRUE(given_up);
  EXPECT_EQ(given_up->code, ResponseCode::internal_server_error);
}

TEST(BlockTransfer, WhatNeverEndsIsBounded) {
  BlockTransfer transfer{get(), {2000, 2}};
  const base::Bytes endless = bytes(1U << 16U);
  std::optional<Response> done;
  int messages = 0;
  while (!done && ++messages < 100) done = transfer.on_response(part(endless, transfer.next(), 6));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, ResponseCode::internal_server_error);
  EXPECT_EQ(messages, 2);
  BlockTransfer announced{get(), {2000, 2}};
  Response first = part(endless, get(), 6);
  first.size2 = 65536;
  EXPECT_TRUE(announced.on_response(first)) << "its Size2 says so at once";
}

TEST(BlockTransfer, ABlockOfAWrongLengthIsNoAnswer) {
  BlockTransfer transfer{get()};
  Response first = part(bytes(1000), get(), 4);
  first.payload.pop_back();
  const auto done = transfer.on_response(first);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, ResponseCode::internal_server_error);
}

TEST(BlockTransfer, AnErrorInTheMiddleIsTheAnswer) {
  BlockTransfer transfer{get()};
  ASSERT_FALSE(transfer.on_response(part(bytes(1000), get(), 4)));
  const auto done = transfer.on_response(bare(ResponseCode::not_found));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, ResponseCode::not_found);
}

TEST(BlockTransfer, ANewerAnswerIsFetchedInstead) {
  const base::Bytes old = bytes(1000), fresh = bytes(300, 5);
  BlockTransfer transfer{get()};
  ASSERT_FALSE(transfer.on_response(part(old, get(), 4)));
  const Request asked = transfer.next();
  transfer.begin_again(true);
  ASSERT_FALSE(transfer.on_response(part(old, asked, 4)));
  EXPECT_EQ(transfer.next().block2, std::uint32_t{4});
  ASSERT_FALSE(transfer.on_response(part(fresh, transfer.next(), 4, {7})));
  const auto done = transfer.on_response(part(fresh, transfer.next(), 4, {7}));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->payload, fresh);
}

// A client's transfer and a server's assembly, one message after the other; `lose` drops answers, and the same block
// comes again.
struct Pair {
  BodyAssembly server{BodyLimits{}};
  base::SteadyTime now{1000s};
  std::vector<Request> sent;
  std::optional<Request> whole;

  std::optional<Response> run(BlockTransfer& client, bool reliable = false, unsigned lose = 0) {
    std::optional<Response> done;
    for (unsigned i = 1; i < 500 && !done; ++i) {
      now += 1s;
      const Request request = client.next();
      sent.push_back(request);
      auto taken = server.take(request, reliable, now);
      Response response;
      if (auto* complete = std::get_if<Request>(&taken)) {
        whole = std::move(*complete);
        response.code = ResponseCode::changed;
        response.block1 = request.block1;
      } else {
        response = std::get<Response>(taken);
      }
      if (lose != 0 && i % lose == 0) continue;
      done = client.on_response(response);
    }
    return done;
  }
};

// RFC 7959 2.5, Figure 7.
TEST(Block1, ABodyArrivesWhole) {
  Pair pair;
  BlockTransfer client{put(2500)};
  client.split(1100, false);
  const auto done = pair.run(client);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, ResponseCode::changed);
  ASSERT_EQ(pair.sent.size(), 3U);
  EXPECT_EQ(pair.sent[0].block1, 0U << 4U | 8U | 6U);
  EXPECT_EQ(pair.sent[0].size1, 2500U);
  EXPECT_EQ(pair.sent[1].block1, 1U << 4U | 8U | 6U);
  EXPECT_FALSE(pair.sent[1].size1);
  EXPECT_EQ(pair.sent[2].block1, 2U << 4U | 6U);
  ASSERT_TRUE(pair.whole);
  EXPECT_EQ(pair.whole->payload, put(2500).payload);
  EXPECT_EQ(pair.whole->uri_path, put(0).uri_path);
  EXPECT_EQ(pair.whole->content_format, 271);
}

TEST(Block1, RepeatedBlocksChangeNothing) {
  for (unsigned lose = 2; lose <= 5; ++lose) {
    Pair pair;
    BlockTransfer client{put(5000)};
    client.split(300, false);
    ASSERT_TRUE(pair.run(client, false, lose)) << lose;
    EXPECT_EQ(pair.whole->payload, put(5000).payload);
  }
}

// RFC 8323 section 6.
TEST(Block1, OverTcpOneMessageCarriesManyBlocks) {
  Pair pair;
  BlockTransfer client{put(9000)};
  client.split(4200, true);
  ASSERT_TRUE(pair.run(client, true));
  ASSERT_EQ(pair.sent.size(), 3U);
  EXPECT_EQ(pair.sent[1].block1, 4U << 4U | 8U | 7U);
  EXPECT_EQ(pair.sent[1].payload.size(), 4096U);
  EXPECT_EQ(pair.whole->payload, put(9000).payload);
}

TEST(Block1, TheServerMayWantSmallerBlocks) {
  BlockTransfer client{put(300)};
  client.split(128, false);
  Response go_on = bare(ResponseCode::continue_);
  go_on.block1 = 8U | 1U;  // 32 bytes (RFC 7959 Figure 8)
  ASSERT_FALSE(client.on_response(go_on));
  EXPECT_EQ(client.next().block1, 4U << 4U | 8U | 1U);
  EXPECT_EQ(client.next().payload.size(), 32U);

  BlockTransfer refused{put(300)};
  refused.split(128, false);
  Response too_large = bare(ResponseCode::request_entity_too_large);
  too_large.block1 = 2U;
  ASSERT_FALSE(refused.on_response(too_large));
  EXPECT_EQ(refused.next().block1, 8U | 2U);
  EXPECT_TRUE(refused.on_response(bare(ResponseCode::request_entity_too_large))) << "without a size it is final";
}

TEST(Block1, AServerThatForgotGetsTheBodyAgain) {
  Pair pair;
  BlockTransfer client{put(1000)};
  client.split(300, false);
  ASSERT_FALSE(client.on_response(std::get<Response>(pair.server.take(client.next(), false, pair.now))));
  pair.now += 300s;  // its time is over
  ASSERT_TRUE(pair.run(client));
  EXPECT_EQ(pair.whole->payload, put(1000).payload);
}

ResponseCode code(std::variant<Request, Response> taken) {
  const auto* response = std::get_if<Response>(&taken);
  return response == nullptr ? ResponseCode::changed : response->code;
}
Request block(std::uint32_t number, bool more, std::size_t size, std::uint8_t exponent = 2, unsigned seed = 0) {
  Request request = put(size, seed);
  request.block1 = Block{number, more, exponent}.value();
  return request;
}

// S9132-9-06: blocks that were not sent.
TEST(BodyAssembly, BlocksComeInOrder) {
  BodyAssembly server{BodyLimits{}};
  const base::SteadyTime now{1s};
  EXPECT_EQ(code(server.take(block(1, true, 64), false, now)), ResponseCode::request_entity_incomplete);
  EXPECT_EQ(code(server.take(block(0, true, 64), false, now)), ResponseCode::continue_);
  EXPECT_EQ(code(server.take(block(2, false, 64), false, now)), ResponseCode::request_entity_incomplete);
  EXPECT_EQ(code(server.take(block(1, false, 10), false, now)), ResponseCode::changed);
  EXPECT_EQ(code(server.take(block(1, false, 10), false, now)), ResponseCode::changed) << "its answer was lost";
  EXPECT_EQ(code(server.take(block(1, false, 10, 2, 1), false, now)), ResponseCode::request_entity_incomplete);
  EXPECT_EQ(code(server.take(block(0, false, 10), false, now)), ResponseCode::changed) << "whole in one block";
}

TEST(BodyAssembly, LengthsAndSizesAreChecked) {
  BodyAssembly server{BodyLimits{}};
  const base::SteadyTime now{1s};
  EXPECT_EQ(code(server.take(block(0, true, 63), false, now)), ResponseCode::bad_request);
  EXPECT_EQ(code(server.take(block(0, false, 65), false, now)), ResponseCode::bad_request);
  EXPECT_EQ(code(server.take(block(0, true, 1024, 7), false, now)), ResponseCode::bad_request) << "BERT over UDP";
  EXPECT_EQ(code(server.take(block(0, true, 1024, 7), true, now)), ResponseCode::continue_);
  EXPECT_EQ(code(server.take(block(0, true, 1000, 7), true, now)), ResponseCode::bad_request);
}

// S9132-9-08: 4.13 with the size that would be taken.
TEST(BodyAssembly, ABodyIsBounded) {
  BodyAssembly server{BodyLimits{128, 4, 247s}};
  const base::SteadyTime now{1s};
  Request announced = block(0, true, 64);
  announced.size1 = 129;
  const auto refusal = std::get<Response>(server.take(announced, false, now));
  EXPECT_EQ(refusal.code, ResponseCode::request_entity_too_large);
  EXPECT_EQ(refusal.size1, 128U);
  EXPECT_TRUE(server.empty());
  EXPECT_EQ(code(server.take(block(0, true, 64), false, now)), ResponseCode::continue_);
  EXPECT_EQ(code(server.take(block(1, true, 64), false, now)), ResponseCode::continue_);
  EXPECT_EQ(code(server.take(block(2, false, 1), false, now)), ResponseCode::request_entity_too_large);
  EXPECT_TRUE(server.empty());
}

TEST(BodyAssembly, TransfersAreKeptApartAndBounded) {
  BodyAssembly server{BodyLimits{256, 3, 247s}};
  const base::SteadyTime now{1s};
  const auto of = [](Request request, std::uint8_t tag) {
    request.request_tag = {{tag}};
    return request;
  };
  for (std::uint8_t tag = 0; tag < 3; ++tag) {
    EXPECT_EQ(code(server.take(of(block(0, true, 64), tag), false, now)), ResponseCode::continue_);
  }
  EXPECT_EQ(code(server.take(of(block(1, true, 64), 1), false, now)), ResponseCode::continue_);
  // 320 bytes are one too many for all together: the oldest gives way.
  EXPECT_EQ(code(server.take(of(block(1, true, 64), 2), false, now)), ResponseCode::continue_);
  EXPECT_EQ(code(server.take(of(block(1, false, 64), 0), false, now)), ResponseCode::request_entity_incomplete);
  EXPECT_EQ(code(server.take(of(block(0, true, 64), 3), false, now)), ResponseCode::continue_);
  EXPECT_EQ(code(server.take(of(block(2, false, 1), 1), false, now)), ResponseCode::request_entity_incomplete);
  EXPECT_EQ(code(server.take(of(block(2, false, 1), 2), false, now)), ResponseCode::changed);
  Request elsewhere = of(block(3, false, 1), 2);
  elsewhere.uri_path.back() = "mid=2";
  EXPECT_EQ(code(server.take(elsewhere, false, now)), ResponseCode::request_entity_incomplete);
}

TEST(BodyAssembly, ABodyIsForgottenInTime) {
  BodyAssembly server{BodyLimits{}};
  EXPECT_FALSE(server.next_deadline());
  ASSERT_EQ(code(server.take(block(0, true, 64), false, base::SteadyTime{1s})), ResponseCode::continue_);
  ASSERT_EQ(server.next_deadline(), base::SteadyTime{248s});
  server.expire(base::SteadyTime{247s});
  EXPECT_FALSE(server.empty());
  server.expire(base::SteadyTime{248s});
  EXPECT_TRUE(server.empty());
}

}  // namespace
}  // namespace dots::coap
