// The client's side of the session configuration under virtual time (RFC 9132 4.5, RFC 9362).
#include "signal/client/session_config.h"

#include <gtest/gtest.h>

#include "base/overload.h"

namespace dots::signal::client {
namespace {

using namespace std::chrono_literals;
using enum model::Parameter;
using model::ResponseCode;

class ClientConfigTest : public ::testing::Test {
 protected:
  ClientConfigTest() {
    for (const auto& facts : model::parameters()) {
      model::ParameterRange range{1, 60000};
      if (facts.parameter == heartbeat_interval) range = {15, 240};
      server.mitigating_ranges[static_cast<std::size_t>(facts.parameter)] = range;
      server.idle_ranges[static_cast<std::size_t>(facts.parameter)] = range;
    }
    server.current.mitigating = server.current.idle = model::in_force({}, {});
    settings.negotiate = true;
  }
  void start() { config.emplace(settings); }
  void connect() {
    if (!config) start();
    with([&](auto& out) { config->on_connected(now, out); });
  }
  template <class Do>
  void with(Do&& act) {
    ConfigEffects effects;
    act(effects);
    for (auto& effect : effects) {
      std::visit(base::Overload{
                     [&](const SendConfigGet& e) {
                       sent.push_back(e.sid ? "GET " + std::to_string(e.sid->value) : e.observe ? "OBSERVE" : "GET");
                       open.push_back({e.id, e.observe});
                     },
                     [&](const SendConfigPut& e) {
                       sent.push_back("PUT " + std::to_string(e.sid.value));
                       body = e.wanted;
                       open.push_back({e.id, false});
                     },
                     [&](const SendConfigDelete& e) {
                       sent.push_back("DELETE");
                       open.push_back({e.id, false});
                     },
                     [&](const CancelSend& e) {
                       sent.push_back("CANCEL");
                       std::erase_if(open, [&](const auto& one) { return one.first == e.id; });
                     },
                     [&](const OperatorMessage& e) { told.push_back(e.id); },
                 },
                 effect);
    }
  }
  Answer ok(std::optional<std::uint32_t> max_age_s = 3600) {
    Answer answer;
    answer.config = server;
    answer.max_age_s = max_age_s;
    return answer;
  }
  static Answer code(ResponseCode what, std::optional<std::uint32_t> max_age_s = {}) {
    Answer answer;
    answer.code = what;
    answer.max_age_s = max_age_s;
    return answer;
  }
  // Answers the newest request that is open.
  void answer(const Answer& what) {
    ASSERT_FALSE(open.empty());
    const auto id = open.back().first;
    const bool observe = open.back().second;
    open.pop_back();
    if (observe && model::is_success(what.code)) observation = id;
    with([&](auto& out) { config->on_answer(id, what, now, out); });
  }
  void notify(const Answer& what) {
    with([&](auto& out) { config->on_answer(*observation, what, now, out); });
  }
  // A server as in RFC 9132: the values hold that were conveyed.
  void accept() {
    server.sid = base::Sid{static_cast<std::uint32_t>(std::stoul(sent.back().substr(4)))};
    server.current.mitigating = model::in_force(body.mitigating, {});
    server.current.idle = model::in_force(body.idle, {});
    answer(code(ResponseCode::created, 3600));
  }
  void agree() {
    connect();
    answer(code(ResponseCode::deleted));
    answer(ok());
    if (sent.back().starts_with("PUT")) {
      accept();
      answer(ok());
    }
  }
  void pass(base::Duration time) {
    const base::SteadyTime end = now + time;
    while (config->next_deadline() && *config->next_deadline() <= end) {
      now = std::max(now, *config->next_deadline());
      with([&](auto& out) { config->on_timer(now, out); });
    }
    now = end;
  }
  void attack(bool under, bool active) {
    with([&](auto& out) { config->set_state(under, active, now, out); });
  }

  base::SteadyTime now{1h};
  ConfigSettings settings;
  std::optional<SessionConfig> config;
  model::SessionConfig server;
  model::ParameterSets body;
  std::vector<std::string> sent, told;
  std::vector<std::pair<SendId, bool>> open;
  std::optional<SendId> observation;
};

using Texts = std::vector<std::string>;

// S9132-4.5.4-02, A-13, S9132-4.5.2-11, D9362-3-17: reset, discover, convey, read back; sids only grow.
TEST_F(ClientConfigTest, NegotiatesWhatItWants) {
  settings.wanted.idle.set(heartbeat_interval, 90);
  settings.wanted.mitigating.set(max_retransmit, 5);
  agree();
  EXPECT_EQ(sent, (Texts{"DELETE", "OBSERVE", "PUT 1", "GET 1"}));
  EXPECT_EQ(body, settings.wanted);
  EXPECT_EQ(config->phase(), ConfigPhase::agreed);
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 90u);
  // S9132-4.5.2-09
  EXPECT_EQ(config->in_force().at(missing_hb_allowed), 15u);
  attack(true, true);  // S9132-4.5-03: by itself
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 30u);
  EXPECT_EQ(config->in_force().at(max_retransmit), 5u);
  attack(false, false);
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 90u);
}

TEST_F(ClientConfigTest, WithoutWishesItOnlyListens) {
  server.current.idle.set(heartbeat_interval, 45);
  agree();
  EXPECT_EQ(sent, (Texts{"DELETE", "OBSERVE"}));
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 45u);
}

// The nearest value that the server accepts; what it does not know is left out (S9132-4.5.1-05); 0 stays 0.
TEST_F(ClientConfigTest, FitsItsWishesToTheRanges) {
  settings.wanted.idle.set(heartbeat_interval, 0);
  settings.wanted.mitigating.set(heartbeat_interval, 300);
  settings.wanted.idle.set(non_timeout, 300);
  server.idle_ranges[static_cast<std::size_t>(non_timeout)].reset();
  agree();
  EXPECT_EQ(body.mitigating.get(heartbeat_interval), 240u);
  EXPECT_EQ(body.idle.get(heartbeat_interval), 0u);
  EXPECT_FALSE(body.idle.get(non_timeout));
}

// A9362-04, D9362-3-19: never the attributes of RFC 9362 alone; max-payloads alike in both sets.
TEST_F(ClientConfigTest, ABaseParameterGoesWithThoseOfRobustBlocks) {
  settings.wanted.idle.set(max_payloads, 20);
  agree();
  EXPECT_EQ(body.idle.get(max_retransmit), 3u);
  EXPECT_EQ(body.mitigating.get(max_payloads), 20u);
}

// R9177-7.2-01: both ends count in the same sets, whether the client asked for them or the server's operator did.
TEST_F(ClientConfigTest, MaxPayloadsIsWhatTheServerUses) {
  for (auto* set : {&server.current.mitigating, &server.current.idle}) set->set(max_payloads, 12);
  agree();
  EXPECT_EQ(config->in_force().at(max_payloads), 12u);
  attack(true, true);
  EXPECT_EQ(config->in_force().at(max_payloads), 12u);
}

// S9132-4.5.2-22, D9362-3-24
TEST_F(ClientConfigTest, After422ItLooksAtTheRangesAgain) {
  settings.wanted.idle.set(heartbeat_interval, 200);
  connect();
  answer(code(ResponseCode::deleted));
  answer(ok());
  EXPECT_EQ(sent.back(), "PUT 1");
  server.idle_ranges[0] = model::ParameterRange{15, 100};
  answer(code(ResponseCode::unprocessable_entity));
  EXPECT_EQ(sent.back(), "OBSERVE");
  answer(ok());
  EXPECT_EQ(sent.back(), "PUT 2");
  EXPECT_EQ(body.idle.get(heartbeat_interval), 100u);
}

TEST_F(ClientConfigTest, GivesUpInTheEndAndSaysSo) {
  settings.wanted.idle.set(heartbeat_interval, 200);
  connect();
  answer(code(ResponseCode::deleted));
  for (int i = 0; i < 20 && !open.empty(); ++i) {
    answer(sent.back().starts_with("PUT") ? code(ResponseCode::unprocessable_entity) : ok());
  }
  EXPECT_LE(std::count_if(sent.begin(), sent.end(), [](const auto& s) { return s.starts_with("PUT"); }), 3);
  EXPECT_EQ(told, (Texts{"CLIENT_CONFIG_REFUSED"}));
  EXPECT_EQ(config->in_force(), model::in_force({}, {}));
}

// A server that takes values and goes on showing others.
TEST_F(ClientConfigTest, DoesNotAskForEver) {
  settings.wanted.idle.set(heartbeat_interval, 200);
  connect();
  answer(code(ResponseCode::deleted));
  for (int i = 0; i < 50 && !open.empty(); ++i) {
    answer(sent.back().starts_with("PUT") ? code(ResponseCode::changed) : ok());
  }
  EXPECT_TRUE(open.empty());
  EXPECT_LE(sent.size(), 12u);
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 30u);  // the server's word
}

// A peer that does not negotiate: the defaults hold, and nobody is bothered.
TEST_F(ClientConfigTest, ServersWithoutConfig) {
  for (const auto refusal :
       {ResponseCode::not_implemented, ResponseCode::not_found, ResponseCode::method_not_allowed}) {
    config.reset();
    open.clear();
    connect();
    answer(code(ResponseCode::deleted));
    answer(code(refusal));
    EXPECT_EQ(config->phase(), ConfigPhase::not_offered);
    EXPECT_TRUE(open.empty());
    EXPECT_TRUE(told.empty());
    EXPECT_EQ(config->in_force(), model::in_force({}, {}));
  }
}

TEST_F(ClientConfigTest, ByConfigurationWithoutAWord) {
  settings.negotiate = false;
  settings.wanted.idle.set(heartbeat_interval, 90);
  connect();
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 90u);
}

// S9132-4.5.3-04: before Max-Age ends, with the sid.
TEST_F(ClientConfigTest, RefreshesBeforeMaxAgeEnds) {
  settings.wanted.idle.set(heartbeat_interval, 90);
  agree();
  sent.clear();
  pass(3479s);
  EXPECT_TRUE(sent.empty());
  pass(2s);
  EXPECT_EQ(sent, (Texts{"GET 1"}));
  answer(ok());
  pass(3479s);
  EXPECT_EQ(sent.size(), 1u);
}

// S9132-4.5.3-07: without Max-Age every 60 s; S9132-4.5.3-03: 2^32 - 1 is for ever.
TEST_F(ClientConfigTest, MaxAgeMissingAndInfinite) {
  connect();
  answer(code(ResponseCode::deleted));
  answer(ok(std::nullopt));
  sent.clear();
  for (int i = 0; i < 10; ++i) {
    pass(60s);
    if (!open.empty()) answer(ok(std::nullopt));
  }
  EXPECT_GE(sent.size(), 9u);
  notify(ok(UINT32_MAX));
  sent.clear();
  pass(24h * 3650);
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(config->phase(), ConfigPhase::agreed);
}

// S9132-4.5.3-05: nothing in an attack, at once after it; the values of before hold meanwhile.
TEST_F(ClientConfigTest, AsksForNothingInAnAttack) {
  settings.wanted.idle.set(heartbeat_interval, 90);
  settings.wanted.mitigating.set(heartbeat_interval, 20);
  agree();
  sent.clear();
  attack(true, false);
  pass(48h);
  connect();  // a second session in the attack
  attack(true, true);
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(config->phase(), ConfigPhase::agreed);
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 20u);
  attack(false, false);
  EXPECT_EQ(sent, (Texts{"GET 1"}));
  pass(60s);
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 90u);
}

// A request that is on its way when the attack begins gives way to those for help.
TEST_F(ClientConfigTest, AnAttackStopsTheNegotiation) {
  settings.wanted.idle.set(heartbeat_interval, 90);
  connect();
  answer(code(ResponseCode::deleted));
  attack(true, false);
  EXPECT_EQ(sent.back(), "CANCEL");
  EXPECT_EQ(config->in_force(), model::in_force({}, {}));
  attack(false, false);
  EXPECT_EQ(sent.back(), "OBSERVE");
}

// D9362-3-29: what is not refreshed in time does not hold any more.
TEST_F(ClientConfigTest, StaleValuesGiveWayToTheDefaults) {
  settings.wanted.idle.set(heartbeat_interval, 90);
  agree();
  pass(3601s);  // the refresh finds no answer
  EXPECT_EQ(config->phase(), ConfigPhase::stale);
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 30u);
  answer(ok());
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 90u);
}

// A restarted server knows nothing: 4.04 to the refresh of the new session, and it is agreed anew with a higher sid.
TEST_F(ClientConfigTest, AServerThatForgotIsToldAgain) {
  settings.wanted.idle.set(heartbeat_interval, 90);
  agree();
  sent.clear();
  server.sid.reset();
  server.current.idle = model::in_force({}, {});
  connect();
  EXPECT_EQ(sent, (Texts{"GET 1"}));
  answer(code(ResponseCode::not_found));
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 30u);
  answer(ok());
  EXPECT_EQ(sent.back(), "PUT 2");
  accept();
  answer(ok());
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 90u);
}

// S9132-4.6-13: with an alternate server it is negotiated anew; what was agreed holds until that one has spoken.
TEST_F(ClientConfigTest, AnotherServerIsAskedFromTheBeginning) {
  settings.wanted.idle.set(heartbeat_interval, 90);
  agree();
  sent.clear();
  with([&](auto& out) { config->on_server_changed(out); });
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 90u);
  server.sid.reset();
  server.current.idle = model::in_force({}, {});
  agree();
  EXPECT_EQ(sent, (Texts{"CANCEL", "DELETE", "OBSERVE", "PUT 2", "GET 2"}));
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 90u);
}

// S9132-4.5.3-08 at the client: a notification is followed at once.
TEST_F(ClientConfigTest, FollowsNotifications) {
  agree();
  server.current.idle.set(heartbeat_interval, 120);
  notify(ok());
  EXPECT_EQ(config->in_force().at(heartbeat_interval), 120u);
}

// S9132-4.5.2-08, S9132-4.5.2-04: values that RFC 7252 and RFC 8085 forbid are not used, whoever says them.
TEST_F(ClientConfigTest, AbsurdValuesOfAServerAreNotUsed) {
  server.current.idle.set(heartbeat_interval, 1);
  server.current.idle.set(ack_timeout, 1);
  server.current.idle.set(ack_random_factor, 50);
  server.current.idle.set(missing_hb_allowed, 0);
  server.current.idle.set(max_retransmit, 200);
  agree();
  EXPECT_EQ(config->in_force(), model::in_force({}, {}));
}

TEST_F(ClientConfigTest, WaitsWhenTheServerAsksForIt) {
  connect();
  answer(code(ResponseCode::deleted));
  answer(code(ResponseCode::service_unavailable, 30));
  sent.clear();
  pass(29s);
  EXPECT_TRUE(sent.empty());
  pass(2s);
  EXPECT_EQ(sent, (Texts{"OBSERVE"}));
}

}  // namespace
}  // namespace dots::signal::client
