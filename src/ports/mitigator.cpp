#include "ports/mitigator.h"

namespace dots::ports {

Applied Mitigator::apply_filters(const std::vector<FilterChange>& changes) {
  if (changes.empty()) return {};
  return MitigatorFault{abilities().name + " takes no filters", model::RefusalReason::function};
}

}  // namespace dots::ports
