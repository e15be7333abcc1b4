// What a back end has to remember beyond its process, as one JSON file in the state directory. Private to
// src/adapters/mitigators.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "base/result.h"

namespace dots::adapters::mitigators {

class KeptFile {
 public:
  KeptFile(std::string folder, std::string name) : folder_(std::move(folder)), name_(std::move(name)) {}

  // Nothing when there is none yet.
  base::Result<std::optional<boost::json::object>> read() const;
  // After a crash there is the old or the new content, never half of it.
  base::Result<void> write(const boost::json::object& content) const;
  base::Error damaged(const std::string& why) const;

 private:
  std::string folder_, name_;
};

}  // namespace dots::adapters::mitigators
