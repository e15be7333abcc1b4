#include "adapters/mitigators/emergency.h"

namespace dots::adapters::mitigators {

base::Result<ports::Mitigator::Listing> list_all(ports::Mitigator& mitigator) {
  if (auto opened = mitigator.open(); !opened) return opened.error();
  return mitigator.list();
}

base::Result<ports::Mitigator::Listing> remove_all(ports::Mitigator& mitigator) {
  if (auto opened = mitigator.open(); !opened) return opened.error();
  ports::Mitigator::Listing there;
  // When the table cannot be read it has to go all the more.
  if (auto listing = mitigator.list(); listing.ok()) {
    there = std::move(*listing);
  } else if (auto reopened = mitigator.open(); !reopened) {
    return reopened.error();
  }
  if (auto cleared = mitigator.clear(); !cleared) return cleared.error();
  return there;
}

}  // namespace dots::adapters::mitigators
