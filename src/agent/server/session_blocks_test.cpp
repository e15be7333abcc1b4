// Requests and answers of a session that do not fit one datagram (RFC 7959, RFC 9177).
#include "agent/server/session_fixture.h"

namespace dots::agent::server {
namespace {

// What a client with so many mitigations is answered.
Answer answer_about(std::uint32_t mitigations) {
  Answer answer;
  for (std::uint32_t mid = 0; mid < mitigations; ++mid) {
    model::MitigationEntry entry;
    entry.mid = base::Mid{mid};
    entry.lifetime = model::Lifetime{60};
    entry.status = model::MitigationStatus::in_progress;
    entry.scope.emplace();
    entry.scope->target_prefix.push_back(model::parse_prefix("203.0.113.7/32").value());
    answer.entries.push_back(entry);
  }
  return answer;
}

// S9132-4.4.2-08, S9132-7.3-01, S8612-SIG-002-01: an answer that does not fit one datagram comes in blocks that do.
TEST_F(SessionTest, LargeAnswersComeInBlocks) {
  coap::Request get = request(wire::Method::get, {"mitigate", "cuid=c"});
  send(get);
  const Answer answer = answer_about(200);
  SessionOutput out;
  session->reply(Reply{base::SessionId{7}, std::get<GetMitigation>(events[0]).origin.exchange, answer, false}, now,
                 out);
  pump(std::move(out));
  base::Bytes together;
  for (std::uint32_t number = 1;; ++number) {
    const coap::Response& response = responses.back().response;
    EXPECT_LE(sent.back().size(), 1200u);
    together.insert(together.end(), response.payload.begin(), response.payload.end());
    ASSERT_TRUE(response.block2);
    if ((*response.block2 & 8u) == 0) break;
    coap::Request next = get;
    next.block2 = number << 4 | (*response.block2 & 7u);
    next.etag = {*response.etag};
    send(next);
    ASSERT_EQ(responses.size(), number + 1);
  }
  EXPECT_EQ(together, wire::encode(answer.entries));
  EXPECT_EQ(events.size(), 1u);  // the domain was asked once
}

// D9362-3-26, D9362-3-28, D9362-3-04: the same in Q-Blocks for who takes them; in sets as the configuration in force
// says.
TEST_F(SessionTest, LargeAnswersComeInQBlocks) {
  SessionParameters negotiated{base::Sid{1}, {}, false};
  model::ParameterSet given;
  given.set(model::Parameter::max_payloads, 2);
  given.set(model::Parameter::non_timeout, 500);
  negotiated.sets.idle = model::in_force(given, {});
  given.set(model::Parameter::non_timeout, 1000);
  negotiated.sets.mitigating = model::in_force(given, {});
  const auto apply = [&](bool mitigating) {
    negotiated.mitigating = mitigating;
    SessionOutput applied;
    session->apply(std::make_shared<const SessionParameters>(negotiated), now, applied);
    pump(std::move(applied));
  };
  apply(false);
  coap::Request get = request(wire::Method::get, {"mitigate", "cuid=c"});
  get.q_block2 = {coap::Block{0, true, 6}.value()};
  const Answer answer = answer_about(256);
  const base::Bytes whole = wire::encode(answer.entries);
  ASSERT_GT(whole.size(), 5u * 1024);
  // A client that does not confirm sets hears the next one after non-timeout.
  silent_client = true;
  client.allow_q_blocks({session->parameters(), &session->parameters()->in_force()}, 1200);
  send(get);
  SessionOutput out;
  session->reply(Reply{base::SessionId{7}, std::get<GetMitigation>(events[0]).origin.exchange, answer, false}, now,
                 out);
  pump(std::move(out));
  EXPECT_EQ(sent.size(), 2u);
  pass(4999ms);
  EXPECT_EQ(sent.size(), 2u);
  pass(2501ms);
  EXPECT_EQ(sent.size(), 4u);
  apply(true);
  pass(4999ms);
  EXPECT_EQ(sent.size(), 6u) << "the delay that had begun";
  pass(9999ms);
  EXPECT_EQ(sent.size(), 6u);
  pass(60s);
  for (const auto& bytes : sent) EXPECT_LE(bytes.size(), 1200u);
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].response.payload, whole);
  EXPECT_EQ(events.size(), 1u);
}

// S9132-9-06: and a request whose body comes so.
TEST_F(SessionTest, ABodyInQBlocksIsOneRequest) {
  client.allow_q_blocks({session->parameters(), &session->parameters()->in_force()}, 1200);
  coap::Request put = request(wire::Method::put, {"mitigate", "cuid=c", "mid=7"});
  put.content_format = 271;
  model::MitigationRequest wanted;
  wanted.lifetime = model::Lifetime{3600};
  for (int i = 0; i < 200; ++i) {
    wanted.scope.target_prefix.push_back(model::parse_prefix("203.0.113." + std::to_string(i) + "/32").value());
  }
  put.payload = wire::encode(wanted);
  put.q_block1 = 6;
  send(put);
  EXPECT_GT(last_sent.size(), 2u);
  ASSERT_EQ(events.size(), 1u);
  const auto& taken = std::get<PutMitigation>(events[0]);
  EXPECT_EQ(taken.request.scope.target_prefix.size(), 200u);
  Answer answer;
  answer.code = ResponseCode::created;
  SessionOutput out;
  session->reply(Reply{base::SessionId{7}, taken.origin.exchange, answer, false}, now, out);
  pump(std::move(out));
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].response.code, ResponseCode::created);
}

// Docs/decisions/requests.md: more entries than an answer takes: the newest ones, and a line for the operator.
TEST_F(SessionTest, TheNewestEntriesAreShownWhenNotAllFit) {
  auto small = std::make_shared<SessionSettings>();
  small->block_bytes = 1500;
  settings = small;
  reset(policy::KnownClient{base::DomainId{"d"}, base::ClientId{"c1"}});
  send(request(wire::Method::get, {"mitigate", "cuid=c"}));
  Answer answer;
  answer.left_out = 5;
  for (std::uint32_t mid = 0; mid < 256; ++mid) {
    model::MitigationEntry entry;
    entry.mid = base::Mid{mid};
    entry.lifetime = model::Lifetime{60};
    entry.status = model::MitigationStatus::in_progress;
    answer.entries.push_back(entry);
  }
  SessionOutput out;
  session->reply(Reply{base::SessionId{7}, std::get<GetMitigation>(events[0]).origin.exchange, answer, false}, now,
                 out);
  ASSERT_EQ(out.cut.size(), 1u);
  EXPECT_EQ(out.cut[0], "client c1 of domain d: 128 entries shown, 133 left out");
  pump(std::move(out));
  answer.entries.erase(answer.entries.begin(), answer.entries.begin() + 128);
  EXPECT_EQ(responses.at(0).response.code, ResponseCode::content);
  // The first block of them.
  const base::Bytes whole = wire::encode(answer.entries);
  const base::Bytes& part = responses.at(0).response.payload;
  ASSERT_LE(part.size(), whole.size());
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin()));
}

// S9132-9-06, S9132-9-08: a body in blocks is one request, when all of it is there.
TEST_F(SessionTest, ABodyInBlocksIsOneRequest) {
  coap::Request put = request(wire::Method::put, {"mitigate", "cuid=c", "mid=7"});
  put.content_format = 271;
  model::MitigationRequest wanted;
  wanted.lifetime = model::Lifetime{3600};
  for (int i = 0; i < 100; ++i) {
    wanted.scope.target_prefix.push_back(model::parse_prefix("203.0.113." + std::to_string(i) + "/32").value());
  }
  const base::Bytes whole = wire::encode(wanted);
  ASSERT_GT(whole.size(), 1024u);
  const auto block = [&](std::uint32_t number, std::uint32_t szx) {
    const std::size_t size = std::size_t{16} << szx;
    const std::size_t begin = number * size;
    const std::size_t end = std::min(begin + size, whole.size());
    coap::Request part = put;
    part.block1 = number << 4 | (end < whole.size() ? 8u : 0u) | szx;
    part.payload.assign(whole.begin() + static_cast<std::ptrdiff_t>(begin),
                        whole.begin() + static_cast<std::ptrdiff_t>(end));
    return part;
  };
  send(block(1, 5));
  EXPECT_EQ(responses.at(0).response.code, ResponseCode::request_entity_incomplete);
  std::uint32_t last = 0;
  while ((last + 1) * 512 < whole.size()) send(block(last++, 5));
  ASSERT_EQ(responses.size(), 1u + last);
  for (std::uint32_t i = 0; i < last; ++i) {
    EXPECT_EQ(responses.at(1 + i).response.code, ResponseCode::continue_);
    EXPECT_EQ(responses.at(1 + i).response.block1, i << 4 | 8u | 5u);
  }
  EXPECT_TRUE(events.empty()) << "nothing is acted upon before all of it is there";
  send(block(last, 5));
  ASSERT_EQ(events.size(), 1u);
  const auto& taken = std::get<PutMitigation>(events[0]);
  EXPECT_EQ(taken.request.scope.target_prefix.size(), 100u);
  Answer answer;
  answer.code = ResponseCode::created;
  SessionOutput out;
  session->reply(Reply{base::SessionId{7}, taken.origin.exchange, answer, false}, now, out);
  pump(std::move(out));
  EXPECT_EQ(responses.back().response.code, ResponseCode::created);
  EXPECT_EQ(responses.back().response.block1, last << 4 | 5u);

  coap::Request huge = block(0, 5);
  huge.size1 = 100000;
  send(huge);
  EXPECT_EQ(responses.back().response.code, ResponseCode::request_entity_too_large);
  EXPECT_EQ(responses.back().response.size1, 65536u);
  EXPECT_EQ(refusals.size(), 2u) << "and the operator is told of both";
  put.uri_path.back() = "mid=x";
  send(block(0, 5));
  EXPECT_EQ(responses.back().response.code, ResponseCode::bad_request) << "with the first block, not the last";
}

}  // namespace
}  // namespace dots::agent::server
