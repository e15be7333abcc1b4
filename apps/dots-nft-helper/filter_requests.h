// SPDX-License-Identifier: GPL-2.0-only
// {"op":"filters","changes":[CHANGE,...]}, checked strictly. A change is {"key":[domain,cuid,list]} to remove a list,
// or with "place", "digest", "to" (lists of prefixes) and "entries" besides, to put it in place of what has this key.
// An entry is {"name","do","to"} ("rate" with do = limit) and what it matches:
//   "family" 4|6, "src", "dst", "protocol", "fragment" [any,not,bits], "dscp", "ecn", "ttl", "length", "ihl", "flags",
//   "offset", "id", "flow";
//   "tcp" {"sport","dport" [lower,upper,not], "bits" [any,not,bits], "seq","ack","doff","reserved","flags","window",
//   "urgent"}, "udp" {"sport","dport","length"}, "icmp" {"family","type","code","rest" (hexadecimal)}.
// Numbers are as they stand in the packet.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "filters.h"

namespace nfthelper {

bool parse_filter_changes(const boost::json::value* value, std::vector<FilterChange>& out, std::string& error);

}  // namespace nfthelper
