// The helper's JSON lines (docs/decisions/nft-helper.md) as values. Private to src/adapters/mitigators.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ports/mitigator.h"

namespace dots::adapters::mitigators {

bool has_id(const boost::json::object& answer, std::int64_t id);
bool is_true(const boost::json::object& answer, std::string_view key);
std::string text_of(const boost::json::object& answer, std::string_view key);
std::vector<std::string> texts_of(const boost::json::object& answer, std::string_view key);

boost::json::array row_of(const ports::RuleChange& change);
base::Result<void> read_listing(const boost::json::object& answer, ports::Mitigator::Listing& listing);

}  // namespace dots::adapters::mitigators
