#include "coap/q_block/parameters.h"

#include <algorithm>

namespace dots::coap {

using model::Parameter;

namespace {

constexpr std::uint64_t kMostRetransmissions = 15;

base::Duration stretched(base::Duration duration, double factor) {
  return base::Duration{static_cast<base::Duration::rep>(static_cast<double>(duration.count()) * factor)};
}

}  // namespace

base::Duration QBlockParameters::between_sets(double fraction) const {
  return stretched(non_timeout, 1.0 + fraction * (ack_random_factor - 1.0));
}

base::Duration QBlockParameters::time_to_wait(int asked) const {
  return non_receive_timeout * (std::int64_t{1} << std::min(asked, static_cast<int>(kMostRetransmissions)));
}

base::Duration QBlockParameters::longest_wait() const {
  return std::min(time_to_wait(non_max_retransmit) + non_timeout, non_partial_timeout);
}

QBlockParameters q_block_parameters(const model::ParameterSet& set) {
  QBlockParameters out;
  out.max_payloads = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(set.at(Parameter::max_payloads), 1, 65535));
  out.non_max_retransmit = static_cast<int>(std::min(set.at(Parameter::non_max_retransmit), kMostRetransmissions));
  out.non_timeout = model::duration_of(set, Parameter::non_timeout);
  out.ack_random_factor = std::max(1.0, static_cast<double>(set.at(Parameter::ack_random_factor)) / 100.0);
  out.non_receive_timeout = model::duration_of(set, Parameter::non_receive_timeout);
  out.non_probing_wait = model::duration_of(set, Parameter::non_probing_wait);
  out.non_partial_timeout = model::duration_of(set, Parameter::non_partial_timeout);
  out.probing_rate = std::max<std::uint64_t>(set.at(Parameter::probing_rate), 1);
  // Who configures exactly what would follow anyway gets the jitter of what follows.
  model::ParameterSet others = set;
  others.clear(Parameter::non_probing_wait);
  if (model::in_force(others, {}).at(Parameter::non_probing_wait) == set.at(Parameter::non_probing_wait)) {
    out.probing_jitter = stretched(out.non_timeout, out.ack_random_factor - 1.0);
  }
  return out;
}

}  // namespace dots::coap
