// SPDX-License-Identifier: GPL-2.0-only
// What may be asked of this program, checked strictly: it is the privileged side. A request never carries nft text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "filters.h"
#include "rules.h"

namespace nfthelper {

constexpr std::size_t kMaxChanges = 4096;
constexpr std::size_t kMaxExemptions = 65536;

struct Ping {};
struct Probe {};          // may this process change the packet filter?
struct Open {};           // builds or repairs the table
struct List {};           // rules with counters, foreign objects
struct RemoveForeign {};  // foreign objects inside the table
struct Clear {};          // the whole table
struct Change {
  bool install = true;
  Rule rule;
};
struct Apply {
  std::vector<Change> changes;
};
struct Exempt {
  std::uint64_t packets_per_s = 1000;
  std::vector<Exemption> exemptions;
};
struct ChangeFilters {
  std::vector<FilterChange> changes;
};

struct Request {
  std::int64_t id = 0;
  std::variant<Ping, Probe, Open, List, RemoveForeign, Clear, Apply, ChangeFilters, Exempt> what;
};

// On failure `error` says what is wrong; the id is kept when it could be read.
bool parse_request(std::string_view line, Request& request, std::string& error);

// A table name that needs no quoting: a lower-case letter, then at most 31 of a-z, 0-9 and '_'.
bool valid_table_name(std::string_view name);

}  // namespace nfthelper
