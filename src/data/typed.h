// Instances of aliases and lists as the nouns that the rest of the server uses, with the rules that the table cannot
// say (RFC 8783 4.3, 6.1, 7.2).
#pragma once

#include "data/fault.h"
#include "data/instance.h"
#include "model/alias.h"
#include "model/filter.h"

namespace dots::data {

// REQUIRES: complete (check_complete). `path` is for error-path.
Checked<model::Alias> to_alias(const Instance& alias, const std::string& path);

struct FilterRules {
  // `immediate` wants a destination prefix also of an entry that matches on tcp, udp or icmp alone (open point
  // A8783-05).
  bool immediate_needs_ip = false;
};
// An immediate list names what it is about in each of its entries.
bool may_be_immediate(const model::FilterEntry& entry, const FilterRules& rules);
Checked<model::Filter> to_filter(const Instance& acl, const std::string& path, const FilterRules& rules = {});

}  // namespace dots::data
