// The table of the tree as a page for people (docs/data-channel-tree.md).
#pragma once

#include <string>

namespace dots::data {

// Markdown, each node in the order of the table.
std::string tree_reference();

}  // namespace dots::data
