// A set of prefixes with values, answering "what overlaps this?" without a scan of everything.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "model/ip.h"

namespace dots::policy {

// A path-compressed binary trie for each family. Values are small copyable keys; one prefix may hold several.
// Cost: O(width) for insert, erase and covering; O(width + answers) for overlapping.
template <class Value>
class PrefixTree;

}  // namespace dots::policy
