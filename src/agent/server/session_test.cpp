#include "agent/server/session_fixture.h"

namespace dots::agent::server {
namespace {

// S9132-4.7-01, S8612-SIG-004-01: a heartbeat is answered 2.04 with an empty body; it never reaches the domain.
TEST_F(SessionTest, AnswersHeartbeatsItself) {
  send(heartbeat(true));
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].response.code, ResponseCode::changed);
  EXPECT_TRUE(responses[0].response.payload.empty());
  EXPECT_TRUE(events.empty());
}

// S9132-4.5-05, S9132-4.5-06: config goes to the domain's owner; a confirmable request gets an empty acknowledgement
// when the answer takes its time, and a confirmable answer then; S9132-4.5.2-18: what needs no state is refused here.
TEST_F(SessionTest, ConfigRequestsGoToTheDomain) {
  coap::Request put = request(wire::Method::put, {"config", "sid=7"});
  put.confirmable = true;
  put.content_format = 271;
  model::ParameterSets wanted;
  wanted.idle.set(model::Parameter::heartbeat_interval, 60);
  put.payload = wire::encode(wanted);
  send(put);
  ASSERT_EQ(events.size(), 1u);
  const auto* event = std::get_if<PutConfig>(&events[0]);
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->sid, base::Sid{7});
  EXPECT_EQ(event->wanted, wanted);
  pass(1s);
  EXPECT_TRUE(responses.empty());
  SessionOutput out;
  session->reply(
      ConfigReply{base::SessionId{7}, event->origin.exchange, {ResponseCode::created, nullptr, "", 3600}, {}}, now,
      out);
  pump(std::move(out));
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].response.code, ResponseCode::created);
  EXPECT_EQ(responses[0].response.max_age_s, 3600u);
  EXPECT_EQ(sent.back()[0] >> 4 & 3, 0);  // confirmable

  put.uri_path.pop_back();
  send(put);
  EXPECT_EQ(responses.back().response.code, ResponseCode::bad_request);
  EXPECT_NE(text(responses.back()).find("sid"), std::string::npos);
  put.uri_path = {".well-known", "dots", "config", "cuid=abc", "sid=8"};  // S9132-4.5.2-10
  send(put);
  EXPECT_EQ(responses.back().response.code, ResponseCode::bad_request);
  put.uri_path = {".well-known", "dots", "config", "sid=8"};
  put.payload = {0xa1, 0x18, 0x1e, 0xa0};  // S9132-4.5.2-12
  send(put);
  EXPECT_EQ(responses.back().response.code, ResponseCode::bad_request);
  EXPECT_EQ(events.size(), 1u);
}

// S9132-4.5-02, S9132-4.5-03, S9132-4.5.2-09, S9132-4.5.1-04: what is in force changes heartbeats and repetition at
// once.
TEST_F(SessionTest, ParametersTakeEffectAtOnce) {
  SessionOutput applied;
  SessionParameters parameters;
  model::ParameterSet idle;
  idle.set(model::Parameter::heartbeat_interval, 0);
  model::ParameterSet mitigating;
  mitigating.set(model::Parameter::heartbeat_interval, 20);
  mitigating.set(model::Parameter::max_retransmit, 1);
  mitigating.set(model::Parameter::ack_timeout, 500);
  mitigating.set(model::Parameter::ack_random_factor, 110);
  parameters.sets = {model::in_force(mitigating, {}), model::in_force(idle, {})};
  session->apply(std::make_shared<SessionParameters>(parameters), now, applied);
  pass(10min);
  EXPECT_TRUE(requests.empty());  // heartbeats are off
  parameters.mitigating = true;
  session->apply(std::make_shared<SessionParameters>(parameters), now, applied);
  pass(61s);
  EXPECT_GE(requests.size(), 3u);

  // A separate confirmable answer that nobody acknowledges: one repetition, 5 to 5.5 s later.
  coap::Request get = request(wire::Method::get, {"config"});
  get.confirmable = true;
  send(get);
  pass(1s);
  const auto* event = std::get_if<GetConfig>(&events.back());
  ASSERT_NE(event, nullptr);
  SessionOutput out;
  session->reply(ConfigReply{base::SessionId{7}, event->origin.exchange, {ResponseCode::content, nullptr, "x", 60}, {}},
                 now, out);
  ASSERT_EQ(out.send.size(), 1u);
  const base::SteadyTime answered = now.steady;
  std::vector<base::Duration> repetitions;
  for (base::SteadyTime end = now.steady + 60s; now.steady < end;) {
    now = now + 50ms;
    SessionOutput more;
    session->on_timer(now, more);
    for (const auto& bytes : more.send) {
      if (bytes == out.send[0]) repetitions.push_back(now.steady - answered);
    }
  }
  ASSERT_EQ(repetitions.size(), 1u);
  EXPECT_GE(repetitions[0], 5s);
  EXPECT_LE(repetitions[0], 5600ms);
}

// S9132-3-06, S9132-4.7-01, S9132-4.5-01, S8612-SIG-003-01, S8612-SIG-004-01, S8612-SIG-004-03, S8811-2.2.2-11: the
// server sends its own heartbeats on the client's session, every interval.
TEST_F(SessionTest, SendsHeartbeatsToTheClient) {
  pass(61s);
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].request.uri_path, (std::vector<std::string>{".well-known", "dots", "hb"}));
  EXPECT_EQ(requests[0].request.method, wire::Method::put);
  EXPECT_FALSE(requests[0].request.confirmable);
  EXPECT_EQ(requests[0].request.payload, *base::from_hex("a11831a11833f5"));
}

// S9132-4.4.1.1-49, S9132-4.7-23, S8612-SIG-004-05, S8811-2.1-02: silence of 15 x 30 s is a loss; any traffic ends it.
TEST_F(SessionTest, ReportsSilenceAndReturnAsEdges) {
  pass(224s);
  EXPECT_TRUE(events.empty());
  pass(2s);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<SessionEdge>(events[0]).kind, SessionEdge::Kind::quiet);
  pass(223s);
  EXPECT_EQ(events.size(), 1u);
  pass(2s);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(std::get<SessionEdge>(events[1]).kind, SessionEdge::Kind::silent);
  EXPECT_TRUE(session->lost());
  EXPECT_EQ(session->loss_after(), 450s);
  EXPECT_TRUE(close_reason.empty());  // silence alone ends no session
  send(request(wire::Method::get, {"nothing"}));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(std::get<SessionEdge>(events[2]).kind, SessionEdge::Kind::alive);
}

// Beyond its rate a session is told to come again; withdrawals and heartbeats are served.
TEST_F(SessionTest, RequestsBeyondTheRateAreToldToWait) {
  auto slow = std::make_shared<SessionSettings>();
  slow->rate = {2, 3};
  settings = slow;
  reset(policy::KnownClient{base::DomainId{"d"}, base::ClientId{"c1"}});
  const auto ask = [&] { send(request(wire::Method::get, {"nothing"})); };
  for (int i = 0; i < 3; ++i) ask();
  EXPECT_EQ(responses.back().response.code, ResponseCode::not_found);
  EXPECT_EQ(throttled, 0u);
  ask();
  ask();
  EXPECT_EQ(responses.back().response.code, ResponseCode::service_unavailable);
  EXPECT_EQ(responses.back().response.max_age_s, 1u);
  EXPECT_EQ(throttled, 2u);
  EXPECT_EQ(throttling_began, 1u) << "one line for the operator";
  EXPECT_EQ(refusals.size(), 3u);

  send(heartbeat(true));
  EXPECT_EQ(responses.back().response.code, ResponseCode::changed);
  send(request(wire::Method::del, {"mitigate", "cuid=c", "mid=1"}));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<DeleteMitigation>(events[0]));

  now = now + 500ms;
  ask();
  EXPECT_EQ(responses.back().response.code, ResponseCode::not_found) << "one more after half a second, at two a second";
  ask();
  EXPECT_EQ(responses.back().response.code, ResponseCode::service_unavailable);
  now = now + 61s;
  for (int i = 0; i < 4; ++i) ask();
  EXPECT_EQ(throttled, 4u);
  EXPECT_EQ(throttling_began, 2u);
}

// S9132-9-02, S8612-SIG-004-03, S8612-SEC-005-01, S8811-2.2.2-01: a valid credential that is no client of ours is told
// 4.01, whatever it asks, and reaches nothing.
TEST_F(SessionTest, AStrangerIsUnauthorised) {
  reset(std::nullopt);
  send(request(wire::Method::get, {"mitigate", "cuid=c"}));
  send(heartbeat(true));
  send(request(wire::Method::get, {"nothing"}));
  ASSERT_EQ(responses.size(), 3u);
  for (const auto& response : responses) {
    EXPECT_EQ(response.response.code, ResponseCode::unauthorized);
    EXPECT_FALSE(response.response.payload.empty());
  }
  // Every method on every resource.
  for (const auto method : {wire::Method::get, wire::Method::put, wire::Method::post, wire::Method::del}) {
    for (const auto& path : std::vector<std::vector<std::string>>{
             {"hb"}, {"config"}, {"config", "sid=1"}, {"mitigate", "cuid=c"}, {"mitigate", "cuid=c", "mid=1"}}) {
      coap::Request one = request(method, path);
      one.content_format = 271;
      one.payload = *base::from_hex("a101a10281a206816c3139322e302e322e312f33320e190e10");
      responses.clear();
      send(one);
      ASSERT_EQ(responses.size(), 1u) << path.back();
      EXPECT_EQ(responses[0].response.code, ResponseCode::unauthorized) << path.back();
    }
  }
  EXPECT_TRUE(events.empty());
  pass(61s);
  EXPECT_FALSE(close_reason.empty());
  EXPECT_TRUE(requests.empty());  // no heartbeats to strangers
}

// S9132-3-14, S9132-3-15, S8612-SIG-006-03, S8811-2.2.2-07: the diagnostic payload has no Content-Format, and the
// operator hears the same.
TEST_F(SessionTest, RefusalsSayWhy) {
  send(request(wire::Method::get, {"mitigate"}));
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].response.code, ResponseCode::bad_request);
  EXPECT_FALSE(responses[0].response.content_format);
  EXPECT_NE(text(responses[0]).find("cuid"), std::string::npos);
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_NE(refusals[0].find("cuid"), std::string::npos);
}

// S9132-3-13, S9132-10.4-01: 2.xx bodies carry Content-Format 271; S9132-4.4-02: the answer to a NON is a NON.
TEST_F(SessionTest, TurnsTheDomainsAnswerIntoCoap) {
  send(request(wire::Method::get, {"mitigate", "cuid=c", "mid=1"}));
  ASSERT_EQ(events.size(), 1u);
  const auto& get = std::get<GetMitigation>(events[0]);
  EXPECT_EQ(get.origin.client.value, "c1");
  Answer answer;
  model::MitigationEntry entry;
  entry.mid = base::Mid{1};
  entry.lifetime = model::Lifetime{60};
  entry.status = model::MitigationStatus::successfully_mitigated;
  answer.entries = {entry};
  SessionOutput out;
  session->reply(Reply{base::SessionId{7}, get.origin.exchange, answer, false}, now, out);
  pump(std::move(out));
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].response.content_format, 271);
  EXPECT_EQ(wire::decode_mitigation_answer(responses[0].response.payload).value(), answer.entries);
  EXPECT_EQ(sent.back()[0] >> 4 & 3, 1);  // type NON
}

// S9132-9-07: a conflict is told in CBOR, not in words.
TEST_F(SessionTest, AConflictAnswerIsADotsObject) {
  send(request(wire::Method::get, {"mitigate", "cuid=c", "mid=1"}));
  ASSERT_EQ(events.size(), 1u);
  Answer answer;
  answer.code = ResponseCode::conflict;
  answer.entries.emplace_back().conflict.emplace().cause = model::ConflictCause::cuid_collision;
  SessionOutput out;
  session->reply(Reply{base::SessionId{7}, std::get<GetMitigation>(events[0]).origin.exchange, answer, false}, now,
                 out);
  pump(std::move(out));
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].response.code, ResponseCode::conflict);
  EXPECT_EQ(responses[0].response.content_format, 271);
  EXPECT_EQ(responses[0].response.payload, *base::from_hex("a101a10281a111a11303"));
}

// S9132-6-07, S8612-GEN-001-03: with an attribute that must be understood and is not, nothing of the request is done.
TEST_F(SessionTest, ARequestThatIsNotUnderstoodReachesNothing) {
  coap::Request put = request(wire::Method::put, {"mitigate", "cuid=c", "mid=1"});
  put.payload = *base::from_hex("a101a10281a206816c3139322e302e322e312f33320e190e10");
  send(put);
  ASSERT_EQ(events.size(), 1u);
  put.payload = *base::from_hex("a101a10281a306816c3139322e302e322e312f33320e190e10183601");  // and key 54
  send(put);
  EXPECT_EQ(events.size(), 1u);
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].response.code, ResponseCode::bad_request);
}

// S8612-SEC-004-03: A repeat (new message id, same token and body) gets the first answer and is not given to the domain
// again.
TEST_F(SessionTest, ARepeatGetsTheFirstAnswer) {
  coap::Request del = request(wire::Method::del, {"mitigate", "cuid=c", "mid=1"});
  send(del);
  ASSERT_EQ(events.size(), 1u);
  base::Bytes again = last_sent.at(0);
  again[2] ^= 0x55;  // another message id
  deliver(again);
  EXPECT_EQ(events.size(), 1u);
  SessionOutput out;
  Answer answer;
  answer.code = ResponseCode::deleted;
  session->reply(Reply{base::SessionId{7}, std::get<DeleteMitigation>(events[0]).origin.exchange, answer, false}, now,
                 out);
  pump(std::move(out));
  EXPECT_EQ(responses.size(), 1u);
  again[2] ^= 0x22;
  const std::size_t before = sent.size();
  deliver(again);
  EXPECT_EQ(events.size(), 1u);
  EXPECT_EQ(sent.size(), before + 1);
  EXPECT_GE(counters.repeats, 1u);
}

// S9132-4.4.3-08: no answer at all, also not to duplicates; a repeat is asked anew, since there is no answer to repeat.
TEST_F(SessionTest, NoReplyStaysSilent) {
  send(request(wire::Method::del, {"mitigate", "cuid=c", "mid=1"}));
  SessionOutput out;
  session->no_reply(NoReply{base::SessionId{7}, std::get<DeleteMitigation>(events[0]).origin.exchange}, now, out);
  pump(std::move(out));
  base::Bytes again = last_sent.at(0);
  deliver(again);
  EXPECT_EQ(events.size(), 1u);
  again[2] ^= 0x55;
  deliver(again);
  EXPECT_TRUE(responses.empty());
  EXPECT_EQ(events.size(), 2u);
}

// S9132-4.4.2.1-03, S9132-4.4.2.1-14, S8612-SIG-003-02: notifications are NON; a Reset ends the observation.
TEST_F(SessionTest, NotifiesUntilReset) {
  coap::Request get = request(wire::Method::get, {"mitigate", "cuid=c", "mid=1"});
  get.observe = 0;
  coap::Effects effects;
  const auto id = client.send(get, {}, now.steady, effects);
  absorb(std::move(effects));
  const Origin origin = std::get<GetMitigation>(events.at(0)).origin;
  Answer answer;
  model::MitigationEntry entry;
  entry.mid = base::Mid{1};
  entry.status = model::MitigationStatus::in_progress;
  entry.lifetime = model::Lifetime{60};
  answer.entries = {entry};
  SessionOutput out;
  session->reply(Reply{base::SessionId{7}, origin.exchange, answer, true}, now, out);
  pump(std::move(out));
  SessionOutput notified;
  session->notify(Notify{base::SessionId{7}, origin.token, answer}, now, notified);
  pump(std::move(notified));
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_TRUE(responses[1].notification);
  EXPECT_EQ(sent.back()[0] >> 4 & 3, 1);
  client.cancel(*id);
  SessionOutput more;
  session->notify(Notify{base::SessionId{7}, origin.token, answer}, now, more);
  pump(std::move(more));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(std::get<ObservationCancelled>(events[1]).token, origin.token);
  const std::size_t before = sent.size();
  SessionOutput silent;
  session->notify(Notify{base::SessionId{7}, origin.token, answer}, now, silent);
  pump(std::move(silent));
  EXPECT_EQ(sent.size(), before);
}

TEST_F(SessionTest, RandomDatagramsNeverHarm) {
  std::uint64_t state = 12345;
  for (int i = 0; i < 20000; ++i) {
    base::Bytes junk;
    state = state * 6364136223846793005ULL + 1;
    const std::size_t size = state >> 58;
    for (std::size_t j = 0; j < size; ++j) {
      state = state * 6364136223846793005ULL + 1;
      junk.push_back(static_cast<std::uint8_t>(state >> 56));
    }
    if (!junk.empty() && i % 2 == 0) junk[0] = static_cast<std::uint8_t>(0x40 | (junk[0] & 0x3f));  // version 1
    SessionOutput out;
    session->on_plaintext(junk, now, out);
    events.clear();
  }
  send(heartbeat(true));
  EXPECT_EQ(responses.size(), 1u);
}

}  // namespace
}  // namespace dots::agent::server
