#include "policy/session_bounds.h"

namespace dots::policy {
namespace {

using model::Parameter;
using model::ParameterRange;
using model::ParameterSet;

std::string limits_text(Parameter parameter, const ParameterRange& range) {
  const std::string name{model::attribute(model::facts_of(parameter).key).local_name()};
  // "ack-timeout 1.00" without the name.
  const auto number = [&](std::uint64_t value) { return model::value_text(parameter, value).substr(name.size() + 1); };
  return number(range.min) + " to " + number(range.max);
}

std::optional<std::string> out_of_range(const ParameterSet& wanted, const SessionBounds& bounds, bool mitigating,
                                        bool armed) {
  for (const model::ParameterFacts& facts : model::parameters()) {
    const auto value = wanted.get(facts.parameter);
    if (!value) continue;
    if (facts.parameter == Parameter::heartbeat_interval && *value == 0) {
      if (mitigating) return "heartbeat-interval 0: heartbeats go on while a mitigation is active";
      if (!bounds.heartbeats_may_stop_when_idle) return "heartbeat-interval 0: heartbeats may not be switched off";
      if (armed && !bounds.heartbeats_may_stop_with_armed_requests) {
        return "heartbeat-interval 0: requests that start on signal loss need heartbeats";
      }
      continue;
    }
    const ParameterRange& range = bounds.range(facts.parameter);
    if (!range.holds(*value)) {
      return model::value_text(facts.parameter, *value) + " is not in " + limits_text(facts.parameter, range);
    }
  }
  return std::nullopt;
}

// How values of one set must fit together, the ones in force that were not asked for included.
std::optional<std::string> misfit(const ParameterSet& wanted, const SessionBounds& bounds) {
  const ParameterSet set = model::in_force(wanted, bounds.defaults);
  const std::uint64_t allowance = set.at(Parameter::heartbeat_interval) * set.at(Parameter::probing_rate);
  const bool asked = wanted.get(Parameter::heartbeat_interval) || wanted.get(Parameter::probing_rate);
  if (asked && set.at(Parameter::heartbeat_interval) != 0 && allowance < kHeartbeatBytes) {
    return "heartbeat-interval x probing-rate allows " + std::to_string(allowance) + " bytes, a heartbeat needs " +
           std::to_string(kHeartbeatBytes);
  }
  // RFC 9177 7.2; NON_TIMEOUT_RANDOM reaches non-timeout x ack-random-factor.
  const std::uint64_t longest = set.at(Parameter::non_timeout) * set.at(Parameter::ack_random_factor) / 100;
  if (wanted.get(Parameter::non_receive_timeout) && set.at(Parameter::non_receive_timeout) < longest + 100) {
    return "non-receive-timeout must exceed non-timeout x ack-random-factor by a second";
  }
  return std::nullopt;
}

}  // namespace

// The ranges of RFC 9132 Figure 20, probing-rate wider; those of RFC 9362 around its defaults.
SessionBounds::SessionBounds() {
  const auto set = [&](Parameter p, std::uint64_t min, std::uint64_t max) {
    ranges[static_cast<std::size_t>(p)] = ParameterRange{min, max};
  };
  set(Parameter::heartbeat_interval, 15, 240);
  set(Parameter::missing_hb_allowed, 3, 20);
  set(Parameter::probing_rate, 5, 1000);
  set(Parameter::max_retransmit, 2, 15);
  set(Parameter::ack_timeout, 100, 3000);
  set(Parameter::ack_random_factor, 110, 400);
  set(Parameter::max_payloads, 1, 50);
  set(Parameter::non_max_retransmit, 2, 15);
  set(Parameter::non_timeout, 100, 3000);
  set(Parameter::non_receive_timeout, 200, 12100);
  set(Parameter::non_probing_wait, 100, 60000);
  set(Parameter::non_partial_timeout, 1000, 60000);
}

std::optional<std::string> unacceptable(const model::ParameterSets& wanted, const SessionBounds& bounds, bool armed) {
  for (const bool mitigating : {true, false}) {
    const ParameterSet& set = mitigating ? wanted.mitigating : wanted.idle;
    auto reason = out_of_range(set, bounds, mitigating, armed);
    if (!reason) reason = misfit(set, bounds);
    if (reason) return (mitigating ? "mitigating-config: " : "idle-config: ") + *reason;
  }
  return std::nullopt;
}

}  // namespace dots::policy
