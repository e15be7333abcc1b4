// The session configuration of a DOTS client with one server (RFC 9132 4.5, RFC 9362), pure: events and `now` in,
// effects out. It resets what an earlier process left, learns what the server accepts, conveys what the operator wants
// as far as it is accepted, and keeps it fresh - and asks for nothing while an attack is under way.
//
// Ownership: one for each configured server. Threads: none of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"
#include "model/session_config.h"
#include "signal/client/events.h"

namespace dots::signal::client {

struct ConfigSettings {
  bool negotiate = false;  // false: `wanted` holds on our side without a word to the server
  model::ParameterSets wanted;
};

// ---- effects: none of them depends on the store -------------------------------------------------------------------

struct SendConfigGet {
  SendId id;
  std::optional<base::Sid> sid;
  bool observe = false;
};
struct SendConfigPut {
  SendId id;
  base::Sid sid;
  model::ParameterSets wanted;
};
struct SendConfigDelete {  // all of it, whatever its sid
  SendId id;
};
using ConfigEffect = std::variant<SendConfigGet, SendConfigPut, SendConfigDelete, CancelSend, OperatorMessage>;
using ConfigEffects = std::vector<ConfigEffect>;

enum class ConfigPhase : std::uint8_t {
  off,         // not negotiated by configuration
  asking,      // on the way; the defaults or the values of before hold
  agreed,      // what the server said holds
  stale,       // not refreshed in time: the defaults hold
  not_offered  // the server does not negotiate, or refused: the defaults hold
};
std::string_view name_of(ConfigPhase phase);

class SessionConfig {
 public:
  explicit SessionConfig(ConfigSettings settings);

  void on_connected(base::SteadyTime now, ConfigEffects& out);  // a session has opened
  // Another server takes over (RFC 9132 4.6): nothing is agreed with it yet. What was agreed holds until it has spoken.
  void on_server_changed(ConfigEffects& out);
  void on_answer(SendId id, const Answer& answer, base::SteadyTime now, ConfigEffects& out);
  void on_timer(base::SteadyTime now, ConfigEffects& out);
  std::optional<base::SteadyTime> next_deadline() const;
  // `attack`: a mitigation is wanted, so that no request about the configuration may be sent (RFC 9132 4.5.3).
  // `mitigating`: one is active, so that mitigating-config is in force.
  void set_state(bool attack, bool mitigating, base::SteadyTime now, ConfigEffects& out);

  const model::ParameterSets& sets() const { return sets_; }  // every parameter
  bool mitigating() const { return mitigating_; }
  const model::ParameterSet& in_force() const { return mitigating_ ? sets_.mitigating : sets_.idle; }
  std::optional<base::Sid> sid() const { return sid_; }
  ConfigPhase phase() const { return phase_; }

 private:
  enum class Purpose : std::uint8_t { reset, discover, convey, refresh };
  struct Pending {
    SendId id;
    Purpose purpose;
  };

  void ask(base::SteadyTime now, ConfigEffects& out);
  void send(Purpose purpose, ConfigEffects& out);
  void on_config(const Answer& answer, base::SteadyTime now, ConfigEffects& out);
  void on_conveyed(const Answer& answer, base::SteadyTime now, ConfigEffects& out);
  void on_failure(Purpose purpose, const Answer& answer, base::SteadyTime now, ConfigEffects& out);
  void give_up(const std::string& reason, ConfigEffects& out);
  void fresh(const std::optional<std::uint32_t>& max_age_s, base::SteadyTime now);
  void use_defaults();

  ConfigSettings settings_;
  ConfigPhase phase_;
  bool attack_ = false;
  bool mitigating_ = false;
  bool connected_ = false;  // at least once
  bool reset_done_ = false;
  bool ask_later_ = false;  // when the attack is over
  std::uint64_t last_send_ = kFirstConfigSend;
  std::optional<Pending> pending_;
  std::optional<SendId> observation_;
  std::uint32_t last_sid_ = 0;
  std::optional<base::Sid> sid_;  // what the server has of us
  model::SessionConfig offered_;  // its last word
  model::ParameterSets conveyed_;
  model::ParameterSets sets_;
  int refusals_ = 0;  // in a row
  std::optional<base::SteadyTime> refresh_at_, fresh_until_, retry_at_;
};

}  // namespace dots::signal::client
