// Lists of filters as the helper's protocol lines have them. Private to src/adapters/mitigators.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <vector>

#include "base/result.h"
#include "ports/mitigator.h"

namespace dots::adapters::mitigators {

// Refused, with list, entry and field, when a packet filter cannot match or do what an entry says.
base::Result<boost::json::array> rows_of(const std::vector<ports::FilterChange>& changes);

// Adds what one part of the answer to "list" tells of one list.
base::Result<void> read_filters(const boost::json::object& part, std::vector<ports::InstalledFilterList>& out);

}  // namespace dots::adapters::mitigators
