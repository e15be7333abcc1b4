// What an operator can do to the rules without a daemon (dotsctl emergency). Give it a mitigator that is not open yet.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "ports/mitigator.h"

namespace dots::adapters::mitigators {

base::Result<ports::Mitigator::Listing> list_all(ports::Mitigator& mitigator);
// What was there. Foreign objects in our table go too.
base::Result<ports::Mitigator::Listing> remove_all(ports::Mitigator& mitigator);

}  // namespace dots::adapters::mitigators
