// Rules as JSON for programs and services of the operator (docs/mitigators.md). Private to src/adapters/mitigators.
//
// What they answer is read strictly: a wrong type is a fault that says where; keys that are not known are passed over.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ports/mitigator.h"

namespace dots::adapters::mitigators {

// Of every request: {"version": 1, "back_end": ..., "op": ...}.
boost::json::object request_of(const std::string& back_end, std::string_view op);

boost::json::object json_of(const model::Rule& rule);
boost::json::array json_of(const std::vector<ports::RuleChange>& changes);
boost::json::array json_of(const std::vector<ports::SignalExemption>& exemptions);

// What no back end takes, with the rule in question; before anything is changed.
ports::Applied check_rules(const std::vector<ports::RuleChange>& changes);

// One JSON object of bounded depth.
base::Result<boost::json::object> parse_object(std::string_view text);
// {"ok": true, ...} is no fault; {"ok": false, "error": ..., "reason": ..., "refused": [{"change": 3, ...}]} is one
// that names the first refused rule of `changes`.
ports::Applied read_fault(const boost::json::object& answer, const std::vector<ports::RuleChange>& changes);
base::Result<model::Rule> read_rule(const boost::json::object& object);
base::Result<ports::Mitigator::Listing> read_listing(const boost::json::object& answer);
// The answer to "abilities"; `so_far` has what it does not say.
base::Result<ports::MitigatorAbilities> read_abilities(const boost::json::object& answer,
                                                       ports::MitigatorAbilities so_far);
base::Result<std::vector<std::string>> read_texts(const boost::json::object& answer, std::string_view key);

}  // namespace dots::adapters::mitigators
