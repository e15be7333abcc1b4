#include "model/session_config.h"

#include <algorithm>

namespace dots::model {
namespace {

constexpr std::array<ParameterFacts, kParameters> kFacts{{
    {Parameter::heartbeat_interval, Key::heartbeat_interval, false, false, true},
    {Parameter::missing_hb_allowed, Key::missing_hb_allowed, false, true, true},
    {Parameter::probing_rate, Key::probing_rate, false, false, true},
    {Parameter::max_retransmit, Key::max_retransmit, false, true, true},
    {Parameter::ack_timeout, Key::ack_timeout, true, true, true},
    {Parameter::ack_random_factor, Key::ack_random_factor, true, true, true},
    {Parameter::max_payloads, Key::max_payloads, false, true, false},
    {Parameter::non_max_retransmit, Key::non_max_retransmit, false, true, false},
    {Parameter::non_timeout, Key::non_timeout, true, true, false},
    {Parameter::non_receive_timeout, Key::non_receive_timeout, true, true, false},
    {Parameter::non_probing_wait, Key::non_probing_wait, true, true, false},
    {Parameter::non_partial_timeout, Key::non_partial_timeout, true, true, false},
}};

constexpr std::uint64_t kSecond = 100;                         // in hundredths
constexpr std::uint64_t kTwiceMaxLatency = 2 * 100 * kSecond;  // RFC 7252 4.8.2
constexpr std::uint64_t kPartialTimeout = 247 * kSecond;       // the module's default

// NON_TIMEOUT * (2^NON_MAX_RETRANSMIT - 1) * ACK_RANDOM_FACTOR + 2 * MAX_LATENCY + NON_TIMEOUT (RFC 9362 section 3).
std::uint64_t longest_exchange(const ParameterSet& set) {
  const std::uint64_t timeout = set.at(Parameter::non_timeout);
  const std::uint64_t doublings = std::min<std::uint64_t>(set.at(Parameter::non_max_retransmit), 16);
  const std::uint64_t span = timeout * ((std::uint64_t{1} << doublings) - 1) * set.at(Parameter::ack_random_factor);
  return span / kSecond + kTwiceMaxLatency + timeout;
}

}  // namespace

std::span<const ParameterFacts> parameters() { return kFacts; }
const ParameterFacts& facts_of(Parameter parameter) { return kFacts[static_cast<std::size_t>(parameter)]; }

bool ParameterSet::empty() const {
  return std::none_of(values_.begin(), values_.end(), [](const auto& value) { return value.has_value(); });
}

void ParameterSet::merge(const ParameterSet& other) {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (other.values_[i]) values_[i] = other.values_[i];
  }
}

ParameterSet default_parameters() {
  ParameterSet set;
  set.set(Parameter::heartbeat_interval, 30);
  set.set(Parameter::missing_hb_allowed, 15);
  set.set(Parameter::probing_rate, 5);
  set.set(Parameter::max_retransmit, 3);
  set.set(Parameter::ack_timeout, 2 * kSecond);
  set.set(Parameter::ack_random_factor, 150);
  set.set(Parameter::max_payloads, 10);
  return set;
}

ParameterSet in_force(const ParameterSet& given, const ParameterSet& defaults) {
  ParameterSet set = default_parameters();
  set.merge(defaults);
  set.merge(given);
  const auto follow = [&](Parameter parameter, std::uint64_t value) {
    if (!set.get(parameter)) set.set(parameter, value);
  };
  follow(Parameter::non_max_retransmit, set.at(Parameter::max_retransmit));
  follow(Parameter::non_timeout, set.at(Parameter::ack_timeout));
  const std::uint64_t timeout = set.at(Parameter::non_timeout);
  const std::uint64_t longest_random = (timeout * set.at(Parameter::ack_random_factor) + kSecond - 1) / kSecond;
  follow(Parameter::non_receive_timeout, std::max(2 * timeout, longest_random + kSecond));
  follow(Parameter::non_probing_wait, longest_exchange(set));
  // The module's constant holds as long as nothing that the formula uses was changed (RFC 9362 section 3, Note 2).
  ParameterSet untouched = default_parameters();
  const bool changed = set.at(Parameter::non_timeout) != untouched.at(Parameter::ack_timeout) ||
                       set.at(Parameter::non_max_retransmit) != untouched.at(Parameter::max_retransmit) ||
                       set.at(Parameter::ack_random_factor) != untouched.at(Parameter::ack_random_factor);
  follow(Parameter::non_partial_timeout, changed ? longest_exchange(set) : kPartialTimeout);
  return set;
}

base::Duration duration_of(const ParameterSet& set, Parameter parameter) {
  const auto value = static_cast<std::int64_t>(set.at(parameter));
  return facts_of(parameter).decimal ? base::Duration{std::chrono::milliseconds{10 * value}}
                                     : base::Duration{std::chrono::seconds{value}};
}

std::string value_text(Parameter parameter, std::uint64_t value) {
  const ParameterFacts& facts = facts_of(parameter);
  std::string text{attribute(facts.key).local_name()};
  text += " " + std::to_string(facts.decimal ? value / kSecond : value);
  if (facts.decimal) {
    const std::uint64_t fraction = value % kSecond;
    text += (fraction < 10 ? ".0" : ".") + std::to_string(fraction);
  }
  return text;
}

}  // namespace dots::model
