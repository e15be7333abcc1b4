#include "adapters/mitigators/gobgp/route.h"

namespace dots::adapters::mitigators::gobgp {

base::Bytes nlri_of(const model::Prefix& prefix) {
  const model::Prefix masked = prefix.masked();
  base::Bytes out{masked.length};
  for (std::size_t i = 0; i < (masked.length + 7u) / 8u; ++i) out.push_back(masked.address.bytes[i]);
  return out;
}

base::Bytes nlri_of(const FlowSpec& flow) {
  base::Bytes out = encode(flow);
  out.insert(out.begin(), static_cast<std::uint8_t>(out.size()));
  return out;
}

}  // namespace dots::adapters::mitigators::gobgp
