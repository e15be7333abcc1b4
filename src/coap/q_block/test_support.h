// Parameters of robust block transmission for tests, and bodies that tell their bytes apart.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "coap/q_block/parameters.h"
#include "model/session_config.h"

namespace dots::coap::testing {

using Given = std::vector<std::pair<model::Parameter, std::uint64_t>>;

inline std::shared_ptr<const model::ParameterSet> parameter_set(const Given& given = {}) {
  model::ParameterSet set;
  for (const auto& [parameter, value] : given) set.set(parameter, value);
  return std::make_shared<const model::ParameterSet>(model::in_force(set, {}));
}
inline QBlockParameters parameters(const Given& given = {}) { return q_block_parameters(*parameter_set(given)); }

inline base::Bytes body_of(std::size_t bytes, std::uint8_t first = 0) {
  base::Bytes body(bytes);
  for (std::size_t i = 0; i < bytes; ++i) body[i] = static_cast<std::uint8_t>(first + i * 7 + i / 256);
  return body;
}
// Block `number` of it, of 1,024 bytes.
inline base::Bytes part_of(const base::Bytes& body, std::size_t number) {
  const std::size_t begin = std::min(number * 1024, body.size());
  const std::size_t end = std::min(begin + 1024, body.size());
  return {body.begin() + static_cast<std::ptrdiff_t>(begin), body.begin() + static_cast<std::ptrdiff_t>(end)};
}

}  // namespace dots::coap::testing
