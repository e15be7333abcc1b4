#include "coap/repetition.h"

#include <algorithm>

namespace dots::coap {

Repetition repetition_of(const model::ParameterSet& parameters) {
  Repetition repetition;
  repetition.ack_timeout = model::duration_of(parameters, model::Parameter::ack_timeout);
  repetition.ack_random_factor = static_cast<double>(parameters.at(model::Parameter::ack_random_factor)) / 100.0;
  repetition.max_retransmit =
      static_cast<int>(std::min<std::uint64_t>(parameters.at(model::Parameter::max_retransmit), 15));
  return repetition;
}

}  // namespace dots::coap
