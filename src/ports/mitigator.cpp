#include "ports/mitigator.h"

namespace dots::ports {

base::Result<void> Mitigator::apply_filters(const std::vector<FilterChange>& changes) {
  if (changes.empty()) return {};
  return base::Error{abilities().name + " takes no filters"};
}

}  // namespace dots::ports
