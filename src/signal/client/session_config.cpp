#include "signal/client/session_config.h"

#include <algorithm>

namespace dots::signal::client {
namespace {

using model::Parameter;
using model::ParameterSet;
using model::ResponseCode;

constexpr base::Duration kDefaultMaxAge = std::chrono::seconds{60};  // RFC 7252 5.10.5
constexpr std::uint32_t kForever = UINT32_MAX;
// The span of a confirmable request (RFC 7252 4.8.2): how long a refresh after an attack may take.
constexpr base::Duration kRefreshTime = std::chrono::seconds{247};
constexpr base::Duration kLongestLead = std::chrono::seconds{120};
constexpr int kMostRefusals = 3;

// What no server can make us use (RFC 7252 4.8.1, RFC 8085).
bool is_sane(Parameter parameter, std::uint64_t value) {
  switch (parameter) {
    case Parameter::heartbeat_interval:
      return value == 0 || value >= 15;
    case Parameter::missing_hb_allowed:
    case Parameter::probing_rate:
    case Parameter::max_payloads:
      return value >= 1;
    case Parameter::max_retransmit:
    case Parameter::non_max_retransmit:
      return value <= 15;
    case Parameter::ack_timeout:
    case Parameter::non_timeout:
    case Parameter::non_receive_timeout:
      return value >= 100 && value <= 600000;
    case Parameter::ack_random_factor:
      return value >= 100 && value <= 1000;
    case Parameter::non_probing_wait:
    case Parameter::non_partial_timeout:
      return value >= 100;
  }
  return false;
}

ParameterSet sane(const ParameterSet& told) {
  ParameterSet set;
  for (const model::ParameterFacts& facts : model::parameters()) {
    const auto value = told.get(facts.parameter);
    if (value && is_sane(facts.parameter, *value)) set.set(facts.parameter, *value);
  }
  return set;
}

// The nearest values that the server accepts; it may not know every parameter.
ParameterSet fitted(const ParameterSet& wanted, const model::ParameterRanges& ranges) {
  ParameterSet set;
  for (const model::ParameterFacts& facts : model::parameters()) {
    const auto value = wanted.get(facts.parameter);
    const auto& range = ranges[static_cast<std::size_t>(facts.parameter)];
    if (!value || !range || range->min > range->max) continue;
    const bool off = facts.parameter == Parameter::heartbeat_interval && *value == 0;
    set.set(facts.parameter, off ? 0 : std::clamp(*value, range->min, range->max));
  }
  return set;
}

bool holds(const ParameterSet& wanted, const ParameterSet& current) {
  return std::all_of(model::parameters().begin(), model::parameters().end(), [&](const model::ParameterFacts& facts) {
    const auto value = wanted.get(facts.parameter);
    return !value || value == current.get(facts.parameter);
  });
}

// RFC 9132 4.5.2 asks for one of its own parameters; a peer may refuse a request with those of RFC 9362 alone.
void add_a_base_parameter(ParameterSet& set, const ParameterSet& current) {
  if (set.empty()) return;
  for (const model::ParameterFacts& facts : model::parameters()) {
    if (facts.of_rfc9132 && set.get(facts.parameter)) return;
  }
  set.set(Parameter::max_retransmit,
          current.get(Parameter::max_retransmit).value_or(model::default_parameters().at(Parameter::max_retransmit)));
}

std::string text_of(const Answer& answer) {
  return model::to_string(answer.code) + (answer.diagnostic.empty() ? "" : ": " + answer.diagnostic);
}

}  // namespace

std::string_view name_of(ConfigPhase phase) {
  switch (phase) {
    case ConfigPhase::off:
      return "not negotiated";
    case ConfigPhase::asking:
      return "asking";
    case ConfigPhase::agreed:
      return "agreed";
    case ConfigPhase::stale:
      return "stale";
    case ConfigPhase::not_offered:
      return "not offered";
  }
  return "";
}

SessionConfig::SessionConfig(ConfigSettings settings)
    : settings_(std::move(settings)), phase_(settings_.negotiate ? ConfigPhase::asking : ConfigPhase::off) {
  use_defaults();
}

void SessionConfig::use_defaults() {
  const bool own = phase_ == ConfigPhase::off;
  sets_.mitigating = model::in_force(own ? settings_.wanted.mitigating : ParameterSet{}, {});
  sets_.idle = model::in_force(own ? settings_.wanted.idle : ParameterSet{}, {});
}

void SessionConfig::on_connected(base::SteadyTime now, ConfigEffects& out) {
  if (phase_ == ConfigPhase::off) return;
  connected_ = true;
  refusals_ = 0;
  ask(now, out);
}

void SessionConfig::on_server_changed(ConfigEffects& out) {
  if (observation_) out.emplace_back(CancelSend{*observation_});
  if (pending_ && pending_->id != observation_) out.emplace_back(CancelSend{pending_->id});
  observation_.reset();
  pending_.reset();
  sid_.reset();
  refusals_ = 0;
  reset_done_ = false;
}

// One request at a time; what is on its way goes over the new session by itself.
void SessionConfig::ask(base::SteadyTime, ConfigEffects& out) {
  if (!connected_ || pending_) return;
  if (attack_) {
    ask_later_ = true;
    return;
  }
  ask_later_ = false;
  // RFC 9132 4.5.4: an earlier process may have left a configuration, and a higher sid than we know.
  if (!reset_done_) return send(Purpose::reset, out);
  send(sid_ ? Purpose::refresh : Purpose::discover, out);
}

void SessionConfig::send(Purpose purpose, ConfigEffects& out) {
  pending_ = Pending{SendId{++last_send_}, purpose};
  retry_at_.reset();
  switch (purpose) {
    case Purpose::reset:
      out.emplace_back(SendConfigDelete{pending_->id});
      return;
    case Purpose::discover:
      // The registration is the discovery: whatever changes at the server is told from then on (RFC 9132 4.5.3).
      if (observation_) out.emplace_back(CancelSend{*observation_});
      observation_ = pending_->id;
      out.emplace_back(SendConfigGet{pending_->id, std::nullopt, true});
      return;
    case Purpose::convey:
      sid_.reset();
      out.emplace_back(SendConfigPut{pending_->id, base::Sid{++last_sid_}, conveyed_});
      return;
    case Purpose::refresh:
      out.emplace_back(SendConfigGet{pending_->id, sid_, false});
      return;
  }
}

void SessionConfig::on_answer(SendId id, const Answer& answer, base::SteadyTime now, ConfigEffects& out) {
  const bool success = model::is_success(answer.code);
  if (pending_ && pending_->id == id) {
    const Purpose purpose = pending_->purpose;
    pending_.reset();
    if (!success && observation_ == id) observation_.reset();
    if (purpose == Purpose::reset) {
      // A server without the resource says so at the discovery as well.
      reset_done_ = true;
      sid_.reset();
      return send(Purpose::discover, out);
    }
    if (!success) return on_failure(purpose, answer, now, out);
    if (purpose == Purpose::convey) return on_conveyed(answer, now, out);
    return on_config(answer, now, out);
  }
  if (observation_ != id) return;
  // A notification.
  if (!success) {
    observation_.reset();
    return;
  }
  if (answer.config && pending_ && pending_->purpose == Purpose::convey) return;  // about what is being replaced
  on_config(answer, now, out);
}

void SessionConfig::on_config(const Answer& answer, base::SteadyTime now, ConfigEffects& out) {
  if (!answer.config) return give_up("the answer has no configuration" + std::string(": ") + answer.diagnostic, out);
  offered_ = *answer.config;
  // Somebody with our credentials, or an earlier process, was here.
  if (offered_.sid) last_sid_ = std::max(last_sid_, offered_.sid->value);
  if (sid_ && offered_.sid && offered_.sid != sid_) sid_.reset();
  model::ParameterSets fit{fitted(settings_.wanted.mitigating, offered_.mitigating_ranges),
                           fitted(settings_.wanted.idle, offered_.idle_ranges)};
  if (fit.mitigating.get(Parameter::max_payloads) || fit.idle.get(Parameter::max_payloads)) {
    // RFC 9362: the same in both.
    const auto most = fit.mitigating.get(Parameter::max_payloads);
    const std::uint64_t payloads = most ? *most : fit.idle.at(Parameter::max_payloads);
    fit.mitigating.set(Parameter::max_payloads, payloads);
    fit.idle.set(Parameter::max_payloads, payloads);
  }
  const bool satisfied = holds(fit.mitigating, offered_.current.mitigating) && holds(fit.idle, offered_.current.idle);
  const bool may_ask = !attack_ && !pending_ && refusals_ < kMostRefusals;
  if (!satisfied && may_ask) {
    add_a_base_parameter(fit.mitigating, offered_.current.mitigating);
    add_a_base_parameter(fit.idle, offered_.current.idle);
    conveyed_ = fit;
    return send(Purpose::convey, out);
  }
  sets_.mitigating = model::in_force(sane(offered_.current.mitigating), {});
  sets_.idle = model::in_force(sane(offered_.current.idle), {});
  phase_ = ConfigPhase::agreed;
  if (satisfied) refusals_ = 0;
  fresh(answer.max_age_s, now);
}

// 2.01 or 2.04: it holds from now on; the values that we did not ask for, and until when, are read back.
void SessionConfig::on_conveyed(const Answer& answer, base::SteadyTime now, ConfigEffects& out) {
  sid_ = base::Sid{last_sid_};
  sets_.mitigating = model::in_force(conveyed_.mitigating, {});
  sets_.idle = model::in_force(conveyed_.idle, {});
  phase_ = ConfigPhase::agreed;
  fresh(answer.max_age_s, now);
  ++refusals_;  // until it is seen to hold: a server that takes values and shows others is not asked for ever
  if (!attack_) send(Purpose::refresh, out);
}

void SessionConfig::on_failure(Purpose purpose, const Answer& answer, base::SteadyTime now, ConfigEffects& out) {
  if (answer.code == ResponseCode::service_unavailable) {
    const base::Duration wait =
        answer.max_age_s ? base::Duration{std::chrono::seconds{*answer.max_age_s}} : kDefaultMaxAge;
    retry_at_ = now + std::clamp<base::Duration>(wait, std::chrono::seconds{1}, std::chrono::hours{24});
    return;
  }
  if (purpose == Purpose::refresh && answer.code == ResponseCode::not_found) {
    // The server has forgotten it: the defaults hold until it is agreed anew.
    sid_.reset();
    phase_ = ConfigPhase::asking;
    use_defaults();
    if (!attack_) send(Purpose::discover, out);
    return;
  }
  if (purpose == Purpose::convey && ++refusals_ < kMostRefusals) {
    // 4.22: other limits than we know (RFC 9132 4.5.2). 4.00: a sid that is too low, which a reset forgets.
    if (answer.code == ResponseCode::unprocessable_entity) return send(Purpose::discover, out);
    if (answer.code == ResponseCode::bad_request) return send(Purpose::reset, out);
  }
  give_up(text_of(answer), out);
}

void SessionConfig::give_up(const std::string& reason, ConfigEffects& out) {
  phase_ = ConfigPhase::not_offered;
  sid_.reset();
  refresh_at_.reset();
  fresh_until_.reset();
  use_defaults();
  if (!settings_.wanted.empty()) out.emplace_back(OperatorMessage{"CLIENT_CONFIG_REFUSED", reason});
}

void SessionConfig::fresh(const std::optional<std::uint32_t>& max_age_s, base::SteadyTime now) {
  refresh_at_.reset();
  fresh_until_.reset();
  if (max_age_s == kForever) return;
  const base::Duration age =
      max_age_s && *max_age_s > 0 ? base::Duration{std::chrono::seconds{*max_age_s}} : kDefaultMaxAge;
  fresh_until_ = now + age;
  refresh_at_ = *fresh_until_ - std::min(age / 4, kLongestLead);
}

void SessionConfig::on_timer(base::SteadyTime now, ConfigEffects& out) {
  if (attack_) return;
  if (fresh_until_ && *fresh_until_ <= now) {
    fresh_until_.reset();
    phase_ = ConfigPhase::stale;
    use_defaults();
  }
  const bool due = (refresh_at_ && *refresh_at_ <= now) || (retry_at_ && *retry_at_ <= now);
  if (!due) return;
  refresh_at_.reset();
  retry_at_.reset();
  ask(now, out);
}

std::optional<base::SteadyTime> SessionConfig::next_deadline() const {
  if (attack_) return std::nullopt;
  std::optional<base::SteadyTime> next;
  for (const auto& at : {refresh_at_, fresh_until_, retry_at_}) {
    if (at && (!next || *at < *next)) next = at;
  }
  return next;
}

void SessionConfig::set_state(bool attack, bool mitigating, base::SteadyTime now, ConfigEffects& out) {
  mitigating_ = mitigating;
  if (attack == attack_) return;
  attack_ = attack;
  if (phase_ == ConfigPhase::off) return;
  if (attack) {
    if (!pending_) return;
    // Requests about mitigations have the link for themselves.
    if (observation_ == pending_->id) observation_.reset();
    out.emplace_back(CancelSend{pending_->id});
    pending_.reset();
    ask_later_ = true;
    return;
  }
  if (fresh_until_) fresh_until_ = std::max(*fresh_until_, now + kRefreshTime);
  if (refresh_at_ && *refresh_at_ <= now) ask_later_ = true;
  if (ask_later_) ask(now, out);
}

}  // namespace dots::signal::client
