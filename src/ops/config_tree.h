// A TOML document as plain values with line numbers, so that toml++ stays in one file.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace dots::ops {

struct ConfigEntry;

struct ConfigNode {
  struct Other {  // a TOML type that no key of ours takes: a date, a floating point number
    std::string type;
  };
  using List = std::vector<ConfigNode>;
  using Table = std::vector<ConfigEntry>;  // in the order of the file

  std::variant<bool, std::int64_t, std::string, List, Table, Other> value;
  std::uint32_t line = 0;

  // "a text", "a number": for people.
  std::string type_name() const;
};

struct ConfigEntry {
  std::string name;
  ConfigNode value;
};

struct ConfigSyntaxError {
  std::uint32_t line = 0;
  std::string what;
};

// The document as a Table.
base::Result<ConfigNode, ConfigSyntaxError> read_toml(const std::string& toml);

}  // namespace dots::ops
