// The parameters of a session as operators see them, on either side (docs/api.md).
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>

#include "model/session_config.h"

namespace dots::agent {

// Two rows: mitigating-config and idle-config, and which of them is in force. REQUIRES: sets with every parameter.
inline boost::json::array render_parameters(const model::ParameterSets& sets, bool mitigating) {
  boost::json::array rows;
  for (const bool of_mitigating : {true, false}) {
    const model::ParameterSet& set = of_mitigating ? sets.mitigating : sets.idle;
    boost::json::object row;
    row["set"] = of_mitigating ? "mitigating-config" : "idle-config";
    row["in-force"] = of_mitigating == mitigating;
    for (const model::ParameterFacts& facts : model::parameters()) {
      const std::string text = model::value_text(facts.parameter, set.at(facts.parameter));
      const std::size_t space = text.find(' ');
      if (facts.decimal) {
        row[text.substr(0, space)] = text.substr(space + 1);
      } else {
        row[text.substr(0, space)] = set.at(facts.parameter);
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace dots::agent
