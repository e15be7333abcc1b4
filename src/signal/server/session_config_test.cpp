// Session configurations of a domain's clients under virtual time (RFC 9132 4.5, RFC 9362).
#include "signal/server/session_config.h"

#include <gtest/gtest.h>

#include "base/overload.h"

namespace dots::signal::server {
namespace {

using namespace std::chrono_literals;
using enum model::Parameter;
using model::ParameterSets;
using model::ResponseCode;

ParameterSets both(model::Parameter p, std::uint64_t value) {
  ParameterSets sets;
  sets.mitigating.set(p, value);
  sets.idle.set(p, value);
  return sets;
}

class SessionConfigTest : public ::testing::Test {
 protected:
  void SetUp() override { open(1, "a"); }

  void take(ConfigEffects effects) {
    for (ConfigEffect& effect : effects) {
      std::visit(base::Overload{[&](ConfigReply& e) { replies.push_back(std::move(e)); },
                                [&](ConfigNotify& e) { notifications.emplace_back(now, std::move(e)); },
                                [&](ApplyParameters& e) { on[e.session.value] = *e.parameters; },
                                [&](ConfigLapsed& e) { lapsed.push_back(e.sid.value); }},
                 effect);
    }
  }
  template <class Do>
  void with(Do&& act) {
    ConfigEffects effects;
    act(effects);
    take(std::move(effects));
  }
  void pass(base::Duration time) {
    const base::SteadyTime end = now + time;
    while (configs.next_deadline() && *configs.next_deadline() <= end) {
      now = std::max(now, *configs.next_deadline());
      with([&](auto& out) { configs.on_timer(now, out); });
    }
    now = end;
  }
  Origin origin(std::uint64_t session, const std::string& client) {
    return {base::SessionId{session},
            base::ExchangeId{++exchange},
            base::ClientId{client},
            {static_cast<std::uint8_t>(exchange)}};
  }
  void open(std::uint64_t session, const std::string& client) {
    with([&](auto& out) {
      configs.on_edge({SessionEdge::Kind::opened, base::SessionId{session}, base::ClientId{client}}, now, out);
    });
  }
  void close(std::uint64_t session, const std::string& client) {
    with([&](auto& out) {
      configs.on_edge({SessionEdge::Kind::closed, base::SessionId{session}, base::ClientId{client}}, now, out);
    });
  }
  ConfigAnswer put(std::uint32_t sid, const ParameterSets& wanted, std::uint64_t session = 1,
                   const std::string& client = "a", bool armed = false) {
    with([&](auto& out) { configs.on_put({origin(session, client), base::Sid{sid}, wanted}, armed, now, out); });
    return replies.back().answer;
  }
  ConfigAnswer get(std::optional<std::uint32_t> sid = {}, std::optional<std::uint32_t> observe = {},
                   std::uint64_t session = 1, const std::string& client = "a", bool over_tcp = false) {
    GetConfig event{origin(session, client), {}, observe, over_tcp};
    if (sid) event.sid = base::Sid{*sid};
    with([&](auto& out) { configs.on_get(event, now, out); });
    return replies.back().answer;
  }
  ConfigAnswer del(std::optional<std::uint32_t> sid = {}, std::uint64_t session = 1, const std::string& client = "a") {
    DeleteConfig event{origin(session, client), {}};
    if (sid) event.sid = base::Sid{*sid};
    with([&](auto& out) { configs.on_delete(event, now, out); });
    return replies.back().answer;
  }
  void mitigating(bool yes, const std::string& client = "a") {
    with([&](auto& out) { configs.on_mitigating({base::ClientId{client}, yes}, now, out); });
  }
  const model::ParameterSet& in_force(std::uint64_t session = 1) { return on.at(session).in_force(); }

  base::SteadyTime now{1h};
  policy::SessionBounds bounds;
  SessionConfigs configs{std::make_shared<policy::SessionBounds>(bounds), {}};
  std::uint64_t exchange = 0;
  std::vector<ConfigReply> replies;
  std::vector<std::pair<base::SteadyTime, ConfigNotify>> notifications;
  std::map<std::uint64_t, SessionParameters> on;  // what each session was told to apply
  std::vector<std::uint32_t> lapsed;
};

// S9132-4.5.1-01, S9132-4.5.2-02, S9132-4.5.2-03, S9132-4.5.2-05, D9362-3-18: current, least and greatest, twice.
TEST_F(SessionConfigTest, DiscoversDefaultsAndRanges) {
  const ConfigAnswer answer = get();
  EXPECT_EQ(answer.code, ResponseCode::content);
  ASSERT_TRUE(answer.config);
  EXPECT_FALSE(answer.config->sid);
  EXPECT_EQ(answer.config->current.idle, model::in_force({}, {}));
  EXPECT_EQ(answer.config->current.mitigating, model::in_force({}, {}));
  for (const auto& ranges : {answer.config->mitigating_ranges, answer.config->idle_ranges}) {
    for (std::size_t i = 0; i < model::kParameters; ++i) {
      ASSERT_TRUE(ranges[i]) << i;
      EXPECT_LT(ranges[i]->min, ranges[i]->max);
    }
    EXPECT_EQ(ranges[0], (model::ParameterRange{15, 240}));
  }
  // S9132-4.5.3-01, S9132-4.5.3-02
  EXPECT_EQ(answer.max_age_s, 3600u);
}

// S9132-4.5.2-19, S9132-4.5.2-20, S9132-4.5.2-15, S9132-4.5.2-16, S9132-9-04, D9362-3-22, S9132-4.5.2-23
TEST_F(SessionConfigTest, SidsCreateChangeAndOverride) {
  EXPECT_EQ(put(1, both(heartbeat_interval, 60)).code, ResponseCode::created);
  EXPECT_EQ(put(1, both(heartbeat_interval, 61)).code, ResponseCode::changed);
  EXPECT_EQ(get(1).config->current.idle.get(heartbeat_interval), 61u);
  EXPECT_EQ(get(1).config->sid, base::Sid{1});
  EXPECT_EQ(put(2, both(max_retransmit, 4)).code, ResponseCode::created);
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_FALSE(replies.back().answer.diagnostic.empty());
  const ConfigAnswer second = get(2);
  ASSERT_TRUE(second.config);
  EXPECT_EQ(second.config->current.idle.get(max_retransmit), 4u);
  // S9132-4.5.2-09: what sid 1 had set and sid 2 does not is at its default again.
  EXPECT_EQ(second.config->current.idle.get(heartbeat_interval), 30u);
}

// D9362-3-27: the attributes of RFC 9362 alone.
TEST_F(SessionConfigTest, TakesTheParametersOfBlockTransmissionAlone) {
  EXPECT_EQ(put(1, both(max_payloads, 12)).code, ResponseCode::created);
  EXPECT_EQ(in_force().at(max_payloads), 12u);
}

// S9132-4.5.2-17: refused with 4.00, the values of the higher one stay.
TEST_F(SessionConfigTest, ALowerSidIsRefused) {
  put(5, both(heartbeat_interval, 60));
  const ConfigAnswer answer = put(4, both(heartbeat_interval, 90));
  EXPECT_EQ(answer.code, ResponseCode::bad_request);
  EXPECT_NE(answer.diagnostic.find("sid=5"), std::string::npos);
  EXPECT_EQ(in_force().at(heartbeat_interval), 60u);
  EXPECT_EQ(get(5).code, ResponseCode::content);
}

// S9132-4.5.2-21, S9132-9-10, S9132-4.5.2-04, S9132-4.5.2-06, S9132-4.5.2-08, S8612-SIG-004-07, D9362-3-23,
// R9177-7.2-02
TEST_F(SessionConfigTest, UnacceptableValuesAre422AndChangeNothing) {
  put(1, both(heartbeat_interval, 60));
  ParameterSets slow_probing;
  slow_probing.idle.set(heartbeat_interval, 15);
  slow_probing.idle.set(probing_rate, 5);
  ParameterSets receive;
  receive.idle.set(non_timeout, 400);
  receive.idle.set(non_receive_timeout, 400);
  ParameterSets mitigating_off;
  mitigating_off.mitigating.set(heartbeat_interval, 0);
  for (const auto& wanted : {both(heartbeat_interval, 241), both(heartbeat_interval, 5), both(missing_hb_allowed, 2),
                             both(ack_timeout, 99), both(ack_random_factor, 99), both(max_retransmit, 16),
                             both(max_payloads, 51), both(non_timeout, 99), slow_probing, receive, mitigating_off}) {
    const ConfigAnswer answer = put(2, wanted);
    EXPECT_EQ(answer.code, ResponseCode::unprocessable_entity);
    EXPECT_FALSE(answer.diagnostic.empty());
  }
  EXPECT_EQ(get(1).code, ResponseCode::content);
  EXPECT_EQ(in_force().at(heartbeat_interval), 60u);
}

// S9132-4.5.1-04, A-18, A-30: 0 for idle times is below the least value and yet means off; not with armed requests.
TEST_F(SessionConfigTest, HeartbeatsMayStopWhenIdle) {
  ParameterSets off;
  off.idle.set(heartbeat_interval, 0);
  EXPECT_EQ(put(1, off, 1, "a", true).code, ResponseCode::unprocessable_entity);
  EXPECT_EQ(put(1, off).code, ResponseCode::created);
  EXPECT_EQ(in_force().at(heartbeat_interval), 0u);
  bounds.heartbeats_may_stop_when_idle = false;
  with([&](auto& out) { configs.set_bounds(std::make_shared<policy::SessionBounds>(bounds), now, out); });
  EXPECT_EQ(put(2, off).code, ResponseCode::unprocessable_entity);
}

// S9132-4.5-02, S9132-4.5-03, D9362-3-28: by itself, on every session of the client, there and back.
TEST_F(SessionConfigTest, TheSetFollowsTheMitigations) {
  open(2, "a");
  open(9, "b");
  ParameterSets sets;
  sets.mitigating.set(heartbeat_interval, 20);
  sets.idle.set(heartbeat_interval, 200);
  sets.mitigating.set(max_payloads, 15);
  sets.idle.set(max_payloads, 15);
  put(1, sets);
  for (const std::uint64_t session : {1u, 2u}) EXPECT_EQ(in_force(session).at(heartbeat_interval), 200u);
  mitigating(true);
  for (const std::uint64_t session : {1u, 2u}) {
    EXPECT_EQ(in_force(session).at(heartbeat_interval), 20u);
    EXPECT_EQ(in_force(session).at(max_payloads), 15u);
  }
  EXPECT_EQ(in_force(9).at(heartbeat_interval), 30u);
  // S9132-4.5-03: a session that comes later is in the same state.
  open(3, "a");
  EXPECT_EQ(in_force(3).at(heartbeat_interval), 20u);
  mitigating(false);
  for (const std::uint64_t session : {1u, 2u, 3u}) EXPECT_EQ(in_force(session).at(heartbeat_interval), 200u);
}

// S9132-4.5.4-01, S9132-4.5.4-02, D9362-3-29
TEST_F(SessionConfigTest, DeleteRestoresTheDefaults) {
  put(7, both(heartbeat_interval, 60));
  EXPECT_EQ(del(6).code, ResponseCode::not_found);  // another sid resets nothing
  EXPECT_EQ(in_force().at(heartbeat_interval), 60u);
  EXPECT_EQ(del(7).code, ResponseCode::deleted);
  EXPECT_EQ(in_force().at(heartbeat_interval), 30u);
  EXPECT_EQ(get(7).code, ResponseCode::not_found);
  EXPECT_EQ(get().config->current.idle.get(heartbeat_interval), 30u);
  // The highest sid is forgotten too.
  EXPECT_EQ(put(1, both(heartbeat_interval, 60)).code, ResponseCode::created);
  EXPECT_EQ(del().code, ResponseCode::deleted);
  EXPECT_EQ(in_force().at(heartbeat_interval), 30u);
  EXPECT_EQ(del().code, ResponseCode::deleted);  // nothing there is no mistake without a sid
}

// the configuration is the client's: its next session has it, another client does not.
TEST_F(SessionConfigTest, BelongsToTheClient) {
  put(3, both(heartbeat_interval, 60));
  close(1, "a");
  pass(10min);
  open(2, "a");
  EXPECT_EQ(in_force(2).at(heartbeat_interval), 60u);
  EXPECT_EQ(get(3, {}, 2).code, ResponseCode::content);
  open(4, "b");
  EXPECT_EQ(get(3, {}, 4, "b").code, ResponseCode::not_found);
  EXPECT_EQ(put(1, both(max_retransmit, 4), 4, "b").code, ResponseCode::created);
  EXPECT_EQ(in_force(2).at(max_retransmit), 3u);
}

// S9132-4.5.3-08, S9132-4.4.2.1-01: whatever changes it is told, once, and nothing else is.
TEST_F(SessionConfigTest, ObserversHearOfChanges) {
  EXPECT_EQ(get({}, 0u).code, ResponseCode::content);
  EXPECT_TRUE(replies.back().observe);
  pass(10s);
  EXPECT_TRUE(notifications.empty());
  bounds.range(heartbeat_interval).max = 120;
  with([&](auto& out) { configs.set_bounds(std::make_shared<policy::SessionBounds>(bounds), now, out); });
  pass(0s);
  ASSERT_EQ(notifications.size(), 1u);
  EXPECT_EQ(notifications[0].second.answer.config->idle_ranges[0]->max, 120u);
  EXPECT_EQ(notifications[0].second.answer.max_age_s, 3600u);
  // Three changes within 3 s are one notification (S9132-4.4.2.1-14).
  const base::SteadyTime first = notifications[0].first;
  for (std::uint64_t i = 1; i <= 3; ++i) put(static_cast<std::uint32_t>(i), both(heartbeat_interval, 60 + i));
  pass(10s);
  ASSERT_EQ(notifications.size(), 2u);
  EXPECT_GE(notifications[1].first - first, 3s);
  EXPECT_EQ(notifications[1].second.answer.config->current.idle.get(heartbeat_interval), 63u);
  mitigating(true);  // the other set is in force, the configuration is the same
  pass(10s);
  EXPECT_EQ(notifications.size(), 2u);
  const base::Bytes token = notifications[0].second.token;
  configs.on_cancelled({base::SessionId{1}, token});
  put(9, both(heartbeat_interval, 90));
  pass(10s);
  EXPECT_EQ(notifications.size(), 2u);
}

// An observed sid that is overridden is told 4.04, which ends the observation.
TEST_F(SessionConfigTest, AnObservedSidThatGoesSaysSo) {
  put(1, both(heartbeat_interval, 60));
  get(1, 0u);
  put(2, both(heartbeat_interval, 90));
  pass(10s);
  ASSERT_EQ(notifications.size(), 1u);
  EXPECT_EQ(notifications[0].second.answer.code, ResponseCode::not_found);
  put(3, both(heartbeat_interval, 95));
  pass(10s);
  EXPECT_EQ(notifications.size(), 1u);
}

TEST_F(SessionConfigTest, ObserversAreBounded) {
  for (int i = 0; i < 20; ++i) get({}, 0u);
  EXPECT_FALSE(replies.back().observe);
  EXPECT_EQ(replies.back().answer.code, ResponseCode::content);
  close(1, "a");
  open(2, "a");
  get({}, 0u, 2);
  EXPECT_TRUE(replies.back().observe);
}

// D9362-3-29: who does not refresh has the defaults again, a while after Max-Age; GET config/sid= is a refresh.
TEST_F(SessionConfigTest, LapsesWithoutARefresh) {
  put(1, both(heartbeat_interval, 60));
  pass(3500s);
  EXPECT_EQ(get(1).code, ResponseCode::content);
  pass(3800s);
  EXPECT_TRUE(lapsed.empty());
  pass(100s);
  EXPECT_EQ(lapsed, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(in_force().at(heartbeat_interval), 30u);
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
}

// S9132-4.5.3-06: not during an attack, and there is time to refresh after it.
TEST_F(SessionConfigTest, NothingLapsesDuringAnAttack) {
  put(1, both(heartbeat_interval, 60));
  mitigating(true);
  pass(24h);
  EXPECT_TRUE(lapsed.empty());
  EXPECT_EQ(in_force().at(heartbeat_interval), 60u);
  mitigating(false);
  pass(200s);
  EXPECT_TRUE(lapsed.empty());
  EXPECT_EQ(get(1).code, ResponseCode::content);
}

// S9132-4.5.3-03
TEST_F(SessionConfigTest, AnInfiniteMaxAgeNeverLapses) {
  bounds.max_age_s = policy::kForever;
  with([&](auto& out) { configs.set_bounds(std::make_shared<policy::SessionBounds>(bounds), now, out); });
  EXPECT_EQ(put(1, both(heartbeat_interval, 60)).max_age_s, UINT32_MAX);
  pass(24h * 3650);
  EXPECT_TRUE(lapsed.empty());
  EXPECT_EQ(get(1).code, ResponseCode::content);
}

// S9132-4.5-04: over TCP they are neither shown nor refused.
TEST_F(SessionConfigTest, OverTcpTheDatagramParametersAreLeftOut) {
  EXPECT_EQ(put(1, both(max_retransmit, 4)).code, ResponseCode::created);
  const ConfigAnswer answer = get(1, {}, 1, "a", true);
  for (const auto p : {missing_hb_allowed, max_retransmit, ack_timeout, ack_random_factor}) {
    EXPECT_FALSE(answer.config->current.idle.get(p));
    EXPECT_FALSE(answer.config->idle_ranges[static_cast<std::size_t>(p)]);
  }
  EXPECT_TRUE(answer.config->current.idle.get(heartbeat_interval));
}

// A hook for the operator: new default values hold at once where nothing was negotiated.
TEST_F(SessionConfigTest, NewDefaultsHoldAtOnce) {
  open(2, "b");
  put(1, both(heartbeat_interval, 60));
  bounds.defaults.set(heartbeat_interval, 45);
  with([&](auto& out) { configs.set_bounds(std::make_shared<policy::SessionBounds>(bounds), now, out); });
  EXPECT_EQ(in_force(1).at(heartbeat_interval), 60u);
  EXPECT_EQ(in_force(2).at(heartbeat_interval), 45u);
}

// Clients that are gone leave nothing behind, and their deadlines neither.
TEST_F(SessionConfigTest, ForgetsWhoIsGone) {
  put(1, both(heartbeat_interval, 60));
  close(1, "a");
  ASSERT_TRUE(configs.next_deadline());
  pass(2h);
  EXPECT_FALSE(configs.next_deadline());
  EXPECT_EQ(lapsed.size(), 1u);
}

}  // namespace
}  // namespace dots::signal::server
