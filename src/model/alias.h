// A name for targets, made by one client for itself on the data channel (RFC 8783 6).
#pragma once

#include <string>

#include "model/mitigation.h"

namespace dots::model {

// `targets` never holds aliases.
struct Alias {
  std::string name;
  MitigationScope targets;

  friend bool operator==(const Alias&, const Alias&) = default;
};

}  // namespace dots::model
