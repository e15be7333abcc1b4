// The session configuration (RFC 9132 4.5) with the parameters of robust block transmission (RFC 9362): nouns, their
// defaults, and what is in force when only some values were given.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "model/attributes.h"

namespace dots::model {

enum class Parameter : std::uint8_t {
  heartbeat_interval,
  missing_hb_allowed,
  probing_rate,
  max_retransmit,
  ack_timeout,
  ack_random_factor,
  max_payloads,
  non_max_retransmit,
  non_timeout,
  non_receive_timeout,
  non_probing_wait,
  non_partial_timeout,
};
inline constexpr std::size_t kParameters = 12;

struct ParameterFacts {
  Parameter parameter{};
  Key key = Key::none;
  bool decimal = false;        // its value counts hundredths
  bool over_udp_only = false;  // RFC 9132 4.5: neither shown nor of effect over TCP
  bool of_rfc9132 = true;      // else of RFC 9362
};
std::span<const ParameterFacts> parameters();  // in the order of the enumeration
const ParameterFacts& facts_of(Parameter parameter);

// Values of some parameters: seconds, bytes per second and counts; hundredths where the attribute is a decimal.
class ParameterSet {
 public:
  std::optional<std::uint64_t> get(Parameter p) const { return values_[static_cast<std::size_t>(p)]; }
  // REQUIRES: get(p).
  std::uint64_t at(Parameter p) const { return values_[static_cast<std::size_t>(p)].value(); }
  void set(Parameter p, std::uint64_t value) { values_[static_cast<std::size_t>(p)] = value; }
  void clear(Parameter p) { values_[static_cast<std::size_t>(p)].reset(); }
  bool empty() const;
  // Takes over every value that `other` has.
  void merge(const ParameterSet& other);
  friend bool operator==(const ParameterSet&, const ParameterSet&) = default;

 private:
  std::array<std::optional<std::uint64_t>, kParameters> values_;
};

// One set for times with a mitigation, one for the others.
struct ParameterSets {
  ParameterSet mitigating;
  ParameterSet idle;
  bool empty() const { return mitigating.empty() && idle.empty(); }
  friend bool operator==(const ParameterSets&, const ParameterSets&) = default;
};

struct ParameterRange {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  bool holds(std::uint64_t value) const { return value >= min && value <= max; }
  friend bool operator==(const ParameterRange&, const ParameterRange&) = default;
};
using ParameterRanges = std::array<std::optional<ParameterRange>, kParameters>;

// The body of an answer to GET config.
struct SessionConfig {
  std::optional<base::Sid> sid;
  ParameterSets current;
  ParameterRanges mitigating_ranges;
  ParameterRanges idle_ranges;
  friend bool operator==(const SessionConfig&, const SessionConfig&) = default;
};

// RFC 9132 4.5.2 and RFC 9362: what holds for parameters that nobody set; those that follow from others are left out.
ParameterSet default_parameters();
// Every parameter: what was given, else the default, else what follows from the others (RFC 9362 section 3). The
// receive time-out that follows keeps one second above NON_TIMEOUT_RANDOM (RFC 9177 7.2).
ParameterSet in_force(const ParameterSet& given, const ParameterSet& defaults);

// REQUIRES: a parameter in seconds or hundredths of a second.
base::Duration duration_of(const ParameterSet& set, Parameter parameter);
// "ack-timeout 2.00".
std::string value_text(Parameter parameter, std::uint64_t value);

}  // namespace dots::model
